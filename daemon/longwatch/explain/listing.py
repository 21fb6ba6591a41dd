"""Records by kind, order, symbol and time; printed by `longwatch events`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

from longwatch.domain import messages as m
from longwatch.explain.gathered import asked
from longwatch.journal.codec import decode
from longwatch.journal.finding import Finder, finding
from longwatch.journal.reading import Entry


def listed(
    path: Path,
    *,
    kinds: Sequence[str] = (),
    order: str | None = None,
    symbol: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    last: int = 0,
) -> list[Entry]:
    """The `last` records that all of this is true of, in order; 0 stands for all, nothing given for no condition.

    A fact belongs to the time of the event that it follows from. Raises UsageError for an order that is not there.
    """
    with finding(path) as finder:
        first = 1 if since is None else finder.since(since)
        end = finder.last if until is None else finder.since(until) - 1
        if order is not None:
            found = [entry for entry in _about(path, order) if first <= entry.record.sequence <= end]
            rows: Iterator[Entry] = reversed([one for one in found if not kinds or one.record.kind in kinds])
        else:
            rows = finder.between(first, end, kinds, newest_first=True)
        names = _names(finder, symbol) if symbol else ()
        kept: deque[Entry] = deque()
        for entry in rows:
            if not names or any(name in entry.record.payload for name in names):
                kept.appendleft(entry)
                if last and len(kept) == last:
                    break
        return list(kept)


def _about(path: Path, order: str) -> list[Entry]:
    """Every record about an order, the event it was decided on included."""
    with asked(path, order) as (finder, one):
        told = (*one.facts, *one.heard, one.decided)
        return finder.numbered(each.sequence for each in told)


def _names(finder: Finder, symbol: str) -> tuple[bytes, ...]:
    """What a payload about a symbol has in it: its name, or the number of its contract."""
    names = [f'"symbol":"{symbol}"', f'["{symbol}",']
    for entry in finder.holding("InstrumentKnown", f'"symbol":"{symbol}"'):
        con_id = cast(m.InstrumentKnown, decode(entry.record)).instrument.con_id
        names += [f'"con_id":{con_id},', f'"con_id":{con_id}}}']
        break
    return tuple(name.encode() for name in names)

"""What is concluded of an event that could not be digested or written: kept, and its instrument stops; for loop.py."""

from __future__ import annotations

from longwatch.domain import messages as m
from longwatch.domain.order_life.identity import instrument_of
from longwatch.domain.reconciliation.quarantines import UNDIGESTED, for_undigested
from longwatch.domain.state import State


def facts_of(state: State, event: m.Event, reason: str) -> list[m.Fact]:
    """The event is kept, and trading in its instrument, if it has one, stops."""
    kind, because = type(event).__name__, _plain(reason)
    con_id, symbol = instrument_of(state, event) or (None, "")
    kept: list[m.Fact] = [m.EventKept(kind=kind, reason=because, con_id=con_id)]
    if con_id is not None:
        why = f"{UNDIGESTED}: {because}"
        one = m.QuarantineSet(con_id=con_id, symbol=_plain(symbol), reason=why, tech=event.tech)
        held = for_undigested(state, one)
        kept += [held] if held is not None else []
    return kept


def alert_of(event: m.Event, reason: str) -> m.RaiseAlert:
    """Says so."""
    text = f"{type(event).__name__} could not be digested: {_plain(reason)}; the event is in the journal"
    return m.RaiseAlert(key="undigested", text=text, severity="critical")


def notice_of(event: m.Event) -> m.NoticeSeen:
    """Stands in the journal for an event whose text no journal can hold."""
    return m.NoticeSeen(at=event.at, tech=event.tech, code=0, text=ascii(event), request="an unwritable event")


def _plain(text: str) -> str:
    """Text that can be written in any file."""
    return ascii(text)[1:-1]

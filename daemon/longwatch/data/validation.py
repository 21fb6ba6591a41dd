"""Judges bars before anything is decided on them: pure; the refresh job calls it, and a barred symbol is not traded."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import groupby, pairwise

from longwatch.domain.bars import BarSeries, session_of, stamp_of
from longwatch.domain.sessions import Session
from longwatch.errors import DataError

DAILY = "1 day"


BEYOND = 1e15
"""No price and no volume comes near it; not-a-number and the infinities don't stay below it either."""


class FlawKind(StrEnum):
    """What can be wrong with bars."""

    EMPTY = "empty"
    ORDER = "order"
    DUPLICATE = "duplicate"
    NON_FINITE = "non_finite"
    NON_POSITIVE = "non_positive"
    INCONSISTENT = "inconsistent"
    HOLE = "hole"
    OFF_SESSION = "off_session"
    UNFINISHED = "unfinished"
    STALE = "stale"
    DEAD = "dead"
    QUIET = "quiet"
    JUMP = "jump"
    MOVE = "move"
    SPLIT = "split"


BARS_TRADING: Mapping[FlawKind, bool] = {
    FlawKind.EMPTY: True,
    FlawKind.ORDER: True,
    FlawKind.DUPLICATE: True,
    FlawKind.NON_FINITE: True,
    FlawKind.NON_POSITIVE: True,
    FlawKind.INCONSISTENT: True,
    FlawKind.HOLE: True,
    FlawKind.OFF_SESSION: True,
    FlawKind.UNFINISHED: True,
    FlawKind.STALE: True,
    FlawKind.DEAD: True,  # no volume up to the newest bar: halted, delisted, or a source that stopped
    FlawKind.QUIET: False,  # no volume for a while, but there is again
    FlawKind.JUMP: True,  # nothing vouches for it: an unadjusted split looks like this
    FlawKind.MOVE: False,  # as big, but the source adjusts for splits and shows it still
    FlawKind.SPLIT: False,  # raw prices jump where adjusted ones do not
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One thing wrong with one symbol's bars, at a session's date; `text` says what, where and what to do."""

    symbol: str
    kind: FlawKind
    at: date | None
    text: str

    @property
    def bars_trading(self) -> bool:
        """Whether the symbol may be neither bought nor sold until this is mended."""
        return BARS_TRADING[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Where a judgement draws its lines.

    `stale_sessions`: sessions the newest bar may be behind. `jump_fraction`: change of the close from one bar to the
    next that is suspicious. `source_adjusts`: prices come adjusted for splits, as Interactive Brokers' trade bars do,
    and `fresh_bars`: how long the source may take to do so. `quiet_bars`: bars in a row without volume that are
    suspicious; None for what has no volume, as an index. `price_tolerance`: relative, for prices rounded on their way.
    `most_of_a_kind`: flaws reported of one kind.
    """

    stale_sessions: int = 0
    jump_fraction: float = 0.40
    fresh_bars: int = 5
    source_adjusts: bool = False
    quiet_bars: int | None = 5
    price_tolerance: float = 1e-6
    most_of_a_kind: int = 10


def judge(
    series: BarSeries, sessions: Sequence[Session], *, as_of_session: date, rules: Rules | None = None
) -> tuple[Flaw, ...]:
    """Every flaw of `series`, judged as of `as_of_session`, the newest completed session; empty when it is sound.

    `sessions`, oldest first, reach from the first bar (bars before them are not compared with the calendar) to
    `as_of_session` at least. Raises DataError when they end before it: what can't be judged is not sound.
    """
    if not sessions or sessions[-1].date < as_of_session:
        raise DataError(f"{series.symbol}: no sessions up to {as_of_session} to judge its bars by; extend the calendar")
    case = _Case(series, sessions, as_of_session, rules or Rules())
    if not len(series):
        return (case.flaw(FlawKind.EMPTY, None, "there is no bar; supply the history"),)
    return tuple(_capped((flaw for check in _CHECKS for flaw in check(case)), case.rules.most_of_a_kind))


def barring(flaws: Iterable[Flaw]) -> tuple[Flaw, ...]:
    """Those of `flaws` that keep their symbol from being traded."""
    return tuple(flaw for flaw in flaws if flaw.bars_trading)


def newest(series: BarSeries, *, until: date, count: int, source: str) -> BarSeries:
    """The newest `count` bars of `series` up to and with `until`: a running session's partial bar lies after it.

    Raises DataError naming `source` when none is left, or when they are not oldest first.
    """
    if any(after <= before for before, after in pairwise(series.stamps)):
        raise DataError(f"{series.symbol}: the bars of {source} are not one for each time, oldest first; correct them")
    stop = bisect_left(series.stamps, stamp_of(until + timedelta(days=1)))
    if stop == 0 or count < 1:
        last = series.last_session()
        had = f"its bars begin on {session_of(series.stamps[0])}" if last else "it gave none at all"
        raise DataError(f"{series.symbol}: {source} has no bar up to {until}, {had}; check symbol and history")
    return series.between(max(0, stop - count), stop)


class _Case:
    """What is judged, with what the checks share."""

    def __init__(self, series: BarSeries, sessions: Sequence[Session], as_of: date, rules: Rules) -> None:
        self.series = series
        self.rules = rules
        self.as_of = as_of
        self.due = [session.date for session in sessions if session.date <= as_of]
        placed = _daily_places(series, sessions) if series.bar_size == DAILY else _places(series, sessions)
        self.dates = [at for at, _ in placed]
        self.strays = {at for at, is_inside in placed if not is_inside and sessions[0].date <= at <= as_of}

    def flaw(self, kind: FlawKind, at: date | None, what: str) -> Flaw:
        where = f"{self.series.symbol} {at}" if at else self.series.symbol
        return Flaw(symbol=self.series.symbol, kind=kind, at=at, text=f"{where}: {what}")


def _daily_places(series: BarSeries, sessions: Sequence[Session]) -> list[tuple[date, bool]]:
    """The date of each daily bar, and whether there is such a session."""
    known = {session.date for session in sessions}
    return [(at, at in known) for at in series.sessions()]


def _places(series: BarSeries, sessions: Sequence[Session]) -> list[tuple[date, bool]]:
    """The session in which each shorter bar starts and True; outside of all of them the date in UTC and False."""
    openings = [session.open_at.timestamp() for session in sessions]
    return [_place(stamp, sessions, openings) for stamp in series.stamps]


def _place(stamp: int, sessions: Sequence[Session], openings: Sequence[float]) -> tuple[date, bool]:
    at = datetime.fromtimestamp(stamp, UTC)
    found = bisect_right(openings, stamp) - 1
    is_inside = found >= 0 and sessions[found].is_open(at)
    return (sessions[found].date, True) if is_inside else (at.date(), False)


def _capped(flaws: Iterable[Flaw], most_of_a_kind: int) -> Iterator[Flaw]:
    """The first few of each kind: a broken source breaks everywhere."""
    seen: Counter[FlawKind] = Counter()
    for flaw in flaws:
        seen[flaw.kind] += 1
        if seen[flaw.kind] <= most_of_a_kind:
            yield flaw


def _order(case: _Case) -> Iterator[Flaw]:
    for (before, after), at in zip(pairwise(case.series.stamps), case.dates[1:], strict=True):
        if after < before:
            yield case.flaw(FlawKind.ORDER, at, "a bar comes after a later one; sort the source, oldest first")


def _duplicates(case: _Case) -> Iterator[Flaw]:
    seen: set[int | date] = set()
    times: Sequence[int | date] = case.dates if case.series.bar_size == DAILY else case.series.stamps
    for time, at in zip(times, case.dates, strict=True):
        if time in seen:
            yield case.flaw(FlawKind.DUPLICATE, at, "there are two bars for one time; keep the right one")
        seen.add(time)


def _figures(case: _Case) -> Iterator[Flaw]:
    for name in ("open", "high", "low", "close", "adjusted", "volume"):
        column = getattr(case.series, name)
        yield from _column_flaws(case, name, column, floor=0.0 if name == "volume" else math.ulp(0.0))


def _column_flaws(case: _Case, name: str, column: Sequence[float], floor: float) -> Iterator[Flaw]:
    for at, value in zip(case.dates, column, strict=True):
        if not abs(value) < BEYOND:
            yield case.flaw(FlawKind.NON_FINITE, at, f"{name} is {value}; correct or remove the bar")
        elif value < floor:
            bound = "below zero" if name == "volume" else "not above zero"
            yield case.flaw(FlawKind.NON_POSITIVE, at, f"{name} {value:g} is {bound}; correct or remove the bar")


def _range(case: _Case) -> Iterator[Flaw]:
    bars, slack = case.series, case.rules.price_tolerance
    rows = zip(case.dates, bars.open, bars.high, bars.low, bars.close, strict=True)
    for at, opening, high, low, close in rows:
        if min(opening, close, high) < low * (1 - slack) or max(opening, close, low) > high * (1 + slack):
            figures = f"open {opening:g}, high {high:g}, low {low:g}, close {close:g}"
            yield case.flaw(FlawKind.INCONSISTENT, at, f"{figures} can't be one bar; correct or remove it")


def _holes(case: _Case) -> Iterator[Flaw]:
    present = set(case.dates)
    first, last = min(present), max(present)
    inside = [day for day in case.due if first <= day <= last]
    for missing, days in groupby(inside, key=lambda day: day not in present):
        if missing:
            yield _hole(case, list(days))


def _hole(case: _Case, days: Sequence[date]) -> Flaw:
    span = "this session has no bar" if len(days) == 1 else f"{len(days)} sessions up to {days[-1]} have no bar"
    return case.flaw(FlawKind.HOLE, days[0], f"{span}; fetch or supply the missing history")


def _off_session(case: _Case) -> Iterator[Flaw]:
    for at in sorted(case.strays):
        yield case.flaw(FlawKind.OFF_SESSION, at, "there is a bar, but no session; check the calendar and the source")


def _unfinished(case: _Case) -> Iterator[Flaw]:
    for at in sorted({at for at in case.dates if at > case.as_of}):
        yield case.flaw(FlawKind.UNFINISHED, at, f"the last completed session is {case.as_of}; drop the partial bar")


def _staleness(case: _Case) -> Iterator[Flaw]:
    last = max(case.dates)
    behind = len(case.due) - bisect_right(case.due, last)
    if behind > case.rules.stale_sessions:
        what = f"the newest bar is {behind} sessions behind {case.as_of}; refresh the data or check the source"
        yield case.flaw(FlawKind.STALE, last, what)


def _silence(case: _Case) -> Iterator[Flaw]:
    if case.rules.quiet_bars is None:
        return
    place = 0
    for silent, run in groupby(case.series.volume, key=lambda volume: volume == 0):
        start, place = place, place + sum(1 for _ in run)
        if silent and place - start >= case.rules.quiet_bars:
            kind = FlawKind.DEAD if place == len(case.series) else FlawKind.QUIET
            what = f"{place - start} bars in a row have no volume; check for a halt or a delisting"
            yield case.flaw(kind, case.dates[start], what)


def _jumps(case: _Case) -> Iterator[Flaw]:
    bars = case.series
    has_adjusted = bars.adjusted != bars.close
    closes = zip(pairwise(bars.close), pairwise(bars.adjusted), strict=True)
    for place, ((before, after), (adjusted_before, adjusted_after)) in enumerate(closes, start=1):
        change = _change(before, after)
        if abs(change) <= case.rules.jump_fraction:
            continue
        explained = abs(_change(adjusted_before, adjusted_after)) <= case.rules.jump_fraction
        fresh = place >= len(bars) - case.rules.fresh_bars
        vouched = has_adjusted or (case.rules.source_adjusts and not fresh)
        yield _jump(case, case.dates[place], change, FlawKind.SPLIT if explained else _unexplained(vouched))


def _unexplained(vouched: bool) -> FlawKind:
    return FlawKind.MOVE if vouched else FlawKind.JUMP


def _jump(case: _Case, at: date, change: float, kind: FlawKind) -> Flaw:
    return case.flaw(kind, at, f"the close changed by {change:+.1%} in one bar; {_JUMP_TEXTS[kind]}")


_JUMP_TEXTS: Mapping[FlawKind, str] = {
    FlawKind.JUMP: "check for an unadjusted split and correct the source",
    FlawKind.MOVE: "the source adjusts for splits and shows it, so it is taken as real",
    FlawKind.SPLIT: "the adjusted close did not, so it is taken as a split",
}


def _change(before: float, after: float) -> float:
    """The relative change; nothing to say about figures that are flawed by themselves."""
    sound = math.isfinite(before) and math.isfinite(after) and before > 0 and after > 0
    return after / before - 1 if sound else 0.0


_CHECKS: Sequence[Callable[[_Case], Iterator[Flaw]]] = (
    _order,
    _duplicates,
    _figures,
    _range,
    _holes,
    _off_session,
    _unfinished,
    _staleness,
    _silence,
    _jumps,
)

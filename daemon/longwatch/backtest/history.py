"""The bars a backtest runs on, seen from each session as a provider would show them then; used by inputs.py."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from operator import mul, truediv
from pathlib import Path

from longwatch.data import demo
from longwatch.data.csv import read_symbol
from longwatch.data.statistics import Measured, Windows
from longwatch.data.validation import Rules, barring, judge
from longwatch.domain.bars import BarSeries, session_of, stamp_of
from longwatch.domain.messages import SeriesJudged
from longwatch.domain.sessions import Session
from longwatch.engine.jobs.refresh import price_of
from longwatch.errors import DataError

_RATIOS = sorted({new / old for new in range(1, 31) for old in (1, 2, 3, 4, 5) if new / old >= 1.2})
SPLITS = (1.0, *(1 / ratio for ratio in _RATIOS), *_RATIOS)
"""Plain ratios of splits and reverse splits; a dividend moves the two closes apart by less."""

DECIMALS = 4
SPLIT_TOLERANCE = 0.01

ALL = 1_000_000_000
"""More flaws of a kind than there can be: every flawed date is wanted, not just the first few."""


class History:
    """One symbol's bars and what validation says of them on each day.

    `count` is how many bars a refresh asks for, `sessions` the exchange's, from the first bar on.
    """

    def __init__(
        self, series: BarSeries, sessions: Sequence[Session], *, count: int, rules: Rules, windows: Windows
    ) -> None:
        self.symbol = series.symbol
        self._series = series
        self._stamps = series.stamps
        self._days = series.sessions()
        self._places = {day: place for place, day in enumerate(self._days, 1)}
        first = _first(series)
        self._sessions = [session for session in sessions if session.date >= first]
        self._dates = [session.date for session in self._sessions]
        self._count = count
        self._rules = rules
        self._sound = self._sound_stretches()
        self._measured = Measured(series, windows, count)

    def judged(self, session: date) -> SeriesJudged:
        """The verdict of a refresh after `session`: the same as the daemon's, on the same bars."""
        stop = self._place(session)
        if stop == 0:
            return self._unheard(f"{self.symbol}: there is no bar up to {session}")
        start, last = max(0, stop - self._count), self._days[stop - 1]
        if last == session and any(first <= start and stop <= end for first, end in self._sound):
            return self._verdict(start, stop)
        return self._judged_anew(start, stop, session)

    def window(self, session: date, lookback: int) -> BarSeries:
        """The last `lookback` bars up to and with `session`."""
        stop = self._place(session)
        return self._series.between(max(0, stop - min(lookback, self._count)), stop)

    def price(self, session: date, column: str) -> Decimal | None:
        """`open` or `close` of one session as an exact price, or None without a bar."""
        place = self._places.get(session)
        return None if place is None else exact(getattr(self._series, column)[place - 1])

    def _place(self, session: date) -> int:
        """How many bars there are up to and with a session."""
        place = self._places.get(session)
        return bisect_right(self._stamps, stamp_of(session)) if place is None else place

    def _unheard(self, reason: str) -> SeriesJudged:
        return SeriesJudged(symbol=self.symbol, bars=0, last_session=None, close=None, flaws=(reason,))

    def _judged_anew(self, start: int, stop: int, session: date) -> SeriesJudged:
        window = self._series.between(start, stop)
        found = judge(window, self._sessions_of(window, session), as_of_session=session, rules=self._rules)
        flaws = tuple(flaw.text for flaw in barring(found))
        return self._verdict(start, stop, flaws, tuple(flaw.text for flaw in found if not flaw.bars_trading))

    def _verdict(
        self, start: int, stop: int, flaws: tuple[str, ...] = (), warnings: tuple[str, ...] = ()
    ) -> SeriesJudged:
        last = self._days[stop - 1]
        if flaws:
            return SeriesJudged(
                symbol=self.symbol, bars=stop - start, last_session=last, close=None, flaws=flaws, warnings=warnings
            )
        found = self._measured.at(stop - 1)
        return SeriesJudged(
            symbol=self.symbol,
            bars=stop - start,
            last_session=last,
            close=exact(self._series.close[stop - 1]),
            warnings=warnings,
            volatility=found.volatility,
            atr=found.atr,
            average_volume=found.average_volume,
        )

    def _sessions_of(self, window: BarSeries, session: date) -> Sequence[Session]:
        return self._sessions[bisect_left(self._dates, _first(window)) : bisect_right(self._dates, session)]

    def _sound_stretches(self) -> list[tuple[int, int]]:
        """Stretches of bars without any flaw or warning.

        Every check looks at one bar, at two neighbours, or at a run of bars in a row: so what is sound as a whole is
        sound in every part of it, seen from the day of that part's last bar, and need not be judged again every day.
        """
        if not len(self._series):
            return []
        marked = self._marked(0, len(self._stamps))
        if not marked:
            return [] if marked is None else [(0, len(self._stamps))]
        bounds = [0, *sorted({place for at in marked for place in (at, at + 1)}), len(self._stamps)]
        pairs = [(start, stop) for start, stop in pairwise(bounds) if stop > start]
        return [(start, stop) for start, stop in pairs if self._marked(start, stop) == set()]

    def _marked(self, start: int, stop: int) -> set[int] | None:
        """Places at which something is noted about the bars from `start` to `stop`; None when it has no place."""
        window = self._series.between(start, stop)
        last = session_of(self._stamps[stop - 1])
        if last not in self._dates:
            return None
        rules = replace(self._rules, most_of_a_kind=ALL)
        found = judge(window, self._sessions_of(window, last), as_of_session=last, rules=rules)
        if any(flaw.at is None for flaw in found):
            return None
        return {min(bisect_right(self._stamps, stamp_of(flaw.at)), stop) - 1 for flaw in found if flaw.at is not None}


def exact(price: float) -> Decimal:
    """The same Decimal as `price_of` gives, sooner for what has four decimals or fewer anyway."""
    text = repr(price)
    whole, point, part = text.partition(".")
    if not point or len(part) > DECIMALS or "e" in part:
        return price_of(price)
    return Decimal(whole if part == "0" else text)


def _first(series: BarSeries) -> date:
    """The first bar's session, less a week, as a refresh judges them."""
    return session_of(series.stamps[0]) - timedelta(days=7) if len(series) else date.max


def read_all(directory: Path, symbols: Sequence[str]) -> tuple[dict[str, BarSeries], dict[str, str]]:
    """The series of every symbol that has a good file, and for each of the others the reason.

    Raises DataError when there is no such directory, or not one good file in it.
    """
    if not directory.is_dir():
        files = f"{symbols[0]}.csv" + (" and so on" if len(symbols) > 1 else "")
        raise DataError(
            f"{directory}: there is no such directory; put {files} there (date,open,high,low,close,volume), "
            "or name another with --csv-dir (--csv-dir demo is the history in the package)"
        )
    series: dict[str, BarSeries] = {}
    reasons: dict[str, str] = {}
    for symbol in symbols:
        try:
            series[symbol] = read_symbol(directory, symbol)
        except DataError as error:
            reasons[symbol] = str(error)
    if not series:
        raise DataError(next(iter(reasons.values()), f"{directory}: the strategies name no symbol"))
    return series, reasons


def directory_of(name: Path) -> Path:
    """The directory meant by `name`: `demo`, where no such directory is, is the history in the package."""
    return demo.DIRECTORY if str(name) == "demo" and not name.exists() else name


def unadjusted(series: Mapping[str, BarSeries]) -> dict[str, BarSeries]:
    """The series as a source shows them that knows no adjusted close, as Interactive Brokers'."""
    return {symbol: replace(one, adjusted=array("d", one.close)) for symbol, one in series.items()}


def split_adjusted(series: BarSeries) -> BarSeries:
    """The series with prices before each split divided by its ratio and volumes multiplied, as IB shows its history.

    A split is a session whose close moves by a plain ratio more than its adjusted close does. Positions of a backtest
    are then in the shares of the last bar, and carry over every split.
    """
    factor, factors = 1.0, array("d", [1.0]) * len(series)
    for place in range(len(series) - 1, 0, -1):
        factor *= _split_ratio(series, place)
        factors[place - 1] = factor
    if factor == 1.0:
        return series
    return replace(
        series,
        open=array("d", map(mul, series.open, factors)),
        high=array("d", map(mul, series.high, factors)),
        low=array("d", map(mul, series.low, factors)),
        close=array("d", map(mul, series.close, factors)),
        volume=array("d", map(truediv, series.volume, factors)),
    )


def _split_ratio(series: BarSeries, place: int) -> float:
    """What prices before `place` are to be multiplied by: 0.5 for two new shares for one, 1.0 without a split."""
    close, adjusted = series.close, series.adjusted
    moved = (close[place] / close[place - 1]) / (adjusted[place] / adjusted[place - 1])
    nearest = min(SPLITS, key=lambda ratio: abs(moved / ratio - 1))
    return nearest if abs(moved / nearest - 1) < SPLIT_TOLERANCE else 1.0

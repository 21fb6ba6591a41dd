"""Bars of one instrument as columns; made by data providers, read by validation, strategies and the backtest."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSeries:
    """Bars of one symbol, oldest first, all columns of equal length.

    `stamps` are epoch seconds (array 'q'): a daily bar carries midnight UTC of its session's date, a shorter bar its
    start. Prices (array 'd') are in the instrument's currency, `volume` in shares. `adjusted` is the close adjusted for
    splits and dividends; a provider that has none repeats `close`.
    """

    symbol: str
    bar_size: str
    stamps: array[int]
    open: array[float]
    high: array[float]
    low: array[float]
    close: array[float]
    volume: array[float]
    adjusted: array[float]

    def __len__(self) -> int:
        return len(self.stamps)

    def sessions(self) -> list[date]:
        """The session date of each daily bar."""
        return [session_of(stamp) for stamp in self.stamps]

    def last_session(self) -> date | None:
        """The date of the newest bar, or None when there is no bar."""
        return session_of(self.stamps[-1]) if self.stamps else None

    def until(self, session: date) -> BarSeries:
        """The bars up to and with `session`."""
        return self.between(0, sum(1 for stamp in self.stamps if stamp <= stamp_of(session)))

    def between(self, start: int, stop: int) -> BarSeries:
        """The bars at positions `start` up to `stop`, as a slice counts them."""
        return BarSeries(
            symbol=self.symbol,
            bar_size=self.bar_size,
            stamps=self.stamps[start:stop],
            open=self.open[start:stop],
            high=self.high[start:stop],
            low=self.low[start:stop],
            close=self.close[start:stop],
            volume=self.volume[start:stop],
            adjusted=self.adjusted[start:stop],
        )


def stamp_of(session: date) -> int:
    """Epoch seconds of midnight UTC of a session's date: the stamp of its daily bar."""
    return int(datetime(session.year, session.month, session.day, tzinfo=UTC).timestamp())


def session_of(stamp: int) -> date:
    """The session date of a daily bar's stamp."""
    return datetime.fromtimestamp(stamp, UTC).date()

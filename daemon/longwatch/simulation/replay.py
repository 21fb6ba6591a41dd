"""Makes the simulated gateway's market from the history in the package; used by demo, gateway, simulate."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from longwatch.data import demo
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain.bars import BarSeries
from longwatch.domain.sessions import Session
from longwatch.errors import UsageError
from longwatch.gateway.market.hours import ListedHours
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.gateway.market.path import DayBar

FIRST_DAY = demo.FIRST_SESSION
LAST_DAY = demo.LAST_SESSION
BEFORE_THE_OPEN = timedelta(minutes=60)

# Contract numbers and names as Interactive Brokers lists these contracts.
_LISTED = {
    "AAPL": (265598, "APPLE INC", "NASDAQ"),
    "MSFT": (272093, "MICROSOFT CORP", "NASDAQ"),
    "IBM": (8314, "INTL BUSINESS MACHINES CORP", "NYSE"),
    "GOOG": (208813720, "ALPHABET INC-CL C", "NASDAQ"),
    demo.BENCHMARK: (416904, "S&P 500 STOCK INDEX", "CBOE"),
}
_ISINS = {"AAPL": "US0378331005", "MSFT": "US5949181045", "IBM": "US4592001014", "GOOG": "US02079K1079"}


def replayed_market(*, seed: int, path_points: int = 26, symbols: Sequence[str] = ()) -> Market:
    """The demo's four shares and the index, with quotes along a seeded path inside each recorded bar.

    Raises UsageError for a symbol that the package has no history of.
    """
    wanted = tuple(symbols) or (*demo.symbols(), demo.BENCHMARK)
    unknown = [symbol for symbol in wanted if symbol not in _LISTED]
    if unknown:
        raise UsageError(f"there is no history of {', '.join(unknown)}; there is of {', '.join(sorted(_LISTED))}")
    sessions = {session.date: session for session in _calendar().sessions(date(2000, 1, 1), LAST_DAY)}
    sources = [Replay(_instrument(symbol), _days(demo.load(symbol), sessions)) for symbol in wanted]
    return Market(sources, ListedHours(sessions.values()), seed=seed, path_points=path_points)


def opening(start: date | None) -> datetime:
    """The market time a run begins at: an hour before the first open on or after `start`. Raises UsageError outside."""
    first = start or FIRST_DAY
    if not date(2001, 1, 2) <= first < LAST_DAY:
        raise UsageError(f"the recorded market runs from 2001-01-02 to {LAST_DAY}; {first} is outside")
    sessions = _calendar().sessions(first, first + timedelta(days=14))
    return sessions[0].open_at - BEFORE_THE_OPEN


def closing(opened: datetime, days: int) -> datetime:
    """The close of the `days`th session from the market time `opened` on; the last recorded one when they run out."""
    sessions = [session for session in _calendar().sessions(opened.date(), LAST_DAY) if session.open_at > opened]
    return sessions[min(days, len(sessions)) - 1].close_at


def _calendar() -> ExchangeCalendar:
    return ExchangeCalendar("XNYS")


def _instrument(symbol: str) -> Instrument:
    con_id, name, listing = _LISTED[symbol]
    if symbol == demo.BENCHMARK:
        return Instrument(
            con_id=con_id,
            symbol=symbol,
            long_name=name,
            sec_type="IND",
            exchange=listing,
            primary_exchange=listing,
            is_tradable=False,
        )
    return Instrument(con_id=con_id, symbol=symbol, long_name=name, primary_exchange=listing, isin=_ISINS[symbol])


def _days(series: BarSeries, sessions: dict[date, Session]) -> list[DayBar]:
    """The recorded bars of sessions the calendar knows, unadjusted, as prices stood then."""
    days = []
    for place, day in enumerate(series.sessions()):
        session = sessions.get(day)
        if session is None:
            continue
        days.append(
            DayBar(
                date=day,
                open_at=session.open_at.astimezone(UTC),
                close_at=session.close_at.astimezone(UTC),
                open=series.open[place],
                high=series.high[place],
                low=series.low[place],
                close=series.close[place],
                volume=series.volume[place],
            )
        )
    return days

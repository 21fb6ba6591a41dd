"""What a made-up market lists beside shares: a fund, currencies and a chain of futures, with prices and no trading.

Their sessions begin on the evening before. Holidays are not kept: they trade on every weekday.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from longwatch.gateway.market.generator import STILL, Climate, Generated, Weather, third_friday
from longwatch.gateway.market.hours import Hours, TradingDay
from longwatch.gateway.market.instruments import BANDED, HALF_PIPS, HALF_SENS, QUARTERS, Instrument
from longwatch.gateway.market.sources import Source

FIRST_CON_ID = 800_000_001
MONTHS = {3: "H", 6: "M", 9: "U", 12: "Z"}
LISTED_BEFORE = timedelta(days=460)
"""How long before its expiry a future is listed."""

YEARS = 9
"""For so many years from the first session there are futures; after ten their names would come back."""

SATURDAY = 5
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Nightly:
    """Sessions of weekdays that open on the evening before, by a zone's clock; `liquid` is their part by day."""

    zone: str
    opens: time
    closes: time
    liquid: Hours | None = None

    def at(self, instant: datetime) -> TradingDay | None:
        today = instant.astimezone(ZoneInfo(self.zone)).date()
        found = (self.on(today + ONE_DAY * ahead) for ahead in (0, 1))
        return next((one for one in found if one is not None and one.open_at <= instant < one.close_at), None)

    def following(self, instant: datetime) -> TradingDay | None:
        today = instant.astimezone(ZoneInfo(self.zone)).date()
        found = (self.on(today + ONE_DAY * ahead) for ahead in range(6))
        return next((one for one in found if one is not None and one.open_at > instant), None)

    def on(self, day: date) -> TradingDay | None:
        if day.weekday() >= SATURDAY:
            return None
        local = ZoneInfo(self.zone)
        opened = datetime.combine(day - ONE_DAY if self.opens > self.closes else day, self.opens, local)
        closed = datetime.combine(day, self.closes, local)
        return TradingDay(date=day, open_at=opened.astimezone(UTC), close_at=closed.astimezone(UTC))


CURRENCY_HOURS = Nightly("US/Eastern", time(17, 15), time(17, 0))
FUTURES_HOURS = Nightly("US/Central", time(17, 0), time(16, 0), Nightly("US/Central", time(8, 30), time(16, 0)))
CURRENCIES = (("EUR", "USD", 1.10, HALF_PIPS, "0.00005"), ("GBP", "USD", 1.27, HALF_PIPS, "0.00005"))
YEN = ("USD", "JPY", 145.0, HALF_SENS, "0.005")


def extras(hours: Hours, *, seed: int, first: date, climate: Climate = STILL) -> list[Source]:
    """A fund and a low-priced share by the market's hours, three currencies and a chain of futures by their own."""
    weather = Weather(seed, climate.regimes)
    fund = Instrument(
        con_id=FIRST_CON_ID,
        symbol="FUND",
        long_name="INDEX FUND TRUST",
        primary_exchange="ARCA",
        trading_class="FUND",
        stock_type="ETF",
    )
    penny = Instrument(
        con_id=FIRST_CON_ID + 1, symbol="PENNY", long_name="PENNY INC", min_tick=Decimal("0.0001"), rule=BANDED
    )
    shared = {"seed": seed, "first": first, "climate": climate}
    listed: list[Source] = [
        Generated(fund, hours, weather, base=100.0, **shared),  # type: ignore[arg-type]
        Generated(penny, hours, weather, base=0.9, seed=seed, first=first),
    ]
    numbers = iter(range(FIRST_CON_ID + 2, FIRST_CON_ID + 1000))
    listed.extend(_currencies(numbers, weather, seed, first))
    listed.extend(_futures(numbers, weather, seed, first))
    return listed


def _currencies(numbers: Iterator[int], weather: Weather, seed: int, first: date) -> Iterator[Source]:
    for symbol, currency, base, rule, tick in (*CURRENCIES, YEN):
        instrument = Instrument(
            con_id=next(numbers),
            symbol=symbol,
            long_name=f"{symbol} in {currency}",
            sec_type="CASH",
            currency=currency,
            exchange="IDEALPRO",
            primary_exchange="IDEALPRO",
            trading_class=f"{symbol}.{currency}",
            local_symbol=f"{symbol}.{currency}",
            min_tick=Decimal(tick),
            rule=rule,
            is_tradable=False,
        )
        yield Generated(instrument, CURRENCY_HOURS, weather, seed=seed, first=first, base=base, own_hours=True)


def _futures(numbers: Iterator[int], weather: Weather, seed: int, first: date) -> Iterator[Source]:
    """Quarterly futures on one index, dearer the later they expire."""
    expiries = [third_friday(first.year + year, month) for year in range(YEARS) for month in MONTHS]
    for place, expiry in enumerate(expiry for expiry in expiries if expiry >= first):
        instrument = Instrument(
            con_id=next(numbers),
            symbol="IDX",
            long_name="MADE-UP INDEX FUTURE",
            sec_type="FUT",
            exchange="CME",
            primary_exchange="CME",
            trading_class="IDX",
            local_symbol=f"IDX{MONTHS[expiry.month]}{expiry.year % 10}",
            multiplier="50",
            expiry=expiry,
            listed=max(first, expiry - LISTED_BEFORE),
            min_tick=Decimal("0.25"),
            rule=QUARTERS,
            zone="US/Central",
            is_tradable=False,
        )
        scale = 1.0 + 0.01 * place
        yield Generated(
            instrument,
            FUTURES_HOURS,
            weather,
            seed=seed,
            first=first,
            like="IDX",
            base=4000.0,
            scale=scale,
            own_hours=True,
        )

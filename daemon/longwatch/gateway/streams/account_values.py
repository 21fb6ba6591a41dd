"""An account's values under the keys Interactive Brokers uses; sent by account updates, multi updates and summaries.

Keys and their order are those of recorded account downloads; those a stock account leaves at zero are left out. A key
ending in -S is the securities' share, in -C the commodities', of which there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from longwatch.gateway.day_trades import LEAST_EQUITY
from longwatch.gateway.exchange.books import CENT, ZERO, Account
from longwatch.gateway.exchange.margin import Standing

INTRADAY_LEVERAGE = 4
UNLIMITED = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValue:
    """One row: key, value as text, currency (empty where it has none)."""

    key: str
    value: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything the rows are made from.

    `day` is today at the broker; `previous` finds the equity at the last close before it. Not `is_ready` while the
    figures may not be relied on. `currency` is that of the books, one of which is worth `rate` of the account's own,
    `base`. `day_trades` may still be made so many business days from now; `ordered` finds the cost of live purchases.
    """

    name: str
    currency: str
    base: str
    rate: Decimal = Decimal(1)
    books: Account
    standing: Standing
    day: date
    previous: Callable[[], Decimal]
    day_trades: Callable[[int], int]
    ordered: Callable[[], Decimal]
    is_ready: bool = True

    @property
    def equity(self) -> Decimal:
        """Equity with loan value: cash and positions."""
        return self.standing.equity

    @property
    def net_liquidation(self) -> Decimal:
        """Equity and what dividends have still to bring."""
        return self.standing.equity + self.books.accrued

    @property
    def available(self) -> Decimal:
        if self.books.is_cash:
            return self.settled - self.ordered()
        return self.standing.equity - self.standing.initial

    @property
    def settled(self) -> Decimal:
        """Cash that may be spent in a cash account."""
        return self.books.settled(self.day)

    @property
    def power(self) -> Decimal:
        """What may be bought with it: in a cash account no more than is there."""
        return max(self.available, ZERO) * (1 if self.books.is_cash else INTRADAY_LEVERAGE)

    def day_trades_left(self, ahead: int) -> str:
        """As the account shows it: without a limit for cash accounts, and for margin accounts worth enough."""
        is_free = self.books.is_cash or self.previous() >= LEAST_EQUITY
        return UNLIMITED if is_free else str(self.day_trades(ahead))

    @property
    def excess(self) -> Decimal:
        return self.standing.equity - self.standing.maintenance

    @property
    def unrealised(self) -> Decimal:
        return self.standing.value - sum((holding.cost for holding in self.books.holdings.values()), ZERO)

    @property
    def realised(self) -> Decimal:
        """Today's gains."""
        day = self.books.since(self.day)
        return sum((day.realised_since(holding) for holding in self.books.holdings.values()), ZERO)

    @property
    def cushion(self) -> Decimal:
        return self.excess / self.net_liquidation if self.net_liquidation > 0 else ZERO

    @property
    def leverage(self) -> Decimal:
        return self.standing.gross / self.net_liquidation if self.net_liquidation > 0 else ZERO


TEXTS: dict[str, Callable[[Statement], str]] = {
    "AccountCode": lambda s: s.name,
    "AccountOrGroup": lambda s: s.name,
    "AccountReady": lambda s: "true" if s.is_ready else "false",
    "AccountType": lambda s: "INDIVIDUAL",
    "Currency": lambda s: s.currency,
    "Cushion": lambda s: f"{s.cushion:.6f}",
    "DayTradesRemaining": lambda s: s.day_trades_left(0),
    "DayTradesRemainingT+1": lambda s: s.day_trades_left(1),
    "DayTradesRemainingT+2": lambda s: s.day_trades_left(2),
    "DayTradesRemainingT+3": lambda s: s.day_trades_left(3),
    "DayTradesRemainingT+4": lambda s: s.day_trades_left(4),
    "ExchangeRate": lambda s: f"{s.rate:f}" if s.currency != s.base else "1.00",
    "Leverage-S": lambda s: f"{s.leverage:.2f}",
    "LookAheadNextChange": lambda s: "0",
    "RealCurrency": lambda s: s.currency,
    "TradingType-S": lambda s: "STKCASH" if s.books.is_cash else "STKMRGN",
}
"""Values that are not money."""

AMOUNTS: dict[str, Callable[[Statement], Decimal]] = {
    "AccruedCash": lambda s: ZERO,
    "AccruedDividend": lambda s: s.books.accrued,
    "AvailableFunds": lambda s: s.available,
    "BuyingPower": lambda s: s.power,
    "CashBalance": lambda s: s.books.cash,
    "EquityWithLoanValue": lambda s: s.equity,
    "ExcessLiquidity": lambda s: s.excess,
    "FullAvailableFunds": lambda s: s.available,
    "FullExcessLiquidity": lambda s: s.excess,
    "FullInitMarginReq": lambda s: s.standing.initial,
    "FullMaintMarginReq": lambda s: s.standing.maintenance,
    "GrossPositionValue": lambda s: s.standing.gross,
    "InitMarginReq": lambda s: s.standing.initial,
    "LookAheadAvailableFunds": lambda s: s.available,
    "LookAheadExcessLiquidity": lambda s: s.excess,
    "LookAheadInitMarginReq": lambda s: s.standing.initial,
    "LookAheadMaintMarginReq": lambda s: s.standing.maintenance,
    "MaintMarginReq": lambda s: s.standing.maintenance,
    "NetDividend": lambda s: s.books.accrued,
    "NetLiquidation": lambda s: s.net_liquidation,
    "NetLiquidationByCurrency": lambda s: s.net_liquidation,
    "PreviousDayEquityWithLoanValue": lambda s: s.previous(),
    "RealizedPnL": lambda s: s.realised,
    "RegTEquity": lambda s: s.equity,
    "RegTMargin": lambda s: s.standing.gross / 2,
    "SMA": lambda s: s.available,
    "StockMarketValue": lambda s: s.standing.value,
    "TotalCashBalance": lambda s: s.books.cash,
    "TotalCashValue": lambda s: s.books.cash,
    "UnrealizedPnL": lambda s: s.unrealised,
}
"""Values in money."""

IN_SEGMENTS = (
    *("AccruedCash", "AccruedDividend", "AvailableFunds", "EquityWithLoanValue", "ExcessLiquidity"),
    *("FullAvailableFunds", "FullExcessLiquidity", "FullInitMarginReq", "FullMaintMarginReq", "InitMarginReq"),
    *("LookAheadAvailableFunds", "LookAheadExcessLiquidity", "LookAheadInitMarginReq", "LookAheadMaintMarginReq"),
    *("MaintMarginReq", "NetLiquidation", "TotalCashValue"),
)
"""Money that comes a second and a third time, for commodities and for securities."""
IN_SECURITIES = ("GrossPositionValue", "PreviousDayEquityWithLoanValue", "RegTEquity", "RegTMargin", "SMA")
AMOUNTS |= {f"{key}-C": lambda s: ZERO for key in IN_SEGMENTS}
AMOUNTS |= {f"{key}-S": AMOUNTS[key] for key in (*IN_SEGMENTS, *IN_SECURITIES)}

SUMMARY_ONLY: dict[str, Callable[[Statement], Decimal]] = {"SettledCash": lambda s: s.settled}
"""Money that only a summary can be asked for."""

PER_CURRENCY = frozenset(
    {
        "CashBalance",
        "ExchangeRate",
        "NetDividend",
        "NetLiquidationByCurrency",
        "RealCurrency",
        "RealizedPnL",
        "StockMarketValue",
        "TotalCashBalance",
        "UnrealizedPnL",
        "AccountOrGroup",
        "Currency",
    }
)
"""Keys that come once as BASE and once per currency."""

SUMMARY_FIRST = ("AccountType", "Cushion", "DayTradesRemaining", "LookAheadNextChange")
NO_CURRENCY = frozenset(TEXTS) - PER_CURRENCY
NOT_IN_SUMMARY = PER_CURRENCY | {"AccountCode", "AccountReady"}
LEDGER = "$LEDGER"
EVERY_KEY = sorted(TEXTS.keys() | AMOUNTS.keys())


def account_values(statement: Statement) -> list[AccountValue]:
    """All values in the order of an account download: by key, BASE before the currency."""
    return _values(statement, EVERY_KEY)


def ledger_values(statement: Statement) -> list[AccountValue]:
    """The values kept per currency, and the net liquidation value: what a light multi update holds."""
    return _values(statement, sorted({*PER_CURRENCY, "NetLiquidation"}))


def summary_values(statement: Statement, tags: str) -> list[AccountValue]:
    """The values of a comma list of tags, those without currency first; `$LEDGER` adds those kept per currency."""
    wanted = {tag.strip() for tag in tags.split(",") if tag.strip()}
    known = wanted & (TEXTS.keys() | AMOUNTS.keys() | SUMMARY_ONLY.keys()) - NOT_IN_SUMMARY
    rows = _values(statement, sorted(known, key=lambda key: (key not in SUMMARY_FIRST, key)))
    if any(tag.startswith(LEDGER) for tag in wanted):
        rows.extend(_values(statement, sorted(PER_CURRENCY)))
    return rows


def _values(statement: Statement, keys: Iterable[str]) -> list[AccountValue]:
    return [row for key in keys for row in _rows(key, statement)]


def _rows(key: str, statement: Statement) -> list[AccountValue]:
    """Money of the account in its own currency; what is kept by currency in that, in the books', and nothing else."""
    amount = AMOUNTS.get(key) or SUMMARY_ONLY.get(key)
    if key in NO_CURRENCY:
        return [AccountValue(key=key, value=TEXTS[key](statement), currency="")]
    if key not in PER_CURRENCY:
        return [AccountValue(key=key, value=_money(amount, statement, statement.rate), currency=statement.base)]
    rows = [AccountValue(key=key, value=_in_base(key, amount, statement), currency="BASE")]
    if statement.currency != statement.base:
        own = "1.00" if key == "ExchangeRate" else "0.00" if amount else _named(key, statement, statement.base)
        rows.append(AccountValue(key=key, value=own, currency=statement.base))
    value = TEXTS[key](statement) if amount is None else _money(amount, statement, Decimal(1))
    return [*rows, AccountValue(key=key, value=value, currency=statement.currency)]


def _money(amount: Callable[[Statement], Decimal] | None, statement: Statement, rate: Decimal) -> str:
    return f"{((amount(statement) if amount else ZERO) * rate).quantize(CENT)}"


def _in_base(key: str, amount: Callable[[Statement], Decimal] | None, statement: Statement) -> str:
    if key == "ExchangeRate":
        return "1.00"
    return _named(key, statement, "BASE") if amount is None else _money(amount, statement, statement.rate)


def _named(key: str, statement: Statement, currency: str) -> str:
    return currency if key in {"Currency", "RealCurrency"} else TEXTS[key](statement)

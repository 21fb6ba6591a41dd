"""An account's values under the keys Interactive Brokers uses; sent by account updates, multi updates and summaries.

Keys and their order are those of recorded account downloads; those a plain stock account leaves at zero are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from longwatch.gateway.ledger import ZERO, Account
from longwatch.gateway.margin import Standing

CENT = Decimal("0.01")
INTRADAY_LEVERAGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValue:
    """One row: key, value as text, currency (empty where it has none)."""

    key: str
    value: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything the rows are made from."""

    name: str
    currency: str
    books: Account
    standing: Standing

    @property
    def available(self) -> Decimal:
        return self.standing.equity - self.standing.initial

    @property
    def excess(self) -> Decimal:
        return self.standing.equity - self.standing.maintenance

    @property
    def unrealised(self) -> Decimal:
        return self.standing.value - sum((holding.cost for holding in self.books.holdings.values()), ZERO)

    @property
    def cushion(self) -> Decimal:
        return self.excess / self.standing.equity if self.standing.equity > 0 else ZERO


TEXTS: dict[str, Callable[[Statement], str]] = {
    "AccountCode": lambda s: s.name,
    "AccountOrGroup": lambda s: s.name,
    "AccountReady": lambda s: "true",
    "AccountType": lambda s: "INDIVIDUAL",
    "Currency": lambda s: s.currency,
    "Cushion": lambda s: f"{s.cushion:.6f}",
    "DayTradesRemaining": lambda s: "-1",
    "ExchangeRate": lambda s: "1.00",
    "LookAheadNextChange": lambda s: "0",
    "RealCurrency": lambda s: s.currency,
}
"""Values that are not money."""

AMOUNTS: dict[str, Callable[[Statement], Decimal]] = {
    "AccruedCash": lambda s: ZERO,
    "AvailableFunds": lambda s: s.available,
    "BuyingPower": lambda s: max(s.available, ZERO) * INTRADAY_LEVERAGE,
    "CashBalance": lambda s: s.books.cash,
    "EquityWithLoanValue": lambda s: s.standing.equity,
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
    "NetLiquidation": lambda s: s.standing.equity,
    "NetLiquidationByCurrency": lambda s: s.standing.equity,
    "PreviousDayEquityWithLoanValue": lambda s: s.books.opening,
    "RealizedPnL": lambda s: s.books.realised,
    "SMA": lambda s: s.available,
    "StockMarketValue": lambda s: s.standing.value,
    "TotalCashBalance": lambda s: s.books.cash,
    "TotalCashValue": lambda s: s.books.cash,
    "UnrealizedPnL": lambda s: s.unrealised,
}
"""Values in money."""

PER_CURRENCY = frozenset(
    {
        "CashBalance",
        "ExchangeRate",
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
NO_CURRENCY = frozenset({"AccountCode", "AccountReady", *SUMMARY_FIRST})
NOT_IN_SUMMARY = PER_CURRENCY | {"AccountCode", "AccountReady"}


def account_values(statement: Statement) -> list[AccountValue]:
    """All values in the order of an account download: by key, BASE before the currency."""
    rows = []
    for key in sorted(TEXTS.keys() | AMOUNTS.keys()):
        rows.extend(_rows(key, statement))
    return rows


def summary_values(statement: Statement, tags: str) -> list[AccountValue]:
    """The values of a comma list of tags, those without currency first; `$LEDGER` adds those kept per currency."""
    wanted = {tag.strip() for tag in tags.split(",") if tag.strip()}
    rows = [row for row in account_values(statement) if row.key in wanted - NOT_IN_SUMMARY]
    rows.sort(key=lambda row: (row.key not in SUMMARY_FIRST, row.key))
    if any(tag.startswith("$LEDGER") for tag in wanted):
        rows.extend(row for row in account_values(statement) if row.key in PER_CURRENCY)
    return rows


def _rows(key: str, statement: Statement) -> list[AccountValue]:
    value = TEXTS[key](statement) if key in TEXTS else f"{AMOUNTS[key](statement).quantize(CENT)}"
    if key in NO_CURRENCY:
        return [AccountValue(key=key, value=value, currency="")]
    if key not in PER_CURRENCY:
        return [AccountValue(key=key, value=value, currency=statement.currency)]
    base = "BASE" if key in {"Currency", "RealCurrency"} else value
    return [
        AccountValue(key=key, value=base, currency="BASE"),
        AccountValue(key=key, value=value, currency=statement.currency),
    ]

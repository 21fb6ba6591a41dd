"""What the broker says of the account beyond its worth: kept with each reading of it, judged by means.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

ONE = Decimal(1)


class AccountKind(StrEnum):
    """Whether the broker lends."""

    CASH = "cash"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Cash in one currency, and what one unit of it is worth in the account's base currency."""

    currency: str
    cash: Decimal | None = None
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFigures:
    """Figures of an account summary in the currency traded in; None is "the broker gave none".

    `account_type` and `trading_type` are IB's words (AccountType, TradingType-S). `rate` is what one unit of the
    currency traded in is worth in `base_currency`. `day_trades_remaining` is None without a limit; `day_trades_told`
    says that there was a word about it. `asked_at` is the technical time at which the figures were asked for.
    """

    account_type: str = ""
    trading_type: str = ""
    base_currency: str = ""
    rate: Decimal = ONE
    settled_cash: Decimal | None = None
    available_funds: Decimal | None = None
    buying_power: Decimal | None = None
    excess_liquidity: Decimal | None = None
    initial_margin: Decimal | None = None
    maintenance_margin: Decimal | None = None
    day_trades_remaining: int | None = None
    day_trades_told: bool = False
    balances: tuple[Balance, ...] = ()
    asked_at: datetime | None = None


def kind_of(wanted: str, figures: AccountFigures | None) -> AccountKind:
    """As the setting says; with `auto` as the account does, a margin account where it says nothing."""
    if wanted != "auto":
        return AccountKind(wanted)
    told = f"{figures.account_type} {figures.trading_type}".upper() if figures else ""
    return AccountKind.CASH if "CASH" in told else AccountKind.MARGIN

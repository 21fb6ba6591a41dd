"""The rows of one account summary, and the figures they come to in the currency traded in; kept by sync.Round."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from longwatch.domain.account import ONE, AccountFigures, Balance

NEEDED = ("NetLiquidation", "TotalCashValue")
NOT_MONEY = frozenset({"DayTradesRemaining"})
BY_CURRENCY = frozenset({"CashBalance", "ExchangeRate"})
BASE = "BASE"
CENT = Decimal("0.01")


class Summary:
    """Money comes in the account's base currency; where that is not `currency`, the exchange rate must come too."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._words: dict[str, str] = {}
        # tag -> amount; (currency, tag) -> cash or rate
        self._amounts: dict[str, Decimal | None] = {}
        self._by_currency: dict[tuple[str, str], Decimal | None] = {}
        self._base: dict[str, str] = {}

    def row(self, tag: str, value: Decimal | str | None, currency: str) -> None:
        """One row; what a text tag says is kept as it is."""
        if isinstance(value, str):
            self._words[tag] = value
        elif tag in BY_CURRENCY:
            self._by_currency[currency, tag] = value
        else:
            self._amounts[tag] = value
            if tag not in NOT_MONEY:
                self._base[tag] = currency

    def lacks(self) -> str:
        """Why no figures can be made of it, or nothing."""
        absent = [tag for tag in NEEDED if self._amounts.get(tag) is None]
        if absent:
            return f"the broker gave no {' and no '.join(absent)}"
        for tag, currency in self._base.items():
            if self._amounts[tag] is not None and currency != self._base[NEEDED[0]]:
                return f"the broker gave {tag} in {currency or 'no currency'}, {NEEDED[0]} in another"
        base = self._base[NEEDED[0]]
        if not base or (base != self._currency and not self._rate()):
            return (
                f"its {NEEDED[0]} is in {base or 'no currency'}; trading.currency says {self._currency}, "
                f"and the broker gave no exchange rate of {self._currency}"
            )
        return ""

    def figure(self, tag: str) -> Decimal | None:
        """An amount in the currency traded in, to the cent where it had to be changed into it."""
        amount, rate = self._amounts.get(tag), self._rate()
        if amount is None or self._base.get(tag) == self._currency or not rate:
            return amount
        return (amount / rate).quantize(CENT)

    def figures(self, trading_type: str, asked_at: datetime) -> AccountFigures:
        """All that the rows say."""
        day_trades = self._amounts.get("DayTradesRemaining")
        currencies = dict.fromkeys(currency for currency, _ in self._by_currency if currency != BASE)
        base = self._base.get(NEEDED[0], "")
        return AccountFigures(
            account_type=self._words.get("AccountType", ""),
            trading_type=trading_type,
            base_currency=base,
            rate=ONE if base == self._currency else self._rate() or ONE,
            settled_cash=self.figure("SettledCash"),
            available_funds=self.figure("AvailableFunds"),
            buying_power=self.figure("BuyingPower"),
            excess_liquidity=self.figure("ExcessLiquidity"),
            initial_margin=self.figure("InitMarginReq"),
            maintenance_margin=self.figure("MaintMarginReq"),
            # The broker says -1 where there is no limit.
            day_trades_remaining=None if day_trades is None or day_trades < 0 else int(day_trades),
            day_trades_told=day_trades is not None,
            balances=tuple(self._balance(currency) for currency in currencies),
            asked_at=asked_at,
        )

    def _balance(self, currency: str) -> Balance:
        return Balance(
            currency=currency,
            cash=self._by_currency.get((currency, "CashBalance")),
            rate=self._by_currency.get((currency, "ExchangeRate")),
        )

    def _rate(self) -> Decimal | None:
        """What one unit of the currency traded in is worth in the account's own."""
        return self._by_currency.get((self._currency, "ExchangeRate"))

"""Splits and dividends as the market lists them: prices follow them here, accounts do in the books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

ONE, NOTHING = Decimal(1), Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What happens to a share before the open of `date`.

    A split makes `ratio` shares of one (below 1 it is a reverse split). A `dividend` is money a share, in the
    instrument's currency, for whoever held it at the close before.
    """

    date: date
    con_id: int
    ratio: Decimal = ONE
    dividend: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What an old price, and an old number of shares, are multiplied by to be like today's."""

    price: float = 1.0
    shares: float = 1.0


UNCHANGED = Adjustment()


def adjustment(actions: Sequence[tuple[Action, float]], day: date, *, dividends: bool) -> Adjustment:
    """For a bar of `day`: actions known today, each with the close before it, oldest first; splits always count."""
    price = shares = 1.0
    for action, close in reversed(actions):
        if action.date <= day:
            break
        price /= float(action.ratio)
        shares *= float(action.ratio)
        if dividends and action.dividend:
            price *= 1.0 - float(action.dividend) / close
    return Adjustment(price, shares) if (price, shares) != (1.0, 1.0) else UNCHANGED

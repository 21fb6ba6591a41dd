"""Where a limit holds, how much it then holds back, and the settings of the limits on what has already happened."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Level(StrEnum):
    """What a hold is about."""

    INSTRUMENT = "instrument"
    STRATEGY = "strategy"
    ACCOUNT = "account"


def meant(name: str) -> tuple[Level | None, str]:
    """A name of a person's, `symbol:IBM` or `strategy:trend` where a bare one would mean both: the level, the name."""
    kind, colon, rest = name.partition(":")
    return (KINDS[kind], rest) if colon and kind in KINDS else (None, name)


KINDS = {"symbol": Level.INSTRUMENT, "strategy": Level.STRATEGY}


class Grade(StrEnum):
    """How much a hold holds back: all that adds to a position, or every order."""

    REDUCING = "reducing"
    HALTED = "halted"


NEXT_SESSION = "next session"
"""A hold about one session ends by itself when the next one begins; otherwise only a person ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLimits:
    """The limits of holds.py, None where one is off, and the grade of hold that each sets.

    Losses are fractions: of the account's equity, or of a strategy's share of it. Slippage is in basis points of the
    price that was decided at. `until` is about losses and slippage of a session.
    """

    daily_loss: Decimal | None = Decimal("0.05")
    daily_loss_sets: Grade = Grade.REDUCING
    drawdown: Decimal | None = None
    drawdown_sets: Grade = Grade.HALTED
    strategy_daily_loss: Decimal | None = None
    strategy_daily_loss_sets: Grade = Grade.REDUCING
    strategy_drawdown: Decimal | None = None
    strategy_drawdown_sets: Grade = Grade.HALTED
    instrument_daily_loss: Decimal | None = None
    instrument_daily_loss_sets: Grade = Grade.REDUCING
    rejections: int | None = 10
    rejections_sets: Grade = Grade.HALTED
    order_slippage_bps: Decimal | None = None
    order_slippage_sets: Grade = Grade.REDUCING
    session_slippage_bps: Decimal | None = None
    session_slippage_sets: Grade = Grade.REDUCING
    strategy_slippage_bps: Decimal | None = None
    strategy_slippage_sets: Grade = Grade.REDUCING
    until: str = NEXT_SESSION

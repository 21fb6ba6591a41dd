"""The limits of holds.py as a table, each with its level, its unit and its words; joined to all limits by table.py."""

from __future__ import annotations

from dataclasses import dataclass

from longwatch.domain.levels import NEXT_SESSION, Grade, Level
from longwatch.domain.messages import HoldSet
from longwatch.domain.risk.limits import Does, Limit, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One limit, at one level; `limit` and `sets` are what it is called in HoldLimits, and what sets its grade.

    `of_a_session`: it may end with the next one. `figure` formats measure and limit, which are in `unit`.
    """

    name: str
    level: Level
    limit: str
    default: str
    sets: Grade
    of_a_session: bool
    unit: str
    figure: str
    text: str
    test: str


_BP = "bp of the decision price"
_LOOKED_AT = (
    "Looked at at the closes, at each rebalance and, while a session is open, at each reconciliation: there two looks "
    "in a row count, by quotes fresh enough to trade on"
)
RULES: tuple[Rule, ...] = (
    Rule(
        name="daily_loss",
        level=Level.ACCOUNT,
        limit="daily_loss",
        default="0.05",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit="of the equity at the session's start",
        figure="{:.2%}",
        text="Equity lost since the session's start, its opening gap included.",
        test="test_a_loss_of_the_day_holds_the_account_until_the_next_session",
    ),
    Rule(
        name="drawdown",
        level=Level.ACCOUNT,
        limit="drawdown",
        default="null",
        sets=Grade.HALTED,
        of_a_session=False,
        unit="of the highest equity",
        figure="{:.2%}",
        text="Equity lost since its highest, money that came or went left aside.",
        test="test_a_drawdown_halts_until_a_person_resumes_and_outlives_a_restart",
    ),
    Rule(
        name="strategy_daily_loss",
        level=Level.STRATEGY,
        limit="strategy_daily_loss",
        default="null",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit="of the strategy's capital",
        figure="{:.2%}",
        text=f"What the strategy's own fills and positions have lost since the session's start. {_LOOKED_AT}.",
        test="test_a_strategy_that_loses_is_held_and_the_other_trades_on[strategy_daily_loss]",
    ),
    Rule(
        name="strategy_drawdown",
        level=Level.STRATEGY,
        limit="strategy_drawdown",
        default="null",
        sets=Grade.HALTED,
        of_a_session=False,
        unit="of the strategy's capital",
        figure="{:.2%}",
        text="What the strategy's own fills and positions have lost since their best at a close or rebalance. "
        f"{_LOOKED_AT}.",
        test="test_a_strategy_that_loses_is_held_and_the_other_trades_on[strategy_drawdown]",
    ),
    Rule(
        name="instrument_daily_loss",
        level=Level.INSTRUMENT,
        limit="instrument_daily_loss",
        default="null",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit="of the account's equity",
        figure="{:.2%}",
        text="What our fills and shares of the instrument have lost since the session's start, before commission. "
        f"{_LOOKED_AT}, and at its own fills.",
        test="test_an_instrument_that_loses_is_held_and_the_others_trade_on",
    ),
    Rule(
        name="rejections",
        level=Level.ACCOUNT,
        limit="rejections",
        default="10",
        sets=Grade.HALTED,
        of_a_session=False,
        unit="rejections in a row",
        figure="{:.0f}",
        text="Orders, or what-if questions about them, rejected in a row, whatever the instrument and the reason.",
        test="test_rejections_in_a_row_halt_the_account",
    ),
    Rule(
        name="order_slippage",
        level=Level.INSTRUMENT,
        limit="order_slippage_bps",
        default="null",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit=_BP,
        figure="{:.1f}",
        text="What one order has paid beyond the price it was decided at.",
        test="test_slippage_holds_what_it_is_about[order_slippage]",
    ),
    Rule(
        name="session_slippage",
        level=Level.ACCOUNT,
        limit="session_slippage_bps",
        default="null",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit=_BP,
        figure="{:.1f}",
        text="What the session's orders together have paid beyond the prices they were decided at, by value.",
        test="test_slippage_holds_what_it_is_about[session_slippage]",
    ),
    Rule(
        name="strategy_slippage",
        level=Level.STRATEGY,
        limit="strategy_slippage_bps",
        default="null",
        sets=Grade.REDUCING,
        of_a_session=True,
        unit=_BP,
        figure="{:.1f}",
        text="The same of the strategy's parts of the session's orders.",
        test="test_slippage_holds_what_it_is_about[strategy_slippage]",
    ),
)
RULE = {rule.name: rule for rule in RULES}


def _row(rule: Rule) -> Limit:
    ends = (Setting("holds.until", NEXT_SESSION),) if rule.of_a_session else ()
    return Limit(
        name=rule.name,
        does=Does.LATCHES,
        unit=rule.unit,
        text=f"{rule.text} Holds the {rule.level.value}.",
        test=f"tests/daemon/test_holds.py::{rule.test}",
        settings=(
            Setting(f"holds.{rule.limit}", rule.default),
            Setting(f"holds.{rule.name}_sets", rule.sets.value),
            *ends,
        ),
    )


ROWS = tuple(map(_row, RULES))


def told(hold: HoldSet) -> str:
    """What is held, by which limit with its figures, and what ends it."""
    rule = RULE[hold.rule]
    seen, limit = rule.figure.format(hold.observed), rule.figure.format(hold.limit)
    what = "no order" if hold.grade is Grade.HALTED else "only reducing orders"
    name = "" if hold.level is Level.ACCOUNT else f" {hold.name}"
    whose = f"{hold.level.value}{name}"
    until = f"until {hold.until:%Y-%m-%d %H:%M}Z or " if hold.until else "until "
    word = "resume" if hold.level is Level.ACCOUNT else f"resume {hold.name}"
    return f"{whose}: {hold.rule} {seen} {rule.unit}, the limit is {limit}: {what} {until}`longwatch {word}`"

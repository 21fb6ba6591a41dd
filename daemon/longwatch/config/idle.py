"""Settings that leave nothing to trade, or that another leaves without effect; rows of the tables in checks."""

from __future__ import annotations

import os
from collections.abc import Callable

from longwatch.config.schema import Settings

Reason = str | None
Row = tuple[tuple[str, ...], Callable[[Settings], Reason]]
BPS = 10_000


def _trailing_has_a_distance(s: Settings) -> Reason:
    """Not of strategies or instruments either: each has a rule of its own, whole."""
    wrong = s.stops.trails and not s.stops.is_on
    return "no stop trails without a distance; give stops.fraction or stops.amount, too" if wrong else None


def _instruments_have_a_distance(s: Settings) -> Reason:
    bare = next((symbol for symbol, rule in s.stops.instruments.items() if not rule.is_on), None)
    return None if bare is None else f"the rule of {bare} has no distance; give it a fraction or an amount"


def _own_stops_have_a_distance(s: Settings) -> Reason:
    bare = next((one.name for one in s.strategies if one.stop is not None and not one.stop.is_on), None)
    return None if bare is None else f"the stop of {bare} has no distance; give it a fraction or an amount"


def _stops_can_be_attached(s: Settings) -> Reason:
    rules = [s.stops, *s.stops.instruments.values(), *(one.stop for one in s.strategies if one.stop is not None)]
    if not s.stops.attached or any(rule.is_on for rule in rules):
        return None
    return "no entry leaves with a stop where no rule asks for one; give stops.fraction or stops.amount, too"


def _halt_file_is_no_journal(s: Settings) -> Reason:
    halt, journal = s.ops.halt_file, s.journal_path
    if halt is None or os.path.abspath(halt) != os.path.abspath(journal):
        return None
    return f"{halt} is the journal, which is always there; name another file"


def _true_range_can_be_known(s: Settings) -> Reason:
    rules = [s.stops, *s.stops.instruments.values(), *(one.stop for one in s.strategies if one.stop is not None)]
    bars, sessions = s.data.history_bars, s.data.atr_sessions
    if bars > sessions or all(rule.atr_multiple is None for rule in rules):
        return None
    return f"{sessions} needs more than data.history_bars, {bars}: every stop by atr_multiple goes by its fraction"


def _orders_may_leave(s: Settings) -> Reason:
    return "0 lets no order leave, to close a holding neither" if not s.risk.max_orders_per_minute else None


def _a_loss_holds(s: Settings) -> Reason:
    return "0 holds at the first cent that is lost" if s.holds.daily_loss == 0 else None


def _the_band_is_wide(s: Settings) -> Reason:
    return "0 refuses every price but the decision's own" if not s.risk.price_band_fraction else None


def _limits_lie_in_the_band(s: Settings) -> Reason:
    offset, band = s.execution.limit_offset_bps, s.risk.price_band_fraction
    if not band or offset < band * BPS or s.execution.order_type not in ("LMT", "STP LMT"):
        return None
    return f"{offset} bps reach beyond risk.price_band_fraction, {band}: such orders are refused"


def _a_weight_leaves_the_band(s: Settings) -> Reason:
    band, most = s.sizing.no_trade_band_weight, s.risk.max_weight
    return f"{band} is above risk.max_weight, {most}: no holding is ever opened" if band > most else None


def _a_trade_may_be_large_enough(s: Settings) -> Reason:
    least, most = s.sizing.min_trade_value, s.risk.max_order_value
    return f"{least} is above risk.max_order_value, {most}: nothing is ever bought" if least > most else None


def _exposure_is_allowed(s: Settings) -> Reason:
    return "0 allows no holding" if not s.risk.max_gross_exposure else None


def _cash_is_left(s: Settings) -> Reason:
    return "1 keeps all of the capital in cash: nothing is ever bought" if s.sizing.cash_reserve_fraction == 1 else None


def _the_account_can_be_short(s: Settings) -> Reason:
    wrong = s.risk.allow_short and s.account_limits.kind == "cash"
    return "a cash account, as account_limits.kind says this is, can't be short" if wrong else None


WRONG: tuple[Row, ...] = (
    (("stops.trails", "stops.fraction", "stops.amount", "stops.atr_multiple"), _trailing_has_a_distance),
    (("stops.instruments",), _instruments_have_a_distance),
    (("strategies",), _own_stops_have_a_distance),
    (("stops.attached", "stops.fraction", "stops.amount"), _stops_can_be_attached),
    (("ops.halt_file", "journal.path", "mode", "executor"), _halt_file_is_no_journal),
)
ODD: tuple[Row, ...] = (
    (("data.atr_sessions", "data.history_bars", "stops.atr_multiple"), _true_range_can_be_known),
    (("risk.max_orders_per_minute",), _orders_may_leave),
    (("holds.daily_loss",), _a_loss_holds),
    (("risk.price_band_fraction",), _the_band_is_wide),
    (("execution.limit_offset_bps", "risk.price_band_fraction", "execution.order_type"), _limits_lie_in_the_band),
    (("sizing.no_trade_band_weight", "risk.max_weight"), _a_weight_leaves_the_band),
    (("sizing.min_trade_value", "risk.max_order_value"), _a_trade_may_be_large_enough),
    (("risk.max_gross_exposure",), _exposure_is_allowed),
    (("sizing.cash_reserve_fraction",), _cash_is_left),
    (("risk.allow_short", "account_limits.kind"), _the_account_can_be_short),
)

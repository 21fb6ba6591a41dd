"""Policies of execution that contradict each other: each a reason, or None; rows of the table in checks."""

from __future__ import annotations

from longwatch.config.schema import Settings
from longwatch.domain.order_life.patience import AUCTION_CUT_OFF
from longwatch.domain.triggers import Anchor, SessionTrigger, parse_trigger

Reason = str | None


def replacements_have_a_cause(s: Settings) -> Reason:
    """Only what has worked for long enough is replaced."""
    count = s.execution.replacements
    if not count or s.execution.working_seconds is not None:
        return None
    return f"{count} is without effect: only what has worked for working_seconds is replaced; set it, or make this 0"


def time_to_work_outlasts_the_answer(s: Settings) -> Reason:
    """An order has to be answered before its time is up."""
    seconds, answer = s.execution.working_seconds, s.execution.acknowledge_seconds
    if seconds is None or seconds > answer:
        return None
    return f"{seconds:g} is not above acknowledge_seconds, {answer:g}: it might be cancelled unanswered"


def auction_there_is(s: Settings) -> Reason:
    """An exchange that never closes holds no closing auction."""
    kind = s.execution.order_type
    wrong = kind in ("MOC", "LOC") and s.calendar == "24/7"
    return f"{kind} is for a closing auction, and calendar 24/7 has none; use LMT or MKT" if wrong else None


def auction_is_reached(s: Settings) -> Reason:
    """Nothing is sent into an auction after its cut-off."""
    kind, trigger = s.execution.order_type, parse_trigger(s.schedule.rebalance.trigger)
    if kind not in ("MOC", "LOC") or not isinstance(trigger, SessionTrigger) or trigger.anchor is not Anchor.CLOSE:
        return None
    before, cut_off = -trigger.offset.total_seconds() / 60, AUCTION_CUT_OFF.total_seconds() / 60
    if before > cut_off:
        return None
    return f"{kind} orders are taken until {cut_off:g} minutes before the close; this rebalance comes later, move it"


def rest_may_go_to_the_auction(s: Settings) -> Reason:
    """There is an auction, and the orders are for the day."""
    if s.execution.at_close != "moc":
        return None
    if s.calendar == "24/7":
        return "moc sends the rest into a closing auction, and calendar 24/7 has none; use leave"
    return (
        "moc is about DAY orders, and tif is GTC: nothing would ever be sent there"
        if s.execution.tif == "GTC"
        else None
    )

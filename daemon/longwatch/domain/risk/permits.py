"""The checks of whether anything may be sent at all, each a row of the table of limits; joined by table.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain.order_life.breaker import held_by, told
from longwatch.domain.risk.exposure import in_doubt, last_known_price, unexplained
from longwatch.domain.risk.limits import ENTRIES, EVERY, Does, Limit, Setting
from longwatch.domain.risk.proposal import Proposal, Refusal
from longwatch.domain.risk.readiness import is_ready
from longwatch.domain.risk.verbs import ACTIONS, Condition, because, forbidden_by
from longwatch.domain.state import MINUTE, State

CHECKS = "tests/daemon/test_checks.py::"
RUN_LASTS = timedelta(days=7)
"""No run of a job may start later after it was due than this, the longest that the configuration takes."""


def check_account(state: State, proposal: Proposal) -> Refusal | None:
    """The account contradicts the mode: a paper account's id begins with D."""
    paper = state.account.startswith("D")
    if state.mode not in ("paper", "live") or paper == (state.mode == "paper"):
        return None
    text = f"account {state.account} does not belong in mode {state.mode}"
    return Refusal(check="account", observed=state.account, limit=state.mode, text=text)


def check_verbs(state: State, proposal: Proposal) -> Refusal | None:
    """The verb matrix, with the readiness certificate as one of its conditions."""
    action = ACTIONS[proposal.purpose]
    ready = is_ready(state, proposal.tech)
    held_by = forbidden_by(state, proposal.instrument.con_id, action, ready=ready)
    if held_by is None:
        return None
    return Refusal(
        check=held_by.name.lower(),
        observed=held_by.value,
        limit=f"{action.value} allowed",
        text=f"{proposal.instrument.symbol}: no {action.value} while {held_by.value}"
        f"{because(state, proposal.instrument.con_id, held_by)}",
    )


def check_breaker(state: State, proposal: Proposal) -> Refusal | None:
    """Nothing that the broker keeps ending, or that a person has cancelled in this session."""
    row = held_by(state, proposal.instrument.con_id, proposal.purpose, proposal.at)
    if row is None:
        return None
    return Refusal(check="breaker", observed=row.reason, limit=str(row.until), text=told(row))


def check_trading_hours(state: State, proposal: Proposal) -> Refusal | None:
    """Inside a session of the exchange."""
    if not state.settings.trading_hours_only:
        return None
    if proposal.session is not None and proposal.session.is_open(proposal.at):
        return None
    return Refusal(
        check="trading_hours",
        observed=proposal.at.isoformat(),
        limit="an open session",
        text=f"{proposal.instrument.symbol}: the exchange is closed",
    )


def check_order_rate(state: State, proposal: Proposal) -> Refusal | None:
    """Orders and modifications of the last minute; a loop gone wrong ends here."""
    limit, count = state.settings.max_orders_per_minute, sent_lately(state, proposal.tech)
    if count < limit:
        return None
    text = f"{proposal.instrument.symbol}: {count} orders in the last minute, the limit is {limit}"
    return Refusal(check="order_rate", observed=str(count), limit=str(limit), text=text)


def sent_lately(state: State, tech: datetime) -> int:
    """Orders and modifications sent within the minute up to `tech`; protective stops are left out.

    Entries whose margin is being asked for count already: they leave as soon as the broker has answered. A question
    that it has rejected counts on, from when it was asked: each decision may ask again.
    """
    return sum(1 for sent_at in state.sends if sent_at > tech - MINUTE) + len(state.what_ifs)


def check_duplicate(state: State, proposal: Proposal) -> Refusal | None:
    """One order an instrument and decision, also where other decisions came between."""
    for intent in reversed(state.made_in.get(proposal.instrument.con_id, ())):
        order = state.orders[intent]
        if order.created_at < proposal.at - RUN_LASTS:
            break
        if order.run_id == proposal.run_id:
            text = f"{proposal.instrument.symbol}: {proposal.run_id} already has order {order.ref}"
            return Refusal(check="duplicate", observed=order.ref, limit="one order a decision", text=text)
    return None


def check_others_priced(state: State, proposal: Proposal) -> Refusal | None:
    """What others hold or have ordered, or nobody has explained, is exposure: at no known price it would be nothing."""
    for con_id, (symbol, quantity) in state.outside.items():
        if quantity and not _price(state, con_id, symbol):
            return _unpriced(proposal, symbol, f"{quantity} shares that are not ours")
    for order in state.foreign_orders.values():
        if order.remaining and order.price is None and not _price(state, order.con_id, order.symbol):
            return _unpriced(proposal, order.symbol, f"an order for {order.remaining} that is not ours")
    for con_id, symbol in in_doubt(state).items():
        shares = unexplained(state, con_id)
        if shares and not _price(state, con_id, symbol):
            return _unpriced(proposal, symbol, f"{shares} shares that nobody has explained yet")
    return None


def _price(state: State, con_id: int, symbol: str) -> Decimal | None:
    known = last_known_price(state, con_id, symbol)
    return known or (dict(state.equity.prices).get(symbol) if state.equity else None)


def _unpriced(proposal: Proposal, symbol: str, what: str) -> Refusal:
    text = (
        f"{proposal.instrument.symbol}: {symbol}, {what}, has no known price, and exposure would leave it out: give it "
        f"its average cost in TWS, close it there, or let a strategy name {symbol}, so that its bars are read"
    )
    return Refusal(check="others_priced", observed=f"no price of {symbol}", limit="a price", text=text)


ROWS = (
    Limit(
        name="account",
        does=Does.REFUSES,
        unit="account id",
        text="The account is one of the mode: a paper account begins with D.",
        test=f"{CHECKS}test_an_account_that_contradicts_the_mode_is_refused_by_the_check_too",
        binds=EVERY,
        check=check_account,
        always=True,
    ),
    Limit(
        name="verbs",
        does=Does.REFUSES,
        unit="condition",
        text="No verb, quarantine or order of unknown outcome holds such an order back, and the daemon is ready.",
        test=f"{CHECKS}test_a_verb_refuses_entries_until_resumed",
        binds=EVERY,
        check=check_verbs,
        refuses_as=tuple(condition.name.lower() for condition in Condition),
        always=True,
    ),
    Limit(
        name="breaker",
        does=Does.REFUSES,
        unit="rejections or cancels",
        text="The broker has not kept ending such orders, and no person has cancelled one in this session.",
        test="tests/daemon/test_words.py::test_A23_a_broker_that_keeps_cancelling_is_tried_three_times_and_a_restart_forgets_nothing",
        settings=(
            Setting("risk.breaker_strikes", "3"),
            Setting("risk.breaker_window_minutes", "10080"),
            Setting("risk.breaker_wait_minutes", "60"),
        ),
        check=check_breaker,
    ),
    Limit(
        name="trading_hours",
        does=Does.REFUSES,
        unit="time",
        text="The exchange is in a session.",
        test=f"{CHECKS}test_before_the_open_nothing_is_sent",
        settings=(Setting("risk.trading_hours_only", "true"),),
        check=check_trading_hours,
    ),
    Limit(
        name="order_rate",
        does=Does.REFUSES,
        unit="orders a minute",
        text="Orders, and modifications of them, sent within the last minute; protective stops aside.",
        test=f"{CHECKS}test_a_setting_refuses_the_trade[order_rate]",
        settings=(Setting("risk.max_orders_per_minute", "60"),),
        check=check_order_rate,
        always=True,
    ),
    Limit(
        name="duplicate",
        does=Does.REFUSES,
        unit="order",
        text="One order an instrument and decision, also where other decisions came between.",
        test=f"{CHECKS}test_one_decision_never_orders_twice",
        check=check_duplicate,
    ),
    Limit(
        name="others_priced",
        does=Does.REFUSES,
        unit="price",
        text="What others hold or have ordered, or is unexplained, has a price: a close, the account's cost, a limit.",
        test=f"{CHECKS}test_shares_of_others_without_a_price_refuse_entries",
        binds=ENTRIES,
        check=check_others_priced,
    ),
)

"""What the broker's messages, our transport and the passing of time say about orders, as evidence; called by decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from longwatch.domain import messages as m
from longwatch.domain.order_life import inactive, modification, questions
from longwatch.domain.order_life.evidence import (
    EVIDENCE_OF_END,
    Decided,
    advance,
    ended,
    ending_at,
)
from longwatch.domain.order_life.identity import cancels, disowned, identify, intent_of, intent_told
from longwatch.domain.order_life.inference import replaced_by, rest_of
from longwatch.domain.order_life.told_terms import as_told
from longwatch.domain.order_life.transitions import next_state
from longwatch.domain.order_life.verdicts import UNKNOWN_TO_IT, WHAT_FOLLOWS, Action, Verdict, meant_by
from longwatch.domain.orders import Absence, Evidence, Order, OrderState
from longwatch.domain.reconciliation.busts import taken_back_as, was_given_up
from longwatch.domain.reconciliation.others import foreign, foreign_status, outside_trade, used_up
from longwatch.domain.risk import permissions
from longwatch.domain.state import State

OPEN = frozenset({"PreSubmitted", "Submitted", "PendingCancel"})
CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
ENDED = frozenset({OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED})
CORRECTION_MARK = "."


def open_order(state: State, event: m.OpenOrderSeen) -> Decided:
    """Message 5: identity and, with a permId, acknowledgement; other accounts under a log-in are no matter of ours."""
    if event.order_id >= state.next_id:
        yield from used_up(state, event)
    if event.account not in ("", state.account):
        return
    intent = intent_told(state, event)
    if intent is None:
        yield from disowned(state, event)
        yield from foreign(state, event)
        return
    intent = yield from identify(state, intent, event)
    yield from modification.shown(state, state.orders[intent], as_told(state.orders[intent], event))
    order = state.orders[intent]
    if event.perm_id and event.status in OPEN and order.ending is None:
        yield from _acknowledged(state, order, event.status)
    elif event.status == inactive.INACTIVE and order.state is OrderState.WORKING:
        yield from inactive.told(state, order, event.tech)
    elif order.state is OrderState.UNKNOWN:
        # Shown, if only as Inactive or PendingSubmit: whatever has been gathered towards its absence is void.
        yield m.AbsenceNoted(intent=intent, absence=_void(order, event.tech))


def _void(order: Order, tech: datetime) -> Absence:
    """What was gathered towards an order's absence proves nothing any more; how often it was looked for sets the pace.

    Begun from nothing, each answer to a cancel would ask for the next round and its cancel at once, without an end. A
    number under which the gateway has answered may be of before ids began again: it is not asked about a second time.
    """
    former = order.absence or Absence(since=tech)
    begun = replace(former, since=tech, first_round_at=None, cancel_not_found=False, spoken_of=True, answered=False)
    return replace(begun, asked_as=None) if former.answered else begun


def _acknowledged(state: State, order: Order, status: str) -> Decided:
    # A working order may await its fills: saying once more that it works changes nothing of that.
    due = order.deadline if order.state is OrderState.WORKING else None
    yield from advance(state, order, Evidence.ACKNOWLEDGED, text=status, deadline=due)
    begins = order.state is not OrderState.WORKING and state.orders[order.intent].state is OrderState.WORKING
    if begins and order.cancel_asked:
        # Asked for before the broker held the order, the cancel may have been answered with "not found".
        yield from cancels(state, order)


def order_status(state: State, event: m.OrderStatusSeen) -> Decided:
    """Message 3: acknowledgement, or the broker's word that the order has ended; executions alone change the book."""
    intent = intent_of(state, perm_id=event.perm_id, client_id=event.client_id, order_id=event.order_id)
    if intent is None:
        yield from foreign_status(state, event)
        return
    intent = yield from identify(state, intent, event)
    order = state.orders[intent]
    if event.status in CANCELLED:
        yield from ended(state, order, ending_at(state, order, event.at), event.filled, event.status, event.tech)
    elif event.status == "Filled":
        yield from ended(state, order, OrderState.FILLED, event.filled, event.status, event.tech)
    elif event.perm_id and event.status in OPEN:
        yield from _acknowledged(state, order, event.status)
        yield from _await_fills(state, state.orders[intent], event.filled, event.tech)
    elif event.status == inactive.INACTIVE:
        yield from inactive.told(state, order, event.tech)


def _await_fills(state: State, order: Order, filled: Decimal, tech: datetime) -> Decided:
    """The status reports more than the executions heard so far: they are due, or will be asked for."""
    if filled > max(order.told, order.reported) and order.is_live:
        due = tech + timedelta(seconds=state.settings.acknowledge_seconds)
        yield from advance(state, order, Evidence.PART_FILLED, deadline=due, reported=filled)


def is_known(state: State, event: m.ExecutionSeen | m.CommissionSeen | m.CompletedOrderSeen) -> bool:
    """Whether a row told again can change nothing: seen at a glance, for a reading of the account brings hundreds."""
    match event:
        case m.ExecutionSeen():
            return event.exec_id in state.fills
        case m.CommissionSeen():
            return state.commissions.get(event.exec_id) == event.commission
        case m.CompletedOrderSeen():
            intent = intent_told(state, event)
            return intent is not None and state.orders[intent].state in ENDED
        case _:
            assert_never(event)


def execution(state: State, event: m.ExecutionSeen) -> Decided:
    """Message 11: booked once by execId; `.02` replaces `.01`; somebody else's explains a change of the account."""
    if event.exec_id in state.fills:
        return
    stem, _, revision = event.exec_id.rpartition(CORRECTION_MARK)
    replaces = _replaced(state, stem, revision) or taken_back_as(state, event.exec_id)
    if replaces == "newer":
        return
    if event.account not in ("", state.account):
        return
    intent = intent_told(state, event, replaces)
    if intent is not None:
        intent = yield from identify(state, intent, event)
    guessed = None if replaces else replaced_by(state, intent, event.executed_at)
    replaces = guessed.exec_id if guessed else replaces
    former = state.fills[replaces].quantity if replaces else Decimal(0)
    is_told = replaces is not None and guessed is None and intent is not None
    is_late = replaces is None and was_given_up(state, intent, event.executed_at)
    gone = abs(former) - event.quantity if is_told or is_late else Decimal(0)
    yield m.FillBooked(
        exec_id=event.exec_id,
        intent=intent,
        con_id=event.con_id,
        symbol=event.symbol,
        side=event.side,
        quantity=event.quantity,
        price=event.price,
        executed_at=event.executed_at,
        tech=event.tech,
        replaces=replaces,
        taken_back=max(gone, -state.orders[intent].taken_back) if intent is not None else Decimal(0),
        perm_id=event.perm_id,
        recounted=replaces is not None,
    )
    if intent is None:
        yield from disowned(state, event)
        yield from outside_trade(state, event, event.quantity * event.side.sign - former, is_revised=bool(replaces))
        return
    if guessed is not None:
        yield from rest_of(state, guessed, event)
    yield from after_fill(state, state.orders[intent])


def _replaced(state: State, stem: str, revision: str) -> str | None:
    """The booked execution this one corrects; `newer` when it is itself already corrected."""
    if len(revision) != 2 or not revision.isdecimal():
        return None
    for number in range(int(revision) + 9, 0, -1):
        other = f"{stem}{CORRECTION_MARK}{number:02d}"
        if other in state.fills and number != int(revision):
            return other if number < int(revision) else "newer"
    return None


def after_fill(state: State, order: Order) -> Decided:
    """What an order's further fill makes of it."""
    yield from modification.filled(order)
    order = state.orders[order.intent]
    if order.filled > order.at_most:
        yield m.RaiseAlert(
            key="overfilled",
            text=f"order {order.ref} asked for {order.quantity} and filled {order.filled}",
            severity="critical",
        )
    if order.told >= order.at_most:
        yield from advance(state, order, Evidence.ALL_FILLED, reported=order.told)
    elif order.ending is not None and order.told >= order.reported:
        yield from advance(state, order, EVIDENCE_OF_END[order.ending], text=order.text)
    elif order.state not in (OrderState.CANCELLED, OrderState.EXPIRED):
        behind = order.reported > order.told
        yield from advance(state, order, Evidence.PART_FILLED, deadline=order.deadline if behind else None)


def commission(state: State, event: m.CommissionSeen) -> Decided:
    """Message 59, once per execution; for an execution not heard of it is kept under its id."""
    if state.commissions.get(event.exec_id) == event.commission:
        return
    fill = state.fills.get(event.exec_id)
    yield m.CommissionBooked(
        exec_id=event.exec_id,
        intent=fill.intent if fill else None,
        commission=event.commission,
        currency=event.currency,
    )


def completed_order(state: State, event: m.CompletedOrderSeen) -> Decided:
    """Message 101: the broker's last word on an order of the day."""
    if event.account not in ("", state.account):
        return
    intent = intent_told(state, event)
    if intent is None:
        yield from disowned(state, event)
        return
    intent = yield from identify(state, intent, event)
    order = state.orders[intent]
    if order.state in ENDED:
        return
    if event.status == "Filled":
        yield from ended(state, order, OrderState.FILLED, event.filled, event.text, event.tech)
    elif event.status in CANCELLED:
        yield from ended(state, order, ending_at(state, order, event.at), event.filled, event.text, event.tech)
    elif event.status == "Inactive":
        yield from ended(state, order, OrderState.REJECTED, event.filled, event.text, event.tech)


def order_error(state: State, event: m.OrderErrorSeen) -> Decided:
    """Message 4 on an order, by the verdict of broker/codes.py; what is unclear never ends an order."""
    intent = state.by_order_id.get((state.client_id, event.order_id))
    if intent is None:
        yield from questions.of_no_order(state, event)
        return
    order, text = state.orders[intent], f"{event.code} {event.text}"
    if order.absence is not None and event.verdict != Verdict.NOT_FOUND:
        # The broker speaks of it, if only to say that it can't be cancelled any more: it was there.
        yield m.AbsenceNoted(intent=intent, absence=_void(order, event.tech))
    verdict = meant_by(order, Verdict(event.verdict))
    match WHAT_FOLLOWS[verdict][order.state]:
        case Action.END if _may_be_a_twins(state, order):
            yield m.RequestSnapshot(reason=f"which of two orders under id {event.order_id} has ended: {text}")
        case Action.END:
            yield from ended(state, order, OrderState.REJECTED, order.reported, text, event.tech)
            yield from permissions.refused(state, order, event)
        case Action.GATHER if order.absence is not None:
            yield m.AbsenceNoted(intent=intent, absence=replace(order.absence, cancel_not_found=True))
        case Action.ASK | Action.GATHER:
            yield m.RequestSnapshot(reason=f"order {order.ref}: {text}")
        case Action.KEEP:
            yield from modification.refused(order, text)
        case Action.TELL if event.severity != "info" or order.state in UNKNOWN_TO_IT:
            # However harmless the code: it can't be about an order that the broker was never sent.
            severity = "warning" if event.severity == "info" else event.severity
            told = f"order {order.ref} stays {order.state.value}: {text}" + (
                f" ({event.meaning})" if event.meaning else ""
            )
            yield m.RaiseAlert(key=f"{verdict}_code", text=told, severity=severity)
        case Action.TELL | Action.NOTHING:
            pass
    if verdict is Verdict.UNCLEAR and order.is_live and (order.change is not None or order.changed):
        yield m.RequestSnapshot(reason=f"which terms of order {order.ref} are in force: {text}")


def _may_be_a_twins(state: State, order: Order) -> bool:
    """Whether a code by order id may be about another: the broker had two for one intent, and may tell an end twice."""
    others = (one for one in state.orders.values() if one.intent != order.intent)
    return any((one.ref, one.order_id) == (order.ref, order.order_id) for one in others)


def handed(state: State, event: m.OrderHanded) -> Decided:
    """The bytes are with the transport: from here on only the broker can say what became of the order."""
    if event.change:
        yield from modification.handed(state, event)
        return
    order = state.orders[event.intent]
    due = event.tech + timedelta(seconds=state.settings.acknowledge_seconds)
    if order.state in (OrderState.UNKNOWN, OrderState.WORKING):
        yield from advance(state, order, Evidence.HANDED, text=order.text, deadline=order.deadline)
    else:
        yield from advance(state, order, Evidence.HANDED, deadline=due)


def withheld(state: State, event: m.OrderWithheld) -> Decided:
    """The bytes never left: proven unsent."""
    if event.change:
        yield from modification.withheld(state, event)
        return
    order = state.orders[event.intent]
    if order.state is not OrderState.UNSENT and next_state(order.state, Evidence.WITHHELD) is OrderState.UNSENT:
        yield m.TradeRefused(
            run_id=order.run_id,
            symbol=order.symbol,
            check="gate",
            wanted=order.quantity * order.side.sign,
            observed=event.reason,
            limit="an open gate",
            text=f"{order.side.value} {order.quantity} {order.symbol} was not sent: {event.reason}",
            intent=order.intent,
        )
    yield from advance(state, order, Evidence.WITHHELD, text=event.reason)


def orphaned(state: State, tech: datetime, evidence: Evidence, text: str, *, only_handed: bool) -> Decided:
    """Orders sent but not acknowledged when the link, or the process, went: their outcome is unknown."""
    for order in list(state.live_orders()):
        if order.state is OrderState.INTENDED:
            yield from advance(state, order, Evidence.WITHHELD, text=text)
        elif order.state is OrderState.SENDING and (order.handed or not only_handed):
            yield from advance(state, order, evidence, text=text, deadline=tech)


def overdue(state: State, tech: datetime) -> Decided:
    """Deadlines that have passed: silence makes an order unknown; missing fills are asked for once, then reconciled."""
    snapshot = False
    for order in list(state.live_orders()):
        if order.deadline is None or order.deadline > tech:
            continue
        snapshot = True
        again = tech + timedelta(seconds=max(state.settings.absence_round_seconds, 1.0))
        if order.state is OrderState.SENDING:
            yield from advance(state, order, Evidence.SILENCE, text="no acknowledgement", deadline=again)
            yield m.RaiseAlert(
                key="order_unacknowledged",
                text=f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) was not acknowledged in time; "
                "is a window open in the gateway that waits for a person? No orders until it answers",
            )
        elif order.state is OrderState.UNKNOWN:
            # Without a link nothing can be learned; the next one begins with a download.
            later = again if state.link is m.Link.READY else None
            yield from advance(state, order, Evidence.SILENCE, text=order.text, deadline=later)
        else:
            yield from advance(state, order, Evidence.PART_FILLED, text=order.text)
    if snapshot and state.link is m.Link.READY:
        yield m.RequestSnapshot(reason="an answer is overdue")

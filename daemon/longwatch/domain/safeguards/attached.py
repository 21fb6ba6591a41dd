"""Entries that leave with their stop: both are decided, made durable and written as one; for submission and stops.

The broker keeps such a stop from the market until its entry has ended. What the entry fills before that has no stop
that works, so an entry that is left with a part filled gives its stop up, and the next one is for what is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side, beyond_tick, to_lot
from longwatch.domain.order_life import breaker
from longwatch.domain.order_life.identity import cancels, intent_told
from longwatch.domain.orders import AUCTIONS, Order, OrderState, OrderType, Purpose
from longwatch.domain.risk.attached import entry_of, may_trade, waits
from longwatch.domain.risk.verbs import Action, forbidden_by
from longwatch.domain.safeguards import stop_levels
from longwatch.domain.state import State

RUN = "stop"
PATIENCE = timedelta(seconds=0.5)
"""So long the rest of an entry that has filled in part is waited for, before its stop is given up."""
REGROUPED = "the broker holds it in another OCA group than ours"
NO_MORE = "its entry was told to have filled shares that are not there: it would sell more than is held"
REFUSED = "its stop was refused: without it the broker never lets the entry go"


def stop_order(
    state: State, instrument: Instrument, side: Side, quantity: Decimal, level: Decimal, at: datetime
) -> Order:
    """A protective stop, in an OCA group of its own."""
    intent = state.next_intent
    ref = f"lw:{state.journal_id}:{intent}"
    return Order(
        intent=intent,
        ref=ref,
        run_id=f"{RUN}:{instrument.symbol}",
        con_id=instrument.con_id,
        symbol=instrument.symbol,
        side=side,
        quantity=quantity,
        order_type=OrderType.STOP,
        limit_price=None,
        stop_price=level,
        tif="GTC",
        account=state.account,
        mode=state.mode,
        purpose=Purpose.STOP,
        decision_price=level,
        created_at=at,
        oca_group=ref,
    )


def level_with(state: State, entry: Order, instrument: Instrument) -> Decimal | None:
    """At what price the stop of an entry that is about to leave is to wait; None where it leaves without.

    With one go only entries from nothing to a holding, for whole lots and not for an auction: anything else has, or is
    about to have, a stop for other shares than its own.
    """
    if not state.settings.attached_stops or entry.purpose is not Purpose.ENTRY or entry.order_type in AUCTIONS:
        return None
    whole = to_lot(entry.quantity, max(instrument.lot, Decimal(1)))
    others = any(order.intent != entry.intent for order in state.live_in(entry.con_id))
    if state.held(entry.con_id) or others or entry.quantity != whole:
        return None
    if breaker.is_held_back(state, entry.con_id, Purpose.STOP, entry.created_at):
        return None
    if forbidden_by(state, entry.con_id, Action.STOP, ready=True, besides=entry.intent) is not None:
        return None
    price = entry.decision_price
    distance = stop_levels.tightest(state, entry.symbol, price)
    if distance is None or not 0 < distance < price:
        return None
    level = beyond_tick(price - distance * entry.side.sign, instrument.tick, entry.side.opposite)
    return level if level > 0 else None


def looked_after(state: State, stop: Order, wanted: Decimal, event: m.Event) -> Iterator[m.Fact | m.Effect]:
    """A stop that waits for its entry: given up where it would not be what is held, or not soon enough."""
    reason = _why_given_up(state, stop, wanted, event)
    if reason is not None and not stop.cancel_asked and stop.ending is None:
        yield m.OrderCancelAsked(intent=stop.intent, reason=reason)
        yield from cancels(state, stop)


def _why_given_up(state: State, stop: Order, wanted: Decimal, event: m.Event) -> str | None:
    entry = entry_of(state, stop)
    if entry is None:
        return None
    if is_regrouped(state, stop, event):
        return REGROUPED
    if stop.at_most > entry.at_least:
        return "its entry is for fewer shares by now"
    if state.held(stop.con_id) and not wanted:
        return "no rule asks for a stop any more"
    if _is_passed(entry, stop):
        return "its entry's limit is not on this side of it any more: it would be triggered at once"
    bought = state.held(stop.con_id) * entry.side.sign
    if may_trade(state, stop) > bought and not _may_be_told_yet(state, entry, event):
        return NO_MORE
    row = state.unprotected.get(stop.con_id)
    is_bare = bool(entry.told) and row is not None and bool(row.unprotected)
    if is_bare and row is not None and event.tech - row.since >= PATIENCE:
        return "its entry has filled in part, and the rest is not filled at once"
    return None


def _may_be_told_yet(state: State, entry: Order, event: m.Event) -> bool:
    """Whether executions may still follow of what the entry's status counts as filled.

    Not where they have long been due, and a reading begun since then agrees with the book without these shares.
    """
    if entry.told >= entry.reported:
        return False
    is_due = entry.state is OrderState.WORKING and entry.deadline is None and entry.moved_at is not None
    if not is_due or not isinstance(event, m.SnapshotSeen) or event.started_tech < (entry.moved_at or event.tech):
        return True
    if state.compared is None or state.compared.tech < event.tech:
        return True
    return entry.con_id in {row.con_id for row in state.compared.differences}


def _is_passed(entry: Order, stop: Order) -> bool:
    """Whether an entry would be filled where its stop trades; by either terms, while two may be in force."""
    limits = (entry.limit_price, entry.change.limit_price if entry.change is not None else None)
    level = stop.stop_price
    return level is not None and any(one is not None and (one - level) * entry.side.sign <= 0 for one in limits)


def is_regrouped(state: State, stop: Order, event: m.Event) -> bool:
    """Whether the broker shows an attached stop in a group of its own naming: no exit of ours could enter it."""
    if not isinstance(event, m.OpenOrderSeen) or stop.attached_to is None or not event.oca_group:
        return False
    return intent_told(state, event) == stop.intent and event.oca_group != stop.oca_group


def after_move(state: State, fact: m.OrderMoved) -> Iterator[m.Fact | m.Effect]:
    """A refused stop leaves its entry untransmitted at the broker: it is cancelled, so as never to be sent on."""
    stop = state.orders[fact.intent]
    entry = entry_of(state, stop)
    if fact.state is not OrderState.REJECTED or entry is None or entry.perm_ids:
        return
    if entry.state in (OrderState.SENDING, OrderState.UNKNOWN) and not entry.cancel_asked:
        yield m.OrderCancelAsked(intent=entry.intent, reason=REFUSED)
        yield from cancels(state, entry)


def is_leaving(state: State, stop: Order) -> bool:
    """Whether a stop is about to be written together with its entry."""
    entry = entry_of(state, stop)
    return entry is not None and stop.state is OrderState.SENDING and waits(state, stop)

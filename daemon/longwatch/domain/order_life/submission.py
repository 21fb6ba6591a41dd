"""The steps by which an order, or its new terms, leave: decided, durable, handed over; for rebalance and stops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.orders import Change, Order, Purpose
from longwatch.domain.quotes import LIVE, Quote
from longwatch.domain.safeguards import attached
from longwatch.domain.state import State

Followed = Iterator[m.Fact | m.Effect]
Terms = tuple[Decimal, Decimal | None, Decimal | None]
"""Quantity, limit and stop price."""
ASK_AGAIN_AFTER = timedelta(seconds=30)


def submitted(
    state: State, order: Order, instrument: Instrument, tech: datetime, quote: Quote | None = None
) -> Followed:
    """All facts are durable before the bytes leave; that the `quote` it was decided on was not live is one of them."""
    yield m.OrderIntended(order=order)
    if quote is not None and quote.market_data_type != LIVE:
        yield m.DelayedDataUsed(intent=order.intent, symbol=order.symbol, market_data_type=quote.market_data_type)
    if state.settings.what_if and order.purpose is Purpose.ENTRY:
        yield from _asked(state, order, instrument, tech)
    else:
        yield from sending(state, order.intent, instrument, tech)


def _asked(state: State, order: Order, instrument: Instrument, tech: datetime) -> Followed:
    """The broker is asked what it would bind of margin; what_if.py says what follows from the answer."""
    order_id = state.next_id
    deadline = tech + timedelta(seconds=state.settings.what_if_seconds)
    yield m.WhatIfAsked(intent=order.intent, order_id=order_id, asked_at=tech, deadline=deadline)
    yield m.RequestWhatIf(order=replace(order, order_id=order_id), instrument=instrument)


def sending(state: State, intent: int, instrument: Instrument, tech: datetime) -> Followed:
    """An intended order leaves, under an id that is given to no other; an entry with its stop, where that is wanted."""
    entry = state.orders[intent]
    level = attached.level_with(state, entry, instrument)
    yield _sending(state, intent, tech)
    if level is None:
        yield m.SubmitOrder(order=state.orders[intent], instrument=instrument)
        return
    stop = attached.stop_order(state, instrument, entry.side.opposite, entry.quantity, level, entry.created_at)
    parent_id = state.orders[intent].order_id or 0
    yield m.OrderIntended(order=replace(stop, attached_to=intent, parent_id=parent_id))
    yield _sending(state, stop.intent, tech)
    yield m.SubmitOrder(order=state.orders[intent], instrument=instrument, attached=state.orders[stop.intent])


def _sending(state: State, intent: int, tech: datetime) -> m.OrderSending:
    return m.OrderSending(
        intent=intent,
        order_id=state.next_id,
        client_id=state.client_id,
        epoch=state.epoch,
        sent_at=tech,
        deadline=tech + timedelta(seconds=2 * state.settings.acknowledge_seconds),
    )


def was_in_vain(order: Order, terms: Terms, event: m.Event) -> bool:
    """Whether these very terms have just been asked for and not become the order's.

    Every telling of the order would else ask for them again; a reading of the account does, or the next telling later.
    """
    vain = order.vain
    if vain is None or vain.terms != terms or isinstance(event, m.SnapshotSeen):
        return False
    return event.tech - vain.asked_at < ASK_AGAIN_AFTER


def asking(state: State, order: Order, instrument: Instrument, terms: Terms, reason: str, tech: datetime) -> Followed:
    """Ask the broker for new terms of a working order; whoever calls this has seen that it can be modified."""
    quantity, limit, stop = terms
    change = Change(
        number=order.changed + 1,
        quantity=quantity,
        limit_price=limit,
        stop_price=stop,
        asked_at=tech,
        reason=reason,
        deadline=tech + timedelta(seconds=2 * state.settings.acknowledge_seconds),
    )
    yield m.OrderChangeAsked(intent=order.intent, change=change)
    wanted = replace(state.orders[order.intent], quantity=quantity, limit_price=limit, stop_price=stop)
    yield m.ModifyOrder(order=wanted, instrument=instrument)

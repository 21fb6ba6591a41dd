"""Fills that the exchange has taken back, concluded from what the broker no longer shows; called by reconcile.

A gateway may tell a bust by a revision of no shares, which lifecycle books, or by nothing: the execution is missing
from the day's downloads, and the position lacks just its shares. Where a gateway must still know the execution, both
together prove it. One started anew, or past its own midnight, has forgotten the day: that difference quarantines, and
a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.evidence import EVIDENCE_OF_END, Decided, advance
from longwatch.domain.order_life.inference import GIVEN_UP, MADE_UP, called, made_up
from longwatch.domain.order_life.listing import reaches_back_to
from longwatch.domain.orders import Evidence, Order, OrderState
from longwatch.domain.sessions import EXCHANGE_ZONE
from longwatch.domain.state import Fill, State
from longwatch.quick import changed

BUSTED = "busted:"
"""What an execution is called from then on that was taken back without a revision of it."""
NOT_TOLD = (*MADE_UP, BUSTED)
ZERO = Decimal(0)


def take_back(state: State, row: m.Difference, event: m.SnapshotSeen) -> Decided:
    """Undo the fills that a standing difference and the day's executions show to be gone; nothing where others fit."""
    missing = row.account - row.book - row.outside
    gone = list(_not_shown(state, row.con_id, event))
    alone = [fill for fill in gone if -fill.quantity == missing]
    busted = alone if len(alone) == 1 else gone if -sum((fill.quantity for fill in gone), ZERO) == missing else []
    if any(_may_be_unheard(state, fill) for fill in busted):
        return
    for fill in busted:
        yield from _undo(fill, event.tech)


def taken_back_as(state: State, exec_id: str) -> str | None:
    """What stands in the place of an execution that was taken back and is told again; `newer` for an older revision."""
    stem, _, revision = exec_id.rpartition(".")
    name = next(iter(called(state, f"{BUSTED}{stem}.")), None) if stem else None
    return name if name is None or revision >= name.rpartition(".")[2] else "newer"


def never_were(state: State, order: Order, event: m.SnapshotSeen) -> Decided:
    """An order that is told to have filled, and at its session's end neither executions nor the account show it."""
    still = order.moved_at is None or order.moved_at < event.started_tech
    if order.state is not OrderState.WORKING or order.told >= order.reported or not still:
        return
    if order.ending is None:
        why = "neither the day's executions nor the account show them; see the broker's statement"
        yield from give_up(state, order, why, event.at, event.tech)
        return
    evidence = Evidence.EXPIRED if order.ending is OrderState.FILLED else EVIDENCE_OF_END[order.ending]
    text = f"told to be {order.ending.value} after {order.reported}, of which {order.reported - order.told} are no more"
    yield m.RaiseAlert(
        key="fill_taken_back",
        text=f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) is {text}: neither the day's "
        "executions nor the account show them; see the broker's statement",
        severity="critical",
    )
    yield from advance(state, order, evidence, text=text)


def give_up(state: State, order: Order, why: str, at: datetime, tech: datetime) -> Decided:
    """The shares that the status of a working order tells of, and no execution, are taken back before they were told.

    The status goes on counting them, so new terms do too. Should they be told after all, they are booked as any.
    """
    gone = order.reported - order.told
    row = made_up(state, order, GIVEN_UP, ZERO, order.stop_price or order.decision_price, at, tech)
    yield changed(row, taken_back=gone)
    yield m.RaiseAlert(
        key="fill_taken_back",
        text=f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) works on, told to have filled "
        f"{order.reported}, of which {gone} are taken as never filled: {why}",
        severity="critical",
    )


def was_given_up(state: State, intent: int | None, executed_at: datetime) -> bool:
    """Whether an execution may be one that an order's status had told of and that was waited for no more."""
    rows = () if intent is None else called(state, f"{GIVEN_UP}{intent}.")
    return any(executed_at <= state.fills[name].executed_at for name in rows)


def _not_shown(state: State, con_id: int, event: m.SnapshotSeen) -> Iterator[Fill]:
    """Our executions of today that this gateway has told or known, and does not show any more in any revision."""
    listed = set(event.exec_ids or ())
    shown = {exec_id.rpartition(".")[0] for exec_id in listed}
    oldest = min((fill.tech for fill in state.fills.values() if fill.exec_id in listed), default=None)
    for fill in state.fills.values():
        if fill.con_id != con_id or fill.intent is None or not fill.quantity or fill.exec_id.startswith(NOT_TOLD):
            continue
        is_known = state.orders[fill.intent].epoch == state.epoch or (oldest is not None and oldest <= fill.tech)
        is_todays = _day(fill.executed_at) == _day(event.at)
        is_gone = is_known and is_todays and fill.exec_id.rpartition(".")[0] not in shown
        if is_gone and reaches_back_to(state, fill.executed_at, event):
            yield fill


def _may_be_unheard(state: State, fill: Fill) -> bool:
    """Whether an unheard fill could have made the same difference: an order on the other side, or somebody else's."""
    other = any(order.side.sign * fill.quantity < 0 for order in state.live_in(fill.con_id))
    return other or any(foreign.con_id == fill.con_id for foreign in state.foreign_orders.values())


def _undo(fill: Fill, tech: datetime) -> Decided:
    side = Side.BUY if fill.quantity > 0 else Side.SELL
    yield m.FillBooked(
        exec_id=f"{BUSTED}{fill.exec_id}",
        intent=fill.intent,
        con_id=fill.con_id,
        symbol=fill.symbol,
        side=side,
        quantity=ZERO,
        price=fill.price,
        executed_at=fill.executed_at,
        tech=tech,
        replaces=fill.exec_id,
        taken_back=abs(fill.quantity),
        recounted=True,
    )
    yield m.RaiseAlert(
        key="fill_taken_back",
        text=f"{side.value} {abs(fill.quantity)} {fill.symbol} at {fill.price} ({fill.exec_id}) was taken back: "
        "neither the day's executions nor the account show it any more",
        severity="critical",
    )


def _day(at: datetime) -> object:
    return at.astimezone(EXCHANGE_ZONE).date()

"""What `adopt` may take as ours, and why it may not; asked by commands, replies, and reconcile at the first sight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.inference import may_have_filled
from longwatch.domain.orders import Order, OrderState
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.breaks import differences
from longwatch.domain.reconciliation.quarantines import POSITION, lets_adopt
from longwatch.domain.state import State

ZERO = Decimal(0)
SHARES = "STK"


def meant(state: State, name: str) -> dict[int, str]:
    """Contract -> symbol of all beside ours that `adopt` is said of: a symbol, a contract's number, or `all`.

    A symbol is that of the contract which is traded under it; options bear their underlying's. `all` is what stands
    outside: a difference needs a word of its own.
    """
    if name == "all":
        return {con_id: symbol for con_id, (symbol, _) in state.outside.items()}
    found = {con_id: symbol for con_id, symbol in beside(state).items() if name in (symbol, str(con_id))}
    if name not in found.values():
        return found
    ours = {con_id: symbol for con_id, symbol in found.items() if not_traded(state, con_id, symbol) is None}
    return ours or found


def beside(state: State) -> dict[int, str]:
    """Contract -> symbol of what the account holds beside ours, or of what differs and is quarantined for it."""
    apart = {row.con_id: row.symbol for row in differences(state) if row.con_id in state.quarantines}
    return apart | {con_id: symbol for con_id, (symbol, _) in state.outside.items()}


def objection(state: State, event: m.ControlRequested, con_id: int, symbol: str) -> str | None:
    """One sentence why what is beside ours in a contract can't become ours by this command now, or None."""
    held = state.quarantines.get(con_id)
    is_said = held is not None and lets_adopt(held)
    row = next((one for one in differences(state) if one.con_id == con_id and is_said), None)
    named_wrongly = not_traded(state, con_id, symbol) or _ambiguous(state, con_id, symbol, event.argument)
    if named_wrongly is not None or (row is not None and splits.said(state, row, "", event.at) is not None):
        return named_wrongly
    quantity = state.outside.get(con_id, (symbol, ZERO))[1] if row is None else row.missing
    may_be_ours = None if row is None else _may_be_ours(state, row)
    return _is_untold(state, con_id) or may_be_ours or sold_by_others(state, con_id, quantity)


def objection_at_first(state: State, row: m.PositionRow, extra: Decimal) -> str | None:
    """The same of what the account held before our first comparison, of which nothing is beside ours yet."""
    con_id, symbol = row.con_id, row.symbol
    return (
        not_traded(state, con_id, symbol)
        or _ambiguous(state, con_id, symbol)
        or _is_untold(state, con_id)
        or sold_by_others(state, con_id, extra)
    )


def not_traded(state: State, con_id: int, symbol: str) -> str | None:
    """Why a contract that is not ours yet is none that could be traded, priced or closed under its symbol, or None."""
    if state.held(con_id):
        return None
    known, kind = state.instruments.get(symbol), state.sec_types.get(con_id, SHARES)
    if (kind == SHARES) if known is None else (known.con_id == con_id):
        return None
    what = f"contract {con_id} ({kind}) bears the symbol {symbol}"
    why = "it is none of shares" if known is None else f"what is traded under that is contract {known.con_id}"
    return f"{what}, but {why}: it can't be ours (`longwatch unquarantine {con_id}` leaves it outside)"


def sold_by_others(state: State, con_id: int, quantity: Decimal) -> str | None:
    """Why so many signed shares can't be added to ours: somebody else's order may sell the same, beside our stop."""
    after = state.held(con_id) + quantity
    if quantity * after <= 0:
        return None
    for order in state.foreign_orders.values():
        if order.con_id == con_id and order.remaining and order.side.sign * after < 0:
            what = f"{order.side.value} {order.remaining} {order.symbol} (permId {order.perm_id})"
            return f"{what}, an order that is not ours, may trade the same shares as our stop: cancel it in TWS first"
    return None


def _ambiguous(state: State, con_id: int, symbol: str, name: str = "") -> str | None:
    """Of several contracts that bear a symbol which is not traded yet, one has to be named by its number."""
    if symbol in state.instruments or str(con_id) == name:
        return None
    held = {one: its for one, (its, _) in state.account_positions.items()} | beside(state)
    found = [one for one, its in held.items() if its == symbol and not_traded(state, one, its) is None]
    if len(found) < 2:
        return None
    return f"{symbol} is the symbol of the contracts {', '.join(map(str, sorted(found)))}: say which, by its number"


def _may_be_ours(state: State, row: m.Difference) -> str | None:
    """Why a difference must not be adopted: an order of ours may have made it, and its execution would add it again."""
    since = next((one.since for one in _compared(state) if one.con_id == row.con_id), None)
    is_read_twice = state.quarantines[row.con_id].reason.startswith(POSITION)
    for order in state.live_in(row.con_id):
        is_way = order.side.sign * row.missing > 0
        if order.state is OrderState.UNKNOWN and is_way:
            return _settle(order)
        # Two readings have shown what rests unfilled: to have it cancelled would leave the holding without a stop.
        is_shown_unfilled = is_read_twice and order.rests and order.change is None
        if is_way and may_have_filled(order, row.missing) and not _is_later(order, since) and not is_shown_unfilled:
            what = f"{order.ref} ({order.side.value} {order.quantity} {order.symbol})"
            return f"{what} may have made the difference: first `longwatch cancel {order.intent}`, and wait for its end"
    return None


def _is_untold(state: State, con_id: int) -> str | None:
    """Why nothing of a contract may be adopted: the broker has told of fills whose executions are still to come."""
    return next((_settle(order) for order in state.live_in(con_id) if order.reported > order.told), None)


def _settle(order: Order) -> str:
    what = f"{order.ref} ({order.side.value} {order.quantity} {order.symbol})"
    word = f"`longwatch resolve {order.intent}`, by the broker's statement"
    if order.state is not OrderState.UNKNOWN and order.ending is None:
        word = f"`longwatch cancel {order.intent}`, and once that is answered {word}"
    return f"{what} may have traded what no execution has told of yet, and that would count twice: first {word}"


def _is_later(order: Order, since: datetime | None) -> bool:
    """Whether an order was sent, or given new terms that the broker has taken, after the difference was there."""
    if since is None or order.change is not None:
        return False
    return any(at is not None and at > since for at in (order.sent_at, order.changed_at))


def _compared(state: State) -> Iterator[m.Difference]:
    yield from state.compared.differences if state.compared is not None else ()

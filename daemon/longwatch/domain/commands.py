"""What a person's command comes to: verbs, cancels, adoption, the end of a quarantine; called by decide."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Level, meant
from longwatch.domain.order_life import breaker, modification, resolution
from longwatch.domain.order_life.evidence import FLATTEN, Decided, may_close_more
from longwatch.domain.order_life.identity import cancels, out_of_reach
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.portfolio import flattening
from longwatch.domain.reconciliation import adopting, splits
from longwatch.domain.reconciliation.breaks import differences
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import POSITION, is_for, lets_adopt, lifted, tells_of_shares
from longwatch.domain.risk import holds
from longwatch.domain.risk.verbs import is_flattened
from longwatch.domain.safeguards import stop_levels
from longwatch.domain.state import State

ZERO = Decimal(0)


def obey(state: State, event: m.ControlRequested) -> Decided:
    """The facts and effects of one command; commands about the process itself never come this far."""
    match event.command:
        case "pause":
            yield from _verb(state, event, m.Verb.PAUSE)
        case "halt":
            yield from _verb(state, event, m.Verb.HALT)
            yield from _cancel(state, [o for o in state.live_orders() if o.purpose is not Purpose.STOP], "halt")
        case "flatten":
            yield from _verb(state, event, m.Verb.FLATTEN, event.argument if event.argument in FLATTEN_TYPES else "")
            # What is not closed stays protected.
            live = state.live_orders()
            ending = [o for o in live if o.purpose is not Purpose.STOP or is_flattened(state, o.con_id)]
            yield from _cancel(state, ending, "flatten")
            if may_close_more(state, event.at):
                yield m.RunJob(job="rebalance", reason=FLATTEN)
            else:
                yield from flattening.left_open(state)
        case "resume":
            yield from _resume(state, event)
        case "cancel":
            chosen = named(state, event.argument)
            yield from breaker.hold(state, chosen, breaker.BY_A_PERSON, event.at)
            yield from _cancel(state, chosen, "asked for by a person")
        case "modify":
            yield from modification.obey(state, event)
        case "adopt":
            yield from _adopt(state, event)
        case "unquarantine":
            yield from _unquarantine(state, event)
        case "resolve":
            yield from resolution.resolve(state, event)
        case "flow":
            yield from holds.flow_told(state, Decimal(event.argument), f"{event.by}: {event.reason}", event.at)
        case "reconcile":
            yield m.RequestSnapshot(reason="asked for by a person")


def named(state: State, name: str) -> list[Order]:
    """The live orders of a symbol, number or reference, or `all`."""
    return [order for order in state.live_orders() if name in ("all", str(order.intent), order.ref, order.symbol)]


def _verb(state: State, event: m.ControlRequested, verb: m.Verb, choice: str = "") -> Decided:
    known = state.verbs.get(verb)
    if known is None or (choice and known.choice != choice):
        yield m.VerbSet(verb=verb, on=True, by=event.by, reason=event.reason, choice=choice, tech=event.tech)


def _resume(state: State, event: m.ControlRequested) -> Decided:
    """Without an argument verbs and the account's holds are lifted; with a name what is on it, with `all` all."""
    for verb in list(state.verbs) if event.argument in ("", "all") else ():
        yield m.VerbSet(verb=verb, on=False, by=event.by, reason=event.reason)
    yield from holds.resumed(state, event.argument, f"{event.by}: {event.reason}", event.at)
    level, name = meant(event.argument)
    for row in list(state.breakers.values()):
        if level in (None, Level.INSTRUMENT) and name in ("all", row.symbol):
            yield breaker.lifted(row, f"{event.by}: {event.reason}")
    if event.argument and may_close_more(state, event.at):
        yield m.RunJob(job="rebalance", reason=FLATTEN)


def _cancel(state: State, orders: list[Order], reason: str) -> Decided:
    """Ask for the end of orders; one not yet sent is stopped by the gate, which sees the same mark."""
    for order in orders:
        yield m.OrderCancelAsked(intent=order.intent, reason=reason)
        yield from cancels(state, order)
        beyond = out_of_reach(state, order)
        if order.order_id is not None and beyond is not None:
            yield m.RaiseAlert(
                key="cancel_unreachable",
                text=f"{order.side.value} {order.quantity} {order.symbol} ({order.ref}) can't be cancelled from here: "
                f"{beyond} (order {order.order_id} of client {order.client_id}); cancel it in TWS",
                severity="critical",
            )


def _unquarantine(state: State, event: m.ControlRequested) -> Decided:
    """What differs is left outside by this person's word: the next comparison would else find it again.

    But not where it was told of something else, a permission say: the person may not know of a difference.
    """
    by = f"{event.by}: {event.reason}"
    for con_id, held in list(state.quarantines.items()):
        if event.argument not in (held.symbol, str(con_id)):
            continue
        for row in differences(state):
            if row.con_id == con_id and not tells_of_shares(held):
                yield _not_said(row, "left outside")
            elif row.con_id == con_id:
                left = row.outside + row.missing
                yield m.OutsideSet(con_id=con_id, symbol=row.symbol, quantity=left, reason=by, cause=held.cause)
        yield from _ended(state, con_id, held, by)
        # What the last comparison found stays in doubt until the next one, and has no stop meanwhile.
        yield m.RequestSnapshot(reason=f"the quarantine of {held.symbol} was lifted")


def _not_said(row: m.Difference, done: str) -> m.RaiseAlert:
    text = (
        f"{row.symbol}: that was not about its shares, and book {row.book} + outside {row.outside} is not "
        f"the account's {row.account}: nothing of that is {done}; where it stands it is quarantined for it"
    )
    return m.RaiseAlert(key="unexplained_difference", text=text)


def _ended(state: State, con_id: int, held: m.QuarantineSet, by: str) -> Decided:
    """The end of a quarantine by a person's word; who says what a split was says what its history is, too."""
    yield from lifted(state, con_id, by)
    if held.cause is Cause.SPLIT:
        yield from lifted(state, con_id, by, of=Cause.REBASED)


def _adopt(state: State, event: m.ControlRequested) -> Decided:
    """What is outside becomes ours; where a contract is quarantined for a difference, that does, and no more.

    The account is right there and our book is not; what is held outside beside it was explained before. Where it was
    quarantined for something else, the difference may be a fill on its way.
    """
    by, name = f"{event.by}: {event.reason}", event.argument
    meant, apart = {}, set()
    for con_id, symbol in adopting.meant(state, name).items():
        why_not = adopting.objection(state, event, con_id, symbol)
        if why_not is None:
            meant[con_id] = symbol
        else:
            yield m.RaiseAlert(key="not_adopted", text=f"{symbol} stays as it is: {why_not}")
    for row in differences(state):
        held_back = state.quarantines.get(row.con_id)
        if row.con_id not in meant or name == "all" or held_back is None:
            continue
        if not lets_adopt(held_back):
            yield _not_said(row, "adopted")
            continue
        if held_back.cause not in ADOPTED:
            apart.add(row.con_id)
        split = splits.said(state, row, by, event.at)
        if split is not None:
            yield from splits.booked(state, split, by)
        else:
            yield from _taken_over(state, row, by, event.at)
        yield m.RequestSnapshot(reason=f"{row.symbol} was adopted")
    yield from _adopt_outside(state, by, meant.keys() - apart)
    for con_id, held in list(state.quarantines.items()):
        is_ended = held.cause in ADOPTED or held.reason.startswith(POSITION)
        if con_id in meant and name != "all" and is_ended:
            yield from _ended(state, con_id, held, by)


def _taken_over(state: State, row: m.Difference, by: str, at: datetime) -> Decided:
    """Shares that differ, taken as ours; where a split may be among it, by which ratio nobody knows, no level holds."""
    yield m.HoldingAdopted(
        con_id=row.con_id,
        symbol=row.symbol,
        quantity=row.missing,
        average_cost=_cost_of(state, row),
        reason=by,
        off_parts=True,
    )
    level = state.stop_levels.get(row.con_id)
    if level is not None and is_for(state, row.con_id, {Cause.SPLIT}):
        yield stop_levels.gone(level, at, "it may be of shares that a split has replaced")
        text = f"{row.symbol}: its stop at {level.level} is set anew by what its shares cost now, see `status`"
        yield m.RaiseAlert(key="stop_set_anew", text=text)


FLATTEN_TYPES = ("LMT", "MKT")
"""What a flatten can close with: a limit beyond the far side of the quote, or the market."""
ADOPTED = frozenset({Cause.LIQUIDATION, Cause.OURS_UNKNOWN})
"""Trades by others whose quarantine ends when a person takes them as ours."""


def _cost_of(state: State, row: m.Difference) -> Decimal:
    """What the shares that differ cost, each: as makes our average the account's, where the account is all ours."""
    cost, holding = state.account_costs.get(row.con_id), state.book.get(row.con_id)
    before = holding.average_cost if holding else ZERO
    if cost is None or row.outside or row.book * row.missing < 0:
        return dict(state.equity.prices).get(row.symbol, before) if state.equity else before
    return max((cost * row.account - before * row.book) / row.missing, ZERO)


def _cost_outside(state: State, con_id: int, symbol: str, quantity: Decimal) -> Decimal:
    """What shares outside cost, each: as the account tells it, else the last price, else nothing."""
    cost, holding = state.account_costs.get(con_id), state.book.get(con_id)
    if cost is None or (holding is not None and holding.quantity * quantity < 0):
        return (dict(state.equity.prices) if state.equity else {}).get(symbol, cost or ZERO)
    if holding is None:
        return cost
    # The account's average is that of ours and of what is outside together.
    return max((cost * (holding.quantity + quantity) - holding.average_cost * holding.quantity) / quantity, ZERO)


def _adopt_outside(state: State, by: str, con_ids: Set[int]) -> Decided:
    for con_id, (symbol, quantity) in list(state.outside.items()):
        if con_id in con_ids:
            yield m.OutsideSet(con_id=con_id, symbol=symbol, quantity=ZERO, reason="adopted")
            yield m.HoldingAdopted(
                con_id=con_id,
                symbol=symbol,
                quantity=quantity,
                average_cost=_cost_outside(state, con_id, symbol, quantity),
                reason=by,
                off_parts=True,
            )

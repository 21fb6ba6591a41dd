"""Protective stops: what rests at the broker against what is held, after every event that may change either.

Called by decide. One stop a holding, good till cancelled, in an OCA group of its own, for the shares in the book that
no other order of ours may sell. While the outcome of a stop, of its cancel or of its modification is open, nothing is
sent beside it.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side, to_lot, to_order
from longwatch.domain.order_life import breaker, modification
from longwatch.domain.order_life.evidence import SELLS_ENDED, Decided, may_go_on
from longwatch.domain.order_life.identity import cancels, instrument_of
from longwatch.domain.order_life.submission import asking, submitted, was_in_vain
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import FROZEN, ONLY_LESS, is_for
from longwatch.domain.risk.attached import ends_with_its_entry, may_trade, waits
from longwatch.domain.risk.exposure import is_told_late, still_there, surely_there
from longwatch.domain.risk.oca import at_most, group_of, is_intact, is_spent, may_be_filled, others
from longwatch.domain.risk.readiness import is_ready
from longwatch.domain.risk.verbs import Action, forbidden_by, is_flattened
from longwatch.domain.safeguards import attached, protection, stop_levels
from longwatch.domain.safeguards.pauses import ends_by_itself
from longwatch.domain.safeguards.shares import is_more_than_left, known_held
from longwatch.domain.state import State
from longwatch.quick import changed

ZERO = Decimal(0)
STOPPED_OUT = "stopped out"
PROFIT_TAKEN = "its profit taken"
A_PROBE = timedelta(hours=1)
"""A stop that was cancelled as unknown, and ended so soon, ended by that: no split comes within a session."""

ACTS_ON = frozenset(
    {
        m.ExecutionSeen,
        m.OpenOrderSeen,
        m.OrderStatusSeen,
        m.CompletedOrderSeen,
        m.SnapshotSeen,
        m.DataRefreshed,
        m.ConfigLoaded,
        m.ControlRequested,
    }
)
"""What may change a holding, a stop, or what is wanted of it. A refusal is not among them: the next reading is."""
OPENS_GATE = frozenset({m.ClockSeen, m.FarmSeen, m.InstrumentsSeen})
"""What may end a reason not to be ready, for which a stop could not be placed, or made smaller; after an outage it is
a reading. That an order is answered for, which nobody had spoken of, may come with any event: decide sees it."""
LOOKS_AT = ACTS_ON | OPENS_GATE | {m.OrderErrorSeen, m.OrderWithheld, m.JobSeen, m.LinkLost, m.TimeReached}
"""After these what is unprotected is noted."""


def protect(state: State, event: m.Event, *, opens: bool = False) -> Decided:
    """The stops of every holding that an event may be about; of all where it `opens` the gate."""
    if not (opens or type(event) in LOOKS_AT) or not _is_any_matter(state):
        return
    acts = type(event) in ACTS_ON
    about = instrument_of(state, event) if acts else None
    found = [about[0]] if about is not None else _concerned(state)
    for con_id in sorted({*found, *_concerned(state)}) if opens else found:
        is_about = acts and (about is None or con_id == about[0])
        if is_about or _is_due(state, con_id, event, opens=opens or type(event) in OPENS_GATE):
            yield from _acted(state, con_id, event)
        yield from _metered(state, con_id, event)


def _is_due(state: State, con_id: int, event: m.Event, *, opens: bool) -> bool:
    if opens:
        row = state.unprotected.get(con_id)
        return bool(row and row.unprotected) or _is_too_large(state, con_id)
    is_ready = isinstance(event, m.TimeReached) and state.link is m.Link.READY
    return is_ready and protection.is_due(state, con_id, event.tech)


def _is_too_large(state: State, con_id: int) -> bool:
    stops = (one for one in state.live_in(con_id) if one.purpose is Purpose.STOP)
    return at_most(state, stops) > abs(known_held(state, con_id))


def _is_any_matter(state: State) -> bool:
    return bool(stop_levels.any_rule(state.settings) or state.stop_levels or state.unprotected or state.surpluses)


def _concerned(state: State) -> list[int]:
    held = {con_id for con_id, holding in state.book.items() if holding.quantity}
    ordered = {order.con_id for order in state.live_orders() if order.purpose is Purpose.STOP}
    return sorted(held | ordered | state.stop_levels.keys() | state.unprotected.keys() | state.surpluses.keys())


def _acted(state: State, con_id: int, event: m.Event) -> Decided:
    instrument = instrument_called(state, con_id)
    if instrument is None or is_for(state, con_id, FROZEN):
        return
    if is_for(state, con_id, ONLY_LESS) and not is_more_than_left(state, con_id, Purpose.STOP):
        return
    held, row = known_held(state, con_id), state.stop_levels.get(con_id)
    if not state.held(con_id):
        yield from breaker.lapsed(state, con_id)
    is_wanted = stop_levels.is_wanted(state, con_id, instrument.symbol)
    if is_wanted and held:
        # Of prices of other shares no level is made; how many shares are held is known all the same.
        if not is_for(state, con_id, {Cause.REBASED, Cause.CONTRACT}):
            yield from stop_levels.levelled(state, instrument, held, event)
    elif row is not None and not (is_wanted and state.held(con_id)):
        yield stop_levels.gone(row, event.at, stop_levels.why_none(state, instrument))
    # What a flatten could not close before, for a quarantine, it closes once the stop that was left there is gone.
    is_kept = is_wanted and not is_flattened(state, con_id)
    yield from _adjusted(state, instrument, held if is_kept else ZERO, event)


def instrument_called(state: State, con_id: int) -> Instrument | None:
    """The instrument of a number, if it is known."""
    return next((one for one in state.instruments.values() if one.con_id == con_id), None)


def _adjusted(state: State, instrument: Instrument, held: Decimal, event: m.Event) -> Decided:
    """Bring what rests at the broker to what is wanted, one step at a time."""
    side = Side.SELL if held > 0 else Side.BUY
    stops = [order for order in state.live_in(instrument.con_id) if order.purpose is Purpose.STOP]
    children = [order for order in stops if waits(state, order)]
    if children:
        for order in children:
            yield from attached.looked_after(state, order, held, event)
        return
    waiting = [order for order in stops if order.cancel_asked or order.ending is not None]
    standing = [order for order in stops if not order.cancel_asked and order.ending is None]
    useless = [order for order in standing if not held or order.side is not side]
    regrouped = [order for order in standing if attached.is_regrouped(state, order, event)]
    for order in regrouped:
        yield m.OrderCancelAsked(intent=order.intent, reason=attached.REGROUPED)
        yield from cancels(state, order)
    if regrouped:
        return
    keep = max((one for one in standing if one not in useless), key=lambda one: one.remaining, default=None)
    for order in standing:
        if order is not keep and not ends_by_itself(state, order, event.tech):
            another = "another stop rests for these shares"
            reason = stop_levels.why_none(state, instrument) if order in useless else another
            yield m.OrderCancelAsked(intent=order.intent, reason=reason)
            yield from cancels(state, order)
    if not held or waiting or len(standing) > 1 or useless:
        return
    if keep is not None:
        yield from _changed(state, keep, instrument, abs(held), event)
    else:
        yield from _placed(state, instrument, held, event)


def _free(state: State, con_id: int, side: Side, besides: Order | None) -> Decimal:
    """Shares that other orders of ours on this side may still sell, or buy back, beside a stop and its group."""
    group = group_of(besides) if besides is not None else ""
    rest = (one for one in state.live_in(con_id) if one.side is side and one is not besides)
    return at_most(state, (one for one in rest if not group or group_of(one) != group))


# ── a stop that works ───────────────────────────────────────────────────────────────────────────────────────────────


def _changed(state: State, order: Order, instrument: Instrument, held: Decimal, event: m.Event) -> Decided:
    """New terms for a working stop; what its group takes from it, the broker takes by itself."""
    row = state.stop_levels.get(order.con_id)
    if row is None or row.level is None or order.reported > order.told or ends_by_itself(state, order, event.tech):
        return
    if order.stop_price is None:
        return  # somebody has made it an order of another type: it is theirs now
    exits = [one for one in others(state, order) if one.is_live]
    if any(one.state is OrderState.UNKNOWN for one in exits):
        return  # whatever it fills, the broker takes from the stop: as it is, that is right for either outcome
    # What an exit of the group has filled unheard, the broker has taken from the stop already.
    unheard = sum(map(may_be_filled, exits), ZERO)
    free = to_lot(held - unheard - _free(state, order.con_id, order.side, order), instrument.lot)
    # A fill that was taken back is not open again at the broker: new terms count from all it was told to have filled.
    if exits and order.told + free > order.quantity:
        # What an exit fills before the larger stop is there would be taken from the smaller one: that part is left out.
        free = to_lot(max(free - sum(one.remaining for one in exits), ZERO), instrument.lot)
        if order.told + free <= order.quantity:
            return
    if order.told + free > order.quantity:
        lacking = max(held - surely_there(state, order.con_id), ZERO)
        free = max(to_lot(free - lacking, instrument.lot), order.quantity - order.told)
    quantity = order.told + max(free, ZERO)
    level = order.stop_price if is_for(state, order.con_id, {Cause.REBASED}) else row.level
    if (quantity, level) == (order.quantity, order.stop_price) or any(map(is_spent, others(state, order))):
        return
    terms = (quantity, None, level)
    if was_in_vain(order, terms, event):
        return
    if row.because == stop_levels.BY_HAND and row.at == event.at:
        return  # a reading will say first whether that was a split
    if modification.not_modifiable(state, order, event.tech) is not None:
        return
    if forbidden_by(state, order.con_id, Action.STOP, ready=True, besides=order.intent) is not None:
        return
    if quantity <= order.told or quantity < instrument.min_size:
        too_few = f"the broker takes no order for fewer than {instrument.min_size} shares"
        reason = "other orders sell all that is held" if quantity <= order.told else too_few
        yield m.OrderCancelAsked(intent=order.intent, reason=reason)
        yield from cancels(state, order)
        return
    why = f"{quantity} behind {level} ({row.because})"
    yield from asking(state, order, instrument, terms, why, event.tech)


# ── a new one ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _placed(state: State, instrument: Instrument, held: Decimal, event: m.Event) -> Decided:
    con_id, side = instrument.con_id, Side.SELL if held > 0 else Side.BUY
    row = state.stop_levels.get(con_id)
    # What the last reading of the account did not show may have been taken back: a stop for it could turn it round.
    quantity = to_order(min(abs(held), surely_there(state, con_id)) - _free(state, con_id, side, None), instrument)
    if row is None or row.level is None or quantity <= 0:
        if is_told_late(state, con_id) and not isinstance(event, m.SnapshotSeen):
            yield m.RequestSnapshot(reason=f"a fill of {instrument.symbol} was told after the account was read")
        return
    if forbidden_by(state, con_id, Action.STOP, ready=is_ready(state, event.tech)) is not None:
        return
    last = state.orders.get(state.last_stops.get(con_id, 0))
    if breaker.is_held_back(state, con_id, Purpose.STOP, event.at):
        return
    is_ended = last is not None and _was_ended(state, last)
    # By a split it ends too, and its terms would be those of the old shares.
    is_ahead = is_ended and is_for(state, con_id, {Cause.REBASED})
    level = stop_levels.for_either(state, instrument, row, row.level) if is_ahead else row.level
    if level is None or (is_ended and splits.may_be_one(state, con_id)):
        return
    if is_ended and last is not None and not is_read_since(state, last, event):
        # A stop that lapsed may have done so with a split that nobody has told of yet.
        if not isinstance(event, m.SnapshotSeen):
            yield m.RequestSnapshot(reason=f"the stop of {instrument.symbol} was ended at the broker")
        return
    if level != row.level:
        text = f"{instrument.symbol}: the broker has ended its stop at {row.level}; until its history is settled one"
        yield m.RaiseAlert(key="stop_of_either_scale", text=f"{text} rests at {level}, for old shares and for new ones")
    order = attached.stop_order(state, instrument, side, quantity, level, event.at)
    yield from submitted(state, order, instrument, event.tech)


def _was_ended(state: State, last: Order) -> bool:
    """Whether the last stop was ended by the broker, neither for us nor with its group.

    An unknown one is cancelled to prove that it is not there: where it was, it ends for us.
    """
    has_worked = last.state is not OrderState.ABSENT or bool(last.perm_ids)
    is_over = last.state in (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.ABSENT) and has_worked
    is_probed = last.probed and bool(last.moved_at and last.sent_at and last.moved_at - last.sent_at < A_PROBE)
    is_for_us = last.cancel_asked or is_probed or ends_with_its_entry(state, last)
    return is_over and not is_for_us and not any(map(is_spent, others(state, last)))


def is_read_since(state: State, last: Order, event: m.Event) -> bool:
    """Whether this is a reading of the account, in an open session, begun after that order had ended."""
    if not isinstance(event, m.SnapshotSeen) or last.moved_at is None or event.started_tech < last.moved_at:
        return False
    began_at = event.at - (event.tech - event.started_tech)
    return any(session.is_open(began_at) for session in state.sessions)


# ── fills ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def after_fill(state: State, fact: m.FillBooked, event: m.Event) -> Decided:
    """A stop, or a take-profit, has traded: what would buy the shares back is cancelled until the next session."""
    order = state.orders.get(fact.intent) if fact.intent is not None else None
    if order is None or not order.rests or not fact.quantity:
        return
    is_stop = order.purpose is Purpose.STOP
    reason = STOPPED_OUT if is_stop else PROFIT_TAKEN
    row = state.breakers.get((order.con_id, Purpose.ENTRY, reason))
    if row is None or row.until is None or row.until <= event.at:
        what = f"its stop at {order.stop_price} was triggered" if is_stop else f"profit taken at {order.limit_price}"
        text = f"{order.symbol}: {what}, {fact.quantity} at {fact.price} so far"
        yield m.RaiseAlert(key="stopped_out" if is_stop else "profit_taken", text=text)
    if state.settings.reenter_after_stop:
        return
    yield from breaker.hold(state, [changed(order, purpose=Purpose.ENTRY)], reason, event.at)
    entries = [one for one in state.live_in(order.con_id) if one.purpose is Purpose.ENTRY and not one.cancel_asked]
    for entry in entries:
        yield m.OrderCancelAsked(intent=entry.intent, reason=reason)
        yield from cancels(state, entry)


def after_terms(state: State, fact: m.OrderTermsSet, former: Order, event: m.Event) -> Decided:
    """Somebody has moved a stop at the broker: nobody moves it back. An exit may have waited for its new terms.

    Its price before, or that we had asked for, is nobody's move: the level may be ahead of both, not asked for yet.
    """
    if former.purpose is not Purpose.STOP:
        return
    row, price = state.stop_levels.get(former.con_id), fact.stop_price
    ours = (former.stop_price, former.change.stop_price if former.change is not None else None)
    is_by_somebody = fact.text == modification.BY_SOMEBODY
    if is_by_somebody and row is not None and price is not None and price not in (*ours, row.level):
        yield stop_levels.by_hand(row, price, event.at)
    if fact.change is None and may_go_on(state):
        yield m.RunJob(job="rebalance", reason=SELLS_ENDED)


# ── beside other orders ─────────────────────────────────────────────────────────────────────────────────────────────


def in_the_way(state: State, con_id: int, side: Side, *, reduces: bool) -> list[Order]:
    """The live orders that must have ended before a trade on `side`: with them it could turn a position round.

    An untouched stop is none of these: an exit enters its group, and what adds to the holding is on its other side. An
    exit in the group is: a second one would be shrunk by the first. So is a take-profit: it goes first.
    """
    held = still_there(state, con_id)
    found = []
    for order in state.live_in(con_id):
        if order.purpose is Purpose.PROFIT:
            is_in_the_way = order.side is side or order.remaining > held
        elif order.purpose is not Purpose.STOP:
            is_in_the_way = order.side is not side or (reduces and bool(group_of(order)))
        elif order.side is side:
            is_in_the_way = not (reduces and is_intact(state, order))
        else:
            is_in_the_way = may_trade(state, order) > held
        if is_in_the_way:
            found.append(order)
    return found


def _metered(state: State, con_id: int, event: m.Event) -> Decided:
    instrument = instrument_called(state, con_id)
    symbol = instrument.symbol if instrument is not None else state.book[con_id].symbol if con_id in state.book else ""
    wanted = abs(known_held(state, con_id)) if stop_levels.is_wanted(state, con_id, symbol) else ZERO
    yield from protection.metered(state, con_id, symbol, wanted, event)
    yield from protection.surplus_noted(state, con_id, symbol, wanted, event)

"""Take-profits: a limit order, good till cancelled, beside the stop of a holding and in its OCA group.

Called by decide after the stops. One a holding, for the shares of its stop, while that rests untouched and nothing else
of ours works in the instrument. Another price, or fewer shares, it is given by modification, by the rules of a stop's;
where it can't be, and where it is in the way of a stop that has to grow, it is cancelled, and the next one goes into
the group only when a reading of the account begun after its end shows what became of it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side, to_lot, to_tick
from longwatch.domain.order_life import breaker, modification
from longwatch.domain.order_life.breaker import is_held_back
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.identity import cancels, instrument_of
from longwatch.domain.order_life.submission import asking, submitted, was_in_vain
from longwatch.domain.orders import Order, OrderState, OrderType, Purpose
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.reconciliation.quarantines import FROZEN, ONLY_LESS, is_for
from longwatch.domain.risk import day_trades
from longwatch.domain.risk.oca import has_traded, is_intact, others
from longwatch.domain.risk.proposal import Refusal
from longwatch.domain.risk.readiness import is_ready
from longwatch.domain.risk.verbs import Action, forbidden_by, forbidden_for
from longwatch.domain.safeguards.pauses import ends_by_itself
from longwatch.domain.safeguards.shares import is_more_than_left, known_held
from longwatch.domain.safeguards.stop_levels import WORTH_MOVING, rules_of
from longwatch.domain.safeguards.stops import ACTS_ON, instrument_called, is_read_since
from longwatch.domain.state import State

ZERO = Decimal(0)
RUN = "profit"
LAST_MINUTE = timedelta(minutes=1)
"""Before the close: nothing that does not protect is to reach an exchange that has closed meanwhile."""


def beside(state: State, event: m.Event) -> Decided:
    """The take-profits of every holding that an event may be about."""
    if type(event) not in ACTS_ON and not isinstance(event, m.TimeReached):
        return
    profits = {order.con_id for order in state.live_orders() if order.purpose is Purpose.PROFIT}
    if not profits and not _any_rule(state):
        return
    for con_id in _concerned(state, profits, event):
        instrument = instrument_called(state, con_id)
        if instrument is None or is_for(state, con_id, FROZEN):
            continue
        if not is_for(state, con_id, ONLY_LESS) or is_more_than_left(state, con_id, Purpose.PROFIT):
            yield from _adjusted(state, instrument, event)


def _concerned(state: State, profits: set[int], event: m.Event) -> list[int]:
    """As time passes, those of which shares have just been seen to have no stop: beside a take-profit none grows."""
    if isinstance(event, m.TimeReached):
        seen = {con_id for con_id, row in state.unprotected.items() if row.unprotected and row.at == event.at}
        return sorted(profits & seen)
    about = instrument_of(state, event)
    held = {con_id for con_id, holding in state.book.items() if holding.quantity}
    return [about[0]] if about is not None else sorted(held | profits)


def _any_rule(state: State) -> bool:
    settings = state.settings
    rules = [rule for _, rule in (*settings.stops_of_symbols, *settings.stops_of_strategies)]
    return any(rule.profit_fraction for rule in rules) or bool(settings.stop and settings.stop.profit_fraction)


@dataclass(frozen=True, slots=True)
class Level:
    """Where a take-profit is to lie, on the tick grid, and of what that is made."""

    price: Decimal
    because: str


def level(state: State, instrument: Instrument, held: Decimal) -> Level | None:
    """Where a holding of `held` signed shares is sold with a profit; None where no rule says so.

    Of several rules the nearest counts; all measure from what was paid on average.
    """
    holding, judged = state.book.get(instrument.con_id), state.judged.get(instrument.symbol)
    paid, atr = holding.average_cost if holding is not None else ZERO, judged.atr if judged is not None else None
    found = []
    for rule in rules_of(state, instrument.symbol):
        if rule.profit_atr_multiple is not None and atr is not None:
            found.append((rule.profit_atr_multiple * atr, f"{rule.profit_atr_multiple} average true ranges of {atr:f}"))
        elif rule.profit_fraction is not None:
            found.append((rule.profit_fraction * paid, f"{rule.profit_fraction} of it"))
    if not found or paid <= 0:
        return None
    distance, what = min(found)
    price = to_tick(paid + distance if held > 0 else paid - distance, instrument.tick, _side(held))
    because = f"paid {paid:f} {'plus' if held > 0 else 'less'} {what}"
    return Level(price=max(price, instrument.tick), because=because)


def _side(held: Decimal) -> Side:
    return Side.SELL if held > 0 else Side.BUY


def _adjusted(state: State, instrument: Instrument, event: m.Event) -> Decided:
    held = known_held(state, instrument.con_id)
    is_of_before = splits.awaits_history(state, instrument.con_id, instrument.symbol)
    wanted = level(state, instrument, held) if held and not is_of_before else None
    profits = [order for order in state.live_in(instrument.con_id) if order.purpose is Purpose.PROFIT]
    for order in profits:
        if order.cancel_asked or order.ending is not None:
            continue
        most = to_lot(abs(held), instrument.lot)
        reason = _why_not_any_more(state, order, most, wanted, event) or _why_not_today(state, order, instrument, event)
        if reason is None and wanted is not None:
            reason = yield from _changed(state, order, instrument, most, wanted, event)
        if reason is not None:
            yield m.OrderCancelAsked(intent=order.intent, reason=reason)
            yield from cancels(state, order)
    if wanted is not None and not profits:
        yield from _placed(state, instrument, held, wanted.price, event)


def _why_not_any_more(state: State, order: Order, held: Decimal, wanted: Level | None, event: m.Event) -> str | None:
    """Why a take-profit must go; None while it may stay, or while it is not known yet what its group has traded."""
    if ends_by_itself(state, order, event.tech):
        return None
    if not held or state.held(order.con_id) * order.side.sign > 0:
        return "nothing is held any more"
    if wanted is None:
        return "no rule asks for a take-profit any more"
    if any(one.purpose not in (Purpose.STOP, Purpose.PROFIT) for one in state.live_in(order.con_id)):
        return "another order works in it"
    if not _stops(state, order):
        return "its stop is gone"
    if is_for(state, order.con_id, {Cause.REBASED}):
        return "its history is of other shares than the account's"
    if (halted := forbidden_for(state, order.con_id, Action.REDUCE, order.allocations)) is not None:
        return halted
    if _rests(order) < held and not _is_open(state, order):
        return f"it is for {_rests(order)} shares, and {held} are held: the stop has to grow first"
    return None


def _why_not_today(state: State, order: Order, instrument: Instrument, event: m.Event) -> str | None:
    """That its fill would be a day trade and none is left; once it has begun to trade, that is made."""
    if order.told or order.reported or ends_by_itself(state, order, event.tech):
        return None
    refusal = _day_trade(state, instrument, order.side, event.at, order)
    return None if refusal is None else refusal.text


def _day_trade(
    state: State, instrument: Instrument, side: Side, at: datetime, order: Order | None = None
) -> Refusal | None:
    """Why a take-profit may not fill today; each that rests already, and is older, is taken to fill before it."""
    profits = (one for one in state.live_orders() if one.purpose is Purpose.PROFIT)
    older = (one for one in profits if order is None or one.intent < order.intent)
    return day_trades.none_left(state, instrument, side, at, older)


def _kept(state: State, instrument: Instrument, side: Side, event: m.Event) -> Generator[m.Fact | m.Effect, None, bool]:
    """Whether it waits for another day, or for a day trade; a person is told once a session."""
    refusal = _day_trade(state, instrument, side, event.at)
    row = state.breakers.get((instrument.con_id, Purpose.PROFIT, breaker.NO_DAY_TRADE))
    if refusal is None:
        if row is not None:
            yield breaker.lifted(row, "it is not closed on the day it was opened, or a day trade is left")
        return False
    until = next(one.close_at for one in state.sessions if one.is_open(event.at))
    if row is None or row.until != until:
        yield m.BreakerSet(
            con_id=instrument.con_id,
            symbol=instrument.symbol,
            purpose=Purpose.PROFIT,
            reason=breaker.NO_DAY_TRADE,
            strikes=(),
            trips=0,
            until=until,
        )
        text = f"{refusal.text}: its take-profit waits, its stop does not"
        yield m.RaiseAlert(key="profit_waits", text=text)
    return True


def _rests(order: Order) -> Decimal:
    """Shares it stands for at the broker, where what was filled and taken back is not open again."""
    return order.quantity - order.told


def _stops(state: State, order: Order) -> list[Order]:
    return [one for one in others(state, order) if one.is_live and not one.cancel_asked and one.ending is None]


def _is_open(state: State, order: Order) -> bool:
    """Whether something of the pair is still to be told: a fill, or the answer to a modification."""
    pair = (order, *_stops(state, order))
    return order.state is not OrderState.WORKING or any(one.reported > one.told or one.change for one in pair)


def _changed(
    state: State, order: Order, instrument: Instrument, held: Decimal, wanted: Level, event: m.Event
) -> Generator[m.Fact | m.Effect, None, str | None]:
    """New terms for a working take-profit; returns why it has to be cancelled instead.

    Never more shares: while they are on their way the stop would be too small for what this one fills.
    """
    if ends_by_itself(state, order, event.tech) or _is_open(state, order):
        return None
    moves = abs(wanted.price - order.decision_price) >= order.decision_price * WORTH_MOVING
    price = wanted.price if moves else order.limit_price
    if (_rests(order), price) == (held, order.limit_price):
        return None
    why = f"{held} at {price} ({wanted.because if moves else 'so many are held'})"
    if has_traded(state, order) or order.limit_price is None:
        return why  # what the stop has sold, the broker takes from this one: its size there is not known for sure
    terms = (order.told + held, price, None)
    is_held_up = modification.not_modifiable(state, order, event.tech) is not None or was_in_vain(order, terms, event)
    if is_held_up or forbidden_by(state, order.con_id, Action.REDUCE, ready=True, besides=order.intent) is not None:
        return why if _rests(order) > held else None
    yield from asking(state, order, instrument, terms, why, event.tech)
    return None


def _placed(state: State, instrument: Instrument, held: Decimal, price: Decimal, event: m.Event) -> Decided:
    con_id, side = instrument.con_id, _side(held)
    live = list(state.live_in(con_id))
    if len(live) != 1 or live[0].purpose is not Purpose.STOP or live[0].side is not side:
        return
    stop = live[0]
    is_whole = stop.state is OrderState.WORKING and stop.remaining == to_lot(abs(held), instrument.lot)
    if not is_whole or not is_intact(state, stop) or is_held_back(state, con_id, Purpose.PROFIT, event.at):
        return
    if not any(one.is_open(event.at) and one.is_open(event.at + LAST_MINUTE) for one in state.sessions):
        return
    ready = is_ready(state, event.tech)
    if any(forbidden_by(state, con_id, action, ready=ready) for action in (Action.STOP, Action.REDUCE)):
        return
    if forbidden_for(state, con_id, Action.REDUCE, ()) is not None:
        return
    if not all(is_read_since(state, one, event) for one in others(state, stop)):
        return
    if (yield from _kept(state, instrument, side, event)):
        return
    intent = state.next_intent
    order = Order(
        intent=intent,
        ref=f"lw:{state.journal_id}:{intent}",
        run_id=f"{RUN}:{instrument.symbol}",
        con_id=con_id,
        symbol=instrument.symbol,
        side=side,
        quantity=stop.remaining,
        order_type=OrderType.LIMIT,
        limit_price=price,
        stop_price=None,
        tif="GTC",
        account=state.account,
        mode=state.mode,
        purpose=Purpose.PROFIT,
        decision_price=price,
        created_at=event.at,
        oca_group=stop.oca_group,
    )
    yield from submitted(state, order, instrument, event.tech)

"""A rebalance: from targets to trades, through caps that shrink and checks that refuse, to orders; called by decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side, beyond_tick, to_lot, to_tick
from longwatch.domain.order_life import breaker
from longwatch.domain.order_life.evidence import Decided, is_stuck
from longwatch.domain.order_life.identity import cancels
from longwatch.domain.order_life.patience import closing_session, is_past_cut_off, parent_of
from longwatch.domain.order_life.submission import submitted
from longwatch.domain.orders import AUCTIONS, LIMITED, STOPPED, Order, OrderType, Purpose
from longwatch.domain.portfolio import flattening
from longwatch.domain.portfolio.parts import allocate, crossed, equity_of, gaps
from longwatch.domain.portfolio.sizing import Clamp
from longwatch.domain.portfolio.targets import Weighed, weighed
from longwatch.domain.portfolio.wanted import Wanted, lot_of, not_sized, sized, wanted_trades
from longwatch.domain.quotes import Quote
from longwatch.domain.risk import sold_twice
from longwatch.domain.risk.caps import with_exposure
from longwatch.domain.risk.oca import joined
from longwatch.domain.risk.proposal import Proposal, Refusal
from longwatch.domain.risk.table import WAITS_FOR_SELLS, caps_of, first_refusal
from longwatch.domain.risk.verbs import ACTIONS, forbidden_for
from longwatch.domain.safeguards.stops import in_the_way
from longwatch.domain.state import State

ZERO = Decimal(0)
BPS = Decimal("0.0001")
WAITING = "once what is under way has ended"
"""The limit of a refusal that is looked at again as soon as sells and cancels under way have ended."""


def rebalance(state: State, event: m.RebalanceDue) -> Decided:
    """Work through every symbol, sells first, each judged with what the ones before it have added."""
    tally = {m.OrderIntended: 0, m.TradeRefused: 0, m.TradeClamped: 0}
    waiting = 0
    if not state.is_on(m.Verb.FLATTEN) and (why := _unusable(state, event)) is not None:
        yield m.RaiseAlert(key="no_targets", text=f"nothing is traded: {why}")
        yield m.RebalanceDecided(run_id=event.run_id, intended=0, refused=0, clamped=0, waiting=0, at=event.at)
        return
    yield from flattening.left_open(state)
    found = weighed(state)
    for refused in not_sized(state, event.run_id, found):
        tally[m.TradeRefused] += 1
        yield refused
    quotes = {quote.con_id: quote for quote in event.quotes}
    for wanted in sorted(wanted_trades(state, event, found), key=lambda w: (w.trade > 0, w.instrument.symbol)):
        for item in _trade(state, event, found, wanted, quotes.get(wanted.instrument.con_id)):
            if type(item) in tally and not (isinstance(item, m.OrderIntended) and item.order.rests):
                tally[type(item)] += 1
            yield item
            if isinstance(item, m.TradeRefused):
                waiting += item.limit == WAITING
                if item.limit != WAITING:
                    yield from flattening.not_closed(state, item)
    yield m.RebalanceDecided(
        run_id=event.run_id,
        intended=tally[m.OrderIntended],
        refused=tally[m.TradeRefused],
        clamped=tally[m.TradeClamped],
        waiting=waiting,
        at=event.at,
    )


def _unusable(state: State, event: m.RebalanceDue) -> str | None:
    """Why there is nothing to trade on: no targets, or targets from a session too long ago."""
    if state.equity is None:
        return "no strategy has computed targets yet"
    ended = [session.date for session in state.sessions if session.close_at <= event.at]
    behind = sum(1 for day in ended if day > state.equity.session)
    if behind > state.settings.stale_sessions:
        return f"the targets are of {state.equity.session}, {behind} sessions ago"
    return "equity is not positive" if state.equity.equity <= 0 else None


def _trade(state: State, event: m.RebalanceDue, found: Weighed, wanted: Wanted, quote: Quote | None) -> Decided:
    is_kept = not wanted.trade or _within_band(state, wanted)
    if wanted.clamps or not is_kept:
        yield from sized(state, event.run_id, found, wanted)
    for clamp in wanted.clamps:
        yield _clamped(event.run_id, wanted.instrument.symbol, clamp)
    if len(found.scaled) > 1:
        instrument = wanted.instrument
        apart = _gaps(state, found, wanted)
        yield from crossed(instrument.con_id, instrument.symbol, wanted.price, apart, event.run_id)
    if is_kept:
        return
    side = Side.BUY if wanted.trade > 0 else Side.SELL
    against = in_the_way(state, wanted.instrument.con_id, side, reduces=_reduces(wanted))
    # What is unknown, or has ended with fills never told, is waited for no more once that is a quarantine.
    is_given_up = all(order.ending is not None or is_stuck(state, order) for order in against)
    is_over = wanted.instrument.con_id in state.quarantines and is_given_up
    if against and not is_over:
        if (kept := breaker.left_as_it_is(state, wanted.instrument.con_id, event.at)) is not None:
            yield _kept(event.run_id, wanted, kept)
            return
        yield from _withdraw(state, event.run_id, wanted, against)
        return
    proposal = proposal_of(state, event, wanted, quote)
    refusal = first_refusal(state, proposal)
    if refusal is not None:
        yield _refused(proposal, refusal)
        return
    yield from sold_twice.told(state, proposal)
    for item in _fit(state, proposal):
        if isinstance(item, Proposal):
            yield from _order(state, item, _gaps(state, found, wanted))
        else:
            yield item


def _other_side_works(state: State, side: Side) -> bool:
    """Whether an order on the other side may still fill; one that has ended, and whose fills are untold, can't.

    A stop is meant not to: nobody waits for it, nor for what only a person may settle.
    """
    trades = (order for order in state.live_orders() if not order.rests and not is_stuck(state, order))
    return any(order.side is not side and order.ending is None for order in trades)


def _withdraw(state: State, run_id: str, wanted: Wanted, against: list[Order]) -> Decided:
    """What works in the other direction is cancelled first: two sides at once could end in a reversal.

    A stop that has been triggered is let end by itself: it sells what is held. Not so one of which that was taken back.
    """
    for order in against:
        is_undone = bool(order.taken_back) and order.told >= order.reported
        is_same_way = (order.side is Side.BUY) == (wanted.trade > 0)
        is_at_work = order.purpose is Purpose.STOP and is_same_way and not is_undone
        is_there = order.order_id is not None or order.intent in state.what_ifs
        if is_there and not order.cancel_asked and not is_at_work:
            yield m.OrderCancelAsked(intent=order.intent, reason="the target has turned")
            yield from cancels(state, order)
    symbol, refs = wanted.instrument.symbol, ", ".join(order.ref for order in against)
    yield m.TradeRefused(
        run_id=run_id,
        symbol=symbol,
        check="opposite_order",
        wanted=wanted.trade,
        observed=refs,
        limit=WAITING,
        text=f"{symbol}: {refs} could add up to a reversal with it and has to end first",
    )


def _kept(run_id: str, wanted: Wanted, row: m.BreakerSet) -> m.TradeRefused:
    """What works the other way is on the terms that a person gave it: it stays."""
    return m.TradeRefused(
        run_id=run_id,
        symbol=wanted.instrument.symbol,
        check="breaker",
        wanted=wanted.trade,
        observed=row.reason,
        limit=str(row.until),
        text=breaker.told(row),
    )


def _within_band(state: State, wanted: Wanted) -> bool:
    """Small drifts are not proposed: worth less than the band of equity or the least value, unless all is to go."""
    settings, value = state.settings, abs(wanted.trade) * wanted.price
    return not wanted.flat and value < max(settings.no_trade_band_weight * equity_of(state), settings.min_trade_value)


def _reduces(wanted: Wanted) -> bool:
    return bool(wanted.held) and (wanted.held > 0) != (wanted.trade > 0)


def proposal_of(state: State, event: m.RebalanceDue, wanted: Wanted, quote: Quote | None) -> Proposal:
    """What is judged: the wanted trade as the order it would be, with its prices."""
    side = Side.BUY if wanted.trade > 0 else Side.SELL
    purpose = Purpose.REDUCE if _reduces(wanted) else Purpose.ENTRY
    order_type = _order_type(state, event, purpose)
    stop = _stop(state, wanted.instrument, side, quote) if order_type in STOPPED else None
    return Proposal(
        run_id=event.run_id,
        instrument=wanted.instrument,
        side=side,
        quantity=abs(wanted.trade),
        purpose=purpose,
        price=wanted.price,
        equity=equity_of(state) or abs(wanted.trade) * wanted.price,
        order_type=order_type,
        limit_price=_limit(state, wanted.instrument, side, quote, stop) if order_type in LIMITED else None,
        stop_price=stop,
        quote=quote,
        session=event.session,
        at=event.at,
        tech=event.tech,
        closes=wanted.trade == -wanted.held,
    )


def _order_type(state: State, event: m.RebalanceDue, purpose: Purpose) -> OrderType:
    """As the settings say; shortly before the close everything goes into its auction, where they say so.

    A flatten closes with its own type. An auction takes nothing after its cut-off: a limit that can fill now instead.
    So is what reduces: a stop waits for a price that may never come.
    """
    wanted = OrderType(state.settings.order_type)
    if (closing := flattening.order_type(state)) is not None:
        return closing
    if wanted in STOPPED:
        return wanted if purpose is Purpose.ENTRY else OrderType.LIMIT
    if state.settings.at_close == "moc" and closing_session(state, event.at) is not None:
        wanted = OrderType.AT_CLOSE
    if wanted in AUCTIONS and is_past_cut_off(state, event.at):
        return OrderType.LIMIT
    return wanted


def _stop(state: State, instrument: Instrument, side: Side, quote: Quote | None) -> Decimal | None:
    """Where an entry is triggered: the far side of the quote plus the stop's offset, on the tick grid beyond it."""
    far = None if quote is None else (quote.ask if side is Side.BUY else quote.bid)
    if far is None:
        return None
    return beyond_tick(far * (1 + state.settings.stop_offset_bps * BPS * side.sign), instrument.tick, side)


def _limit(
    state: State, instrument: Instrument, side: Side, quote: Quote | None, stop: Decimal | None
) -> Decimal | None:
    """A marketable limit: the far side of the quote plus the offset; or as far from the mid. On the tick grid.

    A flatten's is always beyond the far side: it is to fill. A stop-limit's is as far beyond its stop.
    """
    far = None if quote is None else (quote.ask if side is Side.BUY else quote.bid)
    if state.settings.limit_from == "mid" and quote is not None and not state.is_on(m.Verb.FLATTEN):
        far = quote.mid
    far = stop or far
    if far is None:
        return None
    return to_tick(far * (1 + state.settings.limit_offset_bps * BPS * side.sign), instrument.tick, side)


def _fit(state: State, proposal: Proposal) -> Iterator[Proposal | m.TradeClamped | m.TradeRefused]:
    """The proposal made small enough for every cap, or the refusal by the one that leaves no room."""
    if proposal.purpose is Purpose.ENTRY:
        proposal = with_exposure(state, proposal)
    for check, rule in caps_of(proposal):
        cap = rule(state, proposal)
        if cap is None or proposal.quantity <= cap.allowed:
            continue
        lot = lot_of(state, proposal.instrument)
        allowed = max(to_lot(cap.allowed, lot), ZERO)
        # Sells in an auction make no room before it: what room there is without them is taken now.
        waits = proposal.order_type not in AUCTIONS
        if check in WAITS_FOR_SELLS and waits and _other_side_works(state, proposal.side):
            text = f"{proposal.instrument.symbol}: {check} leaves room only once the sells under way have filled"
            refusal = Refusal(check=check, observed=f"{cap.observed:.4f}", limit=WAITING, text=text)
            yield _refused(proposal, refusal)
            return
        least = max(state.settings.min_order_size, proposal.instrument.min_size, lot)
        if allowed < least or allowed * proposal.price < state.settings.min_order_value:
            text = f"{proposal.instrument.symbol}: {check} {cap.observed:.4f} would pass the limit {cap.limit}"
            refusal = Refusal(check=check, observed=f"{cap.observed:.4f}", limit=str(cap.limit), text=text)
            yield _refused(proposal, refusal)
            return
        clamp = Clamp(check=check, wanted=proposal.quantity, allowed=allowed, observed=cap.observed, limit=cap.limit)
        yield _clamped(proposal.run_id, proposal.instrument.symbol, clamp, proposal.side.sign)
        proposal = replace(proposal, quantity=allowed, closes=False)
    yield proposal


def _gaps(state: State, found: Weighed, wanted: Wanted) -> dict[str, Decimal]:
    weights = {name: one.weights for name, one in found.scaled.items()}
    return gaps(state, wanted.instrument.con_id, wanted.instrument.symbol, wanted.price, weights)


def _order(state: State, proposal: Proposal, apart: Mapping[str, Decimal]) -> Decided:
    intent = state.next_intent
    stop = joined(state, proposal.instrument.con_id, proposal.side) if proposal.purpose is Purpose.REDUCE else None
    signed = proposal.quantity * proposal.side.sign
    allocations = allocate(state, proposal.instrument.symbol, signed, apart)
    held = forbidden_for(state, proposal.instrument.con_id, ACTIONS[proposal.purpose], allocations)
    if held is not None:
        text = f"{proposal.instrument.symbol}: {held}"
        yield _refused(proposal, Refusal(check="strategy_hold", observed=held, limit="its part shrinks", text=text))
        return
    parent = parent_of(state, proposal.instrument.con_id, proposal.side, proposal.session)
    order = Order(
        intent=intent,
        ref=f"lw:{state.journal_id}:{intent}",
        run_id=proposal.run_id,
        con_id=proposal.instrument.con_id,
        symbol=proposal.instrument.symbol,
        side=proposal.side,
        quantity=proposal.quantity,
        order_type=proposal.order_type,
        limit_price=proposal.limit_price,
        stop_price=proposal.stop_price,
        tif=_tif(state, proposal),
        account=state.account,
        mode=state.mode,
        purpose=proposal.purpose,
        outside_rth=state.settings.outside_rth,
        decision_price=(proposal.quote.mid if proposal.quote else None) or proposal.price,
        allocations=allocations,
        created_at=proposal.at,
        replaces=parent.intent if parent else None,
        replacement=parent.replacement + 1 if parent else 0,
        oca_group=stop.oca_group if stop else "",
    )
    yield from submitted(state, order, proposal.instrument, proposal.tech, proposal.quote)


def _tif(state: State, proposal: Proposal) -> str:
    """What is for an auction, or would be but for its cut-off, is for the day."""
    is_for_today = AUCTIONS & {proposal.order_type, OrderType(state.settings.order_type)}
    return "DAY" if is_for_today else state.settings.tif


def _clamped(run_id: str, symbol: str, clamp: Clamp, sign: int = 1) -> m.TradeClamped:
    return m.TradeClamped(
        run_id=run_id,
        symbol=symbol,
        check=clamp.check,
        wanted=clamp.wanted * sign,
        allowed=clamp.allowed * sign,
        observed=clamp.observed,
        limit=clamp.limit,
    )


def _refused(proposal: Proposal, refusal: Refusal) -> m.TradeRefused:
    return m.TradeRefused(
        run_id=proposal.run_id,
        symbol=proposal.instrument.symbol,
        check=refusal.check,
        wanted=proposal.quantity * proposal.side.sign,
        observed=refusal.observed,
        limit=refusal.limit,
        text=refusal.text,
    )

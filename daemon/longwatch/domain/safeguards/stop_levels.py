"""At what price the protective stop of a holding is to lie: rules, ratchet and splits; called by stops.

A level is kept in the state and only ever moves in the holding's favour, but for splits and for whoever moves the stop
by hand. It is decided from what was paid and, where it trails, from closes: so it is the same in a backtest, a restart
forgets nothing, and a stop that lapsed comes back where it was. IB's own TRAIL would move unseen between two closes,
and would begin anew when it lapses.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.course import is_held_since
from longwatch.domain.instruments import Instrument, Side, beyond_tick
from longwatch.domain.reconciliation import splits
from longwatch.domain.risk.verbs import is_flattened
from longwatch.domain.settings import StopRule, TradeSettings
from longwatch.domain.state import State
from longwatch.quick import changed

ZERO = Decimal(0)
WORTH_MOVING = Decimal("0.001")
"""A better level is taken up from so large a part of the old one on: no order is modified for a tick."""
BY_HAND = "set at the broker by somebody else"


def rules_of(state: State, symbol: str) -> tuple[StopRule, ...]:
    """The rules for one symbol, the tightest counts: its own, else those of its strategies, else the general."""
    settings = state.settings
    own = dict(settings.stops_of_symbols).get(symbol)
    if own is not None:
        return (own,)
    found = tuple(rule for name, rule in settings.stops_of_strategies if _asks_for(state, name, symbol))
    return found or ((settings.stop,) if settings.stop is not None else ())


def is_wanted(state: State, con_id: int, symbol: str) -> bool:
    """Whether a holding is to have a stop: by a rule for it, or because it has had one.

    A symbol that no strategy names any more is no less held: its level stays, until no strategy has a rule any more.
    """
    row = state.stop_levels.get(con_id)
    is_for_it = row is not None and row.is_long == (state.held(con_id) > 0)
    return bool(rules_of(state, symbol) or (is_for_it and state.settings.stops_of_strategies))


def why_none(state: State, instrument: Instrument) -> str:
    """Why a stop, or its level, is of no use any more."""
    if not state.held(instrument.con_id):
        return "nothing is held any more"
    if not is_wanted(state, instrument.con_id, instrument.symbol):
        return "no rule asks for a stop any more"
    if is_flattened(state, instrument.con_id):
        return "flatten"
    return "it is of no use to what the account shows to be held"


def any_rule(settings: TradeSettings) -> bool:
    """Whether any holding is to have a stop."""
    return settings.stop is not None or bool(settings.stops_of_symbols or settings.stops_of_strategies)


def _asks_for(state: State, strategy: str, symbol: str) -> bool:
    universe = dict(state.settings.universes).get(strategy, ())
    targets = state.targets.get(strategy)
    return symbol in universe or (targets is not None and any(symbol == name for name, _ in targets.weights))


def levelled(state: State, instrument: Instrument, held: Decimal, event: m.Event) -> Iterator[m.StopLevelSet]:
    """The level of a holding of `held` signed shares, where it is news."""
    row = state.stop_levels.get(instrument.con_id)
    if row is not None and row.is_long != (held > 0):
        row = None
    rejoined = _rejoined(state, instrument, held, row)
    if rejoined is not None:
        yield rejoined
        row = rejoined
    if row is not None and (times := _split_since(state, row)) != 1:
        level = _on_grid(row.level or ZERO, instrument, held, times)
        yield _set(instrument, held, level, row.opened_at, event.at, f"a split: {row.level} divided by {times}")
        row = state.stop_levels[instrument.con_id]
    if row is not None and splits.awaits_history(state, instrument.con_id, instrument.symbol):
        return  # closes and ranges are of other shares
    paid = _paid(state, instrument, held, event, is_new=row is None)
    opened_at = row.opened_at if row is not None else event.at
    is_by_hand = row is not None and row.because == BY_HAND
    since = row.at if row is not None and is_by_hand else opened_at
    best: tuple[Decimal, str] | None = None
    for rule in rules_of(state, instrument.symbol):
        if row is not None and _lacks_its_range(state, rule, instrument.symbol):
            continue  # what stands in for it would move the level, for good, because a history could not be had
        for price, what in ((paid, "paid"), (_close_since(state, instrument.symbol, since), "close")):
            if price is None or price <= 0 or (what == "close" and not rule.trails) or (what == "paid" and is_by_hand):
                continue
            distance, why = _distance(state, rule, instrument.symbol, price)
            level = _on_grid(price - distance if held > 0 else price + distance, instrument, held)
            if best is None or _is_better(level, best[0], held):
                best = level, f"{what} {price:f} {'less' if held > 0 else 'plus'} {why}"
    if best is not None and row is None:
        best = _as_attached(state, instrument.con_id, best)
    if best is not None and (row is None or row.level is None or _is_worth_it(best[0], row.level, held)):
        yield _set(instrument, held, best[0], opened_at, event.at, best[1])


def _rejoined(state: State, instrument: Instrument, held: Decimal, row: m.StopLevelSet | None) -> m.StopLevelSet | None:
    """The level of a holding whose closing was taken back, so that it was never closed; None where it is no news.

    Where shares were bought again meanwhile they are one holding with it: the better level is that of both, but a later
    one that somebody has set stays. It was opened when the oldest of them was.
    """
    found = row
    for left in _left(state, instrument.con_id, held):
        if found is None:
            found = left
            continue
        former, later = (
            _on_grid(one.level or ZERO, instrument, held, _split_since(state, one)) for one in (left, found)
        )
        is_moved = found.because != BY_HAND and _is_better(former, later, held)
        found = changed(left if is_moved else found, opened_at=min(left.opened_at, found.opened_at))
    return found if found != row else None


def _left(state: State, con_id: int, held: Decimal) -> Iterator[m.StopLevelSet]:
    """The levels of before, latest first, of holdings that by now were never closed."""
    side = 1 if held > 0 else -1
    for left, number in reversed(state.left_levels.get(con_id, ())):
        if left.is_long != (side > 0) or not is_held_since(state.course, con_id, number, side):
            return
        yield left


def _as_attached(state: State, con_id: int, best: tuple[Decimal, str]) -> tuple[Decimal, str]:
    """The price at which the entry's own stop waits, where somebody has moved it there or it is hardly another."""
    for order in state.live_in(con_id):
        price = order.stop_price if order.attached_to is not None else None
        if price is not None and price != order.decision_price:
            return price, BY_HAND
        if price is not None and abs(best[0] - price) < price * WORTH_MOVING:
            return price, f"as it left with its entry; {best[1]} is {best[0]}"
    return best


def by_hand(row: m.StopLevelSet, price: Decimal, at: datetime) -> m.StopLevelSet:
    """Somebody else has moved the stop at the broker: that is where it lies from here on."""
    return m.StopLevelSet(
        con_id=row.con_id,
        symbol=row.symbol,
        level=price,
        is_long=row.is_long,
        opened_at=row.opened_at,
        at=at,
        because=BY_HAND,
    )


def gone(row: m.StopLevelSet, at: datetime, because: str) -> m.StopLevelSet:
    """There is no holding to protect any more, or no rule for it."""
    return m.StopLevelSet(
        con_id=row.con_id,
        symbol=row.symbol,
        level=None,
        is_long=row.is_long,
        opened_at=row.opened_at,
        at=at,
        because=because,
    )


def _paid(state: State, instrument: Instrument, held: Decimal, event: m.Event, *, is_new: bool) -> Decimal:
    """What a share cost on average.

    For a holding that was there before its stop (adopted, or stops newly wanted) the last close, where that is worse:
    a stop that lies on the wrong side of the market would sell at once what nobody decided to sell.
    """
    holding, judged = state.book.get(instrument.con_id), state.judged.get(instrument.symbol)
    cost = holding.average_cost if holding is not None else ZERO
    close = judged.close if judged is not None else None
    if close is None or (cost and not (is_new and not isinstance(event, m.ExecutionSeen))):
        return cost
    if not cost:
        return close
    return min(cost, close) if held > 0 else max(cost, close)


def _close_since(state: State, symbol: str, opened_at: datetime) -> Decimal | None:
    """The last close, if its session ended after the holding was opened."""
    judged = state.judged.get(symbol)
    if judged is None or judged.close is None or judged.flaws:
        return None
    session = next((one for one in state.sessions if one.date == judged.last_session), None)
    return judged.close if session is not None and session.close_at > opened_at else None


def _distance(state: State, rule: StopRule, symbol: str, price: Decimal) -> tuple[Decimal, str]:
    """How far behind a price the stop lies, and how that was found."""
    judged = state.judged.get(symbol)
    atr = judged.atr if judged is not None else None
    if rule.atr_multiple is not None and atr is not None:
        return rule.atr_multiple * atr, f"{rule.atr_multiple} times the average true range {atr:f}"
    if rule.amount is not None:
        return rule.amount, f"{rule.amount}"
    fraction = rule.fraction or ZERO
    unknown = ", for want of an average true range" if rule.atr_multiple is not None else ""
    return price * fraction, f"{fraction:%}{unknown}"


def _lacks_its_range(state: State, rule: StopRule, symbol: str) -> bool:
    """Whether a rule measures in average true ranges, and the one that was known is not known any more."""
    judged = state.judged.get(symbol)
    is_known = judged is not None and judged.atr is not None
    return rule.atr_multiple is not None and symbol in state.ranged and not is_known


def tightest(state: State, symbol: str, price: Decimal) -> Decimal | None:
    """How far behind a price the stop would lie, in price units; None where no rule asks for one."""
    return min((_distance(state, rule, symbol, price)[0] for rule in rules_of(state, symbol)), default=None)


def _on_grid(price: Decimal, instrument: Instrument, held: Decimal, times: Decimal = Decimal(1)) -> Decimal:
    """A level on the tick grid, away from the market, and one tick at least."""
    side = Side.SELL if held > 0 else Side.BUY
    return max(beyond_tick(price / times, instrument.tick, side), instrument.tick)


def for_either(state: State, instrument: Instrument, row: m.StopLevelSet, level: Decimal) -> Decimal | None:
    """The level while a history is ahead: behind the market whether prices are of old shares or of new ones.

    None where it would not lie behind the last close, which is of new ones.
    """
    judged, held = state.judged.get(instrument.symbol), Decimal(1 if row.is_long else -1)
    measured, _ = state.rebased.get(instrument.symbol, (Decimal(1), None))
    found = _on_grid(level, instrument, held, measured)
    found = level if _is_better(found, level, held) else found
    if judged is None or not judged.close or not _is_better(judged.close, found, held):
        return None
    return found


def _split_since(state: State, row: m.StopLevelSet) -> Decimal:
    """By how many new shares each old one was replaced since a level was set."""
    times = Decimal(1)
    for split in state.splits.get(row.con_id, ()):
        if row.at < split.at:
            times = times * split.new / split.old
    return times


def _is_better(level: Decimal, other: Decimal, held: Decimal) -> bool:
    return level > other if held > 0 else level < other


def _is_worth_it(level: Decimal, former: Decimal, held: Decimal) -> bool:
    return _is_better(level, former, held) and abs(level - former) >= former * WORTH_MOVING


def _set(
    instrument: Instrument, held: Decimal, level: Decimal, opened_at: datetime, at: datetime, because: str
) -> m.StopLevelSet:
    return m.StopLevelSet(
        con_id=instrument.con_id,
        symbol=instrument.symbol,
        level=level,
        is_long=held > 0,
        opened_at=opened_at,
        at=at,
        because=because,
    )

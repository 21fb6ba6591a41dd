"""Each strategy's part of what we hold: what it wants of it, what an order is for, what it has made; for rebalance.

A strategy's part of an instrument is what its parts of our orders have filled, and what it has taken over from others.
What was adopted is no strategy's; shares that a person says are gone come off the parts there are, by their size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import Allocation
from longwatch.domain.state import State, shares_of

ZERO, ONE = Decimal(0), Decimal(1)
SHARE_PART = Decimal("0.000001")
ROUNDED_UP = 1 + Decimal("1E-18")
"""A weight made from whole shares comes to these shares again, and not to a lot less by rounding towards zero."""


def equity_of(state: State) -> Decimal:
    """The capital that weights are fractions of: the account's value, capped by risk.max_capital_value."""
    equity = state.equity.equity if state.equity else ZERO
    cap = state.settings.max_capital_value
    return equity if cap is None else min(equity, cap)


def held_as(state: State, strategy: str) -> Grade | None:
    """How much the limits hold a strategy back, at the most."""
    grades = {hold.grade for hold in state.holds.values() if (hold.level, hold.name) == (Level.STRATEGY, strategy)}
    return Grade.HALTED if Grade.HALTED in grades else Grade.REDUCING if grades else None


def part_of(state: State, strategy: str, con_id: int) -> Decimal:
    """A strategy's signed shares of what we hold of an instrument."""
    part = state.parts.get((strategy, con_id))
    return part.quantity if part else ZERO


def within_part(
    state: State, strategy: str, weights: Mapping[str, Decimal], allocation: Decimal
) -> Mapping[str, Decimal]:
    """The weights that a strategy's hold leaves it: each within its part as it is, or just that part when halted."""
    grade = held_as(state, strategy)
    scale = allocation * (1 - state.settings.cash_reserve_fraction) * equity_of(state)
    if grade is None or scale <= 0:
        return weights
    prices = dict(state.equity.prices) if state.equity else {}
    parts = {part.symbol: part.quantity for (name, _), part in state.parts.items() if name == strategy}
    left = dict(weights)
    for symbol in sorted(weights.keys() | {symbol for symbol, quantity in parts.items() if quantity}):
        price, part, weight = prices.get(symbol), parts.get(symbol, ZERO), weights.get(symbol, ZERO)
        if price is None:
            continue
        most = part * price / scale * ROUNDED_UP
        if grade is Grade.HALTED:
            left[symbol] = most
        elif abs(weight) > abs(most) or weight * most < 0:
            left[symbol] = most if weight * most > 0 else ZERO
    return left


def forbidden_part(
    state: State, con_id: int, allocations: tuple[Allocation, ...], *, besides: int | None = None
) -> str | None:
    """Why a strategy's hold forbids an order with these parts: it is halted, or its part would not shrink.

    One without parts closes: of each strategy's part some. A flatten closes what is ours, whosesoever it is.
    """
    if state.is_on(m.Verb.FLATTEN):
        return None
    if not allocations:
        halted = (one for one in strategies_in(state, con_id, ()) if held_as(state, one) is Grade.HALTED)
        return next((f"strategy {one} is halted" for one in halted), None)
    for one in allocations:
        grade = held_as(state, one.strategy) if one.quantity else None
        if grade is None:
            continue
        left, under_way = part_of(state, one.strategy, con_id), _under_way(state, one.strategy, con_id, besides)
        left += under_way if left * under_way < 0 else ZERO
        shrinks = left * one.quantity < 0 and abs(one.quantity) <= abs(left) + SHARE_PART
        if grade is Grade.HALTED or not shrinks:
            return f"strategy {one.strategy} is {'halted' if grade is Grade.HALTED else 'reducing only'}"
    return None


def strategies_in(state: State, con_id: int, allocations: tuple[Allocation, ...]) -> Iterator[str]:
    """The strategies whose shares an order with these parts trades: without any, of each that has a part some."""
    for one in allocations:
        if one.quantity:
            yield one.strategy
    for (strategy, held), part in state.parts.items() if not allocations else ():
        if held == con_id and abs(part.quantity) > SHARE_PART:
            yield strategy


def _under_way(state: State, strategy: str, con_id: int, besides: int | None) -> Decimal:
    """Signed shares that live orders may still add to, or take from, a strategy's part."""
    total = ZERO
    for order in state.live_in(con_id):
        share = shares_of(order).get(strategy, ZERO) if order.intent != besides else ZERO
        total += order.remaining * order.side.sign * share
    return total


def gaps(
    state: State, con_id: int, symbol: str, price: Decimal, weights: Mapping[str, Mapping[str, Decimal]]
) -> dict[str, Decimal]:
    """Each strategy's signed shares of an instrument from its part, and what is under way for it, to its target.

    `weights` are those of each strategy that has any, as fractions of its capital; a flatten is the way to nothing.
    """
    if state.is_on(m.Verb.FLATTEN):
        return {name: -part_of(state, name, con_id) for name, held in sorted(state.parts) if held == con_id}
    equity, reserve, found = equity_of(state), state.settings.cash_reserve_fraction, dict[str, Decimal]()
    for name, allocation in sorted(state.settings.allocations):
        if name in weights:
            target = weights[name].get(symbol, ZERO) * allocation * (1 - reserve) * equity / price
            found[name] = target - part_of(state, name, con_id) - _under_way(state, name, con_id, None)
    return found


def allocate(state: State, symbol: str, signed: Decimal, found: Mapping[str, Decimal]) -> tuple[Allocation, ...]:
    """Each strategy's part of an order of `signed` shares, by how far it is from its target that way.

    Where none is (what was adopted goes), by its weight in the symbol, evenly where all are zero. The last has the
    rest, in signed shares at 1e-6.
    """
    wanting = {name: abs(gap) for name, gap in found.items() if gap * signed > 0 and abs(gap) > SHARE_PART}
    named = wanting or _by_weight(state, symbol)
    total, parts, left = sum(named.values(), ZERO), [], signed
    for behind, (strategy, weight) in enumerate(named.items(), 1 - len(named)):
        part = weight / total if total else ONE / Decimal(len(named))
        quantity = (signed * part).quantize(SHARE_PART) if behind else left
        parts.append(Allocation(strategy=strategy, quantity=quantity))
        left -= quantity
    return tuple(part for part in parts if part.quantity)


def _by_weight(state: State, symbol: str) -> dict[str, Decimal]:
    named: dict[str, Decimal] = {}
    for strategy, share in sorted(state.settings.allocations):
        weights = dict(state.targets[strategy].weights) if strategy in state.targets else {}
        if symbol in weights:
            named[strategy] = abs(weights[symbol]) * share
    return named


def crossed(
    con_id: int, symbol: str, price: Decimal, found: Mapping[str, Decimal], run_id: str
) -> Iterator[m.PartsCrossed]:
    """What strategies want to sell and others to buy changes hands among them, at least a share of it."""
    buys = {name: gap for name, gap in found.items() if gap > 0}
    sells = {name: -gap for name, gap in found.items() if gap < 0}
    most = min(sum(buys.values(), ZERO), sum(sells.values(), ZERO)).quantize(SHARE_PART)
    if most < 1:
        return
    moves = [*_shared(buys, most), *((name, -quantity) for name, quantity in _shared(sells, most))]
    yield m.PartsCrossed(con_id=con_id, symbol=symbol, moves=tuple(moves), price=price, run_id=run_id)


def _shared(wants: Mapping[str, Decimal], most: Decimal) -> Iterator[tuple[str, Decimal]]:
    """`most` shares among strategies by what each wants; the last has the rest."""
    total, left = sum(wants.values(), ZERO), most
    for behind, (name, want) in enumerate(wants.items(), 1 - len(wants)):
        quantity = (most * want / total).quantize(SHARE_PART) if behind else left
        yield name, quantity
        left -= quantity


def gain_of(state: State, strategy: str, prices: Mapping[str, Decimal]) -> Decimal:
    """What a strategy's fills have made or lost up to now, commissions included, what it holds at `prices`."""
    total = -state.part_costs.get(strategy, ZERO)
    for (name, _), part in state.parts.items():
        if name == strategy:
            total += part.realized + part.quantity * (prices.get(part.symbol, part.average_cost) - part.average_cost)
    return total

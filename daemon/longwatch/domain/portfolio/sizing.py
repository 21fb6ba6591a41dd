"""From target weights to wanted shares: the same arithmetic for backtest, demo, paper and live; called by wanted.

How a target came about, and why the trade is what it is, is told by the fact `TargetSized` with all its figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from longwatch.domain.instruments import to_lot
from longwatch.domain.portfolio.weights import Cut
from longwatch.quick import quick

ZERO = Decimal(0)
TOO_FEW = "contract_min_size"


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A wanted quantity made smaller: signed shares before and after; `observed` and `limit` in the check's unit."""

    check: str
    wanted: Decimal
    allowed: Decimal
    observed: Decimal
    limit: Decimal


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One strategy's part of a target: `weight` x what the method makes of it → `scaled` x `leverage` x `capital`.

    `weight` and `scaled` are fractions of the strategy's capital, `capital` is its share of equity, less the cash
    reserve, and `sized` what comes of it: a fraction of equity; another where a hold keeps the strategy to what it has.
    `volatility` (annual, no less than the floor) and `stop_distance` (price units) stand where the method used them.
    """

    strategy: str
    method: str
    weight: Decimal
    scaled: Decimal
    leverage: Decimal
    capital: Decimal
    sized: Decimal
    volatility: Decimal | None = None
    stop_distance: Decimal | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one symbol is meant to hold, in signed shares, and how it came to be less than the weight alone gives.

    `ceiling`: the most shares, of either sign, that its caps allow.
    """

    symbol: str
    weight: Decimal
    shares: Decimal
    ceiling: Decimal
    clamps: tuple[Clamp, ...] = ()


def combine(
    targets: Iterable[tuple[str, Mapping[str, Decimal]]], allocations: Mapping[str, Decimal], reserve: Decimal
) -> dict[str, Decimal]:
    """One weight a symbol, a fraction of equity: each strategy's weights by its allocation, less the cash reserve."""
    total: dict[str, Decimal] = {}
    for strategy, weights in targets:
        share = allocations[strategy] * (1 - reserve)
        for symbol, weight in weights.items():
            total[symbol] = total.get(symbol, ZERO) + weight * share
    return dict(sorted(total.items()))


def shares_of(weight: Decimal, equity: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """Whole lots worth `weight` of `equity` at `price`, rounded towards zero, signed."""
    return to_lot(weight * equity / price, lot)


def size(
    symbol: str,
    weight: Decimal,
    cuts: Iterable[Cut] = (),
    *,
    equity: Decimal,
    price: Decimal,
    lot: Decimal,
    max_weight: Decimal,
    max_shares: Decimal,
    min_size: Decimal = ZERO,
) -> Target:
    """The shares that a weight stands for once it has been cut: never more than `max_shares`, or fewer than `min_size`.

    A holding of fewer could neither be bought nor be closed in one order.
    """
    clamps = [
        Clamp(
            check=cut.check,
            wanted=shares_of(cut.before, equity, price, lot),
            allowed=shares_of(cut.after, equity, price, lot),
            observed=cut.observed,
            limit=cut.limit,
        )
        for cut in cuts
    ]
    shares = shares_of(weight, equity, price, lot)
    if abs(shares) > max_shares:
        fewer = to_lot(max_shares, lot).copy_sign(shares)
        clamps.append(Clamp(check="max_position_size", wanted=shares, allowed=fewer, observed=shares, limit=max_shares))
        shares = fewer
    if 0 < abs(shares) < min_size:
        clamps.append(Clamp(check=TOO_FEW, wanted=shares, allowed=ZERO, observed=abs(shares), limit=min_size))
        shares = ZERO
    ceiling = abs(shares) if clamps else min(max_weight * equity / price, max_shares)
    return Target(symbol=symbol, weight=weight, shares=shares, ceiling=ceiling, clamps=tuple(clamps))


def edges(target: Target, fraction: Decimal) -> tuple[Decimal, Decimal]:
    """Between which positions nothing is traded: `fraction` of the target about it, and never beyond its ceiling."""
    if not fraction:
        return target.shares, target.shares
    size = abs(target.shares)
    inner = (size * (1 - fraction)).copy_sign(target.shares)
    outer = max(size, min(size * (1 + fraction), target.ceiling)).copy_sign(target.shares)
    return min(inner, outer), max(inner, outer)


def to_edge(low: Decimal, high: Decimal, position: Decimal) -> Decimal:
    """The trade that leads from a position to the nearer edge; none where it lies between them."""
    return low - position if position < low else min(high - position, ZERO)


def not_through_zero(trade: Decimal, held: Decimal) -> Decimal:
    """A trade that would turn a long position short, or a short one long, ends at zero; the rest is decided anew."""
    if held and (held > 0) != (trade > 0) and abs(trade) > abs(held):
        return -held
    return trade

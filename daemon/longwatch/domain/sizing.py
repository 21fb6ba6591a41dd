"""From target weights to wanted shares: the same arithmetic for backtest, demo, paper and live; called by rebalance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from longwatch.domain.instruments import to_lot

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """A wanted quantity made smaller: signed shares before and after; `observed` and `limit` in the check's unit."""

    check: str
    wanted: Decimal
    allowed: Decimal
    observed: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one symbol is meant to hold, in signed shares, and how it came to be less than the weight alone gives."""

    symbol: str
    weight: Decimal
    shares: Decimal
    clamps: tuple[Clamp, ...] = ()


def combine(
    targets: Iterable[tuple[str, Mapping[str, Decimal]]], allocations: Mapping[str, Decimal], reserve: Decimal
) -> dict[str, Decimal]:
    """One weight a symbol, a fraction of equity: each strategy's weights by its allocation, less the cash reserve."""
    total: dict[str, Decimal] = {}
    for strategy, weights in targets:
        share = allocations.get(strategy, ZERO) * (1 - reserve)
        for symbol, weight in weights.items():
            total[symbol] = total.get(symbol, ZERO) + weight * share
    return dict(sorted(total.items()))


def shares_of(weight: Decimal, equity: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """Whole lots worth `weight` of `equity` at `price`, rounded towards zero, signed."""
    return to_lot(weight * equity / price, lot)


def size(
    symbol: str,
    weight: Decimal,
    *,
    equity: Decimal,
    price: Decimal,
    lot: Decimal,
    allow_short: bool,
    max_weight: Decimal,
    max_shares: Decimal,
) -> Target:
    """The shares a weight stands for after the caps per instrument: long only, weight, shares."""
    clamps: list[Clamp] = []
    capped = weight
    if weight < 0 and not allow_short:
        capped = ZERO
        clamps.append(_clamp("long_only", weight, capped, weight, ZERO, equity, price, lot))
    if abs(capped) > max_weight:
        former, capped = capped, max_weight.copy_sign(capped)
        clamps.append(_clamp("max_weight", former, capped, former, max_weight, equity, price, lot))
    shares = shares_of(capped, equity, price, lot)
    if abs(shares) > max_shares:
        fewer = to_lot(max_shares, lot).copy_sign(shares)
        clamps.append(Clamp(check="max_position_size", wanted=shares, allowed=fewer, observed=shares, limit=max_shares))
        shares = fewer
    return Target(symbol=symbol, weight=weight, shares=shares, clamps=tuple(clamps))


def _clamp(
    check: str,
    former: Decimal,
    capped: Decimal,
    observed: Decimal,
    limit: Decimal,
    equity: Decimal,
    price: Decimal,
    lot: Decimal,
) -> Clamp:
    return Clamp(
        check=check,
        wanted=shares_of(former, equity, price, lot),
        allowed=shares_of(capped, equity, price, lot),
        observed=observed,
        limit=limit,
    )


def delta(target: Decimal, held: Decimal, pending: Decimal) -> Decimal:
    """The trade that leads from what is held and what live orders may still do (both signed) to the target."""
    return target - held - pending


def not_through_zero(trade: Decimal, held: Decimal) -> Decimal:
    """A trade that would turn a long position short, or a short one long, ends at zero; the rest is decided anew."""
    if held and (held > 0) != (trade > 0) and abs(trade) > abs(held):
        return -held
    return trade

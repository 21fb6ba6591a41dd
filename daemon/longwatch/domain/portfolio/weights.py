"""Caps on the weights of all symbols together, before they are shares; called by targets.

Each instrument's own are first (short positions, weight), then groups, net and gross. Where many share a cap, all of
them are scaled alike. Every cap only ever makes weights smaller, so that none breaks one before it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

ZERO = Decimal(0)
STEP = Decimal("1e-9")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Fractions of equity; a group is its name, its symbols and its cap."""

    allow_short: bool
    max_weight: Decimal
    groups: tuple[tuple[str, tuple[str, ...], Decimal], ...] = ()
    max_net: Decimal
    max_gross: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A weight made smaller by a cap: `observed` is what the cap counts, the weight itself or a sum."""

    check: str
    before: Decimal
    after: Decimal
    observed: Decimal
    limit: Decimal


Cuts = dict[str, tuple[Cut, ...]]


def capped(weights: Mapping[str, Decimal], caps: Caps) -> tuple[dict[str, Decimal], Cuts]:
    """What the caps leave of every weight, and the cuts of those they made smaller, in order."""
    found, cuts = dict(weights), Cuts()
    for symbol, weight in weights.items():
        if not weight:
            continue
        if weight < 0 and not caps.allow_short:
            _cut(
                found,
                cuts,
                symbol,
                ZERO,
                Cut(check="long_only", before=weight, after=ZERO, observed=weight, limit=ZERO),
            )
        elif abs(weight) > caps.max_weight:
            after = caps.max_weight.copy_sign(weight)
            cut = Cut(check="max_weight", before=weight, after=after, observed=weight, limit=caps.max_weight)
            _cut(found, cuts, symbol, after, cut)
    for _, symbols, limit in caps.groups:
        members = [symbol for symbol in symbols if found.get(symbol)]
        _scale(found, cuts, members, "max_group_weight", _gross(found, members), limit)
    net = sum(found.values(), ZERO)
    if abs(net) > caps.max_net:
        heavy = [symbol for symbol, weight in found.items() if weight * net > 0]
        light = abs(net - sum((found[symbol] for symbol in heavy), ZERO))
        _scale(found, cuts, heavy, "max_net_exposure", abs(net), caps.max_net, beside=light)
    _scale(found, cuts, list(found), "max_gross_exposure", _gross(found, found), caps.max_gross)
    return found, cuts


def over(values: Mapping[str, Decimal], caps: Caps, equity: Decimal) -> Iterator[str]:
    """The symbols of every group whose values pass its cap together, or all of them where the gross one is passed."""
    for _, symbols, limit in caps.groups:
        if _gross(values, [symbol for symbol in symbols if symbol in values]) > limit * equity:
            yield from symbols
    if _gross(values, values) > caps.max_gross * equity:
        yield from values


def _gross(weights: Mapping[str, Decimal], symbols: Iterable[str]) -> Decimal:
    return sum((abs(weights[symbol]) for symbol in symbols), ZERO)


def _scale(
    found: dict[str, Decimal],
    cuts: Cuts,
    symbols: Collection[str],
    check: str,
    observed: Decimal,
    limit: Decimal,
    beside: Decimal = ZERO,
) -> None:
    """Make the weights of `symbols` smaller alike, so that `observed` comes to `limit`; `beside` stays as it is."""
    if observed <= limit:
        return
    for symbol in symbols:
        before = found[symbol]
        after = (before * (limit + beside) / (observed + beside)).quantize(STEP, ROUND_DOWN)
        if before:
            _cut(
                found, cuts, symbol, after, Cut(check=check, before=before, after=after, observed=observed, limit=limit)
            )


def _cut(found: dict[str, Decimal], cuts: Cuts, symbol: str, after: Decimal, cut: Cut) -> None:
    found[symbol] = after
    cuts[symbol] = (*cuts.get(symbol, ()), cut)

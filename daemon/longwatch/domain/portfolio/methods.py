"""From a strategy's weights to fractions of its capital, by the method the settings choose; docs/sizing.md has sources.

Called by targets. What comes out is a multiple of 1e-6, rounded towards zero: never more than the formula says. A
symbol whose bars lack a figure that the method needs has no size, and a reason; a weight of zero needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal

from longwatch.domain.settings import SizingRules

ZERO, ONE = Decimal(0), Decimal(1)
STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a symbol is sized by: annual `volatility`; `stop`, how far away its stop is, and `close` in price units."""

    volatility: Decimal | None = None
    stop: Decimal | None = None
    close: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """Fractions of a strategy's capital: `scaled` by the method, `weights` after all were multiplied by `leverage`.

    `lacking`: the symbols without a size, and why.
    """

    weights: Mapping[str, Decimal]
    scaled: Mapping[str, Decimal]
    leverage: Decimal = ONE
    lacking: Mapping[str, str] = field(default_factory=dict)


def scale(weights: Mapping[str, Decimal], rules: SizingRules, measures: Mapping[str, Measures]) -> Scaled:
    """What a strategy's weights come to; their absolute sum is at most `max_leverage`, but by the method `weights`."""
    if rules.method == "weights":
        return Scaled(weights=weights, scaled=weights)
    found = METHODS[rules.method](weights, rules, {symbol: measures.get(symbol, NOTHING) for symbol in weights})
    scaled = {symbol: size for symbol, size in found.items() if isinstance(size, Decimal)}
    lacking = {symbol: size for symbol, size in found.items() if isinstance(size, str)}
    total = sum(map(abs, scaled.values()), ZERO)
    if total <= rules.max_leverage:
        return Scaled(weights=scaled, scaled=scaled, lacking=lacking)
    leverage = _down(rules.max_leverage / total)
    return Scaled(
        weights={symbol: size * leverage for symbol, size in scaled.items()},
        scaled=scaled,
        leverage=leverage,
        lacking=lacking,
    )


NOTHING = Measures()
Sizes = dict[str, Decimal | str]
Method = Callable[[Mapping[str, Decimal], SizingRules, Mapping[str, Measures]], Sizes]


def by_volatility(weights: Mapping[str, Decimal], rules: SizingRules, measures: Mapping[str, Measures]) -> Sizes:
    """weight x target volatility / the instrument's volatility: a weight is a share of the risk."""
    found: Sizes = {}
    for symbol, weight in weights.items():
        volatility = volatility_of(measures[symbol], rules)
        if not weight:
            found[symbol] = ZERO
        elif volatility is None:
            found[symbol] = NO_VOLATILITY
        else:
            found[symbol] = _down(weight * rules.target_volatility / volatility)
    return found


def by_portfolio(weights: Mapping[str, Decimal], rules: SizingRules, measures: Mapping[str, Measures]) -> Sizes:
    """Every weight by one factor, target volatility / that of all of them together, with one correlation for each pair.

    Where one of them lacks a volatility that factor is not known, and none has a size.
    """
    risks: list[Decimal] = []
    for symbol, weight in weights.items():
        volatility = volatility_of(measures[symbol], rules)
        if weight and volatility is None:
            return {name: f"{symbol} {NO_VOLATILITY}" if other else ZERO for name, other in weights.items()}
        risks.append(weight * (volatility or ZERO))
    whole = portfolio_volatility(risks, rules.correlation)
    # What hedges itself perfectly has no volatility to scale by: then the floor stands for it.
    whole = max(whole, rules.volatility_floor * sum(map(abs, weights.values()), ZERO))
    return {
        symbol: _down(weight * rules.target_volatility / whole) if weight else ZERO
        for symbol, weight in weights.items()
    }


def by_risk(weights: Mapping[str, Decimal], rules: SizingRules, measures: Mapping[str, Measures]) -> Sizes:
    """The fraction of capital that loses `risk_fraction` of it at the stop; of a weight only the sign counts."""
    found: Sizes = {}
    for symbol, weight in weights.items():
        measured = measures[symbol]
        if not weight:
            found[symbol] = ZERO
        elif not measured.stop or not measured.close:
            found[symbol] = NO_STOP
        else:
            found[symbol] = _down(rules.risk_fraction * measured.close / measured.stop).copy_sign(weight)
    return found


METHODS: Mapping[str, Method] = {"volatility": by_volatility, "portfolio": by_portfolio, "risk": by_risk}
NO_VOLATILITY = "has too few bars for a volatility to be sized by"
NO_STOP = "has no stop, and no average true range, to be sized by"


def volatility_of(measured: Measures, rules: SizingRules) -> Decimal | None:
    """The volatility sized by: no less than the floor, or a quiet month would call for any size."""
    return None if measured.volatility is None else max(measured.volatility, rules.volatility_floor)


def portfolio_volatility(risks: list[Decimal], correlation: Decimal) -> Decimal:
    """Of positions with these signed risks (weight x volatility): sqrt((1-ρ) Σ r² + ρ (Σ r)²)."""
    own = sum((risk * risk for risk in risks), ZERO)
    together = sum(risks, ZERO)
    return ((1 - correlation) * own + correlation * together * together).sqrt()


def _down(value: Decimal) -> Decimal:
    return value.quantize(STEP, ROUND_DOWN)

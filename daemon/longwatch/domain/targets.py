"""What every symbol is to weigh: each strategy's weights by its method, combined and capped; called by wanted."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal

from longwatch.domain.messages import SeriesJudged
from longwatch.domain.methods import NOTHING, Measures, Scaled, scale, stop_distance_of
from longwatch.domain.parts import within_part
from longwatch.domain.portfolio import Caps, Cuts, capped
from longwatch.domain.settings import SizingRules, TradeSettings
from longwatch.domain.sizing import Part, combine
from longwatch.domain.state import State

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """Fractions of equity by symbol, `weights` as combined and `capped` after the caps; symbols left alone are not in.

    `lacking`: the symbols that a strategy's method has no size for, and why.
    """

    weights: Mapping[str, Decimal]
    capped: Mapping[str, Decimal]
    cuts: Cuts
    scaled: Mapping[str, Scaled]
    lacking: Mapping[str, str] = field(default_factory=dict)


def weighed(state: State) -> Weighed:
    """The weights to trade to, without the symbols to be left as they are; held symbols that nobody names are zero."""
    settings, allocations = state.settings, dict(state.settings.allocations)
    scaled = {
        name: scale(dict(targets.weights), rules, _measures(state) if rules.method != "weights" else {})
        for name, targets in sorted(state.targets.items())
        if name in allocations and name not in state.faults
        for rules in [rules_of(settings, name)]
    }
    scaled = {
        name: replace(one, weights=within_part(state, name, one.weights, allocations[name]))
        for name, one in scaled.items()
    }
    silent = allocations.keys() - scaled.keys()
    sound = ((name, one.weights) for name, one in scaled.items())
    combined = combine(sound, allocations, settings.cash_reserve_fraction)
    # Whatever is held may be that of a strategy which nobody could ask for its universe.
    if scaled and silent <= dict(settings.universes).keys():
        for holding in state.book.values():
            if holding.quantity and holding.symbol in settings.universe:
                combined.setdefault(holding.symbol, ZERO)
    lacking = {symbol: why for one in scaled.values() for symbol, why in one.lacking.items()}
    left_alone = _frozen(state, silent) | lacking.keys()
    weights = {symbol: weight for symbol, weight in sorted(combined.items()) if symbol not in left_alone}
    found, cuts = capped(weights, caps_of(settings))
    return Weighed(weights=weights, capped=found, cuts=cuts, scaled=scaled, lacking=lacking)


def rules_of(settings: TradeSettings, strategy: str) -> SizingRules:
    """How a strategy is sized."""
    return next((rules for name, rules in settings.sizing_of if name == strategy), settings.sizing)


def caps_of(settings: TradeSettings) -> Caps:
    """What holds for the weights of all symbols together."""
    return Caps(
        allow_short=settings.allow_short,
        max_weight=settings.max_weight,
        groups=settings.groups,
        max_net=settings.max_net_exposure,
        max_gross=settings.max_gross_exposure,
    )


def parts_of(state: State, found: Weighed, symbol: str) -> tuple[Part, ...]:
    """Each strategy's part in a symbol's weight."""
    return tuple(_part(state, name, one, symbol) for name, one in found.scaled.items() if symbol in one.weights)


def _part(state: State, strategy: str, one: Scaled, symbol: str) -> Part:
    rules, judged = rules_of(state.settings, strategy), state.judged.get(symbol)
    measured = _measures_of(judged) if judged else NOTHING
    capital = dict(state.settings.allocations)[strategy] * (1 - state.settings.cash_reserve_fraction)
    return Part(
        strategy=strategy,
        method=rules.method,
        weight=dict(state.targets[strategy].weights).get(symbol, ZERO),
        scaled=one.scaled.get(symbol, ZERO),
        leverage=one.leverage,
        capital=capital,
        sized=one.weights[symbol] * capital,
        volatility=measured.volatility if rules.method in ("volatility", "portfolio") else None,
        stop_distance=stop_distance_of(measured, rules) if rules.method == "risk" else None,
    )


def _measures(state: State) -> dict[str, Measures]:
    return {symbol: _measures_of(row) for symbol, row in state.judged.items()}


def _measures_of(row: SeriesJudged) -> Measures:
    return Measures(volatility=row.volatility, atr=row.atr, close=row.close)


def _frozen(state: State, silent: Set[str]) -> set[str]:
    """The symbols of strategies at fault, or without any targets yet: those they ask for and those they had named."""
    asked_for = {symbol for name, universe in state.settings.universes if name in silent for symbol in universe}
    named = {symbol for name in silent if name in state.targets for symbol, _ in state.targets[name].weights}
    return asked_for | named

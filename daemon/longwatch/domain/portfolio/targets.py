"""What every symbol is to weigh: each strategy's weights by its method, combined and capped; called by wanted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal

from longwatch.domain.messages import SeriesJudged
from longwatch.domain.portfolio.methods import NOTHING, Measures, Scaled, scale, volatility_of
from longwatch.domain.portfolio.parts import within_part
from longwatch.domain.portfolio.sizing import Part, combine
from longwatch.domain.portfolio.weights import Caps, Cuts, capped
from longwatch.domain.risk.limits import Does, Limit, Setting
from longwatch.domain.safeguards.stop_levels import tightest
from longwatch.domain.settings import SizingRules, TradeSettings
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
        name: scale(dict(targets.weights), rules, measures_of(state, rules, (symbol for symbol, _ in targets.weights)))
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
    rules = rules_of(state.settings, strategy)
    measured = measures_of(state, rules, (symbol,)).get(symbol, NOTHING)
    capital = dict(state.settings.allocations)[strategy] * (1 - state.settings.cash_reserve_fraction)
    return Part(
        strategy=strategy,
        method=rules.method,
        weight=dict(state.targets[strategy].weights).get(symbol, ZERO),
        scaled=one.scaled.get(symbol, ZERO),
        leverage=one.leverage,
        capital=capital,
        sized=one.weights[symbol] * capital,
        volatility=volatility_of(measured, rules),
        stop_distance=measured.stop,
    )


def measures_of(state: State, rules: SizingRules, symbols: Iterable[str]) -> dict[str, Measures]:
    """What the method of these rules sizes symbols by."""
    if rules.method == "weights":
        return {}
    judged = {symbol: row for symbol in symbols if (row := state.judged.get(symbol)) is not None}
    if rules.method == "risk":
        return {symbol: Measures(stop=_stop(state, rules, row), close=row.close) for symbol, row in judged.items()}
    return {symbol: Measures(volatility=row.volatility) for symbol, row in judged.items()}


def _stop(state: State, rules: SizingRules, row: SeriesJudged) -> Decimal | None:
    """How far away the stop of a holding would be: the protective one's rule, or so many average true ranges."""
    protective = None if row.close is None else tightest(state, row.symbol, row.close)
    if protective is not None or row.atr is None:
        return protective
    return rules.stop_atr_multiple * row.atr


def _frozen(state: State, silent: Set[str]) -> set[str]:
    """The symbols of strategies at fault, or without any targets yet: those they ask for and those they had named."""
    asked_for = {symbol for name, universe in state.settings.universes if name in silent for symbol in universe}
    named = {symbol for name in silent if name in state.targets for symbol, _ in state.targets[name].weights}
    return asked_for | named


SHOWN = "tests/daemon/test_sizing.py"
ROWS = (
    Limit(
        name="max_leverage",
        does=Does.SIZES,
        unit="of a strategy's capital",
        text="The largest sum of absolute sizes that a method but `weights` may make of a strategy's weights.",
        test=f"{SHOWN}::test_leverage_is_cut_to_its_limit",
        settings=(Setting("sizing.max_leverage", "1"),),
    ),
    Limit(
        name="volatility_floor",
        does=Does.SIZES,
        unit="a year",
        text="The least volatility an instrument is sized by, lest a quiet month call for any size.",
        test=f"{SHOWN}::test_a_quiet_instrument_counts_as_the_floor",
        settings=(Setting("sizing.volatility_floor", "0.02"),),
    ),
    Limit(
        name="buffer_fraction",
        does=Does.SIZES,
        unit="of the target",
        text="Within so much about its target a position is left; from beyond, a trade leads to the nearer edge.",
        test=f"{SHOWN}::test_a_buffer_is_entered_at_its_nearer_edge",
        settings=(Setting("sizing.buffer_fraction", "0"),),
    ),
)

"""Which changed settings loosen a protective stop: the rule that is in force is compared, not its settings one by one.

A holding goes by the rule of its symbol, else by its strategy's, else by the general one (config/trade.py): so a rule
that comes may loosen as well as one that goes. Called by reload.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from longwatch.config.schema import Settings, StopRuleSettings

Key = tuple[str, ...]
DISTANCES = ("fraction", "amount", "atr_multiple")
GENERAL: tuple[Key, ...] = tuple(("stops", name) for name in (*DISTANCES, "trails"))


def loosened_stops(old: Settings, new: Settings, changed: Collection[Key]) -> frozenset[Key]:
    """Those of the changed settings that loosen the stop of some symbol of some strategy, or take it away."""
    blamed = (key for strategy, symbol in _holdings(old, new) for key in _blamed(old, new, strategy, symbol))
    return frozenset(blamed) & frozenset(changed)


def is_looser(old: StopRuleSettings | None, new: StopRuleSettings | None) -> bool:
    """Whether a stop by `new` may lie further away than one by `old`; None is no stop.

    One kind of distance in place of another counts as looser: which lies further away hangs on the price.
    """
    if old is None or new is None:
        return old is not None
    pairs = [(getattr(old, name), getattr(new, name)) for name in DISTANCES]
    further = any((before is None) != (after is None) or _rises(before, after) for before, after in pairs)
    return further or (old.trails and not new.trails)


def _rises(before: Decimal | None, after: Decimal | None) -> bool:
    return before is not None and after is not None and after > before


def _holdings(old: Settings, new: Settings) -> Iterator[tuple[str | None, str | None]]:
    """Every strategy that runs before and after with every symbol that is named; None stands for all the others."""
    running = [{one.name for one in settings.strategies if one.enabled} for settings in (old, new)]
    symbols = sorted({*old.stops.instruments, *new.stops.instruments})
    for strategy in (None, *sorted(running[0] & running[1])):
        for symbol in (None, *symbols):
            yield strategy, symbol


def _blamed(old: Settings, new: Settings, strategy: str | None, symbol: str | None) -> tuple[Key, ...]:
    before, after = _in_force(old, strategy, symbol), _in_force(new, strategy, symbol)
    if not is_looser(before[1], after[1]):
        return ()
    return (*before[0], *after[0])


def _in_force(
    settings: Settings, strategy: str | None, symbol: str | None
) -> tuple[tuple[Key, ...], StopRuleSettings | None]:
    """The rule for a holding, and the settings it stands in."""
    own = settings.stops.instruments.get(symbol) if symbol is not None else None
    if own is not None and own.is_on:
        return (("stops", "instruments"),), own
    its = next((one.stop for one in settings.strategies if one.name == strategy and one.enabled), None)
    if strategy is not None and its is not None and its.is_on:
        return (("strategies", strategy, "stop"),), its
    return GENERAL, settings.stops if settings.stops.is_on else None

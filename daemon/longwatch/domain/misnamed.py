"""Names in the settings that are no instrument's, or two things' at once; asked when settings come, and by `check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import State


def symbols(state: State) -> set[str]:
    """Every symbol that is asked for, known, held or ordered."""
    held = {holding.symbol for holding in state.book.values() if holding.quantity}
    there = {symbol for symbol, quantity in state.account_positions.values() if quantity}
    return {*state.settings.universe, *state.instruments, *held, *there}


def misnamed(settings: TradeSettings, known: Collection[str]) -> Iterator[str]:
    """A sentence each; none of unknown symbols where no strategy could be loaded, and so nothing is known."""
    named = [(symbol, "stops.instruments") for symbol, _ in settings.stops_of_symbols]
    named += [(symbol, f"risk.groups: {name}") for name, group, _ in settings.groups for symbol in group]
    for symbol, where in named if settings.universe else ():
        if symbol not in known:
            yield f"{where} names {symbol}, which no strategy asks for and nobody holds: it has no effect; is it right?"
    for name, _ in settings.allocations:
        if name in known:
            yield (
                f"strategies: {name} is the name of an instrument, too: call the strategy otherwise; until then "
                f"`longwatch resume` has to be told `strategy:{name}` or `symbol:{name}`"
            )

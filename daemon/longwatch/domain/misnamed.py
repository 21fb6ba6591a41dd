"""Names in the settings that are no instrument's, or two things' at once; asked when settings come, and by `check`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.identity import cancels
from longwatch.domain.orders import Purpose
from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import State


def symbols(state: State) -> set[str]:
    """Every symbol that is asked for, known, held or ordered."""
    there = {symbol for symbol, quantity in state.account_positions.values() if quantity}
    return {*state.settings.universe, *state.instruments, *held_symbols(state), *there}


def held_symbols(state: State) -> set[str]:
    """What the book holds, or has a live order in: its contract and its quotes are needed, whoever asks for it."""
    held = {holding.symbol for holding in state.book.values() if holding.quantity}
    return held | {order.symbol for order in state.live_orders()}


def left_behind(state: State, settings: TradeSettings) -> list[str]:
    """Held symbols that no strategy asks for any more; none while it is not known what some strategy asks for."""
    if not _is_whole(settings):
        return []
    return sorted(row.symbol for row in state.book.values() if row.quantity and row.symbol not in settings.universe)


def renamed(state: State, settings: TradeSettings) -> Decided:
    """What new settings name in vain, and what is held or bought that they name no more: a purchase is cancelled."""
    for text in misnamed(settings, {*symbols(state), *settings.universe}):
        yield m.RaiseAlert(key="misnamed", text=text)
    for symbol in left_behind(state, settings):
        text = (
            f"{symbol} is held, and no strategy asks for it any more: it is neither added to nor closed, and its "
            "stop stays; to close it let a strategy name it with a weight of 0, or flatten"
        )
        yield m.RaiseAlert(key="left_behind", text=text)
    for order in list(state.live_orders()) if _is_whole(settings) else ():
        is_asked_for = order.symbol in settings.universe or order.purpose is not Purpose.ENTRY
        if not is_asked_for and not order.cancel_asked:
            yield m.OrderCancelAsked(intent=order.intent, reason="no strategy asks for it any more")
            yield from cancels(state, order)


def _is_whole(settings: TradeSettings) -> bool:
    return dict(settings.allocations).keys() <= dict(settings.universes).keys()


def misnamed(settings: TradeSettings, known: Collection[str], *, knows_book: bool = True) -> Iterator[str]:
    """A sentence each; none of unknown symbols where no strategy could be loaded, and so nothing is known.

    Without `knows_book` nobody has looked at what is held.
    """
    vain = " and nobody holds: it has no effect" if knows_book else ": it has no effect unless it is held"
    named = [(symbol, "stops.instruments") for symbol, _ in settings.stops_of_symbols]
    named += [(symbol, f"risk.groups: {name}") for name, group, _ in settings.groups for symbol in group]
    for symbol, where in named if settings.universe else ():
        if symbol not in known:
            yield f"{where} names {symbol}, which no strategy asks for{vain}; is it right?"
    for name, _ in settings.allocations:
        if name in known:
            yield (
                f"strategies: {name} is the name of an instrument, too: call the strategy otherwise; until then "
                f"`longwatch resume` has to be told `strategy:{name}` or `symbol:{name}`"
            )

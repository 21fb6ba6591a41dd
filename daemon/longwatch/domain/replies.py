"""What is said to a person about a command: why it can't be done, or what comes of it; asked by ops.answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.commands import FLATTEN_TYPES, named
from longwatch.domain.levels import Level, meant
from longwatch.domain.misnamed import symbols
from longwatch.domain.order_life import modification
from longwatch.domain.order_life.breaker import held_by, told
from longwatch.domain.order_life.resolution import order_called, said
from longwatch.domain.orders import Purpose
from longwatch.domain.reconciliation import adopting
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import is_for, lets_adopt
from longwatch.domain.risk.holds import can_be_flow, noticed
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.risk.verbs import is_flattened, is_halted
from longwatch.domain.state import State

AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")


def objection(state: State, event: m.ControlRequested) -> str | None:
    """One sentence why the command can't be done, or None."""
    if event.command == "flow":
        return _no_amount(state, event)
    if event.command == "modify":
        new = modification.asked(state, event.argument, event.tech)
        return new if isinstance(new, str) else None
    if event.command == "resolve":
        return _no_resolution(state, event)
    if event.command == "adopt":
        return _not_adopted(state, event)
    check = OBJECTIONS.get(event.command)
    return None if check is None else check(state, event.argument, event.reason)


def outcome(state: State, event: m.ControlRequested) -> tuple[bool, str]:
    """Whether the command, decided on, comes to what was asked for, and what is to be said of it."""
    command, argument = event.command, event.argument
    if command == "flatten":
        return _flattening(state, event.at, event.tech)
    if command == "modify":
        return _modifying(state, event)
    if command == "adopt":
        return _adopted(state, event)
    left = [*sorted(state.verbs), *(f"{hold.rule} of {hold.name}" for hold in state.holds.values())]
    if command == "resume" and left:
        return True, f"resume {argument}".rstrip() + f": done and journalled; still on: {', '.join(left)}"
    if command == "resolve":
        order = order_called(state, argument.split(maxsplit=1)[0])
        return True, f"order {order.ref} is {order.state.value}, {order.filled} filled; journalled" if order else ""
    what = f"{command} {argument}".strip()
    return True, f"{what}: done and journalled"


MOST_NAMES = 20


def _listed(names: Iterable[str]) -> str:
    """The names there are, as far as a sentence can hold them."""
    known = sorted(set(names))
    more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return ", ".join(known[:MOST_NAMES]) + more


def _no_order(state: State, name: str, reason: str) -> str | None:
    if name == "all" or named(state, name):
        return None
    order = order_called(state, name)
    if order is not None:
        return f"order {order.ref} is {order.state.value}: there is nothing left to cancel"
    if name in state.instruments or any(order.symbol == name for order in state.orders.values()):
        return f"no order in {name} is live: there is nothing to cancel"
    live = _listed([f"{order.intent} ({order.symbol})" for order in state.live_orders()])
    return f"no live order is called {name}; live are {live or 'none'}, see `longwatch orders`"


def _not_adopted(state: State, event: m.ControlRequested) -> str | None:
    """Why nothing of what is named can be adopted."""
    name, found = event.argument, adopting.meant(state, event.argument)
    if not found and name == "all":
        return "nothing is held outside: what is quarantined is adopted by its symbol, see `longwatch reconcile`"
    if not found:
        known = _listed(adopting.beside(state).values())
        return f"the account holds no {name} beside ours; outside are {known or 'none'}, see `longwatch positions`"
    why_not = [_why_not(state, event, con_id, symbol) for con_id, symbol in found.items()]
    return None if None in why_not else why_not[0]


def _why_not(state: State, event: m.ControlRequested, con_id: int, symbol: str) -> str | None:
    held = state.quarantines.get(con_id)
    if held is not None and con_id not in state.outside and not lets_adopt(held):
        what = f"{symbol} is quarantined for something else ({held.reason})"
        return f"{what}; if the account goes on differing, it is for that too"
    return adopting.objection(state, event, con_id, symbol)


def _adopted(state: State, event: m.ControlRequested) -> tuple[bool, str]:
    """What has become ours, and what was left as it is."""
    name, text = event.argument, f"adopt {event.argument}: done and journalled"
    there = [(con_id, symbol) for con_id, symbol in adopting.beside(state).items() if name in (symbol, "all")]
    left = [why for one in there if (why := _why_not(state, event, *one)) is not None]
    return True, "; ".join([text, *(f"not adopted: {why}" for why in left)])


def _no_quarantine(state: State, name: str, reason: str) -> str | None:
    if any(name in (held.symbol, str(con_id)) for con_id, held in state.quarantines.items()):
        return None
    known = _listed(held.symbol for held in state.quarantines.values())
    return f"{name} is not quarantined; quarantined are {known or 'none'}, see `longwatch reconcile`"


def _nothing_held(state: State, name: str, reason: str) -> str | None:
    level, of = meant(name)
    if level is None and of in dict(state.settings.allocations) and of in symbols(state):
        return f"{of} is a strategy and a symbol: say `resume strategy:{of}` or `resume symbol:{of}`"
    held = {(Level.INSTRUMENT, row.symbol) for row in state.breakers.values()}
    held |= {(hold.level, hold.name) for hold in state.holds.values()}
    if name in ("", "all") or any(one == of and level in (None, at) for at, one in held):
        return None
    name = of
    if any(name == held.symbol for held in state.quarantines.values()):
        return f"{name} is quarantined: `longwatch unquarantine {name}` lifts that"
    return f"no order in {name} is held back; `longwatch status` lists what is"


def _no_such_type(state: State, name: str, reason: str) -> str | None:
    return None if name in ("", *FLATTEN_TYPES) else f"flatten closes with {' or '.join(FLATTEN_TYPES)}, not {name}"


def _no_amount(state: State, event: m.ControlRequested) -> str | None:
    argument = event.argument
    if not AMOUNT.fullmatch(argument) or not Decimal(argument):
        return f"an amount is a number like 10000 or -2500.50, not {argument}"
    if (Level.ACCOUNT, state.account) not in state.marks:
        return "the account has not been read yet: there is nothing that the amount would be left out of"
    flow = noticed(state, Decimal(argument), event.at)
    if flow is not None:
        return (
            f"the readings showed {flow.amount:,.2f} at {flow.at:%Y-%m-%d %H:%M} UTC, and it is counted already: there "
            "is nothing to tell; another one the next reading will tell of; if it has not, tell it in two parts, or "
            "after the next open"
        )
    if not can_be_flow(state, Decimal(argument)):
        return f"with {argument} the account would be worth nothing: an amount is in the base currency, see `status`"
    return None


def _no_resolution(state: State, event: m.ControlRequested) -> str | None:
    word = said(state, event.argument, event.quotes)
    if isinstance(word, str):
        return word
    return None if event.reason.strip() else "say why, for the journal: resolve needs a --reason"


OBJECTIONS: dict[str, Callable[[State, str, str], str | None]] = {
    "cancel": _no_order,
    "unquarantine": _no_quarantine,
    "resume": _nothing_held,
    "flatten": _no_such_type,
}


def _modifying(state: State, event: m.ControlRequested) -> tuple[bool, str]:
    """Whether the modification is on its way, or the check that refused it."""
    order = order_called(state, event.argument.split(maxsplit=1)[0])
    if order is not None and order.changed_at == event.tech:
        return True, f"modify {order.ref}: journalled, and asked of the broker; `longwatch orders` shows what it says"
    new = modification.asked(state, event.argument, event.tech)
    refusal = None if isinstance(new, str) else modification.objection(state, new, event)
    return False, new if isinstance(new, str) else f"refused by {refusal.check}: {refusal.text}" if refusal else ""


def _flattening(state: State, at: datetime, tech: datetime) -> tuple[bool, str]:
    """What a flatten will close, what waits, and what stays; False when nothing of ours can go."""
    left = [holding for holding in state.book.values() if holding.quantity]
    if is_halted(state) and (left or state.live):
        return False, (
            "flatten is journalled, but a halt is on and lets no closing order out, so stops stay: "
            "`longwatch resume`, then flatten again"
        )
    if not left:
        return True, "flatten: done and journalled; nothing of ours is held, and nothing is opened until `resume`"
    stays = list(_staying(state, at))
    parts = [f"flatten: journalled; {len(left) - len(stays)} of {len(left)} positions are being closed"]
    waits = reasons(state, tech)
    if waits:
        parts.append(f"not before it is ready ({waits[0]})")
    elif state.settings.trading_hours_only and not any(session.is_open(at) for session in state.sessions):
        parts.append("at the next open, the exchange is closed")
    return len(stays) < len(left), "; ".join([*parts, *stays])


def _staying(state: State, at: datetime) -> Iterator[str]:
    known = {instrument.con_id for instrument in state.instruments.values()}
    for con_id, holding in sorted(state.book.items()):
        if not holding.quantity:
            continue
        what, row = f"{holding.quantity} {holding.symbol} stay", held_by(state, con_id, Purpose.REDUCE, at)
        if con_id in state.quarantines and not is_flattened(state, con_id):
            why = state.quarantines[con_id].reason
            how = f"`longwatch unquarantine {holding.symbol}` once it is looked into"
            if is_for(state, con_id, {Cause.CONTRACT}):
                how = f"until {lifted_by(Cause.CONTRACT, holding.symbol)}"
            yield (f"{what}: quarantined ({why}), so a stop that rests stays too; {how}")
        elif con_id not in known:
            yield f"{what}: the contract is not known; close them by hand"
        elif row is not None:
            yield f"{what}: {told(row)}"

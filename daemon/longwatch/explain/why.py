"""The story of one order as plain JSON values, from the bars to what it cost; printed by `longwatch why`.

Everything is read from the journal. What a decision saw, and no fact repeats, is worked out anew from the state before
it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.domain.state import State
from longwatch.explain.course import course_of, fills_of, outcome_of, sent_of
from longwatch.explain.gathered import Gathered, Told, asked, gathered
from longwatch.explain.grounds import came_of, grounds, profit_of
from longwatch.explain.plain import Json, plain
from longwatch.journal.codec import decode
from longwatch.journal.finding import Finder
from longwatch.journal.travel import state_at


def why(path: Path, name: str) -> Json:
    """The whole story of the order of this name. Raises UsageError when there is none.

    Its parts, in this order: `order`, `decided`, `bars`, `signals`, `quote`, `stop`, `target`, `clamps`, `checks`,
    `profit`, `sent`, `changes`, `moves`, `messages`, `fills`, `cost`, `outcome`, `family`, `records`, `journal`. One
    that can't be told is null or empty, and `decided.text` says why.
    """
    with asked(path, name) as (finder, one):
        origin = origin_of(finder, one)
        before = state_at(path, origin.decided.sequence - 1).state
        return {**story(finder, one, origin.decided, before), "journal": str(path)}


def story(finder: Finder, one: Gathered, decided: Told, before: State) -> Json:
    """The same of an order whose records are gathered, and of the state before it was `decided`. Changes `before`."""
    return {
        "order": _order(one),
        **grounds(finder, decided, one.order.symbol, before),
        "profit": profit_of(before, came_of(finder, decided.sequence), one.intended),
        "sent": sent_of(one),
        **course_of(one),
        **fills_of(one),
        "outcome": outcome_of(one),
        "family": _family(finder, one),
        "records": {"first": decided.sequence, "last": max(told.sequence for told in (*one.facts, *one.heard))},
    }


def origin_of(finder: Finder, one: Gathered) -> Gathered:
    """The order whose decision is to be told: a twin, found at the broker, was never decided on by itself."""
    twin_of = one.intended.twin_of
    return one if twin_of is None else origin_of(finder, gathered(finder, twin_of))


def _order(one: Gathered) -> Json:
    order, was = one.order, one.intended
    return {
        "intent": order.intent,
        "ref": order.ref,
        "symbol": order.symbol,
        "con_id": order.con_id,
        "side": order.side.value,
        "quantity": plain(was.quantity),
        "type": was.order_type.value,
        "limit_price": plain(was.limit_price),
        "stop_price": plain(was.stop_price),
        "tif": was.tif,
        "outside_rth": was.outside_rth,
        "purpose": was.purpose.value,
        "account": was.account,
        "mode": was.mode,
        "order_id": order.order_id,
        "client_id": order.client_id,
        "perm_ids": list(order.perm_ids),
        "exec_ids": [told.what.exec_id for told in one.facts if isinstance(told.what, m.FillBooked)],
        "decision_price": plain(was.decision_price),
        "strategies": {part.strategy: plain(part.quantity) for part in was.allocations},
        "also": one.also or None,
    }


def _family(finder: Finder, one: Gathered) -> Json:
    """Orders that belong to this one: what it replaces and what replaced it, what the broker held beside it, its group.

    `protected_by` are stops that were placed, or asked to change, because it filled; `attached` the one that left with
    it.
    """
    return {
        "oca_group": one.intended.oca_group or None,
        "attached_to": one.intended.attached_to,
        "attached": [order.intent for order in _naming(finder, one, "attached_to")],
        "protected_by": sorted(set(_stops(finder, one))),
        "replaces": one.intended.replaces,
        "replaced_by": [order.intent for order in _naming(finder, one, "replaces")],
        "twin_of": one.intended.twin_of,
        "twins": [order.intent for order in _naming(finder, one, "twin_of")],
    }


def _stops(finder: Finder, one: Gathered) -> Iterator[int]:
    for told in one.facts:
        for fact in came_of(finder, told.cause) if isinstance(told.what, m.FillBooked) else ():
            match fact.what:
                case m.OrderIntended(order=order) if order.rests:
                    yield order.intent
                case m.OrderChangeAsked(intent=intent) if intent != one.order.intent:
                    yield intent


def _naming(finder: Finder, one: Gathered, field: str) -> Iterator[Order]:
    """Later orders that name this one in a field, the newest first."""
    intent = one.order.intent
    for entry in finder.holding("OrderIntended", f'"{field}":{intent}', first=one.intended_at):
        order = cast(m.OrderIntended, decode(entry.record)).order
        if getattr(order, field) == intent:
            yield order

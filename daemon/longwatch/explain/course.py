"""What became of an order, as plain JSON values: sent, changed, answered, filled, paid, ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, cast

from longwatch.domain import messages as m
from longwatch.domain.orders import TERMINAL, Absence
from longwatch.explain.gathered import MESSAGES, Gathered, Told
from longwatch.explain.plain import Json, iso, plain, rounded

ZERO = Decimal(0)
BPS = Decimal(10_000)


def sent_of(one: Gathered) -> Json:
    """When and as what the order left: `intended_at` and `handed_at` are market times, the rest technical ones."""
    sending = _first(one, m.OrderSending)
    handed = _event(one, m.OrderHanded)
    withheld = _event(one, m.OrderWithheld)
    order = one.intended
    return {
        "intended_at": iso(order.created_at),
        "queued_at": iso(sending.sent_at) if sending else None,
        "handed_at": iso(handed.at) if handed else None,
        "handed_tech": iso(handed.tech) if handed else None,
        "withheld": withheld.reason if withheld else None,
        "order_id": sending.order_id if sending else order.order_id,
        "client_id": sending.client_id if sending else order.client_id,
        "epoch": sending.epoch if sending else order.epoch,
        "answer_by": iso(sending.deadline) if sending else None,
        "terms": _terms(order.quantity, order.limit_price, order.stop_price),
        "found": order.twin_of is not None,
    }


def course_of(one: Gathered) -> Json:
    """`changes`: what we asked of it later; `moves`: its states; `messages`: all that was heard of it, in order."""
    events = {told.sequence: told for told in one.heard}
    return {
        "changes": list(_changes(one, events)),
        "moves": [
            {
                "at": _at(events, told),
                "state": told.what.state.value,
                "evidence": told.what.evidence.value,
                "proof": told.what.proof or None,
                "text": told.what.text or None,
                "record": told.sequence,
                "cause": told.cause,
            }
            for told in one.facts
            if isinstance(told.what, m.OrderMoved)
        ],
        "messages": [_message(told, one) for told in one.heard],
    }


def fills_of(one: Gathered) -> Json:
    """`fills`: every execution booked, those undone too; `cost`: what the order came to against its decision price."""
    told = [told for told in one.facts if isinstance(told.what, m.FillBooked)]
    replaced = {told.what.replaces: told.what.exec_id for told in told if isinstance(told.what, m.FillBooked)}
    charges = {fact.exec_id: fact for told in one.facts if isinstance(fact := told.what, m.CommissionBooked)}
    fills = [_fill(cast(m.FillBooked, each.what), each, one, charges, replaced) for each in told]
    order = one.order
    currency = next((charge.currency for charge in charges.values()), None)
    return {
        "fills": fills,
        "cost": {
            "filled": plain(order.filled),
            "average_price": rounded(order.average_price, "0.000001") if order.filled else None,
            "commission": plain(order.commission),
            "currency": currency,
            "decision_price": plain(order.decision_price),
            **slippage(order.decision_price, order.average_price, order.filled, order.side.sign),
        },
    }


def slippage(decision_price: Decimal, average: Decimal, filled: Decimal, sign: int) -> Json:
    """What the fills were worse than the decision price, in basis points and in money; below zero: better."""
    if not filled or not decision_price:
        return {"slippage_bps": None, "slippage": None}
    worse = (average - decision_price) * sign
    return {"slippage_bps": rounded(worse / decision_price * BPS, "0.01"), "slippage": rounded(worse * filled, "0.01")}


def outcome_of(one: Gathered) -> Json:
    """How it stands, by which evidence, and the message that was the proof."""
    order = one.order
    moved = next((told for told in reversed(one.facts) if isinstance(told.what, m.OrderMoved)), None)
    resolved = next((told.what for told in reversed(one.facts) if isinstance(told.what, m.OrderResolved)), None)
    return {
        "state": order.state.value,
        "live": order.state not in TERMINAL,
        "evidence": order.evidence or None,
        "proof": order.proof or None,
        "proof_record": moved.cause if moved else None,
        "text": order.text or None,
        "ending": order.ending.value if order.ending else None,
        "remaining": plain(order.remaining),
        "cancel_asked": order.cancel_reason if order.cancel_asked else None,
        "resolved": None if resolved is None else _resolved(resolved),
    }


def _resolved(fact: m.OrderResolved) -> Json:
    return {
        "outcome": fact.outcome,
        "quantity": plain(fact.quantity),
        "price": plain(fact.price),
        "by": fact.by,
        "reason": fact.reason,
    }


def _first(one: Gathered, kind: type[Any]) -> Any:
    return next((told.what for told in one.facts if isinstance(told.what, kind)), None)


def _event(one: Gathered, kind: type[Any]) -> Any:
    """Of the order itself, not of a modification."""
    return next((told.what for told in one.heard if isinstance(told.what, kind) and not told.what.change), None)


def _terms(quantity: Decimal, limit: Decimal | None, stop: Decimal | None) -> Json:
    return {"quantity": plain(quantity), "limit_price": plain(limit), "stop_price": plain(stop)}


def _at(events: dict[int, Told], told: Told) -> str | None:
    event = events.get(told.cause)
    return iso(cast(m.Event, event.what).at) if event is not None and event.what is not None else None


def _changes(one: Gathered, events: dict[int, Told]) -> Iterator[Json]:
    for told in one.facts:
        said: Json | None = None
        match told.what:
            case m.OrderCancelAsked(reason=reason):
                said = {"what": "cancel asked", "terms": None, "text": reason}
            case m.OrderChangeAsked(change=change):
                said = {"what": "modification asked", "terms": _terms(*change.terms), "text": change.reason}
            case m.OrderChangeAwaited(handed=handed):
                said = {"what": "modification awaited", "terms": None, "text": "handed" if handed else "may have left"}
            case m.OrderTermsSet(quantity=quantity, limit_price=limit, stop_price=stop, text=why):
                said = {"what": "terms", "terms": _terms(quantity, limit, stop), "text": why}
            case m.ResolutionContradicted(says=says):
                said = {"what": "resolution contradicted", "terms": None, "text": says}
            case m.WhatIfAsked(order_id=order_id):
                said = {"what": "margin asked", "terms": None, "text": f"what it would bind, under order id {order_id}"}
            case m.MarginTold():
                said = {"what": "margin", "terms": None, "text": _margin(told.what)}
            case m.DelayedDataUsed(market_data_type=kind):
                said = {"what": "delayed data", "terms": None, "text": f"decided on market data type {kind}"}
            case m.AbsenceNoted(absence=absence):
                said = {"what": "sought", "terms": None, "text": _sought(absence)}
            case m.TradeRefused(check=check, text=why):
                said = {"what": f"withheld by {check}", "terms": None, "text": why}
            case _:
                continue
        yield {"at": _at(events, told), **said, "record": told.sequence, "cause": told.cause}


def _margin(fact: m.MarginTold) -> str:
    by = "estimated" if fact.is_estimate else "by the broker"
    return f"initial {fact.initial_margin}, maintenance {fact.maintenance_margin}, equity {fact.equity}, {by}"


def _sought(absence: Absence) -> str:
    """What has been gathered towards the proof that the broker never had it."""
    parts = [f"{absence.rounds} whole downloads without a trace of it"]
    parts += ["a cancel by its id found nothing"] if absence.cancel_not_found else []
    parts += ["the gateway answers a cancel of nothing, so no window holds it back"] if absence.answered else []
    parts += ["the gateway has spoken of it"] if absence.spoken_of else []
    parts += [f"broken off: {absence.broken}"] if absence.broken else []
    return "; ".join(parts)


def _fill(
    fact: m.FillBooked,
    told: Told,
    one: Gathered,
    charges: dict[str, m.CommissionBooked],
    replaced: dict[str | None, str],
) -> Json:
    charge = charges.get(fact.exec_id)
    return {
        "exec_id": fact.exec_id,
        "executed_at": iso(fact.executed_at),
        "quantity": plain(fact.quantity),
        "price": plain(fact.price),
        "commission": plain(charge.commission) if charge else None,
        "currency": charge.currency if charge else None,
        "replaces": fact.replaces,
        "replaced_by": replaced.get(fact.exec_id),
        "taken_back": plain(fact.taken_back) if fact.taken_back else None,
        "counts": fact.exec_id in one.fills.fills and bool(fact.quantity),
        **slippage(one.order.decision_price, fact.price, fact.quantity, fact.side.sign),
        "record": told.sequence,
        "cause": told.cause,
    }


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _message(told: Told, one: Gathered) -> Json:
    event = cast(m.Event | None, told.what)
    about = told.sequence in one.about
    row: Json = {"at": None, "tech": None, "kind": told.kind, "about": about, "text": "", "record": told.sequence}
    if event is None:
        return row | {"text": "in the archive"}
    say = _SAID.get(type(event))
    said = say(event, one) if say else _words(told.kind)
    if not about and told.kind in MESSAGES:
        said = f"of {_other(event)}: {said}"
    return row | {"at": iso(event.at), "tech": iso(event.tech), "text": said}


def _words(kind: str) -> str:
    """`DataRefreshed` → `data refreshed`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _other(event: m.Event) -> str:
    """Another order, by what a message calls it."""
    ref, perm_id, intent = (getattr(event, name, None) for name in ("ref", "perm_id", "intent"))
    named = ref or (perm_id and f"permId {perm_id}") or (intent and f"#{intent}")
    return f"another order ({named})" if named else "another order"


def _open_order(event: m.OpenOrderSeen, one: Gathered) -> str:
    prices = "".join(f" {price}" for price in (event.limit_price, event.stop_price) if price is not None)
    what = f"{event.side.value} {event.quantity} {event.order_type}{prices} {event.tif}"
    return f"{event.status}: {what}, permId {event.perm_id}"


def _status(event: m.OrderStatusSeen, one: Gathered) -> str:
    at = f" at {event.average_price}" if event.filled else ""
    held = f", held: {event.why_held}" if event.why_held else ""
    return f"{event.status}: {event.filled} filled{at}, {event.remaining} remaining{held}"


def _execution(event: m.ExecutionSeen, one: Gathered) -> str:
    forced = ", by the broker" if event.is_liquidation else ""
    return f"{event.quantity} at {event.price}, {event.cumulative} in all ({event.exec_id}){forced}"


def _commission(event: m.CommissionSeen, one: Gathered) -> str:
    gain = "" if event.realized_pnl is None else f", realized {event.realized_pnl}"
    return f"{event.commission} {event.currency} ({event.exec_id}){gain}"


def _completed(event: m.CompletedOrderSeen, one: Gathered) -> str:
    return f"{event.status}: {event.filled} filled" + (f", {event.text}" if event.text else "")


def _error(event: m.OrderErrorSeen, one: Gathered) -> str:
    meaning = f"; it means: {event.meaning}" if event.meaning else ""
    return f"{event.code} {event.text} ({event.verdict}{meaning})"


def _snapshot(event: m.SnapshotSeen, one: Gathered) -> str:
    listed = {
        "open orders": event.open_perm_ids,
        "completed orders": event.completed_perm_ids,
    }
    ours = set(one.order.perm_ids)
    there = [part for part, ids in listed.items() if ids is not None and ours & set(ids)]
    failed = "; ".join(f"{part}: {why}" for part, why in event.failures)
    what = f"lists it among {' and '.join(there)}" if there else "shows nothing of it"
    return f"a download ({event.reason}) {what}" + (f"; failed in part: {failed}" if failed else "")


_SAID: dict[type, Callable[[Any, Gathered], str]] = {
    m.OpenOrderSeen: _open_order,
    m.OrderStatusSeen: _status,
    m.ExecutionSeen: _execution,
    m.CommissionSeen: _commission,
    m.CompletedOrderSeen: _completed,
    m.OrderErrorSeen: _error,
    m.SnapshotSeen: _snapshot,
    m.OrderHanded: lambda event, _: f"modification {event.change} handed" if event.change else "given to the transport",
    m.OrderWithheld: lambda event, _: f"not sent: {event.reason}",
    m.LinkLost: lambda event, _: event.reason,
    m.PositionSeen: lambda event, _: f"the account has {event.quantity} {event.symbol}",
    m.ControlRequested: lambda event, _: f"{event.command} {event.argument} by {event.by}: {event.reason}",
    m.DaemonStarted: lambda event, _: f"version {event.version}",
    m.TimeReached: lambda event, _: "a deadline has passed",
    m.WhatIfSeen: lambda event, _: (
        f"what if: initial margin {event.initial_margin}, maintenance {event.maintenance_margin}, equity {event.equity}"
    ),
    m.RebalanceDue: lambda event, _: event.run_id,
}

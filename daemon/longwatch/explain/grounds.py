"""What a decision stood on, as plain JSON values: standing, bars, signals, quote, target, clamps, checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeGuard, cast

from longwatch.domain import messages as m
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.quotes import Quote
from longwatch.domain.safeguards.profits import level
from longwatch.domain.safeguards.stops import instrument_called
from longwatch.domain.state import State, evolve
from longwatch.explain.gathered import Told
from longwatch.explain.judged import Judged, Verdict, judged
from longwatch.explain.plain import Json, iso, plain, rounded
from longwatch.journal.finding import Finder

ZERO = Decimal(0)
NOT_THERE = "the event it was decided on is in an archive that is not beside the journal"


def grounds(finder: Finder, decided: Told, symbol: str, before: State) -> Json:
    """From the bars to the checks, as the event that an order was decided on saw them. Changes `before`."""
    event = cast(m.Event | None, decided.what)
    standing = _standing(decided, event, before)
    bars = _bars(finder, decided.sequence, symbol, event, before)
    signals = [_signal(finder, decided.sequence, name, before) for name, _ in sorted(before.settings.allocations)]
    facts = list(came_of(finder, decided.sequence))
    rest: Json = {"quote": None, "stop": _stop(before, facts, symbol), "target": None}
    rest |= {"clamps": clamps_of(facts, symbol), "checks": []}
    if isinstance(event, m.RebalanceDue):
        quote = next((one for one in event.quotes if one.symbol == symbol), None)
        rest["quote"] = None if quote is None else quote_of(quote, event)
        found = judged(before, event, symbol)
        if found is not None:
            recorded = next((one.what for one in facts if _is_of(one.what, symbol)), None)
            rest["target"] = _target(before, replace(found, target=recorded or found.target))
            rest["checks"] = [check_of(verdict) for verdict in found.verdicts]
    return {"decided": standing, "bars": bars, "signals": signals, **rest}


def _stop(before: State, facts: Iterable[Told], symbol: str) -> Json | None:
    """Where the protective stop of the holding lay, by the last fact that set it; None where there is to be none."""
    rows = [row for row in before.stop_levels.values() if row.symbol == symbol]
    rows += [one.what for one in facts if isinstance(one.what, m.StopLevelSet) and one.what.symbol == symbol]
    if not rows or rows[-1].level is None:
        return None
    row = rows[-1]
    return {"level": plain(row.level), "because": row.because, "opened_at": iso(row.opened_at), "set_at": iso(row.at)}


def profit_of(before: State, facts: Iterable[Told], order: Order) -> Json | None:
    """Where a take-profit lies and of what that is made, by the state it was placed in; None of other orders."""
    if order.purpose is not Purpose.PROFIT:
        return None
    for one in facts:
        if isinstance(one.what, m.OrderIntended) and one.what.order.intent == order.intent:
            break
        evolve(before, cast(m.Fact, one.what))
    instrument = instrument_called(before, order.con_id)
    found = level(before, instrument, -order.side.sign * order.quantity) if instrument is not None else None
    return None if found is None else {"level": plain(found.price), "because": found.because}


def _is_of(fact: object, symbol: str) -> TypeGuard[m.TargetSized]:
    return isinstance(fact, m.TargetSized) and fact.symbol == symbol


def quote_of(quote: Quote, event: m.RebalanceDue) -> Json:
    """The quote that was held when the decision was made."""
    age = quote.age_seconds(event.tech)
    return {
        "bid": plain(quote.bid),
        "ask": plain(quote.ask),
        "last": plain(quote.last),
        "bid_size": plain(quote.bid_size),
        "ask_size": plain(quote.ask_size),
        "market_data_type": quote.market_data_type,
        "age_seconds": None if age is None else round(age, 6),
    }


def clamps_of(facts: Iterable[Told], symbol: str) -> list[Json]:
    """Every fact of a decision that made a trade in this symbol smaller."""
    return [
        {
            "check": fact.check,
            "wanted": plain(fact.wanted),
            "allowed": plain(fact.allowed),
            "observed": plain(fact.observed),
            "limit": plain(fact.limit),
            "record": told.sequence,
        }
        for told in facts
        if isinstance(fact := told.what, m.TradeClamped) and fact.symbol == symbol
    ]


def came_of(finder: Finder, event: int) -> Iterator[Told]:
    """The facts that followed from an event: they stand right after it."""
    for entry in finder.between(event + 1, finder.last):
        if entry.record.cause != event:
            return
        yield Told.of(entry)


def check_of(verdict: Verdict) -> Json:
    """One row of the table of limits, as it judged the trade."""
    return {
        "check": verdict.name,
        "passed": verdict.passed,
        "observed": verdict.observed,
        "limit": verdict.limit,
        "unit": verdict.unit,
        "left": plain(verdict.quantity),
        "text": verdict.text or None,
    }


def _standing(decided: Told, event: m.Event | None, before: State) -> Json:
    if event is None:
        why: str | None = NOT_THERE
    elif isinstance(event, m.RebalanceDue):
        why = None
    else:
        why = f"it follows from {decided.kind}, not from a target: nothing was sized"
    return {
        "record": decided.sequence,
        "kind": decided.kind,
        "at": None if event is None else iso(event.at),
        "tech": None if event is None else iso(event.tech),
        "run_id": getattr(event, "run_id", None),
        "session": iso(event.session.date) if isinstance(event, m.RebalanceDue) and event.session else None,
        "verbs": [verb.value for verb in sorted(before.verbs)],
        "config_sha256": before.settings_sha256 or None,
        "text": why,
    }


def _bars(finder: Finder, decided: int, symbol: str, event: m.Event | None, before: State) -> Json | None:
    """What validation had said of the symbol's bars, and how old they were."""
    row, fact = before.judged.get(symbol), finder.before(decided, "DataJudged")
    if row is None or fact is None:
        return None
    refreshed = Told.of(found).what if (found := finder.at(fact.record.cause)) else None
    at = refreshed.at if isinstance(refreshed, m.DataRefreshed) else None
    return {
        "symbol": symbol,
        "bars": row.bars,
        "session": iso(before.judged_session),
        "last_session": iso(row.last_session),
        "sessions_behind": None if event is None else _sessions_since(before, row, event.at),
        "close": plain(row.close),
        "flaws": list(row.flaws),
        "warnings": list(row.warnings),
        "refreshed_at": iso(at),
        "age_seconds": None if at is None or event is None else (event.at - at).total_seconds(),
        "record": fact.record.sequence,
    }


def _sessions_since(before: State, row: m.SeriesJudged, now: datetime) -> int | None:
    """Sessions that had ended after the last bar; 0 is as new as can be."""
    if row.last_session is None:
        return None
    return sum(1 for session in before.sessions if session.close_at <= now and session.date > row.last_session)


def _signal(finder: Finder, decided: int, strategy: str, before: State) -> Json:
    """A strategy's targets that were in force, and where they came from."""
    fact, fault = before.targets.get(strategy), before.faults.get(strategy)
    computed, sequence = _computed(finder, decided, strategy) if fact else (None, None)
    return {
        "strategy": strategy,
        "allocation": plain(dict(before.settings.allocations).get(strategy)),
        "run_id": fact.run_id if fact else None,
        "session": iso(fact.session) if fact else None,
        "computed_at": iso(computed.at) if computed else None,
        "weights": {symbol: plain(weight) for symbol, weight in fact.weights} if fact else {},
        "source_sha256": computed.source_sha256 if computed else None,
        "parameters": (computed.parameters or None) if computed else None,
        "seconds": computed.seconds if computed else None,
        "memory": fact.memory if fact else None,
        "fault": None if fault is None else fault.reason,
        "record": sequence,
    }


def _computed(finder: Finder, decided: int, strategy: str) -> tuple[m.TargetsComputed | None, int | None]:
    """The event of a strategy's last targets before a decision, and the record of the fact."""
    for entry in finder.holding("TargetsSet", f'"strategy":"{strategy}"', decided):
        found = finder.at(entry.record.cause)
        event = Told.of(found).what if found else None
        return (event if isinstance(event, m.TargetsComputed) else None), entry.record.sequence
    return None, None


def _target(before: State, found: Judged) -> Json:
    """How weights, capital and price became shares, and these a trade."""
    target = found.target
    if target is None:
        return {
            "parts": [],
            **dict.fromkeys(("weight", "capped", "equity", "equity_session", "capital_limit")),
            "price": plain(found.wanted.price),
            "lot": plain(found.wanted.instrument.lot),
            "shares": "0",
            **dict.fromkeys(("low", "high")),
            "held": plain(found.wanted.held),
            "under_way": "0",
            "trade": plain(found.wanted.trade),
            "value": rounded(abs(found.wanted.trade) * found.wanted.price, "0.01"),
        }
    return sized_of(target) | {"capital_limit": plain(before.settings.max_capital_value)}


def sized_of(target: m.TargetSized) -> Json:
    """Every figure that a target came about by; `parts` are those of the strategies."""
    return {
        "parts": [
            {
                "strategy": part.strategy,
                "method": part.method,
                "weight": plain(part.weight),
                "scaled": plain(part.scaled),
                "leverage": plain(part.leverage),
                "capital": plain(part.capital),
                "sized": plain(part.sized),
                "volatility": plain(part.volatility),
                "stop_distance": plain(part.stop_distance),
            }
            for part in target.parts
        ],
        "weight": plain(target.weight),
        "capped": plain(target.capped),
        "equity": plain(target.equity),
        "equity_session": iso(target.session),
        "capital_limit": None,
        "price": plain(target.price),
        "lot": plain(target.lot),
        "shares": plain(target.shares),
        "low": plain(target.low),
        "high": plain(target.high),
        "held": plain(target.held),
        "under_way": plain(target.pending),
        "trade": plain(target.trade),
        "value": rounded(abs(target.trade) * target.price, "0.01"),
    }

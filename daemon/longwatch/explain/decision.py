"""One decision on all targets as plain JSON values, symbol by symbol; printed by `longwatch decision`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.portfolio.parts import equity_of
from longwatch.domain.portfolio.targets import weighed
from longwatch.domain.portfolio.wanted import Wanted, sized, untradable, wanted_trades
from longwatch.domain.state import State
from longwatch.errors import UsageError
from longwatch.explain.gathered import Told
from longwatch.explain.grounds import came_of, clamps_of, quote_of, sized_of
from longwatch.explain.plain import Json, iso, plain
from longwatch.journal.finding import Finder, finding
from longwatch.journal.travel import state_at

LAST = "last"


def decision(path: Path, name: str) -> Json:
    """A rebalance by its run id, by the record of it or of any fact of it, or the `last`.

    Raises UsageError when there is none. A run that was decided more than once is told as it was at last.
    """
    with finding(path) as finder:
        event = _named(finder, name)
        due = cast(m.RebalanceDue | None, event.what)
        facts = list(came_of(finder, event.sequence))
        before = state_at(path, event.sequence - 1).state
        rows = _rows(before, due, facts) if due is not None else {}
        made = next((told.what for told in facts if isinstance(told.what, m.RebalanceDecided)), None)
        return {
            "run_id": made.run_id if made else name,
            "record": event.sequence,
            "at": iso(due.at) if due else None,
            "session": iso(due.session.date) if due and due.session else None,
            "equity": plain(equity_of(before)) if before.equity else None,
            "equity_session": iso(before.equity.session) if before.equity else None,
            "verbs": [verb.value for verb in sorted(before.verbs)],
            "config_sha256": before.settings_sha256 or None,
            "intended": made.intended if made else None,
            "refused": made.refused if made else None,
            "clamped": made.clamped if made else None,
            "waiting": made.waiting if made else None,
            "symbols": [rows[symbol] for symbol in sorted(rows)],
        }


def _named(finder: Finder, name: str) -> Told:
    """The event of the decision meant."""
    if name == LAST:
        found = finder.before(finder.last + 1, "RebalanceDecided")
    elif name.isdecimal() and len(name) < 19:
        found = finder.at(int(name))
    else:
        found = next(finder.holding("RebalanceDecided", f'"run_id":"{name}"'), None)
    event = found if found is None or not found.record.cause else finder.at(found.record.cause)
    if event is None or event.record.kind != "RebalanceDue":
        raise UsageError(
            f"there is no decision {name}; name it by its run id, as rebalance@2007-01-03T14:35:00+00:00, by one of "
            "its records, or say `last`; `longwatch events --kind RebalanceDecided` lists them"
        )
    return Told.of(event)


def _rows(before: State, due: m.RebalanceDue, facts: list[Told]) -> dict[str, Json]:
    """Every symbol that was wanted, held back, or that a fact names."""
    quotes = {quote.symbol: quote for quote in due.quotes}
    rows: dict[str, Json] = {}
    found = weighed(before)
    for wanted in wanted_trades(before, due, found):
        target = next(sized(before, due.run_id, found, wanted), None)
        rows[wanted.instrument.symbol] = _row(wanted.instrument, wanted, target)
    for symbol, weight in found.weights.items():
        if symbol not in rows:
            nothing = {"weight": plain(weight), "came_to": "nothing is wanted of it or held"}
            rows[symbol] = _row(before.instruments.get(symbol)) | nothing
    for symbol, shares, check, why in untradable(before, found):
        instrument = before.instruments.get(symbol)
        rows[symbol] = _row(instrument) | {"trade": plain(shares), "came_to": f"refused by {check}: {why}"}
    for told in facts:
        named: str | None = getattr(getattr(told.what, "order", told.what), "symbol", None)
        if named is not None:
            _add(rows.setdefault(named, _row(before.instruments.get(named))), told)
    for symbol, row in rows.items():
        row["symbol"] = symbol
        row["clamps"] = clamps_of(facts, symbol)
        row["quote"] = quote_of(quotes[symbol], due) if symbol in quotes else None
    return rows


def _row(instrument: Instrument | None, wanted: Wanted | None = None, target: m.TargetSized | None = None) -> Json:
    settled = wanted is not None and not wanted.trade
    return {
        "symbol": instrument.symbol if instrument else None,
        "weight": plain(target.capped) if target else None,
        "price": plain(wanted.price) if wanted else None,
        "target": plain(target.shares) if target else ("0" if wanted else None),
        "held": plain(wanted.held) if wanted else None,
        "under_way": plain(wanted.pending) if wanted else None,
        "trade": plain(wanted.trade) if wanted else None,
        "came_to": "at its target" if settled else "too little to trade: within the band",
        "sized": sized_of(target) if target else None,
        "clamps": [],
        "refusal": None,
        "orders": [],
    }


def _add(row: Json, told: Told) -> None:
    match told.what:
        case m.OrderIntended(order=order):
            row["orders"].append(order.intent)
            row["came_to"] = f"order #{order.intent}: {order.side.value} {order.quantity}"
        case m.TradeRefused() as refused:
            row["refusal"] = {
                "check": refused.check,
                "observed": refused.observed,
                "limit": refused.limit,
                "text": refused.text,
                "record": told.sequence,
            }
            row["came_to"] = f"refused by {refused.check}: {refused.text}"


def decisions(finder: Finder) -> Iterator[Told]:
    """Every decision's last fact, the newest first."""
    return (Told.of(entry) for entry in finder.between(1, finder.last, ("RebalanceDecided",), newest_first=True))

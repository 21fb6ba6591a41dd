"""A recorded decision made again: the same comes out, and an input that was altered makes it differ by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from longwatch import cli
from longwatch.domain import messages as m
from longwatch.domain.decide import step
from longwatch.domain.orders import Order
from longwatch.domain.state import State, evolve
from longwatch.explain.again import differences, recompute
from longwatch.journal.checkpoints import snapshot
from longwatch.journal.codec import EVENTS, decode
from longwatch.journal.reading import read_records
from tests.explain.made import demo, forged, journal_of, orders_in, written

D = Decimal
DAYS = 5
BPS = st.integers(50, 2_000).map(lambda points: 1 + D(points) / 10_000)


@dataclass(frozen=True, slots=True)
class Decision:
    """An order, the event it was decided on, the state before it, and all the facts that followed."""

    order: Order
    event: m.RebalanceDue
    before: State
    recorded: tuple[m.Fact, ...]

    @property
    def strategy(self) -> str:
        """One that named its symbol."""
        return max(self.order.allocations, key=lambda part: abs(part.quantity)).strategy


@cache
def decisions() -> tuple[Decision, ...]:
    """Of every order of a run; entries whose quantity no cap had cut, since a cap may hide what changed before it."""
    found: list[Decision] = []
    state, event, before, facts = State(), cast(Any, None), State(), list[m.Fact]()
    for record in read_records(demo(DAYS) / "journal.sqlite"):
        what = decode(record)
        if record.kind in EVENTS:
            found += _closed(event, before, facts)
            event, before, facts = what, snapshot(state), []
        else:
            facts.append(cast(m.Fact, what))
            evolve(state, cast(m.Fact, what))
    return (*found, *_closed(event, before, facts))


def _closed(event: m.Event, before: State, facts: list[m.Fact]) -> Iterator[Decision]:
    for fact in facts if isinstance(event, m.RebalanceDue) else ():
        cut = {one.symbol for one in facts if isinstance(one, m.TradeClamped)}
        if isinstance(fact, m.OrderIntended) and fact.order.symbol not in cut:
            yield Decision(fact.order, cast(m.RebalanceDue, event), before, tuple(facts))


def again(made: Decision, event: m.RebalanceDue, state: State) -> set[str]:
    """The names of what is otherwise: `OrderIntended GOOG quantity`."""
    return {f"{one.fact} {one.field}".strip() for one in differences(made.recorded, step(state, event).facts)}


# ── each kind of input, altered ─────────────────────────────────────────────────────────────────────────────────────

Altered = tuple[m.RebalanceDue, State, str]
"""The event, the state before it, and a name that must be among those that differ."""


def a_quote(made: Decision, factor: Decimal) -> Altered:
    quotes = tuple(
        replace(one, bid=one.bid * factor, ask=one.ask * factor) if one.symbol == made.order.symbol else one
        for one in made.event.quotes
    )
    return replace(made.event, quotes=quotes), made.before, f"OrderIntended {made.order.symbol} decision_price"


def a_price(made: Decision, factor: Decimal) -> Altered:
    state = snapshot(made.before)
    assert state.equity is not None
    prices = dict(state.equity.prices)
    prices[made.order.symbol] *= factor
    state.equity = replace(state.equity, prices=tuple(prices.items()))
    return made.event, state, f"TargetSized {made.order.symbol} price"


def a_weight(made: Decision, factor: Decimal) -> Altered:
    state = snapshot(made.before)
    row = state.targets[made.strategy]
    weights = tuple((s, w / factor if s == made.order.symbol else w) for s, w in row.weights)
    assume(weights != row.weights)
    state.targets[made.strategy] = replace(row, weights=weights)
    return made.event, state, f"TargetSized {made.order.symbol} weight"


def the_capital(made: Decision, factor: Decimal) -> Altered:
    state = snapshot(made.before)
    assert state.equity is not None
    state.equity = replace(state.equity, equity=state.equity.equity * factor)
    return made.event, state, f"TargetSized {made.order.symbol} equity"


def a_holding(made: Decision, factor: Decimal) -> Altered:
    """As when the shares of a fill were altered."""
    state, con_id = snapshot(made.before), made.order.con_id
    assume(con_id in state.book)
    more = state.book[con_id].quantity + int(factor * 100)
    state.book[con_id] = replace(state.book[con_id], quantity=more)
    return made.event, state, f"TargetSized {made.order.symbol} held"


def _setting(name: str, change: Callable[[Any, Decimal], Any], differs: str) -> Callable[[Decision, Decimal], Altered]:
    def altered(made: Decision, factor: Decimal) -> Altered:
        state = snapshot(made.before)
        state.settings = replace(state.settings, **{name: change(getattr(state.settings, name), factor)})
        return made.event, state, differs.format(made.order.symbol)

    return altered


def the_flaws(made: Decision, factor: Decimal) -> Altered:
    state, symbol = snapshot(made.before), made.order.symbol
    state.judged[symbol] = replace(state.judged[symbol], flaws=("put in",))
    return made.event, state, f"OrderIntended {symbol}"


def the_tick(made: Decision, factor: Decimal) -> Altered:
    state, symbol = snapshot(made.before), made.order.symbol
    assume(made.order.limit_price is not None)
    state.instruments[symbol] = replace(state.instruments[symbol], tick=D("7.77"))
    return made.event, state, f"OrderIntended {symbol} limit_price"


def a_verb(made: Decision, factor: Decimal) -> Altered:
    state = snapshot(made.before)
    state.verbs[m.Verb.HALT] = m.VerbSet(verb=m.Verb.HALT, on=True, by="nobody", reason="put in")
    return made.event, state, f"OrderIntended {made.order.symbol}"


def the_session(made: Decision, factor: Decimal) -> Altered:
    return replace(made.event, session=None), made.before, f"OrderIntended {made.order.symbol}"


def a_quotes_age(made: Decision, factor: Decimal) -> Altered:
    quotes = tuple(replace(one, at=None) for one in made.event.quotes)
    return replace(made.event, quotes=quotes), made.before, f"OrderIntended {made.order.symbol}"


INPUTS: dict[str, Callable[[Decision, Decimal], Altered]] = {
    "a quote": a_quote,
    "a quote's age": a_quotes_age,
    "a price": a_price,
    "a weight": a_weight,
    "the capital": the_capital,
    "a holding": a_holding,
    "bars": the_flaws,
    "an instrument": the_tick,
    "a verb": a_verb,
    "the session": the_session,
    "setting cash_reserve_fraction": _setting(
        "cash_reserve_fraction", lambda v, f: v + f / 10, "TargetSized {} weight"
    ),
    "setting allocations": _setting(
        "allocations", lambda v, f: tuple((n, part / f) for n, part in v), "TargetSized {} weight"
    ),
    "setting tif": _setting("tif", lambda v, f: "GTC" if v == "DAY" else "DAY", "OrderIntended {} tif"),
    "setting order_type": _setting(
        "order_type", lambda v, f: "LMT" if v != "LMT" else "MKT", "OrderIntended {} order_type"
    ),
    "setting outside_rth": _setting("outside_rth", lambda v, f: not v, "OrderIntended {} outside_rth"),
    "setting min_order_value": _setting("min_order_value", lambda v, f: D(10) ** 12, "OrderIntended {}"),
    "setting max_order_shares": _setting("max_order_shares", lambda v, f: D(1), "OrderIntended {} quantity"),
    "setting max_capital_value": _setting("max_capital_value", lambda v, f: D(1000), "TargetSized {} equity"),
    "setting max_quote_age_seconds": _setting("max_quote_age_seconds", lambda v, f: -1.0, "OrderIntended {}"),
    "setting price_band_fraction": _setting("price_band_fraction", lambda v, f: D(0), "OrderIntended {}"),
}


def test_the_run_has_decisions_of_both_kinds() -> None:
    """Entries and reducing orders that no cap had cut."""
    assert {made.order.purpose.value for made in decisions()} >= {"entry", "reduce"}
    assert len(decisions()) >= 5


@pytest.mark.parametrize("kind", INPUTS)
@settings(max_examples=20, deadline=None)
@given(which=st.integers(0, 10**6), factor=BPS)
def test_an_altered_input_makes_the_decision_differ_by_name(kind: str, which: int, factor: Decimal) -> None:
    """Whatever order, however much; and with nothing altered nothing differs."""
    made = decisions()[which % len(decisions())]
    assert again(made, made.event, snapshot(made.before)) == set()
    event, state, name = INPUTS[kind](made, factor)
    found = again(made, event, snapshot(state))
    fact, symbol, *field = name.split()
    if kind.startswith("setting"):  # it is one for all symbols, and may let this one's order through as it was
        assert any(one.split()[0] == fact and one.split()[2:] in (field, []) for one in found), sorted(found)
    else:  # where nothing is left to trade, the whole fact is what differs
        assert {name, f"{fact} {symbol}", f"TargetSized {symbol}"} & found, sorted(found)


# ── in the journal's file ───────────────────────────────────────────────────────────────────────────────────────────


def inputs_of(path: Path, intent: int) -> dict[str, int]:
    """The last record of each kind of input before the decision on an order."""
    with written(path) as hand:
        decided = hand.execute(
            "SELECT cause FROM record WHERE kind = 'OrderIntended' AND instr(payload, CAST(? AS BLOB)) > 0",
            (f'{{"order":{{"intent":{intent},',),
        ).fetchone()[0]
        kinds = ("ConfigApplied", "DataJudged", "EquitySet", "InstrumentKnown", "SessionsKnown", "TargetsSet")
        rows = {
            kind: hand.execute(
                "SELECT max(sequence) FROM record WHERE kind = ? AND sequence < ?", (kind, decided)
            ).fetchone()[0]
            for kind in kinds
        }
    return rows | {"RebalanceDue": decided}


@pytest.mark.parametrize(
    "kind",
    ["ConfigApplied", "DataJudged", "EquitySet", "InstrumentKnown", "RebalanceDue", "SessionsKnown", "TargetsSet"],
)
def test_a_byte_altered_in_the_file_is_named_by_record_and_kind(tmp_path: Path, kind: str) -> None:
    """Whether it changes the outcome or not: here is one blank more, which changes none."""
    path = journal_of(demo(DAYS), tmp_path)
    sequence = inputs_of(path, 3)[kind]
    with written(path) as hand:
        payload = hand.execute("SELECT payload FROM record WHERE sequence = ?", (sequence,)).fetchone()[0]
        hand.execute("UPDATE record SET payload = ? WHERE sequence = ?", (payload.replace(b":", b": ", 1), sequence))
    found = recompute(path, "3")
    assert (found["same"], found["differences"]) == (False, [])
    assert found["altered"] == [{"record": sequence, "kind": kind}]


FORGERIES: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "EquitySet": ("equity", lambda body: body.update(equity="1500000")),
    "TargetsSet": (
        "weight",
        lambda body: body.update(weights=[[name, f"{D(weight) / 2}"] for name, weight in body["weights"]]),
    ),
    "RebalanceDue": (
        "decision_price",
        lambda body: [quote.update(bid=f"{D(quote['bid']) - 1}") for quote in body["quotes"]],
    ),
    "ConfigApplied": ("tif", lambda body: body["settings"].update(tif="GTC")),
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forger_who_writes_the_hashes_anew_is_found_by_what_follows(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The chain is whole, and the decision comes out otherwise: the command names the field and ends with 1."""
    path = journal_of(demo(DAYS), tmp_path)
    field, forge = FORGERIES[kind]
    found: set[str] = set()
    sequence = inputs_of(path, 3)[kind]
    with written(path) as hand:
        body = json.loads(hand.execute("SELECT payload FROM record WHERE sequence = ?", (sequence,)).fetchone()[0])
    forge(body)
    forged(path, sequence, json.dumps(body, separators=(",", ":")).encode())
    told = recompute(path, "3")
    found = {one["field"] for one in told["differences"]}
    assert (told["same"], told["altered"]) == (False, []) and field in found, told
    monkeypatch.setattr(sys, "argv", ["longwatch", "why", "3", "--recompute", "--file", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = capsys.readouterr().out
    assert ended.value.code == 1 and "not the same" in out and f" {field}: " in out


def test_every_order_is_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command's own way, from the first record on."""
    path = journal_of(demo(DAYS), tmp_path)
    for intent in range(1, orders_in(path) + 1):
        found = recompute(path, str(intent))
        assert found["same"] and found["decided"]["facts"] > 1, found

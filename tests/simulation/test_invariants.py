"""Each invariant catches the bug it is there for, planted in the daemon, and says nothing of a daemon without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from longwatch.broker.ib import Writer
from longwatch.broker.live import IbBroker
from longwatch.domain import commands, decide, orders
from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life import lifecycle, transitions
from longwatch.domain.order_life.evidence import Decided, advance
from longwatch.domain.portfolio import rebalance, wanted
from longwatch.domain.reconciliation import busts, reconcile
from longwatch.domain.risk import readiness, verbs
from longwatch.domain.safeguards import stops
from longwatch.domain.state import State
from longwatch.engine import jobs, loop
from longwatch.gateway import wording
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.ledger import Commission
from longwatch.simulation import life, liveness
from longwatch.simulation import scenery as scenery_module
from longwatch.simulation.endings import ends_by_evidence
from longwatch.simulation.evidence import Row
from longwatch.simulation.invariants import INVARIANTS, Broken
from longwatch.simulation.life import Life
from longwatch.simulation.liveness import SETTLED_WITHIN, at_target
from longwatch.simulation.plan import Incident
from longwatch.simulation.scenery import MADE_UP, scenery
from longwatch.simulation.simulate import Asked, simulated

SEED, DAYS = 2, 3
"""A run that trades twelve symbols once a day, five minutes after the open."""
ALL_DAY_LONG = 5
"""One that trades them every half hour."""

Plant = Callable[[pytest.MonkeyPatch], None]


@cache
def opens_of(seed: int) -> tuple[Any, ...]:
    """The opens of a run's sessions."""
    return tuple(session.open_at for session in scenery(seed, DAYS, Path("unused")).sessions)


def opens() -> tuple[Any, ...]:
    return opens_of(SEED)


def at(day: int, minutes: float) -> Any:
    return opens()[day] + timedelta(minutes=minutes)


def with_orders(fault: str, **values: Any) -> Incident:
    """A fault that begins with the first order of the first day."""
    return Incident(at=at(0, 1), fault=fault, after="order", **values)


# ── the bugs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def every_order_twice(patch: pytest.MonkeyPatch) -> None:
    """The adapter writes each order a second time."""
    submit = IbBroker.submit

    def twice(broker: IbBroker, effect: m.SubmitOrder) -> None:
        submit(broker, effect)
        submit(broker, effect)

    patch.setattr(IbBroker, "submit", twice)


def every_order_again_under_another_name(patch: pytest.MonkeyPatch) -> None:
    """The adapter writes each order a second time, with a reference and an id that nobody has used."""
    submit = IbBroker.submit

    def twice(broker: IbBroker, effect: m.SubmitOrder) -> None:
        order = effect.order
        again = replace(order, ref=order.ref.replace("lw:", "lw:again-"), order_id=(order.order_id or 0) + 5000)
        submit(broker, effect)
        submit(broker, replace(effect, order=again))

    patch.setattr(IbBroker, "submit", twice)


def sells_twice_what_is_held(patch: pytest.MonkeyPatch) -> None:
    """Each order to sell is written for twice its shares."""
    submit = IbBroker.submit

    def double(broker: IbBroker, effect: m.SubmitOrder) -> None:
        order = effect.order
        more = order.quantity * 2 if order.side is Side.SELL else order.quantity
        submit(broker, replace(effect, order=replace(order, quantity=more)))

    patch.setattr(IbBroker, "submit", double)


def corrections_as_fills(patch: pytest.MonkeyPatch) -> None:
    """A revision `.02` is booked beside the execution it corrects."""
    patch.setattr(lifecycle, "_replaced", lambda state, stem, revision: None)


def executions_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    """The download asks for executions of another century only."""

    def later(writer: Writer, request_id: int) -> bytes:
        chosen = writer._library.execution_filter(time="20990101-00:00:00")
        return writer._encoded(writer._client.reqExecutions, request_id, chosen)

    patch.setattr(Writer, "executions", later)


def no_limits(patch: pytest.MonkeyPatch) -> None:
    """No cap makes a trade smaller, and the target is three times what it should be."""
    patch.setattr(rebalance, "caps_of", lambda proposal: ())
    patch.setattr(decide, "passed_by_now", lambda state, order, quotes: None)
    bigger = wanted.size

    def triple(symbol: str, weight: Decimal, *cuts: Any, **other: Any) -> Any:
        return bigger(symbol, weight * 3, *cuts, **{**other, "max_weight": Decimal(3), "max_shares": Decimal(10**9)})

    patch.setattr(wanted, "size", triple)


def always_ready(patch: pytest.MonkeyPatch) -> None:
    """The readiness certificate asks for nothing."""
    patch.setattr(readiness, "CERTIFICATE", ())


def silence_is_an_end(patch: pytest.MonkeyPatch) -> None:
    """What is not acknowledged counts as cancelled."""
    states, evidence = orders.OrderState, orders.Evidence
    patch.setitem(transitions.TRANSITIONS[states.SENDING], evidence.SILENCE, states.CANCELLED)


def no_alarm(patch: pytest.MonkeyPatch) -> None:
    """Nothing wakes the daemon at a deadline."""
    patch.setattr(loop, "next_deadline", lambda state: None)


def a_handler_that_raises(patch: pytest.MonkeyPatch) -> None:
    """Commissions are too much for it."""

    def raises(state: State, event: Any) -> Iterator[Any]:
        raise ZeroDivisionError("planted")
        yield

    patch.setitem(decide.DECIDERS, m.CommissionSeen, raises)


def unknown_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Nothing ever settles an order of unknown outcome, and nothing looks at it again."""

    def once(state: State, tech: Any) -> Decided:
        for order in list(state.live_orders()):
            if order.deadline is not None and order.deadline <= tech:
                yield from advance(state, order, orders.Evidence.SILENCE)

    def nothing(state: State, event: Any) -> Decided:
        yield from ()

    patch.setattr(lifecycle, "overdue", once)
    patch.setattr(reconcile, "_settle_unknown", nothing)


def allow(condition: verbs.Condition) -> Plant:
    """A condition that holds orders back lets everything through."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(verbs.ALLOWED, condition, frozenset(verbs.Action))

    return plant


def says_pause(patch: pytest.MonkeyPatch) -> None:
    """The person who would halt the daemon pauses it."""
    says = Life._says

    def said(life: Life, command: str, argument: str = "") -> Any:
        return says(life, {"halt": "pause"}.get(command, command), argument)

    patch.setattr(Life, "_says", said)


def a_pause_that_holds_nothing(patch: pytest.MonkeyPatch) -> None:
    says_pause(patch)
    allow(verbs.Condition.PAUSE)(patch)


def a_flatten_that_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A flatten cancels what works, and then the next decision trades as ever."""
    patch.setattr(commands, "_verb", lambda state, event, verb: iter(()))


def unknown_orders_are_ordered_again(patch: pytest.MonkeyPatch) -> None:
    """What is under way does not count, and an unknown outcome holds nothing back; nor does it ever become known."""
    unknown_for_ever(patch)
    left = tuple(check for check in readiness.CERTIFICATE if check is not readiness.gateway_answers)
    patch.setattr(readiness, "CERTIFICATE", left)
    allow(verbs.Condition.UNKNOWN)(patch)
    patch.setattr(wanted, "_pending", lambda state, con_id: Decimal(0))


def no_rebalance(patch: pytest.MonkeyPatch) -> None:
    """The job that trades does nothing, and says that it is done."""

    async def idle(desk: Any, run: Any) -> str:
        return "done"

    patch.setitem(jobs.WORK, "rebalance", idle)


def stops_deciding_at_noon(patch: pytest.MonkeyPatch) -> None:
    """On the last day no rebalance after noon decides anything, and each says that it is done."""
    right, noon = decide.DECIDERS[m.RebalanceDue], opens_of(ALL_DAY_LONG)[-1] + timedelta(hours=2.5)

    def until_noon(state: State, event: Any) -> Iterator[Any]:
        return iter(()) if event.at > noon else right(state, event)

    patch.setitem(decide.DECIDERS, m.RebalanceDue, until_noon)


def half_of_it(patch: pytest.MonkeyPatch) -> None:
    """Targets are sized at half the equity."""
    patch.setattr(wanted, "equity_of", lambda state: state.equity.equity / 2)


def a_cent_too_much(patch: pytest.MonkeyPatch) -> None:
    """The gateway tells each commission a cent higher than it books it."""
    right = wording.commission_report

    def wrong(commission: Commission) -> dict[str, Any]:
        return {**right(commission), "commission": commission.amount + Decimal("0.01")}

    patch.setattr(wording, "commission_report", wrong)


def with_stops(patch: pytest.MonkeyPatch, fraction: float = 0.04) -> None:
    """The run's holdings have stops so far behind what was paid."""
    patch.setattr(scenery_module, "_stops", lambda seed: {"fraction": fraction})


def sells_twice_beside_stops(patch: pytest.MonkeyPatch) -> None:
    """Each order to sell, stop or exit, is written for twice its shares."""
    with_stops(patch)
    sells_twice_what_is_held(patch)


def no_new_stops(patch: pytest.MonkeyPatch) -> None:
    """From the first noon on no stop is placed."""
    right, noon = stops._placed, opens()[0] + timedelta(hours=2.5)
    with_stops(patch)
    patch.setattr(stops, "_placed", lambda *given: iter(()) if given[-1].at > noon else right(*given))


def cancels_what_is_not_ours(patch: pytest.MonkeyPatch) -> None:
    """An order of somebody else's is cancelled when it is seen."""
    right = lifecycle.foreign

    def wrong(state: State, event: m.OpenOrderSeen) -> Decided:
        yield from right(state, event)
        yield m.CancelOrder(intent=1, order_id=max(event.order_id, 77_000))

    patch.setattr(lifecycle, "foreign", wrong)


def takes_no_note_of_others(patch: pytest.MonkeyPatch) -> None:
    """Neither an execution of theirs nor a person says whose the shares are."""
    patch.setattr(lifecycle, "outside_trade", lambda *_, **__: iter(()))
    patch.setattr(Life, "_answer", lambda *_: None)


def stops_by_the_half_hour(patch: pytest.MonkeyPatch) -> None:
    """A fill places none: the next reading of the account does."""
    with_stops(patch)
    patch.setattr(stops, "ACTS_ON", frozenset({m.SnapshotSeen}))
    patch.setattr(stops, "_is_due", lambda *_, **__: False)


@dataclass(frozen=True, kw_only=True)
class Case:
    plant: Plant
    script: tuple[Incident, ...] = field(default=())
    events: tuple[tuple[Any, Event], ...] = field(default=())


def by_hand(price: Decimal = Decimal(0)) -> tuple[Any, Event]:
    """Somebody buys in the gateway's own window, at the market or a price at which the order rests."""
    return at(0, 40), Event(kind="trade", symbol=MADE_UP[0], quantity=Decimal(5), price=price)


@cache
def cases() -> dict[str, Case]:
    lost = with_orders("lose_order", count=3)
    return {
        "one order an intent": Case(plant=every_order_twice),
        "quiet positions": Case(plant=corrections_as_fills, script=(with_orders("correct_fill", count=3),)),
        "every fill is heard": Case(
            plant=executions_not_asked_for, script=(with_orders("refuse", wait=0.5, seconds=300.0),)
        ),
        "limits at worst": Case(plant=no_limits),
        "ready when sending": Case(
            plant=always_ready, script=(Incident(at=at(0, 4), fault="farm", part="usfarm", seconds=600.0),)
        ),
        "obeys people and quarantines": Case(
            plant=allow(verbs.Condition.HALT), script=(Incident(at=at(0, 1), fault="halt", seconds=600.0),)
        ),
        "ends by evidence": Case(plant=silence_is_an_end, script=(with_orders("delay", by=25.0, seconds=60.0),)),
        "settled by its deadline": Case(plant=no_alarm, script=(lost,)),
        "nothing undigested": Case(plant=a_handler_that_raises),
        "no unknown remains": Case(plant=unknown_for_ever, script=(lost,)),
        "enough orders": Case(plant=no_rebalance),
        "at target": Case(plant=half_of_it),
        "books agree": Case(plant=a_cent_too_much),
        "stops are for what is held": Case(plant=sells_twice_beside_stops),
        "never short": Case(plant=sells_twice_beside_stops),
        "stops go with the position": Case(plant=no_new_stops),
        "protected in time": Case(plant=stops_by_the_half_hour),
        "others are left alone": Case(plant=cancels_what_is_not_ours, events=(by_hand(price=Decimal(1)),)),
        "others are counted": Case(plant=takes_no_note_of_others, events=(by_hand(),)),
    }


def broken_by(script: tuple[Incident, ...], events: tuple[tuple[Any, Event], ...] = ()) -> tuple[Broken, ...]:
    return simulated(Asked(seed=SEED, days=DAYS, script=script, events=events)).broken


def test_every_invariant_has_a_planted_bug() -> None:
    """The table of bugs is the table of invariants."""
    assert cases().keys() == INVARIANTS.keys()


@pytest.mark.parametrize("name", INVARIANTS)
def test_an_invariant_catches_its_planted_bug(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug it is broken, by name and with its time."""
    case = cases()[name]
    case.plant(monkeypatch)
    broken = [one for one in broken_by(case.script, case.events) if one.invariant == name]
    assert broken
    assert all(one.text and one.at >= opens()[0] for one in broken)


@pytest.mark.parametrize("fraction", [0.005, 0.04])
def test_stops_that_are_right_break_nothing(fraction: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same runs, triggered stops among them, without the bugs about stops."""
    with_stops(monkeypatch, fraction)
    assert broken_by(()) == ()


def test_none_is_broken_without_a_bug() -> None:
    """The same faults, all in one run, and a daemon as it is."""
    script = {incident for case in cases().values() for incident in case.script}
    assert broken_by(tuple(sorted(script, key=lambda one: (one.at, one.fault)))) == ()


def test_an_intent_written_again_under_another_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its reference nor its id is used twice: the intent is."""
    every_order_again_under_another_name(monkeypatch)
    broken = [one.text for one in broken_by(()) if one.invariant == "one order an intent"]
    assert any(re.match(r"intent \d+ was written again, as lw:again-", text) for text in broken)


def test_a_fill_taken_back_is_followed_by_proof_or_by_a_person_and_missed_without_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The daemon sees it by itself; one that does not is quarantined until a person has read the statement."""
    script = (with_orders("bust"),)
    assert broken_by(script) == ()

    def nothing(state: State, row: m.Difference, event: m.SnapshotSeen) -> Decided:
        yield from ()

    monkeypatch.setattr(busts, "take_back", nothing)
    assert broken_by(script) == ()
    monkeypatch.setattr(life, "LOOKS_EACH_SECONDS", 1e9)
    assert "quiet positions" in {one.invariant for one in broken_by(script)}


def test_selling_what_is_not_held_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sells_twice_what_is_held(monkeypatch)
    broken = [one.text for one in broken_by(()) if one.invariant == "limits at worst"]
    assert any(re.match(r"selling \d+ \w+ could end at -\d+ shares", text) for text in broken)


@pytest.mark.parametrize(
    ("section", "limit", "most", "words"),
    [
        ("risk", "max_order_shares", 500, "too large an order"),
        ("risk", "max_order_value", 20_000, "too large an order"),
        ("execution", "max_position_size", 500, r"could come to \d+ shares"),
        ("risk", "max_weight", 0.03, r"could come to \d\.\d+ of equity"),
        ("risk", "max_gross_exposure", 0.3, "could bring exposure to"),
    ],
)
def test_each_limit_is_kept_where_it_binds_and_missed_where_its_cap_is_gone(
    section: str, limit: str, most: float, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit so low that it makes orders smaller; without the caps the same run is over it."""
    settings = scenery_module._settings

    def lower(*given: Any) -> dict[str, Any]:
        made = settings(*given)
        made[section][limit] = most
        if limit == "max_gross_exposure":
            made[section]["max_net_exposure"] = most
        return made

    monkeypatch.setattr(scenery_module, "_settings", lower)
    outcome = simulated(Asked(seed=SEED, days=DAYS, script=()))
    assert [one for one in outcome.broken if one.invariant == "limits at worst"] == []
    assert limit in {row.body["check"] for row in outcome.evidence.facts("TradeClamped", "TradeRefused")}
    no_limits(monkeypatch)
    broken = [one.text for one in broken_by(()) if one.invariant == "limits at worst"]
    assert any(re.search(words, text) for text in broken)


def moved_in(symbol: str) -> Event:
    """Shares that nobody has bought here."""
    return Event(kind="transfer", symbol=symbol, quantity=Decimal(9), price=Decimal(40))


def held_back() -> dict[str, Case]:
    """Everything that holds orders back -> a daemon that does not mind it."""
    flattened = (Incident(at=at(1, 1), fault="flatten", seconds=600.0),)
    halted = (Incident(at=at(0, 1), fault="halt", seconds=600.0),)
    return {
        "during a halt": Case(plant=allow(verbs.Condition.HALT), script=halted),
        "as an entry during a pause": Case(plant=a_pause_that_holds_nothing, script=halted),
        "as an entry during a flatten": Case(plant=a_flatten_that_is_forgotten, script=flattened),
        "in a quarantined contract": Case(
            plant=allow(verbs.Condition.QUARANTINED),
            events=tuple((at(0, 60), moved_in(symbol)) for symbol in MADE_UP[:6]),
        ),
        "which is unknown": Case(plant=unknown_orders_are_ordered_again, script=(with_orders("lose_order", count=3),)),
    }


@pytest.mark.parametrize("words", held_back())
def test_what_is_held_back_is_not_written(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each on its own: a person's word, a quarantine, an unknown outcome beside it."""
    case, name = held_back()[words], "obeys people and quarantines"
    # Else a person sees whose the shares are, and the quarantine is over before the next trade.
    monkeypatch.setattr(Life, "_answer", lambda *_: None)
    assert [one for one in broken_by(case.script, case.events) if one.invariant == name] == []
    case.plant(monkeypatch)
    broken = [one.text for one in broken_by(case.script, case.events) if one.invariant == name]
    assert any(words in text for text in broken)


def test_nothing_is_added_under_a_limit_on_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The day's loss is reached with the first commission: nothing is broken, until a daemon does not mind it."""
    right = scenery_module._settings

    def tiny(*given: Any) -> dict[str, Any]:
        return right(*given) | {"holds": {"daily_loss": 0.0000001, "until": "resumed"}}

    monkeypatch.setattr(scenery_module, "_settings", tiny)
    outcome = simulated(Asked(seed=SEED, days=DAYS, script=()))
    assert outcome.broken == () and list(outcome.evidence.facts("HoldSet"))
    allow(verbs.Condition.REDUCING)(monkeypatch)
    broken = [one.text for one in broken_by(()) if one.invariant == "obeys people and quarantines"]
    assert any("as an entry under the limit daily_loss" in text for text in broken)


def test_a_pause_that_holds_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    says_pause(monkeypatch)
    broken = broken_by(held_back()["as an entry during a pause"].script)
    assert [one for one in broken if one.invariant == "obeys people and quarantines"] == []


@pytest.mark.parametrize("end", sorted(orders.TERMINAL))
def test_no_silence_is_an_end_of_any_kind(end: orders.OrderState, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that never arrived, and so does not work either, was not proven to have ended by nobody's word."""
    evidence = orders.Evidence
    monkeypatch.setitem(transitions.TRANSITIONS[orders.OrderState.SENDING], evidence.SILENCE, end)
    lost = (with_orders("lose_order", count=3),)
    broken = [one.text for one in broken_by(lost) if one.invariant == "ends by evidence"]
    assert sum(f"is taken for {end.value}, and " in text for text in broken) >= 3


def test_a_persons_word_is_evidence_of_the_end_that_was_said() -> None:
    """Any other end than the one said, and the same one before it was said, is not covered by it."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=(), guards=False)).evidence
    end = next(row for row in evidence.facts("OrderMoved") if row.body["state"] == "filled")
    silent = replace(evidence, heard=tuple(seen for seen in evidence.heard if seen.name != "execDetails"))
    told = {text for _, text in ends_by_evidence(silent)}
    ref = evidence.intents[end.body["intent"]]["ref"]
    assert any(text.startswith(f"order {ref} ") for text in told)

    def said(outcome: str, at: Any) -> set[str]:
        body = {"command": "resolve", "argument": f"{end.body['intent']} {outcome} - 10"}
        word = Row(sequence=0, kind="ControlRequested", at=at, tech=end.tech, body=body)
        return {text for _, text in ends_by_evidence(replace(silent, rows=(word, *evidence.rows)))}

    assert {text for text in told if text.startswith(f"order {ref} ")} == told - said("filled", end.at)
    assert said("cancelled", end.at) == said("filled", end.at + timedelta(seconds=1)) == told


def test_an_unknown_outcome_is_missed_half_an_hour_after_trouble_and_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not only at the end of the run: a daemon may not take a day for what it can know at once."""
    unknown_for_ever(monkeypatch)
    close = scenery(SEED, DAYS, Path("unused")).sessions[0].close_at
    name = "no unknown remains"
    broken = [one.at for one in broken_by(cases()[name].script) if one.invariant == name]
    assert min(broken) == close + SETTLED_WITHIN < max(broken)


def at_target_of(**asked: Any) -> list[str]:
    broken = simulated(Asked(**{"seed": SEED, "days": DAYS, "script": ()} | asked)).broken
    return [one.text for one in broken if one.invariant == "at target"]


def test_a_decision_of_the_morning_is_not_that_of_the_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holdings that are at the target of noon say nothing of a daemon that decides no more."""
    assert at_target_of(seed=ALL_DAY_LONG) == []
    stops_deciding_at_noon(monkeypatch)
    [text] = at_target_of(seed=ALL_DAY_LONG)
    assert re.match(r"decided last at .* 1[56]:\d\d, and the last rebalance was due at .* (19|20):30", text), text


@pytest.mark.parametrize("kind", ["RebalanceDecided", "EquitySet"])
def test_without_a_decision_or_an_equity_nothing_is_at_target(kind: str) -> None:
    """What can't be judged is broken, and not passed over."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    assert not list(at_target(evidence))
    assert list(at_target(replace(evidence, rows=tuple(row for row in evidence.rows if row.kind != kind))))


def test_a_wanted_share_without_a_price_is_a_gap() -> None:
    """Symbols left out of the sizing prices are not left out of the judgement."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    rows = (replace(row, body={**row.body, "prices": row.body.get("prices", [])[:6]}) for row in evidence.rows)
    [(_, text)] = at_target(replace(evidence, rows=tuple(rows)))
    assert "and has no price" in text


def test_unfilled_sells_excuse_buys_by_their_value_only() -> None:
    """One share that was not sold leaves room for no whole position less."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    last = [order for order in evidence.orders if order.at >= opens()[-1]]
    sell, buy = next(one for one in last if not one.is_buy), next(one for one in last if one.is_buy)
    assert buy.fills and not list(at_target(evidence))
    unsold = replace(sell, quantity=sell.quantity + 1)
    unbought = replace(buy, fills=[], status="Inactive")
    swapped = {id(sell): unsold, id(buy): unbought}
    orders_then = tuple(swapped.get(id(one), one) for one in evidence.orders)
    assert [text for _, text in at_target(replace(evidence, orders=orders_then)) if text.startswith(buy.symbol)]


def test_room_taken_by_an_undecided_instrument_excuses_no_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fill nobody tells of leaves its shares unsold, and buys short of their room; not half of everything."""
    script = (Incident(at=at(0, 0), fault="lose_fill"),)
    assert broken_by(script) == ()
    half_of_it(monkeypatch)
    assert "at target" in {one.invariant for one in broken_by(script)}


def test_what_the_book_reckons_with_of_an_undecided_purchase_takes_room_until_it_has_ended_there() -> None:
    """All of an order whose fill nobody told (seed 90, 20 days); nothing of those that have ended."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=(Incident(at=at(0, 0), fault="lose_fill"),))).evidence
    (symbol,) = evidence.undecidable
    (lost,) = [one for one in evidence.orders for fill in one.fills if fill.exec_id in evidence.lost_fills]
    assert (lost.symbol, liveness._still_bought(evidence, symbol)) == (symbol, lost.quantity)
    assert {liveness._still_bought(evidence, other) for other in MADE_UP if other != symbol} == {0}


def test_a_gap_is_excused_by_no_more_than_the_market_left_unfilled() -> None:
    """A purchase of the last day that came to nothing excuses its own shares; one share less of it does not."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    buy = max((one for one in evidence.orders if one.is_buy and one.at >= opens()[-1]), key=lambda one: one.quantity)
    for quantity, is_excused in ((buy.quantity, True), (buy.quantity / 2, False)):
        other = replace(buy, fills=[], status="Cancelled", quantity=quantity)
        orders_then = tuple(other if one is buy else one for one in evidence.orders)
        found = [text for _, text in at_target(replace(evidence, orders=orders_then)) if text.startswith(buy.symbol)]
        assert (not found) == is_excused


def test_what_a_child_has_taken_over_is_not_left_unfilled_twice() -> None:
    """A purchase of the last day that was cancelled for its time, and its child that filled no more than it did."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    buy = next(one for one in evidence.orders if one.is_buy and one.at >= opens()[-1] and one.fills)
    intended = next(row for row in evidence.facts("OrderIntended") if row.body["order"]["ref"] == buy.ref)
    parent = replace(buy, fills=[], status="Cancelled")
    child = replace(parent, ref=f"{buy.ref}00")
    order = intended.body["order"]
    born = {**order, "intent": order["intent"] * 100, "ref": child.ref, "replaces": order["intent"]}
    orders_then = (*(parent if one is buy else one for one in evidence.orders), child)
    alone = replace(evidence, orders=orders_then)
    family = replace(alone, rows=(*evidence.rows, replace(intended, body={"order": born})))
    left = [
        liveness._unfilled(one, [order for order in orders_then if order.symbol == buy.symbol])
        for one in (alone, family)
    ]
    assert left[0] == left[1] + buy.quantity, "counted as two wishes"
    assert not [text for _, text in at_target(family) if text.startswith(buy.symbol)]


def test_where_decisions_follow_at_once_the_last_one_and_what_worked_then_are_what_the_market_left() -> None:
    """A sell that the last decision still counted on, and took over when it had not filled (cuts of seed 6)."""
    evidence = simulated(Asked(seed=SEED, days=DAYS, script=())).evidence
    since = evidence.scene.sessions[-1].close_at - liveness.A_BRISK_PERIOD
    sell = next(one for one in evidence.orders if not one.is_buy and one.at >= opens()[-1])
    ended = replace(sell, fills=[], status="Cancelled", at=since - timedelta(minutes=1), ended_at=since, ref="former")
    worked = replace(ended, ended_at=since + timedelta(seconds=20), ref="worked")
    brisk = replace(evidence, scene=replace(evidence.scene, is_brisk=True))
    assert liveness._unfilled(evidence, [ended, worked]) == -2 * sell.quantity
    assert liveness._unfilled(brisk, [ended, worked]) == -sell.quantity
    undone = replace(worked, is_buy=True, quantity=sell.quantity + 50, ref="undone")
    assert liveness._had_all_filled(brisk, Decimal(600), [ended, worked, undone]) == (
        600 - sell.quantity,
        650 + sell.quantity,
    ), "a sell of what a purchase still at work may come to (cuts of seed 31)"


def test_some_seeds_cancel_for_time_and_send_children() -> None:
    """In one of them a day without trouble has children, and every promise is kept."""
    patient = next(seed for seed in range(4, 100) if "replacements" in settings_of(seed)["execution"])
    outcome = simulated(Asked(seed=patient, days=2, faults="none"))
    assert not outcome.broken
    children = [one for one in outcome.evidence.intents.values() if one["replaces"] is not None]
    assert children


def settings_of(seed: int) -> dict[str, Any]:
    return scenery(seed, 2, Path("unused")).settings

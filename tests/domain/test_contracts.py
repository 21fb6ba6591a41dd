"""A symbol is another contract's after a restart: what is held of the former is never bought a second time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal as D

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import Level
from longwatch.domain.orders import Purpose
from longwatch.domain.reconciliation.causes import LIFTED_BY, Cause
from longwatch.domain.replies import outcome
from longwatch.domain.state import evolve
from tests.domain import world as worlds
from tests.domain.test_protection import changes, holding
from tests.domain.world import SETTINGS, World, of_kind

NEW = 11


@pytest.fixture(autouse=True)
def _of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests change of the world's contracts is of no other test."""
    monkeypatch.setattr(worlds, "CON_IDS", dict(worlds.CON_IDS))


def bought() -> World:
    world = World.ready()
    (order,) = world.trade(AAA="0.2")
    world.finish(order.intent)
    world.reconcile()
    return world


def restarted(world: World, con_id: int = NEW) -> Step:
    """The daemon is started again and asks for contracts; AAA is this one now, its quotes too."""
    world.hear(m.LinkLost, reason="stop")
    world.wait(3600)
    worlds.CON_IDS["AAA"] = con_id
    world.start()
    first = len(world.steps)
    world.connect()
    world.wait(90)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    (step,) = [step for event, step in world.steps[first:] if isinstance(event, m.InstrumentsSeen)]
    return step


def alerts(step: Step) -> list[m.RaiseAlert]:
    return [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "another_contract"]


def test_what_is_held_keeps_its_contract_and_nothing_is_bought_of_the_new_one() -> None:
    world = bought()
    step = restarted(world)
    assert world.state.instruments["AAA"].con_id == 1
    held = world.state.quarantines[1]
    assert held.cause is Cause.CONTRACT and NEW not in world.state.quarantines
    (alert,) = alerts(step)
    what = "AAA is contract 11 at the broker now, while contract 1 is held or ordered"
    assert (alert.severity, held.reason) == ("critical", what)
    assert alert.text.startswith(what) and LIFTED_BY[Cause.CONTRACT].format("AAA") in alert.text
    assert world.trade(AAA="0.3") == []
    world.state.quarantines.clear()
    step = world.rebalance()
    assert not of_kind(step.effects, m.SubmitOrder), "a quote of the new contract is no price of the old one"


def test_the_rest_trades_on() -> None:
    world = bought()
    restarted(world)
    assert [order.symbol for order in world.trade(AAA="0.3", BBB="0.1")] == ["BBB"]


def test_nothing_held_and_the_new_contract_is_taken() -> None:
    """Nor is one that somebody else holds, and that is explained, a reason not to."""
    world = World.ready(AAA=50)
    step = restarted(world)
    assert world.state.instruments["AAA"].con_id == NEW
    assert not alerts(step) and not world.state.quarantines
    assert [order.con_id for order in world.trade(AAA="0.1")] == [NEW]


def test_an_order_at_work_keeps_its_contract() -> None:
    world = World.ready()
    world.acknowledge(world.one(AAA="0.2"))
    step = restarted(world)
    assert (world.state.instruments["AAA"].con_id, len(alerts(step))) == (1, 1)
    assert world.state.quarantines[1].cause is Cause.CONTRACT


def test_shares_that_nothing_explains_keep_their_contract() -> None:
    """They may be an order's of ours that has not been heard yet."""
    world = World.ready()
    world.positions[1] = D(70)
    world.moved("AAA")
    step = restarted(world)
    assert (world.state.instruments["AAA"].con_id, len(alerts(step))) == (1, 1)


def test_other_terms_of_the_same_contract_are_taken() -> None:
    world = bought()
    other = Instrument(con_id=1, symbol="AAA", tick=D("0.05"))
    step = world.hear(m.InstrumentsSeen, instruments=(other,))
    assert step.facts == (m.InstrumentKnown(instrument=other),) and not step.effects
    assert not world.hear(m.InstrumentsSeen, instruments=(other,)).facts


def test_a_journal_that_knows_the_new_contract_already_holds_both_back() -> None:
    """It was taken over by an older version: it could be bought to the target once more."""
    world = bought()
    world.state.instruments["AAA"] = Instrument(con_id=NEW, symbol="AAA")
    step = restarted(world)
    assert len(alerts(step)) == 1
    assert {con_id for con_id, held in world.state.quarantines.items() if held.cause is Cause.CONTRACT} == {1, NEW}
    at = next(event.tech for event, one in world.steps if one is step)
    assert {held.tech for held in world.state.quarantines.values()} == {at}
    assert world.trade(AAA="0.2") == []


def test_the_way_out_that_is_told_is_open_to_a_journal_that_knows_the_new_contract_already() -> None:
    """The former one is closed in TWS, and adopted: what is in the book is ours, whatever bears its symbol now."""
    world = bought()
    evolve(world.state, m.InstrumentKnown(instrument=Instrument(con_id=NEW, symbol="AAA")))
    restarted(world)
    world.positions.pop(1)
    world.reconcile(3)
    step = world.hear(m.ControlRequested, command="adopt", argument="1", by="uid 1000", reason="closed in TWS")
    assert [one.con_id for one in of_kind(step.facts, m.HoldingAdopted)] == [1] and world.state.held(1) == 0
    restarted(world)
    assert not world.state.quarantines


def test_an_option_in_the_book_keeps_the_shares_under_its_symbol_from_nothing() -> None:
    """Older versions adopted it by its underlying's symbol."""
    world = bought()
    evolve(world.state, m.HoldingAdopted(con_id=900, symbol="AAA", quantity=D(2), average_cost=D(3), reason="older"))
    evolve(
        world.state, m.AccountPositionSet(con_id=900, symbol="AAA", quantity=D(2), average_cost=D(3), sec_type="OPT")
    )
    world.positions[900] = D(2)
    assert world.state.held(900) == 2
    restarted(world, 1)
    assert not world.state.quarantines


def test_the_strategys_losses_in_what_else_it_holds_still_count() -> None:
    """Until a person has closed the former contract, which may take days; it counts at its cost itself."""
    limits = replace(SETTINGS.holds, strategy_drawdown=D("0.05"))
    world = World.ready(replace(SETTINGS, holds=limits))
    for order in world.trade(AAA="0.1", BBB="0.4"):
        world.finish(order.intent, str(world.prices[order.symbol]))
    world.reconcile()
    restarted(world)
    assert world.state.quarantines[1].cause is Cause.CONTRACT
    world.prices |= {"AAA": D(10), "BBB": D(30)}
    world.targets(AAA="0.1", BBB="0.4")
    assert [hold.rule for hold in world.state.holds.values()] == ["strategy_drawdown"]
    mark = world.state.marks[Level.STRATEGY, "trend"]
    held = world.state.book[2]
    assert mark.value == held.quantity * (30 - held.average_cost)


def test_it_is_over_once_the_former_contract_is_gone_and_the_contracts_were_asked_for_again() -> None:
    """At each start; the quarantine of something else stays."""
    world = bought()
    restarted(world)
    step = restarted(world)
    assert len(alerts(step)) == 1 and not of_kind(step.facts, m.QuarantineSet), "told again, and held back once"
    world.positions.pop(1)
    world.reconcile(3)
    assert world.state.quarantines[1].reason.startswith("position")
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="sold in TWS")
    assert world.state.held(1) == 0 and world.state.quarantines[1].cause is Cause.CONTRACT
    upon = replace(world.state.quarantines[1], reason="position: 5 are 6", cause=Cause.TRANSFER)
    world.state.quarantines[1] = replace(upon, beneath=world.state.quarantines[1])
    step = restarted(world)
    why = "one contract alone is held under the symbol"
    assert of_kind(step.facts, m.QuarantineLifted)[0] == m.QuarantineLifted(con_id=1, reason=why)
    assert of_kind(step.facts, m.QuarantineSet) == [upon], "what lies upon it ends by its own"
    assert (alerts(step), world.state.quarantines) == ([], {})
    assert world.state.instruments["AAA"].con_id == NEW
    assert [order.con_id for order in world.trade(AAA="0.1")] == [NEW]


def test_a_flatten_keeps_the_stop_of_what_it_can_not_close_and_says_so() -> None:
    world, _ = holding()
    world.reconcile()
    restarted(world)
    step = world.hear(m.ControlRequested, command="flatten", argument="", by="uid 1000", reason="enough")
    steps = [step, *world.reconcile(3), world.rebalance()]
    assert not [one for step in steps for one in of_kind(step.effects, m.CancelOrder)]
    event = m.ControlRequested(at=world.now, tech=world.now, command="flatten", argument="", by="me", reason="x")
    is_done, text = outcome(world.state, event)
    assert not is_done and f"{world.state.held(1)} AAA stay: quarantined (AAA is contract 11" in text
    assert LIFTED_BY[Cause.CONTRACT].format("AAA") in text and "unquarantine" not in text


def test_a_flatten_keeps_the_stop_of_a_contract_that_is_not_known() -> None:
    """A person must close it by hand; until then it is protected."""
    world, stop = holding()
    del world.state.instruments["AAA"]
    step = world.hear(m.ControlRequested, command="flatten", argument="", by="uid 1000", reason="enough")
    assert not of_kind(step.effects, m.CancelOrder)
    assert not [one for step in world.reconcile(2) for one in of_kind(step.effects, m.CancelOrder)]
    assert world.order(stop.intent).is_live


def test_prices_of_the_new_contract_move_no_stop_of_the_old_one() -> None:
    world, stop = holding()
    world.reconcile()
    restarted(world)
    world.prices["AAA"] = D(400)
    world.fetched()
    world.reconcile(3)
    assert not [one for _, step in world.steps[-8:] for one in changes(step)]
    assert world.order(stop.intent).stop_price == stop.stop_price
    assert world.order(stop.intent).purpose is Purpose.STOP and world.order(stop.intent).side is Side.SELL


def missing(world: World, *pairs: tuple[str, str], found: tuple[Instrument, ...] = ()) -> Step:
    return world.hear(m.InstrumentsSeen, instruments=found, missing=pairs)


def test_a_symbol_without_a_contract_is_told_once_for_each_reason() -> None:
    world = World.ready()
    step = missing(world, ("XYZ", "no security definition"), ("ABC", "ambiguous"))
    assert of_kind(step.facts, m.InstrumentMissing) == [
        m.InstrumentMissing(symbol="XYZ", reason="no security definition"),
        m.InstrumentMissing(symbol="ABC", reason="ambiguous"),
    ]
    assert of_kind(step.effects, m.RaiseAlert) == [
        m.RaiseAlert(key="no_contract", text="XYZ can't be traded: no security definition"),
        m.RaiseAlert(key="no_contract", text="ABC can't be traded: ambiguous"),
    ]
    again = missing(world, ("XYZ", "no security definition"), ("ABC", "no security definition"))
    assert of_kind(again.facts, m.InstrumentMissing) == [
        m.InstrumentMissing(symbol="ABC", reason="no security definition")
    ]


def test_bars_are_asked_for_again_once_a_contract_is_found_whose_bars_were_flawed() -> None:
    """Without it none could be fetched; of another symbol's flaws it says nothing."""
    world = World.ready()
    world.state.judged["AAA"] = worlds.judged("AAA", "no bars")
    known = [world.state.instruments[symbol] for symbol in ("AAA", "BBB")]
    asked = m.RunJob(job="refresh", reason="contracts were found that had been missing")
    assert of_kind(missing(world, found=(known[0],)).effects, m.RunJob) == [asked]
    assert of_kind(missing(world, found=(known[1],)).effects, m.RunJob) == []


def test_all_contracts_that_are_held_under_a_symbol_are_named() -> None:
    """Of three each is held back."""
    world = bought()
    more = m.HoldingAdopted(con_id=7, symbol="AAA", quantity=D(5), average_cost=D(3), reason="older")
    evolve(world.state, more)
    step = world.hear(m.InstrumentsSeen, instruments=(Instrument(con_id=NEW, symbol="AAA"),))
    (alert,) = alerts(step)
    assert "contract 11 at the broker now, while contract 1, 7 is held or ordered" in alert.text
    assert set(world.state.quarantines) == {1, 7}

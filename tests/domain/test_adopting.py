"""What `adopt` takes as ours, and what not: other contracts, shares that would count twice, or be sold twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.positions import Holding
from longwatch.domain.replies import objection, outcome
from longwatch.domain.settings import StopRule, TradeSettings
from longwatch.domain.state import put_order
from tests.domain.world import (
    ACCOUNT,
    CLIENT,
    CON_IDS,
    SETTINGS,
    SYMBOLS,
    YESTERDAY,
    World,
    alerts,
    execution,
    judged,
    of_kind,
)

D = Decimal
OPTION = 900


def asked(world: World, name: str) -> m.ControlRequested:
    return m.ControlRequested(
        at=world.now, tech=world.now, command="adopt", argument=name, by="uid 1000", reason="the statement"
    )


def adopted(world: World, name: str) -> list[tuple[int, Decimal]]:
    """What a command makes ours, as contract and shares: also where nobody was there to refuse it."""
    return [(one.con_id, one.quantity) for one in of_kind(world.take(asked(world, name)).facts, m.HoldingAdopted)]


def why_not(world: World, name: str) -> str:
    return str(objection(world.state, asked(world, name)))


@dataclass(slots=True)
class Account(World):
    """One with contracts in it that bear another's symbol; `others` names them, with what kind they are."""

    others: dict[int, tuple[str, str]] = field(default_factory=dict)

    def snapshot(self, **fields: Any) -> Step:
        rows = []
        for con_id, quantity in sorted(self.positions.items()):
            symbol, kind = self.others.get(con_id, (SYMBOLS.get(con_id, ""), "STK"))
            rows.append(
                m.PositionRow(con_id=con_id, symbol=symbol, quantity=quantity, average_cost=D(90), sec_type=kind)
            )
        return World.snapshot(self, **({"positions": tuple(row for row in rows if row.quantity)} | fields))


def with_options(settings: TradeSettings = SETTINGS, **positions: int) -> Account:
    """Five calls on AAA written by hand."""
    world = Account(settings=settings, others={OPTION: ("AAA", "OPT")})
    world.positions = {OPTION: D(-5)} | {CON_IDS[symbol]: D(quantity) for symbol, quantity in positions.items()}
    ready(world)
    return world


def ready(world: World) -> None:
    world.start()
    world.connect()
    world.hear(m.DataRefreshed, run_id="refresh@1", session=YESTERDAY.date, judged=tuple(map(judged, CON_IDS)))
    world.wait(90)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)


# ── which contract ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_symbol_means_the_contract_that_is_traded_under_it() -> None:
    """Calls are exercised: of 300 shares 200 go, and of 5 calls 2. The shares are adopted, the calls are named."""
    world = with_options()
    world.finish(world.one(AAA="0.3"))
    world.positions |= {1: D(100), OPTION: D(-3)}
    world.reconcile(3)
    assert set(world.state.quarantines) == {1, OPTION}
    assert why_not(world, "AAA") == "None"
    step = world.take(asked(world, "AAA"))
    assert [(one.con_id, one.quantity) for one in of_kind(step.facts, m.HoldingAdopted)] == [(1, D(-200))]
    assert "not_adopted" not in alerts(step), "nobody has spoken of the calls"
    assert set(world.state.quarantines) == {OPTION} and world.state.outside == {OPTION: ("AAA", D(-5))}
    done, text = outcome(world.state, asked(world, "AAA"))
    assert done and f"not adopted: contract {OPTION} (OPT) bears the symbol AAA" in text
    assert f"what is traded under that is contract 1: it can't be ours (`longwatch unquarantine {OPTION}`" in text


@pytest.mark.parametrize("name", ["AAA", str(OPTION), "all"])
def test_an_option_never_becomes_ours(name: str) -> None:
    """By its underlying's symbol, by its number, with all: nothing here could price, stop or close it."""
    world = with_options()
    assert world.state.outside == {OPTION: ("AAA", D(-5))}
    assert f"contract {OPTION} (OPT)" in why_not(world, name)
    assert adopted(world, name) == [] and world.state.held(OPTION) == 0


def test_adopt_all_leaves_it_and_says_so() -> None:
    world = with_options(AAA=100)
    assert why_not(world, "all") == "None"
    step = world.take(asked(world, "all"))
    assert [(one.con_id, one.quantity) for one in of_kind(step.facts, m.HoldingAdopted)] == [(1, 100)]
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    start = f"AAA stays as it is: contract {OPTION} (OPT) bears the symbol AAA, but"
    assert alert.key == "not_adopted" and alert.text.startswith(start)
    assert f"contract {OPTION}" in outcome(world.state, asked(world, "all"))[1]


def test_the_first_sight_adopts_shares_and_leaves_options_outside() -> None:
    """And tells it."""
    world = with_options(replace(SETTINGS, adopt_existing=True), AAA=100)
    assert (world.state.held(1), world.state.held(OPTION)) == (100, 0)
    assert world.state.outside == {OPTION: ("AAA", D(-5))}
    (told,) = [one for _, step in world.steps for one in step.effects if getattr(one, "key", "") == "not_adopted"]
    assert isinstance(told, m.RaiseAlert) and "-5 AAA stay outside" in told.text and told.severity == "critical"


def test_of_two_listings_of_a_symbol_that_is_not_traded_the_number_says_which() -> None:
    """One alone needs none; an option of that symbol is no second one, and is none to be named either."""
    world = Account(others={77: ("XYZ", "STK"), 78: ("XYZ", "STK"), 79: ("XYZ", "OPT")})
    world.positions = {77: D(10), 79: D(-1)}
    ready(world)
    assert why_not(world, "XYZ") == "None" and why_not(world, "77") == "None"
    assert "bears the symbol XYZ, but it is none of shares: it can't be ours" in why_not(world, "79")
    world.positions[78] = D(20)
    world.reconcile(3)
    assert why_not(world, "XYZ") == "XYZ is the symbol of the contracts 77, 78: say which, by its number"
    assert adopted(world, "XYZ") == adopted(world, "all") == []
    assert adopted(world, "78") == [(78, D(20))] and set(world.state.outside) == {77, 79}


@pytest.mark.parametrize("others", [{77: ("XYZ", "STK"), 78: ("XYZ", "STK")}, {77: ("AAA", "STK")}])
def test_the_first_sight_leaves_outside_what_may_be_another_listing(others: dict[int, tuple[str, str]]) -> None:
    """Of two under one symbol neither is taken, nor one under the symbol of what is traded elsewhere."""
    world = Account(settings=replace(SETTINGS, adopt_existing=True), others=others)
    world.positions = {1: D(100)} | dict.fromkeys(others, D(10))
    ready(world)
    assert world.state.held(1) == 100 and set(world.state.outside) == set(others)
    told = [key for _, step in world.steps for key in alerts(step)]
    assert told.count("not_adopted") == len(others)


def test_more_of_a_contract_that_is_ours_already_may_become_ours() -> None:
    """Though the symbol means another one by now: it is priced and closed with what is held of it."""
    world = World.ready()
    world.state.book[77] = Holding(con_id=77, symbol="AAA", quantity=D(100), average_cost=D(90))
    world.state.account_positions[77], world.state.outside[77] = ("AAA", D(130)), ("AAA", D(30))
    assert adopted(world, "77") == [(77, D(30))]


def test_another_listing_of_what_is_traded_never_becomes_ours() -> None:
    """Shares as well, but of a contract that no order here is for."""
    world = Account(others={77: ("AAA", "STK")})
    world.positions = {77: D(10)}
    ready(world)
    assert "what is traded under that is contract 1" in why_not(world, "77")
    assert adopted(world, "77") == []
    world.positions[1] = D(30)
    world.stranger("AAA", 30, "f1.01")
    step = world.take(asked(world, "AAA"))
    assert [one.con_id for one in of_kind(step.facts, m.HoldingAdopted)] == [1] and not alerts(step)


def test_what_kind_a_contract_is_is_taken_in_where_it_was_not_told_before() -> None:
    """A journal of before has positions of no kind: the next reading says it, though nothing has moved."""
    world = with_options()
    world.state.sec_types.clear()
    facts = of_kind(world.snapshot().facts, m.AccountPositionSet)
    assert [(one.con_id, one.sec_type) for one in facts] == [(OPTION, "OPT")]
    assert of_kind(world.snapshot().facts, m.AccountPositionSet) == []
    assert OPTION not in world.state.moved or world.state.moved[OPTION].quantity == 0


def test_what_kind_a_contract_is_is_taken_in_of_a_position_told_by_itself() -> None:
    """Before any reading shows it."""
    world = with_options()
    told = {"account": ACCOUNT, "con_id": 901, "symbol": "AAA", "quantity": D(2), "average_cost": D(3)}
    (fact,) = of_kind(world.hear(m.PositionSeen, **told, sec_type="OPT").facts, m.AccountPositionSet)
    assert (fact.con_id, fact.quantity, fact.sec_type) == (901, 2, "OPT")


# ── what our own order may have made ────────────────────────────────────────────────────────────────────────────────


def bought_unheard(word: str) -> tuple[World, int]:
    """200 AAA that our order has bought; of its execution nothing is heard yet."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.positions[1] = D(200)
    world.end(intent)
    if word == "status":
        world.status(intent, "Filled", 200)
    world.moved("AAA")
    world.reconcile(4)
    assert 1 in world.state.quarantines
    return world, intent


@pytest.mark.parametrize(("word", "first"), [("silent", "cancel"), ("status", "resolve")])
def test_shares_that_our_order_may_have_bought_are_not_adopted(word: str, first: str) -> None:
    """Its execution comes after all: it is booked once, and the account agrees. The sentence names the order."""
    world, intent = bought_unheard(word)
    said = why_not(world, "AAA")
    assert world.order(intent).ref in said and f"first `longwatch {first} {intent}`" in said
    step = world.take(asked(world, "AAA"))
    assert step.facts == () and alerts(step) == ["not_adopted"]
    late = replace(execution(world.order(intent), world.now, "77.01", 200, "100"), cumulative=D(200))
    world.executions.append("77.01")
    world.take(replace(late, executed_at=world.now - timedelta(seconds=400)))
    world.reconcile(2)
    assert world.state.held(1) == 200 and not world.state.quarantines
    assert [one for one in world.trade(AAA="0.2")] == []


def test_a_working_order_that_may_have_bought_them_is_cancelled_first() -> None:
    """Once it has ended without them they are nobody's but the person's to give."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.positions[1] = D(150)
    world.reconcile(3)
    assert f"first `longwatch cancel {intent}`" in why_not(world, "AAA")
    assert adopted(world, "AAA") == []
    world.end(intent)
    world.status(intent, "Cancelled")
    assert world.order(intent).state is OrderState.CANCELLED
    assert adopted(world, "AAA") == [(1, D(150))]


@pytest.mark.parametrize(("now", "is_held"), [(250, True), (-30, False)])
def test_more_than_it_can_have_bought_or_sold_shares_are_no_doing_of_a_working_order(now: int, is_held: bool) -> None:
    """200 at most were to be bought."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.positions[1] = D(now)
    world.reconcile(3)
    assert why_not(world, "AAA") == "None"
    assert adopted(world, "AAA") == [(1, D(now))] and (world.state.held(1) > 0) is is_held


def test_of_an_unknown_order_any_part_may_have_filled() -> None:
    """It has to be resolved first, however large the difference is."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.end(intent)
    world.completed.clear()
    world.positions[1] = D(250)
    world.reconcile(3)
    assert world.order(intent).state is OrderState.UNKNOWN
    assert f"first `longwatch resolve {intent}`" in why_not(world, "AAA")
    world.positions[1] = D(-250)
    world.reconcile(3)
    assert why_not(world, "AAA") == "None"


def test_while_fills_are_told_and_unheard_nothing_outside_is_adopted_either() -> None:
    """A person left outside what our order had bought: adopted, its execution would count it again."""
    world, intent = bought_unheard("status")
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="me", reason="later")
    assert world.state.outside[1] == ("AAA", D(200))
    assert f"`longwatch resolve {intent}`" in why_not(world, "AAA") and adopted(world, "AAA") == []


def test_of_an_order_that_works_on_its_cancel_comes_first() -> None:
    """Its status tells of 50 that no execution does; once it has ended a person can say what became of them."""
    world = World.ready(AAA=100)
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.status(intent, "Submitted", 50)
    first = f"first `longwatch cancel {intent}`, and once that is answered `longwatch resolve {intent}`, by the"
    assert first in why_not(world, "AAA") and adopted(world, "AAA") == []


def test_an_order_that_was_sent_after_the_difference_was_there_has_not_made_it() -> None:
    """It was seen by one reading, and the order left before a second one held the instrument."""
    world = World.ready()
    world.positions[1] = D(30)
    world.snapshot()
    world.wait(1)
    world.acknowledge(world.one(AAA="0.2"))
    world.reconcile(2)
    assert 1 in world.state.quarantines and world.state.live
    assert adopted(world, "AAA") == [(1, D(30))]


def test_a_single_share_may_be_an_orders_too() -> None:
    world = World.ready()
    world.acknowledge(world.one(AAA="0.2"))
    world.positions[1] = D(1)
    world.reconcile(3)
    assert "may have made the difference" in why_not(world, "AAA") and adopted(world, "AAA") == []


def test_a_stop_that_two_readings_show_unfilled_need_not_be_cancelled() -> None:
    """A purchase was taken back, and the stop still rests for what was there before: without it the holding is bare."""
    world = World.ready(replace(SETTINGS, stop=StopRule(fraction=D("0.1"))))
    world.finish(world.one(AAA="0.2"))
    (stop,) = [one for one in world.state.live_orders() if one.rests]
    world.acknowledge(stop.intent)
    world.finish(next(one.intent for one in world.trade(AAA="0.3") if not one.rests))
    put_order(world.state, replace(world.order(stop.intent), change=None))
    assert (world.state.held(1), world.order(stop.intent).quantity) == (300, 200)
    world.positions[1] = D(200)
    world.reconcile(3)
    assert world.order(stop.intent).change is None and 1 in world.state.quarantines
    assert why_not(world, "AAA") == "None"
    assert adopted(world, "AAA") == [(1, D(-100))]


def test_a_stop_that_was_made_smaller_since_has_not_sold_what_is_gone() -> None:
    """Half of what it protects is called away: its new terms are taken by the broker, so it has sold nothing."""
    world = World.ready(replace(SETTINGS, stop=StopRule(fraction=D("0.1"))))
    world.finish(world.one(AAA="0.2"))
    (stop,) = [one for one in world.state.live_orders() if one.rests]
    world.acknowledge(stop.intent)
    world.positions[1] = D(100)
    world.reconcile(3)
    assert world.order(stop.intent).change is not None
    assert f"first `longwatch cancel {stop.intent}`" in why_not(world, "AAA")
    world.handed(stop.intent)
    world.open_order(stop.intent, quantity=D(100))
    assert (world.order(stop.intent).change, world.order(stop.intent).quantity) == (None, 100)
    assert why_not(world, "AAA") == "None"
    assert adopted(world, "AAA") == [(1, D(-100))]


# ── what somebody else's order may sell too ─────────────────────────────────────────────────────────────────────────


def theirs(world: World, side: Side = Side.SELL, remaining: int = 100, ref: str = "by hand") -> m.OpenOrderSeen:
    world.open_orders.add(777)
    return m.OpenOrderSeen(
        at=world.now,
        tech=world.now,
        order_id=3,
        client_id=CLIENT + 1,
        perm_id=777,
        ref=ref,
        account=ACCOUNT,
        con_id=1,
        symbol="AAA",
        side=side,
        quantity=D(remaining),
        order_type="STP",
        limit_price=None,
        stop_price=D(80),
        tif="GTC",
        status="Submitted",
    )


@pytest.mark.parametrize("ref", ["by hand", "lw:0123:7"])
def test_shares_that_somebody_elses_order_may_sell_are_adopted_once_that_is_gone(ref: str) -> None:
    """A stop of ours beside it would sell the same shares a second time: cancelled in TWS it stands in no way."""
    world = World.ready(replace(SETTINGS, stop=StopRule(fraction=D("0.1"))), AAA=100)
    world.take(theirs(world, ref=ref))
    assert why_not(world, "AAA").startswith("SELL 100 AAA (permId 777), an order that is not ours")
    assert adopted(world, "AAA") == [] and not world.state.live
    world.open_orders.clear()
    world.reconcile()
    assert adopted(world, "AAA") == [(1, D(100))] and not world.state.quarantines
    world.reconcile()
    assert [(one.side, one.quantity) for one in world.state.live_orders()] == [(Side.SELL, D(100))]


def test_a_difference_that_somebody_elses_order_may_sell_is_not_adopted_either() -> None:
    world = World.ready()
    world.positions[1] = D(100)
    world.reconcile(3)
    world.take(theirs(world))
    assert 1 in world.state.quarantines
    assert why_not(world, "AAA").startswith("SELL 100 AAA (permId 777)") and adopted(world, "AAA") == []


@pytest.mark.parametrize(
    ("book", "outside", "side", "is_adopted"),
    [
        (0, "1", Side.SELL, False),  # a single share
        (0, "-1", Side.BUY, False),
        (0, "0.5", Side.BUY, True),
        (0, "-0.5", Side.SELL, True),
        (-100, "50", Side.SELL, True),  # fewer are short then
        (-100, "50", Side.BUY, True),
        (100, "-150", Side.BUY, False),  # short by it
        (100, "-150", Side.SELL, True),
        (-50, "50", Side.SELL, True),  # nothing is left
    ],
)
def test_it_stands_in_the_way_where_it_trades_what_a_stop_of_ours_would(
    book: int, outside: str, side: Side, is_adopted: bool
) -> None:
    """That is, against what is held then, where that is more than before on its side."""
    world = World.ready()
    world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(book), average_cost=D(100))
    world.state.outside[1] = ("AAA", D(outside))
    world.state.account_positions[1] = ("AAA", book + D(outside))
    world.take(theirs(world, side))
    assert adopted(world, "AAA") == ([(1, D(outside))] if is_adopted else [])


def test_somebody_elses_purchase_stands_in_no_way_nor_their_sale_where_shares_are_gone() -> None:
    """What makes our holding smaller needs no larger stop."""
    world = World.ready(AAA=100)
    world.take(theirs(world, Side.BUY))
    assert adopted(world, "AAA") == [(1, D(100))]
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.positions[1] = D(50)
    world.reconcile(3)
    world.take(theirs(world, Side.SELL))
    assert adopted(world, "AAA") == [(1, D(-150))]


def test_the_first_sight_leaves_outside_what_somebody_elses_order_may_sell() -> None:
    """Of what a lost journal has left at work nothing is bought on either; a person is told what to do."""
    world = World(settings=replace(SETTINGS, adopt_existing=True, stop=StopRule(fraction=D("0.1"))))
    world.positions = {1: D(100), 2: D(40)}
    world.start()
    world.take(theirs(world, ref="lw:0123:7"))
    step = world.connect()
    assert (world.state.held(1), world.state.held(2)) == (0, 40)
    assert world.state.outside == {1: ("AAA", D(100))} and set(world.state.quarantines) == {1}
    (told,) = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "not_adopted"]
    assert "100 AAA stay outside" in told.text and "cancel it in TWS" in told.text
    assert told.severity == "critical"


def test_the_first_sight_tells_of_nothing_where_nothing_was_to_be_adopted() -> None:
    """All stays outside as the settings have it, whoever may sell it."""
    world = World(settings=replace(SETTINGS, adopt_existing=False))
    world.positions = {1: D(100), 2: D(40)}
    world.start()
    world.take(theirs(world))
    assert "not_adopted" not in alerts(world.connect())
    assert world.state.outside == {1: ("AAA", D(100)), 2: ("BBB", D(40))}

"""What a person's commands come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.replies import objection
from longwatch.domain.state import put_order
from tests.domain.test_protection import holding
from tests.domain.world import SETTINGS, World, alerts, of_kind

D = Decimal


def told(world: World, command: str, argument: str = ""):
    return world.hear(m.ControlRequested, command=command, argument=argument, by="uid 1000", reason="as agreed")


def test_a_halt_cancels_what_works_and_leaves_protective_stops() -> None:
    """No orders at all from here on; what protects a position stays at the broker."""
    world = World.ready()
    entry, stop = (order.intent for order in world.trade(AAA="0.1", BBB="0.1"))
    world.state.orders[stop] = replace(world.order(stop), purpose=Purpose.STOP)
    step = told(world, "halt")
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [entry]
    assert (world.order(entry).cancel_asked, world.order(stop).cancel_asked) == (True, False)
    assert world.state.is_on(m.Verb.HALT)


def test_a_resume_ends_every_verb() -> None:
    """Entries pass again."""
    world = World.ready()
    told(world, "halt")
    told(world, "pause")
    told(world, "resume")
    assert world.state.verbs == {}
    assert len(world.trade(AAA="0.1")) == 1


def test_a_verb_that_holds_already_is_no_news() -> None:
    """One fact, however often it is asked for."""
    world = World.ready()
    told(world, "pause")
    assert told(world, "pause").facts == ()


def test_a_flatten_closes_at_once_what_no_order_can_still_change() -> None:
    """One unknown order in AAA does not keep BBB from being sold."""
    world = World.ready()
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.finish(order.intent)
    unknown = world.one(AAA="0.2", BBB="0.1")
    world.state.orders[unknown] = replace(world.order(unknown), state=OrderState.UNKNOWN)
    step = told(world, "flatten")
    assert [effect.reason for effect in of_kind(step.effects, m.RunJob)] == ["flatten"]
    made = of_kind(world.rebalance().effects, m.SubmitOrder)
    assert [(one.order.symbol, one.order.side.value, one.order.quantity) for one in made] == [("BBB", "SELL", 200)]


def test_a_flatten_goes_on_when_the_orders_in_its_way_have_ended() -> None:
    """Cancelled first, closed next, and nothing more once everything is gone."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    more = world.one(AAA="0.2")
    world.acknowledge(more)
    assert of_kind(told(world, "flatten").effects, m.RunJob) == []
    step = world.status(more, "Cancelled", 0)
    assert [effect.reason for effect in of_kind(step.effects, m.RunJob)] == ["flatten"]
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.acknowledge(close.order.intent)
    assert of_kind(world.fill(close.order.intent, 100).effects, m.RunJob) == []
    assert world.state.held(1) == 0


def test_a_closing_order_that_is_rejected_is_not_sent_again_at_once() -> None:
    """A flatten against a read-only gateway must not become a storm of orders."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    told(world, "flatten")
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.handed(close.order.intent)
    step = world.hear(m.OrderErrorSeen, order_id=close.order.order_id, code=201, text="read-only", verdict="rejected")
    assert of_kind(step.effects, m.RunJob) == []


def test_a_flatten_tells_what_it_can_not_close() -> None:
    """A position without a known contract is named, never left in silence."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.state.instruments.pop("AAA")
    told(world, "flatten")
    assert alerts(world.rebalance()) == ["not_flattened"]


@pytest.mark.parametrize("argument", ["all", "1", "lw:k7q2:1"])
def test_a_cancel_names_an_order_by_number_or_reference(argument: str) -> None:
    """Or all of them."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    assert [effect.intent for effect in of_kind(told(world, "cancel", argument).effects, m.CancelOrder)] == [1]


def test_a_cancel_of_nothing_cancels_nothing() -> None:
    """An order that does not exist is not guessed at."""
    world = World.ready()
    world.one(AAA="0.1")
    assert told(world, "cancel", "77").effects == ()


@pytest.mark.parametrize("argument", ["AAA", "all"])
def test_adopted_shares_are_ours_at_what_the_account_says_they_cost(argument: str) -> None:
    """What was outside is in the book, the price of the day notwithstanding; the account agrees as before."""
    world = World.ready(AAA=100)
    world.targets(BBB="0.1")
    told(world, "adopt", argument)
    assert (world.state.held(1), world.state.book[1].average_cost, world.state.outside) == (100, 90, {})
    world.snapshot()
    assert world.state.compared is not None and world.state.compared.differences == ()


def test_adopted_shares_no_strategy_trades_are_not_booked_for_nothing() -> None:
    """Nobody asks their price, but the account tells what they cost."""
    world = World(positions={99: D(300)}, costs={99: D(290)})
    world.start()
    world.connect()
    world.snapshot()
    told(world, "adopt", "99")
    assert (world.state.held(99), world.state.book[99].average_cost) == (300, 290)


def test_adopted_shares_beside_ours_bring_our_average_to_the_accounts() -> None:
    """The account's average is that of both together."""
    world = World.ready(AAA=100)
    world.finish(world.one(AAA="0.1"))
    held, outside = world.state.held(1), world.state.outside[1][1]
    world.costs[1] = D(96)
    world.snapshot()
    told(world, "adopt", "AAA")
    assert world.state.held(1) == held + outside
    assert abs(world.state.book[1].average_cost - 96) < D("0.0001")


def test_a_reconcile_asks_for_the_account() -> None:
    """Beside its schedule."""
    assert of_kind(told(World.ready(), "reconcile").effects, m.RequestSnapshot)


def test_a_strategy_at_fault_leaves_its_symbols_as_they_are() -> None:
    """Its former targets are kept and not traded on; another strategy trades on."""
    world = World.ready(replace(SETTINGS, allocations=(("other", D("0.5")), ("trend", D("0.5")))))
    world.targets("other", BBB="0")
    world.finish(world.one(AAA="0.2"))
    world.targets("other", BBB="0.2")
    day = world.state.sessions[0].date
    world.hear(m.StrategyFailed, run_id="signals@2", strategy="trend", session=day, reason="it raised")
    made = of_kind(world.rebalance().effects, m.SubmitOrder)
    assert [(one.order.symbol, one.order.quantity) for one in made] == [("BBB", 200)]
    assert world.state.held(1) == 100


def test_an_orders_allocations_add_up_to_it() -> None:
    """Each strategy's part by its weight and allocation, to the last share."""
    world = World.ready(replace(SETTINGS, allocations=(("a", D("0.2")), ("b", D("0.3")), ("trend", D("0.5")))))
    for name, weight in (("a", "0.1"), ("b", "0.2"), ("trend", "0.07")):
        world.targets(name, AAA=weight)
    (effect,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    parts = {part.strategy: part.quantity for part in effect.order.allocations}
    assert sum(parts.values()) == effect.order.quantity == 115
    assert parts["a"] == D("20.000000")
    assert parts["b"] == D("60.000000")


def test_adopt_all_with_nothing_outside_says_so() -> None:
    """`done` would say that something was taken."""
    world = World.ready()
    event = m.ControlRequested(at=world.now, tech=world.now, command="adopt", argument="all")
    assert "nothing is held outside" in str(objection(world.state, event))


# ── what is noted of each, for whoever reads the journal later ──────────────────────────────────────────────────────

BY = "uid 1000: as agreed"


@pytest.mark.parametrize("command", ["pause", "halt", "flatten"])
def test_a_verb_is_noted_with_who_set_and_lifted_it_and_why(command: str) -> None:
    world = World.ready()
    word = {"verb": m.Verb(command), "by": "uid 1000", "reason": "as agreed"}
    assert of_kind(told(world, command).facts, m.VerbSet) == [m.VerbSet(**word, on=True, choice="", tech=world.now)]
    assert of_kind(told(world, "resume").facts, m.VerbSet) == [m.VerbSet(**word, on=False)]


def test_a_flatten_takes_the_order_type_that_was_named_last() -> None:
    """Said again, or without one, it stays; what is no order type names none."""
    world = World.ready()
    said = []
    for choice in ("AAA", "MKT", "MKT", "", "LMT"):
        said.append([one.choice for one in of_kind(told(world, "flatten", choice).facts, m.VerbSet)])
    assert said == [[""], ["MKT"], [], [], ["LMT"]]


@pytest.mark.parametrize(
    ("command", "argument", "reason"),
    [("halt", "", "halt"), ("flatten", "", "flatten"), ("cancel", "AAA", "asked for by a person")],
)
def test_an_order_is_cancelled_with_the_reason_why(command: str, argument: str, reason: str) -> None:
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    step = told(world, command, argument)
    assert of_kind(step.facts, m.OrderCancelAsked) == [m.OrderCancelAsked(intent=1, reason=reason)]


def test_an_order_that_no_cancel_reaches_is_told_with_where_to_cancel_it() -> None:
    """One that has no id yet is nowhere: it just does not leave."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    put_order(world.state, replace(world.order(intent), client_id=9))
    (alert,) = of_kind(told(world, "cancel", "AAA").effects, m.RaiseAlert)
    order = world.order(intent)
    text = (
        f"BUY 100 AAA ({order.ref}) can't be cancelled from here: its order id names nothing at this gateway any more "
        f"(order {order.order_id} of client 9); cancel it in TWS"
    )
    assert alert == m.RaiseAlert(key="cancel_unreachable", text=text, severity="critical")
    put_order(world.state, replace(order, order_id=None, client_id=None))
    step = told(world, "cancel", "AAA")
    assert step.effects == () and of_kind(step.facts, m.OrderCancelAsked)


def strikes(world: World, until: datetime | None) -> None:
    """The breaker of AAA's reductions."""
    row = m.BreakerSet(
        con_id=1, symbol="AAA", purpose=Purpose.REDUCE, reason="201", strikes=(world.now,), trips=1, until=until
    )
    world.state.breakers[(1, Purpose.REDUCE, "201")] = row


CLOSES = m.RunJob(job="rebalance", reason="flatten")


def test_a_flatten_closes_what_a_breaker_held_until_now() -> None:
    """By its time, whether the flatten is new or was waiting."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    strikes(world, world.now)
    world.wait(1)
    assert of_kind(told(world, "flatten").effects, m.RunJob) == [CLOSES]
    assert of_kind(told(world, "resume", "BBB").effects, m.RunJob) == [CLOSES]
    strikes(world, world.now + timedelta(hours=1))
    assert of_kind(told(world, "resume", "BBB").effects, m.RunJob) == []
    step = told(world, "resume", "AAA")
    assert of_kind(step.effects, m.RunJob) == [CLOSES]
    assert [one.because for one in of_kind(step.facts, m.BreakerLifted)] == [BY]


def test_a_resume_of_all_lifts_verbs_holds_and_breakers_by_that_word() -> None:
    """Without `all` breakers stay; and where nothing is flattened any more nothing is closed."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    strikes(world, world.now + timedelta(hours=1))
    hold = {"level": Level.ACCOUNT, "name": world.state.account, "rule": "drawdown"}
    world.state.holds[(Level.ACCOUNT, world.state.account, "drawdown")] = m.HoldSet(
        **hold, grade=Grade.HALTED, observed=D(1), limit=D(1), since=world.now
    )
    told(world, "flatten")
    step = told(world, "resume")
    assert of_kind(step.effects, m.RunJob) == [] and len(world.state.breakers) == 1
    assert of_kind(step.facts, m.HoldLifted) == [m.HoldLifted(**hold, because=BY, at=world.now)]
    step = told(world, "resume", "all")
    assert [one.because for one in of_kind(step.facts, m.BreakerLifted)] == [BY]
    assert world.state.breakers == {}


def test_money_that_a_person_tells_of_is_noted_by_that_word() -> None:
    world = World.ready()
    (flow,) = of_kind(told(world, "flow", "500").facts, m.FlowBooked)
    assert (flow.amount, flow.reason, flow.at) == (500, BY, world.now)


def test_a_reading_that_a_person_asks_for_says_so() -> None:
    assert told(World.ready(), "reconcile").effects == (m.RequestSnapshot(reason="asked for by a person"),)


def held_back(world: World, con_id: int, reason: str, cause: Cause) -> m.QuarantineSet:
    symbol = {1: "AAA", 2: "BBB", 3: "CCC"}[con_id]
    held = m.QuarantineSet(con_id=con_id, symbol=symbol, reason=reason, tech=world.now, cause=cause)
    world.state.quarantines[con_id] = held
    return held


@pytest.mark.parametrize("name", ["BBB", "2"])
def test_what_differs_is_left_outside_by_the_word_that_ends_its_quarantine(name: str) -> None:
    """That one alone, whichever was held before it; with what it was held for, and the account is read."""
    world = World.ready()
    for con_id in (1, 2, 3):
        world.state.account_positions[con_id] = ("S", D(30))
    held_back(world, 1, "position: 0 is not 30", Cause.TRANSFER)
    held_back(world, 2, "position: 0 is not 30", Cause.TRANSFER)
    step = told(world, "unquarantine", name)
    assert step.facts == (
        m.OutsideSet(con_id=2, symbol="S", quantity=D(30), reason=BY, cause=Cause.TRANSFER),
        m.QuarantineLifted(con_id=2, reason=BY),
    )
    assert of_kind(step.effects, m.RequestSnapshot) == [m.RequestSnapshot(reason="the quarantine of BBB was lifted")]


def test_what_differs_stays_where_the_quarantine_was_not_about_it() -> None:
    """The person may not know of it: it is told, with its figures."""
    world = World.ready()
    world.state.account_positions[1], world.state.account_positions[2] = ("AAA", D(30)), ("BBB", D(7))
    held_back(world, 1, "not permitted", Cause.NOT_PERMITTED)
    step = told(world, "unquarantine", "AAA")
    assert step.facts == (m.QuarantineLifted(con_id=1, reason=BY),)
    text = (
        "AAA: that was not about its shares, and book 0 + outside 0 is not the account's 30: nothing of that is left "
        "outside; where it stands it is quarantined for it"
    )
    assert of_kind(step.effects, m.RaiseAlert) == [m.RaiseAlert(key="unexplained_difference", text=text)]


def test_who_says_what_a_split_was_says_what_its_history_is() -> None:
    """Both end by that word; what else is held beneath them stays."""
    world = World.ready()
    ahead = m.QuarantineSet(con_id=1, symbol="AAA", reason="ahead", tech=world.now, cause=Cause.REBASED)
    beneath = replace(ahead, reason="no", cause=Cause.NOT_PERMITTED, beneath=ahead)
    uppermost = held_back(world, 1, "position: split", Cause.SPLIT)
    world.state.quarantines[1] = replace(uppermost, beneath=beneath)
    step = told(world, "unquarantine", "AAA")
    assert [one.reason for one in of_kind(step.facts, m.QuarantineLifted)] == [BY, BY]
    assert world.state.quarantines[1].cause is Cause.NOT_PERMITTED
    assert world.state.quarantines[1].beneath is None


# ── what becomes ours, and at what cost ─────────────────────────────────────────────────────────────────────────────


def test_what_was_outside_is_ours_by_the_word_that_adopts_it() -> None:
    world = World.ready(AAA=100)
    assert told(world, "adopt", "AAA").facts[:2] == (
        m.OutsideSet(con_id=1, symbol="AAA", quantity=D(0), reason="adopted"),
        m.HoldingAdopted(con_id=1, symbol="AAA", quantity=D(100), average_cost=D(90), reason=BY, off_parts=True),
    )


def differing(world: World, *con_ids: int) -> None:
    """The account has 30 of each that the book has not, at 90 each."""
    for con_id in con_ids:
        world.state.account_positions[con_id] = ({1: "AAA", 2: "BBB", 3: "CCC"}[con_id], D(30))
        world.state.account_costs[con_id] = D(90)


@pytest.mark.parametrize("name", ["BBB", "all"])
def test_a_difference_that_is_held_is_adopted_by_its_name_alone(name: str) -> None:
    """Not one that is not held, and not by `all`: that is said of what was left outside."""
    world = World.ready()
    differing(world, 1, 2)
    held_back(world, 2, "position: 0 is not 30", Cause.TRANSFER)
    step = told(world, "adopt", name)
    ours = m.HoldingAdopted(con_id=2, symbol="BBB", quantity=D(30), average_cost=D(90), reason=BY, off_parts=True)
    lifted = m.QuarantineLifted(con_id=2, reason=BY)
    assert [one for one in step.facts if isinstance(one, m.HoldingAdopted | m.QuarantineLifted)] == (
        [] if name == "all" else [ours, lifted]
    )
    asked = [] if name == "all" else [m.RequestSnapshot(reason="BBB was adopted")]
    assert of_kind(step.effects, m.RequestSnapshot) == asked


def test_a_difference_is_not_adopted_where_the_quarantine_was_not_about_it() -> None:
    world = World.ready()
    differing(world, 1)
    held_back(world, 1, "not permitted", Cause.NOT_PERMITTED)
    step = told(world, "adopt", "AAA")
    assert not of_kind(step.facts, m.HoldingAdopted) and 1 in world.state.quarantines
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert alert.text == (
        "AAA: that was not about its shares, and book 0 + outside 0 is not the account's 30: nothing of that is "
        "adopted; where it stands it is quarantined for it"
    )


@pytest.mark.parametrize(
    ("book", "account", "outside", "cost", "is_priced", "paid"),
    [
        (0, 30, 0, 90, True, 90),  # all that the account has
        (100, 150, 0, 12, True, 16),  # 100 at 10 before: 12 on average
        (100, 150, 0, 5, True, 0),  # never less than nothing
        (-100, -150, 0, 12, True, 16),
        (100, 150, 20, 12, True, 100),  # whose average it is, is not known: at the last price
        (100, 70, 0, 12, True, 100),  # what is gone goes at the last price
        (100, 150, 0, None, True, 100),
        (100, 150, 0, None, False, 10),  # without a price, at what ours cost
        (0, 30, 0, None, False, 0),
        (100, 0, 0, None, True, 100),
    ],
)
def test_shares_that_differ_are_adopted_at_what_makes_our_average_the_accounts(
    book: int, account: int, outside: int, cost: int | None, is_priced: bool, paid: int
) -> None:
    """Or at the last price, where that says nothing of ours."""
    world = World.ready()
    if is_priced:
        world.targets(BBB="0.1")
    if book:
        world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(book), average_cost=D(10))
    if outside:
        world.state.outside[1] = ("AAA", D(outside))
    world.state.account_positions[1] = ("AAA", D(account))
    if cost is not None:
        world.state.account_costs[1] = D(cost)
    held_back(world, 1, "position: they differ", Cause.TRANSFER)
    (ours,) = [one for one in of_kind(told(world, "adopt", "AAA").facts, m.HoldingAdopted)]
    assert (ours.quantity, ours.average_cost) == (account - outside - book, paid)


@pytest.mark.parametrize(
    ("book", "outside", "cost", "is_priced", "paid"),
    [
        (None, 30, 90, True, 90),
        (None, 30, None, True, 100),
        (None, 30, None, False, 0),
        (0, 30, 90, True, 90),  # all that was ours is closed
        (10, 30, 14, True, "15.33"),  # 10 at 10 before: 14 on average
        (10, 30, 1, True, 0),
        (-10, 30, 14, True, 100),
        (-10, 30, 14, False, 14),
    ],
)
def test_shares_outside_are_adopted_at_what_the_account_says_they_cost(
    book: int | None, outside: int, cost: int | None, is_priced: bool, paid: int | str
) -> None:
    """Beside ours at what makes the average of both the account's; where it can't say, at the last price."""
    world = World.ready()
    if is_priced:
        world.targets(BBB="0.1")
    if book is not None:
        world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(book), average_cost=D(10))
    world.state.outside[1] = ("AAA", D(outside))
    world.state.account_positions[1] = ("AAA", D(outside + (book or 0)))
    if cost is not None:
        world.state.account_costs[1] = D(cost)
    (ours,) = of_kind(told(world, "adopt", "AAA").facts, m.HoldingAdopted)
    assert (ours.quantity, round(ours.average_cost, 2)) == (outside, D(paid))


def test_shares_of_which_no_price_is_known_are_adopted_at_what_ours_cost() -> None:
    """Though those of others are."""
    world = World.ready()
    del world.prices["AAA"]
    world.targets(BBB="0.1")
    world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(100), average_cost=D(10))
    world.state.account_positions[1] = ("AAA", D(150))
    held_back(world, 1, "position: they differ", Cause.TRANSFER)
    (ours,) = of_kind(told(world, "adopt", "AAA").facts, m.HoldingAdopted)
    assert (ours.quantity, ours.average_cost) == (50, 10)


def test_shares_that_are_adopted_leave_a_stop_where_it_is() -> None:
    """Seven more of what a stop protects: no split is thought of, so its level is still of these shares."""
    world, _ = holding()
    world.reconcile()
    level = world.state.stop_levels[1]
    world.positions[1] = D(207)
    world.moved("AAA")
    world.reconcile(3)
    step = told(world, "adopt", "AAA")
    assert of_kind(step.facts, m.HoldingAdopted) and "stop_set_anew" not in alerts(step)
    assert (world.state.stop_levels[1].level, level.level) == (D("95.00"), D("95.00"))

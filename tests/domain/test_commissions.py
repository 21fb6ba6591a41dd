"""What a cash account sets aside for commissions: by the schedule, by the broker's word, for what and how long."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.risk import commissions, means
from tests.domain.test_caps import cap, proposal
from tests.domain.test_exposure import foreign, order
from tests.domain.test_means import CASH_ACCOUNT, decided, world_of
from tests.domain.test_means_figures import fill, read
from tests.domain.test_what_if import ASKS
from tests.domain.world import EQUITY, SETTINGS, World, alerts, of_kind

D = Decimal
SCHEDULE = {"commission_per_share": D("0.005"), "commission_minimum": D(1)}
CHARGED = replace(SETTINGS, **SCHEDULE)  # type: ignore[arg-type]


@pytest.mark.parametrize(("shares", "cost"), [(0, "0"), (1, "1"), (200, "1"), (201, "1.005"), (1_000, "5")])
def test_the_schedule_is_by_the_share_and_no_less_than_the_least(shares: int, cost: str) -> None:
    """No order costs nothing."""
    assert commissions.expected(CHARGED, D(shares)) == D(cost)


@pytest.mark.parametrize(("money", "shares"), [(1_001, D(10)), (100_005, D(1_000)), (1, D(0))])
def test_what_money_buys_leaves_the_least_or_what_the_shares_cost(money: int, shares: Decimal) -> None:
    """At 100: ten and the least of 1; a thousand at half a cent each."""
    assert commissions.shares_for(CHARGED, D(money), D(100)) == shares


@given(
    st.decimals("0", "100000", places=2),
    st.decimals("0.01", "1000", places=2),
    st.decimals("0", "1", places=3),
    st.integers(0, 9),
)
def test_what_money_buys_is_paid_by_it_with_the_commission_and_no_share_more(money, price, per_share, least) -> None:
    """The room is exact on both sides of where the least binds."""
    settings = replace(SETTINGS, commission_per_share=per_share, commission_minimum=D(least))
    most = commissions.shares_for(settings, money, price)
    tiny = D("1e-12")
    if most > tiny:
        few, many = most - tiny, most + D("1e-6")
        assert few * price + commissions.expected(settings, few) <= money
        assert many * price + commissions.expected(settings, many) > money


def test_commissions_of_all_that_works_or_has_just_traded_are_set_aside() -> None:
    """A buy, a sale, another's order, 400 of one order and 5 of another's fill: 5 + 1 + 1 + 2 + 1."""
    orders = (order(1, 1_000), order(2, 20, Side.SELL), replace(order(3, 400), state=OrderState.FILLED))
    mine = [replace(fill(number, 200), intent=3) for number in (1, 2)]
    state = read(*orders, figures=CASH_ACCOUNT, fills=(*mine, fill(9, -5)), **SCHEDULE)
    state.foreign_orders = {77: foreign(77, 7)}
    assert commissions.set_aside(state, state.fills.values()) == 10
    state.settings = SETTINGS
    assert commissions.set_aside(state, state.fills.values()) == 0


@pytest.mark.parametrize(
    ("schedule", "cost"), [({"commission_per_share": D("0.005")}, 5), ({"commission_minimum": D(7)}, 7)]
)
def test_one_half_of_the_schedule_is_a_schedule(schedule: dict[str, Decimal], cost: int) -> None:
    """By the share without a least, and a least alone."""
    state = read(order(1, 1_000), figures=CASH_ACCOUNT, **schedule)
    assert commissions.set_aside(state, ()) == cost


def test_the_fills_of_one_order_are_charged_together_and_of_nobody_each() -> None:
    """300 shares of an order that has ended cost 1.5, and two of others' trades 1 each, of which less is known."""
    ended = replace(order(3, 400), state=OrderState.FILLED)
    mine = [replace(fill(number, 150), intent=3) for number in (1, 2)]
    state = read(ended, figures=CASH_ACCOUNT, fills=tuple(mine), **SCHEDULE)
    assert commissions.set_aside(state, state.fills.values()) == D("1.5")
    state = read(figures=CASH_ACCOUNT, fills=(fill(8, -5), fill(9, -5)), **SCHEDULE)
    assert commissions.set_aside(state, state.fills.values()) == 2


def test_a_live_order_counts_once_whatever_of_it_has_filled() -> None:
    """Its fills' commissions are in its own; what the broker told takes the schedule's place, with or without one."""
    live = order(1, 1_000, filled=D(400))
    state = read(live, figures=CASH_ACCOUNT, fills=(replace(fill(1, 400), intent=1),), **SCHEDULE)
    assert commissions.set_aside(state, state.fills.values()) == 5
    told = read(replace(live, commission_told=D("3.5")), figures=CASH_ACCOUNT, **SCHEDULE)
    assert commissions.set_aside(told, ()) == D("3.5")
    unscheduled = read(replace(live, commission_told=D("3.5")), order(2, 100), figures=CASH_ACCOUNT)
    assert commissions.set_aside(unscheduled, ()) == D("3.5")


def test_a_purchase_leaves_room_for_its_own_commission() -> None:
    """50 at 125 at worst, and 1 for the order."""
    state = read(figures=CASH_ACCOUNT, **SCHEDULE)
    assert means.settled_and_spent(state) == (EQUITY, 0)
    assert means.cap_settled_cash(state, proposal()) == cap(EQUITY / D("125.005"), 6251, EQUITY)


@pytest.mark.parametrize(("settings", "more", "shares"), [({}, 0, 99), (SCHEDULE, 1, 98), (SCHEDULE, 2, 99)])
def test_the_last_share_is_bought_only_where_both_commissions_are_left(settings, more, shares) -> None:
    """Two orders of one decision: 100 AAA and 99 BBB to the cent, and a dollar each."""
    free = world_of(replace(CASH_ACCOUNT, settled_cash=D(15_000)))
    free.targets(AAA="0.1", BBB="0.1")
    cost = sum(one.quantity * one.worst_price for one in decided(free)[0])
    world = world_of(replace(CASH_ACCOUNT, settled_cash=cost + more), **settings)
    world.targets(AAA="0.1", BBB="0.1")
    orders, refused, clamped = decided(world)
    assert [one.quantity for one in orders] == [100, shares]
    assert (refused, clamped) == ([], [("BBB", "settled_cash")])


def test_what_a_what_if_told_is_kept_with_the_order() -> None:
    """Until it is told the schedule holds; an answer without a commission leaves it so."""
    for told, kept in ((D("2.25"), D("2.25")), (None, D(1))):
        world = World.ready(replace(ASKS, **SCHEDULE))  # type: ignore[arg-type]
        world.targets(AAA="0.1")
        world.rebalance()
        (asked,) = world.state.what_ifs.values()
        assert commissions.set_aside(world.state, ()) == 1
        world.hear(
            m.WhatIfSeen,
            order_id=asked.order_id,
            client_id=1,
            initial_margin=D(5_000),
            maintenance_margin=D(5_000),
            equity=EQUITY,
            commission=told,
        )
        assert world.order(asked.intent).state is OrderState.SENDING
        assert commissions.set_aside(world.state, ()) == kept


@pytest.mark.parametrize(("cash", "goes"), [("10023.25", True), ("10023.24", False)])
def test_what_a_what_if_told_of_an_order_is_held_against_its_own_cash_before_it_is_sent(cash: str, goes: bool) -> None:
    """100 AAA at 100.21 and 2.25, where the schedule has it for 1: refused with its figures, and never sent."""
    asks = {"what_if": True, "what_if_seconds": 5.0}
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(cash)), **SCHEDULE, **asks)
    world.targets(AAA="0.1")
    world.rebalance()
    (asked,) = world.state.what_ifs.values()
    margin = {"initial_margin": D(5_000), "maintenance_margin": D(5_000), "equity": EQUITY}
    told = {"order_id": asked.order_id, "client_id": 1, "commission": D("2.25")}
    step = world.hear(m.WhatIfSeen, **margin, **told)
    assert bool(of_kind(step.effects, m.SubmitOrder)) is goes
    refused = [(fact.check, fact.observed, fact.limit) for fact in of_kind(step.facts, m.TradeRefused)]
    assert refused == ([] if goes else [("what_if", "10023.25", "10023.24")])
    assert world.order(asked.intent).state is (OrderState.SENDING if goes else OrderState.UNSENT)
    assert ("margin" in alerts(step)) is not goes

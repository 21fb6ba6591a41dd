"""Splits: three proofs and all that moves together; until then no order in the instrument, whatever else is there."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain import splits
from longwatch.domain.causes import Cause
from longwatch.domain.state import fingerprint
from longwatch.journal.codec import decode, encode
from tests.domain.world import CON_IDS, World, alerts, of_kind


def held(**weights: str) -> World:
    """A world that has bought at 100 and 50, all of it agreeing with the account."""
    world = World.ready()
    for order in world.trade(**weights or {"AAA": "0.2"}):
        world.finish(order.intent, str(world.prices[order.symbol]))
    world.costs = {con_id: holding.average_cost for con_id, holding in world.state.book.items()}
    world.reconcile()
    return world


def asked_for(step: object) -> list[str]:
    return [effect.job for effect in of_kind(step.effects, m.RunJob)]  # type: ignore[attr-defined]


def test_a_split_is_booked_when_position_cost_and_history_say_so() -> None:
    """Book, average cost and sizing price move at once; the fact names the proofs; the quarantine ends."""
    world = held()
    first = world.split("AAA", 2, 1)
    assert world.state.quarantines[1].cause is Cause.SPLIT
    assert alerts(first) == ["split_suspected"] and asked_for(first) == ["refresh"]
    step = world.snapshot()
    (fact,) = of_kind(step.facts, m.SplitBooked)
    assert fact.proof == "position 200 -> 400, average cost 100 -> 50, history rebased by 2"
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (400, 50)
    assert world.state.equity is not None and dict(world.state.equity.prices)["AAA"] == 50
    assert not world.state.quarantines
    assert world.trade(AAA="0.2") == []


def test_the_history_that_proves_a_split_asks_for_the_account() -> None:
    """The cure waits for no schedule."""
    world = held()
    world.split("AAA", 2, 1, rebased=False)
    assert of_kind(world.fetched(AAA=D(2)).effects, m.RequestSnapshot)
    assert not of_kind(world.fetched(BBB=D(2)).effects, m.RequestSnapshot)


def test_between_a_split_and_its_proof_no_order_leaves() -> None:
    """Sized at 100 while the shares trade at 50: neither the strategy nor a flatten trades it, the others go on."""
    world = held()
    world.split("AAA", 2, 1, rebased=False)
    world.reconcile(3)
    assert [order.symbol for order in world.trade(AAA="0.3", BBB="0.1")] == ["BBB"]
    assert world.state.book[1].quantity == 200
    world.fetched(AAA=D(2))
    world.snapshot()
    assert world.state.book[1].quantity == 400 and not world.state.quarantines


def test_what_works_when_a_split_comes_is_cancelled_once() -> None:
    """It was sized and priced before."""
    world = held()
    intent = world.one(AAA="0.3")
    world.acknowledge(intent)
    step = world.split("AAA", 2, 1)
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [intent]
    assert world.order(intent).cancel_asked
    assert not of_kind(world.moved("AAA").effects, m.CancelOrder)


def spoil_cost(world: World) -> None:
    world.split("AAA", 2, 1)
    world.costs[1] *= 2
    world.moved("AAA")


def spoil_history(world: World) -> None:
    world.split("AAA", 2, 1, rebased=False)


def spoil_ratio(world: World) -> None:
    world.split("AAA", 2, 1, rebased=False)
    world.fetched(AAA=D(3))


def spoil_position(world: World) -> None:
    """Somebody's trade among the new shares, of which no execution tells."""
    world.split("AAA", 2, 1)
    world.positions[1] += 1
    world.moved("AAA")


def spoil_age(world: World) -> None:
    """The history was rebased weeks ago: by another split, of shares that were not yet held."""
    world.split("AAA", 2, 1, rebased=False)
    world.state.rebased["AAA"] = (D(2), world.state.sessions[0].date - timedelta(days=20))


SPOILED = (spoil_cost, spoil_history, spoil_ratio, spoil_position, spoil_age)


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_split_with_one_proof_missing_is_never_booked(spoil) -> None:
    """It stays quarantined, with the book as it was."""
    world = held()
    spoil(world)
    for step in world.reconcile(4):
        assert not of_kind(step.facts, m.SplitBooked)
    assert 1 in world.state.quarantines
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (200, 100)


def test_a_split_that_could_not_be_proven_is_lifted_by_a_person() -> None:
    """Adopted, the new shares cost nothing more: the average is the account's."""
    world = held()
    world.split("AAA", 2, 1, rebased=False)
    world.reconcile()
    world.hear(m.ControlRequested, command="adopt", argument="AAA", by="uid 1000", reason="the statement")
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (400, 50)
    assert not world.state.quarantines
    world.reconcile(2)
    assert not world.state.quarantines


def test_what_is_not_ours_is_split_with_it() -> None:
    """Of 3 for 2 each part gets its shares, whole ones."""
    world = World.ready(AAA=50)
    world.finish(world.one(AAA="0.15"))
    world.costs[1] = D(100)
    world.reconcile()
    assert (world.state.held(1), world.state.outside[1][1]) == (150, 50)
    world.split("AAA", 3, 2)
    world.snapshot()
    assert (world.state.held(1), world.state.outside[1][1]) == (225, 75)


def test_a_correction_of_a_fill_of_before_the_split_counts_in_new_shares() -> None:
    """The execution is corrected in its own figures: the shares stay, the cost moves by the half of it."""
    world = held()
    (exec_id,) = world.executions
    world.wait(60)
    world.split("AAA", 2, 1)
    world.snapshot()
    former = next(event for event, _ in world.steps if isinstance(event, m.ExecutionSeen))
    world.take(
        m.ExecutionSeen(
            **{name: getattr(former, name) for name in former.__dataclass_fields__}
            | {
                "exec_id": f"{exec_id[:-2]}02",
                "price": D(102),
            }
        )
    )
    assert (world.state.book[1].quantity, world.state.book[1].average_cost) == (400, 51)
    world.reconcile(2)
    assert not world.state.quarantines


def test_a_purchase_is_no_split() -> None:
    """Twice the shares at twice the money."""
    world = held()
    intent = world.one(AAA="0.4")
    world.acknowledge(intent)
    world.positions[1] = D(400)
    step = world.moved("AAA")
    assert not alerts(step) and not world.state.quarantines


def test_a_split_is_a_fact_that_a_journal_holds() -> None:
    """Written and read it is the same, and so is the state it leads to."""
    world, other = held(), held()
    for each in (world, other):
        each.split("AAA", 1, 10)
        each.snapshot()
    fact = next(fact for _, step in world.steps for fact in step.facts if isinstance(fact, m.SplitBooked))
    assert decode(encode(1, 1, fact)) == fact
    assert fingerprint(world.state) == fingerprint(other.state)


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(30, 5000),
    st.decimals(1, 900, places=2),
    st.integers(0, 4000),
)
def test_any_plain_ratio_is_found_and_nothing_is_lost(new: int, old: int, shares: int, cost: D, outside: int) -> None:
    """Shares of all parts come to the account's; what we paid stays, but for less than one share."""
    if new == old or shares * new < old * 20:
        return
    world = held()
    world.state.book[1] = type(world.state.book[1])(con_id=1, symbol="AAA", quantity=D(shares), average_cost=cost)
    if outside:
        world.state.outside[1] = ("AAA", D(outside))
    world.positions[1], world.costs[1] = D(shares + outside), cost
    world.reconcile()
    world.split("AAA", new, old)
    world.snapshot()
    assert not world.state.quarantines
    book, account = world.state.book[1], world.state.account_positions[1][1]
    assert book.quantity + world.state.outside.get(1, ("", D(0)))[1] == account == world.positions[1]
    exact = D(shares) * new / old
    assert 0 <= exact - book.quantity < 1
    assert abs(book.average_cost * new / old - cost) < D("0.0001")


def test_no_history_no_figures_no_split() -> None:
    """A position whose cost is not told, or that is gone or new, has no ratio."""
    world = World.ready(AAA=100)
    assert splits._ratio_moved(world.state, CON_IDS["BBB"]) is None
    world.positions[1] = D(0)
    world.moved("AAA")
    assert splits._ratio_moved(world.state, 1) is None
    assert not world.state.quarantines

"""Splits: three proofs and all that moves together; until then no order in the instrument, whatever else is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.orders import Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation import splits
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.state import Moved, fingerprint, put_order
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


# ── the proofs by themselves ────────────────────────────────────────────────────────────────────────────────────────


def moved_by_a_split(new: int = 2, old: int = 1, held: int = 200, **after: str) -> World:
    """So many shares were ours at 100; the broker's figures are those after the split, but for what is said."""
    world = World.ready()
    now = D(after.get("shares", D(held) * new / old))
    world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(held), average_cost=D(100))
    world.state.moved[1] = Moved(quantity=D(held), average_cost=D(after.get("before", "100")), at=world.now)
    world.state.account_positions[1] = ("AAA", now)
    world.state.account_costs[1] = D(after.get("cost", D(100) * old / new))
    world.state.rebased["AAA"] = (D(after.get("rebased", D(new) / old)), world.state.sessions[0].date)
    return world


def split_of(world: World) -> m.SplitBooked | None:
    row = m.Difference(
        con_id=1,
        symbol="AAA",
        book=world.state.held(1),
        outside=world.state.outside.get(1, ("", D(0)))[1],
        account=world.state.account_positions[1][1],
    )
    return splits.proven(world.state, row)


def test_what_is_booked_of_a_split_is_all_that_moves() -> None:
    """Three for two of 201 shares, of which one is not ours; the fractions are theirs."""
    world = moved_by_a_split(3, 2, 200)
    world.state.book[1] = replace(world.state.book[1], quantity=D(199))
    world.state.outside[1] = ("AAA", D(1))
    found = split_of(world)
    assert found == m.SplitBooked(
        con_id=1,
        symbol="AAA",
        new=3,
        old=2,
        book=D(298),
        outside=D(2),
        average_cost=D(200) / 3,
        sizing_price=None,
        at=world.now,
        proof=f"position 200 -> 300, average cost 100 -> {D(200) / 3}, history rebased by 1.5",
    )


def test_where_the_account_has_fractions_so_has_the_book() -> None:
    """Half a share of ours and of others is one each; with nothing of others' all is ours."""
    world = moved_by_a_split(3, 2, 202, shares="303")
    world.state.book[1] = replace(world.state.book[1], quantity=D(201))
    world.state.outside[1] = ("AAA", D(1))
    found = split_of(world)
    assert found is not None and (found.book, found.outside) == (301, 2)
    world = moved_by_a_split(3, 2, 201)
    found = split_of(world)
    assert found is not None and (found.book, found.outside) == (D("301.5"), 0)
    world.state.book[1] = replace(world.state.book[1], quantity=D(200))
    world.state.outside[1] = ("AAA", D(1))
    found = split_of(world)
    assert found is not None and (found.book, found.outside) == (300, D("1.5"))
    world = moved_by_a_split(3, 2, 201, shares="301")
    found = split_of(world)
    assert found is not None and (found.book, found.outside) == (301, 0)
    del world.state.book[1]
    world.state.outside[1] = ("AAA", D(201))
    found = split_of(world)
    assert found is not None and (found.book, found.outside, found.average_cost) == (0, 301, 0)


@pytest.mark.parametrize(
    ("after", "is_proven"),
    [
        ({"rebased": "2.02"}, True),
        ({"rebased": "2.0201"}, False),
        ({"rebased": "1.98"}, True),
        ({"rebased": "1.9799"}, False),
        ({"cost": "49.976"}, True),
        ({"cost": "49.97"}, False),
        ({"cost": "50.03"}, False),
        ({"shares": "401"}, False),
        ({"shares": "399"}, False),
        ({"shares": "0"}, False),
        ({"cost": "0"}, False),
        ({"before": "100.05", "cost": "50"}, True),
        ({"before": "100.051", "cost": "50"}, False),
    ],
)
def test_each_proof_may_be_off_by_so_much(after: dict[str, str], is_proven: bool) -> None:
    """A hundredth of the history, a two-thousandth of the cost, no share."""
    assert (split_of(moved_by_a_split(**after)) is not None) is is_proven  # type: ignore[arg-type]


@pytest.mark.parametrize(("cost", "is_proven"), [("49.976", True), ("50.024", True), ("49.97", False)])
def test_of_many_shares_a_cost_told_in_cents_may_be_off_as_far(cost: str, is_proven: bool) -> None:
    """40000 at a price a few cents off come to the cost of twenty shares more, or less: a split all the same."""
    assert (split_of(moved_by_a_split(held=20_000, cost=cost)) is not None) is is_proven


@pytest.mark.parametrize("ratio", [(2, 1), (1, 2), (3, 2), (1, 10), (49, 50), (50, 49), (7, 3)])
def test_the_simplest_ratio_is_named(ratio: tuple[int, int]) -> None:
    """Whole shares are left of it, the fraction of one is paid out."""
    new, old = ratio
    exact = D(1999) * new / old
    world = moved_by_a_split(new, old, 1999, shares=str(int(exact)))
    found = split_of(world)
    assert found is not None and (found.new, found.old) == ratio


def test_what_the_broker_has_not_told_proves_nothing() -> None:
    """Each figure of before and of now, and the history's own."""
    for spoil in (
        lambda state: state.moved.clear(),
        lambda state: state.account_costs.clear(),
        lambda state: state.rebased.clear(),
        lambda state: state.moved.update({1: replace(state.moved[1], average_cost=None)}),
        lambda state: state.moved.update({1: replace(state.moved[1], average_cost=D(0))}),
        lambda state: state.moved.update({1: replace(state.moved[1], quantity=D(0))}),
        lambda state: state.moved.update({1: replace(state.moved[1], at=None)}),
        lambda state: state.moved.update({1: replace(state.moved[1], quantity=D(100), average_cost=D(200))}),
    ):
        world = moved_by_a_split()
        assert split_of(world) is not None
        spoil(world.state)
        assert split_of(world) is None


def test_a_history_counts_that_was_rebased_in_the_last_session_closed_when_the_position_moved_or_later() -> None:
    """A session that closes at the very instant is one; where none is known, any is."""
    world = moved_by_a_split()
    yesterday, today, monday = world.state.sessions
    early = yesterday.date - timedelta(days=1)
    for at, session, counts in (
        (today.close_at, today.date, True),
        (today.close_at, yesterday.date, False),
        (today.close_at - timedelta(microseconds=1), yesterday.date, True),
        (today.close_at, monday.date, True),
        (yesterday.close_at - timedelta(days=1), early, True),
    ):
        world.state.moved[1] = replace(world.state.moved[1], at=at)
        world.state.rebased["AAA"] = (D(2), session)
        assert (split_of(world) is not None) is counts, (at, session)


@pytest.mark.parametrize(
    ("price", "close", "sized_at"),
    [("100", "50", "50"), ("50", "50", "50"), ("100", None, "50"), ("100", "0", "100"), ("100", "99", "100")],
)
def test_the_next_decision_is_sized_at_the_price_that_lies_by_the_last_close(
    price: str, close: str | None, sized_at: str
) -> None:
    """It may have been rebased with the history already; with no close it has not."""
    world = moved_by_a_split()
    world.targets(AAA="0.1")
    assert world.state.equity is not None
    world.state.equity = replace(world.state.equity, prices=(("AAA", D(price)),))
    world.state.judged["AAA"] = replace(world.state.judged["AAA"], close=None if close is None else D(close))
    found = split_of(world)
    assert found is not None and found.sizing_price == D(sized_at)
    del world.state.judged["AAA"]
    found = split_of(world)
    assert found is not None and found.sizing_price == D(price) / 2
    world.state.equity = replace(world.state.equity, prices=(("BBB", D(price)),))
    found = split_of(world)
    assert found is not None and found.sizing_price is None


@pytest.mark.parametrize(
    ("held", "account", "may_be"),
    [
        ("200", "400", True),
        ("200", "220", True),
        ("200", "207", False),
        ("201", "301", True),
        ("201", "302", False),
        ("10", "1", True),
        ("-200", "-400", True),
        ("-200", "400", False),
        ("5", "5", False),
        ("1", "1", False),
        ("200", "0", False),
        ("0", "200", False),
    ],
)
def test_what_a_split_may_have_made_of_the_shares_there_were(held: str, account: str, may_be: bool) -> None:
    """Eleven for ten, or three for two less a fraction; but neither the same ones, nor none, nor the other side."""
    world = World.ready()
    world.state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(held) - 3, average_cost=D(100))
    world.state.outside[1] = ("AAA", D(3))
    if D(account):
        world.state.account_positions[1] = ("AAA", D(account))
    assert splits.may_be_one(world.state, 1) is may_be


def suspected(world: World) -> list[object]:
    return list(splits.suspect(world.state, 1, "AAA", world.now))


def test_what_is_said_and_done_when_a_split_is_suspected() -> None:
    """One sentence for the quarantine and the alert, a cancel for each order but a stop, and prices are fetched."""
    world = moved_by_a_split()
    found = suspected(world)
    text = "200 shares became 400 at as many times less cost, a split of 2/1 it seems"
    reason = f"position: {text}; its history has not shown it yet"
    assert found == [
        m.QuarantineSet(con_id=1, symbol="AAA", reason=reason, tech=world.now, cause=Cause.SPLIT),
        m.RaiseAlert(key="split_suspected", text=f"AAA: {text}; no new orders in it until that is proven"),
        m.RunJob(job="refresh", reason="a split of AAA would rebase its history"),
    ]
    other = World.ready()
    other.acknowledge(other.one(AAA="0.1"))
    order = other.order(1)
    put_order(world.state, order)
    world.state.by_order_id[(order.client_id or 0, order.order_id or 0)] = 1
    asked = m.OrderCancelAsked(intent=1, reason="sized before a split")
    assert suspected(world)[2:4] == [asked, m.CancelOrder(intent=1, order_id=order.order_id or 0)]
    for kept in (replace(order, purpose=Purpose.STOP), replace(order, cancel_asked=True)):
        put_order(world.state, kept)
        assert suspected(world) == found
    world.state.outside[1] = ("AAA", D(200))
    assert suspected(world) == []
    world.state.outside.clear()
    world.state.quarantines[1] = found[0]  # type: ignore[assignment]
    assert suspected(world) == []


def test_a_history_is_awaited_only_where_a_split_is_suspected() -> None:
    """And only one that was rebased."""
    world = moved_by_a_split()
    row = m.SeriesJudged(symbol="AAA", bars=1, last_session=None, close=None, flaws=())
    held = m.QuarantineSet(con_id=1, symbol="AAA", reason="position", tech=world.now, cause=Cause.SPLIT)
    assert not splits.is_awaited(world.state, (replace(row, rebased=D(2)),))
    world.state.quarantines[1] = held
    assert splits.is_awaited(world.state, (row, replace(row, rebased=D(2))))
    assert not splits.is_awaited(world.state, (row, replace(row, symbol="BBB", rebased=D(2))))
    world.state.quarantines[1] = replace(held, cause=Cause.TRANSFER)
    assert not splits.is_awaited(world.state, (replace(row, rebased=D(2)),))

"""The order states: the table of evidence is total, and any order of a real order's messages ends in the same truth."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.orders import TERMINAL, TRANSITIONS, Evidence, OrderState, next_state
from tests.domain.world import CLIENT, World, commission, completed, perm_id

D = Decimal
S, E = OrderState, Evidence

OURS = {E.HANDED, E.WITHHELD, E.SILENCE, E.LINK_LOST}
"""What our own transport and clock show; everything else comes from the broker, or is proven from its answers."""
PROOFS = {E.PROVEN_ABSENT, E.INFERRED}

# Evidence that can't be true of an order in a state, and why: it raises an alert and moves nothing.
IMPOSSIBLE: dict[OrderState, set[Evidence]] = {
    # Nothing has left: nobody can know of it.
    S.INTENDED: set(E) - {E.WITHHELD},
    # It was refused before it was an order.
    S.REFUSED: set(E),
    # Absence and inference are only asked about the unknown.
    S.SENDING: PROOFS,
    # The broker has shown it: it was not withheld, and it is not absent.
    S.WORKING: PROOFS | {E.WITHHELD},
    S.UNKNOWN: set(),
    # Settled without the broker: only the broker can say otherwise, or our transport that it never left.
    S.UNSENT: OURS | PROOFS,
    S.ABSENT: (OURS | PROOFS) - {E.WITHHELD},
    S.INFERRED: OURS | PROOFS,
    # Ended by the broker: no clock of ours matters any more, and only a fill can still be news.
    S.FILLED: OURS | PROOFS | {E.ACKNOWLEDGED, E.LISTED, E.CANCELLED, E.REJECTED, E.EXPIRED},
    S.CANCELLED: OURS | PROOFS | {E.ACKNOWLEDGED, E.REJECTED},
    S.EXPIRED: OURS | PROOFS | {E.ACKNOWLEDGED, E.REJECTED},
    S.REJECTED: OURS | PROOFS,
}


@pytest.mark.parametrize("state", OrderState)
def test_the_table_says_of_every_evidence_what_it_makes_of_every_state(state: OrderState) -> None:
    """Each pair leads somewhere or is impossible for a reason written down; there is no third."""
    assert set(TRANSITIONS[state]) == set(Evidence) - IMPOSSIBLE[state]


def test_no_evidence_leads_out_of_refused_nor_back_to_intended() -> None:
    """A refusal is final, and an intent is made once."""
    assert TRANSITIONS[S.REFUSED] == {}
    targets = {target for row in TRANSITIONS.values() for target in row.values()}
    assert not targets & {S.INTENDED, S.REFUSED}


def test_an_order_ends_only_by_the_brokers_word_or_by_proof() -> None:
    """Silence and a lost link never end an order; what our transport can prove is that nothing left it."""
    for state, row in TRANSITIONS.items():
        for evidence, target in row.items():
            if target in TERMINAL and target is not state:
                assert evidence not in OURS - {E.WITHHELD}, (state, evidence)
            if evidence is E.WITHHELD:
                assert target is S.UNSENT


def test_a_fill_in_full_is_believed_of_every_order_that_could_have_left() -> None:
    """No state swallows a fill."""
    for state in set(OrderState) - {S.INTENDED, S.REFUSED}:
        assert next_state(state, E.ALL_FILLED) is S.FILLED


def test_impossible_evidence_is_an_alert_and_never_a_move() -> None:
    """The transport says "withheld" of an order that works at the broker."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    step = world.hear(m.OrderWithheld, intent=intent, reason="late")
    assert [effect.key for effect in step.effects] == ["impossible_evidence"]
    assert step.facts == ()
    assert world.order(intent).state is S.WORKING


# ── permutations ────────────────────────────────────────────────────────────────────────────────────────────────────

Say = Callable[[World, int], object]


def _reset(world: World, intent: int) -> None:
    """The connection is lost and made again; the account then shows the order as the broker has it.

    Whose end was told before is not listed as open after: that would be the broker's later word, and it would count.
    """
    order = world.order(intent)
    has_ended = order.state in TERMINAL or order.ending is not None
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(2)
    world.open_orders, world.completed = (set(), {perm_id(intent)}) if has_ended else ({perm_id(intent)}, set())
    world.connect()


def _execution(number: int, quantity: int, price: str) -> Say:
    return lambda world, intent: world.fill(intent, quantity, price, exec_id=f"00018.{number:02x}.01")


def _commission(number: int) -> Say:
    return lambda world, intent: world.take(commission(f"00018.{number:02x}.01", world.now))


def _error(code: int, verdict: str) -> Say:
    def say(world: World, intent: int) -> None:
        order = world.order(intent)
        world.hear(m.OrderErrorSeen, order_id=order.order_id, code=code, text="said so", verdict=verdict)

    return say


def _open(world: World, intent: int) -> None:
    world.open_order(intent)


def _status(status: str, filled: int) -> Say:
    return lambda world, intent: world.status(intent, status, filled)


FILLED: tuple[Say, ...] = (
    _open,
    _status("PreSubmitted", 0),
    _status("Submitted", 40),
    _execution(1, 40, "100.00"),
    _execution(2, 60, "100.50"),
    _commission(1),
    _commission(2),
    _status("Filled", 100),
    lambda world, intent: world.take(completed(world.order(intent), world.now, "Filled", 0)),
)
CANCELLED: tuple[Say, ...] = (
    _open,
    _status("Submitted", 0),
    _execution(1, 40, "100.00"),
    _commission(1),
    _error(202, "cancelled"),
    _status("Cancelled", 40),
    lambda world, intent: world.take(completed(world.order(intent), world.now, "Cancelled", 40)),
)


def played(messages, resets) -> tuple[World, int]:
    world = World.ready()
    intent = world.one(AAA="0.1")
    assert world.order(intent).quantity == 100
    world.handed(intent)
    for number, say in enumerate(messages):
        if number in resets:
            _reset(world, intent)
        world.wait(1)
        say(world, intent)
    return world, intent


def with_duplicates(messages: tuple[Say, ...]):
    return (
        st.lists(st.sampled_from(range(len(messages))), max_size=4)
        .flatmap(lambda extra: st.permutations([*range(len(messages)), *extra]))
        .map(lambda order: [messages[number] for number in order])
    )


@given(with_duplicates(FILLED), st.sets(st.integers(0, 12), max_size=2))
def test_any_order_of_a_filled_orders_messages_ends_filled(messages, resets) -> None:
    """5, 3, 11, 59 and 101 in any order, doubled, over resets: 100 at 100.30, booked once, at their commission."""
    world, intent = played(messages, resets)
    order = world.order(intent)
    assert (order.state, order.filled, order.average_price) == (S.FILLED, 100, D("100.30"))
    assert order.commission == D("2.50")
    assert world.state.held(1) == 100
    assert intent not in world.state.live


@given(with_duplicates(CANCELLED), st.sets(st.integers(0, 12), max_size=2))
def test_any_order_of_a_part_filled_cancels_messages_ends_cancelled(messages, resets) -> None:
    """5, 3, 11, 59, 202 and 101 in any order, doubled, over resets: cancelled after 40 at 100."""
    world, intent = played(messages, resets)
    order = world.order(intent)
    assert (order.state, order.filled, order.average_price) == (S.CANCELLED, 40, D(100))
    assert order.commission == D("1.25")
    assert world.state.held(1) == 40


def _inactive(world: World, intent: int) -> None:
    world.open_order(intent, "Inactive")


REFUSED_BY_IB = {
    "recorded": (_open, _status("Inactive", 0), _error(201, "rejected")),
    "older": (_error(201, "rejected"), _inactive, _status("Inactive", 0)),
    "never acknowledged": (_status("Inactive", 0), _error(201, "rejected")),
}


@pytest.mark.parametrize("messages", REFUSED_BY_IB.values(), ids=REFUSED_BY_IB)
def test_a_rejection_ends_rejected_whether_201_or_inactive_comes_first(messages) -> None:
    """Builds of the gateway differ in the order of the two; 201 alone is a verdict, Inactive alone is none."""
    world, intent = played(messages, set())
    assert world.order(intent).state is S.REJECTED


def test_an_order_shown_as_open_after_its_rejection_lives_and_a_person_hears_of_it() -> None:
    """The broker's later word counts, or an order would work that is not counted as exposure."""
    world, intent = played((_error(201, "rejected"),), set())
    step = world.open_order(intent, "Submitted")
    assert world.order(intent).state is S.WORKING
    assert [effect.key for effect in step.effects] == ["order_revived"]


def test_a_manual_orders_status_is_not_taken_for_ours() -> None:
    """Order id 0 of client 0 belongs to nobody here."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    step = world.hear(
        m.OrderStatusSeen,
        order_id=0,
        client_id=0,
        perm_id=77,
        status="Cancelled",
        filled=D(0),
        remaining=D(0),
        average_price=D(0),
    )
    assert step.facts == ()
    assert world.order(intent).client_id == CLIENT

"""The order states: the table of evidence is total, and any order of a real order's messages ends in the same truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import advance
from longwatch.domain.order_life.transitions import CRITICAL, MEANT, TRANSITIONS, missing_cells, next_state
from longwatch.domain.order_life.transitions import Impossible as I
from longwatch.domain.orders import TERMINAL, Evidence, OrderState
from longwatch.domain.state import put_order
from longwatch.journal.codec import decode, recover
from longwatch.ops.order_page import page
from tests.domain.play import Play
from tests.domain.world import CLIENT, CON_IDS, DAY, World, commission, completed, judged, perm_id

D = Decimal
S, E = OrderState, Evidence

OURS = {E.HANDED, E.WITHHELD, E.SILENCE, E.LINK_LOST, E.QUESTION_REJECTED}
"""What our own transport, clock and question show; all else comes from the broker, or is proven from its answers."""
PROOFS = {E.PROVEN_ABSENT, E.INFERRED}
FROM_BROKER = set(E) - OURS - PROOFS
CELLS = [(state, evidence) for state in S for evidence in E]


def alert_of(state: OrderState, evidence: Evidence) -> I | None:
    """Why such evidence can't be true of such an order, told apart from the table; None where it can."""
    if state in (S.INTENDED, S.REFUSED) and evidence in FROM_BROKER:
        return I.HEARD_OF_UNSENT  # nothing has left: nobody can know of it
    if evidence in PROOFS and state is not S.UNKNOWN:
        return I.PROOF_OUT_OF_TURN  # absence and inference are asked about the unknown only
    if evidence is E.WITHHELD:  # of what the broker has shown it can't be so
        shown = {S.WORKING, S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED, S.INFERRED}
        return I.WITHHELD_YET_SHOWN if state in shown else I.OWN_WORD_OUT_OF_TURN if state is S.REFUSED else None
    if evidence is E.HANDED:  # of what was thought never to have arrived it is news, of other ends it is late
        return None if state in {S.SENDING, S.WORKING, S.UNKNOWN, S.UNSENT, S.ABSENT} else I.OWN_WORD_OUT_OF_TURN
    if evidence is E.QUESTION_REJECTED:  # it is asked before the order is sent
        return None if state is S.INTENDED else I.OWN_WORD_OUT_OF_TURN
    if evidence in OURS:  # no deadline runs, and no link matters, before an order is sent and after it has ended
        return None if state in {S.SENDING, S.WORKING, S.UNKNOWN} else I.OWN_WORD_OUT_OF_TURN
    if state is S.FILLED and evidence is E.LISTED:
        return I.LISTED_THOUGH_FILLED
    ends = {E.CANCELLED, E.REJECTED, E.EXPIRED}
    contradicted = state is S.FILLED and evidence in ends
    if contradicted or (state in (S.CANCELLED, S.EXPIRED) and evidence is E.REJECTED):
        return I.END_CONTRADICTED
    return None


@pytest.mark.parametrize(("state", "evidence"), CELLS)
def test_every_cell_of_the_table_is_a_state_or_the_alert_that_is_right_for_it(
    state: OrderState, evidence: Evidence
) -> None:
    """There is no third, and no cell is left out."""
    cell, alert = TRANSITIONS[state][evidence], alert_of(state, evidence)
    assert cell is alert if alert else isinstance(cell, OrderState)


def test_a_table_without_a_cell_is_found_out_by_name() -> None:
    """The module would not import."""
    assert missing_cells(TRANSITIONS) == []
    without = {**TRANSITIONS, S.WORKING: {e: c for e, c in TRANSITIONS[S.WORKING].items() if e is not E.SILENCE}}
    assert missing_cells(without) == ["working x no acknowledgement by the deadline"]


def test_every_alert_says_what_it_means_and_what_to_do_and_is_raised_by_some_cell() -> None:
    """A closed set: none is without a text, none without use."""
    assert set(MEANT) == set(I)
    assert all(meaning and what_to_do for meaning, what_to_do in MEANT.values())
    assert {cell for row in TRANSITIONS.values() for cell in row.values() if isinstance(cell, I)} == set(I)


def test_no_evidence_leads_out_of_refused_nor_back_to_intended() -> None:
    """A refusal is final, and an intent is made once."""
    assert not [cell for cell in TRANSITIONS[S.REFUSED].values() if isinstance(cell, OrderState)]
    targets = {target for row in TRANSITIONS.values() for target in row.values()}
    assert not targets & {S.INTENDED, S.REFUSED, S.SENDING} - {TRANSITIONS[S.SENDING][E.HANDED]}


def test_an_order_ends_only_by_the_brokers_word_or_by_proof() -> None:
    """Silence and a lost link never end an order; what our transport can prove is that nothing left it."""
    for state, row in TRANSITIONS.items():
        for evidence, target in row.items():
            if target in TERMINAL and target is not state:
                assert evidence not in OURS - {E.WITHHELD, E.QUESTION_REJECTED}, (state, evidence)
            if evidence in (E.WITHHELD, E.QUESTION_REJECTED) and isinstance(target, OrderState):
                assert target is S.UNSENT


def test_absent_and_inferred_are_reached_from_unknown_and_by_their_proofs_alone() -> None:
    """No other cell of the table leads there."""
    into = [(state, evidence, TRANSITIONS[state][evidence]) for state, evidence in CELLS]
    into = [cell for cell in into if cell[2] in (S.ABSENT, S.INFERRED)]
    assert into == [(S.UNKNOWN, E.PROVEN_ABSENT, S.ABSENT), (S.UNKNOWN, E.INFERRED, S.INFERRED)]


def test_a_fill_in_full_is_believed_of_every_order_that_could_have_left() -> None:
    """No state swallows a fill."""
    for state in set(OrderState) - {S.INTENDED, S.REFUSED}:
        assert next_state(state, E.ALL_FILLED) is S.FILLED


@pytest.mark.parametrize(("state", "evidence"), [cell for cell in CELLS if alert_of(*cell)])
def test_impossible_evidence_is_its_alert_and_never_a_move(state: OrderState, evidence: Evidence) -> None:
    """Whatever else comes with it; the text says which order, what it would mean and what to do."""
    world = World.ready()
    order = replace(world.order(world.one(AAA="0.1")), state=state)
    put_order(world.state, order)
    (told,) = advance(world.state, order, evidence, text="late", reported=D(7))
    alert = alert_of(state, evidence)
    assert isinstance(told, m.RaiseAlert) and alert is not None
    assert (told.key, told.severity) == (alert.value, "critical" if alert in CRITICAL else "warning")
    assert all(part in told.text for part in (order.ref, state.value, evidence.value, "late", *MEANT[alert]))


def test_an_order_told_to_be_withheld_while_it_works_goes_on_working() -> None:
    """The transport contradicts the broker: an alert, and the broker is believed."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    step = world.hear(m.OrderWithheld, intent=intent, reason="late")
    assert [effect.key for effect in step.effects] == ["withheld_yet_shown"]
    assert step.facts == ()
    assert world.order(intent).state is S.WORKING


def test_bytes_that_left_after_all_make_an_unsent_order_unknown() -> None:
    """Our own word that nothing left is taken back by our own word that it did: the order counts again."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.hear(m.OrderWithheld, intent=intent, reason="the link is gone")
    assert (world.order(intent).state, world.order(intent).remaining) == (S.UNSENT, 0)
    again = world.hear(m.OrderWithheld, intent=intent, reason="the link is gone")
    assert (again.facts, again.effects) == ((), ())
    step = world.handed(intent)
    assert (world.order(intent).state, world.order(intent).remaining) == (S.UNKNOWN, 100)
    assert [effect.key for effect in step.effects] == ["order_revived"]
    assert world.order(intent).deadline is not None


def test_a_move_names_the_evidence_and_the_kind_of_message_that_showed_it() -> None:
    """In the fact, in the state folded from it, and by its cause in the journal."""
    play = Play()
    play.start()
    play.connect()
    play.hear(m.DataRefreshed, run_id="refresh@1", session=DAY - timedelta(days=1), judged=tuple(map(judged, CON_IDS)))
    play.wait(90)
    play.snapshot()
    play.targets(AAA="0.1")
    (intent,) = [effect.order.intent for effect in play.rebalance().effects if isinstance(effect, m.SubmitOrder)]
    play.handed(intent)
    play.take(completed(play.order(intent), play.now, "Cancelled", 0))
    *_, moved = [record for record in play.records if record.kind == "OrderMoved"]
    fact, cause = decode(moved), decode(play.records[moved.cause - 1])
    assert isinstance(fact, m.OrderMoved) and isinstance(cause, m.CompletedOrderSeen)
    assert (fact.evidence, fact.proof, cause.perm_id) == (E.CANCELLED, "CompletedOrderSeen", perm_id(intent))
    order = recover(play.records).orders[intent]
    assert (order.evidence, order.proof) == ("cancelled by the broker", "CompletedOrderSeen")


def test_the_page_of_the_orders_life_is_the_table(root: Path) -> None:
    """docs/orders.md is what `python -m longwatch.ops.order_page` prints."""
    assert (root / "docs" / "orders.md").read_text() == page()


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

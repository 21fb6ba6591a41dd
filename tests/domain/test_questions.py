"""Whether the gateway takes orders, asked where an order's own number names nothing any more."""

from __future__ import annotations

from dataclasses import replace

from longwatch.domain import messages as m
from longwatch.domain.order_life.questions import put
from longwatch.domain.orders import Absence, OrderState
from longwatch.domain.state import evolve
from tests.domain.test_exposure import order
from tests.domain.world import ACCOUNT, CLIENT, START, World, alerts, of_kind


def anew(world: World) -> None:
    """The link is lost and comes back, and order ids have begun again."""
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(40)
    world.hear(m.LinkUp, client_id=CLIENT, next_order_id=1, accounts=(ACCOUNT,), server_version=176)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.snapshot(reason="sync")


def asked() -> tuple[World, int, int]:
    """An unknown order out of reach; its intent, and the number under which the gateway was asked."""
    world = World.ready()
    world.finish(world.one(BBB="0.1"), price="50")
    world.wait(5)
    intent = world.one(AAA="0.1", BBB="0.1")
    world.handed(intent)
    anew(world)
    return world, intent, gathered(world, intent).asked_as or 0


def gathered(world: World, intent: int) -> Absence:
    absence = world.order(intent).absence
    assert absence is not None
    return absence


def answer(
    world: World, number: int, code: int = 10147, verdict: str = "not found"
) -> tuple[tuple[m.Fact, ...], tuple[m.Effect, ...], list[str]]:
    step = world.hear(m.OrderErrorSeen, order_id=number, code=code, text="a text", verdict=verdict)
    return step.facts, step.effects, alerts(step)


def cancels(world: World) -> list[m.CancelOrder]:
    return [one for _, step in world.steps for one in of_kind(step.effects, m.CancelOrder)]


def test_the_question_is_a_cancel_under_a_number_that_no_order_has_or_gets() -> None:
    """One number for all rounds, and the next order has a higher one."""
    world, intent, number = asked()
    assert cancels(world) == [m.CancelOrder(intent=intent, order_id=number)]
    assert number not in [order.order_id for order in world.state.orders.values()]
    world.wait(31)
    world.reconcile(2)
    assert {one.order_id for one in cancels(world)} == {number} and len(cancels(world)) == 3
    answer(world, number)
    (order,) = world.trade(AAA="0.1", BBB="0.2")
    assert (world.order(order.intent).order_id or 0) > number


def test_the_answer_is_noted_once_and_only_readings_begun_since_then_are_proof() -> None:
    world, intent, number = asked()
    assert gathered(world, intent).first_round_at is not None
    world.wait(1)
    facts, effects, told = answer(world, number)
    assert told == [] and len(facts) == 1
    assert gathered(world, intent) == replace(
        gathered(world, intent), answered=True, since=world.now, first_round_at=None
    )
    assert effects == (m.RequestSnapshot(reason=f"the gateway answers; is order {world.order(intent).ref} there?"),)
    assert answer(world, number) == ((), (), [])
    world.wait(31)
    before = len(cancels(world))
    world.reconcile(2)
    assert len(cancels(world)) == before
    assert world.order(intent).state is OrderState.UNKNOWN


def test_the_reading_that_an_answer_allows_is_not_put_off() -> None:
    """However seldom the order was looked for by then; what that did not settle is looked for as seldom again."""
    world, intent, number = asked()
    world.reconcile(8)
    waits = []
    for answers in (False, True, False):
        if answers:
            answer(world, number)
        world.reconcile()
        deadline = world.order(intent).deadline
        assert deadline is not None
        waits.append((deadline - world.now).total_seconds())
    usual = world.state.settings.absence_round_seconds
    assert waits == [usual * 4, usual, usual * 4]


def test_without_a_number_to_ask_under_nothing_is_asked() -> None:
    """Be nothing gathered about the order yet, or no question among it."""
    one = order(5)
    assert list(put(one)) == []
    absence = Absence(since=START)
    assert list(put(replace(one, absence=absence))) == []
    asked_under = replace(one, absence=replace(absence, asked_as=17))
    assert list(put(asked_under)) == [m.CancelOrder(intent=5, order_id=17)]


def test_another_code_under_that_number_answers_nothing() -> None:
    world, intent, number = asked()
    assert answer(world, number, 504, "unclear") == ((), (), [])
    assert not gathered(world, intent).is_answered


def test_a_code_on_a_number_that_nobody_was_asked_under_is_told() -> None:
    """With the code, the number and the broker's words: a person has nothing else to look for."""
    world, _, number = asked()
    _, (alert,), _ = answer(world, number + 1)
    assert alert == m.RaiseAlert(key="error_on_unknown_order", text=f"10147 on order id {number + 1}: a text")


def test_when_ids_begin_again_once_more_the_next_question_has_another_number() -> None:
    world, intent, number = asked()
    (first,) = (order for order in world.state.orders.values() if order.perm_ids)
    # Shown under a number of the gateway's count: by that it is noticed that it counts anew.
    evolve(world.state, m.OrderIdentified(intent=first.intent, perm_id=first.perm_ids[0], client_id=CLIENT, order_id=1))
    anew(world)
    assert gathered(world, intent).asked_as not in (None, number)
    number = gathered(world, intent).asked_as or 0
    answer(world, number)
    evolve(world.state, m.OrderIdentified(intent=first.intent, perm_id=first.perm_ids[0], client_id=CLIENT, order_id=1))
    anew(world)
    assert gathered(world, intent).asked_as == number and gathered(world, intent).answered


def test_an_order_that_is_shown_after_all_is_asked_for_anew() -> None:
    """If only as Inactive: what was gathered towards its absence is void, the answer too."""
    world, intent, number = asked()
    answer(world, number)
    world.open_order(intent, "Inactive", perm_id=0)
    assert not gathered(world, intent).answered and gathered(world, intent).spoken_of


def test_a_number_that_was_answered_is_not_asked_about_again_once_ids_have_begun_again() -> None:
    """What shows the order without a number of ours makes the answer void; by then the number may be anything's."""
    world, intent, number = asked()
    answer(world, number)
    anew(world)
    assert gathered(world, intent).answered
    world.open_order(intent, "PendingSubmit", perm_id=0, order_id=0, client_id=0)
    absence = gathered(world, intent)
    assert (absence.answered, absence.spoken_of, absence.asked_as) == (False, True, None)
    before = len(cancels(world))
    world.wait(61)
    world.reconcile(3)
    again = cancels(world)[before:]
    assert again and all(one.order_id > number for one in again)


def test_a_number_that_is_not_answered_yet_stays_the_one() -> None:
    world, intent, number = asked()
    world.open_order(intent, "PendingSubmit", perm_id=0, order_id=0, client_id=0)
    assert gathered(world, intent).asked_as == number

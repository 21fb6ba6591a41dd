"""Every waiting time that holds a stop up is woken from at its very end, not at the next look that falls due anyhow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, next_deadline
from longwatch.domain.order_life.breaker import held_back_until, is_held_back
from longwatch.domain.order_life.submission import ASK_AGAIN_AFTER
from longwatch.domain.orders import Change, Order, Purpose
from longwatch.domain.safeguards.attached import PATIENCE
from longwatch.domain.safeguards.pauses import next_end
from longwatch.domain.safeguards.protection import AGAIN
from longwatch.domain.state import Fill, State
from tests.domain.test_attached import cancelled, pair
from tests.domain.test_protection import changes, confirmed, ended, holding, sent
from tests.domain.test_unprotected import ALERT, NOW, SECOND, TICK, noted, state_of, stop
from tests.domain.world import CLOSE, SESSIONS, SETTINGS, World, alerts, execution, of_kind

D = Decimal
SETTLED = timedelta(seconds=SETTINGS.acknowledge_seconds)


def woken(world: World, until: datetime) -> Iterator[Step]:
    """What comes of each instant that the state itself names, as the loop's one timer would have it."""
    while (due := next_deadline(world.state)) is not None and due <= until:
        assert due > world.now, "a time that has passed would be named for ever"
        world.now = due
        yield world.hear(m.TimeReached)
    world.now = until


def shrunk() -> tuple[World, Order, Order]:
    """An exit of 100 has sold 40 of 200, so its stop is for 100 where 160 are held; looked at every half minute."""
    world, rests = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    world.fill(sale.intent, 40)
    world.open_order(rests.intent, "PreSubmitted", quantity=D(100))
    for _ in woken(world, world.now + timedelta(minutes=2)):
        pass
    return world, rests, sale


def test_a_stop_grows_as_soon_as_the_last_fill_of_its_group_has_settled() -> None:
    """A look that falls due just before finds it still waiting; the next one was half a minute later (seed 101)."""
    world, rests, sale = shrunk()
    look_at = world.state.unprotected[1].look_at
    assert look_at is not None
    world.now = look_at - 5 * SECOND
    world.fill(sale.intent, 10)
    filled_at = world.now
    world.open_order(rests.intent, "PreSubmitted", quantity=D(75))
    world.moved("AAA")
    assert changes(ended(world, sale.intent)) == []
    found = [(world.now, asked) for step in woken(world, filled_at + 20 * SECOND) for asked in changes(step)]
    assert [(at, asked.change.quantity) for at, asked in found] == [(filled_at + SETTLED, D(150))]


def test_terms_that_came_to_nothing_are_asked_for_again_when_that_is_allowed() -> None:
    world, rests = holding(filled=120)
    (entry,) = [one for one in world.state.live_orders() if one.purpose is Purpose.ENTRY]
    step = world.fill(entry.intent, 80)
    asked_at = world.now
    (asked,) = changes(step)
    assert asked.change.quantity == D(200)
    world.hear(m.OrderHanded, intent=rests.intent, change=1)
    world.wait(1)
    refusal = {"order_id": world.order(rests.intent).order_id, "code": 201, "text": "no", "verdict": "unchanged"}
    world.hear(m.OrderErrorSeen, **refusal)
    vain = world.order(rests.intent).vain
    assert vain is not None and vain.asked_at == asked_at
    found = [world.now for step in woken(world, asked_at + timedelta(minutes=1)) for _ in changes(step)]
    assert found == [asked_at + ASK_AGAIN_AFTER]


def test_an_entry_left_with_a_part_filled_is_woken_for_when_patience_ends() -> None:
    world, entry, attached = pair()
    world.fill(entry.intent, 50)
    filled_at = world.now
    found = [world.now for step in woken(world, filled_at + SECOND) if attached.intent in cancelled(step)]
    assert found == [filled_at + PATIENCE]


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_person_is_told_at_the_very_time_whether_or_not_the_link_is_up(is_linked: bool) -> None:
    """Nothing can be done without a link, and so much the more a person has to know."""
    world, rests = holding()
    world.hear(m.ClockSeen, skew_seconds=75.0)
    ended(world, rests.intent)
    began = world.now
    if not is_linked:
        world.hear(m.LinkLost, reason="reset by peer")
    told = [world.now for step in woken(world, began + 2 * ALERT) if "unprotected" in alerts(step)]
    assert told == [began + ALERT]


def test_without_a_link_nothing_is_asked_of_the_broker() -> None:
    world, rests = holding()
    ended(world, rests.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    effects = [one for step in woken(world, world.now + 2 * ALERT) for one in step.effects]
    assert of_kind(effects, m.RequestSnapshot) == of_kind(effects, m.SubmitOrder) == []


def test_what_the_night_left_without_a_stop_is_seen_to_as_the_exchange_opens() -> None:
    """A look that finds it closed is the last one of the day; a reading might come much later."""
    world, rests = holding()
    world.now = CLOSE - SECOND
    ended(world, rests.intent)
    world.wait(10)
    assert sent(world.snapshot()) == [], "a stop may have been ended for a split of which only the morning tells"
    opens = SESSIONS[2].open_at
    assert list(woken(world, opens - timedelta(minutes=2))) == []
    world.snapshot()
    (step,) = woken(world, opens + 5 * SECOND)
    assert of_kind(step.effects, m.RequestSnapshot), "nothing but the clock has called"
    look_at = world.state.unprotected[1].look_at
    assert look_at is not None and look_at <= opens + AGAIN, "the night makes no look seldom"
    assert [order.quantity for order in sent(world.snapshot())] == [D(200)]


def sold_beside_its_stop() -> tuple[World, Order, Order]:
    """An exit of 100 works beside the stop of 200, untouched as yet."""
    world, rests = holding()
    (sale,) = [one for one in world.trade(AAA="0.1") if one.purpose is Purpose.REDUCE]
    world.acknowledge(sale.intent)
    return world, rests, sale


def test_a_stop_that_is_too_large_is_made_smaller_as_soon_as_its_group_has_settled() -> None:
    """The broker has not made it so by itself, and nothing else is heard."""
    world, rests, sale = sold_beside_its_stop()
    world.fill(sale.intent, 40)
    filled_at = world.now
    world.wait(1)
    world.end(sale.intent)
    assert changes(world.status(sale.intent, "Cancelled")) == []
    assert world.state.surpluses[1].shares == D(40) and 1 not in world.state.unprotected
    found = [(world.now, asked) for step in woken(world, filled_at + 20 * SECOND) for asked in changes(step)]
    assert [(at, asked.intent, asked.change.quantity) for at, asked in found] == [
        (filled_at + SETTLED, rests.intent, D(160))
    ]
    world.hear(m.OrderHanded, intent=rests.intent, change=1)
    world.open_order(rests.intent, "PreSubmitted", quantity=D(160))
    assert world.state.surpluses == {}


def test_fewer_shares_that_were_refused_are_asked_for_again_when_that_is_allowed() -> None:
    world, rests, sale = sold_beside_its_stop()
    world.fill(sale.intent, 40)
    world.end(sale.intent)
    world.status(sale.intent, "Cancelled")
    (asked,) = [one for step in woken(world, world.now + SETTLED) for one in changes(step)]
    asked_at = world.now
    world.hear(m.OrderHanded, intent=rests.intent, change=1)
    refusal = {"order_id": world.order(rests.intent).order_id, "code": 201, "text": "no", "verdict": "unchanged"}
    world.hear(m.OrderErrorSeen, **refusal)
    assert asked.change.quantity == D(160) and world.order(rests.intent).change is None
    found = [world.now for step in woken(world, asked_at + timedelta(minutes=1)) for _ in changes(step)]
    assert found == [asked_at + ASK_AGAIN_AFTER]


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


def end(state: State, *, since: datetime = NOW - 2 * ALERT, tech: datetime = NOW) -> datetime | None:
    return next_end(state, 1, since, m.TimeReached(at=NOW, tech=tech))


def filled(state: State, intent: int, tech: datetime) -> None:
    name = f"{len(state.fills)}.01"
    state.fills[name] = Fill(
        exec_id=name,
        intent=intent,
        con_id=1,
        symbol="AAA",
        quantity=D(-10),
        price=D(90),
        executed_at=tech,
        tech=tech,
    )


def test_nothing_waits_where_nothing_has_happened() -> None:
    assert end(state_of(stop())) is None


def test_a_group_settles_so_long_after_its_last_fill_and_has_at_that_instant() -> None:
    state = state_of(stop(oca_group="g"), stop(2, purpose=Purpose.REDUCE, oca_group="g", filled=D(20)), stop(3))
    state.oca_groups["g"] = (1, 2)
    filled(state, 2, NOW - 9 * SECOND)
    filled(state, 2, NOW - 4 * SECOND)
    filled(state, 3, NOW)
    assert end(state) == NOW - 4 * SECOND + SETTLED
    assert end(state, tech=NOW + 6 * SECOND - TICK) == NOW + 6 * SECOND
    assert end(state, tech=NOW + 6 * SECOND) is None


def test_an_exit_that_its_stop_has_just_shrunk_is_not_waited_for() -> None:
    """What rests by the holding is: the exit is a decision's."""
    state = state_of(stop(oca_group="g", filled=D(20)), stop(2, purpose=Purpose.REDUCE, oca_group="g"))
    state.oca_groups["g"] = (1, 2)
    filled(state, 1, NOW)
    assert end(state) is None


def test_a_fill_that_is_taken_back_leaves_nothing_to_settle() -> None:
    """The broker gives nothing back for it, so there is nothing to hear: the stop is made larger at once (seed 23)."""
    state = state_of(stop(oca_group="g"), stop(2, purpose=Purpose.REDUCE, oca_group="g", filled=D(20)))
    state.oca_groups["g"] = (1, 2)
    filled(state, 2, NOW - 6 * SECOND)
    filled(state, 2, NOW)
    state.fills["1.01"] = replace(state.fills["1.01"], quantity=D(0))
    assert end(state) == NOW - 6 * SECOND + SETTLED


def test_a_stop_grows_with_the_reading_that_shows_a_sale_of_its_group_to_be_taken_back() -> None:
    """Once the fills of the group have settled, nothing is waited for."""
    world, _, sale = shrunk()
    world.status(sale.intent, "Cancelled")
    world.end(sale.intent)
    (asked,) = [one for _, step in world.steps[-1:] for one in changes(step)]
    confirmed(world, world.steps[-1][1])
    assert asked.change.quantity == D(160)
    world.wait(60)
    world.positions[1] = D(200)
    revision = execution(world.order(sale.intent), world.now, "TAKEN", 0, "100")
    first = next(one.exec_id for one in world.state.fills.values() if one.intent == sale.intent)
    world.take(replace(revision, exec_id=f"{first.rpartition('.')[0]}.02"))
    assert world.state.held(1) == 200
    found = [one.change.quantity for step in (world.steps[-1][1], world.snapshot()) for one in changes(step)]
    assert found == [D(200)]


def test_terms_in_vain_are_waited_for_so_long() -> None:
    vain = Change(number=1, quantity=D(80), limit_price=None, stop_price=D(95), asked_at=NOW - SECOND)
    assert end(state_of(stop(vain=vain))) == NOW - SECOND + ASK_AGAIN_AFTER
    assert end(state_of(stop(vain=vain)), tech=NOW - SECOND + ASK_AGAIN_AFTER) is None


def test_a_person_waits_for_once() -> None:
    state = state_of(stop())
    assert end(state, since=NOW) == NOW + ALERT
    state.unprotected[1] = noted(told=True)
    assert end(state, since=NOW) is None


def test_what_keeps_being_refused_is_tried_again_at_the_end_of_its_pause() -> None:
    """That end is market time; the look is in technical time, years apart in the demo."""
    years = timedelta(days=2557)
    strike = NOW - 3 * SECOND
    row = m.BreakerSet(
        con_id=1,
        symbol="AAA",
        purpose=Purpose.STOP,
        reason="201",
        strikes=(strike,),
        trips=0,
        until=None,
    )
    state = state_of(stop())
    state.breakers[1, Purpose.STOP, "201"] = row
    assert held_back_until(state, 1, Purpose.STOP, NOW) == strike + 20 * SECOND
    assert end(state) == NOW + 17 * SECOND
    assert end(state, tech=NOW - years) == NOW - years + 17 * SECOND
    assert not is_held_back(state, 1, Purpose.STOP, strike + 20 * SECOND)
    assert is_held_back(state, 1, Purpose.STOP, strike + 20 * SECOND - TICK)
    longer = NOW + timedelta(minutes=3)
    state.breakers[1, Purpose.STOP, "by"] = replace(row, reason="cancelled by a person", strikes=(), until=longer)
    assert held_back_until(state, 1, Purpose.STOP, NOW) == longer
    assert held_back_until(state, 1, Purpose.REDUCE, NOW) is None

"""What stands in a stop's way and what it stands in the way of, case by case: shares, neighbours, fills, new terms."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.order_life import breaker, modification
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.safeguards.at_write import outgrown, overtaken
from longwatch.domain.safeguards.shares import known_held
from longwatch.domain.safeguards.stop_levels import BY_HAND
from longwatch.domain.safeguards.stops import STOPPED_OUT, after_fill, after_terms, in_the_way
from longwatch.domain.settings import StopRule
from tests.domain.test_oca import CHANGE, exit_, member, state_of
from tests.domain.test_protection import FIXED, holding, sent
from tests.domain.world import CLOSE, CON_IDS, SESSIONS, SETTINGS, START, World, of_kind

D = Decimal
NOW = START + timedelta(hours=1)
TICK = timedelta(microseconds=1)


def event(at: datetime = NOW) -> m.Event:
    return m.TimeReached(at=at, tech=at)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("account", "outside", "is_doubted", "known"),
    [
        (60, 0, False, 60),
        (40, 0, False, 60),
        (40, 0, True, 40),
        (80, 0, True, 60),
        (-5, 0, True, 0),
        (50, 10, True, 40),
        (50, -10, True, 50),
        (50, -10, False, 50),
    ],
)
def test_what_a_stop_may_sell_is_in_the_book_and_where_that_is_in_doubt_in_the_account(
    sign: int, account: int, outside: int, is_doubted: bool, known: int
) -> None:
    """Without the shares of others; a difference alone is no doubt yet."""
    state = state_of(held=sign * 60, account=sign * account, outside=sign * outside)
    if is_doubted:
        state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="", tech=NOW, cause=Cause.UNEXPLAINED)
    assert known_held(state, 1) == sign * known
    stop = member(side=Side.SELL if sign > 0 else Side.BUY)
    assert (overtaken(state, stop) == "less is held than it would sell") is (known < 60)
    assert overtaken(state, replace(stop, quantity=D(known))) is None
    if is_doubted:
        state.account_positions.clear()
        assert known_held(state, 1) == sign * max(min(60, -outside), 0)


def test_an_exit_is_overtaken_by_the_stop_of_its_shares_that_has_traded() -> None:
    """Not by an exit, nor by the stop of another group."""
    for fields, is_overtaken in (({}, False), ({"filled": D(1)}, True), ({"reported": D(1)}, True)):
        state = state_of(member(1, **fields), exit_(2), member(3, oca_group="other", filled=D(1)))  # type: ignore[arg-type]
        found = overtaken(state, state.orders[2])
        assert found == ("the stop of these shares has been triggered" if is_overtaken else None)
        entry = replace(state.orders[2], purpose=Purpose.ENTRY)
        assert overtaken(state, entry) is None
    state = state_of(member(1), exit_(2), exit_(3, filled=D(1)))
    assert overtaken(state, state.orders[2]) is None


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("former", "asked", "told", "held", "is_outgrown"),
    [
        (40, 60, 0, 60, False),
        (40, 60, 0, 59, True),
        (60, 60, 0, 60, False),
        (60, 60, 0, 59, True),
        (60, 59, 0, 50, False),
        (40, 60, 10, 50, False),
        (40, 60, 10, 49, True),
        (40, 60, 0, 0, True),
    ],
)
def test_new_terms_of_a_stop_are_outgrown_where_less_is_held_than_they_would_sell(
    sign: int, former: int, asked: int, told: int, held: int, is_outgrown: bool
) -> None:
    """Terms for fewer shares than before leave in any case; of an exit it is not asked."""
    change = replace(CHANGE, quantity=D(asked))
    stop = member(quantity=former, filled=D(told), change=change)
    state = state_of(stop, held=sign * held, account=sign * held)
    assert (outgrown(state, stop) == "less is held than it would sell") is is_outgrown
    assert outgrown(state, replace(stop, purpose=Purpose.REDUCE)) is None
    assert outgrown(state, replace(stop, change=None)) is None


@pytest.mark.parametrize(
    ("order", "side", "reduces", "is_in_the_way"),
    [
        (exit_(oca_group="", side=Side.SELL), Side.BUY, False, True),
        (exit_(oca_group="", side=Side.SELL), Side.SELL, False, False),
        (exit_(oca_group="", side=Side.SELL), Side.SELL, True, False),
        (exit_(side=Side.SELL), Side.SELL, True, True),
        (exit_(side=Side.SELL), Side.SELL, False, False),
        (exit_(side=Side.SELL, twin_of=9), Side.SELL, True, False),
        (member(), Side.SELL, True, False),
        (member(), Side.SELL, False, True),
        (member(cancel_asked=True), Side.SELL, True, True),
        (member(quantity=60), Side.BUY, False, False),
        (member(quantity=61), Side.BUY, False, True),
        (member(con_id=2), Side.SELL, False, False),
    ],
)
def test_what_must_have_ended_before_a_trade(order: Order, side: Side, reduces: bool, is_in_the_way: bool) -> None:
    """With it a position could be turned round; an untouched stop is none of it, where an exit enters its group."""
    state = state_of(order, held=60, account=60)
    assert in_the_way(state, 1, side, reduces=reduces) == ([order] if is_in_the_way else [])
    assert in_the_way(state_of(replace(order, state=OrderState.CANCELLED)), 1, side, reduces=reduces) == []


def fill(intent: int | None = 1, quantity: int = -20) -> m.FillBooked:
    return m.FillBooked(
        exec_id="1.01",
        intent=intent,
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(quantity),
        price=D("94.5"),
        executed_at=NOW,
        tech=NOW,
        replaces=None,
    )


def test_the_first_fill_of_a_stop_is_told_and_holds_entries_for_the_session() -> None:
    """Those under way are cancelled, each once; nothing where the settings let it be bought back."""
    entry = exit_(2, purpose=Purpose.ENTRY, side=Side.BUY, oca_group="", order_id=7, client_id=1)
    others = [replace(entry, intent=3, cancel_asked=True), replace(entry, intent=4, con_id=2), exit_(5)]
    state = state_of(member(), entry, *others)
    state.settings, state.sessions = SETTINGS, SESSIONS
    told = m.RaiseAlert(key="stopped_out", text="AAA: its stop at 95 was triggered, -20 at 94.5 so far")
    found = list(after_fill(state, fill(), event()))
    assert found[0] == told
    (held,) = of_kind(found, m.BreakerSet)
    assert (held.con_id, held.purpose, held.reason, held.until) == (1, Purpose.ENTRY, STOPPED_OUT, CLOSE)
    assert of_kind(found, m.OrderCancelAsked) == [m.OrderCancelAsked(intent=2, reason=STOPPED_OUT)]
    for until, again in ((NOW, True), (NOW + TICK, False), (None, True)):
        state.breakers[(1, Purpose.ENTRY, STOPPED_OUT)] = replace(held, until=until)
        assert (told in list(after_fill(state, fill(), event()))) is again
    state.breakers.clear()
    state.settings = replace(SETTINGS, reenter_after_stop=True)
    assert list(after_fill(state, fill(), event())) == [told]
    for nothing in (fill(None), fill(5), fill(99), fill(1, 0)):
        assert list(after_fill(state, nothing, event())) == []


def terms(intent: int = 1, price: str | None = "80", **fields: object) -> m.OrderTermsSet:
    one = m.OrderTermsSet(
        intent=intent,
        quantity=D(60),
        limit_price=None,
        stop_price=price and D(price),
        text=modification.BY_SOMEBODY,
    )
    return replace(one, **fields)  # type: ignore[arg-type]


def test_a_stop_that_somebody_has_moved_takes_its_level_along() -> None:
    """Of an exit nothing follows, nor where the price is as it was, or none, or it was we who moved it."""
    state = state_of(member(), exit_())
    row = m.StopLevelSet(
        con_id=1, symbol="AAA", level=D(95), is_long=True, opened_at=START, at=START, because="paid 100"
    )
    state.stop_levels[1] = row
    stop, exit_order = state.orders[1], state.orders[2]
    moved = replace(row, level=D(80), at=NOW, because=BY_HAND)
    assert list(after_terms(state, terms(), stop, event())) == [moved]
    assert list(after_terms(state, terms(2), exit_order, event())) == []
    for fact in (terms(price="95"), terms(price=None), terms(text="shown so by the broker")):
        assert list(after_terms(state, fact, stop, event())) == []
    state.stop_levels.clear()
    assert list(after_terms(state, terms(), stop, event())) == []


def test_a_price_that_was_there_before_or_that_we_had_asked_for_is_nobodys_move() -> None:
    """Whatever the level is by then: it may be ahead of both."""
    state = state_of(member())
    state.stop_levels[1] = m.StopLevelSet(
        con_id=1, symbol="AAA", level=D(99), is_long=True, opened_at=START, at=START, because="close 104"
    )
    stop = replace(state.orders[1], stop_price=D(95))
    asked = replace(stop, change=replace(CHANGE, stop_price=D(97)))
    assert list(after_terms(state, terms(price="95"), stop, event())) == []
    assert list(after_terms(state, terms(price="95"), asked, event())) == []
    assert list(after_terms(state, terms(price="97"), asked, event())) == []
    for former, price in ((stop, "97"), (asked, "96")):
        (found,) = of_kind(list(after_terms(state, terms(price=price), former, event())), m.StopLevelSet)
        assert (found.level, found.because) == (D(price), BY_HAND)


def test_what_waited_for_a_stops_new_terms_is_decided_again_once_they_are_in_force() -> None:
    """Not while some are still under way."""
    world, stop = holding(FIXED)
    world.trade(AAA="0.1")
    for order in list(world.state.live_orders()):
        if order.purpose is Purpose.REDUCE:
            world.end(order.intent)
            world.status(order.intent, "Cancelled")
    assert world.state.rebalance is not None
    world.state.rebalance = replace(world.state.rebalance, waiting=1)
    same = terms(stop.intent, "95", text="shown so by the broker")
    again = m.RunJob(job="rebalance", reason="sells and cancels have ended")
    assert list(after_terms(world.state, same, stop, event())) == [again]
    under_way = replace(same, change=CHANGE)
    assert list(after_terms(world.state, under_way, stop, event())) == []
    world.state.rebalance = replace(world.state.rebalance, waiting=0)
    assert list(after_terms(world.state, same, stop, event())) == []


@pytest.mark.parametrize(
    ("strikes", "trips", "reason", "pause"),
    [
        (1, 0, "201 rejected", 20),
        (2, 0, "201 rejected", 40),
        (3, 0, breaker.CANCELLED, 80),
        (1, 1, "201 rejected", 160),
        (1, 2, "201 rejected", 900),
        (1, 9, "201 rejected", 900),
        (1, 0, breaker.CANCELLED, 0),
        (0, 1, "201 rejected", 0),
    ],
)
def test_a_stop_that_was_refused_waits_twice_as_long_after_each_refusal(
    strikes: int, trips: int, reason: str, pause: int
) -> None:
    """Eight times as long after each trip of the breaker, a quarter of an hour at the most; its end is in time."""
    for late, is_placed in ((timedelta(0), True), (-TICK, False)):
        world, struck = unprotected_holding()
        row = m.BreakerSet(
            con_id=1,
            symbol="AAA",
            purpose=Purpose.STOP,
            reason=reason,
            strikes=(struck,) * strikes,
            trips=trips,
            until=None,
        )
        world.state.breakers = {(1, Purpose.STOP, reason): row}
        world.now = struck + timedelta(seconds=pause - 1) + late
        world.snapshot()
        world.hear(m.ClockSeen, skew_seconds=0.1)
        placed = sent(world.hear(m.ConfigLoaded, settings=FIXED, sha256="2"))
        assert bool(placed) is (is_placed or pause == 0), (late, pause)
        for elsewhere in (replace(row, con_id=2), replace(row, purpose=Purpose.ENTRY)):
            other, _ = unprotected_holding()
            other.state.breakers = {(1, Purpose.STOP, reason): elsewhere}
            assert sent(other.hear(m.ConfigLoaded, settings=FIXED, sha256="2"))


def unprotected_holding() -> tuple[World, datetime]:
    """200 AAA of ours that no rule has asked a stop for yet, and an instant a while ago."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    world.moved("AAA")
    return world, world.now


def test_what_could_not_be_placed_is_tried_again_when_it_is_looked_at_or_the_gate_opens() -> None:
    """At that very instant by time; by no other event."""

    def places(kind: type, *, look_at: timedelta | None = None, missing: int | None = 200, **fields: object) -> bool:
        world, now = unprotected_holding()
        world.state.settings = FIXED
        if missing is not None:
            world.state.unprotected[1] = m.ProtectionSet(
                con_id=1,
                symbol="AAA",
                unprotected=D(missing),
                price=D(100),
                since=START,
                at=now,
                accrued=D(0),
                look_at=None if look_at is None else now + look_at,
            )
        return bool(sent(world.hear(kind, **fields)))

    now = timedelta(0)
    assert places(m.TimeReached, look_at=now)
    assert not places(m.TimeReached, look_at=TICK)
    assert not places(m.TimeReached)
    assert not places(m.TimeReached, missing=None)
    assert not places(m.JobSeen, look_at=now, run_id="1", job="rebalance", outcome="finished")
    assert places(m.ClockSeen, skew_seconds=0.1)
    assert not places(m.ClockSeen, missing=0, skew_seconds=0.1)
    assert not places(m.ClockSeen, missing=None, skew_seconds=0.1)


def test_a_person_who_has_cancelled_a_stop_is_obeyed_until_the_hold_ends() -> None:
    """At that very instant it is placed again."""
    for until, is_placed in ((timedelta(0), True), (TICK, False), (None, True)):
        world, _ = unprotected_holding()
        row = m.BreakerSet(
            con_id=1,
            symbol="AAA",
            purpose=Purpose.STOP,
            reason=breaker.BY_A_PERSON,
            strikes=(),
            trips=0,
            until=None if until is None else world.now + until,
        )
        world.state.breakers[(1, Purpose.STOP, row.reason)] = row
        assert bool(sent(world.hear(m.ConfigLoaded, settings=FIXED, sha256="2"))) is is_placed, until


def test_a_single_share_is_protected_as_any_other() -> None:
    world, stop = holding(FIXED, filled=1)
    assert (stop.side, stop.quantity, stop.stop_price) == (Side.SELL, 1, D(95))
    assert known_held(world.state, 1) == 1


def test_a_new_stop_is_an_order_with_all_its_terms() -> None:
    """In a group of its own, whole lots, good till cancelled."""
    world, _ = unprotected_holding()
    number = world.state.next_intent
    (stop,) = sent(world.hear(m.ConfigLoaded, settings=replace(FIXED, stop=StopRule(amount=D(3))), sha256="2"))
    ref = f"lw:k7q2:{number}"
    assert (stop.intent, stop.ref, stop.oca_group, stop.run_id) == (number, ref, ref, "stop:AAA")
    assert (stop.con_id, stop.symbol, stop.account, stop.mode) == (CON_IDS["AAA"], "AAA", "DU123456", "paper")
    assert (stop.stop_price, stop.decision_price, stop.limit_price, stop.tif) == (D(97), D(97), None, "GTC")
    assert (stop.quantity, stop.side, stop.created_at) == (D(200), Side.SELL, world.now)
    (effect,) = of_kind(world.steps[-1][1].effects, m.SubmitOrder)
    assert effect.instrument == world.state.instruments["AAA"]

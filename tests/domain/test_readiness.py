"""The readiness certificate: each reason comes from breaking exactly that thing, and goes when it is mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.risk import certificate
from longwatch.domain.risk.limits import Does, Limit, Setting
from longwatch.domain.risk.readiness import CERTIFICATE, gateway_answers, is_ready, reasons
from longwatch.domain.state import State, put_order
from tests.domain.world import ACCOUNT, CLIENT, SETTINGS, START, World

Act = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Case:
    """`broken` does the harm, `reason` is how the sentence begins, `mended` undoes it."""

    broken: Act
    reason: str
    mended: Act


def _lose_link(world: World) -> None:
    world.hear(m.LinkLost, reason="reset by peer")


def _forget(name: str) -> Act:
    return lambda world: setattr(world.state, name, None)


def _delist(world: World) -> None:
    world.state.instruments.clear()


def _old_account(world: World) -> None:
    world.wait(181)


def _outage(world: World) -> None:
    """The backend is back, and nothing has been read of the account since."""
    world.hear(m.BackendSeen, up=False)
    world.wait(1)
    world.hear(m.BackendSeen, up=True)


def _pass_over(world: World) -> None:
    intent = world.one(BBB="0.1")
    world.handed(intent)
    world.wait(10)
    world.hear(m.TimeReached)


def _answer_cancel(world: World) -> None:
    """A round of downloads shows nothing, and the cancel that follows it is answered."""
    (order,) = world.state.live_orders()
    world.wait(1)
    world.snapshot()
    world.hear(m.OrderErrorSeen, order_id=order.order_id, code=10147, text="not found", verdict="not found")


def _again(world: World) -> None:
    """Another daemon on the same journal."""
    world.start()
    world.wait(8)
    world.connect()


def _reconnect(world: World) -> None:
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(10)
    world.connect()


CASES: dict[str, Case] = {
    "link_is_up": Case(_lose_link, "link: disconnected (reset by peer)", World.connect),
    "backend_is_up": Case(
        lambda world: world.hear(m.BackendSeen, up=False), "backend: ", lambda world: world.hear(m.BackendSeen, up=True)
    ),
    "farms_are_up": Case(
        lambda world: world.hear(m.FarmSeen, farm="usfarm", up=False),
        "farms: usfarm broken",
        lambda world: world.hear(m.FarmSeen, farm="usfarm", up=True),
    ),
    "account_is_fresh": Case(_old_account, "account: last read 181 s ago, over 180 s", World.snapshot),
    "gateway_answers": Case(_pass_over, "orders: lw:", _answer_cancel),
    "cash_is_known": Case(_forget("valued"), "cash: ", World.snapshot),
    "clock_is_right": Case(
        lambda world: world.hear(m.ClockSeen, skew_seconds=-9.0),
        "clock: -9.0 s off the gateway's, over 5 s",
        lambda world: world.hear(m.ClockSeen, skew_seconds=0.1),
    ),
    "instruments_are_known": Case(_delist, "instruments: ", World.connect),
    "book_is_reconciled": Case(_forget("compared"), "book: ", World.snapshot),
}


def test_every_part_of_the_certificate_is_broken_here() -> None:
    """The table of cases covers the table of checks, in its order."""
    assert list(CASES) == [check.__name__ for check in CERTIFICATE]


def test_an_account_last_read_before_an_outage_is_read_again_first() -> None:
    """1102 opens nothing by itself: what filled meanwhile is not known yet."""
    world = World.ready()
    _outage(world)
    assert reasons(world.state, world.now) == ("account: not read since the gateway's link to IB came back",)
    assert world.trade(AAA="0.1") == []
    world.snapshot()
    assert len(world.trade(AAA="0.1")) == 1


def test_an_order_whose_acknowledgement_comes_late_opens_the_gate_again() -> None:
    """The window was closed, or the gateway was slow."""
    world = World.ready()
    _pass_over(world)
    (order,) = world.state.live_orders()
    world.acknowledge(order.intent)
    assert reasons(world.state, world.now) == ()


@pytest.mark.parametrize("name", CASES)
def test_a_reason_comes_alone_and_goes_when_mended(name: str) -> None:
    """Exactly one reason, no order through the gate; then none, and orders again."""
    world, case = World.ready(), CASES[name]
    assert is_ready(world.state, world.now)
    case.broken(world)
    (reason,) = reasons(world.state, world.now)
    assert reason.startswith(case.reason)
    assert not is_ready(world.state, world.now)
    assert world.trade(AAA="0.1") == []
    case.mended(world)
    assert reasons(world.state, world.now) == ()
    assert len(world.trade(AAA="0.1")) == 1


def test_one_symbol_without_a_contract_stays_out_alone() -> None:
    """The others trade."""
    world = World.ready()
    world.state.instruments.pop("AAA")
    world.hear(m.InstrumentsSeen, instruments=(), missing=(("AAA", "no security definition"),))
    assert reasons(world.state, world.now) == ()
    assert [order.symbol for order in world.trade(AAA="0.1", BBB="0.1")] == ["BBB"]


def test_a_contract_not_told_of_in_time_and_then_found_as_it_was_is_missing_no_more() -> None:
    """Else a refresh of its bars that failed would be taken for that of a symbol nobody knows, and not be repeated."""
    world = World.ready()
    known = world.state.instruments["AAA"]
    world.hear(m.InstrumentsSeen, instruments=(), missing=(("AAA", "no contract details within 30 s"),))
    assert "AAA" in world.state.missing
    world.hear(m.InstrumentsSeen, instruments=(known,))
    assert "AAA" not in world.state.missing


@pytest.mark.parametrize(
    "accounts, why", [(("DU999",), "the gateway serves DU999, not DU123456"), ((), "the gateway serves no account")]
)
def test_a_gateway_of_another_account_is_dropped(accounts: tuple[str, ...], why: str) -> None:
    """Nothing is downloaded from it, and the gate stays shut with the reason."""
    world = World()
    world.start()
    step = world.hear(m.LinkUp, client_id=1, next_order_id=1, accounts=accounts, server_version=176)
    assert [type(effect) for effect in step.effects] == [m.RaiseAlert, m.DropLink]
    assert reasons(world.state, world.now)[0].startswith(f"link: connecting ({why}")


def test_a_live_account_in_paper_mode_is_dropped() -> None:
    """An id that contradicts the mode is refused by name."""
    world = World()
    world.start()
    world.state.account = "U123456"
    world.hear(m.LinkUp, client_id=1, next_order_id=1, accounts=("U123456",), server_version=176)
    assert world.state.link_reason == "account U123456 contradicts mode paper"


def test_order_ids_begin_above_everything_ever_used() -> None:
    """The journal's highest and nextValidId, whichever is higher, and past the ids kept for requests."""
    world = World.ready()
    first = world.order(world.one(AAA="0.1")).order_id
    assert first == 2001
    world.hear(m.LinkLost, reason="reset by peer")
    world.connect()
    second = world.order(world.one(AAA="0.2")).order_id
    assert second is not None and second > first + 2000
    world.state.link = m.Link.DISCONNECTED
    world.hear(m.LinkUp, client_id=1, next_order_id=50_000, accounts=("DU123456",), server_version=176)
    assert world.state.next_id == 52_000


def test_settings_that_have_not_changed_are_no_news() -> None:
    """A reload of the same file leaves no fact."""
    world = World.ready()
    assert world.hear(m.ConfigLoaded, settings=world.settings, sha256="c0ffee").facts == ()
    changed = replace(world.settings, max_orders_per_minute=3)
    assert len(world.hear(m.ConfigLoaded, settings=changed, sha256="decaf").facts) == 1


def test_a_gateway_that_speaks_of_an_unknown_order_is_not_silent_about_it() -> None:
    """If only to say that its cancel comes too late: other instruments are traded, this one waits for evidence."""
    world = World.ready()
    (order,) = world.trade(AAA="0.1")
    world.handed(order.intent)
    world.wait(11)
    world.hear(m.TimeReached)
    assert "has no answer at all" in (gateway_answers(world.state, world.now) or "")
    world.reconcile(1)
    row = {"order_id": order.order_id, "code": 10148, "text": "too late", "verdict": "too late"}
    world.hear(m.OrderErrorSeen, **row)
    assert gateway_answers(world.state, world.now) is None
    assert world.order(order.intent).state is OrderState.UNKNOWN


@pytest.mark.parametrize("meanwhile", [_again, _reconnect])
def test_a_window_stays_open_over_a_lost_link_and_a_restart_of_the_daemon(meanwhile: Act) -> None:
    """What was passed over before is as unanswered after: no order of any instrument follows it into the window."""
    world = World.ready()
    _pass_over(world)
    meanwhile(world)
    world.wait(70)
    world.snapshot()
    (reason,) = reasons(world.state, world.now)
    assert reason.startswith("orders: lw:")
    assert world.trade(AAA="0.1", BBB="0.1") == []
    _answer_cancel(world)
    assert reasons(world.state, world.now) == ()
    assert [order.symbol for order in world.trade(AAA="0.1", BBB="0.1")] == ["AAA"]


def test_an_order_that_no_cancel_reaches_holds_the_account_until_the_gateway_answers_another() -> None:
    """That its ids have begun again closes no window; that it answers says that none is open. The instrument waits."""
    world = World.ready()
    world.finish(world.one(BBB="0.1"), price="50")
    world.wait(5)
    world.handed(world.one(AAA="0.1", BBB="0.1"))
    world.wait(10)
    world.hear(m.TimeReached)
    world.hear(m.LinkLost, reason="reset by peer")
    up = {"client_id": CLIENT, "next_order_id": 1, "accounts": (ACCOUNT,), "server_version": 176}
    world.hear(m.LinkUp, **up)
    world.hear(m.ClockSeen, skew_seconds=0.1)
    world.snapshot(reason="sync")
    (order,) = world.state.live_orders()
    (reason,) = reasons(world.state, world.now)
    assert order.state is OrderState.UNKNOWN and reason.startswith("orders: lw:") and order.absence is not None
    asked_as = order.absence.asked_as
    assert asked_as is not None and asked_as != order.order_id
    world.hear(m.OrderErrorSeen, order_id=asked_as, code=10147, text="not found", verdict="not found")
    assert [order.state for order in world.state.live_orders()] == [OrderState.UNKNOWN]
    assert reasons(world.state, world.now) == ()


# ── word by word ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_reason_is_one_sentence() -> None:
    """As the gate gives it and `/readyz` shows it."""
    state, now = State(), START
    assert reasons(state, now) == (
        f"link: {state.link.value}",
        "cash: the account's value is not known",
        "clock: not yet compared with the gateway's",
        "book: not yet compared with the account",
    )
    state.link_reason = "reset by peer"
    state.backend_up = False
    state.farms = {name: m.FarmMoved(farm=name, up=name == "fine", tech=now) for name in ("usfuture", "usfarm", "fine")}
    state.snapshot_failed = m.SnapshotFailed(failures=(("orders", "no end mark"), ("cash", "not told")), tech=now)
    state.settings = replace(state.settings, universe=("AAA",))
    assert reasons(state, now)[:4] == (
        f"link: {state.link.value} (reset by peer)",
        "backend: the gateway has lost its link to IB",
        "farms: usfarm, usfuture broken",
        "account: the last download failed (orders: no end mark; cash: not told)",
    )
    assert "instruments: no symbol of the universe is known to the broker" in reasons(state, now)


@pytest.mark.parametrize(("beyond", "says"), [(0.0, ()), (0.6, ("181 s ago, over 180 s", "+2.6 s off"))])
def test_the_ages_of_account_and_clock_may_be_just_what_the_limit_is(beyond: float, says: tuple[str, ...]) -> None:
    """And no more, whichever way the clock is off."""
    world = World.ready(replace(SETTINGS, account_age_seconds=180.0, clock_skew_seconds=2.0))
    assert world.state.compared is not None
    tech = world.state.compared.tech + timedelta(seconds=180 + beyond)
    for sign in (1, -1):
        world.state.clock = m.ClockChecked(skew_seconds=sign * (2.0 + beyond), tech=world.now)
        found = reasons(world.state, tech)
        assert len(found) == len(says)
        assert all(
            word.replace("+", "-" if sign < 0 else "+") in reason for word, reason in zip(says, found, strict=True)
        )


def test_an_account_read_before_the_clock_was_set_back_is_read_again_first() -> None:
    """A machine that was started anew five hours back: what its journal says would be fresh for five hours."""
    world = World.ready()
    assert world.state.compared is not None
    read = world.state.compared.tech
    assert not reasons(world.state, read - timedelta(seconds=60))
    (reason,) = reasons(world.state, read - timedelta(hours=5))
    assert reason.startswith("account: last read 18000 s ahead of now")
    world.now = read - timedelta(hours=5)
    world.start()
    world.connect()
    assert not reasons(world.state, world.now)


def test_an_order_without_an_answer_is_found_behind_others_that_work() -> None:
    """Whichever of them came first."""
    world = World.ready()
    first, second = (one.intent for one in world.trade(AAA="0.1", BBB="0.1"))
    world.acknowledge(first)
    world.handed(second)
    assert gateway_answers(world.state, world.now) is None
    put_order(world.state, replace(world.order(second), state=OrderState.UNKNOWN))
    found = gateway_answers(world.state, world.now)
    ref = world.order(second).ref
    assert found == f"orders: {ref} (BBB) has no answer at all; is a window open in the gateway?"


def test_each_condition_of_readiness_is_a_row_of_the_table_of_limits() -> None:
    """It binds every order, and names the test of a whole daemon that breaks and mends it."""
    row = certificate._row("link_is_up", "link", "It is up.", Setting("ib.port", "1"))
    assert row == Limit(
        name="link_is_up",
        does=Does.HOLDS,
        unit="link",
        text="It is up.",
        test="tests/daemon/test_readiness.py::"
        "test_what_is_broken_is_named_and_named_no_longer_when_mended[link_is_up-0]",
        settings=(Setting("ib.port", "1"),),
        binds=frozenset(Purpose),
    )
    assert [one.name for one in certificate.ROWS] == [check.__name__ for check in CERTIFICATE]

"""Readiness and liveness: each reason comes of breaking exactly one thing, and goes when it is mended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import Absence, OrderState
from longwatch.domain.state import State, put_order
from longwatch.ops import health
from longwatch.ops.runtime import Commit, RuntimeView
from tests.ops.made import NOW, READY, SESSIONS, HandClock, fold, judged, ready_state, runtime_of, trade

Break = Callable[[State, RuntimeView], None]


def _fact(fact: m.Fact) -> Break:
    return lambda state, runtime: fold([fact], state) and None


def _forget_instruments(state: State, runtime: RuntimeView) -> None:
    state.instruments.clear()


def _order_is_passed_over(state: State, runtime: RuntimeView) -> None:
    fold(trade(), state)
    order = next(iter(state.live_orders()))
    silent = replace(order, state=OrderState.UNKNOWN, handed=True, epoch=state.epoch, perm_ids=())
    put_order(state, silent)


def _forget_value(state: State, runtime: RuntimeView) -> None:
    state.valued = None


def _forget_comparison(state: State, runtime: RuntimeView) -> None:
    state.compared = None


def _journal_fails(state: State, runtime: RuntimeView) -> None:
    runtime.commit = Commit(error="disk full")


def _inbox_fills(state: State, runtime: RuntimeView) -> None:
    runtime.inbox = 50_001


BROKEN: dict[str, tuple[Break, str]] = {
    "link_is_up": (_fact(m.LinkMoved(link=m.Link.SYNCING, reason="", tech=NOW)), "link: syncing"),
    "backend_is_up": (_fact(m.BackendMoved(up=False, tech=NOW)), "backend:"),
    "farms_are_up": (_fact(m.FarmMoved(farm="usfarm", up=False, tech=NOW)), "farms: usfarm broken"),
    "account_is_fresh": (
        _fact(m.SnapshotFailed(failures=(("positions", "no end mark"),), tech=NOW)),
        "account: the last download failed (positions: no end mark)",
    ),
    "gateway_answers": (_order_is_passed_over, "orders: "),
    "cash_is_known": (_forget_value, "cash:"),
    "clock_is_right": (_fact(m.ClockChecked(skew_seconds=-61.0, tech=NOW)), "clock: -61.0 s"),
    "instruments_are_known": (_forget_instruments, "instruments:"),
    "book_is_reconciled": (_forget_comparison, "book: not yet compared"),
    "data_are_judged": (
        _fact(m.DataJudged(session=date(2007, 1, 3), judged=(judged("AAPL"),))),
        "data: judged up to 2007-01-03, 1 sessions behind",
    ),
    "something_is_tradable": (
        _fact(m.DataJudged(session=date(2007, 1, 4), judged=(judged("AAPL", "a hole"), judged("MSFT", "stale")))),
        "data: every symbol is flawed (AAPL: a hole)",
    ),
    "inbox_is_taken": (_inbox_fills, "inbox: 50001 events wait, over 50000"),
    "journal_is_writable": (_journal_fails, "journal: disk full"),
    "nothing_is_halted": (
        _fact(m.VerbSet(verb=m.Verb.HALT, on=True, by="uid 1000", reason="wrong prices")),
        "verb: halted by uid 1000 (wrong prices)",
    ),
}


def test_a_daemon_with_nothing_against_it_is_ready() -> None:
    """With every check satisfied there is no reason at all."""
    assert health.readyz(ready_state(), runtime_of(HandClock())) == []


def test_a_daemon_that_is_still_starting_is_not_ready_whatever_its_journal_says() -> None:
    """The state folded from a journal says of the link what was true of the process that wrote it."""
    state, runtime = ready_state(), runtime_of(HandClock())
    runtime.starting = "the strategies are loading"
    assert health.readyz(state, runtime) == ["start: the strategies are loading"]


def test_every_readiness_check_has_a_way_to_be_broken_here() -> None:
    """The table below is total over READINESS, the order gate's own checks first."""
    assert set(BROKEN) == set(health.READINESS)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_breaking_one_thing_gives_its_reason(name: str) -> None:
    """The check named finds its own trouble, in words that say which."""
    state, runtime = ready_state(), runtime_of(HandClock())
    damage, expected = BROKEN[name]
    damage(state, runtime)
    reason = health.readiness_of(state, runtime)[name]
    assert reason is not None
    assert reason.startswith(expected)
    assert [other for other, why in health.readiness_of(state, runtime).items() if why and other != name] == []


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_mending_it_clears_the_reason(name: str) -> None:
    """The facts of a good start, folded again, leave no reason standing; a gateway that was silent has answered."""
    state, runtime = ready_state(), runtime_of(HandClock())
    BROKEN[name][0](state, runtime)
    runtime.commit, runtime.inbox = Commit(), 0
    mended = (
        *READY,
        *(m.AbsenceNoted(intent=o.intent, absence=Absence(since=NOW, answered=True)) for o in state.live_orders()),
        m.BackendMoved(up=True, tech=NOW),
        m.VerbSet(verb=m.Verb.HALT, on=False, by="uid 1000", reason=""),
    )
    assert health.readyz(fold(mended, state), runtime) == []


def test_an_account_read_too_long_ago_is_a_reason() -> None:
    """Readiness expires: nobody has to notice for the gate to close."""
    clock = HandClock()
    state, runtime = ready_state(), runtime_of(clock)
    clock.pass_seconds(181)
    assert health.readiness_of(state, runtime)["account_is_fresh"] == "account: last read 181 s ago, over 180 s"


def test_data_are_given_until_the_next_open_to_be_refreshed() -> None:
    """Between a close and the next open the judgement still stands; a minute into the next session it does not."""
    clock = HandClock()
    state, runtime = ready_state(), runtime_of(clock)
    check = health.READINESS["data_are_judged"]
    clock.pass_seconds((SESSIONS[3].open_at - NOW).total_seconds() - 1)
    assert check(state, runtime) is None
    clock.pass_seconds(60)
    assert check(state, runtime) == "data: judged up to 2007-01-04, 1 sessions behind"
    state.settings = replace(state.settings, stale_sessions=1, max_weight=Decimal(1))
    assert check(state, runtime) is None


def test_data_never_judged_is_a_reason() -> None:
    """A daemon that has not looked at its data is not ready."""
    state = fold(fact for fact in READY if not isinstance(fact, m.DataJudged))
    assert health.readyz(state, runtime_of(HandClock())) == ["data: not yet judged"]


def test_one_flawed_symbol_leaves_the_rest_tradable() -> None:
    """A flaw stops its own symbol only."""
    state = fold(
        [m.DataJudged(session=date(2007, 1, 4), judged=(judged("AAPL", "a hole"), judged("MSFT")))], ready_state()
    )
    assert health.readyz(state, runtime_of(HandClock())) == []


def test_a_loop_that_stands_still_is_not_alive() -> None:
    """Ten seconds without a turn, or a journal that can't be written, are reasons against life."""
    clock = HandClock()
    state, runtime = ready_state(), runtime_of(clock)
    assert health.livez(state, runtime) == []
    clock.pass_seconds(11)
    runtime.commit = Commit(error="disk full")
    assert health.livez(state, runtime) == ["loop: last turned 11 s ago", "journal: disk full"]
    runtime.turned_at = None
    assert health.livez(state, runtime)[0] == "loop: has not turned yet"
    runtime.turned_at, runtime.commit = NOW + timedelta(seconds=11), Commit()
    assert health.livez(state, runtime) == []

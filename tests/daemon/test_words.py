"""What a person's words about orders do in a whole daemon: holds, breakers, resolutions, and honest answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.errors import UsageError
from longwatch.gateway.exchange.orders import Ticket
from longwatch.ops.tables import status_text
from tests.daemon.bench import DAY, HOUR, MINUTE, SYMBOLS, Scene, on_bench, plan


async def refused(scene: Scene, command: str, argument: str = "", reason: str = "a test") -> str:
    """The one sentence that refuses a command."""
    with pytest.raises(UsageError) as told:
        await scene.ask(command, argument, reason)
    return str(told.value)


def test_a_name_that_nobody_knows_is_one_clear_sentence(tmp_path: Path) -> None:
    """And the exit code of wrong usage, not "done"."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert "no live order is called XYZ" in await refused(scene, "cancel", "XYZ")
        assert "no order in AAPL is live" in await refused(scene, "cancel", "AAPL")
        assert "is filled: there is nothing left to cancel" in await refused(scene, "cancel", "1")
        assert "the account holds no XYZ beside ours" in await refused(scene, "adopt", "XYZ")
        assert "XYZ is not quarantined" in await refused(scene, "unquarantine", "XYZ")
        assert "no order in XYZ is held back" in await refused(scene, "resume", "XYZ")
        assert "no order is called 77" in await refused(scene, "resolve", "77 absent")
        assert "is filled: only an order whose outcome is unknown" in await refused(scene, "resolve", "1 absent")
        assert UsageError.exit_code == 64
        assert (await scene.ask("cancel", "all"))["ok"]

    on_bench(story, tmp_path)


def cancels_all_that_comes(scene: Scene) -> Callable[[], None]:
    """A person, or a rule, at the broker cancels every order the moment it is there; call what is returned to stop."""
    exchange = scene.gateway.desk.exchange
    place = exchange.place

    def place_and_cancel(ticket: Ticket) -> None:
        place(ticket)
        exchange.cancel_all()

    def stop() -> None:
        exchange.place = place  # type: ignore[method-assign]

    exchange.place = place_and_cancel  # type: ignore[method-assign]
    return stop


def test_A23_an_order_cancelled_at_the_broker_is_not_sent_again_before_the_next_sessions_decision(
    tmp_path: Path,
) -> None:
    """A second look the same day leaves it and says so; the next day's decision buys it."""

    async def story(scene: Scene) -> None:
        stop = cancels_all_that_comes(scene)
        scene.start()
        await scene.traded()
        assert [order.state for order in scene.orders()] == [OrderState.CANCELLED] * 2
        stop()
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2
        assert scene.refused() == {"AAPL": "breaker", "IBM": "breaker"}
        assert sum("not sent again before the next session's decision" in text for text in scene.alerts()) == 2
        assert all("`longwatch resume" in row["next"] for row in scene.status()["orders"])
        await scene.traded(decisions=3)
        assert {order.symbol: order.state for order in scene.orders()[2:]} == {
            "AAPL": OrderState.FILLED,
            "IBM": OrderState.FILLED,
        }

    on_bench(story, tmp_path)


def test_A23_what_a_person_cancels_is_not_sent_again_until_the_next_session_or_their_word(tmp_path: Path) -> None:
    """`longwatch cancel all`, a second look, then `resume AAPL` and a third: AAPL alone is sent."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.orders()) == 2, what="the orders")
        await scene.ask("cancel", "all")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert not any(order.filled for order in scene.orders())
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2
        await scene.ask("resume", "AAPL")
        await scene.run_job("rebalance")
        assert [order.symbol for order in scene.orders()[2:]] == ["AAPL"]

    on_bench(story, tmp_path)


def test_A23_a_broker_that_keeps_cancelling_is_tried_three_times_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Three days, three orders; on the fourth the breaker refuses, also in a daemon started anew; a word lifts it."""

    async def story(scene: Scene) -> None:
        cancels_all_that_comes(scene)
        scene.start()
        for day in (1, 2, 3):
            await scene.traded(decisions=day)
        await scene.stop()
        scene.start()
        over_the_weekend = 4 * DAY
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) == 4, seconds=over_the_weekend)
        assert [order.state for order in scene.orders()] == [OrderState.CANCELLED] * 3
        assert scene.refused() == {"AAPL": "breaker"}
        (row,) = scene.status()["breakers"]
        assert (row["symbol"], row["times"], row["trips"]) == ("AAPL", 3, 1)
        assert "3 times" in row["text"] and "`longwatch resume AAPL`" in row["text"]
        assert "AAPL: cancelled at the broker 3 times" in status_text(scene.status())
        await scene.ask("resume", "AAPL")
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 4

    trading = {"strategies": [plan({"AAPL": 0.2})], "risk": {"max_weight": 0.5, "breaker_wait_minutes": 10_000}}
    on_bench(story, tmp_path, trading)


def test_A21_a_flatten_that_the_broker_keeps_cancelling_is_no_storm(tmp_path: Path) -> None:
    """Three closing orders, an alert, then an hour's wait; the next one the broker lets be, and it sells."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        stop = cancels_all_that_comes(scene)
        before = len(scene.orders())
        await scene.ask("flatten")
        await asyncio.sleep(50 * MINUTE)
        assert len(scene.orders()) == before + 3
        assert any("3 times" in text and "`longwatch resume AAPL`" in text for text in scene.alerts())
        stop()
        held = scene.truly_held("AAPL")
        await scene.until(lambda: scene.truly_held("AAPL") < held, seconds=2 * HOUR, what="a sale")
        assert len(scene.orders()) == before + 4

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.2})]})


def test_flatten_says_what_blocks_it(tmp_path: Path) -> None:
    """Halted: nothing goes, and it is not called done; a quarantined instrument is named; else how many are closed."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.ask("halt")
        halted = await scene.ask("flatten")
        assert (halted["ok"], halted["exit_code"]) == (False, 1)
        assert "a halt is on" in halted["text"] and "`longwatch resume`" in halted["text"]
        await scene.ask("resume")
        held = m.MessageUndecodable(
            at=scene.bench.clock.market(),
            tech=scene.bench.clock.technical(),
            message_id=11,
            raw=(),
            reason="a field is missing",
            con_id=SYMBOLS["AAPL"],
        )
        scene.daemon.inbox.put(held)
        told = await scene.ask("flatten")
        assert told["ok"] and "1 of 2 positions are being closed" in told["text"]
        assert "AAPL stay: quarantined" in told["text"] and "`longwatch unquarantine AAPL`" in told["text"]
        await scene.until(lambda: not scene.truly_held("IBM"), what="the sale of IBM")

    on_bench(story, tmp_path)


def test_a_person_settles_what_nobody_can_tell(tmp_path: Path) -> None:
    """An order whose acknowledgement never comes is unknown; said to be cancelled it ends, but its fill counts more."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = lambda name, values: name not in ("openOrder", "orderStatus", "execDetails")
        scene.start()
        await scene.until(lambda: scene.state.live and all(o.state is OrderState.UNKNOWN for o in scene.orders()))
        (order,) = scene.orders()
        told = await scene.ask("resolve", f"{order.intent} cancelled", "the broker said so on the telephone")
        assert "is cancelled, 0 filled" in told["text"]
        (fact,) = scene.facts(m.OrderResolved)
        assert (fact.by, fact.reason) == ("uid 1000", "the broker said so on the telephone")
        scene.gateway.faults.clear()
        await scene.ask("reconcile")
        await scene.until(lambda: scene.state.quarantines, what="the contradiction")
        assert any("was resolved as cancelled by uid 1000, yet the broker says" in text for text in scene.alerts())
        await scene.until(lambda: scene.held("AAPL") == scene.truly_held("AAPL") > 0, what="the truth")

    on_bench(story, tmp_path, {"strategies": [plan({"AAPL": 0.2})]})

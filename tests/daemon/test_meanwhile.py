"""What happens at the broker while no daemon runs is known once one does: orders, fills, corrections, commissions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.events import Event
from tests.daemon.bench import HOUR, MINUTE, Scene, on_bench, plan
from tests.daemon.test_modify import at_broker, kill, order, played, working

ONE = {"strategies": [plan({"AAPL": 0.1})]}
CENT = Decimal("0.01")


async def gone(scene: Scene, *, killed: bool) -> None:
    """The daemon ends, drained or killed."""
    if killed:
        await kill(scene)
    else:
        await scene.stop()


async def back(scene: Scene) -> None:
    """The next daemon has read the account, and everything has settled."""
    runs = scene.state.runs
    scene.start()
    ready = lambda: scene.state.runs == runs + 1 and scene.state.link is Link.READY  # noqa: E731
    await scene.until(ready, seconds=2 * HOUR, what="the link")
    await asyncio.sleep(2 * MINUTE)
    await scene.settled()


def reprice(scene: Scene, price: Decimal) -> None:
    """The resting order gets another price at the gateway, as its owner may give it there."""
    ticket = at_broker(scene).ticket
    scene.gateway.desk.exchange.place(replace(ticket, limit=price))


@pytest.mark.parametrize("killed", [False, True], ids=["drained", "killed"])
def test_an_order_that_fills_meanwhile_is_booked_with_its_commission(killed: bool, tmp_path: Path) -> None:
    """From the day's executions and completed orders: once, at the price it had, filled and not sent again."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        await gone(scene, killed=killed)
        reprice(scene, (low * Decimal("1.05")).quantize(CENT))
        await asyncio.sleep(HOUR)
        assert not at_broker(scene).is_live
        await back(scene)
        mine, theirs = order(scene), at_broker(scene)
        assert (mine.state, mine.filled) == (OrderState.FILLED, theirs.filled)
        assert mine.average_price == theirs.spent / theirs.filled
        assert mine.commission == theirs.commission > 0
        assert scene.held("AAPL") == scene.truly_held("AAPL") == theirs.filled
        assert len(scene.orders()) == 1 and scene.reasons() == [] and not scene.state.quarantines

    played(story, tmp_path)


@pytest.mark.parametrize("killed", [False, True], ids=["drained", "killed"])
def test_an_order_that_is_cancelled_meanwhile_has_ended_and_is_not_sent_again(killed: bool, tmp_path: Path) -> None:
    """By the completed orders; as while it runs, nothing like it is sent before the next session."""

    async def story(scene: Scene) -> None:
        await working(scene)
        await gone(scene, killed=killed)
        ticket = at_broker(scene).ticket
        scene.gateway.desk.exchange.cancel(ticket.client_id, ticket.order_id)
        await asyncio.sleep(10 * MINUTE)
        await back(scene)
        assert order(scene).state is OrderState.CANCELLED
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 1 and scene.refused() == {"AAPL": "breaker"}

    played(story, tmp_path)


def test_an_order_whose_session_ends_meanwhile_has_expired(tmp_path: Path) -> None:
    """Stopped over the close, started in the night: the DAY order has ended, and the next session decides anew."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        await scene.ask("modify", f"1 - {(low * Decimal('0.94')).quantize(CENT)} -")
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="a price out of reach")
        await gone(scene, killed=True)
        await scene.till(23, 0)
        await back(scene)
        assert order(scene).state is OrderState.EXPIRED and order(scene).remaining == 0
        assert scene.reasons() == [] and not scene.state.quarantines
        await scene.until(lambda: len(scene.orders()) == 2, what="the next session's order")

    played(story, tmp_path)


def test_terms_set_by_hand_meanwhile_are_those_that_count(tmp_path: Path) -> None:
    """The download at the start shows the order otherwise than it was left."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        await gone(scene, killed=True)
        reprice(scene, low - 1)
        await asyncio.sleep(MINUTE)
        await back(scene)
        assert order(scene).state is OrderState.WORKING and order(scene).limit_price == low - 1
        assert any("which nobody here has asked for" in text for text in scene.alerts())

    played(story, tmp_path)


@pytest.mark.parametrize("killed", [False, True], ids=["drained", "killed"])
def test_A15_a_fill_that_is_corrected_meanwhile_has_its_new_price(killed: bool, tmp_path: Path) -> None:
    """The day's executions show its revision: it takes the place of the first, in shares, price and commission."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        before = order(scene)
        await asyncio.sleep(MINUTE)
        await gone(scene, killed=killed)
        price = (before.average_price + 1).quantize(CENT)
        scene.gateway.events.happen(Event(kind="correction", symbol="AAPL", price=price))
        await asyncio.sleep(MINUTE)
        await back(scene)
        after, theirs = order(scene), at_broker(scene)
        assert after.average_price > before.average_price
        assert (after.filled, after.average_price) == (before.filled, theirs.spent / theirs.filled)
        assert after.commission == theirs.commission
        assert scene.held("AAPL") == scene.truly_held("AAPL") == before.filled
        assert scene.reasons() == [] and not scene.state.quarantines

    on_bench(story, tmp_path, ONE)


@pytest.mark.parametrize("told_again", [True, False], ids=["with the executions", "never"])
def test_a_commission_that_comes_while_nobody_listens_is_booked_or_missing_and_holds_nothing_up(
    told_again: bool, tmp_path: Path
) -> None:
    """The fills were booked without; a gateway that tells commissions with a download makes them good, one that does
    not leaves them missing, and the order filled all the same."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.commission_seconds = 600
        scene.start()
        await scene.traded()
        assert order(scene).commission == 0
        await gone(scene, killed=True)
        await asyncio.sleep(HOUR)
        await back(scene)
        assert order(scene).state is OrderState.FILLED
        assert (order(scene).commission == at_broker(scene).commission > 0) == told_again
        missing = [exec_id for exec_id in scene.state.fills if exec_id not in scene.state.commissions]
        assert bool(missing) == (not told_again)
        assert scene.reasons() == []

    on_bench(story, tmp_path, ONE, conduct=Conduct(replays_commissions=told_again))


def test_a_fill_of_a_day_that_is_over_before_anybody_asks_holds_its_instrument_until_it_is_explained(
    tmp_path: Path,
) -> None:
    """A broker shows executions since midnight: of yesterday's there is only the position. Nothing is traded on a
    guess, nothing is bought a second time, and a person is told."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        wanted = order(scene).quantity
        await gone(scene, killed=True)
        reprice(scene, (low * Decimal("1.05")).quantize(CENT))
        await scene.till(23, 0)
        await scene.till(13, 0)
        assert scene.truly_held("AAPL") == wanted
        await back(scene)
        await scene.till(15, 30)
        assert scene.truly_held("AAPL") == wanted, "bought again"
        assert order(scene).state is OrderState.UNKNOWN and 265598 in scene.state.quarantines
        assert any("longwatch resolve" in text for text in scene.alerts())
        assert (await scene.ask("resolve", f"1 filled - {low}", "the statement"))["ok"]
        await asyncio.sleep(5 * MINUTE)
        assert order(scene).state is OrderState.FILLED and scene.held("AAPL") == wanted
        assert not scene.state.quarantines
        assert len(scene.facts(m.OrderIntended)) == 1

    played(story, tmp_path)

"""A working order on new terms, in a whole daemon, judged by the gateway's own books: one order, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.messages import Link
from longwatch.domain.orders import Order, OrderState
from longwatch.errors import UsageError
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.orders import Order as AtBroker
from tests.daemon.bench import HOUR, MINUTE, Scene, on_bench, plan

RESTING = {
    "strategies": [plan({"AAPL": 0.1})],
    "execution": {"limit_from": "mid", "limit_offset_bps": 0},
    "risk": {"max_weight": 0.2, "max_order_value": 10_000_000},
}
"""A limit at the mid waits for a while; these tests put it out of reach before."""
UNANSWERED = {"openOrder", "orderStatus"}


def order(scene: Scene) -> Order:
    return scene.orders()[0]


def at_broker(scene: Scene) -> AtBroker:
    """The one order there is in the gateway's books."""
    book = scene.gateway.desk.exchange.book
    (one,) = [*book.live(), *book.ended()]
    return one


def agrees(scene: Scene) -> None:
    """One order under one permId, and its terms and fills as the gateway has them."""
    mine, theirs = order(scene), at_broker(scene)
    assert mine.perm_ids == (theirs.perm_id,)
    assert (mine.quantity, mine.limit_price) == (theirs.ticket.quantity, theirs.ticket.limit)
    assert mine.filled == theirs.filled == scene.held("AAPL") == scene.truly_held("AAPL")
    assert len(scene.orders()) == 1


async def working(scene: Scene) -> Decimal:
    """The order rests, three per cent below the market; that price."""
    scene.start()
    await scene.until(lambda: any(one.state is OrderState.WORKING for one in scene.orders()), what="a working order")
    low = (order(scene).decision_price * Decimal("0.97")).quantize(Decimal("0.01"))
    reply = await scene.ask("modify", f"1 - {low} -")
    assert reply["ok"], reply
    await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="the first modification")
    assert order(scene).filled == 0 and order(scene).limit_price == low
    agrees(scene)
    return low


async def kill(scene: Scene) -> None:
    """As a killed process: its sockets are reset, and nothing is told to anybody."""
    assert scene.task is not None
    for link in scene.bench.network.links:
        link.reset()
    scene.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await scene.task
    scene.task = None


def played(story: Callable[[Scene], Awaitable[None]], folder: Path, **changes: Any) -> None:
    on_bench(story, folder, RESTING | changes)


def test_a_working_order_is_modified_at_the_broker_and_fills_on_its_new_terms(tmp_path: Path) -> None:
    """Fewer shares at a price that can be had: under the same id and permId, shown by openOrder, then filled."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        wanted = order(scene).quantity - 100
        reply = await scene.ask("modify", f"1 {wanted} {low + 1} -")
        assert reply["ok"] and "asked of the broker" in reply["text"]
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="the broker's word")
        assert (order(scene).quantity, order(scene).limit_price) == (wanted, low + 1)
        agrees(scene)
        far = (order(scene).decision_price * Decimal("1.02")).quantize(Decimal("0.01"))
        assert (await scene.ask("modify", f"{order(scene).ref} - {far} -"))["ok"]
        await scene.until(lambda: not scene.state.live, seconds=6 * HOUR, what="the fill")
        assert (order(scene).state, order(scene).filled) == (OrderState.FILLED, wanted)
        agrees(scene)
        assert [fact.change.number for fact in scene.facts(m.OrderChangeAsked)] == [1, 2, 3]
        assert scene.reasons() == []

    played(story, tmp_path)


def test_what_the_broker_refuses_leaves_the_order_and_is_told(tmp_path: Path) -> None:
    """Cash left the account and we have not read it since: our checks let it through, the gateway's margin does not."""

    async def story(scene: Scene) -> None:
        await working(scene)
        former = order(scene).terms
        scene.gateway.events.happen(Event(kind="cash", amount=Decimal(-900_000)))
        reply = await scene.ask("modify", f"1 {former[0] * 2} - -")
        assert reply["ok"], reply
        await scene.until(lambda: order(scene).change is None, seconds=5 * MINUTE, what="the former terms")
        assert order(scene).terms == former and order(scene).state is OrderState.WORKING
        agrees(scene)
        assert any("201" in text for text in scene.alerts())

    played(story, tmp_path, risk={"max_weight": 1, "max_order_value": 1_000_000})


def test_the_checks_refuse_by_name_what_they_would_refuse_of_a_new_order(tmp_path: Path) -> None:
    """Nothing is sent; the reply says which limit, and what can't be asked at all is one sentence."""

    async def story(scene: Scene) -> None:
        await working(scene)
        quantity = order(scene).quantity
        reply = await scene.ask("modify", f"1 {quantity * 3} - -")
        assert not reply["ok"] and "max_weight" in reply["text"]
        reply = await scene.ask("modify", f"1 - {order(scene).decision_price * 2} -")
        assert not reply["ok"] and "price_band" in reply["text"]
        assert [fact.check for fact in scene.facts(m.TradeRefused)] == ["max_weight", "price_band"]
        for words, why in ((f"1 {quantity} - -", "has these terms"), ("9 5 - -", "no order is called 9")):
            with pytest.raises(UsageError, match=why):
                await scene.ask("modify", words)
        await scene.ask("cancel", "1")
        await scene.until(lambda: not scene.state.live, seconds=MINUTE, what="the end")
        with pytest.raises(UsageError, match="is cancelled: only a working order can be modified"):
            await scene.ask("modify", "1 5 - -")
        assert at_broker(scene).revision == 1

    played(story, tmp_path)


@pytest.mark.parametrize("cut", ["unread", "taken"])
def test_A02_a_link_lost_in_the_midst_leaves_both_terms_to_count_until_one_is_shown(cut: str, tmp_path: Path) -> None:
    """Whether the gateway had read the message or not: never sent again, and never a second order."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        former = order(scene).quantity
        scene.gateway.faults.cut_at_order = cut
        assert (await scene.ask("modify", f"1 {former + 50} {low - 1} -"))["ok"]
        await scene.until(lambda: scene.state.link is not Link.READY, seconds=MINUTE, what="the cut")
        assert order(scene).change is not None and order(scene).remaining == former + 50
        assert order(scene).worst_price == low
        await scene.until(lambda: order(scene).change is None, seconds=HOUR, what="the broker's word")
        expected = (former + 50, low - 1) if cut == "taken" else (former, low)
        assert (order(scene).quantity, order(scene).limit_price) == expected
        agrees(scene)
        assert len(scene.facts(m.OrderChangeAsked)) == 2
        reply = await scene.ask("modify", f"1 {former - 50} - -")
        assert reply["ok"], reply
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="another modification")
        agrees(scene)

    played(story, tmp_path)


def test_silence_is_told_and_a_later_download_says_which_terms_are_in_force(tmp_path: Path) -> None:
    """The gateway takes the modification and says nothing of it, as it says nothing of one it has not taken."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        scene.gateway.faults.withhold = set(UNANSWERED)
        assert (await scene.ask("modify", f"1 - {low - 1} -"))["ok"]
        await asyncio.sleep(5)
        assert order(scene).change is not None
        scene.gateway.faults.withhold = set()
        await scene.until(lambda: order(scene).change is None, seconds=10 * MINUTE, what="the broker's word")
        assert any("was not answered in time" in text for text in scene.alerts())
        assert order(scene).limit_price == low - 1
        agrees(scene)

    played(story, tmp_path)


@pytest.mark.parametrize("meanwhile", ["link lost", "killed"])
def test_A10_a_modification_refused_after_a_window_ends_no_order_and_never_makes_two(
    meanwhile: str, tmp_path: Path
) -> None:
    """It waits behind the window over a lost link or a restart; the 201 then comes as if of a new order.

    The first order works at the broker on its former terms. A decision right after the 201, which a person's quantity
    no longer holds back, counts it as large as it may be, and sends another only once its cancel is confirmed.
    """

    async def story(scene: Scene) -> None:
        await working(scene)
        former, desk, epoch = order(scene).terms, scene.gateway.desk, scene.state.epoch
        desk.faults.dialog = True
        assert (await scene.ask("modify", f"1 {former[0] * 2} - -"))["ok"]
        await asyncio.sleep(20)
        assert order(scene).change is not None and order(scene).change.handed
        if meanwhile == "killed":
            await kill(scene)
            scene.start()
        else:
            for connection in list(desk.connections):
                connection.abort()
        await scene.until(lambda: scene.state.epoch > epoch and scene.state.link is Link.READY, what="the link")
        await asyncio.sleep(2)
        scene.gateway.events.happen(Event(kind="cash", amount=Decimal(-900_000)))
        assert (await scene.ask("resume", "AAPL"))["ok"]
        desk.close_dialog()
        await scene.until(lambda: [one for one in scene.events(m.OrderErrorSeen) if one.code == 201], what="the 201")
        scene.gateway.events.happen(Event(kind="cash", amount=Decimal(900_000)))
        await scene.run_job("rebalance")
        await asyncio.sleep(5)
        await scene.until(lambda: all(one.change is None for one in scene.orders()), seconds=HOUR, what="its terms")
        (theirs,) = desk.exchange.book.live()
        (mine,) = scene.state.live_orders()
        assert (mine.perm_ids, mine.quantity) == ((theirs.perm_id,), theirs.ticket.quantity)
        assert mine.quantity == former[0]
        assert OrderState.REJECTED not in {one.state for one in scene.orders()}

    played(story, tmp_path, risk={"max_weight": 1, "max_order_value": 1_000_000})


@pytest.mark.parametrize("meanwhile", ["nothing", "link lost", "killed"])
def test_A10_a_modification_behind_a_window_counts_and_no_order_leaves_until_it_is_closed(
    meanwhile: str, tmp_path: Path
) -> None:
    """Downloads go on and list the former terms; once the window is closed, the new ones are in force."""

    async def story(scene: Scene) -> None:
        await working(scene)
        former, desk = order(scene).quantity, scene.gateway.desk
        desk.faults.dialog = True
        assert (await scene.ask("modify", f"1 {former + 200} - -"))["ok"]
        await asyncio.sleep(5 * MINUTE)
        epoch = scene.state.epoch
        if meanwhile == "killed":
            await kill(scene)
            scene.start()
        elif meanwhile == "link lost":
            for connection in list(desk.connections):
                connection.abort()
        await scene.until(
            lambda: meanwhile == "nothing" or (scene.state.epoch > epoch and scene.state.link is Link.READY),
            what="the link",
        )
        for _ in range(4):
            await asyncio.sleep(2 * MINUTE)
            assert order(scene).change is not None and order(scene).at_most == former + 200
            (shut,) = scene.reasons()
            assert "was modified, without an answer" in shut
        await scene.run_job("signals")
        await scene.run_job("rebalance")
        await asyncio.sleep(MINUTE)
        assert len([*desk.exchange.book.live(), *desk.exchange.book.ended()]) == 1
        desk.close_dialog()
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="the broker's word")
        assert order(scene).quantity == former + 200 and scene.reasons() == []
        agrees(scene)
        told = " ".join(scene.alerts())
        assert "which nobody here has asked for" not in told and "came to nothing" not in told
        assert "on order id" not in told

    both = plan({"AAPL": 0.1}, {"AAPL": 0.1, "GOOG": 0.05})
    played(story, tmp_path, strategies=[both])


def test_a_modification_that_crosses_with_fills_never_leaves_more_or_less_than_the_broker_has(tmp_path: Path) -> None:
    """Made smaller just above what had filled when it was asked for: refused or not, both books end alike."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: any(one.filled for one in scene.orders()), what="the first fill")
        asked = order(scene).filled + 1
        assert asked < order(scene).quantity
        assert (await scene.ask("modify", f"1 {asked} - -"))["ok"]
        await scene.until(lambda: not scene.state.live, seconds=6 * HOUR, what="the end")
        assert order(scene).state is OrderState.FILLED
        assert order(scene).filled == at_broker(scene).filled == scene.truly_held("AAPL") == scene.held("AAPL")
        assert scene.state.compared is not None and not scene.state.quarantines

    large = {"strategies": [plan({"AAPL": 0.9})], "execution": {}, "risk": RESTING["risk"] | {"max_weight": 1}}
    played(story, tmp_path, **large)


@pytest.mark.parametrize("midst", [False, True], ids=["at rest", "in the midst"])
def test_A07_orders_of_the_last_run_are_known_modifiable_and_cancellable(midst: bool, tmp_path: Path) -> None:
    """Killed with an order at work, or between a modification's fact and its answer; the next daemon goes on."""

    async def story(scene: Scene) -> None:
        low = await working(scene)
        former = order(scene).quantity
        if midst:
            reply = asyncio.ensure_future(scene.ask("modify", f"1 {former + 10} - -"))
            await scene.until(lambda: order(scene).change is not None, seconds=MINUTE, what="the fact")
            reply.cancel()
        await kill(scene)
        await asyncio.sleep(30)
        scene.start()
        await scene.until(lambda: scene.state.runs == 2 and scene.state.link is Link.READY, what="the link")
        assert order(scene).state is OrderState.WORKING
        await scene.until(lambda: order(scene).change is None, seconds=HOUR, what="the terms in force")
        agrees(scene)
        assert (await scene.ask("modify", f"1 {former - 20} {low - 1} -"))["ok"]
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="the broker's word")
        assert (order(scene).quantity, order(scene).limit_price) == (former - 20, low - 1)
        agrees(scene)
        assert (await scene.ask("cancel", "1"))["ok"]
        await scene.until(lambda: not scene.state.live, seconds=MINUTE, what="the end")
        assert order(scene).state is OrderState.CANCELLED and not at_broker(scene).is_live

    played(story, tmp_path)


def test_terms_that_somebody_sets_in_tws_are_taken_over_and_told(tmp_path: Path) -> None:
    """The owner changes our order by hand: it counts as the broker shows it."""

    async def story(scene: Scene) -> None:
        await working(scene)
        book = scene.gateway.desk.exchange
        theirs = at_broker(scene)
        ticket = theirs.ticket
        book.place(replace(ticket, quantity=ticket.quantity + 5))
        await scene.until(lambda: order(scene).quantity == ticket.quantity + 5, seconds=MINUTE, what="their terms")
        agrees(scene)
        assert any("which nobody here has asked for" in text for text in scene.alerts())

    played(story, tmp_path)


def test_a_stop_is_not_moved_to_where_it_would_be_triggered_at_once(tmp_path: Path) -> None:
    """stop_side: a buy's stop below the ask is refused by name and the order rests as it was; above it, it moves."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(
            lambda: any(one.state is OrderState.WORKING for one in scene.orders()), what="a working order"
        )
        former = order(scene).stop_price
        low = (order(scene).decision_price * Decimal("0.99")).quantize(Decimal("0.01"))
        reply = await scene.ask("modify", f"1 - - {low}")
        assert not reply["ok"] and scene.refused() == {"AAPL": "stop_side"}
        assert order(scene).stop_price == at_broker(scene).ticket.stop == former
        high = (order(scene).decision_price * Decimal("1.05")).quantize(Decimal("0.01"))
        assert (await scene.ask("modify", f"1 - - {high}"))["ok"]
        await scene.until(lambda: order(scene).change is None, seconds=MINUTE, what="the modification")
        assert order(scene).stop_price == at_broker(scene).ticket.stop == high

    stop = {"order_type": "STP", "stop_offset_bps": 300}
    played(story, tmp_path, execution=stop)

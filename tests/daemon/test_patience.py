"""Time-outs, children and the closing auction in a whole daemon, judged by the gateway's own books."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState, OrderType
from tests.daemon.bench import HOUR, Scene, on_bench, plan

LATE = {"reconcile": "every 1 min during the session", "rebalance": "16 minutes before the close"}
"""A limit at the mid is not filled in the minute that it has before the quarter of an hour."""
LARGE = plan({"AAPL": 0.45, "IBM": 0.45})


def families_are_one_at_a_time(scene: Scene) -> None:
    """In the journal's order: no child is intended while its parent lives."""
    ended: set[int] = set()
    for _, what in scene.steps:
        for fact in what.facts:
            if isinstance(fact, m.OrderMoved) and fact.state is OrderState.CANCELLED:
                ended.add(fact.intent)
            if isinstance(fact, m.OrderIntended) and fact.order.replaces is not None:
                assert fact.order.replaces in ended


def test_what_is_not_filled_in_time_is_cancelled_and_its_rest_sent_anew(tmp_path: Path) -> None:
    """At the mid nobody sells at once: child after child at a fresh price, never more bought than was wanted."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.facts(m.RebalanceDecided)) > 6, seconds=30 * HOUR, what="children")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        children = [order for order in scene.orders() if order.replaces is not None]
        assert children and max(order.replacement for order in children) <= 5
        families_are_one_at_a_time(scene)
        first = {order.symbol: order.quantity for order in reversed(scene.orders()) if order.replaces is None}
        for symbol, wanted in first.items():
            assert scene.held(symbol) == scene.truly_held(symbol) <= wanted
        assert all(count == 1 for count in Counter(order.ref for order in scene.orders()).values())

    patient = {"working_seconds": 20, "replacements": 5, "limit_from": "mid", "limit_offset_bps": 0}
    on_bench(story, tmp_path, {"strategies": [LARGE], "execution": patient})


def test_what_still_works_before_the_close_is_filled_in_its_auction(tmp_path: Path) -> None:
    """The limit is cancelled a quarter of an hour before, the rest goes out as MOC and fills at the close."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        wanted = {order.symbol: order.quantity for order in scene.orders()}
        await scene.till(21, 5)
        auction = [order for order in scene.orders() if order.order_type is OrderType.AT_CLOSE]
        assert auction and all(order.replaces is not None for order in auction)
        families_are_one_at_a_time(scene)
        for order in auction:
            assert order.filled > 0, order
            assert scene.held(order.symbol) == scene.truly_held(order.symbol) <= wanted[order.symbol]

    late = {"at_close": "moc", "limit_from": "mid", "limit_offset_bps": 0}
    on_bench(story, tmp_path, {"strategies": [LARGE], "execution": late, "schedule": LATE})


def test_what_still_works_before_the_close_is_cancelled_and_left_for_the_next_session(tmp_path: Path) -> None:
    """No order lives over the close, and nothing is sent in the last quarter of an hour."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the rebalance")
        await scene.till(20, 58)
        late = [order for order in scene.orders() if order.cancel_reason]
        assert late and not scene.state.live
        assert {order.state for order in late} == {OrderState.CANCELLED}
        assert any("not filled before the close" in text for text in scene.alerts())
        count = len(scene.orders())
        await scene.run_job("rebalance")
        assert len(scene.orders()) == count

    early = {"at_close": "cancel", "limit_from": "mid", "limit_offset_bps": 0}
    on_bench(story, tmp_path, {"strategies": [LARGE], "execution": early, "schedule": LATE})


@pytest.mark.parametrize("kind", ["STP", "STP LMT"])
def test_a_stop_entry_waits_at_the_broker_until_the_market_comes_to_it(kind: str, tmp_path: Path) -> None:
    """A few basis points above the ask: held as PreSubmitted, triggered by the market, filled beyond the stop."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: len(scene.orders()) == 2, what="the orders")
        sent = {order.symbol: order for order in scene.orders()}
        assert {order.order_type.value for order in sent.values()} == {kind}
        await scene.until(lambda: not scene.state.live, seconds=8 * HOUR, what="the end of every order")
        filled = [order for order in scene.orders() if order.filled]
        assert filled
        book = scene.gateway.desk.exchange.book
        for order in filled:
            (theirs,) = [one for one in book.ended() if one.perm_id in order.perm_ids]
            assert (theirs.ticket.order_type, theirs.ticket.stop) == (kind, order.stop_price)
            assert theirs.ticket.limit == order.limit_price
            assert order.average_price >= order.decision_price
            assert scene.held(order.symbol) == scene.truly_held(order.symbol) == order.filled
        assert {order.state for order in scene.orders()} <= {OrderState.FILLED, OrderState.EXPIRED}

    on_bench(story, tmp_path, {"execution": {"order_type": kind, "stop_offset_bps": 5, "limit_offset_bps": 100}})

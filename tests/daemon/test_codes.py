"""Codes on live orders, over the wire into a whole daemon: only what is known to end an order ends it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.broker.codes import BACKEND, CODES, FARMS, Asked, Kind, Verdict, row_of
from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.daemon.bench import Scene, market_of, on_bench, plan
from tests.daemon.test_modify import RESTING

LINK = {*BACKEND, *FARMS, *(code for code, row in CODES.items() if row.kind is Kind.SESSION_ENDS)}
NOT_FINAL = [
    *(code for code, row in CODES.items() if row.new is not Verdict.REJECTED and code not in LINK),
    99_999,
]


def test_A01_no_notice_and_no_unclear_code_ends_an_order_or_has_it_sent_again(tmp_path: Path) -> None:
    """Every code that is not a rejection, and one nobody lists, on every order: each is sent once, and fills."""

    async def story(scene: Scene) -> None:
        scene.gateway.faults.notices = tuple((code, f"said of {code}") for code in NOT_FINAL)
        scene.start()
        await scene.traded()
        heard = {event.code for event in scene.events(m.OrderErrorSeen)}
        assert heard == set(NOT_FINAL)
        assert [order.state for order in scene.orders()] == [OrderState.FILLED] * 2
        assert all(scene.held(symbol) == scene.truly_held(symbol) > 0 for symbol in ("AAPL", "IBM"))
        assert any("99999 said of 99999 (a code that is not listed)" in text for text in scene.alerts())
        await scene.run_job("rebalance")
        assert len(scene.orders()) == 2

    on_bench(story, tmp_path)


def test_a_persons_file_of_codes_is_what_the_daemon_goes_by(tmp_path: Path) -> None:
    """A code named there as a notice is no alert any more, one with a meaning is told with it."""
    codes = tmp_path / "codes.yaml"
    codes.write_text(
        "codes:\n"
        "  - {code: 99999, meaning: a remark, verdict: notice}\n"
        "  - {code: 99998, meaning: held for review, verdict: unclear, severity: critical}\n"
    )

    async def story(scene: Scene) -> None:
        scene.gateway.faults.notices = ((99_999, "one"), (99_998, "two"), (99_997, "three"))
        scene.start()
        await scene.traded()
        told = [text for text in scene.alerts() if "stays" in text]
        assert not any("99999" in text for text in told)
        assert any("99998 two (held for review)" in text for text in told)
        assert any("99997 three (a code that is not listed)" in text for text in told)
        assert [order.state for order in scene.orders()] == [OrderState.FILLED] * 2

    on_bench(story, tmp_path, {"ib": {"codes_file": str(codes)}})


ENDING = [code for code, row in CODES.items() if row.new is Verdict.REJECTED]


def say(scene: Scene, intent: int, code: int) -> None:
    """The gateway sends message 4 with the order's id."""
    (session,) = scene.gateway.desk.connections
    session.error(code, "as it says", scene.state.orders[intent].order_id or 0)


@pytest.mark.parametrize("acknowledged", [False, True], ids=["sending", "working"])
def test_every_code_that_rejects_ends_its_order_and_no_other_whether_it_works_yet_or_not(
    acknowledged: bool, tmp_path: Path
) -> None:
    """One share for each code: the order it is said of is rejected with code and text, the one beside it goes on."""
    symbols = [f"T{number:02d}" for number in range(len(ENDING) + 1)]

    async def story(scene: Scene) -> None:
        scene.gateway.faults.hold_orders_seconds = 0 if acknowledged else 3600
        scene.start()
        wanted = OrderState.WORKING if acknowledged else OrderState.SENDING
        here = lambda: len([o for o in scene.orders() if o.handed and o.state is wanted]) == len(symbols)  # noqa: E731
        await scene.until(here, what="the orders")
        for order, code in zip(scene.orders(), ENDING, strict=False):
            say(scene, order.intent, code)
        await asyncio.sleep(1)
        *ended, spared = scene.orders()
        assert [order.state for order in ended] == [OrderState.REJECTED] * len(ENDING)
        assert [order.text for order in ended] == [f"{code} as it says" for code in ENDING]
        assert spared.state is wanted
        await scene.run_job("rebalance")
        assert [order.symbol for order in scene.orders()].count(spared.symbol) == 1

    many = {"strategies": [plan(dict.fromkeys(symbols, 0.02))], "holds": {"rejections": None}}
    on_bench(story, tmp_path, RESTING | many, market=market_of(symbols))


@pytest.mark.parametrize("asked", Asked)
def test_every_other_code_leaves_a_working_order_at_work_whatever_was_asked_last(asked: Asked, tmp_path: Path) -> None:
    """All of them on one order, one after the other: new, modified, its cancel asked for and held up by the gateway."""
    ends = {Asked.NEW: set(ENDING), Asked.MODIFY: set(), Asked.CANCEL: {201}}[asked]
    codes = [*(code for code in CODES if code not in {*LINK, *ends}), 99_999]

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.orders() and scene.orders()[0].state is OrderState.WORKING, what="an order")
        low = (scene.orders()[0].decision_price * Decimal("0.97")).quantize(Decimal("0.01"))
        if asked is not Asked.NEW:
            await scene.ask("modify", f"1 - {low} -")
            await scene.until(lambda: scene.orders()[0].change is None, what="the new price")
        if asked is Asked.CANCEL:
            scene.gateway.faults.dialog = True
            await scene.ask("cancel", "1")
            await asyncio.sleep(1)
        for code in codes:
            say(scene, 1, code)
            await asyncio.sleep(0.01)
            assert scene.orders()[0].is_live, code
        heard = {(event.code, event.verdict) for event in scene.events(m.OrderErrorSeen)}
        assert {(code, row_of(code, CODES).after(asked).value) for code in codes} <= heard
        assert scene.orders()[0].state is OrderState.WORKING and len(scene.orders()) == 1

    on_bench(story, tmp_path, RESTING)

"""A stop and its take-profit in a whole daemon, judged by the gateway's own books."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longwatch.domain.orders import OrderState, Purpose
from longwatch.gateway.exchange.orders import Status
from tests.daemon.bench import HOUR, Scene, on_bench, plan

HELD = plan({"IBM": 0.4})
NEAR = {"fraction": 0.5, "take_profit": {"fraction": 0.002}}
FAR = {"fraction": 0.5, "take_profit": {"fraction": 0.5}}


def resting(scene: Scene) -> dict[str, Any]:
    """What rests in the gateway's books, by its type."""
    return {one.ticket.order_type: one for one in scene.gateway.desk.exchange.book.live()}


def test_the_pair_rests_in_one_group_for_what_is_held_and_a_flatten_takes_both(tmp_path: Path) -> None:
    """Never the one without the other; nothing is left of either once all is sold."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.until(lambda: "LMT" in resting(scene), seconds=HOUR * 2, what="the take-profit")
        pair = resting(scene)
        assert set(pair) == {"STP", "LMT"}
        assert pair["STP"].ticket.oca_group == pair["LMT"].ticket.oca_group != ""
        assert pair["STP"].remaining == pair["LMT"].remaining == scene.truly_held("IBM") > 0
        (row,) = [one for one in scene.status()["positions"] if one["symbol"] == "IBM"]
        assert float(row["take_profit"]) > float(row["average_cost"]) > float(row["stop"])
        await scene.ask("flatten")
        await scene.until(lambda: not scene.truly_held("IBM"), what="the end of the position")
        await scene.until(lambda: not scene.state.live, what="the end of every order")
        assert resting(scene) == {}

    on_bench(story, tmp_path, {"strategies": [HELD], "stops": FAR})


def test_the_broker_ends_the_stop_with_what_the_take_profit_sells(tmp_path: Path) -> None:
    """It fills in the books of the gateway; nothing is sold twice, and nothing rests for what is gone."""

    async def story(scene: Scene) -> None:
        scene.start()

        def taken() -> bool:
            return any(one.purpose is Purpose.PROFIT and one.state is OrderState.FILLED for one in scene.orders())

        await scene.until(taken, what="a profit taken")
        profit = next(one for one in scene.orders() if one.state is OrderState.FILLED and one.purpose is Purpose.PROFIT)
        await scene.settled()
        booked = {one.ticket.order_ref: one for one in scene.gateway.desk.exchange.book.ended()}
        assert booked[profit.ref].status is Status.FILLED
        assert booked[profit.oca_group].status is Status.CANCELLED
        assert scene.truly_held("IBM") == scene.held("IBM") >= 0
        assert any("profit taken" in text for text in scene.alerts())

    on_bench(story, tmp_path, {"strategies": [HELD], "stops": NEAR})

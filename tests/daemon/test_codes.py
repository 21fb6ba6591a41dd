"""Codes on live orders, over the wire into a whole daemon: only what is known to end an order ends it."""

from __future__ import annotations

from pathlib import Path

from longwatch.broker.codes import BACKEND, CODES, FARMS, Kind, Verdict
from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.daemon.bench import Scene, on_bench

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

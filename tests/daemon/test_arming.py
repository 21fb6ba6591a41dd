"""Live trading takes two keys and the account they name: each contradiction is refused by name, and nothing is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from longwatch.config.mistakes import ConfigErrors
from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.errors import JournalError
from longwatch.simulation.tap import Tap
from tests.daemon.bench import MINUTE, Scene, merged, on_bench

LIVE = "U123456"
ARMED: dict[str, Any] = {
    "mode": "live",
    "executor": "ib_live",
    "execution": {"live_account": LIVE, "confirm_live_account": LIVE, "paper_account": None},
    "ib": {"port": 4001},
    "clock": {"source": "system"},
}
HALF_ARMED: dict[str, tuple[dict[str, Any], str]] = {
    "the second key is missing": (
        {"execution": {"confirm_live_account": None}},
        f"confirm_live_account: found nothing; mode live must be armed by repeating live_account, {LIVE}",
    ),
    "the keys differ": (
        {"execution": {"confirm_live_account": "U654321"}},
        f"confirm_live_account: found U654321; mode live must be armed by repeating live_account, {LIVE}",
    ),
    "a paper account for live": (
        {"execution": {"live_account": "DU123456", "confirm_live_account": "DU123456"}},
        "DU123456 is a paper account's id; live account ids do not begin with D",
    ),
    "no account": ({"execution": {"live_account": None}}, "live_account: must be given in mode live"),
    "the paper executor": ({"executor": "ib_paper"}, '"ib_paper" does not go with mode live; use ib_live'),
    "a dry run": ({"executor": "mock"}, '"mock" does not go with mode live; use ib_live'),
    "delayed data": ({"ib": {"market_data_type": 3}}, "delayed data is for paper only; use 1 or 2 in mode live"),
    "delayed and frozen data": ({"ib": {"market_data_type": 4}}, "delayed data is for paper only"),
    "the clock of a simulated gateway": ({"clock": {"source": "gateway"}}, "use system in mode live"),
    "a live account for paper": (
        {"mode": "paper", "executor": "ib_paper", "execution": {"paper_account": LIVE}},
        f"{LIVE} is a live account's id; paper account ids begin with D",
    ),
}


async def nothing(scene: Scene) -> None:
    raise AssertionError("a daemon was built on a configuration that contradicts itself")


@pytest.mark.parametrize("name", HALF_ARMED)
def test_half_armed_no_daemon_is_built(name: str, tmp_path: Path) -> None:
    """Each by the setting that is wrong, in one sentence."""
    changes, said = HALF_ARMED[name]
    with pytest.raises(ConfigErrors, match="trading") as refused:
        on_bench(nothing, tmp_path, merged(ARMED, changes))
    assert any(said in line for line in refused.value.lines()), refused.value.lines()


def test_armed_by_both_keys_it_trades_in_the_account_they_name(tmp_path: Path) -> None:
    """Every order says its account and its mode."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert {order.state for order in scene.orders()} == {OrderState.FILLED}
        assert {(order.account, order.mode) for order in scene.orders()} == {(LIVE, "live")}
        assert set(scene.gateway.ledger.accounts) == {LIVE}

    on_bench(story, tmp_path, ARMED)


@pytest.mark.parametrize("served", [("DU123456",), ("U654321",), ("DU123456", "U654321")])
def test_the_account_at_the_other_end_is_the_third_key(served: tuple[str, ...], tmp_path: Path) -> None:
    """The log-in is another one: an alert names both, the link is dropped, no order and no account request leaves."""

    async def story(scene: Scene) -> None:
        tap = Tap(scene.bench.network, scene.bench.clock.market)
        scene.start()
        await asyncio.sleep(10 * MINUTE)
        wrong = f"the gateway serves {', '.join(served)}, not {LIVE}"
        assert any(wrong in text for text in scene.alerts())
        assert "link_is_up" in scene.failing()
        await scene.run_job("rebalance")
        assert not scene.orders() and not scene.facts(m.BookCompared)
        assert not {seen.name for seen in tap.written()} & {"placeOrder", "reqAccountSummary"}

    on_bench(story, tmp_path, ARMED, gateway={"accounts": served})


def test_of_several_accounts_the_one_of_the_keys_is_traded(tmp_path: Path) -> None:
    """The other account of the same log-in is left alone."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        assert {one.account for one in scene.gateway.ledger.executions} == {LIVE}

    on_bench(story, tmp_path, ARMED, gateway={"accounts": ("U654321", LIVE)})


def test_delayed_quotes_are_not_traded_on_in_live(tmp_path: Path) -> None:
    """Live quotes are asked for and delayed ones come, as with a subscription that has lapsed: refused by name."""

    def lapsed(name: str, values: dict[str, Any]) -> bool:
        if name == "marketDataType":
            values["marketDataType"] = 3
        return True

    async def story(scene: Scene) -> None:
        scene.gateway.faults.own_messages = lapsed
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        assert scene.refused() == {"AAPL": "quote_type", "IBM": "quote_type"}
        assert not scene.orders() and not scene.facts(m.DelayedDataUsed)

    on_bench(story, tmp_path, ARMED)


def test_a_paper_journal_is_never_opened_in_live(tmp_path: Path) -> None:
    """Its file says whose it is."""

    async def paper(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.facts(m.BookCompared), what="readiness")

    async def live(scene: Scene) -> None:
        scene.start()

    on_bench(paper, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(JournalError, match=rf"account DU123456 in mode paper, not of {LIVE} in mode live"):
        on_bench(live, tmp_path, ARMED)

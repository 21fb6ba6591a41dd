"""Each readiness check gives its reason when exactly that thing is broken, and stops when it is mended."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.engine.inbox import HIGH_WATER
from longwatch.errors import JournalError
from longwatch.ops import health
from tests.daemon.bench import DAY, MINUTE, Scene, on_bench, plan

Act = Callable[[Scene], Awaitable[None]]
Fault = Callable[[str, dict[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """How a thing is broken and mended; `at_start`: before the daemon's first breath, else in the first session."""

    breaks: Act
    mends: Act
    says: str
    at_start: bool = False
    trading: Mapping[str, Any] = field(default_factory=dict)


def messages(fault: Fault) -> Act:
    """The gateway's own messages are changed or kept back."""

    async def act(scene: Scene) -> None:
        scene.gateway.faults.own_messages = fault

    return act


def withholding(*names: str) -> Act:
    """The gateway never sends these."""

    async def act(scene: Scene) -> None:
        scene.gateway.faults.withhold = set(names)

    return act


async def behave(scene: Scene) -> None:
    """The gateway does everything right again."""
    scene.gateway.faults.clear()


async def reconnect(scene: Scene) -> None:
    """The gateway is right again, and started anew."""
    scene.gateway.faults.clear()
    await scene.gateway.refuse_connections()
    await scene.gateway.accept_connections()


def then(*acts: Act) -> Act:
    """One after the other."""

    async def act(scene: Scene) -> None:
        for one in acts:
            await one(scene)

    return act


def asking(command: str) -> Act:
    """A person says so."""

    async def act(scene: Scene) -> None:
        await scene.ask(command)

    return act


def job(name: str) -> Act:
    """A job is run beside its schedule."""

    async def act(scene: Scene) -> None:
        await scene.run_job(name)

    return act


async def refuse(scene: Scene) -> None:
    await scene.gateway.refuse_connections()


async def accept(scene: Scene) -> None:
    await scene.gateway.accept_connections()


async def lose_backend(scene: Scene) -> None:
    scene.gateway.desk.lose_backend()


async def restore_backend(scene: Scene) -> None:
    scene.gateway.desk.restore_backend()


async def break_farm(scene: Scene) -> None:
    scene.gateway.desk.break_farm("usfarm")


async def mend_farm(scene: Scene) -> None:
    scene.gateway.desk.mend_farm("usfarm")


async def open_a_dialog(scene: Scene) -> None:
    scene.gateway.faults.dialog = True


async def close_the_dialog(scene: Scene) -> None:
    scene.gateway.desk.close_dialog()


async def hold_the_journal(scene: Scene) -> None:
    """Another program takes the journal's write lock and keeps it."""
    stranger = sqlite3.connect(scene.bench.journal, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    scene.stranger = stranger  # type: ignore[attr-defined]
    with pytest.raises(JournalError, match="pause is not in the journal"):
        await scene.ask("pause")


async def let_the_journal_go(scene: Scene) -> None:
    with closing(scene.stranger) as stranger:  # type: ignore[attr-defined]
        stranger.execute("ROLLBACK")


async def flood(scene: Scene) -> None:
    """More notices at once than the engine takes in its next turns."""
    at, tech = scene.bench.clock.market(), scene.bench.clock.technical()
    notice = m.NoticeSeen(at=at, tech=tech, code=2109, text="said over and over")
    for _ in range(2 * HIGH_WATER):
        scene.daemon.inbox.put(notice)


async def let_it_work(scene: Scene) -> None:
    """Nothing is dropped: the engine works through what waits."""


def without_value(name: str, values: dict[str, Any]) -> bool:
    """The account summary lacks the account's value."""
    return not (name == "accountSummary" and values["tag"] == "NetLiquidation")


def in_yen(name: str, values: dict[str, Any]) -> bool:
    """The account is kept in another currency than the shares are quoted in."""
    if name == "accountSummary":
        values["currency"] = "JPY"
    return True


def a_minute_fast(name: str, values: dict[str, Any]) -> bool:
    if name == "currentTime":
        values["time"] += 60
    return True


def upside_down(name: str, values: dict[str, Any]) -> bool:
    """Every bar's low is above its high."""
    if name == "historicalData":
        for bar in values["bars"]:
            bar["low"], bar["high"] = bar["high"] + 1, bar["low"]
    return True


BREAKAGES: dict[str, list[Breakage]] = {
    "link_is_up": [Breakage(breaks=refuse, mends=accept, says="link: ")],
    "backend_is_up": [
        Breakage(breaks=lose_backend, mends=restore_backend, says="backend: the gateway has lost its link to IB")
    ],
    "farms_are_up": [Breakage(breaks=break_farm, mends=mend_farm, says="farms: usfarm broken")],
    "account_is_fresh": [
        Breakage(
            breaks=then(withholding("accountSummaryEnd"), asking("reconcile")),
            mends=then(behave, asking("reconcile")),
            says="account: the last download failed (account: no end mark within 30 s)",
        ),
        Breakage(
            breaks=withholding("execDetailsEnd", "openOrderEnd", "positionEnd"),
            mends=behave,
            says="account: the last download failed (",
        ),
        Breakage(
            breaks=then(messages(in_yen), asking("reconcile")),
            mends=then(behave, asking("reconcile")),
            says="account: the last download failed (account: its ",
        ),
    ],
    "gateway_answers": [
        Breakage(
            breaks=then(open_a_dialog, job("signals"), job("rebalance")),
            mends=close_the_dialog,
            says="orders: lw:",
            trading={"strategies": [plan({"AAPL": 0.4}, {"AAPL": 0.4, "IBM": 0.2})]},
        )
    ],
    "cash_is_known": [
        Breakage(
            breaks=messages(without_value),
            mends=then(behave, asking("reconcile")),
            says="cash: the account's value is not known",
            at_start=True,
        )
    ],
    "clock_is_right": [
        Breakage(
            breaks=messages(a_minute_fast),
            mends=behave,
            says="clock: +59.",
            trading={"ib": {"heartbeat_seconds": 30}},
        )
    ],
    "instruments_are_known": [
        Breakage(
            breaks=withholding("contractDetails", "contractDetailsEnd"),
            mends=reconnect,
            says="instruments: no symbol of the universe is known to the broker",
            at_start=True,
        )
    ],
    "book_is_reconciled": [
        Breakage(
            breaks=withholding("positionEnd"),
            mends=behave,
            says="book: not yet compared with the account",
            at_start=True,
        )
    ],
    "data_are_judged": [
        Breakage(
            breaks=withholding("historicalData"),
            mends=then(behave, job("refresh")),
            says="data: not yet judged",
            at_start=True,
            trading={"schedule": {"signals": {"trigger": "45 minutes after the close", "deadline_seconds": 20}}},
        ),
        Breakage(
            breaks=withholding("historicalData"),
            mends=then(behave, job("refresh")),
            says="data: judged up to 2006-12-29, 2 sessions behind",
            trading={
                "schedule": {
                    "refresh": {"trigger": "30 minutes after the close", "deadline_seconds": 20},
                    "signals": {"trigger": "45 minutes after the close", "deadline_seconds": 20},
                }
            },
        ),
    ],
    "something_is_tradable": [
        Breakage(
            breaks=then(messages(upside_down), job("refresh")),
            mends=then(behave, job("refresh")),
            says="data: every symbol is flawed (AAPL: ",
        )
    ],
    "inbox_is_taken": [Breakage(breaks=flood, mends=let_it_work, says="inbox: ")],
    "journal_is_writable": [Breakage(breaks=hold_the_journal, mends=let_the_journal_go, says="journal: ")],
    "nothing_is_halted": [
        Breakage(breaks=asking("halt"), mends=asking("resume"), says="verb: halted by uid 1000 (a test)")
    ],
}

CASES = [pytest.param(name, one, id=f"{name}-{n}") for name, row in BREAKAGES.items() for n, one in enumerate(row)]


def test_every_readiness_check_has_its_breakage() -> None:
    """A check added later needs a line here."""
    assert BREAKAGES.keys() == health.READINESS.keys()


@pytest.mark.parametrize(("check", "case"), CASES)
def test_what_is_broken_is_named_and_named_no_longer_when_mended(check: str, case: Breakage, tmp_path: Path) -> None:
    """The gate's reason comes with the breakage, in words, and goes with it; then the daemon is ready."""

    async def story(scene: Scene) -> None:
        if case.at_start:
            await case.breaks(scene)
            scene.start()
            await asyncio.sleep(MINUTE)
        else:
            scene.start()
            await scene.traded()
            await asyncio.sleep(MINUTE)
            assert scene.reasons() == []
            await case.breaks(scene)
        await looked(scene, lambda: check in scene.failing(), f"{check} to fail")
        assert any(reason.startswith(case.says) for reason in scene.reasons()), scene.reasons()
        assert scene.status()["ready"] is False
        await case.mends(scene)
        await looked(scene, lambda: scene.reasons() == [], f"{check} to be mended")

    on_bench(story, tmp_path, case.trading)


async def looked(scene: Scene, holds: Callable[[], bool], what: str) -> None:
    """Look every ten seconds of up to four days, as a monitor would."""
    for _ in range(int(4 * DAY / 10)):
        if holds():
            return
        await asyncio.sleep(10)
    raise AssertionError(f"{what}: {scene.told()}")


def test_an_account_not_read_for_long_shuts_the_gate(tmp_path: Path) -> None:
    """Readings come in the session and at the end of the day: in the night the last one grows old, by day it is new."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.till(23)
        (reason,) = scene.reasons()
        assert reason.startswith("account: last read ") and reason.endswith(" s ago, over 1000 s")
        await scene.till(15)
        assert scene.reasons() == []

    on_bench(story, tmp_path, {"ib": {"account_age_seconds": 1000}})

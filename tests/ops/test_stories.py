"""The story of an order for the pages: from the journal, beside the loop, one at a time."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from longwatch.engine.workers import ThreadWorkers
from longwatch.errors import UsageError
from longwatch.explain.why import why
from longwatch.journal.codec import recover
from longwatch.journal.reading import read_records
from longwatch.ops import stories
from longwatch.ops.stories import Stories, latest_orders
from longwatch.ops.why_text import why_text
from tests.explain.made import demo


@pytest.fixture(scope="module")
def path() -> Path:
    return demo(2) / "journal.sqlite"


async def test_it_is_what_why_prints(path: Path) -> None:
    """By any of an order's names; of one that nobody bears it says so, and then tells the next one."""
    told = Stories(path, ThreadWorkers().apart())
    assert await told.tell("1") == why_text(why(path, "1"))
    with pytest.raises(UsageError, match="no order 4711"):
        await told.tell("4711")
    assert (await told.tell("#2")).startswith("#2 ")


async def test_while_one_is_told_the_next_is_asked_to_come_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the page is loaded, one thread reads; also when nobody waits for it any more."""
    go_on = threading.Event()
    monkeypatch.setattr(stories, "why", lambda *_: go_on.wait(10) and why(path, "1"))
    told = Stories(path, ThreadWorkers().apart())
    first = asyncio.create_task(told.tell("1"))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="ask again in a moment"):
        await told.tell("2")
    go_on.set()
    assert (await first).startswith("#1 ")
    assert (await told.tell("1")).startswith("#1 ")


def test_the_latest_orders_are_listed_the_newest_first(path: Path) -> None:
    """A number and a line each, no more than fifty."""
    state = recover(list(read_records(path)))
    listed = list(latest_orders(state))
    assert [number for number, _ in listed] == sorted(state.orders, reverse=True)[:50]
    order = state.orders[listed[0][0]]
    assert (
        listed[0][1]
        == f"{order.side.value} {order.quantity} {order.symbol}, {order.purpose.value}: {order.state.value}"
    )

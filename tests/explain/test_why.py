"""`longwatch why`: every order's story is whole and true, found by any of its names, beside a daemon or without one."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import Purpose
from longwatch.errors import UsageError
from longwatch.explain.again import recompute
from longwatch.explain.gathered import gathered, intent_named
from longwatch.explain.why import why
from longwatch.journal.codec import decode
from longwatch.journal.finding import finding
from longwatch.journal.layout import INDEXES, archive_of, read_identity
from longwatch.journal.sqlite import InlineJournal
from longwatch.ops.why_text import why_text
from tests.domain.play import played
from tests.explain.judging import SECTIONS, untrue
from tests.explain.made import demo, journal_of, orders_in, ran, written
from tests.journal.made import a_day, write

FAULTY = [(3, 6)]
"""Seeds and days with all faults; `python -m tests.explain.proof_why` judges 20 days of many more."""
DAYS = 5


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return journal_of(ran(3, 6, "all"), tmp_path_factory.mktemp("why"))


@pytest.mark.parametrize(("seed", "days"), FAULTY)
def test_every_order_of_faulty_days_is_told_whole_and_true(seed: int, days: int) -> None:
    """By the gateway's ledger, by the fold of all records, by the arithmetic of what is told; and decided again."""
    folder = ran(seed, days, "all")
    assert orders_in(folder / "journal.sqlite") > 50
    assert list(untrue(folder / "journal.sqlite", folder / "ledger.jsonl")) == []


def test_every_story_reads_as_text(journal: Path) -> None:
    """With the state it came to, each fill, each check; and no value that nobody put into words."""
    for intent in range(1, orders_in(journal) + 1, 23):
        story = why(journal, str(intent))
        text = why_text(story)
        assert text.startswith(f"#{intent}  ") and story["outcome"]["state"] in text.splitlines()[0]
        assert all(fill["exec_id"] in text for fill in story["fills"])
        assert all(check["check"] in text for check in story["checks"])
        assert "None" not in text and "Decimal" not in text


def test_a_take_profit_says_at_what_price_it_lies_and_of_what_that_is_made() -> None:
    """Each order of a run with them, and the sentence as a person reads it."""
    path = ran(1, 2, "none") / "journal.sqlite"
    told = [why(path, str(intent)) for intent in range(1, orders_in(path) + 1)]
    placed = [story for story in told if story["order"]["purpose"] == "profit"]
    assert placed and not any(story["profit"] for story in told if story not in placed)
    for story in placed:
        assert story["profit"]["level"] == story["order"]["limit_price"]
        assert f"its take-profit is to lie at {story['profit']['level']}: paid " in why_text(story).replace(",", "")
        assert story["profit"]["because"].endswith("plus 0.01 of it")


def test_the_sections_of_the_json_are_those_promised(journal: Path) -> None:
    """In their order, for programs that read them; and it is JSON."""
    story = why(journal, "1")
    assert tuple(json.loads(json.dumps(story))) == (*SECTIONS, "journal")


def test_an_order_is_found_by_each_of_its_names(journal: Path) -> None:
    """Number, reference, permId, the broker's order id, an execution."""
    story = why(journal, "17")
    names = story["order"]
    (perm_id,) = names["perm_ids"]
    for name in ("#17", names["ref"], perm_id, f"permId:{perm_id}", f"orderId:{names['order_id']}", names["order_id"]):
        assert why(journal, str(name))["order"]["intent"] == 17
    assert why(journal, names["exec_ids"][0])["order"]["intent"] == 17
    assert why(journal, f"execId:{names['exec_ids'][0]}")["order"]["intent"] == 17


def test_a_number_that_means_two_orders_says_so(journal: Path) -> None:
    """The order's own number goes first; what else it is is told."""
    with finding(journal) as finder:
        other = gathered(finder, 20).order
    with written(journal) as hand:
        hand.execute("BEGIN")
        payload = hand.execute("SELECT payload FROM record WHERE kind = 'OrderSending' LIMIT 1").fetchone()[0]
        last = hand.execute("SELECT max(sequence) FROM record").fetchone()[0]
        sending = json.loads(payload) | {"intent": 20, "order_id": 5}
        row = (last + 1, 0, "OrderSending", 1, json.dumps(sending, separators=(",", ":")).encode())
        hand.execute("INSERT INTO record(sequence, cause, kind, schema, payload) VALUES (?, ?, ?, ?, ?)", row)
        with finding(journal) as finder:
            assert intent_named(finder, "5") == (5, "")
        hand.execute("COMMIT")
        with finding(journal) as finder:
            assert intent_named(finder, "5") == (5, "5 is also the order id of #20")
        hand.execute("DELETE FROM record WHERE sequence = ?", (last + 1,))
    assert other.order_id != 5


@pytest.mark.parametrize("name", ["999", "lw:another:1", "0000.0.01", "permId:1", "orderId:1", "", "-1", "AAPL"])
def test_a_name_nobody_bears_is_told_with_what_to_do(journal: Path, name: str) -> None:
    """One sentence: what there is not, and how orders are named."""
    with pytest.raises(UsageError, match=r"has no order .*; name it by its number or reference as `longwatch orders`"):
        why(journal, name)


def test_it_reads_beside_a_daemon_that_writes(tmp_path: Path) -> None:
    """The journal's file is neither locked nor changed by it."""
    path = journal_of(demo(DAYS), tmp_path)
    whose = read_identity(path)
    writer = InlineJournal.open(path, account=whose.account, mode=whose.mode, fresh_id="no")
    before = why(path, "1")
    last = writer.anchor
    assert before["outcome"]["state"] == "filled"
    asyncio.run(writer.close())
    assert writer.anchor == last and why(path, "1") == before


def test_archived_events_are_told_from_the_archive(tmp_path: Path) -> None:
    """The same story, wherever its events lie; and when the archive is not there, what is left and why that is all."""
    path = journal_of(demo(DAYS), tmp_path)
    before = [why(path, str(intent)) for intent in range(1, orders_in(path) + 1)]
    whose = read_identity(path)

    async def archive() -> int:
        journal = InlineJournal.open(path, account=whose.account, mode=whose.mode, fresh_id="no")
        try:
            return await journal.archive(datetime(2100, 1, 1, tzinfo=UTC))
        finally:
            await journal.close()

    assert asyncio.run(archive()) > 0 and archive_of(path).exists()
    assert [why(path, str(intent)) for intent in range(1, orders_in(path) + 1)] == before
    archive_of(path).rename(tmp_path / "elsewhere")
    left = why(path, "1")
    assert "in an archive that is not beside the journal" in left["decided"]["text"]
    assert left["outcome"] == before[0]["outcome"] and left["cost"] == before[0]["cost"]
    assert "archive" in why_text(left)


def test_a_journal_without_its_indexes_tells_the_same(journal: Path, tmp_path: Path) -> None:
    """One of an older version, which no daemon has opened since; a daemon that opens it makes them."""
    path = journal_of(journal.parent, tmp_path)
    with written(path) as hand:
        hand.execute("DROP INDEX record_by_intent")
        hand.execute("DROP INDEX record_by_kind")
    expected = why(journal, "30") | {"journal": str(path)}
    assert why(path, "30") == expected
    whose = read_identity(path)
    asyncio.run(InlineJournal.open(path, account=whose.account, mode=whose.mode, fresh_id="no").close())
    with written(path) as hand:
        made = hand.execute("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name LIKE 'record_by_%'")
        assert made.fetchone()[0] == len(INDEXES)
    assert why(path, "30") == expected


SAID_OTHERWISE = {
    "OrderIntended": "order",
    "OrderSending": "sent",
    "OrderIdentified": "order",
    "CommissionBooked": "fills",
    "OrderResolved": "outcome",
}
"""Facts that are not told by the number of their record, and where they are told."""


def test_every_kind_of_fact_about_an_order_is_told(tmp_path: Path) -> None:
    """Of a day with every kind of fact in it: what-ifs, modifications, absence, stops, persons, all of them."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    kinds: set[str] = set()
    with finding(path) as finder:
        intended = [decode(one.record) for one in finder.between(1, finder.last, ("OrderIntended",))]
    orders = [cast(m.OrderIntended, one).order for one in intended]
    assert any(one.purpose is Purpose.STOP for one in orders)
    for intent in (one.intent for one in orders):
        with finding(path) as finder:
            facts = gathered(finder, intent).facts
        story = why(path, f"#{intent}")
        told = {row["record"] for part in ("changes", "moves", "fills") for row in story[part]}
        untold = {one.kind for one in facts if one.sequence not in told}
        assert untold <= SAID_OTHERWISE.keys(), untold - SAID_OTHERWISE.keys()
        kinds |= {one.kind for one in facts}
        assert "None" not in why_text(story)
    assert kinds >= {*SAID_OTHERWISE, "OrderMoved", "FillBooked", "WhatIfAsked", "MarginTold", "AbsenceNoted"}


def test_an_order_is_sought_by_the_indexes(journal: Path) -> None:
    """No query by order, or by a kind that is sought, reads the journal from end to end."""
    plans: list[str] = []
    with finding(journal) as finder:
        seen: list[str] = []
        finder.connection.set_trace_callback(seen.append)
        finder.of_intent(7)
        finder.before(500, "DataJudged")
        next(finder.holding("TargetsSet", "north", 500))
        finder.connection.set_trace_callback(None)
        for query in seen:
            plans += [row[3] for row in finder.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert plans and all("SEARCH" in plan for plan in plans), plans
    assert any("record_by_intent" in plan for plan in plans) and any("record_by_kind" in plan for plan in plans)


def test_a_twin_is_told_with_the_decision_on_the_first(tmp_path: Path) -> None:
    """It was found at the broker, not decided on: its grounds are those of the order it stands beside; both name it."""
    play = played([("rebalance", 1), ("write", 1)])
    play.open_order(1)
    play.open_order(1, perm_id=777_777_777, order_id=27_770)
    assert play.order(2).twin_of == 1
    path = tmp_path / "j.sqlite"
    write(path, play.records)
    first, twin = why(path, "#1"), why(path, "#2")
    assert (first["family"]["twins"], twin["family"]["twin_of"], twin["sent"]["found"]) == ([2], 1, True)
    assert [twin[part] for part in ("decided", "bars", "target", "checks")] == [
        first[part] for part in ("decided", "bars", "target", "checks")
    ]
    assert twin["target"] and why(path, "777777777")["order"]["intent"] == 2
    assert {row["kind"] for row in twin["messages"] if row["about"]} == {"OpenOrderSeen"}
    assert "found at the broker beside #1" in why_text(twin)
    assert "the broker held a second order for it: #2" in why_text(first)
    assert recompute(path, "#2")["same"]

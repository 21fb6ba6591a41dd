"""`longwatch decision`, `fills`, `events`, `state`: what they print is what the journal holds, at any moment of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.state import State, fingerprint
from longwatch.explain.listing import listed
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import decode, encode, fold
from longwatch.journal.finding import finding, time_of
from longwatch.journal.reading import read_records
from longwatch.journal.store import CHECKPOINTS_KEPT, MILESTONE_RECORDS
from longwatch.journal.travel import LAST_COUNTS, state_at
from longwatch.simulation.booked import books
from tests.domain.world import World
from tests.explain.made import demo, journal_of, ran
from tests.journal.made import a_day, checkpoint, folded, journal_at, write
from tests.ops.shell import Shell, shell_of

NOTHING_TO_DO = {"at its target", "too little to trade: within the band", "nothing is wanted of it or held"}


@pytest.fixture(scope="module")
def journal() -> Path:
    return demo(5) / "journal.sqlite"


@pytest.fixture(scope="module")
def faulty() -> Path:
    return ran(3, 6, "all") / "journal.sqlite"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return shell_of(monkeypatch, capsys)


def facts(path: Path, kind: type) -> list[Any]:
    return [what for record in read_records(path) if type(what := decode(record)) is kind]


# ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_decision_shows_every_symbol_and_counts_what_was_counted(journal: Path, shell: Shell) -> None:
    """Each recorded decision by its run id: orders, refusals and clamps are the facts', symbols those wanted."""
    made = facts(journal, m.RebalanceDecided)
    assert len(made) == 5
    for fact in made:
        code, out, _ = shell("decision", fact.run_id, "--json", "--file", journal)
        told = json.loads(out)
        assert (code, told["run_id"]) == (0, fact.run_id)
        assert {row["symbol"] for row in told["symbols"]} == {"AAPL", "GOOG", "IBM", "MSFT"}
        assert sum(len(row["orders"]) for row in told["symbols"]) == fact.intended
        assert sum(len(row["clamps"]) for row in told["symbols"]) == fact.clamped
        assert sum(row["refusal"] is not None for row in told["symbols"]) == fact.refused
        for row in told["symbols"]:
            assert row["orders"] or row["refusal"] or row["came_to"] in NOTHING_TO_DO


def test_a_decision_is_found_by_its_records_and_as_the_last(journal: Path, shell: Shell) -> None:
    """The event, any of its facts, or nothing; and as a table for a person."""
    with finding(journal) as finder:
        last = finder.before(finder.last + 1, "RebalanceDecided")
        assert last is not None
    told = [shell("decision", *words, "--file", journal)[1] for words in ((), ["last"], [last.record.sequence])]
    assert told[0] == told[1] == told[2] == shell("decision", last.record.cause, "--file", journal)[1]
    assert "what came of it" in told[0] and "IBM" in told[0] and "None" not in told[0]


@pytest.mark.parametrize("name", ["rebalance@1999-01-01T00:00:00+00:00", "1", "999999", "yesterday"])
def test_a_decision_there_is_not_is_told_with_what_to_do(journal: Path, shell: Shell, name: str) -> None:
    """How decisions are named, and what lists them."""
    code, _, err = shell("decision", name, "--file", journal)
    assert code == 64 and f"there is no decision {name}" in err and "`longwatch events --kind RebalanceDecided`" in err
    assert len(err.splitlines()) == 1


def test_a_refused_trade_is_told_with_its_check(faulty: Path, shell: Shell) -> None:
    """What was refused in faulty days is in the decision, with what the check saw."""
    refused = next(fact for fact in facts(faulty, m.TradeRefused) if fact.intent is None)
    told = json.loads(shell("decision", refused.run_id, "--json", "--file", faulty)[1])
    row = next(row for row in told["symbols"] if row["symbol"] == refused.symbol)
    assert row["refusal"]["check"] == refused.check and refused.text in row["came_to"]


# ── fills ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fills_are_those_of_the_ledger_to_the_cent(journal: Path, shell: Shell) -> None:
    """Quantity, price and fee of each; and the sum that is printed below them."""
    rows = json.loads(shell("fills", "-n", 0, "--json", "--file", journal)[1])
    _, booked, _ = books(journal.with_name("ledger.jsonl"))
    told = {row["exec_id"]: (row["quantity"], row["price"], row["commission"]) for row in rows}
    assert {one.exec_id: one for one in booked}.keys() == told.keys()
    for one in booked:
        assert tuple(map(Decimal, told[one.exec_id])) == (abs(one.quantity), one.price, one.fee)
    out = shell("fills", "-n", 0, "--file", journal)[1]
    assert f"{len(booked)} fills: commission " in out


def test_fills_are_chosen_by_symbol_and_time(journal: Path, shell: Shell) -> None:
    """`--until` is not part of the time; a symbol may be written small."""
    rows = json.loads(shell("fills", "-n", 0, "--json", "--file", journal)[1])
    since, until = "2007-01-04", "2007-01-05T15:00"
    some = json.loads(
        shell("fills", "--since", since, "--until", until, "--symbol", "ibm", "--json", "--file", journal)[1]
    )
    assert some == [
        row for row in rows if row["symbol"] == "IBM" and "2007-01-04" <= row["executed_at"] < "2007-01-05T15:00"
    ]
    assert 0 < len(some) < len(rows)
    assert shell("fills", "--since", "2030-01-01", "--file", journal)[1] == "no fills\n"
    assert json.loads(shell("fills", "-n", 2, "--json", "--file", journal)[1]) == rows[-2:]


def test_what_was_corrected_or_taken_back_counts_once(faulty: Path, shell: Shell) -> None:
    """Every booked execution is listed, and what replaced one names it."""
    rows = json.loads(shell("fills", "-n", 0, "--json", "--file", faulty)[1])
    booked = facts(faulty, m.FillBooked)
    assert [row["exec_id"] for row in rows] == [fact.exec_id for fact in booked]
    replaced = {fact.replaces for fact in booked if fact.replaces}
    assert replaced and {row["exec_id"] for row in rows if row["replaced_by"]} == replaced & {
        fact.exec_id for fact in booked
    }


# ── records ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_are_chosen_by_kind_order_symbol_and_time(faulty: Path, shell: Shell) -> None:
    """Each filter against a reading of everything; together they narrow."""
    lines = shell("events", "--kind", "OrderErrorSeen", "-n", 0, "--json", "--file", faulty)[1].splitlines()
    assert len(lines) == len(facts(faulty, m.OrderErrorSeen)) > 0
    assert all(json.loads(line)["kind"] == "OrderErrorSeen" for line in lines)
    of_order = listed(faulty, order="17")
    assert {"OrderIntended", "OrderSending", "OrderHanded", "RebalanceDue"} <= {one.record.kind for one in of_order}
    assert [one.record.sequence for one in of_order] == sorted(one.record.sequence for one in of_order)
    symbol = json.loads(of_order[1].record.payload)["order"]["symbol"]
    of_both = listed(faulty, order="17", symbol=symbol, kinds=("OrderIntended",))
    assert [one.record.kind for one in of_both] == ["OrderIntended"]
    since, until = datetime(2007, 7, 30, 15, tzinfo=UTC), datetime(2007, 7, 30, 16, tzinfo=UTC)
    timed = listed(faulty, since=since, until=until)
    with finding(faulty) as finder:
        heard = {one.record.sequence: time_of(one) for one in finder.between(1, finder.last) if not one.record.cause}
    expected = [sequence for sequence, at in heard.items() if at is not None and since <= at < until]
    assert [one.record.sequence for one in timed if not one.record.cause] == expected != []
    assert len(listed(faulty, last=7)) == 7


def test_a_symbol_brings_its_contracts_rows_too(journal: Path) -> None:
    """Rows that bear the contract's number alone are about it as well, and no row of another symbol alone."""
    found = listed(journal, symbol="IBM", kinds=("PositionSeen", "FillBooked", "OrderIntended"))
    assert found and all(b'"symbol":"IBM"' in one.record.payload for one in found)


@pytest.mark.parametrize("words", [["events", "--since", "soon"], ["fills", "--until", "5"], ["state", "--at", "noon"]])
def test_a_time_nobody_can_read_is_told_with_how_to_write_it(journal: Path, shell: Shell, words: list[str]) -> None:
    """One sentence."""
    code, _, err = shell(*words, "--file", journal)
    assert code == 64 and "write a time as 2007-01-05 or 2007-01-05T14:35:00" in err


# ── moments ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_state_after_any_record_is_the_fold_up_to_it(faulty: Path) -> None:
    """Also where facts that a later one replaces whole are passed over."""
    with finding(faulty) as finder:
        last = finder.last
    for sequence in (0, 1, 2, 77, last // 3, last // 2, last - 1, last):
        state = State()
        fold(state, takewhile(lambda record: record.sequence <= sequence, read_records(faulty)))  # noqa: B023
        assert fingerprint(state_at(faulty, sequence).state) == fingerprint(state)


def test_no_fact_that_is_passed_over_leaves_more_than_the_last_of_its_kind(faulty: Path) -> None:
    """Of each kind that counts by its last alone: two of them fold to what the second alone does."""
    days = [record for record in read_records(faulty) if record.kind in LAST_COUNTS]
    assert {record.kind for record in days} == LAST_COUNTS
    for kind in LAST_COUNTS:
        first, *_, last = [record for record in days if record.kind == kind]
        assert fingerprint(folded([first, last])) == fingerprint(folded([last])), kind


def test_at_every_record_about_a_difference_that_came_and_went_the_state_is_the_daemons(tmp_path: Path) -> None:
    """Each comparison looks at the one before it: shares that the account had too many are kept, though gone again."""
    world = World.ready(AAA=100)
    for shares, is_whole in ((150, True), (150, False), (100, True), (100, True)):
        world.positions[1] = Decimal(shares)
        world.snapshot(**({} if is_whole else {"exec_ids": None}))
    path = tmp_path / "j.sqlite"
    told = [fact for _, step in world.steps for fact in step.facts]
    records = [encode(number, number, fact) for number, fact in enumerate(told, 1)]
    write(path, records)
    assert {"BookCompared", "SnapshotFailed"} <= {record.kind for record in records}
    assert fingerprint(state_at(path).state) == fingerprint(world.state) and world.state.returned
    for sequence in range(len(records)):
        assert fingerprint(state_at(path, sequence).state) == fingerprint(folded(records[:sequence])), sequence


def test_a_checkpoint_near_by_is_folded_from_and_a_later_one_never(tmp_path: Path) -> None:
    """And where none can be believed, everything is folded: the state is the same."""
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    for sequence in (100, 200):
        checkpoint(path, a_day()[:sequence])
    for sequence, began_at in ((99, 0), (100, 100), (150, 100), (199, 100), (200, 200), (len(a_day()), 200)):
        moment = state_at(path, sequence)
        assert (moment.began_at, moment.sequence) == (began_at, sequence)
        assert fingerprint(moment.state) == fingerprint(folded(a_day()[:sequence]))


def test_of_a_long_journal_milestones_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One checkpoint of each hundred thousand records, beside the newest; here of each fifty."""
    monkeypatch.setattr("longwatch.journal.store.MILESTONE_RECORDS", 50)
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    for sequence in (10, 30, 60, 90, 110, 120, 130, 180, 190):
        checkpoint(path, a_day()[:sequence])
    with journal_at(path) as journal:
        assert [kept.sequence for kept in journal.checkpoints()] == [190, 180, 130, 90, 30]
    assert (MILESTONE_RECORDS, CHECKPOINTS_KEPT) == (100_000, 2)


def test_milestones_of_another_version_are_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade the newest are passed over by name, the others in silence; the next checkpoint removes them."""
    monkeypatch.setattr("longwatch.journal.store.MILESTONE_RECORDS", 50)
    path = tmp_path / "j.sqlite"
    write(path, a_day())
    for sequence in (30, 60, 110, 180, 190):
        checkpoint(path, a_day()[:sequence])
    monkeypatch.setattr("longwatch.journal.checkpoints.code_version", lambda: "the next")
    with journal_at(path) as journal:
        found = recovered(journal)
        assert (found.began_at, len(found.passed_over)) == (0, 2)
    assert state_at(path, 150).began_at == 0
    checkpoint(path, a_day()[:200])
    with journal_at(path) as journal:
        assert [kept.sequence for kept in journal.checkpoints()] == [200, 190]


def test_a_moment_by_its_record_and_by_its_time_is_one(journal: Path, shell: Shell) -> None:
    """The last record of an instant is what had happened by then; before the first there is nothing."""
    moment = json.loads(shell("state", "--at", 400, "--json", "--file", journal)[1])
    at = datetime.fromisoformat(moment["at"])
    by_time = json.loads(shell("state", "--at", at.isoformat(), "--json", "--file", journal)[1])
    assert by_time["record"] >= 400 and by_time["at"] == moment["at"]
    before = json.loads(
        shell("state", "--at", (at - timedelta(microseconds=1)).isoformat(), "--json", "--file", journal)[1]
    )
    assert before["record"] < 400
    assert "nothing had happened" in shell("state", "--at", "1999-01-01", "--file", journal)[1]


def test_a_moment_shows_book_orders_targets_and_what_is_held_back(journal: Path, shell: Shell) -> None:
    """In the middle of a morning of trading, with an order at work; and now."""
    code, out, _ = shell("state", "--at", "2007-01-03T16:00", "--file", journal)
    assert code == 0 and "positions" in out and "live orders" in out and "working" in out and "momentum" in out
    told = json.loads(shell("state", "--json", "--file", journal)[1])
    assert {"positions", "orders", "verbs", "quarantines", "targets", "account_value", "link"} <= told.keys()
    assert told["record"] == last_of(journal)


def last_of(path: Path) -> int:
    with finding(path) as finder:
        return finder.last


def test_a_record_beyond_the_end_is_told(journal: Path, shell: Shell) -> None:
    """With where the journal ends."""
    code, _, err = shell("state", "--at", 10**9, "--file", journal)
    assert code == 64 and "it ends with record" in err


def test_nothing_is_written_by_any_of_them(tmp_path: Path, shell: Shell) -> None:
    """The file's bytes are those of before."""
    path = journal_of(demo(5), tmp_path)
    before = path.read_bytes()
    for words in (["why", 1], ["why", 1, "--recompute"], ["decision"], ["fills"], ["events"], ["state"]):
        assert shell(*words, "--file", path)[0] == 0
    assert path.read_bytes() == before


def test_a_time_no_clock_can_show_is_one_sentence_and_the_first_day_is_a_day(shell: Shell, journal: Path) -> None:
    """The first day there is shows everything; what lies outside in UTC is refused."""
    assert shell("fills", "--since", "0001-01-01", "--file", journal) == shell("fills", "--file", journal)
    for option, text in (("--since", "0001-01-01T00:00:00+14:00"), ("--until", "9999-12-31T23:00:00-14:00")):
        for command in ("fills", "events"):
            code, out, said = shell(command, option, text, "--file", journal)
            assert (code, out) == (64, "")
            assert f"{option} {text}: in UTC this lies outside the years 1 to 9999" in said


@pytest.mark.parametrize("words", [["why", "3"], ["fills"], ["events"], ["state"], ["decision"]])
def test_a_directory_is_called_one(shell: Shell, tmp_path: Path, words: list[str]) -> None:
    """The disk is not to blame."""
    code, out, said = shell(*words, "--file", tmp_path)
    assert (code, out) == (74, "")
    assert f"{tmp_path} is a directory, not a journal" in said

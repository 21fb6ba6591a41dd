"""Events and facts as records: everything comes back as it went in, and what can't be read says so in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.errors import JournalError
from longwatch.journal.codec import EVENTS, FACTS, SCHEMA, decode, encode, facts_of, is_fact_record, recover
from longwatch.journal.records import Record
from tests.domain.golden import FOLDER, records_in
from tests.domain.play import A_DAY, played, plays

AT = datetime(2007, 1, 5, 14, 35, tzinfo=UTC)
KEPT = m.EventKept(kind="message 11", reason="a field is missing", con_id=1)


@given(plays)
def test_every_record_reads_back_as_what_was_written(acts) -> None:
    """Decimals to the last digit, times with their zone, tuples, enumerations and None: equal, and equal again."""
    play = played(acts)
    said = [item for event, step in play.steps for item in (event, *step.facts)]
    read = [decode(record) for record in play.records]
    assert read == said
    again = [encode(record.sequence, record.cause, item) for record, item in zip(play.records, read, strict=True)]
    assert again == play.records


def test_every_kind_has_a_name_of_its_own() -> None:
    """A record's kind alone tells what it holds."""
    assert not set(EVENTS) & set(FACTS)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_is_exact(value: Decimal) -> None:
    """A Decimal is written as its text, not through a float."""
    fact = m.AccountValued(net_liquidation=value, cash=value, tech=AT)
    back = decode(encode(1, 0, fact))
    assert isinstance(back, m.AccountValued)
    assert (str(back.cash), back.tech.tzinfo) == (str(value), UTC)


def test_a_payload_can_be_read_by_eye() -> None:
    """JSON with the fields in their order."""
    payload = encode(1, 0, m.CommissionSeen(at=AT, tech=AT, exec_id="1.01", commission=Decimal("1.00"), currency="USD"))
    assert payload.payload.startswith(b'{"at":"2007-01-05T14:35:00Z","tech":"2007-01-05T14:35:00Z","exec_id":"1.01",')
    assert json.loads(payload.payload)["commission"] == "1.00"


def test_events_are_kept_and_facts_are_folded() -> None:
    """Only facts come out of a fold."""
    play = played(A_DAY)
    facts = [fact for _, step in play.steps for fact in step.facts]
    assert list(facts_of(play.records)) == facts
    assert sum(map(is_fact_record, play.records)) == len(facts)


@pytest.mark.parametrize(
    "damage, says",
    [
        ({"kind": "OrderTeleported"}, "journal record 7 is a OrderTeleported of schema 1, which this version does not"),
        (
            {"schema": SCHEMA + 1},
            f"journal record 7 is a EventKept of schema {SCHEMA + 1}, which this version does not",
        ),
        ({"payload": b"{"}, "journal record 7 (EventKept) can't be read: "),
        ({"payload": b"\xff"}, "journal record 7 (EventKept) can't be read: "),
        (
            {"payload": b'{"kind":"message 11","reason":"\xff","con_id":1}'},
            "journal record 7 (EventKept) can't be read",
        ),
        ({"payload": b'{"kind":1,"reason":"x","con_id":1}'}, "journal record 7 (EventKept) can't be read: Expected"),
    ],
    ids=["kind", "schema", "cut off", "not text", "not utf-8", "wrong type"],
)
def test_a_record_that_can_not_be_read_is_one_clear_error(damage, says: str) -> None:
    """Which record, of which kind, and why; recovery ends there rather than go on with a gap."""
    record = replace(encode(7, 0, KEPT), **damage)
    with pytest.raises(JournalError) as told:
        decode(record)
    assert str(told.value).startswith(says)
    with pytest.raises(JournalError, match="journal record 7"):
        recover([encode(1, 0, KEPT), record])


def test_a_record_that_contradicts_those_before_it_is_one_clear_error() -> None:
    """A move of an order that was never intended: the journal is damaged, and says where."""
    moved = next(record for record in records_in(FOLDER / "journal_1.txt") if record.kind == "OrderMoved")
    with pytest.raises(JournalError, match=rf"journal record {moved.sequence} \(OrderMoved\) contradicts"):
        recover([moved])


def test_text_that_no_file_can_hold_is_refused_and_not_half_written() -> None:
    """A lone surrogate, out of bytes that were not text."""
    with pytest.raises(JournalError, match="a EventKept can't be written as journal record 3"):
        encode(3, 0, replace(KEPT, reason="\ud800"))


def test_an_older_program_ignores_fields_added_with_a_default() -> None:
    """A field more is no new schema; a field less takes its default."""
    more = Record(
        sequence=1, cause=0, kind="EventKept", schema=1, payload=b'{"kind":"a","reason":"b","con_id":null,"new":[1]}'
    )
    assert decode(more) == m.EventKept(kind="a", reason="b", con_id=None)
    row = b'{"con_id":1,"symbol":"AAA","book":"1","outside":"0","account":"2"}'
    compared = b'{"reason":"x","positions":1,"orders":0,"differences":[%s],"activity":0,"tech":"2007-01-05T14:35:00Z"}'
    less = decode(Record(sequence=1, cause=0, kind="BookCompared", schema=1, payload=compared % row))
    assert isinstance(less, m.BookCompared)
    assert less.differences[0].since is None

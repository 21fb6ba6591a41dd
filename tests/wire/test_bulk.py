"""Facts about reading a long history by columns."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.wire.bulk import bar_columns, read_bars
from longwatch.wire.fields import UnreadableField, show_double
from longwatch.wire.framing import frame, split
from longwatch.wire.replies import encode_reply

BARS = [
    {"date": "20240102", "open": "187.15", "high": "188.44", "low": "183.88", "close": "185.64", "volume": "82488700"},
    {"date": "20240103", "open": "184.22", "high": "185.88", "low": "183.43", "close": "184.25", "volume": "58414500"},
]
HISTORY = split(encode_reply("historicalData", {"reqId": 7, "start": "a", "end": "b", "bars": BARS}, 176)[4:])


def test_each_column_holds_one_value_a_bar() -> None:
    """Dates stay text, numbers become doubles, what was left out is -1."""
    columns = bar_columns(HISTORY)
    assert (columns.req_id, columns.start, columns.end) == (7, "a", "b")
    assert columns.dates == ["20240102", "20240103"]
    assert list(columns.close) == [185.64, 184.25]
    assert list(columns.count) == [-1.0, -1.0]


def packed(fields: list[str]) -> bytes:
    return frame(fields)[4:]


def test_plain_numbers_as_dates_are_read_as_numbers() -> None:
    """From the bytes: the same columns, and dates that are numbers."""
    fields, columns = bar_columns(HISTORY), read_bars(packed(HISTORY))
    assert list(columns.dates) == [20240102.0, 20240103.0]
    assert replace(columns, dates=fields.dates) == fields


def test_dates_with_a_zone_stay_text() -> None:
    """What is no list of numbers is read field by field."""
    zoned = [{**bar, "date": f"{bar['date']} 09:30:00 US/Eastern"} for bar in BARS]
    fields = split(encode_reply("historicalData", {"reqId": 7, "start": "a", "end": "b", "bars": zoned}, 176)[4:])
    assert read_bars(packed(fields)) == bar_columns(fields)


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 7), max_size=5))
def test_both_ways_of_reading_give_the_same_doubles(rows: list[tuple[float, ...]]) -> None:
    """To the last bit, in every form a double is written in."""
    bars = [dict(zip(("open", "high", "low", "close", "volume", "wap", "count"), row, strict=True)) for row in rows]
    texts = [["20240102", *map(show_double, bar.values())] for bar in bars]
    fields = ["17", "7", "a", "b", str(len(bars)), *(text for row in texts for text in row)]
    columns = read_bars(packed(fields))
    assert replace(columns, dates=[]) == replace(bar_columns(fields), dates=[])


SPOILT = [HISTORY[:-1], [*HISTORY, "1"], HISTORY[:4], ["17", "x", "a", "b", "0"], [*HISTORY[:6], "1,2", *HISTORY[8:]]]


@pytest.mark.parametrize("fields", SPOILT)
def test_bytes_of_the_wrong_length_are_refused_whole(fields: list[str]) -> None:
    """Neither a mark of JSON's in a field nor a missing one shifts the columns."""
    with pytest.raises(UnreadableField):
        read_bars(packed(fields))


def test_an_empty_history_has_empty_columns() -> None:
    """No bars is a message too."""
    assert len(bar_columns(["17", "7", "a", "b", "0"]).close) == 0


@pytest.mark.parametrize("fields", [HISTORY[:-1], [*HISTORY, "1"], HISTORY[:4], ["17", "x", "a", "b", "0"]])
def test_a_history_of_the_wrong_length_is_refused_whole(fields: list[str]) -> None:
    """A cut or padded message gives no bars at all."""
    with pytest.raises(UnreadableField):
        bar_columns(fields)


def test_a_price_that_is_no_number_is_named() -> None:
    """The column and its text are in the error."""
    spoilt = [*HISTORY]
    spoilt[5 + 8 + 2] = "abc"
    with pytest.raises(UnreadableField) as caught:
        bar_columns(spoilt)
    assert (caught.value.field, caught.value.text) == ("High", "abc")

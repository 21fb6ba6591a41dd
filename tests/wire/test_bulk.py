"""Facts about reading a long history by columns."""

from __future__ import annotations

import pytest

from longwatch.wire.bulk import bar_columns
from longwatch.wire.fields import UnreadableField
from longwatch.wire.framing import split
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

"""Facts about the message tables: what is written is read again, in as many fields as real messages have."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.errors import ProtocolError
from longwatch.wire.fields import UnreadableField
from longwatch.wire.framing import Frames, split
from longwatch.wire.layout import Field, Literal, Message, Repeat, Row, label
from longwatch.wire.replies import REPLIES, UnknownReply, decode_reply, encode_reply, quick
from longwatch.wire.requests import REQUESTS, Request, UnknownRequest, decode_request, encode_request
from tests.wire.invented import VERSIONS, invent

STOCK = {"conId": 265598, "symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
ORDER = {**STOCK, "action": "BUY", "totalQuantity": 100, "orderType": "LMT", "lmtPrice": Decimal("150.25")}


def fields_of(framed: bytes) -> list[str]:
    """The fields of one framed message."""
    (payload,) = Frames().feed(framed)
    return split(payload)


@pytest.mark.parametrize("server_version", VERSIONS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_every_reply_is_read_as_it_was_written(server_version: int, seed: int) -> None:
    """Any values of any reply come back equal, with no field left over."""
    luck = random.Random(seed)
    for message in REPLIES:
        if message.since > server_version:
            continue
        values = invent(message.rows, server_version, luck)
        read = decode_reply(fields_of(encode_reply(message.name, values, server_version)), server_version)
        assert not isinstance(read, UnknownReply)
        assert (read.name, read.values, read.rest) == (message.name, values, ())


@pytest.mark.parametrize("server_version", VERSIONS)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_every_request_is_read_as_it_was_written(server_version: int, seed: int) -> None:
    """Any values of any request come back equal, with no field left over."""
    luck = random.Random(seed)
    for message in REQUESTS:
        if message.since > server_version:
            continue
        values = invent(message.rows, server_version, luck)
        read = decode_request(fields_of(encode_request(message.name, values, server_version)), server_version)
        assert isinstance(read, Request)
        assert (read.name, read.values, read.rest) == (message.name, values, ())


@pytest.mark.parametrize(
    ("name", "values", "counts"),
    [
        (
            "placeOrder",
            {"orderId": 1, **ORDER},
            {157: 110, 158: 111, 160: 112, 162: 113, 166: 114, 169: 115, 176: 115, 178: 114},
        ),
        ("cancelOrder", {"orderId": 1}, {157: 3, 168: 3, 169: 4, 178: 4}),
        ("reqContractDetails", {"reqId": 1, **STOCK}, {157: 18, 175: 18, 176: 19}),
        ("reqWshEventData", {"reqId": 1, "conId": 5}, {161: 3, 171: 7, 173: 10}),
        ("replaceFA", {"faDataType": 1, "reqId": 3}, {157: 5}),
    ],
)
def test_a_request_has_the_fields_client_libraries_send(
    name: str, values: dict[str, Any], counts: dict[int, int]
) -> None:
    """Field counts, id included, at each version that changes them."""
    assert {version: len(fields_of(encode_request(name, values, version))) for version in counts} == counts


_STATE = {"status": "Submitted"}
_EXECUTION = {"orderId": 5, **STOCK, "execId": "e", "time": "t", "side": "BOT", "shares": 1, "price": Decimal("96.90")}


@pytest.mark.parametrize(
    ("name", "values", "counts"),
    [
        ("tickPrice", {"reqId": 1, "tickType": 1, "price": 5}, {157: 7, 178: 7}),
        ("orderStatus", {"orderId": 1, "status": "Filled", "filled": 1, "remaining": 0}, {157: 12, 178: 12}),
        ("error", {"errorCode": 2104, "errorString": "x"}, {157: 5, 165: 5, 166: 6, 178: 6}),
        (
            "openOrder",
            {"orderId": 5, **ORDER, **_STATE},
            {157: 128, 162: 131, 169: 131, 170: 136, 176: 136, 177: 135, 178: 135},
        ),
        ("completedOrder", {**ORDER, **_STATE}, {157: 96, 162: 96, 169: 96, 170: 101, 176: 101, 177: 100, 178: 100}),
        ("execDetails", _EXECUTION, {157: 31, 177: 31, 178: 32}),
        ("position", {"account": "D", **STOCK, "position": 1}, {157: 16, 178: 16}),
        ("positionMulti", {"reqId": 1, "account": "D", **STOCK, "position": 1}, {176: 18}),
        ("commissionReport", {"execId": "e", "commission": 1, "currency": "USD"}, {157: 8, 178: 8}),
        ("updatePortfolio", {"conId": 1, "position": 1, "account": "D"}, {157: 20, 178: 20}),
        (
            "contractDetails",
            {"reqId": 1, **STOCK, "secIdList": (("ISIN", "US"),)},
            {157: 41, 163: 42, 164: 42, 178: 42},
        ),
        ("tickOptionComputation", {"reqId": 1, "tickType": 10}, {157: 12, 178: 12}),
        ("completedOrdersEnd", {}, {157: 1, 178: 1}),
        ("realtimeBar", {"reqId": 1, "time": 1, "open": 1, "high": 1, "low": 1, "close": 1}, {176: 11}),
    ],
)
def test_a_reply_has_the_fields_real_gateways_send(name: str, values: dict[str, Any], counts: dict[int, int]) -> None:
    """Field counts, id included, at each version that changes them."""
    assert {version: len(fields_of(encode_reply(name, values, version))) for version in counts} == counts


def test_a_writer_gives_only_what_matters() -> None:
    """The constants of a real open order fill the rest, each at its place."""
    fields = fields_of(encode_reply("openOrder", {"orderId": 5, **ORDER, **_STATE}, 176))
    assert [fields[i] for i in (6, 7, 16, 17, 18, 42, 49, 54, 62, 68, 88, 94, 95, 103, 112, 113, 124)] == [
        "0", "?", "150.25", "0.0", "DAY", "-1", "2147483647", "3", "None", "?", "IB", "Submitted",
        "1.7976931348623157E308", "1.7976931348623157E308", "None", "1.7976931348623157E308", "1",
    ]  # fmt: skip


def test_a_value_of_none_is_unset_and_not_the_default() -> None:
    """Leaving a field out and giving None are two things."""
    left_out = fields_of(encode_reply("openOrder", {"orderId": 5, **ORDER, **_STATE}, 176))
    unset = fields_of(
        encode_reply("openOrder", {"orderId": 5, **ORDER, **_STATE, "lmtPrice": None, "ocaType": None}, 176)
    )
    assert (left_out[54], unset[54], unset[16]) == ("3", "", "")


def test_a_field_that_can_not_be_read_is_named_with_its_text() -> None:
    """The gateway answers error 320 with exactly this sentence."""
    with pytest.raises(UnreadableField) as caught:
        decode_request(["97", "AAPL", *["0"] * 15], 176)
    assert (caught.value.field, caught.value.text) == ("Client Req Id", "AAPL")
    assert str(caught.value) == "Unable to parse field: 'Client Req Id' for input string: 'AAPL'"


@pytest.mark.parametrize("fields", [[], [""], ["AAPL"], ["1.0"]])
def test_a_message_without_an_id_is_unreadable(fields: list[str]) -> None:
    """No number in front, no message."""
    with pytest.raises(UnreadableField):
        decode_request(fields, 176)
    with pytest.raises(UnreadableField):
        decode_reply(fields, 176)


@pytest.mark.parametrize("name", [message.name for message in REQUESTS if len(message.rows) > 2])
def test_a_request_cut_short_is_unreadable(name: str) -> None:
    """Every shortening by one field is noticed, never read as something else."""
    message = next(message for message in REQUESTS if message.name == name)
    fields = fields_of(encode_request(name, invent(message.rows, 176, random.Random(name)), 176))
    with pytest.raises(UnreadableField):
        decode_request(fields[:-1], 176)


@pytest.mark.parametrize("count", ["-1", "5", "2147483646", "x"])
def test_a_count_that_the_fields_can_not_hold_is_unreadable(count: str) -> None:
    """A wild count is refused before anything is built of it."""
    with pytest.raises(UnreadableField) as caught:
        decode_reply(["17", "1", "a", "b", count, "20240102", "1", "1", "1", "1"], 176)
    assert caught.value.text == count


def test_an_unknown_case_is_unreadable() -> None:
    """A condition or tick of a type nobody knows can't be skipped: its width is unknown."""
    with pytest.raises(UnreadableField):
        decode_reply(["99", "1", "9", "1678740829", "3895.25"], 176)
    with pytest.raises(ProtocolError, match="must be one of"):
        encode_reply("tickByTick", {"reqId": 1, "tickType": 9, "time": 1}, 176)


@pytest.mark.parametrize(("server_version", "known"), [(160, False), (161, True)])
def test_a_request_of_a_later_version_is_unknown(server_version: int, known: bool) -> None:
    """An id begins with its version; before, it says so and keeps the fields."""
    read = decode_request(["100", "7"], server_version)
    assert isinstance(read, Request) is known
    assert known or read == UnknownRequest(id=100, fields=("7",))


def test_fields_after_the_last_known_one_are_kept() -> None:
    """What a later server adds at the end is neither lost nor an error."""
    read = decode_reply(["9", "1", "4", "new"], 176)
    assert isinstance(read, UnknownReply) is False
    assert read == decode_reply(["9", "1", "4", "new"], 176)
    assert not isinstance(read, UnknownReply) and read.rest == ("new",)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"tickType": 1, "price": 1}, "reqId must be given"),
        ({"reqId": 1, "tickType": 1, "price": 1, "prize": 2}, "has no field prize"),
        ({"reqId": "AAPL", "tickType": 1, "price": 1}, "reqId can't hold 'AAPL'"),
        ({"reqId": 1, "tickType": 1, "price": Decimal("NaN")}, "price can't hold"),
        ({"reqId": 1, "tickType": 1, "price": "1\0002"}, "price can't hold"),
    ],
)
def test_a_writer_is_told_which_field_is_wrong(values: dict[str, Any], complaint: str) -> None:
    """Missing, unknown, of another kind, not a number, or with a NUL in it."""
    with pytest.raises(ProtocolError, match=complaint):
        encode_reply("tickPrice", values, 176)


def test_a_field_of_another_version_may_be_given() -> None:
    """A writer need not know at which version a field came or went."""
    values = {"orderId": 5, **ORDER, **_STATE, "faProfile": "p", "minTradeQty": 3}
    assert len(fields_of(encode_reply("openOrder", values, 178))) == 135
    assert len(fields_of(encode_reply("openOrder", values, 157))) == 128


def test_a_reply_before_its_version_can_not_be_written() -> None:
    """A schedule does not exist before 165."""
    with pytest.raises(ProtocolError, match="165"):
        encode_reply("historicalSchedule", {}, 164)


@pytest.mark.parametrize("server_version", [151, 156, 179, 200])
def test_layouts_outside_the_spoken_versions_are_not_guessed(server_version: int) -> None:
    """Below 157 and above 178 fields differ: nothing is written or read."""
    with pytest.raises(ProtocolError, match="157 to 178"):
        encode_reply("nextValidId", {"orderId": 1}, server_version)
    with pytest.raises(ProtocolError, match="157 to 178"):
        decode_request(["1", "11"], server_version)


@pytest.mark.parametrize("unknown", ["tickPrize", "placeOrder"])
def test_a_reply_nobody_knows_can_not_be_written(unknown: str) -> None:
    """The name is in the message."""
    with pytest.raises(ProtocolError, match=unknown):
        encode_reply(unknown, {}, 176)


def plain_replies() -> list[Message]:
    """The replies whose rows are all plain fields."""
    return [m for m in REPLIES if all(isinstance(row, Field | Literal) for row in m.rows) and m.since <= 176]


@pytest.mark.parametrize("message", plain_replies(), ids=lambda message: message.name)
def test_the_quick_writer_writes_the_same_bytes(message: Message) -> None:
    """The path for quotes comes from the same table."""
    values = invent(message.rows, 176, random.Random(message.id))
    fields = [row for row in message.rows if isinstance(row, Field)]
    values |= {row.name: _some(row) for row in fields if values.get(row.name, 0) is None}
    assert quick(message.name, 176)(*values.values()) == encode_reply(message.name, values, 176)


def _some(row: Field) -> Any:
    return 7 if row.kind.name in {"int", "id", "long", "decimal", "double"} else ""


def test_the_quick_writer_refuses_what_does_not_fit() -> None:
    """Too few, too many, of another kind; and a message with groups has no quick writer."""
    write = quick("tickPrice", 176)
    for values in [(1, 1, 5, 5), (1, 1, 5, 5, 0, 0), ("x", 1, 5, 5, 0)]:
        with pytest.raises(TypeError):
            write(*values)
    with pytest.raises(ProtocolError, match="use encode"):
        quick("historicalData", 176)


def all_rows(rows: tuple[Row, ...]) -> list[Row]:
    """Rows and the rows of their groups."""
    found = list(rows)
    for row in rows:
        found += all_rows(row.rows) if isinstance(row, Repeat) else []
    return found


def test_ids_and_names_are_unique_and_version_numbers_come_first() -> None:
    """The tables hold what the codec takes for granted."""
    for table in (REQUESTS, REPLIES):
        assert len({message.id for message in table}) == len({message.name for message in table}) == len(table)
        for message in table:
            later = all_rows(message.rows)[1:]
            assert not any(isinstance(row, Literal) for row in later), message.name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("reqId", "Client Req Id"),
        ("orderId", "Order Id"),
        ("lmtPrice", "Lmt Price"),
        ("useRTH", "Use RTH"),
        ("tif", "Tif"),
    ],
)
def test_labels_are_words(name: str, shown: str) -> None:
    """A field's label is its name in words, as error 320 shows it."""
    assert label(name) == shown

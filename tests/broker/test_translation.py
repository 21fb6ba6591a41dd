"""From the broker's fields to our values: exact, aware, without sentinels, and whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.contracts import DetailsRow, Wanted, chosen
from longwatch.broker.figures import amount, identity, instant, number, plain, zone_of
from longwatch.broker.heard import Heard
from longwatch.broker.ib import UNDECODABLE, Reader, installed, load
from longwatch.broker.translate import Translator
from longwatch.clock import SteppedClock
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.errors import ConfigError
from longwatch.simulation.loop import run
from longwatch.wire.framing import frame, split
from longwatch.wire.replies import encode_reply
from tests.broker.bench import ACCOUNT, START, VERSION

MAX = 1.7976931348623157e308


class Record:
    """A connection's owner that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def said(*arguments: object) -> None:
            self.said.append((name, arguments))

        return said

    def events(self) -> list[m.Event]:
        return [arguments[0] for name, arguments in self.said if name == "event"]


def hear(reader: Reader, fields: list[str]) -> bool:
    """Let it hear a message as a line does; whether that was a row told before."""
    payload = frame(fields)[4:]
    repeats = reader.repeats(payload)
    if not repeats:
        reader.read(int(fields[0]), [*fields], payload)
    return repeats


def read(*messages: list[str], version: int = VERSION, zone: str = "America/New_York") -> Record:
    """What is told of these messages. Raises one of UNDECODABLE."""

    async def main() -> Record:
        record = Record()
        heard: Heard = record  # type: ignore[assignment]
        translator = Translator(heard, SteppedClock(lambda: 0.0, market_start=START), zone)
        reader = Reader(load(installed()), translator, heard, version)
        for fields in messages:
            hear(reader, fields)
        return record

    return run(main())


def reply(name: str, **values: object) -> list[str]:
    return split(encode_reply(name, values, VERSION)[4:])


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("unset", [MAX, "1.7976931348623157E308", 2**31 - 1, "2147483647", "", float(2**63), -(2**63)])
def test_sentinels_become_none(unset: float | int | str) -> None:
    """Every way of the broker to say "unset" is None at the door (A26)."""
    assert number(unset) is None
    with pytest.raises(ValueError, match="unset"):
        amount(unset)


@given(cents=st.integers(-(10**9), 10**9))
def test_a_price_keeps_its_digits(cents: int) -> None:
    """What the broker sent as a price with two decimals is exactly that, through the library's float."""
    exact = Decimal(cents) / 100
    assert number(float(str(exact))) == exact
    assert number(str(exact)) == exact


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_a_number_is_written_plainly(value: Decimal) -> None:
    """No exponent goes out, and what goes out is what was meant."""
    assert "E" not in plain(value)
    assert Decimal(plain(value)) == value


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity"])
def test_what_is_not_finite_is_not_a_number(text: str) -> None:
    """Neither as text nor as a float."""
    for value in (text, float(text)):
        with pytest.raises(ValueError, match="not a finite number"):
            number(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20231116-12:15:35", datetime(2023, 11, 16, 12, 15, 35, tzinfo=UTC)),
        ("20231115 09:20:44 GB-Eire", datetime(2023, 11, 15, 9, 20, 44, tzinfo=UTC)),
        ("20230715 09:20:44 GB-Eire", datetime(2023, 7, 15, 8, 20, 44, tzinfo=UTC)),
        ("20230224  12:04:56", datetime(2023, 2, 24, 17, 4, 56, tzinfo=UTC)),
        ("20230724 12:04:56 EST", datetime(2023, 7, 24, 16, 4, 56, tzinfo=UTC)),
        ("20230724 12:04:56 JST", datetime(2023, 7, 24, 3, 4, 56, tzinfo=UTC)),
        ("20250415 19:38:30 British Summer Time", datetime(2025, 4, 15, 18, 38, 30, tzinfo=UTC)),
        ("1700137535", datetime(2023, 11, 16, 12, 25, 35, tzinfo=UTC)),
    ],
)
def test_every_form_of_time_is_read_in_utc(text: str, expected: datetime) -> None:
    """The zone is the text's own, UTC for the dash form, the gateway's where none is named; EST has summers (D52)."""
    assert instant(text, "America/New_York") == expected


NO_TIMES = [
    *("", "20231116", "yesterday", "20231116 25:00:00", "20231116 12:00:00 Nowhere/Land"),
    *("9" * 12, "9" * 18, "9" * 30, "99991231 23:59:59 US/Hawaii", "00010101 00:00:00 Japan", "00010101-00:00:00"),
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_raises(text: str) -> None:
    """A time that can't be read is never guessed; neither are eighteen digits a time."""
    with pytest.raises((ValueError, KeyError)):
        instant(text, "America/New_York")


@pytest.mark.parametrize("text", ["1e-999999999", "0e-999999999"])
def test_a_figure_of_a_billion_places_is_none(text: str) -> None:
    """Written out plainly it would fill the memory."""
    with pytest.raises(ValueError, match="finer than any figure"):
        number(text)


def test_ids_that_mean_none_are_zero() -> None:
    """A manual order's 2147483647 is the 0 of other messages."""
    assert (identity(2**31 - 1), identity(0), identity(-3), identity(7)) == (0, 0, -3, 7)


def test_a_library_that_is_not_known_is_named() -> None:
    """A slip in the setting is one sentence."""

    async def main() -> None:
        with pytest.raises(ConfigError, match="'ibapi' is not known: ib_insync or ib_async"):
            load("ibapi")

    run(main())


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_read_whole() -> None:
    """Message 5 with its identity, terms and status; a market order's lmtPrice is no limit."""
    fields = {
        "orderId": 3,
        "conId": 265598,
        "symbol": "AAPL",
        "secType": "STK",
        "currency": "USD",
        "action": "BUY",
        "totalQuantity": Decimal("57.68"),
        "orderType": "MKT",
        "lmtPrice": Decimal("96.79"),
        "auxPrice": Decimal(0),
        "tif": "DAY",
        "account": ACCOUNT,
        "orderRef": "lw:test:1",
        "clientId": 7,
        "permId": 600745656,
        "status": "PreSubmitted",
    }
    (market,) = read(reply("openOrder", **fields)).events()
    assert isinstance(market, m.OpenOrderSeen)
    assert (market.order_id, market.client_id, market.perm_id, market.ref) == (3, 7, 600745656, "lw:test:1")
    assert (market.quantity, market.limit_price, market.stop_price) == (Decimal("57.68"), None, None)
    stop = {**fields, "orderType": "STP", "auxPrice": Decimal("90.25")}
    (stopped,) = read(reply("openOrder", **stop)).events()
    assert isinstance(stopped, m.OpenOrderSeen)
    assert (stopped.limit_price, stopped.stop_price) == (None, Decimal("90.25"))


def test_an_opening_fill_has_no_realised_profit() -> None:
    """Message 59 says MAX for what is not there."""
    message = reply("commissionReport", execId="e.01", commission=Decimal("1.7"), currency="USD", realizedPNL=None)
    (report,) = read(message).events()
    assert isinstance(report, m.CommissionSeen)
    assert (report.commission, report.realized_pnl) == (Decimal("1.7"), None)


def test_what_is_half_decoded_is_not_told() -> None:
    """A message that fails after its first figures leaves no trace."""
    good = reply("orderStatus", orderId=1, status="Submitted", filled=Decimal(0), remaining=Decimal(1), permId=5)
    with pytest.raises(UNDECODABLE):
        read([*good[:4], "most of it", *good[5:]])
    with pytest.raises(UNDECODABLE):
        read(good[:5])
    assert len(read(good).events()) == 1


def test_what_failed_to_decode_is_not_told_with_the_next_message() -> None:
    """A wrapper that had begun to speak when its message failed has forgotten it by the next one."""

    async def main() -> list[str]:
        record = Record()
        translator = Translator(record, SteppedClock(lambda: 0.0, market_start=START), "UTC")  # type: ignore[arg-type]
        translator.positionEnd()
        reader = Reader(load(installed()), translator, record, VERSION)  # type: ignore[arg-type]
        hear(reader, ["53", "1"])
        return [str(arguments[0]) for _, arguments in record.said]

    assert run(main()) == ["open orders"]


def test_a_callback_nobody_needs_is_counted() -> None:
    """News bulletins and the like are read, counted and left alone."""
    record = read(["14", "1", "5", "1", "text", "NYSE"], ["8", "1", "14:58"], ["107", "1", ""])
    assert record.said == []


def test_an_unknown_message_is_undecodable() -> None:
    """A type that the library does not know is told, not passed over."""
    with pytest.raises(UNDECODABLE):
        read(["999", "1"])


def recorded_lines(folder: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of recorded messages with the server version they were recorded at."""
    version = 0
    for line in (folder / name).read_text().splitlines():
        if line.startswith("# source:"):
            words = line.split("server version ")
            digits = words[1][:3] if len(words) > 1 else ""
            version = int(digits) if digits.isdecimal() else 0
        elif line and not line.startswith("#"):
            unescaped = (part.replace("\\p", "|").replace("\\n", "\n") for part in line.split("|")[:-1])
            yield version, list(unescaped)


SAME_AT_ALL_VERSIONS = {
    "003_orderStatus.txt": m.OrderStatusSeen,
    "059_commissionReport.txt": m.CommissionSeen,
}
AT_ITS_OWN_VERSION = {
    "005_openOrder.txt": m.OpenOrderSeen,
    "011_execDetails.txt": m.ExecutionSeen,
    "101_completedOrder.txt": m.CompletedOrderSeen,
}


@pytest.mark.parametrize("name", [*SAME_AT_ALL_VERSIONS, *AT_ITS_OWN_VERSION])
def test_recorded_messages_become_events(recorded: Path, name: str) -> None:
    """What a real gateway sent at a version we speak is translated, every line of it, without a sentinel."""
    kind = {**SAME_AT_ALL_VERSIONS, **AT_ITS_OWN_VERSION}[name]
    count = 0
    for version, fields in recorded_lines(recorded, name):
        if name in AT_ITS_OWN_VERSION and not 170 <= version <= 176:
            continue
        if name in SAME_AT_ALL_VERSIONS or version:
            (event,) = read(fields).events()
            assert isinstance(event, kind)
            figures = [getattr(event, field) for field in event.__slots__]
            assert all(abs(each) < 10**12 for each in figures if isinstance(each, Decimal))
            count += 1
    assert count > 2


def test_recorded_errors_and_positions_are_read(recorded: Path) -> None:
    """Messages 4 and 61 as a real gateway sent them."""
    for name, word in (("061_position.txt", "position"), ("058_marketDataType.txt", "market_data_type")):
        lines = [fields for _, fields in recorded_lines(recorded, name)]
        assert [said for said, _ in read(*lines).said] == [word] * len(lines)
    errors = [fields for version, fields in recorded_lines(recorded, "004_errMsg.txt") if version == VERSION]
    told = read(*errors).said
    assert [said for said, _ in told] == ["error"] * len(errors)
    assert (36, 202, "Order Canceled - reason:") in [arguments for _, arguments in told]


# ── contracts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def row(**changed: object) -> DetailsRow:
    fields: dict[str, object] = {
        "con_id": 265598,
        "symbol": "AAPL",
        "sec_type": "STK",
        "currency": "USD",
        "exchange": "SMART",
        "primary_exchange": "NASDAQ",
        "tick": Decimal("0.01"),
        "min_size": None,
        "size_increment": Decimal("0.0001"),
        "multiplier": None,
        "zone": "US/Eastern",
    }
    return DetailsRow(**{**fields, **changed})  # type: ignore[arg-type]


def test_the_one_contract_is_chosen() -> None:
    """A stock trades in whole shares through the API, whatever increment the broker names; zones are IANA's."""
    found = chosen(Wanted(symbol="AAPL"), [row(), row(currency="EUR", con_id=2)])
    assert found == Instrument(con_id=265598, symbol="AAPL", primary_exchange="NASDAQ", zone="US/Eastern")
    assert isinstance(found, Instrument)
    assert (found.lot, zone_of(found.zone).key) == (Decimal(1), "US/Eastern")


@pytest.mark.parametrize("least", ["0.0001", "1", "25"])
def test_the_fewest_shares_of_an_order_are_the_brokers_word(least: str) -> None:
    """Whatever the lot: what is left of a holding may be closed, where a fraction of a share is taken."""
    found = chosen(Wanted(symbol="AAPL"), [row(min_size=Decimal(least))])
    assert isinstance(found, Instrument)
    assert (found.min_size, found.lot) == (Decimal(least), Decimal(1))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "the broker knows no STK AAPL in USD"),
        ([row(currency="MXN")], "the broker knows no STK AAPL in USD"),
        (
            [row(), row(con_id=2, primary_exchange="ARCA")],
            "AAPL is ambiguous (ARCA, NASDAQ): name its primary exchange",
        ),
        ([row(tick=None)], "the broker gave no price increment for AAPL"),
        ([row(zone="Mars/Olympus")], "the broker gave AAPL the unknown time zone 'Mars/Olympus'"),
    ],
)
def test_a_contract_that_cannot_be_told_is_missing_with_a_reason(rows: list[DetailsRow], reason: str) -> None:
    """Nothing is guessed: what to do is in the sentence."""
    assert chosen(Wanted(symbol="AAPL"), rows) == reason


def test_a_primary_exchange_tells_namesakes_apart() -> None:
    """With the exchange named, the ambiguity is gone."""
    rows = [row(), row(con_id=2, primary_exchange="ARCA")]
    found = chosen(Wanted(symbol="AAPL", primary_exchange="ARCA"), rows)
    assert isinstance(found, Instrument)
    assert found.con_id == 2


def test_the_sides_of_orders_and_executions_agree() -> None:
    """BUY and BOT are one side, SELL and SLD the other; anything else is undecodable, never a guess."""
    fields = {
        "reqId": -1,
        "orderId": 3,
        "conId": 1,
        "symbol": "AAPL",
        "secType": "STK",
        "execId": "e.01",
        "time": "20231116-12:15:35",
        "acctNumber": ACCOUNT,
        "shares": Decimal(1),
        "price": Decimal("96.9"),
        "cumQty": Decimal(1),
        "avgPrice": Decimal("96.9"),
    }
    for side, expected in (("BOT", Side.BUY), ("SLD", Side.SELL)):
        (event,) = read(reply("execDetails", **fields, side=side)).events()
        assert isinstance(event, m.ExecutionSeen)
        assert event.side is expected
        assert event.executed_at == datetime(2023, 11, 16, 12, 15, 35, tzinfo=UTC)
    for wrong in ({"side": "LENT"}, {"side": "BOT", "shares": -1}):
        with pytest.raises(UNDECODABLE):
            read(reply("execDetails", **{**fields, **wrong}))


def test_no_order_has_fewer_than_no_shares() -> None:
    """A negative count is undecodable: neither a status nor an order is taken from it."""
    status = {"orderId": 3, "status": "Submitted", "filled": 0, "remaining": 1, "permId": 9, "clientId": 7}
    assert read(reply("orderStatus", **status)).events()
    for wrong in ({"filled": -1}, {"remaining": -1}):
        with pytest.raises(UNDECODABLE):
            read(reply("orderStatus", **{**status, **wrong}))


def test_a_row_told_again_is_told_as_of_now() -> None:
    """A row that an earlier reading brought too is the same news at another time; a changed digit makes it another."""

    async def main() -> list[m.Event]:
        record, clock = Record(), SteppedClock(lambda: 0.0, market_start=START)
        heard: Heard = record  # type: ignore[assignment]
        reader = Reader(load(installed()), Translator(heard, clock, "America/New_York"), heard, VERSION)
        repeated: list[bool] = []
        for fee in ("1.25", "1.25", "1.26"):
            repeated.append(
                hear(reader, reply("commissionReport", execId="00.01", commission=Decimal(fee), currency="USD"))
            )
            clock.shift(60.0)
        assert repeated == [False, True, False]
        return record.events()

    first, second, third = run(main())
    assert isinstance(first, m.CommissionSeen) and isinstance(second, m.CommissionSeen)
    assert isinstance(third, m.CommissionSeen)
    assert (second.at - first.at).total_seconds() == 60.0
    assert (first.exec_id, first.commission) == (second.exec_id, second.commission) == ("00.01", Decimal("1.25"))
    assert third.commission == Decimal("1.26")

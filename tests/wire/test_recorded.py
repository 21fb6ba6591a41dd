"""Facts about real messages: each recorded one is read, and written again field by field the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longwatch.wire.bulk import bar_columns
from longwatch.wire.framing import split
from longwatch.wire.replies import REPLIES_BY_ID, UnknownReply, decode_reply, encode_reply
from longwatch.wire.requests import Request, decode_request

recorded = Path(__file__).resolve().parents[2].parent / "shared" / "recorded"
pytestmark = pytest.mark.skipif(
    not recorded.is_dir(), reason="the recorded reference messages are not beside this tree"
)

CHANGED_LATER = frozenset((4, 5, 10, 11, 17, 18, 101))
"""Types whose layout at server version 200 is another than at 178."""

CUT_BY_THE_RECORDER = frozenset(("2152",))
"""Error codes whose only recording lacks the last field of its version."""

_ESCAPES = {"p": "|", "n": "\n", "\\": "\\"}


def fields_in(line: str) -> list[str]:
    """The fields of one recorded line."""
    return [re.sub(r"\\(.)", lambda found: _ESCAPES[found[1]], text) for text in line.rstrip("\n").split("|")[:-1]]


def version_of(source: str) -> int:
    """A server version the recording's note allows: the one it names, or the end of the range that is spoken."""
    note = source.split("server version", 1)[1].split("|", maxsplit=1)[0]
    if "<176" in note:
        return 175
    if found := re.search(r"1\d\d\.\.(1\d\d)", note):
        return min(int(found[1]), 178)
    numbers = [int(number) for number in re.findall(r"\d{3}", note)]
    return min(numbers[0], 178) if numbers and "<=" not in note else 176


def replies_in(recorded: Path) -> list[tuple[str, int, list[str]]]:
    """File, server version and fields of every recorded message whose layout is spoken here."""
    found = []
    for path in sorted(recorded.glob("[01]*.txt")):
        source = ""
        for line in path.read_text().splitlines():
            if line.startswith("# source"):
                source = line
            elif not line.startswith("#"):
                found.append((path.name, source, fields_in(line)))
    return [
        (name, version_of(source), fields)
        for name, source, fields in found
        if int(fields[0]) in REPLIES_BY_ID and not ("version 200" in source and int(fields[0]) in CHANGED_LATER)
    ]


def test_every_recorded_reply_is_written_again_the_same(recorded: Path) -> None:
    """Reading and writing a real message gives its own fields, digits and unset values included."""
    checked = 0
    for name, version, fields in replies_in(recorded):
        if fields[0] == "4" and fields[3] in CUT_BY_THE_RECORDER:
            continue
        read = decode_reply(fields, version)
        assert not isinstance(read, UnknownReply), name
        assert read.rest == (), name
        assert split(encode_reply(read.name, read.values, version)[4:]) == fields, name
        checked += 1
    assert checked > 250


@pytest.mark.parametrize("number", sorted({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 17, 50, 59, 61, 63, 90, 101, 106}))
def test_the_types_a_daemon_lives_by_are_among_the_recordings(recorded: Path, number: int) -> None:
    """The comparison is not empty where it matters."""
    assert any(int(fields[0]) == number for _, _, fields in replies_in(recorded))


@pytest.mark.parametrize("version", [157, 176, 178])
def test_what_client_libraries_send_is_read_to_the_last_field(recorded: Path, version: int) -> None:
    """Requests of every recorded library at this version are known, readable and leave nothing over."""
    paths = sorted((recorded / "requests").glob(f"*_sv{version}.txt"))
    names = set()
    for path in paths:
        for line in path.read_text().splitlines():
            if not line.startswith("#"):
                read = decode_request(fields_in(line), version)
                assert isinstance(read, Request) and read.rest == (), (path.name, line)
                names.add(read.name)
    assert len(paths) >= 2
    assert {"startApi", "placeOrder", "cancelOrder", "reqMktData", "reqHistoricalData", "reqExecutions"} <= names


def test_every_library_means_the_same_order(recorded: Path) -> None:
    """Empty, the largest double and the largest int are all unset: five libraries' first orders agree."""
    meant = set()
    for path in sorted((recorded / "requests").glob("*_sv176.txt")):
        lines = [line for line in path.read_text().splitlines() if line.startswith("3|")]
        read = decode_request(fields_in(lines[0]), 176)
        assert isinstance(read, Request)
        values = read.values
        names = (
            "symbol",
            "action",
            "totalQuantity",
            "orderType",
            "lmtPrice",
            "auxPrice",
            "triggerPrice",
            "cashQty",
            "transmit",
        )
        meant.add(tuple(values[name] for name in names))
    assert len(meant) == 1


def test_columns_of_a_recorded_history_equal_its_rows(recorded: Path) -> None:
    """The path for long histories reads the same numbers."""
    for name, version, fields in replies_in(recorded):
        if fields[0] != "17":
            continue
        read = decode_reply(fields, version)
        assert not isinstance(read, UnknownReply)
        bars, columns = read.values["bars"], bar_columns(fields)
        assert columns.dates == [bar["date"] for bar in bars], name
        for column in ("open", "high", "low", "close", "volume", "wap", "count"):
            assert list(getattr(columns, column)) == [float(bar[column]) for bar in bars], (name, column)

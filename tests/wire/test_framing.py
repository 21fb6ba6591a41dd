"""Facts about frames and the handshake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.errors import ProtocolError
from longwatch.wire.framing import (
    FRAME_LIMIT,
    Frames,
    frame,
    greeting,
    hello,
    negotiate,
    parse_hello,
    split,
    take_hello,
)

MESSAGES = [frame(("9", "1", "4")), frame(("15", "1", "DU1234567")), frame(("102",)), frame(("8", "1", ""))]


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    st.lists(st.integers(min_value=1, max_value=17), min_size=1),
)
def test_any_cutting_of_the_stream_gives_the_same_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    """Frames come out whole and in order, however the bytes were chopped on the way."""
    stream = b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)
    frames = Frames()
    heard: list[bytes] = []
    at = turn = 0
    while at < len(stream):
        step = cuts[turn % len(cuts)]
        heard += frames.feed(stream[at : at + step])
        at, turn = at + step, turn + 1
    assert heard == payloads
    assert frames.waiting == 0


def test_several_frames_in_one_chunk_come_out_at_once() -> None:
    """The four messages of one segment are four payloads."""
    assert [split(payload) for payload in Frames().feed(b"".join(MESSAGES))] == [
        ["9", "1", "4"],
        ["15", "1", "DU1234567"],
        ["102"],
        ["8", "1", ""],
    ]


def test_a_cut_frame_waits_for_its_rest() -> None:
    """Half a message gives nothing, and says how many bytes wait."""
    frames = Frames()
    assert frames.feed(MESSAGES[0][:7]) == []
    assert frames.waiting == 7
    assert frames.feed(MESSAGES[0][7:] + MESSAGES[1][:2]) == [MESSAGES[0][4:]]
    assert frames.waiting == 2


@pytest.mark.parametrize("header", [b"\0\0\0\0", (FRAME_LIMIT + 1).to_bytes(4, "big"), b"GET / HTTP/1.1\r\n"])
def test_an_impossible_length_is_refused(header: bytes) -> None:
    """No bytes, too many bytes, or a browser's greeting: the stream can't be trusted any more."""
    with pytest.raises(ProtocolError, match="close the connection"):
        Frames().feed(header)


def test_frames_before_an_impossible_length_are_not_lost() -> None:
    """What was complete is handed over; the next call reports the break, and every one after it."""
    frames = Frames()
    assert frames.feed(MESSAGES[0] + b"\xff\xff\xff\xff") == [MESSAGES[0][4:]]
    for _ in range(2):
        with pytest.raises(ProtocolError, match="4294967295 bytes"):
            frames.feed(b"")


def test_a_frame_at_the_limit_passes_and_one_above_does_not() -> None:
    """The limit is the largest payload let through."""
    assert Frames(limit=3).feed(b"\0\0\0\x03abc") == [b"abc"]
    with pytest.raises(ProtocolError, match="4 bytes, not 1 to 3"):
        Frames(limit=3).feed(b"\0\0\0\x04abcd")


def test_bytes_that_are_not_text_are_shown_as_escapes() -> None:
    """A stray byte does not stop a message from being split."""
    assert split(b"4\0caf\xe9\0") == ["4", "caf\\xe9"]


@pytest.mark.parametrize("ending", ["", "\0"])
def test_the_version_frame_is_read_with_and_without_a_closing_nul(ending: str) -> None:
    """Client libraries differ in the closing NUL."""
    found = parse_hello(f"v157..176{ending}".encode())
    assert (found.lowest, found.highest, found.options) == (157, 176, "")


def test_connect_options_and_a_single_version_are_read() -> None:
    """Options follow a blank; one version alone is both ends of the range."""
    found = parse_hello(b"v176 +PACEAPI")
    assert (found.lowest, found.highest, found.options) == (176, 176, "+PACEAPI")


@pytest.mark.parametrize("text", [b"", b"176", b"v157..", b"v157-176", b"v\xd9\xa1\xd9\xa2"])
def test_anything_else_is_no_version_frame(text: bytes) -> None:
    """Only vMIN..MAX, in ASCII digits, is an offer."""
    with pytest.raises(ProtocolError, match="not as vMIN"):
        parse_hello(text)


def test_the_opening_is_taken_byte_by_byte() -> None:
    """Until the greeting is complete there is nothing; what follows it is left over for the frames."""
    opening = hello(157, 178, "+PACEAPI") + MESSAGES[0]
    whole = len(opening) - len(MESSAGES[0])
    assert all(take_hello(opening[:size]) is None for size in range(whole))
    taken = take_hello(opening)
    assert taken is not None
    found, rest = taken
    assert (found.lowest, found.highest, found.options, rest) == (157, 178, "+PACEAPI", MESSAGES[0])


@pytest.mark.parametrize("opening", [b"GET ", b"63\0", b"API\0\xff\xff\xff\xff"])
def test_another_protocol_is_refused_at_its_first_bytes(opening: bytes) -> None:
    """A web browser, a client of the unframed protocol and a wild length are each told apart at once."""
    with pytest.raises(ProtocolError, match="close the connection"):
        take_hello(opening)


@pytest.mark.parametrize(
    ("server", "lowest", "highest", "agreed"),
    [(176, 157, 176, 176), (176, 157, 178, 176), (178, 157, 176, 176), (178, 100, 157, 157), (178, 100, 226, 178)],
)
def test_the_highest_common_version_is_agreed(server: int, lowest: int, highest: int, agreed: int) -> None:
    """Both sides' ceilings hold."""
    assert negotiate(server, lowest, highest) == agreed


@pytest.mark.parametrize(("server", "lowest", "highest"), [(176, 100, 151), (176, 177, 200), (170, 176, 176)])
def test_no_common_version_is_refused(server: int, lowest: int, highest: int) -> None:
    """A client too old or too new is refused with both ranges named."""
    with pytest.raises(ProtocolError, match=f"{lowest} to {highest}"):
        negotiate(server, lowest, highest)


def test_the_answer_to_a_greeting_is_version_and_time() -> None:
    """Two fields in one frame."""
    (payload,) = Frames().feed(greeting(176, "20240325 14:30:18 Greenwich Mean Time"))
    assert split(payload) == ["176", "20240325 14:30:18 Greenwich Mean Time"]

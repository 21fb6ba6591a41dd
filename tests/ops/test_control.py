"""The control socket: round trips, bad requests, who is asking, and what is in the way of the socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from longwatch.errors import LinkError, LongwatchError, UsageError
from longwatch.ops import control
from longwatch.ops.control import ControlServer, Reply, call, read_request

NOBODY = 65534


@pytest.fixture
def path() -> Iterator[Path]:
    """A short path that others may look at: sun_path has 107 bytes, and pytest's directories are private."""
    with tempfile.TemporaryDirectory(prefix="lw") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "control.sock"


class Desk:
    """Answers commands, and remembers them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str, str]] = []
        self.failures: list[str] = []

    async def answer(self, command: str, argument: str, reason: str, by: str) -> Reply:
        self.asked.append((command, argument, reason, by))
        match command:
            case "reload":
                raise ZeroDivisionError("a bug")
            case "adopt":
                raise UsageError(f"{argument} is not held in the account")
            case "drain":
                await asyncio.Event().wait()
            case "orders":
                return {"ok": True, "text": "", "data": ["x" * 100_000]}
        return {"ok": True, "text": f"{command} done", "data": {"n": 1}}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def server(path: Path, desk: Desk) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, desk.answer, failed=desk.failures.append, request_seconds=0.2)
    await server.start()
    yield server
    await server.close()


async def ask(path: Path, **request: Any) -> Reply:
    return await asyncio.to_thread(call, path, request, timeout_seconds=5.0)


async def ask_raw(path: Path, raw: bytes) -> list[Reply]:
    reader, writer = await asyncio.open_unix_connection(path, limit=2**22)
    writer.write(raw)
    writer.write_eof()
    async with asyncio.timeout(5):
        replies = (await reader.read()).splitlines()
    writer.close()
    return [json.loads(line) for line in replies]


async def test_a_command_goes_there_and_back(server: ControlServer, desk: Desk) -> None:
    """The answer gets command, argument, reason and the caller as the kernel knows it; the caller gets its reply."""
    reply = await ask(server.path, command="unquarantine", argument="AAPL", reason="earnings")
    assert reply == {"ok": True, "text": "unquarantine done", "data": {"n": 1}}
    who = f"uid {os.getuid()} gid {os.getgid()} pid {os.getpid()}"
    assert desk.asked == [("unquarantine", "AAPL", "earnings", who)]


async def test_several_requests_share_a_connection(server: ControlServer) -> None:
    """One line a request, one line a reply, in order; a bad one does not end the conversation."""
    replies = await ask_raw(server.path, b'{"command": "halt"}\nnonsense\n{"command": "status"}\n')
    assert [reply["ok"] for reply in replies] == [True, False, True]


async def test_a_large_reply_comes_whole(server: ControlServer) -> None:
    """A reply may be longer than a request may."""
    reply = await ask(server.path, command="orders")
    assert len(reply["data"][0]) == 100_000


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"halt", "the request is not JSON"),
        (b"\xff\xfe", "the request is not JSON"),
        (b"[1]", "the request is not a JSON object"),
        (b"{}", "unknown command ''; known are status, orders"),
        (b'{"command": "hlat"}', "unknown command 'hlat'; did you mean halt?"),
        (b'{"command": ["halt"]}', "`command` of the request is not a text"),
        (b'{"command": "halt", "argument": {"a": 1}}', "`argument` of the request is not a text"),
        (b'{"command": "halt", "argument": "AAPL"}', "halt takes no argument, and was given 'AAPL'"),
        (b'{"command": "adopt"}', "adopt needs a symbol"),
        (b'{"command": "halt", "reason": true}', "`reason` of the request is not a text"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(raw: bytes, text: str) -> None:
    """Each mistake has one sentence."""
    with pytest.raises(UsageError) as caught:
        read_request(raw)
    assert str(caught.value).startswith(text)


async def test_a_request_too_long_is_refused_and_the_rest_lives_on(server: ControlServer, desk: Desk) -> None:
    """Nothing unbounded is read; the next caller is served."""
    replies = await ask_raw(server.path, b'{"command": "' + b"h" * 70_000 + b'"}\n')
    assert replies == [{"ok": False, "text": "the request is longer than 65536 bytes", "data": None}]
    assert desk.asked == []
    assert (await ask(server.path, command="status"))["ok"]


async def test_half_a_request_is_no_request(server: ControlServer, desk: Desk) -> None:
    """A caller that dies before the end of its line has asked for nothing."""
    assert await ask_raw(server.path, b'{"command": "halt"}') == []
    assert desk.asked == []


async def test_an_unforeseen_failure_is_counted_and_told(server: ControlServer, desk: Desk) -> None:
    """A bug in one command costs that command only, and the firewall counts it by name."""
    reply = await ask(server.path, command="reload")
    assert not reply["ok"]
    assert reply["text"] == "the daemon failed at this (ZeroDivisionError: a bug); its log has the rest"
    assert desk.failures == ["control"]
    assert (await ask(server.path, command="status"))["ok"]


async def test_a_refusal_carries_its_sentence_and_exit_code(server: ControlServer, desk: Desk) -> None:
    """An error of ours is an answer, not a failure."""
    reply = await ask(server.path, command="adopt", argument="XYZ")
    assert (reply["text"], reply["exit_code"]) == ("XYZ is not held in the account", 64)
    assert desk.failures == []


async def test_an_answer_that_never_comes_is_given_up(server: ControlServer) -> None:
    """Past its deadline the caller is told that the command may still be carried out."""
    reply = await ask(server.path, command="drain")
    assert reply["text"].startswith("no answer within 0.2 s; the command may still be carried out")


async def test_too_many_callers_are_sent_away(server: ControlServer) -> None:
    """The seventeenth caller at once is refused in a sentence, and served when others have gone."""
    others = [await asyncio.open_unix_connection(server.path) for _ in range(control.MOST_CALLERS)]
    for _, writer in others:
        writer.write(b'{"command": "status"}\n')
    for reader, _ in others:
        await reader.readline()
    refused = await ask_raw(server.path, b"")
    assert refused[0]["text"].startswith("16 others are connected")
    for reader, writer in others:
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert (await ask(server.path, command="status"))["ok"]


async def test_the_socket_is_for_its_owner_and_group(server: ControlServer) -> None:
    """Its mode is 0660 whatever the umask."""
    mode = server.path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o660


async def test_somebody_else_may_not_ask(server: ControlServer, desk: Desk) -> None:
    """A caller who is neither owner nor in the group is turned away by the kernel, and told why."""
    is_root = os.geteuid() == 0
    if not is_root:
        server.path.chmod(0)
    if is_root:
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        with pytest.raises(LongwatchError, match=r"you may not use .*: be its owner or in its group"):
            call(server.path, {"command": "halt"}, timeout_seconds=5.0)
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
    assert desk.asked == []


def test_no_daemon_is_told_in_one_sentence(path: Path) -> None:
    """Whether the socket is missing or left behind by a dead daemon."""
    with pytest.raises(LinkError, match=r"no daemon answers at .*; is it running"):
        call(path, {"command": "status"})
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(LinkError, match=r"no daemon answers at .*; is it running"):
        call(path, {"command": "status"})


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "ended the conversation before it had answered"),
        (b"HTTP/1.1 400\n", "is not a Longwatch daemon: its reply is not JSON"),
        (b"[]\n", "is not a Longwatch daemon: its reply has no `ok`"),
    ],
)
async def test_another_program_at_the_socket_is_found_out(path: Path, said: bytes, text: str) -> None:
    """What answers there but is no daemon is called so."""

    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    async with await asyncio.start_unix_server(stranger, path):
        with pytest.raises(LinkError, match=text):
            await ask(path, command="status")


async def test_a_silent_daemon_is_not_waited_for_for_ever(path: Path) -> None:
    """The caller's own deadline holds when nothing comes."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(LinkError, match=r"gave no answer within 0.05 s"):
            call(path, {"command": "status"}, timeout_seconds=0.05)


async def test_a_dead_daemons_socket_is_taken_over(path: Path, desk: Desk) -> None:
    """A stale socket file is removed, because nobody listens on it."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = ControlServer(path, desk.answer)
    await server.start()
    assert (await ask(path, command="status"))["ok"]
    await server.close()
    assert not path.exists()


async def test_a_living_daemons_socket_is_left_alone(server: ControlServer, desk: Desk) -> None:
    """A second daemon is refused, and the first goes on answering."""
    with pytest.raises(LongwatchError, match="another daemon answers at"):
        await ControlServer(server.path, desk.answer).start()
    assert (await ask(server.path, command="status"))["ok"]


async def test_a_file_in_the_way_is_never_removed(path: Path, desk: Desk) -> None:
    """Only sockets are taken away."""
    path.write_text("precious")
    with pytest.raises(LongwatchError, match="exists and is not a socket"):
        await ControlServer(path, desk.answer).start()
    assert path.read_text() == "precious"


async def test_a_path_too_long_is_refused_by_name(path: Path, desk: Desk) -> None:
    """The kernel's limit is told before the kernel is asked."""
    long = path.with_name("s" * 120)
    with pytest.raises(LongwatchError, match="longer than 107 bytes"):
        await ControlServer(long, desk.answer).start()
    with pytest.raises(LongwatchError, match="longer than 107 bytes"):
        call(long, {})


async def test_closing_ends_the_callers_too(path: Path, desk: Desk) -> None:
    """No task outlives the server, and the socket's file is gone."""
    server = ControlServer(path, desk.answer)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b'{"command": "status"}\n')
    await reader.readline()
    await server.close()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    assert not path.exists()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "control caller"] == []


def test_a_reason_that_is_no_text_is_kept_as_its_escape() -> None:
    """A byte from a terminal in another encoding must not keep a halt from the journal."""
    _, _, reason = control.read_request(b'{"command": "halt", "reason": "f\\udcfcr"}')
    assert reason == "f\\udcfcr"
    assert reason.encode()

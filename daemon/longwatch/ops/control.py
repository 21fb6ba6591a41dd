"""The control socket: commands of people on this machine, a JSON object a line; started by the app, called by the CLI.

A request is `{"command": "halt", "argument": "", "reason": "earnings"}`, a reply `{"ok": true, "text": "", "data": …}`.
Who asks is told by the kernel (unix(7), SO_PEERCRED), never by the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
import logging
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longwatch.errors import LinkError, LongwatchError, UsageError

Reply = dict[str, Any]
Answer = Callable[[str, str, str, str], Awaitable[Reply]]
"""Does one command: (command, argument, reason, by) → reply. LongwatchError becomes a refusal with its text."""

MOST_BYTES = 64 * 1024
MOST_REPLY_BYTES = 16 * 1024 * 1024
MOST_CALLERS = 16
LONGEST_PATH = 107  # sun_path of unix(7), less its closing zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A verb of the socket: `argument` says what it takes (empty: nothing), `needed` that it can't do without."""

    text: str
    argument: str = ""
    needed: bool = False


COMMANDS: dict[str, Command] = {
    "status": Command(text="all there is to know"),
    "orders": Command(text="live orders and the last that ended"),
    "positions": Command(text="book, outside and account, instrument by instrument"),
    "limits": Command(text="each limit, what it sees now at worst, and the room that is left"),
    "reload": Command(text="read the configuration again", argument="`loosen` to allow wider limits during a session"),
    "halt": Command(text="no orders at all"),
    "pause": Command(text="no new positions"),
    "resume": Command(
        text="lift halt, pause, flatten and the account's limits; with an argument, what holds one name back",
        argument="a symbol or a strategy to allow it again (`symbol:X` or `strategy:X` where both are called X), or "
        "`all` for everything that holds orders back",
    ),
    "flatten": Command(
        text="cancel what works, close what is ours", argument="the order type to close with, MKT or LMT"
    ),
    "cancel": Command(
        text="cancel working orders", argument="a symbol, an order's number or reference, or `all`", needed=True
    ),
    "modify": Command(
        text="change a working order's quantity or prices",
        argument="an order's number or reference, its new quantity, limit and stop price (`7 - 85.20 -`: the limit)",
        needed=True,
    ),
    "drain": Command(text="finish what is under way, then stop"),
    "flow": Command(
        text="money came into the account, or left it: neither a gain nor a loss",
        argument="the amount in the base currency, negative when it left",
        needed=True,
    ),
    "reconcile": Command(text="compare the book with the broker now, and show what differs"),
    "adopt": Command(
        text="take a holding of the account as ours", argument="a symbol, a contract's number, or `all`", needed=True
    ),
    "resolve": Command(
        text="a person's evidence on an order whose outcome is unknown",
        argument="an order's number or reference, filled, cancelled, rejected, absent or unfilled, and what had "
        "filled at what average price (`7 filled - 85.20`: all that was left; with `sure` behind it where the price is "
        "far from those known)",
        needed=True,
    ),
    "unquarantine": Command(text="trade an instrument again", argument="a symbol", needed=True),
}


class ControlServer:
    """Serves the socket at `path`, readable and writable by its owner and group, until closed.

    `refused` is told the name of the firewall each time a command fails in a way nobody foresaw.
    """

    def __init__(
        self,
        path: Path,
        answer: Answer,
        *,
        failed: Callable[[str], None] = lambda _: None,
        request_seconds: float = 30.0,
        idle_seconds: float = 60.0,
    ) -> None:
        self.path = path
        self._answer = answer
        self._failed = failed
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises LongwatchError when the path can't be used, or another daemon listens there."""
        listener = _listening_socket(self.path)
        self._server = await asyncio.start_unix_server(self._caller, sock=listener, limit=MOST_BYTES)

    async def close(self) -> None:
        """Stop listening, end what is under way, and take the socket's file away."""
        if self._server is None:
            return
        self._server.close()
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("control caller")
        self._callers.add(task)
        try:
            await self._converse(reader, writer)
        except (TimeoutError, ConnectionError):
            pass  # a caller that went away, or keeps silent, has had its chance
        except asyncio.CancelledError:
            if self._server is not None and self._server.is_serving():
                raise
        finally:
            self._callers.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._callers) > MOST_CALLERS:
            await self._send(writer, _refusal(f"{MOST_CALLERS} others are connected; try again in a moment"))
            return
        by = peer_of(writer.get_extra_info("socket"))
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    line = await reader.readline()
            except ValueError:
                await self._send(writer, _refusal(f"the request is longer than {MOST_BYTES} bytes"))
                return
            if not line.endswith(b"\n"):
                return
            await self._send(writer, await self._reply(line, by))

    async def _send(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        writer.write(json.dumps(reply, default=str).encode() + b"\n")
        async with asyncio.timeout(self._idle_seconds):
            await writer.drain()

    async def _reply(self, line: bytes, by: str) -> Reply:
        return await replied(line, by, self._answer, failed=self._failed, seconds=self._request_seconds)


async def replied(line: bytes, by: str, answer: Answer, *, failed: Callable[[str], None], seconds: float) -> Reply:
    """The reply to one request, whatever is wrong with it, and however the answering fails."""
    try:
        command, argument, reason = read_request(line)
        async with asyncio.timeout(seconds):
            return await answer(command, argument, reason, by)
    except LongwatchError as error:
        return {**_refusal(str(error)), "exit_code": error.exit_code}
    except TimeoutError:
        return _refusal(f"no answer within {seconds:g} s; the command may still be carried out: look at status")
    except Exception as error:  # firewall "control": one bad request must not end the daemon
        failed("control")
        logging.getLogger("longwatch.control").error("a control request failed: %r", error, exc_info=True)
        return _refusal(f"the daemon failed at this ({type(error).__name__}: {error}); its log has the rest")


def read_request(line: bytes) -> tuple[str, str, str]:
    """Command, argument and reason of one request. Raises UsageError saying what is wrong with it."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError(f"the request is not JSON: {error}") from error
    except RecursionError as error:
        raise UsageError("the request is not a JSON object: it is nested too deep") from error
    if not isinstance(request, dict):
        raise UsageError("the request is not a JSON object")
    command, argument, reason = (_text(request, key) for key in ("command", "argument", "reason"))
    known = COMMANDS.get(command)
    if known is None:
        raise UsageError(f"unknown command {command!r}{_nearest(command)}")
    if argument and not known.argument:
        raise UsageError(f"{command} takes no argument, and was given {argument!r}")
    if known.needed and not argument:
        raise UsageError(f"{command} needs {known.argument}")
    return command, argument, reason


def peer_of(connection: socket.socket) -> str:
    """The caller as the kernel knows it, for the journal: `uid 1000 gid 1000 pid 4711`."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", raw)
    return f"uid {uid} gid {gid} pid {pid}"


def call(path: Path, request: Mapping[str, object], *, timeout_seconds: float = 35.0) -> Reply:
    """Send one request to the daemon at `path` and return its reply.

    Raises LinkError when nobody answers there or not in time, LongwatchError when the path may not be used.
    """
    _check_length(path)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(os.fspath(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _read_reply(connection, path)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise LinkError(f"no daemon answers at {path}; is it running? Start it with `longwatch run FILE`") from error
    except PermissionError as error:
        raise LongwatchError(f"you may not use {path}: be its owner or in its group") from error
    except TimeoutError as error:
        raise LinkError(f"the daemon at {path} gave no answer within {timeout_seconds:g} s; look at its log") from error
    except OSError as error:
        raise LinkError(f"talking to the daemon at {path} failed: {error.strerror or error}") from error


def _read_reply(connection: socket.socket, path: Path) -> Reply:
    heard = bytearray()
    while not heard.endswith(b"\n"):
        part = connection.recv(65536)
        if not part or len(heard) > MOST_REPLY_BYTES:
            raise LinkError(f"the daemon at {path} ended the conversation before it had answered")
        heard += part
    try:
        reply = json.loads(heard)
    except ValueError as error:
        raise LinkError(f"what answers at {path} is not a Longwatch daemon: its reply is not JSON") from error
    if not isinstance(reply, dict) or "ok" not in reply:
        raise LinkError(f"what answers at {path} is not a Longwatch daemon: its reply has no `ok`")
    return reply


def _listening_socket(path: Path) -> socket.socket:
    _check_length(path)
    _clear_the_way(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        listener.bind(os.fspath(path))
        # Nobody can connect before listen(), so the mode is right from the first caller on, whatever the umask.
        path.chmod(0o660)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise LongwatchError(
            f"the control socket {path} can't be made: {error.strerror}; set trading.ops.control_socket"
        ) from error
    return listener


def _clear_the_way(path: Path) -> None:
    """Remove the socket a dead daemon left behind, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise LongwatchError(f"{path} exists and is not a socket; move it, or set trading.ops.control_socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LongwatchError(f"the control socket {path} can't be used: {error.strerror or error}") from error
        else:
            raise LongwatchError(f"another daemon answers at {path}; stop it, or set trading.ops.control_socket")


def _check_length(path: Path) -> None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise LongwatchError(f"the socket's path is longer than {LONGEST_PATH} bytes: {path}; choose a shorter one")


def _text(request: Mapping[str, object], key: str) -> str:
    value = request.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageError(f"`{key}` of the request is not a text")
    # A byte that is no UTF-8 comes as half a surrogate pair, which no journal can hold: it is kept as its escape.
    return str(value).strip().encode("utf-8", "backslashreplace").decode()


def _nearest(command: str) -> str:
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(COMMANDS)}"


def _refusal(text: str) -> Reply:
    return {"ok": False, "text": text, "data": None}

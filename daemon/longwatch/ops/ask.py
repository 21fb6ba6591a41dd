"""Asks a running daemon and prints what it says; used by the commands that need one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from longwatch.errors import LongwatchError

DEFAULT_SOCKET = Path("var/control.sock")
SOCKET_VARIABLE = "LONGWATCH_OPS__CONTROL_SOCKET"


def show(command: str, as_text: Callable[[Any], str], as_json: bool, socket: Path | None, config: Path | None) -> None:
    """Print what the daemon reads out, as JSON or as text. Raises LongwatchError with its refusal.

    What it reads out with a refusal, since there is nothing newer, is printed before.
    """
    from longwatch.ops.control import call

    reply = call(socket_path(socket, config), {"command": command})
    if (data := reply.get("data")) is not None:
        print(json.dumps(data, indent=2, ensure_ascii=False) if as_json else as_text(data))
    _accepted(command, reply)


def tell(command: str, socket: Path | None, config: Path | None, *, as_json: bool = False, **request: str) -> None:
    """Have a command carried out and print the answer. Raises LongwatchError with the daemon's refusal."""
    reply = _call(command, socket, config, **request)
    print(json.dumps(reply, ensure_ascii=False) if as_json else reply.get("text") or f"{command}: done")


def socket_path(socket: Path | None, config: Path | None) -> Path:
    """The socket named, or that of a configuration, or of the environment, or the default. Raises ConfigError."""
    if socket is not None:
        return socket
    if config is not None:
        from longwatch.config.load import load

        return load(config, os.environ).settings.ops.control_socket
    return Path(os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET)


def _call(command: str, socket: Path | None, config: Path | None, **request: str) -> dict[str, Any]:
    from longwatch.ops.control import call

    return _accepted(command, call(socket_path(socket, config), {"command": command, **request}))


def _accepted(command: str, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply, unless it is a refusal; of one that comes with a table, printed before, the first line says it all."""
    if not reply["ok"]:
        text = str(reply.get("text") or f"{command} was refused")
        refusal = LongwatchError(text.splitlines()[0] if "data" in reply else text)
        refusal.exit_code = int(reply.get("exit_code") or 1)
        raise refusal
    return reply

"""The pages on the loopback: /livez, /readyz, /status, /metrics, /why, one that links them; started by the app.

They are read-only. Where a token is configured, whoever has it may also give commands: those of the control socket, as
the same JSON object, to `POST /control` with `Authorization: Bearer TOKEN`.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import html
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from longwatch.errors import LongwatchError, UsageError
from longwatch.ops.control import MOST_BYTES, Answer, replied

Reasons = Callable[[], Sequence[str]]

MOST_CONNECTIONS = 64
"""Open at once; whoever comes then is cut off at once, and may come again."""
MOST_SECONDS = 30.0
"""From the connection to the end of the answer: each serves one request, and none may lie idle."""


ANSWER_SECONDS = 28.0
STATUS_OF = {UsageError.exit_code: 400, 1: 409}
"""HTTP's status for a command that was refused, or that does not come to what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Where content comes from: reasons against life and readiness, the status, the metrics with their content type.

    `orders` are the last ones, each its number and a line; `why` tells the story of one by its name.
    """

    livez: Reasons
    readyz: Reasons
    status: Callable[[], Mapping[str, Any]]
    metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    orders: Callable[[], Iterable[tuple[int, str]]] = tuple
    why: Callable[[str], Awaitable[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Who answers commands, and the token that a caller must show."""

    answer: Answer
    token: SecretStr


class HttpServer:
    """Serves `pages` on one address, and takes `commands` where there are such.

    `failed` is told the firewall's name when a page could not be made.
    """

    def __init__(
        self,
        pages: Pages,
        *,
        host: str = "127.0.0.1",
        port: int = 9464,
        commands: Commands | None = None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pages = pages
        self._commands = commands
        self._host = host
        self._port = port
        self._failed = failed
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self.address = ""

    async def start(self) -> str:
        """Listen, and return the URL; port 0 picks a free one. Raises LongwatchError when the port is taken."""
        app = web.Application(middlewares=[self._firewall], client_max_size=MOST_BYTES)
        for path, page in (("/", self._index), ("/livez", self._livez), ("/readyz", self._readyz)):
            app.router.add_get(path, page)
        app.router.add_get("/status", self._status)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/why/{name}", self._why)
        if self._commands is not None:
            app.router.add_post("/control", self._control)
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        try:
            loop = asyncio.get_running_loop()
            self._listener = await loop.create_server(self._connection, self._host, self._port)
        except OSError as error:
            await self.close()
            raise LongwatchError(_why_not(self._host, self._port, error)) from error
        host, port = self._listener.sockets[0].getsockname()[:2]
        self.address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return self.address

    async def close(self) -> None:
        """Stop listening and end the requests under way."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _connection(self) -> asyncio.BaseProtocol:
        """What serves the next connection, for MOST_SECONDS at most; past MOST_CONNECTIONS it is cut off."""
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= MOST_CONNECTIONS:
            return _CutOff()
        handler = server()
        asyncio.get_running_loop().call_later(MOST_SECONDS, handler.force_close)
        return handler

    @web.middleware
    async def _firewall(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as refused:
            response = web.Response(text=f"{refused.reason}\n", status=refused.status, headers=refused.headers.copy())
        except Exception as error:  # firewall "scrape": a page that fails must not touch the daemon
            self._failed("scrape")
            logging.getLogger("longwatch.http").error("the page %s failed: %r", request.path, error, exc_info=True)
            response = web.Response(text=f"{request.path} failed: {type(error).__name__}: {error}\n", status=500)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        # A kept connection leaves timers on the loop, and in a virtual run those would be instants to jump to.
        response.force_close()
        return response

    async def _livez(self, request: web.Request) -> web.Response:
        return _verdict(request, "live", self._pages.livez())

    async def _readyz(self, request: web.Request) -> web.Response:
        return _verdict(request, "ready", self._pages.readyz())

    async def _status(self, request: web.Request) -> web.Response:
        body = json.dumps(self._pages.status(), indent=2, default=str, ensure_ascii=False)
        return web.Response(text=body + "\n", content_type="application/json")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = await self._pages.metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _why(self, request: web.Request) -> web.Response:
        """An order's story, as `longwatch why` prints it."""
        if self._pages.why is None:
            raise web.HTTPNotFound
        try:
            return web.Response(text=await self._pages.why(request.match_info["name"]) + "\n")
        except UsageError as error:
            return web.Response(text=f"{error}\n", status=404)

    async def _index(self, request: web.Request) -> web.Response:
        rows = "".join(f'<li><a href="{path}">{path}</a> – {html.escape(text)}</li>\n' for path, text in _LINKS)
        orders = "".join(
            f'<li><a href="/why/{number}">#{number}</a> {html.escape(text)}</li>\n'
            for number, text in self._pages.orders()
        )
        told = f"<h2>Why each of the last orders</h2>\n<ul>\n{orders}</ul>\n" if orders else ""
        page = (
            '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Longwatch</title>\n'
            "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>\n"
            "<h1>Longwatch</h1>\n<p>Read-only. For commands see <code>longwatch --help</code>.</p>\n"
            f"<ul>\n{rows}</ul>\n{told}</html>\n"
        )
        return web.Response(text=page, content_type="text/html")

    async def _control(self, request: web.Request) -> web.Response:
        """One command; who asks is known by the token alone, so the address is all that can be written down."""
        commands = self._commands
        # What is no UTF-8 in a header comes as surrogates.
        shown = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if commands is None or not hmac.compare_digest(shown, f"Bearer {commands.token.get_secret_value()}".encode()):
            headers = {"WWW-Authenticate": "Bearer"}
            return web.json_response({"ok": False, "text": "the token is not right"}, status=401, headers=headers)
        line, by = await request.read(), f"http {request.remote}"
        reply = await replied(line, by, commands.answer, failed=self._failed, seconds=ANSWER_SECONDS)
        status = 200 if reply["ok"] else STATUS_OF.get(int(reply.get("exit_code", 0)), 503)
        return web.json_response(reply, status=status, dumps=partial(json.dumps, default=str))


class _CutOff(asyncio.Protocol):
    """Ends its connection as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _verdict(request: web.Request, word: str, reasons: Sequence[str]) -> web.Response:
    status = 503 if reasons else 200
    if "json" in request.query or "application/json" in request.headers.get("Accept", ""):
        return web.json_response({word: not reasons, "reasons": list(reasons)}, status=status)
    return web.Response(text="".join(f"{reason}\n" for reason in reasons) or f"{word}\n", status=status)


_LINKS = (
    ("/status", "everything the daemon knows, as JSON"),
    ("/readyz", "may it trade, and if not, why"),
    ("/livez", "does its loop turn"),
    ("/metrics", "for Prometheus"),
)


_WHY_NOT = {
    errno.EADDRINUSE: "is in use by another program; stop that one, or set trading.ops.http_port (0 picks a free one)",
    errno.EACCES: "needs privileges; set trading.ops.http_port to 1024 or above",
    errno.EADDRNOTAVAIL: "is not an address of this machine; set trading.ops.http_host, usually to 127.0.0.1",
}


def _why_not(host: str, port: int, error: OSError) -> str:
    otherwise = f"can't be listened on: {error.strerror or error}; set trading.ops.http_host"
    reason = _WHY_NOT.get(error.errno or 0, otherwise)
    return f"port {port} on {host} {reason}"

"""The pages, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from longwatch.errors import LongwatchError, UsageError
from longwatch.ops import http as http_module
from longwatch.ops.http import Commands, HttpServer, Pages


class Content:
    """What the pages show, for the test to change."""

    def __init__(self) -> None:
        self.against_life: list[str] = []
        self.against_trading: list[str] = []
        self.failures: list[str] = []

    def pages(self) -> Pages:
        return Pages(
            livez=lambda: self.against_life,
            readyz=lambda: self.against_trading,
            status=self.status,
            metrics=self.metrics,
        )

    def status(self) -> Mapping[str, Any]:
        if self.against_life == ["bug"]:
            raise KeyError("symbol")
        return {"mode": "paper", "text": "…"}

    async def metrics(self) -> tuple[bytes, str]:
        return b"longwatch_ready 1\n", "text/plain; version=0.0.4; charset=utf-8"


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
async def server(content: Content) -> AsyncIterator[HttpServer]:
    server = HttpServer(content.pages(), port=0, failed=content.failures.append)
    await server.start()
    yield server
    await server.close()


async def get(server: HttpServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, server.address + path, headers=headers) as got,
    ):
        return got.status, got.headers["Content-Type"], await got.text()


async def test_port_zero_picks_a_port_and_says_which(server: HttpServer) -> None:
    """The address is a URL one can follow."""
    assert server.address.startswith("http://127.0.0.1:")
    assert int(server.address.rpartition(":")[2]) > 0
    assert (await get(server, "/livez"))[0] == 200


async def test_ready_is_200_and_not_ready_503_with_the_reasons(server: HttpServer, content: Content) -> None:
    """One reason a line as text; the same as JSON when asked for either way."""
    assert await get(server, "/readyz") == (200, "text/plain; charset=utf-8", "ready\n")
    content.against_trading = ["link: syncing", "data: not yet judged"]
    assert await get(server, "/readyz") == (503, "text/plain; charset=utf-8", "link: syncing\ndata: not yet judged\n")
    for path, headers in (("/readyz?json", {}), ("/readyz", {"Accept": "application/json"})):
        status, kind, body = await get(server, path, **headers)
        assert (status, kind) == (503, "application/json; charset=utf-8")
        assert json.loads(body) == {"ready": False, "reasons": ["link: syncing", "data: not yet judged"]}


async def test_life_is_apart_from_readiness(server: HttpServer, content: Content) -> None:
    """A daemon that may not trade is alive."""
    content.against_trading = ["link: disconnected"]
    assert (await get(server, "/livez"))[::2] == (200, "live\n")
    content.against_life = ["journal: disk full"]
    assert (await get(server, "/livez"))[::2] == (503, "journal: disk full\n")


async def test_status_and_metrics_are_served(server: HttpServer) -> None:
    """Status as JSON in UTF-8, metrics with Prometheus' own content type."""
    status, kind, body = await get(server, "/status")
    assert (status, kind, json.loads(body)) == (200, "application/json; charset=utf-8", {"mode": "paper", "text": "…"})
    assert await get(server, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", "longwatch_ready 1\n")


async def test_the_first_page_links_the_others(server: HttpServer) -> None:
    """A person who opens the address finds everything from there."""
    status, kind, body = await get(server, "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert all(f'href="{path}"' in body for path in ("/status", "/readyz", "/livez", "/metrics"))


async def test_the_first_page_links_the_story_of_each_of_the_last_orders(content: Content) -> None:
    """The text of `longwatch why`; a name nobody bears is no page, nor is one while another is being told."""

    async def why(name: str) -> str:
        if name != "7":
            raise UsageError(f"there is no order {name}")
        return "#7  BUY 10 <AAA>"

    server = HttpServer(replace(content.pages(), orders=lambda: [(7, "BUY 10 <AAA>, entry: filled")], why=why), port=0)
    await server.start()
    try:
        _, _, body = await get(server, "/")
        assert '<a href="/why/7">#7</a> BUY 10 &lt;AAA&gt;, entry: filled' in body
        assert await get(server, "/why/7") == (200, "text/plain; charset=utf-8", "#7  BUY 10 <AAA>\n")
        assert (await get(server, "/why/8"))[::2] == (404, "there is no order 8\n")
    finally:
        await server.close()


async def test_without_stories_there_is_no_such_page(server: HttpServer) -> None:
    """Nor a heading without orders."""
    assert (await get(server, "/why/7"))[0] == 404
    assert "Why each" not in (await get(server, "/"))[2]


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/orders", "GET", 404), ("/status", "POST", 405), ("/readyz", "DELETE", 405)]
)
async def test_nothing_else_is_there_and_nothing_can_be_written(
    server: HttpServer, content: Content, path: str, method: str, status: int
) -> None:
    """Unknown pages and other methods are refused, and that is no failure of ours."""
    assert (await get(server, path, method))[0] == status
    assert content.failures == []


async def test_a_page_that_fails_is_counted_and_touches_nothing_else(server: HttpServer, content: Content) -> None:
    """The firewall answers 500 with the exception's name; the other pages go on."""
    content.against_life = ["bug"]
    status, _, body = await get(server, "/status")
    assert (status, body) == (500, "/status failed: KeyError: 'symbol'\n")
    assert content.failures == ["scrape"]
    assert (await get(server, "/metrics"))[0] == 200


async def test_a_port_in_use_is_one_sentence(server: HttpServer, content: Content) -> None:
    """The sentence names the port, and what to do."""
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(LongwatchError) as caught:
        await HttpServer(content.pages(), port=port).start()
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is in use by another program; stop that one, "
        "or set trading.ops.http_port (0 picks a free one)"
    )


async def test_an_address_of_another_machine_is_refused(content: Content) -> None:
    """192.0.2.1 (RFC 5737) is nobody's: the sentence says which setting to change."""
    with pytest.raises(LongwatchError, match=r"is not an address of this machine; set trading.ops.http_host"):
        await HttpServer(content.pages(), host="192.0.2.1", port=0).start()


async def test_no_connection_is_kept(server: HttpServer) -> None:
    """The server closes after each answer, so that it leaves no timer on a virtual loop."""
    host, port = "127.0.0.1", int(server.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()


async def test_after_closing_nobody_listens(content: Content) -> None:
    """The port is free again."""
    server = HttpServer(content.pages(), port=0)
    port = int((await server.start()).rpartition(":")[2])
    await server.close()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


async def test_connections_are_bounded_in_number_and_in_time(content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle ones fill the house: whoever comes then is cut off; when their time is up they are, and pages are served."""
    monkeypatch.setattr(http_module, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(http_module, "MOST_SECONDS", 1.0)
    server = HttpServer(content.pages(), port=0)
    port = int((await server.start()).rpartition(":")[2])
    idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    idle[0][1].write(b"GET /livez HT")
    for quiet, _ in idle:
        assert await asyncio.wait_for(quiet.read(), 5) == b""
    assert (await get(server, "/livez"))[0] == 200
    for _, open_end in idle:
        open_end.close()
    await server.close()


async def answered(command: str, argument: str, reason: str, by: str) -> Mapping[str, Any]:
    """Says what it was asked; refuses one command, and fails at another."""
    if command == "adopt":
        raise UsageError("the account holds none")
    if command == "drain":
        raise KeyError("symbol")
    return {"ok": command != "modify", "exit_code": 1, "text": f"{command} {argument} {reason} {by}", "data": None}


@pytest.fixture
async def commanded(content: Content) -> AsyncIterator[HttpServer]:
    commands = Commands(answer=answered, token=SecretStr("swordfish"))  # type: ignore[arg-type]
    server = HttpServer(content.pages(), port=0, commands=commands, failed=content.failures.append)
    await server.start()
    yield server
    await server.close()


async def post(server: HttpServer, body: bytes, token: str | None = "swordfish") -> tuple[int, Any]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(server.address + "/control", data=body, headers=headers) as got,
    ):
        return got.status, await got.text()


async def test_whoever_has_the_token_gives_the_commands_of_the_socket(commanded: HttpServer, content: Content) -> None:
    """The same object, the same reply, with a status for what became of it."""
    status, text = await post(commanded, b'{"command": "cancel", "argument": "AAPL", "reason": "enough"}')
    assert (status, json.loads(text)["text"]) == (200, "cancel AAPL enough http 127.0.0.1")
    assert (await post(commanded, b'{"command": "modify", "argument": "7"}'))[0] == 409
    assert (await post(commanded, b'{"command": "adopt", "argument": "AAPL"}'))[0] == 400
    assert (await post(commanded, b"not JSON"))[0] == 400
    assert (await post(commanded, b'{"command": "sell"}'))[0] == 400
    assert (await post(commanded, b'{"command": "drain"}'))[0] == 503
    assert content.failures == ["control"]
    assert (await post(commanded, b"x" * 100_000))[0] == 413


async def test_without_the_token_nothing_is_asked_and_without_one_configured_nothing_is_there(
    commanded: HttpServer, server: HttpServer
) -> None:
    """401 and 404; the pages are there for everybody."""
    body = b'{"command": "halt"}'
    for token in (None, "", "sword", "swordfish2"):
        status, text = await post(commanded, body, token)
        assert status == 401 and "halt" not in text
    assert (await post(server, body))[0] == 404
    assert (await get(commanded, "/livez"))[0] == 200
    assert (await get(commanded, "/control"))[0] == 405


async def raw_post(server: HttpServer, authorization: bytes, body: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    head = b"POST /control HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % (authorization, len(body)) + body)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return int(answer.split(b" ")[1])


async def test_a_token_of_any_bytes_is_judged_and_only_behind_its_scheme(
    commanded: HttpServer, content: Content
) -> None:
    """401 for what is no UTF-8, and for the right word without `Bearer`; no failure of ours."""
    body = b'{"command": "halt"}'
    shown = (b"Bearer sword\xff", b"swordfish", b"Basic swordfish", b"Bearer swordfish")
    assert [await raw_post(commanded, one, body) for one in shown] == [401, 401, 401, 200]
    assert content.failures == []


async def test_a_body_nested_too_deep_is_a_mistake_of_the_caller(commanded: HttpServer, content: Content) -> None:
    """One sentence and 400."""
    status, text = await post(commanded, b"[" * 50_000)
    assert (status, json.loads(text)["text"]) == (400, "the request is not a JSON object: it is nested too deep")
    assert content.failures == []

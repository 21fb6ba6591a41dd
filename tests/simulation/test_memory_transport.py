"""The network in memory: order, latency, closing, faults, back pressure, and the IB library's own client over it."""

from __future__ import annotations

import asyncio
import importlib
import struct
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.ib import installed
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.transport import Door, MemoryLink, MemoryNetwork

T = TypeVar("T")
HOST, PORT = "gateway", 4002


class Recorder(asyncio.Protocol):
    """Keeps what its transport tells it, with the virtual instant."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, object]] = []
        self.pieces: list[tuple[float, bytes]] = []
        self.transport: asyncio.Transport
        self.ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    @property
    def data(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.seen.append(("made", None))

    def data_received(self, data: bytes) -> None:
        self.pieces.append((asyncio.get_running_loop().time(), data))

    def eof_received(self) -> bool | None:
        self.seen.append(("eof", None))
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.seen.append(("lost", type(exc)))
        self.ended.set_result(exc)

    def pause_writing(self) -> None:
        self.seen.append(("pause", None))

    def resume_writing(self) -> None:
        self.seen.append(("resume", None))


def on_network(main: Callable[[MemoryNetwork, list[Recorder]], Coroutine[Any, Any, T]], **settings: Any) -> T:
    """Run `main` with a network that serves HOST:PORT by recorders, collected in a list."""
    loop = JumpLoop()
    loop.network = MemoryNetwork(loop, **settings)
    servers: list[Recorder] = []

    def serve() -> Recorder:
        servers.append(Recorder())
        return servers[-1]

    loop.network.listen(HOST, PORT, serve)
    return run(main(loop.network, servers), loop=loop)


async def connect() -> Recorder:
    """A client through the loop's own create_connection."""
    _, protocol = await asyncio.get_running_loop().create_connection(Recorder, HOST, PORT)
    assert isinstance(protocol, Recorder)
    return protocol


def test_bytes_arrive_after_the_latency_in_order() -> None:
    """A round trip of 20 ms to connect, 10 ms for each direction, in virtual time."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        loop = asyncio.get_running_loop()
        client = await connect()
        assert loop.time() == pytest.approx(0.02, abs=1e-5)
        client.transport.write(b"one ")
        client.transport.write(b"two")
        await asyncio.sleep(1)
        assert servers[0].data == b"one two"
        assert servers[0].pieces[0][0] == pytest.approx(0.03, abs=1e-5)

    on_network(main, latency_seconds=0.01)


@given(
    st.lists(st.tuples(st.binary(max_size=40), st.floats(min_value=0, max_value=0.01)), max_size=30),
    st.integers(min_value=0, max_value=2**32),
    st.sampled_from([None, 1, 7]),
)
def test_jitter_and_chunks_never_change_the_bytes(
    writes: list[tuple[bytes, float]], seed: int, chunk: int | None
) -> None:
    """Whatever the seed, the gaps and the chunk size, the stream is what was written."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        network.links[0].to_server.chunk_bytes = chunk
        for data, gap in writes:
            client.transport.write(data)
            await asyncio.sleep(gap)
        await asyncio.sleep(1)
        assert servers[0].data == b"".join(data for data, _ in writes)
        assert client.transport.get_write_buffer_size() == 0

    on_network(main, latency_seconds=0.001, jitter_seconds=0.02, random=Random(seed))


def arrivals(seed: int) -> list[tuple[float, bytes]]:
    """When each of ten writes arrives under jitter."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> list[tuple[float, bytes]]:
        client = await connect()
        for number in range(10):
            client.transport.write(b"%d" % number)
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)
        return servers[0].pieces

    return on_network(main, jitter_seconds=0.02, random=Random(seed))


def test_a_seed_decides_the_jitter() -> None:
    """The same seed gives the same instants, another seed others."""
    assert arrivals(1) == arrivals(1)
    assert arrivals(1) != arrivals(2)


def test_jitter_without_a_seed_is_refused() -> None:
    """There is no unseeded randomness to fall back on."""
    loop = JumpLoop()
    with pytest.raises(ValueError, match="seeded"):
        MemoryNetwork(loop, jitter_seconds=0.1)
    loop.close()


def test_close_delivers_what_was_written_then_ends_both_sides() -> None:
    """The last bytes arrive, the peer sees the end and closes, and neither side sees an error."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        client.transport.write(b"last words")
        client.transport.close()
        assert await client.ended is None
        assert await servers[0].ended is None
        assert servers[0].data == b"last words"
        assert servers[0].seen == [("made", None), ("eof", None), ("lost", type(None))]
        assert network.links[0].is_over()

    on_network(main, latency_seconds=0.01)


def test_abort_resets_the_peer() -> None:
    """An abort is a reset for the other side."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        client.transport.abort()
        assert await client.ended is None
        assert isinstance(await servers[0].ended, ConnectionResetError)

    on_network(main)


def test_bytes_for_a_closed_end_are_answered_by_a_reset() -> None:
    """A server that goes on writing to a client that left finds out."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        await asyncio.sleep(0.1)
        client.transport.close()
        servers[0].transport.write(b"in the same instant")
        await client.ended
        await servers[0].ended
        assert client.data == b""

    on_network(main, latency_seconds=0.01)


def test_without_a_listener_the_connection_is_refused() -> None:
    """Claimed, closed by its listener, or refusing by fault: all refuse in memory and none goes to a real socket."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        network.claim("nowhere", 1)
        with pytest.raises(ConnectionRefusedError, match="nowhere"):
            await asyncio.get_running_loop().create_connection(Recorder, "nowhere", 1)
        network.set_door(HOST, PORT, Door.REFUSING)
        with pytest.raises(ConnectionRefusedError):
            await connect()
        network.set_door(HOST, PORT, Door.OPEN)
        await connect()
        network.stop_listening(HOST, PORT)
        with pytest.raises(ConnectionRefusedError):
            await connect()
        with pytest.raises(OSError, match="already served"):
            for _ in range(2):
                network.listen(HOST, PORT, Recorder)

    on_network(main)


def test_a_silent_door_never_answers() -> None:
    """The caller's deadline ends the attempt, nothing else does."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        network.set_door(HOST, PORT, Door.SILENT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await connect()
        assert servers == []

    on_network(main)


def test_a_half_open_link_swallows_everything() -> None:
    """No data, no end, no reset: neither side can tell."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        await asyncio.sleep(1)
        client.transport.write(b"on its way")
        network.links[0].silence()
        client.transport.write(b"lost")
        servers[0].transport.write(b"lost too")
        await asyncio.sleep(3600)
        servers[0].transport.close()
        await asyncio.sleep(3600)
        assert (client.data, servers[0].data) == (b"", b"")
        assert client.seen == [("made", None)]

    on_network(main, latency_seconds=0.01)


def test_a_reset_reaches_both_ends_and_loses_what_was_on_its_way() -> None:
    """Torn down from outside, as by a middle box."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        await asyncio.sleep(1)
        client.transport.write(b"on its way")
        network.links[0].reset()
        for end in (client, servers[0]):
            assert isinstance(await end.ended, ConnectionResetError)
        assert servers[0].data == b""

    on_network(main, latency_seconds=0.01)


def test_a_link_dies_in_the_middle_of_a_message() -> None:
    """Exactly the bytes allowed arrive, then both ends are reset."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        network.on_link = lambda link: link.to_client.cut_after(12)
        client = await connect()
        await asyncio.sleep(0.1)
        servers[0].transport.write(b"12345678")
        servers[0].transport.write(b"12345678")
        servers[0].transport.write(b"12345678")
        assert isinstance(await client.ended, ConnectionResetError)
        assert isinstance(await servers[0].ended, ConnectionResetError)
        assert client.data == b"123456781234"

    on_network(main, latency_seconds=0.01)


def test_a_stalled_link_delivers_late_and_in_order() -> None:
    """What is written during a stall comes after it."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        network.links[0].stall(5)
        client.transport.write(b"late")
        await asyncio.sleep(4)
        assert servers[0].data == b""
        await asyncio.sleep(2)
        assert servers[0].data == b"late"

    on_network(main)


def test_a_slow_reader_holds_the_writer_back() -> None:
    """Past the high-water mark the writer is paused; it is resumed when the reader has caught up, nothing lost."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        client = await connect()
        await asyncio.sleep(0)
        servers[0].transport.pause_reading()
        client.transport.write(b"x" * 100_000)
        await asyncio.sleep(1)
        assert ("pause", None) in client.seen
        assert client.transport.get_write_buffer_size() == 100_000
        assert servers[0].data == b""
        servers[0].transport.resume_reading()
        await asyncio.sleep(1)
        assert client.seen[-1] == ("resume", None)
        assert len(servers[0].data) == 100_000

    on_network(main)


def test_a_protocol_that_raises_loses_its_connection() -> None:
    """As in asyncio: the error goes to the loop's exception handler, the peer is reset."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> list[str]:
        class Clumsy(Recorder):
            def data_received(self, data: bytes) -> None:
                raise RuntimeError("clumsy")

        loop = asyncio.get_running_loop()
        caught: list[str] = []
        loop.set_exception_handler(lambda _, context: caught.append(str(context["exception"])))
        network.listen("clumsy", 1, Clumsy)
        _, client = await loop.create_connection(Recorder, "clumsy", 1)
        assert isinstance(client, Recorder)
        client.transport.write(b"?")
        assert isinstance(await client.ended, ConnectionResetError)
        return caught

    assert on_network(main) == ["clumsy"]


def test_streams_work_over_it() -> None:
    """asyncio's own stream reader and writer, with drain, see a plain connection."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> None:
        reader, writer = await asyncio.open_connection(HOST, PORT)
        writer.write(b"y" * 300_000)
        await writer.drain()
        await asyncio.sleep(0.1)
        servers[0].transport.write(b"answer\n")
        assert await reader.readline() == b"answer\n"
        assert writer.get_extra_info("peername") == (HOST, PORT)
        assert writer.get_extra_info("socket") is None
        servers[0].transport.close()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert len(servers[0].data) == 300_000

    on_network(main)


def test_other_addresses_go_to_real_sockets() -> None:
    """Only the network's own addresses are in memory."""

    async def main(network: MemoryNetwork, servers: list[Recorder]) -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"real\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
        line = await reader.readline()
        writer.close()
        server.close()
        return line

    assert on_network(main) == b"real\n"


class ScriptedGateway(asyncio.Protocol):
    """Just enough of a TWS server for ib_insync's handshake and the current time."""

    def __init__(self) -> None:
        self.buffer = b""
        self.messages: list[tuple[float, list[str]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.buffer.startswith(b"API\0"):
            self.buffer = self.buffer[4:]
        while len(self.buffer) >= 4 and len(self.buffer) >= 4 + struct.unpack(">I", self.buffer[:4])[0]:
            size = struct.unpack(">I", self.buffer[:4])[0]
            self.answer(self.buffer[4 : 4 + size].decode())
            self.buffer = self.buffer[4 + size :]

    def answer(self, message: str) -> None:
        fields = message.split("\0")
        self.messages.append((asyncio.get_running_loop().time(), fields))
        if message.startswith("v"):
            self.say("176", "20070103 09:30:00 EST")
        elif fields[0] == "71":
            self.say("15", "1", "DU1")
            self.say("9", "1", "7")
        elif fields[0] == "49":
            self.say("49", "1", "1167834600")

    def say(self, *fields: str) -> None:
        payload = "".join(f"{field}\0" for field in fields).encode()
        self.transport.write(struct.pack(">I", len(payload)) + payload)


class QuietWrapper:
    """Takes every callback of ib_insync's decoder and keeps their names."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self.calls.append(name)


Script = Callable[[Any, QuietWrapper, list[ScriptedGateway], MemoryNetwork], Coroutine[Any, Any, T]]


def with_ib_client(script: Script[T]) -> T:
    """Run `script` with the IB library's unmodified Client connected over 1 ms of memory to a scripted gateway."""
    loop = JumpLoop()
    network = loop.network = MemoryNetwork(loop, latency_seconds=0.001)
    gateways: list[ScriptedGateway] = []

    def serve() -> ScriptedGateway:
        gateways.append(ScriptedGateway())
        return gateways[-1]

    network.listen("127.0.0.1", PORT, serve)

    async def main() -> T:
        wrapper = QuietWrapper()
        client = importlib.import_module(f"{installed()}.client").Client(wrapper)
        await client.connectAsync("127.0.0.1", PORT, clientId=1, timeout=4)
        return await script(client, wrapper, gateways, network)

    return run(main(), loop=loop)


def test_the_ib_library_connects_unmodified() -> None:
    """Handshake, accounts, next valid id and the current time over the network in memory, in virtual milliseconds."""

    async def script(client: Any, wrapper: QuietWrapper, gateways: list[ScriptedGateway], _: MemoryNetwork) -> None:
        assert client.isReady()
        assert client.serverVersion() == 176
        assert client.getAccounts() == ["DU1"]
        assert client.getReqId() == 7
        client.reqCurrentTime()
        await asyncio.sleep(1)
        assert "currentTime" in wrapper.calls
        assert 1.0 < asyncio.get_running_loop().time() < 1.01
        client.disconnect()
        await asyncio.sleep(1)
        assert gateways[0].transport.is_closing()

    with_ib_client(script)


def test_the_ib_library_s_own_throttle_ends() -> None:
    """200 requests at its 45 a second take four virtual seconds: its timers re-arm at the exact instant."""

    async def script(client: Any, wrapper: QuietWrapper, gateways: list[ScriptedGateway], _: MemoryNetwork) -> None:
        for _number in range(200):
            client.reqCurrentTime()
        await asyncio.sleep(10)
        asked = [at for at, fields in gateways[0].messages if fields[0] == "49"]
        assert len(asked) == 200
        assert 4.0 < asked[-1] - asked[0] < 4.1

    with_ib_client(script)


def test_the_ib_library_sees_a_gateway_that_dies() -> None:
    """A reset tells its wrapper that the connection closed, and it can connect again."""

    async def script(
        client: Any, wrapper: QuietWrapper, gateways: list[ScriptedGateway], network: MemoryNetwork
    ) -> None:
        network.links[0].reset()
        await asyncio.sleep(1)
        assert "connectionClosed" in wrapper.calls
        assert not client.isConnected()
        await client.connectAsync("127.0.0.1", PORT, clientId=1, timeout=4)
        assert client.isReady()
        assert len(gateways) == 2

    with_ib_client(script)


def test_a_gateway_that_accepts_but_says_nothing_ends_in_the_client_s_time_out() -> None:
    """Half-open from the first byte: connectAsync gives up after its own virtual seconds."""

    async def script(
        client: Any, wrapper: QuietWrapper, gateways: list[ScriptedGateway], network: MemoryNetwork
    ) -> float:
        client.disconnect()
        await asyncio.sleep(1)
        network.on_link = MemoryLink.silence
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await client.connectAsync("127.0.0.1", PORT, clientId=1, timeout=4)
        return asyncio.get_running_loop().time() - began

    assert with_ib_client(script) == pytest.approx(4, abs=0.01)

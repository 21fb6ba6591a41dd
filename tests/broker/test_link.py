"""The connection loop: every way a gateway can fail gives one clear sentence, and the loop goes on."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.ib import installed
from longwatch.broker.link import FullJitter, Heartbeat
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.broker.skew import ClockCheck, skew_seconds
from longwatch.domain import messages as m
from longwatch.errors import ConfigError
from longwatch.gateway.app import Gateway
from longwatch.simulation.transport import Door
from tests.broker.bench import (
    HOST,
    PORT,
    START,
    Bench,
    Inbox,
    Script,
    Scripted,
    an_empty_account,
    on_bench,
    settings,
    welcome,
    with_gateway,
    with_script,
)


async def lost(bench: Bench, count: int = 1) -> str:
    return (await bench.inbox.until(m.LinkLost, count)).reason


def first_loss(script: Script, **changed: object) -> str:
    """How the first connection to a scripted gateway ends."""

    async def work(bench: Bench, script: Script) -> str:
        return await lost(bench)

    return with_script(work, script, **changed)


def test_a_gateway_that_is_not_there_is_named_with_its_address() -> None:
    """Refused: the sentence says where and what to look at."""

    async def work(bench: Bench) -> str:
        return await lost(bench)

    assert on_bench(work) == "the gateway at gateway:4002 refuses connections: is it running, and is its API port open?"


def test_a_gateway_that_takes_no_connection_is_given_up_at_the_deadline() -> None:
    """Packets that vanish cost the connect deadline, not for ever."""

    async def work(bench: Bench) -> tuple[str, float]:
        bench.network.set_door(HOST, PORT, Door.SILENT)
        reason = await lost(bench)
        return reason, (bench.clock.market() - START).total_seconds()

    reason, after = on_bench(work, connect_seconds=3.0)
    assert reason == "the gateway at gateway:4002 takes no connection within 3 s"
    assert 3.0 <= after < 3.1


def test_a_gateway_that_accepts_and_stays_silent_is_given_up() -> None:
    """No server version: the first of the handshake's messages is named."""
    reason = first_loss(Script(greets=False), handshake_seconds=2.0)
    assert reason == ("the gateway at gateway:4002 took the connection but stays silent: no server version within 2 s")


@pytest.mark.parametrize(
    ("says", "absent"),
    [
        ({}, "no nextValidId and no accounts"),
        ({"managedAccounts": {"accountsList": "DU1"}}, "no nextValidId"),
        ({"nextValidId": {"orderId": 1}}, "no accounts"),
        ({"nextValidId": {"orderId": 1}, "managedAccounts": {"accountsList": ""}}, "no accounts"),
    ],
)
def test_a_handshake_that_is_not_completed_names_what_is_missing(
    says: dict[str, dict[str, object]], absent: str
) -> None:
    """Both nextValidId and a list of accounts that is not empty are needed, in any order."""

    def start(gateway: Scripted, values: dict[str, object]) -> None:
        for name, fields in says.items():
            gateway.say(name, **fields)

    reason = first_loss(Script(answers={"startApi": start}), handshake_seconds=2.0)
    assert reason == f"the gateway at gateway:4002 did not complete the handshake: {absent} within 2 s"


@pytest.mark.parametrize("text", ["0", "-1", "2147483647", "2147483648", "9" * 20])
def test_a_next_order_id_that_is_none_does_not_complete_the_handshake(text: str) -> None:
    """An order under it could never be sent."""

    def start(gateway: Scripted, values: dict[str, object]) -> None:
        gateway.say("managedAccounts", accountsList="DU1")
        gateway.raw("9", "1", text)

    reason = first_loss(Script(answers={"startApi": start}), handshake_seconds=2.0)
    assert reason == "the gateway at gateway:4002 did not complete the handshake: no nextValidId within 2 s"


def test_ids_that_are_nearly_used_up_are_said_with_the_remedy() -> None:
    """Any client's order with a very high id pushes the next one up: only a reset in the gateway helps."""

    def start(gateway: Scripted, values: dict[str, object]) -> None:
        gateway.say("managedAccounts", accountsList="DU1")
        gateway.raw("9", "1", "2147483640")

    reason = first_loss(Script(answers={"startApi": start}))
    assert "2147483640 as the next order id, which leaves no room for more: reset the API order ids" in reason


def test_a_gateway_that_hangs_up_at_once_is_asked_about_trust() -> None:
    """Closed before the version frame: that is what an untrusted address sees."""
    assert first_loss(Script(hang_up=True)) == (
        "the gateway at gateway:4002 closed the connection before the handshake: "
        "is this machine among its trusted addresses?"
    )


def test_dying_in_mid_message_is_told_from_an_orderly_end() -> None:
    """Half a frame at the end is named; nothing of it is taken for a message."""

    def half(gateway: Scripted, values: dict[str, object]) -> None:
        welcome(gateway, values)
        gateway.transport.write(b"\0\0\0\x20009\0001\0")
        gateway.transport.close()

    async def work(bench: Bench, script: Script) -> tuple[str, int]:
        return await lost(bench), len(bench.inbox.of(m.MessageUndecodable))

    reason, undecodable = with_script(work, Script(answers={"startApi": half}))
    assert reason == "the gateway at gateway:4002 closed the connection in the middle of a message"
    assert undecodable == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_gateway_cut_at_any_byte_is_one_lost_link(cut: int) -> None:
    """Wherever the bytes stop, there is one LinkLost with a reason, and the next attempt is made."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        gateway.faults.drop_after = cut
        reason = await lost(bench)
        assert reason.startswith("the gateway at gateway:4002 ")
        gateway.faults.drop_after = None
        assert (await bench.up()).accounts == ("DU123456",)
        assert len(bench.inbox.of(m.LinkLost)) == len(bench.inbox.of(m.LinkOpening)) - 1

    with_gateway(work)


def test_something_that_is_no_gateway_is_recognised() -> None:
    """A web server on the port is not waited for: its first bytes are no frame."""

    def talk(gateway: Scripted) -> None:
        gateway.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    class WebServer(Scripted):
        def data_received(self, data: bytes) -> None:
            talk(self)

    async def work(bench: Bench) -> str:
        bench.network.listen(HOST, PORT, lambda: WebServer(Script()))
        return await lost(bench)

    assert "does not speak the TWS protocol" in on_bench(work)


@pytest.mark.parametrize("version", [100, 179, 200])
def test_a_server_version_we_cannot_read_is_refused(version: int) -> None:
    """Outside what the library decodes, no message is guessed at."""
    highest = {"ib_insync": 176, "ib_async": 178}[installed()]
    expected = f"the gateway at gateway:4002 speaks server version {version}, we 157 to {highest}"
    assert first_loss(Script(version=version)) == expected


def test_a_client_id_in_use_is_said_in_the_gateways_words() -> None:
    """326 ends the session with its own text; the same id is tried again, and the first connection is not disturbed."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.up()
        inbox = Inbox()
        other = IbBroker(settings(), sink=inbox, gate=lambda intent: None, clock=bench.clock, random=Random(2))
        running = asyncio.create_task(other.run(), name="other link")
        reason = (await inbox.until(m.LinkLost, 2)).reason
        await other.close()
        await running
        assert reason.startswith("the client id is in use by another connection: Unable to connect")
        assert reason.endswith("(326)")
        assert inbox.of(m.LinkUp) == []
        assert bench.inbox.of(m.LinkLost) == []

    with_gateway(work)


def test_a_half_open_connection_is_found_by_the_heartbeat() -> None:
    """A socket that neither closes nor answers is dropped after the heartbeat's time-out, and a new one is made."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        await bench.synced()
        gateway.faults.half_open = True
        reason = await lost(bench)
        assert reason == (
            "the gateway has said nothing for 4 s, though asked for its time: the connection is half-open"
        )
        gateway.faults.half_open = False
        await bench.up()

    with_gateway(work, heartbeat_seconds=5.0, heartbeat_timeout_seconds=4.0)


def test_a_gateway_that_talks_but_does_not_answer_is_given_more_time() -> None:
    """Notices keep a connection alive for a while; answers to the heartbeat must come in the end."""

    script = an_empty_account()
    del script.answers["reqCurrentTime"]

    async def work(bench: Bench, script: Script) -> tuple[str, float]:
        await bench.inbox.until(m.LinkUp)

        async def chatter() -> None:
            while not bench.inbox.of(m.LinkLost):
                script.connections[0].say("error", reqId=-1, errorCode=2104, errorString="…:usfarm")
                await asyncio.sleep(1.0)

        await asyncio.wait_for(chatter(), 60)
        return await lost(bench), (bench.clock.market() - START).total_seconds()

    reason, after = with_script(work, script, heartbeat_timeout_seconds=4.0)
    assert reason == "the gateway talks, but has not told its time for 12 s"
    assert 12 <= after < 14


def test_a_busy_connection_is_not_asked_more_than_the_clock_check_wants() -> None:
    """While messages come, a heartbeat is sent only to compare clocks."""

    async def work(bench: Bench, script: Script) -> int:
        await bench.up()
        for _ in range(100):
            await asyncio.sleep(1.0)
            script.connections[0].say("error", reqId=-1, errorCode=2104, errorString="…:usfarm")
        return script.names().count("reqCurrentTime")

    assert with_script(work, an_empty_account(), heartbeat_seconds=5.0, clock_check_seconds=60.0) == 2


def test_there_is_one_loop_however_often_the_gateway_goes() -> None:
    """A hundred restarts: attempts and losses alternate, one connection at a time, and no task is left over."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        for restart in range(1, 101):
            await bench.up()
            tasks = {task.get_name() for task in asyncio.all_tasks()}
            assert len(gateway.desk.connections) == 1
            bench.broker.drop(f"restart {restart}")
            assert await lost(bench, restart) == f"restart {restart}"
        assert {task.get_name() for task in asyncio.all_tasks()} == tasks
        kinds = [
            type(event) for event in bench.inbox.events if isinstance(event, m.LinkOpening | m.LinkUp | m.LinkLost)
        ]
        assert kinds == [m.LinkOpening, m.LinkUp, m.LinkLost] * 100

    with_gateway(work, backoff_longest_seconds=2.0)


def test_attempts_are_bounded_in_rate_and_unlimited_in_number() -> None:
    """A gateway down for a day is tried all day, about twice a minute once backed off."""

    async def work(bench: Bench) -> list[m.LinkOpening]:
        await asyncio.sleep(86_400)
        return bench.inbox.of(m.LinkOpening)

    attempts = on_bench(work)
    assert 86_400 / 60 < len(attempts) < 86_400 / 20
    assert [each.attempt for each in attempts] == list(range(1, len(attempts) + 1))


def test_backoff_starts_afresh_after_a_stable_connection() -> None:
    """Sixty good seconds forgive what went before: the next attempt comes at once."""

    async def work(bench: Bench, gateway: Gateway) -> float:
        gateway.faults.refuse = True
        bench.network.stop_listening(HOST, PORT)
        await lost(bench, 12)
        bench.network.listen(HOST, PORT, gateway.protocol_factory)
        gateway.faults.refuse = False
        await bench.up()
        await asyncio.sleep(61)
        bench.broker.drop("test")
        before = bench.clock.market()
        await bench.up()
        return (bench.clock.market() - before).total_seconds()

    assert with_gateway(work) < 1.0


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_jitter_is_full_and_bounded(attempt: int, seed: int) -> None:
    """Every pause lies between the floor and the bound, and one seed gives one pause."""
    state = SimpleNamespace(attempt_number=attempt)
    pauses = [FullJitter(LinkSettings(), Random(seed))(state) for _ in range(2)]  # type: ignore[arg-type]
    assert pauses[0] == pauses[1]
    assert 0.25 <= pauses[0] <= min(60.0, 2.0 ** (min(attempt, 30) - 1))


def test_closing_ends_the_loop_even_while_it_waits() -> None:
    """A daemon that stops does not wait for the next attempt."""

    async def work(bench: Bench) -> None:
        await lost(bench, 9)
        await bench.broker.close()
        before = len(bench.inbox.of(m.LinkOpening))
        await asyncio.sleep(600)
        assert len(bench.inbox.of(m.LinkOpening)) == before

    on_bench(work)


def test_client_id_zero_is_refused() -> None:
    """Client id 0 would rebind the owner's manual orders."""
    with pytest.raises(ConfigError, match=r"set trading\.ib\.client_id"):
        LinkSettings(client_id=0)


def test_the_handshake_reports_id_accounts_and_version() -> None:
    """LinkUp carries what the gateway said; notices that come with it follow it."""

    async def work(bench: Bench, gateway: Gateway) -> None:
        up = await bench.inbox.until(m.LinkUp)
        await bench.inbox.until(m.FarmSeen, 4)
        assert (up.client_id, up.next_order_id, up.accounts, up.server_version) == (7, 1, ("DU123456",), 176)
        order = [type(event) for event in bench.inbox.events]
        assert order.index(m.LinkUp) < order.index(m.FarmSeen)
        farms = {each.farm: each.history for each in bench.inbox.of(m.FarmSeen)}
        assert farms["ushmds"] and not farms["usfarm"] and not farms["secdefnj"]

    with_gateway(work)


# ── the clock ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    skew=st.floats(-1000, 1000),
    asked=st.floats(1.7e9, 1.7e9 + 86_400),
    there=st.floats(0, 5),
    back=st.floats(0, 5),
)
def test_skew_is_never_overstated(skew: float, asked: float, there: float, back: float) -> None:
    """Whole seconds and the time under way are allowed for: what is reported is no more than what is true."""
    told = int(asked + there + skew)
    reported = skew_seconds(told, asked, asked + there + back)
    assert abs(reported) <= abs(skew) + 1e-6
    assert abs(skew - reported) <= 1 + there + back + 1e-6


def test_clocks_that_agree_are_told_now_and_then() -> None:
    """An unchanged skew is told once in its interval, a changed one at once."""
    check = ClockCheck(60.0)
    told = []
    for seconds, off in ((0, 0), (15, 0), (30, 0), (45, 7), (60, 7), (105, 7)):
        check.asked(START)
        told.append(check.answered(int(START.timestamp()) + off, START, float(seconds)))
    assert told == [0.0, None, None, 7.0, None, 7.0]


def test_a_wrong_clock_is_seen_within_a_second() -> None:
    """A gateway whose clock is a minute ahead gives a skew of a minute, give or take the resolution."""

    script = an_empty_account()
    script.answers["reqCurrentTime"] = lambda gateway, values: gateway.say(
        "currentTime", time=int(START.timestamp()) + 60
    )

    async def work(bench: Bench, script: Script) -> float:
        return (await bench.inbox.until(m.ClockSeen)).skew_seconds

    assert 59 < with_script(work, script) <= 60


@given(
    heard=st.lists(st.floats(0, 40), max_size=30),
    heartbeat=st.floats(1, 20),
    timeout=st.floats(1, 10),
)
def test_silence_is_only_told_after_asking(heard: list[float], heartbeat: float, timeout: float) -> None:
    """However messages come, a connection is called dead only when asked, and only past the time-out."""
    watch = Heartbeat(LinkSettings(heartbeat_seconds=heartbeat, heartbeat_timeout_seconds=timeout), now=0.0)
    asked_at, awaiting = 0.0, False
    for now in sorted(heard):
        silence = watch.silence(heard_at=0.0, now=now)
        assert (silence is not None) == (awaiting and now - asked_at >= timeout)
        if silence is None and watch.wait_seconds(0.0, now) <= 0:
            watch.asked(now)
            asked_at, awaiting = now, True

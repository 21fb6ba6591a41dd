"""`longwatch run`: the daemon as a service, on the machine's clock, with a durable journal and real processes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from longwatch.app import Ports, build
from longwatch.brokers import broker_for, ib_broker
from longwatch.clock import Clock, SteppedClock, SystemClock, real_monotonic
from longwatch.config.load import Loaded, load
from longwatch.config.schema import IbSettings, Settings
from longwatch.config.trade import account_of, trade_settings
from longwatch.data.calendar import AlwaysOpen, ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.misnamed import misnamed
from longwatch.domain.state import State
from longwatch.engine.self_test import Deadlines, self_test
from longwatch.engine.strategies import strategy_tasks, universe_of, universes_of
from longwatch.engine.workers import ThreadWorkers
from longwatch.errors import ProtocolError, UsageError
from longwatch.journal.codec import decode
from longwatch.journal.threaded import ThreadedJournal
from longwatch.ops import logs
from longwatch.ops.process import obey_signals
from longwatch.ports import Broker, BrokerNeeds, Calendar, Sink
from longwatch.strategies.host import ProcessHost
from longwatch.wire.framing import Frames, hello, split
from longwatch.wire.replies import Reply, decode_reply
from longwatch.wire.requests import encode_request

PROBE_SECONDS = 3.0
PROBE_CLIENT_ID = 31_999
CHECK_CLIENT_ID = 31_998
"""Of a self-test, which may run beside the daemon; order ids are counted apart for each client."""
DELAYED = (3, 4)
ALWAYS_OPEN = "24/7"
GC_THRESHOLD = 50_000
"""Objects between two young collections: a full one inside a decision costs more than the decision."""

_LOG = logging.getLogger("longwatch.start")


def run(path: Path) -> int:
    """Run the daemon until it is told to stop; the exit code is 0. Raises ConfigError, JournalError, LongwatchError."""
    loaded = load(path, os.environ)
    if loaded.settings.mode == "backtest":
        raise UsageError(f"{path} says mode: backtest; run it with `longwatch backtest {path}`, or set mode to paper")
    asyncio.run(serve(loaded, path, os.environ))
    return 0


async def serve(loaded: Loaded, path: Path, environ: Mapping[str, str]) -> None:
    """Build the daemon with the ports of production and run it."""
    settings = loaded.settings
    logs.setup(SystemClock(), level=settings.ops.log_level, style=settings.ops.log_format, in_background=True)
    for warning in loaded.warnings:
        _LOG.warning("%s", warning)
    journal = ThreadedJournal.open(
        settings.journal_path, account=account_of(settings), mode=settings.mode, fresh_id=secrets.token_hex(8)
    )
    clock = await clock_of(settings, journal)
    follower = _Follower(clock)
    daemon = build(
        loaded,
        Ports(
            clock=clock,
            journal=journal,
            workers=ThreadWorkers(),
            host=ProcessHost(),
            calendar=calendar_of(settings.calendar),
            broker=broker_for,
            random=Random(secrets.randbits(64)),
        ),
        config_path=path,
        environ=environ,
        on_step=follower.heard,
    )
    follower.sink = daemon.inbox.put
    obey_signals(daemon)
    # What start-up made lives as long as the daemon: collections need not look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 50)
    await daemon.run()


def doubtful_names(loaded: Loaded, folder: Path) -> list[str]:
    """A sentence for each name in the settings that is no strategy's symbol; and why that could not be found out.

    Strategies are loaded for it, where the settings name symbols at all.
    """
    settings = loaded.settings
    if not settings.stops.instruments and not settings.risk.groups:
        return []
    found: list[str] = []
    tasks = asyncio.run(
        strategy_tasks(settings, ProcessHost(), folder, lambda name, why: found.append(f"strategy {name}: {why}"))
    )
    universe = universe_of(tasks)
    named = misnamed(trade_settings(settings, universe, universes_of(tasks)), universe, knows_book=False)
    return [*found, *(() if found else named)]


def check_connected(path: Path) -> int:
    """Print what the gateway of a configuration would refuse; the exit code is 0 where it would refuse nothing."""
    loaded = load(path, os.environ)
    if loaded.settings.mode == "backtest":
        raise UsageError(f"{path} says mode: backtest, which has no gateway; leave out --connect")
    found = asyncio.run(problems_at_the_gateway(loaded, path.parent))
    for line in found or ["the gateway: account, contracts, quotes and a what-if of one share each are well"]:
        print(line)
    return 1 if found else 0


async def problems_at_the_gateway(loaded: Loaded, folder: Path, client_id: int = CHECK_CLIENT_ID) -> list[str]:
    """What the gateway of a configuration would refuse, a sentence each; nothing is placed there."""
    settings = loaded.settings
    ib = settings.ib.model_copy(update={"client_id": client_id})
    settings = settings.model_copy(update={"ib": ib})
    found: list[str] = []
    host = ProcessHost()
    tasks = await strategy_tasks(settings, host, folder, lambda name, why: found.append(f"strategy {name}: {why}"))
    universe, clock = universe_of(tasks), SystemClock()
    found += misnamed(trade_settings(settings, universe, universes_of(tasks)), universe, knows_book=False)
    state = State(account=account_of(settings), mode=settings.mode, client_id=client_id)

    def connect(sink: Sink) -> Broker:
        return ib_broker(
            BrokerNeeds(
                settings=settings,
                state=state,
                account=state.account,
                universe=universe,
                sink=sink,
                gate=lambda intent: "a self-test places nothing",
                clock=clock,
                random=Random(secrets.randbits(64)),
            )
        )

    takes_delayed = settings.mode == "paper" and settings.ib.market_data_type in DELAYED
    found += await self_test(connect, state, clock, universe, takes_delayed=takes_delayed, deadlines=Deadlines())
    return found


def calendar_of(name: str) -> Calendar:
    """The calendar a configuration names; `24/7` is always open."""
    return AlwaysOpen() if name == ALWAYS_OPEN else ExchangeCalendar(name)


async def clock_of(settings: Settings, journal: ThreadedJournal) -> Clock:
    """The machine's clock, or one that follows a simulated gateway's market time from the first answer it gives.

    While that gateway is away market time goes on from the journal's last record.
    """
    if settings.clock.source == "system":
        return SystemClock()
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            start = await gateway_time(settings.ib)
    except (OSError, TimeoutError, ProtocolError, asyncio.IncompleteReadError) as error:
        start = _last_time(journal)
        _LOG.warning("the gateway's time is not known (%s); market time goes on from %s", error, start)
    technical = SystemClock().technical()
    return SteppedClock(real_monotonic, market_start=start, technical_start=technical, speed=settings.clock.speed)


async def gateway_time(ib: IbSettings) -> datetime:
    """What the gateway says the time is, asked over a connection of its own. Raises OSError, ProtocolError."""
    reader, writer = await asyncio.open_connection(ib.host, ib.port)
    try:
        writer.write(hello(157, 176))
        frames = Frames()
        version = int(split((await _next(reader, frames))[0])[0])
        writer.write(encode_request("startApi", {"clientId": PROBE_CLIENT_ID}, version))
        writer.write(encode_request("reqCurrentTime", {}, version))
        while True:
            for payload in await _next(reader, frames):
                reply = decode_reply(split(payload), version)
                if isinstance(reply, Reply) and reply.name == "currentTime":
                    return datetime.fromtimestamp(int(reply.values["time"]), UTC)
    finally:
        writer.close()


async def _next(reader: asyncio.StreamReader, frames: Frames) -> list[bytes]:
    while True:
        data = await reader.read(65_536)
        if not data:
            raise ProtocolError("the gateway closed the connection")
        if found := frames.feed(data):
            return found


def _last_time(journal: ThreadedJournal) -> datetime:
    last = SystemClock().market()
    for record in journal.read(max(1, journal.last_sequence - 200)):
        at = getattr(decode(record), "at", None)
        last = at if isinstance(at, datetime) else last
    return last


@dataclass(slots=True)
class _Follower:
    """Keeps a followed clock with the gateway's: a simulated gateway that was away has its own idea of time."""

    clock: Clock
    sink: Sink | None = None

    def heard(self, event: m.Event, what: Step) -> None:
        """Shift market time by a skew that is more than the answer's own resolution; after that there is none."""
        if isinstance(self.clock, SteppedClock) and isinstance(event, m.ClockSeen) and abs(event.skew_seconds) > 2:
            self.clock.shift(event.skew_seconds)
            if self.sink is not None:
                self.sink(m.ClockSeen(at=self.clock.market(), tech=self.clock.technical(), skew_seconds=0.0))

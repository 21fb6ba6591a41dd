"""`longwatch gateway`: the simulated gateway alone, on a TCP port and the machine's clock, for anybody's IB client."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.clock import SteppedClock, SystemClock, real_monotonic
from longwatch.errors import JournalError, UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import conducted
from longwatch.gateway.desk import GatewayConfig
from longwatch.gateway.exchange.ledger import newest_entry_at
from longwatch.gateway.police import Limits
from longwatch.ops import logs
from longwatch.simulation.event_plan import in_time, load_events
from longwatch.simulation.markets import Served, always_open, from_folder, generated, recorded
from longwatch.simulation.plan import FAULTS, Plan, load_plan
from longwatch.simulation.trouble import Played, Trouble

PACING = ("delay", "reject", "off")
MARKETS = {"recorded": recorded, "generated": generated}
ACCOUNT = re.compile(r"[A-Za-z0-9]{1,20}")
CASH = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")

_LOG = logging.getLogger("longwatch.gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What `longwatch gateway` was asked for; seconds are the machine's, `speed` is market seconds in one of them."""

    port: int = 4002
    host: str = "127.0.0.1"
    speed: float = 1.0
    ledger: Path | None = None
    around_the_clock: bool = False
    market: str = "recorded"
    bars: Path | None = None
    start: date | None = None
    seed: int = 1
    hold_acks_seconds: float = 0.0
    accounts: tuple[str, ...] = ("DU123456",)
    cash: Decimal = Decimal(1_000_000)
    symbols: tuple[str, ...] = ()
    faults: Path | None = None
    events: Path | None = None
    server_version: int = 176
    pacing: str = "delay"
    message_rate: int = Limits().messages_a_second
    conduct: tuple[str, ...] = ()


def gateway(**options: Any) -> int:
    """Serve until SIGINT or SIGTERM; the exit code is 0. Raises LinkError when the port is taken."""
    asyncio.run(serve(GatewayOptions(**options)))
    return 0


async def serve(asked: GatewayOptions) -> None:
    """Serve as asked, until a signal says to stop.

    Raises ConfigError for a plan that can't be read, JournalError when the books don't balance.
    """
    market = _served(asked)
    begins, accounts = _begins(asked, market), _accounts(asked)
    plan = load_plan(asked.faults) if asked.faults is not None else Plan()
    clock = SteppedClock(
        real_monotonic, market_start=begins, technical_start=SystemClock().technical(), speed=asked.speed
    )
    logs.setup(clock, style="auto")
    config = GatewayConfig(
        server_version=asked.server_version,
        accounts=tuple(accounts),
        cash=asked.cash,
        cash_of={account: cash for account, cash in accounts.items() if cash is not None},
        speed=asked.speed,
        seed=asked.seed,
        ledger_path=asked.ledger,
        pacing=_limits(asked),
        conduct=conducted(asked.conduct),
    )
    served = Gateway(config, market.market, clock)
    served.faults.hold_orders_seconds = asked.hold_acks_seconds
    Trouble(served, plan.incidents(begins, market.sessions), told=_tell)
    if asked.events is not None:
        events = load_events(asked.events, served.events)
        served.events.play(in_time(events, begins, market.sessions), _LOG.warning)
    port = await served.start(asked.host, asked.port)
    _LOG.info(
        "serving %s on %s:%d, market time %s, speed %g",
        ", ".join(accounts),
        asked.host,
        port,
        begins,
        asked.speed,
    )
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    loop.set_exception_handler(lambda loop, context: _failed(loop, context, served, stop))
    try:
        await stop.wait()
    finally:
        await served.close()
    if served.ledger.fault:
        raise JournalError(served.ledger.fault)


def _failed(loop: asyncio.AbstractEventLoop, context: dict[str, Any], served: Gateway, stop: asyncio.Event) -> None:
    """A gateway whose books are out, or not on the disk, has nothing true to say any more: it ends without a word."""
    if isinstance(context.get("exception"), JournalError):
        for session in list(served.desk.connections):
            session.abort()
        served.desk.close()
        stop.set()
    else:
        loop.default_exception_handler(context)


def _tell(played: Played) -> None:
    incident, is_over = played.incident, played.ended is not None
    _LOG.warning("fault %s %s: %s", incident.fault, "is over" if is_over else "begins", FAULTS[incident.fault].text)


def _accounts(asked: GatewayOptions) -> dict[str, Decimal | None]:
    """Each account and its own first cash, or None, from `DU1=50000` and `DU2`. Raises UsageError for what is none."""
    accounts: dict[str, Decimal | None] = {}
    for text in asked.accounts:
        account, equals, cash = text.partition("=")
        if not ACCOUNT.fullmatch(account):
            raise UsageError(f"--accounts {text}: {account!r} can't be an account; write letters and digits, as DU1")
        if account in accounts:
            raise UsageError(f"--accounts {text}: {account} is there twice; name it once")
        if equals and not CASH.fullmatch(cash):
            raise UsageError(f"--accounts {text}: the cash of {account} must be a number, as {account}=50000")
        accounts[account] = Decimal(cash) if cash else None
    if not accounts:
        raise UsageError("--accounts names none; write at least one, as DU1")
    return accounts


def _limits(asked: GatewayOptions) -> Limits | None:
    """The pacing rules asked for. Raises UsageError for a kind there is not."""
    if asked.pacing not in PACING:
        raise UsageError(f"--pacing {asked.pacing}: write one of {', '.join(PACING)}")
    if asked.pacing == "off":
        return None
    return Limits(messages_a_second=asked.message_rate, rejects=asked.pacing == "reject")


def _served(asked: GatewayOptions) -> Served:
    """The market asked for. Raises UsageError for one there is not, or for two of them."""
    if asked.market not in MARKETS:
        raise UsageError(
            f"--market {asked.market}: write one of {', '.join(MARKETS)}, or else --bars DIR or --around-the-clock"
        )
    chosen = {
        "--around-the-clock": asked.around_the_clock,
        "--bars": asked.bars is not None,
        f"--market {asked.market}": asked.market != "recorded",
    }
    kinds = [option for option, is_asked in chosen.items() if is_asked]
    if len(kinds) > 1:
        raise UsageError(f"{' and '.join(kinds)} are two markets, and a gateway serves one; leave one of them out")
    if asked.bars is not None:
        return from_folder(asked.bars, asked.seed, asked.symbols, asked.start)
    make = always_open if asked.around_the_clock else MARKETS[asked.market]
    return make(asked.seed, asked.symbols, asked.start)


def _begins(asked: GatewayOptions, served: Served) -> datetime:
    """Where market time starts: as the market does, or where the ledger's last run ended when that is later."""
    former = newest_entry_at(asked.ledger) if asked.ledger is not None else None
    return served.begins if former is None else max(served.begins, former)

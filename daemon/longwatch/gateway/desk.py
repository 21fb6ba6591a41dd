"""The simulated gateway's shared state: market, exchange, clients and faults; every session and request works on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from longwatch.clock import Clock
from longwatch.errors import JournalError
from longwatch.gateway.config import GatewayConfig
from longwatch.gateway.day_trades import left
from longwatch.gateway.events import Events
from longwatch.gateway.exchange.corporate import Corporate
from longwatch.gateway.exchange.courier import Courier
from longwatch.gateway.exchange.exchange import Exchange
from longwatch.gateway.exchange.ledger import Account, Execution, Holding, Ledger
from longwatch.gateway.exchange.orders import Order, letters_of
from longwatch.gateway.exchange.pulse import Pulse
from longwatch.gateway.exchange.reports import PreviewShown, Report
from longwatch.gateway.farms import FARMS, NEED_BACKEND, is_served
from longwatch.gateway.faults import Faults
from longwatch.gateway.market.market import Instrument, Market
from longwatch.gateway.police import Police
from longwatch.gateway.session import Session
from longwatch.gateway.streams.account_values import Statement
from longwatch.gateway.streams.feeds import Feeds
from longwatch.gateway.streams.following import Following
from longwatch.gateway.streams.pnl import value_before
from longwatch.gateway.streams.rows import Rows
from longwatch.gateway.timeline import Timeline

__all__ = ["Desk", "GatewayConfig"]

CORRECTION_SECONDS = 5.0
"""A fill that is to be corrected is so much later."""


class Desk:
    """One gateway at work."""

    def __init__(
        self,
        config: GatewayConfig,
        market: Market,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        answer: Callable[[Session, str, dict[str, Any]], None],
        faults: Faults,
    ) -> None:
        self.config = config
        self.market = market
        self.loop = loop
        self.faults = faults
        self.timeline = Timeline(loop, clock, config.speed)
        self.pulse = Pulse(self.timeline, market)
        self.rows = Rows()
        self.connections: dict[Session, None] = {}
        self.clients: dict[int, Session] = {}
        chance = Random(f"{config.seed}|courier")
        self.courier = Courier(
            loop, self.faults, self.clients, self._moved, self._correct, self._bust, chance, conduct=config.conduct
        )
        self.letters = letters_of(config.seed)
        opening = {account: config.cash_of.get(account, config.cash) for account in config.accounts}
        self.ledger = Ledger(opening, config.ledger_path, at=self.timeline.now(), zone=config.zone)
        for account in config.cash_accounts:
            self.ledger.accounts[account].is_cash = True
        self.following = Following(self, config.account_refresh_seconds)
        self.events = Events(self)
        self.corporate = Corporate(self, self.events.took_effect)
        self.exchange = self._exchange()
        self.police = Police(config.pacing, loop.time, loop.call_later)
        self.feeds = Feeds(
            self.timeline,
            market,
            self.everyone,
            lambda: self.faults.backend_down,
            lines=config.market_data_lines,
            bars_survive=config.conduct.bars_survive,
        )
        self._answer = answer
        self._unsent: list[Callable[[], None]] = []
        self.listeners: list[Callable[[str], None]] = []
        """Told the name of every request before it is answered."""
        self._restarted_at: datetime | None = None
        self.events.resume()
        self.corporate.resume()
        self.pulse.follow(self._beat, self._is_needed)

    def _exchange(self) -> Exchange:
        """The exchange with the ledger's orders. Raises JournalError when they are not of this market."""
        try:
            return Exchange(
                self.market,
                self.ledger,
                self.timeline,
                self.pulse,
                self._carry,
                seed=self.config.seed,
                latencies=self.config.latencies,
                conduct=self.config.conduct,
                volume_share=self.config.volume_share,
                hard_to_borrow=self.config.hard_to_borrow,
                forbidden=self.config.forbidden,
            )
        except JournalError:
            self.ledger.close()
            raise

    # -- clients -------------------------------------------------------------------------------------------------

    def joined(self, session: Session) -> None:
        self.connections[session] = None

    def left(self, session: Session) -> None:
        self.connections.pop(session, None)
        self.police.forget(session)
        for client_id in [number for number, one in self.clients.items() if one is session]:
            del self.clients[client_id]
            self.exchange.forget_client(client_id)

    def answer(self, session: Session, name: str, values: dict[str, Any]) -> None:
        """Answer one request of a client."""
        for listener in list(self.listeners):
            listener(name)
        self._answer(session, name, values)

    def everyone(self) -> Iterator[Session]:
        """All clients that have started."""
        return iter(list(self.clients.values()))

    def announce(self, code: int, text: str) -> None:
        """Send a notice to every client."""
        for session in self.everyone():
            session.error(code, text)

    # -- what is known -------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.timeline.now()

    def connect_time(self) -> str:
        """The gateway's time in its greeting, with Java's name of the zone, which here is always this."""
        return f"{self.now():%Y%m%d %H:%M:%S} Greenwich Mean Time"

    def today(self) -> datetime:
        """Midnight at the gateway: where the day's executions and completed orders begin."""
        local = self.now().astimezone(ZoneInfo(self.config.zone))
        return local.replace(hour=0, minute=0, second=0, microsecond=0)

    def executions_today(self) -> list[Execution]:
        """The day's fills of all clients, oldest first, without those a fault has lost."""
        start, found = max(self.today(), self._restarted_at or self.today()), []
        for execution in reversed(self.ledger.executions):
            if execution.at < start:
                break
            if execution.exec_id not in self.faults.lost_fills:
                found.append(execution)
        return found[::-1]

    def holdings(self, account: str) -> list[tuple[Holding, Instrument]]:
        """An account's positions by contract number, with those closed today."""
        traded = {execution.con_id for execution in self.executions_today()}
        found = []
        for number, holding in sorted(self.ledger.accounts[account].holdings.items()):
            instrument = self.market.find(holding.symbol, number)
            if instrument is not None and (holding.quantity or number in traded):
                found.append((holding, instrument))
        return found

    def books(self, account: str) -> Account:
        return self.ledger.accounts[account]

    def statement(self, account: str) -> Statement:
        """What an account's values are made from, now."""
        return Statement(
            name=account,
            currency=self.config.currency,
            base=self.config.base_currency or self.config.currency,
            rate=self.config.base_rate,
            books=self.books(account),
            standing=self.exchange.standing(account),
            day=self.today().date(),
            day_trades=partial(self._day_trades_left, account),
            ordered=partial(self.exchange.ordered, account),
            previous=lambda: value_before(self.books(account), self.market, self.now(), self.today().date()),
            is_ready=not (self.faults.backend_down and self.config.conduct.reset_unready),
        )

    def _day_trades_left(self, account: str, ahead: int) -> int:
        newest_first = (one for one in reversed(self.ledger.executions) if one.account == account)
        return left(self.books(account), newest_first, self.ledger.day_of, self.today().date(), ahead)

    # -- the beat ------------------------------------------------------------------------------------------------

    def _is_needed(self) -> bool:
        return self.following.is_needed() or any(one.streams or one.tapes for one in self.clients.values())

    def _beat(self, instant: datetime) -> None:
        if self.faults.backend_down:
            return
        self.feeds.beat(instant)
        self.following.beat(instant)

    # -- outages -------------------------------------------------------------------------------------------------

    def lose_backend(self, *, login_lost: bool = False) -> None:
        """Cut the gateway off from the broker: 1100, and nothing of orders, quotes or history until it is restored.

        With `login_lost` 2110 tells that the server which logs the gateway in is out of reach too.
        """
        self.faults.backend_down = True
        self.announce(1100, "Connectivity between IB and Trader Workstation has been lost.")
        if login_lost:
            server = "Connectivity between Trader Workstation and server is broken."
            self.announce(2110, f"{server} It will be restored automatically.")
        for name, farm in FARMS.items():
            self.announce(*farm.notice(name, is_down=True))
        self.following.tell_readiness()
        self.feeds.lose()

    def restore_backend(self, *, data_lost: bool = False) -> None:
        """Join gateway and broker again: 1102, or 1101 and all subscriptions gone; what was held back follows."""
        self.faults.backend_down = False
        self.announce_farms(self.announce)
        if data_lost:
            self.feeds.forget()
            self.announce(1101, "Connectivity between IB and Trader Workstation has been restored - data lost.")
        else:
            text = "Connectivity between IB and Trader Workstation has been restored - data maintained."
            farms = f" All data farms are connected: {'; '.join(FARMS)}." if not self.faults.farms_down else ""
            self.announce(1102, f"{text}{farms}")
        self.following.tell_readiness()
        self.courier.catch_up()
        self._send_kept()

    def close_dialog(self) -> None:
        """A person has closed the window: what waited behind it goes on."""
        self.faults.dialog = False
        self._send_kept()

    def _send_kept(self) -> None:
        if self.faults.backend_down or self.faults.dialog:
            return
        requests, self._unsent = self._unsent, []
        for request in requests:
            request()

    def restarted(self) -> None:
        """The gateway is started anew: what it kept and the executions so far are gone, ids and orders are not."""
        self._restarted_at = self.now()
        self._unsent.clear()
        self.courier.forget()
        self.exchange.restarted()
        self.faults.backend_down = self.faults.dialog = False
        self.faults.farms_down.clear()

    def _carry(self, report: Report) -> None:
        if isinstance(report, PreviewShown) and self.config.base_currency:
            report = report.times(self.config.base_rate)
        self.courier.carry(report)
        self.corporate.watch()

    def _moved(self, execution: Execution) -> None:
        self.following.moved(execution.account, execution.con_id)

    def _correct(self, order: Order, execution: Execution) -> None:
        self.timeline.after(CORRECTION_SECONDS, self._correct_now, order, execution)

    def _correct_now(self, order: Order, execution: Execution) -> None:
        """The price is corrected, and with it what the position has cost; not if the fill has been taken back since."""
        booked = self.ledger.revision_of(execution)
        if booked is not None:
            self.exchange.correct(order, booked)
            self.courier.tell(lambda: self._moved(booked))

    def _bust(self, order: Order, execution: Execution) -> None:
        self.timeline.after(CORRECTION_SECONDS, self._bust_now, order, execution)

    def _bust_now(self, order: Order, execution: Execution) -> None:
        """The fill is taken back as it has been corrected; not if it has been taken back since."""
        booked = self.ledger.revision_of(execution)
        if booked is not None:
            self.events.take_back(order, booked)

    @property
    def is_delayed(self) -> bool:
        """Whether there are delayed quotes and no others."""
        return self.config.delayed_data or self.faults.delayed_only

    def reaches(self, request: str) -> bool:
        """Whether what a request needs can be reached; where not, a real gateway says nothing."""
        return not (self.faults.backend_down and request in NEED_BACKEND) and is_served(request, self.faults.farms_down)

    def when_connected(self, action: Callable[[], None]) -> None:
        """Do it now, or when the broker can be reached and no window is open: orders are kept meanwhile."""
        if self.faults.backend_down or self.faults.dialog:
            self._unsent.append(action)
        else:
            action()

    def break_farm(self, farm: str = "usfarm") -> None:
        """One farm of FARMS is lost alone: what it serves is not answered."""
        self.faults.farms_down.add(farm)
        self.announce(*FARMS[farm].notice(farm, is_down=True))

    def mend_farm(self, farm: str = "usfarm") -> None:
        """The farm is back."""
        self.faults.farms_down.discard(farm)
        self.announce(*FARMS[farm].notice(farm, is_down=False))

    def announce_farms(self, announce: Callable[[int, str], None]) -> None:
        """A notice of each farm's state."""
        for name, farm in FARMS.items():
            announce(*farm.notice(name, is_down=name in self.faults.farms_down))

    def close(self) -> None:
        """Cut every client off and close the books."""
        for session in list(self.connections):
            session.close()
        self.timeline.close()
        self.ledger.close()

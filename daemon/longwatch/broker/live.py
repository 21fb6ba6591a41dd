"""The broker as the engine knows it, over one connection to IB's gateway; made by the composition root.

It owns the parts (link, budget, downloads, universe, market data, histories), routes what the connection hears to them
or into the inbox, and sends what the engine asks for. It decides nothing about orders.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from functools import partial
from random import Random

from longwatch.broker import codes, preview
from longwatch.broker.account import AccountSync
from longwatch.broker.asked import LastAsked
from longwatch.broker.board import QuoteBoard
from longwatch.broker.budget import Frame, Priority
from longwatch.broker.channel import Channel
from longwatch.broker.contracts import DetailsRow
from longwatch.broker.heard import Greeting, Part
from longwatch.broker.histories import Histories
from longwatch.broker.ids import Owner, RequestIds
from longwatch.broker.line import Line
from longwatch.broker.lines import MarketData
from longwatch.broker.link import Link
from longwatch.broker.pairs import gate_of_all, orders_of
from longwatch.broker.settings import LinkSettings
from longwatch.broker.skew import TELL_SECONDS, ClockCheck
from longwatch.broker.universe import Universe
from longwatch.broker.unreadable import con_id_of, kept, request_ids_of
from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.bars import BarSeries
from longwatch.domain.instruments import Instrument
from longwatch.domain.quotes import Quote
from longwatch.errors import DataError, LinkError
from longwatch.ports import OrderGate, Sink
from longwatch.wire.bulk import BarColumns

TICKS = frozenset({1, 2, 45, 46, 58, 81})
# What the gateway answers to the cancel of a history request is no news.
ANSWERS_TO_CANCELS = frozenset({162, 366})


class IbBroker:
    """Implements the port Broker. Make it inside the running loop; `run` keeps the connection.

    `sink` takes what is heard, `gate` is asked at the write of each order, `random` draws the pauses between attempts.
    """

    def __init__(
        self,
        settings: LinkSettings,
        *,
        sink: Sink,
        gate: OrderGate,
        clock: Clock,
        random: Random,
        log: logging.Logger | None = None,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._clock = clock
        self._log = log or logging.getLogger("longwatch.link")
        self._channel = Channel(settings, sink, clock)
        self._line: Line | None = None
        self._link = Link(settings, self, random, self._log)
        self._board = QuoteBoard(self._channel.loop.time)
        self._universe = Universe(self._channel, done=self._instruments_known)
        self._account = AccountSync(self._channel, done=self._round_over, drop=self.drop)
        self._market = MarketData(settings, self, self._universe.instruments, self._board)
        self._histories = Histories(self._channel)
        self._is_synced = False
        self._clock_check = ClockCheck(TELL_SECONDS)
        self._asked = LastAsked(settings.client_id, self._channel.loop.time)
        self._broken_farms: set[str] = set()
        self._spoilt_ticks: set[int] = set()

    # ── the port ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        await self._link.run()

    def begin_sync(self, effect: m.BeginSync) -> None:
        if not self._channel.is_open:
            return
        self._channel.ids = RequestIds(effect.first_request_id, effect.count)
        self._account.begin(effect.account)

    def submit(self, effect: m.SubmitOrder) -> None:
        self._place(effect, effect.order.intent)

    def modify(self, effect: m.ModifyOrder) -> None:
        # Its key is none of an order's: an order is there already, and its cancel must go out all the same.
        self._place(effect, -effect.order.intent)

    def what_if(self, effect: m.RequestWhatIf) -> None:
        preview.ask(self._channel, effect)

    def _place(self, effect: m.SubmitOrder | m.ModifyOrder, key: int) -> None:
        withheld = partial(self._withheld, effect)
        try:
            data = self._channel.writer.order(effect)
        except (LinkError, ValueError) as error:
            withheld(str(error))
            return
        frame = Frame(
            priority=Priority.ORDER,
            data=data,
            key=key,
            messages=len(orders_of(effect)),
            gate=partial(gate_of_all, self._gate, orders_of(effect)),
            written=partial(self._written, effect),
            withheld=withheld,
        )
        self._channel.budget.put(frame)

    def cancel(self, effect: m.CancelOrder) -> None:
        self._channel.budget.withdraw(-effect.intent, "its order is cancelled")
        # A cancel goes first: it must not overtake the very order it is about.
        if self._channel.budget.withdraw(effect.intent, "it was cancelled before it was sent"):
            return
        if not self._channel.is_open:
            self._log.info("cancel of order %d not sent: no link", effect.order_id)
            return
        data = self._channel.writer.cancel_order(effect.order_id)
        written = partial(self._asked.cancelled, effect.order_id)
        self._channel.budget.put(Frame(priority=Priority.CANCEL, data=data, written=written))

    def request_snapshot(self, reason: str) -> None:
        self._account.request(reason)

    def drop(self, reason: str) -> None:
        self._link.end(reason)

    def watch(self, symbols: Sequence[str]) -> None:
        self._universe.add(symbols)
        self._market.watch(symbols)

    def quotes(self) -> tuple[Quote, ...]:
        return self._market.quotes(self._clock.technical())

    async def bars(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        instrument = self._universe.instruments.get(symbol)
        if instrument is None and not self._channel.is_open:
            raise LinkError(f"{symbol}: no history: there is no link to the gateway")
        if instrument is None:
            raise DataError(f"{symbol}: {self._universe.missing.get(symbol, 'its contract is not known yet')}")
        return await self._histories.bars(instrument, bar_size, until, count)

    async def close(self) -> None:
        await self._link.close()

    def counters(self) -> Mapping[str, int]:
        """Figures for metrics: attempts to connect, messages written, ticks heard, and frames queued by priority."""
        queued = {f"queued_{priority.name.lower()}": count for priority, count in self._channel.budget.queued().items()}
        return {
            "attempts": self._link.attempts,
            "written": self._channel.budget.written,
            "ticks": self._board.ticks,
            **queued,
        }

    # ── the link's owner ────────────────────────────────────────────────────────────────────────────────────────────

    def opening(self, attempt: int) -> Line:
        self._channel.emit(m.LinkOpening, attempt=attempt)
        self._line = Line(self._settings, self, self._clock)
        return self._line

    def ask_time(self) -> None:
        asks = self._channel.writer.current_time()
        self._channel.budget.put(Frame(priority=Priority.ACCOUNT, data=asks, written=self._time_is_asked))

    def ended(self, reason: str) -> None:
        self._log.debug("link lost: %s", reason)
        self._line, self._is_synced = None, False
        self._clock_check.forget()
        self._channel.close(reason)
        self._account.stop()
        self._universe.stop()
        self._market.stop()
        self._histories.stop(reason)
        self._asked.clear()
        self._broken_farms.clear()
        self._spoilt_ticks.clear()
        self._channel.emit(m.LinkLost, reason=reason)

    # ── what the connection hears ───────────────────────────────────────────────────────────────────────────────────

    def greeted(self, greeting: Greeting) -> None:
        if self._line is None:
            return
        self._channel.open(self._line)
        self._log.debug("link up: server version %d", greeting.server_version)
        self._channel.emit(
            m.LinkUp,
            client_id=self._settings.client_id,
            next_order_id=greeting.next_order_id,
            accounts=greeting.accounts,
            server_version=greeting.server_version,
        )

    def event(self, event: m.Event) -> None:
        self._channel.sink(event := self._account.told_apart(event))
        self._asked.heard(event)
        self._account.heard(event)

    def position(self, account: str, row: m.PositionRow) -> None:
        if not self._account.position(account, row):
            self._channel.emit(m.PositionSeen, account=account, **asdict(row))

    def part_ended(self, part: Part, request_id: int | None) -> None:
        self._account.ended(part, request_id)

    def account_value(
        self, request_id: int, account: str, tag: str, value: Decimal | str | None, currency: str
    ) -> None:
        self._account.value(request_id, account, tag, value, currency)

    def trading_type(self, request_id: int, account: str, value: str) -> None:
        self._account.trading_type(request_id, account, value)

    def details(self, request_id: int, row: DetailsRow) -> None:
        self._universe.row(request_id, row)

    def details_ended(self, request_id: int) -> None:
        self._universe.ended(request_id)

    def history(self, request_id: int, columns: BarColumns) -> None:
        self._histories.answered(request_id, columns)

    def market_data_type(self, request_id: int, kind: int) -> None:
        self._board.kind(request_id, kind)

    def tick_price(self, request_id: int, tick_type: int, price: float, size: float | None) -> None:
        self._board.price(request_id, tick_type, price, size)

    def tick_size(self, request_id: int, tick_type: int, size: float) -> None:
        self._board.size(request_id, tick_type, size)

    def conflated(self, count: int) -> None:
        self._board.ticks += count

    def server_time(self, epoch_seconds: int) -> None:
        self._link.answered()
        skew = self._clock_check.answered(epoch_seconds, self._clock.market(), self._channel.loop.time())
        if skew is not None:
            self._channel.emit(m.ClockSeen, skew_seconds=skew)

    def error(self, about: int, code: int, text: str) -> None:
        row = codes.row_of(code, self._settings.codes)
        if code in codes.BACKEND:
            self._backend(*codes.BACKEND[code])
        elif code in codes.FARMS:
            self._farm(codes.farm_of(text), codes.FARMS[code], history=code in codes.HISTORY_FARMS)
        elif row.kind is codes.Kind.SESSION_ENDS:
            self.drop(f"{row.meaning}: {text} ({code})")
        elif self._channel.ids is not None and about in self._channel.ids:
            self._request_error(about, row, text)
        elif about > 0:
            said = self._asked.said(about, row)
            self._channel.emit(m.OrderErrorSeen, order_id=about, code=code, text=text, **said)
        else:
            self._account.complaint(code, text)
            self._channel.emit(m.NoticeSeen, code=code, text=text)

    def undecodable(self, message_id: int, fields: tuple[str, ...], reason: str) -> None:
        self._account.undecodable(message_id, reason)
        for request_id in request_ids_of(message_id, fields):
            if self._universe.undecodable(request_id, reason) or self._histories.undecodable(request_id, reason):
                break
        # Ticks come by the thousand: one spoilt one of a kind is enough to know of.
        if message_id in TICKS and message_id in self._spoilt_ticks:
            return
        self._spoilt_ticks.add(message_id)
        self._log.warning("message %d could not be decoded: %s", message_id, reason)
        con_id = con_id_of(message_id, fields)
        self._channel.emit(m.MessageUndecodable, message_id=message_id, raw=kept(fields), reason=reason, con_id=con_id)

    # ── what market data asks for ───────────────────────────────────────────────────────────────────────────────────

    def subscribe(self, owner: Owner, instrument: Instrument) -> int:
        request_id = self._channel.take(owner)
        asks = self._channel.writer.market_data(request_id, instrument, self._settings.generic_ticks)
        self._channel.send(Priority.DATA, asks)
        return request_id

    def unsubscribe(self, request_id: int, *, tell: bool) -> None:
        self._channel.give_back(request_id)
        if tell and self._channel.is_open:
            self._channel.send(Priority.DATA, self._channel.writer.cancel_market_data(request_id))

    def complain(self, name: str, code: int, text: str) -> None:
        self._channel.emit(m.NoticeSeen, code=code, text=text, request=name)

    # ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _written(self, effect: m.SubmitOrder | m.ModifyOrder) -> None:
        self._asked.written(effect)
        for order in orders_of(effect):
            self._channel.emit(m.OrderHanded, intent=order.intent, change=order.changed)

    def _withheld(self, effect: m.SubmitOrder | m.ModifyOrder, reason: str) -> None:
        for order in orders_of(effect):
            self._channel.emit(m.OrderWithheld, intent=order.intent, change=order.changed, reason=reason)

    def _time_is_asked(self) -> None:
        self._clock_check.asked(self._clock.market())

    def _round_over(self) -> None:
        if not self._is_synced and self._channel.is_open:
            self._is_synced = True
            self._universe.start()

    def _instruments_known(self) -> None:
        if self._channel.is_open:
            self._channel.send(Priority.DATA, self._channel.writer.market_data_type(self._settings.market_data_type))
            self._market.start()

    def _backend(self, up: bool, data_kept: bool) -> None:
        self._channel.emit(m.BackendSeen, up=up, data_kept=data_kept)
        if up and not data_kept:
            self._market.restart()

    def _farm(self, farm: str, up: bool, *, history: bool) -> None:
        self._channel.emit(m.FarmSeen, farm=farm, up=up, history=history)
        if not up:
            self._broken_farms.add(farm)
        elif farm in self._broken_farms:
            self._broken_farms.discard(farm)
            self._market.farm_is_back()

    def _request_error(self, request_id: int, row: codes.Code, text: str) -> None:
        owner = self._channel.ids.owner(request_id) if self._channel.ids is not None else None
        if owner is not None and row.fails_request:
            owner.failed(row.code, text)
        elif owner is not None or row.code not in ANSWERS_TO_CANCELS:
            self.complain(owner.name if owner is not None else "a request that has ended", row.code, text)

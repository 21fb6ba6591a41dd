"""What really happened to orders, played on the simulated gateway: its messages, its downloads, its books.

A story is told in stages; after each, the client asks for everything a reconnecting daemon asks for. The messages are
the gateway's bytes as the daemon's own reader decodes them, so an oracle built on this knows nothing of the daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

from longwatch.broker.codes import CODES, Asked, row_of
from longwatch.broker.heard import Heard
from longwatch.broker.ib import Reader, installed, load
from longwatch.broker.translate import Translator
from longwatch.domain import messages as m
from longwatch.domain.orders import Order, OrderState
from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange.ledger import Execution
from longwatch.gateway.exchange.orders import REDUCES_WITH_BLOCK
from longwatch.gateway.exchange.orders import Order as TrueOrder
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.gateway.market.path import DayBar
from longwatch.wire.framing import split
from tests.domain.world import ACCOUNT, CLIENT, CLOSE, CON_IDS, OPEN, SESSION
from tests.gateway.made import PlainClient, on_a_gateway, until

D = Decimal
NONE = D(0)
VERSION = 176
ENDS = {
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,
    "Inactive": OrderState.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One order at the gateway: the ends it has for it, and its executions there (stem of the id -> shares, price).

    It may have two words for one end: what it rejected, its list of completed orders calls cancelled; and what filled
    and was taken back in part has no word of its own: it has filled, or ended with less.
    """

    ends: frozenset[OrderState]
    fills: dict[str, tuple[Decimal, Decimal]]
    exists: bool = True
    left: Decimal = NONE
    """Shares that it may still fill there."""
    gone: Decimal = NONE
    """Shares that filled and were taken back: not open again, but who has not heard of both can not know that."""

    @property
    def filled(self) -> Decimal:
        return sum((shares for shares, _ in self.fills.values()), D(0))

    @property
    def average(self) -> Decimal:
        value = sum((shares * price for shares, price in self.fills.values()), D(0))
        return value / self.filled if self.filled else D(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Everything the gateway tells when asked: rows as events, and what a snapshot says of them."""

    rows: tuple[m.Event, ...]
    positions: tuple[m.PositionRow, ...]
    open_perm_ids: tuple[int, ...]
    completed_perm_ids: tuple[int, ...]
    exec_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What came of one act: its messages in their order, then how everything stands."""

    at: datetime
    messages: tuple[m.Event, ...]
    truths: dict[int, Truth]
    download: Download


@dataclass(slots=True)
class Ears:
    """A connection's owner that keeps what it is told, as the adapter turns it into events."""

    now: Callable[[], datetime]
    asked: dict[int, Asked] = field(default_factory=dict)
    events: list[m.Event] = field(default_factory=list)
    positions: list[m.PositionRow] = field(default_factory=list)

    def event(self, event: m.Event) -> None:
        self.events.append(event)

    def position(self, account: str, row: m.PositionRow) -> None:
        self.positions.append(row)

    def error(self, about: int, code: int, text: str) -> None:
        if about in self.asked:
            said = row_of(code, CODES).said(self.asked[about])
            now = self.now()
            event = m.OrderErrorSeen(at=now, tech=now, order_id=about, code=code, text=text, **said)  # type: ignore[arg-type]
            self.events.append(event)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


@dataclass(slots=True)
class Teller:
    """Plays a story: acts at the gateway, and the stages that came of them."""

    gateway: Gateway
    client: PlainClient
    orders: dict[int, Order]
    ears: Ears
    reader: Reader
    seed: int
    read: int = 0
    changes: list[m.PositionRow] = field(default_factory=list)
    refused: set[int] = field(default_factory=set)
    stages: list[Stage] = field(default_factory=list)

    def place(self, order: Order, **changed: Any) -> None:
        """The order as the daemon sends it."""
        assert order.order_id is not None
        self.ears.asked[order.order_id] = Asked.NEW
        values = {
            "symbol": order.symbol,
            "orderRef": order.ref,
            "account": ACCOUNT,
            "lmtPrice": float(order.limit_price or 0),
            "tif": order.tif,
        }
        if order.stop_price is not None:
            values["auxPrice"] = float(order.stop_price)
        if order.oca_group:
            values |= {"ocaGroup": order.oca_group, "ocaType": REDUCES_WITH_BLOCK}
        values |= {"order_type": order.order_type.value} | changed
        self.client.order(order.order_id, order.side.value, int(order.quantity), **values)

    def cancel(self, order: Order) -> None:
        assert order.order_id is not None
        self.ears.asked[order.order_id] = Asked.CANCEL
        self.client.ask("cancelOrder", orderId=order.order_id)

    def true(self, order: Order) -> TrueOrder | None:
        assert order.order_id is not None
        return self.gateway.desk.exchange.book.get(CLIENT, order.order_id)

    def newest_fill(self, order: Order) -> Execution | None:
        """The newest that has not been taken back."""
        true = self.true(order)
        mine = (one for one in reversed(self.gateway.ledger.executions) if true and one.perm_id == true.perm_id)
        return next(mine, None)

    async def until(self, instant: datetime) -> None:
        await until(self.gateway, instant)

    async def until_filled(self, order: Order, at_least: int) -> None:
        """Wait until so many shares have filled."""
        for _ in range(2000):
            true = self.true(order)
            if true is not None and true.filled >= at_least:
                return
            await asyncio.sleep(5)
        raise AssertionError(f"the market never filled {at_least} of {order.symbol}")

    async def until_ended(self, order: Order) -> None:
        """Wait until the order is over at the gateway."""
        for _ in range(2000):
            true = self.true(order)
            if true is not None and not true.is_live:
                return
            await asyncio.sleep(5)
        raise AssertionError(f"order {order.ref} never ended")

    async def stage(self, seconds: float = 2.0) -> None:
        """Let what was done be answered, then ask for everything."""
        await asyncio.sleep(seconds)
        messages = self._heard()
        before = self._books()
        download = await self._download()
        while self._books() != before:
            # Something happened meanwhile: what was asked for is as of no one moment.
            messages += [row for row in download.rows if row not in messages]
            await asyncio.sleep(2)
            messages += self._heard()
            before = self._books()
            download = await self._download()
        changes = [
            m.PositionSeen(
                at=self.ears.now(),
                tech=self.ears.now(),
                account=ACCOUNT,
                **{name: getattr(row, name) for name in ("con_id", "symbol", "quantity", "average_cost")},
            )
            for row in self.changes
        ]
        self.changes.clear()
        self.stages.append(
            Stage(
                at=self.ears.now(),
                messages=(*messages, *changes),
                truths={intent: self._truth(order, download.rows) for intent, order in self.orders.items()},
                download=download,
            )
        )

    def _heard(self) -> list[m.Event]:
        """The events among the messages since the last look."""
        for payload in self.client.raw[self.read :]:
            fields = split(payload)
            if fields[0] in ("3", "4", "5", "11", "59", "61", "101"):
                self.reader.read(int(fields[0]), fields, payload)
        self.read = len(self.client.raw)
        found, self.ears.events = self.ears.events, []
        return found

    def _books(self) -> list[tuple[str, Decimal]]:
        """What the exchange has booked; it changes with every fill."""
        return [(one.exec_id, one.quantity) for one in self.gateway.ledger.executions]

    async def _download(self) -> Download:
        self.changes += self.ears.positions
        self.ears.positions.clear()
        self.client.ask("reqExecutions", reqId=900)
        self.client.ask("reqOpenOrders")
        self.client.ask("reqCompletedOrders", apiOnly=False)
        self.client.ask("reqPositions")
        await asyncio.sleep(0.05)
        self.client.ask("cancelPositions")
        await asyncio.sleep(0.01)
        rows = self._heard()
        positions = tuple(row for row in self.ears.positions if row.quantity)
        self.ears.positions.clear()
        self.client.ask("reqPositions")
        await asyncio.sleep(0.05)
        self._heard()
        self.ears.positions.clear()
        return Download(
            rows=tuple(rows),
            positions=positions,
            open_perm_ids=tuple(row.perm_id for row in rows if isinstance(row, m.OpenOrderSeen)),
            completed_perm_ids=tuple(row.perm_id for row in rows if isinstance(row, m.CompletedOrderSeen)),
            exec_ids=tuple(row.exec_id for row in rows if isinstance(row, m.ExecutionSeen)),
        )

    def _truth(self, order: Order, rows: Iterable[m.Event]) -> Truth:
        true = self.true(order)
        if true is None:
            ends = {OrderState.REJECTED} if order.intent in self.refused else set()
            return Truth(ends=frozenset(ends), fills={}, exists=False)
        fills = {
            one.exec_id.rpartition(".")[0]: (one.quantity, one.price)
            for one in self.gateway.ledger.executions
            if one.perm_id == true.perm_id
        }
        rows = (row for row in rows if isinstance(row, m.CompletedOrderSeen) and row.perm_id == true.perm_id)
        ends = {ENDS[status] for status in (true.status.value, *(row.status for row in rows)) if status in ENDS}
        if true.ended_at is not None and true.ended_at >= CLOSE:
            ends = {OrderState.EXPIRED if end is OrderState.CANCELLED else end for end in ends}
        gone = true.filled - sum((shares for shares, _ in fills.values()), NONE)
        if OrderState.FILLED in ends and gone:
            ends = ends | {OrderState.EXPIRED}
        return Truth(ends=frozenset(ends), fills=fills, left=NONE if ends else true.remaining, gone=gone)


Script = Callable[[Teller], Awaitable[None]]


def told(script: Script, *orders: Order, at: datetime, **config: Any) -> tuple[Stage, ...]:
    """The stages of a story about these orders of the daemon's, from market time `at` on."""
    stages: list[Stage] = []

    async def scenario(gateway: Gateway) -> None:
        client = await PlainClient.connect(CLIENT)
        ears = Ears(gateway.desk.now)
        heard: Heard = ears  # type: ignore[assignment]
        reader = Reader(load(installed()), Translator(heard, gateway.desk.timeline._clock, "UTC"), heard, VERSION)
        by_intent = {order.intent: order for order in orders}
        teller = Teller(gateway, client, by_intent, ears, reader, gateway.config.seed)
        teller.read = len(client.raw)
        client.ask("reqPositions")
        await asyncio.sleep(0.05)
        teller._heard()
        ears.positions.clear()
        await script(teller)
        stages.extend(teller.stages)

    market = market_of(start=config.pop("start", 99.5))
    on_a_gateway(scenario, at=config.pop("at", at), market=market, **({"accounts": (ACCOUNT,), "seed": 3} | config))
    return tuple(stages)


def market_of(volume: float = 8_000_000, *, start: float = 99.5) -> Market:
    """AAA near 100 and BBB near 50; with little volume orders fill in parts."""
    bars = {"AAA": (start, start + 1.5, start - 1.5, start), "BBB": (50.0, 50.5, 49.5, 50.0)}
    return Market(
        [Replay(_instrument(symbol), [_bar(*bars[symbol], volume)]) for symbol in bars], seed=1, path_points=390
    )


@cache
def _instrument(symbol: str) -> Instrument:
    return Instrument(con_id=CON_IDS[symbol], symbol=symbol, long_name=f"{symbol} INC")


def _bar(opening: float, high: float, low: float, close: float, volume: float) -> DayBar:
    return DayBar(
        date=SESSION.date, open_at=OPEN, close_at=CLOSE, open=opening, high=high, low=low, close=close, volume=volume
    )


async def several(teller: Teller) -> None:
    """Orders side by side, each to an end of its own: filled, cancelled, killed, corrected, busted, or at work."""
    random = Random(f"{teller.seed}|several")
    for order in teller.orders.values():
        teller.place(order)
        await teller.stage(random.choice((0.3, 0.7, 2.0)))
    for _ in range(random.randint(2, 5)):
        order = random.choice(list(teller.orders.values()))
        true = teller.true(order)
        match random.choice(("wait", "wait", "cancel", "correct", "bust", "kill")):
            case "wait":
                await asyncio.sleep(random.choice((20, 60, 200)))
            case "cancel":
                teller.cancel(order)
            case "correct" if true is not None and true.filled:
                _correct(teller, order)
            case "bust" if true is not None and true.filled:
                _bust(teller, order)
            case "kill":
                teller.gateway.desk.exchange.cancel_all()
        await teller.stage(random.choice((0.3, 2.0)))


# ── the stories of a group ──────────────────────────────────────────────────────────────────────────────────────────


async def _both_at_work(teller: Teller) -> tuple[Order, Order]:
    """The account holds what the daemon has adopted; a stop is sent for it, and then an exit in its group."""
    stop, sale = teller.orders.values()
    teller.gateway.ledger.transfer(ACCOUNT, stop.con_id, stop.symbol, stop.quantity, D(100), teller.ears.now())
    teller.place(stop)
    await asyncio.sleep(1)
    teller.place(sale)
    return stop, sale


async def exit_filled(teller: Teller) -> None:
    """The exit fills whole: the broker ends the stop with its group."""
    _, sale = await _both_at_work(teller)
    await teller.until_filled(sale, int(sale.quantity))
    await teller.stage()


async def exit_part_filled_then_cancelled(teller: Teller) -> None:
    """A part of the exit fills and makes the stop smaller, which rests on when the exit is cancelled."""
    _, sale = await _both_at_work(teller)
    await teller.until_filled(sale, 1)
    await teller.stage()
    teller.cancel(sale)
    await teller.stage()


async def exit_part_filled_then_stopped_out(teller: Teller) -> None:
    """A part of the exit fills; then the stop is triggered, fills what was left to it, and ends the exit."""
    stop, sale = await _both_at_work(teller)
    await teller.until_filled(sale, 1)
    await teller.stage()
    await teller.until_ended(stop)
    await teller.stage()


async def stopped_out(teller: Teller) -> None:
    """The stop is triggered before the exit has filled anything, and ends it."""
    stop, _ = await _both_at_work(teller)
    await teller.until_ended(stop)
    await teller.stage()


# ── the stories of one order ────────────────────────────────────────────────────────────────────────────────────────


def first(teller: Teller) -> Order:
    return teller.orders[min(teller.orders)]


async def filled(teller: Teller) -> None:
    """Filled at once."""
    teller.place(first(teller))
    await teller.stage(0.6)
    await teller.until_filled(first(teller), 100)
    await teller.stage()


async def filled_in_parts(teller: Teller) -> None:
    """Filled in several executions."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    await teller.until_filled(first(teller), 100)
    await teller.stage()


async def cancelled(teller: Teller) -> None:
    """Cancelled before anything filled, while it was held for the open and for shares to be located."""
    teller.gateway.faults.notices = ((399, "Order Message"), (404, "Order held while securities are located."))
    teller.place(first(teller))
    await teller.stage()
    teller.cancel(first(teller))
    await teller.stage()


async def part_filled_then_cancelled(teller: Teller) -> None:
    """Cancelled after a part had filled."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    teller.cancel(first(teller))
    await teller.stage()


async def cancel_too_late(teller: Teller) -> None:
    """The cancel arrives after the order has filled."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 100)
    teller.cancel(first(teller))
    await teller.stage()


async def killed(teller: Teller) -> None:
    """Ended by the broker, a part filled, unasked for."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    teller.gateway.desk.exchange.cancel_all()
    await teller.stage()


async def rejected(teller: Teller) -> None:
    """Rejected by the broker."""
    teller.place(first(teller))
    await teller.stage()


async def expired(teller: Teller) -> None:
    """Ended with its session."""
    teller.place(first(teller))
    await teller.stage()
    await teller.until(CLOSE + timedelta(seconds=30))
    await teller.stage()


async def part_filled_then_expired(teller: Teller) -> None:
    """Ended with its session, a part filled."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    await teller.until(CLOSE + timedelta(seconds=30))
    await teller.stage()


async def corrected(teller: Teller) -> None:
    """Filled, and the price of a fill corrected afterwards."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 100)
    await teller.stage()
    _correct(teller, first(teller))
    await teller.stage()


async def corrected_then_cancelled(teller: Teller) -> None:
    """A part filled, its price corrected while the order worked on, then cancelled."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    _correct(teller, first(teller))
    teller.cancel(first(teller))
    await teller.stage()


async def busted(teller: Teller) -> None:
    """Filled, and one of the fills taken back afterwards."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 100)
    await teller.stage()
    _bust(teller, first(teller))
    await teller.stage()


async def busted_then_cancelled(teller: Teller) -> None:
    """A part filled and taken back while the order worked on; then cancelled, its status counting what had filled."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    await teller.stage()
    _bust(teller, first(teller))
    teller.cancel(first(teller))
    await teller.stage()


def _correct(teller: Teller, order: Order) -> None:
    true, fill = teller.true(order), teller.newest_fill(order)
    assert true is not None
    if fill is None:
        return
    teller.gateway.desk.exchange.correct(true, fill)


def _bust(teller: Teller, order: Order) -> None:
    true, fill = teller.true(order), teller.newest_fill(order)
    assert true is not None
    if fill is None:
        return
    teller.gateway.desk.exchange.bust(true, fill)


async def never_arrived(teller: Teller) -> None:
    """Lost between the socket and the books; a cancel by its id finds nothing."""
    teller.gateway.faults.lose_orders = 1
    teller.place(first(teller))
    await teller.stage()
    teller.cancel(first(teller))
    await teller.stage()


async def refused(teller: Teller) -> None:
    """Not taken at all: its price is not on the grid."""
    teller.refused.add(first(teller).intent)
    teller.place(first(teller), lmtPrice=100.213)
    await teller.stage()


async def remarked_on(teller: Teller) -> None:
    """Filled in spite of notices that read like an end, one of them of no known code."""
    teller.gateway.faults.notices = (
        (10349, "Order TIF was set to DAY based on order preset."),
        (11999, "of no known code"),
    )
    teller.place(first(teller))
    await teller.until_filled(first(teller), 100)
    await teller.stage()


async def modified_too_late(teller: Teller) -> None:
    """A modification is answered with 104 after the order has filled."""
    order = first(teller)
    teller.place(order)
    await teller.until_filled(order, 100)
    await teller.stage()
    teller.place(order)
    teller.ears.asked[order.order_id or 0] = Asked.MODIFY
    await teller.stage()


async def filled_untold(teller: Teller) -> None:
    """A part of it is told by nobody, at no time: not as it happens, nor when executions are asked for."""
    teller.place(first(teller))
    await teller.until_filled(first(teller), 1)
    teller.gateway.faults.lose_fills = 1
    await teller.until_filled(first(teller), 100)
    await teller.stage()


LITTLE = {"volume_share": D("0.003")}
REVISED = Conduct(bust_revised=True)

SINGLE: dict[str, tuple[Script, dict[str, Any]]] = {
    "filled": (filled, {}),
    "filled in parts": (filled_in_parts, LITTLE),
    "cancelled": (cancelled, {"start": 105.0}),
    "part filled, then cancelled": (part_filled_then_cancelled, LITTLE),
    "cancelled too late": (cancel_too_late, {}),
    "killed": (killed, LITTLE),
    "rejected": (rejected, {"cash": D(100)}),
    "expired": (expired, {"start": 105.0, "at": CLOSE - timedelta(seconds=25)}),
    "part filled, then expired": (
        part_filled_then_expired,
        {"volume_share": D("0.0015"), "at": CLOSE - timedelta(seconds=25)},
    ),
    "corrected": (corrected, {}),
    "corrected, then cancelled": (corrected_then_cancelled, LITTLE),
    "busted": (busted, LITTLE | {"conduct": REVISED}),
    "busted, then cancelled": (busted_then_cancelled, LITTLE | {"conduct": REVISED}),
    "busted untold": (busted, LITTLE),
    "never arrived": (never_arrived, {}),
    "refused": (refused, {}),
    "remarked on": (remarked_on, {}),
    "modified too late": (modified_too_late, {}),
    "filled untold": (filled_untold, LITTLE),
}

GROUPS: dict[str, tuple[Script, dict[str, Any]]] = {
    "the exit filled": (exit_filled, {"at": OPEN + timedelta(minutes=17)}),
    "the exit filled in part, then cancelled": (
        exit_part_filled_then_cancelled,
        LITTLE | {"at": OPEN + timedelta(minutes=17)},
    ),
    "the exit filled in part, then stopped out": (
        exit_part_filled_then_stopped_out,
        LITTLE | {"at": OPEN + timedelta(minutes=22, seconds=30)},
    ),
    "stopped out": (stopped_out, {"at": OPEN + timedelta(minutes=24)}),
}
"""Of a stop and an exit in its OCA group."""

"""A market without a gateway: it fills orders against quotes and keeps the account, with no loop and no clock.

Used by mock.MockBroker for the executor `mock`, and by the backtest directly. Its answers are the events that IB's
gateway would give rise to, in IB's order: open order and status, execution, status, commission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from longwatch.broker.matching import BASIS_POINT, Moment, Range, Resting, against, allows, traded_at, waits
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import AUCTIONS, Order
from longwatch.domain.quotes import Quote

NO_MARGIN = "a mock account has no margin to ask about"

CENT = Decimal("0.01")
FIRST_PERM_ID = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedCommission:
    """IB's published fixed schedule for US stocks: per share, with a least and a most (of the value) per order."""

    per_share: Decimal = Decimal("0.005")
    least: Decimal = Decimal("1.00")
    most_fraction: Decimal = Decimal("0.01")

    def of(self, quantity: Decimal, price: Decimal) -> Decimal:
        """The commission of a fill that fills its order whole, to the cent. The most prevails over the least."""
        wanted = max(self.per_share * quantity, self.least)
        return min(wanted, self.most_fraction * quantity * price).quantize(CENT, ROUND_HALF_UP)


@dataclass(slots=True)
class Held:
    """A position: signed shares, and the average price paid for them without commissions."""

    symbol: str
    quantity: Decimal = Decimal(0)
    average_cost: Decimal = Decimal(0)


@dataclass(slots=True, kw_only=True)
class MockExchange:
    """One account. Money is in the base currency; every instrument is taken to be quoted in it.

    `slippage_bps` moves each price filled at against us. `replayed` gives, by (session date, symbol), prices to fill at
    instead, without slippage: the fills of another run. `client_id` is what the account's own orders carry.
    """

    cash: Decimal
    account: str = "MOCK"
    client_id: int = 1
    slippage_bps: Decimal = Decimal(0)
    commission: FixedCommission = field(default_factory=FixedCommission)
    replayed: Mapping[tuple[date, str], Decimal] = field(default_factory=dict)
    positions: dict[int, Held] = field(default_factory=dict)
    marks: dict[int, Decimal] = field(default_factory=dict)
    resting: dict[int, Resting] = field(default_factory=dict)
    completed_perm_ids: list[int] = field(default_factory=list)
    exec_ids: list[str] = field(default_factory=list)

    def fill(
        self, order: Order, quote: Quote | None, now: Moment, instrument: Instrument | None = None
    ) -> list[m.Event]:
        """Take a new order; it fills at once when its price is there, else rests. Raises ValueError without an id."""
        order_id = _id_of(order)
        if order_id in self.resting:
            return [self._error(order_id, 103, "Duplicate order id", "rejected", now)]
        known = instrument or Instrument(con_id=order.con_id, symbol=order.symbol)
        resting = self.resting[order_id] = Resting(order=order, instrument=known)
        said = [*self._shown(resting, "PreSubmitted" if waits(resting) else "Submitted", now)]
        return said if quote is None else said + self.match((quote,), now)

    def match(self, quotes: Iterable[Quote], now: Moment) -> list[m.Event]:
        """New quotes: what rests and has its price now fills."""
        said: list[m.Event] = []
        for quote in quotes:
            self._mark(quote)
            for resting in [one for one in self.resting.values() if one.order.con_id == quote.con_id]:
                price = self._price(resting, quote, now.session) if self._rests(resting) else None
                if price is not None:
                    said += self._execute(resting, price, now)
        return said

    def trade_through(self, seen: Callable[[Order], Range | None], now: Moment) -> list[m.Event]:
        """Each order that rests meets what the market did meanwhile; None: nothing that is known of.

        A limit fills when the market has traded through it and not merely at it; a stop when it was touched, at its own
        price or at the first one beyond it. What waits for the auction waits on.
        """
        said: list[m.Event] = []
        met: list[tuple[bool, Resting, Decimal]] = []
        for resting in [one for one in self.resting.values() if one.order.order_type not in AUCTIONS]:
            moved = seen(resting.order)
            price = traded_at(resting, moved) if moved is not None else None
            if price is not None and moved is not None:
                met.append((price != moved.open, resting, price))
        # Of a group the first ends the others: what traded at the open was first, and then, for want of better
        # knowledge, what had been placed first: the stop before its take-profit.
        for _, resting, price in sorted(met, key=lambda one: one[0]):
            if self._rests(resting):
                said += self._execute(resting, self._limited(resting, price), now)
        return said

    def _rests(self, resting: Resting) -> bool:
        """Whether an order still rests: its group may have ended it a moment ago."""
        return self.resting.get(_id_of(resting.order)) is resting

    def auction(self, prices: Mapping[int, Decimal], now: Moment) -> list[m.Event]:
        """The closing auction at these prices, by contract: what its limit does not allow has to be ended by others."""
        said: list[m.Event] = []
        for resting in list(self.resting.values()):
            price = prices.get(resting.order.con_id)
            is_for_it = resting.order.order_type in AUCTIONS and self._rests(resting)
            if price is not None and is_for_it and allows(resting.order, price):
                said += self._execute(resting, self._limited(resting, price), now)
        return said

    def modify(self, order: Order, quote: Quote | None, now: Moment) -> list[m.Event]:
        """New terms for a resting order, under its id; the answers are IB's: the order shown anew, or 104."""
        resting = self.resting.get(_id_of(order))
        if resting is None:
            return [self._error(_id_of(order), 104, "Cannot modify a filled order.", "unchanged", now)]
        resting.order = order
        said = [*self._shown(resting, "PreSubmitted" if waits(resting) else "Submitted", now)]
        return said if quote is None else said + self.match((quote,), now)

    def cancel(self, order_id: int, now: Moment) -> list[m.Event]:
        """Cancel a resting order; the answers are IB's: a status and 202, or 10147."""
        resting = self.resting.pop(order_id, None)
        if resting is None:
            text = f"OrderId {order_id} that needs to be cancelled is not found."
            return [self._error(order_id, 10147, text, "not found", now)]
        self.completed_perm_ids.append(perm_id_of(order_id))
        return [
            self._status(resting, "Cancelled", Decimal(0), Decimal(0), now),
            self._error(order_id, 202, "Order Canceled - reason:", "cancelled", now),
        ]

    def end_session(self, now: Moment) -> list[m.Event]:
        """The session ends: DAY orders that rest are cancelled, others stay."""
        ending = [order_id for order_id, one in self.resting.items() if one.order.tif == "DAY"]
        return [event for order_id in ending for event in self.cancel(order_id, now)]

    def equity(self) -> Decimal:
        """Cash and positions at their last known prices."""
        return self.cash + sum(
            (held.quantity * self.marks.get(con_id, held.average_cost) for con_id, held in self.positions.items()),
            Decimal(0),
        )

    def snapshot(self, reason: str, now: Moment) -> m.SnapshotSeen:
        """The account as a whole round of downloads would show it."""
        rows = tuple(
            m.PositionRow(con_id=con_id, symbol=held.symbol, quantity=held.quantity, average_cost=held.average_cost)
            for con_id, held in self.positions.items()
        )
        return m.SnapshotSeen(
            at=now.at,
            tech=now.tech,
            reason=reason,
            positions=rows,
            open_perm_ids=tuple(map(perm_id_of, self.resting)),
            completed_perm_ids=tuple(self.completed_perm_ids),
            exec_ids=tuple(self.exec_ids),
            net_liquidation=self.equity(),
            cash=self.cash,
            started_tech=now.tech,
        )

    # ── matching ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _price(self, resting: Resting, quote: Quote, session: date) -> Decimal | None:
        """What the order fills at now, or None when its price is not there."""
        order, side = resting.order, resting.order.side
        again = self.replayed.get((session, order.symbol))
        if again is not None and not order.rests:
            return again
        best = (quote.ask if side is Side.BUY else quote.bid) or quote.last
        if best is None:
            return None
        if order.order_type in AUCTIONS:
            return None
        if waits(resting):
            resting.triggered = order.stop_price is not None and (best - order.stop_price) * side.sign >= 0
            if not resting.triggered:
                return None
        return self._limited(resting, best) if allows(order, best) else None

    def _limited(self, resting: Resting, price: Decimal) -> Decimal:
        """A price with the slippage, inside the order's limit, on the grid."""
        side, limit = resting.order.side, resting.order.limit_price
        slipped = against(price * (1 + side.sign * self.slippage_bps * BASIS_POINT), resting.instrument.tick, side)
        if limit is None:
            return slipped
        return min(slipped, limit) if side is Side.BUY else max(slipped, limit)

    def _execute(self, resting: Resting, price: Decimal, now: Moment) -> list[m.Event]:
        order = resting.order
        order_id, quantity = _id_of(order), order.quantity
        cost = self.commission.of(quantity, price)
        realized = self._book(order, price, cost)
        exec_id = f"mock.{perm_id_of(order_id):010d}.01.01"
        self.exec_ids.append(exec_id)
        self.completed_perm_ids.append(perm_id_of(order_id))
        del self.resting[order_id]
        ours = order.oca_group
        group = [name for name, one in self.resting.items() if ours and one.order.oca_group == ours]
        execution = m.ExecutionSeen(
            at=now.at,
            tech=now.tech,
            exec_id=exec_id,
            order_id=order_id,
            client_id=self.client_id,
            perm_id=perm_id_of(order_id),
            ref=order.ref,
            account=self.account,
            con_id=order.con_id,
            symbol=order.symbol,
            side=order.side,
            quantity=quantity,
            price=price,
            cumulative=quantity,
            executed_at=now.at,
        )
        commission = m.CommissionSeen(
            at=now.at,
            tech=now.tech,
            exec_id=exec_id,
            commission=cost,
            currency=resting.instrument.currency,
            realized_pnl=realized,
        )
        # Whoever fills fills in full here: it takes all from the others of its group.
        ended = [event for name in group for event in self.cancel(name, now)]
        return [execution, *self._shown(resting, "Filled", now, quantity, price), commission, *ended]

    def _book(self, order: Order, price: Decimal, cost: Decimal) -> Decimal | None:
        """Move cash and position; the profit realised, or None when the fill only opens."""
        held = self.positions.setdefault(order.con_id, Held(order.symbol))
        signed = order.side.sign * order.quantity
        self.cash -= signed * price + cost
        self.marks[order.con_id] = price
        closing = min(abs(signed), abs(held.quantity)) if held.quantity * signed < 0 else Decimal(0)
        realized = closing * (price - held.average_cost) * (1 if held.quantity > 0 else -1) - cost if closing else None
        after = held.quantity + signed
        if closing == 0:
            held.average_cost = (held.quantity * held.average_cost + signed * price) / after
        elif closing < abs(signed):
            held.average_cost = price
        held.quantity = after
        if after == 0:
            del self.positions[order.con_id]
        return realized

    # ── what is said ────────────────────────────────────────────────────────────────────────────────────────────────

    def _shown(
        self,
        resting: Resting,
        status: str,
        now: Moment,
        filled: Decimal = Decimal(0),
        price: Decimal = Decimal(0),
    ) -> tuple[m.Event, m.Event]:
        order = resting.order
        opened = m.OpenOrderSeen(
            at=now.at,
            tech=now.tech,
            order_id=_id_of(order),
            client_id=self.client_id,
            perm_id=perm_id_of(_id_of(order)),
            ref=order.ref,
            account=self.account,
            con_id=order.con_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            order_type=order.order_type.value,
            limit_price=order.limit_price,
            stop_price=order.stop_price,
            tif=order.tif,
            status=status,
        )
        return opened, self._status(resting, status, filled, price, now)

    def _status(self, resting: Resting, status: str, filled: Decimal, price: Decimal, now: Moment) -> m.OrderStatusSeen:
        return m.OrderStatusSeen(
            at=now.at,
            tech=now.tech,
            order_id=_id_of(resting.order),
            client_id=self.client_id,
            perm_id=perm_id_of(_id_of(resting.order)),
            status=status,
            filled=filled,
            remaining=resting.order.quantity - filled,
            average_price=price,
            why_held="trigger" if waits(resting) else "",
        )

    def _error(self, order_id: int, code: int, text: str, verdict: str, now: Moment) -> m.OrderErrorSeen:
        return m.OrderErrorSeen(at=now.at, tech=now.tech, order_id=order_id, code=code, text=text, verdict=verdict)

    def _mark(self, quote: Quote) -> None:
        price = quote.last or quote.mid
        if price is not None:
            self.marks[quote.con_id] = price


def perm_id_of(order_id: int) -> int:
    """The permId of an order: order ids never come again, so neither do these, over any restart."""
    return FIRST_PERM_ID + order_id


def _id_of(order: Order) -> int:
    if order.order_id is None:
        raise ValueError(f"order {order.ref} has no reserved order id")
    return order.order_id

"""What others do to the account of a simulated run: orders by hand and of another client, transfers, an assignment.

Every fifth seed has them; drawn from the seed by themselves, so that everything else in it stays as it is. They only
ever give away what they have brought: nobody sells what the daemon holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from longwatch.domain.sessions import Session
from longwatch.errors import UsageError
from longwatch.gateway.app import Gateway
from longwatch.gateway.events import Event
from longwatch.gateway.exchange.book import BY_HAND
from longwatch.gateway.exchange.orders import Ticket
from longwatch.gateway.market.instruments import Instrument
from longwatch.simulation.booked import ZERO
from longwatch.simulation.evidence import OURS
from longwatch.simulation.shares import true_shares

EVERY_FIFTH = 5
A_DAY = (1, 4)
"""The least and the most they do in a session."""
OTHER_CLIENT = 7
KINDS = ("by hand", "by hand", "other client", "other client", "transfer", "transfer", "assignment")
FEW = (1, 20)
CONTRACT, DEAREST = Decimal(100), Decimal(60)
"""What an assignment brings, and the price up to which: much more would take the cash that targets are sized for."""
AWAY = (0.0, 0.02, 0.04)
"""Their limits, as a part of the price below it, above where they sell: some fill at once, some rest, some expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing to be done: shares come, or where they have enough and it `gives`, go; at the market with no `away`."""

    at: datetime
    kind: str
    symbol: str
    quantity: Decimal
    gives: bool
    away: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A fill of the ledger, for `true_shares`."""

    con_id: int
    quantity: Decimal
    price: Decimal
    at: datetime


def deeds(seed: int, symbols: Sequence[str], sessions: Sequence[Session]) -> tuple[Deed, ...]:
    """What others do in a seed's troubled sessions, in order of time; nothing in four seeds of five."""
    if seed % EVERY_FIFTH:
        return ()
    random = Random(f"{seed}|strangers")
    kinds: list[str] = []
    found = []
    for session in sessions:
        for _ in range(random.randint(*A_DAY)):
            if not kinds:
                kinds = list(KINDS)
                random.shuffle(kinds)
            kind = kinds.pop()
            found.append(
                Deed(
                    at=session.open_at + (session.close_at - session.open_at) * random.uniform(0.01, 0.95),
                    kind=kind,
                    symbol=random.choice(symbols),
                    quantity=CONTRACT if kind == "assignment" else Decimal(random.randint(*FEW)),
                    gives=random.random() < 0.5,
                    away=None if random.random() < 0.3 else random.choice(AWAY),
                )
            )
    return tuple(sorted(found, key=lambda deed: deed.at))


class Strangers:
    """Does these deeds at one gateway's accounts; `done` are those that could be done."""

    def __init__(self, gateway: Gateway, planned: Sequence[Deed]) -> None:
        self._gateway = gateway
        self.done: list[Deed] = []
        self._play(iter(planned))

    def _play(self, planned: Iterator[Deed]) -> None:
        following = next(planned, None)
        if following is not None:
            self._gateway.desk.timeline.at(following.at, self._due, following, planned)

    def _due(self, deed: Deed, planned: Iterator[Deed]) -> None:
        instrument = self._gateway.desk.market.find(deed.symbol)
        # Who trades by the same gateway reaches the broker no better than we do.
        if instrument is not None and not self._gateway.faults.backend_down:
            # What the exchange does not take, as while it halts the instrument, they do without.
            with contextlib.suppress(UsageError):
                if self._do(deed, instrument):
                    self.done.append(deed)
        self._play(planned)

    def _do(self, deed: Deed, instrument: Instrument) -> bool:
        """Whether it could be done."""
        desk = self._gateway.desk
        quote = desk.market.quote(instrument, desk.now())
        price = quote.last or quote.close
        if price is None or (deed.kind == "assignment" and price > DEAREST):
            return False
        gives = deed.gives and self._have(instrument.con_id) >= deed.quantity
        signed = -deed.quantity if gives else deed.quantity
        if deed.kind == "transfer":
            self._gateway.events.happen(Event(kind="transfer", symbol=deed.symbol, quantity=signed, price=price))
        elif deed.kind == "assignment":
            strike = Decimal(max(1, round(price * 2))) / 2
            self._gateway.events.happen(Event(kind="assignment", symbol=deed.symbol, quantity=signed, price=strike))
        else:
            self._order(deed, instrument, price, is_sale=gives)
        return True

    def _order(self, deed: Deed, instrument: Instrument, price: Decimal, *, is_sale: bool) -> None:
        exchange = self._gateway.desk.exchange
        away = Decimal(str(deed.away or 0))
        limit = round(price * (1 + away if is_sale else 1 - away), 2)
        ticket = Ticket(
            order_id=exchange.book.highest(OTHER_CLIENT) + 1,
            client_id=OTHER_CLIENT,
            account=self._gateway.desk.config.accounts[0],
            instrument=instrument,
            action="SELL" if is_sale else "BUY",
            quantity=deed.quantity,
            order_type="MKT" if deed.away is None else "LMT",
            limit=None if deed.away is None else limit,
        )
        if deed.kind == "by hand":
            exchange.place_by_hand(ticket)
        else:
            exchange.place(ticket)

    def _have(self, con_id: int) -> Decimal:
        """The account's shares that are not the daemon's, but for those they are selling already."""
        theirs = others(self._gateway, con_id)
        for order in self._gateway.desk.exchange.book.live():
            ticket = order.ticket
            if ticket.instrument.con_id == con_id and ticket.client_id in (BY_HAND, OTHER_CLIENT):
                theirs -= ticket.quantity if ticket.action == "SELL" else ZERO
        return theirs


def others(gateway: Gateway, con_id: int) -> Decimal:
    """The account's shares of a contract that are not the daemon's, by the ledger."""
    holding = gateway.desk.books(gateway.desk.config.accounts[0]).holdings.get(con_id)
    return (holding.quantity if holding else ZERO) - ours(gateway, con_id)


def ours(gateway: Gateway, con_id: int) -> Decimal:
    """The daemon's shares of a contract, by the ledger: the fills of its orders, and the splits since."""
    mine = (
        Gone(con_id=con_id, quantity=one.signed, price=one.price, at=one.at)
        for one in gateway.ledger.executions
        if one.con_id == con_id and one.order_ref.startswith(OURS)
    )
    splits = (one for one in gateway.events.happened if one.con_id == con_id)
    return true_shares(mine, splits, gateway.desk.now()).get(con_id, (ZERO, ZERO))[0]

"""Every order the simulated exchange knows, by the ids clients use, over restarts; kept by the exchange."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zlib import crc32

from longwatch.errors import JournalError
from longwatch.gateway.exchange.entries import taking_up
from longwatch.gateway.exchange.ledger import Entry, Execution, Ledger
from longwatch.gateway.exchange.orders import Order, Status, Ticket
from longwatch.gateway.market.market import Market

FIRST_PERM_ID = 600_000_000
ENDED_KEPT = timedelta(hours=36)
BY_HAND = 0
"""The client to whom orders typed by hand belong."""


class OrderBook:
    """Orders by (client id, order id), and the counters that outlive them."""

    def __init__(self, seed: int, at: datetime) -> None:
        self._orders: dict[tuple[int, int], Order] = {}
        self._highest: dict[int, int] = {}
        self._shown: dict[int, int] = {}
        self._by_hand = 0
        self._perm_id = FIRST_PERM_ID + crc32(str(seed).encode()) % 100_000_000
        self._venue = f"{crc32(str(seed).encode()) & 0xFFFF:08x}"
        self._fill_number = int(at.timestamp())

    def get(self, client_id: int, order_id: int) -> Order | None:
        """The order a client calls by this id; one typed by hand has none until it is bound."""
        order = self._orders.get((client_id, order_id))
        return None if order is not None and order.ticket.is_unbound else order

    def add(self, ticket: Ticket, at: datetime) -> Order:
        """A new order with the next permanent id."""
        self._perm_id += 1
        order = Order(perm_id=self._perm_id, ticket=ticket, placed_at=at, trailed=ticket.trail_stop)
        self._orders[ticket.client_id, ticket.order_id] = order
        self.use(ticket.client_id, ticket.order_id)
        return order

    def use(self, client_id: int, order_id: int) -> None:
        """Remember that a client has used an order id."""
        self._highest[client_id] = max(order_id, self._highest.get(client_id, 0))

    def show(self, client_id: int, order_id: int) -> None:
        """Remember that a client has downloaded an open order with this id."""
        self._shown[client_id] = max(order_id, self._shown.get(client_id, 0))

    def highest(self, client_id: int) -> int:
        """The highest order id a client has used; 0 before its first."""
        return self._highest.get(client_id, 0)

    def taken(self, client_id: int) -> int:
        """The id above which a client's new orders must be: the highest it has used, or has downloaded of others."""
        return max(self.highest(client_id), self._shown.get(client_id, 0))

    def next_by_hand(self) -> int:
        """The number under which the next order typed by hand is kept, and may be bound; negative."""
        self._by_hand -= 1
        return self._by_hand

    def bind(self, order: Order, order_id: int) -> None:
        """From now on client 0 knows an order typed by hand, by this id."""
        order.ticket = replace(order.ticket, order_id=order_id, is_bound=True)
        self._orders = {(one.ticket.client_id, one.ticket.order_id): one for one in self._orders.values()}
        self.use(BY_HAND, order_id)

    def restart_ids(self) -> None:
        """Order ids begin again; those of live orders stay used. What has ended is kept, but under no id."""
        self._highest.clear()
        self._shown.clear()
        for order in self.live():
            self.use(order.ticket.client_id, order.ticket.order_id)
        self._orders = {
            (order.ticket.client_id, order.ticket.order_id if order.is_live else -order.perm_id): order
            for order in self._orders.values()
        }

    def live(self) -> Iterator[Order]:
        """Orders that have not ended, oldest first."""
        return (order for order in list(self._orders.values()) if order.is_live)

    def binding(self, account: str) -> Iterator[Order]:
        """The orders that bind an account's margin: accepted and not ended."""
        return (order for order in self.live() if order.is_accepted and order.ticket.account == account)

    def ended(self) -> Iterator[Order]:
        """Orders that have ended lately, oldest first."""
        return (order for order in list(self._orders.values()) if not order.is_live)

    def execution(self, order: Order, quantity: Decimal, price: Decimal, at: datetime) -> Execution:
        """A fill of an order, by a new id in the form real ones have: venue, number, part, revision."""
        self._fill_number += 1
        ticket = order.ticket
        return Execution(
            exec_id=f"{self._venue}.{self._fill_number:08x}.01.01",
            perm_id=order.perm_id,
            order_id=ticket.shown_id,
            client_id=ticket.client_id,
            account=ticket.account,
            con_id=ticket.instrument.con_id,
            symbol=ticket.instrument.symbol,
            is_buy=ticket.is_buy,
            quantity=quantity,
            price=price,
            total=order.filled,
            average=order.average,
            at=at,
            order_ref=ticket.order_ref,
            is_liquidation=ticket.is_liquidation,
        )

    def forget_ended(self, at: datetime) -> None:
        """Drop orders that ended long before `at`; their ids stay used."""
        for key, order in list(self._orders.items()):
            if _is_old(order, at):
                del self._orders[key]

    @taking_up("An order of the gateway's ledger")
    def restore(self, ledger: Ledger, market: Market) -> None:
        """Take up the orders of a reloaded ledger, and its fills; raises JournalError for an instrument not listed."""
        _check_holdings(ledger, market)
        by_perm_id: dict[int, Order] = {}
        for entry in ledger.orders:
            match entry["kind"]:
                case "order":
                    by_perm_id[entry["perm_id"]] = self._restore_order(entry, market)
                case "modified":
                    order = by_perm_id[entry["perm_id"]]
                    order.ticket = replace(order.ticket, **_terms_of(entry))
                    order.revision += 1
                    order.asked_at = datetime.fromisoformat(entry["at"])
                case "accepted":
                    order = by_perm_id[entry["perm_id"]]
                    order.is_accepted = order.is_acknowledged = order.is_told = True
                case "bound":
                    self.bind(by_perm_id[entry["perm_id"]], entry["order_id"])
                case "triggered":
                    by_perm_id[entry["perm_id"]].is_triggered = True
                case "trailed":
                    by_perm_id[entry["perm_id"]].trailed = _price(entry["stop"])
                case "released":
                    by_perm_id[entry["perm_id"]].is_child_held = False
                case "ended":
                    order = by_perm_id[entry["perm_id"]]
                    order.status = Status(entry["status"])
                    order.ended_at = datetime.fromisoformat(entry["at"])
                    order.ending = entry["ending"]
                case _:
                    continue
        for order in by_perm_id.values():
            if order.parent_perm_id in by_perm_id:
                by_perm_id[order.parent_perm_id].has_children = True
        self._restore_fills(ledger, by_perm_id)

    def _restore_order(self, entry: Entry, market: Market) -> Order:
        instrument = market.find(entry["symbol"], entry["con_id"])
        if instrument is None:
            raise _unlisted(f"has an order in {entry['symbol']}")
        ticket = Ticket(
            order_id=entry["order_id"],
            client_id=entry["client_id"],
            account=entry["account"],
            instrument=instrument,
            action=entry["action"],
            exchange=entry["exchange"],
            parent_id=entry.get("parent_id", 0),
            oca_group=entry.get("oca_group", ""),
            oca_type=entry.get("oca_type", 0),
            is_liquidation=entry.get("is_liquidation", False),
            **_terms_of(entry),
        )
        order = Order(perm_id=entry["perm_id"], ticket=ticket, placed_at=datetime.fromisoformat(entry["at"]))
        order.trailed = ticket.trail_stop
        order.parent_perm_id = entry.get("parent_perm_id", 0)
        order.is_child_held = entry.get("is_child_held", False)
        order.is_accepted = order.is_acknowledged = order.is_told = entry.get("is_accepted", True)
        self._orders[ticket.client_id, ticket.order_id] = order
        self.use(ticket.client_id, ticket.order_id)
        self._by_hand = min(self._by_hand, ticket.order_id)
        self._perm_id = max(self._perm_id, order.perm_id)
        return order

    def _restore_fills(self, ledger: Ledger, by_perm_id: dict[int, Order]) -> None:
        """A fill that was taken back has left the books, but its shares were the order's and are not traded again."""
        for execution, commission in ledger.fills():
            self._fill_number = max(self._fill_number, int(execution.exec_id.split(".")[1], 16))
            order = by_perm_id.get(execution.perm_id)
            if order is not None:
                order.filled += execution.quantity
                order.spent += execution.quantity * execution.price
                order.last_price = execution.price
                order.commission += commission
                order.status = Status.SUBMITTED if order.is_live else order.status


def order_facts(order: Order) -> dict[str, Any]:
    """What a ledger needs to take an order up again."""
    ticket = order.ticket
    return {
        "perm_id": order.perm_id,
        "client_id": ticket.client_id,
        "order_id": ticket.order_id,
        "account": ticket.account,
        "con_id": ticket.instrument.con_id,
        "symbol": ticket.instrument.symbol,
        "exchange": ticket.exchange,
        "action": ticket.action,
        "parent_id": ticket.parent_id,
        "parent_perm_id": order.parent_perm_id,
        "is_child_held": order.is_child_held,
        "is_accepted": order.is_accepted,
        "is_liquidation": ticket.is_liquidation,
        "oca_group": ticket.oca_group,
        "oca_type": ticket.oca_type,
        **terms(ticket),
    }


PRICES = ("limit", "stop", "trail_stop", "trail_percent")
ALSO = ("order_ref", "outside_rth")
"""Not in the modifications of older ledgers."""


def terms(ticket: Ticket) -> dict[str, Any]:
    """What a modification may change."""
    prices = {name: getattr(ticket, name) for name in PRICES}
    return {
        "quantity": str(ticket.quantity),
        "order_type": ticket.order_type,
        **{name: None if price is None else str(price) for name, price in prices.items()},
        "tif": ticket.tif,
        **{name: getattr(ticket, name) for name in ALSO},
    }


def _terms_of(entry: Entry) -> dict[str, Any]:
    return {
        "quantity": Decimal(entry["quantity"]),
        "order_type": entry["order_type"],
        **{name: _price(entry.get(name)) for name in PRICES},
        "tif": entry["tif"],
        **{name: entry[name] for name in ALSO if name in entry},
    }


def _check_holdings(ledger: Ledger, market: Market) -> None:
    """Raise JournalError for a position that the market could neither show nor price."""
    for books in ledger.accounts.values():
        for number, holding in books.holdings.items():
            if holding.quantity and market.find(holding.symbol, number) is None:
                raise _unlisted(f"holds {holding.symbol}")


def _unlisted(what: str) -> JournalError:
    return JournalError(
        f"The gateway's ledger {what}, which this market does not list; start it with the market it was written with."
    )


def _price(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _is_old(order: Order, at: datetime) -> bool:
    return order.ended_at is not None and at - order.ended_at > ENDED_KEPT

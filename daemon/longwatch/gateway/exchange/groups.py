"""Orders that belong together: children of a parent, and groups of which one cancels another; asked by the exchange.

A child waits until its parent has filled. When a parent ends with a part filled, its children go on for that part; when
it ends with nothing filled, they end with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from longwatch.gateway.exchange.book import OrderBook
from longwatch.gateway.exchange.orders import ONE_FILL_CANCELS, REDUCES, Order, Status, Ticket

Key = tuple[int, int]


class Untransmitted:
    """Tickets that clients have sent without the wish to transmit them; they live as long as their session."""

    def __init__(self) -> None:
        self._tickets: dict[Key, Ticket] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._tickets

    def hold(self, ticket: Ticket) -> None:
        self._tickets[ticket.client_id, ticket.order_id] = ticket

    def drop(self, key: Key) -> bool:
        """Forget one ticket, and all that descend from it; returns whether it was there."""
        if self._tickets.pop(key, None) is None:
            return False
        for child in self._children(*key):
            self.drop((child.client_id, child.order_id))
        return True

    def drop_client(self, client_id: int | None = None) -> None:
        """Forget a client's tickets, or everybody's."""
        for key in [key for key in self._tickets if client_id in {None, key[0]}]:
            del self._tickets[key]

    def top_of(self, ticket: Ticket) -> Ticket | None:
        """The ticket, or its first ancestor that waits here too; None for one that would be its own ancestor."""
        seen = {ticket.order_id}
        while (parent := self._tickets.get((ticket.client_id, ticket.parent_id))) is not None:
            if parent.order_id in seen:
                return None
            seen.add(parent.order_id)
            ticket = parent
        return ticket

    def family_of(self, ticket: Ticket) -> list[Ticket]:
        """What is transmitted with a ticket, parents first: a child takes its ancestors and their siblings along."""
        family: list[Ticket] = []
        above: Ticket | None = ticket
        while above is not None:
            self._tickets.pop((above.client_id, above.order_id), None)
            siblings = self._children(above.client_id, above.parent_id) if above.parent_id else []
            for sibling in siblings:
                del self._tickets[sibling.client_id, sibling.order_id]
            family = [*sorted([above, *siblings], key=lambda one: one.order_id), *family]
            above = self._tickets.get((above.client_id, above.parent_id))
        return family

    def _children(self, client_id: int, parent_id: int) -> list[Ticket]:
        return [one for key, one in self._tickets.items() if (key[0], one.parent_id) == (client_id, parent_id)]


def children_of(book: OrderBook, order: Order) -> list[Order]:
    """The live children of an order, by their ids."""
    if not order.has_children:
        return []
    found = [one for one in book.live() if one.parent_perm_id == order.perm_id]
    return sorted(found, key=lambda one: one.ticket.order_id)


def siblings_of(book: OrderBook, order: Order) -> list[Order]:
    """The other live orders of an order's group, oldest first."""
    if not order.ticket.oca_group:
        return []
    return [one for one in book.live() if one is not order and _group(one.ticket) == _group(order.ticket)]


def is_spent(book: OrderBook, ticket: Ticket) -> bool:
    """Whether the group of a new ticket has come to its end: one of its orders has filled."""
    group = _group(ticket)
    done = (one for one in book.ended() if one.status is Status.FILLED)
    return bool(ticket.oca_group) and any(_group(one.ticket) == group for one in done)


def left_of(sibling: Order, order: Order, traded: Decimal) -> Decimal:
    """What a sibling may still trade after `order` has just traded so much: nothing, or less in proportion."""
    if order.ticket.oca_rule == ONE_FILL_CANCELS:
        return Decimal(0)
    kept = sibling.remaining * order.remaining / (order.remaining + traded)
    return kept.to_integral_value(ROUND_FLOOR)


def is_blocked(order: Order, traders: Iterable[int]) -> bool:
    """Whether others of its group have just traded where only one of it may be at the exchange at a time."""
    return order.ticket.oca_rule != REDUCES and any(perm_id != order.perm_id for perm_id in traders)


def as_child(ticket: Ticket, parent: Order) -> Ticket:
    """A child's ticket: without a group of its own, it is in that of its parent's permanent id."""
    return ticket if ticket.oca_group else replace(ticket, oca_group=str(parent.perm_id), oca_type=REDUCES)


def _group(ticket: Ticket) -> tuple[str, str]:
    return ticket.account, ticket.oca_group

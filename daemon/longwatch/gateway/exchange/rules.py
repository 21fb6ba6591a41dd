"""What a ticket may not be, and what is changed in it with a warning; asked by the exchange for every order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from longwatch.gateway.conduct import Conduct
from longwatch.gateway.exchange.ledger import ZERO
from longwatch.gateway.exchange.orders import (
    AT_ONCE,
    AT_THE_CLOSE,
    AT_THE_OPEN,
    HIGHEST_PRICE,
    TRAILING,
    WITH_LIMIT,
    WITH_STOP,
    Order,
    Ticket,
    cause,
)
from longwatch.gateway.market.instruments import increment_at, least_size

ORDER_TYPES = frozenset({"MKT", "LMT", "STP", "STP LMT", "TRAIL", "MOC", "LOC"})
ELSEWHERE = frozenset(
    {
        *("BOX TOP", "LIT", "MIDPRICE", "MIT", "MKT PRT", "MTL", "PEG BENCH", "PEG BEST", "PEG MID", "PEG MKT"),
        *("PEG STK", "PEGBEST", "PEGMID", "REL", "REL + LMT", "REL + MKT", "SNAP MKT", "SNAP MID", "SNAP PRIM"),
        *("STP PRT", "TRAIL LIMIT", "TRAIL LIT", "TRAIL MIT", "VOL"),
    }
)
"""Order types that IB has and this exchange has not."""

TIMES_IN_FORCE = frozenset({"DAY", "GTC", AT_THE_OPEN}) | AT_ONCE
IN_SESSION_ONLY = frozenset({"MKT"}) | AT_THE_CLOSE
"""Types for which the wish to trade outside regular hours is ignored."""

BECOMES = {
    "MKT": {"LMT"},
    "LMT": {"MKT"},
    "STP": {"STP LMT", "MKT", "LMT"},
    "STP LMT": {"STP", "MKT", "LMT"},
    "MOC": {"LOC"},
    "LOC": {"MOC"},
}
"""What a modification may make of an order type besides itself."""

IN_FRACTIONS = frozenset({"MKT", "LMT"})
BAD_TICK = 110
TOO_HIGH_ID = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an order is not accepted, or what it is warned of: the error's code and text."""

    code: int
    text: str


def refusal_of(ticket: Ticket, conduct: Conduct) -> Refusal | None:
    """The first rule a ticket breaks, or None."""
    for rule in RULES:
        refusal = rule(ticket, conduct)
        if refusal is not None:
            return refusal
    return None


def refusal_of_change(order: Order, ticket: Ticket) -> Refusal | None:
    """Why a live order can't become this ticket, or None."""
    old = order.ticket
    if (ticket.instrument, ticket.action, ticket.account) != (old.instrument, old.action, old.account):
        return Refusal(code=105, text="Order being modified does not match original order")
    if ticket.quantity <= order.filled:
        return Refusal(code=105, text="Order being modified does not match original order")
    if ticket.order_type != old.order_type and ticket.order_type not in BECOMES.get(old.order_type, ()):
        return Refusal(code=329, text="Order modify failed. Cannot change to the new order type.")
    if ticket.parent_id != old.parent_id:
        return Refusal(code=10341, text="The parent of a live order cannot be changed.")
    if ticket.oca_group and ticket.oca_group != old.oca_group:
        return Refusal(code=10326, text="OCA group revision is not allowed.")
    if old.oca_group and ticket.oca_type and ticket.oca_type != old.oca_rule:
        return Refusal(code=10327, text="OCA type revision is not allowed.")
    return None


def amended(ticket: Ticket, conduct: Conduct) -> tuple[Ticket, list[Refusal]]:
    """The ticket as the gateway takes it, and what it warns of: the order goes on."""
    changes: dict[str, object] = {}
    warnings: list[Refusal] = []
    if ticket.order_id > TOO_HIGH_ID:
        warnings.append(Refusal(code=2146, text=f"Warning: The order ID {ticket.order_id} is too high."))
    if not ticket.tif:
        changes["tif"] = "DAY"
        if conduct.preset_tif:
            warnings.append(Refusal(code=10349, text="Order TIF was set to DAY based on order preset."))
    if ticket.outside_rth and (ticket.order_type in IN_SESSION_ONLY or ticket.tif == AT_THE_OPEN):
        changes["outside_rth"] = False
        text = (
            "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored based on the order type and "
            "destination. PlaceOrder is now being processed."
        )
        warnings.append(Refusal(code=2109, text=text))
    return (replace(ticket, **changes) if changes else ticket), warnings  # type: ignore[arg-type]


def _action(ticket: Ticket, _: Conduct) -> Refusal | None:
    if ticket.action in {"BUY", "SELL"}:
        return None
    return Refusal(code=321, text=cause(f"Invalid action: {ticket.action}"))


def _size(ticket: Ticket, conduct: Conduct) -> Refusal | None:
    if ticket.quantity == 0 and conduct.size_cause:
        return Refusal(code=321, text=cause("The size value cannot be zero:"))
    if ticket.quantity == 0:
        return Refusal(code=434, text="The order size cannot be zero.")
    if ticket.quantity < 0:
        return Refusal(code=321, text=cause("The order size cannot be negative."))
    return _fraction(ticket, conduct) or _least_size(ticket, conduct)


def _least_size(ticket: Ticket, conduct: Conduct) -> Refusal | None:
    least = least_size(ticket.instrument, takes_fractions=conduct.takes_fractions)
    if ticket.quantity >= least:
        return None
    text = f"Order size {ticket.quantity} is smaller than the minimum required size of {least}."
    return Refusal(code=388, text=text)


def _fraction(ticket: Ticket, conduct: Conduct) -> Refusal | None:
    if ticket.quantity == ticket.quantity.to_integral_value():
        return None
    if not conduct.takes_fractions:
        text = "Fractional-sized order cannot be placed via API. Please use desktop version to place this order."
        return Refusal(code=10243, text=text)
    if ticket.order_type in IN_FRACTIONS and ticket.tif in {"", "DAY"}:
        return None
    return Refusal(code=10318, text="This order doesn't support fractional quantity trading")


def _order_type(ticket: Ticket, _: Conduct) -> Refusal | None:
    if ticket.order_type in ORDER_TYPES:
        return None
    if ticket.order_type in ELSEWHERE:
        return Refusal(code=387, text="Unsupported order type for this exchange and security type.")
    return Refusal(code=321, text=cause("Invalid order type was entered"))


def _time_in_force(ticket: Ticket, _: Conduct) -> Refusal | None:
    tif = ticket.tif or "DAY"
    if tif not in TIMES_IN_FORCE:
        return Refusal(code=10052, text="Invalid time in force")
    if ticket.order_type in AT_THE_CLOSE and tif != "DAY":
        return Refusal(code=113, text="MOC and LOC orders must have a time-in-force of DAY.")
    if tif == AT_THE_OPEN and ticket.order_type not in {"MKT", "LMT"}:
        return Refusal(code=111, text="The time-in-force type and the order type are incompatible.")
    return None


def _prices(ticket: Ticket, _: Conduct) -> Refusal | None:
    needed = [("limit", ticket.limit, WITH_LIMIT), ("stop", ticket.stop, WITH_STOP - TRAILING)]
    for name, price, types in needed:
        if ticket.order_type in types and (price is None or price <= 0):
            return Refusal(code=321, text=cause(f"A {name} price is needed for a {ticket.order_type} order."))
    if any(price > HIGHEST_PRICE or price % increment_at(ticket.instrument, price) for price in _stated(ticket)):
        text = "The price does not conform to the minimum price variation for this contract."
        return Refusal(code=BAD_TICK, text=text)
    return None


def _stated(ticket: Ticket) -> Iterator[Decimal]:
    """The prices that count for the ticket's type."""
    if ticket.order_type in WITH_LIMIT and ticket.limit is not None:
        yield ticket.limit
    if ticket.order_type in WITH_STOP and ticket.stop is not None:
        yield ticket.stop
    if ticket.order_type in TRAILING and ticket.trail_stop is not None:
        yield ticket.trail_stop


def _trail(ticket: Ticket, _: Conduct) -> Refusal | None:
    """A trailing stop follows at an amount or at a percentage, one of the two."""
    if ticket.order_type not in TRAILING:
        return None
    amount, percent = ticket.stop or ZERO, ticket.trail_percent or ZERO
    if (amount > 0) == (percent > 0) or amount < 0 or not 0 <= percent < 100:
        text = "A TRAIL order needs either a trailing amount or a trailing percentage below 100."
        return Refusal(code=321, text=cause(text))
    if ticket.trail_stop is not None and ticket.trail_stop <= 0:
        return Refusal(code=321, text=cause("The first stop price of a TRAIL order must be above zero."))
    return None


def _links(ticket: Ticket, _: Conduct) -> Refusal | None:
    if ticket.what_if and not ticket.transmit:
        return Refusal(code=413, text="A what-if order must be sent with the transmit flag set.")
    if ticket.oca_type not in range(4):
        return Refusal(code=321, text=cause(f"Invalid OCA type: {ticket.oca_type}"))
    return None


def _tradable(ticket: Ticket, _: Conduct) -> Refusal | None:
    if ticket.instrument.is_tradable:
        return None
    return Refusal(code=201, text="Order rejected - reason:No Trading Permission")


RULES: tuple[Callable[[Ticket, Conduct], Refusal | None], ...] = (
    _tradable,
    _action,
    _size,
    _order_type,
    _time_in_force,
    _trail,
    _prices,
    _links,
)
"""Asked in this order for a new order and for a modification."""

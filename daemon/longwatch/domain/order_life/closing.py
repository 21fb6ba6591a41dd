"""What of a holding a flatten can close by an order, and what a person must close; for evidence, wanted, flattening."""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.order_life.breaker import in_lots_to_close
from longwatch.domain.state import State

ZERO = Decimal(0)


def closable(state: State, instrument: Instrument, shares: Decimal) -> Decimal:
    """What an order can be for: no fraction that the broker has refused, and not fewer than it takes in an order."""
    found = in_lots_to_close(state, instrument, shares)
    return found if abs(found) >= instrument.min_size else ZERO


def by_hand(state: State, con_id: int) -> m.RaiseAlert | None:
    """What no order can close of an instrument, and why: a person must know; None where one can close all."""
    holding = state.book.get(con_id)
    if holding is None:
        return None
    known = next((one for one in state.instruments.values() if one.con_id == con_id), None)
    left, why = holding.quantity, "its contract is not known"
    if known is not None:
        whole = in_lots_to_close(state, known, left)
        left -= closable(state, known, left)
        why = "the broker takes no order for a fraction"
        if whole and left == holding.quantity:
            why = f"the broker takes no order for fewer than {known.min_size:f} shares"
    if not left:
        return None
    text = f"{left} {holding.symbol} stay: {why}; close them by hand"
    return m.RaiseAlert(key="not_flattened", text=text, severity="critical")

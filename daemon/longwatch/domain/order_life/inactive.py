"""An order that the broker calls Inactive: rejected, or held by a system, and not at work either way; for lifecycle."""

from __future__ import annotations

from datetime import datetime, timedelta

from longwatch.domain.order_life.evidence import Decided, advance
from longwatch.domain.orders import Evidence, Order, OrderState
from longwatch.domain.state import State

INACTIVE = "Inactive"


def told(state: State, order: Order, tech: datetime) -> Decided:
    """What rests by a holding may never trade now: it is unknown, and asked about, until other evidence settles it.

    The word alone is no end. Of any other order it leads nowhere: that counts at its worst either way.
    """
    if order.rests and order.state is OrderState.WORKING and order.ending is None:
        due = tech + timedelta(seconds=state.settings.acknowledge_seconds)
        yield from advance(state, order, Evidence.SILENCE, text="told to be inactive", deadline=due)

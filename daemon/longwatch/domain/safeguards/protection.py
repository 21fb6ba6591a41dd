"""What is held behind no stop, for how long, and when a person is told; called by stops after each event.

And where a stop is too large for what is held: both are looked at again by the clock, should nothing else be heard.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.risk.attached import waits
from longwatch.domain.risk.oca import at_most, others
from longwatch.domain.safeguards import pauses
from longwatch.domain.state import State

ZERO = Decimal(0)
AGAIN = timedelta(seconds=30)
SELDOMER = 4
"""How often, at the most, it is tried to bring stops to what is held while nothing else is heard; less often with time.

When a wait runs out it is tried besides.
"""


def due_at(state: State) -> datetime | None:
    """The technical time at which what is unprotected, or behind too large a stop, is looked at again."""
    rows: tuple[m.ProtectionSet | m.SurplusSet, ...] = (*state.unprotected.values(), *state.surpluses.values())
    return min((row.look_at for row in rows if row.look_at is not None), default=None)


def is_due(state: State, con_id: int, tech: datetime) -> bool:
    """Whether it is time to look at the stops of a holding again."""
    rows = (state.unprotected.get(con_id), state.surpluses.get(con_id))
    return any(row is not None and row.look_at is not None and row.look_at <= tech for row in rows)


def metered(
    state: State, con_id: int, symbol: str, wanted: Decimal, event: m.Event
) -> Iterator[m.ProtectionSet | m.RaiseAlert]:
    """Note how many of `wanted` (unsigned) shares rest behind no stop, where that is news or time has passed."""
    former = state.unprotected.get(con_id)
    missing = max(wanted - protected(state, con_id), ZERO)
    if former is None and not missing:
        return
    bare = max(missing - leaving(state, con_id), ZERO)
    since = event.tech if former is None or (missing and not bare) else former.since
    told, is_open = former is not None and former.told, any(one.is_open(event.at) for one in state.sessions)
    is_due = (event.tech - since).total_seconds() >= state.settings.unprotected_alert_seconds
    tells = bool(bare) and is_due and is_open and not told
    planned = former.look_at if former is not None else None
    is_looked_at = planned is not None and planned <= event.tech
    is_moved = former is not None and former.unprotected != missing
    look_at = _look_at(state, con_id, planned, since, event, is_moved=is_moved) if missing else None
    if not (former is None or is_moved or tells or is_looked_at or _is_sooner(look_at, planned)):
        return
    price = _price(state, con_id, symbol)
    yield m.ProtectionSet(
        con_id=con_id,
        symbol=symbol,
        unprotected=missing,
        price=price,
        since=since,
        at=event.at,
        accrued=_accrued(state, former, event.at) if former is not None else ZERO,
        told=told or tells,
        look_at=look_at,
    )
    if tells:
        waited = (event.tech - since).total_seconds()
        text = f"{bare} {symbol}, worth {bare * price:.2f}, have had no stop at the broker for {waited:.0f} s"
        yield m.RaiseAlert(key="unprotected", text=text, severity="critical")


def surplus_noted(state: State, con_id: int, symbol: str, wanted: Decimal, event: m.Event) -> Iterator[m.SurplusSet]:
    """Note how many shares more than `wanted` stops could trade, where that is news or it was time to look again.

    Nobody is told: as a rule another order of the group has just filled, and the broker makes them smaller by itself.
    """
    former = state.surpluses.get(con_id)
    stops = (one for one in state.live_in(con_id) if one.purpose is Purpose.STOP)
    shares = max(at_most(state, stops) - wanted, ZERO)
    if former is None and not shares:
        return
    planned = former.look_at if former is not None else None
    since = former.since if former is not None else event.tech
    is_looked_at = planned is not None and planned <= event.tech
    is_moved = former is not None and former.shares != shares
    look_at = _look_at(state, con_id, planned, since, event, is_moved=is_moved) if shares else None
    if former is None or is_moved or is_looked_at or _is_sooner(look_at, planned):
        yield m.SurplusSet(con_id=con_id, symbol=symbol, shares=shares, since=since, look_at=look_at)


def _look_at(
    state: State, con_id: int, planned: datetime | None, since: datetime, event: m.Event, *, is_moved: bool
) -> datetime | None:
    """When stops that are not as they are to be are looked at next: when a wait runs out, and otherwise after a while.

    While the link is down nothing can be done, and what becomes of that is an event; but a person may have to be told.
    """
    tech = event.tech
    session = next((one for one in state.sessions if one.is_open(event.at)), None)
    if session is None:
        opens = min((one.open_at for one in state.sessions if one.open_at > event.at), default=None)
        return tech + (opens - event.at) if opens is not None and state.link is m.Link.READY else None
    end = pauses.next_end(state, con_id, since, event)
    if state.link is not m.Link.READY:
        return end
    soon = tech + timedelta(seconds=state.settings.acknowledge_seconds + 1)
    if planned is None:
        planned = soon
    elif planned <= tech:
        planned = tech + max(AGAIN, min(tech - since, event.at - session.open_at) / SELDOMER)
    elif is_moved or isinstance(event, m.OrderStatusSeen):
        planned = min(planned, soon)  # an order has moved
    return planned if end is None else min(planned, end)


def _is_sooner(look_at: datetime | None, planned: datetime | None) -> bool:
    return look_at is not None and (planned is None or look_at < planned)


def protected(state: State, con_id: int) -> Decimal:
    """Shares for which a stop is known to work at the broker."""
    stops = (one for one in state.live_in(con_id) if one.purpose is Purpose.STOP and not waits(state, one))
    return sum(map(_at_least, stops), ZERO)


def leaving(state: State, con_id: int) -> Decimal:
    """Shares without a stop because an exit of its group works at them: they are on their way out, beside the rest."""
    stops = [one for one in state.live_in(con_id) if one.purpose is Purpose.STOP and _at_least(one)]
    exits = {one.intent: one for stop in stops for one in others(state, stop) if one.purpose is Purpose.REDUCE}
    return sum((one.remaining for one in exits.values() if one.state is OrderState.WORKING), ZERO)


def _at_least(order: Order) -> Decimal:
    if order.state is not OrderState.WORKING or order.ending is not None or order.stop_price is None:
        return ZERO
    return max(order.at_least - max(order.told, order.reported), ZERO)


def _accrued(state: State, former: m.ProtectionSet, at: datetime) -> Decimal:
    """Notional times the seconds of open market since a former fact."""
    seconds = ZERO
    for session in state.sessions:
        inside = (min(at, session.close_at) - max(former.at, session.open_at)).total_seconds()
        seconds += Decimal(repr(inside)) if inside > 0 else ZERO
    return former.unprotected * former.price * seconds


def _price(state: State, con_id: int, symbol: str) -> Decimal:
    judged, holding = state.judged.get(symbol), state.book.get(con_id)
    close = judged.close if judged is not None else None
    return close or (holding.average_cost if holding is not None else ZERO)

"""Book plus outside against the account: each difference with its likely cause, cured or quarantined; for reconcile.

Only what is proven is cured. What a difference looks like is said to a person, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.inference import infer
from longwatch.domain.orders import Order
from longwatch.domain.reconciliation import busts, splits
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.looks import cash_moved, likely_causes
from longwatch.domain.reconciliation.quarantines import POSITION, UNREADABLE, laid, lifted, tells_of_shares
from longwatch.domain.state import State

ZERO = Decimal(0)
SECOND_LOOK_SECONDS = 1.0
"""How long after a difference stands the account is read again."""
MOST_LOOKS, LONGEST_UNSETTLED = 6, timedelta(minutes=5)
"""A difference that is never twice the same quarantines after so many looks in a row, over so long a time."""


def differences(state: State) -> tuple[m.Difference, ...]:
    """Every instrument in which our book plus what is not ours is not what the account holds."""
    symbols = {con_id: holding.symbol for con_id, holding in state.book.items()}
    symbols |= {con_id: symbol for con_id, (symbol, _) in (*state.outside.items(), *state.account_positions.items())}
    rows = []
    for con_id, symbol in sorted(symbols.items()):
        book = state.held(con_id)
        outside = state.outside.get(con_id, (symbol, ZERO))[1]
        account = state.account_positions.get(con_id, (symbol, ZERO))[1]
        if book + outside != account:
            rows.append(m.Difference(con_id=con_id, symbol=symbol, book=book, outside=outside, account=account))
    return tuple(rows)


def compare(state: State, event: m.SnapshotSeen) -> Decided:
    """Cure what is proven, quarantine what stands unexplained, and end the quarantines of what agrees again."""
    for row in differences(state):
        split = splits.proven(state, row)
        if split is not None:
            yield from splits.booked(state, split, "the split is booked")
    for row in _standing(state, event):
        yield from infer(state, row, event)
    for row in _standing(state, event):
        yield from busts.take_back(state, row, event)
    found, before = _looked_at(state, event), state.compared.differences if state.compared else ()
    standing = [row for row in found if _stands(state, row, event) or _never_stands_still(row, event)]
    former = state.compared.net_liquidation if state.compared else None
    yield m.BookCompared(
        reason=event.reason,
        positions=len(state.account_positions),
        orders=len(state.live) + len(state.foreign_orders),
        differences=found,
        activity=state.activity,
        tech=event.tech,
        cash=event.cash,
        paid=state.paid,
        net_liquidation=former if event.net_liquidation is None else event.net_liquidation,
        former_value=former,
        at=event.at,
    )
    for row in standing:
        yield from _break(state, row, event.tech)
    if any(row.con_id not in state.quarantines for row in found):
        # The next reading of its own may be far, after the close until the next morning.
        wait = state.settings.acknowledge_seconds + SECOND_LOOK_SECONDS
        yield m.RequestSnapshot(reason="a difference is looked at again", after_seconds=wait)
    apart = {row.con_id for row in found}
    yield from _agreeing_again(state, event, apart, {row.con_id: row for row in before})
    yield from _agreeing_by_chance(state, event, apart)
    yield from splits.settled(state)


def in_doubt(state: State) -> set[int]:
    """Instruments in which book and account differ, or have come to agree by chance, or are held for that still."""
    held = {con_id for con_id, one in state.quarantines.items() if one.reason.startswith(POSITION)}
    return held | {row.con_id for row in differences(state)} | {one for one in state.returned if _by_chance(state, one)}


def _agreeing_again(
    state: State, event: m.SnapshotSeen, apart: set[int], before: Mapping[int, m.Difference]
) -> Decided:
    for con_id, held in list(state.quarantines.items()):
        # A whole download can be read in every row: what one message failed to say has been said.
        read_since = held.reason == UNREADABLE and held.tech <= event.started_tech
        is_about_shares = held.reason.startswith(POSITION)
        if con_id in apart or not (is_about_shares or read_since):
            continue
        former, untold = before.get(con_id), _untold(state, con_id) if is_about_shares else []
        # What is taken back leaves the account in one piece. Where others' shares make up for it, both sides are wrong.
        if not untold or (former is not None and former.missing == _shares(untold)):
            yield from lifted(state, con_id, "book and account agree")
        elif former is not None:
            yield _agree_yet(held.symbol, untold)


def _agreeing_by_chance(state: State, event: m.SnapshotSeen, apart: set[int]) -> Decided:
    """Hold what came to agree before its difference ever stood, or before an order was told to have filled."""
    wait = timedelta(seconds=state.settings.acknowledge_seconds)
    for con_id in sorted(set(state.returned) - apart - set(state.quarantines)):
        untold = _by_chance(state, con_id)
        if not untold:
            continue
        if any(order.moved_at is not None and order.moved_at > event.started_tech - wait for order in untold):
            # Its executions may be on their way.
            yield m.RequestSnapshot(reason="fills are told without executions", after_seconds=wait.total_seconds() + 1)
            continue
        symbol = untold[0].symbol
        reason = f"{POSITION}: book and account agree, yet {_refs(untold)} is told to have filled more"
        yield m.QuarantineSet(con_id=con_id, symbol=symbol, reason=reason, tech=event.tech)
        yield _agree_yet(symbol, untold)


def _by_chance(state: State, con_id: int) -> list[Order]:
    """Orders told to have filled, unheard, what is not just the shares with which the account came back to the book."""
    missing, at = state.returned.get(con_id, (ZERO, None))
    untold = _untold(state, con_id)
    was_there = any(at is not None and (order.sent_at is None or order.sent_at <= at) for order in untold)
    return untold if was_there and missing != _shares(untold) else []


def _untold(state: State, con_id: int) -> list[Order]:
    """Live orders that are told to have filled more than executions have told of."""
    return [order for order in state.live_in(con_id) if order.reported > order.told]


def _shares(untold: list[Order]) -> Decimal:
    """Signed shares that these orders are told to have filled and that no execution has told of."""
    return sum(((order.reported - order.told) * order.side.sign for order in untold), ZERO)


def _refs(untold: list[Order]) -> str:
    return ", ".join(order.ref for order in untold)


def _agree_yet(symbol: str, untold: list[Order]) -> m.RaiseAlert:
    text = (
        f"{symbol}: book and account agree, yet {_refs(untold)} is told to have filled shares that no execution tells "
        f"of; it stays held: see the broker's statement, `longwatch resolve` the order, or "
        f"`longwatch unquarantine {symbol}`"
    )
    return m.RaiseAlert(key="unexplained_difference", text=text, severity="critical")


def _looked_at(state: State, event: m.SnapshotSeen) -> tuple[m.Difference, ...]:
    """The differences of now, each with the times since which it is just so, and is there at all."""
    known = {row.con_id: row for row in state.compared.differences} if state.compared else {}
    rows = differences(state)
    new = likely_causes(
        state, [row for row in rows if row.con_id not in known], cash_moved(state, event, state.compared)
    )
    looks = {row.con_id: replace(row, since=event.tech, first=event.tech) for row in new}
    looks |= {row.con_id: _again(state, row, known[row.con_id], event) for row in rows if row.con_id in known}
    return tuple(looks[row.con_id] for row in rows)


def _again(state: State, row: m.Difference, former: m.Difference, event: m.SnapshotSeen) -> m.Difference:
    is_same = _figures(row) == _figures(former)
    looks = former if is_same else likely_causes(state, [row], None)[0]
    return replace(
        row,
        since=former.since if is_same else event.tech,
        first=former.first or former.since,
        looks=former.looks + 1,
        cause=looks.cause,
        possible=looks.possible,
    )


def _standing(state: State, event: m.SnapshotSeen) -> list[m.Difference]:
    return [row for row in _looked_at(state, event) if _stands(state, row, event)]


def _stands(state: State, row: m.Difference, event: m.SnapshotSeen) -> bool:
    """Whether a former comparison has shown it just so, with time for an answer before this one began."""
    settled = event.started_tech - timedelta(seconds=state.settings.acknowledge_seconds)
    return row.since is not None and row.since <= settled


def _never_stands_still(row: m.Difference, event: m.SnapshotSeen) -> bool:
    """Whether it has been there for long, other at each look: enough to hold orders back, and no proof of anything."""
    is_old = row.first is not None and event.tech - row.first >= LONGEST_UNSETTLED
    return is_old and row.looks >= MOST_LOOKS


def _figures(row: m.Difference) -> tuple[Decimal, Decimal, Decimal]:
    return row.book, row.outside, row.account


def _break(state: State, row: m.Difference, tech: datetime) -> Decided:
    """A difference that stands is not explained: no new orders in that instrument."""
    there = state.quarantines.get(row.con_id)
    if there is not None and tells_of_shares(there):
        return
    figures = f"book {row.book} + outside {row.outside} is not the account's {row.account}"
    reason = f"{POSITION}: {figures}"
    looks_like = "" if row.cause is Cause.UNEXPLAINED else f"; it looks like: {row.cause.value}"
    if row.possible:
        looks_like = f"; several causes are possible: {', '.join(cause.value for cause in row.possible)}"
    held = m.QuarantineSet(con_id=row.con_id, symbol=row.symbol, reason=reason + looks_like, tech=tech, cause=row.cause)
    yield laid(state, held)
    text = f"{row.symbol}: {reason}{looks_like}; no new orders in it until: {lifted_by(row.cause, row.symbol)}"
    yield m.RaiseAlert(key="unexplained_difference", text=text, severity="critical")

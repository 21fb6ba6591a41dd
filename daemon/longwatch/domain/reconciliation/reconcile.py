"""The account as the broker tells it against our book: what agrees, what is not explained; called by decide.

Fills and positions arrive seconds apart, so a difference counts only when two whole snapshots show it unchanged with
time for an answer between them. A snapshot with a failed part is compared with nothing: failed is not empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life import patience, questions, unanswered
from longwatch.domain.order_life.evidence import Decided, advance, end_of, left_undone, over_from, rested
from longwatch.domain.order_life.identity import cancels, is_reachable, out_of_reach
from longwatch.domain.order_life.inference import same_gateway
from longwatch.domain.order_life.listing import reaches_back_to
from longwatch.domain.orders import Absence, Evidence, Order, OrderState
from longwatch.domain.portfolio import flattening
from longwatch.domain.reconciliation import adopting, busts, splits
from longwatch.domain.reconciliation.breaks import compare, in_doubt
from longwatch.domain.risk import holds
from longwatch.domain.sessions import EXCHANGE_ZONE
from longwatch.domain.state import State

ZERO = Decimal(0)
ROUNDS_AT_EACH_PACE = 5
PROVING_ROUNDS = 2
PROVEN = "five proofs of absence"


def reconcile(state: State, event: m.SnapshotSeen) -> Decided:
    """Take in one round of downloads: values, positions, orders that are gone, and the comparison with the book."""
    if state.backend_up and state.backend_since is not None and event.started_tech < state.backend_since:
        yield m.RequestSnapshot(reason="the backend was away during the last download")
        return
    compared = state.compared
    if event.net_liquidation is not None and event.cash is not None:
        yield m.AccountValued(
            net_liquidation=event.net_liquidation,
            cash=event.cash,
            tech=event.tech,
            figures=event.figures,
            at=event.at,
        )
    parts = (event.positions, event.open_perm_ids, event.completed_perm_ids, event.exec_ids)
    if event.failures or event.positions is None or None in parts:
        failures = event.failures or (("download", "incomplete"),)
        since = failing_since(state)
        yield m.SnapshotFailed(failures=failures, tech=event.tech, since=since)
        text = "; ".join(f"{part}: {why}" for part, why in failures)
        age = f" for {(event.tech - since).total_seconds():.0f} s" if since else ""
        yield m.RaiseAlert(
            key="snapshot_failed", text=f"the account could not be read{age} ({text}); no orders until it can"
        )
        return
    yield from _account_positions(state, event)
    if state.compared is None:
        yield from _first_sight(state, event.positions)
    yield from _gone_foreign_orders(state, event)
    yield from _gone_orders(state, event)
    yield from _listed_orders(state, event)
    yield from unanswered.listed(state, event)
    yield from compare(state, event)
    yield from holds.account_read(state, event, compared)
    yield from _settle_unknown(state, event)
    if state.link is m.Link.SYNCING:
        yield m.LinkMoved(link=m.Link.READY, reason="", tech=event.tech)
        yield from _cancels_again(state)
    elif event.reason in REGULAR:
        yield from _cancels_again(state)
        yield from flattening.unanswered(state, event.tech)
    if state.link is m.Link.READY:
        yield from patience.near_close(state, event.at)
        yield from left_undone(state, event.at)
        if patience.is_left(state, event.at) and rested(state, event.at):
            yield m.RunJob(job="rebalance", reason=patience.REST)


def failing_since(state: State) -> datetime | None:
    """Since when readings of the account have failed on the present connection; one of a former says nothing of it."""
    failed = state.snapshot_failed
    since = None if failed is None else failed.since or failed.tech
    is_of_former = since is not None and state.link is m.Link.SYNCING and since < (state.link_since or since)
    return None if is_of_former else since


TOLD_TO_HAVE_ENDED = frozenset({OrderState.CANCELLED, OrderState.EXPIRED, OrderState.FILLED})
REGULAR = frozenset({"reconcile", "end of day"})
"""Downloads at their own pace: a cancel that is still unanswered is sent again with these, not with those it caused."""


def position_seen(state: State, event: m.PositionSeen) -> Decided:
    """Message 61 outside of a download."""
    if event.account == state.account:
        row = m.PositionRow(
            con_id=event.con_id,
            symbol=event.symbol,
            quantity=event.quantity,
            average_cost=event.average_cost,
            sec_type=event.sec_type,
        )
        yield from _position(state, row, event)


def _account_quantity(state: State, con_id: int) -> Decimal:
    return state.account_positions.get(con_id, ("", ZERO))[1]


def _account_positions(state: State, event: m.SnapshotSeen) -> Decided:
    told = {row.con_id: row for row in event.positions or ()}
    gone = [(con_id, symbol) for con_id, (symbol, _) in state.account_positions.items() if con_id not in told]
    for row in (*told.values(), *(m.PositionRow(con_id=c, symbol=symbol, quantity=ZERO) for c, symbol in gone)):
        yield from _position(state, row, event)


def _position(state: State, row: m.PositionRow, event: m.PositionSeen | m.SnapshotSeen) -> Decided:
    """The broker's figures of one instrument, where they are news."""
    has_moved = _account_quantity(state, row.con_id) != row.quantity
    is_named = row.sec_type in ("", state.sec_types.get(row.con_id))
    if not has_moved and is_named and (not row.quantity or state.account_costs.get(row.con_id) == row.average_cost):
        return
    yield m.AccountPositionSet(
        con_id=row.con_id,
        symbol=row.symbol,
        quantity=row.quantity,
        average_cost=row.average_cost,
        at=event.at,
        sec_type=row.sec_type,
    )
    if state.compared is not None:
        yield from splits.suspect(state, row.con_id, row.symbol, event.tech)


def _first_sight(state: State, rows: tuple[m.PositionRow, ...]) -> Decided:
    """What the account held before our first comparison is not ours, unless the settings say to adopt what can be."""
    for row in rows:
        extra = row.quantity - state.held(row.con_id)
        if not extra:
            continue
        why_not = adopting.objection_at_first(state, row, extra) if state.settings.adopt_existing else None
        if state.settings.adopt_existing and why_not is None:
            yield m.HoldingAdopted(
                con_id=row.con_id,
                symbol=row.symbol,
                quantity=extra,
                average_cost=row.average_cost or ZERO,
                reason="adopt_existing at the first start",
                off_parts=True,
            )
        else:
            yield m.OutsideSet(
                con_id=row.con_id, symbol=row.symbol, quantity=extra, reason="held before the first start"
            )
        if why_not is not None:
            text = f"{extra} {row.symbol} stay outside, though `adopt_existing` is set: {why_not}"
            yield m.RaiseAlert(key="not_adopted", text=text, severity="critical")


def _cancels_again(state: State) -> Decided:
    """A cancel may never have left, or come before the order was there: while that works, it goes out again."""
    for order in list(state.live_orders()):
        if order.cancel_asked and order.state is OrderState.WORKING:
            yield from cancels(state, order)


def _gone_foreign_orders(state: State, event: m.SnapshotSeen) -> Decided:
    shown = set(event.open_perm_ids or ())
    for perm_id, order in list(state.foreign_orders.items()):
        if perm_id not in shown:
            yield m.ForeignOrderSet(
                perm_id=perm_id,
                con_id=order.con_id,
                symbol=order.symbol,
                side=order.side,
                remaining=ZERO,
                status="gone",
            )


def _gone_orders(state: State, event: m.SnapshotSeen) -> Decided:
    """A working order that neither the open nor the completed orders show any more has an unknown outcome.

    One that was sent, or acknowledged, after the download began may have come too late for its list.
    """
    shown = {*(event.open_perm_ids or ()), *(event.completed_perm_ids or ())}
    for order in list(state.live_orders()):
        sent_before = order.sent_at is not None and order.sent_at < event.started_tech
        moved_before = order.moved_at is None or order.moved_at < event.started_tech
        is_due = order.state is OrderState.WORKING and sent_before and moved_before
        if not is_due or shown.intersection(order.perm_ids):
            continue
        if order.ending is None:
            yield from advance(
                state, order, Evidence.SILENCE, text="no longer shown by the broker", deadline=event.tech
            )


def _listed_orders(state: State, event: m.SnapshotSeen) -> Decided:
    """An order that was told to have ended is open in a download asked for since then: the later word counts."""
    for perm_id in set(event.open_perm_ids or ()) - set(event.completed_perm_ids or ()):
        order = state.orders.get(state.by_perm_id.get(perm_id, 0))
        if order is None or order.state not in TOLD_TO_HAVE_ENDED:
            continue
        if order.moved_at is not None and order.moved_at < event.started_tech:
            yield from advance(state, order, Evidence.LISTED, text="listed as open after its end was told")
            if state.orders[order.intent].is_live and order.cancel_asked:
                yield from cancels(state, order)


# ── unknown orders ──────────────────────────────────────────────────────────────────────────────────────────────────


def _settle_unknown(state: State, event: m.SnapshotSeen) -> Decided:
    apart = in_doubt(state)
    for order in list(state.live_orders()):
        agrees = order.con_id not in apart
        is_heard = agrees and state.backend_up
        is_over = is_heard and _session_is_over(state, order, event.at)
        # One that rests over many sessions has ended, or filled, in none that is open now.
        if is_over or (is_heard and _none_is_open(state, order, event.at)):
            yield from busts.never_were(state, order, event)
        if order.state is not OrderState.UNKNOWN:
            continue
        absence = _next_round(state, order, event)
        # What waits behind a window is for the session in which that is closed.
        has_ended = is_over and (bool(order.perm_ids) or absence.is_answered)
        # One download may lack a row, the one in which the broker tells of the order's end.
        if has_ended and absence.rounds >= PROVING_ROUNDS:
            yield from advance(state, order, Evidence.EXPIRED, text="its session has ended and positions agree")
            continue
        # Once a round: a cancel that comes too late is answered by a download, which would ask for the next at once.
        counted = order.absence is None or absence.rounds > order.absence.rounds
        is_new = (counted and absence.rounds) or _is_shown_idle(order, absence, event)
        asks = is_new and not (absence.cancel_not_found or absence.answered or has_ended)
        is_reached = is_reachable(state, order)
        if asks:
            absence = replace(absence, cancel_sent=True) if is_reached else questions.noted(state, absence)
        if absence != order.absence:
            yield m.AbsenceNoted(intent=order.intent, absence=absence)
        why = _not_proven(state, order, event, absence) if agrees else "positions differ"
        if why is None:
            text = _proofs(state, order, event, absence)
            yield from advance(state, state.orders[order.intent], Evidence.PROVEN_ABSENT, text=text)
            continue
        # A first round that may have begun before the bytes left proves nothing: it is repeated at once.
        soon = order.absence is None and not absence.rounds
        again = event.tech + (timedelta(0) if soon else _next_look(state, absence))
        yield from advance(state, state.orders[order.intent], Evidence.SILENCE, text=why, deadline=again)
        if asks:
            yield from cancels(state, order) if is_reached else questions.put(state.orders[order.intent])


def _is_shown_idle(order: Order, absence: Absence, event: m.SnapshotSeen) -> bool:
    """Whether this reading shows what is to rest, yet not at work, and its cancel has not asked yet what it is."""
    is_shown = absence.spoken_of and absence.since >= event.started_tech
    return order.rests and bool(order.perm_ids) and is_shown and not absence.cancel_sent


def _next_look(state: State, absence: Absence) -> timedelta:
    """What a few rounds have not settled waits for a session's end or a person: it is looked at less and less often."""
    is_nearly_proven = absence.answered and absence.first_round_at in (None, absence.last_round_at)
    pace = 1 if is_nearly_proven else 1 << min(absence.rounds // ROUNDS_AT_EACH_PACE, 6)
    return timedelta(seconds=state.settings.absence_round_seconds) * pace


def _session_is_over(state: State, order: Order, at: datetime) -> bool:
    over_at = over_from(state, order)
    return order.tif == "DAY" and over_at is not None and at > over_at + timedelta(minutes=1)


def _none_is_open(state: State, order: Order, at: datetime) -> bool:
    """Whether no session in which an order may trade is open, or was a minute ago."""
    return bool(state.sessions) and not any(
        session.open_at <= at <= end_of(session, order) + timedelta(minutes=1) for session in state.sessions
    )


def _next_round(state: State, order: Order, event: m.SnapshotSeen) -> Absence:
    """Another round that shows nothing.

    It counts when it began after the order became unknown, and long enough after the former one that counted. Of an
    order that nobody had acknowledged, one on a later connection than the order's does too; what the broker had may be
    the row that a list lacks, and a cancel, to hear of it, would end it.
    """
    former = order.absence or Absence(since=event.tech)
    begins_later = order.absence is None and order.epoch != state.epoch and not order.perm_ids
    if event.started_tech < former.since and not begins_later:
        return former
    apart = timedelta(seconds=state.settings.absence_round_seconds)
    if former.last_round_at is not None and event.started_tech - former.last_round_at < apart:
        return former
    return replace(
        former,
        rounds=former.rounds + 1,
        first_round_at=former.first_round_at or event.tech,
        last_round_at=event.tech,
    )


def _not_proven(state: State, order: Order, event: m.SnapshotSeen, absence: Absence) -> str | None:
    """What is still missing to prove that the order never reached the broker, or None when nothing is."""
    quiet = timedelta(seconds=state.settings.absence_quiet_seconds)
    if not state.backend_up or state.backend_since is None or event.tech - state.backend_since < quiet:
        return "the gateway's own link is not up for long enough"
    needed = (farm for farm in state.farms.values() if not farm.history)
    if any(not farm.up or event.tech - farm.tech < quiet for farm in needed):
        return "the farms are not up for long enough"
    if state.link is not m.Link.READY or state.link_since is None or event.tech - state.link_since < quiet:
        return "the link is not up for long enough"
    if absence.first_round_at is None or absence.first_round_at == absence.last_round_at:
        return "two rounds of downloads are needed"
    beyond = None if absence.cancel_not_found else out_of_reach(state, order)
    if beyond is not None and not absence.answered:
        return f"{beyond}, which has not yet answered"
    if beyond is not None and (not order.rests or absence.rounds < ROUNDS_AT_EACH_PACE):
        return beyond
    if not absence.cancel_not_found and beyond is None:
        return "its cancel is not yet answered"
    # What rests is good till cancelled, whatever was restarted: were it there it would be listed, its fill be missing.
    return None if order.rests else next(_doubts(state, order, event), None)


def _doubts(state: State, order: Order, event: m.SnapshotSeen) -> Iterator[str]:
    """Why an order of the day may have been there, though nothing shows it any more."""
    if order.perm_ids:
        # It was there: that nothing shows it any more tells neither how it ended nor what it filled.
        yield "the broker has had it, and tells no end of it"
    sent = order.created_at.astimezone(EXCHANGE_ZONE).date()
    if sent != event.at.astimezone(EXCHANGE_ZONE).date():
        yield "midnight has passed"
    if same_gateway(state, order, event):
        return
    if order.epoch != state.epoch:
        yield "the gateway may have been restarted"
    elif not reaches_back_to(state, order.created_at, event):
        yield "midnight may have passed at the gateway"


def _proofs(state: State, order: Order, event: m.SnapshotSeen, absence: Absence) -> str:
    """What proves an order's absence, and which proofs an order that is good till cancelled can do without."""
    doubts = [*_doubts(state, order, event)]
    if not absence.cancel_not_found:
        doubts.insert(0, f"no cancel reaches it (the gateway answers: it was asked as {absence.asked_as})")
    return f"absent: good till cancelled, and in no list, though {'; '.join(doubts)}" if doubts else PROVEN

"""Limits on what has already happened: losses, drawdown, rejections, slippage; called by decide and reconcile.

Each row of held_at.RULES measures one thing at one level. At its limit the level is held, `reducing` or `halted`,
until a person's `longwatch resume`, or until the rule itself lets go: a session's loss and slippage with the next
session, where the settings say so. What a hold would not let leave any more is cancelled at the broker.

An account's equity counts as lost only where two whole readings in a row show it, and as a new peak likewise. Money
that comes or goes without a trade is no gain and no loss: what losses are measured from changes in proportion to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

from longwatch.domain import messages as m
from longwatch.domain.levels import NEXT_SESSION, Grade, Level, meant
from longwatch.domain.order_life.identity import cancels
from longwatch.domain.orders import TERMINAL, Order, OrderState, Purpose
from longwatch.domain.portfolio.parts import strategies_in
from longwatch.domain.reconciliation.looks import cash_moved
from longwatch.domain.risk.held_at import RULE, Rule, told
from longwatch.domain.state import State, shares_of
from longwatch.quick import changed

Followed = Iterator[m.Fact | m.Effect]

ZERO, QUARTER = Decimal(0), Decimal("0.25")
BPS = Decimal(10_000)
OF_THE_DAY = frozenset({"daily_loss", "strategy_daily_loss", "instrument_daily_loss"})
LOSSES = OF_THE_DAY | {"drawdown", "strategy_drawdown"}
AWAITED = timedelta(days=3)
"""How long after a person's word on money a reading that shows the same amount is taken to show it."""
ROUNDED = Decimal("0.01")
"""So exactly a person tells of what was noticed already; a fee may have been taken from it."""
LEAST_FLOW = Decimal("0.002")
"""Cash that moves by less than this fraction of equity is interest, a dividend or a fee: a gain or a loss."""


# ── equity of the account ───────────────────────────────────────────────────────────────────────────────────────────


def account_read(state: State, event: m.SnapshotSeen, compared: m.BookCompared | None) -> Followed:
    """A whole reading of the account, after its comparison; `compared` is the comparison before it."""
    value = event.net_liquidation
    if value is None:
        return
    known = state.marks.get((Level.ACCOUNT, state.account))
    if compared is None or compared.net_liquidation is None:
        yield from _mark(state, event.at, value, known.peak if known else value, None)
        return
    flow = _flow(state, event, compared)
    if flow and _is_awaited(state, flow, event.at):
        text = "a reading shows what was told of before"
        yield m.FlowBooked(amount=flow, reason=text, at=event.at, equity=compared.net_liquidation, shown=True)
    elif flow:
        what = "came into" if flow > 0 else "left"
        text = "cash and equity moved alike, without a trade"
        yield m.FlowBooked(amount=flow, reason=text, at=event.at, equity=compared.net_liquidation, noticed=True)
        yield m.RaiseAlert(
            key="cash_flow",
            text=f"{abs(flow):,.2f} {what} the account without a trade: neither a gain nor a loss; "
            f"if that is wrong, `longwatch flow {-flow:.2f}` takes it back",
        )
    before = compared.net_liquidation + flow
    opened = None
    if compared.at is not None and _is_recent(state, compared.at, event.at):
        # The middle one of three readings: one wrong figure is never it.
        first = before if compared.former_value is None else compared.former_value + flow
        opened = sorted((first, before, value))[1]
    yield from _mark(state, event.at, value, min(value, before), opened)
    mark = state.marks.get((Level.ACCOUNT, state.account))
    if mark is None:
        return
    standing = max(value, before)
    for name, since in (("daily_loss", mark.start), ("drawdown", mark.peak)):
        if since > 0:
            yield from judge(state, RULE[name], state.account, (since - standing) / since, event.at)


def flow_told(state: State, amount: Decimal, reason: str, at: datetime) -> Followed:
    """A person's word on money that came or went; nothing where it can't be so."""
    found = _before_flow(state, amount)
    if found is not None and noticed(state, amount, at) is None:
        equity, is_awaited = found
        yield m.FlowBooked(amount=amount, reason=reason, at=at, equity=equity, awaited=is_awaited)


def noticed(state: State, amount: Decimal, at: datetime) -> m.FlowBooked | None:
    """The flow that readings have shown in this session, if a person tells just that: it is counted already."""
    flow = state.noticed_flow
    if flow is None or day_of(state, flow.at) != day_of(state, at):
        return None
    return flow if abs(flow.amount - amount) <= abs(flow.amount) * ROUNDED else None


def can_be_flow(state: State, amount: Decimal) -> bool:
    """Whether something is left to measure losses from, should so much have come or gone."""
    return _before_flow(state, amount) is not None


def _before_flow(state: State, amount: Decimal) -> tuple[Decimal, bool] | None:
    """What the account was worth without a flow, and whether no reading shows it yet: as is nearer to the start."""
    mark = state.marks.get((Level.ACCOUNT, state.account))
    if mark is None:
        return None
    value = _last_value(state, mark)
    equity = min((value, value - amount), key=lambda one: abs(one - mark.start))
    return (equity, equity == value) if equity > 0 and equity + amount > 0 else None


def _last_value(state: State, mark: m.EquityMarked) -> Decimal:
    known = state.compared.net_liquidation if state.compared else None
    return mark.value if known is None else known


def _is_awaited(state: State, flow: Decimal, at: datetime) -> bool:
    told_of = state.awaited_flow
    return told_of is not None and told_of.amount == flow and at - told_of.at <= AWAITED


def _flow(state: State, event: m.SnapshotSeen, compared: m.BookCompared) -> Decimal:
    """Cash that came or went between two whole readings, which no trade explains; equity has moved by as much.

    Where book and account differ, or shares have moved, it is not known what the cash was for.
    """
    former = compared.net_liquidation
    if former is None or event.cash is None or event.net_liquidation is None or state.compared is None:
        return ZERO
    moved = cash_moved(state, event, compared)
    if moved is None or compared.differences or state.compared.differences:
        return ZERO
    gained = event.net_liquidation - former
    is_large = abs(moved) >= LEAST_FLOW * abs(former) and former + moved > 0
    return moved if is_large and abs(gained - moved) <= abs(moved) * QUARTER else ZERO


def _mark(state: State, at: datetime, value: Decimal, peak: Decimal, opened: Decimal | None) -> Followed:
    """What the account's losses are measured from, where that is news.

    A session starts at the last reading before it, so that its opening gap counts (`opened`); at its first one, where
    there is none since the session before it.
    """
    name = state.account
    session, known = day_of(state, at), state.marks.get((Level.ACCOUNT, name))
    start = value if opened is None else opened
    if known is not None and known.session == session:
        start = known.start
    highest = max(peak, known.peak) if known is not None else value
    if known is None or (known.session, known.start, known.peak) != (session, start, highest):
        yield m.EquityMarked(
            level=Level.ACCOUNT, name=name, session=session, start=start, peak=highest, value=value, at=at
        )


def day_of(state: State, at: datetime) -> date | None:
    """The session that opened last: a day lasts until the next one opens."""
    return max((one.date for one in state.sessions if one.open_at <= at), default=None)


def _is_recent(state: State, before: datetime, at: datetime) -> bool:
    """Whether a reading is of the session before the one that opened last, or of the time since."""
    opened = sorted(one.open_at for one in state.sessions if one.open_at <= at)
    return len(opened) > 1 and before >= opened[-2]


# ── orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def after_move(state: State, fact: m.OrderMoved, former: OrderState, event: m.Event) -> Followed:
    """An order has ended: one more rejection in a row, or fills to be held against the price it was decided at."""
    order = state.orders[fact.intent]
    if fact.state is former or fact.state not in TERMINAL:
        return
    if order.was_rejected and order.purpose is not Purpose.STOP:
        count = Decimal(_rejected_in_a_row(state))
        yield from judge(state, RULE["rejections"], state.account, count, event.at)
    elif order.filled and _has_slippage(order):
        yield from _slipped(state, order, event.at)


def _rejected_in_a_row(state: State) -> int:
    """Rejections since the broker last took, filled or cancelled an order, and since a person has last looked.

    Stops that are refused are a matter of their instrument: no reason to keep the others' exits from leaving.
    """
    looked = state.lifted.get((Level.ACCOUNT, state.account, "rejections"))
    since = takewhile(lambda one: looked is None or one.created_at > looked.at, reversed(state.orders.values()))
    orders = [one for one in since if one.purpose is not Purpose.STOP]
    taken = [one.moved_at for one in orders if not one.was_rejected and one.perm_ids and one.moved_at]
    last = max(taken, default=None)
    rejected = (one.moved_at for one in orders if one.was_rejected)
    return sum(1 for at in rejected if at is not None and (last is None or at > last))


def _has_slippage(order: Order) -> bool:
    """What rests is decided at no price; what was concluded from a position has none of its own."""
    known = order.state is not OrderState.INFERRED and order.average_price > 0
    return known and not order.rests and _decided_at(order) > 0


def _decided_at(order: Order) -> Decimal:
    """What a stop entry is triggered at, and else the price at the decision."""
    return order.stop_price or order.decision_price


def _slipped(state: State, order: Order, at: datetime) -> Followed:
    paid = (order.average_price / _decided_at(order) - 1) * order.side.sign * BPS
    yield from judge(state, RULE["order_slippage"], order.symbol, paid, at, order.con_id)
    orders = list(_of_the_session(state, at))
    yield from _weighed(state, "session_slippage", state.account, [(one, Decimal(1)) for one in orders], at)
    for strategy in shares_of(order):
        parts = [(one, shares_of(one).get(strategy, ZERO)) for one in orders]
        yield from _weighed(state, "strategy_slippage", strategy, parts, at)


def _weighed(state: State, limit: str, name: str, parts: list[tuple[Order, Decimal]], at: datetime) -> Followed:
    """Slippage of the session's orders together, each by its value at the price it was decided at."""
    rule = RULE[limit]
    looked = state.lifted.get((rule.level, name, rule.name))
    counted = [(one, share) for one, share in parts if share and (looked is None or one.created_at > looked.at)]
    value = sum((one.filled * _decided_at(one) * share for one, share in counted), ZERO)
    paid = sum(
        ((one.average_price - _decided_at(one)) * one.side.sign * one.filled * share for one, share in counted), ZERO
    )
    if value > 0:
        yield from judge(state, rule, name, paid / value * BPS, at)


def _of_the_session(state: State, at: datetime) -> Iterator[Order]:
    """Orders with fills that were decided since the last open."""
    opened = max((one.open_at for one in state.sessions if one.open_at <= at), default=None)
    for order in reversed(state.orders.values()):
        if opened is None or order.created_at < opened:
            return
        if order.filled and _has_slippage(order):
            yield order


# ── setting and lifting ─────────────────────────────────────────────────────────────────────────────────────────────


def judge(state: State, rule: Rule, name: str, observed: Decimal, at: datetime, con_id: int | None = None) -> Followed:
    """Set the hold when the limit is reached, tell a person, and cancel what it would not let leave."""
    limit: Decimal | int | None = getattr(state.settings.holds, rule.limit)
    if limit is None or not reaches(state, rule, name, observed):
        return
    hold = m.HoldSet(
        level=rule.level,
        name=name,
        rule=rule.name,
        grade=getattr(state.settings.holds, f"{rule.name}_sets"),
        observed=observed,
        limit=Decimal(limit),
        since=at,
        until=_until(state, rule, at),
        con_id=con_id,
    )
    yield hold
    yield m.RaiseAlert(key="hold", text=told(hold), severity="critical")
    yield from _withdrawn(state, hold)


def judge_anew(
    state: State, rule: Rule, name: str, observed: Decimal, at: datetime, con_id: int | None = None
) -> Followed:
    """As `judge`; a hold set while the session was open lasts as long as one set now, if the loss still stands."""
    known, limit = state.holds.get((rule.level, name, rule.name)), getattr(state.settings.holds, rule.limit)
    if known is None:
        yield from judge(state, rule, name, observed, at, con_id)
        return
    until = _until(state, rule, at)
    if limit is not None and observed >= limit and until and known.until and until > known.until:
        longer = changed(known, observed=observed, limit=Decimal(limit), until=until)
        yield longer
        yield m.RaiseAlert(key="hold", text=told(longer), severity="critical")


def reaches(state: State, rule: Rule, name: str, observed: Decimal) -> bool:
    """Whether this would set a hold: its limit is reached, and it is not on yet."""
    limit: Decimal | int | None = getattr(state.settings.holds, rule.limit)
    return limit is not None and observed >= limit and (rule.level, name, rule.name) not in state.holds


def _until(state: State, rule: Rule, at: datetime) -> datetime | None:
    """The next session's open; where none is open now, the one after it: a hold of the evening is about the morning."""
    if not rule.of_a_session or state.settings.holds.until != NEXT_SESSION:
        return None
    coming = sorted(one.open_at for one in state.sessions if one.open_at > at)
    passed = 0 if any(one.is_open(at) for one in state.sessions) else 1
    return coming[passed] if len(coming) > passed else None


def _withdrawn(state: State, hold: m.HoldSet) -> Followed:
    """Cancels of what works under a hold and would not leave under it; a flatten's orders close, so they stay."""
    for order in list(state.live_orders()):
        about = {
            Level.ACCOUNT: True,
            Level.INSTRUMENT: order.con_id == hold.con_id,
            Level.STRATEGY: hold.name in strategies_in(state, order.con_id, order.allocations),
        }[hold.level]
        is_let = hold.grade is Grade.REDUCING or state.is_on(m.Verb.FLATTEN)
        closes = order.purpose is not Purpose.ENTRY and is_let
        if about and not closes and order.purpose is not Purpose.STOP and not order.cancel_asked:
            yield m.OrderCancelAsked(intent=order.intent, reason=f"{hold.rule} limit")
            yield from cancels(state, order)


def lapsed(state: State, at: datetime) -> Followed:
    """The holds whose own rule ends them by now."""
    for hold in list(state.holds.values()):
        if hold.until is not None and hold.until <= at:
            yield _lifted(hold, "the next session has begun", at)


def resumed(state: State, name: str, by: str, at: datetime) -> Followed:
    """A person's word: holds on `name`, the account's without one, all with `all`; what is measured begins anew."""
    level, of = meant(name)
    for hold in list(state.holds.values()):
        is_named = hold.name == of and level in (None, hold.level)
        if not (name == "all" or is_named or (not name and hold.level is Level.ACCOUNT)):
            continue
        yield _lifted(hold, by, at)
        mark = state.marks.get((hold.level, hold.name))
        if mark is not None and hold.rule in LOSSES:
            now = mark.value
            if hold.level is Level.ACCOUNT:
                now = _last_value(state, mark)
            start, peak = (now, mark.peak) if hold.rule in OF_THE_DAY else (mark.start, now)
            yield m.EquityMarked(
                level=hold.level, name=hold.name, session=mark.session, start=start, peak=peak, value=now, at=at
            )


def _lifted(hold: m.HoldSet, because: str, at: datetime) -> m.HoldLifted:
    return m.HoldLifted(level=hold.level, name=hold.name, rule=hold.rule, because=because, at=at)

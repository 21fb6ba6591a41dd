"""The state of the daemon and `evolve`, the fold of facts into it; recovery is this fold over the journal, no more.

The state has one owner, the engine's loop (or a backtest), which folds each fact as `decide` yields it. `evolve` never
decides: it copies what a fact says to where it belongs, so an old journal means the same under new code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast

from longwatch.domain import course
from longwatch.domain import messages as m
from longwatch.domain.course import Booked
from longwatch.domain.instruments import Instrument
from longwatch.domain.levels import Level
from longwatch.domain.orders import TERMINAL, Evidence, Order, OrderState, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.sessions import Session
from longwatch.domain.settings import TradeSettings
from longwatch.domain.working import AtWork, at_work, comes_to_the_same
from longwatch.quick import changed, quick

ZERO = Decimal(0)
MINUTE = timedelta(minutes=1)
BILLIONTH = Decimal("1E-9")
DONE_KEPT = timedelta(days=1)
"""Runs stay known as done for so long past their validity, which a new configuration may have made longer."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A booked execution; `quantity` signed. `intent` None: somebody else's."""

    exec_id: str
    intent: int | None
    con_id: int
    symbol: str
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    tech: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What the broker's figures of a position were before its shares last changed, at market time `at`."""

    quantity: Decimal
    average_cost: Decimal | None
    at: datetime | None


@dataclass(slots=True, kw_only=True)
class State:
    """All that the daemon knows and has decided; every field is explained by the fact that sets it.

    `live` are the orders that may still fill, `unknown` those of them whose outcome is, `silent` those whose
    modification is not answered, nor the question behind it, `at_work`: con_id -> what its live ones come to,
    `made_in`: con_id -> all there ever were; `put_order` keeps these, and an order stays with its
    instrument. `oca_groups`: name -> the intents of its orders. `last_stops`: con_id -> the intent of its latest
    protective stop. `unprotected_seconds`: notional times seconds, all told.
    `paid`: what the executions told, and their commissions, have taken of the cash.
    `rebased`: symbol -> how its kept prices were last found to stand to those fetched, as of a session.
    `ranged`: symbol -> the last session as of which its average true range was known, whether it still is or not.
    `foreign_seen`: con_id -> `next_intent` when an order of somebody else's was last heard of. `jobs_done`: run id of a
    finished job -> when that run ceases to be valid; kept for a day longer. `sends`: technical times of the orders and
    modifications sent in the last minute. `lifted`: the last end of each hold there was. `parts`: (strategy, con_id) ->
    what its parts of our orders have come to; `part_costs` their commissions. `unclaimed`: permId of nobody we know ->
    its executions. `course`: number -> one of the latest changes of our holdings and of the parts, in order; `changes`:
    how many there ever were, and the number of the last.
    `left_levels`: con_id -> where the stops lay of closed holdings, each with the number of the last change by then.
    `sec_types`: con_id -> what kind of contract the account's is, of those that it was told of.
    `returned`: con_id -> the signed shares that the account had too many before it came back to the book, and when.
    """

    journal_id: str = ""
    account: str = ""
    mode: str = ""
    client_id: int = 0
    runs: int = 0
    settings: TradeSettings = field(default_factory=TradeSettings)
    settings_sha256: str = ""
    sessions: tuple[Session, ...] = ()
    instruments: dict[str, Instrument] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    link: m.Link = m.Link.DISCONNECTED
    link_since: datetime | None = None
    link_reason: str = ""
    epoch: int = 0
    next_id: int = 1
    backend_up: bool = True
    backend_since: datetime | None = None
    backend_told: int = 0
    farms: dict[str, m.FarmMoved] = field(default_factory=dict)
    clock: m.ClockChecked | None = None
    valued: m.AccountValued | None = None
    snapshot_failed: m.SnapshotFailed | None = None
    compared: m.BookCompared | None = None
    account_positions: dict[int, tuple[str, Decimal]] = field(default_factory=dict)
    account_costs: dict[int, Decimal] = field(default_factory=dict)
    sec_types: dict[int, str] = field(default_factory=dict)
    moved: dict[int, Moved] = field(default_factory=dict)
    rebased: dict[str, tuple[Decimal, date]] = field(default_factory=dict)
    ranged: dict[str, date] = field(default_factory=dict)
    splits: dict[int, tuple[m.SplitBooked, ...]] = field(default_factory=dict)
    returned: dict[int, tuple[Decimal, datetime]] = field(default_factory=dict)
    outside: dict[int, tuple[str, Decimal]] = field(default_factory=dict)
    book: dict[int, Holding] = field(default_factory=dict)
    course: dict[int, Booked] = field(default_factory=dict)
    changes: int = 0
    orders: dict[int, Order] = field(default_factory=dict)
    live: dict[int, None] = field(default_factory=dict)
    unknown: dict[int, None] = field(default_factory=dict)
    silent: dict[int, None] = field(default_factory=dict)
    at_work: dict[int, AtWork] = field(default_factory=dict)
    made_in: dict[int, tuple[int, ...]] = field(default_factory=dict)
    what_ifs: dict[int, m.WhatIfAsked] = field(default_factory=dict)
    sends: tuple[datetime, ...] = ()
    resolved: dict[int, m.OrderResolved] = field(default_factory=dict)
    next_intent: int = 1
    by_perm_id: dict[int, int] = field(default_factory=dict)
    by_order_id: dict[tuple[int, int], int] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    commissions: dict[str, Decimal] = field(default_factory=dict)
    paid: Decimal = ZERO
    unclaimed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    foreign_orders: dict[int, m.ForeignOrderSet] = field(default_factory=dict)
    foreign_seen: dict[int, int] = field(default_factory=dict)
    quarantines: dict[int, m.QuarantineSet] = field(default_factory=dict)
    breakers: dict[tuple[int, Purpose, str], m.BreakerSet] = field(default_factory=dict)
    oca_groups: dict[str, tuple[int, ...]] = field(default_factory=dict)
    last_stops: dict[int, int] = field(default_factory=dict)
    stop_levels: dict[int, m.StopLevelSet] = field(default_factory=dict)
    left_levels: dict[int, tuple[tuple[m.StopLevelSet, int], ...]] = field(default_factory=dict)
    unprotected: dict[int, m.ProtectionSet] = field(default_factory=dict)
    surpluses: dict[int, m.SurplusSet] = field(default_factory=dict)
    unprotected_seconds: Decimal = ZERO
    holds: dict[tuple[Level, str, str], m.HoldSet] = field(default_factory=dict)
    lifted: dict[tuple[Level, str, str], m.HoldLifted] = field(default_factory=dict)
    marks: dict[tuple[Level, str], m.EquityMarked] = field(default_factory=dict)
    awaited_flow: m.FlowBooked | None = None
    noticed_flow: m.FlowBooked | None = None
    parts: dict[tuple[str, int], Holding] = field(default_factory=dict)
    part_costs: dict[str, Decimal] = field(default_factory=dict)
    verbs: dict[m.Verb, m.VerbSet] = field(default_factory=dict)
    judged_session: date | None = None
    judged: dict[str, m.SeriesJudged] = field(default_factory=dict)
    targets: dict[str, m.TargetsSet] = field(default_factory=dict)
    faults: dict[str, m.StrategyFaulted] = field(default_factory=dict)
    equity: m.EquitySet | None = None
    rebalance: m.RebalanceDecided | None = None
    jobs: dict[str, m.JobNoted] = field(default_factory=dict)
    jobs_done: dict[str, datetime] = field(default_factory=dict)
    activity: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def live_orders(self) -> Iterator[Order]:
        """Orders that may still fill, oldest first."""
        return (self.orders[intent] for intent in self.live)

    def live_in(self, con_id: int) -> list[Order]:
        """Orders of one instrument that may still fill."""
        at_work = self.at_work.get(con_id)
        return [] if at_work is None else [self.orders[intent] for intent in at_work.intents]

    def besides(self, order: Order) -> State:
        """The same state, but for one order, which is not live there, nor is the stop that leaves with it."""
        live, unknown, silent = self.live.copy(), self.unknown.copy(), self.silent.copy()
        other = replace(self, live=live, unknown=unknown, silent=silent, at_work=self.at_work.copy())
        attached = [one for one in self.live_in(order.con_id) if one.attached_to == order.intent]
        for one in (order, *attached):
            _no_longer_live(other, one)
        return other

    def held(self, con_id: int) -> Decimal:
        """Our signed shares of an instrument."""
        holding = self.book.get(con_id)
        return holding.quantity if holding else ZERO

    def is_on(self, verb: m.Verb) -> bool:
        """Whether a verb holds."""
        return verb in self.verbs


def evolve(state: State, fact: m.Fact) -> None:
    """Fold one fact into the state."""
    _FOLDS[type(fact)](state, fact)


def is_fact(item: m.Fact | m.Effect) -> bool:
    """Whether what `decide` yielded is to be folded (and journalled) rather than performed."""
    return type(item) in _FOLDS


def fingerprint(state: State) -> str:
    """SHA-256 over every field in a canonical form: equal states have equal fingerprints, in any process."""
    digest = hashlib.sha256()
    for spec in fields(state):
        digest.update(f"{spec.name}={canonical(getattr(state, spec.name))}\n".encode())
    return digest.hexdigest()


def canonical(value: Any) -> str:
    """One text for one value, independent of hash seeds and insertion order."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{canonical(k)}:{canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if is_dataclass(value) and not isinstance(value, type):
        inner = ",".join(f"{spec.name}={canonical(getattr(value, spec.name))}" for spec in fields(value))
        return f"{type(value).__name__}({inner})"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return repr(value)


def put_order(state: State, order: Order) -> None:
    """Replace an order and keep the indexes true."""
    intent, con_id, orders = order.intent, order.con_id, state.orders
    former = orders.get(intent)
    if former is None:
        state.made_in[con_id] = (*state.made_in.get(con_id, ()), intent)
    orders[intent] = order
    if order.state in TERMINAL:
        if intent in state.live:
            _no_longer_live(state, order)
        return
    work = state.at_work.get(con_id)
    intents = work.intents if work is not None else ()
    if intent not in intents:
        state.live[intent] = None
        state.at_work[con_id] = at_work([orders[one] for one in (*intents, intent)])
    elif former is None or not comes_to_the_same(former, order):
        state.at_work[con_id] = at_work([orders[one] for one in intents])
    if order.state is OrderState.UNKNOWN:
        state.unknown[intent] = None
    else:
        state.unknown.pop(intent, None)
    if order.change is not None and order.change.is_silent:
        state.silent[intent] = None
    else:
        state.silent.pop(intent, None)


def _no_longer_live(state: State, order: Order) -> None:
    state.live.pop(order.intent, None)
    state.unknown.pop(order.intent, None)
    state.silent.pop(order.intent, None)
    left = [one for one in state.live_in(order.con_id) if one.intent != order.intent]
    if left:
        state.at_work[order.con_id] = at_work(left)
    else:
        state.at_work.pop(order.con_id, None)


def shares_of(order: Order) -> dict[str, Decimal]:
    """Each strategy's share of an order, together 1; none where no strategy asked for it."""
    whole = sum((part.quantity for part in order.allocations), ZERO)
    return {part.strategy: part.quantity / whole for part in order.allocations if part.quantity} if whole else {}


def _moves(order: Order, shares: Decimal) -> course.Moves | None:
    """Shares of an order as they come to its strategies' parts; None where none asked for it, as for a stop."""
    return tuple(_among(order, shares)) if order.allocations else None


def _parts_of(state: State, con_id: int) -> course.Parts:
    return tuple((name, part) for (name, at), part in state.parts.items() if at == con_id)


def _set_parts(state: State, con_id: int) -> None:
    """As the course has them: a strategy whose part has never been, its fills taken back, has none."""
    parts = dict(course.parts_of(state.course, con_id))
    for name, _ in _parts_of(state, con_id):
        if name not in parts:
            del state.parts[(name, con_id)]
    for name, part in parts.items():
        state.parts[(name, con_id)] = part


def _among(order: Order, amount: Decimal) -> Iterator[tuple[str, Decimal]]:
    """An amount among an order's strategies, to a billionth; the last has the rest."""
    left, shares = amount, shares_of(order)
    whole = sum((part.quantity for part in order.allocations), ZERO)
    parts = [part for part in order.allocations if part.strategy in shares]
    for behind, part in enumerate(parts, 1 - len(parts)):
        mine = (amount * part.quantity / whole).quantize(BILLIONTH) if behind else left
        yield part.strategy, mine
        left -= mine


def _count(state: State, name: str) -> None:
    state.counts[name] = state.counts.get(name, 0) + 1


def _run_opened(state: State, fact: m.RunOpened) -> None:
    state.journal_id, state.account, state.mode = fact.journal_id, fact.account, fact.mode
    state.client_id, state.runs = fact.client_id, state.runs + 1


def _config_applied(state: State, fact: m.ConfigApplied) -> None:
    state.settings, state.settings_sha256 = fact.settings, fact.sha256


def _sessions_known(state: State, fact: m.SessionsKnown) -> None:
    state.sessions = fact.sessions


def _instrument_known(state: State, fact: m.InstrumentKnown) -> None:
    state.instruments[fact.instrument.symbol] = fact.instrument
    state.missing.pop(fact.instrument.symbol, None)


def _instrument_missing(state: State, fact: m.InstrumentMissing) -> None:
    state.missing[fact.symbol] = fact.reason


def _link_moved(state: State, fact: m.LinkMoved) -> None:
    state.link, state.link_reason, state.link_since = fact.link, fact.reason, fact.tech


def _ids_reserved(state: State, fact: m.IdsReserved) -> None:
    state.next_id, state.epoch = fact.first + fact.count, fact.epoch
    if fact.anew:
        state.by_order_id.clear()
        for order in list(state.live_orders()):
            if order.absence is not None and not order.absence.answered:
                put_order(state, changed(order, absence=changed(order.absence, asked_as=None)))
        for order in [state.orders[intent] for intent in state.silent]:
            if order.change is not None:
                put_order(state, changed(order, change=changed(order.change, asked_as=0)))


def _backend_moved(state: State, fact: m.BackendMoved) -> None:
    state.backend_up, state.backend_since, state.backend_told = fact.up, fact.tech, fact.told


def _farm_moved(state: State, fact: m.FarmMoved) -> None:
    state.farms[fact.farm] = fact


def _clock_checked(state: State, fact: m.ClockChecked) -> None:
    state.clock = fact


def _account_valued(state: State, fact: m.AccountValued) -> None:
    state.valued = fact


def _account_position_set(state: State, fact: m.AccountPositionSet) -> None:
    former = state.account_positions.get(fact.con_id, ("", ZERO))[1]
    if fact.quantity != former:
        cost = state.account_costs.get(fact.con_id)
        state.moved[fact.con_id] = Moved(quantity=former, average_cost=cost, at=fact.at)
        state.activity += 1
    if fact.sec_type:
        state.sec_types[fact.con_id] = fact.sec_type
    if fact.quantity:
        state.account_positions[fact.con_id] = (fact.symbol, fact.quantity)
    else:
        state.account_positions.pop(fact.con_id, None)
    if fact.average_cost is not None and fact.quantity:
        state.account_costs[fact.con_id] = fact.average_cost
    else:
        state.account_costs.pop(fact.con_id, None)


def _outside_set(state: State, fact: m.OutsideSet) -> None:
    if fact.quantity:
        state.outside[fact.con_id] = (fact.symbol, fact.quantity)
    else:
        state.outside.pop(fact.con_id, None)
    state.activity += 1


def _holding_adopted(state: State, fact: m.HoldingAdopted) -> None:
    moves = course.AWAY if fact.off_parts else ()
    _hold(state, fact.con_id, fact.symbol, "", fact.quantity, fact.average_cost, None, moves)
    state.activity += 1


def _split_booked(state: State, fact: m.SplitBooked) -> None:
    """Fills keep the figures they were told with: `_in_todays_shares` reads them; so do orders, which have ended."""
    holding = state.book.get(fact.con_id) or Holding(con_id=fact.con_id, symbol=fact.symbol)
    state.book[fact.con_id] = changed(holding, quantity=fact.book, average_cost=fact.average_cost)
    if not course.split(state.course, fact.con_id, fact.new, fact.old, fact.book):
        state.left_levels.pop(fact.con_id, None)
    for key, part in state.parts.items():
        if key[1] == fact.con_id:
            state.parts[key] = course.after_split(part, fact.new, fact.old)
    if fact.outside:
        state.outside[fact.con_id] = (fact.symbol, fact.outside)
    else:
        state.outside.pop(fact.con_id, None)
    if state.equity is not None and fact.sizing_price is not None:
        prices = dict(state.equity.prices) | {fact.symbol: fact.sizing_price}
        state.equity = changed(state.equity, prices=tuple(prices.items()))
    state.splits[fact.con_id] = (*state.splits.get(fact.con_id, ()), fact)
    state.rebased.pop(fact.symbol, None)
    state.activity += 1


def _in_todays_shares(
    state: State, con_id: int, signed: Decimal, price: Decimal, at: datetime
) -> tuple[Decimal, Decimal]:
    """Shares and price of an execution of before a split, as they count since."""
    for split in state.splits.get(con_id, ()):
        if at < split.at:
            signed, price = signed * split.new / split.old, price * split.old / split.new
    return signed, price


def _foreign_order_set(state: State, fact: m.ForeignOrderSet) -> None:
    state.foreign_seen[fact.con_id] = state.next_intent
    if fact.remaining:
        state.foreign_orders[fact.perm_id] = fact
    else:
        state.foreign_orders.pop(fact.perm_id, None)


def _snapshot_failed(state: State, fact: m.SnapshotFailed) -> None:
    state.snapshot_failed = fact


def _book_compared(state: State, fact: m.BookCompared) -> None:
    apart = {row.con_id for row in fact.differences}
    for row in state.compared.differences if state.compared is not None else ():
        # Where the account stayed and the book moved, what was missing has been told.
        if row.con_id not in apart and state.account_positions.get(row.con_id, ("", ZERO))[1] != row.account:
            state.returned[row.con_id] = row.missing, fact.tech
    state.compared, state.snapshot_failed = fact, None


def _quarantine_set(state: State, fact: m.QuarantineSet) -> None:
    state.quarantines[fact.con_id] = fact


def _quarantine_lifted(state: State, fact: m.QuarantineLifted) -> None:
    state.quarantines.pop(fact.con_id, None)
    if any(order.reported > order.told for order in state.live_in(fact.con_id)):
        # Somebody has looked, or it came back in one piece.
        state.returned.pop(fact.con_id, None)


def _breaker_set(state: State, fact: m.BreakerSet) -> None:
    state.breakers[(fact.con_id, fact.purpose, fact.reason)] = fact


def _breaker_lifted(state: State, fact: m.BreakerLifted) -> None:
    state.breakers.pop((fact.con_id, fact.purpose, fact.reason), None)


def _hold_set(state: State, fact: m.HoldSet) -> None:
    state.holds[(fact.level, fact.name, fact.rule)] = fact


def _hold_lifted(state: State, fact: m.HoldLifted) -> None:
    key = (fact.level, fact.name, fact.rule)
    state.holds.pop(key, None)
    state.lifted[key] = fact


def _equity_marked(state: State, fact: m.EquityMarked) -> None:
    state.marks[(fact.level, fact.name)] = fact


def _flow_booked(state: State, fact: m.FlowBooked) -> None:
    """What is measured from changes in proportion to the money: a loss in per cent stays what it was."""
    state.awaited_flow = fact if fact.awaited else (None if fact.shown else state.awaited_flow)
    state.noticed_flow = fact if fact.noticed else state.noticed_flow
    key = (Level.ACCOUNT, state.account)
    mark = state.marks.get(key)
    if mark is None or fact.shown:
        return
    if fact.equity is None:
        state.marks[key] = changed(mark, start=mark.start + fact.amount, peak=mark.peak + fact.amount)
    elif fact.equity > 0 and fact.equity + fact.amount > 0:
        after = fact.equity + fact.amount
        state.marks[key] = changed(mark, start=mark.start * after / fact.equity, peak=mark.peak * after / fact.equity)


def _parts_crossed(state: State, fact: m.PartsCrossed) -> None:
    _change(state, fact.con_id, fact.symbol, "", ZERO, fact.price, None, fact.moves)


def _verb_set(state: State, fact: m.VerbSet) -> None:
    if fact.on:
        state.verbs[fact.verb] = fact
    else:
        state.verbs.pop(fact.verb, None)


def _data_judged(state: State, fact: m.DataJudged) -> None:
    state.judged_session = fact.session
    state.judged = {row.symbol: row for row in fact.judged}
    state.rebased |= {row.symbol: (row.rebased, fact.session) for row in fact.judged if row.rebased is not None}
    state.ranged |= {row.symbol: fact.session for row in fact.judged if row.atr is not None}


def _targets_set(state: State, fact: m.TargetsSet) -> None:
    state.targets[fact.strategy] = fact
    state.faults.pop(fact.strategy, None)


def _strategy_faulted(state: State, fact: m.StrategyFaulted) -> None:
    state.faults[fact.strategy] = fact


def _equity_set(state: State, fact: m.EquitySet) -> None:
    state.equity = fact


def _rebalance_decided(state: State, fact: m.RebalanceDecided) -> None:
    state.rebalance = fact


def _target_sized(state: State, fact: m.TargetSized) -> None:
    _count(state, "sized")


def _trade_clamped(state: State, fact: m.TradeClamped) -> None:
    _count(state, f"clamped:{fact.check}")


def _trade_refused(state: State, fact: m.TradeRefused) -> None:
    _count(state, f"refused:{fact.check}")


def _intents_taken(state: State, fact: m.IntentsTaken) -> None:
    state.next_intent = max(state.next_intent, fact.up_to + 1)


def _order_intended(state: State, fact: m.OrderIntended) -> None:
    put_order(state, fact.order)
    state.next_intent = fact.order.intent + 1
    if fact.order.oca_group:
        members = state.oca_groups.get(fact.order.oca_group, ())
        state.oca_groups[fact.order.oca_group] = (*members, fact.order.intent)
    if fact.order.purpose is Purpose.STOP:
        state.last_stops[fact.order.con_id] = fact.order.intent


def _sent(state: State, order: Order, at: datetime) -> None:
    """A protective stop follows from fills, and is never held up by what else was sent."""
    if order.purpose is Purpose.STOP:
        return
    state.sends = (*(one for one in state.sends if at - one < MINUTE), at)


def _what_if_asked(state: State, fact: m.WhatIfAsked) -> None:
    state.what_ifs[fact.intent] = fact
    state.next_id = max(state.next_id, fact.order_id + 1)


def _margin_told(state: State, fact: m.MarginTold) -> None:
    _count(state, "margin:estimated" if fact.is_estimate else "margin:told")
    if fact.commission is not None:
        put_order(state, changed(state.orders[fact.intent], commission_told=fact.commission))


def _delayed_data_used(state: State, fact: m.DelayedDataUsed) -> None:
    _count(state, f"delayed_data:{fact.symbol}")


def _order_sending(state: State, fact: m.OrderSending) -> None:
    order = changed(
        state.orders[fact.intent],
        state=OrderState.SENDING,
        order_id=fact.order_id,
        client_id=fact.client_id,
        epoch=fact.epoch,
        sent_at=fact.sent_at,
        deadline=fact.deadline,
    )
    put_order(state, order)
    _sent(state, order, fact.sent_at)
    state.what_ifs.pop(fact.intent, None)
    state.by_order_id[(fact.client_id, fact.order_id)] = fact.intent
    state.next_id = max(state.next_id, fact.order_id + 1)
    state.activity += 1


def _order_moved(state: State, fact: m.OrderMoved) -> None:
    order = state.orders[fact.intent]
    asked = state.what_ifs.pop(fact.intent, None)
    if asked is not None and fact.evidence is Evidence.QUESTION_REJECTED:
        _sent(state, order, asked.asked_at)
    if fact.state is not order.state:
        state.activity += 1
        _count(state, f"order:{fact.state.value}")
    put_order(
        state,
        changed(
            order,
            state=fact.state,
            evidence=fact.evidence.value,
            proof=fact.proof or order.proof,
            text=fact.text or order.text,
            deadline=fact.deadline,
            reported=fact.reported,
            ending=fact.ending,
            moved_at=fact.tech,
            handed=order.handed or fact.evidence is Evidence.HANDED,
            absence=order.absence if fact.state is OrderState.UNKNOWN else None,
            change=None if fact.state in TERMINAL else order.change,
        ),
    )


def _order_resolved(state: State, fact: m.OrderResolved) -> None:
    state.resolved[fact.intent] = fact


def _resolution_contradicted(state: State, fact: m.ResolutionContradicted) -> None:
    state.resolved.pop(fact.intent, None)
    put_order(state, changed(state.orders[fact.intent], state=OrderState.UNKNOWN, text=fact.says, ending=None))
    state.activity += 1


def _order_identified(state: State, fact: m.OrderIdentified) -> None:
    order = state.orders[fact.intent]
    if fact.perm_id not in order.perm_ids:
        order = changed(order, perm_ids=(*order.perm_ids, fact.perm_id))
    if order.order_id is None and fact.order_id > 0:
        order = changed(order, client_id=fact.client_id, order_id=fact.order_id)
    put_order(state, order)
    state.by_perm_id[fact.perm_id] = fact.intent
    if fact.order_id > 0:
        state.by_order_id.setdefault((fact.client_id, fact.order_id), fact.intent)


def _order_cancel_asked(state: State, fact: m.OrderCancelAsked) -> None:
    put_order(state, changed(state.orders[fact.intent], cancel_asked=True, cancel_reason=fact.reason))


def _order_change_asked(state: State, fact: m.OrderChangeAsked) -> None:
    order, change = state.orders[fact.intent], fact.change
    put_order(state, changed(order, change=change, changed=change.number, changed_at=change.asked_at))
    if not order.rests:
        _sent(state, order, change.asked_at)


def _order_change_awaited(state: State, fact: m.OrderChangeAwaited) -> None:
    order = state.orders[fact.intent]
    if order.change is not None:
        change = changed(order.change, handed=fact.handed, deadline=fact.deadline)
        if fact.asked_as is not None:
            change = changed(change, asked_as=fact.asked_as)
            state.next_id = max(state.next_id, fact.asked_as + 1)
        if fact.answered_at is not None:
            change = changed(change, answered_at=fact.answered_at)
        put_order(state, changed(order, change=change))


def _order_terms_set(state: State, fact: m.OrderTermsSet) -> None:
    former = state.orders[fact.intent]
    order = changed(
        former,
        quantity=fact.quantity,
        limit_price=fact.limit_price,
        stop_price=fact.stop_price,
        change=fact.change,
    )
    if former.change is not None and fact.change is None and order.terms != former.change.terms:
        order = changed(order, vain=former.change)
    price, asked = fact.limit_price, former.change.limit_price if former.change is not None else None
    if former.purpose is Purpose.PROFIT and price is not None and former.limit_price != price == asked:
        # Where we want it is known apart from where it lies: somebody else may move it.
        order = changed(order, decision_price=price)
    put_order(state, order)


def _absence_noted(state: State, fact: m.AbsenceNoted) -> None:
    order = state.orders[fact.intent]
    put_order(state, changed(order, absence=fact.absence, probed=order.probed or fact.absence.cancel_sent))
    if fact.absence.asked_as is not None:
        state.next_id = max(state.next_id, fact.absence.asked_as + 1)


def _stop_level_set(state: State, fact: m.StopLevelSet) -> None:
    former = state.stop_levels.get(fact.con_id)
    if former is not None and state.held(fact.con_id) * (1 if former.is_long else -1) <= 0:
        known = (one for one in state.left_levels.get(fact.con_id, ()) if one[1] in state.course)
        state.left_levels[fact.con_id] = (*known, (former, next(reversed(state.course), 0)))
    if fact.level is None:
        state.stop_levels.pop(fact.con_id, None)
    else:
        state.stop_levels[fact.con_id] = fact


def _protection_set(state: State, fact: m.ProtectionSet) -> None:
    state.unprotected_seconds += fact.accrued
    if fact.unprotected:
        state.unprotected[fact.con_id] = fact
    else:
        state.unprotected.pop(fact.con_id, None)


def _surplus_set(state: State, fact: m.SurplusSet) -> None:
    if fact.shares:
        state.surpluses[fact.con_id] = fact
    else:
        state.surpluses.pop(fact.con_id, None)


def _fill_booked(state: State, fact: m.FillBooked) -> None:
    is_in_place = fact.replaces is not None and _unbook(state, fact.replaces, fact)
    signed = fact.quantity * fact.side.sign
    state.paid += signed * fact.price
    fill = Fill(
        exec_id=fact.exec_id,
        intent=fact.intent,
        con_id=fact.con_id,
        symbol=fact.symbol,
        quantity=signed,
        price=fact.price,
        executed_at=fact.executed_at,
        tech=fact.tech,
    )
    state.fills[fact.exec_id] = fill
    _fill_order(state, fill, signed)
    if fact.intent is not None and not is_in_place:
        shares, price = _in_todays_shares(state, fact.con_id, signed, fact.price, fact.executed_at)
        moves = _moves(state.orders[fact.intent], shares)
        _hold(state, fact.con_id, fact.symbol, fact.exec_id, shares, price, fact.tech, moves, fact.after)
    if fact.intent is not None and fact.taken_back:
        order = state.orders[fact.intent]
        put_order(state, changed(order, taken_back=order.taken_back + fact.taken_back))
    if fact.intent is not None and fact.exec_id in state.commissions:
        _charge(state, fact.intent, state.commissions[fact.exec_id])
    if fact.intent is None and fact.perm_id:
        state.unclaimed[fact.perm_id] = (*state.unclaimed.get(fact.perm_id, ()), fact.exec_id)
    elif fact.perm_id:
        state.unclaimed.pop(fact.perm_id, None)
    state.activity += 1


def _unbook(state: State, exec_id: str, fact: m.FillBooked) -> bool:
    """A corrected execution leaves the book; its commission stands for the successor until that has its own.

    One that was taken back has no successor, and no commission. Returns whether the fact has its place in the holding
    already.
    """
    former = state.fills.pop(exec_id, None)
    if former is None:
        return False
    state.paid -= former.quantity * former.price
    _fill_order(state, former, -former.quantity)
    is_in_place = fact.recounted and _recount(state, former, fact)
    if former.intent is not None and not is_in_place:
        shares, price = _in_todays_shares(state, former.con_id, -former.quantity, former.price, former.executed_at)
        moves = _moves(state.orders[former.intent], shares)
        if moves is None and fact.recounted:
            moves = tuple(course.by_size(_parts_of(state, former.con_id), shares, 1))
        _hold(state, former.con_id, former.symbol, "", shares, price, fact.tech, moves)
    commission = state.commissions.pop(exec_id, None)
    if commission is not None:
        state.paid -= commission
        if fact.quantity and fact.exec_id not in state.commissions:
            state.commissions[fact.exec_id] = commission
            state.paid += commission
        if former.intent is not None:
            _charge(state, former.intent, -commission)
    return is_in_place


def _recount(state: State, former: Fill, fact: m.FillBooked) -> bool:
    """Holding and parts had it never been, its successor in its place; False where it is not kept any more."""
    if former.intent is None or former.con_id != fact.con_id:
        return False
    signed = fact.quantity * fact.side.sign if fact.intent is not None else ZERO
    shares, price = _in_todays_shares(state, fact.con_id, signed, fact.price, fact.executed_at)
    moves = _moves(state.orders[fact.intent], shares) if fact.intent is not None else ()
    holding = course.revised(state.course, fact.con_id, former.exec_id, fact.exec_id, shares, price, moves)
    if holding is not None:
        state.book[fact.con_id] = holding
        _set_parts(state, fact.con_id)
    return holding is not None


def _hold(
    state: State,
    con_id: int,
    symbol: str,
    exec_id: str,
    shares: Decimal,
    price: Decimal,
    tech: datetime | None,
    moves: course.Whose,
    after: str | None = None,
) -> None:
    state.book[con_id] = _change(state, con_id, symbol, exec_id, shares, price, tech, moves, after)


def _change(
    state: State,
    con_id: int,
    symbol: str,
    exec_id: str,
    shares: Decimal,
    price: Decimal,
    tech: datetime | None,
    moves: course.Whose,
    after: str | None = None,
) -> Holding:
    """Shares come to strategies' parts, and to the holding that is told; see `course.Booked`."""
    state.changes += 1
    number, changes = state.changes, state.course
    holding = course.inserted(changes, number, after, con_id, exec_id, shares, price, moves) if after else None
    if holding is None:
        before = state.book.get(con_id) or Holding(con_id=con_id, symbol=symbol)
        parts = _parts_of(state, con_id)
        holding = course.booked(changes, number, before, exec_id, shares, price, tech, moves, parts)
    _set_parts(state, con_id)
    return holding


def _fill_order(state: State, fill: Fill, signed: Decimal) -> None:
    """`signed` shares of a fill come to its order, or leave it."""
    if fill.intent is None:
        return
    order = state.orders[fill.intent]
    change = signed * order.side.sign
    filled = order.filled + change
    value = order.average_price * order.filled + fill.price * change
    put_order(state, changed(order, filled=filled, average_price=value / filled if filled else ZERO))


def _commission_booked(state: State, fact: m.CommissionBooked) -> None:
    change = fact.commission - state.commissions.get(fact.exec_id, ZERO)
    state.commissions[fact.exec_id] = fact.commission
    state.paid += change
    if fact.intent is not None:
        _charge(state, fact.intent, change)


def _charge(state: State, intent: int, commission: Decimal) -> None:
    order = state.orders[intent]
    put_order(state, changed(order, commission=order.commission + commission))
    for strategy, cost in _among(order, commission):
        state.part_costs[strategy] = state.part_costs.get(strategy, ZERO) + cost


def _job_noted(state: State, fact: m.JobNoted) -> None:
    former = state.jobs.get(fact.job)
    until = fact.valid_until or (former.valid_until if former and former.run_id == fact.run_id else None)
    state.jobs[fact.job] = fact
    if fact.outcome == "finished" and until is not None:
        state.jobs_done[fact.run_id] = until
    for run_id in [name for name, past in state.jobs_done.items() if past + DONE_KEPT < fact.at]:
        del state.jobs_done[run_id]


def _event_kept(state: State, fact: m.EventKept) -> None:
    _count(state, "kept")


_FOLDS = cast(
    dict[type, Callable[[State, Any], None]],
    {
        m.RunOpened: _run_opened,
        m.ConfigApplied: _config_applied,
        m.SessionsKnown: _sessions_known,
        m.InstrumentKnown: _instrument_known,
        m.InstrumentMissing: _instrument_missing,
        m.LinkMoved: _link_moved,
        m.IdsReserved: _ids_reserved,
        m.BackendMoved: _backend_moved,
        m.FarmMoved: _farm_moved,
        m.ClockChecked: _clock_checked,
        m.AccountValued: _account_valued,
        m.AccountPositionSet: _account_position_set,
        m.OutsideSet: _outside_set,
        m.HoldingAdopted: _holding_adopted,
        m.SplitBooked: _split_booked,
        m.ForeignOrderSet: _foreign_order_set,
        m.SnapshotFailed: _snapshot_failed,
        m.BookCompared: _book_compared,
        m.QuarantineSet: _quarantine_set,
        m.QuarantineLifted: _quarantine_lifted,
        m.BreakerSet: _breaker_set,
        m.BreakerLifted: _breaker_lifted,
        m.HoldSet: _hold_set,
        m.HoldLifted: _hold_lifted,
        m.EquityMarked: _equity_marked,
        m.FlowBooked: _flow_booked,
        m.PartsCrossed: _parts_crossed,
        m.VerbSet: _verb_set,
        m.DataJudged: _data_judged,
        m.TargetsSet: _targets_set,
        m.StrategyFaulted: _strategy_faulted,
        m.EquitySet: _equity_set,
        m.RebalanceDecided: _rebalance_decided,
        m.TargetSized: _target_sized,
        m.TradeClamped: _trade_clamped,
        m.TradeRefused: _trade_refused,
        m.IntentsTaken: _intents_taken,
        m.OrderIntended: _order_intended,
        m.DelayedDataUsed: _delayed_data_used,
        m.WhatIfAsked: _what_if_asked,
        m.MarginTold: _margin_told,
        m.OrderSending: _order_sending,
        m.OrderMoved: _order_moved,
        m.OrderResolved: _order_resolved,
        m.ResolutionContradicted: _resolution_contradicted,
        m.OrderIdentified: _order_identified,
        m.OrderCancelAsked: _order_cancel_asked,
        m.OrderChangeAsked: _order_change_asked,
        m.OrderChangeAwaited: _order_change_awaited,
        m.OrderTermsSet: _order_terms_set,
        m.AbsenceNoted: _absence_noted,
        m.StopLevelSet: _stop_level_set,
        m.ProtectionSet: _protection_set,
        m.SurplusSet: _surplus_set,
        m.FillBooked: _fill_booked,
        m.CommissionBooked: _commission_booked,
        m.JobNoted: _job_noted,
        m.EventKept: _event_kept,
    },
)

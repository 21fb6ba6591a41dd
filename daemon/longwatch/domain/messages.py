"""Everything that is heard (events), concluded (facts) and asked for (effects): three closed unions of frozen values.

Events come from the broker, timers, jobs and people through the inbox; `decide` turns them into facts and effects;
`evolve` folds facts, and nothing else, into the state. Every event carries what it is judged by. Times are aware UTC:
`at` is market time, `tech` technical time (clock.py). Quantities of positions are signed, of orders and fills not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import get_args

from longwatch.domain.account import AccountFigures
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import Grade, Level
from longwatch.domain.orders import Absence, Change, Evidence, Order, OrderState, Purpose
from longwatch.domain.portfolio.sizing import Part
from longwatch.domain.quotes import Quote
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.sessions import Session
from longwatch.domain.settings import TradeSettings
from longwatch.quick import quick

Weights = tuple[tuple[str, Decimal], ...]


class Verb(StrEnum):
    """What a person, or a limit, may order the daemon to hold back."""

    PAUSE = "pause"
    REDUCING = "reducing"
    HALT = "halt"
    FLATTEN = "flatten"


class Link(StrEnum):
    """The states of the connection to the gateway."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    READY = "ready"


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    at: datetime
    tech: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStarted(_Heard):
    """The process has opened its journal; the first event of every run."""

    journal_id: str
    account: str
    mode: str
    client_id: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLoaded(_Heard):
    """A configuration was read and found good, at start or by a reload."""

    settings: TradeSettings
    sha256: str
    changed: tuple[str, ...] = ()
    by: str = "start"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarLoaded(_Heard):
    """The exchange's sessions for the time ahead."""

    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOpening(_Heard):
    """The one connection loop begins an attempt."""

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp(_Heard):
    """The API handshake is complete: accounts and nextValidId have come."""

    client_id: int
    next_order_id: int
    accounts: tuple[str, ...]
    server_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLost(_Heard):
    """An attempt failed, or the connection ended."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSeen(_Heard):
    """Codes 1100, 1101, 1102: the gateway's own link to IB."""

    up: bool
    data_kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmSeen(_Heard):
    """Codes 2103–2108, 2157, 2158: one data farm; `history` where bars alone come from it."""

    farm: str
    up: bool
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen(_Heard):
    """The gateway answered a heartbeat; `skew_seconds` is its clock less our market time."""

    skew_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentsSeen(_Heard):
    """Contract details came for some symbols, and a reason for each of the others."""

    instruments: tuple[Instrument, ...]
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One row of a position download; `quantity` signed; an option bears its underlying's symbol, and OPT as type."""

    con_id: int
    symbol: str
    quantity: Decimal
    average_cost: Decimal | None = None
    sec_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrderSeen(_Heard):
    """Message 5: an order as the broker holds it. `client_id` 0 with `order_id` 0 is a manual order.

    `nth` counts, from 0, the rows of one download that no id and no instrument tells apart.
    """

    order_id: int
    client_id: int
    perm_id: int
    ref: str
    account: str
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    order_type: str
    limit_price: Decimal | None
    stop_price: Decimal | None
    tif: str
    status: str
    nth: int = 0
    oca_group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatusSeen(_Heard):
    """Message 3."""

    order_id: int
    client_id: int
    perm_id: int
    status: str
    filled: Decimal
    remaining: Decimal
    average_price: Decimal
    why_held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSeen(_Heard):
    """Message 11, live or from a download; `executed_at` is the broker's time in UTC.

    `is_liquidation`: the broker traded, not the account's owner.
    """

    exec_id: str
    order_id: int
    client_id: int
    perm_id: int
    ref: str
    account: str
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    executed_at: datetime
    is_liquidation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionSeen(_Heard):
    """Message 59."""

    exec_id: str
    commission: Decimal
    currency: str
    realized_pnl: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedOrderSeen(_Heard):
    """Message 101: an order of the day that has ended."""

    perm_id: int
    ref: str
    account: str
    con_id: int
    symbol: str
    side: Side
    status: str
    filled: Decimal
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSeen(_Heard):
    """Message 61 outside a download: the account's position changed."""

    account: str
    con_id: int
    symbol: str
    quantity: Decimal
    average_cost: Decimal | None = None
    sec_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSeen(_Heard):
    """One complete round of account downloads.

    A part is None when it failed; `failures` then says why (part, reason). `open_perm_ids` are the orders open at the
    broker. Execution, order and completed-order rows were delivered as events of their own just before.
    """

    reason: str
    positions: tuple[PositionRow, ...] | None
    open_perm_ids: tuple[int, ...] | None
    completed_perm_ids: tuple[int, ...] | None
    exec_ids: tuple[str, ...] | None
    net_liquidation: Decimal | None
    cash: Decimal | None
    started_tech: datetime
    failures: tuple[tuple[str, str], ...] = ()
    figures: AccountFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHanded(_Heard):
    """The bytes of an order, or of its `change`th modification, were given to the transport."""

    intent: int
    change: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWithheld(_Heard):
    """The order, or its `change`th modification, was never given to the transport: the gate was shut, or no link."""

    intent: int
    reason: str
    change: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderErrorSeen(_Heard):
    """Message 4 with the id of an order; the meaning of `code` comes from broker/codes.py by way of `verdict`."""

    order_id: int
    code: int
    text: str
    verdict: str
    """`notice` (the order lives), `unchanged` (its modification is refused), `rejected`, `rejected if new` (unless
    it was acknowledged before), `cancelled`, `not found` (10147), `too late` (10148), or `unclear` (an unlisted code,
    never final); domain/order_life/verdicts.py says what follows."""
    meaning: str = ""
    severity: str = "warning"
    """Of the alert, where one is raised; `info` raises none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfSeen(_Heard):
    """Message 5 with the what-if mark: margins and equity once the order had filled, in the account's base currency.

    The `commission` is in the currency of the trade.
    """

    order_id: int
    client_id: int
    initial_margin: Decimal | None
    maintenance_margin: Decimal | None
    equity: Decimal | None
    commission: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSeen(_Heard):
    """Message 4 about anything but an order, worth keeping."""

    code: int
    text: str
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUndecodable(_Heard):
    """A message the library could not decode, kept raw; `con_id` where it can be told."""

    message_id: int
    raw: tuple[str, ...]
    reason: str
    con_id: int | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesJudged:
    """What validation says of one symbol's bars; no `flaws` means tradable. `close` is the last completed session's.

    `rebased`: the prices kept so far over those fetched now, where one ratio holds for every bar of both: 2 after a
    split of two new shares for one. As of the last completed session, None where there are too few bars: `volatility`,
    the annualised EWMA standard deviation of daily returns; `atr`, the average true range in price units;
    `average_volume` in shares a session.
    """

    symbol: str
    bars: int
    last_session: date | None
    close: Decimal | None
    flaws: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    rebased: Decimal | None = None
    volatility: Decimal | None = None
    atr: Decimal | None = None
    average_volume: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRefreshed(_Heard):
    """A data refresh has ended; every symbol asked for is judged, also those that failed."""

    run_id: str
    session: date
    judged: tuple[SeriesJudged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsComputed(_Heard):
    """A strategy returned target weights (fractions of its allocation, at 1e-6), decided on `session`'s close.

    `parameters` are those it was made with, as JSON.
    """

    run_id: str
    strategy: str
    session: date
    weights: Weights
    memory: str
    source_sha256: str
    seconds: float
    parameters: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFailed(_Heard):
    """A strategy raised, ran too long, or returned what can't be traded; its former targets are kept, not traded on."""

    run_id: str
    strategy: str
    session: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalsEnded(_Heard):
    """Every strategy has had its turn; `prices` are the closes of `session` that the next rebalance is sized at."""

    run_id: str
    session: date
    prices: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceDue(_Heard):
    """Time to turn targets into orders; `quotes` are those held at this instant, ages to be judged against `tech`."""

    run_id: str
    session: Session | None
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsQuoted(_Heard):
    """What is held was looked at while a session is open, and a limit on losses has something to say of it."""

    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen(_Heard):
    """A scheduled job changed state: started, finished, failed, skipped or missed."""

    job: str
    run_id: str
    outcome: str
    text: str = ""
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeReached(_Heard):
    """The earliest deadline in the state has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequested(_Heard):
    """A person's command, with the quotes it is judged by where there are any."""

    command: str
    argument: str = ""
    by: str = ""
    reason: str = ""
    quotes: tuple[Quote, ...] = ()


Event = (
    DaemonStarted
    | ConfigLoaded
    | CalendarLoaded
    | LinkOpening
    | LinkUp
    | LinkLost
    | BackendSeen
    | FarmSeen
    | ClockSeen
    | InstrumentsSeen
    | OpenOrderSeen
    | OrderStatusSeen
    | ExecutionSeen
    | CommissionSeen
    | CompletedOrderSeen
    | PositionSeen
    | SnapshotSeen
    | OrderHanded
    | OrderWithheld
    | OrderErrorSeen
    | WhatIfSeen
    | NoticeSeen
    | MessageUndecodable
    | DataRefreshed
    | TargetsComputed
    | StrategyFailed
    | SignalsEnded
    | RebalanceDue
    | HoldingsQuoted
    | JobSeen
    | TimeReached
    | ControlRequested
)


RETOLD = (ExecutionSeen, CommissionSeen, CompletedOrderSeen)
"""Rows that every account download tells again: one that changes nothing is in the journal already."""


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOpened:
    """A process began to work on this journal."""

    journal_id: str
    account: str
    mode: str
    client_id: int
    version: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigApplied:
    """These settings hold from here on."""

    settings: TradeSettings
    sha256: str
    changed: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsKnown:
    """The exchange's sessions from here on."""

    sessions: tuple[Session, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentKnown:
    """A symbol of the universe is this contract."""

    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentMissing:
    """A symbol of the universe can't be traded: the broker gave no contract for it."""

    symbol: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMoved:
    """The connection is in this state since `tech`."""

    link: Link
    reason: str
    tech: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsReserved:
    """Ids from `first` up to `first + count` are for requests; orders get those above. `epoch` counts connections.

    With `anew` the gateway's own order ids have begun again: those given before name nothing any more until it shows
    an order under one.
    """

    first: int
    count: int
    epoch: int
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendMoved:
    """The gateway's link to IB is up or down since `tech`; how often a person has been told how long it is down."""

    up: bool
    tech: datetime
    told: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmMoved:
    """A data farm is up or down since `tech`; orders do not need one of `history`."""

    farm: str
    up: bool
    tech: datetime
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChecked:
    """The gateway's clock less ours, in seconds, measured at `tech`."""

    skew_seconds: float
    tech: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountValued:
    """What the account is worth at `tech`, market time `at`, in the currency traded in, and what else is said of it."""

    net_liquidation: Decimal
    cash: Decimal
    tech: datetime
    figures: AccountFigures | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPositionSet:
    """The broker's figures for one instrument since market time `at`; `quantity` signed, cost a share.

    `sec_type` is IB's name of what kind of contract it is, empty where nobody told.
    """

    con_id: int
    symbol: str
    quantity: Decimal
    average_cost: Decimal | None = None
    at: datetime | None = None
    sec_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideSet:
    """Of the account's position this part is not ours: it was there before, or somebody else trades it.

    `reason` names the proof of `cause`: the execution, the person, or the first look.
    """

    con_id: int
    symbol: str
    quantity: Decimal
    reason: str
    cause: Cause = Cause.UNEXPLAINED


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingAdopted:
    """`quantity` (signed) of the account's position is ours from here on.

    `off_parts`: those of them that take shares away come off the strategies' parts; without it, as in older records,
    no part has to do with them. What is added is no strategy's.
    """

    con_id: int
    symbol: str
    quantity: Decimal
    average_cost: Decimal
    reason: str
    off_parts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitBooked:
    """`new` shares for `old` ones at market time `at`: book, outside, cost and sizing price are these from here on.

    `proof` names the three that there are: the position, its average cost, the rebased history; or two, and the person
    who says so. Where it `awaits_history`, what is known of prices is still of the old shares.
    """

    con_id: int
    symbol: str
    new: int
    old: int
    book: Decimal
    outside: Decimal
    average_cost: Decimal
    sizing_price: Decimal | None
    at: datetime
    proof: str
    awaits_history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOrderSet:
    """An order that is not ours: shown, counted as exposure, never touched. `remaining` 0 when it has ended.

    `price` is the dearer of its limit and its stop, None where it has neither.
    `perm_id` below zero stands for one that the broker has given none yet. The program with this `client_id` calls it
    by this `order_id`; an order typed by hand has neither.
    """

    perm_id: int
    con_id: int
    symbol: str
    side: Side
    remaining: Decimal
    status: str
    price: Decimal | None = None
    filled: Decimal = Decimal(0)
    client_id: int = 0
    order_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFailed:
    """Parts of an account download failed: the gate stays shut until a whole one has come; none has since `since`."""

    failures: tuple[tuple[str, str], ...]
    tech: datetime
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Book plus outside against the account, for one instrument; just so since the technical time `since`.

    In whatever figures it has been there since `first`, in `looks` comparisons. `cause` is what it looks like; where
    that is more than one, `possible` has them.
    """

    con_id: int
    symbol: str
    book: Decimal
    outside: Decimal
    account: Decimal
    since: datetime | None = None
    first: datetime | None = None
    looks: int = 1
    cause: Cause = Cause.UNEXPLAINED
    possible: tuple[Cause, ...] = ()

    @property
    def missing(self) -> Decimal:
        """Signed shares that the account has and nothing explains."""
        return self.account - self.book - self.outside


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCompared:
    """A whole snapshot was compared with the book: `positions` and `orders` are the sizes of the sets compared.

    `cash` is what the account had then, `net_liquidation` what it was worth at market time `at`, or last before that;
    `former_value` what it was worth at the comparison before, with what money came or went since; `paid` what all
    executions told by then have taken of its cash.
    """

    reason: str
    positions: int
    orders: int
    differences: tuple[Difference, ...]
    activity: int
    tech: datetime
    cash: Decimal | None = None
    net_liquidation: Decimal | None = None
    former_value: Decimal | None = None
    at: datetime | None = None
    paid: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineSet:
    """No new orders in this instrument until lifted; causes.py says by what.

    `beneath`: what it was quarantined for before, which this one's end leaves.
    """

    con_id: int
    symbol: str
    reason: str
    tech: datetime
    cause: Cause = Cause.UNEXPLAINED
    beneath: QuarantineSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLifted:
    """Both sides agree again, or a person has lifted it."""

    con_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSet:
    """Orders of this purpose in an instrument were ended, for `reason`, at the market times `strikes`.

    No such order before `until` (market time; None: they are only counted). `trips` counts how often the breaker has
    opened; 0 with an `until` is the hold of one session.
    """

    con_id: int
    symbol: str
    purpose: Purpose
    reason: str
    strikes: tuple[datetime, ...]
    trips: int
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLifted:
    """Such orders may be sent again, and nothing is counted against them."""

    con_id: int
    symbol: str
    purpose: Purpose
    reason: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSet:
    """A limit was passed: at its level only reducing orders leave, or none, until it is lifted.

    `name` is the symbol, the strategy or the account; `until` (market time) ends it by its own rule, None: a person.
    """

    level: Level
    name: str
    rule: str
    grade: Grade
    observed: Decimal
    limit: Decimal
    since: datetime
    until: datetime | None = None
    con_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLifted:
    """The hold has ended, by its own rule or a person's word; what came before `at` is not held against it any more."""

    level: Level
    name: str
    rule: str
    because: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityMarked:
    """What losses are measured from, in the base currency: the value at the `session`'s start, and the highest one.

    `value` is the one of market time `at`. An account's is its equity; a strategy's what its fills have made or lost.
    """

    level: Level
    name: str
    session: date | None
    start: Decimal
    peak: Decimal
    value: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBooked:
    """Money came into the account (or left it, negative) that no trade explains: no gain and no loss.

    `equity` is what the account was worth without it. `awaited`: a person's word on what no reading shows yet; `shown`:
    a reading does, of what a person has told already. `noticed`: two readings have shown it, and nobody told.
    """

    amount: Decimal
    reason: str
    at: datetime
    equity: Decimal | None = None
    awaited: bool = False
    shown: bool = False
    noticed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsCrossed:
    """What one strategy wants to sell another wants to buy: these signed shares changed hands among them, no order."""

    con_id: int
    symbol: str
    moves: tuple[tuple[str, Decimal], ...]
    price: Decimal
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbSet:
    """A verb holds, or no longer; `choice` is the order type that a flatten closes with, where one was named.

    `tech` is the technical time of the word.
    """

    verb: Verb
    on: bool
    by: str
    reason: str
    choice: str = ""
    tech: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataJudged:
    """What may be traded on, symbol by symbol, as of a session.

    Of an instrument whose history is ahead of the account `rebased` is what it was rebased by in all since.
    """

    session: date
    judged: tuple[SeriesJudged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsSet:
    """A strategy's targets and memory from here on."""

    run_id: str
    strategy: str
    session: date
    weights: Weights
    memory: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFaulted:
    """A strategy gave no usable targets: nothing is traded for it until it does."""

    strategy: str
    session: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EquitySet:
    """The capital and the closes that the next rebalance is sized by."""

    session: date
    equity: Decimal
    prices: tuple[tuple[str, Decimal], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceDecided:
    """What came of a rebalance, in trades; `waiting` are those put off until what is under way has ended."""

    run_id: str
    intended: int
    refused: int
    clamped: int
    waiting: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSized:
    """How a symbol came from weights to a trade, where there is one or a clamp; what the trade came to follows.

    The parts' sum is `weight`, `capped` what caps leave of it, both fractions of `equity`; `shares` that at `price`,
    the close of `session`, in whole `lot`s. With `held` and `pending` (what live orders may still do) outside of `low`
    to `high`, `trade` leads to the nearer edge. Shares are signed.
    """

    run_id: str
    con_id: int
    symbol: str
    session: date
    parts: tuple[Part, ...]
    weight: Decimal
    capped: Decimal
    equity: Decimal
    price: Decimal
    lot: Decimal
    shares: Decimal
    low: Decimal
    high: Decimal
    held: Decimal
    pending: Decimal
    trade: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeClamped:
    """A wanted trade was made smaller: `wanted`, `allowed` signed shares; `observed`, `limit` as the check counts."""

    run_id: str
    symbol: str
    check: str
    wanted: Decimal
    allowed: Decimal
    observed: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRefused:
    """A wanted trade (signed shares) was not made into an order, or an intended order was not sent."""

    run_id: str
    symbol: str
    check: str
    wanted: Decimal
    observed: str
    limit: str
    text: str
    intent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentsTaken:
    """Numbers of intents up to this one are in use at the broker, though not in this journal: none is given again."""

    up_to: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntended:
    """An order was decided; nothing has left yet."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedDataUsed:
    """An order was decided on a quote that was not live, as paper accounts may: IB's market data type of it."""

    intent: int
    symbol: str
    market_data_type: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIfAsked:
    """The broker was asked under this id what an order would bind, to answer by `deadline`; both times technical."""

    intent: int
    order_id: int
    asked_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTold:
    """What an order would bind of margin, in the currency traded in: the broker's word, or an estimate.

    By the broker's word `equity` is what there would be, and both margins are the account's; `beside` is estimated for
    entries that the broker did not know of. In an estimate `initial_margin` is the order's, `maintenance_margin` that
    of all live entries, and `equity` what there is for them. `commission` is the order's, where the broker has told it.
    """

    intent: int
    initial_margin: Decimal
    maintenance_margin: Decimal
    equity: Decimal
    is_estimate: bool
    beside: Decimal = Decimal(0)
    commission: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSending:
    """The order may leave from here on, under this id; answered by `deadline` (technical time) or unknown."""

    intent: int
    order_id: int
    client_id: int
    epoch: int
    sent_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMoved:
    """The order is in `state` by this evidence since `tech`; `reported` and `ending` as in Order.

    `proof` is the kind of the event that showed it; the event itself is the record that this fact's names as its cause.
    """

    intent: int
    state: OrderState
    evidence: Evidence
    text: str
    deadline: datetime | None
    reported: Decimal
    ending: OrderState | None
    tech: datetime | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResolved:
    """A person's evidence on an order whose outcome was unknown: filled, cancelled, rejected or absent.

    `unfilled` is said of one that works on: what only its status tells of never filled.

    `quantity` shares had filled at `price` that no execution told of; 0 when there were none.
    """

    intent: int
    outcome: str
    quantity: Decimal
    price: Decimal
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionContradicted:
    """The broker says what can't be so if that was right: the order is unknown again."""

    intent: int
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIdentified:
    """The broker knows the order under this permId and, where `order_id` is not 0, by this id of this client."""

    intent: int
    perm_id: int
    client_id: int = 0
    order_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelAsked:
    """We want the order gone."""

    intent: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeAsked:
    """We want the order on other terms; nothing has left yet."""

    intent: int
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChangeAwaited:
    """The modification may have left, and nobody has said what came of it; looked at again at `deadline` (technical).

    `handed`: its bytes were given to the transport, or nobody can say that they were not. `asked_as` is the number
    under which the gateway is asked whether it listens, `answered_at` when it did (technical); None: as before.
    """

    intent: int
    handed: bool
    deadline: datetime | None
    asked_as: int | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTermsSet:
    """These are the order's terms, as `text` knows; `change` is what is still under way, as a rule nothing any more."""

    intent: int
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    text: str
    change: Change | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsenceNoted:
    """What has been gathered towards proving an unknown order absent."""

    intent: int
    absence: Absence


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLevelSet:
    """Where the protective stop of a holding is to lie from market time `at` on; `level` None when it is gone.

    `is_long` and `opened_at` are of the holding; `because` says what the level comes from, with its numbers.
    """

    con_id: int
    symbol: str
    level: Decimal | None
    is_long: bool
    opened_at: datetime
    at: datetime
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionSet:
    """Of a holding that is to have a stop, so many shares rest behind none at the broker since `since` (technical).

    `price` is what a share is worth. `accrued` is what has been gathered of notional times seconds of open market
    since the last such fact, market time `at`. `told`: a person was told. `look_at`: when it is looked at again, in
    technical time.
    """

    con_id: int
    symbol: str
    unprotected: Decimal
    price: Decimal
    since: datetime
    at: datetime
    accrued: Decimal
    told: bool = False
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurplusSet:
    """Since `since` (technical) stops at the broker could sell, or buy back, so many shares more than they are to.

    `shares` 0: no more. `look_at`: when it is looked at again, in technical time.
    """

    con_id: int
    symbol: str
    shares: Decimal
    since: datetime
    look_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillBooked:
    """An execution is in the book (`intent` None: not ours, kept so that it is never counted twice).

    `taken_back`: shares of the execution it replaces that were told and are none any more; negative: they are again.
    Where it replaces none, shares that only the order's status told of, and that are waited for no more.
    Replacing itself, it is found to be ours after all. `recounted`: what is held comes to what it would have had this
    one been in the place of the one it replaces; without it, as in older records, that one is traded back. `after`: the
    execution that took the place of a fill nobody told, of which this is the rest; it comes right after that one.
    """

    exec_id: str
    intent: int | None
    con_id: int
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    tech: datetime
    replaces: str | None = None
    taken_back: Decimal = Decimal(0)
    perm_id: int = 0
    recounted: bool = False
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionBooked:
    """What an execution cost, in `currency`."""

    exec_id: str
    intent: int | None
    commission: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNoted:
    """A scheduled job's last run."""

    job: str
    run_id: str
    outcome: str
    text: str
    at: datetime
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKept:
    """An event that could not be digested was kept raw; it touches `con_id` where known."""

    kind: str
    reason: str
    con_id: int | None


Fact = (
    RunOpened
    | ConfigApplied
    | SessionsKnown
    | InstrumentKnown
    | InstrumentMissing
    | LinkMoved
    | IdsReserved
    | BackendMoved
    | FarmMoved
    | ClockChecked
    | AccountValued
    | AccountPositionSet
    | OutsideSet
    | HoldingAdopted
    | SplitBooked
    | ForeignOrderSet
    | SnapshotFailed
    | BookCompared
    | QuarantineSet
    | QuarantineLifted
    | BreakerSet
    | BreakerLifted
    | HoldSet
    | HoldLifted
    | EquityMarked
    | FlowBooked
    | PartsCrossed
    | VerbSet
    | DataJudged
    | TargetsSet
    | StrategyFaulted
    | EquitySet
    | RebalanceDecided
    | TargetSized
    | TradeClamped
    | TradeRefused
    | IntentsTaken
    | OrderIntended
    | DelayedDataUsed
    | WhatIfAsked
    | MarginTold
    | OrderSending
    | OrderMoved
    | OrderResolved
    | ResolutionContradicted
    | OrderIdentified
    | OrderCancelAsked
    | OrderChangeAsked
    | OrderChangeAwaited
    | OrderTermsSet
    | AbsenceNoted
    | StopLevelSet
    | ProtectionSet
    | SurplusSet
    | FillBooked
    | CommissionBooked
    | JobNoted
    | EventKept
)


# ── effects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginSync:
    """Use these request ids and download the account; `epoch` names the connection."""

    epoch: int
    first_request_id: int
    count: int
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOrder:
    """Place the order under its reserved id, once; with `attached`, its stop, in one write or not at all."""

    order: Order
    instrument: Instrument
    attached: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Ask the broker to cancel; may be asked again."""

    intent: int
    order_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWhatIf:
    """Ask what the order would bind of margin, under its id; nothing is placed."""

    order: Order
    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyOrder:
    """Send a working order again under its own id, on the terms of its change, once."""

    order: Order
    instrument: Instrument


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSnapshot:
    """Download the account once more, so many seconds from now."""

    reason: str
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Hold the contracts and quotes of these symbols; of no others the quotes."""

    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLink:
    """End this connection; the connection loop makes another."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """Run a job now, beside its schedule."""

    job: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseAlert:
    """Tell a person; `key` is one of a closed set of names, for metrics."""

    key: str
    text: str
    severity: str = "warning"


Effect = (
    BeginSync
    | RequestWhatIf
    | SubmitOrder
    | ModifyOrder
    | CancelOrder
    | RequestSnapshot
    | Watch
    | DropLink
    | RunJob
    | RaiseAlert
)

for _kind in (*get_args(Event), *get_args(Fact)):
    quick(_kind)

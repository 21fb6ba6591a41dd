"""A broker that does what brokers do, in any order: the generated histories of the fold and of the worst case.

A play is a list of (act, number); the number decides whatever the act leaves open, so that a play is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from random import Random

from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate, next_deadline
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState
from longwatch.domain.settings import StopRule
from longwatch.journal.codec import encode
from longwatch.journal.records import Record
from tests.domain.world import (
    CON_IDS,
    DAY,
    SYMBOLS,
    World,
    commission,
    completed,
    execution,
    judged,
    open_order,
    order_status,
    perm_id,
)

D = Decimal
NAMES = tuple(CON_IDS)


@dataclass(slots=True)
class AtBroker:
    """An order as the broker has it, whatever the daemon has heard."""

    order: Order
    filled: Decimal = Decimal(0)
    ended: str = ""

    @property
    def remaining(self) -> Decimal:
        return self.order.quantity - self.filled


@dataclass(slots=True)
class Play(World):
    """A world whose orders go to a broker of their own; every event is a record, as the engine would write it."""

    queue: list[Order] = field(default_factory=list)
    changes: list[Order] = field(default_factory=list)
    cancels: list[int] = field(default_factory=list)
    book: dict[int, AtBroker] = field(default_factory=dict)
    told: list[m.ExecutionSeen] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    made: int = 0
    busted: set[str] = field(default_factory=set)
    pairs: dict[int, Order] = field(default_factory=dict)

    def take(self, event: m.Event) -> Step:
        step = World.take(self, event)
        cause = len(self.records) + 1
        self.records.append(encode(cause, 0, event))
        for fact in step.facts:
            self.records.append(encode(len(self.records) + 1, cause, fact))
        for effect in step.effects:
            match effect:
                case m.SubmitOrder():
                    self.queue.append(effect.order)
                    if effect.attached is not None:
                        self.pairs[effect.order.intent] = effect.attached
                case m.ModifyOrder():
                    self.changes.append(effect.order)
                case m.CancelOrder():
                    self.cancels.append(effect.intent)
                case _:
                    pass
        return step

    def act(self, name: str, number: int) -> None:
        self.wait(1 + number % 3)
        (ACTS | ONCE)[name](self, number)
        self.orphan()

    def orphan(self) -> None:
        """A child works for what its parent has filled, once that has ended; of a parent without fills it ends too."""
        for one in self.book.values():
            parent = self.book.get(one.order.attached_to or 0)
            if parent is None or one.ended or not parent.ended or parent.ended == "Filled":
                continue
            if parent.filled:
                one.order = replace(one.order, quantity=min(one.order.quantity, parent.filled))
            else:
                one.ended = "Cancelled"

    def waits(self, one: AtBroker) -> bool:
        """Whether the broker keeps an order from the market for its parent."""
        parent = self.book.get(one.order.attached_to or 0)
        return parent is not None and not parent.ended

    def rows(self) -> None:
        """What every download tells before its end: executions, open and completed orders."""
        for one in self.told:
            self.take(replace(one, at=self.now, tech=self.now))
        for one in self.book.values():
            if not one.ended:
                self.take(open_order(one.order, self.now))
            else:
                self.take(completed(one.order, self.now, one.ended, int(one.filled)))
        self.open_orders = {perm_id(i) for i, one in self.book.items() if not one.ended}
        self.completed = {perm_id(i) for i, one in self.book.items() if one.ended}

    def fill_price(self, order: Order) -> Decimal:
        """What a share of an order is paid at the exchange now."""
        return self.prices[order.symbol]

    def filled(self, one: AtBroker, row: m.ExecutionSeen) -> None:
        """The broker has booked an execution, whoever is told of it."""
        self.told.append(row)

    def pick(self, number: int, *, trades: bool = False) -> AtBroker | None:
        live = [one for one in self.book.values() if not one.ended and not (trades and self.waits(one))]
        return live[number % len(live)] if live else None


def _rebalance(play: Play, number: int) -> None:
    weights = {symbol: str(D(number // 7**place % 7) / 10) for place, symbol in enumerate(NAMES)}
    play.targets(**weights)
    play.rebalance()


def _again(play: Play, number: int) -> None:
    if play.state.equity is not None:
        play.rebalance()


def _write(play: Play, number: int) -> None:
    """The next order's turn: withheld by the gate, handed, or handed and lost on the way."""
    if not play.queue:
        return
    orders = pair_of(play, play.queue.pop(0))
    reasons = [reason for order in orders if (reason := gate(play.state, order.intent, play.now)) is not None]
    for order in orders:
        if reasons:
            play.hear(m.OrderWithheld, intent=order.intent, reason=reasons[0])
            continue
        play.handed(order.intent)
        if number % 5:
            play.book[order.intent] = AtBroker(order)


def pair_of(play: Play, order: Order) -> list[Order]:
    """An order, and the stop that leaves with it."""
    stop = play.pairs.pop(order.intent, None)
    return [order] if stop is None else [order, stop]


def _modify(play: Play, number: int) -> None:
    """A person wants a working order larger or smaller, dearer or cheaper."""
    working = [order for order in play.state.live_orders() if order.state is OrderState.WORKING]
    if not working:
        return
    order = working[number % len(working)]
    quantity = max(D(1), order.quantity + number // 7 % 41 - 20) if number % 3 else "-"
    limit = (order.limit_price or D(1)) + number // 11 % 5 - 2 if number % 4 else "-"
    argument = f"{order.intent} {quantity} {limit} -"
    play.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=play.quotes())


def _change(play: Play, number: int) -> None:
    """The next modification's turn: withheld by the gate, or handed and lost, refused, or in force, shown or not."""
    if not play.changes:
        return
    order = play.changes.pop(0)
    reason = gate(play.state, order.intent, play.now)
    if reason is not None:
        play.hear(m.OrderWithheld, intent=order.intent, reason=reason, change=order.changed)
        return
    play.hear(m.OrderHanded, intent=order.intent, change=order.changed)
    one = play.book.get(order.intent)
    if one is None or number % 5 == 0:
        return
    if one.ended or order.quantity <= one.filled or number % 7 == 1:
        row = {"order_id": order.order_id, "code": 104, "text": "too late"}
        play.hear(m.OrderErrorSeen, verdict="unchanged", **row)
        return
    terms = {"quantity": order.quantity, "limit_price": order.limit_price, "stop_price": order.stop_price}
    one.order = replace(one.order, **terms)
    if number % 3:
        play.take(open_order(one.order, play.now))


def _acknowledge(play: Play, number: int) -> None:
    if (one := play.pick(number)) is not None:
        play.take(open_order(one.order, play.now))
        play.take(order_status(one.order, play.now, "Submitted", one.filled))


def _fill(play: Play, number: int) -> None:
    """A part or all of an order; the message of every third fill is lost until somebody asks."""
    one = play.pick(number, trades=True)
    if one is None:
        return
    quantity = one.remaining if number % 2 else max(D(1), one.remaining // 3)
    one.filled += quantity
    con_id = one.order.con_id
    play.positions[con_id] = play.positions.get(con_id, D(0)) + quantity * one.order.side.sign
    name = f"{play.made:04x}.01"
    play.made += 1
    play.executions.append(name)
    row = execution(one.order, play.now, name, int(quantity), str(play.fill_price(one.order)))
    play.filled(one, row)
    if not one.remaining:
        one.ended = "Filled"
    play.orphan()
    smaller = _shrink_group(play, one, quantity)
    if number % 3:
        play.take(row)
        play.take(commission(name, play.now))
        play.take(order_status(one.order, play.now, one.ended or "Submitted", one.filled))
    for other in smaller if number % 5 else ():
        if other.ended:
            play.take(order_status(other.order, play.now, other.ended, other.filled))
        else:
            play.take(open_order(other.order, play.now))


def _shrink_group(play: Play, one: AtBroker, quantity: Decimal) -> list[AtBroker]:
    """What one order of an OCA group fills is taken from the others, in proportion."""
    group = [
        other
        for other in play.book.values()
        if other is not one and not other.ended and one.order.oca_group and other.order.oca_group == one.order.oca_group
    ]
    for other in group:
        left = other.remaining * one.remaining // (one.remaining + quantity)
        other.order = replace(other.order, quantity=other.filled + left)
        if not left:
            other.ended = "Cancelled"
    return group


def _correct(play: Play, number: int) -> None:
    """An execution at another price than first told."""
    if not play.told:
        return
    at = number % len(play.told)
    former = play.told[at]
    stem, _, revision = former.exec_id.rpartition(".")
    name = f"{stem}.{int(revision) + 1:02d}"
    play.executions[play.executions.index(former.exec_id)] = name
    play.told[at] = replace(former, exec_id=name, price=former.price + 1, at=play.now, tech=play.now)
    play.take(play.told[at])


def _bust(play: Play, number: int) -> None:
    """An execution is taken back, and told by a revision of no shares or by nothing but the position."""
    if not play.told:
        return
    gone = play.told.pop(number % len(play.told))
    play.executions.remove(gone.exec_id)
    play.busted.add(gone.ref)
    play.positions[gone.con_id] -= gone.quantity * gone.side.sign
    if number % 2:
        stem, _, revision = gone.exec_id.rpartition(".")
        name = f"{stem}.{int(revision) + 1:02d}"
        play.take(replace(gone, exec_id=name, quantity=D(0), at=play.now, tech=play.now))


def _cancel(play: Play, number: int) -> None:
    """The broker gets to a cancel: ended, or not found."""
    if not play.cancels:
        return
    intent = play.cancels.pop(0)
    one = play.book.get(intent)
    if one is None:
        play.hear(
            m.OrderErrorSeen,
            order_id=play.order(intent).order_id,
            code=10147,
            text="not found",
            verdict="not found",
        )
    elif not one.ended:
        _end(play, one, "Cancelled", number)


def _end(play: Play, one: AtBroker, status: str, number: int) -> None:
    one.ended = status
    if number % 3:
        play.take(order_status(one.order, play.now, status, one.filled))


def _kill(play: Play, number: int) -> None:
    if (one := play.pick(number)) is not None:
        _end(play, one, "Cancelled", number)


def _reject(play: Play, number: int) -> None:
    if (one := play.pick(number)) is not None and not one.filled:
        one.ended = "Inactive"
        play.hear(m.OrderErrorSeen, order_id=one.order.order_id, code=201, text="rejected", verdict="rejected")


def _silence(play: Play, number: int) -> None:
    due = next_deadline(play.state)
    if due is not None:
        play.now = max(play.now, due)
        play.hear(m.TimeReached)


def _snapshot(play: Play, number: int) -> None:
    if number % 4 == 0:
        play.wait(31)
    play.rows()
    if number % 9 == 1:
        play.snapshot(positions=None, failures=(("positions", "no end mark within 30 s"),))
    else:
        play.snapshot()


def _lose_link(play: Play, number: int) -> None:
    play.hear(m.LinkLost, reason="reset by peer")
    while play.queue:
        for order in pair_of(play, play.queue.pop(0)):
            play.hear(m.OrderWithheld, intent=order.intent, reason="the link is gone")
    while play.changes:
        order = play.changes.pop(0)
        play.hear(m.OrderWithheld, intent=order.intent, reason="the link is gone", change=order.changed)


def _crash(play: Play, number: int) -> None:
    """The process dies: what it had queued is gone with it, told to nobody."""
    play.queue.clear()
    play.changes.clear()
    play.cancels.clear()
    play.start()
    _connect(play, number)


def _connect(play: Play, number: int) -> None:
    first = 1 if number % 4 == 3 else play.next_order_id()
    play.hear(m.LinkUp, client_id=1, next_order_id=first, accounts=("DU123456",), server_version=176)
    play.hear(m.ClockSeen, skew_seconds=0.1)
    play.rows()
    play.snapshot(reason="sync")


def _restored(play: Play, number: int) -> None:
    """A fill of ours from after the copy that this journal was restored from."""
    symbol = NAMES[number % 3]
    con_id = CON_IDS[symbol]
    play.positions[con_id] = play.positions.get(con_id, D(0)) + 5
    ref = f"lw:{play.state.journal_id}:{play.state.next_intent + 2}"
    play.stranger(symbol, 5, f"f{len(play.steps):05x}.01", ref=ref)


def _resolve(play: Play, number: int) -> None:
    """A person says what became of the newest order whose outcome is unknown, rightly or wrongly."""
    unknown = [order.intent for order in play.state.live_orders() if order.state is OrderState.UNKNOWN]
    word = ("filled - 99.50", "cancelled", "absent", "rejected")[number % 4]
    for intent in unknown[-1:]:
        play.hear(m.ControlRequested, command="resolve", argument=f"{intent} {word}", by="uid 1000", reason="statement")


def _stranger(play: Play, number: int) -> None:
    """Somebody else's trade, its execution heard or not."""
    symbol, side = NAMES[number % 3], (Side.BUY, Side.SELL)[number % 2]
    con_id = CON_IDS[symbol]
    play.positions[con_id] = play.positions.get(con_id, D(0)) + 5 * side.sign
    if number % 3:
        play.stranger(symbol, 5, f"f{len(play.steps):05x}.01", side)


def _split(play: Play, number: int) -> None:
    """Two new shares for one, in the first instrument of which something is held that agrees."""
    held = (con_id for con_id, (_, quantity) in play.state.account_positions.items() if quantity)
    con_id = next(one for one in held if one not in play.state.quarantines)
    play.split(SYMBOLS[con_id], 2, 1)
    play.snapshot()


def _foreign_order(play: Play, number: int) -> None:
    con_id = 1 + number % 3
    play.hear(
        m.OpenOrderSeen,
        order_id=0,
        client_id=0,
        perm_id=70 + number % 4,
        ref="",
        account="DU123456",
        con_id=con_id,
        symbol=SYMBOLS[con_id],
        side=(Side.BUY, Side.SELL)[number % 2],
        quantity=D(10),
        order_type="LMT",
        limit_price=D(1),
        stop_price=None,
        tif="GTC",
        status="Cancelled" if number % 5 == 0 else "Submitted",
    )


def _command(play: Play, number: int) -> None:
    names = ("halt", "resume", "pause", "resume", "flatten", "resume", "cancel", "unquarantine", "adopt", "resume")
    name = names[number % len(names)]
    argument = NAMES[number // len(names) % 3] if name == "unquarantine" else "all"
    play.hear(m.ControlRequested, command=name, argument=argument, by="uid 1000")


def _data(play: Play, number: int) -> None:
    flaws = ("a hole",) if number % 3 == 0 else ()
    rows = (judged("AAA", *flaws), judged("BBB"), judged("CCC"))
    play.hear(m.DataRefreshed, run_id=f"refresh@{number}", session=DAY, judged=rows)


def _market(play: Play, number: int) -> None:
    symbol = NAMES[number % 3]
    play.prices[symbol] = max(D(1), play.prices[symbol] + number % 5 - 2)


def _backend(play: Play, number: int) -> None:
    play.hear(m.BackendSeen, up=bool(number % 2))


def _unreadable(play: Play, number: int) -> None:
    play.hear(m.MessageUndecodable, message_id=11, raw=("11", "?"), reason="a field is missing", con_id=1 + number % 3)


def _reload(play: Play, number: int) -> None:
    stop = StopRule(fraction=D(3 + number % 5) / 100, trails=number % 4 == 1) if number % 2 else play.settings.stop
    settings = replace(
        play.settings, stop=stop, max_weight=D(1 + number % 4) / 10, max_gross_exposure=D(5 + number % 6) / 10
    )
    play.hear(m.ConfigLoaded, settings=settings, sha256=str(number))


def _fail(play: Play, number: int) -> None:
    play.hear(m.StrategyFailed, run_id=f"signals@{number}", strategy="trend", session=DAY, reason="it raised")


def _job(play: Play, number: int) -> None:
    play.hear(m.JobSeen, job="refresh", run_id=f"refresh@{number}", outcome="finished", valid_until=play.now)


def _missing(play: Play, number: int) -> None:
    play.hear(m.InstrumentsSeen, instruments=(), missing=(("DDD", f"no security definition ({number % 2})"),))


def _loss(play: Play, number: int) -> None:
    """Two readings show a tenth of the equity lost, and a person says that some of it was taken out."""
    for _ in range(2):
        play.wait(31)
        play.rows()
        play.snapshot(net_liquidation=D(90_000))
    play.hear(m.ControlRequested, command="flow", argument=f"-{number}.50", by="uid 1000", reason="rent")


def _rivals(play: Play, number: int) -> None:
    """One strategy wants of AAA what the other has had of it."""
    halves = (("other", D("0.5")), ("trend", D("0.5")))
    play.hear(m.ConfigLoaded, settings=replace(play.settings, allocations=halves), sha256="halves")
    play.targets(AAA="0")
    play.targets("other", AAA="0.5")
    play.rebalance()


def _delayed(play: Play, number: int) -> None:
    """A rebalance on delayed quotes, by leave of the settings."""
    play.hear(m.ConfigLoaded, settings=replace(play.settings, allow_delayed_data=True), sha256=f"delayed{number}")
    play.targets(CCC=str(D(1 + number % 3) / 10))
    play.rebalance(quotes=tuple(replace(quote, market_data_type=3) for quote in play.quotes()))


def _what_if(play: Play, number: int) -> None:
    """An entry asks first what it would bind, and the broker's answer is too much."""
    play.hear(m.ConfigLoaded, settings=replace(play.settings, what_if=True), sha256=f"what if {number}")
    play.targets(BBB="0.1")
    play.rebalance()
    for asked in list(play.state.what_ifs.values()):
        told = {"initial_margin": D(190_000 + number), "maintenance_margin": D(4500), "equity": D(90_000)}
        play.hear(m.WhatIfSeen, order_id=asked.order_id, client_id=1, **told)
    play.hear(m.ConfigLoaded, settings=play.settings, sha256="c0ffee")


ACTS: dict[str, Callable[[Play, int], None]] = {
    "rebalance": _rebalance,
    "again": _again,
    "write": _write,
    "acknowledge": _acknowledge,
    "modify": _modify,
    "change": _change,
    "fill": _fill,
    "correct": _correct,
    "bust": _bust,
    "cancel": _cancel,
    "kill": _kill,
    "reject": _reject,
    "silence": _silence,
    "snapshot": _snapshot,
    "lose link": _lose_link,
    "connect": _connect,
    "crash": _crash,
    "stranger": _stranger,
    "foreign order": _foreign_order,
    "command": _command,
    "data": _data,
    "market": _market,
    "backend": _backend,
    "unreadable": _unreadable,
    "reload": _reload,
    "fail": _fail,
    "job": _job,
    "missing": _missing,
}
# Told of once, in the golden day: splits have tests of their own, in every play a restored journal would leave little
# to trade, and a person's wrong word on an order would be the truth of a book that has no other.
ONCE: dict[str, Callable[[Play, int], None]] = {
    "restored": _restored,
    "resolve": _resolve,
    "split": _split,
    "loss": _loss,
    "rivals": _rivals,
    "delayed": _delayed,
    "what if": _what_if,
}
TRADING = ("rebalance", "write", "write", "acknowledge", "fill", "fill", "snapshot", "silence", "cancel")

acts = st.one_of(st.sampled_from(TRADING), st.sampled_from(sorted(ACTS)))
short_plays = st.lists(st.tuples(acts, st.integers(0, 5_000)), max_size=40)


def long_play(seed: int) -> list[tuple[str, int]]:
    """A hundred acts, half of them trading."""
    random = Random(seed)
    names = [*TRADING * 3, *sorted(ACTS)]
    return [(random.choice(names), random.randrange(5_000)) for _ in range(100)]


plays = st.one_of(short_plays, st.builds(long_play, st.integers(0, 2**32)))

A_DAY: tuple[tuple[str, int], ...] = (
    ("what if", 1),
    ("rebalance", 4 * 49 + 3 * 7 + 2),
    ("write", 1),
    ("write", 2),
    ("write", 5),
    ("acknowledge", 0),
    ("acknowledge", 1),
    ("modify", 7 * 15 + 4 * 11 + 2),
    ("change", 2),
    ("fill", 2),
    ("fill", 4),
    ("silence", 0),
    ("snapshot", 4),
    ("cancel", 1),
    ("stranger", 1),
    ("foreign order", 1),
    ("correct", 0),
    ("unreadable", 1),
    ("command", 0),
    ("command", 1),
    ("rebalance", 2 * 49 + 5),
    ("write", 1),
    ("silence", 0),
    ("resolve", 1),
    ("acknowledge", 2),
    ("lose link", 0),
    ("connect", 0),
    ("rebalance", 2 * 49 + 5),
    ("write", 1),
    ("crash", 0),
    ("snapshot", 9),
    ("snapshot", 4),
    ("fail", 1),
    ("data", 3),
    ("job", 1),
    ("reload", 2),
    ("market", 4),
    ("rebalance", 49),
    ("write", 1),
    ("fill", 1),
    ("snapshot", 10),
    ("snapshot", 8),
    ("command", 17),
    ("command", 8),
    ("missing", 0),
    ("command", 4),
    ("restored", 2),
    ("command", 1),
    ("command", 27),
    ("resolve", 2),
    ("rebalance", 4 * 49 + 2 * 7 + 3),
    ("write", 1),
    ("silence", 0),
    ("resolve", 1),
    ("delayed", 1),
    ("acknowledge", 2),
    ("kill", 2),
    ("command", 1),
    ("bust", 0),
    ("snapshot", 4),
    ("snapshot", 8),
    ("split", 0),
    ("reload", 7),
    ("snapshot", 4),
    ("write", 1),
    ("acknowledge", 0),
    ("acknowledge", 1),
    ("loss", 100),
    ("command", 9),
    ("rivals", 0),
)
"""A day with something of everything: the golden journal's."""


def played(acts: Iterable[tuple[str, int]], play: Play | None = None) -> Play:
    """A world that is ready, then these acts."""
    play = play or Play()
    play.start()
    play.connect()
    play.hear(m.DataRefreshed, run_id="refresh@1", session=DAY - timedelta(days=1), judged=tuple(map(judged, NAMES)))
    play.wait(90)
    play.snapshot()
    for name, number in acts:
        play.act(name, number)
    return play

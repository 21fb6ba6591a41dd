"""A story's messages told in any order, with any left out, and what the daemon may claim meanwhile and must know after.

The claims are judged by the gateway's books alone (stories.py). A claim is a terminal state with what has filled and at
what price; an order that is live, or unknown, claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import perm
from typing import Any

from longwatch.broker.codes import CODES, Asked, row_of
from longwatch.domain import messages as m
from longwatch.domain.decide import next_deadline, step
from longwatch.domain.order_life.inference import PREFIX
from longwatch.domain.orders import TERMINAL, Order, OrderState
from longwatch.domain.state import State
from tests.domain.stories import Download, Stage, Truth
from tests.domain.world import ACCOUNT, CLIENT, CLOSE, EQUITY, World

D = Decimal
NEARLY = D("1e-9")
WORKS = "Submitted"
ROUNDS = 8
"""Of downloads after the last message; two settle whatever the broker still shows."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The link is lost and made again, and everything is downloaded as it stands by then."""


@dataclass(frozen=True, slots=True)
class Again:
    """A message heard before is heard once more: the `back`th last."""

    back: int


Letter = m.Event | Reset | Again


@dataclass(slots=True)
class Daemon:
    """A daemon that sent the orders of a story and hears of them; copied where tellings part."""

    state: State
    now: datetime
    stages: Sequence[Stage]
    stage: int = -1
    heard: tuple[m.Event, ...] = ()
    known: frozenset[str] = frozenset()
    """Ids of executions heard by whatever way."""
    cancels: list[m.CancelOrder] = field(default_factory=list)

    def copied(self) -> Daemon:
        other = copy(self)
        other.state = copied(self.state)
        other.cancels = []
        return other

    def hear(self, letter: Letter) -> None:
        match letter:
            case Reset():
                self.reset()
            case Again(back=back):
                if self.heard:
                    self.take(self.heard[-1 - back % len(self.heard)])
            case _:
                self.stage = max(self.stage, stage_of(self.stages, letter))
                self.heard = (*self.heard, letter)
                self.take(letter)

    def take(self, event: m.Event) -> None:
        self.now = max(self.now + timedelta(seconds=0.5), event.at)
        due = next_deadline(self.state)
        if due is not None and due <= self.now:
            self.do(m.TimeReached(at=self.now, tech=self.now))
        if isinstance(event, m.ExecutionSeen):
            self.known = self.known | {event.exec_id}
        self.do(replace(event, at=self.now, tech=self.now))

    def do(self, event: m.Event) -> None:
        """What the daemon decides to send besides cancels never leaves: a story's orders were sent before it began."""
        for effect in step(self.state, event).effects:
            match effect:
                case m.CancelOrder():
                    self.cancels.append(effect)
                case m.SubmitOrder() | m.ModifyOrder():
                    self.withhold(effect.order)

    def withhold(self, order: Order) -> None:
        number = order.change.number if order.change is not None else 0
        self.do(m.OrderWithheld(at=self.now, tech=self.now, intent=order.intent, reason="no link", change=number))

    def reset(self) -> None:
        """What the downloads show is at least as new as the newest message heard."""
        self.do(m.LinkLost(at=self.now, tech=self.now, reason="reset by peer"))
        self.now += timedelta(seconds=2)
        ids = (order.order_id or 0 for order in self.state.orders.values())
        up = m.LinkUp(
            at=self.now,
            tech=self.now,
            client_id=CLIENT,
            next_order_id=1 + max(ids, default=0),
            accounts=(ACCOUNT,),
            server_version=176,
        )
        self.do(up)
        self.download("sync")

    def download(self, reason: str) -> None:
        started = self.now
        shown = self.stages[self.stage].download if self.stage >= 0 else NOTHING
        for row in shown.rows:
            self.take(row)
        self.now += timedelta(seconds=1)
        self.do(
            m.SnapshotSeen(
                at=self.now,
                tech=self.now,
                reason=reason,
                positions=shown.positions,
                open_perm_ids=shown.open_perm_ids,
                completed_perm_ids=shown.completed_perm_ids,
                exec_ids=shown.exec_ids,
                net_liquidation=EQUITY,
                cash=EQUITY,
                started_tech=started,
            )
        )

    def settle(self) -> None:
        """An honest reading of how it all ended, as after a reconnect, and the regular ones that follow."""
        self.stage = len(self.stages) - 1
        self.now = max(self.now, self.stages[-1].at)
        self.reset()
        for _ in range(ROUNDS):
            if all(not order.is_live for order in self.state.orders.values()) and not self.differs():
                return
            self.answer_cancels()
            self.now += timedelta(seconds=31)
            self.download("reconcile")
        if all(truth.ends for truth in self.stages[-1].truths.values()):
            # Shares that were taken back before they were heard of are waited for until the session is over.
            self.now = max(self.now, CLOSE + timedelta(minutes=2))
            self.download("reconcile")
            self.now += timedelta(seconds=31)
            self.download("reconcile")

    def differs(self) -> bool:
        return bool(self.state.compared and self.state.compared.differences)

    def answer_cancels(self) -> None:
        """What the gateway answers to the cancels that the daemon has sent."""
        asked, self.cancels = self.cancels, []
        truths = self.stages[-1].truths
        for effect in asked:
            is_a_question = effect.order_id != self.state.orders[effect.intent].order_id
            truth = None if is_a_question else truths.get(effect.intent)
            if truth is not None and not truth.ends and truth.exists:
                continue
            code = 10148 if truth is not None and truth.exists else 10147
            said: Any = row_of(code, CODES).said(Asked.CANCEL)
            self.take(
                m.OrderErrorSeen(at=self.now, tech=self.now, order_id=effect.order_id, code=code, text="told", **said)
            )

    # ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────────

    def false_claim(self) -> str | None:
        """What the daemon claims of an order by now that is not so, or None."""
        for order in self.state.orders.values():
            if order.state not in TERMINAL:
                if order.remaining < self.truth(order).left:
                    return f"{order.ref} is thought to have {order.remaining} left; in truth {self.truth(order).left}"
                continue
            truth = self.truth(order)
            if order.state not in truth.ends:
                return f"{order.ref} is claimed {order.state.value}; in truth {_words(truth)}"
            if self.is_pending(order):
                if order.filled != truth.filled:
                    return f"{order.ref} is claimed to have filled {order.filled}; in truth {truth.filled}"
                continue
            fills = self.told_fills(order)
            if isinstance(fills, str):
                return fills
            if wrong := self._differs_from(order, truth, fills):
                return wrong
        return None

    def truth(self, order: Order, stage: int = -1) -> Truth:
        """The order at the gateway, as it stood after a stage."""
        return self.stages[stage].truths.get(order.intent, UNSENT)

    def _differs_from(self, order: Order, truth: Truth, fills: dict[str, tuple[Decimal, Decimal]]) -> str | None:
        """Told executions count, but those the exchange has since taken back without a word may be left out."""
        wrong = _differ(order, Truth(ends=truth.ends, fills=fills))
        books = self.truth(order, max(self.stage, 0)).fills
        still = {stem: fill for stem, fill in fills.items() if stem in books}
        return wrong and _differ(order, Truth(ends=truth.ends, fills=still)) and wrong

    def is_pending(self, order: Order) -> bool:
        """Whether shares of it were concluded from the account: their price is said to be pending, not their number."""
        return any(
            fill.intent == order.intent and fill.exec_id.startswith(PREFIX) for fill in self.state.fills.values()
        )

    def told_fills(self, order: Order) -> dict[str, tuple[Decimal, Decimal]] | str:
        """The order's executions as they had been told by now: each at its newest revision heard.

        One that is in the books for good, and has not been heard, makes any claim of an end a false one.
        """
        fills = {}
        for row in self.executions(order):
            stem, _, revision = row.exec_id.rpartition(".")
            if row.exec_id in self.known and (stem not in fills or fills[stem][2] < revision):
                fills[stem] = (row.quantity, row.price, revision)
        for stem in self.truth(order).fills:
            if stem not in fills:
                return f"{order.ref} is claimed {order.state.value} before {stem} was heard of"
        return {stem: (quantity, price) for stem, (quantity, price, _) in fills.items()}

    def executions(self, order: Order) -> Iterator[m.ExecutionSeen]:
        for stage in self.stages:
            for row in (*stage.messages, *stage.download.rows):
                if isinstance(row, m.ExecutionSeen) and row.ref == order.ref:
                    yield row

    def wrong_in_the_end(self) -> str | None:
        """What is not known as it is, after everything has been read; None also where the daemon says it can't know."""
        doubtful = self.state.quarantines
        all_ended = all(truth.ends for truth in self.stages[-1].truths.values())
        for order in self.state.orders.values():
            truth = self.truth(order)
            waits = order.ending is not None and order.told < order.reported and not all_ended
            if order.state is OrderState.UNKNOWN or order.con_id in doubtful or waits:
                continue
            if not truth.exists and order.state in (OrderState.ABSENT, OrderState.EXPIRED):
                continue
            if not truth.ends:
                if not order.is_live:
                    return f"{order.ref} is claimed {order.state.value}; in truth it works"
                if order.remaining > truth.left + truth.gone:
                    return f"{order.ref} is thought to have {order.remaining} left in the end; in truth {truth.left}"
            elif order.state not in truth.ends:
                return f"{order.ref} is {order.state.value} in the end; in truth {_words(truth)}"
            if wrong := _differ(order, truth, price=not self.is_pending(order)):
                return wrong
        held = {row.con_id: row.quantity for row in self.stages[-1].download.positions}
        for con_id in {order.con_id for order in self.state.orders.values()} - set(doubtful):
            if self.state.held(con_id) != held.get(con_id, 0):
                return f"{self.state.held(con_id)} of {con_id} in the book, {held.get(con_id, 0)} in truth"
        return None

    def is_unsure(self) -> bool:
        """Whether it says of some order, or instrument, that it can't know."""
        unknown = any(order.state is OrderState.UNKNOWN for order in self.state.orders.values())
        return unknown or bool(self.state.quarantines)


UNSENT = Truth(ends=frozenset({OrderState.UNSENT}), fills={}, exists=False)
NOTHING = Download(rows=(), positions=(), open_perm_ids=(), completed_perm_ids=(), exec_ids=())


def _words(truth: Truth) -> str:
    return " or ".join(sorted(end.value for end in truth.ends)) or "live"


def _differ(order: Order, truth: Truth, *, price: bool = True) -> str | None:
    if order.filled == truth.filled and (not price or abs(order.average_price - truth.average) < NEARLY):
        return None
    return (
        f"{order.ref} is {order.state.value} after {order.filled} at {order.average_price}; "
        f"in truth {truth.filled} at {truth.average}"
    )


def copied(state: State) -> State:
    """A state that folds on by itself; what is in it is frozen."""
    other = copy(state)
    for spec in fields(State):
        value = getattr(other, spec.name)
        if isinstance(value, dict):
            setattr(other, spec.name, dict(value))
    return other


def stage_of(stages: Sequence[Stage], message: m.Event) -> int:
    return next(number for number, stage in enumerate(stages) if message in stage.messages)


def letters(stages: Sequence[Stage]) -> list[m.Event]:
    """The messages of a story, each once: what says the same again is a duplicate."""
    found: dict[m.Event, m.Event] = {}
    for stage in stages:
        for message in stage.messages:
            told = replace(message, at=stages[0].at, tech=stages[0].at)
            found.setdefault(told, message)
    return list(found.values())


def core(stages: Sequence[Stage]) -> list[m.Event]:
    """The letters without those that say to the daemon what another of them says: every order of these can be told.

    Of one order PreSubmitted is Submitted to it where the size is the same, PendingCancel as well, a row of an order
    that has ended names it and no more, and of several commissions or positions the newest stands for all. Where
    statuses tell of fills, the first says nothing that its openOrder does not.
    """
    every = letters(stages)
    owners = {one.exec_id: one.order_id for one in every if isinstance(one, m.ExecutionSeen)}
    of_order: dict[int, list[m.Event]] = {}
    for one in every:
        owner = owners.get(one.exec_id, 0) if isinstance(one, m.CommissionSeen) else getattr(one, "order_id", 0)
        of_order.setdefault(owner, []).append(one)
    needless = [one for mine in of_order.values() for one in mine if _says_nothing_new(one, mine)]
    return [one for one in every if one not in needless]


def _says_nothing_new(one: m.Event, every: Sequence[m.Event]) -> bool:
    """Whether others of the messages about its order say the same."""
    match one:
        case m.CommissionSeen() | m.PositionSeen():
            return next(other for other in reversed(every) if type(other) is type(one)) is not one
        case m.OpenOrderSeen():
            sizes = {other.quantity for other in every if isinstance(other, m.OpenOrderSeen) and other.status == WORKS}
            return one.status == "Filled" or (one.status != WORKS and one.quantity in sizes)
        case m.OrderStatusSeen():
            told = [other for other in every if isinstance(other, m.OrderStatusSeen)]
            waits = one.status in ("PreSubmitted", "PendingCancel") and any(other.status == WORKS for other in told)
            return waits or (one.status == WORKS and not one.filled and any(other.filled for other in told))
        case _:
            return False


def after(daemon: Daemon) -> str | None:
    """What is wrong once everything has been heard a second time and then read; the telling goes on from before."""
    other = daemon.copied()
    for event in other.heard:
        other.take(event)
        if wrong := other.false_claim():
            return f"after a duplicate: {wrong}"
    other.settle()
    return other.wrong_in_the_end()


def sent(orders: int = 1, *, cancel: bool = False) -> World:
    """A world with so many orders handed to the transport: AAA, AAA again, BBB; cancelled by a person, if so asked."""
    world = World.ready()
    for weights in ({"AAA": "0.1"}, {"AAA": "0.2"}, {"AAA": "0.2", "BBB": "0.1"})[:orders]:
        world.handed(world.one(**weights))
    if cancel:
        world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
    return world


def daemon_of(world: World, stages: Sequence[Stage]) -> Daemon:
    return Daemon(state=copied(world.state), now=world.now, stages=stages)


def tell(daemon: Daemon, told: Iterable[Letter]) -> str | None:
    """Tell these letters one by one, then settle; what went wrong first, or None."""
    for letter in told:
        daemon.hear(letter)
        if wrong := daemon.false_claim():
            return wrong
    return after(daemon)


Telling = tuple[int, ...]
"""Letters by their numbers in an alphabet."""


def every_telling(daemon: Daemon, alphabet: Sequence[Letter], most: int) -> Iterator[tuple[Telling, str | None]]:
    """Every order of every choice of at most so many letters, with what is wrong after it."""
    yield (), after(daemon)
    stack: list[tuple[Daemon, Telling]] = [(daemon, ())]
    while stack:
        former, numbers = stack.pop()
        for number in range(len(alphabet)):
            if number in numbers:
                continue
            branch = former.copied()
            branch.hear(alphabet[number])
            path = (*numbers, number)
            yield path, branch.false_claim() or after(branch)
            if len(path) < most:
                stack.append((branch, path))


def tellings_of(alphabet: int, most: int) -> int:
    """How many `every_telling` makes of so many letters."""
    return sum(perm(alphabet, length) for length in range(min(most, alphabet) + 1))

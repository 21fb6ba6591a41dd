"""The one flow: inbox → decide and fold → journal → perform → publish; built by app.py, and all there is to the daemon.

Effects and publishing of a batch wait for its commit; the next batch may be decided meanwhile. When the journal can't
be written nothing new is sent: cancels and alerts are still performed, and everything is kept until it can.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.decide import NOTHING, Step, follow, gate, knows, next_deadline
from longwatch.domain.quotes import Quotes, no_quotes
from longwatch.domain.state import State, evolve
from longwatch.engine import undigested
from longwatch.engine.inbox import Inbox
from longwatch.errors import JournalError
from longwatch.journal.codec import encode
from longwatch.journal.records import Journal, Record, Settled

BATCH, IN_FLIGHT = 256, 64
COMMIT_SECONDS, REOPEN_SECONDS = 10.0, 5.0
"""A commit that takes longer has failed: the kill switch does not wait for a disk, which is then tried again."""

Perform = Callable[[m.Effect], None]
Observe = Callable[[m.Event, Step], None]
Steps = Sequence[tuple[m.Event, Step]]

_LOG = logging.getLogger("longwatch.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """`committed` is None when the journal was known to be broken and was not asked."""

    committed: Awaitable[None] | None
    steps: Steps
    records: int
    last_sequence: int
    began: float


class Engine:
    """Owner of the state.

    `perform` acts on one effect at once and never waits; `observe` is told what was decided, once it is durable;
    `committed` of each commit's number of records and seconds.
    """

    def __init__(
        self,
        *,
        state: State,
        journal: Journal,
        inbox: Inbox,
        clock: Clock,
        perform: Perform,
        observe: Observe,
        committed: Callable[[int, float], None] = lambda records, seconds: None,
    ) -> None:
        self.state = state
        self.inbox = inbox
        self.undigested = 0
        self._journal = journal
        self._clock = clock
        self._perform = perform
        self._observe = observe
        self._told_commit = committed
        self._sequence = journal.last_sequence
        self._batches: asyncio.Queue[_Batch] = asyncio.Queue(maxsize=IN_FLIGHT)
        # Decided and not settled; of these, asked of the journal.
        self._open = 0
        self._asked = 0
        # Records not known to be durable, in order; jobs put off while the journal is broken.
        self._pending: deque[Record] = deque()
        self._put_off: list[m.RunJob] = []
        self._broken = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._asked_about: dict[int, tuple[m.Event, asyncio.Future[bool]]] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        self._journal.watch(self._break)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._decide(), name="decide")
                group.create_task(self._settle(), name="settle")
                group.create_task(self._mend(), name="mend-journal")
        finally:
            self._stop_alarm()

    @property
    def journal_failure(self) -> str | None:
        """Why nothing new may be sent, or None: the journal is well and takes everything decided."""
        if self._journal.failure is not None:
            return self._journal.failure
        return "what was decided is not in it yet" if self._broken.is_set() else None

    @property
    def is_idle(self) -> bool:
        """Whether everything heard has been decided, committed and performed."""
        return not len(self.inbox) and not self._open

    def may_send(self, intent: int, quotes: Quotes = no_quotes) -> str | None:
        """The order gate, asked when an order's bytes would be written: None, or the reason to withhold it."""
        if (failure := self.journal_failure) is not None:
            return f"the journal can't be written: {failure}"
        return gate(self.state, intent, self._clock.technical(), quotes)

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        """Wait until the state satisfies `holds`, looked at now and after every commit; False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(self.state):
                    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.append(changed)
                    await changed
        except TimeoutError:
            return False
        return True

    async def decided(self, event: m.Event, seconds: float) -> bool:
        """Put an event into the inbox; whether it was decided on and is durable within `seconds`."""
        durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked_about[id(event)] = (event, durable)
        self.inbox.put(event)
        try:
            async with asyncio.timeout(seconds):
                return await durable
        except TimeoutError:
            return False
        finally:
            del self._asked_about[id(event)]

    def checkpoint(self, least: int | None = None) -> None:
        """Store the state as it stands after the last event decided on, if the journal finds that worth while."""
        if not self._broken.is_set():
            self._journal.checkpoint(self._sequence, self.state, least)

    # ── decide ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _decide(self) -> None:
        while True:
            events = await self.inbox.take(BATCH)
            self._open += 1
            records: list[Record] = []
            steps = [self._step(event, records) for event in events]
            await self._batches.put(self._committing(steps, records))
            self.checkpoint()
            self._set_alarm()

    def _step(self, event: m.Event, records: list[Record]) -> tuple[m.Event, Step]:
        """Decide on one event, and add it with its facts to the records."""
        if knows(self.state, event):
            return event, NOTHING
        try:
            heard = encode(self._sequence + 1, 0, event)
        except JournalError as error:
            event, what = self._unwritable(event, str(error))
            heard = encode(self._sequence + 1, 0, event)
        else:
            what = self._digest(event)
            if isinstance(event, m.RETOLD) and not what.facts and not what.effects:
                return event, what
        records.append(heard)
        self._sequence = heard.sequence
        for fact in what.facts:
            self._sequence += 1
            records.append(encode(self._sequence, heard.sequence, fact))
        return event, what

    def _digest(self, event: m.Event) -> Step:
        """Decide on one event; one that can't be digested stops only itself, and what it led to before is kept."""
        facts: list[m.Fact] = []
        effects: list[m.Effect] = []
        try:
            follow(self.state, event, facts, effects)
        except Exception as error:  # noqa: BLE001 - firewall "task": one bad event stops only itself
            _LOG.exception("an event could not be digested and is kept: %s", type(event).__name__)
            self._keep(event, f"{type(error).__name__}: {error}", facts, effects)
        return Step(tuple(facts), tuple(effects))

    def _unwritable(self, event: m.Event, reason: str) -> tuple[m.Event, Step]:
        """An event with text that no journal can hold is kept as its own description, and not decided on."""
        facts: list[m.Fact] = []
        effects: list[m.Effect] = []
        self._keep(event, reason, facts, effects)
        return undigested.notice_of(event), Step(tuple(facts), tuple(effects))

    def _keep(self, event: m.Event, reason: str, facts: list[m.Fact], effects: list[m.Effect]) -> None:
        self.undigested += 1
        for fact in undigested.facts_of(self.state, event, reason):
            evolve(self.state, fact)
            facts.append(fact)
        effects.append(undigested.alert_of(event, reason))

    def _committing(self, steps: Steps, records: list[Record]) -> _Batch:
        """Hand the records to the journal at once, unless it is broken: they then wait to be written in order."""
        began = self._clock.monotonic()
        self._pending.extend(records)
        committed: Awaitable[None] | None = None
        if not self._broken.is_set():
            committed = self._journal.append(records)
            self._asked += 1
        return _Batch(committed=committed, steps=steps, records=len(records), last_sequence=self._sequence, began=began)

    # ── settle ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _settle(self) -> None:
        """Perform and publish what is durable, in order."""
        while True:
            batch = await self._batches.get()
            durable = await self._is_durable(batch)
            if durable:
                self._perform_all(batch.steps)
            else:
                self._perform_without_journal(batch.steps)
            self._open -= 1
            self._answer(batch.steps, durable)
            waiting, self._waiting = self._waiting, []
            for changed in waiting:
                if not changed.done():
                    changed.set_result(None)

    def _answer(self, steps: Steps, durable: bool) -> None:
        """Whoever asked about one of these events is told what became of it."""
        for event, _ in steps if self._asked_about else ():
            asked = self._asked_about.get(id(event))
            if asked is not None and not asked[1].done():
                asked[1].set_result(durable)

    async def _is_durable(self, batch: _Batch) -> bool:
        if batch.committed is None:
            return False
        try:
            async with nullcontext() if isinstance(batch.committed, Settled) else asyncio.timeout(COMMIT_SECONDS):
                await batch.committed
        except (JournalError, TimeoutError) as error:
            self._break(str(error) or f"no answer from the disk within {COMMIT_SECONDS:g} s")
            return False
        finally:
            self._asked -= 1
        self._written(batch.last_sequence)
        self._told_commit(batch.records, max(self._clock.monotonic() - batch.began, 0.0))
        return True

    def _perform_all(self, steps: Steps) -> None:
        for event, what in steps:
            for effect in what.effects:
                self._do(effect)
            self._tell(event, what)

    def _perform_without_journal(self, steps: Steps) -> None:
        """The kill switch still cancels; an order decided but not durable is withheld, a job is put off."""
        for event, what in steps:
            for effect in what.effects:
                match effect:
                    case m.SubmitOrder() | m.ModifyOrder() | m.RequestWhatIf():
                        self._withhold(effect)
                    case m.RunJob():
                        self._put_off.append(effect)
                    case _:
                        self._do(effect)
            self._tell(event, what)

    def _do(self, effect: m.Effect) -> None:
        try:
            self._perform(effect)
        except Exception:  # noqa: BLE001 - firewall "task": an effect that fails stops only itself
            _LOG.exception("an effect could not be performed: %s", type(effect).__name__)

    def _tell(self, event: m.Event, what: Step) -> None:
        try:
            self._observe(event, what)
        except Exception:  # noqa: BLE001 - firewall "task": telling what was done must not stop the doing
            _LOG.exception("what was decided could not be told: %s", type(event).__name__)

    def _withhold(self, effect: m.SubmitOrder | m.ModifyOrder | m.RequestWhatIf) -> None:
        reason = f"the journal can't be written: {self.journal_failure}"
        at, tech, stop = self._clock.market(), self._clock.technical(), getattr(effect, "attached", None)
        for order in (effect.order, stop) if stop is not None else (effect.order,):
            self.inbox.put(m.OrderWithheld(at=at, tech=tech, intent=order.intent, reason=reason, change=order.changed))

    # ── a broken journal ────────────────────────────────────────────────────────────────────────────────────────────

    def _break(self, reason: str) -> None:
        if self._broken.is_set():
            return
        self._broken.set()
        text = f"nothing new is sent: {reason}; free space or mend the disk, the daemon goes on by itself"
        self._do(m.RaiseAlert(key="journal_failed", text=text, severity="critical"))

    async def _mend(self) -> None:
        """Try until the journal takes everything kept meanwhile, in order and once."""
        while True:
            await self._broken.wait()
            await asyncio.sleep(REOPEN_SECONDS)
            if self._asked:
                continue  # The journal's answers to what it was asked before come first.
            try:
                await self._write_pending()
            except (JournalError, TimeoutError) as error:
                _LOG.error("the journal still can't be written: %s", error or "no answer from the disk")
                continue
            self._broken.clear()
            self._do(m.RaiseAlert(key="journal_back", text="the journal is written again; nothing was lost"))
            put_off, self._put_off = self._put_off, []
            for job in put_off:
                self._do(job)

    async def _write_pending(self) -> None:
        """Write what is not durable; a batch that failed may be durable all the same, so the journal is asked first."""
        async with asyncio.timeout(COMMIT_SECONDS):
            self._written(await self._journal.reopen())
        while self._pending:
            batch = list(self._pending)
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._journal.append(batch)
            self._written(batch[-1].sequence)

    def _written(self, last_sequence: int) -> None:
        while self._pending and self._pending[0].sequence <= last_sequence:
            self._pending.popleft()

    # ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _set_alarm(self) -> None:
        """Wake at the earliest deadline in the state: deadlines are data, this timer only looks at them."""
        self._stop_alarm()
        due = next_deadline(self.state)
        if due is not None:
            wait = max((due - self._clock.technical()).total_seconds(), 0.001)
            self._alarm = asyncio.get_running_loop().call_later(wait, self._time_reached)

    def _stop_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _time_reached(self) -> None:
        self._alarm = None
        self.inbox.put(m.TimeReached(at=self._clock.market(), tech=self._clock.technical()))

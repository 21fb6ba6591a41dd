"""The one flow: inbox → decide and fold → journal → perform → publish; built by app.py, and all there is to the daemon.

Effects and publishing of a batch wait for its commit; the next batch may be decided meanwhile. When the journal can't be
written nothing new is sent: only cancels and alerts are performed, and everything is kept until the journal is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from longwatch.clock import Clock
from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate, next_deadline, step
from longwatch.domain.state import State, evolve
from longwatch.engine.inbox import Inbox
from longwatch.errors import JournalError
from longwatch.journal.codec import encode
from longwatch.journal.records import Journal, Record

BATCH = 256
IN_FLIGHT = 64
REOPEN_SECONDS = 5.0

Perform = Callable[[m.Effect], None]
Observe = Callable[[m.Event, Step], None]

_LOG = logging.getLogger("longwatch.engine")


@dataclass(slots=True)
class _Batch:
    committed: Awaitable[None]
    steps: Sequence[tuple[m.Event, Step]]
    records: int
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
        self._unsaved: list[Record] = []
        self._batches: asyncio.Queue[_Batch] = asyncio.Queue(maxsize=IN_FLIGHT)
        self._alarm: asyncio.TimerHandle | None = None
        self._busy = False
        self._waiting: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._decide(), name="decide")
            group.create_task(self._settle(), name="settle")

    @property
    def journal_failure(self) -> str | None:
        """Why nothing new may be sent, or None: the journal is well and holds everything decided."""
        if self._journal.failure is not None:
            return self._journal.failure
        return "the journal is being written again" if self._unsaved else None

    @property
    def is_idle(self) -> bool:
        """Whether everything heard has been decided, committed and performed."""
        return not len(self.inbox) and self._batches.empty() and not self._busy

    def may_send(self, intent: int) -> str | None:
        """The order gate, asked when an order's bytes would be written: None, or the reason to withhold it."""
        failure = self.journal_failure
        if failure is not None:
            return f"the journal can't be written: {failure}"
        return gate(self.state, intent, self._clock.technical())

    async def wait_until(self, holds: Callable[[State], bool], seconds: float) -> bool:
        """Wait until the committed state satisfies `holds`, looked at after every batch; False after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(self.state):
                    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.append(changed)
                    await changed
        except TimeoutError:
            return False
        return True

    async def _decide(self) -> None:
        while True:
            events = await self.inbox.take(BATCH)
            self._busy = True
            steps = [(event, self._digest(event)) for event in events]
            records = self._records(steps)
            began = self._clock.monotonic()
            await self._batches.put(_Batch(self._append(records), steps, len(records), began))
            self._set_alarm()

    def _digest(self, event: m.Event) -> Step:
        """Decide on one event; one that can't be digested stops only itself, and trading in its instrument."""
        try:
            return step(self.state, event)
        except Exception as error:
            self.undigested += 1
            _LOG.exception("an event could not be digested and is kept: %s", type(event).__name__)
            return self._keep(event, f"{type(error).__name__}: {error}")

    def _keep(self, event: m.Event, reason: str) -> Step:
        con_id = getattr(event, "con_id", None)
        facts: list[m.Fact] = [m.EventKept(kind=type(event).__name__, reason=reason, con_id=con_id)]
        if con_id is not None:
            symbol = getattr(event, "symbol", str(con_id))
            facts.append(
                m.QuarantineSet(con_id=con_id, symbol=symbol, reason=f"an undigested event: {reason}", tech=event.tech)
            )
        for fact in facts:
            evolve(self.state, fact)
        text = f"{type(event).__name__} could not be digested: {reason}; the event is in the journal"
        return Step(tuple(facts), (m.RaiseAlert(key="undigested", text=text, severity="critical"),))

    def _records(self, steps: Sequence[tuple[m.Event, Step]]) -> list[Record]:
        records: list[Record] = []
        for event, what in steps:
            self._sequence += 1
            cause = self._sequence
            records.append(encode(cause, 0, event))
            for fact in what.facts:
                self._sequence += 1
                records.append(encode(self._sequence, cause, fact))
        return records

    def _append(self, records: list[Record]) -> Awaitable[None]:
        if self._unsaved:
            self._unsaved.extend(records)
            return _refused()
        committed = self._journal.append(records)
        return self._kept_when_refused(committed, records)

    async def _kept_when_refused(self, committed: Awaitable[None], records: list[Record]) -> None:
        try:
            await committed
        except JournalError:
            first = not self._unsaved
            self._unsaved.extend(records)
            if first:
                self._raise_alarm_about_journal()
            raise

    async def _settle(self) -> None:
        """Perform and publish what is durable, in order."""
        while True:
            batch = await self._batches.get()
            try:
                await batch.committed
            except JournalError:
                self._perform_without_journal(batch.steps)
            else:
                self._told_commit(batch.records, self._clock.monotonic() - batch.began)
                self._perform_all(batch.steps)
            self._busy = not self._batches.empty() or len(self.inbox) > 0
            waiting, self._waiting = self._waiting, []
            for changed in waiting:
                if not changed.done():
                    changed.set_result(None)

    def _perform_all(self, steps: Sequence[tuple[m.Event, Step]]) -> None:
        for event, what in steps:
            for effect in what.effects:
                self._perform(effect)
            self._observe(event, what)

    def _perform_without_journal(self, steps: Sequence[tuple[m.Event, Step]]) -> None:
        """The kill switch still cancels; an order decided but not durable is withheld."""
        for event, what in steps:
            for effect in what.effects:
                if isinstance(effect, m.CancelOrder | m.RaiseAlert | m.BeginSync | m.DropLink | m.RequestSnapshot):
                    self._perform(effect)
                elif isinstance(effect, m.SubmitOrder):
                    self._withhold(effect.order.intent)
            self._observe(event, what)

    def _withhold(self, intent: int) -> None:
        reason = f"the journal can't be written: {self._journal.failure}"
        at, tech = self._clock.market(), self._clock.technical()
        self.inbox.put(m.OrderWithheld(at=at, tech=tech, intent=intent, reason=reason))

    def _raise_alarm_about_journal(self) -> None:
        text = (
            f"nothing new is sent: {self._journal.failure}; free space or mend the disk, the daemon goes on by itself"
        )
        self._perform(m.RaiseAlert(key="journal_failed", text=text, severity="critical"))
        asyncio.get_running_loop().call_later(REOPEN_SECONDS, self._begin_reopen)

    def _begin_reopen(self) -> None:
        self._reopening = asyncio.get_running_loop().create_task(self._reopen(), name="journal-reopen")

    async def _reopen(self) -> None:
        """Try until the journal takes everything kept meanwhile; what was written before the failure is not repeated."""
        while self._unsaved:
            try:
                last = await self._journal.reopen()
                while pending := [record for record in self._unsaved if record.sequence > last]:
                    await self._journal.append(pending)
                    last = pending[-1].sequence
                self._unsaved.clear()
            except JournalError as error:
                _LOG.error("the journal still can't be written: %s", error)
                await asyncio.sleep(REOPEN_SECONDS)
        self._perform(m.RaiseAlert(key="journal_back", text="the journal is written again; nothing was lost"))

    def _set_alarm(self) -> None:
        """Wake at the earliest deadline in the state: deadlines are data, this timer only looks at them."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = next_deadline(self.state)
        if due is not None:
            wait = max((due - self._clock.technical()).total_seconds(), 0.001)
            self._alarm = asyncio.get_running_loop().call_later(wait, self._time_reached)

    def _time_reached(self) -> None:
        self._alarm = None
        self.inbox.put(m.TimeReached(at=self._clock.market(), tech=self._clock.technical()))


async def _refused() -> None:
    raise JournalError("the journal is being written again")

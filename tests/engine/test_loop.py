"""The one flow: nothing leaves before it is durable; one bad event, or a broken disk, stops no more than it must."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.clock import SteppedClock
from longwatch.domain import decide
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State, fingerprint
from longwatch.engine.inbox import Inbox
from longwatch.engine.loop import COMMIT_SECONDS, REOPEN_SECONDS, Engine
from longwatch.errors import JournalError
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import decode, recover
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from longwatch.simulation.loop import JumpLoop, run
from tests.domain.world import ACCOUNT, SESSION, START, World, order_status, perm_id

D = Decimal
TECH = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass(slots=True)
class HeldJournal:
    """A journal in memory whose disk the test works by hand: it answers at once, late, never, or with an error.

    As with a writer thread, what was handed to it is written even when nobody waits for that any more.
    """

    records: list[Record] = field(default_factory=list)
    failure: str | None = None
    disk_full: bool = False
    fails_late: bool = False
    write_seconds: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reopened: int = 0
    journal_id: str = "k7q2"
    failed: Callable[[str], None] = lambda reason: None
    checkpoints: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def last_sequence(self) -> int:
        return self.records[-1].sequence if self.records else 0

    def append(self, batch: Sequence[Record]) -> Awaitable[None]:
        return asyncio.shield(asyncio.get_running_loop().create_task(self._write(list(batch)), name="disk"))

    async def _write(self, batch: list[Record]) -> None:
        await self.gate.wait()
        async with self.turn:
            await asyncio.sleep(self.write_seconds)
            self._put_down(batch)

    def _put_down(self, batch: list[Record]) -> None:
        if self.disk_full:
            self.failure = "no space left on device"
        if self.failure is not None:
            raise JournalError(self.failure)
        assert [r.sequence for r in batch] == list(range(self.last_sequence + 1, self.last_sequence + 1 + len(batch)))
        self.records.extend(batch)
        if self.fails_late:
            self.failure = "input/output error"
            raise JournalError(self.failure)

    def watch(self, failed: Callable[[str], None]) -> None:
        self.failed = failed

    def checkpoint(self, sequence: int, state: State, least: int | None = None) -> None:
        self.checkpoints.append((sequence, fingerprint(state)))

    async def reopen(self) -> int:
        await self.gate.wait()
        self.reopened += 1
        if self.disk_full:
            raise JournalError("no space left on device")
        self.failure = None
        return self.last_sequence


@dataclass(slots=True)
class Rig:
    """An engine over a state that is ready to trade, with what it did in order."""

    journal: HeldJournal
    inbox: Inbox
    clock: SteppedClock
    engine: Engine = field(init=False)
    done: list[m.Effect] = field(default_factory=list)
    told: list[tuple[m.Event, Step]] = field(default_factory=list)
    failing: type[m.Effect] | None = None

    def put(self, kind: Callable[..., m.Event], **fields: object) -> None:
        self.inbox.put(kind(**({"at": self.clock.market(), "tech": self.clock.technical()} | fields)))

    def rebalance(self, run_id: str = "rebalance@1") -> None:
        world = World(now=self.clock.technical())
        self.put(m.RebalanceDue, run_id=run_id, session=SESSION, quotes=world.quotes(), at=START)

    def perform(self, effect: m.Effect) -> None:
        self.done.append(effect)
        if self.failing is not None and isinstance(effect, self.failing):
            raise RuntimeError("the port is broken")

    def kinds(self) -> list[str]:
        return [type(effect).__name__ for effect in self.done]

    def alerts(self) -> list[str]:
        return [effect.key for effect in self.done if isinstance(effect, m.RaiseAlert)]

    async def idle(self) -> None:
        """Until everything heard is settled."""
        while not self.engine.is_idle:
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running():
    """A rig whose engine runs; its state is made of events long past, its time is the loop's."""
    world = World.ready()
    world.targets(AAA="0.1", BBB="0.1")
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=world.now, technical_start=world.now)
    journal, inbox = HeldJournal(), Inbox()
    rig = Rig(journal=journal, inbox=inbox, clock=clock)
    rig.engine = Engine(
        state=world.state,
        journal=journal,
        inbox=inbox,
        clock=clock,
        perform=rig.perform,
        observe=lambda event, what: rig.told.append((event, what)),
    )
    engine = rig.engine
    task = asyncio.create_task(engine.run(), name="engine")
    try:
        yield rig
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run a test on the loop that jumps when idle: its seconds cost nothing."""

    def on_jump_loop() -> None:
        run(test(), loop=JumpLoop())

    on_jump_loop.__name__, on_jump_loop.__doc__ = test.__name__, test.__doc__
    return on_jump_loop


# ── durable first ───────────────────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_nothing_is_performed_or_told_before_it_is_durable() -> None:
    """While the disk keeps its answer back, the order is decided and has not left."""
    async with running() as rig:
        rig.journal.gate.clear()
        rig.rebalance()
        await asyncio.sleep(1)
        assert len(rig.engine.state.live) == 2
        assert (rig.done, rig.told, rig.engine.is_idle) == ([], [], False)
        rig.journal.gate.set()
        await rig.idle()
        assert rig.kinds() == ["SubmitOrder", "SubmitOrder"]
        assert [type(event) for event, _ in rig.told] == [m.RebalanceDue]


@virtual
async def test_the_next_batch_is_decided_while_one_is_being_written() -> None:
    """The state runs ahead of the disk; what leaves never does, and leaves in the order decided."""
    async with running() as rig:
        rig.journal.gate.clear()
        rig.rebalance()
        await asyncio.sleep(0.5)
        rig.put(m.ControlRequested, command="halt", by="uid 1000")
        await asyncio.sleep(0.5)
        assert rig.engine.state.is_on(m.Verb.HALT)
        assert rig.done == []
        rig.journal.gate.set()
        await rig.idle()
        assert rig.kinds() == ["SubmitOrder", "SubmitOrder", "CancelOrder", "CancelOrder"]


@virtual
async def test_what_is_performed_is_in_the_journal_with_its_cause() -> None:
    """Each event is followed by its facts, which name it; the fold of the records is the state."""
    async with running() as rig:
        before = recover([])
        rig.rebalance()
        await rig.idle()
        kinds = [record.kind for record in rig.journal.records]
        assert kinds[0] == "RebalanceDue"
        assert kinds.count("OrderIntended") == 2
        assert {record.cause for record in rig.journal.records[1:]} == {1}
        assert [record.sequence for record in rig.journal.records] == list(range(1, len(kinds) + 1))
        assert fingerprint(before) != fingerprint(rig.engine.state)


@virtual
async def test_a_halt_stops_an_order_that_already_waits_to_be_written() -> None:
    """The gate is asked at the write: the halt is seen at once, before its own record is durable."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        intent = min(rig.engine.state.live)
        assert rig.engine.may_send(intent) is None
        rig.journal.gate.clear()
        rig.put(m.ControlRequested, command="halt", by="uid 1000")
        await asyncio.sleep(0.01)
        assert rig.engine.may_send(intent) == "its cancel was asked for"
        rig.journal.gate.set()


# ── one bad event ───────────────────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_bad_event_is_kept_and_quarantines_its_instrument_and_the_loop_lives() -> None:
    """The event is in the journal as it was, the instrument is held, the next event is decided."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(decide.DECIDERS, m.PositionSeen, _raises)
        async with running() as rig:
            rig.put(m.PositionSeen, account=ACCOUNT, con_id=1, symbol="AAA", quantity=D(5))
            rig.rebalance()
            await rig.idle()
            assert rig.engine.undigested == 1
            assert rig.alerts() == ["undigested"]
            assert decode(rig.journal.records[0]) == rig.told[0][0]
            assert [record.kind for record in rig.journal.records[1:3]] == ["EventKept", "QuarantineSet"]
            assert [effect.order.symbol for effect in rig.done if isinstance(effect, m.SubmitOrder)] == ["BBB"]


def _raises(state: object, event: object) -> decide.Decided:
    raise KeyError("a rule with a fault")
    yield


@virtual
async def test_what_was_concluded_before_a_failure_is_journalled_with_it() -> None:
    """The state has it, so the journal must: recovery makes the same state."""

    def halfway(state: object, event: m.PositionSeen) -> decide.Decided:
        yield m.AccountPositionSet(con_id=event.con_id, symbol=event.symbol, quantity=event.quantity)
        yield m.RequestSnapshot(reason="half way")
        raise ValueError("a rule with a fault")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(decide.DECIDERS, m.PositionSeen, halfway)
        async with running() as rig:
            rig.put(m.PositionSeen, account=ACCOUNT, con_id=1, symbol="AAA", quantity=D(5))
            await rig.idle()
            kinds = [record.kind for record in rig.journal.records]
            assert kinds == ["PositionSeen", "AccountPositionSet", "EventKept", "QuarantineSet"]
            assert rig.engine.state.account_positions[1] == ("AAA", D(5))
            assert rig.kinds() == ["RequestSnapshot", "RaiseAlert"]


@virtual
async def test_a_bad_status_quarantines_the_instrument_of_its_order() -> None:
    """A status names no instrument, its order does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(decide.DECIDERS, m.OrderStatusSeen, _raises)
        async with running() as rig:
            rig.rebalance()
            await rig.idle()
            order = rig.engine.state.orders[1]
            rig.inbox.put(order_status(order, rig.clock.technical(), "Submitted", D(0)))
            await rig.idle()
            assert list(rig.engine.state.quarantines) == [order.con_id]


@virtual
async def test_an_event_that_no_journal_can_hold_is_kept_as_its_description() -> None:
    """A lone surrogate out of a broken text is not valid in any file: the daemon goes on."""
    async with running() as rig:
        rig.put(m.LinkLost, reason="broken \ud800 text")
        rig.rebalance()
        await rig.idle()
        assert rig.engine.undigested == 1
        kept = decode(rig.journal.records[0])
        assert isinstance(kept, m.NoticeSeen) and "\\ud800" in kept.text
        assert rig.kinds() == ["RaiseAlert", "SubmitOrder", "SubmitOrder"]


@virtual
async def test_a_port_that_raises_stops_only_its_own_effect() -> None:
    """The order stays "sending" and falls to its deadline; the other effects are performed."""
    async with running() as rig:
        rig.failing = m.SubmitOrder
        rig.rebalance()
        rig.put(m.ControlRequested, command="reconcile")
        await rig.idle()
        assert rig.kinds() == ["SubmitOrder", "SubmitOrder", "RequestSnapshot"]
        assert {order.state for order in rig.engine.state.orders.values()} == {OrderState.SENDING}


# ── a broken journal ────────────────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_with_a_full_disk_nothing_new_is_sent_and_the_kill_switch_cancels() -> None:
    """Orders are withheld by name, working ones are cancelled at once, and a person is told once."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        for order in list(rig.engine.state.orders.values()):
            rig.put(m.OrderHanded, intent=order.intent)
            status = order_status(order, rig.clock.technical(), "Submitted", D(0))
            rig.inbox.put(replace(status, perm_id=perm_id(order.intent)))
        await rig.idle()
        rig.journal.disk_full = True
        rig.done.clear()
        rig.put(m.ControlRequested, command="reconcile")
        rig.put(m.ControlRequested, command="halt", by="uid 1000")
        await rig.idle()
        assert rig.kinds() == ["RaiseAlert", "RequestSnapshot", "CancelOrder", "CancelOrder"]
        assert rig.alerts() == ["journal_failed"]
        assert rig.engine.journal_failure == "no space left on device"
        assert rig.engine.may_send(1) == "the journal can't be written: no space left on device"


@virtual
async def test_an_order_decided_on_a_broken_journal_is_withheld() -> None:
    """It was not durable, so it was not sent: proven unsent, with the reason."""
    async with running() as rig:
        rig.journal.disk_full = True
        rig.rebalance()
        await rig.idle()
        assert "SubmitOrder" not in rig.kinds()
        assert {order.state for order in rig.engine.state.orders.values()} == {OrderState.UNSENT}
        assert rig.engine.state.orders[1].text == "the journal can't be written: no space left on device"


@virtual
async def test_when_space_returns_everything_is_written_once_and_in_order() -> None:
    """What was decided meanwhile, in batches that failed together and one by one, is all there; sending goes on."""
    async with running() as rig:
        rig.put(m.ControlRequested, command="reconcile")
        await rig.idle()
        rig.journal.gate.clear()
        for _ in range(3):
            rig.put(m.ControlRequested, command="pause", by="uid 1000")
            await asyncio.sleep(0.01)
            rig.put(m.ControlRequested, command="resume", by="uid 1000")
            await asyncio.sleep(0.01)
        rig.journal.disk_full = True
        rig.journal.gate.set()
        await rig.idle()
        for number in range(3):
            rig.put(m.ClockSeen, skew_seconds=number / 10)
            await rig.idle()
        rig.journal.disk_full = False
        await asyncio.sleep(2 * REOPEN_SECONDS)
        assert rig.engine.journal_failure is None
        kinds = [record.kind for record in rig.journal.records]
        assert kinds.count("ControlRequested") == 7
        assert kinds.count("VerbSet") == 6
        assert kinds.count("ClockChecked") == 3
        assert [record.sequence for record in rig.journal.records] == list(range(1, len(kinds) + 1))
        assert rig.alerts() == ["journal_failed", "journal_back"]
        rig.rebalance("rebalance@2")
        await rig.idle()
        assert rig.kinds()[-2:] == ["SubmitOrder", "SubmitOrder"]


@virtual
async def test_batches_that_failed_one_after_the_other_are_written_in_the_order_decided() -> None:
    """The second is refused only after the third was decided: sequences must not depend on when a refusal is heard."""
    async with running() as rig:
        rig.journal.write_seconds, rig.journal.disk_full = 1.0, True
        for _ in range(3):
            rig.put(m.ClockSeen, skew_seconds=0.0)
            await asyncio.sleep(0.7)
        await rig.idle()
        rig.journal.disk_full = False
        await asyncio.sleep(4 * REOPEN_SECONDS)
        assert [record.sequence for record in rig.journal.records] == [1, 2, 3, 4, 5, 6]
        assert rig.alerts() == ["journal_failed", "journal_back"]


@virtual
async def test_a_disk_that_stays_full_is_tried_again_and_again_and_told_once() -> None:
    """No limit to the attempts, no storm of alerts."""
    async with running() as rig:
        rig.journal.disk_full = True
        rig.put(m.ClockSeen, skew_seconds=0.0)
        await asyncio.sleep(60)
        assert rig.journal.reopened == int(60 // REOPEN_SECONDS) - (60 % REOPEN_SECONDS == 0)
        assert rig.alerts() == ["journal_failed"]


@virtual
async def test_a_batch_that_was_durable_after_all_is_not_written_twice() -> None:
    """An error after the bytes were down: the journal is asked what it has before anything is repeated."""
    async with running() as rig:
        rig.journal.fails_late = True
        rig.put(m.ClockSeen, skew_seconds=0.0)
        await rig.idle()
        rig.journal.fails_late = False
        await asyncio.sleep(2 * REOPEN_SECONDS)
        assert [record.kind for record in rig.journal.records] == ["ClockSeen", "ClockChecked"]
        assert rig.engine.journal_failure is None


@virtual
async def test_a_disk_that_never_answers_does_not_hold_up_the_kill_switch() -> None:
    """After the deadline of a commit the journal counts as broken; when the disk wakes, nothing is lost or doubled."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        rig.done.clear()
        rig.journal.gate.clear()
        rig.put(m.ControlRequested, command="halt", by="uid 1000")
        await asyncio.sleep(COMMIT_SECONDS + 0.1)
        assert rig.kinds() == ["RaiseAlert", "CancelOrder", "CancelOrder"]
        rig.journal.gate.set()
        await asyncio.sleep(2 * (REOPEN_SECONDS + COMMIT_SECONDS))
        assert rig.engine.journal_failure is None
        sequences = [record.sequence for record in rig.journal.records]
        assert sequences == list(range(1, len(sequences) + 1))
        assert "VerbSet" in [record.kind for record in rig.journal.records]


@virtual
async def test_a_job_asked_for_on_a_broken_journal_is_run_when_it_is_mended() -> None:
    """A flatten's next step is put off, not forgotten."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        for intent in list(rig.engine.state.live):
            rig.put(m.OrderWithheld, intent=intent, reason="no link")
        rig.put(m.ControlRequested, command="adopt", argument="all")
        await rig.idle()
        holding = m.HoldingAdopted(con_id=1, symbol="AAA", quantity=D(5), average_cost=D(100), reason="a test")
        decide.evolve(rig.engine.state, holding)
        rig.done.clear()
        rig.journal.disk_full = True
        rig.put(m.ControlRequested, command="flatten", by="uid 1000")
        await rig.idle()
        assert "RunJob" not in rig.kinds()
        rig.journal.disk_full = False
        await asyncio.sleep(2 * REOPEN_SECONDS)
        assert rig.kinds()[-2:] == ["RaiseAlert", "RunJob"]


async def test_the_same_on_a_real_disk_recovers_to_the_state_that_lived(tmp_path: Path) -> None:
    """Through SQLite and a fresh fold."""
    journal = InlineJournal.open(tmp_path / "journal.sqlite", account=ACCOUNT, mode="paper", fresh_id="k7q2")
    world, inbox = World(), Inbox()
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=START)
    engine = Engine(
        state=world.state,
        journal=journal,
        inbox=inbox,
        clock=clock,
        perform=lambda effect: None,
        observe=lambda event, what: None,
    )
    for event, _ in World.ready().steps:
        inbox.put(event)
    task = asyncio.create_task(engine.run(), name="engine")
    assert await engine.wait_until(lambda state: state.compared is not None and not len(inbox), 5)
    while not engine.is_idle:
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert fingerprint(recover(journal.read())) == fingerprint(engine.state)
    await journal.close()


async def test_a_checkpoint_stands_where_the_state_stood_however_events_were_batched(tmp_path: Path) -> None:
    """Made while the engine works: each is the fold of the records up to it, and opening by it is the state that lived.

    None is made while the journal is broken.
    """
    journal = InlineJournal.open(tmp_path / "journal.sqlite", account=ACCOUNT, mode="paper", fresh_id="k7q2")
    journal.checkpoint_records = 4
    made: list[tuple[int, str]] = []
    real = journal.checkpoint

    def checkpoint(sequence: int, state: State, least: int | None = None) -> None:
        made.append((sequence, fingerprint(state)))
        real(sequence, state, least)

    journal.checkpoint = checkpoint  # type: ignore[method-assign]
    inbox = Inbox()
    clock = SteppedClock(asyncio.get_running_loop().time, market_start=START)
    engine = Engine(
        state=World().state,
        journal=journal,
        inbox=inbox,
        clock=clock,
        perform=lambda effect: None,
        observe=lambda event, what: None,
    )
    task = asyncio.create_task(engine.run(), name="engine")
    for place, (event, _) in enumerate(World.ready().steps):
        inbox.put(event)
        if place % 3:
            await asyncio.sleep(0.002)
    while not engine.is_idle:
        await asyncio.sleep(0.001)
    engine.checkpoint(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    records = list(journal.read())
    assert len(made) > 3
    assert [told for _, told in made] == [fingerprint(recover(records[:sequence])) for sequence, _ in made]
    found = recovered(journal)
    assert found.began_at == len(records) and found.passed_over == ()
    assert fingerprint(found.state) == fingerprint(engine.state)
    await journal.close()


@virtual
async def test_no_checkpoint_is_made_of_what_is_not_durable() -> None:
    """With the disk full the state runs ahead of the journal: it is not stored until all of it is written."""
    async with running() as rig:
        rig.journal.disk_full = True
        rig.put(m.ClockSeen, skew_seconds=0.0)
        await rig.idle()
        before = len(rig.journal.checkpoints)
        rig.put(m.ClockSeen, skew_seconds=0.5)
        await rig.idle()
        rig.engine.checkpoint(1)
        assert len(rig.journal.checkpoints) == before
        rig.journal.disk_full = False
        await asyncio.sleep(2 * REOPEN_SECONDS)
        rig.engine.checkpoint(1)
        assert len(rig.journal.checkpoints) == before + 1


@virtual
async def test_a_journal_that_finds_itself_gone_stops_the_engine_though_nobody_wrote() -> None:
    """Not ready, one alert, orders withheld; back again by itself once the storage opens."""
    async with running() as rig:
        await asyncio.sleep(0)
        rig.journal.failure, rig.journal.disk_full = "moved", True
        rig.journal.failed("moved")
        assert rig.engine.journal_failure == "moved"
        assert rig.alerts() == ["journal_failed"]
        rig.rebalance()
        await rig.idle()
        assert "SubmitOrder" not in rig.kinds()
        rig.journal.disk_full = False
        await asyncio.sleep(2 * REOPEN_SECONDS)
        assert rig.engine.journal_failure is None
        assert rig.alerts() == ["journal_failed", "journal_back"]
        assert "RebalanceDecided" in [record.kind for record in rig.journal.records]


# ── deadlines ───────────────────────────────────────────────────────────────────────────────────────────────────────


@virtual
async def test_a_deadline_in_the_state_wakes_the_engine() -> None:
    """Nobody calls: the order's own deadline makes it unknown, to the second."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        order = rig.engine.state.orders[1]
        assert order.deadline is not None
        wait = (order.deadline - rig.clock.technical()).total_seconds()
        await asyncio.sleep(wait - 0.5)
        assert rig.engine.state.orders[1].state is OrderState.SENDING
        await asyncio.sleep(1)
        assert rig.engine.state.orders[1].state is OrderState.UNKNOWN
        assert [type(event) for event, _ in rig.told][-1] is m.TimeReached


@virtual
async def test_a_deadline_that_is_answered_does_not_fire() -> None:
    """The acknowledgement takes it away."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        for order in list(rig.engine.state.orders.values()):
            rig.put(m.OrderHanded, intent=order.intent)
            rig.inbox.put(order_status(order, rig.clock.technical(), "Submitted", D(0)))
        await asyncio.sleep(3600)
        assert not any(isinstance(event, m.TimeReached) for event, _ in rig.told)


@virtual
async def test_overdue_deadlines_never_spin() -> None:
    """An unknown order without a link is looked at every half minute, not every millisecond."""
    async with running() as rig:
        rig.rebalance()
        await rig.idle()
        rig.put(m.LinkLost, reason="reset by peer")
        await asyncio.sleep(600)
        assert sum(isinstance(event, m.TimeReached) for event, _ in rig.told) < 30


@virtual
async def test_waiting_for_the_state_ends_with_it_or_with_its_deadline() -> None:
    """True when it holds, False after the seconds, at once when it held before."""
    async with running() as rig:
        asyncio.get_running_loop().call_later(5, lambda: rig.put(m.ControlRequested, command="pause"))
        assert await rig.engine.wait_until(lambda state: True, 0.1)
        assert not await rig.engine.wait_until(lambda state: state.is_on(m.Verb.PAUSE), 1)
        assert await rig.engine.wait_until(lambda state: state.is_on(m.Verb.PAUSE), 10)
        assert rig.clock.technical() - rig.told[-1][0].tech < timedelta(seconds=1)


@virtual
async def test_whoever_asks_about_an_event_hears_whether_it_is_durable() -> None:
    """True once it is in the journal, False when the journal would not take it."""
    async with running() as rig:
        at, tech = rig.clock.market(), rig.clock.technical()
        assert await rig.engine.decided(m.ControlRequested(at=at, tech=tech, command="pause"), 1)
        rig.journal.disk_full = True
        assert not await rig.engine.decided(m.ControlRequested(at=at, tech=tech, command="resume"), 1)
        assert not rig.engine.state.is_on(m.Verb.PAUSE)


@virtual
async def test_what_a_download_tells_again_is_not_journalled_again() -> None:
    """An execution is kept once, whoever's it is and however often it is told; nothing that is new is left out."""
    async with running() as rig:
        told = m.ExecutionSeen(
            at=START,
            tech=START,
            exec_id="0001.01",
            order_id=0,
            client_id=7,
            perm_id=99,
            ref="",
            account=ACCOUNT,
            con_id=1,
            symbol="AAA",
            side=Side.BUY,
            quantity=D(10),
            price=D(100),
            cumulative=D(10),
            executed_at=START,
        )
        for _ in range(3):
            rig.inbox.put(told)
            await asyncio.sleep(1)
        rig.inbox.put(replace(told, exec_id="0002.01"))
        await asyncio.sleep(1)
        kinds = [record.kind for record in rig.journal.records]
        assert kinds.count("ExecutionSeen") == kinds.count("FillBooked") == 2
        assert len(rig.told) == 4

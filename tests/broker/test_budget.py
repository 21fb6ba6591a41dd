"""The budget: who goes first, how fast, and what is proven unsent."""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.budget import Budget, Frame, Priority
from longwatch.broker.pacing import HistoryPacer, Pace, pace_of
from longwatch.simulation.loop import run

T = TypeVar("T")
RATE, BURST = 40.0, 4


class Wire:
    """What was written, and when."""

    def __init__(self, budget: Budget) -> None:
        self.loop = asyncio.get_running_loop()
        self.written: list[tuple[float, bytes]] = []
        self.takes = True
        budget.open(self.write)

    def write(self, data: bytes) -> bool:
        if self.takes:
            self.written.append((self.loop.time(), data))
        return self.takes

    def data(self) -> list[bytes]:
        return [data for _, data in self.written]


def with_budget(work: Callable[[Budget, Wire], Awaitable[T]], pacer: HistoryPacer | None = None) -> T:
    async def main() -> T:
        loop = asyncio.get_running_loop()
        budget = Budget(rate=RATE, hurried_burst=BURST, loop=loop, pacer=pacer or HistoryPacer())
        return await work(budget, Wire(budget))

    return run(main())


def frame(priority: Priority, data: bytes = b"x", **more: object) -> Frame:
    return Frame(priority=priority, data=data, **more)  # type: ignore[arg-type]


def test_an_order_is_the_next_frame_out_past_500_queued_histories() -> None:
    """However much history waits, an order leaves at once on its allowance, and a cancel before an order."""

    async def work(budget: Budget, wire: Wire) -> None:
        for each in range(500):
            budget.put(frame(Priority.HISTORY, b"history %d" % each))
        await asyncio.sleep(1.0)
        before = len(wire.written)
        budget.put(frame(Priority.ORDER, b"order"))
        assert wire.data()[before:] == [b"order"]
        assert budget.queued()[Priority.HISTORY] > 400

    with_budget(work)


def test_priorities_hold_and_each_is_first_in_first_out() -> None:
    """Of what waits, cancels leave first, then orders, account, data, history; equals in the order they came."""

    async def work(budget: Budget, wire: Wire) -> None:
        for _ in range(BURST + 2):
            budget.put(frame(Priority.ORDER, b"spent"))
        wire.written.clear()
        for priority in reversed(Priority):
            for each in range(3):
                budget.put(frame(priority, f"{priority.name} {each}".encode()))
        await asyncio.sleep(2.0)
        expected = [f"{priority.name} {each}".encode() for priority in Priority for each in range(3)]
        assert [data for data in wire.data() if data != b"spent"] == expected

    with_budget(work)


Puts = st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from(list(Priority))), max_size=120)


@given(puts=Puts)
def test_the_rate_is_smooth_whatever_is_asked(puts: list[tuple[float, Priority]]) -> None:
    """In any 100 ms no more than the rate's share and the orders' allowance leave, in any second no more than 50."""

    async def work(budget: Budget, wire: Wire) -> None:
        for wait, priority in puts:
            budget.put(frame(priority))
            if wait > 0.4:
                await asyncio.sleep(wait)
        await asyncio.sleep(10.0)
        assert len(wire.written) == len(puts)
        times = [at for at, _ in wire.written]
        for length, most in ((0.1, 0.1 * RATE + 1 + BURST), (1.0, 50.0)):
            assert all(bisect_right(times, at + length - 1e-4) - at_index <= most for at_index, at in enumerate(times))

    with_budget(work)


@given(count=st.integers(2, 100))
def test_data_never_bursts(count: int) -> None:
    """Without orders, frames leave evenly spaced."""

    async def work(budget: Budget, wire: Wire) -> None:
        for _ in range(count):
            budget.put(frame(Priority.DATA))
        await asyncio.sleep(count / RATE + 1)
        times = [at for at, _ in wire.written]
        assert min(later - earlier for earlier, later in itertools.pairwise(times)) > 1 / RATE - 1e-4

    with_budget(work)


def test_the_gate_is_asked_at_the_write() -> None:
    """An order that was let in waits for its turn; a gate shut meanwhile withholds it, and it costs no token."""

    async def work(budget: Budget, wire: Wire) -> None:
        shut: list[str] = []
        told: list[str] = []
        for _ in range(BURST + 1):
            budget.put(frame(Priority.ORDER))
        budget.put(frame(Priority.ORDER, b"late", gate=lambda: shut[0] if shut else None, withheld=told.append))
        shut.append("halted")
        await asyncio.sleep(1.0)
        assert told == ["halted"]
        assert b"late" not in wire.data()

    with_budget(work)


def test_what_is_queued_when_the_link_goes_is_told_to_be_unsent() -> None:
    """Every queued frame is withheld with the link's reason, and none is written on the next link."""

    async def work(budget: Budget, wire: Wire) -> None:
        told: list[str] = []
        for _ in range(BURST + 5):
            budget.put(frame(Priority.ORDER, withheld=told.append))
        budget.close("the cable was cut")
        assert told == ["the cable was cut"] * 4
        budget.put(frame(Priority.ORDER, withheld=told.append))
        assert told[-1] == "there is no link to the gateway"
        again = Wire(budget)
        await asyncio.sleep(1.0)
        assert again.written == []

    with_budget(work)


def test_a_transport_that_takes_nothing_leaves_the_order_unsent() -> None:
    """Between the end of a connection and the news of it, an order is withheld and not lost."""

    async def work(budget: Budget, wire: Wire) -> None:
        wire.takes = False
        told: list[str] = []
        sent: list[int] = []
        budget.put(frame(Priority.ORDER, withheld=told.append, written=lambda: sent.append(1)))
        assert (told, sent) == (["the link to the gateway is closing"], [])

    with_budget(work)


def test_a_queued_order_can_be_taken_back() -> None:
    """Withdrawn before its turn an order is proven unsent; once written it can't be withdrawn."""

    async def work(budget: Budget, wire: Wire) -> None:
        told: list[str] = []
        for intent in range(BURST + 2):
            budget.put(frame(Priority.ORDER, key=intent, withheld=told.append))
        assert budget.withdraw(BURST + 1, "cancelled")
        assert not budget.withdraw(0, "cancelled")
        await asyncio.sleep(1.0)
        assert told == ["cancelled"]
        assert len(wire.written) == BURST + 1

    with_budget(work)


def test_a_callback_may_queue_more() -> None:
    """What is put while a frame is being told written waits for its own turn."""

    async def work(budget: Budget, wire: Wire) -> None:
        budget.put(frame(Priority.DATA, b"first", written=lambda: budget.put(frame(Priority.DATA, b"second"))))
        assert wire.data() == [b"first"]
        await asyncio.sleep(0.1)
        assert wire.data() == [b"first", b"second"]

    with_budget(work)


# ── IB's rules for history ──────────────────────────────────────────────────────────────────────────────────────────


def broken_rules(sent: list[tuple[float, Pace]]) -> list[str]:
    """IB's three rules counted afresh, by their own words."""
    broken = []
    for index, (at, pace) in enumerate(sent):
        earlier = sent[: index + 1]
        if sum(one.weight for when, one in earlier if when > at - 600) > 60:
            broken.append(f"more than 60 in ten minutes at {at}")
        if any(one.request == pace.request and at - when < 15 for when, one in sent[:index]):
            broken.append(f"identical within 15 s at {at}")
        if sum(1 for when, one in earlier if one.contract == pace.contract and when > at - 2) >= 6:
            broken.append(f"six for one contract within 2 s at {at}")
    return broken


Asked = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.sampled_from(["TRADES", "BID_ASK"]), st.floats(0, 20)),
    max_size=90,
)


@given(asked=Asked)
def test_small_bars_never_break_a_rule(asked: list[tuple[int, int, str, float]]) -> None:
    """Whatever is asked, and when, all of it leaves in the end and no rule of IB's is broken."""

    async def work(budget: Budget, wire: Wire) -> None:
        sent: list[tuple[float, Pace]] = []
        for contract, end, what, wait in asked:
            pace = pace_of((contract, end, what), contract, "5 secs", what)
            assert pace is not None

            def written(pace: Pace = pace) -> None:
                sent.append((wire.loop.time(), pace))

            budget.put(frame(Priority.HISTORY, pace=pace, written=written))
            if wait > 15:
                await asyncio.sleep(wait)
        await asyncio.sleep(3 * 3600)
        assert len(sent) == len(asked)
        assert broken_rules(sent) == []

    with_budget(work)


def test_one_contract_is_asked_for_five_times_in_two_seconds() -> None:
    """The sixth request for one contract and data type waits for the two seconds; another data type does not."""

    async def work(budget: Budget, wire: Wire) -> None:
        for each in range(6):
            budget.put(frame(Priority.HISTORY, b"trades", pace=pace_of((each,), "AAPL", "5 secs", "TRADES")))
        budget.put(frame(Priority.HISTORY, b"bids", pace=pace_of((9,), "AAPL", "5 secs", "BID")))
        await asyncio.sleep(5.0)
        assert wire.data() == [b"trades"] * 5 + [b"bids", b"trades"]
        times = [at for at, data in wire.written if data == b"trades"]
        assert 2.0 <= times[5] - times[0] < 2.5

    with_budget(work)


def test_ten_minutes_are_used_to_the_full() -> None:
    """120 different requests take little more than the ten minutes that the rules make them take."""

    async def work(budget: Budget, wire: Wire) -> None:
        for each in range(120):
            budget.put(frame(Priority.HISTORY, pace=pace_of((each,), each, "30 secs", "TRADES")))
        await asyncio.sleep(3600)
        assert len(wire.written) == 120
        assert 600 < wire.written[-1][0] < 603

    with_budget(work)


def test_a_paced_request_holds_nobody_else_up() -> None:
    """While identical requests wait for their 15 s, daily bars and other contracts leave."""

    async def work(budget: Budget, wire: Wire) -> None:
        same = pace_of(("same",), 1, "5 secs", "TRADES")
        for name in (b"one", b"two"):
            budget.put(frame(Priority.HISTORY, name, pace=same))
        budget.put(frame(Priority.HISTORY, b"other", pace=pace_of(("other",), 2, "5 secs", "TRADES")))
        budget.put(frame(Priority.HISTORY, b"daily", pace=pace_of(("daily",), 1, "1 day", "TRADES")))
        await asyncio.sleep(1.0)
        assert wire.data() == [b"one", b"other", b"daily"]
        await asyncio.sleep(20.0)
        assert wire.data()[-1] == b"two"

    with_budget(work)


def test_what_was_spent_survives_a_restart() -> None:
    """A pacer that takes over what its predecessor spent keeps the ten-minute rule across the two."""
    first, second = HistoryPacer(), HistoryPacer()
    for each in range(60):
        first.sent(Pace(request=each, contract=each), now=1000.0)
    fresh = Pace(request="new", contract="new")
    second.restore(first.spent(now=1100.0), now=5.0)
    assert 500 < second.wait_seconds(fresh, now=5.0) < 501
    assert second.wait_seconds(fresh, now=506.0) == 0


def test_an_entry_and_its_stop_in_one_write_take_up_the_rate_of_two() -> None:
    """Sixty such pairs at once: no second holds more messages than single orders could fill it with."""

    async def work(budget: Budget, wire: Wire) -> None:
        for each in range(60):
            budget.put(frame(Priority.ORDER, b"pair", key=each, messages=2))
        await asyncio.sleep(10.0)
        times = [at for at, _ in wire.written]
        assert len(times) == 60 and budget.written == 120
        fullest = max(sum(2 for at in times if begin <= at < begin + 1) for begin in times)
        assert fullest <= RATE + BURST + 1

    with_budget(work)

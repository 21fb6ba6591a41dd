"""The machine's clock."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from longwatch.clock import SystemClock

HOUR = timedelta(hours=1)


def test_technical_time_goes_on_when_the_clock_is_set_back() -> None:
    """Five hours ahead at the start, as by a battery clock in local time, and set right later."""
    off = 5 * 3600.0
    clock = SystemClock(lambda: time.time() + off)
    before = clock.technical()
    off = 0.0
    assert timedelta() <= clock.technical() - before < HOUR


def test_technical_time_follows_a_clock_that_is_set_forward() -> None:
    """As after a suspension, in which the seconds of the machine stand still: what was read is old then."""
    off = 0.0
    clock = SystemClock(lambda: time.time() + off)
    before = clock.technical()
    off = 5 * 3600.0
    assert 5 * HOUR <= clock.technical() - before < 6 * HOUR


def test_technical_time_is_the_machine_s() -> None:
    assert abs(SystemClock().technical() - SystemClock().market()) < timedelta(seconds=5)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_technical_time_never_goes_back(steps: list[float]) -> None:
    """However often, and however far, the clock is set."""
    offs = iter(steps)
    clock = SystemClock(lambda: time.time() + next(offs))
    read = [clock.technical() for _ in steps]
    assert all(earlier <= later for earlier, later in itertools.pairwise(read))

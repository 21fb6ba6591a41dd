"""Bars from the broker's history: asked again when the link fails, never empty, never past a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from random import Random

import pytest

from longwatch.data.ib import IbProvider
from longwatch.domain.bars import BarSeries
from longwatch.errors import DataError, LinkError
from tests.data.conftest import FIRST, make_bars

CLOSES = [100.0, 101.0, 102.0, 103.0]


class Answers:
    """A broker's history that gives these answers in turn, and notes what it was asked."""

    def __init__(self, *answers: BarSeries | Exception) -> None:
        self._answers = iter(answers)
        self.asked: list[Sequence[object]] = []

    async def __call__(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        self.asked.append((symbol, bar_size, until, count))
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def never(symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
    await asyncio.Event().wait()
    raise AssertionError("the event is never set")


def provider(history: Answers) -> IbProvider:
    return IbProvider(history, random=Random(1), deadline_seconds=5.0, attempts=3, first_wait_seconds=0.0)


async def asked(history: Answers, *, count: int = 10, until: date = FIRST + timedelta(days=2)) -> BarSeries:
    return await provider(history).bars("XYZ", bar_size="1 day", until=until, count=count)


async def test_the_running_sessions_partial_bar_is_dropped() -> None:
    """The broker gives four bars, the last of them of the session under way."""
    history = Answers(make_bars(CLOSES))
    assert await asked(history) == make_bars(CLOSES[:3])
    assert history.asked == [("XYZ", "1 day", FIRST + timedelta(days=2), 10)]


async def test_more_bars_than_asked_for_are_cut_to_the_newest() -> None:
    """Interactive Brokers counts in durations, not in bars."""
    assert (await asked(Answers(make_bars(CLOSES)), count=2)).close.tolist() == CLOSES[1:3]


async def test_a_failed_link_is_asked_again() -> None:
    """Twice here, and the third answer counts."""
    history = Answers(LinkError("gone"), LinkError("gone again"), make_bars(CLOSES))
    assert len(await asked(history)) == 3
    assert len(history.asked) == 3


async def test_attempts_are_bounded() -> None:
    """After the third the last reason is told."""
    history = Answers(*[LinkError(f"failure {number}") for number in (1, 2, 3, 4)])
    with pytest.raises(DataError, match="XYZ: no history in 3 attempts, lastly: failure 3"):
        await asked(history)
    assert len(history.asked) == 3


async def test_a_refusal_is_not_asked_again() -> None:
    """An unknown contract stays unknown, and a repeated request costs budget."""
    history = Answers(DataError("XYZ: no security definition"), make_bars(CLOSES))
    with pytest.raises(DataError, match="no security definition"):
        await asked(history)
    assert len(history.asked) == 1


async def test_silence_ends_at_the_deadline() -> None:
    """A time-out is an error, not an empty history."""
    silent = IbProvider(never, random=Random(1), deadline_seconds=0.01)
    with pytest.raises(DataError, match=r"gave no history within 0\.01 s"):
        await silent.bars("XYZ", bar_size="1 day", until=FIRST, count=3)


async def test_waits_between_attempts_count_towards_the_deadline() -> None:
    """However patient the attempts, one deadline bounds them all."""
    history = Answers(*[LinkError("gone")] * 9)
    patient = IbProvider(history, random=Random(1), deadline_seconds=0.01, attempts=9, first_wait_seconds=1e6)
    with pytest.raises(DataError, match="within"):
        await patient.bars("XYZ", bar_size="1 day", until=FIRST, count=3)


@pytest.mark.parametrize("answer", [make_bars([]), make_bars(CLOSES, start=FIRST + timedelta(days=9))])
async def test_an_answer_without_a_completed_bar_is_an_error(answer: BarSeries) -> None:
    """Empty, or nothing but what came after."""
    with pytest.raises(DataError, match="no bar up to 2007-01-03"):
        await asked(Answers(answer))


async def test_an_answer_of_another_symbol_is_refused() -> None:
    """A mixed-up answer never gets another name's prices in."""
    with pytest.raises(DataError, match="answered a request for '1 day' bars with '1 day' bars of ABC"):
        await asked(Answers(make_bars(CLOSES, symbol="ABC")))

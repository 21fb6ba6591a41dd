"""Bars from Interactive Brokers' history through the broker's own request; made by the factory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from random import Random

from longwatch.data.validation import newest
from longwatch.domain.bars import BarSeries
from longwatch.errors import DataError, LinkError

History = Callable[[str, str, date, int], Awaitable[BarSeries]]
"""Asked with symbol, bar size, last session and count; the port Broker's `bars`."""

SOURCE = "Interactive Brokers"


class IbProvider:
    """Bars from a broker's history, asked again a few times when the link fails, all within one deadline.

    A refusal by the broker (no such contract, no permission) is not asked again. How often requests may leave at all is
    the broker's budget, not ours. Waits between attempts are drawn evenly from zero to a bound that doubles.
    """

    name = "ib"

    def __init__(
        self,
        history: History,
        *,
        random: Random,
        deadline_seconds: float,
        attempts: int = 3,
        first_wait_seconds: float = 1.0,
    ) -> None:
        self._history = history
        self._random = random
        self._deadline_seconds = deadline_seconds
        self._attempts = attempts
        self._first_wait_seconds = first_wait_seconds

    async def bars(self, symbol: str, *, bar_size: str, until: date, count: int) -> BarSeries:
        """As the port Provider promises: the running session's partial bar is dropped, and never an empty series.

        Raises DataError with the broker's reason, or saying that none came in time.
        """
        try:
            async with asyncio.timeout(self._deadline_seconds):
                series = await self._asked(symbol, bar_size, until, count)
        except TimeoutError:
            what = f"{SOURCE} gave no history within {self._deadline_seconds:g} s"
            raise DataError(f"{symbol}: {what}; it is asked again at the next refresh") from None
        if (series.symbol, series.bar_size) != (symbol, bar_size):
            got = f"'{series.bar_size}' bars of {series.symbol}"
            raise DataError(f"{symbol}: {SOURCE} answered a request for '{bar_size}' bars with {got}; report this")
        return newest(series, until=until, count=count, source=SOURCE)

    async def _asked(self, symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
        for attempt in range(1, self._attempts):
            try:
                return await self._history(symbol, bar_size, until, count)
            except LinkError:
                await asyncio.sleep(self._random.uniform(0, self._first_wait_seconds * 2 ** (attempt - 1)))
        try:
            return await self._history(symbol, bar_size, until, count)
        except LinkError as error:
            raise DataError(f"{symbol}: no history in {self._attempts} attempts, lastly: {error}") from error

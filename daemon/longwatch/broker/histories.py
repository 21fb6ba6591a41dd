"""History requests in flight, each awaited by its caller; part of live.IbBroker."""

from __future__ import annotations

import asyncio
from datetime import date

from longwatch.broker.budget import Frame, Priority
from longwatch.broker.channel import NO_LINK, Channel
from longwatch.broker.history import duration_of, end_of, series_of
from longwatch.broker.ids import Owner
from longwatch.broker.pacing import pace_of
from longwatch.domain.bars import BarSeries
from longwatch.domain.instruments import Instrument
from longwatch.errors import DataError, LinkError
from longwatch.wire.bulk import BarColumns


class Histories:
    """IB allows 50 open requests: further callers wait their turn."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._slots = asyncio.Semaphore(channel.settings.open_histories)
        self._asked: dict[int, _Asked] = {}

    async def bars(self, instrument: Instrument, bar_size: str, until: date, count: int) -> BarSeries:
        """As the port Broker promises."""
        try:
            duration = duration_of(bar_size, count)
        except ValueError as error:
            raise DataError(f"{instrument.symbol}: {error}") from error
        async with self._slots:
            end = end_of(until, self._channel.clock.market().date())
            columns = await self._columns(instrument, bar_size, end, duration)
        try:
            return series_of(instrument.symbol, bar_size, columns, until=until, count=count, zone=instrument.zone)
        except (ValueError, LookupError) as error:
            raise DataError(f"{instrument.symbol}: the broker's history has a date that is none: {error}") from error

    def stop(self, reason: str) -> None:
        """The connection is gone: nobody will be answered."""
        for asked in self._asked.values():
            asked.is_at_gateway = False
            asked.lose(reason)
        self._asked.clear()

    def answered(self, request_id: int, columns: BarColumns) -> None:
        """Message 17."""
        if request_id in self._asked:
            self._asked[request_id].answer(columns)

    def undecodable(self, request_id: int, reason: str) -> bool:
        """Whether a message that could not be decoded was an answer to one of ours."""
        if request_id not in self._asked:
            return False
        self._asked[request_id].refuse(f"its answer could not be decoded: {reason}")
        return True

    async def _columns(self, instrument: Instrument, bar_size: str, end: str, duration: str) -> BarColumns:
        channel = self._channel
        if not channel.is_open:
            raise LinkError(f"{instrument.symbol}: no history: {NO_LINK}")
        asked = _Asked(channel, instrument.symbol)
        request_id = channel.take(Owner(name=f"history of {instrument.symbol}", failed=asked.error))
        self._asked[request_id] = asked
        request = (instrument.con_id, end, duration, bar_size)
        frame = Frame(
            priority=Priority.HISTORY,
            data=channel.writer.history(request_id, instrument, end=end, duration=duration, bar_size=bar_size),
            gate=asked.gate,
            written=asked.written,
            withheld=asked.lose,
            pace=pace_of(request, (instrument.con_id, instrument.exchange), bar_size, "TRADES"),
        )
        try:
            channel.budget.put(frame)
            return await asked.answered
        finally:
            asked.close()
            self._asked.pop(request_id, None)
            channel.give_back(request_id)
            if asked.is_at_gateway and channel.is_open:
                channel.send(Priority.DATA, channel.writer.cancel_history(request_id))


class _Asked:
    """One request. Its deadline counts from the write: time in the queue is bounded by the budget's rules."""

    def __init__(self, channel: Channel, symbol: str) -> None:
        self._channel = channel
        self._symbol = symbol
        self._timer: asyncio.TimerHandle | None = None
        self.answered: asyncio.Future[BarColumns] = channel.loop.create_future()
        self.is_at_gateway = False

    def gate(self) -> str | None:
        return "nobody waits for it any more" if self.answered.done() else None

    def written(self) -> None:
        self.is_at_gateway = True
        self._timer = self._channel.loop.call_later(self._channel.settings.history_seconds, self._late)

    def answer(self, columns: BarColumns) -> None:
        self.is_at_gateway = False
        if not self.answered.done():
            self.answered.set_result(columns)

    def error(self, code: int, text: str) -> None:
        self.refuse(f"{text} ({code})")

    def refuse(self, reason: str) -> None:
        self.is_at_gateway = False
        self._fail(DataError(f"{self._symbol}: the broker gives no history: {reason}"))

    def lose(self, reason: str) -> None:
        self._fail(LinkError(f"{self._symbol}: no history: {reason}"))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _late(self) -> None:
        self.lose(f"no answer within {self._channel.settings.history_seconds:g} s")

    def _fail(self, error: DataError | LinkError) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)

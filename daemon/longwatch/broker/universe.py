"""The instruments of the universe, and those held since, asked for once in a process; part of live.IbBroker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from longwatch.broker.budget import Priority
from longwatch.broker.channel import Channel
from longwatch.broker.contracts import DetailsRow, Wanted, chosen
from longwatch.broker.ids import Owner
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.errors import LinkError

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0


class Universe:
    """What is known stays known; what was missing is asked for again, after pauses that grow, and on each connection.

    Silence and refusals may come of a gateway in trouble, and would cost the symbol every day until the next one.
    """

    def __init__(self, channel: Channel, *, done: Callable[[], None]) -> None:
        self._channel = channel
        self._done = done
        # request id -> what was asked, and the rows that came
        self._asked: dict[int, tuple[Wanted, list[DetailsRow]]] = {}
        self._found: list[Instrument] = []
        self._deadline: asyncio.TimerHandle | None = None
        self._again: asyncio.TimerHandle | None = None
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._wanted = list(channel.settings.universe)
        self._is_started = False
        self.instruments: dict[str, Instrument] = {}
        self.missing: dict[str, str] = {}

    def start(self) -> None:
        """Ask for what is not known yet; InstrumentsSeen follows unless there is nothing to ask."""
        unknown = [wanted for wanted in self._wanted if wanted.symbol not in self.instruments]
        self._is_started = True
        if self._asked:
            return
        if not unknown:
            self._done()
            return
        self._found.clear()
        self.missing.clear()
        for wanted in unknown:
            self._ask(wanted)
        self._wait()
        self._finish()

    def add(self, symbols: Iterable[str]) -> None:
        """Ask for these too, unless they were; InstrumentsSeen follows for what is new."""
        there = {wanted.symbol for wanted in self._wanted}
        new = [Wanted(symbol=one, currency=self._channel.settings.currency) for one in symbols if one not in there]
        self._wanted += new
        if not new or not self._is_started:
            return
        if not self._asked:
            self.start()
            return
        for wanted in new:
            self._ask(wanted)

    def stop(self) -> None:
        """The connection is gone."""
        self._is_started = False
        self._asked.clear()
        self._pause_seconds = FIRST_PAUSE_SECONDS
        for timer in (self._deadline, self._again):
            if timer is not None:
                timer.cancel()
        self._deadline = self._again = None

    def row(self, request_id: int, row: DetailsRow) -> None:
        """Message 10."""
        if request_id in self._asked:
            self._asked[request_id][1].append(row)

    def ended(self, request_id: int) -> None:
        """Message 52: one symbol's answer is whole."""
        if request_id in self._asked:
            wanted, rows = self._asked[request_id]
            self._settle(request_id, chosen(wanted, rows))

    def undecodable(self, request_id: int, reason: str) -> bool:
        """Whether a message that could not be decoded was an answer to one of ours: it is then missing."""
        if request_id not in self._asked:
            return False
        self._settle(request_id, f"its contract details could not be decoded ({reason})")
        return True

    def _ask(self, wanted: Wanted) -> None:
        def failed(code: int, text: str) -> None:
            self._settle(request_id, f"{text} ({code})")

        try:
            request_id = self._channel.take(Owner(name=f"contract details of {wanted.symbol}", failed=failed))
        except LinkError as error:
            self.missing[wanted.symbol] = str(error)
            return
        self._asked[request_id] = (wanted, [])
        self._channel.send(Priority.ACCOUNT, self._channel.writer.contract_details(request_id, wanted))

    def _settle(self, request_id: int, answer: Instrument | str) -> None:
        if request_id not in self._asked:
            return
        wanted, _ = self._asked.pop(request_id)
        self._channel.give_back(request_id)
        if isinstance(answer, str):
            self.missing[wanted.symbol] = answer
        else:
            self.instruments[wanted.symbol] = answer
            self._found.append(answer)
        self._wait()
        self._finish()

    def _wait(self) -> None:
        """The deadline is for the next answer: many symbols may take long, silence may not."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._channel.loop.call_later(self._channel.settings.details_seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        reason = f"no contract details within {self._channel.settings.details_seconds:g} s"
        for request_id, (wanted, _) in list(self._asked.items()):
            self._channel.give_back(request_id)
            self.missing[wanted.symbol] = reason
        self._asked.clear()
        self._finish()

    def _finish(self) -> None:
        if self._asked:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._channel.emit(
            m.InstrumentsSeen, instruments=tuple(self._found), missing=tuple(sorted(self.missing.items()))
        )
        if self.missing:
            self._again = self._channel.loop.call_later(self._pause_seconds, self.start)
            self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        self._done()

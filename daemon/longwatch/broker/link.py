"""The one connection loop there is: connect, keep watch, say how it ended, wait, connect again; run by live.IbBroker.

Waiting is full-jitter exponential backoff: unlimited in number, bounded in rate, and started afresh after a connection
that was stable. A heartbeat finds sockets that died without saying so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from random import Random
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_base

from longwatch.broker.settings import LinkSettings
from longwatch.errors import LinkError

# A gateway that talks but does not answer is given this many time-outs before it counts as gone.
PATIENCE = 3


class Connection(Protocol):
    """What the loop needs of one connection; line.Line is one."""

    lost: asyncio.Future[str]
    heard_at: float

    async def open(self) -> None: ...

    def end(self, reason: str) -> None: ...

    async def close(self) -> None: ...


class Owner(Protocol):
    """Who the loop works for; live.IbBroker is one."""

    def opening(self, attempt: int) -> Connection:
        """An attempt begins: make a connection to open."""
        ...

    def ask_time(self) -> None:
        """Send a heartbeat."""
        ...

    def ended(self, reason: str) -> None:
        """An attempt failed, or the connection ended."""
        ...


class FullJitter(wait_base):
    """Between `floor` and a bound that doubles from `first` up to `longest`, drawn from a seeded generator.

    tenacity's own full jitter draws from the process-wide generator, which no seed of ours reaches.
    """

    def __init__(self, settings: LinkSettings, random: Random) -> None:
        self._floor = settings.backoff_floor_seconds
        self._first = settings.backoff_first_seconds
        self._longest = settings.backoff_longest_seconds
        self._random = random

    def __call__(self, retry_state: RetryCallState) -> float:
        doublings = min(retry_state.attempt_number - 1, 30)
        bound = min(self._longest, self._first * 2**doublings)
        return self._random.uniform(self._floor, max(self._floor, bound))


class Heartbeat:
    """When to ask a connection for a sign of life, and when its silence has lasted too long. Times are loop seconds."""

    def __init__(self, settings: LinkSettings, now: float) -> None:
        self._settings = settings
        self._asked_at = now
        self._awaiting = False

    def asked(self, now: float) -> None:
        """The gateway was asked for its time."""
        self._asked_at, self._awaiting = now, True

    def answered(self) -> None:
        """The gateway told its time."""
        self._awaiting = False

    def wait_seconds(self, heard_at: float, now: float) -> float:
        """Seconds until the connection has to be looked at; 0 or less: ask now, unless `silence` says otherwise."""
        settings = self._settings
        if self._awaiting:
            due = min(
                max(self._asked_at, heard_at) + settings.heartbeat_timeout_seconds,
                self._asked_at + PATIENCE * settings.heartbeat_timeout_seconds,
            )
        else:
            due = min(heard_at + settings.heartbeat_seconds, self._asked_at + settings.clock_check_seconds)
        return due - now

    def silence(self, heard_at: float, now: float) -> str | None:
        """Why the connection counts as gone, or None."""
        if not self._awaiting or self.wait_seconds(heard_at, now) > 0:
            return None
        limit = self._settings.heartbeat_timeout_seconds
        if now - max(self._asked_at, heard_at) >= limit:
            return (
                f"the gateway has said nothing for {limit:g} s, though asked for its time: the connection is half-open"
            )
        return f"the gateway talks, but has not told its time for {PATIENCE * limit:g} s"


class Link:
    """The loop. `run` ends by cancellation, or after `close`."""

    def __init__(self, settings: LinkSettings, owner: Owner, random: Random, log: logging.Logger) -> None:
        self._settings = settings
        self._owner = owner
        self._wait = FullJitter(settings, random)
        self._log = log
        self._line: Connection | None = None
        self._heartbeat: Heartbeat | None = None
        self._closed = asyncio.Event()
        self.attempts = 0

    async def run(self) -> None:
        """Keep the connection until cancelled or closed."""
        while not self._closed.is_set():
            attempts = AsyncRetrying(
                wait=self._wait, retry=retry_if_exception_type(LinkError), sleep=self._sleep, before_sleep=self._say
            )
            async for attempt in attempts:
                with attempt:
                    await self._live()

    def end(self, reason: str) -> None:
        """End this connection; the loop makes another."""
        if self._line is not None:
            self._line.end(reason)

    async def close(self) -> None:
        """End the connection for good."""
        self._closed.set()
        if self._line is not None:
            await self._line.close()

    def answered(self) -> None:
        """The gateway told its time."""
        if self._heartbeat is not None:
            self._heartbeat.answered()

    async def _live(self) -> None:
        """One connection from beginning to end. Raises LinkError when it ended before it was stable."""
        if self._closed.is_set():
            return
        loop = asyncio.get_running_loop()
        self.attempts += 1
        line = self._line = self._owner.opening(self.attempts)
        stable_at = float("inf")
        reason = "the connection was closed by us"
        try:
            await line.open()
            stable_at = loop.time() + self._settings.stable_seconds
            reason = await self._watch(line)
        except LinkError as error:
            reason = str(error)
        finally:
            self._line = self._heartbeat = None
            line.end(reason)
            self._owner.ended(reason)
        if not self._closed.is_set() and loop.time() < stable_at:
            raise LinkError(reason)

    async def _watch(self, line: Connection) -> str:
        """Wait for the end of the line; ask for the time when it has been quiet, or the clock unchecked, for long."""
        loop = asyncio.get_running_loop()
        heartbeat = self._heartbeat = Heartbeat(self._settings, loop.time())
        self._ask(heartbeat, loop.time())
        while not line.lost.done():
            wait = heartbeat.wait_seconds(line.heard_at, loop.time())
            if wait > 0:
                await asyncio.wait({line.lost}, timeout=wait)
                continue
            silence = heartbeat.silence(line.heard_at, loop.time())
            if silence is not None:
                return silence
            self._ask(heartbeat, loop.time())
        return line.lost.result()

    def _ask(self, heartbeat: Heartbeat, now: float) -> None:
        heartbeat.asked(now)
        self._owner.ask_time()

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _say(self, state: RetryCallState) -> None:
        pause = state.next_action.sleep if state.next_action is not None else 0.0
        self._log.debug("next attempt in %.1f s", pause)

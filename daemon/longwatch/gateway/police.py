"""The pacing rules of a real gateway, and what becomes of a client that breaks them; asked by sessions and requests.

Seconds are the machine's, not the market's: limits protect the broker's servers, however fast a market is replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from longwatch.gateway.market.instruments import Instrument

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

LONGEST_PACED = timedelta(seconds=30)
"""Requests for longer bars are not counted."""

MOST_WAITING = 10_000
"""A client with so many messages in the queue is cut off."""

NEAR = 0.88
"""From this share of the rate on, a client is warned (code 0), once a second at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The rules; every count is per the seconds beside it.

    `messages_a_second` is a client's (half the market data lines). Beyond it messages wait (`rejects` False, the
    default of real gateways), or they are refused by error 100 and the third second of it, `strikes`, ends the
    connection. The others are about history in bars of 30 s or less and bars in real time, over all clients: the same
    request again within `identical_seconds`; `similar` for one contract, exchange and kind of price; `requests`, where
    bid and ask together count twice. After `history_strikes` breaches of these within `requests_seconds` a connection
    ends; 0 is never.
    """

    messages_a_second: int = 50
    rejects: bool = False
    strikes: int = 3
    identical_seconds: float = 15.0
    similar: int = 6
    similar_seconds: float = 2.0
    requests: int = 60
    requests_seconds: float = 600.0
    history_strikes: int = 20


class Rule(StrEnum):
    """What can be broken."""

    RATE = "messages a second"
    IDENTICAL = "identical requests for history"
    SIMILAR = "requests for one contract"
    MANY = "requests for history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One breach: by whom, of what, and when by the loop's clock."""

    client_id: int
    rule: Rule
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for history as the rules see it; `weight` 0 is not counted."""

    whole: tuple[Any, ...]
    kind: tuple[Any, ...]
    weight: int


@dataclass(slots=True)
class Rate:
    """One client's messages of the last second, and those that wait for their turn."""

    heard: deque[float] = field(default_factory=deque)
    waiting: deque[bytes] = field(default_factory=deque)
    strikes: int = 0
    struck_at: float = float("-inf")
    warned_at: float = float("-inf")

    def count(self, now: float) -> int:
        """How many came within the last second."""
        while self.heard and self.heard[0] <= now - 1.0:
            self.heard.popleft()
        return len(self.heard)


def history_ask(
    values: dict[str, Any], instrument: Instrument, step: timedelta | None, *, is_live: bool = False
) -> Ask:
    """What the rules count of a request; a longer step than thirty seconds is free, a stream of bars is not.

    The contract is the `instrument` that was found, in whatever words it was asked for.
    """
    contract = (instrument.con_id, (values["exchange"] or instrument.exchange).upper())
    what = values["whatToShow"]
    rest = tuple(values.get(name) for name in ("endDateTime", "barSize", "duration", "useRTH", "formatDate"))
    is_paced = is_live or (step is not None and step <= LONGEST_PACED)
    weight = 2 if what == "BID_ASK" else 1
    return Ask(whole=(*contract, what, *rest), kind=(*contract, what), weight=weight if is_paced else 0)


class Police:
    """Watches all clients of a gateway. Without limits it lets everything pass."""

    def __init__(self, limits: Limits | None, now: Callable[[], float], later: Callable[..., object]) -> None:
        self.violations: list[Violation] = []
        self._limits = limits
        self._now = now
        self._later = later
        self._rates: dict[Session, Rate] = {}
        self._asked: deque[tuple[float, Ask]] = deque()
        self._left: dict[int, deque[float]] = {}
        """When clients that have gone were heard last: a new connection does not begin a new second."""
        self._broken: dict[int, deque[float]] = {}

    def hear(self, session: Session, payload: bytes, receive: Callable[[bytes], None]) -> None:
        """Let a message in: now, when its turn comes, or not at all."""
        limits = self._limits
        if limits is None:
            receive(payload)
            return
        now, rate = self._now(), self._rate_of(session)
        count = rate.count(now) + len(rate.waiting)
        if count < limits.messages_a_second and not rate.waiting:
            rate.heard.append(now)
            self._warn(session, rate, count + 1, now)
            receive(payload)
        elif limits.rejects:
            rate.heard.append(now)
            self._reject(session, rate, count + 1, now)
        else:
            self._queue(session, rate, payload, receive)

    def may_have_history(self, session: Session, ask: Ask) -> bool:
        """Whether a request for history keeps within the rules; one that does not is not counted for the next."""
        limits = self._limits
        if limits is None or not ask.weight:
            return True
        now = self._now()
        while self._asked and self._asked[0][0] <= now - limits.requests_seconds:
            self._asked.popleft()
        rule = self._broken_by(ask, limits, now)
        if rule is None:
            self._asked.append((now, ask))
            return True
        self._note(session, rule, now)
        broken = self._broken.setdefault(session.client_id, deque())
        while broken and broken[0] <= now - limits.requests_seconds:
            broken.popleft()
        broken.append(now)
        if limits.history_strikes and len(broken) >= limits.history_strikes:
            del self._broken[session.client_id]
            self._later(0.0, session.close)
        return False

    def forget(self, session: Session) -> None:
        """A client has left: what it still had in the queue is gone."""
        rate, now = self._rates.pop(session, None), self._now()
        self._left = {client_id: heard for client_id, heard in self._left.items() if heard[-1] > now - 1.0}
        if rate is not None and session.is_started and rate.count(now):
            self._left[session.client_id] = rate.heard

    def _rate_of(self, session: Session) -> Rate:
        rate = self._rates.setdefault(session, Rate())
        if session.is_started and (before := self._left.pop(session.client_id, None)):
            rate.heard = deque(sorted((*before, *rate.heard)))
        return rate

    def _broken_by(self, ask: Ask, limits: Limits, now: float) -> Rule | None:
        recent = [(at, one) for at, one in self._asked if at > now - limits.identical_seconds]
        if any(one.whole == ask.whole for _, one in recent):
            return Rule.IDENTICAL
        similar = sum(one.kind == ask.kind for at, one in recent if at > now - limits.similar_seconds)
        if similar + 1 >= limits.similar:
            return Rule.SIMILAR
        if sum(one.weight for _, one in self._asked) + ask.weight > limits.requests:
            return Rule.MANY
        return None

    def _warn(self, session: Session, rate: Rate, count: int, now: float) -> None:
        limits = self._limits
        if limits is None or count < NEAR * limits.messages_a_second or now - rate.warned_at < 1.0:
            return
        rate.warned_at = now
        most = limits.messages_a_second
        session.error(0, f"Warning: Approaching max rate of {most} messages per second ({count})")

    def _reject(self, session: Session, rate: Rate, count: int, now: float) -> None:
        limits = self._limits
        assert limits is not None
        if now - rate.struck_at >= 1.0:
            rate.struck_at = now
            rate.strikes += 1
            self._note(session, Rule.RATE, now)
        most = limits.messages_a_second
        text = f"Max rate of messages per second has been exceeded:max={most} rec={count} ({rate.strikes})"
        session.error(100, text)
        if rate.strikes >= limits.strikes:
            session.close()

    def _queue(self, session: Session, rate: Rate, payload: bytes, receive: Callable[[bytes], None]) -> None:
        now = self._now()
        if not rate.waiting:
            self._note(session, Rule.RATE, now)
            self._later(max(rate.heard[0] + 1.0 - now, 0.0), self._release, session, rate, receive)
        rate.waiting.append(payload)
        if len(rate.waiting) > MOST_WAITING:
            session.abort()

    def _release(self, session: Session, rate: Rate, receive: Callable[[bytes], None]) -> None:
        """Let in what may come in now, and look again when the next may."""
        limits = self._limits
        assert limits is not None
        now = self._now()
        while rate.waiting and session.is_open and rate.count(now) < limits.messages_a_second:
            rate.heard.append(now)
            receive(rate.waiting.popleft())
        if rate.waiting and session.is_open:
            self._later(max(rate.heard[0] + 1.0 - now, 0.001), self._release, session, rate, receive)

    def _note(self, session: Session, rule: Rule, now: float) -> None:
        self.violations.append(Violation(client_id=session.client_id, rule=rule, at=now))

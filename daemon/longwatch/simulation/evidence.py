"""What a simulated run left behind, read apart from the daemon's code: ledger lines, journal rows, frames; for judging.

Nothing here imports a type of the daemon's domain: journal payloads are plain JSON, the ledger is the gateway's file.
All times are market time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from heapq import merge
from typing import Any, TypeVar

from longwatch.gateway.events import Happened
from longwatch.gateway.police import Violation
from longwatch.quick import quick
from longwatch.simulation.booked import ZERO, BookedOrder, Fill
from longwatch.simulation.cuts import Struck
from longwatch.simulation.in_flight import InFlight
from longwatch.simulation.scenery import Scenery
from longwatch.simulation.shares import SHARE_FACTS, booked_shares, shares_since, true_shares
from longwatch.simulation.tap import Seen
from longwatch.simulation.told import A_SECOND_LOOK, Others, Told
from longwatch.simulation.trouble import Played

T = TypeVar("T")

OURS = "lw:"
RESTARTS = frozenset({"restart", "login_wait"})
END_MARKS = frozenset({"positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "accountSummaryEnd"})
"""What ends the parts of a whole download of the account."""
TERMINAL = frozenset({"refused", "unsent", "filled", "cancelled", "rejected", "expired", "absent", "inferred"})

SUMS = "orders_sent orders_booked fills connections faults_played fills_untellable pacing_violations"
COUNTED = tuple(SUMS.split())
"""What is counted of every run."""

Found = Iterator[tuple[datetime, str]]
"""What an invariant finds broken: when, and what."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One journal record; a fact has the times of the event it follows from."""

    sequence: int
    kind: str
    at: datetime
    tech: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an account began with and came to in the gateway's books; shares by contract."""

    opening: Decimal
    cash: Decimal
    shares: Mapping[int, Decimal]


@dataclass(frozen=True, kw_only=True, repr=False)
class Evidence:
    """Everything there is to judge by; orders and fills are the daemon's own, `others` has the rest.

    asyncio would write it all out as the result of its task if it could.
    """

    scene: Scenery
    rows: tuple[Row, ...]
    written: tuple[Seen, ...]
    heard: tuple[Seen, ...]
    orders: tuple[BookedOrder, ...]
    fills: tuple[Fill, ...]
    busted: tuple[Fill, ...] = ()
    others: Others = field(default_factory=Others)
    played: tuple[Played, ...]
    lost_fills: frozenset[str]
    lost_commissions: frozenset[str] = frozenset()
    left_out: frozenset[tuple[str, int]] = frozenset()
    events: tuple[Happened, ...] = ()
    accounts: Mapping[str, Held] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    replays_commissions: bool = True
    cuts: tuple[Struck, ...] = ()

    def facts(self, *kinds: str) -> Iterator[Row]:
        """The journal's rows of some kinds, in order."""
        return merge(*(self.by_kind.get(kind, ()) for kind in kinds), key=lambda row: row.sequence)

    def frames(self, name: str) -> Iterator[Seen]:
        """What the daemon heard under a name."""
        return (seen for seen in self.heard if seen.name == name)

    @cached_property
    def by_kind(self) -> dict[str, list[Row]]:
        """The journal's rows, by kind."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            found[row.kind].append(row)
        return dict(found)

    @cached_property
    def placed(self) -> tuple[Seen, ...]:
        """Every placeOrder the daemon wrote, but for the modifications it had decided on."""
        asked: dict[str, list[Row]] = defaultdict(list)
        for row in self.facts("OrderChangeAsked"):
            asked[self.intents[row.body["intent"]]["ref"]].append(row)
        found, known = [], set()
        for seen in (seen for seen in self.written if seen.name == "placeOrder"):
            ref = seen.values["orderRef"]
            if ref in known and _is_asked(seen, asked[ref]):
                continue
            known.add(ref)
            found.append(seen)
        return tuple(found)

    @cached_property
    def by_ref(self) -> dict[str, BookedOrder]:
        """The gateway's orders of ours."""
        return {order.ref: order for order in self.orders if order.ref.startswith(OURS)}

    @cached_property
    def intents(self) -> dict[int, Mapping[str, Any]]:
        """Every order intended, by intent, as it was then."""
        return {row.body["order"]["intent"]: row.body["order"] for row in self.facts("OrderIntended")}

    @cached_property
    def _profits(self) -> frozenset[str]:
        return frozenset(order["ref"] for order in self.intents.values() if order["purpose"] == "profit")

    def takes_profit(self, order: BookedOrder) -> bool:
        """Whether it was meant to rest beside a stop: neither a trade that is wanted now, nor protection."""
        return order.ref in self._profits

    @cached_property
    def parents(self) -> dict[str, str]:
        """Reference -> that of the order it took the place of."""
        replaced = ((order["ref"], self.intents.get(order.get("replaces", 0))) for order in self.intents.values())
        return {ref: parent["ref"] for ref, parent in replaced if parent is not None}

    @cached_property
    def heard_ids(self) -> frozenset[str]:
        """Executions the daemon was told of."""
        return frozenset(seen.values["execId"] for seen in self.frames("execDetails"))

    @cached_property
    def unheard(self) -> tuple[Fill, ...]:
        """Fills of ours that nobody ever told the daemon as they came to be in the end."""
        return tuple(fill for fill in self.fills if fill.ref.startswith(OURS) and fill.exec_id not in self.heard_ids)

    @cached_property
    def untellable(self) -> tuple[Fill, ...]:
        """Of these, the ones the gateway never told on purpose, or forgot in a restart before it was asked."""
        return tuple(fill for fill in self.unheard if fill.exec_id in self.lost_fills or self.was_forgotten(fill))

    @cached_property
    def undecidable(self) -> frozenset[str]:
        """Symbols in which the daemon can't know what it holds."""
        return frozenset(self.symbols[fill.con_id] for fill in self.untellable)

    def room_taken(self, con_id: int, at: datetime, *, is_buy: bool) -> Decimal:
        """The shares that a buy, or a sell, must reckon with: what was taken back is either until that is known."""
        there = [one for one, _ in self.busts_of(con_id) if one.at <= at and not one.is_gone(at)]
        told, true = self.position(con_id, at), self._true(con_id, at, there)
        return min(told, true) if is_buy else max(told, true)

    def as_told(self, con_id: int, at: datetime) -> Decimal:
        """The shares by all fills up to an instant, those that were taken back among them."""
        return self._true(con_id, at, [fill for fill, _ in self.busts_of(con_id) if fill.at <= at])

    def position(self, con_id: int, at: datetime) -> Decimal:
        """The account's true shares at an instant; what was taken back is among them until that could be known."""
        busts = self.busts_of(con_id)
        hidden = [fill for fill, known_at in busts if fill.at <= at and (known_at is None or at < known_at)]
        return self._true(con_id, at, hidden)

    def _true(self, con_id: int, at: datetime, hidden: Sequence[Fill]) -> Decimal:
        if hidden and con_id in self._splits_of:
            steps = (*self._fills_of.get(con_id, ()), *hidden)
            return true_shares(steps, self._splits_of[con_id], at).get(con_id, (ZERO, ZERO))[0]
        times, held = self._held_since.get(con_id, ((), ()))
        after = bisect_right(times, at)
        return sum((fill.quantity for fill in hidden), held[after - 1] if after else ZERO)

    def busts_of(self, con_id: int) -> Sequence[tuple[Fill, datetime | None]]:
        """Of `busts_known` those in a contract."""
        return self._busts_of.get(con_id, ())

    @cached_property
    def _busts_of(self) -> dict[int, list[tuple[Fill, datetime | None]]]:
        return _by_contract(self.busts_known, lambda one: one[0].con_id)

    @cached_property
    def _fills_of(self) -> dict[int, list[Fill]]:
        return _by_contract(self.fills, lambda fill: fill.con_id)

    @cached_property
    def _splits_of(self) -> dict[int, list[Happened]]:
        return _by_contract((one for one in self.events if one.event.kind == "split"), lambda one: one.con_id)

    @cached_property
    def busts_known(self) -> tuple[tuple[Fill, datetime | None], ...]:
        """Fills that were taken back, and when the book had been compared twice since, with time between."""
        busts = ((fill, fill.busted_at) for fill in self.busted)
        return tuple((fill, None if at is None else self.compared_twice(at)) for fill, at in busts)

    def compared_twice(self, since: datetime) -> datetime | None:
        """When the book had been compared twice since an instant, with time between."""
        compared = [one for one in self._compared if one[0] > since]
        return next((at for at, tech in compared if tech - compared[0][1] >= A_SECOND_LOOK), None)

    @cached_property
    def _compared(self) -> list[tuple[datetime, datetime]]:
        return [(row.at, row.tech) for row in self.facts("BookCompared")]

    @cached_property
    def told(self) -> Told:
        """What the daemon could know of what is not its own."""
        return Told(self)

    @cached_property
    def in_flight(self) -> InFlight:
        """What had filled and could not be known when an order was written."""
        return InFlight(self)

    @cached_property
    def adopted(self) -> frozenset[int]:
        """Contracts in which a person has said that the account is right and the book is not."""
        return frozenset(row.body["con_id"] for row in self.facts("HoldingAdopted"))

    @cached_property
    def _held_since(self) -> dict[int, tuple[list[datetime], list[Decimal]]]:
        return shares_since(self.fills, self.events)

    def live(self, at: datetime) -> Iterator[BookedOrder]:
        """The account's orders that could still fill at an instant."""
        return (order for order in self._live_on.get(at.date(), ()) if order.is_live(at))

    @cached_property
    def _live_on(self) -> dict[date, list[BookedOrder]]:
        """The orders that were live at some time of a day."""
        found: dict[date, list[BookedOrder]] = defaultdict(list)
        for order in self.orders:
            day, last = order.at.date(), (order.ended_at or self.scene.ends).date()
            while day <= last:
                found[day].append(order)
                day += timedelta(days=1)
        return found

    def on_their_way(self, place: int) -> Iterator[BookedOrder]:
        """Of the orders written before the one in this place, those that are in the gateway's books only later."""
        now = self.placed[place].at
        for earlier in range(place - 1, -1, -1):
            booked, latest = self._booked_later[earlier]
            if latest <= now:
                return
            if booked is not None and booked.at > now:
                yield booked

    @cached_property
    def _booked_later(self) -> list[tuple[BookedOrder | None, datetime]]:
        """Of each order written: as it was booked, and when the last one up to it was."""
        found: list[tuple[BookedOrder | None, datetime]] = []
        latest = self.scene.begins
        for seen in self.placed:
            booked = self.by_ref.get(seen.values["orderRef"])
            latest = max(latest, booked.at) if booked is not None else latest
            found.append((booked, latest))
        return found

    @cached_property
    def symbols(self) -> dict[int, str]:
        """What was ordered, by contract."""
        return {order.con_id: order.symbol for order in self.orders}

    def quarantined(self, at: datetime) -> set[int]:
        """Contracts not traded then, because book and account differ."""
        held: set[int] = set()
        for row in self.facts("QuarantineSet", "QuarantineLifted"):
            if row.at <= at:
                (held.add if row.kind == "QuarantineSet" else held.discard)(row.body["con_id"])
        return held

    def booked(self, at: datetime) -> dict[int, tuple[Decimal, Decimal]]:
        """What the journal's facts of ours come to: contract -> shares, paid."""
        rows = (row for row in self.facts(*SHARE_FACTS) if row.at <= at)
        return booked_shares((row.kind, row.body) for row in rows)

    def truly(self, at: datetime) -> dict[int, tuple[Decimal, Decimal]]:
        """The account's true shares at an instant, and what was paid for them."""
        return true_shares(self.fills, self.events, at)

    def last_trouble(self) -> datetime:
        """When the last fault ended."""
        ends = [end for one in self.played for end in (one.ended or one.began, *one.struck)]
        return max([*ends, self.scene.begins])

    def is_quiet(self, at: datetime, since: timedelta) -> bool:
        """Whether nothing was wrong at `at`, nor for so long before."""
        lasting = all(one.began > at or (one.ended is not None and one.ended < at - since) for one in self.played)
        return lasting and not any(at - since <= struck <= at for one in self.played for struck in one.struck)

    def counts(self) -> dict[str, int]:
        """How much happened."""
        figures = (
            len(self.placed),
            len(self.by_ref),
            len([fill for fill in self.fills if fill.ref.startswith(OURS)]),
            max((seen.link for seen in self.heard), default=-1) + 1,
            len(self.played),
            len(self.untellable),
            len(self.violations),
        )
        return dict(zip(COUNTED, figures, strict=True))

    def was_forgotten(self, fill: Fill) -> bool:
        """Whether the gateway was started anew after the fill, every answer since which had left it out."""
        answers = self.frames("execDetailsEnd")
        ends = [seen.at for seen in answers if (fill.exec_id, seen.values["reqId"]) not in self.left_out]
        following = bisect_left(ends, fill.told_at)
        asked = ends[following] if following < len(ends) else None
        restarts = [one.ended for one in self.played if one.incident.fault in RESTARTS and one.ended is not None]
        return any(fill.told_at <= ended and (asked is None or asked > ended) for ended in restarts)


def _by_contract(found: Iterable[T], con_id_of: Callable[[T], int]) -> dict[int, list[T]]:
    grouped: dict[int, list[T]] = defaultdict(list)
    for one in found:
        grouped[con_id_of(one)].append(one)
    return dict(grouped)


def _is_asked(seen: Seen, asked: list[Row]) -> bool:
    """Whether an order written again has the terms of a change decided on before; each change explains one writing."""
    for place, row in enumerate(asked):
        change = row.body["change"]
        if row.at <= seen.at and Decimal(change["quantity"]) == Decimal(str(seen.values["totalQuantity"])):
            del asked[: place + 1]
            return True
    return False

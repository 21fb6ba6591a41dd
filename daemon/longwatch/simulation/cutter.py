"""Kills the daemon at the very instant of each cut, by the ports it was built with; made by simulate.

From that instant nothing of the daemon reaches anybody: its journal takes no byte more, and of what its connections
were given only what the cut lets through arrives. The gateway lives on.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from longwatch.app import Ports
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from longwatch.ports import Broker, BrokerNeeds, OrderGate
from longwatch.simulation.bench import Bench
from longwatch.simulation.cuts import COMMITS, Cut, Point, Struck
from longwatch.simulation.life import Life
from longwatch.simulation.met import concerns
from longwatch.simulation.mortal import MortalStore, Side
from longwatch.simulation.tap import SERVER_VERSION, Stream
from longwatch.simulation.transport import MemoryLink
from longwatch.wire.framing import split
from longwatch.wire.replies import Reply, decode_reply
from longwatch.wire.requests import Request, decode_request

CHECKPOINT_RECORDS = 600
"""Few, so that short runs have checkpoints too, which are commits like others."""
PLACE, CANCEL = b"3\0", b"4\0"
OPEN_ORDER, ORDER_STATUS, EXECUTION = b"5\0", b"3\0", b"11\0"
TOLD: Mapping[Point, tuple[bytes, ...]] = {
    Point.SENDING: (),
    Point.ACKNOWLEDGED: (OPEN_ORDER, ORDER_STATUS),
    Point.FILLED: (EXECUTION,),
}
"""Messages that tell of a point."""
UNANSWERED = frozenset({"PendingSubmit", "Inactive"})
HALF_A_CANCEL = 0.3
PATIENCE = timedelta(minutes=4)
"""How long a cut waits for its occurrence, and that of a queued order for one that had to wait; then any will do."""
PATIENCE_FOR_A_KIND, PATIENCE_AT_ONCE = timedelta(seconds=130), timedelta(seconds=75)
"""How long the cut of a commit waits for its kind of record, in trading and from a start; then one will do that has a
kind which has not been cut in this run."""
GIVE_UP_SECONDS, GIVE_UP_TIMES = 300.0, 2
SIDES: Mapping[Point, tuple[Side, ...]] = {
    Point.BEFORE_COMMIT: (Side.BEFORE,),
    Point.TORN_COMMIT: (Side.TORN,),
    Point.AFTER_COMMIT: (Side.AFTER,),
    Point.INTENDED: (Side.BEFORE, Side.TORN, Side.AFTER),
    Point.ACKNOWLEDGED: (Side.BEFORE, Side.TORN),
    Point.FILLED: (Side.BEFORE, Side.TORN),
    Point.SENDING: (Side.BEFORE, Side.AFTER),
}
"""The sides of a commit on which a point can be cut."""
ELSEWHERE_SHARE = 0.5
"""Of the cuts of a point that is not a commit alone: how many are made where the bytes are."""


@dataclass(slots=True)
class _Orders:
    """What the cutter knows of orders on their way, by the bytes and the records that passed it."""

    intent_of: dict[int, int]
    sending: dict[int, float]
    unanswered: set[int]


class Cutter:
    """Plays cuts one after the other, none from `until` (market time) on; `struck` are those that came.

    `told` hears of each cut as it comes.
    """

    def __init__(self, cuts: Iterator[Cut], bench: Bench, *, until: datetime, told: Callable[[Struck], object]) -> None:
        self._cuts = cuts
        self._bench = bench
        self._until = until
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._life: Life | None = None
        self._store: MortalStore | None = None
        self._cut: Cut | None = None
        self._armed_at = bench.clock.market()
        self._left = 0
        self._about: tuple[tuple[int, ...], tuple[str, ...], Side | None] = ((), (), None)
        self._orders = _Orders({}, {}, set())
        self._given_up: Counter[Point] = Counter()
        self._kinds_cut: set[str] = set()
        self.struck: list[Struck] = []
        bench.journal_of, bench.ports_of = self._journal, self._ports
        self._tapped = bench.network.on_link
        bench.network.on_link = self._joined

    def begin(self, life: Life) -> None:
        """Arm the first cut."""
        self._life = life
        self._next()

    # ── when ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self) -> None:
        cut = next(self._cuts, None)
        while cut is not None and cut.point not in COMMITS and self._given_up[cut.point] >= GIVE_UP_TIMES:
            cut = next(self._cuts, None)
        if cut is not None and cut.wait:
            self._loop.call_later(cut.wait, self._arm, cut)
        elif cut is not None:
            self._arm(cut)

    def _arm(self, cut: Cut) -> None:
        if self._bench.clock.market() < self._until:
            self._cut, self._left, self._armed_at = cut, cut.skip, self._bench.clock.market()
            self._loop.call_later(GIVE_UP_SECONDS, self._give_up, cut)

    def _give_up(self, cut: Cut) -> None:
        """What has not occurred for long, as a cancel where orders fill, is left to another seed."""
        if self._cut is cut:
            self._cut = None
            self._given_up[cut.point] += 1
            self._next()

    def _is_due(self, *points: Point) -> bool:
        """Whether an occurrence of these points is the one to cut at."""
        cut = self._cut
        if cut is None or cut.point not in points:
            return False
        if self._bench.clock.market() >= self._until:
            self._cut = None
            return False
        self._left -= 1
        return self._left < 0 or self._is_late()

    def _is_late(self) -> bool:
        return self._bench.clock.market() - self._armed_at >= PATIENCE

    def _strike(
        self, way: str, intents: Sequence[int], kinds: Sequence[str] = (), ending: MemoryLink | None = None
    ) -> None:
        """Dead from here on. What was written is on its way; the link `ending` is ended by what is let through."""
        cut, life, store = self._cut, self._life, self._store
        if cut is None or life is None or store is None:
            return
        self._cut = None
        store.sever()
        for link in self._bench.network.links:
            if link is not ending:
                link.client.abort()
        self._orders.sending.clear()
        now = self._bench.clock.market()
        struck = Struck(
            cut=cut, armed=self._armed_at, at=now, way=way, intents=tuple(sorted(set(intents))), kinds=tuple(kinds)
        )
        self.struck.append(struck)
        self._kinds_cut.update(kinds)
        self._told(struck)
        life.fell()
        self._loop.call_later(cut.down, self._revive)

    def _revive(self) -> None:
        self.struck[-1] = replace(self.struck[-1], up=self._bench.clock.market())
        if self._life is not None:
            self._life.revive()
        self._next()

    # ── the ports ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _journal(self, *given: Any, **options: Any) -> InlineJournal:
        """The simulated journal on a file that can be cut."""
        journal = InlineJournal.open(*given, **options, store_of=self._store_of)
        journal.checkpoint_records = CHECKPOINT_RECORDS
        return journal

    def _ports(self, ports: Ports) -> Ports:
        """The same with the gate of its broker watched."""
        return replace(ports, broker=partial(self._broker, ports.broker))

    def _store_of(self, *given: Any) -> MortalStore:
        self._store = MortalStore(*given, executioner=self)
        return self._store

    def _broker(self, broker: Callable[[BrokerNeeds], Broker], needs: BrokerNeeds) -> Broker:
        return broker(replace(needs, gate=partial(self._gate, needs.gate)))

    def _gate(self, gate: OrderGate, intent: int) -> str | None:
        """An order's turn to be written has come: of those that have waited this one may be cut."""
        reason = gate(intent)
        since = self._orders.sending.get(intent)
        has_waited = since is not None and self._loop.time() > since
        if reason is None and (has_waited or self._is_late()) and self._is_due(Point.QUEUED):
            self._strike("its turn has come" if has_waited else "before its bytes", list(self._orders.sending))
            return "the daemon is dead"
        return reason

    # ── the journal's executioner ───────────────────────────────────────────────────────────────────────────────────

    def committing(self, records: Sequence[Record]) -> Side | None:
        """Whether the daemon dies at this commit, and on which side."""
        facts = [(record.kind, json.loads(record.payload)) for record in records if record.cause]
        cut = self._cut
        side: Side | None = None
        if cut is not None and cut.point in SIDES and not self._is_elsewhere(cut):
            sides = SIDES[cut.point]
            chosen = sides[int(cut.part * len(sides))]
            is_one = self._is_of_kind(cut, records) if cut.point in COMMITS else concerns(cut.point, facts)
            if is_one and self._is_due(cut.point):
                side = chosen
        if side is not None:
            intents = [found for _, body in facts if (found := _intent(body)) is not None]
            self._about = (tuple(intents), tuple(record.kind for record in records), side)
        if side is None or side is Side.AFTER:
            self._note(facts)
        return side

    def _is_of_kind(self, cut: Cut, records: Sequence[Record]) -> bool:
        """Whether a commit has the kind of record that the cut of one waits for."""
        kinds = {record.kind for record in records}
        if not cut.kind or cut.kind in kinds or self._is_late():
            return True
        waited = self._bench.clock.market() - self._armed_at
        patience = PATIENCE_FOR_A_KIND if cut.wait else PATIENCE_AT_ONCE
        return waited >= patience and not kinds <= self._kinds_cut

    def part(self) -> float:
        return 0.0 if self._cut is None else self._cut.way

    def execute(self) -> None:
        intents, kinds, side = self._about
        self._strike(f"commit {side}", intents, kinds or ("checkpoint",))

    def _is_elsewhere(self, cut: Cut) -> bool:
        """Whether a point that has bytes too is cut at these."""
        return cut.point in (Point.SENDING, Point.ACKNOWLEDGED, Point.FILLED) and cut.way < ELSEWHERE_SHARE

    def _note(self, facts: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        for kind, body in facts:
            if kind == "OrderSending":
                self._orders.sending[body["intent"]] = self._loop.time()
                self._orders.intent_of[body["order_id"]] = body["intent"]
                self._orders.unanswered.add(body["intent"])
            elif kind == "OrderMoved":
                self._orders.sending.pop(body["intent"], None)
                if body["state"] != "sending":
                    self._orders.unanswered.discard(body["intent"])

    # ── the bytes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _joined(self, link: MemoryLink) -> None:
        if self._tapped is not None:
            self._tapped(link)
        tap_written, tap_arrived = link.to_server.on_written, link.to_client.on_arrived
        arrived = Stream(self._arrived, greets=False)

        def on_written(data: bytes) -> None:
            if tap_written is not None:
                tap_written(data)
            self._written(link, data)

        def on_arrived(data: bytes) -> None:
            # What a dead daemon leaves unread nobody has heard.
            if not link.client.is_closing():
                arrived(data)
            if not link.client.is_closing() and tap_arrived is not None:
                tap_arrived(data)

        link.to_server.on_written, link.to_client.on_arrived = on_written, on_arrived

    def _written(self, link: MemoryLink, data: bytes) -> None:
        """Bytes are about to be given to the connection: all of them are let through, or a part, and then no more."""
        kind = data[4:6]
        if kind not in (PLACE, CANCEL):
            return
        request = decode_request(split(data[4:]), SERVER_VERSION)
        if not isinstance(request, Request):
            return
        intent = self._orders.intent_of.get(request.values["orderId"])
        if kind == PLACE and intent is not None:
            self._orders.sending.pop(intent, None)
        intents = () if intent is None else (intent,)
        part = 1 + int((self._cut.part if self._cut else 0.0) * (len(data) - 2))
        cut = self._cut
        if cut is None:
            return
        if kind == PLACE and cut.point is Point.HALF_WRITTEN and self._is_due(cut.point):
            link.to_server.cut_after(part)
            self._strike("in its bytes", intents, ending=link)
        elif kind == PLACE and cut.point is Point.SENDING and self._is_elsewhere(cut) and self._is_due(cut.point):
            link.to_server.cut_after(len(data))
            self._strike("after its bytes", intents, ending=link)
        elif kind == CANCEL and self._is_due(Point.CANCEL_SENT):
            is_half = cut.way < HALF_A_CANCEL
            link.to_server.cut_after(part if is_half else len(data))
            self._strike("in its bytes" if is_half else "after its bytes", intents, ending=link)

    def _arrived(self, payloads: list[bytes]) -> None:
        """Messages have come to the daemon's machine, and may be left unread there."""
        for payload in payloads:
            cut = self._cut
            if cut is None or not self._is_elsewhere(cut):
                return
            if payload[: payload.index(b"\0") + 1] in TOLD[cut.point]:
                self._told_of(cut, payload)

    def _told_of(self, cut: Cut, payload: bytes) -> None:
        reply = decode_reply(split(payload), SERVER_VERSION)
        if not isinstance(reply, Reply):
            return
        order_id, is_open = reply.values["orderId"], str(reply.values.get("status")) not in UNANSWERED
        intent = self._orders.intent_of.get(order_id)
        is_news = cut.point is Point.FILLED or (intent in self._orders.unanswered and is_open)
        if intent is not None and is_news and self._is_due(cut.point):
            self._strike("unread", (intent,))


def _intent(body: Mapping[str, Any]) -> int | None:
    """The order a fact is about."""
    order = body.get("order")
    found = order["intent"] if isinstance(order, dict) else body.get("intent")
    return found if isinstance(found, int) else None

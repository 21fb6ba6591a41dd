"""What a scenario is judged by: the gateway's own ledger file and the frames on the wire, whatever the daemon says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain import messages as m
from longwatch.domain.orders import Order, OrderState
from longwatch.simulation.tap import Seen, Tap
from tests.daemon.bench import SYMBOLS, Scene, on_bench

OURS = "lw:"
HIDDEN = frozenset({"openOrder", "orderStatus", "execDetails", "completedOrder", "commissionReport", "position"})
RESTING = {"order_type": "MOC"}
"""Orders that work from the morning to the auction, so that there is time for trouble."""

Story = Callable[[Scene, "Witness"], Awaitable[None]]


def scenario(story: Story, folder: Path, trading: Mapping[str, Any] | None = None, **bench: Any) -> None:
    """Play a story on a bench of its own, with a witness who was there before anybody connected."""

    async def watched(scene: Scene) -> None:
        await story(scene, Witness(scene))

    on_bench(watched, folder, trading, **bench)


class Witness:
    """Sees what the daemon writes and hears, and reads the gateway's books."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._tap = Tap(scene.bench.network, scene.bench.clock.market)

    # ── the wire ────────────────────────────────────────────────────────────────────────────────────────────────────

    def written(self, name: str) -> list[Seen]:
        """Every message of a name that the daemon gave to its transport, in order."""
        return [seen for seen in self._tap.written() if seen.name == name]

    def heard(self, name: str) -> list[Seen]:
        """Every message of a name that arrived at the daemon, in order."""
        return [seen for seen in self._tap.heard() if seen.name == name]

    def placed(self, symbol: str = "") -> list[Seen]:
        """The placeOrder frames, of one symbol or of all."""
        return [seen for seen in self.written("placeOrder") if symbol in ("", seen.values["symbol"])]

    def cancels(self) -> list[int]:
        """The order ids of the cancelOrder frames."""
        return [seen.values["orderId"] for seen in self.written("cancelOrder")]

    def codes(self) -> list[int]:
        """The codes of all errors and notices heard."""
        return [seen.values["errorCode"] for seen in self.heard("error")]

    # ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """The lines of the ledger's file of one kind."""
        lines = self._scene.bench.ledger.read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def taken(self, symbol: str = "") -> list[dict[str, Any]]:
        """The daemon's orders that the broker has in its books."""
        ours = (entry for entry in self.entries("order") if entry["order_ref"].startswith(OURS))
        return [entry for entry in ours if symbol in ("", entry["symbol"])]

    def live(self, symbol: str = "") -> list[dict[str, Any]]:
        """Those of them that may still fill."""
        ended = {entry["perm_id"] for entry in self.entries("ended")}
        return [entry for entry in self.taken(symbol) if entry["perm_id"] not in ended]

    def filled(self, symbol: str = "") -> Decimal:
        """Signed shares that the daemon's orders have come to, by the executions alone."""
        mine = {entry["perm_id"] for entry in self.taken(symbol)}
        rows = (entry for entry in self.entries("execution") if entry["perm_id"] in mine)
        return sum((Decimal(row["quantity"]) * (1 if row["side"] == "BOT" else -1) for row in rows), Decimal(0))

    def lowest(self, symbol: str) -> Decimal:
        """The least the account ever held of a symbol, execution by execution."""
        held = least = Decimal(0)
        for row in self.entries("execution"):
            if row["symbol"] == symbol:
                held += Decimal(row["quantity"]) * (1 if row["side"] == "BOT" else -1)
                least = min(least, held)
        return least

    # ── what must be so in every scenario ───────────────────────────────────────────────────────────────────────────

    def agree(self) -> None:
        """Book and broker hold the same shares, and every execution of ours is booked exactly once."""
        scene = self._scene
        for symbol in SYMBOLS:
            held = scene.held(symbol) + scene.state.outside.get(SYMBOLS[symbol], ("", Decimal(0)))[1]
            assert held == scene.truly_held(symbol), symbol
        mine = {entry["perm_id"] for entry in self.taken()}
        true = {fill.exec_id for fill in scene.gateway.ledger.executions if fill.perm_id in mine}
        booked = [fill.exec_id for fill in scene.state.fills.values() if fill.intent is not None and fill.quantity]
        assert sorted(booked) == sorted(true)

    def never_twice(self) -> None:
        """No intent crossed the wire twice, and the broker has at most one order for each."""
        for refs in (
            [seen.values["orderRef"] for seen in self.placed()],
            [entry["order_ref"] for entry in self.taken()],
        ):
            assert len(refs) == len(set(refs)), refs


class Veil:
    """Keeps from the daemon what the gateway would say of one symbol's orders; lift it with `gateway.faults.clear()`.

    Downloads end as if whole.
    """

    def __init__(self, scene: Scene, symbol: str) -> None:
        self._scene = scene
        self._symbol = symbol
        scene.gateway.faults.own_messages = self._lets_pass

    def _lets_pass(self, name: str, values: dict[str, Any]) -> bool:
        if name not in HIDDEN:
            return True
        book = self._scene.gateway.desk.exchange.book
        hidden = {o.perm_id for o in (*book.live(), *book.ended()) if o.ticket.instrument.symbol == self._symbol}
        return values.get("symbol") != self._symbol and values.get("permId") not in hidden


def only(orders: list[Order], symbol: str) -> Order:
    """The one order of a symbol."""
    found = [one for one in orders if one.symbol == symbol]
    assert len(found) == 1, found
    return found[0]


def moves(scene: Scene, symbol: str) -> set[OrderState]:
    """Every state that a symbol's orders have ever been moved to."""
    ours = {order.intent for order in scene.orders() if order.symbol == symbol}
    return {fact.state for fact in scene.facts(m.OrderMoved) if fact.intent in ours}


def states(scene: Scene) -> dict[str, OrderState]:
    """The state of each symbol's latest order."""
    return {order.symbol: order.state for order in scene.orders()}

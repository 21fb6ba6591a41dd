"""kill -9, ten times: whatever the instant, nothing is sent twice, no fill is lost, and the books agree in the end."""

from __future__ import annotations

import signal
import time
from decimal import Decimal
from random import Random

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State
from longwatch.ops.status import positions_of
from tests.process.made import Place, Program, until

IN_FLIGHT, TRADING, STARTING = "in flight", "trading", "starting"
KILLS = (TRADING, IN_FLIGHT, TRADING, IN_FLIGHT, STARTING, TRADING, IN_FLIGHT, IN_FLIGHT, STARTING, TRADING)
"""When each kill falls: with an order handed to a gateway that answers a second late, or at a random instant."""
LIVES_SECONDS = {TRADING: (0.2, 5.0), STARTING: (0.2, 1.5)}
OPENING = Decimal(1_000_000)
BROKER_STATES = {
    OrderState.FILLED: "Filled",
    OrderState.CANCELLED: "Cancelled",
    OrderState.EXPIRED: "Cancelled",
    OrderState.REJECTED: "Inactive",
}
NEVER_THERE = frozenset({OrderState.UNSENT, OrderState.ABSENT})


@pytest.mark.timeout(240)
def test_ten_kills_duplicate_no_order_and_lose_no_fill(place: Place) -> None:
    """Killed at random instants and between send and acknowledgement, the daemon ends with the gateway's own books."""
    random = Random(20070103)
    place.configure({"strategies": [{"name": "flip", "path": "flip.py:Flip", "parameters": {"weight": 0.08}}]})
    gateway = place.gateway("--hold-acks", "1.0")
    caught = sum(_life_and_death(place, kind, random) for kind in KILLS)
    assert caught >= 3, "too few kills fell between a send and its acknowledgement"

    killed = place.folded()
    gateway.kill()
    _restarted_without_gateway_knows_what_the_killed_one_knew(place, killed)

    place.gateway()
    daemon = place.ready_daemon()
    come_to_rest(place, daemon)
    assert len(place.books().executions) >= len(KILLS)
    agree(place)


def test_an_order_left_in_the_socket_by_a_killed_daemon_is_found_and_not_sent_again(place: Place) -> None:
    """The gateway stands still, reads the order after the daemon's death, and the next daemon learns its fate."""
    gateway = place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.folded().fills) >= 2, "fills", daemon)
    gateway.send(signal.SIGSTOP)
    before = len(place.records())
    until(lambda: bool(place.messages(m.OrderHanded, before)), "an order to be handed over", daemon)
    daemon.kill()
    sent = {seen.intent for seen in place.messages(m.OrderHanded, before)}
    daemon = place.daemon()
    until(lambda: place.folded().runs == 2, "the next daemon", daemon)
    assert all(place.folded().orders[intent].state is OrderState.UNKNOWN for intent in sent)
    gateway.send(signal.SIGCONT)
    until(lambda: place.page("/readyz")[0] == 200, "the daemon to be ready", daemon)
    come_to_rest(place, daemon)
    refs = {place.folded().orders[intent].ref for intent in sent}
    assert refs <= set(place.books().refs)
    agree(place)


def _life_and_death(place: Place, kind: str, random: Random) -> bool:
    """One run of the daemon; whether it was killed between handing an order over and hearing of it."""
    before = len(place.records())
    daemon = place.ready_daemon() if kind is TRADING else place.daemon()
    if kind is IN_FLIGHT:
        until(lambda: bool(place.messages(m.OrderHanded, before)), "an order to be handed over", daemon)
    else:
        time.sleep(random.uniform(*LIVES_SECONDS[kind]))
    daemon.kill()
    handed = {seen.intent for seen in place.messages(m.OrderHanded, before)}
    return any(order.state is OrderState.SENDING and order.intent in handed for order in place.folded().live_orders())


def _restarted_without_gateway_knows_what_the_killed_one_knew(place: Place, killed: State) -> None:
    """Book, orders and fills of the killed daemon's journal, with orders in flight unknown; and nothing is guessed."""
    before = len(place.records())
    daemon = place.daemon()
    until(lambda: place.page("/livez")[0] == 200 and bool(place.status()["journal"]["id"]), "a daemon", daemon)
    # The status may still show the killed daemon's last link: the refusal is this one's when it is in the journal.
    until(lambda: bool(place.messages(m.LinkLost, before)), "the link to be refused", daemon)
    status = place.status()
    assert status["positions"] == positions_of(killed)
    daemon.kill()

    state = place.folded()
    assert (state.book, state.outside, state.fills) == (killed.book, killed.outside, killed.fills)
    assert state.commissions == killed.commissions
    assert state.orders.keys() == killed.orders.keys()
    for intent, order in killed.orders.items():
        now = state.orders[intent]
        in_flight = order.state is OrderState.SENDING
        assert now.state is (OrderState.UNKNOWN if in_flight else order.state)
        assert (now.filled, now.perm_ids, now.order_id) == (order.filled, order.perm_ids, order.order_id)


def come_to_rest(place: Place, daemon: Program) -> None:
    """Trade on until nothing is unknown, then halt and let everything that works be cancelled."""

    def unknown() -> list[str]:
        return [order.ref for order in place.folded().live_orders() if order.state is OrderState.UNKNOWN]

    until(lambda: not unknown(), "every unknown order to be settled", daemon)
    traded = len(place.books().orders)
    until(lambda: len(place.books().orders) > traded, "trading to go on", daemon)
    assert place.tell("halt", "--reason", "end of the test").returncode == 0
    until(lambda: not place.folded().live, "every order to end", daemon)
    place.ask("reconcile")
    until(lambda: _commissions_are_in(place), "the last commission to be told", daemon)
    # The answer says that the wish is durable; the reading itself comes later.
    former = place.folded().compared
    place.ask("reconcile")
    until(lambda: place.folded().compared != former, "the account to be read once more", daemon)


def _commissions_are_in(place: Place) -> bool:
    state = place.folded()
    return {exec_id for exec_id, fill in state.fills.items()} <= state.commissions.keys()


def agree(place: Place) -> None:
    """The daemon's journal and the gateway's ledger, entry by entry."""
    state, books = place.folded(), place.books()
    assert len(books.refs) == len(set(books.refs)), "an intent reached the broker twice"
    assert set(books.refs) <= {order.ref for order in state.orders.values()}
    ours = {exec_id: fill for exec_id, fill in state.fills.items() if fill.intent is not None}
    assert ours.keys() == books.executions.keys()
    for exec_id, fill in ours.items():
        entry = books.executions[exec_id]
        assert (abs(fill.quantity), fill.price) == (Decimal(entry["quantity"]), Decimal(entry["price"]))
        assert state.commissions[exec_id] == books.commissions[exec_id]
    assert {h.symbol: h.quantity for h in state.book.values() if h.quantity} == books.held
    assert {symbol: shares for symbol, shares in state.account_positions.values()} == books.held
    spent = sum((fill.quantity * fill.price for fill in ours.values()), Decimal(0))
    assert OPENING - spent - sum(state.commissions.values()) == books.cash
    _orders_ended_alike(place, state)
    assert not state.quarantines
    assert not state.outside


def _orders_ended_alike(place: Place, state: State) -> None:
    """What was proven absent never was at the broker, and every other order ended as the broker says."""
    told = {entry["order_ref"]: entry for entry in place.books().orders.values()}
    for order in state.orders.values():
        if order.state in NEVER_THERE:
            assert order.ref not in told, f"{order.ref} is {order.state.value} and yet reached the broker"
        else:
            assert told[order.ref]["ended"] == BROKER_STATES[order.state], order
            assert Decimal(told[order.ref]["quantity"]) == order.quantity

"""The gateway's own deaths: absent at the start, killed and started again, killed with an order in its ear."""

from __future__ import annotations

import signal

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State
from tests.process.made import Place, Program, until


def test_a_daemon_without_a_gateway_lives_and_says_why_it_does_not_trade(place: Place) -> None:
    """/livez is 200, /readyz names the refused connection, and it trades by itself once the gateway is there."""
    daemon = place.daemon()
    why = f"the gateway at 127.0.0.1:{place.gateway_port} refuses connections"
    until(lambda: why in place.page("/readyz")[1], "the refused connection", daemon)
    assert place.page("/readyz")[0] == 503
    assert place.page("/livez") == (200, "live\n")
    place.gateway()
    until(lambda: place.page("/readyz") == (200, "ready\n"), "the daemon to be ready", daemon)
    until(lambda: bool(place.books().executions), "a trade", daemon)


def test_a_gateway_killed_and_started_again_finds_one_daemon_with_the_same_positions(place: Place) -> None:
    """It reconnects by itself; no intent is sent twice, and book, account and ledger agree."""
    gateway = place.gateway()
    daemon = place.ready_daemon()
    for number in range(1, 3):
        until(lambda wanted=2 * number: len(place.books().executions) >= wanted, "trades", daemon)  # type: ignore[misc]
        gateway.kill()
        until(lambda: place.page("/readyz")[0] == 503, "the lost link to be seen", daemon)
        assert place.page("/livez")[0] == 200
        gateway = place.gateway()
        until(lambda: place.page("/readyz")[0] == 200, "the link to come back", daemon)
    assert place.metric("longwatch_reconnects_total") == 2
    traded = len(place.books().refs)
    until(lambda: len(place.books().refs) > traded, "trading to go on", daemon)
    state = _at_rest(place, daemon)
    books = place.books()
    assert len(books.refs) == len(set(books.refs))
    assert {fill.exec_id for fill in state.fills.values()} == books.executions.keys()
    assert {h.symbol: h.quantity for h in state.book.values() if h.quantity} == books.held
    assert dict(state.account_positions.values()) == books.held
    assert not state.quarantines


def test_an_order_that_evaporated_with_the_gateway_is_proven_absent_and_never_sent_again(place: Place) -> None:
    """Sent to a gateway that dies before it reads it, the order is unknown, then absent; its symbol is traded again."""
    gateway = place.gateway()
    daemon = place.ready_daemon()
    # A fill heard before the send and still shown after it is what proves that the same gateway's day goes on.
    until(lambda: len(place.folded().fills) >= 2, "fills", daemon)
    gateway.send(signal.SIGSTOP)
    before = len(place.records())
    until(lambda: bool(place.messages(m.OrderHanded, before)), "an order to be handed over", daemon)
    lost = {seen.intent for seen in place.messages(m.OrderHanded, before)}
    gateway.kill()
    place.gateway()

    def settled() -> bool:
        orders = place.folded().orders
        return all(orders[intent].state is OrderState.ABSENT for intent in lost)

    until(settled, "the orders to be proven absent", daemon)
    state = place.folded()
    refs = {state.orders[intent].ref for intent in lost}
    assert not refs.intersection(place.books().refs)
    symbols = {state.orders[intent].symbol for intent in lost}
    last = max(state.orders)

    def traded_again() -> bool:
        return any(o.symbol in symbols and o.intent > last and o.perm_ids for o in place.folded().orders.values())

    until(traded_again, "the symbols to be traded again", daemon)
    state = _at_rest(place, daemon)
    assert dict(state.account_positions.values()) == place.books().held


def _at_rest(place: Place, daemon: Program) -> State:
    """Halted, nothing working, the account read once more."""
    place.ask("halt")
    until(lambda: not place.folded().live, "every order to end", daemon)
    place.ask("reconcile")
    compared = len(place.messages(m.BookCompared))
    until(lambda: len(place.messages(m.BookCompared)) > compared, "the account to be read", daemon)
    return place.folded()

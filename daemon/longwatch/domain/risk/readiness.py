"""The readiness certificate: each check is a reason why no order may leave, or None; read by the gate and /readyz."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from longwatch.domain.messages import Link
from longwatch.domain.orders import OrderState
from longwatch.domain.state import State

Check = Callable[[State, datetime], str | None]
SET_BACK = -60.0
"""Seconds; a reading that is younger is of a clock that has been set back since."""


def reasons(state: State, tech: datetime) -> tuple[str, ...]:
    """Every reason why the order gate is shut at technical time `tech`; empty means ready."""
    return tuple(reason for check in CERTIFICATE if (reason := check(state, tech)) is not None)


def is_ready(state: State, tech: datetime) -> bool:
    """Whether the certificate is whole."""
    for check in CERTIFICATE:  # noqa: SIM110 - asked before every order: a generator costs half as much as the checks
        if check(state, tech) is not None:
            return False
    return True


def link_is_up(state: State, tech: datetime) -> str | None:
    """The API handshake is complete and the account has been read on this connection."""
    if state.link is Link.READY:
        return None
    return f"link: {state.link.value}" + (f" ({state.link_reason})" if state.link_reason else "")


def backend_is_up(state: State, tech: datetime) -> str | None:
    """The gateway has its own link to IB (no 1100 without 1101 or 1102 since)."""
    return None if state.backend_up else "backend: the gateway has lost its link to IB"


def farms_are_up(state: State, tech: datetime) -> str | None:
    """No farm that orders need is broken: one for history alone keeps none back."""
    broken = [name for name, farm in state.farms.items() if not farm.up and not farm.history]
    return f"farms: {', '.join(sorted(broken))} broken" if broken else None


def account_is_fresh(state: State, tech: datetime) -> str | None:
    """The latest account download did not fail, is not long ago, and not from before an outage of the backend."""
    if state.snapshot_failed is not None:
        parts = "; ".join(f"{part}: {why}" for part, why in state.snapshot_failed.failures)
        return f"account: the last download failed ({parts})"
    if state.compared is None:
        return None
    if state.backend_up and state.backend_since is not None and state.compared.tech < state.backend_since:
        return "account: not read since the gateway's link to IB came back"
    age = (tech - state.compared.tech).total_seconds()
    limit = state.settings.account_age_seconds
    if age < SET_BACK:
        return f"account: last read {-age:.0f} s ahead of now, for the clock was set back while the daemon was away"
    return f"account: last read {age:.0f} s ago, over {limit:.0f} s" if age > limit else None


def gateway_answers(state: State, tech: datetime) -> str | None:
    """No order was passed over in silence, its cancel too: behind a window nothing gets through.

    Nor was a modification, and the question put behind it. A lost link or a restart of the daemon closes no window, so
    an order of an earlier connection counts as well. Where its number names nothing any more the gateway is asked under
    another one, and answers if it listens.
    """
    if state.silent:
        order = state.orders[next(iter(state.silent))]
        return f"orders: {order.ref} ({order.symbol}) was modified, without an answer; is a window open in the gateway?"
    if not state.unknown:
        return None
    for order in state.live_orders():
        if order.state is not OrderState.UNKNOWN:
            continue
        is_answered = order.absence is not None and order.absence.is_answered
        if order.handed and not order.perm_ids and not is_answered:
            return f"orders: {order.ref} ({order.symbol}) has no answer at all; is a window open in the gateway?"
    return None


def cash_is_known(state: State, tech: datetime) -> str | None:
    """The account's value has been heard."""
    return "cash: the account's value is not known" if state.valued is None else None


def clock_is_right(state: State, tech: datetime) -> str | None:
    """The gateway's clock and ours agree."""
    if state.clock is None:
        return "clock: not yet compared with the gateway's"
    skew, limit = state.clock.skew_seconds, state.settings.clock_skew_seconds
    return f"clock: {skew:+.1f} s off the gateway's, over {limit:g} s" if abs(skew) > limit else None


def instruments_are_known(state: State, tech: datetime) -> str | None:
    """At least one symbol of the universe is a contract the broker knows; the others stay out on their own."""
    universe, known = state.settings.universe, state.instruments
    if not universe or universe[0] in known or not known.keys().isdisjoint(universe):
        return None
    return "instruments: no symbol of the universe is known to the broker"


def book_is_reconciled(state: State, tech: datetime) -> str | None:
    """A whole account download has been compared with the book; what differs is its instrument's own matter."""
    return "book: not yet compared with the account" if state.compared is None else None


CERTIFICATE: tuple[Check, ...] = (
    link_is_up,
    backend_is_up,
    farms_are_up,
    account_is_fresh,
    gateway_answers,
    cash_is_known,
    clock_is_right,
    instruments_are_known,
    book_is_reconciled,
)

"""What follows from news of the connection: socket, handshake, IB's backend, farms, clock; called by decide."""

from __future__ import annotations

from longwatch.domain import messages as m
from longwatch.domain.order_life import lifecycle, outage
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.order_life.identity import ids_began_again
from longwatch.domain.orders import Evidence
from longwatch.domain.state import State

REQUEST_IDS = 2_000
"""Ids set aside for requests at each connection; an order's id is never among them."""


def opening(state: State, event: m.LinkOpening) -> Decided:
    """The one connection loop begins an attempt."""
    if state.link is not m.Link.CONNECTING:
        yield m.LinkMoved(link=m.Link.CONNECTING, reason=state.link_reason, tech=event.tech)


def up(state: State, event: m.LinkUp) -> Decided:
    """The handshake is complete: ids are set aside and the account is downloaded, where it is the right one."""
    wrong = wrong_account(state, event)
    if wrong is not None:
        yield m.LinkMoved(link=m.Link.CONNECTING, reason=wrong, tech=event.tech)
        yield m.RaiseAlert(key="wrong_account", text=wrong, severity="critical")
        yield m.DropLink(reason=wrong)
        return
    first = max(state.next_id, event.next_order_id)
    anew = ids_began_again(state, event)
    yield m.IdsReserved(first=first, count=REQUEST_IDS, epoch=state.epoch + 1, anew=anew)
    yield m.BackendMoved(up=True, tech=event.tech)
    yield m.LinkMoved(link=m.Link.SYNCING, reason="", tech=event.tech)
    yield m.BeginSync(epoch=state.epoch, first_request_id=first, count=REQUEST_IDS, account=state.account)


def wrong_account(state: State, event: m.LinkUp) -> str | None:
    """Why the gateway's log-in is not the account and the mode that are traded, or None."""
    if state.account not in event.accounts:
        return f"the gateway serves {', '.join(event.accounts) or 'no account'}, not {state.account}"
    paper = state.account.startswith("D")
    if state.mode in ("paper", "live") and paper != (state.mode == "paper"):
        return f"account {state.account} contradicts mode {state.mode}"
    return None


def lost(state: State, event: m.LinkLost) -> Decided:
    """The connection has ended: what was sent and not answered has an unknown outcome."""
    yield m.LinkMoved(link=m.Link.DISCONNECTED, reason=event.reason, tech=event.tech)
    text = f"no link to the gateway, no orders until it is back: {event.reason}{outage.window(event.at)}"
    yield m.RaiseAlert(key="link_lost", text=text)
    yield from lifecycle.orphaned(state, event.tech, Evidence.LINK_LOST, event.reason, only_handed=True)


def backend(state: State, event: m.BackendSeen) -> Decided:
    """Codes 1100 to 1102: the gateway's own link to IB."""
    if event.up != state.backend_up:
        yield m.BackendMoved(up=event.up, tech=event.tech)
        what = "back" if event.up else "down, no orders until it is back"
        yield m.RaiseAlert(key="backend", text=f"the gateway's link to IB is {what}")
        if event.up:
            yield m.RequestSnapshot(reason="the backend is back")


def farm(state: State, event: m.FarmSeen) -> Decided:
    """A data farm is up, or down."""
    known = state.farms.get(event.farm)
    if known is None or known.up != event.up:
        yield m.FarmMoved(farm=event.farm, up=event.up, tech=event.tech, history=event.history)


def clock(state: State, event: m.ClockSeen) -> Decided:
    """The gateway's clock against ours."""
    yield m.ClockChecked(skew_seconds=event.skew_seconds, tech=event.tech)
    if abs(event.skew_seconds) > state.settings.clock_skew_seconds:
        yield m.RaiseAlert(key="clock_skew", text=f"the gateway's clock is {event.skew_seconds:+.1f} s off ours")

"""News of the connection: the facts and effects of each kind, in their order, and the words a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.order_life.links import REQUEST_IDS
from longwatch.domain.orders import OrderState
from tests.domain.world import ACCOUNT, CLIENT, JOURNAL, World, alerts, of_kind

S = OrderState


def up(world: World, **fields: Any) -> Step:
    told = {"client_id": CLIENT, "next_order_id": 1, "accounts": (ACCOUNT,), "server_version": 176}
    return world.hear(m.LinkUp, **told | fields)


def opened(mode: str = "paper", account: str = ACCOUNT) -> World:
    world = World()
    world.hear(m.DaemonStarted, journal_id=JOURNAL, account=account, mode=mode, client_id=CLIENT, version="0.1.0")
    return world


def test_an_attempt_to_connect_is_noted_once_with_why_the_last_link_was_lost() -> None:
    """Attempt after attempt is no news."""
    world = World.ready()
    world.hear(m.LinkLost, reason="reset by peer")
    (moved,) = world.hear(m.LinkOpening, attempt=1).facts
    assert moved == m.LinkMoved(link=m.Link.CONNECTING, reason="reset by peer", tech=world.now)
    world.wait(5)
    assert world.hear(m.LinkOpening, attempt=2).facts == ()


def test_a_handshake_sets_ids_aside_and_begins_to_download() -> None:
    """From the gateway's next id on, or from ours where that is higher; a backend thought broken is news again."""
    world = opened()
    step = up(world, next_order_id=70)
    now = world.now
    assert step.facts == (
        m.IdsReserved(first=70, count=REQUEST_IDS, epoch=1, anew=False),
        m.BackendMoved(up=True, tech=now),
        m.LinkMoved(link=m.Link.SYNCING, reason="", tech=now),
    )
    assert step.effects == (m.BeginSync(epoch=1, first_request_id=70, count=REQUEST_IDS, account=ACCOUNT),)
    again = up(world, next_order_id=9)
    assert again.facts[0] == m.IdsReserved(first=70 + REQUEST_IDS, count=REQUEST_IDS, epoch=2, anew=False)
    assert of_kind(again.effects, m.BeginSync)[0].epoch == 2


def test_ids_that_begin_again_are_told_as_such() -> None:
    """The gateway's next is one that it has seen of ours."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    world.hear(m.LinkLost, reason="closed")
    (reserved,) = of_kind(up(world, next_order_id=1).facts, m.IdsReserved)
    assert reserved.anew and reserved.first > (world.order(1).order_id or 0)


@pytest.mark.parametrize(
    ("mode", "account", "serves", "why"),
    [
        ("paper", ACCOUNT, ("DU1", "DU2"), f"the gateway serves DU1, DU2, not {ACCOUNT}"),
        ("paper", ACCOUNT, (), f"the gateway serves no account, not {ACCOUNT}"),
        ("live", ACCOUNT, (ACCOUNT,), f"account {ACCOUNT} contradicts mode live"),
        ("paper", "U123456", ("U123456",), "account U123456 contradicts mode paper"),
        ("live", "U123456", ("U1", "U123456"), None),
        ("paper", ACCOUNT, ("U1", ACCOUNT), None),
        ("simulated", "U123456", ("U123456",), None),
        ("simulated", ACCOUNT, (ACCOUNT,), None),
    ],
)
def test_no_other_account_and_no_account_of_the_other_mode_is_traded(
    mode: str, account: str, serves: tuple[str, ...], why: str | None
) -> None:
    """The link is dropped before anything is asked for, and a person told at once."""
    world = opened(mode, account)
    step = up(world, accounts=serves)
    if why is None:
        assert of_kind(step.effects, m.BeginSync) and not of_kind(step.effects, m.DropLink)
        return
    assert step.facts == (m.LinkMoved(link=m.Link.CONNECTING, reason=why, tech=world.now),)
    assert step.effects == (
        m.RaiseAlert(key="wrong_account", text=why, severity="critical"),
        m.DropLink(reason=why),
    )


def test_a_lost_link_leaves_what_was_handed_over_and_not_answered_unknown() -> None:
    """What was never handed to the transport did not leave; what was answered works on."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    world.handed(world.one(AAA="0.1", BBB="0.1"))
    third = world.one(AAA="0.1", BBB="0.1", CCC="0.1")
    step = world.hear(m.LinkLost, reason="reset by peer")
    assert step.facts[0] == m.LinkMoved(link=m.Link.DISCONNECTED, reason="reset by peer", tech=world.now)
    (alert,) = of_kind(step.effects, m.RaiseAlert)
    assert alert.key == "link_lost"
    assert alert.text == "no link to the gateway, no orders until it is back: reset by peer"
    assert [world.order(one).state for one in (1, 2, third)] == [S.WORKING, S.UNKNOWN, S.SENDING]
    assert world.order(2).text == "reset by peer" and world.order(2).deadline == world.now


def test_the_gateways_own_link_is_told_when_it_moves_and_read_after_when_it_is_back() -> None:
    world = World.ready()
    assert world.hear(m.BackendSeen, up=True).facts == ()
    step = world.hear(m.BackendSeen, up=False)
    assert step.facts[0] == m.BackendMoved(up=False, tech=world.now)
    assert [one.text for one in of_kind(step.effects, m.RaiseAlert)] == [
        "the gateway's link to IB is down, no orders until it is back"
    ]
    assert alerts(step) == ["backend"] and not of_kind(step.effects, m.RequestSnapshot)
    assert world.hear(m.BackendSeen, up=False).facts == ()
    step = world.hear(m.BackendSeen, up=True)
    assert [one.text for one in of_kind(step.effects, m.RaiseAlert)] == ["the gateway's link to IB is back"]
    assert of_kind(step.effects, m.RequestSnapshot) == [m.RequestSnapshot(reason="the backend is back")]


@pytest.mark.parametrize("history", [True, False])
def test_a_farm_is_noted_when_it_is_new_and_when_it_moves(history: bool) -> None:
    world = World.ready()
    for state in (False, True):
        (moved,) = of_kind(world.hear(m.FarmSeen, farm="cashfarm", up=state, history=history).facts, m.FarmMoved)
        assert moved == m.FarmMoved(farm="cashfarm", up=state, tech=world.now, history=history)
        assert not of_kind(world.hear(m.FarmSeen, farm="cashfarm", up=state, history=history).facts, m.FarmMoved)


@pytest.mark.parametrize(
    ("skew", "text"),
    [
        (5.0, None),
        (-5.0, None),
        (5.25, "the gateway's clock is +5.2 s off ours"),
        (-61.5, "the gateway's clock is -61.5 s off ours"),
    ],
)
def test_a_clock_further_off_than_allowed_is_told_with_its_sign(skew: float, text: str | None) -> None:
    """Five seconds are allowed, either way; what was seen is a fact in any case."""
    world = World.ready()
    step = world.hear(m.ClockSeen, skew_seconds=skew)
    assert step.facts[0] == m.ClockChecked(skew_seconds=skew, tech=world.now)
    assert [(one.key, one.text) for one in of_kind(step.effects, m.RaiseAlert)] == (
        [("clock_skew", text)] if text is not None else []
    )

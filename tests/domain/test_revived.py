"""Evidence beats an earlier word: an order told to have ended that a later whole download lists as open is live."""

from __future__ import annotations

from datetime import timedelta

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.risk.exposure import worst_shares
from tests.domain.world import CLOSE, World, alerts, of_kind, perm_id

S = OrderState


def cancelled(*, asked: bool = False) -> tuple[World, int]:
    """100 AAA that worked and were told to be cancelled."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    if asked:
        world.hear(m.ControlRequested, command="cancel", argument="all", by="uid 1000")
    world.open_orders.clear()
    world.status(intent, "Cancelled", 0)
    assert world.order(intent).state is S.CANCELLED
    world.wait(1)
    return world, intent


def test_a_cancelled_order_that_a_later_download_lists_as_open_is_live_again() -> None:
    """It counts as exposure, may fill and end as any other, and a person hears of it."""
    world, intent = cancelled()
    world.open_orders = {perm_id(intent)}
    world.wait(1)
    step = world.snapshot()
    assert world.order(intent).state is S.WORKING
    assert worst_shares(world.state, 1, Side.BUY) == 100
    assert alerts(step) == ["order_revived"]
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert "BUY 100 AAA" in told.text and "was cancelled" in told.text and told.severity == "critical"
    assert alerts(world.snapshot()) == []
    world.fill(intent, 100)
    assert (world.order(intent).state, world.state.held(1)) == (S.FILLED, 100)


def test_an_expired_order_is_revived_as_well() -> None:
    """A session's end that was none for this order."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.now = CLOSE
    world.status(intent, "Cancelled", 0)
    assert world.order(intent).state is S.EXPIRED
    world.wait(2)
    world.snapshot()
    assert world.order(intent).state is S.WORKING


def test_a_download_that_began_before_the_word_of_the_end_says_nothing() -> None:
    """Its rows may be older than the word."""
    world, intent = cancelled()
    world.open_orders = {perm_id(intent)}
    world.snapshot(started_tech=world.now - timedelta(seconds=5))
    assert world.order(intent).state is S.CANCELLED


FAILED: list[dict[str, object]] = [{"open_perm_ids": None}, {"positions": None}, {"failures": (("positions", "late"),)}]


@pytest.mark.parametrize("fields", FAILED)
def test_a_download_that_failed_revives_nothing(fields: dict[str, object]) -> None:
    """Whole or not at all."""
    world, intent = cancelled()
    world.open_orders = {perm_id(intent)}
    world.wait(1)
    world.snapshot(**fields)
    assert world.order(intent).state is S.CANCELLED


def test_an_order_in_both_lists_has_ended() -> None:
    """The completed orders are the last word on it."""
    world, intent = cancelled()
    world.open_orders = world.completed = {perm_id(intent)}
    world.wait(1)
    world.snapshot()
    assert world.order(intent).state is S.CANCELLED


def test_a_single_late_row_revives_nothing() -> None:
    """Messages may be delayed and come in another order."""
    world, intent = cancelled()
    step = world.open_order(intent)
    assert world.order(intent).state is S.CANCELLED and step.facts == ()


def test_a_filled_order_is_never_revived() -> None:
    """Its executions are in the book."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.finish(intent)
    world.open_orders, world.completed = {perm_id(intent)}, set()
    world.wait(1)
    world.snapshot()
    assert world.order(intent).state is S.FILLED


def test_the_cancel_of_a_revived_order_is_asked_for_again() -> None:
    """A person wanted it gone."""
    world, intent = cancelled(asked=True)
    world.open_orders = {perm_id(intent)}
    world.wait(1)
    assert [effect.intent for effect in of_kind(world.snapshot().effects, m.CancelOrder)] == [intent]


# ── a flatten that a check refuses ──────────────────────────────────────────────────────────────────────────────────


def test_a_closing_order_that_a_check_refuses_is_told_with_shares_and_reason() -> None:
    """No quote: the shares stay, and the alert says which, why and what comes next."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    step = world.rebalance(quotes=())
    assert of_kind(step.effects, m.SubmitOrder) == []
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert (told.key, told.severity) == ("not_flattened", "critical")
    assert told.text == "100 AAA stay for now: AAA: there is no bid and ask; tried again while the flatten is on"


def test_a_refusal_of_a_usual_decision_is_no_alert() -> None:
    """It is a fact with its numbers, as ever."""
    world = World.ready()
    world.targets(AAA="0.1")
    assert alerts(world.rebalance(quotes=())) == []


def test_a_rejected_closing_order_says_when_it_is_tried_again() -> None:
    """In the next session, or when a person says flatten again."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    (close,) = of_kind(world.rebalance().effects, m.SubmitOrder)
    world.handed(close.order.intent)
    step = world.hear(m.OrderErrorSeen, order_id=close.order.order_id, code=201, text="read-only", verdict="rejected")
    (told,) = of_kind(step.effects, m.RaiseAlert)
    assert "SELL 100 AAA" in told.text and "201 read-only" in told.text
    assert told.text.endswith("; the flatten tries again in the next session, or when told again")
    again = world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert [effect.reason for effect in of_kind(again.effects, m.RunJob)] == ["flatten"]

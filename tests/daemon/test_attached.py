"""Entries that leave with their stop, in a whole daemon, judged by the gateway's own books."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.broker.ib import Writer
from longwatch.domain import messages as m
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.gateway.exchange.orders import Order as BookedOrder
from longwatch.gateway.exchange.orders import Status
from tests.daemon.bench import HOUR, MINUTE, Scene, on_bench, plan

HELD = plan({"IBM": 0.02})
STOPS = {"fraction": 0.5, "attached": True}
ONE = {"strategies": [HELD], "stops": STOPS}
LITTLE = {"volume_share": Decimal("0.0001")}


def booked(scene: Scene) -> dict[str, BookedOrder]:
    """Every order of ours in the gateway's books."""
    book = scene.gateway.desk.exchange.book
    return {one.ticket.order_ref: one for one in (*book.live(), *book.ended()) if one.ticket.order_ref}


def pair(scene: Scene) -> tuple[Order, Order]:
    """The first entry and the stop that left with it."""
    stop = next(one for one in scene.orders() if one.attached_to is not None)
    return scene.state.orders[stop.attached_to or 0], stop


def resting(scene: Scene) -> Decimal:
    """Shares that stops in the gateway's books would sell, were they triggered now."""
    live = scene.gateway.desk.exchange.book.live()
    stops = (one for one in live if one.ticket.order_type == "STP" and not one.is_child_held)
    return sum((one.remaining for one in stops), Decimal(0))


async def sent(scene: Scene) -> tuple[Order, Order]:
    await scene.until(lambda: any(one.attached_to is not None for one in scene.orders()), what="an attached stop")
    return pair(scene)


def test_an_entry_that_fills_whole_has_its_stop_from_the_first_instant(tmp_path: Path) -> None:
    """One parent and one child in the books, one group, and no other stop is ever sent for these shares."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await asyncio.sleep(MINUTE)
        entry, stop = pair(scene)
        books = booked(scene)
        parent, child = books[entry.ref], books[stop.ref]
        assert child.parent_perm_id == parent.perm_id
        assert (child.ticket.oca_group, child.ticket.oca_type) == (stop.ref, 2)
        assert (parent.status, child.status) == (Status.FILLED, Status.PRE_SUBMITTED)
        assert resting(scene) == scene.truly_held("IBM") == entry.quantity > 0
        assert [one for one in scene.orders() if one.purpose is Purpose.STOP] == [stop]
        meter = [fact for fact in scene.facts(m.ProtectionSet) if fact.symbol == "IBM"]
        assert meter == []

    on_bench(story, tmp_path, ONE)


def test_both_are_durable_before_either_leaves(tmp_path: Path) -> None:
    """The facts of both are of one event, and so of one commit."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        steps = [{fact.intent for fact in what.facts if isinstance(fact, m.OrderSending)} for _, what in scene.steps]
        assert {entry.intent, stop.intent} in steps
        decided = next(fact for fact in scene.facts(m.RebalanceDecided))
        assert decided.intended == 1

    on_bench(story, tmp_path, ONE)


def test_an_entry_left_with_a_part_filled_gives_its_stop_up_for_one_that_works(tmp_path: Path) -> None:
    """So little trades that it fills in many parts: what is held has a stop within seconds, never more than is held."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        await scene.until(lambda: scene.state.orders[stop.intent].state is OrderState.CANCELLED, what="its end")
        assert 0 < scene.truly_held("IBM") < entry.quantity
        await scene.until(lambda: resting(scene) > 0, seconds=MINUTE, what="a stop that works")
        await asyncio.sleep(MINUTE)
        assert resting(scene) == scene.truly_held("IBM")

    on_bench(story, tmp_path, ONE, gateway=LITTLE)


def test_a_cancelled_entry_takes_its_stop_along(tmp_path: Path) -> None:
    """Nothing is held, nothing rests, and no breaker is left that would keep the next holding from its stop."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        await scene.ask("pause")
        await scene.ask("cancel", "all")
        await scene.until(lambda: not scene.state.live, what="the end of both")
        await asyncio.sleep(MINUTE)
        assert {booked(scene)[one.ref].status for one in (entry, stop)} == {Status.CANCELLED}
        assert scene.truly_held("IBM") == 0 == resting(scene)
        assert not [row for row in scene.state.breakers.values() if row.purpose is Purpose.STOP]

    on_bench(story, tmp_path, {**ONE, "execution": {"order_type": "STP", "stop_offset_bps": 1000}})


def test_an_entry_cancelled_in_tws_with_a_part_filled_leaves_the_stop_of_that_part(tmp_path: Path) -> None:
    """The broker makes the child as small as what its parent filled and lets it work; nobody is alarmed by that."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        await scene.until(lambda: scene.truly_held("IBM") > 0, what="a first fill")
        for one in scene.gateway.desk.exchange.book.live():
            if one.ticket.order_ref == entry.ref:
                scene.gateway.desk.exchange.cancel(one.ticket.client_id, one.ticket.order_id)
        await scene.until(lambda: not scene.state.orders[entry.intent].is_live, what="its end")
        await asyncio.sleep(MINUTE)
        assert resting(scene) == scene.truly_held("IBM") > 0
        assert not any("nobody here has asked for" in text for text in scene.alerts())
        assert stop.quantity == entry.quantity

    on_bench(story, tmp_path, ONE, gateway=LITTLE)


def test_a_rejected_entry_takes_its_stop_along(tmp_path: Path) -> None:
    """201 for the parent: the child never works, and the daemon goes on."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        await scene.until(lambda: not scene.state.live, what="the end of both")
        assert scene.state.orders[entry.intent].state is OrderState.REJECTED
        assert not scene.state.orders[stop.intent].is_live
        assert resting(scene) == 0 == scene.truly_held("IBM")

    on_bench(story, tmp_path, ONE, gateway={"forbidden": {"IBM": (201, "Order rejected - reason:No permission")}})


def test_a_link_lost_at_once_leaves_neither_a_doubled_stop_nor_one_alone(tmp_path: Path) -> None:
    """Whatever of the two had reached the gateway: at rest, the stops are for what is held."""

    async def story(scene: Scene) -> None:
        scene.start()
        await sent(scene)
        for link in scene.bench.network.links:
            link.reset()
        await scene.until(lambda: scene.state.epoch == 2 and scene.reasons() == [], what="readiness")
        await asyncio.sleep(HOUR)
        assert resting(scene) == scene.truly_held("IBM") == scene.held("IBM")

    on_bench(story, tmp_path, ONE)


@pytest.mark.parametrize("into_the_second", [0, 9])
def test_a_link_lost_between_the_two_leaves_an_entry_that_was_never_transmitted(
    into_the_second: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway forgets it with the connection; the stop is proven absent, the entry ends with its session."""

    async def story(scene: Scene) -> None:
        encode, cuts = Writer.order, []

        def cut(writer: Writer, effect: m.SubmitOrder) -> bytes:
            data = encode(writer, effect)
            if not cuts and effect.attached is not None:
                cuts.append(4 + int.from_bytes(data[:4], "big") + into_the_second)
                scene.bench.network.links[-1].to_server.cut_after(cuts[0])
            return data

        monkeypatch.setattr(Writer, "order", cut)
        scene.start()
        entry, stop = await sent(scene)

        def is_gone(order: Order) -> bool:
            return not scene.state.orders[order.intent].is_live

        await scene.until(lambda: is_gone(stop), seconds=HOUR, what="the proof that the stop is absent")
        assert cuts and not {entry.ref, stop.ref} & booked(scene).keys()
        assert scene.truly_held("IBM") == 0 == resting(scene)
        await scene.until(lambda: is_gone(entry), what="the entry's end with its session")
        await scene.until(lambda: scene.truly_held("IBM") > 0, what="the next session's entry")
        await asyncio.sleep(MINUTE)
        assert resting(scene) == scene.truly_held("IBM") == scene.held("IBM") > 0

    on_bench(story, tmp_path, ONE)


def test_a_daemon_killed_at_the_send_finds_both_again(tmp_path: Path) -> None:
    """The journal knows the two; the next daemon reads what became of them."""

    async def story(scene: Scene) -> None:
        scene.start()
        entry, stop = await sent(scene)
        await scene.kill()
        scene.start()
        await scene.until(lambda: scene.state.epoch == 2 and scene.reasons() == [], what="readiness")
        await asyncio.sleep(HOUR)
        assert scene.state.orders[stop.intent].attached_to == entry.intent
        assert resting(scene) == scene.truly_held("IBM") == scene.held("IBM")

    on_bench(story, tmp_path, ONE)


def test_a_flatten_closes_through_the_attached_stop(tmp_path: Path) -> None:
    """It is a stop like any other once its entry has filled: cancelled first, then the position is sold."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        await scene.ask("flatten")
        await scene.until(lambda: not scene.truly_held("IBM") and not scene.state.live, what="the end of all")
        assert resting(scene) == 0

    on_bench(story, tmp_path, ONE)


def test_an_exit_enters_the_group_of_the_attached_stop(tmp_path: Path) -> None:
    """What the exit fills the broker takes from the stop; the rest keeps one."""

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.traded()
        _, stop = pair(scene)
        await scene.traded(2)
        await asyncio.sleep(HOUR)
        exits = [one for one in scene.orders() if one.purpose is Purpose.REDUCE]
        assert exits and exits[0].oca_group == stop.oca_group
        assert resting(scene) == scene.truly_held("IBM") > 0

    on_bench(story, tmp_path, {"strategies": [plan({"IBM": 0.02}, {"IBM": 0.01})], "stops": STOPS})

"""What an error on an order is about after its modification was answered: over the wire, to the second."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from longwatch.broker.asked import ANSWERED_FOR
from longwatch.domain import messages as m
from longwatch.domain.orders import OrderType, Purpose
from tests.broker.bench import Bench, Script, an_empty_account, order, settings, with_script
from tests.domain.world import open_order

D = Decimal
STOP = order(1, order_id=100, order_type=OrderType.STOP, stop_price=D(95), purpose=Purpose.STOP)


def verdicts(*acts: float | int | str, stop_price: int | None = 95, quantity: int = 100) -> list[str]:
    """Of each 201 on a stop that was modified: `shown`, a code that is said of it, or seconds that pass before 201."""

    async def work(bench: Bench, script: Script) -> list[str]:
        await bench.up()
        bench.broker.modify(m.ModifyOrder(order=STOP.order, instrument=STOP.instrument))
        await bench.inbox.until(m.OrderHanded)
        found: list[str] = []
        for act in acts:
            if act == "shown":
                shown = {"quantity": D(quantity), "stop_price": None if stop_price is None else D(stop_price)}
                row = open_order(STOP.order, bench.clock.technical(), client_id=settings().client_id, **shown)
                bench.broker.event(row)
                continue
            await asyncio.sleep(act if isinstance(act, float) else 0.1)
            code = 201 if isinstance(act, float) else act
            before = len(bench.inbox.of(m.OrderErrorSeen))
            script.connections[-1].say("error", reqId=100, errorCode=code, errorString="words")
            await asyncio.sleep(0.1)
            (seen,) = bench.inbox.of(m.OrderErrorSeen)[before:]
            found += [seen.verdict] if isinstance(act, float) else []
        return found

    return with_script(work, an_empty_account())


def test_until_a_modification_is_answered_it_is_not_said_which_order_was_rejected() -> None:
    """However long that takes; the former terms shown are no answer."""
    assert verdicts(1.0, 3_600.0) == ["unclear", "unclear"]
    assert verdicts("shown", 3_600.0, quantity=50) == ["unclear"]
    assert verdicts("shown", 3_600.0, stop_price=94) == ["unclear"]


@pytest.mark.parametrize("answer", ["shown", 10_326, 104])
def test_once_a_modification_is_answered_a_rejection_is_about_the_order(answer: str | int) -> None:
    """After a while: the gateway may show new terms, or refuse them with a first code, before it tells a rejection."""
    assert verdicts(answer, 1.0, ANSWERED_FOR + 1) == ["unclear", "rejected"]
    assert verdicts(answer, ANSWERED_FOR / 2, answer, ANSWERED_FOR / 2) == ["unclear", "rejected"]


def test_an_unset_price_is_no_other_one() -> None:
    """Some gateways leave it away."""
    assert verdicts("shown", ANSWERED_FOR, stop_price=None) == ["rejected"]

"""Which limit an order that is about to leave would pass by now, and which checks and caps a proposal is asked for."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.risk.table import CAPS, caps_of, first_refusal, passed_by_now
from tests.domain.test_caps import proposal
from tests.domain.test_exposure import order, state_of
from tests.domain.test_means import CASH_ACCOUNT, world_of
from tests.domain.world import DAY, EQUITY, MARGIN_ACCOUNT, SETTINGS, World, of_kind, open_order

D = Decimal
WIDE = replace(
    SETTINGS,
    max_order_shares=None,
    max_order_value=None,
    max_position_size=D(10_000),
    max_weight=D(10),
    max_gross_exposure=D(10),
    max_net_exposure=D(10),
)
ENTRY = order(1, 10)


def asked(one: Order = ENTRY, equity: Decimal | None = EQUITY, held: int = 100, **limits: object) -> str | None:
    """What is said of an order of 10 AAA at 105, sized at 110, beside 100 that are held."""
    state = state_of(one, held=held)
    if equity is not None:
        state.equity = m.EquitySet(session=DAY, equity=equity, prices=(("AAA", D(110)),))
    state.settings = replace(WIDE, **limits)  # type: ignore[arg-type]
    return passed_by_now(state, one)


@pytest.mark.parametrize(
    ("name", "at", "passed"),
    [
        ("max_order_shares", "10", "9"),
        ("max_order_value", "1100", "1099"),
        ("max_position_size", "110", "109"),
        ("max_weight", "0.121", "0.1209"),
        ("max_gross_exposure", "0.121", "0.1209"),
        ("max_net_exposure", "0.121", "0.1209"),
    ],
)
def test_an_order_passes_a_limit_by_now_that_leaves_less_room_than_its_shares(name: str, at: str, passed: str) -> None:
    """With all that is held and ordered besides, and itself once; at the limit itself it does not."""
    assert asked(**{name: D(at)}) is None
    observed = D(at)
    assert asked(**{name: D(passed)}) == f"{name} {observed:.4f} would pass the limit {passed} by now"


def test_what_has_filled_of_it_is_held_and_not_ordered_any_more() -> None:
    filled = replace(ENTRY, filled=D(4))
    assert asked(filled, max_order_shares=D(6)) is None
    assert asked(filled, max_order_shares=D(5)) == "max_order_shares 6.0000 would pass the limit 5 by now"


def test_groups_are_looked_at_of_an_entry() -> None:
    groups = (("some", ("AAA",), D("0.1209")),)
    assert asked(groups=groups) == "max_group_weight 0.1210 would pass the limit 0.1209 by now"


def test_without_a_capital_the_order_is_all_there_is() -> None:
    """Sized at what it was decided at."""
    state = state_of(ENTRY, held=0)
    state.settings = replace(WIDE, max_weight=D("1.05"))
    assert passed_by_now(state, ENTRY) is None
    state.settings = replace(WIDE, max_weight=D("1.04"))
    assert passed_by_now(state, ENTRY) == "max_weight 1.0500 would pass the limit 1.04 by now"


def test_a_reduction_is_asked_whether_it_turns_the_position_round() -> None:
    """Not for exposure, which it makes smaller."""
    sale = order(1, 10, Side.SELL, purpose=Purpose.REDUCE)
    assert asked(sale, held=10, max_weight=D(0), max_gross_exposure=D(0)) is None
    assert asked(sale, held=9) == "reversal 10.0000 would pass the limit 9 by now"
    assert asked(replace(sale, purpose=Purpose.STOP), held=9) is None


def test_a_proposal_is_asked_the_caps_and_checks_of_its_purpose() -> None:
    """The first check that refuses counts."""
    for purpose in Purpose:
        assert caps_of(proposal(purpose=purpose)) == CAPS[purpose]
    assert "max_weight" in dict(CAPS[Purpose.ENTRY])
    assert "max_weight" not in dict(CAPS[Purpose.REDUCE])
    world = World.ready()
    sound = proposal(quote=world.quotes()[0], at=world.now, tech=world.now, instrument=world.state.instruments["AAA"])
    sound = replace(sound, limit_price=D("100.21"))
    assert first_refusal(world.state, sound) is None
    world.state.account = "U123456"
    refusal = first_refusal(world.state, replace(sound, quote=None))
    assert refusal is not None
    assert refusal.check == "account"


def test_what_somebody_else_orders_meanwhile_counts() -> None:
    world = World.ready()
    intent = world.one(AAA="0.3")
    assert passed_by_now(world.state, world.order(intent)) is None
    names = {"perm_id": 77, "ref": "", "order_id": 0, "client_id": 0, "quantity": D(150)}
    world.take(open_order(world.order(intent), world.now, **names))
    assert "max_weight" in str(passed_by_now(world.state, world.order(intent)))


# ── what the account allows ─────────────────────────────────────────────────────────────────────────────────────────


def cash_world(settled: str, **settings: object) -> tuple[World, int]:
    """A purchase of 100 AAA, 100.21 at worst, waits to be written in a cash account."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(settled)), **settings)
    intent = world.one(AAA="0.1")
    assert world.order(intent).quantity * world.order(intent).worst_price == D(10_021)
    return world, intent


def test_a_purchase_that_the_settled_cash_does_not_pay_any_more_is_stopped() -> None:
    """Somebody has bought for 1,000 meanwhile, or has ordered as much: a cent too much with ours."""
    for settled, stopped in (("11021", False), ("11020.99", True)):
        world, intent = cash_world(settled)
        assert passed_by_now(world.state, world.order(intent)) is None
        world.stranger("AAA", 10, "00aa.01")
        said = passed_by_now(world.state, world.order(intent))
        assert said == ("settled_cash 11021.0000 would pass the limit 11020.99 by now" if stopped else None)
        assert gate(world.state, intent, world.now) == said
    world, intent = cash_world("15000")
    names = {"perm_id": 77, "ref": "", "order_id": 0, "client_id": 0, "quantity": D(60), "con_id": 2, "symbol": "BBB"}
    world.take(open_order(world.order(intent), world.now, **names))
    assert "settled_cash" in str(passed_by_now(world.state, world.order(intent)))


def test_its_own_commission_counts_once_and_as_it_was_told() -> None:
    """By the schedule 1, by the broker's word 2.25."""
    schedule = {"commission_per_share": D("0.005"), "commission_minimum": D(1)}
    for told, cash, stopped in ((None, "10022", False), ("2.25", "10023.25", False), ("2.25", "10023.24", True)):
        world, intent = cash_world("10022", **schedule)
        world.figures = world.figures and replace(world.figures, settled_cash=D(cash))
        world.snapshot()
        order = replace(world.order(intent), commission_told=None if told is None else D(told))
        world.state.orders[intent] = order
        assert ("settled_cash" in str(passed_by_now(world.state, order))) is stopped


def test_an_entry_that_would_leave_too_little_liquidity_by_now_is_stopped() -> None:
    """Half of it, and of 100 shares at 100 that somebody has bought, of 100,000 above the floor."""
    for floor, stopped in (("89989", False), ("89990", True)):
        world = world_of(MARGIN_ACCOUNT, margin_fraction=D("0.5"), min_excess_liquidity=D(floor))
        intent = world.one(AAA="0.1")
        assert passed_by_now(world.state, world.order(intent)) is None
        world.stranger("AAA", 100, "00aa.01")
        assert ("excess_liquidity" in str(passed_by_now(world.state, world.order(intent)))) is stopped


def test_a_short_sale_is_stopped_where_too_few_can_be_borrowed_by_now_or_none_is_lent() -> None:
    """By the quote of now: where it does not tell how many, none; without one, what was told before stands."""
    world = world_of(MARGIN_ACCOUNT, allow_short=True)
    world.targets(AAA="-0.1")
    step = world.rebalance(quotes=tuple(replace(one, shortable=D(500)) for one in world.quotes()))
    (effect,) = of_kind(step.effects, m.SubmitOrder)
    order_, now = world.order(effect.order.intent), world.quotes()[0]
    other = replace(now, con_id=2, shortable=D(0))
    for shares, said in (("100", None), ("99", "shortable 100.0000 would pass the limit 99 by now")):
        quotes = (other, replace(now, shortable=D(shares)))
        assert passed_by_now(world.state, order_, lambda found=quotes: found) == said  # type: ignore[misc]
        assert gate(world.state, order_.intent, world.now, lambda found=quotes: found) == said  # type: ignore[misc]
    assert passed_by_now(world.state, order_, lambda: (now,)) == "shortable 100.0000 would pass the limit 0 by now"
    assert passed_by_now(world.state, order_) is None
    world.state.settings = replace(world.state.settings, account_kind="cash")
    assert "cash_short" in str(passed_by_now(world.state, order_))

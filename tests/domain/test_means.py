"""What the account allows: cash and margin accounts, day trades, shares to borrow, figures that lag behind fills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.account import AccountFigures, AccountKind, kind_of
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order
from longwatch.domain.quotes import Quote
from tests.domain.world import EQUITY, MARGIN_ACCOUNT, SETTINGS, World, of_kind, open_order

D = Decimal
CASH_ACCOUNT = replace(MARGIN_ACCOUNT, trading_type="STKCASH")
SHORTS = replace(SETTINGS, allow_short=True)


def world_of(figures: AccountFigures | None, **settings: Any) -> World:
    """A world whose account has just been read with these figures."""
    world = World(settings=replace(SETTINGS, **settings), figures=figures)
    ready = World.ready(world.settings)
    ready.figures = figures
    ready.wait(10)
    ready.snapshot()
    return ready


def read_again(world: World, **figures: Any) -> None:
    """The account's figures are others by now, and no fill is too new to be in them."""
    assert world.figures is not None
    world.figures = replace(world.figures, **figures)
    world.wait(10)
    world.snapshot()


def quotes(world: World, **fields: Any) -> tuple[Quote, ...]:
    return tuple(replace(quote, **fields) for quote in world.quotes())


def decided(world: World, **fields: Any) -> tuple[list[Order], list[tuple[str, str]], list[tuple[str, str]]]:
    """Orders, refusals and clamps of a rebalance, the latter two as (symbol, check)."""
    step = world.rebalance(**fields)
    orders = [effect.order for effect in of_kind(step.effects, m.SubmitOrder)]
    refused = [(fact.symbol, fact.check) for fact in of_kind(step.facts, m.TradeRefused)]
    return orders, refused, [(fact.symbol, fact.check) for fact in of_kind(step.facts, m.TradeClamped)]


# ── cash accounts ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wanted", "figures", "kind"),
    [
        ("auto", CASH_ACCOUNT, AccountKind.CASH),
        ("auto", MARGIN_ACCOUNT, AccountKind.MARGIN),
        ("auto", None, AccountKind.MARGIN),
        ("cash", MARGIN_ACCOUNT, AccountKind.CASH),
        ("margin", CASH_ACCOUNT, AccountKind.MARGIN),
        ("auto", AccountFigures(account_type="CASH"), AccountKind.CASH),
    ],
)
def test_the_kind_of_account_is_the_settings_word_or_else_the_brokers(wanted, figures, kind) -> None:
    """And a margin account where nobody says."""
    assert kind_of(wanted, figures) is kind


def test_a_cash_account_counts_every_live_purchase_at_its_worst_price() -> None:
    """Two buys of one decision share the settled cash; the second gets what the first leaves."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(15_000)))
    world.targets(AAA="0.1", BBB="0.1")
    orders, refused, clamped = decided(world)
    assert (refused, clamped) == ([], [("BBB", "settled_cash")])
    assert sum(order.quantity * order.worst_price for order in orders) <= 15_000
    assert [order.quantity for order in orders] == [100, 99]


def test_cash_spent_since_the_account_was_read_is_not_spent_again() -> None:
    """The first purchase has filled, the reading is older: the second counts it all the same."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(15_000)))
    world.finish(world.one(AAA="0.1"))
    world.targets(AAA="0.1", BBB="0.2")
    (order,), _, clamped = decided(world)
    assert clamped == [("BBB", "settled_cash")]
    assert 10_000 + order.quantity * order.worst_price <= 15_000 < 10_000 + (order.quantity + 1) * order.worst_price
    world.finish(order.intent)
    read_again(world, settled_cash=D(40_000))
    (more,), _, clamped = decided(world)
    assert (more.quantity + order.quantity, clamped) == (400, [])


def test_purchases_by_others_use_up_settled_cash_too() -> None:
    """An order entered by hand may fill as well."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(20_000)))
    world.targets(AAA="0.2")
    hand = replace(world.order(world.one(AAA="0.1")), ref="", intent=99, quantity=D(100))
    world.take(open_order(hand, world.now, perm_id=777, client_id=0, order_id=0))
    world.targets(AAA="0.1", BBB="0.2")
    assert decided(world)[1] == [("BBB", "settled_cash")]


def test_a_purchase_that_cash_binds_waits_for_the_sales_under_way() -> None:
    """Sells go first; the buy is looked at again once they have ended."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(30_000)), spend_unsettled=True)
    world.finish(world.one(AAA="0.3"))
    world.cash = D(1_000)
    read_again(world, settled_cash=D(1_000))
    world.targets(AAA="0", BBB="0.2")
    step = world.rebalance()
    (sell,) = of_kind(step.effects, m.SubmitOrder)
    assert sell.order.side is Side.SELL
    assert [(one.symbol, one.check) for one in of_kind(step.facts, m.TradeRefused)] == [("BBB", "settled_cash")]
    assert world.state.rebalance is not None and world.state.rebalance.waiting == 1
    world.finish(sell.order.intent)
    world.cash = D(31_000)
    read_again(world)
    assert [order.symbol for order in decided(world)[0]] == ["BBB"]


@pytest.mark.parametrize("may", [False, True])
def test_proceeds_that_have_not_settled_buy_only_where_the_setting_says_so(may: bool) -> None:
    """Total cash 50,000, of which 1,000 have settled."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(1_000)), spend_unsettled=may)
    world.cash = D(50_000)
    world.snapshot()
    world.targets(AAA="0.3")
    (order,), _, clamped = decided(world)
    assert (order.quantity, clamped) == ((300, []) if may else (9, [("AAA", "settled_cash")]))


def test_a_cash_account_never_sells_short_whatever_the_settings_allow() -> None:
    """The exit of a holding is no short sale and goes."""
    world = world_of(CASH_ACCOUNT, allow_short=True)
    world.targets(AAA="-0.1")
    orders, refused, _ = decided(world, quotes=quotes(world, shortable=D(10**6)))
    assert (orders, refused) == ([], [("AAA", "cash_short")])
    world.finish(world.one(AAA="0.1"))
    assert [order.side for order in world.trade(AAA="0")] == [Side.SELL]


def test_a_cash_account_without_settled_cash_told_buys_nothing() -> None:
    """Not told is not nothing, and not plenty: no entry, by name; exits go."""
    world = world_of(CASH_ACCOUNT)
    world.finish(world.one(AAA="0.1"))
    read_again(world, settled_cash=None)
    world.targets(AAA="0", BBB="0.1")
    orders, refused, _ = decided(world)
    assert ([order.symbol for order in orders], refused) == (["AAA"], [("BBB", "means_known")])


def test_a_mock_account_has_no_figures_and_is_not_held_back() -> None:
    """Backtests and dry runs trade as they did."""
    world = world_of(None)
    assert len(world.trade(AAA="0.3")) == 1


@given(
    st.lists(st.tuples(st.sampled_from(["AAA", "BBB", "CCC"]), st.integers(1, 40)), min_size=1, max_size=6),
    st.integers(0, 60_000),
    st.lists(st.sampled_from(["fill", "part", "rest", "read"]), min_size=6, max_size=6),
)
def test_a_cash_account_never_owes(targets, cash, acts) -> None:
    """Whatever fills between readings: live purchases and what was paid never pass the settled cash there was."""
    world = world_of(replace(CASH_ACCOUNT, settled_cash=D(cash)), max_order_value=D(10**6))
    wanted: dict[str, str] = {}
    left = D(cash)
    for (symbol, percent), act in zip(targets, acts, strict=False):
        wanted[symbol] = str(D(percent) / 100)
        for order in world.trade(**wanted):
            if order.side is Side.SELL:
                continue
            world.acknowledge(order.intent)
            if act in ("fill", "part"):
                shares = int(order.quantity) if act == "fill" else int(order.quantity) // 2
                if shares:
                    world.fill(order.intent, shares, str(order.limit_price))
                    left -= shares * (order.limit_price or D(0))
        live = sum(o.remaining * o.worst_price for o in world.state.live_orders() if o.side is Side.BUY)
        assert live <= left
        if act == "read":
            read_again(world, settled_cash=left)


# ── margin accounts ─────────────────────────────────────────────────────────────────────────────────────────────────


def small(left: int | None) -> AccountFigures:
    return replace(MARGIN_ACCOUNT, day_trades_remaining=left)


def test_without_a_day_trade_left_what_was_opened_today_is_kept() -> None:
    """Its exit is refused by name; by the setting it goes."""
    world = world_of(small(0))
    world.finish(world.one(AAA="0.1"))
    world.targets(AAA="0")
    assert decided(world)[:2] == ([], [("AAA", "day_trades")])
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, day_trade_exits=True), sha256="decaf")
    assert [order.side for order in decided(world)[0]] == [Side.SELL]


def test_a_flatten_is_a_persons_word_and_uses_no_day_trade_that_is_not_there() -> None:
    """Out is out."""
    world = world_of(small(0))
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert [order.side for order in decided(world)[0]] == [Side.SELL]


def test_what_was_held_overnight_goes_with_no_day_trade_left() -> None:
    """It opens nothing today."""
    world = world_of(small(0))
    world.finish(world.one(AAA="0.1"))
    for exec_id, fill in list(world.state.fills.items()):
        world.state.fills[exec_id] = replace(fill, executed_at=fill.executed_at - timedelta(days=1))
    world.targets(AAA="0")
    assert [order.side for order in decided(world)[0]] == [Side.SELL]


def test_the_last_day_trade_is_used_once() -> None:
    """One left: of two exits of today's purchases the first goes, the second waits; the same one again is no second."""
    world = world_of(small(1))
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.finish(order.intent)
    world.targets(AAA="0", BBB="0")
    orders, refused, _ = decided(world)
    assert ([order.symbol for order in orders], refused) == (["AAA"], [("BBB", "day_trades")])


@pytest.mark.parametrize("left", [None, 3])
def test_with_day_trades_left_or_no_limit_exits_go(left: int | None) -> None:
    """A large account has no limit."""
    world = world_of(small(left))
    world.finish(world.one(AAA="0.1"))
    assert [order.side for order in world.trade(AAA="0")] == [Side.SELL]


def test_entries_bind_margin_while_they_work_and_until_the_account_is_read() -> None:
    """Half of their value each: 30,000 of liquidity carry 60,000, in whatever stage they are."""
    world = world_of(replace(MARGIN_ACCOUNT, excess_liquidity=D(30_000)))
    first = world.one(AAA="0.3")
    world.targets(AAA="0.3", BBB="0.4")
    _, _, clamped = decided(world)
    assert clamped == [("BBB", "excess_liquidity")]
    bound = sum(order.remaining * order.worst_price for order in world.state.live_orders()) / 2
    assert 29_900 < bound <= 30_000
    world.finish(first, price=str(world.order(first).limit_price))
    world.targets(AAA="0.3", BBB="0.4")
    assert decided(world)[1] == [("BBB", "excess_liquidity")]
    read_again(world, excess_liquidity=D(100_000))
    assert sum(order.quantity for order in decided(world)[0]) > 0


def test_the_floor_of_excess_liquidity_is_kept() -> None:
    """10,000 above the floor carry 20,000 of entries; exits are not held back by it."""
    world = world_of(replace(MARGIN_ACCOUNT, excess_liquidity=D(60_000)), min_excess_liquidity=D(50_000))
    world.targets(AAA="0.4")
    (order,), _, clamped = decided(world)
    assert clamped == [("AAA", "excess_liquidity")]
    assert order.quantity == 199
    world.finish(order.intent)
    read_again(world, excess_liquidity=D(-5))
    assert [one.side for one in world.trade(AAA="0")] == [Side.SELL]


# ── short sales ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("shortable", "orders", "refused", "clamped"),
    [
        (None, [], [("AAA", "shortable_known")], []),
        (D(0), [], [("AAA", "shortable")], []),
        (D(40), [40], [], [("AAA", "shortable")]),
        (D(1000), [100], [], []),
    ],
)
def test_shares_are_sold_short_that_can_be_borrowed(shortable, orders, refused, clamped) -> None:
    """Not told: none. Told: so many at most."""
    world = World.ready(SHORTS)
    world.targets(AAA="-0.1")
    found = decided(world, quotes=quotes(world, shortable=shortable))
    assert ([int(order.quantity) for order in found[0]], *found[1:]) == (orders, refused, clamped)


def test_a_live_short_sale_uses_up_what_can_be_borrowed() -> None:
    """150 to borrow, 100 of them on their way: 50 more."""
    world = World.ready(SHORTS)
    world.targets(AAA="-0.1")
    assert len(decided(world, quotes=quotes(world, shortable=D(150)))[0]) == 1
    world.targets(AAA="-0.3")
    (order,), _, clamped = decided(world, quotes=quotes(world, shortable=D(150)))
    assert (order.quantity, clamped) == (50, [("AAA", "shortable")])


def test_the_exit_of_a_holding_asks_for_no_shares_to_borrow() -> None:
    """What is held is sold without a word about borrowing."""
    world = World.ready(SHORTS)
    world.finish(world.one(AAA="0.1"))
    assert [order.side for order in world.trade(AAA="0")] == [Side.SELL]


# ── another base currency ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("base", "age", "passes"), [("USD", 170, True), ("EUR", 50, True), ("EUR", 61, False)])
def test_a_rate_counts_while_it_is_fresh(base: str, age: float, passes: bool) -> None:
    """In the account's own currency none is needed."""
    figures = replace(MARGIN_ACCOUNT, base_currency=base, rate=D("0.9"))
    world = world_of(figures, max_rate_age_seconds=60.0)
    world.wait(age)
    world.targets(AAA="0.1")
    orders, refused, _ = decided(world)
    assert (len(orders), refused) == ((1, []) if passes else (0, [("AAA", "exchange_rate")]))
    assert world.state.valued.net_liquidation == EQUITY  # type: ignore[union-attr]

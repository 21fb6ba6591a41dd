"""Each check and each cap, broken one at a time by the thing it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState, OrderType, Purpose
from longwatch.domain.quotes import Quote
from longwatch.domain.risk.caps import cap_long_only, cap_reversal
from longwatch.domain.risk.exposure import worst_shares, worst_value, worst_values
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.risk.table import LIMITS
from tests.domain.world import (
    DAY,
    MARGIN_ACCOUNT,
    PRICES,
    SESSION,
    SETTINGS,
    SYMBOLS,
    World,
    judged,
    of_kind,
    open_order,
)

D = Decimal


def rebalanced(world: World, **fields: Any) -> tuple[list[m.TradeRefused], list[m.SubmitOrder], list[m.TradeClamped]]:
    step = world.rebalance(**fields)
    kinds = (of_kind(step.facts, m.TradeRefused), of_kind(step.effects, m.SubmitOrder))
    return (*kinds, of_kind(step.facts, m.TradeClamped))


def quotes(world: World, **fields: Any) -> tuple[Quote, ...]:
    return tuple(replace(quote, **fields) for quote in world.quotes())


# ── checks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Break = Callable[[World], dict[str, Any]]


def _settings(**changes: Any) -> Break:
    def apply(world: World) -> dict[str, Any]:
        world.hear(m.ConfigLoaded, settings=replace(SETTINGS, **changes), sha256="decaf")
        return {}

    return apply


def _live_account(world: World) -> dict[str, Any]:
    world.state.account = "U123456"
    return {}


def _paused(world: World) -> dict[str, Any]:
    world.hear(m.ControlRequested, command="pause", by="uid 1000")
    return {}


def _cancelled_by_a_person(world: World) -> dict[str, Any]:
    world.acknowledge(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="cancel", argument="AAA", by="uid 1000")
    world.status(1, "Cancelled", 0)
    return {}


def _flawed(world: World) -> dict[str, Any]:
    rows = (judged("AAA", "a negative price on 2007-01-03"), judged("BBB"), judged("CCC"))
    world.hear(m.DataRefreshed, run_id="refresh@2", session=DAY, judged=rows)
    return {}


def _far_off(world: World) -> dict[str, Any]:
    return {"quotes": quotes(world, bid=D(111), ask=D(112))}


def _busy_minute(world: World) -> dict[str, Any]:
    _settings(max_orders_per_minute=1)(world)
    world.trade(BBB="0.05")
    return {}


def _same_run(world: World) -> dict[str, Any]:
    """The same run decides again on a larger target."""
    world.targets(AAA="0.05")
    world.rebalance(run_id="rebalance@twice")
    world.targets(AAA="0.1")
    return {"run_id": "rebalance@twice"}


def _triggered_at_once(world: World) -> dict[str, Any]:
    """Bid and ask have crossed: what lies beyond the far side of one does not lie beyond the market."""
    _settings(order_type="STP", stop_offset_bps=D(-1))(world)
    return {}


def _no_size(world: World) -> dict[str, Any]:
    _settings(max_displayed_fraction=D(1))(world)
    return {"quotes": quotes(world, ask_size=None)}


def _account(**changes: Any) -> Break:
    """The account is read once more, and other figures come of it."""

    def apply(world: World) -> dict[str, Any]:
        world.figures = replace(MARGIN_ACCOUNT, **changes)
        world.snapshot()
        return {}

    return apply


def _others_without_a_price(world: World) -> dict[str, Any]:
    world.state.outside[77] = ("XYZ", D(100))
    return {}


def _old_rate(world: World) -> dict[str, Any]:
    _settings(max_rate_age_seconds=60.0)(world)
    _account(base_currency="EUR", rate=D("0.9"))(world)
    world.wait(61)
    return {}


BREAKS: dict[str, Break] = {
    "account": _live_account,
    "verbs": _paused,
    "breaker": _cancelled_by_a_person,
    "data": _flawed,
    "trading_hours": lambda world: {"session": None},
    "quote": lambda world: {"quotes": quotes(world, bid=None)},
    "quote_age": lambda world: {"quotes": world.quotes(age_seconds=31)},
    "quote_type": lambda world: {"quotes": quotes(world, market_data_type=3)},
    "price_band": _far_off,
    "stop_side": _triggered_at_once,
    "liquidity": _no_size,
    "means_known": _account(excess_liquidity=None),
    "exchange_rate": _old_rate,
    "min_order_size": _settings(min_order_size=D(101)),
    "min_order_value": _settings(min_order_value=D(10_022)),
    "order_rate": _busy_minute,
    "duplicate": _same_run,
    "others_priced": _others_without_a_price,
}
NEEDS_A_POSITION_OR_A_SHORT = {"day_trades", "shortable_known", "contract_min_size"}
"""These are no matter of a first purchase: tests/domain/test_means.py, tests/domain/test_refusals.py."""
NAMED = {"verbs": "pause"}
"""A refusal by the verb matrix bears the name of the condition."""


def test_every_check_is_broken_here() -> None:
    """The table of breaks covers the checks of the table of limits."""
    assert BREAKS.keys() | NEEDS_A_POSITION_OR_A_SHORT == {row.name for row in LIMITS if row.check is not None}


@pytest.mark.parametrize("name", BREAKS)
def test_a_check_refuses_once_and_alone(name: str) -> None:
    """One wanted trade, one refusal with what was seen and what is asked for, no order; unbroken it is an order."""
    world = World.ready()
    world.targets(AAA="0.1")
    sound, orders, _ = rebalanced(world)
    assert (sound, len(orders)) == ([], 1)

    world = World.ready()
    world.targets(AAA="0.1")
    fields = BREAKS[name](world)
    if name == "order_rate":
        world.targets(AAA="0.1", BBB="0.05")
    (refusal,), orders, _ = rebalanced(world, **fields)
    assert refusal.check == NAMED.get(name, name)
    assert (refusal.symbol, orders) == ("AAA", [])
    assert refusal.observed and refusal.limit and refusal.text
    if name != "duplicate":
        assert refusal.wanted == 100


def test_one_decision_orders_once_though_others_came_between() -> None:
    """A run taken up again after orders of other runs still knows its own."""
    world = World.ready()
    _same_run(world)
    world.trade(AAA="0.05", BBB="0.05")
    world.targets(AAA="0.1", BBB="0.05")
    (refusal,), orders, _ = rebalanced(world, run_id="rebalance@twice")
    assert (refusal.check, refusal.symbol, orders) == ("duplicate", "AAA", [])


def test_a_symbol_without_a_quote_is_refused_and_the_others_trade() -> None:
    """The quote board is asked symbol by symbol."""
    world = World.ready()
    world.targets(AAA="0.1", BBB="0.1")
    refused, orders, _ = rebalanced(world, quotes=world.quotes()[1:])
    assert [(one.symbol, one.check) for one in refused] == [("AAA", "quote")]
    assert [one.order.symbol for one in orders] == ["BBB"]


def test_delayed_quotes_are_traded_on_only_when_the_settings_say_so() -> None:
    """The opt-in is a setting, and so a fact in the journal."""
    world = World.ready(replace(SETTINGS, allow_delayed_data=True))
    world.targets(AAA="0.1")
    _, orders, _ = rebalanced(world, quotes=quotes(world, market_data_type=3))
    assert len(orders) == 1


def test_an_order_that_closes_a_position_is_not_too_small() -> None:
    """The rest of a position goes, whatever the least order is."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, min_order_size=D(500)), sha256="decaf")
    assert [order.quantity for order in world.trade(AAA="0")] == [100]


def test_a_held_symbol_without_a_sound_price_is_refused_by_name_and_the_others_trade() -> None:
    """A flawed symbol has no close to size by: it is neither bought nor sold, and the refusal is a fact."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    _flawed(world)
    world.targets(AAA="0", BBB="0.1")
    assert world.state.equity is not None
    sound = tuple((symbol, price) for symbol, price in world.state.equity.prices if symbol != "AAA")
    world.hear(m.SignalsEnded, run_id="s", session=world.state.equity.session, prices=sound)
    refused, orders, _ = rebalanced(world)
    assert [(one.symbol, one.check, one.wanted) for one in refused] == [("AAA", "data", -100)]
    assert [one.order.symbol for one in orders] == ["BBB"]
    assert world.state.rebalance is not None
    assert world.state.rebalance.refused == 1


def test_a_flatten_does_not_wait_for_sound_bars() -> None:
    """A person wants out: the quote decides, whatever validation says of the history."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    _flawed(world)
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    refused, orders, _ = rebalanced(world)
    assert refused == []
    assert [(one.order.symbol, one.order.purpose) for one in orders] == [("AAA", Purpose.REDUCE)]


# ── caps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _held(quantity: str, **changes: Any) -> World:
    """`quantity` of AAA's weight bought, then other settings."""
    world = World.ready()
    world.finish(world.one(AAA=quantity))
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, **changes), sha256="decaf")
    world.targets(AAA="0.4")
    return world


def _outside(symbol: str, quantity: int, **changes: Any) -> World:
    """Shares that were there before count at the account's risk."""
    world = World.ready(replace(SETTINGS, **changes), **{symbol: quantity})
    world.targets(AAA="0.4")
    return world


def _with(**figures: Any) -> World:
    """The account read once more, and other figures come of it."""
    world = _held("0.1")
    world.wait(10)
    _account(**figures)(world)
    return world


GROUPS = (("some", ("AAA", "BBB"), D(1)), ("few", ("BBB", "CCC"), D("0.1")))
# A limit in money counts each share at the limit price of 100.21, not at the close of 100.
CAPS: dict[str, tuple[Callable[[], World], str]] = {
    "max_order_shares": (lambda: _held("0.1", max_order_shares=D(50)), "50"),
    "max_order_value": (lambda: _held("0.1", max_order_value=D(1_000)), "9"),
    "max_volume_fraction": (lambda: _held("0.1", max_volume_fraction=D("0.00019")), "90"),
    "max_displayed_fraction": (lambda: _held("0.1", max_displayed_fraction=D("0.1875")), "75"),
    "max_group_weight": (
        lambda: _outside("BBB", 1800, max_weight=D("0.5"), groups=GROUPS),
        "99",
    ),
    "max_position_size": (lambda: _outside("AAA", 300, max_position_size=D(400), max_weight=D("0.5")), "100"),
    "max_weight": (lambda: _outside("AAA", 300), "99"),
    "max_gross_exposure": (lambda: _outside("BBB", 1800, max_weight=D("0.5")), "99"),
    "settled_cash": (lambda: _with(trading_type="STKCASH", settled_cash=D(5_000)), "49"),
    "excess_liquidity": (lambda: _with(excess_liquidity=D(5_000)), "99"),
    "max_net_exposure": (lambda: _outside("BBB", 800, max_net_exposure=D("0.5"), max_weight=D("0.5")), "99"),
}
HELD_BY_CONSTRUCTION = {"reversal", "long_only"}
"""Netting and the withdrawal of opposite orders leave these nothing to do; they are tested on their own below."""
OF_SHORTS = {"shortable", "cash_short"}
"""In tests/domain/test_means.py."""


def test_every_cap_is_broken_here() -> None:
    """The table covers the caps of the table of limits."""
    assert set(CAPS) | HELD_BY_CONSTRUCTION | OF_SHORTS == {row.name for row in LIMITS if row.cap is not None}


@pytest.mark.parametrize("name", CAPS)
def test_a_cap_makes_a_trade_smaller_by_exactly_what_is_too_much(name: str) -> None:
    """One clamp by that name, and the order has the shares that the limit leaves room for."""
    build, allowed = CAPS[name]
    refused, orders, clamps = rebalanced(build())
    assert refused == []
    assert [clamp.check for clamp in clamps] == [name]
    assert clamps[0].allowed == orders[0].order.quantity == D(allowed)
    assert clamps[0].observed > clamps[0].limit


@pytest.mark.parametrize("name", ["max_position_size", "max_weight", "max_gross_exposure", "max_net_exposure"])
def test_a_cap_without_any_room_refuses(name: str) -> None:
    """Less than the least order is no order: a refusal with the figures."""
    tight = {
        "max_position_size": lambda: _outside("AAA", 400, max_position_size=D(400)),
        "max_weight": lambda: _outside("AAA", 400),
        "max_gross_exposure": lambda: _outside("BBB", 2000),
        "max_net_exposure": lambda: _outside("BBB", 1000, max_net_exposure=D("0.5")),
    }
    (refusal,), orders, _ = rebalanced(tight[name]())
    assert (refusal.check, orders) == (name, [])


def test_a_clamped_order_below_the_least_value_is_refused() -> None:
    """What a cap leaves must still be worth sending."""
    (refusal,), orders, _ = rebalanced(_outside("AAA", 395, min_order_value=D(1000)))
    assert (refusal.check, orders) == ("max_weight", [])


def test_caps_leave_whole_lots() -> None:
    """Lots of the settings bind where the instrument has none."""
    _, orders, _ = rebalanced(_outside("AAA", 250, lot_size=D(100)))
    assert orders[0].order.quantity == 100


def proposal(world: World, side: Side, quantity: int, purpose: Purpose) -> Proposal:
    """A proposal as no rebalance makes it."""
    return Proposal(
        run_id="rebalance@9",
        instrument=world.state.instruments["AAA"],
        side=side,
        quantity=D(quantity),
        purpose=purpose,
        price=D(100),
        equity=D(100_000),
        order_type=OrderType.MARKET,
        limit_price=None,
        quote=world.quotes()[0],
        session=SESSION,
        at=world.now,
        tech=world.now,
        closes=False,
    )


def test_a_reduction_with_those_under_way_ends_at_zero() -> None:
    """200 held, 150 being sold: 50 more may be, and then none."""
    world = _held("0.2")
    world.trade(AAA="0.05")
    cap = cap_reversal(world.state, proposal(world, Side.SELL, 200, Purpose.REDUCE))
    assert cap is not None and (cap.allowed, cap.observed, cap.limit) == (50, 350, 200)
    assert cap_reversal(world.state, proposal(world, Side.BUY, 200, Purpose.ENTRY)) is None


def test_nothing_is_sold_short_without_leave() -> None:
    """A sell that opens a position has no room at all, unless the settings allow it."""
    world = World.ready()
    short = proposal(world, Side.SELL, 1, Purpose.ENTRY)
    cap = cap_long_only(world.state, short)
    assert cap is not None and cap.allowed == 0
    assert cap_long_only(world.state, proposal(world, Side.BUY, 1, Purpose.ENTRY)) is None
    world.state.settings = replace(SETTINGS, allow_short=True)
    assert cap_long_only(world.state, short) is None


def test_with_leave_a_short_is_capped_like_a_long() -> None:
    """Weight and gross exposure bind both sides."""
    world = World.ready(replace(SETTINGS, allow_short=True, check_shortable=False))
    (order,) = world.trade(AAA="-0.9")
    assert (order.side, order.quantity, order.purpose) == (Side.SELL, 400, Purpose.ENTRY)


def test_an_opposite_order_is_withdrawn_before_anything_is_sent_the_other_way() -> None:
    """Two sides at once could end in a reversal: cancel first, decide again when it has ended."""
    world = World.ready()
    buy = world.one(AAA="0.2")
    world.acknowledge(buy)
    world.targets(AAA="0.1")
    step = world.rebalance()
    assert of_kind(step.effects, m.SubmitOrder) == []
    assert [effect.intent for effect in of_kind(step.effects, m.CancelOrder)] == [buy]
    assert [fact.check for fact in of_kind(step.facts, m.TradeRefused)] == ["opposite_order"]
    ended = world.status(buy, "Cancelled", 0)
    assert [effect.job for effect in of_kind(ended.effects, m.RunJob)] == ["rebalance"]


# ── exposure ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_exposure_counts_working_unknown_outside_and_foreign_orders() -> None:
    """Each side apart, at worst."""
    world = World.ready(AAA=100)
    intent = world.one(AAA="0.1")
    world.take(
        open_order(
            world.order(intent), world.now, perm_id=77, ref="", order_id=0, client_id=0, side=Side.SELL, quantity=D(30)
        )
    )
    assert worst_shares(world.state, 1, Side.BUY) == 200
    assert worst_shares(world.state, 1, Side.SELL) == 70
    assert worst_values(world.state, PRICES) == (D(20_021), D(20_021))


def test_both_ways_of_counting_exposure_agree() -> None:
    """The one-pass sum is the sum of the single ones."""
    world = World.ready(AAA=100, CCC=50)
    for order in world.trade(AAA="0.1", BBB="0.2"):
        world.finish(order.intent)
    world.trade(BBB="0.4")
    gross = sum(
        max(abs(worst_value(world.state, con_id, side, PRICES[symbol])) for side in Side)
        for con_id, symbol in SYMBOLS.items()
    )
    assert worst_values(world.state, PRICES)[0] == gross


def test_a_limit_in_money_holds_at_the_price_that_may_be_paid() -> None:
    """The market has risen by 9 % since the close that sizes the order: at its limit it still is within the limits."""
    world = World.ready(replace(SETTINGS, max_order_value=D(30_000), max_weight=D("0.25")))
    world.targets(AAA="0.4")
    _, (submitted,), clamps = rebalanced(world, quotes=quotes(world, bid=D(109), ask=D("109.02")))
    order = submitted.order
    assert order.limit_price is not None
    assert order.limit_price > 109
    assert order.quantity * order.limit_price <= D(25_000)
    assert (order.quantity + 1) * order.limit_price > D(25_000)
    assert "max_weight" in [clamp.check for clamp in clamps]


def test_the_band_is_around_what_may_be_paid_not_around_the_mid() -> None:
    """A bid of a cent and an ask of nearly twice the close have a good mid: nobody would buy at that ask."""
    world = World.ready()
    world.targets(AAA="0.1")
    (refusal,), orders, _ = rebalanced(world, quotes=quotes(world, bid=D("0.01"), ask=D(195)))
    assert (refusal.check, orders) == ("price_band", [])


def test_a_position_without_a_sizing_price_is_not_worth_nothing() -> None:
    """Its last close counts, else what was paid for it."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"), price="80")
    assert worst_values(world.state, {})[0] == 10_000
    world.state.judged.clear()
    assert worst_values(world.state, {})[0] == 8_000


def test_the_order_rate_is_of_the_last_minute() -> None:
    """A minute later there is room again."""
    world = World.ready(replace(SETTINGS, max_orders_per_minute=1))
    world.finish(world.one(AAA="0.1"))
    assert world.trade(AAA="0.2") == []
    world.now += timedelta(seconds=61)
    world.snapshot()
    assert len(world.trade(AAA="0.2")) == 1


def test_modifications_count_towards_the_orders_of_a_minute() -> None:
    """An order modified in the minute that another was made in: both were sent, also once the first has ended."""
    world = World.ready(replace(SETTINGS, max_orders_per_minute=2))
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.wait(45)
    world.snapshot()
    argument = f"{intent} 90 - -"
    world.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=world.quotes())
    world.hear(m.OrderHanded, intent=intent, change=1)
    world.open_order(intent, quantity=D(90))
    world.finish(intent)
    assert [fact.check for fact in of_kind(_refused_of(world, AAA="0.09", BBB="0.1"), m.TradeRefused)] == ["order_rate"]
    world.wait(20)
    assert len(world.trade(AAA="0.09", BBB="0.1")) == 1, "the order has left the minute"
    assert [fact.check for fact in of_kind(_refused_of(world, AAA="0.09", BBB="0.1", CCC="0.1"), m.TradeRefused)] == [
        "order_rate"
    ]


def _refused_of(world: World, **weights: str) -> tuple[m.Fact, ...]:
    world.targets(**weights)
    return world.rebalance().facts


def test_a_session_s_orders_share_the_volume_and_the_next_session_has_its_own() -> None:
    """Two orders of one session come to no more than the part of the volume; tomorrow there is room again."""
    world = World.ready(replace(SETTINGS, max_volume_fraction=D("0.0002")))
    world.finish(world.one(AAA="0.15"))
    world.finish(world.one(AAA="0.4"))
    assert world.state.held(1) == 200
    assert [fact.check for fact in of_kind(_refused_of(world, AAA="0.4"), m.TradeRefused)] == ["max_volume_fraction"]
    world.wait(60)
    world.rebalance(session=replace(SESSION, open_at=world.now))
    assert world.state.orders[3].quantity == 199


def test_without_a_known_volume_an_entry_is_refused_and_an_exit_is_not() -> None:
    """Unknown is not unlimited; what is held may always go."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, max_volume_fraction=D("0.01")), sha256="decaf")
    rows = tuple(replace(judged(symbol), average_volume=None) for symbol in ("AAA", "BBB", "CCC"))
    world.hear(m.DataRefreshed, run_id="refresh@2", session=DAY, judged=rows)
    refused, orders, _ = rebalanced_to(world, AAA="0", BBB="0.1")
    assert [(one.symbol, one.check, one.observed) for one in refused] == [("BBB", "liquidity", "no volume")]
    assert [(one.order.symbol, one.order.purpose) for one in orders] == [("AAA", Purpose.REDUCE)]


def rebalanced_to(world: World, **weights: str) -> Any:
    world.targets(**weights)
    return rebalanced(world)


def test_a_group_counts_what_is_held_ordered_and_others_own_at_worst() -> None:
    """A holding of others in one instrument leaves the others of its group less; one outside the group does not."""
    groups = (("pair", ("AAA", "BBB"), D("0.5")),)
    world = World.ready(replace(SETTINGS, groups=groups), BBB=600)
    orders = world.trade(AAA="0.4", CCC="0.4")
    assert {order.symbol: order.quantity for order in orders} == {"AAA": 199, "CCC": 1995}
    assert [(order.symbol, order.quantity) for order in world.trade(AAA="0.4", BBB="0.1")] == [("BBB", 1)]


# ── at the write ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_others_have_ordered_since_an_entry_was_intended_withholds_it() -> None:
    """An order waits in the budget; a stranger's order and holding are told: at worst it would pass the weight."""
    world = World.ready()
    (order,) = world.trade(AAA="0.4")
    assert gate(world.state, order.intent, world.now) is None
    stranger = {"perm_id": 77, "ref": "", "order_id": 0, "client_id": 0, "quantity": D(5)}
    world.take(open_order(order, world.now, **stranger))
    withheld = gate(world.state, order.intent, world.now)
    assert withheld == "max_weight 0.4048 would pass the limit 0.4 by now"
    world.hear(m.OrderWithheld, intent=order.intent, reason=withheld)
    assert world.order(order.intent).state is OrderState.UNSENT


def test_a_limit_tightened_while_an_order_waits_withholds_it_and_an_exit_goes() -> None:
    """Entries are held against what is in force when they leave; what reduces is held against the position alone."""
    world = World.ready()
    world.finish(world.one(AAA="0.3"))
    orders = {order.symbol: order for order in world.trade(AAA="0.1", BBB="0.3")}
    tight = replace(SETTINGS, max_weight=D("0.2"), max_gross_exposure=D("0.1"))
    world.hear(m.ConfigLoaded, settings=tight, sha256="decaf")
    assert "max_weight" in str(gate(world.state, orders["BBB"].intent, world.now))
    assert gate(world.state, orders["AAA"].intent, world.now) is None


def test_an_exit_whose_shares_others_have_sold_since_is_withheld() -> None:
    """Sent, it would turn the account short."""
    world = World.ready()
    world.finish(world.one(AAA="0.3"))
    (order,) = world.trade(AAA="0")
    assert gate(world.state, order.intent, world.now) is None
    world.positions[1] = D(100)
    world.stranger("AAA", 200, "f.01", Side.SELL)
    assert gate(world.state, order.intent, world.now) == "reversal 300.0000 would pass the limit 100 by now"


def test_a_modification_that_grows_is_held_against_what_was_told_while_it_waited() -> None:
    """Larger terms are withheld as a larger order is; smaller ones never are."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    for quantity, held in ((350, "max_weight"), (150, "None")):
        argument = f"{intent} {quantity} - -"
        world.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=world.quotes())
        assert gate(world.state, intent, world.now) is None
        stranger = {"perm_id": 77, "ref": "", "order_id": 0, "client_id": 0, "quantity": D(150)}
        world.take(open_order(world.order(intent), world.now, **stranger))
        assert held in str(gate(world.state, intent, world.now))
        world.hear(m.OrderWithheld, intent=intent, reason="limits", change=world.order(intent).changed)


@pytest.mark.parametrize(("bid", "orders"), [("101", 0), ("100.01", 1), ("99.99", 1)])
def test_a_crossed_quote_is_no_market(bid: str, orders: int) -> None:
    """A bid above the ask is refused as no quote; one at the ask is a market."""
    world = World.ready()
    world.targets(AAA="0.1")
    step = world.rebalance(quotes=quotes(world, bid=D(bid), ask=D("100.01")))
    assert len(of_kind(step.effects, m.SubmitOrder)) == orders
    assert [fact.check for fact in of_kind(step.facts, m.TradeRefused)] == ["quote"] * (1 - orders)

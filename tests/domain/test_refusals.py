"""What each check says when it refuses: what it saw, what it asks for, and one sentence to a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.portfolio import targets
from longwatch.domain.risk import caps, certificate, day_trades, held_at, means, permits, pricing, table
from longwatch.domain.risk.limits import Limit
from longwatch.domain.risk.proposal import Refusal
from longwatch.domain.state import State
from tests.domain.test_caps import proposal
from tests.domain.test_exposure import foreign
from tests.domain.test_means import CASH_ACCOUNT, decided, read_again, small, world_of
from tests.domain.test_risk import BREAKS, rebalanced
from tests.domain.world import CLOSE, OPEN, SETTINGS, World, judged, of_kind

D = Decimal
Said = tuple[str, str, str]

SAID: dict[str, Said] = {
    "account": ("U123456", "paper", "account U123456 does not belong in mode paper"),
    "verbs": ("paused", "entry allowed", "AAA: no entry while paused"),
    "breaker": (
        "cancelled by a person",
        "2007-01-05 21:00:00+00:00",
        "AAA: cancelled by a person, no entry before 2007-01-05 21:00Z; `longwatch resume AAA` allows it at once",
    ),
    "data": ("a negative price on 2007-01-03", "sound bars", "AAA: a negative price on 2007-01-03"),
    "trading_hours": ("2007-01-05T14:36:32+00:00", "an open session", "AAA: the exchange is closed"),
    "quote": ("none", "bid and ask", "AAA: there is no bid and ask"),
    "quote_age": ("31.0 s", "30 s", "AAA: the quote is 31.0 s old, over 30 s"),
    "quote_type": ("3", "1 (live)", "AAA: market data type 3 is not live"),
    "price_band": ("0.1222", "0.10", "AAA: 112.22 is 12.2% away from the close 100, over 10.0%"),
    "stop_side": ("100.00", "above 100.01", "AAA: the stop 100.00 is not above 100.01"),
    "liquidity": (
        "no size",
        "a displayed size",
        "AAA: the quote displays no size, and risk.max_displayed_fraction limits an order to it",
    ),
    "means_known": ("none", "excess liquidity", "AAA: the broker has not told the account's excess liquidity"),
    "exchange_rate": ("61 s", "60 s", "AAA: the exchange rate EUR to USD is 61 s old, over 60 s"),
    "min_order_size": ("100", "101", "AAA: 100 shares are under 101"),
    "min_order_value": ("10021.00", "10022", "AAA: 10021.00 is under 10022"),
    "order_rate": ("1", "1", "AAA: 1 orders in the last minute, the limit is 1"),
    "others_priced": (
        "no price of XYZ",
        "a price",
        "AAA: XYZ, 100 shares that are not ours, has no known price, and exposure would leave it out: give it its "
        "average cost in TWS, close it there, or let a strategy name XYZ, so that its bars are read",
    ),
    "duplicate": ("lw:k7q2:1", "one order a decision", "AAA: rebalance@twice already has order lw:k7q2:1"),
}


def said(refusal: m.TradeRefused | Refusal | None) -> Said:
    assert refusal is not None
    return refusal.observed, refusal.limit, refusal.text


@pytest.mark.parametrize("name", BREAKS)
def test_a_refusal_says_what_was_seen_what_is_asked_for_and_why(name: str) -> None:
    """In the limit's own unit, with the symbol and both figures in the sentence."""
    world = World.ready()
    world.targets(AAA="0.1")
    fields = BREAKS[name](world)
    if name == "order_rate":
        world.targets(AAA="0.1", BBB="0.05")
    (refusal,), *_ = rebalanced(world, **fields)
    assert said(refusal) == SAID[name]


def test_a_cash_account_without_settled_cash_is_told_so() -> None:
    """By the name of the figure that its entries are limited by."""
    world = world_of(CASH_ACCOUNT)
    read_again(world, settled_cash=None)
    refusal = means.check_means_known(world.state, proposal())
    assert said(refusal) == ("none", "settled cash", "AAA: the broker has not told the account's settled cash")


def test_a_short_sale_without_word_of_shares_to_borrow_says_who_asks_for_them() -> None:
    """Also where there is no quote at all."""
    world = World.ready(replace(SETTINGS, allow_short=True))
    text = (
        "AAA: the broker has not told how many shares can be borrowed; it is asked from the start of the daemon on, "
        "when risk.allow_short is set"
    )
    for quote in (None, world.quotes()[0]):
        refusal = means.check_shortable_known(world.state, proposal(Side.SELL, quote=quote))
        assert said(refusal) == ("none", "shares to borrow", text)


@pytest.mark.parametrize(("left", "used"), [(0, ()), (1, ("BBB",)), (0, ("BBB",))])
def test_an_exit_without_a_day_trade_left_says_how_many_there_are(left: int, used: tuple[str, ...]) -> None:
    """Those left at the last reading without those under way since; never fewer than none."""
    world = world_of(small(left))
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.finish(order.intent)
    world.hear(m.ConfigLoaded, settings=replace(SETTINGS, day_trade_exits=True), sha256="out")
    if used:
        world.targets(AAA="0.1", BBB="0")
        assert [order.symbol for order in decided(world)[0]] == list(used)
    world.hear(m.ConfigLoaded, settings=SETTINGS, sha256="kept")
    refusal = day_trades.check_day_trades(
        world.state, proposal(Side.SELL, 100, purpose=Purpose.REDUCE, at=world.now, tech=world.now)
    )
    assert said(refusal) == ("0", "1", "AAA: it was opened today, and 0 day trades are left; it is kept overnight")


# ── where a check begins to refuse ──────────────────────────────────────────────────────────────────────────────────


def test_a_symbol_that_was_never_judged_has_no_bars() -> None:
    """Not judged is not sound; with a flatten on, neither is asked."""
    world = World.ready()
    del world.state.judged["AAA"]
    text = "AAA has no validated bars"
    none = Refusal(check="data", observed="no bars", limit="sound bars", text=text)
    assert pricing.check_data(world.state, proposal()) == none
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    assert pricing.check_data(world.state, proposal()) is None


def test_a_crossed_quote_is_told_with_both_sides_and_one_that_touches_is_none() -> None:
    state = State()
    one = proposal()
    assert one.quote is not None
    crossed = replace(one.quote, bid=D(102))
    text = "AAA: the bid 102 is above the ask 101"
    assert said(pricing.check_quote(state, proposal(quote=crossed))) == ("102 over 101", "bid up to ask", text)
    assert pricing.check_quote(state, proposal(quote=replace(crossed, bid=D(101)))) is None
    for quote in (None, replace(crossed, bid=None), replace(crossed, ask=None)):
        refusal = pricing.check_quote(state, proposal(quote=quote))
        assert said(refusal) == ("none", "bid and ask", "AAA: there is no bid and ask")


def test_a_quote_is_fresh_up_to_its_greatest_age() -> None:
    """That age included; a quote there is not was never fresh."""
    state = State(settings=replace(SETTINGS, max_quote_age_seconds=30.0))
    one = proposal()
    assert one.quote is not None
    seen = one.quote.at
    assert seen is not None
    assert pricing.check_quote_age(state, proposal(tech=seen + timedelta(seconds=30))) is None
    assert pricing.check_quote_age(state, proposal(tech=seen + timedelta(seconds=30.1))) is not None
    refusal = pricing.check_quote_age(state, proposal(quote=None))
    assert said(refusal) == ("never", "30 s", "AAA: the quote is never old, over 30 s")


def test_only_a_flatten_at_the_market_needs_no_price() -> None:
    """A flatten by a limit does, and so does any other order at the market."""
    world = World.ready()
    at_market = {"order_type": OrderType.MARKET, "limit_price": None, "quote": None}
    for on, fields, is_asked in (
        (False, at_market, True),
        (True, at_market, False),
        (True, {"quote": None}, True),
    ):
        if on:
            world.hear(m.ControlRequested, command="flatten", by="uid 1000")
        one = proposal(Side.SELL, purpose=Purpose.REDUCE, **fields)  # type: ignore[arg-type]
        assert (pricing.check_quote(world.state, one) is not None) is is_asked
        assert (pricing.check_quote_age(world.state, one) is not None) is is_asked


def test_delayed_data_are_a_choice_that_live_trading_has_not() -> None:
    """No quote at all is for other checks."""
    one = proposal()
    assert one.quote is not None
    delayed = proposal(quote=replace(one.quote, market_data_type=3))
    for allowed, mode, passes in ((True, "paper", True), (True, "live", False), (False, "paper", False)):
        state = State(mode=mode, settings=replace(SETTINGS, allow_delayed_data=allowed))
        assert (pricing.check_quote_type(state, delayed) is None) is passes
    assert pricing.check_quote_type(State(), proposal(quote=None)) is None


@pytest.mark.parametrize(
    ("side", "fields", "off"),
    [
        (Side.BUY, {"limit_price": D(110)}, None),  # just at the band
        (Side.BUY, {"limit_price": D("110.01")}, "0.1001"),
        (Side.SELL, {"limit_price": D(90)}, None),
        (Side.SELL, {"limit_price": D("89.99")}, "0.1001"),
        (Side.BUY, {"limit_price": D(100), "stop_price": D(111)}, "0.1100"),
        (Side.BUY, {"limit_price": D(100), "bid": D(70), "ask": D(101)}, "0.1450"),  # the middle of the market
        (Side.BUY, {"limit_price": D(100), "bid": None, "ask": D(120)}, "0.2000"),
        (Side.SELL, {"limit_price": D(100), "bid": D(80), "ask": None}, "0.2000"),
        (Side.SELL, {"limit_price": D(100), "bid": None, "ask": D(120)}, None),  # not what a seller gets
    ],
)
def test_the_price_that_is_farthest_from_the_sizing_price_counts(
    side: Side, fields: dict[str, Decimal | None], off: str | None
) -> None:
    """Of limit, stop, the middle of the quote and its far side."""
    one = proposal()
    assert one.quote is not None
    quote = replace(one.quote, **{name: fields[name] for name in ("bid", "ask") if name in fields})
    given = {name: price for name, price in fields.items() if name not in ("bid", "ask")}
    refusal = pricing.check_price_band(
        State(settings=replace(SETTINGS, price_band_fraction=D("0.1"))), proposal(side, quote=quote, **given)
    )
    assert (refusal and refusal.observed) == off


def test_without_any_price_no_band_is_passed() -> None:
    """An order at the market without a quote: other checks refuse it."""
    one = proposal(quote=None, limit_price=None)
    assert pricing.check_price_band(State(), one) is None


@pytest.mark.parametrize(
    ("side", "stop", "limit"),
    [
        (Side.BUY, "101.01", None),
        (Side.BUY, "101", "above 101"),
        (Side.SELL, "98.99", None),
        (Side.SELL, "99", "below 99"),
    ],
)
def test_a_stop_at_the_far_side_of_the_quote_is_triggered_at_once(side: Side, stop: str, limit: str | None) -> None:
    """A buy's at the ask, a sell's at the bid; a tick beyond it is well. Without a quote nobody knows."""
    refusal = pricing.check_stop_side(State(), proposal(side, stop_price=D(stop)))
    assert (refusal and said(refusal)) == (limit and (stop, limit, f"AAA: the stop {stop} is not {limit}"))
    assert pricing.check_stop_side(State(), proposal(side, stop_price=D(stop), quote=None)) is None
    assert pricing.check_stop_side(State(), proposal(side)) is None


def test_an_unknown_volume_is_no_large_one() -> None:
    """Nothing judged, or no average told; without a limit on it nobody asks."""
    world = World.ready(replace(SETTINGS, max_volume_fraction=D("0.01"), max_displayed_fraction=None))
    assert pricing.check_liquidity(world.state, proposal()) is None
    text = "AAA: its average daily volume is not known, and risk.max_volume_fraction limits a session to it"
    world.state.judged["AAA"] = replace(world.state.judged["AAA"], average_volume=None)
    for _ in range(2):
        refusal = pricing.check_liquidity(world.state, proposal())
        assert said(refusal) == ("no volume", "an average daily volume", text)
        world.state.judged.pop("AAA", None)
    world.state.settings = replace(SETTINGS, max_volume_fraction=None, max_displayed_fraction=None)
    assert pricing.check_liquidity(world.state, proposal()) is None
    world.state.settings = replace(SETTINGS, max_volume_fraction=None, max_displayed_fraction=D(1))
    assert pricing.check_liquidity(world.state, proposal()) is None
    assert pricing.check_liquidity(world.state, proposal(quote=None)) is not None


def test_the_least_order_is_enough_and_an_exit_may_be_smaller() -> None:
    """50 shares at 125 at most."""
    for check, name, at in (
        (pricing.check_min_order_size, "min_order_size", D(50)),
        (pricing.check_min_order_value, "min_order_value", D(6250)),
    ):
        assert check(State(settings=replace(SETTINGS, **{name: at})), proposal()) is None  # type: ignore[arg-type]
        above = State(settings=replace(SETTINGS, **{name: at + 1}))  # type: ignore[arg-type]
        assert check(above, proposal()) is not None
        assert check(above, proposal(closes=True)) is None


def test_as_many_as_the_broker_takes_are_enough_and_no_exit_may_be_smaller() -> None:
    """What an order has filled counts when it is changed: the broker looks at the whole order."""
    known = Instrument(con_id=1, symbol="AAA", min_size=D(51))
    text = "AAA: 50 shares are under 51, the fewest that the broker takes in an order"
    for fields in ({}, {"closes": True}):
        refusal = pricing.check_contract_min_size(State(), proposal(instrument=known, **fields))
        assert said(refusal) == ("50", "51", text)
    for one in (proposal(quantity=51, instrument=known), proposal(filled=D(1), instrument=known)):
        assert pricing.check_contract_min_size(State(), one) is None


@pytest.mark.parametrize(
    ("account", "mode", "passes"),
    [
        ("DU123456", "paper", True),
        ("U123456", "live", True),
        ("U123456", "paper", False),
        ("DU123456", "live", False),
        ("U123456", "backtest", True),  # no broker's account
    ],
)
def test_an_account_belongs_in_one_mode(account: str, mode: str, passes: bool) -> None:
    refusal = permits.check_account(State(account=account, mode=mode), proposal())
    text = f"account {account} does not belong in mode {mode}"
    assert refusal == (None if passes else Refusal(check="account", observed=account, limit=mode, text=text))


def test_the_minute_of_orders_is_the_last_sixty_seconds() -> None:
    """One of a minute ago counts no more."""
    state = State(settings=replace(SETTINGS, max_orders_per_minute=2))
    now = CLOSE
    state.sends = (now - timedelta(minutes=1), now - timedelta(seconds=59))
    assert permits.check_order_rate(state, proposal(tech=now)) is None
    state.sends = (*state.sends, now)
    refusal = permits.check_order_rate(state, proposal(tech=now))
    assert said(refusal) == ("2", "2", "AAA: 2 orders in the last minute, the limit is 2")


def test_hours_are_kept_where_the_settings_say_so() -> None:
    """The opening instant is inside, the closing one is not."""
    state = State(settings=SETTINGS)
    for at, passes in ((OPEN, True), (OPEN - timedelta(seconds=1), False), (CLOSE, False)):
        assert (permits.check_trading_hours(state, proposal(at=at)) is None) is passes
    always = State(settings=replace(SETTINGS, trading_hours_only=False))
    assert permits.check_trading_hours(always, proposal(at=CLOSE, session=None)) is None


def test_a_decision_is_told_from_others_by_run_and_instrument_for_as_long_as_it_may_come_late() -> None:
    """Within a week of the order; an older one, of another run or another instrument, is no obstacle."""
    world = World.ready()
    world.targets(AAA="0.1")
    (submitted,) = of_kind(world.rebalance(run_id="this").effects, m.SubmitOrder)
    made = submitted.order.created_at
    for fields, passes in (
        ({"run_id": "this", "at": made}, False),
        ({"run_id": "this", "at": made + permits.RUN_LASTS}, False),
        ({"run_id": "this", "at": made + permits.RUN_LASTS + timedelta(seconds=1)}, True),
        ({"run_id": "that", "at": made}, True),
        ({"run_id": "this", "at": made, "instrument": world.state.instruments["BBB"]}, True),
    ):
        assert (permits.check_duplicate(world.state, proposal(**fields)) is None) is passes  # type: ignore[arg-type]


def test_shares_and_orders_of_others_are_in_the_way_while_nobody_knows_their_price() -> None:
    """A limit of its own, the sizing price, the last close or the account's cost is one; of nothing none is needed."""
    state = State()
    assert permits.check_others_priced(state, proposal()) is None
    state.outside = {7: ("GGG", D(0))}
    state.foreign_orders = {77: foreign(77, 0, con_id=8), 78: replace(foreign(78, 5, con_id=9), price=D(3))}
    assert permits.check_others_priced(state, proposal()) is None
    state.foreign_orders[79] = replace(foreign(79, 5, con_id=1), symbol="GGG")
    text = (
        "AAA: GGG, an order for 5 that is not ours, has no known price, and exposure would leave it out: give it its "
        "average cost in TWS, close it there, or let a strategy name GGG, so that its bars are read"
    )
    assert said(permits.check_others_priced(state, proposal())) == ("no price of GGG", "a price", text)
    state.equity = m.EquitySet(session=OPEN.date(), equity=D(1), prices=(("AAA", D(100)),))
    assert permits.check_others_priced(state, proposal()) is not None
    state.equity = replace(state.equity, prices=(("GGG", D(3)),))
    assert permits.check_others_priced(state, proposal()) is None
    state.equity, state.account_costs = None, {1: D(3)}
    assert permits.check_others_priced(state, proposal()) is None
    state.outside[7] = ("HHH", D(-4))
    refusal = permits.check_others_priced(state, proposal())
    assert refusal is not None and "HHH, -4 shares that are not ours, has" in refusal.text
    state.account_costs[7] = D(3)
    assert permits.check_others_priced(state, proposal()) is None
    del state.account_costs[7]
    state.judged["HHH"] = judged("AAA")
    assert permits.check_others_priced(state, proposal()) is None


def test_shares_that_nobody_has_explained_are_in_the_way_while_nobody_knows_their_price() -> None:
    """Found to differ, or quarantined: exposure counts them, at a price of nothing where none is known."""
    world = World.ready()
    world.positions[77], world.costs[77] = D(100_000), D(0)
    world.reconcile()
    assert world.state.compared is not None and world.state.compared.differences and not world.state.quarantines
    refusal = permits.check_others_priced(world.state, proposal())
    assert refusal is not None and "77, 100000 shares that nobody has explained yet, has no known" in refusal.text
    world.reconcile(2)
    assert 77 in world.state.quarantines
    assert permits.check_others_priced(world.state, proposal()) is not None
    world.costs[77] = D(1)
    world.reconcile()
    assert permits.check_others_priced(world.state, proposal()) is None


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("always", [False, True])
def test_the_checks_of_a_purpose_are_the_rows_that_bind_it_in_their_order(always: bool) -> None:
    """Those that are asked of every modification are the ones that say so."""
    rows: list[Limit] = [
        row
        for module in (certificate, permits, pricing, means, day_trades, caps, targets, held_at)
        for row in module.ROWS  # type: ignore[attr-defined]
    ]
    expected: dict[Purpose, list[Callable[..., Refusal | None]]] = {purpose: [] for purpose in Purpose}
    for row in rows:
        for purpose in row.binds:
            if row.check is not None and (row.always or not always):
                expected[purpose].append(row.check)
    found = table._checks(always=always)
    assert {purpose: list(checks) for purpose, checks in found.items()} == expected
    assert found == (table.ALWAYS if always else table.CHECKS)
    assert len(found[Purpose.ENTRY]) == (6 if always else 20)


def test_the_day_is_the_exchanges() -> None:
    """Two in the morning in London is the evening before in New York."""
    assert day_trades._start_of_day(datetime(2007, 1, 6, 2, tzinfo=UTC)) == datetime(2007, 1, 5, 5, tzinfo=UTC)
    assert day_trades._start_of_day(datetime(2007, 1, 6, 6, tzinfo=UTC)) == datetime(2007, 1, 6, 5, tzinfo=UTC)

"""A rebalance fact by fact: what it counts, in which order, with which prices, and what each order of it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.levels import Grade
from longwatch.domain.order_life.patience import TIMED_OUT
from longwatch.domain.orders import Allocation, Order, OrderState, OrderType, Purpose
from longwatch.domain.portfolio import rebalance as trading
from longwatch.domain.portfolio.sizing import Clamp
from longwatch.domain.portfolio.wanted import Wanted
from longwatch.domain.quotes import Quote
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.state import State, put_order
from tests.domain.test_caps import QUOTE, proposal
from tests.domain.test_exposure import order, state_of
from tests.domain.test_holds import aim, hold_back, two
from tests.domain.world import (
    ACCOUNT,
    CLOSE,
    DAY,
    EQUITY,
    MONDAY,
    PRICES,
    SESSION,
    SESSIONS,
    SETTINGS,
    START,
    YESTERDAY,
    World,
    of_kind,
    open_order,
)

D = Decimal
AAA = Instrument(con_id=1, symbol="AAA")


def due(**fields: Any) -> m.RebalanceDue:
    whole = {"at": START, "tech": START, "run_id": "r@1", "session": SESSION, "quotes": ()} | fields
    return m.RebalanceDue(**whole)


def wanted(trade: int, held: int = 0, price: str = "100", **fields: Any) -> Wanted:
    return Wanted(instrument=AAA, held=D(held), trade=D(trade), price=D(price), **fields)


def with_settings(**fields: Any) -> State:
    state = State(settings=replace(SETTINGS, **fields), sessions=SESSIONS)
    state.equity = m.EquitySet(session=DAY, equity=EQUITY, prices=())
    return state


# ── whether there is anything to trade on ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("equity", "session", "at", "why"),
    [
        (None, None, START, "no strategy has computed targets yet"),
        (EQUITY, YESTERDAY.date, MONDAY.open_at, None),  # one session ended since, and one may
        (EQUITY, YESTERDAY.date, CLOSE, None),
        (EQUITY, YESTERDAY.date, MONDAY.close_at, "the targets are of 2007-01-04, 2 sessions ago"),
        (EQUITY, DAY, MONDAY.close_at, None),
        (D(0), DAY, START, "equity is not positive"),
        (D("-0.01"), DAY, START, "equity is not positive"),
        (D("0.01"), DAY, START, None),
    ],
)
def test_nothing_is_traded_without_targets_that_are_fresh_and_a_capital(
    equity: Decimal | None, session: Any, at: Any, why: str | None
) -> None:
    """It is told, and the decision is one all the same, of nothing; a flatten closes whatever there is or is not."""
    state = State(settings=SETTINGS, sessions=SESSIONS)
    if equity is not None:
        state.equity = m.EquitySet(session=session, equity=equity, prices=())
    decided = m.RebalanceDecided(run_id="r@1", intended=0, refused=0, clamped=0, waiting=0, at=at)
    told = [] if why is None else [m.RaiseAlert(key="no_targets", text=f"nothing is traded: {why}")]
    assert list(trading.rebalance(state, due(at=at))) == [*told, decided]
    state.verbs[m.Verb.FLATTEN] = m.VerbSet(verb=m.Verb.FLATTEN, on=True, by="", reason="")
    assert list(trading.rebalance(state, due(at=at))) == [decided]


def test_a_decision_counts_its_orders_refusals_clamps_and_what_waits() -> None:
    """Sells first, then by name: AAA is sold, BBB is smaller than wanted, CCC's quote is missing."""
    world = World.ready(replace(SETTINGS, max_order_shares=D(350)))
    world.finish(world.one(AAA="0.2"))
    world.wait(10)
    world.snapshot()
    world.targets(AAA="0.1", BBB="0.2", CCC="0.05")
    step = world.rebalance(quotes=tuple(one for one in world.quotes() if one.symbol != "CCC"))
    assert [(one.order.symbol, one.order.quantity) for one in of_kind(step.facts, m.OrderIntended)] == [
        ("AAA", D(100)),
        ("BBB", D(350)),
    ]
    assert of_kind(step.facts, m.TradeClamped) == [
        m.TradeClamped(
            run_id="rebalance@2",
            symbol="BBB",
            check="max_order_shares",
            wanted=D(400),
            allowed=D(350),
            observed=D(400),
            limit=D(350),
        )
    ]
    assert of_kind(step.facts, m.TradeRefused) == [
        m.TradeRefused(
            run_id="rebalance@2",
            symbol="CCC",
            check="quote",
            wanted=D(250),
            observed="none",
            limit="bid and ask",
            text="CCC: there is no bid and ask",
        )
    ]
    assert of_kind(step.facts, m.RebalanceDecided) == [
        m.RebalanceDecided(run_id="rebalance@2", intended=2, refused=1, clamped=1, waiting=0, at=world.now)
    ]


def test_a_strategys_part_that_may_only_shrink_refuses_the_order_for_it() -> None:
    """The whole net trade is for it: by name, with what is asked for."""
    world = two()
    aim(world, left={"AAA": "0.1"}, right={"AAA": "0.4"})
    hold_back(world, "left", Grade.HALTED)
    state = world.state
    one = proposal(Side.SELL, 50, purpose=Purpose.REDUCE, at=world.now, tech=world.now, session=SESSION)
    facts = list(trading._order(state, one, {"left": D(-50)}))
    assert facts == [
        m.TradeRefused(
            run_id=one.run_id,
            symbol="AAA",
            check="strategy_hold",
            wanted=D(-50),
            observed="strategy left is halted",
            limit="its part shrinks",
            text="AAA: strategy left is halted",
        )
    ]


# ── what works the other way ────────────────────────────────────────────────────────────────────────────────────────


def test_what_works_the_other_way_is_cancelled_once_and_waited_for() -> None:
    """The refusal names the orders; the decision counts it as waiting; a second look asks for no second cancel."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.fill(intent, 100)
    world.targets(AAA="0")
    first, second = world.rebalance(), world.rebalance()
    ref = world.order(intent).ref
    for step, run in ((first, "rebalance@2"), (second, "rebalance@3")):
        (refused,) = of_kind(step.facts, m.TradeRefused)
        assert refused == m.TradeRefused(
            run_id=run,
            symbol="AAA",
            check="opposite_order",
            wanted=D(-100),
            observed=ref,
            limit=trading.WAITING,
            text=f"AAA: {ref} could add up to a reversal with it and has to end first",
        )
        (decided,) = of_kind(step.facts, m.RebalanceDecided)
        assert (decided.intended, decided.refused, decided.waiting) == (0, 1, 1)
    (asked,) = of_kind(first.facts, m.OrderCancelAsked)
    assert (asked.intent, asked.reason) == (intent, "the target has turned")
    assert [one.intent for one in of_kind(first.effects, m.CancelOrder)] == [intent]
    assert of_kind(second.facts, m.OrderCancelAsked) == of_kind(second.effects, m.CancelOrder) == []


def test_what_a_person_gave_another_quantity_stays_and_is_told_so() -> None:
    """By the words of what holds it, until the next session; the target waits."""
    world = World.ready()
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    world.fill(intent, 100)
    world.hear(m.ControlRequested, command="modify", argument=f"{intent} 150 - -", by="uid 1000", quotes=world.quotes())
    world.hear(m.OrderHanded, intent=intent, change=1)
    world.open_order(intent)
    row = next(one for one in world.state.breakers.values() if one.reason == trading.breaker.MODIFIED)
    world.targets(AAA="0")
    (refused,) = of_kind(world.rebalance().facts, m.TradeRefused)
    assert refused == m.TradeRefused(
        run_id="rebalance@2",
        symbol="AAA",
        check="breaker",
        wanted=D(-100),
        observed=row.reason,
        limit=str(row.until),
        text=trading.breaker.told(row),
    )
    assert not world.order(intent).cancel_asked


@pytest.mark.parametrize(
    ("fields", "works"),
    [
        ({}, True),
        ({"side": Side.SELL}, False),
        ({"purpose": Purpose.STOP}, False),  # nobody waits for it
        ({"ending": OrderState.FILLED}, False),
    ],
)
def test_room_is_waited_for_while_an_order_on_the_other_side_may_fill(fields: dict[str, Any], works: bool) -> None:
    """One that has ended, and whose fills are untold, frees nothing any more."""
    assert trading._other_side_works(state_of(order(1, 10, **fields)), Side.SELL) is works


@pytest.mark.parametrize(("quarantined", "works"), [(False, True), (True, False)])
def test_room_is_not_waited_for_where_only_a_person_may_say_what_was_sold(quarantined: bool, works: bool) -> None:
    """An unknown order of a quarantined instrument may stay so for weeks."""
    state = state_of(order(1, 10, state=OrderState.UNKNOWN))
    if quarantined:
        state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="untold", tech=START)
    assert trading._other_side_works(state, Side.SELL) is works


# ── how much is worth a trade ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trade", "band", "least", "flat", "kept"),
    [
        (10, "0.01", 0, False, False),  # just the band of 1,000
        (9, "0.01", 0, False, True),
        (-9, "0.01", 0, False, True),
        (9, "0.01", 0, True, False),  # all is to go
        (9, "0", 900, False, False),
        (9, "0", 901, False, True),
        (9, "0.01", 1, False, True),  # the larger one counts
    ],
)
def test_a_drift_within_the_band_is_left(trade: int, band: str, least: int, flat: bool, kept: bool) -> None:
    """A fraction of equity or a value, at the sizing price of 100."""
    state = with_settings(no_trade_band_weight=D(band), min_trade_value=D(least))
    assert trading._within_band(state, wanted(trade, flat=flat)) is kept


@pytest.mark.parametrize(
    ("held", "trade", "reduces"),
    [
        (0, 5, False),
        (5, 5, False),
        (5, -5, True),
        (-5, 5, True),
        (-5, 1, True),
        (5, 1, False),
        (-5, -5, False),
        (0, -5, False),
    ],
)
def test_what_makes_a_holding_smaller_reduces(held: int, trade: int, reduces: bool) -> None:
    assert trading._reduces(wanted(trade, held)) is reduces


# ── as an order it would be ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trade", "held", "side", "purpose", "limit", "closes"),
    [
        (7, 0, Side.BUY, Purpose.ENTRY, "101.20", False),
        (-7, 7, Side.SELL, Purpose.REDUCE, "98.81", True),
        (-6, 7, Side.SELL, Purpose.REDUCE, "98.81", False),
        (7, -7, Side.BUY, Purpose.REDUCE, "101.20", True),
    ],
)
def test_a_wanted_trade_is_judged_as_the_order_it_would_be(
    trade: int, held: int, side: Side, purpose: Purpose, limit: str, closes: bool
) -> None:
    """At a limit 20 basis points beyond the far side of the quote, on the grid at the nearer side."""
    found = trading.proposal_of(with_settings(), due(), wanted(trade, held), QUOTE)
    assert found == replace(
        proposal(side, abs(trade)),
        run_id="r@1",
        instrument=AAA,
        purpose=purpose,
        order_type=OrderType.LIMIT,
        limit_price=D(limit),
        at=START,
        tech=START,
        closes=closes,
    )


def test_without_a_capital_the_trade_is_all_there_is() -> None:
    """A flatten needs none."""
    assert trading.proposal_of(State(settings=SETTINGS), due(), wanted(-7, 7), QUOTE).equity == 700


@pytest.mark.parametrize(
    ("settings", "side", "quote", "stop", "price"),
    [
        ({}, Side.BUY, QUOTE, None, "101.20"),
        ({}, Side.SELL, QUOTE, None, "98.81"),
        ({"limit_offset_bps": D(-10)}, Side.BUY, QUOTE, None, "100.89"),
        ({"limit_from": "mid"}, Side.BUY, QUOTE, None, "100.20"),
        ({"limit_from": "mid"}, Side.SELL, QUOTE, None, "99.80"),
        ({"limit_from": "mid"}, Side.SELL, None, None, None),
        ({}, Side.BUY, None, None, None),
        ({}, Side.BUY, replace(QUOTE, ask=None), None, None),
        ({}, Side.SELL, replace(QUOTE, bid=None), None, None),
        ({}, Side.BUY, QUOTE, "103", "103.20"),  # as far beyond its stop
        ({}, Side.SELL, None, "97", "96.81"),
    ],
)
def test_where_a_limit_lies(
    settings: dict[str, Any], side: Side, quote: Quote | None, stop: str | None, price: str | None
) -> None:
    """Beyond the far side, the mid or its own stop; nowhere without any of them."""
    found = trading._limit(with_settings(**settings), AAA, side, quote, D(stop) if stop else None)
    assert found == (D(price) if price else None)


def test_a_flattens_limit_is_beyond_the_far_side_whatever_the_settings_say() -> None:
    """It is to fill."""
    state = with_settings(limit_from="mid")
    state.verbs[m.Verb.FLATTEN] = m.VerbSet(verb=m.Verb.FLATTEN, on=True, by="", reason="")
    assert trading._limit(state, AAA, Side.SELL, QUOTE, None) == D("98.81")


@pytest.mark.parametrize(
    ("side", "quote", "price"),
    [
        (Side.BUY, QUOTE, "101.51"),
        (Side.SELL, QUOTE, "98.50"),
        (Side.BUY, replace(QUOTE, ask=None), None),
        (Side.SELL, replace(QUOTE, bid=None), None),
        (Side.BUY, None, None),
    ],
)
def test_where_an_entry_is_triggered(side: Side, quote: Quote | None, price: str | None) -> None:
    """50 basis points beyond the far side of the quote, on the grid at the farther side."""
    assert trading._stop(with_settings(), AAA, side, quote) == (D(price) if price else None)


@pytest.mark.parametrize(
    ("settings", "purpose", "before_close", "found"),
    [
        ({}, Purpose.ENTRY, 3600, "LMT"),
        ({"order_type": "MKT"}, Purpose.REDUCE, 3600, "MKT"),
        ({"order_type": "STP"}, Purpose.ENTRY, 3600, "STP"),
        ({"order_type": "STP LMT"}, Purpose.REDUCE, 3600, "LMT"),  # it would wait for a price that may never come
        ({"order_type": "MOC"}, Purpose.ENTRY, 3600, "MOC"),
        ({"order_type": "LOC"}, Purpose.REDUCE, 60, "LMT"),  # the auction takes no more
        ({"at_close": "moc", "at_close_minutes": 30.0}, Purpose.ENTRY, 1801, "LMT"),
        ({"at_close": "moc", "at_close_minutes": 30.0}, Purpose.ENTRY, 1800, "MOC"),
        ({"at_close": "moc", "at_close_minutes": 30.0}, Purpose.ENTRY, 60, "LMT"),
        ({"at_close": "moc", "at_close_minutes": 30.0, "order_type": "STP"}, Purpose.ENTRY, 1800, "STP"),
        ({"at_close": "cancel", "at_close_minutes": 30.0}, Purpose.ENTRY, 1800, "LMT"),
    ],
)
def test_which_type_an_order_has(settings: dict[str, Any], purpose: Purpose, before_close: int, found: str) -> None:
    """The settings', but for what reduces, and for the close."""
    at = CLOSE - timedelta(seconds=before_close)
    assert trading._order_type(with_settings(**settings), due(at=at), purpose) is OrderType(found)


def test_a_flatten_closes_with_its_own_type() -> None:
    """The one that was named, or the settings'; no auction is waited for."""
    state = with_settings(order_type="STP", at_close="moc", flatten_order_type="LMT")
    for choice, found in (("MKT", OrderType.MARKET), ("", OrderType.LIMIT)):
        state.verbs[m.Verb.FLATTEN] = m.VerbSet(verb=m.Verb.FLATTEN, on=True, by="", reason="", choice=choice)
        assert trading._order_type(state, due(at=CLOSE - timedelta(minutes=12)), Purpose.REDUCE) is found


def test_a_stop_limit_entry_has_both_prices_and_what_reduces_has_one() -> None:
    """The limit lies beyond the stop; a plain stop has none."""
    for kind, prices in (("STP LMT", (D("101.51"), D("101.71"))), ("STP", (D("101.51"), None)), ("MKT", (None, None))):
        found = trading.proposal_of(with_settings(order_type=kind), due(), wanted(7), QUOTE)
        assert (found.stop_price, found.limit_price) == prices
    found = trading.proposal_of(with_settings(order_type="STP LMT"), due(), wanted(-7, 7), QUOTE)
    assert (found.stop_price, found.limit_price) == (None, D("98.81"))


@pytest.mark.parametrize(
    ("order_type", "setting", "tif"),
    [("LMT", "LMT", "GTC"), ("MOC", "LMT", "DAY"), ("LMT", "LOC", "DAY"), ("LOC", "LOC", "DAY")],
)
def test_what_is_for_an_auction_is_for_the_day(order_type: str, setting: str, tif: str) -> None:
    """Also where it would be one but for the cut-off."""
    state = with_settings(order_type=setting, tif="GTC")
    assert trading._tif(state, proposal(order_type=OrderType(order_type))) == tif


# ── made to fit ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fitted(state: State, one: Proposal) -> list[Any]:
    return list(trading._fit(state, one))


def test_each_cap_makes_it_smaller_in_turn_by_whole_lots() -> None:
    """50 wanted, 40 allowed by shares, 33 by value, in lots of 8; what closed does so no more. The cap itself fits."""
    state = with_settings(max_order_shares=D(40), max_order_value=D(4_200), lot_size=D(8), max_weight=D(9))
    state.settings = replace(state.settings, max_gross_exposure=D(9), max_net_exposure=D(9))
    *clamps, last = fitted(state, proposal(closes=True))
    assert [(one.check, one.wanted, one.allowed, one.observed, one.limit) for one in clamps] == [
        ("max_order_shares", 50, 40, 50, 40),
        ("max_order_value", 40, 32, 5_000, 4_200),
    ]
    assert (last.quantity, last.closes) == (32, False)
    (whole,) = fitted(state, proposal(quantity=32, closes=True))
    assert (whole.quantity, whole.closes) == (32, True)


def test_a_clamped_sale_has_the_sign_of_a_sale() -> None:
    clamp = Clamp(check="max_weight", wanted=D(50), allowed=D(40), observed=D(2), limit=D(1))
    figures = {"run_id": "r", "symbol": "AAA", "check": "max_weight", "observed": D(2), "limit": D(1)}
    assert trading._clamped("r", "AAA", clamp, -1) == m.TradeClamped(wanted=D(-50), allowed=D(-40), **figures)
    assert trading._clamped("r", "AAA", clamp) == m.TradeClamped(wanted=D(50), allowed=D(40), **figures)
    state = with_settings(max_order_shares=D(40), allow_short=True, check_shortable=False, max_weight=D(9))
    found = fitted(state, proposal(Side.SELL))[0]
    assert (found.wanted, found.allowed) == (-50, -40)


@pytest.mark.parametrize(("least", "refused"), [(40, False), (41, True)])
def test_what_a_cap_leaves_is_as_many_as_the_broker_takes(least: int, refused: bool) -> None:
    """40 allowed, where an order has to be for so many."""
    state = with_settings(max_order_shares=D(40), max_weight=D(9), max_order_value=None)
    found = fitted(state, proposal(instrument=Instrument(con_id=1, symbol="AAA", min_size=D(least))))
    assert [type(one).__name__ for one in found] == (["TradeRefused"] if refused else ["TradeClamped", "Proposal"])


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"min_order_size": D(40)}, False),
        ({"min_order_size": D(41)}, True),
        ({"min_order_value": D(4_000)}, False),
        ({"min_order_value": D(4_001)}, True),
        ({"lot_size": D(41)}, True),
    ],
)
def test_what_a_cap_leaves_must_be_worth_sending(settings: dict[str, Any], refused: bool) -> None:
    """In shares, in money at the sizing price of 100, in whole lots; else the refusal has the cap's figures."""
    state = with_settings(max_order_shares=D(40), max_weight=D(9), max_order_value=None, **settings)
    found = fitted(state, proposal())
    if refused:
        text = "AAA: max_order_shares 50.0000 would pass the limit 40"
        figures = {"check": "max_order_shares", "observed": "50.0000", "limit": "40", "text": text}
        assert found == [m.TradeRefused(run_id="rebalance@9", symbol="AAA", wanted=D(50), **figures)]
    else:
        assert [type(one).__name__ for one in found] == ["TradeClamped", "Proposal"]


@pytest.mark.parametrize(("kind", "sale", "waits"), [("LMT", True, True), ("MOC", True, False), ("LMT", False, False)])
def test_room_that_sells_under_way_will_make_is_waited_for(kind: str, sale: bool, waits: bool) -> None:
    """But not in an auction: there is no room before it. Where no sell works there is none to wait for."""
    state = with_settings(max_gross_exposure=D("0.05"), max_weight=D(9), min_order_value=D(5_000))
    if sale:
        works = order(1, 10, Side.SELL, con_id=2, symbol="BBB", purpose=Purpose.REDUCE)
        state.orders, state.live = {1: works}, {1: None}
        state = replace(state_of(works, held=0), settings=state.settings, equity=state.equity, sessions=SESSIONS)
    found = fitted(state, proposal(order_type=OrderType(kind)))
    last = found[-1]
    assert isinstance(last, m.TradeRefused) and last.check == "max_gross_exposure"
    text = "AAA: max_gross_exposure leaves room only once the sells under way have filled"
    assert ((last.limit, last.text) == (trading.WAITING, text)) is waits
    # Nothing is held of what is sold, so at worst its 10 at 105 are a short.
    assert last.observed == ("0.0730" if sale else "0.0625")
    assert last.wanted == 50 and len(found) == 1


# ── the order ───────────────────────────────────────────────────────────────────────────────────────────────────────


def intended(state: State, one: Proposal, **apart: Decimal) -> Order:
    """The order that a proposal becomes."""
    return next(fact.order for fact in trading._order(state, one, apart) if isinstance(fact, m.OrderIntended))


def test_an_order_is_all_that_was_judged_and_decided() -> None:
    """For the strategy that wants it, at the middle of the quote, in nobody's group and nobody's place."""
    world = World.ready(replace(SETTINGS, tif="GTC", outside_rth=True))
    world.targets(AAA="0.1")
    step = world.rebalance()
    (fact,) = of_kind(step.facts, m.OrderIntended)
    assert fact.order == Order(
        intent=1,
        ref="lw:k7q2:1",
        run_id="rebalance@1",
        con_id=1,
        symbol="AAA",
        side=Side.BUY,
        quantity=D(100),
        order_type=OrderType.LIMIT,
        limit_price=D("100.21"),
        stop_price=None,
        tif="GTC",
        account=ACCOUNT,
        mode="paper",
        purpose=Purpose.ENTRY,
        outside_rth=True,
        decision_price=D(100),
        allocations=(Allocation(strategy="trend", quantity=D(100)),),
        created_at=world.now,
    )


def test_an_entry_that_waits_for_its_price_has_it_and_is_decided_at_the_middle_of_the_market() -> None:
    """Its contract goes with it."""
    world = World.ready(replace(SETTINGS, order_type="STP LMT"))
    world.targets(AAA="0.1")
    step = world.rebalance(quotes=tuple(replace(one, bid=D("100.02"), ask=D("100.06")) for one in world.quotes()[:1]))
    (effect,) = of_kind(step.effects, m.SubmitOrder)
    made = effect.order
    assert (made.stop_price, made.limit_price, made.decision_price) == (D("100.57"), D("100.77"), D("100.04"))
    assert effect.instrument == world.state.instruments["AAA"]


def test_without_a_middle_of_the_market_the_sizing_price_is_the_decisions() -> None:
    """One side of the quote is missing, or all of it."""
    world = World.ready()
    for quote in (None, replace(QUOTE, bid=None)):
        one = proposal(quote=quote, at=world.now, tech=world.now)
        assert intended(world.state, one, trend=D(50)).decision_price == 100


def test_an_exit_joins_the_group_of_its_stop_and_an_entry_does_not() -> None:
    """What the one fills the broker takes from the other."""
    stop = order(1, 100, Side.SELL, purpose=Purpose.STOP, order_type=OrderType.STOP, limit_price=None, stop_price=D(95))
    stop = replace(stop, oca_group="lw:k7q2:1", perm_ids=(9001,), state=OrderState.WORKING)
    state = state_of(stop)
    state.settings = SETTINGS
    for purpose, side, group in ((Purpose.REDUCE, Side.SELL, "lw:k7q2:1"), (Purpose.ENTRY, Side.BUY, "")):
        one = proposal(side, purpose=purpose)
        assert intended(state, one).oca_group == group


def test_a_child_takes_its_parents_place() -> None:
    """The session's last order in this instrument, cancelled for its time: by one more replacement."""
    parent = order(
        4,
        10,
        created_at=START,
        state=OrderState.CANCELLED,
        cancel_asked=True,
        cancel_reason=TIMED_OUT,
        replacement=2,
    )
    world = World.ready()
    one = proposal(at=world.now, tech=world.now, session=SESSION)
    for reason, place in ((TIMED_OUT, (4, 3)), ("the target has turned", (None, 0))):
        state = state_of(replace(parent, cancel_reason=reason))
        made = intended(state, one)
        assert (made.replaces, made.replacement) == place


def test_an_open_order_of_somebody_else_is_none_of_these() -> None:
    """It works the other way and is not ours to cancel."""
    world = World.ready()
    world.finish(world.one(AAA="0.2"))
    sale = replace(world.order(1), intent=99, ref="", side=Side.BUY)
    world.take(open_order(sale, world.now, perm_id=777, client_id=0, order_id=0))
    world.targets(AAA="0.1")
    step = world.rebalance()
    assert of_kind(step.facts, m.OrderCancelAsked) == []


# ── one symbol beside another ───────────────────────────────────────────────────────────────────────────────────────


def test_a_single_share_is_bought_after_what_is_sold() -> None:
    """By size it is nothing, and a purchase all the same."""
    world = World.ready()
    world.finish(world.one(BBB="0.2"))
    world.wait(10)
    world.snapshot()
    orders = world.trade(AAA="0.001", BBB="0.1")
    assert [(one.symbol, one.side, one.quantity) for one in orders] == [
        ("BBB", Side.SELL, D(200)),
        ("AAA", Side.BUY, D(1)),
    ]


def test_each_that_waits_and_each_that_has_no_size_is_counted() -> None:
    """Two that have to end first; two that are held and have no price to be sized by."""
    world = World.ready()
    for one in world.trade(AAA="0.2", BBB="0.2"):
        world.acknowledge(one.intent)
        world.fill(one.intent, 50, str(one.limit_price))
    world.targets(AAA="0", BBB="0")
    (decided,) = of_kind(world.rebalance().facts, m.RebalanceDecided)
    assert (decided.refused, decided.waiting) == (2, 2)
    world = World.ready()
    for one in world.trade(AAA="0.2", BBB="0.2"):
        world.finish(one.intent, str(PRICES[one.symbol]))
    world.wait(10)
    world.snapshot()
    del world.prices["AAA"], world.prices["BBB"]
    world.targets(CCC="0.1")
    step = world.rebalance()
    (decided,) = of_kind(step.facts, m.RebalanceDecided)
    assert decided.refused == len(of_kind(step.facts, m.TradeRefused)) == 2


def test_what_a_flatten_can_not_close_yet_is_told() -> None:
    """Without a quote its limit lies nowhere: a person must know which shares stay."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.hear(m.ControlRequested, command="flatten", by="uid 1000")
    step = world.rebalance(quotes=())
    (refused,) = of_kind(step.facts, m.TradeRefused)
    assert (refused.check, refused.wanted) == ("quote", -100)
    assert [one.key for one in of_kind(step.effects, m.RaiseAlert)] == ["not_flattened"]


def test_a_weight_made_smaller_is_told_with_its_decision() -> None:
    """The clamp of a target bears the run it was made in."""
    world = World.ready()
    world.targets(AAA="0.5")
    clamps = of_kind(world.rebalance().facts, m.TradeClamped)
    assert {(one.run_id, one.symbol) for one in clamps} == {("rebalance@1", "AAA")} and clamps


def test_what_changes_hands_among_strategies_is_told_whole() -> None:
    """The instrument, the price it was sized at, the decision, and each one's shares; of one strategy there is none."""
    world = two()
    world.prices["AAA"] = D(110)
    aim(world, left={}, right={"AAA": "0.66"})
    world.wait(1)
    world.snapshot(cash=D(70_000))
    moves = (("left", D(-100)), ("right", D(100)))
    (moved,) = of_kind(world.rebalance().facts, m.PartsCrossed)
    assert replace(moved, moves=tuple(sorted(moved.moves))) == m.PartsCrossed(
        con_id=1, symbol="AAA", moves=moves, price=D(110), run_id=f"rebalance@{world.runs}"
    )


@pytest.mark.parametrize(
    ("changed", "quarantined", "waits"),
    [
        ({"ending": OrderState.FILLED, "reported": D(100)}, True, False),
        ({"ending": OrderState.FILLED, "reported": D(100)}, False, True),
        ({"state": OrderState.UNKNOWN}, True, False),
        ({"state": OrderState.UNKNOWN}, False, True),
        ({}, True, True),
    ],
)
def test_what_has_ended_and_is_never_told_is_waited_for_until_that_is_a_quarantine(
    changed: dict[str, Any], quarantined: bool, waits: bool
) -> None:
    """All of it must have ended, or be unknown; a quarantine of something that works is waited for."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    intent = world.one(AAA="0.2")
    world.acknowledge(intent)
    put_order(world.state, replace(world.order(intent), **changed))
    if quarantined:
        world.state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="untold", tech=world.now)
    world.targets(AAA="0")
    facts = world.rebalance().facts
    assert ("opposite_order" in {fact.check for fact in of_kind(facts, m.TradeRefused)}) is waits


@pytest.mark.parametrize(
    ("side", "purpose", "trade", "order_id", "is_asked"),
    [
        (Side.BUY, Purpose.ENTRY, -1, 5, True),
        (Side.BUY, Purpose.ENTRY, 1, 5, True),
        (Side.SELL, Purpose.STOP, -1, 5, False),  # it has been triggered: it sells what is held
        (Side.BUY, Purpose.STOP, 1, 5, False),
        (Side.SELL, Purpose.STOP, 1, 5, True),
        (Side.BUY, Purpose.ENTRY, -1, None, False),  # it was never sent
    ],
)
def test_what_is_in_the_way_is_asked_to_end_unless_it_ends_by_itself(
    side: Side, purpose: Purpose, trade: int, order_id: int | None, is_asked: bool
) -> None:
    """And unless there is nothing to cancel; two of them are named together."""
    against = [order(1, 10, side, purpose=purpose, order_id=order_id), order(2, 10, cancel_asked=True)]
    facts = list(trading._withdraw(state_of(*against), "r@1", wanted(trade), against))
    assert [fact.intent for fact in of_kind(facts, m.OrderCancelAsked)] == ([1] if is_asked else [])
    (refused,) = of_kind(facts, m.TradeRefused)
    assert refused.observed == ", ".join(one.ref for one in against)


def test_a_purchase_at_work_makes_no_room_to_wait_for() -> None:
    """The refusal is the cap's."""
    state = with_settings(max_gross_exposure=D("0.05"), max_weight=D(9), min_order_value=D(5_000))
    works = state_of(order(1, 10, con_id=2, symbol="BBB"), held=0)
    (refused,) = fitted(replace(works, settings=state.settings, equity=state.equity, sessions=SESSIONS), proposal())
    assert refused.limit == "0.05"


def test_a_short_sale_joins_no_group() -> None:
    """It opens, whatever stop rests on its side."""
    rests = order(
        1, 100, Side.SELL, purpose=Purpose.STOP, order_type=OrderType.STOP, limit_price=None, stop_price=D(95)
    )
    state = state_of(replace(rests, oca_group="lw:k7q2:1", perm_ids=(9001,), state=OrderState.WORKING))
    state.settings = SETTINGS
    assert intended(state, proposal(Side.SELL)).oca_group == ""


def test_that_a_quote_was_delayed_is_a_fact_of_the_order() -> None:
    """Beside the order that was decided on it."""
    world = World.ready(replace(SETTINGS, allow_delayed_data=True))
    world.targets(AAA="0.1")
    step = world.rebalance(quotes=tuple(replace(one, market_data_type=3) for one in world.quotes()))
    assert of_kind(step.facts, m.DelayedDataUsed) == [m.DelayedDataUsed(intent=1, symbol="AAA", market_data_type=3)]


def test_shortly_before_the_close_a_trade_is_one_for_its_auction() -> None:
    """At no price of its own."""
    state = with_settings(at_close="moc", at_close_minutes=30.0)
    found = trading.proposal_of(state, due(at=CLOSE - timedelta(minutes=20)), wanted(7), QUOTE)
    assert (found.order_type, found.limit_price, found.stop_price) == (OrderType.AT_CLOSE, None, None)

"""Each cap by itself: how much room it leaves, what it has seen, and where it has nothing to say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.quotes import Quote
from longwatch.domain.risk import caps
from longwatch.domain.risk.exposure import gross_and_net, worst_sides
from longwatch.domain.risk.proposal import Cap, Proposal
from longwatch.domain.state import State
from tests.domain.test_exposure import compared, order, state_of
from tests.domain.test_oca import exit_, member
from tests.domain.test_oca import state_of as grouped
from tests.domain.world import CLOSE, OPEN, SESSION, SETTINGS, START, judged

D = Decimal
BOTH = pytest.mark.parametrize("side", list(Side))
TICK = timedelta(microseconds=1)
QUOTE = Quote(con_id=1, symbol="AAA", bid=D(99), ask=D(101), bid_size=D(300), ask_size=D(500), at=START)


def proposal(side: Side = Side.BUY, quantity: int = 50, **fields: object) -> Proposal:
    """50 AAA at a limit of 125, sized at 100, of a capital of 100,000."""
    one = Proposal(
        run_id="rebalance@9",
        instrument=Instrument(con_id=1, symbol="AAA"),
        side=side,
        quantity=D(quantity),
        purpose=Purpose.ENTRY,
        price=D(100),
        equity=D(100_000),
        order_type=OrderType.LIMIT,
        limit_price=D(125),
        quote=QUOTE,
        session=SESSION,
        at=CLOSE,
        tech=CLOSE,
        closes=False,
    )
    return replace(one, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "stop", "ask", "worst"),
    [
        (125, None, 101, 125),
        (125, 130, 140, 125),
        (80, None, 101, 100),
        (0, None, 101, 101),
        (None, None, 101, 101),
        (None, None, 99, 100),
        (None, None, 0, 100),
        (None, None, None, 100),
        (None, 110, 101, 110),
        (None, 110, 112, 112),
        (None, 110, None, 110),
        (None, 90, None, 100),
    ],
)
def test_a_trade_is_worth_the_most_that_a_share_may_cost(
    limit: int | None, stop: int | None, ask: int | None, worst: int
) -> None:
    """Its limit whatever is quoted, or else the dearer of quote and stop, and no less than it was sized at."""
    one = proposal(
        limit_price=None if limit is None else D(limit),
        stop_price=None if stop is None else D(stop),
        quote=None if ask is None else replace(QUOTE, ask=D(ask)),
    )
    assert (one.worst_price, one.value) == (worst, 50 * worst)


def with_settings(state: State, **fields: object) -> State:
    state.settings = replace(SETTINGS, **fields)  # type: ignore[arg-type]
    return state


def cap(allowed: object, observed: object, limit: object) -> Cap:
    allowed, observed, limit = (D(str(one)) for one in (allowed, observed, limit))
    return Cap(allowed=allowed, observed=observed, limit=limit)


def test_an_orders_shares_and_value_are_capped_where_there_is_a_limit() -> None:
    state = with_settings(State(), max_order_shares=D(40), max_order_value=D(5_000))
    assert caps.cap_order_shares(state, proposal()) == cap(40, 50, 40)
    assert caps.cap_order_value(state, proposal()) == cap(40, 6250, 5000)
    with_settings(state, max_order_shares=None, max_order_value=None)
    assert caps.cap_order_shares(state, proposal()) is caps.cap_order_value(state, proposal()) is None


@BOTH
def test_a_position_is_capped_in_shares_and_weight_at_worst_with_the_trade(side: Side) -> None:
    """Held and ordered on that side already: 110 shares, 10 of them at 105."""
    state = with_settings(state_of(order(1, 10, side), held=side.sign * 100), max_position_size=D(130), max_weight=D(2))
    assert caps.cap_position_size(state, proposal(side)) == cap(20, 160, 130)
    found = caps.cap_weight(state, proposal(side))
    assert found == cap((200_000 - 11_050) / D(125), (11_050 + 6250) / D(100_000), 2)
    turned = with_settings(state_of(held=-side.sign * 100), max_position_size=D(130))
    assert caps.cap_position_size(turned, proposal(side)) == cap(230, -50, 130)


def test_gross_and_net_exposure_are_capped_by_what_was_worked_out_before_or_is_now() -> None:
    """The net one only where it is the tighter."""
    state = state_of(order(1, 10), held=100)
    state.book[2] = Holding(con_id=2, symbol="BBB", quantity=D(-40), average_cost=D(50))
    with_settings(state, max_gross_exposure=D(2), max_net_exposure=D(1))
    gross, net = D(11_050 + 2000), D(9_050)
    for one in (proposal(), proposal(exposure=(gross, net))):
        found = caps.cap_gross_exposure(state, one)
        assert found == cap((200_000 - gross) / D(125), (gross + 6250) / D(100_000), 2)
        found = caps.cap_net_exposure(state, one)
        assert found == cap((100_000 - net) / D(125), (net + 6250) / D(100_000), 1)
    assert caps.cap_gross_exposure(state, proposal(exposure=(D(0), D(0)))) == cap(1600, D(6250) / 100_000, 2)
    for net_limit, binds in ((D(2), False), (D("1.99"), True), (D(3), False)):
        with_settings(state, max_gross_exposure=D(2), max_net_exposure=net_limit)
        assert (caps.cap_net_exposure(state, proposal()) is not None) is binds


def test_the_exposure_of_a_proposal_is_worked_out_at_the_sizing_prices_and_its_own() -> None:
    """With the groups that its symbol is in, each instrument's larger side."""
    state = state_of(order(1, 10), held=100)
    state.book[2] = Holding(con_id=2, symbol="BBB", quantity=D(-40), average_cost=D(50))
    groups = (("both", ("AAA", "BBB", "ZZZ"), D("0.5")), ("other", ("BBB",), D("0.1")), ("own", ("AAA",), D("0.2")))
    with_settings(state, groups=groups)
    found = caps.with_exposure(state, proposal())
    assert found.exposure == gross_and_net(*worst_sides(state, {"AAA": D(100)})) == (13_050, 9_050)
    assert found.groups == (("both", D("0.5"), D(13_050)), ("own", D("0.2"), D(11_050)))
    assert replace(found, exposure=None, groups=()) == proposal()
    with_settings(state, groups=())
    assert caps.with_exposure(state, proposal()).groups == ()
    state.book[1] = replace(state.book[1], average_cost=D(9))
    state.equity = m.EquitySet(session=SESSION.date, equity=D(1), prices=(("BBB", D(60)),))
    assert caps.with_exposure(state, proposal()).exposure == (13_050 + 400, 11_050 - 2400)
    state.equity = m.EquitySet(session=SESSION.date, equity=D(1), prices=(("AAA", D(110)),))
    assert caps.with_exposure(state, proposal()).exposure == (12_100 + 2000, 12_100 - 2000)


def test_of_several_groups_the_one_with_the_least_room_caps() -> None:
    groups = (("a", D("0.5"), D(10_000)), ("b", D("0.2"), D(5_000)), ("c", D("0.3"), D(2_500)))
    found = caps.cap_group_weight(State(), proposal(groups=groups))
    assert found == cap(15_000 / D(125), (5_000 + 6250) / D(100_000), "0.2")
    assert caps.cap_group_weight(State(), proposal()) is None


def test_a_sessions_orders_are_a_part_of_the_average_volume() -> None:
    """Those of before it are not; without a session, those of a day."""
    rows = [
        order(1, 5, created_at=OPEN - TICK),
        order(2, 10, created_at=OPEN),
        order(3, 20, created_at=OPEN, state=OrderState.CANCELLED, filled=D(7)),
        order(4, 40, created_at=OPEN, con_id=2),
        order(5, 80, side=Side.SELL, created_at=START, filled=D(30)),
    ]
    state = with_settings(state_of(*rows), max_volume_fraction=D("0.1"))
    state.judged["AAA"] = replace(judged("AAA"), average_volume=D(2000))
    assert caps.ordered_since(state, 1, OPEN) == 10 + 7 + 80
    assert caps.cap_volume_fraction(state, proposal()) == cap(200 - 97, (97 + 50) / D(2000), "0.1")
    day = {"session": None, "at": OPEN + timedelta(days=1)}
    assert caps.cap_volume_fraction(state, proposal(**day)) == cap(200 - 97, (97 + 50) / D(2000), "0.1")
    day["at"] = OPEN + timedelta(days=1) - TICK
    assert caps.cap_volume_fraction(state, proposal(**day)) == cap(200 - 102, (102 + 50) / D(2000), "0.1")
    for volume in (None, D(0)):
        state.judged["AAA"] = replace(judged("AAA"), average_volume=volume)
        assert caps.cap_volume_fraction(state, proposal()) is None
    state.judged.clear()
    assert caps.cap_volume_fraction(state, proposal()) is None
    with_settings(state, max_volume_fraction=None).judged["AAA"] = judged("AAA")
    assert caps.cap_volume_fraction(state, proposal()) is None


@pytest.mark.parametrize(("side", "size"), [(Side.BUY, 500), (Side.SELL, 300)])
def test_what_is_displayed_on_the_far_side_caps_what_is_ordered_on_one(side: Side, size: int) -> None:
    other = Side.SELL if side is Side.BUY else Side.BUY
    rows = [order(1, 10, side), order(2, 20, side), order(3, 40, other), order(4, 80, side, con_id=2)]
    state = with_settings(state_of(*rows), max_displayed_fraction=D("0.5"))
    found = caps.cap_displayed_fraction(state, proposal(side))
    assert found == cap(D(size) / 2 - 30, D(80) / size, "0.5")
    assert caps.displayed(proposal(side)) == size
    empty = replace(QUOTE, **{"ask_size" if side is Side.BUY else "bid_size": D(0)})  # type: ignore[arg-type]
    for quote in (None, empty):
        assert caps.cap_displayed_fraction(state, proposal(side, quote=quote)) is None
    with_settings(state, max_displayed_fraction=None)
    assert caps.cap_displayed_fraction(state, proposal(side)) is None


@BOTH
def test_a_reduction_turns_nothing_round_with_those_under_way(side: Side) -> None:
    """Neither our position nor, by what its last reading showed, the account's."""
    other = Side.SELL if side is Side.BUY else Side.BUY
    rows = [order(1, 10, side), order(2, 20, other), order(3, 40, side, con_id=2)]
    state = state_of(*rows, held=-side.sign * 100)
    reduction = proposal(side, purpose=Purpose.REDUCE)
    assert caps.cap_reversal(state, reduction) == cap(90, 60, 100)
    assert caps.cap_reversal(state, proposal(side)) is None
    state.account_positions[1] = ("AAA", -side.sign * D(70))
    compared(state, side.sign * 30)
    assert caps.cap_reversal(state, reduction) == cap(60, 60, 70)


def test_the_stop_whose_group_a_reduction_enters_takes_no_room_from_it() -> None:
    """Another stop does, and an exit that is in the group already."""
    sale = proposal(Side.SELL, purpose=Purpose.REDUCE)
    assert caps.cap_reversal(grouped(member()), sale) == cap(60, 50, 60)
    assert caps.cap_reversal(grouped(member(cancel_asked=True)), sale) == cap(0, 110, 60)
    assert caps.cap_reversal(grouped(member(), exit_(quantity=20)), sale) == cap(40, 70, 60)


def test_without_leave_nothing_is_sold_that_is_not_held() -> None:
    state = with_settings(State(), allow_short=False)
    assert caps.cap_long_only(state, proposal(Side.SELL)) == cap(0, -50, 0)
    assert caps.cap_long_only(state, proposal()) is None
    assert caps.cap_long_only(state, proposal(Side.SELL, purpose=Purpose.REDUCE)) is None
    assert caps.cap_long_only(with_settings(state, allow_short=True), proposal(Side.SELL)) is None

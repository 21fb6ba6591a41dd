"""What an account's means come to, figure by figure: which orders and fills use them up, and which do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.account import AccountFigures
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.risk import day_trades, means
from longwatch.domain.risk.exposure import heard_lately
from longwatch.domain.risk.proposal import Refusal
from longwatch.domain.sessions import EXCHANGE_ZONE
from longwatch.domain.state import Fill, State
from tests.domain.test_caps import QUOTE, cap, proposal
from tests.domain.test_exposure import foreign, order, state_of
from tests.domain.test_means import CASH_ACCOUNT, small
from tests.domain.world import DAY, EQUITY, MARGIN_ACCOUNT, SETTINGS, START, judged

D = Decimal
SHORT = proposal(Side.SELL, quote=replace(QUOTE, shortable=D(70)))


def read(
    *orders: Order, figures: AccountFigures | None = MARGIN_ACCOUNT, fills: Iterable[Fill] = (), **settings: object
) -> State:
    """An account read at START, whose figures were asked for then."""
    state = state_of(*orders)
    state.settings = replace(SETTINGS, **{"margin_fraction": D("0.5"), **settings})  # type: ignore[arg-type]
    asked = figures and replace(figures, asked_at=START)
    state.valued = m.AccountValued(net_liquidation=EQUITY, cash=D(90_000), tech=START, figures=asked)
    for fill in fills:
        state.fills[fill.exec_id] = fill
    return state


def fill(number: int, quantity: int, at: datetime = START, con_id: int = 1, price: str = "10") -> Fill:
    names = {1: "AAA", 2: "BBB"}
    return Fill(
        exec_id=f"{number:04x}.01",
        intent=None,
        con_id=con_id,
        symbol=names[con_id],
        quantity=D(quantity),
        price=D(price),
        executed_at=at,
        tech=at,
    )


def exit_(con_id: int = 1, side: Side = Side.SELL) -> means.Proposal:
    """To close what is held of AAA, or of another."""
    instrument = replace(proposal().instrument, con_id=con_id)
    return proposal(side, purpose=Purpose.REDUCE, instrument=instrument, at=START, tech=START)


# ── cash ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_account_that_was_never_read_has_no_figures() -> None:
    """Nor any means to be bound by."""
    assert means.figures_of(State()) is None
    assert means.settled_and_spent(State()) is means.liquidity_bound(State()) is None
    assert means.check_exchange_rate(State(), proposal()) is day_trades.check_day_trades(State(), proposal()) is None


def test_settled_cash_is_spent_by_live_purchases_and_those_not_read_yet() -> None:
    """10 at a limit of 105, 7 of others' at 100, a share and five bought since: 1810 of 100,000; sales pay nothing."""
    orders = (order(1, 10), order(2, 20, Side.SELL))
    fills = (fill(1, 1), fill(2, 5), fill(3, -100))
    state = read(*orders, figures=CASH_ACCOUNT, fills=fills)
    state.foreign_orders = {77: foreign(77, 7), 78: foreign(78, 9, Side.SELL)}
    state.judged["AAA"] = judged("AAA")
    spent = 1050 + 700 + 10 + 50
    assert means.settled_and_spent(state) == (EQUITY, spent)
    assert means.cap_settled_cash(state, proposal()) == cap((EQUITY - spent) / 125, spent + 6250, EQUITY)
    assert means.cap_settled_cash(state, proposal(Side.SELL)) is None
    state.settings = replace(state.settings, spend_unsettled=True)
    assert means.settled_and_spent(state) == (90_000, spent)


def test_a_cash_account_sells_nothing_short_and_buys() -> None:
    """Every share of a short sale is one too many."""
    state = read(figures=CASH_ACCOUNT)
    assert means.cap_cash_short(state, proposal(Side.SELL, 50)) == cap(0, -50, 0)
    assert means.cap_cash_short(state, proposal(Side.BUY, 50)) is None
    assert means.cap_cash_short(read(), proposal(Side.SELL, 50)) is None


def test_an_order_of_others_counts_at_the_sizing_price_or_the_last_one_known() -> None:
    """At the price of the last decision; without one at the last close, or at what is held was bought for."""
    state = read(figures=CASH_ACCOUNT)
    state.foreign_orders = {77: foreign(77, 7)}
    assert means.settled_and_spent(state) == (EQUITY, 7 * 90)
    state.judged["AAA"] = judged("AAA")
    assert means.settled_and_spent(state) == (EQUITY, 7 * 100)
    state.equity = m.EquitySet(session=DAY, equity=EQUITY, prices=(("AAA", D(110)),))
    assert means.settled_and_spent(state) == (EQUITY, 7 * 110)


# ── margin ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_entries_bind_margin_on_either_side_ours_and_others_and_so_do_fills_not_read_yet() -> None:
    """Half of 10 at 105, of 20 sold short at 105, of others' 7 and 9 at 100, of 5 bought and 2 sold at 10."""
    orders = (order(1, 10), order(2, 20, Side.SELL), order(3, 30, Side.SELL, purpose=Purpose.REDUCE))
    state = read(*orders, fills=(fill(1, 5), fill(2, -2)), min_excess_liquidity=D(1_000))
    state.judged["AAA"] = judged("AAA")
    state.foreign_orders = {77: foreign(77, 7), 78: foreign(78, 9, Side.SELL)}
    bound = (1050 + 2100 + 700 + 900 + 50 + 20) / D(2)
    assert means.liquidity_bound(state) == (99_000, bound)
    room = (99_000 - bound) / D("0.5") / 125
    assert means.cap_excess_liquidity(state, proposal()) == cap(room, bound + 3125, 99_000)


@pytest.mark.parametrize(
    ("figures", "fraction"),
    [
        (MARGIN_ACCOUNT, D(0)),  # nothing is taken to bind margin
        (replace(MARGIN_ACCOUNT, excess_liquidity=None), D("0.5")),
        (CASH_ACCOUNT, D("0.5")),
        (None, D("0.5")),
    ],
)
def test_where_no_margin_is_reckoned_with_none_is_capped(figures: AccountFigures | None, fraction: Decimal) -> None:
    """Another check says where the figure is missing."""
    state = read(figures=figures, margin_fraction=fraction)
    assert means.liquidity_bound(state) is means.cap_excess_liquidity(state, proposal()) is None


def test_fills_count_until_the_figures_were_asked_for_after_them() -> None:
    """Five seconds late at most; where nobody knows when they were asked for, every fill counts."""
    late = START - means.BEHIND
    state = read(fills=[fill(1, 4, late - timedelta(seconds=1)), fill(2, 2, late), fill(3, 1)])
    figures = means.figures_of(state)
    assert figures is not None
    assert [one.exec_id for one in means.unread_fills(state, figures)] == ["0003.01", "0002.01"]
    assert len(list(means.unread_fills(state, replace(figures, asked_at=None)))) == 3


@pytest.mark.parametrize(
    ("name", "quantity", "is_told"),
    [
        ("1.02", 0, False),
        ("1.02", 5, False),
        ("busted:1.01", 0, False),
        ("1.01", 5, True),
        ("x:1.2", 5, True),
        ("00025b46.63f8a1c2.01.02", 5, False),
        ("00025b46.63f8a1c2.01.01", 5, True),
    ],
)
@pytest.mark.parametrize("figures", [MARGIN_ACCOUNT, CASH_ACCOUNT])
def test_a_fill_that_is_corrected_or_taken_back_holds_entries_until_the_figures_are_told_anew(
    name: str, quantity: int, is_told: bool, figures: AccountFigures
) -> None:
    """A sale that was none binds margin again, a larger purchase has cost more: by how much, no fill says."""
    revised = replace(fill(1, quantity), exec_id=name)
    state = read(fills=[revised], figures=figures)
    refusal = means.check_means_known(state, proposal())
    assert (refusal is None) == is_told
    if refusal is not None:
        wanted = "settled cash" if figures is CASH_ACCOUNT else "excess liquidity"
        text = f"AAA: since the account's {wanted} was told, a fill was revised"
        assert refusal == Refusal(check="means_known", observed="of before a correction", limit=wanted, text=text)
    rule = means.cap_settled_cash if figures is CASH_ACCOUNT else means.cap_excess_liquidity
    found = rule(state, proposal())
    assert found is not None and (found.allowed > 0) == is_told
    late = replace(revised, tech=START - means.BEHIND - timedelta(seconds=1))
    assert means.check_means_known(read(fills=[late], figures=figures), proposal()) is None


# ── shares to borrow ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_can_be_borrowed_is_used_up_by_live_short_sales_alone() -> None:
    """20 are on their way; an exit's 30 and a purchase's 10 are no short sales."""
    orders = (order(1, 10), order(2, 20, Side.SELL), order(3, 30, Side.SELL, purpose=Purpose.REDUCE))
    assert means.cap_shortable(read(*orders), SHORT) == cap(50, 70, 70)


def test_where_the_broker_no_longer_tells_what_can_be_borrowed_nothing_more_leaves() -> None:
    """It was told when the order was decided on, and a new connection has told prices alone."""
    assert SHORT.quote is not None
    assert means.cap_shortable(read(), replace(SHORT, quote=replace(SHORT.quote, shortable=None))) == cap(0, 50, 0)


@pytest.mark.parametrize(
    ("given", "figures", "checks"),
    [
        (replace(SHORT, side=Side.BUY), MARGIN_ACCOUNT, True),
        (replace(SHORT, purpose=Purpose.REDUCE), MARGIN_ACCOUNT, True),
        (SHORT, None, True),
        (SHORT, MARGIN_ACCOUNT, False),
        (replace(SHORT, quote=None), MARGIN_ACCOUNT, True),
    ],
)
def test_only_a_short_sale_in_a_read_account_is_capped_by_what_can_be_borrowed(
    given: means.Proposal, figures: AccountFigures | None, checks: bool
) -> None:
    """A purchase and an exit need none, a mock account lends without end, and the settings may not ask."""
    assert means.cap_shortable(read(figures=figures, check_shortable=checks), given) is None


# ── day trades ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("quantity", "side"), [(1, Side.SELL), (-1, Side.BUY)])
def test_what_was_opened_today_is_not_closed_today_by_either_side(quantity: int, side: Side) -> None:
    """A single share bought is not sold, one sold short is not bought back; more of it is no day trade."""
    state = read(figures=small(0), fills=[fill(1, quantity)])
    assert day_trades.check_day_trades(state, exit_(side=side)) is not None
    other = Side.BUY if side is Side.SELL else Side.SELL
    assert day_trades.check_day_trades(state, exit_(side=other)) is None
    assert day_trades.check_day_trades(state, exit_(2, side)) is None


@pytest.mark.parametrize("late", [fill(3, 5, START - timedelta(days=1)), fill(3, 5, START - timedelta(days=1), 2)])
def test_what_is_heard_late_of_another_day_hides_no_purchase_of_today(late: Fill) -> None:
    """A correction of yesterday's trade, or a row told late, comes after today's in what was heard; not in time."""
    state = read(figures=small(0), fills=[fill(1, 5), replace(late, tech=START)])
    assert day_trades.check_day_trades(state, exit_()) is not None
    assert day_trades.check_day_trades(read(figures=small(0), fills=[replace(late, tech=START)]), exit_()) is None


def test_a_day_at_the_exchange_begins_at_its_midnight() -> None:
    """In New York, whatever the date is in UTC; what was bought at the very midnight is of the day."""
    midnight = datetime.combine(DAY, time(), tzinfo=EXCHANGE_ZONE)
    for at, passes in ((midnight, False), (midnight - timedelta(microseconds=1), True)):
        state = read(figures=small(0), fills=[fill(1, 5, at)])
        assert (day_trades.check_day_trades(state, exit_()) is None) is passes


@pytest.mark.parametrize("side", list(Side))
def test_what_was_taken_back_has_opened_nothing(side: Side) -> None:
    """The exchange has undone today's purchase: what is held was held before."""
    undone = replace(fill(1, 0), exec_id="busted:0001.01")
    assert day_trades.check_day_trades(read(figures=small(0), fills=[undone]), exit_(side=side)) is None


def test_only_what_was_heard_in_the_last_two_days_is_looked_through() -> None:
    """Nothing of today was heard before: a year of fills is not walked for it."""
    days = [fill(number, 1, START - timedelta(days=number)) for number in (3, 2, 1, 0)]
    assert [one.exec_id for one in heard_lately(read(fills=days))] == ["0000.01", "0001.01", "0002.01"]
    assert list(heard_lately(State())) == []


def test_what_was_sold_of_yesterdays_is_no_day_trade_for_a_correction_of_its_purchase() -> None:
    """The purchase of BBB is told anew today, and BBB was sold today: the day trade left is there for AAA."""
    bought = replace(fill(3, 5, START - timedelta(days=1), con_id=2), tech=START)
    today = [fill(1, 5, START - timedelta(minutes=1)), fill(2, -5, con_id=2), bought]
    assert day_trades.check_day_trades(read(figures=small(1), fills=today), exit_()) is None


def test_a_purchase_that_was_taken_back_uses_no_day_trade_up() -> None:
    """BBB was bought twice today, and one of the two is undone: nothing of it was sold, so AAA may go."""
    undone = replace(fill(3, 0, con_id=2), exec_id="busted:0003.01")
    today = [fill(1, 5, START - timedelta(minutes=1)), fill(2, 5, con_id=2), undone]
    assert day_trades.check_day_trades(read(figures=small(1), fills=today), exit_()) is None
    short = [fill(1, 5, START - timedelta(minutes=1)), fill(2, -5, con_id=2), undone]
    assert day_trades.check_day_trades(read(figures=small(1), fills=short), exit_()) is None


@pytest.mark.parametrize(("earlier", "is_used"), [(timedelta(0), True), (timedelta(microseconds=1), False)])
def test_a_day_trade_is_of_the_exchanges_day_from_its_midnight_on(earlier: timedelta, is_used: bool) -> None:
    """BBB was bought and sold at that very instant, and the figures do not show it yet; or both were the day before."""
    at = datetime.combine(DAY, time(), tzinfo=EXCHANGE_ZONE) - earlier
    both = [replace(fill(number, shares, at, con_id=2), tech=START) for number, shares in ((2, 5), (3, -5))]
    state = read(figures=small(1), fills=[fill(1, 5, START - timedelta(minutes=1)), *both])
    assert (day_trades.check_day_trades(state, exit_()) is not None) is is_used


def test_an_entry_at_work_may_have_opened_it_by_now() -> None:
    """Held from before, and a purchase of more works: to sell now may be a day trade. An exit at work opens nothing."""
    state = read(order(1, 10), figures=small(0))
    assert day_trades.check_day_trades(state, exit_()) is not None
    assert day_trades.check_day_trades(state, exit_(side=Side.BUY)) is None
    assert day_trades.check_day_trades(state, exit_(2)) is None
    state = read(order(1, 10, Side.BUY, purpose=Purpose.REDUCE), figures=small(0))
    assert day_trades.check_day_trades(state, exit_()) is None


def test_day_trades_made_since_the_figures_were_asked_for_are_used_up() -> None:
    """BBB was bought and sold since, or sold short and bought back: of one day trade none is left for AAA.

    What was held from before and sold since is none, unless a purchase of more works.
    """
    entry = order(1, 10, con_id=2, symbol="BBB")
    for first, second, orders, left in (
        (1, -1, (), False),
        (-1, 1, (), False),
        (1, 1, (), True),
        (-1, -1, (), True),
        (-1, -1, (entry,), False),
        (1, 1, (replace(entry, side=Side.SELL),), False),
    ):
        today = [fill(1, 5, START - timedelta(minutes=1)), fill(2, first, con_id=2), fill(3, second, con_id=2)]
        assert (day_trades.check_day_trades(read(*orders, figures=small(1), fills=today), exit_()) is None) is left


@pytest.mark.parametrize(
    ("fields", "is_closing"),
    [
        ({"purpose": Purpose.ENTRY}, False),
        ({"purpose": Purpose.REDUCE}, True),
        ({"purpose": Purpose.STOP}, False),
        ({"purpose": Purpose.PROFIT}, False),
        ({"purpose": Purpose.STOP, "filled": D(1)}, True),
        ({"purpose": Purpose.STOP, "reported": D(1)}, True),
    ],
)
def test_what_rests_beside_a_holding_closes_it_once_it_has_begun_to_trade(
    fields: dict[str, object], is_closing: bool
) -> None:
    """By an execution, or by the broker's word alone."""
    assert day_trades._is_closing(order(1, 10, Side.SELL, **fields)) is is_closing


# ── another currency ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("base", "age", "passes"), [("EUR", 900, True), ("EUR", 901, False), ("", 901, True)])
def test_a_rate_is_fresh_up_to_its_greatest_age_and_needed_in_another_currency_alone(
    base: str, age: int, passes: bool
) -> None:
    """Where no currency was told there is nothing to convert."""
    state = read(figures=replace(MARGIN_ACCOUNT, base_currency=base), max_rate_age_seconds=900.0)
    assert (means.check_exchange_rate(state, proposal(tech=START + timedelta(seconds=age))) is None) is passes

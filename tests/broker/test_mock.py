"""The mock exchange and broker: exact books, IB's order of events, the port's promises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.broker.exchange import FixedCommission, MockExchange
from longwatch.broker.matching import Moment, Range
from longwatch.broker.mock import MockBroker, mock_instrument
from longwatch.clock import SteppedClock
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import OrderType
from longwatch.domain.quotes import Quote
from longwatch.errors import DataError
from longwatch.simulation.loop import run
from tests.broker.bench import START, Inbox, order

T = TypeVar("T")
NOW = Moment(at=START, tech=START, session=START.date())
AAPL, MSFT = mock_instrument("AAPL"), mock_instrument("MSFT")


def quote(bid: str, ask: str, instrument: Instrument = AAPL) -> Quote:
    return Quote(con_id=instrument.con_id, symbol=instrument.symbol, bid=Decimal(bid), ask=Decimal(ask), at=START)


def exchange(**changed: object) -> MockExchange:
    return MockExchange(**{"cash": Decimal(100_000), **changed})  # type: ignore[arg-type]


def fills(events: list[m.Event]) -> list[m.ExecutionSeen]:
    return [event for event in events if isinstance(event, m.ExecutionSeen)]


# ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("side", "terms", "slippage", "price"),
    [
        (Side.BUY, {}, "0", "10.02"),
        (Side.SELL, {}, "0", "10.00"),
        (Side.BUY, {}, "5", "10.03"),
        (Side.SELL, {}, "5", "9.99"),
        (Side.BUY, {"order_type": OrderType.LIMIT, "limit_price": Decimal("10.02")}, "5", "10.02"),
        (Side.BUY, {"order_type": OrderType.LIMIT, "limit_price": Decimal("10.01")}, "0", None),
        (Side.SELL, {"order_type": OrderType.LIMIT, "limit_price": Decimal("10.00")}, "0", "10.00"),
        (Side.SELL, {"order_type": OrderType.LIMIT, "limit_price": Decimal("10.01")}, "0", None),
        (Side.SELL, {"order_type": OrderType.STOP, "stop_price": Decimal("10.00")}, "0", "10.00"),
        (Side.SELL, {"order_type": OrderType.STOP, "stop_price": Decimal("9.99")}, "0", None),
        (Side.BUY, {"order_type": OrderType.STOP, "stop_price": Decimal("10.02")}, "0", "10.02"),
        (Side.BUY, {"order_type": OrderType.STOP, "stop_price": Decimal("10.03")}, "0", None),
    ],
)
def test_an_order_fills_at_its_side_or_rests(
    side: Side, terms: dict[str, object], slippage: str, price: str | None
) -> None:
    """Buys at the offer, sells at the bid, slippage against us onto the grid, never past a limit; stops wait."""
    market = exchange(slippage_bps=Decimal(slippage))
    effect = order(instrument=AAPL, side=side, **terms)
    events = market.fill(effect.order, quote("10.00", "10.02"), NOW, AAPL)
    assert [str(fill.price) for fill in fills(events)] == ([] if price is None else [price])
    assert len(market.resting) == (price is None)


def test_a_resting_order_fills_when_its_price_comes() -> None:
    """New quotes are matched against what rests, of the same instrument only."""
    market = exchange()
    effect = order(instrument=AAPL, order_type=OrderType.LIMIT, limit_price=Decimal("9.50"))
    market.fill(effect.order, quote("10.00", "10.02"), NOW, AAPL)
    assert market.match([quote("1.00", "1.02", MSFT), quote("9.51", "9.53")], NOW) == []
    (fill,) = fills(market.match([quote("9.40", "9.42")], NOW))
    assert (fill.price, fill.order_id) == (Decimal("9.42"), 100)
    assert market.resting == {}


def test_a_triggered_stop_stays_triggered_and_says_so() -> None:
    """A stop shows PreSubmitted and `trigger` while it waits, and is a market order once touched."""
    market = exchange()
    effect = order(instrument=AAPL, side=Side.SELL, order_type=OrderType.STOP, stop_price=Decimal("9.00"))
    shown = market.fill(effect.order, quote("10.00", "10.02"), NOW, AAPL)
    status = [event for event in shown if isinstance(event, m.OrderStatusSeen)]
    assert [(each.status, each.why_held) for each in status] == [("PreSubmitted", "trigger")]
    (fill,) = fills(market.match([quote("8.90", "8.92")], NOW))
    assert fill.price == Decimal("8.90")


B, S = Side.BUY, Side.SELL
LMT, STP, STP_LMT = OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT


@pytest.mark.parametrize(
    ("side", "kind", "stop", "limit", "price"),
    [
        (B, LMT, None, "95.01", "95.01"),
        (B, LMT, None, "95.00", None),
        (B, LMT, None, "101", "100"),
        (S, LMT, None, "104.99", "104.99"),
        (S, LMT, None, "105.00", None),
        (B, STP, "104", None, "104"),
        (B, STP, "105", None, "105"),
        (B, STP, "105.01", None, None),
        (B, STP, "99", None, "100"),
        (S, STP, "96", None, "96"),
        (S, STP, "94.99", None, None),
        (S, STP, "101", None, "100"),
        (B, STP_LMT, "104", "104.20", "104"),
        (B, STP_LMT, "104", "103", None),
        (B, STP_LMT, "99", "99.50", "99.50"),
        (B, STP_LMT, "99", "95.00", None),
        (S, STP_LMT, "96", "95.80", "96"),
    ],
)
def test_a_days_range_fills_only_what_nobody_can_deny(
    side: Side, kind: OrderType, stop: str | None, limit: str | None, price: str | None
) -> None:
    """From 100 up to 105 and down to 95: a limit is traded through and not merely touched, a stop is paid at its price
    or at an opening beyond it; what a stop-limit could only have had before it was triggered it has not had."""
    terms = {"order_type": kind, "stop_price": stop and Decimal(stop), "limit_price": limit and Decimal(limit)}
    market = exchange()
    market.fill(order(instrument=AAPL, side=side, **terms).order, None, NOW, AAPL)
    day = Range(open=Decimal(100), high=Decimal(105), low=Decimal(95))
    said = fills(market.trade_through(lambda _: day, NOW))
    assert [one.price for one in said] == ([] if price is None else [Decimal(price)])
    assert bool(market.resting) == (price is None)


def test_slippage_makes_a_stop_dearer_and_never_passes_a_limit() -> None:
    """Ten basis points against us, onto the grid."""
    for kind, limit, price in ((STP, None, "104.11"), (STP_LMT, Decimal("104.05"), "104.05")):
        market = exchange(slippage_bps=Decimal(10))
        terms = {"order_type": kind, "stop_price": Decimal(104), "limit_price": limit}
        market.fill(order(instrument=AAPL, side=B, **terms).order, None, NOW, AAPL)
        day = Range(open=Decimal(100), high=Decimal(105), low=Decimal(95))
        (one,) = fills(market.trade_through(lambda _, day=day: day, NOW))
        assert one.price == Decimal(price)


@pytest.mark.parametrize(
    ("kind", "limit", "price"),
    [
        (OrderType.AT_CLOSE, None, "10.01"),
        (OrderType.LIMIT_AT_CLOSE, "10.01", "10.01"),
        (OrderType.LIMIT_AT_CLOSE, "10.00", None),
    ],
)
def test_what_is_for_the_auction_fills_there_and_nowhere_else(
    kind: OrderType, limit: str | None, price: str | None
) -> None:
    """Not at a quote, not in the day's range; at the auction's one price, where its limit allows that."""
    market = exchange()
    effect = order(instrument=AAPL, order_type=kind, limit_price=limit and Decimal(limit))
    assert fills(market.fill(effect.order, quote("9.00", "9.01"), NOW, AAPL)) == []
    day = Range(open=Decimal(9), high=Decimal(11), low=Decimal(8))
    assert market.trade_through(lambda _: day, NOW) == []
    said = fills(market.auction({AAPL.con_id: Decimal("10.01")}, NOW))
    assert [str(one.price) for one in said] == ([] if price is None else [price])


def test_a_resting_order_is_modified_under_its_id_and_an_ended_one_is_not() -> None:
    """Shown with its new terms, filled by them; too late is 104."""
    market = exchange()
    effect = order(instrument=AAPL, order_type=LMT, limit_price=Decimal("9.00"))
    market.fill(effect.order, quote("10.00", "10.02"), NOW, AAPL)
    wanted = replace(effect.order, limit_price=Decimal("10.05"), quantity=Decimal(7))
    said = market.modify(wanted, quote("10.00", "10.02"), NOW)
    (shown, *_) = [one for one in said if isinstance(one, m.OpenOrderSeen)]
    assert (shown.order_id, shown.quantity, shown.limit_price) == (effect.order.order_id, 7, Decimal("10.05"))
    assert [(one.quantity, one.price) for one in fills(said)] == [(7, Decimal("10.02"))]
    (late,) = market.modify(wanted, None, NOW)
    assert isinstance(late, m.OrderErrorSeen) and (late.code, late.verdict) == (104, "unchanged")


def test_fills_of_another_run_are_repeated() -> None:
    """A price given for a session and symbol is filled at as it is: no quote, no slippage."""
    again = {(START.date(), "AAPL"): Decimal("7.77")}
    market = exchange(replayed=again, slippage_bps=Decimal(50))
    (fill,) = fills(market.fill(order(instrument=AAPL).order, quote("10.00", "10.02"), NOW, AAPL))
    assert fill.price == Decimal("7.77")
    later = Moment(at=NOW.at, tech=NOW.tech, session=NOW.session + timedelta(days=1))
    (other,) = fills(market.fill(order(2, order_id=101, instrument=AAPL).order, quote("10", "10"), later, AAPL))
    assert other.price > 10


@pytest.mark.parametrize(
    ("quantity", "price", "commission"),
    [("100", "50", "1.00"), ("1000", "50", "5.00"), ("1", "50", "0.50"), ("10", "1", "0.10"), ("201", "50", "1.01")],
)
def test_the_commission_is_ibs_fixed_schedule(quantity: str, price: str, commission: str) -> None:
    """Half a cent a share, at least a dollar, at most one per cent of the value."""
    assert FixedCommission().of(Decimal(quantity), Decimal(price)) == Decimal(commission)


# ── the books ───────────────────────────────────────────────────────────────────────────────────────────────────────

Trades = st.lists(
    st.tuples(
        st.sampled_from([AAPL, MSFT]),
        st.sampled_from(list(Side)),
        st.integers(1, 500),
        st.integers(100, 50_000),
    ),
    max_size=25,
)


@given(trades=Trades)
def test_cash_and_positions_are_exactly_what_the_fills_say(trades: list[tuple[Instrument, Side, int, int]]) -> None:
    """Worked out again from the events alone, to the last cent and share; equity moves by commissions only."""
    market = exchange()
    events: list[m.Event] = []
    for place, (instrument, side, shares, cents) in enumerate(trades):
        price = str(Decimal(cents) / 100)
        effect = order(place, order_id=place, instrument=instrument, side=side, quantity=Decimal(shares))
        before = (
            market.equity()
            if instrument.con_id in market.marks and market.marks[instrument.con_id] == Decimal(price)
            else None
        )
        events += market.fill(effect.order, quote(price, price, instrument), NOW, instrument)
        paid = next(event.commission for event in reversed(events) if isinstance(event, m.CommissionSeen))
        assert before is None or market.equity() == before - paid
    cash, held = Decimal(100_000), dict.fromkeys((AAPL.con_id, MSFT.con_id), Decimal(0))
    for event in events:
        match event:
            case m.ExecutionSeen():
                cash -= event.side.sign * event.quantity * event.price
                held[event.con_id] += event.side.sign * event.quantity
            case m.CommissionSeen():
                cash -= event.commission
            case _:
                pass
    assert market.cash == cash
    assert {con_id: one.quantity for con_id, one in market.positions.items()} == {
        con_id: quantity for con_id, quantity in held.items() if quantity
    }
    assert market.snapshot("test", NOW).cash == cash


@given(trades=Trades)
def test_profit_is_realised_when_positions_close(trades: list[tuple[Instrument, Side, int, int]]) -> None:
    """Once everything is sold, the realised profits and the commissions of opening fills explain the cash."""
    market = exchange()
    events: list[m.Event] = []
    place = 0
    for place, (instrument, side, shares, cents) in enumerate(trades):
        price = str(Decimal(cents) / 100)
        effect = order(place, order_id=place, instrument=instrument, side=side, quantity=Decimal(shares))
        events += market.fill(effect.order, quote(price, price, instrument), NOW, instrument)
    for con_id, one in list(market.positions.items()):
        place += 1
        instrument = AAPL if con_id == AAPL.con_id else MSFT
        side = Side.SELL if one.quantity > 0 else Side.BUY
        effect = order(place, order_id=place, instrument=instrument, side=side, quantity=abs(one.quantity))
        events += market.fill(effect.order, quote("20", "20", instrument), NOW, instrument)
    reports = [event for event in events if isinstance(event, m.CommissionSeen)]
    realised = sum((each.realized_pnl for each in reports if each.realized_pnl is not None), Decimal(0))
    opening = sum((each.commission for each in reports if each.realized_pnl is None), Decimal(0))
    assert market.positions == {}
    assert abs(market.cash - (Decimal(100_000) + realised - opening)) < Decimal("0.000001")


def test_a_fill_is_told_in_ibs_order() -> None:
    """Open order and status, execution, both again as Filled, commission; one identity through all."""
    events = exchange().fill(order(instrument=AAPL).order, quote("10", "10"), NOW, AAPL)
    assert [type(event) for event in events] == [
        m.OpenOrderSeen,
        m.OrderStatusSeen,
        m.ExecutionSeen,
        m.OpenOrderSeen,
        m.OrderStatusSeen,
        m.CommissionSeen,
    ]
    assert len({event.perm_id for event in events if not isinstance(event, m.CommissionSeen)}) == 1  # type: ignore[union-attr]


def test_a_second_order_under_an_id_is_refused() -> None:
    """103, as IB: the first one lives on."""
    market = exchange()
    limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal(1)}
    market.fill(order(1, instrument=AAPL, **limit).order, quote("10", "10"), NOW, AAPL)
    (error,) = market.fill(order(2, instrument=AAPL, **limit).order, quote("10", "10"), NOW, AAPL)
    assert isinstance(error, m.OrderErrorSeen)
    assert (error.code, error.verdict) == (103, "rejected")
    assert [one.order.intent for one in market.resting.values()] == [1]


def test_execution_ids_never_come_again() -> None:
    """A new exchange, as after a restart, gives a new order another execId: the journal would drop one it knows."""
    first = exchange().fill(order(1, order_id=100, instrument=AAPL).order, quote("10", "10"), NOW, AAPL)
    second = exchange().fill(order(2, order_id=101, instrument=AAPL).order, quote("10", "10"), NOW, AAPL)
    assert fills(first)[0].exec_id != fills(second)[0].exec_id


def test_the_session_ends_day_orders_only() -> None:
    """DAY rests until the end of the session, GTC beyond it."""
    market = exchange()
    limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal(1)}
    market.fill(order(1, order_id=100, instrument=AAPL, **limit).order, quote("10", "10"), NOW, AAPL)
    market.fill(order(2, order_id=101, instrument=AAPL, tif="GTC", **limit).order, quote("10", "10"), NOW, AAPL)
    ended = market.end_session(NOW)
    assert [type(event) for event in ended] == [m.OrderStatusSeen, m.OrderErrorSeen]
    assert list(market.resting) == [101]


def test_a_cancel_of_nothing_is_not_found() -> None:
    """10147, as IB."""
    (error,) = exchange().cancel(5, NOW)
    assert isinstance(error, m.OrderErrorSeen)
    assert (error.code, error.verdict) == (10147, "not found")


# ── the broker ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Mock:
    broker: MockBroker
    inbox: Inbox
    prices: dict[str, Decimal]
    shut: list[str] = field(default_factory=list)


def with_mock(work: Callable[[Mock], Awaitable[T]]) -> T:
    async def main() -> T:
        clock = SteppedClock(asyncio.get_running_loop().time, market_start=START)
        inbox, prices, shut = Inbox(), {"AAPL": Decimal("10.00")}, []
        broker = MockBroker(
            exchange(),
            ["AAPL", "MSFT"],
            prices=prices.get,
            sink=inbox,
            gate=lambda intent: shut[0] if shut else None,
            clock=clock,
        )
        running = asyncio.create_task(broker.run(), name="mock")
        await inbox.until(m.ClockSeen)
        answer = await work(Mock(broker, inbox, prices, shut))
        await broker.close()
        await running
        return answer

    return run(main())


def test_the_mock_greets_and_syncs_as_a_gateway_would() -> None:
    """Opening, up, clock, then a whole snapshot and the instruments: the engine sees no difference."""

    async def work(mock: Mock) -> None:
        mock.broker.begin_sync(m.BeginSync(epoch=1, first_request_id=1, count=10, account="MOCK"))
        kinds = [type(event) for event in mock.inbox.events]
        assert kinds == [m.LinkOpening, m.LinkUp, m.ClockSeen, m.SnapshotSeen, m.InstrumentsSeen]
        assert mock.inbox.of(m.SnapshotSeen)[0].failures == ()
        assert [one.symbol for one in mock.inbox.of(m.InstrumentsSeen)[0].instruments] == ["AAPL", "MSFT"]

    with_mock(work)


def test_the_mock_asks_the_gate_and_hands_over() -> None:
    """An order passes the gate, is handed, fills; with the gate shut it is withheld and leaves no trace."""

    async def work(mock: Mock) -> None:
        mock.broker.submit(order(1, order_id=100, instrument=AAPL))
        assert [type(event) for event in mock.inbox.events[3:5]] == [m.OrderHanded, m.OpenOrderSeen]
        assert len(mock.inbox.of(m.ExecutionSeen)) == 1
        mock.shut.append("halted")
        mock.broker.submit(order(2, order_id=101, instrument=AAPL))
        assert [(each.intent, each.reason) for each in mock.inbox.of(m.OrderWithheld)] == [(2, "halted")]
        assert len(mock.inbox.of(m.ExecutionSeen)) == 1

    with_mock(work)


def test_a_resting_order_waits_for_its_price_and_dies_with_its_day() -> None:
    """Prices are asked every second; a DAY order that never fills ends when the exchange's date changes."""

    async def work(mock: Mock) -> None:
        limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal("9.00")}
        mock.broker.submit(order(1, order_id=100, instrument=AAPL, **limit))
        await asyncio.sleep(5)
        assert mock.inbox.of(m.ExecutionSeen) == []
        mock.prices["AAPL"] = Decimal("8.90")
        await asyncio.sleep(2)
        assert [fill.price for fill in mock.inbox.of(m.ExecutionSeen)] == [Decimal("8.90")]
        mock.broker.submit(order(2, order_id=101, instrument=AAPL, order_type=OrderType.LIMIT, limit_price=Decimal(1)))
        await asyncio.sleep(86_400)
        assert [each.code for each in mock.inbox.of(m.OrderErrorSeen)] == [202]

    with_mock(work)


def test_a_symbol_without_a_price_does_not_trade() -> None:
    """No price is no quote: the order rests, the quote is empty."""

    async def work(mock: Mock) -> None:
        mock.broker.watch(["AAPL", "MSFT", "XYZ"])
        assert [(each.symbol, each.bid, each.at is None) for each in mock.broker.quotes()] == [
            ("AAPL", Decimal("10.00"), False),
            ("MSFT", None, True),
        ]
        mock.broker.submit(order(1, order_id=100, instrument=MSFT, symbol="MSFT", con_id=MSFT.con_id))
        await asyncio.sleep(2)
        assert mock.inbox.of(m.ExecutionSeen) == []
        with pytest.raises(DataError, match="the mock executor has no history"):
            await mock.broker.bars("AAPL", "1 day", date(2024, 3, 1), 5)

    with_mock(work)

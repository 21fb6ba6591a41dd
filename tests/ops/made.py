"""A daemon that is ready to trade, made of facts, and its runtime on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from longwatch.clock import SteppedClock
from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Allocation, Evidence, Order, OrderState, OrderType, Purpose
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import State, evolve
from longwatch.ops.alerts import AlertBoard
from longwatch.ops.runtime import Commit, NextRun, Reload, RuntimeView

NOW = datetime(2007, 1, 5, 15, 0, tzinfo=UTC)
AAPL, MSFT = 265598, 272093


class HandClock(SteppedClock):
    """A clock that stands still until `pass_seconds`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(lambda: self.seconds, market_start=NOW)

    def pass_seconds(self, seconds: float) -> None:
        self.seconds += seconds


def session(day: date) -> Session:
    return Session(
        date=day,
        open_at=datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
        close_at=datetime(day.year, day.month, day.day, 21, 0, tzinfo=UTC),
    )


SESSIONS = tuple(session(date(2007, 1, day)) for day in (3, 4, 5, 8, 9))


def judged(symbol: str, *flaws: str) -> m.SeriesJudged:
    return m.SeriesJudged(
        symbol=symbol, bars=252, last_session=date(2007, 1, 4), close=Decimal("85.66"), flaws=tuple(flaws)
    )


READY: tuple[m.Fact, ...] = (
    m.RunOpened(journal_id="k7q2", account="DU123456", mode="paper", client_id=1, version="0.1.0", at=NOW),
    m.ConfigApplied(
        settings=TradeSettings(universe=("AAPL", "MSFT"), stale_sessions=0),
        sha256="c0ffee" * 10,
        changed=(),
        by="start",
    ),
    m.SessionsKnown(sessions=SESSIONS),
    m.InstrumentKnown(instrument=Instrument(con_id=AAPL, symbol="AAPL")),
    m.InstrumentKnown(instrument=Instrument(con_id=MSFT, symbol="MSFT")),
    m.LinkMoved(link=m.Link.READY, reason="", tech=NOW),
    m.FarmMoved(farm="usfarm", up=True, tech=NOW),
    m.ClockChecked(skew_seconds=0.2, tech=NOW),
    m.AccountValued(net_liquidation=Decimal("1000000"), cash=Decimal("1000000"), tech=NOW),
    m.BookCompared(reason="start", positions=0, orders=0, differences=(), activity=0, tech=NOW),
    m.DataJudged(session=date(2007, 1, 4), judged=(judged("AAPL"), judged("MSFT"))),
)


def fold(facts: Iterable[m.Fact], state: State | None = None) -> State:
    state = State() if state is None else state
    for fact in facts:
        evolve(state, fact)
    return state


def ready_state() -> State:
    return fold(READY)


def traded_state() -> State:
    """Ready, with one order filled at a commission, one working, one refused, and a quarantine."""
    return fold(trade(), ready_state())


def trade() -> list[m.Fact]:
    return [
        m.TargetsSet(
            run_id="signals@1",
            strategy="momentum",
            session=date(2007, 1, 4),
            weights=(("AAPL", Decimal("0.4")), ("MSFT", Decimal("0.25"))),
            memory="",
        ),
        m.EquitySet(
            session=date(2007, 1, 4),
            equity=Decimal("1000000"),
            prices=(("AAPL", Decimal("85.66")), ("MSFT", Decimal("29.81"))),
        ),
        m.TradeClamped(
            run_id="rebalance@1",
            symbol="AAPL",
            check="max_weight",
            wanted=Decimal(4669),
            allowed=Decimal(1751),
            observed=Decimal("0.4"),
            limit=Decimal("0.15"),
        ),
        m.TradeRefused(
            run_id="rebalance@1",
            symbol="IBM",
            check="min_order_value",
            wanted=Decimal(3),
            observed="295.20",
            limit="1000",
            text="the order is too small",
        ),
        m.OrderIntended(order=order(1, AAPL, "AAPL", Side.BUY, 1751)),
        sending(1, 11),
        m.OrderIdentified(intent=1, perm_id=9001),
        moved(1, OrderState.WORKING, Evidence.ACKNOWLEDGED),
        fill("00.01", 1, AAPL, "AAPL", Side.BUY, 1751, "85.70"),
        moved(1, OrderState.FILLED, Evidence.ALL_FILLED),
        m.CommissionBooked(exec_id="00.01", intent=1, commission=Decimal("8.755"), currency="USD"),
        m.OrderIntended(order=order(2, MSFT, "MSFT", Side.BUY, 800)),
        sending(2, 12),
        moved(2, OrderState.WORKING, Evidence.ACKNOWLEDGED),
        m.AccountPositionSet(con_id=AAPL, symbol="AAPL", quantity=Decimal(1851)),
        m.OutsideSet(con_id=AAPL, symbol="AAPL", quantity=Decimal(100), reason="held before the first start"),
        m.QuarantineSet(con_id=MSFT, symbol="MSFT", reason="an unreadable message", tech=NOW),
        m.VerbSet(verb=m.Verb.PAUSE, on=True, by="uid 1000", reason="lunch"),
    ]


def order(intent: int, con_id: int, symbol: str, side: Side, quantity: int) -> Order:
    return Order(
        intent=intent,
        ref=f"lw:k7q2:{intent}",
        run_id="rebalance@1",
        con_id=con_id,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        order_type=OrderType.LIMIT,
        limit_price=Decimal("85.83"),
        stop_price=None,
        tif="DAY",
        account="DU123456",
        mode="paper",
        purpose=Purpose.ENTRY,
        decision_price=Decimal("85.66"),
        allocations=(Allocation(strategy="momentum", quantity=Decimal(quantity)),),
        created_at=NOW,
    )


def sending(intent: int, order_id: int) -> m.OrderSending:
    return m.OrderSending(
        intent=intent, order_id=order_id, client_id=1, epoch=1, sent_at=NOW, deadline=NOW + timedelta(seconds=10)
    )


def moved(intent: int, state: OrderState, evidence: Evidence, text: str = "") -> m.OrderMoved:
    return m.OrderMoved(
        intent=intent, state=state, evidence=evidence, text=text, deadline=None, reported=Decimal(0), ending=None
    )


def fill(
    exec_id: str, intent: int | None, con_id: int, symbol: str, side: Side, quantity: int, price: str
) -> m.FillBooked:
    return m.FillBooked(
        exec_id=exec_id,
        intent=intent,
        con_id=con_id,
        symbol=symbol,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        executed_at=NOW,
        tech=NOW,
    )


def runtime_of(clock: HandClock) -> RuntimeView:
    """A process well under way."""
    return RuntimeView(
        clock=clock,
        version="0.1.0",
        started_at=NOW - timedelta(hours=1),
        turned_at=NOW,
        queues={"order": 0, "history": 7},
        next_runs=(NextRun(job="refresh", at=NOW + timedelta(hours=6)), NextRun(job="reconcile", at=NOW)),
        loaded=Reload(ok=True, at=NOW),
        reload=Reload(ok=True, at=NOW),
        commit=Commit(sequence=42, records=42, at=NOW),
        quotes=(
            Quote(
                con_id=AAPL, symbol="AAPL", bid=Decimal("85.60"), ask=Decimal("85.80"), at=NOW - timedelta(seconds=2)
            ),
            Quote(con_id=MSFT, symbol="MSFT"),
        ),
        http_address="http://127.0.0.1:9464",
        alerts=AlertBoard(clock),
    )

"""P14: a full pre-trade check, the whole table of checks and caps, over a realistic state.

Twenty symbols in four groups, held with twenty live orders in them, quotes for all. Every limit is on; in a cash
account commissions are set aside besides. Run it as `python -m tests.bench.bench_pretrade`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from time import perf_counter

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Order, OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.quotes import Quote
from longwatch.domain.risk.caps import with_exposure
from longwatch.domain.risk.proposal import Proposal
from longwatch.domain.risk.table import caps_of, first_refusal
from longwatch.domain.state import State, put_order
from tests.bench.figures import tell
from tests.domain.world import MARGIN_ACCOUNT, SESSION, VOLUME, World

SYMBOLS = 20
LIMIT_OFFSET = Decimal("0.002")
"""Limits lie so far beyond the price that the trades were sized at, a buy's above it and a sell's below."""
ROUNDS, CHECKS = 7, 2_000


def portfolio(*, in_cash: bool = False) -> tuple[State, list[Proposal]]:
    """The state of a margin or a cash account, and for every symbol a proposal that passes every check."""
    world = World.ready()
    if in_cash:
        world.figures = replace(MARGIN_ACCOUNT, trading_type="STKCASH")
        world.wait(10)
        world.snapshot()
    state, now = world.state, world.now
    state.settings = replace(
        world.settings,
        max_orders_per_minute=60,
        max_net_exposure=Decimal("0.99"),
        max_order_shares=Decimal(10_000),
        max_order_value=Decimal(100_000),
        max_volume_fraction=Decimal("0.01"),
        max_displayed_fraction=Decimal(1),
        commission_per_share=Decimal("0.005"),
        commission_minimum=Decimal(1),
        groups=tuple(
            (f"group {tag}", tuple(f"S{n:02d}" for n in range(tag, 21, 4)), Decimal("0.9")) for tag in (1, 2, 3, 4)
        ),
    )
    rows, proposals = [], []
    for number in range(1, SYMBOLS + 1):
        symbol, price = f"S{number:02d}", Decimal(50 + number)
        instrument = Instrument(con_id=number, symbol=symbol)
        state.instruments[symbol] = instrument
        state.book[number] = Holding(con_id=number, symbol=symbol, quantity=Decimal(20), average_cost=price)
        put_order(state, _order(number, symbol, price, world))
        rows.append((symbol, price))
        state.judged[symbol] = m.SeriesJudged(
            symbol=symbol, bars=250, last_session=None, close=price, average_volume=VOLUME
        )
        proposals.append(_proposal(instrument, price, world))
    state.equity = m.EquitySet(session=SESSION.date, equity=Decimal(100_000), prices=tuple(rows))
    assert now == world.now
    return state, proposals


def _order(number: int, symbol: str, price: Decimal, world: World) -> Order:
    side = Side.BUY if number % 2 else Side.SELL
    return Order(
        intent=number,
        ref=f"lw:k7q2:{number}",
        run_id="rebalance@0",
        con_id=number,
        symbol=symbol,
        side=side,
        quantity=Decimal(10),
        order_type=OrderType.LIMIT,
        limit_price=price * (1 + side.sign * LIMIT_OFFSET),
        stop_price=None,
        tif="DAY",
        account="DU123456",
        mode="paper",
        purpose=Purpose.ENTRY,
        decision_price=price,
        created_at=world.now,
        state=OrderState.WORKING,
        sent_at=world.now - timedelta(seconds=10),
    )


def _proposal(instrument: Instrument, price: Decimal, world: World) -> Proposal:
    sizes = {"bid_size": Decimal(500), "ask_size": Decimal(500)}
    quote = Quote(con_id=instrument.con_id, symbol=instrument.symbol, bid=price, ask=price, at=world.now, **sizes)
    return Proposal(
        run_id="rebalance@1",
        instrument=instrument,
        side=Side.BUY,
        quantity=Decimal(5),
        purpose=Purpose.ENTRY,
        price=price,
        equity=Decimal(100_000),
        order_type=OrderType.LIMIT,
        limit_price=price,
        quote=quote,
        session=SESSION,
        at=world.now,
        tech=world.now,
        closes=False,
    )


def check(state: State, proposal: Proposal) -> None:
    """Everything that is asked of one trade."""
    assert first_refusal(state, proposal) is None
    proposal = with_exposure(state, proposal)
    for name, rule in caps_of(proposal):
        cap = rule(state, proposal)
        assert cap is None or proposal.quantity <= cap.allowed, name


def main() -> None:
    """Both kinds of account, each by the median of its runs."""
    for name, in_cash, account in (("P14", False, ""), ("P14 in cash", True, ", a cash account")):
        note = f"{SYMBOLS} symbols, {SYMBOLS} live orders, every limit on{account}"
        tell(name, _runs(*portfolio(in_cash=in_cash)), "µs", goal="median < 50 µs", note=note)


def _runs(state: State, proposals: list[Proposal]) -> list[float]:
    runs = []
    for _ in range(ROUNDS):
        took = []
        for number in range(CHECKS):
            proposal = proposals[number % SYMBOLS]
            began = perf_counter()
            check(state, proposal)
            took.append(perf_counter() - began)
        runs.append(sorted(took)[CHECKS // 2] * 1e6)
    return runs


if __name__ == "__main__":
    main()

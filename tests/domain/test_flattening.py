"""Closing everything: with which orders, and what a person is told of what stays, word for word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.orders import OrderType, Purpose
from longwatch.domain.portfolio.flattening import left_open, not_closed, order_type, unanswered
from longwatch.domain.positions import Holding
from longwatch.domain.state import State
from tests.domain.test_unprotected import TICK, state_of, stop
from tests.domain.world import SETTINGS, START, SYMBOLS

D = Decimal
NO_CONTRACT = "its contract is not known; close them by hand"
FRACTION = "the broker takes no order for a fraction; close them by hand"


def flattened(state: State, verb: m.Verb = m.Verb.FLATTEN, **fields: object) -> State:
    row = m.VerbSet(verb=verb, on=True, by="uid 1000", reason="test")
    state.verbs[verb] = replace(row, **fields)  # type: ignore[arg-type]
    return state


def critical(text: str) -> m.RaiseAlert:
    return m.RaiseAlert(key="not_flattened", text=text, severity="critical")


def test_a_flatten_closes_with_the_type_that_was_named_or_else_the_settings() -> None:
    state = State(settings=replace(SETTINGS, flatten_order_type="MKT"))
    assert order_type(flattened(state, m.Verb.HALT, choice="LMT")) is None
    assert order_type(flattened(state)) is OrderType.MARKET
    assert order_type(flattened(state, choice="LMT")) is OrderType.LIMIT


def held(quantities: dict[int, str], known: tuple[int, ...] = (1, 2, 3), refused: tuple[int, ...] = ()) -> State:
    """Holdings, the contracts that are known of them, and those of which the broker has refused a fraction."""
    state = State(settings=SETTINGS)
    for con_id, quantity in quantities.items():
        state.book[con_id] = Holding(con_id=con_id, symbol=SYMBOLS[con_id], quantity=D(quantity), average_cost=D(90))
    for con_id in known:
        state.instruments[SYMBOLS[con_id]] = Instrument(con_id=con_id, symbol=SYMBOLS[con_id], lot=D(con_id))
    for con_id in refused:
        row = m.BreakerSet(
            con_id=con_id,
            symbol=SYMBOLS[con_id],
            purpose=Purpose.REDUCE,
            reason="rejected (10243)",
            strikes=(START,),
            trips=0,
            until=None,
        )
        state.breakers[con_id, Purpose.REDUCE, row.reason] = row
    return state


def test_what_can_not_be_closed_is_told_by_instrument() -> None:
    """In the order of contracts: without a contract all of it, and what is beyond whole lots of a refused fraction."""
    state = held({3: "-7.5", 2: "0", 1: "57.68"}, known=(2, 3), refused=(3,))
    assert list(left_open(state)) == []
    assert list(left_open(flattened(state, m.Verb.HALT))) == []
    assert list(left_open(flattened(state))) == [
        critical(f"57.68 AAA stay: {NO_CONTRACT}"),
        critical(f"-1.5 CCC stay: {FRACTION}"),
    ]


def test_what_can_be_closed_is_not_told() -> None:
    """Whole lots, a fraction that nobody has refused; and less than one share, which can't once it was refused."""
    assert list(left_open(flattened(held({1: "57.68", 2: "4"}, refused=(2,))))) == []
    assert list(left_open(flattened(held({1: "0.5"}, refused=(1,))))) == [critical(f"0.5 AAA stay: {FRACTION}")]


def test_a_stop_whose_cancel_is_not_answered_in_time_is_told_with_what_it_keeps() -> None:
    """At the very end of the broker's time; under a halt, of nothing held, or of no stop that was cancelled, not."""
    ends = START + timedelta(seconds=SETTINGS.acknowledge_seconds)
    told = critical(
        "100 AAA stay for now: the broker has not answered the cancel of the stop lw:k7q2:3; cancel it in TWS, or "
        "close them by hand"
    )
    orders = (
        stop(1),
        stop(2, purpose=Purpose.PROFIT, cancel_asked=True),
        stop(3, cancel_asked=True),
        stop(4, con_id=2, cancel_asked=True),
    )
    state = state_of(*orders)
    assert list(unanswered(state, ends)) == []
    assert list(unanswered(flattened(state), ends)) == []
    flattened(state, tech=START)
    assert list(unanswered(state, ends - TICK)) == []
    assert list(unanswered(state, ends)) == [told]
    assert list(unanswered(flattened(state, m.Verb.HALT, tech=START), ends)) == []


@pytest.mark.parametrize(("wanted", "said"), [(-100, "100"), (40, "-40")])
def test_a_closing_order_that_was_refused_is_told_with_the_shares_that_stay(wanted: int, said: str) -> None:
    """As they are held; without a flatten a refusal is none of a person's business."""
    refused = m.TradeRefused(
        run_id="r@1", symbol="AAA", check="quote", wanted=D(wanted), observed="none", limit="", text="AAA: no quote"
    )
    assert list(not_closed(flattened(State(), m.Verb.HALT), refused)) == []
    text = f"{said} AAA stay for now: AAA: no quote; tried again while the flatten is on"
    assert list(not_closed(flattened(State()), refused)) == [critical(text)]

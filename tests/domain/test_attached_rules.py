"""Stops that leave with their entry, rule by rule: which go, what they may sell, and for what one is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Change, Order, OrderState, OrderType, Purpose
from longwatch.domain.positions import Holding
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk import attached as waiting
from longwatch.domain.safeguards import attached
from longwatch.domain.safeguards.at_write import SPLIT, TOO_FEW, overtaken
from longwatch.domain.safeguards.attached import NO_MORE, PATIENCE, REFUSED, REGROUPED
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State, put_order
from tests.domain.test_exposure import order
from tests.domain.test_unprotected import NOW, SECOND, TICK, noted, stop
from tests.domain.test_unprotected import state_of as bare_state_of
from tests.domain.world import SETTINGS, START

D = Decimal
S = OrderState
AAA = Instrument(con_id=1, symbol="AAA")
ENTRY = order(1, 100, order_id=11, client_id=1, perm_ids=(9001,), limit_price=D(101))
STOP = stop(2, 100, order_id=12, client_id=1, perm_ids=(9002,), attached_to=1, oca_group="lw:k7q2:2")


def paired(entry: Order = ENTRY, *others: Order, one: Order = STOP, held: int = 0) -> State:
    """An entry and its stop, both at the broker; ready, in an open session."""
    state = bare_state_of(entry, one, *others)
    state.journal_id, state.client_id = "k7q2", 1
    state.by_perm_id, state.by_order_id = {9001: 1, 9002: 2}, {(1, 11): 1, (1, 12): 2}
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(held), average_cost=D(90))
    return state


# ── what a stop may sell while it waits ─────────────────────────────────────────────────────────────────────────────


def test_the_entry_of_a_stop_is_the_order_it_left_with() -> None:
    """Nobody's of another order, nor of the broker's second order for the intent, nor where it is gone."""
    state = paired()
    assert waiting.entry_of(state, STOP) is ENTRY
    assert waiting.entry_of(state, ENTRY) is None
    assert waiting.entry_of(state, replace(STOP, twin_of=1)) is None
    assert waiting.entry_of(state, replace(STOP, attached_to=7)) is None


@pytest.mark.parametrize(
    ("entry", "waits"),
    [({}, True), ({"state": S.UNKNOWN}, True), ({"state": S.CANCELLED}, False), ({"state": S.FILLED}, False)],
)
def test_a_stop_waits_as_long_as_its_entry_may_fill(entry: dict[str, OrderState], waits: bool) -> None:
    bought = replace(ENTRY, **entry)  # type: ignore[arg-type]
    state = paired(bought)
    assert waiting.waits(state, STOP) is waits
    assert waiting.has_stop(state, bought) is waits
    assert not waiting.waits(state, bought)


def test_only_a_live_stop_of_its_own_waits_for_an_entry() -> None:
    assert not waiting.has_stop(paired(one=replace(STOP, state=S.CANCELLED)), ENTRY)
    other = order(3, 5)
    assert not waiting.has_stop(paired(ENTRY, other), other)
    state = paired(ENTRY, stop(4, attached_to=3), stop(5), other)
    assert waiting.has_stop(state, other) and waiting.has_stop(state, ENTRY)


@pytest.mark.parametrize(
    ("entry", "left", "sold"),
    [
        ({}, 100, 0),
        ({}, 130, 30),
        ({"quantity": D(150)}, 100, 0),
        ({"filled": D(30)}, 100, 30),
        ({"filled": D(30), "taken_back": D(10)}, 100, 40),
        ({"reported": D(35)}, 100, 35),
        ({"filled": D(30), "state": S.CANCELLED}, 100, 100),
    ],
)
def test_a_stop_may_sell_only_what_its_entry_is_sure_to_have_bought_before(
    entry: dict[str, Decimal], left: int, sold: int
) -> None:
    one = replace(STOP, quantity=D(left))
    assert waiting.may_trade(paired(replace(ENTRY, **entry), one=one), one) == sold  # type: ignore[arg-type]
    assert waiting.may_trade(paired(), replace(one, attached_to=None, filled=D(1))) == left - 1


@pytest.mark.parametrize(
    ("entry", "ends"),
    [
        ({}, True),
        ({"filled": D(30)}, True),
        ({"state": S.CANCELLED}, True),
        ({"state": S.CANCELLED, "filled": D(30)}, False),
        ({"state": S.CANCELLED, "taken_back": D(30)}, False),
        ({"state": S.FILLED, "filled": D(100)}, False),
        ({"state": S.FILLED}, False),
    ],
)
def test_the_broker_ends_a_stop_by_itself_whose_entry_bought_nothing_or_not_yet_all(
    entry: dict[str, object], ends: bool
) -> None:
    assert waiting.ends_with_its_entry(paired(replace(ENTRY, **entry)), STOP) is ends  # type: ignore[arg-type]
    assert not waiting.ends_with_its_entry(paired(), stop(3))


# ── which entries leave with one ────────────────────────────────────────────────────────────────────────────────────


def test_the_stop_is_an_order_like_any_other_with_a_group_of_its_own() -> None:
    state = State(journal_id="j", account="DU7", mode="live", next_intent=8)
    made = attached.stop_order(state, AAA, Side.BUY, D(70), D("104.5"), START)
    assert made == Order(
        intent=8,
        ref="lw:j:8",
        run_id="stop:AAA",
        con_id=1,
        symbol="AAA",
        side=Side.BUY,
        quantity=D(70),
        order_type=OrderType.STOP,
        limit_price=None,
        stop_price=D("104.5"),
        tif="GTC",
        account="DU7",
        mode="live",
        purpose=Purpose.STOP,
        decision_price=D("104.5"),
        created_at=START,
        oca_group="lw:j:8",
    )


LEAVING = replace(ENTRY, state=S.SENDING, decision_price=D("100.03"))


def leaving(
    entry: Order = LEAVING, *others: Order, instrument: Instrument = AAA, held: int = 0, **rules: object
) -> State:
    state = paired(entry, *others, one=replace(STOP, state=S.CANCELLED), held=held)
    fields = {"attached_stops": True, "stop": StopRule(fraction=D("0.05"))} | rules
    state.settings = replace(SETTINGS, **fields)  # type: ignore[arg-type]
    state.instruments[instrument.symbol] = instrument
    return state


def level(entry: Order = LEAVING, *others: Order, instrument: Instrument = AAA, **fields: object) -> Decimal | None:
    return attached.level_with(leaving(entry, *others, **fields), entry, instrument)  # type: ignore[arg-type]


def test_the_level_is_so_far_behind_the_decisions_price_on_the_grid_away_from_it() -> None:
    """A twentieth of 100.03 below it is 95.0285, or above it 105.0315."""
    assert level() == D("95.02")
    assert level(replace(LEAVING, side=Side.SELL)) == D("105.04")
    assert level(instrument=replace(AAA, tick=D("0.5"))) == 95
    assert level(stops_of_symbols=(("AAA", StopRule(fraction=D("0.02"))),)) == D("98.02")


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        ({}, {"attached_stops": False}),
        ({}, {"stop": None}),
        ({}, {"held": 5}),
        ({}, {"held": -5}),
        ({"purpose": Purpose.REDUCE}, {}),
        ({"order_type": OrderType.AT_CLOSE}, {}),
        ({"order_type": OrderType.LIMIT_AT_CLOSE}, {}),
        ({"quantity": D("100.5")}, {}),
        ({"quantity": D(110)}, {"instrument": replace(AAA, lot=D(20))}),
        ({}, {"stop": StopRule(fraction=D(0))}),
        ({}, {"stop": StopRule(fraction=D(1))}),
        ({}, {"stop": StopRule(fraction=D("0.99")), "instrument": replace(AAA, tick=D(5))}),
    ],
    ids=str,
)
def test_an_entry_leaves_without_where_a_stop_of_its_size_would_not_do(
    entry: dict[str, object], fields: dict[str, object]
) -> None:
    """Not asked for, no rule, something held, no entry, an auction, no whole lots, a level at nothing."""
    assert level(replace(LEAVING, **entry), **fields) is None  # type: ignore[arg-type]


def test_whole_lots_are_of_shares_at_least() -> None:
    """Of twenty, or of one where the broker takes parts of shares."""
    assert level(replace(LEAVING, quantity=D(120)), instrument=replace(AAA, lot=D(20))) is not None
    assert level(instrument=replace(AAA, lot=D("0.0001"))) is not None
    assert level(replace(LEAVING, quantity=D("0.5")), instrument=replace(AAA, lot=D("0.0001"))) is None
    assert level(replace(LEAVING, quantity=D(1))) is not None


def test_a_level_of_next_to_nothing_is_one() -> None:
    """The distance is what counts, and the grid: 98 % of 100.03 leaves 2.0006, of which ticks of 2 leave 2."""
    rule = StopRule(fraction=D("0.98"))
    assert level(stop=rule, instrument=replace(AAA, tick=D(2))) == 2
    assert level(stop=rule, instrument=replace(AAA, tick=D(1))) == 2
    assert level(replace(LEAVING, decision_price=D("0.9")), stop=StopRule(fraction=D("0.5"))) == D("0.45")


def test_beside_another_order_at_work_in_the_instrument_it_leaves_without() -> None:
    """In another instrument, or ended, it is none."""
    assert level(LEAVING, order(7, 5)) is None
    assert level(LEAVING, order(7, 5, con_id=2), order(8, 5, state=S.FILLED)) == D("95.02")


def test_where_stops_are_held_back_or_everything_is_closed_it_leaves_without() -> None:
    """What a person cancelled, or the broker keeps refusing, of this instrument's stops at the entry's own time."""
    state = leaving()
    row = m.BreakerSet(
        con_id=1,
        symbol="AAA",
        purpose=Purpose.STOP,
        reason="cancelled by a person",
        strikes=(),
        trips=0,
        until=LEAVING.created_at + SECOND,
    )
    state.breakers[1, Purpose.STOP, row.reason] = row
    assert attached.level_with(state, LEAVING, AAA) is None
    assert attached.level_with(state, replace(LEAVING, created_at=LEAVING.created_at + SECOND), AAA) is not None
    state.breakers[1, Purpose.STOP, row.reason] = replace(row, purpose=Purpose.PROFIT)
    assert attached.level_with(state, LEAVING, AAA) is not None
    for verb, leaves_with in ((m.Verb.HALT, True), (m.Verb.FLATTEN, False)):
        state = leaving()
        state.verbs[verb] = m.VerbSet(verb=verb, on=True, by="", reason="")
        assert (attached.level_with(state, LEAVING, AAA) is not None) is leaves_with


# ── when it is given up ─────────────────────────────────────────────────────────────────────────────────────────────


def time_reached(tech: datetime = NOW) -> m.TimeReached:
    return m.TimeReached(at=NOW, tech=tech)


def given_up(state: State, event: m.Event | None = None, wanted: int = 100, intent: int = 2) -> str | None:
    """Why, in words; what leads there is one fact, and one cancel under the order's own number."""
    told = list(attached.looked_after(state, state.orders[intent], D(wanted), event or time_reached()))
    if not told:
        return None
    asked, cancel = told
    assert isinstance(asked, m.OrderCancelAsked) and asked.intent == intent
    assert cancel == m.CancelOrder(intent=intent, order_id=12)
    return asked.reason


def test_a_stop_as_large_as_its_entry_waits() -> None:
    """Be nothing held yet, or all of it, or more wanted."""
    assert given_up(paired()) is None
    assert given_up(paired(), wanted=0) is None
    assert given_up(paired(replace(ENTRY, state=S.FILLED, filled=D(100)), held=100)) is None
    assert given_up(paired(replace(ENTRY, quantity=D(120)))) is None


def test_one_whose_cancel_is_asked_or_whose_end_is_told_is_not_asked_again() -> None:
    less = replace(ENTRY, quantity=D(99))
    assert given_up(paired(less)) == "its entry is for fewer shares by now"
    assert given_up(paired(less, one=replace(STOP, cancel_asked=True))) is None
    assert given_up(paired(less, one=replace(STOP, ending=S.CANCELLED))) is None
    assert given_up(paired(one=replace(STOP, attached_to=None, quantity=D(700)))) is None


def changing(one: Order, quantity: int, limit: str | None = None) -> Order:
    price = one.limit_price if limit is None else D(limit)
    asked = Change(number=1, quantity=D(quantity), limit_price=price, stop_price=one.stop_price, asked_at=START)
    return replace(one, change=asked)


def test_either_size_counts_while_two_may_be_in_force() -> None:
    """The least of the entry's, and the most of the stop's."""
    fewer = "its entry is for fewer shares by now"
    assert given_up(paired(changing(ENTRY, 90))) == fewer
    assert given_up(paired(changing(ENTRY, 110))) is None
    assert given_up(paired(one=changing(STOP, 110))) == fewer
    assert given_up(paired(one=changing(STOP, 90))) is None


def test_without_a_rule_a_stop_goes_once_something_is_held() -> None:
    bought = replace(ENTRY, filled=D(100), state=S.FILLED)
    assert given_up(paired(bought, held=100), wanted=0) == "no rule asks for a stop any more"


@pytest.mark.parametrize(
    ("side", "limit", "is_passed"),
    [
        (Side.BUY, "95.01", False),
        (Side.BUY, "95", True),
        (Side.BUY, "94", True),
        (Side.SELL, "94.99", False),
        (Side.SELL, "95", True),
        (Side.SELL, "96", True),
    ],
)
def test_an_entry_that_would_fill_where_its_stop_trades_gives_it_up(side: Side, limit: str, is_passed: bool) -> None:
    """By the terms in force, or by those asked for; without a limit there is none."""
    safe = D(101) if side is Side.BUY else D(89)
    one = replace(STOP, side=side.opposite)
    why = "its entry's limit is not on this side of it any more: it would be triggered at once" if is_passed else None
    entry = replace(ENTRY, side=side, limit_price=D(limit))
    assert given_up(paired(entry, one=one)) == why
    assert given_up(paired(changing(entry, 100, str(safe)), one=one)) == why
    assert given_up(paired(changing(replace(entry, limit_price=safe), 100, limit), one=one)) == why
    assert given_up(paired(replace(entry, limit_price=None), one=one)) is None
    assert given_up(paired(entry, one=replace(one, stop_price=None))) is None


@pytest.mark.parametrize("side", list(Side))
def test_a_stop_for_more_than_is_bought_goes(side: Side) -> None:
    """30 were bought and 31 could be sold: a share was taken back. Of a sale likewise."""
    entry = replace(ENTRY, side=side, filled=D(30), limit_price=None)
    one = replace(STOP, side=side.opposite)
    assert given_up(paired(entry, one=one, held=30 * side.sign)) is None
    assert given_up(paired(entry, one=one, held=29 * side.sign)) == NO_MORE
    assert given_up(paired(entry, one=one, held=-30 * side.sign)) == NO_MORE


REPORTED = replace(ENTRY, reported=D(30), moved_at=NOW)


def reading(tech: datetime = NOW + 9 * SECOND, started: datetime = NOW) -> m.SnapshotSeen:
    nothing: dict[str, Any] = dict.fromkeys(("positions", "open_perm_ids", "completed_perm_ids", "exec_ids"), ())
    return m.SnapshotSeen(
        at=NOW, tech=tech, reason="scheduled", started_tech=started, net_liquidation=None, cash=None, **nothing
    )


def compared(state: State, *differing: int, tech: datetime = NOW + 9 * SECOND) -> State:
    rows = tuple(m.Difference(con_id=one, symbol="", book=D(0), outside=D(0), account=D(1)) for one in differing)
    state.compared = m.BookCompared(reason="", positions=0, orders=0, differences=rows, activity=0, tech=tech)
    return state


def test_what_the_status_tells_of_is_awaited_until_a_reading_begun_since_knows_nothing_of_it() -> None:
    """30 are told to have filled, and no execution is heard: another instrument's difference is no sign of them."""
    assert given_up(compared(paired(REPORTED)), reading()) == NO_MORE
    assert given_up(compared(paired(REPORTED), 2), reading()) == NO_MORE
    assert given_up(compared(paired(REPORTED), 2, 1), reading()) is None
    assert given_up(compared(paired(REPORTED), tech=NOW + 8 * SECOND), reading()) is None
    assert given_up(paired(REPORTED), reading()) is None
    assert given_up(compared(paired(REPORTED)), reading(started=NOW - TICK)) is None
    assert given_up(compared(paired(REPORTED)), time_reached(NOW + 9 * SECOND)) is None


@pytest.mark.parametrize(
    "fields",
    [{"state": S.UNKNOWN}, {"deadline": NOW + 20 * SECOND}, {"moved_at": None}],
    ids=["unknown", "due", "never"],
)
def test_what_may_still_be_told_is_awaited(fields: dict[str, object]) -> None:
    assert given_up(compared(paired(replace(REPORTED, **fields))), reading()) is None  # type: ignore[arg-type]


def test_what_executions_have_told_is_not_awaited() -> None:
    """As many as the status counts, or more: what is missing of them is not there."""
    for told in (30, 31):
        entry = replace(REPORTED, taken_back=D(told))
        assert given_up(paired(entry)) == NO_MORE
    assert given_up(paired(replace(REPORTED, filled=D(29)), held=29)) is None


def test_the_rest_of_an_entry_is_waited_for_half_a_second() -> None:
    """From when its shares had no stop; where they have one, or it has bought nothing, there is nothing to wait for."""
    entry, why = replace(ENTRY, filled=D(30)), "its entry has filled in part, and the rest is not filled at once"
    state = paired(entry, held=30)
    assert given_up(state, time_reached(NOW + PATIENCE)) is None
    state.unprotected[1] = noted(unprotected=D(30))
    assert given_up(state, time_reached(NOW + PATIENCE - TICK)) is None
    assert given_up(state, time_reached(NOW + PATIENCE)) == why
    assert given_up(state, time_reached(NOW + timedelta(hours=1))) == why
    state.unprotected[1] = noted(unprotected=D(0))
    assert given_up(state, time_reached(NOW + PATIENCE)) is None
    state = paired()
    state.unprotected[1] = noted()
    assert given_up(state, time_reached(NOW + PATIENCE)) is None


# ── the broker's own naming, and a refusal ──────────────────────────────────────────────────────────────────────────


def shown(group: str = "1580482311", **fields: object) -> m.OpenOrderSeen:
    row = {
        "at": NOW,
        "tech": NOW,
        "order_id": 12,
        "client_id": 1,
        "perm_id": 9002,
        "ref": "lw:k7q2:2",
        "account": "DU123456",
        "con_id": 1,
        "symbol": "AAA",
        "side": Side.SELL,
        "quantity": D(100),
        "order_type": "STP",
        "limit_price": None,
        "stop_price": D(95),
        "tif": "GTC",
        "status": "PreSubmitted",
        "oca_group": group,
    }
    return m.OpenOrderSeen(**(row | fields))  # type: ignore[arg-type]


def test_a_stop_shown_in_another_group_is_given_up_by_whichever_of_its_names() -> None:
    """Its reference, its permId, our number of it under our client id; and not for another's group, or its own."""
    nameless = {"ref": "", "perm_id": 0, "order_id": 0}
    for name in ({"ref": "lw:k7q2:2"}, {"perm_id": 9002}, {"order_id": 12}):
        assert given_up(paired(), shown(**(nameless | name))) == REGROUPED
    for name in (nameless, {"ref": "lw:k7q2:1", "perm_id": 9001}, nameless | {"order_id": 12, "client_id": 2}):
        assert given_up(paired(), shown(**name)) is None  # type: ignore[arg-type]
    assert given_up(paired(), shown("lw:k7q2:2")) is None
    assert given_up(paired(), shown("")) is None
    assert not attached.is_regrouped(paired(), replace(STOP, attached_to=None), shown())


def refused(entry: Order, state: OrderState = S.REJECTED, one: Order = STOP) -> list[object]:
    fact = m.OrderMoved(
        intent=2, state=state, evidence="refused", text="", deadline=None, reported=D(0), ending=None, tech=NOW
    )
    return list(attached.after_move(paired(entry, one=one), fact))


UNSHOWN = replace(ENTRY, perm_ids=(), state=S.SENDING)


@pytest.mark.parametrize("state", [S.SENDING, S.UNKNOWN])
def test_a_refused_stop_takes_its_entry_along(state: OrderState) -> None:
    """Which never left the gateway: no permId of it was ever seen."""
    assert refused(replace(UNSHOWN, state=state)) == [
        m.OrderCancelAsked(intent=1, reason=REFUSED),
        m.CancelOrder(intent=1, order_id=11),
    ]


def test_an_entry_that_the_broker_has_or_that_is_over_stays() -> None:
    """And one whose cancel is asked; a stop that ended otherwise, or was nobody's, takes none along."""
    for entry in (replace(UNSHOWN, perm_ids=(9001,)), replace(UNSHOWN, cancel_asked=True)):
        assert refused(entry) == []
    for state in (S.INTENDED, S.WORKING, S.CANCELLED, S.REJECTED, S.FILLED):
        assert refused(replace(UNSHOWN, state=state)) == []
    assert refused(UNSHOWN, S.CANCELLED) == []
    assert refused(UNSHOWN, one=replace(STOP, attached_to=None)) == []


def test_a_stop_leaves_with_its_entry_while_both_are_being_sent() -> None:
    leaving_stop = replace(STOP, state=S.SENDING)
    assert attached.is_leaving(paired(), leaving_stop)
    assert not attached.is_leaving(paired(), STOP)
    assert not attached.is_leaving(paired(replace(ENTRY, state=S.CANCELLED)), leaving_stop)
    assert not attached.is_leaving(paired(), replace(leaving_stop, attached_to=None))


@pytest.mark.parametrize("cause", [None, Cause.SPLIT])
def test_a_stop_that_leaves_with_its_entry_may_sell_what_is_not_held_yet(cause: Cause | None) -> None:
    """Whatever there is of others' shares or of former ones; by itself it leaves for what is held alone."""
    state = paired()
    if cause is not None:
        state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="", tech=NOW, cause=cause)
    assert overtaken(state, replace(STOP, state=S.SENDING)) is None
    for alone in (STOP, replace(STOP, state=S.SENDING, attached_to=None)):
        assert overtaken(state, alone) == (TOO_FEW if cause is None else SPLIT)


def test_without_its_own_state_an_order_is_none_of_it() -> None:
    """An empty book has neither entry nor stop."""
    state = State()
    put_order(state, ENTRY)
    assert not waiting.has_stop(state, ENTRY)

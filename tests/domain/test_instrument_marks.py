"""What an instrument's losses are measured from, figure by figure: adoptions, doubts about what is held, capital."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.levels import Level
from longwatch.domain.positions import Holding
from longwatch.domain.risk import instrument_losses as losses
from longwatch.domain.state import Fill, State
from tests.domain.test_exposure import order, state_of
from tests.domain.test_holds import limited
from tests.domain.world import DAY, SESSIONS, START

D = Decimal
NOW = START + timedelta(hours=1)
TICK = timedelta(microseconds=1)
KEY = (Level.INSTRUMENT, "AAA")


def marked(**figures: int) -> m.EquityMarked:
    found = {name: D(figure) for name, figure in ({"start": -50, "peak": 20, "value": -30} | figures).items()}
    return m.EquityMarked(level=Level.INSTRUMENT, name="AAA", session=DAY, at=START, **found)


def adopted(state: State, cost: str = "95") -> tuple[m.EquityMarked, ...]:
    fact = m.HoldingAdopted(con_id=1, symbol="AAA", quantity=D(200), average_cost=D(cost), reason="")
    return losses.at_adoption(state, fact, NOW)


def held(quantity: int, realized: int = 170) -> State:
    """AAA at a cost of 100, and a mark of it."""
    state = State(sessions=SESSIONS)
    state.book[1] = Holding(con_id=1, symbol="AAA", quantity=D(quantity), average_cost=D(100), realized=D(realized))
    state.marks[KEY] = marked()
    return state


def test_an_adoption_moves_all_figures_by_what_its_shares_made_before() -> None:
    """Ours were valued at 98 last, to have made -30 with the 170 realized: 200 bought at 95 had made 600 by then."""
    at = {"level": Level.INSTRUMENT, "name": "AAA", "session": DAY, "at": NOW}
    expected = m.EquityMarked(start=D(550), peak=D(620), value=D(570), **at)  # type: ignore[arg-type]
    assert adopted(held(100)) == (expected,)
    short = m.EquityMarked(start=D(1350), peak=D(1420), value=D(1370), **at)  # type: ignore[arg-type]
    assert adopted(held(-100)) == (short,)


def test_where_none_is_held_the_last_price_known_of_the_instrument_counts() -> None:
    """The close, or else what a live order was decided at, or the book's cost."""
    state = held(0)
    assert [one.value for one in adopted(state)] == [970]  # at a cost of 100
    state = state_of(order(1, decision_price=D(97)), held=0)
    state.marks[KEY] = marked()
    assert [one.value for one in adopted(state)] == [370]
    state = state_of(held=0)
    state.marks[KEY] = marked()
    assert [one.value for one in adopted(state)] == [-1030]  # at a cost of 90


def test_without_a_mark_or_a_holding_an_adoption_moves_nothing() -> None:
    state = held(100)
    state.book.clear()
    assert adopted(state) == ()
    state = held(100)
    state.marks.clear()
    assert adopted(state) == ()


def doubted(told: int, *fills: tuple[int, timedelta], outside: int = 0, compared: bool = True, con_id: int = 1) -> bool:
    """Whether 100 AAA are certain that the account shows so, with fills so long after it was compared."""
    state = state_of(held=100, outside=outside, account=told)
    if compared:
        state.compared = m.BookCompared(reason="", positions=0, orders=0, differences=(), activity=0, tech=NOW)
    for number, (quantity, late) in enumerate(fills):
        name = f"{number}.01"
        state.fills[name] = Fill(
            exec_id=name,
            intent=1,
            con_id=con_id,
            symbol="AAA",
            quantity=D(quantity),
            price=D(100),
            executed_at=START,
            tech=NOW + late,
        )
    return not losses.is_certain(state, state.book[1])


def test_what_the_account_shows_beyond_what_is_not_ours_is_certain() -> None:
    assert not doubted(100)
    assert not doubted(110, outside=10)
    assert not doubted(90, outside=-10)
    assert doubted(101) and doubted(99) and doubted(90, outside=10)


NONE = timedelta(0)


@pytest.mark.parametrize(("sign", "told"), [(1, -1), (-1, 1)])
def test_fills_heard_since_it_was_compared_may_not_be_shown_yet(sign: int, told: int) -> None:
    """All of them or a part, and no share more; at that instant, and of that instrument."""
    fills = ((20 * sign, NONE), (40 * sign, TICK))
    for missing, is_doubted in ((1, False), (60, False), (61, True), (-1, True)):
        assert doubted(100 + told * missing, *fills) is is_doubted
    assert doubted(100 + told * 60, *fills, con_id=2)
    assert doubted(100 + told * 60, (20 * sign, -TICK), (40 * sign, NONE))
    assert not doubted(100 + told * 60, (20 * sign, -TICK), (40 * sign, NONE), compared=False)


def test_bought_and_sold_are_not_set_off_against_each_other() -> None:
    """Either may be what is not shown yet."""
    fills = ((60, NONE), (-60, NONE))
    assert not doubted(40, *fills) and not doubted(160, *fills)
    assert doubted(39, *fills) and doubted(161, *fills)


@pytest.mark.parametrize(("equity", "observed"), [("-1", None), ("0", None), ("1", "10"), ("0.5", "20")])
def test_a_loss_is_a_fraction_of_whatever_capital_there_is(equity: str, observed: str | None) -> None:
    """Of nothing there is none; the mark says when its price was paid."""
    state = state_of(held=1)
    state.sessions, state.settings = SESSIONS, limited(instrument_daily_loss=D("0.01"))
    state.marks[KEY] = marked(start=20, peak=20, value=20)
    state.equity = m.EquitySet(session=DAY, equity=D(equity), prices=())
    mark, *rest = losses._valued(state, state.book[1], D(100), NOW, [DAY], NOW - TICK)
    value = {"level": Level.INSTRUMENT, "name": "AAA", "session": DAY, "at": NOW - TICK}
    assert mark == m.EquityMarked(start=D(20), peak=D(20), value=D(10), **value)  # type: ignore[arg-type]
    holds = [one for one in rest if isinstance(one, m.HoldSet)]
    assert [(one.observed, one.con_id, one.since) for one in holds] == (
        [] if observed is None else [(D(observed), 1, NOW)]
    )


def traded(late: timedelta = NONE, quantity: int = 10) -> m.FillBooked:
    return m.FillBooked(
        exec_id="1.01",
        intent=1,
        con_id=1,
        symbol="AAA",
        side=Side.SELL,
        quantity=D(quantity),
        price=D(90),
        executed_at=NOW - late,
        tech=NOW,
    )


def test_a_price_is_news_as_long_as_a_quote_would_be() -> None:
    """To the instant; without a session, or a mark, there is nothing it could be older than."""
    most = timedelta(seconds=State().settings.max_quote_age_seconds)
    for state in (State(), State(sessions=SESSIONS)):
        for session in (None, DAY):
            assert losses._is_news(state, traded(most), NOW, session)
            assert not losses._is_news(state, traded(most + TICK), NOW, session)


def test_what_is_closed_late_is_valued_when_it_is_heard_of() -> None:
    """It has no price any more; what is held, or is in no book, is not valued by it."""
    late = traded(timedelta(hours=1))
    state = state_of(held=0)
    state.sessions = SESSIONS
    (mark,) = losses.after_fill(state, late, NOW)
    assert isinstance(mark, m.EquityMarked) and (mark.at, mark.value) == (NOW, 0)
    state = state_of(held=5)
    state.sessions = SESSIONS
    assert list(losses.after_fill(state, late, NOW)) == []
    assert list(losses.after_fill(State(sessions=SESSIONS), traded(), NOW)) == []
    assert list(losses.after_fill(state, traded(quantity=0), NOW)) == []
    assert [one.at for one in losses.after_fill(state, traded(TICK), NOW) if isinstance(one, m.EquityMarked)] == [
        NOW - TICK
    ]

"""Which instruments' stops an event is about, which are only looked at, and which of them are due for more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import OrderState
from longwatch.domain.safeguards import attached, stops
from longwatch.domain.state import State
from tests.domain.test_attached_rules import ENTRY, STOP, paired, shown
from tests.domain.test_exposure import order, state_of
from tests.domain.test_stops_adjusted import AAA, EVENT, asked_to_go, ready_as, resting, working
from tests.domain.test_unprotected import stop
from tests.domain.world import SESSIONS, SETTINGS, START, execution, of_kind

D = Decimal
NOW = START + timedelta(hours=1)
TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class Looks:
    """What an event comes to: `acted` on, and `metered`, in this order."""

    state: State
    acted: list[int] = field(default_factory=list)
    metered: list[int] = field(default_factory=list)

    def at(self, event: m.Event, *, opens: bool = False) -> tuple[list[int], list[int]]:
        self.acted.clear()
        self.metered.clear()
        found = stops.protect(self.state, event, opens=True) if opens else stops.protect(self.state, event)
        assert list(found) == []
        return list(self.acted), list(self.metered)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """1 is held behind its stop, 3 lacks one, 4 has a level, 5 a stop for what is not held; a rule for all of them."""
    state = state_of(stop(1), stop(5, con_id=5), order(6, con_id=6), held=60)
    state.settings, state.sessions, state.link = resting().settings, SESSIONS, m.Link.READY
    state.stop_levels[4] = replace(resting().stop_levels[1], con_id=4)
    state.unprotected[3] = m.ProtectionSet(
        con_id=3, symbol="CCC", unprotected=D(1), price=D(1), since=NOW, at=NOW, accrued=D(0), look_at=NOW
    )
    found = Looks(state)

    def noting(kept: list[int]) -> Callable[..., tuple[()]]:
        def note(state: State, con_id: int, event: m.Event) -> tuple[()]:
            kept.append(con_id)
            return ()

        return note

    monkeypatch.setattr(stops, "_acted", noting(found.acted))
    monkeypatch.setattr(stops, "_metered", noting(found.metered))
    return found


ALL = [1, 3, 4, 5]


def heard(con_id: int) -> m.ExecutionSeen:
    return replace(execution(ENTRY, NOW, "1.01", 10, "100"), con_id=con_id)


def error(order_id: int = 1) -> m.OrderErrorSeen:
    return m.OrderErrorSeen(at=NOW, tech=NOW, order_id=order_id, code=201, text="", verdict="rejected")


def reached(tech: datetime = NOW) -> m.TimeReached:
    return m.TimeReached(at=NOW, tech=tech)


def clock() -> m.ClockSeen:
    return m.ClockSeen(at=NOW, tech=NOW, skew_seconds=0.1)


def test_an_event_about_an_instrument_is_about_no_other(looks: Looks) -> None:
    """Whether anything was known of it or not."""
    assert looks.at(heard(1)) == ([1], [1])
    assert looks.at(heard(2)) == ([2], [2])


def test_what_is_about_all_of_them_is_about_each_once(looks: Looks) -> None:
    """In the order of their numbers."""
    event = m.ConfigLoaded(at=NOW, tech=NOW, settings=SETTINGS, sha256="")
    assert looks.at(event) == looks.at(event, opens=True) == (ALL, ALL)


def test_the_gate_that_opens_is_about_what_lacks_a_stop_or_has_too_large_a_one(looks: Looks) -> None:
    """Beside what the event itself is about; all the others are looked at."""
    assert looks.at(heard(2), opens=True) == ([2, 3, 5], [1, 2, 3, 4, 5])
    assert looks.at(clock()) == ([3, 5], ALL)
    put_by = replace(looks.state.unprotected[3], unprotected=D(0))
    looks.state.unprotected[3] = put_by
    assert looks.at(clock()) == ([5], ALL)


def test_a_refusal_is_looked_at_and_nothing_is_done(looks: Looks) -> None:
    """Of all of them, whichever order it was of: the next reading is about it."""
    looks.state.client_id, looks.state.by_order_id = 1, {(1, 1): 1}
    assert looks.at(error()) == ([], ALL)


def test_a_time_is_about_what_is_due_by_then(looks: Looks) -> None:
    """While there is a link; a look that is not due, or at nothing, is none."""
    assert looks.at(reached()) == ([3], ALL)
    assert looks.at(reached(NOW - TICK)) == ([], ALL)
    looks.state.link = m.Link.DISCONNECTED
    assert looks.at(reached()) == ([], ALL)
    looks.state.link = m.Link.READY
    looks.state.unprotected[3] = replace(looks.state.unprotected[3], look_at=None)
    assert looks.at(reached()) == ([], ALL)
    assert looks.at(replace(clock())) == ([3, 5], ALL), "it lacks a stop all the same"


def test_other_events_are_about_none_unless_they_open_the_gate(looks: Looks) -> None:
    event = m.LinkOpening(at=NOW, tech=NOW, attempt=1)
    assert looks.at(event) == ([], [])
    assert looks.at(event, opens=True) == ([3, 5], ALL)


def test_without_a_rule_a_level_or_a_lack_there_is_nothing_to_look_at(looks: Looks) -> None:
    """One of these is enough."""
    state = looks.state
    state.settings = SETTINGS
    assert looks.at(heard(1)) == ([1], [1])
    state.stop_levels.clear()
    assert looks.at(heard(1)) == ([1], [1])
    state.unprotected.clear()
    assert looks.at(heard(1)) == looks.at(heard(1), opens=True) == looks.at(clock()) == ([], [])


@pytest.mark.parametrize(("quantity", "is_too_large"), [(60, False), (61, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_stop_is_too_large_by_a_single_share(quantity: int, is_too_large: bool, sign: int) -> None:
    """Of either side; a take-profit, or an exit, is no stop."""
    side = Side.SELL if sign > 0 else Side.BUY
    exit_ = order(2, 500, side)
    state = state_of(stop(1, quantity, side=side), exit_, held=60 * sign)
    assert stops._is_too_large(state, 1) is is_too_large


# ── a stop in another group ─────────────────────────────────────────────────────────────────────────────────────────


def regrouped(*others: Any, event: m.Event | None = None) -> list[Any]:
    """The entry has filled whole, and its stop is shown; all up to an order that is intended."""
    one = replace(STOP, quantity=D(60), handed=True, epoch=1)
    state = resting(one, *others)
    ready_as(state)
    state.client_id, state.journal_id = 1, "k7q2"
    return list(stops._adjusted(state, AAA, D(60), event or shown()))


def test_a_stop_that_was_put_in_another_group_as_its_entry_ended_goes() -> None:
    """By its own number, for that reason, and nothing else is done yet; in its own it stays."""
    assert regrouped() == [
        m.OrderCancelAsked(intent=2, reason=attached.REGROUPED),
        m.CancelOrder(intent=2, order_id=12),
    ]
    assert regrouped(event=shown("lw:k7q2:2")) == regrouped(event=EVENT) == []


def test_beside_another_stop_only_the_one_in_another_group_goes() -> None:
    """What else is to be done waits for its end."""
    facts = regrouped(working(7, 60, oca_group="h"))
    assert asked_to_go(facts) == {2: attached.REGROUPED}
    assert [one.order_id for one in of_kind(facts, m.CancelOrder)] == [12]


def test_a_level_outlasts_a_doubt_whether_anything_is_held() -> None:
    """The account shows nothing, which is not understood yet: the stop goes, and where it lay is kept for the next."""
    state = resting(stop(), held=60)
    ready_as(state)
    state.account_positions[1] = ("AAA", D(0))
    state.quarantines[1] = m.QuarantineSet(con_id=1, symbol="AAA", reason="", tech=NOW)
    facts = list(stops._acted(state, 1, EVENT))
    assert list(asked_to_go(facts)) == [1] and of_kind(facts, m.StopLevelSet) == []


def test_what_a_stop_may_sell_that_waits_for_its_entry_is_not_taken_from_another() -> None:
    """Nothing of it, as long as its entry may fill as much; then all of it."""
    assert stops._free(paired(), 1, Side.SELL, None) == 0
    assert stops._free(paired(replace(ENTRY, state=OrderState.CANCELLED)), 1, Side.SELL, None) == 100


# ── a new stop, and what has none ───────────────────────────────────────────────────────────────────────────────────


def placed(state: State) -> list[type]:
    """What kinds of steps there are up to an order that is intended."""
    found: list[type] = []
    for item in stops._placed(state, AAA, D(60), EVENT):
        found.append(type(item))
        if isinstance(item, m.OrderIntended):
            break
    return found


def test_without_a_level_no_stop_is_placed() -> None:
    """Be there none, or one that is gone."""
    state = resting()
    ready_as(state)
    assert placed(state) == [m.OrderIntended]
    state.stop_levels[1] = replace(state.stop_levels[1], level=None)
    assert placed(state) == []
    state.stop_levels.clear()
    assert placed(state) == []


def test_only_the_end_of_the_instruments_own_last_stop_asks_for_a_reading() -> None:
    """The first order of all was another's stop, and ended."""
    state = resting(stop(1, con_id=2, state=OrderState.CANCELLED, moved_at=NOW))
    ready_as(state)
    state.last_stops = {2: 1}
    assert placed(state) == [m.OrderIntended]
    state.last_stops = {1: 1}
    assert placed(state) == [m.RequestSnapshot]


def test_a_stop_that_ended_with_its_entry_was_not_ended_by_the_broker_alone() -> None:
    """Where the entry had bought something it was."""
    last = replace(STOP, state=OrderState.CANCELLED, oca_group="")
    assert not stops._was_ended(paired(replace(ENTRY, state=OrderState.CANCELLED), one=last), last)
    bought = replace(ENTRY, state=OrderState.CANCELLED, filled=D(5))
    assert stops._was_ended(paired(bought, one=last), last)


def test_a_stop_that_waits_for_its_entry_is_in_no_purchases_way() -> None:
    """Once the entry has ended it would sell what is not held."""
    assert stops.in_the_way(paired(), 1, Side.BUY, reduces=False) == []
    state = paired(replace(ENTRY, state=OrderState.CANCELLED))
    assert stops.in_the_way(state, 1, Side.BUY, reduces=False) == [STOP]


def lacking(state: State) -> list[tuple[str, Decimal]]:
    return [(fact.symbol, fact.unprotected) for fact in of_kind(list(stops._metered(state, 1, EVENT)), m.ProtectionSet)]


def test_what_lacks_a_stop_no_more_bears_the_name_of_its_contract_or_none() -> None:
    """The book need not know of it by then; where neither does it has no name."""
    state = resting(held=0)
    state.book = {}
    state.unprotected[1] = m.ProtectionSet(
        con_id=1, symbol="AAA", unprotected=D(5), price=D(1), since=NOW, at=NOW, accrued=D(0)
    )
    assert lacking(state) == [("AAA", D(0))]
    state.instruments = {}
    assert lacking(state) == [("", D(0))]


def test_what_no_strategy_names_any_more_lacks_a_stop_that_has_had_one() -> None:
    """By its own level, as long as any strategy has a rule."""
    rule = resting().settings.stop
    assert rule is not None
    state = resting(held=60, stop=None, stops_of_strategies=(("trend", rule),))
    state.settings = replace(state.settings, universe=("BBB",))
    assert lacking(state) == [("AAA", D(60))]
    state.stop_levels[2] = state.stop_levels.pop(1)
    assert lacking(state) == []

"""A person's evidence on an unknown order: what may be said, what it does, and what happens when the broker differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.domain.replies import objection, outcome
from longwatch.journal.codec import recover
from tests.domain.play import Play, played
from tests.domain.world import World, alerts, completed, execution, of_kind, open_order, perm_id

D = Decimal
S = OrderState


def unknown(world: World | None = None) -> tuple[World, int]:
    """An order of 100 AAA handed to the transport, of which nothing was heard."""
    world = world or World.ready()
    intent = world.one(AAA="0.1")
    world.handed(intent)
    world.wait(11)
    world.hear(m.TimeReached)
    assert world.order(intent).state is S.UNKNOWN
    return world, intent


def resolving(world: World, words: str, reason: str = "because") -> m.ControlRequested:
    return m.ControlRequested(at=world.now, tech=world.now, command="resolve", argument=words, reason=reason)


def says(world: World, words: str, reason: str = "the statement of 5 January"):
    return world.hear(m.ControlRequested, command="resolve", argument=words, by="uid 1000", reason=reason)


@pytest.mark.parametrize(
    ("words", "state", "held"),
    [
        ("1 filled - 99.50", S.FILLED, 100),
        ("lw:k7q2:1 filled 100 99.50", S.FILLED, 100),
        ("1 cancelled", S.CANCELLED, 0),
        ("1 cancelled 40 99.50", S.CANCELLED, 40),
        ("1 rejected", S.REJECTED, 0),
        ("1 absent", S.ABSENT, 0),
    ],
)
def test_a_persons_word_settles_an_unknown_order_with_book_and_exposure(
    words: str, state: OrderState, held: int
) -> None:
    """The order ends, the shares are in the book at the price said, none counts as exposure; who and why is a fact."""
    world, intent = unknown()
    assert objection(world.state, resolving(world, words)) is None
    step = says(world, words)
    order = world.order(intent)
    assert (order.state, order.filled, order.remaining, world.state.held(1)) == (state, held, 0, held)
    assert not held or order.average_price == D("99.50")
    (fact,) = of_kind(step.facts, m.OrderResolved)
    assert (fact.by, fact.reason) == ("uid 1000", "the statement of 5 January")
    assert "resolved as" in order.text and "uid 1000" in order.text
    assert of_kind(step.effects, m.RequestSnapshot) and world.state.breakers == {}
    assert str(order.filled) in outcome(world.state, resolving(world, words))[1]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("7 filled - 99.50", "no order is called 7"),
        ("AAA filled - 99.50", "no order is called AAA"),
        ("lw:other:1 filled - 99.50", "no order is called lw:other:1"),
        ("1", "resolve needs an order"),
        ("1 gone", "resolve needs an order"),
        ("1 filled", "add --price"),
        ("1 filled 40 99.50", "has 100 left, not 40"),
        ("1 filled many 99.50", "must be numbers"),
        ("1 filled -5 99.50", "must be numbers"),
        ("1 filled NaN 99.50", "must be numbers"),
        ("1 filled 0 99.50", "must be above zero"),
        ("1 filled - 0.00", "must be above zero"),
        ("1 filled - 1e999999", "must be numbers"),
        ("1 filled - 1e-999999", "must be numbers"),
        ("1 filled - 1e30", "must be numbers"),
        ("1 filled - 1000000000000000000000000000000", "must be numbers"),
        ("1 filled - 9_9", "must be numbers"),
        ("1 filled - \u0669\u0669", "must be numbers"),
        ("1 filled - 9950", "can't be the price of order lw:k7q2:1, decided at 100"),
        ("1 filled - 0.000001", "can't be the price of order lw:k7q2:1"),
        ("1 cancelled 1e-30 99.50", "must be numbers"),
        ("1 cancelled 40.5 99.50", "AAA trades in lots of 1: 40.5 is not"),
        ("\u0661 filled - 99.50", "no order is called"),
        ("1 cancelled 100 99.50", "say `filled`"),
        ("1 cancelled 40", "add --price"),
        ("1 cancelled - 99.50", "add --quantity"),
        ("1 absent 40 99.50", "has filled nothing"),
        ("1 filled - 99.50 and more", "resolve needs an order"),
        ("1 filled - 99.50 surely", "resolve needs an order"),
        ("1 filled - sure", "must be numbers"),
        ("1 filled 40 99.50 sure", "has 100 left, not 40"),
    ],
)
def test_what_can_not_be_said_is_refused_with_what_to_do(words: str, part: str) -> None:
    """And changes nothing, should it come to be decided on all the same."""
    world, _ = unknown()
    why = objection(world.state, resolving(world, words))
    assert why is not None and part in why
    assert says(world, words).facts == ()


def at(world: World, price: str, **quoted: Decimal | None) -> tuple[str | None, m.ControlRequested]:
    """The person's word on a fill of order 1, with the quote of AAA as it is by now."""
    quotes = tuple(replace(one, **quoted) for one in world.quotes() if one.symbol == "AAA") if quoted else ()
    event = replace(resolving(world, f"1 filled - {price}"), quotes=quotes)
    return objection(world.state, event), event


@pytest.mark.parametrize(("bid", "ask", "last"), [(D("39.90"), D("40.10"), None), (None, None, D(40))])
def test_a_price_is_known_by_the_quote_where_the_market_has_gapped(bid, ask, last) -> None:
    """Between what the order was decided at and what it is worth now a fill may be at any price; beyond, at none."""
    world, _ = unknown()
    assert at(world, "40")[0] == (
        "40 can't be the price of order lw:k7q2:1, decided at 100.00: look at the statement again; where it says just "
        "that, add --sure"
    )
    quoted = {"bid": bid, "ask": ask, "last": last}
    for price in ("20", "40", "70", "200"):
        assert at(world, price, **quoted)[0] is None
    for price in ("19.99", "4", "200.01", "1000"):
        why = at(world, price, **quoted)[0]
        assert why is not None and "decided at 100.00, last known at 40" in why
    world.take(at(world, "40", **quoted)[1])
    assert (world.order(1).state, world.order(1).average_price) == (S.FILLED, 40)


def test_a_price_is_known_by_the_last_close_where_there_is_no_quote() -> None:
    """That of after a split is in the shares of today."""
    world, _ = unknown()
    assert world.state.equity is not None
    world.state.equity = replace(world.state.equity, prices=(("AAA", D(10)), ("BBB", D(1))))
    assert [at(world, price)[0] is None for price in ("4.99", "5", "200", "201")] == [False, True, True, False]
    assert at(world, "5", bid=D(60), ask=D(60))[0] is not None


@pytest.mark.parametrize(("words", "filled"), [("1 filled - 4 sure", 100), ("1 cancelled 40 4 sure", 40)])
def test_who_has_looked_again_may_say_any_price(words: str, filled: int) -> None:
    """Nobody has a price of what is halted, or listed no more."""
    world, _ = unknown()
    assert objection(world.state, resolving(world, words.removesuffix(" sure"))) is not None
    assert objection(world.state, resolving(world, words)) is None
    says(world, words)
    assert (world.order(1).filled, world.order(1).average_price) == (filled, 4)


def test_where_nothing_is_known_of_prices_a_word_is_judged_by_what_was_decided() -> None:
    """No quote, no close: a slip is a slip all the same."""
    world, _ = unknown()
    world.state.equity = None
    assert "decided at 100.00:" in str(objection(world.state, resolving(world, "1 filled - 9950")))
    assert objection(world.state, resolving(world, "1 filled - 99.50")) is None


@pytest.mark.parametrize("quantity", [100, 150])
def test_while_a_new_quantity_is_unanswered_a_fill_needs_the_quantity_said(quantity: int) -> None:
    """Either may have been in force: the larger one is not booked for want of a word."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.hear(m.ControlRequested, command="modify", argument=f"{intent} 150 - -", by="uid 1000", quotes=world.quotes())
    world.hear(m.OrderHanded, intent=intent, change=1)
    world.open_orders.clear()
    world.reconcile()
    assert (world.order(intent).state, world.order(intent).remaining) == (S.UNKNOWN, 150)
    why = objection(world.state, resolving(world, "1 filled - 99.50"))
    assert why is not None and "add --quantity" in why
    assert says(world, "1 filled - 99.50").facts == ()
    assert "has 150 left, not 120" in str(objection(world.state, resolving(world, "1 filled 120 99.50")))
    says(world, f"1 filled {quantity} 99.50")
    assert (world.order(intent).state, world.state.held(1)) == (S.FILLED, quantity)


@pytest.mark.parametrize("reason", ["", "   ", "\t"])
def test_a_resolution_needs_a_reason(reason: str) -> None:
    """It stands in the journal."""
    world, _ = unknown()
    why = objection(world.state, resolving(world, "1 absent", reason))
    assert why == "say why, for the journal: resolve needs a --reason"


@pytest.mark.parametrize("state", [state for state in OrderState if state is not S.UNKNOWN])
def test_an_order_that_is_not_unknown_can_not_be_resolved(state: OrderState) -> None:
    """Whatever its state: the broker's word, or none yet, decides."""
    world, intent = unknown()
    world.state.orders[intent] = replace(world.order(intent), state=state)
    why = objection(world.state, resolving(world, "1 absent"))
    assert why is not None and f"is {state.value}: only an order whose outcome is unknown" in why
    assert says(world, "1 absent").facts == ()


def test_a_part_that_was_heard_counts_and_can_not_be_denied() -> None:
    """40 are booked: the order can be filled for the other 60, or cancelled, but not absent."""
    world, intent = unknown()
    world.fill(intent, 40)
    world.state.orders[intent] = replace(world.order(intent), state=S.UNKNOWN)
    why = objection(world.state, resolving(world, "1 absent"))
    assert why is not None and "has filled 40" in why
    says(world, "1 filled - 99.50")
    assert (world.order(intent).state, world.state.held(1)) == (S.FILLED, 100)


# ── what the broker says later ──────────────────────────────────────────────────────────────────────────────────────

Say = Callable[[World, int], object]


def _open(world: World, intent: int) -> object:
    world.open_orders.add(perm_id(intent))
    return world.take(open_order(world.order(intent), world.now))


def _status(status: str, filled: int) -> Say:
    return lambda world, intent: world.status(intent, status, filled)


def _completed(status: str, filled: int) -> Say:
    return lambda world, intent: world.take(completed(world.order(intent), world.now, status, filled))


def _execution(quantity: int) -> Say:
    return lambda world, intent: world.fill(intent, quantity, "99.40")


def _error(world: World, intent: int) -> object:
    order_id = world.order(intent).order_id
    return world.hear(m.OrderErrorSeen, order_id=order_id, code=201, text="no", verdict="rejected")


EVIDENCE: dict[str, tuple[Say, OrderState]] = {
    "it is open": (_open, S.WORKING),
    "status Submitted": (_status("Submitted", 0), S.WORKING),
    "status Cancelled, nothing filled": (_status("Cancelled", 0), S.CANCELLED),
    "completed Cancelled, nothing filled": (_completed("Cancelled", 0), S.CANCELLED),
    "completed Inactive": (_completed("Inactive", 0), S.REJECTED),
    "rejected": (_error, S.REJECTED),
    "completed Filled": (_completed("Filled", 100), S.WORKING),
    "all of it executed": (_execution(100), S.FILLED),
    "forty executed": (_execution(40), S.WORKING),
}
AGREES = {
    "filled": {"completed Filled", "all of it executed", "forty executed"},
    "cancelled": {
        "status Cancelled, nothing filled",
        "completed Cancelled, nothing filled",
        "completed Inactive",
        "rejected",
    },
    "absent": set[str](),
}
AGREES["rejected"] = AGREES["cancelled"]


@pytest.mark.parametrize("evidence", EVIDENCE)
@pytest.mark.parametrize("word", AGREES)
def test_what_the_broker_says_later_is_compared_with_what_the_person_said(word: str, evidence: str) -> None:
    """What agrees changes nothing; what differs takes the word back, quarantines and tells; the broker's word holds."""
    world, intent = unknown()
    says(world, f"{intent} {word}" + (" - 99.50" if word == "filled" else ""))
    say, state = EVIDENCE[evidence]
    step = say(world, intent)
    contradicted = "resolution_contradicted" in alerts(step)  # type: ignore[arg-type]
    assert contradicted == (evidence not in AGREES[word])
    assert bool(world.state.quarantines) == contradicted == (intent not in world.state.resolved)
    if contradicted:
        heard = sum(fill.quantity for fill in world.state.fills.values())
        assert (world.order(intent).filled, world.state.held(1)) == (heard, heard)
        assert world.order(intent).state is (S.WORKING if evidence == "completed Filled" else state)
    else:
        assert not world.order(intent).is_live


def test_executions_heard_after_all_take_the_place_of_what_the_person_said() -> None:
    """In two parts, at the true prices: the book never has more than was filled."""
    world, intent = unknown()
    says(world, "1 filled - 99.50")
    world.fill(intent, 40, "99.40")
    assert (world.state.held(1), world.order(intent).average_price) == (100, D("99.46"))
    world.fill(intent, 60, "99.60")
    assert (world.state.held(1), world.order(intent).average_price) == (100, D("99.52"))
    assert all(not name.startswith("resolved:") for name in world.state.fills)
    assert not world.state.quarantines and world.order(intent).state is S.FILLED


def test_an_execution_told_again_or_corrected_contradicts_nothing() -> None:
    """Every download tells it again; a correction takes the place of what it corrects."""
    for name, corrected in (("0018.01", "0018.02"), ("plain", "")):
        world, intent = unknown()
        says(world, "1 filled - 99.50")
        world.fill(intent, 100, "99.40", exec_id=name)
        world.wait(1)
        world.fill(intent, 100, "99.40", exec_id=name)
        if corrected:
            world.fill(intent, 100, "99.30", exec_id=corrected)
        assert (world.state.held(1), world.state.quarantines) == (100, {})


@pytest.mark.parametrize(("filled", "agrees"), [(40, True), (30, True), (41, False), (35, False), (29, False)])
def test_an_end_with_what_had_filled_before_a_correction_contradicts_nothing(filled: int, agrees: bool) -> None:
    """A status goes on counting the 10 of 40 that were taken back; where it does not, it is the book's 30."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.fill(intent, 40, "100", "x1.01")
    world.open_orders.clear()
    world.reconcile(3)
    says(world, f"{intent} cancelled")
    world.executions[:] = ["x1.02"]
    world.positions[1] -= 10
    world.take(execution(world.order(intent), world.now, "x1.02", 30, "100"))
    step = world.take(completed(world.order(intent), world.now, "Cancelled", filled))
    assert (intent in world.state.resolved) == agrees == ("resolution_contradicted" not in alerts(step))
    assert (world.order(intent).filled, bool(world.state.quarantines)) == (30, not agrees)


def test_a_wrong_word_leaves_cost_and_gain_as_though_it_had_never_been_said() -> None:
    """Said to have bought at 99.50; 100 were bought at 110 since, and 50 of them sold at 120."""
    world, intent = unknown()
    says(world, f"{intent} filled - 99.50")
    for weight, price in (("0.2", "110"), ("0.15", "120")):
        world.finish(world.one(AAA=weight), price)
    assert world.state.held(1) == 150
    assert "resolution_contradicted" in alerts(world.open_order(intent))
    holding = world.state.book[1]
    assert (holding.quantity, holding.average_cost, holding.realized) == (50, 110, 500)


def test_a_contradiction_is_told_once_and_a_lifted_quarantine_stays_lifted() -> None:
    """Every download tells the completed order again: that is no news."""
    world, intent = unknown()
    says(world, "1 absent")
    row = completed(world.order(intent), world.now, "Cancelled", 0)
    assert "resolution_contradicted" in alerts(world.take(row))
    world.hear(m.ControlRequested, command="unquarantine", argument="AAA", by="uid 1000")
    assert world.take(row).facts == () and not world.state.quarantines


def test_a_wrong_word_quarantines_also_when_only_the_position_differs() -> None:
    """Said to be filled, and the account shows nothing of it: the usual comparison finds that."""
    world, _ = unknown()
    says(world, "1 filled - 99.50")
    world.reconcile(3)
    assert "position: book 100" in world.state.quarantines[1].reason


def test_a_resolution_outlives_the_process() -> None:
    """Word, fill and its contradiction are folded from the journal."""
    play = Play()
    played([], play)
    unknown(play)
    says(play, "1 filled - 99.50")
    play.state = recover(play.records)
    assert (play.state.held(1), play.state.resolved[1].outcome) == (100, "filled")
    play.take(open_order(play.order(1), play.now))
    play.state = recover(play.records)
    assert (play.state.held(1), play.order(1).state, play.state.resolved) == (0, S.WORKING, {})


@given(
    st.sampled_from(["filled - 99.50", "cancelled", "cancelled 40 99.50", "rejected", "absent"]),
    st.lists(st.sampled_from([10, 20, 30, 40]), max_size=4).filter(lambda parts: sum(parts) <= 100),
    st.sampled_from(["Filled", "Cancelled", ""]),
    st.randoms(use_true_random=False),
)
def test_whatever_a_person_said_the_book_ends_with_what_the_broker_told(word, parts, end, random) -> None:
    """Executions and the end in any order: what was said wrongly leaves no share behind once the broker has spoken."""
    world, intent = unknown()
    says(world, f"{intent} {word}")
    if end == "Filled" and sum(parts) != 100:
        parts = [*parts, 100 - sum(parts)]
    told: list[Say] = [_execution(part) for part in parts]
    if end:
        told.append(_completed(end, sum(parts)))
    random.shuffle(told)
    for say in told:
        world.wait(1)
        say(world, intent)
    if end or sum(parts) == 100:
        assert world.state.held(1) == sum(parts)
        assert not world.order(intent).is_live
    assert world.order(intent).filled <= 100

"""A person's word and the broker's rows: by which names a row is about the order, and what it must say to differ."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.order_life.inference import VOID
from longwatch.domain.orders import OrderState
from longwatch.domain.replies import objection
from tests.domain.test_resolution import resolving, says, unknown
from tests.domain.world import World, alerts, completed, execution, of_kind, open_order, order_status, perm_id

D = Decimal
S = OrderState
NAMELESS = {"ref": "", "perm_id": 0, "client_id": 99, "order_id": 0}
ROWS = {
    "an order at work": lambda world: open_order(world.order(1), world.now),
    "an execution": lambda world: execution(world.order(1), world.now, "0001.01", 40, "99.40"),
    "a status": lambda world: order_status(world.order(1), world.now, "Submitted", D(0)),
    "a completed order": lambda world: completed(world.order(1), world.now, "Filled", 100),
}


def named(row: Any, *names: str) -> Any:
    """The row, which bears only these of its names."""
    taken = {name: value for name, value in NAMELESS.items() if hasattr(row, name) and name not in names}
    return replace(row, **taken)


def resolved(words: str = "1 absent", *, perm: bool = False) -> World:
    """An order whose outcome a person told; with `perm` its permId had been heard before."""
    world, intent = unknown()
    if perm:
        world.open_order(intent, "Inactive")
        world.state.orders[intent] = replace(world.order(intent), state=S.UNKNOWN)
    says(world, words)
    assert intent in world.state.resolved
    return world


def is_taken_back(world: World, row: m.Event) -> bool:
    """Whether the row contradicts what was said."""
    told = "resolution_contradicted" in alerts(world.take(row))
    assert told == (1 not in world.state.resolved) == bool(world.state.quarantines)
    return told


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("an order at work", ("ref",)),
        ("an order at work", ("ref", "client_id", "order_id")),
        ("an execution", ("ref",)),
        ("an execution", ("client_id", "order_id")),
        ("a completed order", ("ref",)),
    ],
)
def test_a_row_contradicts_by_the_orders_reference_or_its_id_at_the_gateway(kind: str, names: tuple[str, ...]) -> None:
    """Each alone: rows of an order that the gateway has forgotten bear less than they did."""
    world = resolved()
    row = named(ROWS[kind](world), *names)
    assert is_taken_back(world, replace(row, perm_id=perm_id(1)) if kind == "an order at work" else row)


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_contradicts_by_the_permid_alone(kind: str) -> None:
    """It is the order's for ever, by whatever other names it goes by now."""
    world = resolved("1 rejected", perm=True)
    assert is_taken_back(world, named(ROWS[kind](world), "perm_id"))


@pytest.mark.parametrize("kind", ["an order at work", "an execution", "a completed order"])
@pytest.mark.parametrize(("account", "counts"), [("", True), ("DU999999", False)])
def test_what_another_account_has_says_nothing_and_a_row_without_account_counts(
    kind: str, account: str, counts: bool
) -> None:
    """One log-in may see several accounts; some rows name none."""
    world = resolved()
    assert is_taken_back(world, replace(ROWS[kind](world), account=account)) == counts


def test_another_orders_execution_contradicts_nothing() -> None:
    """While a person's word on one order stands, the others go on."""
    world = resolved()
    world.acknowledge(world.one(AAA="0.1"))
    step = world.fill(2, 40)
    assert "resolution_contradicted" not in alerts(step) and 1 in world.state.resolved
    assert not world.state.quarantines and world.state.held(1) == 40


@pytest.mark.parametrize("fields", [{"perm_id": 0}, {"status": "Inactive"}, {"status": "PendingSubmit"}])
def test_an_order_shown_without_a_permid_or_not_at_work_contradicts_nothing(fields: dict[str, Any]) -> None:
    """Without a permId the broker has not taken it; what is not at work may have ended as it was said."""
    world = resolved("1 rejected")
    assert not is_taken_back(world, open_order(world.order(1), world.now, **fields))


@pytest.mark.parametrize("status", ["Cancelled", "ApiCancelled"])
def test_a_cancel_after_shares_that_nobody_named_contradicts_the_person(status: str) -> None:
    """Said: cancelled, nothing filled. The broker: cancelled after 40. The same end, and not the same shares."""
    world = resolved("1 cancelled")
    assert is_taken_back(world, order_status(world.order(1), world.now, status, D(40)))


@pytest.mark.parametrize("figure", [0, 100])
def test_filled_agrees_with_filled_whatever_figure_comes_with_the_word(figure: int) -> None:
    """Some rows of completed orders tell none."""
    world = resolved("1 filled - 99.50")
    assert not is_taken_back(world, completed(world.order(1), world.now, "Filled", figure))
    assert (world.order(1).state, world.state.held(1)) == (S.FILLED, 100)


def test_an_execution_that_shares_no_more_than_the_head_of_its_id_is_no_correction() -> None:
    """Ids have several dots: all but the last part names an execution, and the last one its revision."""
    world = resolved("1 cancelled")
    world.acknowledge(world.one(BBB="0.1"))
    world.fill(2, 40, "50", exec_id="0000e0d5.59b2c3a1.01.01")
    row = execution(world.order(1), world.now, "0000e0d5.59b2c3a7.01.01", 40, "99.40")
    assert is_taken_back(world, row) and world.state.held(1) == 40


def test_a_contradiction_is_critical_and_says_who_said_what_and_what_to_do() -> None:
    """And the fill that was made up for the person's word is void under a name of its own."""
    world = resolved("1 filled - 99.50")
    step = world.status(1, "Cancelled", 0)
    (alert,) = [one for one in of_kind(step.effects, m.RaiseAlert) if one.key == "resolution_contradicted"]
    assert alert.severity == "critical"
    assert "resolved as filled by uid 1000, yet the broker says: it is cancelled after 0 filled" in alert.text
    assert "AAA is quarantined: compare with the broker's statement, then unquarantine it" in alert.text
    (void,) = of_kind(step.facts, m.FillBooked)
    assert void.exec_id.startswith(VOID) and void.quantity == 0


# ── what may be said ────────────────────────────────────────────────────────────────────────────────────────────────


def why_not(world: World, words: str) -> str | None:
    return objection(world.state, resolving(world, words))


def ending(after: int, **fields: Any) -> World:
    """The broker says that the order has ended, cancelled after so many shares, of which no execution tells."""
    world, intent = unknown()
    world.open_order(intent)
    world.status(intent, "Cancelled", after)
    world.state.orders[intent] = replace(world.order(intent), **fields)
    return world


def test_an_order_that_ended_with_shares_that_nobody_tells_of_is_open_to_a_persons_word_but_was_not_absent() -> None:
    """The broker has had it; where it works on, only these shares may be spoken of; where all were heard, none."""
    world = ending(40)
    assert world.order(1).ending is S.CANCELLED and why_not(world, "1 cancelled 40 99.50") is None
    assert "was seen at the broker" in str(why_not(world, "1 absent"))
    closed = "only an order whose outcome is unknown can be resolved"
    assert "works on: say unfilled if 40 that" in str(why_not(ending(40, ending=None), "1 cancelled 40 99.50"))
    assert closed in str(why_not(ending(40, ending=None, reported=D(0)), "1 unfilled"))
    assert closed in str(why_not(ending(40, reported=D(0)), "1 cancelled 40 99.50"))


@pytest.mark.parametrize("outcome", ["rejected", "absent"])
@pytest.mark.parametrize("figures", ["40", "- 99.50", "40 99.50"])
def test_what_never_traded_has_neither_quantity_nor_price(outcome: str, figures: str) -> None:
    """Either of them means that the person reads of something else."""
    world, _ = unknown()
    assert f"an order that is {outcome} has filled nothing" in str(why_not(world, f"1 {outcome} {figures}"))


def test_the_rest_of_an_order_partly_heard_may_be_said_with_its_quantity() -> None:
    """40 of 100 are booked: 60 are what is left, and neither 100 nor 140."""
    world, intent = unknown()
    world.fill(intent, 40)
    world.state.orders[intent] = replace(world.order(intent), state=S.UNKNOWN)
    assert why_not(world, "1 filled 60 99.50") is None
    for quantity in (100, 140):
        assert f"has 60 left, not {quantity}" in str(why_not(world, f"1 filled {quantity} 99.50"))
    assert "has filled 40: it can be filled or cancelled, not rejected" in str(why_not(world, "1 rejected"))


@pytest.mark.parametrize(("price", "is_one"), [("49.99", False), ("50", True), ("200", True), ("200.01", False)])
def test_a_price_is_believed_from_half_to_twice_what_was_decided(price: str, is_one: bool) -> None:
    """Decided at 100; an execution further off is another instrument's, or a slip of the pen."""
    world, _ = unknown()
    assert (why_not(world, f"1 filled - {price}") is None) == is_one


FORM = "an order, filled, cancelled, rejected, absent or unfilled, and where shares had filled their quantity and price"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("1 cancelled - - -", f"resolve needs {FORM}; it was given '1 cancelled - - -'"),
        ("1 cancelled 4O 99.50", "quantity and price must be numbers like 40 and 85.20, not 4O 99.50"),
        ("1 cancelled 0 99.50", "quantity and price must be above zero, not 0 99.50"),
        ("1 cancelled 40", "a fill needs its price: add --price with the average price of the broker's statement"),
        ("1 cancelled - 9", "a price without a quantity says nothing: add --quantity with what had filled"),
    ],
)
def test_a_refusal_quotes_what_was_given_and_says_what_to_do(words: str, why: str) -> None:
    """In one sentence, which the person reads at the command line."""
    world, _ = unknown()
    assert why_not(world, words) == why


def test_after_a_persons_word_the_account_is_read() -> None:
    """Should the broker know better, it is heard at once."""
    world, _ = unknown()
    step = says(world, "1 absent")
    assert of_kind(step.effects, m.RequestSnapshot) == [m.RequestSnapshot(reason="order lw:k7q2:1 was resolved")]

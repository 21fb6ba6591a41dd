"""The table of an order's life as a page of documentation; `python -m` prints docs/orders.md."""

from __future__ import annotations

from longwatch.domain.order_life.transitions import CRITICAL, MEANT, Impossible, next_state
from longwatch.domain.orders import TERMINAL, Evidence, OrderState

HEADING = (
    "# What becomes of an order",
    "",
    "An order is in one of twelve states, and only evidence moves it. The table has a cell for each state and each",
    "kind of evidence, and no default. A cell names the state that follows; `·` means that the order stays as it is.",
    "A letter is an alert: such evidence can't be true of such an order, so nothing moves and a person is told.",
    "",
    "The journal keeps each move as a record `OrderMoved` with the evidence, the kind of message that showed it",
    "(`proof`) and, as its cause, the number of the record that holds the message itself: `longwatch journal show",
    "NUMBER` prints both. `longwatch orders --json` has `evidence` and `proof` of every order.",
    "",
    "This page is printed by `python -m longwatch.ops.order_page`.",
    "",
)
LETTERS = {alert: letter for alert, letter in zip(Impossible, "ABCDEF", strict=True)}
ENTERED_BY = (
    "",
    "Live states count as exposure at worst; those that have ended (**bold** above) do not. Evidence of the broker",
    "about an order that had been concluded to be gone (unsent, absent, inferred, rejected), and a download that lists",
    "as open an order that was told to have ended, make it live again with the alert `order_revived`.",
    "",
    "A rejection may come late. An order that was never acknowledged is asked about by a cancel; a code that refuses",
    "orders and no cancels ends it as *rejected* still, once, with its reason, and counts for the breaker. What may",
    "be said of the cancel leaves it *unknown*, and a person is told (`rejected if new` and `unclear` in",
    "[codes.md](codes.md)).",
    "",
    "## The alerts",
    "",
    "| | key | what it would mean | what to do | severity |",
    "|---|---|---|---|---|",
)


def page() -> str:
    """The whole page, ending in a newline."""
    states = [f"**{state.value}**" if state in TERMINAL else state.value for state in OrderState]
    head = ("| | " + " | ".join(states) + " |", "|---|" + "---|" * len(states))
    rows = (_row(evidence) for evidence in Evidence)
    return "\n".join((*HEADING, *head, *rows, *ENTERED_BY, *map(_alert, Impossible), ""))


def _row(evidence: Evidence) -> str:
    return f"| {evidence.value} | " + " | ".join(_cell(state, evidence) for state in OrderState) + " |"


def _cell(state: OrderState, evidence: Evidence) -> str:
    cell = next_state(state, evidence)
    if isinstance(cell, Impossible):
        return LETTERS[cell]
    return "·" if cell is state else cell.value


def _alert(alert: Impossible) -> str:
    meaning, what_to_do = MEANT[alert]
    severity = "critical" if alert in CRITICAL else "warning"
    return f"| {LETTERS[alert]} | `{alert.value}` | {meaning} | {what_to_do} | {severity} |"


if __name__ == "__main__":
    print(page(), end="")

"""The broker's codes and what follows from each as a page of documentation; `python -m` prints docs/codes.md."""

from __future__ import annotations

from itertools import groupby

from longwatch.broker.codes import TABLE, Code, Kind
from longwatch.domain.order_life.verdicts import WHAT_FOLLOWS, Action, Verdict
from longwatch.domain.orders import OrderState

HEADING = (
    "# What the broker's codes mean",
    "",
    "Message 4 of the TWS API carries a code. On an order's id it is judged by what was last asked about that order",
    "(a new order, its modification, its cancel): that gives a *verdict*. What the daemon does about a verdict depends",
    "on the order's state. A code without a row is `unclear`: it ends no order in any state, a person is told, and",
    "other evidence decides. Elsewhere it ends the request it is about.",
    "While new terms of an order are not answered, `rejected` may be of them or of the order: it counts as `unclear`,",
    "and the account is read. After a cancel, `rejected if new` is the late answer to an order that was never",
    "acknowledged (it has no permId): that one is `rejected`, of any other it is a `notice`. Should an order that was",
    "ended so be shown at work after all, it is live again, with the alert `order_revived`.",
    "",
    "`trading.ib.codes_file` names a YAML file with further rows, which take the place of these:",
    "",
    "```",
    "codes:",
    "  - {code: 10999, meaning: held for review, verdict: unclear, severity: critical}",
    "```",
    "",
    "`after_modify` and `after_cancel` may be given too; a rejection leaves the order that was there, but for one",
    "whose cancel went out before it was acknowledged. `severity` is that of the alert; `info` raises none, but for",
    "a rejection, which is always told. This page is printed by `python -m longwatch.ops.code_page`.",
    "",
    "## Verdict × state of the order → action",
    "",
)
NAMES = {
    Action.NOTHING: "·",
    Action.END: "ends",
    Action.KEEP: "keeps",
    Action.ASK: "asks",
    Action.GATHER: "gathers",
    Action.TELL: "tells",
}
VERDICTS = {
    Verdict.NOTICE: "the order goes on",
    Verdict.UNCHANGED: "its modification is refused, the order goes on",
    Verdict.REJECTED: "it is not accepted, or has ended",
    Verdict.REJECTED_IF_NEW: "it is not accepted; one that was acknowledged before goes on",
    Verdict.CANCELLED: "it was cancelled: a status or a download says the same",
    Verdict.NOT_FOUND: "the cancel found no such order",
    Verdict.TOO_LATE: "the cancel came too late",
    Verdict.UNCLEAR: "nothing is known from it",
}
ROWS_HEAD = ("| code | meaning | new | modified | cancelled | severity |", "|---|---|---|---|---|---|")


def page() -> str:
    """The whole page, ending in a newline."""
    by_kind = groupby(sorted(TABLE, key=lambda row: (list(Kind).index(row.kind), row.code)), key=lambda row: row.kind)
    tables = [line for kind, rows in by_kind for line in _table(kind, list(rows))]
    return "\n".join((*HEADING, *_actions(), *tables))


def _actions() -> list[str]:
    states = list(OrderState)
    head = [_line("verdict", "meaning", *(state.value for state in states)), "|---" * (len(states) + 2) + "|"]
    rows = [_line(one.value, VERDICTS[one], *(NAMES[WHAT_FOLLOWS[one][state]] for state in states)) for one in Verdict]
    meant = [f"- {name}: {action.value}" for action, name in NAMES.items()]
    return [*head, *rows, "", *meant, "", "## The codes", ""]


def _table(kind: Kind, rows: list[Code]) -> list[str]:
    return [f"### {kind.value[:1].upper()}{kind.value[1:]}", "", *ROWS_HEAD, *map(_row, rows), ""]


def _row(row: Code) -> str:
    return _line(str(row.code), row.meaning, row.new.value, row.modify.value, row.cancel.value, row.severity)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print(page(), end="")

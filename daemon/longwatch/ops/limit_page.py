"""The table of limits as a page of documentation; `python -m` prints docs/limits.md."""

from __future__ import annotations

from longwatch.domain.risk.limits import EVERY, Does, Limit
from longwatch.domain.risk.table import LIMITS

HEADING = (
    "# The limits",
    "",
    "Every limit there is, what it does, the setting that moves it with its default, and the test in which a whole",
    "daemon runs into it. Limits hold at worst: what is held, with every live order on one side filled and none on the",
    "other, orders of unknown outcome and of other people included. Those on orders, on positions and on the account's",
    "means are asked once more when an order's bytes are about to leave: what others have traded or ordered since may",
    "have taken the room.",
    "",
    "A setting marked *live* follows `longwatch reload`; loosening one in a session needs an explicit word. One marked",
    "*restart* does not. `longwatch limits` shows what each limit sees now, and how much room it leaves. A refusal or",
    "a smaller order is a record of the journal, `TradeRefused` or `TradeClamped`, with the figure seen and the limit.",
    "",
    "This page is printed by `python -m longwatch.ops.limit_page`.",
)
HEADS = {
    Does.HOLDS: ("No order leaves while", "Orders wait, and nothing is lost; `longwatch status` names the reason."),
    Does.REFUSES: ("Refused", "The first that is not met refuses the order, by its name."),
    Does.CAPS: ("Made smaller", "An order is cut to what each leaves room for, and refused where that is too little."),
    Does.SIZES: ("Made smaller before it is an order", "A target is cut to what each allows."),
    Does.LATCHES: (
        "Held once it is reached",
        "Limits on what has happened. `reducing` lets only reducing orders leave, `halted` none; what works against it "
        "is cancelled, but for protective stops. A take-profit sells of each strategy's part: there is none while one "
        "that has a part of the holding is halted. A hold lasts, restarts too, until `longwatch resume [NAME]`, or "
        "until the next session where `holds.until` says so.",
    ),
    Does.ALERTS: ("Told", "Nothing is held back; a person is told."),
}


def page() -> str:
    """The whole page, ending in a newline."""
    parts = [line for does, (title, text) in HEADS.items() for line in _section(does, title, text)]
    return "\n".join((*HEADING, *parts, ""))


def _section(does: Does, title: str, text: str) -> list[str]:
    rows = [_row(row) for row in LIMITS if row.does is does]
    head = ["| limit | what it asks | unit | setting, default | binds | shown by |", "|---|---|---|---|---|---|"]
    return ["", f"## {title}", "", text, "", *head, *rows] if rows else []


def _row(row: Limit) -> str:
    settings = "<br>".join(f"`{one.path}` {one.default} *{one.reload}*" for one in row.settings) or "–"
    binds = "all" if row.binds == EVERY else ", ".join(sorted(row.binds))
    test = row.test.partition("::")[2].partition("[")[0]
    return f"| `{row.name}` | {row.text} | {row.unit} | {settings} | {binds} | `{test}` |"


if __name__ == "__main__":
    print(page(), end="")

"""What may stand in a fault plan, as a page of documentation; `python -m` prints docs/faults.md."""

from __future__ import annotations

from longwatch.simulation.plan import FAULTS, OURS, Scope

HEADING = (
    "# What can go wrong at the simulated gateway",
    "",
    "A fault plan (`longwatch gateway --faults FILE`) is a list below `faults:`. Each entry has",
    "",
    "- `when`: an instant, as `2007-01-04T15:00:00Z`, or a trigger as in the daemon's schedule, as",
    "  `5 minutes after the open`, which is due in every session;",
    "- `fault`: one of the table;",
    "- what the table has for it: `seconds` of market time that it lasts, `count` of how many, `by` how much, `part`",
    "  of what; a value left out is the first one shown;",
    "- maybe `after: order` or `after: cancel`: it waits for the next one from then on, and for `wait` seconds more.",
    "",
    "The values shown are what `longwatch simulate` draws between; a plan may have others. This page is printed by",
    "`python -m longwatch.simulation.fault_page`, and each fault and part is tested by the frames a plain client got.",
    "",
    "| fault | what happens | seconds | count | by | part |",
    "|---|---|---|---|---|---|",
)


def page() -> str:
    """The table of faults, and what `simulate` adds to it."""
    ours = "; ".join(f"{scope.text} (`{name}`)" for name, scope in OURS.items())
    rows = (_row(name, scope) for name, scope in FAULTS.items())
    ending = (
        "",
        f"Only in `longwatch simulate`, as they happen to the daemon: {ours}.",
        "",
    )
    return "\n".join((*HEADING, *rows, *ending))


def _row(name: str, scope: Scope) -> str:
    cells = (_range(scope.seconds), _range(scope.count), _range(scope.by), ", ".join(scope.parts) or "–")
    return f"| {name} | {scope.text} | {' | '.join(cells)} |"


def _range(values: tuple[float, float] | None) -> str:
    if values is None:
        return "–"
    return f"{values[0]:g}" if values[0] == values[1] else f"{values[0]:g} to {values[1]:g}"


if __name__ == "__main__":
    print(page(), end="")

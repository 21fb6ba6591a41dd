"""`longwatch why`, `decision`, `fills`, `events` and `state`: what the journal tells of the past; entered by cli.

They read the journal's file, beside a running daemon or without one, and write nothing. Exit codes: 0 done; 1 a
decision made again came out otherwise; 64 asked for what is not there; 74 the journal can't be read.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longwatch.errors import UsageError
from longwatch.ops.journal import MOST_LINES, SEQUENCE, FileOption, Kinds, journal_path, known_kinds, teller
from longwatch.ops.journal import ConfigOption as JournalOfConfig
from longwatch.ops.options import AsJson, unset

if TYPE_CHECKING:
    pass

Order = Annotated[
    str,
    typer.Argument(metavar="ORDER", help="Its number or reference, a permId, an order id or an execId."),
]
Since = Annotated[str | None, unset("From this time on, as 2007-01-05 or 2007-01-05T14:35; UTC.", "TIME", "--since")]
Until = Annotated[str | None, unset("Before this time.", "TIME", "--until")]
OfSymbol = Annotated[str, unset("Only of this symbol.", "SYMBOL", "--symbol")]
Lines = Annotated[int, typer.Option("-n", "--lines", min=0, max=MOST_LINES, help="How many of the last; 0: all.")]
Moment = Annotated[str | None, unset("After this record, or at this time in UTC [default: now].", "SEQ|TIME", "--at")]
Recompute = Annotated[bool, typer.Option("--recompute", help="Decide again, and say whether the same comes out.")]


def enter(app: typer.Typer) -> None:
    """Enter every command of this module, in the order that help shows."""
    for command in (why, decision, fills, events, state):
        app.command()(command)


def why(
    order: Order,
    recompute: Recompute = False,
    as_json: AsJson = False,
    file: FileOption = None,
    config: JournalOfConfig = None,
) -> None:
    """Tell why an order is what it is: bars, signals, target, clamps, checks, messages, fills, costs.

    Example: longwatch why 7
    """
    from longwatch.explain.again import recompute as decide_again
    from longwatch.explain.why import why as story_of
    from longwatch.ops.told_text import again_text
    from longwatch.ops.why_text import why_text

    path = journal_path(file, config)
    if not recompute:
        story = story_of(path, order)
        print(_json(story) if as_json else why_text(story))
        return
    found = decide_again(path, order)
    print(_json(found) if as_json else again_text(found))
    if not found["same"]:
        raise typer.Exit(1)


def decision(
    which: Annotated[str, typer.Argument(metavar="[ID]", help="A run's id, one of its records, or last.")] = "last",
    as_json: AsJson = False,
    file: FileOption = None,
    config: JournalOfConfig = None,
) -> None:
    """Show one decision, symbol by symbol: target, held, trade, what made it smaller or refused it, orders.

    Example: longwatch decision rebalance@2007-01-03T14:35:00+00:00
    """
    from longwatch.explain.decision import decision as decision_of
    from longwatch.ops.told_text import decision_text

    made = decision_of(journal_path(file, config), which)
    print(_json(made) if as_json else decision_text(made))


def fills(
    since: Since = None,
    until: Until = None,
    symbol: OfSymbol = "",
    count: Lines = 50,
    as_json: AsJson = False,
    file: FileOption = None,
    config: JournalOfConfig = None,
) -> None:
    """List executions with commission and slippage, those that were corrected or taken back too.

    Example: longwatch fills --since 2007-01-03 --symbol AAPL --json
    """
    from longwatch.explain.fills import fills as fills_of
    from longwatch.ops.told_text import fills_text

    path = journal_path(file, config)
    rows = fills_of(
        path, since=_time("--since", since), until=_time("--until", until), symbol=symbol.upper(), last=count
    )
    print(_json(rows) if as_json else fills_text(rows))


def events(
    kind: Kinds = None,
    order: Annotated[str | None, unset("Only about this order.", "ORDER", "--order")] = None,
    symbol: OfSymbol = "",
    since: Since = None,
    until: Until = None,
    count: Lines = 50,
    as_json: AsJson = False,
    file: FileOption = None,
    config: JournalOfConfig = None,
) -> None:
    """List what was heard and concluded, by kind, order, symbol and time; archived events too.

    Example: longwatch events --symbol AAPL --kind OrderErrorSeen --since 2007-01-03
    """
    from longwatch.explain.listing import listed

    path, show = journal_path(file, config), teller(as_json)
    for entry in listed(
        path,
        kinds=known_kinds(kind),
        order=order,
        symbol=symbol.upper(),
        since=_time("--since", since),
        until=_time("--until", until),
        last=count,
    ):
        show(entry)


def state(
    at: Moment = None,
    as_json: AsJson = False,
    file: FileOption = None,
    config: JournalOfConfig = None,
) -> None:
    """Show the book, orders, targets and what was held back, as of any moment of the journal.

    Example: longwatch state --at 2007-01-03T15:00
    """
    from longwatch.ops.moment import moment_of
    from longwatch.ops.told_text import moment_text

    sequence, instant = None, None
    if at is not None and SEQUENCE.fullmatch(at):
        sequence = int(at)
    elif at is not None:
        instant = _time("--at", at)
    moment = moment_of(journal_path(file, config), sequence, instant)
    print(_json(moment) if as_json else moment_text(moment))


def _time(option: str, text: str | None) -> datetime | None:
    """A day, or an instant; in UTC where it does not say. Raises UsageError for anything else."""
    if text is None:
        return None
    try:
        if len(text) == len("2007-01-05"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except ValueError:
        raise UsageError(f"{option} {text}: write a time as 2007-01-05 or 2007-01-05T14:35:00") from None
    except OverflowError:
        raise UsageError(f"{option} {text}: in UTC this lies outside the years 1 to 9999; give a later day") from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

"""What a person tells a running daemon: verbs, cancels, evidence, reload; entered into the command line by cli."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from longwatch.errors import UsageError
from longwatch.ops.ask import show, tell
from longwatch.ops.options import AsJson, ConfigOption, Reason, SocketOption, unset

Subject = Annotated[
    str,
    typer.Argument(
        metavar="WHICH", help="A symbol; for orders also a number or reference, for holdings the contract's number."
    ),
]
Name = Annotated[str, typer.Argument(metavar="[NAME]", help="Allow this symbol or strategy again, or all.")]


def enter(app: typer.Typer) -> None:
    """Enter every command of this module, in the order that help shows."""
    for command in (reload, resume, flatten, flow, modify, resolve, reconcile):
        app.command()(command)
    for name, (text, example) in VERBS.items():
        _verb(app, name, text, example)
    for name, (text, example) in ABOUT.items():
        _about(app, name, text, example)


def reload(
    loosen: Annotated[bool, typer.Option("--loosen", help="Allow wider limits during a session.")] = False,
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Read the configuration again, as SIGHUP does.

    Example: longwatch reload
    """
    tell("reload", socket, config, argument="loosen" if loosen else "")


def resume(
    which: Name = "",
    reason: Reason = "",
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Lift halt, pause, flatten and limits on the account; or what holds back one symbol's or strategy's orders.

    Example: longwatch resume AAPL --reason "the permission is there"
    """
    tell("resume", socket, config, argument=which, reason=reason)


def flatten(
    order_type: Annotated[str, unset("MKT, or LMT: beyond the quote's far side.", "TYPE", "--type")] = "",
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Cancel what works, close what is ours, open nothing until `resume`.

    Example: longwatch flatten --yes --reason "end of the trial"
    """
    if not yes and sys.stdin.isatty():
        typer.confirm("Close every position of ours?", abort=True)
    tell("flatten", socket, config, argument=order_type, reason=reason)


def flow(
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="In the base currency; negative when it left.")],
    reason: Reason = "",
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Say that money came into the account or left it: losses and peaks are measured without it.

    Example: longwatch flow 10000 --reason "deposit of 5 January"; a withdrawal: longwatch flow -- -2500
    """
    tell("flow", socket, config, argument=amount, reason=reason)


def modify(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's number or reference.")],
    quantity: Annotated[str, unset("Shares in all, what has filled included.", "SHARES")] = "",
    limit: Annotated[str, unset("The limit price; rounded to the tick.", "PRICE")] = "",
    stop: Annotated[str, unset("The stop price; rounded to the tick.", "PRICE")] = "",
    reason: Reason = "",
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Change a working order. Until the broker shows it so, both the old terms and the new ones count.

    Example: longwatch modify 7 --limit 85.20 --reason "the market has moved"
    """
    words = (order or '""', quantity or "-", limit or "-", stop or "-")
    if any(len(word.split()) != 1 for word in words):
        raise UsageError("ORDER, --quantity, --limit and --stop are one word each, like 7, 40 and 85.20")
    tell("modify", socket, config, argument=" ".join(words), reason=reason)


def resolve(
    order: Annotated[str, typer.Argument(metavar="ORDER", help="The order's number or reference.")],
    outcome: Annotated[str, unset("filled, cancelled, rejected, absent or unfilled.", "OUTCOME", "--as")] = "",
    quantity: Annotated[str, unset("Shares that had filled; for filled, all that was left.", "SHARES")] = "",
    price: Annotated[str, unset("Their average price, by the broker's statement.", "PRICE")] = "",
    sure: Annotated[bool, typer.Option("--sure", help="The price is far from those known, and right.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
    socket: SocketOption = None,
    config: ConfigOption = None,
) -> None:
    """Say what became of an order whose outcome is unknown. Should the broker say otherwise later, that counts.

    Example: longwatch resolve 7 --as filled --price 85.20 --reason "statement of 5 January"
    """
    words = (order, outcome or "?", quantity or "-", price or "-", *(["sure"] if sure else []))
    tell("resolve", socket, config, as_json=as_json, argument=" ".join(words), reason=reason)


def reconcile(as_json: AsJson = False, socket: SocketOption = None, config: ConfigOption = None) -> None:
    """Compare the book with the broker now: what differs, since when, why, and what ends a quarantine.

    Example: longwatch reconcile --json
    """
    from longwatch.ops.tables import comparison_text

    show("reconcile", comparison_text, as_json, socket, config)


VERBS = {
    "halt": ("Send no orders at all; cancels still go. Holds over restarts.", ' --reason "wrong prices"'),
    "pause": ("Open no new positions; reducing goes on.", ' --reason "on holiday"'),
    "drain": ("Finish what is under way, then stop; working orders stay with the broker.", ""),
}
ABOUT = {
    "cancel": ("Cancel working orders.", 'AAPL --reason "not today"'),
    "adopt": (
        "Take a holding of the account as ours: the shares traded under a symbol, never its options. Refused while an "
        "order of ours may have traded them unheard, or somebody else's order may sell them too.",
        'AAPL --reason "bought by hand"',
    ),
    "unquarantine": ("Trade an instrument again.", 'AAPL --reason "checked with the broker"'),
}


def _verb(app: typer.Typer, name: str, text: str, example: str) -> None:
    """Enter a command that only sets a verb."""

    def verb(reason: Reason = "", socket: SocketOption = None, config: ConfigOption = None) -> None:
        tell(name, socket, config, reason=reason)

    app.command(name, help=f"{text}\n\nExample: longwatch {name}{example}")(verb)


def _about(app: typer.Typer, name: str, text: str, example: str) -> None:
    """Enter a command about one thing, named by its argument."""

    def about(
        which: Subject,
        reason: Reason = "",
        socket: SocketOption = None,
        config: ConfigOption = None,
    ) -> None:
        tell(name, socket, config, argument=which, reason=reason)

    app.command(name, help=f"{text}\n\nExample: longwatch {name} {example}")(about)

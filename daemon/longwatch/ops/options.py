"""Options that several commands share, as typer reads them; used by cli."""

from __future__ import annotations

import math
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from longwatch.ops.ask import DEFAULT_SOCKET


def unset(text: str, metavar: str | None = None, *names: str, least: int | None = None, most: int | None = None) -> Any:
    """An option that is not set unless given, so that help shows no default."""
    return typer.Option(*names, metavar=metavar, help=text, show_default=False, min=least, max=most)


def number(text: str, least: float, most: float) -> Any:
    """An option that is a number from `least` to `most`; NaN compares with neither, and so is looked for apart."""
    return typer.Option(help=text, min=least, max=most, callback=_finite)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a number to reckon with.")
    return value


ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="The configuration, YAML or JSON.")]
StartDate = Annotated[str | None, unset("First day, as 2007-01-03.", "DATE", "--start")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random: the same seed, the same run.")]
SocketOption = Annotated[
    Path | None, unset(f"The daemon's control socket [default: {DEFAULT_SOCKET}]", "PATH", "--socket")
]
ConfigOption = Annotated[Path | None, unset("Take the socket's path from this file.", "FILE", "--config")]
Reason = Annotated[str, unset("Why; goes into the journal.", "TEXT", "--reason")]


def with_bare(option: str, meaning: str) -> type[TyperCommand]:
    """A command of which `option` may stand without its value, which is `meaning` then."""

    class Command(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            spelled: list[str] = []
            for word, following in zip_longest(args, args[1:], fillvalue="--"):
                spelled += [word, meaning] if word == option and following.startswith("-") else [word]
            return super().parse_args(ctx, spelled)

    return Command

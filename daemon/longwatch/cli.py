"""Every command of `longwatch`: options in, one call, an exit code out; each imports what it needs when it runs.

Commands that ask a running daemon go through its control socket. A LongwatchError becomes one sentence on standard
error and its exit code.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from longwatch.errors import LongwatchError
from longwatch.ops import journal, told, words
from longwatch.ops.ask import show
from longwatch.ops.journal import FileOption
from longwatch.ops.options import (
    AsJson,
    ConfigFile,
    ConfigOption,
    Seed,
    SocketOption,
    StartDate,
    number,
    unset,
    with_bare,
)

if TYPE_CHECKING:
    from datetime import date

# Without rich, and without shell completion's set-up, `--help` is there in a tenth of a second.
app = typer.Typer(
    name="longwatch",
    help="A trading daemon for Interactive Brokers that a careful person can leave alone for a year.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main(command_line: Callable[[], Any] = app) -> None:
    """Run the command line; the entry point of the `longwatch` program."""
    try:
        command_line()
    except LongwatchError as error:
        raise SystemExit(_told(error)) from None
    except ExceptionGroup as group:
        # A task group wraps what ended it; when that is an error of ours alone, its sentence is all there is to say.
        ours, others = group.split(LongwatchError)
        if ours is None or others is not None:
            raise
        raise SystemExit(_told(*_leaves(ours))) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _told(*errors: LongwatchError) -> int:
    """Each error's sentence on standard error, after all that was logged; the first one's exit code."""
    logging.shutdown()
    for error in errors:
        print(f"longwatch: {error}", file=sys.stderr)
    return errors[0].exit_code


def _leaves(group: ExceptionGroup[LongwatchError]) -> Iterator[LongwatchError]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


@app.command()
def demo(
    days: Annotated[int | None, unset("End after so many trading days.", least=1)] = None,
    pace: Annotated[float, number("Real seconds a simulated day; 0: as fast as it goes.", 0.0, 86_400.0)] = 10.0,
    port: Annotated[int | None, unset("Let other IB clients in on this port.", least=0, most=65535)] = None,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the pages; 0 picks a free one.")] = 9464,
    as_json: Annotated[bool, typer.Option("--json", help="Print one summary object at the end.")] = False,
    seed: Seed = 1,
    keep: Annotated[Path | None, unset("Keep journal and ledger there.", "DIR")] = None,
    start: StartDate = None,
) -> None:
    """Watch it trade real history against a built-in gateway.

    Example: longwatch demo --days 20 --pace 0 --json
    """
    first = _date(start, "--start")
    from longwatch.simulation.demo import demo as run_demo

    _end(
        run_demo(
            days=days,
            pace_seconds=pace,
            port=port,
            http_port=http_port,
            as_json=as_json,
            seed=seed,
            keep=keep,
            start=first,
        )
    )


@app.command()
def run(file: ConfigFile) -> None:
    """Run the daemon until it is told to stop.

    Example: longwatch run config/trading_config.yaml
    """
    from longwatch.production import run as run_daemon

    _end(run_daemon(file))


@app.command()
def gateway(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 4002,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    speed: Annotated[float, number("Market seconds a real second.", 0.001, 1e6)] = 1.0,
    ledger: Annotated[Path | None, unset("Write the ledger there.", "FILE")] = None,
    around_the_clock: Annotated[bool, typer.Option("--around-the-clock", help="Keep the market always open.")] = False,
    market: Annotated[str, typer.Option(metavar="KIND", help="The market: recorded or generated.")] = "recorded",
    bars: Annotated[Path | None, unset("Replay the bars SYMBOL.csv of this folder.", "DIR")] = None,
    start: StartDate = None,
    seed: Seed = 1,
    hold_acks: Annotated[float, number("Withhold acknowledgements for so many seconds.", 0.0, 86_400.0)] = 0.0,
    accounts: Annotated[str, typer.Option(metavar="LIST", help="Accounts, with commas: DU1,DU2=500.")] = "DU123456",
    cash: Annotated[float, number("Cash in each account at the start.", 0.0, 1e15)] = 1_000_000.0,
    symbols: Annotated[str, typer.Option(metavar="LIST", help="Symbols of the market, with commas.")] = "",
    faults: Annotated[Path | None, unset("Let this fault plan happen.", "FILE")] = None,
    events: Annotated[Path | None, unset("Do this event plan to the accounts.", "FILE")] = None,
    server_version: Annotated[int, typer.Option(help="Highest server version spoken: 157 to 178, but not 158.")] = 176,
    pacing: Annotated[str, typer.Option(metavar="HOW", help="Too many messages: delay, reject or off.")] = "delay",
    message_rate: Annotated[int, typer.Option(min=1, help="Messages a second that a client may send.")] = 50,
    conduct: Annotated[str, typer.Option(metavar="LIST", help="Switches of its conduct, with commas.")] = "",
) -> None:
    """Serve a simulated IB Gateway to any IB client.

    Example: longwatch gateway --port 4002 --speed 60
    """
    first = _date(start, "--start")
    from decimal import Decimal

    from longwatch.simulation.serve import gateway as run_gateway

    _end(
        run_gateway(
            port=port,
            host=host,
            speed=speed,
            ledger=ledger,
            around_the_clock=around_the_clock,
            market=market,
            bars=bars,
            start=first,
            seed=seed,
            hold_acks_seconds=hold_acks,
            accounts=_list(accounts),
            cash=Decimal(str(cash)),
            symbols=_list(symbols),
            faults=faults,
            events=events,
            server_version=server_version,
            pacing=pacing,
            message_rate=message_rate,
            conduct=_list(conduct),
        )
    )


@app.command(cls=with_bare("--crash-points", "all"))
def simulate(
    seed: Seed = 1,
    days: Annotated[
        int | None, unset("Trading days, the last one without trouble [default: 5; 1 of cuts].", least=1, most=250)
    ] = None,
    faults: Annotated[str | None, unset("How much goes wrong: none, some or all [default: some].", "LEVEL")] = None,
    weather: Annotated[str, typer.Option(metavar="KIND", help="Generate the market: storms or all.")] = "",
    crash_points: Annotated[str | None, unset("Kill it at its crash points: all, or up to POINT:N.", "POINTS")] = None,
    cuts: Annotated[int, unset("Go on with the seeds that follow until there are so many cuts.", least=0)] = 0,
    as_json: AsJson = False,
    keep: Annotated[Path | None, unset("Keep journal and ledger there.", "DIR")] = None,
) -> None:
    """Run the whole daemon through nights and faults, or kill it again and again, and judge it.

    Example: longwatch simulate --seed 7 --days 10 --faults all, or
    longwatch simulate --crash-points --cuts 1000
    """
    from longwatch.simulation.crashes import simulate as run_simulation

    _end(
        run_simulation(
            seed=seed,
            days=days,
            faults=faults,
            weather=weather,
            as_json=as_json,
            keep=keep,
            crash_points=crash_points,
            cuts=cuts,
        )
    )


@app.command()
def backtest(
    file: ConfigFile,
    start: StartDate = None,
    end: Annotated[str | None, unset("Last day, as 2012-12-31.", "DATE")] = None,
    as_json: AsJson = False,
    csv_dir: Annotated[Path | None, unset("Read SYMBOL.csv files here.", "DIR")] = None,
    fills_from: Annotated[Path | None, unset("Fill as this journal did.", "JOURNAL")] = None,
) -> None:
    """Run the daemon's own code over history.

    Example: longwatch backtest config/trading_config.yaml --start 2007-01-03 --end 2012-12-31
    """
    first, last = _date(start, "--start"), _date(end, "--end")
    from longwatch.backtest.command import backtest as run_backtest

    _end(run_backtest(file, start=first, end=last, as_json=as_json, csv_dir=csv_dir, fills_from=fills_from))


@app.command()
def check(
    file: ConfigFile,
    connect: Annotated[bool, typer.Option("--connect", help="Ask the gateway too; nothing is placed.")] = False,
) -> None:
    """Say what is wrong with a configuration, every mistake at once; and at its gateway.

    Example: longwatch check config/trading_config.yaml --connect
    """
    from longwatch.config.load import check as check_file
    from longwatch.production import check_connected, doubtful_names

    lines, code = check_file(file, os.environ, lambda loaded: () if connect else doubtful_names(loaded, file.parent))
    for line in lines:
        print(line, file=sys.stderr if code else sys.stdout)
    if connect and not code:
        code = check_connected(file)
    _end(code)


@app.command()
def status(as_json: AsJson = False, socket: SocketOption = None, config: ConfigOption = None) -> None:
    """Show whether it trades, and if not, why.

    Example: longwatch status --json
    """
    from longwatch.ops.tables import status_text

    show("status", status_text, as_json, socket, config)


@app.command()
def orders(as_json: AsJson = False, socket: SocketOption = None, config: ConfigOption = None) -> None:
    """List live orders and the last that ended.

    Example: longwatch orders --config config/trading_config.yaml
    """
    from longwatch.ops.tables import orders_text

    show("orders", orders_text, as_json, socket, config)


@app.command()
def positions(as_json: AsJson = False, socket: SocketOption = None, config: ConfigOption = None) -> None:
    """List positions: ours, other people's, and the account's figure.

    Example: longwatch positions
    """
    from longwatch.ops.tables import positions_text

    show("positions", positions_text, as_json, socket, config)


@app.command()
def limits(
    as_json: AsJson = False, socket: SocketOption = None, file: FileOption = None, config: ConfigOption = None
) -> None:
    """List each limit, what it sees now at worst, and how much room is left; without a daemon, of its journal.

    Example: longwatch limits --json
    """
    from longwatch.ops.limits import show_limits

    show_limits(as_json, socket, file, config)


words.enter(app)
told.enter(app)
app.add_typer(journal.app)


@app.command()
def version() -> None:
    """Print the version.

    Example: longwatch version
    """
    from longwatch.ops.runtime import version_text

    print(version_text())


def _end(code: int | None) -> None:
    if code:
        raise typer.Exit(code)


def _date(text: str | None, option: str) -> date | None:
    from datetime import date

    from longwatch.errors import UsageError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text}: not a date; write it as 2007-01-03") from None


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


if __name__ == "__main__":
    main()

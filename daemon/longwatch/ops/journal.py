"""`longwatch journal …`: looks at a journal's file, beside a running daemon or without one; entered by cli.

None of these writes to the journal. Exit codes: 0 done; 1 `verify` found something wrong; 64 asked for what is not
there; 74 the journal can't be opened or read.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from longwatch.errors import JournalError, UsageError
from longwatch.ops.options import AsJson, unset

if TYPE_CHECKING:
    from longwatch.journal.reading import Entry

PATH_VARIABLE = "LONGWATCH_JOURNAL__PATH"
FOLDER = Path("var")
FOLLOW_SECONDS = 0.5
SEQUENCE = re.compile(r"0*[1-9][0-9]{0,17}")
"""What SQLite can number records by."""
BELOW_ZERO = re.compile(r"-[0-9]")
MOST_LINES = 10**18

app = typer.Typer(
    name="journal",
    help="Look at the journal, beside a running daemon or without one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FileOption = Annotated[Path | None, unset("The journal [default: the only one in var/]", "JOURNAL", "--file")]
ConfigOption = Annotated[Path | None, unset("Take the journal's path from this configuration.", "FILE", "--config")]
Kinds = Annotated[list[str] | None, unset("Only this kind, as OrderMoved; may be repeated.", "KIND", "--kind")]
Anchors = Annotated[list[str] | None, unset("An anchor kept elsewhere; may be repeated.", "SEQ:HASH", "--anchor")]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")]


@app.command()
def verify(
    anchor: Anchors = None, as_json: AsJson = False, file: FileOption = None, config: ConfigOption = None
) -> None:
    """Find out whether every record is what was written: hashes, anchors, reading, folding, checkpoints.

    Names the first bad record and ends with 1 when there is one.

    Example: longwatch journal verify --anchor 120455:6fd1…
    """
    from longwatch.journal.chain import Anchor
    from longwatch.journal.examine import examine

    path = journal_path(file, config)
    report = examine(path, [Anchor.read(text) for text in anchor or ()], _progress())
    if as_json:
        _print_json(
            {
                "journal": str(path),
                "id": report.form.identity.journal_id,
                "ok": not report.flaws,
                "records": report.records,
                "archived_to": report.form.archived_to,
                "anchor": str(report.anchor) if report.anchor else None,
                "checkpoints": list(report.checkpoints),
                "flaws": list(report.flaws),
                "notes": list(report.notes),
            }
        )
    else:
        for line in (*report.flaws, *(f"note: {note}" for note in report.notes)):
            print(line)
        state = f"{len(report.flaws)} flaws" if report.flaws else "good"
        print(f"{path}: {state}; {report.records} records, anchor {report.anchor or 'none yet'}")
    if report.flaws:
        raise typer.Exit(1)


@app.command()
def anchor(as_json: AsJson = False, file: FileOption = None, config: ConfigOption = None) -> None:
    """Print the last record's sequence and hash, to be kept elsewhere and given to `verify` later.

    Example: longwatch journal anchor
    """
    from longwatch.journal.layout import read_identity
    from longwatch.journal.reading import last_anchor

    path = journal_path(file, config)
    last = last_anchor(path)
    if as_json:
        name = read_identity(path).journal_id
        _print_json({"journal": str(path), "id": name, "sequence": last.sequence, "hash": last.hash.hex()})
    else:
        print(last)


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=0, max=MOST_LINES, help="How many of the last.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as records are written.")] = False,
    kind: Kinds = None,
    as_json: AsJson = False,
    file: FileOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the last records, a line each.

    Example: longwatch journal tail -f --kind OrderMoved --kind FillBooked
    """
    import asyncio

    from longwatch.journal.reading import last_entries, read_entries

    path, kinds = journal_path(file, config), known_kinds(kind)
    show = teller(as_json)
    last = max((entry.record.sequence for entry in last_entries(path, 1)), default=0)
    for entry in last_entries(path, count, kinds):
        if entry.record.sequence <= last:
            show(entry)
    while follow:
        asyncio.run(asyncio.sleep(FOLLOW_SECONDS))
        for entry in read_entries(path, last + 1):
            last = entry.record.sequence
            if not kinds or entry.record.kind in kinds:
                show(entry)


class _OfRecords(TyperCommand):
    """A command for which `-1` is a record that can't be, and no option that it doesn't know."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for word in args:
            if BELOW_ZERO.match(word):
                wanted(word)
        return super().parse_args(ctx, args)


@app.command(cls=_OfRecords)
def show(
    which: Annotated[str, typer.Argument(metavar="SEQ", help="A sequence, or a range as 120..140.")],
    as_json: AsJson = False,
    file: FileOption = None,
    config: ConfigOption = None,
) -> None:
    """Show single records in full, with hash and with what caused them: of an order's move, the message that proved it.

    Example: longwatch journal show 4711..4720
    """
    from longwatch.journal.reading import last_entries, read_entries

    path = journal_path(file, config)
    first, last = wanted(which)
    found = False
    for entry in read_entries(path, first, last):
        found = True
        causes = read_entries(path, entry.record.cause, entry.record.cause) if entry.record.cause else ()
        print(_line(entry) if as_json else _in_full(entry, next(iter(causes), None)), end="")
    if not found:
        ends = last_entries(path, 1)
        there = f"it ends with record {ends[0].record.sequence}" if ends else "it is empty"
        raise UsageError(f"{path} has no record {which}: {there}")


@app.command()
def export(
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the lines go; - for standard output.")],
    as_json: AsJson = False,
    file: FileOption = None,
    config: ConfigOption = None,
) -> None:
    """Write all records as lines of JSON, archived ones too.

    Example: longwatch journal export --to journal.jsonl
    """
    from longwatch.journal.copying import beside, must_be_new
    from longwatch.journal.copying import export as export_to
    from longwatch.journal.layout import told

    path = journal_path(file, config)
    if str(to) == "-":
        _print_lines(path)
        return
    must_be_new(to)
    with told(path, f"exported to {to}"), beside(to) as folder:
        with (folder / to.name).open("wb") as lines:
            count = export_to(path, lines, _progress())
        (folder / to.name).replace(to)
    if as_json:
        _print_json({"journal": str(path), "file": str(to), "records": count})
    else:
        print(f"{to}: {count} records of {path}")


def _print_lines(path: Path) -> None:
    """The lines to standard output, by a buffer of its own: what could not be written is not tried again at the end."""
    from longwatch.journal.copying import export as export_to

    try:
        with open(sys.stdout.fileno(), "wb", closefd=False) as lines:
            export_to(path, lines)
    except BrokenPipeError:
        raise  # who reads them has enough
    except OSError as error:
        raise JournalError(
            f"{path}: its lines can't be written to standard output ({error.strerror}); make room, and export it again"
        ) from error


@app.command()
def backup(to: Target, as_json: AsJson = False, file: FileOption = None, config: ConfigOption = None) -> None:
    """Copy the journal as it stands at one moment, while the daemon runs; verified before it gets its name.

    To restore, stop the daemon and put the copy, and the -archive beside it, in the journal's place.

    Example: longwatch journal backup /mnt/backup/paper.sqlite
    """
    from longwatch.journal.copying import backup as back_up

    path = journal_path(file, config)
    last, files = back_up(path, to, _progress())
    if as_json:
        _print_json({"journal": str(path), "files": [str(copy) for copy in files], "anchor": str(last)})
    else:
        print(f"{' and '.join(map(str, files))}: verified, anchor {last}")


def journal_path(file: Path | None, config: Path | None) -> Path:
    """The journal named, or that of a configuration or the environment, or the only one in var/.

    Raises ConfigError, UsageError when it is not clear which, JournalError when there is none.
    """
    if file is None and config is not None:
        from longwatch.config.load import load

        file = load(config, os.environ).settings.journal_path
    if file is None and os.environ.get(PATH_VARIABLE):
        file = Path(os.environ[PATH_VARIABLE])
    if file is None:
        found = sorted(FOLDER.glob("*.sqlite"))
        if len(found) != 1:
            there = f"there are {', '.join(map(str, found))}" if found else f"there is none in {FOLDER}/"
            raise UsageError(f"which journal? {there}; say it by --file JOURNAL or --config FILE")
        file = found[0]
    if not file.exists():
        raise JournalError(f"there is no journal at {file}; name it by --file JOURNAL or --config FILE")
    return file


def known_kinds(names: list[str] | None) -> tuple[str, ...]:
    """The kinds asked for. Raises UsageError for one that no record has."""
    from longwatch.journal.codec import EVENTS, FACTS

    for name in names or ():
        if name not in EVENTS and name not in FACTS:
            from difflib import get_close_matches

            near = get_close_matches(name, [*EVENTS, *FACTS], n=3)
            hint = f"is it {' or '.join(near)}?" if near else "`tail` shows which there are"
            raise UsageError(f"--kind {name}: there is no such kind; {hint}")
    return tuple(names or ())


def wanted(which: str) -> tuple[int, int]:
    """The range asked for. Raises UsageError for anything but SEQ or FROM..TO."""
    first, dots, last = which.partition("..")
    if SEQUENCE.fullmatch(first) and (SEQUENCE.fullmatch(last) or not dots) and int(first) <= int(last or first):
        return int(first), int(last or first)
    raise UsageError(f"{which}: write a record as 4711, or several as 4711..4720")


def teller(as_json: bool) -> Callable[[Entry], None]:
    """What prints a record: a line of text, or of JSON."""

    def tell(entry: Entry) -> None:
        record = entry.record
        text = _line(entry) if as_json else f"{record.sequence:>9}  {record.kind:<20} {_payload(entry)}\n"
        print(text, end="", flush=True)

    return tell


def _in_full(entry: Entry, cause: Entry | None) -> str:
    record = entry.record
    caused = f", caused by {record.cause}" if record.cause else ""
    head = f"{record.sequence}  {record.kind}, schema {record.schema}{caused}\nhash {entry.hash.hex() or 'none yet'}\n"
    told = f"cause {cause.record.sequence}  {cause.record.kind} {_payload(cause)}\n" if cause else ""
    return head + told + _indented(entry) + "\n\n"


def _indented(entry: Entry) -> str:
    try:
        return json.dumps(json.loads(entry.record.payload), indent=2, ensure_ascii=False)
    except ValueError:
        return _payload(entry)


def _payload(entry: Entry) -> str:
    if entry.is_away:
        return "(in the archive, which is not beside the journal)"
    return entry.record.payload.decode(errors="backslashreplace")


def _line(entry: Entry) -> str:
    from longwatch.journal.copying import line_of

    return line_of(entry).decode()


def _progress() -> Callable[[str, int, int], None]:
    """Tells a person at a terminal how far it is."""
    if not sys.stderr.isatty():
        return lambda what, done, of: None
    return lambda what, done, of: print(
        f"\r{what}: {done} of {of}" + ("\n" if done >= of else ""), end="", file=sys.stderr, flush=True
    )


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))

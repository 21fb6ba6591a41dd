"""`longwatch journal …`: looks, copies and tells, beside a running daemon, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from longwatch.domain.state import fingerprint
from longwatch.journal import copying
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import EVENTS
from longwatch.journal.layout import archive_of, read_identity
from longwatch.journal.reading import last_anchor, read_records, verify
from longwatch.journal.threaded import ThreadedJournal
from longwatch.ops.journal import PATH_VARIABLE, app
from tests.conftest import ROOT
from tests.journal.made import (
    ACCOUNT,
    JOURNAL_ID,
    MODE,
    a_day,
    by_hand,
    checkpoint,
    folded,
    journal_at,
    write,
)
from tests.journal.test_archive import FAR, moved
from tests.journal.test_upgrade import LAYOUT_1, old  # noqa: F401 - a fixture
from tests.ops.shell import Shell, shell_of
from tests.ops.test_cli import HEAVY

NAMES = sorted(str(command.callback.__name__) for command in app.registered_commands if command.callback)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "j.sqlite", a_day())
    checkpoint(tmp_path / "j.sqlite", a_day()[:200])
    return tmp_path / "j.sqlite"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.delenv(PATH_VARIABLE, raising=False)
    return shell_of(monkeypatch, capsys, "journal")


def test_the_promised_commands_are_there() -> None:
    """And no others."""
    assert sorted(["verify", "anchor", "tail", "show", "export", "backup"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_with_an_example(shell, name: str) -> None:
    """One line to copy."""
    code, out, _ = shell(name, "--help")
    assert code == 0
    assert f"Example: longwatch journal {name}" in " ".join(out.split())
    assert "--json" in out


def test_help_imports_nothing_heavy(record_property: Any) -> None:
    """Nor does a command itself import what it doesn't need; the time is noted, not judged."""
    script = (
        "import sys; from longwatch.cli import app\n"
        "try: app(['journal', 'tail', '--help'])\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    began = time.perf_counter()
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ)
    record_property("help_seconds", round(time.perf_counter() - began, 3))
    assert "--follow" in done.stdout
    typer_s_own = {"pydantic"}
    heavy = {*HEAVY, "longwatch.journal.reading", "longwatch.domain.state"} - typer_s_own
    assert not heavy & set(done.stderr.split())


# ── verify, anchor ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_journal_is_told_good_with_its_anchor(shell, path: Path) -> None:
    """And `anchor` prints the same, in the form that `verify` takes."""
    _, printed, _ = shell("anchor", "--file", path)
    assert printed.strip() == str(last_anchor(path))
    code, out, _ = shell("verify", "--file", path, "--anchor", printed.strip())
    assert (code, out.strip()) == (0, f"{path}: good; {len(a_day())} records, anchor {printed.strip()}")
    code, out, _ = shell("verify", "--file", path, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["checkpoints"], told["flaws"], told["notes"]) == (0, True, [200], [], [])
    _, out, _ = shell("anchor", "--file", path, "--json")
    assert json.loads(out)["id"] == JOURNAL_ID


def test_a_bad_record_ends_with_1_and_its_number(shell, path: Path) -> None:
    """In text and in JSON."""
    by_hand(path, "UPDATE record SET payload = CAST('{}' AS BLOB) WHERE sequence = 120")
    code, out, _ = shell("verify", "--file", path)
    assert code == 1 and "record 120 is not the one that was written there" in out.splitlines()[0]
    code, out, _ = shell("verify", "--file", path, "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_a_record_that_can_not_be_read_or_folded_is_found_though_the_chain_holds(shell, tmp_path: Path) -> None:
    """Written by a fault of ours: an event that is no JSON, and a move of an order that never was."""
    from dataclasses import replace

    broken = tmp_path / "broken.sqlite"
    event = next(r for r in a_day() if r.kind in EVENTS and r.sequence > 50)
    write(broken, [replace(r, payload=b"{") if r.sequence == event.sequence else r for r in a_day()])
    code, out, _ = shell("verify", "--file", broken)
    assert code == 1 and f"journal record {event.sequence} ({event.kind}) can't be read" in out
    move = next(r for r in a_day() if r.kind == "OrderMoved")
    other = tmp_path / "other.sqlite"
    write(other, [replace(move, sequence=1, cause=0)])
    code, out, _ = shell("verify", "--file", other)
    assert code == 1 and "journal record 1 (OrderMoved) contradicts those before it" in out


def test_a_checkpoint_that_is_not_the_fold_is_found(shell, path: Path) -> None:
    """Well sealed, by this very code, and yet of another state."""
    from longwatch.journal.checkpoints import storing
    from tests.journal.made import store_at

    with store_at(path) as store:
        for work in storing(210, folded(a_day()[:150])):
            work(store)
    code, out, _ = shell("verify", "--file", path)
    assert code == 1 and "the checkpoint at record 210 is not the fold of the records up to there" in out


def test_an_old_journal_is_verified_as_far_as_it_goes(shell, old: Path) -> None:  # noqa: F811
    """It has no chain yet, which is a note and no flaw; the other commands read it too."""
    code, out, _ = shell("verify", "--file", old)
    assert code == 0 and "note: there is no hash chain yet" in out
    assert shell("tail", "-n", 1, "--file", old)[0] == 0
    code, _, err = shell("anchor", "--file", old)
    assert code == 74 and "has no hash chain yet" in err
    assert shell("backup", old.with_name("copy.sqlite"), "--file", old)[0] == 0
    assert LAYOUT_1.exists()


# ── tail, show, export ──────────────────────────────────────────────────────────────────────────────────────────────


def test_tail_shows_the_last_records_of_a_kind(shell, path: Path) -> None:
    """A line each, oldest first."""
    _, out, _ = shell("tail", "-n", 3, "--file", path)
    assert [int(line.split()[0]) for line in out.splitlines()] == [len(a_day()) - 2, len(a_day()) - 1, len(a_day())]
    _, out, _ = shell("tail", "-n", 2, "--kind", "FillBooked", "--kind", "OrderMoved", "--json", "--file", path)
    rows = [json.loads(line) for line in out.splitlines()]
    wanted = [r for r in a_day() if r.kind in ("FillBooked", "OrderMoved")][-2:]
    assert [(row["sequence"], row["kind"], row["cause"]) for row in rows] == [
        (r.sequence, r.kind, r.cause) for r in wanted
    ]
    assert rows[-1]["payload"] == json.loads(wanted[-1].payload)


async def test_tail_follows_a_running_daemon(tmp_path: Path) -> None:
    """What becomes durable is shown, once and in order, until told to end."""
    path = tmp_path / "j.sqlite"
    journal = ThreadedJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    await journal.append(a_day()[:5])
    command = "from longwatch.cli import main; main()"
    following = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", command, "journal", "tail", "-f", "-n", "2", "--json", "--file", path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "daemon")},
    )
    assert following.stdout is not None
    lines = [await asyncio.wait_for(following.stdout.readline(), 30) for _ in range(2)]
    for first in (5, 7, 9):
        await journal.append(a_day()[first : first + 2])
        lines += [await asyncio.wait_for(following.stdout.readline(), 30) for _ in range(2)]
    following.terminate()
    await following.wait()
    await journal.close()
    assert [json.loads(line)["sequence"] for line in lines] == list(range(4, 12))


def test_show_tells_one_record_or_several_in_full(shell, path: Path) -> None:
    """Cause, hash, and the payload a line a field."""
    record = next(one for one in a_day()[99:] if not one.cause)
    _, out, _ = shell("show", record.sequence, "--file", path)
    head, hashed, *payload = out.strip().splitlines()
    assert head.startswith(f"{record.sequence}  {record.kind}, schema {record.schema}")
    assert len(hashed.removeprefix("hash ")) == 64
    assert json.loads("".join(payload)) == json.loads(record.payload)
    _, out, _ = shell("show", "10..14", "--json", "--file", path)
    assert [json.loads(line)["sequence"] for line in out.splitlines()] == [10, 11, 12, 13, 14]


def test_show_tells_of_an_orders_move_the_message_that_proved_it(shell, path: Path) -> None:
    """Its number, its kind and all it said stand beside the move."""
    moved = next(record for record in a_day() if record.kind == "OrderMoved" and b"by the broker" in record.payload)
    _, out, _ = shell("show", moved.sequence, "--file", path)
    _, _, caused, *payload = out.strip().splitlines()
    cause = a_day()[moved.cause - 1]
    assert caused == f"cause {cause.sequence}  {cause.kind} {cause.payload.decode()}"
    assert json.loads("".join(payload))["proof"] == cause.kind


async def test_archived_records_are_shown_from_the_archive_and_their_absence_is_told(path: Path, shell) -> None:
    """`show` and `export` see the whole; without the archive they say what is elsewhere."""
    await moved(path, FAR)
    event = next(r for r in a_day() if r.kind in EVENTS)
    _, out, _ = await asyncio.to_thread(shell, "show", event.sequence, "--json", "--file", path)
    assert json.loads(out)["payload"] == json.loads(event.payload)
    archive_of(path).rename(path.with_name("elsewhere"))
    _, out, _ = await asyncio.to_thread(shell, "show", event.sequence, "--file", path)
    assert "in the archive, which is not beside the journal" in out
    code, out, _ = await asyncio.to_thread(shell, "verify", "--file", path)
    assert code == 0 and f"there is none at {archive_of(path)}" in out


def test_export_writes_every_record_as_a_line_of_json(shell, path: Path, tmp_path: Path) -> None:
    """To a file that was not there, or to standard output."""
    lines = tmp_path / "j.jsonl"
    code, out, _ = shell("export", "--to", lines, "--file", path)
    assert (code, out.strip()) == (0, f"{lines}: {len(a_day())} records of {path}")
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [(row["sequence"], row["kind"]) for row in rows] == [(r.sequence, r.kind) for r in a_day()]
    assert [row["payload"] for row in rows] == [json.loads(r.payload) for r in a_day()]
    code, _, err = shell("export", "--to", lines, "--file", path)
    assert code == 64 and "is already there and is not written over" in err
    command = [sys.executable, "-c", "from longwatch.cli import main; main()", "journal", "export", "--to", "-"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "daemon"), PATH_VARIABLE: str(path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == lines.read_text()
    with open("/dev/full", "wb") as full:
        failed = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environ)
    assert (failed.returncode, failed.stderr) == (74, FULL.format(path=path))
    piped = f"{shlex.join(command)} | head -c 1"
    done = subprocess.run(piped, shell=True, capture_output=True, text=True, check=False, env=environ)
    assert (done.stdout, done.stderr) == ("{", "")


FULL = (
    "longwatch: {path}: its lines can't be written to standard output (No space left on device); "
    "make room, and export it again\n"
)


def test_a_payload_that_is_no_json_is_exported_as_its_bytes(tmp_path: Path, shell) -> None:
    """Nothing is left out, and the lines stay readable by programs."""
    from longwatch.journal.records import Record

    write(tmp_path / "j.sqlite", [Record(sequence=1, cause=0, kind="EventKept", schema=1, payload=b"\xff{")])
    _, out, _ = shell("tail", "--json", "--file", tmp_path / "j.sqlite")
    row = json.loads(out)
    assert (row["payload"], row["bytes"]) == (None, "ff7b")


# ── backup ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_backup_made_while_the_daemon_writes_is_a_journal_of_one_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slowly it is copied, commits neither wait for it nor make it begin again; it opens like the original."""
    path, copy = tmp_path / "j.sqlite", tmp_path / "copy.sqlite"
    monkeypatch.setattr(copying, "_PAGES_AT_ONCE", 1)
    journal = ThreadedJournal.open(path, account=ACCOUNT, mode=MODE, fresh_id=JOURNAL_ID)
    await journal.append(a_day()[:100])
    loop, steps, written = asyncio.get_running_loop(), [], []

    def progress(what: str, done: int, of: int) -> None:
        steps.append((what, done))
        if what == "copy" and len(written) < 100:
            one = a_day()[100 + len(written)]
            written.append(asyncio.run_coroutine_threadsafe(_append(journal, one), loop).result(30))

    anchor, files = await asyncio.to_thread(copying.backup, path, copy, progress)
    assert journal.last_sequence == 100 + len(written) and len(written) > 10
    copied = [done for what, done in steps if what == "copy"]
    assert copied == sorted(copied)
    assert (anchor.sequence, files) == (100, (copy,))
    await journal.close()
    assert read_identity(copy) == read_identity(path)
    with journal_at(copy) as restored:
        assert list(restored.read()) == list(a_day()[:100])
        assert fingerprint(recovered(restored).state) == fingerprint(folded(a_day()[:100]))
    assert verify(path, [anchor]) == ()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


async def _append(journal: ThreadedJournal, record: Any) -> None:
    await journal.append([record])


async def test_a_backup_takes_the_archive_along(path: Path, shell, tmp_path: Path) -> None:
    """Both files, and together they are the whole journal."""
    await moved(path, FAR)
    copy = tmp_path / "copy.sqlite"
    code, out, _ = await asyncio.to_thread(shell, "backup", copy, "--file", path, "--json")
    assert code == 0 and json.loads(out)["files"] == [str(copy), str(archive_of(copy))]
    assert verify(copy) == ()
    code, out, _ = await asyncio.to_thread(shell, "verify", "--file", copy, "--json")
    assert json.loads(out)["notes"] == [] and json.loads(out)["ok"]
    left = {p.name for p in tmp_path.iterdir() if p.name.startswith("copy") and not p.name.endswith(("-shm", "-wal"))}
    assert left == {copy.name, archive_of(copy).name}


def test_a_backup_writes_over_nothing_and_keeps_no_bad_copy(path: Path, shell, tmp_path: Path) -> None:
    """What is in the way stays; a journal that is not as it was written is told, and its copy gets no name."""
    copy = tmp_path / "copy.sqlite"
    copy.write_text("mine")
    code, _, err = shell("backup", copy, "--file", path)
    assert code == 64 and "is already there and is not written over" in err and copy.read_text() == "mine"
    code, _, err = shell("backup", tmp_path / "no" / "copy.sqlite", "--file", path)
    assert code == 64 and "there is no folder" in err
    by_hand(path, "UPDATE record SET payload = CAST('{}' AS BLOB) WHERE sequence = 120")
    code, _, err = shell("backup", tmp_path / "good.sqlite", "--file", path)
    assert code == 74 and "record 120 is not the one" in err
    assert not (tmp_path / "good.sqlite").exists() and f"{path}: record 120" in err


def test_a_copy_touches_nothing_beside_it_and_leaves_nothing_when_it_fails(path: Path, shell, tmp_path: Path) -> None:
    """A file that ends in .new is somebody's; what fails names the source and leaves the folder as it was."""
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / "one.new").write_text("precious")
    for words in (("backup", folder / "one"), ("export", "--to", folder / "two")):
        assert shell(*words, "--file", path)[0] == 0
    (folder / "two.new").write_text("precious")
    assert (folder / "one.new").read_text() == "precious"
    there = sorted(folder.iterdir())
    junk = tmp_path / "junk.sqlite"
    junk.write_text("to be or not to be\n" * 100)
    for words in (("backup", folder / "three"), ("export", "--to", folder / "three")):
        code, _, err = shell(*words, "--file", junk)
        assert code == 74 and f"{junk}: the journal can't be read" in err
    assert sorted(folder.iterdir()) == there


def test_more_lines_than_sqlite_can_count_are_refused(shell, path: Path) -> None:
    """As any wrong option is, without a traceback."""
    code, _, err = shell("tail", "-n", "99999999999999999999", "--file", path)
    assert code == 2 and "--lines" in err


# ── which journal ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_journal_is_named_or_the_only_one(shell, path: Path, tmp_path: Path, monkeypatch) -> None:
    """By --file, a configuration, the environment, or as the one in var/; else it is asked for."""
    monkeypatch.chdir(tmp_path)
    code, _, err = shell("anchor")
    assert code == 64 and "which journal? there is none in var/" in err
    (tmp_path / "var").mkdir()
    for name in ("a.sqlite", "b.sqlite"):
        shutil.copy(path, tmp_path / "var" / name)
    code, _, err = shell("anchor")
    assert code == 64 and "there are var/a.sqlite, var/b.sqlite" in err
    (tmp_path / "var" / "a.sqlite").unlink()
    assert shell("anchor")[1].strip() == str(last_anchor(path))
    monkeypatch.setenv(PATH_VARIABLE, str(path))
    assert json.loads(shell("anchor", "--json")[1])["journal"] == str(path)
    monkeypatch.delenv(PATH_VARIABLE)
    (tmp_path / "c.yaml").write_text(f"trading:\n  journal:\n    path: {path}\n")
    assert json.loads(shell("anchor", "--json", "--config", "c.yaml")[1])["journal"] == str(path)


@pytest.mark.parametrize(
    "words, code, says",
    [
        (("show", "x"), 64, "write a record as 4711, or several as 4711..4720"),
        (("show", "9..4"), 64, "write a record as 4711"),
        (("show", "-1"), 64, "-1: write a record as 4711"),
        (("show", "-4..-1"), 64, "-4..-1: write a record as 4711"),
        (("show", "99999999999999999999999"), 64, "write a record as 4711"),
        (("show", "\u0663"), 64, "write a record as 4711"),
        (("show", "99999"), 64, f"has no record 99999: it ends with record {len(a_day())}"),
        (("tail", "--kind", "FilBooked"), 64, "there is no such kind; is it FillBooked or"),
        (("verify", "--anchor", "17"), 64, "is no anchor"),
        (("verify", "--file", "nowhere.sqlite"), 74, "there is no journal at nowhere.sqlite"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(shell, path: Path, words, code: int, says: str) -> None:
    """And an exit code of its kind."""
    where = () if "--file" in words else ("--file", path)
    ended, _, err = shell(*words, *where)
    assert ended == code
    assert says in err and len(err.strip().splitlines()) == 1


def test_a_file_that_is_no_journal_is_refused(shell, tmp_path: Path) -> None:
    """Another database, or text."""
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE t(x)")
    (tmp_path / "text").write_text("to be or not to be\n" * 100)
    for name, says in (("other.sqlite", "is not a Longwatch journal"), ("text", "can't be read")):
        for command in ("verify", "anchor", "tail"):
            code, _, err = shell(command, "--file", tmp_path / name)
            assert code == 74 and says in err, (name, command, err)


def test_looking_changes_nothing(shell, path: Path) -> None:
    """Every command but `backup` and `export` leaves the folder as it was, to the byte."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if not p.name.endswith("-shm")}
    for words in (("verify",), ("anchor",), ("tail",), ("show", "1..5")):
        assert shell(*words, "--file", path)[0] == 0
    after = {p.name: p.read_bytes() for p in path.parent.iterdir() if not p.name.endswith(("-shm", "-wal"))}
    assert {name: after[name] for name in before if name in after} == {n: before[n] for n in before if n in after}
    assert list(read_records(path)) == list(a_day())

"""The command line: what each command asks the daemon, what it prints, and the code it ends with."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from longwatch import cli
from longwatch.errors import JournalError, LinkError, UsageError
from longwatch.ops.ask import DEFAULT_SOCKET, SOCKET_VARIABLE
from longwatch.ops.comparison import comparison_of
from longwatch.ops.control import COMMANDS, ControlServer, Reply
from longwatch.ops.status import READINGS, reply_of
from longwatch.ops.tables import comparison_text
from tests.conftest import ROOT
from tests.ops.made import NOW, HandClock, runtime_of, traded_state
from tests.ops.shell import exit_code

HEAVY = (
    "aiohttp",
    "eventkit",
    "exchange_calendars",
    "ib_insync",
    "numpy",
    "pandas",
    "prometheus_client",
    "pydantic",
    "rich",
)

GOOD = """
trading:
  mode: "backtest"
  data_provider: "csv"
  executor: "mock"
"""


class Daemon:
    """Answers as a daemon would, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def answer(self, command: str, argument: str, reason: str, by: str) -> Reply:
        self.asked.append((command, argument, reason))
        if command in READINGS:
            return reply_of(command, traded_state(), runtime_of(HandClock()))
        if argument == "XYZ":
            raise UsageError("XYZ is not ours")
        return {"ok": True, "text": f"{command} it is"}


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lw") as folder:
        yield Path(folder) / "control.sock"


@pytest.fixture
async def daemon(socket: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon()
    server = ControlServer(socket, daemon.answer)
    await server.start()
    yield daemon
    await server.close()


class Shell:
    """Runs commands in this process, beside the loop that answers them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    async def __call__(self, *words: object) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["longwatch", *map(str, words)])
        code = await asyncio.to_thread(exit_code)
        return code, *self._capsys.readouterr()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.delenv(SOCKET_VARIABLE, raising=False)
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115 - no terminal to ask at
    return Shell(monkeypatch, capsys)


def _commands() -> dict[str, Any]:
    return {
        command.name or str(getattr(command.callback, "__name__", "")): command
        for command in cli.app.registered_commands
    }


@pytest.mark.parametrize("name", sorted(_commands()))
async def test_every_command_has_a_help_with_an_example(shell: Shell, name: str) -> None:
    """`--help` ends well, and shows one line to copy."""
    code, out, _ = await shell(name, "--help")
    assert code == 0
    assert f"Example: longwatch {name}" in " ".join(out.split())


def test_all_the_commands_are_there() -> None:
    """Those that people were promised."""
    promised = (
        "demo run gateway check status orders positions reload halt pause resume flatten reconcile backtest version "
        "adopt cancel drain unquarantine modify resolve simulate flow why decision fills events state limits"
    )
    assert sorted(_commands()) == sorted(promised.split())


def test_help_imports_nothing_heavy(record_property: Any) -> None:
    """What makes a command slow is imported by that command alone; the time is noted, not judged."""
    script = (
        "import sys; from longwatch.cli import app\ntry: app(['--help'])\nfinally: print(*sys.modules, file=sys.stderr)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_environment()
    )
    record_property("help_seconds", round(time.perf_counter() - began, 3))
    assert "flatten" in done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(cli.__file__).parent.parent), "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("command", ["status", "orders", "positions", "limits"])
async def test_what_is_read_comes_as_a_table_or_as_json(
    shell: Shell, daemon: Daemon, socket: Path, command: str
) -> None:
    """With --json the data as the daemon gave it, else text for a person."""
    code, out, err = await shell(command, "--json", "--socket", socket)
    assert (code, err) == (0, "")
    assert json.loads(out) == reply_of(command, traded_state(), runtime_of(HandClock()))["data"]
    code, out, err = await shell(command, "--socket", socket)
    assert (code, err) == (0, "")
    assert "AAPL" in out and "{" not in out


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("reload", ("reload", "", "")),
        ("reload --loosen", ("reload", "loosen", "")),
        ("halt --reason prices", ("halt", "", "prices")),
        ("pause", ("pause", "", "")),
        ("resume --reason fine", ("resume", "", "fine")),
        ("flatten", ("flatten", "", "")),
        ("flatten --yes --reason out", ("flatten", "", "out")),
        ("adopt AAPL --reason ours", ("adopt", "AAPL", "ours")),
        ("resume AAPL --reason checked", ("resume", "AAPL", "checked")),
        ("modify 7 --limit 85.2 --reason moved", ("modify", "7 - 85.2 -", "moved")),
        ("modify 7 --quantity 40 --stop 80", ("modify", "7 40 - 80", "")),
        ("resolve 7 --as absent --reason told", ("resolve", "7 absent - -", "told")),
        ("resolve 7 --as filled --price 85.2 --reason told", ("resolve", "7 filled - 85.2", "told")),
        ("resolve lw:x:7 --as cancelled --quantity 4 --price 8", ("resolve", "lw:x:7 cancelled 4 8", "")),
        ("resolve 7 --as filled --price 4 --sure", ("resolve", "7 filled - 4 sure", "")),
    ],
)
async def test_a_command_asks_the_daemon_and_prints_its_answer(
    shell: Shell, daemon: Daemon, socket: Path, words: str, asked: tuple[str, str, str]
) -> None:
    """Each command is one request."""
    code, out, err = await shell(*words.split(), "--socket", socket)
    assert (code, out, err) == (0, f"{asked[0]} it is\n", "")
    assert daemon.asked == [asked]


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_comparison_that_could_not_be_made_anew_is_shown_and_ends_with_one(
    shell: Shell, socket: Path, fresh: bool
) -> None:
    """A script that asks whether book and account agree must not take the last comparison for one of now."""
    found = comparison_of(traded_state(), NOW, NOW) | {"at": NOW.isoformat(), "age_seconds": 0.0, "fresh": fresh}
    code = {} if fresh else {"exit_code": 1}

    async def answer(command: str, argument: str, reason: str, by: str) -> Reply:
        return {"ok": fresh, "text": comparison_text(found), "data": found, **code}

    server = ControlServer(socket, answer)
    await server.start()
    err = "" if fresh else f"longwatch: {comparison_text(found).splitlines()[0]}\n"
    expected = (0 if fresh else 1, f"{comparison_text(found)}\n", err)
    assert await shell("reconcile", "--socket", socket) == expected
    status, out, told = await shell("reconcile", "--json", "--socket", socket)
    assert (status, json.loads(out), told) == (expected[0], found, err)
    assert fresh or "no fresh reading came in time" in told
    await server.close()


async def test_a_resolution_is_answered_as_json_when_asked(shell: Shell, daemon: Daemon, socket: Path) -> None:
    """The daemon's reply as it came."""
    code, out, _ = await shell("resolve", "7", "--as", "absent", "--json", "--socket", socket)
    assert (code, json.loads(out)) == (0, {"ok": True, "text": "resolve it is"})


def test_every_command_that_asks_is_known_to_the_socket() -> None:
    """The command line and the socket agree on names."""
    own = {"demo", "run", "gateway", "check", "backtest", "simulate", "version"}
    own |= {"why", "decision", "fills", "events", "state"}  # these read the journal's file
    assert set(_commands()) - own <= set(COMMANDS)


async def test_a_refusal_is_one_sentence_and_its_exit_code(shell: Shell, daemon: Daemon, socket: Path) -> None:
    """The daemon's reason on standard error, its code as ours."""
    assert await shell("adopt", "XYZ", "--socket", socket) == (64, "", "longwatch: XYZ is not ours\n")


async def test_without_a_daemon_the_sentence_says_how_to_start_one(shell: Shell, socket: Path) -> None:
    """Exit code 69, EX_UNAVAILABLE."""
    code, out, err = await shell("status", "--socket", socket)
    assert (code, out) == (69, "")
    assert err == f"longwatch: no daemon answers at {socket}; is it running? Start it with `longwatch run FILE`\n"


async def test_the_socket_is_found_by_option_file_or_variable(
    shell: Shell, daemon: Daemon, socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option first, then the file named, then the variable that a daemon would read, then the default."""
    file = tmp_path / "good.yaml"
    file.write_text(f"{GOOD}  ops: {{control_socket: {socket}}}\n")
    assert (await shell("orders", "--config", file))[0] == 0
    monkeypatch.setenv(SOCKET_VARIABLE, str(socket))
    assert (await shell("orders"))[0] == 0
    monkeypatch.delenv(SOCKET_VARIABLE)
    monkeypatch.chdir(tmp_path)
    code, _, err = await shell("orders")
    assert (code, "var/control.sock" in err) == (69, True)


def test_the_default_socket_is_the_configurations() -> None:
    """The command line knows it without reading the schema, so the two are compared here."""
    from longwatch.config.schema import OpsSettings

    assert OpsSettings().control_socket == DEFAULT_SOCKET
    assert Path(SOCKET_VARIABLE.removeprefix("LONGWATCH_").lower()).name == "ops__control_socket"


async def test_check_prints_every_mistake_and_ends_with_78(shell: Shell, tmp_path: Path) -> None:
    """Two mistakes, two lines; none, a verdict and 0."""
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(GOOD + "  colour: red\n  ib: {port: many}\n")
    code, out, err = await shell("check", good)
    assert (code, err) == (0, "")
    assert "good" in out
    code, out, err = await shell("check", bad)
    assert (code, out, len(err.splitlines())) == (78, "", 2)
    assert (await shell("check", tmp_path / "none.yaml"))[0] == 78


async def test_check_tells_symbols_that_no_strategy_asks_for(shell: Shell, tmp_path: Path) -> None:
    """A sentence each, and what it may mean; those that are asked for are none. The settings are good all the same."""
    path = tmp_path / "names.yaml"
    strategy = f"{ROOT}/tests/daemon/strategies.py:Plan"
    path.write_text(
        GOOD
        + "  strategies:\n"
        + f"    - {{name: plan, path: '{strategy}', parameters: {{plan: [{{AAPL: 0.5}}]}}}}\n"
        + "  stops: {fraction: 0.1, instruments: {AAPL: {fraction: 0.2}, APPL: {fraction: 0.2}}}\n"
        + "  risk: {groups: [{name: tech, symbols: [AAPL, MSFF], max_weight: 0.2}]}\n"
    )
    code, out, err = await shell("check", path)
    assert (code, err) == (0, "")
    lost = "which no strategy asks for: it has no effect unless it is held; is it right?"
    assert [line for line in out.splitlines() if lost in line] == [
        f"warning: stops.instruments names APPL, {lost}",
        f"warning: risk.groups: tech names MSFF, {lost}",
    ]
    assert "good" in out.splitlines()[-1]
    path.write_text(path.read_text().replace("strategies.py:Plan", "strategies.py:Nothing"))
    code, out, _ = await shell("check", path)
    assert code == 0 and "warning: strategy plan: " in out and lost not in out


async def test_a_wrong_configuration_named_for_its_socket_is_told(shell: Shell, tmp_path: Path) -> None:
    """`--config` with a file that can't be read ends with 78, before anything is asked."""
    code, _, err = await shell("status", "--config", tmp_path / "none.yaml")
    assert code == 78
    assert err.count("\n") == 1


async def test_a_date_that_is_none_is_a_usage_error(shell: Shell) -> None:
    """64, EX_USAGE, with the option's name and how to write it."""
    code, _, err = await shell("demo", "--start", "soon", "--days", 1)
    assert (code, err) == (64, "longwatch: --start soon: not a date; write it as 2007-01-03\n")


@pytest.mark.parametrize("option", ["--speed", "--cash", "--hold-acks"])
@pytest.mark.parametrize("value", ["inf", "nan", "1e30"])
async def test_a_number_that_nothing_can_be_reckoned_with_is_refused(shell: Shell, option: str, value: str) -> None:
    """Infinity, none at all, and one beyond what cash or a clock can be."""
    code, _, err = await shell("gateway", "--port", 0, option, value)
    assert code == 2 and option in err


async def test_a_host_that_is_none_is_not_mended_by_another_port(shell: Shell) -> None:
    """The sentence says what is to be changed."""
    code, _, err = await shell("gateway", "--port", 0, "--host", "nosuchhost.invalid")
    assert code == 69 and err.splitlines()[-1].endswith("name an address of this machine.")


@pytest.mark.parametrize("command", ["simulate", "demo"])
async def test_a_run_can_not_be_kept_where_no_folder_can_be(shell: Shell, command: str, tmp_path: Path) -> None:
    """A file, a device, a place that takes none: one sentence."""
    (tmp_path / "file").write_text("mine")
    for keep in (tmp_path / "file", Path("/dev/full"), Path("/proc/x")):
        code, _, err = await shell(command, "--days", 2, "--keep", keep)
        assert code == 64 and err.startswith(f"longwatch: --keep {keep}: can't be the folder") and err.count("\n") == 1


async def test_a_simulation_is_kept_in_an_empty_folder(shell: Shell, tmp_path: Path) -> None:
    """Where another run's journal and ledger lie, their orders would be taken for this one's."""
    (tmp_path / "ledger.jsonl").write_text("")
    code, _, err = await shell("simulate", "--days", 2, "--keep", tmp_path)
    assert code == 64 and "name an empty folder" in err


async def test_an_unknown_command_is_refused_with_the_nearest(shell: Shell) -> None:
    """A mistyped verb does nothing."""
    code, _, err = await shell("hatl")
    assert code == 2
    assert "halt" in err


def test_errors_out_of_a_task_group_are_told_like_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors of ours lose their wrapping; anything unforeseen beside them keeps its traceback."""

    def end_with(*errors: Exception) -> None:
        inner = ExceptionGroup("inner", list(errors))

        def command() -> None:
            raise ExceptionGroup("outer", [inner])

        cli.main(command)

    with pytest.raises(SystemExit) as end:
        end_with(JournalError("the journal is locked"), LinkError("and no link"))
    assert end.value.code == 74
    assert capsys.readouterr().err == "longwatch: the journal is locked\nlongwatch: and no link\n"
    with pytest.raises(ExceptionGroup):
        end_with(JournalError("the journal is locked"), KeyError("bug"))

"""A file becomes settings, or every mistake at once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.config import load as load_module
from longwatch.config.load import check, demo_path, load, parse
from longwatch.config.mistakes import ConfigErrors
from longwatch.config.schema import Settings
from longwatch.errors import ConfigError

SMALLEST = """\
trading:
  mode: "backtest"
  data_provider: "csv"
  executor: "mock"
  initial_capital: 100000
  ib: {host: "127.0.0.1", port: 7497, client_id: 1}
  data: {csv_dir: "data/prices", cache_dir: "data/cache"}
  execution: {paper_account: "DU123456", live_account: "U123456", min_order_size: 1, max_position_size: 10000}
"""


def mistakes_of(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, name="f.yaml", environ=environ or {})
    assert str(caught.value).splitlines() == caught.value.lines()
    return caught.value.lines()


def settings_of(text: str) -> Settings:
    return parse(text, name="f.yaml", environ={}).settings


def below_trading(text: str) -> str:
    return "trading:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def test_the_promised_file_loads_as_it_stands(tmp_path: Path) -> None:
    """The file every newcomer is shown needs nothing more; what it leaves out is at its default."""
    path = tmp_path / "trading_config.yaml"
    path.write_text(SMALLEST)
    loaded = load(path, {})
    assert loaded.settings.ib.port == 7497
    assert loaded.settings.execution.max_position_size == Decimal(10_000)
    assert loaded.settings.data.csv_dir == Path("data/prices")
    assert loaded.settings.risk == Settings().risk
    assert loaded.warnings == ()
    assert loaded.source_text_sha256 == hashlib.sha256(SMALLEST.encode()).hexdigest()


def test_five_mistakes_are_five_lines_with_exit_code_78(tmp_path: Path) -> None:
    """An unknown name, a wrong type, a duplicate, a value out of bounds and a mode that "
    "contradicts: all told at once."""
    path = tmp_path / "f.yaml"
    path.write_text(
        below_trading(
            "mode: live\nexecutor: ib_paper\ndata_provider: ib\nib:\n  port: '7496'\n  client_id: 3\n  client_id: 4\n"
            "risk:\n  max_weigth: 0.2\n  max_order_shares: -1\n"
            "execution: {live_account: U1234567, confirm_live_account: U1234567}"
        )
    )
    lines, code = check(path, {})
    assert code == 78
    assert lines == [
        f'{path}:3: trading.executor: "ib_paper" does not go with mode live; use ib_live',
        f'{path}:6: trading.ib.port: must be a whole number, found "7496"; write it without quotes and without a point',
        f"{path}:8: trading.ib.client_id: given twice, first on line 7; keep one of them",
        f"{path}:10: trading.risk.max_weigth: unknown setting; did you mean max_weight?",
        f"{path}:11: trading.risk.max_order_shares: must be at least 0, found -1",
    ]


def test_check_of_a_good_file_tells_the_warnings_and_the_verdict(tmp_path: Path) -> None:
    """Exit code 0, and the last line says what would run."""
    path = tmp_path / "f.yaml"
    path.write_text(below_trading("mode: paper\ndata_provider: ib\nexecutor: mock\nib: {port: 4001}"))
    assert check(path, {}) == (
        [
            f"warning: {path}:5: trading.ib.port: 4001 is unusual in mode paper, 4002 or 7497 is usual",
            f"{path}: good; mode paper, data from ib, executor mock",
        ],
        0,
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "trading:\n  mode: papr\n",
            "2: trading.mode: must be 'backtest', 'paper' or 'live', found \"papr\"; did you mean paper?",
        ),
        ("mode: paper\n", "1: mode: unknown setting; did you mean trading.mode?"),
        ("tradng:\n  mode: paper\n", "1: tradng: unknown setting; did you mean trading?"),
        (
            "trading:\n  execution:\n    max_weight: 1\n",
            "3: trading.execution.max_weight: unknown setting; did you mean trading.risk.max_weight?",
        ),
        ("trading:\n  risk:\n    zzzz: 1\n", "3: trading.risk.zzzz: unknown setting"),
        (
            "trading:\n  risk:\n    allow_short: NO\n",
            '3: trading.risk.allow_short: must be true or false, found "NO"; '
            "write it without quotes; yes, no, on and off are plain text here",
        ),
        ("trading:\n  risk: {max_weight: 1.5}\n", "2: trading.risk.max_weight: must be at most 1, found 1.5"),
        ("trading:\n  risk: {max_weight: true}\n", "2: trading.risk.max_weight: must be a number, found true"),
        ("trading:\n  risk: {max_weight: .nan}\n", "2: trading.risk.max_weight: must be a finite number, found NaN"),
        ("trading:\n  risk: {max_weight: some}\n", '2: trading.risk.max_weight: must be a number, found "some"'),
        (
            "trading:\n  ib: {messages_per_second: 50}\n",
            "2: trading.ib.messages_per_second: must be at most 49, found 50",
        ),
        (
            "trading:\n  ib: {client_id: 0}\n",
            "2: trading.ib.client_id: client id 0 would take over orders entered by hand; choose 1 or more",
        ),
        (
            "trading:\n  ib: {client_library: ib-insync}\n",
            "2: trading.ib.client_library: must be 'ib_insync' or 'ib_async', "
            'found "ib-insync"; did you mean ib_insync?',
        ),
        ("trading:\n  ib: {host: 5}\n", "2: trading.ib.host: must be text, found 5; put it in quotes"),
        ("trading:\n  ib: {host: ''}\n", "2: trading.ib.host: must not be empty"),
        (
            "trading:\n  data: {csv_dir: ~/prices}\n",
            "2: trading.data.csv_dir: must be a path written out in full; `~` and nothing are not expanded",
        ),
        ("trading:\n  data: {csv_dir: [a]}\n", "2: trading.data.csv_dir: must be a path, found a list"),
        (
            "trading:\n  sizing:\n",
            "2: trading.sizing: must be a group of settings, found nothing; indent its settings "
            "below it, or take the line out",
        ),
        ("trading:\n  strategies: 5\n", "2: trading.strategies: must be a list, found 5"),
        ("trading:\n  strategies:\n    - name: a\n", "3: trading.strategies[0].path: must be given"),
        (
            "trading:\n  strategies:\n    - name: a\n      path: a.py\n",
            '4: trading.strategies[0].path: names no class, found "a.py"; write path.py:Class or package.module:Class',
        ),
        (
            "trading:\n  strategies:\n    - {name: a, path: 'a.py:A', alocation: 1}\n",
            "3: trading.strategies[0].alocation: unknown setting; did you mean allocation?",
        ),
        (
            "trading:\n  strategies:\n    - {name: a, path: 'a.py:A', parameters: {b: .inf}}\n",
            "3: trading.strategies[0].parameters.b: must be a finite number, found inf",
        ),
        (
            "trading:\n  schedule: {rebalance: 16:00}\n",
            '2: trading.schedule.rebalance.trigger: the trigger "16:00" is not understood; '
            'write for example "5 minutes after the open", "15 minutes before the close", "at the open", '
            '"every 30 s", "every 5 min during the session" or "16:00 America/New_York"',
        ),
        (
            "trading:\n  schedule:\n    rebalance: 16:00 America/New_Yrk\n",
            '3: trading.schedule.rebalance.trigger: the trigger "16:00 America/New_Yrk" has the unknown time zone '
            '"America/New_Yrk"; the nearest name known is America/New_York',
        ),
        ("", "trading: must be a group of settings, found nothing; write the settings below a line `trading:`"),
        (
            "trading:\n",
            "1: trading: must be a group of settings, found nothing; write the settings below a line `trading:`",
        ),
        ("- a\n", "found a list where settings must stand; begin with `trading:`"),
        (
            "trading:\n  ops: {control_token: swordfish}\n",
            "2: trading.ops.control_token: a secret must not stand here; "
            "put it into a file of its own and name that in control_token_file",
        ),
    ],
)
def test_a_mistake_is_one_line_that_says_where_what_and_what_to_do(text: str, line: str) -> None:
    """Line, full name, what is wrong, and the way out."""
    separator = ":" if line[0].isdigit() else ": "
    assert mistakes_of(text) == [f"f.yaml{separator}{line}"]


def test_a_secret_in_the_file_is_never_shown() -> None:
    """Not even as the value that was wrong."""
    assert "swordfish" not in str(mistakes_of("trading:\n  ops: {control_token: [swordfish]}\n"))


def test_a_missing_file_is_one_clear_sentence(tmp_path: Path) -> None:
    """Not silent defaults."""
    path = tmp_path / "none.yaml"
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file; give the path of a configuration file"):
        load(path, {})
    assert check(path, {}) == ([f"{path}: there is no such file; give the path of a configuration file"], 78)


def test_what_is_no_text_file_is_one_clear_sentence(tmp_path: Path) -> None:
    """A directory, bytes that are no UTF-8, and a file far too large."""
    binary, huge = tmp_path / "binary", tmp_path / "huge"
    binary.write_bytes(b"trading:\n  mode: \xff\xfe\n")
    huge.write_bytes(b"#" * 1_048_577)
    assert check(tmp_path, {})[0] == [f"{tmp_path}: the configuration file can't be read: is a directory"]
    assert check(binary, {})[0] == [f"{binary}:2: not text in UTF-8; save the file as UTF-8"]
    assert check(huge, {})[0] == [f"{huge}: larger than 1,048,576 bytes; this is not a configuration file"]


def test_a_pipe_is_read_and_a_silent_one_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell's `<(…)`, written in pieces; one that nobody writes to, or falls silent, is one clear sentence."""
    monkeypatch.setattr(load_module, "_SILENCE_SECONDS", 0.3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    silent = [f"{pipe}: nothing came for 0.3 s; give a file, or a pipe that is written to"]
    assert check(pipe, {}) == (silent, 78)
    reader, writer = os.pipe()
    os.write(writer, SMALLEST[:20].encode())
    path = f"/dev/fd/{reader}"
    assert check(path, {}) == ([silent[0].replace(str(pipe), path)], 78)
    thread = threading.Thread(target=_write_slowly, args=(writer, SMALLEST.encode()))
    thread.start()
    assert load(path, {}).source_text_sha256 == hashlib.sha256(SMALLEST.encode()).hexdigest()
    thread.join()
    os.close(reader)


def _write_slowly(writer: int, content: bytes) -> None:
    for start in range(0, len(content), 40):
        os.write(writer, content[start : start + 40])
        time.sleep(0.01)
    os.close(writer)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    """The file an editor on Windows saves is read, and its lines are counted right."""
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").replace("7497", "-1").encode())
    assert check(path, {})[0] == [f"{path}:6: trading.ib.port: must be at least 1, found -1"]


def test_json_is_read_by_the_same_loader(tmp_path: Path) -> None:
    """The same settings from JSON as from YAML, and the same lines for mistakes."""
    tree = {"trading": settings_of(SMALLEST).plain()}
    path = tmp_path / "f.json"
    path.write_text(json.dumps(tree, indent="\t"))
    assert load(path, {}).settings == settings_of(SMALLEST)
    path.write_text('{\n  "trading": {\n    "moed": "paper"\n  }\n}')
    assert check(path, {})[0] == [f"{path}:3: trading.moed: unknown setting; did you mean mode?"]


def test_numbers_are_exactly_their_digits() -> None:
    """0.1 is a tenth, quoted or not."""
    settings = settings_of(below_trading("risk: {max_weight: 0.1}\ninitial_capital: '123456789012345678.01'"))
    assert settings.risk.max_weight == Decimal("0.1")
    assert settings.initial_capital == Decimal("123456789012345678.01")


def test_a_job_given_as_text_or_in_part_keeps_its_own_other_defaults() -> None:
    """A bare trigger, and a deadline alone."""
    default = Settings().schedule
    given_text = settings_of(below_trading("schedule: {refresh: 16:30 America/New_York}")).schedule
    given_part = settings_of(below_trading("schedule: {signals: {deadline_seconds: 5}}")).schedule
    assert given_text.refresh == default.refresh.model_copy(update={"trigger": "16:30 America/New_York"})
    assert given_part.signals == default.signals.model_copy(update={"deadline_seconds": 5.0})
    assert given_part.refresh == default.refresh


@pytest.mark.parametrize(
    "trigger",
    [
        "5 minutes after the open",
        "15 minutes before the close",
        "at the open",
        "1 hour after the close",
        "every 30 s",
        "every 5 min",
        "every 2 s during the session",
        "16:00 America/New_York",
        "9:30 UTC",
    ],
)
def test_the_forms_of_a_trigger(trigger: str) -> None:
    """Session-relative, at an interval, at a time in a zone."""
    assert settings_of(below_trading(f"schedule: {{refresh: {trigger}}}")).schedule.refresh.trigger == trigger


def test_settings_survive_the_journal() -> None:
    """What is recorded as JSON reads back to equal settings."""
    settings = parse(demo_path().read_text(), name="demo", environ={}).settings
    assert Settings.model_validate(json.loads(json.dumps(settings.plain()))) == settings


def test_the_journal_is_named_after_mode_and_account() -> None:
    """A paper and a live journal never share a name; a dry run has its own."""
    paper = "mode: paper\ndata_provider: ib\nexecutor: {}\nexecution: {{paper_account: DU123456}}"
    assert settings_of(below_trading(paper.format("ib_paper"))).journal_path == Path("var/paper-DU123456.sqlite")
    assert settings_of(below_trading(paper.format("mock"))).journal_path == Path("var/paper-mock.sqlite")
    assert settings_of(SMALLEST).journal_path == Path("var/backtest-mock.sqlite")
    assert settings_of(below_trading("journal: {path: /var/lib/x.sqlite}")).journal_path == Path("/var/lib/x.sqlite")


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_NAMES = st.sampled_from(
    ["mode", "ib", "port", "risk", "max_weight", "strategies", "schedule", "refresh", "name", "path", "x"]
)
_TREES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4), max_leaves=10
)


@given(st.dictionaries(_NAMES, _TREES, max_size=5))
def test_any_tree_gives_settings_or_mistakes_each_of_one_line(tree: dict[str, object]) -> None:
    """Nothing that parses makes the loader raise anything but its own error."""
    text = json.dumps({"trading": tree})
    try:
        loaded = parse(text, name="f", environ={})
    except ConfigErrors as errors:
        assert errors.mistakes
        assert all("\n" not in line and line.startswith("f:1: trading") for line in errors.lines())
    else:
        assert Settings.model_validate(loaded.settings.plain()) == loaded.settings


def test_importing_the_configuration_loads_nothing_heavy() -> None:
    """Neither pandas, nor an IB library, nor the YAML reader before there is a file to read."""
    heavy = {"pandas", "numpy", "ib_insync", "ruamel.yaml", "asyncio", "pydantic_settings"}
    code = f"import sys, longwatch.config.load; print(sorted(set(sys.modules) & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"

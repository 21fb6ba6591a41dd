"""What README, docs and deploy say is so: commands, code, settings, links, metrics, the excerpt of the demo."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from longwatch.backtest.command import backtest
from longwatch.cli import app
from longwatch.clock import SteppedClock
from longwatch.config.load import check
from longwatch.data import demo
from longwatch.domain.state import State
from longwatch.errors import LongwatchError
from longwatch.ops.metrics import Metrics
from longwatch.ops.runtime import RuntimeView
from longwatch.simulation.plan import read_plan
from longwatch.strategies.base import Bars, Context, settle_weights
from longwatch.strategies.host import InlineHost
from longwatch.strategies.worker import Code, Request
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "deploy/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
TRADED = ("AAPL", "IBM", "MSFT")


def blocks(language: str, page: str = README) -> list[str]:
    """The fenced blocks of a page in one language; "" for those that name none."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text below a heading, up to the next of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README has no section {title}"
    return found[1]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """README's strategy and configuration, saved as it says."""
    [code], [configuration] = blocks("python"), blocks("yaml")
    (tmp_path / "trend.py").write_text(code)
    (tmp_path / "paper.yaml").write_text(configuration)
    return tmp_path


def test_the_configuration_of_the_readme_is_good(written: Path) -> None:
    """`longwatch check paper.yaml` finds nothing wrong with it."""
    lines, code = check(written / "paper.yaml", {})
    assert (lines[-1].split(": ")[1].split(";")[0], code) == ("good", 0)


@pytest.mark.parametrize("page", [page for page in PAGES if "```yaml" in page.read_text()], ids=lambda page: page.name)
def test_every_configuration_shown_is_good(page: Path, tmp_path: Path) -> None:
    """No page shows a setting that does not exist."""
    for text in blocks("yaml", page.read_text()):
        (tmp_path / "shown.yaml").write_text(text)
        assert check(tmp_path / "shown.yaml", {})[1] == 0


def test_the_fault_plan_shown_is_good() -> None:
    """It is read as it stands."""
    [plan] = blocks("yml")
    assert len(read_plan(plan, "README.md").entries) == 3


async def test_the_strategy_of_the_readme_loads_and_names_weights(written: Path) -> None:
    """The complete short example runs as it stands, with the parameters of the configuration beside it."""
    parameters = YAML(typ="safe").load(blocks("yaml")[0])["trading"]["strategies"][0]["parameters"]
    code = Code(name="trend", reference="trend.py:Trend", parameters=parameters, folder=written)
    host = InlineHost()
    needs, _ = await host.needs(code, deadline_seconds=10)
    assert (needs.universe, needs.lookback) == (TRADED, 100)
    series = {symbol: demo.load(symbol) for symbol in needs.universe}
    context = Context(session=date(2013, 3, 1), now=datetime(2013, 3, 2, tzinfo=UTC))
    result = await host.run(Request(code=code, series=series, context=context), deadline_seconds=30)
    closes = Bars(series).adjusted.tail(100)
    third = settle_weights({symbol: 1 / 3 for symbol in TRADED}, needs)
    rising = {symbol: closes[symbol].iloc[-1] > closes[symbol].mean() for symbol in TRADED}
    assert result.weights == {symbol: third[symbol] if rising[symbol] else Decimal(0) for symbol in TRADED}
    assert {True, False} == set(rising.values()), "the prices no longer show both cases"


def test_the_backtest_of_the_readme_runs(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same file is backtested over the package's history as README says."""
    assert "`longwatch backtest paper.yaml --csv-dir demo`" in README
    code = backtest(written / "paper.yaml", start=date(2013, 2, 1), csv_dir=Path("demo"), as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert (code, result["trades"] > 0) == (0, True), result


def test_the_table_of_commands_is_the_list_of_commands() -> None:
    """Every command of the table exists, and every command that exists is in the table."""
    rows = [row.split("|")[1] for row in section("Commands").splitlines() if row.startswith("| `longwatch ")]
    told = {name.split()[0] for row in rows for name in re.findall(r"`(?:longwatch )?([a-z ]+)[A-Z ]*`", row)}
    assert told == set(get_command(app).commands)


def test_every_option_named_exists() -> None:
    """An option in README is one of a command, or of `make`'s tools."""
    known = {
        option
        for group in (get_command(app), get_command(app).commands["journal"])
        for command in group.commands.values()
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", README)) <= known


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    """Each error's exit code is in the table; 0 and 2 are success and the command line's own."""

    def codes(error: type[LongwatchError]) -> set[int]:
        return {error.exit_code, *(code for below in error.__subclasses__() for code in codes(below))}

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", section("Commands"), re.MULTILINE)}
    assert told == codes(LongwatchError) | {0, 2}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository names one that is there."""
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    inside = [target for target in targets if target and "://" not in target]
    assert [target for target in inside if not (page.parent / target).exists()] == []


def test_the_map_of_the_house_names_what_is_there() -> None:
    """Every file and folder drawn exists, and every folder of the package is drawn."""
    drawn = section("The house")
    files = re.findall(r"(?<!\S)([a-z_]+\.(?:py|yaml))(?=\s)", drawn)
    folders = {name for name in re.findall(r"^  ([a-z]+)/ ", drawn, re.MULTILINE)}
    package = ROOT / "daemon" / "longwatch"
    assert [name for name in files if not ((package / name).exists() or (ROOT / "config" / name).exists())] == []
    assert folders == {path.name for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}


def test_make_has_every_target_that_is_told() -> None:
    """`make X` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target for page in PAGES for target in re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)
    }
    assert {"demo", "test"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_excerpt_is_what_the_demo_prints() -> None:
    """Each line of the excerpt is one that the first day of the demo prints, whatever the figures."""
    [excerpt] = [block for block in blocks("") if "reconcile compared" in block]
    command = [sys.executable, "-c", "from longwatch.cli import main; main()"]
    options = ["demo", "--days", "1", "--pace", "0", "--http-port", "0"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, env=environ, check=True)
    printed = {_shape(line) for line in done.stdout.splitlines()}
    assert [line for line in excerpt.splitlines() if _shape(line) not in printed] == []


def test_the_lines_for_a_program_of_your_own_trade_as_they_stand(tmp_path: Path) -> None:
    """In an empty folder: the gateway started by the command told, the program run unchanged but for the port."""
    told = section("A gateway for your own tests")
    [started], [program] = re.findall(r"`longwatch (gateway [^`]+)`", told)[:1], blocks("py", told)
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    command = [sys.executable, "-c", "from longwatch.cli import main; main()", *started.split(), "--port", "0"]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, stdout=pipe, stderr=both, text=True, env=environ, cwd=tmp_path) as gateway:
        assert gateway.stdout is not None
        try:
            port = re.search(r"127\.0\.0\.1:(\d+)", gateway.stdout.readline())
            assert port is not None and "4002" in program
            mine = [sys.executable, "-c", program.replace("4002", port[1])]
            done = subprocess.run(mine, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
        finally:
            gateway.terminate()
    assert done.returncode == 0, done.stderr
    assert re.match(r"Filled \d+\.\d+ \[Position\(account='DU123456', .*position=100\.0", done.stdout), done.stdout


def _shape(line: str) -> str:
    """A line of the demo with every figure and every symbol made the same."""
    return re.sub(r"\d[\d,.:-]*", "#", re.sub(r"\b(AAPL|MSFT|IBM|GOOG)\b", "SYMBOL", line))


def test_every_metric_an_alert_looks_at_exists() -> None:
    """No rule watches a name that is never scraped."""
    clock = SteppedClock(
        lambda: 0.0, market_start=datetime(2020, 1, 2, tzinfo=UTC), technical_start=datetime(2020, 1, 2, tzinfo=UTC)
    )
    state = State()
    metrics = Metrics(lambda: state, RuntimeView(clock=clock, started_at=clock.technical() - timedelta(seconds=1)))
    names = {family.name for family in metrics.registry.collect()}
    rules = YAML(typ="safe").load((ROOT / "deploy/prometheus/longwatch.rules.yml").read_text())
    watched = {name for rule in rules["groups"][0]["rules"] for name in re.findall(r"longwatch_\w+", rule["expr"])}
    assert len(watched) > 10
    assert {re.sub(r"_(total|bucket)$", "", name) for name in watched} <= names

"""`longwatch backtest` as people call it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from longwatch.backtest.command import backtest
from longwatch.cli import app
from longwatch.data import demo
from longwatch.errors import DataError, JournalError, UsageError

SEVEN_LINES = """\
trading:
  mode: "backtest"
  data_provider: "csv"
  executor: "mock"
  initial_capital: 100000
  ib: {host: "127.0.0.1", port: 7497, client_id: 1}
  data: {csv_dir: "data/prices", cache_dir: "data/cache"}
  execution: {paper_account: "DU123456", live_account: "U123456", min_order_size: 1, max_position_size: 10000}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The seven lines in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "seven.yaml"
    path.write_text(SEVEN_LINES)
    return path


def test_the_seven_lines_backtest_on_a_directory_of_files(config: Path) -> None:
    """By the command line, to one JSON object."""
    told = CliRunner().invoke(
        app,
        [
            "backtest",
            str(config),
            "--csv-dir",
            str(demo.DIRECTORY),
            "--start",
            "2007-01-03",
            "--end",
            "2007-06-29",
            "--json",
        ],
    )
    assert told.exit_code == 0, told.output
    figures = json.loads(told.stdout)
    assert (figures["start"], figures["end"], figures["initial_capital"]) == ("2007-01-03", "2007-06-29", "100000")
    assert figures["trades"] > 0


def test_the_files_may_lie_where_the_configuration_says(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`data/prices`, counted from the working directory; a table is printed."""
    (config.parent / "data").mkdir()
    (config.parent / "data" / "prices").symlink_to(demo.DIRECTORY)
    assert backtest(config, start=date(2007, 1, 3), end=date(2007, 2, 28)) == 0
    assert "final equity" in capsys.readouterr().out


def test_a_missing_directory_is_one_sentence(config: Path) -> None:
    """It says what belongs there, and the way out."""
    with pytest.raises(DataError, match=r"^data/prices: there is no such directory; put AAPL\.csv .*--csv-dir"):
        backtest(config)


def test_an_empty_directory_is_one_sentence(config: Path, tmp_path: Path) -> None:
    """The first symbol's file is named."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty/AAPL\.csv does not exist"):
        backtest(config, csv_dir=tmp_path / "empty")


def test_one_bad_file_takes_out_its_symbol_with_a_warning(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other symbols trade on."""
    for symbol in ("AAPL", "IBM", "MSFT"):
        (tmp_path / f"{symbol}.csv.gz").symlink_to(demo.DIRECTORY / f"{symbol}.csv.gz")
    (tmp_path / "GOOG.csv").write_text("date,open,high,low,close,volume\n2007-01-03,1,1,1,-1,5\n")
    assert backtest(config, csv_dir=tmp_path, start=date(2007, 1, 3), end=date(2007, 3, 30), as_json=True) == 0
    told = capsys.readouterr()
    assert "GOOG.csv:2: close '-1' is not above zero" in told.err
    assert json.loads(told.out)["trades"] > 0


def test_dates_outside_of_the_data_are_one_sentence(config: Path) -> None:
    """It says how far the data reach."""
    with pytest.raises(UsageError, match="the data reach from 2000-03-01 to 2013-03-01, not from 2014-01-02"):
        backtest(config, csv_dir=demo.DIRECTORY, start=date(2014, 1, 2))


def test_a_journal_that_is_not_there_is_one_sentence(config: Path, tmp_path: Path) -> None:
    """`--fills-from` names it."""
    with pytest.raises(JournalError, match=r"none\.sqlite"):
        backtest(config, csv_dir=demo.DIRECTORY, fills_from=tmp_path / "none.sqlite")

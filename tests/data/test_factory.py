"""One factory names every provider, and refuses the rest in one sentence."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from random import Random

import pytest

from longwatch.config.schema import DataSettings
from longwatch.data import demo
from longwatch.data.factory import provider, windows_of
from longwatch.data.statistics import Windows
from longwatch.domain.bars import BarSeries
from longwatch.errors import ConfigError
from tests.data.conftest import make_bars


async def history(symbol: str, bar_size: str, until: date, count: int) -> BarSeries:
    return make_bars([1.0, 2.0])


async def test_csv_reads_the_demos_own_directory(workers) -> None:
    """The shipped files are CSV files like anyone's."""
    made = provider("csv", deadline_seconds=5.0, csv_dir=demo.DIRECTORY, workers=workers)
    series = await made.bars("MSFT", bar_size="1 day", until=date(2007, 1, 3), count=2)
    assert (made.name, series.sessions()) == ("csv", [date(2006, 12, 29), date(2007, 1, 3)])


async def test_ib_asks_the_broker() -> None:
    """Through the history it was handed."""
    made = provider("ib", deadline_seconds=5.0, history=history, random=Random(1))
    assert (made.name, len(await made.bars("XYZ", bar_size="1 day", until=date(2007, 1, 2), count=2))) == ("ib", 2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("yahoo", "data_provider 'yahoo' is not in this version; use 'csv' or 'ib'"),
        ("cvs", "data_provider 'cvs' is not known; did you mean 'csv'?"),
        ("csv", "data_provider 'csv' needs a directory of files; set trading.data.csv_dir"),
        ("ib", "data_provider 'ib' needs a broker; set an executor that has one, or use 'csv'"),
    ],
)
def test_what_can_not_be_made_is_one_sentence(name: str, sentence: str) -> None:
    """An absent provider, a slip, a missing part."""
    with pytest.raises(ConfigError) as caught:
        provider(name, deadline_seconds=1.0)
    assert str(caught.value) == sentence


def test_a_directory_alone_is_not_enough() -> None:
    """Files are read by workers, never on the event loop."""
    with pytest.raises(ConfigError):
        provider("csv", deadline_seconds=1.0, csv_dir=Path("anywhere"))


def test_the_figures_of_bars_look_back_as_far_as_the_settings_say() -> None:
    """Each by its own setting, and without one as far as by themselves."""
    chosen = DataSettings(volatility_half_life_sessions=5, atr_sessions=6, volume_sessions=7)
    assert windows_of(chosen) == Windows(half_life=5, atr=6, volume=7)
    assert windows_of(DataSettings()) == Windows()

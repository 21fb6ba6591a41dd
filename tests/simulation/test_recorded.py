"""Folders of recorded bars, and the markets that `longwatch gateway` can be asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.errors import DataError, UsageError
from longwatch.gateway.market.history import Span, bars_of
from longwatch.simulation.markets import MADE_UP, from_folder, generated
from longwatch.simulation.recorded import recorded_market
from longwatch.simulation.serve import GatewayOptions, _limits, _served

HEAD = "time,open,high,low,close,volume\n"
MINUTES = HEAD + (
    "2024-03-04T14:30:00Z,10.00,10.50,9.90,10.20,1000\n"
    "2024-03-04T09:31:00-05:00,10.20,10.30,10.10,10.10,500\n"
    "2024-03-04T14:33:00Z,10.10,10.10,10.00,10.00,250\n"
)
DAYS = HEAD + "2024-03-04,10,11,9,10.5,1000\n\n2024-03-05,10.5,12,10,11,2000\n"


def folder_of(path: Path, **files: str) -> Path:
    for name, text in files.items():
        (path / f"{name}.csv").write_text(text)
    return path


def test_minutes_are_replayed_at_their_times(tmp_path: Path) -> None:
    """Any zone may be written; a minute that is missing repeats the price; time begins an hour before the open."""
    served = from_folder(folder_of(tmp_path, ABC=MINUTES, XYZ=MINUTES), 1, (), None)
    assert served.begins == datetime(2024, 3, 4, 13, 30, tzinfo=UTC)
    market = served.market
    abc = market.find("ABC")
    assert abc is not None and [one.symbol for one in market.instruments()] == ["ABC", "XYZ"]
    at = datetime(2024, 3, 4, 14, 34, tzinfo=UTC) - timedelta(seconds=1)
    bars = bars_of(market, abc, "1 min", Span(sessions=1), at)
    assert [(bar.open, bar.close, bar.volume) for bar in bars] == [
        (Decimal("10.00"), Decimal("10.20"), 1000),
        (Decimal("10.20"), Decimal("10.10"), 500),
        (Decimal("10.10"), Decimal("10.10"), 0),
        (Decimal("10.10"), Decimal("10.00"), 250),
    ]


def test_days_are_replayed_along_a_path(tmp_path: Path) -> None:
    """Daily files make the market that the package's own history makes; a start in between skips what is before."""
    folder = folder_of(tmp_path, ABC=DAYS)
    served = from_folder(folder, 1, ("ABC",), date(2024, 3, 5))
    assert served.begins == datetime(2024, 3, 5, 13, 30, tzinfo=UTC)
    abc = served.market.find("ABC")
    assert abc is not None
    (bar, *_) = served.market.completed(abc, datetime(2024, 3, 6, tzinfo=UTC))
    assert (bar.open, bar.high, bar.low, bar.close) == (10, 11, 9, 10.5)
    with pytest.raises(UsageError, match="end before 2030"):
        from_folder(folder, 1, (), date(2030, 1, 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1: begins with ''; begin with time,open"),
        ("date,close\n", "1: begins with 'date,close'"),
        (HEAD, "holds no bars"),
        (HEAD + "2024-03-04,10,11,9\n", "2: '2024-03-04,10,11,9' is no bar"),
        (HEAD + "2024-03-04T14:30:00,10,11,9,10,1\n", "2: the time 2024-03-04T14:30:00 has no zone"),
        (HEAD + "2024-03-04,10,9,9,10,1\n", "2: no bar can have these prices"),
        (HEAD + "9999-12-30,10,11,9,10,1\n", "2: no bar is of 9999-12-30; write a day from 1970 on"),
        (HEAD + "0001-01-01T00:00:00+14:00,10,11,9,10,1\n", "2: no bar is of 0001-01-01T00:00:00+14:00"),
        (HEAD + "2024-03-02,10,11,9,10,1\n", "no bar is within a session of New York's"),
        (HEAD + "2024-03-04T22:00:00Z,10,11,9,10,1\n", "no bar is within a session of New York's"),
        (HEAD + "2024-03-04," + "a" * 200_000 + "\n", "is no table of bars (field larger than field limit"),
        (HEAD + "2024-03-04,10,1e300,1e-300,10,1\n", "2: prices must be 0.000001 to 1,000,000,000"),
        (HEAD + "2024-03-04,nan,11,9,10,1\n", "2: no bar can have these prices"),
        (HEAD + "2024-03-05,10,11,9,10,1\n2024-03-04,10,11,9,10,1\n", "3: 2024-03-04 does not follow 2024-03-05"),
        (HEAD + "2024-03-05,10,11,9,10,1\n2024-03-05T15:00:00Z,10,11,9,10,1\n", "3: 2024-03-05T15:00:00Z does not"),
        (HEAD + "2024-03-04T14:30:00Z,10,11,9,10,1\n2024-03-04T14:30:07Z,10,11,9,10,1\n", "bars must all be of one"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    """Which file, which line, what is wrong and what to write."""
    folder = folder_of(tmp_path, ABC=text)
    with pytest.raises(DataError) as error:
        recorded_market(folder, seed=1)
    assert told in str(error.value) and str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_bars_is_told(tmp_path: Path) -> None:
    """Empty, or without the symbol asked for."""
    with pytest.raises(DataError, match="holds no bars; put files like"):
        recorded_market(tmp_path, seed=1)
    with pytest.raises(DataError, match="can't be read"):
        recorded_market(tmp_path, seed=1, symbols=("ABC",))
    with pytest.raises(DataError, match="there is no folder"):
        recorded_market(tmp_path / "none", seed=1)


def test_a_symbol_is_no_way_out_of_the_folder(tmp_path: Path) -> None:
    """A file of another folder is not read, whatever is written in front of it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        folder_of(tmp_path / name, ABC=DAYS)
    for symbol in ("../two/ABC", str(tmp_path / "two" / "ABC"), "./ABC"):
        with pytest.raises(DataError, match="is no symbol in"):
            recorded_market(tmp_path / "one", seed=1, symbols=(symbol,))


def test_a_generated_market_is_the_seeds_and_lists_more_than_shares() -> None:
    """The same seed gives the same prices, another other ones; a fund, currencies and futures are there."""
    at = datetime(2021, 6, 1, 15, tzinfo=UTC)
    quotes = []
    for seed in (1, 1, 2):
        market = generated(seed, (), None).market
        share = market.find(MADE_UP[0])
        assert share is not None
        quotes.append(market.quote(share, at))
        kinds = {one.sec_type for one in market.instruments()}
        assert kinds == {"STK", "CASH", "FUT"}
    assert quotes[0] == quotes[1] != quotes[2]
    with pytest.raises(UsageError, match="runs from 2002"):
        generated(1, (), date(1999, 1, 1))


def test_one_market_is_served(tmp_path: Path) -> None:
    """What excludes each other is refused, and a kind there is not; the pacing has three ways."""
    folder = folder_of(tmp_path, ABC=DAYS)
    assert _served(GatewayOptions(bars=folder)).market.find("ABC") is not None
    assert _served(GatewayOptions(market="generated", symbols=("ONE",))).market.find("ONE") is not None
    for wrong in (
        GatewayOptions(market="other"),
        GatewayOptions(market="generated", bars=folder),
        GatewayOptions(around_the_clock=True, bars=folder),
        GatewayOptions(around_the_clock=True, symbols=("ABC",)),
    ):
        with pytest.raises(UsageError):
            _served(wrong)
    with pytest.raises(UsageError, match="--bars and --market generated are two markets"):
        _served(GatewayOptions(market="generated", bars=Path()))
    for start in (date(1, 1, 2), date(9999, 12, 31)):
        with pytest.raises(UsageError, match="the market that never closes runs from 1990"):
            _served(GatewayOptions(around_the_clock=True, start=start))
    assert _limits(GatewayOptions(pacing="off")) is None
    for pacing, rejects in (("delay", False), ("reject", True)):
        limits = _limits(GatewayOptions(pacing=pacing, message_rate=7))
        assert limits is not None and (limits.rejects, limits.messages_a_second) == (rejects, 7)
    with pytest.raises(UsageError, match="--pacing never"):
        _limits(GatewayOptions(pacing="never"))

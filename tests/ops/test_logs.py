"""Logs: one calm line for a person, JSON for systemd, libraries kept quiet."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from longwatch import cli
from longwatch.clock import SteppedClock
from longwatch.errors import UsageError
from longwatch.ops.log_writer import BackgroundHandler
from longwatch.ops.logs import is_journal, setup, topic_of
from tests.ops.made import HandClock


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Leave the process's logging as the test found it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


class Slow(io.StringIO):
    """A stream that takes its time."""

    def write(self, text: str) -> int:
        time.sleep(0.001)
        return super().write(text)


def written(style: Any = "console", level: str = "info", **environ: str) -> io.StringIO:
    stream = io.StringIO()
    setup(HandClock(), level=level, style=style, stream=stream, environ=environ)
    return stream


def test_the_console_has_market_time_topic_and_text() -> None:
    """One line a record, topics aligned, louder levels named, keys after the text."""
    stream = written()
    logging.getLogger("longwatch.orders").info("BUY %d AAPL", 120)
    logging.getLogger("longwatch.broker.link").warning("lost", extra={"attempt": 2})
    assert stream.getvalue() == (
        "2007-01-05 15:00:00Z  orders    BUY 120 AAPL\n2007-01-05 15:00:00Z  link      warning: lost  attempt=2\n"
    )


def test_a_message_of_several_lines_stays_one_line() -> None:
    """What others put into a message can't forge a line of the log."""
    stream = written()
    logging.getLogger("longwatch.link").info("bad\n2007-01-05 15:00:00Z  orders    BUY 1 XYZ")
    assert stream.getvalue().count("\n") == 1
    assert "bad | 2007" in stream.getvalue()


def test_a_traceback_is_indented_below_its_line() -> None:
    """Every line of it is set off from the log's own."""
    stream = written()
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("longwatch.jobs").exception("refresh failed")
    first, *trace = stream.getvalue().splitlines()
    assert first.endswith("jobs      error: refresh failed")
    assert trace[-1] == "    ValueError: odd"
    assert all(line.startswith("    ") for line in trace)


def test_under_systemd_it_is_json_with_a_priority() -> None:
    """sd-daemon(3): `<6>` informs, `<4>` warns, `<3>` is an error; the object carries the keys given."""
    stream = written("auto", JOURNAL_STREAM="8:1")
    logging.getLogger("longwatch.orders").info("BUY", extra={"intent": 7})
    logging.getLogger("longwatch.orders").error("lost")
    first, second = stream.getvalue().splitlines()
    assert json.loads(first.removeprefix("<6>")) == {
        "time": "2007-01-05T15:00:00.000Z",
        "level": "info",
        "topic": "orders",
        "text": "BUY",
        "intent": 7,
    }
    assert second.startswith("<3>{")


def test_json_tells_both_times_where_they_differ() -> None:
    """In a demo the market is elsewhere than the machine: then a record has both."""
    stream = io.StringIO()
    technical = datetime(2025, 5, 5, tzinfo=UTC)
    clock = SteppedClock(lambda: 0.0, market_start=datetime(2007, 1, 3, tzinfo=UTC), technical_start=technical)
    setup(clock, style="json", stream=stream, environ={})
    logging.getLogger("longwatch.orders").info("BUY")
    entry = json.loads(stream.getvalue())
    assert (entry["time"], entry["market_time"]) == ("2025-05-05T00:00:00.000Z", "2007-01-03T00:00:00.000Z")


def test_the_journal_stream_must_be_this_stream(tmp_path: Path) -> None:
    """A child with its output redirected inherits the variable, and writes for a person all the same."""
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "8:1"})
        assert not is_journal(stream, {})


def test_the_ib_library_is_demoted_by_one_level() -> None:
    """What the gateway refuses is an event of ours, not an error of the library; its chatter is not heard at all."""
    stream = written()
    library = logging.getLogger("ib_insync.wrapper")
    library.error("Error 201, reqId 3: Order rejected")
    library.warning("Warning 2104")
    library.info("connected")
    lines = [line[22:] for line in stream.getvalue().splitlines()]
    assert lines == ["ib_insync warning: Error 201, reqId 3: Order rejected", "ib_insync Warning 2104"]


def test_demotion_never_lets_a_record_below_the_level_through() -> None:
    """At level warning a library's warning, demoted to info, is silent."""
    stream = written(level="warning")
    logging.getLogger("ib_insync.wrapper").warning("Warning 2104")
    logging.getLogger("ib_insync.wrapper").error("Error 201")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_second_setup_replaces_the_first() -> None:
    """No record is written twice."""
    first, second = written(), written()
    logging.getLogger("longwatch.orders").info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_an_unknown_level_is_refused_by_name() -> None:
    """The sentence lists what there is."""
    with pytest.raises(ValueError, match="log level 'loud' is not one of debug"):
        written(level="loud")


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("longwatch.orders", "orders"),
        ("longwatch.broker.link", "link"),
        ("aiohttp.server", "aiohttp"),
        ("root", "root"),
    ],
)
def test_a_topic_is_the_last_word_of_ours_and_the_first_of_others(name: str, topic: str) -> None:
    """The word a line is filed under."""
    assert topic_of(name) == topic


def test_a_log_nobody_reads_holds_nobody_up() -> None:
    """A full pipe: whoever logs goes on, what there was room for comes later, and what was left out is counted."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    handler = BackgroundHandler(stream, kept=50)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(200):
        handler.handle(logging.makeLogRecord({"msg": f"{number} " + "x" * 4_000}))
    read = bytearray()
    while b"left out" not in read:
        read += os.read(reading, 1 << 16)
    handler.close()
    lines = read.decode().splitlines()
    came = [int(line.split()[0]) for line in lines if "x" in line]
    left_out = int(lines[-1].split()[1])
    assert came == sorted(came)
    assert 0 < left_out == 200 - len(came)
    os.close(reading)


def test_closing_writes_what_waits_and_gives_up_on_a_reader_that_is_gone() -> None:
    """The last lines of a process come out; without a reader it ends all the same."""
    stream = io.StringIO()
    handler = BackgroundHandler(stream)
    handler.handle(logging.makeLogRecord({"msg": "the last"}))
    handler.close()
    assert stream.getvalue() == "the last\n"
    reading, writing = os.pipe()
    stuck = BackgroundHandler(os.fdopen(writing, "w"), kept=1)
    for _ in range(100):
        stuck.handle(logging.makeLogRecord({"msg": "x" * 8_000}))
    stuck.close()
    os.close(reading)


def test_an_error_that_ends_the_process_is_told_after_all_that_was_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is written by a thread, which must not go on behind the last sentence, or in its midst."""
    stream = Slow()
    monkeypatch.setattr(sys, "stderr", stream)
    setup(HandClock(), stream=stream, in_background=True)
    for number in range(50):
        logging.getLogger("longwatch.start").warning("line %d", number)
    assert cli._told(UsageError("this is the end")) == UsageError.exit_code
    assert len(stream.getvalue().splitlines()) == 51
    assert stream.getvalue().splitlines()[-1] == "longwatch: this is the end"

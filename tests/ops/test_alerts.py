"""The alert board: told once, counted always, bounded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from longwatch.domain.messages import RaiseAlert
from longwatch.ops.alerts import Alert, AlertBoard, tell_log
from tests.ops.made import NOW, HandClock


def alert(text: str, key: str = "quarantine", severity: str = "warning") -> RaiseAlert:
    return RaiseAlert(key=key, text=text, severity=severity)


def test_the_same_alert_is_told_once_in_five_minutes() -> None:
    """Repeats are counted on the board and by key, and told again when the quiet time is over."""
    clock, told = HandClock(), list[Alert]()
    board = AlertBoard(clock, tell=told.append)
    assert board.raise_alert(alert("AAPL"))
    clock.pass_seconds(299)
    assert not board.raise_alert(alert("AAPL"))
    (shown,) = board.latest()
    assert (shown.repeats, shown.at, shown.last_at) == (1, NOW, NOW + timedelta(seconds=299))
    clock.pass_seconds(1)
    assert board.raise_alert(alert("AAPL"))
    assert [one.text for one in told] == ["AAPL", "AAPL"]
    assert board.counts["quarantine"] == 3


def test_an_alert_that_goes_on_is_told_less_and_less_often() -> None:
    """After five minutes, an hour more, a day more, and then once a day; after an hour's rest it is a new one."""
    clock, told = HandClock(), list[Alert]()
    board = AlertBoard(clock, tell=told.append)
    for _ in range(3 * 24 * 60):
        board.raise_alert(alert("no link to the gateway"))
        clock.pass_seconds(60)
    times = [(one.at - NOW).total_seconds() for one in told]
    assert times == [0, 300, 300 + 3600, 300 + 3600 + 86400, 300 + 3600 + 2 * 86400]
    clock.pass_seconds(3600)
    assert board.raise_alert(alert("no link to the gateway"))
    clock.pass_seconds(300)
    assert board.raise_alert(alert("no link to the gateway"))


def test_one_instruments_alert_never_hides_anothers() -> None:
    """The same key with another text is another alert."""
    board = AlertBoard(HandClock(), tell=lambda _: None)
    assert board.raise_alert(alert("AAPL"))
    assert board.raise_alert(alert("MSFT"))
    assert [shown.text for shown in board.latest()] == ["MSFT", "AAPL"]


def test_the_board_keeps_the_last_fifty() -> None:
    """A flood drops the oldest, the counts go on, and a repeat of one that has left the board is still not told."""
    board = AlertBoard(HandClock(), tell=lambda _: None)
    for number in range(60):
        board.raise_alert(alert(str(number)))
    assert len(board.latest(100)) == 50
    assert board.latest(1)[0].text == "59"
    assert board.counts["quarantine"] == 60
    assert not board.raise_alert(alert("0"))


def test_an_alert_is_logged_at_its_severity(caplog: pytest.LogCaptureFixture) -> None:
    """The log's level is the alert's, a warning where it is none of ours."""
    board = AlertBoard(HandClock(), tell=tell_log)
    for severity in ("info", "critical", "odd"):
        with caplog.at_level("INFO", logger="longwatch.alert"):
            board.raise_alert(alert(severity, severity=severity))
    assert [(record.name, record.levelname) for record in caplog.records] == [
        ("longwatch.alert", "INFO"),
        ("longwatch.alert", "CRITICAL"),
        ("longwatch.alert", "WARNING"),
    ]

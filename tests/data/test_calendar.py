"""Sessions by exact instant: half days, daylight saving, other exchanges, the end of the table."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import exchange_calendars
import pytest

from longwatch.data.calendar import (
    FILE_END,
    FILE_START,
    SAME_SESSIONS,
    AlwaysOpen,
    ExchangeCalendar,
    PlainCalendar,
    current_or_next,
    last_completed,
    zone,
)
from longwatch.errors import ConfigError, DataError


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.fixture(scope="module")
def new_york() -> ExchangeCalendar:
    return ExchangeCalendar()


def test_the_shipped_sessions_are_those_of_exchange_calendars(new_york: ExchangeCalendar) -> None:
    """All of them, by date, opening and closing instant."""
    table = exchange_calendars.get_calendar("XNYS", start=FILE_START, end=FILE_END)
    theirs = [
        (label.date(), opening.to_pydatetime(), closing.to_pydatetime())
        for label, opening, closing in zip(table.sessions, table.opens, table.closes, strict=True)
    ]
    ours = [(each.date, each.open_at, each.close_at) for each in new_york.sessions(FILE_START, FILE_END)]
    assert len(ours) == 8046
    assert ours == theirs


def test_a_half_day_closes_at_one_in_new_york(new_york: ExchangeCalendar) -> None:
    """The day after Thanksgiving 2007."""
    (session,) = new_york.sessions(date(2007, 11, 22), date(2007, 11, 23))
    assert (session.open_at, session.close_at) == (utc(2007, 11, 23, 14, 30), utc(2007, 11, 23, 18, 0))


@pytest.mark.parametrize(
    ("friday", "monday", "before", "after"),
    [(date(2007, 3, 9), date(2007, 3, 12), 14, 13), (date(2007, 11, 2), date(2007, 11, 5), 13, 14)],
)
def test_the_opening_moves_with_daylight_saving(
    new_york: ExchangeCalendar, friday: date, monday: date, before: int, after: int
) -> None:
    """Half past nine in New York is another instant after each of the two Sundays."""
    first, second = new_york.sessions(friday, monday)
    assert (first.open_at.hour, second.open_at.hour) == (before, after)
    assert first.close_at - first.open_at == second.close_at - second.open_at == timedelta(hours=6.5)


def test_days_the_exchange_was_shut_are_no_sessions(new_york: ExchangeCalendar) -> None:
    """The attacks of 2001 and the hurricane of 2012."""
    assert new_york.sessions(date(2001, 9, 11), date(2001, 9, 14)) == []
    assert new_york.sessions(date(2012, 10, 29), date(2012, 10, 30)) == []


def test_beyond_the_file_the_rules_are_computed() -> None:
    """The same calendar goes on outside the shipped years, and agrees with them inside."""
    longer = ExchangeCalendar("XNYS", date(1998, 12, 1), date(1999, 2, 1))
    assert longer.sessions(date(1998, 12, 31), date(1998, 12, 31))[0].close_at == utc(1998, 12, 31, 21, 0)
    january = (date(1999, 1, 1), date(1999, 1, 31))
    assert longer.sessions(*january) == ExchangeCalendar().sessions(*january)


def test_another_exchange_is_computed_in_its_own_zone() -> None:
    """London, summer and winter."""
    london = ExchangeCalendar("XLON", date(2024, 1, 1), date(2024, 12, 31))
    winter, summer = london.sessions(date(2024, 1, 3), date(2024, 1, 3)) + london.sessions(
        date(2024, 7, 3), date(2024, 7, 3)
    )
    assert (winter.open_at, summer.open_at) == (utc(2024, 1, 3, 8, 0), utc(2024, 7, 3, 7, 0))
    assert type(winter.open_at) is datetime


@pytest.mark.parametrize("name", SAME_SESSIONS)
def test_exchanges_with_new_yorks_hours_share_its_file(name: str) -> None:
    """Each alias is one that exchange_calendars agrees with where it knows it."""
    assert ExchangeCalendar(name.lower()).name == "XNYS"
    known = exchange_calendars.get_calendar_names(include_aliases=True)
    assert name in {"ARCA", "AMEX"} or (name in known and exchange_calendars.resolve_alias(name) == "XNYS")


def test_an_unknown_exchange_is_told_the_nearest_name() -> None:
    """A slip of the finger ends with a hint."""
    with pytest.raises(ConfigError, match="'XLONDON' is not an exchange we have a calendar of; did you mean XLON"):
        ExchangeCalendar("XLONDON")


def test_a_range_without_rules_is_refused() -> None:
    """A calendar is not made up for years nobody knows."""
    with pytest.raises(ConfigError, match="calendar XKRX can't reach from 1900-01-01"):
        ExchangeCalendar("XKRX", date(1900, 1, 1), date(1999, 1, 1))
    with pytest.raises(ConfigError, match="before its start"):
        ExchangeCalendar("XNYS", date(2007, 1, 2), date(2007, 1, 1))


def test_outside_its_range_a_calendar_says_so() -> None:
    """An unknown day is not a day off."""
    calendar = ExchangeCalendar("XNYS", date(2007, 1, 1), date(2007, 12, 31))
    assert calendar.sessions(date(2007, 12, 29), date(2007, 12, 31))[-1].date == date(2007, 12, 31)
    with pytest.raises(DataError, match="reaches from 2007-01-01 to 2007-12-31, not from 2007-12-29 to 2008-01-01"):
        calendar.sessions(date(2007, 12, 29), date(2008, 1, 1))
    with pytest.raises(DataError):
        calendar.sessions(date(2006, 12, 31), date(2007, 1, 3))


def test_the_end_is_announced_thirty_days_before(new_york: ExchangeCalendar) -> None:
    """A daemon that runs for years hears of it in time."""
    assert new_york.warning(FILE_END - timedelta(days=31)) is None
    assert new_york.warning(FILE_END - timedelta(days=30)) == (
        "calendar XNYS ends on 2030-12-31, 30 days from now; install a newer release"
    )
    assert "0 days" in str(new_york.warning(FILE_END + timedelta(days=9)))


def test_a_plain_calendar_gives_what_it_was_given(sessions) -> None:
    """Its reach is that of its sessions."""
    given = sessions(5)
    calendar = PlainCalendar(given)
    assert calendar.sessions(given[1].date, given[3].date) == given[1:4]
    with pytest.raises(DataError):
        calendar.sessions(given[0].date, given[-1].date + timedelta(days=1))


def test_a_plain_calendar_refuses_disorder(sessions) -> None:
    """Out of order, twice, or none at all."""
    given = sessions(3)
    for wrong in ([given[1], given[0]], [given[0], given[0]], []):
        with pytest.raises(DataError):
            PlainCalendar(wrong)


@pytest.mark.parametrize("days", [1, 2, 7])
def test_around_the_clock_sessions_touch(days: int) -> None:
    """One closes in the instant the next opens, wherever one starts to look."""
    calendar = AlwaysOpen(timedelta(days=days))
    found = calendar.sessions(date(2024, 1, 1), date(2024, 3, 1))
    assert all(before.close_at == after.open_at for before, after in pairwise(found))
    assert all(each.open_at == utc(each.date.year, each.date.month, each.date.day) for each in found)
    assert calendar.sessions(found[2].date, date(2024, 3, 1)) == found[2:]
    assert (found[0].date - date(2024, 1, 1)).days < days


@pytest.mark.parametrize("step", [timedelta(hours=1), timedelta(0), timedelta(days=-1), timedelta(days=1.5)])
def test_around_the_clock_sessions_are_whole_days(step: timedelta) -> None:
    """A daily bar needs a date of its own."""
    with pytest.raises(ConfigError):
        AlwaysOpen(step)


def test_a_session_is_completed_in_the_instant_it_closes(new_york: ExchangeCalendar) -> None:
    """Not a second before; at night and at the weekend it is the one before."""
    week = new_york.sessions(date(2007, 1, 3), date(2007, 1, 8))
    assert last_completed(week, utc(2007, 1, 4, 20, 59, 59)) == week[0]
    assert last_completed(week, utc(2007, 1, 4, 21, 0)) == week[1]
    assert last_completed(week, utc(2007, 1, 7, 12, 0)) == week[2]
    assert last_completed(week, utc(2007, 1, 3, 15, 0)) is None


def test_the_session_under_way_comes_before_the_next(new_york: ExchangeCalendar) -> None:
    """While it is open it is the current one, from its close on the next is."""
    week = new_york.sessions(date(2007, 1, 3), date(2007, 1, 5))
    assert current_or_next(week, utc(2007, 1, 3, 20, 59, 59)) == week[0]
    assert current_or_next(week, utc(2007, 1, 3, 21, 0)) == week[1]
    assert current_or_next(week, utc(2007, 1, 5, 21, 0)) is None


def test_the_brokers_zone_names_are_understood() -> None:
    """JST and CST are no zones of the database; EST is one that is wrong in summer."""
    summer = utc(2024, 7, 1, 12)
    offsets = {name: summer.astimezone(zone(name)).utcoffset() for name in ("JST", "CST", "EST", "US/Eastern", "MET")}
    assert offsets == {
        "JST": timedelta(hours=9),
        "CST": timedelta(hours=-5),
        "EST": timedelta(hours=-4),
        "US/Eastern": timedelta(hours=-4),
        "MET": timedelta(hours=2),
    }


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_an_unknown_zone_is_one_sentence(name: str) -> None:
    """It shows what a name looks like."""
    with pytest.raises(ConfigError, match="is not a time zone; write one like America/New_York"):
        zone(name)

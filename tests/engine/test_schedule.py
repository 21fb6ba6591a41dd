"""Triggers by exact instant, and the scheduler's promises: no overlap, no run too late, no run lost without a word."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.sessions import Session
from longwatch.domain.triggers import (
    Anchor,
    Due,
    EveryTrigger,
    LocalTimeTrigger,
    SessionTrigger,
    Trigger,
    describe,
    last_run,
    next_run,
    parse_trigger,
)
from longwatch.engine.schedule import Job, NotRun, Reason, Scheduler
from longwatch.errors import ConfigError

NEW_YORK = ZoneInfo("America/New_York")
HOLIDAYS = {date(2007, 11, 22), date(2007, 12, 25)}
HALF_DAYS = {date(2007, 11, 23), date(2007, 12, 24)}


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def session(day: date) -> Session:
    """A New York session, closing at 13:00 on a half day."""
    close = time(13) if day in HALF_DAYS else time(16)
    return Session(
        date=day,
        open_at=datetime.combine(day, time(9, 30), NEW_YORK).astimezone(UTC),
        close_at=datetime.combine(day, close, NEW_YORK).astimezone(UTC),
    )


DAYS = [date(2007, 1, 1) + timedelta(days=number) for number in range(365)]
SESSIONS = [session(day) for day in DAYS if day.weekday() < 5 and day not in HOLIDAYS]


def runs(text: str, after: str, count: int) -> list[str]:
    """The next `count` instants of a trigger, as text in UTC."""
    trigger, instant, found = parse_trigger(text), at(after), []
    for _ in range(count):
        due = next_run(trigger, instant, SESSIONS)
        assert due is not None
        instant = due.at
        found.append(f"{instant:%Y-%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("text", "instants"),
    [
        ("at the open", ["2007-11-21 14:30:00", "2007-11-23 14:30:00", "2007-11-26 14:30:00"]),
        ("5 minutes after the open", ["2007-11-21 14:35:00", "2007-11-23 14:35:00", "2007-11-26 14:35:00"]),
        ("15 minutes before the close", ["2007-11-21 20:45:00", "2007-11-23 17:45:00", "2007-11-26 20:45:00"]),
        ("30 minutes after the close", ["2007-11-21 21:30:00", "2007-11-23 18:30:00", "2007-11-26 21:30:00"]),
        ("16:00 America/New_York", ["2007-11-21 21:00:00", "2007-11-22 21:00:00", "2007-11-23 21:00:00"]),
    ],
)
def test_thanksgiving_and_its_half_day_by_exact_instant(text: str, instants: list[str]) -> None:
    """The holiday has no run, the half day's close is 13:00 New York; a plain local time comes every day."""
    assert runs(text, "2007-11-21 00:00", 3) == instants


def test_the_session_a_run_belongs_to() -> None:
    """A run after the close belongs to the session just closed, a local time to that date's session or none."""
    after_close = next_run(parse_trigger("30 minutes after the close"), at("2007-11-23 18:00"), SESSIONS)
    assert after_close == Due(at=at("2007-11-23 18:30"), session=date(2007, 11, 23))
    local = parse_trigger("16:00 America/New_York")
    assert next_run(local, at("2007-11-22 00:00"), SESSIONS) == Due(at=at("2007-11-22 21:00"), session=None)
    assert next_run(local, at("2007-11-23 00:00"), SESSIONS) == Due(
        at=at("2007-11-23 21:00"), session=date(2007, 11, 23)
    )
    every = parse_trigger("every 30 s")
    assert next_run(every, at("2007-11-23 17:59:29"), SESSIONS) == Due(
        at=at("2007-11-23 17:59:30"), session=date(2007, 11, 23)
    )
    assert next_run(every, at("2007-11-23 17:59:30"), SESSIONS) == Due(at=at("2007-11-23 18:00"), session=None)


def test_the_clocks_going_forward() -> None:
    """2007-03-11: 02:30 does not exist in New York, so the run comes at 03:00 daylight time, once; sessions move."""
    assert runs("02:30 America/New_York", "2007-03-10 00:00", 3) == [
        "2007-03-10 07:30:00",
        "2007-03-11 07:00:00",
        "2007-03-12 06:30:00",
    ]
    assert runs("03:00 America/New_York", "2007-03-11 00:00", 1) == ["2007-03-11 07:00:00"]
    assert runs("5 minutes after the open", "2007-03-09 00:00", 2) == ["2007-03-09 14:35:00", "2007-03-12 13:35:00"]


def test_the_clocks_going_back() -> None:
    """2007-11-04: 01:30 occurs twice in New York, and the run comes at the first occurrence only."""
    assert runs("01:30 America/New_York", "2007-11-03 00:00", 3) == [
        "2007-11-03 05:30:00",
        "2007-11-04 05:30:00",
        "2007-11-05 06:30:00",
    ]
    assert runs("15 minutes before the close", "2007-11-02 00:00", 2) == ["2007-11-02 19:45:00", "2007-11-05 20:45:00"]


def test_intervals_ignore_daylight_saving() -> None:
    """Every half hour stays 30 minutes apart over both Sundays."""
    for sunday in ("2007-03-11 05:00", "2007-11-04 04:00"):
        found = [datetime.fromisoformat(text) for text in runs("every 30 min", sunday, 10)]
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


def test_a_zone_that_skipped_a_day() -> None:
    """Apia had no 2011-12-30: that day's run comes at the first instant after, and the sequence stays in order."""
    trigger = parse_trigger("16:00 Pacific/Apia")
    instant, found = at("2011-12-29 12:00"), []
    for _ in range(4):
        due = next_run(trigger, instant, [])
        assert due is not None
        instant = due.at
        found.append(f"{instant:%m-%d %H:%M}")
    assert found == ["12-30 02:00", "12-30 10:00", "12-31 02:00", "01-01 02:00"]


def test_every_during_the_session_counts_from_the_open_and_leaves_out_the_close() -> None:
    """On the half day the last 5-minute run is at 12:55, the next at Monday's open."""
    assert runs("every 5 min during the session", "2007-11-23 17:50:00", 2) == [
        "2007-11-23 17:55:00",
        "2007-11-26 14:30:00",
    ]
    assert runs("every 5 min during the session", "2007-11-22 00:00", 2) == [
        "2007-11-23 14:30:00",
        "2007-11-23 14:35:00",
    ]


def test_beyond_the_calendar_there_is_no_run() -> None:
    """Unknown sessions are not guessed."""
    for text in ("at the open", "every 5 min during the session"):
        assert next_run(parse_trigger(text), at("2007-12-31 22:00"), SESSIONS) is None
        assert next_run(parse_trigger(text), at("2007-01-01 00:00"), []) is None
        assert last_run(parse_trigger(text), at("2007-01-01 00:00"), SESSIONS) is None


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        ("At the  Open", SessionTrigger(anchor=Anchor.OPEN, offset=timedelta(0))),
        ("5min after the open", SessionTrigger(anchor=Anchor.OPEN, offset=timedelta(minutes=5))),
        ("1.5 hours before the close", SessionTrigger(anchor=Anchor.CLOSE, offset=timedelta(minutes=-90))),
        ("every 30 s", EveryTrigger(every=timedelta(seconds=30), in_session=False)),
        ("every minute", EveryTrigger(every=timedelta(minutes=1), in_session=False)),
        ("every 5 min during the session", EveryTrigger(every=timedelta(minutes=5), in_session=True)),
        ("9:05 Europe/London", LocalTimeTrigger(at=time(9, 5), zone="Europe/London")),
        ("16:00:30 UTC", LocalTimeTrigger(at=time(16, 0, 30), zone="UTC")),
    ],
)
def test_triggers_are_read_as_people_write_them(text: str, trigger: Trigger) -> None:
    """Case, spacing, short and long units."""
    assert parse_trigger(text) == trigger


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not understood"),
        ("five minutes after the open", "not understood"),
        ("5 minutes after", "not understood"),
        ("-5 minutes after the open", "not understood"),
        ("5 fortnights after the open", 'unknown unit "fortnights"'),
        ("every day", 'unknown unit "day"'),
        ("every 0 s", "from 1 s to 24 h"),
        ("every 0.5 s", "from 1 s to 24 h"),
        ("every 25 h", "from 1 s to 24 h"),
        (f"every {'9' * 400} h", "out of range"),
        ("25 hours before the close", "at most 24 hours"),
        ("24:00 UTC", "hours from 00 to 23"),
        ("16:60 UTC", "minutes from 00 to 59"),
        ("16:00", "not understood"),
        ("16:00 EST", "America/New_York"),
        ("16:00 America/New_Yrok", "nearest name known is America/New_York"),
        ("16:00 ../../etc/passwd", "unknown time zone"),
    ],
)
def test_a_trigger_that_makes_no_sense_gets_one_sentence(text: str, complaint: str) -> None:
    """The message names the trigger, what is wrong, and what to write."""
    with pytest.raises(ConfigError, match=complaint.replace(".", r"\.")) as caught:
        parse_trigger(text)
    assert f'"{text}"' in str(caught.value)
    assert str(caught.value).count("\n") == 0


def clock_time(seconds: int) -> time:
    """The time of day that many seconds after midnight."""
    return (at("2007-01-01") + timedelta(seconds=seconds)).time()


ZONES = ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC"]
LENGTHS = st.integers(min_value=0, max_value=86_400_000_000).map(lambda us: timedelta(microseconds=us))
TRIGGERS = st.one_of(
    st.builds(
        lambda anchor, length, sign: SessionTrigger(anchor=anchor, offset=sign * length),
        st.sampled_from(Anchor),
        LENGTHS,
        st.sampled_from([-1, 1]),
    ),
    st.builds(
        lambda length, in_session: EveryTrigger(every=max(length, timedelta(seconds=1)), in_session=in_session),
        LENGTHS,
        st.booleans(),
    ),
    st.builds(
        lambda seconds, zone: LocalTimeTrigger(at=clock_time(seconds), zone=zone),
        st.integers(min_value=0, max_value=86_399),
        st.sampled_from(ZONES),
    ),
)
INSTANTS = st.integers(min_value=0, max_value=361 * 86_400_000).map(
    lambda milliseconds: at("2007-01-01") + timedelta(milliseconds=milliseconds)
)


@given(TRIGGERS)
def test_a_described_trigger_reads_back_the_same(trigger: Trigger) -> None:
    """describe and parse_trigger are inverses, to the microsecond."""
    assert parse_trigger(describe(trigger)) == trigger


@given(TRIGGERS, INSTANTS)
def test_next_run_is_strictly_later_and_nothing_lies_between(trigger: Trigger, after: datetime) -> None:
    """The sequence of runs strictly increases and has no holes: the last run before the next one is not later."""
    due = next_run(trigger, after, SESSIONS)
    if due is None:
        return
    assert due.at > after
    before = last_run(trigger, due.at - timedelta(microseconds=1), SESSIONS)
    assert before is None or before.at <= after
    assert last_run(trigger, due.at, SESSIONS) == due
    following = next_run(trigger, due.at, SESSIONS)
    assert following is None or following.at > due.at


@given(st.integers(min_value=0, max_value=86_399), st.sampled_from(ZONES), INSTANTS)
def test_a_local_time_comes_once_a_calendar_day(seconds: int, zone: str, after: datetime) -> None:
    """Ten runs fall on ten different local days in order, whatever the zone's clocks do."""
    trigger = LocalTimeTrigger(at=clock_time(seconds), zone=zone)
    found: list[date] = []
    for _ in range(10):
        due = next_run(trigger, after, SESSIONS)
        assert due is not None
        after = due.at
        found.append(after.astimezone(ZoneInfo(zone)).date())
    assert [later - earlier for earlier, later in pairwise(found)] == [timedelta(days=1)] * 9


def scheduler(text: str, after: str, *, latest_start: timedelta = timedelta(minutes=10)) -> Scheduler:
    """One job, `work`, by the trigger."""
    job = Job(name="work", trigger=parse_trigger(text), deadline_seconds=60, latest_start=latest_start)
    return Scheduler([job], SESSIONS, at(after))


def test_a_run_is_due_once_at_its_instant_under_a_name_of_its_own() -> None:
    """Not a microsecond early, once, with the session, the id and the last instant it may start."""
    schedule = scheduler("15 minutes before the close", "2007-11-23 00:00")
    assert schedule.next_at(at("2007-11-23 00:00")) == at("2007-11-23 17:45")
    assert schedule.due(at("2007-11-23 17:45") - timedelta(microseconds=1)) == []
    (run,) = schedule.due(at("2007-11-23 17:45"))
    assert run.run_id == "work@2007-11-23T17:45:00+00:00"
    assert (run.session, run.due_at) == (date(2007, 11, 23), at("2007-11-23 17:45"))
    assert run.valid_until == at("2007-11-23 17:55")
    assert schedule.due(at("2007-11-23 17:45")) == []
    assert schedule.take_not_run() == []
    assert schedule.next_at(at("2007-11-23 17:46")) == at("2007-11-26 20:45")


def test_an_overrunning_job_is_not_started_again_and_each_skipped_run_is_reported_once() -> None:
    """A run due while the former is going is skipped for good; the first one due after its end starts."""
    schedule = scheduler("every 30 s", "2007-11-23 15:00:00")
    (first,) = schedule.due(at("2007-11-23 15:00:30"))
    assert schedule.due(at("2007-11-23 15:01:00")) == []
    assert schedule.due(at("2007-11-23 15:01:10")) == []
    skipped = at("2007-11-23 15:01:00")
    assert schedule.take_not_run() == [
        NotRun(job="work", reason=Reason.OVERLAPPED, first_due_at=skipped, last_due_at=skipped)
    ]
    assert schedule.take_not_run() == []
    schedule.finished(first.run_id)
    assert schedule.due(at("2007-11-23 15:01:20")) == []
    (second,) = schedule.due(at("2007-11-23 15:01:30"))
    assert second.run_id == "work@2007-11-23T15:01:30+00:00"


def test_the_late_end_of_a_run_given_up_frees_nothing() -> None:
    """Only the run that occupies the job can free it."""
    schedule = scheduler("every 30 s", "2007-11-23 15:00:00")
    (first,) = schedule.due(at("2007-11-23 15:00:30"))
    schedule.finished(first.run_id)
    (second,) = schedule.due(at("2007-11-23 15:01:00"))
    schedule.finished(first.run_id)
    assert schedule.due(at("2007-11-23 15:01:30")) == []
    schedule.finished(second.run_id)
    assert len(schedule.due(at("2007-11-23 15:02:00"))) == 1


@pytest.mark.parametrize(("late", "starts"), [(timedelta(minutes=10), True), (timedelta(minutes=10, seconds=1), False)])
def test_a_machine_that_slept_starts_late_runs_up_to_the_latest_start(late: timedelta, starts: bool) -> None:
    """Up to and with due + latest start the run begins; later it is reported as missed."""
    schedule = scheduler("5 minutes after the open", "2007-11-21 20:00")
    due_at = at("2007-11-23 14:35")
    started = schedule.due(due_at + late)
    assert [run.due_at for run in started] == ([due_at] if starts else [])
    missed = [NotRun(job="work", reason=Reason.MISSED, first_due_at=due_at, last_due_at=due_at)]
    assert schedule.take_not_run() == ([] if starts else missed)


def test_after_a_week_of_downtime_only_the_last_run_starts() -> None:
    """The others are one report from the first to the last of them."""
    schedule = scheduler("30 minutes after the close", "2007-11-16 22:00", latest_start=timedelta(days=3))
    (run,) = schedule.due(at("2007-11-25 12:00"))
    assert run.session == date(2007, 11, 23)
    assert schedule.take_not_run() == [
        NotRun(
            job="work",
            reason=Reason.MISSED,
            first_due_at=at("2007-11-19 21:30"),
            last_due_at=at("2007-11-21 21:30"),
        )
    ]


def test_a_year_of_half_minutes_missed_is_one_report_at_once() -> None:
    """A million missed runs cost no more than one."""
    schedule = scheduler("every 30 s", "2006-11-23 15:00:00")
    assert len(schedule.due(at("2007-11-23 15:00:00"))) == 1
    (missed,) = schedule.take_not_run()
    assert (missed.first_due_at, missed.last_due_at) == (at("2006-11-23 15:00:30"), at("2007-11-23 14:59:30"))


def test_a_run_taken_up_after_a_crash_occupies_its_job() -> None:
    """`started` marks it, `finished` ends it, and a run of no known job is refused."""
    schedule = scheduler("every 30 s", "2007-11-23 15:00:30")
    schedule.started("work@2007-11-23T15:00:30+00:00")
    assert schedule.due(at("2007-11-23 15:01:00")) == []
    schedule.finished("work@2007-11-23T15:00:30+00:00")
    assert len(schedule.due(at("2007-11-23 15:01:30"))) == 1
    with pytest.raises(ValueError, match="no job"):
        schedule.started("play@2007-11-23T15:00:30+00:00")


def test_runs_of_several_jobs_come_in_the_order_they_are_due() -> None:
    """After a late wake-up the refresh still precedes the signals, and the agenda lists the next of each."""
    texts = {"signals": "45 minutes after the close", "refresh": "30 minutes after the close", "tick": "every 30 s"}
    jobs = [
        Job(name=name, trigger=parse_trigger(text), deadline_seconds=60, latest_start=timedelta(hours=6))
        for name, text in texts.items()
    ]
    schedule = Scheduler(jobs, SESSIONS, at("2007-11-23 18:00"))
    assert [name for name, _ in schedule.agenda()] == ["tick", "refresh", "signals"]
    assert schedule.next_at(at("2007-11-23 19:00")) == at("2007-11-23 19:00")
    assert [run.job for run in schedule.due(at("2007-11-23 19:00:10"))] == ["refresh", "signals", "tick"]


def test_a_clock_that_was_years_ahead_holds_nothing_up_once_it_is_right() -> None:
    """Runs come from where the clock now stands; a clock only being kept right by seconds repeats nothing."""
    schedule = scheduler("every 30 s", "2007-11-26 15:00:00")
    (run,) = schedule.due(at("2007-11-26 15:00:30"))
    schedule.finished(run.run_id)
    assert schedule.due(at("2007-11-26 15:00:29")) == []
    assert schedule.due(at("2007-11-26 15:00:30")) == []
    assert schedule.due(at("2007-11-23 15:00:10")) == []
    assert schedule.next_at(at("2007-11-23 15:00:10")) == at("2007-11-23 15:00:30")
    (run,) = schedule.due(at("2007-11-23 15:00:30"))
    assert run.due_at == at("2007-11-23 15:00:30")
    assert schedule.take_not_run() == []


def test_a_longer_calendar_brings_the_next_run() -> None:
    """Where the sessions end there is nothing next; once extended there is, and nothing is run twice."""
    job = Job(name="work", trigger=parse_trigger("at the open"), deadline_seconds=1, latest_start=timedelta(hours=1))
    schedule = Scheduler([job], SESSIONS[:1], at("2007-01-01 00:00"))
    assert len(schedule.due(at("2007-01-01 14:30"))) == 1
    assert schedule.next_at(at("2007-01-01 15:00")) is None
    schedule.set_sessions(SESSIONS)
    assert schedule.next_at(at("2007-01-01 15:00")) == at("2007-01-02 14:30")


def test_two_jobs_of_one_name_are_refused() -> None:
    """Their run ids would collide."""
    job = Job(name="work", trigger=parse_trigger("every 1 h"), deadline_seconds=1, latest_start=timedelta(hours=1))
    with pytest.raises(ValueError, match="same name"):
        Scheduler([job, job], SESSIONS, at("2007-01-01 00:00"))


@given(
    st.lists(st.tuples(st.integers(min_value=1, max_value=4000), st.booleans()), max_size=60),
    st.sampled_from(["every 5 min", "every 5 min during the session", "15 minutes before the close", "02:30 UTC"]),
)
def test_runs_never_overlap_and_every_instant_is_accounted_for(steps: list[tuple[int, bool]], text: str) -> None:
    """However time jumps and jobs drag on: started runs and reports cover the due instants once, in order."""
    schedule = scheduler(text, "2007-11-20 00:00", latest_start=timedelta(minutes=30))
    now, running = at("2007-11-20 00:00"), None
    covered: list[datetime] = []
    for minutes, finishes in steps:
        now += timedelta(minutes=minutes)
        if running is not None and finishes:
            schedule.finished(running.run_id)
            running = None
        started = schedule.due(now)
        assert running is None or not started
        reports = schedule.take_not_run()
        for report in reports:
            instant: datetime = report.first_due_at
            covered.append(instant)
            while instant < report.last_due_at:
                following = next_run(parse_trigger(text), instant, SESSIONS)
                assert following is not None
                instant = following.at
                covered.append(instant)
        for run in started:
            assert run.due_at <= now <= run.valid_until
            covered.append(run.due_at)
            running = run
    expected, instant = [], at("2007-11-20 00:00")
    while (due := next_run(parse_trigger(text), instant, SESSIONS)) is not None and due.at <= now:
        instant = due.at
        expected.append(instant)
    assert covered == expected

"""A gateway without its link to IB: told after ten minutes, an hour, a day, and which known window it falls in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from longwatch.domain import messages as m
from longwatch.domain.decide import next_deadline
from longwatch.domain.order_life.outage import WEEKEND, lasting, window
from longwatch.domain.order_life.outage import told as outage_told
from longwatch.domain.risk.readiness import reasons
from longwatch.domain.sessions import Session
from tests.domain.world import CLOSE, MONDAY, SESSION, SETTINGS, World, of_kind

HOUR = timedelta(hours=1)
TEN_MINUTES = replace(SETTINGS, backend_alert_seconds=600.0)


def told(world: World, days: float) -> list[str]:
    """What a person hears of it in so many days, at the instants the daemon wakes by itself."""
    until, texts = world.now + timedelta(days=days), []
    while (due := next_deadline(world.state)) is not None and due <= until:
        assert due > world.now, "a time that has passed would be named for ever"
        world.now = due
        step = world.hear(m.TimeReached)
        texts += [one.text for one in of_kind(step.effects, m.RaiseAlert) if one.key == "backend_down"]
    return texts


def test_an_outage_is_told_after_ten_minutes_an_hour_a_day_and_then_daily() -> None:
    """B29: whatever window it is, and not every ten minutes of a weekend; it counts from its beginning."""
    world = World.ready(TEN_MINUTES)
    world.hear(m.BackendSeen, up=False)
    began = world.now
    texts = told(world, 3.5)
    lengths = [text.partition(" for ")[2].partition(",")[0] for text in texts]
    assert lengths == ["10 min", "1 h", "1 d", "2 d", "3 d"]
    assert world.state.backend_since == began


def test_it_is_told_when_it_is_due_and_not_before() -> None:
    """As critical, with how often it has been told by then; nothing is due while there is a link."""
    world = World.ready(TEN_MINUTES)
    assert list(outage_told(world.state, m.TimeReached(at=world.now, tech=world.now))) == []
    world.hear(m.BackendSeen, up=False)
    began = world.now
    world.wait(600 - 1e-6)
    assert list(outage_told(world.state, m.TimeReached(at=world.now, tech=world.now))) == []
    world.now = began + timedelta(seconds=600)
    text = "the gateway has had no link to IB for 10 min, no orders until it is back"
    assert list(outage_told(world.state, m.TimeReached(at=world.now, tech=world.now))) == [
        m.BackendMoved(up=False, tech=began, told=1),
        m.RaiseAlert(key="backend_down", text=text, severity="critical"),
    ]


def test_the_next_outage_begins_anew() -> None:
    """And one that is over is told no more."""
    world = World.ready(TEN_MINUTES)
    for _ in range(2):
        world.hear(m.BackendSeen, up=False)
        assert len(told(world, 0.1)) == 2
        world.hear(m.BackendSeen, up=True)
        assert told(world, 2) == []
        world.snapshot()


def test_without_a_link_to_the_gateway_nobody_knows_of_its_link_to_ib() -> None:
    """The lost link is told of itself."""
    world = World.ready(TEN_MINUTES)
    world.hear(m.BackendSeen, up=False)
    world.hear(m.LinkLost, reason="closed")
    assert told(world, 2) == []


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 11, 21, 5, 0, tzinfo=UTC), "the weekend"),  # Saturday, midnight in New York
        (datetime(2026, 11, 21, 7, 59, tzinfo=UTC), "the weekend"),
        (datetime(2026, 11, 21, 8, 1, tzinfo=UTC), ""),
        (datetime(2026, 11, 18, 5, 30, tzinfo=UTC), "between 00:15 and 01:45"),
        (datetime(2026, 11, 22, 15, 0, tzinfo=UTC), "waits for somebody to log in"),
        (datetime(2026, 11, 23, 14, 0, tzinfo=UTC), "waits for somebody to log in"),
        (datetime(2026, 7, 13, 13, 29, tzinfo=UTC), "waits for somebody to log in"),
        (datetime(2026, 7, 13, 13, 31, tzinfo=UTC), ""),
        (datetime(2026, 11, 19, 4, 50, tzinfo=UTC), "restart themselves at 23:45"),
        (datetime(2026, 11, 18, 18, 0, tzinfo=UTC), ""),
    ],
)
def test_a_known_window_is_named(at: datetime, words: str) -> None:
    """C45, in New York's time, summer and winter."""
    named = window(at)
    assert words in named if words else named == ""


def test_a_window_lasts_to_its_last_instant_and_two_at_once_are_both_named() -> None:
    """Saturday 03:00 in New York; Friday 23:50, when gateways restart as well."""
    assert window(datetime(2026, 11, 21, 8, 0, tzinfo=UTC)) == f" ({WEEKEND})"
    both = window(datetime(2026, 11, 21, 4, 50, tzinfo=UTC))
    assert both == f" ({WEEKEND}; gateways restart themselves at 23:45 in their own zone, as set up)"


def test_an_alert_within_a_window_says_so() -> None:
    """Both of the gateway's link to IB and of ours to the gateway."""
    world = World.ready(TEN_MINUTES)
    world.now = datetime(2007, 1, 7, 6, 30, tzinfo=UTC)
    world.hear(m.BackendSeen, up=False)
    assert all("waits for somebody to log in" in text for text in told(world, 0.1))
    step = world.hear(m.LinkLost, reason="refused")
    assert "waits for somebody to log in" in next(iter(of_kind(step.effects, m.RaiseAlert))).text


def done(world: World, job: str = "end_of_day", outcome: str = "finished") -> list[str]:
    """The warnings when a job has come to something."""
    step = world.hear(m.JobSeen, job=job, run_id=f"{job}@1", outcome=outcome)
    return [one.text for one in of_kind(step.effects, m.RaiseAlert) if one.key == "log_in_ahead"]


def test_the_end_of_all_log_ins_is_told_after_the_last_session_before_it() -> None:
    """C45: on Friday evening, once, with the hour from which on to log in and the hour by which."""
    world = World.ready()
    world.now = CLOSE + timedelta(minutes=15)
    assert done(world, outcome="started") == done(world, job="reconcile") == []
    (text,) = done(world)
    assert "Sunday 2007-01-07 at 01:00 in New York" in text and "before 2007-01-08 14:30 UTC" in text
    assert done(world, outcome="failed") == [text]


@pytest.mark.parametrize(
    ("following", "is_told"),
    [
        (datetime(2007, 1, 7, 6, 0, tzinfo=UTC), False),
        (datetime(2007, 1, 7, 6, 1, tzinfo=UTC), True),
        (datetime(2007, 1, 6, 14, 30, tzinfo=UTC), False),
        (None, False),
    ],
)
def test_where_a_session_comes_before_it_nothing_is_told(following: datetime | None, is_told: bool) -> None:
    """Nor where no session is known to come."""
    world = World.ready()
    world.now = CLOSE + timedelta(minutes=15)
    more = (
        () if following is None else (Session(date=following.date(), open_at=following, close_at=following + 2 * HOUR),)
    )
    world.hear(m.CalendarLoaded, sessions=(SESSION, *more))
    assert bool(done(world)) is is_told


def test_a_session_that_has_just_opened_is_not_the_next_one() -> None:
    """At that very instant."""
    world = World.ready()
    world.now = CLOSE + timedelta(minutes=15)
    just_now = Session(date=SESSION.date, open_at=world.now, close_at=world.now + HOUR)
    world.hear(m.CalendarLoaded, sessions=(SESSION, just_now, MONDAY))
    (text,) = done(world)
    assert "before 2007-01-08 14:30 UTC" in text


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2007, 1, 7, 5, 59, tzinfo=UTC), "2007-01-07"),
        (datetime(2007, 1, 7, 6, 0, tzinfo=UTC), "2007-01-14"),
        (datetime(2007, 7, 15, 4, 59, tzinfo=UTC), "2007-07-15"),
        (datetime(2007, 7, 15, 5, 0, tzinfo=UTC), "2007-07-22"),
        (datetime(2007, 1, 8, 12, 0, tzinfo=UTC), "2007-01-14"),
    ],
)
def test_it_is_the_next_sunday_in_new_york(at: datetime, day: str) -> None:
    """Summer and winter; one that has come is over."""
    world = World.ready()
    world.now, opens = at, at + timedelta(days=20)
    far = Session(date=opens.date(), open_at=opens, close_at=opens + HOUR)
    world.hear(m.CalendarLoaded, sessions=(far,))
    (text,) = done(world)
    assert f"on Sunday {day} at" in text


def test_a_mock_account_has_no_log_in() -> None:
    """Nor has one that was never read."""
    for world in (World(figures=None), World()):
        world.start()
        world.connect()
        if world.figures is not None:
            world.state.valued = None
        world.now = CLOSE + timedelta(minutes=15)
        assert done(world) == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(45, "45 s"), (600, "10 min"), (3600, "1 h"), (5400, "90 min"), (9000, "2 h 30 min")]
)
def test_lengths_are_said_as_people_say_them(seconds: int, said: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == said


def test_a_broken_farm_of_histories_keeps_no_order_back() -> None:
    """2105: orders go by quotes; a market data farm (2103) and the one of definitions (2157) do keep them back."""
    world = World.ready()
    world.hear(m.FarmSeen, farm="ushmds", up=False, history=True)
    assert reasons(world.state, world.now) == ()
    world.hear(m.FarmSeen, farm="usfarm", up=False)
    assert reasons(world.state, world.now) == ("farms: usfarm broken",)

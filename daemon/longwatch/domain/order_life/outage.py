"""How long IB can't be reached, when a person is told of it, and which known window is near; for decide.

Windows as IB publishes them, in New York's time: resets of its servers in the nights, a longer one at the weekend, and
log-ins that end on Sunday, from when on a gateway started anew waits for a person. A window explains; it hides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from longwatch.domain import messages as m
from longwatch.domain.state import State

TOLD_AFTER = (1, 6, 144)
"""Multiples of the setting, as 10 minutes, an hour, a day; from then on a day apart each time."""
CONNECTED = frozenset({m.Link.SYNCING, m.Link.READY})
IB_ZONE = ZoneInfo("America/New_York")
FRIDAY, SATURDAY, SUNDAY, MONDAY = 4, 5, 6, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time at which IB is known to be away: on `days` of the week (Monday is 0), between two times of day."""

    days: frozenset[int]
    since: time
    until: time
    text: str


ALL_WEEK = frozenset(range(7))
WEEKEND = "IB's reset of the weekend lasts from Friday 23:00 to Saturday 03:00 in New York"
LOG_INS_END, LAST_JOB = time(1), "end_of_day"
"""On Sundays, in New York; and the job after which a session is done with."""
LOG_IN = "since Sunday 01:00 in New York a gateway that starts waits for somebody to log in"
WINDOWS = (
    Window(days=frozenset({FRIDAY}), since=time(23), until=time.max, text=WEEKEND),
    Window(days=frozenset({SATURDAY}), since=time.min, until=time(3), text=WEEKEND),
    Window(
        days=ALL_WEEK - {SATURDAY},
        since=time(0, 15),
        until=time(1, 45),
        text="IB's servers are reset between 00:15 and 01:45 in New York",
    ),
    Window(days=frozenset({SUNDAY}), since=time(1), until=time.max, text=LOG_IN),
    Window(days=frozenset({MONDAY}), since=time.min, until=time(9, 30), text=LOG_IN),
    Window(
        days=ALL_WEEK,
        since=time(23, 45),
        until=time(23, 59, 59),
        text="gateways restart themselves at 23:45 in their own zone, as set up",
    ),
)


def window(at: datetime) -> str:
    """What is known to be going on at a market time, as an addition to an alert; empty when nothing is."""
    local = at.astimezone(IB_ZONE)
    known = (one.text for one in WINDOWS if local.weekday() in one.days and one.since <= local.time() <= one.until)
    found = "; ".join(known)
    return f" ({found})" if found else ""


def due_at(state: State) -> datetime | None:
    """When (technical time) a person is to be told next that the gateway has no link to IB; None: it has one."""
    if state.backend_up or state.backend_since is None or state.link not in CONNECTED:
        return None
    steps = TOLD_AFTER[min(state.backend_told, len(TOLD_AFTER) - 1)]
    days_more = max(state.backend_told - len(TOLD_AFTER) + 1, 0)
    return state.backend_since + timedelta(seconds=state.settings.backend_alert_seconds) * (
        steps + days_more * TOLD_AFTER[-1]
    )


def told(state: State, event: m.TimeReached) -> Iterator[m.Fact | m.Effect]:
    """Tell it when it is due, whatever window it falls in."""
    due = due_at(state)
    if due is None or due > event.tech or state.backend_since is None:
        return
    down = event.tech - state.backend_since
    yield m.BackendMoved(up=False, tech=state.backend_since, told=state.backend_told + 1)
    text = f"the gateway has had no link to IB for {lasting(down)}, no orders until it is back{window(event.at)}"
    yield m.RaiseAlert(key="backend_down", text=text, severity="critical")


def log_in_ahead(state: State, event: m.JobSeen) -> Iterator[m.Effect]:
    """After the last session of IB's week: that somebody must log in before the next one, and from when on they can.

    A mock account has no log-in.
    """
    is_over = event.job == LAST_JOB and event.outcome != "started"
    if not is_over or state.valued is None or state.valued.figures is None:
        return
    following = next((one for one in state.sessions if one.open_at > event.at), None)
    ends = _log_ins_end(event.at)
    if following is not None and following.open_at > ends:
        text = (
            f"IB ends every log-in on {ends:%A %Y-%m-%d} at 01:00 in New York; log in to the gateway after that and "
            f"before {following.open_at:%Y-%m-%d %H:%M} UTC, when the next session opens, or it may not be there"
        )
        yield m.RaiseAlert(key="log_in_ahead", text=text)


def _log_ins_end(at: datetime) -> datetime:
    """The next Sunday at 01:00 in New York."""
    local = at.astimezone(IB_ZONE)
    day = local.date() + timedelta(days=(SUNDAY - local.weekday()) % 7)
    found = datetime.combine(day, LOG_INS_END, IB_ZONE)
    return found if found > at else datetime.combine(day + timedelta(days=7), LOG_INS_END, IB_ZONE)


def lasting(time_passed: timedelta) -> str:
    """As a person would say it: minutes, hours, days."""
    minutes = int(time_passed.total_seconds()) // 60
    for size, unit in ((1440, "d"), (60, "h")):
        if minutes >= 2 * size or minutes == size:
            return f"{minutes // size} {unit}" + (f" {minutes % size} min" if unit == "h" and minutes % size else "")
    return f"{minutes} min" if minutes else f"{time_passed.total_seconds():.0f} s"

"""Fault plans: what goes wrong at the simulated gateway and when, by hand in YAML; read by gateway and simulate.

A plan is a list of entries. `when` is an instant (`2007-01-04T15:00:00Z`) or a trigger as in the schedule ("5 minutes
after the open"), which is due again and again; `fault` is one of FAULTS; `seconds`, `count`, `by` and `part` say how
long, how many, by how much and what of it; `after: order` waits for the next order, or `cancel`, and `wait` seconds.
"""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from longwatch.config import document
from longwatch.domain.sessions import Session
from longwatch.domain.triggers import Trigger, next_run, parse_trigger
from longwatch.errors import ConfigError

MOST_BYTES = 1_048_576
MOST_SECONDS = 31_622_400
"""366 days."""
MOST_TIMES = 1_000_000
YEARS = range(1970, 2200)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a fault can be told: its usual values, the parts it may be of, and the ranges a drawn one is drawn from.

    `seconds` (market) is None for a fault that happens at one instant; `by` is in the fault's own unit.
    """

    text: str
    seconds: tuple[float, float] | None = None
    count: tuple[int, int] | None = None
    by: tuple[float, float] | None = None
    parts: tuple[str, ...] = ()


END_MARKS = ("positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd", "accountSummaryEnd")
WELCOME = ("nextValidId", "managedAccounts")
UNSET_PARTS = ("position", "openOrder", "orderStatus", "execDetails", "commissionReport", "accountSummary")
MISSING_PARTS = ("position", "openOrder", "execDetails", "completedOrder")
ROWS = ("position", "openOrder", "execDetails", "completedOrder", "orderStatus", "accountSummary", "historicalData")
FARM_PARTS = ("usfarm", "cashfarm", "ushmds", "secdefnj")
BACKEND_PARTS = ("kept", "lost", "login")
NOTICE_PARTS = ("10349", "unknown")

FAULTS: Mapping[str, Scope] = {
    "refuse": Scope(text="clients are cut off and new ones refused", seconds=(2, 400)),
    "silent": Scope(text="new connections are accepted and never answered", seconds=(2, 120)),
    "cut": Scope(text="connections end after `count` more bytes, in mid-message", count=(1, 400)),
    "half_open": Scope(text="connections stay and nothing passes any more", seconds=(20, 900)),
    "delay": Scope(text="what is said of orders comes `by` seconds late", seconds=(10, 300), by=(0.5, 25)),
    "duplicate": Scope(text="what is said of orders is said twice", seconds=(60, 7200)),
    "reorder": Scope(text="messages about orders overtake each other, up to `by` s", seconds=(10, 600), by=(0.1, 5)),
    "lose_acknowledgement": Scope(text="an order is told of only when it fills or ends", count=(1, 3)),
    "lose_order": Scope(text="an order never reaches the books", count=(1, 3)),
    "cut_at_order": Scope(text="the connection ends as an order arrives", parts=("unread", "taken")),
    "dialog": Scope(text="orders and cancels wait behind a window", seconds=(20, 900)),
    "backend": Scope(text="1100 (login: 2110 too), then 1102, or 1101 (lost)", seconds=(1, 1800), parts=BACKEND_PARTS),
    "nightly_reset": Scope(text="1100 again and again, then 1102 or 1101", seconds=(20, 600), parts=("kept", "lost")),
    "farm": Scope(text="one data farm is lost and found", seconds=(1, 120), parts=FARM_PARTS),
    "restart": Scope(text="the gateway is away, and the day's executions with it", seconds=(120, 400)),
    "login_wait": Scope(text="the gateway waits for somebody to log in", seconds=(7200, 30000)),
    "id_taken": Scope(text="connections are cut, and the client id is in use (326)", seconds=(5, 90)),
    "competing_session": Scope(text="market data go to another session (10197)", seconds=(30, 3600)),
    "delayed_only": Scope(text="live market data are not subscribed", seconds=(30, 3600)),
    "endless_download": Scope(text="downloads have no end mark `part`", seconds=(10, 200), parts=END_MARKS),
    "unreadable_row": Scope(text="a row of `part` has rubbish in it", count=(1, 3), parts=ROWS),
    "slow_greeting": Scope(text="the server version is told `by` seconds late", seconds=(5, 200), by=(0.5, 30)),
    "no_welcome": Scope(text="new connections are never told `part`", seconds=(2, 120), parts=WELCOME),
    "low_next_id": Scope(text="the next order id is 1, whatever was used", seconds=(2, 120)),
    "missing_row": Scope(text="a download lacks a row of `part`", count=(1, 1), parts=MISSING_PARTS),
    "unset_figures": Scope(text="figures of `part` are sentinels", count=(1, 5), parts=UNSET_PARTS),
    "no_prices": Scope(text="bid and ask are -1 in every quote", seconds=(10, 1800)),
    "late_execution": Scope(text="executions come `by` seconds after their status", seconds=(60, 7200), by=(0.1, 60)),
    "only_202": Scope(text="a cancel is told by its code and no status", count=(1, 3)),
    "lose_commission": Scope(text="a commission is not told by itself", count=(1, 5)),
    "late_commission": Scope(text="commissions come `by` seconds late", seconds=(60, 7200), by=(1, 600)),
    "correct_fill": Scope(text="a fill is replaced by its revision .02", count=(1, 3)),
    "bust": Scope(text="a fill is taken back some seconds later", count=(1, 1)),
    "status_first": Scope(text="orderStatus comes before openOrder", seconds=(60, 7200)),
    "notice": Scope(text="live orders are sent 10349, or an unknown code", seconds=(60, 7200), parts=NOTICE_PARTS),
    "clock_skew": Scope(text="the gateway's clock is `by` seconds ahead", seconds=(60, 3600), by=(6, 90)),
    "lose_fill": Scope(text="a fill is told to nobody, at no time", count=(1, 1)),
}
OURS: Mapping[str, Scope] = {
    "crash": Scope(text="the daemon is killed, and started again", seconds=(0.5, 600)),
    "cancel_all": Scope(text="a person cancels every order"),
    "flatten": Scope(text="a person has everything closed, and later lets it trade again", seconds=(30, 3600)),
    "halt": Scope(text="a person halts the daemon, and later lets it trade again", seconds=(5, 3600)),
}
"""What happens to the daemon rather than to the gateway; only a simulated run can do that."""
SCOPES: Mapping[str, Scope] = {**FAULTS, **OURS}
WAITS_FOR = ("order", "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One fault of SCOPES at market time `at`; with `after`, `wait` seconds after the next order or cancel."""

    at: datetime
    fault: str
    seconds: float = 0.0
    count: int = 1
    by: float = 0.0
    part: str = ""
    after: str = ""
    wait: float = 0.0

    @property
    def lasts(self) -> bool:
        """Whether it has an end of its own."""
        return SCOPES[self.fault].seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fault and when: at one instant (its `at`), or whenever `trigger` is due."""

    incident: Incident
    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Entries in the order of the file."""

    entries: tuple[Entry, ...] = field(default=())

    def incidents(self, after: datetime, sessions: Sequence[Session]) -> Iterator[Incident]:
        """Everything later than `after`, in order of time, made as it is asked for; `sessions` are those to come."""
        return heapq.merge(*(_due(one, after, sessions) for one in self.entries), key=lambda incident: incident.at)


def load_plan(path: Path) -> Plan:
    """Read a plan. Raises ConfigError with one sentence: the file, its line, what is wrong and what to write."""
    return read_plan(text_of(path, "fault plan"), str(path))


def read_plan(text: str, name: str) -> Plan:
    """The same for a text; `name` stands before the line numbers. Raises ConfigError."""
    return Plan(entries=tuple(listed(text, name, FAULT_PLAN, _entry)))


def text_of(path: Path, what: str) -> str:
    """A file's text. Raises ConfigError when it can't be read, is no text, or is far too large to be `what`."""
    try:
        raw = _start_of(path, what)
    except OSError as error:
        raise ConfigError(f"{path}: the {what} can't be read: {(error.strerror or 'unreadable').lower()}") from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{path}: larger than {MOST_BYTES:,} bytes; this is not a {what}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the {what} is not text in UTF-8; save it as UTF-8") from None


def _start_of(path: Path, what: str) -> bytes:
    """No more of a file than shows that it is too large. A device has no end, and a pipe may keep a reader waiting."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ConfigError(f"{path}: the {what} must be a file, and this is a folder, a device or a pipe")
        return file.read(MOST_BYTES + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file: what it is, and the key below which its list stands."""

    what: str
    key: str


FAULT_PLAN = Kind(what="a fault plan is a list below `faults:`, each entry with `when` and `fault`", key="faults")


def listed(text: str, name: str, kind: Kind, read: Callable[[object], T]) -> Iterator[T]:
    """Every entry of a file's one list as `read` makes it. Raises ConfigError with the entry's line."""
    source = document.read(text, name)
    if source.mistakes:
        raise ConfigError(str(source.mistakes[0]))
    whole = source.value
    if not isinstance(whole, dict) or set(whole) != {kind.key} or not isinstance(whole[kind.key], list):
        raise ConfigError(f"{name}: {kind.what}")
    for place, given in enumerate(whole[kind.key]):
        try:
            yield read(given)
        except ConfigError as error:
            line = source.line_of((kind.key, place))
            raise ConfigError(f"{name}:{line}: {error}") from None


def usual(fault: str) -> Incident:
    """A fault with the smallest values it is drawn with; its instant is still to be set."""
    scope = FAULTS[fault]
    return Incident(
        at=datetime.min.replace(tzinfo=UTC),
        fault=fault,
        seconds=scope.seconds[0] if scope.seconds else 0.0,
        count=scope.count[0] if scope.count else 1,
        by=scope.by[0] if scope.by else 0.0,
        part=scope.parts[0] if scope.parts else "",
    )


def _due(entry: Entry, after: datetime, sessions: Sequence[Session]) -> Iterator[Incident]:
    if entry.trigger is None:
        if entry.incident.at > after:
            yield entry.incident
        return
    while (due := next_run(entry.trigger, after, sessions)) is not None:
        after = due.at
        yield replace(entry.incident, at=after)


def _entry(given: object) -> Entry:
    if not isinstance(given, dict):
        raise ConfigError("an entry has names and values, as `when: 5 minutes after the open` and `fault: backend`")
    fault = given.get("fault")
    if not isinstance(fault, str) or fault not in FAULTS:
        raise ConfigError(f"the fault {fault!r} is not known; there are {', '.join(FAULTS)}")
    _check_names(given, fault, FAULTS[fault])
    trigger, at = when_of(given.get("when"))
    chosen: dict[str, Any] = {n: READERS[n](n, value) for n, value in given.items() if n not in ("when", "fault")}
    incident = replace(usual(fault), **chosen)
    if incident.part not in (FAULTS[fault].parts or ("",)):
        raise ConfigError(f"{fault} has no part {incident.part!r}; there are {', '.join(FAULTS[fault].parts)}")
    if at is not None:
        incident = replace(incident, at=at)
    return Entry(incident=incident, trigger=trigger)


def _check_names(given: Mapping[Any, Any], fault: str, scope: Scope) -> None:
    has = {"seconds": scope.seconds, "count": scope.count, "by": scope.by, "part": scope.parts}
    allowed = ["when", "fault", *(name for name, value in has.items() if value), "after", "wait"]
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise ConfigError(f"{fault} knows no `{unknown[0]}`; it knows {', '.join(allowed)}")
    if "wait" in given and "after" not in given:
        raise ConfigError("`wait` goes with `after: order` or `after: cancel`")


def when_of(given: object) -> tuple[Trigger | None, datetime | None]:
    """A trigger, or else an instant, from a text. Raises ConfigError for anything else."""
    if not isinstance(given, str):
        raise ConfigError("`when` is missing; write an instant as 2007-01-04T15:00:00Z, or 5 minutes after the open")
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        return parse_trigger(given), None
    if at.tzinfo is None:
        raise ConfigError(f"the instant {given} has no zone; write {given}Z for UTC")
    if at.year not in YEARS:
        raise ConfigError(f"the instant {given} is outside of every market; write a year from 1970 to 2199")
    return None, at.astimezone(UTC)


def _number(name: str, value: object) -> float:
    """Anything a clock can be moved by; no fault lasts longer than the market is looked ahead."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float) or not is_number or not 0 <= value <= MOST_SECONDS:
        raise ConfigError(f"`{name}` is {value!r}; it must be a number, 0 or more, at most {MOST_SECONDS:,}")
    return float(value)


def _lasting(name: str, value: object) -> float:
    """A fault that lasts no time would begin and have no end."""
    if not (seconds := _number(name, value)):
        raise ConfigError(f"`{name}` is {value!r}; it must be above 0")
    return seconds


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TIMES:
        raise ConfigError(f"`{name}` is {value!r}; it must be a whole number, 1 or more, at most {MOST_TIMES:,}")
    return value


def _text(name: str, value: object) -> str:
    return str(value)


def _awaited(name: str, value: object) -> str:
    if value not in WAITS_FOR:
        raise ConfigError(f"`{name}` is {value!r}; it can wait for {' or '.join(WAITS_FOR)}")
    return str(value)


READERS = {"seconds": _lasting, "count": _whole, "by": _number, "part": _text, "after": _awaited, "wait": _number}

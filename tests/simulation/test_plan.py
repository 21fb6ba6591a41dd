"""Fault plans: what may be written, when it is due, and the one sentence that each mistake gets."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from longwatch.data.calendar import ExchangeCalendar
from longwatch.errors import ConfigError
from longwatch.simulation.fault_page import page
from longwatch.simulation.nights import AIMS, NEW_YORK, RARE, drawn
from longwatch.simulation.plan import FAULTS, SCOPES, Incident, load_plan, read_plan

BEGINS = datetime(2007, 1, 3, 13, 0, tzinfo=UTC)
SESSIONS = ExchangeCalendar("XNYS").sessions(BEGINS.date(), BEGINS.date() + timedelta(days=30))
DAYS = [(session.open_at, session.close_at) for session in SESSIONS]

PLAN = """
faults:
  - when: 5 minutes after the open
    fault: backend
    seconds: 90
    part: lost
  - when: 2007-01-04T15:00:00Z
    fault: reorder
    by: 2.5
    after: order
    wait: 0.3
"""


def test_a_plan_is_due_at_instants_and_at_triggers() -> None:
    """What is written once happens once; a trigger is due in each session; what is not said has its least value."""
    found = list(islice(read_plan(PLAN, "plan.yaml").incidents(BEGINS, SESSIONS), 4))
    assert [(f"{one.at:%d %H:%M}", one.fault) for one in found] == [
        ("03 14:35", "backend"),
        ("04 14:35", "backend"),
        ("04 15:00", "reorder"),
        ("05 14:35", "backend"),
    ]
    assert (found[0].seconds, found[0].part) == (90.0, "lost")
    assert (found[2].seconds, found[2].by, found[2].after, found[2].wait) == (10, 2.5, "order", 0.3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faults: 3", "a fault plan is a list below `faults:`"),
        ("- when: now", "a fault plan is a list below `faults:`"),
        ("faults:\n  - 7", "plan.yaml:2: an entry has names and values"),
        ("faults:\n  - fault: explode\n    when: at the open", "plan.yaml:2: the fault 'explode' is not known"),
        ("faults:\n  - fault: cut", "plan.yaml:2: `when` is missing"),
        ("faults:\n  - fault: cut\n    when: soon", "plan.yaml:2: The trigger"),
        ("faults:\n  - fault: cut\n    when: 2007-01-03 15:00", "has no zone; write 2007-01-03 15:00Z for UTC"),
        ("faults:\n  - fault: cut\n    when: at the open\n    seconds: 3", "cut knows no `seconds`; it knows when"),
        ("faults:\n  - fault: cut\n    when: at the open\n    count: 0", "`count` is 0; it must be a whole number"),
        ("faults:\n  - fault: delay\n    when: at the open\n    by: fast", "`by` is 'fast'; it must be a number"),
        ("faults:\n  - fault: farm\n    when: at the open\n    part: x", "farm has no part 'x'; there are usfarm"),
        ("faults:\n  - fault: cut\n    when: at the open\n    wait: 3", "`wait` goes with `after: order`"),
        ("faults:\n  - fault: cut\n    when: at the open\n    after: lunch", "it can wait for order or cancel"),
        ("faults:\n  - fault: crash\n    when: at the open", "the fault 'crash' is not known"),
        ("faults: [", "plan.yaml"),
        ("faults:\n  - fault: backend\n    when: at the open\n    seconds: 1e12", "0 or more, at most 31,622,400"),
        ("faults:\n  - fault: backend\n    when: at the open\n    seconds: .nan", "0 or more, at most 31,622,400"),
        ("faults:\n  - fault: backend\n    when: at the open\n    seconds: 0", "`seconds` is 0; it must be above 0"),
        ("faults:\n  - {fault: cut, when: at the open, after: order, wait: 1e300}", "`wait` is 1e+300; it must be"),
        ("faults:\n  - {fault: clock_skew, when: at the open, by: 1e18}", "`by` is 1e+18; it must be a number"),
        ("faults:\n  - {fault: cut, when: at the open, count: 99999999999999999999}", "at most 1,000,000"),
        ("faults:\n  - {fault: cut, when: '9999-12-31T23:59:59-14:00'}", "write a year from 1970 to 2199"),
        ("faults:\n  - {fault: cut, when: '0001-01-01T00:00:00+14:00'}", "write a year from 1970 to 2199"),
        ("faults:\n  - {fault: cut, when: 99999999999 minutes after the open}", "plan.yaml:2: "),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(text: str, said: str) -> None:
    """Which entry, what is wrong, what to write instead."""
    with pytest.raises(ConfigError) as caught:
        read_plan(text, "plan.yaml")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_plan_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    """The file is named."""
    with pytest.raises(ConfigError, match=r"none\.yaml: the fault plan can't be read: no such file"):
        load_plan(tmp_path / "none.yaml")
    (tmp_path / "odd.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"odd\.yaml: the fault plan is not text in UTF-8"):
        load_plan(tmp_path / "odd.yaml")


def test_what_has_no_end_is_not_read_to_it(tmp_path: Path) -> None:
    """A device gives bytes for ever, a pipe none; a large file is left after what shows that it is one."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
        with pytest.raises(ConfigError, match=r"the fault plan must be a file|is a directory"):
            load_plan(path)
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ConfigError, match=r"large\.yaml: larger than 1,048,576 bytes"):
        load_plan(tmp_path / "large.yaml")


def test_the_page_of_faults_is_the_table(root: Path) -> None:
    """docs/faults.md is what `python -m longwatch.simulation.fault_page` prints."""
    assert (root / "docs" / "faults.md").read_text() == page()


def test_one_seed_draws_one_plan() -> None:
    """The same again for the same seed, another for another, none for none, in order of time."""
    assert drawn(7, "all", DAYS) == drawn(7, "all", DAYS) != drawn(8, "all", DAYS)
    assert drawn(7, "none", DAYS) == ()
    times = [incident.at for incident in drawn(7, "all", DAYS)]
    assert times == sorted(times)


def test_a_month_of_all_faults_has_every_kind_at_orders_and_cancels() -> None:
    """No kind is left out, and each is tried at moments of an order's life."""
    found = [incident for seed in range(5) for incident in drawn(seed, "all", DAYS)]
    assert {incident.fault for incident in found} == set(SCOPES)
    armed = {(incident.fault, incident.after) for incident in found}
    usual = FAULTS.keys() - set(RARE)
    assert {(fault, after) for fault in usual for after in ("order", "cancel", "")} <= armed


def test_what_comes_in_nights_also_comes_while_orders_live() -> None:
    """Resets, log-ins that are wanted and fills that nobody hears of are tried at orders and apart."""
    found = [one for seed in range(40) for one in drawn(seed, "all", DAYS) if is_in_a_session(one)]
    tried = {(one.fault, one.after) for one in found}
    assert {(fault, after) for fault in (*RARE, "nightly_reset") for after in ("order", "")} <= tried
    assert ("nightly_reset", "cancel") in tried


def test_every_dozen_seeds_aim_each_rare_fault_at_every_phase_once() -> None:
    """By turns, so that few runs are enough to meet them all; half of the runs are spared."""
    for first in (0, 12, 120):
        found = [one for seed in range(first, first + 12) for one in drawn(seed, "all", DAYS) if is_in_a_session(one)]
        for fault in RARE:
            aims = sorted((aim.after, aim.wait) for aim in AIMS.values())
            assert sorted((one.after, one.wait) for one in found if one.fault == fault) == aims


def is_in_a_session(incident: Incident) -> bool:
    return any(opened - timedelta(minutes=10) <= incident.at < closed for opened, closed in DAYS)


def test_nights_are_as_they_are_told_of() -> None:
    """Resets between 0:15 and 1:45 in New York, restarts at 23:45, log-ins wanted on Sundays at one."""
    drawn_nights = [one for one in drawn(3, "some", DAYS) if not is_in_a_session(one)]
    nights = [one for one in drawn_nights if one.fault in ("nightly_reset", "login_wait")]
    for incident in nights:
        local = incident.at.astimezone(NEW_YORK)
        if incident.fault == "nightly_reset":
            assert (0, 15) <= (local.hour, local.minute) <= (1, 45)
        else:
            assert (local.weekday(), local.hour) == (6, 1)
    assert {incident.fault for incident in nights} == {"nightly_reset", "login_wait"}

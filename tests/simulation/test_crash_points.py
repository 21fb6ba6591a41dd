"""The daemon cut down at its crash points: a slice of what `make proof` has 10,000 of, and what a cut would find."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from longwatch.broker.ib import Writer
from longwatch.cli import app
from longwatch.domain import decide
from longwatch.domain import messages as m
from longwatch.domain.order_life import lifecycle, transitions
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.orders import Evidence, OrderState
from longwatch.domain.reconciliation import reconcile
from longwatch.domain.state import State
from longwatch.engine.loop import Engine
from longwatch.errors import UsageError
from longwatch.journal.codec import EVENTS, FACTS
from longwatch.journal.reading import read_records, verify
from longwatch.journal.records import Record
from longwatch.journal.store import Store, open_store
from longwatch.simulation import crashes, cutter, mortal, scenery
from longwatch.simulation import simulate as simulate_module
from longwatch.simulation.cut_judge import AT_REST
from longwatch.simulation.cuts import (
    COMMITS,
    FIRST_KINDS,
    IN_AN_ORDERS_WAY,
    POINTS,
    SELDOM_KINDS,
    STARTING_KINDS,
    TRADING_KINDS,
    Cut,
    Point,
    cuts_of,
    drawn_cuts,
)
from longwatch.simulation.cutter import Cutter
from longwatch.simulation.mortal import Killed, MortalStore, Side
from longwatch.simulation.simulate import Asked, Outcome, simulated
from tests.simulation import aimed
from tests.simulation.aimed import WORLDS, run_of

SEED, SLICE, AIMED_SEED = 2, 1, 4
MINUTES = 110
"""Of the slice's run; three hours it is in `make proof`, many times."""
Plant = Callable[[pytest.MonkeyPatch], None]


def cut(point: Point, number: int = 1, **changed: Any) -> Cut:
    """A cut at the next occurrence of a point, once the daemon has long been at rest."""
    values = {"wait": 90.0, "rests": True, "skip": 0, "down": 1.0, "way": 0.9, "part": 0.5}
    return Cut(point=point, number=number, **{**values, **changed})


def run(seed: int = SEED, crash_points: str = "all") -> Outcome:
    return simulated(Asked(seed=seed, days=1, faults="none", crash_points=crash_points, guards=False))


@pytest.fixture
def shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of three quarters of an hour, of which the last 35 minutes are without cuts."""
    monkeypatch.setattr(scenery, "BRISK_HOURS", timedelta(minutes=50))
    monkeypatch.setattr(scenery, "BRISK_CALM", timedelta(minutes=35))
    monkeypatch.setattr(cutter, "GIVE_UP_SECONDS", 86_400.0)


def cut_at(monkeypatch: pytest.MonkeyPatch, *cuts: Cut) -> None:
    monkeypatch.setattr(simulate_module, "cuts_of", lambda seed, asked: iter(cuts))


# ── a slice ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_cut_down_at_every_point_it_duplicates_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run with every point, most of its cuts judged at rest; every invariant holds."""
    monkeypatch.setattr(scenery, "BRISK_HOURS", timedelta(minutes=MINUTES))
    account = crashes.account_of(Asked(seed=SLICE, days=1, faults="none", crash_points="all"))
    assert account.broken == []
    assert min(tally.cuts for tally in account.table.values()) >= 1
    assert all(tally.restarts == tally.cuts for tally in account.table.values())
    assert sum(tally.rested for tally in account.table.values()) >= account.cuts / 2
    assert all(account.table[point].settled for point in IN_AN_ORDERS_WAY if point is not Point.INTENDED)
    assert not crashes.is_broken(account)


@pytest.fixture
def aimed_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of three quarters of an hour, of which the last twelve minutes are without cuts."""
    monkeypatch.setattr(scenery, "BRISK_HOURS", timedelta(minutes=45))
    monkeypatch.setattr(scenery, "BRISK_CALM", timedelta(minutes=12))


@pytest.mark.usefixtures("aimed_shortly")
@pytest.mark.parametrize("name", WORLDS)
def test_cut_down_at_commits_that_hardly_any_drawn_run_has_it_duplicates_and_loses_nothing(name: str) -> None:
    """Each kind that a world is for has been cut; every invariant holds, most cuts are judged at rest."""
    account = run_of(name, AIMED_SEED)
    assert account.broken == [] and not crashes.is_broken(account)
    assert account.cut_kinds.keys() >= set(WORLDS[name].kinds)
    assert sum(tally.rested for tally in account.table.values()) >= account.cuts / 2


@pytest.mark.usefixtures("aimed_shortly")
def test_a_cut_at_such_a_commit_finds_a_bug_and_is_told_with_the_command_that_does_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An order that was withheld, which is not durable, stays unknown for ever: found at rest."""
    only = cut(Point.BEFORE_COMMIT, kind="OrderWithheld")
    monkeypatch.setattr(aimed, "cuts_of", lambda *_: iter((only,)))
    never_settles_an_unknown(monkeypatch)
    account = run_of("words", AIMED_SEED)
    assert account.cut_kinds["OrderWithheld"] == 1
    assert {AT_REST, "no unknown remains"} <= {one["invariant"] for one in account.broken}
    words = f'run_of("words", {AIMED_SEED}, "before-commit:1")'
    assert {one["replay"] for one in account.broken} == {
        f"python -c 'from tests.simulation.aimed import *; print({words})'"
    }


@pytest.mark.usefixtures("aimed_shortly")
def test_an_order_that_leaves_though_a_breaker_holds_it_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person has cancelled what rests, and after a restart it is sent again."""
    monkeypatch.setattr(aimed, "cuts_of", lambda *_: iter((cut(Point.AFTER_COMMIT, kind="BreakerSet"),)))
    started = decide.DECIDERS[m.DaemonStarted]

    def forgetting(state: State, event: m.DaemonStarted) -> Decided:
        state.breakers.clear()
        yield from started(state, event)

    monkeypatch.setitem(decide.DECIDERS, m.DaemonStarted, forgetting)
    broken = run_of("words", AIMED_SEED).broken
    assert {one["invariant"] for one in broken} == {aimed.BREAKERS_HOLD}


@pytest.mark.parametrize("kinds", [("A", "B"), ("A", "B", "C")])
def test_the_kinds_of_a_world_take_turns_on_every_side_of_their_commits(kinds: tuple[str, ...]) -> None:
    """`POINT:N` is the same cuts up to that one, and no cut after it."""
    drawn = list(itertools.islice(aimed.cuts_of(kinds, 7, "all"), 3 * len(kinds)))
    assert {(one.point, one.kind) for one in drawn} == {(point, kind) for point in COMMITS for kind in kinds}
    assert all(one.kind != after.kind for one, after in itertools.pairwise(drawn))
    last = drawn[-2]
    assert list(aimed.cuts_of(kinds, 7, last.name)) == drawn[:-1]


@pytest.mark.usefixtures("shortly")
def test_a_seed_is_cut_the_same_way_again_and_up_to_any_cut() -> None:
    """`POINT:N` is the same run up to that cut, and no cut after it."""
    whole = run().evidence.cuts
    last = whole[1]
    assert len(whole) > 2
    assert run(crash_points=last.cut.name).evidence.cuts == whole[:2]


def test_every_step_of_an_orders_way_is_drawn_as_often_as_every_other_and_commits_twice_as_often() -> None:
    """Each is numbered within its seed; half of the cuts of commits are armed with the daemon's start."""
    drawn = [cut for _, cut in zip(range(3 + 13 * 40), drawn_cuts(7), strict=False)]
    for point in Point:
        count = 81 if point in COMMITS else 40
        assert [cut.number for cut in drawn if cut.point is point] == list(range(1, count + 1))
    assert {cut.point for cut in drawn[:3]} == set(COMMITS)
    at_once = [cut for cut in drawn if cut.point in COMMITS and not cut.wait]
    assert len(at_once) >= 3 * 40
    assert max(cut.skip for cut in at_once) <= 8
    assert {cut.kind for cut in drawn[:3]} <= {"", *FIRST_KINDS}


def test_cuts_of_commits_are_drawn_for_every_kind_of_record_but_those_a_run_does_not_meet() -> None:
    drawn = [cut for _, cut in zip(range(13 * 60), drawn_cuts(7), strict=False)]
    assert {cut.kind for cut in drawn} - {""} >= set(STARTING_KINDS) | set(TRADING_KINDS)
    assert {*FIRST_KINDS, *STARTING_KINDS, *TRADING_KINDS, *SELDOM_KINDS} == EVENTS.keys() | FACTS.keys()


@pytest.mark.usefixtures("shortly")
@pytest.mark.parametrize("side", COMMITS)
def test_a_daemon_is_cut_at_its_very_first_commit_and_at_one_with_a_certain_record(
    monkeypatch: pytest.MonkeyPatch, side: Point
) -> None:
    """The first that a new journal has; then, two daemons later, the one with the reserved order ids."""
    cut_at(monkeypatch, cut(side, wait=0.0, rests=False), cut(side, 2, wait=0.0, rests=False, kind="IdsReserved"))
    outcome = run()
    first, second = outcome.evidence.cuts
    assert "DaemonStarted" in first.kinds and "IdsReserved" in second.kinds
    assert outcome.broken == ()


def test_the_page_has_every_point(root: Path) -> None:
    """As the code has it."""
    page = (root / "docs/crashes.md").read_text()
    assert [f"| `{point}` | {text} |" in page for point, text in POINTS.items()] == [True] * len(Point)


def test_the_page_has_every_kind_of_record_that_is_not_waited_for_and_why(root: Path) -> None:
    rows = [line for line in (root / "docs/crashes.md").read_text().splitlines() if line.startswith("| `")]
    for kind, why in SELDOM_KINDS.items():
        assert any(f"`{kind}`" in row and row.endswith(f"| {why} |") for row in rows), kind


def test_the_page_has_every_world_that_is_made_to_write_what_others_do_not(root: Path) -> None:
    page = (root / "docs/crashes.md").read_text()
    for world in WORLDS.values():
        assert f"| {world.why} | {', '.join(f'`{kind}`' for kind in world.kinds)} |" in page


@pytest.mark.parametrize("asked", ["every", "queued", "queued:0", "queued:x", ":3"])
def test_a_point_there_is_not_is_refused_in_one_sentence(asked: str) -> None:
    with pytest.raises(UsageError, match=r"--crash-points .*: write all, or POINT:N with a point of before-commit, "):
        cuts_of(1, asked)


def test_no_point_at_all_is_not_taken_for_a_run_without_cuts() -> None:
    options = {"seed": SEED, "weather": "", "keep": None, "guards": False}
    with pytest.raises(UsageError, match=r"--crash-points '': write all, or POINT:N with a point of before-commit, "):
        crashes.simulate(**options, crash_points="", as_json=False)


@pytest.mark.usefixtures("shortly")
def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a cut while it runs, then point by point; exit 0."""
    options = {"seed": SEED, "weather": "", "keep": None, "crash_points": "all", "guards": False}
    assert crashes.simulate(**options, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("  cut " in line for line in lines) >= 2
    assert [line.split()[0] for line in lines if line and line.split()[0] in list(Point)] == list(Point)
    assert lines[-1] == f"again: longwatch simulate --crash-points all --seed {SEED} --days 1"


@pytest.mark.parametrize(
    "options",
    [
        {"cuts": 3},
        {"days": 1},
        {"crash_points": "queued:1", "cuts": 3},
    ],
)
def test_words_that_do_not_go_together_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="leave"):
        crashes.simulate(**{"seed": 1, "weather": "", "keep": None, "as_json": False, **options})


@pytest.mark.parametrize("wrong", [{"faults": "many"}, {"weather": "fair"}])
def test_a_level_or_weather_there_is_not_is_refused_with_cuts_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="write one of"):
        crashes.simulate(**{"seed": 1, "weather": "", "keep": None, "as_json": False, "crash_points": "all", **wrong})


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--crash-points"], {"crash_points": "all", "seed": 1}),
        (["--crash-points", "--seed", "3"], {"crash_points": "all", "seed": 3}),
        (["--crash-points", "queued:2"], {"crash_points": "queued:2", "seed": 1}),
        (["--seed", "3"], {"crash_points": None, "seed": 3}),
    ],
)
def test_crash_points_without_a_word_are_all(
    monkeypatch: pytest.MonkeyPatch, words: list[str], asked: dict[str, Any]
) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(crashes, "simulate", lambda **options: found.update(options) or 0)
    CliRunner().invoke(app, ["simulate", *words])
    assert {name: found[name] for name in asked} == asked


@pytest.mark.usefixtures("shortly")
def test_cuts_and_faults_and_weather_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both come, no crash is played beside the cuts, and every invariant holds."""
    monkeypatch.setattr(scenery, "BRISK_HOURS", timedelta(minutes=75))
    asked = Asked(seed=4, days=1, faults="all", weather="storms", crash_points="all", guards=False)
    assert asked.replay == "longwatch simulate --crash-points all --seed 4 --days 1 --faults all --weather storms"
    outcome = simulated(asked)
    faults = [one.incident.fault for one in outcome.evidence.played]
    assert faults.count("crash") == len(outcome.evidence.cuts) >= 5
    assert len(faults) >= len(outcome.evidence.cuts) + 5
    assert outcome.broken == ()


# ── the instant ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("shortly")
@pytest.mark.parametrize("point", [Point.SENDING])
def test_from_the_instant_of_a_cut_nothing_of_the_daemon_reaches_anybody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, point: Point
) -> None:
    """Neither its files nor what is written to the gateway change until the next one lives."""
    seen: list[tuple[str, int]] = []
    strike, revive = Cutter._strike, Cutter._revive

    def look(who: Cutter) -> None:
        files = sorted(path for path in who._bench.folder.rglob("*") if path.is_file() and "ledger" not in path.name)
        kept = [path for path in files if not path.name.endswith(("-shm", ".lock"))]
        content = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in kept)).hexdigest()
        seen.append((content, sum(link.to_server.bytes_written for link in links)))

    def struck(who: Cutter, *given: Any, **named: Any) -> None:
        links[:] = [link for link in who._bench.network.links if link is not named.get("ending")]
        strike(who, *given, **named)
        look(who)

    def revived(who: Cutter) -> None:
        look(who)
        revive(who)

    links: list[Any] = []
    cut_at(monkeypatch, cut(point, way=0.1))
    monkeypatch.setattr(Cutter, "_strike", struck)
    monkeypatch.setattr(Cutter, "_revive", revived)
    assert len(run().evidence.cuts) == 1
    before, after = seen
    assert before == after


# ── torn commits ────────────────────────────────────────────────────────────────────────────────────────────────────


class OnOneSide:
    """Kills the store at the second commit, on a side of it."""

    def __init__(self, side: Side, part: float) -> None:
        self.side, self._part, self._asked = side, part, 0
        self.store: MortalStore

    def committing(self, records: Sequence[Record]) -> Side | None:
        self._asked += 1
        return self.side if self._asked == 2 else None

    def part(self) -> float:
        return self._part

    def execute(self) -> None:
        self.store.sever()


def record(number: int, payload: bytes = b"{}") -> Record:
    return Record(sequence=number, cause=0, kind="TimeReached", schema=1, payload=payload)


@pytest.mark.parametrize(
    ("side", "part", "left"),
    [(Side.BEFORE, 0.0, 1), (Side.AFTER, 0.0, 3), *((Side.TORN, part, 1) for part in (0.0, 0.3, 0.7, 0.9999))],
)
def test_a_commit_is_there_whole_or_not_at_all_wherever_it_is_torn(
    tmp_path: Path, side: Side, part: float, left: int
) -> None:
    """The log's bytes end anywhere in the second transaction, which spans several pages: only the first is read."""
    path, executioner = tmp_path / "j.sqlite", OnOneSide(side, part)

    def store_of(*given: Any) -> Store:
        executioner.store = MortalStore(*given, executioner=executioner)
        return executioner.store

    whose = {"account": "DU1", "mode": "paper", "fresh_id": "ab" * 8}
    store, _ = open_store(path, **whose, store_of=store_of)
    store.write([[record(1)]])
    with pytest.raises(Killed):
        store.write([[record(2, b'{"a":"' + b"x" * 20_000 + b'"}'), record(3)]])
    with pytest.raises(Killed):
        store.write([[record(4)]])
    store.close()
    log = Path(f"{path}-wal")
    assert log.stat().st_size > mortal.LOG_HEADER, "the log was moved into the file, as no killed process does"
    if side is Side.TORN:
        assert log.stat().st_size < 7 * 4096 + 20_000
    assert [found.sequence for found in read_records(path)] == list(range(1, left + 1))
    again, _ = open_store(path, **whose)
    assert again.last_sequence == left
    again.write([[record(left + 1)]])
    again.close()
    assert verify(path) == ()


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_a_commit_that_writes_nothing_tears_nothing_that_was_durable_before(tmp_path: Path, part: float) -> None:
    """An archive without anything to put away leaves the log as long as it was (cuts of seed 72)."""
    path, executioner = tmp_path / "j.sqlite", OnOneSide(Side.TORN, part)

    def store_of(*given: Any) -> Store:
        executioner.store = MortalStore(*given, executioner=executioner)
        return executioner.store

    store, _ = open_store(path, account="DU1", mode="paper", fresh_id="ab" * 8, store_of=store_of)
    store.write([[record(number) for number in range(1, 50)]])
    with pytest.raises(Killed):
        store.archive_some("ab" * 8, 0)
    store.close()
    assert [found.sequence for found in read_records(path)] == list(range(1, 50))


# ── the bugs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def sends_again_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What was being sent when the daemon died is sent once more, under the same id."""
    orphaned = lifecycle.orphaned

    def resent(state: State, tech: Any, evidence: Evidence, text: str, *, only_handed: bool) -> Decided:
        waiting = [order for order in state.live_orders() if order.state is OrderState.SENDING]
        yield from orphaned(state, tech, evidence, text, only_handed=only_handed)
        resends.extend(waiting)

    def with_resends(state: State, event: m.SnapshotSeen) -> Decided:
        yield from compared(state, event)
        while resends:
            waiting = resends.pop(0)
            yield m.SubmitOrder(order=waiting, instrument=state.instruments[waiting.symbol])

    resends: list[Any] = []
    compared = decide.DECIDERS[m.SnapshotSeen]
    patch.setattr(decide.lifecycle, "orphaned", resent)
    patch.setitem(decide.DECIDERS, m.SnapshotSeen, with_resends)
    patch.setattr("longwatch.engine.loop.gate", lambda state, intent, tech, quotes: None)


def takes_it_for_unsent(patch: pytest.MonkeyPatch) -> None:
    """After a restart whatever was being sent counts as never sent."""
    orphaned = lifecycle.orphaned

    def unsent(state: State, tech: Any, evidence: Evidence, text: str, *, only_handed: bool) -> Decided:
        yield from orphaned(state, tech, Evidence.WITHHELD, text, only_handed=only_handed)

    patch.setitem(transitions.TRANSITIONS[OrderState.SENDING], Evidence.WITHHELD, OrderState.UNSENT)
    patch.setattr(decide.lifecycle, "orphaned", unsent)


def never_settles_an_unknown(patch: pytest.MonkeyPatch) -> None:
    """Silence about an order of unknown outcome is waited out for ever."""

    def nothing(state: State, event: Any) -> Decided:
        yield from ()

    patch.setattr(reconcile, "_settle_unknown", nothing)


def loses_the_cancel(patch: pytest.MonkeyPatch) -> None:
    """A cancel asked for before the restart is not asked for again."""

    def nothing(state: State) -> Decided:
        yield from ()

    patch.setattr(reconcile, "_cancels_again", nothing)


def forgets_fills(patch: pytest.MonkeyPatch) -> None:
    """What filled while nobody listened is never asked for."""

    def later(writer: Writer, request_id: int) -> bytes:
        chosen = writer._library.execution_filter(time="20990101-00:00:00")
        return writer._encoded(writer._client.reqExecutions, request_id, chosen)

    patch.setattr(Writer, "executions", later)


def sends_before_it_is_durable(patch: pytest.MonkeyPatch) -> None:
    """Orders leave as soon as they are decided."""
    committing = Engine._committing

    def at_once(engine: Engine, steps: Any, records: list[Record]) -> Any:
        for _, what in steps:
            for effect in what.effects:
                if isinstance(effect, m.SubmitOrder):
                    engine._do(effect)
        return committing(engine, steps, records)

    perform = Engine._do

    def once(engine: Engine, effect: m.Effect) -> None:
        if not isinstance(effect, m.SubmitOrder) or effect.order.intent not in done:
            perform(engine, effect)
        if isinstance(effect, m.SubmitOrder):
            done.add(effect.order.intent)

    done: set[int] = set()
    patch.setattr(Engine, "_do", once)
    patch.setattr(Engine, "_committing", at_once)


PLANTED: dict[str, tuple[Plant, Cut, set[str]]] = {
    "before-commit": (sends_before_it_is_durable, cut(Point.INTENDED, part=0.1), {"one order an intent"}),
    "torn-commit": (forgets_fills, cut(Point.FILLED, part=0.9), {"books agree"}),
    "intended": (never_settles_an_unknown, cut(Point.INTENDED, part=0.9), {AT_REST, "no unknown remains"}),
    "queued": (never_settles_an_unknown, cut(Point.QUEUED), {AT_REST, "no unknown remains"}),
    "sending": (sends_again_after_a_restart, cut(Point.SENDING, way=0.1), {"one order an intent"}),
    "half-written": (takes_it_for_unsent, cut(Point.HALF_WRITTEN), {"ends by evidence"}),
    "acknowledged": (takes_it_for_unsent, cut(Point.ACKNOWLEDGED, way=0.1), {"ends by evidence"}),
    "filled": (forgets_fills, cut(Point.FILLED, way=0.1), {"books agree"}),
    "cancel-sent": (loses_the_cancel, cut(Point.CANCEL_SENT, way=0.1), {AT_REST}),
}


@pytest.mark.usefixtures("shortly")
@pytest.mark.parametrize("name", PLANTED)
def test_a_cut_finds_the_bug_it_is_there_for(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Planted in the daemon, it breaks the promise named at that point."""
    plant, asked, promises = PLANTED[name]
    cut_at(monkeypatch, asked)
    plant(monkeypatch)
    outcome = run()
    assert len(outcome.evidence.cuts) == 1
    assert promises <= {one.invariant for one in outcome.broken}, outcome.broken


@pytest.mark.usefixtures("shortly")
@pytest.mark.parametrize("points", [[asked for _, asked, _ in PLANTED.values()]])
def test_without_the_bugs_the_same_cuts_break_nothing(monkeypatch: pytest.MonkeyPatch, points: list[Cut]) -> None:
    monkeypatch.setattr(scenery, "BRISK_HOURS", timedelta(minutes=95))
    cut_at(monkeypatch, *points)
    outcome = run()
    assert len(outcome.evidence.cuts) == len(points)
    assert outcome.broken == ()


@pytest.mark.usefixtures("shortly")
def test_a_broken_run_exits_1_and_is_told_with_the_one_cut_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the cuts of a run the one that breaks a promise is found, and its command runs up to it."""
    loses_the_cancel(monkeypatch)
    drawn = [cut(Point.INTENDED), cut(Point.CANCEL_SENT, way=0.1), cut(Point.QUEUED)]
    names = {one.name: place for place, one in enumerate(drawn)}
    monkeypatch.setattr(simulate_module, "cuts_of", lambda seed, asked: iter(drawn[: names.get(asked, len(drawn)) + 1]))
    options = {"seed": SEED, "weather": "", "keep": None, "crash_points": "all", "guards": False}
    assert crashes.simulate(**options, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "broken" and told["points"].keys() == set(Point)
    assert told["cuts"] == sum(row["cuts"] for row in told["points"].values()) >= 2
    replays = {one["replay"] for one in told["broken"]}
    assert replays == {f"longwatch simulate --crash-points cancel-sent:1 --seed {SEED} --days 1"}


def test_a_cut_that_never_comes_is_not_called_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes to its end without it, and says so; a number is written as one."""
    with pytest.raises(UsageError, match="write all, or POINT:N"):
        crashes.cut_down(asked=Asked(seed=1, days=1, crash_points="filled:" + "9" * 5000))
    monkeypatch.setattr(crashes, "account_of", lambda asked, say: crashes.Account(names={"filled:1"}, runs=1))
    assert crashes.cut_down(asked=Asked(seed=1, days=1, crash_points="filled:1"), as_json=True) == 0
    with pytest.raises(UsageError, match="has no cut filled:2"):
        crashes.cut_down(asked=Asked(seed=1, days=1, crash_points="filled:2"), as_json=True)

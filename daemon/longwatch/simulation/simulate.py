"""`longwatch simulate`: the whole daemon against the simulated gateway, through nights and faults, judged at the end.

Everything is drawn from a seed, and nothing reads a clock: the same seed gives the same journal, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from longwatch.errors import JournalError, UsageError
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.events import Event
from longwatch.gateway.police import Limits
from longwatch.journal.reading import read_records
from longwatch.journal.records import digest
from longwatch.ops import logs
from longwatch.simulation.bench import Bench
from longwatch.simulation.cut_judge import judge_cuts
from longwatch.simulation.cuts import Struck, cuts_of
from longwatch.simulation.cutter import Cutter
from longwatch.simulation.evidence import COUNTED, Evidence
from longwatch.simulation.gather import gather
from longwatch.simulation.gathering import GatheringJournal
from longwatch.simulation.invariants import Broken, judge
from longwatch.simulation.keeping import folder_of
from longwatch.simulation.life import Life
from longwatch.simulation.loop import JumpLoop, run
from longwatch.simulation.nights import A_DAY, Level, drawn
from longwatch.simulation.phases import no_phases, phases
from longwatch.simulation.plan import Incident
from longwatch.simulation.progress import Progress
from longwatch.simulation.scenery import BRISK_SHARES, USUALLY, WEATHER, Scenery, scenery
from longwatch.simulation.strangers import Deed, Strangers, deeds
from longwatch.simulation.strays import guard_clocks
from longwatch.simulation.tap import Tap
from longwatch.simulation.trouble import Played, Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `longwatch simulate` was asked for; `keep` is where journal and ledger stay, a temporary place without.

    `script` takes the place of what the seed would draw; `pacing` are the limits that hold wherever there are faults.
    `conduct` is the gateway's where real ones differ. `events` are done to the account at their market instants; the
    invariants are those of a daemon that is alone in its account: with events only "books agree" is. `weather` sets
    the run in a generated market, `made_up` is how many shares there are where none are recorded. `crash_points` are
    the cuts of the daemon, `all` or `POINT:N` as in cuts.py, in a run of much trading.
    """

    seed: int = 1
    days: int = 5
    faults: Level = "some"
    as_json: bool = False
    keep: Path | None = None
    guards: bool = True
    script: tuple[Incident, ...] | None = None
    made_up: int = USUALLY
    events: tuple[tuple[datetime, Event], ...] = ()
    pacing: Limits = field(default_factory=Limits)
    conduct: Conduct = field(default_factory=Conduct)
    weather: str = ""
    crash_points: str = ""

    @property
    def replay(self) -> str:
        """The one command that does it again."""
        weather = f" --weather {self.weather}" if self.weather else ""
        if self.crash_points:
            faults = f" --faults {self.faults}" if self.faults != "none" else ""
            cuts = f"--crash-points {self.crash_points}"
            return f"longwatch simulate {cuts} --seed {self.seed} --days {self.days}{faults}{weather}"
        return f"longwatch simulate --seed {self.seed} --days {self.days} --faults {self.faults}{weather}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    asked: Asked
    evidence: Evidence
    broken: tuple[Broken, ...]
    journal_sha256: str
    counts: dict[str, int] = field(default_factory=dict)
    table: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """A run that came to no end: by a stray call, books that do not balance, a deadlock, or anything else raised."""

    asked: Asked
    error: Exception

    @property
    def text(self) -> str:
        """What was raised, and where it was a group what is in it."""
        error = self.error
        return repr(error) if isinstance(error, ExceptionGroup) else f"{type(error).__name__}: {error}"


def simulate(**options: Any) -> int:
    """Run as asked; the exit code is 0 when every invariant held, 1 when one was broken or the run came to no end.

    Raises UsageError for a level of faults there is not.
    """
    asked = Asked(**options)
    check(asked)
    outcome = attempted(asked, say=(lambda line: None) if asked.as_json else print)
    if isinstance(outcome, Aborted):
        traceback.print_exception(outcome.error)
    if asked.as_json:
        print(json.dumps(as_json(outcome)))
    else:
        print(verdict(outcome))
    return 1 if isinstance(outcome, Aborted) or outcome.broken else 0


def check(asked: Asked) -> None:
    """Raise UsageError for a level of faults, or a weather, that there is not."""
    if asked.faults not in A_DAY:
        raise UsageError(f"--faults {asked.faults}: write one of {', '.join(A_DAY)}")
    if asked.weather and asked.weather not in WEATHER:
        raise UsageError(f"--weather {asked.weather}: write one of {', '.join(WEATHER)}")


def attempted(
    asked: Asked,
    say: Callable[[str], object] = lambda line: None,
    told_cut: Callable[[Struck], object] = lambda struck: None,
) -> Outcome | Aborted:
    """One run as `simulated`, but that whatever is raised in it is what it came to; UsageError when it can't begin."""
    try:
        return simulated(asked, say, told_cut)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - firewall "run": a failed run stops no other
        return Aborted(asked=asked, error=error)


def simulated(
    asked: Asked,
    say: Callable[[str], object] = lambda line: None,
    told_cut: Callable[[Struck], object] = lambda struck: None,
) -> Outcome:
    """One run on a loop of its own; `told_cut` hears of each cut as it comes.

    Raises StrayCall when our code read a clock or drew unseeded randomness, JournalError when the gateway's books did
    not balance.
    """
    with folder_of(asked.keep, "simulate", is_new=True) as folder:
        loop = JumpLoop()
        with contextlib.ExitStack() as guards:
            if asked.guards:
                guards.enter_context(guard_clocks())
            finished = run(_play(asked, folder, loop, say, told_cut), loop=loop)
        records = list(read_records(folder / "journal.sqlite"))
        evidence = finished(records=records)
        return Outcome(
            asked=asked,
            evidence=evidence,
            broken=(*judge(evidence), *judge_cuts(evidence)),
            journal_sha256=digest(records),
            counts=evidence.counts(),
            table=phases(evidence),
        )


def as_json(outcome: Outcome | Aborted) -> dict[str, Any]:
    """The object that `--json` prints; a run that came to no end has broken "run", and counted nothing."""
    asked = outcome.asked
    came_to: dict[str, Any]
    if isinstance(outcome, Aborted):
        broken = [{"invariant": "run", "at": "", "text": outcome.text}]
        came_to = {**dict.fromkeys(COUNTED, 0), "undecidable": [], "phases": no_phases(), "journal_sha256": ""}
    else:
        broken = [{"invariant": one.invariant, "at": one.at.isoformat(), "text": one.text} for one in outcome.broken]
        came_to = {**outcome.counts, "undecidable": sorted(outcome.evidence.undecidable), "phases": outcome.table}
        came_to["journal_sha256"] = outcome.journal_sha256
    return {
        "seed": asked.seed,
        "days": asked.days,
        "faults": asked.faults,
        "verdict": "broken" if broken else "held",
        "broken": broken,
        **came_to,
        "replay": asked.replay,
    }


def verdict(outcome: Outcome | Aborted) -> str:
    """The last lines for a person: what was broken, or that nothing was, and how to see it again."""
    again = f"again: {outcome.asked.replay}"
    if isinstance(outcome, Aborted):
        return f"broken: run: {outcome.text}\n{again}"
    lines = [f"broken: {one}" for one in outcome.broken]
    counts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in outcome.counts.items())
    held = f"{len(lines)} times an invariant was broken" if lines else "every invariant held"
    return "\n".join([*lines, f"{held}; {counts}", f"journal {outcome.journal_sha256}", again])


async def _play(
    asked: Asked,
    folder: Path,
    loop: JumpLoop,
    say: Callable[[str], object],
    told_cut: Callable[[Struck], object],
) -> Callable[..., Evidence]:
    """Let the run happen; what it left is gathered by calling what is returned with the journal's `records`."""
    is_brisk = bool(asked.crash_points)
    made_up = BRISK_SHARES if is_brisk else asked.made_up
    scene = scenery(asked.seed, asked.days, folder, asked.weather, made_up, is_brisk=is_brisk)
    bench = Bench(
        loaded=scene.loaded,
        market=scene.market,
        market_starts=scene.begins,
        folder=folder,
        loop=loop,
        seed=asked.seed,
        pacing=asked.pacing if asked.faults != "none" else None,
        conduct=asked.conduct,
        journal_of=GatheringJournal.open,
    )
    logs.setup(bench.clock, style="console", level="error", stream=sys.stderr)
    tap = Tap(bench.network, bench.clock.market)
    progress = Progress(say)
    cutter = None
    if asked.crash_points:
        cutter = Cutter(cuts_of(asked.seed, asked.crash_points), bench, until=scene.calm_from, told=told_cut)
    life = Life(bench, progress.heard)
    if cutter is not None:
        cutter.begin(life)
    incidents = iter(_incidents(asked, scene))
    trouble = Trouble(bench.gateway, incidents, until=scene.calm_from, told=progress.played, others=life.acts)
    bench.gateway.events.play(iter(asked.events), say)
    Strangers(bench.gateway, _strangers(asked, scene))
    ending = asyncio.create_task(_end(bench, scene, life.end), name="simulation-end")
    try:
        await life.run()
    finally:
        ending.cancel()
        await bench.close()
        progress.close()
    if bench.gateway.ledger.fault:
        raise JournalError(bench.gateway.ledger.fault)
    cuts = tuple(cutter.struck) if cutter is not None else ()
    return partial(
        gather,
        ledger=bench.ledger,
        tap=tap,
        played=(*trouble.played, *map(_crash_of, cuts)),
        gateway=bench.gateway,
        scene=scene,
        cuts=cuts,
    )


def _incidents(asked: Asked, scene: Scenery) -> Sequence[Incident]:
    """What is scripted or drawn; where the daemon is cut down, no other crash comes between."""
    if asked.script is not None:
        return asked.script
    incidents = drawn(asked.seed, asked.faults, scene.troubled)
    return tuple(one for one in incidents if not (asked.crash_points and one.fault == "crash"))


def _strangers(asked: Asked, scene: Scenery) -> Sequence[Deed]:
    """What others do in the seed's troubled sessions; nothing where a run is scripted, cut down, or in a weather."""
    if asked.script is not None or asked.events or asked.crash_points or asked.weather:
        return ()
    symbols = sorted({name for plan in scene.settings["strategies"] for name in plan["parameters"]["universe"]})
    return deeds(asked.seed, symbols, scene.sessions[:-1])


def _crash_of(one: Struck) -> Played:
    """A cut as the crash it is."""
    seconds = one.cut.down
    return Played(incident=Incident(at=one.at, fault="crash", seconds=seconds), began=one.at, ended=one.up)


async def _end(bench: Bench, scene: Scenery, stop: Callable[[], None]) -> None:
    await asyncio.sleep(max(bench.clock.seconds_until(scene.ends), 0.0))
    stop()

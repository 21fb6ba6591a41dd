"""Takes guards out of a copy of the package, one at a time, and runs their scenario on it; called by mutants."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
SECONDS = 180
"""How long a scenario may take without its guard; what hangs has not been shown to fail."""

PRELOADED = ("numpy", "pandas", "exchange_calendars", "pydantic", "msgspec", "aiohttp", "ruamel.yaml", "hypothesis")
"""Imported once, before each mutant gets a process of its own; nothing of the project is among them."""

KILLED, SURVIVED, BROKE, HUNG = "killed", "survived", "broke", "hung"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`old` stands exactly once in the file (below `daemon/longwatch`), and `new` in its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A guard taken out. More than one edit: guards that stand in for each other, so that one alone is not missed."""

    scenario: str
    why: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a scenario's `tests` came to without a guard: the first assertion that failed, or what else was raised."""

    mutant: Mutant
    outcome: str
    tests: int = 0
    test: str = ""
    text: str = ""


def misplaced(mutants: Iterable[Mutant], package: Path = ROOT / "daemon" / "longwatch") -> list[str]:
    """The edits whose old text does not stand exactly once in its file, each with the number of times it does."""
    found = []
    for mutant in mutants:
        for edit in mutant.edits:
            path = package / edit.file
            count = path.read_text().count(edit.old) if path.is_file() else 0
            if count != 1:
                found.append(f"{mutant.scenario}: {edit.file}: found {count} times, not once: {edit.old.strip()!r}")
    return found


def judged(mutants: Sequence[Mutant]) -> Iterator[Verdict]:
    """Each mutant's verdict, in order, as it comes."""
    for name in PRELOADED:
        importlib.import_module(name)
    with TemporaryDirectory(prefix="longwatch-mutants-") as folder:
        package = Path(folder) / "longwatch"
        shutil.copytree(ROOT / "daemon" / "longwatch", package, ignore=shutil.ignore_patterns("__pycache__"))
        for mutant in mutants:
            originals = {edit.file: (package / edit.file).read_text() for edit in mutant.edits}
            try:
                for edit in mutant.edits:
                    path = package / edit.file
                    path.write_text(path.read_text().replace(edit.old, edit.new))
                yield _run(mutant, Path(folder))
            finally:
                for file, text in originals.items():
                    (package / file).write_text(text)


def _run(mutant: Mutant, source: Path) -> Verdict:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_play, args=(mutant.scenario, source, sender), name=f"mutant-{mutant.scenario}")
    process.start()
    sender.close()
    outcome, tests, test, text = _told(receiver)
    process.kill()
    process.join()
    return Verdict(mutant=mutant, outcome=outcome, tests=tests, test=test, text=text)


def _told(receiver: Any) -> tuple[str, int, str, str]:
    try:
        told: tuple[str, int, str, str] = receiver.recv() if receiver.poll(SECONDS) else (HUNG, 0, "", "no end")
    except EOFError:
        return BROKE, 0, "", "the process ended without a word"
    return told


def _play(scenario: str, source: Path, sender: Any) -> None:
    """In the forked process: the scenario's tests on the copy; what they came to goes to `sender`."""
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    watch = Watch(source)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", f"pythonpath={ROOT} {source}"]
    pytest.main([*options, str(SCENARIOS), "-k", f"test_{scenario}_scenario"], plugins=[watch])
    sender.send(watch.verdict())


class Watch:
    """A pytest plugin that keeps how tests fail, and stops at the first that fails by an assertion of its own."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._session: pytest.Session | None = None
        self._tests = 0
        self._asserted: tuple[str, str] | None = None
        self._raised: tuple[str, str] | None = None

    def verdict(self) -> tuple[str, int, str, str]:
        """Outcome, how many tests the scenario has, the test that decided, and its words."""
        if self._asserted is not None:
            return (KILLED, self._tests, *self._asserted)
        if self._raised is not None or not self._tests:
            return (BROKE, self._tests, *(self._raised or ("", "the scenario has no test")))
        return SURVIVED, self._tests, "", ""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._session, self._tests = session, len(session.items)
        ran = Path(sys.modules["longwatch"].__file__ or "")
        if self._source not in ran.parents:
            self._raised = ("", f"the tests import {ran}, not the copy")
            session.shouldstop = "the wrong package"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._raised = (report.nodeid, str(report.longrepr)[-300:])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash is not None else str(report.longrepr)
        told = (report.nodeid.rpartition("::")[2], message.splitlines()[0][:160])
        if report.when == "call" and re.match(r"(AssertionError\b|assert )", message):
            self._asserted = told
            if self._session is not None:
                self._session.shouldstop = "shown"
        else:
            self._raised = told

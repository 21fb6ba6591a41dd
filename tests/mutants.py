"""Which changes of the domain's code its tests would notice: `make mutants MODULES="lifecycle evidence"`.

mutmut makes the changes, all of a module into one copy of it, where a name in the environment picks one. The tests are
collected once for each module, and every change is asked of a fork of that process: first the tests that noticed the
changes before it, then those of files that import the module, then the others, the quickest first, until one fails.
What was noticed is kept in .mutants, and not asked again while the module stays as it is.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import functools
import gc
import hashlib
import importlib
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, Verbosity, settings

from tests.proof_page import code

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".mutants"
PAGE = ROOT / "docs" / "mutants.md"
DOMAIN = Path("daemon", "longwatch", "domain")
BESIDE = {
    "reconcile": (
        "holds",
        "patience",
        "left_undone",
        "splits",
        "busts",
        "readings",
        "questions",
        "inactive",
        "comparison",
        "order_messages",
        "unknown",
        "readiness",
        "untold",
        "flattening",
        "closing_word",
        "adopting",
    ),
    "lifecycle": (
        "modification",
        "inference",
        "what_if",
        "resolution",
        "inactive",
        "questions",
        "readings",
        "untold",
        "busts",
        "protection",
        "identity",
        "made_up",
        "others",
    ),
    "evidence": (
        "left_undone",
        "order_messages",
        "lifecycle",
        "revived",
        "protection",
        "flattening",
        "flatten_quarantined",
        "oca",
    ),
    "oca": ("protection", "stops", "worst_case"),
    "caps": ("sizing", "portfolio", "worst_case"),
    "room": ("limits", "caps", "sizing"),
    "table": ("risk",),
    "weights": ("portfolio",),
    "permits": ("risk", "verbs", "breaker"),
    "pricing": ("risk", "limits"),
    "holds": ("flows", "readings", "measures"),
    "certificate": ("readiness", "limits"),
    "busts": ("untold", "readings", "stops_kept", "breaks"),
    "splits": ("splits_ahead", "splits_hidden", "splits_said", "splits_either", "breaks", "stops_kept"),
    "listing": ("busts", "readings", "inference"),
    "at_write": ("at_the_write", "attached_rules", "stops", "stops_kept", "splits_hidden"),
    "quarantines": ("splits_ahead", "splits_hidden", "breaks"),
    "unanswered": ("modification", "modification_terms", "readiness"),
    "profits": ("take_profit", "profit_rules"),
    "rebalance": ("risk", "sizing", "targets", "wanted", "shrunk", "verbs", "caps", "portfolio"),
    "stops": ("revived", "stops_kept", "unprotected", "attached", "splits_either", "flatten_quarantined"),
    "stop_levels": ("protection", "splits_said", "splits_either"),
    "protection": ("unprotected",),
    "breaker": ("attached", "breaker_rules", "risk"),
    "modification": ("attached", "modification_terms", "patience", "revived", "shrunk", "take_profit"),
    "resolution": ("resolution_names", "undecidable", "unknown", "untold"),
    "means": ("risk", "what_if", "means_figures"),
    "strategy_losses": ("session_losses", "holds", "measures", "splits_ahead"),
    "day_trades": ("risk", "means", "means_figures", "profit_rules"),
    "claims": ("identity", "others"),
    "submission": ("at_the_write", "attached", "modification", "what_if", "worst_case"),
    "patience": ("patience_rules",),
    "links": ("outage", "readiness", "lifecycle", "orders", "identity"),
    "closing": ("flattening", "targets"),
    "flattening": ("verbs", "left_undone", "rebalance", "take_profit", "splits", "stops", "closing_word"),
    "permissions": ("breaker", "breaker_rules", "verdicts"),
    "risk/attached": ("exposure", "oca", "unprotected", "stops_kept", "protection"),
    "safeguards/attached": ("exposure", "stops", "stops_adjusted", "stops_kept", "unprotected", "submission"),
    "course": ("busts", "splits", "course_numbers", "course_ratios", "course_rows", "parts_recounted", "made_up"),
    "breaks": ("by_chance", "comparison", "flows", "inference", "looks", "readings", "splits_ahead"),
    "inference": ("made_up", "readings", "untold", "unknown", "undecidable"),
    "pauses": ("unprotected", "protection", "stops_adjusted"),
    "questions": ("what_if", "modification", "modification_terms", "lifecycle", "readings", "undecidable", "identity"),
    "verdicts": ("lifecycle", "orders", "modification", "modification_terms", "untold"),
    "positions": ("course", "course_numbers", "course_rows", "splits", "busts"),
    "others": ("identity", "identity_keys", "identity_taken", "order_messages", "readings", "lifecycle", "breaks"),
    "identity": ("identity_keys", "identity_taken", "lifecycle", "order_messages", "claims", "questions"),
    "contracts": ("adopting", "flattening", "looks"),
    "adopting": ("breaks", "busts", "commands", "held_already", "splits_ahead", "splits_said"),
    "commands": (
        "adopting",
        "breaks",
        "busts",
        "breaker",
        "flatten_quarantined",
        "flattening",
        "flows",
        "held_already",
        "identity",
        "instrument_losses",
        "splits_ahead",
        "splits_either",
        "splits_said",
        "stops_kept",
        "take_profit",
        "verbs",
    ),
}
"""Whose tests are about a module too, though they do not import it: a first look asks them as well."""
NEVER = ("test_fold.py",)
"""Runs other processes, which find no change."""
COPIES = ("daemon", "tests", "docs", "config", "README.md")
CONFIG = """
[tool.mutmut]
source_paths = ["daemon"]

[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
markers = ["timeout: has no meaning here"]
"""
TOOK = Path("seconds.json")
CHOSEN = "MUTANT_UNDER_TEST"
PATIENCE = 10.0
"""How many times its usual time a fork may take, and that many seconds: what takes longer goes round for ever."""
MEMORY = 3 * 2**30
QUICK = 0.03
"""Seconds; what takes longer is asked after all else, as are the tests that hypothesis feeds."""
LATEST = 12
"""So many of the tests that noticed the changes before are asked first."""


def main() -> int:
    """Ask for one module after the other, print what was not noticed, and count it in docs/mutants.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", help="as reconcile, or risk/attached where two bear one name")
    parser.add_argument("--only", default="", help="only changes whose name, as it is printed, matches this")
    parser.add_argument(
        "--quick", action="store_true", help="ask only quick tests of files that import the module, or are about it"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        return inside(asked.modules[0], re.compile(asked.only), is_quick=asked.quick)
    options = ["--only", asked.only, *(["--quick"] if asked.quick else [])]
    for module in asked.modules:
        prepare(module)
        command = [sys.executable, "-m", "tests.mutants", "--inside", module, *options]
        paths = {"PYTHONPATH": f"{PLACE}{os.pathsep}{PLACE / 'daemon'}"}
        subprocess.run(command, cwd=PLACE, env=os.environ | paths, check=True)
        write_row(PAGE, module, json.loads(kept_in(module, PLACE).read_text())["outcomes"])
    return 0


def source_of(module: str, root: Path = Path()) -> Path:
    """Where a module of the domain lies, in whichever package; `risk/attached` where two bear one name.

    Raises FileNotFoundError when there is none, or more.
    """
    found = sorted((root / DOMAIN).rglob(f"{module}.py"))
    if len(found) != 1:
        raise FileNotFoundError(f"there {'are several modules' if found else 'is no module'} {module} in {DOMAIN}")
    return found[0].relative_to(root)


def kept_in(module: str, place: Path = Path()) -> Path:
    """The file of a module's outcomes."""
    return place / f"{module.replace('/', '.')}.json"


def dotted(module: str) -> str:
    """The module's name as it is imported."""
    return ".".join(source_of(module).with_suffix("").parts[1:])


def prepare(module: str) -> None:
    """Copy package, tests and pages to a place of their own. Raises FileNotFoundError when there is no such module."""
    source_of(module, ROOT)
    PLACE.mkdir(exist_ok=True)
    for name in COPIES:
        if (ROOT / name).is_dir():
            shutil.rmtree(PLACE / name, ignore_errors=True)
            shutil.copytree(ROOT / name, PLACE / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, PLACE)
    (PLACE / "pyproject.toml").write_text(CONFIG)


def write_row(page: Path, module: str, outcomes: dict[str, str]) -> None:
    """The module's row in docs/mutants.md: its changes, those asked about, noticed and not, and of which code."""
    asked = sum(outcome != "not asked" for outcome in outcomes.values())
    noticed = sum(outcome in NOTICED for outcome in outcomes.values())
    share = f"{noticed / max(asked, 1):.1%}"
    row = f"| {module} | {len(outcomes)} | {asked} | {noticed} | {asked - noticed} | {share} | {code()} |"
    text = page.read_text()
    former = re.compile(rf"^\| {module} \|.*$", re.MULTILINE)
    if former.search(text):
        text = former.sub(row, text)
    else:
        head, line, rest = text.partition("|---|---|---|---|---|---|---|\n")
        text = f"{head}{line}{row}\n{rest}"
    page.write_text(text)


# ── in the place of its own ─────────────────────────────────────────────────────────────────────────────────────────

NOTICED = ("noticed", "endless", "died")
OPTIONS = (
    "-q",
    "-s",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:timeout",
    "--import-mode=importlib",
    "--tb=no",
    "--assert=plain",
)


def inside(module: str, only: re.Pattern[str], *, is_quick: bool) -> int:
    """Make the changes, collect the tests, ask of what is not known to be noticed, and keep the outcomes."""
    source = hashlib.sha256(source_of(module).read_bytes()).hexdigest()
    kept = kept_in(module)
    former = json.loads(kept.read_text()) if kept.exists() else {}
    outcomes = former["outcomes"] if former.get("source") == source else {}
    names = [name for name in mutate(module) if outcomes.setdefault(name, "not asked") not in NOTICED]

    def keep(found: dict[str, str]) -> None:
        kept.write_text(json.dumps({"source": source, "outcomes": outcomes | found}))

    asker = Asker(module, [name for name in names if only.search(name)], keep, is_quick=is_quick)
    tests = [f"tests/domain/{path.name}" for path in sorted(Path("tests/domain").glob("test_*.py"))]
    if is_quick:
        tests = [name for name in tests if name in concerned(module)]
        if not tests:
            raise ValueError(f"no file of tests/domain is about {module}: name some in BESIDE, or leave out --quick")
    ignored = [f"--deselect=tests/domain/{name}" for name in NEVER]
    importlib.import_module("tests.conftest")
    usual, quick = settings.get_profile("default"), (Phase.explicit, Phase.generate)
    profile = {"phases": quick, "report_multiple_bugs": False, "verbosity": Verbosity.quiet}
    settings.register_profile("mutants", usual, **profile)
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    code = pytest.main([*OPTIONS, *ignored, *tests], plugins=[asker])
    return int(code) if not asker.is_done else 0


def mutate(module: str) -> list[str]:
    """Put the copy with all changes in the module's place; the changes' names."""
    path = source_of(module)
    made = importlib.import_module("mutmut.mutation.file_mutation").mutate_file_contents(str(path), path.read_text())
    path.write_text(made.code)
    return list(made.mutant_names)


class Asker:
    """Takes the place of pytest's loop over the tests it has collected. A plugin of pytest."""

    def __init__(
        self, module: str, names: Sequence[str], keep: Callable[[dict[str, str]], None], *, is_quick: bool
    ) -> None:
        self.module, self.names, self.keep, self.is_quick = module, names, keep, is_quick
        self.outcomes: dict[str, str] = {}
        self.is_done = False
        self._caches: list[Any] = []
        self._passes_anew: bool | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn which tests reach which function, then ask of each change those that reach it."""
        took = json.loads(TOOK.read_text()) if TOOK.exists() else {}
        own = concerned(self.module)
        items = {item.nodeid: item for item in session.items if not (self.is_quick and is_long(item, took))}
        reached = self._learned(list(items.values()))
        TOOK.write_text(json.dumps(took | {nodeid: seconds for nodeid, (seconds, _) in reached.items()}))
        if self.is_quick:
            reached = {nodeid: one for nodeid, one in reached.items() if one[0] <= QUICK}
        self._caches = caches()
        gc.freeze()
        order = {
            nodeid: (is_long(items[nodeid], {nodeid: seconds}), _file(nodeid) not in own, seconds)
            for nodeid, (seconds, _) in reached.items()
        }
        killers: list[str] = []
        for number, name in enumerate(self.names, 1):
            function = name.partition("__mutmut_")[0]
            tests = sorted((one for one in order if function in reached[one][1]), key=order.__getitem__)
            chosen = [one for one in killers if one in set(tests)][:LATEST]
            chosen += [one for one in tests if one not in chosen]
            outcome, killer = self._asked(name, [items[one] for one in chosen], sum(order[one][2] for one in chosen))
            if killer is not None and not order[chosen[killer]][0]:
                killers = [chosen[killer], *(one for one in killers if one != chosen[killer])]
            self.outcomes[name] = outcome
            self.keep(self.outcomes)
            if outcome not in NOTICED:
                print(f"{outcome}: {name}\n{difference(self.module, name)}\n", flush=True)
            if number % 100 == 0 or number == len(self.names):
                told = dict(Counter(self.outcomes.values()))
                print(f"{self.module}: {number} of {len(self.names)}: {told}", file=sys.stderr, flush=True)
        self.is_done = True
        return True

    def _learned(self, items: Sequence[pytest.Item]) -> dict[str, tuple[float, set[str]]]:
        """By test: its seconds and the functions it reaches, in a fork, so that nothing it leaves is found later."""

        def learn() -> list[Any]:
            hits = importlib.import_module("mutmut.state").state()._stats
            os.environ[CHOSEN] = "stats"
            found: list[Any] = []
            left_out: Counter[str] = Counter()
            cached = caches()
            for item in items:
                for one in cached:
                    one.cache_clear()
                hits.clear()
                began = time.process_time()
                if fails(item):
                    left_out[item.path.name] += 1
                    continue
                seconds = time.process_time() - began
                found.append((item.nodeid, seconds, [name.rpartition(".")[2] for name in hits]))
            for name, number in left_out.items():
                print(f"left out, for they fail on the code as it is: {number} tests of {name}", flush=True)
            return found

        status, found = forked(learn, None)
        if status != 0:
            raise RuntimeError("the tests could not be run on the code as it is")
        return {nodeid: (seconds, set(names)) for nodeid, seconds, names in found}

    def _asked(self, name: str, items: Sequence[pytest.Item], seconds: float) -> tuple[str, int | None]:
        """What became of a change, and the number of the test that noticed."""
        if not items:
            return ("noticed" if self._is_noticed_anew(name) else "not reached"), None

        def ask() -> int | None:
            os.environ[CHOSEN] = f"{dotted(self.module)}.{name}"
            for one in self._caches:
                one.cache_clear()
            return next((number for number, item in enumerate(items) if fails(item)), None)

        status, killer = forked(ask, PATIENCE * (seconds + 1))
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            return "endless", None
        if status != 0:
            return "died", None
        return ("not noticed" if killer is None else "noticed"), killer

    def _is_noticed_anew(self, name: str) -> bool:
        """Whether tests that pass else fail where the module is imported so changed: some code runs only then."""
        files = sorted(one for one in concerned(self.module) if Path(one).exists())
        if self._passes_anew is None:
            self._passes_anew = _ends_well(files, "")
        return self._passes_anew and not _ends_well(files, f"{dotted(self.module)}.{name}")


def _ends_well(files: Sequence[str], chosen: str) -> bool:
    """Whether these tests pass in a process of their own."""
    environment = {name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"} | {CHOSEN: chosen}
    command = [sys.executable, "-m", "pytest", "-x", *OPTIONS, *files]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def concerned(module: str) -> set[str]:
    """The files of tests that import a module by itself, or bear its name, or are about it as `BESIDE` says."""
    package, _, name = module.rpartition("/")
    within = re.escape(f".{package}") if package else r"(\.\w+)?"
    named = re.compile(rf"\bdomain{within}(\.{name} import| import .*\b{name}\b)")
    files = {str(path) for path in Path("tests/domain").glob("test_*.py") if named.search(path.read_text())}
    return files | {f"tests/domain/test_{one}.py" for one in (name, *BESIDE.get(module, ()))}


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def is_long(item: Any, took: dict[str, float]) -> bool:
    """Whether a test takes long, or as long as hypothesis has more for it."""
    return took.get(item.nodeid, 0.0) > QUICK or hasattr(item.obj, "is_hypothesis_test")


def fails(item: pytest.Item) -> bool:
    return any(report.failed for report in runtestprotocol(item, log=False))


def caches() -> list[Any]:
    """What works something out once for several tests: in a fork it must do so anew."""
    modules = [module for name, module in sys.modules.items() if name.startswith(("tests.", "longwatch."))]
    return [value for module in modules for value in vars(module).values() if hasattr(value, "cache_clear")]


def forked(work: Callable[[], Any], seconds: float | None) -> tuple[int, Any]:
    """What the work comes to in a fork, and the fork's exit status; None where it died, of its own or after so long."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        if seconds is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds) + 1))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        status = 70
        try:
            with open(writes, "w") as pipe:
                json.dump(work(), pipe)
            status = 0
        except Exception:  # noqa: BLE001 - whatever ends a fork, it must never go on as its parent
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writes)
    with open(reads) as pipe:
        told = pipe.read()
    _, ended = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(ended)
    return status, json.loads(told) if status == 0 else None


def difference(module: str, name: str) -> str:
    """The change, as a diff of its function."""
    made, original = functions_of(module), f"{name.rpartition('__mutmut_')[0]}__mutmut_orig"
    before, after = made[original].replace(original, ""), made[name].replace(name, "")
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    return "\n".join(lines)


@functools.cache
def functions_of(module: str) -> dict[str, str]:
    """The source of each function of the copy with all changes; mutmut's own way parses it anew for each of them."""
    source = source_of(module).read_text()
    lines = source.splitlines(keepends=True)
    found = (one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return {one.name: "".join(lines[one.lineno - 1 : one.end_lineno]) for one in found}


if __name__ == "__main__":
    sys.exit(main())

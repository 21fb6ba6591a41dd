"""Runs mutmut over modules of the domain with the domain's own fast tests: `make mutants MODULES="lifecycle evidence"`.

mutmut takes a module's path for its name, so it works in a folder of its own where the package stands at the top. What
it left there is used again: a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / ".mutants"
MODULES = ("orders", "transitions", "lifecycle", "evidence", "identity")
LONGEST = ("test_tellings", "test_unknown", "test_undecidable", "test_worst_case")
"""Asked only of what the others have let pass, by a second run with `--all-tests`."""
NEVER = ("test_fold",)
"""Runs other processes, which find no mutant."""
CONFIG = """
[tool.mutmut]
source_paths = ["longwatch"]
only_mutate = [{mutated}]
also_copy = ["docs", "config", "README.md"]
pytest_add_cli_args = ["-x", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-o", "asyncio_mode=auto"]
pytest_add_cli_args_test_selection = [{tests}]
mutate_only_covered_lines = false
use_git_change_detection = false

[tool.pytest.ini_options]
pythonpath = ["."]
asyncio_mode = "auto"
"""


def main() -> int:
    """Make the place, run mutmut in it with one process, and print what it counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(MODULES))
    parser.add_argument("--mutmut", default=str(Path(sys.executable).with_name("mutmut")))
    parser.add_argument("--all-tests", action="store_true")
    asked = parser.parse_args()
    prepare(asked.modules, all_tests=asked.all_tests)
    ran = subprocess.run([asked.mutmut, "run", "--max-children", "1"], cwd=PLACE, check=False)
    told = subprocess.run([asked.mutmut, "results", "--all", "true"], cwd=PLACE, check=False, capture_output=True)
    lines = [line.strip().rsplit(": ", 1) for line in told.stdout.decode().splitlines() if ": " in line]
    for outcome, count in Counter(outcome for _, outcome in lines).most_common():
        print(f"{count:>6} {outcome}")
    for name, outcome in lines:
        if outcome not in ("killed", "timeout", "not checked"):
            print(f"{outcome}: {name}")
    return ran.returncode


def prepare(modules: list[str], *, all_tests: bool) -> None:
    """Copy package, tests and pages, and say what is mutated and asked. Raises FileNotFoundError for no such module."""
    for module in modules:
        if not (ROOT / "daemon" / "longwatch" / "domain" / f"{module}.py").is_file():
            raise FileNotFoundError(f"there is no module {module} in daemon/longwatch/domain")
    ignore = shutil.ignore_patterns("__pycache__")
    copies = [("daemon/longwatch", "longwatch"), ("docs", "docs"), ("config", "config")]
    copies += [(f"tests/{name}", f"tests/{name}") for name in ("domain", "gateway")]
    for source, target in copies:
        shutil.rmtree(PLACE / target, ignore_errors=True)
        shutil.copytree(ROOT / source, PLACE / target, ignore=ignore)
    for name in ("__init__.py", "conftest.py"):
        shutil.copy(ROOT / "tests" / name, PLACE / "tests" / name)
    shutil.copy(ROOT / "README.md", PLACE / "README.md")
    left_out = NEVER if all_tests else NEVER + LONGEST
    chosen = (path for path in sorted((ROOT / "tests" / "domain").glob("test_*.py")) if path.stem not in left_out)
    tests = [f"tests/domain/{path.name}" for path in chosen]
    mutated = [f"longwatch/domain/{module}.py" for module in modules]
    (PLACE / "pyproject.toml").write_text(CONFIG.format(mutated=_quoted(mutated), tests=_quoted(tests)))


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


if __name__ == "__main__":
    sys.exit(main())

"""The scenarios, their guards and the page about them belong together; what is run here is the runner itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.proof_page import write_part
from tests.scenarios.mutants import MUTANTS, part_of
from tests.scenarios.mutation import Edit, Mutant, Verdict, misplaced

PACKAGE = ROOT / "daemon" / "longwatch"
SCENARIOS = [f"A{number:02d}" for number in range(1, 27)]
TESTS = sorted(
    name
    for path in Path(__file__).parent.glob("test_*.py")
    for name in re.findall(r"^def (test_[AB]\d\d_scenario_\w+)", path.read_text(), re.MULTILINE)
)
ROWS = [row for row in (ROOT / "docs" / "trouble.md").read_text().splitlines() if "`test_" in row]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_has_a_test_a_guard_and_a_row(name: str) -> None:
    """At least one of each."""
    tests = [test for test in TESTS if test.startswith(f"test_{name}_")]
    assert tests
    assert [mutant for mutant in MUTANTS if mutant.scenario == name]
    assert [row for row in ROWS if any(f"`{test}`" in row for test in tests)]


def test_every_test_that_the_page_names_is_there() -> None:
    """And every scenario test is named."""
    named = sorted({name for row in ROWS for name in re.findall(r"`(test_\w+)`", row)})
    assert named == TESTS


def test_every_guard_stands_where_it_is_said_to_be() -> None:
    """Once; and what stands in its place is another program, not a broken one."""
    assert misplaced(MUTANTS) == []
    for mutant in MUTANTS:
        for edit in mutant.edits:
            text = (PACKAGE / edit.file).read_text()
            changed = ast.dump(ast.parse(text.replace(edit.old, edit.new)))
            assert changed != ast.dump(ast.parse(text)), (mutant.scenario, mutant.why)


def test_a_guard_that_has_moved_is_told() -> None:
    """Not there, twice there, and no such file."""
    gone = Edit(file="domain/risk/verbs.py", old="no such text", new="")
    twice = Edit(file="domain/risk/verbs.py", old="_A.CANCEL", new="")
    nowhere = Edit(file="domain/gone.py", old="", new="")
    found = misplaced([Mutant(scenario="A01", why="", edits=(gone, twice, nowhere))])
    assert [re.findall(r"found (\d+) times", line)[0] for line in found] == ["0", "7", "0"]


RUNNER = """
from tests.scenarios.mutation import Edit, Mutant, judged

def mutant(new):
    return Mutant(scenario="A13", why="", edits=(Edit(file="errors.py", old=OLD, new=new),))

OLD = "from __future__ import annotations\\n"
print(*(verdict.outcome for verdict in judged([mutant(OLD + "A = 1\\n"), mutant(OLD + "import no_such_module\\n")])))
"""


def test_what_changes_nothing_survives_and_what_does_not_import_is_no_proof() -> None:
    """The runner tells them from a guard that was missed."""
    ran = subprocess.run(
        [sys.executable, "-c", RUNNER], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    )
    assert ran.stdout.split() == ["survived", "broke"]


def test_rows_of_scenarios_that_did_not_run_stay() -> None:
    """And the sum is of all rows there are; of a scenario that is no more there is none."""
    mutant = next(one for one in MUTANTS if one.scenario == "A13")
    first = part_of([Verdict(mutant=mutant, outcome="survived", tests=1)], "| A99 | 1 | 1 | 1 |\n| A01 | 3 | 4 | 4 |")
    assert "| A01 | 3 | 4 | 4 |\n| A13 | 1 | 1 | 0 |\n| all | 4 | 5 | 4 |" in first
    again = part_of([Verdict(mutant=mutant, outcome="killed", tests=1)], first)
    assert "| A01 | 3 | 4 | 4 |\n| A13 | 1 | 1 | 1 |\n| all | 4 | 5 | 5 |" in again


def test_a_part_of_the_proof_s_page_leaves_the_others_alone(tmp_path: Path) -> None:
    """Written anew in its own place, or added at the end."""
    page = tmp_path / "proof.md"
    write_part(page, "one", "## One\n\nfirst\n")
    write_part(page, "two", "## Two")
    write_part(page, "one", "## One\n\nagain\n")
    text = page.read_text()
    assert text.startswith("# Proof\n") and "first" not in text
    assert text.index("again") < text.index("## Two")
    write_part(page, "two", "## Two")
    assert page.read_text() == text

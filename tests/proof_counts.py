"""What the suites of `make proof` counted, into docs/proof.md: tests say it by the fixture `counted`.

A run over some of the suites writes its own rows and leaves the others as they are, with the code they are of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.proof_page import PAGE, PART, code, write_part

NAME = "counted"
PART_NAME = "suites"
ROW = re.compile(r"^\| (?P<what>[^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \|$", re.MULTILINE)
HEAD = """## Suites

What the tests of `make proof` went through (`HYPOTHESIS_PROFILE=proof`), as they counted it themselves. *Failed* are
the tests among them that failed; what those went through is not in the count.

| | counted | failed | of the code |
|---|---|---|---|
"""


@dataclass(slots=True)
class Counts:
    """By what was counted: how much, and how many tests that counted it failed. A plugin of pytest."""

    page: Path = PAGE
    held: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """In one process, or where the reports of several come together."""
        if report.when != "call":
            return
        for name, value in report.user_properties:
            if name == NAME:
                what, number = value  # type: ignore[misc]
                self.held[what] = self.held.get(what, 0) + (number if report.passed else 0)
                self.failed[what] = self.failed.get(what, 0) + (not report.passed)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.held and not hasattr(session.config, "workerinput"):
            write_rows(self.page, self.held, self.failed)


def write_rows(page: Path, held: dict[str, int], failed: dict[str, int]) -> None:
    """Put these rows in the place of those of the same name, or at the table's end."""
    former = dict(PART.findall(page.read_text())).get(PART_NAME, "") if page.exists() else ""
    rows = {found["what"]: found[0] for found in ROW.finditer(former) if not found["what"].startswith("-")}
    for what, number in held.items():
        rows[what] = f"| {what} | {number:,} | {failed[what]} | {code().removeprefix('at ')} |"
    write_part(page, PART_NAME, HEAD + "\n".join(rows.values()), names_code=True)

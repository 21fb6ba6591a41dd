"""What a run of some benches leaves of the page's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.__main__ import BEGIN, END, bench_of, benches, row_of, written

KNOWN = ("flood", "fold", "quotes", "simulation")


def figure(name: str, bench: str, value: float = 1.0) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": "s", "bench": bench}


def page_of(*lines: dict[str, Any]) -> str:
    return written(f"before\n{BEGIN}\n{END}\nafter\n", list(lines), KNOWN)


def names(page: str) -> list[str]:
    return [row.split(" | ")[0].removeprefix("| ") for row in rows_of(page)]


def rows_of(page: str) -> list[str]:
    """The table without its head."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    return [row for row in table.splitlines() if row.startswith("| ")][1:]


def test_rows_of_benches_that_did_not_run_stay() -> None:
    """Those without a number too, such as the quotes'; the rest of the page is as it was."""
    page = page_of(figure("quotes to five", "quotes"), figure("P7 fold", "fold"), figure("P13 calm", "simulation"))
    again = written(page, [figure("P7 fold", "fold", 2.0)], KNOWN)
    assert names(again) == ["P7 fold", "P13 calm", "quotes to five"]
    assert row_of(figure("P7 fold", "fold", 2.0)) in again and row_of(figure("P7 fold", "fold")) not in again
    assert again.startswith("before\n") and again.endswith("\nafter\n")


def test_a_row_that_its_bench_no_longer_prints_goes() -> None:
    page = page_of(figure("P13 days", "simulation"), figure("P5 ticks", "flood"))
    assert names(written(page, [figure("P13 calm", "simulation")], KNOWN)) == ["P5 ticks", "P13 calm"]


def test_rows_of_a_bench_that_is_no_more_go() -> None:
    page = page_of(figure("P5 ticks", "flood"), figure("P7 fold", "fold"))
    assert names(written(page, [figure("P7 fold", "fold")], ("fold",))) == ["P7 fold"]


def test_every_row_of_the_page_is_a_bench_s(root: Path) -> None:
    rows = rows_of((root / "docs" / "performance.md").read_text())
    assert {bench_of(row) for row in rows} == set(benches())

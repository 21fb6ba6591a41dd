"""A place for real processes, which are killed after each test and whose logs are shown when it failed."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.process.made import Place


@pytest.fixture
def place() -> Iterator[Place]:
    """A folder with a short name: the path of a Unix socket has room for 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="lw", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        try:
            yield place
        finally:
            place.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the processes' own words beside the assertion."""
    report = yield
    place = getattr(item, "funcargs", {}).get("place")
    if report.failed and isinstance(place, Place):
        report.sections.extend((f"log {name}", text) for name, text in place.logs())
    return report

"""What every part's tests share: hypothesis profiles, what they count for the proof, and the recorded messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.proof_counts import NAME, Counts

ROOT = Path(__file__).resolve().parent.parent

# The same cases on every machine and in any order; `make proof` looks for new ones.
settings.register_profile("default", derandomize=True, deadline=None, max_examples=60, database=None)
settings.register_profile(
    "proof", deadline=None, max_examples=2000, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("HYPOTHESIS_PROFILE") == "proof":
        config.pluginmanager.register(Counts())


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Says how many of something this test went through, for docs/proof.md."""
    return lambda what, number: record_property(NAME, (what, number))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Messages recorded from a real gateway, kept beside the repository; the test is skipped where they are not."""
    folder = ROOT.parent / "shared" / "recorded"
    if not folder.is_dir():
        pytest.skip("no recorded messages beside the repository")
    return folder

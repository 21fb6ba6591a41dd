"""That the command which asks about changes of the domain finds the module it is asked about, and its tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.mutants import DOMAIN, concerned, kept_in, source_of


def test_two_modules_of_one_name_are_told_apart_by_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert source_of("risk/attached", ROOT) == DOMAIN / "risk" / "attached.py"
    assert source_of("reconcile", ROOT) == DOMAIN / "reconciliation" / "reconcile.py"
    with pytest.raises(FileNotFoundError, match="several modules attached"):
        source_of("attached", ROOT)
    assert kept_in("risk/attached", Path("place")) == Path("place", "risk.attached.json")
    importer = "tests/domain/test_working.py"
    asked = {package: importer in concerned(f"{package}/attached") for package in ("risk", "safeguards")}
    assert asked == {"risk": True, "safeguards": False}, "it imports the one, and not the other"
    assert "tests/domain/test_protection.py" in concerned("stop_levels")


def test_make_mutants_asks_about_modules_that_there_are() -> None:
    """Every one of those packages is asked about: a new module is named in the Makefile."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    lists = dict(re.findall(r"^(ORDERS|BREAKS|SIZING|RISK|STOPS) := (.*)$", makefile, re.MULTILINE))
    named = [source_of(name, ROOT) for names in lists.values() for name in names.split()]
    packages = ("order_life", "reconciliation", "portfolio", "risk", "safeguards")
    there = {path.relative_to(ROOT) for name in packages for path in (ROOT / DOMAIN / name).glob("[a-z]*.py")}
    assert len(lists) == 5 and len(named) == len(set(named))
    assert there - set(named) == set()

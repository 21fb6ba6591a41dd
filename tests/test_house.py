"""The house rules that a machine can read, over the whole package."""

from __future__ import annotations

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "daemon" / "longwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Message tables and schemas may be long: they are read by looking up, not from top to bottom.
TABLES = {"broker/codes.py", "config/schema.py", "domain/messages.py", "domain/state.py"}
TABLE_FOLDERS = {"wire"}
LONGEST_MODULE = 350
LONGEST_FUNCTION = 60
MEDIAN_FUNCTION = 9

# A pip name whose import name differs, and those that are used without being imported by us.
IMPORT_NAMES = {
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
    "ruamel.yaml": "ruamel",
}
NEVER_IMPORTED = {"tzdata"}  # the time zones of machines that have none
BROUGHT_ALONG = {"pydantic_core"}  # pydantic pins it to the digit and names it in its own interface

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def functions(module: Path) -> Iterator[Function]:
    for node in ast.walk(tree(module)):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Lines of a function with its signature and docstring."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_function_is_longer_than_sixty_lines_and_half_are_below_nine() -> None:
    """A function is read at a glance."""
    lengths = {f"{name_of(m)}:{f.lineno} {f.name}": length(f) for m in MODULES for f in functions(m)}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) < MEDIAN_FUNCTION


def test_modules_stay_below_350_lines() -> None:
    """A module holds one idea; tables and schemas are excepted by name."""
    long = {name_of(m): lines for m in MODULES if (lines := len(m.read_text().splitlines())) >= LONGEST_MODULE}
    kept = {n: lines for n, lines in long.items() if n not in TABLES and n.split("/")[0] not in TABLE_FOLDERS}
    assert kept == {}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_says_what_it_is_and_no_name_is_vague(module: Path) -> None:
    """Every module with code begins with a docstring; no name is vague; nothing is left to do."""
    assert not tree(module).body or ast.get_docstring(tree(module)), "no module docstring"
    assert not re.search(r"mgr|util|helper|handle", module.stem)
    defined = [n.name for n in ast.walk(tree(module)) if isinstance(n, Function | ast.ClassDef)]
    vague = re.compile(r"(^|_)(mgr|utils?|helper|handle)(_|$)|Manager$|Helper$", re.IGNORECASE)
    assert [name for name in defined if vague.search(name)] == []
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", module.read_text())


def test_a_broad_except_stands_only_at_a_named_firewall() -> None:
    """Where anything may be raised and must stop only itself, the line says which firewall it is."""
    broad = []
    for module in MODULES:
        lines = module.read_text().splitlines()
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and "firewall" not in lines[node.lineno - 1]:
                broad.append(f"{name_of(module)}:{node.lineno}")
    assert broad == []


def _is_broad(node: ast.ExceptHandler) -> bool:
    if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(one is None or getattr(one, "id", "") in {"Exception", "BaseException"} for one in caught)


def test_what_the_package_imports_is_what_it_depends_on() -> None:
    """Nothing is asked of the user that isn't imported, and nothing is imported that isn't asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked, extra = _names(project["dependencies"]), _names(chain(*project["optional-dependencies"].values()))
    imported = {root for module in MODULES for root in _imported(module)} - sys.stdlib_module_names - {"longwatch"}
    assert asked - NEVER_IMPORTED - imported == set()
    assert imported - asked - extra - BROUGHT_ALONG == set()


def _names(requirements: Iterable[str]) -> set[str]:
    plain = (re.split(r"[<>=!~\[; ]", text, maxsplit=1)[0] for text in requirements)
    return {IMPORT_NAMES.get(name, name) for name in plain}


def _imported(module: Path) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("name", [path.relative_to(ROOT).as_posix() for path in ROOT.glob("requirements/**/*.txt")])
def test_constraints_are_hashed_and_name_no_host(name: str) -> None:
    """Each pinned package carries a hash, and the file says nothing of where it was made."""
    text = (ROOT / name).read_text()
    pins = re.findall(r"^[a-z0-9][^\n]*==.*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pins) > (30 if name in ("requirements/run.txt", "requirements/dev.txt") else 0)
    assert [pin for pin in pins if "--hash=sha256:" not in pin] == []
    assert not re.search(r"://|index-url|find-links|/(home|opt|tmp|root|work)/", text)


def test_developing_holds_what_running_holds() -> None:
    """One environment serves both: a package pinned for running has the same version for developing."""
    run, dev = (
        dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("run.txt", "dev.txt")
    )
    assert run.items() <= dev.items()

"""The table of limits is whole: settings, defaults, reload classes, tests, and no check that is not a row."""

from __future__ import annotations

import importlib
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from longwatch.config.reload import LOOSENED_BY
from longwatch.config.schema import every_setting, reload_class
from longwatch.domain.orders import Purpose
from longwatch.domain.risk import table as risk
from longwatch.domain.risk.limits import Does, Limit, Setting
from longwatch.domain.risk.readiness import CERTIFICATE
from longwatch.domain.risk.table import LIMITS
from longwatch.ops.limit_page import HEADS, page
from tests.conftest import ROOT

ROWS = pytest.mark.parametrize("row", LIMITS, ids=lambda row: row.name)
SCHEMA = dict(every_setting())


def test_each_limit_has_one_row() -> None:
    """No name twice, also among those of refusals."""
    names = [name for row in LIMITS for name in {row.name, *row.refuses_as}]
    assert len(names) == len(set(names))


@ROWS
def test_a_row_has_the_rule_that_it_says_it_has(row: Limit) -> None:
    """A cap caps, a check refuses; what is enforced elsewhere has neither."""
    assert (row.cap is not None, row.check is not None) == (row.does is Does.CAPS, row.does is Does.REFUSES)
    assert row.unit and row.text[0].isupper() and row.text.endswith(".")
    assert row.binds and not (row.always and row.check is None) and not (row.whole and row.cap is None)


@ROWS
def test_a_row_names_real_settings_with_their_defaults_and_reload_classes(row: Limit) -> None:
    """As the schema has them; a limit that a reload may change is one that it may not loosen silently."""
    for setting in row.settings:
        path = tuple(setting.path.split("."))
        assert path in SCHEMA, setting
        assert reload_class(SCHEMA[path]) == setting.reload, setting
        assert _plain(SCHEMA[path].default) == _plain(setting.default), setting
        if row.does in (Does.CAPS, Does.REFUSES) and setting.reload == "live" and setting.path not in NEVER_LOOSER:
            assert path in LOOSENED_BY, setting


NEVER_LOOSER = {"execution.min_order_size", "execution.min_order_value"}
"""What is too small to be worth its commission is no danger."""


def _plain(value: object) -> object:
    """A default as the file writes it, whatever its type."""
    if value is None or isinstance(value, tuple | list):
        return "null" if value is None else str(list(value))
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return str(value).lower()


@ROWS
def test_a_row_names_a_test_of_a_whole_daemon_that_is_there(row: Limit) -> None:
    """The function exists, and so does the case, in a module whose scenes are whole daemons."""
    file, _, name = row.test.partition("::")
    function, _, case = name.partition("[")
    assert file.split("/")[:2] in (["tests", "daemon"], ["tests", "scenarios"], ["tests", "process"]), file
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    found = getattr(module, function)
    assert found.__doc__
    if case:
        ids = [str(getattr(one, "id", one)) for mark in found.pytestmark for one in mark.args[1]]
        assert case.removesuffix("]") in ids


def test_every_check_and_cap_that_is_asked_is_a_row() -> None:
    """Nothing refuses or caps that is not in the table, and nothing in the table is left out."""
    rows = {row.name: row for row in LIMITS}
    for purpose in Purpose:
        bound = [row for row in LIMITS if purpose in row.binds]
        assert list(risk.CHECKS[purpose]) == [row.check for row in bound if row.check]
        assert dict(risk.CAPS[purpose]) == {row.name: row.cap for row in bound if row.cap}
        assert set(risk.ALWAYS[purpose]) == {row.check for row in bound if row.check and row.always}
    assert rows.keys() >= risk.WAITS_FOR_SELLS | risk.WHOLE
    assert {check.__name__ for check in CERTIFICATE} <= rows.keys()


def test_the_table_holds_every_function_that_looks_like_a_rule() -> None:
    """A check or cap written in the domain, and forgotten in the table, would hold nothing."""
    known = {rule.__name__ for row in LIMITS for rule in (row.check, row.cap) if rule is not None}
    written = set()
    for module in sorted((ROOT / "daemon/longwatch/domain").rglob("*.py")):
        text = module.read_text()
        written |= {line.split("(")[0].removeprefix("def ") for line in text.splitlines() if line.startswith(RULES)}
    assert written == known


RULES = ("def check_", "def cap_")


def test_the_page_of_limits_is_the_table() -> None:
    """docs/limits.md is what `python -m longwatch.ops.limit_page` prints."""
    assert (ROOT / "docs" / "limits.md").read_text() == page()
    assert HEADS.keys() == set(Does)


def test_the_file_of_all_settings_writes_the_same_defaults() -> None:
    """config/trading_config.yaml and the table agree to the value."""
    text = Path(ROOT / "config/trading_config.yaml").read_text()
    trading = YAML(typ="safe").load(text)["trading"]
    assert [row for row in LIMITS if not all(_agrees(trading, setting) for setting in row.settings)] == []


def _agrees(trading: object, setting: Setting) -> bool:
    for name in setting.path.split("."):
        trading = trading[name]  # type: ignore[index]
    return _plain(trading) == _plain(setting.default)

"""Loading a strategy by its reference, and the sentence for each way that can fail."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from longwatch.errors import StrategyError
from longwatch.strategies.source import load
from tests.strategies.samples import HEAD, written

BUILT_IN = "longwatch.strategies.momentum:Momentum"


def test_a_file_is_loaded_with_its_hash_and_parameters(tmp_path: Path) -> None:
    """The hash is SHA-256 of the file's bytes; parameters go through the strategy's own model."""
    code = written(tmp_path, "return {}, {}")
    loaded = load(code.reference, {"share": "0.75"})
    assert loaded.source_hash == hashlib.sha256((tmp_path / "sample.py").read_bytes()).hexdigest()
    assert loaded.strategy.parameters.share == 0.75
    assert loaded.needs.universe == ("AAPL", "IBM")


def test_a_relative_path_counts_from_the_given_folder(tmp_path: Path) -> None:
    """The configuration's folder, not the working directory."""
    written(tmp_path, "return {}, {}")
    assert load("sample.py:Sample", {}, tmp_path).needs.lookback == 2


def test_a_module_is_loaded_by_its_dotted_name() -> None:
    """The built-in strategy is named like anybody's module."""
    loaded = load(BUILT_IN, {"universe": ["IBM", "MSFT"], "top": 1})
    assert loaded.needs.universe == ("IBM", "MSFT")


@pytest.mark.parametrize(
    ("reference", "parameters", "sentence"),
    [
        ("momentum", {}, "write path.py:Class or package.module:Class"),
        ("nowhere.py:Sample", {}, "there is no file .*nowhere.py"),
        ("no.such.module:Sample", {}, "there is no module no"),
        ("longwatch.strategies.none:Sample", {}, "there is no module longwatch.strategies.none"),
        ("longwatch.strategies.momentum:Bars", {}, "has no such subclass"),
        ("longwatch.strategies.momentum:Absent", {}, "has no such subclass"),
        (BUILT_IN, {"tops": 2}, "unknown parameter 'tops'; it has .*lookback"),
        (BUILT_IN, {"top": 0, "skip": -1}, "parameters are wrong: skip: .*; top: .*"),
    ],
)
def test_a_reference_that_cannot_be_loaded_is_told_in_one_sentence(
    reference: str, parameters: dict[str, object], sentence: str
) -> None:
    """The sentence begins with the reference as the configuration has it."""
    with pytest.raises(StrategyError, match=sentence) as told:
        load(reference, parameters)
    assert str(told.value).startswith(f"strategy {reference}") and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("x = 1\ny = undefined\n", r"raised NameError: name 'undefined' is not defined \(sample.py:2\)"),
        ("def broken(:\n", r"raised SyntaxError: .*\(sample.py:1\)"),
        ("import no_such_package_anywhere\n", r"raised ModuleNotFoundError: .*\(sample.py:1\)"),
        ("raise SystemExit(3)\n", r"raised SystemExit: 3 \(sample.py:1\)"),
        ("\x00", "raised "),
        (HEAD.replace("Needs(", "dict(") + "        return {}, {}\n", r"needs\(\) returned dict"),
        (HEAD.replace("lookback=2", "lookback=0") + "        return {}, {}\n", "at least one bar"),
    ],
)
def test_a_file_that_fails_names_the_file_and_its_line(source: str, sentence: str, tmp_path: Path) -> None:
    """Whatever the top level of a file raises is a StrategyError, also what isn't an Exception."""
    (tmp_path / "sample.py").write_text(source)
    with pytest.raises(StrategyError, match=sentence):
        load("sample.py:Sample", {}, tmp_path)

"""Which source of a value goes before which, and that there are no others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from longwatch.config.layers import Layers, settle
from longwatch.config.load import parse
from longwatch.config.mistakes import ConfigErrors
from longwatch.config.schema import Settings
from longwatch.config.sources import Root


def mistakes(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text, name="f.yaml", environ=environ)
    return caught.value.lines()


def test_a_variable_goes_before_a_secret_before_the_file_before_the_default() -> None:
    """Setting by setting: what a stronger source leaves open, a weaker one gives."""
    layers = Layers(
        variables={"ib": {"port": 1}},
        secrets={"ib": {"port": 2, "client_id": 2}, "ops": {"control_token": SecretStr("swordfish")}},
        file={"ib": {"port": 3, "client_id": 3, "host": "three"}},
    )
    settings = Root(layers).trading
    assert (settings.ib.port, settings.ib.client_id, settings.ib.host) == (1, 2, "three")
    assert settings.ops.control_token == SecretStr("swordfish")
    assert settings.risk == Settings().risk


def test_a_value_that_is_a_list_is_taken_whole() -> None:
    """Strategies are not mixed from two sources."""
    ours = [{"name": "a", "path": "a.py:A"}]
    theirs = [{"name": "b", "path": "b.py:B"}, {"name": "c", "path": "c.py:C"}]
    settings = Root(Layers(variables={"strategies": ours}, file={"strategies": theirs})).trading
    assert [strategy.name for strategy in settings.strategies] == ["a"]


def test_the_root_knows_one_name_and_cannot_be_changed() -> None:
    """A configuration is a value."""
    root = Root(Layers())
    assert root.model_dump().keys() == {"trading"}
    with pytest.raises(ValidationError):
        root.trading = Settings()  # type: ignore[misc]


def test_nothing_is_read_that_was_not_handed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the process's environment, nor a .env file, nor the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TRADING={}\nLONGWATCH_IB__PORT=1\n")
    (tmp_path / "trading").write_text("{}")
    monkeypatch.setenv("TRADING", json.dumps({"ib": {"port": 2}}))
    monkeypatch.setenv("LONGWATCH_IB__PORT", "3")
    monkeypatch.setattr(sys, "argv", ["longwatch", "--trading.ib.port", "4"])
    assert Root(Layers()).trading == Settings()
    assert parse("trading: {}", name="f.yaml", environ={}).settings == Settings()


def test_a_variable_does_not_hide_a_group_that_is_no_group() -> None:
    """The file's mistake is told, though a variable names a setting below it."""
    way_out = "indent its settings below it, or take the line out"
    assert mistakes("trading:\n  ib: 5\n", LONGWATCH_IB__PORT="4002") == [
        f"f.yaml:2: trading.ib: must be a group of settings, found 5; {way_out}"
    ]
    assert mistakes("trading:\n  risk: low\n", LONGWATCH_RISK__MAX_WEIGHT="0.1") == [
        f'f.yaml:2: trading.risk: must be a group of settings, found "low"; {way_out}'
    ]


def test_a_group_left_empty_in_the_file_may_be_filled_by_a_variable() -> None:
    """`ib:` with nothing below it says nothing."""
    loaded = parse("trading:\n  ib:\n", name="f.yaml", environ={"LONGWATCH_IB__PORT": "7497"})
    assert loaded.settings.ib.port == 7497


def test_what_stands_beside_a_mistake_is_still_judged() -> None:
    """The file's wrong tif does not take the variable's account with it, which would be told as missing."""
    text = "trading:\n  mode: live\n  data_provider: ib\n  executor: ib_live\n  execution: {tif: NEVER}\n"
    (said,) = mistakes(
        text, LONGWATCH_EXECUTION__LIVE_ACCOUNT="U123456", LONGWATCH_EXECUTION__CONFIRM_LIVE_ACCOUNT="U123456"
    )
    assert said.startswith("f.yaml:5: trading.execution.tif: must be 'DAY' or 'GTC'")


@given(
    st.dictionaries(st.sampled_from(["port", "client_id", "host", "prot"]), st.integers(-1, 3) | st.just("x")),
    st.dictionaries(st.sampled_from(["port", "client_id", "host", "prot"]), st.integers(-1, 3) | st.just("x")),
)
def test_layers_settle_as_their_sum_does(strong: dict[str, object], weak: dict[str, object]) -> None:
    """The same mistakes from two layers as from one that holds the stronger values over the weaker ones."""
    _, apart = settle(Layers(variables={"ib": strong}, file={"ib": weak}))
    _, summed = settle(Layers(file={"ib": weak | strong}))
    assert sorted(map(str, apart)) == sorted(map(str, summed))
    assert all(error["loc"][0] == "ib" for error in apart)


def test_what_was_handed_in_stays_as_it_was() -> None:
    """Dropping what is wrong is done on copies."""
    file = {"ib": {"port": "x", "host": "h"}, "strategies": [{"name": "a"}]}
    before = json.dumps(file)
    settings, errors = settle(Layers(file=file))
    assert settings.ib.host == "h"
    assert len(errors) == 2
    assert json.dumps(file) == before

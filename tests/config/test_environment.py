"""Environment variables and secrets."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.config.environment import variables
from longwatch.config.load import Loaded, parse
from longwatch.config.mistakes import ConfigErrors


def loaded(text: str, **environ: str) -> Loaded:
    return parse(text, name="f.yaml", environ=environ)


def mistakes(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        loaded(text, **environ)
    return caught.value.lines()


def test_a_variable_goes_before_the_file_and_is_reported() -> None:
    """LONGWATCH_IB__PORT is trading.ib.port; the warning names both places."""
    result = loaded("trading:\n  ib:\n    port: 4002\n    client_id: 7\n", LONGWATCH_IB__PORT="7497", PATH="/bin")
    assert (result.settings.ib.port, result.settings.ib.client_id) == (7497, 7)
    assert result.warnings == ("LONGWATCH_IB__PORT takes the place of trading.ib.port on line 3 of f.yaml",)


def test_a_variable_that_shadows_nothing_is_not_reported() -> None:
    """What the file leaves open may be set."""
    result = loaded("trading: {}", LONGWATCH_RISK__MAX_WEIGHT="0.10")
    assert result.settings.risk.max_weight == Decimal("0.1")
    assert result.warnings == ()


def test_each_type_of_setting_can_be_given() -> None:
    """Text stays text even when it looks like a number or a truth value; nothing stands for null."""
    settings = loaded(
        "trading:\n  execution: {paper_account: DU1234567}\n",
        LONGWATCH_IB__HOST="1234",
        LONGWATCH_RISK__ALLOW_SHORT="true",
        LONGWATCH_RISK__MAX_CAPITAL="5e4",
        LONGWATCH_EXECUTION__PAPER_ACCOUNT="",
        LONGWATCH_DATA__CSV_DIR="no",
        LONGWATCH_SCHEDULE__REBALANCE__TRIGGER="16:00 America/New_York",
        LONGWATCH_STRATEGIES='[{"name": "a", "path": "a.py:A", "parameters": {"top": 3}}]',
    ).settings
    assert settings.ib.host == "1234"
    assert settings.risk.allow_short is True
    assert settings.risk.max_capital == 50_000
    assert settings.execution.paper_account is None
    assert settings.data.csv_dir == Path("no")
    assert settings.schedule.rebalance.trigger == "16:00 America/New_York"
    assert settings.strategies[0].parameters == {"top": 3}


def test_a_job_given_as_text_in_the_file_is_completed_by_a_variable() -> None:
    """The deadline from the environment, the trigger from the file."""
    text = "trading:\n  schedule:\n    rebalance: at the open\n"
    job = loaded(text, LONGWATCH_SCHEDULE__REBALANCE__DEADLINE_SECONDS="9").settings.schedule.rebalance
    assert (job.trigger, job.deadline_seconds) == ("at the open", 9.0)


def test_an_unknown_variable_of_ours_is_a_mistake_with_the_nearest_name() -> None:
    """A setting given in vain is never passed over; variables of others are."""
    assert mistakes("trading: {}", LONGWATCH_IB__PRT="1", LONGWATCH_ib__port="1", LONGWATCH_="1", LONGWAT="1") == [
        "LONGWATCH_: no setting has this name; every variable that begins with LONGWATCH_ must name a setting",
        "LONGWATCH_IB__PRT: no setting has this name; did you mean LONGWATCH_IB__PORT?",
        "LONGWATCH_ib__port: no setting has this name; did you mean LONGWATCH_IB__PORT?",
    ]


def test_a_mistake_in_a_variable_names_the_variable() -> None:
    """Not a line of the file it goes before."""
    assert mistakes("trading:\n  ib: {port: 1}\n", LONGWATCH_IB__PORT="x", LONGWATCH_STRATEGIES="[{") == [
        'LONGWATCH_IB__PORT: trading.ib.port: must be a whole number, found "x"; write it '
        "without quotes and without a point",
        "LONGWATCH_STRATEGIES: trading.strategies: must be a list, found nothing",
        "LONGWATCH_STRATEGIES:1: not readable as YAML 1.2 or JSON: while parsing a flow node, "
        "expected the node content, but found '<stream end>'",
    ]


def test_every_setting_but_secrets_has_a_variable() -> None:
    """The names are made from the schema, so none can be forgotten."""
    assert variables()["LONGWATCH_MODE"] == ("mode",)
    assert "LONGWATCH_OPS__CONTROL_TOKEN_FILE" in variables()
    assert "LONGWATCH_OPS__CONTROL_TOKEN" not in variables()


def test_a_secret_comes_from_its_file_and_is_never_written_out(tmp_path: Path) -> None:
    """Blanks around it are dropped; neither repr nor the recorded form shows it."""
    (tmp_path / "token").write_text("  swordfish\n")
    settings = loaded(f"trading:\n  ops: {{control_token_file: {tmp_path / 'token'}}}\n").settings
    assert settings.ops.control_token is not None
    assert settings.ops.control_token.get_secret_value() == "swordfish"
    assert "swordfish" not in repr(settings)
    assert "swordfish" not in str(settings.plain())


def test_a_secret_comes_from_a_systemd_credential_unless_a_file_is_named(tmp_path: Path) -> None:
    """$CREDENTIALS_DIRECTORY/control_token; without it there is no token."""
    (tmp_path / "control_token").write_text("credential")
    (tmp_path / "other").write_text("file")
    by_credential = loaded("trading: {}", CREDENTIALS_DIRECTORY=str(tmp_path)).settings.ops.control_token
    by_file = loaded(
        "trading: {}", CREDENTIALS_DIRECTORY=str(tmp_path), LONGWATCH_OPS__CONTROL_TOKEN_FILE=str(tmp_path / "other")
    ).settings.ops.control_token
    assert by_credential is not None and by_credential.get_secret_value() == "credential"
    assert by_file is not None and by_file.get_secret_value() == "file"
    assert loaded("trading: {}", CREDENTIALS_DIRECTORY=str(tmp_path / "none")).settings.ops.control_token is None


def test_a_secret_that_cannot_be_read_is_a_mistake_on_its_line(tmp_path: Path) -> None:
    """Missing, empty, or no text."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    for name, reason in (
        ("none", "can't be read: no such file or directory"),
        ("empty", "is empty"),
        ("binary", "is not text in UTF-8"),
    ):
        path = tmp_path / name
        assert mistakes(f"trading:\n  ops:\n    control_token_file: {path}\n") == [
            f"f.yaml:3: trading.ops.control_token_file: {path} {reason}"
        ]

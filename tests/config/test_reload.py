"""What a reload may change, and how it is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.config.load import load, parse
from longwatch.config.reload import LOOSENED_BY, Accepted, Diff, Refused, classify, prepare
from longwatch.config.schema import GroupSettings, Settings, StrategySettings, every_setting, reload_class

BASE = "trading:\n  risk: {max_weight: 0.15}\n  ib: {port: 4002}\n"
TECH = GroupSettings(name="tech", symbols=("AAPL", "MSFT"), max_weight=Decimal("0.3"))
LIVE = {path for path, field in every_setting() if reload_class(field) == "live"}


def settings(text: str) -> Settings:
    return parse(text, name="f", environ={}).settings


def with_value(path: tuple[str, ...], value: Any) -> Settings:
    """The default settings but for one, past every check."""
    default = Settings()
    if len(path) == 1:
        return default.model_copy(update={path[0]: value})
    group = with_in(getattr(default, path[0]), path[1:], value)
    return default.model_copy(update={path[0]: group})


def with_in(group: Any, path: tuple[str, ...], value: Any) -> Any:
    inner = value if len(path) == 1 else with_in(getattr(group, path[0]), path[1:], value)
    return group.model_copy(update={path[0]: inner})


class Running:
    """A running daemon's file, written anew before each reload."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "f.yaml"
        self.path.write_text(BASE)
        self.settings = load(self.path, {}).settings

    def reload(self, text: str, *, in_session: bool = True, **options: Any) -> Accepted | Refused:
        self.path.write_text(text)
        return prepare(self.path, {}, self.settings, in_session=in_session, **options)


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return Running(tmp_path)


def test_the_same_file_changes_nothing(running: Running) -> None:
    """An accepted reload with an empty diff, and the file's checksum."""
    result = running.reload(BASE)
    assert isinstance(result, Accepted)
    assert result.diff == Diff(live=(), restart=(), loosened=())
    assert len(result.source_text_sha256) == 64


def test_a_tightened_limit_is_accepted_during_a_session(running: Running) -> None:
    """The change is named with old and new."""
    result = running.reload("trading: {risk: {max_weight: 0.10}}")
    assert isinstance(result, Accepted)
    assert [str(change) for change in result.diff.live] == ["trading.risk.max_weight: 0.15 → 0.1"]
    assert result.settings.risk.max_weight == Decimal("0.10")
    assert result.diff.loosened == ()


def test_a_loosened_limit_needs_a_word_during_a_session_and_none_outside(running: Running) -> None:
    """Refused, accepted with the word, accepted after the close."""
    wider = "trading: {risk: {max_weight: 0.20}}"
    assert running.reload(wider) == Refused(
        reasons=(
            "trading.risk.max_weight: 0.15 → 0.2; this loosens a limit while a session is open: "
            "say so (reload --loosen), or wait for the close",
        )
    )
    assert isinstance(running.reload(wider, allow_loosening=True), Accepted)
    assert isinstance(running.reload(wider, in_session=False), Accepted)


def test_a_restart_setting_refuses_the_whole_reload_by_name(running: Running) -> None:
    """Every restart setting is named, though a live one changes too; no word helps."""
    text = "trading: {risk: {max_weight: 0.1}, ib: {port: 4003, host: ::1}}".replace("::1", '"::1"')
    result = running.reload(text, in_session=False, allow_loosening=True)
    assert result == Refused(
        reasons=(
            'trading.ib.host: "127.0.0.1" → "::1"; this setting needs a restart, nothing was changed',
            "trading.ib.port: 4002 → 4003; this setting needs a restart, nothing was changed",
        )
    )


def test_what_is_set_up_once_at_the_start_needs_a_restart(running: Running) -> None:
    """Taken in when the parts are put together, these would only seem to change."""
    strategy = "name: momentum, path: longwatch.strategies.momentum:Momentum, deadline_seconds: 5"
    result = running.reload(
        BASE
        + "  data: {refresh_deadline_seconds: 5, history_bars: 300}\n"
        + f"  ops: {{log_level: debug}}\n  strategies: [{{{strategy}}}]\n",
        in_session=False,
    )
    assert isinstance(result, Refused)
    assert [reason.partition(": ")[0].removeprefix("trading.") for reason in result.reasons] == [
        "data.refresh_deadline_seconds",
        "data.history_bars",
        "strategies.momentum.deadline_seconds",
        "ops.log_level",
    ]


def test_a_malformed_file_is_refused_with_every_line(running: Running) -> None:
    """The reasons are the lines `check` would print."""
    result = running.reload("trading:\n  risk:\n    max_weigth: 0.1\n    allow_short: no\n")
    assert isinstance(result, Refused)
    assert [reason.partition(": ")[0] for reason in result.reasons] == [f"{running.path}:3", f"{running.path}:4"]
    running.path.unlink()
    gone = prepare(running.path, {}, running.settings, in_session=False)
    assert gone == Refused(reasons=(f"{running.path}: there is no such file; give the path of a configuration file",))


def test_live_state_may_add_reasons(running: Running) -> None:
    """A reason of the caller's own refuses as well, beside the others."""
    result = running.reload(
        "trading: {risk: {max_weight: 0.2}}",
        against=lambda new, diff: [f"{len(diff.live)} change meets a position of 18 %"],
    )
    assert isinstance(result, Refused)
    assert result.reasons[1:] == ("1 change meets a position of 18 %",)


def test_a_variable_still_shadows_after_a_reload(tmp_path: Path) -> None:
    """The file's new value is not in force, and the warning says why."""
    path = tmp_path / "f.yaml"
    path.write_text("trading: {risk: {max_weight: 0.15}}")
    environ = {"LONGWATCH_RISK__MAX_WEIGHT": "0.12"}
    old = load(path, environ).settings
    path.write_text("trading: {risk: {max_weight: 0.05}}")
    result = prepare(path, environ, old, in_session=True)
    assert isinstance(result, Accepted)
    assert result.diff.live == ()
    assert "LONGWATCH_RISK__MAX_WEIGHT takes the place of trading.risk.max_weight" in result.warnings[0]


def test_a_strategy_is_compared_by_name(running: Running) -> None:
    """Allocation is live, parameters are not, and one that comes or goes needs a restart; the order means nothing."""
    a, b = (
        StrategySettings(name="a", path="a.py:A", allocation=Decimal("0.5")),
        StrategySettings(name="b", path="b.py:B"),
    )
    half = Settings(strategies=(a, b))
    assert classify(half, Settings(strategies=(b, a))) == Diff(live=(), restart=(), loosened=())
    changed = a.model_copy(update={"allocation": Decimal("0.4"), "parameters": {"top": 2}})
    diff = classify(half, Settings(strategies=(changed, b)))
    assert [str(change) for change in diff.live] == ["trading.strategies.a.allocation: 0.5 → 0.4"]
    assert [change.key for change in diff.restart] == ["trading.strategies.a.parameters"]
    gone = classify(half, Settings(strategies=(b,)))
    assert {change.key.split(".")[2] for change in gone.restart} == {"a"}
    assert gone.live == ()


def test_a_changed_secret_is_named_but_not_shown(tmp_path: Path) -> None:
    """Stars on both sides."""
    token, path = tmp_path / "token", tmp_path / "f.yaml"
    token.write_text("old-word")
    path.write_text(f"trading: {{ops: {{control_token_file: {token}}}}}")
    old = load(path, {}).settings
    token.write_text("new-word")
    result = prepare(path, {}, old, in_session=False)
    assert isinstance(result, Refused)
    assert "control_token" in result.reasons[0]
    assert "word" not in result.reasons[0]


def test_every_live_limit_has_a_direction() -> None:
    """The table is total over the live settings of risk, holds and execution, and names no setting that isn't live."""
    limits = {path for path in LIVE if path[0] in ("risk", "holds", "execution")}
    assert limits <= set(LOOSENED_BY) <= LIVE
    assert {path for path, _ in every_setting() if path[0] in ("risk", "holds")} <= set(LOOSENED_BY)


@pytest.mark.parametrize(
    ("path", "tighter", "looser"),
    [
        (("risk", "max_weight"), Decimal("0.1"), Decimal("0.2")),
        (("risk", "max_gross_exposure"), Decimal("0.5"), Decimal(2)),
        (("risk", "max_net_exposure"), Decimal("0.5"), Decimal(2)),
        (("risk", "max_order_value"), Decimal(1), Decimal(10**6)),
        (("risk", "max_order_shares"), Decimal(1), Decimal(10**6)),
        (("risk", "max_orders_per_minute"), 1, 100),
        (("risk", "breaker_strikes"), 1, 9),
        (("risk", "breaker_window_minutes"), None, 60.0),
        (("risk", "breaker_wait_minutes"), 120.0, 1.0),
        (("risk", "max_quote_age_seconds"), 1.0, 100.0),
        (("risk", "price_band_fraction"), Decimal("0.01"), Decimal("0.5")),
        (("risk", "allow_short"), None, True),
        (("risk", "trading_hours_only"), None, False),
        (("risk", "max_capital"), Decimal(5), None),
        (("holds", "daily_loss"), Decimal("0.01"), None),
        (("holds", "drawdown"), Decimal("0.1"), None),
        (("holds", "strategy_daily_loss"), Decimal("0.1"), None),
        (("holds", "strategy_drawdown"), Decimal("0.1"), None),
        (("holds", "instrument_daily_loss"), Decimal("0.1"), None),
        (("holds", "instrument_daily_loss_sets"), "halted", "reducing"),
        (("holds", "rejections"), 3, 20),
        (("holds", "order_slippage_bps"), Decimal(100), None),
        (("holds", "session_slippage_bps"), Decimal(100), None),
        (("holds", "strategy_slippage_bps"), Decimal(100), None),
        *((("holds", f"{loss}_sets"), "halted", "reducing") for loss in ("daily_loss", "strategy_daily_loss")),
        *((("holds", f"{loss}_sets"), None, "reducing") for loss in ("drawdown", "strategy_drawdown", "rejections")),
        (("holds", "order_slippage_sets"), "halted", "reducing"),
        (("holds", "session_slippage_sets"), "halted", "reducing"),
        (("holds", "strategy_slippage_sets"), "halted", "reducing"),
        (("holds", "until"), "resumed", "next session"),
        (("execution", "flatten_order_type"), None, "MKT"),
        (("execution", "min_order_size"), Decimal(2), Decimal("0.1")),
        (("execution", "max_position_size"), Decimal(2), Decimal(10**6)),
        (("execution", "min_order_value"), Decimal(200), Decimal(-1)),
        (("execution", "order_type"), None, "MKT"),
        (("execution", "limit_offset_bps"), Decimal(1), Decimal(50)),
        (("execution", "stop_offset_bps"), Decimal(10), Decimal(60)),
        (("execution", "limit_from"), "mid", "far"),
        (("execution", "working_seconds"), 60.0, None),
        (("execution", "replacements"), None, 3),
        (("execution", "at_close"), None, "moc"),
        (("execution", "at_close_minutes"), 30.0, 5.0),
        (("execution", "tif"), None, "GTC"),
        (("execution", "acknowledge_seconds"), 1.0, 60.0),
        (("execution", "absence_quiet_seconds"), 90.0, 10.0),
        (("execution", "absence_round_seconds"), 90.0, 10.0),
        (("execution", "outside_rth"), None, True),
        (("ib", "account_age_seconds"), 60.0, 600.0),
        (("account_limits", "spend_unsettled"), None, True),
        (("account_limits", "commission_per_share"), Decimal(1), Decimal(0)),
        (("account_limits", "commission_minimum"), Decimal(5), Decimal(0)),
        (("account_limits", "min_excess_liquidity"), Decimal(500), Decimal(-1)),
        (("account_limits", "margin_fraction"), Decimal(1), Decimal("0.25")),
        (("account_limits", "day_trade_exits"), None, True),
        (("account_limits", "check_shortable"), None, False),
        (("account_limits", "max_rate_age_seconds"), 60.0, 3600.0),
        (("account_limits", "what_if"), True, False),
        (("account_limits", "what_if_fallback"), None, "estimate"),
        (("data", "stale_sessions"), 0, 5),
        (("sizing", "cash_reserve_fraction"), Decimal("0.5"), Decimal(0)),
        (("sizing", "target_volatility"), Decimal("0.05"), Decimal("0.2")),
        (("sizing", "volatility_floor"), Decimal("0.05"), Decimal("0.001")),
        (("sizing", "correlation"), Decimal(1), Decimal(0)),
        (("sizing", "max_leverage"), Decimal("0.5"), Decimal(2)),
        (("sizing", "risk_fraction"), Decimal("0.001"), Decimal("0.02")),
        (("sizing", "stop_atr_multiple"), Decimal(5), Decimal(1)),
        (("risk", "max_volume_fraction"), Decimal("0.001"), None),
        (("risk", "max_displayed_fraction"), Decimal(1), None),
        (("risk", "groups"), (TECH,), ()),
        (("stops", "reenter"), None, True),
        (("stops", "unprotected_alert_seconds"), 10.0, 600.0),
    ],
)
def test_each_limit_loosens_in_its_own_direction(path: tuple[str, ...], tighter: Any, looser: Any) -> None:
    """From the default to the looser value is loosening, back is not, and neither is the tighter one."""
    default = Settings()
    if path not in AT_THEIR_LOOSEST:
        assert len(classify(default, with_value(path, looser)).loosened) == 1
        assert classify(with_value(path, looser), default).loosened == ()
    if tighter is not None:
        assert classify(default, with_value(path, tighter)).loosened == ()
        assert len(classify(with_value(path, tighter), default).loosened) == 1


AT_THEIR_LOOSEST = {
    ("account_limits", "what_if"),
    ("risk", "max_capital"),
    ("risk", "max_displayed_fraction"),
    ("risk", "groups"),
    ("execution", "limit_from"),
    ("execution", "working_seconds"),
    *(("holds", f"strategy_{one}") for one in ("daily_loss", "drawdown", "slippage_bps", "daily_loss_sets")),
    *(("holds", one) for one in ("drawdown", "order_slippage_bps", "session_slippage_bps", "until")),
    ("holds", "instrument_daily_loss"),
    ("holds", "instrument_daily_loss_sets"),
    *(("holds", f"{one}_sets") for one in ("daily_loss", "order_slippage", "session_slippage", "strategy_slippage")),
}
"""Limits whose default is already as loose as it gets."""


@pytest.mark.parametrize(
    ("changes", "loosens"),
    [
        ({"max_weight": Decimal("0.4")}, True),
        ({"max_weight": Decimal("0.2")}, False),
        ({"symbols": ("AAPL",)}, True),
        ({"symbols": ("AAPL", "MSFT", "IBM")}, False),
        ({"name": "software"}, True),
    ],
)
def test_a_group_loosens_with_its_weight_and_with_what_leaves_it(changes: dict[str, Any], loosens: bool) -> None:
    """More weight, an instrument less, or the group gone under its name: loosening; the opposites are not."""
    before = with_value(("risk", "groups"), (TECH,))
    after = with_value(("risk", "groups"), (TECH.model_copy(update=changes),))
    assert bool(classify(before, after).loosened) is loosens


NEAR, FAR = "stop: {fraction: 0.08}", "stop: {fraction: 0.8}"
FIVE = "fraction: 0.05"


def with_stops(general: str, own: str = "") -> Settings:
    strategy = f"{{name: momentum, path: longwatch.strategies.momentum:Momentum{', ' if own else ''}{own}}}"
    return settings(f"trading: {{stops: {{{general}}}, strategies: [{strategy}]}}")


@pytest.mark.parametrize(
    ("before", "after", "blamed"),
    [
        (("", NEAR), ("", FAR), ["strategies.momentum.stop"]),
        (("", NEAR), ("", ""), ["strategies.momentum.stop"]),
        ((FIVE, ""), (FIVE, NEAR), ["strategies.momentum.stop"]),
        (("fraction: 0.1", ""), ("fraction: 0.1", NEAR), []),
        (("fraction: 0.1", NEAR), ("fraction: 0.1", ""), ["strategies.momentum.stop"]),
        ((FIVE, NEAR), (FIVE, ""), []),
        ((FIVE, ""), (f"{FIVE}, instruments: {{AAPL: {{fraction: 0.9}}}}", ""), ["stops.instruments"]),
        ((f"{FIVE}, instruments: {{AAPL: {{fraction: 0.9}}}}", ""), (FIVE, ""), []),
        ((f"{FIVE}, instruments: {{AAPL: {{fraction: 0.01}}}}", ""), (FIVE, ""), ["stops.instruments"]),
        ((f"{FIVE}, trails: true", ""), (FIVE, ""), ["stops.trails"]),
        ((FIVE, ""), (f"{FIVE}, trails: true", ""), []),
        ((FIVE, ""), ("fraction: 0.06", ""), ["stops.fraction"]),
        ((FIVE, ""), ("fraction: 0.04", ""), []),
        ((FIVE, ""), ("", ""), ["stops.fraction"]),
        (("", ""), (FIVE, ""), []),
        (("amount: 2", ""), ("amount: 3", ""), ["stops.amount"]),
        (("amount: 2", ""), ("amount: 1", ""), []),
        ((f"{FIVE}, atr_multiple: 2", ""), (f"{FIVE}, atr_multiple: 3", ""), ["stops.atr_multiple"]),
        ((FIVE, ""), ("amount: 1", ""), ["stops.fraction", "stops.amount"]),
    ],
)
def test_a_stop_loosens_with_the_rule_that_is_in_force(
    before: tuple[str, str], after: tuple[str, str], blamed: list[str]
) -> None:
    """General, of a strategy, of a symbol: wider, gone, or no more behind the best close; the settings are named."""
    found = classify(with_stops(*before), with_stops(*after)).loosened
    assert [change.key.removeprefix("trading.") for change in found] == blamed


def test_each_direction_is_shown_above() -> None:
    """As many cases as the table has limits."""
    (mark,) = [m for m in test_each_limit_loosens_in_its_own_direction.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == set(LOOSENED_BY)


@given(
    st.lists(
        st.fractions(0, 1).map(lambda f: Decimal(f.numerator * 100 // f.denominator) / 100), min_size=2, max_size=2
    )
)
def test_a_change_and_its_opposite_never_both_loosen(pair: list[Decimal]) -> None:
    """Exactly one direction of a differing limit is loosening; none when nothing differs."""
    one, other = (with_value(("risk", "max_weight"), value) for value in pair)
    there, back = classify(one, other), classify(other, one)
    assert len(there.loosened) + len(back.loosened) == (pair[0] != pair[1])


def test_every_setting_says_whether_it_is_live_or_needs_a_restart() -> None:
    """No class by omission, and a description with it; the same for a strategy's own settings."""
    fields = [*every_setting(), *every_setting(StrategySettings)]
    for path, field in fields:
        extra = field.json_schema_extra
        assert isinstance(extra, dict) and extra["reload"] in ("live", "restart"), path
        assert field.description, path
    assert ("risk", "max_weight") in LIVE
    assert ("ib", "port") not in LIVE

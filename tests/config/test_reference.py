"""The commented reference and the demo's file are what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from longwatch.config import document
from longwatch.config.load import check, demo_path, load
from longwatch.config.schema import (
    Settings,
    SizingSettings,
    StopRuleSettings,
    StopSettings,
    StrategySettings,
    TakeProfitSettings,
    every_setting,
    is_secret,
    reload_class,
)
from longwatch.config.trade import trade_settings
from longwatch.domain.settings import SizingRules, StopRule
from longwatch.domain.triggers import EveryTrigger, parse_trigger
from longwatch.strategies.momentum import MomentumParameters

LATER_JOBS = ("signals", "rebalance", "reconcile", "end_of_day")
"""Jobs whose settings read like those of `refresh`, which alone is marked."""


def reference(root: Path) -> Path:
    return root / "config" / "trading_config.yaml"


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree[name]
    return tree


def test_the_reference_loads_to_the_defaults_without_a_warning(root: Path) -> None:
    """Every value in it is the schema's default."""
    loaded = load(reference(root), {})
    assert loaded.settings == Settings()
    assert loaded.warnings == ()


def test_the_reference_names_every_setting_with_a_value_of_its_own(root: Path) -> None:
    """None is left out, so the file is the list of all settings."""
    lines = document.read(reference(root).read_text(), "reference").lines
    named = {("trading", *path) for path, field in every_setting() if not is_secret(field)}
    named |= {("trading", "strategies", 0, name) for name in StrategySettings.model_fields}
    assert named <= set(lines)


def test_the_reference_says_of_each_setting_whether_it_is_live(root: Path) -> None:
    """The mark in the comment is the schema's class; jobs after the first carry none."""
    text = reference(root).read_text()
    source, rows = document.read(text, "reference"), text.splitlines()
    for path, field in [
        *every_setting(),
        *((("strategies", 0, name), f) for name, f in StrategySettings.model_fields.items()),
    ]:
        marked = path[:2] in {("schedule", job) for job in LATER_JOBS} or path == ("strategies",)
        if not is_secret(field) and not marked:
            row = rows[source.lines["trading", *path] - 1]
            assert f"# [{reload_class(field)}] " in row, row


def test_the_demo_is_a_paper_run_on_four_names(root: Path) -> None:
    """Its file ships inside the package, checks without a warning, and its parameters are the strategy's own."""
    assert check(demo_path(), {})[0] == [f"{demo_path()}: good; mode paper, data from ib, executor ib_paper"]
    settings = load(demo_path(), {}).settings
    (strategy,) = settings.strategies
    parameters = MomentumParameters.model_validate(strategy.parameters)
    assert set(parameters.universe) == {"AAPL", "MSFT", "IBM", "GOOG"}
    assert parameters.lookback + 1 <= settings.data.history_bars
    assert str(settings.risk.max_weight) == "0.4"
    assert (settings.execution.order_type, settings.execution.limit_offset_bps) == ("LMT", 30)


def test_the_demo_reconciles_in_the_session_and_does_the_rest_at_its_usual_times() -> None:
    """Half an hour after the close bars, then signals; orders five minutes after the open."""
    schedule, usual = load(demo_path(), {}).settings.schedule, Settings().schedule
    assert parse_trigger(schedule.reconcile.trigger) == EveryTrigger(every=timedelta(minutes=15), in_session=True)
    assert (schedule.refresh, schedule.signals, schedule.rebalance) == (usual.refresh, usual.signals, usual.rebalance)
    assert (usual.refresh.trigger, usual.signals.trigger, usual.rebalance.trigger) == (
        "30 minutes after the close",
        "45 minutes after the close",
        "5 minutes after the open",
    )


def test_what_decisions_depend_on_follows_the_configuration() -> None:
    """Each live limit and rule of trading changes the value that decisions are made on."""
    tight = load(demo_path(), {"LONGWATCH_RISK__MAX_WEIGHT": "0.11", "LONGWATCH_IB__MARKET_DATA_TYPE": "3"}).settings
    trade = trade_settings(tight, ("AAPL",))
    assert (trade.mode, trade.universe, trade.order_type, str(trade.max_weight)) == ("paper", ("AAPL",), "LMT", "0.11")
    assert trade.allocations == (("momentum", 1),)
    assert trade.allow_delayed_data
    assert trade.backend_alert_seconds == 600
    assert trade.account_age_seconds == 90_000
    assert not trade_settings(Settings(), ()).allow_delayed_data


def test_how_a_strategy_is_sized_follows_the_configuration() -> None:
    """The general rules for all, and beside them those of strategies that have a method or a figure of their own."""
    figures: dict[str, Any] = {
        "target_volatility": Decimal("0.2"),
        "volatility_floor": Decimal("0.03"),
        "correlation": Decimal("0.4"),
        "max_leverage": Decimal(2),
        "risk_fraction": Decimal("0.01"),
        "stop_atr_multiple": Decimal(4),
    }
    sizing = SizingSettings(method="risk", buffer_fraction=Decimal("0.1"), **figures)
    plain = StrategySettings(name="plain", path="a:B")
    own = StrategySettings(name="own", path="a:B", sizing_method="portfolio", target_volatility=Decimal("0.3"))
    bold = StrategySettings(name="bold", path="a:B", risk_fraction=Decimal("0.02"))
    trade = trade_settings(Settings(sizing=sizing, strategies=(plain, own, bold)), ())
    general = SizingRules(method="risk", **figures)
    assert (trade.sizing, trade.buffer_fraction) == (general, Decimal("0.1"))
    assert trade.sizing_of == (
        ("own", replace(general, method="portfolio", target_volatility=Decimal("0.3"))),
        ("bold", replace(general, risk_fraction=Decimal("0.02"))),
    )
    assert trade_settings(Settings(), ()).sizing == SizingRules()


def test_defaults_of_the_configuration_are_those_decisions_have_by_themselves() -> None:
    """Where the domain names a default for a limit, the configuration names the same."""
    from longwatch.domain.settings import TradeSettings

    ours, theirs = trade_settings(Settings(), ()), TradeSettings()
    names = [
        "max_weight",
        "min_order_size",
        "max_position_size",
        "order_type",
        "limit_offset_bps",
        "price_band_fraction",
    ]
    names += [
        "max_gross_exposure",
        "max_net_exposure",
        "max_orders_per_minute",
        "max_quote_age_seconds",
        "stale_sessions",
        "acknowledge_seconds",
        "account_age_seconds",
        "absence_quiet_seconds",
        "absence_round_seconds",
    ]
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}


def test_a_take_profit_belongs_to_the_rule_of_its_stop() -> None:
    """General, of a strategy or of a symbol; a rule without a stop of its own has none, and saying one is a mistake."""
    pair = StopRuleSettings(fraction=Decimal("0.08"), take_profit=TakeProfitSettings(fraction=Decimal("0.15")))
    further = {"amount": "2", "take_profit": {"fraction": "0.2", "atr_multiple": "4"}}
    stops = StopSettings.model_validate({"instruments": {"SPY": further}})
    plain = StrategySettings(name="plain", path="a:B", stop=pair)
    trade = trade_settings(Settings(stops=stops, strategies=(plain,)), ())
    assert trade.stop is None
    assert trade.stops_of_strategies == (
        ("plain", StopRule(fraction=Decimal("0.08"), profit_fraction=Decimal("0.15"))),
    )
    assert trade.stops_of_symbols == (
        ("SPY", StopRule(amount=Decimal(2), profit_fraction=Decimal("0.2"), profit_atr_multiple=Decimal(4))),
    )
    with pytest.raises(ValidationError, match="no stop to rest beside"):
        StopRuleSettings.model_validate({"take_profit": {"fraction": "0.2"}})
    with pytest.raises(ValidationError, match="fraction"):
        StopRuleSettings.model_validate({"fraction": "0.08", "take_profit": {"atr_multiple": "4"}})

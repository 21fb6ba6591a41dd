"""What decisions are made on, taken from the configuration; called by `app` at start and reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from longwatch.config.schema import HoldSettings, Settings, SizingSettings, StopRuleSettings, StrategySettings
from longwatch.domain.levels import Grade, HoldLimits
from longwatch.domain.settings import SizingRules, StopRule, TradeSettings

_DELAYED = (3, 4)


def account_of(settings: Settings) -> str:
    """The account traded; a run without a broker has one of its own name."""
    return settings.account or ("D-MOCK" if settings.mode == "paper" else "MOCK")


def trade_settings(
    settings: Settings, universe: tuple[str, ...], universes: tuple[tuple[str, tuple[str, ...]], ...] = ()
) -> TradeSettings:
    """What `decide` may ask; `universe` is every symbol the enabled strategies need, `universes` those of each."""
    execution, sizing, risk = settings.execution, settings.sizing, settings.risk
    return TradeSettings(
        mode=settings.mode,
        universe=universe,
        universes=universes,
        allocations=tuple((strategy.name, strategy.allocation) for strategy in settings.strategies if strategy.enabled),
        initial_capital=settings.initial_capital,
        max_capital_value=risk.max_capital,
        adopt_existing=execution.adopt_existing == "all",
        order_type=execution.order_type,
        limit_offset_bps=execution.limit_offset_bps,
        limit_from=execution.limit_from,
        stop_offset_bps=execution.stop_offset_bps,
        working_seconds=execution.working_seconds,
        replacements=execution.replacements,
        at_close=execution.at_close,
        at_close_minutes=execution.at_close_minutes,
        tif=execution.tif,
        acknowledge_seconds=execution.acknowledge_seconds,
        absence_quiet_seconds=execution.absence_quiet_seconds,
        absence_round_seconds=execution.absence_round_seconds,
        outside_rth=execution.outside_rth,
        lot_size=sizing.lot_size,
        min_trade_value=sizing.min_trade_value,
        min_order_size=execution.min_order_size,
        max_position_size=execution.max_position_size,
        min_order_value=execution.min_order_value,
        max_order_value=risk.max_order_value,
        max_order_shares=risk.max_order_shares,
        max_weight=risk.max_weight,
        groups=tuple((group.name, group.symbols, group.max_weight) for group in risk.groups),
        max_gross_exposure=risk.max_gross_exposure,
        max_net_exposure=risk.max_net_exposure,
        max_orders_per_minute=risk.max_orders_per_minute,
        max_volume_fraction=risk.max_volume_fraction,
        max_displayed_fraction=risk.max_displayed_fraction,
        breaker_strikes=risk.breaker_strikes,
        breaker_window_minutes=risk.breaker_window_minutes,
        breaker_wait_minutes=risk.breaker_wait_minutes,
        max_quote_age_seconds=risk.max_quote_age_seconds,
        price_band_fraction=risk.price_band_fraction,
        allow_short=risk.allow_short,
        trading_hours_only=risk.trading_hours_only,
        holds=_holds(settings.holds),
        flatten_order_type=execution.flatten_order_type,
        **_account_limits(settings),
        cash_reserve_fraction=sizing.cash_reserve_fraction,
        no_trade_band_weight=sizing.no_trade_band_weight,
        stale_sessions=settings.data.stale_sessions,
        account_age_seconds=settings.ib.account_age_seconds,
        clock_skew_seconds=settings.ib.clock_skew_seconds,
        backend_alert_seconds=settings.ib.backend_alert_minutes * 60,
        **_stops(settings),
        **_sizes(settings),
    )


def _stops(settings: Settings) -> dict[str, Any]:
    return {
        "stop": _rule(settings.stops),
        # Of disabled ones too: what they have bought is still held.
        "stops_of_strategies": _rules({one.name: one.stop for one in settings.strategies if one.stop}),
        "stops_of_symbols": _rules(settings.stops.instruments),
        # Of parents and children only a gateway knows.
        "attached_stops": settings.stops.attached and settings.executor != "mock",
        "reenter_after_stop": settings.stops.reenter,
        "unprotected_alert_seconds": settings.stops.unprotected_alert_seconds,
    }


def _rule(rule: StopRuleSettings) -> StopRule | None:
    if not rule.is_on:
        return None
    profit = rule.take_profit
    return StopRule(
        fraction=rule.fraction,
        amount=rule.amount,
        atr_multiple=rule.atr_multiple,
        trails=rule.trails,
        profit_fraction=profit.fraction if profit is not None else None,
        profit_atr_multiple=profit.atr_multiple if profit is not None else None,
    )


def _rules(named: Mapping[str, StopRuleSettings]) -> tuple[tuple[str, StopRule], ...]:
    return tuple((name, rule) for name, one in sorted(named.items()) if (rule := _rule(one)) is not None)


def _holds(settings: HoldSettings) -> HoldLimits:
    """The same names, with each grade as one."""
    given: dict[str, Any] = {name: Grade(value) if name.endswith("_sets") else value for name, value in settings}
    return HoldLimits(**given)


def _sizes(settings: Settings) -> dict[str, Any]:
    sizing, strategies = settings.sizing, settings.strategies
    return {
        "buffer_fraction": sizing.buffer_fraction,
        "sizing": _sizing_rules(sizing),
        "sizing_of": tuple((one.name, own) for one in strategies if (own := _own_rules(one, sizing)) is not None),
    }


def _sizing_rules(sizing: SizingSettings) -> SizingRules:
    return SizingRules(
        method=sizing.method,
        target_volatility=sizing.target_volatility,
        volatility_floor=sizing.volatility_floor,
        correlation=sizing.correlation,
        max_leverage=sizing.max_leverage,
        risk_fraction=sizing.risk_fraction,
        stop_atr_multiple=sizing.stop_atr_multiple,
    )


def _own_rules(strategy: StrategySettings, sizing: SizingSettings) -> SizingRules | None:
    """A strategy's own rules, or None where it goes by those for all."""
    own = {
        "method": strategy.sizing_method,
        "target_volatility": strategy.target_volatility,
        "risk_fraction": strategy.risk_fraction,
    }
    given = {name: value for name, value in own.items() if value is not None}
    return replace(_sizing_rules(sizing), **given) if given else None  # type: ignore[arg-type]


def _account_limits(settings: Settings) -> dict[str, Any]:
    """What the account allows, delayed data in paper alone; `kind` is that of the account."""
    limits = dict(settings.account_limits)
    is_delayed = settings.mode == "paper" and settings.ib.market_data_type in _DELAYED
    limits["what_if"] = settings.account_limits.what_if and settings.executor != "mock"
    return {"account_kind": limits.pop("kind"), "allow_delayed_data": is_delayed, **limits}

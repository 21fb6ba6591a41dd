"""Prepares a reload: reads the new file, compares it with the running settings, accepts or refuses; called by `app`.

Nothing here has a side effect: until the caller puts the accepted settings in force, the old ones run on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from longwatch.config.load import load
from longwatch.config.mistakes import ConfigErrors
from longwatch.config.schema import (
    ROOT,
    GroupSettings,
    ReloadClass,
    Settings,
    StrategySettings,
    every_setting,
    is_secret,
    reload_class,
)
from longwatch.config.stop_rules import loosened_stops
from longwatch.config.wording import shown
from longwatch.errors import ConfigError

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that differs, by its full name; the values of a secret are stars."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {shown(self.old)} → {shown(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What differs: what may change now, what needs a restart, and which of the first loosen a limit."""

    live: tuple[Change, ...]
    restart: tuple[Change, ...]
    loosened: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A reload that may be put in force."""

    settings: Settings
    diff: Diff
    warnings: tuple[str, ...]
    source_text_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A reload that must not be, with every reason, one line each."""

    reasons: tuple[str, ...]


Against = Callable[[Settings, Diff], Iterable[str]]


def prepare(
    path: Path | str,
    environ: Mapping[str, str],
    running: Settings,
    *,
    in_session: bool,
    allow_loosening: bool = False,
    against: Against = lambda settings, diff: (),
) -> Accepted | Refused:
    """Reads, checks and compares; `against` adds the reasons that live state has against the new settings."""
    try:
        loaded = load(path, environ)
    except ConfigErrors as errors:
        return Refused(reasons=tuple(errors.lines()))
    except ConfigError as error:
        return Refused(reasons=(str(error),))
    diff = classify(running, loaded.settings)
    reasons = (*_refusals(diff, in_session and not allow_loosening), *against(loaded.settings, diff))
    if reasons:
        return Refused(reasons=reasons)
    return Accepted(
        settings=loaded.settings,
        diff=diff,
        warnings=loaded.warnings,
        source_text_sha256=loaded.source_text_sha256,
    )


def classify(old: Settings, new: Settings) -> Diff:
    """Every difference, in the schema's order."""
    before, after = _values(old), _values(new)
    keys = [key for key in dict.fromkeys((*before, *after)) if before.get(key, _ABSENT) != after.get(key, _ABSENT)]
    changes = {key: _change(key, before.get(key, _ABSENT), after.get(key, _ABSENT)) for key in keys}
    live = [key for key in keys if _class_of(key, before, after) == "live"]
    stops = loosened_stops(old, new, live)
    return Diff(
        live=tuple(changes[key] for key in live),
        restart=tuple(change for key, change in changes.items() if key not in live),
        loosened=tuple(changes[key] for key in live if key in stops or _is_loosened(key, before[key], after[key])),
    )


def _rises(old: Any, new: Any) -> bool:
    """A limit from above: it loosens when it rises, or when it goes."""
    return bool(_or_endless(new) > _or_endless(old))


def _falls(old: Any, new: Any) -> bool:
    """A limit from below: it loosens when it falls."""
    return bool(new < old)


def _becomes(*loose: object) -> Callable[[Any, Any], bool]:
    """A choice that is looser at some of its values."""
    return lambda old, new: new in loose


def _let_more_in(old: tuple[GroupSettings, ...], new: tuple[GroupSettings, ...]) -> bool:
    """Groups are looser when one has gone, has lost an instrument, or has a larger weight."""
    after = {group.name: group for group in new}
    return any(
        group.name not in after
        or not set(group.symbols) <= set(after[group.name].symbols)
        or after[group.name].max_weight > group.max_weight
        for group in old
    )


_HELD_BY = (
    "daily_loss",
    "drawdown",
    "strategy_daily_loss",
    "strategy_drawdown",
    "instrument_daily_loss",
    "rejections",
    "order_slippage",
    "session_slippage",
    "strategy_slippage",
)
_HELD_AT = tuple(f"{rule}_bps" if rule.endswith("slippage") else rule for rule in _HELD_BY)

# Which change of a limit loosens it. Every live setting of `risk`, `holds` and `execution` stands here; the rules of
# stops take one another's place, and are compared by stop_rules.
LOOSENED_BY: Mapping[Key, Callable[[Any, Any], bool]] = {
    ("stops", "reenter"): _becomes(True),
    ("stops", "unprotected_alert_seconds"): _rises,
    ("ib", "account_age_seconds"): _rises,
    ("data", "stale_sessions"): _rises,
    ("execution", "min_order_size"): _falls,
    ("execution", "max_position_size"): _rises,
    ("execution", "min_order_value"): _falls,
    ("execution", "order_type"): _becomes("MKT", "STP", "MOC"),
    ("execution", "limit_from"): _becomes("far"),
    ("execution", "working_seconds"): _rises,
    ("execution", "replacements"): _rises,
    ("execution", "at_close"): _becomes("moc"),
    ("execution", "at_close_minutes"): _falls,
    ("execution", "limit_offset_bps"): _rises,
    ("execution", "stop_offset_bps"): _rises,
    ("execution", "tif"): _becomes("GTC"),
    ("execution", "acknowledge_seconds"): _rises,
    ("execution", "absence_quiet_seconds"): _falls,
    ("execution", "absence_round_seconds"): _falls,
    ("execution", "outside_rth"): _becomes(True),
    ("sizing", "cash_reserve_fraction"): _falls,
    ("execution", "flatten_order_type"): _becomes("MKT"),
    ("sizing", "target_volatility"): _rises,
    ("sizing", "volatility_floor"): _falls,
    ("sizing", "correlation"): _falls,
    ("sizing", "max_leverage"): _rises,
    ("sizing", "risk_fraction"): _rises,
    ("sizing", "stop_atr_multiple"): _falls,
    ("account_limits", "spend_unsettled"): _becomes(True),
    ("account_limits", "commission_per_share"): _falls,
    ("account_limits", "commission_minimum"): _falls,
    ("account_limits", "min_excess_liquidity"): _falls,
    ("account_limits", "margin_fraction"): _falls,
    ("account_limits", "day_trade_exits"): _becomes(True),
    ("account_limits", "check_shortable"): _becomes(False),
    ("account_limits", "max_rate_age_seconds"): _rises,
    ("account_limits", "what_if"): _becomes(False),
    ("account_limits", "what_if_fallback"): _becomes("estimate"),
    ("risk", "max_weight"): _rises,
    ("risk", "groups"): _let_more_in,
    ("risk", "max_gross_exposure"): _rises,
    ("risk", "max_net_exposure"): _rises,
    ("risk", "max_order_value"): _rises,
    ("risk", "max_order_shares"): _rises,
    ("risk", "max_orders_per_minute"): _rises,
    ("risk", "max_volume_fraction"): _rises,
    ("risk", "max_displayed_fraction"): _rises,
    ("risk", "breaker_strikes"): _rises,
    ("risk", "breaker_window_minutes"): _falls,
    ("risk", "breaker_wait_minutes"): _falls,
    ("risk", "max_quote_age_seconds"): _rises,
    ("risk", "price_band_fraction"): _rises,
    ("risk", "max_capital"): _rises,
    ("risk", "allow_short"): _becomes(True),
    ("risk", "trading_hours_only"): _becomes(False),
    **{("holds", limit): _rises for limit in _HELD_AT},
    **{("holds", f"{rule}_sets"): _becomes("reducing") for rule in _HELD_BY},
    ("holds", "until"): _becomes("next session"),
}

_ABSENT = "(absent)"
_STRATEGIES = "strategies"
_STARS = "***"


def _refusals(diff: Diff, loosening_is_refused: bool) -> tuple[str, ...]:
    restart = [f"{change}; this setting needs a restart, nothing was changed" for change in diff.restart]
    loosened = [
        f"{change}; this loosens a limit while a session is open: say so (reload --loosen), or wait for the close"
        for change in diff.loosened
        if loosening_is_refused
    ]
    return (*restart, *loosened)


def _values(settings: Settings) -> dict[Key, Any]:
    """Every setting's value by its path; those of a strategy below its name."""
    values: dict[Key, Any] = {}
    for path, _ in every_setting():
        if path == (_STRATEGIES,):
            for strategy in settings.strategies:
                values |= {(_STRATEGIES, strategy.name, field): value for field, value in strategy}
        else:
            values[path] = _at(settings, path)
    return values


def _at(settings: BaseModel, path: Key) -> Any:
    value: Any = settings
    for name in path:
        value = getattr(value, name)
    return value


def _class_of(key: Key, before: Mapping[Key, Any], after: Mapping[Key, Any]) -> ReloadClass:
    """The setting's class; a strategy that comes or goes needs a restart."""
    if key not in before or key not in after:
        return "restart"
    if key[0] == _STRATEGIES:
        return reload_class(StrategySettings.model_fields[key[-1]])
    return reload_class(dict(every_setting())[key])


def _change(key: Key, old: Any, new: Any) -> Change:
    secret = key[0] != _STRATEGIES and is_secret(dict(every_setting())[key])
    name = ".".join((ROOT, *key))
    return Change(key=name, old=_STARS, new=_STARS) if secret else Change(key=name, old=old, new=new)


def _is_loosened(key: Key, old: Any, new: Any) -> bool:
    loosens = LOOSENED_BY.get(key)
    return loosens is not None and loosens(old, new)


def _or_endless(limit: Any) -> Any:
    return Decimal("Infinity") if limit is None else limit

"""The settings that decisions depend on, as plain values; made from the configuration, kept in the state as a fact."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from longwatch.domain.levels import HoldLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class SizingRules:
    """How a strategy's weights become fractions of its capital; methods.py has the formulas.

    `method`: `weights` as they are, `volatility` or `portfolio` to reach `target_volatility` (annual, of the strategy's
    capital), `risk` to lose `risk_fraction` of it at the stop, which is `stop_atr_multiple` average true ranges away
    where no rule of stops says how far.
    """

    method: str = "weights"
    target_volatility: Decimal = Decimal("0.10")
    volatility_floor: Decimal = Decimal("0.02")
    correlation: Decimal = Decimal("0.5")
    max_leverage: Decimal = Decimal(1)
    risk_fraction: Decimal = Decimal("0.005")
    stop_atr_multiple: Decimal = Decimal(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """How far behind a price the protective stop of a holding lies: one of the three distances.

    `fraction` of that price, `amount` in the instrument's currency, or `atr_multiple` times the average true range,
    for which `fraction` stands in while none is known. `trails`: the price is the best close since the holding was
    opened, else it is what was paid. `profit_fraction` of what was paid, or `profit_atr_multiple` average true ranges
    (until one is known the fraction), is how far away on the other side its take-profit lies; without a fraction: none.
    """

    fraction: Decimal | None = None
    amount: Decimal | None = None
    atr_multiple: Decimal | None = None
    trails: bool = False
    profit_fraction: Decimal | None = None
    profit_atr_multiple: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeSettings:
    """Everything `decide` may ask of the configuration.

    Fractions are of equity; `_value` in the base currency; `_shares` and the two sizes in shares; ages and time-outs in
    technical seconds, the breaker's times in minutes of market time. `universes` are the symbols each strategy asks
    for; one that could not be loaded has no entry. A group is its name, its symbols and the weight they are capped at.
    `sizing_of` holds for the strategies it names, `sizing` for the others. The stop of an instrument is that
    named for it, else the tightest of the strategies that ask for it, else `stop`.
    """

    mode: str = "paper"
    universe: tuple[str, ...] = ()
    universes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    allocations: tuple[tuple[str, Decimal], ...] = ()
    initial_capital: Decimal = Decimal(100_000)
    max_capital_value: Decimal | None = None
    adopt_existing: bool = False
    order_type: str = "LMT"
    limit_offset_bps: Decimal = Decimal(20)
    limit_from: str = "far"
    stop_offset_bps: Decimal = Decimal(50)
    working_seconds: float | None = None
    replacements: int = 0
    at_close: str = "leave"
    at_close_minutes: float = 15.0
    tif: str = "DAY"
    acknowledge_seconds: float = 10.0
    outside_rth: bool = False
    lot_size: Decimal = Decimal(1)
    min_trade_value: Decimal = Decimal(0)
    min_order_size: Decimal = Decimal(1)
    max_position_size: Decimal = Decimal(10_000)
    min_order_value: Decimal = Decimal(0)
    max_order_value: Decimal | None = None
    max_order_shares: Decimal | None = None
    max_weight: Decimal = Decimal("0.15")
    groups: tuple[tuple[str, tuple[str, ...], Decimal], ...] = ()
    max_gross_exposure: Decimal = Decimal(1)
    max_net_exposure: Decimal = Decimal(1)
    max_orders_per_minute: int = 60
    max_volume_fraction: Decimal | None = None
    max_displayed_fraction: Decimal | None = None
    breaker_strikes: int = 3
    breaker_window_minutes: float = 10_080.0
    breaker_wait_minutes: float = 60.0
    max_quote_age_seconds: float = 30.0
    price_band_fraction: Decimal = Decimal("0.10")
    allow_delayed_data: bool = False
    allow_short: bool = False
    trading_hours_only: bool = True
    holds: HoldLimits = field(default_factory=HoldLimits)
    flatten_order_type: str = "LMT"
    account_kind: str = "auto"
    spend_unsettled: bool = False
    min_excess_liquidity: Decimal = Decimal(0)
    commission_per_share: Decimal = Decimal(0)
    commission_minimum: Decimal = Decimal(0)
    margin_fraction: Decimal = Decimal("0.5")
    day_trade_exits: bool = False
    check_shortable: bool = True
    max_rate_age_seconds: float = 900.0
    what_if: bool = False
    what_if_seconds: float = 5.0
    what_if_fallback: str = "refuse"
    cash_reserve_fraction: Decimal = Decimal(0)
    no_trade_band_weight: Decimal = Decimal(0)
    buffer_fraction: Decimal = Decimal(0)
    sizing: SizingRules = SizingRules()
    sizing_of: tuple[tuple[str, SizingRules], ...] = ()
    stale_sessions: int = 1
    clock_skew_seconds: float = 5.0
    account_age_seconds: float = 180.0
    backend_alert_seconds: float = 300.0
    absence_quiet_seconds: float = 60.0
    absence_round_seconds: float = 30.0
    stop: StopRule | None = None
    stops_of_strategies: tuple[tuple[str, StopRule], ...] = ()
    stops_of_symbols: tuple[tuple[str, StopRule], ...] = ()
    reenter_after_stop: bool = False
    attached_stops: bool = False
    unprotected_alert_seconds: float = 60.0

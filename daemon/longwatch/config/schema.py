"""Every setting: name, unit, default, bounds and whether a reload may change it; built by the loader, read by everyone.

A setting is *live* when a reload may change it under a running daemon, and *restart* when it may not. A new setting
needs one line here, one in `config/trading_config.yaml`, and one in `reload.LOOSENED_BY` when it is a limit; tests hold
all three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from longwatch.domain.triggers import parse_trigger
from longwatch.errors import ConfigError

ROOT = "trading"

Mode = Literal["backtest", "paper", "live"]
ProviderName = Literal["csv", "ib", "yahoo"]
ExecutorName = Literal["mock", "ib_paper", "ib_live"]
OrderType = Literal["MKT", "LMT", "STP", "STP LMT", "MOC", "LOC"]
TimeInForce = Literal["DAY", "GTC"]
ClientLibrary = Literal["ib_insync", "ib_async"]
GradeName = Literal["reducing", "halted"]
ReloadClass = Literal["live", "restart"]
SizingMethod = Literal["weights", "volatility", "portfolio", "risk"]


def live(default: Any, description: str, **bounds: Any) -> Any:
    """A setting that a reload may change."""
    return Field(default, description=description, json_schema_extra={"reload": "live"}, **bounds)


def restart(default: Any, description: str, **bounds: Any) -> Any:
    """A setting that only a restart may change."""
    return Field(default, description=description, json_schema_extra={"reload": "restart"}, **bounds)


def refuse(text: str, hint: str = "") -> PydanticCustomError:
    """A refusal in our own words, for validators to raise."""
    return PydanticCustomError("said", "{text}", {"text": text, "hint": hint})


def _exact(value: object) -> object:
    """A number as the Decimal its digits say; 0.1 in the file is exactly 0.1."""
    match value:
        case bool():
            raise PydanticCustomError("decimal_type", "a number")
        case int() | float():
            return Decimal(str(value))
        case _:
            return value


def _whole_path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or value.startswith("~")):
        raise refuse("must be a path written out in full", "`~` and nothing are not expanded")
    return value


def _account(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{1,4}[0-9]{3,12}", value):
        raise refuse(f'"{value}" is not an account id', "it looks like DU123456 or U123456")
    return value


def _trigger(value: str) -> str:
    try:
        parse_trigger(value)
    except ConfigError as error:
        said, _, way_out = str(error).removesuffix(".").partition("; ")
        raise refuse(f"{said[:1].lower()}{said[1:]}", way_out) from None
    return value


def _client_id(value: int) -> int:
    if value == 0:
        raise refuse("client id 0 would take over orders entered by hand", "choose 1 or more")
    return value


def _used_by(*methods: str) -> Callable[[Decimal, ValidationInfo], Decimal]:
    """A strategy's own figure is for its own method: beside another it would never be looked at."""

    def judged(value: Decimal, info: ValidationInfo) -> Decimal:
        method = info.data.get("sizing_method", methods[0])
        if method not in (None, *methods):
            raise refuse(f"is not used by sizing_method {method}", f"take it out, or use {' or '.join(methods)}")
        return value

    return judged


Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Amount = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0)]
Fraction = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=1)]
Seconds = Annotated[float, Strict(), Field(gt=0, le=86_400)]
Minutes = Annotated[float, Strict(), Field(ge=0, le=10_080)]
Place = Annotated[Path, BeforeValidator(_whole_path)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
AccountId = Annotated[str, AfterValidator(_account)]
Trigger = Annotated[str, AfterValidator(_trigger)]


class Group(BaseModel):
    """A group of settings: frozen, and closed to names it doesn't know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=False)


class IbSettings(Group):
    """The connection to IB Gateway or TWS."""

    host: Text = restart("127.0.0.1", "Address of IB Gateway or TWS.")
    port: Whole = restart(4002, "Its port: paper 4002 (Gateway) or 7497 (TWS), live 4001 or 7496.", ge=1, le=65_535)
    client_id: Annotated[Whole, AfterValidator(_client_id)] = restart(
        1, "API client id; 0 is refused, it would take over orders entered by hand.", ge=0, le=2_147_483_646
    )
    client_library: ClientLibrary = restart(
        "ib_insync", "Client library, installed as the extra ib or ib-async: ib_insync or ib_async, never both."
    )
    connect_timeout_seconds: Seconds = restart(10.0, "Deadline for one attempt to connect, handshake included.")
    heartbeat_seconds: Seconds = restart(30.0, "Time between two heartbeats, which find half-open sockets.")
    heartbeat_timeout_seconds: Seconds = restart(10.0, "Silence after a heartbeat that counts as a lost link.")
    backoff_initial_seconds: Seconds = restart(1.0, "Upper bound of the first wait before connecting again.")
    backoff_max_seconds: Seconds = restart(60.0, "Upper bound of every later wait; waits are random below it.")
    messages_per_second: Whole = restart(40, "Messages sent to IB a second; IB cuts the line above 50.", ge=1, le=49)
    account_sync_timeout_seconds: Seconds = restart(30.0, "Deadline for the download of account, orders and positions.")
    account_age_seconds: Annotated[float, Strict(), Field(gt=0, le=1_209_600)] = live(
        180.0, "Age of the last account reading above which no order leaves; above the time between reconciliations."
    )
    clock_skew_seconds: Seconds = restart(5.0, "Difference to IB's clock above which no order leaves.")
    backend_alert_minutes: Minutes = restart(10.0, "Time without IB's backend after which an alert is raised.")
    codes_file: Place | None = restart(
        None, "YAML file that says what further codes of IB mean for orders; null for those known here."
    )
    market_data_type: Whole = restart(1, "1 live, 2 frozen; in paper also 3 delayed, 4 both.", ge=1, le=4)


class DataSettings(Group):
    """Market data: where it lies and how old it may be."""

    csv_dir: Place = restart(Path("data/prices"), "Directory of the csv provider's SYMBOL.csv files.")
    cache_dir: Place = restart(Path("data/cache"), "Directory of the cache of bars.")
    refresh_deadline_seconds: Seconds = restart(600.0, "Deadline for one refresh of every symbol.")
    stale_sessions: Whole = live(1, "Sessions a symbol's bars may lag behind and still be traded.", ge=0, le=30)
    history_bars: Whole = restart(400, "Bars kept of each symbol; no less than the longest lookback.", ge=2, le=100_000)
    volatility_half_life_sessions: Whole = restart(
        12, "Half-life of the exponentially weighted volatility of daily returns.", ge=1, le=1_000
    )
    atr_sessions: Whole = restart(14, "Sessions of the average true range, as Wilder smooths it.", ge=1, le=1_000)
    volume_sessions: Whole = restart(20, "Sessions of the average daily volume.", ge=1, le=1_000)


class ClockSettings(Group):
    """Where market time comes from."""

    source: Literal["system", "gateway"] = restart(
        "system", "system, or gateway to follow a simulated gateway; not in live."
    )
    speed: Annotated[float, Strict()] = restart(
        1.0, "Market seconds in a real second, as the simulated gateway counts them; else 1.", gt=0, le=1_000_000
    )


class ExecutionSettings(Group):
    """Accounts, and how orders are made."""

    paper_account: AccountId | None = restart(None, "Account id of the paper account; begins with D.")
    live_account: AccountId | None = restart(None, "Account id of the live account.")
    confirm_live_account: AccountId | None = restart(
        None, "The live account's id again: the second key that arms live."
    )
    min_order_size: Amount = live(Decimal(1), "Smallest order, in shares.")
    max_position_size: Annotated[Amount, Field(gt=0)] = live(Decimal(10_000), "Largest position, in shares.")
    min_order_value: Amount = live(Decimal(0), "Smallest order, in base currency.")
    order_type: OrderType = live("LMT", "MKT, LMT, STP or STP LMT for entries, or MOC and LOC into the auction.")
    limit_offset_bps: Amount = live(Decimal(20), "How far through the quote a limit lies.", le=1_000)
    limit_from: Literal["far", "mid"] = live("far", "A limit lies beyond the quote's far side, or beyond its mid.")
    stop_offset_bps: Amount = live(Decimal(50), "How far beyond the quote a stop entry is triggered.", gt=0, le=1_000)
    working_seconds: Seconds | None = live(None, "How long an order may work before it is cancelled; null for the day.")
    replacements: Whole = live(0, "How often the rest of such an order is sent anew in its session.", ge=0, le=100)
    at_close: Literal["leave", "cancel", "moc"] = live(
        "leave", "Orders still working before the close: leave, cancel, or send the rest into the closing auction."
    )
    at_close_minutes: Annotated[float, Strict(), Field(gt=0, le=390)] = live(15.0, "How long before the close.")
    tif: TimeInForce = live("DAY", "DAY, or GTC to let entries rest over days.")
    acknowledge_seconds: Seconds = live(10.0, "Deadline for IB's acknowledgement; past it an order is unknown.")
    absence_quiet_seconds: Seconds = live(
        60.0, "How long backend and farms must be up before silence proves that an unknown order is absent."
    )
    absence_round_seconds: Seconds = live(30.0, "Time between the two downloads that must both not show such an order.")
    flatten_order_type: Literal["LMT", "MKT"] = live(
        "LMT", "What a flatten closes with: a limit beyond the quote's far side, or MKT."
    )
    outside_rth: Flag = live(False, "Let orders fill outside regular trading hours.")
    adopt_existing: Literal["none", "all"] = restart(
        "none", "Of holdings found at the first start, none or all are ours."
    )


class AccountSettings(Group):
    """What the account allows, by the broker's own figures; a mock account has none and is not held back by these."""

    kind: Literal["auto", "cash", "margin"] = restart("auto", "cash, margin, or auto: as the broker tells it.")
    spend_unsettled: Flag = live(False, "Let a cash account buy with the proceeds of sales that have not settled.")
    commission_per_share: Amount = live(
        Decimal("0.005"), "Commission a cash account sets aside for each share ordered, where no what-if has told it."
    )
    commission_minimum: Amount = live(Decimal(1), "The least of it for an order.")
    min_excess_liquidity: Amount = live(
        Decimal(0), "Excess liquidity that a margin account keeps at worst, in base currency."
    )
    margin_fraction: Fraction = live(
        Decimal("0.5"), "Share of an entry's value that is taken to bind margin, where nobody has said how much does."
    )
    day_trade_exits: Flag = live(False, "Close what was opened today though no day trade is left.")
    check_shortable: Flag = live(True, "Sell short no more than the broker says can be borrowed.")
    max_rate_age_seconds: Seconds = live(
        900.0, "Age above which the exchange rate of an account in another currency is too old for entries."
    )
    what_if: Flag = live(False, "Ask IB before each entry what it would bind of margin.")
    what_if_seconds: Seconds = live(5.0, "Deadline for the answer.")
    what_if_fallback: Literal["refuse", "estimate"] = live(
        "refuse", "Past it: refuse the entry, or estimate its margin by margin_fraction."
    )


class JobSettings(Group):
    """One scheduled job; a bare text in its place is its trigger."""

    trigger: Trigger = restart(..., "When it runs, in session time, at an interval, or at a time in a zone.")
    deadline_seconds: Seconds = restart(600.0, "How long a run may take.")
    latest_start_minutes: Minutes = restart(60.0, "How late a run that was missed or has to wait may start.")


class ScheduleSettings(Group):
    """When the daemon does what."""

    refresh: JobSettings = Field(
        default=JobSettings(trigger="30 minutes after the close", deadline_seconds=900.0, latest_start_minutes=600.0),
        description="Download of the completed session's bars.",
    )
    signals: JobSettings = Field(
        default=JobSettings(trigger="45 minutes after the close", deadline_seconds=600.0, latest_start_minutes=900.0),
        description="Computation of target weights.",
    )
    rebalance: JobSettings = Field(
        default=JobSettings(trigger="5 minutes after the open", deadline_seconds=1_800.0, latest_start_minutes=60.0),
        description="Orders towards the targets.",
    )
    reconcile: JobSettings = Field(
        default=JobSettings(trigger="every 30 s", deadline_seconds=25.0, latest_start_minutes=1.0),
        description="Comparison of the broker's positions, orders and cash with ours.",
    )
    end_of_day: JobSettings = Field(
        default=JobSettings(trigger="15 minutes after the close", deadline_seconds=120.0, latest_start_minutes=300.0),
        description="The day's last comparison, once DAY orders have ended.",
    )
    quote_warmup_seconds: Seconds = restart(30.0, "How long before a rebalance quotes are subscribed to.")

    @field_validator("refresh", "signals", "rebalance", "reconcile", "end_of_day", mode="before")
    @classmethod
    def _fill_up(cls, given: object, info: ValidationInfo) -> object:
        """A bare text is the trigger; what is not given keeps the default of that very job."""
        if not isinstance(given, str | dict):
            return given
        default: JobSettings = cls.model_fields[str(info.field_name)].default
        return default.model_dump() | ({"trigger": given} if isinstance(given, str) else given)


JOBS = frozenset(name for name, info in ScheduleSettings.model_fields.items() if info.annotation is JobSettings)


class TakeProfitSettings(Group):
    """How far beyond what was paid a holding is sold with a profit."""

    fraction: Annotated[Amount, Field(gt=0, le=10)] = live(..., "Part of what was paid; with atr_multiple: until one.")
    atr_multiple: Annotated[Amount, Field(gt=0, le=100)] | None = live(None, "Average true ranges instead.")


class StopRuleSettings(Group):
    """How far behind a price a protective stop lies: a fraction, an amount, or a multiple of the average true range."""

    fraction: Annotated[Amount, Field(gt=0, lt=1)] | None = live(
        None, "Part of the price; with atr_multiple: until one."
    )
    amount: Annotated[Amount, Field(gt=0)] | None = live(None, "Distance in the instrument's currency.")
    atr_multiple: Annotated[Amount, Field(gt=0, le=100)] | None = live(None, "Average true ranges; needs a fraction.")
    trails: Flag = live(False, "Behind the best close since the holding was opened, not only behind what was paid.")
    take_profit: TakeProfitSettings | None = live(None, "A limit order in the stop's OCA group; null for none.")

    @model_validator(mode="after")
    def _is_one_distance(self) -> StopRuleSettings:
        """A fraction may stand beside a multiple of the average true range, for which it stands in."""
        given = [name for name in ("fraction", "amount", "atr_multiple") if getattr(self, name) is not None]
        if "amount" in given and len(given) > 1:
            raise refuse("names two distances for one stop", "give an amount alone, or a fraction")
        if given == ["atr_multiple"]:
            raise refuse("has no distance while no average true range is known", "give a fraction beside atr_multiple")
        if self.take_profit is not None and not given:
            raise refuse("has a take-profit and no stop to rest beside", "give a fraction or an amount, too")
        return self

    @property
    def is_on(self) -> bool:
        """Whether it names any distance."""
        return self.fraction is not None or self.amount is not None


class StopSettings(StopRuleSettings):
    """Protective stops at the broker; without a distance only those of strategies and instruments."""

    instruments: dict[str, StopRuleSettings] = live({}, "Rules of single symbols, before those of strategies.")
    attached: Flag = live(False, "Whether an entry leaves with its stop, as the broker's parent and child.")
    reenter: Flag = live(False, "Whether what was stopped out may be bought again in the same session.")
    unprotected_alert_seconds: Seconds = live(60.0, "Time without a stop after which an alert is raised.")


class StrategySettings(Group):
    """One strategy, its parameters and its share of the capital."""

    name: Name = restart(..., "Its name in orders, metrics and logs; unique.")
    path: Annotated[str, Field(pattern=r"^([^:\s]+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*$")] = restart(
        ..., "Where its class is: path.py:Class or package.module:Class."
    )
    parameters: dict[str, JsonValue] = restart({}, "Its own parameters, checked by its own model.")
    allocation: Fraction = live(Decimal(1), "Its share of the capital, 0 to 1; together at most 1.")
    deadline_seconds: Seconds = restart(60.0, "How long it may compute before it is killed.")
    enabled: Flag = live(True, "Whether it runs; false holds its targets at nothing.")
    sizing_method: SizingMethod | None = live(None, "Its own sizing.method; null for that of sizing.")
    target_volatility: (
        Annotated[Amount, Field(gt=0, le=5), AfterValidator(_used_by("volatility", "portfolio"))] | None
    ) = live(None, "Its own sizing.target_volatility; null for that of sizing.")
    risk_fraction: Annotated[Fraction, Field(gt=0), AfterValidator(_used_by("risk"))] | None = live(
        None, "Its own sizing.risk_fraction; null for that of sizing."
    )
    stop: StopRuleSettings | None = live(None, "Its protective stops, as under stops; null for those.")


class SizingSettings(Group):
    """From target weights to quantities."""

    method: SizingMethod = live("weights", "weights as strategies name them, volatility, portfolio or risk.")
    target_volatility: Annotated[Amount, Field(gt=0, le=5)] = live(
        Decimal("0.10"), "Annual volatility, of a strategy's capital, that volatility and portfolio aim at."
    )
    volatility_floor: Annotated[Amount, Field(gt=0, le=5)] = live(
        Decimal("0.02"), "What an instrument's volatility at least counts as."
    )
    correlation: Fraction = live(Decimal("0.5"), "Correlation of any two instruments, as portfolio reckons.")
    max_leverage: Annotated[Amount, Field(gt=0, le=10)] = live(
        Decimal(1), "Largest sum of absolute weights that a method but weights may make of a strategy's."
    )
    risk_fraction: Annotated[Fraction, Field(gt=0)] = live(
        Decimal("0.005"), "Share of a strategy's capital that risk loses in one position at its stop."
    )
    stop_atr_multiple: Annotated[Amount, Field(gt=0, le=100)] = live(
        Decimal(3), "How many average true ranges away it counts as, where stops have no rule."
    )
    buffer_fraction: Fraction = live(
        Decimal(0), "Share of a target about it within which nothing is traded; beyond it, to its edge."
    )
    cash_reserve_fraction: Fraction = live(Decimal("0.01"), "Share of the capital that stays in cash.")
    min_trade_value: Amount = live(Decimal(0), "Trades below this value, in base currency, are not proposed.")
    no_trade_band_weight: Fraction = live(Decimal("0.002"), "Distance from target within which nothing is traded.")
    lot_size: Annotated[Amount, Field(gt=0)] = live(Decimal(1), "Quantities are whole multiples of this many shares.")


class GroupSettings(Group):
    """Instruments whose weights are capped together, as those of one sector."""

    name: Name = live(..., "Its name in refusals; unique.")
    symbols: Annotated[tuple[Text, ...], Field(min_length=1)] = live(..., "The instruments in it, by symbol.")
    max_weight: Amount = live(..., "Largest share of the capital in all of them together.", le=10)


class RiskSettings(Group):
    """Limits that hold in the worst case; tightened at any time, loosened in a session only by an explicit word."""

    max_weight: Fraction = live(Decimal("0.15"), "Largest share of the capital in one instrument.")
    groups: tuple[GroupSettings, ...] = live(
        (), "Instruments capped together: a list of groups, each with name, symbols and max_weight."
    )
    max_gross_exposure: Amount = live(Decimal("1.0"), "Largest sum of absolute positions, in capitals.", le=10)
    max_net_exposure: Amount = live(Decimal("1.0"), "Largest sum of signed positions, in capitals.", le=10)
    max_order_value: Amount = live(Decimal(100_000), "Largest order, in base currency.")
    max_order_shares: Amount = live(Decimal(10_000), "Largest order, in shares.")
    max_orders_per_minute: Whole = live(
        60, "Orders, and modifications of them, that may leave in one minute.", ge=0, le=2_400
    )
    max_volume_fraction: Annotated[Amount, Field(gt=0, le=1)] | None = live(
        Decimal("0.01"),
        "Share of an instrument's average daily volume that a session's entries may come to; null: any.",
    )
    max_displayed_fraction: Annotated[Amount, Field(gt=0, le=1_000)] | None = live(
        None, "Share of the size displayed on the quote's far side that an entry may come to; null: any."
    )
    breaker_strikes: Whole = live(
        3, "Rejections or cancels of one kind in an instrument that open its breaker.", ge=1, le=100
    )
    breaker_window_minutes: Minutes = live(10_080.0, "The time within which they count together; a week.")
    breaker_wait_minutes: Minutes = live(60.0, "How long the breaker first stays open; doubled each further time.")
    max_quote_age_seconds: Seconds = live(30.0, "Age above which a quote is too old to trade on.")
    price_band_fraction: Fraction = live(Decimal("0.10"), "Distance of a price from the decision's that is refused.")
    max_capital: Amount | None = live(None, "Cap on the capital that is traded with, in base currency; null for none.")
    allow_short: Flag = live(False, "Allow positions below zero.")
    trading_hours_only: Flag = live(True, "Send orders only while the session is open.")


class HoldSettings(Group):
    """Limits on what has already happened; null switches one off. What each sets stays until lifted."""

    daily_loss: Fraction | None = live(Decimal("0.05"), "Loss since the session's start, of the equity then.")
    daily_loss_sets: GradeName = live("reducing", "What it sets for the account: reducing or halted.")
    drawdown: Fraction | None = live(None, "Loss since the highest equity, as a fraction of it.")
    drawdown_sets: GradeName = live("halted", "What it sets for the account.")
    strategy_daily_loss: Fraction | None = live(None, "A strategy's loss since the session's start, of its capital.")
    strategy_daily_loss_sets: GradeName = live("reducing", "What it sets for the strategy.")
    strategy_drawdown: Fraction | None = live(None, "A strategy's loss since its best, of its capital.")
    strategy_drawdown_sets: GradeName = live("halted", "What it sets for the strategy.")
    instrument_daily_loss: Fraction | None = live(
        None, "An instrument's loss since the session's start, of the equity."
    )
    instrument_daily_loss_sets: GradeName = live("reducing", "What it sets for the instrument.")
    rejections: Annotated[Whole, Field(ge=2, le=100)] | None = live(10, "Orders rejected in a row.")
    rejections_sets: GradeName = live("halted", "What they set for the account.")
    order_slippage_bps: Amount | None = live(None, "Slippage of one order against its decision price.")
    order_slippage_sets: GradeName = live("reducing", "What it sets for the instrument.")
    session_slippage_bps: Amount | None = live(None, "Slippage of the session's orders, by value.")
    session_slippage_sets: GradeName = live("reducing", "What it sets for the account.")
    strategy_slippage_bps: Amount | None = live(None, "Slippage of a strategy's parts of them.")
    strategy_slippage_sets: GradeName = live("reducing", "What it sets for the strategy.")
    until: Literal["next session", "resumed"] = live(
        "next session", "What ends a hold about one session: the next one, or only `longwatch resume`."
    )


class JournalSettings(Group):
    """Where what happened is kept."""

    path: Place | None = restart(None, "The journal's file; null for var/<mode>-<account>.sqlite.")
    archive_after_days: Annotated[Whole, Field(ge=1, le=36_500)] | None = live(
        400, "Age in days at which events, but no facts, move to the archive beside the journal; null for never."
    )


class OpsSettings(Group):
    """Health, metrics, control and logs."""

    http_host: Text = restart("127.0.0.1", "Address that health, status and metrics listen on.")
    http_port: Whole = restart(9464, "Their port; 0 takes any free one.", ge=0, le=65_535)
    control_socket: Place = restart(Path("var/control.sock"), "Unix socket that commands come in by.")
    halt_file: Place | None = restart(
        None, "A file whose appearance halts, looked for every second; null for none. Resume once it is taken away."
    )
    control_token_file: Place | None = restart(
        None, "File of the token that allows control by HTTP; null for the systemd credential control_token, or none."
    )
    control_token: SecretStr | None = Field(
        default=None,
        description="The token itself; only ever read from control_token_file or a systemd credential.",
        json_schema_extra={"reload": "restart", "secret": True},
        exclude=True,
    )
    log_level: Literal["debug", "info", "warning", "error"] = restart("info", "The least severe level that is logged.")
    log_format: Literal["auto", "json", "console"] = restart("auto", "json, console, or auto: json under systemd.")
    watchdog: Flag = restart(True, "Feed systemd's watchdog from the event loop.")


_MOMENTUM = StrategySettings(name="momentum", path="longwatch.strategies.momentum:Momentum")


class Settings(Group):
    """All settings: what stands under `trading:`."""

    mode: Mode = restart("backtest", "backtest, paper or live.")
    data_provider: ProviderName = restart("csv", "csv in backtest, ib in paper and live.")
    executor: ExecutorName = restart("mock", "mock, in paper ib_paper or mock (a dry run), in live ib_live.")
    initial_capital: Annotated[Amount, Field(gt=0)] = restart(
        Decimal(100_000), "Starting cash of backtest and mock, in base currency; elsewhere the account's value counts."
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = restart("USD", "Base currency.")
    calendar: Annotated[str, Field(pattern=r"^([A-Z]{4}|24/7)$")] = restart("XNYS", "Exchange; 24/7 is always open.")
    ib: IbSettings = IbSettings()
    data: DataSettings = DataSettings()
    clock: ClockSettings = ClockSettings()
    execution: ExecutionSettings = ExecutionSettings()
    account_limits: AccountSettings = AccountSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    strategies: tuple[StrategySettings, ...] = restart((_MOMENTUM,), "The strategies.")
    sizing: SizingSettings = SizingSettings()
    risk: RiskSettings = RiskSettings()
    stops: StopSettings = StopSettings()
    holds: HoldSettings = HoldSettings()
    journal: JournalSettings = JournalSettings()
    ops: OpsSettings = OpsSettings()

    @property
    def account(self) -> str | None:
        """The account this daemon trades, or None where no broker is asked."""
        return {"ib_paper": self.execution.paper_account, "ib_live": self.execution.live_account}.get(self.executor)

    @property
    def journal_path(self) -> Path:
        """The journal's file: the one given, or one named after mode and account."""
        return self.journal.path or Path("var") / f"{self.mode}-{self.account or self.executor}.sqlite"

    def plain(self) -> dict[str, Any]:
        """Every setting but secrets as JSON-able values; `Settings.model_validate` reads them back."""
        return self.model_dump(mode="json")


def every_setting(
    model: type[BaseModel] = Settings, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Each single setting of a model with its path below `trading`; a list of strategies is one setting."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_setting(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def reload_class(field: FieldInfo) -> ReloadClass:
    """Whether a reload may change this setting; a setting that doesn't say is not to be changed."""
    extra = field.json_schema_extra
    return "live" if isinstance(extra, dict) and extra.get("reload") == "live" else "restart"


def is_secret(field: FieldInfo) -> bool:
    """Whether the setting's value must never be shown, nor be given in the file itself."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("secret"))

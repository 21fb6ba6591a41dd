"""What settings must be to one another, as two tables of small pure functions; asked by the loader.

A rule names the settings it reads: it is not asked while one of them is itself mistaken. It answers a reason, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import ip_address

from longwatch.config import idle, policies
from longwatch.config.schema import Settings
from longwatch.domain.order_life.patience import AUCTION_CUT_OFF
from longwatch.domain.triggers import Anchor, EveryTrigger, SessionTrigger, parse_trigger

Reason = str | None
Paths = Sequence[tuple[str | int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: the settings it reads, the first being the one to blame, and its judgement."""

    reads: tuple[str, ...]
    judge: Callable[[Settings], Reason]


def broken(rules: Iterable[Rule], settings: Settings, mistaken: Paths = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each broken rule as the path it blames, below `trading`, and its reason."""
    for rule in rules:
        paths = [tuple(name.split(".")) for name in rule.reads]
        if not any(_overlap(path, other) for path in paths for other in mistaken):
            reason = rule.judge(settings)
            if reason is not None:
                yield paths[0], reason


def _overlap(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


_PROVIDERS: Mapping[str, tuple[str, ...]] = {"backtest": ("csv",), "paper": ("ib",), "live": ("ib",)}
_EXECUTORS: Mapping[str, tuple[str, ...]] = {"backtest": ("mock",), "paper": ("ib_paper", "mock"), "live": ("ib_live",)}
_USUAL_PORTS: Mapping[str, tuple[int, ...]] = {"paper": (4002, 7497), "live": (4001, 7496)}


def _provider_fits(s: Settings) -> Reason:
    return _fits(s.mode, s.data_provider, _PROVIDERS[s.mode])


def _executor_fits(s: Settings) -> Reason:
    return _fits(s.mode, s.executor, _EXECUTORS[s.mode])


def _fits(mode: str, found: str, fitting: tuple[str, ...]) -> Reason:
    return None if found in fitting else f'"{found}" does not go with mode {mode}; use {" or ".join(fitting)}'


def _paper_account_given(s: Settings) -> Reason:
    missing = (s.mode, s.executor) == ("paper", "ib_paper") and s.execution.paper_account is None
    return "must be given for the executor ib_paper; write the account's id, like DU123456" if missing else None


def _paper_account_is_paper(s: Settings) -> Reason:
    account = s.execution.paper_account
    wrong = account is not None and not account.startswith("D")
    return f"{account} is a live account's id; paper account ids begin with D" if wrong else None


def _live_account_is_live(s: Settings) -> Reason:
    account = s.execution.live_account
    wrong = account is not None and account.startswith("D")
    return f"{account} is a paper account's id; live account ids do not begin with D" if wrong else None


def _live_account_given(s: Settings) -> Reason:
    missing = s.mode == "live" and s.execution.live_account is None
    return "must be given in mode live; write the live account's id, like U123456" if missing else None


def _live_is_armed(s: Settings) -> Reason:
    wanted, confirmed = s.execution.live_account, s.execution.confirm_live_account
    if s.mode != "live" or wanted is None or confirmed == wanted:
        return None
    found = "nothing" if confirmed is None else confirmed
    return f"found {found}; mode live must be armed by repeating live_account, {wanted}, here"


def _delayed_data_is_paper(s: Settings) -> Reason:
    delayed = s.mode == "live" and s.ib.market_data_type in (3, 4)
    return "delayed data is for paper only; use 1 or 2 in mode live" if delayed else None


def _live_keeps_real_time(s: Settings) -> Reason:
    wrong = s.mode == "live" and s.clock.source != "system"
    return f'"{s.clock.source}" follows a simulated gateway; use system in mode live' if wrong else None


def _speed_needs_gateway(s: Settings) -> Reason:
    wrong = s.clock.source == "system" and s.clock.speed != 1
    return (
        f"the system's clock runs at speed 1, found {s.clock.speed:g}; another needs source gateway" if wrong else None
    )


def _backoff_grows(s: Settings) -> Reason:
    first, most = s.ib.backoff_initial_seconds, s.ib.backoff_max_seconds
    return None if first <= most else f"{first:g} is above backoff_max_seconds, {most:g}; make it smaller"


def _account_outlives_reconciling(s: Settings) -> Reason:
    """A reading that is too old before the next one comes would shut the order gate for no reason, again and again."""
    age, reconcile = s.ib.account_age_seconds, parse_trigger(s.schedule.reconcile.trigger)
    every = reconcile.every.total_seconds() if isinstance(reconcile, EveryTrigger) else 0.0
    if age > every:
        return None
    return f"{age:g} is not above the {every:g} s between reconciliations; raise it, or reconcile more often"


def _rest_reaches_the_auction(s: Settings) -> Reason:
    """Cancelled later than the auction's cut-off, the rest would have nowhere to go."""
    minutes, cut_off = s.execution.at_close_minutes, AUCTION_CUT_OFF.total_seconds() / 60
    if s.execution.at_close != "moc" or minutes > cut_off:
        return None
    return f"{minutes:g} is too late for the auction, which takes orders until {cut_off:g} before the close; raise it"


def _sizes_leave_room(s: Settings) -> Reason:
    least, most = s.execution.min_order_size, s.execution.max_position_size
    return None if least <= most else f"{least} is above max_position_size, {most}; nothing could ever be bought"


def _order_values_leave_room(s: Settings) -> Reason:
    least, most = s.execution.min_order_value, s.risk.max_order_value
    return None if least <= most else f"{least} is above risk.max_order_value, {most}; nothing could ever be bought"


def _lots_leave_room(s: Settings) -> Reason:
    lot, position, order = s.sizing.lot_size, s.execution.max_position_size, s.risk.max_order_shares
    if lot <= min(position, order):
        return None
    name = "execution.max_position_size" if position < lot else "risk.max_order_shares"
    return f"{lot} is above {name}, {min(position, order)}; nothing could ever be bought"


def _net_within_gross(s: Settings) -> Reason:
    net, gross = s.risk.max_net_exposure, s.risk.max_gross_exposure
    return None if net <= gross else f"{net} is above max_gross_exposure, {gross}; net exposure can't exceed gross"


def _strategy_names_differ(s: Settings) -> Reason:
    names = [strategy.name for strategy in s.strategies]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f'two strategies are called "{twice}"; rename one'


def _allocations_fit(s: Settings) -> Reason:
    total = sum((strategy.allocation for strategy in s.strategies if strategy.enabled), Decimal(0))
    return None if total <= 1 else f"the allocations of enabled strategies add up to {total}; make it at most 1"


def _group_names_differ(s: Settings) -> Reason:
    names = [group.name for group in s.risk.groups]
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f'two groups are called "{twice}"; rename one'


def _volume_can_be_known(s: Settings) -> Reason:
    bars, sessions = s.data.history_bars, s.data.volume_sessions
    if s.risk.max_volume_fraction is None or bars >= sessions:
        return None
    return f"{bars} bars have no average volume of data.volume_sessions, {sessions}; nothing could ever be bought"


def _figures_can_be_known(s: Settings) -> Reason:
    """A size that is never known is never traded."""
    data = s.data
    needed = {"volatility": data.volatility_half_life_sessions, "portfolio": data.volatility_half_life_sessions}
    # Where stops have a rule that needs no bars, that is what a size goes by.
    needed["risk"] = 0 if s.stops.is_on and s.stops.atr_multiple is None else data.atr_sessions
    asked = [(one.name, one.sizing_method or s.sizing.method) for one in s.strategies if one.enabled]
    for strategy, method in asked:
        if data.history_bars <= needed.get(method, 0):
            return (
                f"{data.history_bars} bars are too few to size {strategy} by {method}; {needed[method] + 1} are needed"
            )
    return None


def _own_figures_are_used(s: Settings) -> Reason:
    """Where a strategy goes by the general method, a figure of its own that the method does not know."""
    for one in s.strategies:
        figures = (("target_volatility", one.target_volatility, TARGETED), ("risk_fraction", one.risk_fraction, RISKED))
        for name, value, methods in figures:
            if value is not None and one.sizing_method is None and s.sizing.method not in methods:
                return f"{name} of {one.name} is not used by sizing.method {s.sizing.method}; take it out"
    return None


TARGETED, RISKED = ("volatility", "portfolio"), ("risk",)


MISTAKES: tuple[Rule, ...] = (
    Rule(reads=("data_provider", "mode"), judge=_provider_fits),
    Rule(reads=("executor", "mode"), judge=_executor_fits),
    Rule(reads=("execution.paper_account", "executor", "mode"), judge=_paper_account_given),
    Rule(reads=("execution.paper_account",), judge=_paper_account_is_paper),
    Rule(reads=("execution.live_account",), judge=_live_account_is_live),
    Rule(reads=("execution.live_account", "mode"), judge=_live_account_given),
    Rule(reads=("execution.confirm_live_account", "execution.live_account", "mode"), judge=_live_is_armed),
    Rule(reads=("ib.market_data_type", "mode"), judge=_delayed_data_is_paper),
    Rule(reads=("clock.source", "mode"), judge=_live_keeps_real_time),
    Rule(reads=("clock.speed", "clock.source"), judge=_speed_needs_gateway),
    Rule(reads=("ib.backoff_initial_seconds", "ib.backoff_max_seconds"), judge=_backoff_grows),
    Rule(reads=("ib.account_age_seconds", "schedule.reconcile.trigger"), judge=_account_outlives_reconciling),
    Rule(reads=("execution.at_close_minutes", "execution.at_close"), judge=_rest_reaches_the_auction),
    Rule(reads=("execution.replacements", "execution.working_seconds"), judge=policies.replacements_have_a_cause),
    Rule(
        reads=("execution.working_seconds", "execution.acknowledge_seconds"),
        judge=policies.time_to_work_outlasts_the_answer,
    ),
    Rule(reads=("execution.order_type", "calendar"), judge=policies.auction_there_is),
    Rule(reads=("schedule.rebalance.trigger", "execution.order_type"), judge=policies.auction_is_reached),
    Rule(reads=("execution.at_close", "execution.tif", "calendar"), judge=policies.rest_may_go_to_the_auction),
    Rule(reads=("execution.min_order_size", "execution.max_position_size"), judge=_sizes_leave_room),
    Rule(reads=("execution.min_order_value", "risk.max_order_value"), judge=_order_values_leave_room),
    Rule(reads=("sizing.lot_size", "execution.max_position_size", "risk.max_order_shares"), judge=_lots_leave_room),
    Rule(reads=("risk.max_net_exposure", "risk.max_gross_exposure"), judge=_net_within_gross),
    Rule(reads=("strategies",), judge=_strategy_names_differ),
    Rule(reads=("strategies",), judge=_allocations_fit),
    Rule(reads=("risk.groups",), judge=_group_names_differ),
    Rule(reads=("strategies", "sizing.method"), judge=_own_figures_are_used),
    Rule(
        reads=(
            "data.history_bars",
            "data.volatility_half_life_sessions",
            "data.atr_sessions",
            "sizing.method",
            "strategies",
            "stops.fraction",
            "stops.atr_multiple",
        ),
        judge=_figures_can_be_known,
    ),
    Rule(reads=("data.history_bars", "data.volume_sessions", "risk.max_volume_fraction"), judge=_volume_can_be_known),
    *(Rule(reads=reads, judge=judge) for reads, judge in idle.WRONG),
)


def _port_is_usual(s: Settings) -> Reason:
    usual = _USUAL_PORTS.get(s.mode, ())
    unusual = bool(usual) and s.ib.port not in usual
    return f"{s.ib.port} is unusual in mode {s.mode}, {' or '.join(map(str, usual))} is usual" if unusual else None


def _http_stays_home(s: Settings) -> Reason:
    host = s.ops.http_host
    return None if host == "localhost" or _is_loopback(host) else f"{host} lets other machines read this daemon's state"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _something_runs(s: Settings) -> Reason:
    return None if any(strategy.enabled for strategy in s.strategies) else "no strategy is enabled, nothing is traded"


BOTH_SIDES = 2
"""Gross exposure of what was to be sold and of what is bought for it, where a whole account is turned over."""


def _rotations_take_two_days(s: Settings) -> Reason:
    """Sales in an auction make no room before it, and after it there is no auction left to buy in.

    At worst no sale fills and every purchase does: the whole account twice.
    """
    kind, most = s.execution.order_type, s.risk.max_gross_exposure
    if kind not in ("MOC", "LOC") or most >= BOTH_SIDES:
        return None
    room = f"what risk.max_gross_exposure, {most}, leaves no room for beside it is bought at a later session's"
    return f"{kind} sells at one close; {room}, and {BOTH_SIDES} leaves room for all"


SESSION_MINUTES = 390.0
"""A whole session in New York: 9:30 to 16:00."""


def _orders_outlive_their_decision(s: Settings) -> Reason:
    """What is decided so near the close that it is to be cancelled by then is cancelled with the next reading."""
    minutes, trigger = s.execution.at_close_minutes, parse_trigger(s.schedule.rebalance.trigger)
    before = SESSION_MINUTES
    if isinstance(trigger, SessionTrigger):
        whole = SESSION_MINUTES if trigger.anchor is Anchor.OPEN else 0.0
        before = whole - trigger.offset.total_seconds() / 60
    if s.execution.at_close != "cancel" or not 0 < before <= minutes:
        return None
    return f"orders of the rebalance, {before:g} minutes before the close, would be cancelled at once; make it smaller"


def _leverage_is_reached(s: Settings) -> Reason:
    most, gross = s.sizing.max_leverage, s.risk.max_gross_exposure
    methods = {one.sizing_method or s.sizing.method for one in s.strategies if one.enabled}
    return f"{most} is cut to risk.max_gross_exposure, {gross}" if most > gross and methods != {"weights"} else None


WARNINGS: tuple[Rule, ...] = (
    Rule(reads=("sizing.max_leverage", "risk.max_gross_exposure", "strategies"), judge=_leverage_is_reached),
    Rule(reads=("ib.port", "mode"), judge=_port_is_usual),
    Rule(reads=("ops.http_host",), judge=_http_stays_home),
    Rule(reads=("strategies",), judge=_something_runs),
    Rule(reads=("execution.order_type", "risk.max_gross_exposure"), judge=_rotations_take_two_days),
    Rule(
        reads=("execution.at_close_minutes", "execution.at_close", "schedule.rebalance.trigger"),
        judge=_orders_outlive_their_decision,
    ),
    *(Rule(reads=reads, judge=judge) for reads, judge in idle.ODD),
)

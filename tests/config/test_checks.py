"""What settings must be to one another."""

from __future__ import annotations

from decimal import Decimal

import pytest

from longwatch.config import checks
from longwatch.config.load import parse
from longwatch.config.mistakes import ConfigErrors
from longwatch.config.schema import Settings, every_setting

PAPER = {"mode": "paper", "data_provider": "ib", "executor": "ib_paper", "execution.paper_account": "DU123456"}
REBALANCE = "schedule.rebalance.trigger"
LIVE = {
    "mode": "live",
    "data_provider": "ib",
    "executor": "ib_live",
    "ib.port": "4001",
    "execution.live_account": "U123456",
    "execution.confirm_live_account": "U123456",
}


def judged(*layers: dict[str, str]) -> list[str]:
    """The mistakes of settings given one a line, without their place; the last layer wins, `-` leaves one out."""
    merged = {name: value for layer in layers for name, value in layer.items()}
    environ = {f"LONGWATCH_{k.upper().replace('.', '__')}": v for k, v in merged.items() if v != "-"}
    try:
        return list(parse("trading: {}", name="f", environ=environ).warnings)
    except ConfigErrors as errors:
        return [
            f"{mistake.key.removeprefix('trading.')}: {mistake.text}; {mistake.hint}" for mistake in errors.mistakes
        ]


def test_each_mode_has_its_providers_and_executors() -> None:
    """The matrix of modes, whole: every combination that is not in it is refused by name."""
    fitting = {
        ("backtest", "csv", "mock"),
        ("paper", "ib", "ib_paper"),
        ("paper", "ib", "mock"),
        ("live", "ib", "ib_live"),
    }
    found = set()
    for mode in ("backtest", "paper", "live"):
        for provider in ("csv", "ib", "yahoo"):
            for executor in ("mock", "ib_paper", "ib_live"):
                chosen = {"mode": mode, "data_provider": provider, "executor": executor, "ib.port": "4001"}
                said = judged(PAPER, LIVE, chosen)
                if not any("does not go with mode" in line for line in said):
                    found.add((mode, provider, executor))
    assert found == fitting


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            (PAPER, {"execution.paper_account": "-"}),
            "execution.paper_account: must be given for the executor ib_paper; write the account's id, like DU123456",
        ),
        (
            (PAPER, {"execution.paper_account": "U123456"}),
            "execution.paper_account: U123456 is a live account's id; paper account ids begin with D",
        ),
        (
            (LIVE, {"execution.live_account": "DU123456", "execution.confirm_live_account": "DU123456"}),
            "execution.live_account: DU123456 is a paper account's id; live account ids do not begin with D",
        ),
        (
            (LIVE, {"execution.live_account": "-"}),
            "execution.live_account: must be given in mode live; write the live account's id, like U123456",
        ),
        (
            (LIVE, {"execution.confirm_live_account": "-"}),
            "execution.confirm_live_account: found nothing; mode live must be armed by repeating "
            "live_account, U123456, here",
        ),
        (
            (LIVE, {"execution.confirm_live_account": "U654321"}),
            "execution.confirm_live_account: found U654321; mode live must be armed by repeating "
            "live_account, U123456, here",
        ),
        (
            (LIVE, {"ib.market_data_type": "3"}),
            "ib.market_data_type: delayed data is for paper only; use 1 or 2 in mode live",
        ),
        (
            (LIVE, {"clock.source": "gateway"}),
            'clock.source: "gateway" follows a simulated gateway; use system in mode live',
        ),
        (
            ({"clock.speed": "60"},),
            "clock.speed: the system's clock runs at speed 1, found 60; another needs source gateway",
        ),
        (
            ({"ib.backoff_initial_seconds": "90"},),
            "ib.backoff_initial_seconds: 90 is above backoff_max_seconds, 60; make it smaller",
        ),
        (
            ({"ib.account_age_seconds": "300", "schedule.reconcile.trigger": "every 5 min during the session"},),
            "ib.account_age_seconds: 300 is not above the 300 s between reconciliations; "
            "raise it, or reconcile more often",
        ),
        (
            (PAPER, {"execution.at_close": "moc", "execution.at_close_minutes": "10"}),
            "execution.at_close_minutes: 10 is too late for the auction, "
            "which takes orders until 10.5 before the close; raise it",
        ),
        (
            ({"execution.min_order_size": "20000"},),
            "execution.min_order_size: 20000 is above max_position_size, 10000; nothing could ever be bought",
        ),
        (
            ({"execution.min_order_value": "200000"},),
            "execution.min_order_value: 200000 is above risk.max_order_value, 100000; nothing could ever be bought",
        ),
        (
            ({"risk.max_net_exposure": "2"},),
            "risk.max_net_exposure: 2 is above max_gross_exposure, 1.0; net exposure can't exceed gross",
        ),
        (
            ({"strategies": '[{"name":"a","path":"a.py:A"},{"name":"a","path":"b.py:B","allocation":0}]'},),
            'strategies: two strategies are called "a"; rename one',
        ),
        (
            ({"strategies": '[{"name":"a","path":"a.py:A"},{"name":"b","path":"b.py:B","allocation":0.1}]'},),
            "strategies: the allocations of enabled strategies add up to 1.1; make it at most 1",
        ),
        (
            ({"risk.groups": str([{"name": "a", "symbols": ["X"], "max_weight": 0.1}] * 2).replace("'", '"')},),
            'risk.groups: two groups are called "a"; rename one',
        ),
        (
            ({"data.volume_sessions": "500"},),
            "data.history_bars: 400 bars have no average volume of data.volume_sessions, 500; nothing could ever be "
            "bought",
        ),
        (
            ({"sizing.lot_size": "20000", "risk.max_order_shares": "50000"},),
            "sizing.lot_size: 20000 is above execution.max_position_size, 10000; nothing could ever be bought",
        ),
        (
            ({"sizing.method": "volatility", "data.volatility_half_life_sessions": "400"},),
            "data.history_bars: 400 bars are too few to size momentum by volatility; 401 are needed",
        ),
        (
            ({"sizing.method": "portfolio", "data.volatility_half_life_sessions": "500"},),
            "data.history_bars: 400 bars are too few to size momentum by portfolio; 501 are needed",
        ),
        (
            ({"sizing.method": "risk", "data.atr_sessions": "400"},),
            "data.history_bars: 400 bars are too few to size momentum by risk; 401 are needed",
        ),
    ],
)
def test_each_rule_refuses_alone(layers: tuple[dict[str, str], ...], said: str) -> None:
    """One contradiction, one line; the first part says what is wrong and the second what to do."""
    assert judged(*layers) == [said]


def test_every_rule_is_shown_above() -> None:
    """A rule without a case here, or below, would be a rule nobody has seen refuse."""
    assert len(checks.MISTAKES) == 2 + 21 + 5 + 5


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        (
            (PAPER, {"ib.port": "7496"}),
            "LONGWATCH_IB__PORT: trading.ib.port: 7496 is unusual in mode paper, 4002 or 7497 is usual",
        ),
        (
            (LIVE, {"ib.port": "4002"}),
            "LONGWATCH_IB__PORT: trading.ib.port: 4002 is unusual in mode live, 4001 or 7496 is usual",
        ),
        (
            ({"ops.http_host": "0.0.0.0"},),
            "LONGWATCH_OPS__HTTP_HOST: trading.ops.http_host: 0.0.0.0 lets other machines read this daemon's state",
        ),
        (
            ({"strategies": "[]"},),
            "LONGWATCH_STRATEGIES: trading.strategies: no strategy is enabled, nothing is traded",
        ),
        (
            (PAPER, {"execution.order_type": "MOC"}),
            "LONGWATCH_EXECUTION__ORDER_TYPE: trading.execution.order_type: MOC sells at one close; "
            "what risk.max_gross_exposure, 1.0, leaves no room for beside it is bought at a later session's, "
            "and 2 leaves room for all",
        ),
        *(
            (
                (PAPER, {"execution.at_close": "cancel", "execution.at_close_minutes": minutes, REBALANCE: trigger}),
                f"LONGWATCH_EXECUTION__AT_CLOSE_MINUTES: trading.execution.at_close_minutes: orders of the rebalance, "
                f"{before} minutes before the close, would be cancelled at once; make it smaller",
            )
            for minutes, trigger, before in (
                ("390", "5 minutes after the open", "385"),
                ("15", "10 minutes before the close", "10"),
                ("390", "every 30 min during the session", "390"),
            )
        ),
    ],
)
def test_what_is_odd_is_a_warning_and_no_mistake(layers: tuple[dict[str, str], ...], said: str) -> None:
    """An unusual port, a page open to the network, nothing to run."""
    assert judged(*layers) == [said]


def test_an_armed_live_file_and_a_dry_run_pass_without_a_warning() -> None:
    """The two keys are the mode and the repeated account; a dry run needs no account; "
    "delayed data is paper's choice."""
    assert judged(LIVE) == []
    assert judged({"mode": "paper", "data_provider": "ib", "executor": "mock", "ib.market_data_type": "3"}) == []


def test_an_account_reading_may_be_any_age_where_reconciling_has_no_interval() -> None:
    """Before and after a session, or once a day, nothing says how old the last reading will be."""
    for trigger in ("15 minutes before the close", "16:00 America/New_York"):
        assert judged({"ib.account_age_seconds": "1", "schedule.reconcile.trigger": trigger}) == []
    assert judged({"ib.account_age_seconds": "301", "schedule.reconcile.trigger": "every 5 min"}) == []


def test_a_trigger_that_cannot_be_read_is_one_mistake() -> None:
    """The rule that reads it too is not asked."""
    (said,) = judged({"schedule.reconcile.trigger": "every 5 fortnights"})
    assert said.startswith("schedule.reconcile.trigger: the trigger ")


def test_rules_read_settings_that_exist() -> None:
    """A rule's names are the schema's names."""
    names = {".".join(path) for path, _ in every_setting()}
    assert {name for rule in (*checks.MISTAKES, *checks.WARNINGS) for name in rule.reads} <= names


def test_a_rule_is_not_asked_while_a_setting_it_reads_is_mistaken() -> None:
    """A misspelt mode is one mistake, not three."""
    assert [line.split(":")[0] for line in judged(PAPER, {"mode": "papr"})] == ["mode"]
    assert list(checks.broken(checks.MISTAKES, Settings(mode="live"), [("mode",)])) == []


@pytest.mark.parametrize(
    "settings",
    [
        {"sizing.method": "volatility", "data.volatility_half_life_sessions": "399"},
        {"sizing.method": "risk", "data.atr_sessions": "399"},
        {"sizing.method": "risk", "data.atr_sessions": "500", "stops.fraction": "0.08"},
        {"sizing.method": "weights", "data.atr_sessions": "500", "data.volatility_half_life_sessions": "500"},
    ],
)
def test_a_size_that_can_be_known_is_no_mistake(settings: dict[str, str]) -> None:
    """Just enough bars; a stop that needs none; a method that needs none."""
    assert judged(settings) == []


STRATEGY = """trading:
  mode: backtest
  {sizing}
  strategies:
    - name: momentum
      path: longwatch.strategies.momentum:Momentum
      {own}
"""


@pytest.mark.parametrize(
    ("sizing", "own", "said"),
    [
        (
            "sizing: {method: risk}",
            "target_volatility: 0.2",
            "f:4: trading.strategies: target_volatility of momentum is not used by sizing.method risk; take it out",
        ),
        (
            "sizing: {method: volatility}",
            "risk_fraction: 0.01",
            "f:4: trading.strategies: risk_fraction of momentum is not used by sizing.method volatility; take it out",
        ),
        (
            "sizing: {method: volatility}",
            "{sizing_method: weights, target_volatility: 0.2}",
            "f:8: trading.strategies[0].target_volatility: is not used by sizing_method weights; "
            "take it out, or use volatility or portfolio",
        ),
        (
            "sizing: {method: risk}",
            "{sizing_method: portfolio, risk_fraction: 0.2}",
            "f:8: trading.strategies[0].risk_fraction: is not used by sizing_method portfolio; "
            "take it out, or use risk",
        ),
        (
            "sizing: {volatility_floor: 0}",
            "enabled: true",
            "f:3: trading.sizing.volatility_floor: must be above 0, found 0",
        ),
        (
            "sizing: {method: kelly}",
            "enabled: true",
            "f:3: trading.sizing.method: must be 'weights', 'volatility', 'portfolio' or 'risk', found \"kelly\"",
        ),
    ],
)
def test_sizing_that_contradicts_itself_is_refused_by_line(sizing: str, own: str, said: str) -> None:
    """Each with the line to change, and what to do."""
    own = "\n      ".join(part.strip() for part in own.strip("{}").split(","))
    with pytest.raises(ConfigErrors) as caught:
        parse(STRATEGY.format(sizing=sizing, own=own), name="f", environ={})
    assert caught.value.lines() == [said]


def test_figures_of_a_strategys_own_are_taken_beside_the_method_that_uses_them() -> None:
    """Its own method, or the general one."""
    for sizing, own, taken in [
        ("sizing: {method: portfolio}", "target_volatility: 0.2", ("portfolio", None, Decimal("0.2"), None)),
        ("sizing: {method: risk}", "risk_fraction: 0.01", ("risk", None, None, Decimal("0.01"))),
        (
            "sizing: {}",
            "sizing_method: volatility\n      target_volatility: 0.2",
            ("weights", "volatility", Decimal("0.2"), None),
        ),
    ]:
        settings = parse(STRATEGY.format(sizing=sizing, own=own), name="f", environ={}).settings
        (one,) = settings.strategies
        assert (settings.sizing.method, one.sizing_method, one.target_volatility, one.risk_fraction) == taken


def test_leverage_that_a_limit_cuts_is_worth_a_word() -> None:
    """Only where a method is in use that knows leverage."""
    (said,) = judged({"sizing.method": "risk", "sizing.max_leverage": "2"})
    assert "2 is cut to risk.max_gross_exposure, 1.0" in said
    assert judged({"sizing.max_leverage": "2"}) == []


@pytest.mark.parametrize(
    ("settings", "blamed", "says"),
    [
        ({"execution.replacements": "3"}, "execution.replacements", "without effect"),
        ({"execution.working_seconds": "10"}, "execution.working_seconds", "not above acknowledge_seconds"),
        ({"execution.order_type": "MOC", REBALANCE: "5 minutes before the close"}, REBALANCE, "comes later"),
        ({"execution.order_type": "LOC", REBALANCE: "10 minutes before the close"}, REBALANCE, "comes later"),
        ({"execution.order_type": "MOC", REBALANCE: "20 minutes after the close"}, REBALANCE, "comes later"),
        ({"execution.at_close": "moc", "execution.tif": "GTC"}, "execution.at_close", "tif is GTC"),
        ({"execution.at_close": "moc", "calendar": "24/7"}, "execution.at_close", "has none"),
        ({"execution.order_type": "MOC", "calendar": "24/7"}, "execution.order_type", "has none"),
    ],
)
def test_policies_that_contradict_each_other_are_mistakes(settings: dict[str, str], blamed: str, says: str) -> None:
    """Each would be silently without effect; one sentence says which, and what to do."""
    (told,) = [line for line in judged(PAPER, settings) if line.startswith(f"{blamed}: ")]
    assert says in told


@pytest.mark.parametrize(
    "settings",
    [
        {"execution.replacements": "3", "execution.working_seconds": "60"},
        {"execution.working_seconds": "10.5"},
        {"execution.order_type": "MOC", REBALANCE: "11 minutes before the close"},
        {"execution.order_type": "MOC", REBALANCE: "5 minutes after the open"},
        {"execution.order_type": "LMT", REBALANCE: "5 minutes before the close"},
        {"execution.at_close": "moc"},
        {"calendar": "24/7"},
    ],
)
def test_policies_that_go_together_are_none(settings: dict[str, str]) -> None:
    """The same, just as far as they make sense."""
    words = ("without effect", "not above", "comes later", "GTC", "has none")
    assert [line for line in judged(PAPER, settings) if any(word in line for word in words)] == []


def test_a_lot_above_the_largest_order_leaves_nothing_to_order_either() -> None:
    """Of both limits the one that is passed is named; a lot as large as both is fine."""
    (said,) = judged({"sizing.lot_size": "500", "risk.max_order_shares": "400"})
    assert said == "sizing.lot_size: 500 is above risk.max_order_shares, 400; nothing could ever be bought"
    assert judged({"sizing.lot_size": "10000"}) == []


RULES = [
    ("stops: {trails: true}", "stops.trails: no stop trails without a distance; give stops.fraction or stops.amount"),
    (
        "stops: {fraction: 0.05, instruments: {AAPL: {}}}",
        "stops.instruments: the rule of AAPL has no distance; give it a fraction or an amount",
    ),
    (
        "strategies: [{name: a, path: a.py:A, stop: {trails: true}}]",
        "strategies: the stop of a has no distance; give it a fraction or an amount",
    ),
    (
        "stops: {attached: true}",
        "stops.attached: no entry leaves with a stop where no rule asks for one; give stops.fraction or stops.amount",
    ),
    (
        "ops: {halt_file: ./var/j.sqlite}\n  journal: {path: var/../var/j.sqlite}",
        "ops.halt_file: var/j.sqlite is the journal, which is always there; name another file",
    ),
]


@pytest.mark.parametrize(("text", "said"), RULES)
def test_a_rule_without_effect_is_refused_by_line(text: str, said: str) -> None:
    """A stop without a distance protects nothing; a halt file that is the journal halts for ever."""
    with pytest.raises(ConfigErrors) as caught:
        parse(f"trading:\n  {text}\n", name="f", environ={})
    (line,) = caught.value.lines()
    assert line.startswith(f"f:2: trading.{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "data: {atr_sessions: 400}\n  stops: {fraction: 0.08, atr_multiple: 3}",
            "data.atr_sessions: 400 needs more than data.history_bars, 400: every stop by atr_multiple goes by its "
            "fraction",
        ),
        ("risk: {max_orders_per_minute: 0}", "risk.max_orders_per_minute: 0 lets no order leave"),
        ("holds: {daily_loss: 0}", "holds.daily_loss: 0 holds at the first cent that is lost"),
        ("risk: {price_band_fraction: 0}", "risk.price_band_fraction: 0 refuses every price but the decision's own"),
        (
            "execution: {limit_offset_bps: 900}\n  risk: {price_band_fraction: 0.05}",
            "execution.limit_offset_bps: 900 bps reach beyond risk.price_band_fraction, 0.05: such orders are refused",
        ),
        (
            "sizing: {no_trade_band_weight: 0.9}",
            "sizing.no_trade_band_weight: 0.9 is above risk.max_weight, 0.15: no holding is ever opened",
        ),
        (
            "sizing: {min_trade_value: 2000000}",
            "sizing.min_trade_value: 2000000 is above risk.max_order_value, 100000: nothing is ever bought",
        ),
        (
            "risk: {max_gross_exposure: 0, max_net_exposure: 0}",
            "risk.max_gross_exposure: 0 allows no holding",
        ),
        ("sizing: {cash_reserve_fraction: 1}", "sizing.cash_reserve_fraction: 1 keeps all of the capital in cash"),
        (
            "risk: {allow_short: true}\n  account_limits: {kind: cash}",
            "risk.allow_short: a cash account, as account_limits.kind says this is, can't be short",
        ),
    ],
)
def test_what_leaves_nothing_to_trade_is_worth_a_word(text: str, said: str) -> None:
    """Somebody may mean it, so it is a warning, with its line."""
    (line,) = parse(f"trading:\n  {text}\n", name="f", environ={}).warnings
    assert line.startswith(f"f:2: trading.{said}")


@pytest.mark.parametrize(
    "text",
    [
        "data: {atr_sessions: 399}\n  stops: {fraction: 0.08, atr_multiple: 3}",
        "data: {atr_sessions: 400}\n  stops: {fraction: 0.08}",
        "stops: {fraction: 0.05, trails: true, instruments: {AAPL: {amount: 1}}}",
        "execution: {limit_offset_bps: 499}\n  risk: {price_band_fraction: 0.05}",
        "sizing: {no_trade_band_weight: 0.15, min_trade_value: 100000, cash_reserve_fraction: 0.99}",
        "risk: {allow_short: true}",
        "holds: {daily_loss: null}",
        "ops: {halt_file: var/HALT}",
    ],
)
def test_what_just_leaves_something_to_trade_is_not(text: str) -> None:
    """The same, at the edge."""
    assert list(parse(f"trading:\n  {text}\n", name="f", environ={}).warnings) == []

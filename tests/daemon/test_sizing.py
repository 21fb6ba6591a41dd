"""Sizing in a whole daemon: figures measured at its refresh, methods, leverage, the floor, buffers."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

from longwatch.domain import messages as m
from tests.daemon.bench import Scene, on_bench, plan

D = Decimal
SHORT = {"volatility_half_life_sessions": 5, "atr_sessions": 5}
BOTH = [plan({"AAPL": 0.4, "IBM": 0.4})]


def first_targets(tmp_path: Path, sizing: dict[str, Any], **trading: Any) -> tuple[list[m.TargetSized], m.DataJudged]:
    """What the first rebalance tells of its targets, and the verdict on the bars that it went by."""
    seen: list[tuple[list[m.TargetSized], m.DataJudged]] = []

    async def story(scene: Scene) -> None:
        scene.start()
        await scene.until(lambda: scene.facts(m.RebalanceDecided), what="the first rebalance")
        seen.append((scene.facts(m.TargetSized), scene.facts(m.DataJudged)[-1]))
        assert {order.symbol for order in scene.orders()} == {fact.symbol for fact in seen[0][0]}

    on_bench(story, tmp_path, {"data": SHORT, "sizing": sizing, "strategies": BOTH} | trading)
    return seen[0]


def test_volatility_is_measured_at_the_refresh_and_sized_by(tmp_path: Path) -> None:
    """Weight x target / volatility, with the figure of the very bars that were judged."""
    targets, verdict = first_targets(tmp_path, {"method": "volatility", "target_volatility": 0.1})
    measured = {row.symbol: row.volatility for row in verdict.judged}
    assert len(targets) == 2
    for fact in targets:
        (part,) = fact.parts
        assert part.volatility == measured[fact.symbol]
        assert part.volatility is not None
        assert part.scaled == (D("0.4") * D("0.1") / part.volatility).quantize(D("0.000001"), ROUND_DOWN)
        assert fact.shares == (part.sized * fact.equity / fact.price).to_integral_value(ROUND_DOWN)


def test_leverage_is_cut_to_its_limit(tmp_path: Path) -> None:
    """A target of 200 % is far beyond: everything is cut to half of the capital together."""
    targets, _ = first_targets(tmp_path, {"method": "volatility", "target_volatility": 2, "max_leverage": 0.5})
    assert all(part.leverage < 1 for fact in targets for part in fact.parts)
    assert D("0.49999") < sum((fact.weight for fact in targets), D(0)) <= D("0.5")


def test_a_quiet_instrument_counts_as_the_floor(tmp_path: Path) -> None:
    """With a floor of 100 % both are sized by it: 0.4 x 0.2."""
    targets, _ = first_targets(
        tmp_path, {"method": "volatility", "target_volatility": 0.2, "volatility_floor": 1, "max_leverage": 1}
    )
    assert [(part.volatility, part.scaled) for fact in targets for part in fact.parts] == [(1, D("0.08"))] * 2


def test_a_buffer_is_entered_at_its_nearer_edge(tmp_path: Path) -> None:
    """From nothing, nine tenths of the target are bought, and no more."""
    targets, _ = first_targets(tmp_path, {"buffer_fraction": 0.1})
    for fact in targets:
        assert fact.low == fact.shares * D("0.9")
        assert fact.trade == fact.low.to_integral_value(ROUND_DOWN)


def test_risk_is_taken_at_the_stop_that_is_placed(tmp_path: Path) -> None:
    """At 8 % away 1 % of the capital is an eighth of it; the stop then rests at the broker just there."""
    targets, _ = first_targets(tmp_path, {"method": "risk", "risk_fraction": 0.01}, stops={"fraction": 0.08})
    assert [part.scaled for fact in targets for part in fact.parts] == [D("0.125")] * 2
    assert [part.stop_distance for fact in targets for part in fact.parts] == [
        fact.price * D("0.08") for fact in targets
    ]

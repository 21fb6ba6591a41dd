"""The caps that weights share: each against hand-worked numbers, and none broken by another."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain.portfolio.weights import Caps, Cut, capped, over

D = Decimal
OPEN = Caps(allow_short=True, max_weight=D(10), max_net=D(10), max_gross=D(10))
NAMES = ("AAA", "BBB", "CCC", "DDD")


def caps(**changes: Any) -> Caps:
    return replace(OPEN, **changes)


def fractions(least: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(least, most).map(lambda n: D(n) / 1000)


weights = st.dictionaries(st.sampled_from(NAMES), fractions(-2000, 2000))
groups = st.lists(
    st.tuples(
        st.just("g"), st.lists(st.sampled_from((*NAMES, "ZZZ")), min_size=1, unique=True).map(tuple), fractions(0, 1500)
    ),
    max_size=3,
).map(tuple)
any_caps = st.builds(
    Caps,
    allow_short=st.booleans(),
    max_weight=fractions(0, 1000),
    groups=groups,
    max_net=fractions(0, 2000),
    max_gross=fractions(0, 3000),
)


def test_within_the_caps_nothing_is_cut() -> None:
    """Just at every limit is within it."""
    wanted = {"AAA": D("0.4"), "BBB": D("-0.2"), "CCC": D(0)}
    tight = caps(max_weight=D("0.4"), groups=(("g", ("AAA", "BBB"), D("0.6")),), max_net=D("0.2"), max_gross=D("0.6"))
    assert capped(wanted, tight) == (wanted, {})


def test_a_short_position_is_nothing_where_none_is_allowed() -> None:
    """Cut to zero, and to nothing else."""
    found, cuts = capped({"AAA": D("-0.4")}, caps(allow_short=False, max_weight=D("0.1")))
    assert found == {"AAA": 0}
    assert cuts == {"AAA": (Cut(check="long_only", before=D("-0.4"), after=D(0), observed=D("-0.4"), limit=D(0)),)}


@pytest.mark.parametrize("sign", [1, -1])
def test_a_weight_is_cut_to_the_largest(sign: int) -> None:
    """On its own side of zero."""
    found, cuts = capped({"AAA": sign * D("0.4"), "BBB": D("0.1")}, caps(max_weight=D("0.15")))
    assert found == {"AAA": sign * D("0.15"), "BBB": D("0.1")}
    cut = Cut(
        check="max_weight", before=sign * D("0.4"), after=sign * D("0.15"), observed=sign * D("0.4"), limit=D("0.15")
    )
    assert cuts == {"AAA": (cut,)}


def test_a_group_is_scaled_alike() -> None:
    """0.3 and -0.1 come to 0.4, twice the cap: both are halved; who is not in it, or weighs nothing, is left."""
    wanted = {"AAA": D("0.3"), "BBB": D("-0.1"), "CCC": D("0.5"), "DDD": D(0)}
    found, cuts = capped(wanted, caps(groups=(("tech", ("AAA", "BBB", "DDD", "ZZZ"), D("0.2")),)))
    assert found == {"AAA": D("0.15"), "BBB": D("-0.05"), "CCC": D("0.5"), "DDD": 0}
    assert cuts["AAA"] == (
        Cut(check="max_group_weight", before=D("0.3"), after=D("0.15"), observed=D("0.4"), limit=D("0.2")),
    )
    assert cuts.keys() == {"AAA", "BBB"}


def test_a_symbol_in_two_groups_keeps_to_both() -> None:
    """The second finds what the first has left."""
    two = (("one", ("AAA", "BBB"), D("0.4")), ("two", ("BBB", "CCC"), D("0.3")))
    found, cuts = capped({"AAA": D("0.4"), "BBB": D("0.4"), "CCC": D("0.4")}, caps(groups=two))
    assert found == {"AAA": D("0.2"), "BBB": D("0.1"), "CCC": D("0.2")}
    assert [cut.observed for cut in cuts["BBB"]] == [D("0.8"), D("0.6")]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_heavier_side_is_scaled_to_the_largest_net(sign: int) -> None:
    """0.9 against 0.3 is 0.6 net; with 0.5 beside the 0.3 may be 0.8: both of the heavy side by 8/9."""
    wanted = {"AAA": sign * D("0.45"), "BBB": sign * D("0.45"), "CCC": -sign * D("0.3")}
    found, cuts = capped(wanted, caps(max_net=D("0.5")))
    assert found == {"AAA": sign * D("0.4"), "BBB": sign * D("0.4"), "CCC": -sign * D("0.3")}
    cut = Cut(
        check="max_net_exposure", before=sign * D("0.45"), after=sign * D("0.4"), observed=D("0.6"), limit=D("0.5")
    )
    assert cuts == {"AAA": (cut,), "BBB": (cut,)}


def test_all_are_scaled_to_the_largest_gross() -> None:
    """0.8 and -0.4 are 1.2; a cap of 0.6 halves both."""
    found, cuts = capped({"AAA": D("0.8"), "BBB": D("-0.4"), "CCC": D(0)}, caps(max_gross=D("0.6")))
    assert found == {"AAA": D("0.4"), "BBB": D("-0.2"), "CCC": 0}
    assert cuts["BBB"] == (
        Cut(check="max_gross_exposure", before=D("-0.4"), after=D("-0.2"), observed=D("1.2"), limit=D("0.6")),
    )
    assert cuts.keys() == {"AAA", "BBB"}


def test_what_is_scaled_is_rounded_towards_zero() -> None:
    """A third of 1: at 1e-9, so that the sum is never above the cap."""
    found, _ = capped({"AAA": D(1), "BBB": D(1), "CCC": D(-1)}, caps(max_gross=D(1)))
    assert found == {"AAA": D("0.333333333"), "BBB": D("0.333333333"), "CCC": D("-0.333333333")}


def test_cuts_of_several_caps_are_told_in_their_order() -> None:
    """Each begins where the one before has ended."""
    found, cuts = capped(
        {"AAA": D("0.5"), "BBB": D("0.2")},
        caps(max_weight=D("0.4"), groups=(("g", ("AAA",), D("0.3")),), max_net=D("0.4"), max_gross=D("0.2")),
    )
    assert [cut.check for cut in cuts["AAA"]] == [
        "max_weight",
        "max_group_weight",
        "max_net_exposure",
        "max_gross_exposure",
    ]
    assert [cut.before for cut in cuts["AAA"]][1:] == [cut.after for cut in cuts["AAA"]][:-1]
    assert cuts["AAA"][-1].after == found["AAA"] == D("0.12")


@given(weights, any_caps)
def test_no_cap_is_broken_when_all_have_cut(wanted: dict[str, Decimal], limits: Caps) -> None:
    """Long only, weight, every group, net and gross, whatever they are; signs are kept, and nothing has grown."""
    found, cuts = capped(wanted, limits)
    assert found.keys() == wanted.keys()
    for symbol, weight in found.items():
        assert weight * wanted[symbol] >= 0
        assert abs(weight) <= min(abs(wanted[symbol]), limits.max_weight)
        assert limits.allow_short or weight >= 0
        assert (symbol in cuts) == (weight != wanted[symbol])
    for _, symbols, limit in limits.groups:
        assert sum(abs(found.get(symbol, D(0))) for symbol in symbols) <= limit
    assert sum(map(abs, found.values())) <= limits.max_gross
    # Each weight of the lighter side may have lost a step by the rounding of the gross cap.
    assert abs(sum(found.values(), D(0))) <= limits.max_net + len(found) * D("1e-9")


@given(weights, any_caps)
def test_a_cut_tells_a_smaller_weight_and_what_was_passed(wanted: dict[str, Decimal], limits: Caps) -> None:
    """From the weight as it was wanted, step by step, to what is left of it."""
    found, cuts = capped(wanted, limits)
    for symbol, steps in cuts.items():
        assert steps[0].before == wanted[symbol]
        assert steps[-1].after == found[symbol]
        for step in steps:
            assert abs(step.after) < abs(step.before)
            assert abs(step.observed) > step.limit
        assert all(former.after == later.before for former, later in pairwise(steps))


@given(weights, any_caps)
def test_caps_that_hold_already_cut_nothing(wanted: dict[str, Decimal], limits: Caps) -> None:
    """What has been capped once is within the caps; net is apart, where rounding may have taken from a hedge."""
    found, _ = capped(wanted, limits)
    again, _ = capped(found, replace(limits, max_net=limits.max_net + D("1e-6")))
    assert again == found


def test_whose_positions_are_beyond_a_cap_together() -> None:
    """All of a group over its cap, or everybody over the gross one; at the cap is not over it."""
    values = {"AAA": D(300), "BBB": D(-100), "CCC": D(200)}
    group = (("g", ("AAA", "BBB", "ZZZ"), D("0.4")),)
    assert set(over(values, caps(groups=group), D(1000))) == set()
    assert set(over(values, caps(groups=group), D(999))) == {"AAA", "BBB", "ZZZ"}
    assert set(over(values, caps(max_gross=D("0.6")), D(1000))) == set()
    assert set(over(values, caps(max_gross=D("0.6")), D(999))) == {"AAA", "BBB", "CCC"}

"""Whatever order an order's messages come in, and whichever are lost: no end is claimed that is not so at the gateway.

Of each story, every order of every choice of at most MOST of its messages and a reset of the link is told, by `make
proof`; here a seeded slice of them. Longer tellings, with duplicates and of orders side by side, are seeded in both.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from longwatch.gateway.conduct import Conduct
from tests.domain import stories
from tests.domain.stories import REVISED, SINGLE, D, Stage
from tests.domain.telling import (
    Again,
    Daemon,
    Letter,
    Reset,
    core,
    daemon_of,
    every_telling,
    letters,
    sent,
    tell,
    tellings_of,
)
from tests.domain.world import World

IS_PROOF = os.environ.get("HYPOTHESIS_PROFILE") == "proof"
MOST, MANY = 6, 9
"""Letters of a telling in the whole enumeration; one less of an alphabet of more than so many."""
SHORT, SLICE = 2, 30
"""In CI every telling of so many letters, and so many longer ones of each story."""
LONG, SEVERAL, EACH = (400, 300, 60) if IS_PROOF else (10, 10, 10)
"""Seeded tellings of each story; stories of several orders, and tellings of each."""
DOUBTED = 15
"""Of each story, to count how many leave a doubt."""


@cache
def played(name: str) -> tuple[World, tuple[Stage, ...]]:
    """One of the stories of a single order, once."""
    script, config = SINGLE[name]
    world = sent(cancel="cancelled" in name)
    return world, stories.told(script, world.order(1), **({"at": world.now} | config))


def daemon_and_alphabet(name: str) -> tuple[Daemon, list[Letter]]:
    world, stages = played(name)
    return daemon_of(world, stages), [*core(stages), Reset()]


def most_of(alphabet: Sequence[Letter]) -> int:
    return MOST if len(alphabet) <= MANY else MOST - 1


def text_of(told: Sequence[Letter]) -> str:
    return "; ".join(" ".join(map(str, (type(one).__name__, *_details(one)))) for one in told)


def _details(letter: Letter) -> list[object]:
    names = ("status", "filled", "exec_id", "quantity", "code", "order_id", "back")
    return [getattr(letter, name) for name in names if getattr(letter, name, None) not in (None, "")]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SINGLE)
def test_no_order_or_loss_of_up_to_six_messages_makes_the_daemon_claim_what_is_not_so(
    name: str, counted: Callable[[str, int], None]
) -> None:
    """Every choice of that many, in every order, at every prefix; then, after an honest reading, it knows the truth."""
    daemon, alphabet = daemon_and_alphabet(name)
    told, found = 0, []
    for path, why in every_telling(daemon, alphabet, most_of(alphabet) if IS_PROOF else SHORT):
        told += 1
        if why is not None:
            found.append((path, why))
    counted(f"tellings, every one of the story *{name}*", told)
    random = Random(f"{name}|slice")
    for _ in range(0 if IS_PROOF else SLICE):
        path = tuple(random.sample(range(len(alphabet)), min(random.randint(SHORT + 1, MOST), len(alphabet))))
        if (why := tell(daemon.copied(), [alphabet[number] for number in path])) is not None:
            found.append((path, why))
    assert not found, f"{len(found)}: {found[0][1]} after {text_of([alphabet[number] for number in found[0][0]])}"


def a_telling(stages: Sequence[Stage], random: Random) -> list[Letter]:
    """All the messages of a story or most of them, in their order or in any, with duplicates and resets between."""
    share = random.choice((0.4, 0.7, 0.95))
    kept = [one for one in letters(stages) if random.random() < share]
    if random.random() < 0.7:
        random.shuffle(kept)
    told: list[Letter] = []
    for one in kept:
        told.append(one)
        chance = random.random()
        if chance < 0.1:
            told.append(Again(random.randrange(6)))
        elif chance < 0.18:
            told.append(Reset())
    return told


@pytest.mark.parametrize("name", SINGLE)
def test_a_whole_story_in_any_order_with_losses_duplicates_and_resets_ends_in_the_truth(
    name: str, counted: Callable[[str, int], None]
) -> None:
    """Beyond six messages the tellings are drawn from a seed."""
    counted("tellings of whole stories, drawn from seeds", LONG)
    world, stages = played(name)
    for number in range(LONG):
        told = a_telling(stages, Random(f"{name}|{number}"))
        why = tell(daemon_of(world, stages), told)
        assert why is None, f"{number}: {why} after {text_of(told)}"


@pytest.mark.parametrize("name", SINGLE)
def test_a_story_told_as_it_was_leaves_no_doubt(name: str) -> None:
    """Else a daemon that knows nothing, and says so, would be right about every telling."""
    world, stages = played(name)
    daemon = daemon_of(world, stages)
    assert tell(daemon, letters(stages)) is None
    assert not daemon.is_unsure()


def test_doubt_is_the_exception_in_tellings_in_any_order() -> None:
    """Of most the end is known, though much of what was said is lost."""
    unsure = 0
    for name in SINGLE:
        world, stages = played(name)
        for number in range(DOUBTED):
            daemon = daemon_of(world, stages)
            tell(daemon, a_telling(stages, Random(f"{name}|{number}")))
            unsure += daemon.is_unsure()
    assert unsure <= len(SINGLE) * DOUBTED * 0.15


@pytest.mark.parametrize("seed", range(SEVERAL))
def test_orders_side_by_side_are_told_apart_whatever_order_their_messages_come_in(
    seed: int, counted: Callable[[str, int], None]
) -> None:
    """Up to three, two of them in one instrument, each to an end of its own on one gateway."""
    counted("tellings of orders side by side, drawn from seeds", EACH)
    random = Random(f"{seed}|several")
    world = sent(random.choice((1, 2, 3, 3)), cancel=random.random() < 0.4)
    share, conduct = random.choice(("0.25", "0.003", "0.002")), random.choice((REVISED, Conduct()))
    stages = stories.told(
        stories.several, *world.state.orders.values(), at=world.now, seed=seed, volume_share=D(share), conduct=conduct
    )
    for number in range(EACH):
        told = a_telling(stages, Random(f"{seed}|{number}"))
        why = tell(daemon_of(world, stages), told)
        assert why is None, f"{number}: {why} after {text_of(told)}"


# ── the tellings themselves ─────────────────────────────────────────────────────────────────────────────────────────


ENDS = {
    ("filled",): (
        *("filled", "filled in parts", "cancelled too late", "corrected", "remarked on", "modified too late"),
        "filled untold",
    ),
    ("expired", "filled"): ("busted", "busted untold"),
    ("cancelled",): (
        *("cancelled", "part filled, then cancelled", "killed", "corrected, then cancelled"),
        "busted, then cancelled",
    ),
    ("cancelled", "rejected"): ("rejected",),
    ("rejected",): ("refused",),
    ("expired",): ("expired", "part filled, then expired"),
    (): ("never arrived",),
}


def test_the_stories_are_what_their_names_say() -> None:
    """At the gateway's own books: the ends, the shares, and an alphabet with every kind of message."""
    ends = {name: sorted(end.value for end in played(name)[1][-1].truths[1].ends) for name in SINGLE}
    assert ends == {name: list(words) for words, names in ENDS.items() for name in names}
    filled = {name: int(played(name)[1][-1].truths[1].filled) for name in SINGLE}
    assert filled["filled in parts"] == filled["filled untold"] == 100
    for name in ("part filled, then cancelled", "killed", "part filled, then expired", "corrected, then cancelled"):
        assert 0 < filled[name] < 100, name
    assert filled["busted, then cancelled"] == filled["cancelled"] == filled["rejected"] == 0
    every = [one for name in SINGLE for one in letters(played(name)[1])]
    rows = [row for name in SINGLE for stage in played(name)[1] for row in stage.download.rows]
    kinds = {m.OpenOrderSeen, m.OrderStatusSeen, m.ExecutionSeen, m.CommissionSeen, m.PositionSeen, m.OrderErrorSeen}
    assert {type(one) for one in every} == kinds
    assert {type(row) for row in rows} >= {m.CompletedOrderSeen, m.ExecutionSeen, m.OpenOrderSeen}
    codes = {one.code for one in every if isinstance(one, m.OrderErrorSeen)}
    assert codes == {104, 110, 201, 202, 399, 404, 10147, 10148, 10349, 11999}


def test_the_whole_enumeration_tells_so_many() -> None:
    """Choices of up to six of each alphabet, in every order; the figure is docs/design.md's."""
    alphabets = [daemon_and_alphabet(name)[1] for name in SINGLE]
    assert sum(tellings_of(len(one), most_of(one)) for one in alphabets) == WHOLE


WHOLE = 457_442


def test_the_oracle_finds_a_wrong_end_a_wrong_quantity_and_a_wrong_price() -> None:
    """Each planted in the state after a true telling."""
    world, stages = played("part filled, then cancelled")
    daemon = daemon_of(world, stages)
    assert tell(daemon, letters(stages)) is None
    order = daemon.state.orders[1]
    wrong = {
        "state": OrderState.FILLED,
        "filled": order.filled + 1,
        "average_price": order.average_price + D("0.01"),
    }
    for name, value in wrong.items():
        other = daemon.copied()
        other.state.orders[1] = replace(order, **{name: value})
        assert other.false_claim() and other.wrong_in_the_end(), name

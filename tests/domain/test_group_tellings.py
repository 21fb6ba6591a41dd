"""A stop and an exit in one OCA group, told in any order with losses: what one fills, the other has no more.

The oracle is the gateway's ledger, as in test_tellings.py, and here it says what is left of each order as well: nothing
is ever thought to have less left than it has, and in the end just that is known. What the daemon would place, or
modify, while it is told does not leave: the story is of the orders that were sent before it began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from random import Random

import pytest

from longwatch.domain import messages as m
from longwatch.domain.order_life import evidence
from longwatch.domain.orders import OrderState, Purpose
from longwatch.domain.settings import StopRule
from tests.domain import stories
from tests.domain.stories import GROUPS, Stage
from tests.domain.telling import Daemon, Letter, Reset, core, daemon_of, every_telling, letters, tell, tellings_of
from tests.domain.test_tellings import IS_PROOF, LONG, SHORT, SLICE, a_telling, text_of
from tests.domain.world import CON_IDS, SETTINGS, YESTERDAY, World, judged

D = Decimal
S = OrderState
STOP, EXIT = 1, 2
DOUBTED = 15


def most_of(alphabet: list[Letter]) -> int:
    """Letters of a telling in the whole enumeration: of more than eleven one less, which are as many tellings."""
    return 5 if len(alphabet) <= 11 else 4


def sent() -> World:
    """200 AAA of the account adopted, bought at 100; a stop at 99.60 and an exit of 100 handed to the transport."""
    world = World(settings=replace(SETTINGS, adopt_existing=True))
    world.positions, world.costs = {CON_IDS["AAA"]: D(200)}, {CON_IDS["AAA"]: D(100)}
    world.start()
    world.connect()
    world.hear(m.DataRefreshed, run_id="refresh@1", session=YESTERDAY.date, judged=tuple(map(judged, CON_IDS)))
    world.wait(90)
    world.snapshot()
    world.hear(m.ClockSeen, skew_seconds=0.1)
    with_stops = replace(world.settings, stop=StopRule(fraction=D("0.004")))
    world.hear(m.ConfigLoaded, settings=with_stops, sha256="with stops")
    world.handed(STOP)
    assert world.one(AAA="0.1") == EXIT
    world.handed(EXIT)
    stop, sale = world.order(STOP), world.order(EXIT)
    assert (stop.purpose, sale.purpose, stop.oca_group) == (Purpose.STOP, Purpose.REDUCE, sale.oca_group)
    return world


@cache
def played(name: str) -> tuple[World, tuple[Stage, ...]]:
    script, config = GROUPS[name]
    world = sent()
    return world, stories.told(script, *world.state.orders.values(), **config)


def daemon_and_alphabet(name: str) -> tuple[Daemon, list[Letter]]:
    world, stages = played(name)
    return daemon_of(world, stages), [*core(stages), Reset()]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", GROUPS)
def test_no_order_or_loss_of_messages_makes_the_daemon_misjudge_what_a_group_has_left(
    name: str, counted: Callable[[str, int], None]
) -> None:
    """Every choice of so many, in every order, at every prefix; then, after an honest reading, it knows the truth."""
    daemon, alphabet = daemon_and_alphabet(name)
    told, found = 0, []
    for path, why in every_telling(daemon, alphabet, most_of(alphabet) if IS_PROOF else SHORT):
        told += 1
        if why is not None:
            found.append((path, why))
    counted(f"tellings, every one of the story of a stop and an exit, *{name}*", told)
    random = Random(f"{name}|slice")
    for _ in range(0 if IS_PROOF else SLICE):
        path = tuple(random.sample(range(len(alphabet)), random.randint(SHORT + 1, 6)))
        if (why := tell(daemon.copied(), [alphabet[number] for number in path])) is not None:
            found.append((path, why))
    assert not found, f"{len(found)}: {found[0][1]} after {text_of([alphabet[number] for number in found[0][0]])}"


@pytest.mark.parametrize("name", GROUPS)
def test_a_groups_story_in_any_order_with_losses_duplicates_and_resets_ends_in_the_truth(
    name: str, counted: Callable[[str, int], None]
) -> None:
    """All of its messages, or most; told as it was, it leaves no doubt, and told otherwise hardly ever one."""
    counted("tellings of whole stories of a stop and an exit, drawn from seeds", LONG)
    world, stages = played(name)
    daemon = daemon_of(world, stages)
    assert tell(daemon, letters(stages)) is None and not daemon.is_unsure()
    unsure = 0
    for number in range(LONG):
        daemon, told = daemon_of(world, stages), a_telling(stages, Random(f"{name}|{number}"))
        why = tell(daemon, told)
        assert why is None, f"{number}: {why} after {text_of(told)}"
        unsure += daemon.is_unsure()
    assert unsure <= LONG * 0.2


# ── the stories themselves ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_stories_of_a_group_are_what_their_names_say() -> None:
    """At the gateway's own books: who filled how much, what is left of whom, and in what way each ended."""
    ends = {name: played(name)[1][-1].truths for name in GROUPS}
    told = {
        name: [([end.value for end in truths[one].ends], int(truths[one].filled)) for one in (STOP, EXIT)]
        for name, truths in ends.items()
    }
    part = int(ends["the exit filled in part, then cancelled"][EXIT].filled)
    before = int(ends["the exit filled in part, then stopped out"][EXIT].filled)
    after = int(ends["the exit filled in part, then stopped out"][STOP].filled)
    assert told == {
        "the exit filled": [(["cancelled"], 0), (["filled"], 100)],
        "the exit filled in part, then cancelled": [([], 0), (["cancelled"], part)],
        "the exit filled in part, then stopped out": [(["filled"], after), (["cancelled"], before)],
        "stopped out": [(["filled"], 200), (["cancelled"], 0)],
    }
    assert 0 < part < 100 and 0 < before < 100 and after == 200 - 2 * before
    assert ends["the exit filled in part, then cancelled"][STOP].left == 200 - 2 * part


def test_the_tellings_find_a_daemon_that_forgets_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that waits for all 200 of a stop whose group has traded never hears that it is over."""
    monkeypatch.setattr(evidence, "has_traded", lambda *_: False)
    daemon, _ = daemon_and_alphabet("the exit filled in part, then stopped out")
    assert "is expired in the end; in truth filled" in str(tell(daemon, []))


def test_the_oracle_finds_an_order_that_is_thought_to_have_less_left_than_it_has() -> None:
    """Planted after a true telling; too much left is a mistake as well, once everything has been read."""
    world, stages = played("the exit filled in part, then cancelled")
    daemon = daemon_of(world, stages)
    assert tell(daemon, letters(stages)) is None
    stop = daemon.state.orders[STOP]
    daemon.state.orders[STOP] = replace(stop, quantity=stop.quantity - 1)
    assert "is thought to have" in str(daemon.false_claim())
    daemon.state.orders[STOP] = replace(stop, quantity=stop.quantity + 1)
    assert daemon.false_claim() is None and "left in the end" in str(daemon.wrong_in_the_end())


def test_the_whole_enumeration_of_groups_tells_so_many() -> None:
    """Choices of up to five, or four, of each alphabet, in every order."""
    alphabets = [daemon_and_alphabet(name)[1] for name in GROUPS]
    assert [tellings_of(len(one), most_of(one)) for one in alphabets] == [36_101, 13_345, 19_046, 36_101]

"""Recovery is the fold of the journal: the same state, from any prefix, in any process, under any later code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import DECIDERS
from longwatch.domain.state import _FOLDS, State, canonical, evolve, fingerprint
from longwatch.journal.codec import EVENTS, FACTS, facts_of, recover
from tests.domain.golden import EVERY, NEWEST, meaning, records_in
from tests.domain.play import A_DAY, Play, played, plays


class Watched(Play):
    """A play that notes the fingerprint after every event, beside the number of records by then."""

    def take(self, event: m.Event):
        step = Play.take(self, event)
        self.seen.append((len(self.records), fingerprint(self.state)))
        return step


def watched(acts) -> Watched:
    play = Watched()
    play.seen = []
    return played(acts, play)  # type: ignore[return-value]


def test_the_rule_books_are_total() -> None:
    """Every event has a decider and every fact a fold."""
    assert set(DECIDERS) == set(EVENTS.values())
    assert set(_FOLDS) == set(FACTS.values())


@settings(max_examples=30)
@given(plays)
def test_the_fold_of_any_prefix_is_the_state_of_that_moment(acts) -> None:
    """Event after event, the state made anew from the records is the state that lived."""
    play = watched(acts)
    state, done = State(), 0
    for count, lived in play.seen:
        for fact in facts_of(play.records[done:count]):
            evolve(state, fact)
        done = count
        assert fingerprint(state) == lived


@settings(max_examples=30)
@given(plays, st.integers(0, 10_000))
def test_a_killed_process_recovers_what_the_next_one_then_continues(acts, cut) -> None:
    """A recovered state decides as the lived one does: the rest of the play has the same records."""
    at = cut % (len(acts) + 1)
    whole = played(acts)
    half = played(acts[:at])
    half.state = recover(half.records)
    for name, number in acts[at:]:
        half.act(name, number)
    assert half.records == whole.records
    assert fingerprint(half.state) == fingerprint(whole.state)


def test_a_fingerprint_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    """Two processes with different seeds, one state."""
    code = (
        "from tests.domain.play import A_DAY, played\n"
        "from longwatch.domain.state import fingerprint\n"
        "from longwatch.journal.records import digest\n"
        "play = played(A_DAY)\n"
        "print(fingerprint(play.state), digest(play.records))\n"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "daemon")])
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=tmp_path,
        ).stdout
        for seed in ("1", "2")
    }
    play = played(A_DAY)
    assert len(told) == 1
    assert told.pop().split()[0] == fingerprint(play.state)


def test_a_fingerprint_does_not_depend_on_insertion_order() -> None:
    """Dictionaries are sorted before they are told."""
    one, other = played(A_DAY).state, played(A_DAY).state
    for spec in fields(other):
        value = getattr(other, spec.name)
        if isinstance(value, dict):
            setattr(other, spec.name, dict(reversed(value.items())))
    assert fingerprint(one) == fingerprint(other)


def test_a_fingerprint_sees_every_field() -> None:
    """A state that differs in one value of one order is another state."""
    play = played(A_DAY)
    former = fingerprint(play.state)
    intent = next(iter(play.state.orders))
    play.state.orders[intent] = replace(play.state.orders[intent], handed=not play.state.orders[intent].handed)
    assert fingerprint(play.state) != former
    told = {spec.name for spec in fields(State)}
    assert len(told) == len(fields(State))
    assert canonical({"b": 1, "a": (2, None)}) == "{'a':[2,None],'b':1}"


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_a_golden_journal_still_means_what_it_meant(path: Path) -> None:
    """Written once and never again: orders, book, quarantines, ids and verbs come out as they did."""
    told = json.loads(path.with_suffix(".json").read_text())
    assert json.loads(json.dumps(meaning(recover(records_in(path))))) == told["meaning"]


def test_the_newest_golden_journal_folds_to_its_fingerprint() -> None:
    """To the last field. A field that is added with a default changes this, and nothing else may: see golden.py."""
    told = json.loads(NEWEST.with_suffix(".json").read_text())
    assert fingerprint(recover(records_in(NEWEST))) == told["fingerprint"]


def test_the_newest_golden_journal_has_every_kind_of_fact() -> None:
    """What is not in it is not protected by it; older ones have the kinds there were."""
    assert {record.kind for record in records_in(NEWEST)} >= set(FACTS)

"""Which refusals say that the account may not trade an instrument, and what is held and told then."""

from __future__ import annotations

import pytest

from longwatch.domain import messages as m
from longwatch.domain.reconciliation.causes import Cause
from longwatch.domain.risk.permissions import CODES, PHRASES, is_about_permission, refused
from longwatch.domain.state import State
from tests.domain.test_exposure import order, quarantined
from tests.domain.world import START


@pytest.mark.parametrize("code", sorted(CODES))
def test_codes_that_speak_of_nothing_else_need_no_words(code: int) -> None:
    assert is_about_permission(code, "")


@pytest.mark.parametrize("phrase", PHRASES)
def test_another_code_speaks_of_it_in_words(phrase: str) -> None:
    """In capitals or not, and at either end of the text."""
    word = phrase.strip()
    for text in (f"no {word} today", f"NO {word.upper()} TODAY", word, f"no {word}", f"{word} missing"):
        assert is_about_permission(201, text)


@pytest.mark.parametrize("text", ["", "the price is not in line", "kidding aside", "a stupid kidney"])
def test_other_refusals_are_none(text: str) -> None:
    """A word within another is not the word."""
    assert not is_about_permission(201, text)


def error(code: int, text: str) -> m.OrderErrorSeen:
    return m.OrderErrorSeen(at=START, tech=START, order_id=1, code=code, text=text, verdict="rejected")


def test_the_instrument_is_held_with_the_brokers_words() -> None:
    """Until a person says that the account may trade it by now; a person is told at once."""
    said = "no trading permission for this contract"
    reason = f"not permitted to this account: {said} (201)"
    until = "`longwatch unquarantine BBB`, once the account may trade it"
    assert list(refused(State(), order(con_id=2, symbol="BBB"), error(201, said))) == [
        m.QuarantineSet(con_id=2, symbol="BBB", reason=reason, tech=START, cause=Cause.NOT_PERMITTED),
        m.RaiseAlert(
            key="not_permitted", text=f"BBB: {reason}; no new orders in it until: {until}", severity="critical"
        ),
    ]


def test_another_refusal_or_one_in_what_is_held_already_changes_nothing() -> None:
    """Another's quarantine keeps no instrument's own away."""
    assert list(refused(State(), order(), error(201, "the price is not in line"))) == []
    assert list(refused(quarantined(State()), order(), error(203, ""))) == []
    assert len(list(refused(quarantined(State(), con_id=2), order(), error(203, "")))) == 2

"""The auditor's books are the ledger's, also of an account to which much is done; a planted difference is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from longwatch.gateway import wording
from longwatch.gateway.conduct import Conduct
from longwatch.gateway.events import EVENTS, Event
from longwatch.gateway.faults import Faults
from longwatch.gateway.session import Session
from longwatch.gateway.streams.rows import MadeOf
from longwatch.simulation.audit import Unheard, books_agree, fee_unheard, fill_unheard
from longwatch.simulation.evidence import Evidence
from longwatch.simulation.plan import Incident
from longwatch.simulation.scenery import scenery
from longwatch.simulation.simulate import Asked, simulated

Row = Callable[[], dict[str, Any]]

SEED, DAYS = 2, 3
HELD, OTHER = "SIMA", "SIMB"


@cache
def opens() -> tuple[Any, ...]:
    return tuple(session.open_at for session in scenery(SEED, DAYS, Path("unused")).sessions)


def at(day: int, minutes: float) -> Any:
    return opens()[day] + timedelta(minutes=minutes)


def much() -> tuple[tuple[Any, Event], ...]:
    """Every kind of event, in shares that the daemon trades and that it does not."""
    return (
        (at(0, 60), Event(kind="transfer", symbol=HELD, quantity=Decimal(321), price=Decimal(40))),
        (at(0, 70), Event(kind="cash", amount=Decimal("-1234.56"))),
        (at(0, 80), Event(kind="assignment", symbol=OTHER, quantity=Decimal(-55), price=Decimal("33.10"))),
        (at(0, 90), Event(kind="trade", symbol=HELD, quantity=Decimal(15))),
        (at(0, 100), Event(kind="liquidation", symbol=HELD, quantity=Decimal(20))),
        (at(0, 110), Event(kind="split", symbol=HELD, ratio="3/2")),
        (at(0, 111), Event(kind="split", symbol=OTHER, ratio="1/7")),
        (at(0, 112), Event(kind="dividend", symbol=HELD, amount=Decimal("0.37"))),
        (at(1, 60), Event(kind="expiry")),
        (at(1, 70), Event(kind="correction", symbol=HELD, price=Decimal("25.00"))),
        (at(1, 80), Event(kind="trade", symbol=OTHER, quantity=Decimal(40))),
        (at(1, 97), Event(kind="bust", symbol=OTHER)),
        (at(1, 99), Event(kind="trade", symbol=OTHER, quantity=Decimal(60))),
    )


def audited(**asked: Any) -> Evidence:
    return simulated(Asked(**{"seed": SEED, "days": DAYS, "faults": "none", "guards": False} | asked)).evidence


def found(evidence: Evidence) -> list[str]:
    return [text for _, text in books_agree(evidence)]


def test_an_account_to_which_everything_is_done_is_audited_to_the_cent() -> None:
    """Transfers, splits, assignment, liquidation, trades by hand, correction and bust, beside its own trades."""
    evidence = audited(events=much())
    assert {event.kind for _, event in much()} == EVENTS.keys()
    happened = {one.event.kind for one in evidence.events}
    assert happened == EVENTS.keys() - {"trade", "liquidation", "expiry"}
    assert found(evidence) == []
    (held,) = evidence.accounts.values()
    assert held.cash != held.opening
    assert len(evidence.fills) > 10


def test_splits_and_dividends_of_a_made_up_market_are_audited_too() -> None:
    """The daemon holds shares through them, and faults happen beside: cash and shares agree."""
    evidence = audited(days=10, weather="all", faults="some")
    assert {"split", "dividend"} <= {one.event.kind for one in evidence.events}
    assert found(evidence) == []


def test_a_daemon_in_such_an_account_leaves_alone_what_it_can_not_explain() -> None:
    """Nothing is too much for it; the shares that others moved are quarantined and not ordered again, others are."""
    outcome = simulated(Asked(seed=SEED, days=DAYS, faults="none", guards=False, events=much()))
    evidence = outcome.evidence
    kept = {"one order an intent", "nothing undigested", "settled by its deadline", "ready when sending", "books agree"}
    assert [one for one in outcome.broken if one.invariant in kept] == []
    first = min(row.at for row in evidence.facts("QuarantineSet"))
    quarantined = {row.body["con_id"] for row in evidence.facts("QuarantineSet")}
    held = {order.symbol: order.con_id for order in (*evidence.orders, *evidence.others.orders)}
    assert quarantined >= {held[HELD], held[OTHER]}
    later = {seen.values["symbol"] for seen in evidence.placed if seen.at > first + timedelta(hours=1)}
    assert later
    assert not later & {HELD, OTHER}


@pytest.mark.parametrize("kind", ["transfer", "cash", "assignment", "split", "bust"])
def test_an_event_that_the_auditor_is_not_told_of_is_a_difference(kind: str) -> None:
    """Each kind moves the books: without it they do not agree."""
    evidence = audited(events=much())
    silent = replace(evidence, events=tuple(one for one in evidence.events if one.event.kind != kind))
    assert found(silent)


def a_share_more(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "shares": values["shares"] + 1}


def a_cent_dearer(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "price": values["price"] + Decimal("0.01")}


@pytest.mark.parametrize(("plant", "words"), [(a_share_more, "shares, the ledger has"), (a_cent_dearer, "to cash")])
def test_a_fill_told_otherwise_than_it_is_booked_is_named_with_both_figures(
    plant: Callable[[dict[str, Any]], dict[str, Any]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = wording.exec_details
    monkeypatch.setattr(wording, "exec_details", lambda *given, **other: plant(right(*given, **other)))
    assert any(words in text for text in found(audited(days=2)))


def keep_back(patch: pytest.MonkeyPatch, name: str, is_meant: Callable[[dict[str, Any]], bool]) -> None:
    """The gateway never sends some messages, and no fault of a plan says so."""
    pack = Session.pack

    def packed(session: Session, said: str, values: dict[str, Any]) -> bytes | None:
        return None if said == name and is_meant(values) else pack(session, said, values)

    send_row = Session.send_row

    def sent(session: Session, said: str, of: object, made_of: MadeOf, values: Row, **number: int) -> None:
        if said != name or not is_meant(values()):
            send_row(session, said, of, made_of, values, **number)

    patch.setattr(Session, "pack", packed)
    patch.setattr(Session, "send_row", sent)


def test_a_commission_that_nobody_tells_and_no_fault_explains_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that forgets to tell one, live and asked for, is found out."""
    keep_back(monkeypatch, "commissionReport", lambda values: values["execId"].endswith("3.01.01"))
    told = found(audited(days=2))
    assert any(text.startswith("the commission") and "never arrived, and nothing explains it" in text for text in told)


def test_a_fill_that_nobody_tells_and_no_fault_explains_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway keeps fills to itself, and no fault of the plan says so."""
    keep_back(monkeypatch, "execDetails", lambda values: values["execId"].endswith("3.01.01"))
    told = found(audited(days=2))
    assert any(text.startswith("fill") and "never arrived, and nothing explains it" in text for text in told)


@pytest.mark.parametrize(
    ("incident", "reason"),
    [
        (Incident(at=at(0, 1), fault="lose_fill", after="order", count=1), Unheard.LOST_FILL),
        (Incident(at=at(0, 1), fault="restart", after="order", wait=0.8, seconds=200.0), Unheard.FORGOTTEN),
    ],
)
def test_what_a_fault_has_swallowed_is_accounted_for_by_its_name(incident: Incident, reason: Unheard) -> None:
    """The books agree with the ledger's line in its place, and the fault is the reason given."""
    evidence = audited(script=(incident,))
    fees = {seen.values["execId"] for seen in evidence.frames("commissionReport")}
    missing = [
        fill for fill in (*evidence.fills, *evidence.others.fills) if fill.exec_id not in evidence.heard_ids & fees
    ]
    assert found(evidence) == []
    assert {fill_unheard(evidence, fill) or fee_unheard(evidence, fill) for fill in missing} == {reason}


def test_a_commission_told_without_a_figure_is_accounted_for_by_name() -> None:
    """A sentinel is no sum; told again with the day's executions it is (seed 22, 20 days, all)."""
    script = Incident(at=at(0, 1), fault="unset_figures", part="commissionReport", after="order", count=3)
    whole = audited(script=(script,))
    unset = {seen.values["execId"] for seen in whole.frames("commissionReport") if seen.values["commission"] is None}
    assert len(unset) == 3
    assert found(whole) == []
    only_unset = tuple(
        seen for seen in whole.heard if seen.values.get("execId") not in unset or not seen.values.get("commission")
    )
    evidence = replace(whole, heard=only_unset)
    assert found(evidence) == []
    reasons = {
        fill.exec_id: fee_unheard(evidence, fill)
        for fill in (*evidence.fills, *evidence.others.fills)
        if fill.exec_id in unset
    }
    assert reasons == dict.fromkeys(unset, Unheard.UNSET)


def test_a_commission_told_once_is_missed_only_where_the_connection_was_lost() -> None:
    """At a gateway that does not repeat commissions, the cut one has a name; one dropped beside it has none."""
    script = (Incident(at=at(0, 1), fault="refuse", after="order", wait=0.7, seconds=60.0),)
    evidence = audited(script=script, conduct=Conduct(replays_commissions=False))
    fees = {seen.values["execId"] for seen in evidence.frames("commissionReport")}
    missed = [fill for fill in (*evidence.fills, *evidence.others.fills) if fill.exec_id not in fees]
    assert missed and {fee_unheard(evidence, fill) for fill in missed} == {Unheard.CUT_OFF}
    assert found(evidence) == []
    dropped = max(fees)
    less = tuple(seen for seen in evidence.heard if seen.name != "commissionReport" or seen.values["execId"] != dropped)
    assert any(f"the commission of {dropped} never arrived" in text for text in found(replace(evidence, heard=less)))


def test_a_commission_that_was_lost_and_not_asked_for_is_accounted_for_by_name() -> None:
    """Without any download of executions after them, those a fault kept back are told from those never heard."""
    whole = audited(script=(Incident(at=at(0, 1), fault="lose_commission", after="order", count=3),))
    assert len(whole.lost_commissions) == 3
    assert found(whole) == []
    silent = {"commissionReport", "execDetailsEnd"}
    evidence = replace(whole, heard=tuple(seen for seen in whole.heard if seen.name not in silent))
    reasons = {fill.exec_id: fee_unheard(evidence, fill) for fill in (*evidence.fills, *evidence.others.fills)}
    lost = {exec_id for exec_id, reason in reasons.items() if reason is Unheard.LOST_COMMISSION}
    assert lost == whole.lost_commissions
    assert set(reasons.values()) == {Unheard.LOST_COMMISSION, Unheard.NOT_ASKED}


def test_a_fill_left_out_of_every_answer_before_a_restart_was_forgotten_and_of_all_but_one_was_not() -> None:
    """Seed 12 of twenty days: the one download between a fill and the gateway's restart lacked its row."""
    whole = audited(script=(Incident(at=at(1, 0), fault="restart", seconds=120.0),))
    fill = next(one for one in whole.fills if one.at < at(1, 0))
    asked = [seen.values["reqId"] for seen in whole.frames("execDetailsEnd") if fill.told_at <= seen.at < at(1, 0)]
    assert asked
    assert not whole.was_forgotten(fill)
    assert replace(whole, left_out=frozenset((fill.exec_id, req_id) for req_id in asked)).was_forgotten(fill)
    assert not replace(whole, left_out=frozenset((fill.exec_id, req_id) for req_id in asked[1:])).was_forgotten(fill)


def test_what_a_gateway_left_out_of_an_answer_is_known_by_execution_and_request() -> None:
    """A live execution is never left out; what was stays known when the fault is over."""
    faults = Faults(missing={"execDetails": 1})
    assert faults.lets_pass("execDetails", {"execId": "a.01", "reqId": -1})
    assert not faults.lets_pass("execDetails", {"execId": "a.01", "reqId": 7})
    assert faults.lets_pass("execDetails", {"execId": "a.01", "reqId": 8})
    faults.clear()
    assert faults.left_out == {("a.01", 7)}

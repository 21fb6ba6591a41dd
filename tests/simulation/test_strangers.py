"""Others act in every fifth seed: the daemon sees, counts and leaves alone what is theirs, and is judged by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from functools import cache
from types import SimpleNamespace

import pytest

from longwatch.domain.messages import Difference
from longwatch.domain.order_life import lifecycle
from longwatch.domain.sessions import Session
from longwatch.simulation.evidence import Evidence
from longwatch.simulation.invariants import judge
from longwatch.simulation.life import Life
from longwatch.simulation.simulate import Asked, Outcome, simulated
from longwatch.simulation.strangers import KINDS, Deed, Strangers, deeds

SEED, DAYS = 10, 4
SYMBOLS = ("SIMA", "SIMB", "SIMC")
OPENS = datetime(2007, 1, 3, 14, 30, tzinfo=UTC)
SESSIONS = tuple(
    Session(date=at.date(), open_at=at, close_at=at + timedelta(hours=6.5))
    for at in (OPENS + timedelta(days=day) for day in range(40))
)


@cache
def outcome() -> Outcome:
    return simulated(Asked(seed=SEED, days=DAYS, faults="none", guards=False))


def broken(evidence: Evidence) -> set[str]:
    return {one.invariant for one in judge(evidence)}


def test_every_fifth_seed_has_others_that_do_everything_by_turns() -> None:
    """In its sessions, in order of time; the other seeds' accounts are the daemon's alone."""
    found = deeds(5, SYMBOLS, SESSIONS)
    assert {deed.kind for deed in found} == set(KINDS)
    assert [deed.at for deed in found] == sorted(deed.at for deed in found)
    assert all(any(one.open_at < deed.at < one.close_at for one in SESSIONS) for deed in found)
    assert len({deed.at.date() for deed in found}) == len(SESSIONS)
    assert found == deeds(5, SYMBOLS, SESSIONS) != deeds(10, SYMBOLS, SESSIONS)
    assert not any(deeds(seed, SYMBOLS, SESSIONS) for seed in (1, 2, 3, 4, 6))


def test_what_others_did_is_seen_counted_and_told_apart_by_a_person() -> None:
    """Fills of theirs are heard; what no execution explains is quarantined until somebody has seen the statement."""
    evidence = outcome().evidence
    assert broken(evidence) == set()
    assert len(evidence.others.fills) > 1 and len(evidence.fills) > 10
    assert {one.event.kind for one in evidence.events} & {"transfer", "assignment"}
    said = [row.body["command"] for row in evidence.facts("ControlRequested")]
    assert "unquarantine" in said and "adopt" not in said
    assert {row.body["cause"] for row in evidence.facts("QuarantineSet")} <= {"transfer", "assignment or exercise"}
    assert not evidence.quarantined(evidence.scene.ends)


def without(kind: str) -> Callable[[Evidence], Evidence]:
    return lambda evidence: replace(evidence, rows=tuple(row for row in evidence.rows if row.kind != kind))


def cancels(evidence: Evidence) -> Evidence:
    """An order of somebody else's was cancelled."""
    theirs, model = evidence.others.orders[0], evidence.placed[-1]
    seen = replace(model, name="cancelOrder", values={"orderId": theirs.order_id + 900_000})
    return replace(evidence, written=(*evidence.written, seen))


def cancels_all(evidence: Evidence) -> Evidence:
    return replace(
        evidence, written=(*evidence.written, replace(evidence.placed[-1], name="reqGlobalCancel", values={}))
    )


@pytest.mark.parametrize(
    ("changed", "invariant"),
    [
        (without("OutsideSet"), "others are counted"),
        (without("ForeignOrderSet"), "others are counted"),
        (cancels, "others are left alone"),
        (cancels_all, "others are left alone"),
    ],
    ids=["shares not noted", "orders not noted", "an order cancelled", "every order cancelled"],
)
def test_a_run_in_which_they_are_not_seen_or_are_touched_is_found(
    changed: Callable[[Evidence], Evidence], invariant: str
) -> None:
    assert broken(changed(outcome().evidence)) == {invariant}


def test_the_cancel_of_a_number_that_a_question_was_noted_under_touches_nobody() -> None:
    """Whether the gateway listens is asked so, behind a modification too; a number noted nowhere is found as before."""
    evidence = cancels(outcome().evidence)
    number = evidence.written[-1].values["orderId"]
    body = {"intent": 1, "handed": True, "deadline": None, "asked_as": number}
    noted = replace(evidence.rows[-1], kind="OrderChangeAwaited", body=body)
    assert broken(evidence) == {"others are left alone"}
    assert broken(replace(evidence, rows=(*evidence.rows, noted))) == set()


def test_a_daemon_that_takes_no_note_of_others_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its comparisons find a difference where an execution had explained it, and that is no note of whose it is."""
    monkeypatch.setattr(lifecycle, "foreign", lambda state, event: iter(()))
    assert "others are counted" in broken(simulated(Asked(seed=SEED, days=DAYS, faults="none", guards=False)).evidence)


def test_shares_of_others_count_from_when_they_were_heard_of() -> None:
    """By an execution, or by two comparisons with time between; and not once they are gone."""
    evidence = outcome().evidence
    fill = next(one for one in evidence.others.fills if one.quantity > 0)
    heard = next(seen.at for seen in evidence.frames("execDetails") if seen.values["execId"] == fill.exec_id)
    before = evidence.told.known(fill.con_id, heard)
    assert evidence.told.known(fill.con_id, heard + timedelta(milliseconds=5)) == before + fill.quantity
    brought = next(one for one in evidence.events if one.event.quantity > 0 and one.event.kind == "transfer")
    con_id, quantity = brought.con_id, brought.event.quantity
    assert evidence.told.held(con_id, brought.at) >= quantity
    compared = [row for row in evidence.facts("BookCompared") if row.at > brought.at]
    second = next(row for row in compared if row.tech - compared[0].tech >= timedelta(seconds=10))
    assert evidence.told.known(con_id, second.at - timedelta(milliseconds=1)) < quantity
    assert evidence.told.known(con_id, second.at + timedelta(milliseconds=5)) >= quantity


def test_orders_of_others_count_from_when_they_were_shown() -> None:
    evidence = outcome().evidence
    shown = {seen.values["permId"]: seen.at for seen in reversed(list(evidence.frames("orderStatus")))}
    order = next(one for one in evidence.others.orders if one.is_buy and one.perm_id in shown and not one.fills)
    at = shown[order.perm_id]
    assert evidence.told.buying(order.con_id, at) == 0
    assert evidence.told.buying(order.con_id, at + timedelta(milliseconds=5)) == order.quantity


def test_nobody_gives_what_is_not_theirs() -> None:
    """Who has nothing buys where he would have sold; while the gateway has lost its link nothing is done by it."""
    placed: list[object] = []
    quote = SimpleNamespace(last=D(50), close=D(50))
    holding = SimpleNamespace(quantity=D(30))
    desk = SimpleNamespace(
        now=lambda: OPENS,
        market=SimpleNamespace(find=lambda symbol: SimpleNamespace(con_id=1, symbol=symbol), quote=lambda *_: quote),
        config=SimpleNamespace(accounts=("DU1",)),
        books=lambda account: SimpleNamespace(holdings={1: holding}),
        exchange=SimpleNamespace(
            book=SimpleNamespace(highest=lambda client: 4, live=lambda: ()),
            place=placed.append,
            place_by_hand=placed.append,
        ),
        timeline=SimpleNamespace(at=lambda at, act, *rest: act(*rest)),
    )
    mine = SimpleNamespace(con_id=1, order_ref="lw:1:1", signed=D(25), price=D(50), at=OPENS)
    gateway = SimpleNamespace(
        desk=desk,
        faults=SimpleNamespace(backend_down=False),
        ledger=SimpleNamespace(executions=[mine]),
        events=SimpleNamespace(happened=[]),
    )
    wish = Deed(at=OPENS, kind="other client", symbol="SIMA", quantity=D(5), gives=True, away=0.02)
    more = replace(wish, quantity=D(6), away=None, kind="by hand")
    assert Strangers(gateway, [wish, more]).done == [wish, more]  # type: ignore[arg-type]
    assert [(one.action, one.quantity, one.limit) for one in placed] == [("SELL", 5, 51), ("BUY", 6, None)]  # type: ignore[attr-defined]
    gateway.faults.backend_down = True
    assert Strangers(gateway, [wish]).done == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outside", "account", "theirs", "said"),
    [(7, 695, 0, "unquarantine"), (7, 702, 4, None), (0, 699, 4, "unquarantine"), (0, 694, 0, None)],
)
def test_a_person_says_so_too_when_others_have_taken_away_all_they_had(
    monkeypatch: pytest.MonkeyPatch, outside: int, account: int, theirs: int, said: str | None
) -> None:
    """The statement shows whose shares there are, whatever the difference looks like (seed 85)."""
    monkeypatch.setattr("longwatch.simulation.life.ours", lambda *_: D(695))
    monkeypatch.setattr("longwatch.simulation.life.others", lambda *_: D(theirs))
    gateway = SimpleNamespace(ledger=SimpleNamespace(busted=lambda: []))
    life = SimpleNamespace(_bench=SimpleNamespace(gateway=gateway))
    row = Difference(con_id=1, symbol="SIMA", book=D(695), outside=D(outside), account=D(account))
    assert Life._answer(life, row) == said  # type: ignore[arg-type]

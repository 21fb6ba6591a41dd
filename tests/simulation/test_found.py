"""What seeds of `longwatch simulate` found, each as a short script that shows it; its seed is in the docstring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from longwatch.gateway.events import Event, Happened
from longwatch.simulation.booked import BookedOrder, Fill
from longwatch.simulation.endings import ends_by_evidence
from longwatch.simulation.evidence import END_MARKS, Evidence, Row
from longwatch.simulation.invariants import limits_at_worst
from longwatch.simulation.knowable import is_shut, ready_when_sending
from longwatch.simulation.plan import Incident
from longwatch.simulation.protection import (
    SOON,
    _could_not_act,
    never_short,
    protected_in_time,
    stops_are_for_what_is_held,
)
from longwatch.simulation.scenery import Scenery, scenery
from longwatch.simulation.simulate import Asked, Outcome, simulated, verdict
from longwatch.simulation.tap import Seen
from longwatch.simulation.trouble import Played

SEED, DAYS = 2, 2
"""Twelve symbols, traded once a day; the second day is without faults."""


def scene() -> Scenery:
    return scenery(SEED, DAYS, Path("unused"))


def played(*script: Incident) -> Outcome:
    return simulated(Asked(seed=SEED, days=DAYS, script=script, guards=False))


def test_a_gateway_away_at_the_refresh_does_not_cost_the_next_day() -> None:
    """Bars and targets wait for it up to their latest start (seeds 8 and 68, 4 and 8 days, all)."""
    closed = scene().sessions[0].close_at
    outcome = played(Incident(at=closed - timedelta(hours=1), fault="login_wait", seconds=7000.0))
    assert outcome.broken == (), verdict(outcome)


def test_a_history_that_fails_at_the_refresh_is_asked_for_again() -> None:
    """The backend is away for an hour from the refresh on; a run that got no bars is tried again."""
    closed = scene().sessions[0].close_at
    outcome = played(Incident(at=closed + timedelta(minutes=29), fault="backend", seconds=1860.0, part="kept"))
    ends = [row.body for row in outcome.evidence.facts("JobNoted") if row.body["job"] == "refresh"]
    outcomes = [(body["outcome"], "is tried again" in body["text"]) for body in ends if body["outcome"] != "started"]
    assert ("failed", True) in outcomes
    assert outcome.broken == (), verdict(outcome)


def test_a_difference_is_looked_at_again_without_waiting_for_the_schedule() -> None:
    """Comparisons are a quarter of an hour apart, after the close a night: the second look comes at once (seed 8)."""
    outcome = played(Incident(at=scene().sessions[0].open_at, fault="lose_fill"))
    compared = (row.at for row in outcome.evidence.facts("BookCompared") if row.body["differences"])
    quarantined = next(outcome.evidence.facts("QuarantineSet")).at
    assert quarantined - next(compared) < timedelta(seconds=15)


def test_a_fill_taken_back_before_it_was_heard_does_not_keep_its_order_for_ever() -> None:
    """Told as filled by a gateway whose executions and position have nothing of it (seeds 2 and 4, 6 days, all)."""
    opened = scene().sessions[0].open_at
    outcome = played(
        Incident(at=opened, fault="bust"),
        Incident(at=opened, fault="refuse", after="order", seconds=60.0, wait=0.3),
    )
    (gone,) = outcome.evidence.busted
    assert gone.exec_id not in outcome.evidence.heard_ids
    assert outcome.broken == (), verdict(outcome)


def test_a_purchase_taken_back_takes_no_room_from_then_on_and_may_be_sold_until_that_is_known() -> None:
    """Buys are judged by the shares there are, sells by those the daemon must believe in (seed 10)."""
    outcome = played(Incident(at=scene().sessions[0].open_at, fault="bust"))
    evidence, (gone,) = outcome.evidence, outcome.evidence.busted
    assert gone.quantity > 0 and gone.busted_at is not None
    soon = gone.busted_at + timedelta(milliseconds=1)
    for at, buying, selling in ((gone.at, gone.quantity, gone.quantity), (soon, Decimal(0), gone.quantity)):
        assert evidence.room_taken(gone.con_id, at, is_buy=True) == buying
        assert evidence.room_taken(gone.con_id, at, is_buy=False) == selling
    assert outcome.broken == (), verdict(outcome)


@pytest.mark.parametrize(("resold", "is_broken"), [(0, False), (300, True)])
def test_a_short_that_a_purchase_taken_back_leaves_is_nobodys_sale(resold: int, is_broken: bool) -> None:
    """Bought 900 and 700, sold 1,200, the 700 taken back: short of 300 (seed 29). To sell on, knowing, is a mistake."""
    began = scene().sessions[0].open_at
    bought, more, sold = done(began, 1, 900), done(began, 2, 700, busted=6), done(began, 5, -1200)
    again = done(began, 30, -resold)
    stop = replace(booked(began, bought), is_buy=False, order_type="STP", fills=[])
    fills = [one for one in (bought, sold, again) if one.quantity]
    evidence = Evidence(
        scene=scene(),
        rows=tuple(compared(began + timedelta(minutes=number)) for number in (8, 9)),
        written=(),
        heard=(),
        orders=(stop, *(booked(began, one) for one in (*fills, more))),
        fills=tuple(fills),
        busted=(more,),
        played=(),
        lost_fills=frozenset(),
    )
    assert evidence.position(1, began + timedelta(minutes=29)) == -300
    assert [at for at, _ in never_short(evidence)] == ([again.at] if is_broken else [])


@pytest.mark.parametrize(
    ("sold", "day", "is_told", "is_broken"),
    [(300, 1, False, False), (299, 1, False, True), (300, 0, False, True), (300, 1, True, True)],
)
def test_what_a_sell_may_have_sold_unheard_has_no_stop_and_no_more_than_that(
    sold: int, day: int, is_told: bool, is_broken: bool
) -> None:
    """Of 400, 300 were sold and taken back while the daemon was dead; by its status the sell is whole (seed 39)."""
    opens = [session.open_at for session in scene().sessions]
    bought, gone, rest = done(opens[1], 1, 400), done(opens[day], 5, -sold, busted=6), done(opens[1], 30, -100)
    sales = [replace(booked(one.at, one), ended_at=one.at) for one in (gone, rest)]
    stop = replace(booked(opens[1], bought), is_buy=False, order_type="STP", fills=[], ended_at=rest.at)
    told = [bought, rest, *([gone] if is_told else [])]
    marks = [Seen(at=opens[1], link=1, name=name, values={}) for name in END_MARKS]
    evidence = Evidence(
        scene=replace(scene(), settings={**scene().settings, "stops": {"fraction": 0.05}}),
        rows=tuple(compared(opens[day] + timedelta(minutes=number)) for number in (8, 9)),
        written=(),
        heard=(*marks, *(Seen(at=one.at, link=1, name="execDetails", values={"execId": one.exec_id}) for one in told)),
        orders=(booked(opens[1], bought), stop, *sales),
        fills=(bought, rest),
        busted=(gone,),
        played=(),
        lost_fills=frozenset(),
    )
    found = [(at, text.rpartition(" had ")[0]) for at, text in protected_in_time(evidence)]
    assert found == ([(rest.at + SOON, "AAA: 300 shares")] if is_broken else [])


@pytest.mark.parametrize(("protected", "is_broken"), [(900, False), (901, True)])
def test_shares_whose_sale_was_taken_back_are_held_before_two_comparisons_show_it(
    protected: int, is_broken: bool
) -> None:
    """A person who takes the account for right at once may be told so by a stop for them (seed 40)."""
    began = scene().sessions[0].open_at
    bought, sold = done(began, 1, 900), done(began, 5, -900, busted=6)
    stop = booked(began, done(began, 20, -protected))
    stop = replace(stop, order_type="STP", fills=[], at=began + timedelta(minutes=20))
    evidence = Evidence(
        scene=scene(),
        rows=(compared(began + timedelta(minutes=8)),),
        written=(),
        heard=(),
        orders=(stop, booked(began, bought), booked(began, sold)),
        fills=(bought,),
        busted=(sold,),
        played=(),
        lost_fills=frozenset(),
    )
    assert [at for at, _ in stops_are_for_what_is_held(evidence)] == ([stop.at] if is_broken else [])


@pytest.mark.parametrize(
    ("cancelled", "lasts", "is_broken"),
    [(None, 1, True), (-1, 1, False), (1, 1, True), (-1, 3, True), (-3, 1, True)],
)
def test_a_stop_that_waited_with_its_cancel_behind_a_window_is_none_yet(
    cancelled: int | None, lasts: int, is_broken: bool
) -> None:
    """Its shares were taken back meanwhile; both come into the books as the window closes (seed 156).

    A cancel from before it, under a number that begins again, is none of it.
    """
    began = scene().sessions[0].open_at
    bought = done(began, 1, 900, busted=2)
    at = began + timedelta(minutes=20)
    stop = replace(booked(began, bought), is_buy=False, order_type="STP", busted=[], order_id=7, at=at)
    stop = replace(stop, ended_at=at + timedelta(seconds=lasts))
    other = replace(booked(began, done(began, 1, 1)), at=at + timedelta(seconds=2), ended_at=at + timedelta(seconds=2))
    wrote = [Seen(at=at + timedelta(seconds=cancelled or 0), link=1, name="cancelOrder", values={"orderId": 7})]
    sent = {"orderId": 7, "orderRef": stop.ref, "orderType": "STP"}
    placed = Seen(at=at - timedelta(seconds=2), link=1, name="placeOrder", values=sent)
    wrote.insert(1 if cancelled == -3 else 0, placed)
    evidence = Evidence(
        scene=scene(),
        rows=tuple(compared(began + timedelta(minutes=number)) for number in (8, 9)),
        written=tuple(wrote if cancelled is not None else wrote[:1]),
        heard=tuple(Seen(at=began, link=1, name=name, values={}) for name in END_MARKS),
        orders=(stop, booked(began, bought), replace(other, fills=[])),
        fills=(),
        busted=(bought,),
        played=(),
        lost_fills=frozenset(),
    )
    assert bool(list(stops_are_for_what_is_held(evidence))) is is_broken


@pytest.mark.parametrize(
    ("busted", "status", "minutes", "is_excused"),
    [(6, "Filled", 500, True), (None, "Filled", 500, False), (6, "Submitted", 500, False), (6, "Filled", 300, False)],
)
def test_what_rests_over_sessions_and_filled_in_one_has_ended_with_it_where_that_was_taken_back(
    busted: int | None, status: str, minutes: int, is_excused: bool
) -> None:
    """A take-profit was told to have filled, which was taken back before it was heard of (seed 184)."""
    began = scene().sessions[0].open_at
    at, fill = began + timedelta(minutes=minutes), done(began, 5, -900, busted=busted)
    marks = [Seen(at=at - timedelta(minutes=n), link=1, name=name, values={}) for n in (2, 1) for name in END_MARKS]
    intended = {"intent": 5, "ref": fill.ref, "con_id": 1, "tif": "GTC", "created_at": began.isoformat()}
    bodies = {
        "OrderIntended": {"order": intended | {"quantity": "900"}},
        "OrderMoved": {"intent": 5, "state": "expired"},
    }
    evidence = Evidence(
        scene=scene(),
        rows=tuple(Row(sequence=1, kind=kind, at=at, tech=at, body=body) for kind, body in bodies.items()),
        written=(),
        heard=tuple(marks),
        orders=(replace(booked(began, fill), status=status, ended_at=fill.at),),
        fills=(),
        busted=(fill,),
        played=(),
        lost_fills=frozenset(),
    )
    assert (list(ends_by_evidence(evidence)) == []) is is_excused


@pytest.mark.parametrize(("seconds", "may_be_shut", "must_be_shut"), [(3, 0, 0), (5, 1, 0), (-6, 1, 0), (8, 1, 1)])
def test_clocks_that_may_be_too_far_apart_excuse_before_they_accuse(
    seconds: int, may_be_shut: bool, must_be_shut: bool
) -> None:
    """The daemon stops at 5 s by its own arithmetic: a stop that was not raised meanwhile is excused (seed 108)."""
    began = scene().sessions[0].open_at.replace(microsecond=400_000)
    told = Seen(at=began, link=0, name="currentTime", values={"time": int(began.timestamp()) + seconds})
    heard = (*(Seen(at=began, link=0, name=mark, values={}) for mark in END_MARKS), told)
    placed = Seen(
        at=began + timedelta(seconds=9), link=0, name="placeOrder", values={"orderRef": "lw:0:1", "orderType": "STP"}
    )
    evidence = replace(bare(), heard=heard, written=(placed,))
    assert is_shut(evidence, began + timedelta(seconds=1)) == may_be_shut
    assert bool(list(ready_when_sending(evidence))) == must_be_shut


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What arrived so many milliseconds after a stop had sold, 37 ms after which a take-profit was written."""

    name: str
    after: int
    values: dict[str, object]


STATUS = Told(name="orderStatus", after=38, values={"permId": 10, "filled": Decimal(1000)})
"""Of the stop's whole fill, after the take-profit was written."""
POSITION = Told(name="position", after=10, values={"conId": 1, "position": Decimal(0)})


@pytest.mark.parametrize(
    ("told", "group", "sold", "wanted", "worst"),
    [
        (STATUS, "g", 1000, 1000, None),
        (replace(STATUS, after=33), "g", 1000, 1000, None),
        (replace(STATUS, after=32), "g", 1000, 1000, -1000),
        (replace(STATUS, after=32), "g", 600, 1000, -600),
        (replace(STATUS, after=32, values={"permId": 10, "filled": Decimal(599)}), "g", 600, 1000, None),
        (Told(name="execDetails", after=10, values={"execId": "10"}), "g", 1000, 1000, -1000),
        (POSITION, "g", 1000, 1000, -1000),
        (replace(POSITION, values={"conId": 1, "position": Decimal(1000)}), "g", 1000, 1000, None),
        (STATUS, "g", 600, 1000, None),
        (STATUS, "g", 1000, 1001, -1),
        (STATUS, "another", 1000, 1000, -1000),
        (STATUS, "", 1000, 1000, -1000),
    ],
)
def test_what_a_stop_has_sold_and_nothing_has_told_of_excuses_an_order_of_its_group_and_no_other(
    told: Told, group: str, sold: int, wanted: int, worst: int | None
) -> None:
    """A group that has filled whole takes no more orders; outside it, or in knowledge, it is a mistake (seed 115)."""
    began = scene().sessions[0].open_at
    bought, gone = done(began, 1, 1000), done(began, 10, -sold)
    ended_at = gone.at if sold == 1000 else None
    stop = replace(booked(began, gone), order_type="STP", quantity=Decimal(1000), oca_group="g", ended_at=ended_at)
    placed = {"orderRef": "lw:0:3", "orderId": 3, "action": "SELL", "conId": 1, "symbol": "AAA", "orderType": "LMT"}
    placed |= {"totalQuantity": Decimal(wanted), "ocaGroup": group, "parentId": 0}
    written_at = gone.at + timedelta(milliseconds=37)
    evidence = replace(
        bare(),
        written=(Seen(at=written_at, link=0, name="placeOrder", values=placed),),
        heard=(Seen(at=gone.at + timedelta(milliseconds=told.after), link=0, name=told.name, values=told.values),),
        orders=(replace(booked(began, bought), ended_at=bought.at), stop),
        fills=(bought, gone),
    )
    text = f"selling {wanted} AAA could end at {worst} shares"
    assert list(limits_at_worst(evidence)) == ([] if worst is None else [(written_at, text)])


@pytest.mark.parametrize(("second", "worst"), [(400, None), (600, -200)])
def test_two_of_a_group_that_have_both_sold_unheard_count_together(second: int, worst: int | None) -> None:
    """What a group has sold is the sum of its orders: 600 and 400 of 1000 are one closing, 600 twice a mistake."""
    began = scene().sessions[0].open_at
    bought, first, more = done(began, 1, 1000), done(began, 10, -600), done(began, 11, -second)
    sells = [replace(booked(began, one), oca_group="g", ended_at=more.at) for one in (first, more)]
    placed = {"orderRef": "lw:0:3", "orderId": 3, "action": "SELL", "conId": 1, "symbol": "AAA", "orderType": "LMT"}
    placed |= {"totalQuantity": Decimal(1000), "ocaGroup": "g", "parentId": 0}
    written_at = more.at + timedelta(milliseconds=37)
    evidence = replace(
        bare(),
        written=(Seen(at=written_at, link=0, name="placeOrder", values=placed),),
        orders=(replace(booked(began, bought), ended_at=bought.at), *sells),
        fills=(bought, first, more),
    )
    text = f"selling 1000 AAA could end at {worst} shares"
    assert list(limits_at_worst(evidence)) == ([] if worst is None else [(written_at, text)])


@pytest.mark.parametrize(
    ("bare_shares", "moved", "looks", "lifted", "is_broken"),
    [
        (10, -10, (), None, False),
        (10, -10, (2, 4), None, False),
        (10, -10, (4, 4.9), None, False),
        (10, -10, (4, 4.8), None, True),
        (11, -10, (), None, True),
        (10, 10, (), None, True),
        (10, -10, (), 4, True),
        (10, -10, (), 15, True),
    ],
)
def test_shares_of_which_nobody_has_said_whose_they_were_have_no_stop_until_somebody_has(
    bare_shares: int, moved: int, looks: tuple[float, ...], lifted: int | None, is_broken: bool
) -> None:
    """Ten left the account without a trade, and the second look found another book: they may be ours (seed 115)."""
    began = scene().sessions[0].open_at
    bought = done(began, 5, 400)
    stop = replace(booked(began, done(began, 5, -400 + bare_shares)), order_type="STP", fills=[], at=bought.at)
    stop.sizes.append((began + timedelta(minutes=30), Decimal(400)))
    went = Happened(at=began + timedelta(minutes=3), event=Event(kind="transfer", quantity=Decimal(moved)), con_id=1)
    rows = [] if lifted is None else [quarantine("QuarantineLifted", began + timedelta(minutes=lifted))]
    if lifted == 15:
        rows.insert(0, quarantine("QuarantineSet", bought.at + SOON / 2))
    marks = [Seen(at=began, link=0, name=name, values={}) for name in END_MARKS]
    evidence = replace(
        bare(),
        scene=replace(scene(), settings={**scene().settings, "stops": {"fraction": 0.05}}),
        rows=(*rows, *(compared(began + timedelta(minutes=number)) for number in looks)),
        heard=(*marks, Seen(at=bought.at, link=0, name="execDetails", values={"execId": bought.exec_id})),
        orders=(replace(booked(began, bought), ended_at=bought.at), stop),
        fills=(bought,),
        events=(went,),
    )
    since = began + timedelta(minutes=15) if lifted == 15 else bought.at
    assert [at for at, _ in protected_in_time(evidence)] == ([since + SOON] if is_broken else [])


def quarantine(kind: str, at: datetime) -> Row:
    """One set or lifted."""
    return Row(sequence=int(at.timestamp()), kind=kind, at=at, tech=at, body={"con_id": 1})


def bare() -> Evidence:
    """A run in which nothing happened."""
    return Evidence(
        scene=scene(),
        rows=(),
        written=(),
        heard=(),
        orders=(),
        fills=(),
        played=(),
        lost_fills=frozenset(),
    )


def done(began: datetime, minute: int, quantity: int, busted: int | None = None) -> Fill:
    """An execution so many minutes after the open, taken back so many after it."""
    at = began + timedelta(minutes=minute)
    return Fill(
        exec_id=str(minute),
        ref=f"lw:0:{minute}",
        account="DU123456",
        con_id=1,
        quantity=Decimal(quantity),
        price=Decimal(50),
        fee=Decimal(1),
        at=at,
        told_at=at,
        busted_at=began + timedelta(minutes=busted) if busted else None,
    )


def booked(began: datetime, fill: Fill) -> BookedOrder:
    """The order of an execution."""
    is_busted = fill.busted_at is not None
    return BookedOrder(
        ref=fill.ref,
        perm_id=int(fill.exec_id),
        order_id=int(fill.exec_id),
        con_id=fill.con_id,
        symbol="AAA",
        is_buy=fill.quantity > 0,
        quantity=abs(fill.quantity),
        at=began,
        fills=[] if is_busted else [fill],
        busted=[fill] if is_busted else [],
    )


def compared(at: datetime) -> Row:
    """A comparison of book and account."""
    return Row(sequence=1, kind="BookCompared", at=at, tech=at, body={})


def test_a_stop_is_too_large_while_no_order_can_leave_to_make_it_smaller() -> None:
    """By what was taken back, and no more: it was told while the clocks were apart (seed 15, 6 days, all).

    Nor while a window of the gateway keeps what has left.
    """
    evidence = played(Incident(at=scene().sessions[0].open_at, fault="bust")).evidence
    (gone,) = evidence.busted
    assert gone.busted_at is not None
    at, con_id = gone.busted_at + timedelta(minutes=5), gone.con_id
    told = evidence.truly(at).get(con_id, (Decimal(0), Decimal(0)))[0] + gone.quantity
    down = next(one for one in reversed(evidence.heard) if one.at <= gone.busted_at)
    down = replace(down, name="error", values={"errorCode": 1100, "errorString": ""}, at=gone.busted_at)
    heard = (*(one for one in evidence.heard if one.at <= gone.busted_at), down)
    shut = replace(evidence, heard=heard)
    assert evidence.as_told(con_id, at) == told
    assert [_could_not_act(one, con_id, at, told) for one in (shut, evidence)] == [True, False]
    assert not _could_not_act(shut, con_id, at, told + 1)
    window = Played(incident=Incident(at=gone.busted_at, fault="dialog"), began=gone.busted_at)
    lately = at - timedelta(seconds=30)
    for since, ended, fault, excused in (
        (gone.busted_at, None, "dialog", True),
        (lately, None, "dialog", True),
        (lately + timedelta(seconds=1), None, "dialog", False),
        (gone.busted_at, lately, "dialog", True),
        (gone.busted_at, lately - timedelta(seconds=1), "dialog", False),
        (gone.busted_at, None, "delay", False),
    ):
        one = replace(window, began=since, ended=ended, incident=replace(window.incident, fault=fault))
        behind = replace(evidence, played=(*evidence.played, one))
        assert _could_not_act(behind, con_id, at, told) is excused, (since, ended, fault)
        assert not _could_not_act(behind, con_id, at, told + 1)

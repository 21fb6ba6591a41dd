"""One reading of the account, step by step: what it notes, what it asks for, and from which instant each rule holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Absence, Evidence, Order, OrderState, Purpose
from longwatch.domain.reconciliation.reconcile import position_seen, reconcile
from longwatch.domain.state import put_order
from tests.domain import world as told
from tests.domain.world import ACCOUNT, CLOSE, EQUITY, SETTINGS, SYMBOLS, World, of_kind, perm_id

D = Decimal
S, E = OrderState, Evidence
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
TICK = timedelta(microseconds=1)


def reading(world: World, **fields: object) -> list[object]:
    """What one whole download leads to that took a second and shows the account as it is."""
    parts = {
        "positions": tuple(
            m.PositionRow(con_id=con_id, symbol=symbol, quantity=quantity, average_cost=D(90))
            for con_id, (symbol, quantity) in world.state.account_positions.items()
        ),
        "open_perm_ids": tuple(sorted(world.open_orders)),
        "completed_perm_ids": tuple(sorted(world.completed)),
        "exec_ids": tuple(world.executions),
    }
    whole = {"reason": "scheduled", "net_liquidation": EQUITY, "cash": EQUITY}
    times = {"at": world.now, "tech": world.now, "started_tech": world.now - SECOND}
    return list(reconcile(world.state, m.SnapshotSeen(**(parts | whole | times | fields))))  # type: ignore[arg-type]


def moves(found: object) -> list[tuple[object, ...]]:
    return [(one.intent, one.state, one.evidence, one.text, one.deadline) for one in of_kind(found, m.OrderMoved)]  # type: ignore[arg-type]


# ── the download itself ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_of_before_the_backend_came_back_is_asked_for_again() -> None:
    """Begun at that instant it is whole; while the backend is away, its own figures are looked at."""
    world = World.ready()
    again = [m.RequestSnapshot(reason="the backend was away during the last download")]
    began = world.now - SECOND
    world.state.backend_since = began + TICK
    assert reading(world) == again
    for since, up in ((began, True), (None, True), (began + TICK, False)):
        world.state.backend_since, world.state.backend_up = since, up
        assert len(reading(world)) >= 2


def test_the_accounts_figures_are_noted_where_both_are_there_though_a_part_failed() -> None:
    world = World.ready()
    valued = m.AccountValued(net_liquidation=EQUITY, cash=EQUITY - 5, tech=world.now, at=world.now)
    why = (("positions", "no end mark"), ("executions", "a row is rubbish"))
    text = "positions: no end mark; executions: a row is rubbish"
    failed = [
        m.SnapshotFailed(failures=why, tech=world.now),
        m.RaiseAlert(key="snapshot_failed", text=f"the account could not be read ({text}); no orders until it can"),
    ]
    assert reading(world, cash=EQUITY - 5, failures=why) == [valued, *failed]
    figures: object = object()
    with_figures = reading(world, cash=EQUITY - 5, failures=why, figures=figures)
    assert with_figures[0] == replace(valued, figures=figures)  # type: ignore[arg-type]
    assert reading(world, cash=None, failures=why) == reading(world, net_liquidation=None, failures=why) == failed
    for part in ("positions", "open_perm_ids", "completed_perm_ids", "exec_ids"):
        noted = of_kind(reading(world, **{part: None}), m.SnapshotFailed)
        assert noted == [m.SnapshotFailed(failures=(("download", "incomplete"),), tech=world.now)]


def test_a_whole_reading_makes_a_link_ready_that_was_being_synchronised() -> None:
    world = World.ready()
    assert of_kind(reading(world), m.LinkMoved) == []
    world.state.link = m.Link.SYNCING
    assert of_kind(reading(world), m.LinkMoved) == [m.LinkMoved(link=m.Link.READY, reason="", tech=world.now)]


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def row(quantity: int, cost: int = 90, con_id: int = 1) -> m.PositionRow:
    return m.PositionRow(con_id=con_id, symbol=SYMBOLS[con_id], quantity=D(quantity), average_cost=D(cost))


def test_positions_are_noted_where_shares_or_cost_are_news_and_gone_ones_as_none() -> None:
    """A cost without shares says nothing."""
    world = World.ready(AAA=100)
    at = world.now

    def noted(*rows: m.PositionRow) -> list[object]:
        return of_kind(reading(world, positions=rows), m.AccountPositionSet)

    def fact(quantity: int, cost: int | None = 90) -> m.AccountPositionSet:
        shown = None if cost is None else D(cost)
        return m.AccountPositionSet(con_id=1, symbol="AAA", quantity=D(quantity), average_cost=shown, at=at)

    assert noted(row(100)) == []
    assert noted(row(101)) == [fact(101)]
    assert noted(row(100, 91)) == [fact(100, 91)]
    assert noted() == [fact(0, None)]
    assert noted(row(100), row(5, 50, con_id=2)) == [replace(fact(5, 50), con_id=2, symbol="BBB")]
    world.state.account_positions[1] = ("AAA", D(0))
    assert noted(row(0, 80)) == noted() == []


def test_a_position_told_by_itself_is_noted_for_this_account() -> None:
    world = World.ready(AAA=100)
    seen = m.PositionSeen(
        at=world.now, tech=world.now, account=ACCOUNT, con_id=1, symbol="AAA", quantity=D(90), average_cost=D(91)
    )
    noted = m.AccountPositionSet(con_id=1, symbol="AAA", quantity=D(90), average_cost=D(91), at=world.now)
    assert list(position_seen(world.state, seen)) == [noted]
    assert list(position_seen(world.state, replace(seen, account="DU999999"))) == []


@pytest.mark.parametrize("is_adopted", [False, True])
def test_what_was_held_before_the_first_comparison_is_outside_or_adopted(is_adopted: bool) -> None:
    """By what the book has not of it; after that it is a difference."""
    world = World.ready(replace(SETTINGS, adopt_existing=is_adopted))
    world.finish(world.one(AAA="0.1"))
    rows = (row(130), m.PositionRow(con_id=3, symbol="AAA", quantity=D(0)), row(-5, con_id=2))
    kinds = (m.HoldingAdopted, m.OutsideSet)
    assert [one for kind in kinds for one in of_kind(reading(world, positions=rows), kind)] == []
    world.state.compared = None
    found = [one for kind in kinds for one in of_kind(reading(world, positions=rows), kind)]
    common = [{"con_id": 1, "symbol": "AAA", "quantity": D(30)}, {"con_id": 2, "symbol": "BBB", "quantity": D(-5)}]
    if is_adopted:
        more = {"average_cost": D(90), "reason": "adopt_existing at the first start", "off_parts": True}
        assert found == [m.HoldingAdopted(**one, **more) for one in common]  # type: ignore[arg-type]
    else:
        assert found == [m.OutsideSet(**one, reason="held before the first start") for one in common]  # type: ignore[arg-type]


# ── orders that are gone, or there again ────────────────────────────────────────────────────────────────────────────


def test_somebody_elses_order_that_is_shown_no_more_is_gone() -> None:
    world = World.ready()
    order = m.ForeignOrderSet(perm_id=77, con_id=2, symbol="BBB", side=Side.SELL, remaining=D(5), status="Submitted")
    world.state.foreign_orders = {77: order, 78: replace(order, perm_id=78)}
    found = of_kind(reading(world, open_perm_ids=(78,)), m.ForeignOrderSet)
    assert found == [replace(order, remaining=D(0), status="gone")]


def working(**fields: object) -> tuple[World, Order]:
    """An order at work that the broker shows, from long before the reading."""
    world = World.ready()
    world.acknowledge(world.one(AAA="0.1"))
    world.wait(600)
    put_order(world.state, replace(world.order(1), **fields))  # type: ignore[arg-type]
    return world, world.order(1)


@pytest.mark.parametrize(
    ("fields", "is_missed"),
    [
        ({}, True),
        ({"moved_at": None}, True),
        ({"sent_at": None}, False),
        ({"sent_at": -1}, True),
        ({"sent_at": 0}, False),
        ({"moved_at": -1}, True),
        ({"moved_at": 0}, False),
        ({"state": S.SENDING}, False),
        ({"ending": S.CANCELLED}, False),
    ],
)
def test_a_working_order_that_no_list_shows_is_unknown(fields: dict[str, object], is_missed: bool) -> None:
    """Unless it was sent, or moved, no earlier than the download began; one that is ending is waited for."""
    world, order = working()
    began = world.now - SECOND
    ticks = {name: began + value * TICK if isinstance(value, int) else value for name, value in fields.items()}
    put_order(world.state, replace(order, **ticks))  # type: ignore[arg-type]
    missed = [(1, S.UNKNOWN, E.SILENCE, "no longer shown by the broker", world.now)]
    assert moves(reading(world, open_perm_ids=()))[:1] == (missed if is_missed else [])
    assert moves(reading(world)) == moves(reading(world, open_perm_ids=(), completed_perm_ids=(perm_id(1),))) == []


@pytest.mark.parametrize("state", [S.CANCELLED, S.EXPIRED, S.FILLED, S.REJECTED])
def test_an_order_told_to_have_ended_that_a_later_download_lists_as_open_is_taken_at_that_word(
    state: OrderState,
) -> None:
    """Asked for since then, and not among those that have ended."""
    world, order = working(state=state)
    found = reading(world)
    if state in (S.CANCELLED, S.EXPIRED):
        assert moves(found) == [(1, S.WORKING, E.LISTED, "listed as open after its end was told", None)]
    elif state is S.FILLED:
        assert [one.key for one in of_kind(found, m.RaiseAlert)] == ["listed_though_filled"]
    else:
        assert moves(found) == []
    for moved_at in (world.now - SECOND, None):
        put_order(world.state, replace(order, moved_at=moved_at))
        assert of_kind(reading(world), m.OrderMoved) == of_kind(reading(world), m.RaiseAlert) == []
    put_order(world.state, order)
    both = (perm_id(1),)
    assert of_kind(reading(world, open_perm_ids=both, completed_perm_ids=both), m.OrderMoved) == []


@pytest.mark.parametrize(
    ("asked", "reason", "goes_out"),
    [
        (True, "reconcile", True),
        (True, "end of day", True),
        (True, "scheduled", False),
        (False, "reconcile", False),
    ],
)
def test_an_unanswered_cancel_goes_out_again_with_a_regular_reading(asked: bool, reason: str, goes_out: bool) -> None:
    """Of a working order only."""
    world, order = working(cancel_asked=asked)
    cancel = [m.CancelOrder(intent=1, order_id=order.order_id or 0)]
    assert of_kind(reading(world, reason=reason), m.CancelOrder) == (cancel if goes_out else [])
    put_order(world.state, replace(order, state=S.SENDING))
    assert of_kind(reading(world, reason=reason), m.CancelOrder) == []


def test_every_order_is_looked_at_whatever_is_said_of_those_before_it() -> None:
    """One that is being sent, or works as it should, keeps no other from being missed, or found again."""
    world = World.ready()
    for order in world.trade(AAA="0.1", BBB="0.1"):
        world.acknowledge(order.intent)
    world.wait(600)
    first, second = world.order(1), world.order(2)
    put_order(world.state, replace(first, state=S.SENDING))
    assert [one[:3] for one in moves(reading(world, open_perm_ids=()))] == [(2, S.UNKNOWN, E.SILENCE)]
    put_order(world.state, first)
    put_order(world.state, replace(second, state=S.CANCELLED))
    assert [one[:3] for one in moves(reading(world))] == [(2, S.WORKING, E.LISTED)]


@pytest.mark.parametrize(
    ("state", "asked", "goes_out"), [(S.CANCELLED, True, True), (S.CANCELLED, False, False), (S.FILLED, True, False)]
)
def test_a_cancel_goes_out_again_with_the_order_that_is_found_open_after_its_end(
    state: OrderState, asked: bool, goes_out: bool
) -> None:
    """What is taken for filled stays so."""
    world, order = working(state=state, cancel_asked=asked)
    found = of_kind(world.snapshot().effects, m.CancelOrder)
    assert found == ([m.CancelOrder(intent=1, order_id=order.order_id or 0)] if goes_out else [])


def test_an_open_order_of_somebody_else_brings_none_of_ours_back() -> None:
    world, _ = working(state=S.CANCELLED)
    assert moves(reading(world, open_perm_ids=(77,))) == []


# ── unknown orders ──────────────────────────────────────────────────────────────────────────────────────────────────


def unknown(rounds: int = 3, **fields: object) -> tuple[World, Order]:
    """Sent and never heard of; so many rounds have shown nothing, and its cancel was answered with "not found"."""
    world = World.ready()
    world.handed(world.one(AAA="0.1"))
    world.wait(400)
    first, last = world.now - 5 * MINUTE, world.now - MINUTE
    gathered = Absence(since=first, rounds=rounds, first_round_at=first, last_round_at=last, cancel_not_found=True)
    order = replace(world.order(1), state=S.UNKNOWN, absence=gathered, deadline=CLOSE, **fields)  # type: ignore[arg-type]
    put_order(world.state, order)
    return world, order


def test_an_order_is_absent_when_every_proof_is_there() -> None:
    world, _ = unknown()
    assert moves(reading(world)) == [(1, S.ABSENT, E.PROVEN_ABSENT, "five proofs of absence", None)]


QUIET = timedelta(seconds=SETTINGS.absence_quiet_seconds)


def farm(**fields: object) -> m.FarmMoved:
    return replace(m.FarmMoved(farm="usfarm", up=True, tech=told.START), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda state, now: setattr(state, "backend_up", False), "the gateway's own link is not up for long enough"),
        (
            lambda state, now: setattr(state, "backend_since", now - QUIET + TICK),
            "the gateway's own link is not up for long enough",
        ),
        (lambda state, now: setattr(state, "backend_since", None), "the gateway's own link is not up for long enough"),
        (lambda state, now: setattr(state, "link_since", now - QUIET + TICK), "the link is not up for long enough"),
        (lambda state, now: setattr(state, "link_since", None), "the link is not up for long enough"),
        (lambda state, now: setattr(state, "link", m.Link.SYNCING), "the link is not up for long enough"),
    ],
)
def test_each_link_must_have_been_up_for_long_enough(spoil, why: str) -> None:
    """At the very instant it is."""
    world, order = unknown()
    world.state.backend_since = world.state.link_since = world.now - QUIET
    assert moves(reading(world, started_tech=world.now))[0][1] is S.ABSENT
    spoil(world.state, world.now)
    found = moves(reading(world, started_tech=world.now))
    assert [(one[1], one[3]) for one in found[:1]] == [(S.UNKNOWN, why)], order


def test_what_an_absence_still_lacks_is_what_the_order_says() -> None:
    """Two rounds, the answer to its cancel, a number that names it, the same day, the same gateway."""
    world, order = unknown()
    gathered = order.absence
    assert gathered is not None

    def lacks(**fields: object) -> object:
        put_order(world.state, replace(order, **fields))  # type: ignore[arg-type]
        return moves(reading(world))[0][3]

    assert lacks(absence=None) == "two rounds of downloads are needed"
    unanswered = replace(gathered, cancel_not_found=False)
    assert lacks(absence=unanswered) == "its cancel is not yet answered"
    names_nothing = "its order id names nothing at this gateway any more"
    assert lacks(absence=unanswered, client_id=9) == f"{names_nothing}, which has not yet answered"
    assert lacks(absence=replace(unanswered, answered=True), client_id=9) == names_nothing
    assert lacks(client_id=9) == "five proofs of absence"
    assert lacks(epoch=7) == "the gateway may have been restarted"
    assert lacks(created_at=order.created_at - timedelta(days=1), tif="GTC") == "midnight has passed"
    put_order(world.state, order)
    world.state.account_positions[1] = ("AAA", D(40))
    assert lacks() == "positions differ"


def test_rounds_that_count_lie_apart_and_began_after_the_order_was_unknown() -> None:
    """Another connection than the order's has begun since then by itself."""
    world, order = unknown()
    gathered = order.absence
    assert gathered is not None
    apart = timedelta(seconds=SETTINGS.absence_round_seconds)
    began = world.now - SECOND

    def noted(absence: Absence | None, **fields: object) -> list[object]:
        put_order(world.state, replace(order, absence=absence, client_id=9, **fields))  # type: ignore[arg-type]
        return [one.absence for one in of_kind(reading(world), m.AbsenceNoted)]

    asked_as = world.state.next_id
    open_still = replace(gathered, cancel_not_found=False)
    counted = replace(open_still, rounds=4, last_round_at=world.now, asked_as=asked_as)
    assert noted(replace(open_still, last_round_at=began - apart)) == [counted]
    assert noted(replace(open_still, last_round_at=began - apart + TICK)) == []
    assert noted(replace(open_still, since=began)) == [replace(counted, since=began)]
    assert noted(replace(open_still, since=began + TICK)) == []
    fresh = Absence(since=world.now)
    assert noted(None) == [fresh]
    first = replace(fresh, rounds=1, first_round_at=world.now, last_round_at=world.now, asked_as=asked_as)
    assert noted(None, epoch=(order.epoch or 0) - 1) == [first]


@pytest.mark.parametrize(("rounds", "pace"), [(3, 1), (4, 2), (8, 2), (9, 4), (33, 64), (99, 64)])
def test_what_a_few_rounds_have_not_settled_is_looked_at_less_and_less_often(rounds: int, pace: int) -> None:
    """Twice as seldom after every five, down to a sixty-fourth."""
    world, _ = unknown(rounds, client_id=9)
    assert world.order(1).absence is not None
    put_order(world.state, replace(world.order(1), absence=replace(world.order(1).absence, cancel_not_found=False)))
    again = world.now + timedelta(seconds=SETTINGS.absence_round_seconds) * pace
    assert moves(reading(world))[0][4] == again


def test_the_first_look_that_may_have_begun_too_early_is_repeated_at_once() -> None:
    world, order = unknown()
    put_order(world.state, replace(order, absence=None))
    assert moves(reading(world))[0][4] == world.now
    put_order(world.state, replace(order, absence=None, epoch=(order.epoch or 0) - 1))
    again = world.now + timedelta(seconds=SETTINGS.absence_round_seconds)
    assert moves(reading(world))[0][4] == again


def test_a_cancel_goes_out_with_each_round_that_counts_until_it_is_answered() -> None:
    """Not with one that did not count, nor before a round has."""
    world, order = unknown()
    gathered = order.absence
    assert gathered is not None
    cancel = [m.CancelOrder(intent=1, order_id=order.order_id or 0)]

    def asked(absence: Absence | None, **fields: object) -> list[object]:
        put_order(world.state, replace(order, absence=absence, **fields))  # type: ignore[arg-type]
        return of_kind(reading(world), m.CancelOrder)

    open_still = replace(gathered, cancel_not_found=False)
    assert asked(open_still) == cancel
    assert asked(gathered) == asked(None) == []
    assert asked(replace(open_still, last_round_at=world.now)) == []
    assert asked(None, epoch=(order.epoch or 0) - 1) == cancel


@pytest.mark.parametrize(
    ("late", "fields", "is_over"),
    [
        (MINUTE + TICK, {}, True),
        (MINUTE, {}, False),
        (MINUTE + TICK, {"tif": "GTC"}, False),
    ],
)
def test_a_day_order_nothing_is_known_of_has_expired_a_minute_after_its_session(
    late: timedelta, fields: dict[str, object], is_over: bool
) -> None:
    """When two rounds have shown nothing, the backend is there, and positions agree."""
    world, order = unknown(1, **fields)
    expired = [(1, S.EXPIRED, E.EXPIRED, "its session has ended and positions agree", None)]
    assert (moves(reading(world, at=CLOSE + late)) == expired) is is_over
    if not is_over:
        return
    assert order.absence is not None
    world.state.backend_up = False
    assert moves(reading(world, at=CLOSE + late)) != expired
    world.state.backend_up = True
    world.state.account_positions[1] = ("AAA", D(40))
    assert moves(reading(world, at=CLOSE + late)) != expired
    world.state.account_positions.clear()
    put_order(world.state, replace(order, absence=replace(order.absence, last_round_at=world.now)))
    found = reading(world, at=CLOSE + late)
    assert moves(found) != expired and of_kind(found, m.CancelOrder) == []
    world.state.sessions = ()
    put_order(world.state, order)
    assert moves(reading(world, at=CLOSE + late)) != expired


def test_farms_must_have_been_up_for_long_enough_but_not_those_of_histories() -> None:
    """At the very instant they are; one that is down is not, however long."""
    world, _ = unknown()
    long_ago = world.now - 2 * QUIET
    for one, is_enough in (
        (farm(tech=world.now - QUIET), True),
        (farm(tech=world.now - QUIET + TICK), False),
        (farm(tech=long_ago, up=False), False),
        (farm(tech=world.now, up=False, history=True), True),
    ):
        world.state.farms = {"ushmds": farm(tech=long_ago, history=True), "usfarm": one}
        (found,) = moves(reading(world))
        assert (found[1] is S.ABSENT) is is_enough, one
        assert is_enough or found[3] == "the farms are not up for long enough"


def shown_since(world: World, at: datetime, heard: datetime | None = None) -> None:
    """The list of executions shows one of that time, of somebody else, heard now or when it is said."""
    world.stranger("CCC", 5, "before.01")
    row = replace(world.state.fills["before.01"], executed_at=at, tech=heard or world.now)
    world.state.fills["before.01"] = row
    world.executions = ["before.01"]


@pytest.mark.parametrize(
    ("minutes", "shown", "is_proven"),
    [(13, None, True), (14, None, False), (300, None, False), (300, -60, True), (300, 13, True), (300, 14, False)],
)
def test_no_order_is_absent_once_midnight_may_have_passed_at_the_gateway(
    minutes: int, shown: int | None, is_proven: bool
) -> None:
    """Of whatever zone: what it filled may be listed no more.

    An execution of its quarter of an hour, or an older one, that is still listed disproves it, and so does one that was
    heard before it was sent.
    """
    world, order = unknown()
    made = told.OPEN + 15 * MINUTE
    put_order(world.state, replace(order, created_at=made))
    if shown is not None:
        shown_since(world, made + shown * MINUTE)

    def found() -> object:
        (one,) = moves(reading(world, at=made + minutes * MINUTE))
        return one[1], one[3]

    proven = (S.ABSENT, "five proofs of absence")
    assert found() == (proven if is_proven else (S.UNKNOWN, "midnight may have passed at the gateway"))
    assert order.sent_at is not None
    shown_since(world, made + 14 * MINUTE, heard=order.sent_at - TICK)
    assert found() == proven


def test_the_day_of_an_order_is_that_of_the_exchange() -> None:
    """Evening in New York is the next day in Greenwich; what was executed before the order is listed still."""
    world, order = unknown(tif="GTC")
    shown_since(world, told.OPEN - timedelta(hours=12))
    for created_at, at, is_same in (
        (told.OPEN - timedelta(hours=11), told.OPEN, False),
        (told.OPEN, CLOSE + timedelta(hours=6), True),
    ):
        put_order(world.state, replace(order, created_at=created_at))
        (found,) = moves(reading(world, at=at))
        assert found[3] == ("five proofs of absence" if is_same else "midnight has passed")


def test_a_stop_that_no_number_names_any_more_is_proven_gone_by_the_fifth_round() -> None:
    """It is good till cancelled: neither midnight nor another gateway ends it; but a gateway must have answered."""
    names_nothing = "its order id names nothing at this gateway any more"
    proven = (
        "absent: good till cancelled, and in no list, though no cancel reaches it (the gateway answers: it was asked "
        "as 4321); the gateway may have been restarted"
    )
    cases = ((3, True, names_nothing), (4, True, proven), (9, False, f"{names_nothing}, which has not yet answered"))
    for rounds, answered, text in cases:
        world, order = unknown(rounds, client_id=9, purpose=Purpose.STOP, epoch=7, tif="GTC")
        assert order.absence is not None
        asked = replace(order.absence, cancel_not_found=False, asked_as=4321, answered=answered)
        put_order(world.state, replace(order, absence=asked))
        (found,) = moves(reading(world))
        assert found[3] == text


def test_what_proves_a_stop_absent_names_the_proofs_that_it_did_without() -> None:
    """Where its cancel was answered, all that an order of the day would have needed besides."""
    world, order = unknown(purpose=Purpose.STOP, epoch=7, tif="GTC", perm_ids=(77,))
    put_order(world.state, replace(order, created_at=order.created_at - timedelta(days=1)))
    (found,) = moves(reading(world))
    assert found[1:4] == (
        S.ABSENT,
        E.PROVEN_ABSENT,
        "absent: good till cancelled, and in no list, though the broker has had it, and tells no end of it; "
        "midnight has passed; the gateway may have been restarted",
    )


def test_a_day_order_that_nobody_has_answered_for_has_not_ended_with_its_session() -> None:
    """Behind a window it waits for the session in which that is closed; its cancel goes on being asked for."""
    world, order = unknown()
    assert order.absence is not None
    unanswered = replace(order.absence, cancel_not_found=False)
    over = CLOSE + 2 * MINUTE
    put_order(world.state, replace(order, absence=unanswered))
    found = reading(world, at=over)
    assert moves(found)[0][3] == "its cancel is not yet answered" and len(of_kind(found, m.CancelOrder)) == 1
    for heard in ("cancel_not_found", "spoken_of", "answered"):
        put_order(world.state, replace(order, absence=replace(unanswered, **{heard: True})))
        assert moves(reading(world, at=over))[0][1] is S.EXPIRED, heard
    put_order(world.state, replace(order, absence=unanswered, perm_ids=(77,)))
    assert moves(reading(world, at=over))[0][1] is S.EXPIRED


def test_every_unknown_order_is_settled_whatever_becomes_of_those_before_it() -> None:
    """One that works, one whose session is over, one that is absent."""
    world, order = unknown()
    second = replace(order, intent=2, con_id=2, symbol="BBB")
    put_order(world.state, second)
    assert [one[:2] for one in moves(reading(world))] == [(1, S.ABSENT), (2, S.ABSENT)]
    over = CLOSE + 2 * MINUTE
    assert [one[:2] for one in moves(reading(world, at=over))] == [(1, S.EXPIRED), (2, S.EXPIRED)]
    put_order(world.state, replace(order, state=S.SENDING))
    assert [one[:2] for one in moves(reading(world))] == [(2, S.ABSENT)]


def test_that_a_cancel_went_out_to_hear_of_an_order_is_noted_where_its_number_can_be_named() -> None:
    """With a round that counts; not again with one that does not."""
    world, order = unknown()
    assert order.absence is not None
    gathered = replace(order.absence, cancel_not_found=False)
    for fields, is_sent in (({}, True), ({"client_id": 9}, False)):
        put_order(world.state, replace(order, absence=gathered, **fields))  # type: ignore[arg-type]
        (noted,) = of_kind(reading(world), m.AbsenceNoted)
        assert (noted.absence.rounds, noted.absence.cancel_sent) == (4, is_sent)
        assert bool(of_kind(reading(world), m.CancelOrder)) is is_sent
    put_order(world.state, replace(order, absence=replace(gathered, last_round_at=world.now)))
    assert of_kind(reading(world), m.AbsenceNoted) == of_kind(reading(world), m.CancelOrder) == []


def test_a_position_that_moves_as_by_a_split_is_in_doubt_from_then_on() -> None:
    """At twice the shares for half the cost, once there has been a comparison."""
    world = World.ready()
    world.finish(world.one(AAA="0.1"))
    world.costs[1] = D(100)
    world.reconcile()
    world.wait(7)
    (doubt,) = of_kind(world.split("AAA", 2, 1, rebased=False).facts, m.QuarantineSet)
    assert (doubt.con_id, doubt.symbol, doubt.tech) == (1, "AAA", world.now)

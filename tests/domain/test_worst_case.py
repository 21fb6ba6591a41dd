"""Limits hold in the worst case, at the moment an order is intended, whatever has filled, failed or fallen silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from longwatch.domain import messages as m
from longwatch.domain.decide import gate
from longwatch.domain.instruments import Side
from longwatch.domain.order_life.evidence import SELLS_ENDED, may_go_on
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.risk.exposure import worst_shares, worst_values
from longwatch.domain.settings import StopRule
from longwatch.domain.state import State
from tests.domain.play import Play, long_play, played, plays
from tests.domain.world import EQUITY, SETTINGS, SYMBOLS, World, of_kind, open_order

D = Decimal
STOP = StopRule(fraction=D("0.05"))


def counted(orders: list[Order], worth: Callable[[Order], Decimal]) -> Decimal:
    """What orders come to; of an OCA group, which the broker fills once, the most that one of it comes to."""
    alone = [order for order in orders if not order.oca_group or order.twin_of]
    grouped = {order.oca_group: order for order in orders if order not in alone}
    largest = [max(worth(o) for o in orders if o not in alone and o.oca_group == name) for name in grouped]
    return sum(map(worth, alone), D(0)) + sum(largest, D(0))


def at_worst(state: State, con_id: int, side: Side) -> Decimal:
    """Signed shares in the account with every live order of one side filled: counted here on its own."""
    total = state.held(con_id) + state.outside.get(con_id, ("", D(0)))[1]
    ours = [o for o in state.orders.values() if o.con_id == con_id and o.side is side]
    total += counted(ours, lambda order: order.remaining) * side.sign
    total += sum(
        o.remaining * side.sign for o in state.foreign_orders.values() if o.con_id == con_id and o.side is side
    )
    return total


def value_at_worst(state: State, con_id: int, side: Side, price: Decimal) -> Decimal:
    """The same in money: what is held at the close, an order at its limit or the market where that is above it."""
    ours = [o for o in state.orders.values() if o.con_id == con_id and o.side is side]
    held = at_worst(state, con_id, side) - counted(ours, lambda order: order.remaining) * side.sign
    paid = counted(ours, lambda order: order.remaining * max(price, order.limit_price or order.decision_price))
    return held * price + paid * side.sign


class Limited(Play):
    """A play in which every intended order is held against the limits, with it counted; `judged` are their intents."""

    seen: Counter[str]
    judged: list[int]

    def folded(self, fact: m.Fact) -> None:
        if isinstance(fact, m.OrderIntended):
            self.seen[fact.order.purpose] += 1
            self.within_limits(fact.order)
            self.judged.append(fact.order.intent)

    def within_limits(self, order: Order) -> None:
        state, limits = self.state, self.state.settings
        prices = dict(state.equity.prices)  # type: ignore[union-attr]
        if order.purpose is not Purpose.ENTRY:
            sold = counted([o for o in state.live_in(order.con_id) if o.side is order.side], lambda one: one.remaining)
            assert sold <= abs(state.held(order.con_id)), "a reduction turns the position round"
            return
        worst = abs(at_worst(state, order.con_id, order.side))
        value = abs(value_at_worst(state, order.con_id, order.side, prices[order.symbol]))
        assert value <= limits.max_weight * EQUITY
        assert worst <= limits.max_position_size
        gross = sum(
            max(abs(value_at_worst(state, con_id, side, prices[symbol])) for side in Side)
            for con_id, symbol in SYMBOLS.items()
        )
        assert gross <= limits.max_gross_exposure * EQUITY
        if not limits.allow_short:
            assert at_worst(state, order.con_id, Side.SELL) >= min(
                D(0), state.outside.get(order.con_id, ("", D(0)))[1] - self.foreign_sells(order.con_id)
            )

    def foreign_sells(self, con_id: int) -> Decimal:
        rows = self.state.foreign_orders.values()
        return sum((o.remaining for o in rows if o.con_id == con_id and o.side is Side.SELL), D(0))


def limited(acts, **changes) -> Limited:
    play = Limited(settings=replace(SETTINGS, **changes))
    play.seen, play.judged = Counter(), []
    return played(acts, play)  # type: ignore[return-value]


@given(plays, st.booleans(), st.sampled_from([D("0.1"), D("0.25"), D("0.4")]), st.sampled_from([None, STOP]))
def test_no_order_is_intended_that_could_pass_a_limit(acts, short, weight, stop) -> None:
    """Position, working, unknown, foreign and outside together, each side apart, within weight, size and gross."""
    play = limited(acts, allow_short=short, max_weight=weight, max_position_size=D(900), stop=stop)
    assert play.judged == [order.intent for order in play.state.orders.values() if not order.twin_of]


@given(plays)
def test_no_intent_is_ever_submitted_twice(acts) -> None:
    """One SubmitOrder an intent, one order id an order, ids that only grow, over crashes and reconnects."""
    play = played(acts)
    submitted = [e.order.intent for _, step in play.steps for e in step.effects if isinstance(e, m.SubmitOrder)]
    assert len(submitted) == len(set(submitted))
    ids = [fact.order_id for _, step in play.steps for fact in step.facts if isinstance(fact, m.OrderSending)]
    assert ids == sorted(set(ids))


@given(plays)
def test_the_book_is_the_sum_of_the_fills_told(acts) -> None:
    """Every execution heard is in the book once, under its last correction, and nothing else is."""
    play = played(acts)
    for con_id in SYMBOLS:
        ours = [fill.quantity for fill in play.state.fills.values() if fill.con_id == con_id and fill.intent]
        adopted = [
            fact.quantity
            for _, step in play.steps
            for fact in step.facts
            if isinstance(fact, m.HoldingAdopted) and fact.con_id == con_id
        ]
        assert play.state.held(con_id) == sum([*ours, *adopted], D(0))
    for order in play.state.orders.values():
        booked = [abs(fill.quantity) for fill in play.state.fills.values() if fill.intent == order.intent]
        assert order.filled == sum(booked, D(0))


@given(plays)
def test_an_order_that_ended_at_the_broker_never_ends_otherwise(acts) -> None:
    """After a last download, no order of ours is taken for gone that the broker holds, and none has a wrong end."""
    play = played(acts)
    play.state.backend_up = True
    play.rows()
    for intent, order in play.state.orders.items():
        there = play.book.get(intent)
        if there is None:
            assert order.state not in (OrderState.FILLED, OrderState.WORKING, OrderState.CANCELLED)
        elif not there.ended:
            assert order.state is OrderState.WORKING or order.ending is not None, order
        elif there.ended == "Filled":
            # Of a fill that was taken back before it was heard, only the session's end tells.
            unheard = order.ref in play.busted and order.ending is OrderState.FILLED and order.told < order.reported
            assert order.state is OrderState.FILLED or unheard


def test_the_plays_do_trade() -> None:
    """A property over plays without orders would show nothing: these have entries, reductions and every end."""
    seen, ends = Counter[str](), Counter[OrderState]()
    for seed in range(150):
        play = limited(long_play(seed), stop=STOP if seed % 2 else None)
        seen += play.seen
        ends.update(order.state for order in play.state.orders.values())
    assert seen[Purpose.ENTRY] > 100
    assert seen[Purpose.REDUCE] > 20
    assert seen[Purpose.STOP] > 40
    assert set(ends) >= set(OrderState) - {
        OrderState.INTENDED,
        OrderState.REFUSED,
        OrderState.INFERRED,
        OrderState.EXPIRED,
    }


def test_shares_that_the_account_still_shows_take_up_room_until_it_is_clear_whose_word_holds() -> None:
    """A sell that the exchange took back: nobody says so but the account, and buys must not count on its room."""
    world = World.ready()
    world.finish(world.one(AAA="0.4"))
    bought = world.state.held(1)
    world.finish(world.one(AAA="0"))
    world.positions[1] = bought
    world.snapshot()
    assert world.state.held(1) == 0 and not world.state.quarantines
    orders = world.trade(AAA="0", BBB="0.4", CCC="0.4")
    paid = sum(order.quantity * order.worst_price for order in orders)
    assert EQUITY * D("0.58") < paid <= EQUITY - bought * 100
    assert worst_shares(world.state, 1, Side.BUY) == bought


def test_what_waits_for_a_sell_waits_until_the_account_shows_it() -> None:
    """A reading that finds another number asks for the next one; it goes on when that agrees."""
    world = World.ready()
    world.finish(world.one(AAA="0.4"))
    orders = {order.con_id: order.intent for order in world.trade(AAA="0", BBB="0.4", CCC="0.4")}
    for con_id in (1, 2, 3):
        if con_id in orders:
            world.finish(orders[con_id])
    assert may_go_on(world.state)
    world.positions[1] = D(200)
    world.snapshot()
    assert not may_go_on(world.state)
    world.positions[1] = D(0)
    assert SELLS_ENDED in [one.reason for one in of_kind(world.snapshot().effects, m.RunJob)]


def test_shares_of_others_that_nobody_has_explained_count_beside_our_working_order() -> None:
    """A transfer, not a fill of the order: both may be held in the end."""
    world = World.ready()
    (order,) = world.trade(AAA="0.1")
    world.handed(order.intent)
    world.acknowledge(order.intent)
    world.positions[1] = order.quantity
    world.snapshot()
    assert worst_shares(world.state, 1, Side.BUY) == 2 * order.quantity
    gross, _ = worst_values(world.state, {"AAA": D(100)})
    assert gross >= 2 * order.quantity * 100


def test_what_may_be_the_unheard_fill_of_our_own_order_counts_beside_it_until_it_is_told() -> None:
    """The order's outcome is unknown, and the account shows its shares: they may be somebody else's, and it may fill.

    Once the execution is told, and the account read again, they count once.
    """
    world = World.ready()
    (order,) = world.trade(AAA="0.1")
    world.handed(order.intent)
    world.hear(m.LinkLost, reason="reset by peer")
    world.wait(5)
    world.connect()
    world.positions[1] = order.quantity
    world.snapshot()
    assert world.order(order.intent).state is OrderState.UNKNOWN
    assert worst_shares(world.state, 1, Side.BUY) == 2 * order.quantity
    world.positions[1] = D(0)
    world.fill(order.intent, int(order.quantity))
    world.snapshot()
    assert worst_shares(world.state, 1, Side.BUY) == order.quantity


def test_a_fill_heard_since_the_account_was_read_explains_nothing_it_showed() -> None:
    """Found by the adversary (slice 9): 106 short that nobody explains, then our sale of 30 is told."""
    world = World.ready(replace(SETTINGS, allow_short=True, check_shortable=False))
    (order,) = world.trade(AAA="-0.03")
    world.acknowledge(order.intent)
    world.positions[1] = D(-106)
    world.snapshot()
    world.fill(order.intent, 30)
    assert worst_shares(world.state, 1, Side.SELL) == -136


def test_an_exit_counts_on_no_share_that_the_last_reading_did_not_show() -> None:
    """Found by the adversary (slice 8): the shares have left the account, and it is not clear yet whose word holds."""
    world = World.ready()
    world.finish(world.one(AAA="0.3"))
    world.positions[1] = D(100)
    world.snapshot()
    assert not world.state.quarantines
    assert [order.quantity for order in world.trade(AAA="0")] == [100]


def test_a_fill_of_which_only_the_status_tells_may_have_come_after_the_account_was_read() -> None:
    """Found by the adversary (slice 1138): the status' two shares count beside the 241 too many in the account."""
    world = World.ready()
    (order,) = world.trade(AAA="0.1")
    world.acknowledge(order.intent)
    world.positions[1] = D(241)
    world.snapshot()
    world.status(order.intent, "Submitted", 2)
    assert worst_shares(world.state, 1, Side.BUY) == order.quantity + 241


def test_an_entry_is_held_at_the_write_against_an_exit_decided_on_after_it() -> None:
    """Found by the adversary (slice 2053): beside a stranger's buy order a cover adds at worst."""
    groups = (("all", ("AAA", "BBB", "CCC"), D("0.05")),)
    world = World.ready(replace(SETTINGS, groups=groups, allow_short=True, check_shortable=False))
    world.finish(world.one(CCC="-0.01"))
    stranger = {"perm_id": 77, "ref": "", "order_id": 0, "client_id": 0, "side": Side.BUY, "quantity": D(100)}
    world.take(open_order(world.order(1), world.now, **stranger))
    entry, exit_ = sorted(world.trade(AAA="0.4", CCC="0"), key=lambda order: order.symbol)
    assert (entry.purpose, exit_.purpose) == (Purpose.ENTRY, Purpose.REDUCE)
    assert "max_group_weight" in str(gate(world.state, entry.intent, world.now))
    assert gate(world.state, exit_.intent, world.now) is None


def test_a_fill_the_status_told_of_well_before_the_account_was_read_counts_once() -> None:
    """Its execution was lost, and for half a minute it may be missing from the account: after that it is in there."""
    world = World.ready()
    (order,) = world.trade(AAA="0.1")
    world.acknowledge(order.intent)
    world.status(order.intent, "Submitted", 40)
    for waited, extra in ((31, 40), (31, 0)):
        world.wait(waited)
        world.positions[1] = D(40)
        world.snapshot()
        assert worst_shares(world.state, 1, Side.BUY) == order.quantity + extra
    world.positions[1] = D(140)
    world.snapshot()
    assert worst_shares(world.state, 1, Side.BUY) == order.quantity + 100

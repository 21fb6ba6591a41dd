"""A strategy that wants too much, at a broker where everything goes wrong, held against the limits order by order.

Each slice is a world of its own under settings of its own, all from one seed. Targets lie on a limit, just beyond it or
far away; fills come in parts, late or never told; links are lost, outcomes unknown, the process dies; strangers trade
and order; a person modifies; in most worlds protective stops rest at the broker, in some they leave with their entries
and take-profits lie beside them. Some accounts are of cash alone, others have a floor of liquidity; what they have at
the broker, `ledger` knows. `limit_judge` judges each order when it is intended and again when its bytes leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from longwatch.domain import messages as m
from longwatch.domain.decide import Step, gate
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.quotes import Quote
from longwatch.domain.settings import StopRule, TradeSettings
from tests.domain.ledger import Ledger, Money
from tests.domain.limit_judge import UNIT, Account, Leaving, Live, Means, Tally, Ways, judge
from tests.domain.play import ACTS, NAMES, AtBroker, Play, pair_of, played
from tests.domain.world import (
    ACCOUNT,
    CON_IDS,
    DAY,
    EQUITY,
    MARGIN_ACCOUNT,
    PRICES,
    SETTINGS,
    START,
    SYMBOLS,
    VOLUME,
    World,
    completed,
    judged,
    open_order,
    order_status,
    perm_id,
)

D = Decimal
ACTS_OF_A_SLICE = 250
LAGS = (0, 0, 2, 5)
"""Seconds by which a reading's figures may be older than its question."""
AT_MOST_LIVE = 6
"""Live orders of an instrument at which strangers order nothing more: every way they may fill is tried."""


@dataclass(slots=True)
class Stranger:
    """An order of somebody else's at the broker."""

    con_id: int
    side: Side
    remaining: int


@dataclass(slots=True)
class Adversary(Play):
    """A play that remembers what was told of other people, and judges what leaves."""

    random: Random = field(default_factory=Random)
    tally: Tally = field(default_factory=Tally)
    strangers: dict[int, Stranger] = field(default_factory=dict)
    untold: dict[int, Decimal] = field(default_factory=dict)
    told_prices: dict[str, Decimal] = field(default_factory=lambda: dict(PRICES))
    in_force: TradeSettings = SETTINGS
    sent: list[datetime] = field(default_factory=list)
    ordered: list[tuple[int, int]] = field(default_factory=list)
    size: int = 400
    is_flatten: bool = False
    known: set[str] = field(default_factory=set)
    over: set[int] = field(default_factory=set)
    ledger: Ledger = field(default_factory=lambda: Ledger(Money(), D(0)))
    is_cash: bool = False
    lean: int = 1
    shortable: dict[str, int | None] = field(default_factory=dict)
    chance: Random = field(default_factory=Random)
    figures_of: datetime = START

    def take(self, event: m.Event) -> Step:
        flatten = self.state.is_on(m.Verb.FLATTEN)
        self._hear(event)
        step = World.take(self, event)
        if any(isinstance(fact, m.AccountValued) for fact in step.facts):
            self.ledger.read(self.figures_of)
        self.steps.clear()
        self.is_flatten = flatten
        leaving: list[tuple[Order, Order | None, int]] = []
        for effect in step.effects:
            match effect:
                case m.SubmitOrder():
                    self.queue.append(effect.order)
                    self.ordered.append((effect.order.intent, effect.order.con_id))
                    self._counted(effect.order)
                    leaving.append((effect.order, None, len(self.sent)))
                    if effect.attached is not None:
                        self.pairs[effect.order.intent] = effect.attached
                        self.ordered.append((effect.attached.intent, effect.attached.con_id))
                        leaving.append((effect.attached, None, len(self.sent)))
                case m.ModifyOrder():
                    self.changes.append(effect.order)
                    self._counted(effect.order)
                    leaving.append((effect.order, self.state.orders[effect.order.intent], len(self.sent)))
                case m.CancelOrder():
                    self.cancels.append(effect.intent)
                case _:
                    pass
        self.tally.intents += sum(isinstance(fact, m.TradeRefused) for fact in step.facts) + len(leaving)
        self.tally.accepted += len(leaving)
        for order, former, count in leaving:
            self.judged(order, former, count=count)
        return step

    def _counted(self, order: Order) -> None:
        """Stops are bound by no rate, and take nothing of it: they must not wait."""
        if order.purpose is not Purpose.STOP:
            self.sent.append(self.now)

    def _hear(self, event: m.Event) -> None:
        """What a daemon that listens must know from now on."""
        match event:
            case m.SnapshotSeen() if event.positions is not None:
                self.untold.clear()
                self.known.update(self.executions)
            case m.ExecutionSeen():
                self.known.add(event.exec_id)
            case m.SignalsEnded():
                self.told_prices = dict(event.prices)
            case m.ConfigLoaded():
                self.in_force = event.settings
            case _:
                pass

    def quotes(self, age_seconds: float = 1.0) -> tuple[Quote, ...]:
        size, known = D(self.size), {symbol: n if n is None else D(n) for symbol, n in self.shortable.items()}
        return tuple(
            replace(one, bid_size=size, ask_size=size, shortable=known.get(one.symbol))
            for one in World.quotes(self, age_seconds)
        )

    # ── the account's money ─────────────────────────────────────────────────────────────────────────────────────────

    def fill_price(self, order: Order) -> Decimal:
        """The market's, but at a limit's own for a sale, and never dearer than what the order counts at."""
        if order.limit_price and order.side is Side.SELL:
            return order.limit_price
        return min(self.prices[order.symbol], _counted(order))

    def filled(self, one: AtBroker, row: m.ExecutionSeen) -> None:
        self.told.append(row)
        charge = self._charge(one.filled) - self._charge(one.filled - row.quantity)
        self.ledger.trade(self.now, row.con_id, row.quantity * row.side.sign, row.price, charge)

    def _charge(self, shares: Decimal) -> Decimal:
        """The commission of an order once it has filled so many shares."""
        return max(self.settings.commission_per_share * shares, self.settings.commission_minimum) if shares else D(0)

    def traded(self, con_id: int, signed: Decimal, *, told: bool) -> None:
        """Somebody else has traded in the account."""
        self.positions[con_id] = self.positions.get(con_id, D(0)) + signed
        price, charge = PRICES[SYMBOLS[con_id]], self._charge(abs(signed))
        self.ledger.trade(self.now, con_id, signed, price, charge, told=told)
        if told:
            self.made += 1
            side = Side.BUY if signed > 0 else Side.SELL
            self.stranger(SYMBOLS[con_id], int(abs(signed)), f"f{self.made:06x}.01", side)
        else:
            self.untold[con_id] = self.untold.get(con_id, D(0)) + signed

    def snapshot(self, **fields: Any) -> Step:
        """With the account's figures, which may be some seconds behind what has happened; but never go back."""
        self.figures_of = max(self.figures_of, self.now - timedelta(seconds=self.chance.choice(LAGS)))
        money = self.ledger.as_of(self.figures_of)
        self.figures = replace(
            MARGIN_ACCOUNT,
            trading_type="STKCASH" if self.is_cash else "STKMRGN",
            settled_cash=money.settled,
            excess_liquidity=EQUITY - money.bound,
        )
        self.cash = money.cash
        return World.snapshot(self, **fields)

    def means(self, leaving: Order, newest: int | None) -> Means:
        """What the account has the means for, with our orders up to the intent `newest`.

        The stop that leaves with an entry is, like any other, paid for by what it sells.
        """
        limits, known = self.in_force, self.ledger.knowable()
        live = [
            self._live(order, terms, filled)
            for order, terms, filled in self.live_now()
            if (newest is None or order.intent <= newest) and order.attached_to != leaving.intent
        ]
        for one in self.strangers.values():
            left, price = one.remaining, int(self.told_prices[SYMBOLS[one.con_id]] * UNIT)
            live.append(Live(sign=one.side.sign, left=left, price=price, whole=left, filled=0, is_entry=True))
        spendable = known.cash if limits.spend_unsettled else known.settled
        return Means(
            money=int(spendable * UNIT) if self.is_cash else None,
            liquidity=None if self.is_cash else int((EQUITY - known.bound - limits.min_excess_liquidity) * UNIT),
            fraction=limits.margin_fraction,
            shortable=(self.shortable.get(leaving.symbol) or 0) if limits.check_shortable else None,
            per_share=int(limits.commission_per_share * UNIT),
            minimum=int(limits.commission_minimum * UNIT),
            live=tuple(live),
        )

    def _live(self, order: Order, terms: list[Order], filled: Decimal) -> Live:
        dearest = max(terms, key=lambda one: (one.quantity - filled) * _counted(one))
        return Live(
            sign=order.side.sign,
            left=max(int(one.quantity - filled) for one in terms),
            price=int(_counted(dearest) * UNIT),
            whole=int(max(one.quantity for one in terms)),
            filled=int(filled),
            is_entry=order.purpose is Purpose.ENTRY,
        )

    # ── what leaves ─────────────────────────────────────────────────────────────────────────────────────────────────

    def judged(self, order: Order, former: Order | None, *, at_the_write: bool = False, count: int = 0) -> None:
        """Hold an order, or the new terms of one, against every limit; at the write those that are asked there."""
        there = self.book.get(order.intent)
        filled = int(there.filled) if there else 0
        grows, nearer = self._grows(order, there.order) if former is not None and there is not None else (True, True)
        if not grows:
            return
        leaving = Leaving(
            con_id=order.con_id,
            symbol=order.symbol,
            sign=order.side.sign,
            quantity=int(order.quantity),
            filled=filled,
            price=self._paid(order),
            limit=order.limit_price if nearer else None,
            is_entry=order.purpose is Purpose.ENTRY,
            is_stop=order.purpose is Purpose.STOP,
            is_profit=order.purpose is Purpose.PROFIT,
            is_change=former is not None,
            is_larger=former is None or there is None or order.quantity > there.order.quantity,
            entry=self._entry_of(order) if former is None else None,
        )
        # An exit decided on after an entry is bound by no limit on exposure: the entry meets it at the write.
        newest = None if at_the_write or former is not None else order.intent
        account = self.account(order, newest, count, order.oca_group if order.purpose is Purpose.REDUCE else "")
        judge(leaving, account, self.in_force, self.tally, at_the_write=at_the_write)

    def _entry_of(self, stop: Order) -> int | None:
        """Shares of the entry that a stop leaves with."""
        entry = next((one for one in self.queue if one.intent == stop.attached_to), None)
        return None if entry is None else int(entry.quantity)

    def _grows(self, order: Order, former: Order) -> tuple[bool, bool]:
        """Whether new terms are larger or dearer, and whether they are larger or nearer to the market."""
        is_larger = order.quantity > former.quantity
        nearer = ((order.limit_price or D(0)) - (former.limit_price or D(0))) * order.side.sign > 0
        return is_larger or self._paid(order) > self._paid(former), is_larger or nearer

    def _paid(self, order: Order) -> int:
        """The most a share may come to: the sizing price, or what is dearer of limit, stop and the market then."""
        asked = order.limit_price or max(order.stop_price or D(0), order.decision_price)
        return int(max(self.told_prices[order.symbol], asked) * UNIT)

    def account(self, leaving: Order, newest: int | None, count: int, joined: str) -> Account:
        """The account as it is at the broker, but for what other people did and nobody has told.

        With our orders up to the intent `newest`, the last of the first `count` sent; but for the stop whose group an
        exit has `joined`: that is judged on its own.
        """
        self.orphan()
        con_ids = list(SYMBOLS)
        ours: dict[int, list[Ways]] = {con_id: [] for con_id in con_ids}
        together: dict[tuple[int, str], set[tuple[int, int]]] = {}
        for order, terms, filled in self.live_now():
            if newest is not None and order.intent > newest:
                continue
            if joined and order.oca_group == joined and order.purpose is Purpose.STOP:
                continue
            if self.is_waiting(order):
                ways, group = self._ways_of_waiting(order), (order.con_id, f"of {order.attached_to} alone")
            else:
                ways = {self._way(one, filled) for one in terms if one.quantity > filled and not self.is_spent(one)}
                # What one of a group fills the broker takes from the others.
                group = (order.con_id, order.oca_group or f"of {order.intent} alone")
            together[group] = together.get(group, set()) | ways
        for (one_of, _), ways in together.items():
            ours[one_of].append(tuple(sorted(ways)))
        others: dict[int, list[Ways]] = {con_id: [] for con_id in con_ids}
        for one in self.strangers.values():
            price = int(self.told_prices[SYMBOLS[one.con_id]] * UNIT)
            others[one.con_id].append(((one.side.sign * one.remaining, price),))
        traded = dict.fromkeys(con_ids, 0)
        for intent, ordered in self.ordered:
            traded[ordered] += self._traded(intent)
        equity = EQUITY if self.in_force.max_capital_value is None else min(EQUITY, self.in_force.max_capital_value)
        return Account(
            unheard={one: self._unheard_of_stops(one) for one in con_ids},
            bought={one: self._bought(one) for one in con_ids},
            held={one: int(self.positions.get(one, D(0)) - self.untold.get(one, D(0))) for one in con_ids},
            price={one: int(self.told_prices[SYMBOLS[one]] * UNIT) for one in con_ids},
            ours={one: tuple(ways) for one, ways in ours.items()},
            others={one: tuple(ways) for one, ways in others.items()},
            symbols=SYMBOLS,
            volume=dict.fromkeys(con_ids, int(VOLUME)),
            traded=traded,
            displayed=dict.fromkeys(con_ids, self.size),
            equity=equity,
            sent=self.sent[max(count - 100, 0) : count],
            now=self.now,
            is_flatten=self.is_flatten,
            means=self.means(leaving, newest),
        )

    def is_waiting(self, order: Order) -> bool:
        """Whether the broker keeps a stop from the market for the entry it left with, or will once it has both."""
        if order.attached_to is None:
            return False
        entry = self.book.get(order.attached_to)
        return entry is None or not entry.ended

    def _ways_of_waiting(self, stop: Order) -> set[tuple[int, int]]:
        """A stop that waits may sell what its entry has filled, should that end now, and later what that fills yet."""
        entry = self.book.get(stop.attached_to or 0)
        bought = int(min(stop.quantity, entry.filled)) if entry is not None else 0
        return {(stop.side.sign * bought, self._paid(stop))} if bought else set()

    def orphan(self) -> None:
        if self.settings.attached_stops:
            Play.orphan(self)

    def is_spent(self, order: Order) -> bool:
        """Whether an order of its OCA group has filled: the broker lets no other in it fill."""
        groups = (one.order.oca_group for one in self.book.values() if one.ended == "Filled")
        return bool(order.oca_group) and order.oca_group in groups

    def live_now(self) -> Iterator[tuple[Order, list[Order], Decimal]]:
        """Our orders that may still fill: those of the broker, and those on their way; the terms each may have."""
        changes = {order.intent: order for order in self.changes}
        for intent, one in self.book.items():
            if not one.ended:
                asked = [changes[intent]] if intent in changes else []
                yield one.order, [one.order, *asked], one.filled
        for order in self.queue:
            # One that is over by now, proven absent as it waited, is withheld when its turn comes.
            stop = self.pairs.get(order.intent)
            for one in (order,) if stop is None else (order, stop):
                if self.state.orders[one.intent].is_live:
                    yield one, [one], D(0)

    def _way(self, order: Order, filled: Decimal) -> tuple[int, int]:
        return order.side.sign * int(order.quantity - filled), self._paid(order)

    def _bought(self, con_id: int) -> int:
        """Signed shares of the daemon's own book, fills inferred from the position too: what its stops are for."""
        return int(self.state.held(con_id))

    def _unheard_of_stops(self, con_id: int) -> int:
        """Unsigned shares that live stops have filled at the broker and nobody was told of."""
        stops = {
            one.order.ref
            for one in self.book.values()
            if one.order.con_id == con_id and one.order.purpose is Purpose.STOP and not one.ended
        }
        return sum(int(row.quantity) for row in self.told if row.ref in stops and row.exec_id not in self.known)

    def _traded(self, intent: int) -> int:
        """Shares that an order of this session has traded, or may still; of what rests, those heard of."""
        there = self.book.get(intent)
        if there is None:
            return sum(int(order.quantity) for order in self.queue if order.intent == intent and not order.rests)
        rests = there.order.rests
        fills = (one for one in self.told if one.ref == there.order.ref and (one.exec_id in self.known or not rests))
        stands = sum(int(one.quantity) for one in fills)
        asked = [order.quantity for order in self.changes if order.intent == intent]
        return stands if there.ended or rests else stands + int(max([there.order.quantity, *asked]) - there.filled)

    def rows(self) -> None:
        """As of any play; but rows that were told before and are as they were, only of late: they say nothing new."""
        for perm in list(self.strangers):
            self.take(self.stranger_row(perm))
        for row in [row for row in self.told if row.exec_id not in self.known] + self.told[-3:]:
            self.take(replace(row, at=self.now, tech=self.now))
        for intent, one in self.book.items():
            if not one.ended:
                self.take(open_order(one.order, self.now))
            elif intent not in self.over:
                self.take(completed(one.order, self.now, one.ended, int(one.filled)))
                self.over.add(intent)
        self.open_orders = {perm_id(i) for i, one in self.book.items() if not one.ended} | set(self.strangers)
        self.completed = {perm_id(i) for i, one in self.book.items() if one.ended}

    def stranger_row(self, perm: int) -> m.OpenOrderSeen:
        """How the broker shows a stranger's order."""
        one = self.strangers[perm]
        return m.OpenOrderSeen(
            at=self.now,
            tech=self.now,
            order_id=0,
            client_id=0,
            perm_id=perm,
            ref="",
            account=ACCOUNT,
            con_id=one.con_id,
            symbol=SYMBOLS[one.con_id],
            side=one.side,
            quantity=D(one.remaining),
            order_type="LMT",
            limit_price=D(1),
            stop_price=None,
            tif="GTC",
            status="Submitted" if one.remaining else "Filled",
        )


def slice_of(seed: str, tally: Tally) -> None:
    """One world, one set of limits, a few hundred acts. Raises AssertionError at the first order beyond a limit."""
    random = Random(seed)
    play = _world(_settings(random), Random(f"{seed}|account"))
    play.random, play.tally = random, tally
    played((), play)
    names, weights = zip(*((act, weight) for act, weight in OFTEN.items()), strict=True)
    for act in random.choices(names, weights, k=ACTS_OF_A_SLICE):
        play.wait(random.choice((1, 2, 5, 20)))
        act(play, random.randrange(5_000))
        tally.acts += 1


def _world(limits: TradeSettings, chance: Random) -> Adversary:
    """An account of some kind: one that lends as much as anybody asks, one with a floor, or one of cash alone."""
    kind = chance.choice(("any", "cash", "cash", "margin", "margin"))
    if kind == "any":
        return Adversary(settings=limits, chance=chance, ledger=Ledger(Money(EQUITY, EQUITY), limits.margin_fraction))
    stop = limits.stop and replace(limits.stop, profit_fraction=chance.choice((None, D("0.01"), D("0.04"))))
    limits = replace(
        limits,
        stop=stop,
        attached_stops=chance.random() < 0.5,
        allow_short=limits.allow_short or chance.random() < 0.3,
        check_shortable=True,
        spend_unsettled=chance.random() < 0.3,
        commission_per_share=D(chance.choice(("0", "0.005", "0.05"))),
        commission_minimum=D(chance.choice((0, 1, 20))),
        min_excess_liquidity=D(chance.choice((0, 80_000, 90_000, 96_000))),
        margin_fraction=D(chance.choice(("0.25", "0.5", "1"))),
    )
    settled = D(chance.choice((2_000, 8_000, 15_000, 40_000)))
    money = Money(settled, settled + chance.choice((0, 20_000)))
    world = Adversary(settings=limits, chance=chance, ledger=Ledger(money, limits.margin_fraction))
    world.is_cash = kind == "cash"
    world.lean = -1 if limits.allow_short and not world.is_cash and chance.random() < 0.6 else 1
    _borrowed(world)
    return world


def _borrowed(play: Adversary) -> None:
    """How many shares can be borrowed is another number, or nobody knows."""
    if play.settings.check_shortable:
        play.shortable = {symbol: play.chance.choice((None, 0, 30, 100, 300, 600)) for symbol in NAMES}


def _settings(random: Random) -> TradeSettings:
    gross = random.choice(("0.2", "0.35", "0.5", "0.8", "1", "1.5"))
    weight = random.choice(("0.05", "0.1", "0.15", "0.25", "0.4", "0.9"))
    return replace(
        SETTINGS,
        max_weight=D(weight),
        max_gross_exposure=D(gross),
        max_net_exposure=D(gross) * random.choice((1, 1, D("0.5"), D("0.8"))),
        max_position_size=D(random.choice((100, 310, 900, 10_000))),
        max_order_shares=random.choice((None, D(90), D(400))),
        max_order_value=random.choice((None, D(4_000), D(15_000))),
        max_volume_fraction=random.choice((None, None, D("0.0004"), D("0.004"))),
        max_displayed_fraction=random.choice((None, None, D("0.25"), D(1))),
        groups=random.choice(((), (("two", ("AAA", "BBB"), D(weight)), ("all", NAMES, D(gross) / 2)))),
        max_orders_per_minute=random.choice((6, 20, 60, 60)),
        price_band_fraction=random.choice((D("0.03"), D("0.1"))),
        limit_offset_bps=D(random.choice((0, 20, 200))),
        order_type=random.choice(("LMT", "LMT", "LMT", "MKT", "STP", "STP LMT")),
        allow_short=random.random() < 0.4,
        check_shortable=False,
        lot_size=D(random.choice((1, 1, 1, 10))),
        max_capital_value=random.choice((None, None, D(40_000))),
        breaker_strikes=50,
        stop=random.choice((None, StopRule(fraction=D("0.03")), StopRule(fraction=D("0.05"), trails=True))),
    )


# ── acts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _target(play: Adversary, symbol: str) -> str:
    """A weight on one of the limits, a hair beyond, far beyond, or none."""
    limits, random, price = play.in_force, play.random, play.prices[symbol]
    equity = EQUITY if limits.max_capital_value is None else limits.max_capital_value
    edges = [
        limits.max_weight,
        limits.max_gross_exposure / 3,
        limits.max_position_size * price / equity,
        *(weight / len(symbols) for _, symbols, weight in limits.groups),
    ]
    weight = random.choice(
        (D(0), random.choice(edges), random.choice(edges), D(5), D(random.random()).quantize(D("0.001")))
    )
    weight *= random.choice((D(1), D("1.001"), D("0.999"), D("1.05"), D("0.5")))
    return str((play.lean * weight * random.choice((1, 1, 1, 1, -1))).quantize(D("0.000001")))


def _rebalance(play: Adversary, number: int) -> None:
    play.targets(**{symbol: _target(play, symbol) for symbol in NAMES})
    play.rebalance()


def _trade(play: Adversary, number: int) -> None:
    """A decision whose orders leave at once and are acknowledged, and mostly filled; mostly after those before it."""
    if number % 10 < 9:
        _clear(play, number)
    _rebalance(play, number)
    while play.queue:
        _write(play, play.random.randrange(5_000))
    for one in [one for one in play.book.values() if not one.ended]:
        if play.random.random() < 0.9 and not one.ended:
            _of_play("acknowledge")(play, list_live(play).index(one))
        if play.random.random() < 0.75:
            _fill(play, one)


def list_live(play: Adversary) -> list[AtBroker]:
    """The orders that `Play.pick` chooses from."""
    return [one for one in play.book.values() if not one.ended]


def _fill(play: Adversary, one: AtBroker) -> None:
    """An order fills, in part or whole, if it may trade."""
    if one.ended or play.waits(one):
        return
    live = [other for other in list_live(play) if not play.waits(other)]
    _of_play("fill")(play, live.index(one) + len(live) * play.random.randrange(60))


def _write(play: Adversary, number: int) -> None:
    """The next order's turn: judged once more if the gate lets it pass; handed, and at times lost on the way."""
    if not play.queue:
        return
    orders = [play.queue[0], *filter(None, [play.pairs.get(play.queue[0].intent)])]
    reason = next(filter(None, (gate(play.state, order.intent, play.now, play.quotes) for order in orders)), None)
    for order in orders if reason is None else ():
        play.judged(order, None, at_the_write=True)
    pair_of(play, play.queue.pop(0))
    for order in orders:
        if reason is not None:
            play.hear(m.OrderWithheld, intent=order.intent, reason=reason)
            continue
        play.handed(order.intent)
        if number % 50:
            play.book[order.intent] = AtBroker(order, ended="Cancelled" if play.is_spent(order) else "")


def _change(play: Adversary, number: int) -> None:
    """The next modification's turn, judged once more where the gate lets it pass."""
    if not play.changes:
        return
    order = play.changes[0]
    if gate(play.state, order.intent, play.now, play.quotes) is None:
        play.judged(order, order, at_the_write=True)
    ACTS["change"](play, number)


def _modify(play: Adversary, number: int) -> None:
    """More of a working order, or dearer, up to three times as much and past the band."""
    working = [order for order in play.state.live_orders() if order.state is OrderState.WORKING]
    if not working:
        return
    random, order = play.random, play.random.choice(working)
    lot = play.in_force.lot_size
    more = int(order.quantity * random.choice((D("0.3"), D("1.02"), D("1.3"), D(3))) / lot) * lot
    price = play.told_prices[order.symbol]
    edge = 1 + play.in_force.price_band_fraction * random.choice((1, -1)) * random.choice(
        (D("0.5"), D("0.995"), D("1.02"))
    )
    new = (price * edge).quantize(D("0.01"))
    words = [
        str(more) if random.random() < 0.8 and more > 0 else "-",
        str(new) if order.limit_price is not None and random.random() < 0.5 else "-",
        str(new) if order.stop_price is not None and random.random() < 0.3 else "-",
    ]
    argument = f"{order.intent} {' '.join(words)}"
    play.hear(m.ControlRequested, command="modify", argument=argument, by="uid 1000", quotes=play.quotes())


def _stranger(play: Adversary, number: int) -> None:
    """Somebody else's trade of up to 300 shares, its execution heard or not."""
    signed = D(1 + number % 300) * (Side.BUY, Side.SELL)[number % 2].sign
    play.traded(CON_IDS[NAMES[number % 3]], signed, told=bool(number % 3))


def _strangers_order(play: Adversary, number: int) -> None:
    """Somebody else's order comes, goes, or fills in part; the fill is told at once or by the next download."""
    perm, con_id = 7_000 + number % 4, 1 + number % 3
    one = play.strangers.get(perm)
    if one is None:
        live = sum(1 for order, _, _ in play.live_now() if order.con_id == con_id)
        if live <= AT_MOST_LIVE:
            play.strangers[perm] = Stranger(con_id, (Side.BUY, Side.SELL)[number % 2], 10 + number % 200)
            play.take(play.stranger_row(perm))
        return
    part = max(1, one.remaining // (1 + number % 3))
    if number % 5:
        play.traded(one.con_id, D(part * one.side.sign), told=bool(number % 2))
        one.remaining -= part
    else:
        one.remaining = 0
    if number % 2 or not one.remaining:
        play.take(play.stranger_row(perm))
    if not one.remaining:
        del play.strangers[perm]


def _bust(play: Adversary, number: int) -> None:
    """An execution of ours is taken back; where nothing says so, nobody knows until the next download."""
    if not play.told:
        return
    gone = play.told[number % len(play.told)]
    signed, untold = gone.quantity * gone.side.sign, number % 2 == 0 and gone.exec_id in play.known
    play.ledger.take_back(play.now, gone.con_id, signed, gone.price, told=not untold)
    ACTS["bust"](play, number)
    if untold:
        play.untold[gone.con_id] = play.untold.get(gone.con_id, D(0)) - signed


def _correct(play: Adversary, number: int) -> None:
    """An execution of ours is told at another price, dearer by one: a purchase has cost more, a sale brought more."""
    if play.told:
        row = play.told[number % len(play.told)]
        signed = row.quantity * row.side.sign
        play.ledger.change(play.now, Money(min(-signed, D(0)), -signed))
    ACTS["correct"](play, number)


def _market(play: Adversary, number: int) -> None:
    """The market moves, at times to the very edge of the band; the size displayed with it."""
    random, symbol = play.random, NAMES[number % 3]
    if number % 2:
        price = play.prices[symbol] * D(random.uniform(0.97, 1.03))
    else:
        offset = play.in_force.limit_offset_bps / 10_000
        edge = play.in_force.price_band_fraction - offset - D("0.0002")
        price = play.told_prices[symbol] * (1 + random.choice((1, -1)) * edge * random.choice((D(1), D(1), D("1.05"))))
    play.prices[symbol] = min(max(price, PRICES[symbol] / 2), PRICES[symbol] * 2).quantize(D("0.01"))
    play.size = random.choice((40, 100, 400, 1_000))
    _borrowed(play)


def _settle(play: Adversary, number: int) -> None:
    """What was sold settles, or money is paid in; the next reading shows it."""
    if play.is_cash:
        play.ledger.settle(play.now, D(play.chance.choice((2_000, 8_000, 15_000, 40_000))))


def _edge(play: Adversary, number: int) -> None:
    """After the targets the market moves to the edge of the band, just within it or just beyond."""
    _clear(play, number)
    play.targets(**{symbol: _target(play, symbol) for symbol in NAMES})
    offset = play.in_force.limit_offset_bps / 10_000
    for symbol in NAMES:
        sign = play.random.choice((1, -1))
        edge = 1 + sign * play.in_force.price_band_fraction * play.random.choice((D("0.996"), D("0.998"), D("1.01")))
        play.prices[symbol] = (play.told_prices[symbol] * edge / (1 + sign * offset)).quantize(D("0.01"))
    play.rebalance()
    play.prices = dict(play.told_prices)


def _reload(play: Adversary, number: int) -> None:
    """Some limits tighter, or as they were."""
    factor = play.random.choice((D(1), D(1), D("0.7"), D("0.4")))
    first = play.settings
    changes: dict[str, Any] = {
        name: getattr(first, name) * factor for name in ("max_weight", "max_gross_exposure", "max_net_exposure")
    }
    play.hear(m.ConfigLoaded, settings=replace(first, **changes), sha256=str(number))


def _calm(play: Adversary, number: int) -> None:
    """All is well again for a while: what was held back may go on."""
    if play.state.link is not m.Link.READY:
        _of_play("connect")(play, number * 4)
    if not play.state.backend_up:
        play.hear(m.BackendSeen, up=True)
    play.hear(m.ControlRequested, command="resume", argument="all", by="uid 1000")
    for con_id in list(play.state.quarantines):
        play.hear(m.ControlRequested, command="unquarantine", argument=SYMBOLS[con_id], by="uid 1000")
    play.hear(m.DataRefreshed, run_id=f"refresh@{number}", session=DAY, judged=tuple(map(judged, NAMES)))
    for _ in range(2):
        play.wait(31)
        play.rows()
        play.snapshot()
    play.hear(m.ClockSeen, skew_seconds=0.1)


def _clear(play: Adversary, number: int) -> None:
    """Every live order is cancelled or filled, and told: room for the next."""
    for one in list_live(play):
        if play.random.random() < 0.5:
            _fill(play, one)
        if not one.ended:
            one.ended = "Cancelled"
            play.orphan()
            play.take(order_status(one.order, play.now, "Cancelled", one.filled))
    play.rows()
    play.snapshot()
    play.hear(m.ControlRequested, command="resume", argument="all", by="uid 1000")


def _command(play: Adversary, number: int) -> None:
    name = ("halt", "pause", "flatten", "cancel")[number % 4]
    play.hear(m.ControlRequested, command=name, argument="all", by="uid 1000")


def _counted(order: Order) -> Decimal:
    """The most that a share is taken to cost: the limit, else the stop or the market it was decided at."""
    return order.limit_price or max(order.stop_price or D(0), order.decision_price)


def _of_play(name: str) -> Callable[[Play, int], None]:
    return ACTS[name]


OFTEN: dict[Callable[[Any, int], None], float] = {
    _trade: 30,
    _rebalance: 3,
    _of_play("again"): 3,
    _write: 6,
    _change: 5,
    _modify: 7,
    _of_play("acknowledge"): 4,
    _of_play("fill"): 8,
    _correct: 0.5,
    _settle: 3,
    _bust: 0.5,
    _of_play("cancel"): 4,
    _of_play("kill"): 1,
    _of_play("reject"): 1,
    _of_play("silence"): 2,
    _of_play("snapshot"): 5,
    _of_play("lose link"): 0.3,
    _of_play("connect"): 2,
    _of_play("crash"): 0.2,
    _stranger: 1,
    _strangers_order: 2,
    _command: 0.3,
    _market: 8,
    _edge: 3,
    _of_play("backend"): 0.2,
    _of_play("unreadable"): 0.1,
    _of_play("data"): 0.2,
    _reload: 1,
    _calm: 5,
    _clear: 2,
}
"""Each act, and how often it comes beside the others."""

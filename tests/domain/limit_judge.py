"""Judges each order that leaves by arithmetic of its own: every way in which the live orders may fill is tried.

It knows what the broker of the play knows of our orders, whatever the daemon has heard, and of other people what the
daemon was told. Shares are whole numbers and prices counted in hundredths of a cent, so nothing is rounded. It calls
nothing of the daemon's: no exposure, no caps, no order's `remaining`. Of its state it knows the book, for stops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.domain.settings import TradeSettings

UNIT = 10_000
"""Of prices, in a unit of the currency."""
NEAR = Decimal("0.99")
MOST_WAYS = 100_000
WHEN_DECIDED = frozenset({"order_rate", "price_band", "max_volume_fraction", "max_displayed_fraction"})
"""Asked when an order is decided on, and not again when its bytes leave."""

Ways = tuple[tuple[int, int], ...]
"""What one live order, or one OCA group, may still do: (signed shares, what each is paid at), one of them or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """An order, or new terms of one, on its way to the broker. `price` what it may be paid at most.

    `is_larger` where that is more shares than before, `entry` shares of the entry that a stop leaves with.
    """

    con_id: int
    symbol: str
    sign: int
    quantity: int
    filled: int
    price: int
    limit: Decimal | None
    is_entry: bool
    is_stop: bool
    is_profit: bool
    is_change: bool
    is_larger: bool
    entry: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """An order that may still fill, ours or not: shares left, what each costs at most, the whole and what has filled.

    Of two terms that may both be in force the dearer.
    """

    sign: int
    left: int
    price: int
    whole: int
    filled: int
    is_entry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the broker lets the account do, but for what nobody told: money in `UNIT`s, None where it does not bind.

    `money` is what a cash account may spend, `liquidity` what a margin account has above its floor; `fraction` of its
    price each share bought or sold short binds. `shortable` shares of the instrument can be borrowed. A commission is
    `per_share`, and `minimum` at least, an order.
    """

    money: int | None
    liquidity: int | None
    fraction: Decimal
    shortable: int | None
    per_share: int
    minimum: int
    live: tuple[Live, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What there is when an order leaves: con_id -> shares, those of the daemon's book,
    what live stops have filled unheard, the sizing price, and the live orders in each, ours and others'.

    `ours` are those of `live` that are ours; the order that leaves is among them. `symbols` names the con_ids.
    """

    held: Mapping[int, int]
    bought: Mapping[int, int]
    unheard: Mapping[int, int]
    price: Mapping[int, int]
    ours: Mapping[int, tuple[Ways, ...]]
    others: Mapping[int, tuple[Ways, ...]]
    symbols: Mapping[int, str]
    volume: Mapping[int, int]
    traded: Mapping[int, int]
    displayed: Mapping[int, int]
    equity: Decimal
    sent: Iterable[datetime]
    now: datetime
    is_flatten: bool
    means: Means


@dataclass(slots=True)
class Tally:
    """What was sent, and how close it came."""

    intents: int = 0
    accepted: int = 0
    judged: int = 0
    near: Counter[str] = field(default_factory=Counter)
    used: dict[str, Decimal] = field(default_factory=dict)
    acts: int = 0

    def add(self, other: Tally) -> None:
        self.intents += other.intents
        self.accepted += other.accepted
        self.judged += other.judged
        self.acts += other.acts
        self.near.update(other.near)
        for name, used in other.used.items():
            self.used[name] = max(used, self.used.get(name, Decimal(0)))


def judge(
    leaving: Leaving, account: Account, limits: TradeSettings, tally: Tally, *, at_the_write: bool = False
) -> None:
    """Raises AssertionError when the order could at worst pass a limit; counts how close it comes to each."""
    tally.judged += 1
    for name, observed, limit in measures(leaving, account, limits):
        if at_the_write and name in WHEN_DECIDED:
            continue
        assert observed <= limit, f"{name}: {observed} would pass {limit}: {leaving}"
        share = observed / limit if limit else Decimal(1)
        tally.used[name] = max(share, tally.used.get(name, Decimal(0)))
        tally.near[name] += share >= NEAR


def measures(leaving: Leaving, account: Account, limits: TradeSettings) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Each limit that binds: its name, what would be reached at worst, and the limit."""
    if leaving.is_stop or leaving.is_profit:
        yield f"reversal of {'stops' if leaving.is_stop else 'take-profits'}", *_reversal(leaving, account)
        if leaving.entry is not None:
            yield "stop of its entry", Decimal(leaving.quantity), Decimal(leaving.entry)
        return
    minute = [at for at in account.sent if account.now - at < timedelta(minutes=1)]
    yield "order_rate", Decimal(len(minute)), Decimal(limits.max_orders_per_minute)
    if limits.max_order_shares is not None:
        yield "max_order_shares", Decimal(leaving.quantity), limits.max_order_shares
    if limits.max_order_value is not None:
        value = Decimal(leaving.quantity * leaving.price) / UNIT
        yield "max_order_value", value, limits.max_order_value
    if leaving.limit is not None and not account.is_flatten:
        price = Decimal(account.price[leaving.con_id]) / UNIT
        yield "price_band", abs(leaving.limit / price - 1), limits.price_band_fraction
    if leaving.sign < 0 and account.means.money is not None:
        yield "cash_short", *_reversal(leaving, account)
    if leaving.is_entry:
        yield from _of_entries(leaving, account, limits)
    else:
        yield "reversal", *_reversal(leaving, account)


def _reversal(leaving: Leaving, account: Account) -> tuple[Decimal, Decimal]:
    """What all our orders on its side may trade, and what there is to be traded away."""
    sold = _furthest(account.ours[leaving.con_id], leaving.sign)
    there = account.held[leaving.con_id]
    # What we have bought is protected until it is clear that a reading without it is right.
    rests = leaving.is_stop or leaving.is_profit
    shares = (there, account.bought[leaving.con_id]) if rests else (there,)
    most = max(0, *(-leaving.sign * one for one in shares))
    # An exit that enters the group of a stop relies on the broker for what that has filled and nobody was told of.
    return Decimal(sold), Decimal(most + account.unheard[leaving.con_id])


def _of_entries(leaving: Leaving, account: Account, limits: TradeSettings) -> Iterator[tuple[str, Decimal, Decimal]]:
    con_id, equity = leaving.con_id, account.equity
    shares = [sum(s for s, _ in way) for way in _all_ways(account, con_id)]
    furthest = max(leaving.sign * (account.held[con_id] + one) for one in shares)
    yield "max_position_size", Decimal(furthest), limits.max_position_size
    ends = {one: sorted(_values(account, one)) for one in account.held}
    value = max(leaving.sign * one for one in ends[con_id])
    yield "max_weight", Decimal(value) / UNIT, limits.max_weight * equity
    widest = {one: max(abs(values[0]), abs(values[-1])) for one, values in ends.items()}
    yield "max_gross_exposure", Decimal(sum(widest.values())) / UNIT, limits.max_gross_exposure * equity
    net = max(sum(values[-1] for values in ends.values()), -sum(values[0] for values in ends.values()))
    yield "max_net_exposure", Decimal(net) / UNIT, limits.max_net_exposure * equity
    for name, symbols, weight in limits.groups:
        if leaving.symbol in symbols:
            total = sum(widest[one] for one in account.held if account.symbols[one] in symbols)
            yield f"max_group_weight ({name})", Decimal(total) / UNIT, weight * equity
    if limits.max_volume_fraction is not None:
        most = limits.max_volume_fraction * account.volume[con_id]
        yield "max_volume_fraction", Decimal(account.traded[con_id]), most
    # The shares of before were asked for when there was more to be seen.
    if limits.max_displayed_fraction is not None and leaving.is_larger:
        taken = _furthest(account.ours[con_id], leaving.sign)
        yield "max_displayed_fraction", Decimal(taken), limits.max_displayed_fraction * account.displayed[con_id]
    if not limits.allow_short and leaving.sign < 0:
        yield "long_only", Decimal(1), Decimal(0)
    yield from _of_means(leaving, account, account.means)


def _of_means(leaving: Leaving, account: Account, means: Means) -> Iterator[tuple[str, Decimal, Decimal]]:
    """What the account has the means for: each purchase paid, or each entry's margin bound, should all of them fill."""
    if leaving.sign < 0 and means.shortable is not None:
        short = _furthest(account.ours[leaving.con_id], -1) - max(account.held[leaving.con_id], 0)
        yield "shortable", Decimal(max(short, 0)), Decimal(means.shortable)
    if means.money is not None and leaving.sign > 0:
        cost = sum(one.left * one.price + _charge(means, one.whole) for one in means.live if one.sign > 0)
        cost += sum(_charge(means, one.whole) for one in means.live if one.sign < 0)
        charged = sum(_charge(means, one.filled) for one in means.live)
        yield "settled_cash", Decimal(cost - charged) / UNIT, Decimal(means.money) / UNIT
    if means.liquidity is not None:
        bound = means.fraction * sum(one.left * one.price for one in means.live if one.is_entry)
        yield "excess_liquidity", bound / UNIT, Decimal(means.liquidity) / UNIT


def _charge(means: Means, shares: int) -> int:
    """The commission of an order once it has filled so many shares."""
    return max(means.per_share * shares, means.minimum) if shares else 0


def _furthest(orders: Iterable[Ways], sign: int) -> int:
    """The most shares that orders may trade on one side."""
    return sum(max((sign * shares for shares, _ in ways if shares * sign > 0), default=0) for ways in orders)


def _all_ways(account: Account, con_id: int) -> list[tuple[tuple[int, int], ...]]:
    """Every way in which the live orders of an instrument may fill: each not at all, or in one of its ways."""
    found: list[tuple[tuple[int, int], ...]] = [()]
    for ways in (*account.ours.get(con_id, ()), *account.others.get(con_id, ())):
        found += [(*way, one) for way in found for one in ways]
        assert len(found) <= MOST_WAYS, "too many live orders to try them all"
    return found


def _values(account: Account, con_id: int) -> set[int]:
    """What the position may come to be worth: what is held at the sizing price, a fill at what it may be paid at."""
    held = account.held[con_id] * account.price[con_id]
    return {held + sum(shares * paid for shares, paid in way) for way in _all_ways(account, con_id)}

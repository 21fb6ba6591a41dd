"""Three promises that something goes on after trouble: outcomes become known, orders are sent, targets are reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from longwatch.simulation.booked import PROTECTIVE, ZERO, BookedOrder
from longwatch.simulation.evidence import TERMINAL, Evidence, Found, Row
from longwatch.simulation.obedience import is_held_by_a_limit
from longwatch.simulation.shares import true_shares

SETTLED_WITHIN = timedelta(minutes=30)
"""How long after the last fault, and the close of its session, an order's outcome may still be unknown."""
LEAST_ORDERS_A_DAY: Mapping[bool, int] = {False: 1, True: 10}
"""Orders that there are on average, by whether the run trades all day long."""
LEAST_AT_TARGET = Decimal("0.99")
"""Share of the instruments that hold what was wanted at the end."""
PRICE_MOVE = Decimal("0.10")
A_PERIOD = timedelta(minutes=30)
A_BRISK_PERIOD = timedelta(minutes=2)
"""How often a run rebalances: one of several days at most, and one of much trading."""


def no_unknown_remains(evidence: Evidence) -> Found:
    """SETTLED_WITHIN after the last fault, and at the end, every outcome is known, but where nobody could tell it.

    A DAY order that a restart has made undecidable is decided by its session's end, so that is waited for.
    """
    settled = _trouble_is_over(evidence) + SETTLED_WITHIN
    for at in sorted({min(settled, evidence.scene.ends), evidence.scene.ends}):
        yield from _unknown(evidence, at)


def _trouble_is_over(evidence: Evidence) -> datetime:
    last = evidence.last_trouble()
    return max([last, *(session.close_at for session in evidence.scene.sessions if session.open_at <= last)])


def _unknown(evidence: Evidence, at: datetime) -> Found:
    state = {row.body["intent"]: row.body["state"] for row in evidence.facts("OrderMoved") if row.at <= at}
    undecided = _undecided(evidence, at)
    for row in evidence.facts("OrderIntended"):
        order = row.body["order"]
        reached, booked = state.get(order["intent"], "sending"), evidence.by_ref.get(order["ref"])
        is_over = booked is None or not booked.is_live(at)
        if row.at <= at and reached not in TERMINAL and is_over and order["symbol"] not in undecided:
            yield at, f"order {order['ref']} ({order['symbol']}) is {reached}"


def _undecided(evidence: Evidence, at: datetime) -> set[str]:
    """Symbols in which the gateway has forgotten a fill, and which the daemon therefore leaves alone then."""
    symbols = {order.con_id: order.symbol for order in evidence.orders}
    held = {symbols[con_id] for con_id in evidence.quarantined(at) if con_id in symbols}
    return held & evidence.undecidable


def enough_orders(evidence: Evidence) -> Found:
    """Trouble does not stop trading for good: LEAST_ORDERS_A_DAY on average, and on the last day there is one."""
    days, last = len(evidence.scene.sessions), evidence.scene.sessions[-1]
    least = LEAST_ORDERS_A_DAY["rebalance" in evidence.scene.settings["schedule"]] * days
    trades = [seen for seen in evidence.placed if seen.values["orderType"] not in PROTECTIVE]
    if len(trades) < least:
        yield evidence.scene.ends, f"{len(trades)} orders in {days} days, and not {least}"
    if not any(seen.at >= last.open_at for seen in trades) and not is_held_by_a_limit(evidence):
        yield evidence.scene.ends, "no order on the last day, which had no trouble"


# ── at target ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """An instrument that is not at its target; `short` is the value it lacks, 0 where it holds too much."""

    text: str
    short: Decimal


def at_target(evidence: Evidence) -> Found:
    """At the end of a day without trouble what is held is what was wanted, but for what the market left unfilled.

    It was decided at the last rebalance there was to be. Nor can buys have room that undecided instruments, unfilled
    sells and others' shares take up: these are not sold, and count against exposure. What a limit on losses holds back
    is not wanted.
    """
    if is_held_by_a_limit(evidence):
        return
    due, ends = _last_due(evidence), evidence.scene.ends
    decision = next(reversed(evidence.by_kind.get("RebalanceDecided", [])), None)
    if decision is None or decision.at < due:
        last = "never" if decision is None else f"last at {decision.at:%Y-%m-%d %H:%M}"
        yield ends, f"decided {last}, and the last rebalance was due at {due:%Y-%m-%d %H:%M}"
        return
    sized = next((row for row in reversed(evidence.by_kind.get("EquitySet", [])) if row.at <= decision.at), None)
    if sized is None:
        yield decision.at, "decided without an equity"
        return
    wanted = _wanted(evidence)
    undecided = _undecided(evidence, ends)
    judged = wanted.keys() - undecided - _stopped_out(evidence)
    gaps = [gap for symbol in wanted if symbol in judged and (gap := _gap(evidence, symbol, wanted[symbol], sized))]
    taken = sum((_stuck(evidence, one, wanted, sized) for one in undecided), _unsold(evidence, sized))
    taken += _of_others(evidence, sized)
    if sum((gap.short for gap in gaps), ZERO) <= taken:
        gaps = [gap for gap in gaps if not gap.short]
    if judged and len(gaps) > (1 - LEAST_AT_TARGET) * len(judged):
        yield decision.at, "; ".join(gap.text for gap in gaps)


def _stopped_out(evidence: Evidence) -> set[str]:
    """Symbols whose stop was triggered, or profit taken, in the last session: none of these is bought back in it."""
    opened = evidence.scene.sessions[-1].open_at
    rested = (one for one in evidence.orders if one.protects or evidence.takes_profit(one))
    return {one.symbol for one in rested if any(fill.at >= opened for fill in one.fills)}


def _last_due(evidence: Evidence) -> datetime:
    """When the last rebalance of the run is due at the latest: by the open, or half an hour before the close."""
    last = evidence.scene.sessions[-1]
    return last.close_at - A_PERIOD if "rebalance" in evidence.scene.settings["schedule"] else last.open_at


def _wanted(evidence: Evidence) -> dict[str, Decimal]:
    """Symbol -> weight of equity, from the newest targets of each strategy."""
    settings = evidence.scene.settings
    targets = {row.body["strategy"]: row for row in evidence.facts("TargetsSet")}
    reserve = Decimal(str(settings["sizing"]["cash_reserve_fraction"]))
    weights: dict[str, Decimal] = {order.symbol: ZERO for order in evidence.orders}
    for strategy in settings["strategies"]:
        for symbol, weight in targets[strategy["name"]].body["weights"] if strategy["name"] in targets else ():
            share = Decimal(str(strategy["allocation"])) * (1 - reserve)
            weights[symbol] = weights.get(symbol, ZERO) + Decimal(weight) * share
    return weights


def _target(evidence: Evidence, weight: Decimal, price: Decimal, sized: Row) -> Decimal:
    most = Decimal(str(evidence.scene.settings["risk"]["max_weight"]))
    return (min(weight, most) * Decimal(sized.body["equity"]) / price).to_integral_value(ROUND_DOWN)


def _gap(evidence: Evidence, symbol: str, weight: Decimal, sized: Row) -> Gap | None:
    """How far a symbol is from its target."""
    settings, prices = evidence.scene.settings, dict(sized.body["prices"])
    mine = [order for order in evidence.orders if order.symbol == symbol]
    held = _held(evidence, mine)
    if symbol not in prices:
        is_gap = bool(weight or held)
        return Gap(text=f"{symbol} holds {held}, wanted {weight:.4f}, and has no price", short=ZERO) if is_gap else None
    price = Decimal(prices[symbol])
    target = _target(evidence, weight, price, sized)
    unfilled = _unfilled(evidence, mine)
    band = Decimal(str(settings["sizing"]["no_trade_band_weight"])) * Decimal(sized.body["equity"]) + 2 * price
    least, sent = _had_all_filled(evidence, held, mine)
    # Of what was left unfilled a part may have been sent again by a later order, and have filled.
    if max(least - target, target - sent) * price <= band:
        return None
    # The limit on weight holds at the price an order may come to cost, which is not the sizing price.
    if weight > Decimal(str(settings["risk"]["max_weight"])) and (1 - PRICE_MOVE) * target <= sent <= target:
        return None
    text = f"{symbol} holds {held} (and {unfilled} left unfilled), wanted {target}"
    return Gap(text=text, short=max(target - sent, ZERO) * price)


def _held(evidence: Evidence, orders: list[BookedOrder]) -> Decimal:
    """What the fills of one instrument's orders, and its splits, come to."""
    con_ids = {order.con_id for order in orders}
    fills = (fill for order in orders for fill in order.fills)
    found = true_shares(fills, (one for one in evidence.events if one.con_id in con_ids), evidence.scene.ends)
    return sum((shares for shares, _ in found.values()), ZERO)


def _unfilled(evidence: Evidence, orders: Sequence[BookedOrder]) -> Decimal:
    """Signed shares that the market left of the last orders."""
    since, ends = _last_orders_from(evidence), evidence.scene.ends
    # The last decision counts on what works, and takes it over where it does not fill.
    trades = (one for one in orders if not one.protects and not evidence.takes_profit(one))
    last = [one for one in trades if one.at >= since or one.is_live(since) or one.is_live(ends)]
    left = ((_left(evidence, order, last), order.is_buy) for order in last if order.status != "Inactive")
    return sum((shares if is_buy else -shares for shares, is_buy in left), ZERO)


def _had_all_filled(evidence: Evidence, held: Decimal, orders: Sequence[BookedOrder]) -> tuple[Decimal, Decimal]:
    """The least and the most that would be held, had what was left unfilled been filled as far as it was wanted.

    Where decisions follow at once, the last one may undo what the one before it still had at work.
    """
    if not evidence.scene.is_brisk:
        least, most = sorted((held, held + _unfilled(evidence, orders)))
        return least, most
    sides = ([one for one in orders if one.is_buy == is_buy] for is_buy in (False, True))
    least, most = (held + _unfilled(evidence, side) for side in sides)
    return least, most


def _last_orders_from(evidence: Evidence) -> datetime:
    """The last day's open; where a decision comes every two minutes and undoes the former, when the last is due."""
    last = evidence.scene.sessions[-1]
    return last.close_at - A_BRISK_PERIOD if evidence.scene.is_brisk else last.open_at


def _left(evidence: Evidence, order: BookedOrder, among: Sequence[BookedOrder]) -> Decimal:
    """Shares that the market left of an order; a child only fills what was left of its parent, if that is counted."""
    left = order.remaining(evidence.scene.ends)
    parent = evidence.parents.get(order.ref)
    return left - order.quantity if any(one.ref == parent for one in among) else left


def _stuck(evidence: Evidence, symbol: str, wanted: Mapping[str, Decimal], sized: Row) -> Decimal:
    """The value of what an undecided instrument holds beyond its target, by the book or truly, whichever is more.

    The book's purchases that have not ended there count in full: by it they may still fill.
    """
    prices, ends = dict(sized.body["prices"]), evidence.scene.ends
    con_id = next(order.con_id for order in evidence.orders if order.symbol == symbol)
    if symbol not in prices:
        return ZERO
    price = Decimal(prices[symbol])
    booked, _ = evidence.booked(ends).get(con_id, (ZERO, ZERO))
    reckoned = max(booked + _still_bought(evidence, symbol), evidence.position(con_id, ends))
    surplus = reckoned - _target(evidence, wanted[symbol], price, sized)
    return max(surplus, ZERO) * price * (1 + PRICE_MOVE)


def _still_bought(evidence: Evidence, symbol: str) -> Decimal:
    """Shares of the journal's purchases of a symbol that have neither ended nor filled there."""
    state = {row.body["intent"]: row.body["state"] for row in evidence.facts("OrderMoved")}
    live = {
        number: Decimal(order["quantity"])
        for number, order in evidence.intents.items()
        if order["symbol"] == symbol and order["side"] == "BUY" and state.get(number, "sending") not in TERMINAL
    }
    filled = (row.body for row in evidence.facts("FillBooked") if row.body["intent"] in live)
    return sum(live.values(), ZERO) - sum((Decimal(one["quantity"]) for one in filled), ZERO)


def _of_others(evidence: Evidence, sized: Row) -> Decimal:
    """The value of what others hold in the account, which counts with ours."""
    prices, ends = dict(sized.body["prices"]), evidence.scene.ends
    held = ((abs(evidence.told.held(con_id, ends)), symbol) for con_id, symbol in evidence.symbols.items())
    return sum((shares * Decimal(prices.get(symbol, 0)) for shares, symbol in held), ZERO) * (1 + PRICE_MOVE)


def _unsold(evidence: Evidence, sized: Row) -> Decimal:
    """The value that the market left of the last sells: buys wait for its room."""
    prices = dict(sized.body["prices"])
    sells = [order for order in evidence.orders if not order.is_buy]
    left = (
        -_unfilled(evidence, [order for order in sells if order.symbol == symbol]) * Decimal(prices.get(symbol, 0))
        for symbol in {order.symbol for order in sells}
    )
    return sum(left, ZERO) * (1 + PRICE_MOVE)

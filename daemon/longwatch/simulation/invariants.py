"""The promises, looked for in what a run left behind and nowhere else; each broken one is named with time and detail.

Written apart from the daemon: what it believed is only what it wrote into its journal, what was true is what the
gateway's books say, and what it could know is what had arrived on the wire.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from longwatch.simulation.evidence import TERMINAL, ZERO, Evidence, Found, Row, moment
from longwatch.simulation.knowable import ends_by_evidence, ready_when_sending
from longwatch.simulation.tap import Seen

QUIET = timedelta(hours=1)
"""After so long without trouble book and account must agree."""
SLACK = timedelta(seconds=2)
PRICE_MOVE = Decimal("0.10")
LEAST_AT_TARGET = Decimal("0.99")


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One promise not kept."""

    invariant: str
    at: datetime
    text: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S.%f} {self.invariant}: {self.text}"


def judge(evidence: Evidence) -> Iterator[Broken]:
    """Every promise that was not kept, promise by promise."""
    for name, look in INVARIANTS.items():
        for at, text in look(evidence):
            yield Broken(invariant=name, at=at, text=text)


# ── one order for one intent ────────────────────────────────────────────────────────────────────────────────────────


def one_order_an_intent(evidence: Evidence) -> Found:
    """Every reference and every order id is written once, after its record, and is in the gateway's books once."""
    durable = {row.body["intent"]: row.at for row in evidence.facts("OrderSending")}
    refs: Counter[str] = Counter()
    ids: Counter[int] = Counter()
    for seen in evidence.placed:
        ref, order_id = seen.values["orderRef"], seen.values["orderId"]
        refs[ref] += 1
        ids[order_id] += 1
        if refs[ref] > 1 or ids[order_id] > 1:
            yield seen.at, f"order {ref} (id {order_id}) was written again"
        intent = _intent_of(ref)
        if intent not in durable or durable[intent] > seen.at:
            yield seen.at, f"order {ref} was written before its record"
    for ref, count in Counter(order.ref for order in evidence.orders if order.ref).items():
        if count > 1:
            yield evidence.by_ref[ref].at, f"{count} orders are called {ref}"


# ── positions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def quiet_positions(evidence: Evidence) -> Found:
    """An hour after trouble the journal's fills are the gateway's, to the cent.

    Where the gateway has forgotten one, the shares are the same, or the instrument is quarantined.
    """
    for at in _quiet_points(evidence):
        true: dict[int, tuple[Decimal, Decimal]] = defaultdict(lambda: (ZERO, ZERO))
        for fill in evidence.fills:
            if fill.at <= at:
                shares, value = true[fill.con_id]
                true[fill.con_id] = shares + fill.quantity, value + fill.quantity * fill.price
        book = _booked(evidence, at)
        hidden = {fill.con_id for fill in evidence.untellable}
        for con_id in sorted(true.keys() | book.keys()):
            ours, theirs = book.get(con_id, (ZERO, ZERO)), true[con_id]
            if ours != theirs and not (
                con_id in hidden and (ours[0] == theirs[0] or con_id in _quarantined(evidence, at))
            ):
                yield at, f"contract {con_id}: the book has (shares, paid) {ours}, the account {theirs}"


def every_fill_is_heard(evidence: Evidence) -> Found:
    """A fill that the gateway would have told is asked for before the gateway forgets it."""
    untellable = {fill.exec_id for fill in evidence.untellable}
    for fill in evidence.unheard:
        if fill.exec_id not in untellable:
            yield fill.at, f"fill {fill.exec_id} of {fill.ref} was never asked for"


def _quarantined(evidence: Evidence, at: datetime) -> set[int]:
    """Contracts not traded then, because book and account differ."""
    held: set[int] = set()
    for row in evidence.facts("QuarantineSet", "QuarantineLifted"):
        if row.at <= at:
            (held.add if row.kind == "QuarantineSet" else held.discard)(row.body["con_id"])
    return held


def _quiet_points(evidence: Evidence) -> Iterator[datetime]:
    for session in evidence.scene.sessions:
        for at in (session.open_at - timedelta(minutes=5), session.close_at + timedelta(minutes=90)):
            if at > evidence.scene.begins and evidence.is_quiet(at, QUIET):
                yield at


def _booked(evidence: Evidence, at: datetime) -> dict[int, tuple[Decimal, Decimal]]:
    """What the journal's fills of ours come to: contract -> shares, paid."""
    fills: dict[str, tuple[int, Decimal, Decimal]] = {}
    for row in evidence.facts("FillBooked"):
        body = row.body
        if row.at > at:
            break
        if body["replaces"] is not None:
            fills.pop(body["replaces"], None)
        if body["intent"] is not None:
            sign = 1 if body["side"] == "BUY" else -1
            fills[body["exec_id"]] = (body["con_id"], sign * Decimal(body["quantity"]), Decimal(body["price"]))
    booked: dict[int, tuple[Decimal, Decimal]] = {}
    for con_id, quantity, price in fills.values():
        shares, value = booked.get(con_id, (ZERO, ZERO))
        booked[con_id] = shares + quantity, value + quantity * price
    return booked


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def limits_at_worst(evidence: Evidence) -> Found:
    """With every order on its side filled and none on the other, no order written could pass a limit."""
    valued = list(evidence.facts("EquitySet"))
    for place, seen in enumerate(evidence.placed):
        values = seen.values
        is_buy, quantity = values["action"] == "BUY", Decimal(values["totalQuantity"])
        worst = _worst(evidence, place)
        if not is_buy and worst < 0:
            yield seen.at, f"selling {quantity} {values['symbol']} could end at {worst} shares"
        sized = next((row for row in reversed(valued) if row.at <= seen.at), None)
        if sized is not None:
            yield from _passed(evidence, seen, worst, is_buy, quantity, sized)


def _passed(evidence: Evidence, seen: Seen, worst: Decimal, is_buy: bool, quantity: Decimal, sized: Row) -> Found:
    settings, symbol = evidence.scene.settings, seen.values["symbol"]
    risk, equity = settings["risk"], Decimal(sized.body["equity"])
    price = next((Decimal(price) for name, price in sized.body["prices"] if name == symbol), ZERO)
    if quantity > Decimal(str(risk["max_order_shares"])) or quantity * price > Decimal(str(risk["max_order_value"])):
        yield seen.at, f"{quantity} {symbol} are too large an order"
    if not is_buy:
        return
    if worst > Decimal(str(settings["execution"]["max_position_size"])):
        yield seen.at, f"{symbol} could come to {worst} shares"
    if worst * price > Decimal(str(risk["max_weight"])) * equity:
        yield seen.at, f"{symbol} could come to {worst * price / equity:.4f} of equity"
    gross = _gross(evidence, seen.at, sized) + quantity * price
    if gross > Decimal(str(risk["max_gross_exposure"])) * equity:
        yield seen.at, f"buying {quantity} {symbol} could bring exposure to {gross / equity:.4f} of equity"


def _worst(evidence: Evidence, place: int) -> Decimal:
    """The account's shares should this order and every other one on its side fill, and none on the other side."""
    seen = evidence.placed[place]
    con_id, is_buy = seen.values["conId"], seen.values["action"] == "BUY"
    sign = 1 if is_buy else -1
    total = evidence.position(con_id, seen.at) + sign * Decimal(seen.values["totalQuantity"])
    for order in evidence.orders:
        if order.con_id == con_id and order.is_buy == is_buy and order.is_live(seen.at):
            total += sign * order.remaining(seen.at) if order.ref != seen.values["orderRef"] else ZERO
    for earlier in evidence.placed[:place]:
        booked = evidence.by_ref.get(earlier.values["orderRef"])
        on_its_way = booked is not None and booked.at > seen.at
        if on_its_way and booked is not None and booked.con_id == con_id and booked.is_buy == is_buy:
            total += sign * booked.quantity
    return total


def _gross(evidence: Evidence, at: datetime, sized: Row) -> Decimal:
    """What is held, and what is bought and booked so far, at the sizing prices."""
    prices = {name: Decimal(price) for name, price in sized.body["prices"]}
    total = ZERO
    symbols = {order.con_id: order.symbol for order in evidence.orders}
    for con_id, symbol in symbols.items():
        shares = evidence.position(con_id, at)
        shares += sum(
            (o.remaining(at) for o in evidence.orders if o.con_id == con_id and o.is_buy and o.is_live(at)), ZERO
        )
        total += shares * prices.get(symbol, ZERO)
    return total


# ── deadlines, liveness ─────────────────────────────────────────────────────────────────────────────────────────────


def settled_by_its_deadline(evidence: Evidence) -> Found:
    """By the deadline in its record an order sent is acknowledged, ended, or known as unknown.

    A daemon that was dead then has the time until it lives again.
    """
    dead = [(one.began, one.ended or evidence.scene.ends) for one in evidence.played if one.incident.fault == "crash"]
    due: dict[int, Row] = {}
    deadline: dict[int, datetime] = {}
    last = evidence.rows[-1]
    for row in evidence.facts("OrderSending", "OrderMoved"):
        intent = row.body["intent"]
        if intent in due and row.tech > deadline[intent] + SLACK:
            yield row.at, f"intent {intent} was looked at {row.tech - deadline[intent]} after its deadline"
        if row.kind == "OrderSending" or row.body["state"] == "sending":
            by = moment(row.body["deadline"])
            last_chance = row.at + (by - row.tech) + SLACK
            lived = [row.tech + (up - row.at) for down, up in dead if down <= last_chance <= up + SLACK]
            due[intent], deadline[intent] = row, max([by, *lived])
        else:
            due.pop(intent, None)
    for intent, row in due.items():
        if last.tech > deadline[intent] + SLACK:
            yield row.at, f"intent {intent} was never looked at again"


def nothing_undigested(evidence: Evidence) -> Found:
    """No event was too much for the daemon: what it keeps raw are messages that can't be read."""
    for row in evidence.facts("EventKept"):
        if not row.body["kind"].startswith("message "):
            yield row.at, f"{row.body['kind']} was not digested: {row.body['reason']}"


def no_unknown_remains(evidence: Evidence) -> Found:
    """At the end of a day without trouble every order's outcome is known, but where nobody could tell it."""
    state: dict[int, Row] = {row.body["intent"]: row for row in evidence.facts("OrderMoved")}
    for intent, order in evidence.intents.items():
        row = state.get(intent)
        reached = row.body["state"] if row is not None else "sending"
        booked = evidence.by_ref.get(order["ref"])
        is_over = booked is None or not booked.is_live(evidence.scene.ends)
        if reached not in TERMINAL and is_over and order["symbol"] not in _undecided(evidence):
            yield evidence.scene.ends, f"order {order['ref']} ({order['symbol']}) is {reached} at the end"


def _undecided(evidence: Evidence) -> set[str]:
    """Symbols in which the gateway has forgotten a fill, and which the daemon therefore left alone to the end."""
    held = _quarantined(evidence, evidence.scene.ends)
    symbols = {order.con_id: order.symbol for order in evidence.orders}
    return {symbols[con_id] for con_id in held if symbols.get(con_id) in evidence.undecidable}


def enough_orders(evidence: Evidence) -> Found:
    """Trouble does not stop trading for good: on average there is an order a day, and on the last day there is one."""
    days, last = len(evidence.scene.sessions), evidence.scene.sessions[-1]
    if len(evidence.placed) < days:
        yield evidence.scene.ends, f"{len(evidence.placed)} orders in {days} days"
    if not any(seen.at >= last.open_at for seen in evidence.placed):
        yield evidence.scene.ends, "no order on the last day, which had no trouble"


def at_target(evidence: Evidence) -> Found:
    """At the end of a day without trouble what is held is what was wanted, but for what the market left unfilled."""
    sized = next(iter(reversed(list(evidence.facts("EquitySet")))), None)
    decided = list(evidence.facts("RebalanceDecided"))
    if sized is None or not decided:
        return
    decision = decided[-1]
    sized = next((row for row in reversed(list(evidence.facts("EquitySet"))) if row.at <= decision.at), sized)
    wanted = _wanted(evidence, sized, decision.at)
    apart = [text for symbol in wanted if (text := _apart(evidence, symbol, wanted[symbol], sized))]
    judged = [symbol for symbol in wanted if symbol not in _undecided(evidence)]
    if judged and len(apart) > (1 - LEAST_AT_TARGET) * len(judged):
        yield decision.at, "; ".join(apart)


def _wanted(evidence: Evidence, sized: Row, at: datetime) -> dict[str, Decimal]:
    """Symbol -> weight of equity, from the newest targets of each strategy."""
    settings = evidence.scene.settings
    targets = {row.body["strategy"]: row for row in evidence.facts("TargetsSet") if row.at <= at}
    reserve = Decimal(str(settings["sizing"]["cash_reserve_fraction"]))
    weights: dict[str, Decimal] = {order.symbol: ZERO for order in evidence.orders}
    for strategy in settings["strategies"]:
        for symbol, weight in targets[strategy["name"]].body["weights"] if strategy["name"] in targets else ():
            share = Decimal(str(strategy["allocation"])) * (1 - reserve)
            weights[symbol] = weights.get(symbol, ZERO) + Decimal(weight) * share
    return weights


def _apart(evidence: Evidence, symbol: str, weight: Decimal, sized: Row) -> str:
    """How far a symbol is from its target, or an empty text."""
    settings, equity = evidence.scene.settings, Decimal(sized.body["equity"])
    prices: dict[str, Any] = dict(sized.body["prices"])
    if symbol in _undecided(evidence) or symbol not in prices:
        return ""
    price = Decimal(prices[symbol])
    most = Decimal(str(settings["risk"]["max_weight"]))
    target = (min(weight, most) * equity / price).to_integral_value(ROUND_DOWN)
    mine = [order for order in evidence.orders if order.symbol == symbol]
    held = sum((fill.quantity for order in mine for fill in order.fills), ZERO)
    opened = evidence.scene.sessions[-1].open_at
    unfilled = sum(
        (
            order.remaining(evidence.scene.ends) * (1 if order.is_buy else -1)
            for order in mine
            if (order.at >= opened or order.is_live(evidence.scene.ends)) and order.status != "Inactive"
        ),
        ZERO,
    )
    band = Decimal(str(settings["sizing"]["no_trade_band_weight"])) * equity + 2 * price
    if min(abs(held - target), abs(held + unfilled - target)) * price <= band:
        return ""
    # The limit on weight holds at the price an order may come to cost, which is not the sizing price.
    if weight > most and (1 - PRICE_MOVE) * target <= held <= target:
        return ""
    if held < target and _sells_are_unfilled(evidence):
        return ""
    return f"{symbol} holds {held} (and {unfilled} left unfilled), wanted {target}"


def _sells_are_unfilled(evidence: Evidence) -> bool:
    """Whether the market left a sell of the last day unfilled: buys then wait for its room."""
    opened, ends = evidence.scene.sessions[-1].open_at, evidence.scene.ends
    sells = (order for order in evidence.orders if not order.is_buy and order.status != "Inactive")
    return any(order.at >= opened and order.remaining(ends) for order in sells)


INVARIANTS: Mapping[str, Callable[[Evidence], Found]] = {
    "one order an intent": one_order_an_intent,
    "quiet positions": quiet_positions,
    "every fill is heard": every_fill_is_heard,
    "limits at worst": limits_at_worst,
    "ready when sending": ready_when_sending,
    "ends by evidence": ends_by_evidence,
    "settled by its deadline": settled_by_its_deadline,
    "nothing undigested": nothing_undigested,
    "no unknown remains": no_unknown_remains,
    "enough orders": enough_orders,
    "at target": at_target,
}


def _intent_of(ref: str) -> int:
    return int(ref.rpartition(":")[2])

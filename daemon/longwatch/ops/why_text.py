"""The story of an order as text for a person: what `longwatch why` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from longwatch.ops.phrases import counted, number, percent

Json = Mapping[str, Any]

WIDTH = 10
"""Of the names of the sections, with the gap behind them."""
SHORT = 12
"""Digits of a hash that are shown."""


def why_text(story: Json) -> str:
    """The whole story, a section a step: from the bars to what the order cost."""
    return "\n".join(
        [
            *_head(story),
            "",
            *_section("bars", _bars(story["bars"])),
            *_section("signals", [line for one in story["signals"] for line in _signal(one, story["order"]["symbol"])]),
            *_section("target", _target(story)),
            *_section("clamps", _clamps(story)),
            *_section("quote", _quote(story["quote"])),
            *_section("checks", _checks(story["checks"])),
            *_section("sent", _sent(story)),
            *_section("course", _course(story)),
            *_section("fills", _fills(story)),
            *_section("cost", _cost(story)),
            *_section("outcome", _outcome(story)),
            *_section("family", _family(story)),
        ]
    )


def _section(name: str, lines: Iterable[str]) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield f"{name if not place else '':<{WIDTH}}{line}"


def _head(story: Json) -> Iterator[str]:
    order, outcome, cost = story["order"], story["outcome"], story["cost"]
    prices = "".join(f" {order[name]}" for name in ("limit_price", "stop_price") if order[name])
    what = f"{order['side']} {figure(order['quantity'])} {order['symbol']} {order['type']}{prices} {order['tif']}"
    yield f"#{order['intent']}  {what} ({order['purpose']}): {outcome['state']}"
    named = f"order id {order['order_id']} of client {order['client_id']}"
    ids = [order["ref"], "no order id" if order["order_id"] is None else named]
    ids += [f"permId {perm_id}" for perm_id in order["perm_ids"]]
    yield f"{', '.join(ids)}; {order['mode']} account {order['account']}"
    if cost["average_price"]:
        filled = f"{figure(cost['filled'])} of {figure(order['quantity'])} filled"
        yield f"{filled}, on average at {figure(cost['average_price'])}"
    if order["also"]:
        yield f"note: {order['also']}"


def _bars(bars: Json | None) -> Iterator[str]:
    if bars is None:
        yield "none had been judged"
        return
    behind = bars["sessions_behind"]
    age = {0: "the newest there can be", None: "of unknown age"}.get(
        behind, f"{counted(behind or 0, 'session')} behind"
    )
    last = f"up to {bars['last_session']} ({age}), last close {bars['close'] or 'none'}"
    yield f"{bars['bars']} of {bars['symbol']} {last}"
    when = (
        f"refreshed {_time(bars['refreshed_at'])}, {_age(bars['age_seconds'])} before" if bars["refreshed_at"] else ""
    )
    found = [f"flaw: {text}" for text in bars["flaws"]] + [f"warning: {text}" for text in bars["warnings"]]
    yield "; ".join(part for part in (when, *(found or ["sound"])) if part)


def _signal(one: Json, symbol: str) -> Iterator[str]:
    if one["fault"]:
        yield f"{one['strategy']} was at fault and not traded on: {one['fault']}"
    if one["run_id"] is None:
        yield f"{one['strategy']} had computed no targets"
        return
    weight = one["weights"].get(symbol)
    wants = f"{percent(Decimal(weight))} {symbol}" if weight is not None else f"nothing of {symbol}"
    share = f" of its {percent(Decimal(one['allocation']))}" if one["allocation"] else ""
    yield f"{one['strategy']} wants {wants}{share}, decided on the close of {one['session']} ({one['run_id']})"
    source = f"source {one['source_sha256'][:SHORT]}" if one["source_sha256"] else "its event is not there"
    settings = f", parameters {one['parameters']}" if one["parameters"] and one["parameters"] != "{}" else ""
    memory = f", memory {one['memory']}" if one["memory"] and one["memory"] != "{}" else ""
    yield f"  {source}{settings}{memory}"


def _target(story: Json) -> Iterator[str]:
    target, decided = story["target"], story["decided"]
    if decided["text"]:
        yield decided["text"]
    if story["stop"] is not None:
        stop = story["stop"]
        level = f"is to have a stop at {figure(stop['level'])}: {stop['because']}"
        yield f"its holding, opened {_time(stop['opened_at'])}, {level}"
    if story["profit"] is not None:
        yield f"its take-profit is to lie at {figure(story['profit']['level'])}: {story['profit']['because']}"
    if target is None:
        return
    yield from (_part(part) for part in target["parts"])
    if target["equity"] is None:
        yield "flatten: all that is held is to go"
    else:
        cut = f", cut to {percent(Decimal(target['capped']))}" if target["capped"] != target["weight"] else ""
        capital = f"{percent(Decimal(target['weight']))}{cut} of {figure(target['equity'])}"
        most = f" (capped at {figure(target['capital_limit'])})" if target["capital_limit"] else ""
        price = f"at {figure(target['price'])}, the close of {target['equity_session']}"
        yield f"in all {capital}{most} {price}: {figure(target['shares'])} shares"
    buffered = f", {figure(target['low'])} to {figure(target['high'])} is near enough" if _is_buffered(target) else ""
    way = f", {figure(target['under_way'])} under way" if _is(target["under_way"]) else ""
    trade = f"a trade of {figure(target['trade'])}, worth {figure(target['value'])}"
    yield f"{figure(target['held'])} held{way}{buffered}: {trade}"


def _part(part: Json) -> str:
    """How one strategy's weight became a fraction of equity."""
    by = [f"leverage {figure(part['leverage'])}"] if Decimal(part["leverage"]) != 1 else []
    by += [f"volatility {percent(Decimal(part['volatility']))}"] if part["volatility"] else []
    by += [f"stop {figure(part['stop_distance'])} away"] if part["stop_distance"] else []
    scaled = f" scaled to {percent(Decimal(part['scaled']))}" if part["scaled"] != part["weight"] else ""
    how = f" ({', '.join([part['method'], *by])})"
    share = f"× {percent(Decimal(part['capital']))} of the capital"
    weight = f"{percent(Decimal(part['weight']))}{scaled}"
    return f"{part['strategy']}: {weight} {share}{how} is {percent(Decimal(part['sized']))}"


def _is_buffered(target: Json) -> bool:
    return target["low"] is not None and target["low"] != target["high"]


def _quote(quote: Json | None) -> Iterator[str]:
    if quote is not None:
        kind = {1: "live", 2: "frozen", 3: "delayed", 4: "delayed and frozen"}.get(quote["market_data_type"], "unknown")
        age = "never heard" if quote["age_seconds"] is None else f"{quote['age_seconds']:.1f} s old"
        yield f"{figure(quote['bid'] or 'none')} / {figure(quote['ask'] or 'none')}, {kind}, {age}"


def _clamps(story: Json) -> list[str]:
    if story["clamps"]:
        return [
            f"{one['check']}: {figure(one['wanted'])} to {figure(one['allowed'])} shares, "
            f"{figure(one['observed'])} over {figure(one['limit'])}"
            for one in story["clamps"]
        ]
    return ["nothing made it smaller"] if story["target"] else []


def _checks(checks: Sequence[Json]) -> Iterator[str]:
    """Those that took something or refused, then the rest with what they saw."""
    if not checks:
        return
    hard = [one for one in checks if not one["passed"]]
    for one in hard:
        left = f", {figure(one['left'])} left" if one["left"] else ", refused"
        yield f"{one['check']}: {one['observed']} against {one['limit']}{left}"
    passed = [one for one in checks if one["passed"]]
    yield f"{len(passed)} passed:"
    width = max(len(one["check"]) for one in passed)
    for one in passed:
        seen = "nothing against it" if one["observed"] is None else figure(one["observed"])
        yield f"  {one['check']:<{width}}  {seen}" + (
            f" (limit {figure(one['limit'])})" if _is_figure(one["limit"]) else ""
        )


def _sent(story: Json) -> Iterator[str]:
    sent, decided = story["sent"], story["decided"]
    if sent["found"]:
        yield f"never by us: found at the broker beside #{story['family']['twin_of']} {_time(sent['intended_at'])}"
        return
    by = f" by {decided['run_id']}" if decided["run_id"] else ""
    settings = f"config {(decided['config_sha256'] or '')[:SHORT]}"
    yield f"decided {_time(sent['intended_at'])}{by} (record {decided['record']}, {settings})"
    if sent["order_id"] is None:
        yield "it has no order id: nothing was queued"
    elif sent["handed_at"]:
        wait = _seconds(sent["queued_at"], sent["handed_tech"])
        yield f"as order {sent['order_id']} of client {sent['client_id']}, given to the transport {wait} later"
    elif sent["withheld"]:
        yield f"withheld: {sent['withheld']}"
    else:
        yield f"as order {sent['order_id']} of client {sent['client_id']}; nobody has said that its bytes left"


def _course(story: Json) -> Iterator[str]:
    """Messages, and what we asked and concluded in between, in the order of the journal; what repeats is told once."""
    rows = [(one["record"], one["at"], one["kind"], one["text"]) for one in story["messages"]]
    rows += [(one["record"], one["at"], "→", f"{one['state']}: {one['evidence']}") for one in story["moves"]]
    rows += [(one["record"], one["at"], "→", f"{one['what']}: {one['text']}") for one in story["changes"]]
    day, again = "", 0
    last: dict[str, str] = {}
    for _, at, kind, text in sorted(rows):
        if kind != "→" and last.get(kind) == text:
            again += 1
            continue
        if at and at[:10] != day:
            day = at[:10]
            yield day
        last[kind] = text
        yield f"  {clock(at)}  {_KINDS.get(kind, '')}{text}"
    if again:
        yield f"  and what had been told already, {counted(again, 'time')} more"


_KINDS = {
    "OpenOrderSeen": "open order  ",
    "OrderStatusSeen": "status  ",
    "ExecutionSeen": "execution  ",
    "CommissionSeen": "commission  ",
    "CompletedOrderSeen": "completed order  ",
    "OrderErrorSeen": "error  ",
    "OrderHanded": "",
    "OrderWithheld": "",
    "SnapshotSeen": "",
    "TimeReached": "",
    "LinkLost": "the link was lost: ",
    "DaemonStarted": "the daemon was started, ",
    "ControlRequested": "a person: ",
    "→": "→ ",
}


def _fills(story: Json) -> Iterator[str]:
    for one in story["fills"]:
        fee = (
            f", commission {figure(one['commission'])} {one['currency']}"
            if one["commission"]
            else ", no commission told"
        )
        off = f", {worse(one['slippage_bps'])}" if one["slippage_bps"] is not None else ""
        gone = f"; replaced by {one['replaced_by']}" if one["replaced_by"] else ""
        back = f"; {figure(one['taken_back'])} taken back" if one["taken_back"] else ""
        what = f"{figure(one['quantity'])} at {figure(one['price'])}{fee}{off}{gone}{back}"
        yield f"{_time(one['executed_at'])}  {what}  ({one['exec_id']})"
    if not story["fills"]:
        yield "none"


def _cost(story: Json) -> Iterator[str]:
    cost = story["cost"]
    if cost["slippage_bps"] is None:
        return
    yield (
        f"commission {figure(cost['commission'])} {cost['currency'] or ''}; slippage {worse(cost['slippage_bps'])}, "
        f"{figure(cost['slippage'])}, against the decision price {figure(cost['decision_price'])}"
    )


def _outcome(story: Json) -> Iterator[str]:
    outcome = story["outcome"]
    shown = f", shown by {outcome['proof']}" if outcome["proof"] else ""
    where = f" (record {outcome['proof_record']})" if outcome["proof_record"] else ""
    yield f"{outcome['state']}: {outcome['evidence'] or 'no evidence yet'}{shown}{where}"
    if outcome["live"]:
        yield f"live: {figure(outcome['remaining'])} may still fill"
    if outcome["resolved"]:
        said = outcome["resolved"]
        yield f"resolved as {said['outcome']} by {said['by']}: {said['reason']}"


def _family(story: Json) -> Iterator[str]:
    family = story["family"]
    if family["replaces"] is not None:
        yield f"it is the rest of #{family['replaces']}"
    for intent in family["replaced_by"]:
        yield f"its rest is #{intent}"
    if family["attached_to"] is not None:
        yield f"it left with the entry #{family['attached_to']}, and waits at the broker until that has ended"
    for intent in family["attached"]:
        yield f"#{intent} left with it, a protective stop"
    for intent in family["protected_by"]:
        yield f"for its fills #{intent} was placed or changed, a protective stop"
    if family["oca_group"]:
        yield f"in the OCA group {family['oca_group']}: what one of it fills is taken from the others"
    for intent in family["twins"]:
        yield f"the broker held a second order for it: #{intent}"


# ── figures ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def figure(value: str) -> str:
    """A figure as a person reads it; any other text as it is."""
    try:
        return number(Decimal(value))
    except ArithmeticError:
        return value


def _is_figure(value: str | None) -> bool:
    return value is not None and value.replace(".", "", 1).lstrip("-").isdecimal()


def _is(value: str | None) -> bool:
    return value is not None and Decimal(value) != 0


def worse(bps: str) -> str:
    """Slippage in words."""
    points = Decimal(bps)
    if not points:
        return "at the decision price"
    return f"{abs(points)} bps {'worse' if points > 0 else 'better'}"


def _time(at: str | None) -> str:
    return "at an unknown time" if at is None else f"{at[:10]} {clock(at)}"


def clock(at: str | None) -> str:
    """Time of day to the millisecond where it has any."""
    if at is None:
        return "--:--:--Z"
    whole, _, part = at[11:].removesuffix("Z").partition(".")
    return f"{whole}.{part[:3]:0<3}Z" if part else f"{whole}Z"


def _seconds(first: str | None, last: str | None) -> str:
    if first is None or last is None:
        return "at an unknown time"
    return f"{(datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds():.3f} s"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "some time"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

"""The status as aligned text for a terminal: what `longwatch status`, `orders` and `positions` print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]


def status_text(status: Json) -> str:
    """The status in a screenful: identity, readiness, link, account, what is held back, jobs, the latest alerts."""
    lines = [
        f"longwatch {status['version']}  {status['mode']} account {status['account']}  {status['market_time']}",
        *_readiness(status),
        *_section("link", _links(status["link"])),
        *_section("account", _account(status)),
        *_section("held back", _held_back(status)),
        *_section("positions", positions_text(status["positions"]).splitlines()),
        *_section("live orders", orders_text([row for row in status["orders"] if row["live"]]).splitlines()),
        *_section("strategies", _strategies(status)),
        *_section("data", _data(status["data"])),
        *_section("jobs", _jobs(status["jobs"])),
        *_section("alerts", [f"{row['at']}  {row['text']}{_again(row)}" for row in status["alerts"][:5]]),
        *_section("journal", _journal(status)),
    ]
    return "\n".join(lines)


def standing_text(status: Json) -> list[str]:
    """What the state of any moment says of link, account, holds, strategies and data, in sections."""
    return [
        *_section("link", _links(status["link"])),
        *_section("account", _account(status)),
        *_section("held back", _held_back(status)),
        *_section("strategies", _strategies(status)),
        *_section("data", _data(status["data"])),
    ]


def orders_text(orders: Sequence[Json]) -> str:
    """One row an order."""
    if not orders:
        return "no orders"
    head = ("#", "created", "side", "quantity", "symbol", "type", "price", "tif", "state", "filled", "at", "text")
    return aligned(head, [_order(row) for row in orders], right={"#", "quantity", "price", "filled", "at"})


def positions_text(positions: Sequence[Json]) -> str:
    """One row an instrument: ours, others', and the broker's figure."""
    if not positions:
        return "no positions"
    head = ("symbol", "ours", "outside", "account", "average cost", "realized", "")
    rows = [
        (
            row["symbol"],
            row["book"],
            row["outside"],
            row["account"],
            _money(row["average_cost"]),
            _money(row["realized"]),
            "quarantined" if row["quarantined"] else "no strategy asks for it" if row["left_behind"] else "",
        )
        for row in positions
    ]
    return aligned(head, rows, right={"ours", "outside", "account", "average cost", "realized"})


def comparison_text(found: Json) -> str:
    """One row an instrument, those that differ or are held back first; then what would lift each quarantine."""
    head = ("symbol", "book", "outside", "account", "difference", "since", "class", "quarantined")
    rows = [
        (
            row["symbol"],
            row["book"],
            row["outside"],
            row["account"],
            row["difference"],
            (row["since"] or "")[:19],
            row["class"] or "",
            _age(row["quarantined_seconds"]),
        )
        for row in found["instruments"]
    ]
    lines = [_read_when(found), *(f"the account could not be read: {one['reason']}" for one in found["failures"])]
    table = aligned(head, rows, right={"book", "outside", "account", "difference"}) if rows else "nothing is held"
    held = [row for row in found["instruments"] if row["quarantine"]]
    layers = [(row["symbol"], one) for row in held for one in (row, *row["beneath"])]
    why = [f"{symbol}: {one['quarantine']}\n  lifted by: {one['lifted_by']}" for symbol, one in layers]
    theirs = [f"not ours: {one['side']} {one['remaining']} {one['symbol']}" for one in found["foreign_orders"]]
    return "\n".join([*lines, table, *why, *theirs])


def _read_when(found: Json) -> str:
    if found["at"] is None:
        return f"the account has not been compared yet; the link is {found['link']}"
    age = f"compared {_age(found['age_seconds'])} ago"
    return age if found["fresh"] else f"{age}: no fresh reading came in time, the link is {found['link']}"


def _age(seconds: float | None) -> str:
    """An age in its two largest units."""
    if seconds is None:
        return ""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counts = (days, hours, minutes, left)
    parts = [f"{count} {unit}" for count, unit in zip(counts, ("d", "h", "min", "s"), strict=True)]
    first = next((place for place, count in enumerate(counts) if count), 3)
    return " ".join(parts[first : first + 2])


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[str]) -> str:
    """A table with two spaces between columns; the columns named in `right` end flush."""
    table = [tuple(head), *(tuple(map(str, row)) for row in rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        ).rstrip()
        for row in table
    )


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _readiness(status: Json) -> list[str]:
    return (
        ["ready to trade"] if status["ready"] else ["not ready to trade:", *(f"  {why}" for why in status["reasons"])]
    )


def _links(link: Json) -> list[str]:
    parts = [f"{name} {link[name]['state']}" for name in ("socket", "api", "backend", "sync")]
    broken = [name for name, farm in link["farms"].items() if farm["state"] != "up"]
    farms = [f"farms broken: {', '.join(broken)}"] if broken else []
    why = [link["reason"]] if link["reason"] else []
    since = link["socket"]["since"]
    return [", ".join([link["state"], *parts, *farms, *why]) + (f" (since {since})" if since else "")]


def _account(status: Json) -> list[str]:
    value, compared = status["account_value"], status["reconciliation"]
    lines = []
    if value["net_liquidation"] is not None:
        lines.append(f"worth {_money(value['net_liquidation'])}, cash {_money(value['cash'])} (at {value['at']})")
    if compared["at"] is not None:
        lines.append(
            f"compared {compared['positions']} positions and {compared['orders']} orders"
            f" at {compared['at']}: {len(compared['differences'])} differences"
        )
    return lines


def _held_back(status: Json) -> list[str]:
    verbs = [f"{row['verb']} by {row['by']}" + _because(row["reason"]) for row in status["verbs"]]
    quarantined = [
        f"{row['symbol']} quarantined since {row['since']}{_because(row['reason'])}" for row in status["quarantines"]
    ]
    holds = [row["text"] for row in status["holds"]]
    bare = [
        f"{row['quantity']} {row['symbol']}, worth {_money(row['value'])}, without a stop since {row['since']}"
        for row in status["unprotected"]
    ]
    return verbs + holds + quarantined + bare + [row["text"] for row in status["breakers"] if row["until"]]


def _strategies(status: Json) -> list[str]:
    wanted = [
        f"{name} ({target['session']}): "
        + (", ".join(f"{symbol} {float(weight):.1%}" for symbol, weight in target["weights"].items()) or "nothing")
        for name, target in status["targets"].items()
    ]
    faults = status["strategy_faults"].items()
    return wanted + [f"{name} has no targets for {fault['session']}: {fault['reason']}" for name, fault in faults]


def _data(data: Json) -> list[str]:
    flawed = [f"{symbol} not traded: {row['flaws'][0]}" for symbol, row in data["symbols"].items() if row["flaws"]]
    missing = [f"{symbol} not traded: {reason}" for symbol, reason in data["missing"].items()]
    judged = [f"{len(data['symbols'])} symbols up to {data['session']}"] if data["session"] else []
    return [*judged, *flawed, *missing]


def _jobs(jobs: Json) -> list[str]:
    if not jobs:
        return []
    rows = [
        (name, "running" if job["running"] else job["outcome"] or "-", job["at"] or "-", job["next_run"] or "-")
        for name, job in jobs.items()
    ]
    return aligned(("job", "last", "at", "next"), rows, right=set()).splitlines()


def _journal(status: Json) -> list[str]:
    journal = status["journal"]
    error = [f"CAN'T BE WRITTEN: {journal['error']}"] if journal["error"] else []
    return [f"{journal['id']}, {journal['sequence']} records", *error]


def _order(row: Json) -> tuple[str, ...]:
    return (
        str(row["intent"]),
        row["created_at"][:19],
        row["side"],
        row["quantity"],
        row["symbol"],
        row["type"],
        row["limit_price"] or row["stop_price"] or "",
        row["tif"],
        row["state"],
        row["filled"],
        _money(row["average_price"]),
        "; ".join(part for part in (row["text"], row["next"], _asked(row["modifying"])) if part),
    )


def _asked(terms: Json | None) -> str:
    """What a modification under way asks for."""
    if terms is None:
        return ""
    prices = (f"{name.removesuffix('_price')} {terms[name]}" for name in ("limit_price", "stop_price") if terms[name])
    return "asked to be " + ", ".join((terms["quantity"], *prices))


def _again(alert: Json) -> str:
    return f" (and {alert['repeats']} times more)" if alert["repeats"] else ""


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _money(text: str | None) -> str:
    return "" if text is None else f"{float(text):,.2f}"

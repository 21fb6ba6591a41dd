"""Decisions, fills and moments as text for a person: what `longwatch decision`, `fills`, `state` print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from longwatch.ops.phrases import counted, percent
from longwatch.ops.tables import Json, aligned, orders_text, positions_text, standing_text
from longwatch.ops.why_text import clock, figure, worse


def again_text(found: Json) -> str:
    """Whether a decision made again gives what was recorded, and if not, what is otherwise."""
    decided = found["decided"]
    what = f"#{found['intent']}: {decided['kind']} of record {decided['record']} decided again"
    if found["same"]:
        return f"{what}: same, all of its {counted(decided['facts'], 'fact')}"
    lines = [f"{what}: not the same"]
    lines += [f"  record {one['record']}, a {one['kind']}, is not what was written" for one in found["altered"]]
    lines += [f"  {_difference(one)}" for one in found["differences"]]
    if found["altered"]:
        lines.append("`longwatch journal verify` says more; restore the journal from a copy")
    return "\n".join(lines)


def _difference(one: Json) -> str:
    if one["follows"] is None:
        return f"{one['fact']} was recorded and does not follow: {one['recorded']}"
    if one["recorded"] is None:
        return f"{one['fact']} follows and was not recorded: {one['follows']}"
    return f"{one['fact']} {one['field']}: {one['recorded']} was recorded, {one['follows']} follows"


def decision_text(made: Json) -> str:
    """One row a symbol, and below them what made trades smaller."""
    equity = f", capital {figure(made['equity'])} at the close of {made['equity_session']}" if made["equity"] else ""
    lines = [f"{made['run_id']}  {made['at'] or 'at an unknown time'} (record {made['record']}){equity}"]
    if made["intended"] is not None:
        counts = f"{made['clamped']} clamped, {made['refused']} refused, {made['waiting']} waiting"
        lines.append(f"{counted(made['intended'], 'order')}, {counts}")
    if made["verbs"]:
        lines.append(f"in force: {', '.join(made['verbs'])}")
    head = ("symbol", "weight", "price", "target", "held", "under way", "trade", "what came of it")
    rows = [_decided(row) for row in made["symbols"]]
    table = aligned(head, rows, right={"weight", "price", "target", "held", "under way", "trade"})
    return "\n".join([*lines, "", table if rows else "nothing was wanted", *_smaller(made["symbols"])])


def _decided(row: Json) -> tuple[str, ...]:
    weight = "" if row["weight"] is None else percent(Decimal(row["weight"]))
    cells = (row[name] for name in ("price", "target", "held", "under_way", "trade"))
    return (row["symbol"], weight, *("" if cell is None else figure(cell) for cell in cells), row["came_to"])


def _smaller(rows: Sequence[Json]) -> Iterator[str]:
    for row in rows:
        for one in row["clamps"]:
            cut = f"{figure(one['wanted'])} to {figure(one['allowed'])} shares"
            yield f"{row['symbol']} by {one['check']}: {cut}, {figure(one['observed'])} over {figure(one['limit'])}"


def fills_text(rows: Sequence[Json]) -> str:
    """One row an execution, and what they came to together."""
    if not rows:
        return "no fills"
    head = ("executed", "", "quantity", "symbol", "price", "commission", "slippage", "order", "")
    counted_rows = [row for row in rows if not row["replaced_by"] and Decimal(row["quantity"])]
    fees: dict[str, Decimal] = {}
    for row in counted_rows:
        if row["commission"] is not None:
            fees[row["currency"]] = fees.get(row["currency"], Decimal(0)) + Decimal(row["commission"])
    cost = sum((Decimal(row["slippage"]) for row in counted_rows if row["slippage"] is not None), Decimal(0))
    paid = ", ".join(f"{figure(str(fee))} {currency}" for currency, fee in sorted(fees.items())) or "none told"
    table = aligned(head, [_fill(row) for row in rows], right={"quantity", "price", "commission", "order"})
    whole = f"{counted(len(counted_rows), 'fill')}: commission {paid}; slippage {figure(str(cost))} in all"
    return f"{table}\n{whole}"


def _fill(row: Json) -> tuple[str, ...]:
    gone = f"replaced by {row['replaced_by']}" if row["replaced_by"] else ""
    back = f"{figure(row['taken_back'])} taken back of {row['replaces']}" if row["taken_back"] else ""
    return (
        f"{row['executed_at'][:10]} {clock(row['executed_at'])}",
        row["side"],
        figure(row["quantity"]),
        row["symbol"],
        figure(row["price"]),
        "" if row["commission"] is None else f"{figure(row['commission'])} {row['currency']}",
        "" if row["slippage_bps"] is None else worse(row["slippage_bps"]),
        "not ours" if row["intent"] is None else f"#{row['intent']}",
        gone or back or (f"corrects {row['replaces']}" if row["replaces"] else ""),
    )


def moment_text(moment: Json) -> str:
    """A moment in a screenful: book, live orders, what held orders back, targets, capital."""
    if moment["account"] is None:
        return f"{moment['journal']}: nothing had happened after record {moment['record']}"
    head = f"{moment['mode']} account {moment['account']}, journal {moment['journal_id']}, run {moment['runs']}"
    live = [row for row in moment["orders"] if row["live"]]
    return "\n".join(
        [
            f"after record {moment['record']}, {moment['at'] or 'at an unknown time'}: {head}",
            *standing_text(moment),
            "",
            "positions",
            *(f"  {line}" for line in positions_text(moment["positions"]).splitlines()),
            "",
            "live orders",
            *(f"  {line}" for line in orders_text(live).splitlines()),
        ]
    )

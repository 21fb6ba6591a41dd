"""Each limit with its settings, what it sees now at worst and the room that is left; read by `longwatch limits`.

Of a running daemon through its control socket, else of the end of its journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from longwatch.domain.risk.limits import Limit, Reading, Setting
from longwatch.domain.risk.room import readings, room, used
from longwatch.domain.risk.table import LIMITS
from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import State
from longwatch.errors import LinkError
from longwatch.ops.ask import show
from longwatch.ops.journal import journal_path
from longwatch.ops.phrases import number
from longwatch.ops.tables import aligned

Json = dict[str, Any]

NEAREST = 5
ELSEWHERE = {
    "ib.market_data_type": "allow_delayed_data",
    "account_limits.kind": "account_kind",
    "risk.max_capital": "max_capital_value",
}
"""Settings that decisions know by another name."""
OF_GROUPS = ("holds", "sizing")
"""Groups of settings that decisions know as a group."""


def limits_of(state: State, tech: datetime) -> Json:
    """Every limit in the table's order, and those that are nearest to being reached; `tech` is now."""
    seen: dict[str, list[Json]] = {row.name: [] for row in LIMITS}
    near: list[tuple[Decimal, Json]] = []
    for name, reading in readings(state, tech):
        told = _reading(reading)
        seen[name].append(told)
        part = used(reading)
        if part is not None:
            near.append((part, {"name": name, **told}))
    near.sort(key=lambda one: -one[0])
    return {
        "at": tech.isoformat().replace("+00:00", "Z"),
        "limits": [_row(row, state.settings, seen[row.name]) for row in LIMITS],
        "nearest": [one for part, one in near[:NEAREST] if part > 0],
    }


def limits_text(found: Json) -> str:
    """What is nearest to its limit, then a table of all that sees something, then the names of the others."""
    head = ("limit", "of", "observed", "limit is", "room", "used", "unit")
    rows = [(row["name"], *_cells(reading, row["unit"])) for row in found["limits"] for reading in row["readings"]]
    nearest = [f"{one['name']} {one['subject']}".strip() + f" {_part(one['used'])}" for one in found["nearest"]]
    others = [row["name"] for row in found["limits"] if not row["readings"]]
    return "\n".join(
        [
            *([f"note: {found['note']}"] if found.get("note") else []),
            f"nearest to its limit: {', '.join(nearest) or 'nothing is in use'}",
            "",
            aligned(head, rows, right={"observed", "limit is", "room", "used"}),
            "",
            f"asked of each order, or off, or nothing to see: {', '.join(others)}",
        ]
    )


def show_limits(as_json: bool, socket: Path | None, file: Path | None, config: Path | None) -> None:
    """Print the limits of the daemon that answers; where none does, or a journal is named, of the journal's end.

    Raises LinkError, or JournalError, when there is neither.
    """
    if file is None:
        try:
            show("limits", limits_text, as_json, socket, config)
        except LinkError:
            if socket is not None:
                raise
        else:
            return
    found = of_journal(journal_path(file, config))
    print(json.dumps(found, indent=2, ensure_ascii=False) if as_json else limits_text(found))


def of_journal(path: Path) -> Json:
    """The limits as of the last record of a journal; what it saw then is all that is known."""
    from longwatch.journal.finding import finding, time_of
    from longwatch.journal.travel import state_at

    moment = state_at(path, None)
    with finding(path) as finder:
        record = finder.at(moment.sequence)
        event = finder.at(record.record.cause or moment.sequence) if record is not None else None
        when = time_of(event) if event is not None else None
    compared = moment.state.compared
    known = [one for one in (when, compared.tech if compared else None) if one is not None]
    if not known:
        return {"at": None, "limits": [_row(row, moment.state.settings, []) for row in LIMITS], "nearest": []}
    found = limits_of(moment.state, max(known))
    return found | {"note": f"as of record {moment.sequence} of {path}; no running daemon was asked"}


def _row(row: Limit, settings: TradeSettings, seen: list[Json]) -> Json:
    return {
        "name": row.name,
        "does": row.does.value,
        "text": row.text,
        "unit": row.unit,
        "binds": sorted(row.binds),
        "settings": [_setting(one, settings) for one in row.settings],
        "readings": seen,
    }


def _setting(setting: Setting, settings: TradeSettings) -> Json:
    """The setting with the value in force; null as a text, where it is off or is not one that decisions know."""
    return {
        "path": f"trading.{setting.path}",
        "value": _in_force(setting, settings),
        "default": setting.default,
        "reload": setting.reload,
    }


def _in_force(setting: Setting, settings: TradeSettings) -> str | None:
    group, _, name = setting.path.rpartition(".")
    owner: object = getattr(settings, group) if group in OF_GROUPS and hasattr(settings, group) else settings
    value = getattr(owner, ELSEWHERE.get(setting.path, name), None)
    return None if value is None else str(getattr(value, "value", value))


def _reading(reading: Reading) -> Json:
    part = used(reading)
    return {
        "subject": reading.subject,
        "observed": _plain(reading.observed),
        "limit": _plain(reading.limit),
        "room": _plain(room(reading)),
        "used": None if part is None else _plain(part),
        "is_past": room(reading) < 0,
    }


def _plain(value: Decimal) -> str:
    return f"{round(value, 6).normalize():f}"


def _cells(reading: Json, unit: str) -> Iterator[str]:
    yield reading["subject"]
    yield from _numbers((reading["observed"], reading["limit"], reading["room"]))
    yield "PAST IT" if reading["is_past"] else _part(reading["used"])
    yield unit


def _numbers(texts: Iterable[str]) -> Iterator[str]:
    return (number(Decimal(text)) for text in texts)


def _part(used: str | None) -> str:
    return "" if used is None else f"{Decimal(used):.1%}"

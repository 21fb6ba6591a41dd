"""Makes a golden journal: `python -m tests.domain.golden`, once EDITION is raised; a released one is never made again.

A journal written by an older version must mean the same for ever: an old golden file is kept beside the new one, and
what it means is told. Only the newest has a fingerprint: the state may get fields an old journal knew nothing of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from longwatch.domain.state import State, fingerprint
from longwatch.journal.codec import recover
from longwatch.journal.records import Record
from tests.domain.play import A_DAY, played

EDITION = 19
FOLDER = Path(__file__).parent / "golden"
NEWEST = FOLDER / f"journal_{EDITION}.txt"
EVERY = tuple(FOLDER / f"journal_{edition}.txt" for edition in range(1, EDITION + 1))


def records_in(path: Path) -> Iterator[Record]:
    """One record a line: sequence, cause, kind, schema and the payload as it was written."""
    for line in path.read_text().splitlines():
        sequence, cause, kind, schema, payload = line.split(" ", 4)
        yield Record(sequence=int(sequence), cause=int(cause), kind=kind, schema=int(schema), payload=payload.encode())


def meaning(state: State) -> dict[str, object]:
    """What a state says, apart from how it is held: whatever else changes, an old journal keeps meaning this."""
    return {
        "orders": {
            order.ref: f"{order.side} {order.quantity} {order.symbol} {order.state.value}, filled {order.filled} at "
            f"{order.average_price:.6f}, commission {order.commission}, broker's {order.order_id} {order.perm_ids}"
            for order in state.orders.values()
        },
        "book": {row.symbol: f"{row.quantity} at {row.average_cost:.6f}" for row in state.book.values()},
        "outside": {symbol: str(quantity) for symbol, quantity in state.outside.values()},
        "account": {symbol: str(quantity) for symbol, quantity in state.account_positions.values()},
        "fills": {fill.exec_id: f"{fill.quantity} {fill.symbol} at {fill.price}" for fill in state.fills.values()},
        "quarantines": {held.symbol: held.reason for held in state.quarantines.values()},
        "verbs": sorted(state.verbs),
        "targets": {name: [f"{s} {w}" for s, w in row.weights] for name, row in state.targets.items()},
        "next": [state.next_intent, state.next_id, state.epoch],
        "runs": state.runs,
        "settings": state.settings_sha256,
    }


def write() -> None:
    play = played(A_DAY)
    FOLDER.mkdir(exist_ok=True)
    lines = [f"{r.sequence} {r.cause} {r.kind} {r.schema} {r.payload.decode()}" for r in play.records]
    NEWEST.write_text("\n".join(lines) + "\n")
    state = recover(play.records)
    told = {"fingerprint": fingerprint(state), "meaning": meaning(state)}
    NEWEST.with_suffix(".json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    write()

"""Why an order is what it is, asked of a journal of 10⁶ records: of its first, a middle and its last orders."""

from __future__ import annotations

import tempfile
from pathlib import Path

from longwatch.domain.state import State
from longwatch.explain.why import why
from longwatch.journal.codec import fold
from longwatch.journal.records import Record
from tests.bench.bench_fold import RECORDS, YEAR, opened, recorded, shifted, write
from tests.bench.figures import seconds, tell

RUNS = 3


def main() -> None:
    """A year of ten times the same story with other orders, a checkpoint after each."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "year.sqlite"
        orders = write_year(path, recorded())
        asked = (orders[20], orders[len(orders) // 2], orders[-1])
        runs = [seconds(lambda number=number: why(path, f"#{number}")) * 1e3 for number in asked for _ in range(RUNS)]
        tell(
            "why of an order in a journal of 10⁶ records",
            runs,
            "ms",
            goal="a person does not wait: < 1,000 ms",
            note=f"CPU; the 20th, the middle and the last of {len(orders):,} orders; the fold begins at a milestone",
        )


def write_year(path: Path, records: list[Record]) -> list[int]:
    """The numbers of its orders, in order."""
    state = State()
    for turn in range(YEAR // RECORDS):
        batch = [shifted(record, turn) if turn else record for record in records]
        write(path, batch)
        fold(state, batch)
        with opened(path) as journal:
            journal.checkpoint(batch[-1].sequence, state, least=1)
    return list(state.orders)


if __name__ == "__main__":
    main()

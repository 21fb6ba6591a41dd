"""P7: opening a journal of 10⁵ records and folding it to a state, against reading rows and parsing their JSON alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path

from longwatch.backtest.engine import run
from longwatch.backtest.history import unadjusted
from longwatch.config.load import demo_path, load
from longwatch.data import demo
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.journal.codec import encode, recover
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from tests.bench.figures import seconds, tell

RECORDS = 100_000
RUNS = 5


def main() -> None:
    """One journal, read again and again."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "journal.sqlite"
        write(path)
        ours = [RECORDS / seconds(lambda: fold(path)) for _ in range(RUNS)]
        floor = [RECORDS / seconds(lambda: rows_and_json(path)) for _ in range(RUNS)]
        opening = [seconds(lambda: fold(path)) * 1e3 for _ in range(RUNS)]
    tell(
        "P7 fold of a journal of 10⁵ records",
        ours,
        "records/s",
        peer="SQLite rows + json.loads",
        peer_runs=floor,
        goal="≥ 100,000 records/s",
        note="CPU seconds; open, lock, read and fold, of a backtest's own events and facts",
    )
    goal = "a year (10⁶) < 1 s by checkpoint, which is to come"
    tell("P7 opening a journal of 10⁵ records", opening, "ms", goal=goal)


def write(path: Path) -> None:
    """The records of a backtest of the demo, as the engine's loop would have written them."""
    settings = load(demo_path(), {}).settings
    series = unadjusted({symbol: demo.load(symbol) for symbol in demo.symbols()})
    kept: list[Record] = []

    def observe(event: m.Event, what: Step) -> None:
        cause = len(kept) + 1
        kept.append(encode(cause, 0, event))
        kept.extend(encode(cause + place, cause, fact) for place, fact in enumerate(what.facts, 1))

    run(settings, series, ExchangeCalendar(), start=date(2002, 1, 2), end=demo.LAST_SESSION, observe=observe)
    if len(kept) < RECORDS:
        raise SystemExit(f"the backtest gave {len(kept)} records only")
    with opened(path) as journal:
        for batch in batches(kept[:RECORDS]):
            journal.append(batch)


@contextmanager
def opened(path: Path) -> Iterator[InlineJournal]:
    """A journal, closed at the end."""
    journal = InlineJournal.open(path, account="DU123456", mode="backtest", fresh_id="bench", synchronous="OFF")
    try:
        yield journal
    finally:
        asyncio.run(journal.close())


def fold(path: Path) -> None:
    """What a start does before anything else."""
    with opened(path) as journal:
        recover(journal.read())


def rows_and_json(path: Path) -> None:
    """The least anybody can do with these rows in Python."""
    connection = sqlite3.connect(path)
    for _, _, _, _, payload in connection.execute("SELECT sequence, cause, kind, schema, payload FROM record"):
        json.loads(payload)
    connection.close()


def batches(records: list[Record]) -> Iterator[list[Record]]:
    """Records in batches as large as the loop's."""
    left = iter(records)
    while batch := list(islice(left, 256)):
        yield batch


if __name__ == "__main__":
    main()

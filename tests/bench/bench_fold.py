"""P7: opening a journal: the fold of 10⁵ records against reading rows and parsing JSON, and a year's by checkpoint."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import islice, takewhile
from pathlib import Path

from longwatch.backtest.engine import run
from longwatch.backtest.history import unadjusted
from longwatch.config.load import demo_path, load
from longwatch.data import demo
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain import messages as m
from longwatch.domain.decide import Step
from longwatch.domain.state import State, fingerprint
from longwatch.journal.checkpoints import RECORDS as BETWEEN_CHECKPOINTS
from longwatch.journal.checkpoints import recovered
from longwatch.journal.codec import encode, fold
from longwatch.journal.records import Record
from longwatch.journal.sqlite import InlineJournal
from tests.bench.figures import seconds, tell

RECORDS = 100_000
YEAR = 10 * RECORDS
RUNS = 5
NUMBERS = re.compile(rb'"(intent|order_id|perm_id)":(\d+)')


def main() -> None:
    """One journal, read again and again."""
    with tempfile.TemporaryDirectory() as place:
        path, year = Path(place) / "journal.sqlite", Path(place) / "year.sqlite"
        records = recorded()
        write(path, records)
        ours = [RECORDS / seconds(lambda: start(path)) for _ in range(RUNS)]
        floor = [RECORDS / seconds(lambda: rows_and_json(path)) for _ in range(RUNS)]
        tell(
            "P7 fold of a journal of 10⁵ records",
            ours,
            "records/s",
            peer="SQLite rows + json.loads",
            peer_runs=floor,
            goal="≥ 100,000 records/s",
            note="CPU seconds; open, lock, read, verify the hash chain and fold, of a backtest's own events and facts",
        )
        orders = write_year(year, records)
        opening = [seconds(lambda: start(year)) * 1e3 for _ in range(RUNS)]
        tell(
            "P7 opening a year's journal by checkpoint",
            opening,
            "ms",
            goal="10⁶ records < 1,000 ms",
            note=f"CPU; {orders:,} orders in the state, {BETWEEN_CHECKPOINTS - 1:,} records after the checkpoint; "
            "equal to the fold of everything",
        )


def recorded() -> list[Record]:
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
    return kept[:RECORDS]


def write(path: Path, records: list[Record]) -> None:
    """Append them in batches as large as the loop's."""
    with opened(path) as journal:
        for batch in batches(records):
            journal.append(batch)


def write_year(path: Path, records: list[Record]) -> int:
    """The same story ten times with other orders each time, and the worst moment to stop: just before a checkpoint.

    How many orders that are. The state by checkpoint is compared with the fold of all.
    """
    write(path, records)
    for turn in range(1, YEAR // RECORDS):
        write(path, [shifted(record, turn) for record in records])
    with opened(path) as journal:
        last = journal.last_sequence - BETWEEN_CHECKPOINTS + 1
        state, left = State(), journal.read(only_facts=True)
        fold(state, takewhile(lambda record: record.sequence <= last, left))
        journal.checkpoint(last, state, least=1)
        fold(state, journal.read(last + 1, only_facts=True))
        by_checkpoint = recovered(journal)
    if by_checkpoint.began_at != last:
        raise SystemExit("the checkpoint was not used")
    if fingerprint(by_checkpoint.state) != fingerprint(state):
        raise SystemExit("the checkpoint gives another state")
    return len(state.orders)


def shifted(record: Record, turn: int) -> Record:
    """The record with every number of an order and of an execution moved on."""
    shift = turn * 100_000
    payload = NUMBERS.sub(lambda found: b'"%b":%d' % (found[1], int(found[2]) + shift), record.payload)
    payload = payload.replace(b'"exec_id":"', b'"exec_id":"%d-' % turn)
    by = turn * RECORDS
    return replace(
        record, sequence=record.sequence + by, cause=record.cause + by if record.cause else 0, payload=payload
    )


@contextmanager
def opened(path: Path) -> Iterator[InlineJournal]:
    """A journal, closed at the end."""
    journal = InlineJournal.open(path, account="DU123456", mode="backtest", fresh_id="bench", synchronous="OFF")
    try:
        yield journal
    finally:
        asyncio.run(journal.close())


def start(path: Path) -> None:
    """What a start does before anything else."""
    with opened(path) as journal:
        recovered(journal)


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

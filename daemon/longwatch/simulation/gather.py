"""Reads what a finished run left behind: journal, ledger, and what was heard on the wire; called by simulate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from longwatch.gateway.app import Gateway
from longwatch.gateway.exchange.books import Account
from longwatch.journal.records import Record
from longwatch.simulation.booked import books, moment
from longwatch.simulation.cuts import Struck
from longwatch.simulation.evidence import OURS, Evidence, Held, Row
from longwatch.simulation.scenery import Scenery
from longwatch.simulation.tap import Tap, is_question
from longwatch.simulation.told import Others
from longwatch.simulation.trouble import Played


def gather(
    *,
    records: Iterable[Record],
    ledger: Path,
    tap: Tap,
    played: tuple[Played, ...],
    gateway: Gateway,
    scene: Scenery,
    cuts: tuple[Struck, ...] = (),
) -> Evidence:
    """Read a finished run, of whose journal these are the `records`."""
    faults, accounts = gateway.faults, gateway.ledger.accounts
    orders, fills, busted = books(ledger)
    mine, theirs = (
        Others(
            orders=tuple(one for one in orders if one.ref.startswith(OURS) == is_mine),
            fills=tuple(one for one in fills if one.ref.startswith(OURS) == is_mine),
            busted=tuple(one for one in busted if one.ref.startswith(OURS) == is_mine),
        )
        for is_mine in (True, False)
    )
    return Evidence(
        scene=scene,
        rows=tuple(_rows(records)),
        written=tuple(seen for seen in tap.written() if not is_question(seen)),
        heard=tuple(seen for seen in tap.heard() if not is_question(seen)),
        orders=mine.orders,
        fills=mine.fills,
        busted=mine.busted,
        others=theirs,
        played=played,
        lost_fills=frozenset(faults.lost_fills),
        lost_commissions=frozenset(faults.lost_commissions),
        left_out=frozenset(faults.left_out),
        events=tuple(gateway.events.happened),
        accounts={name: _held(account) for name, account in accounts.items()},
        violations=tuple(gateway.desk.police.violations),
        replays_commissions=gateway.desk.config.conduct.replays_commissions,
        cuts=cuts,
    )


def _held(books: Account) -> Held:
    shares = {number: holding.quantity for number, holding in books.holdings.items()}
    return Held(opening=books.opening, cash=books.cash, shares=shares)


def _rows(records: Iterable[Record]) -> Iterator[Row]:
    times: dict[int, tuple[datetime, datetime]] = {}
    for record in records:
        body = msgspec.json.decode(record.payload)
        if not record.cause:
            times = {record.sequence: (moment(body["at"]), moment(body["tech"]))}
        at, tech = times[record.cause or record.sequence]
        yield Row(sequence=record.sequence, kind=record.kind, at=at, tech=tech, body=body)

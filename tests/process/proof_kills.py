"""SIGKILL to real daemons at random instants: `python -m tests.process.proof_kills` writes into docs/proof.md.

What each kill met is read afterwards from the daemon's journal and the gateway's ledger as they lay at that moment.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from os import SEEK_END
from pathlib import Path
from random import Random
from typing import Literal

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.process.made import Place, Program, until
from tests.process.test_kills import agree, come_to_rest
from tests.proof_page import PAGE, write_part

KILLS, A_PLACE = 200, 20
"""Of all; and of one journal, after which its daemon comes to rest and is compared with the gateway, entry by entry."""
STARTING_SHARE = 0.2
HOLD_ACKS_SECONDS = 0.5
LOOK_SECONDS = 0.001
Trigger = Literal["starting", "trading", "intended", "under way", "order", "execution"]
TRIGGERS: Mapping[Trigger, tuple[int, tuple[float, float]]] = {
    "starting": (22, (0.1, 1.5)),
    "trading": (18, (0.0, 4.0)),
    "intended": (14, (0.0, 0.1)),
    "under way": (24, (0.1, 4.0)),
    "order": (13, (0.0, 0.0)),
    "execution": (9, (0.0, 0.0)),
}
"""What a life ends after: how often of a hundred, and the seconds it goes on from then.

Its start; its being ready; an order's record in its journal, for those two; an order, or an execution, in the gateway's
ledger.
"""
MET = {
    "starting": "no order was under way, and the daemon was not ready yet",
    "queued": "an order intended, its bytes neither noted nor at the gateway",
    "sending": "an order at the gateway, its bytes not noted",
    "sent": "an order's bytes noted, and no acknowledgement",
    "unjournalled fill": "a fill in the gateway's books, and not in the journal",
    "working": "an order acknowledged and not ended",
    "cancel sent": "an order whose cancel was asked for, and that had not ended",
    "nothing under way": "no order at all was under way",
}
FLOORS = {
    "starting": 3,
    "queued": 8,
    "sending": 4,
    "sent": 20,
    "unjournalled fill": 10,
    "working": 20,
    "cancel sent": 10,
    "nothing under way": 8,
}
"""How many of KILLS have to meet each."""
SETTINGS = {
    # More orders at once than may leave at once: the others wait for their turn to be written.
    "ib": {"messages_per_second": 10},
    "strategies": [{"name": "flip", "path": "flip.py:Flip", "parameters": {"weight": 0.05, "many": 6}}],
    "execution": {"limit_from": "mid", "limit_offset_bps": 0, "working_seconds": 4.0, "replacements": 100},
}


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> None:
    """Kill, compare, write what has been done so far; an AssertionError or a failed wait ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    met: Counter[str] = Counter()
    for first in range(0, asked.kills, A_PLACE):
        count = min(A_PLACE, asked.kills - first)
        met += killed(count, Random(f"{asked.seed}|{first}"))
        print(f"{first + count} kills: {dict(met)}", flush=True)
        write_part(page, "kills", "\n".join(section(first + count, met)))
    raise SystemExit("\n".join(failures(asked.kills, met)) or None)


def failures(kills: int, met: Mapping[str, int]) -> list[str]:
    """Of a full proof each phase that the kills met too seldom."""
    few = {name: met.get(name, 0) for name in FLOORS if met.get(name, 0) < FLOORS[name]}
    return [f"too few kills met {name}: {count} of {FLOORS[name]}" for name, count in few.items() if kills >= KILLS]


def killed(count: int, random: Random) -> Counter[str]:
    """So many lives on one journal, and the comparison at the end; how many kills met what."""
    met: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lw", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        try:
            place.configure(SETTINGS)
            place.gateway("--hold-acks", HOLD_ACKS_SECONDS)
            have_a_fill(place)
            for _ in range(count):
                met.update(life(place, random))
            daemon = place.ready_daemon()
            come_to_rest(place, daemon)
            agree(place)
        finally:
            place.close()
    return met


def have_a_fill(place: Place) -> None:
    """Trade until one is in the journal: without any, nothing tells a gateway from one that was started anew.

    An order killed before may stay unknown until a session ends, the first case of docs/undecidable.md; none ends here.
    """
    daemon = place.ready_daemon()
    until(lambda: bool(place.messages(m.FillBooked)), "a fill", daemon)
    daemon.kill()


def life(place: Place, random: Random) -> set[str]:
    """A daemon from its start to its death, and what that met."""
    shares = [share for share, _ in TRIGGERS.values()]
    (trigger,) = random.choices(list(TRIGGERS), shares)
    daemon = place.daemon() if trigger == "starting" else place.ready_daemon()
    wait_for(trigger, place, daemon)
    time.sleep(random.uniform(*TRIGGERS[trigger][1]))
    daemon.kill()
    return met_by(place) or {"starting" if trigger == "starting" else "nothing under way"}


def wait_for(trigger: Trigger, place: Place, daemon: Program) -> None:
    """Until what ends a life has come: a record in the journal or an entry in the ledger that was not there before."""
    if trigger in ("intended", "under way"):
        with closing(sqlite3.connect(f"file:{place.journal_path}?mode=ro", uri=True)) as journal:
            newest = "SELECT max(sequence) FROM record WHERE kind = 'OrderSending'"
            before = journal.execute(newest).fetchone()
            until(lambda: journal.execute(newest).fetchone() != before, "an order", daemon, LOOK_SECONDS)
    elif trigger in ("order", "execution"):
        with place.ledger_path.open("rb") as ledger:
            ledger.seek(0, SEEK_END)
            wanted = f'"{trigger}"'.encode()
            until(lambda: wanted in ledger.read(), f"an {trigger} in the ledger", daemon, LOOK_SECONDS)


def met_by(place: Place) -> set[str]:
    """What of MET the files that are left show."""
    if not place.journal_path.exists():
        return set()
    state, books = place.folded(), place.books()
    handed = {seen.intent for seen in place.messages(m.OrderHanded)}
    there, found = set(books.refs), set()
    for order in state.live_orders():
        if order.cancel_asked:
            found.add("cancel sent")
        elif order.state is OrderState.WORKING:
            found.add("working")
        elif order.state is OrderState.SENDING and order.intent in handed:
            found.add("sent")
        elif order.state is OrderState.SENDING:
            found.add("sending" if order.ref in there else "queued")
    if books.executions.keys() - state.fills.keys():
        found.add("unjournalled fill")
    return found


def section(kills: int, met: Mapping[str, int]) -> Iterator[str]:
    """The part of the page."""
    yield "## Real processes killed\n"
    yield f"{kills} times SIGKILL to a daemon that trades against a gateway of its own, both real processes: at random"
    yield "instants, just after an order was made durable, and as an order or an execution comes into the gateway's"
    yield f"books. After every {A_PLACE} the daemon comes to rest, and its journal is the gateway's ledger, entry by"
    yield "entry: no order twice, no fill lost, cash and positions to the cent. What the kills met, as the files lay"
    yield "then; a kill can meet several:\n"
    yield "| met | kills | |"
    yield "|---|---|---|"
    for name, text in MET.items():
        yield f"| {name} | {met.get(name, 0)} | {text} |"


if __name__ == "__main__":
    main()

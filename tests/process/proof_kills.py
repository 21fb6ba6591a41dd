"""SIGKILL to real daemons at random instants: `python -m tests.process.proof_kills` writes into docs/proof.md.

What each kill met is read afterwards from the daemon's journal and the gateway's ledger as they lay at that moment.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from longwatch.domain import messages as m
from longwatch.domain.orders import OrderState
from tests.process.made import Place
from tests.process.test_kills import agree, come_to_rest
from tests.proof_page import PAGE, write_part

KILLS, A_PLACE = 200, 20
"""Of all; and of one journal, after which its daemon comes to rest and is compared with the gateway, entry by entry."""
STARTING_SHARE = 0.2
LIVES_SECONDS = {"starting": (0.1, 1.5), "trading": (0.0, 4.0)}
HOLD_ACKS_SECONDS = 0.5
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
SETTINGS = {
    "strategies": [{"name": "flip", "path": "flip.py:Flip", "parameters": {"weight": 0.08}}],
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


def killed(count: int, random: Random) -> Counter[str]:
    """So many lives on one journal, and the comparison at the end; how many kills met what."""
    met: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="lw", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        try:
            place.configure(SETTINGS)
            place.gateway("--hold-acks", HOLD_ACKS_SECONDS)
            for _ in range(count):
                met.update(life(place, random))
            daemon = place.ready_daemon()
            come_to_rest(place, daemon)
            agree(place)
        finally:
            place.close()
    return met


def life(place: Place, random: Random) -> set[str]:
    """A daemon from its start to its death, and what that met."""
    is_starting = random.random() < STARTING_SHARE
    daemon = place.daemon() if is_starting else place.ready_daemon()
    time.sleep(random.uniform(*LIVES_SECONDS["starting" if is_starting else "trading"]))
    daemon.kill()
    return met_by(place) or {"starting" if is_starting else "nothing under way"}


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
    yield f"{kills} times SIGKILL at a random instant to a daemon that trades against a gateway of its own, both real"
    yield f"processes; after every {A_PLACE} the daemon comes to rest, and its journal is the gateway's ledger, entry"
    yield "by entry: no order twice, no fill lost, cash and positions to the cent. What the kills met, as the files lay"
    yield "then; a kill can meet several:\n"
    yield "| met | kills | |"
    yield "|---|---|---|"
    for name, text in MET.items():
        yield f"| {name} | {met.get(name, 0)} | {text} |"


if __name__ == "__main__":
    main()

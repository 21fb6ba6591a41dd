"""A disk with no room, and a journal that is taken away: nothing new leaves, cancels still do, and nothing is lost."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

from longwatch.domain import messages as m
from longwatch.journal.reading import verify
from tests.process.made import Place, Program, until

UNLIMITED = resource.RLIM_INFINITY
SLOW_TO_FILL = {
    "strategies": [{"name": "flip", "path": "flip.py:Flip", "parameters": {"weight": 0.4}}],
    "risk": {"max_weight": 0.5, "max_order_value": 10_000_000},
    "execution": {"max_position_size": 1_000_000},
}
"""Orders so large that the displayed sizes feed them for minutes: there is always something to cancel."""


def no_room(daemon: Program, *files: Path) -> None:
    """Its files may not grow beyond what they are, as on a full disk; other processes are not touched."""
    most = max(path.stat().st_size for path in files)
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, UNLIMITED))


def room(daemon: Program) -> None:
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))


def working(place: Place) -> list[dict[str, Any]]:
    return [row for row in place.ask("orders")["data"] if row["state"] == "working"]


def ended(place: Place) -> set[int]:
    """Orders that the gateway has ended."""
    rows = (json.loads(line) for line in place.ledger_path.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return {row["perm_id"] for row in rows if row["kind"] == "ended"}


def test_the_kill_switch_cancels_though_nothing_can_be_written(place: Place) -> None:
    """Orders rest at the gateway when the disk fills; `halt` ends them there, says it is not yet kept, and then is."""
    place.configure(SLOW_TO_FILL | {"schedule": {"signals": "every 24 h"}})
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(working(place)) >= 2, "orders that work", daemon)
    until(lambda: len(place.messages(m.RebalanceDecided)) >= 2, "nothing more to want", daemon)
    resting = {perm_id for row in working(place) for perm_id in row["perm_ids"]}
    no_room(daemon, Path(f"{place.journal_path}-wal"))
    until(lambda: "journal: " in place.page("/readyz")[1], "the full disk to be told", daemon)
    assert place.metric("longwatch_journal_writable") == 0
    assert place.page("/livez")[0] == 503
    assert "journal_failed" in {row["key"] for row in place.status()["alerts"]}
    known = place.records()

    told = place.tell("halt", "--reason", "no disk")
    assert told.returncode == 74 and "is not in the journal" in told.stderr
    until(lambda: resting <= ended(place), "the cancels to reach the gateway", daemon)
    assert place.records() == known

    room(daemon)
    until(lambda: place.page("/livez")[0] == 200, "the daemon to go on by itself", daemon)
    until(lambda: len(place.messages(m.VerbSet, known[-1].sequence)) == 1, "the halt in the journal", daemon)
    assert "journal_back" in {row["key"] for row in place.status()["alerts"]}
    assert place.records()[: len(known)] == known
    assert verify(place.journal_path) == ()
    daemon.kill()
    assert [verb.value for verb in place.folded().verbs] == ["halt"]


def test_on_a_full_disk_nothing_new_leaves_and_with_room_it_trades_on(place: Place) -> None:
    """Rebalances go on deciding: what they would send is withheld, and all that was decided is written in the end."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().refs) >= 2, "orders", daemon)
    no_room(daemon, Path(f"{place.journal_path}-wal"))
    until(lambda: "journal: " in place.page("/readyz")[1], "the full disk to be told", daemon)
    sent, known = len(place.books().refs), place.records()
    decided = place.metric("longwatch_orders_total", 'state="intended"')
    until(lambda: place.metric("longwatch_orders_total", 'state="intended"') >= decided + 4, "decisions", daemon)
    assert len(place.books().refs) == sent

    room(daemon)
    until(lambda: place.page("/livez")[0] == 200, "the daemon to go on by itself", daemon)
    until(lambda: len(place.books().refs) >= sent + 4, "orders again", daemon)
    daemon.kill()
    records = place.records()
    assert records[: len(known)] == known
    assert verify(place.journal_path) == ()
    assert len(set(place.books().refs)) == len(place.books().refs)
    withheld = place.messages(m.OrderWithheld, known[-1].sequence)
    assert len(withheld) >= 4
    assert {order.state.value for order in place.folded().orders.values()} >= {"unsent", "filled"}


def test_a_journal_that_is_moved_away_is_told_and_one_that_comes_back_is_written_on(place: Place) -> None:
    """Nothing is written into a file without its name; orders stop, and go on when it lies where it was."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().refs) >= 2, "orders", daemon)
    away = place.journal_path.with_name("away")
    place.journal_path.rename(away)
    until(lambda: "moved, deleted or replaced" in place.page("/readyz")[1], "the loss to be told", daemon)
    sent = len(place.books().refs)
    decided = place.metric("longwatch_orders_total", 'state="intended"')
    until(lambda: place.metric("longwatch_orders_total", 'state="intended"') >= decided + 4, "decisions", daemon)
    assert len(place.books().refs) == sent
    assert not place.journal_path.exists()
    away.rename(place.journal_path)
    until(lambda: place.page("/readyz")[0] == 200, "the daemon to go on by itself", daemon)
    until(lambda: len(place.books().refs) >= sent + 2, "orders again", daemon)
    daemon.kill()
    assert verify(place.journal_path) == ()
    assert len(set(place.books().refs)) == len(place.books().refs)


def test_a_gateway_that_cannot_write_its_ledger_ends(place: Place) -> None:
    """It says why in a sentence, and its file stays whole for the next one."""
    place.configure(SLOW_TO_FILL)
    gateway = place.gateway()
    daemon = place.ready_daemon()
    until(lambda: bool(place.books().executions), "a fill", daemon)
    no_room(gateway, place.ledger_path)
    code = gateway.ended()
    assert code != 0 and "can't be used (" in gateway.said and "Traceback" not in gateway.said
    place.gateway()

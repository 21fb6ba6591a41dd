"""Halt over kill -9: what a person has stopped stays stopped until a person resumes it."""

from __future__ import annotations

import time

from longwatch.domain import messages as m
from tests.process.made import Place, until

REBALANCES_SECONDS = 5.0
"""Time for two rebalances."""


def test_halt_survives_kill_minus_nine_and_nothing_is_sent_until_resume(place: Place) -> None:
    """Killed the moment `longwatch halt` returned, the daemon comes back halted; `longwatch resume` lets it trade."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().refs) >= 2, 20, "orders", daemon)
    told = place.tell("halt", "--reason", "wrong prices")
    daemon.kill()
    assert told.returncode == 0, told.stderr
    assert "halt" in told.stdout

    daemon = place.daemon()
    until(lambda: "verb: halted" in place.page("/readyz")[1], 20, "the halt to be told", daemon)
    assert "wrong prices" in place.page("/readyz")[1]
    until(lambda: place.status()["link"]["state"] == "ready", 20, "the link", daemon)
    before, sent = len(place.records()), len(place.books().refs)
    time.sleep(REBALANCES_SECONDS)
    assert len(place.books().refs) == sent
    assert not place.messages(m.OrderIntended, before)
    assert place.messages(m.RebalanceDecided, before), "no rebalance looked at the halt"
    assert [row["verb"] for row in place.status()["verbs"]] == ["halt"]

    assert place.tell("resume").returncode == 0
    until(lambda: len(place.books().refs) > sent, 20, "an order after the halt", daemon)
    assert place.page("/readyz") == (200, "ready\n")

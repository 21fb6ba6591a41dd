"""Halt over kill -9: what a person has stopped stays stopped until a person resumes it."""

from __future__ import annotations

from longwatch.domain import messages as m
from tests.process.made import Place, until


def test_halt_survives_kill_minus_nine_and_nothing_is_sent_until_resume(place: Place) -> None:
    """Killed the moment `longwatch halt` returned, the daemon comes back halted; `longwatch resume` lets it trade."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().refs) >= 2, "orders", daemon)
    told = place.tell("halt", "--reason", "wrong prices")
    daemon.kill()
    assert told.returncode == 0, told.stderr
    assert "halt" in told.stdout

    daemon = place.daemon()
    until(lambda: "verb: halted" in place.page("/readyz")[1], "the halt to be told", daemon)
    assert "wrong prices" in place.page("/readyz")[1]
    until(lambda: len(place.status()["reasons"]) == 1, "the halt to be all that holds it back", daemon)
    before, sent = len(place.records()), len(place.books().refs)
    until(lambda: len(place.messages(m.RebalanceDecided, before)) >= 2, "two rebalances", daemon)
    assert len(place.books().refs) == sent
    assert not place.messages(m.OrderIntended, before)
    assert [row["verb"] for row in place.status()["verbs"]] == ["halt"]

    assert place.tell("resume").returncode == 0
    until(lambda: len(place.books().refs) > sent, "an order after the halt", daemon)
    assert place.page("/readyz") == (200, "ready\n")

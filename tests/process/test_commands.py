"""The command line against a daemon that trades: what it reads out, and what its verbs do."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import Purpose
from tests.process.made import ACCOUNT, Place, until

EX_UNAVAILABLE = 69


def test_readings_as_tables_and_as_json(place: Place) -> None:
    """`status`, `orders` and `positions` show the ledger's own figures, and `--json` the same as data."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.books().executions) >= 2, "trades", daemon)
    place.ask("halt")
    until(lambda: not place.folded().live, "every order to end", daemon)
    books, state = place.books(), place.folded()

    positions = _data(place, "positions")
    assert {row["symbol"]: row["book"] for row in positions} == {s: f"{q:f}" for s, q in books.held.items()}
    table = _table(place, "positions")
    assert table[0].split()[:4] == ["symbol", "ours", "outside", "account"]
    assert {line.split()[0] for line in table[1:]} == books.held.keys()

    orders = _data(place, "orders")
    assert {row["ref"] for row in orders} == {order.ref for order in state.orders.values()}
    table = _table(place, "orders")
    assert len(table) == 1 + len(orders)

    status = _data(place, "status")
    assert (status["account"], status["ready"]) == (ACCOUNT, False)
    assert any("halted" in reason for reason in status["reasons"])
    text = "\n".join(_table(place, "status"))
    assert ACCOUNT in text
    assert "not ready to trade:" in text
    assert "halt" in text


def test_pause_lets_reductions_through_and_flatten_ends_with_empty_books(place: Place) -> None:
    """Paused: no order opens anything. Flatten: the gateway's ledger is flat, and stays flat until resume."""
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: bool(place.books().held), "a position", daemon)

    assert place.tell("pause", "--reason", "lunch").returncode == 0
    paused = _sequence(place, m.VerbSet)
    until(lambda: len(place.messages(m.RebalanceDecided, paused)) >= 3, "rebalances", daemon)
    intended = [fact.order for fact in place.messages(m.OrderIntended, paused)]
    assert all(order.purpose is Purpose.REDUCE for order in intended)
    assert [row["verb"] for row in place.status()["verbs"]] == ["pause"]
    assert place.tell("resume").returncode == 0
    until(lambda: _has_entry_since(place, paused), "a new position", daemon)

    assert place.tell("flatten", "--yes", "--reason", "end of the trial").returncode == 0
    until(lambda: not place.books().held and not place.folded().live, "flat books", daemon)
    flat = len(place.records())
    until(lambda: len(place.messages(m.RebalanceDecided, flat)) >= 2, "rebalances", daemon)
    assert not place.books().held
    assert not place.messages(m.OrderIntended, flat)
    assert _book(place) == {}
    assert place.tell("resume").returncode == 0
    until(lambda: _has_entry_since(place, flat), "trading to go on", daemon)


def test_reconcile_compares_now(place: Place) -> None:
    """`longwatch reconcile` has the account read and compared at once, for the reason that a person asked."""
    rarely = {"reconcile": "every 23 h", "signals": "every 23 h"}
    place.configure({"schedule": rarely, "ib": {"account_age_seconds": 90_000.0}})
    place.gateway()
    daemon = place.ready_daemon()
    until(lambda: len(place.folded().fills) >= 2 and not place.folded().live, "trades", daemon)
    before = len(place.records())
    told = place.tell("reconcile")
    assert told.returncode == 0, told.stderr

    def asked() -> list[Any]:
        return [fact for fact in place.messages(m.BookCompared, before) if "person" in fact.reason]

    until(lambda: bool(asked()), "the comparison", daemon)
    assert asked()[0].differences == ()


def test_without_a_daemon_a_command_says_so(place: Place) -> None:
    """One sentence with the socket's path and what to do, exit 69; also where a killed daemon left its socket."""
    told = place.tell("status")
    assert told.returncode == EX_UNAVAILABLE
    assert "no daemon answers at c.sock" in told.stderr
    daemon = place.daemon()
    until((place.folder / "c.sock").exists, "the socket", daemon)
    daemon.kill()
    told = place.tell("halt")
    assert told.returncode == EX_UNAVAILABLE
    assert "longwatch run" in told.stderr


@pytest.mark.parametrize("module", ["longwatch", "longwatch.cli"])
def test_the_command_is_there_as_a_module_too(module: str) -> None:
    """`python -m` with either name does what was asked, and fails where the command fails."""
    version, nonsense = (
        subprocess.run([sys.executable, "-m", module, word], check=False, capture_output=True, text=True, timeout=60)
        for word in ("version", "nonsense")
    )
    assert (version.returncode, bool(version.stdout.strip())) == (0, True)
    assert nonsense.returncode != 0


def _data(place: Place, name: str) -> Any:
    told = place.tell(name, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def _table(place: Place, name: str) -> list[str]:
    told = place.tell(name)
    assert told.returncode == 0, told.stderr
    return told.stdout.splitlines()


def _sequence(place: Place, kind: type[m.Fact]) -> int:
    """Where the journal's last fact of a kind stands."""
    return [record.sequence for record in place.records() if record.kind == kind.__name__][-1]


def _has_entry_since(place: Place, sequence: int) -> bool:
    return any(fact.order.purpose is Purpose.ENTRY for fact in place.messages(m.OrderIntended, sequence))


def _book(place: Place) -> dict[str, str]:
    return {row["symbol"]: row["book"] for row in place.status()["positions"] if row["book"] != "0"}


def test_check_connect_asks_the_gateway_and_places_nothing(place: Place) -> None:
    """All is well: exit 0."""
    place.gateway()
    asked = place.start("check", place.config, "--connect")
    assert asked.ended() == 0, asked.said
    assert "a what-if of one share each are well" in asked.said
    assert not place.books().executions

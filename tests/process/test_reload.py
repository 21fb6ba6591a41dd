"""SIGHUP on a real process: a good file takes effect on the next order, a bad one changes nothing and says why."""

from __future__ import annotations

import signal
from decimal import Decimal

from longwatch.domain import messages as m
from tests.process.made import ABSENT, Place, Program, until

RELOADED = "longwatch_config_last_reload_successful"
CAP = 100
EX_CONFIG = 78


def test_a_good_file_clamps_the_next_order(place: Place) -> None:
    """After SIGHUP the journal holds `ConfigApplied`; every later order keeps to the new cap, clamped by its name."""
    place.gateway()
    daemon = _trading(place)
    former = place.folded().settings_sha256
    place.configure({"risk": {"max_order_shares": CAP}})
    before = len(place.records())
    daemon.send(signal.SIGHUP)
    until(lambda: bool(place.messages(m.ConfigApplied, before)), "the new configuration", daemon)
    applied = next(r.sequence for r in place.records(before) if r.kind == "ConfigApplied")
    until(lambda: bool(place.messages(m.OrderIntended, applied)), "the next order", daemon)
    assert all(fact.order.quantity <= CAP for fact in place.messages(m.OrderIntended, applied))
    clamps = {fact.check: fact for fact in place.messages(m.TradeClamped, applied)}
    assert clamps["max_order_shares"].limit == Decimal(CAP)
    (fact,) = place.messages(m.ConfigApplied, before)
    assert fact.settings.max_order_shares == CAP
    assert fact.by == "SIGHUP"
    assert fact.sha256 != former
    assert place.metric(RELOADED) == 1
    assert place.status()["config"]["sha256"] == fact.sha256


def test_bad_files_leave_the_old_configuration_running(place: Place) -> None:
    """The metric falls to 0, `longwatch reload` prints every reason and ends with 78, and trading goes on as before."""
    place.gateway()
    daemon = _trading(place)
    sha256, before = place.folded().settings_sha256, len(place.records())
    good = place.config.read_text()
    for spoil, told in BAD:
        spoil(place)
        daemon.send(signal.SIGHUP)
        until(lambda: place.metric(RELOADED) == 0, "the refusal to be counted", daemon)
        reply = place.tell("reload")
        assert reply.returncode == EX_CONFIG
        assert all(word in reply.stderr for word in told), reply.stderr
        until(lambda told=told: all(word in daemon.said for word in told), "every reason in the log", daemon)
        place.config.write_text(good)
        daemon.send(signal.SIGHUP)
        until(lambda: place.metric(RELOADED) == 1, "the mended file", daemon)

    alerts = [row["text"] for row in place.status()["alerts"] if row["key"] == "reload_refused"]
    assert alerts
    assert all(text.startswith("the old configuration runs on") for text in alerts)
    now = len(place.records())
    until(lambda: bool(place.messages(m.OrderIntended, now)), "trading to go on", daemon)
    assert place.status()["config"]["sha256"] == sha256
    assert not place.messages(m.ConfigApplied, before)


def _malformed(place: Place) -> None:
    place.config.write_text('{"trading": {"mode": "paper", ')


def _unknown_keys(place: Place) -> None:
    place.configure({"risk": {"max_order_sharez": 5}, "ib": {"heartbeat_secondz": 5}})


def _restart_only(place: Place) -> None:
    place.configure({"risk": {"max_order_sharez": ABSENT}, "ib": {"heartbeat_secondz": ABSENT, "client_id": 7}})


BAD = (
    (_malformed, ("c.yaml:1",)),
    (_unknown_keys, ("max_order_sharez", "max_order_shares", "heartbeat_secondz")),
    (_restart_only, ("trading.ib.client_id", "needs a restart")),
)


def test_a_limit_is_loosened_in_a_session_only_by_an_explicit_word(place: Place) -> None:
    """`reload` refuses a wider limit while the session is open and names it; `reload --loosen` takes it."""
    place.gateway()
    _trading(place)
    place.configure({"risk": {"max_order_shares": 200_000}})
    refused = place.tell("reload")
    assert refused.returncode == EX_CONFIG
    assert "trading.risk.max_order_shares" in refused.stderr
    assert "--loosen" in refused.stderr
    taken = place.tell("reload", "--loosen")
    assert taken.returncode == 0, taken.stderr
    assert "max_order_shares" in taken.stdout
    until(lambda: place.folded().settings.max_order_shares == 200_000, "the wider limit in the journal")


def _trading(place: Place) -> Program:
    daemon = place.ready_daemon()
    until(lambda: len(place.books().refs) >= 1, "an order", daemon)
    return daemon

"""The whole daemon against gateways that differ: every switch at its other value, with nights and all faults."""

from __future__ import annotations

from functools import cache

import pytest

from longwatch.gateway.conduct import SWITCHES, UNMET_BY_DAEMON, Conduct, switched
from longwatch.simulation.simulate import Asked, Outcome, simulated, verdict

DAEMON_CLIENT_ID = 1

SEED = 3
FELT = {
    *("shows_pending_cancel", "status_before_fill", "fills_without_status"),
    *("sends_open_orders", "replays_commissions", "ids_restart", "takes_fractions"),
}
"""The switches that the daemon's own orders meet in these days.

The others concern what it never sends (groups, children, orders without size, account or time in force,
cancels of other clients' orders), or what nobody does here: trades by hand and a rejected order are in tests/daemon.
"""


def test_the_page_says_which_switches_the_daemon_meets() -> None:
    """What docs/requests.md says of each is what the runs below show."""
    assert set(SWITCHES) - UNMET_BY_DAEMON == FELT


@cache
def run(conduct: Conduct, days: int) -> Outcome:
    return simulated(Asked(seed=SEED, days=days, faults="all", guards=False, conduct=conduct))


@pytest.mark.parametrize("name", SWITCHES)
def test_every_invariant_holds_at_either_value_of_every_switch(name: str) -> None:
    """With every fault; three days where the switch concerns the daemon, whose journal is another one, else two."""
    days = 3 if name in FELT else 2
    outcome = run(switched(name, master=DAEMON_CLIENT_ID), days)
    assert not outcome.broken, f"{name}: {verdict(outcome)}"
    assert outcome.counts["orders_sent"] > 0
    differs = outcome.journal_sha256 != run(Conduct(), days).journal_sha256
    assert differs is (name in FELT)

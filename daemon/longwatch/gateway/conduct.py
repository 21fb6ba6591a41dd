"""Ways in which real gateways differ, each a named switch, and how fast they answer; part of GatewayConfig.

The table is printed into docs/requests.md by the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from longwatch.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Market seconds from a request's arrival to the gateway's answer, as measured at a paper account.

    A market order is filled between `fill_least` and `fill_most`; other answers vary by the share `jitter`.
    """

    acknowledge: float = 0.558
    reject: float = 0.350
    reject_reason: float = 0.050
    cancel: float = 0.559
    fill_least: float = 0.555
    fill_most: float = 0.903
    preview: float = 0.350
    jitter: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Where sources disagree. Every default is what was recorded, or else what official documents say.

    What each switch does stands in `SWITCHES`.
    """

    reason_first: bool = False
    foreign_cancel: bool = False
    cancels_oca_siblings: bool = True
    shows_pending_cancel: bool = True
    status_before_fill: bool = False
    fills_without_status: bool = False
    status_with_refusal: bool = False
    takes_late_children: bool = False
    sends_open_orders: bool = False
    replays_commissions: bool = True
    size_cause: bool = False
    preset_tif: bool = False
    takes_fractions: bool = False
    ids_restart: bool = False
    binds_positive: bool = False
    manual_id_unset: bool = False
    master_client_id: int | None = None
    account_cause: bool = False
    bust_revised: bool = False
    reset_unready: bool = True
    cancel_cause: bool = False
    keeps_orders: bool = True
    closes_on_unreadable: bool = False
    bars_survive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One line of the table: what gateways do with the default, what with the other value, and who says so."""

    usual: str
    other: str
    evidence: str


SWITCHES: dict[str, Switch] = {
    "reason_first": Switch(
        usual="a rejected order is told as Inactive, 50 ms later comes 201",
        other="201, then openOrder and orderStatus Inactive",
        evidence="a gateway of 2026 against older reports",
    ),
    "foreign_cancel": Switch(
        usual="another client's order is not found: 10147",
        other="any client cancels it, and hears of it under its own client id",
        evidence="the manual against two recordings",
    ),
    "cancels_oca_siblings": Switch(
        usual="cancelling one order of a type 1 group cancels the others, and those first",
        other="only the order asked for is cancelled",
        evidence="recorded once; the manual is silent",
    ),
    "shows_pending_cancel": Switch(
        usual="PendingCancel is shown before Cancelled",
        other="Cancelled and 202 come at once",
        evidence="both recorded",
    ),
    "status_before_fill": Switch(
        usual="execution, then openOrder and orderStatus",
        other="orderStatus, then execution",
        evidence="both recorded, the usual one more often",
    ),
    "fills_without_status": Switch(
        usual="a market order has a status before it fills and when it has",
        other="one that fills at once is told by execution and commission alone",
        evidence="the manual; all recordings have statuses",
    ),
    "status_with_refusal": Switch(
        usual="a new order refused for its price (110) has no status",
        other="it is told as Inactive too",
        evidence="not recorded",
    ),
    "takes_late_children": Switch(
        usual="a child whose parent has filled is refused: 321, order not found",
        other="it is accepted and works at once",
        evidence="not recorded",
    ),
    "sends_open_orders": Switch(
        usual="a client that connects hears of no order before it asks",
        other="its open orders are sent after the farms, unasked",
        evidence="no recording has them; the older manual does",
    ),
    "replays_commissions": Switch(
        usual="reqExecutions repeats commissions",
        other="it repeats executions only",
        evidence="recorded in 2023; one user saw none in 2026",
    ),
    "size_cause": Switch(
        usual="a size of zero is refused by 434",
        other="by 321, with a cause",
        evidence="older gateways against 10.40",
    ),
    "preset_tif": Switch(
        usual="an order without time in force is a DAY order",
        other="10349 says so too, and the order lives",
        evidence="newer gateways with an order preset",
    ),
    "takes_fractions": Switch(
        usual="a fractional size is refused: 10243",
        other="market and limit DAY orders may have one, others are refused by 10318, less than 0.0001 by 388",
        evidence="depends on the account's permissions",
    ),
    "ids_restart": Switch(
        usual="order ids go on after a restart of the gateway",
        other="they begin at 1 again, or after those of open orders",
        evidence="a recording over days against one user's notes",
    ),
    "binds_positive": Switch(
        usual="an order typed by hand that is bound to client 0 gets a negative order id",
        other="it gets the next one",
        evidence="a setting of the gateway",
    ),
    "manual_id_unset": Switch(
        usual="executions of orders typed by hand carry order id 0",
        other="they carry 2147483647",
        evidence="both reported",
    ),
    "master_client_id": Switch(
        usual="nobody hears of other clients' orders",
        other="the client with this id hears of every client's orders, statuses, executions and commissions",
        evidence="a setting of the gateway",
    ),
    "account_cause": Switch(
        usual="an order that names none of several accounts is refused by 435",
        other="by 321, with a cause",
        evidence="older gateways against 10.40",
    ),
    "bust_revised": Switch(
        usual="of a fill that is taken back the position tells, and the fill is gone",
        other="it is told as its revision with no shares",
        evidence="not recorded",
    ),
    "reset_unready": Switch(
        usual="AccountReady is false while the broker can't be reached",
        other="it is true at all times",
        evidence="the manual",
    ),
    "cancel_cause": Switch(
        usual="the cancel of a query for history that is not there is answered by 366",
        other="by 322, with that as its cause",
        evidence="older gateways against 10.40",
    ),
    "keeps_orders": Switch(
        usual="an order sent while the broker can't be reached is kept and sent later",
        other="it is refused by 10328 and is nowhere",
        evidence="a setting of the gateway, on by default since 10.28",
    ),
    "closes_on_unreadable": Switch(
        usual="after a field that can't be read (320) the connection stays",
        other="it is closed",
        evidence="a setting of the gateway, on by default since 10.28",
    ),
    "bars_survive": Switch(
        usual="bars kept up to date go on after the broker was out of reach",
        other="they end with 10182",
        evidence="both reported",
    ),
}


UNMET_BY_DAEMON = frozenset(
    {
        *("reason_first", "foreign_cancel", "cancels_oca_siblings", "status_with_refusal", "takes_late_children"),
        *("size_cause", "preset_tif", "binds_positive", "manual_id_unset", "master_client_id"),
        *("account_cause", "bust_revised", "reset_unready", "cancel_cause", "keeps_orders", "closes_on_unreadable"),
        "bars_survive",
    }
)
"""Switches that change nothing in a simulated run of the daemon."""


def conducted(names: Sequence[str]) -> Conduct:
    """The default conduct with these switches at their other values; `master_client_id=7` names the client.

    Raises UsageError for a switch that there is not.
    """
    changed: dict[str, Any] = {}
    for text in names:
        name, _, number = text.partition("=")
        takes_number = name == "master_client_id"
        if name not in SWITCHES or takes_number != number.isdecimal() or (number and not takes_number):
            known = ", ".join("master_client_id=NUMBER" if one == "master_client_id" else one for one in SWITCHES)
            raise UsageError(f"--conduct {text}: there is no such switch; there are {known}")
        changed[name] = int(number) if takes_number else getattr(switched(name), name)
    return Conduct(**changed)


def switched(name: str, master: int = 0) -> Conduct:
    """The default conduct with one switch at its other value; `master` is the client id that the last one takes."""
    usual = Conduct()
    value: object = getattr(usual, name)
    other: Any = master if value is None else not value
    return replace(usual, **{name: other})


def table() -> list[str]:
    """The switches as lines of a page of documentation."""
    heading = ("| switch | usual | otherwise | evidence | met by the daemon |", "|---|---|---|---|---|")
    rows = (_row(name, one) for name, one in SWITCHES.items())
    return [*heading, *rows]


def _row(name: str, one: Switch) -> str:
    cells = (f"`{name}={getattr(Conduct(), name)}`", one.usual, one.other, one.evidence)
    return f"| {' | '.join(cells)} | {'no' if name in UNMET_BY_DAEMON else 'yes'} |"

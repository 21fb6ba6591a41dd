"""Ways in which real gateways differ, as named switches, and how long answers take; part of GatewayConfig."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """The switches; the defaults are what was recorded.

    Orders. `reason_first`: error 201 comes before the Inactive status, as older gateways do. `foreign_cancel`: any
    client may cancel any client's order.

    Ids. `ids_restart`: a gateway started anew gives every client order ids from 1 again, or from above its live orders.
    `binds_positive`: an order typed by hand that is bound to client 0 gets its next order id; else a negative one.
    `manual_id_unset`: executions of orders typed by hand carry order id 2147483647; else 0. `master_client_id`: this
    client hears what is said of all clients' orders; None for nobody.

    Accounts. `account_cause`: an order that names none of several accounts is refused as the cause of a 321, as newer
    gateways do; else as 435. `bust_revised`: a fill that is taken back is told as its revision with no shares; else
    the position moves and the fill is gone. `reset_unready`: AccountReady is false while the broker can't be reached,
    as the manual says of resets; else it is true at all times.
    """

    reason_first: bool = False
    foreign_cancel: bool = False
    ids_restart: bool = False
    binds_positive: bool = False
    manual_id_unset: bool = False
    master_client_id: int | None = None
    account_cause: bool = False
    bust_revised: bool = False
    reset_unready: bool = True


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

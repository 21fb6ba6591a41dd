"""All that a person or a program may ask of the daemon, as plain JSON values; for /status and the control socket.

Decimals are texts, times ISO 8601 in UTC, what is not known is null.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import islice
from typing import Any

from longwatch.domain.messages import BreakerSet, HoldSet, Link
from longwatch.domain.misnamed import left_behind
from longwatch.domain.order_life.breaker import NEXT_DECISION, held_by, told
from longwatch.domain.orders import Order, OrderState, Purpose
from longwatch.domain.risk.held_at import told as hold_told
from longwatch.domain.state import State
from longwatch.explain.plain import Json, iso, plain
from longwatch.ops import health
from longwatch.ops.account import account_value
from longwatch.ops.limits import limits_of
from longwatch.ops.runtime import Reload, RuntimeView

LAST_ORDERS = 50
LAST_ALERTS = 20


def status_of(state: State, runtime: RuntimeView) -> Json:
    """The whole status of one moment."""
    return {
        **_identity(state, runtime),
        "ready": not (reasons := health.readyz(state, runtime)),
        "reasons": reasons,
        "link": links_of(state),
        **standing_of(state),
        "jobs": _jobs(state, runtime),
        "config": _config(state, runtime),
        "journal": {
            "id": state.journal_id,
            "sequence": runtime.commit.sequence,
            "error": runtime.commit.error or None,
            "committed_at": iso(runtime.commit.at),
        },
        "alerts": _alerts(runtime),
        "loop": {"lag_seconds": runtime.lag_seconds, "inbox": runtime.inbox, "queues": dict(runtime.queues)},
    }


def standing_of(state: State) -> Json:
    """What the state alone tells, of any moment: what holds orders back, the account, book, orders, targets, data."""
    return {
        "verbs": [
            {"verb": fact.verb.value, "by": fact.by, "reason": fact.reason} for _, fact in sorted(state.verbs.items())
        ],
        "quarantines": [
            {"symbol": fact.symbol, "con_id": con_id, "reason": fact.reason, "since": iso(fact.tech)}
            for con_id, fact in sorted(state.quarantines.items())
        ],
        "holds": [_hold(hold) for hold in state.holds.values()],
        "breakers": [_breaker(row) for row in state.breakers.values()],
        "unprotected": [
            {
                "symbol": row.symbol,
                "quantity": plain(row.unprotected),
                "value": plain(row.unprotected * row.price),
                "since": iso(row.since),
            }
            for _, row in sorted(state.unprotected.items())
        ],
        "account_value": account_value(state),
        "positions": positions_of(state),
        "orders": orders_of(state),
        "foreign_orders": foreign_orders_of(state),
        "targets": _targets(state),
        "strategy_faults": {
            name: {"session": iso(fault.session), "reason": fault.reason}
            for name, fault in sorted(state.faults.items())
        },
        "data": _data(state),
        "reconciliation": _reconciliation(state),
        "counts": dict(sorted(state.counts.items())),
    }


def links_of(state: State) -> Json:
    """The five links, each with its state and since when (technical time)."""
    since = iso(state.link_since)
    connected = state.link in (Link.SYNCING, Link.READY)
    socket = "up" if connected else state.link.value
    return {
        "state": state.link.value,
        "reason": state.link_reason or None,
        "epoch": state.epoch,
        "socket": {"state": socket, "since": since},
        "api": {"state": "up" if connected else "down", "since": since},
        "backend": {"state": "up" if state.backend_up else "down", "since": iso(state.backend_since)},
        "farms": {
            name: {"state": "up" if farm.up else "down", "since": iso(farm.tech)}
            for name, farm in sorted(state.farms.items())
        },
        "sync": _sync(state),
        "clock_skew_seconds": state.clock.skew_seconds if state.clock else None,
    }


def positions_of(state: State) -> list[Json]:
    """Every instrument that our book, the account, or others in it hold, by symbol."""
    known = {**state.account_positions, **state.outside}
    symbols = {con_id: symbol for con_id, (symbol, _) in known.items()}
    symbols |= {con_id: holding.symbol for con_id, holding in state.book.items() if holding.quantity}
    return [_position(state, con_id, symbol) for con_id, symbol in sorted(symbols.items(), key=lambda item: item[1])]


def orders_of(state: State, *, last: int = LAST_ORDERS) -> list[Json]:
    """Live orders, then the `last` that ended, each newest first."""
    ended = (order for order in reversed(state.orders.values()) if not order.is_live)
    live = sorted(state.live_orders(), key=lambda order: -order.intent)
    return [_order(order) | {"next": _next(state, order)} for order in (*live, *islice(ended, last))]


def reply_of(command: str, state: State, runtime: RuntimeView) -> Json:
    """The control socket's reply to `status`, `orders` or `positions`."""
    return {"ok": True, "text": "", "data": READINGS[command](state, runtime)}


READINGS: dict[str, Callable[[State, RuntimeView], Any]] = {
    "status": status_of,
    "orders": lambda state, _: orders_of(state),
    "positions": lambda state, _: positions_of(state),
    "limits": lambda state, runtime: limits_of(state, runtime.clock.technical()),
}


def _identity(state: State, runtime: RuntimeView) -> Json:
    technical = runtime.clock.technical()
    started = runtime.started_at
    return {
        "version": runtime.version,
        "mode": state.mode,
        "account": state.account,
        "client_id": state.client_id,
        "runs": state.runs,
        "market_time": iso(runtime.clock.market()),
        "technical_time": iso(technical),
        "uptime_seconds": (technical - started).total_seconds() if started else None,
        "http_address": runtime.http_address or None,
        "gateway_address": runtime.gateway_address or None,
    }


def _sync(state: State) -> Json:
    compared, failed = state.compared, state.snapshot_failed
    if failed is not None:
        parts = [{"part": part, "reason": reason} for part, reason in failed.failures]
        return {"state": "failed", "since": iso(failed.since or failed.tech), "failures": parts}
    return {"state": "none" if compared is None else "whole", "since": iso(compared.tech) if compared else None}


def _position(state: State, con_id: int, symbol: str) -> Json:
    holding = state.book.get(con_id)
    return {
        "symbol": symbol,
        "con_id": con_id,
        "book": plain(holding.quantity if holding else Decimal(0)),
        "outside": plain(state.outside.get(con_id, ("", Decimal(0)))[1]),
        "account": plain(state.account_positions.get(con_id, ("", Decimal(0)))[1]),
        "average_cost": plain(holding.average_cost) if holding and holding.quantity else None,
        "realized": plain(holding.realized) if holding else None,
        "quarantined": con_id in state.quarantines,
        "left_behind": symbol in left_behind(state, state.settings),
        "stop": plain(level.level) if (level := state.stop_levels.get(con_id)) else None,
        "take_profit": plain(beside.limit_price) if (beside := _profit(state, con_id)) else None,
        "unprotected": plain(row.unprotected) if (row := state.unprotected.get(con_id)) else None,
    }


def _profit(state: State, con_id: int) -> Order | None:
    """The take-profit that is at the broker, or on its way."""
    return next((order for order in state.live_in(con_id) if order.purpose is Purpose.PROFIT), None)


def _order(order: Order) -> Json:
    return {
        "intent": order.intent,
        "ref": order.ref,
        "symbol": order.symbol,
        "side": order.side.value,
        "quantity": plain(order.quantity),
        "type": order.order_type.value,
        "limit_price": plain(order.limit_price),
        "stop_price": plain(order.stop_price),
        "tif": order.tif,
        "purpose": order.purpose.value,
        "state": order.state.value,
        "live": order.is_live,
        "evidence": order.evidence or None,
        "proof": order.proof or None,
        "text": order.text or None,
        "filled": plain(order.filled),
        "average_price": plain(order.average_price) if order.filled else None,
        "commission": plain(order.commission),
        "order_id": order.order_id,
        "perm_ids": list(order.perm_ids),
        "twin_of": order.twin_of,
        "cancel_asked": order.cancel_asked,
        "modifying": None
        if order.change is None
        else dict(zip(("quantity", "limit_price", "stop_price"), map(plain, order.change.terms), strict=True)),
        "created_at": iso(order.created_at),
        "sent_at": iso(order.sent_at),
        "strategies": {part.strategy: plain(part.quantity) for part in order.allocations},
    }


def _next(state: State, order: Order) -> str | None:
    """What follows from an order that the broker or a person ended; nothing where nothing is held back."""
    if order.state not in (OrderState.REJECTED, OrderState.CANCELLED):
        return None
    row = held_by(state, order.con_id, order.purpose, None)
    return told(row) if row else NEXT_DECISION


def _hold(hold: HoldSet) -> Json:
    figures = {"observed": plain(hold.observed), "limit": plain(hold.limit), "text": hold_told(hold)}
    named = {"level": hold.level.value, "name": hold.name, "rule": hold.rule, "grade": hold.grade.value}
    return {**named, **figures, "since": iso(hold.since), "until": iso(hold.until)}


def _breaker(row: BreakerSet) -> Json:
    return {
        "symbol": row.symbol,
        "con_id": row.con_id,
        "purpose": row.purpose.value,
        "reason": row.reason,
        "times": len(row.strikes),
        "trips": row.trips,
        "until": iso(row.until),
        "text": told(row),
    }


def foreign_orders_of(state: State) -> list[Json]:
    """Orders in the account that are not ours, by permId."""
    return [
        {
            "perm_id": perm_id,
            "symbol": fact.symbol,
            "side": fact.side.value,
            "remaining": plain(fact.remaining),
            "status": fact.status,
        }
        for perm_id, fact in sorted(state.foreign_orders.items())
    ]


def _targets(state: State) -> Json:
    return {
        name: {
            "session": iso(fact.session),
            "run_id": fact.run_id,
            "weights": {symbol: plain(weight) for symbol, weight in fact.weights},
        }
        for name, fact in sorted(state.targets.items())
    }


def _data(state: State) -> Json:
    return {
        "session": iso(state.judged_session),
        "symbols": {
            symbol: {
                "bars": row.bars,
                "last_session": iso(row.last_session),
                "close": plain(row.close),
                "flaws": list(row.flaws),
                "warnings": list(row.warnings),
            }
            for symbol, row in sorted(state.judged.items())
        },
        "missing": dict(sorted(state.missing.items())),
    }


def _jobs(state: State, runtime: RuntimeView) -> Json:
    upcoming = {run.job: iso(run.at) for run in runtime.next_runs}
    names = sorted({*state.jobs, *upcoming, *runtime.running})
    return {name: _job(name, state, upcoming.get(name), name in runtime.running) for name in names}


def _job(name: str, state: State, next_run: str | None, running: bool) -> Json:
    noted = state.jobs.get(name)
    return {
        "running": running,
        "outcome": noted.outcome if noted else None,
        "text": (noted.text or None) if noted else None,
        "run_id": noted.run_id if noted else None,
        "at": iso(noted.at) if noted else None,
        "next_run": next_run,
    }


def _reconciliation(state: State) -> Json:
    compared = state.compared
    if compared is None:
        return {"at": None, "reason": None, "positions": None, "orders": None, "differences": []}
    return {
        "at": iso(compared.tech),
        "reason": compared.reason,
        "positions": compared.positions,
        "orders": compared.orders,
        "differences": [
            {
                "symbol": found.symbol,
                "book": plain(found.book),
                "outside": plain(found.outside),
                "account": plain(found.account),
            }
            for found in compared.differences
        ],
    }


def _config(state: State, runtime: RuntimeView) -> Json:
    return {
        "sha256": state.settings_sha256 or None,
        "last_reload": _reload(runtime.reload),
        "warnings": list(runtime.warnings),
    }


def _reload(reload: Reload | None) -> Json | None:
    return {"ok": reload.ok, "at": iso(reload.at), "text": reload.text or None} if reload else None


def _alerts(runtime: RuntimeView) -> list[Json]:
    if runtime.alerts is None:
        return []
    return [
        {
            "key": alert.key,
            "text": alert.text,
            "severity": alert.severity,
            "at": iso(alert.at),
            "last_at": iso(alert.last_at),
            "repeats": alert.repeats,
        }
        for alert in runtime.alerts.latest(LAST_ALERTS)
    ]

"""An auditor's own books: cash and shares from the frames 11 and 59 that arrived and the scripted events.

What the wire never brought is not passed over: each such fill or commission is entered from the ledger's line only when
a named fault explains why nobody could have heard of it; see `Unheard`. One of the invariants.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from longwatch.gateway.events import Happened
from longwatch.quick import quick
from longwatch.simulation.booked import ZERO, Fill
from longwatch.simulation.evidence import OURS, Evidence, Found

CENT = Decimal("0.01")
A_BURST = timedelta(seconds=1)
"""What is said of one fill is said within."""
BROKER = ZoneInfo("America/New_York")


class Unheard(StrEnum):
    """Why a fill or its commission never arrived."""

    LOST_FILL = "lose_fill"
    FORGOTTEN = "forgotten in a restart"
    LOST_COMMISSION = "lose_commission"
    NOT_ASKED = "told live to nobody here, and not asked for on its day"
    UNSET = "told without a figure"
    CUT_OFF = "told while the connection was lost, and by this gateway only once"


@dataclass(slots=True)
class Books:
    """One account as the auditor finds it; shares by contract."""

    cash: Decimal = ZERO
    shares: dict[int, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Traded:
    """One execution in its newest revision; `fee` is None while no commission has been heard."""

    exec_id: str
    account: str
    con_id: int
    signed: Decimal
    price: Decimal
    fee: Decimal | None
    at: datetime


def books_agree(evidence: Evidence) -> Found:
    """Cash and shares recomputed from wire and events are the ledger's, to the cent; what is missing has a name."""
    trades, missing = _trades(evidence)
    for text in missing:
        yield evidence.scene.ends, text
    audited = _books(evidence, trades)
    for account, held in evidence.accounts.items():
        mine = audited[account]
        if abs(mine.cash - held.cash) >= CENT:
            yield evidence.scene.ends, f"{account}: the wire comes to cash {mine.cash}, the ledger has {held.cash}"
        for con_id in sorted(mine.shares.keys() | held.shares.keys()):
            ours, theirs = mine.shares.get(con_id, ZERO), held.shares.get(con_id, ZERO)
            if ours != theirs:
                text = f"contract {con_id}: the wire comes to {ours} shares, the ledger has {theirs}"
                yield evidence.scene.ends, f"{account}: {text}"


def _books(evidence: Evidence, trades: list[Traded]) -> dict[str, Books]:
    """Everything in the order of time; at one instant events are before trades, as a split is before the open."""
    books = {account: Books(cash=held.opening) for account, held in evidence.accounts.items()}
    busted = {_stem(one.exec_id) for one in evidence.events if one.event.kind == "bust"}
    steps: list[tuple[datetime, int, Traded | Happened]] = [(one.at, 0, one) for one in evidence.events]
    steps += [(one.at, 1, one) for one in trades if _stem(one.exec_id) not in busted]
    for _, _, step in sorted(steps, key=lambda one: one[:2]):
        if isinstance(step, Traded):
            mine = books[step.account]
            mine.shares[step.con_id] += step.signed
            mine.cash -= step.signed * step.price + (step.fee or ZERO)
        else:
            _happen(books[step.event.account], step)
    return books


def _happen(mine: Books, happened: Happened) -> None:
    """What the terms of an event make of an account."""
    event, con_id = happened.event, happened.con_id
    match event.kind:
        case "transfer":
            mine.shares[con_id] += event.quantity
        case "assignment":
            mine.shares[con_id] += event.quantity
            mine.cash -= event.quantity * event.price
        case "cash":
            mine.cash += event.amount
        case "payment":
            mine.cash += event.amount
        case "split":
            new, old = (Decimal(part) for part in event.ratio.split("/"))
            split = mine.shares[con_id] * new / old
            whole = split.to_integral_value(ROUND_DOWN)
            mine.shares[con_id] = whole
            mine.cash += (split - whole) * event.price
        case _:
            # A dividend is no cash before its payment; corrections and busts are in the trades.
            pass


def _trades(evidence: Evidence) -> tuple[list[Traded], list[str]]:
    """Every execution by its newest revision, and what is missing without a reason."""
    told: dict[str, Traded] = {}
    fees: dict[str, Decimal] = {}
    for seen in evidence.heard:
        if seen.name == "execDetails" and seen.values["shares"]:
            found, stem = _traded(seen.values), _stem(seen.values["execId"])
            if stem not in told or found.exec_id >= told[stem].exec_id:
                told[stem] = found
        elif seen.name == "commissionReport" and seen.values["commission"] is not None:
            fees[_stem(seen.values["execId"])] = Decimal(seen.values["commission"])
    _correct(told, evidence.events)
    missing: list[str] = []
    for fill in (*evidence.fills, *evidence.others.fills):
        stem = _stem(fill.exec_id)
        if stem not in told or told[stem].exec_id != fill.exec_id:
            reason = fill_unheard(evidence, fill)
            if reason is None:
                missing.append(f"fill {fill.exec_id} of {fill.ref or 'nobody'} never arrived, and nothing explains it")
                continue
            told[stem] = _from_ledger(fill)
        if stem not in fees:
            reason = fill_unheard(evidence, fill) or fee_unheard(evidence, fill)
            if reason is None:
                missing.append(f"the commission of {fill.exec_id} never arrived, and nothing explains it")
                continue
            fees[stem] = fill.fee
    return [_with_fee(one, fees.get(stem)) for stem, one in told.items()], missing


def _correct(told: dict[str, Traded], events: Sequence[Happened]) -> None:
    """A scripted correction is known by itself: its revision may have been told to nobody here."""
    for one in events:
        former = told.get(_stem(one.exec_id))
        if one.event.kind == "correction" and former is not None and former.exec_id == one.exec_id:
            stem, _, revision = one.exec_id.rpartition(".")
            told[stem] = replace(former, exec_id=f"{stem}.{int(revision) + 1:02d}", price=one.event.price)


def fill_unheard(evidence: Evidence, fill: Fill) -> Unheard | None:
    """Why nobody could hear of a fill, or None."""
    if fill.exec_id in evidence.lost_fills:
        return Unheard.LOST_FILL
    if fill in evidence.untellable or (fill in evidence.others.fills and evidence.was_forgotten(fill)):
        return Unheard.FORGOTTEN
    if not fill.ref.startswith(OURS) and not _was_asked(evidence, fill.told_at):
        return Unheard.NOT_ASKED
    return None


def fee_unheard(evidence: Evidence, fill: Fill) -> Unheard | None:
    """Why nobody could hear of a commission, or None."""
    if evidence.was_forgotten(fill):
        return Unheard.FORGOTTEN
    reports = (seen.values for seen in evidence.frames("commissionReport"))
    if any(one["commission"] is None and _stem(one["execId"]) == _stem(fill.exec_id) for one in reports):
        return Unheard.UNSET
    is_lost = _stem(fill.exec_id) in {_stem(exec_id) for exec_id in evidence.lost_commissions}
    if not _was_asked(evidence, fill.told_at):
        return Unheard.LOST_COMMISSION if is_lost else Unheard.NOT_ASKED
    if evidence.replays_commissions:
        return None
    if is_lost:
        return Unheard.LOST_COMMISSION
    return Unheard.CUT_OFF if _was_cut_off(evidence, fill.told_at) else None


def _was_cut_off(evidence: Evidence, since: datetime) -> bool:
    """Whether what was heard within A_BURST, or else next, came on another connection than the last thing before."""
    place = bisect_right(evidence.heard, since, key=lambda seen: seen.at)
    until = bisect_right(evidence.heard, since + A_BURST, key=lambda seen: seen.at)
    return len({seen.link for seen in evidence.heard[max(place - 1, 0) : max(place + 1, until)]}) > 1


def _was_asked(evidence: Evidence, since: datetime) -> bool:
    """Whether the day's executions were told whole between an instant and the broker's midnight after it."""
    day = since.astimezone(BROKER).date()
    ends = (seen.at for seen in evidence.frames("execDetailsEnd"))
    return any(since <= at and at.astimezone(BROKER).date() == day for at in ends)


def _traded(values: dict[str, Any]) -> Traded:
    day, _, rest = values["time"].partition(" ")
    time, _, zone = rest.strip().partition(" ")
    local = datetime.strptime(f"{day} {time}", "%Y%m%d %H:%M:%S").replace(tzinfo=ZoneInfo(zone))
    sign = 1 if values["side"] == "BOT" else -1
    return Traded(
        exec_id=values["execId"],
        account=values["acctNumber"],
        con_id=values["conId"],
        signed=sign * Decimal(values["shares"]),
        price=Decimal(values["price"]),
        fee=None,
        at=local,
    )


def _from_ledger(fill: Fill) -> Traded:
    return Traded(
        exec_id=fill.exec_id,
        account=fill.account,
        con_id=fill.con_id,
        signed=fill.quantity,
        price=fill.price,
        fee=None,
        at=fill.at,
    )


def _with_fee(trade: Traded, fee: Decimal | None) -> Traded:
    return replace(trade, fee=fee)


def _stem(exec_id: str) -> str:
    """An execution without its revision."""
    return exec_id.rpartition(".")[0]

"""The guards behind the scenarios, each with the edit that takes it out; `python -m tests.scenarios.mutants [A07 …]`.

A scenario's tests must fail, by an assertion of theirs, on a copy of the package without the guard. `make proof` runs
them all; the suite looks that every old text is still where it is said to be.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from tests.proof_page import PAGE, write_part
from tests.scenarios.mutation import KILLED, Edit, Mutant, Verdict, judged, misplaced


def _out(scenario: str, why: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(scenario=scenario, why=why, edits=(Edit(file=file, old=old, new=new),))


def _both(scenario: str, why: str, *edits: tuple[str, str, str]) -> Mutant:
    return Mutant(
        scenario=scenario, why=why, edits=tuple(Edit(file=file, old=old, new=new) for file, old, new in edits)
    )


ROW = re.compile(r"^\| ([AB]\d\d) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)
LINES = (
    "## Scenarios without their guards\n",
    "Each scenario of [trouble.md](trouble.md) is run on copies of the package with one guard taken out, as",
    "`tests/scenarios/mutants.py` lists them: its tests must fail, by an assertion of theirs.\n",
    "| scenario | tests | guards taken out | failed as they must |",
    "|---|---|---|---|",
)
"""The head of the page's part, and the form of its rows."""

SENDING = (
    "        _E.SILENCE: _S.UNKNOWN,\n"
    "        _E.LINK_LOST: _S.UNKNOWN,\n"
    "        _E.PROVEN_ABSENT: _I.PROOF_OUT_OF_TURN,\n"
)
"""What an order that is being sent becomes without an answer, in domain/order_life/transitions.py."""

MUTANTS: tuple[Mutant, ...] = (
    _out(
        "A01",
        "a code that is a notice ends no order",
        "domain/order_life/verdicts.py",
        "    Verdict.NOTICE: _NOTHING,\n",
        "    Verdict.NOTICE: _NOTHING | {_S.WORKING: _A.END},\n",
    ),
    _out(
        "A01",
        "a code in no list is unclear",
        "broker/codes.py",
        "_rows(Kind.REQUEST_FAILS, _UNCLEAR, ((code, UNLISTED),))[0]",
        "_rows(Kind.REQUEST_FAILS, _REFUSED, ((code, UNLISTED),))[0]",
    ),
    _out(
        "A01",
        "what is unclear is told to a person and ends nothing",
        "domain/order_life/verdicts.py",
        "    Verdict.UNCLEAR: dict.fromkeys(OrderState, _A.TELL),\n",
        "    Verdict.UNCLEAR: dict.fromkeys(OrderState, _A.TELL) | {_S.WORKING: _A.END},\n",
    ),
    _out(
        "A02",
        "a second permId is a second order",
        "domain/order_life/identity.py",
        "    if perm_id and order.perm_ids and perm_id not in order.perm_ids:\n",
        "    if False:\n",
    ),
    _out(
        "A02",
        "both orders of one intent are cancelled",
        "domain/order_life/identity.py",
        "        if one.is_live:\n",
        "        if one.is_live and one.twin_of is None:\n",
    ),
    _out(
        "A03",
        "the account is read again as soon as the backend is back",
        "domain/order_life/links.py",
        '            yield m.RequestSnapshot(reason="the backend is back")\n',
        "            pass\n",
    ),
    _out(
        "A03",
        "no order leaves before the account was read again",
        "domain/risk/readiness.py",
        "    if state.backend_up and state.backend_since is not None and state.compared.tech < state.backend_since:\n",
        "    if False:\n",
    ),
    _out(
        "A03",
        "no order leaves while the backend is down",
        "domain/risk/readiness.py",
        '    return None if state.backend_up else "backend: the gateway has lost its link to IB"\n',
        "    return None\n",
    ),
    _out(
        "A04",
        "silence makes an order unknown, never rejected",
        "domain/order_life/transitions.py",
        SENDING,
        SENDING.replace("SILENCE: _S.UNKNOWN", "SILENCE: _S.REJECTED"),
    ),
    _out(
        "A04",
        "an unknown order blocks entries in its instrument",
        "domain/risk/verbs.py",
        "    _C.UNKNOWN: frozenset({_A.REDUCE, _A.STOP, _A.CANCEL}),\n",
        "    _C.UNKNOWN: frozenset(_A),\n",
    ),
    _out(
        "A05",
        "an execution is matched by its orderRef",
        "domain/order_life/identity.py",
        "        return number if number in state.orders and _fits(state.orders[number], con_id, side) else None\n",
        "        return None\n",
    ),
    _out(
        "A05",
        "or by its permId",
        "domain/order_life/identity.py",
        "    if perm_id and perm_id in state.by_perm_id:\n",
        "    if False:\n",
    ),
    _out(
        "A05",
        "or by client and order id",
        "domain/order_life/identity.py",
        "    named = state.by_order_id.get((client_id, order_id))\n    if named is None",
        "    named = None\n    if named is None",
    ),
    _out(
        "A05",
        "or by the execution that it corrects",
        "domain/order_life/identity.py",
        "    if replaces is not None and replaces in state.fills:\n",
        "    if False:\n",
    ),
    _both(
        "A06",
        "an execution is booked once by its id, however often it is told",
        (
            "domain/order_life/lifecycle.py",
            "            return event.exec_id in state.fills\n",
            "            return False\n",
        ),
        ("domain/order_life/lifecycle.py", "    if event.exec_id in state.fills:\n        return\n", ""),
    ),
    _both(
        "A06",
        "a commission told again is no news",
        (
            "domain/order_life/lifecycle.py",
            "            return state.commissions.get(event.exec_id) == event.commission\n",
            "            return False\n",
        ),
        (
            "domain/order_life/lifecycle.py",
            "    if state.commissions.get(event.exec_id) == event.commission:\n        return\n",
            "",
        ),
    ),
    _out(
        "A07",
        "orders of any run are cancelled by their ids",
        "domain/order_life/identity.py",
        "    if order.client_id != state.client_id or named is None",
        "    if order.epoch != state.epoch or named is None",
    ),
    _out(
        "A07",
        "every start asks for the open orders of all runs",
        "broker/account.py",
        "        send(writer.all_open_orders())\n",
        "",
    ),
    _out(
        "A08",
        "what may still fill counts against what is wanted",
        "domain/portfolio/wanted.py",
        "    return sum((order.remaining * order.side.sign for order in trades), ZERO)\n",
        "    return ZERO\n",
    ),
    _both(
        "A08",
        "nothing is sent again on silence, and what is not being sent is withheld at the write",
        (
            "domain/order_life/lifecycle.py",
            '            yield m.RaiseAlert(\n                key="order_unacknowledged",\n',
            "            yield m.SubmitOrder(order=order, instrument=state.instruments[order.symbol])\n"
            '            yield m.RaiseAlert(\n                key="order_unacknowledged",\n',
        ),
        ("domain/decide.py", "    if order.state is not OrderState.SENDING:\n", "    if False:\n"),
        (
            "domain/risk/readiness.py",
            "        if order.handed and not order.perm_ids",
            "        if False and not order.perm_ids",
        ),
    ),
    _out(
        "A09",
        "an order whose link went is unknown, not unsent",
        "domain/order_life/transitions.py",
        SENDING,
        SENDING.replace("LINK_LOST: _S.UNKNOWN", "LINK_LOST: _S.UNSENT"),
    ),
    _out(
        "A09",
        "absence is not proven by a gateway that may have been restarted",
        "domain/reconciliation/reconcile.py",
        "    if same_gateway(state, order, event):\n",
        "    if True:\n",
    ),
    _out(
        "A10",
        "an order passed over in silence shuts the account's gate",
        "domain/risk/readiness.py",
        "        if order.handed and not order.perm_ids",
        "        if False and not order.perm_ids",
    ),
    _out(
        "A10",
        "a window stays open over a lost link and a restart",
        "domain/risk/readiness.py",
        "        if order.handed and not order.perm_ids",
        "        if order.handed and order.epoch == state.epoch and not order.perm_ids",
    ),
    _out(
        "A10",
        "no session ends an order that may wait behind a window",
        "domain/reconciliation/reconcile.py",
        "        has_ended = is_over and (bool(order.perm_ids) or absence.is_answered)\n",
        "        has_ended = is_over\n",
    ),
    _out(
        "A10",
        "nor do five readings prove a stop absent, while a window may hold it back",
        "domain/reconciliation/reconcile.py",
        "    if beyond is not None and not absence.answered:\n",
        "    if False:\n",
    ),
    _out(
        "A10",
        "the acknowledgement's deadline is the configured one",
        "domain/order_life/lifecycle.py",
        "        yield from advance(state, order, Evidence.HANDED, deadline=due)\n",
        "        yield from advance(state, order, Evidence.HANDED, deadline=due + timedelta(minutes=1))\n",
    ),
    _out(
        "A10",
        "an answer to its cancel shows that the gateway listens",
        "domain/risk/readiness.py",
        "not is_answered",
        "True",
    ),
    _out(
        "A11",
        "a cancel that comes too late is no end: the fill is",
        "domain/order_life/verdicts.py",
        "    Verdict.TOO_LATE: _ASK,\n",
        "    Verdict.TOO_LATE: _ASK | {_S.WORKING: _A.END},\n",
    ),
    _out(
        "A11",
        "nor is a cancel that finds nothing",
        "domain/order_life/verdicts.py",
        "    Verdict.NOT_FOUND: _ASK | {_S.UNKNOWN: _A.GATHER},\n",
        "    Verdict.NOT_FOUND: _ASK | {_S.UNKNOWN: _A.GATHER, _S.WORKING: _A.END},\n",
    ),
    _out(
        "A11",
        "the readings that a cancel's answer asks for send no further one",
        "domain/reconciliation/reconcile.py",
        "    elif event.reason in REGULAR:\n",
        "    else:\n",
    ),
    _both(
        "A12",
        "an order being cancelled counts until its end",
        (
            "domain/working.py",
            "        shares, price = order.remaining, order.worst_price\n",
            "        shares, price = ZERO if order.cancel_asked else order.remaining, order.worst_price\n",
        ),
        (
            "domain/working.py",
            "        and former.side is order.side\n",
            "        and former.side is order.side\n        and former.cancel_asked is order.cancel_asked\n",
        ),
    ),
    _out(
        "A12",
        "PendingCancel is no end",
        "domain/order_life/lifecycle.py",
        'CANCELLED = frozenset({"Cancelled", "ApiCancelled"})\n',
        'CANCELLED = frozenset({"Cancelled", "ApiCancelled", "PendingCancel"})\n',
    ),
    _out(
        "A13",
        "404 is a notice",
        "broker/codes.py",
        '            (404, "held while shares to borrow are located"),\n',
        "        ),\n    ),\n    *_rows(\n        Kind.ORDER_ENDS,\n        _REFUSED,\n"
        '        ((404, "held while shares to borrow are located"),),\n'
        "    ),\n    *_rows(\n        Kind.WARNING,\n        _LIVES,\n        (\n",
    ),
    _out(
        "A14",
        "a flatten cancels what works, entries too",
        "domain/commands.py",
        '            yield from _cancel(state, ending, "flatten")\n',
        "            pass\n",
    ),
    _both(
        "A14",
        "an exit at work counts against another, when it is wanted and when it is sized",
        (
            "domain/portfolio/wanted.py",
            "        if not holding.quantity or con_id not in known or state.live_in(con_id):\n",
            "        if not holding.quantity or con_id not in known:\n",
        ),
        (
            "domain/risk/caps.py",
            "    if proposal.purpose is not Purpose.REDUCE:\n        return None\n    held, con_id",
            "    if True:\n        return None\n    held, con_id",
        ),
    ),
    _out(
        "A14",
        "an exit enters the group of the stop",
        "domain/portfolio/rebalance.py",
        'oca_group=stop.oca_group if stop else "",',
        'oca_group="",',
    ),
    _out(
        "A14",
        "a stop follows what has filled",
        "domain/safeguards/stops.py",
        "    if (quantity, level) == (order.quantity, order.stop_price) or",
        "    if True or",
    ),
    _out(
        "A15",
        "a revision takes the place of what it corrects",
        "domain/order_life/lifecycle.py",
        '            return other if number < int(revision) else "newer"\n',
        "            return None\n",
    ),
    _out(
        "A15",
        "absence from a list that may begin later proves nothing",
        "domain/reconciliation/busts.py",
        "is_gone and reaches_back_to(state, fill.executed_at, event)",
        "is_gone",
    ),
    _out(
        "A15",
        "a difference that stands quarantines",
        "domain/reconciliation/breaks.py",
        "    for row in standing:\n        yield from _break(state, row, event.tech)\n",
        "",
    ),
    _out(
        "A16",
        "a download that failed shuts the gate",
        "domain/risk/readiness.py",
        "    if state.snapshot_failed is not None:\n",
        "    if False:\n",
    ),
    _both(
        "A16",
        "a part that failed is none, and compared with nothing",
        (
            "broker/sync.py",
            "            positions=None if Part.POSITIONS in self._failures else tuple(self._positions.values()),\n",
            "            positions=tuple(self._positions.values()),\n",
        ),
        (
            "domain/reconciliation/reconcile.py",
            "    if event.failures or event.positions is None or None in parts:\n",
            "    if event.positions is None or None in parts:\n",
        ),
    ),
    _out(
        "A17",
        "a trade that nobody may make for us quarantines, though it explains the difference",
        "domain/reconciliation/others.py",
        "NEVER_BY_OTHERS = frozenset({Cause.LIQUIDATION, Cause.OURS_UNKNOWN})\n",
        "NEVER_BY_OTHERS: frozenset[Cause] = frozenset()\n",
    ),
    _out(
        "A17",
        "it does so under a difference that stands, which it explains",
        "domain/reconciliation/others.py",
        "    if cause in NEVER_BY_OTHERS and not is_for(state, event.con_id, {cause}):\n",
        "    if cause in NEVER_BY_OTHERS and event.con_id not in state.quarantines:\n",
    ),
    _out(
        "A17",
        "an open order of a lost journal holds its instrument",
        "domain/reconciliation/others.py",
        "    if known is None and event.ref.startswith(REF_MARK):\n",
        "    if known is None and not event.ref:\n",
    ),
    _out(
        "A17",
        "shares that an order of somebody else's may sell are not adopted beside it",
        "domain/reconciliation/adopting.py",
        "    if quantity * after <= 0:\n",
        "    if quantity:\n",
    ),
    _out(
        "A17",
        "what the broker did to a position is told from what it did to cash",
        "domain/reconciliation/breaks.py",
        "        state, [row for row in rows if row.con_id not in known], cash_moved(state, event, state.compared)\n",
        "        state, [row for row in rows if row.con_id not in known], None\n",
    ),
    _out(
        "A18",
        "nothing is sent in an instrument that is quarantined",
        "domain/risk/verbs.py",
        "    _C.QUARANTINED: frozenset({_A.STOP, _A.CANCEL}),\n",
        "    _C.QUARANTINED: frozenset(_A),\n",
    ),
    _out(
        "A18",
        "a difference that stands is held, without waiting for a person to see it",
        "domain/reconciliation/breaks.py",
        "    for row in standing:\n        yield from _break(state, row, event.tech)\n",
        "",
    ),
    _out(
        "A19",
        "orders of others are exposure",
        "domain/reconciliation/others.py",
        "    remaining = Decimal(0) if event.status in ENDED_ELSEWHERE else max(event.quantity - filled, Decimal(0))\n",
        "    remaining = Decimal(0)\n",
    ),
    _out(
        "A19",
        "an order id is another client's unless the client id is ours",
        "domain/order_life/identity.py",
        "    named = state.by_order_id.get((client_id, order_id))\n    if named is None",
        "    named = state.by_order_id.get((state.client_id, order_id))\n    if named is None",
    ),
    _both(
        "A19",
        "nor that of an order that never left, or of another contract",
        (
            "domain/order_life/identity.py",
            "    return was_absent or (order.state is OrderState.UNSENT and not order.handed)\n",
            "    return was_absent\n",
        ),
        (
            "domain/order_life/identity.py",
            "    return con_id in (0, order.con_id) and side in (None, order.side)\n",
            "    return True\n",
        ),
    ),
    _out(
        "A19",
        "a symbol stays the contract's that is held under it",
        "domain/reconciliation/contracts.py",
        "        is_kept = known is not None and known.con_id in others\n        if",
        "        is_kept = False\n        if",
    ),
    _out(
        "A20",
        "ids begin above everything ever used",
        "domain/order_life/links.py",
        "    first = max(state.next_id, event.next_order_id)\n",
        "    first = event.next_order_id\n",
    ),
    _out(
        "A20",
        "and above the ids of all open orders that are downloaded, whoever's",
        "domain/order_life/lifecycle.py",
        "    if event.order_id >= state.next_id:\n",
        "    if False:\n",
    ),
    _out(
        "A21",
        "what is quarantined is not read again and again",
        "domain/reconciliation/breaks.py",
        "    if any(row.con_id not in state.quarantines for row in found):\n",
        "    if found:\n",
    ),
    _out(
        "A21",
        "a difference that never stands still is looked at so often and no more",
        "domain/reconciliation/breaks.py",
        "    return is_old and row.looks >= MOST_LOOKS\n",
        "    return False\n",
    ),
    _out(
        "A22",
        "the alert has the broker's reason",
        "domain/order_life/breaker.py",
        '    why = f": {order.text}" if order.text and order.text not in reason else ""\n',
        '    why = ""\n',
    ),
    _out(
        "A22",
        "`orders` says what comes next",
        "ops/status.py",
        '    return [_order(order) | {"next": _next(state, order)} for order in (*live, *islice(ended, last))]\n',
        '    return [_order(order) | {"next": None} for order in (*live, *islice(ended, last))]\n',
    ),
    _out(
        "A22",
        "a rejection behind our own cancel is one of an order that was never acknowledged",
        "broker/codes.py",
        "_REFUSED = (_V.REJECTED, _V.UNCHANGED, _V.REJECTED_IF_NEW)\n",
        "_REFUSED = (_V.REJECTED, _V.UNCHANGED, _V.NOTICE)\n",
    ),
    _out(
        "A23",
        "an open breaker refuses",
        "domain/risk/permits.py",
        "    row = held_by(state, proposal.instrument.con_id, proposal.purpose, proposal.at)\n",
        "    row = None\n",
    ),
    _out(
        "A23",
        "too many ends for one reason open it",
        "domain/order_life/breaker.py",
        "    trips = opened + 1 if opened or len(strikes) >= settings.breaker_strikes else 0\n",
        "    trips = 0\n",
    ),
    _out(
        "A24",
        "positions are read as the exact decimals they are",
        "broker/translate.py",
        "quantity=amount(posSize)",
        "quantity=Decimal(round(posSize))",
    ),
    _out(
        "A24",
        "and orders written so",
        "broker/ib.py",
        "            totalQuantity=plain(wanted.quantity),\n",
        "            totalQuantity=str(round(wanted.quantity)),\n",
    ),
    _out(
        "A25",
        "a position that moves as by a split is held back at once",
        "domain/reconciliation/splits.py",
        "    if ratio is None or is_for(state, con_id, {Cause.SPLIT}):\n",
        "    if True:\n",
    ),
    _out(
        "A25",
        "a split is booked only when the history shows it too",
        "domain/reconciliation/splits.py",
        "    if ratio is None or moved is None or moved.at is None or measured is None:\n        return None\n",
        "    if ratio is None or moved is None or moved.at is None:\n        return None\n"
        "    measured = measured or Decimal(ratio[0]) / ratio[1]\n",
    ),
    _out(
        "A25",
        "the level of a stop is divided by a split",
        "domain/safeguards/stop_levels.py",
        "    if row is not None and (times := _split_since(state, row)) != 1:\n",
        "    if row is not None and (times := _split_since(state, row)) == 0:\n",
    ),
    _out(
        "A25",
        "average cost moves with the shares",
        "domain/reconciliation/splits.py",
        "average_cost=holding.average_cost * old / new if holding else ZERO,",
        "average_cost=holding.average_cost if holding else ZERO,",
    ),
    _out(
        "A25",
        "the next decision is sized at the new price",
        "domain/state.py",
        "        prices = dict(state.equity.prices) | {fact.symbol: fact.sizing_price}\n",
        "        prices = dict(state.equity.prices)\n",
    ),
    _out(
        "A26",
        "a sentinel is absent",
        "broker/figures.py",
        "    return None if is_unset(found) else found\n",
        "    return found\n",
    ),
    _out(
        "B27",
        "what an earlier connection had subscribed to is asked for again",
        "broker/lines.py",
        "        self._open.clear()\n",
        "",
    ),
    _both(
        "B27",
        "quotes that stand still are asked for anew, and an old one is not traded on",
        (
            "engine/jobs/rebalance.py",
            "    if _all_fresh(desk):\n        return\n    symbols",
            "    return\n    symbols",
        ),
        ("domain/risk/pricing.py", "    if age is not None and age <= limit:\n", "    if True:\n"),
    ),
    _out(
        "B28",
        "a farm that is back opens the gate",
        "domain/order_life/links.py",
        "    if known is None or known.up != event.up:\n",
        "    if known is None or not event.up:\n",
    ),
    _out(
        "B29",
        "an outage of the backend has a deadline",
        "domain/order_life/outage.py",
        "    if state.backend_up or state.backend_since is None or state.link not in CONNECTED:\n",
        "    if True:\n",
    ),
    _out(
        "B30",
        "what stays silent once its farm is back is asked for anew",
        "broker/lines.py",
        "            if ticked is None or ticked < silent_since:\n",
        "            if False:\n",
    ),
    _out(
        "B30",
        "without a quote nothing is traded",
        "domain/risk/pricing.py",
        '    return Refusal(check="quote", observed="none", limit="bid and ask", text=text)\n',
        "    return None\n",
    ),
    _out(
        "B31",
        "1101 means that subscriptions are gone",
        "broker/codes.py",
        "    1101: (True, False),\n",
        "    1101: (True, True),\n",
    ),
    _out(
        "B31",
        "1102 means that they live on",
        "broker/codes.py",
        "    1102: (True, True),\n",
        "    1102: (True, False),\n",
    ),
    _out(
        "B32",
        "a heartbeat that is not answered ends the link",
        "broker/link.py",
        "            if silence is not None:\n                return silence\n",
        "",
    ),
    _out(
        "B33",
        "without a quote nothing is traded",
        "domain/risk/pricing.py",
        '    return Refusal(check="quote", observed="none", limit="bid and ask", text=text)\n',
        "    return None\n",
    ),
    _out(
        "B34",
        "the type of data is checked as it comes",
        "domain/risk/pricing.py",
        '    if kind == LIVE or (state.settings.allow_delayed_data and state.mode != "live"):\n',
        "    if True:\n",
    ),
    _out(
        "B35",
        "orders of an earlier connection are cancelled by their ids",
        "domain/order_life/identity.py",
        "    if order.client_id != state.client_id or named is None",
        "    if order.epoch != state.epoch or named is None",
    ),
    _out(
        "B36",
        "a commission told later is booked",
        "domain/order_life/lifecycle.py",
        "    fill = state.fills.get(event.exec_id)\n    yield m.CommissionBooked(\n",
        "    fill = None\n    yield m.CommissionBooked(\n",
    ),
    _out(
        "B37",
        "201 ends an order without a status",
        "broker/codes.py",
        '        (_V.REJECTED, _V.UNCLEAR, _V.REJECTED),\n        ((201, "the order was rejected"),),\n',
        '        _UNCLEAR,\n        ((201, "the order was rejected"),),\n',
    ),
)


def main(arguments: Sequence[str] | None = None, page: Path = PAGE) -> int:
    """Print a row for each mutant; 1 when one is not killed, or an old text is not found exactly once."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios.mutants")
    parser.add_argument("scenarios", nargs="*", help="as A07; all without")
    wanted = parser.parse_args(arguments).scenarios
    chosen = [mutant for mutant in MUTANTS if not wanted or mutant.scenario in wanted]
    if not chosen:
        parser.error(f"no mutant is of {', '.join(wanted)}; there are those of {', '.join(scenarios())}")
    wrong = misplaced(chosen)
    if wrong:
        print("\n".join(wrong))
        return 1
    verdicts: list[Verdict] = []
    for verdict in judged(chosen):
        verdicts.append(verdict)
        told = f"{verdict.test}: {verdict.text}" if verdict.test or verdict.text else ""
        print(f"{verdict.mutant.scenario}  {verdict.outcome:8}  {verdict.mutant.why}  {told}".rstrip(), flush=True)
    killed = _killed(verdicts)
    print(f"{killed} of {len(chosen)} mutants killed")
    write_part(page, "scenarios", part_of(verdicts, page.read_text()))
    return 0 if killed == len(chosen) else 1


def part_of(verdicts: Sequence[Verdict], former: str) -> str:
    """The page's part: for each scenario its tests, the guards taken out and how many of them were missed.

    Of scenarios that were not run now the rows of the former page stay.
    """
    of: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        of.setdefault(verdict.mutant.scenario, []).append(verdict)
    rows = {name: tuple(map(int, counts)) for name, *counts in ROW.findall(former) if name in scenarios()}
    rows |= {name: (found[0].tests, len(found), _killed(found)) for name, found in of.items()}
    total = tuple(map(sum, zip(*rows.values(), strict=True)))
    table = [*sorted(rows.items()), ("all", total)]
    return "\n".join([*LINES, *(f"| {' | '.join(map(str, (name, *counts)))} |" for name, counts in table)])


def _killed(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.outcome == KILLED for verdict in verdicts)


def scenarios() -> list[str]:
    """The scenarios that have a mutant, in order."""
    return sorted({mutant.scenario for mutant in MUTANTS})


if __name__ == "__main__":
    raise SystemExit(main())

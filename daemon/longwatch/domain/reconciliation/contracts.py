"""Which contract is traded under a symbol, as the broker's look-up tells it at each start; called by decide.

A symbol may come to be another contract's: a listing is given up, a ticker used again, a conId replaced. While the
former one is held or ordered both would count under one symbol, and the target would be bought a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from longwatch.domain import messages as m
from longwatch.domain.instruments import Instrument
from longwatch.domain.order_life.evidence import Decided
from longwatch.domain.reconciliation.adopting import SHARES
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import is_for, laid, lifted
from longwatch.domain.state import State

ANOTHER = frozenset({Cause.CONTRACT})


def seen(state: State, event: m.InstrumentsSeen) -> Decided:
    """The contracts of symbols: a new one is taken where nothing of another is held or ordered."""
    at_work = _at_work(state)
    for instrument in event.instruments:
        others = at_work.get(instrument.symbol, set()) - {instrument.con_id}
        known = state.instruments.get(instrument.symbol)
        is_kept = known is not None and known.con_id in others
        if (known != instrument or instrument.symbol in state.missing) and not is_kept:
            yield m.InstrumentKnown(instrument=instrument)
        if others:
            yield from _held_back(state, event, instrument, others)
        else:
            yield from _only_one(state, instrument.symbol)
    for symbol, reason in event.missing:
        if state.missing.get(symbol) != reason:
            yield m.InstrumentMissing(symbol=symbol, reason=reason)
            yield m.RaiseAlert(key="no_contract", text=f"{symbol} can't be traded: {reason}")
    if any(judged.flaws for found in event.instruments if (judged := state.judged.get(found.symbol))):
        yield m.RunJob(job="refresh", reason="contracts were found that had been missing")


def _at_work(state: State) -> Mapping[str, set[int]]:
    """Symbol -> its contracts that we hold or have ordered, or of which the account holds what nothing explains."""
    found: dict[str, set[int]] = defaultdict(set)
    for holding in state.book.values():
        # An option under a symbol of shares, as older versions adopted them, is no second holding of these.
        if holding.quantity and state.sec_types.get(holding.con_id) in (None, "", SHARES):
            found[holding.symbol].add(holding.con_id)
    for order in state.live_orders():
        found[order.symbol].add(order.con_id)
    for known in state.instruments.values():
        there = state.account_positions.get(known.con_id, (known.symbol, 0))[1]
        if there != state.held(known.con_id) + state.outside.get(known.con_id, (known.symbol, 0))[1]:
            found[known.symbol].add(known.con_id)
    return found


def _held_back(state: State, event: m.InstrumentsSeen, instrument: Instrument, others: set[int]) -> Decided:
    """Nothing is traded under the symbol: neither what is held nor, where it is known already, the new contract."""
    symbol, old = instrument.symbol, ", ".join(map(str, sorted(others)))
    text = f"{symbol} is contract {instrument.con_id} at the broker now, while contract {old} is held or ordered"
    for con_id in sorted({*others, state.instruments[symbol].con_id}):
        if not is_for(state, con_id, ANOTHER):
            held = m.QuarantineSet(con_id=con_id, symbol=symbol, reason=text, tech=event.tech, cause=Cause.CONTRACT)
            yield laid(state, held)
    told = f"{text}: nothing is traded under that symbol, and a stop that rests stays, until: "
    yield m.RaiseAlert(key="another_contract", text=f"{told}{lifted_by(Cause.CONTRACT, symbol)}", severity="critical")


def _only_one(state: State, symbol: str) -> Decided:
    """What was held back for this trades again."""
    for con_id, held in list(state.quarantines.items()):
        if held.symbol == symbol and is_for(state, con_id, ANOTHER):
            yield from lifted(state, con_id, "one contract alone is held under the symbol", of=Cause.CONTRACT)

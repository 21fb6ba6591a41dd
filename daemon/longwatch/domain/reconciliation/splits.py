"""Splits: suspected when a position moves as one, and booked on three proofs; called by reconcile.

The proofs are the position times the ratio, its average cost divided by it, and the history rebased by it. From the
first of them until all three are there the instrument is quarantined: no order leaves that was sized at an unadjusted
price, no stop is moved, and no loss is measured at prices of other shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal

from longwatch.domain import messages as m
from longwatch.domain.order_life.identity import cancels
from longwatch.domain.orders import Purpose
from longwatch.domain.reconciliation.causes import Cause, lifted_by
from longwatch.domain.reconciliation.quarantines import POSITION, is_for, laid, lifted
from longwatch.domain.state import State
from longwatch.quick import changed

Followed = Iterator[m.Fact | m.Effect]

ZERO = Decimal(0)
MOST_SHARES = 50
"""Ratios are new shares for old ones, neither more than this."""
RATIOS = sorted(
    ((new, old) for new in range(1, MOST_SHARES + 1) for old in range(1, MOST_SHARES + 1) if new != old), key=sum
)
"""Simplest first; 4/2 comes after 2/1 and is the same."""
COST_OFF, HISTORY_OFF = Decimal("0.0005"), Decimal("0.01")
"""By how much of itself an average cost, and a rebased price, may be off the ratio: prices are told in cents."""
PLAIN = 10
"""With more shares on both sides almost any number of them could be of a split."""
LEAST_SPLIT = Decimal("1.045")
"""The smallest are 21 shares for 20; where a source reckons dividends in, a history is rebased by less for those."""


def suspect(state: State, con_id: int, symbol: str, tech: datetime) -> Followed:
    """Asked when a position has moved: no more orders in it where shares and cost moved as by a split.

    Prices are fetched anew, which proves it or not, and what still works was sized before.
    """
    ratio = _ratio_moved(state, con_id)
    if ratio is None or is_for(state, con_id, {Cause.SPLIT}):
        return
    former, now = state.moved[con_id].quantity, state.account_positions[con_id][1]
    if now == state.held(con_id) + state.outside.get(con_id, ("", ZERO))[1]:
        return
    text = f"{former} shares became {now} at as many times less cost, a split of {ratio[0]}/{ratio[1]} it seems"
    is_shown = is_for(state, con_id, {Cause.REBASED})
    reason = f"{POSITION}: {text}; {'as its history has shown' if is_shown else 'its history has not shown it yet'}"
    suspected = m.QuarantineSet(con_id=con_id, symbol=symbol, reason=reason, tech=tech, cause=Cause.SPLIT)
    yield laid(state, suspected)
    yield m.RaiseAlert(key="split_suspected", text=f"{symbol}: {text}; no new orders in it until that is proven")
    for order in state.live_in(con_id):
        if order.purpose is not Purpose.STOP and not order.cancel_asked:
            yield m.OrderCancelAsked(intent=order.intent, reason="sized before a split")
            yield from cancels(state, order)
    yield m.RunJob(job="refresh", reason=f"a split of {symbol} would rebase its history")


def may_be_one(state: State, con_id: int) -> bool:
    """Whether the account's shares differ from those of book and outside by what a split could be, whatever they cost.

    Shares may be told before their cost.
    """
    total = state.held(con_id) + state.outside.get(con_id, ("", ZERO))[1]
    now = state.account_positions.get(con_id, ("", ZERO))[1]
    if now in (ZERO, total):
        return False
    exact = (total * new / old for new, old in RATIOS if min(new, old) <= PLAIN)
    return any(now in (one, one.to_integral_value(ROUND_DOWN)) for one in exact)


def is_awaited(state: State, judged: tuple[m.SeriesJudged, ...]) -> bool:
    """Whether some history was rebased of an instrument in which a split is suspected."""
    rebased = {row.symbol for row in judged if row.rebased is not None}
    return any(held.cause is Cause.SPLIT and held.symbol in rebased for held in state.quarantines.values())


def rebased(state: State, event: m.DataRefreshed) -> Followed:
    """Take in a data refresh: where a history was rebased before the position moved, prices are of other shares.

    Nothing tells when the position will follow, or that it will: it is settled by the split being booked, by the
    history being rebased back, by nothing being held any more, or by a person.
    """
    former_session = state.judged_session
    judged = tuple(_in_all(state, row) for row in event.judged)
    yield m.DataJudged(session=event.session, judged=judged)
    for row in judged:
        con_id = _held_as(state, row.symbol)
        if row.rebased is None or con_id is None:
            continue
        if is_for(state, con_id, {Cause.REBASED}):
            if abs(row.rebased - 1) <= HISTORY_OFF:
                yield from lifted(state, con_id, "its history is what it was", of=Cause.REBASED)
        elif _is_ahead(state, con_id, row, row.rebased, former_session):
            yield from _ahead(state, con_id, row, event.tech)


def _in_all(state: State, row: m.SeriesJudged) -> m.SeriesJudged:
    """Of a history that is ahead: by what it was rebased in all since then, for a dividend may come upon a split."""
    con_id, before = _held_as(state, row.symbol), state.rebased.get(row.symbol)
    if row.rebased is None or con_id is None or before is None or not is_for(state, con_id, {Cause.REBASED}):
        return row
    return changed(row, rebased=before[0] * row.rebased)


def _held_as(state: State, symbol: str) -> int | None:
    return next((one.con_id for one in state.book.values() if one.symbol == symbol and one.quantity), None)


def _ahead(state: State, con_id: int, row: m.SeriesJudged, tech: datetime) -> Followed:
    text = f"its history was rebased by {row.rebased} as by a split, which the account does not show yet"
    held = m.QuarantineSet(con_id=con_id, symbol=row.symbol, reason=text, tech=tech, cause=Cause.REBASED)
    yield laid(state, held)
    told = f"{row.symbol}: {text}; no new orders in it, and its stop stays, until: {lifted_by(held.cause, row.symbol)}"
    yield m.RaiseAlert(key="split_awaited", text=told)
    for order in state.live_in(con_id):
        if order.purpose is Purpose.ENTRY and not order.cancel_asked:
            yield m.OrderCancelAsked(intent=order.intent, reason="sized before a split")
            yield from cancels(state, order)


def _is_ahead(state: State, con_id: int, row: m.SeriesJudged, measured: Decimal, former_session: date | None) -> bool:
    """Whether the book is still in the shares of before."""
    is_small = max(measured, 1 / measured) < LEAST_SPLIT
    if former_session is None or is_small or is_for(state, con_id, {Cause.SPLIT}) or _was_left(state, con_id, measured):
        return False
    traded = _traded_since(state, con_id, former_session)
    if traded is None or not row.close:
        return True
    # What we paid since the history before lies by its scale or by that of now.
    return _apart(traded, row.close * measured) < _apart(traded, row.close)


def _was_left(state: State, con_id: int, measured: Decimal) -> bool:
    """Whether the account last moved by this ratio, and a person has said what that was: no history showed it."""
    ratio, moved = _ratio_moved(state, con_id), state.moved.get(con_id)
    shown = (split for split in state.splits.get(con_id, ()) if not split.awaits_history)
    if ratio is None or moved is None or any(moved.at == split.at for split in shown):
        return False
    return _is_measured(measured, ratio)


def _traded_since(state: State, con_id: int, session: date | None) -> Decimal | None:
    """The price of our last fill after a session's close; None without one."""
    closed = next((one.close_at for one in state.sessions if one.date == session), None)
    fills = (fill for fill in reversed(state.fills.values()) if fill.con_id == con_id and fill.quantity)
    last = next(fills, None)
    return last.price if last is not None and closed is not None and last.executed_at > closed else None


def _apart(price: Decimal, other: Decimal) -> Decimal:
    """By what factor two prices differ, above 1."""
    return max(price / other, other / price)


def in_shares_of_the_book(state: State, symbol: str, price: Decimal) -> Decimal:
    """A price of an instrument whose history is ahead: it may be of the shares of before, or of those to come."""
    measured, judged = state.rebased.get(symbol, (Decimal(1), None))[0], state.judged.get(symbol)
    if judged is None or not judged.close or price <= 0:
        return price
    before = judged.close * measured
    return min((price, price * measured), key=lambda one: _apart(one, before))


def settled(state: State) -> Followed:
    """After a comparison: histories are ahead no more of what was closed."""
    for con_id in list(state.quarantines):
        if not state.held(con_id) and is_for(state, con_id, {Cause.REBASED}):
            yield from lifted(state, con_id, "nothing is held of it any more", of=Cause.REBASED)


def proven(state: State, row: m.Difference) -> m.SplitBooked | None:
    """The split that a difference comes from, when position, cost and history all say so."""
    ratio = _ratio_moved(state, row.con_id)
    moved = state.moved.get(row.con_id)
    measured = _rebased(state, row.symbol, moved.at if moved else None)
    if ratio is None or moved is None or moved.at is None or measured is None:
        return None
    if moved.quantity != row.book + row.outside or not _is_measured(measured, ratio):
        return None
    return _split(state, row, ratio, moved.at, f"history rebased by {measured}")


def said(state: State, row: m.Difference, by: str, at: datetime) -> m.SplitBooked | None:
    """The split that a person takes a difference for: position and cost show it, or position and history."""
    moved, by_history = state.moved.get(row.con_id), _ratio_ahead(state, row)
    is_whole = moved is not None and moved.quantity == row.book + row.outside
    ratio = (_ratio_moved(state, row.con_id) if is_whole else None) or by_history
    if ratio is None:
        return None
    is_rebased = is_for(state, row.con_id, {Cause.REBASED}) and row.symbol in state.rebased
    shown = "rebased by it" if ratio == by_history else "rebased with it" if is_rebased else ""
    since = moved.at if moved is not None and moved.at is not None else at
    return _split(state, row, ratio, since, f"history {shown or 'not rebased yet'}; {by}", awaits_history=not shown)


def awaits_history(state: State, con_id: int, symbol: str) -> bool:
    """Whether the bars that are known are of the shares before a split that a person has told of."""
    split, judged = next(reversed(state.splits.get(con_id, ())), None), state.judged.get(symbol)
    if split is None or not split.awaits_history or judged is None or symbol in state.rebased:
        return False
    session = next((one for one in state.sessions if one.date == judged.last_session), None)
    return session is None or session.close_at <= split.at


def booked(state: State, split: m.SplitBooked, why: str) -> Followed:
    """The split, and that its history is ahead no more; a person is told."""
    yield split
    yield from lifted(state, split.con_id, why, of=Cause.REBASED)
    text = f"{split.symbol} was split {split.new}/{split.old}: {split.proof}"
    yield m.RaiseAlert(key="split_booked", text=text, severity="info")


def _ratio_ahead(state: State, row: m.Difference) -> tuple[int, int] | None:
    """The ratio of a history that is ahead, where the account's shares have followed it."""
    if not is_for(state, row.con_id, {Cause.REBASED}) or row.symbol not in state.rebased:
        return None
    measured, total = state.rebased[row.symbol][0], row.book + row.outside
    shown = (one for one in RATIOS if _is_measured(measured, one))
    return next((one for one in shown if row.account in _moved_by(total, one)), None)


def _is_measured(measured: Decimal, ratio: tuple[int, int]) -> bool:
    """Whether a history was rebased by a ratio."""
    return abs(measured * ratio[1] / ratio[0] - 1) <= HISTORY_OFF


def _moved_by(shares: Decimal, ratio: tuple[int, int]) -> tuple[Decimal, Decimal]:
    """What a ratio makes of shares, with fractions and without."""
    exact = shares * ratio[0] / ratio[1]
    return exact, exact.to_integral_value(ROUND_DOWN)


def _split(
    state: State,
    row: m.Difference,
    ratio: tuple[int, int],
    at: datetime,
    told: str,
    *,
    awaits_history: bool = False,
) -> m.SplitBooked:
    new, old = ratio
    book = row.book * new / old
    if row.account == row.account.to_integral_value():
        # Where the account has whole shares, half a share of ours and half of theirs is one of theirs.
        book = book.to_integral_value(ROUND_DOWN)
    holding, cost = state.book.get(row.con_id), state.account_costs.get(row.con_id)
    moved = state.moved.get(row.con_id)
    former = moved.average_cost if moved is not None else None
    return m.SplitBooked(
        con_id=row.con_id,
        symbol=row.symbol,
        new=new,
        old=old,
        book=book,
        outside=row.account - book,
        average_cost=holding.average_cost * old / new if holding else ZERO,
        sizing_price=_sizing_price(state, row.symbol, Decimal(new) / old, is_rebased=not awaits_history),
        at=at,
        proof=f"position {row.book + row.outside} -> {row.account}, average cost {former} -> {cost}, {told}",
        awaits_history=awaits_history,
    )


def _ratio_moved(state: State, con_id: int) -> tuple[int, int] | None:
    """The ratio by which shares last moved one way and their average cost the other, or None."""
    moved, cost = state.moved.get(con_id), state.account_costs.get(con_id)
    now = state.account_positions.get(con_id, ("", ZERO))[1]
    if moved is None or not moved.average_cost or not cost:  # of no shares no cost is kept
        return None
    # Every trade comes by here: only where shares and cost went by one ratio, whatever it is, is it looked for.
    by_cost = moved.quantity * moved.average_cost / cost
    if abs(now - by_cost) > 1 + abs(by_cost) * 2 * COST_OFF:
        return None
    for new, old in RATIOS:
        is_moved = now in _moved_by(moved.quantity, (new, old))
        if is_moved and abs(moved.average_cost * old / new / cost - 1) <= COST_OFF:
            return new, old
    return None


def _rebased(state: State, symbol: str, at: datetime | None) -> Decimal | None:
    """How the history was last rebased, if that was seen no earlier than the position moved: at `at`."""
    found = state.rebased.get(symbol)
    if found is None or at is None:
        return None
    measured, session = found
    before = [one.date for one in state.sessions if one.close_at <= at]
    return measured if not before or session >= before[-1] else None


def _sizing_price(state: State, symbol: str, times: Decimal, *, is_rebased: bool) -> Decimal | None:
    """The price the next decision is sized at, in new shares: it may have been rebased with the history already."""
    judged = state.judged.get(symbol)
    price = dict(state.equity.prices).get(symbol) if state.equity else None
    if price is None or judged is None or judged.close is None or not is_rebased:
        return None if price is None else price / times
    return min((price, price / times), key=lambda one: abs(one / judged.close - 1) if judged.close else ZERO)

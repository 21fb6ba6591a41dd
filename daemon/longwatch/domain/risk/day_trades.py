"""The day trades that a small margin account has left, a row of the table of limits; asked by table and by profits.

What is opened and closed on one day at the exchange is a day trade. A flatten is a person's word, and a protective stop
protects: both go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time

from longwatch.domain.account import AccountFigures, AccountKind
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.messages import Verb
from longwatch.domain.orders import Order, Purpose
from longwatch.domain.risk.exposure import heard_lately
from longwatch.domain.risk.limits import Does, Limit, Setting
from longwatch.domain.risk.means import MEANS, account_kind, figures_of, unread_fills
from longwatch.domain.risk.proposal import Proposal, Refusal
from longwatch.domain.sessions import EXCHANGE_ZONE
from longwatch.domain.state import State


def check_day_trades(state: State, proposal: Proposal) -> Refusal | None:
    """What was bought today is not sold today (nor the other way round) once no day trade is left."""
    return none_left(state, proposal.instrument, proposal.side, proposal.at)


def none_left(
    state: State, instrument: Instrument, side: Side, at: datetime, resting: Iterable[Order] = ()
) -> Refusal | None:
    """Why what would close a holding is kept for another day; None where it may go.

    Orders that are `resting` in other instruments are taken to close what they stand by.
    """
    figures = figures_of(state)
    left = figures.day_trades_remaining if figures else None
    if figures is None or left is None or state.settings.day_trade_exits or state.is_on(Verb.FLATTEN):
        return None
    if account_kind(state) is AccountKind.CASH:
        return None
    con_id, today = instrument.con_id, _start_of_day(at)
    if not _opened_since(state, con_id, -side.sign, today):
        return None
    rest = max(left - len(_day_trades_since(state, figures, today, resting) - {con_id}), 0)
    if rest:
        return None
    text = f"{instrument.symbol}: it was opened today, and {rest} day trades are left; it is kept overnight"
    return Refusal(check="day_trades", observed=str(rest), limit="1", text=text)


def _start_of_day(at: datetime) -> datetime:
    """Midnight at the exchange, in UTC."""
    day = at.astimezone(EXCHANGE_ZONE).date()
    return datetime.combine(day, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)


def _opened_since(state: State, con_id: int, sign: int, start: datetime) -> bool:
    """Whether shares were bought (sign 1) or sold short (-1) since the day's start, or may be by now."""
    entries = (order for order in state.live_in(con_id) if order.purpose is Purpose.ENTRY)
    if any(order.side.sign == sign for order in entries):
        return True
    lately = heard_lately(state)
    return any(one.con_id == con_id and one.quantity * sign > 0 and one.executed_at >= start for one in lately)


def _day_trades_since(state: State, figures: AccountFigures, start: datetime, resting: Iterable[Order]) -> set[int]:
    """Instruments in which a day trade is under way, or was made after the figures were asked for."""
    closing = {order.con_id: order.side.sign for order in state.live_orders() if _is_closing(order)}
    closing |= {order.con_id: order.side.sign for order in resting}
    for fill in unread_fills(state, figures):
        if fill.quantity and fill.executed_at >= start:
            closing.setdefault(fill.con_id, 1 if fill.quantity > 0 else -1)
    return {con_id for con_id, sign in closing.items() if _opened_since(state, con_id, -sign, start)}


def _is_closing(order: Order) -> bool:
    """Whether an order is there to close: what rests is one only once it has begun to trade."""
    return order.purpose is not Purpose.ENTRY and (not order.rests or order.told > 0 or order.reported > 0)


ROWS = (
    Limit(
        name="day_trades",
        does=Does.REFUSES,
        unit="day trades",
        text="What was opened today in a small margin account is not closed today once no day trade is left.",
        test=f"{MEANS}test_without_a_day_trade_left_what_was_bought_today_is_kept",
        settings=(
            Setting("account_limits.day_trade_exits", "false"),
            Setting("account_limits.kind", "auto", "restart"),
        ),
        binds=frozenset({Purpose.REDUCE, Purpose.PROFIT}),
        check=check_day_trades,
    ),
)

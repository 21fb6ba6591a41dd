"""How many shares a stop, or a take-profit, may be for; asked by stops, profits and the gate."""

from __future__ import annotations

from decimal import Decimal

from longwatch.domain.orders import Purpose
from longwatch.domain.risk.exposure import still_there
from longwatch.domain.risk.oca import at_most
from longwatch.domain.state import State

ZERO = Decimal(0)


def known_held(state: State, con_id: int) -> Decimal:
    """Signed shares of ours that a stop may sell: those of the book, and where that is in doubt no more than there are.

    A difference that does not stand yet is no doubt: fills and positions arrive seconds apart.
    """
    sign = 1 if state.held(con_id) > 0 else -1
    there = still_there(state, con_id)
    if con_id in state.quarantines:
        account = state.account_positions.get(con_id, ("", ZERO))[1] - state.outside.get(con_id, ("", ZERO))[1]
        there = min(there, max(account * sign, ZERO))
    return there * sign


def is_more_than_left(state: State, con_id: int, purpose: Purpose) -> bool:
    """Whether what rests is for more than is held, surely: asked where it may not be made larger again.

    The account counts once two readings have shown it so: a position may follow its execution.
    """
    compared, resting = state.compared, [one for one in state.live_in(con_id) if one.purpose is purpose]
    stands = compared is not None and any(
        row.con_id == con_id and row.since is not None and row.since < compared.tech for row in compared.differences
    )
    return at_most(state, resting) > (abs(known_held(state, con_id)) if stands else still_there(state, con_id))

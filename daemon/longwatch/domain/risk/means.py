"""What the account allows, each a row of the table of limits: cash, liquidity, loans; joined by table.py.

Judged by the figures of the last reading of the account. A mock account has none, and is held back by none of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from longwatch.domain.account import AccountFigures, AccountKind, kind_of
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Purpose
from longwatch.domain.risk import commissions
from longwatch.domain.risk.exposure import last_known_price, paid_at_worst
from longwatch.domain.risk.limits import ENTRIES, Does, Limit, Setting
from longwatch.domain.risk.proposal import Cap, Proposal, Refusal
from longwatch.domain.state import Fill, State

ZERO = Decimal(0)
BEHIND = timedelta(seconds=5)
"""Account values may come so much later than the executions that changed them."""
MEANS = "tests/daemon/test_means.py::"


def figures_of(state: State) -> AccountFigures | None:
    """What the last reading of the account says; None where it is a mock account, or was never read."""
    return state.valued.figures if state.valued else None


def account_kind(state: State) -> AccountKind:
    """Whether the broker lends to this account."""
    return kind_of(state.settings.account_kind, figures_of(state))


def check_means_known(state: State, proposal: Proposal) -> Refusal | None:
    """The broker has told the figure by which this account's entries are limited, and of after the last correction."""
    figures = figures_of(state)
    if figures is None:
        return None
    is_cash = account_kind(state) is AccountKind.CASH
    wanted, told = ("settled cash", figures.settled_cash) if is_cash else ("excess liquidity", figures.excess_liquidity)
    if told is None:
        text = f"{proposal.instrument.symbol}: the broker has not told the account's {wanted}"
        return Refusal(check="means_known", observed="none", limit=wanted, text=text)
    if is_revised_since(state, figures):
        text = f"{proposal.instrument.symbol}: since the account's {wanted} was told, a fill was revised"
        return Refusal(check="means_known", observed="of before a correction", limit=wanted, text=text)
    return None


def check_exchange_rate(state: State, proposal: Proposal) -> Refusal | None:
    """Where the account is kept in another currency, the rate it was converted at is no older than allowed."""
    figures = figures_of(state)
    if state.valued is None or figures is None or figures.base_currency in ("", proposal.instrument.currency):
        return None
    age, limit = (proposal.tech - state.valued.tech).total_seconds(), state.settings.max_rate_age_seconds
    if age <= limit:
        return None
    pair = f"{figures.base_currency} to {proposal.instrument.currency}"
    text = f"{proposal.instrument.symbol}: the exchange rate {pair} is {age:.0f} s old, over {limit:g} s"
    return Refusal(check="exchange_rate", observed=f"{age:.0f} s", limit=f"{limit:g} s", text=text)


def check_shortable_known(state: State, proposal: Proposal) -> Refusal | None:
    """Before shares are sold short the broker has told how many can be borrowed."""
    if not _asks_for_shares(state, proposal) or (proposal.quote and proposal.quote.shortable is not None):
        return None
    text = (
        f"{proposal.instrument.symbol}: the broker has not told how many shares can be borrowed; it is asked from the "
        "start of the daemon on, when risk.allow_short is set"
    )
    return Refusal(check="shortable_known", observed="none", limit="shares to borrow", text=text)


def cap_shortable(state: State, proposal: Proposal) -> Cap | None:
    """No more is sold short than can be borrowed, with every live short sale of it."""
    if not _asks_for_shares(state, proposal) or proposal.quote is None:
        return None
    # It was told when the order was decided on. A new connection may bring prices before it tells this again.
    shares = proposal.quote.shortable or ZERO
    selling = _selling(state, proposal.instrument.con_id)
    return Cap(allowed=shares - selling, observed=selling + proposal.quantity, limit=shares)


def cap_cash_short(state: State, proposal: Proposal) -> Cap | None:
    """A cash account sells nothing that it has not."""
    if proposal.side is Side.BUY or account_kind(state) is AccountKind.MARGIN:
        return None
    return Cap(allowed=ZERO, observed=-proposal.quantity, limit=ZERO)


def cap_settled_cash(state: State, proposal: Proposal) -> Cap | None:
    """A cash account pays at worst with what has settled: this order, every live purchase, and those not read yet."""
    found = settled_and_spent(state) if proposal.side is Side.BUY else None
    if found is None:
        return None
    cash, spent = found
    told = proposal.commission
    commission = commissions.expected(state.settings, proposal.quantity) if told is None else told
    allowed = commissions.shares_for(state.settings, cash - spent, proposal.worst_price, told)
    if _is_of_before(state):
        allowed = ZERO
    return Cap(allowed=allowed, observed=spent + proposal.value + commission, limit=cash)


def settled_and_spent(state: State) -> tuple[Decimal, Decimal] | None:
    """What a cash account may spend, and what live purchases and those not read yet come to, with the commissions.

    None for another account.
    """
    figures = figures_of(state)
    if state.valued is None or figures is None or figures.settled_cash is None:
        return None
    if account_kind(state) is AccountKind.MARGIN:
        return None
    cash = state.valued.cash if state.settings.spend_unsettled else figures.settled_cash
    fills = list(unread_fills(state, figures))
    unread = sum((fill.quantity * fill.price for fill in fills if fill.quantity > 0), ZERO)
    return cash, _live_purchases(state) + unread + commissions.set_aside(state, fills)


def cap_excess_liquidity(state: State, proposal: Proposal) -> Cap | None:
    """A margin account keeps its floor of excess liquidity, should every live entry fill and bind its margin."""
    found, fraction = liquidity_bound(state), state.settings.margin_fraction
    if found is None:
        return None
    limit, bound = found
    room = ZERO if _is_of_before(state) else (limit - bound) / fraction / proposal.worst_price
    return Cap(allowed=room, observed=bound + fraction * proposal.value, limit=limit)


def liquidity_bound(state: State) -> tuple[Decimal, Decimal] | None:
    """What a margin account has above its floor, and what live entries and unread fills bind; None for another."""
    figures, fraction = figures_of(state), state.settings.margin_fraction
    excess = figures.excess_liquidity if figures else None
    if figures is None or excess is None or not fraction or account_kind(state) is AccountKind.CASH:
        return None
    return excess - state.settings.min_excess_liquidity, margin_bound(state, figures)


def margin_bound(state: State, figures: AccountFigures) -> Decimal:
    """What every live entry, and every fill that the figures may not show yet, is taken to bind of margin."""
    unread = sum([abs(fill.quantity) * fill.price for fill in unread_fills(state, figures)], ZERO)
    return state.settings.margin_fraction * (_live_entries(state) + unread)


def _asks_for_shares(state: State, proposal: Proposal) -> bool:
    is_short = proposal.side is Side.SELL and proposal.purpose is Purpose.ENTRY
    return is_short and state.settings.check_shortable and figures_of(state) is not None


def _selling(state: State, con_id: int) -> Decimal:
    sells = (order for order in state.live_in(con_id) if order.side is Side.SELL and order.purpose is Purpose.ENTRY)
    return sum((order.remaining for order in sells), ZERO)


def _live_purchases(state: State) -> Decimal:
    """What every live purchase, ours or not, costs at worst."""
    total = _foreign(state, Side.BUY)
    for work in state.at_work.values():
        total += work.purchases_cost
    return total


def _live_entries(state: State) -> Decimal:
    total = _foreign(state, Side.BUY) + _foreign(state, Side.SELL) if state.foreign_orders else ZERO
    for work in state.at_work.values():
        total += work.entries_cost
    return total


def _foreign(state: State, side: Side) -> Decimal:
    if not state.foreign_orders:
        return ZERO
    prices = dict(state.equity.prices) if state.equity else {}
    orders = (order for order in state.foreign_orders.values() if order.side is side)
    priced = ((o, prices.get(o.symbol) or last_known_price(state, o.con_id, o.symbol)) for o in orders)
    return sum((order.remaining * paid_at_worst(order, price) for order, price in priced), ZERO)


def unread_fills(state: State, figures: AccountFigures) -> Iterator[Fill]:
    """Fills heard since shortly before the account's figures were asked for: these may not show them yet."""
    for fill in reversed(state.fills.values()):
        if figures.asked_at is not None and fill.tech < figures.asked_at - BEHIND:
            break
        yield fill


def is_revised_since(state: State, figures: AccountFigures) -> bool:
    """Whether a fill was corrected or taken back, and the figures may not show yet what that costs or binds.

    By how much it was for more, or less, before, no fill tells any more.
    """
    return any(not fill.quantity or _is_revision(fill.exec_id) for fill in unread_fills(state, figures))


def _is_of_before(state: State) -> bool:
    figures = figures_of(state)
    return figures is not None and is_revised_since(state, figures)


def _is_revision(exec_id: str) -> bool:
    """The end of an executions' id counts from 01 (gateway.md, message 11)."""
    revision = exec_id.rpartition(".")[2]
    return len(revision) == len("01") and revision.isdecimal() and revision > "01"


ROWS = (
    Limit(
        name="means_known",
        does=Does.REFUSES,
        unit="figure",
        text="The broker has told the figure that limits this account, settled cash or excess liquidity, and tells it "
        "anew after a fill was corrected or taken back.",
        test=f"{MEANS}test_a_figure_that_is_not_told_refuses_entries",
        binds=ENTRIES,
        check=check_means_known,
        always=True,
    ),
    Limit(
        name="exchange_rate",
        does=Does.REFUSES,
        unit="seconds",
        text="An account kept in another currency counts at an exchange rate that is fresh.",
        test=f"{MEANS}test_an_old_exchange_rate_refuses_entries",
        settings=(Setting("account_limits.max_rate_age_seconds", "900"),),
        binds=ENTRIES,
        check=check_exchange_rate,
        always=True,
    ),
    Limit(
        name="shortable_known",
        does=Does.REFUSES,
        unit="shares to borrow",
        text="Before a short sale the broker has told how many shares can be borrowed.",
        test=f"{MEANS}test_without_word_of_shares_to_borrow_nothing_is_sold_short",
        settings=(Setting("account_limits.check_shortable", "true"),),
        binds=ENTRIES,
        check=check_shortable_known,
    ),
    Limit(
        name="shortable",
        does=Does.CAPS,
        unit="shares",
        text="No more is sold short than can be borrowed, with every live short sale of it.",
        test=f"{MEANS}test_what_can_not_be_borrowed_is_not_sold_short",
        settings=(Setting("account_limits.check_shortable", "true"),),
        binds=ENTRIES,
        cap=cap_shortable,
        at_the_write=True,
    ),
    Limit(
        name="cash_short",
        does=Does.CAPS,
        unit="shares",
        text="A cash account sells nothing that it has not.",
        test=f"{MEANS}test_a_cash_account_sells_nothing_short",
        settings=(Setting("account_limits.kind", "auto", "restart"),),
        binds=ENTRIES,
        cap=cap_cash_short,
        at_the_write=True,
    ),
    Limit(
        name="settled_cash",
        does=Does.CAPS,
        unit="base currency",
        text="A cash account buys with what has settled: this and every live purchase, those not read, commissions.",
        test=f"{MEANS}test_a_cash_account_buys_with_settled_cash_only",
        settings=(
            Setting("account_limits.kind", "auto", "restart"),
            Setting("account_limits.spend_unsettled", "false"),
            Setting("account_limits.commission_per_share", "0.005"),
            Setting("account_limits.commission_minimum", "1"),
        ),
        binds=ENTRIES,
        cap=cap_settled_cash,
        waits_for_sells=True,
        at_the_write=True,
    ),
    Limit(
        name="excess_liquidity",
        does=Does.CAPS,
        unit="base currency",
        text="The margin that every live entry would bind leaves a margin account its least excess liquidity.",
        test=f"{MEANS}test_the_floor_of_excess_liquidity_makes_entries_smaller",
        settings=(
            Setting("account_limits.min_excess_liquidity", "0"),
            Setting("account_limits.margin_fraction", "0.5"),
        ),
        binds=ENTRIES,
        cap=cap_excess_liquidity,
        at_the_write=True,
    ),
    Limit(
        name="what_if",
        does=Does.HOLDS,
        unit="margin, in base currency",
        text="Where it is asked, an entry leaves only after the broker's word on what it would bind of margin.",
        test=f"{MEANS}test_an_entry_that_would_bind_too_much_is_refused_by_the_brokers_own_word",
        settings=(
            Setting("account_limits.what_if", "false"),
            Setting("account_limits.what_if_seconds", "5"),
            Setting("account_limits.what_if_fallback", "refuse"),
        ),
        binds=ENTRIES,
    ),
)

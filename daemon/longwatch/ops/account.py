"""The account as the status tells it: its worth, and what the broker says that it may do; called by status."""

from __future__ import annotations

from longwatch.domain.state import State
from longwatch.explain.plain import Json, iso, plain


def account_value(state: State) -> Json:
    """What the account is worth and what it allows, and the equity that was last sized by."""
    valued, equity = state.valued, state.equity
    return {
        "net_liquidation": plain(valued.net_liquidation) if valued else None,
        "cash": plain(valued.cash) if valued else None,
        "at": iso(valued.tech) if valued else None,
        "allows": _allows(state),
        "sizing_equity": plain(equity.equity) if equity else None,
        "sizing_session": iso(equity.session) if equity else None,
    }


def _allows(state: State) -> Json | None:
    """What the broker says that the account may do; None where it has said nothing."""
    figures = state.valued.figures if state.valued else None
    if figures is None:
        return None
    return {
        "type": f"{figures.account_type} {figures.trading_type}".strip(),
        "base_currency": figures.base_currency,
        "rate": plain(figures.rate),
        "settled_cash": plain(figures.settled_cash),
        "buying_power": plain(figures.buying_power),
        "excess_liquidity": plain(figures.excess_liquidity),
        "initial_margin": plain(figures.initial_margin),
        "maintenance_margin": plain(figures.maintenance_margin),
        "day_trades_remaining": figures.day_trades_remaining,
        "balances": {row.currency: {"cash": plain(row.cash), "rate": plain(row.rate)} for row in figures.balances},
    }

"""How many day trades an account may still make; asked by the account values.

FINRA rule 4210(f)(8)(B): three within five business days, where a margin account is worth less than 25,000.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal

from longwatch.gateway.exchange.books import SATURDAY, ZERO, Account
from longwatch.gateway.exchange.ledger import Execution

LEAST_EQUITY = Decimal(25_000)
ALLOWED = 3
WINDOW_BUSINESS_DAYS = 5


def left(
    account: Account, executions: Iterable[Execution], day_of: Callable[[datetime], date], today: date, ahead: int = 0
) -> int:
    """Day trades still allowed `ahead` business days after `today`; `executions` are the account's, newest first."""
    since = _earlier(_later(today, ahead), WINDOW_BUSINESS_DAYS - 1)
    recent: list[Execution] = []
    for execution in executions:
        if day_of(execution.at) < since:
            break
        recent.append(execution)
    return max(ALLOWED - _made(account, recent[::-1], day_of), 0)


def _made(account: Account, executions: list[Execution], day_of: Callable[[datetime], date]) -> int:
    """Day trades among these executions, oldest first: a position opened and closed on one day, each time."""
    held: dict[int, Decimal] = {number: one.quantity for number, one in account.holdings.items()}
    for execution in executions:
        held[execution.con_id] = held.get(execution.con_id, ZERO) - execution.signed
    opened: dict[tuple[date, int], Decimal] = defaultdict(Decimal)
    was_closing: dict[tuple[date, int], bool] = defaultdict(bool)
    made = 0
    for execution in executions:
        key, before = (day_of(execution.at), execution.con_id), held[execution.con_id]
        closes = before * execution.signed < 0
        held[execution.con_id] = before + execution.signed
        if closes and opened[key]:
            made += not was_closing[key]
            opened[key] -= min(abs(execution.signed), opened[key])
        if not closes:
            opened[key] += abs(execution.signed)
        elif abs(execution.signed) > abs(before):
            opened[key] = abs(held[execution.con_id])
        was_closing[key] = closes
    return made


def _later(day: date, business_days: int) -> date:
    while business_days:
        day += timedelta(days=1)
        business_days -= day.weekday() < SATURDAY
    return day


def _earlier(day: date, business_days: int) -> date:
    while business_days:
        day -= timedelta(days=1)
        business_days -= day.weekday() < SATURDAY
    return day

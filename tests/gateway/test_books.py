"""What happens to an account is in its books to the cent, and in the file; a planted error is found at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.errors import JournalError
from longwatch.gateway.exchange import books
from longwatch.gateway.exchange.books import Account, Holding, Step, settles
from longwatch.gateway.exchange.ledger import Ledger
from tests.gateway.made import JANUARY_3
from tests.gateway.test_ledger import ACCOUNT, CASH, fill

CON_ID, SYMBOL = 1, "S1"
LATER = JANUARY_3 + timedelta(days=1)
PRICES = st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100)
SHARES = st.integers(-500, 500).filter(bool).map(Decimal)

Change = tuple[str, Decimal, Decimal]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["fill", "transfer", "assign", "split", "cash", "accrue", "pay", "bust", "correct"]),
        SHARES,
        PRICES,
    ),
    max_size=25,
)
RATIOS = {0: "2/1", 1: "1/10", 2: "3/2", 3: "1/3"}


def changed(ledger: Ledger, changes: list[Change]) -> Ledger:
    """A ledger after a mix of fills and events in one instrument."""
    for number, (what, shares, price) in enumerate(changes, 1):
        at = JANUARY_3 + timedelta(hours=7 * number)
        match what:
            case "fill":
                ledger.book(fill(number, shares > 0, int(abs(shares)), price, CON_ID), Decimal("1.25"), "USD")
            case "transfer":
                ledger.transfer(ACCOUNT, CON_ID, SYMBOL, shares, price, at)
            case "assign":
                ledger.assign(ACCOUNT, CON_ID, SYMBOL, shares, price, at)
            case "split" if CON_ID in ledger.accounts[ACCOUNT].holdings:
                ledger.split(ACCOUNT, CON_ID, SYMBOL, RATIOS[int(shares) % 4], price, at, at.date())
            case "cash":
                ledger.move_cash(ACCOUNT, shares * price, at)
            case "accrue":
                ledger.accrue(ACCOUNT, CON_ID, SYMBOL, shares, at, at.date())
            case "pay" if ledger.accounts[ACCOUNT].dues:
                ledger.pay(ACCOUNT, CON_ID, SYMBOL, ledger.accounts[ACCOUNT].dues[0].amount, at)
            case "bust" if ledger.executions:
                ledger.bust(ledger.executions[int(shares) % len(ledger.executions)], at)
            case "correct" if ledger.executions:
                ledger.correct(ledger.executions[int(shares) % len(ledger.executions)], price, at)
    return ledger


@given(CHANGES)
def test_no_mix_of_fills_and_events_unbalances_the_books(changes: list[Change]) -> None:
    """Every entry is checked as it is made: cash and positions at a price are what all entries come to."""
    ledger = changed(Ledger({ACCOUNT: CASH}, at=JANUARY_3), changes)
    account = ledger.accounts[ACCOUNT]
    for price in (Decimal("0.01"), Decimal(1000)):
        prices = dict.fromkeys(account.tallies, price)
        assert abs(account.worth(prices) - account.entered(prices)) < Decimal("0.01")


@given(changes=CHANGES)
def test_a_ledger_read_again_has_every_event(changes: list[Change], tmp_path_factory: Any) -> None:
    """Books, executions and commissions are the same from the file alone."""
    path = tmp_path_factory.mktemp("ledger") / "books.jsonl"
    first = changed(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), changes)
    first.close()
    again = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert again.accounts == first.accounts
    assert (again.executions, again.commissions) == (first.executions, first.commissions)
    again.close()


@given(CHANGES.filter(lambda changes: all(one[0] in ("fill", "assign", "transfer") for one in changes)), st.data())
def test_a_fill_taken_back_leaves_the_books_of_a_day_without_it(changes: list[Change], data: st.DataObject) -> None:
    """Cash, shares, cost and gains are those of a ledger in which it never was."""
    fills = [place for place, one in enumerate(changes) if one[0] == "fill"]
    if not fills:
        return
    place = data.draw(st.sampled_from(fills))
    ledger = changed(Ledger({ACCOUNT: CASH}, at=JANUARY_3), changes)
    ledger.bust(next(one for one in ledger.executions if one.order_id == place + 1), LATER)
    without = [one if number != place else ("none", *one[1:]) for number, one in enumerate(changes)]
    other = changed(Ledger({ACCOUNT: CASH}, at=JANUARY_3), without).accounts[ACCOUNT]
    mine = ledger.accounts[ACCOUNT]
    assert (mine.cash, mine.realised) == (other.cash, other.realised)
    held = {number: one for number, one in mine.holdings.items() if number in other.holdings}
    assert held == other.holdings


# ── planted errors ──────────────────────────────────────────────────────────────────────────────────────────────────


def a_share_too_many(holding: Holding, step: Step) -> None:
    holding.quantity += 1


def a_cent_of_cost_lost(holding: Holding, step: Step) -> None:
    holding.cost -= Decimal("0.01")


def a_gain_invented(holding: Holding, step: Step) -> None:
    holding.realised += Decimal("0.01")


@pytest.mark.parametrize("error", [a_share_too_many, a_cent_of_cost_lost, a_gain_invented])
def test_an_error_planted_in_a_holding_is_found_at_once(
    error: Callable[[Holding, Step], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next booking fails with both figures, and so does every one after it."""
    right = books.moved_by

    def wrong(holding: Holding, step: Step) -> Decimal | None:
        error(holding, step)
        return right(holding, step)

    ledger = Ledger({ACCOUNT: CASH}, at=JANUARY_3)
    ledger.book(fill(1, True, 100, Decimal(10), CON_ID), Decimal(1), "USD")
    monkeypatch.setattr(books, "moved_by", wrong)
    with pytest.raises(JournalError, match=r"does not balance: .*\d+\.\d\d.*\d+\.\d\d.*mend the gateway"):
        ledger.book(fill(2, True, 100, Decimal(10), CON_ID), Decimal(1), "USD")
    monkeypatch.undo()
    with pytest.raises(JournalError, match="does not balance"):
        ledger.book(fill(3, True, 100, Decimal(10), CON_ID), Decimal(1), "USD")


def test_a_cent_of_cash_that_nobody_entered_is_found() -> None:
    """Both figures are named: what cash and positions are worth, and what the entries come to."""
    ledger = Ledger({ACCOUNT: CASH}, at=JANUARY_3)
    ledger.accounts[ACCOUNT].cash += Decimal("0.01")
    with pytest.raises(JournalError, match=r"worth 1000000\.01, its entries come to 1000000\.00"):
        ledger.move_cash(ACCOUNT, Decimal(0), LATER)


# ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ledger() -> Ledger:
    """A hundred shares that cost 1001.00 in all."""
    ledger = Ledger({ACCOUNT: CASH}, at=JANUARY_3)
    ledger.book(fill(1, True, 100, Decimal(10), CON_ID), Decimal(1), "USD")
    return ledger


def test_a_split_multiplies_shares_at_the_same_cost_and_pays_fractions(ledger: Ledger) -> None:
    """One for three: 33 shares, and a third of a share in cash at the new price."""
    account = ledger.accounts[ACCOUNT]
    ledger.split(ACCOUNT, CON_ID, SYMBOL, "3/2", Decimal("6.67"), LATER, LATER.date())
    assert (account.holdings[CON_ID].quantity, account.holdings[CON_ID].cost) == (150, 1001)
    cash = account.cash
    ledger.split(ACCOUNT, CON_ID, SYMBOL, "1/4", Decimal("26.68"), LATER, LATER.date())
    assert account.holdings[CON_ID].quantity == 37
    assert account.cash == cash + Decimal("13.34")


def test_transferred_shares_bring_their_cost_and_no_cash(ledger: Ledger) -> None:
    """In at a cost of their own; out at the average, with no gain."""
    account = ledger.accounts[ACCOUNT]
    cash = account.cash
    ledger.transfer(ACCOUNT, CON_ID, SYMBOL, Decimal(100), Decimal(20), LATER)
    ledger.transfer(ACCOUNT, CON_ID, SYMBOL, Decimal(-50), Decimal(0), LATER)
    assert (account.cash, account.realised) == (cash, 0)
    assert (account.holdings[CON_ID].quantity, account.holdings[CON_ID].average) == (150, Decimal("15.005"))


def test_an_assignment_trades_at_the_strike(ledger: Ledger) -> None:
    """Shares called away at 12 are sold there, without commission."""
    account, cash = ledger.accounts[ACCOUNT], ledger.accounts[ACCOUNT].cash
    ledger.assign(ACCOUNT, CON_ID, SYMBOL, Decimal(-100), Decimal(12), LATER)
    assert (account.cash - cash, account.realised, account.holdings[CON_ID].quantity) == (1200, 199, 0)


def test_a_dividend_is_accrued_and_then_cash(ledger: Ledger) -> None:
    account, cash = ledger.accounts[ACCOUNT], ledger.accounts[ACCOUNT].cash
    ledger.accrue(ACCOUNT, CON_ID, SYMBOL, Decimal(25), LATER, LATER.date())
    assert (account.cash, account.accrued) == (cash, 25)
    ledger.pay(ACCOUNT, CON_ID, SYMBOL, Decimal(25), LATER + timedelta(days=9))
    assert (account.cash, account.accrued) == (cash + 25, 0)


def test_a_day_begins_with_what_the_last_one_left(ledger: Ledger) -> None:
    """Shares and gains at midnight of the broker's zone; what was spent since; a split changes what was held."""
    account = ledger.accounts[ACCOUNT]
    ledger.book(fill(200_000, False, 40, Decimal(12), CON_ID), Decimal(1), "USD")
    day = account.since(ledger.day_of(JANUARY_3 + timedelta(seconds=200_000)))
    assert (day.date, day.shares[CON_ID], day.spent[CON_ID]) == (date(2007, 1, 5), 100, -479)
    assert day.realised_since(account.holdings[CON_ID]) == account.realised != 0
    at = JANUARY_3 + timedelta(seconds=200_001)
    ledger.split(ACCOUNT, CON_ID, SYMBOL, "2/1", Decimal(6), at, at.date())
    assert day.shares[CON_ID] == 200
    assert account.since(date(2007, 1, 6)).shares[CON_ID] == 120


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (date(2007, 1, 5), date(2007, 1, 10)),
        (date(2020, 1, 6), date(2020, 1, 8)),
        (date(2024, 5, 20), date(2024, 5, 22)),
        (date(2024, 6, 7), date(2024, 6, 10)),
    ],
)
def test_trades_settle_as_the_rule_of_their_time_says(day: date, due: date) -> None:
    """Three business days until September 2017, two until May 2024, then one."""
    assert settles(day) == due


def test_cash_is_settled_days_after_its_trade() -> None:
    account = Account(opening=CASH, cash=CASH)
    account.enter(CON_ID, SYMBOL, Step(quantity=Decimal(-10), price=Decimal(5)), date(2007, 1, 5))
    assert account.cash == CASH + 50
    assert [account.settled(date(2007, 1, day)) - CASH for day in (5, 9, 10)] == [0, 0, 50]


def test_a_revision_of_a_busted_fill_has_no_shares(ledger: Ledger, tmp_path: Path) -> None:
    """Its id is the next; the fill is in the books no longer."""
    gone = ledger.bust(ledger.executions[0], LATER)
    assert (gone.exec_id[-3:], gone.quantity) == (".02", 0)
    assert (ledger.executions, ledger.commissions) == ([], {})
    assert ledger.accounts[ACCOUNT].cash == CASH

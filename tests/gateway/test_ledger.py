"""The ledger's books balance after any fills, and a file gives the same books again."""

from __future__ import annotations

import json
import resource
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.errors import JournalError
from longwatch.gateway.app import Gateway
from longwatch.gateway.exchange.ledger import Execution, Ledger, newest_entry_at
from longwatch.gateway.exchange.orders import commission_so_far
from tests.gateway.made import JANUARY_3, on_a_gateway

ACCOUNT = "DU123456"
CASH = Decimal(1_000_000)
FILLS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(1, 5000),
        st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100),
        st.integers(1, 3),
    ),
    max_size=25,
)


def fill(number: int, is_buy: bool, quantity: int, price: Decimal, con_id: int) -> Execution:
    return Execution(
        exec_id=f"0000abcd.{number:08x}.01.01",
        perm_id=number,
        order_id=number,
        client_id=1,
        account=ACCOUNT,
        con_id=con_id,
        symbol=f"S{con_id}",
        is_buy=is_buy,
        quantity=Decimal(quantity),
        price=price,
        total=Decimal(quantity),
        average=price,
        at=JANUARY_3 + timedelta(seconds=number),
    )


def booked(ledger: Ledger, fills: list[tuple[bool, int, Decimal, int]]) -> Ledger:
    for number, (is_buy, quantity, price, con_id) in enumerate(fills, 1):
        execution = fill(number, is_buy, quantity, price, con_id)
        ledger.book(execution, commission_so_far(execution.quantity, execution.quantity * price), "USD")
    return ledger


@given(FILLS)
def test_cash_and_positions_are_what_the_fills_say(fills: list[tuple[bool, int, Decimal, int]]) -> None:
    """Recomputed by hand from the fills alone, cash and shares agree exactly; cost and gains explain the cash."""
    ledger = booked(Ledger({ACCOUNT: CASH}, at=JANUARY_3), fills)
    books = ledger.accounts[ACCOUNT]
    cash, shares = CASH, {1: Decimal(0), 2: Decimal(0), 3: Decimal(0)}
    for is_buy, quantity, price, con_id in fills:
        signed = Decimal(quantity if is_buy else -quantity)
        shares[con_id] += signed
        cash -= signed * price
    cash -= sum((one.amount for one in ledger.commissions.values()), Decimal(0))
    assert books.cash == cash
    assert {number: one.quantity for number, one in books.holdings.items()} == {
        number: quantity for number, quantity in shares.items() if number in books.holdings
    }
    for price in (Decimal("0.01"), Decimal("123.45")):
        equity = cash + sum(quantity * price for quantity in shares.values())
        unrealised = sum(one.quantity * price - one.cost for one in books.holdings.values())
        assert abs(equity - CASH - books.realised - unrealised) < Decimal("0.01")
    assert all(one.cost == 0 for one in books.holdings.values() if one.quantity == 0)


@given(fills=FILLS)
def test_a_ledger_read_again_is_the_same(fills: list[tuple[bool, int, Decimal, int]], tmp_path_factory: object) -> None:
    """Cash, holdings, executions and commissions survive the file; new opening cash does not replace the old."""
    path = tmp_path_factory.mktemp("ledger") / "books.jsonl"  # type: ignore[attr-defined]
    first = booked(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), fills)
    first.close()
    again = Ledger({ACCOUNT: Decimal(5)}, path, at=JANUARY_3)
    assert again.accounts == first.accounts
    assert (again.executions, again.commissions) == (first.executions, first.commissions)
    again.close()


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_what_a_crash_cut_short_is_dropped_and_the_rest_goes_on(tmp_path: Path, cut: int) -> None:
    """Half a line, or a fill without its commission, never happened: nobody was told of it."""
    path = tmp_path / "books.jsonl"
    fills = [(True, 100, Decimal("10.00"), 1), (True, 50, Decimal("11.00"), 1)]
    booked(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), fills).close()
    path.write_bytes(path.read_bytes()[:-cut])
    ledger = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert [one.quantity for one in ledger.executions] == [Decimal(100)]
    ledger.book(fill(9, False, 100, Decimal(12), 1), Decimal(1), "USD")
    ledger.close()
    again = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert again.accounts[ACCOUNT].holdings[1].quantity == 0
    again.close()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    """A line in the middle that is no entry stops the start, with its number."""
    path = tmp_path / "books.jsonl"
    opening = f'{{"kind":"opening","at":"{JANUARY_3.isoformat()}","account":"DU1","cash":"1"}}'
    for damaged in ("rubbish", "[1]", '{"a":1}', '{"kind":"cash","at":"x"}'):
        path.write_text(f"{opening}\n{damaged}\n{opening}\n")
        with pytest.raises(JournalError, match="Line 2"):
            Ledger({}, path, at=JANUARY_3)


@pytest.mark.parametrize(
    "damaged",
    [
        '"kind":"opening"',
        '"kind":"opening","account":"DU1","cash":"much"',
        '"kind":"opening","account":"DU1","cash":"NaN"',
        '"kind":"execution","together":1',
        '"kind":"cash","account":"DU9","amount":"1"',
        '"kind":"cash","account":"DU1","amount":[]',
        '"kind":"cash","account":"DU1","amount":"Infinity"',
        '"kind":"bust","account":"DU1","exec_id":"none"',
        '"kind":"correction","account":"DU1","replaces":"none","price":"1"',
        '"kind":"dividend","account":"DU1","con_id":1,"symbol":"A","amount":"1"',
        '"kind":"split","account":"DU1","con_id":1,"symbol":"A","ratio":"2/1","price":"1"',
    ],
)
def test_a_line_that_can_not_be_booked_is_told_in_one_sentence(tmp_path: Path, damaged: str) -> None:
    """It is an entry by its form, and nothing that can have happened; the file is let go of again."""
    path = tmp_path / "books.jsonl"
    opening = f'{{"kind":"opening","at":"{JANUARY_3.isoformat()}","account":"DU1","cash":"1"}}\n'
    path.write_text(f'{opening}{{"at":"{JANUARY_3.isoformat()}",{damaged}}}\n')
    with pytest.raises(JournalError, match=r"of the gateway's ledger .* can't be taken up"):
        Ledger({}, path, at=JANUARY_3)
    path.write_text(opening)
    Ledger({}, path, at=JANUARY_3).close()


@pytest.mark.parametrize("foreign", ["precious", "precious\nwork\n", '{"a":1}\n', '{"kind":"fact"}', "[1]\n"])
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path, foreign: str) -> None:
    """Also where its only line has no end: what is cut off is the end of a ledger and of nothing else."""
    path = tmp_path / "notes.txt"
    path.write_text(foreign)
    for use in (newest_entry_at, lambda one: Ledger({ACCOUNT: CASH}, one, at=JANUARY_3)):
        with pytest.raises(JournalError, match="is no ledger"):
            use(path)
    assert path.read_text() == foreign
    with pytest.raises(JournalError, match="is no file"):
        newest_entry_at(tmp_path)


def test_what_was_cut_short_stays_until_the_ledger_is_opened(tmp_path: Path) -> None:
    """Asking a file for its newest entry changes nothing in it: another gateway may be writing."""
    path = tmp_path / "books.jsonl"
    booked(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), [(True, 100, Decimal("10.00"), 1)]).close()
    path.write_bytes(whole := path.read_bytes()[:-5])
    assert newest_entry_at(path) == JANUARY_3
    assert path.read_bytes() == whole


def test_a_ledger_has_one_gateway(tmp_path: Path) -> None:
    """A second is told so; when the first has closed it, the file is free."""
    path = tmp_path / "books.jsonl"
    first = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    with pytest.raises(JournalError, match="in use by another gateway"):
        Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    first.close()
    Ledger({ACCOUNT: CASH}, path, at=JANUARY_3).close()


@pytest.mark.parametrize("cut", [1, 100, 250, 500])
def test_entries_that_belong_together_are_all_there_or_none(tmp_path: Path, cut: int) -> None:
    """A fill and what follows from it are one; where a crash leaves a part of them, it never happened."""
    path = tmp_path / "books.jsonl"
    ledger = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    before = path.stat().st_size
    with ledger.together():
        booked(ledger, [(True, 100, Decimal("10.00"), 1)])
        ledger.note("ended", JANUARY_3, perm_id=1)
        assert path.stat().st_size == before
    ledger.close()
    assert path.stat().st_size - before > 500
    path.write_bytes(path.read_bytes()[:-cut])
    again = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert (again.executions, again.orders, path.stat().st_size) == ([], [], before)
    again.close()


def test_what_the_disk_does_not_take_ends_the_books(tmp_path: Path) -> None:
    """The first entry without room raises and so does every later one, also with room again; the file is whole."""
    path = tmp_path / "books.jsonl"
    ledger = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, former[1]))
    try:
        with pytest.raises(JournalError, match="can't be used"):
            booked(ledger, [(True, 100, Decimal("10.00"), 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    with pytest.raises(JournalError, match="can't be used"):
        ledger.note("order", JANUARY_3, perm_id=2)
    ledger.close()
    again = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert (again.executions, again.accounts[ACCOUNT].cash) == ([], CASH)
    again.close()


def test_anybody_can_add_up_the_file(tmp_path: Path) -> None:
    """A reader that knows only JSON finds the ledger's cash from opening, executions and commissions."""
    path = tmp_path / "books.jsonl"
    ledger = booked(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), [(True, 300, Decimal("10.01"), 1)])
    cash = Decimal(0)
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        match entry["kind"]:
            case "opening":
                cash += Decimal(entry["cash"])
            case "execution":
                value = Decimal(entry["quantity"]) * Decimal(entry["price"])
                cash += value if entry["side"] == "SLD" else -value
            case "commission":
                cash -= Decimal(entry["amount"])
    assert cash == ledger.accounts[ACCOUNT].cash
    ledger.close()


@pytest.mark.parametrize(
    ("quantity", "value", "cost"),
    [(100, "8522", "1"), (200, "17000", "1"), (1000, "85000", "5"), (10, "50", "0.5"), (333, "9999", "1.665")],
)
def test_commissions_follow_the_fixed_schedule(quantity: int, value: str, cost: str) -> None:
    """Half a cent a share, at least a dollar, at most one per cent of the value."""
    assert commission_so_far(Decimal(quantity), Decimal(value)) == Decimal(cost)


@given(FILLS.filter(bool), st.integers(1, 100_000).map(lambda cents: Decimal(cents) / 100))
def test_a_corrected_price_leaves_the_books_balanced(
    fills: list[tuple[bool, int, Decimal, int]], price: Decimal
) -> None:
    """Cash moves by the difference, shares do not; the successor has the next revision and the commission."""
    ledger = booked(Ledger({ACCOUNT: CASH}, at=JANUARY_3), fills)
    former = ledger.executions[0]
    cash, shares = ledger.accounts[ACCOUNT].cash, ledger.accounts[ACCOUNT].holdings[former.con_id].quantity
    corrected = ledger.correct(former, price, JANUARY_3 + timedelta(days=1))
    ledger.check(ACCOUNT)
    assert ledger.accounts[ACCOUNT].cash == cash - former.signed * (price - former.price)
    assert ledger.accounts[ACCOUNT].holdings[former.con_id].quantity == shares
    assert corrected.exec_id == former.exec_id[:-2] + "02"
    assert ledger.commissions[corrected.exec_id].amount == ledger.commissions[former.exec_id].amount


def test_a_reloaded_ledger_knows_its_corrections(tmp_path: Path) -> None:
    """Cash, the fill's price and its id are those after the correction."""
    path = tmp_path / "ledger.jsonl"
    first = booked(Ledger({ACCOUNT: CASH}, path, at=JANUARY_3), [(True, 100, Decimal("80.00"), 1)])
    first.correct(first.executions[0], Decimal("80.01"), JANUARY_3 + timedelta(seconds=5))
    first.close()
    again = Ledger({ACCOUNT: CASH}, path, at=JANUARY_3)
    assert again.accounts[ACCOUNT].cash == first.accounts[ACCOUNT].cash
    assert again.executions == first.executions
    again.close()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"kind": "ended", "perm_id": 9, "status": "Cancelled", "ending": ""}, "An order of the gateway's ledger"),
        ({"kind": "order", "perm_id": 9}, "An order of the gateway's ledger"),
        ({"kind": "event", "event": "split", "ratio": "2/1"}, "An event of the gateway's ledger"),
        ({"kind": "event", "event": "dividend", "symbol": "AAPL", "amount": "x"}, "An event of the gateway's ledger"),
    ],
)
def test_an_order_or_event_that_can_not_be_taken_up_is_told(tmp_path: Path, entry: dict[str, Any], told: str) -> None:
    """One sentence, where the file says what no gateway writes."""
    path = tmp_path / "books.jsonl"
    opening = {"kind": "opening", "at": JANUARY_3.isoformat(), "account": "DU123456", "cash": "1"}
    lines = [json.dumps(one, separators=(",", ":")) for one in (opening, {"at": JANUARY_3.isoformat(), **entry})]
    path.write_text("\n".join(lines) + "\n")

    async def scenario(gateway: Gateway) -> None:
        raise AssertionError(gateway.ledger.accounts)

    with pytest.raises(JournalError, match=told):
        on_a_gateway(scenario, ledger_path=path)

"""The lines of the demo and the log: what happens, in words, one line each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import get_args

import pytest

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Evidence, OrderState
from longwatch.ops import narrate
from longwatch.ops.narrate import Narrator, line_of, next_runs
from longwatch.ops.phrases import number
from longwatch.ops.runtime import NextRun
from tests.ops.made import AAPL, MSFT, NOW, READY, fill, judged, moved, ready_state, trade, traded_state


def test_every_fact_has_a_line_or_is_silent_on_purpose() -> None:
    """A fact added later must be put into one of the two tables, and never into both."""
    told = set(narrate.TELLERS) & set(get_args(m.Fact))
    assert told | narrate.SILENT == set(get_args(m.Fact))
    assert not told & narrate.SILENT


def test_a_day_reads_like_this() -> None:
    """From the connection to the commission, with the numbers of every clamp and refusal."""
    state = traded_state()
    lines = [line for fact in (*READY, *trade()) if (line := line_of(fact, state)) is not None]
    assert lines == [
        "start     longwatch 0.1.0, paper account DU123456, journal k7q2, run 1",
        "config    read (by start, c0ffeec0ffee)",
        "link      ready: the account is read and compared",
        "reconcile compared 0 positions and 0 orders (start): 0 differences",
        "data      refreshed: 504 bars of 2 symbols up to 2007-01-04, all sound",
        "signals   momentum wants AAPL 40.0 %, MSFT 25.0 % (decided on 2007-01-04)",
        "sizing    equity 1,000,000.00 at the close of 2007-01-04",
        "risk      AAPL clamped by max_weight: 4,669 to 1,751 shares (0.40 over 0.15)",
        "risk      IBM 3 refused by min_order_value: the order is too small (295.20 against 1000)",
        "orders    BUY 1,751 AAPL LMT 85.83 DAY (entry, #1)",
        "fills     BUY 1,751 AAPL at 85.70",
        "fills     commission 8.755 USD for AAPL 1,751",
        "orders    BUY 800 MSFT LMT 85.83 DAY (entry, #2)",
        "book      100 AAPL not ours (held before the first start)",
        "reconcile MSFT quarantined: an unreadable message",
        "verb      pause on, by uid 1000: lunch",
    ]


OFF = m.Difference(con_id=AAPL, symbol="AAPL", book=Decimal(5), outside=Decimal(0), account=Decimal(-3))


@pytest.mark.parametrize(
    ("thing", "line"),
    [
        (m.LinkMoved(link=m.Link.DISCONNECTED, reason="refused", tech=NOW), "link      lost: refused"),
        (m.BackendMoved(up=True, tech=NOW), "link      the gateway has its link to IB again"),
        (m.FarmMoved(farm="usfarm", up=False, tech=NOW), "link      data farm usfarm is broken"),
        (
            m.LinkUp(at=NOW, tech=NOW, client_id=1, next_order_id=9, accounts=("DU1", "DU2"), server_version=176),
            "link      connected as client 1, account DU1, DU2, next id 9",
        ),
        (m.InstrumentMissing(symbol="XYZ", reason="code 200"), "data      XYZ can't be traded: code 200"),
        (
            m.DataJudged(session=NOW.date(), judged=(judged("AAPL", "a hole"), judged("MSFT"))),
            "data      refreshed: 504 bars of 2 symbols up to 2007-01-05; flawed, not traded: AAPL: a hole",
        ),
        (
            m.StrategyFaulted(strategy="loops", session=NOW.date(), reason="killed after 5 s"),
            "signals   loops gave no targets, nothing is traded for it: killed after 5 s",
        ),
        (
            m.TargetsSet(run_id="1", strategy="flat", session=NOW.date(), weights=(("AAPL", Decimal(0)),), memory=""),
            "signals   flat wants nothing (decided on 2007-01-05)",
        ),
        (
            m.RebalanceDecided(run_id="rebalance@1", intended=1, refused=2, clamped=0, waiting=3),
            "sizing    1 order, 0 clamped, 2 refused, 3 waiting for sells to end (rebalance@1)",
        ),
        (
            moved(2, OrderState.UNKNOWN, Evidence.SILENCE),
            "orders    BUY 800 MSFT unknown: counts as exposure until settled, 0 filled: "
            "no acknowledgement by the deadline",
        ),
        (
            moved(1, OrderState.REJECTED, Evidence.REJECTED, "201 no margin"),
            "orders    BUY 1,751 AAPL rejected, 1,751 filled at 85.7000: 201 no margin",
        ),
        (m.OrderCancelAsked(intent=2, reason="flatten"), "orders    cancel BUY 800 MSFT: flatten"),
        (
            replace(fill("00.02", None, AAPL, "AAPL", Side.SELL, 5, "85.5"), replaces="00.01"),
            "fills     SELL 5 AAPL at 85.50 (not ours), corrects 00.01",
        ),
        (
            replace(
                fill("busted:00.01", 1, AAPL, "AAPL", Side.BUY, 0, "85.5"), replaces="00.01", taken_back=Decimal(1751)
            ),
            "fills     BUY 1,751 AAPL taken back: 00.01",
        ),
        (
            m.BookCompared(reason="reconnect", positions=1, orders=1, differences=(OFF,), activity=1, tech=NOW),
            "reconcile compared 1 position and 1 order (reconnect): 1 difference: "
            "AAPL book 5 + outside 0 against account -3",
        ),
        (m.QuarantineLifted(con_id=MSFT, reason="both agree"), "reconcile MSFT out of quarantine: both agree"),
        (
            m.SnapshotFailed(failures=(("positions", "no end mark"),), tech=NOW),
            "account   download failed, the order gate stays shut: positions: no end mark",
        ),
        (
            m.JobNoted(job="refresh", run_id="r", outcome="missed", text="3 h late", at=NOW),
            "jobs      refresh missed: 3 h late",
        ),
        (
            m.EventKept(kind="ExecutionSeen", reason="KeyError: 7", con_id=AAPL),
            "journal   ExecutionSeen about AAPL could not be digested and is kept raw: KeyError: 7",
        ),
        (
            m.HoldingAdopted(
                con_id=AAPL, symbol="AAPL", quantity=Decimal(100), average_cost=Decimal("80.1"), reason="adopt"
            ),
            "book      adopted 100 AAPL at 80.10 (adopt)",
        ),
        (
            m.ForeignOrderSet(
                perm_id=5, con_id=AAPL, symbol="AAPL", side=Side.SELL, remaining=Decimal(0), status="Cancelled"
            ),
            "orders    not ours: SELL AAPL, ended (Cancelled)",
        ),
        (m.JobNoted(job="refresh", run_id="r", outcome="finished", text="", at=NOW), None),
        (m.FarmMoved(farm="usfarm", up=True, tech=NOW), None),
        (moved(2, OrderState.WORKING, Evidence.ACKNOWLEDGED), None),
        (m.TimeReached(at=NOW, tech=NOW), None),
    ],
)
def test_trouble_has_one_clear_line(thing: narrate.Thing, line: str | None) -> None:
    """What went wrong, with whom, and what it means; nothing for what is routine."""
    assert line_of(thing, traded_state()) == line


def test_a_fact_told_after_the_state_went_on_is_still_told() -> None:
    """Publishing waits for the commit, by when a corrected fill may have left the state: its commission has a line."""
    state = traded_state()
    state.fills.clear()
    paid = m.CommissionBooked(exec_id="00.01", intent=1, commission=Decimal(1), currency="USD")
    assert line_of(paid, state) == "fills     commission 1 USD"


def test_a_comparison_is_told_when_something_happened_or_differs(caplog: pytest.LogCaptureFixture) -> None:
    """Every half minute nothing happens: that is told once, until there is activity or a difference."""
    narrator, state = Narrator(), ready_state()
    calm = m.BookCompared(reason="timer", positions=1, orders=0, differences=(), activity=3, tech=NOW)
    with caplog.at_level("INFO", logger="longwatch.reconcile"):
        assert narrator.log(calm, state) is not None
        assert narrator.log(calm, state) is None
        assert narrator.log(replace(calm, activity=4), state) is not None
        assert narrator.log(replace(calm, activity=4, differences=(OFF,)), state) is not None
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING"]


def test_the_next_runs_are_one_line_soonest_first() -> None:
    """What a person waits for; a date is said once."""
    hours = {"signals": 6, "rebalance": 0, "end_of_day": 5, "refresh": 24}
    runs = [NextRun(job=job, at=NOW + timedelta(hours=after)) for job, after in hours.items()]
    assert str(next_runs(runs)) == (
        "next      rebalance 2007-01-05 15:00Z, end of day 20:00Z, signals 21:00Z, refresh 2007-01-06 15:00Z"
    )
    assert next_runs([]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1000000", "1,000,000"),
        ("12.5", "12.50"),
        ("12.05", "12.05"),
        ("0.0001", "0.0001"),
        ("-1751.00", "-1,751"),
        ("1E+3", "1,000"),
        ("0", "0"),
        ("1E+30", f"{10**30:,}"),
    ],
)
def test_numbers_are_written_for_reading(value: str, text: str) -> None:
    """Thousands apart, cents whole, no exponents."""
    assert number(Decimal(value)) == text


def test_a_part_of_an_order_says_how_far_the_order_has_come() -> None:
    """Several fills of one order: each tells the sum so far; a fill that was all of it needs no more words."""
    part = replace(fill("00.01", 1, AAPL, "AAPL", Side.BUY, 500, "85.7"))
    assert line_of(part, traded_state()) == ("fills     BUY 500 AAPL at 85.70 (1,751 of 1,751, on average at 85.7000)")


def test_a_link_to_ib_that_never_was_down_is_not_back() -> None:
    """Every connection assumes the gateway's own link to be up: that is news only after it was down."""
    narrator, state = Narrator(), ready_state()
    up, down = (m.BackendMoved(up=is_up, tech=NOW) for is_up in (True, False))
    assert [narrator.log(fact, state) is not None for fact in (up, down, up, up)] == [False, True, True, False]

"""The status: whole, plain JSON, and readable as text."""

from __future__ import annotations

import json
from decimal import Decimal

from longwatch.domain import messages as m
from longwatch.domain.instruments import Side
from longwatch.domain.orders import Change, Evidence, OrderState
from longwatch.domain.state import State
from longwatch.ops.status import orders_of, positions_of, reply_of, status_of
from longwatch.ops.tables import orders_text, positions_text, status_text
from tests.ops.made import AAPL, NOW, HandClock, fold, moved, order, ready_state, runtime_of, traded_state


def test_the_status_is_plain_json_and_says_it_all() -> None:
    """Nothing but JSON's own types; decimals as texts, times with `Z`."""
    status = status_of(traded_state(), runtime_of(HandClock()))
    assert json.loads(json.dumps(status)) == status
    assert status["mode"] == "paper"
    assert status["market_time"] == "2007-01-05T15:00:00Z"
    assert status["uptime_seconds"] == 3600
    assert status["ready"] is True
    assert status["link"]["socket"] == {"state": "up", "since": "2007-01-05T15:00:00Z"}
    assert status["link"]["farms"] == {"usfarm": {"state": "up", "since": "2007-01-05T15:00:00Z"}}
    assert status["verbs"] == [{"verb": "pause", "by": "uid 1000", "reason": "lunch"}]
    assert status["quarantines"][0]["symbol"] == "MSFT"
    assert status["account_value"]["cash"] == "1000000"
    assert status["targets"]["momentum"]["weights"] == {"AAPL": "0.4", "MSFT": "0.25"}
    assert status["data"]["symbols"]["AAPL"]["close"] == "85.66"
    assert status["jobs"]["refresh"]["next_run"] == "2007-01-05T21:00:00Z"
    assert status["reconciliation"]["positions"] == 0
    assert status["counts"]["clamped:max_weight"] == 1
    assert status["config"]["last_reload"]["ok"] is True
    assert status["journal"] == {"id": "k7q2", "sequence": 42, "error": None, "committed_at": "2007-01-05T15:00:00Z"}
    assert status["loop"]["queues"] == {"order": 0, "history": 7}


def test_a_daemon_that_has_heard_nothing_has_a_status_too() -> None:
    """What is not known is null, and every reason is listed."""
    status = status_of(State(), runtime_of(HandClock()))
    assert json.loads(json.dumps(status)) == status
    assert status["ready"] is False
    assert "cash: the account's value is not known" in status["reasons"]
    assert status["account_value"]["cash"] is None
    assert status["link"]["socket"]["state"] == "disconnected"


def test_a_position_shows_ours_outside_and_the_account() -> None:
    """Also an instrument that only others hold."""
    state = traded_state()
    fold([m.AccountPositionSet(con_id=7, symbol="GOOG", quantity=Decimal(-3))], state)
    aapl, goog = positions_of(state)
    assert (aapl["symbol"], aapl["book"], aapl["outside"], aapl["account"]) == ("AAPL", "1751", "100", "1851")
    assert aapl["average_cost"] == "85.70"
    assert (goog["symbol"], goog["book"], goog["account"], goog["average_cost"]) == ("GOOG", "0", "-3", None)


def test_live_orders_come_first_then_the_last_that_ended() -> None:
    """Fifty that ended at most, newest first, however long the journal."""
    state = traded_state()
    assert [(row["intent"], row["state"], row["live"]) for row in orders_of(state)] == [
        (2, "working", True),
        (1, "filled", False),
    ]
    assert orders_of(state)[1]["strategies"] == {"momentum": "1751"}
    state = ready_state()
    fold((m.OrderIntended(order=order(n, AAPL, "AAPL", Side.BUY, 1)) for n in range(1, 81)), state)
    fold((moved(n, OrderState.CANCELLED, Evidence.CANCELLED) for n in range(1, 71)), state)
    shown = [row["intent"] for row in orders_of(state)]
    assert shown == [*range(80, 70, -1), *range(70, 20, -1)]


def test_alerts_are_shown_newest_first() -> None:
    """With their repeats."""
    runtime = runtime_of(HandClock())
    assert runtime.alerts is not None
    for text in ("first", "second", "second"):
        runtime.alerts.raise_alert(m.RaiseAlert(key="k", text=text))
    shown = status_of(ready_state(), runtime)["alerts"]
    assert [(row["text"], row["repeats"]) for row in shown] == [("second", 1), ("first", 0)]


def test_the_socket_answers_with_the_part_asked_for() -> None:
    """`orders` and `positions` are parts of `status`, and the same."""
    state, runtime = traded_state(), runtime_of(HandClock())
    whole = reply_of("status", state, runtime)
    assert whole["ok"]
    assert reply_of("orders", state, runtime)["data"] == whole["data"]["orders"]
    assert reply_of("positions", state, runtime)["data"] == whole["data"]["positions"]


def test_positions_read_as_a_table() -> None:
    """Aligned, figures flush right, and a word where there are none."""
    assert positions_text(positions_of(traded_state())) == (
        "symbol  ours  outside  account  average cost  realized\nAAPL    1751      100     1851         85.70      0.00"
    )
    assert positions_text([]) == "no positions"


def test_orders_read_as_a_table() -> None:
    """Aligned, live first, and a word where there are none."""
    assert orders_text(orders_of(traded_state())) == (
        "#  created              side  quantity  symbol  type  price  tif  state    filled     at  text\n"
        "2  2007-01-05T15:00:00  BUY        800  MSFT    LMT   85.83  DAY  working       0\n"
        "1  2007-01-05T15:00:00  BUY       1751  AAPL    LMT   85.83  DAY  filled     1751  85.70"
    )
    assert orders_text([]) == "no orders"


def test_a_modification_under_way_is_shown_beside_the_order() -> None:
    """What it is, and what it is asked to be; nothing any more once the broker has shown it."""
    state, at = traded_state(), NOW
    terms = {"quantity": Decimal(600), "limit_price": Decimal("85.90"), "stop_price": None}
    fold([m.OrderChangeAsked(intent=2, change=Change(number=1, asked_at=at, **terms))], state)
    row = orders_of(state)[0]
    assert (row["quantity"], row["modifying"]) == ("800", {**terms, "quantity": "600", "limit_price": "85.90"})
    assert orders_text([row]).endswith("asked to be 600, limit 85.90")
    fold([m.OrderTermsSet(intent=2, text="shown so by the broker", **terms)], state)
    assert (orders_of(state)[0]["quantity"], orders_of(state)[0]["modifying"]) == ("600", None)


def test_the_status_reads_as_a_screenful() -> None:
    """Why it does not trade stands at the top; a quiet daemon has few lines."""
    state, runtime = traded_state(), runtime_of(HandClock())
    text = status_text(status_of(state, runtime))
    assert text.startswith("longwatch 0.1.0  paper account DU123456  2007-01-05T15:00:00Z\nready to trade\n")
    assert "  pause by uid 1000: lunch\n  MSFT quarantined since 2007-01-05T15:00:00Z: an unreadable message\n" in text
    fold([m.LinkMoved(link=m.Link.CONNECTING, reason="refused", tech=NOW)], state)
    assert "not ready to trade:\n  link: connecting (refused)\n" in status_text(status_of(state, runtime))
    assert "no positions" in status_text(status_of(State(), runtime))

"""The comparison finds what it is there to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longwatch.wire.replies import REPLIES_BY_NAME
from tests.clients.tape import differences

DEFAULTS = {"Order": {"orderId": 0, "hidden": False, "tif": ""}}


def order(**terms: Any) -> dict[str, Any]:
    return {"class": "Order", **DEFAULTS["Order"], **terms}


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        pytest.param({"orderId": 4}, order(orderId=4, hidden=True), id="an attribute nobody expected"),
        pytest.param({"orderId": 4}, order(orderId=4, openClose="C"), id="another value than the constant"),
        pytest.param({"orderId": 4}, {"class": "Unknown", "orderId": 4, "x": 0}, id="a class without defaults"),
        pytest.param([1, 2], [1, 2, 3], id="a row too many"),
        pytest.param([1, 2], [1], id="a row too few"),
        pytest.param({"orderId": 4}, order(orderId=5), id="another value"),
        pytest.param({"perm": 4}, order(), id="no such attribute"),
    ],
)
def test_a_difference_is_told(wanted: Any, got: Any) -> None:
    assert len(differences([("openOrder", (wanted,))], [("openOrder", (got,))], DEFAULTS)) == 1


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        pytest.param({"orderId": 4}, order(orderId=4), id="the library's defaults"),
        pytest.param({"orderId": 4}, order(orderId=4, openClose="", cashQty=0), id="constants"),
        pytest.param([1, 2], [1, 2], id="equal rows"),
    ],
)
def test_what_is_the_same_is_no_difference(wanted: Any, got: Any) -> None:
    assert differences([("openOrder", (wanted,))], [("openOrder", (got,))], DEFAULTS) == []


ASKED_IN = ("expected.py", "test_accounts.py", "test_quotes.py")
NOT_ASKED = {
    "displayGroupList": "windows of a desktop that follow one another: no automated program has them",
    "historicalNewsEnd": "news, of which this gateway has none and says only the end",
    "tickByTick": "single ticks: the daemon subscribes to quotes, and decides on completed sessions",
    "userInfo": "the brand of a reseller of the broker's",
}
"""What the gateway sends and these tests let no client ask for, and why."""


def test_every_reply_the_gateway_sends_is_expected_of_a_client(root: Path) -> None:
    """By the names of messages in its source; a new one has to be asked for by a client, or be listed as not asked."""
    gateway = (root / "daemon/longwatch/gateway").rglob("*.py")
    source = "".join(module.read_text() for module in gateway if module.stem != "catalogue")
    expectations = "".join((root / "tests/clients" / name).read_text() for name in ASKED_IN)
    sent = {name for name in REPLIES_BY_NAME if f'"{name}"' in source}
    said = {name for name in REPLIES_BY_NAME if f'"{name}"' in expectations}
    assert sent - said == NOT_ASKED.keys()

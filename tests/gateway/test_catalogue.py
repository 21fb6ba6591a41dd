"""Every request of the tables, one by one: an answer, the right error, or stated silence, at every server version."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.requests.catalogue import ENDS, Entry, Outcome, catalogue, page
from longwatch.wire.framing import frame
from longwatch.wire.requests import REQUESTS_BY_NAME
from tests.gateway.made import JANUARY_3, PlainClient, on_a_gateway, stock

VERSIONS = (157, 176, 177, 178)
ENTRIES = catalogue()
NUMBER = 900

ASKED: dict[str, dict[str, Any]] = {
    "placeOrder": {
        "orderId": NUMBER,
        "action": "BUY",
        "totalQuantity": 1,
        "orderType": "LMT",
        "lmtPrice": 1,
        **stock(),
    },
    "cancelOrder": {"orderId": NUMBER},
    "setServerLogLevel": {"logLevel": 3},
    "requestFA": {"faDataType": 1},
    "replaceFA": {"faDataType": 1},
    "reqContractDetails": stock(),
    "reqPnL": {"account": "DU123456"},
    "reqPnLSingle": {"account": "DU123456", "conId": 265598},
    "reqMktData": stock(),
    "reqRealTimeBars": stock(),
    "reqTickByTickData": stock(),
    "reqHistoricalTicks": {"startDateTime": "20070103-15:00:00", **stock()},
    "reqHeadTimeStamp": stock(),
    "reqHistoricalData": {"barSize": "15 mins", "duration": "1 D", **stock()},
    "exerciseOptions": {"exerciseAction": 1, "exerciseQuantity": 1},
    "calculateImpliedVolatility": {"optionPrice": 1, "underPrice": 1},
    "calculateOptionPrice": {"volatility": 1, "underPrice": 1},
    "reqMarketDataType": {"marketDataType": 1},
    "subscribeToGroupEvents": {"groupId": 1},
    "startApi": {"clientId": 5},
    "reqMarketRule": {"marketRuleId": 26},
    "reqMatchingSymbols": {"pattern": "AA"},
}
"""What a request can't be asked without."""

WAITS = {"reqRealTimeBars": 7.0, "reqTickByTickData": 20 * 60}
"""Seconds until an answer that takes longer than two."""

BEFORE = {
    "cancelMktData": "reqMktData",
    "cancelRealTimeBars": "reqRealTimeBars",
    "cancelTickByTickData": "reqTickByTickData",
    "cancelAccountSummary": "reqAccountSummary",
    "cancelOrder": "placeOrder",
}
"""A cancel of what was never asked for is another matter."""


def values_of(name: str) -> dict[str, Any]:
    rows = REQUESTS_BY_NAME[name].rows
    number = {"reqId": NUMBER} if any(getattr(row, "name", "") == "reqId" for row in rows) else {}
    return {**number, **ASKED.get(name, {})}


async def answered(entry: Entry, version: int) -> PlainClient:
    """A client that has asked this one thing, and has heard what there was to hear."""
    client = await PlainClient.connect(0, start=entry.name != "startApi", server_version=version)
    if entry.name in BEFORE:
        client.ask(BEFORE[entry.name], **values_of(BEFORE[entry.name]))
        await asyncio.sleep(2)
    client.forget()
    if version < entry.since:
        client.write(frame((str(entry.id), str(NUMBER))))
    else:
        client.ask(entry.name, **values_of(entry.name))
    await asyncio.sleep(WAITS.get(entry.name, 2.0))
    return client


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda one: one.name)
def test_a_request_has_the_outcome_that_is_stated(entry: Entry, version: int) -> None:
    """What the page of requests says is what a plain client hears; nothing cuts the connection."""

    async def scenario(gateway: Gateway) -> None:
        client = await answered(entry, version)
        heard, errors = client.names(), client.replies("error")
        if version < entry.since:
            assert client.codes() == [320]
        else:
            match entry.outcome:
                case Outcome.SERVED:
                    assert heard[-1] == entry.reply
                    assert not entry.code or errors[-1]["errorCode"] == entry.code
                case Outcome.EMPTY:
                    assert heard == [entry.reply]
                    assert client.replies(entry.reply)[0].get("reqId", NUMBER) == NUMBER
                case Outcome.REFUSED:
                    number = values_of(entry.name).get("reqId", -1)
                    assert [(one["errorCode"], one["reqId"]) for one in errors] == [(entry.code, number)]
                    assert heard == ["error"]
                case Outcome.OBEYED | Outcome.IGNORED:
                    assert heard == []
        assert not client.is_lost
        client.forget()
        client.ask("reqCurrentTime")
        await asyncio.sleep(0.1)
        assert "currentTime" in client.names()

    on_a_gateway(scenario, at=JANUARY_3 + timedelta(days=1), server_version=version)


def test_every_ending_named_is_of_a_request_that_is_served() -> None:
    """No line of the table is left over from a request that has become something else."""
    assert ENDS.keys() == {entry.name for entry in ENTRIES if entry.outcome is Outcome.SERVED}


NEEDED = {
    *("startApi", "reqIds", "reqManagedAccts", "reqCurrentTime"),
    *("reqContractDetails", "reqMatchingSymbols", "reqMarketRule"),
    *("reqMktData", "reqRealTimeBars", "reqHistoricalData", "cancelHistoricalData"),
    *("reqHeadTimeStamp", "placeOrder", "cancelOrder", "reqOpenOrders", "reqAllOpenOrders", "reqCompletedOrders"),
    *("reqExecutions", "reqPositions", "reqPositionsMulti", "reqAccountUpdates", "reqAccountUpdatesMulti"),
    *("reqAccountSummary", "reqPnL", "cancelPnL", "reqPnLSingle", "cancelPnLSingle"),
}
"""What an automated program asks: connecting, contracts, quotes, bars, orders, executions, positions, accounts."""
OBEYED = {
    *("reqMarketDataType", "cancelMktData", "cancelRealTimeBars", "reqGlobalCancel", "reqAutoOpenOrders"),
    *("cancelPositions", "cancelPositionsMulti", "cancelAccountUpdatesMulti", "cancelAccountSummary"),
}
"""What it tells, and is not answered."""


def test_what_an_automated_program_needs_is_served() -> None:
    """Every request of such a program has its answer, and what it only tells is obeyed."""
    assert {entry.name for entry in ENTRIES if entry.outcome is Outcome.SERVED} >= NEEDED
    assert {entry.name for entry in ENTRIES if entry.outcome is Outcome.OBEYED} >= OBEYED


def test_the_page_of_requests_is_the_tables(root: Path) -> None:
    """docs/requests.md is what `python -m longwatch.gateway.requests.catalogue` prints."""
    assert (root / "docs" / "requests.md").read_text() == page()

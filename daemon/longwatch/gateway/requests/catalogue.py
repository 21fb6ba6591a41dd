"""Every request a client can send and what comes back, read off the tables; `python -m` prints docs/requests.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from longwatch.gateway import conduct
from longwatch.gateway.events import EVENTS, Kind
from longwatch.gateway.requests import requests
from longwatch.gateway.requests.requests import ANSWERS, NOT_AVAILABLE, Empty, Refused
from longwatch.wire.framing import LOWEST_SERVER_VERSION
from longwatch.wire.layout import Message
from longwatch.wire.requests import REQUESTS


class Outcome(StrEnum):
    """What becomes of a request that is as it should be."""

    SERVED = "served"
    EMPTY = "nothing to show"
    REFUSED = "refused"
    OBEYED = "obeyed without a word"
    IGNORED = "silence, as from a real gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request: `reply` is the message its answer ends with, or empty; `code` is that error's, or 0.

    `since` is the first server version that has it.
    """

    id: int
    name: str
    since: int
    outcome: Outcome
    reply: str = ""
    code: int = 0


ENDS: dict[str, str] = {
    "startApi": "error 2158",
    "reqIds": "nextValidId",
    "reqManagedAccts": "managedAccounts",
    "reqCurrentTime": "currentTime",
    "reqFamilyCodes": "familyCodes",
    "placeOrder": "orderStatus",
    "cancelOrder": "error 202",
    "reqOpenOrders": "openOrderEnd",
    "reqAllOpenOrders": "openOrderEnd",
    "reqCompletedOrders": "completedOrdersEnd",
    "reqExecutions": "execDetailsEnd",
    "reqPositions": "positionEnd",
    "reqPositionsMulti": "positionMultiEnd",
    "reqAccountUpdates": "accountDownloadEnd",
    "reqAccountUpdatesMulti": "accountUpdateMultiEnd",
    "reqAccountSummary": "accountSummaryEnd",
    "reqPnL": "pnl",
    "cancelPnL": "error 10185",
    "reqPnLSingle": "pnlSingle",
    "cancelPnLSingle": "error 10186",
    "reqContractDetails": "contractDetailsEnd",
    "reqMatchingSymbols": "symbolSamples",
    "reqMarketRule": "marketRule",
    "reqMktData": "tickSize",
    "reqHeadTimeStamp": "headTimestamp",
    "reqHistoricalData": "historicalData",
    "cancelHistoricalData": "error 366",
    "reqRealTimeBars": "realtimeBar",
    "reqHistoricalTicks": "historicalTicksLast",
    "reqTickByTickData": "tickByTick",
}
"""Request -> the message that its answer ends with, of an error the code too; what is not here is obeyed silently."""

SILENT = (requests.nothing,)


def catalogue() -> list[Entry]:
    """Every request of the tables, by number."""
    return [_entry(message) for message in sorted(REQUESTS, key=lambda one: one.id)]


def page() -> str:
    """The catalogue as a page of documentation."""
    rows = [_row(entry) for entry in catalogue()]
    return "\n".join(
        (
            *HEADING,
            "| id | request | from version | outcome | ends with |",
            "|---|---|---|---|---|",
            *rows,
            *CONDUCT,
            *conduct.table(),
            *DONE,
            *(_event(name, kind) for name, kind in EVENTS.items()),
            "",
        )
    )


HEADING = (
    "# What the simulated gateway answers",
    "",
    "Every request of the TWS API at server versions 157 to 178, as the message tables list them. This page is",
    "printed by `python -m longwatch.gateway.requests.catalogue`, and each line is tested at versions 157, 176, 177",
    "and 178. What can't be read is answered by error 320, and so is a request that the version does not know;",
    "one that can be read and is wrong gets the error that a real gateway gives.",
    "",
)


CONDUCT = (
    "",
    "## Where real gateways differ",
    "",
    "Each is a switch of `Conduct` (`gateway/conduct.py`), at its usual value unless set otherwise, as by",
    "`longwatch gateway --conduct preset_tif,master_client_id=7`. The daemon is run through nights and faults at both",
    "values of each; those that it never meets there, because it sends no such request, change nothing.",
    "",
)


DONE = (
    "",
    "## What can be done to its accounts",
    "",
    "By an event plan (`longwatch gateway --events FILE`), a list below `events:` whose entries have `when`, an",
    "instant or a trigger as in a fault plan, `event`, and the terms below; or in a program by",
    "`Gateway.events.happen`. Without `account` it is the first one; lapsing orders and fills are looked for in all.",
    "Each event leaves a line in the ledger.",
    "",
    "| event | what happens | needs | may have |",
    "|---|---|---|---|",
)


def _event(name: str, kind: Kind) -> str:
    needs, may = ", ".join(kind.needs) or "–", ", ".join(kind.may) or "–"
    return f"| {name} | {kind.text} | {needs} | {may} |"


def _entry(message: Message) -> Entry:
    since = max(message.since, LOWEST_SERVER_VERSION)
    answer = requests.start_api if message.name == "startApi" else ANSWERS.get(message.name, NOT_AVAILABLE)
    match answer:
        case Empty(reply=reply):
            outcome, ending, code = Outcome.EMPTY, reply, 0
        case Refused(code=code):
            outcome, ending = Outcome.REFUSED, "error"
        case _ if answer in SILENT:
            outcome, ending, code = Outcome.IGNORED, "", 0
        case _:
            ending, _, number = ENDS.get(message.name, "").partition(" ")
            outcome, code = Outcome.SERVED if ending else Outcome.OBEYED, int(number or 0)
    return Entry(id=message.id, name=message.name, since=since, outcome=outcome, reply=ending, code=code)


def _row(entry: Entry) -> str:
    ending = f"error {entry.code}" if entry.code else entry.reply
    return f"| {entry.id} | {entry.name} | {entry.since} | {entry.outcome} | {ending} |"


if __name__ == "__main__":
    print(page(), end="")

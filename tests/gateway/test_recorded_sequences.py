"""What recorded sessions sent is sent to this gateway; what real ones answered is found in its answers, in order."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from longwatch.gateway.app import Gateway
from longwatch.gateway.conduct import Conduct
from tests.gateway.made import JANUARY_3, PlainClient, on_a_gateway, until

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "recorded" / "sequences"
CLOSE = JANUARY_3 + timedelta(hours=6, minutes=30)

ELSEWHERE = {
    "ibkrgo_api_future_campaign_mes": "a future, which takes no orders here",
    "ibkrgo_api_ioc_fok_aapl": "its buyer above the market did not trade, for a reason that is not in the recording",
}
"""Sessions that can't be played here, and why."""

UNDER = {
    "ibkrgo_api_client_id0_order_observation_aapl": Conduct(foreign_cancel=True),
    "ibkrgo_api_cross_client_cancel_aapl": Conduct(foreign_cancel=True),
    "ibkrgo_place_order_modify_to_market_late_execution": Conduct(status_before_fill=True),
}

BUILD = re.compile(r"request\.-'\w+'")
PRICES = {"lmt_price": "lmtPrice", "aux_price": "auxPrice"}
CHEAPER = Decimal(86) / 260
"""The shares cost about 260 when this was recorded, and cost 86 here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a recording: who spoke (C or S, empty for the connection itself), what, and its values."""

    side: str
    name: str
    values: dict[str, str]


def lines_of(path: Path) -> list[Line]:
    """A recording, without its notes."""
    found = []
    for text in path.read_text().splitlines():
        words = shlex.split(text, comments=False) if text and not text.startswith("#") else []
        if words:
            side = words.pop(0) if words[0] in {"C", "S"} else ""
            found.append(Line(side, words[0], dict(word.split("=", 1) for word in words[1:] if "=" in word)))
    return found


def legs_of(lines: list[Line]) -> Iterator[tuple[int, list[Line]]]:
    """The connections of a session one after the other, each with its client id: the one in its statuses."""
    client_id, leg = 1, list[Line]()
    for line in lines:
        if line.name == "handshake":
            leg = []
        elif line.name == "disconnect":
            named = [one.values["client_id"] for one in leg if one.name == "order_status"]
            client_id = int(named[0]) if named else client_id
            yield client_id, leg
        else:
            leg.append(line)


def answers(leg: list[Line]) -> dict[int, list[str]]:
    """What a real gateway said of each order, in short; the two first states of a market order count as one."""
    market = {line.values["order_id"] for line in leg if line.values.get("order_type") == "MKT" and line.side == "C"}
    told: dict[int, list[str]] = defaultdict(list)
    for line in leg:
        values = line.values
        match line.side, line.name:
            case "S", "open_order":
                told[int(values["order_id"])].append("5")
            case "S", "order_status":
                status = "Works" if values["order_id"] in market and "Submitted" in values["status"] else ""
                told[int(values["order_id"])].append(f"3 {status or values['status']} {values['why_held']}".rstrip())
            case "S", "execution_detail":
                told[int(values["order_id"])].append(f"11 {values['side']} {values['shares']}")
            case "S", "api_error" if values["req_id"] != "-1":
                told[int(values["req_id"])].append(f"4 {values['code']} {values['message']}")
    return told


def said(client: PlainClient, order_id: int, *, is_market: bool) -> list[str]:
    """What this gateway said of an order, in the same words."""
    found = []
    for _, reply in client.heard:
        values = reply.values
        match reply.name:
            case "openOrder" if values["orderId"] == order_id:
                found.append("5")
            case "orderStatus" if values["orderId"] == order_id:
                status = "Works" if is_market and "Submitted" in values["status"] else values["status"]
                found.append(f"3 {status} {values['whyHeld']}".rstrip())
            case "execDetails" if values["orderId"] == order_id:
                found.append(f"11 {values['side']} {values['shares']}")
            case "error" if values["reqId"] == order_id:
                found.append(f"4 {values['errorCode']} {values['errorString']}")
    return found


def is_within(wanted: list[str], heard: list[str]) -> bool:
    """Whether all that was recorded was heard, in its order; repetitions beside it are normal.

    The letters in `request.-'bF'` name a class of one build of the gateway, and say nothing.
    """
    rest = iter([BUILD.sub("request.-'XX'", text) for text in heard])
    return all(any(BUILD.sub("request.-'XX'", one) == other for other in rest) for one in wanted)


def ask(client: PlainClient, line: Line) -> None:
    """Send what the recorded client sent."""
    values = line.values
    match line.name:
        case "place_order":
            terms: dict[str, Any] = {
                name: round(Decimal(values[key]) * CHEAPER, 2) for key, name in PRICES.items() if values.get(key)
            }
            if "trailing_percent" in values:
                terms["trailingPercent"] = Decimal(values["trailing_percent"])
            client.order(
                int(values["order_id"]),
                values["action"],
                float(values["total_quantity"]),
                values["order_type"],
                tif=values["tif"],
                transmit=values.get("transmit") != "False",
                **terms,
            )
        case "cancel_order":
            client.ask("cancelOrder", orderId=int(values["order_id"]), manualOrderCancelTime="")
        case "req_open_orders":
            client.ask("reqOpenOrders" if values["scope"] == "client" else "reqAllOpenOrders")
        case "req_completed_orders":
            client.ask("reqCompletedOrders", apiOnly=values["api_only"] == "True")
        case _:
            raise AssertionError(f"the recording asks {line.name}, which nobody plays")


def recordings() -> list[Path]:
    return [path for path in sorted(FOLDER.glob("*.txt")) if path.stem not in ELSEWHERE] if FOLDER.is_dir() else []


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the recorded reference messages are not beside this tree")
@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.stem)
def test_what_a_real_gateway_said_is_said_here_too(path: Path) -> None:
    """Per order: every openOrder, status with what holds it, execution and error, in the recorded order."""
    legs = list(legs_of(lines_of(path)))
    assert any(answers(leg) for _, leg in legs)

    async def scenario(gateway: Gateway) -> None:
        used: dict[int, int] = {}
        for place, (client_id, leg) in enumerate(legs):
            client = await PlainClient.connect(client_id)
            if client_id in used:
                assert client.replies("nextValidId")[0]["orderId"] == used[client_id] + 1
            client.forget()
            for line in leg:
                if line.side == "C":
                    ask(client, line)
                    await asyncio.sleep(2)
                    if line.name == "place_order":
                        used[client_id] = int(line.values["order_id"])
            if place == len(legs) - 1:
                await until(gateway, CLOSE - timedelta(minutes=1))
            market = {line.values["order_id"] for line in leg if line.values.get("order_type") == "MKT"}
            for order_id, wanted in answers(leg).items():
                heard = said(client, order_id, is_market=str(order_id) in market)
                assert is_within(wanted, heard), f"order {order_id}: {wanted} is not within {heard}"
            client.close()
            await asyncio.sleep(1)

    on_a_gateway(scenario, conduct=UNDER.get(path.stem, Conduct()))

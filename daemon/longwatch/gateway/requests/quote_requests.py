"""Requests for quotes: streams, snapshots and their kinds; part of the table in requests."""

from __future__ import annotations

from typing import Any

from longwatch.gateway.exchange.orders import cause, processing
from longwatch.gateway.market.market import Instrument
from longwatch.gateway.requests.bar_requests import the_one
from longwatch.gateway.session import Session
from longwatch.gateway.streams.generic_ticks import LEGAL, is_legal, listed
from longwatch.gateway.streams.quotes import DELAYED, DELAYED_FROZEN, FROZEN, LIVE, Stream

Values = dict[str, Any]

NOT_SUBSCRIBED = "Requested market data is not subscribed. Delayed market data is not enabled."
SHOWN_DELAYED = "Requested market data is not subscribed. Displaying delayed market data."
COMPETING = "No market data during competing live session"
KINDS = range(LIVE, DELAYED_FROZEN + 1)

SNAPSHOT_SECONDS = 0.5
"""How long a snapshot takes when everything it asks for is there."""

EMPTY_SNAPSHOT_SECONDS = 11.0
"""How long it waits for what does not come."""


def market_data(session: Session, values: Values) -> None:
    """Start a stream of quotes, or send one snapshot of them."""
    desk, req_id = session.desk, values["reqId"]
    instrument = the_one(session, values)
    if instrument is None:
        return
    refusal = _refusal_of(session, values, instrument)
    if refusal is not None:
        session.error(*refusal, req_id)
        return
    if desk.is_delayed:
        session.error(10167, SHOWN_DELAYED, req_id)
    stream = Stream(session, req_id, instrument, _kind_of(session), listed(values["genericTickList"]))
    session.streams[req_id] = stream
    is_whole = stream.start(desk.market, desk.now())
    if values["snapshot"]:
        seconds = SNAPSHOT_SECONDS if is_whole else EMPTY_SNAPSHOT_SECONDS
        desk.timeline.after(seconds, _end_snapshot, session, stream)
    else:
        desk.pulse.wake()


def cancel_market_data(session: Session, values: Values) -> None:
    if session.streams.pop(values["reqId"], None) is None:
        session.error(300, f"Can't find EId with tickerId:{values['reqId']}", values["reqId"])


def market_data_type(session: Session, values: Values) -> None:
    """Which kind of quotes later requests prefer: live, frozen, delayed, delayed and frozen."""
    kind = values["marketDataType"]
    if kind in KINDS:
        session.market_data_type = kind
    else:
        session.error(321, cause(f"Invalid market data type: {kind}"))


def _refusal_of(session: Session, values: Values, instrument: Instrument) -> tuple[int, str] | None:
    """Why there are no quotes for a request: code and text; None when there are."""
    desk, generic = session.desk, values["genericTickList"]
    if values["reqId"] in session.streams:
        return 322, processing("Duplicate ticker id")
    if desk.feeds.left() <= 0:
        return 101, "Max number of tickers has been reached"
    if generic and values["snapshot"]:
        return 414, "Snapshot market data subscription is not applicable to generic ticks"
    if not is_legal(generic):
        kinds = f"Legal ones for ({instrument.sec_type}) are: {LEGAL}"
        return 321, cause(f"Incorrect generic tick list of {generic}.  {kinds}")
    if desk.faults.competing_session:
        return 10197, COMPETING
    if desk.is_delayed and session.market_data_type not in {DELAYED, DELAYED_FROZEN}:
        code = desk.config.unsubscribed
        names = {"type": instrument.sec_type, "symbol": instrument.symbol, "exchange": instrument.primary_exchange}
        return code, REFUSALS[code].format(**names)
    return None


def _kind_of(session: Session) -> int:
    """The kind of stream a client gets: delayed only where there is nothing else, frozen as it prefers."""
    wants_frozen = session.market_data_type in {FROZEN, DELAYED_FROZEN}
    if session.desk.is_delayed:
        return DELAYED_FROZEN if wants_frozen else DELAYED
    return FROZEN if wants_frozen else LIVE


def _end_snapshot(session: Session, stream: Stream) -> None:
    """The end, unless it was cancelled before, its client has left or the broker can't be reached."""
    if session.streams.get(stream.req_id) is stream and not session.desk.faults.backend_down:
        del session.streams[stream.req_id]
        session.send("tickSnapshotEnd", {"reqId": stream.req_id})


REFUSALS = {
    10168: NOT_SUBSCRIBED,
    354: "Requested market data is not subscribed.Delayed market data is available."
    "Error&BEST/{type}/Top&BEST/{type}/Top",
    10089: "Requested market data requires additional subscription for API. See link in 'Market Data Connections' "
    "dialog for more details.Delayed market data is available.{symbol} {exchange}/TOP/ALL",
}
"""What is said where live quotes are not subscribed and delayed ones were not asked for, by code."""

ANSWERS = {
    "reqMktData": market_data,
    "cancelMktData": cancel_market_data,
    "reqMarketDataType": market_data_type,
}

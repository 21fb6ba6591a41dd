"""Requests for single ticks: past ones, and each one as it happens; part of the table in requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from longwatch.gateway import wording
from longwatch.gateway.exchange.orders import cause
from longwatch.gateway.market.market import Instrument, Market, Quote
from longwatch.gateway.requests.bar_requests import NO_ZONE, the_one
from longwatch.gateway.session import Session
from longwatch.gateway.streams.tapes import TYPES, Tape

Values = dict[str, Any]

TICKS_FAILED = "Failed to request historical ticks:"
TAPE_FAILED = "Failed to request tick-by-tick data."
NO_PERMISSION = "No market data permissions for {exchange} {type}"
MOST_TICKS = 1000
LINES_A_TAPE = 20
"""Of so many market data lines one may be a stream of single ticks."""

HISTORY_SECONDS = 0.3


def historical_ticks(session: Session, values: Values) -> None:
    """Up to a thousand ticks after a start, or else before an end: trades, bids with asks, or middles."""
    desk, req_id = session.desk, values["reqId"]
    instrument = the_one(session, values)
    if instrument is None:
        return
    texts = [values["startDateTime"], values["endDateTime"]]
    if any(text and not wording.has_zone(text) for text in texts):
        session.error(2174, NO_ZONE, req_id)
    start, end = (wording.instant_of(text, instrument.zone) if text else None for text in texts)
    reason = _objection(session, values, instrument, start, end)
    if reason:
        session.error(*reason, req_id)
        return
    last = min(end or desk.now(), desk.now())
    desk.timeline.after(HISTORY_SECONDS, _send_ticks, session, values, instrument, start, last)


def tick_by_tick(session: Session, values: Values) -> None:
    """Each tick from now on; how many older ones are asked for beforehand is not heeded."""
    desk, req_id = session.desk, values["reqId"]
    instrument = the_one(session, values)
    if instrument is None:
        return
    tapes = sum(len(other.tapes) for other in desk.everyone())
    if values["tickType"] not in TYPES:
        session.error(321, cause(f"Invalid tick-by-tick type: {values['tickType']}"), req_id)
    elif req_id in session.tapes:
        session.error(102, "Duplicate ticker id", req_id)
    elif tapes >= max(desk.config.market_data_lines // LINES_A_TAPE, 1):
        session.error(10190, "Max number of tick-by-tick requests has been reached", req_id)
    elif desk.is_delayed or desk.faults.competing_session:
        session.error(10189, f"{TAPE_FAILED}{_no_permission(instrument)}", req_id)
    else:
        quote = desk.market.quote(instrument, desk.now())
        session.tapes[req_id] = Tape(instrument, TYPES[values["tickType"]], quote)
        desk.pulse.wake()


def cancel_tick_by_tick(session: Session, values: Values) -> None:
    if session.tapes.pop(values["reqId"], None) is None:
        session.error(300, f"Can't find EId with tickerId:{values['reqId']}", values["reqId"])


def _objection(
    session: Session, values: Values, instrument: Instrument, start: datetime | None, end: datetime | None
) -> tuple[int, str] | None:
    """Why there are no past ticks: code and text; None when there may be."""
    if values["whatToShow"] not in ROWS:
        return 321, cause(f"Source price {values['whatToShow']} not supported")
    if not 0 < (values["numberOfTicks"] or 0) <= MOST_TICKS:
        return 321, cause(f"Number of ticks must be 1 to {MOST_TICKS}")
    if start is None and end is None:
        return 321, cause("One of start and end time must be given, as yyyymmdd-hh:mm:ss")
    if start is not None and end is not None and start >= end:
        return 162, "Historical Market Data Service error message:Starting time must occur before ending time"
    if session.desk.is_delayed or session.desk.faults.competing_session:
        return 10187, f"{TICKS_FAILED}{_no_permission(instrument)}"
    return None


def _send_ticks(
    session: Session, values: Values, instrument: Instrument, start: datetime | None, end: datetime
) -> None:
    desk, count = session.desk, values["numberOfTicks"]
    if not desk.reaches("reqHistoricalTicks"):
        return
    name, row = ROWS[values["whatToShow"]]
    if start is None:
        quotes = list(_back(desk.market, instrument, end, count))[::-1]
    else:
        quotes = list(_on(desk.market, instrument, start, end, count))
    ticks = [{"time": int(at.timestamp()), **row(quote)} for at, quote in quotes]
    session.send(name, {"reqId": values["reqId"], "ticks": ticks, "done": True})


def _on(
    market: Market, instrument: Instrument, start: datetime, end: datetime, count: int
) -> Iterator[tuple[datetime, Quote]]:
    """Ticks from a start on, up to an end; a halted instrument has none."""
    hours = market.hours_of(instrument)
    session = hours.at(start) or hours.following(start)
    while session is not None and session.open_at <= end and count > 0:
        for at in market.points(session, min(end, session.close_at)):
            quote = market.quote(instrument, at)
            if at >= start and quote.bid is not None and count > 0:
                count -= 1
                yield at, quote
        session = hours.following(session.open_at)


def _back(market: Market, instrument: Instrument, end: datetime, count: int) -> Iterator[tuple[datetime, Quote]]:
    """Ticks before an end, the newest first."""
    hours = market.hours_of(instrument)
    days = [bar.date for bar in market.completed(instrument, end)]
    running = hours.at(end)
    for day in [*([running.date] if running else []), *reversed(days)]:
        session = hours.on(day)
        points = market.points(session, min(end, session.close_at)) if session else []
        for at in reversed(points):
            quote = market.quote(instrument, at)
            if at < end and quote.bid is not None:
                if count <= 0:
                    return
                count -= 1
                yield at, quote


def _middle(quote: Quote) -> Values:
    return {"price": ((quote.bid or Decimal(0)) + (quote.ask or Decimal(0))) / 2}


def _trade(quote: Quote) -> Values:
    return {"price": quote.last, "size": quote.last_size, "exchange": "ISLAND"}


def _sides(quote: Quote) -> Values:
    return {"priceBid": quote.bid, "priceAsk": quote.ask, "sizeBid": quote.bid_size, "sizeAsk": quote.ask_size}


def _no_permission(instrument: Instrument) -> str:
    return NO_PERMISSION.format(exchange=instrument.primary_exchange, type=instrument.sec_type)


ROWS = {
    "TRADES": ("historicalTicksLast", _trade),
    "BID_ASK": ("historicalTicksBidAsk", _sides),
    "MIDPOINT": ("historicalTicks", _middle),
}
"""What past ticks may be of: the reply and its rows."""

ANSWERS = {
    "reqHistoricalTicks": historical_ticks,
    "reqTickByTickData": tick_by_tick,
    "cancelTickByTickData": cancel_tick_by_tick,
}

"""Requests for bars: history, bars that grow, bars of five seconds, first dates; part of the table in requests."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

from longwatch.gateway import wording
from longwatch.gateway.exchange.orders import cause, processing
from longwatch.gateway.market import history
from longwatch.gateway.market.bars import PastBar, Prices
from longwatch.gateway.market.market import Instrument
from longwatch.gateway.police import history_ask
from longwatch.gateway.requests.contract_requests import NOT_FOUND, ambiguous, matching
from longwatch.gateway.session import Session
from longwatch.gateway.streams.live_bars import FiveSeconds, Query

Values = dict[str, Any]

HISTORY_FAILED = "Historical Market Data Service error message:"
PACING = "Historical data request pacing violation"
ELSEWHERE = "Trading TWS session is connected from a different IP address"
NAMES_OF_PRICES = {"MIDPOINT": "Midpoint", "BID": "Bid", "ASK": "Ask", "BID_ASK": "Bid_Ask"}
FOLLOWED = {Prices.TRADES, Prices.MIDPOINT, Prices.BID, Prices.ASK}
SCHEDULE = "SCHEDULE"
SCHEDULE_SINCE = 165
AS_EPOCH = 2
OPEN_AT_ONCE = 50
HISTORY_SECONDS = (0.1, 0.6)
NO_ZONE = (
    "Warning: You submitted request with date-time attributes without explicit time zone. Please switch to use "
    "yyyymmdd-hh:mm:ss in UTC or use instrument time zone, like US/Eastern. Implied time zone functionality will be "
    "removed in the next API release"
)


def head_time_stamp(session: Session, values: Values) -> None:
    """When an instrument's history begins."""
    desk, req_id = session.desk, values["reqId"]
    instrument = the_one(session, values)
    if instrument is None:
        return
    head = history.head_of(desk.market, instrument, desk.now())
    if head is None or values["whatToShow"] not in Prices.__members__:
        session.error(162, f"{HISTORY_FAILED}{_no_data(instrument, values['whatToShow'])}", req_id)
    else:
        shown = str(int(head.timestamp())) if values["formatDate"] == AS_EPOCH else f"{head:%Y%m%d-%H:%M:%S}"
        session.send("headTimestamp", {"reqId": req_id, "headTimestamp": shown})


def historical_data(session: Session, values: Values) -> None:
    """Bars up to a time, at most now; a wrong or empty request is an error instead."""
    desk, req_id = session.desk, values["reqId"]
    if values["endDateTime"] and not wording.has_zone(values["endDateTime"]):
        session.error(2174, NO_ZONE, req_id)
    instrument = the_one(session, values)
    if instrument is None:
        return
    refusal = _refusal_of(session, values)
    if refusal is not None:
        session.error(*refusal, req_id)
        return
    what = Prices(values["whatToShow"]) if values["whatToShow"] in Prices.__members__ else Prices.TRADES
    asked = history_ask(values, instrument, history.STEPS.get(values["barSize"]))
    query = Query(instrument=instrument, size=values["barSize"], what=what, as_epoch=values["formatDate"] == AS_EPOCH)
    fault = _fault_of(values, instrument) or ("" if desk.police.may_have_history(session, asked) else PACING)
    session.queries[req_id] = query
    random = Random(f"{desk.config.seed}|history|{instrument.name}|{desk.now().isoformat()}")
    desk.timeline.after(random.uniform(*HISTORY_SECONDS), _answer, session, values, query, fault)


def cancel_historical_data(session: Session, values: Values) -> None:
    """End a query that is not answered yet, or whose newest bar is kept up to date."""
    req_id = values["reqId"]
    if session.queries.pop(req_id, None) is None:
        text = f"No historical data query found for ticker id:{req_id}"
        is_cause = session.desk.config.conduct.cancel_cause
        session.error(322 if is_cause else 366, processing(text) if is_cause else text, req_id)
    else:
        session.error(162, f"{HISTORY_FAILED}API historical data query cancelled: {req_id}", req_id)


def real_time_bars(session: Session, values: Values) -> None:
    """Bars of five seconds from now on; any other size that is asked for is taken for five, as real gateways do."""
    desk, req_id = session.desk, values["reqId"]
    instrument = the_one(session, values)
    if instrument is None:
        return
    if req_id in session.bars:
        session.error(102, "Duplicate ticker id", req_id)
    elif values["whatToShow"] not in FOLLOWED:
        session.error(321, cause(f"Bars of {values['whatToShow']} are not available in real time"), req_id)
    elif desk.feeds.left() <= 0:
        session.error(101, "Max number of tickers has been reached", req_id)
    elif desk.faults.competing_session:
        session.error(420, f"Invalid Real-time Query:{ELSEWHERE}", req_id)
    elif desk.is_delayed:
        listing = f"{instrument.primary_exchange} {instrument.sec_type}"
        session.error(420, f"Invalid Real-time Query:No market data permissions for {listing}", req_id)
    elif not desk.police.may_have_history(session, history_ask(values, instrument, None, is_live=True)):
        session.error(420, f"Invalid Real-time Query:{PACING}", req_id)
    else:
        session.bars[req_id] = FiveSeconds(instrument=instrument, what=Prices(values["whatToShow"]))
        desk.feeds.bars.wake()


def cancel_real_time_bars(session: Session, values: Values) -> None:
    if session.bars.pop(values["reqId"], None) is None:
        session.error(300, f"Can't find EId with tickerId:{values['reqId']}", values["reqId"])


def the_one(session: Session, values: Values) -> Instrument | None:
    """The one instrument a request means; without one the client is told (200), and None returned."""
    found = matching(session.desk.market, values, session.desk.now())
    if len(found) != 1:
        text = ambiguous(values) if found else NOT_FOUND
        session.error(200, text, values["reqId"])
        return None
    return found[0]


def _refusal_of(session: Session, values: Values) -> tuple[int, str] | None:
    """Why a request for history is not even taken on: code and text; None when it is."""
    what, ends, keeps = values["whatToShow"], values["endDateTime"], values["keepUpToDate"]
    if values["reqId"] in session.queries:
        return 322, processing("Duplicate ticker ID for API historical data query")
    if sum(len(other.queries) for other in session.desk.everyone()) >= OPEN_AT_ONCE:
        return 322, processing(f"Only {OPEN_AT_ONCE} simultaneous API historical data requests allowed.")
    if keeps and ends:
        return 321, cause("End date not supported with live updates")
    if keeps and what not in FOLLOWED:
        return 321, cause(f"Source price {what} not supported with live updates")
    if what == Prices.ADJUSTED_LAST and ends:
        return 321, cause("End date not supported with adjusted last")
    if what == SCHEDULE and session.server_version < SCHEDULE_SINCE:
        return 321, cause(f"Source price {what} not supported")
    return None


def _answer(session: Session, values: Values, query: Query, fault: str) -> None:
    """The answer of a query, unless it was cancelled, its client left or the broker can't be reached."""
    desk, req_id = session.desk, values["reqId"]
    if session.queries.get(req_id) is not query or not desk.reaches("reqHistoricalData"):
        return
    if desk.faults.competing_session:
        fault = ELSEWHERE
    if not fault:
        send = _send_schedule if values["whatToShow"] == SCHEDULE else _send_bars
        fault = send(session, values, query)
    if fault:
        session.error(162, f"{HISTORY_FAILED}{fault}", req_id)
    if values["keepUpToDate"] and not fault:
        query.is_live = True
        desk.feeds.bars.wake()
    else:
        del session.queries[req_id]


def _send_bars(session: Session, values: Values, query: Query) -> str:
    """Send the bars; returns why there are none, or an empty text."""
    desk, now, instrument = session.desk, session.desk.now(), query.instrument
    span = history.span_of(values["duration"])
    assert span is not None
    end = _end_of(values, instrument, now)
    bars = history.bars_of(desk.market, instrument, query.size, span, end, what=query.what, now=now)
    if not bars:
        return _no_data(instrument, values["whatToShow"])
    rows = [_row(bar, query, session.server_version) for bar in bars]
    start = max(end - span.reach, datetime.min.replace(tzinfo=UTC) + history.DAY)
    window = [wording.moment(at, instrument.zone, session.server_version) for at in (start, end)]
    session.send("historicalData", {"reqId": values["reqId"], "start": window[0], "end": window[1], "bars": rows})
    return ""


def _send_schedule(client: Session, values: Values, query: Query) -> str:
    """Send the sessions of a span; returns why there are none, or an empty text."""
    desk, instrument = client.desk, query.instrument
    span = history.span_of(values["duration"])
    assert span is not None
    found = history.sessions_of(desk.market, instrument, span, _end_of(values, instrument, desk.now()))
    if not found:
        return _no_data(instrument, SCHEDULE)
    rows = [
        {
            "startDateTime": wording.local_dash(session.open_at, instrument.zone),
            "endDateTime": wording.local_dash(session.close_at, instrument.zone),
            "refDate": f"{session.date:%Y%m%d}",
        }
        for session in found
    ]
    ends = {"startDateTime": rows[0]["startDateTime"], "endDateTime": rows[-1]["endDateTime"]}
    reply = {"reqId": values["reqId"], **ends, "timeZone": instrument.zone, "sessions": rows}
    client.send("historicalSchedule", reply)
    return ""


def _end_of(values: Values, instrument: Instrument, now: datetime) -> datetime:
    asked = wording.instant_of(values["endDateTime"], instrument.zone) if values["endDateTime"] else None
    return min(asked or now, now)


def _row(bar: PastBar, query: Query, server_version: int) -> Values:
    date = history.shown_start(bar, query.instrument.zone, server_version, as_epoch=query.as_epoch)
    return {"date": date, **history.shown(bar, server_version)}


def _fault_of(values: Values, instrument: Instrument) -> str:
    """Why a history request can't be answered, or an empty text."""
    span, step = history.span_of(values["duration"]), history.STEPS.get(values["barSize"])
    if values["endDateTime"] and wording.instant_of(values["endDateTime"], instrument.zone) is None:
        return f"invalid end time: {values['endDateTime']}"
    if values["barSize"] not in history.SIZES:
        return f"invalid step: {values['barSize']}"
    if span is None:
        return f"invalid duration: {values['duration']}"
    if step is not None and span.reach / step > history.MOST_BARS:
        return "Time length exceed max."
    if values["whatToShow"] == SCHEDULE:
        return "" if values["barSize"] in history.DAILY else f"invalid step: {values['barSize']}"
    if values["whatToShow"] not in Prices.__members__:
        return _no_data(instrument, values["whatToShow"])
    return ""


def _no_data(instrument: Instrument, what: str) -> str:
    shown = NAMES_OF_PRICES.get(what, what.capitalize())
    return f"HMDS query returned no data: {instrument.name}@{instrument.exchange} {shown}"


ANSWERS = {
    "reqHeadTimeStamp": head_time_stamp,
    "reqHistoricalData": historical_data,
    "cancelHistoricalData": cancel_historical_data,
    "reqRealTimeBars": real_time_bars,
    "cancelRealTimeBars": cancel_real_time_bars,
}

"""Streams of single ticks: each trade, bid and ask, or middle as it happens; fed by the feeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from longwatch.gateway.market.market import Instrument, Market, Quote

if TYPE_CHECKING:
    from longwatch.gateway.session import Session

TYPES = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
TRADES = {TYPES["Last"], TYPES["AllLast"]}


@dataclass(slots=True, eq=False)
class Tape:
    """A stream of single ticks; `sent` is the quote told last."""

    instrument: Instrument
    kind: int
    sent: Quote


def follow(session: Session, market: Market, at: datetime) -> None:
    """Send every stream of single ticks of a client what has happened at an instant."""
    for req_id, tape in list(session.tapes.items()):
        quote, sent = market.quote(tape.instrument, at), tape.sent
        if quote is not sent:
            tape.sent = quote
            for values in _tick(tape.kind, quote, sent, at):
                session.send("tickByTick", {"reqId": req_id, "tickType": tape.kind, **values})


def _tick(kind: int, quote: Quote, sent: Quote, at: datetime) -> Iterator[dict[str, Any]]:
    if kind in TRADES:
        if quote.last_at is not None and quote.last_at != sent.last_at:
            yield {"time": int(quote.last_at.timestamp()), "price": quote.last, "size": quote.last_size}
    elif quote.bid is not None and quote.ask is not None:
        sides = (quote.bid, quote.ask, quote.bid_size, quote.ask_size)
        if kind == TYPES["BidAsk"] and sides != (sent.bid, sent.ask, sent.bid_size, sent.ask_size):
            names = ("bidPrice", "askPrice", "bidSize", "askSize")
            yield {"time": int(at.timestamp()), **dict(zip(names, sides, strict=True))}
        elif kind == TYPES["MidPoint"] and sides[:2] != (sent.bid, sent.ask):
            yield {"time": int(at.timestamp()), "midPoint": (quote.bid + quote.ask) / 2}

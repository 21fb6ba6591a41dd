"""The quote board: the latest quote of each watched instrument, conflated; fed by ticks, read by live.IbBroker.

Nothing here is journalled: a quote becomes history only inside an event that was decided on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from longwatch.broker.figures import number
from longwatch.domain.quotes import Quote

DELAYED = 3

# IB's tick types: 0..5 live, 66..71 the same fields delayed.
PRICE_FIELDS = {1: "bid", 2: "ask", 4: "last", 66: "bid", 67: "ask", 68: "last"}
SIZE_FIELDS = {0: "bid_size", 3: "ask_size", 69: "bid_size", 70: "ask_size"}
SIZE_OF_PRICE = {"bid": "bid_size", "ask": "ask_size"}
SHORTABLE_LEVEL, SHORTABLE_SHARES = 46, 89
"""Of the generic tick 236: how hard the shares are to borrow, and how many there are."""
EASY_TO_BORROW, AT_LEAST = 2.5, Decimal(1000)
"""Above this level at least so many shares can be borrowed; below it some must be found first, or there are none."""
LAST_SIZES = frozenset({5, 71})
FIRST_DELAYED_TICK = 66
LAST_DELAYED_TICK = 76


@dataclass(slots=True)
class _Line:
    con_id: int
    symbol: str
    bid: float | str = ""
    ask: float | str = ""
    last: float | str = ""
    bid_size: float | str = ""
    ask_size: float | str = ""
    shortable: float | str = ""
    level: float | None = None
    market_data_type: int = 1
    ticked: float | None = None
    quote: Quote | None = None

    def built(self, at: datetime | None) -> Quote:
        return Quote(
            con_id=self.con_id,
            symbol=self.symbol,
            bid=_positive(self.bid),
            ask=_positive(self.ask),
            last=_positive(self.last),
            bid_size=_positive(self.bid_size),
            ask_size=_positive(self.ask_size),
            market_data_type=self.market_data_type,
            at=at,
            shortable=self._to_borrow(),
        )

    def _to_borrow(self) -> Decimal | None:
        shares = number(self.shortable)
        if shares is not None or self.level is None:
            return shares
        return AT_LEAST if self.level > EASY_TO_BORROW else Decimal(0)


class QuoteBoard:
    """One line per request id. `seconds` is the loop's time; ages are measured by it and shown as technical times."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._lines: dict[int, _Line] = {}
        self.ticks = 0

    def open(self, request_id: int, con_id: int, symbol: str) -> None:
        """Start a line, empty: what an earlier subscription said is not carried over."""
        self._lines[request_id] = _Line(con_id=con_id, symbol=symbol)

    def close(self, request_id: int) -> None:
        """End a line; ticks that still come for it are ignored."""
        self._lines.pop(request_id, None)

    def clear(self) -> None:
        """End every line."""
        self._lines.clear()

    def price(self, request_id: int, tick_type: int, price: float, size: float | None) -> None:
        """Message 1. A price of -1 or 0 means "none"; `size` belongs to it, and None leaves the size as it was."""
        line = self._lines.get(request_id)
        field = PRICE_FIELDS.get(tick_type)
        if line is None or field is None:
            return
        setattr(line, field, price)
        if size is not None and field in SIZE_OF_PRICE:
            setattr(line, SIZE_OF_PRICE[field], size)
        self._stamp(line, tick_type)

    def size(self, request_id: int, tick_type: int, size: float) -> None:
        """Messages 2 and 45; what can be borrowed has an age of its own, and makes no quote fresh."""
        line = self._lines.get(request_id)
        if line is None:
            return
        if tick_type in (SHORTABLE_LEVEL, SHORTABLE_SHARES):
            line.level, line.shortable = (size, line.shortable) if tick_type == SHORTABLE_LEVEL else (line.level, size)
            line.quote = None
            return
        field = SIZE_FIELDS.get(tick_type)
        if field is not None:
            setattr(line, field, size)
        if field is not None or tick_type in LAST_SIZES:
            self._stamp(line, tick_type)

    def kind(self, request_id: int, market_data_type: int) -> None:
        """Message 58: what is really sent from here on (1 live, 2 frozen, 3 delayed, 4 delayed-frozen)."""
        line = self._lines.get(request_id)
        if line is not None:
            line.market_data_type = market_data_type
            line.quote = None

    def ticked(self, request_id: int) -> float | None:
        """Loop seconds of the line's last tick, or None."""
        line = self._lines.get(request_id)
        return None if line is None else line.ticked

    def quotes(self, tech: datetime) -> tuple[Quote, ...]:
        """Every line's quote; `tech` is the technical time now."""
        return tuple(self._quote(line, tech) for line in self._lines.values())

    def _quote(self, line: _Line, tech: datetime) -> Quote:
        if line.quote is None:
            at = None if line.ticked is None else tech - timedelta(seconds=self._seconds() - line.ticked)
            line.quote = line.built(at)
        return line.quote

    def _stamp(self, line: _Line, tick_type: int) -> None:
        # Judged on the tick, not on the request: delayed numbers come under tick types of their own.
        if FIRST_DELAYED_TICK <= tick_type <= LAST_DELAYED_TICK and line.market_data_type < DELAYED:
            line.market_data_type = DELAYED
        line.ticked = self._seconds()
        line.quote = None
        self.ticks += 1


def _positive(value: float | str) -> Decimal | None:
    found = number(value)
    return found if found is not None and found > 0 else None

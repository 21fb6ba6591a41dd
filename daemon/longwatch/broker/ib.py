"""The only module that imports the IB library: its request encoders and its decoder, made strict; used by line.py.

Of the library we use `Client` to put requests into bytes and `Decoder` to read messages, with a wrapper object of our
own; never its `IB` façade, its throttle or its socket. The library is imported late, inside the running loop, since
eventkit binds itself to the loop that is current at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from functools import cache
from importlib.util import find_spec
from typing import Any

from longwatch.broker.contracts import Wanted
from longwatch.broker.figures import plain
from longwatch.broker.heard import Heard
from longwatch.broker.translate import ASKED, Said, Translator
from longwatch.domain.instruments import Instrument
from longwatch.domain.messages import ModifyOrder, RequestWhatIf, SubmitOrder
from longwatch.domain.orders import Order
from longwatch.errors import ConfigError
from longwatch.wire.bulk import read_bars
from longwatch.wire.fields import UnreadableField
from longwatch.wire.framing import frame_text

UNDECODABLE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, StopIteration, UnreadableField)
"""What reading a message that is not as it should be can raise."""

EXECUTION, EXECUTION_TIME_FIELD = 11, 15
ROWS = frozenset({EXECUTION, 59, 61, 101})
"""Executions, commissions, positions and completed orders: what a reading of the account repeats."""
ROWS_KEPT = 2000
EPOCH_SECONDS = 2
REDUCE_WITH_BLOCK = 2
"""IB's OCA type: a fill makes the others of the group smaller, of which only one is at the exchange at a time."""
"""The form of dates of bars within a day: plain numbers, which need no zone. Daily ones are `yyyymmdd` all the same."""

EXTRAS = {"ib_insync": "ib", "ib_async": "ib-async"}
"""The libraries known, the one preferred first, and the extra that installs each."""

_CASTS: dict[type, Callable[[str], object]] = {
    str: str,
    int: lambda field: int(field or 0),
    float: lambda field: float(field or 0),
    bool: lambda field: bool(int(field or 0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What is used of the IB library, and the server versions it can read."""

    client: Any
    decoder: Any
    contract: Any
    order: Any
    execution_filter: Any
    lowest_version: int
    highest_version: int


def installed() -> str:
    """The IB library that is there, without importing it: where both or none are, the preferred one."""
    return next((name for name in EXTRAS if find_spec(name) is not None), next(iter(EXTRAS)))


def check_installed(name: str) -> None:
    """Raises ConfigError for a library that is not known or not installed."""
    if name not in EXTRAS:
        raise ConfigError(f"the IB library {name!r} is not known: {' or '.join(EXTRAS)}")
    if find_spec(name) is None:
        raise ConfigError(f"the IB library {name} is not installed: pip install 'longwatch[{EXTRAS[name]}]'")


@cache
def load(name: str) -> Library:
    """Import the IB library. Call it inside the running loop. Raises ConfigError for a name not known or not installed.

    This is the one place that knows how the libraries differ.
    """
    check_installed(name)
    asyncio.set_event_loop(asyncio.get_running_loop())
    if name == "ib_insync":
        import ib_insync as library
        from ib_insync.decoder import Decoder
    else:
        import ib_async as library  # type: ignore[no-redef]
        from ib_async.decoder import Decoder  # type: ignore[no-redef]
    return Library(
        client=library.client.Client,
        decoder=type("StrictDecoder", (Decoder,), {"wrap": _strict_wrap, "parse": _parse}),
        contract=library.Contract,
        order=library.Order,
        execution_filter=library.ExecutionFilter,
        lowest_version=library.client.Client.MinClientVersion,
        highest_version=library.client.Client.MaxClientVersion,
    )


class Reader:
    """Turns the fields of one message into words to the connection's owner. Raises one of UNDECODABLE."""

    def __init__(self, library: Library, translator: Translator, heard: Heard, server_version: int) -> None:
        self._translator = translator
        self._heard = heard
        decoder = library.decoder(translator, server_version)
        self._library_reads = decoder.handlers
        self._rows: dict[bytes, Said] = {}

    def repeats(self, payload: bytes) -> bool:
        """Whether a row of a download is as one before: it is told again. Most rows of a reading of the account are."""
        said = self._rows.get(_apart_from_its_request(payload))
        if said is not None:
            self._translator.retell(said)
        return said is not None

    def read(self, message_id: int, fields: list[str], payload: bytes) -> None:
        """Decode the message, whose bytes are `payload`, and tell it, whole."""
        if message_id == EXECUTION:
            # The library takes a time without a zone for the machine's own, and the form that means UTC has none.
            fields[EXECUTION_TIME_FIELD] = self._translator.epoch_of(fields[EXECUTION_TIME_FIELD])
        said = self._translated(message_id, fields)
        if message_id in ROWS:
            if len(self._rows) == ROWS_KEPT:
                self._rows.clear()
            self._rows[_apart_from_its_request(payload)] = said

    def _translated(self, message_id: int, fields: Sequence[str]) -> Said:
        self._translator.begin()
        self._library_reads[message_id](fields)
        return self._translator.tell()

    def history(self, payload: bytes) -> None:
        """Message 17, whose rows may be a hundred thousand: as bytes, and never field by field."""
        bars = read_bars(payload)
        self._heard.history(bars.req_id, bars)


class Writer:
    """Puts requests into the bytes of one frame, by the library's encoders; nothing is sent."""

    def __init__(self, library: Library, client_id: int, server_version: int) -> None:
        self._library = library
        client = library.client(None)
        client.clientId = client_id
        client.connState = client.CONNECTED
        client._serverVersion = server_version
        client.sendMsg = self._catch
        self._client = client
        self._caught = ""

    def start(self) -> bytes:
        return self._encoded(self._client.startApi)

    def current_time(self) -> bytes:
        return self._encoded(self._client.reqCurrentTime)

    def positions(self) -> bytes:
        return self._encoded(self._client.reqPositions)

    def all_open_orders(self) -> bytes:
        return self._encoded(self._client.reqAllOpenOrders)

    def completed_orders(self) -> bytes:
        return self._encoded(self._client.reqCompletedOrders, False)

    def executions(self, request_id: int) -> bytes:
        return self._encoded(self._client.reqExecutions, request_id, self._library.execution_filter())

    def account_summary(self, request_id: int) -> bytes:
        return self._encoded(self._client.reqAccountSummary, request_id, "All", ",".join(ASKED))

    def cancel_account_summary(self, request_id: int) -> bytes:
        return self._encoded(self._client.cancelAccountSummary, request_id)

    def account_updates(self, request_id: int, account: str) -> bytes:
        """The values of one account, of which some are in no summary."""
        return self._encoded(self._client.reqAccountUpdatesMulti, request_id, account, "", False)

    def cancel_account_updates(self, request_id: int) -> bytes:
        return self._encoded(self._client.cancelAccountUpdatesMulti, request_id)

    def contract_details(self, request_id: int, wanted: Wanted) -> bytes:
        contract = self._library.contract(
            symbol=wanted.symbol,
            secType=wanted.sec_type,
            exchange=wanted.exchange,
            currency=wanted.currency,
            primaryExchange=wanted.primary_exchange,
        )
        return self._encoded(self._client.reqContractDetails, request_id, contract)

    def market_data_type(self, kind: int) -> bytes:
        return self._encoded(self._client.reqMarketDataType, kind)

    def market_data(self, request_id: int, instrument: Instrument, generic_ticks: str = "") -> bytes:
        contract = self._contract(instrument)
        return self._encoded(self._client.reqMktData, request_id, contract, generic_ticks, False, False, [])

    def cancel_market_data(self, request_id: int) -> bytes:
        return self._encoded(self._client.cancelMktData, request_id)

    def history(self, request_id: int, instrument: Instrument, *, end: str, duration: str, bar_size: str) -> bytes:
        return self._encoded(
            self._client.reqHistoricalData,
            request_id,
            self._contract(instrument),
            end,
            duration,
            bar_size,
            "TRADES",
            1,
            EPOCH_SECONDS,
            False,
            [],
        )

    def cancel_history(self, request_id: int) -> bytes:
        return self._encoded(self._client.cancelHistoricalData, request_id)

    def cancel_order(self, order_id: int) -> bytes:
        return self._encoded(self._client.cancelOrder, order_id)

    def order(self, effect: SubmitOrder | ModifyOrder | RequestWhatIf) -> bytes:
        """An order, new or sent again; what IB would else fill in is said outright. Raises ValueError without an id.

        With an attached stop the two follow each other in one write: the first waits at the gateway for the second.
        """
        stop = effect.attached if isinstance(effect, SubmitOrder) else None
        data = self._order(effect, effect.order, transmit=stop is None)
        return data if stop is None else data + self._order(effect, stop)

    def _order(
        self, effect: SubmitOrder | ModifyOrder | RequestWhatIf, wanted: Order, *, transmit: bool = True
    ) -> bytes:
        if wanted.order_id is None:
            raise ValueError(f"order {wanted.ref} has no reserved order id")
        order = self._library.order(
            action=wanted.side.value,
            totalQuantity=plain(wanted.quantity),
            orderType=wanted.order_type.value,
            tif=wanted.tif,
            account=wanted.account,
            orderRef=wanted.ref,
            outsideRth=wanted.outside_rth,
            openClose="",
            whatIf=isinstance(effect, RequestWhatIf),
            parentId=wanted.parent_id,
            transmit=transmit,
        )
        if wanted.oca_group:
            order.ocaGroup, order.ocaType = wanted.oca_group, REDUCE_WITH_BLOCK
        if wanted.limit_price is not None:
            order.lmtPrice = plain(wanted.limit_price)
        if wanted.stop_price is not None:
            order.auxPrice = plain(wanted.stop_price)
        return self._encoded(self._client.placeOrder, wanted.order_id, self._contract(effect.instrument), order)

    def _contract(self, instrument: Instrument) -> Any:
        return self._library.contract(
            conId=instrument.con_id,
            symbol=instrument.symbol,
            secType=instrument.sec_type,
            exchange=instrument.exchange,
            primaryExchange=instrument.primary_exchange,
            currency=instrument.currency,
        )

    def _encoded(self, request: Callable[..., None], *arguments: object) -> bytes:
        self._caught = ""
        request(*arguments)
        return frame_text(self._caught)

    def _catch(self, message: str) -> None:
        self._caught = message


def _apart_from_its_request(payload: bytes) -> bytes:
    """A message without what is another each time and nothing of what is told: an execution's request."""
    return payload[payload.find(b"\0", 3) :] if payload.startswith(b"11\0") else payload


def _parse(decoder: Any, obj: Any) -> None:
    """As the library's: texts become what the class' defaults are. It looks at what was set, and not at every field."""
    casts = _casts_of(type(obj))  # type: ignore[arg-type]  # mypy holds type[Any] for unhashable
    for name, value in vars(obj).items():
        if type(value) is str and name in casts:
            cast, default = casts[name]
            setattr(obj, name, cast(value) if value else default)


@cache
def _casts_of(kind: type) -> dict[str, tuple[Callable[[str], object], object]]:
    kinds = ((field.name, type(field.default), field.default) for field in fields_of(kind))
    return {name: (_CASTS[kind], default) for name, kind, default in kinds if kind in {int, float, bool}}


def _strict_wrap(decoder: Any, name: str, types: Sequence[type], skip: int = 2) -> Callable[[Sequence[str]], None]:
    """The library's reader of flat messages, except that what goes wrong is raised and not just logged."""

    def read(fields: Sequence[str]) -> None:
        arguments = [_CASTS[kind](field) for kind, field in zip(types, fields[skip:], strict=False)]
        getattr(decoder.wrapper, name)(*arguments)

    return read

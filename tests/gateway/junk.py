"""Sound messages spoiled in ways that a seeded choice finds, of a client and of a gateway; used by the junk tests."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from longwatch.errors import ProtocolError
from longwatch.gateway.desk import Desk
from longwatch.gateway.session import Session
from longwatch.wire.framing import FRAME_LIMIT, frame, hello, split
from longwatch.wire.layout import Field, Message
from longwatch.wire.requests import REQUESTS, encode_request
from tests.wire.invented import CHOSEN, invent
from tests.wire.test_recorded import fields_in

GLOBAL_CANCEL = 58
"""The one request by which a client may rightly touch another's orders; it is never sent."""

PLAUSIBLE: dict[str, Sequence[Any]] = {
    **CHOSEN,
    "conId": (None, None, 0, 0, 265598, 265598, 416904, 7),
    "symbol": (*("AAPL",) * 7, "SPX", "", "ZZZZ"),
    "secType": (*("STK",) * 8, "IND", "BAG", ""),
    "currency": (*("USD",) * 8, "EUR", ""),
    "exchange": ("SMART", "NYSE", ""),
    "lastTradeDateOrContractMonth": ("", ""),
    "reqId": (*range(1, 12), -1),
    "parentId": (*(None, 0) * 3, 3),
    "action": (*("BUY", "SELL") * 3, "SSHORT"),
    "totalQuantity": (*(Decimal(1), Decimal(7), Decimal(100)) * 3, Decimal("0.5"), Decimal(-1), None),
    "orderType": ("MKT", "LMT", "STP", "STP LMT", "MOC", "LOC", "TRAIL", "PEG BEST"),
    "lmtPrice": (None, Decimal("86.00"), Decimal("85.005"), Decimal(0), Decimal("1e12")),
    "auxPrice": (None, None, Decimal("80.00"), Decimal("90.00")),
    "tif": ("DAY", "GTC", "IOC", "FOK", "OPG", ""),
    "ocaGroup": (*("",) * 6, "pair"),
    "transmit": (True, True, True, False),
    "whatIf": (False, False, True),
    "account": (*("DU123456",) * 6, ""),
    "acctCode": (*("DU123456",) * 6, ""),
    "barSize": ("1 day", "5 mins", "1 hour", "1 secs", "nothing"),
    "duration": ("2 D", "1 W", "3600 S", "10 Y", ""),
    "endDateTime": ("", "20070104 15:00:00 US/Eastern", "20070104-15:00:00", "20070104 15:00:00"),
    "whatToShow": ("TRADES", "TRADES", "MIDPOINT", "BID_ASK"),
    "keepUpToDate": (False, False, True),
    "formatDate": (1, 2),
    "time": ("", "20070104 09:30:00", "20070104-14:30:00"),
    "side": ("", "BUY", "SLD"),
    "tags": ("All", "NetLiquidation,BuyingPower", "$LEDGER:ALL"),
    "pattern": ("A", "apple", ""),
    "marketDataType": (1, 2, 3, 4),
    "marketRuleId": (26, 7, None),
    "logLevel": (1, 5, 9),
}
"""Values that a gateway with AAPL and one account `DU123456` has an answer to, among some that it has none to."""

WORKING: dict[str, Sequence[Any]] = {
    "conId": (None, 265598),
    "symbol": ("AAPL",),
    "secType": ("STK",),
    "currency": ("USD",),
    "account": ("DU123456",),
    "action": ("BUY", "SELL"),
    "totalQuantity": (Decimal(1), Decimal(7), Decimal(300)),
    "orderType": ("MKT", "LMT", "STP", "STP LMT", "MOC"),
    "lmtPrice": (Decimal("84.00"), Decimal("85.00"), Decimal("90.00")),
    "auxPrice": (Decimal("80.00"), Decimal("90.00")),
    "tif": ("DAY",),
    "ocaGroup": ("",),
    "parentId": (0,),
    "transmit": (True,),
    "whatIf": (False, False, False, True),
}
"""Of these an order is taken that comes to the exchange."""

JUNK = (
    *("", " ", "-", "--", "..", "NaN", "sNaN", "-inf", "Infinity", "-Infinity", "Infinite", "1e400", "-1e400"),
    *(
        "1e999999999",
        "-1E999999",
        "1e-999999999",
        "9" * 400,
        "9" * 5000,
        "0." + "1" * 300,
        "0x10",
        "1_000",
        " 7 ",
        "+5",
    ),
    *("-0", "-1", "0", "1", "2", "2147483647", "2147483648", "-2147483649", "9223372036854775807", "1e5", "1.5"),
    *("1.7976931348623157E308", "1.7976931348623157e+308", "true", "７", "²", "é中😀", "\x01\x7f", "%s%n{}{0}"),
    *("\n\r\t", "a=b;;=;c", "A" * 70_000, "x\0y", "\0\0\0\0", "../../etc/passwd", "DU123456,DU999999", "SMART:NYSE"),
    *("99991231 23:59:59 US/Hawaii", "00010101 00:00:00 Japan", "00010101-00:00:00", "20070104 10:00:00 America"),
    *("20070104 10:00:00 ../../etc/passwd", "20070104 10:00:00 " + "A" * 300, "20070104 25:61:61 UTC"),
    *("00000000 00:00:00", "99999 Y", "99999 S", "0 D", "99999 D", "1 W 2"),
)

GREETINGS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"63\x00",
    b"API",
    b"API\0\0\0\0\0",
    b"API\0\xff\xff\xff\xff",
    b"API\0" + frame(["v99999999..1"]),
    b"API\0" + frame(["v100..157", "v1"]),
    b"API\0" + frame(["v157..1" + "7" * 3000]),
    b"API\0" + frame(["vx"]),
    hello(1, 999999),
    hello(176, 157),
    hello(200, 210),
    hello(157, 176, "+PACEAPI" * 400),
    b"\x00" * 64,
)


WILD = {
    "text": JUNK,
    "int": (None, 0, -1, 1, 2**31 - 2, -(2**31)),
    "id": (0, -1, 1, 2**31 - 1, 2**31 - 2, -(2**31)),
    "long": (None, 0, -1, 2**63 - 2, -(2**63) + 1),
    "decimal": tuple(map(Decimal, ("0", "-1", "1e300", "-1e300", "1e-300", "0.1111111111111111", "1e15", "1e28"))),
    "double": tuple(map(Decimal, ("0", "-1", "1e300", "-1e300", "1e-300"))),
}
"""By kind of field, what can be read and still makes no sense."""

ORDERS = ("placeOrder", "placeOrder", "placeOrder", "cancelOrder")


class Spoiler:
    """Frames for one server version, drawn from one seed; about one in four is left sound.

    Order ids go up from `first_order`, so that most orders are new ones; some repeat a late one.
    """

    def __init__(
        self, luck: Random, server_version: int, recorded: Sequence[list[str]] = (), first_order: int = 1
    ) -> None:
        self.luck = luck
        self.server_version = server_version
        self._order_id = first_order
        self._recorded = recorded
        self._messages = [one for one in REQUESTS if one.since <= server_version and one.id != GLOBAL_CANCEL]

    def frame(self) -> bytes:
        """The next one: usually a frame, now and then one of a wrong length."""
        fields = self._sound()
        for _ in range(self.luck.choice((0, 0, 0, 0, 1, 1, 1, 2, 3, 8))):
            fields = spoiled(self.luck, fields)
        packet = frame(fields)
        if self.luck.random() < 0.05:
            packet = packet[:4] + flipped(self.luck, packet[4:])
        if is_global_cancel(packet):
            return frame(["49", "1"])
        return self._mislead(packet) if self.luck.random() < 0.01 else packet

    def greeting(self) -> bytes:
        """The opening of something that is no client of ours, or hardly."""
        chosen = self.luck.choice((*GREETINGS, self.luck.randbytes(40), hello(157, self.server_version)))
        return flipped(self.luck, chosen) if self.luck.random() < 0.5 else chosen

    def _sound(self) -> list[str]:
        """A message that can be read; a value or two of it may be wild."""
        if self._recorded and self.luck.random() < 0.15:
            return list(self.luck.choice(self._recorded))
        wanted = self.luck.choice(ORDERS) if self.luck.random() < 0.3 else ""
        message = next((one for one in self._messages if one.name == wanted), None) or self.luck.choice(self._messages)
        self._order_id += 1
        working = WORKING if self.luck.random() < 0.5 else {}
        order_ids = (self._order_id, self._order_id, self._order_id - 1, self._order_id - 2)
        chosen = {**PLAUSIBLE, **working, "orderId": order_ids}
        values = invent(message.rows, self.server_version, self.luck, chosen)
        plain = [row for row in message.rows if isinstance(row, Field) and row.name in values]
        for row in self.luck.sample(plain, k=min(len(plain), self.luck.choice((0, 0, 1, 1, 2)))):
            if row.kind.name in WILD and not (row.name == "orderId" and self.luck.random() < 0.9):
                values[row.name] = self.luck.choice(WILD[row.kind.name])
        return self._encoded(message, values)

    def _encoded(self, message: Message, values: dict[str, Any]) -> list[str]:
        """The fields of a message; NULs of its texts and rows that a wild value has called for are left out."""
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = value.replace("\0", "")
        try:
            return split(encode_request(message.name, values, self.server_version)[4:])
        except ProtocolError:
            return self._sound()

    def _mislead(self, packet: bytes) -> bytes:
        """A frame whose length is another than it says."""
        size = len(packet) - 4
        wrong = self.luck.choice((0, 1, size + 1, size * 3, max(size - 1, 0), FRAME_LIMIT, FRAME_LIMIT + 1, 2**32 - 1))
        return wrong.to_bytes(4, "big") + packet[4:]


def spoiled(luck: Random, fields: list[str]) -> list[str]:
    """One change of a message's fields; the id is spared most times, so that what follows it is read."""
    fields = list(fields) or [""]
    at = luck.randrange(len(fields)) if len(fields) == 1 or luck.random() < 0.03 else luck.randrange(1, len(fields))
    match luck.randrange(8):
        case 0:
            del fields[at]
        case 1:
            fields.insert(at, fields[at])
        case 2:
            other = luck.randrange(len(fields))
            fields[at], fields[other] = fields[other], fields[at]
        case 3:
            del fields[at:]
        case 4:
            fields.extend(luck.choices(JUNK, k=luck.randrange(1, 4)))
        case _:
            fields[at] = luck.choice(JUNK)
    return fields


def flipped(luck: Random, data: bytes) -> bytes:
    """The same with up to five other bytes."""
    changed = bytearray(data)
    for _ in range(luck.randrange(1, 6)):
        if changed:
            changed[luck.randrange(len(changed))] = luck.randrange(256)
    return bytes(changed)


def is_global_cancel(packet: bytes) -> bool:
    """Whether a gateway would read a frame as a global cancel."""
    fields = split(packet[4:])
    try:
        return int(fields[0]) == GLOBAL_CANCEL
    except (ValueError, IndexError):
        return False


def recorded_requests(folder: Path, server_version: int) -> list[list[str]]:
    """What real client libraries sent, where the recordings are present."""
    return [
        fields_in(line)
        for path in sorted((folder / "requests").glob(f"*_sv{server_version}.txt"))
        for line in path.read_text().splitlines()
        if not line.startswith(("#", f"{GLOBAL_CANCEL}|", "71|"))
    ]


class Nonsense:
    """Spoils a share of what a gateway's sessions send, by a seeded choice, while it is on."""

    def __init__(self, seed: str, share: float) -> None:
        self.luck = Random(seed)
        self.share = share
        self.is_on = False
        self.spoilt = 0

    def session(self, desk: Desk) -> Session:
        nonsense = self

        class Spoiling(Session):
            def write(self, packet: bytes) -> None:
                super().write(nonsense.packet(packet))

        return Spoiling(desk)

    def packet(self, packet: bytes) -> bytes:
        luck = self.luck
        if not self.is_on or luck.random() >= self.share:
            return packet
        self.spoilt += 1
        match luck.randrange(20):
            case 0:
                size = luck.choice((0, 1, len(packet), FRAME_LIMIT + 1, 2**31))
                return size.to_bytes(4, "big") + packet[4:]
            case 1:
                return packet + packet
            case 2 | 3 | 4:
                return packet[:4] + flipped(luck, packet[4:])
            case _:
                return frame(spoiled(luck, split(packet[4:])))

"""Makes one language of what four libraries heard, and compares it with what was expected; used by the client tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.clients.expected import Said, Within

Heard = tuple[str, str, list[Any]]
"""Phase, callback and arguments, as a driver prints them."""

Defaults = Mapping[str, Mapping[str, Any]]
"""Class, attribute, and its value in an object of which nothing was said."""

# Names that changed between generations of IB's client, and those ib_insync has of its own.
RENAMED = {"commissionAndFeesReport": "commissionReport"}
ATTRIBUTES = {
    "commissionAndFees": "commission",
    "commissionAndFeesCurrency": "commissionCurrency",
    "average": "wap",
    "accountID": "accountID",
}
OF_THE_LIBRARY = {"connectAck", "connectionClosed", "setEventsDone"}
EXTRAS_OF_ERRORS = 3
ALWAYS_CLEARED = {2168, 2169}
"""Warnings about attributes that the old official client sets by itself."""


def phases_of(events: Sequence[Heard]) -> dict[str, list[Said]]:
    """What was heard in each phase, in one language."""
    phases: dict[str, list[Said]] = {}
    for phase, name, arguments in events:
        phases.setdefault(phase, []).extend(_said(RENAMED.get(name, name), arguments))
    return {phase: list(_merged(said)) for phase, said in phases.items()}


def defaults_of(printed: Defaults) -> Defaults:
    """The defaults a driver printed, in the same language."""
    return {kind: _renamed(dict(usual)) for kind, usual in printed.items()}


def _said(name: str, arguments: list[Any]) -> Iterator[Said]:
    if name in OF_THE_LIBRARY:
        return
    shown = [_renamed(one) for one in arguments]
    match name:
        case "error":
            # The newest generation puts a time second, and all newer ones a JSON text last.
            words = [shown[0], *(shown[2:] if not isinstance(shown[2], str) else shown[1:])]
            if words[1] not in ALWAYS_CLEARED:
                yield name, tuple(words[:EXTRAS_OF_ERRORS])
        case "priceSizeTick":
            yield "tickPrice", tuple(shown)
        case _:
            yield name, tuple(shown)


def _merged(said: Sequence[Said]) -> Iterator[Said]:
    """The official client makes two callbacks of a price with a size: one again, as it crossed the wire."""
    skip = False
    for place, (name, arguments) in enumerate(said):
        if skip:
            skip = False
        elif name == "tickPrice" and isinstance(arguments[3], Mapping):
            number, tick, price, _ = arguments
            following = said[place + 1] if place + 1 < len(said) else ("", ())
            skip = following[0] == "tickSize" and following[1][1] == SIZE_OF.get(tick)
            yield name, (number, tick, price, following[1][2] if skip else 0)
        else:
            yield name, arguments


NOT_SET = "1.7976931348623157E308"
MARGINS = [
    f"{name}{when}"
    for name in ("initMargin", "maintMargin", "equityWithLoan")
    for when in ("Before", "Change", "After")
]

CONSTANTS: dict[str, dict[str, Any]] = {
    "Order": {
        "adjustedOrderType": "None",
        "cashQty": 0,
        "competeAgainstBestOffset": 0.02,
        "deltaNeutralOpenClose": "?",
        "deltaNeutralOrderType": "None",
        "displaySize": None,
        "dontUseAutoPriceForHedge": True,
        "eTradeOnly": False,
        "firmQuoteOnly": False,
        "minCompeteSize": 100,
        "openClose": "",
        "refFuturesConId": None,
        "referencePriceType": 0,
        "shareholder": "Not an insider or substantial shareholder",
        "usePriceMgmtAlgo": False,
        "volatilityType": 0,
    },
    "OrderState": dict.fromkeys(MARGINS, NOT_SET),
    "ContractDetails": {"mdSizeMultiplier": 100, "priceMagnifier": 1},
}
"""By class, attributes that say the same in every message, as a real gateway's do, unlike the library's defaults."""

SIZE_OF = {1: 0, 2: 3, 4: 5, 66: 69, 67: 70, 68: 71}
"""The size tick that the official client makes of each price tick."""


def _renamed(value: Any) -> Any:
    match value:
        case dict():
            return {ATTRIBUTES.get(name, name): _renamed(one) for name, one in value.items()}
        case list():
            return [_renamed(one) for one in value]
        case _:
            return value


def differences(expected: Sequence[Said], heard: Sequence[Said], defaults: Defaults) -> list[str]:
    """Each place where they differ, with both values; none when the client heard exactly what the model holds.

    An attribute of a library's object that the model says nothing of must stand in CONSTANTS or be the library's own
    default, which `defaults` gives by class.
    """
    names = [name for name, _ in expected], [name for name, _ in heard]
    if names[0] != names[1]:
        return [f"expected the callbacks {names[0]}, heard {names[1]}"]
    found: list[str] = []
    for place, ((name, wanted), (_, got)) in enumerate(zip(expected, heard, strict=True)):
        found.extend(_compare(f"{place} {name}", wanted, got, defaults))
    return found


def _compare(path: str, wanted: Any, got: Any, defaults: Defaults) -> Iterator[str]:
    match wanted:
        case _ if wanted is ...:
            return
        case Mapping():
            if not isinstance(got, Mapping):
                yield f"{path}: expected {wanted!r}, got {got!r}"
                return
            for name, value in wanted.items():
                if name not in got:
                    yield f"{path}.{name}: expected {value!r}, there is no such attribute"
                else:
                    yield from _compare(f"{path}.{name}", value, got[name], defaults)
            yield from _unsaid(path, wanted, got, defaults)
        case list() | tuple():
            if not isinstance(got, list | tuple) or len(got) != len(wanted):
                yield f"{path}: expected {wanted!r}, got {got!r}"
                return
            for place, (one, other) in enumerate(zip(wanted, got, strict=True)):
                yield from _compare(f"{path}[{place}]", one, other, defaults)
        case _:
            if not _same(wanted, got):
                yield f"{path}: expected {wanted!r}, got {got!r}"


def _unsaid(path: str, wanted: Mapping[str, Any], got: Mapping[str, Any], defaults: Defaults) -> Iterator[str]:
    """Attributes the model says nothing of that are neither constant nor the library's default."""
    kind = got.get("class", "")
    usual = defaults.get(kind, {})
    for name in got.keys() - wanted.keys() - {"class"}:
        allowed = [table[name] for table in (CONSTANTS.get(kind, {}), usual) if name in table]
        if got[name] not in allowed:
            yield f"{path}.{name}: nothing was expected, got {got[name]!r}, usual is {allowed!r}"


def _same(wanted: Any, got: Any) -> bool:
    match wanted:
        case Within(first=first, last=last):
            at = _instant(got, first)
            return first <= at <= last
        case bool() | str() | None:
            return type(wanted) is type(got) and wanted == got
        case Decimal() | int() | float():
            return got not in (None, "") and float(wanted) == float(got)
        case _:
            return bool(wanted == got)


_TEXT = re.compile(r"(\d{8})[ -]+(\d\d:\d\d:\d\d)(?: (\S+))?")


def _instant(shown: Any, day: datetime) -> datetime:
    """A time in any form a library shows: epoch seconds, ISO, the broker's text, or only hours and minutes."""
    if isinstance(shown, int):
        return datetime.fromtimestamp(shown, UTC)
    if found := _TEXT.fullmatch(shown):
        zone = ZoneInfo(found[3] or "UTC")
        return datetime.strptime(f"{found[1]} {found[2]}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
    if re.fullmatch(r"\d\d:\d\d", shown):
        return day.replace(hour=int(shown[:2]), minute=int(shown[3:]), second=0, microsecond=0)
    return datetime.fromisoformat(shown)

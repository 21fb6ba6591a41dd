"""Invents the values of any message from its table; used by the wire tests."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, assert_never

from longwatch.wire.layout import Each, Field, Literal, Maybe, Pairs, Repeat, Rows, Switch, When, present

VERSIONS = (157, 163, 164, 166, 170, 176, 177, 178)
"""The server versions at which layouts change between neighbours that real clients meet."""

_LETTERS = "abcXYZ0189 |.,:;=-_/\\'\"%{}~é中\n\t?"
CHOSEN = {
    "secType": ("STK", "FUT", "CASH", "BAG", ""),
    "orderType": ("MKT", "LMT", "STP", "PEG BENCH", "PEG BEST", "PEG MID", "PEGBEST", "PEGMID"),
    "exchange": ("SMART", "IBKRATS", "NYSE"),
    "deltaNeutralOrderType": ("", "None", "LMT"),
    "hedgeType": ("", "D"),
    "algoStrategy": ("", "Adaptive"),
    "condType": (1, 3, 4, 5, 6, 7),
    "tickType": (1, 2, 3, 4),
    "competeAgainstBestOffset": (None, Decimal("0.02"), Decimal("Infinity")),
    "time": (None, 0, -1, 1_775_425_766),
    "scalePriceIncrement": (None, Decimal(0), Decimal("0.25")),
}


def invent(
    rows: Rows, server_version: int, luck: random.Random, chosen: Mapping[str, Sequence[Any]] = CHOSEN
) -> dict[str, Any]:
    """Values for every field these rows put on the wire at a server version; those of `chosen` are of its making."""
    values: dict[str, Any] = {}
    _invent(rows, server_version, luck, values, chosen)
    return values


def _invent(
    rows: Rows, server_version: int, luck: random.Random, values: dict[str, Any], chosen: Mapping[str, Sequence[Any]]
) -> None:
    for row in present(rows, server_version):
        match row:
            case Literal():
                pass
            case Field():
                values[row.name] = _value(row, luck, chosen)
            case When():
                if row.test(values[row.name]):
                    _invent(row.rows, server_version, luck, values, chosen)
            case Switch():
                _invent(row.cases[values[row.name]], server_version, luck, values, chosen)
            case Repeat():
                values[row.name] = [
                    invent(row.rows, server_version, luck, chosen) for _ in range(luck.choice((0, 1, 3)))
                ]
            case Each():
                field = Field("item", row.kind)
                values[row.name] = [_value(field, luck, chosen) for _ in range(luck.choice((0, 1, 4)))]
            case Pairs():
                values[row.name] = tuple((_text(luck), _text(luck)) for _ in range(luck.choice((0, 1, 2))))
            case Maybe():
                values[row.name] = invent(row.rows, server_version, luck, chosen) if luck.random() < 0.3 else None
            case _:
                assert_never(row)


def _value(row: Field, luck: random.Random, chosen: Mapping[str, Sequence[Any]]) -> Any:
    if row.name in chosen and isinstance(chosen[row.name][-1], str) is (row.kind.name == "text"):
        return luck.choice(chosen[row.name])
    match row.kind.name:
        case "text":
            return _text(luck)
        case "int":
            return luck.choice((None, 0, 1, -1, 107, 2_138_440_174, -2_147_483_648))
        case "id":
            return luck.choice((0, 1, -1, 107, 2_147_483_647))
        case "long":
            return luck.choice((None, 0, 1_775_425_766_350, -(2**62)))
        case "decimal":
            return luck.choice((None, Decimal("96.90"), Decimal(0), Decimal("-1"), Decimal("0.00000001"), _price(luck)))
        case "double":
            return luck.choice(
                (None, Decimal("96.9"), Decimal(0), Decimal("12345678.5"), Decimal("0.00005"), _price(luck))
            )
        case "bool":
            return luck.random() < 0.5
        case "choice":
            return luck.choice((None, True, False))
        case "tags":
            return luck.choice(((), (("priority", "Urgent"),), (("a", "1"), ("b", "x=y"))))
        case other:
            raise AssertionError(f"no values are invented for the kind {other}")


def _price(luck: random.Random) -> Decimal:
    return Decimal(luck.randrange(1, 10_000_000)) / 100


def _text(luck: random.Random) -> str:
    return "".join(luck.choice(_LETTERS) for _ in range(luck.randrange(0, 9)))

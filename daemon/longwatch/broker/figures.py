"""Numbers, times and zones as the broker writes them, made exact and aware; called by ib.py and contracts.py."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

UNSET_INTEGER = 2**31 - 1
LARGEST = 9_223_372_036_854_000_000
"""No figure comes near the extreme longs and doubles; as floats they are not exactly themselves any more."""

FIRST_YEAR, LAST_YEAR = 1900, 2200
FINEST_PLACE = -40
"""A decimal place beyond it is no figure's, and a billion of them would fill the memory when written out."""

ZONE_ALIASES = {
    "EST": "America/New_York",
    "EST5EDT": "America/New_York",
    "CST": "America/Chicago",
    "CST6CDT": "America/Chicago",
    "PST": "America/Los_Angeles",
    "JST": "Asia/Tokyo",
    "HKT": "Asia/Hong_Kong",
    "MET": "Europe/Paris",
    "Greenwich Mean Time": "Etc/UTC",
    "GMT": "Etc/UTC",
    "British Summer Time": "Europe/London",
    "Central European Standard Time": "Europe/Berlin",
    "Central European Summer Time": "Europe/Berlin",
    "Eastern Standard Time": "America/New_York",
    "Eastern Daylight Time": "America/New_York",
}
"""What IB calls a zone, where no IANA name is that or where the IANA name of that spelling knows no summer time."""


def number(value: float | int | str) -> Decimal | None:
    """The exact decimal of the digits the broker sent, or None for its several ways to say "unset".

    Raises decimal.InvalidOperation, an ArithmeticError, on text that is no number, and ValueError on nan or inf.
    """
    if value == "":
        return None
    if isinstance(value, str):
        found = Decimal(value)
    elif isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        found = Decimal(int(value))
    else:
        found = Decimal(repr(value))
    if not found.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    if isinstance(value, str) and found.adjusted() < FINEST_PLACE:
        raise ValueError(f"{value[:40]!r} is finer than any figure")
    return None if is_unset(found) else found


def is_unset(found: Decimal) -> bool:
    """Whether a number is one of the sentinels: the largest double, the largest int, the extreme longs."""
    return abs(found) >= LARGEST or found == UNSET_INTEGER


def amount(value: float | int | str) -> Decimal:
    """As `number`, for a field that must be there. Raises ValueError when it is unset."""
    found = number(value)
    if found is None:
        raise ValueError("a number that must be there is unset")
    return found


def size(value: float | int | str) -> Decimal:
    """As `amount`, for a number of shares, of which there are never fewer than none."""
    found = amount(value)
    if found < 0:
        raise ValueError(f"{found} shares, fewer than none")
    return found


def identity(value: int) -> int:
    """An order, client or perm id; the broker's sentinels for "none" become 0."""
    return 0 if value == UNSET_INTEGER or abs(value) >= LARGEST else value


def plain(value: Decimal) -> str:
    """A number as the wire wants it: plain digits, never an exponent."""
    return format(value, "f")


def zone_of(name: str) -> ZoneInfo:
    """The zone that IB means by `name`. Raises ZoneInfoNotFoundError, which is a KeyError."""
    return ZoneInfo(ZONE_ALIASES.get(name, name))


def instant(text: str, zone: str) -> datetime:
    """A time of the broker in UTC.

    `20231116-12:15:35` is UTC already; `20231115 09:20:44 GB-Eire` names its zone; `20230224  12:04:56` is in `zone`,
    the gateway's own; digits alone are epoch seconds. Raises ValueError or KeyError on anything else, and on times
    of another age.
    """
    try:
        at = _instant(text, zone)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{text[:40]!r} is no time: {error}") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"{text[:40]!r} is no time of this age")
    return at


def day_of(text: str) -> date:
    """The date `yyyymmdd`. Raises ValueError when it is none, or of another age."""
    day = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"{text!r} is no date of this age")
    return day


def _instant(text: str, zone: str) -> datetime:
    if text.isdecimal() and len(text) != len("20231116"):
        return datetime.fromtimestamp(int(text), UTC)
    if "-" in text[:9]:
        return datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    day, clock, *named = text.split(maxsplit=2)
    place = zone_of(named[0] if named else zone)
    return datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=place).astimezone(UTC)

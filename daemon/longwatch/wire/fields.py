"""The kinds of field a message can hold: how each is read, written and left unset; used by the message tables.

Number formats are those of the Java server. Unset is one idea with many spellings on the wire (empty, the largest
double, the largest int or long); reading turns each into None, writing uses the spelling the table names for the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from longwatch.errors import ProtocolError

MAX = "1.7976931348623157E308"
"""An unset double, as the server writes it."""

IMAX = "2147483647"
"""An unset int."""

LMAX = "9223372036854775807"
"""An unset long."""

INFINITE = Decimal("Infinity")


class UnreadableField(ProtocolError):
    """Raised when a field's text is not of its kind; `field` is its label and `text` what stood there.

    The text is the one a real gateway sends after `Error reading request. ` in error 320.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"Unable to parse field: '{field}' for input string: '{text}'")
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How one kind of field is read from text and shown as text, and what a value left out is written as."""

    name: str
    parse: Callable[[str], Any]
    show: Callable[[Any], str]
    blank: str = ""


_NOT_IN_A_NUMBER = str.maketrans("", "", "0123456789.eE+-")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_UNSET_DECIMAL = Decimal(MAX)
_MOST_PLACES = 330
"""Before or after the point: a double has no more, and what has a billion would fill the memory when written out."""

_UNSET_INTS = frozenset((2147483647, 9223372036854775807, -9223372036854775808))
_LARGEST_INT = 2**31
_LARGEST_LONG = 2**63


def parse_integer(text: str) -> int | None:
    """A whole number of 32 bits, or None when empty or one of the unset values, a long's too. Raises ValueError."""
    if not text:
        return None
    number = _whole(text)
    if -_LARGEST_INT <= number < _LARGEST_INT - 1:
        return number
    if number not in _UNSET_INTS:
        raise ValueError(text)
    return None


def parse_long(text: str) -> int | None:
    """A whole number of 64 bits, or None when empty or one of the unset values. Raises ValueError."""
    if not text:
        return None
    number = _whole(text)
    if not -_LARGEST_LONG <= number < _LARGEST_LONG:
        raise ValueError(text)
    return None if number in _UNSET_INTS else number


def parse_id(text: str) -> int:
    """A whole number of 32 bits that must be there: of ids, the largest is one like any other. Raises ValueError."""
    number = _whole(text)
    if not -_LARGEST_INT <= number < _LARGEST_INT:
        raise ValueError(text)
    return number


def _whole(text: str) -> int:
    """Digits and a sign, as Java reads them: no blanks, no underscores, no other scripts' digits."""
    number = int(text)
    if str(number) != text and not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return number


def parse_decimal(text: str) -> Decimal | None:
    """An exact number of a double's range, or None when empty or the largest double.

    Raises ValueError, or an ArithmeticError.
    """
    if not text:
        return None
    if text.translate(_NOT_IN_A_NUMBER):
        raise ValueError(text)
    number = Decimal(text)
    if not -_MOST_PLACES <= number.adjusted() <= _MOST_PLACES:
        raise ValueError(text)
    return None if number == _UNSET_DECIMAL else number


def parse_double(text: str) -> Decimal | None:
    """As a decimal, and infinity as `Infinity` or `Infinite`. Raises ValueError, or an ArithmeticError."""
    return INFINITE if text in {"Infinity", "Infinite"} else parse_decimal(text)


def show_decimal(value: Decimal | float | str) -> str:
    """A number without an exponent, its digits kept: Decimal('96.90') is `96.90`. Text is taken as it stands."""
    if type(value) is Decimal:
        text = str(value)
        return _plain(value) if "E" in text or text[-1] > "9" else text
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, int):
        return int.__repr__(value)
    text = repr(float(value))
    return _plain(Decimal(text)) if "e" in text or "n" in text else text


def show_double(value: Decimal | float | str) -> str:
    """A number as Java's Double.toString writes it: `100.0`, `96.9`, `1.0E7`, `5.0E-5`. Text is taken as it stands."""
    if isinstance(value, str):
        return _clean(value)
    number = float(value)
    size = abs(number)
    if 0.001 <= size < 1e7 or size == 0:
        return repr(number)
    return _scientific(number)


def _plain(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a number the protocol can carry")
    return format(value, "f")


def _scientific(number: float) -> str:
    if number != number:
        raise ValueError("NaN is not a number the protocol can carry")
    if abs(number) == float("inf"):
        return "Infinity" if number > 0 else "-Infinity"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    head, tail = digits[0], "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{head}.{tail}E{int(exponent) + len(digits) - 1}"


def _clean(text: str) -> str:
    if "\0" in text:
        raise ValueError("a field can't hold a NUL: it would end there")
    return text


def _parse_flag(text: str) -> bool:
    return bool(int(text)) if text else False


def _parse_choice(text: str) -> bool | None:
    return bool(int(text)) if text else None


def _show_flag(value: bool) -> str:
    return "1" if value else "0"


def parse_tags(text: str) -> tuple[tuple[str, str], ...]:
    """The pairs of `tag=value;tag=value;`."""
    pairs = (item.partition("=") for item in text.split(";") if item)
    return tuple((tag, value) for tag, _, value in pairs)


def show_tags(pairs: Any) -> str:
    """Pairs as `tag=value;tag=value;`."""
    return _clean("".join(f"{tag}={value};" for tag, value in pairs))


TEXT = Kind(name="text", parse=str, show=_clean)
INT = Kind(name="int", parse=parse_integer, show=int.__repr__)
LONG = Kind(name="long", parse=parse_long, show=int.__repr__)
ID = Kind(name="id", parse=parse_id, show=int.__repr__)
DECIMAL = Kind(name="decimal", parse=parse_decimal, show=show_decimal)
DOUBLE = Kind(name="double", parse=parse_double, show=show_double)
BOOL = Kind(name="bool", parse=_parse_flag, show=_show_flag, blank="0")
CHOICE = Kind(name="choice", parse=_parse_choice, show=_show_flag)
TAGS = Kind(name="tags", parse=parse_tags, show=show_tags)

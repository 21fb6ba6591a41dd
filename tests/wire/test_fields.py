"""Facts about number formats and unset values."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longwatch.wire.fields import (
    BOOL,
    CHOICE,
    INFINITE,
    TAGS,
    parse_decimal,
    parse_double,
    parse_id,
    parse_integer,
    parse_long,
    show_decimal,
    show_double,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0"),
        (100, "100.0"),
        (Decimal("96.90"), "96.9"),
        (96.79, "96.79"),
        (Decimal("-0.57"), "-0.57"),
        (9_999_999, "9999999.0"),
        (10_000_000, "1.0E7"),
        (Decimal("123456789.25"), "1.2345678925E8"),
        (0.001, "0.001"),
        (Decimal("0.00005"), "5.0E-5"),
        (-0.00025, "-2.5E-4"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (math.inf, "Infinity"),
        ("150.00", "150.00"),
    ],
)
def test_doubles_are_written_as_java_writes_them(value: Decimal | float | str, text: str) -> None:
    """Plain between 10^-3 and 10^7, scientific beyond, always with a digit after the point; text stands as it is."""
    assert show_double(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("96.90"), "96.90"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (1000, "1000"),
        (True, "1"),
        (0.5, "0.5"),
        (1e-7, "0.0000001"),
        (1e22, "10000000000000000000000"),
        ("2720.00", "2720.00"),
    ],
)
def test_decimals_keep_their_digits_and_have_no_exponent(value: Decimal | float | str, text: str) -> None:
    """What a venue quotes as 96.90 is not shortened."""
    assert show_decimal(value) == text


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), math.nan])
def test_not_a_number_is_never_written(value: Decimal | float) -> None:
    """NaN has no text in the protocol."""
    with pytest.raises((ValueError, ArithmeticError)):
        show_decimal(value)
    with pytest.raises((ValueError, ArithmeticError)):
        show_double(value)


@pytest.mark.parametrize("value", [Decimal("Infinity"), -math.inf])
def test_infinity_is_no_decimal(value: Decimal | float) -> None:
    """Only a double can be infinite."""
    with pytest.raises(ValueError, match="not a number the protocol can carry"):
        show_decimal(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_survives_the_wire(number: float) -> None:
    """Writing and reading gives the same number, except the largest, which means unset."""
    read = parse_decimal(show_double(number))
    assert (number == 1.7976931348623157e308) if read is None else float(read) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_a_decimal_survives_the_wire_digit_by_digit(number: Decimal) -> None:
    """Exact values stay exact."""
    read = parse_decimal(show_decimal(number))
    assert read is not None and read.as_tuple() == number.as_tuple()


@pytest.mark.parametrize("text", ["", "1.7976931348623157E308", "1.7976931348623157e+308"])
def test_each_spelling_of_an_unset_double_is_none(text: str) -> None:
    """Empty from some clients, the largest double from Java and from Python."""
    assert parse_decimal(text) is None


@pytest.mark.parametrize("text", ["", "2147483647", "9223372036854775807", "-9223372036854775808"])
def test_each_spelling_of_an_unset_integer_is_none(text: str) -> None:
    """Empty, the largest int, the largest and the smallest long."""
    assert parse_integer(text) is None


@pytest.mark.parametrize("text", ["AAPL", "1.5", "1_000", " 5", "٣", "0x10", "-", "2147483648", "-2147483649"])
def test_what_java_would_not_read_as_an_int_is_refused(text: str) -> None:
    """Python's own leniency (underscores, blanks, other digits, no end of digits) is not the protocol's."""
    with pytest.raises(ValueError):
        parse_integer(text)
    with pytest.raises(ValueError):
        parse_id(text)


def test_a_long_has_64_bits() -> None:
    """An order bound by another client has such a number."""
    assert parse_long("-9223372036854775807") == -(2**63) + 1
    for text in ("9223372036854775808", "9" * 400, "9" * 5000):
        with pytest.raises(ValueError):
            parse_long(text)


def test_an_id_must_be_there_and_the_largest_is_one_too() -> None:
    """An answer without the id it answers could not be sent."""
    assert parse_id("2147483647") == 2147483647 and parse_id("-1") == -1
    with pytest.raises(ValueError):
        parse_id("")


@pytest.mark.parametrize(
    "text",
    ["abc", "nan", "inf", "1_000.0", " 5.0", "1,5", "--1", ".", "1e400", "1E999999999", "1e-999999999", "0e999999999"],
)
def test_what_java_would_not_read_as_a_double_is_refused(text: str) -> None:
    """A price that is not a number never becomes one, nor does one of a billion digits, which would fill the memory."""
    with pytest.raises((ValueError, ArithmeticError)):
        parse_decimal(text)


def test_infinity_is_read_in_both_spellings() -> None:
    """Java writes Infinity, Python clients Infinite."""
    assert parse_double("Infinity") == parse_double("Infinite") == INFINITE


@pytest.mark.parametrize("text", ["Infinity", "Infinite", "-Infinity"])
def test_no_price_or_size_is_infinite(text: str) -> None:
    """What is written as an exact number can't be read as infinity either."""
    with pytest.raises(ValueError):
        parse_decimal(text)


def test_an_empty_flag_is_no_and_an_empty_choice_is_open() -> None:
    """Some clients leave flags empty; a choice has a third state."""
    assert BOOL.parse("") is False
    assert CHOICE.parse("") is None
    assert CHOICE.parse("0") is False


def test_tags_are_one_field() -> None:
    """Pairs travel as tag=value; a value may hold an equals sign."""
    pairs = (("priority", "Urgent"), ("note", "a=b"))
    assert TAGS.show(pairs) == "priority=Urgent;note=a=b;"
    assert TAGS.parse("priority=Urgent;note=a=b;") == pairs

"""Quick values are what frozen dataclasses are: the same fields, bans, defaults and errors."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from longwatch.domain import messages as m
from longwatch.domain.orders import Order
from longwatch.journal.records import Record
from longwatch.quick import changed, quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    at: int
    tech: int = 7


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Made(Base):
    name: str
    parts: list[int] = field(default_factory=list)
    sign: int | None = None

    def __post_init__(self) -> None:
        if self.sign == 0:
            raise ValueError("no sign")

    @property
    def shown(self) -> str:
        return f"{self.name}{self.at}{self.tech}"


def is_quick(kind: type) -> bool:
    return vars(kind)["__init__"].__globals__.get("_kind") is kind


def test_it_is_frozen() -> None:
    """No field can be set or deleted, and the class is the one that was named."""
    made = Made(at=1, name="a")
    assert type(made) is Made
    with pytest.raises(FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del made.name


def test_defaults_are_those_of_the_fields() -> None:
    """A list by default is another one each time; what is given wins, None included."""
    one, two = Made(at=1, name="a"), Made(at=1, name="a", tech=2, sign=None, parts=[3])
    assert (one.tech, one.parts, one.sign, one.shown) == (7, [], None, "a17")
    assert (two.tech, two.parts) == (2, [3])
    assert one.parts is not Made(at=1, name="a").parts
    assert one == Made(at=1, name="a") and one != two


def test_what_is_wrong_is_said() -> None:
    """Missing and unknown names are TypeErrors that name class and field; a check of the class itself is made."""
    with pytest.raises(TypeError, match=r"Made.__init__\(\) missing .*'name'"):
        Made(at=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        Made(at=1, name="a", colour=2)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="no sign"):
        Made(at=1, name="a", sign=0)


def test_copies_are_quick_values_too() -> None:
    """replace, copy, pickle and msgspec make equal ones of the same class."""
    made = Made(at=1, name="a", parts=[2])
    again = msgspec.json.decode(msgspec.json.encode(made), type=Made)
    pickled = pickle.loads(pickle.dumps(made))
    for other in (replace(made, name="a"), changed(made, name="a"), copy.deepcopy(made), pickled, again):
        assert type(other) is Made and other == made


def test_a_class_that_can_not_be_is_refused() -> None:
    """Without slots, or with fields by position, nothing is promised."""

    @dataclass(frozen=True)
    class Loose:
        name: str

    @dataclass(frozen=True, slots=True)
    class Placed:
        name: str

    for kind in (Loose, Placed):
        with pytest.raises(TypeError):
            quick(kind)


@pytest.mark.parametrize("kind", [*get_args(m.Event), *get_args(m.Fact)], ids=lambda kind: kind.__name__)
def test_every_message_takes_its_fields(kind: type) -> None:
    """Each field of an event or fact is a parameter of that name with the default it had."""
    given = inspect.signature(kind).parameters
    assert [*given] == [spec.name for spec in fields(kind)]
    made = kind(**{name: f"value of {name}" for name in given})
    assert all(getattr(made, name) == f"value of {name}" for name in given)


@pytest.mark.parametrize("kind", [Record, Order], ids=lambda kind: kind.__name__)
def test_a_changed_copy_differs_in_what_was_given_alone(kind: type) -> None:
    """Each field by turns; copy and original are frozen, and a name that is no field is refused."""
    names = [spec.name for spec in fields(kind)]
    made = kind(**{name: f"value of {name}" for name in names})
    assert is_quick(kind)
    for name in names:
        other = changed(made, **{name: 1})
        assert {one: getattr(other, one) for one in names} == {one: getattr(made, one) for one in names} | {name: 1}
        assert type(other) is kind and getattr(made, name) == f"value of {name}"
        with pytest.raises(FrozenInstanceError):
            setattr(other, name, 2)
    with pytest.raises((AttributeError, TypeError)):
        changed(made, colour=1)


def test_a_class_with_a_check_is_changed_through_it() -> None:
    """What its own `__post_init__` refuses is refused of a copy too; a class that is not quick is copied as ever."""
    with pytest.raises(ValueError, match="no sign"):
        changed(Made(at=1, name="a"), sign=0)
    assert changed(Base(at=1), at=2) == Base(at=2)


def test_messages_are_frozen() -> None:
    """One of them shows it of all: an event heard can't be changed afterwards."""
    heard = m.LinkLost(at=datetime(2007, 1, 3, tzinfo=UTC), tech=datetime(2007, 1, 3, tzinfo=UTC), reason="cut")
    with pytest.raises(FrozenInstanceError):
        heard.reason = "other"  # type: ignore[misc]

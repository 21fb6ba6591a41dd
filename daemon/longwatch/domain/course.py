"""The latest changes of our holdings, and of strategies' parts of them, in order; kept by the state's fold.

So one of them can be taken back or corrected: it is recounted what all that came after it comes to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from typing import Literal

from longwatch.domain.positions import Holding, after_fill, settled
from longwatch.quick import changed, quick

KEPT = timedelta(days=8)
"""Of technical time: a gateway tells the executions of a week, so nothing older is corrected but by a person."""
AT_ONCE = 64
"""So many changes apart the old ones are looked for: each change costs the same, however many are kept."""
ZERO = Decimal(0)
BILLIONTH = Decimal("1E-9")

Moves = tuple[tuple[str, Decimal], ...]
"""Signed shares that come to each strategy's part."""
AWAY: Literal["away"] = "away"
"""Shares are gone without a trade of ours: off the parts, by their size, as far as these and the holding have them."""
Whose = Moves | Literal["away"] | None
"""To whose parts shares come; None: off the parts there are, by their size, as a stop's do."""
Parts = tuple[tuple[str, Holding], ...]
"""Each strategy's part of a holding."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """`signed` shares at `price` came to the holding that was `before`, by the execution `exec_id` ("" by no one's).

    `moves` are those of them that came to strategies' parts, which were `parts` before, or by what rule.
    """

    exec_id: str
    signed: Decimal
    price: Decimal
    tech: datetime | None
    before: Holding
    moves: Whose = ()
    parts: Parts = ()


def booked(
    course: dict[int, Booked],
    number: int,
    holding: Holding,
    exec_id: str,
    signed: Decimal,
    price: Decimal,
    tech: datetime | None,
    moves: Whose = (),
    parts: Parts = (),
) -> Holding:
    """The holding after one more change, noted as `number`, which no other ever was; `tech` None: it is not known."""
    course[number] = Booked(
        exec_id=exec_id, signed=signed, price=price, tech=tech, before=holding, moves=moves, parts=parts
    )
    if tech is not None and number % AT_ONCE == 0:
        for past in _past(course, tech):
            del course[past]
    return after_fill(holding, signed, price)


def revised(
    course: dict[int, Booked],
    con_id: int,
    exec_id: str,
    successor: str,
    signed: Decimal,
    price: Decimal,
    moves: Whose = (),
) -> Holding | None:
    """The holding had `successor` come instead of `exec_id`, in its place among the others; with no shares, neither.

    What came off the parts since comes off them as they were by then. None where what was booked by `exec_id` is not
    kept any more.
    """
    since = _since(course, con_id, exec_id)
    if not since:
        return None
    course[since[0]] = changed(course[since[0]], exec_id=successor, signed=signed, price=price, moves=moves)
    return _recounted(course, since)


def inserted(
    course: dict[int, Booked],
    number: int,
    after: str,
    con_id: int,
    exec_id: str,
    signed: Decimal,
    price: Decimal,
    moves: Whose = (),
) -> Holding | None:
    """The holding had `exec_id`, noted as `number`, come right after the execution `after`; None as for `revised`."""
    since = _since(course, con_id, after)
    if not since:
        return None
    former = course[since[0]]
    later = {one: course.pop(one) for one in reversed(list(takewhile(lambda one: one != since[0], reversed(course))))}
    course[number] = changed(former, exec_id=exec_id, signed=signed, price=price, moves=moves)
    course.update(later)
    return _recounted(course, [since[0], number, *since[1:]])


def _since(course: dict[int, Booked], con_id: int, exec_id: str) -> list[int]:
    """The changes of a holding from that by an execution on, oldest first; none where it is not kept any more."""
    since: list[int] = []
    for number in reversed(course):
        one = course[number]
        if one.before.con_id == con_id:
            since.append(number)
            if one.exec_id == exec_id:
                return since[::-1]
    return []


def _recounted(course: dict[int, Booked], since: list[int]) -> Holding:
    holding, parts = course[since[0]].before, course[since[0]].parts
    for number in since:
        one = course[number] = changed(course[number], before=holding, parts=parts)
        holding = after_fill(holding, one.signed, one.price) if one.signed else holding
        parts = _parts_after(one)
    return holding


def parts_of(course: dict[int, Booked], con_id: int) -> Parts:
    """Each strategy's part after the last change of a holding. Raises StopIteration where none is kept."""
    return _parts_after(next(one for one in map(course.__getitem__, reversed(course)) if one.before.con_id == con_id))


def _parts_after(one: Booked) -> Parts:
    parts = dict(one.parts)
    for strategy, signed in _moves_of(one):
        if signed:
            part = parts.get(strategy) or Holding(con_id=one.before.con_id, symbol=one.before.symbol)
            parts[strategy] = after_fill(part, signed, one.price)
    return tuple(parts.items())


def _moves_of(one: Booked) -> Iterable[tuple[str, Decimal]]:
    if isinstance(one.moves, tuple):
        return one.moves
    return by_size(one.parts, one.signed if one.moves is None else _gone(one), -1)


def _gone(one: Booked) -> Decimal:
    """Those of the signed shares that take away of what the parts, and the holding, have; more is added."""
    sign = 1 if one.signed > 0 else -1
    there = sum((max(-sign * part.quantity, ZERO) for _, part in one.parts), ZERO)
    return sign * min(abs(one.signed), there, max(-sign * one.before.quantity, ZERO))


def by_size(parts: Iterable[tuple[str, Holding]], shares: Decimal, side: int) -> Iterator[tuple[str, Decimal]]:
    """Shares among the parts there are, by their size, to a billionth: only those on the `side` (1, -1) of the shares.

    To none, where none is.
    """
    held = {name: part.quantity for name, part in parts if part.quantity * shares * side > 0}
    whole = sum(held.values(), ZERO)
    for name, quantity in held.items():
        yield name, (shares * quantity / whole).quantize(BILLIONTH)


def _past(course: dict[int, Booked], tech: datetime) -> list[int]:
    """What is kept no more at this technical time: all that came before the last of the old ones at the front.

    One without a time, or with a later one as a clock had jumped ahead, is as old as the next that has one.
    """
    past: list[int] = []
    undated: list[int] = []
    for number, one in course.items():
        if one.tech is None or one.tech > tech:
            undated.append(number)
        elif one.tech < tech - KEPT:
            past += [*undated, number]
            undated.clear()
        else:
            break
    return past


def is_held_since(course: dict[int, Booked], con_id: int, number: int, side: int) -> bool:
    """Whether shares were held on this side at each later change, as these now stand; False when no more is known."""
    there = course.get(number)
    if there is None:
        return False
    if there.before.con_id == con_id and settled(there.before.quantity + there.signed) * side <= 0:
        return False  # it has closed the holding, and still does: all that came since need not be looked through
    later = (course[one].before for one in takewhile(lambda one: one != number, reversed(course)))
    return all(one.quantity * side > 0 for one in later if one.con_id == con_id)


def split(course: dict[int, Booked], con_id: int, new: int, old: int, held: Decimal) -> bool:
    """Everything in shares of after a split; where they do not come to those `held`, for a rest paid out, no more.

    Returns whether it is known still.
    """
    mine = {number: one for number, one in course.items() if one.before.con_id == con_id}
    last = next(reversed(mine.values()), None)
    is_whole = last is not None and settled((last.before.quantity + last.signed) * new / old) == held
    for number, one in mine.items():
        if not is_whole:
            del course[number]
            continue
        course[number] = changed(
            one,
            signed=one.signed * new / old,
            price=one.price * old / new,
            before=after_split(one.before, new, old),
            moves=tuple((name, signed * new / old) for name, signed in one.moves)
            if isinstance(one.moves, tuple)
            else one.moves,
            parts=tuple((name, after_split(part, new, old)) for name, part in one.parts),
        )
    return is_whole


def after_split(holding: Holding, new: int, old: int) -> Holding:
    """The same shares after a split, `new` for `old`."""
    quantity = settled(holding.quantity * new / old)
    return changed(holding, quantity=quantity, average_cost=holding.average_cost * old / new)

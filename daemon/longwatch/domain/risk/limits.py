"""What a row of the table of limits is: its unit, settings, rule, test and text; the rows stand beside their rules.

The table itself is `risk.LIMITS`; docs/limits.md is printed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from longwatch.domain.orders import Purpose
from longwatch.domain.risk.proposal import Cap, Proposal, Refusal
from longwatch.domain.state import State


class Does(StrEnum):
    """What a limit does to what would pass it."""

    SIZES = "makes the target smaller"
    CAPS = "makes the order smaller"
    REFUSES = "refuses the order"
    HOLDS = "holds orders back until it is over"
    LATCHES = "holds instrument, strategy or account from then on"
    ALERTS = "tells a person"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of the configuration below `trading`, its default as the file writes it, and its reload class."""

    path: str
    default: str
    reload: Literal["live", "restart"] = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a limit sees now, at worst: `observed` and `limit` in its unit, `subject` an instrument or a strategy.

    A floor is passed from above: what is observed must not come below the limit.
    """

    observed: Decimal
    limit: Decimal
    subject: str = ""
    floor: bool = False


CapRule = Callable[[State, Proposal], Cap | None]
CheckRule = Callable[[State, Proposal], Refusal | None]
ReadRule = Callable[[State, datetime], Iterable[Reading]]
"""State and technical time → what the limit sees, an instrument or strategy at a time."""

TRADES = frozenset({Purpose.ENTRY, Purpose.REDUCE})
ENTRIES = frozenset({Purpose.ENTRY})
EVERY = frozenset(Purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One row.

    A CAPS row has a `cap`, a REFUSES row a `check`; the other kinds are enforced where `text` says. `binds` are the
    purposes it is asked for. `test` is the whole-daemon test that breaks and mends it. `refuses_as` are the names its
    refusals bear, where they are not its own.

    A modification that stands back from the market is asked only the checks that are `always`. `whole`: the cap is
    about the whole quantity of a modified order, not about what it may still fill. `waits_for_sells`: its room grows
    once the sells under way have filled. `at_the_write`: the cap is asked once more when the bytes are about to leave.
    """

    name: str
    does: Does
    unit: str
    text: str
    test: str
    settings: tuple[Setting, ...] = ()
    binds: frozenset[Purpose] = TRADES
    cap: CapRule | None = None
    check: CheckRule | None = None
    refuses_as: tuple[str, ...] = ()
    always: bool = False
    whole: bool = False
    waits_for_sells: bool = False
    at_the_write: bool = False

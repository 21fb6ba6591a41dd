"""The broker's data farms: what a gateway says of each, and which requests need it; used by desk and requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """What is said of it, the codes when it breaks and when it is connected, and what stays unanswered meanwhile."""

    words: str
    broken: int
    connected: int
    serves: frozenset[str] = frozenset()

    def notice(self, name: str, *, is_down: bool) -> tuple[int, str]:
        """Code and text of its state."""
        if is_down:
            return self.broken, f"{self.words} data farm connection is broken:{name}"
        return self.connected, f"{self.words} data farm connection is OK:{name}"


FARMS: Mapping[str, Farm] = {
    "cashfarm": Farm(words="Market", broken=2103, connected=2104),
    "usfarm": Farm(words="Market", broken=2103, connected=2104),
    "ushmds": Farm(
        words="HMDS",
        broken=2105,
        connected=2106,
        serves=frozenset({"reqHistoricalData", "reqHeadTimeStamp", "reqHistoricalTicks", "reqHistogramData"}),
    ),
    "secdefnj": Farm(
        words="Sec-def",
        broken=2157,
        connected=2158,
        serves=frozenset({"reqContractDetails", "reqMatchingSymbols"}),
    ),
}


NEED_BACKEND = frozenset(
    {
        "reqContractDetails",
        "reqMatchingSymbols",
        "reqMktData",
        "reqHistoricalData",
        "reqHeadTimeStamp",
        "reqRealTimeBars",
        "reqHistoricalTicks",
        "reqTickByTickData",
    }
)
"""Requests that stay unanswered while the broker can't be reached."""


def is_served(request: str, down: set[str]) -> bool:
    """Whether a request needs none of the farms that are down."""
    return not any(request in FARMS[name].serves for name in down)

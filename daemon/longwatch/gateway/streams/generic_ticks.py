"""Generic ticks: what a request for quotes may ask for beyond bid, ask and last; used by requests and streams."""

from __future__ import annotations

NAMES = {
    "100": "Option Volume",
    "101": "Option Open Interest",
    "105": "Average Opt Volume",
    "106": "impvolat",
    "165": "Misc. Stats",
    "221": "Creditman Mark Price",
    "225": "Auction",
    "232": "Pl Price",
    "233": "RTVolume",
    "236": "inventory",
    "258": "Fundamentals",
    "292": "News",
    "293": "TradeCount",
    "294": "TradeRate",
    "295": "VolumeRate",
    "318": "LastRTHTrade",
    "375": "RTTrdVolume",
    "411": "rthistvol",
    "456": "IBDividends",
    "586": "IPOHLMPRC",
    "588": "Futures Open Interest",
    "595": "Short-Term Volume X Mins",
    "619": "Creditman Slow Mark Price",
}
"""The numbers taken without complaint, and what a real gateway calls them. Ticks come of those named below only."""

LEGAL = ",".join(f"{number}({name})" for number, name in NAMES.items())

MARK = frozenset({"221", "232"})
"""The mark price: tick 37."""

VOLUME = frozenset({"233"})
"""Each trade with the day's volume and average price so far: tick 48."""


TO_BORROW = frozenset({"236"})
"""How hard shares are to borrow, tick 46, and how many there are, tick 89."""


def listed(text: str) -> frozenset[str]:
    """The numbers of a comma list; a colon and what follows it belong to one number."""
    return frozenset(part.strip().partition(":")[0] for part in text.split(",") if part.strip())


def is_legal(text: str) -> bool:
    """Whether every number of the list is one of those known; `mdoff` turns the usual ticks off."""
    return listed(text) <= NAMES.keys() | {"mdoff"}

"""Trouble on demand: what the simulated gateway does wrong, set by tests, the simulation and the command line.

Every fault is a plain attribute or a method of one `Faults` value; without any set the gateway behaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

UNREADABLE = "not-a-number"


@dataclass(slots=True, kw_only=True)
class Faults:
    """The switches. Seconds are the machine's, not the market's: they are measured against a client's deadlines.

    `refuse`: connections are refused. `silent`: they are accepted and never answered. `drop_after`: each new connection
    is cut after so many bytes, in the middle of a message if it falls so. `hold_orders_seconds`: an order works at the
    exchange but its client hears of it only so much later. `withhold`: names of replies never sent, end messages or
    others; `tick` stands for all quotes. `spoil`: by reply name, how many of the next ones carry a field that can't be
    read. `half_open`: nothing is read and nothing sent, and connections stay. `lose_fills`: so many of the next fills
    are told to nobody, at no time. `own_messages`: decides by name and values whether a reply is sent, and may change
    the values.
    """

    refuse: bool = False
    silent: bool = False
    half_open: bool = False
    drop_after: int | None = None
    hold_orders_seconds: float = 0.0
    withhold: set[str] = field(default_factory=set)
    spoil: dict[str, int] = field(default_factory=dict)
    lose_fills: int = 0
    lost_fills: set[str] = field(default_factory=set)
    backend_down: bool = False
    own_messages: Callable[[str, dict[str, object]], bool] | None = None

    def lets_pass(self, name: str, values: dict[str, object]) -> bool:
        """Whether a reply is sent at all."""
        if self.half_open or name in self.withhold:
            return False
        return self.own_messages is None or self.own_messages(name, values)

    def spoils(self, name: str) -> bool:
        """Whether this reply is to be made unreadable; counts down."""
        left = self.spoil.get(name, 0)
        if left > 0:
            self.spoil[name] = left - 1
        return left > 0

    def loses(self, exec_id: str) -> bool:
        """Whether nobody is to hear of this fill; the first question about a new fill decides."""
        if exec_id not in self.lost_fills and self.lose_fills > 0:
            self.lose_fills -= 1
            self.lost_fills.add(exec_id)
        return exec_id in self.lost_fills

    def clear(self) -> None:
        """Behave again; fills already lost stay lost."""
        clean = Faults(lost_fills=self.lost_fills, backend_down=self.backend_down)
        for name in self.__slots__:
            setattr(self, name, getattr(clean, name))

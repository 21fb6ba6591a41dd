"""What a strategy is: declared needs in, target weights out; subclassed by every strategy, called by worker.py."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pydantic

from longwatch.domain.bars import BarSeries
from longwatch.errors import StrategyError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Column = Literal["open", "high", "low", "close", "volume", "adjusted"]

WEIGHT_STEP = Decimal("0.000001")
"""Weights are multiples of this: a tenth of a dollar in a hundred thousand."""

_SUM_TOLERANCE = 1e-9
_NOISE = Decimal("1e-9")


class Parameters(pydantic.BaseModel):
    """The settings of one strategy: subclass it with fields, defaults and bounds; an unknown name is an error."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Strategy(ABC):
    """Turns bars into target weights. It does no I/O, reads no clock, keeps nothing but what it returns as memory."""

    Parameters: ClassVar[type[pydantic.BaseModel]] = Parameters

    def __init__(self, parameters: pydantic.BaseModel) -> None:
        self.parameters = parameters

    @abstractmethod
    def target_weights(self, bars: Bars, context: Context) -> tuple[Mapping[str, float], Mapping[str, Any]]:
        """Weights by symbol, and the memory to be handed back next time.

        A weight is a fraction of the strategy's allocation, negative for short; absolute weights sum to at most 1, the
        rest stays in cash; a symbol not named gets 0. Memory is plain JSON data below 64 KiB. Raising, or returning
        anything else, leaves the former targets in place and is reported.
        """

    @abstractmethod
    def needs(self) -> Needs:
        """What must be there before `target_weights` is called; asked once after loading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a strategy asks for: its universe of symbols, the bar size as IB names it, and how many bars of each."""

    universe: tuple[str, ...]
    bar_size: str = "1 day"
    lookback: int

    def __post_init__(self) -> None:
        if not self.universe or len(set(self.universe)) != len(self.universe):
            raise StrategyError("a strategy's universe must name at least one symbol, and each of them once")
        if self.lookback < 1:
            raise StrategyError(f"a strategy must look back over at least one bar, not {self.lookback}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a decision may know beside the bars.

    `session` is the last completed session, the one decided on; `now` is market time, aware and UTC; `memory` is what
    this strategy returned last time (empty at first); `weights` are its current targets.
    """

    session: date
    now: datetime
    memory: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Decimal] = field(default_factory=dict)


class Bars(Mapping[str, BarSeries]):
    """The bars of the universe: a mapping from symbol to series, and one pandas frame for each column.

    A symbol whose data are flawed is missing. A frame's index holds sessions for daily bars (dates without a zone) and
    UTC times for shorter ones; its columns are the symbols in alphabetical order; where a symbol has no bar stands NaN.
    Everything is built when first asked for and is read-only by convention.
    """

    def __init__(self, series: Mapping[str, BarSeries]) -> None:
        self._series = dict(sorted(series.items()))
        self._frames: dict[Column, pd.DataFrame] = {}

    def __getitem__(self, symbol: str) -> BarSeries:
        return self._series[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def column(self, symbol: str, name: Column) -> NDArray[np.float64]:
        """One symbol's column as numpy sees it, oldest first and without a copy; volume is in shares."""
        import numpy as np

        return np.frombuffer(getattr(self._series[symbol], name), dtype=np.float64)

    @property
    def open(self) -> pd.DataFrame:
        """First trade of each bar."""
        return self._frame("open")

    @property
    def high(self) -> pd.DataFrame:
        """Highest trade of each bar."""
        return self._frame("high")

    @property
    def low(self) -> pd.DataFrame:
        """Lowest trade of each bar."""
        return self._frame("low")

    @property
    def close(self) -> pd.DataFrame:
        """Last trade of each bar, as it was then: splits show as jumps."""
        return self._frame("close")

    @property
    def volume(self) -> pd.DataFrame:
        """Shares traded in each bar."""
        return self._frame("volume")

    @property
    def adjusted(self) -> pd.DataFrame:
        """Close adjusted for splits and dividends: the one to measure returns on."""
        return self._frame("adjusted")

    def _frame(self, name: Column) -> pd.DataFrame:
        if name not in self._frames:
            self._frames[name] = self._built(name)
        return self._frames[name]

    def _built(self, name: Column) -> pd.DataFrame:
        import pandas as pd

        columns = {
            symbol: pd.Series(self.column(symbol, name), index=_index(series), copy=False)
            for symbol, series in self._series.items()
        }
        return pd.DataFrame(columns).sort_index()


def _index(series: BarSeries) -> pd.DatetimeIndex:
    import numpy as np
    import pandas as pd

    stamps = np.frombuffer(series.stamps, dtype=np.int64).astype("datetime64[s]")
    return pd.DatetimeIndex(stamps) if series.bar_size.endswith("day") else pd.DatetimeIndex(stamps, tz="UTC")


def settle_weights(raw: object, needs: Needs) -> dict[str, Decimal]:
    """What a strategy returned as exact weights: every symbol of the universe, in its order, as multiples of 1e-6.

    Rounding is toward zero (ROUND_DOWN) at 1e-6, after half-even at 1e-9 has taken away what floats add to 0.3: so the
    sum never grows past 1. Raises StrategyError for anything that can't be traded as it stands.
    """
    if not isinstance(raw, Mapping) and not hasattr(raw, "items"):
        raise StrategyError(f"weights must map symbols to numbers, and {type(raw).__name__} does not")
    given = dict(raw.items())
    for symbol in given:
        if symbol not in needs.universe:
            raise StrategyError(f"a weight was returned for {symbol!r}, which is not in the strategy's universe")
    numbers = {symbol: _number(symbol, weight) for symbol, weight in given.items()}
    total = math.fsum(abs(float(weight)) for weight in numbers.values())
    if total > 1 + _SUM_TOLERANCE:
        raise StrategyError(f"absolute weights sum to {total:.6f}; at most 1 can be allocated")
    return {symbol: _stepped(numbers.get(symbol, Decimal(0))) for symbol in needs.universe}


def _number(symbol: str, weight: object) -> Decimal:
    if isinstance(weight, bool) or not isinstance(weight, Real | Decimal):
        raise StrategyError(f"the weight of {symbol} is {weight!r:.40}, which is not a number")
    exact = Decimal(weight) if isinstance(weight, int | Decimal) else Decimal(repr(float(weight)))
    if not exact.is_finite():
        raise StrategyError(f"the weight of {symbol} is {exact}; weights must be finite numbers")
    return exact


def _stepped(weight: Decimal) -> Decimal:
    # Adding zero turns -0 into 0, so that equal weights have equal texts.
    return weight.quantize(_NOISE, ROUND_HALF_EVEN).quantize(WEIGHT_STEP, ROUND_DOWN) + 0

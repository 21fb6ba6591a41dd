"""Which IB library the broker uses: the one configured, and one sentence when it is not there."""

from __future__ import annotations

from random import Random

import pytest

from longwatch.broker.ib import EXTRAS, check_installed, installed, load
from longwatch.brokers import link_settings
from longwatch.clock import SteppedClock
from longwatch.domain.state import State
from longwatch.errors import ConfigError
from longwatch.ports import BrokerNeeds
from longwatch.simulation.loop import run
from tests.backtest.made import demo_settings
from tests.broker.bench import ACCOUNT, START

ABSENT = next(name for name in EXTRAS if name != installed())


def needs(library: str) -> BrokerNeeds:
    return BrokerNeeds(
        settings=demo_settings(ib={"client_library": library}),
        state=State(),
        account=ACCOUNT,
        universe=("AAPL",),
        sink=lambda event: None,
        gate=lambda intent: None,
        clock=SteppedClock(lambda: 0.0, market_start=START),
        random=Random(1),
    )


def test_the_library_configured_is_the_one_used() -> None:
    """`ib.client_library` reaches the connection's settings."""
    assert link_settings(needs(installed())).library == installed()


def test_a_library_that_is_not_installed_is_named_with_its_extra_before_anything_connects() -> None:
    """Building the broker says what to install."""
    with pytest.raises(ConfigError, match=rf"{ABSENT} is not installed: pip install 'longwatch\[{EXTRAS[ABSENT]}\]'"):
        link_settings(needs(ABSENT))


def test_only_the_library_asked_for_is_loaded() -> None:
    """The one environment holds one of the two, since both write the same event package."""
    check_installed(installed())

    async def main() -> tuple[int, int]:
        library = load(installed())
        with pytest.raises(ConfigError, match="not installed"):
            load(ABSENT)
        return library.lowest_version, library.highest_version

    assert run(main()) == {"ib_insync": (157, 176), "ib_async": (157, 178)}[installed()]

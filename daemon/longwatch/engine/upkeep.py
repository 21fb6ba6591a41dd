"""Work on the journal that nothing waits for: events long past move to the archive; started by the app."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from longwatch.clock import Clock
from longwatch.config.schema import JournalSettings
from longwatch.domain.state import State
from longwatch.errors import JournalError
from longwatch.journal.records import Journal

FIRST_SECONDS, EVERY_SECONDS = 600.0, 6 * 3600.0
LONGEST_SECONDS = 3600.0

_LOG = logging.getLogger("longwatch.journal")


async def keep_up(journal: Journal, state: State, clock: Clock, settings: Callable[[], JournalSettings]) -> None:
    """Archive now and then, by the settings then in force, until cancelled; what fails is tried again."""
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        age = settings().archive_after_days
        if age is not None and journal.failure is None:
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    count = await journal.archive(needed_since(state, clock.market()) - timedelta(days=age))
                if count:
                    _LOG.info("the events among %d old records are in the archive", count)
            except (JournalError, TimeoutError) as error:
                _LOG.warning("old events stay in the journal: %s", error or f"not done within {LONGEST_SECONDS:g} s")
        await asyncio.sleep(EVERY_SECONDS)


def needed_since(state: State, now: datetime) -> datetime:
    """From when on the story may still be asked for: from now, or from when the oldest live order was made."""
    return min((now, *(order.created_at for order in state.live_orders())))

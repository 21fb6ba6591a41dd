"""The daemon's state at any point of its journal, as plain JSON values; printed by `longwatch state`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from longwatch.explain.plain import Json, iso
from longwatch.journal.finding import finding, time_of
from longwatch.journal.travel import state_at
from longwatch.ops.status import links_of, standing_of


def moment_of(path: Path, sequence: int | None = None, at: datetime | None = None) -> Json:
    """The state after a record, or after the last one of market time `at`; at the journal's end when neither is named.

    Raises UsageError for a record there is not.
    """
    if at is not None:
        with finding(path) as finder:
            sequence = finder.since(at, inclusive=False) - 1
    moment = state_at(path, sequence)
    state = moment.state
    with finding(path) as finder:
        record = finder.at(moment.sequence)
        event = finder.at(record.record.cause or moment.sequence) if record is not None else None
        when = time_of(event) if event is not None else None
    return {
        "journal": str(path),
        "record": moment.sequence,
        "at": iso(when),
        "folded_from": moment.began_at,
        "journal_id": state.journal_id or None,
        "mode": state.mode or None,
        "account": state.account or None,
        "runs": state.runs,
        "link": links_of(state),
        "config_sha256": state.settings_sha256 or None,
        **standing_of(state),
        "jobs": {
            name: {"run_id": noted.run_id, "outcome": noted.outcome, "at": iso(noted.at)}
            for name, noted in sorted(state.jobs.items())
        },
    }

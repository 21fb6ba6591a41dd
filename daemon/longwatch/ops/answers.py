"""Answers what people ask of a running daemon: readings, verbs, reload, drain; for the control socket and SIGHUP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from longwatch.clock import Clock
from longwatch.config.load import Loaded
from longwatch.config.reload import Accepted, Refused, prepare
from longwatch.config.trade import trade_settings
from longwatch.domain import messages as m
from longwatch.domain import replies
from longwatch.engine.loop import Engine
from longwatch.errors import ConfigError, JournalError, UsageError
from longwatch.ops.comparison import comparison_of, is_answered
from longwatch.ops.runtime import Reload
from longwatch.ops.status import READINGS, reply_of
from longwatch.ops.systemd import Notifier
from longwatch.ops.tables import comparison_text
from longwatch.ops.watch import Watch
from longwatch.ports import Workers

ANSWER_SECONDS = 15.0
READING_SECONDS = 10.0
"""How long a fresh reading of the account is waited for."""
JUDGED_BY_QUOTES = frozenset({"modify", "resolve"})


@dataclass(slots=True, kw_only=True)
class Answers:
    """The one who answers. `loaded` is the configuration in force, replaced here by a reload and nowhere else."""

    loaded: Loaded
    config_path: Path | None
    environ: Mapping[str, str]
    clock: Clock
    workers: Workers
    engine: Engine
    watch: Watch
    notifier: Notifier
    stop: Callable[[], None]
    halted_by: Callable[[], str | None] = lambda: None
    """What keeps a halt from being lifted, as a sentence."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answer(self, command: str, argument: str, reason: str, by: str) -> dict[str, Any]:
        """One command of the control socket. Raises LongwatchError with the reason of a refusal."""
        if command in READINGS:
            return reply_of(command, self.engine.state, self.watch.view())
        if command == "reload":
            return await self.reload(loosen=argument == "loosen", by=by)
        if command == "drain":
            self.stop()
            return {"ok": True, "text": "draining: nothing new is started, working orders stay with the broker"}
        asked = m.ControlRequested(
            at=self.clock.market(),
            tech=self.clock.technical(),
            command=command,
            argument=argument,
            by=by,
            reason=reason,
            quotes=self.watch.broker.quotes() if self.watch.broker and command in JUDGED_BY_QUOTES else (),
        )
        why_not = replies.objection(self.engine.state, asked)
        if command == "resume" and argument in ("", "all"):
            why_not = why_not or self.halted_by()
        if why_not is not None:
            raise UsageError(why_not)
        if command == "reconcile":
            return await self._compared(asked)
        if not await self.engine.decided(asked, ANSWER_SECONDS):
            why = self.engine.journal_failure or f"no turn within {ANSWER_SECONDS:g} s, it is starting or busy"
            raise JournalError(f"{command} is not in the journal: {why}; look at status before you rely on it")
        done, text = replies.outcome(self.engine.state, asked)
        return {"ok": done, "text": text, **({} if done else {"exit_code": 1})}

    async def _compared(self, asked: m.ControlRequested) -> dict[str, Any]:
        """The comparison read anew; where that fails or takes too long, the last one with its age, as a refusal."""
        state, asked_tech = self.engine.state, asked.tech
        if await self.engine.decided(asked, ANSWER_SECONDS):
            await self.engine.wait_until(lambda now: is_answered(now, asked_tech), READING_SECONDS)
        found = comparison_of(state, self.clock.technical(), asked_tech)
        failed = {} if found["fresh"] else {"exit_code": 1}
        return {"ok": found["fresh"], "text": comparison_text(found), "data": found, **failed}

    async def reload(self, *, loosen: bool = False, by: str = "SIGHUP") -> dict[str, Any]:
        """Read the file again: it is taken over whole, or every reason why not is told. Raises UsageError with none."""
        path = self.config_path
        if path is None:
            raise UsageError("this daemon was started without a configuration file; start it with `longwatch run FILE`")
        async with self._turn:
            return await self._reread(path, loosen=loosen, by=by)

    async def _reread(self, path: Path, *, loosen: bool, by: str) -> dict[str, Any]:
        self.notifier.reloading()
        running, now = self.loaded.settings, self.clock.market()
        in_session = any(session.is_open(now) for session in self.engine.state.sessions)
        try:
            outcome = await self.workers.run(
                lambda: prepare(path, self.environ, running, in_session=in_session, allow_loosening=loosen),
                deadline_seconds=ANSWER_SECONDS,
            )
        finally:
            self.notifier.ready("running")
        tech = self.clock.technical()
        return self._refuse(outcome, tech) if isinstance(outcome, Refused) else self._accept(outcome, by, tech)

    def _refuse(self, outcome: Refused, tech: datetime) -> dict[str, Any]:
        first, every = outcome.reasons[0], "\n".join(outcome.reasons)
        self.watch.runtime.reload = Reload(ok=False, at=tech, text=first)
        self.watch.raise_alert(m.RaiseAlert(key="reload_refused", text=f"the old configuration runs on: {first}"))
        return {"ok": False, "text": f"the old configuration runs on:\n{every}", "exit_code": ConfigError.exit_code}

    def _accept(self, outcome: Accepted, by: str, tech: datetime) -> dict[str, Any]:
        changes = tuple(str(change) for change in outcome.diff.live)
        former = self.engine.state.settings
        self.loaded = Loaded(
            settings=outcome.settings, warnings=outcome.warnings, source_text_sha256=outcome.source_text_sha256
        )
        self.engine.inbox.put(
            m.ConfigLoaded(
                at=self.clock.market(),
                tech=tech,
                settings=trade_settings(outcome.settings, former.universe, former.universes),
                sha256=outcome.source_text_sha256,
                changed=changes,
                by=by,
            )
        )
        text = "; ".join(changes) or "nothing has changed"
        self.watch.runtime.reload = self.watch.runtime.loaded = Reload(ok=True, at=tech, text=text)
        return {"ok": True, "text": text}

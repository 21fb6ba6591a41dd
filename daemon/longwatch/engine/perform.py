"""What the daemon does about each kind of effect; called by the loop once the effect's batch is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from longwatch.domain import messages as m
from longwatch.ports import Broker

RaiseAlert = Callable[[m.RaiseAlert], None]
RunJob = Callable[[m.RunJob], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """Hands each effect to the part that acts on it; never waits for an answer."""

    broker: Broker
    run_job: RunJob
    alert: RaiseAlert

    def __call__(self, effect: m.Effect) -> None:
        match effect:
            case m.SubmitOrder():
                self.broker.submit(effect)
            case m.RequestWhatIf():
                self.broker.what_if(effect)
            case m.ModifyOrder():
                self.broker.modify(effect)
            case m.CancelOrder():
                self.broker.cancel(effect)
            case m.BeginSync():
                self.broker.begin_sync(effect)
            case m.RequestSnapshot(reason=reason, after_seconds=0):
                self.broker.request_snapshot(reason)
            case m.RequestSnapshot(reason=reason, after_seconds=seconds):
                asyncio.get_running_loop().call_later(seconds, self.broker.request_snapshot, reason)
            case m.DropLink(reason=reason):
                self.broker.drop(reason)
            case m.Watch(symbols=symbols):
                self.broker.watch(symbols)
            case m.RunJob():
                self.run_job(effect)
            case m.RaiseAlert():
                self.alert(effect)
            case _:
                assert_never(effect)

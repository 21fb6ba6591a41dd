"""Plays incidents of a plan to a simulated gateway, on its own timeline; used by gateway and simulate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from longwatch.gateway.app import Gateway
from longwatch.gateway.requests.quote_requests import COMPETING, NOT_SUBSCRIBED
from longwatch.simulation.plan import Incident

NOTICES = {
    "10349": (10349, "Order TIF was set to DAY based on order preset."),
    "unknown": (19999, "A notice that is in no list."),
}
RESET_NOTICE_SECONDS = 25.0
APART = frozenset({"farm", "endless_download", "no_welcome"})
"""Faults whose parts fail each on its own."""
STRIKES = {
    "lose_orders": "lose_order",
    "lose_acknowledgements": "lose_acknowledgement",
    "cut_at_order": "cut_at_order",
    "spoil": "unreadable_row",
    "missing": "missing_row",
    "unset": "unset_figures",
    "only_202": "only_202",
    "lose_commissions": "lose_commission",
    "correct_fills": "correct_fill",
    "bust_fills": "bust",
    "lose_fills": "lose_fill",
}
"""Faults that wait for their moment, by the gateway's switch."""
REQUEST_OF = {"order": "placeOrder", "cancel": "cancelOrder"}

Act = Callable[[Gateway, Incident], Coroutine[Any, Any, None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """An incident that has begun, and its end; an instant one ends as it begins. Market time.

    What waits for its moment, as a fill to lose, has `struck` when that came; with a count, more than once.
    """

    incident: Incident
    began: datetime
    ended: datetime | None = None
    struck: tuple[datetime, ...] = ()


class Trouble:
    """Lets incidents happen to one gateway. `told` hears of each as it begins and as it ends; `played` keeps them.

    `others` are faults of more than the gateway, with what begins and what ends them.
    """

    def __init__(
        self,
        gateway: Gateway,
        incidents: Iterator[Incident],
        *,
        until: datetime | None = None,
        told: Callable[[Played], None] = lambda played: None,
        others: Mapping[str, tuple[Act, Act]] | None = None,
    ) -> None:
        self._gateway = gateway
        self._acts = {**ACTS, **(others or {})}
        self._incidents = incidents
        self._until = until
        self._told = told
        self._armed: list[Incident] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._on: dict[int, Incident] = {}
        self.played: list[Played] = []
        gateway.desk.listeners.append(self._request)
        gateway.faults.struck = self._struck
        if until is not None:
            gateway.desk.timeline.at(until, self._quiet)
        self._next()

    def _next(self) -> None:
        incident = next(self._incidents, None)
        if incident is not None:
            self._gateway.desk.timeline.at(incident.at, self._reached, incident)

    def _reached(self, incident: Incident) -> None:
        if incident.after:
            self._armed.append(incident)
        else:
            self._begin(incident)
        self._next()

    def _request(self, name: str) -> None:
        due = [one for one in self._armed if REQUEST_OF[one.after] == name]
        self._armed = [one for one in self._armed if one not in due]
        for incident in due:
            if incident.wait:
                self._gateway.desk.timeline.after(incident.wait, self._begin, incident)
            else:
                self._begin(incident)

    def _begin(self, incident: Incident) -> None:
        now = self._gateway.desk.now()
        if self._until is not None and now >= self._until:
            return
        number = len(self.played)
        lasts = incident.lasts and incident.seconds > 0
        self.played.append(Played(incident=incident, began=now, ended=None if lasts else now))
        self._act(self._acts[incident.fault][0], incident)
        self._told(self.played[number])
        if lasts:
            self._on[number] = incident
            self._gateway.desk.timeline.after(incident.seconds, self._end, number)

    def _end(self, number: int) -> None:
        incident = self._on.pop(number, None)
        if incident is None:
            return
        # Where two of a kind overlap, the last one to end ends both.
        if not any(_same(other, incident) for other in self._on.values()):
            self._act(self._acts[incident.fault][1], incident)
        self.played[number] = replace(self.played[number], ended=self._gateway.desk.now())
        self._told(self.played[number])

    def _struck(self, switch: str) -> None:
        """The newest of its kind has set the switch."""
        newest = max(n for n, one in enumerate(self.played) if one.incident.fault == STRIKES[switch])
        one = self.played[newest]
        self.played[newest] = replace(one, struck=(*one.struck, self._gateway.desk.now()))

    def _quiet(self) -> None:
        """From here on nothing goes wrong: what lasts is ended, what waits for an order never comes."""
        self._armed.clear()
        for number in list(self._on):
            self._end(number)
        self._gateway.faults.clear()

    def _act(self, act: Act, incident: Incident) -> None:
        started = act(self._gateway, incident)
        if started is not None:
            task = asyncio.get_running_loop().create_task(started, name=f"fault-{incident.fault}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _same(one: Incident, other: Incident) -> bool:
    """Whether two incidents turn the same thing off and on."""
    return one.fault == other.fault and (one.fault not in APART or one.part == other.part)


# ── what each fault does ────────────────────────────────────────────────────────────────────────────────────────────


def _set(name: str, value: Callable[[Incident], object]) -> Act:
    def act(gateway: Gateway, incident: Incident) -> None:
        setattr(gateway.faults, name, value(incident))

    return act


def _switch(name: str, *, on: bool) -> Act:
    return _set(name, lambda incident: on)


def _cut_everyone(gateway: Gateway) -> None:
    for session in list(gateway.desk.connections):
        session.abort()


def _away(gateway: Gateway, incident: Incident) -> Coroutine[Any, Any, None]:
    return gateway.refuse_connections()


def _back(gateway: Gateway, incident: Incident) -> Coroutine[Any, Any, None]:
    return gateway.accept_connections()


def _back_anew(gateway: Gateway, incident: Incident) -> Coroutine[Any, Any, None]:
    gateway.desk.restarted()
    return gateway.accept_connections()


def _silence(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.silent = True
    _cut_everyone(gateway)


def _speak(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.silent = False
    _cut_everyone(gateway)


def _cut(gateway: Gateway, incident: Incident) -> None:
    for session in gateway.desk.connections:
        session.cut_after(incident.count)


def _no_longer_half_open(gateway: Gateway, incident: Incident) -> None:
    # What was lost in between would never be lost by TCP: these connections are beyond saving.
    gateway.faults.half_open = False
    _cut_everyone(gateway)


def _cut_at_order(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.cut_at_order = "taken" if incident.part == "taken" else "unread"


def _open_dialog(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.dialog = True


def _close_dialog(gateway: Gateway, incident: Incident) -> None:
    gateway.desk.close_dialog()


def _lose_backend(gateway: Gateway, incident: Incident) -> None:
    gateway.desk.lose_backend(login_lost=incident.part == "login")


def _restore_backend(gateway: Gateway, incident: Incident) -> None:
    if gateway.faults.backend_down:
        gateway.desk.restore_backend(data_lost=incident.part == "lost")


def _begin_reset(gateway: Gateway, incident: Incident) -> None:
    gateway.desk.lose_backend()
    _repeat(gateway, incident.seconds - RESET_NOTICE_SECONDS)


def _repeat(gateway: Gateway, left: float) -> None:
    """During a reset 1100 comes again and again."""

    def again() -> None:
        if gateway.faults.backend_down:
            gateway.desk.announce(1100, "Connectivity between IB and Trader Workstation has been lost.")
            _repeat(gateway, left - RESET_NOTICE_SECONDS)

    if left > 0:
        gateway.desk.timeline.after(RESET_NOTICE_SECONDS, again)


def _break_farm(gateway: Gateway, incident: Incident) -> None:
    gateway.desk.break_farm(incident.part)


def _mend_farm(gateway: Gateway, incident: Incident) -> None:
    gateway.desk.mend_farm(incident.part)


def _take_ids(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.id_taken = True
    _cut_everyone(gateway)


def _compete(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.competing_session = True
    gateway.desk.feeds.end_quotes(10197, COMPETING)


def _unsubscribe(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.delayed_only = True
    gateway.desk.feeds.end_quotes(10168, NOT_SUBSCRIBED)


def _endless(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.withhold.add(incident.part)


def _ends_again(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.withhold.discard(incident.part)


def _spoil(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.spoil[incident.part] = incident.count


def _greet_late(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.greeting_seconds = incident.by
    _cut_everyone(gateway)


def _keep_welcome(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.withhold.add(incident.part)
    _cut_everyone(gateway)


def _lower_ids(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.low_ids = True
    _cut_everyone(gateway)


def _miss(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.missing[incident.part] = incident.count


def _unset(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.unset[incident.part] = incident.count


def _notices(gateway: Gateway, incident: Incident) -> None:
    gateway.faults.notices = (*gateway.faults.notices, NOTICES[incident.part])


def _nothing(gateway: Gateway, incident: Incident) -> None:
    return None


ACTS: dict[str, tuple[Act, Act]] = {
    "refuse": (_away, _back),
    "silent": (_silence, _speak),
    "cut": (_cut, _nothing),
    "half_open": (_switch("half_open", on=True), _no_longer_half_open),
    "delay": (_set("hold_orders_seconds", lambda one: one.by), _set("hold_orders_seconds", lambda one: 0.0)),
    "duplicate": (_switch("duplicate", on=True), _switch("duplicate", on=False)),
    "reorder": (_set("reorder_seconds", lambda one: one.by), _set("reorder_seconds", lambda one: 0.0)),
    "lose_acknowledgement": (_set("lose_acknowledgements", lambda one: one.count), _nothing),
    "lose_order": (_set("lose_orders", lambda one: one.count), _nothing),
    "cut_at_order": (_cut_at_order, _nothing),
    "dialog": (_open_dialog, _close_dialog),
    "backend": (_lose_backend, _restore_backend),
    "nightly_reset": (_begin_reset, _restore_backend),
    "farm": (_break_farm, _mend_farm),
    "restart": (_away, _back_anew),
    "login_wait": (_away, _back_anew),
    "id_taken": (_take_ids, _switch("id_taken", on=False)),
    "competing_session": (_compete, _switch("competing_session", on=False)),
    "delayed_only": (_unsubscribe, _switch("delayed_only", on=False)),
    "endless_download": (_endless, _ends_again),
    "unreadable_row": (_spoil, _nothing),
    "slow_greeting": (_greet_late, _set("greeting_seconds", lambda one: 0.0)),
    "no_welcome": (_keep_welcome, _ends_again),
    "low_next_id": (_lower_ids, _switch("low_ids", on=False)),
    "missing_row": (_miss, _nothing),
    "unset_figures": (_unset, _nothing),
    "no_prices": (_switch("no_prices", on=True), _switch("no_prices", on=False)),
    "late_execution": (_set("execution_seconds", lambda one: one.by), _set("execution_seconds", lambda one: 0.0)),
    "only_202": (_set("only_202", lambda one: one.count), _nothing),
    "lose_commission": (_set("lose_commissions", lambda one: one.count), _nothing),
    "late_commission": (_set("commission_seconds", lambda one: one.by), _set("commission_seconds", lambda one: 0.0)),
    "correct_fill": (_set("correct_fills", lambda one: one.count), _nothing),
    "bust": (_set("bust_fills", lambda one: one.count), _nothing),
    "status_first": (_switch("status_first", on=True), _switch("status_first", on=False)),
    "notice": (_notices, _set("notices", lambda one: ())),
    "clock_skew": (_set("clock_skew_seconds", lambda one: one.by), _set("clock_skew_seconds", lambda one: 0.0)),
    "lose_fill": (_set("lose_fills", lambda one: one.count), _nothing),
}

"""Whether the process lives and may trade, as tables of checks that return a reason or None; asked by the pages.

The first readiness checks are the order gate's own certificate; the rest say why no trade would come of an open gate.
"""

from __future__ import annotations

from collections.abc import Callable

from longwatch.domain.levels import Grade, Level
from longwatch.domain.messages import Verb
from longwatch.domain.risk import readiness
from longwatch.domain.risk.held_at import told
from longwatch.domain.risk.verbs import is_halted
from longwatch.domain.sessions import Session
from longwatch.domain.state import State
from longwatch.engine.inbox import HIGH_WATER
from longwatch.ops.runtime import RuntimeView

Check = Callable[[State, RuntimeView], str | None]

LONGEST_STILL_SECONDS = 10.0


def readyz(state: State, runtime: RuntimeView) -> list[str]:
    """Every reason why the daemon may not trade now; empty means ready."""
    # Until this process has begun, what the journal says of the link is true of the process before it.
    begun = [f"start: {runtime.starting}"] if runtime.starting else []
    return begun + [reason for reason in readiness_of(state, runtime).values() if reason is not None]


def livez(state: State, runtime: RuntimeView) -> list[str]:
    """Every reason why a supervisor should look at the process; empty means it lives."""
    return [reason for check in LIVENESS if (reason := check(state, runtime)) is not None]


def readiness_of(state: State, runtime: RuntimeView) -> dict[str, str | None]:
    """Each readiness check by name, with its reason or None."""
    return {name: check(state, runtime) for name, check in READINESS.items()}


def loop_turns(state: State, runtime: RuntimeView) -> str | None:
    """The engine's loop came round not long ago."""
    if runtime.turned_at is None:
        return "loop: has not turned yet"
    still = (runtime.clock.technical() - runtime.turned_at).total_seconds()
    return f"loop: last turned {still:.0f} s ago" if still > LONGEST_STILL_SECONDS else None


def journal_is_writable(state: State, runtime: RuntimeView) -> str | None:
    """The last commit was made."""
    return f"journal: {runtime.commit.error}" if runtime.commit.error else None


def inbox_is_taken(state: State, runtime: RuntimeView) -> str | None:
    """What is heard is decided on as it comes; nothing is dropped, but a daemon far behind is not to trade."""
    return f"inbox: {runtime.inbox} events wait, over {HIGH_WATER}" if runtime.inbox > HIGH_WATER else None


def data_are_judged(state: State, runtime: RuntimeView) -> str | None:
    """Bars were validated up to the session before the one that opened last, give or take the sessions allowed."""
    if state.judged_session is None:
        return "data: not yet judged"
    allowed = state.settings.stale_sessions
    behind = [session.date for session in _due(state.sessions, runtime) if session.date > state.judged_session]
    return (
        f"data: judged up to {state.judged_session}, {len(behind)} sessions behind" if len(behind) > allowed else None
    )


def something_is_tradable(state: State, runtime: RuntimeView) -> str | None:
    """At least one judged symbol has no flaw; a flawed one stays out on its own."""
    if not state.judged or any(not row.flaws for row in state.judged.values()):
        return None
    symbol, row = min(state.judged.items())
    return f"data: every symbol is flawed ({symbol}: {row.flaws[0]})"


def nothing_is_halted(state: State, runtime: RuntimeView) -> str | None:
    """No person and no limit has halted trading."""
    held = state.verbs.get(Verb.HALT)
    if held is not None:
        return f"verb: halted by {held.by}" + (f" ({held.reason})" if held.reason else "")
    limits = [hold for hold in state.holds.values() if hold.level is Level.ACCOUNT and hold.grade is Grade.HALTED]
    return f"limit: {told(limits[0])}" if limits and is_halted(state) else None


LIVENESS: tuple[Check, ...] = (loop_turns, journal_is_writable)


def _certified(check: readiness.Check) -> Check:
    return lambda state, runtime: check(state, runtime.clock.technical())


READINESS: dict[str, Check] = {
    **{check.__name__: _certified(check) for check in readiness.CERTIFICATE},
    **{
        check.__name__: check
        for check in (data_are_judged, something_is_tradable, journal_is_writable, inbox_is_taken, nothing_is_halted)
    },
}


def _due(sessions: tuple[Session, ...], runtime: RuntimeView) -> tuple[Session, ...]:
    """Sessions whose bars should be in: after a close there is time until the next open."""
    now = runtime.clock.market()
    opened = [session for session in sessions if session.open_at <= now]
    return tuple(opened[:-1])

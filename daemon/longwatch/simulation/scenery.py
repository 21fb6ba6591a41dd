"""What a seed's simulated run is set in: market, sessions, strategies, settings; made for simulate.

Even seeds trade once a day, odd ones every half hour; every third one replays recorded prices of four shares, the
others trade twelve made-up ones.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from longwatch.broker.ib import installed
from longwatch.config.load import Loaded, parse
from longwatch.data import demo
from longwatch.data.calendar import ExchangeCalendar
from longwatch.domain.sessions import Session
from longwatch.gateway.market.generator import Climate, shares
from longwatch.gateway.market.hours import ListedHours
from longwatch.gateway.market.market import Instrument, Market, Replay
from longwatch.gateway.market.path import DayBar
from longwatch.simulation.replay import BEFORE_THE_OPEN, replayed_market

ACCOUNT = "DU123456"
CASH = 1_000_000
MADE_UP = tuple(f"SIM{letter}" for letter in "ABCDEFGHIJKLMNOPQRST")
USUALLY = 12
FIRST_CON_ID = 900_000_001
HISTORY = timedelta(days=60)
BEGINS = date(2007, 1, 3)
DAILY_MOVE = 0.02
WANDER = "longwatch.simulation.wander:Wander"
PATIENT = 0.4
"""Share of the even seeds in which orders have a time and children."""
PROTECTED = 2 / 3
"""Share of the seeds in which what is held has a stop at the broker."""
WITH_PROFITS = 0.5
"""Share of these in which a take-profit is to rest beside it."""
ATTACHED = 1 / 3
"""Share of these in which an entry leaves with its stop."""

# Between trades nothing changes but by trouble, which is followed by readings of its own; each reading and heartbeat
# more is time that more seeds could have had.
BRISK = {
    "rebalance": {"trigger": "every 2 min during the session", "deadline_seconds": 110.0, "latest_start_minutes": 1.5},
    "signals": {"trigger": "every 2 min during the session", "deadline_seconds": 60.0, "latest_start_minutes": 1.5},
    "reconcile": "every 30 min during the session",
    "quote_warmup_seconds": 5.0,
}
BRISK_SHARES, BRISK_POINTS = 6, 400
HALTING_POINTS = 78
"""One each five minutes, so that halts are felt."""
BRISK_LIMITS = (("mid", 0), ("mid", 0), ("mid", 0), ("far", 2))
"""At the mid most orders wait for the market, and are withdrawn when it does not come; beyond the quote they fill."""
BRISK_HOURS, BRISK_CALM = timedelta(hours=2, minutes=15), timedelta(minutes=20)
"""A run that trades all the time in a few shares, by orders that are withdrawn and replaced when they do not fill; each
reading of the account brings all that there was since midnight, so that short runs are cheap ones."""

WEATHER = {
    "storms": Climate(splits=0.0, dividends=0, regimes=("calm", "volatile", "crash")),
    "all": Climate(splits=6.0, dividends=12),
}
"""Generated markets a run can be set in: with gaps and halts, or with splits and dividends as well."""

DAILY = {"reconcile": "every 30 min during the session"}
OFTEN = {
    "reconcile": "every 20 min during the session",
    "signals": "every 30 min during the session",
    "rebalance": "every 30 min during the session",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """One run's surroundings; `sessions` are those it lasts, `calm_from` is when the last faults are over."""

    market: Market
    loaded: Loaded
    settings: dict[str, Any]
    sessions: tuple[Session, ...]
    calm_from: datetime
    is_brisk: bool = False

    @property
    def begins(self) -> datetime:
        """An hour before the first open; where there is much trading, some hours before the first close."""
        first = self.sessions[0]
        return first.close_at - BRISK_HOURS if self.is_brisk else first.open_at - BEFORE_THE_OPEN

    @property
    def troubled(self) -> list[tuple[datetime, datetime]]:
        """The sessions in which faults are drawn: all but the last; where there is much trading, all until the calm."""
        if not self.is_brisk:
            return [(session.open_at, session.close_at) for session in self.sessions[:-1]]
        return [(max(one.open_at, self.begins), min(one.close_at, self.calm_from)) for one in self.sessions]

    @property
    def ends(self) -> datetime:
        """Two hours after the last close: the end of day has been compared."""
        return self.sessions[-1].close_at + timedelta(hours=2)


def scenery(
    seed: int, days: int, folder: Path, weather: str = "", made_up: int = USUALLY, *, is_brisk: bool = False
) -> Scenery:
    """The surroundings of `days` sessions from a seed, files in `folder`. The last session is without faults.

    With `weather`, one of WEATHER, the market is made up by the generator whatever the seed. `made_up` is how
    many shares there are, at most 20, where they are not the recorded ones. A brisk one trades every five minutes.
    """
    calendar = ExchangeCalendar("XNYS")
    start = BEGINS + timedelta(days=Random(f"{seed}|start").randrange(0, 365))
    sessions = tuple(calendar.sessions(start, start + timedelta(days=10 + 2 * days)))[:days]
    known = calendar.sessions(start - HISTORY, sessions[-1].date + timedelta(days=30))
    symbols = MADE_UP[:made_up]
    if weather:
        climate = replace(WEATHER[weather], calm_from=sessions[-1].date)
        market = _generated(seed, known, climate, symbols, BRISK_POINTS if is_brisk else HALTING_POINTS)
    elif is_brisk:
        market = _made_up(seed, known, symbols, path_points=BRISK_POINTS)
    elif seed % 3:
        market = _made_up(seed, known, symbols)
    else:
        market, symbols = replayed_market(seed=seed), demo.symbols()
    settings = _settings(seed, symbols, sessions)
    if is_brisk:
        settings = _brisk(seed, settings)
    loaded = parse(json.dumps({"trading": settings}), name="simulate", environ={})
    cached = loaded.settings.data.model_copy(update={"cache_dir": folder / "cache"})
    return Scenery(
        market=market,
        loaded=replace(loaded, settings=loaded.settings.model_copy(update={"data": cached})),
        settings=settings,
        sessions=sessions,
        calm_from=_calm_from(sessions, is_brisk=is_brisk),
        is_brisk=is_brisk,
    )


def _calm_from(sessions: tuple[Session, ...], *, is_brisk: bool) -> datetime:
    """An hour after the last session but one; where there is much trading, the last session's end is enough."""
    if is_brisk:
        return sessions[-1].close_at - BRISK_CALM
    return sessions[-2].close_at + timedelta(hours=1) if len(sessions) > 1 else sessions[0].open_at


def _settings(seed: int, symbols: tuple[str, ...], sessions: tuple[Session, ...]) -> dict[str, Any]:
    random = Random(f"{seed}|settings")
    many = len(symbols) > len(demo.symbols())
    calm = sessions[-2].date if len(sessions) > 1 else sessions[0].date
    part = len(symbols) * 2 // 3 if many else len(symbols) - 1

    def strategy(name: str, universe: tuple[str, ...], allocation: float) -> dict[str, Any]:
        parameters = {
            "universe": list(universe),
            "seed": f"{seed}|{name}",
            "held": max(2, len(universe) * 2 // 3),
            "calm_from": calm.isoformat(),
        }
        return {"name": name, "path": WANDER, "parameters": parameters, "allocation": allocation}

    return {
        "mode": "paper",
        "data_provider": "ib",
        "executor": "ib_paper",
        "initial_capital": CASH,
        "ib": {
            "port": 4002,
            "client_library": installed(),
            "heartbeat_seconds": 900,
            "account_age_seconds": 90_000,
        },
        "data": {"history_bars": 15, "volume_sessions": 10},
        "clock": {"source": "gateway"},
        "execution": {
            "paper_account": ACCOUNT,
            "order_type": "MKT" if random.random() < 0.25 else "LMT",
            "limit_offset_bps": random.choice([0, 10, 50]),
            "max_position_size": 1_000_000,
            **_patience(seed),
        },
        "account_limits": _questions(seed),
        "schedule": OFTEN if seed % 2 else DAILY,
        "strategies": [strategy("north", symbols[:part], 0.6), strategy("south", symbols[-part:], 0.4)],
        "sizing": {"cash_reserve_fraction": 0.03, "no_trade_band_weight": 0.001},
        "risk": {
            "max_weight": 0.2 if many else 0.45,
            "max_order_value": 500_000,
            "max_order_shares": 100_000,
            "max_gross_exposure": 1,
            "max_net_exposure": 1,
        },
        "stops": _stops(seed),
        "ops": {"http_port": 0, "watchdog": False},
    }


def _questions(seed: int) -> dict[str, Any]:
    """Every fifth seed asks before each entry what it would bind of margin."""
    random = Random(f"{seed}|margin")
    return {"what_if": random.random() < 0.2, "what_if_fallback": random.choice(["refuse", "estimate"])}


def _brisk(seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The same with much trading, and with orders that wait: to be written, and to be filled."""
    random = Random(f"{seed}|brisk")
    limit_from, limit_offset = random.choice(BRISK_LIMITS)
    execution = {
        "order_type": "LMT",
        "limit_from": limit_from,
        "limit_offset_bps": limit_offset,
        "working_seconds": float(random.choice([25, 35, 45])),
        "replacements": 100,
        "acknowledge_seconds": 5.0,
        "absence_quiet_seconds": 20.0,
        "absence_round_seconds": 10.0,
    }
    connection = {"messages_per_second": 10, "backoff_initial_seconds": 0.5, "backoff_max_seconds": 2.0}
    return {
        **settings,
        "schedule": BRISK,
        "execution": settings["execution"] | execution,
        "ib": settings["ib"] | connection,
        # A twentieth of the capital is little to this market: what is not filled at once is by its replacements.
        "sizing": settings["sizing"] | {"cash_reserve_fraction": 0.95},
        # The same shares go to and fro all day: more of them than a day's trading would do.
        "risk": settings["risk"] | {"max_orders_per_minute": 1_000, "max_volume_fraction": None},
    }


def _patience(seed: int) -> dict[str, Any]:
    """Some seeds cancel what has not filled in time and send its rest anew; of those that trade once a day.

    What is not filled by its last child is held until the next session, so that less is traded in one.
    """
    random = Random(f"{seed}|rest")
    if seed % 2 or random.random() >= PATIENT:
        return {}
    return {"working_seconds": random.choice([30, 120, 600]), "replacements": random.choice([1, 3])}


def _stops(seed: int) -> dict[str, Any]:
    """Two seeds of three have protective stops, near enough to be triggered now and then."""
    random = Random(f"{seed}|stops")
    if random.random() >= PROTECTED:
        return {}
    rule: dict[str, Any] = {"fraction": random.choice([0.02, 0.04, 0.08]), "trails": random.random() < 0.5}
    if random.random() < 0.3:
        rule["atr_multiple"] = random.choice([1, 2])
    rule["reenter"] = random.random() < 0.3
    if random.random() < WITH_PROFITS:
        rule["take_profit"] = {"fraction": random.choice([0.01, 0.02, 0.05])}
    if Random(f"{seed}|attached").random() < ATTACHED:
        rule["attached"] = True
    return rule


def _generated(seed: int, sessions: list[Session], climate: Climate, symbols: tuple[str, ...], points: int) -> Market:
    """Shares in the weather of a climate."""
    hours = ListedHours(sessions)
    listed = shares(symbols, hours, seed=seed, first=sessions[0].date, climate=climate, first_con_id=FIRST_CON_ID)
    return Market(listed, hours, seed=seed, path_points=points)


def _made_up(seed: int, sessions: list[Session], symbols: tuple[str, ...], path_points: int = 26) -> Market:
    """Shares that walk at random over real sessions."""
    sources = [
        Replay(
            Instrument(con_id=FIRST_CON_ID + place, symbol=symbol, long_name=f"{symbol} INC"),
            _walk(Random(f"{seed}|{symbol}|days"), sessions),
        )
        for place, symbol in enumerate(symbols)
    ]
    return Market(sources, ListedHours(sessions), seed=seed, path_points=path_points)


def _walk(random: Random, sessions: list[Session]) -> list[DayBar]:
    level = math.log(random.uniform(10.0, 150.0))
    days = []
    for session in sessions:
        first = math.exp(level + random.gauss(0.0, DAILY_MOVE / 4))
        level += random.gauss(0.0, DAILY_MOVE)
        last = math.exp(level)
        high = max(first, last) * (1 + abs(random.gauss(0.0, DAILY_MOVE / 2)))
        low = min(first, last) * (1 - abs(random.gauss(0.0, DAILY_MOVE / 2)))
        days.append(
            DayBar(
                date=session.date,
                open_at=session.open_at.astimezone(UTC),
                close_at=session.close_at.astimezone(UTC),
                open=round(first, 2),
                high=round(high, 2),
                low=round(low, 2),
                close=round(last, 2),
                volume=float(random.randrange(500_000, 5_000_000, 100)),
            )
        )
    return days

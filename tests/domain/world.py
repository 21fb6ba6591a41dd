"""A state only ever changed by events, as in the daemon, with an account at a broker that tests play by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

from longwatch.domain import messages as m
from longwatch.domain.account import AccountFigures, Balance
from longwatch.domain.decide import Step, decide
from longwatch.domain.instruments import Instrument, Side
from longwatch.domain.orders import Order, OrderState
from longwatch.domain.quotes import Quote
from longwatch.domain.sessions import Session
from longwatch.domain.settings import TradeSettings
from longwatch.domain.state import State, evolve, is_fact

D = Decimal
DAY = date(2007, 1, 5)
OPEN = datetime(2007, 1, 5, 14, 30, tzinfo=UTC)
CLOSE = datetime(2007, 1, 5, 21, 0, tzinfo=UTC)
START = datetime(2007, 1, 5, 14, 35, tzinfo=UTC)
SESSION = Session(date=DAY, open_at=OPEN, close_at=CLOSE)
YESTERDAY = Session(date=date(2007, 1, 4), open_at=OPEN - timedelta(days=1), close_at=CLOSE - timedelta(days=1))
MONDAY = Session(date=date(2007, 1, 8), open_at=OPEN + timedelta(days=3), close_at=CLOSE + timedelta(days=3))
SESSIONS = (YESTERDAY, SESSION, MONDAY)
JOURNAL, ACCOUNT, CLIENT = "k7q2", "DU123456", 1
CON_IDS = {"AAA": 1, "BBB": 2, "CCC": 3}
SYMBOLS = {con_id: symbol for symbol, con_id in CON_IDS.items()}
PRICES = {"AAA": D(100), "BBB": D(50), "CCC": D(20)}
EQUITY = D(100_000)
VOLUME = D(1_000_000)
MARGIN_ACCOUNT = AccountFigures(
    account_type="INDIVIDUAL",
    trading_type="STKMRGN",
    base_currency="USD",
    settled_cash=EQUITY,
    available_funds=EQUITY,
    buying_power=4 * EQUITY,
    excess_liquidity=EQUITY,
    initial_margin=D(0),
    maintenance_margin=D(0),
    day_trades_told=True,
    balances=(Balance(currency="USD", cash=EQUITY, rate=D(1)),),
)
SETTINGS = TradeSettings(
    universe=tuple(CON_IDS), allocations=(("trend", D(1)),), max_weight=D("0.4"), no_trade_band_weight=D(0)
)


def judged(symbol: str, *flaws: str) -> m.SeriesJudged:
    return m.SeriesJudged(
        symbol=symbol,
        bars=250,
        last_session=YESTERDAY.date,
        close=PRICES[symbol],
        flaws=tuple(flaws),
        volatility=D("0.25"),
        atr=PRICES[symbol] / 50,
        average_volume=VOLUME,
    )


@dataclass(slots=True)
class World:
    """`hear` steps the state; what came of it is kept. `positions` are the account's, `open_orders` and `completed`
    permIds, `executions` execIds, as the broker would show them in a snapshot."""

    settings: TradeSettings = SETTINGS
    state: State = field(default_factory=State)
    now: datetime = START
    steps: list[tuple[m.Event, Step]] = field(default_factory=list)
    positions: dict[int, Decimal] = field(default_factory=dict)
    open_orders: set[int] = field(default_factory=set)
    completed: set[int] = field(default_factory=set)
    executions: list[str] = field(default_factory=list)
    costs: dict[int, Decimal] = field(default_factory=dict)
    cash: Decimal = EQUITY
    figures: AccountFigures | None = MARGIN_ACCOUNT
    prices: dict[str, Decimal] = field(default_factory=lambda: dict(PRICES))
    runs: int = 0

    @classmethod
    def ready(cls, settings: TradeSettings = SETTINGS, **positions: int) -> World:
        """Connected, synchronised, with sound data and everything known for longer than any quiet time."""
        world = cls(settings=settings)
        world.positions = {CON_IDS[symbol]: D(quantity) for symbol, quantity in positions.items()}
        world.start()
        world.connect()
        world.hear(m.DataRefreshed, run_id="refresh@1", session=YESTERDAY.date, judged=tuple(map(judged, CON_IDS)))
        world.wait(90)
        world.snapshot()
        world.hear(m.ClockSeen, skew_seconds=0.1)
        return world

    def start(self) -> None:
        self.hear(m.DaemonStarted, journal_id=JOURNAL, account=ACCOUNT, mode="paper", client_id=CLIENT, version="0.1.0")
        self.hear(m.ConfigLoaded, settings=self.settings, sha256="c0ffee")
        self.hear(m.CalendarLoaded, sessions=SESSIONS)

    def connect(self) -> Step:
        self.hear(m.LinkOpening, attempt=1)
        self.hear(
            m.LinkUp, client_id=CLIENT, next_order_id=self.next_order_id(), accounts=(ACCOUNT,), server_version=176
        )
        self.hear(m.FarmSeen, farm="usfarm", up=True)
        self.hear(m.ClockSeen, skew_seconds=0.1)
        self.hear(
            m.InstrumentsSeen,
            instruments=tuple(Instrument(con_id=con_id, symbol=symbol) for symbol, con_id in CON_IDS.items()),
        )
        return self.snapshot(reason="sync")

    def next_order_id(self) -> int:
        """What a gateway says that remembers every order it was handed."""
        return 1 + max((order.order_id or 0 for order in self.state.orders.values() if order.handed), default=0)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def hear(self, kind: Any, **fields: Any) -> Step:
        return self.take(kind(**{"at": self.now, "tech": self.now} | fields))

    def take(self, event: m.Event) -> Step:
        facts: list[m.Fact] = []
        effects: list[m.Effect] = []
        for item in decide(self.state, event):
            if is_fact(item):
                evolve(self.state, item)  # type: ignore[arg-type]
                facts.append(item)  # type: ignore[arg-type]
                self.folded(item)  # type: ignore[arg-type]
            else:
                effects.append(item)  # type: ignore[arg-type]
        step = Step(tuple(facts), tuple(effects))
        self.steps.append((event, step))
        return step

    def folded(self, fact: m.Fact) -> None:
        """Called after each fact; a test that watches every instant overrides it."""

    # ── decisions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def targets(self, strategy: str = "trend", **weights: str) -> None:
        named = tuple(sorted((symbol, D(weight)) for symbol, weight in weights.items()))
        self.hear(
            m.TargetsComputed,
            run_id="signals@1",
            strategy=strategy,
            session=YESTERDAY.date,
            weights=named,
            memory="{}",
            source_sha256="5ad",
            seconds=0.1,
        )
        self.hear(m.SignalsEnded, run_id="signals@1", session=YESTERDAY.date, prices=tuple(sorted(self.prices.items())))

    def quotes(self, age_seconds: float = 1.0) -> tuple[Quote, ...]:
        return tuple(
            Quote(
                con_id=CON_IDS[symbol],
                symbol=symbol,
                bid=price - D("0.01"),
                ask=price + D("0.01"),
                bid_size=D(400),
                ask_size=D(400),
                at=self.now - timedelta(seconds=age_seconds),
            )
            for symbol, price in self.prices.items()
        )

    def rebalance(self, **fields: Any) -> Step:
        self.runs += 1
        event = {"run_id": f"rebalance@{self.runs}", "session": SESSION, "quotes": self.quotes()} | fields
        return self.hear(m.RebalanceDue, **event)

    def trade(self, **weights: str) -> list[Order]:
        """Targets and a rebalance; the orders that came of it."""
        self.targets(**weights)
        return [effect.order for effect in self.rebalance().effects if isinstance(effect, m.SubmitOrder)]

    def one(self, **weights: str) -> int:
        """The intent of the only order that these weights come to."""
        (order,) = self.trade(**weights)
        return order.intent

    # ── what the broker says ────────────────────────────────────────────────────────────────────────────────────────

    def order(self, intent: int) -> Order:
        return self.state.orders[intent]

    def handed(self, intent: int) -> Step:
        return self.hear(m.OrderHanded, intent=intent)

    def open_order(self, intent: int, status: str = "Submitted", **fields: Any) -> Step:
        return self.take(open_order(self.order(intent), self.now, status, **fields))

    def status(self, intent: int, status: str, filled: int | None = None) -> Step:
        order = self.order(intent)
        return self.take(order_status(order, self.now, status, order.filled if filled is None else D(filled)))

    def acknowledge(self, intent: int) -> None:
        self.handed(intent)
        self.open_orders.add(perm_id(intent))
        self.open_order(intent)
        self.status(intent, "Submitted")

    def fill(self, intent: int, quantity: int, price: str = "100", exec_id: str = "") -> Step:
        """An execution in the account, and heard."""
        order = self.order(intent)
        name = exec_id or f"{len(self.executions):04x}.01"
        self.executions.append(name)
        self.positions[order.con_id] = self.positions.get(order.con_id, D(0)) + quantity * order.side.sign
        return self.take(execution(order, self.now, name, quantity, price))

    def finish(self, intent: int, price: str = "100") -> None:
        """Acknowledged, filled in full, and said to be."""
        self.acknowledge(intent)
        self.fill(intent, int(self.order(intent).remaining), price)
        self.end(intent)
        self.status(intent, "Filled")

    def end(self, intent: int) -> None:
        self.open_orders.discard(perm_id(intent))
        self.completed.add(perm_id(intent))

    def stranger(self, symbol: str, quantity: int, exec_id: str, side: Side = Side.BUY, ref: str = "") -> Step:
        """A trade that somebody else made in the account, heard as an execution."""
        return self.hear(
            m.ExecutionSeen,
            exec_id=exec_id,
            order_id=0,
            client_id=0,
            perm_id=990,
            ref=ref,
            account=ACCOUNT,
            con_id=CON_IDS[symbol],
            symbol=symbol,
            side=side,
            quantity=D(quantity),
            price=PRICES[symbol],
            cumulative=D(quantity),
            executed_at=self.now,
        )

    def moved(self, symbol: str) -> Step:
        """The broker tells a position by itself."""
        con_id = CON_IDS[symbol]
        figures = {"quantity": self.positions.get(con_id, D(0)), "average_cost": self.costs.get(con_id, D(90))}
        return self.hear(m.PositionSeen, account=ACCOUNT, con_id=con_id, symbol=symbol, **figures)

    def split(self, symbol: str, new: int, old: int, *, rebased: bool = True) -> Step:
        """New shares for old ones: the position is told at once, and the history, rebased or not, is fetched anew."""
        con_id = CON_IDS[symbol]
        self.positions[con_id] = (self.positions[con_id] * new / old).to_integral_value(ROUND_DOWN)
        self.costs[con_id] = self.costs.get(con_id, D(90)) * old / new
        self.prices[symbol] = self.prices[symbol] * old / new
        step = self.moved(symbol)
        self.fetched(**{symbol: D(new) / old} if rebased else {})
        return step

    def fetched(self, **rebased: Decimal) -> Step:
        """Bars of every symbol, with what some were rebased by."""
        rows = [replace(judged(symbol), close=self.prices[symbol], rebased=rebased.get(symbol)) for symbol in CON_IDS]
        return self.hear(m.DataRefreshed, run_id="refresh@2", session=YESTERDAY.date, judged=tuple(rows))

    def snapshot(self, **fields: Any) -> Step:
        """A round of downloads that took a second and shows the account as it is."""
        self.wait(1)
        whole = {
            "reason": "scheduled",
            "positions": tuple(
                m.PositionRow(con_id=con_id, symbol=SYMBOLS.get(con_id, str(con_id)), quantity=q, average_cost=cost)
                for con_id, q in sorted(self.positions.items())
                for cost in [self.costs.get(con_id, D(90))]
                if q
            ),
            "open_perm_ids": tuple(sorted(self.open_orders)),
            "completed_perm_ids": tuple(sorted(self.completed)),
            "exec_ids": tuple(self.executions),
            "net_liquidation": EQUITY,
            "cash": self.cash,
            "started_tech": self.now - timedelta(seconds=1),
            "figures": self.figures and replace(self.figures, asked_at=self.now - timedelta(seconds=1)),
        }
        return self.hear(m.SnapshotSeen, **(whole | fields))

    def reconcile(self, rounds: int = 1, seconds: float = 31) -> list[Step]:
        """Rounds of downloads, so far apart."""
        steps = []
        for _ in range(rounds):
            self.wait(seconds)
            steps.append(self.snapshot())
        return steps


def perm_id(intent: int) -> int:
    return 9000 + intent


def open_order(order: Order, now: datetime, status: str = "Submitted", **fields: Any) -> m.OpenOrderSeen:
    row: dict[str, Any] = {
        "at": now,
        "tech": now,
        "order_id": order.order_id,
        "client_id": CLIENT,
        "perm_id": perm_id(order.intent),
        "ref": order.ref,
        "account": ACCOUNT,
        "con_id": order.con_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "order_type": order.order_type.value,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "tif": order.tif,
        "status": status,
    }
    return m.OpenOrderSeen(**(row | fields))


def order_status(order: Order, now: datetime, status: str, filled: Decimal) -> m.OrderStatusSeen:
    return m.OrderStatusSeen(
        at=now,
        tech=now,
        order_id=order.order_id or 0,
        client_id=CLIENT,
        perm_id=perm_id(order.intent),
        status=status,
        filled=filled,
        remaining=order.quantity - filled,
        average_price=D(100),
    )


def execution(order: Order, now: datetime, exec_id: str, quantity: int, price: str) -> m.ExecutionSeen:
    return m.ExecutionSeen(
        at=now,
        tech=now,
        exec_id=exec_id,
        order_id=order.order_id or 0,
        client_id=CLIENT,
        perm_id=perm_id(order.intent),
        ref=order.ref,
        account=ACCOUNT,
        con_id=order.con_id,
        symbol=order.symbol,
        side=order.side,
        quantity=D(quantity),
        price=D(price),
        cumulative=D(quantity),
        executed_at=now,
    )


def commission(exec_id: str, now: datetime, amount: str = "1.25") -> m.CommissionSeen:
    return m.CommissionSeen(at=now, tech=now, exec_id=exec_id, commission=D(amount), currency="USD")


def completed(order: Order, now: datetime, status: str, filled: int) -> m.CompletedOrderSeen:
    return m.CompletedOrderSeen(
        at=now,
        tech=now,
        perm_id=perm_id(order.intent),
        ref=order.ref,
        account=ACCOUNT,
        con_id=order.con_id,
        symbol=order.symbol,
        side=order.side,
        status=status,
        filled=D(filled),
    )


def of_kind(items: Iterable[Any], kind: type) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def alerts(step: Step) -> list[str]:
    return [effect.key for effect in step.effects if isinstance(effect, m.RaiseAlert)]


def states(world: World) -> dict[int, OrderState]:
    return {intent: order.state for intent, order in world.state.orders.items()}

"""What is done to accounts from outside, by script: splits, dividends, transfers, assignments, and more; see EVENTS.

Each event leaves a line in the ledger, moves cash and positions there, and is told as a real gateway tells it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from longwatch.errors import UsageError
from longwatch.gateway.event_terms import wrong_terms
from longwatch.gateway.exchange.book import BY_HAND
from longwatch.gateway.exchange.entries import taking_up
from longwatch.gateway.exchange.ledger import ZERO, Execution, ratio_of
from longwatch.gateway.exchange.orders import Order, Ticket
from longwatch.gateway.market.actions import Action
from longwatch.gateway.market.market import Instrument

if TYPE_CHECKING:
    from longwatch.gateway.desk import Desk


RATIO = re.compile(r"[1-9]\d{0,3}/[1-9]\d{0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event: `kind` is one of EVENTS, which says what of the rest it needs.

    Without `account` it is the first account's; an expiry, a correction and a bust are looked for in all. `quantity` is
    in shares, negative for those that leave; `price` is a share's and `amount` cash, in the base currency; `ratio` is
    new shares for old, as `2/1`.
    """

    kind: str
    account: str = ""
    symbol: str = ""
    quantity: Decimal = ZERO
    price: Decimal = ZERO
    amount: Decimal = ZERO
    ratio: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event that changed one account, which its `event` names: for who keeps books of his own.

    `exec_id` is of the fill that was corrected or taken back.
    """

    at: datetime
    event: Event
    con_id: int = 0
    exec_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an event does, what it needs and what it may have; a split or a dividend is every account's."""

    text: str
    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ("account",)


EVENTS: Mapping[str, Kind] = {
    "split": Kind(text="before the next open, in every account that holds it", needs=("symbol", "ratio"), may=()),
    "dividend": Kind(
        text="`amount` a share that is held at the next open, paid later", needs=("symbol", "amount"), may=()
    ),
    "transfer": Kind(text="shares come, at `price` each, or go, without cash", needs=("symbol", "quantity", "price")),
    "cash": Kind(text="cash comes or goes", needs=("amount",)),
    "assignment": Kind(
        text="shares come or go at a strike, and cash for them, without an order", needs=("symbol", "quantity", "price")
    ),
    "liquidation": Kind(
        text="the broker closes a position, or `quantity` shares of it, by an order of nobody's",
        needs=("symbol",),
        may=("account", "quantity"),
    ),
    "trade": Kind(
        text="somebody trades in the gateway's own window, at the market or a limit `price`",
        needs=("symbol", "quantity"),
        may=("account", "price"),
    ),
    "expiry": Kind(text="orders good till cancelled lapse, all or those of a symbol", may=("account", "symbol")),
    "correction": Kind(text="the newest fill of a symbol gets another price", needs=("symbol", "price")),
    "bust": Kind(text="the newest fill of a symbol is taken back", needs=("symbol",)),
}


class Events:
    """Lets events happen to one desk's accounts. `happened` lists what took effect, in order."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.happened: list[Happened] = []

    def happen(self, event: Event) -> None:
        """Let an event happen now. Raises UsageError when it can't, and then nothing has changed."""
        reason = self.objection(event)
        if reason:
            raise UsageError(reason)
        ACTS[event.kind](self, event)
        terms = {name: str(value) for name, value in asdict(event).items() if value and name != "kind"}
        self._desk.ledger.note("event", self._desk.now(), event=event.kind, **terms)

    def play(self, planned: Iterator[tuple[datetime, Event]], failed: Callable[[str], object]) -> None:
        """Let events happen at their market instants, in order of time; of one that can't then, `failed` hears why."""
        following = next(planned, None)
        if following is not None:
            instant, event = following
            self._desk.timeline.at(instant, self._due, event, planned, failed)

    def _due(self, event: Event, planned: Iterator[tuple[datetime, Event]], failed: Callable[[str], object]) -> None:
        try:
            self.happen(event)
        except UsageError as error:
            failed(f"event {event.kind} did not happen: {error}")
        self.play(planned, failed)

    @taking_up("An event of the gateway's ledger")
    def resume(self) -> None:
        """What a reloaded ledger has scripted, the market has forgotten: its prices follow it again."""
        for entry in self._desk.ledger.orders:
            instrument = (
                self._desk.market.find(entry["symbol"]) if entry.get("event") in ("split", "dividend") else None
            )
            if instrument is not None:
                amount, at = Decimal(entry.get("amount", 0)), datetime.fromisoformat(entry["at"])
                self._script(instrument, at, entry.get("ratio", ""), amount)

    def objection(self, event: Event) -> str:
        """Why an event can't happen in these accounts and this market at any time, or an empty text."""
        kind = EVENTS.get(event.kind)
        if kind is None:
            return f"the event {event.kind!r} is not known; there are {', '.join(EVENTS)}"
        missing = [name for name in kind.needs if not getattr(event, name)]
        if missing:
            return f"{event.kind} needs `{missing[0]}`; it needs {', '.join(kind.needs)}"
        if event.account and "account" not in kind.may:
            return f"{event.kind} is of every account that holds {event.symbol}; leave `account` out"
        if event.account and event.account not in self._desk.config.accounts:
            return f"there is no account {event.account}; there are {', '.join(self._desk.config.accounts)}"
        instrument = self._desk.market.find(event.symbol) if event.symbol else None
        if event.symbol and instrument is None:
            return f"there is no instrument {event.symbol} in this market; name one it lists"
        if event.ratio and not RATIO.fullmatch(event.ratio):
            return f"the ratio {event.ratio!r} is not new shares for old; write 2/1, or 1/10"
        return wrong_terms(event, instrument, self._desk.config.conduct)

    # -- shares and cash -----------------------------------------------------------------------------------------

    def _transfer(self, event: Event) -> None:
        account, instrument = self._account(event), self._instrument(event)
        shares = (account, instrument.con_id, instrument.symbol, event.quantity, event.price, self._desk.now())
        self._desk.ledger.transfer(*shares)
        self._took_effect(event, account, instrument.con_id)

    def _assign(self, event: Event) -> None:
        account, instrument = self._account(event), self._instrument(event)
        shares = (account, instrument.con_id, instrument.symbol, event.quantity, event.price, self._desk.now())
        self._desk.ledger.assign(*shares)
        self._took_effect(event, account, instrument.con_id)

    def _move_cash(self, event: Event) -> None:
        account = self._account(event)
        self._desk.ledger.move_cash(account, event.amount, self._desk.now())
        self._took_effect(event, account)

    def _act(self, event: Event) -> None:
        """A split or a dividend is the market's: accounts follow it when the session opens."""
        self._script(self._instrument(event), self._desk.now(), event.ratio, event.amount)
        self._desk.corporate.watch()

    def _script(self, instrument: Instrument, at: datetime, text: str, dividend: Decimal) -> None:
        session = self._desk.market.hours.following(at)
        if session is None:
            raise UsageError(f"there is no session to come before which {instrument.symbol} could be changed")
        new, old = ratio_of(text) if text else (1, 1)
        ratio = Decimal(new) / Decimal(old)
        action = Action(date=session.date, con_id=instrument.con_id, ratio=ratio, dividend=dividend)
        self._desk.market.script(action)

    # -- orders --------------------------------------------------------------------------------------------------

    def _trade(self, event: Event) -> None:
        self._place(event, event.quantity, limit=event.price or None)

    def _liquidate(self, event: Event) -> None:
        holding = self._desk.books(self._account(event)).holdings.get(self._instrument(event).con_id)
        held = holding.quantity if holding else ZERO
        quantity = min(abs(event.quantity) or abs(held), abs(held))
        if not quantity:
            raise UsageError(f"{self._account(event)} holds no {event.symbol} to be liquidated")
        self._place(event, -quantity if held > 0 else quantity, is_liquidation=True)

    def _place(
        self, event: Event, quantity: Decimal, *, limit: Decimal | None = None, is_liquidation: bool = False
    ) -> None:
        ticket = Ticket(
            order_id=0,
            client_id=BY_HAND,
            account=self._account(event),
            instrument=self._instrument(event),
            action="BUY" if quantity > 0 else "SELL",
            quantity=abs(quantity),
            order_type="MKT" if limit is None else "LMT",
            limit=limit,
            is_liquidation=is_liquidation,
        )
        self._desk.exchange.place_by_hand(ticket)

    def _expire(self, event: Event) -> None:
        self._desk.exchange.lapse(event.account, event.symbol)

    # -- fills ---------------------------------------------------------------------------------------------------

    def _correct(self, event: Event) -> None:
        fill, order = self._newest_fill(event)
        self._desk.exchange.correct(order, fill, event.price)
        self._took_effect(event, fill.account, fill.con_id, fill.exec_id)

    def _bust(self, event: Event) -> None:
        fill, order = self._newest_fill(event)
        self.take_back(order, fill)

    def take_back(self, order: Order, fill: Execution) -> None:
        """Bust one fill."""
        self._desk.exchange.bust(order, fill)
        self._took_effect(Event(kind="bust", symbol=fill.symbol), fill.account, fill.con_id, fill.exec_id)

    def _newest_fill(self, event: Event) -> tuple[Execution, Order]:
        """The newest fill an event can be of, and its order, which may have ended lately."""
        con_id, book = self._instrument(event).con_id, self._desk.exchange.book
        orders = {order.perm_id: order for order in (*book.live(), *book.ended())}
        for fill in reversed(self._desk.ledger.executions):
            if fill.con_id == con_id and event.account in {"", fill.account} and fill.perm_id in orders:
                return fill, orders[fill.perm_id]
        raise UsageError(f"there is no fill of {event.symbol} of the last days to be changed; let it trade before")

    # -- parts ---------------------------------------------------------------------------------------------------

    def _account(self, event: Event) -> str:
        return event.account or self._desk.config.accounts[0]

    def _instrument(self, event: Event) -> Instrument:
        instrument = self._desk.market.find(event.symbol)
        if instrument is None:
            raise UsageError(f"there is no instrument {event.symbol} in this market; name one it lists")
        return instrument

    def took_effect(self, event: Event, instrument: Instrument | None) -> None:
        """A corporate action has changed an account."""
        self._took_effect(event, event.account, instrument.con_id if instrument else 0)

    def _took_effect(self, event: Event, account: str, con_id: int = 0, exec_id: str = "") -> None:
        """Keep it, and tell who follows the account, as soon as the broker can be heard."""
        changed = replace(event, account=account)
        self.happened.append(Happened(at=self._desk.now(), event=changed, con_id=con_id, exec_id=exec_id))
        following = self._desk.following
        if con_id:
            self._desk.courier.tell(lambda: following.moved(account, con_id))
        else:
            self._desk.courier.tell(lambda: following.changed(account))


ACTS: Mapping[str, Callable[[Events, Event], None]] = {
    "split": Events._act,
    "dividend": Events._act,
    "transfer": Events._transfer,
    "cash": Events._move_cash,
    "assignment": Events._assign,
    "liquidation": Events._liquidate,
    "trade": Events._trade,
    "expiry": Events._expire,
    "correction": Events._correct,
    "bust": Events._bust,
}

"""Downloads of the account, one round at a time: started by the sync and by request_snapshot, told as SnapshotSeen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from longwatch.broker.budget import Priority
from longwatch.broker.channel import Channel
from longwatch.broker.heard import Part
from longwatch.broker.ids import Owner
from longwatch.broker.sync import PART_OF_MESSAGE, UNNUMBERED, Round
from longwatch.domain import messages as m
from longwatch.domain.order_life.identity import key_of


class AccountSync:
    """At most one round runs; `done` follows each, `drop` ends a connection on which the next could not be trusted."""

    def __init__(self, channel: Channel, *, done: Callable[[], None], drop: Callable[[str], None]) -> None:
        self._channel = channel
        self._done = done
        self._drop = drop
        self._account = ""
        self._round: Round | None = None
        self._ids: dict[Part, int] = {}
        self._deadline: asyncio.TimerHandle | None = None
        self._complaint = ""
        self._trading_type = ""
        self._kind_id: int | None = None

    def begin(self, account: str) -> None:
        """The connection is up and has ids: download everything once."""
        self._account = account
        self.request("sync")
        self._ask_kind()

    def request(self, reason: str) -> None:
        """Download once more; joined with a round under way. Before the sync nothing is done: it will download."""
        if self._round is not None or not self._account or self._channel.ids is None:
            return
        self._complaint = ""
        self._round = Round(
            reason=reason,
            account=self._account,
            currency=self._channel.settings.currency,
            started_tech=self._channel.clock.technical(),
        )
        self._deadline = self._channel.loop.call_later(self._channel.settings.download_seconds, self._late)
        writer, send = self._channel.writer, partial(self._channel.send, Priority.ACCOUNT)
        send(writer.executions(self._take(Part.EXECUTIONS)))
        send(writer.all_open_orders())
        send(writer.completed_orders())
        send(writer.positions())
        send(writer.account_summary(self._take(Part.ACCOUNT)))

    def stop(self) -> None:
        """The connection is gone; the next one begins afresh."""
        self._round = None
        self._account = ""
        self._ids.clear()
        self._kind_id = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # ── what is heard ───────────────────────────────────────────────────────────────────────────────────────────────

    def told_apart(self, event: m.Event) -> m.Event:
        """The event, where it is one of several rows of a download that nothing else tells apart, with its place."""
        if self._round is None or not isinstance(event, m.OpenOrderSeen) or event.perm_id or event.order_id:
            return event
        return replace(event, nth=self._round.place_of(event.account, event.client_id, event.con_id))

    def heard(self, event: m.Event) -> None:
        """An event that is also a row of the round under way."""
        now = self._round
        if now is None:
            return
        match event:
            case m.OpenOrderSeen():
                key = key_of(event.perm_id, event.client_id, event.order_id, event.con_id, event.nth)
                now.open_order(event.account, key, event.status)
            case m.OrderStatusSeen():
                now.order_status(key_of(event.perm_id, event.client_id, event.order_id), event.status)
            case m.CompletedOrderSeen():
                now.completed(event.account, event.perm_id)
            case m.ExecutionSeen():
                now.execution(event.account, event.exec_id)
            case _:
                pass

    def position(self, account: str, row: m.PositionRow) -> bool:
        """Whether the row belongs to a download under way; outside of one it is news."""
        if self._round is None or not self._round.is_waiting(Part.POSITIONS):
            return False
        self._round.position(account, row)
        return True

    def value(self, request_id: int, account: str, tag: str, value: Decimal | str | None, currency: str) -> None:
        """A row of the account summary."""
        if self._round is not None and self._ids.get(Part.ACCOUNT) == request_id:
            self._round.value(account, tag, value, currency)

    def trading_type(self, request_id: int, account: str, value: str) -> None:
        """Whether the account trades on margin: told once a connection, kept for every reading."""
        if request_id == self._kind_id and account == self._account:
            self._trading_type = value
            self._kind_over()
            self._channel.send(Priority.ACCOUNT, self._channel.writer.cancel_account_updates(request_id))

    def ended(self, part: Part, request_id: int | None) -> None:
        """An end mark; one of an earlier round's request is ignored."""
        if self._round is None or (part not in UNNUMBERED and self._ids.get(part) != request_id):
            return
        self._release(part)
        self._round.end(part)
        self._finish()

    def undecodable(self, message_id: int, reason: str) -> None:
        """A row that could not be decoded fails the download it belongs to, if that runs."""
        part = PART_OF_MESSAGE.get(message_id)
        if self._round is not None and part is not None and self._round.is_waiting(part):
            self._round.fail(part, f"a row could not be decoded ({reason})")

    def complaint(self, code: int, text: str) -> None:
        """An error about nothing in particular may be the answer to a download without an id."""
        self._complaint = f"; the gateway said: {text} ({code})"

    # ── the end of a round ──────────────────────────────────────────────────────────────────────────────────────────

    def _ask_kind(self) -> None:
        """Ask what kind of account it is. No answer leaves that open: the reading is whole without it."""
        if self._channel.ids is None:
            return
        self._kind_id = self._channel.take(Owner(name="kind of account", failed=lambda code, text: self._kind_over()))
        self._channel.send(Priority.ACCOUNT, self._channel.writer.account_updates(self._kind_id, self._account))

    def _kind_over(self) -> None:
        if self._kind_id is not None:
            self._channel.give_back(self._kind_id)
            self._kind_id = None

    def _take(self, part: Part) -> int:
        def failed(code: int, text: str) -> None:
            if self._round is not None:
                self._release(part)
                self._round.give_up(part, f"{text} ({code})")
                self._finish()

        self._ids[part] = self._channel.take(Owner(name=part.value, failed=failed))
        return self._ids[part]

    def _release(self, part: Part) -> None:
        request_id = self._ids.pop(part, None)
        if request_id is None:
            return
        self._channel.give_back(request_id)
        if part is Part.ACCOUNT:
            # A summary is a subscription, and only two are allowed at a time.
            self._channel.send(Priority.ACCOUNT, self._channel.writer.cancel_account_summary(request_id))

    def _late(self) -> None:
        """The deadline has passed: what is still waited for has failed."""
        self._deadline = None
        if self._round is None:
            return
        seconds = self._channel.settings.download_seconds
        late = sorted(self._round.waiting, key=list(Part).index)
        for part in late:
            self._release(part)
            self._round.give_up(part, f"no end mark within {seconds:g} s{self._complaint}")
        self._finish()
        unnumbered = [part.value for part in late if part in UNNUMBERED]
        if unnumbered:
            self._drop(f"the gateway did not end its download of {' and '.join(unnumbered)} within {seconds:g} s")

    def _finish(self) -> None:
        over = self._round
        if over is None or not over.is_over:
            return
        self._round = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        clock = self._channel.clock
        self._channel.sink(over.snapshot(at=clock.market(), tech=clock.technical(), trading_type=self._trading_type))
        self._done()

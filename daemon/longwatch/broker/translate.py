"""The wrapper given to the library's decoder: each callback becomes an event or a word to the connection's owner.

What the callbacks have to say is held back until their message is decoded whole: a message is told entirely or not at
all. Sentinels become None, floats exact decimals, times UTC. Callback names are the library's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC
from decimal import Decimal
from functools import partial
from typing import Any

from longwatch.broker.contracts import DetailsRow
from longwatch.broker.figures import UNSET_INTEGER, amount, identity, instant, number, size
from longwatch.broker.heard import Heard, Part
from longwatch.clock import Clock
from longwatch.domain.instruments import Side
from longwatch.domain.messages import (
    CommissionSeen,
    CompletedOrderSeen,
    ExecutionSeen,
    OpenOrderSeen,
    OrderStatusSeen,
    PositionRow,
    WhatIfSeen,
)

SIDES = {"BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL, "SSHORT": Side.SELL}
"""Actions of orders, and sides of executions."""

LIMITED = frozenset({"LMT", "STP LMT", "LOC", "LIT", "TRAIL LIMIT", "REL", "MIDPRICE"})
STOPPED = frozenset({"STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "MIT", "LIT", "STP PRT"})
"""Order types whose lmtPrice and auxPrice mean a limit and a stop; on others IB fills them with something else."""

Said = Sequence[Callable[[], None]]
"""What a message said, word by word."""


class Translator:
    """The wrapper. `zone` is the one of times that name none."""

    defaultTimezone = UTC
    """What ib_async puts execution times into."""

    def __init__(self, heard: Heard, clock: Clock, zone: str) -> None:
        self._heard = heard
        self._clock = clock
        self._zone = zone
        self._held: list[Callable[[], None]] = []
        self.next_order_id: int | None = None
        self.accounts: tuple[str, ...] = ()
        self.ignored: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Any other callback the decoder may know: counted, and nothing more."""
        if name.startswith("_"):
            raise AttributeError(name)

        def counted(*arguments: object) -> None:
            self.ignored[name] += 1

        return counted

    def begin(self) -> None:
        """A message is about to be decoded."""
        self._held.clear()

    def tell(self) -> Said:
        """The message was decoded whole: say what it said, which `retell` can say again."""
        held, self._held = self._held, []
        self.retell(held)
        return held

    def retell(self, said: Said) -> None:
        """Say what an earlier message said, now that another one says the same."""
        for say in said:
            say()

    # ── the connection ──────────────────────────────────────────────────────────────────────────────────────────────

    def nextValidId(self, reqId: int) -> None:
        if not 0 < reqId < UNSET_INTEGER:
            raise ValueError(f"the next order id {reqId} is none")
        self.next_order_id = reqId

    def managedAccounts(self, accountsList: str) -> None:
        self.accounts = tuple(account for account in accountsList.split(",") if account)

    def currentTime(self, time: int) -> None:
        self._say(self._heard.server_time, time)

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str = "") -> None:
        self._say(self._heard.error, reqId, errorCode, errorString)

    # ── the account ─────────────────────────────────────────────────────────────────────────────────────────────────

    def position(self, account: str, contract: Any, posSize: float, avgCost: float) -> None:
        row = PositionRow(
            con_id=contract.conId,
            symbol=contract.symbol,
            quantity=amount(posSize),
            average_cost=number(avgCost),
            sec_type=contract.secType,
        )
        self._say(self._heard.position, account, row)

    def positionEnd(self) -> None:
        self._say(self._heard.part_ended, Part.POSITIONS, None)

    def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:
        figure = value if tag in WORDS else number(value) if tag in FIGURES or tag in LEDGER else None
        self._say(self._heard.account_value, reqId, account, tag, figure, currency)

    def accountUpdateMulti(self, reqId: int, account: str, modelCode: str, key: str, value: str, currency: str) -> None:
        if key == TRADING_TYPE:
            self._say(self._heard.trading_type, reqId, account, value)

    def accountSummaryEnd(self, reqId: int) -> None:
        self._say(self._heard.part_ended, Part.ACCOUNT, reqId)

    # ── orders and executions ───────────────────────────────────────────────────────────────────────────────────────

    def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
        if order.whatIf:
            self._event(
                WhatIfSeen,
                order_id=identity(orderId),
                client_id=identity(order.clientId),
                initial_margin=number(orderState.initMarginAfter),
                maintenance_margin=number(orderState.maintMarginAfter),
                equity=number(orderState.equityWithLoanAfter),
                commission=number(orderState.commission),
            )
            return
        self._event(
            OpenOrderSeen,
            order_id=identity(orderId),
            client_id=identity(order.clientId),
            perm_id=identity(order.permId),
            ref=order.orderRef,
            account=order.account,
            con_id=contract.conId,
            symbol=contract.symbol,
            side=SIDES[order.action],
            quantity=size(order.totalQuantity),
            order_type=order.orderType,
            limit_price=number(order.lmtPrice) if order.orderType in LIMITED else None,
            stop_price=number(order.auxPrice) if order.orderType in STOPPED else None,
            tif=order.tif,
            status=orderState.status,
            oca_group=order.ocaGroup,
        )

    def openOrderEnd(self) -> None:
        self._say(self._heard.part_ended, Part.OPEN_ORDERS, None)

    def orderStatus(
        self,
        orderId: int,
        status: str,
        filled: float,
        remaining: float,
        avgFillPrice: float,
        permId: int,
        parentId: int,
        lastFillPrice: float,
        clientId: int,
        whyHeld: str,
        mktCapPrice: float = 0.0,
    ) -> None:
        self._event(
            OrderStatusSeen,
            order_id=identity(orderId),
            client_id=identity(clientId),
            perm_id=identity(permId),
            status=status,
            filled=size(filled),
            remaining=size(remaining),
            average_price=number(avgFillPrice) or Decimal(0),
            why_held=whyHeld,
        )

    def completedOrder(self, contract: Any, order: Any, orderState: Any) -> None:
        self._event(
            CompletedOrderSeen,
            perm_id=identity(order.permId),
            ref=order.orderRef,
            account=order.account,
            con_id=contract.conId,
            symbol=contract.symbol,
            side=SIDES[order.action],
            status=orderState.status,
            filled=number(order.filledQuantity) or Decimal(0),
            text=orderState.completedStatus,
        )

    def completedOrdersEnd(self) -> None:
        self._say(self._heard.part_ended, Part.COMPLETED_ORDERS, None)

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        self._event(
            ExecutionSeen,
            exec_id=_present(execution.execId),
            order_id=identity(execution.orderId),
            client_id=identity(execution.clientId),
            perm_id=identity(execution.permId),
            ref=execution.orderRef,
            account=execution.acctNumber,
            con_id=contract.conId,
            symbol=contract.symbol,
            side=SIDES[execution.side],
            quantity=size(execution.shares),
            price=amount(execution.price),
            cumulative=size(execution.cumQty),
            executed_at=execution.time,
            is_liquidation=bool(execution.liquidation),
        )

    def execDetailsEnd(self, reqId: int) -> None:
        self._say(self._heard.part_ended, Part.EXECUTIONS, reqId)

    def commissionReport(self, report: Any) -> None:
        self._event(
            CommissionSeen,
            exec_id=_present(report.execId),
            commission=amount(report.commission),
            currency=report.currency,
            realized_pnl=number(report.realizedPNL),
        )

    def epoch_of(self, text: str) -> str:
        """A time of the broker as epoch seconds, the one form that the library's decoder reads without a guess."""
        return str(int(instant(text, self._zone).timestamp()))

    # ── contracts and market data ───────────────────────────────────────────────────────────────────────────────────

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        contract = contractDetails.contract
        row = DetailsRow(
            con_id=contract.conId,
            symbol=contract.symbol,
            sec_type=contract.secType,
            currency=contract.currency,
            exchange=contract.exchange,
            primary_exchange=contract.primaryExchange,
            tick=number(contractDetails.minTick),
            min_size=number(contractDetails.minSize) or None,
            size_increment=number(contractDetails.sizeIncrement) or None,
            multiplier=number(contract.multiplier),
            zone=contractDetails.timeZoneId,
        )
        self._say(self._heard.details, reqId, row)

    def contractDetailsEnd(self, reqId: int) -> None:
        self._say(self._heard.details_ended, reqId)

    def marketDataType(self, reqId: int, marketDataId: int) -> None:
        self._say(self._heard.market_data_type, reqId, marketDataId)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        self._say(self._heard.tick_size, reqId, tickType, value)

    def _say(self, word: Callable[..., None], *arguments: object) -> None:
        self._held.append(partial(word, *arguments))

    def _event(self, kind: Callable[..., Any], **fields: object) -> None:
        self._held.append(partial(self._tell_event, kind, fields))

    def _tell_event(self, kind: Callable[..., Any], fields: dict[str, Any]) -> None:
        self._heard.event(kind(at=self._clock.market(), tech=self._clock.technical(), **fields))


FIGURES = frozenset(
    {
        *("NetLiquidation", "TotalCashValue", "AvailableFunds", "SettledCash", "BuyingPower", "ExcessLiquidity"),
        *("InitMarginReq", "MaintMarginReq", "DayTradesRemaining"),
    }
)
"""The account summary's tags that are asked for and hold numbers."""
WORDS = frozenset({"AccountType"})
LEDGER = frozenset({"CashBalance", "ExchangeRate"})
"""What is heeded of the tags that come once for each currency."""
ASKED = (*sorted(FIGURES | WORDS), "$LEDGER:ALL")
TRADING_TYPE = "TradingType-S"


def _present(text: str) -> str:
    if not text:
        raise ValueError("an execution without an execId")
    return text

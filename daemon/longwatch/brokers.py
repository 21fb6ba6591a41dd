"""Makes the broker a configuration asks for; called by the composition root's `build` by way of its ports."""

from __future__ import annotations

from decimal import Decimal

from longwatch.broker.codes import CODES, with_named
from longwatch.broker.contracts import Wanted
from longwatch.broker.dry import DryRunBroker
from longwatch.broker.exchange import Held, MockExchange
from longwatch.broker.ib import check_installed
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.config.codes import read_codes
from longwatch.domain.state import State
from longwatch.ports import Broker, BrokerNeeds, Sink

SHARES_TO_BORROW = "236"
"""The generic tick that tells them."""


def broker_for(needs: BrokerNeeds) -> Broker:
    """The broker of the configured executor: `mock` is a dry run on a real gateway's data."""
    return dry_run_broker(needs) if needs.settings.executor == "mock" else ib_broker(needs)


def dry_run_broker(needs: BrokerNeeds) -> Broker:
    """A mock account that trades on what IB's gateway quotes; nothing is ever sent to a real account."""
    state = needs.state
    exchange = MockExchange(
        account=needs.account,
        cash=needs.settings.initial_capital - spent(state),
        client_id=needs.settings.ib.client_id,
        positions={
            holding.con_id: Held(symbol=holding.symbol, quantity=holding.quantity, average_cost=holding.average_cost)
            for holding in state.book.values()
        },
        exec_ids=list(state.fills),
    )

    def connect(sink: Sink) -> Broker:
        return IbBroker(link_settings(needs), sink=sink, gate=needs.gate, clock=needs.clock, random=needs.random)

    return DryRunBroker(
        exchange,
        connect,
        sink=needs.sink,
        gate=needs.gate,
        clock=needs.clock,
        sessions=lambda: state.sessions,
    )


def spent(state: State) -> Decimal:
    """What our fills and commissions so far have cost, less what sales brought: a mock account lives in the journal."""
    ours = [fill for fill in state.fills.values() if fill.intent is not None]
    paid = sum((state.commissions.get(fill.exec_id, Decimal(0)) for fill in ours), Decimal(0))
    return paid + sum((fill.quantity * fill.price for fill in ours), Decimal(0))


def ib_broker(needs: BrokerNeeds) -> Broker:
    """The connection to IB's gateway, real or simulated."""
    return IbBroker(link_settings(needs), sink=needs.sink, gate=needs.gate, clock=needs.clock, random=needs.random)


def link_settings(needs: BrokerNeeds) -> LinkSettings:
    """The configuration's `ib` group as the adapter takes it. Raises ConfigError when its library is not installed."""
    ib = needs.settings.ib
    check_installed(ib.client_library)
    return LinkSettings(
        host=ib.host,
        port=ib.port,
        client_id=ib.client_id,
        universe=tuple(Wanted(symbol=symbol, currency=needs.settings.currency) for symbol in needs.universe),
        market_data_type=ib.market_data_type,
        currency=needs.settings.currency,
        generic_ticks=SHARES_TO_BORROW if needs.settings.risk.allow_short else "",
        library=ib.client_library,
        connect_seconds=ib.connect_timeout_seconds,
        handshake_seconds=ib.connect_timeout_seconds,
        heartbeat_seconds=ib.heartbeat_seconds,
        heartbeat_timeout_seconds=ib.heartbeat_timeout_seconds,
        clock_check_seconds=max(ib.heartbeat_seconds, 60.0),
        download_seconds=ib.account_sync_timeout_seconds,
        backoff_first_seconds=ib.backoff_initial_seconds,
        backoff_longest_seconds=ib.backoff_max_seconds,
        messages_per_second=float(ib.messages_per_second),
        codes=with_named(read_codes(ib.codes_file)) if ib.codes_file else CODES,
    )

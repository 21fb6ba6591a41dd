"""Makes the broker a configuration asks for; called by the composition root's `build` by way of its ports."""

from __future__ import annotations

from longwatch.app import BrokerNeeds
from longwatch.broker.contracts import Wanted
from longwatch.broker.live import IbBroker
from longwatch.broker.settings import LinkSettings
from longwatch.ports import Broker


def broker_for(needs: BrokerNeeds) -> Broker:
    """The broker of the configured executor."""
    return ib_broker(needs)


def ib_broker(needs: BrokerNeeds) -> Broker:
    """The connection to IB's gateway, real or simulated."""
    return IbBroker(link_settings(needs), sink=needs.sink, gate=needs.gate, clock=needs.clock, random=needs.random)


def link_settings(needs: BrokerNeeds) -> LinkSettings:
    """The configuration's `ib` group as the adapter takes it."""
    ib = needs.settings.ib
    return LinkSettings(
        host=ib.host,
        port=ib.port,
        client_id=ib.client_id,
        universe=tuple(Wanted(symbol=symbol, currency=needs.settings.currency) for symbol in needs.universe),
        market_data_type=ib.market_data_type,
        connect_seconds=ib.connect_timeout_seconds,
        handshake_seconds=ib.connect_timeout_seconds,
        heartbeat_seconds=ib.heartbeat_seconds,
        heartbeat_timeout_seconds=ib.heartbeat_timeout_seconds,
        clock_check_seconds=max(ib.heartbeat_seconds, 60.0),
        download_seconds=ib.account_sync_timeout_seconds,
        backoff_first_seconds=ib.backoff_initial_seconds,
        backoff_longest_seconds=ib.backoff_max_seconds,
        messages_per_second=float(ib.messages_per_second),
    )

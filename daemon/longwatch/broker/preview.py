"""Asks what an order would bind of margin, without placing it; part of live.IbBroker."""

from __future__ import annotations

from functools import partial

from longwatch.broker.budget import Frame, Priority
from longwatch.broker.channel import Channel
from longwatch.domain import messages as m
from longwatch.errors import LinkError


def ask(channel: Channel, effect: m.RequestWhatIf) -> None:
    """Queue the question; an order whose question can't leave is withheld."""
    withheld = partial(_withheld, channel, effect.order.intent)
    try:
        data = channel.writer.order(effect)
    except (LinkError, ValueError) as error:
        withheld(str(error))
        return
    channel.budget.put(Frame(priority=Priority.ORDER, data=data, withheld=withheld))


def _withheld(channel: Channel, intent: int, reason: str) -> None:
    channel.emit(m.OrderWithheld, intent=intent, reason=reason)

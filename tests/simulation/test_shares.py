"""The judge's count of shares over time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from longwatch.gateway.events import Event, Happened
from longwatch.simulation.shares import shares_since, true_shares

BEGIN = datetime(2024, 3, 4, 14, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Fill:
    con_id: int
    quantity: Decimal
    price: Decimal
    at: datetime


def test_shares_since_an_instant_are_the_true_shares_at_it():
    """Fills, splits and transfers of three contracts, many at one instant: both counts agree at and between all."""
    random = Random("shares")
    at = [BEGIN + timedelta(minutes=random.randrange(40)) for _ in range(90)]
    fills = [Fill(random.randint(1, 3), Decimal(random.randint(-50, 80)), Decimal(7), one) for one in at[:60]]
    kinds = [Event(kind="split", symbol="X", ratio=random.choice(("2/1", "3/2", "1/5"))) for _ in at[60:]]
    events = [
        Happened(at=one, event=kind, con_id=random.randint(1, 3)) for one, kind in zip(at[60:], kinds, strict=True)
    ]
    events += [
        Happened(at=one, event=Event(kind="transfer", symbol="X", quantity=Decimal(9)), con_id=1) for one in at[:9]
    ]
    since = shares_since(fills, events)
    for minute in range(-1, 42):
        now = BEGIN + timedelta(minutes=minute)
        true = true_shares(fills, events, now)
        for con_id, (times, held) in since.items():
            before = [shares for one, shares in zip(times, held, strict=True) if one <= now]
            assert (before[-1] if before else Decimal(0)) == true.get(con_id, (Decimal(0), None))[0]
    assert len(since) == 3


def test_a_split_at_the_instant_of_a_fill_comes_first():
    """What is bought at the open of the day of a split is in new shares already."""
    fills = [Fill(1, Decimal(10), Decimal(100), BEGIN - timedelta(days=1)), Fill(1, Decimal(5), Decimal(50), BEGIN)]
    split = Happened(at=BEGIN, event=Event(kind="split", symbol="X", ratio="2/1"), con_id=1)
    assert shares_since(fills, [split])[1][1] == [10, 20, 25]

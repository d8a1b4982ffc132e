"""``decide.voice_from = "auto"`` on real servers: two workers, a floor without agents, and the price that follows."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import msgspec

from ringback import capacity, kafka
from ringback.capacity import Capacity
from ringback.clock import Clock
from ringback.decisions import Decision, Route
from ringback.records import CartEvent, EventKind, Item, Topic, encode
from ringback.redis_client import connect
from ringback.settings import KafkaSettings, RedisSettings
from tests.integration import topics
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess
from tests.stream.shop import ADA, NOON

DEADLINE = 120.0
# Ten business minutes in a second: the quarter of an hour that a price needs is soon over.
SPEED = 600.0
CARTS = 20
# Cents. What a call is worth moves by a tenth with the hour of the day, and hours pass here: that may not decide.
DEAR, CHEAPER = 200_000, 150_000
CAMPAIGN = "priced"
PRICE = "ringback_agent_time_price"


@asynccontextmanager
async def told(redis_server: Redis) -> AsyncIterator[None]:
    """As a dialer without a single agent tells it, all the time."""
    redis = connect(RedisSettings(url=redis_server.url))

    async def tell() -> None:
        while True:
            fields: Any = msgspec.structs.asdict(Capacity(agents=0, working=0, queued=0, wall=time.time()))
            await redis.hset(capacity.key(CAMPAIGN), mapping=fields)
            await asyncio.sleep(0.5)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await redis.aclose()


async def leave_carts(settings: KafkaSettings, name: str, now: float, *worth: int) -> None:
    """Shoppers who fill carts that are worth so much, in cents, each the next one's, and leave."""
    producer = await kafka.producer(settings)
    try:
        for number in range(CARTS):
            event = CartEvent(
                event_id=f"{name}-{number}",
                source="test",
                shopper_id=f"{name}-{number}",
                kind=EventKind.ITEM_ADDED,
                time=now,
                items=(Item(product_id="boots", unit_price=worth[number % len(worth)]),),
                currency="USD",
                shopper=ADA,
            )
            await producer.send_and_wait(Topic.CART_EVENTS.value, encode(event), key=event.shopper_id.encode())
    finally:
        await kafka.close(producer)


async def decisions(broker: Kafka, name: str) -> list[Decision]:
    """The decisions on these carts, once all are made."""
    async with asyncio.timeout(DEADLINE):
        while True:
            made = await topics.read(broker.bootstrap, Topic.DECISIONS, Decision)
            found = [one for one in made if one.shopper_id.startswith(name)]
            if len(found) >= CARTS:
                return found
            await asyncio.sleep(0.5)


async def priced(workers: list[RingbackProcess]) -> set[float]:
    """What the workers say that an agent-minute costs, once all of them say something."""
    async with asyncio.timeout(DEADLINE):
        while True:
            said = [worker.total(PRICE) for worker in workers]
            if all(price > 0 for price in said):
                return set(said)
            await asyncio.sleep(0.5)


async def test_where_nobody_can_call_the_price_turns_calls_into_messages(broker: Kafka, redis_server: Redis) -> None:
    wall = time.time()
    clock = Clock(NOON, wall, SPEED)
    env = {
        **broker.settings,
        "RINGBACK_REDIS__URL": redis_server.url,
        "RINGBACK_DIALER__CAMPAIGN": CAMPAIGN,
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_COMPLIANCE__HOURS": json.dumps({"US": {"open": "00:00", "close": "24:00", "days": list(range(7))}}),
        "RINGBACK_DECIDE__VOICE_FROM": "auto",
        "RINGBACK_DECIDE__HOLDOUT": "0",
        "RINGBACK_DECIDE__MAX_AGE": str(7 * 86400),
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ANY_HOUR": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(NOON),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(wall),
        "RINGBACK_SIMULATION__SPEED": str(SPEED),
        "RINGBACK_STREAM__IDLE_AFTER": "0.5",
    }
    settings = KafkaSettings(bootstrap=broker.bootstrap)
    async with told(redis_server):
        with ExitStack() as stack:
            workers = [stack.enter_context(RingbackProcess("stream", env)) for _ in range(2)]
            await leave_carts(settings, "early", clock.now(), DEAR, CHEAPER)
            early = await decisions(broker, "early")
            prices = await priced(workers)
            await leave_carts(settings, "late", clock.now(), CHEAPER)
            late = await decisions(broker, "late")
    assert {(one.route, one.worth[0].threshold_source) for one in early} == {(Route.VOICE, "fixed")}
    assert {(one.route, one.worth[0].threshold_source) for one in late} == {(Route.SMS, "shadow_price")}
    # A dollar is the common unit; the threshold is in cents a minute. Both workers had the same.
    assert len(prices) == 1
    assert {one.worth[0].threshold for one in late} == {round(price * 100 * 60) for price in prices}
    dearest = max(one.worth[0].per_minute or 0 for one in early)
    assert dearest < late[0].worth[0].threshold < dearest * 1.3

"""Never lost, never twice: workers, broker and Redis are disturbed at random moments, and every event is accounted for.

``RINGBACK_CHAOS_SEED`` repeats a run's events and disturbances (not the moments at which the processes meet them), and
``RINGBACK_CHAOS_KILLS`` says how often workers are killed.
"""

import asyncio
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from ringback import kafka as clients
from ringback.records import CartEvent, Topic
from ringback.redis_client import connect
from ringback.settings import Settings, load
from tests.chaos.disturber import DEADLINE, Delays, Disturber, Progress, StuckError
from tests.chaos.feed import Feeder, bulk, disordered, records, shop_events
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import Account, draw_up
from tests.chaos.proxy import Proxy
from tests.servers.embedded import EmbeddedKafka
from tests.servers.kafka import Kafka
from tests.servers.process import Server
from tests.servers.redis import Redis

CHANGELOG = "ringback-stream-shoppers-changelog"
KILLS = int(os.environ.get("RINGBACK_CHAOS_KILLS", "50"))
SEED = int(os.environ.get("RINGBACK_CHAOS_SEED") or secrets.randbelow(10**6))
EVENTS_A_STEP = 350
PADDED_EVENTS, PADDING = 400, 150_000
SESSION_SECONDS = 3.0
ZOMBIES = 4


def environment(bootstrap: str, redis_url: str, last: float) -> dict[str, str]:
    """Workers that live just after the last event, judge by events alone, and call at any time."""
    always = {"open": "00:00", "close": "24:00", "days": list(range(7)), "timezones": ["UTC"]}
    return {
        "RINGBACK_KAFKA__BOOTSTRAP": bootstrap,
        # So that a fourth worker is given some.
        "RINGBACK_KAFKA__PARTITIONS": "8",
        "RINGBACK_KAFKA__SESSION_TIMEOUT": str(SESSION_SECONDS),
        "RINGBACK_REDIS__URL": redis_url,
        "RINGBACK_DIALER__CHANNEL": "Local/{number}@shoppers",
        "RINGBACK_SIMULATION__ENABLED": "true",
        "RINGBACK_SIMULATION__ANY_HOUR": "true",
        "RINGBACK_SIMULATION__ORIGIN": str(last + 60),
        "RINGBACK_SIMULATION__WALL_ORIGIN": str(time.time()),
        "RINGBACK_STREAM__IDLE_AFTER": str(10**9),
        "RINGBACK_COMPLIANCE__HOURS": json.dumps(dict.fromkeys(("US", "CA", "GB", "FR", "DE"), always)),
        "RINGBACK_DECIDE__VOICE_FROM": '{"USD": 20, "EUR": 20, "GBP": 20, "CAD": 20}',
        "RINGBACK_DECIDE__MESSAGE_FROM": '{"USD": 2, "EUR": 2, "GBP": 2, "CAD": 2}',
        "RINGBACK_DECIDE__MAX_AGE": str(7 * 86400),
    }


def deck(kills: int, rng: Random) -> list[str]:
    pairs = kills // 10
    cards = ["kill"] * (kills - 2 * pairs) + ["kill two"] * pairs
    cards += ["rejoin"] * 5 + ["join and leave"] * 2 + ["zombie"] * ZOMBIES + ["clock"] * 4
    cards += ["broker", "redis", "redis away", "slow broker", "slow broker"]
    rng.shuffle(cards)
    return cards


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def all_taken(settings: Settings) -> None:
    """Wait until the group has committed every record of the cart events."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        async with reading(settings.kafka.bootstrap) as consumer, asyncio.timeout(DEADLINE):
            while True:
                offsets = await admin.list_consumer_group_offsets(settings.stream.app_id)
                mine = {top: meta.offset for top, meta in offsets.items() if top.topic == Topic.CART_EVENTS}
                ends = await consumer.end_offsets(list(mine))
                if len(mine) == settings.kafka.partitions and all(mine[top] >= ends[top] for top in mine):
                    return
                await asyncio.sleep(0.25)
    except TimeoutError:
        behind = {top.partition: (mine[top], ends[top]) for top in mine if mine[top] < ends[top]}
        raise StuckError(f"records are not committed within {DEADLINE:.0f} s (partition: at, end): {behind}") from None
    finally:
        await admin.close()


def tell(account: Account, disturber: Disturber, fleet: Fleet) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ringback-chaos-"))
    for worker in fleet.workers:
        if worker.log.exists():
            shutil.copy(worker.log, folder / f"{worker.label}.log")
    print("\n".join(disturber.journal))
    print(f"RINGBACK_CHAOS_SEED={SEED}, {disturber.kills} kills, {account.counts}")
    print(f"largest worker {fleet.largest >> 20} MiB; logs of the workers: {folder}")
    for what, found in account.faults.items():
        print(f"{what}:\n  " + "\n  ".join(found))


class Undelayed:
    """A way to the broker that is never slow."""

    latency = 0.0


async def disturbed(
    stack: AsyncExitStack,
    cards: list[str],
    settings: Settings,
    servers: tuple[Server, Server, Delays],
    fleet: Fleet,
    events: list[CartEvent],
    rng: Random,
) -> tuple[Account, Disturber]:
    """Feed the events to workers that are disturbed meanwhile, and draw up the account."""
    broker, redis, way = servers
    partitions = settings.kafka.partitions
    planned = list(records(disordered(events, settings.stream.lateness, rng), partitions, len(events) // 500, rng))
    padded = list(bulk(shop_events(SEED + 1, PADDED_EVENTS), partitions, PADDING)) if "redis away" in cards else []
    producing = await clients.producer(settings.kafka)
    stack.push_async_callback(clients.close, producing)
    feeder = Feeder(producing, planned, rng)
    stack.callback(fleet.close)
    for worker in fleet.workers:
        await asyncio.to_thread(worker.start)
    watching = asyncio.create_task(fleet.watch())
    consumer = await stack.enter_async_context(reading(settings.kafka.bootstrap))
    progress = Progress(consumer, CHANGELOG, partitions)
    disturber = Disturber(fleet, feeder, progress, broker, redis, way, padded, rng)
    account = Account()
    try:
        await disturber.run(cards)
        await all_taken(settings)
        watching.cancel()
        fleet.faults += [fault for worker in fleet.workers if (fault := await worker.leave())]
        ledger_redis = await stack.enter_async_context(connect(settings.redis))
        account = await draw_up(settings, CHANGELOG, feeder.ledger, ledger_redis)
    finally:
        watching.cancel()
        account.fault("processes", fleet.faults)
        account.fault("tracebacks", fleet.tracebacks())
        tell(account, disturber, fleet)
    return account, disturber


@pytest.mark.timeout(900)
async def test_never_lost_never_twice(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(SEED)  # noqa: S311 - seeded on purpose
    cards = deck(KILLS, rng)
    events = shop_events(SEED, EVENTS_A_STEP * len(cards))
    async with AsyncExitStack() as stack:
        broker, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        env = environment(broker.bootstrap, redis.url, events[-1].time)
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        proxy = await stack.enter_async_context(Proxy(broker.proxy_port, broker.behind_proxy))
        fleet = Fleet()
        behind = env | {"RINGBACK_KAFKA__BOOTSTRAP": f"127.0.0.1:{broker.proxy_port}"}
        for name in ("memory-1", "memory-2"):
            fleet.add(name, behind)
        fleet.add("rocksdb", behind | {"RINGBACK_STREAM__STORE": "rocksdb", "RINGBACK_STREAM__STANDBY": "1"})
        account, disturber = await disturbed(stack, cards, load(), (broker, redis, proxy), fleet, events, rng)
    assert not account.faults
    assert disturber.kills >= KILLS
    assert account.counts["voice"] > 50


@pytest.mark.timeout(300)
async def test_as_far_as_the_embedded_broker_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves one worker, keeps nothing when it is killed, and waits for ever for a member that was killed.

    So the one worker is sent away and comes back, its clock is set off, and Redis is killed.
    """
    rng = Random(SEED)  # noqa: S311 - seeded on purpose
    cards = ["rejoin"] * 3 + ["clock", "redis", "redis"]
    rng.shuffle(cards)
    # Fewer disturbances, and as many events as it takes for carts to become due.
    events = shop_events(SEED, 3 * EVENTS_A_STEP * len(cards))
    async with AsyncExitStack() as stack:
        broker, redis = stack.enter_context(EmbeddedKafka()), stack.enter_context(Redis())
        # It lets nobody in whose session is shorter than six seconds.
        session = {"RINGBACK_KAFKA__SESSION_TIMEOUT": "6"}
        env = environment(broker.bootstrap, redis.url, events[-1].time) | session
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        fleet = Fleet()
        fleet.add("alone", env, by=("-m", "ringback.embedded_client"))
        account, disturber = await disturbed(stack, cards, load(), (broker, redis, Undelayed()), fleet, events, rng)
    assert not account.faults
    assert len(disturber.journal) >= len(cards)
    assert account.counts["decisions"] > 0

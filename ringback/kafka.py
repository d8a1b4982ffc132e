"""Kafka: topics made explicitly, a producer that neither loses nor repeats, and waiting for a broker that is away."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from ringback.errors import SettingsError, Unavailable
from ringback.records import Topic
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

R = TypeVar("R")

PATIENCE = 60.0
RETRY_SECONDS = 0.5
REMIND_SECONDS = 10.0
LINGER_MS = 5
MOST_BATCH_BYTES = 256 * 1024
RECORDS_A_READ = 20_000
ASKING_MS = 5_000
MOST_READ_BYTES = 8 * 1024 * 1024

# 16 CFR 310.5: five years.
CALLS_DAYS = 5 * 366
RETENTION_DAYS: dict[Topic, int] = {
    Topic.CART_EVENTS: 7,
    Topic.DECISIONS: 90,
    Topic.OUTBOX: 7,
    Topic.CONTACTS: 180,
    Topic.CONVERSIONS: 180,
    Topic.CALLS: CALLS_DAYS,
    Topic.DEAD_LETTERS: 7,
}
CLOSING_SECONDS = 10.0


def partitions_of(topic: Topic, settings: KafkaSettings) -> int:
    """How many partitions a topic has: dead letters are keyed by source and need no more than one."""
    return 1 if topic is Topic.DEAD_LETTERS else settings.partitions


async def create_topics(settings: KafkaSettings, *, patience: float = PATIENCE) -> None:
    """Create the topics that do not exist yet, and return when the broker knows them all.

    Raises `SettingsError` when an existing topic has another number of partitions, or the brokers are too few for
    ``kafka.replication``; `Unavailable` when no broker answers within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            counts = await _created(settings, deadline)
            break
        except KafkaError as error:
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"Kafka at {settings.bootstrap} went away while topics were created: {error!r}"
                ) from None
            log.warning("Kafka went away while topics were created (%r); trying again", error)
            await asyncio.sleep(min(RETRY_SECONDS, patience))
    for topic in Topic:
        if not fits(topic, counts[topic], settings):
            raise SettingsError(partition_mismatch(topic, counts[topic], partitions_of(topic, settings)))


async def _created(settings: KafkaSettings, deadline: float) -> dict[str, int]:
    """Create what is missing; how many partitions each topic has then. What exists already is left as it is."""
    admin = await _admin(settings, max(0.0, deadline - time.monotonic()))
    try:
        response = await admin.create_topics([_new_topic(topic, settings) for topic in Topic])
        for name, code, message in (error[:3] for error in response.topic_errors):
            error = for_code(code)
            if error.retriable:
                raise error(message)
            if code and error is not TopicAlreadyExistsError:
                raise SettingsError(
                    f"topic {name} can't be created: {message or error.__name__}; see kafka.replication"
                )
        return await _settled(admin, settings, deadline)
    finally:
        await admin.close()


def fits(topic: Topic, found: int, settings: KafkaSettings) -> bool:
    """Whether a topic that has so many partitions can be used.

    Nothing but an export reads calls: they outlive a new start with another number of partitions.
    """
    return topic is Topic.CALLS or found == partitions_of(topic, settings)


def partition_mismatch(topic: Topic, found: int, wanted: int) -> str:
    """What to tell when a topic has another number of partitions than the settings say."""
    if topic is Topic.DEAD_LETTERS:
        return f"topic {topic} has {found} partitions, and must have {wanted}: delete it"
    return (
        f"topic {topic} has {found} partitions, kafka.partitions is {wanted}: set kafka.partitions = {found}, or "
        "delete all ringback.* topics but ringback.calls and start anew; the number can't change while carts are open"
    )


async def partition_counts(settings: KafkaSettings, *, patience: float) -> dict[str, int]:
    """How many partitions each existing topic has, other people's topics too. Raises `Unavailable`."""
    admin = await _admin(settings, patience)
    try:
        return await _counts(admin)
    except KafkaError as error:
        raise Unavailable(f"Kafka at {settings.bootstrap} does not list its topics: {error!r}") from None
    finally:
        await admin.close()


async def producer(
    settings: KafkaSettings, *, patience: float = PATIENCE, linger_ms: int = LINGER_MS
) -> AIOKafkaProducer:
    """A started producer, idempotent and acknowledged by all in-sync replicas; stop it with `close`.

    Sends that are under way when the broker goes are repeated until it is back, in order and without duplicates.
    Raises `Unavailable` when no broker answers within ``patience`` seconds.
    """

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=_hosts(settings),
            acks="all",
            enable_idempotence=True,
            linger_ms=linger_ms,
            max_batch_size=MOST_BATCH_BYTES,
            request_timeout_ms=int(settings.request_timeout * 1000),
        )

    return await _started(make, AIOKafkaProducer.stop, settings, patience)


def reader(settings: KafkaSettings, group: str | None = None) -> AIOKafkaConsumer:
    """A consumer that reads what it is assigned, in large steps; the caller starts and stops it.

    It soon gives up: who waits for a broker that is silent asks again, and notices that another one has taken over.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=_hosts(settings),
        group_id=group,
        request_timeout_ms=ASKING_MS,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MOST_READ_BYTES,
        fetch_max_wait_ms=50,
    )


async def until(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]
) -> AsyncIterator[tuple[TopicPartition, list[ConsumerRecord[bytes, bytes]]]]:
    """The records of assigned partitions from their positions to these ends, all partitions at once."""
    reading = set(ends)
    while True:
        for top in list(reading):
            if await consumer.position(top) >= ends[top]:
                reading.discard(top)
                consumer.pause(top)
        if not reading:
            return
        for top, records in (await consumer.getmany(*reading, timeout_ms=1000, max_records=RECORDS_A_READ)).items():
            yield top, records


async def persistently(what: str, ask: Callable[[], Awaitable[R]]) -> R:
    """What is asked of Kafka, as often as it takes. ``what`` is told while there is no answer."""
    while True:
        try:
            return await ask()
        except KafkaError as error:
            log.warning("%s: Kafka does not answer (%r); trying again", what, error)
            await asyncio.sleep(RETRY_SECONDS)


async def close(producing: AIOKafkaProducer, *, within: float = CLOSING_SECONDS) -> bool:
    """Send what still waits and stop; False when the broker did not take it in time."""
    try:
        await asyncio.wait_for(producing.stop(), within)
    except TimeoutError:
        log.warning("Kafka did not take the last messages within %.0f s; they are given up", within)
        return False
    return True


class _Starts(Protocol):
    async def start(self) -> None: ...


C = TypeVar("C", bound=_Starts)


async def _started(
    make: Callable[[], C], stop: Callable[[C], Awaitable[None]], settings: KafkaSettings, patience: float
) -> C:
    began = time.monotonic()
    reminded = began - REMIND_SECONDS
    while True:
        client = make()
        try:
            # Not asyncio.wait_for, which on Python 3.11 may lose a cancellation.
            async with asyncio.timeout(settings.request_timeout):
                await client.start()
        except (KafkaError, OSError, TimeoutError):
            await stop(client)
        except BaseException:
            await stop(client)
            raise
        else:
            return client
        now = time.monotonic()
        if now - began >= patience:
            raise Unavailable(
                f"Kafka at {settings.bootstrap} can't be reached: start it, or set kafka.bootstrap (host:port)"
            )
        if now - reminded >= REMIND_SECONDS:
            log.warning("Kafka at %s can't be reached; trying again", settings.bootstrap)
            reminded = now
        await asyncio.sleep(min(RETRY_SECONDS, patience))


async def _admin(settings: KafkaSettings, patience: float) -> AIOKafkaAdminClient:
    def make() -> AIOKafkaAdminClient:
        return AIOKafkaAdminClient(bootstrap_servers=_hosts(settings))

    return await _started(make, AIOKafkaAdminClient.close, settings, patience)


def _hosts(settings: KafkaSettings) -> list[str]:
    hosts = [host.strip() for host in settings.bootstrap.split(",")]
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name or not port.isdigit():
            raise SettingsError(f"kafka.bootstrap: expected host:port, several separated by commas; came {host!r}")
    return hosts


def _new_topic(topic: Topic, settings: KafkaSettings) -> NewTopic:
    config = {
        "cleanup.policy": "delete",
        "retention.ms": str(RETENTION_DAYS[topic] * 86_400_000),
        "min.insync.replicas": str(max(1, settings.replication - 1)),
    }
    return NewTopic(topic.value, partitions_of(topic, settings), settings.replication, topic_configs=config)


async def _counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    # All topics: some brokers create a topic when its description is asked for by name.
    described = await admin.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


async def _settled(admin: AIOKafkaAdminClient, settings: KafkaSettings, deadline: float) -> dict[str, int]:
    while True:
        counts = await _counts(admin)
        if all(counts.get(topic) for topic in Topic):
            return counts
        if time.monotonic() > deadline:
            missing = ", ".join(topic for topic in Topic if not counts.get(topic))
            raise Unavailable(f"Kafka at {settings.bootstrap} does not show the topics it created: {missing}")
        await asyncio.sleep(0.1)

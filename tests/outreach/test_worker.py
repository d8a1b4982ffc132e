"""``ringback outreach`` as a process, started as an operator would."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis

from outreach.courier import HELD_SECONDS
from outreach.dispatcher import GROUP
from outreach.worker import run
from ringback.clock import Clock
from ringback.decisions import Message
from ringback.errors import SettingsError
from ringback.kafka import create_topics
from ringback.records import ContactKind
from ringback.settings import KafkaSettings, OutreachSettings, RedisSettings, Settings, load
from tests.outreach.gateway import Gateway
from tests.outreach.messages import message
from tests.outreach.outbox import committed, contacts, publish, until
from tests.outreach.test_dispatcher import running
from tests.servers.embedded import EmbeddedKafka
from tests.servers.ringback import RingbackProcess


@pytest.fixture
async def kafka(embedded_kafka: EmbeddedKafka) -> KafkaSettings:
    settings = embedded_kafka.kafka_settings(partitions=2)
    await create_topics(settings)
    return settings


def current(n: int) -> Message:
    now = time.time()
    return message(n, last_activity=now - 1800, send_from=now - 60, send_until=now + 3600, time=now)


@contextmanager
def process(kafka: KafkaSettings, redis: RedisSettings, gateway: Gateway) -> Iterator[RingbackProcess]:
    settings = {
        "RINGBACK_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "RINGBACK_KAFKA__PARTITIONS": str(kafka.partitions),
        "RINGBACK_REDIS__URL": redis.url.get_secret_value(),
        "RINGBACK_OUTREACH__URL": gateway.url,
        "RINGBACK_OUTREACH__TOKEN": gateway.token,
        "RINGBACK_OUTREACH__SHOP_NAME": "Acme",
    }
    outreach = RingbackProcess("outreach", settings)
    try:
        yield outreach
    finally:
        outreach.close()


async def test_it_sends_reports_and_stops_cleanly(
    kafka: KafkaSettings, redis_settings: RedisSettings, redis: Redis, gateway: Gateway
) -> None:
    gateway.token = "hush"
    await publish(kafka, [current(n) for n in range(5)])
    with process(kafka, redis_settings, gateway) as outreach:
        await asyncio.to_thread(outreach.start)
        events = await contacts(kafka, at_least=5)
        assert await asyncio.to_thread(outreach.health, "livez")
        await publish(kafka, [current(5)])
        await contacts(kafka, at_least=6)
        assert await asyncio.to_thread(outreach.total, "ringback_messages_total", outcome="sent") == 6
        child = outreach._child
        await asyncio.to_thread(outreach.stop)
        written = outreach.log.read_text()
    assert child is not None
    assert child.returncode == 0
    assert "555" not in written
    assert "hush" not in written
    assert "Traceback" not in written
    assert {event.kind for event in events} == {ContactKind.SENT}
    assert sorted(gateway.accepted) == [f"message-{n}" for n in range(6)]
    assert await committed(kafka, GROUP) == 6


async def test_a_crash_between_claim_and_answer_loses_a_message_and_does_not_send_it_twice(
    embedded_kafka: EmbeddedKafka, kafka: KafkaSettings, redis_settings: RedisSettings, redis: Redis, gateway: Gateway
) -> None:
    gateway.silent = True
    await publish(kafka, [current(1)])
    with process(kafka, redis_settings, gateway) as outreach:
        await asyncio.to_thread(outreach.start)
        await until(lambda: gateway.posted, "the message is posted")
        outreach.kill()
    gateway.silent = False
    # Apache Kafka leaves a dead member out after its session; the embedded broker forgets it in a restart only.
    await asyncio.to_thread(embedded_kafka.restart)
    later = Clock(origin=time.time() + 2 * HELD_SECONDS, wall_origin=time.time())
    async with running(kafka, redis, gateway, later):
        events = await contacts(kafka, at_least=1)
    assert [(event.kind, event.detail) for event in events] == [(ContactKind.FAILED, "unknown")]
    assert len(gateway.posted) == 1


@pytest.mark.parametrize(
    ("outreach", "key"),
    [
        (OutreachSettings(shop_name="Acme"), r"outreach\.url is not set"),
        (OutreachSettings(url="http://127.0.0.1:1/"), r"outreach\.shop_name is not set"),
    ],
)
async def test_without_an_address_or_a_name_it_refuses_to_start(outreach: OutreachSettings, key: str) -> None:
    with pytest.raises(SettingsError, match=key):
        await run(Settings(outreach=outreach))


@pytest.mark.parametrize("url", ["https://sms.example/v1", "http://10.0.0.1/", "http://127.0.0.1.example/"])
def test_a_simulation_reaches_no_provider_but_on_loopback(url: str) -> None:
    with pytest.raises(SettingsError, match=r"loopback outreach\.url"):
        load({"simulation.enabled": True, "dialer.channel": "Local/{number}@x", "outreach.url": url})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8090/messages", "http://localhost:1/", "http://[::1]:1/"])
def test_a_simulation_may_have_a_provider_on_loopback(url: str) -> None:
    loaded = load({"simulation.enabled": True, "dialer.channel": "Local/{number}@x", "outreach.url": url})
    assert loaded.outreach.url == url


@pytest.mark.parametrize("url", ["", "sms.example", "ftp://sms.example", "https://user:secret@sms.example/", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"outreach\.url: expected http") as raised:
        load({"outreach.url": url})
    assert "secret@" not in str(raised.value)

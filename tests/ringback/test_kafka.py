"""Topics are made once, explicitly, and must be as the settings say."""

import asyncio
import logging

import pytest

from ringback.errors import SettingsError, Unavailable
from ringback.kafka import PATIENCE, close, create_topics, partition_counts, producer
from ringback.records import Topic
from ringback.settings import KafkaSettings
from tests.integration.topics import records
from tests.servers.embedded import EmbeddedKafka

NOWHERE = KafkaSettings(bootstrap="127.0.0.1:1")


async def test_topics_are_created_once(embedded_kafka: EmbeddedKafka) -> None:
    settings = embedded_kafka.kafka_settings(partitions=3)
    await create_topics(settings)
    await create_topics(settings)
    counts = await partition_counts(settings, patience=PATIENCE)
    assert {topic: counts[topic] for topic in Topic} == {
        topic: 1 if topic is Topic.DEAD_LETTERS else 3 for topic in Topic
    }


async def test_another_number_of_partitions(embedded_kafka: EmbeddedKafka) -> None:
    await create_topics(embedded_kafka.kafka_settings(partitions=3))
    with pytest.raises(SettingsError) as refused:
        await create_topics(embedded_kafka.kafka_settings(partitions=4))
    for words in (Topic.CART_EVENTS, "has 3 partitions", "kafka.partitions is 4", "set kafka.partitions = 3"):
        assert words in str(refused.value)


async def test_too_few_brokers(embedded_kafka: EmbeddedKafka) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.replication"):
        await create_topics(embedded_kafka.kafka_settings(replication=3))


async def test_a_broker_that_comes_later(caplog: pytest.LogCaptureFixture) -> None:
    broker = EmbeddedKafka()
    waiting = asyncio.create_task(create_topics(broker.kafka_settings()))
    with caplog.at_level(logging.WARNING, "ringback.kafka"):
        while "trying again" not in caplog.text:  # noqa: ASYNC110 - a log line sets no event
            await asyncio.sleep(0.01)
        assert f"Kafka at {broker.bootstrap} can't be reached" in caplog.text
        with broker:
            await asyncio.wait_for(waiting, 30)
            assert Topic.CART_EVENTS in await partition_counts(broker.kafka_settings(), patience=PATIENCE)


async def test_no_broker() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 can't be reached"):
        await producer(NOWHERE, patience=0.1)


@pytest.mark.parametrize("bootstrap", ["", "kafka", "kafka:port", "127.0.0.1:9092,kafka"])
async def test_an_address_that_is_none(bootstrap: str) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap: expected host:port"):
        await producer(KafkaSettings(bootstrap=bootstrap), patience=0.1)


async def test_messages_of_a_key_stay_in_order(embedded_kafka: EmbeddedKafka) -> None:
    settings = embedded_kafka.kafka_settings(partitions=3)
    await create_topics(settings)
    producing = await producer(settings)
    for number in range(300):
        await producing.send(Topic.CONTACTS, str(number).encode(), key=str(number % 7).encode())
    assert await close(producing)
    by_key: dict[bytes | None, list[int]] = {}
    for record in await records(embedded_kafka.bootstrap, Topic.CONTACTS):
        assert record.value is not None
        by_key.setdefault(record.key, []).append(int(record.value))
    assert sorted(number for numbers in by_key.values() for number in numbers) == list(range(300))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_closing_while_the_broker_is_away(embedded_kafka: EmbeddedKafka) -> None:
    settings = embedded_kafka.kafka_settings(partitions=1)
    await create_topics(settings)
    producing = await producer(settings)
    await producing.send_and_wait(Topic.CONTACTS, b"first")
    embedded_kafka.stop()
    lost = await producing.send(Topic.CONTACTS, b"second")
    lost.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    assert not await close(producing, within=0.5)

"""Events and dead letters on their way into Kafka, on the embedded broker."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from ingest.publisher import Publisher
from ringback.envelope import partition_of, unpack
from ringback.errors import Unavailable
from ringback.records import CartEvent, DeadLetter, EventKind, Topic, decoder
from ringback.settings import KafkaSettings
from tests.servers.embedded import EmbeddedKafka

PARTITIONS = 3
EVENTS = [
    CartEvent(
        event_id=f"e{number}", source="shop", shopper_id=f"s{number % 5}", kind=EventKind.OTHER, time=float(number)
    )
    for number in range(40)
]
LETTER = DeadLetter(source="shopify/example", stage="ingest", reason="malformed", detail="x", payload=b"y", time=1.0)


@pytest.fixture
async def publisher(embedded_kafka: EmbeddedKafka) -> AsyncIterator[Publisher]:
    publishing = Publisher(embedded_kafka.kafka_settings(partitions=PARTITIONS, request_timeout=1.0))
    await publishing.connect()
    yield publishing
    await publishing.close()


async def records(broker: EmbeddedKafka, topic: Topic, count: int) -> list[ConsumerRecord]:
    consumer = AIOKafkaConsumer(topic.value, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def test_events_are_packed_by_partition(publisher: Publisher, embedded_kafka: EmbeddedKafka) -> None:
    await publisher.publish(EVENTS)
    decode = decoder(CartEvent).decode
    read: list[CartEvent] = []
    used = {partition_of(event.shopper_id, PARTITIONS) for event in EVENTS}
    for record in await records(embedded_kafka, Topic.CART_EVENTS, len(used)):
        packed = [decode(raw) for raw in unpack(record.value)]
        assert record.key is None
        assert {partition_of(event.shopper_id, PARTITIONS) for event in packed} == {record.partition}
        assert packed == sorted(packed, key=lambda event: event.time)
        read += packed
    assert sorted(read, key=lambda event: event.time) == EVENTS


async def test_dead_letters_have_their_source_as_key(publisher: Publisher, embedded_kafka: EmbeddedKafka) -> None:
    await publisher.publish([], [LETTER])
    (record,) = await records(embedded_kafka, Topic.DEAD_LETTERS, 1)
    assert (record.key, decoder(DeadLetter).decode(record.value)) == (b"shopify/example", LETTER)


async def test_a_broker_goes_away_and_comes_back(publisher: Publisher, embedded_kafka: EmbeddedKafka) -> None:
    assert publisher.connected
    embedded_kafka.stop()
    with pytest.raises(Unavailable, match="did not take"):
        await publisher.publish(EVENTS)
    embedded_kafka.start()
    await publisher.publish([], [LETTER])
    assert len(await records(embedded_kafka, Topic.DEAD_LETTERS, 1)) == 1


async def test_before_there_is_a_broker() -> None:
    publisher = Publisher(KafkaSettings(bootstrap="127.0.0.1:1"))
    assert not publisher.connected
    with pytest.raises(Unavailable, match="not reached yet"):
        await publisher.publish(EVENTS)
    await publisher.close()

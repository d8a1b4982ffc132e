"""Makes topics, and reads whole ones, as the tests see them."""

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ringback.records import decoder

R = TypeVar("R", bound=msgspec.Struct)


async def create(bootstrap: str, topic: str, partitions: int = 1) -> None:
    """A new topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, partitions, 1)])
    finally:
        await admin.close()


async def records(bootstrap: str, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """Every record of a topic up to its present end, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        found: list[ConsumerRecord[bytes, bytes]] = []
        # A consumer without a group learns of a topic only when it is asked for its partitions.
        await consumer._client.force_metadata_update()
        numbers = consumer.partitions_for_topic(topic) or set()
        for number in sorted(numbers):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            while await consumer.position(partition) < end:
                for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                    found.extend(batch)
        return found
    finally:
        await consumer.stop()


async def read(bootstrap: str, topic: str, kind: type[R]) -> list[R]:
    """Every record of a topic, decoded."""
    decode = decoder(kind).decode
    return [decode(record.value) for record in await records(bootstrap, topic) if record.value is not None]


def newest(found: Iterable[ConsumerRecord[bytes, bytes]]) -> dict[bytes, bytes]:
    """The last value of each key, without those that were deleted: what a changelog holds."""
    values: dict[bytes, bytes | None] = {record.key or b"": record.value for record in found}
    return {key: value for key, value in values.items() if value is not None}

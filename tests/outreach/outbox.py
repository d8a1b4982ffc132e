"""The outbox and the contacts, written and read by tests."""

import asyncio
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from ringback import kafka
from ringback.decisions import Message
from ringback.records import ContactEvent, Topic, decoder, encode
from ringback.settings import KafkaSettings

PATIENCE_S = 30.0
_decode = decoder(ContactEvent).decode


async def publish(settings: KafkaSettings, messages: Iterable[Message | bytes]) -> None:
    """Put messages into the outbox, each where its shopper's key belongs."""
    producer = await kafka.producer(settings)
    for message in messages:
        if isinstance(message, bytes):
            await producer.send_and_wait(Topic.OUTBOX.value, message, partition=0)
        else:
            await producer.send_and_wait(Topic.OUTBOX.value, encode(message), key=message.shopper_id.encode())
    await kafka.close(producer)


async def contacts(settings: KafkaSettings, *, at_least: int = 0) -> list[ContactEvent]:
    """All contact events, once there are so many. Each must have its shopper's key."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        tops = [TopicPartition(Topic.CONTACTS.value, number) for number in range(settings.partitions)]
        consumer.assign(tops)
        await consumer.seek_to_beginning(*tops)
        found: list[ContactEvent] = []
        deadline = time.monotonic() + PATIENCE_S
        while True:
            ends = await consumer.end_offsets(tops)
            behind = any([await consumer.position(top) < ends[top] for top in tops])
            if not behind and len(found) >= at_least:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} contact events within {PATIENCE_S:g} s, not {at_least}")
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    event = _decode(record.value)
                    assert record.key == event.shopper_id.encode()
                    found.append(event)
    finally:
        await consumer.stop()


async def committed(settings: KafkaSettings, group: str) -> int:
    """How many records of the outbox a group has committed, over all partitions."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        tops = [TopicPartition(Topic.OUTBOX.value, number) for number in range(settings.partitions)]
        consumer.assign(tops)
        return sum([await consumer.committed(top) or 0 for top in tops])
    finally:
        await consumer.stop()


async def until(condition: Callable[[], object], what: str) -> None:
    """Return when the condition holds; TimeoutError that names it otherwise."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():  # noqa: ASYNC110 - the condition is of any kind
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {PATIENCE_S:g} s") from None

"""What the stream publishes: decisions, conversions, messages, dead letters; each decision once, whatever crashes.

A worker that dies between publishing and writing its state would publish the same decisions again. So each state
carries the ends of the output partitions before it was written, and whoever takes over a partition reads what was
published after them, and does not publish that again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ringback import kafka
from ringback.records import Topic, decoder, encode
from ringback.settings import KafkaSettings

ONCE = (Topic.DECISIONS, Topic.CONVERSIONS)
Marks = tuple[int, int]
# A partition without marks has published nothing since its states were lost; its last records still count.
LONGEST_TAIL = 10_000


@dataclass(frozen=True, slots=True)
class Output:
    """One record to publish; ``partition`` is the shopper's, None lets the key choose."""

    topic: Topic
    key: bytes
    record: msgspec.Struct
    partition: int | None


class _Published(msgspec.Struct):
    decision_id: str
    order_id: str | None = None
    contact_id: str | None = None


_decode_published = decoder(_Published).decode


def identity(record: msgspec.Struct) -> str:
    """What makes a decision or a conversion the same one. A conversion comes again when its contact is learnt late."""
    published = msgspec.convert(record, _Published, from_attributes=True)
    return _identity(published)


def _identity(published: _Published) -> str:
    if published.order_id is None:
        return published.decision_id
    return f"{published.decision_id}/{published.order_id}/{published.contact_id or ''}"


class Outputs:
    """Publishes with acknowledgement by all in-sync replicas, and reads back what was published."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect; waits for a broker that isn't there yet."""
        self._producer = await kafka.producer(self._settings)

    async def stop(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def publish(self, outputs: Sequence[Output]) -> dict[Topic, int]:
        """Publish and wait until Kafka has it all. Returns, for the topics of `ONCE`, the offset after the last record.

        Raises `KafkaError` when it can't; some of the outputs may have landed all the same.
        """
        if self._producer is None:
            await self.start()
        assert self._producer is not None  # noqa: S101 - for the type checker
        sends = [
            await self._producer.send(out.topic, encode(out.record), key=out.key, partition=out.partition)
            for out in outputs
        ]
        ends: dict[Topic, int] = {}
        for out, landed in zip(outputs, await asyncio.gather(*sends), strict=True):
            if out.topic in ONCE:
                ends[out.topic] = landed.offset + 1
        return ends

    async def tail(self, partition: int, marks: Marks) -> tuple[set[str], Marks]:
        """What was published in a partition after ``marks``: the identities, and where the partition ends now."""
        tops = [TopicPartition(topic, partition) for topic in ONCE]
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(tops)
            ends = await consumer.end_offsets(tops)
            begins = await consumer.beginning_offsets(tops)
            known: set[str] = set()
            for top, mark in zip(tops, marks, strict=True):
                start = max(mark or ends[top] - LONGEST_TAIL, begins[top])
                if start < ends[top]:
                    known.update(await _read(consumer, top, start, ends[top]))
            return known, (ends[tops[0]], ends[tops[1]])
        finally:
            await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, top: TopicPartition, start: int, end: int) -> Iterable[str]:
    consumer.assign([top])
    consumer.seek(top, start)
    found: list[str] = []
    while await consumer.position(top) < end:
        for records in (await consumer.getmany(top, timeout_ms=1000)).values():
            found.extend(_identity(_decode_published(record.value)) for record in records)
    return found

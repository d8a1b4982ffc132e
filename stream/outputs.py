"""What the stream publishes: decisions, conversions, messages, dead letters; each decision once, whatever crashes.

A worker that dies between publishing and writing its state would publish the same decisions again. So each state
carries the ends of the output partitions before it was written, and whoever takes over a partition reads what was
published after them, and does not publish that again.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import RecordMetadata

from ringback import kafka
from ringback.errors import Unavailable
from ringback.records import Topic, decoder, encode
from ringback.settings import KafkaSettings
from stream import gate

ANSWER_SECONDS = 5.0
ONCE = (Topic.DECISIONS, Topic.CONVERSIONS)
Marks = tuple[int, int]
# A partition without marks has published nothing since its states were lost; its last records still count.
LONGEST_TAIL = 10_000


@dataclass(frozen=True, slots=True)
class Output:
    """One record to publish; ``partition`` is the shopper's, None lets the key choose."""

    topic: str
    key: bytes
    record: msgspec.Struct | msgspec.Raw
    partition: int | None


class _Published(msgspec.Struct):
    decision_id: str
    order_id: str | None = None
    contact_id: str | None = None
    value: int = 0


_decode_published = decoder(_Published).decode


def identity(record: msgspec.Struct | msgspec.Raw) -> str:
    """What makes a decision or a conversion the same one.

    A conversion comes again when its contact is learnt late, or when something of its order is given back.
    """
    published = msgspec.convert(record, _Published, from_attributes=True)
    return _identity(published)


def _identity(published: _Published) -> str:
    if published.order_id is None:
        return published.decision_id
    return f"{published.decision_id}/{published.order_id}/{published.contact_id or ''}/{published.value}"


class Outputs:
    """Publishes with acknowledgement by all in-sync replicas, and reads back what was published.

    While it is ``doubtful`` whether the worker may write, nothing is sent: `stream.gate.NotSentError`.
    """

    def __init__(self, settings: KafkaSettings, doubtful: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._doubtful = doubtful
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def _producing(self) -> AIOKafkaProducer:
        # Several partitions are written at once: the first to come connects, for all.
        async with self._connecting:
            if self._producer is None:
                # What comes here was gathered already: nothing is won by waiting for more.
                self._producer = await kafka.producer(self._settings, patience=math.inf, linger_ms=0)
                gate.close_while(self._producer, self._doubtful)
            return self._producer

    async def stop(self) -> None:
        """Disconnect. After a `KafkaError` this must be done before more is sent."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def broker_answers(self) -> bool:
        """Whether somebody who comes anew is answered by Kafka."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await kafka.partition_counts(self._settings, patience=0.0)
        except (Unavailable, TimeoutError):
            return False
        return True

    async def change(self, topic: str, partition: int, changes: Mapping[bytes, bytes | None]) -> int:
        """Write to a changelog and wait until Kafka has it all; returns the offset of the last.

        ``changes`` may not be empty. Raises `KafkaError`.
        """
        producing = await self._producing()
        return await self._landed(await _send(producing, topic, partition, changes.items()))

    async def prepare(self, topics: Iterable[str]) -> None:
        """Connect and learn where the partitions of topics are: what follows is sent at once. Raises `KafkaError`."""
        producing = await self._producing()
        for topic in topics:
            await producing.partitions_for(topic)

    async def publish(self, outputs: Sequence[Output]) -> dict[tuple[str, int], int]:
        """Publish and wait until Kafka has it all.

        Returns, for each topic and partition that outputs named, the offset after their last one.

        Raises `KafkaError` when it can't; some of the outputs may have landed all the same.
        """
        producing = await self._producing()
        batches: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
        singles = []
        for out in outputs:
            value = encode(out.record)
            if out.partition is None:
                singles.append(await producing.send(out.topic, value, key=out.key))
            else:
                batches.setdefault((out.topic, out.partition), []).append((out.key, value))
        sent = [await _send(producing, *where, batch) for where, batch in batches.items()]
        landed = await asyncio.gather(*(self._landed(one) for one in sent), *singles)
        return {where: last + 1 for where, last in zip(batches, landed, strict=False)}

    async def _landed(self, sent: Sequence[tuple[Awaitable[RecordMetadata], int]]) -> int:
        """The offset of the last record of some batches, each with how many are in it."""
        landed = await asyncio.gather(*(batch for batch, _ in sent))
        last: int = landed[-1].offset + sent[-1][1] - 1
        return last

    async def tails(self, marks: Mapping[int, Marks]) -> dict[int, tuple[set[str], Marks]]:
        """What was published in partitions after their marks: the identities, and where the partition ends now.

        Raises `KafkaError`.
        """
        tops = {
            TopicPartition(topic, number): mark
            for number, pair in marks.items()
            for topic, mark in zip(ONCE, pair, strict=True)
        }
        if not tops:
            return {}
        consumer = kafka.reader(self._settings)
        try:
            await consumer.start()
            consumer.assign(list(tops))
            ends = await consumer.end_offsets(list(tops))
            begins = await consumer.beginning_offsets(list(tops))
            found: dict[TopicPartition, set[str]] = {top: set() for top in tops}
            for top, mark in tops.items():
                consumer.seek(top, max(mark or ends[top] - LONGEST_TAIL, begins[top]))
            async for top, records in kafka.until(consumer, ends):
                found[top].update(_identity(_decode_published(record.value)) for record in records)
        finally:
            await consumer.stop()
        return {
            number: (
                set().union(*(found[TopicPartition(topic, number)] for topic in ONCE)),
                (ends[TopicPartition(ONCE[0], number)], ends[TopicPartition(ONCE[1], number)]),
            )
            for number in marks
        }


async def _send(
    producing: AIOKafkaProducer, topic: str, partition: int, records: Iterable[tuple[bytes, bytes | None]]
) -> list[tuple[Awaitable[RecordMetadata], int]]:
    """Send records in whole batches: a tenth of what it costs to send them one by one."""
    sent, batch = [], producing.create_batch()
    for key, value in records:
        if batch.append(timestamp=None, key=key, value=value) is None:
            sent.append((await producing.send_batch(batch, topic, partition=partition), batch.record_count()))
            batch = producing.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    sent.append((await producing.send_batch(batch, topic, partition=partition), batch.record_count()))
    return sent

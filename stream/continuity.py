"""Every record is taken, and in its order; what is passed over is gone back for, and what is durable is committed.

A fetch that was under way while the partitions were dealt anew may be delivered after the consumer went back to the
committed offset, and then what lies before it is taken for read. Faust also drops what waits in its queues whenever the
flow of records resumes. So nothing that comes after a gap is taken: the gap is read first.

Faust counts acknowledgements, and is wrong where one comes twice, or while the partitions are dealt anew; and what it
could not commit it takes for committed. Here records are taken in order and become durable in order, so that the last
one says how far a partition has come.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from ringback.kafka import reader
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

# A batch that is being delivered moves the consumer on once more: it is sent back again and again.
AGAIN_SECONDS = 0.5
# Longer than it takes to deliver a batch.
DROPPED_SECONDS = 1.0

Starts = Callable[[Iterable[TP]], Awaitable[dict[TP, int]]]


class Continuity:
    """What comes next in each partition. ``starts`` says where to begin, which is never before a log begins.

    ``committed`` is where the group would go on in each partition, as far as this worker knows.
    """

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self.committed: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        self._durable: dict[TP, int] = {}
        self._sent_back: dict[TP, float] = {}
        self._dropped_since: dict[TP, float] = {}

    async def begin(self, partitions: Iterable[TP]) -> None:
        """Begin with these partitions where the group has committed, and with no others. Raises `KafkaError`."""
        self._next, self._durable, self._sent_back, self._dropped_since = {}, {}, {}, {}
        self.committed = await self._starts(partitions)
        self._next = dict(self.committed)

    def admits(self, partition: TP, offset: int) -> bool:
        """Whether a record may be taken: it follows the last one, or came before it."""
        following = self._next.get(partition)
        if following is None or offset > following:
            return False
        if offset == following:
            self._next[partition] = offset + 1
        return True

    def has_taken(self, partition: TP, end: int) -> bool:
        """Whether all records before this offset were taken."""
        return self._next.get(partition, -1) >= end

    def durable(self, partition: TP, offset: int) -> None:
        """What follows from this record, and from all that were taken before it, is durable."""
        self._durable[partition] = max(self._durable.get(partition, 0), offset + 1)

    def to_commit(self) -> dict[TP, int]:
        """Where the group may go on from now on, in those partitions in which it does not know it yet."""
        return {one: offset for one, offset in self._durable.items() if offset > self.committed.get(one, -1)}

    def has_committed(self, offsets: Mapping[TP, int]) -> None:
        """Kafka has these now."""
        self.committed |= {one: max(offset, self.committed.get(one, -1)) for one, offset in offsets.items()}

    async def go_back(self, consumer: Any, message: Any) -> None:
        """Leave a record that is not admitted, and read what lies before it."""
        # It is delivered again; what waits for all to be acknowledged must not wait for this one.
        consumer.unacked.discard(message)
        partition, now = message.tp, time.monotonic()
        following = self._next.get(partition)
        if following is None or now - self._sent_back.get(partition, 0.0) < AGAIN_SECONDS:
            return
        log.warning("%s, partition %d: offset %d came after %d; going back", *partition, message.offset, following - 1)
        await self._seek(consumer, partition, following, now)

    async def look(self, consumer: Any, partition: TP, position: int, *, on_its_way: bool) -> None:
        """Go back where records before ``position``, up to which all was delivered, were dropped, and none follows."""
        now, following = time.monotonic(), self._next.get(partition)
        if on_its_way or following is None or following >= position:
            self._dropped_since.pop(partition, None)
        elif now - self._dropped_since.setdefault(partition, now) >= DROPPED_SECONDS:
            del self._dropped_since[partition]
            log.warning("%s, partition %d: the last records from %d on were dropped; going back", *partition, following)
            await self._seek(consumer, partition, following, now)

    async def _seek(self, consumer: Any, partition: TP, following: int, now: float) -> None:
        self._sent_back[partition] = now
        try:
            begin = (await self._starts([partition]))[partition]
            if begin > following:  # the log has lost its beginning
                self._next[partition] = self.committed[partition] = begin
            await consumer.seek(partition, self._next[partition])
        except (IllegalStateError, KafkaError) as error:
            log.warning("%s, partition %d: can't go back now (%r)", *partition, error)


async def committed(settings: KafkaSettings, group: str, partitions: Iterable[TP]) -> dict[TP, int]:
    """Where a group goes on in these partitions: what it committed, or where the log begins. Raises `KafkaError`."""
    tops = {TopicPartition(*partition): partition for partition in partitions}
    if not tops:
        return {}
    consumer = reader(settings, group)
    try:
        await consumer.start()
        consumer.assign(list(tops))
        begins = await consumer.beginning_offsets(list(tops))
        return {partition: max(begins[top], await consumer.committed(top) or 0) for top, partition in tops.items()}
    finally:
        await consumer.stop()

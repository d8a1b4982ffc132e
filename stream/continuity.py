"""Every record is taken, and in its order: what is passed over is gone back for.

A fetch that was under way while the partitions were dealt anew may be delivered after the consumer went back to the
committed offset, and then what lies before it is taken for read. Faust also commits over a gap of one. So nothing that
comes after a gap is taken, or acknowledged: the gap is read first.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.types import TP

from ringback.kafka import reader
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

# A batch that is being delivered moves the consumer on once more: it is sent back again and again.
AGAIN_SECONDS = 0.5

Starts = Callable[[Iterable[TP]], Awaitable[dict[TP, int]]]


class Continuity:
    """What comes next in each partition. ``starts`` says where to begin, which is never before a log begins.

    ``begun`` is where each partition was begun.
    """

    def __init__(self, starts: Starts) -> None:
        self._starts = starts
        self.begun: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        self._sent_back: dict[TP, float] = {}

    async def begin(self, partitions: Iterable[TP]) -> None:
        """Begin with these partitions where the group has committed, and with no others. Raises `KafkaError`."""
        self._next = {}
        self._sent_back = {}
        self.begun = await self._starts(partitions)
        self._next = dict(self.begun)

    def admits(self, partition: TP, offset: int) -> bool:
        """Whether a record may be taken: it follows the last one, or came before it."""
        following = self._next.get(partition)
        if following is None or offset > following:
            return False
        if offset == following:
            self._next[partition] = offset + 1
        return True

    async def go_back(self, consumer: Any, message: Any) -> None:
        """Leave a record that is not admitted, and read what lies before it."""
        # It is delivered again; what waits for all to be acknowledged must not wait for this one.
        consumer.unacked.discard(message)
        partition, now = message.tp, time.monotonic()
        following = self._next.get(partition)
        if following is None or now - self._sent_back.get(partition, 0.0) < AGAIN_SECONDS:
            return
        self._sent_back[partition] = now
        log.warning("%s, partition %d: offset %d came after %d; going back", *partition, message.offset, following - 1)
        try:
            begin = (await self._starts([partition]))[partition]
            if begin > following:  # the log has lost its beginning
                self._next[partition] = self.begun[partition] = begin
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

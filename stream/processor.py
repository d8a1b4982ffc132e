"""The partitions of one worker: takes their records, and hands what follows from them to the flusher."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ringback.clock import Clock
from ringback.metrics import StreamMetrics
from ringback.records import decoder
from ringback.settings import Settings
from stream.carts import ShopperState
from stream.flush import Flusher, Revoked
from stream.outputs import Marks
from stream.partition import Partition, Scorer
from stream.table import ShopperTable

log = logging.getLogger(__name__)

_decode_state = decoder(ShopperState).decode


class Record(Protocol):
    """What is needed of a Kafka record."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: float


class Processor:
    """Pure partitions on one side, the flusher on the other."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        model: Scorer,
        table: ShopperTable,
        flusher: Flusher,
        metrics: StreamMetrics,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.partitions: dict[int, Partition] = {}
        self._clock = clock
        self._model = model
        self._table = table
        self._flusher = flusher

    async def recovered(self, numbers: set[int]) -> None:
        """Take over these partitions, and no others, from what the table recovered."""
        started = time.monotonic()
        # Until all are complete no record is taken.
        self.partitions = {}
        taken = {number: self._load(number) for number in sorted(numbers)}
        await self._flusher.take_over({number: _newest_marks(part.states.values()) for number, part in taken.items()})
        self.partitions = taken
        self.metrics.partitions.set(len(taken))
        self.metrics.recovery.set(time.monotonic() - started)
        self.metrics.rebalances.inc()
        shoppers = sum(len(partition.states) for partition in taken.values())
        log.info("following %d shoppers in partitions %s", shoppers, sorted(numbers) or "none")

    async def cart_events(self, records: Iterable[Record], acknowledge: Callable[[], None]) -> None:
        """Take a batch of the cart events; ``acknowledge`` is called when all that follows from it is durable.

        Raises `Revoked` when a record's partition is not this worker's.
        """
        now, touched = time.time(), set()
        for record in records:
            partition = self._partition(record.partition)
            partition.batch_wall = now
            partition.cart_event(record.key or b"", record.value or b"", record.offset, record.timestamp)
            touched.add(partition.number)
        await self._hand_over(touched, acknowledge)

    async def contacts(self, records: Iterable[Record], acknowledge: Callable[[], None]) -> None:
        """Take a batch of the contacts, as `cart_events` does."""
        touched = set()
        for record in records:
            partition = self._partition(record.partition)
            partition.contact(record.key or b"", record.value or b"", record.offset)
            touched.add(partition.number)
        await self._hand_over(touched, acknowledge)

    async def tick(self, idle: Iterable[int]) -> None:
        """Let the clock judge in partitions where no record waits."""
        now = time.time()
        for number in idle:
            if number in self.partitions:
                self.partitions[number].batch_wall = now
                self.partitions[number].tick(now)
        self.metrics.carts_active.set(sum(len(partition.due) for partition in self.partitions.values()))
        await self._hand_over(set(self.partitions))

    async def _hand_over(self, numbers: set[int], acknowledge: Callable[[], None] | None = None) -> None:
        effects = {number: self.partitions[number].take_effects() for number in numbers}
        now = time.time()
        for made in effects.values():
            for arrived in made.scored_wall:
                self.metrics.event_to_score.observe(max(0.0, now - arrived))
        if acknowledge or any(made.decisions or made.states for made in effects.values()):
            await self._flusher.put(effects, acknowledge)

    def _partition(self, number: int) -> Partition:
        try:
            return self.partitions[number]
        except KeyError:
            raise Revoked(number) from None

    def _load(self, number: int) -> Partition:
        # Only from now on can it be told that no events arrive.
        partition = Partition(number, self.settings, self._clock, self._model, last_arrival=time.time())
        for key, value in self._table.of_partition(number):
            partition.load(key, _decode_state(value))
        return partition


def _newest_marks(states: Iterable[ShopperState]) -> Marks:
    decisions = conversions = 0
    for state in states:
        decisions = max(decisions, state.marks[0])
        conversions = max(conversions, state.marks[1])
    return decisions, conversions

"""The partitions of one worker: takes their records, and gathers what follows from them for the flusher.

Records are applied and scored as they come. What they ask for gathers while the last flush is under way, and is made
durable in one batch: the busier the worker, the larger the batches.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from ringback.clock import Clock
from ringback.metrics import StreamMetrics
from ringback.records import decoder
from ringback.settings import Settings
from stream.carts import ShopperState
from stream.flush import Flusher, Revoked, Work
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
    """Pure partitions on one side, the flusher on the other. ``beat``: when the clock last looked, monotonic."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        model: Scorer,
        table: ShopperTable,
        flusher: Flusher,
        metrics: StreamMetrics,
        generation: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.partitions: dict[int, Partition] = {}
        self.beat: float | None = None
        self._clock = clock
        self._model = model
        self._table = table
        self._flusher = flusher
        self._generation = generation
        # The deal of partitions in which these states were recovered: what follows from them is written in no other.
        self._deal = -1
        self._touched: set[int] = set()
        self._acknowledge: list[Callable[[], None]] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    async def recovered(self, numbers: set[int]) -> None:
        """Take over these partitions, and no others, from what the table recovered."""
        started, self._deal = time.monotonic(), self._generation()
        # Until all are complete no record is taken.
        self.partitions = {}
        self._forget()
        taken = {number: self._load(number) for number in sorted(numbers)}
        await self._flusher.take_over({number: _newest_marks(part.states.values()) for number, part in taken.items()})
        self.partitions = taken
        self.metrics.partitions.set(len(taken))
        self.metrics.recovery.set(time.monotonic() - started)
        self.metrics.rebalances.inc()
        shoppers = sum(len(partition.states) for partition in taken.values())
        log.info("following %d shoppers in partitions %s", shoppers, sorted(numbers) or "none")

    async def cart_event(self, record: Record, acknowledge: Callable[[], None]) -> None:
        """Take a record of the cart events; ``acknowledge`` is called when all that follows from it is durable.

        Waits while too many records are not durable yet. Raises `Revoked` when the partition is not this worker's.
        """
        partition = self._partition(record)
        partition.batch_wall = time.time()
        arrived = partition.cart_event(record.key or b"", record.value or b"", record.offset, record.timestamp)
        if arrived is not None:
            self.metrics.event_to_score.observe(max(0.0, time.time() - arrived))
        await self._gather_later(record.partition, acknowledge)

    async def contact(self, record: Record, acknowledge: Callable[[], None]) -> None:
        """Take a record of the contacts, as `cart_event` does."""
        self._partition(record).contact(record.key or b"", record.value or b"", record.offset)
        await self._gather_later(record.partition, acknowledge)

    def tick(self, idle: Iterable[int]) -> None:
        """Let the clock judge in partitions where no record waits."""
        now = time.time()
        for number in idle:
            partition = self.partitions.get(number)
            if partition is not None:
                partition.batch_wall = now
                partition.tick(now)
                if partition.effects.states:
                    self._touched.add(number)
                    self._arrived.set()
        self.metrics.carts_active.set(sum(len(partition.due) for partition in self.partitions.values()))
        self.metrics.shoppers.set(self._table.size())

    async def gather(self) -> Work:
        """What has come together since the last call; waits until there is something."""
        await self._arrived.wait()
        effects = {
            number: self.partitions[number].take_effects() for number in self._touched if number in self.partitions
        }
        work = Work(self._deal, effects, self._acknowledge)
        self._forget()
        return work

    async def _gather_later(self, number: int, acknowledge: Callable[[], None]) -> None:
        self._touched.add(number)
        self._acknowledge.append(acknowledge)
        self._arrived.set()
        if len(self._acknowledge) >= self.settings.stream.batch:
            self._room.clear()
            await self._room.wait()

    def _forget(self) -> None:
        self._touched, self._acknowledge = set(), []
        self._arrived.clear()
        self._room.set()

    def _partition(self, record: Record) -> Partition:
        try:
            return self.partitions[record.partition]
        except KeyError:
            raise Revoked(f"{record.partition}") from None

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

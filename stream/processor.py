"""The partitions of one worker: takes their records, and gathers what follows from them for the flusher.

Records are applied and scored as they come. What they ask for gathers while the last flush is under way, and is made
durable in one batch: the busier the worker, the larger the batches.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from faust.types import TP

from ringback.kafka import persistently
from ringback.metric_labels import RecordTopic
from ringback.metrics import StreamMetrics
from ringback.settings import StreamSettings
from stream.continuity import Continuity
from stream.flush import Flusher, Receipt, Revoked, Work
from stream.following import Follower, Following
from stream.outputs import Marks
from stream.sensor import Recovery
from stream.states import CachedStates
from stream.table import ShopperTable

log = logging.getLogger(__name__)

# So that the heart beats, and a new deal of the partitions is noticed, while millions of states are looked at.
STATES_BETWEEN_PAUSES = 5_000
# Four ticks a second: a million shoppers are looked through in twenty minutes.
SWEPT_A_TICK = 200


class Record(Protocol):
    """What is needed of a Kafka record."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: float


class Processor:
    """Pure partitions on one side, the flusher on the other.

    ``beat`` is when the clock last looked, monotonic; ``topics`` are those whose records are taken.
    """

    def __init__(
        self,
        following: Following,
        settings: StreamSettings,
        table: ShopperTable,
        flusher: Flusher,
        metrics: StreamMetrics,
        continuity: Continuity,
        topics: Sequence[str],
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.partitions: dict[int, Follower] = {}
        self.beat: float | None = None
        self.continuity = continuity
        self._topics = topics
        self._following = following
        self._table = table
        self._flusher = flusher
        # The deal of partitions in which these states were recovered: what follows from them is written in no other.
        self._deal = -1
        self._touched: set[int] = set()
        self._receipts: list[Receipt] = []
        # Of records that were taken: since the last gathering, and all that are not durable.
        self._gathered_bytes = 0
        self._waiting_bytes = 0
        self._states: dict[int, CachedStates[Any]] = {}
        self._recovery = Recovery(metrics)
        self._took_events = metrics.processing.labels(RecordTopic.CART_EVENTS).observe
        self._took_contact = metrics.processing.labels(RecordTopic.CONTACTS).observe
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether it holds no record that the flusher has not got."""
        return not self._receipts

    def recovering(self) -> None:
        """The table begins to read the states of what was dealt."""
        self._recovery.begin()

    async def recovered(self, numbers: set[int], deal: int) -> None:
        """Take over these partitions, and no others, from what the table recovered in this deal of the partitions."""
        self.beat = time.monotonic()
        self._deal = deal
        # Until all are complete no record is taken.
        self.partitions = {}
        self._forget()
        self._states = {
            number: CachedStates(self._table.shelf(number), self.settings.cached_states, self._following.decode)
            for number in numbers
        }
        taken, marks, shoppers = {}, {}, 0
        for number in sorted(numbers):
            taken[number], marks[number], loaded = await self._load(number)
            shoppers += loaded
        await self._flusher.take_over(marks)
        tops = [TP(topic, number) for topic in self._topics for number in numbers]
        await persistently("what was committed", lambda: self.continuity.begin(tops))
        self.partitions = taken
        self.metrics.partitions.set(len(taken))
        self.metrics.rebalances.inc()
        self.metrics.lag.clear()
        self._recovery.end()
        log.info("following %d shoppers in partitions %s", shoppers, sorted(numbers) or "none")

    async def cart_events(self, record: Record, receipt: Receipt) -> None:
        """Take a record of the cart events; ``receipt`` says when all that follows from it is durable.

        Waits while too much is not durable yet. Raises `Revoked` when the partition is not this worker's.
        """
        partition, began = self._partition(record), time.perf_counter()
        partition.batch_wall = time.time()
        value = record.value or b""
        arrived = partition.records(record.key, value, record.offset, record.timestamp)
        scored = time.time()
        self._took_events(time.perf_counter() - began)
        for wall in arrived:
            self.metrics.event_to_score.observe(max(0.0, scored - wall))
        await self._gather_later(record.partition, len(value), receipt)

    async def contact(self, record: Record, receipt: Receipt) -> None:
        """Take a record of the contacts, as `cart_event` does."""
        partition, began = self._partition(record), time.perf_counter()
        partition.contact(record.key or b"", record.value or b"", record.offset)
        self._took_contact(time.perf_counter() - began)
        await self._gather_later(record.partition, len(record.value or b""), receipt)

    def tick(self, idle: Iterable[int], committed: Mapping[int, int]) -> None:
        """Let the clock judge in partitions where no record waits, and forget who was silent for long.

        ``committed`` is, by partition, the offset up to which no record is read again.
        """
        now = time.time()
        for number in idle:
            if number in self.partitions:
                self.partitions[number].batch_wall = now
                self.partitions[number].tick(now)
        for number, partition in self.partitions.items():
            partition.sweep(SWEPT_A_TICK // len(self.partitions), committed.get(number, 0))
        self._touched.update(self.partitions)
        self.nudge()
        self.metrics.carts_active.set(sum(partition.waiting() for partition in self.partitions.values()))
        self.metrics.shoppers.set(self._table.size())

    def nudge(self) -> None:
        """Have the flusher look whether something is to be written, though nothing new has come."""
        self._arrived.set()

    async def gather(self) -> Work:
        """What has come together since the last call; waits until there is something."""
        await self._arrived.wait()
        effects = {
            number: self.partitions[number].take_effects() for number in self._touched if number in self.partitions
        }
        states = [self._states[number] for number in effects]
        for held in states:
            held.taken()
        size, self._gathered_bytes = self._gathered_bytes, 0

        def settled() -> None:
            for held in states:
                held.settled()
            self._waiting_bytes -= size
            self._room.set()

        urgent = self._waiting_bytes >= self.settings.in_flight / 2
        work = Work(self._deal, effects, self._receipts, settled, urgent)
        self._touched, self._receipts = set(), []
        self._arrived.clear()
        return work

    async def _gather_later(self, number: int, size: int, receipt: Receipt) -> None:
        self._touched.add(number)
        self._receipts.append(receipt)
        self._gathered_bytes += size
        self._waiting_bytes += size
        self._arrived.set()
        while self._waiting_bytes >= self.settings.in_flight:
            self._room.clear()
            await self._room.wait()

    def _forget(self) -> None:
        for receipt in self._receipts:
            receipt.left()
        self._touched, self._receipts = set(), []
        self._gathered_bytes = self._waiting_bytes = 0
        self._arrived.clear()
        self._room.set()

    def _partition(self, record: Record) -> Follower:
        try:
            return self.partitions[record.partition]
        except KeyError:
            raise Revoked(f"{record.partition}") from None

    async def _load(self, number: int) -> tuple[Follower, Marks, int]:
        partition = self._following.partition(number, self._states[number])
        decisions = conversions = loaded = 0
        for key, encoded in self._table.shelf(number).items():
            marks = self._following.recover(partition, key, encoded)
            decisions, conversions = max(decisions, marks[0]), max(conversions, marks[1])
            loaded += 1
            if loaded % STATES_BETWEEN_PAUSES == 0:
                self.beat = time.monotonic()
                await asyncio.sleep(0)
        return partition, (decisions, conversions), loaded

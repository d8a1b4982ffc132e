"""Carries out what the partitions ask for, in an order that survives a crash at any moment.

1. Publish decisions, conversions, messages and dead letters, and wait for Kafka.
2. Bring the hopper up to date; it knows leads and withdrawals that it has seen before.
3. Write the states to the changelog, and wait for Kafka.
4. Only then are the records acknowledged whose effects these are.

Whatever is not there (Kafka, Redis) is waited for; meanwhile no records are taken, and nothing is lost.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from aiokafka.errors import KafkaError

from dialer.hopper import Hopper, Offer
from ringback.clock import Clock
from ringback.errors import Unavailable
from ringback.metrics import StreamMetrics
from ringback.records import Lead, Route, Topic, decoder, encode
from ringback.settings import Settings
from stream.carts import ShopperState
from stream.outputs import Marks, Output, Outputs, identity, patiently
from stream.partition import Effects, Partition, Scorer, Withdrawal
from stream.table import ShopperTable

log = logging.getLogger(__name__)

HOPPER_RETRY_SECONDS = 0.5
_decode_state = decoder(ShopperState).decode


class Record(Protocol):
    """What is needed of a Kafka record."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: float


class Revoked(Exception):
    """The partition was taken away while its batch was under way; its new owner reads the records again."""


class Processor:
    """The partitions of one worker, and the effects of their records."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        model: Scorer,
        table: ShopperTable,
        hopper: Hopper,
        outputs: Outputs,
        metrics: StreamMetrics,
        generation: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.model = model
        self.table = table
        self.hopper = hopper
        self.outputs = outputs
        self.metrics = metrics
        self.partitions: dict[int, Partition] = {}
        self.last_progress = time.monotonic()
        self.hopper_up = True
        metrics.hopper_up.set(1)
        self._generation = generation
        self._marks: dict[int, Marks] = {}
        self._published: dict[int, set[str]] = {}
        self._lock = asyncio.Lock()

    async def recovered(self, numbers: set[int]) -> None:
        """Take over these partitions, and no others, from what the table recovered."""
        async with self._lock:
            started = time.monotonic()
            self.partitions = {number: self._load(number) for number in sorted(numbers)}
            for number, partition in self.partitions.items():
                await self._read_back(number, _newest_marks(partition.states.values()))
            self.metrics.partitions.set(len(self.partitions))
            self.metrics.recovery.set(time.monotonic() - started)
            self.metrics.rebalances.inc()
            shoppers = sum(len(partition.states) for partition in self.partitions.values())
            log.info("following %d shoppers in partitions %s", shoppers, sorted(numbers) or "none")

    async def cart_events(self, records: Iterable[Record]) -> None:
        """Take a batch of the cart events; returns when all that follows from it is durable. Raises `Revoked`."""
        async with self._lock:
            touched: set[int] = set()
            now = time.time()
            for record in records:
                partition = self._partition(record.partition)
                partition.batch_wall = now
                partition.cart_event(record.key or b"", record.value or b"", record.offset, record.timestamp)
                touched.add(record.partition)
            await self._flush(touched)

    async def contacts(self, records: Iterable[Record]) -> None:
        """Take a batch of the contacts. Raises `Revoked`."""
        async with self._lock:
            touched: set[int] = set()
            for record in records:
                self._partition(record.partition).contact(record.key or b"", record.value or b"", record.offset)
                touched.add(record.partition)
            await self._flush(touched)

    async def tick(self, idle: Iterable[int]) -> None:
        """Let the clock judge in partitions where no record waits. Raises `Revoked`."""
        async with self._lock:
            now = time.time()
            for number in idle:
                if number in self.partitions:
                    self.partitions[number].batch_wall = now
                    self.partitions[number].tick(now)
            await self._flush(set(self.partitions))

    def _partition(self, number: int) -> Partition:
        try:
            return self.partitions[number]
        except KeyError:
            raise Revoked(number) from None

    def _load(self, number: int) -> Partition:
        # Only from now on can it be told that no events arrive.
        partition = Partition(number, self.settings, self.clock, self.model, last_arrival=time.time())
        for key, value in self.table.of_partition(number):
            partition.load(key, _decode_state(value))
        return partition

    async def _read_back(self, number: int, marks: Marks) -> None:
        while True:
            try:
                self._published[number], self._marks[number] = await self.outputs.tail(number, marks)
            except KafkaError as error:
                await patiently(f"reading back partition {number}", error)
            else:
                return

    async def _flush(self, numbers: set[int]) -> None:
        generation = self._generation()
        for number in sorted(numbers):
            partition = self.partitions[number]
            effects = partition.take_effects()
            self._observe_scores(effects)
            before = self._marks[number]
            await self._publish(number, effects, generation)
            await self._update_hopper(effects, generation)
            await self._write_states(partition, effects, before, generation)
            self._observe(effects)
        self.metrics.carts_active.set(sum(len(partition.due) for partition in self.partitions.values()))
        self.last_progress = time.monotonic()

    def _still_mine(self, generation: int) -> None:
        if self._generation() != generation:
            raise Revoked(generation)

    async def _publish(self, number: int, effects: Effects, generation: int) -> None:
        waiting = [
            *(Output(Topic.DECISIONS, _key(d.shopper_id), d, number) for d in effects.decisions),
            *(Output(Topic.CONVERSIONS, _key(c.shopper_id), c, number) for c in effects.conversions),
            *(Output(Topic.OUTBOX, _key(m.shopper_id), m, number) for m in effects.messages),
            *(Output(Topic.DEAD_LETTERS, _key(d.source), d, None) for d in effects.dead_letters),
        ]
        while waiting := self._unpublished(number, waiting):
            self._still_mine(generation)
            try:
                ends = await self.outputs.publish(waiting)
            except KafkaError as error:
                await patiently(f"publishing {len(waiting)} records of partition {number}", error)
                await self.outputs.stop()
                await self._read_back(number, self._marks[number])
            else:
                decisions, conversions = self._marks[number]
                self._marks[number] = (ends.get(Topic.DECISIONS, decisions), ends.get(Topic.CONVERSIONS, conversions))
                return

    def _unpublished(self, number: int, waiting: list[Output]) -> list[Output]:
        published = self._published[number]
        if not published:
            return waiting
        once = (Topic.DECISIONS, Topic.CONVERSIONS)
        return [out for out in waiting if out.topic not in once or identity(out.record) not in published]

    async def _update_hopper(self, effects: Effects, generation: int) -> None:
        for change in effects.hopper:
            while True:
                self._still_mine(generation)
                try:
                    await self._change_hopper(change)
                except Unavailable as error:
                    self._hopper_is(up=False, why=error)
                    await asyncio.sleep(HOPPER_RETRY_SECONDS)
                else:
                    self._hopper_is(up=True)
                    break

    def _hopper_is(self, *, up: bool, why: Unavailable | None = None) -> None:
        if up != self.hopper_up:
            if up:
                log.info("the hopper is there again")
            else:
                log.warning("%s; no records are taken until it is there again, and nothing is lost", why)
        self.hopper_up = up
        self.metrics.hopper_up.set(up)

    async def _change_hopper(self, change: Lead | Withdrawal) -> None:
        if isinstance(change, Withdrawal):
            await self.hopper.withdraw(change.shopper_id, change.reason, change.at)
            return
        offer = await self.hopper.offer(change, self.clock.now())
        if offer not in (Offer.QUEUED, Offer.REPEATED):
            self.metrics.hopper_refused.labels(offer.value).inc()

    async def _write_states(self, partition: Partition, effects: Effects, marks: Marks, generation: int) -> None:
        dirty = list(effects.dirty)
        while dirty:
            self._still_mine(generation)
            try:
                writes = []
                for key in dirty:
                    state = msgspec.structs.replace(partition.states[key], marks=marks)
                    writes.append(await self.table.write(partition.number, key, encode(state)))
                await asyncio.gather(*writes)
            except KafkaError as error:
                await patiently(f"writing {len(dirty)} states of partition {partition.number}", error)
            else:
                return

    def _observe_scores(self, effects: Effects) -> None:
        now = time.time()
        for arrived in effects.scored_wall:
            self.metrics.event_to_score.observe(max(0.0, now - arrived))

    def _observe(self, effects: Effects) -> None:
        metrics = self.metrics
        now = time.time()
        for kind, count in effects.events.items():
            metrics.events.labels(kind.value).inc(count)
        metrics.repeated.inc(effects.repeated)
        for letter in effects.dead_letters:
            metrics.dead_letters.labels(letter.reason).inc()
        for decision in effects.decisions:
            metrics.carts_abandoned.inc()
            metrics.due_to_decision.observe(max(0.0, now - decision.due_wall))
            metrics.scores.observe(decision.score)
            metrics.decisions.labels(decision.route.value, decision.reason.value, decision.arm).inc()
            if decision.route is not Route.NONE:
                metrics.eligible.labels(decision.arm).inc()
        for arm in effects.ordered:
            metrics.ordered.labels(arm).inc()
        for conversion in effects.conversions:
            if conversion.channel is not None:
                metrics.conversions.labels(conversion.channel.value).inc()
                metrics.revenue.labels(conversion.channel.value, conversion.currency).inc(conversion.value)


def _key(text: str) -> bytes:
    return text.encode()


def _newest_marks(states: Iterable[ShopperState]) -> Marks:
    decisions = conversions = 0
    for state in states:
        decisions = max(decisions, state.marks[0])
        conversions = max(conversions, state.marks[1])
    return decisions, conversions

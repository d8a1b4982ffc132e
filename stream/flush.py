"""Makes the effects of records durable, in an order that survives a crash at any moment.

1. Publish decisions, conversions, messages and dead letters, and wait for Kafka.
2. Bring the hopper up to date; it knows leads and withdrawals that it has seen before.
3. Write the states to the changelog, and wait for Kafka.
4. Only then acknowledge the records whose effects these are.

While one flush is under way the next records are taken and scored; what has gathered by then is flushed together. What
is not there (Kafka, Redis) is waited for: soon no more records are taken, and nothing is lost.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import msgspec
from aiokafka.errors import KafkaError

from dialer.hopper import Hopper, Offer
from ringback.clock import Clock
from ringback.errors import Unavailable
from ringback.metrics import StreamMetrics
from ringback.records import Lead, Route, Topic, encode
from stream.outputs import ONCE, Marks, Output, Outputs, identity
from stream.partition import Effects, Withdrawal
from stream.table import ShopperTable

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


class Revoked(Exception):
    """The partition was taken away while its batch was under way; its new owner reads the records again."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which deal of the partitions is in force, and whether a new one is under way."""

    generation: int
    rebalancing: bool


@dataclass(frozen=True, slots=True)
class Work:
    """The effects of some records, by partition, and what to call when they are durable."""

    generation: int
    effects: dict[int, Effects]
    acknowledge: list[Callable[[], None]]


class Flusher:
    """The one task of a worker that writes.

    ``busy_since`` is when the flush that is under way began or last said that it waits for a server, monotonic seconds.
    """

    def __init__(
        self,
        table: ShopperTable,
        hopper: Hopper,
        outputs: Outputs,
        metrics: StreamMetrics,
        clock: Clock,
        assignment: Callable[[], Assignment],
    ) -> None:
        self.hopper_up = True
        self.busy_since: float | None = None
        self._table = table
        self._hopper = hopper
        self._outputs = outputs
        self._metrics = metrics
        self._clock = clock
        self._assignment = assignment
        self._marks: dict[int, Marks] = {}
        self._published: dict[int, set[str]] = {}
        metrics.hopper_up.set(1)

    async def take_over(self, marks: dict[int, Marks]) -> None:
        """Begin with these partitions, and forget all others."""
        self._marks, self._published = {}, {}
        for number, newest in marks.items():
            await self._read_back(number, newest)

    async def run(self, gather: Callable[[], Awaitable[Work]]) -> None:
        """Flush what ``gather`` returns, again and again, until cancelled."""
        while True:
            self.busy_since = None
            work = await gather()
            self.busy_since = time.monotonic()
            try:
                for number, effects in sorted(work.effects.items()):
                    await self._flush(number, effects, work.generation)
            except Revoked as revoked:
                log.info("left %d records: partition taken away (%s)", len(work.acknowledge), revoked)
            else:
                for acknowledge in work.acknowledge:
                    acknowledge()

    async def _flush(self, number: int, effects: Effects, generation: int) -> None:
        self._check(number, generation)
        before = self._marks[number]
        await self._publish(number, effects, generation)
        published = time.time()
        for decision in effects.decisions:
            self._metrics.due_to_decision.observe(max(0.0, published - decision.due_wall))
        for change in effects.hopper:
            await self._update_hopper(change, number, generation)
        await self._write_states(number, effects, before, generation)
        self._observe(effects)

    def _check(self, number: int, generation: int) -> None:
        if number not in self._marks or self._assignment().generation != generation:
            raise Revoked(f"{number} of deal {generation}")

    async def _wait(self, number: int, generation: int) -> None:
        """Wait before another attempt; while the partitions are dealt anew, leave it to the new owner: `Revoked`."""
        self.busy_since = time.monotonic()
        await asyncio.sleep(RETRY_SECONDS)
        self._check(number, generation)
        if self._assignment().rebalancing:
            raise Revoked(f"{number} of deal {generation}")

    async def _publish(self, number: int, effects: Effects, generation: int) -> None:
        waiting = _outputs(number, effects)
        while waiting := self._unpublished(number, waiting):
            try:
                ends = await self._outputs.publish(waiting)
            except KafkaError as error:
                log.warning(
                    "partition %d: Kafka did not take %d records (%r); trying again", number, len(waiting), error
                )
                await self._wait(number, generation)
                await self._outputs.stop()
                await self._read_back(number, self._marks[number])
            else:
                decisions, conversions = self._marks[number]
                self._marks[number] = (ends.get(Topic.DECISIONS, decisions), ends.get(Topic.CONVERSIONS, conversions))
                return

    async def _read_back(self, number: int, marks: Marks) -> None:
        while True:
            try:
                self._published[number], self._marks[number] = await self._outputs.tail(number, marks)
            except KafkaError as error:
                log.warning("partition %d: what was published can't be read (%r); trying again", number, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def _unpublished(self, number: int, waiting: list[Output]) -> list[Output]:
        published = self._published[number]
        if not published:
            return waiting
        return [out for out in waiting if out.topic not in ONCE or identity(out.record) not in published]

    async def _update_hopper(self, change: Lead | Withdrawal, number: int, generation: int) -> None:
        while True:
            try:
                if isinstance(change, Withdrawal):
                    await self._hopper.withdraw(change.shopper_id, change.reason, change.at)
                else:
                    offer = await self._hopper.offer(change, self._clock.now())
                    if offer not in (Offer.QUEUED, Offer.REPEATED):
                        self._metrics.hopper_refused.labels(offer.value).inc()
            except Unavailable as error:
                self._hopper_is(up=False, why=error)
                await self._wait(number, generation)
            else:
                self._hopper_is(up=True)
                return

    def _hopper_is(self, *, up: bool, why: Unavailable | None = None) -> None:
        if up != self.hopper_up:
            if up:
                log.info("the hopper is there again")
            else:
                log.warning("%s; no records are taken until it is there again, and nothing is lost", why)
        self.hopper_up = up
        self._metrics.hopper_up.set(up)

    async def _write_states(self, number: int, effects: Effects, marks: Marks, generation: int) -> None:
        while effects.states:
            try:
                writes = [
                    await self._table.write(number, key, encode(msgspec.structs.replace(state, marks=marks)))
                    for key, state in effects.states.items()
                ]
                await asyncio.gather(*writes)
            except KafkaError as error:
                log.warning("partition %d: Kafka did not take the states (%r); trying again", number, error)
                await self._wait(number, generation)
            else:
                return

    def _observe(self, effects: Effects) -> None:
        metrics = self._metrics
        for kind, count in effects.events.items():
            metrics.events.labels(kind.value).inc(count)
        metrics.repeated.inc(effects.repeated)
        for letter in effects.dead_letters:
            metrics.dead_letters.labels(letter.reason).inc()
        for decision in effects.decisions:
            metrics.carts_abandoned.inc()
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


def _outputs(number: int, effects: Effects) -> list[Output]:
    by_shopper: Iterable[tuple[Topic, str, msgspec.Struct]] = (
        *((Topic.DECISIONS, decision.shopper_id, decision) for decision in effects.decisions),
        *((Topic.CONVERSIONS, conversion.shopper_id, conversion) for conversion in effects.conversions),
        *((Topic.OUTBOX, message.shopper_id, message) for message in effects.messages),
    )
    outputs = [Output(topic, shopper_id.encode(), record, number) for topic, shopper_id, record in by_shopper]
    outputs += [Output(Topic.DEAD_LETTERS, letter.source.encode(), letter, None) for letter in effects.dead_letters]
    return outputs

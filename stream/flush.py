"""Makes the effects of records durable, in an order that survives a crash at any moment.

1. Publish decisions, conversions, messages and dead letters, and wait for Kafka.
2. Bring the hopper up to date; it knows leads and withdrawals that it has seen before.
3. Write the states to the changelog, and wait for Kafka.
4. Only then acknowledge the records whose effects these are.

The first two steps are taken within hundredths of a second, the last two every `stream.write_every` seconds: a shopper
who does ten things in that time costs one write. While all this is under way the next records are taken and scored.
What is not there (Kafka, Redis) is waited for: soon no more records are taken, and nothing is lost.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from aiokafka.errors import KafkaError

from dialer.hopper import Hopper, Offer
from ringback.clock import Clock
from ringback.decisions import Lead
from ringback.errors import Unavailable
from ringback.kafka import persistently
from ringback.metrics import StreamMetrics
from ringback.records import Topic
from stream.following import Asked, Following
from stream.outputs import ONCE, Marks, Output, Outputs, identity
from stream.partition import Withdrawal
from stream.table import ShopperTable

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
# Far less than it takes to call anybody.
PUBLISH_EVERY_SECONDS = 0.02
ASK_AFTER_SECONDS = 5.0
# So that events which come meanwhile are scored without delay.
DONE_AT_ONCE = 200
# The records that a former owner had taken come first, and what its clock had judged is judged after idle_after.
READ_BACK_SECONDS = 600.0
TAKEN = frozenset({Offer.QUEUED, Offer.REPEATED})

R = TypeVar("R")


class Revoked(Exception):
    """The partition was taken away while its batch was under way; its new owner reads the records again."""


class Receipt(Protocol):
    """For a record that was taken; one of the two is called, once."""

    def done(self) -> None:
        """All that follows from it is durable."""

    def left(self) -> None:
        """Nothing follows from it here; it is read again, by this worker or another."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which deal of the partitions is in force, and whether it ends: by a new one, or because the worker stops.

    ``doubtful``: this worker may have lost its partitions without knowing; see `stream.membership`.
    """

    generation: int
    ends: bool
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """The effects of some records, by partition. ``settled`` is called when they are durable, before the receipts.

    ``urgent`` asks for that at once: there is no room for more.
    """

    generation: int
    effects: dict[int, Asked]
    receipts: list[Receipt]
    settled: Callable[[], None]
    urgent: bool = False

    def leave(self) -> None:
        """Leave the records to whoever reads them again."""
        for receipt in self.receipts:
            receipt.left()


@dataclass(slots=True)
class Unwritten:
    """What was published, and what of it was not written yet. ``marks`` are the ends before any of it was published."""

    marks: dict[int, Marks] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    works: list[Work] = field(default_factory=list)
    changes: dict[int, dict[bytes, Any]] = field(default_factory=dict)


class Flusher:
    """The one task of a worker that writes.

    ``busy_since`` is when the flush that is under way began or last said that it waits for a server, monotonic seconds.
    """

    def __init__(
        self,
        following: Following,
        table: ShopperTable,
        hopper: Hopper,
        outputs: Outputs,
        metrics: StreamMetrics,
        clock: Clock,
        assignment: Callable[[], Assignment],
        write_every: float,
    ) -> None:
        self.hopper_up = True
        self.busy_since: float | None = None
        self._following = following
        self._table = table
        self._hopper = hopper
        self._outputs = outputs
        self._metrics = metrics
        self._clock = clock
        self._assignment = assignment
        self._write_every = write_every
        self._marks: dict[int, Marks] = {}
        self._published: dict[int, set[str]] = {}
        self._unwritten = Unwritten()
        self._void: int | None = None
        self._before: dict[int, Marks] = {}
        self._before_until = 0.0
        metrics.hopper_up.set(1)
        for offer in Offer:
            if offer not in TAKEN:
                metrics.leads_refused.labels(offer.value)

    @property
    def idle(self) -> bool:
        """Whether it holds no record."""
        return self.busy_since is None and not self._unwritten.works

    async def take_over(self, marks: dict[int, Marks]) -> None:
        """Begin with these partitions, and forget all others."""
        self._marks, self._published = {}, {}
        await self._read_back(marks)
        self._void = None
        self._before, self._before_until = dict(marks), time.monotonic() + READ_BACK_SECONDS
        self._leave()

    async def run(self, gather: Callable[[], Awaitable[Work]]) -> None:
        """Flush what ``gather`` returns, again and again, until cancelled. It must return a few times a second."""
        while True:
            if not self._waits_in_vain():
                self.busy_since = None
            work = await gather()
            began = time.monotonic()
            self.busy_since = self.busy_since or began
            try:
                await self._flush(work)
                self._metrics.flush.observe(time.monotonic() - began)
            except Revoked as revoked:
                log.info("left what was not written: the partitions are dealt anew (%s)", revoked)
                # Later records of this deal stand on what is left here: nothing of it may be written any more.
                self._void = work.generation
                work.leave()
                self._leave()
            # Under load what would be many small writes is one.
            await asyncio.sleep(max(0.0, began + PUBLISH_EVERY_SECONDS - time.monotonic()))

    def _waits_in_vain(self) -> bool:
        """Whether a deal was left, and no other one is to come: only a new start helps."""
        now = self._assignment()
        return self._void == now.generation and not now.ends

    def _leave(self) -> None:
        for work in self._unwritten.works:
            work.leave()
        self._unwritten = self._nothing_unwritten()

    def _nothing_unwritten(self) -> Unwritten:
        # What a former owner published and did not write is decided again here, if this worker lives. Until it surely
        # has been, states keep the marks from which whoever comes next will find it.
        young = time.monotonic() < self._before_until
        return Unwritten(dict(self._before if young else self._marks))

    async def _flush(self, work: Work) -> None:
        if not work.effects and not self._unwritten.works:
            return
        self._check(work)
        await self._publish(work)
        unwritten = self._unwritten
        for number, effects in work.effects.items():
            self._following.published(effects)
            await self._following.complete(effects)
            for change in effects.hopper:
                await self._sure(work)
                await self._update_hopper(change, work)
            unwritten.changes.setdefault(number, {}).update(self._following.changes(effects))
        unwritten.works.append(work)
        due = time.monotonic() - unwritten.since >= self._write_every
        if due or work.urgent or self._assignment().ends:
            await self._write(work, unwritten)

    async def _write(self, work: Work, unwritten: Unwritten) -> None:
        await self._write_states(work, unwritten)
        # What is acknowledged is not read again: only in the deal whose states were written may it be.
        self._check(work)
        self._unwritten = self._nothing_unwritten()
        for written in unwritten.works:
            written.settled()
            for effects in written.effects.values():
                self._following.durable(effects)
        await self._acknowledge(work, [receipt for written in unwritten.works for receipt in written.receipts])

    async def _acknowledge(self, work: Work, receipts: list[Receipt]) -> None:
        while receipts:
            some, receipts = receipts[:DONE_AT_ONCE], receipts[DONE_AT_ONCE:]
            for receipt in some:
                receipt.done()
            await asyncio.sleep(0)
            try:
                self._check(work)
            except Revoked:
                for receipt in receipts:
                    receipt.left()
                raise

    def _check(self, work: Work) -> None:
        in_force = self._assignment().generation == work.generation != self._void
        if not in_force or not work.effects.keys() <= self._marks.keys():
            raise Revoked(f"deal {work.generation} is over")

    async def _sure(self, work: Work) -> None:
        """Wait until it is certain that the deal is in force; `Revoked` when it is not."""
        if self._assignment().doubtful:
            log.warning("Kafka has not answered a heartbeat for long; nothing is written until it does")
        while self._assignment().doubtful:
            await self._wait(work)
        self._check(work)

    async def _wait(self, work: Work) -> None:
        """Wait before another attempt; while the partitions are dealt anew, leave it to the new owner: `Revoked`."""
        self.busy_since = time.monotonic()
        await asyncio.sleep(RETRY_SECONDS)
        self._check(work)
        if self._assignment().ends:
            raise Revoked(f"deal {work.generation} ends")

    async def _patiently(self, sending: Awaitable[R]) -> R:
        """Wait for what is sent. While Kafka is silent the producer waits by itself, and the worker is not stuck."""
        task = asyncio.ensure_future(sending)
        try:
            while not (await asyncio.wait([task], timeout=ASK_AFTER_SECONDS))[0]:
                if not await self._outputs.broker_answers():
                    log.warning("Kafka does not answer; no records are taken until it does, and nothing is lost")
                    self.busy_since = time.monotonic()
            return task.result()
        finally:
            task.cancel()

    async def _publish(self, work: Work) -> None:
        waiting = [
            output
            for number, effects in sorted(work.effects.items())
            for output in self._following.outputs(number, effects)
        ]
        while waiting := self._unpublished(waiting):
            try:
                # Between being sure and sending lies nothing that takes time; see also `stream.gate`.
                await self._patiently(self._outputs.prepare({output.topic for output in waiting}))
                await self._sure(work)
                ends = await self._patiently(self._outputs.publish(waiting))
            except KafkaError as error:
                log.warning("Kafka did not take %d records (%r); trying again", len(waiting), error)
                await self._patiently(self._outputs.stop())
                await self._wait(work)
                await self._read_back({number: self._marks[number] for number in work.effects})
            else:
                for number in work.effects:
                    decisions, conversions = self._marks[number]
                    self._marks[number] = (
                        ends.get((Topic.DECISIONS, number), decisions),
                        ends.get((Topic.CONVERSIONS, number), conversions),
                    )
                return

    async def _read_back(self, marks: dict[int, Marks]) -> None:
        found = await persistently("what was published", lambda: self._outputs.tails(marks))
        for number, (published, ends) in found.items():
            # What was found when the partition was taken over lies before the marks of a later attempt.
            self._published[number] = self._published.get(number, set()) | published
            self._marks[number] = ends

    def _unpublished(self, waiting: list[Output]) -> list[Output]:
        return [out for out in waiting if out.topic not in ONCE or not self._is_published(out)]

    def _is_published(self, out: Output) -> bool:
        published = self._published.get(out.partition or 0)
        return bool(published) and identity(out.record) in (published or ())

    async def _update_hopper(self, change: Lead | Withdrawal, work: Work) -> None:
        while True:
            try:
                if isinstance(change, Withdrawal):
                    await self._hopper.withdraw(change.shopper_id, change.reason, change.at)
                else:
                    offer = await self._hopper.offer(change, self._clock.now())
                    if offer not in TAKEN:
                        self._metrics.leads_refused.labels(offer.value).inc()
            except Unavailable as error:
                self._hopper_is(up=False, why=error)
                await self._wait(work)
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

    async def _write_states(self, work: Work, unwritten: Unwritten) -> None:
        waiting = {
            number: await self._encoded(changes, unwritten.marks[number])
            for number, changes in unwritten.changes.items()
            if changes
        }
        while waiting:
            await self._sure(work)
            writes = (self._table.write(number, changes) for number, changes in waiting.items())
            results = await self._patiently(asyncio.gather(*writes, return_exceptions=True))
            failed = {}
            for (number, changes), result in zip(waiting.items(), results, strict=True):
                if isinstance(result, KafkaError):
                    log.warning("partition %d: Kafka did not take the states (%r); trying again", number, result)
                    failed[number] = changes
                elif result is not None:
                    raise result
            if failed:
                await self._patiently(self._outputs.stop())
                await self._wait(work)
            waiting = failed

    async def _encoded(self, changes: dict[bytes, Any], marks: Marks) -> dict[bytes, bytes | None]:
        encoded: dict[bytes, bytes | None] = {}
        for key, state in changes.items():
            encoded[key] = self._following.encode(state, marks)
            if len(encoded) % DONE_AT_ONCE == 0:
                await asyncio.sleep(0)
        return encoded

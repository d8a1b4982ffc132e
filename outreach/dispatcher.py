"""From the outbox to the courier and on to the contacts; nothing is committed before it is reported.

Three loops: read the outbox, send what is due, report what was sent; a fourth looks whether Kafka is there. While
something is away only one attempt is made at a time, and the messages wait in the backlog; the outbox itself is where
they are safe.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from functools import partial
from itertools import product

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from outreach.backlog import Backlog, Entry
from outreach.claims import Refusal
from outreach.courier import Courier, Link
from outreach.rules import Rule
from ringback import kafka
from ringback.clock import Clock
from ringback.decide_settings import CostSettings
from ringback.decisions import Message
from ringback.errors import Unavailable
from ringback.metric_labels import MessageChannel, Server
from ringback.metrics import OutreachMetrics
from ringback.records import Channel, ContactEvent, ContactKind, Topic, decoder, encode
from ringback.settings import KafkaSettings
from ringback.spend import Spend

log = logging.getLogger(__name__)

GROUP = "ringback-outreach"
PARALLEL = 16
MOST_WAITING = 20_000
AT_ONCE = 500
TURN_SECONDS = 1.0
RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0
CLOSING_SECONDS = 3.0
# Where no message comes or goes, Kafka is asked this often, and may take so long to answer.
LOOK_SECONDS, ANSWER_SECONDS = 5.0, 5.0

_decode = decoder(Message).decode


def backoff(failures: int) -> float:
    """Wall seconds until a message is tried again after so many failures in a row."""
    return float(min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2.0 ** min(failures - 1, 10)))


class Dispatcher(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """One consumer of the outbox; `run` it once."""

    def __init__(
        self, settings: KafkaSettings, clock: Clock, courier: Courier, metrics: OutreachMetrics, costs: CostSettings
    ) -> None:
        self.kafka = Link("Kafka")
        self.last_turn = time.monotonic()
        self.assigned = False
        self._settings = settings
        self._clock = clock
        self._courier = courier
        self._metrics = metrics
        self._spend = Spend(metrics.spend, costs, (Channel.SMS, Channel.CHAT))
        self._backlog = Backlog()
        self._flight: set[asyncio.Task[None]] = set()
        self._finished: list[tuple[Entry, ContactEvent | None]] = []
        self._committed: dict[int, int] = {}
        self._news, self._results = asyncio.Event(), asyncio.Event()
        self._flushing = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        for channel, rule in product(MessageChannel, (*Refusal, *Rule)):
            metrics.blocked.labels(channel.value, rule.value)
        metrics.waiting.set_function(lambda: len(self._backlog))
        for server, link in (
            (Server.KAFKA, self.kafka),
            (Server.REDIS, courier.redis),
            (Server.PROVIDER, courier.provider),
        ):
            metrics.up.labels(server.value).set_function(partial(getattr, link, "up"))

    async def run(self, stop: asyncio.Event) -> None:
        """Dispatch until ``stop`` is set; what is being sent is sent and reported first.

        Waits for Kafka as long as it takes. Raises `SettingsError` when its topics are not as they must be.
        """
        working, stopping = asyncio.create_task(self._work()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.wait((working, stopping))
            await self._close()
        if not working.cancelled():
            working.result()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Finish and report what is being sent; the rest is the next owner's."""
        self.assigned = False
        try:
            await self._land()
            await self._flush()
        finally:
            self._backlog.clear()
            self._committed.clear()

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Begin."""
        self.assigned = True
        self.kafka.there()
        log.info("sending messages of partitions %s", sorted(top.partition for top in assigned) or "none")
        self._news.set()

    async def _work(self) -> None:
        await kafka.create_topics(self._settings, patience=float("inf"))
        consumer = await self._subscribed()
        async with asyncio.TaskGroup() as group:
            for loop in (self._read(consumer), self._send(), self._report(), self._look(consumer)):
                group.create_task(loop)

    async def _subscribed(self) -> AIOKafkaConsumer:
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._settings.bootstrap,
                group_id=GROUP,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                request_timeout_ms=int(self._settings.request_timeout * 1000),
            )
            self._consumer = consumer
            consumer.subscribe([Topic.OUTBOX.value], listener=self)
            try:
                await consumer.start()
            except KafkaError as error:
                self.kafka.away(error)
                await consumer.stop()
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return consumer

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            self.last_turn = time.monotonic()
            waits = len(self._backlog) >= MOST_WAITING
            # Paused or not, the group must see that this worker lives.
            (consumer.pause if waits else consumer.resume)(*consumer.assignment())
            try:
                read = await consumer.getmany(timeout_ms=int(TURN_SECONDS * 1000), max_records=AT_ONCE)
            except KafkaError as error:
                self.kafka.away(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for top, records in read.items():
                for record in records:
                    self._take(top.partition, record.offset, record.value)
            if read:
                self.kafka.there()
                self._news.set()
                self._results.set()

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Notice that Kafka is away, or there again, though nothing is read or reported."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not (assigned := consumer.assignment()):
                continue
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await consumer.end_offsets(assigned)
            except (KafkaError, TimeoutError) as error:
                self.kafka.away(Unavailable(f"Kafka at {self._settings.bootstrap} does not answer: {error!r}"))
            else:
                self.kafka.there()

    def _take(self, partition: int, offset: int, raw: bytes | None) -> None:
        with contextlib.suppress(msgspec.DecodeError):
            self._backlog.add(Entry(partition, offset, _decode(raw or b"")))
            return
        log.error("%s, partition %d, offset %d: no message; it is left out", Topic.OUTBOX, partition, offset)
        self._backlog.skip(partition, offset)

    async def _send(self) -> None:
        while True:
            most = PARALLEL if self._courier.reachable else 1
            while self.assigned and len(self._flight) < most and (entry := self._backlog.pop(self._clock.now())):
                task = asyncio.create_task(self._attempt(entry))
                self._flight.add(task)
                task.add_done_callback(self._landed)
            self._news.clear()
            until_due = self._clock.wall_seconds(self._backlog.next_due - self._clock.now())
            has_room = self.assigned and len(self._flight) < most
            await _set_within(self._news, min(TURN_SECONDS, max(0.0, until_due)) if has_room else TURN_SECONDS)

    async def _attempt(self, entry: Entry) -> None:
        began = time.monotonic()
        try:
            event = await self._courier.attempt(entry.message, entry.claimant)
        except Unavailable:
            entry.failures += 1
            wait = backoff(entry.failures) * self._clock.speed
            # What is away is asked no more often than this, whichever message is next.
            await asyncio.sleep(RETRY_SECONDS)
            self._backlog.put(entry, self._clock.now() + wait)
        else:
            self._metrics.send_time.labels(entry.message.channel.value).observe(time.monotonic() - began)
            self._finished.append((entry, event))
            self._results.set()

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flight.discard(task)
        self._news.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("a message could not be handled; it is read again after a restart", exc_info=error)

    async def _report(self) -> None:
        while True:
            await _set_within(self._results, TURN_SECONDS)
            self._results.clear()
            await self._courier.look()
            await self._flush()

    async def _flush(self) -> None:
        """Report what is finished, wait until Kafka has it, and commit."""
        async with self._flushing:
            while self._finished:
                batch = list(self._finished)
                # One message may stand in the outbox twice: it is told once, and at most once more by a later batch.
                told = {event.contact_id: (entry, event) for entry, event in batch if event is not None}
                events = list(told.values())
                await self._publish(events)
                del self._finished[: len(batch)]
                for entry, _ in batch:
                    self._backlog.finish(entry)
                for entry, event in events:
                    self._count(entry.message, event)
                if events:
                    await self._courier.reported(list(told))
            await self._commit()

    def _count(self, message: Message, event: ContactEvent) -> None:
        self._metrics.messages.labels(event.channel.value, event.kind.value).inc()
        if event.kind is ContactKind.SENT:
            self._spend.add(event.channel, message.currency)
        elif event.kind is ContactKind.REFUSED:
            self._metrics.blocked.labels(event.channel.value, event.detail or "").inc()

    async def _publish(self, events: Sequence[tuple[Entry, ContactEvent]]) -> None:
        while events:
            if self._producer is None:
                self._producer = await kafka.producer(self._settings, patience=float("inf"))
            try:
                # The shopper's partition: the outbox and the contacts have the same.
                sends = [
                    await self._producer.send(
                        Topic.CONTACTS.value, encode(event), key=event.shopper_id.encode(), partition=entry.partition
                    )
                    for entry, event in events
                ]
                await asyncio.gather(*sends)
            except KafkaError as error:
                self.kafka.away(error)
                producer, self._producer = self._producer, None
                await kafka.close(producer)
            else:
                self.kafka.there()
                return

    async def _commit(self) -> None:
        positions = self._backlog.positions()
        offsets = {
            TopicPartition(Topic.OUTBOX.value, number): offset
            for number, offset in positions.items()
            if self._committed.get(number) != offset
        }
        if not offsets or self._consumer is None:
            return
        try:
            async with asyncio.timeout(self._settings.request_timeout):
                await self._consumer.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            # The next commit covers this one; what is read again until then was reported, and is left out.
            log.debug("offsets are not committed: %r", error)
        else:
            self._committed = positions

    async def _land(self) -> None:
        """Wait for the sends under way: each has its deadlines."""
        while self._flight:
            await asyncio.wait(self._flight)

    async def _close(self) -> None:
        self.assigned = False
        await self._land()
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._flush()
        except TimeoutError:
            log.warning("Kafka did not take %d reports; they are made again at the next start", len(self._finished))
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                if self._consumer is not None:
                    await self._consumer.stop()
        except TimeoutError:
            log.warning("Kafka did not let this worker go within %.0f s", CLOSING_SECONDS)
        if self._producer is not None:
            await kafka.close(self._producer, within=CLOSING_SECONDS)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

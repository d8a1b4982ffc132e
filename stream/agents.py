"""The Faust agents: each hands its records to the processor, which has them acknowledged once they are durable."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP, StreamT

from ringback.metric_labels import RecordTopic
from stream.app import StreamApp
from stream.continuity import Continuity
from stream.flush import Flusher, Receipt, Revoked
from stream.orphans import Orphans
from stream.processor import Processor, Record

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
# Then other tasks have their turn: some milliseconds of work when records are full.
AT_ONCE = 32

Take = Callable[[Record, Receipt], Awaitable[None]]


def install(stream_app: StreamApp, processor: Processor, flusher: Flusher) -> None:
    """Declare the agents, the flusher and the clock."""
    app = stream_app.app
    carts = _Topic(stream_app.cart_events.get_topic_name(), RecordTopic.CART_EVENTS, processor.cart_events)
    contacts = _Topic(stream_app.contacts.get_topic_name(), RecordTopic.CONTACTS, processor.contact)

    @app.agent(stream_app.cart_events)
    async def follow_carts(stream: StreamT[bytes]) -> None:
        await _follow(stream, app, processor, carts)

    @app.agent(stream_app.contacts)
    async def follow_contacts(stream: StreamT[bytes]) -> None:
        await _follow(stream, app, processor, contacts)

    async def judge_by_clock() -> None:
        orphans = Orphans()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            processor.beat = time.monotonic()
            if app.rebalancing or app.should_stop:
                # Both wait until all that was taken is acknowledged.
                processor.nudge()
                orphans.look(app.consumer, idle=processor.idle and flusher.idle, now=time.monotonic())
            else:
                orphans.forget()
                if not app.in_recovery:
                    processor.tick(await _look(app, carts, processor), _committed(processor, carts))
                    await _look(app, contacts, processor)

    async def flush() -> None:
        try:
            await flusher.run(processor.gather)
        except Exception as error:
            # Without it nothing would become durable; the worker ends, and the next one reads the records again.
            await app.crash(error)
            raise

    app.task(judge_by_clock)
    app.task(flush)


@dataclass(slots=True)
class _Topic:
    """A topic that is followed: its name in Kafka and in metrics, who takes its records, and where they wait."""

    name: str
    shown_as: RecordTopic
    take: Take
    queue: asyncio.Queue[Any] | None = None


class _Receipt:
    """Has a record committed, or takes it out of what a new deal of the partitions waits for."""

    __slots__ = ("_consumer", "_continuity", "_event")

    def __init__(self, event: Any, consumer: Any, continuity: Continuity) -> None:
        self._event = event
        self._consumer = consumer
        self._continuity = continuity

    def done(self) -> None:
        message = self._event.message
        self._continuity.durable(message.tp, message.offset)
        self._event.ack()

    def left(self) -> None:
        self._consumer.unacked.discard(self._event.message)


async def _follow(stream: Any, app: Any, processor: Processor, topic: _Topic) -> None:
    topic.queue = stream.channel.queue
    # Not stream.take(): it acknowledges a batch even when its processing is cut short, and so loses it.
    async for first in stream.noack().events():
        await _follow_one(first, app, processor, topic.take)
        for event in _waiting(topic.queue, app):
            await _follow_one(event, app, processor, topic.take)


def _waiting(queue: asyncio.Queue[Any], app: Any) -> Iterator[Any]:
    """Records that wait already, without the round through the event loop that Faust makes for each."""
    for _ in range(AT_ONCE):
        if queue.empty():
            return
        event = queue.get_nowait()
        message = event.message
        # As Faust does with each.
        if app.flow_control.is_active() and message.generation_id == app.consumer_generation_id:
            message.tracked = True
            app.consumer.unacked.add(message)
            yield event


async def _follow_one(event: Any, app: Any, processor: Processor, take: Take) -> None:
    message = event.message
    if not processor.continuity.admits(message.tp, message.offset):
        await processor.continuity.go_back(app.consumer, message)
        return
    receipt = _Receipt(event, app.consumer, processor.continuity)
    try:
        await take(message, receipt)
    except Revoked as revoked:
        log.info("left a record: partition %s is not ours", revoked)
        receipt.left()


async def _look(app: Any, topic: _Topic, processor: Processor) -> list[int]:
    """The partitions of a topic in which every record has been taken.

    Shows how many wait in Kafka, and has those read again that were dropped.
    """
    idle = []
    unacked = {message.partition for message in app.consumer.unacked if message.topic == topic.name}
    queued = topic.queue is not None and not topic.queue.empty()
    for number in processor.partitions:
        tp = TP(topic.name, number)
        try:
            end, position = app.consumer.highwater(tp), await app.consumer.position(tp)
        except (AssertionError, IllegalStateError):  # so aiokafka says that a new deal has just taken it away
            return []
        known = end is not None and position is not None
        processor.metrics.lag.labels(topic.shown_as.value, str(number)).set(max(0, end - position) if known else 0)
        if known:
            on_its_way = queued or number in unacked
            await processor.continuity.look(app.consumer, tp, position, on_its_way=on_its_way)
            if not on_its_way and processor.continuity.has_taken(tp, end):
                idle.append(number)
    return idle


def _committed(processor: Processor, topic: _Topic) -> dict[int, int]:
    """By partition, the offset from which a worker would go on after a crash."""
    return {tp.partition: offset for tp, offset in processor.continuity.committed.items() if tp.topic == topic.name}

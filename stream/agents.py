"""The Faust agents: each hands its records to the processor, which has them acknowledged once they are durable."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiokafka.errors import IllegalStateError
from faust.types import TP, StreamT

from ringback.metric_labels import RecordTopic
from stream.app import StreamApp
from stream.flush import Flusher, Receipt, Revoked
from stream.membership import Membership
from stream.orphans import Orphans
from stream.processor import Processor, Record

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
# Then other tasks have their turn: some milliseconds of work when records are full.
AT_ONCE = 32

Take = Callable[[Record, Receipt], Awaitable[None]]


def install(stream_app: StreamApp, processor: Processor, flusher: Flusher, membership: Membership) -> None:
    """Declare the agents, the flusher and the clock."""
    app, topic = stream_app.app, stream_app.cart_events.get_topic_name()
    contacts = stream_app.contacts.get_topic_name()

    @app.agent(stream_app.cart_events)
    async def follow_carts(stream: StreamT[bytes]) -> None:
        await _follow(stream, app, processor, processor.cart_events)

    @app.agent(stream_app.contacts)
    async def follow_contacts(stream: StreamT[bytes]) -> None:
        await _follow(stream, app, processor, processor.contact)

    async def judge_by_clock() -> None:
        orphans = Orphans()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            await membership.beat()
            processor.beat = time.monotonic()
            if app.rebalancing or app.should_stop:
                # Both wait until all that was taken is acknowledged.
                processor.nudge()
                orphans.look(app.consumer, idle=processor.idle and flusher.idle, now=time.monotonic())
            else:
                orphans.forget()
                if not app.in_recovery:
                    processor.tick(await _idle_partitions(app, topic, processor), _committed(app, topic))
                    await _show_lag(app, contacts, RecordTopic.CONTACTS, processor)

    async def flush() -> None:
        try:
            await flusher.run(processor.gather)
        except Exception as error:
            # Without it nothing would become durable; the worker ends, and the next one reads the records again.
            await app.crash(error)
            raise

    app.task(judge_by_clock)
    app.task(flush)


class _Receipt:
    """Acknowledges a record in Faust, or takes it out of what a new deal of the partitions waits for."""

    __slots__ = ("_consumer", "_event")

    def __init__(self, event: Any, consumer: Any) -> None:
        self._event = event
        self._consumer = consumer

    def done(self) -> None:
        self._event.ack()

    def left(self) -> None:
        self._consumer.unacked.discard(self._event.message)


async def _follow(stream: Any, app: Any, processor: Processor, take: Take) -> None:
    # Not stream.take(): it acknowledges a batch even when its processing is cut short, and so loses it.
    async for first in stream.noack().events():
        await _follow_one(first, app, processor, take)
        for event in _waiting(stream, app):
            await _follow_one(event, app, processor, take)


def _waiting(stream: Any, app: Any) -> Iterator[Any]:
    """Records that wait already, without the round through the event loop that Faust makes for each."""
    queue = stream.channel.queue
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
    app.consumer.starts = processor.continuity.begun
    if not processor.continuity.admits(message.tp, message.offset):
        await processor.continuity.go_back(app.consumer, message)
        return
    receipt = _Receipt(event, app.consumer)
    try:
        await take(message, receipt)
    except Revoked as revoked:
        log.info("left a record: partition %s is not ours", revoked)
        receipt.left()


async def _idle_partitions(app: Any, topic: str, processor: Processor) -> list[int]:
    """The partitions of the cart events in which every record has been taken."""
    waiting = {message.partition for message in app.consumer.unacked if message.topic == topic}
    lags = await _show_lag(app, topic, RecordTopic.CART_EVENTS, processor)
    return [number for number, lag in lags.items() if lag == 0 and number not in waiting]


async def _show_lag(app: Any, topic: str, shown_as: RecordTopic, processor: Processor) -> dict[int, int | None]:
    """How many records of a topic wait in Kafka, by partition; None where it is not known. Also shown as a metric."""
    lags: dict[int, int | None] = {}
    for number in processor.partitions:
        tp = TP(topic, number)
        try:
            end, position = app.consumer.highwater(tp), await app.consumer.position(tp)
        except (AssertionError, IllegalStateError):  # so aiokafka says that a new deal has just taken it away
            return {}
        lag = lags[number] = None if end is None or position is None else max(0, end - position)
        processor.metrics.lag.labels(shown_as.value, str(number)).set(lag or 0)
    return lags


def _committed(app: Any, topic: str) -> dict[int, int]:
    """By partition of the cart events, the offset from which a worker would go on after a crash."""
    offsets = app.consumer._committed_offset  # noqa: SLF001 - asking Kafka four times a second would be dear
    return {tp.partition: offset for tp, offset in offsets.items() if tp.topic == topic and offset}

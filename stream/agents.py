"""The Faust agents: each hands its records to the processor, which has them acknowledged once they are durable."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from faust.types import TP, StreamT

from ringback.records import Topic
from stream.app import StreamApp
from stream.flush import Flusher, Revoked
from stream.processor import Processor, Record

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25

Take = Callable[[Record, Callable[[], None]], Awaitable[None]]


def install(stream_app: StreamApp, processor: Processor, flusher: Flusher) -> None:
    """Declare the agents, the flusher and the clock."""
    app = stream_app.app

    @app.agent(stream_app.cart_events)
    async def follow_carts(stream: StreamT[bytes]) -> None:
        await _follow(stream, processor.cart_event)

    @app.agent(stream_app.contacts)
    async def follow_contacts(stream: StreamT[bytes]) -> None:
        await _follow(stream, processor.contact)

    async def judge_by_clock() -> None:
        while not app.should_stop:
            await app.sleep(TICK_SECONDS)
            processor.beat = time.monotonic()
            if not (app.rebalancing or app.in_recovery):
                processor.tick(await _idle_partitions(app, processor))

    async def flush() -> None:
        try:
            await flusher.run(processor.gather)
        except Exception as error:
            # Without it nothing would become durable; the worker ends, and the next one reads the records again.
            await app.crash(error)
            raise

    app.task(judge_by_clock)
    app.task(flush)


async def _follow(stream: Any, take: Take) -> None:
    # Not stream.take(): it acknowledges a batch even when its processing is cut short, and so loses it.
    async for event in stream.noack().events():
        try:
            await take(event.message, event.ack)
        except Revoked as revoked:
            log.info("left a record: partition %s is not ours", revoked)


async def _idle_partitions(app: Any, processor: Processor) -> list[int]:
    """The partitions of the cart events in which every record has been taken."""
    consumer = app.consumer
    waiting = {message.partition for message in consumer.unacked if message.topic == Topic.CART_EVENTS}
    idle = []
    for number in processor.partitions:
        tp = TP(Topic.CART_EVENTS.value, number)
        end, position = consumer.highwater(tp), await consumer.position(tp)
        lag = max(0, end - position) if end is not None and position is not None else 0
        processor.metrics.lag.labels(str(number)).set(lag)
        if end is not None and position is not None and position >= end and number not in waiting:
            idle.append(number)
    return idle

"""Contact events and records of calls on their way to Kafka: in order, acknowledged, never dropped while we live.

A broker that is away makes the queue grow and `Contacts.ready` false; nobody is called then. An event may be written
twice after a failure: readers know it by ``contact_id`` and ``kind``.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ringback import kafka
from ringback.call_records import CallEntry
from ringback.errors import Unavailable
from ringback.records import ContactEvent, Topic, encode
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

STALLED_SECONDS = 2.0
BATCH = 500
PATIENCE_SECONDS = 15.0


@dataclass(slots=True)
class _Unsent:
    event: ContactEvent | CallEntry
    acknowledged: asyncio.Future[None]
    posted: float = field(default_factory=time.monotonic)


class Contacts:
    """The queue and its sender. Run `run` in a task."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._unsent: deque[_Unsent] = deque()
        self._news = asyncio.Event()
        self._up = False

    @property
    def ready(self) -> bool:
        """Whether the broker takes events, as far as is known: none waits for long."""
        return self._up and self.lag < STALLED_SECONDS

    @property
    def unsent(self) -> int:
        """How many events wait."""
        return len(self._unsent)

    @property
    def lag(self) -> float:
        """Seconds that the oldest event has waited."""
        return time.monotonic() - self._unsent[0].posted if self._unsent else 0.0

    def post(self, event: ContactEvent | CallEntry) -> asyncio.Future[None]:
        """Queue an event. The future is done when Kafka has acknowledged it; giving up on it does not unsend it."""
        waiting = _Unsent(event, asyncio.get_running_loop().create_future())
        self._unsent.append(waiting)
        self._news.set()
        return waiting.acknowledged

    async def run(self) -> None:
        """Send until cancelled. Raises `ringback.errors.SettingsError` when the topics do not fit the settings."""
        while True:
            try:
                await kafka.create_topics(self._settings, patience=PATIENCE_SECONDS)
                producer = await kafka.producer(self._settings, patience=PATIENCE_SECONDS)
            except Unavailable as error:
                log.warning("%s; nobody is called until it is back", error)
                continue
            try:
                self._up = True
                await self._send(producer)
            except (KafkaError, OSError) as error:
                log.warning("Kafka does not take contact events (%r); nobody is called until it does", error)
            finally:
                self._up = False
                await kafka.close(producer, within=1.0)

    async def _send(self, producer: AIOKafkaProducer) -> None:
        while True:
            self._news.clear()
            if not self._unsent:
                await self._news.wait()
            batch = list(islice(self._unsent, BATCH))
            sent = [
                await producer.send(
                    _topic_of(waiting.event), encode(waiting.event), key=waiting.event.shopper_id.encode()
                )
                for waiting in batch
            ]
            results = await asyncio.gather(*sent, return_exceptions=True)
            for waiting, result in zip(batch, results, strict=True):
                if isinstance(result, BaseException):
                    raise result
                self._unsent.popleft()
                if not waiting.acknowledged.done():
                    waiting.acknowledged.set_result(None)


def _topic_of(event: ContactEvent | CallEntry) -> str:
    return (Topic.CONTACTS if isinstance(event, ContactEvent) else Topic.CALLS).value

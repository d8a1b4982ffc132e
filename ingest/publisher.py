"""The way of ingested events into Kafka: acknowledged, or the shop is told to send them again."""

import asyncio
import logging
import math
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ringback.errors import Unavailable
from ringback.kafka import close, create_topics, producer
from ringback.records import Topic
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

# Shops' platforms give a webhook up after 5 s.
ANSWER_SECONDS = 4.0


class Outgoing(NamedTuple):
    """A message to publish."""

    topic: Topic
    key: str
    value: bytes


class Publisher:
    """Publishes to Kafka; while there is none it says so at once, and connects as soon as there is one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._within = min(settings.request_timeout, ANSWER_SECONDS)

    @property
    def connected(self) -> bool:
        """Whether Kafka was reached since the start. It may be away again."""
        return self._producer is not None

    async def connect(self) -> None:
        """Wait for Kafka as long as it takes. Raises `SettingsError` when its topics are not as they must be."""
        await create_topics(self._settings, patience=math.inf)
        self._producer = await producer(self._settings, patience=math.inf)
        log.info("publishing to Kafka at %s", self._settings.bootstrap)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when the broker has all messages. Raises `Unavailable`; some of them may have arrived then."""
        if self._producer is None:
            raise Unavailable(f"Kafka at {self._settings.bootstrap} was not reached yet")
        try:
            await asyncio.wait_for(self._all(self._producer, messages), self._within)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka at {self._settings.bootstrap} did not take events: {error!r}") from None

    async def _all(self, producing: AIOKafkaProducer, messages: Sequence[Outgoing]) -> None:
        sent = [await producing.send(topic, value, key=key.encode()) for topic, key, value in messages]
        await asyncio.gather(*sent)

    async def close(self) -> None:
        """Send what waits and disconnect."""
        if self._producer is not None:
            await close(self._producer)

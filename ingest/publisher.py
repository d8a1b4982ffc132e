"""The way of ingested events into Kafka: acknowledged, or not taken."""

import asyncio
import logging
import math
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ringback.envelope import pack_by_partition
from ringback.errors import Unavailable
from ringback.kafka import close, create_topics, producer
from ringback.records import CartEvent, DeadLetter, Topic, encode
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

# Shops' platforms give a webhook up after 5 s.
ANSWER_SECONDS = 4.0


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
        # Intake has gathered already: nothing is won by waiting for more.
        self._producer = await producer(self._settings, patience=math.inf, linger_ms=0)
        log.info("publishing to Kafka at %s", self._settings.bootstrap)

    async def publish(self, events: Sequence[CartEvent], letters: Sequence[DeadLetter] = ()) -> None:
        """Return when the broker has everything; events are packed by partition, and keep their order there.

        Raises `Unavailable`; some of it may have arrived then, or may yet.
        """
        if self._producer is None:
            raise Unavailable(f"Kafka at {self._settings.bootstrap} was not reached yet")
        try:
            async with asyncio.timeout(self._within):
                await self._all(self._producer, events, letters)
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka at {self._settings.bootstrap} did not take events: {error!r}") from None

    async def _all(
        self, producing: AIOKafkaProducer, events: Sequence[CartEvent], letters: Sequence[DeadLetter]
    ) -> None:
        sent = [
            await producing.send(Topic.CART_EVENTS, packed, partition=partition)
            for partition, packed in pack_by_partition(events, self._settings.partitions)
        ]
        sent += [
            await producing.send(Topic.DEAD_LETTERS, encode(letter), key=letter.source.encode()) for letter in letters
        ]
        await asyncio.gather(*sent)

    async def close(self) -> None:
        """Send what waits and disconnect."""
        if self._producer is not None:
            await close(self._producer)

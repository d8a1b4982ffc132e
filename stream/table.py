"""The Faust table of shopper states, made to say when a write is durable and to hold only what this worker owns."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import faust
from aiokafka.structs import RecordMetadata
from faust.types import TP

Recovered = Callable[[set[int]], Awaitable[None]]


class ShopperTable(faust.Table[bytes, bytes]):
    """Shopper id to encoded state, in memory, with a changelog in Kafka.

    Faust's own table differs in three ways. It takes a key's partition from the event that is being iterated, and so
    can't be written from a batch or a timer. It returns before the changelog has the write. And its memory store keeps
    the keys of revoked partitions, as it does not note the partition of a key that this worker wrote itself.
    """

    # mode names a service's logger after its module; its starts and stops belong with the other services of Faust.
    logger = logging.getLogger("faust.tables")
    recovered: Recovered | None = None

    async def write(self, partition: int, key: bytes, value: bytes) -> Awaitable[RecordMetadata]:
        """Set a key. What is returned completes when the changelog has it, on all in-sync replicas."""
        store: Any = self.data
        store.data[key] = value
        store._key_partition[key] = partition  # noqa: SLF001 - the store drops what it notes here, and only that
        return await self.app.producer.send(self.changelog_topic_name, key, value, partition, None, None)

    def size(self) -> int:
        """How many keys this worker holds."""
        store: Any = self.data
        return len(store.data)

    def of_partition(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """The keys and values of one partition."""
        store: Any = self.data
        for key, at in store._key_partition.items():  # noqa: SLF001 - see write
            if at == partition:
                yield key, store.data[key]

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Drop what was revoked, then tell the worker which partitions are complete."""
        await super().on_recovery_completed(active_tps, standby_tps)
        if self.recovered is not None:
            try:
                await self.recovered({tp.partition for tp in active_tps})
            except Exception as error:
                # Faust drops what is raised here; without its states the worker must not go on.
                await self.app.crash(error)
                raise

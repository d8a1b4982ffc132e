"""The Faust table of shopper states, made to write in batches, to say when they are durable, and to recover in bulk."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer
from faust.types import TP

from ringback.kafka import persistently
from stream.outputs import Outputs
from stream.shelf import Shelf
from stream.store import ShopperStore

log = logging.getLogger(__name__)

Recovered = Callable[[set[int], int], Awaitable[None]]


class ShopperTable(faust.Table[bytes, bytes]):
    """Shopper id to encoded state, with a changelog in Kafka.

    Faust's own table takes a key's partition from the event that is being iterated, and so can't be written from a
    batch or a timer; and it returns before the changelog has the write. ``recovering`` is called before their states
    are read, and ``recovered`` with the partitions that are this worker's and the number of the deal in which they were
    read, before any of their records is taken.
    """

    # mode names a service's logger after its module; its starts and stops belong with the other services of Faust.
    logger = logging.getLogger("faust.tables")
    outputs: Outputs
    connect: Callable[[], AIOKafkaConsumer]
    recovering: Callable[[], None]
    recovered: Recovered
    states_read: Callable[[int], None]
    _standing_by: asyncio.Task[None] | None = None
    _recovering: asyncio.Task[Any] | None = None

    async def write(self, partition: int, changes: Mapping[bytes, bytes | None]) -> None:
        """Set states, or delete them where None; returns when the changelog has it all. Raises `KafkaError`."""
        deal = self._states.deals
        last = await self.outputs.change(self.changelog_topic_name, partition, changes)
        if self._states.deals == deal:
            self.shelf(partition).apply(changes, last)

    async def on_start(self) -> None:
        """As Faust's own, but that the changelog is declared as soon as Kafka answers."""
        await self.add_runtime_dependency(self.data)
        await persistently("the changelog's topic", self.changelog_topic.declare)

    async def on_stop(self) -> None:
        """As Faust's own, and let go of the standby copies."""
        self._leave_copies()
        await super().on_stop()

    def shelf(self, partition: int) -> Shelf:
        """The states of one partition."""
        return self._states.shelf(partition)

    def size(self) -> int:
        """How many shoppers this worker holds."""
        return self._states.size()

    def is_dealt_anew(self) -> bool:
        """Whether a new deal of the partitions has begun, and is not made yet.

        Faust's own ``app.rebalancing`` also holds for some time after it, when records are taken already.
        """
        return self.app.rebalancing_count != self._states.begun

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Read the states of what was assigned, then tell the worker which partitions are complete."""
        # When partitions are dealt again meanwhile Faust calls this anew, and leaves the former call running.
        former, self._recovering = self._recovering, asyncio.current_task()
        if former is not None and not former.done():
            former.cancel()
            await asyncio.wait([former])
        deal, generation = self._states.deals, self._states.generation
        self._leave_copies()
        await super().on_recovery_completed(active_tps, standby_tps)
        mine = {tp.partition for tp in active_tps}
        self.recovering()
        try:
            await self._load(mine)
            if self._states.deals != deal:
                return
            await self.recovered(mine, generation)
        except Exception as error:
            if self._is_over(deal, error):
                return
            # Faust drops what is raised here; without its states the worker must not go on.
            await self.app.crash(error)
            raise
        # What was read stays for long and has no cycles: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        if standby_tps:
            self._standing_by = asyncio.create_task(self._stand_by({tp.partition for tp in standby_tps}))

    def _leave_copies(self) -> None:
        if self._standing_by is not None:
            self._standing_by.cancel()
            self._standing_by = None

    async def _load(self, partitions: set[int]) -> None:
        # What was read stays on the shelves: each attempt goes on where the last one ended.
        await persistently("the changelog", lambda: self._states.load(partitions, self.connect, self.states_read))

    async def _stand_by(self, partitions: set[int]) -> None:
        deal, copies = self._states.deals, self._states.copies
        try:
            while True:
                await self._load(partitions)
                partitions = await copies.behind()
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker ends and says so
            if not self._is_over(deal, error):
                await self.app.crash(error)

    def _is_over(self, deal: int, error: Exception) -> bool:
        """Whether an error came of a new deal, which closes the shelves of the partitions that it takes away."""
        over = self._states.deals != deal
        if over:
            log.info("left the reading of states: the partitions are dealt anew (%r)", error)
        return over

    @property
    def _states(self) -> ShopperStore:
        store: Any = self.data
        if not isinstance(store, ShopperStore):
            raise TypeError("Faust made another store than _new_store")
        return store

    def _new_store(self) -> Any:
        folder: Path | None = (self.options or {}).get("folder")
        return ShopperStore("memory://", self.app, self, folder=folder, table_name=self.name, loop=self.loop)

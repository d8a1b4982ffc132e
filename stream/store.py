"""The Faust store of shopper states: a shelf a partition, filled from the changelog in bulk.

Faust recovers a table record by record, three or four thousand a second, and its memory store keeps the keys of revoked
partitions and makes standby replicas useless. Here every partition has a shelf of its own. Faust is told that an
assigned partition is recovered already, and the table fills the shelf when Faust says that recovery is complete; that
is before any record is taken. What Faust reads of standby partitions goes to their shelves by way of `stream.copies`.
"""

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.stores import base
from faust.types import TP, AppT, EventT

from ringback.kafka import until
from stream.copies import Change, Copies
from stream.shelf import NOTHING, MemoryShelf, RocksShelf, Shelf

log = logging.getLogger(__name__)

TELL_EVERY_SECONDS = 5.0


class ShopperStore(base.Store[bytes, bytes]):
    """Shelves by partition. ``folder`` is where RocksDB keeps them; None keeps them in memory.

    ``deals`` counts the rebalances: what was written in a former one is read back from the changelog, and only there.
    ``generation`` is the number that Kafka gave to the last, ``begun`` how many Faust had begun by then, and ``copies``
    are those that it made this worker keep.
    """

    logger = logging.getLogger("faust.tables")

    def __init__(self, url: str, app: AppT, table: Any, *, folder: Path | None, **options: Any) -> None:
        super().__init__(url, app, table, **options)
        self.shelves: dict[int, Shelf] = {}
        self.deals = 0
        self.generation = -1
        self.begun = 0
        self.copies = Copies()
        self._folder = folder
        self._topic: str = table.changelog_topic_name
        self._ends: dict[int, int] = {}

    def shelf(self, partition: int) -> Shelf:
        """The shelf of a partition, an empty one or what lies on the disk when it is new here."""
        if partition not in self.shelves:
            where = None if self._folder is None else self._folder / f"partition-{partition}"
            self.shelves[partition] = MemoryShelf() if where is None else RocksShelf(where)
        return self.shelves[partition]

    def size(self) -> int:
        """How many shoppers this worker holds, those of standby partitions too."""
        return sum(len(shelf) for shelf in self.shelves.values())

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop what this worker no longer holds, and look where the changelogs of the rest end."""
        self.deals += 1
        self.generation = generation_id
        self.begun = self.app.rebalancing_count
        standbys = {tp for tp in self.app.assignor.assigned_standbys() if tp.topic == self._topic}
        actives = {tp for tp in self.app.assignor.assigned_actives() if tp.topic == self._topic}
        mine = actives | standbys
        self.copies = Copies(tp.partition for tp in standbys - actives)
        for number in self.shelves.keys() - {tp.partition for tp in mine}:
            self.shelves.pop(number).close()
        ends = await self.app.consumer.highwaters(*mine) if mine else {}
        self._ends = {tp.partition: end or 0 for tp, end in ends.items()}

    def persisted_offset(self, tp: TP) -> int | None:
        """What Faust need not read: all that was there at the rebalance; see `load`."""
        end = self._ends.get(tp.partition, 0)
        return end - 1 if end else None

    async def load(
        self, partitions: Iterable[int], connect: Callable[[], AIOKafkaConsumer], told: Callable[[int], None]
    ) -> None:
        """Read the changelogs of these partitions to their ends. ``told`` is called with the records read so far.

        Raises `KafkaError`, or `ValueError` when a changelog is shorter than what lies on the disk.
        """
        tops = {TopicPartition(self._topic, number): self.shelf(number) for number in sorted(partitions)}
        if not tops:
            return
        consumer = connect()
        try:
            await consumer.start()
            consumer.assign(list(tops))
            begins = await consumer.beginning_offsets(list(tops))
            ends = await consumer.end_offsets(list(tops))
            for top, shelf in tops.items():
                _prepare(shelf, top, begins[top], ends[top])
                consumer.seek(top, max(shelf.offset + 1, begins[top]))
            began = reminded = time.monotonic()
            read = 0
            async for top, records in until(consumer, ends):
                tops[top].apply({record.key: record.value for record in records}, records[-1].offset)
                read += len(records)
                told(len(records))
                if time.monotonic() - reminded > TELL_EVERY_SECONDS:
                    reminded = time.monotonic()
                    log.info(
                        "%d changes read, at offset %d of %d in partition %d",
                        read,
                        tops[top].offset,
                        ends[top],
                        top.partition,
                    )
        finally:
            await consumer.stop()
        for top, shelf in tops.items():
            shelf.apply({}, ends[top] - 1)
            self.copies.caught_up(top.partition, shelf)
        if read:
            shoppers = sum(len(shelf) for shelf in tops.values())
            log.info("%d changes read in %.1f s, %d shoppers", read, time.monotonic() - began, shoppers)

    def apply_changelog_batch(
        self, batch: Iterable[EventT[bytes]], to_key: Callable[[Any], bytes], to_value: Callable[[Any], bytes]
    ) -> None:
        """Take what Faust read of a standby partition's changelog."""
        for event in batch:
            message = event.message
            if message.partition in self.shelves:
                change = Change(message.key or b"", message.value, message.offset)
                self.copies.take(message.partition, self.shelves[message.partition], change)

    async def backup_partition(self, tp: TP | int, flush: bool = True, purge: bool = False, keep: int = 1) -> None:
        """Nothing: the changelog is the backup."""

    def restore_backup(self, tp: TP | int, latest: bool = True, backup_id: int = 0) -> None:
        """Nothing: the changelog is the backup."""

    def reset_state(self) -> None:
        """Drop all, on the disk too."""
        self._clear()
        if self._folder is not None:
            RocksShelf.remove(self._folder)

    def _clear(self) -> None:
        for shelf in self.shelves.values():
            shelf.close()
        self.shelves.clear()

    async def on_stop(self) -> None:
        """Close the shelves."""
        self._clear()


def _prepare(shelf: Shelf, top: TopicPartition, begin: int, end: int) -> None:
    """Make sure that a shelf can go on from where it is."""
    if shelf.offset >= end:
        raise ValueError(
            f"the states of partition {top.partition} on the disk reach offset {shelf.offset} of {top.topic}, "
            f"which ends at {end}: the topic was made anew; delete the folder stream.data_dir"
        )
    if shelf.offset != NOTHING and shelf.offset < begin - 1:
        # What was compacted away since then may have been a deletion.
        shelf.apply(dict.fromkeys(shelf.keys()), shelf.offset)

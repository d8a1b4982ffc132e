"""Faust's Kafka transport without two of its costs and three of its faults; for faust-streaming 0.15, aiokafka 0.14.

1. It lets a fetch wait 1.5 seconds at the broker, and a partition that is left out of it waits as long.
2. It makes two tasks for each record, so as to leave a delivery that blocks while the flow is suspended. Here a record
   is delivered at once, and only a delivery that blocks becomes a task.
3. After a rebalance it goes back to the committed offset, but stays where it is in a partition of which nothing was
   committed yet; what was taken there and not made durable would be lost.
4. It commits by counting acknowledgements, which goes wrong; see `stream.continuity`.
5. While all partitions with records have full buffers it waits for other partitions, a whole second at a time.
"""

import types
from collections.abc import Coroutine, Generator, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.continuity import Continuity
from stream.membership import Lease, keep

FETCH_WAIT_MS = 50
# A full buffer holds some tens of milliseconds of work (`stream_buffer_maxsize`).
FULL_WAIT_SECONDS = 0.005


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Fetches wait for `FETCH_WAIT_MS` at most, and what the group's coordinator hears renews the transport's lease."""

    async def on_start(self) -> None:
        """Start the consumer, in this thread."""
        await super().on_start()
        transport: Any = self.transport
        keep(transport.lease, self._ensure_consumer()._coordinator)  # noqa: SLF001 - aiokafka shows it nowhere else

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001 - no setting has it; it is read at the start
        return consumer


class Consumer(driver.Consumer):
    """Delivers records without a task for each, and commits what the transport's continuity knows to be durable."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, and to the beginning where there is none."""
        await super().perform_seek()
        new = [
            tp
            for tp in self.assignment()
            if not self._committed_offset[tp] and self.app.topics.acks_enabled_for(tp.topic)
        ]
        if new:
            await self._thread.seek_to_beginning(*map(driver.ensure_aiokafka_TP, new))
            self._read_offset.update(dict.fromkeys(new))

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
        """Wait no longer than a full buffer lasts: what comes to a buffer that drops would not end the wait."""
        return await super()._wait_next_records(FULL_WAIT_SECONDS if self._buffered_partitions else timeout)

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        # What Faust has counted is of no use; it may not grow either.
        self._acked.clear()
        self._acked_index.clear()
        assigned = self.assignment()
        return {tp: offset for tp, offset in self._continuity.to_commit().items() if tp in assigned}

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        has_committed: bool = await super()._commit_offsets(offsets, start_new_transaction)
        if has_committed:
            self._continuity.has_committed(offsets)
        return has_committed

    @property
    def _continuity(self) -> Continuity:
        transport: Any = self.transport
        continuity: Continuity = transport.continuity
        return continuity

    async def wait_first(self, *waiting: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 - mode's signature
        """Wait until one is done. A coroutine that does not block at all is done at once."""
        if len(waiting) == 2 and timeout is None and all(isinstance(one, types.CoroutineType) for one in waiting):
            delivery, suspended = waiting
            try:
                blocked_on = delivery.send(None)
            except StopIteration:
                suspended.close()
                return None
            waiting = (_rest(delivery, blocked_on), suspended)
        return await super().wait_first(*waiting, timeout=timeout)


class Transport(driver.Transport):
    """The transport with this module's consumer, which keeps a lease, and commits what is durable."""

    Consumer = Consumer

    def __init__(self, url: Any, app: Any, lease: Lease, continuity: Continuity) -> None:
        super().__init__(url, app)
        self.lease = lease
        self.continuity = continuity


async def _rest(coroutine: Coroutine[Any, Any, Any], blocked_on: Any) -> None:
    await _Resumed(coroutine, blocked_on)


class _Resumed:
    """Goes on with a coroutine that was started by hand and has blocked once."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], blocked_on: Any) -> None:
        self._coroutine = coroutine
        self._blocked_on = blocked_on

    def __await__(self) -> Generator[Any, Any, None]:
        blocked_on = self._blocked_on
        try:
            while True:
                try:
                    sent = yield blocked_on
                except BaseException as error:  # noqa: BLE001 - a cancellation too is the coroutine's to deal with
                    blocked_on = self._coroutine.throw(error)
                else:
                    blocked_on = self._coroutine.send(sent)
        except StopIteration:
            return

"""Publishes the benchmark's events: a backlog at once, or a steady rate."""

import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from benchmarks.stream.events import event
from ringback.envelope import pack_by_partition, partition_of
from ringback.records import CartEvent, encode

# As long as ingest gathers requests. Single events wait in the producer as long as that.
LINGER_SECONDS = 0.003
# A backlog is packed as it would have been, had its events come in at this rate.
BACKLOG_RATE = 20_000
BACKLOG_GATHERED = round(BACKLOG_RATE * LINGER_SECONDS)
TICK_SECONDS = 0.0005
PATIENCE = 60.0


class Feeder:
    """Publishes events to one topic, numbered from 0; packed by partition as ingest does it, or one a record."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, *, packed: bool) -> None:
        self.published = 0
        self._topic, self._partitions, self._packed = topic, partitions, packed
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 0 if packed else LINGER_SECONDS * 1000,
                "queue.buffering.max.messages": 2_000_000,
                "queue.buffering.max.kbytes": 2_000_000,
                # A broker that has just started is still loading its coordinators, which is warned of.
                "log_level": 3,
            }
        )
        self._gathered: list[CartEvent] = []
        self._since = 0.0

    def backlog(self, count: int) -> None:
        """Publish this many events, and return when the broker has them."""
        for _ in range(count):
            self._publish(time.time())
            if len(self._gathered) == BACKLOG_GATHERED:
                self._pack()
            self._producer.poll(0)
        self._flush()

    def steadily(self, rate: float, seconds: float) -> float:
        """Publish at this rate, and return the rate that was reached, when the broker has the last event."""
        first, began = self.published, time.monotonic()
        due = 0
        while due < int(rate * seconds):
            now = time.monotonic()
            due = min(int((now - began) * rate), int(rate * seconds))
            while self.published - first < due:
                self._publish(time.time())
            if self._gathered and time.time() - self._since >= LINGER_SECONDS:
                self._pack()
            self._producer.poll(0)
            time.sleep(TICK_SECONDS)
        took = time.monotonic() - began
        self._flush()
        return (self.published - first) / took

    def _publish(self, sent: float) -> None:
        made = event(self.published, sent)
        self.published += 1
        if not self._packed:
            part = partition_of(made.shopper_id, self._partitions)
            self._produce(part, encode(made), made.shopper_id.encode())
            return
        if not self._gathered:
            self._since = sent
        self._gathered.append(made)

    def _pack(self) -> None:
        for part, record in pack_by_partition(self._gathered, self._partitions):
            self._produce(part, record, None)
        self._gathered = []

    def _produce(self, part: int, value: bytes, key: bytes | None) -> None:
        self._producer.produce(self._topic, value, key, part, on_delivery=_delivered)

    def _flush(self) -> None:
        self._pack()
        if waiting := self._producer.flush(PATIENCE):
            raise TimeoutError(f"{self._topic}: the broker did not take {waiting} records within {PATIENCE:.0f} s")


def _delivered(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        raise KafkaException(error)

"""Reads what an engine publishes: its outputs as they come, and in the end the states in its changelog."""

import time
from collections.abc import Callable, Iterator

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from benchmarks.stream.job import Output, decode_output, decode_state

PATIENCE = 60.0
POLL_SECONDS = 0.05


class Watcher:
    """Gathers the outputs in a topic."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self.outputs: list[Output] = []
        self._numbers: set[int] = set()
        self._consumer = _reader(bootstrap, topic, partitions)

    def until(self, count: int, meanwhile: Callable[[], None]) -> bool:
        """Gather until there are this many different outputs; False when none came for a minute.

        ``meanwhile`` is called some 20 times a second.
        """
        last = time.monotonic()
        while len(self._numbers) < count:
            meanwhile()
            if self._gather():
                last = time.monotonic()
            elif time.monotonic() - last > PATIENCE:
                return False
        meanwhile()
        return True

    def rest(self) -> None:
        """Gather what else there is, and close."""
        while self._gather():
            pass
        self._consumer.close()

    def _gather(self) -> int:
        came = [decode_output(value) for _, value in _values(self._consumer.consume(1_000, POLL_SECONDS))]
        self.outputs += came
        self._numbers.update(output.number for output in came)
        return len(came)


def counted(bootstrap: str, changelog: str, partitions: int) -> int:
    """The sum of the counts in the last states of all shoppers."""
    reader = _reader(bootstrap, changelog, partitions)
    ends = sum(
        reader.get_watermark_offsets(TopicPartition(changelog, number), PATIENCE)[1] for number in range(partitions)
    )
    counts: dict[bytes, int] = {}
    read = 0
    while read < ends and (messages := reader.consume(10_000, 1.0)):
        read += len(messages)
        for key, value in _values(messages):
            counts[key] = decode_state(value).count
    reader.close()
    return sum(counts.values())


def _values(messages: list[Message]) -> Iterator[tuple[bytes, bytes]]:
    for message in messages:
        if error := message.error():
            raise KafkaException(error)
        key, value = message.key(), message.value()
        if isinstance(key, bytes) and isinstance(value, bytes):
            yield key, value


def _reader(bootstrap: str, topic: str, partitions: int) -> Consumer:
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "benchmark-watcher", "enable.auto.commit": False})
    reader.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
    return reader

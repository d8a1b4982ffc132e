"""A bare confluent-kafka loop: `consume`, states in a dict, one changelog record a batch for each changed shopper."""

import signal
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from benchmarks.stream.engine import Arguments, arguments, ready
from benchmarks.stream.job import Job, State, decode, encode_state

# The more in a batch, the fewer states are written: more than this changes little.
MOST_RECORDS = 4_000
POLL_SECONDS = 0.1
COMMIT_SECONDS = 1.0


def run(given: Arguments) -> None:
    """Consume until SIGTERM; offsets are committed once a second, after the flush of what came of them."""
    job, states = Job(given.model), dict[bytes, State]()
    consumer = Consumer(
        {
            "bootstrap.servers": given.bootstrap,
            "group.id": given.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": given.bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    ready(given.changelog)
    consumer.subscribe([given.input])
    committed, taken = time.monotonic(), False
    while not stopping.is_set():
        dirty: dict[bytes, int] = {}
        for message in _waiting(consumer):
            key, value, partition = message.key(), message.value(), message.partition()
            if not isinstance(key, bytes) or not isinstance(value, bytes) or partition is None:
                raise KafkaException(message.error())
            states[key], output = job.step(states.get(key), decode(value))
            dirty[key] = partition
            if output is not None:
                producer.produce(given.output, output, key, on_delivery=_delivered)
        for key, partition in dirty.items():
            producer.produce(given.changelog, encode_state(states[key]), key, partition, on_delivery=_delivered)
        producer.poll(0)
        taken = taken or bool(dirty)
        if taken and (stopping.is_set() or time.monotonic() - committed >= COMMIT_SECONDS):
            producer.flush()
            consumer.commit(asynchronous=False)
            committed, taken = time.monotonic(), False
    consumer.close()


def _waiting(consumer: Consumer) -> list[Message]:
    # consume() waits its whole timeout for as many records as it may take: only the first is waited for.
    first = consumer.poll(POLL_SECONDS)
    return [] if first is None else [first, *consumer.consume(MOST_RECORDS - 1, 0)]


def _delivered(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        raise KafkaException(error)


if __name__ == "__main__":
    run(arguments())

"""A bare aiokafka loop: `getmany`, states in a dict, one changelog record a batch for each changed shopper."""

import asyncio
import signal
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.stream.engine import Arguments, arguments, ready
from benchmarks.stream.job import Job, State, decode, encode_state

# The more in a batch, the fewer states are written: more than this changes little.
MOST_RECORDS = 4_000
POLL_MS = 100
LINGER_MS = 5
COMMIT_SECONDS = 1.0


async def run(given: Arguments) -> None:
    """Consume until SIGTERM; offsets are committed once a second, after the flush of what came of them."""
    job, states = Job(given.model), dict[bytes, State]()
    consumer = AIOKafkaConsumer(
        given.input,
        bootstrap_servers=given.bootstrap,
        group_id=given.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=given.bootstrap, acks="all", enable_idempotence=True, linger_ms=LINGER_MS
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    ready(given.changelog)
    await producer.start()
    await consumer.start()
    sent: list[asyncio.Future[object]] = []
    ends: dict[TopicPartition, int] = {}
    committed = time.monotonic()
    try:
        while not stopping.is_set():
            dirty: dict[bytes, int] = {}
            for part, records in (await consumer.getmany(timeout_ms=POLL_MS, max_records=MOST_RECORDS)).items():
                for record in records:
                    key = record.key
                    states[key], output = job.step(states.get(key), decode(record.value))
                    dirty[key] = record.partition
                    if output is not None:
                        sent.append(await producer.send(given.output, output, key=key))
                ends[part] = records[-1].offset + 1
            for key, partition in dirty.items():
                sent.append(await producer.send(given.changelog, encode_state(states[key]), key, partition))
            if stopping.is_set() or time.monotonic() - committed >= COMMIT_SECONDS:
                await producer.flush()
                for future in sent:
                    future.result()
                if ends:
                    await consumer.commit(ends)
                sent, ends, committed = [], {}, time.monotonic()
    finally:
        await producer.stop()
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(run(arguments()))

"""How fast a cart event becomes a score: one stream worker on Apache Kafka and Redis, fed by the simulated shop.

First a backlog is drained, which gives events a second; then events arrive at a steady rate, which gives the time from
an event's arrival to its cart's score. The last line is one JSON object.
"""

import argparse
import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import median

import msgspec
from rich.console import Console

from ringback import kafka
from ringback.envelope import pack_by_partition
from ringback.records import CartEvent, Topic, encode
from ringback.settings import Settings, load
from simulation.shop import training_log
from tests.servers.kafka import Kafka
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

SHOPPERS = 24_000
DAYS = 10
# What ingest packs together in its linger of 3 ms at 20,000 events a second.
PACKED_TOGETHER = 60
TAKEN = "ringback_stream_events_total"
SCORED = "ringback_event_to_score_seconds"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of a small backlog")
    parser.add_argument("--rate", type=int, default=500, help="events a second for the latency")
    options = parser.parse_args()
    rounds, backlog = (1, 60_000) if options.quick else (3, 120_000)
    results = [asyncio.run(_round(backlog, options.rate, seed)) for seed in range(rounds)]
    console = Console()
    for name, unit in (("events_per_s", "events/s"), ("event_to_score_p50_ms", "ms"), ("event_to_score_p99_ms", "ms")):
        values = [result[name] for result in results]
        console.print(f"{name:24} median {median(values):10.1f} {unit}  [{min(values):.1f} to {max(values):.1f}]")
    print(
        json.dumps({name: median(result[name] for result in results) for name in results[0]} | {"rate": options.rate})
    )


async def _round(backlog: int, rate: int, seed: int) -> dict[str, float]:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        environment = {"RINGBACK_KAFKA__BOOTSTRAP": broker.bootstrap, "RINGBACK_REDIS__URL": redis.url}
        settings = load({"kafka.bootstrap": broker.bootstrap})
        log = training_log(SHOPPERS, DAYS, seed)
        await _publish(settings, list(itertools.islice(log, backlog)))
        worker = RingbackProcess("stream", environment)
        stack.callback(worker.close)
        await asyncio.to_thread(worker.start)
        first, started = worker.total(TAKEN), time.monotonic()
        await _taken(worker, backlog)
        drained = (backlog - first) / (time.monotonic() - started)
        before = worker.metrics()
        await _steadily(settings, log, rate, seconds=20)
        await _taken(worker, backlog + rate * 20)
        spread = worker.metrics().minus(before)
        return {
            "events_per_s": drained,
            "event_to_score_p50_ms": 1000 * (spread.quantile(SCORED, 0.5) or 0.0),
            "event_to_score_p99_ms": 1000 * (spread.quantile(SCORED, 0.99) or 0.0),
        }


async def _taken(worker: RingbackProcess, events: int) -> None:
    deadline = time.monotonic() + 300
    while worker.total(TAKEN) < events:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{worker.total(TAKEN):.0f} of {events} events were taken")
        await asyncio.sleep(0.05)


async def _publish(settings: Settings, events: Sequence[CartEvent]) -> None:
    await kafka.create_topics(settings.kafka)
    producer = await kafka.producer(settings.kafka)
    try:
        for first in range(0, len(events), PACKED_TOGETHER):
            together = [_old(event) for event in events[first : first + PACKED_TOGETHER]]
            for partition, packed in pack_by_partition(together, settings.kafka.partitions):
                await producer.send(Topic.CART_EVENTS, packed, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def _steadily(settings: Settings, log: Iterator[CartEvent], rate: int, seconds: int) -> None:
    producer = await kafka.producer(settings.kafka)
    try:
        started = time.monotonic()
        for number, event in enumerate(itertools.islice(log, rate * seconds)):
            if (ahead := started + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            stamped = msgspec.structs.replace(_old(event), received_wall=time.time())
            await producer.send(Topic.CART_EVENTS, encode(stamped), key=event.shopper_id.encode())
        await producer.flush()
    finally:
        await producer.stop()


def _old(event: CartEvent) -> CartEvent:
    # The shop's history begins at 1970: an old log, played again.
    return msgspec.structs.replace(event, replay=True)


if __name__ == "__main__":
    main()

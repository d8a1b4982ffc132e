"""How the stream grows with its workers: 1, 2 and 4 in one group work off the same backlog of cart events.

Each round has an Apache Kafka and a Redis of its own, and ``ringback stream`` as it runs in production. The workers are
frozen while the backlog is written, packed as ingest packs it; what is measured begins when they wake up. One more
round has a record for each event, so that the cost of an event can be told from that of a record. Broker, Redis and
workers share the cores of this machine: more workers than it has cores can't be faster. The last line is one JSON
object.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_seconds
from ringback import kafka
from ringback.envelope import pack_by_partition, partition_of
from ringback.records import CartEvent, Topic, encode
from ringback.settings import Settings, load
from simulation.shop import training_log
from tests.servers.kafka import Kafka
from tests.servers.process import wait_until
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

# Divides by 1, 2 and 4.
PARTITIONS = 8
# So many events reach an ingest process while it waits for others and for Kafka, when it takes some 8,000 a second.
GATHERED = 128
SHOPPERS = 12_000
DAYS = 30
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 900.0
DEALT = "ringback_stream_partitions"
COUNTED = (
    "ringback_stream_events_total",
    "ringback_stream_repeated_events_total",
    "ringback_stream_dead_letters_total",
)


@dataclass(frozen=True, slots=True)
class Round:
    """What one group of workers did. Processor time is in microseconds an event, of all workers together."""

    workers: int
    events_per_record: float
    events_per_s: float
    events_per_s_each: tuple[float, ...]
    worker_us: float
    worker_us_each: tuple[float, ...]
    broker_us: float
    redis_us: float
    decisions: float


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small backlog")
    parser.add_argument("--events", type=int, help="of the backlog; without it 150,000")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="workers of each round: 1 2 4")
    options = parser.parse_args()
    count = options.events or (20_000 if options.quick else 150_000)
    console = Console(stderr=True)
    backlog = [msgspec.structs.replace(event, replay=True) for event in islice(training_log(SHOPPERS, DAYS), count)]
    plan = [(1, 1), *((workers, GATHERED) for workers in options.workers)]
    rounds = []
    for workers, gathered in plan:
        console.log(f"{workers} workers, {len(backlog):,} events, {gathered} gathered")
        rounds.append(_round(backlog, workers, gathered))
    _report(rounds)
    cores = os.cpu_count()
    print(json.dumps({"cores": cores, **_costs(rounds), "rounds": [asdict(one) for one in rounds]}))


def _round(backlog: Sequence[CartEvent], workers: int, gathered: int) -> Round:
    with ExitStack() as stack:
        broker, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        environment = {**broker.settings, **redis.settings, "RINGBACK_KAFKA__PARTITIONS": str(PARTITIONS)}
        settings = load({"kafka.bootstrap": broker.bootstrap, "kafka.partitions": PARTITIONS})
        group = [stack.enter_context(RingbackProcess("stream", environment)) for _ in range(workers)]
        wait_until(
            lambda: all(one.total(DEALT) == PARTITIONS / workers and one.ready() for one in group),
            "every worker has its share",
            deadline_s=PATIENCE_SECONDS,
        )
        for one in group:
            one.pause()
        records = asyncio.run(_write(settings, backlog, gathered))
        servers = [*group, broker, redis]
        cpu = [cpu_seconds(server) for server in servers]
        began = time.monotonic()
        for one in group:
            one.resume()
        wait_until(
            lambda: _waited() and sum(map(_taken, group)) >= len(backlog),
            "the backlog is worked off",
            deadline_s=PATIENCE_SECONDS,
        )
        seconds = time.monotonic() - began
        *used, broker_used, redis_used = (cpu_seconds(server) - at for server, at in zip(servers, cpu, strict=True))
        taken = [_taken(one) for one in group]
        return Round(
            workers=workers,
            events_per_record=round(len(backlog) / records, 1),
            events_per_s=round(len(backlog) / seconds),
            events_per_s_each=tuple(round(events / seconds) for events in taken),
            worker_us=_micros(sum(used), len(backlog)),
            worker_us_each=tuple(_micros(mine, events) for mine, events in zip(used, taken, strict=True)),
            broker_us=_micros(broker_used, len(backlog)),
            redis_us=_micros(redis_used, len(backlog)),
            decisions=sum(one.total("ringback_decisions_total") for one in group),
        )


def _waited() -> bool:
    # Each look costs the workers some milliseconds.
    time.sleep(POLL_SECONDS)
    return True


def _taken(worker: RingbackProcess) -> float:
    metrics = worker.metrics()
    return sum(metrics.value(name) for name in COUNTED)


def _micros(seconds: float, events: float) -> float:
    return round(1e6 * seconds / events, 1) if events else 0.0


async def _write(settings: Settings, backlog: Sequence[CartEvent], gathered: int) -> int:
    """Write the backlog; how many records it came to."""
    producer = await kafka.producer(settings.kafka, linger_ms=50)
    records = 0
    try:
        for partition, key, value in _records(backlog, gathered):
            await producer.send(Topic.CART_EVENTS, value, key=key, partition=partition)
            records += 1
        await producer.flush()
    finally:
        await producer.stop()
    return records


def _records(backlog: Sequence[CartEvent], gathered: int) -> Iterable[tuple[int, bytes | None, bytes]]:
    """Partition, key and value of each record."""
    if gathered == 1:
        for event in backlog:
            yield partition_of(event.shopper_id, PARTITIONS), event.shopper_id.encode(), encode(event)
    else:
        for first in range(0, len(backlog), gathered):
            for partition, value in pack_by_partition(backlog[first : first + gathered], PARTITIONS):
                yield partition, None, value


def _costs(rounds: Sequence[Round]) -> dict[str, float]:
    """What an event and what a record costs one worker: two rounds, two unknowns."""
    alone, packed = (one for one in rounds if one.workers == 1)
    record = (alone.worker_us - packed.worker_us) / (1 / alone.events_per_record - 1 / packed.events_per_record)
    return {"event_us": round(alone.worker_us - record / alone.events_per_record, 1), "record_us": round(record, 1)}


def _report(rounds: Sequence[Round]) -> None:
    table = Table(
        "workers",
        "per record",
        "events/s",
        "each",
        "worker µs",
        "broker µs",
        "Redis µs",
        "decisions",
        title=f"{os.cpu_count()} cores for workers, broker and Redis; µs of processor time an event",
    )
    for one in rounds:
        table.add_row(
            str(one.workers),
            f"{one.events_per_record:.1f}",
            f"{one.events_per_s:,.0f}",
            " ".join(f"{rate:,.0f}" for rate in one.events_per_s_each),
            f"{one.worker_us:.1f}",
            f"{one.broker_us:.1f}",
            f"{one.redis_us:.1f}",
            f"{one.decisions:,.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()

"""What a million live carts cost one stream worker: bytes, memory, and the time until it has them back after a crash.

Carts of the simulated shop, each as it was at one moment of its life, are written to the changelog of an Apache Kafka
as many times as it takes, each time with another shopper's ids. Then ``ringback stream`` holds them, is killed with -9
and started again: with its states in memory, in RocksDB whose folder was kept, and with a second worker that has a
standby copy. At last a smaller number expires. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from benchmarks.processes import MB, cpu_seconds, resident_bytes
from ringback import kafka
from ringback.envelope import partition_of
from ringback.records import CartEvent, EventKind, Topic, encode
from ringback.settings import Settings, load
from simulation.shop import training_log
from stream import carts, history
from stream.outputs import Outputs
from tests.servers.kafka import Kafka
from tests.servers.process import wait_until
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

# Stands for the shopper's id in what is written: as long as an id that Ringback derives.
MARK = b"0123456789abcdef0123456789abcdef"
_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd, so that no two numbers below 2**128 come to the same
KINDS_OF_CARTS = 2_000
MOST_LINES = 6
ONE_IN = 7  # of the moments of live carts, so that a cart does not come again with each of its events
WRITTEN_AT_ONCE = 2_000
EXPIRING_SHARE = 5
PATIENCE_SECONDS = 900.0

SHOPPERS = "ringback_stream_shoppers"
PARTITIONS = "ringback_stream_partitions"
_TIME = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+) "
_READ_LINE = re.compile(_TIME + r".*: (\d+) changes read in ([\d.]+) s, ")
_TAKEN_OVER = re.compile(_TIME + r".*: following \d+ shoppers")


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a worker came back. ``seconds`` count from the deal of the partitions, ``away`` from the crash."""

    seconds: float
    away: float
    carts_per_s: float
    cpu_us: float
    states_read: int
    resident_mb: float


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 carts")
    parser.add_argument("--carts", type=int, help="how many; without it a million")
    options = parser.parse_args()
    count = options.carts or (100_000 if options.quick else 1_000_000)
    console = Console(stderr=True)
    with ExitStack() as stack:
        broker, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        bench = Bench(broker, redis, count, console)
        result = bench.run()
    _report(result)
    print(json.dumps(result))


class Bench:
    """One broker, one Redis, and workers that come and go."""

    def __init__(self, broker: Kafka, redis: Redis, count: int, console: Console) -> None:
        self._broker = broker
        self._redis = redis
        self._count = count
        self._start_cpu = 0.0
        self._say = console.log

    def run(self) -> dict[str, object]:
        """All measurements, by name."""
        settings = self._settings("bench-states")
        asyncio.run(_create(settings))
        with self._worker(settings) as empty:
            empty_bytes, self._start_cpu = resident_bytes(empty), cpu_seconds(empty)
        self._say(f"an empty worker has {empty_bytes / MB:.0f} MB; writing {self._count:,} carts")
        began = time.monotonic()
        state_bytes = asyncio.run(_write(settings, self._count))
        self._say(f"written in {time.monotonic() - began:.0f} s, {state_bytes:.0f} bytes each")
        recoveries = {
            "memory": self._crash(settings),
            "rocksdb": self._crash(settings, store="rocksdb"),
            "standby": self._fail_over(settings),
        }
        memory = recoveries["memory"].resident_mb * MB - empty_bytes
        return {
            "carts": self._count,
            "state_bytes": round(state_bytes),
            "changelog_bytes": round(self._changelog_bytes(settings) / self._count),
            "memory_bytes": round(memory / self._count),
            "empty_worker_mb": round(empty_bytes / MB),
            "recovery": {name: asdict(found) for name, found in recoveries.items()},
            "expiry": self._expire(max(6, self._count // EXPIRING_SHARE)),
        }

    def _crash(self, settings: Settings, store: str = "memory") -> Recovery:
        """Kill a worker that has all carts, and start it again on the same folder."""
        with self._worker(settings, STORE=store) as worker:
            self._say(f"{store}: first filled in {_recovery_seconds(worker):.1f} s")
            worker.kill()
            crashed = time.monotonic()
            worker.start()
            return self._recovered(store, worker, crashed, cpu_seconds(worker) - self._start_cpu)

    def _fail_over(self, settings: Settings) -> Recovery:
        """Kill one of two workers, each of which has a copy of the other's carts."""
        with ExitStack() as stack:
            first, second = (stack.enter_context(self._worker(settings, STANDBY="1")) for _ in range(2))
            half = settings.kafka.partitions / 2
            _until(lambda: first.total(PARTITIONS) == second.total(PARTITIONS) == half, "both share the partitions")
            _until(lambda: first.total(SHOPPERS) >= self._count <= second.total(SHOPPERS), "both have all carts")
            cpu, logged = cpu_seconds(second), len(second.log_since_start())
            first.kill()
            crashed = time.monotonic()
            _until(lambda: second.total(PARTITIONS) == settings.kafka.partitions and second.ready(), "it took over")
            return self._recovered("standby", second, crashed, cpu_seconds(second) - cpu, logged)

    def _recovered(self, name: str, worker: RingbackProcess, crashed: float, cpu: float, logged: int = 0) -> Recovery:
        away, seconds = time.monotonic() - crashed, _recovery_seconds(worker, logged)
        _until(lambda: _holds(worker, 0.9 * self._count), "the carts are there")
        found = Recovery(
            seconds=round(seconds, 2),
            away=round(away, 1),
            carts_per_s=round(self._count / max(seconds, 0.001)),
            cpu_us=round(1e6 * cpu / self._count, 1),
            states_read=sum(int(read[2]) for read in _READ_LINE.finditer(worker.log_since_start(), logged)),
            resident_mb=round(resident_bytes(worker) / MB),
        )
        self._say(f"{name}: {found}")
        return found

    def _expire(self, count: int) -> dict[str, object]:
        """Let carts that were judged be forgotten, and see what is left of them."""
        settings = self._settings("bench-expiry")
        asyncio.run(_create(settings))
        asyncio.run(_write(settings, count, judged=True))
        with self._worker(settings) as worker:
            _until(lambda: _holds(worker, 0.9 * count), "the carts are there")
            full = resident_bytes(worker)
            began = time.monotonic()
            # The sweep needs more than the offset of the carts committed, and the carts a watermark that leaves them.
            asyncio.run(_time_passes(settings))
            _until(lambda: worker.total(SHOPPERS) <= settings.kafka.partitions, "all carts are forgotten")
            seconds, left = time.monotonic() - began, resident_bytes(worker)
            dead = worker.total("ringback_stream_dead_letters_total")
            worker.kill()
            worker.start()
            _until(lambda: _holds(worker, 1), "who is left is there")
            held = worker.total(SHOPPERS)
            again = resident_bytes(worker)
        self._say(
            f"{count:,} carts expired: {full / MB:.0f} MB, then {left / MB:.0f} MB, restarted {again / MB:.0f} MB"
        )
        return {
            "carts": count,
            "seconds": round(seconds, 1),
            "full_mb": round(full / MB),
            "expired_mb": round(left / MB),
            "restarted_mb": round(again / MB),
            "held_after_restart": held,
            "dead_letters": dead,
        }

    def _settings(self, app_id: str) -> Settings:
        return load({"kafka.bootstrap": self._broker.bootstrap, "stream.app_id": app_id})

    def _worker(self, settings: Settings, **stream: str) -> RingbackProcess:
        environment = {
            **self._broker.settings,
            **self._redis.settings,
            "RINGBACK_STREAM__APP_ID": settings.stream.app_id,
            # The clock judges nothing: the carts are to stay.
            "RINGBACK_STREAM__IDLE_AFTER": "86400",
            **{f"RINGBACK_STREAM__{name}": value for name, value in stream.items()},
        }
        worker = RingbackProcess("stream", environment)
        worker.start_deadline_s = PATIENCE_SECONDS
        return worker

    def _changelog_bytes(self, settings: Settings) -> int:
        folders = (self._broker.directory / "data").glob(f"{_changelog(settings)}-*")
        return sum(file.stat().st_size for folder in folders for file in Path(folder).glob("*.log"))


def _recovery_seconds(worker: RingbackProcess, logged: int = 0) -> float:
    """From the deal of the partitions to the first record, by what the worker logged after so many characters."""
    began, seconds = None, 0.0
    for line in worker.log_since_start()[logged:].splitlines():
        if read := _READ_LINE.search(line):
            began = began or _moment(read[1]) - float(read[3])
        elif taken := _TAKEN_OVER.search(line):
            # Where nothing was read there is no line; the metric has the rest.
            seconds = _moment(taken[1]) - began if began else worker.total("ringback_stream_recovery_seconds")
            began = None
    return seconds


def _moment(logged: str) -> float:
    return datetime.strptime(logged, "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007 - local time, as it is logged


def _holds(worker: RingbackProcess, least: float) -> bool:
    if not worker.running:
        raise RuntimeError(f"the worker ended:\n{worker.log_since_start()[-2000:]}")
    return worker.total(SHOPPERS) >= least


def _until(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what, deadline_s=PATIENCE_SECONDS)


def some_carts(count: int, *, judged: bool, seed: int = 0) -> list[bytes]:
    """Encoded states of so many live carts, judged already or not; the shopper's id in them replaced by `MARK`."""
    found: list[bytes] = []
    seen = 0
    states: dict[str, carts.ShopperState] = {}
    for event in training_log(shoppers=4 * count, days=10, seed=seed):
        told = _renamed(event)
        before = states.get(event.shopper_id, carts.EMPTY)
        state, _ = carts.follow(before, told, carts.fingerprint(told), 0, -1, 0.0)
        states[event.shopper_id] = state
        if state.waiting_since is not None and state.cart is not None and len(state.cart.lines) <= MOST_LINES:
            seen += 1
            if seen % ONE_IN == 0:
                found.append(carts.encode_state(_judged(state) if judged else state))
            if len(found) == count:
                return found
    raise RuntimeError(f"the simulated shop had only {len(found)} live carts")


def _judged(state: carts.ShopperState) -> carts.ShopperState:
    return msgspec.structs.replace(
        state, waiting_since=None, judged=state.last_time + 1, history=history.settled(state.history)
    )


def _renamed(event: CartEvent) -> CartEvent:
    mark, mine = MARK.decode(), event.shopper_id
    return msgspec.structs.replace(
        event,
        event_id=event.event_id.replace(mine, mark),
        cart_id=event.cart_id and event.cart_id.replace(mine, mark),
        session_id=event.session_id and event.session_id.replace(mine, mark),
        order_id=event.order_id and event.order_id.replace(mine, mark),
        replay=True,
    )


def _shoppers(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"%032x" % (number * _SPREAD % 2**128)


async def _create(settings: Settings) -> None:
    await kafka.create_topics(settings.kafka)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        config = {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(_changelog(settings), settings.kafka.partitions, 1, topic_configs=config)])
    finally:
        await admin.close()


async def _write(settings: Settings, count: int, *, judged: bool = False) -> float:
    """Write so many states to the changelog; the mean length of a key and its state."""
    kinds = some_carts(min(count, KINDS_OF_CARTS), judged=judged)
    outputs = Outputs(settings.kafka)
    size = 0
    waiting: list[dict[bytes, bytes | None]] = [{} for _ in range(settings.kafka.partitions)]
    try:
        for number, key in enumerate(_shoppers(count)):
            value = kinds[number % len(kinds)].replace(MARK, key)
            size += len(key) + len(value)
            partition = partition_of(key.decode(), settings.kafka.partitions)
            waiting[partition][key] = value
            if len(waiting[partition]) == WRITTEN_AT_ONCE:
                await outputs.change(_changelog(settings), partition, waiting[partition])
                waiting[partition] = {}
        for partition, changes in enumerate(waiting):
            if changes:
                await outputs.change(_changelog(settings), partition, changes)
    finally:
        await outputs.stop()
    return size / count


async def _time_passes(settings: Settings) -> None:
    """Publish events of three months later, two in each partition: after that nobody is remembered."""
    producer = await kafka.producer(settings.kafka)
    later = max(event.time for event in islice(training_log(shoppers=100, days=10), 100)) + 90 * 86_400.0
    try:
        for number in range(2):
            for name, partition in _one_of_each(settings.kafka.partitions):
                event = CartEvent(
                    event_id=f"{name}.{number}",
                    source="bench",
                    shopper_id=name,
                    kind=EventKind.PRODUCT_VIEWED,
                    time=later + number,
                    replay=True,
                )
                await producer.send(Topic.CART_EVENTS, encode(event), key=name.encode(), partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


def _one_of_each(partitions: int) -> Sequence[tuple[str, int]]:
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        found.setdefault(partition_of(f"late-{number}", partitions), f"late-{number}")
        number += 1
    return [(name, partition) for partition, name in found.items()]


def _changelog(settings: Settings) -> str:
    return f"{settings.stream.app_id}-shoppers-changelog"


def _report(result: dict[str, object]) -> None:
    console = Console()
    table = Table("recovery", *(field.replace("_", " ") for field in Recovery.__dataclass_fields__))
    recovery = msgspec.convert(result["recovery"], dict[str, dict[str, float]])
    for name, found in recovery.items():
        table.add_row(name, *(f"{value:,.1f}" for value in found.values()))
    console.print(table)
    for name, value in result.items():
        if name != "recovery":
            console.print(f"{name:18} {value}")


if __name__ == "__main__":
    main()

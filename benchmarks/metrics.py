"""What metrics cost: their share of the stream's work, and how long /metrics takes with a full label set.

Two workers' work is done side by side on the same simulated shop, one with metrics and one without, in short blocks
that take turns; the processor time of each block is compared with its neighbour's. It is the work of a worker without
Kafka and Redis: decode, follow, score, decide, encode. With them the share would only be smaller. The last line is one
JSON object.
"""

import argparse
import asyncio
import gc
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, cast
from urllib.request import Request, urlopen

from rich.console import Console

from ringback import metric_labels as labels
from ringback.admin import AdminServer
from ringback.envelope import pack_by_partition
from ringback.metrics import StreamMetrics
from ringback.records import CartEvent, Channel, encode
from ringback.settings import AdminSettings, Settings, load
from scoring.drift.monitor import Monitor
from scoring.model import Model
from scoring.registry import served_folder
from simulation.shop import training_log
from stream.continuity import Continuity
from stream.following import CartFollowing
from stream.partition import Partition
from stream.prices import Prices
from stream.processor import Processor
from stream.worker import TimedModels
from tests.servers.process import free_port
from tests.stream.shop import HeldStates

# What ingest packs together in its linger of 3 ms at 20,000 events a second.
PACKED_TOGETHER = 60
RECORDS_A_BLOCK = 4
BLOCKS_A_COLLECTION = 100
SHOPPERS, DAYS, SEED = 12_000, 60, 3
PARTITIONS = 48
MOST_SHARE, MOST_MS = 0.03, 50.0
ACCEPT = {"plain": "text/plain", "openmetrics": "application/openmetrics-text; version=1.0.0"}


@dataclass(slots=True)
class Record:
    """As the processor takes it."""

    value: bytes | None
    offset: int
    timestamp: float
    key: bytes | None = None
    partition: int = 0


class Receipt:
    """Nobody waits for it."""

    def done(self) -> None:
        """Acknowledge nothing."""

    def left(self) -> None:
        """Leave nothing."""


class Nothing:
    """A metric that is not there, and all metrics that are not there."""

    def __getattr__(self, name: str) -> "Nothing":
        return self

    def __call__(self, *_: object, **__: object) -> "Nothing":
        """Do nothing, of whatever it is asked."""
        return self


class Worker:
    """The work of one worker on one partition."""

    def __init__(self, settings: Settings, metrics: StreamMetrics | None) -> None:
        model = Model.load(served_folder(settings.scoring))
        clock = settings.simulation.clock()
        counted = metrics or cast("StreamMetrics", Nothing())
        scorer = model if metrics is None else TimedModels(model, metrics)
        prices = Prices(settings, clock, counted)
        monitor = Monitor(counted, lambda: model.manifest, settings.decide.attribution_window)
        self._following = CartFollowing(settings, clock, scorer, counted, prices, monitor)
        unused: Any = None
        self._processor = Processor(self._following, settings.stream, unused, unused, counted, Continuity(unused), ())
        self.states = HeldStates()
        self._processor.partitions = {0: Partition(0, settings, clock, scorer, self.states)}
        self._processor._states = {0: cast("Any", Nothing())}  # noqa: SLF001 - nobody else would be told of a gathering

    async def work(self, records: Sequence[Record]) -> float:
        """Take some records and make durable what they ask for; processor seconds."""
        began = time.thread_time()
        for record in records:
            await self._processor.cart_events(record, Receipt())
        work = await self._processor.gather()
        effects: Any
        for number, effects in work.effects.items():
            for output in self._following.outputs(number, effects):
                encode(output.record)
            self._following.published(effects)
            for state in self._following.changes(effects).values():
                self._following.encode(state, (0, 0))
            self._following.durable(effects)
        work.settled()
        return time.thread_time() - began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the events")
    blocks = 600 if parser.parse_args().quick else 2000
    console = Console()
    share, low, high, per_event = asyncio.run(cost(blocks))
    console.print(f"metrics take {share:.2%} of a worker's time [{low:.2%} to {high:.2%}], {per_event:.2f} µs an event")
    pages = {name: page(accept) for name, accept in ACCEPT.items()}
    for name, (series, size, milliseconds) in pages.items():
        worst = max(milliseconds)
        console.print(
            f"/metrics, {name}: {series} lines, {size / 1024:.0f} KiB, median {median(milliseconds):.1f} ms, "
            f"slowest of {len(milliseconds)} {worst:.1f} ms"
        )
    slowest = max(max(milliseconds) for _, _, milliseconds in pages.values())
    usual = max(median(milliseconds) for _, _, milliseconds in pages.values())
    result = {
        "share": round(share, 5),
        "share_low": round(low, 5),
        "share_high": round(high, 5),
        "us_per_event": round(per_event, 3),
        "scrape_ms_median": round(usual, 2),
        "scrape_ms_max": round(slowest, 2),
        "holds": share <= MOST_SHARE and usual <= MOST_MS,
    }
    print(json.dumps(result))


async def cost(blocks: int) -> tuple[float, float, float, float]:
    """The share of a worker's processor time that metrics take, its 95 % interval, and microseconds an event."""
    settings = load({"kafka.partitions": 1})
    workers = Worker(settings, StreamMetrics()), Worker(settings, None)
    shares, seconds = [], []
    # Collections come when they like, and would be taken for one worker's.
    gc.disable()
    for number, records in enumerate(_blocks(blocks)):
        spent = {}
        for which in (0, 1) if number % 2 else (1, 0):
            spent[which] = await workers[which].work(records)
        shares.append(1.0 - spent[1] / spent[0])
        seconds.append(spent[0])
        if number % BLOCKS_A_COLLECTION == 0:
            gc.collect()
    gc.enable()
    shares, seconds = shares[blocks // 10 :], seconds[blocks // 10 :]
    rng = Random(SEED)  # noqa: S311 - draws for a bootstrap, no secret
    draws = sorted(median(rng.choices(shares, k=len(shares))) for _ in range(1000))
    share = median(shares)
    return share, draws[25], draws[974], share * median(seconds) / (RECORDS_A_BLOCK * PACKED_TOGETHER) * 1e6


def _blocks(count: int) -> Iterator[list[Record]]:
    log = training_log(SHOPPERS, DAYS, SEED)
    offset = itertools.count()
    for _ in range(count):
        records = []
        for _ in range(RECORDS_A_BLOCK):
            together: list[CartEvent] = list(itertools.islice(log, PACKED_TOGETHER))
            if len(together) < PACKED_TOGETHER:
                raise RuntimeError("the simulated shop's history is too short; raise DAYS")
            for _, packed in pack_by_partition(together, 1):
                records.append(Record(packed, next(offset), together[-1].time))
        yield records


def page(accept: str, times: int = 100) -> tuple[int, int, list[float]]:
    """Lines, bytes and milliseconds of each answer of a worker's /metrics with every label set that it can have."""
    metrics = StreamMetrics()
    _fill(metrics)
    server = AdminServer(AdminSettings(port=free_port()), "stream", metrics.registry, live={}, ready={})
    server.start()
    took, body = [], b""
    try:
        for _ in range(times):
            began = time.perf_counter()
            with urlopen(Request(f"{server.url}/metrics", headers={"Accept": accept}), timeout=10) as answer:  # noqa: S310 - a server of this process, on loopback
                body = answer.read()
            took.append((time.perf_counter() - began) * 1000)
    finally:
        server.stop()
    return body.count(b"\n"), len(body), took


def _fill(metrics: StreamMetrics) -> None:
    model = Model.load(Path("scoring/default_model"))
    Monitor(metrics, lambda: model.manifest, 0.0)
    for number in range(PARTITIONS):
        for topic in labels.RecordTopic:
            metrics.lag.labels(topic.value, str(number)).set(number)
    for currency in ("USD", "EUR", "GBP", "CAD", "JPY"):
        metrics.expect(currency)
    for route, reason, arm in itertools.product(("voice", "sms", "chat", "none", "holdout"), range(13), labels.Arm):
        metrics.decisions.labels(route, str(reason), arm).inc()
    for role in labels.ModelRole:
        metrics.model_info.labels(role.value, f"2026-01-01-{role.value}").set(1)
    for number in range(1000):
        metrics.due_to_decision.observe(number / 100, {"decision_id": f"{number:032x}"})
        metrics.contacts.labels(Channel.VOICE.value).inc()


if __name__ == "__main__":
    main()

"""The benchmark of metrics measures what it says: the same work with and without them, and a full page."""

import asyncio

from benchmarks import metrics
from ringback.metrics import StreamMetrics
from ringback.settings import load


def test_both_workers_do_the_same_work_and_only_one_counts() -> None:
    async def work() -> tuple[StreamMetrics, int]:
        counted = StreamMetrics()
        workers = [metrics.Worker(load({"kafka.partitions": 1}), one) for one in (counted, None)]
        blocks = list(metrics._blocks(3))
        for records in blocks:
            for worker in workers:
                assert await worker.work(records) > 0
        assert workers[0].states.held.keys() == workers[1].states.held.keys() != set()
        return counted, len(blocks)

    counted, blocks = asyncio.run(work())
    records = blocks * metrics.RECORDS_A_BLOCK
    assert _value(counted, "ringback_stream_processing_seconds_count", topic="cart_events") == records
    assert _events(counted) == records * metrics.PACKED_TOGETHER


def test_a_share_comes_with_its_interval() -> None:
    share, low, high, _ = asyncio.run(metrics.cost(20))
    assert low <= share <= high < 1


def test_the_page_is_as_full_as_a_large_workers() -> None:
    lines, size, took = metrics.page("text/plain", times=2)
    assert lines > 700
    assert size > 40_000
    assert len(took) == 2
    full = StreamMetrics()
    metrics._fill(full)
    (lag,) = (family for family in full.registry.collect() if family.name == "ringback_stream_lag_records")
    assert len(lag.samples) == 2 * metrics.PARTITIONS


def _value(counted: StreamMetrics, name: str, **labels: str) -> float:
    found = counted.registry.get_sample_value(name, labels)
    assert found is not None
    return found


def _events(counted: StreamMetrics) -> float:
    (family,) = counted.events.collect()
    return sum(sample.value for sample in family.samples)

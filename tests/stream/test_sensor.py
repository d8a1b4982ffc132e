"""What is told of Faust itself, and of recoveries."""

from typing import Any

from ringback.metrics import StreamMetrics
from stream.sensor import Recovery, Sensor


def shown(metrics: StreamMetrics, name: str) -> float:
    found = metrics.registry.get_sample_value(f"ringback_stream_{name}")
    assert found is not None
    return found


def test_deals_and_commits_are_measured() -> None:
    metrics, app = StreamMetrics(), object()
    sensor = Sensor(metrics)
    state: dict[str, Any] = sensor.on_rebalance_start(app)
    sensor.on_rebalance_return(app, state)
    assert shown(metrics, "rebalance_seconds_count") == 0
    sensor.on_rebalance_end(app, state)
    sensor.on_commit_completed(app, sensor.on_commit_initiated(app))
    assert shown(metrics, "rebalance_seconds_count") == shown(metrics, "commit_seconds_count") == 1


def test_a_recovery_can_be_seen_while_it_lasts() -> None:
    metrics = StreamMetrics()
    recovery = Recovery(metrics)
    assert (shown(metrics, "recovering"), shown(metrics, "recovery_seconds")) == (0, 0)
    recovery.begin()
    assert shown(metrics, "recovering") == 1
    first = shown(metrics, "recovery_seconds")
    assert 0 <= first < shown(metrics, "recovery_seconds")
    recovery.end()
    over = shown(metrics, "recovery_seconds")
    assert over > first
    assert (shown(metrics, "recovering"), shown(metrics, "recovery_seconds")) == (0, over)

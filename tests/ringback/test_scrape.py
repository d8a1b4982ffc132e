"""Reading metrics back."""

import pytest
from prometheus_client import generate_latest

from ringback.metrics import DialerMetrics, NeverEvent, StreamMetrics
from ringback.scrape import Samples, fetch, is_ready


def samples(*metrics: StreamMetrics | DialerMetrics) -> Samples:
    return Samples(generate_latest(one.registry).decode() for one in metrics)


def test_values_are_summed_over_processes_and_labels() -> None:
    stream, dialer = StreamMetrics(), DialerMetrics()
    for metrics in (stream, dialer):
        metrics.never_events.labels(NeverEvent.CART_LOST.value).inc(2)
    stream.decisions.labels("voice", "high_value", "treated").inc(3)
    stream.decisions.labels("none", "no_consent", "ineligible").inc()
    read = samples(stream, dialer)
    assert read.value("ringback_never_events_total") == 4
    assert read.value("ringback_never_events_total", event="cart_lost") == 4
    assert read.value("ringback_decisions_total", route="voice", arm="treated") == 3
    assert read.by("ringback_decisions_total", "route")["none"] == 1
    assert read.by_two("ringback_decisions_total", "route", "arm")["voice", "treated"] == 3
    assert read.value("no_such_metric") == 0
    assert "high_value" in read.label_values()


def test_quantiles_interpolate_in_their_bucket() -> None:
    stream = StreamMetrics()
    assert samples(stream).quantile("ringback_event_to_score_seconds", 0.5) is None
    for _ in range(50):
        stream.event_to_score.observe(0.0015)
    for _ in range(50):
        stream.event_to_score.observe(0.2)
    read = samples(stream)
    assert read.quantile("ringback_event_to_score_seconds", 0.25) == pytest.approx(0.0015)
    assert read.quantile("ringback_event_to_score_seconds", 0.5) == pytest.approx(0.002)
    assert read.quantile("ringback_event_to_score_seconds", 1.0) == pytest.approx(0.25)


def test_what_is_beyond_the_last_edge_is_told_as_that_edge() -> None:
    stream = StreamMetrics()
    stream.event_to_score.observe(99.0)
    assert samples(stream).quantile("ringback_event_to_score_seconds", 0.99) == 10.0


def test_a_process_that_is_not_there_has_nothing_to_say() -> None:
    assert fetch("http://127.0.0.1:9") is None
    assert not is_ready("http://127.0.0.1:9")

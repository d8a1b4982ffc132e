"""The report of a demo."""

import json
from pathlib import Path

from prometheus_client import generate_latest

from ringback import demo_report
from ringback.decisions import Route
from ringback.metrics import DialerMetrics, NeverEvent, StreamMetrics
from ringback.records import Disposition, Outcome
from ringback.scrape import Samples

KEYS = [
    "events",
    "carts_abandoned",
    "decisions",
    "calls",
    "connected",
    "conversions",
    "revenue_recovered",
    "latency_ms",
    "never_events",
]


def test_an_empty_demo_has_every_key() -> None:
    report = demo_report.build(Samples(), {})
    assert list(report) == KEYS
    assert report["latency_ms"] == {
        name: {"p50": None, "p99": None} for name in ("event_to_score", "due_to_decision", "decision_to_originate")
    }
    assert report["never_events"] == dict.fromkeys(NeverEvent, 0)


def test_what_the_processes_counted_is_in_the_report(tmp_path: Path) -> None:
    stream, dialer = StreamMetrics(), DialerMetrics()
    stream.events.labels("item_added").inc(7)
    stream.events.labels("order_completed").inc(2)
    stream.carts_abandoned.inc(3)
    stream.decisions.labels("voice", "high_value", "treated").inc(2)
    stream.conversions.labels("voice", "USD").inc()
    stream.revenue.labels("voice", "USD").inc(1234.56)
    stream.event_to_score.observe(0.0015)
    dialer.calls.labels(Outcome.CONNECTED.value).inc(2)
    dialer.calls.labels(Outcome.BUSY.value).inc()
    dialer.dispositions.labels(Disposition.SALE.value).inc()
    dialer.never_events.labels(NeverEvent.SECOND_CALL_AT_ONCE.value).inc()
    texts = [generate_latest(metrics.registry).decode() for metrics in (stream, dialer)]
    report = demo_report.build(Samples(texts), {NeverEvent.SECOND_CALL_AT_ONCE: 2, NeverEvent.CART_LOST: 1})
    assert (report["events"], report["carts_abandoned"], report["connected"], report["conversions"]) == (9, 3, 2, 1)
    assert report["decisions"] == dict.fromkeys(Route, 0) | {"voice": 2}
    assert report["calls"]["busy"] == 1
    assert report["revenue_recovered"] == {"USD": {"voice": "1234.56"}}
    assert 1 <= report["latency_ms"]["event_to_score"]["p50"] <= 2
    assert report["never_events"]["second_call_at_once"] == 3
    assert report["never_events"]["cart_lost"] == 1
    file = tmp_path / "report.json"
    demo_report.write(report, file)
    assert json.loads(file.read_text()) == report


def test_events_that_were_repeated_or_refused_are_dealt_with() -> None:
    stream = StreamMetrics()
    stream.events.labels("item_added").inc(7)
    stream.repeated.inc(2)
    stream.dead_letters.labels("malformed").inc()
    assert demo_report.events_taken(Samples([generate_latest(stream.registry).decode()])) == 10


def test_leaks_are_numbers_and_addresses() -> None:
    clean = ["INFO dialer: call 0a1b connected", "ringback:leads:9f8e7d", "0.012345", "2026-03-03 15:00:00,123 INFO x"]
    assert demo_report.leaks(clean) == 0
    assert demo_report.leaks([*clean, "calling +12125550142", "mail to ada@example.com"]) == 2

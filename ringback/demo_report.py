"""The report of a demo, and the checks that are made from outside the processes that are checked."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ringback.metrics import NeverEvent
from ringback.money import exponent, show
from ringback.privacy import redact
from ringback.scrape import Samples

LATENCIES = ("event_to_score", "due_to_decision", "decision_to_originate")
REVENUE, RETURNED = "ringback_revenue_recovered_total", "ringback_revenue_returned_total"
EVENTS_TAKEN = (
    "ringback_stream_events_total",
    "ringback_stream_repeated_events_total",
    "ringback_stream_dead_letters_total",
)


def build(samples: Samples, found: Mapping[NeverEvent, int]) -> dict[str, Any]:
    """The report. ``found`` are never events seen from outside, added to those that the processes counted.

    Latencies are milliseconds, None where nothing was measured; revenue is decimal amounts by currency and channel.
    """
    return {
        "events": round(samples.value("ringback_stream_events_total")),
        "carts_abandoned": round(samples.value("ringback_carts_abandoned_total")),
        "decisions": _counts(samples.by("ringback_decisions_total", "route")),
        "calls": _counts(samples.by("ringback_calls_total", "outcome")),
        "connected": round(samples.value("ringback_calls_total", outcome="connected")),
        "conversions": round(samples.value("ringback_conversions_total")),
        "revenue_recovered": revenue(samples),
        "latency_ms": {name: _latency(samples, f"ringback_{name}_seconds") for name in LATENCIES},
        "never_events": {
            event.value: round(samples.value("ringback_never_events_total", event=event.value)) + found.get(event, 0)
            for event in NeverEvent
        },
    }


def revenue(samples: Samples) -> dict[str, dict[str, str]]:
    """Recovered revenue as decimal text, by currency and channel."""
    sums: dict[str, dict[str, str]] = {}
    for (currency, channel), minor in recovered(samples).items():
        amount, _, _ = show(minor, currency).replace(",", "").partition(" ")
        sums.setdefault(currency, {})[channel] = amount
    return sums


def recovered(samples: Samples) -> dict[tuple[str, str], int]:
    """What contacts won less what was given back of it, in minor units, by currency and channel; without zeros."""
    returned = samples.by_two(RETURNED, "currency", "channel")
    won = samples.by_two(REVENUE, "currency", "channel")
    left = {
        (currency, channel): round((amount - returned.get((currency, channel), 0.0)) * 10 ** exponent(currency))
        for (currency, channel), amount in won.items()
    }
    return {key: minor for key, minor in left.items() if minor}


def write(report: Mapping[str, Any], file: Path) -> None:
    """Write the report as JSON."""
    file.write_text(json.dumps(report, indent=2) + "\n")


def events_taken(samples: Samples) -> float:
    """How many published events the stream has dealt with: taken into the state, seen before, or dead letters."""
    return sum(samples.value(name) for name in EVENTS_TAKEN)


def leaks(texts: Iterable[str]) -> int:
    """How many of the texts (log lines, keys, label values) hold a phone number or an e-mail address."""
    return sum(redact(text) != text for text in texts)


def _counts(values: Mapping[str, float]) -> dict[str, int]:
    return {key: round(value) for key, value in values.items()}


def _latency(samples: Samples, histogram: str) -> dict[str, float | None]:
    return {name: _milliseconds(samples.quantile(histogram, q)) for name, q in (("p50", 0.5), ("p99", 0.99))}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)

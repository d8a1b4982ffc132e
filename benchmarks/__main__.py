"""What the README says of speed, measured here: runs the benchmarks one after the other, and prints its table.

    python -m benchmarks [--full]

Quick rounds take about six minutes, full ones half an hour. The last line is one JSON object.
"""

import argparse
import json
import platform
import subprocess
import sys
from typing import Any

PARTS = ("path", "stream", "ingest")


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="three rounds of each instead of a quick one")
    options = parser.parse_args()
    results = {part: _run(part, [] if options.full else ["--quick"]) for part in PARTS}
    print()
    for line in table(results):
        print(line)
    print(f"\nPython {platform.python_version()}, {platform.machine()}, one core for each worker.")
    print(json.dumps(results))


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """The README's table, in Markdown."""
    path, stream, ingest = (results[part] for part in PARTS)
    rates, latency = stream["events_per_s"], stream["latency_ms"]
    ours = rates["ringback"]
    rows = [
        ("`ringback stream`, the product itself: events followed and scored", f"{path['events_per_s']:,.0f}/s"),
        (
            f"… from an event's arrival to its score, at {path['rate']:,}/s",
            f"p50 {path['event_to_score_p50_ms']:.1f} ms, p99 {path['event_to_score_p99_ms']:.1f} ms",
        ),
        ("one small job, the same for all: Ringback's worker", f"{ours:,.0f}/s"),
        *((f"… {name}", f"{rate:,.0f}/s ({ours / rate:.2f})") for name, rate in rates.items() if name != "ringback"),
        (
            "… from sending to score, at 1,000/s",
            "p50 {p50:.1f} ms, p99 {p99:.1f} ms".format(**latency["ringback"]["at_1000"]),
        ),
        (
            f"`ringback ingest`: Shopify checkouts at {ingest['requests_per_s']:,.0f}/s, answered when Kafka has them",
            "p50 {p50:.1f} ms, p99 {p99:.1f} ms".format(**ingest["latency_ms"]["ringback"]),
        ),
        (
            "… a Starlette app that does nothing",
            "p50 {p50:.1f} ms, p99 {p99:.1f} ms".format(**ingest["latency_ms"]["bare"]),
        ),
    ]
    return ["| measured | here |", "|---|---|", *(f"| {what} | {number} |" for what, number in rows)]


def _run(part: str, arguments: list[str]) -> dict[str, Any]:
    print(f"\nmake bench-{part} {' '.join(arguments)}", flush=True)
    last = ""
    with subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{part}", *arguments], stdout=subprocess.PIPE, text=True
    ) as running:
        for line in running.stdout or ():
            if last:
                print(last, end="", flush=True)
            last = line
    if running.returncode:
        sys.exit(f"make bench-{part} ended with status {running.returncode}")
    result: dict[str, Any] = json.loads(last)
    return result


if __name__ == "__main__":
    main()

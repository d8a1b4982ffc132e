"""Many requests given to one source, and what came of them."""

import hashlib
import json
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.mutations import Request
from fuzz.promises import TooSlowError, keep
from ingest.source import Refused, Source

# What `keep` does beside parsing takes little: it parses twice.
PARSES = 2
SLOW_SECONDS = 1.0
MOST_FINDINGS = 20


@dataclass(slots=True)
class Report:
    """What a source made of requests. ``findings`` has one request for each promise that was not kept, and where.

    ``slowest`` is the processor time of the slowest request, seconds.
    """

    requests: int = 0
    events: int = 0
    refused: int = 0
    slowest: float = 0.0
    findings: dict[str, Request] = field(default_factory=dict)

    def line(self, name: str) -> str:
        """One line for people."""
        return (
            f"{name:<12} {self.requests:>9,} requests  {self.events:>9,} events  {self.refused:>9,} refused"
            f"  slowest {self.slowest * 1000:.0f} ms  {len(self.findings)} findings"
        )


def run(source: Source, given: Iterable[Request], *, seconds: float = float("inf")) -> Report:
    """Give a source requests until they end, the time is over or too much was found. In the main thread only."""
    report = Report()
    ends = time.monotonic() + seconds
    for request in given:
        if time.monotonic() > ends or len(report.findings) >= MOST_FINDINGS:
            break
        began = time.thread_time()
        found = _finding(source, request, report)
        spent = (time.thread_time() - began) / PARSES
        report.requests += 1
        report.slowest = max(report.slowest, spent)
        if found is None and spent > SLOW_SECONDS:
            found = f"{spent:.1f} s of processor time"
        if found is not None:
            report.findings.setdefault(found, request)
    return report


def _finding(source: Source, request: Request, report: Report) -> str | None:
    try:
        parsed = keep(source, request)
    except (Exception, TooSlowError) as error:  # noqa: BLE001 - whatever a source raises is what is looked for
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}: {str(error)[:200]}"
    refused = sum(isinstance(one, Refused) for one in parsed)
    report.refused += refused
    report.events += len(parsed) - refused
    return None


def packed(request: Request) -> bytes:
    """A request as one text: its headers in JSON on the first line, then its body."""
    return json.dumps(dict(request.headers)).encode() + b"\n" + request.body


def unpacked(data: bytes) -> Request:
    """The request in a text; without headers where the first line has none."""
    first, _, body = data.partition(b"\n")
    try:
        told = json.loads(first)
    except (ValueError, RecursionError):
        told = None
    pairs = told.items() if isinstance(told, dict) else ()
    # As HTTP lets them through: no character beyond Latin-1, no control character but the tab.
    headers = {
        name.lower(): value
        for name, value in pairs
        if isinstance(value, str) and all(" " <= letter <= "\xff" or letter == "\t" for letter in name + value)
    }
    return Request(headers, body)


def kept(folder: Path, name: str, request: Request) -> Path:
    """Write a request that was found into a folder, to be given again; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    data = packed(request)
    file = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
    file.write_bytes(data)
    return file

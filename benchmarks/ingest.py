"""How long a shop waits for its answer: ingest on one core at a constant rate, beside a bare Starlette app.

Requests are signed Shopify ``checkouts/update`` webhooks of about 4 KB, each of another checkout. Behind ingest are
Apache Kafka and Redis, which have acknowledged the event before the answer; requests that had to be spooled instead are
counted. The bare app reads the body and answers. Both are served by uvicorn, in turn, alone on a core; all else shares
the others.

The load is open-loop: requests leave when they are due, whether or not those before them were answered, and latency
counts from when a request was due. wrk waits for answers first, and so leaves out the requests that suffer most. The
last line is one JSON object.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median
from typing import NamedTuple, cast

import uvicorn
import uvloop
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.processes import cpu_seconds
from ingest.send_fixture import load
from tests.servers.kafka import Kafka
from tests.servers.process import Server, free_port, listens, short_directory
from tests.servers.redis import Redis
from tests.servers.ringback import RingbackProcess

SECRET = "bench"  # noqa: S105 - signs nothing but the benchmark's own requests
PATH = "/v1/shopify/example"
BODY_BYTES = 4096
MARK = b"0123456789abcdef0123456789abcdef"
CONNECTIONS = 32
WARM_UP_SECONDS = 3.0
# Answers that are still under way this long after the last request was due count as lost.
PATIENCE_SECONDS = 20.0


class Run(NamedTuple):
    """One server at one rate; latencies in milliseconds, processor time in microseconds a request."""

    requests_per_s: float
    p50: float
    p99: float
    worst: float
    cpu_us: float
    spooled: int


class Bare(Server):
    """The app that does nothing."""

    name = "bare"

    def __init__(self) -> None:
        super().__init__(short_directory("rb-bare-"))
        self.port = free_port()

    def command(self) -> Sequence[str]:
        """The same file, as a server."""
        return [sys.executable, "-m", "benchmarks.ingest", "--bare", str(self.port)]

    def environment(self) -> dict[str, str]:
        """So that it finds this file."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def ready(self) -> bool:
        """Whether it listens."""
        return listens(self.port)

    @property
    def settings(self) -> dict[str, str]:
        """None: no process of Ringback's needs it."""
        return {}


def serve_bare(port: int) -> None:
    """Serve the bare app until it is killed."""

    async def answer(request: Request) -> Response:
        await request.body()
        return JSONResponse({})

    app = Starlette(routes=[Route("/v1/{platform}/{name}", answer, methods=["POST"])])
    config = uvicorn.Config(
        app, port=port, lifespan="off", ws="none", log_config=None, access_log=False, proxy_headers=False
    )
    uvloop.run(uvicorn.Server(config).serve())


class Requests:
    """Signed requests, each of another checkout."""

    def __init__(self) -> None:
        body = load("shopify/checkouts-update").body
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        mark = MARK.decode()
        body |= {"token": mark, "cart_token": mark, "email": f"{mark}@example.com", "updated_at": now}
        body |= {"phone": None, "customer": None, "shipping_address": None, "billing_address": None}
        line = body["line_items"][0]
        while len(json.dumps(body)) < BODY_BYTES:
            body["line_items"].append({**line, "product_id": line["product_id"] + len(body["line_items"])})
        self._template = json.dumps(body).encode()
        self._count = 0
        self._run = os.urandom(8).hex().encode()

    def next(self) -> bytes:
        """The bytes of one more."""
        self._count += 1
        name = self._run + b"%016x" % self._count
        body = self._template.replace(MARK, name)
        signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256))
        head = (
            b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"X-Shopify-Topic: checkouts/update\r\nX-Shopify-Webhook-Id: %s\r\n"
            b"X-Shopify-Hmac-Sha256: %s\r\nContent-Length: %d\r\n\r\n"
        )
        return head % (PATH.encode(), name, signature, len(body)) + body


class Load:
    """Sends at a constant rate over as many connections as it takes."""

    def __init__(self, port: int, requests: Requests) -> None:
        self._port = port
        self._requests = requests
        self._idle: deque[_Connection] = deque()
        self.latencies: list[float] = []
        self.failure = ""
        self.spooled = 0

    async def run(self, rate: int, seconds: float) -> None:
        """Send, and return when all are answered."""
        for _ in range(CONNECTIONS - len(self._idle)):
            self._idle.append(await self._connect())
        started = time.monotonic()
        count = int(rate * seconds)
        for number in range(count):
            due = started + number / rate
            if (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            if self.failure:
                raise RuntimeError(self.failure)
            connection = self._idle.popleft() if self._idle else await self._connect()
            connection.send(self._requests.next(), due)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.latencies) < count and not self.failure:  # noqa: ASYNC110 - the end of a run is not what is measured
                await asyncio.sleep(0.01)
        if self.failure:
            raise RuntimeError(self.failure)

    def done(self, connection: "_Connection", latency: float) -> None:
        """Note an answer."""
        self.latencies.append(latency)
        self._idle.append(connection)

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        return connection


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due = 0.0
        self._answer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods only

    def send(self, request: bytes, due: float) -> None:
        self._due, self._answer = due, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._load.spooled += b"spooled" in body
        if not head.startswith(b"HTTP/1.1 200 ") or b"dead_letter" in body:
            self._load.failure = f"not taken: {self._answer!r}"
        self._load.done(self, time.monotonic() - self._due)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second")
    parser.add_argument("--bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(options.bare)
        return
    rounds, seconds = (1, 8.0) if options.quick else (3, 20.0)
    with ExitStack() as stack:
        core = _leave_a_core()
        broker, redis = stack.enter_context(Kafka()), stack.enter_context(Redis())
        results: dict[str, list[Run]] = {"ringback": [], "bare": []}
        for _ in range(rounds):
            with _ringback(broker, redis) as (process, port):
                results["ringback"].append(_measure(process, port, core, options.rate, seconds))
            with Bare() as process:
                results["bare"].append(_measure(process, process.port, core, options.rate, seconds))
    _report(results)


@contextmanager
def _ringback(broker: Kafka, redis: Redis) -> Iterator[tuple[Server, int]]:
    port = free_port()
    shops = {"shopify:example": {"secrets": [SECRET], "currency": "USD"}}
    environment = {
        "RINGBACK_KAFKA__BOOTSTRAP": broker.bootstrap,
        "RINGBACK_REDIS__URL": redis.url,
        "RINGBACK_INGEST__PORT": str(port),
        "RINGBACK_INGEST__SHOPS": json.dumps(shops),
    }
    with RingbackProcess("ingest", environment) as process:
        yield process, port


def _leave_a_core() -> set[int] | None:
    """Keep this process and its children to come off one core; None where that can't be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    *others, last = sorted(os.sched_getaffinity(0))
    if not others:
        return None
    os.sched_setaffinity(0, others)
    return {last}


def _measure(process: Server, port: int, core: set[int] | None, rate: int, seconds: float) -> Run:
    if core is not None:
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), core)
    return uvloop.run(_load(process, port, rate, seconds))


async def _load(process: Server, port: int, rate: int, seconds: float) -> Run:
    load_ = Load(port, Requests())
    await load_.run(rate, WARM_UP_SECONDS)
    load_.latencies.clear()
    load_.spooled = 0
    cpu, started = cpu_seconds(process), time.monotonic()
    await load_.run(rate, seconds)
    took = time.monotonic() - started
    latencies = sorted(1000 * latency for latency in load_.latencies)
    return Run(
        requests_per_s=len(latencies) / took,
        p50=_quantile(latencies, 0.5),
        p99=_quantile(latencies, 0.99),
        worst=latencies[-1],
        cpu_us=1e6 * (cpu_seconds(process) - cpu) / len(latencies),
        spooled=load_.spooled,
    )


def _quantile(ordered: Sequence[float], q: float) -> float:
    return ordered[ceil(q * len(ordered)) - 1]


def _report(results: dict[str, list[Run]]) -> None:
    table = Table("median of rounds", "requests/s", "p50 ms", "p99 ms", "worst ms", "CPU µs/request", "spooled")
    middle = {name: Run(*map(median, zip(*runs, strict=True))) for name, runs in results.items()}
    for name, run in middle.items():
        table.add_row(name, *(f"{value:,.1f}" for value in run))
    Console().print(table)
    latency = {name: {"p50": round(run.p50, 2), "p99": round(run.p99, 2)} for name, run in middle.items()}
    ringback, bare = middle["ringback"], middle["bare"]
    print(
        json.dumps(
            {
                "requests_per_s": round(ringback.requests_per_s, 1),
                "latency_ms": latency,
                "ratio_p99": round(ringback.p99 / bare.p99, 2),
            }
        )
    )


if __name__ == "__main__":
    main()

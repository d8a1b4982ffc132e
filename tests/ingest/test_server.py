"""The whole process: it starts without Kafka, takes events when there is one, and ends cleanly."""

import hashlib
import hmac
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

from ringback.records import CartEvent, Topic
from tests.conftest import ROOT
from tests.integration.topics import read
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import free_port, wait_until

SECRET = "a secret"


class Ingest:
    """``ringback ingest`` as a child process."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.port, self.admin_port = free_port(), free_port()
        flags = {"ingest.port": self.port, "kafka.partitions": 2, "kafka.request_timeout": 1}
        self._log = (folder / "ingest.log").open("w+")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ringback", "ingest", "--bootstrap", bootstrap),
                *("--admin-port", str(self.admin_port)),
                *(part for key, value in flags.items() for part in ("--set", f"{key}={value}")),
            ],
            cwd=ROOT,
            env={**os.environ, "RINGBACK_INGEST__SECRET": SECRET},
            stderr=self._log,
        )

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
        signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
        headers = {"X-Ringback-Signature": f"sha256={signature}"}
        try:
            return httpx.post(f"http://127.0.0.1:{self.port}/v1/events", content=raw, headers=headers).status_code
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
def broker() -> EmbeddedKafka:
    return EmbeddedKafka()


@pytest.fixture
def ingest(broker: EmbeddedKafka, tmp_path: Path) -> Iterator[Ingest]:
    process = Ingest(broker.bootstrap, tmp_path)
    yield process
    process.close()


async def test_a_day_of_ingest(broker: EmbeddedKafka, ingest: Ingest) -> None:
    wait_until(lambda: ingest.send("e0") == 503, "an answer without Kafka")
    assert not ingest.ready()
    with broker:
        wait_until(lambda: ingest.send("e1") == 200, "an event taken", deadline_s=20)
        assert ingest.ready()
        ingest.process.send_signal(signal.SIGTERM)
        assert ingest.process.wait(20) == 0, ingest.log()
        taken = await read(broker.bootstrap, Topic.CART_EVENTS, CartEvent)
        assert {event.event_id for event in taken} == {"e1"}
    assert "Traceback" not in ingest.log()


def test_a_port_that_is_taken(tmp_path: Path, ingest: Ingest) -> None:
    wait_until(lambda: ingest.send("e0") == 503, "an answer")
    second = subprocess.run(
        [
            *(sys.executable, "-m", "ringback", "ingest", "--bootstrap", "127.0.0.1:1"),
            *("--admin-port", str(free_port()), "--set", f"ingest.port={ingest.port}"),
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

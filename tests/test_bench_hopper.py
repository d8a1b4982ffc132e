"""The benchmark of the hopper runs; how fast is not asserted."""

import io

from redis.asyncio import Redis
from rich.console import Console

from benchmarks.hopper import measure
from ringback.settings import RedisSettings

LEADS = 2_000


async def test_everything_is_measured(redis: Redis, redis_settings: RedisSettings) -> None:
    assert await redis.dbsize() == 0
    found = await measure(redis_settings.url.get_secret_value(), LEADS, Console(file=io.StringIO()))
    assert found["leads"] == LEADS
    for key in ("reserve_ms", "withdraw_ms", "purchase_to_dialer_ms", "ping_ms", "bytes_per_lead", "offers_per_s"):
        assert found[key]

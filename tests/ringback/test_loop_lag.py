"""A blocked event loop is seen."""

import asyncio
import time

from prometheus_client import CollectorRegistry

from ringback import loop_lag
from ringback.metrics import ProcessMetrics


async def test_what_blocks_the_loop_is_seen() -> None:
    registry = CollectorRegistry()
    metrics = ProcessMetrics(registry)

    def late(least: float) -> float:
        everything = registry.get_sample_value("ringback_event_loop_lag_seconds_count") or 0.0
        return everything - (
            registry.get_sample_value("ringback_event_loop_lag_seconds_bucket", {"le": str(least)}) or 0.0
        )

    watching = asyncio.create_task(loop_lag.watch(metrics.loop_lag))
    try:
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
            while not late(0.1):
                time.sleep(loop_lag.EVERY_SECONDS + 0.3)  # noqa: ASYNC251 - the fault that is to be seen
                await asyncio.sleep(0)
    finally:
        watching.cancel()

"""``ringback outreach``: one dispatcher of SMS and chat messages."""

import asyncio
import signal
import time

from outreach.claims import Claims
from outreach.courier import Courier
from outreach.dispatcher import Dispatcher
from outreach.providers import HttpProvider
from ringback import loop_lag
from ringback.admin import AdminServer
from ringback.errors import SettingsError
from ringback.metrics import OutreachMetrics
from ringback.redis_client import connect
from ringback.settings import Settings

STUCK_SECONDS = 60.0


async def run(settings: Settings) -> None:
    """Send messages until SIGTERM or SIGINT. Raises `SettingsError` when it is not said where to and from whom.

    Starts without Kafka, Redis and the provider, and waits for them.
    """
    ours = settings.outreach
    if ours.url is None:
        raise SettingsError("outreach.url is not set: set RINGBACK_OUTREACH__URL to where the provider takes messages")
    if not ours.shop_name.strip():
        raise SettingsError(
            "outreach.shop_name is not set: a message must say who it is from; set RINGBACK_OUTREACH__SHOP_NAME"
        )
    clock, metrics = settings.simulation.clock(), OutreachMetrics()
    redis, provider = connect(settings.redis), HttpProvider(ours)
    courier = Courier(
        Claims(redis, ours.max_per_day),
        provider,
        clock,
        shop_name=ours.shop_name,
        simulated=settings.simulation.enabled,
    )
    dispatcher = Dispatcher(settings.kafka, clock, courier, metrics, settings.decide.cost)
    stop = asyncio.Event()

    def turns() -> bool:
        return not dispatcher.assigned or time.monotonic() - dispatcher.last_turn < STUCK_SECONDS

    try:
        admin = AdminServer(
            settings.admin,
            "outreach",
            metrics.registry,
            live={"progress": turns},
            ready={
                "kafka": lambda: dispatcher.assigned and dispatcher.kafka.up,
                "redis": lambda: courier.redis.up,
                "provider": lambda: courier.provider.up,
            },
        )
        admin.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        watching = asyncio.create_task(loop_lag.watch(metrics.loop_lag))
        try:
            await dispatcher.run(stop)
        finally:
            watching.cancel()
            admin.stop()
    finally:
        await provider.close()
        await redis.aclose()

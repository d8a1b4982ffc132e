"""``ringback ingest``: the HTTP listener and what belongs to it."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette

from ingest.app import create
from ingest.connection import Connection
from ingest.delivery import Delivery
from ingest.intake import Intake
from ingest.publisher import Publisher
from ingest.registry import Registry
from ingest.shops import DEFAULT, endpoints
from ingest.sources import SOURCES
from ingest.spool import Spool
from ringback import loop_lag
from ringback.admin import AdminServer
from ringback.errors import SettingsError
from ringback.metrics import IngestMetrics
from ringback.redis_client import connect
from ringback.settings import Settings

log = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 15
# Requests that take longer than this to end do not keep the process from ending.
GRACEFUL_SECONDS = 10
MOST_CONNECTIONS = 4000


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `run`: uvicorn would raise them again when it is done, before Kafka has the last events."""
        yield


def main(settings: Settings) -> None:
    """`run` on the event loop that serves fastest."""
    uvloop.run(run(settings))


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first. Raises `SettingsError`.

    Starts without Kafka and Redis; what comes before they are there is spooled.
    """
    shops = endpoints(settings.ingest, SOURCES)
    for key, endpoint in shops.items():
        if not endpoint.secrets.live() and key != DEFAULT:
            log.warning("ingest.shops.%s has no secrets: its endpoint is off", key)
    if not any(endpoint.secrets.live() for endpoint in shops.values()):
        log.warning("no shop has secrets: no events are taken; see docs/connect-a-shop.md")
    metrics, clock = IngestMetrics(), settings.simulation.clock()
    async with contextlib.AsyncExitStack() as stack:
        spool = Spool(settings.ingest.spool_dir, settings.ingest.spool_bytes)
        stack.push_async_callback(spool.close)
        publisher = Publisher(settings.kafka)
        stack.push_async_callback(publisher.close)
        redis = connect(settings.redis)
        stack.push_async_callback(redis.aclose)
        key = settings.privacy.phone_key.get_secret_value()
        registry = Registry(redis, settings.ingest)
        intake = Intake(publisher, registry, limits=settings.ingest, key=key, now=clock.now)
        delivery = Delivery(settings.ingest, shops, intake, spool, metrics)
        server = _Server(_config(settings, create(settings.ingest, shops, delivery, metrics, clock)))
        ready = {"kafka": lambda: publisher.connected}
        admin = AdminServer(settings.admin, "ingest", metrics.registry, live={}, ready=ready)
        stack.callback(admin.stop)
        admin.start()

        def stop() -> None:
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        for work in (publisher.connect(), intake.run(), delivery.drain(), loop_lag.watch(metrics.loop_lag)):
            await stack.enter_async_context(_beside(work, stop))
        # What was loaded stays: collecting garbage among it again and again would only make requests wait.
        gc.collect()
        gc.freeze()
        await _serve(server, settings)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], stop: Callable[[], None]) -> AsyncIterator[None]:
    """Run ``work`` until the block ends; where it fails, ``stop`` is called, and its error raised at the end."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            stop()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _config(settings: Settings, app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.ingest.host,
        port=settings.ingest.port,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


async def _serve(server: _Server, settings: Settings) -> None:
    where = f"{settings.ingest.host}:{settings.ingest.port}"
    log.info("events are taken at http://%s/v1/", where)
    try:
        await server.serve()
    except SystemExit:  # uvicorn's way to say that it can't listen; it has logged why
        raise SettingsError(f"ingest.host, ingest.port: can't listen on {where}; set a free one") from None

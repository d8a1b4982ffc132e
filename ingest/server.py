"""``ringback ingest``: the HTTP listener and what belongs to it."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator

import uvicorn

from ingest.app import create
from ingest.publisher import Publisher
from ringback.admin import AdminServer
from ringback.errors import SettingsError
from ringback.metrics import IngestMetrics
from ringback.settings import Settings

log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `run`: uvicorn would raise them again when it is done, before Kafka has the last events."""
        yield


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered first. Raises `SettingsError`.

    Starts without Kafka, and answers 503 until it is there.
    """
    if not settings.ingest.secret.get_secret_value():
        log.warning("ingest.secret is empty: no events are taken")
    metrics = IngestMetrics()
    publisher = Publisher(settings.kafka)
    app = create(settings.ingest, publisher, metrics, settings.simulation.clock().now)
    config = uvicorn.Config(
        app, host=settings.ingest.host, port=settings.ingest.port, log_config=None, access_log=False, lifespan="off"
    )
    server = _Server(config)
    admin = AdminServer(
        settings.admin, "ingest", metrics.registry, live={}, ready={"kafka": lambda: publisher.connected}
    )

    def stop() -> None:
        server.should_exit = True

    def connected(connecting: asyncio.Task[None]) -> None:
        if not connecting.cancelled() and connecting.exception():
            stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    admin.start()
    connecting = asyncio.create_task(publisher.connect())
    connecting.add_done_callback(connected)
    try:
        await _serve(server, settings)
    finally:
        connecting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        await publisher.close()
        admin.stop()


async def _serve(server: _Server, settings: Settings) -> None:
    where = f"{settings.ingest.host}:{settings.ingest.port}"
    log.info("events are taken at http://%s/v1/events", where)
    try:
        await server.serve()
    except SystemExit:  # uvicorn's way to say that it can't listen; it has logged why
        raise SettingsError(f"ingest.host, ingest.port: can't listen on {where}; set a free one") from None

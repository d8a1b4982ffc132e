"""The process ``ringback dialer``: the dialer with its admin port, until a signal."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

from dialer.service import Dialer
from ringback.admin import AdminServer
from ringback.errors import RingbackError
from ringback.metrics import DialerMetrics
from ringback.redis_client import connect
from ringback.settings import Settings

log = logging.getLogger(__name__)


async def run(settings: Settings) -> None:
    """Dial until SIGTERM or SIGINT; then let calls end for ``dialer.drain`` seconds (a second signal ends at once).

    Calls that live longer go on in Asterisk and are found again by the next dialer. Raises
    `ringback.errors.SettingsError` for settings that can't work.
    """
    metrics = DialerMetrics()
    redis = connect(settings.redis)
    dialer = Dialer(settings, redis, metrics)
    admin = AdminServer(
        settings.admin,
        "dialer",
        metrics.registry,
        live={"loop": lambda: dialer.alive},
        ready={name: partial(_holds, dialer, name) for name in dialer.ready},
    )
    signals = _Signals()
    admin.start()
    try:
        await _serve(dialer, signals, settings.dialer.drain)
    finally:
        signals.restore()
        await dialer.release()
        await redis.aclose()
        admin.stop()


def _holds(dialer: Dialer, name: str) -> bool:
    return dialer.ready[name]


async def _serve(dialer: Dialer, signals: "_Signals", drain: float) -> None:
    running = asyncio.create_task(dialer.run())
    try:
        await _first(running, signals.next())
        if not running.done():
            log.info("stopping: no new calls; those that live may end within %.0f s", drain)
            dialer.stop()
            await _first(running, signals.next(), dialer.drained(), asyncio.sleep(drain))
    finally:
        running.cancel()
        results = await asyncio.gather(running, return_exceptions=True)
        if dialer.unsent:
            log.error("%d contact events were not taken by Kafka and are lost", dialer.unsent)
    _raise_plainly(results[0])


async def _first(running: "asyncio.Task[None]", *others: Coroutine[Any, Any, None]) -> None:
    """Wait for the first of them and cancel the rest, but not ``running``."""
    tasks = [asyncio.create_task(other) for other in others]
    try:
        await asyncio.wait([running, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _raise_plainly(error: BaseException | None) -> None:
    """Raise what ended the dialer; one of our own errors without the group around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, RingbackError):
        raise error from None
    if error is not None and not isinstance(error, asyncio.CancelledError):
        raise error


class _Signals:
    """SIGINT and SIGTERM, one after the other."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._came.put_nowait, None)

    async def next(self) -> None:
        """Wait for the next one."""
        await self._came.get()

    def restore(self) -> None:
        """Let signals be again what they were by default."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.remove_signal_handler(number)

"""Work that goes on beside: steps that a call's end sets off and that must be done before the dialer may stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ringback.errors import Unavailable

log = logging.getLogger(__name__)

REDIS_RETRY_SECONDS = 0.5

T = TypeVar("T")


class Chores:
    """Tasks under way. A step that fails is logged; it is found again in Redis by the next reconciliation."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def insist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat an idempotent step until Redis has taken it."""
        while True:
            try:
                return await step()
            except Unavailable as error:
                log.debug("repeated: %s", error)
                await asyncio.sleep(REDIS_RETRY_SECONDS)

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a step of a call failed", exc_info=error)

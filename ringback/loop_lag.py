"""How late the tasks of an event loop run: what blocks it shows here first."""

import asyncio
from typing import Protocol

EVERY_SECONDS = 0.25


class Observes(Protocol):
    """A histogram."""

    def observe(self, amount: float) -> None:
        """Count a value."""


async def watch(histogram: Observes) -> None:
    """Measure four times a second, until cancelled, how much later than asked for this task goes on."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY_SECONDS
        await asyncio.sleep(EVERY_SECONDS)
        histogram.observe(max(0.0, loop.time() - due))

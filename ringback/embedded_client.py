"""Runs a module against the embedded broker: ``python -m ringback.embedded_client MODULE [ARGUMENT ...]``.

Kafka holds an empty fetch back for up to ``fetch_max_wait_ms``; the embedded broker answers it at once, and an idle
consumer would ask ten thousand times a second. So its clients wait here themselves. Only the demo does this.
"""

import asyncio
import contextlib
import runpy
import sys
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

EMPTY_FETCH_SECONDS = 0.01


def wait_after_empty_fetches() -> None:
    """Make all consumers of this process pause after a fetch that brought nothing, 10 ms.

    It wraps a private method of aiokafka, whose minor version is pinned.
    """
    fetch = Fetcher._proc_fetch_request  # noqa: SLF001 - aiokafka has no other place for it

    async def patient(self: Fetcher, *request: Any) -> bool:
        brought_records = bool(await fetch(self, *request))
        if not brought_records:
            # The fetcher cancels its fetches when it closes, and expects them to end quietly.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(EMPTY_FETCH_SECONDS)
        return brought_records

    Fetcher._proc_fetch_request = patient  # noqa: SLF001 - no setting has it


if __name__ == "__main__":
    wait_after_empty_fetches()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)

"""Hangs up calls to shoppers who must not be called any more.

A notice makes us look at once; a look each second makes sure.
"""

import asyncio
import logging

from dialer.calls import Withdrawn
from dialer.hopper import Hopper
from dialer.switchboard import Switchboard
from ringback.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


async def watch(hopper: Hopper, board: Switchboard) -> None:
    """Bring withdrawals to the calls that they concern, until cancelled."""
    noticed = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_hear(hopper, noticed))
        tasks.create_task(_heed(hopper, board, noticed))


async def _hear(hopper: Hopper, noticed: asyncio.Event) -> None:
    while True:
        try:
            async for _ in hopper.notices():
                noticed.set()
        except Unavailable as error:
            log.debug("%s", error)
            await asyncio.sleep(LOOK_SECONDS)


async def _heed(hopper: Hopper, board: Switchboard, noticed: asyncio.Event) -> None:
    while True:
        await _within(LOOK_SECONDS, noticed)
        noticed.clear()
        if board.calls:
            try:
                flagged = await hopper.withdrawn()
            except Unavailable as error:
                log.debug("%s", error)
                continue
            for call_id, reason in flagged.items():
                board.signal(call_id, Withdrawn(reason))


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

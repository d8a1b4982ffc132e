"""Holding a campaign: one dialer at a time, fenced by a token that Redis checks at each reservation."""

import asyncio
import logging
import time
from collections.abc import Callable
from uuid import uuid4

from dialer.hopper import Hopper
from ringback.errors import Unavailable

log = logging.getLogger(__name__)

# A lease is given up here before Redis gives it to somebody else.
SAFETY = 0.8


class Lease:
    """Run `keep` in a task.

    ``on_taken`` is called when the campaign is ours (again), or Redis is back; ``on_lost`` when it is another's now.
    """

    def __init__(
        self, hopper: Hopper, seconds: float, on_taken: Callable[[], None], on_lost: Callable[[], None]
    ) -> None:
        self.token = uuid4().hex
        self.reachable = False
        self._hopper = hopper
        self._seconds = seconds
        self._on_taken = on_taken
        self._on_lost = on_lost
        self._ours = False
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether the campaign is surely ours now."""
        return time.monotonic() < self._until

    @property
    def may_route(self) -> bool:
        """Whether answered shoppers may be handed to agents: not while another dialer might be doing it.

        While Redis is away nobody can take the campaign from us.
        """
        return self.held or not self.reachable

    async def keep(self) -> None:
        """Take the lease when it is free and renew it, until cancelled."""
        while True:
            asked = time.monotonic()
            try:
                ours = await self._hopper.acquire_lease(self.token, self._seconds)
            except Unavailable as error:
                self.unreachable(error)
            else:
                news = ours and not (self.held and self.reachable)
                self.reachable = True
                self._until = asked + self._seconds * SAFETY if ours else 0.0
                if news:
                    self._on_taken()
                elif self._ours and not ours:
                    log.warning("another dialer has taken the campaign")
                    self._on_lost()
                self._ours = ours
            await asyncio.sleep(self._seconds / 5)

    def lost(self) -> None:
        """Redis said that the campaign is another's."""
        self._until = 0.0

    def unreachable(self, error: Unavailable) -> None:
        """A command failed: Redis counts as away until the lease is renewed."""
        log.debug("%s", error)
        self.reachable = False

    async def release(self) -> None:
        """Let another dialer take the campaign at once."""
        self.lost()
        try:
            await self._hopper.release_lease(self.token)
        except Unavailable as error:
            log.warning("the lease was not given back and runs out by itself: %s", error)

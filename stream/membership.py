"""Whether this worker still belongs to its group, after a time in which it did not run.

A process that is stopped for longer than its session loses its partitions, and does not know it when it goes on. What
it writes before its next heartbeat fails could come after what their new owner wrote. So who has slept writes nothing
until Kafka says that it is still a member; `stream.gate` asks here once more before each request. (It could still be
stopped between that question and the socket, some hundred instructions later; only transactions would close that gap.)
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ringback.kafka import ASKING_MS
from ringback.settings import KafkaSettings

log = logging.getLogger(__name__)

# While Kafka is asked; far shorter than any pause that raises doubts.
LOOK_SECONDS = 0.1

IsMember = Callable[[], Awaitable[bool]]


class Membership:
    """``beat`` is called a few times a second; a pause of more than ``longest_pause`` seconds raises doubts."""

    def __init__(self, longest_pause: float, is_member: IsMember) -> None:
        self._longest_pause = longest_pause
        self._is_member = is_member
        self._last = time.monotonic()
        self._doubtful = False

    def is_doubtful(self) -> bool:
        """Whether nothing may be written now."""
        if time.monotonic() - self._last > self._longest_pause:
            self._doubtful = True
        return self._doubtful

    async def beat(self) -> None:
        """Say that the process runs; ask Kafka where it did not for long. The answer may take its time."""
        self._runs()
        if not self._doubtful:
            return
        asking = asyncio.ensure_future(self._is_member())
        awake = True
        try:
            while not asking.done():
                await asyncio.wait([asking], timeout=LOOK_SECONDS)
                awake = self._runs() and awake
            # An answer that lay there while the process slept once more says nothing.
            if asking.result() and awake:
                self._doubtful = False
        finally:
            asking.cancel()

    def _runs(self) -> bool:
        """Note that the process runs now; whether it has since this was noted last."""
        now = time.monotonic()
        slept = now - self._last > self._longest_pause
        self._last = now
        self._doubtful = self._doubtful or slept
        return not slept


async def is_member(settings: KafkaSettings, group: str, member_id: str) -> bool:
    """Whether Kafka has a member of this id in a group. False too where it does not answer: nothing is certain then."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, request_timeout_ms=ASKING_MS)
    try:
        await admin.start()
        described = await admin.describe_consumer_groups([group])
    except KafkaError as error:
        log.warning("Kafka does not say who is in group %s (%r)", group, error)
        return False
    finally:
        await admin.close()
    return any(member[0] == member_id for answer in described for one in answer.groups for member in one[5])

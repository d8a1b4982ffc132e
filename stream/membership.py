"""Until when this worker surely has its partitions; for aiokafka 0.14.

A worker that is stopped, or that Kafka does not hear, for longer than its session loses its partitions, and does not
know it. What it writes then could come after what their new owner wrote. So nothing is written without a lease, which
lasts for a part of the session from when a heartbeat was *sent* that Kafka answered. `stream.gate` looks at it once
more before each request. (A worker could still be stopped between that look and the socket, some hundred instructions
later, for longer than the rest of its session; only transactions would close that gap.)
"""

import math
import time
from typing import Any, NamedTuple

from aiokafka.errors import IllegalGenerationError, NoError, RebalanceInProgressError, UnknownMemberIdError
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest

# The rest of the session is for what is on its way to Kafka.
PART_OF_SESSION = 2 / 3
# A deal that ends is over when the last has joined the next one, or after the rebalance timeout; half of that is used.
PART_OF_REBALANCE = 1 / 2


class _Term(NamedTuple):
    generation: int
    until: float


class Lease:
    """Whether this worker may write. One thread renews the lease, any may ask; times are monotonic seconds."""

    def __init__(self, session_timeout: float, rebalance_timeout: float) -> None:
        self._length = session_timeout * PART_OF_SESSION
        self._longest_end = rebalance_timeout * PART_OF_REBALANCE
        self._ends_since = math.inf
        self._term = _Term(-1, -math.inf)

    def holds(self, generation: int) -> bool:
        """Whether the worker surely has now what it was given in this deal."""
        term = self._term
        return generation == term.generation and time.monotonic() < term.until

    def renew(self, generation: int, sent: float, *, ending: bool = False) -> None:
        """Kafka has answered what was ``sent`` then: the worker is a member, of a deal that is ``ending`` or not."""
        self._ends_since = min(self._ends_since, sent) if ending else math.inf
        self._term = _Term(generation, min(sent + self._length, self._ends_since + self._longest_end))

    def end(self) -> None:
        """The worker leaves its group, or was told that it is none of its members."""
        self._term = _Term(-1, -math.inf)


def keep(lease: Lease, coordinator: Any) -> None:
    """Have what an aiokafka consumer's coordinator hears from Kafka renew the lease, or end it."""
    send = coordinator._send_req  # noqa: SLF001 - there is no other place where all its requests come by

    async def send_and_note(request: Any) -> Any:
        if isinstance(request, LeaveGroupRequest):
            lease.end()
        if not isinstance(request, HeartbeatRequest | SyncGroupRequest):
            return await send(request)
        generation, sent = coordinator.generation, time.monotonic()
        response = await send(request)
        code = response.error_code
        if code == NoError.errno:
            lease.renew(generation, sent)
        elif code == RebalanceInProgressError.errno and isinstance(request, HeartbeatRequest):
            lease.renew(generation, sent, ending=True)
        elif code in (IllegalGenerationError.errno, UnknownMemberIdError.errno):
            lease.end()
        return response

    coordinator._send_req = send_and_note  # noqa: SLF001 - see above

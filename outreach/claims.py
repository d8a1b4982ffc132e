"""Claims: the atomic gate before a message is sent, in Redis.

A message is claimed before it is sent, and what became of it is noted after. A worker that dies between the two leaves
a claim of which nobody knows whether the message went out: it is reported as failed (``unknown``) and not sent again.
So a crash may lose one message a slot, and never sends two: a person who is not written to is the smaller harm.

The facts that forbid a message are kept by the hopper's scripts; ``lua/claim.lua`` names the keys. One Redis server, or
a primary with replicas, but no Redis Cluster. Times are business time. Every method raises
`ringback.errors.Unavailable` when Redis can't be reached or refuses, and may be repeated then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from outreach.rules import Rule
from ringback.decisions import Message
from ringback.errors import Unavailable

_LUA = Path(__file__).parent / "lua"


class Standing(StrEnum):
    """What became of a message. ``held``: another claimant may be sending it; ``claimed``: this one may do so now."""

    CLAIMED = "claimed"
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"
    REFUSED = "refused"


class Refusal(StrEnum):
    """Why the gate refuses a message, besides the rules of `outreach.rules`: the answers of ``lua/claim.lua``."""

    OPTED_OUT = "opted_out"
    DO_NOT_CALL = "do_not_call"
    BOUGHT = "bought"
    NUMBER_CAP = "number_cap"


@dataclass(frozen=True, slots=True)
class Claim:
    """How a message stands since ``time``. ``reported``: a contact event has told so before."""

    standing: Standing
    detail: str
    time: float
    reported: bool


class Claims:
    """Claims in Redis, which must return bytes (see `ringback.redis_client`).

    ``max_per_day``: messages to a number in 24 hours.

    A ``claimant`` is whoever handles one record of the outbox: the same message may stand there twice.
    """

    def __init__(self, redis: Redis, max_per_day: int) -> None:
        self._redis = redis
        self._max_per_day = max_per_day
        self._claim = redis.register_script((_LUA / "claim.lua").read_text())
        self._settle = redis.register_script((_LUA / "settle.lua").read_text())

    async def claim(
        self, message: Message, claimant: str, now: float, *, forbidden: Rule | None, stale: float
    ) -> Claim:
        """Claim a message, unless it was sent, or the shopper bought, opted out, is suppressed or over the cap.

        ``forbidden`` is what `outreach.rules` say; a refusal is final. Another's claim that was taken at ``stale`` or
        before is given up as failed. Repeated by the same claimant, everything is checked again.
        """
        args: list[str | int] = [
            message.message_id,
            message.shopper_id,
            message.phone_ref,
            repr(message.last_activity),
            repr(now),
            self._max_per_day,
            claimant,
            repr(stale),
            forbidden.value if forbidden else "",
        ]
        with _reachable():
            standing, detail, since, reported = await self._claim(args=args)
        return Claim(Standing(standing.decode()), detail.decode(), float(since), reported == b"1")

    async def settle(
        self, message_id: str, claimant: str, standing: Literal["sent", "failed"], detail: str, at: float
    ) -> None:
        """Note what became of a message that was claimed."""
        with _reachable():
            await self._settle(args=[message_id, claimant, standing, detail, repr(at)])

    async def release(self, message_id: str, claimant: str) -> None:
        """Give a claim back: the send is to be tried again, here or elsewhere. It stays counted for the cap."""
        with _reachable():
            await self._settle(args=[message_id, claimant, "", "", ""])

    async def reported(self, message_ids: Sequence[str]) -> None:
        """Note that contact events have told what became of these messages."""
        with _reachable():
            for message_id in message_ids:
                await self._redis.hset(f"ringback:message:{message_id}", "reported", "1")

    async def ping(self) -> None:
        """Return when Redis answers."""
        with _reachable():
            await self._redis.ping()


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis: {error}") from error

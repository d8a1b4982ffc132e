"""The hopper: leads that wait to be called, in Redis; the stream offers and withdraws them, the dialer reserves them.

Every change of more than one key is one Lua script (``lua/``), so a lead is never half in a state and no purchase can
slip between a check and a call. The scripts name keys as they go: one Redis server, or a primary with replicas, but no
Redis Cluster. Phone numbers stand in values only; in keys there is the phone_ref.

All times are business time (see `ringback.clock`) and are passed in. Every method raises `ringback.errors.Unavailable`
when Redis can't be reached or refuses; the step may then have been done or not, and may be repeated: it is idempotent.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.compliance.attempts import Caps
from ringback.decisions import Lead
from ringback.errors import Unavailable
from ringback.records import Outcome, decoder, encode

_LUA = Path(__file__).parent / "lua"
_lead = decoder(Lead)


class Offer(StrEnum):
    """What became of an offered lead.

    ``repeated``: this lead_id was offered before, whatever became of it. ``already_queued``: another lead of the
    shopper waits or is being called, and is the better one. Of two leads of one shopper the one with the later last
    activity stays, then the one with the higher priority; a lead that is being called always stays. ``cap``: the number
    can't be called again before the lead expires.
    """

    QUEUED = "queued"
    REPEATED = "repeated"
    BOUGHT = "bought"
    OPTED_OUT = "opted_out"
    DO_NOT_CALL = "do_not_call"
    EXPIRED = "expired"
    ALREADY_QUEUED = "already_queued"
    CAP = "cap"


class Refusal(StrEnum):
    """Why a lead may not be called.

    The lead stays queued after ``too_early``, ``in_call`` and, when it can still be called later, ``number_cap``.
    ``not_leader``: another dialer holds the campaign. ``gone``: the lead is not queued.
    """

    NOT_LEADER = "not_leader"
    GONE = "gone"
    EXPIRED = "expired"
    TOO_EARLY = "too_early"
    BOUGHT = "bought"
    OPTED_OUT = "opted_out"
    DO_NOT_CALL = "do_not_call"
    CHANGED = "changed"
    LEAD_CAP = "lead_cap"
    NUMBER_CAP = "number_cap"
    IN_CALL = "in_call"


class Settled(StrEnum):
    """What became of a lead after its call; ``unknown``: the call was settled before."""

    REQUEUED = "requeued"
    FINISHED = "finished"
    UNKNOWN = "unknown"


Reason = Literal["bought", "opted_out", "changed"]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What a withdrawal met: a lead that was waiting and is out now, or a call that the dialer hangs up if it rings."""

    lead: Lead | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """A lead that may be called now, by this call and no other. ``attempt`` counts from 1."""

    lead: Lead
    call_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A lead that may not be called now. ``over`` is the lead when it was taken out for good by this refusal."""

    reason: Refusal
    over: Lead | None = None


@dataclass(frozen=True, slots=True)
class InProgress:
    """A call that is not settled. Before ``launched`` its originate can't have been sent."""

    call_id: str
    lead: Lead
    started: float
    launched: bool
    attempt: int
    withdrawn: str | None


class Hopper:
    """The leads of one campaign. ``redis`` must return bytes (see `ringback.redis_client`).

    ``caps`` apply when a lead is offered and again, in the same atomic step, when it is reserved.
    """

    def __init__(self, redis: Redis, campaign: str, caps: Caps | None = None) -> None:
        self._redis = redis
        self._prefix = f"ringback:campaign:{campaign}:"
        self._caps = caps or Caps()
        common = (_LUA / "common.lua").read_text()
        self._scripts = {
            path.stem: redis.register_script(f"{common}\n{path.read_text()}")
            for path in _LUA.glob("*.lua")
            if path.stem != "common"
        }

    async def _run(self, script: str, *args: str | bytes | int | float) -> Any:
        # repr keeps every digit of a float; redis-py would do the same, but does not promise it.
        texts = [repr(arg) if isinstance(arg, float) else arg for arg in args]
        with reachable():
            return await self._scripts[script](keys=[self._prefix], args=texts)

    async def offer(self, lead: Lead, now: float) -> Offer:
        """Put a lead into the hopper, unless a rule or a better lead of the shopper stands against it."""
        answer = await self._run(
            "offer",
            lead.lead_id,
            encode(lead),
            lead.shopper_id,
            lead.phone_ref,
            lead.priority,
            lead.last_activity,
            lead.callable_from,
            lead.callable_until,
            now,
            self._caps.per_day,
        )
        return Offer(answer.decode())

    async def withdraw(self, shopper_id: str, reason: Reason, at: float, phone_ref: str | None = None) -> Withdrawn:
        """Take a shopper's lead out because of an event at time ``at``.

        ``bought`` leaves a mark for 30 days that keeps out leads whose last activity is not later than the purchase;
        ``opted_out`` keeps the shopper and the number out for ever, in every campaign. ``bought`` and ``changed`` (the
        shopper is back at the cart) leave alone a lead whose cart was active later than ``at``. A lead that is being
        called is flagged, and the dialer hangs up within a second if the phone still rings.
        """
        json, call = await self._run("withdraw", shopper_id, reason, at, phone_ref or "")
        return Withdrawn(_lead.decode(json) if json else None, call.decode() or None)

    async def suppress(self, phone_ref: str) -> None:
        """Put a number on the do-not-call list, for ever and for every campaign."""
        with reachable():
            await self._redis.sadd("ringback:do-not-call", phone_ref)

    async def candidates(self, now: float, limit: int) -> list[Lead]:
        """The leads that may be called now, highest priority first. Leads past ``callable_until`` are set aside."""
        return [_lead.decode(json) for json in await self._run("candidates", now, limit)]

    async def drop(self, lead_id: str, why: str) -> bool:
        """Take out a queued lead that may never be called; False when it is not queued."""
        return bool(await self._run("drop", lead_id, why))

    async def reserve(self, lead_id: str, call_id: str, now: float, token: str) -> Reserved | Refused:
        """Take a lead for a call: all rules are checked again and the attempt is booked, in one step.

        ``token`` is the lease's. ``call_id`` is new for each call; the same one again gets the same answer. The person
        is locked until `settle`.
        """
        status, what, more = await self._run(
            "reserve", lead_id, call_id, now, token, self._caps.per_day, self._caps.per_lead
        )
        if status == b"reserved":
            return Reserved(_lead.decode(what), call_id, int(more))
        return Refused(Refusal(what.decode()), _lead.decode(more) if more else None)

    async def launch(self, call_id: str, now: float, token: str) -> Refusal | None:
        """The last look before the originate is sent: None when the call may be made, else why not.

        A purchase, an opt-out or another dialer's lease since `reserve` stops the call here.
        """
        answer = await self._run("launch", call_id, token, now)
        return Refusal(answer.decode()) if answer else None

    async def settle(self, call_id: str, outcome: Outcome, retry_at: float | None) -> Settled:
        """The call is over: unlock the person, and put the lead back from ``retry_at`` on, or finish it.

        A lead that goes back has the priority of its next attempt. One that was withdrawn meanwhile, or expires before
        ``retry_at``, is finished.
        """
        answer = await self._run("settle", call_id, outcome.value, "" if retry_at is None else retry_at, "0")
        return Settled(answer.decode())

    async def unreserve(self, call_id: str, retry_at: float) -> Settled:
        """The call was certainly never placed: take the attempt back and put the lead back from ``retry_at`` on."""
        return Settled((await self._run("settle", call_id, "unplaced", retry_at, "1")).decode())

    async def withdrawn(self) -> dict[str, str]:
        """Calls that must be hung up if they still ring, with the reason."""
        with reachable():
            flags: Any = await self._redis.hgetall(f"{self._prefix}withdrawn")
        return {call.decode(): reason.decode() for call, reason in flags.items()}

    async def notices(self) -> AsyncGenerator[str, None]:
        """Call ids as they are flagged. Only a hint to look at `withdrawn` at once: a notice may be lost."""
        with reachable():
            async with self._redis.pubsub() as pubsub:
                await pubsub.subscribe(f"{self._prefix}notices")
                while True:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    if message is not None:
                        yield message["data"].decode()

    async def in_progress(self) -> list[InProgress]:
        """All calls that are not settled: after a restart, what may still ring or talk."""
        flat = await self._run("in_progress")
        return [
            InProgress(
                call_id=call.decode(),
                lead=_lead.decode(json),
                started=float(started),
                launched=launched == b"1",
                attempt=int(attempt),
                withdrawn=withdrawn.decode() or None,
            )
            for call, json, started, launched, attempt, withdrawn in _rows(flat, 6)
        ]

    async def expired(self, limit: int = 100) -> list[Lead]:
        """Leads that expired in the queue and are still to be reported; `forget` them then."""
        return [_lead.decode(json) for json in await self._run("expired", limit)]

    async def forget(self, lead_ids: Sequence[str]) -> None:
        """Finish expired leads that were reported."""
        if lead_ids:
            await self._run("forget", *lead_ids)

    async def size(self) -> int:
        """How many leads wait."""
        with reachable():
            return int(await self._redis.zcard(f"{self._prefix}until"))

    async def callable_by(self, time: float) -> int:
        """How many of the leads that wait may be called by then."""
        with reachable():
            async with self._redis.pipeline(transaction=True) as look:
                look.zcard(f"{self._prefix}ready")
                look.zcount(f"{self._prefix}waiting", "-inf", repr(time))
                return sum(await look.execute())

    async def acquire_lease(self, token: str, seconds: float) -> bool:
        """Take the campaign if nobody holds it (or this token does). Wall seconds; the token is unique to a process."""
        return bool(await self._run("lease", "acquire", token, round(seconds * 1000)))

    async def release_lease(self, token: str) -> None:
        """Let another dialer take the campaign at once."""
        await self._run("lease", "release", token, 0)


def _rows(flat: Sequence[bytes], width: int) -> Iterator[Sequence[bytes]]:
    return (flat[i : i + width] for i in range(0, len(flat), width))


@contextmanager
def reachable() -> Iterator[None]:
    """Turn what redis-py raises into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis: {error}") from error

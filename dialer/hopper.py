"""The hopper: leads that wait to be called, in Redis; the stream offers and withdraws them, the dialer reserves them.

Every change of more than one key is one Lua script (``lua/``), so a lead is never half in a state and no purchase can
slip between a check and a call. The scripts name keys as they go: one Redis server, or a primary with replicas, but no
Redis Cluster. Phone numbers stand in values only; in keys there is the phone_ref.

A call goes through `reserve` (the lead is taken), `launch` (the last look before the originate is sent) and `settle`.
Whoever dies before `launch` loses the reservation when its lease is over (`reclaim`): the phone can't have rung. After
`launch` nobody knows but Asterisk: the call stays in `in_progress`, and its person locked, until it is settled.

All times are business time (see `ringback.clock`) and are passed in. Every method raises `ringback.errors.Unavailable`
when Redis can't be reached or refuses; the step may then have been done or not, and may be repeated: it is idempotent.
"""

import json
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError

from dialer.answers import InProgress, Look, Offer, Reason, Refusal, Refused, Reserved, Settled, Withdrawn
from dialer.limits import Limits, caps_of
from ringback.decisions import Lead
from ringback.errors import Unavailable
from ringback.records import Outcome, decoder, encode
from ringback.redis_client import NATIONAL_LISTS
from ringback.settings import Settings

__all__ = [
    "Hopper",
    "InProgress",
    "Look",
    "Offer",
    "Reason",
    "Refusal",
    "Refused",
    "Reserved",
    "Settled",
    "Withdrawn",
    "reachable",
]

_LUA = Path(__file__).parent / "lua"
_lead = decoder(Lead)


class Hopper:
    """The leads of one campaign. ``redis`` must return bytes (see `ringback.redis_client`).

    ``limits`` apply when a lead is offered and again, in the same atomic step, when it is reserved.
    """

    def __init__(self, redis: Redis, campaign: str, limits: Limits | None = None) -> None:
        self._redis = redis
        self._prefix = f"ringback:campaign:{campaign}:"
        self._limits = limits or Limits()
        self._limits_json = self._limits.json()
        common = (_LUA / "common.lua").read_text()
        self._scripts = {
            path.stem: redis.register_script(f"{common}\n{path.read_text()}")
            for path in _LUA.glob("*.lua")
            if path.stem != "common"
        }

    @classmethod
    def of(cls, redis: Redis, settings: Settings) -> Self:
        """The hopper of the campaign that is set, with its limits."""
        return cls(redis, settings.dialer.campaign, Limits.of(settings))

    async def _run(self, script: str, *args: str | bytes | int | float) -> Any:
        # repr keeps every digit of a float; redis-py would do the same, but does not promise it.
        texts = [repr(arg) if isinstance(arg, float) else arg for arg in args]
        with reachable():
            return await self._scripts[script](keys=[self._prefix], args=[self._limits_json, *texts])

    async def offer(self, lead: Lead, now: float) -> Offer:
        """Put a lead into the hopper, unless a rule or a better lead of the shopper stands against it."""
        return Offer((await self._run("offer", *_parts(lead), now)).decode())

    async def promise(self, lead: Lead, now: float) -> Offer:
        """Queue a callback that the shopper asked for: the lead, which was called before, with its new window.

        It outranks all that nobody asked for, and counts its attempts anew; the caps of person and number hold. With an
        agent of its own it waits for that one to be free, for `Limits.own_patience` seconds, and then for any.
        """
        return Offer((await self._run("promise", *_parts(lead), lead.agent or "", now)).decode())

    async def withdraw(self, shopper_id: str, reason: Reason, at: float, phone_ref: str | None = None) -> Withdrawn:
        """Take a shopper's lead out because of an event at time ``at``.

        ``bought`` leaves a mark for 30 days that keeps out leads whose last activity is not later than the purchase;
        ``opted_out`` keeps the shopper and the number out for ever, in every campaign. ``bought`` and ``changed`` (the
        shopper is back at the cart) leave alone a lead whose cart was active later than ``at``, and ``changed`` leaves
        a promised callback alone. A lead that is being called is flagged, and the dialer hangs up within a second if
        the phone still rings.
        """
        body, call = await self._run("withdraw", shopper_id, reason, at, phone_ref or "")
        return Withdrawn(_unpack(body) if body else None, call.decode() or None)

    async def suppress(self, phone_ref: str) -> None:
        """Put a number on the do-not-call list, for ever and for every campaign. A call to it is flagged."""
        await self._run("suppress", phone_ref)

    async def lock_out(self, lead: Lead, until: float, now: float) -> None:
        """Have nobody call a lead's person or number before a time, whatever lead comes."""
        await self._run("lock_out", lead.shopper_id, lead.phone_ref, until, now)

    async def candidates(self, now: float, limit: int) -> list[Lead]:
        """The leads that any agent may be given now, best first. Leads past ``callable_until`` are set aside."""
        while True:
            found = await self._run("candidates", now, limit)
            if found != [None]:
                return [_unpack(body) for body in found]

    async def reserve(
        self, call_ids: Sequence[str], now: float, token: str, lease: float, agents: Sequence[str] = ()
    ) -> list[Reserved | Refused]:
        """Take the best leads for calls, as many as there are ids at most: each is checked and booked in one step.

        First, for each of ``agents`` (those who are free), a callback that this agent promised. ``token`` is the
        campaign's lease; ``call_ids`` are new, and the same ones again get the same leads again. Leads that were
        refused on the way are told too. A person is locked until `settle`. A reservation that is not launched within
        ``lease`` seconds may be reclaimed.
        """
        while True:
            rows = await self._run("reserve", now, token, lease, json.dumps(list(agents)), *call_ids)
            if rows != [[b"behind"]]:
                return [_reservation(row) for row in rows]

    async def launch(self, call_id: str, now: float, token: str) -> Refusal | None:
        """The last look before the originate is sent: None when the call may be made, else why not.

        A purchase, an opt-out, another dialer's lease or a reclaim since `reserve` stops the call here.
        """
        answer = await self._run("launch", call_id, token, now)
        return Refusal(answer.decode()) if answer else None

    async def settle(
        self,
        call_id: str,
        outcome: Outcome,
        retry_at: float | None,
        *,
        most_calls: int | None = None,
        lockout_until: float | None = None,
        talk_seconds: float | None = None,
    ) -> Settled:
        """The call is over: unlock the person, and put the lead back from ``retry_at`` on, or finish it.

        A lead that goes back has the priority of its next attempt. One that had ``most_calls``, was withdrawn meanwhile
        or expires before ``retry_at`` is finished. Until ``lockout_until`` nobody calls the person or the number,
        whatever lead comes.
        """
        cost = self._limits.cost_of_talk(talk_seconds)
        answer = await self._run(
            "settle", call_id, outcome.value, _or(retry_at), "0", _or(most_calls), _or(lockout_until), cost
        )
        return Settled(answer.decode())

    async def unreserve(self, call_id: str, retry_at: float) -> Settled:
        """The call was certainly never placed: take the attempt back and put the lead back from ``retry_at`` on."""
        return Settled((await self._run("settle", call_id, "unplaced", retry_at, "1", "", "", 0)).decode())

    async def reject(self, call_id: str, why: str) -> Settled:
        """The reserved lead may never be called, by a rule that the hopper does not know: finish it."""
        return Settled((await self._run("settle", call_id, why, "", "1", "", "", 0)).decode())

    async def reclaim(self, now: float, token: str, limit: int = 100) -> list[InProgress]:
        """Put back leads whose reservation is over without a launch, and return the calls that will never be made."""
        return _in_progress(await self._run("reclaim", now, token, limit))

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
        return _in_progress(await self._run("in_progress"))

    async def lead_of(self, call_id: str) -> Lead | None:
        """Whom a call went to: while it lives, and for a day after it connected somebody."""
        body = await self._run("lead_of", call_id)
        return _unpack(body) if body else None

    async def expired(self, limit: int = 100) -> list[Lead]:
        """Leads that expired in the queue and are still to be reported; `forget` them then."""
        return [_unpack(body) for body in await self._run("expired", limit)]

    async def forget(self, lead_ids: Sequence[str]) -> None:
        """Finish expired leads that were reported."""
        if lead_ids:
            await self._run("forget", *lead_ids)

    async def each(self) -> AsyncGenerator[Lead, None]:
        """All leads that are not over, in no order; a lead that changes meanwhile may come twice."""
        with reachable():
            async for _, body in self._redis.hscan_iter(f"{self._prefix}bodies", count=1000):
                yield _unpack(body)

    async def size(self) -> int:
        """How many leads wait."""
        with reachable():
            return int(await self._redis.zcard(f"{self._prefix}until"))

    async def look(self, now: float, priorities: Sequence[int]) -> Look:
        """What waits now, and what was spent. ``priorities`` part the leads that may be called, in ascending order."""
        *ready, later, spent = await self._run("look", now, *priorities)
        budget = self._limits.spend_a_day
        return Look(tuple(ready), later, spent / budget if budget else 0.0)

    async def national_lists(self) -> dict[str, float]:
        """When the national do-not-call list of each country was obtained that has one; 0: it is being loaded."""
        with reachable():
            found: Any = await self._redis.hgetall(NATIONAL_LISTS)
        return {country.decode(): float(obtained) for country, obtained in found.items()}

    async def callable_by(self, time: float) -> int:
        """How many of the leads that wait may be called by then, by any agent."""
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


def _parts(lead: Lead) -> tuple[str | bytes | float, ...]:
    priorities = ",".join(map(str, (lead.priority, *lead.retry_priorities)))
    return (
        lead.lead_id,
        # Half of a lead is names of products and sentences.
        zlib.compress(encode(lead), 1),
        lead.shopper_id,
        lead.phone_ref,
        priorities,
        lead.last_activity,
        lead.callable_from,
        lead.callable_until,
        caps_of(lead),
        lead.country,
    )


def _or(value: float | None) -> float | str:
    return "" if value is None else value


def _unpack(body: bytes) -> Lead:
    return _lead.decode(zlib.decompress(body))


def _reservation(row: Sequence[Any]) -> Reserved | Refused:
    match row:
        case [b"reserved", call, body, attempt, agent]:
            return Reserved(_unpack(body), call.decode(), int(attempt), agent.decode() or None)
        case [_, reason, *body]:
            return Refused(Refusal(reason.decode()), _unpack(body[0]) if body and body[0] else None)
    raise ValueError(f"the hopper's script reserve returned {len(row)} fields")


def _in_progress(flat: Sequence[bytes]) -> list[InProgress]:
    return [
        InProgress(
            call_id=call.decode(),
            lead=_unpack(body),
            started=float(started),
            launched=launched == b"1",
            attempt=int(attempt),
            withdrawn=withdrawn.decode() or None,
        )
        for call, body, started, launched, attempt, withdrawn in (flat[i : i + 6] for i in range(0, len(flat), 6))
    ]


@contextmanager
def reachable() -> Iterator[None]:
    """Turn what redis-py raises into `Unavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable(f"Redis: {error}") from error

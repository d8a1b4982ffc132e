"""The floor as others may see it, in Redis: agents' states in ``ringback:campaign:<name>:agents``, and the capacity."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from dialer.agents import WORKING, Agent
from dialer.hopper import reachable
from ringback import capacity
from ringback.capacity import Capacity

# Longer than the pause between two updates: when the dialer is gone, so is its floor.
KEEP_SECONDS = 10


def count(agents: Iterable[Agent], queued: int, wall: float) -> Capacity:
    """What the agents can take on; who is on a break, or goes on one after this call, takes nothing."""
    present = [agent for agent in agents if agent.present]
    working = sum(agent.state in WORKING for agent in present)
    return Capacity(agents=len(present), working=working, queued=queued, wall=wall)


async def publish(redis: Redis, campaign: str, agents: Iterable[Agent], now: float, queued: int) -> None:
    """Replace the hashes: agent id to ``{"state", "seconds", "call_id"}``, and the fields of `Capacity`.

    ``now`` is of the agents' steady clock; ``queued`` leads may be called within the hour. Raises
    `ringback.errors.Unavailable`.
    """
    key, capacity_key = f"ringback:campaign:{campaign}:agents", capacity.key(campaign)
    present = list(agents)
    shown: dict[FieldT, EncodableT] = {
        agent.agent_id: json.dumps(
            {"state": agent.state.value, "seconds": round(now - agent.since, 1), "call_id": agent.call_id}
        )
        for agent in present
    }
    told: Any = msgspec.structs.asdict(count(present, queued, time.time()))
    with reachable():
        async with asyncio.timeout(KEEP_SECONDS), redis.pipeline(transaction=True) as change:
            change.delete(key)
            if shown:
                change.hset(key, mapping=shown)
                change.expire(key, KEEP_SECONDS)
            change.hset(capacity_key, mapping=told)
            change.expire(capacity_key, KEEP_SECONDS)
            await change.execute()

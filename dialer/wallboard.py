"""The floor as others may see it: agents' states in a Redis hash, ``ringback:campaign:<name>:agents``."""

import asyncio
import json
from collections.abc import Iterable

from redis.asyncio import Redis
from redis.typing import EncodableT, FieldT

from dialer.agents import Agent
from dialer.hopper import reachable

# Longer than the pause between two updates: when the dialer is gone, so is its floor.
KEEP_SECONDS = 10


async def publish(redis: Redis, campaign: str, agents: Iterable[Agent], now: float) -> None:
    """Replace the hash: agent id to ``{"state", "seconds", "call_id"}``. ``now`` is of the agents' steady clock.

    Raises `ringback.errors.Unavailable`.
    """
    key = f"ringback:campaign:{campaign}:agents"
    shown: dict[FieldT, EncodableT] = {
        agent.agent_id: json.dumps(
            {"state": agent.state.value, "seconds": round(now - agent.since, 1), "call_id": agent.call_id}
        )
        for agent in agents
    }
    with reachable():
        async with asyncio.timeout(KEEP_SECONDS), redis.pipeline(transaction=True) as change:
            change.delete(key)
            if shown:
                change.hset(key, mapping=shown)
                change.expire(key, KEEP_SECONDS)
            await change.execute()

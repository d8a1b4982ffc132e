"""The shadow price where several workers need the same one: kept in Redis, beside the hopper.

Each worker tells what its carts offered and reads what all of them have told, every `LOOK_SECONDS`; see `stream.price`.
The market is one value, replaced only by who has read it last. What a worker does not get to tell is told next time.
An offer may be counted twice after a crash, which an average of an hour does not feel.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import WatchError

from dialer.hopper import reachable
from ringback import capacity
from ringback.capacity import Capacity
from ringback.clock import Clock
from ringback.decisions import Decision
from ringback.errors import Unavailable
from ringback.metrics import StreamMetrics
from ringback.records import decoder, encode
from ringback.redis_client import connect
from ringback.settings import Settings
from stream.price import Arrival, Market, arrival, free_seconds, in_force, price

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
# Wall seconds from when a price is made until it holds: every worker has read it by then.
AHEAD_SECONDS = 3 * LOOK_SECONDS
# A dialer tells twice a second.
STALE_SECONDS = 10.0
ATTEMPTS = 20
_market = decoder(Market)


class Prices:
    """The price of the agents' time, as far as this worker knows it. Without ``auto`` nothing is asked of Redis."""

    def __init__(self, settings: Settings, clock: Clock, metrics: StreamMetrics) -> None:
        self.wanted = settings.decide.voice_from == "auto"
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._market = Market()
        self._arrivals: list[Arrival] = []
        # Without auto it never holds.
        metrics.agent_time_price.set(float("nan"))
        self._key = f"ringback:campaign:{settings.dialer.campaign}:price"

    def at(self, due: float) -> int | None:
        """The price by which a cart that became due then is judged; None where the fixed threshold holds."""
        return in_force(self._market, due)

    def offered(self, decisions: Iterable[Decision]) -> None:
        """Take note of what decisions offered to the agents."""
        if self.wanted:
            found = (arrival(decision, self._settings.decide) for decision in decisions)
            self._arrivals += [one for one in found if one is not None]

    async def begin(self) -> None:
        """Learn the price before any cart is judged; waits for Redis."""
        redis = connect(self._settings.redis)
        try:
            while True:
                if await self._looked(redis):
                    return
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await redis.aclose()

    async def keep(self, redis: Redis) -> None:
        """Tell and look until cancelled. While Redis is away the last price holds; no call can be offered then."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._looked(redis)

    async def _looked(self, redis: Redis) -> bool:
        try:
            await self.look(redis)
        except Unavailable as error:
            log.warning("%s; the price of the agents' time stays what it was (decide.voice_from = auto)", error)
            return False
        return True

    async def look(self, redis: Redis) -> None:
        """Tell what was offered, and learn the price. Raises `Unavailable`."""
        arrivals, campaign = tuple(self._arrivals), self._settings.dialer.campaign
        with reachable():
            async with redis.pipeline(transaction=True) as change:
                for _ in range(ATTEMPTS):
                    await change.watch(self._key)
                    held = await change.get(self._key)
                    agents: Any = await change.hgetall(capacity.key(campaign))
                    before = _market.decode(held) if held else Market()
                    after = self._after(before, arrivals, capacity.parse(agents))
                    change.multi()  # type: ignore[no-untyped-call]  # redis-py left it without types
                    change.set(self._key, encode(after))
                    try:
                        await change.execute()
                    except WatchError:
                        # Another worker was quicker.
                        self._market = before
                    else:
                        self._market, self._arrivals = after, self._arrivals[len(arrivals) :]
                        break
        in_force_now = self.at(self._market.time)
        # Hundredths a minute, in units a second.
        self._metrics.agent_time_price.set(float("nan") if in_force_now is None else in_force_now / 100 / 60)

    def _after(self, before: Market, arrivals: Sequence[Arrival], told: Capacity | None) -> Market:
        rules, free = self._settings.decide, None
        if told is not None and abs(time.time() - told.wall) < STALE_SECONDS:
            free = free_seconds(told, rules)
        return price(self._clock.now(), before, arrivals, free, AHEAD_SECONDS * self._clock.speed)

"""The guard against abandoned calls at work: counts with Asterisk's time stamps, remembers in Redis, brakes the pacers.

What counts and what is allowed is `dialer.abandonment`; here is what outlives a restart, in
``ringback:campaign:<name>:abandonment``: when the campaign began, and the counts of its periods.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from redis.asyncio import Redis
from redis.exceptions import WatchError

from dialer.abandonment import LIMITS, Ledger, Period
from dialer.hopper import reachable
from dialer.pacing import Floor
from ringback.metric_labels import AbandonmentWindow, NeverEvent
from ringback.metrics import DialerMetrics
from ringback.settings import Settings

log = logging.getLogger(__name__)

_WINDOWS: Mapping[Period, AbandonmentWindow] = {
    Period.DAY: AbandonmentWindow.TODAY,
    Period.SUCCESSIVE_30_DAYS: AbandonmentWindow.THIRTY_DAYS,
}


class AbandonmentGuard:
    """The counts of one campaign. Only the dialer that holds the campaign may `save` them."""

    def __init__(self, settings: Settings, redis: Redis, metrics: DialerMetrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._clock = settings.simulation.clock()
        self._key = f"ringback:campaign:{settings.dialer.campaign}:abandonment"
        self._leader = f"ringback:campaign:{settings.dialer.campaign}:leader"
        self._limits = [LIMITS[name] for name in settings.dialer.abandonment_rules]
        self._zone = ZoneInfo(settings.dialer.time_zone)
        self._mistaken = settings.dialer.amd_mistaken
        # A campaign begins with the day of its first dialer: Asterisk's clock may be a little behind this one.
        today = datetime.fromtimestamp(self._clock.now(), self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        self._ledger = self._new(today.timestamp())
        self._unsaved: list[tuple[float, Mapping[str, int]]] = []
        self._broken: set[str] = set()
        self._claims: dict[str, int] = {}
        for limit in self._limits:
            if limit.period in _WINDOWS:
                metrics.abandoned_limit.labels(_WINDOWS[limit.period].value).set(limit.share)

    def _new(self, began: float) -> Ledger:
        return Ledger(self._limits, began, self._zone, mistaken=self._mistaken)

    def record(self, at: float, **counts: int) -> None:
        """Count calls that were answered at ``at``, in epoch seconds of Asterisk's clock; see `Ledger.record`."""
        time = self._clock.at(at)
        self._ledger.record(time, **counts)
        self._unsaved.append((time, counts))
        broken = {limit.name for limit in self._ledger.broken(self._clock.now())}
        for name in broken - self._broken:
            self._metrics.never_events.labels(NeverEvent.ABANDONED_OVER_LIMIT.value).inc()
            log.error("more calls were abandoned than %s allows: %s", name, LIMITS[name].source)
        self._broken = broken

    def of(self, server: str, uncovered: Callable[[str], int]) -> Callable[[float, Floor], int]:
        """The guard that a server's pacer asks. Calls of the other servers are a risk as well.

        ``uncovered`` tells `Floor.uncovered` of a server at this moment.
        """

        def room(_: float, floor: Floor) -> int:
            others = sum(max(0, claim, -uncovered(name)) for name, claim in self._claims.items() if name != server)
            headroom = self._ledger.headroom(self._clock.now()) - others
            return max(0, floor.uncovered + max(0, headroom))

        return room

    def claim(self, server: str, calls: int) -> None:
        """So many calls, without an agent who stands by for them, are about to be started on a server."""
        self._claims[server] = calls

    def show(self) -> None:
        """Bring the metrics up to date."""
        rates = self._ledger.rates(self._clock.now())
        for limit in self._limits:
            if limit.period in _WINDOWS:
                self._metrics.abandoned_ratio.labels(_WINDOWS[limit.period].value).set(rates[limit.name])

    async def load(self) -> None:
        """Take up what was counted before. Raises `ringback.errors.Unavailable`."""
        with reachable():
            kept: Any = await self._redis.get(self._key)
        if kept:
            state = json.loads(kept)
            self._ledger = self._new(state["began"])
            self._ledger.restore(state["counts"])
            for time, counts in self._unsaved:
                self._ledger.record(time, **counts)
        self._broken = {limit.name for limit in self._ledger.broken(self._clock.now())}

    async def save(self, token: str) -> None:
        """Keep what was counted, unless another dialer has the campaign. Raises `ringback.errors.Unavailable`."""
        count = len(self._unsaved)
        if not count:
            return
        state = json.dumps({"began": self._ledger.began, "counts": self._ledger.state()})
        with reachable():
            async with self._redis.pipeline(transaction=True) as change:
                await change.watch(self._leader)
                if await change.get(self._leader) == token.encode():
                    change.multi()  # type: ignore[no-untyped-call]  # redis-py leaves it without types
                    change.set(self._key, state)
                    try:
                        await change.execute()
                    except WatchError:
                        return  # the lease was renewed at this moment: the next time, then
        # What another holds it counts itself.
        del self._unsaved[:count]

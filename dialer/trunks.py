"""How many calls may be started on a trunk: lines, calls a second, the carrier's congestion, and whether it lives.

Pure: times in seconds of a steady clock.
"""

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

from dialer.breaker import Breaker
from ringback.dialer_settings import TrunkSettings
from ringback.records import Outcome

# A bucket holds so many seconds of calls, and one at least: who looks every few milliseconds must not lose any.
BUCKET_SECONDS = 0.1
# So many congested calls among so many are no chance: the carrier wants fewer calls a second.
CONGESTED, AMONG = 4, 20
SLOWEST = 1 / 32
RECOVERY_SECONDS = 10.0
RECOVERY_STEP = 0.1
# Outcomes that say that a trunk may be dead. Congestion and wrong numbers happen on a good one too.
_DOUBT: Mapping[Outcome, float] = MappingProxyType({Outcome.FAILED: 1.0, Outcome.CONGESTION: 0.5, Outcome.INVALID: 0.5})


class Trunk:
    """One way out of one server.

    After a burst of congestion the calls a second are halved; they come back by a tenth of the full rate in each
    ``RECOVERY_SECONDS`` without another burst (additive increase, multiplicative decrease, as TCP does).
    """

    def __init__(self, name: str, settings: TrunkSettings) -> None:
        self.name = name
        self.settings = settings
        self.breaker = Breaker()
        self._share = 1.0
        self._recovers_at = 0.0
        self._tokens = 1.0
        self._counted_at: float | None = None
        self._ends: deque[bool] = deque(maxlen=AMONG)

    @property
    def calls_per_second(self) -> float:
        """The rate that the carrier takes now."""
        return self.settings.calls_per_second * self._share

    def free_lines(self, now: float, used: int, in_flight: int) -> int:
        """How many more calls may be on the trunk. ``in_flight`` of those that use a line are not answered yet."""
        tries = self.breaker.allowance(now, in_flight)
        free = max(0, self.settings.lines - used)
        return free if tries is None else min(free, tries)

    def tokens(self, now: float) -> int:
        """How many calls the rate allows now."""
        self._refill(now)
        return max(0, int(self._tokens))

    def pause(self, now: float) -> float:
        """Seconds until the rate allows a call."""
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) / self.calls_per_second)

    def take(self) -> None:
        """A call is started."""
        self._tokens -= 1.0

    def ended(self, outcome: Outcome, now: float) -> bool:
        """Learn from a call's end; whether the trunk is now thought to be dead, and was not a moment ago."""
        if outcome is Outcome.UNKNOWN:
            return False
        self._ends.append(outcome is Outcome.CONGESTION)
        if sum(self._ends) >= CONGESTED:
            self._ends.clear()
            self._refill(now)
            self._share = max(self._share / 2, SLOWEST)
            self._recovers_at = now + RECOVERY_SECONDS
        if outcome in _DOUBT:
            return self.breaker.failed(now, _DOUBT[outcome])
        self.breaker.worked()
        return False

    def _refill(self, now: float) -> None:
        while self._share < 1.0 and now >= self._recovers_at:
            self._share = min(1.0, self._share + RECOVERY_STEP)
            self._recovers_at += RECOVERY_SECONDS
        depth = max(1.0, self.calls_per_second * BUCKET_SECONDS)
        elapsed = 0.0 if self._counted_at is None else max(0.0, now - self._counted_at)
        self._tokens = min(depth, self._tokens + elapsed * self.calls_per_second)
        self._counted_at = now

"""The business clock: what time it is for shoppers, carts and agents.

In production it is the wall clock. In a simulation it may start elsewhere and run faster, so that 30 minutes of
abandonment pass in seconds while the two seconds that an answered shopper may wait stay two seconds: deadlines and
latencies are always measured by ``time.monotonic``/``time.time``, never by this clock.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Maps wall time to business time: ``origin + (wall - wall_origin) * speed``, all in epoch seconds UTC."""

    origin: float = 0.0
    wall_origin: float = 0.0
    speed: float = 1.0

    def at(self, wall: float) -> float:
        """Business time at a moment of wall time."""
        return self.origin + (wall - self.wall_origin) * self.speed

    def now(self) -> float:
        """Business time now."""
        return self.at(time.time())

    def wall_seconds(self, business_seconds: float) -> float:
        """How long a span of business time lasts on the wall."""
        return business_seconds / self.speed

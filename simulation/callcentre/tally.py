"""What came of a simulated call floor."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Self

HOUR = 3600.0
HOURS_A_DAY = 8


@dataclass(slots=True)
class Tally:
    """Sums over a span of time; ``staffed``, ``busy`` and ``lines`` in agent- and line-seconds.

    Every answered call is live or a machine taken for a shopper; every live one was connected, abandoned (no agent in
    time), mistaken (hung up on as if a machine) or still waits. A call counts where it ended.
    """

    seconds: float = 0.0
    staffed: float = 0.0
    busy: float = 0.0
    lines: float = 0.0
    dials: int = 0
    live: int = 0
    connected: int = 0
    abandoned: int = 0
    mistaken: int = 0
    machines_connected: int = 0

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sums of the parts."""
        total = cls()
        for part in parts:
            for one in fields(cls):
                setattr(total, one.name, getattr(total, one.name) + getattr(part, one.name))
        return total

    @property
    def occupancy(self) -> float:
        """Share of the staffed time in which agents talked or wrapped up."""
        return self.busy / self.staffed if self.staffed else 0.0

    @property
    def abandonment(self) -> float:
        """Abandoned calls per live answer, shoppers taken for machines among them."""
        return (self.abandoned + self.mistaken) / self.live if self.live else 0.0


@dataclass(slots=True)
class Result:
    """A simulated span: sums by the hour, seconds that agents waited for a call and shoppers for an agent.

    ``line_seconds`` says how long so many lines were in use. Agents in wrap-up use none.
    """

    hours: list[Tally] = field(default_factory=list)
    agent_waits: list[float] = field(default_factory=list)
    shopper_waits: list[float] = field(default_factory=list)
    line_seconds: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> Tally:
        """The sums over all of it."""
        return Tally.total(self.hours)

    def days(self, hours: int = HOURS_A_DAY) -> list[Tally]:
        """The sums over each full day of so many hours."""
        whole = range(0, len(self.hours) - hours + 1, hours)
        return [Tally.total(self.hours[first : first + hours]) for first in whole]

    @property
    def worst_day(self) -> float:
        """The highest abandonment rate of a full day; 0 without one."""
        return max((day.abandonment for day in self.days()), default=0.0)

    def lines_enough_for(self, share: float) -> int:
        """The least number of lines that was enough for a share of the time."""
        left = share * sum(self.line_seconds.values())
        for lines in sorted(self.line_seconds):
            left -= self.line_seconds[lines]
            if left <= 0:
                return lines
        return max(self.line_seconds, default=0)


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of them does not exceed; 0 of none."""
    if not values:
        return 0.0
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]

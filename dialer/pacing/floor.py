"""What a pacer sees and hears: the call floor at one moment, and what becomes of calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class Busy(StrEnum):
    """What keeps an agent from the next call."""

    TALKING = "talking"
    WRAP_UP = "wrap_up"


class Kind(StrEnum):
    """How the ringing of a call ended."""

    HUMAN = "human"
    MACHINE = "machine"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"


class BusyAgent(NamedTuple):
    """An agent who talks or wraps up, for so many seconds by now. A plain ``("talking", 12.0)`` serves as well."""

    state: Busy
    seconds: float


@dataclass(frozen=True, slots=True)
class Floor:
    """The call floor at one moment.

    ``idle`` agents wait for a call; agents who are just being connected count neither as idle nor as busy.
    ``in_flight`` has the seconds since originate of each call that is neither answered nor over; ``waiting`` are
    answered calls without an agent; ``free_lines`` is how many calls may be started at most.
    """

    idle: int
    busy: Sequence[BusyAgent | tuple[str, float]]
    in_flight: Sequence[float]
    waiting: int
    free_lines: int

    @property
    def uncovered(self) -> int:
        """How many idle agents have no call on the way; negative: so many calls more than idle agents."""
        return self.idle - len(self.in_flight) - self.waiting


@dataclass(frozen=True, slots=True)
class Resolved:
    """A call stopped ringing, ``seconds`` after its originate."""

    kind: Kind
    seconds: float


@dataclass(frozen=True, slots=True)
class Connected:
    """An answered call got its agent in time."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An answered call got no agent in time."""


@dataclass(frozen=True, slots=True)
class TalkEnded:
    """A conversation ended after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WrapUpEnded:
    """An agent is ready again after so many seconds of wrap-up."""

    seconds: float


Event = Resolved | Connected | Abandoned | TalkEnded | WrapUpEnded

Guard = Callable[[float, Floor], int]
"""How many calls may be started at most, at a time and on a floor; see `dialer.abandonment`."""


class Pacing(Protocol):
    """Decides how many calls to start. ``now`` is in seconds of any steady clock."""

    def decide(self, now: float, floor: Floor) -> int:
        """How many calls to start now: 0 or more, never over ``floor.free_lines``."""

    def observe(self, event: Event) -> None:
        """Learn from what happened. It happened at the ``now`` of the last decision, or just after it."""

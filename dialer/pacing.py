"""Pacing: how many calls to start now. Pure: the time is passed in, so any simulator can drive a pacer.

A pacer sees the floor at each decision and learns from what becomes of calls. `Progressive` needs to learn nothing: one
line for each idle agent, so that nobody who answers has to wait (cf. "progressive dialling" in Ofcom's statements on
persistent misuse, which abandons calls only when an agent leaves).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


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


@dataclass(frozen=True, slots=True)
class BusyAgent:
    """An agent who talks or wraps up, for so many seconds by now."""

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
    busy: Sequence[BusyAgent]
    in_flight: Sequence[float]
    waiting: int
    free_lines: int


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


class Pacer(Protocol):
    """Decides how many calls to start. ``now`` is in seconds of any steady clock."""

    def decide(self, now: float, floor: Floor) -> int:
        """How many calls to start now: 0 or more, never over ``floor.free_lines``."""

    def observe(self, event: Event) -> None:
        """Learn from what happened."""


class Progressive:
    """One line for each idle agent, less those that calls in flight and answered calls have a claim on."""

    def decide(self, now: float, floor: Floor) -> int:
        """As many calls as there are idle agents without a call on the way."""
        spare = floor.idle - len(floor.in_flight) - floor.waiting
        return max(0, min(spare, floor.free_lines))

    def observe(self, event: Event) -> None:
        """Nothing to learn."""

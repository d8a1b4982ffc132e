"""What becomes of a call to a shopper: laws of a telephone network, drawn from a seed.

The laws are those of an outbound call centre: a post-dial delay of 3 s, answers after 12.4 s in the mean, 28 s until an
unanswered call is given up, 1 to 4 s until a failing one fails, conversations log-normal with a mean of 165 s and a
coefficient of variation of 0.9. ``Pace`` shortens them, so that a demo is lively.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

POST_DIAL_DELAY = 3.0
MEAN_ANSWER = 12.4
RING_SHAPE = 2.0
RING_OUT = 28.0
FAILS_AFTER = (1.0, 4.0)
MEAN_TALK = 165.0
TALK_VARIATION = 0.9
TALK_LIMITS = (40.0, 420.0)
# Not paced: a shopper's patience with silence is what the two seconds of an abandoned call are about.
EARLY_HANGUP = (0.2, 1.6)


class Ending(StrEnum):
    """How a call goes once it is dialled."""

    HUMAN = "human"
    HANGS_UP_EARLY = "hangs_up_early"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    INVALID = "invalid"
    CONGESTION = "congestion"

    @property
    def answers(self) -> bool:
        """Whether somebody picks up."""
        return self in (Ending.HUMAN, Ending.HANGS_UP_EARLY)

    @property
    def rings(self) -> bool:
        """Whether the phone rings at all."""
        return self not in (Ending.BUSY, Ending.INVALID, Ending.CONGESTION)

    @property
    def cause(self) -> int:
        """The Q.850 cause with which the call ends when it is left alone."""
        return _CAUSES.get(self, 16)


_CAUSES = {
    Ending.NO_ANSWER: 19,
    Ending.BUSY: 17,
    Ending.DECLINED: 21,
    Ending.INVALID: 1,
    Ending.CONGESTION: 34,
}


@dataclass(frozen=True, slots=True)
class Fate:
    """``ring``: seconds until answered or failed; ``talk``: until the shopper hangs up.

    ``talk`` counts from the agent's hello, but from the answer for who hangs up early.
    """

    ending: Ending
    ring: float
    talk: float = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """By what ringing and talking are multiplied: 1 is real time."""

    ring: float = 0.15
    talk: float = 0.045


REAL_TIME = Pace(1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Laws:
    """How often each ending comes, and how fast. The shares are those of warm leads, without answering machines."""

    shares: Mapping[Ending, float] = field(
        default_factory=lambda: {
            Ending.HUMAN: 0.55,
            Ending.HANGS_UP_EARLY: 0.03,
            Ending.NO_ANSWER: 0.24,
            Ending.BUSY: 0.07,
            Ending.DECLINED: 0.06,
            Ending.INVALID: 0.02,
            Ending.CONGESTION: 0.03,
        }
    )
    pace: Pace = Pace()


def draw(laws: Laws, seed: int, number: str, attempt: int) -> Fate:
    """The fate of the n-th call to a number: the same for the same seed."""
    chance = random.Random(f"{seed}/{number}/{attempt}")
    (ending,) = chance.choices(tuple(laws.shares), tuple(laws.shares.values()))
    ring = _ring(chance, ending) * laws.pace.ring
    if ending is Ending.HUMAN:
        return Fate(ending, ring, _talk(chance) * laws.pace.talk)
    if ending is Ending.HANGS_UP_EARLY:
        return Fate(ending, ring, chance.uniform(*EARLY_HANGUP))
    return Fate(ending, ring)


def _ring(chance: random.Random, ending: Ending) -> float:
    if ending is Ending.NO_ANSWER:
        return RING_OUT
    if not ending.rings:
        return chance.uniform(*FAILS_AFTER)
    mean = MEAN_ANSWER - POST_DIAL_DELAY
    return POST_DIAL_DELAY + min(chance.gammavariate(RING_SHAPE, mean / RING_SHAPE), RING_OUT - POST_DIAL_DELAY)


def _talk(chance: random.Random) -> float:
    variance = math.log(1 + TALK_VARIATION**2)
    talk = chance.lognormvariate(math.log(MEAN_TALK) - variance / 2, math.sqrt(variance))
    shortest, longest = TALK_LIMITS
    return min(max(talk, shortest), longest)

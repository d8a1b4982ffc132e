"""What a call floor is like: who answers and when, how long agents talk, and what goes wrong."""

import math
from dataclasses import dataclass

from dialer.pacing import Kind
from simulation.callcentre.laws import Law, exponential, fixed, lognormal, ringing, uniform

POST_DIAL_DELAY = 3.0
TALK_CV = 0.9
MARKOV_HANDLING, MARKOV_RESOLUTION = 180.0, 20.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How calls that nobody answers end: their share of those, and seconds from originate to the end."""

    kind: Kind
    share: float
    seconds: Law


@dataclass(frozen=True, slots=True)
class Swing:
    """The answer rate goes up and down as a sine, by a share of itself."""

    share: float = 0.4
    period: float = 7200.0

    def at(self, now: float) -> float:
        """What the answer rate is to be multiplied by."""
        return 1.0 + self.share * math.sin(2 * math.pi * now / self.period)


@dataclass(frozen=True, slots=True)
class Breaks:
    """Every so often a share of the floor leaves: at once who is idle, the others after their call."""

    every: float = 7200.0
    lasts: float = 900.0
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Outages:
    """Every so often the trunk fails all calls that are started, for a while."""

    every: float = 7200.0
    lasts: float = 120.0


@dataclass(frozen=True, slots=True)
class Detection:
    """Answering machine detection and its errors.

    It takes so long after the greeting began, which the shopper waits. A shopper taken for a machine is hung up on; a
    machine taken for a shopper costs an agent ``wasted`` seconds. ``Detection(machine_as_human=1.0)`` is none at all.
    """

    takes: float = 0.0
    human_as_machine: float = 0.0
    machine_as_human: float = 0.0
    wasted: float = 8.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A call floor.

    ``answer_rate`` is the share of calls that a shopper answers, after ``answer`` seconds; the others end as
    ``outcomes`` say. A shopper waits ``hold`` seconds, or what the law of ``patience`` says, and then hears the
    safe-harbour message: an abandoned call. The pacer is asked at every change, and ``tick`` seconds after it was asked
    last. ``lateness`` is how long what became of a call takes to be known. ``lines`` are the most used at once; none:
    plenty.
    """

    agents: int
    answer_rate: float
    answer: Law
    outcomes: tuple[Outcome, ...]
    talk: Law
    wrap_up: Law | None = None
    hold: float = 2.0
    patience: Law | None = None
    tick: float = 0.25
    lines: int | None = None
    swing: Swing | None = None
    breaks: Breaks | None = None
    outages: Outages | None = None
    detection: Detection | None = None
    lateness: Law | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        if self.agents < 1:
            raise ValueError(f"a floor needs at least one agent, not {self.agents}")
        if not 0 < self.answer_rate <= 1:
            raise ValueError(f"the answer rate is a share of calls above 0 and up to 1, not {self.answer_rate}")
        if self.swing and self.answer_rate * (1 + self.swing.share) > 1:
            raise ValueError(f"an answer rate of {self.answer_rate} cannot swing up by {self.swing.share:.0%}")
        for pauses in (self.breaks, self.outages):
            if pauses and not 0 < pauses.lasts < pauses.every:
                raise ValueError(f"{pauses}: what comes every so often has to be over by then")
        if self.tick <= 0:
            raise ValueError(f"a tick takes more than 0 seconds, not {self.tick}")


def markov(
    agents: int,
    answer_rate: float = 0.25,
    handling: float = MARKOV_HANDLING,
    resolution: float = MARKOV_RESOLUTION,
    *,
    hold: float = 2.0,
    tick: float = 0.25,
) -> Scenario:
    """The floor whose optimum is known: everything exponential, shoppers' patience too, and no wrap-up."""
    law = exponential(resolution)
    return Scenario(
        agents=agents,
        answer_rate=answer_rate,
        answer=law,
        outcomes=(Outcome(Kind.NO_ANSWER, 1.0, law),),
        talk=exponential(handling),
        hold=hold,
        patience=exponential(hold) if hold else None,
        tick=tick,
    )


def realistic(
    agents: int,
    answer_rate: float = 0.25,
    talk: float = 165.0,
    wrap_up: float = 15.0,
    *,
    tick: float = 0.25,
    swing: Swing | None = None,
    breaks: Breaks | None = None,
    outages: Outages | None = None,
    detection: Detection | None = None,
    lateness: Law | None = None,
) -> Scenario:
    """A usual consumer campaign.

    Shoppers answer after 12.4 s in the mean. Of the calls that they do not answer, 34 of 75 reach a machine (18 s in
    the mean), 31 ring out after 28 s and 10 fail within 4 s.
    """
    return Scenario(
        agents=agents,
        answer_rate=answer_rate,
        answer=ringing(12.4, shape=4.0, post_dial_delay=POST_DIAL_DELAY),
        outcomes=(
            Outcome(Kind.MACHINE, 34 / 75, ringing(18.0, shape=9.0, post_dial_delay=POST_DIAL_DELAY)),
            Outcome(Kind.NO_ANSWER, 31 / 75, fixed(28.0)),
            Outcome(Kind.FAILED, 10 / 75, uniform(1.0, 4.0)),
        ),
        talk=lognormal(talk, TALK_CV),
        wrap_up=fixed(wrap_up) if wrap_up else None,
        tick=tick,
        swing=swing,
        breaks=breaks,
        outages=outages,
        detection=detection,
        lateness=lateness,
    )

"""Settings of the leads in the hopper: how they age, when they are called again, and callbacks."""

from pydantic import Field

from ringback.records import Outcome
from ringback.section import PositiveSeconds, Seconds, Section


class Again(Section):
    """What becomes of a lead whose call ended in a certain way."""

    attempts: int = Field(
        0, ge=0, le=10, description="up to so many calls in all, within compliance.max_attempts_per_lead; 0: not again"
    )
    delay: Seconds = Field(1800.0, description="seconds until then")


# A busy line is soon free; who does not answer is busy with something else. What died in the network disturbed nobody.
# A machine's greeting may have been a person's: Ofcom's statement of 2016 asks for 24 hours before the next call.
DEFAULT_RECYCLING = {
    Outcome.BUSY: Again(attempts=2, delay=900.0),
    Outcome.NO_ANSWER: Again(attempts=2, delay=1800.0),
    Outcome.CONGESTION: Again(attempts=2, delay=300.0),
    Outcome.FAILED: Again(attempts=2, delay=300.0),
    Outcome.MACHINE: Again(attempts=2, delay=86400.0),
}


class LeadSettings(Section):
    """How leads age, and when they are called again. Laws come first: see compliance."""

    decay: PositiveSeconds = Field(
        7200.0, description="seconds in which what a call is worth falls to 1/e (37 %); an assumption, it only ranks"
    )
    recycling: dict[Outcome, Again] = Field(
        DEFAULT_RECYCLING, description="by how a call ended; what is not listed is not called again"
    )
    callback_patience: Seconds = Field(
        900.0, description="seconds that a callback waits for the agent who promised it, then any agent may take it"
    )
    callback_window: PositiveSeconds = Field(
        4 * 3600.0, description="seconds after the promised time until a callback comes too late"
    )
    callback_ahead: PositiveSeconds = Field(14 * 86400.0, description="how far ahead a callback may be promised")

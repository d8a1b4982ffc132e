"""How often one person may be called, and when again.

Sources: Florida Stat. 501.616(6)(b) and the Oklahoma Telephone Solicitation Act (three calls in 24 hours on one
subject: the strictest in the US, taken everywhere); Ofcom, persistent misuse statement of 2016 (no further call for 72
hours after an abandoned one); France, Code de la consommation D223-9 (60 days after a refusal).
"""

from dataclasses import dataclass

from ringback.compliance_settings import ComplianceSettings
from ringback.records import Outcome

# A call that died in the network did not disturb anybody: it is tried again sooner, if no later than an unanswered one.
NETWORK_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Caps:
    """How often one may be called: calls to a number within any 24 hours, calls about one lead."""

    per_day: int = 3
    per_lead: int = 2

    @classmethod
    def of(cls, settings: ComplianceSettings) -> "Caps":
        """The caps that are set."""
        return cls(settings.max_attempts_per_day, settings.max_attempts_per_lead)


def retry_at(outcome: Outcome, now: float, settings: ComplianceSettings) -> float | None:
    """When a lead may be called again after a call that ended so; None: never.

    Whoever answered, declined or hung up has decided. After an abandoned call there is a lockout of 72 hours, which
    outlives any lead. Where the outcome is unknown a phone may have been answered.
    """
    match outcome:
        case Outcome.BUSY | Outcome.NO_ANSWER:
            return now + settings.retry_after
        case Outcome.CONGESTION | Outcome.FAILED:
            return now + min(NETWORK_RETRY_SECONDS, settings.retry_after)
        case _:
            return None

"""May a lead be called now? The rules that need nothing but the lead itself.

Consent and the calling window were settled when the lead was routed, by the same rules (`stream.decide`). Purchases,
opt-outs, do-not-call lists, caps and calls in progress are shared state: `dialer.hopper` checks them in the same atomic
step that offers or reserves a lead.
"""

from enum import StrEnum

from dialer.compliance.destination import Destination, fault
from ringback.decisions import Lead
from ringback.settings import Settings


class Rule(StrEnum):
    """The rule that forbids a call."""

    NOT_E164 = "not_e164"
    IMPOSSIBLE_NUMBER = "impossible_number"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    SPECIAL_NUMBER = "special_number"
    OUTSIDE_HOURS = "outside_hours"
    REPLAY = "replay"


_RULE_OF = {
    Destination.NOT_E164: Rule.NOT_E164,
    Destination.IMPOSSIBLE: Rule.IMPOSSIBLE_NUMBER,
    Destination.COUNTRY: Rule.COUNTRY_NOT_ALLOWED,
    Destination.SPECIAL: Rule.SPECIAL_NUMBER,
}


def forbidden(lead: Lead, now: float, settings: Settings) -> Rule | None:
    """The first rule that forbids to call a lead at business time ``now``, or None."""
    if lead.replay and not settings.simulation.enabled:
        return Rule.REPLAY
    wrong = fault(lead.phone, lead.country, settings.compliance.hours)
    if wrong:
        return _RULE_OF[wrong]
    return None if lead.callable_from <= now < lead.callable_until else Rule.OUTSIDE_HOURS

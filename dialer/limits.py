"""What a campaign may do at most, as the hopper's scripts apply it: caps, pace and budget; and how it ranks its leads.

Sources of the caps: Florida Stat. 501.616(6)(b) and the Oklahoma Telephone Solicitation Act (three calls in 24 hours
on one subject: the strictest in the US, taken everywhere). A lead brings those of its shopper's own country
(`ringback.decisions.Lead.caps`); the stricter one holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from math import ceil

import msgspec

from dialer.compliance.book import book
from dialer.compliance.lists import greatest_ages
from ringback.decisions import Lead
from ringback.settings import Settings

DAY = 86400.0
# Calls are remembered for so long, and no cap can look further back.
LONGEST_CAP = 90 * DAY
_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of a person and of a number, of a lead, and of the campaign.

    ``caps`` are (seconds, calls) pairs: so many calls within so many seconds, as in `Lead`. ``per_hour`` and
    ``spend_a_day`` (0: no limit) bound what a campaign does in any hour and any 24 hours. Prices and spending are whole
    millionths of the unit of a currency of the operator's choice. A call books ``price_of_call`` when it is reserved,
    and its minutes when it is settled: calls that talk may carry the campaign past its budget.

    Leads are ranked by priority x exp(-age / ``decay``). A callback waits ``own_patience`` seconds for the agent who
    promised it, then for any.

    ``lists``: of which countries people are called only by a national do-not-call list that was obtained so few seconds
    ago, as in `dialer.compliance.lists.greatest_ages`.
    """

    caps: tuple[tuple[float, int], ...] = ((DAY, 3),)
    per_lead: int = 2
    per_hour: int = 0
    spend_a_day: int = 0
    price_of_call: int = 0
    price_of_minute: int = 0
    decay: float = 7200.0
    own_patience: float = 900.0
    lists: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that are set."""
        rules = settings.compliance
        return cls(
            caps=(
                (DAY, rules.max_attempts_per_day),
                (7 * DAY, rules.max_attempts_per_week),
                (30 * DAY, rules.max_attempts_per_month),
            ),
            per_lead=rules.max_attempts_per_lead,
            per_hour=rules.max_calls_per_hour,
            spend_a_day=_millionths(rules.max_spend_per_day),
            price_of_call=_millionths(rules.price_per_call),
            price_of_minute=_millionths(rules.price_per_minute),
            decay=settings.leads.decay,
            own_patience=settings.leads.callback_patience,
            lists=greatest_ages(rules, book()),
        )

    def json(self) -> bytes:
        """As the scripts read it."""
        return msgspec.json.encode(self)

    def cost_of_talk(self, seconds: float | None) -> int:
        """What a call cost beside ``price_of_call``: each minute that was begun."""
        return ceil((seconds or 0.0) / _MINUTE) * self.price_of_minute


def caps_of(lead: Lead) -> str:
    """A lead's own caps as the scripts read them.

    Raises ValueError for a cap over more than 90 days: the hopper would not remember the calls that it counts.
    """
    for seconds, calls in lead.caps:
        if not 0 < seconds <= LONGEST_CAP:
            raise ValueError(
                f"lead {lead.lead_id}: a cap of {calls} calls in {seconds:g} s; calls are kept for 90 days"
            )
    return ",".join(f"{seconds!r}:{calls}" for seconds, calls in lead.caps)


def _millionths(amount: Decimal) -> int:
    return int((amount * 1_000_000).to_integral_value(ROUND_CEILING))

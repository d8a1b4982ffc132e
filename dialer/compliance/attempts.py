"""How often one person may be called, and when again.

The numbers are data: `dialer.compliance.book` and the settings; of several the strictest holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dialer.compliance.book import Book, SpacingRule, book
from ringback.compliance_settings import ComplianceSettings

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``calls`` to one person, and to one number, in any ``seconds``."""

    id: str
    source: str
    seconds: float
    calls: int
    verified: bool = True


def caps(codes: Iterable[str], settings: ComplianceSettings, now: float, rules: Book) -> list[Cap]:
    """The caps of some jurisdictions that hold at a time, and those that are set."""
    own = (
        ("max_attempts_per_day", DAY, settings.max_attempts_per_day),
        ("max_attempts_per_week", 7 * DAY, settings.max_attempts_per_week),
        ("max_attempts_per_month", 30 * DAY, settings.max_attempts_per_month),
    )
    return [
        *(Cap(f"compliance.{name}", "setting", seconds, calls) for name, seconds, calls in own),
        *(
            Cap(rule.id, rule.source, rule.seconds, rule.calls, rule.verified)
            for one in rules.of(codes)
            for rule in one.cap
            if rule.in_force_somewhere(now)
        ),
    ]


def strictest(found: Iterable[Cap]) -> tuple[tuple[float, int], ...]:
    """The (seconds, calls) pairs that caps come to: `ringback.decisions.Lead.caps`."""
    least: dict[float, int] = {}
    for cap in found:
        least[cap.seconds] = min(cap.calls, least.get(cap.seconds, cap.calls))
    return tuple(sorted(least.items()))


def spacings(codes: Iterable[str], now: float, rules: Book) -> list[SpacingRule]:
    """What holds at a time in some jurisdictions for the time after a call."""
    return [rule for one in rules.of(codes) for rule in one.spacing if rule.in_force_somewhere(now)]


def spacing(outcome: str, jurisdiction: str, now: float) -> float | None:
    """For how many seconds after a call that ended so nobody may call the number or the person; None: no rule.

    ``outcome`` is one of `ringback.records.Outcome`, or ``refused``: the shopper said no to an offer, which an agent
    reports as not interested. ``jurisdiction`` is a country or a state (``US-FL``), whose country's rules hold too.
    """
    codes = (jurisdiction.partition("-")[0], jurisdiction)
    return max((rule.seconds for rule in spacings(codes, now, book()) if rule.after == outcome), default=None)

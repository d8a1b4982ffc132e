"""What is asked of the rules of calls, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from dialer.compliance.places import Place
from ringback.records import Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who would be called. ``phone`` is E.164, ``country`` ISO 3166 alpha-2.

    ``timezone`` (IANA) and ``region`` (ISO 3166-2, ``US-FL``) are those of the address, ``ip_timezone`` that of the
    network; what is None is unknown, and the strictest is taken. ``place`` is where the person may be, when it was
    found out before: then those three say nothing.
    """

    phone: str
    country: str | None
    timezone: str | None = None
    region: str | None = None
    ip_timezone: str | None = None
    consent: Consent | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has happened so far. Times are epoch seconds, in no order; those in the future count as just now.

    ``to_number`` and ``to_person`` are the times of calls, ``about_cart`` how many were about this cart. ``ended`` are
    calls and refusals, each with when and how it ended (`ringback.records.Outcome`, or ``refused``). ``bought`` is the
    newest purchase, ``last_activity`` the newest of the cart (None: there is none). ``campaign_calls`` are those of the
    last hour, ``campaign_spent`` what those of the last 24 hours cost.
    """

    to_number: Sequence[float] = ()
    to_person: Sequence[float] = ()
    about_cart: int = 0
    ended: Sequence[tuple[float, str]] = ()
    locked_until: float | None = None
    opted_out: bool = False
    do_not_call: bool = False
    national_do_not_call: bool = False
    bought: float | None = None
    last_activity: float | None = None
    in_call: bool = False
    replay: bool = False
    campaign_calls: int = 0
    campaign_spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said: ``why`` in words, ``source`` where it comes from; ``verified``: its source was read."""

    rule: str
    passed: bool
    why: str
    source: str
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the person may be called: only when all rules passed. ``version`` is that of the rules of law."""

    allowed: bool
    trace: tuple[Finding, ...]
    version: str

    @property
    def against(self) -> tuple[Finding, ...]:
        """What forbids the call."""
        return tuple(finding for finding in self.trace if not finding.passed)

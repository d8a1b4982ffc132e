"""May this person be called now? One answer, with every rule that was asked, what it said and why.

`may_call` is that answer. The stream asks when it routes a cart, the dialer before it reserves a lead (`forbidden`),
and `ringback explain` shows the trace. What all dialers share (purchases, opt-outs, do-not-call lists, caps, lockouts,
calls in progress) is looked at again by the script that reserves a lead, in the same atomic step.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from dialer.compliance.attempts import Cap, spacings
from dialer.compliance.case import Finding, History, Person, Verdict
from dialer.compliance.consent import consents
from dialer.compliance.destination import Destination, fault
from dialer.compliance.lists import demanded, is_current
from dialer.compliance.places import Place
from dialer.compliance.rules import Rules, rules_of
from ringback.decisions import Lead
from ringback.records import Channel, Consent
from ringback.settings import Settings

__all__ = ["Finding", "History", "Person", "Rule", "Rules", "Verdict", "forbidden", "may_call", "place_of", "rules_of"]


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
_NO_NUMBER = (Destination.NOT_E164, Destination.IMPOSSIBLE)


def may_call(
    person: Person, history: History, now: float, rules: Rules, lists: Mapping[str, float] | None = None
) -> Verdict:
    """Whether a person may be called at a time, and what each rule says about it.

    ``lists`` are the national do-not-call lists by their country, with when each was obtained; None: not known here,
    and looked at when the lead is reserved.

    Nothing is left out once a rule forbids: the trace has them all. Clocks may differ, so ``compliance.clock_skew``
    seconds are taken off at every limit in time.
    """
    trace = (*_findings(person, history, now, rules), _of_list(person, lists, now, rules))
    return Verdict(all(finding.passed for finding in trace), trace, rules.book.version)


def place_of(person: Person, rules: Rules) -> Place | None:
    """Where a person may be; None where not even the country is known."""
    if person.place is not None or person.country is None:
        return person.place
    return rules.place(person.phone, person.country, person.timezone, person.region, person.ip_timezone)


def forbidden(lead: Lead, now: float, settings: Settings) -> Rule | None:
    """The first rule that forbids to call a lead at business time ``now``, or None.

    These are the rules that need nothing but the lead: consent was asked for when it was routed, and what is shared
    state is looked at when it is reserved.
    """
    rules = rules_of(settings)
    if lead.replay and not rules.simulated:
        return Rule.REPLAY
    wrong = fault(lead.phone, lead.country, rules.allowed)
    if wrong:
        return _RULE_OF[wrong]
    if not lead.callable_from <= now < lead.callable_until:
        return Rule.OUTSIDE_HOURS
    if lead.zones and not rules.calendar(Place(lead.jurisdictions, lead.zones)).is_open(now):
        return Rule.OUTSIDE_HOURS
    return None


def _findings(person: Person, history: History, now: float, rules: Rules) -> Iterator[Finding]:
    place = place_of(person, rules)
    codes = place.codes if place else ()
    yield from _of_number(person, rules)
    yield from _of_person(person, codes, history, rules)
    yield from _of_cart(history, now, rules)
    yield from _of_hours(place, now, rules)
    for cap in rules.caps(codes, now):
        yield _of_cap(cap, history, now - rules.settings.clock_skew)
    yield from _of_spacing(codes, history, now - rules.settings.clock_skew, rules)
    yield from _of_campaign(history, rules)


def _stated(rules: Rules, rule_id: str, forbids: bool, otherwise: str, why: str) -> Finding:
    rule = rules.book.stated(rule_id)
    return Finding(rule_id, not forbids, why if forbids else otherwise, rule.source, rule.verified)


def _of_number(person: Person, rules: Rules) -> Iterator[Finding]:
    wrong = fault(person.phone, person.country or "", rules.allowed)
    no_number = wrong in _NO_NUMBER
    yield _stated(rules, "number", no_number, "complete and possible", "no complete and possible number")
    elsewhere = no_number or wrong is Destination.COUNTRY
    allowed = ", ".join(sorted(rules.allowed)) or "nobody"
    why = f"no number of {person.country or 'a known country'}, or that country is not allowed; allowed: {allowed}"
    yield _stated(rules, "destination", elsewhere, f"a number of {person.country}, which is allowed", why)
    special = wrong is Destination.SPECIAL
    why = "a premium, shared-cost, toll-free, personal, pager or satellite number"
    yield _stated(rules, "special_number", special, "none of the special numbers", why)


def _of_person(person: Person, codes: Sequence[str], history: History, rules: Rules) -> Iterator[Finding]:
    jurisdictions = rules.book.of(codes)
    of_consent = [rule for one in jurisdictions for rule in one.consent]
    yield Finding(
        "consent",
        consents(person.consent, Channel.VOICE),
        _why_consent(person.consent),
        "; ".join([rules.book.stated("consent").source, *(rule.source for rule in of_consent)]),
    )
    yield _stated(rules, "opt_out", history.opted_out, "has not opted out", "opted out")
    why = "the number is on the own list"
    yield _stated(rules, "internal_do_not_call", history.do_not_call, "not on the own list", why)
    lists = [rule for one in jurisdictions for rule in one.national_list]
    yield Finding(
        "national_do_not_call",
        not history.national_do_not_call,
        "the number is on a list that was loaded" if history.national_do_not_call else "on no list that was loaded",
        "; ".join(f"{rule.name}: {rule.source}" for rule in lists) or rules.book.stated("national_do_not_call").source,
        all(rule.verified for rule in lists),
    )
    yield _stated(rules, "in_call", history.in_call, "in no call", "the person or the number is in a call")


def _of_list(person: Person, lists: Mapping[str, float] | None, now: float, rules: Rules) -> Finding:
    country = person.country or ""
    rule = demanded(country, rules.settings, rules.book)
    if rule is None:
        elsewhere = country in rules.settings.scrubbed_elsewhere
        why = "compliance.scrubbed_elsewhere: heeded before leads come here" if elsewhere else "the law sets no age"
        return _stated(rules, "national_list_age", forbids=False, otherwise=why, why=why)
    obtained = None if lists is None else lists.get(country)
    if lists is None:
        why = "looked at when the lead is reserved"
    elif not obtained:
        why = f"no list of {country} was loaded"
    else:
        why = f"the list of {country} is of {_utc(obtained)}"
    passed = lists is None or is_current(rule, obtained, now, rules.settings)
    why = f"{why}; at most {rule.max_age_days} days old: ringback do-not-call FILE --national --country {country}"
    return Finding("national_list_age", passed, why, f"{rule.name}: {rule.source}", rule.verified)


def _why_consent(consent: Consent | None) -> str:
    if consent is None or consent.voice is None:
        return "never said anything of calls, and unknown is no"
    if not consent.voice:
        return "said no to calls"
    return f"said yes: {consent.evidence}" if consent.evidence else "said yes, but nothing shows where"


def _of_cart(history: History, now: float, rules: Rules) -> Iterator[Finding]:
    last, bought = history.last_activity, history.bought
    since = bought is not None and (last is None or bought >= last)
    yield _stated(rules, "bought", since, "not bought since the cart was last active", "bought since")
    over = last is None or now >= rules.too_late(last)
    why = (
        "there is no cart" if last is None else f"last active {_span(now - last)} ago, at most {_span(rules.cart_age)}"
    )
    yield _stated(rules, "cart_age", over, why, why)
    most = rules.settings.max_attempts_per_lead
    why = f"{history.about_cart} of {most} calls about this cart were made"
    yield _stated(rules, "cart_attempts", history.about_cart >= most, why, why)
    replayed = history.replay and not rules.simulated
    yield _stated(rules, "replay", replayed, "no replay, or a simulation", "the cart is of a log that is played again")


def _of_hours(place: Place | None, now: float, rules: Rules) -> Iterator[Finding]:
    if place is None or not place.zones:
        yield Finding("hours", False, "it is not known what time it is there", "own rule: unknown is the strictest")
        return
    calendar = rules.calendar(place)
    there = ", ".join(f"{_local(now, zone):%a %Y-%m-%d %H:%M} {zone}" for zone in place.zones)
    if not calendar.openings:
        yield Finding("hours", False, f"no rules for {', '.join(place.codes)}", "own rule: unknown is the strictest")
    for opening in calendar.openings:
        is_open = calendar.is_open_by(opening, now)
        why = f"{'open' if is_open else 'closed'}: {there}"
        yield Finding(opening.id, is_open, why, opening.source, opening.verified)


def _of_cap(cap: Cap, history: History, now: float) -> Finding:
    calls = max(sum(at > now - cap.seconds for at in times) for times in (history.to_number, history.to_person))
    why = f"{calls} of {cap.calls} calls in {_span(cap.seconds)} were made"
    return Finding(cap.id, calls < cap.calls, why, cap.source, cap.verified)


def _of_spacing(codes: Iterable[str], history: History, now: float, rules: Rules) -> Iterator[Finding]:
    for rule in spacings(codes, now, rules.book):
        ended = max((at for at, outcome in history.ended if outcome == rule.after), default=None)
        wait = 0.0 if ended is None else max(0.0, ended + rule.seconds - now)
        why = f"no call ended {rule.after}" if ended is None else f"one ended {rule.after} {_span(now - ended)} ago"
        yield Finding(rule.id, wait <= 0, f"{why}; {_span(wait)} to wait", rule.source, rule.verified)
    until = history.locked_until
    locked = until is not None and now < until
    why = f"the number is locked until {_utc(until)}" if until is not None else ""
    yield _stated(rules, "lockout", locked, "the number is not locked", why)


def _of_campaign(history: History, rules: Rules) -> Iterator[Finding]:
    most = rules.settings.max_calls_per_hour
    why = f"{history.campaign_calls} of {most or 'any number of'} calls in the last hour were made"
    yield _stated(rules, "campaign_rate", 0 < most <= history.campaign_calls, why, why)
    limit = float(rules.settings.max_spend_per_day)
    why = f"{history.campaign_spent:g} of {limit or 'any amount'} were spent in 24 hours"
    yield _stated(rules, "campaign_spend", 0 < limit <= history.campaign_spent, why, why)


def _local(moment: float, zone: str) -> datetime:
    return datetime.fromtimestamp(moment, ZoneInfo(zone))


def _utc(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _span(seconds: float) -> str:
    """Such as 90 s, 30 min, 5 h, 7 days."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= length + length * (unit == "days"):
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"

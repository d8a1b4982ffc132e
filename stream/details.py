"""Who a shopper is and what was agreed to, as far as the shop told: of each, what was said last holds. Pure."""

import msgspec

from ringback.records import Consent, Shopper

NEVER = float("-inf")
_FIELDS = ("name", "phone", "country", "timezone", "region", "ip_timezone")
_CHANNELS = ("voice", "sms", "chat")


class Details(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A shopper's details, and when each was told.

    ``told`` is of name, phone, country and timezone, ``agreed`` of consent to voice, sms and chat, ``placed`` of region
    and ip_timezone.
    """

    shopper: Shopper
    told: tuple[float, float, float, float]
    agreed: tuple[float, float, float]
    # States that were written before these were known end here.
    placed: tuple[float, float] = (NEVER, NEVER)


def told(known: Details | None, shopper: Shopper, at: float) -> Details:
    """The details after an event of the time ``at`` told some. An answer about consent counts from its capture."""
    consent = shopper.consent
    answered = at if consent is None or consent.captured is None else consent.captured
    new = Details(shopper=shopper, told=(at, at, at, at), agreed=(answered, answered, answered), placed=(at, at))
    last = at if known is None else max(*known.told, *known.placed)
    if known is None or (known.shopper == shopper and at >= last and answered >= max(known.agreed)):
        return new
    return united(known, new)


def united(one: Details, other: Details) -> Details:
    """The newer of each detail. At the same time a no holds against a yes, and the larger text against the smaller."""
    fields: dict[str, str | None] = {}
    times: list[float] = []
    for name, first, second in zip(_FIELDS, (*one.told, *one.placed), (*other.told, *other.placed), strict=True):
        mine, theirs = getattr(one.shopper, name), getattr(other.shopper, name)
        if theirs is None or (mine is not None and (first, mine) > (second, theirs)):
            fields[name] = mine
            times.append(first)
        else:
            fields[name] = theirs
            times.append(second)
    consent, agreed = _consent(one, other)
    return Details(
        shopper=Shopper(**fields, consent=consent),
        told=(times[0], times[1], times[2], times[3]),
        agreed=agreed,
        placed=(times[4], times[5]),
    )


def _consent(one: Details, other: Details) -> tuple[Consent | None, tuple[float, float, float]]:
    ours, theirs = one.shopper.consent, other.shopper.consent
    if ours is None or theirs is None:
        return (ours, one.agreed) if theirs is None else (theirs, other.agreed)
    answers: dict[str, bool | None] = {}
    times: list[float] = []
    for name, first, second in zip(_CHANNELS, one.agreed, other.agreed, strict=True):
        mine, their = getattr(ours, name), getattr(theirs, name)
        if their is None or (mine is not None and (first, not mine) > (second, not their)):
            answers[name] = mine
            times.append(first)
        else:
            answers[name] = their
            times.append(second)
    newest = max(ours, theirs, key=lambda consent: (consent.captured or NEVER, consent.evidence or ""))
    consent = Consent(
        voice=answers["voice"],
        sms=answers["sms"],
        chat=answers["chat"],
        evidence=newest.evidence,
        captured=newest.captured,
    )
    return consent, (times[0], times[1], times[2])

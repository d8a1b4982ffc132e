"""Consent: only a recorded yes is one.

Sources: US TCPA, 47 CFR 64.1200(a)(2)-(3) (prior express consent; the safe-harbour message is prerecorded); UK PECR
regulations 19 and 21; Germany UWG section 7(2) no. 1 (prior express consent, documented); Canada CRTC UTR part IV.
"""

from ringback.records import Channel, Consent


def consents(consent: Consent | None, channel: Channel) -> bool:
    """Whether a shopper said yes to this channel. Unknown is no."""
    return consent is not None and consent.to(channel)

"""Consent: only a recorded yes is one, and to calls only one that can be shown.

Sources: US TCPA, 47 CFR 64.1200(a)(2)-(3) (prior express consent; the safe-harbour message is prerecorded); GDPR
article 7(1) (whoever relies on consent must be able to show it); UK PECR regulations 19 and 21; Germany UWG section
7(2) no. 1 and 7a (prior express consent, documented); Canada CRTC UTR part IV.
"""

from ringback.records import Channel, Consent


def consents(consent: Consent | None, channel: Channel) -> bool:
    """Whether a shopper said yes to this channel. Unknown is no, and so is a yes to calls without its evidence."""
    return consent is not None and consent.to(channel) and (channel is not Channel.VOICE or bool(consent.evidence))

"""May this message be sent now? The rules that need nothing but the message. Pure.

Consent was checked when the message was routed, and the local hours are its window. Purchases, opt-outs, do-not-call
lists and the frequency cap are shared state: `outreach.claims` checks them in the step that claims the message.
"""

import re
from enum import StrEnum

from ringback.decisions import Message
from ringback.records import Channel
from ringback.validation import E164

_PHONE = re.compile(E164, re.ASCII)


class Rule(StrEnum):
    """The rule that forbids a message. The window's end is ``expired``: a message that is too early may wait."""

    REPLAY = "replay"
    NOT_E164 = "not_e164"
    NO_MESSAGE_CHANNEL = "no_message_channel"
    TOO_EARLY = "too_early"
    EXPIRED = "expired"


def forbidden(message: Message, now: float, *, simulated: bool) -> Rule | None:
    """The first rule that forbids to send a message at business time ``now``, or None.

    A replay of an old log reaches nobody outside a simulation (``simulated``).
    """
    if message.replay and not simulated:
        return Rule.REPLAY
    if message.channel is Channel.VOICE:
        return Rule.NO_MESSAGE_CHANNEL
    if not _PHONE.fullmatch(message.phone):
        return Rule.NOT_E164
    if not now < message.send_until:
        return Rule.EXPIRED
    if not message.send_from <= now:
        return Rule.TOO_EARLY
    return None

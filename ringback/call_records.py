"""The records of calls that the law has us keep: one when a call has ended, one for each thing said of it later.

US: 16 CFR 310.5 (89 FR 26760), five years. They are personal data: the numbers stand in them, in full.
"""

from ringback.records import Disposition, Outcome, Record


class CallRecord(Record, frozen=True, kw_only=True, tag="call", tag_field="entry"):
    """A call that was placed, or may have been. Times are business time, epoch seconds.

    ``placed`` is when it was begun, ``answered`` and ``connected`` when the shopper and the agent were there;
    ``duration`` is from ``placed`` to ``ended``. ``message`` names the recorded message that was begun, if one was, and
    ``message_played`` says whether the shopper heard all of it: false where it could not be played, or was broken off
    by the shopper, the opt-out key or an agent; None of a call that had none, where nobody knows, and in old records.
    ``consent_evidence`` says where the shopper agreed to calls and ``consent_captured`` when. ``rules`` is the edition
    of the rules of law that were applied, ``do_not_call`` the version of the national list. ``simulated`` marks a call
    that rang nowhere. A dialer that dies while it settles a call leaves a second record of it, ``unknown``, to the next
    one: the first holds.
    """

    call_id: str
    campaign: str
    seller: str
    purpose: str
    calling_number: str
    called_number: str
    country: str
    shopper_id: str
    lead_id: str
    cart_id: str
    placed: float
    answered: float | None = None
    connected: float | None = None
    ended: float
    duration: float
    talk_seconds: float | None = None
    wait_seconds: float | None = None
    outcome: Outcome
    agent: str | None = None
    withdrawn: str | None = None
    message: str | None = None
    message_played: bool | None = None
    consent_evidence: str | None = None
    consent_captured: float | None = None
    rules: str = ""
    do_not_call: str = ""
    simulated: bool = False


class ReportRecord(Record, frozen=True, kw_only=True, tag="report", tag_field="entry"):
    """What an agent, or the shopper by a key (``agent`` is None), said of a call; it adds to its `CallRecord`."""

    call_id: str
    campaign: str
    called_number: str
    shopper_id: str
    lead_id: str
    time: float
    disposition: Disposition
    agent: str | None = None
    callback: float | None = None


CallEntry = CallRecord | ReportRecord

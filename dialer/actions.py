"""What the dialer asks of Asterisk: AMI actions with their headers. Pure; `dialer.ami.Ami.send` sends them.

Every value is checked here: a line break or NUL in one would be another header to Asterisk, a comma another variable.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from dialer.calls import is_call_id
from ringback.decisions import Lead
from ringback.dialer_settings import Amd, DialerSettings

NORMAL_CLEARING = 16

_NUMBER = re.compile(r"\+?([1-9][0-9]{3,14})")
_AGENT = re.compile(r"[0-9][0-9A-Za-z_-]{0,39}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Headers = dict[str, str | int]


class Action(NamedTuple):
    """An AMI action: ``ami.send(name, **headers)``."""

    name: str
    headers: Headers


def originate(call_id: str, lead: Lead, dialer: DialerSettings, channel: str | None = None) -> Headers:
    """The headers of the Originate that calls a lead, through the trunk's ``channel`` (or ``dialer.channel``).

    The call's id is the ActionID, the channel's Uniqueid and its Linkedid. The call enters the dialplan at
    ringback-answered when it is answered; it rings ``dialer.ring_timeout`` seconds at most. Raises `ValueError` where
    the id, the number or a setting can't be sent.
    """
    number = _NUMBER.fullmatch(lead.phone)
    if number is None:
        raise ValueError(f"lead {lead.lead_id}: its phone is no number in E.164 form")
    variables = {"RINGBACK_CALL_ID": _checked_id(call_id)}
    if dialer.amd is not Amd.OFF:
        variables["RINGBACK_AMD"] = dialer.amd.value
    headers: Headers = {
        "ActionID": call_id,
        "ChannelId": call_id,
        "Channel": (channel or dialer.channel).format(number=number[1]),
        "Context": "ringback-answered",
        "Exten": "s",
        "Priority": 1,
        "Async": "true",
        "Timeout": round(dialer.ring_timeout * 1000),
        "Variable": ",".join(f"{name}={value}" for name, value in variables.items()),
    }
    if dialer.caller_id:
        headers["CallerID"] = dialer.caller_id
    _guard(headers)
    return headers


def is_agent_id(text: str) -> bool:
    """Whether a text may be an agent's id: a digit, then digits, letters, - and _, 40 at most."""
    return _AGENT.fullmatch(text) is not None


def connect(call_id: str, agent: str) -> Action:
    """Bridge an answered shopper with an agent's nailed-up leg. Raises `ValueError` for what is no id."""
    if not is_agent_id(agent):
        raise ValueError(f"{agent!r} is no agent's id: a digit, then digits, letters, - and _, 40 at most")
    where: Headers = {"Context": "ringback-connect", "Exten": agent, "Priority": 1}
    return Action("Redirect", {"Channel": _checked_id(call_id), **where})


def hang_up(call_id: str) -> Action:
    """End a call. Raises `ValueError` for what is no id."""
    return Action("Hangup", {"Channel": _checked_id(call_id), "Cause": NORMAL_CLEARING})


def ask_abandoned() -> Action:
    """Which calls were abandoned last: the answer's ``Value`` has their ids, parted by blanks."""
    return Action("Getvar", {"Variable": "RINGBACK_ABANDONED"})


def _checked_id(call_id: str) -> str:
    # "Hangup" takes a pattern between slashes too, and would end every call that matches.
    if not is_call_id(call_id):
        raise ValueError(f"{call_id!r} is no call id: 32 hex digits")
    return call_id


def _guard(headers: Mapping[str, str | int]) -> None:
    for name, value in headers.items():
        if _CONTROL.search(str(value)):
            raise ValueError(f"AMI header {name}: a line break or other control character would be a header of its own")

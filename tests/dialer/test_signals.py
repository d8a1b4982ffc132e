import pytest
from panoramisk.message import Message

from dialer import calls
from dialer.signals import OfAgent, OfCall, OptedOut, Present, Reported, present, read

CHANNEL = {"Event": "CoreShowChannel", "ChannelStateDesc": "Up"}


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "answered", "CallID": "c", "Timestamp": "5.25"},
         OfCall("c", calls.Answered(5.25))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "answered", "CallID": "c", "Amd": ""},
         OfCall("c", calls.Answered(9.0))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "answered", "CallID": "c", "Amd": "on"},
         OfCall("c", calls.Answered(9.0, amd=True))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "amd", "CallID": "c", "Status": "MACHINE",
          "Cause": "LONGGREETING-1500-1500", "Dropped": "1", "Timestamp": "inf"},
         OfCall("c", calls.AmdVerdict("MACHINE", "LONGGREETING-1500-1500", 9.0, dropped=True))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "opted-out", "CallID": "c"}, OptedOut("c")),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "connected", "CallID": "c", "Agent": "7"},
         OfCall("c", calls.Connected("7", 9.0))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "abandoned", "CallID": "c", "Timestamp": "x"},
         OfCall("c", calls.Abandoned(9.0))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "safe-harbour-played", "CallID": "c"}, None),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "safe-harbour-played", "CallID": "c",
          "Status": "SUCCESS"}, OfCall("c", calls.MessageOver(played=True))),
        ({"Event": "UserEvent", "UserEvent": "Ringback", "Stage": "safe-harbour-played", "CallID": "c",
          "Status": "FAILED"}, OfCall("c", calls.MessageOver(played=False))),
        ({"Event": "UserEvent", "UserEvent": "RingbackAgent", "Agent": "7", "State": "ready"}, OfAgent("7", "ready")),
        ({"Event": "UserEvent", "UserEvent": "RingbackAgent", "Agent": "7", "State": "asleep"}, None),
        ({"Event": "UserEvent", "UserEvent": "RingbackDisposition", "Agent": "7", "CallID": "c", "Disposition": "sale"},
         Reported("c", "7", "sale")),
        ({"Event": "DialState", "DialStatus": "RINGING", "DestUniqueid": "c"}, OfCall("c", calls.Ringing())),
        ({"Event": "DialState", "DialStatus": "PROGRESS", "DestUniqueid": "c"}, OfCall("c", calls.Ringing())),
        ({"Event": "DialState", "DialStatus": "PROCEEDING", "DestUniqueid": "c"}, None),
        ({"Event": "OriginateResponse", "Response": "Success", "Reason": "4", "ActionID": "c"},
         OfCall("c", calls.Originated())),
        ({"Event": "OriginateResponse", "Response": "Failure", "Reason": "5", "ActionID": "c", "Uniqueid": "<null>"},
         OfCall("c", calls.OriginateFailed(5))),
        ({"Event": "Hangup", "Uniqueid": "c", "Cause": "17", "ChannelStateDesc": "Down", "TechCause": "486"},
         OfCall("c", calls.Hangup(17, "Down", 9.0, "486"))),
        ({"Event": "Hangup", "Uniqueid": "c", "Cause": "-"}, OfCall("c", calls.Hangup(0, "", 9.0))),
        ({"Event": "FullyBooted"}, None),
        ({"Response": "Success"}, None),
    ],
)  # fmt: skip
def test_what_messages_mean(message: dict[str, str], meaning: object) -> None:
    assert read(Message(message), 9.0) == meaning


def test_what_lives_in_asterisk() -> None:
    channels = [
        {**CHANNEL, "Uniqueid": "rings", "Context": "ringback-answered", "ChannelStateDesc": "Down"},
        {**CHANNEL, "Uniqueid": "rings;2", "Context": "shoppers"},
        {**CHANNEL, "Uniqueid": "waits", "Context": "ringback-answered", "Application": "Wait"},
        {**CHANNEL, "Uniqueid": "abandoned", "Context": "ringback-safe-harbour", "Application": "Playback"},
        {**CHANNEL, "Uniqueid": "heard", "Context": "ringback-amd", "Application": "AMD"},
        {**CHANNEL, "Uniqueid": "talks", "Context": "ringback-connect", "Exten": "7", "Application": "Bridge"},
        {**CHANNEL, "Uniqueid": "x", "Context": "ringback-agent", "Exten": "7", "Application": "BridgeWait"},
        {**CHANNEL, "Uniqueid": "y", "Context": "ringback-agent", "Exten": "8", "Application": "Goto"},
        {**CHANNEL, "Uniqueid": "z", "Context": "ringback-agent", "Exten": "9", "Application": "Hangup"},
        {**CHANNEL, "Uniqueid": "somebody else's", "Context": "ringback-connect", "Exten": "8"},
    ]  # fmt: skip
    ours = ["rings", "waits", "heard", "abandoned", "talks", "not there"]
    assert present([Message(channel) for channel in channels], ours) == Present(
        agents=frozenset({"7", "8"}),
        calls={
            "rings": calls.State.ORIGINATING,
            "waits": calls.State.ANSWERED,
            "heard": calls.State.ANSWERED,
            "abandoned": calls.State.ABANDONED,
            "talks": calls.State.CONNECTED,
        },
        talking={"7": "talks"},
    )

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer import actions
from dialer.calls import new_call_id
from ringback.dialer_settings import Amd, DialerSettings
from tests.dialer.leads import lead

CALL = "0123456789abcdef0123456789abcdef"
SETTINGS = DialerSettings(channel="PJSIP/+{number}@trunk", caller_id="+12025550100", ring_timeout=20.0)


def test_an_originate_names_its_call_everywhere() -> None:
    assert actions.originate(CALL, lead(phone="+12125550142"), SETTINGS) == {
        "ActionID": CALL,
        "ChannelId": CALL,
        "Channel": "PJSIP/+12125550142@trunk",
        "Context": "ringback-answered",
        "Exten": "s",
        "Priority": 1,
        "Async": "true",
        "Timeout": 20_000,
        "Variable": f"RINGBACK_CALL_ID={CALL}",
        "CallerID": "+12025550100",
    }


def test_a_trunk_has_its_own_channel_and_a_caller_id_may_be_left_to_it() -> None:
    headers = actions.originate(CALL, lead(phone="+442079460123"), DialerSettings(), "PJSIP/{number}@second")
    assert headers["Channel"] == "PJSIP/442079460123@second"
    assert "CallerID" not in headers


@pytest.mark.parametrize(("amd", "asked"), [(Amd.OFF, ""), (Amd.ON, "on"), (Amd.AGENT_HEARS, "agent_hears")])
def test_the_dialplan_is_told_whether_to_listen_for_machines(amd: Amd, asked: str) -> None:
    variable = actions.originate(CALL, lead(), DialerSettings(amd=amd))["Variable"]
    assert variable == f"RINGBACK_CALL_ID={CALL}" + (f",RINGBACK_AMD={asked}" if asked else "")


def test_a_shopper_is_sent_to_an_agent_and_hung_up_by_the_calls_id() -> None:
    where = {"Channel": CALL, "Context": "ringback-connect", "Exten": "2001", "Priority": 1}
    assert actions.connect(CALL, "2001") == ("Redirect", where)
    assert actions.hang_up(CALL) == ("Hangup", {"Channel": CALL, "Cause": 16})


@pytest.mark.parametrize(
    "phone", ["", "+", "911", "+1212555014a", "+12125550142\r\nApplication: System", "+0123456789"]
)
def test_what_is_no_number_is_not_dialled(phone: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164"):
        actions.originate(CALL, lead(phone=phone, phone_ref="x"), SETTINGS)


@pytest.mark.parametrize("caller_id", ["1\r\nApplication: System", "1\n", "1\0"])
def test_a_setting_smuggles_no_header_in(caller_id: str) -> None:
    with pytest.raises(ValueError, match="CallerID"):
        actions.originate(CALL, lead(), DialerSettings(caller_id=caller_id))


@given(st.text() | st.from_regex(r"\A[0-9a-f]{31,33}\n?\Z") | st.just(CALL.upper()) | st.just("/.*/"))
def test_only_ids_of_one_length_name_a_call(text: str) -> None:
    if len(text) == 32 and set(text) <= set("0123456789abcdef"):
        assert actions.hang_up(text).headers["Channel"] == text
    else:
        builders: list[Callable[[], object]] = [lambda: actions.hang_up(text), lambda: actions.connect(text, "2001")]
        for build in builders:
            with pytest.raises(ValueError, match="call id"):
                build()


@given(st.text())
def test_an_agents_id_is_an_extension_and_nothing_else(agent: str) -> None:
    try:
        exten = actions.connect(new_call_id(), agent).headers["Exten"]
    except ValueError:
        return
    assert exten == agent
    assert agent[0] in "0123456789"
    assert all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in agent)

import pytest

from outreach.rules import Rule, forbidden
from ringback.records import Channel
from tests.outreach.messages import NOON, message


@pytest.mark.parametrize(
    ("at", "rule"),
    [(NOON - 0.001, Rule.TOO_EARLY), (NOON, None), (NOON + 3599.999, None), (NOON + 3600, Rule.EXPIRED)],
)
def test_a_message_is_sent_within_its_window(at: float, rule: Rule | None) -> None:
    assert forbidden(message(), at, simulated=False) is rule


def test_nothing_is_sent_when_a_time_is_no_number() -> None:
    nan = float("nan")
    assert forbidden(message(), nan, simulated=False) is Rule.EXPIRED
    assert forbidden(message(send_until=nan), NOON, simulated=False) is Rule.EXPIRED
    assert forbidden(message(send_from=nan), NOON, simulated=False) is Rule.TOO_EARLY


def test_a_replay_reaches_nobody_outside_a_simulation() -> None:
    assert forbidden(message(replay=True), NOON, simulated=False) is Rule.REPLAY
    assert forbidden(message(replay=True), NOON, simulated=True) is None


def test_only_messages_are_sent_and_only_to_e164_numbers() -> None:
    assert forbidden(message(channel=Channel.VOICE), NOON, simulated=False) is Rule.NO_MESSAGE_CHANNEL
    for phone in ("2125550100", "+", "+0125550100", "+1212555010x", "+12125550100\n"):
        assert forbidden(message(phone=phone), NOON, simulated=False) is Rule.NOT_E164

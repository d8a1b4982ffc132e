from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls import (
    Abandoned,
    AmdVerdict,
    Answered,
    Call,
    Connected,
    Effect,
    GraceOver,
    Hangup,
    Lost,
    MessageOver,
    Missed,
    NobodyLeft,
    Originated,
    OriginateFailed,
    Ringing,
    Signal,
    State,
    Withdrawn,
    is_call_id,
    new_call_id,
    step,
)
from ringback.records import Outcome


def play(*signals: Signal) -> tuple[Call, list[Effect]]:
    call, effects = Call("call-1"), []
    for signal in signals:
        call, more = step(call, signal)
        effects += more
    return call, effects


def hangup(cause: int, state: str = "Ringing", at: float = 20.0) -> Hangup:
    return Hangup(cause, state, at)


@pytest.mark.parametrize(
    ("reason", "cause", "state", "outcome"),
    [
        (3, 19, "Ringing", Outcome.NO_ANSWER),
        (3, 19, "Down", Outcome.FAILED),
        (0, 17, "Down", Outcome.BUSY),
        (5, 0, "Ringing", Outcome.BUSY),
        (0, 34, "Down", Outcome.CONGESTION),
        (8, 0, "Ringing", Outcome.CONGESTION),
        (0, 1, "Down", Outcome.INVALID),
        (0, 28, "Down", Outcome.INVALID),
        (0, 19, "Down", Outcome.NO_ANSWER),
        (0, 18, "Down", Outcome.NO_ANSWER),
        (0, 20, "Down", Outcome.NO_ANSWER),
        (0, 21, "Ringing", Outcome.DECLINED),
        (0, 3, "Down", Outcome.FAILED),
        (0, 27, "Down", Outcome.FAILED),
        (0, 38, "Down", Outcome.CONGESTION),
        (0, 999, "Down", Outcome.FAILED),
    ],
)
def test_how_a_call_that_nobody_answers_ends(reason: int, cause: int, state: str, outcome: Outcome) -> None:
    messages: list[Signal] = [OriginateFailed(reason), hangup(cause, state)]
    for order in permutations(messages):
        call, effects = play(*order)
        assert call.outcome is outcome
        assert effects == [Effect.AWAIT_REST, Effect.END]


@pytest.mark.parametrize(
    ("reason", "outcome"), [(0, Outcome.FAILED), (3, Outcome.FAILED), (5, Outcome.BUSY), (8, Outcome.CONGESTION)]
)
def test_without_a_channel_no_hangup_follows(reason: int, outcome: Outcome) -> None:
    assert play(OriginateFailed(reason), GraceOver())[0].outcome is outcome


def test_without_a_response_the_hangup_decides() -> None:
    assert play(hangup(17), GraceOver())[0].outcome is Outcome.BUSY
    assert play(hangup(19, "Ringing"), GraceOver())[0].outcome is Outcome.NO_ANSWER
    assert play(hangup(19, "Down"), GraceOver())[0].outcome is Outcome.FAILED


def test_a_refused_originate_fails_at_once() -> None:
    assert play(OriginateFailed(None, refused=True))[0].outcome is Outcome.FAILED


def test_a_talk() -> None:
    messages: list[Signal] = [Originated(), Answered(10.0)]
    for answer in permutations(messages):
        call, effects = play(*answer, Connected("7", 10.5), hangup(16, "Up", at=70.5))
        assert effects == [Effect.FIND_AGENT, Effect.TELL_CONNECTED, Effect.END]
        assert (call.outcome, call.agent, call.wait_seconds, call.talk_seconds) == (Outcome.CONNECTED, "7", 0.5, 60.0)


def test_a_shopper_who_comes_back_to_the_agent_was_connected_before() -> None:
    """Asterisk says it again when another dialer sends them on."""
    call, effects = play(Answered(10.0), Connected("7", 10.5), Connected("7", 11.0), hangup(16, "Up", 70.5))
    assert effects.count(Effect.TELL_CONNECTED) == 1
    assert (call.agent, call.talk_seconds) == ("7", 60.0)


def test_hung_up_before_an_agent_came() -> None:
    assert play(Answered(10.0), hangup(16, "Up"))[0].outcome is Outcome.HUNG_UP
    assert play(Originated(), hangup(16, "Up"))[0].outcome is Outcome.HUNG_UP
    assert play(hangup(16, "Up"), Originated())[0].outcome is Outcome.HUNG_UP


def test_abandoned() -> None:
    call, effects = play(Originated(), Answered(10.0), Abandoned(11.8), hangup(16, "Up"))
    assert call.outcome is Outcome.ABANDONED
    assert effects == [Effect.FIND_AGENT, Effect.TELL_ABANDONED, Effect.END]


LEAVES = hangup(16, "Up")


@pytest.mark.parametrize(
    ("signals", "begun", "played"),
    [
        ((Answered(10.0), Abandoned(11.8), MessageOver(played=True), LEAVES), True, True),
        ((Answered(10.0), Abandoned(11.8), LEAVES), True, False),
        ((Answered(10.0), Abandoned(11.8), MessageOver(played=False), LEAVES), False, False),
        ((Answered(10.0), Abandoned(11.8), Connected("7", 12.5), LEAVES), True, False),
        # The dialer was not there, and comes back before or after the end.
        ((Answered(10.0), Abandoned(11.8), Missed(), LEAVES), True, None),
        ((Abandoned(20.0), Missed(), MessageOver(played=True), LEAVES), True, True),
        ((Abandoned(11.8), MessageOver(played=True), Missed(), LEAVES), True, True),
        ((Answered(10.0), Abandoned(11.8), Lost()), True, None),
        ((Missed(), MessageOver(played=True), LEAVES), True, True),
        # No message.
        ((Answered(10.0), Connected("7", 10.5), LEAVES), False, None),
        ((Answered(10.0), LEAVES), False, None),
        ((Lost(),), False, None),
    ],
)
def test_what_was_heard_of_the_message(signals: tuple[Signal, ...], begun: bool, played: bool | None) -> None:
    call, _ = play(*signals)
    assert call.state is State.ENDED
    assert (call.message_begun, call.message_played) == (begun, played)
    assert begun is False or call.outcome is Outcome.ABANDONED


def test_past_the_deadline_a_call_stays_abandoned() -> None:
    call, _ = play(Answered(10.0), Abandoned(11.8), Connected("7", 12.5), hangup(16, "Up"))
    assert (call.outcome, call.agent) == (Outcome.ABANDONED, "7")


def test_a_withdrawn_call_is_hung_up_only_while_it_rings() -> None:
    call, effects = play(Withdrawn("bought"), Withdrawn("bought"), OriginateFailed(0), hangup(16, "Down"))
    assert effects == [Effect.TELL_WITHDRAWN, Effect.HANG_UP, Effect.AWAIT_REST, Effect.END]
    # It was cut off before it rang: that says nothing, of the shopper or of the trunk.
    assert (call.outcome, call.withdrawn) == (Outcome.UNKNOWN, "bought")
    assert play(Withdrawn("bought"), OriginateFailed(0), hangup(16))[0].outcome is Outcome.NO_ANSWER
    assert play(Answered(1.0), Withdrawn("bought"))[1] == [Effect.FIND_AGENT]


def test_without_agents_a_call_is_hung_up_and_it_is_told_whether_it_rang() -> None:
    call, effects = play(NobodyLeft(), NobodyLeft(), Withdrawn("bought"), OriginateFailed(0), hangup(16))
    assert effects == [Effect.HANG_UP, Effect.TELL_WITHDRAWN, Effect.AWAIT_REST, Effect.END]
    assert call.outcome is Outcome.NO_ANSWER
    assert play(Ringing(), NobodyLeft(), OriginateFailed(0), hangup(16, "Down"))[0].outcome is Outcome.NO_ANSWER
    assert play(NobodyLeft(), OriginateFailed(0), hangup(16, "Down"))[0].outcome is Outcome.FAILED
    assert play(Answered(1.0), NobodyLeft())[1] == [Effect.FIND_AGENT]


@pytest.mark.parametrize(
    ("cause", "sip", "outcome"),
    [
        (21, "401", Outcome.FAILED),
        (21, "403", Outcome.FAILED),
        (21, "407", Outcome.FAILED),
        (21, "603", Outcome.DECLINED),
        (127, "607", Outcome.DECLINED),
        (127, "608", Outcome.DECLINED),
        (1, "404", Outcome.INVALID),
        (127, "484", Outcome.INVALID),
        (17, "486", Outcome.BUSY),
        (127, "600", Outcome.BUSY),
        (18, "408", Outcome.NO_ANSWER),
        (19, "480", Outcome.NO_ANSWER),
        (34, "503", Outcome.CONGESTION),
        (127, "504", Outcome.CONGESTION),
        (38, "500", Outcome.CONGESTION),
        (34, "no number", Outcome.CONGESTION),
        (34, "\u0664\u0660\u0663", Outcome.CONGESTION),
    ],
)
def test_the_sip_answer_where_the_cause_says_too_little(cause: int, sip: str, outcome: Outcome) -> None:
    assert play(OriginateFailed(0), Hangup(cause, "Down", 1.0, sip))[0].outcome is outcome


@given(st.permutations([OriginateFailed(3), Hangup(19, "Down", 25.0, "480")]), st.integers(1, 2), st.booleans())
def test_a_dead_trunk_is_never_booked_as_no_answer(messages: list[Signal], heard: int, given_up: bool) -> None:
    told: list[Signal] = [NobodyLeft()] if given_up else []
    assert play(*told, *messages[:heard], GraceOver())[0].outcome is Outcome.FAILED


def test_a_trunk_that_plays_its_own_ringing_is_not_dead() -> None:
    # Early media (SIP 183) leaves the channel Down.
    assert play(Ringing(), OriginateFailed(3), hangup(19, "Down"))[0].outcome is Outcome.NO_ANSWER


def test_call_ids_are_of_one_form() -> None:
    assert len({new_call_id() for _ in range(100)}) == 100
    assert is_call_id(new_call_id())
    for wrong in ("", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "a" * 31 + "\n", "\u0661" * 32):
        assert not is_call_id(wrong)


def test_a_lost_call_has_an_unknown_outcome() -> None:
    assert play(Answered(10.0), Connected("7", 10.1), Lost())[0].outcome is Outcome.UNKNOWN


def test_grace_means_nothing_to_a_call_that_goes_on() -> None:
    assert play(GraceOver())[0].state is State.ORIGINATING
    assert play(hangup(16), Answered(1.0))[0].state is State.ANSWERED
    assert play(OriginateFailed(0), Answered(1.0), GraceOver())[0].state is State.ANSWERED


SIGNALS = st.one_of(
    st.just(Originated()),
    st.builds(OriginateFailed, st.none() | st.integers(0, 10), st.booleans()),
    st.builds(Answered, st.floats(0, 100), st.booleans()),
    st.builds(AmdVerdict, st.just("HUMAN"), st.just(""), st.floats(0, 100), st.booleans()),
    st.builds(Connected, st.sampled_from("12"), st.floats(0, 100)),
    st.builds(Abandoned, st.floats(0, 100)),
    st.builds(MessageOver, st.booleans()),
    st.just(Missed()),
    st.builds(Hangup, st.integers(0, 127), st.sampled_from(["Up", "Down", "Ringing"]), st.floats(0, 100)),
    st.builds(Withdrawn, st.just("bought")),
    st.just(NobodyLeft()),
    st.just(Ringing()),
    st.just(GraceOver()),
    st.just(Lost()),
)


@given(st.lists(SIGNALS, max_size=12))
def test_in_any_order_a_call_ends_once_and_with_an_outcome(signals: list[Signal]) -> None:
    call, effects = play(*signals)
    assert effects.count(Effect.END) == (call.state is State.ENDED) == (call.outcome is not None)
    assert Effect.END not in effects[:-1]
    told = (Effect.TELL_CONNECTED, Effect.TELL_ABANDONED, Effect.TELL_WITHDRAWN)
    for once in (Effect.FIND_AGENT, Effect.HANG_UP, *told):
        assert effects.count(once) <= 1
    if call.missed and MessageOver(played=False) not in signals:
        assert call.message_played is not False
    if call.message_played:
        assert MessageOver(played=True) in signals
    assert (call.talk_seconds or 0) >= 0
    assert (call.wait_seconds or 0) >= 0


@given(st.lists(SIGNALS, max_size=8), st.integers(0, 127))
def test_a_hangup_ends_every_call(signals: list[Signal], cause: int) -> None:
    call, _ = play(*signals, Hangup(cause, "Up", 100.0), GraceOver())
    assert call.state is State.ENDED


FATES: dict[Outcome, list[Signal]] = {
    Outcome.CONNECTED: [Ringing(), Originated(), Answered(10.0), Connected("7", 10.5), hangup(16, "Up", 70.0)],
    Outcome.ABANDONED: [Ringing(), Originated(), Answered(10.0), Abandoned(11.8), hangup(16, "Up", 20.0)],
    Outcome.HUNG_UP: [Ringing(), Originated(), Answered(10.0), hangup(16, "Up", 11.0)],
    Outcome.BUSY: [Ringing(), OriginateFailed(0), hangup(17)],
    Outcome.NO_ANSWER: [Ringing(), OriginateFailed(3), hangup(19)],
    Outcome.DECLINED: [Ringing(), OriginateFailed(0), hangup(21)],
    Outcome.CONGESTION: [OriginateFailed(0), hangup(34, "Down")],
    Outcome.INVALID: [OriginateFailed(0), hangup(1, "Down")],
    Outcome.FAILED: [OriginateFailed(3), hangup(19, "Down")],
}


@given(st.sampled_from(list(FATES)), st.data())
def test_late_and_repeated_messages_change_no_outcome(fate: Outcome, data: st.DataObject) -> None:
    """The OriginateResponse comes at any time; anything comes twice. Of one channel the order is Asterisk's."""
    response, *rest = sorted(FATES[fate], key=lambda one: not isinstance(one, Originated | OriginateFailed))
    messages = list(rest)
    messages.insert(data.draw(st.integers(0, len(rest))), response)
    for again in data.draw(st.lists(st.sampled_from(messages), max_size=4)):
        messages.insert(data.draw(st.integers(messages.index(again), len(messages))), again)
    assert play(*messages, GraceOver())[0].outcome is fate


@given(st.sampled_from(list(FATES)), st.data())
def test_whatever_is_lost_no_call_is_booked_as_what_it_was_not(fate: Outcome, data: st.DataObject) -> None:
    """Then a look at Asterisk ends it: as unknown, or as what the rest of the messages said."""
    kept = [one for one in FATES[fate] if data.draw(st.booleans())]
    outcome = play(*kept, GraceOver(), Lost())[0].outcome
    answered = {Outcome.CONNECTED, Outcome.ABANDONED, Outcome.HUNG_UP}
    allowed = answered | {Outcome.FAILED} if fate in answered else {fate, Outcome.FAILED, Outcome.CONGESTION}
    assert outcome in {fate, Outcome.UNKNOWN} | allowed
    if fate in {Outcome.FAILED, Outcome.CONGESTION, Outcome.INVALID}:
        assert outcome not in {Outcome.NO_ANSWER, Outcome.CONNECTED}

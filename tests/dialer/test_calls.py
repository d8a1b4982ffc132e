from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls import (
    Abandoned,
    Answered,
    Call,
    Connected,
    Effect,
    GraceOver,
    Hangup,
    Lost,
    Originated,
    OriginateFailed,
    Signal,
    State,
    Withdrawn,
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


def test_hung_up_before_an_agent_came() -> None:
    assert play(Answered(10.0), hangup(16, "Up"))[0].outcome is Outcome.HUNG_UP
    assert play(Originated(), hangup(16, "Up"))[0].outcome is Outcome.HUNG_UP
    assert play(hangup(16, "Up"), Originated())[0].outcome is Outcome.HUNG_UP


def test_abandoned() -> None:
    call, effects = play(Originated(), Answered(10.0), Abandoned(11.8), hangup(16, "Up"))
    assert call.outcome is Outcome.ABANDONED
    assert effects == [Effect.FIND_AGENT, Effect.TELL_ABANDONED, Effect.END]


def test_past_the_deadline_a_call_stays_abandoned() -> None:
    call, _ = play(Answered(10.0), Abandoned(11.8), Connected("7", 12.5), hangup(16, "Up"))
    assert (call.outcome, call.agent) == (Outcome.ABANDONED, "7")


def test_a_withdrawn_call_is_hung_up_only_while_it_rings() -> None:
    call, effects = play(Withdrawn("bought"), Withdrawn("bought"), OriginateFailed(0), hangup(16, "Down"))
    assert effects == [Effect.HANG_UP, Effect.AWAIT_REST, Effect.END]
    assert (call.outcome, call.withdrawn) == (Outcome.NO_ANSWER, "bought")
    assert play(Answered(1.0), Withdrawn("bought"))[1] == [Effect.FIND_AGENT]


def test_a_lost_call_has_an_unknown_outcome() -> None:
    assert play(Answered(10.0), Connected("7", 10.1), Lost())[0].outcome is Outcome.UNKNOWN


def test_grace_means_nothing_to_a_call_that_goes_on() -> None:
    assert play(GraceOver())[0].state is State.ORIGINATING
    assert play(hangup(16), Answered(1.0))[0].state is State.ANSWERED
    assert play(OriginateFailed(0), Answered(1.0), GraceOver())[0].state is State.ANSWERED


SIGNALS = st.one_of(
    st.just(Originated()),
    st.builds(OriginateFailed, st.none() | st.integers(0, 10), st.booleans()),
    st.builds(Answered, st.floats(0, 100)),
    st.builds(Connected, st.sampled_from("12"), st.floats(0, 100)),
    st.builds(Abandoned, st.floats(0, 100)),
    st.builds(Hangup, st.integers(0, 127), st.sampled_from(["Up", "Down", "Ringing"]), st.floats(0, 100)),
    st.builds(Withdrawn, st.just("bought")),
    st.just(GraceOver()),
    st.just(Lost()),
)


@given(st.lists(SIGNALS, max_size=12))
def test_in_any_order_a_call_ends_once_and_with_an_outcome(signals: list[Signal]) -> None:
    call, effects = play(*signals)
    assert effects.count(Effect.END) == (call.state is State.ENDED) == (call.outcome is not None)
    assert Effect.END not in effects[:-1]
    for once in (Effect.FIND_AGENT, Effect.TELL_CONNECTED, Effect.TELL_ABANDONED, Effect.HANG_UP):
        assert effects.count(once) <= 1
    assert (call.talk_seconds or 0) >= 0
    assert (call.wait_seconds or 0) >= 0


@given(st.lists(SIGNALS, max_size=8), st.integers(0, 127))
def test_a_hangup_ends_every_call(signals: list[Signal], cause: int) -> None:
    call, _ = play(*signals, Hangup(cause, "Up", 100.0), GraceOver())
    assert call.state is State.ENDED

"""Answering-machine detection: who is connected, who is dropped, and what is counted as what."""

import pytest

from dialer.calls import (
    Abandoned,
    AmdVerdict,
    Answered,
    Call,
    Connected,
    Effect,
    Hangup,
    Lost,
    Originated,
    Signal,
    State,
    step,
)
from ringback.records import Outcome

HUNG_UP = Hangup(16, "Up", 20.0)
DROPPED = AmdVerdict("MACHINE", "LONGGREETING-1800-1800", 12.0, dropped=True)


def play(*signals: Signal) -> tuple[Call, list[Effect]]:
    call, effects = Call("c"), list[Effect]()
    for signal in signals:
        call, effects = step(call, signal)
    return call, effects


def test_without_detection_the_answer_is_enough() -> None:
    assert play(Answered(10.0))[1] == [Effect.FIND_AGENT]


def test_an_agent_is_sought_when_the_verdict_is_there_and_once() -> None:
    verdict = AmdVerdict("HUMAN", "HUMAN-600-600", 11.2)
    assert play(Answered(10.0, amd=True))[1] == []
    assert play(Answered(10.0, amd=True), verdict)[1] == [Effect.FIND_AGENT]
    assert play(Answered(10.0, amd=True), verdict, verdict)[1] == []


def test_a_machine_that_an_agent_shall_hear_is_connected() -> None:
    call, effects = play(Answered(10.0, amd=True), AmdVerdict("MACHINE", "MAXWORDS-6-5", 12.0))
    assert effects == [Effect.FIND_AGENT]
    assert call.amd is not None


@pytest.mark.parametrize("first", [(Originated(), Answered(10.0, amd=True)), (Answered(10.0, amd=True), Originated())])
def test_a_dropped_machine_has_an_outcome_of_its_own(first: tuple[Signal, Signal]) -> None:
    call, effects = play(*first, DROPPED, HUNG_UP)
    assert (call.outcome, effects) == (Outcome.MACHINE, [Effect.END])


def test_who_leaves_during_the_detection_hung_up() -> None:
    assert play(Answered(10.0, amd=True), HUNG_UP)[0].outcome is Outcome.HUNG_UP


def test_a_verdict_that_comes_too_late_changes_nothing() -> None:
    talks = play(Answered(10.0), Connected("7", 10.1), DROPPED)
    assert (talks[0].state, talks[1]) == (State.CONNECTED, [])


def test_an_agent_whose_leg_went_before_the_bridge_makes_an_abandoned_call() -> None:
    call, effects = play(Answered(10.0), Connected("7", 10.1), Abandoned(10.1))
    assert (call.state, effects) == (State.ABANDONED, [Effect.TELL_ABANDONED])


def test_a_missed_end_does_not_hide_an_abandoned_call() -> None:
    assert play(Abandoned(10.0), Lost())[0].outcome is Outcome.ABANDONED
    assert play(Answered(10.0), Lost())[0].outcome is Outcome.UNKNOWN

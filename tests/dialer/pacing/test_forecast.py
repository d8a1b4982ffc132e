import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing import Floor, Kind
from dialer.pacing.forecast import Forecast, Outlook

RATES = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5)


def outlook(spare: list[float], variance: list[float], answer: list[float]) -> Outlook:
    return Outlook(np.array(spare), np.array(variance), np.array(answer))


@given(st.data())
def test_lines_are_as_many_as_the_rule_allows_and_no_more(data: st.DataObject) -> None:
    answer = sorted(data.draw(RATES))
    spare = [data.draw(st.floats(-20, 60)) for _ in answer]
    variance = [data.draw(st.floats(0, 40)) for _ in answer]
    z = data.draw(st.floats(-4, 0.5))

    def holds(calls: int, slack: float) -> bool:
        return all(
            calls * f <= s + z * math.sqrt(v + calls * f * (1 - f)) + slack
            for s, v, f in zip(spare, variance, answer, strict=True)
        )

    lines = outlook(spare, variance, answer).lines(z)
    assert lines == 0 or holds(lines, 1e-6)
    assert not holds(lines + 1, -1e-6)


def taught(answered: int = 4) -> Forecast:
    forecast = Forecast(hold_seconds=2.0)
    forecast.outlook(0.0, Floor(0, (), (), 0, 0))
    for call in range(4000):
        human = call % answered == 0
        forecast.resolved(Kind.HUMAN if human else Kind.NO_ANSWER, 10.0 if human else 20.0)
        if human:
            forecast.outlook(call / 4, Floor(0, [("talking", 60.0)], (), 0, 0))
            forecast.talk_ended(-150.0 * math.log(1 - (call % 100 + 0.5) / 100))
            forecast.wrap_up_ended(15.0)
    return forecast


def test_knows_enough_after_some_calls_answers_and_conversations() -> None:
    assert not Forecast(hold_seconds=2.0).knows_enough
    assert taught().knows_enough


def test_a_call_that_has_just_begun_is_answered_as_often_as_the_campaign_and_one_past_its_time_never() -> None:
    forecast = taught()
    nobody = forecast.outlook(2000.0, Floor(0, (), (), 0, 9))
    begun = forecast.outlook(2000.0, Floor(0, (), [0.0], 0, 9))
    late = forecast.outlook(2000.0, Floor(0, (), [15.0], 0, 9))
    assert begun.spare[-1] - nobody.spare[-1] == pytest.approx(-0.25, abs=0.02)
    assert late.spare[-1] - nobody.spare[-1] == pytest.approx(0.0, abs=0.02)
    assert nobody.answer[-1] == pytest.approx(0.25, abs=0.02)


def test_an_agent_is_free_when_wrap_up_is_over_and_a_shopper_can_wait_for_that() -> None:
    forecast = taught()
    soon = forecast.outlook(2000.0, Floor(0, [("wrap_up", 14.0)], (), 0, 9))
    assert soon.spare.min() > 0.9
    assert soon.variance.max() < 0.1
    nobody = forecast.outlook(2000.0, Floor(0, (), (), 0, 9))
    assert nobody.spare.max() == 0.0


def test_without_wrap_up_an_agent_is_free_when_the_talk_ends() -> None:
    forecast = Forecast(hold_seconds=2.0)
    forecast.outlook(0.0, Floor(0, (), (), 0, 0))
    for _ in range(200):
        forecast.talk_ended(60.0)
    seen = forecast.outlook(9.0, Floor(0, [("talking", 60.0)], (), 0, 9))
    assert seen.spare[-1] > 0.9


def test_idle_agents_and_waiting_shoppers_count_at_once() -> None:
    forecast = taught()
    assert np.all(forecast.outlook(2000.0, Floor(5, (), (), 2, 9)).spare == 3.0)


def test_a_trunk_that_fails_says_nothing_of_who_would_answer() -> None:
    forecast = taught()
    before = forecast.outlook(2000.0, Floor(0, (), (), 0, 9)).answer[-1]
    for _ in range(1000):
        forecast.resolved(Kind.FAILED, 2.0)
    after = forecast.outlook(2010.0, Floor(0, (), (), 0, 9)).answer[-1]
    assert after == pytest.approx(before, rel=0.05)

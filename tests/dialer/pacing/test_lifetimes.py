import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing.lifetimes import Durations, Hazard, Ratio, Share, seconds_of

SECONDS = st.floats(0, 300) | st.floats()


def durations(weight: float = 1.0) -> Durations:
    return Durations(step=0.5, longest=60.0, mean=15.0, weight=weight, memory=1000.0)


def test_before_anything_is_seen_the_prior_holds() -> None:
    known = durations()
    assert np.interp(15.0, known.edges, known.cumulative()) == pytest.approx(1 - math.exp(-1), abs=1e-3)


def test_a_fixed_duration_is_found_to_the_step() -> None:
    known = durations()
    for _ in range(300):
        known.observe(15.0)
    ended = known.cumulative()
    assert np.interp(15.0, known.edges, ended) < 0.01
    assert np.interp(15.5, known.edges, ended) > 0.99


@given(st.lists(SECONDS, max_size=50))
def test_a_distribution_stays_one_whatever_is_observed(observed: list[float]) -> None:
    known = durations()
    for seconds in observed:
        known.observe(seconds)
    ended = known.cumulative()
    assert len(ended) == len(known.edges)
    assert ended[0] == 0.0
    assert np.all(np.diff(ended) >= 0.0)
    assert ended[-1] <= 1.0


@given(st.floats(), st.floats(0, 1e6))
def test_any_number_gives_a_usable_duration(value: float, longest: float) -> None:
    assert 0.0 <= seconds_of(value, longest) <= longest


def test_a_constant_hazard_is_found_from_conversations_that_ended_and_that_go_on() -> None:
    # As if 400 conversations of an exponential law with a mean of 100 s were broken off after 100 s.
    known = Hazard(mean=30.0, weight=1.0, memory=1e9)
    ends = -100.0 * np.log(1.0 - (np.arange(400) + 0.5) / 400)
    for age in ends:
        until = min(age, 100.0)
        known.expose(np.array([0.0]), np.array([until]))
        if age <= 100.0:
            known.end(until)
    grown = known.cumulative(np.array([0.0, 50.0, 100.0, 300.0]))
    assert grown[0] == 0.0
    assert grown[1:] == pytest.approx([0.5, 1.0, 3.0], rel=0.15)


@given(st.lists(SECONDS, max_size=50), st.lists(st.floats(0, 1e6), min_size=1, max_size=10))
def test_a_hazard_stays_positive_and_finite(ended: list[float], ages: list[float]) -> None:
    known = Hazard(mean=120.0, weight=3.0, memory=300.0)
    for seconds in ended:
        known.end(seconds)
    grown = known.cumulative(np.array([0.0, *sorted(ages)]))
    assert np.all(np.isfinite(grown))
    assert np.all(np.diff(grown) >= 0.0)


def test_a_ratio_forgets_with_time_where_calls_are_many_and_with_calls_where_they_are_few() -> None:
    many = Ratio(mean=0.5, weight=1.0, seconds=300.0, calls=50.0)
    few = Ratio(mean=0.5, weight=1.0, seconds=300.0, calls=50.0)
    for call in range(5000):
        many.observe(call / 10, hit=False)
    for call in range(500):
        few.observe(call * 3600.0, hit=False)
    assert many.value < 0.001
    assert few.value == pytest.approx(0.5 / 51, rel=0.01)
    for call in range(6000):
        many.observe(500 + call / 10, hit=True)
    for call in range(100):
        few.observe((500 + call) * 3600.0, hit=True)
    assert many.value > 0.85
    assert 0.8 < few.value < 0.9


@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.booleans()), max_size=50))
def test_a_share_lies_strictly_between_0_and_1(calls: list[tuple[float, bool]]) -> None:
    share = Share(mean=0.3, weight=4.0)
    for now, hit in calls:
        share.observe(now, hit)
    assert 0.0 < share.value < 1.0


def test_a_share_follows_a_change_and_does_not_tremble_without_one() -> None:
    share = Share(mean=0.3, weight=4.0)
    random = np.random.default_rng(1)

    def after(minutes: float, rate: float) -> list[float]:
        values = []
        for _ in range(round(20 * minutes)):
            share.observe(clock[0], random.random() < rate)
            clock[0] += 3.0
            values.append(share.value)
        return values

    clock = [0.0]
    steady = after(60, 0.25)[600:]
    assert max(steady) - min(steady) < 0.12
    assert after(10, 0.5)[-1] > 0.4

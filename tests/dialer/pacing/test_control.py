import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing.control import FIRST_STEP, HIGHEST, LOWEST, MARGIN, SETTLED, START, STEP, OverDial

MOODS = st.sampled_from(["abandons", "connects", "mixes"])


@given(st.lists(st.tuples(st.integers(1, 300), MOODS), max_size=20), st.floats(0.001, 0.2), st.integers(1, 30))
def test_an_adversary_cannot_abandon_more_than_the_budget(
    phases: list[tuple[int, str]], limit: float, most: int
) -> None:
    """It abandons or connects as it likes, with as many calls in flight as it likes when over-dialling ends."""
    control = OverDial(limit)
    answers = abandoned = over_dialled = 0
    for calls, mood in phases:
        for call in range(calls):
            over_dialled = over_dialled if control.at_rest else most
            abandons = over_dialled > 0 and (mood == "abandons" or (mood == "mixes" and call % 7 == 0))
            answers += 1
            abandoned += abandons
            over_dialled -= abandons
            control.judge(abandoned=abandons)
            assert control.z <= HIGHEST
            assert abandoned <= limit * answers + (HIGHEST - LOWEST) / STEP + most


@given(st.lists(st.booleans(), max_size=300), st.floats(0.01, 0.1))
def test_z_is_the_budget_that_is_left_once_the_step_has_fallen(calls: list[bool], limit: float) -> None:
    control = OverDial(limit)
    settled = round(SETTLED * FIRST_STEP / STEP)
    for answer in range(settled):
        control.judge(abandoned=answer % 33 == 0)
    control.z = begun = -2.0
    for count, abandoned in enumerate(calls, 1):
        control.judge(abandoned=abandoned)
        if control.z == HIGHEST:
            break
        over_budget = sum(calls[:count]) - MARGIN * limit * count
        assert control.z == pytest.approx(begun - STEP * over_budget)


def test_the_first_steps_are_longer() -> None:
    control = OverDial(0.03)
    control.judge(abandoned=True)
    assert START - control.z == pytest.approx(FIRST_STEP * (1 - 0.03 * MARGIN))


def test_no_over_dial_at_the_lower_end() -> None:
    control = OverDial(0.03)
    while control.z > LOWEST:
        assert not control.at_rest
        control.judge(abandoned=True)
    assert control.at_rest

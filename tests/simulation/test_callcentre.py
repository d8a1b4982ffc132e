from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.pacing import Event, Floor, Kind, Progressive, Resolved
from simulation.callcentre import (
    Breaks,
    CallCentre,
    Detection,
    Outages,
    Result,
    Scenario,
    Swing,
    markov,
    play,
    realistic,
)
from simulation.callcentre.laws import exponential, uniform
from simulation.callcentre.policies import Constant, OpenLoop, erlang_b, load_for

TROUBLES = st.fixed_dictionaries(
    {
        "swing": st.sampled_from([None, Swing(0.4, 1200)]),
        "breaks": st.sampled_from([None, Breaks(every=1000, lasts=300)]),
        "outages": st.sampled_from([None, Outages(every=900, lasts=60)]),
        "detection": st.sampled_from([None, Detection(1.0, 0.1, 0.2), Detection(machine_as_human=1.0)]),
        "lateness": st.sampled_from([None, exponential(0.5), uniform(0, 4)]),
    }
)


class Hasty:
    """Dials all it can, until it stops."""

    STOPS = 2500.0

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.floors = 0

    def decide(self, now: float, floor: Floor) -> int:
        assert floor.idle >= 0
        assert all(seconds >= 0 for _, seconds in floor.busy)
        assert all(0 <= age <= now for age in floor.in_flight)
        assert len(list(floor.in_flight)) == len(floor.in_flight)
        self.floors += 1
        return floor.free_lines if now < self.STOPS else 0

    def observe(self, event: Event) -> None:
        self.events.append(event)


@settings(max_examples=20, deadline=None)
@given(TROUBLES, st.integers(1, 6), st.integers(0, 99), st.sampled_from([0.0, 2.0]), st.sampled_from([0.0, 15.0]))
def test_every_answered_call_is_connected_or_abandoned_and_agent_seconds_add_up(
    troubles: dict[str, object], agents: int, seed: int, hold: float, wrap_up: float
) -> None:
    scenario = replace(realistic(agents, wrap_up=wrap_up, **troubles), hold=hold, lines=3 * agents)  # type: ignore[arg-type]  # as drawn
    policy = Hasty()
    centre = CallCentre(scenario, policy, seed, spans=True)
    centre.run(3000)
    total = centre.result.total
    assert total.live == total.connected + total.abandoned + total.mistaken
    assert total.machines_connected == 0 or scenario.detection
    assert total.seconds == pytest.approx(3000)
    if not scenario.breaks:
        assert total.staffed == pytest.approx(3000 * agents)
    worked = sum(span.ends - span.begins for span in centre.spans if not isinstance(span.what, Kind))
    assert total.busy == pytest.approx(worked)
    resolved = [event for event in policy.events if isinstance(event, Resolved)]
    assert len(resolved) == total.dials
    assert max(centre.result.line_seconds) <= 3 * agents


def test_the_same_seed_plays_the_same() -> None:
    def once(seed: int) -> Result:
        return play(realistic(5, swing=Swing()), Constant(1.6), 2, seed)

    assert once(3) == once(3)
    assert once(3) != once(4)


def test_in_how_many_parts_it_is_played_makes_no_difference() -> None:
    whole, parts = (CallCentre(realistic(5, tick=1.0), Constant(1.6), seed=3) for _ in range(2))
    whole.run(7200)
    for _ in range(60):
        parts.run(120)
    assert parts.spans == whole.spans
    assert parts.result.agent_waits == whole.result.agent_waits


@pytest.mark.parametrize("agents", [1, 5, 30])
def test_progressive_occupancy_is_as_in_closed_form(agents: int) -> None:
    hours = 1200 / agents
    result = play(markov(agents, tick=5.0), Progressive(), hours, seed=1)
    assert result.total.occupancy == pytest.approx(180 / (180 + 20 / 0.25), abs=0.015)
    assert result.total.abandoned == 0


def test_an_open_loop_loses_what_erlang_b_says() -> None:
    assert erlang_b(2, 2.0) == pytest.approx(0.4)
    assert erlang_b(20, load_for(20, 0.03)) == pytest.approx(0.03)
    result = play(markov(10, hold=0, tick=1.0), OpenLoop(10, 0.25, 180), 60, seed=1)
    assert result.total.abandonment == pytest.approx(0.03, abs=0.01)
    assert result.total.occupancy == pytest.approx(load_for(10, 0.03) * 0.97 / 10, abs=0.02)


def test_half_the_floor_leaves_with_calls_in_flight() -> None:
    scenario = realistic(10, breaks=Breaks(every=1800, lasts=600))
    quiet, broken = (play(one, Constant(2.0), 8, seed=2).total for one in (realistic(10), scenario))
    assert quiet.staffed == pytest.approx(8 * 3600 * 10)
    assert 0.7 * quiet.staffed < broken.staffed < 0.9 * quiet.staffed
    assert broken.abandonment > quiet.abandonment


def test_calls_fail_while_the_trunk_is_down() -> None:
    class Counting(Constant):
        failed = 0

        def observe(self, event: Event) -> None:
            self.failed += isinstance(event, Resolved) and event.kind is Kind.FAILED

    def failed(scenario: Scenario) -> int:
        policy = Counting(1.0)
        play(scenario, policy, 2, seed=2)
        return policy.failed

    assert failed(realistic(10, outages=Outages(1800, 300))) > 2 * failed(realistic(10))


def test_shoppers_taken_for_machines_are_abandoned_calls_that_no_pacer_sees() -> None:
    total = play(realistic(5, detection=Detection(human_as_machine=0.1)), Progressive(), 40, seed=2).total
    assert total.abandoned == 0
    assert total.abandonment == pytest.approx(0.1, abs=0.03)


def test_without_detection_machines_cost_agents_time() -> None:
    total = play(realistic(5, detection=Detection(machine_as_human=1.0)), Progressive(), 8, seed=2).total
    assert total.machines_connected > total.connected > 0


def test_what_is_known_too_late_is_abandoned() -> None:
    late = play(realistic(5, lateness=uniform(2.5, 3.0)), Progressive(), 2, seed=2).total
    assert late.abandoned == late.live > 0


def test_a_policy_that_overdials_its_lines_is_refused() -> None:
    class TooMany(Constant):
        def decide(self, now: float, floor: Floor) -> int:
            return floor.free_lines + 1

    with pytest.raises(ValueError, match="TooMany starts 21 calls with 20 free lines"):
        play(realistic(1), TooMany(1.0), 1, seed=1)


@pytest.mark.parametrize(
    ("agents", "answer_rate", "trouble", "said"),
    [
        (0, 0.25, {}, "at least one agent"),
        (5, 1.2, {}, "answer rate"),
        (5, 0.8, {"swing": Swing(0.4)}, "cannot swing up by 40%"),
        (5, 0.25, {"breaks": Breaks(every=60, lasts=60)}, "over by then"),
        (5, 0.25, {"tick": 0.0}, "tick"),
    ],
)
def test_what_cannot_be_played_is_refused(
    agents: int, answer_rate: float, trouble: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        realistic(agents, answer_rate, **trouble)  # type: ignore[arg-type]  # as given


def test_days_and_lines() -> None:
    result = play(realistic(5), Constant(2.0), 17, seed=5)
    days = result.days()
    assert len(days) == 2
    assert sum(day.live for day in days) <= result.total.live
    assert result.worst_day == max(day.abandonment for day in days) >= min(day.abandonment for day in days)
    assert 0 < result.lines_enough_for(0.5) < result.lines_enough_for(0.99) <= max(result.line_seconds)

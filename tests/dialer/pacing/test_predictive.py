import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing import Abandoned, Connected, Event, Floor, Kind, Pacer, Preview, Progressive, Resolved, pacer_for
from ringback.dialer_settings import Mode
from tests.dialer.pacing.floors import EVENTS, FLOORS, TIMES, floor, teach

STEPS = st.lists(st.tuples(TIMES, FLOORS, st.lists(EVENTS, max_size=5)), max_size=8)


def wrapping_up(agents: int) -> Floor:
    return Floor(idle=0, busy=[("wrap_up", 10.0)] * agents, in_flight=(), waiting=0, free_lines=1000)


def run(pacer: Pacer, steps: list[tuple[float, Floor, list[Event]]]) -> list[int]:
    decisions = []
    for now, seen, events in steps:
        decisions.append(pacer.decide(now, seen))
        for event in events:
            pacer.observe(event)
    return decisions


@given(STEPS, st.booleans())
def test_never_more_calls_than_free_lines_on_any_floor_after_any_events(
    steps: list[tuple[float, Floor, list[Event]]], taught: bool
) -> None:
    pacer = Pacer()
    if taught:
        teach(pacer)
    for started, (_, seen, _) in zip(run(pacer, steps), steps, strict=True):
        assert isinstance(started, int)
        assert 0 <= started <= max(0, seen.free_lines)


@given(STEPS)
def test_the_same_floors_and_events_give_the_same_decisions(
    steps: list[tuple[float, Floor, list[Event]]],
) -> None:
    assert run(Pacer(), steps) == run(Pacer(), steps)


@given(STEPS, st.integers(-3, 70))
def test_never_more_calls_than_the_guard_allows(steps: list[tuple[float, Floor, list[Event]]], allowed: int) -> None:
    pacer = Pacer(guard=lambda _now, _floor: allowed)
    teach(pacer)
    assert all(started <= max(0, allowed) for started in run(pacer, steps))


def test_no_call_when_the_guard_says_no() -> None:
    pacer = Pacer(guard=lambda _now, _floor: 0)
    teach(pacer)
    assert pacer.decide(1.0, floor(idle=10, talking=10)) == 0
    assert pacer.braked


def test_z_stands_still_while_the_guard_brakes() -> None:
    allowed = 0
    pacer = Pacer(guard=lambda _now, _floor: allowed)
    teach(pacer)
    pacer.decide(1.0, floor(idle=10))
    before = pacer.z
    for _ in range(50):
        pacer.observe(Connected())
        pacer.observe(Abandoned())
    assert pacer.z == before
    allowed = 1000
    pacer.decide(2.0, floor(idle=10))
    assert not pacer.braked
    pacer.observe(Connected())
    assert pacer.z > before


def test_starts_progressive() -> None:
    pacer = Pacer()
    seen = floor(idle=3, talking=17, in_flight=2, waiting=0)
    assert pacer.decide(0.0, seen) == Progressive().decide(0.0, seen) == 1
    for _ in range(39):
        pacer.observe(Resolved(Kind.HUMAN, 10.0))
    assert pacer.decide(60.0, seen) == 1


def test_dials_ahead_of_agents_who_will_be_free_once_it_knows_the_campaign() -> None:
    pacer = Pacer()
    teach(pacer)
    assert pacer.decide(1.0, wrapping_up(20)) > 0
    assert pacer.decide(1.0, floor(talking=50, in_flight=200)) == 0


def test_each_idle_agent_has_a_line_however_low_z_is() -> None:
    pacer = Pacer()
    teach(pacer)
    for _ in range(200):
        pacer.observe(Abandoned())
    assert pacer.decide(1.0, floor(idle=7, talking=50, in_flight=3)) == 4
    assert pacer.decide(1.0, floor(talking=50)) == 0


@pytest.mark.parametrize("answered", [2, 4, 10])
def test_more_lines_the_fewer_are_answered(answered: int) -> None:
    seldom, often = Pacer(), Pacer()
    teach(seldom, calls=600, answered=2 * answered)
    teach(often, calls=600, answered=answered)
    seen = floor(idle=10, talking=90)
    assert seldom.decide(1.0, seen) > often.decide(1.0, seen)


def test_more_lines_the_sooner_agents_will_be_free() -> None:
    pacer = Pacer()
    teach(pacer)
    talking = Floor(idle=0, busy=[("talking", 5.0)] * 20, in_flight=(), waiting=0, free_lines=1000)
    assert pacer.decide(1.0, wrapping_up(20)) > pacer.decide(1.0, talking)


def test_a_mode_has_its_pacing() -> None:
    assert isinstance(pacer_for(Mode.PREVIEW), Preview)
    assert isinstance(pacer_for(Mode.PROGRESSIVE), Progressive)
    assert Preview().decide(0.0, floor(idle=5)) == 0


@pytest.mark.parametrize(("agents", "ahead"), [(3, False), (4, True)])
def test_small_teams_are_dialled_for_progressively(agents: int, ahead: bool) -> None:
    pacer = pacer_for(Mode.PREDICTIVE)
    teach(pacer)
    assert (pacer.decide(1.0, wrapping_up(agents)) > 0) is ahead

from hypothesis import given
from hypothesis import strategies as st

from dialer.pacing import Busy, BusyAgent, Connected, Floor, Progressive

FLOORS = st.builds(
    Floor,
    idle=st.integers(0, 50),
    busy=st.lists(st.builds(BusyAgent, st.sampled_from(Busy), st.floats(0, 999)), max_size=5),
    in_flight=st.lists(st.floats(0, 60), max_size=60),
    waiting=st.integers(0, 10),
    free_lines=st.integers(0, 60),
)


@given(FLOORS)
def test_progressive_never_has_more_calls_on_the_way_than_idle_agents(floor: Floor) -> None:
    pacer = Progressive()
    started = pacer.decide(0.0, floor)
    pacer.observe(Connected())
    assert 0 <= started <= floor.free_lines
    if started:
        assert started + len(floor.in_flight) + floor.waiting <= floor.idle


def test_progressive_uses_every_idle_agent() -> None:
    floor = Floor(idle=5, busy=(), in_flight=(1.0,), waiting=1, free_lines=9)
    assert Progressive().decide(0.0, floor) == 3

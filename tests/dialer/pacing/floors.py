"""Floors and events for tests of pacers: plain ones, and as odd ones as the interface admits."""

from hypothesis import strategies as st

from dialer.pacing import (
    Abandoned,
    Busy,
    BusyAgent,
    Connected,
    Event,
    Floor,
    Kind,
    Pacing,
    Resolved,
    TalkEnded,
    WrapUpEnded,
)

ODD_SECONDS = st.floats(0, 300) | st.floats()
FLOORS = st.builds(
    Floor,
    idle=st.integers(0, 50),
    busy=st.lists(
        st.builds(BusyAgent, st.sampled_from(Busy), ODD_SECONDS)
        | st.tuples(st.sampled_from(["talking", "wrap_up", "at lunch"]), ODD_SECONDS),
        max_size=8,
    ),
    in_flight=st.lists(ODD_SECONDS, max_size=60),
    waiting=st.integers(0, 10),
    free_lines=st.integers(-5, 60),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Resolved, st.sampled_from([*Kind, "human", "fax"]), ODD_SECONDS),
    st.just(Connected()),
    st.just(Abandoned()),
    st.builds(TalkEnded, ODD_SECONDS),
    st.builds(WrapUpEnded, ODD_SECONDS),
)
TIMES = st.floats(0, 1e5) | st.floats()


def floor(*, idle: int = 0, talking: int = 0, in_flight: int = 0, waiting: int = 0, free_lines: int = 1000) -> Floor:
    """A floor whose conversations and calls are of all ages."""
    busy = [BusyAgent(Busy.TALKING, 7.0 * agent) for agent in range(talking)]
    ages = [25.0 * call / max(in_flight, 1) for call in range(in_flight)]
    return Floor(idle=idle, busy=busy, in_flight=ages, waiting=waiting, free_lines=free_lines)


def teach(pacer: Pacing, calls: int = 200, answered: int = 4) -> None:
    """Calls of which one in so many is answered after 8 to 15 seconds; three minutes of talk, 15 seconds of wrap-up."""
    pacer.decide(0.0, floor(idle=1, free_lines=0))
    for call in range(calls):
        human = call % answered == 0
        seconds = 8.0 + call % 8 if human else 20.0
        pacer.observe(Resolved(Kind.HUMAN if human else Kind.NO_ANSWER, seconds))
        if human:
            pacer.observe(TalkEnded(90.0 + call % 180))
            pacer.observe(WrapUpEnded(15.0))

import pytest

from dialer.pacing import Abandoned, Busy, BusyAgent, Connected, Floor, Kind, Resolved, TalkEnded
from simulation.callcentre import play, realistic
from simulation.callcentre.policies import Constant, Issabel, Method, Tally, Vicidial, VicidialSettings

QUIET = Floor(idle=4, busy=[BusyAgent(Busy.TALKING, 10.0)] * 6, in_flight=[1.0, 2.0], waiting=1, free_lines=99)


def test_a_constant_fills_up_to_its_lines() -> None:
    assert Constant(2.0).decide(0, QUIET) == 8 - 2 - 1
    assert Constant(1.1).decide(0, QUIET) == 4 - 3
    assert Constant(0.0).decide(0, QUIET) == 0


def test_vicidial_multiplies_all_or_available_agents() -> None:
    all_, available = (
        Vicidial(VicidialSettings(Method.RATIO, tally, level=2.0)) for tally in (Tally.ALL, Tally.AVAILABLE_ONLY)
    )
    assert all_.decide(0, QUIET) == 2 * (4 + 6) - (2 + 1 + 6)
    assert all_.decide(1, QUIET) == 0, "the loop runs every 2.5 s"
    assert available.decide(0, QUIET) == 2 * 4 + 6 - (2 + 1 + 6)


@pytest.mark.parametrize("method", [Method.HARD_LIMIT, Method.AVERAGE, Method.TAPERED])
def test_vicidial_adapts_up_and_brakes_at_the_limit(method: Method) -> None:
    policy = Vicidial(VicidialSettings(method, Tally.AVAILABLE_ONLY))
    idle = Floor(idle=10, busy=[], in_flight=[], waiting=0, free_lines=999)
    at_first = policy.decide(0, idle)
    for now in range(1, 60):
        policy.decide(float(now), idle)
    risen = policy.decide(62.5, idle)
    assert risen > at_first
    for end in [Connected()] * 60 + [Abandoned()] * 6:
        policy.observe(Resolved(Kind.HUMAN, 12.0))
        policy.observe(end)
    after = 7.9 * 3600 if method is Method.TAPERED else 150.0
    policy.decide(after, idle)
    braked = max(policy.decide(after + 15 + second, idle) for second in range(60))
    assert braked < risen


def test_issabel_counts_agents_who_have_talked_long() -> None:
    policy = Issabel(overcommits=False)
    for _ in range(10):
        policy.observe(Resolved(Kind.HUMAN, 12.0))
        policy.observe(TalkEnded(100.0))
    long, short = (
        Floor(idle=1, busy=[BusyAgent(Busy.TALKING, seconds)], in_flight=[], waiting=0, free_lines=9)
        for seconds in (345.0, 200.0)
    )
    assert policy.decide(0, long) == 2
    assert policy.decide(1, long) == 0, "every three seconds"
    assert policy.decide(3, short) == 1


def test_issabel_overcommits_by_the_answer_rate() -> None:
    policy = Issabel()
    for _ in range(5):
        policy.observe(Resolved(Kind.HUMAN, 12.0))
        policy.observe(Resolved(Kind.NO_ANSWER, 28.0))
    assert policy.decide(0, Floor(idle=3, busy=[], in_flight=[], waiting=0, free_lines=99)) == 6


@pytest.mark.parametrize(
    ("policy", "occupancy", "abandonment"),
    [
        (Vicidial(), 0.71, 0.033),
        (Vicidial(VicidialSettings(tally=Tally.AVAILABLE_ONLY)), 0.86, 0.027),
        (Issabel(), 0.825, 0.042),
        (Constant(2.5), 0.871, 0.024),
    ],
    ids=["ADAPT_HARD_LIMIT, N", "ADAPT_HARD_LIMIT, Y", "Issabel", "constant"],
)
def test_the_rules_do_on_a_usual_floor_what_is_known_of_them(
    policy: Vicidial | Issabel | Constant, occupancy: float, abandonment: float
) -> None:
    total = play(realistic(20, tick=0.5), policy, 16, seed=1).total
    assert total.occupancy == pytest.approx(occupancy, abs=0.02)
    assert total.abandonment == pytest.approx(abandonment, abs=0.012)

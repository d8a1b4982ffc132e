"""The laws of the telephone network."""

from collections import Counter
from statistics import mean

import pytest

from simulation.fates import POST_DIAL_DELAY, REAL_TIME, RING_OUT, Ending, Laws, Pace, draw

REAL = Laws(pace=REAL_TIME)
MANY = [draw(REAL, 7, f"1212555{n:04}", 1) for n in range(4000)]


def test_the_same_call_has_the_same_fate_and_the_next_another() -> None:
    assert draw(REAL, 7, "12125550100", 1) == draw(REAL, 7, "12125550100", 1)
    fates = {draw(REAL, seed, "12125550100", attempt) for seed in range(3) for attempt in (1, 2, 3)}
    assert len(fates) > 5


def test_endings_come_as_often_as_the_laws_say() -> None:
    seen = Counter(fate.ending for fate in MANY)
    assert set(seen) == set(Ending)
    for ending, share in REAL.shares.items():
        assert seen[ending] / len(MANY) == pytest.approx(share, abs=0.03)
    assert sum(REAL.shares.values()) == pytest.approx(1)


def test_times_follow_their_laws() -> None:
    humans = [fate for fate in MANY if fate.ending is Ending.HUMAN]
    assert mean(fate.ring for fate in humans) == pytest.approx(12.4, rel=0.06)
    assert all(POST_DIAL_DELAY <= fate.ring <= RING_OUT for fate in humans)
    assert mean(fate.talk for fate in humans) == pytest.approx(165, rel=0.1)
    assert {fate.ring for fate in MANY if fate.ending is Ending.NO_ANSWER} == {RING_OUT}


def test_an_early_hangup_is_faster_than_the_safe_harbour_message_at_any_pace() -> None:
    slow = Laws(pace=Pace(ring=1.0, talk=9.0))
    early = [f for n in range(4000) if (f := draw(slow, 7, str(n), 1)).ending is Ending.HANGS_UP_EARLY]
    assert early
    assert all(0.2 <= fate.talk <= 1.6 for fate in early)


def test_a_pace_shortens_ringing_and_talking() -> None:
    for n in range(50):
        real, fast = (draw(Laws(pace=pace), 7, str(n), 1) for pace in (REAL_TIME, Pace(ring=0.1, talk=0.05)))
        assert fast.ring == pytest.approx(real.ring * 0.1)
        if real.ending is Ending.HUMAN:
            assert fast.talk == pytest.approx(real.talk * 0.05)

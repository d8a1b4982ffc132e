"""No call ever violates a rule: generated cases, judged by `dialer.compliance` and by an independent oracle.

A million of them: ``RINGBACK_COMPLIANCE_CASES=1000000 pytest tests/dialer/compliance/test_never.py``.
"""

import os
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.compliance.check import may_call, place_of
from tests.dialer.compliance import cases
from tests.dialer.compliance.cases import HOUR

CASES = int(os.environ.get("RINGBACK_COMPLIANCE_CASES", "3000"))
BATCH = 1000
OF_ONE_PERSON = 20


def judged(dice: Random, count: int) -> int:
    """Cases of one person: what is allowed violates no rule, what violates none is allowed, and the trace says which.

    Returns how many were allowed.
    """
    world = dice.choice(cases.worlds())
    who = cases.person(dice)
    day = cases.day(dice)
    allowed = 0
    # The clock may be wrong by this much either way.
    errors = (-world.skew, 0.0, world.skew) if world.skew else (0.0,)
    for _ in range(count):
        now = cases.moment(dice, who, world, day)
        past = cases.history(dice, now)
        verdict = may_call(who, past, now, world.rules)
        assert verdict.allowed == (not verdict.against)
        violated = {rule for error in errors for rule in world.law.against(who, past, now + error)}
        allowed += verdict.allowed
        if verdict.allowed:
            assert not violated, (who, past, now)
        elif not world.law.clock_changes(who, now):
            assert {finding.rule for finding in verdict.against} == violated, (who, past, now)
    return allowed


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("batch", range((CASES + BATCH - 1) // BATCH))
def test_generated_cases(batch: int) -> None:
    dice = Random(batch)  # noqa: S311 - the number of the batch finds a case again
    allowed = sum(judged(dice, OF_ONE_PERSON) for _ in range(BATCH // OF_ONE_PERSON))
    assert allowed > BATCH / 20


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_generated_cases_that_shrink(dice: Random) -> None:
    judged(dice, 1)


def test_windows_minute_by_minute() -> None:
    """Throughout a window all rules of hours hold, and no open minute was passed over before it."""
    dice = Random(1)  # noqa: S311 - a seed
    for _ in range(min(12 + CASES // 1000, 1000)):
        world = dice.choice(cases.worlds())
        who = cases.person(dice)
        place = place_of(who, world.rules)
        if place is None or not place.zones:
            continue
        start = cases.moment(dice, who, world, cases.day(dice))
        end = start + dice.uniform(0, 30 * HOUR)
        found = world.rules.calendar(place).window(start, end)
        opens, closes = found or (end, end)
        assert start <= opens <= closes <= end
        minute = start
        while minute < end:
            is_open = not any(world.law.hours(who, minute + error) for error in (-world.skew, world.skew))
            if opens <= minute < closes:
                assert is_open, (who, minute)
            elif minute < opens and not world.law.clock_changes(who, minute):
                assert not is_open, (who, minute)
            minute += 60.0

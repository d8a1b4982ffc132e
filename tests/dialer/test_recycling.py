import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.recycling import LATE_SECONDS, Next, NoCallback, after, callback
from ringback.decisions import Lead
from ringback.lead_settings import DEFAULT_RECYCLING, Again, LeadSettings
from ringback.records import Outcome
from tests.dialer.leads import NOON, lead

HOUR = 3600.0
SETTINGS = LeadSettings(callback_window=4 * HOUR, callback_ahead=10 * 86400.0)


def always(_: Lead, begin: float, end: float) -> tuple[float, float]:
    return begin, end


@pytest.mark.parametrize(
    ("outcome", "delay"),
    [(Outcome.BUSY, 900), (Outcome.NO_ANSWER, 1800), (Outcome.CONGESTION, 300), (Outcome.FAILED, 300)],
)
def test_whoever_was_not_reached_is_called_again(outcome: Outcome, delay: float) -> None:
    assert after(outcome, NOON, DEFAULT_RECYCLING, None) == Next(NOON + delay, 2, None)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.CONNECTED, Outcome.HUNG_UP, Outcome.DECLINED, Outcome.INVALID, Outcome.ABANDONED, Outcome.UNKNOWN],
)
def test_whoever_decided_is_left_in_peace(outcome: Outcome) -> None:
    assert after(outcome, NOON, DEFAULT_RECYCLING, None).retry_at is None


def test_the_lockout_of_the_law_outlasts_the_delay() -> None:
    assert after(Outcome.ABANDONED, NOON, {}, 72 * HOUR) == Next(None, 0, NOON + 72 * HOUR)
    rules = {Outcome.MACHINE: Again(attempts=3, delay=60.0)}
    assert after(Outcome.MACHINE, NOON, rules, 24 * HOUR) == Next(NOON + 24 * HOUR, 3, NOON + 24 * HOUR)


@given(st.sampled_from(Outcome), st.floats(0, 1e6), st.none() | st.floats(0, 1e7), st.integers(0, 10))
def test_nobody_is_called_again_before_the_law_allows(
    outcome: Outcome, delay: float, spacing: float | None, attempts: int
) -> None:
    found = after(outcome, NOON, {outcome: Again(attempts=attempts, delay=delay)}, spacing)
    assert (found.retry_at is None) is (attempts == 0)
    if found.retry_at is not None:
        assert found.retry_at >= NOON + delay
        assert found.retry_at >= (found.lockout_until or NOON)


def test_a_callback_has_its_own_window_and_agent() -> None:
    found = callback(lead(1), NOON + 86400, "7", NOON, SETTINGS, always)
    assert isinstance(found, Lead)
    assert (found.lead_id, found.agent) == ("lead-1", "7")
    assert (found.callable_from, found.callable_until) == (NOON + 86400, NOON + 86400 + 4 * HOUR)


def test_a_callback_is_moved_to_when_it_may_be_made() -> None:
    found = callback(lead(1), NOON, None, NOON, SETTINGS, lambda _, begin, end: (begin + HOUR, end - HOUR))
    assert isinstance(found, Lead)
    assert (found.agent, found.callable_from, found.callable_until) == (None, NOON + HOUR, NOON + 3 * HOUR)


def test_a_time_that_just_passed_means_now() -> None:
    found = callback(lead(1), NOON - LATE_SECONDS, None, NOON, SETTINGS, always)
    assert isinstance(found, Lead)
    assert found.callable_from == NOON


@pytest.mark.parametrize(
    ("at", "why"), [(NOON - LATE_SECONDS - 1, "past"), (NOON + 11 * 86400, "10 days"), (NOON, "hours")]
)
def test_a_callback_that_can_not_be_kept_is_refused(at: float, why: str) -> None:
    found = callback(lead(1), at, None, NOON, SETTINGS, lambda *_: None)
    assert isinstance(found, NoCallback)
    assert why in found.why

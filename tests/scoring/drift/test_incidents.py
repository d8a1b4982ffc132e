"""Incidents in the checkout: the planted ones of a public log are found, noise is not taken for one."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest.logs import BrokenLine, read
from ringback.records import CartEvent, EventKind, Item
from scoring.drift.incidents import LEAST_BEFORE, Funnel, Incident, incidents
from scoring.drift.log import period_of, periods_between

RETENTIONEERING = "retentioneering_ecom_SYNTHETIC.csv.gz"
QUIET_UNTIL = date(2024, 4, 8)
# By its own events: checkout_bug from 10 April to 8 May; payment_error from 19 May to 8 June.
BUG, OUTAGE = (date(2024, 4, 8), date(2024, 5, 13)), (date(2024, 5, 13), date(2024, 6, 10))
DAY = 86400.0


def midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def public_funnel(public_logs: Path) -> Funnel:
    file = public_logs / RETENTIONEERING
    if not file.exists():
        pytest.skip(f"no {RETENTIONEERING} in {public_logs}")
    funnel = Funnel()
    for event in read(file, "retentioneering"):
        assert not isinstance(event, BrokenLine)
        funnel.take(event)
    funnel.finish()
    return funnel


def found_in(funnel: Funnel) -> list[Incident]:
    last = (funnel.days()[-1] + 1) * DAY - 1
    found = incidents(funnel, periods_between(midnight(QUIET_UNTIL), last, "week"), (0.0, midnight(QUIET_UNTIL)))
    assert found is not None
    return found


def weeks(incident: Incident) -> set[date]:
    begin = datetime.fromtimestamp(incident.begin, UTC).date()
    count = round((incident.end - incident.begin) / (7 * DAY))
    return {begin + timedelta(weeks=week) for week in range(count)}


def test_the_planted_checkout_bug_is_flagged(public_funnel: Funnel) -> None:
    (bug,) = [one for one in found_in(public_funnel) if one.step == "checkout to payment"]
    assert BUG[0] <= min(weeks(bug)) <= max(weeks(bug)) < BUG[1]
    assert len(weeks(bug)) >= 3
    assert bug.share < bug.share_before - 0.15


def test_the_planted_payment_outage_is_flagged(public_funnel: Funnel) -> None:
    flagged = [one for one in found_in(public_funnel) if one.step in ("failed payments", "payment to order")]
    assert set().union(*(weeks(one) for one in flagged)) == {date(2024, 5, 20), date(2024, 5, 27), date(2024, 6, 3)}
    assert {one.step for one in flagged} == {"failed payments", "payment to order"}


def test_quiet_weeks_are_not_flagged(public_funnel: Funnel) -> None:
    planted = [*BUG, *OUTAGE]
    for week in set().union(*(weeks(one) for one in found_in(public_funnel))):
        assert BUG[0] <= week < BUG[1] or OUTAGE[0] <= week < OUTAGE[1], planted


def test_there_are_quiet_weeks_after_the_incidents(public_funnel: Funnel) -> None:
    assert public_funnel.between(midnight(OUTAGE[1]), midnight(date(2024, 7, 1)))[0][1] > LEAST_BEFORE


def visit(number: int, time: float, rng: np.random.Generator, payment: float) -> Iterator[CartEvent]:
    """A visit of a shop in which 60 % begin the checkout, ``payment`` of these come to pay, and 80 % of these buy."""

    def event(kind: EventKind, after: float, step: int | None = None) -> CartEvent:
        return CartEvent(
            event_id=f"{number}-{kind.value}-{step}",
            source="test",
            shopper_id=str(number),
            kind=kind,
            time=time + after,
            items=(Item(product_id="a"),) if kind is EventKind.ITEM_ADDED else (),
            step=step,
        )

    yield event(EventKind.ITEM_ADDED, 0)
    if rng.random() < 0.6:
        yield event(EventKind.CHECKOUT_STARTED, 10, 1)
        if rng.random() < payment:
            yield event(EventKind.CHECKOUT_STEP, 20, 2)
            if rng.random() < 0.8:
                yield event(EventKind.ORDER_COMPLETED, 30)


def shop(seed: int, incident: range = range(0), a_week: int = 60) -> Funnel:
    """Twenty weeks; in those of ``incident`` only 55 % instead of 80 % come from the checkout to paying."""
    rng = np.random.default_rng(seed)
    funnel = Funnel()
    for number in range(20 * a_week):
        week = number // a_week
        for event in visit(number, number * 7 * DAY / a_week, rng, 0.55 if week in incident else 0.8):
            funnel.take(event)
    funnel.finish()
    return funnel


WEEKS = [(week * 7 * DAY, (week + 1) * 7 * DAY) for week in range(20)]


def test_a_log_without_incident_has_none() -> None:
    # One in a hundred is what `incidents` promises.
    assert sum(bool(incidents(shop(seed), WEEKS[8:], (0.0, WEEKS[8][0]))) for seed in range(100)) <= 3


def test_weeks_of_the_same_trouble_add_up() -> None:
    found = incidents(shop(5, range(11, 15)), WEEKS[8:], (0.0, WEEKS[8][0]))
    assert found is not None
    assert [one.step for one in found] == ["checkout to payment"]
    assert WEEKS[11][0] <= found[0].begin < found[0].end <= WEEKS[14][1]
    assert len(weeks(found[0])) > 1


def test_too_little_before_says_nothing() -> None:
    assert incidents(shop(1), WEEKS[1:], (0.0, WEEKS[1][0])) is None


def test_a_better_checkout_is_no_incident() -> None:
    funnel = shop(2, range(8))
    assert not incidents(funnel, WEEKS[8:], (0.0, WEEKS[8][0]))


def test_a_visit_is_counted_once_and_where_it_began() -> None:
    funnel = Funnel()
    rng = np.random.default_rng(0)
    for event in visit(1, DAY - 5, rng, 1.0):
        funnel.take(event)
    funnel.finish()
    assert funnel.days() == [0]
    assert funnel.between(0, DAY)[0][1] == 1


@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_periods_follow_each_other_without_gap(by: str) -> None:
    first, last = midnight(date(2024, 1, 17)), midnight(date(2024, 3, 5)) + 1
    periods = periods_between(first, last, by)  # type: ignore[arg-type] # parametrize knows no literals
    assert periods[0][0] <= first < periods[0][1]
    assert periods[-1][0] <= last < periods[-1][1]
    assert all(one[1] == other[0] for one, other in pairwise(periods))
    assert all(period_of(begin, by) == (begin, end) for begin, end in periods)  # type: ignore[arg-type] # the same

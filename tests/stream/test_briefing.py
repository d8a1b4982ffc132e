"""Leads say why and what to talk about; a flood of them, or a fault, does not keep them from the hopper."""

import logging
import threading
from typing import Any

import pytest

from ringback.clock import Clock
from ringback.decisions import Lead
from ringback.records import EventKind
from scoring import reasons
from scoring.explain import contributions
from scoring.model import Model, default_model_folder
from stream import briefing
from stream.briefing import EXPLAINED_PER_SECOND, MOST_AT_ONCE, Briefing
from stream.partition import Effects, Partition, Withdrawal
from tests.stream.shop import ADA, HeldStates, added, event, feed, ordered, settings, viewed

HALF_AN_HOUR = 1800.0
MANY = 200


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(default_model_folder())


def effects_of(model: Model, shoppers: int = 1, bought: int = 0) -> Effects:
    """So many leads, dearer and dearer carts; the first ``bought`` shoppers order afterwards."""
    part = Partition(0, settings(), Clock(), model, HeldStates())
    names = [f"shopper-{number}" for number in range(shoppers)]
    feed(
        part,
        [
            *(viewed(0, name) for name in names),
            *(added(1, 500_000 + 5_000 * number, name) for number, name in enumerate(names)),
            *(event(EventKind.CHECKOUT_STARTED, 2, name, step=1) for name in names),
            *(event(EventKind.CHECKOUT_STEP, 3, name, step=2) for name in names),
            viewed(4 + HALF_AN_HOUR, "eve"),
            *(ordered(5 + HALF_AN_HOUR, name) for name in names[:bought]),
        ],
        MANY,
    )
    return part.take_effects()


def leads(effects: Effects) -> list[Lead]:
    return [one for one in effects.hopper if isinstance(one, Lead)]


async def test_a_lead_says_why_and_what_to_talk_about(model: Model) -> None:
    effects = effects_of(model)
    (before,) = leads(effects)
    assert (before.phone, before.reasons, before.talking_points) == (ADA.phone, (), ())
    await Briefing(reasons.load()).complete(effects.hopper, effects.cases)
    (lead,) = leads(effects)
    assert "Left at shipping costs" in lead.reasons
    assert 2 <= len(lead.talking_points) <= 4
    assert lead.priority == before.priority


async def test_the_order_of_leads_and_withdrawals_stays(model: Model) -> None:
    effects = effects_of(model, shoppers=3, bought=2)
    before = list(effects.hopper)
    assert [type(one) for one in before] == [Lead, Lead, Lead, Withdrawal, Withdrawal]
    await Briefing(reasons.load()).complete(effects.hopper, effects.cases)
    assert [one.shopper_id for one in effects.hopper] == [one.shopper_id for one in before]
    assert all(lead.reasons for lead in leads(effects))
    assert effects.hopper[3:] == before[3:]


async def test_of_a_flood_the_best_are_explained_and_the_others_have_their_talking_points(model: Model) -> None:
    now = [0.0]
    many = Briefing(reasons.load(), lambda: now[0])

    async def explained() -> list[Lead]:
        effects = effects_of(model, shoppers=MANY)
        assert len(leads(effects)) == MANY
        await many.complete(effects.hopper, effects.cases)
        assert all(lead.talking_points for lead in leads(effects))
        best_first = sorted(leads(effects), key=lambda lead: -lead.priority)
        told = [lead for lead in best_first if lead.reasons]
        assert told == best_first[: len(told)]
        return told

    assert len(await explained()) == MOST_AT_ONCE
    assert len(await explained()) == 0
    now[0] += 0.5
    assert len(await explained()) == EXPLAINED_PER_SECOND / 2
    now[0] += 1000.0
    assert len(await explained()) == MOST_AT_ONCE


async def test_contributions_are_computed_beside_the_events(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return contributions(*arguments)

    monkeypatch.setattr(briefing, "contributions", noted)
    effects = effects_of(model, shoppers=5)
    await Briefing(reasons.load()).complete(effects.hopper, effects.cases)
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


async def test_a_fault_leaves_the_leads_as_they_are(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(briefing, "contributions", broken)
    effects = effects_of(model, shoppers=2)
    before = list(effects.hopper)
    with caplog.at_level(logging.ERROR):
        await Briefing(reasons.load()).complete(effects.hopper, effects.cases)
    assert effects.hopper == before
    assert "go to the hopper without reasons" in caplog.text


async def test_without_leads_nothing_is_done(model: Model) -> None:
    hopper: list[Lead | Withdrawal] = [Withdrawal("ada", "bought", 0.0)]
    await Briefing(reasons.load()).complete(hopper, {})
    assert hopper == [Withdrawal("ada", "bought", 0.0)]

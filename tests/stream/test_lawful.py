"""Whatever the stream routes to a call or a message may lawfully be made throughout its window."""

from random import Random

import msgspec
import pytest

from dialer.compliance.check import History, Person, forbidden, may_call
from dialer.compliance.places import Place
from ringback.decisions import Lead
from ringback.records import Shopper
from stream.decide import Scored, decide, lead
from tests.dialer.compliance import cases
from tests.dialer.compliance.oracle import Law
from tests.stream.shop import added, feed, held, partition, settings

DAY = 86400.0


@pytest.mark.parametrize("seed", range(150))
def test_a_lead_is_lawful_throughout_its_window(seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - a seed
    world = dice.choice(cases.worlds())
    rules = world.settings.compliance.model_dump(exclude_defaults=True)
    config = settings(compliance=rules)
    law = Law(config)
    who = cases.person(dice)
    at = cases.moment(dice, who, world, cases.day(dice))
    shopper = Shopper(
        phone=who.phone,
        country=who.country,
        timezone=who.timezone,
        region=who.region,
        ip_timezone=who.ip_timezone,
        consent=who.consent,
    )

    part = partition(config)
    event = added(0)
    feed(part, [msgspec.structs.replace(event, time=at - 1800, shopper=shopper)])
    state = held(part).get(b"ada")
    if state is None or state.cart is None:
        return  # such a number, zone or region is a dead letter
    decision, verdict = decide("ada", state, state.cart, at, Scored((), 0.5, "m"), config)
    opens, closes = verdict.window
    for moment in (opens, opens + (closes - opens) * dice.random(), closes - 0.001) if verdict.window[1] else ():
        assert not law.hours(who, moment)
        assert not law.of_number(who)
    if decision.route != "voice":
        return

    made = lead(decision, verdict, shopper, config)
    assert isinstance(made, Lead)
    caps = dict(made.caps)
    assert set(caps) == {DAY, 7 * DAY, 30 * DAY}
    for moment in (opens, closes - 0.001):
        assert forbidden(made, moment, config) is None
        past = History(last_activity=made.last_activity)
        there = Person(
            phone=made.phone, country=made.country, consent=who.consent, place=Place(made.jurisdictions, made.zones)
        )
        assert may_call(there, past, moment, world.rules).allowed
        for _ in range(5):
            made_calls = tuple(
                moment - dice.choice((1, 7, 30)) * DAY * dice.random() for _ in range(dice.randrange(12))
            )
            capped = any(sum(moment - call < seconds for call in made_calls) >= calls for seconds, calls in made.caps)
            assert capped == bool(list(law.of_calls(who, History(to_number=made_calls), moment)))

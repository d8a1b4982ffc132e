"""Address and network count beside the number: from the shop's events, through the state, to the rules of calls."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.source import Shop, Source
from ingest.sources import SOURCES
from ringback.decisions import Lead, Reason
from ringback.records import CartEvent, EventKind, Shopper
from stream import details
from stream.carts import ShopperState, decode_state, encode_state
from stream.details import Details
from stream.partition import Partition
from tests.ingest.sources import samples
from tests.stream.shop import ADA, NOON, added, event, feed, held, partition, settings, take_over

HALF_AN_HOUR = 1800.0
MORNING = -9_000.0  # 07:43 in New York, 06:43 in Chicago
AFTERNOON = 27_000.0  # 17:43 in New York, 16:43 in Chicago
EVENING = 37_000.0  # 20:30 in New York, 19:30 in Chicago
# 08:00, 20:00 and 21:00 in New York that day, and 08:00 in Chicago.
EIGHT, EIGHT_IN_CHICAGO, TWENTY, TWENTY_ONE = NOON - 8_000, NOON - 4_400, NOON + 35_200, NOON + 38_800
SKEW = 10.0  # twice compliance.clock_skew
# The whole day and week, so that only the law's hours are left.
LAW_ALONE = settings(compliance__hours={"US": {"open": "00:00", "close": "24:00", "days": [0, 1, 2, 3, 4, 5, 6]}})
# Whose number is New York's, and of whom nothing else is known but the clock of a device there.
UNPLACED = msgspec.structs.replace(ADA, timezone=None)
FLORIDA = msgspec.structs.replace(ADA, region="US-FL")
FLORIDAS_ZONES = ("America/Chicago", "America/New_York")


def due(at: float, *told: Shopper, part: Partition | None = None) -> Partition:
    """A partition in which one cart, of whom the events told so much, becomes due ``at`` seconds after `NOON`."""
    part = part or partition(LAW_ALONE)
    log = [event(EventKind.IDENTIFIED, at - HALF_AN_HOUR - 60 + n, shopper=who) for n, who in enumerate(told)]
    feed(part, [*log, added(at - HALF_AN_HOUR, shopper=None)])
    part.tick(NOON + at)
    return part


def lead_of(part: Partition) -> Lead:
    (lead,) = part.take_effects().hopper
    assert isinstance(lead, Lead)
    return lead


def who(part: Partition) -> Shopper:
    known = held(part)[b"ada"].shopper
    assert known is not None
    return known


def test_a_floridan_with_a_new_york_number_is_judged_by_both() -> None:
    at_home, away = lead_of(due(AFTERNOON, ADA)), lead_of(due(AFTERNOON, FLORIDA))
    assert (at_home.jurisdictions, at_home.zones) == (("US", "US-NY"), ("America/New_York",))
    assert (away.jurisdictions, away.zones) == (("US", "US-FL", "US-NY"), FLORIDAS_ZONES)
    assert at_home.callable_until == pytest.approx(TWENTY_ONE, abs=SKEW)
    assert away.callable_until == pytest.approx(TWENTY, abs=SKEW)


def test_floridas_evening_ends_before_new_yorks() -> None:
    assert lead_of(due(EVENING, ADA)).callable_from == NOON + EVENING
    effects = due(EVENING, FLORIDA).take_effects()
    assert effects.hopper == []
    assert [decision.reason for decision in effects.decisions] == [Reason.OUTSIDE_HOURS]


def test_the_morning_begins_when_it_has_begun_in_both_zones() -> None:
    assert lead_of(due(MORNING, ADA)).callable_from == pytest.approx(EIGHT, abs=SKEW)
    assert lead_of(due(MORNING, FLORIDA)).callable_from == pytest.approx(EIGHT_IN_CHICAGO, abs=SKEW)


def test_a_network_in_another_zone_counts_as_any_state_there() -> None:
    lead = lead_of(due(MORNING, msgspec.structs.replace(ADA, ip_timezone="America/Chicago")))
    assert lead.zones == FLORIDAS_ZONES
    assert {"US-FL", "US-NY", "US-TX"} < set(lead.jurisdictions)
    assert lead.callable_from >= EIGHT_IN_CHICAGO


def sample(platform: str, name: str, **changes: Any) -> tuple[Source, Shop, dict[str, str], dict[str, Any]]:
    told = samples.fixture(platform, name)
    headers = {header.lower(): value for header, value in told["headers"].items()}
    return SOURCES[platform], Shop(platform, "example", currency="USD"), headers, {**told["body"], **changes}


AT_HOME = {"country": "US", "state": "FL", "phone": "(212) 555-0123"}
SHOPIFY = {"country_code": "US", "province_code": "FL", "phone": "(212) 555-0123"}
NATIVE = {"phone": "+12125550123", "country": "US", "region": "US-FL"}
SEGMENT = {"phone": "+12125550123", "address": {"country": "USA", "state": "FL"}}
GEO = {"geo": {"timezone": "America/Chicago"}}
FROM_SHOPS = [
    sample("shopify", "checkouts-update", shipping_address=SHOPIFY),
    sample("woocommerce", "order-created", billing=AT_HOME, shipping={}),
    sample("segment", "identify", traits=SEGMENT, context={}),
    sample("segment", "identify", traits={"phone": "+12125550123"}, context=GEO, channel="web"),
    sample("snowplow", "add-to-cart", geo_timezone="America/Chicago"),
    sample("native", "identified", shopper=NATIVE),
    sample("cloudevents", "binary", shopper=NATIVE),
]


@pytest.mark.parametrize("sent", FROM_SHOPS, ids=[f"{one[0].name}{n}" for n, one in enumerate(FROM_SHOPS)])
def test_what_any_platform_tells_of_florida_reaches_the_rules(
    sent: tuple[Source, Shop, dict[str, str], dict[str, Any]],
) -> None:
    (told,) = samples.parsed(*sent)
    assert isinstance(told, CartEvent)
    assert told.shopper is not None
    placed = msgspec.structs.replace(told.shopper, consent=None)
    lead = lead_of(due(MORNING, UNPLACED, placed))
    assert lead.zones == FLORIDAS_ZONES
    assert {"US-NY", "US-FL"} <= set(lead.jurisdictions)
    assert (lead.jurisdictions == ("US", "US-FL", "US-NY")) == (placed.region == "US-FL")
    assert lead.callable_from >= EIGHT_IN_CHICAGO


def test_the_newest_address_and_network_hold_whatever_order_they_come_in() -> None:
    there = Shopper(region="US-FL", ip_timezone="America/Chicago")
    moved = Shopper(region="US-NY", ip_timezone="America/New_York")
    log = [event(EventKind.IDENTIFIED, at, shopper=one) for at, one in ((0, ADA), (1, there), (2, moved))]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        part = partition(LAW_ALONE)
        feed(part, [log[n] for n in order])
        assert (who(part).region, who(part).ip_timezone) == ("US-NY", "America/New_York")
        assert who(part).timezone == ADA.timezone


def test_two_who_turn_out_to_be_one_are_where_either_was() -> None:
    part = partition(settings(kafka__partitions=1))
    feed(
        part,
        [
            event(EventKind.IDENTIFIED, 0, "ada", shopper=UNPLACED),
            event(EventKind.IDENTIFIED, 1, "bob", shopper=Shopper(region="US-FL", ip_timezone="America/Chicago")),
            event(EventKind.MOVED, 2, "bob", other="ada", shopper=None),
        ],
    )
    (handed,) = part.take_effects().forwards
    absorbed = event(EventKind.ABSORBED, 2, "ada", other="bob", shopper=None)
    feed(part, [absorbed, handed], first_offset=3)
    assert who(part) == msgspec.structs.replace(UNPLACED, region="US-FL", ip_timezone="America/Chicago")


def test_whoever_is_erased_is_nowhere() -> None:
    part = partition(LAW_ALONE)
    feed(part, [event(EventKind.IDENTIFIED, 0, shopper=FLORIDA), event(EventKind.ERASED, 1, shopper=None)])
    assert b"US-FL" in encode_state(ShopperState(details=details.told(None, FLORIDA, NOON)))
    assert b"US-FL" not in encode_state(held(part)[b"ada"])


def test_a_state_from_before_address_and_network_were_known_goes_on() -> None:
    before = partition(LAW_ALONE)
    feed(before, [event(EventKind.IDENTIFIED, 0, shopper=ADA)])
    part = partition(LAW_ALONE)
    part.states.put(b"ada", decode_state(_as_before(held(before)[b"ada"])))
    assert who(part) == ADA
    feed(part, [event(EventKind.IDENTIFIED, 1, shopper=Shopper(region="US-FL"))], first_offset=1)
    assert who(part) == FLORIDA
    after = partition(LAW_ALONE)
    take_over(after, held(part))
    assert who(after) == FLORIDA


def _as_before(state: ShopperState) -> bytes:
    """A state as it was written when its details ended with consent."""
    raw = encode_state(state)
    header, told = raw[:17], msgspec.msgpack.decode(raw[17:])
    (place,) = [n for n, name in enumerate(ShopperState.__struct_fields__) if name == "details"]
    told[place] = told[place][:3]
    return header + msgspec.msgpack.encode(told)


SHOPPERS = st.builds(
    Shopper,
    country=st.sampled_from([None, "US", "GB"]),
    region=st.sampled_from([None, "US-FL", "US-NY"]),
    ip_timezone=st.sampled_from([None, "America/Chicago", "Europe/London"]),
)
TOLD = st.builds(details.told, st.none(), SHOPPERS, st.sampled_from([NOON, NOON + 1, NOON + 2]))


@given(TOLD, TOLD, TOLD)
def test_details_unite_in_any_order(one: Details, two: Details, three: Details) -> None:
    all_ways = [
        details.united(details.united(one, two), three),
        details.united(one, details.united(two, three)),
        details.united(details.united(three, one), two),
    ]
    assert all_ways[0].shopper == all_ways[1].shopper == all_ways[2].shopper
    assert details.united(one, one) == one

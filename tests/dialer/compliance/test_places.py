import pytest

from dialer.compliance.places import areas, place_of, zones_of_number
from ringback.calling_hours import DEFAULT_HOURS

EAST, CENTRAL, MOUNTAIN, WEST = "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"
MAINLAND = DEFAULT_HOURS["US"].timezones


@pytest.mark.parametrize(
    ("code", "zones"),
    [
        ("850", {EAST, CENTRAL}),
        ("448", {EAST, CENTRAL}),
        ("270", {EAST, CENTRAL}),
        ("364", {EAST, CENTRAL}),
        ("915", {MOUNTAIN, CENTRAL}),
        ("432", {MOUNTAIN, CENTRAL}),
        ("928", {"America/Phoenix", MOUNTAIN}),
        ("212", {EAST}),
        ("808", {"Pacific/Honolulu"}),
    ],
)
def test_split_area_codes_have_all_their_zones(code: str, zones: set[str]) -> None:
    assert zones <= zones_of_number(f"+1{code}5550123", "US")


def test_our_table_has_every_area_code_once_and_never_less_than_libphonenumber() -> None:
    for code, states in areas().states.items():
        assert len(states) == 1, code
        country = next(iter(states))[:2]
        assert areas().zones[code] <= zones_of_number(f"+1{code}5550123", country)


def test_number_address_and_network_are_all_heeded() -> None:
    place = place_of("+12125550123", "US", CENTRAL, None, WEST)
    assert set(place.zones) == {EAST, CENTRAL, WEST}


def test_a_number_alone_settles_no_zone() -> None:
    assert set(place_of("+12125550123", "US", elsewhere=MAINLAND).zones) == set(MAINLAND)
    assert place_of("+12125550123", "US", EAST, elsewhere=MAINLAND).zones == (EAST,)
    assert place_of("+442079460123", "GB", elsewhere=("Europe/London",)).zones == ("Europe/London",)


@pytest.mark.parametrize("zone", ["../../etc/passwd", "", "\0", "no/such"])
def test_a_hostile_zone_is_unknown(zone: str) -> None:
    assert place_of("+12125550123", "US", zone, elsewhere=MAINLAND) == place_of(
        "+12125550123", "US", None, elsewhere=MAINLAND
    )


def test_states_are_those_of_the_number_and_of_the_address() -> None:
    assert place_of("+18505550123", "US", CENTRAL).codes == ("US", "US-FL")
    assert place_of("+18505550123", "US", CENTRAL, "US-AL").codes == ("US", "US-AL", "US-FL")


def test_whoever_lives_elsewhere_may_be_in_any_state_there() -> None:
    codes = place_of("+12125550123", "US", WEST).codes
    assert {"US", "US-NY", "US-WA", "US-NV", "US-OR", "US-CA"} <= set(codes)
    assert "US-FL" not in codes


def test_an_unknown_area_code_is_in_every_state() -> None:
    codes = place_of("+12275550123".replace("227", "000"), "US").codes
    assert len(codes) == 1 + sum(state.startswith("US-") for state in areas().zones_of_state)


def test_the_address_tells_all_zones_of_its_state() -> None:
    assert set(place_of("+16155550123", "US", None, "US-TN").zones) == {EAST, CENTRAL}


def test_each_zone_that_was_told_counts_for_itself() -> None:
    # Oregon lies in both zones; it must not stand for all the states of either.
    codes = place_of("+14045550123", "US", WEST, None, MOUNTAIN).codes
    assert {"US-GA", "US-WA", "US-CA", "US-UT", "US-WY"} <= set(codes)

"""Fictional people: always the same, never somebody real."""

import re
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.people import COUNTRY_PERCENT, RANGES, is_fictional, person

# Written down again, from the regulators' lists: US and CA, Ofcom, Arcep, Bundesnetzagentur.
FICTION = re.compile(
    r"\+1[2-9]\d\d55501\d\d"
    r"|\+44(2079460|1214960|1614960|1314960)\d{3}"
    r"|\+33(19900|26191|35301|46571|53649)\d{4}"
    r"|\+49(3023125|6990009|4066969|2214710|8999998)\d{3}"
)
ids = st.text(max_size=40)


@given(ids, st.integers(-5, 10**6))
def test_a_person_is_fictional_and_always_the_same(shopper_id: str, seed: int) -> None:
    who = person(shopper_id, seed)
    assert who == person(shopper_id, seed)
    assert who.name
    assert who.country in COUNTRY_PERCENT
    assert who.timezone is not None
    ZoneInfo(who.timezone)
    if who.phone is not None:
        assert FICTION.fullmatch(who.phone)
        assert is_fictional(who.phone)


@pytest.mark.parametrize("country", sorted(RANGES))
def test_every_range_can_be_dialled_in_its_country(country: str) -> None:
    for numbers in RANGES[country]:
        for phone in (numbers.number(0), numbers.number(numbers.count - 1)):
            parsed = phonenumbers.parse(phone)
            assert FICTION.fullmatch(phone)
            assert phonenumbers.is_possible_number(parsed)
            assert phonenumbers.is_valid_number(parsed)
            assert phonenumbers.region_code_for_number(parsed) == country


@pytest.mark.parametrize(
    "phone",
    ["", "+", "12125550100", "+12125550200", "+12125550099", "+442079461000", "+442079459999", "+33199010000", "+1٢"],
)
def test_what_is_not_in_a_range_is_not_fictional(phone: str) -> None:
    assert not is_fictional(phone)


def test_the_mix_is_as_written() -> None:
    everyone = [person(f"s{number}") for number in range(4000)]
    share = {country: sum(who.country == country for who in everyone) / 40 for country in COUNTRY_PERCENT}
    assert share == pytest.approx(COUNTRY_PERCENT, abs=3)
    voice = [who.consent.voice for who in everyone if who.consent]
    assert voice.count(True) / 40 == pytest.approx(70, abs=3)
    assert voice.count(False) > 0
    assert voice.count(None) > 0
    assert 0 < sum(who.phone is None for who in everyone) < 200


def test_another_seed_gives_other_people() -> None:
    assert sum(person(f"s{n}", 1) == person(f"s{n}", 2) for n in range(200)) < 5

"""What is no code of a state or a zone is unknown; nothing is guessed, and no event is lost for it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.whereabouts import alpha2, region_of, subdivision, zone
from ringback.validation import REGION


@pytest.mark.parametrize(
    ("country", "state", "region"),
    [
        ("US", "FL", "US-FL"),
        ("US", " fl ", "US-FL"),
        ("US", "us-fl", "US-FL"),
        ("CA", "ON", "CA-ON"),
        ("GB", "ENG", "GB-ENG"),
        ("JP", "JP-13", "JP-13"),
        (None, "us-fl", "US-FL"),
        ("GB", "US-FL", None),
        ("JP", "JP13", None),
        ("US", "Florida", None),
        ("US", "FL-", None),
        ("US", "F L", None),
        ("US", "ﬂ", None),
        ("US", "", None),
        ("US", None, None),
        (None, "FL", None),
        (None, None, None),
    ],
)
def test_a_state_is_its_code(country: str | None, state: str | None, region: str | None) -> None:
    assert subdivision(country, state) == region


@given(st.none() | st.sampled_from(["US", "GB"]), st.none() | st.text(max_size=8) | st.from_regex(r"[A-Za-z-]{1,6}"))
def test_whatever_is_given_is_a_region_of_the_country_or_none(country: str | None, state: str | None) -> None:
    region = subdivision(country, state)
    if region is not None:
        assert re.fullmatch(REGION, region)
        assert country in (None, region[:2])
        assert subdivision(country, region) == region


def test_the_first_address_in_the_country_that_names_a_state_holds() -> None:
    assert region_of("US", [("US", "FL"), ("US", "NY")]) == "US-FL"
    assert region_of("US", [("US", None), ("US", "NY")]) == "US-NY"
    assert region_of("US", [("CA", "ON"), ("US", "Florida"), ("US", "NY")]) == "US-NY"
    assert region_of("GB", [("US", "FL")]) is None
    assert region_of(None, [("US", "FL")]) is None
    assert region_of("US", []) is None


@pytest.mark.parametrize(("given", "code"), [("us", "US"), ("GB", "GB"), ("USA", None), ("ß", None), ("", None)])
def test_a_country_is_two_letters(given: str, code: str | None) -> None:
    assert alpha2(given) == code


@pytest.mark.parametrize("name", [None, "", "Florida", "EST5EDT5", "../../etc/passwd", "America/" + "x" * 5000, "\0"])
def test_what_is_no_zone(name: str | None) -> None:
    assert zone(name) is None


def test_a_zone_is_an_iana_name() -> None:
    assert zone("America/Chicago") == "America/Chicago"

"""Where visits come from, in platforms' own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.traffic import SOURCES, source


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("direct", "direct"),
        ("(direct) / (none)", "direct"),
        ("organic", "search"),
        ("google / organic", "search"),
        ("www.google.com", "search"),
        ("paid_search", "advert"),
        ("google / cpc", "advert"),
        ("facebook / paid_social", "advert"),
        ("Newsletter", "email"),
        ("e-mail", "email"),
        ("mail.google.com", "email"),
        ("l.facebook.com / referral", "social"),
        ("organic_social", "social"),
        ("blog.example / referral", "referral"),
        ("affiliates", "referral"),
        ("(not set)", None),
        ("elsewhere", None),
        ("", None),
    ],
)
def test_words_tell_the_source(told: str, expected: str | None) -> None:
    assert source(told) == expected


@pytest.mark.parametrize("one", SOURCES)
def test_a_source_is_its_own(one: str) -> None:
    assert source(one) == one


@given(st.text())
def test_any_text_has_a_source_or_none(told: str) -> None:
    assert source(told) in {*SOURCES, None}

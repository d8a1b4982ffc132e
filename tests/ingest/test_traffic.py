"""Where visits come from, as platforms tell it, without anything else of the addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.traffic import LONGEST, campaign, referral, tagged


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/collections?utm_source=google&utm_medium=cpc&utm_term=jo@example.com", "google / cpc"),
        ("https://shop.example/?utm_medium=email", "email"),
        ("/?gclid=abc", "google / cpc"),
        ("/", None),
        ("", None),
        (None, None),
        ("http://[broken?utm_source=x", None),
        ("/?" + "a=1&" * 100 + "utm_source=x", None),
    ],
)
def test_the_campaign_of_a_landing_page(url: str | None, expected: str | None) -> None:
    assert tagged(url) == expected


@pytest.mark.parametrize(
    ("referrer", "page", "expected"),
    [
        ("https://www.google.com/search?q=jo@example.com", None, "www.google.com / referral"),
        ("https://shop.example/cart", "https://shop.example/checkout", None),
        ("https://jo:secret@blog.example:8080/", "https://shop.example/", "blog.example / referral"),
        ("", "https://shop.example/", None),
        (None, None, None),
        ("no address", None, None),
        ("http://[broken", None, None),
    ],
)
def test_the_host_of_a_referring_page(referrer: str | None, page: str | None, expected: str | None) -> None:
    assert referral(referrer, page) == expected


@given(st.text(), st.text())
def test_whatever_is_told_stays_short(one: str, other: str) -> None:
    told = (campaign({"source": one, "medium": other}, "source", "medium"), referral(one, other), tagged(one))
    assert all(text is None or len(text) <= 2 * LONGEST + 3 for text in told)

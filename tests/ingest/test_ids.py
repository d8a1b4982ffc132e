"""Ids of shoppers and of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.ids import email, event_id, ref
from ringback.validation import LONGEST_ID

PARTS = st.lists(st.text(min_size=1, max_size=150), min_size=2, max_size=2)


@pytest.mark.parametrize(("value", "expected"), [("u1", "u1"), (" u1 ", "u1"), (7, "7"), ("x" * 256, "x" * 256)])
def test_an_id(value: object, expected: str) -> None:
    assert ref({"id": value}, "id") == expected


@pytest.mark.parametrize("value", [None, "", " ", "NULL", "Undefined", 0, "x" * 257, 1.5, True, [], {}])
def test_no_id(value: object) -> None:
    assert ref({"id": value}, "id") is None
    assert ref({"id": value, "other": "u1"}, "id", "other") == "u1"


def test_an_address() -> None:
    assert email({"email": " Jo@Example.com "}, "email") == "jo@example.com"
    for value in ("jo", "@example.com", "jo@", "jo @example.com", 7, None):
        assert email({"email": value}, "email") is None


@given(PARTS, PARTS)
def test_event_ids_are_the_same_for_the_same_parts_only(one: list[str], other: list[str]) -> None:
    assert (event_id(*one) == event_id(*other)) == (one == other)
    assert len(event_id(*one)) <= LONGEST_ID

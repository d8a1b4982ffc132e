"""Phone numbers are never guessed; consent is yes, no or unknown."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contact import answer, consent_at, country_of, e164, joined
from ingest.source import Shop
from ringback.records import Consent
from ringback.validation import E164
from tests.ingest.sources.samples import json_values

SHOP = Shop("shopify", "example", consent={"voice": "note_attributes.call_me", "sms": "customer.sms"})


@pytest.mark.parametrize(
    ("raw", "country", "number"),
    [
        ("+44 20 7946 0123", None, "+442079460123"),
        ("020 7946 0123", "GB", "+442079460123"),
        ("020 7946 0123", "gb", "+442079460123"),
        ("0044 20 7946 0123", "DE", "+442079460123"),
        ("(212) 555-0147", "US", "+12125550147"),
        ("1-212-555-0147", "US", "+12125550147"),
        (2125550147, "US", "+12125550147"),
        (" 212.555.0147 ", "US", "+12125550147"),
        ("613-555-0110", "CA", "+16135550110"),
        ("(212) 555-0147", None, None),
        ("(212) 555-0147", "ZZ", None),
        ("555-0147", "US", None),
        ("212 555 0147 ext. 5", "US", None),
        ("0123", "GB", None),
        ("", "US", None),
        ("none", "US", None),
        ("1" * 10_000, "US", None),
        (10**50, "US", None),
        (-2125550147, "US", None),
        (2125550147.0, "US", None),
        (True, "US", None),
        (None, "US", None),
        (["+442079460123"], "US", None),
    ],
)
def test_numbers(raw: object, country: str | None, number: str | None) -> None:
    assert e164(raw, country) == number


@given(
    raw=st.one_of(json_values, st.from_regex(r"\+?[0-9 ()-]{5,20}", fullmatch=True)),
    country=st.sampled_from([None, "US", "GB", "IN", "X"]),
)
def test_whatever_is_given_is_a_number_or_none(raw: object, country: str | None) -> None:
    number = e164(raw, country)
    if number is not None:
        assert re.fullmatch(E164, number)
        assert e164(number, None) == number
        assert country_of(number) is None or len(country_of(number) or "") == 2


@pytest.mark.parametrize(
    ("number", "country"),
    [("+442079460123", "GB"), ("+12125550147", "US"), ("+16135550110", "CA"), ("+80012345678", None), (None, None)],
)
def test_regions(number: str | None, country: str | None) -> None:
    assert country_of(number) == country


@pytest.mark.parametrize("value", [True, 1, "1", "yes", " YES ", "True", "opted-in", "Opted in", "granted"])
def test_yes(value: object) -> None:
    assert answer(value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "no", "No ", "false", "unsubscribed", "opted out", "declined"])
def test_no(value: object) -> None:
    assert answer(value) is False


@pytest.mark.parametrize(
    "value", [None, "", " ", "maybe", "pending", "not_subscribed", "yes please", 2, -1, 1.0, [], ["yes"], {"yes": True}]
)
def test_anything_else_is_unknown(value: object) -> None:
    assert answer(value) is None


def voice(payload: object, path: str = "note_attributes.call_me") -> bool | None:
    consent = consent_at(payload, Shop("shopify", "example", consent={"voice": path}), 1.0)
    return consent.voice if consent else None


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"a": {"b": "yes"}}, "a.b"),
        ({"a.b": "yes"}, "a.b"),
        ({"a": {"b.c": "yes"}}, "a.b.c"),
        ({"a.b": {"c": "yes"}}, "a.b.c"),
        ({"a": [{"name": "b", "value": "yes"}]}, "a.b"),
        ({"a": [{"key": "b", "value": "yes"}]}, "a.b"),
        ({"a": [{"key": "b.c", "value": "yes"}]}, "a.b.c"),
        ({"a": [{"id": 1, "key": "b", "value": {"c": 1}}]}, "a.b.c"),
        ({"a": [{"b": True}]}, "a.b"),
        ({"a": [{"key": "x", "value": "no"}, None, 3, {"key": "b", "value": "yes"}]}, "a.b"),
    ],
)
def test_paths(payload: object, path: str) -> None:
    assert voice(payload, path) is True


@pytest.mark.parametrize(
    "payload",
    [
        {},
        None,
        [],
        "yes",
        {"note_attributes": None},
        {"note_attributes": "call_me"},
        {"note_attributes": {"call_me": None}},
    ],
)
def test_where_a_path_leads_nowhere_all_is_unknown(payload: object) -> None:
    assert consent_at(payload, SHOP, 1.0) is None


@given(st.permutations(["yes", "no", "maybe"]), st.integers(1, 3))
def test_one_no_is_enough_and_a_yes_needs_all(answers: Sequence[str], count: int) -> None:
    told = answers[:count]
    pairs = [{"name": "call_me", "value": value} for value in told]
    expected = False if "no" in told else None if "maybe" in told else True
    assert voice({"note_attributes": pairs}) is expected


def test_consent_has_its_evidence_and_time() -> None:
    payload = {"note_attributes": [{"name": "call_me", "value": "yes"}], "customer": {"sms": "no"}}
    evidence = "shopify customer.sms, note_attributes.call_me"
    assert consent_at(payload, SHOP, 5.0) == Consent(voice=True, sms=False, evidence=evidence, captured=5.0)


@given(payload=json_values, path=st.text(alphabet="ab.", min_size=1, max_size=8))
def test_no_payload_and_no_path_does_harm(payload: Any, path: str) -> None:
    told = consent_at({"a": payload, "b": [payload]}, Shop("shopify", "example", consent={"chat": path}), 1.0)
    assert told is None or told.chat is not None


_consents = st.builds(
    Consent,
    voice=st.sampled_from([None, True, False]),
    sms=st.sampled_from([None, True, False]),
    evidence=st.sampled_from(["a", "b"]),
    captured=st.integers(1, 5).map(float),
)


@given(st.lists(_consents | st.none(), max_size=4))
def test_joined_answers_never_look_newer_and_a_no_never_older(consents: list[Consent | None]) -> None:
    told = [one for one in consents if one is not None]
    whole = joined(*consents)
    for channel in ("voice", "sms"):
        refusals = [one for one in told if getattr(one, channel) is False]
        result = getattr(whole, channel) if whole else None
        assert (result is False) == bool(refusals)
        if refusals:
            assert whole is not None
            assert whole.captured is not None
            assert whole.captured >= max(one.captured or 0 for one in refusals)
        if result:
            assert whole is not None
            assert whole.captured is not None
            assert whole.captured <= max(one.captured or 0 for one in told if getattr(one, channel))


def test_joined_consents_of_one_time_keep_all() -> None:
    first = Consent(voice=True, evidence="a", captured=1.0)
    second = Consent(sms=False, evidence="b", captured=1.0)
    assert joined(first, None, second) == Consent(voice=True, sms=False, evidence="b; a", captured=1.0)
    assert joined(None) is None
    assert joined() is None

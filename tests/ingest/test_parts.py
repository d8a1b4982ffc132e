"""Taking a body apart, and mending what JavaScript breaks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parts import MOST_EVENTS, readable, split
from ringback.errors import BadEvent
from ringback.records import DeadLetterReason


@given(st.text())
def test_good_json_stays_as_it_is(text: str) -> None:
    for body in (json.dumps(text).encode(), json.dumps(text, ensure_ascii=False).encode()):
        assert readable(body) == body


@given(st.text(alphabet=st.sampled_from('\ud83d\ude00\ude00a\\"u😀'), max_size=12))
def test_halves_of_characters_are_replaced(text: str) -> None:
    mended = json.loads(readable(json.dumps(text).encode()))
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert mended.encode() == mended.encode()
    assert mended.replace("\ufffd", "") == whole.replace("\ufffd", "")


def test_elements() -> None:
    assert split(b' [1, {"a": [2]}, "\xff"] ') == [b"1", b'{"a": [2]}', b'"\xff"']
    assert split(b"[]") == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", DeadLetterReason.WRONG_TYPE),
        (b"[1,", DeadLetterReason.MALFORMED),
        (b"", DeadLetterReason.MALFORMED),
        (b"[%s0]" % (b"0," * MOST_EVENTS), DeadLetterReason.TOO_LARGE),
        (b"[" * 100_000, DeadLetterReason.TOO_DEEP),
    ],
)
def test_what_is_no_array(body: bytes, reason: DeadLetterReason) -> None:
    with pytest.raises(BadEvent) as caught:
        split(body)
    assert caught.value.reason == reason

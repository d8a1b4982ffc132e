"""The depth of JSON is told exactly where it is JSON, and in linear time where it is anything."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.json_depth import depth_at_most

VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\/é ', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner, max_size=3)
    ),
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


@given(VALUES, st.booleans())
def test_exact_for_json(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    found = depth(value)
    assert depth_at_most(body, found)
    assert not found or not depth_at_most(body, found - 1)


@pytest.mark.parametrize(
    ("body", "most", "expected"),
    [
        (b"", 0, True),
        (b"[[[[", 3, False),
        (b'{"a":[{"b":[]}]}', 4, True),
        (b'{"a":[{"b":[]}]}', 3, False),
        (rb'"[[[[\"[[["', 0, True),
        (rb'"\\"[[', 1, False),
        (b'"[[[[', 0, True),
        (b'"[[[[\\', 0, True),
        (b"[] [] []", 1, True),
    ],
)
def test_brackets_in_strings_do_not_count(body: bytes, most: int, expected: bool) -> None:
    assert depth_at_most(body, most) is expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", [b"[", b'"', b"\\", b'"\\', b"[]", b'"a"', b"]", b'\\"', b"{}["])
def test_a_large_body_of_anything(unit: bytes) -> None:
    assert isinstance(depth_at_most(unit * (1024 * 1024 // len(unit)), 40), bool)


@given(st.binary(max_size=100), st.integers(0, 5))
def test_any_bytes(body: bytes, most: int) -> None:
    assert isinstance(depth_at_most(body, most), bool)

"""The golden fixtures as requests, and bodies that are nearly right."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

import ingest
from ingest.source import Parsed, Shop, Source
from ringback.settings import IngestSettings

FIXTURES = Path(ingest.__file__).parent / "fixtures"
LIMITS = IngestSettings()
NOW = 1_790_086_400.0  # a day after the first of the fixtures

_numbers = st.one_of(st.integers(), st.integers(-(10**60), 10**60), st.floats(allow_nan=False, allow_infinity=False))
_odd = st.sampled_from(
    ["", "0", "-1", "1e999999", "19.999", "NaN", "2026-13-01", "0001-01-01T00:00:00+14:00", "€", "\0"]
)
_leaves = st.one_of(st.none(), st.booleans(), _numbers, _odd, st.text(max_size=300))
json_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


class Sample(NamedTuple):
    """One fixture as it comes in: headers with lower-case names, and the body."""

    headers: dict[str, str]
    body: bytes


def names(platform: str) -> list[str]:
    return sorted(file.stem for file in (FIXTURES / platform).glob("*.json"))


def fixture(platform: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FIXTURES / platform / f"{name}.json").read_text())
    return loaded


def sample(platform: str, name: str) -> Sample:
    told = fixture(platform, name)
    headers = {header.lower(): value for header, value in told["headers"].items()}
    return Sample(headers, (told["text"] if "text" in told else json.dumps(told["body"])).encode())


def parsed(source: Source, shop: Shop, headers: Mapping[str, str], body: object, now: float = NOW) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return source.parse(headers, raw, shop=shop, now=now, limits=LIMITS)


@st.composite
def mutated(draw: st.DrawFn, original: Any) -> Any:
    """The same JSON with one to three values replaced or left out."""
    changed = deepcopy(original)
    for _ in range(draw(st.integers(1, 3))):
        node = changed
        while node:
            key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
            if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
                node = node[key]
                continue
            if draw(st.booleans()) and isinstance(node, dict):
                del node[key]
            else:
                node[key] = draw(json_values)
            break
    return changed

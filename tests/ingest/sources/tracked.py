"""Fixtures sent to a source, and any body at all."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import ingest
from ingest.source import Parsed, Refused, Shop, Source
from ringback.errors import BadEvent
from ringback.records import CartEvent, Item
from ringback.settings import IngestSettings

FIXTURES = Path(ingest.__file__).parent / "fixtures"
TIME = 1_790_000_000.0  # of the fixtures' events
NOW = TIME + 60
LIMITS = IngestSettings()
SECRETS = (b"old secret", b"new secret")

LAMP = Item(product_id="lamp-1", quantity=3, unit_price=1999, category="Lighting", brand="Lumen", title="Desk lamp")
ONE_LAMP = Item(product_id="lamp-1", unit_price=1999, category="Lighting", brand="Lumen", title="Desk lamp")


def names(platform: str) -> set[str]:
    return {file.stem for file in (FIXTURES / platform).glob("*.json")}


def fixture(platform: str, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FIXTURES / platform / f"{name}.json").read_text())
    return loaded


def sent(source: Source, body: object, headers: dict[str, str] | None = None, shop: Shop | None = None) -> Parsed:
    """What a source makes of a body: bytes, or anything that is JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return source.parse(lower, raw, shop=shop or Shop(source.name, "example"), now=NOW, limits=LIMITS)


def sent_fixture(source: Source, name: str, shop: Shop | None = None) -> list[CartEvent]:
    loaded = fixture(source.name, name)
    parsed = sent(source, loaded["body"], loaded["headers"], shop)
    events = [one for one in parsed if isinstance(one, CartEvent)]
    assert len(events) == len(parsed), parsed
    return events


def refused(parsed: Parsed) -> Refused:
    """The only one, which was refused."""
    (one,) = parsed
    assert isinstance(one, Refused)
    return one


def survives(source: Source, body: bytes, headers: dict[str, str] | None = None, shop: Shop | None = None) -> None:
    """Parse any body: good events, refusals that hold what was sent, or `BadEvent`; and the same again."""

    first, again = _outcome(source, body, headers, shop), _outcome(source, body, headers, shop)
    assert first == again


def _outcome(source: Source, body: bytes, headers: dict[str, str] | None, shop: Shop | None) -> list[object]:
    try:
        parsed = sent(source, body, headers, shop)
    except BadEvent as error:
        return [error.reason, error.detail]
    assert all(isinstance(one, CartEvent | Refused) for one in parsed)
    return [(str(one.error), one.raw, one.stop) if isinstance(one, Refused) else one for one in parsed]


_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_WORDS = st.sampled_from(["", " ", "0", "null", "USD", "EUR", "19.999", "-1", "1e400", "NaN", "2026-09-21T14:13:20Z"])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, platform: str) -> tuple[bytes, dict[str, str]]:
    """A fixture's body with some of its values replaced, then perhaps some of its bytes, and its headers."""
    loaded = fixture(platform, draw(st.sampled_from(sorted(names(platform)))))
    body = loaded["body"]
    for _ in range(draw(st.integers(0, 3))):
        body = _replaced(draw, body)
    raw = bytearray(json.dumps(body).encode())
    for _ in range(draw(st.integers(0, 2))):
        raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
    end = draw(st.none() | st.integers(0, len(raw)))
    return bytes(raw[:end]), loaded["headers"]


def _replaced(draw: st.DrawFn, node: Any) -> Any:
    if isinstance(node, dict) and node and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(node)))
        return {**node, name: _replaced(draw, node[name])}
    if isinstance(node, list) and node and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(node) - 1))
        return [*node[:place], _replaced(draw, node[place]), *node[place + 1 :]]
    return draw(ANY_JSON)

"""Fixtures as they are sent: authentic, fresh, understood, and shown without telling who it is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest import send_fixture
from ingest.send_fixture import Fixture, Order, fresh, load, names, send, sign
from ingest.source import Parsed, Shop
from ingest.sources import SOURCES
from ringback.cli import app
from ringback.errors import BadEvent
from ringback.records import CartEvent
from ringback.settings import IngestSettings
from ringback.settings import load as load_settings
from tests.ingest.door import NOW

SECRET = b"a secret"
LATER = NOW + 40 * 86400.5
PERSONAL = re.compile(r"@|555-?01|7946 ?0|Example|Sample|Model")


def headers_of(fixture: Fixture, platform: str, now: float) -> dict[str, str]:
    signed = fixture.headers | sign(platform, fixture.headers, fixture.content(), SECRET, now)
    return {name.lower(): value for name, value in signed.items()}


def parsed(fixture: Fixture, platform: str, now: float) -> Parsed | str:
    shop = Shop(platform, "example", currency="USD", country="US")
    try:
        return SOURCES[platform].parse(
            headers_of(fixture, platform, now), fixture.content(), shop=shop, now=now, limits=IngestSettings()
        )
    except BadEvent as error:
        return error.reason


def kinds(found: Parsed | str) -> object:
    return found if isinstance(found, str) else [getattr(one, "kind", one) for one in found]


def times(found: Parsed | str) -> list[float]:
    return [one.time for one in found if isinstance(one, CartEvent)]


def test_every_platform_has_fixtures() -> None:
    assert {name.partition("/")[0] for name in names()} == set(SOURCES)


@pytest.mark.parametrize("name", names())
def test_a_fixture_is_authentic(name: str) -> None:
    platform = name.partition("/")[0]
    fixture = fresh(load(name), "run", LATER)
    headers = headers_of(fixture, platform, LATER)
    source = SOURCES[platform]
    assert source.authentic(headers, fixture.content(), secrets=[b"other", SECRET], now=LATER, window=300)
    assert not source.authentic(headers, fixture.content(), secrets=[b"other"], now=LATER, window=300)


@pytest.mark.parametrize("name", names())
def test_a_fresh_fixture_is_understood_as_the_fixture_was(name: str) -> None:
    platform = name.partition("/")[0]
    renewed, again, other = (fresh(load(name), run, LATER) for run in ("run", "run", "another run"))
    assert renewed == again
    was, now = parsed(load(name), platform, NOW + 7200), parsed(renewed, platform, LATER)
    assert kinds(now) == kinds(was)
    assert all(LATER - 86400 < time <= LATER for time in times(now))
    ids = [
        {(one.event_id, one.order_id, one.refs) for one in found if isinstance(one, CartEvent)}
        for found in (was, now, parsed(other, platform, LATER))
        if not isinstance(found, str)
    ]
    for index, some in enumerate(ids):
        assert all(some.isdisjoint(rest) for rest in ids[:index])


def test_ids_that_were_the_same_stay_the_same() -> None:
    body = {
        "id": 12345,
        "cart_id": "12345",
        "token": "ab-Yz",
        "items": [{"id": 12345, "product_id": 7}],
        "product": {"id": 5},
        "email": "jo@example.com",
        "updated_at": "2026-09-21T14:13:20.5+02:00",
        "created_at": "2026-09-21T14:03:20+02:00",
        "timestamp": "1790000000",
        "phone": "+12025550143",
        "id_or_none": None,
    }
    found: Any = fresh(Fixture("", {"X-Shopify-Webhook-Id": "w1"}, body), "run", LATER)
    new = found.body
    assert isinstance(new["id"], int)
    assert new["id"] != 12345
    assert str(new["id"]) == new["cart_id"]
    assert re.fullmatch(r"[a-f]{2}-[A-Z][g-z][0-9]{7}", new["token"])
    assert new["items"] == body["items"]
    assert new["product"] == body["product"]
    assert re.fullmatch(r"jo\+[0-9a-f]{10}@example\.com", new["email"])
    assert (new["phone"], new["id_or_none"]) == ("+12025550143", None)
    assert int(new["timestamp"]) == int(LATER)
    assert new["updated_at"].endswith(".5+02:00")
    assert found.headers["X-Shopify-Webhook-Id"] != "w1"


def test_the_list() -> None:
    result = CliRunner().invoke(app, ["send-fixture"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == len(names())
    assert all(len(line.split(maxsplit=1)) == 2 for line in result.stdout.splitlines())


@pytest.mark.parametrize("name", names())
def test_what_is_shown_does_not_tell_who_it_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_fixture, "_post", lambda *_: (200, '{"results": []}'))
    secret = {"ingest.shops": {f"{name.partition('/')[0]}:example": {"secrets": ["s"], "currency": "USD"}}}
    sent = send(Order(name=name, to="http://127.0.0.1:8080/", shop="example"), load_settings(secret))
    assert sent.ok
    assert sent.url == f"http://127.0.0.1:8080/v1/{name.partition('/')[0]}/example"
    shown = "".join(line for line in sent.understood.splitlines() if '"source"' not in line and "evidence" not in line)
    assert not PERSONAL.search(shown), shown


def test_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: dict[str, Any] = {}

    def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        posted.update(url=url, headers=headers, body=json.loads(body))
        return 401, '{"error": "not signed"}'

    monkeypatch.setattr(send_fixture, "_post", post)
    file = tmp_path / "secret"
    file.write_text("first\nsecond\n")
    arguments = ["send-fixture", "segment/product-added", "--secret-file", str(file), "--as-is", "--shop", "other"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert '401 {"error": "not signed"}' in result.stdout
    fixture = load("segment/product-added")
    assert posted["body"] == fixture.body
    assert posted["headers"]["X-Signature"] == sign("segment", {}, fixture.content(), b"first", 0)["X-Signature"]
    assert posted["url"].endswith("/v1/segment/other")

"""The endpoints for shops: who is let in, what is taken, what is answered."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest import app as app_module
from ringback.records import EventKind
from tests.ingest.door import EVENT, NOW, Door, Stub, World, event, post_cart, settings_for, signature

# What is taken.


async def test_an_event_is_taken(world: World) -> None:
    answer = await world.door.send(EVENT)
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"status": "accepted", "event_id": "e1"}]}
    (event,) = await world.events()
    assert (event.shopper_id, event.kind, event.source) == ("s1", EventKind.ITEM_ADDED, "shop")
    assert event.received_wall > NOW / 2
    assert world.door.counted("accepted") == 1


@pytest.mark.parametrize("secret", ["shopify secret", "next shopify secret"])
async def test_a_webhook_of_a_platform_is_taken(world: World, secret: str) -> None:
    assert (await post_cart(world.door, secret)).status_code == 200
    (event,) = await world.events()
    assert (event.source, event.kind, event.currency) == ("shopify/example", EventKind.CART_SNAPSHOT, "USD")
    assert event.shopper_id
    assert event.refs is None


async def test_a_repeated_webhook_is_published_once(world: World) -> None:
    for _ in range(3):
        assert (await post_cart(world.door, "shopify secret")).status_code == 200
    assert len(await world.events()) == 1
    registry = world.door.metrics.registry
    assert registry.get_sample_value("ringback_ingest_events_total", {"result": "repeated"}) == 2


async def test_each_event_of_a_request_has_its_own_result(world: World) -> None:
    answer = await world.door.send([EVENT, {**EVENT, "event_id": "e2", "currency": "ABC"}])
    assert answer.status_code == 200
    accepted, refused = answer.json()["results"]
    assert accepted == {"status": "accepted", "event_id": "e1"}
    assert (refused["status"], refused["reason"]) == ("dead_letter", "unknown_currency")
    (letter,) = await world.letters()
    assert (letter.stage, letter.reason) == ("ingest", "unknown_currency")
    assert json.loads(letter.payload)["event_id"] == "e2"
    assert world.door.counted("dead_letter") == 1


async def test_authentic_nonsense_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(b"{nonsense")
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "malformed"
    assert [letter.payload for letter in await world.letters()] == [b"{nonsense"]


async def test_an_order_that_is_refused_stops_calls_all_the_same(world: World) -> None:
    await world.door.send({**EVENT, "kind": "order_completed", "value": -1})
    assert [event.kind for event in await world.events()] == [EventKind.ORDER_COMPLETED]
    assert [letter.reason for letter in await world.letters()] == ["negative_price"]


async def test_a_large_event_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send({**EVENT, "cart_id": "c" * 20_000})
    assert answer.status_code == 200
    assert answer.json()["results"][0]["reason"] == "too_large"


async def test_deep_json_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(b"[" * 41 + b"]" * 41)
    assert answer.status_code == 200
    assert [letter.reason for letter in await world.letters()] == ["too_deep"]


async def test_a_ping_is_answered_though_nobody_signed_it(world: World) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await world.door.post("/v1/woocommerce/example", b"webhook_id=17", headers)
    assert answer.status_code == 200
    assert world.door.counted("ping") == 1
    assert not await world.events()
    assert not await world.letters()


async def test_gzip(world: World) -> None:
    packed = gzip.compress(json.dumps(EVENT).encode())
    assert (await world.door.send(packed, Content_Encoding="gzip")).status_code == 200
    assert len(await world.events()) == 1


async def test_what_is_no_gzip_is_a_dead_letter(world: World) -> None:
    answer = await world.door.send(json.dumps(EVENT).encode(), Content_Encoding="gzip")
    assert answer.json()["results"][0]["reason"] == "malformed"
    assert len(await world.letters()) == 1


# Who is not let in.


@pytest.mark.parametrize(
    "given",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, signature(b"another body"), "sha256=é"],
)
async def test_a_wrong_signature(world: World, given: str) -> None:
    raw = json.dumps(EVENT).encode()
    headers = {"X-Ringback-Signature": given} if given else {}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer = await world.door._client.post("/v1/events", content=raw, headers=encoded)
    assert answer.status_code == 401
    assert world.door.counted("unauthentic") == 1
    assert not await world.events()
    assert not await world.letters()


async def test_another_secret(door: Door) -> None:
    assert (await post_cart(door, "woo secret")).status_code == 401


async def test_the_signature_is_of_the_bytes_as_they_came(door: Door) -> None:
    plain = json.dumps(EVENT).encode()
    headers = {"X-Ringback-Signature": signature(plain), "Content-Encoding": "gzip"}
    assert (await door.post("/v1/events", gzip.compress(plain), headers)).status_code == 401


@pytest.mark.parametrize("path", ["/v1/shopify/off", "/v1/shopify/unknown", "/v1/unknown/example", "/v1/ga4/example"])
async def test_unknown_shops_and_those_that_are_off_look_the_same(door: Door, path: str) -> None:
    answer = await post_cart(door, "shopify secret", path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "no such shop, or its endpoint is off: it has no secrets"}


async def test_an_empty_secret_is_no_secret(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path, secret=""), stub) as door:
        raw = json.dumps(EVENT).encode()
        answer = await door.send(raw, X_Ringback_Signature=signature(raw, ""))
        assert answer.status_code == 404
        assert "off" in answer.json()["error"]


# Limits.


async def test_a_body_without_end_is_not_read_to_it(stub: Stub, tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield bytes(1024)

    async with Door(settings_for(tmp_path, max_body_bytes=100_000), stub) as door:
        assert (await door.post("/v1/events", endless())).status_code == 413
        assert read < 110
        assert (await door.send(b" " * 100_001)).status_code == 413
        assert (await door.send(b" " * 100_000)).status_code == 200
        assert door.counted("rejected") == 2


async def test_a_body_that_is_large_after_gzip(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path, max_body_bytes=100_000), stub) as door:
        assert (await door.send(gzip.compress(bytes(100_001)), Content_Encoding="gzip")).status_code == 413
        assert not stub.taken


async def test_an_unknown_encoding(stub: Stub, tmp_path: Path) -> None:
    async with Door(settings_for(tmp_path), stub) as door:
        answer = await door.send(EVENT, Content_Encoding="br")
        assert answer.status_code == 415
        assert "gzip" in answer.json()["error"]


async def test_a_slow_client(stub: Stub, tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with Door(settings_for(tmp_path, client_timeout=0.05), stub) as door:
        answer = await door.post("/v1/events", slow())
        assert answer.status_code == 408
        assert answer.headers["Connection"] == "close"


async def test_too_many_at_once(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "MOST_REQUESTS", 2)
    stub.open.clear()
    async with Door(settings_for(tmp_path), stub) as door:
        sent = [asyncio.create_task(door.send(event(number))) for number in range(3)]
        (refused,), waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        assert (await refused).status_code == 503
        stub.open.set()
        assert [(await answer).status_code for answer in waiting] == [200, 200]
        assert (await door.send(event(10))).status_code == 200

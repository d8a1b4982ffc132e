"""The provider of messages, over real HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from ringback.errors import SettingsError
from simulation.provider import Posted, Provider

DEADLINE = 5.0
GOOD = {"to": "+12125550142", "text": "Your cart waits.", "channel": "sms", "message_id": "m1"}


class Listening:
    """A provider, and what it has taken."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Posted] = asyncio.Queue()
        self.provider = Provider(0, self.taken.put_nowait)


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    it = Listening()
    it.provider.start()
    yield it
    it.provider.stop()


async def post(it: Listening, body: object) -> httpx.Response:
    async with httpx.AsyncClient(timeout=DEADLINE) as client:
        return await client.post(it.provider.url, content=body if isinstance(body, bytes) else json.dumps(body))


async def test_a_message_is_taken_once_however_often_it_is_posted(listening: Listening) -> None:
    for _ in range(3):
        answer = await post(listening, GOOD)
        assert (answer.status_code, answer.json()) == (202, {"message_id": "m1"})
    await post(listening, GOOD | {"message_id": "m2"})
    async with asyncio.timeout(DEADLINE):
        assert [(await listening.taken.get()).message_id for _ in range(2)] == ["m1", "m2"]
    assert listening.taken.empty()


@pytest.mark.parametrize(
    "body",
    [b"no json", {}, GOOD | {"channel": "fax"}, GOOD | {"to": 5}, GOOD | {"extra": "1"}, [GOOD]],
)
async def test_what_is_no_message_is_refused_with_a_reason(listening: Listening, body: object) -> None:
    answer = await post(listening, body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert listening.taken.empty()


async def test_other_paths_and_giants_are_refused(listening: Listening) -> None:
    async with httpx.AsyncClient(timeout=DEADLINE) as client:
        assert (await client.post(listening.provider.url + "x", json=GOOD)).status_code == 404
    assert (await post(listening, GOOD | {"text": "x" * 20_000})).status_code == 413


async def test_a_taken_port_is_named(listening: Listening) -> None:
    port = int(listening.provider.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(SettingsError, match=str(port)):
        Provider(port, listening.taken.put_nowait)

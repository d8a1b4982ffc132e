from collections.abc import AsyncIterator

import pytest

from outreach.providers import HttpProvider, Undeliverable
from ringback.errors import Unavailable
from ringback.records import Channel
from ringback.settings import OutreachSettings
from tests.outreach.gateway import Gateway
from tests.servers.process import free_port

ARGUMENTS = ("message-1", "+12125550101", Channel.SMS, "Hello")


@pytest.fixture
async def provider(gateway: Gateway) -> AsyncIterator[HttpProvider]:
    provider = HttpProvider(gateway.settings())
    yield provider
    await provider.close()


async def test_a_message_is_posted_as_agreed(gateway: Gateway, provider: HttpProvider) -> None:
    await provider.send(*ARGUMENTS)
    expected = {"message_id": "message-1", "to": "+12125550101", "channel": "sms", "text": "Hello"}
    assert gateway.posted == [expected]
    assert gateway.idempotency_keys == ["message-1"]


async def test_the_token_is_sent(gateway: Gateway) -> None:
    gateway.token = "hush"
    knowing, ignorant = HttpProvider(gateway.settings(token="hush")), HttpProvider(gateway.settings())
    await knowing.send(*ARGUMENTS)
    with pytest.raises(Unavailable, match=r"HTTP 401: set outreach\.token"):
        await ignorant.send(*ARGUMENTS)
    await knowing.close()
    await ignorant.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_2xx_is_accepted(gateway: Gateway, provider: HttpProvider, status: int) -> None:
    gateway.status = status
    await provider.send(*ARGUMENTS)
    assert gateway.accepted == ["message-1"]


@pytest.mark.parametrize("status", [400, 409, 410, 422])
async def test_4xx_is_for_good(gateway: Gateway, provider: HttpProvider, status: int) -> None:
    gateway.status = status
    with pytest.raises(Undeliverable, match=f"http_{status}"):
        await provider.send(*ARGUMENTS)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504])
async def test_what_says_nothing_about_the_message_may_be_tried_again(
    gateway: Gateway, provider: HttpProvider, status: int
) -> None:
    gateway.status = status
    with pytest.raises(Unavailable, match=f"HTTP {status}") as raised:
        await provider.send(*ARGUMENTS)
    assert "555" not in str(raised.value)


async def test_a_redirect_is_not_followed(gateway: Gateway, provider: HttpProvider) -> None:
    async with Gateway() as elsewhere:
        gateway.status, gateway.headers = 307, {"Location": elsewhere.url}
        with pytest.raises(Unavailable, match="is that its address"):
            await provider.send(*ARGUMENTS)
        assert elsewhere.posted == []


async def test_no_answer_within_the_deadline(gateway: Gateway) -> None:
    gateway.silent = True
    provider = HttpProvider(gateway.settings(timeout=0.1))
    with pytest.raises(Unavailable, match=r"outreach\.timeout"):
        await provider.send(*ARGUMENTS)
    await provider.close()


async def test_nobody_there() -> None:
    provider = HttpProvider(OutreachSettings(url=f"http://127.0.0.1:{free_port()}/"))
    with pytest.raises(Unavailable, match="can't be reached"):
        await provider.send(*ARGUMENTS)
    await provider.close()

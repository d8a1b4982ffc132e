"""Who carries the messages: anything that takes one over HTTP and knows the same ``message_id`` again."""

from typing import Protocol

import aiohttp

from ringback.errors import RingbackError, Unavailable
from ringback.records import Channel
from ringback.settings import OutreachSettings

# Answers that say nothing about the message: wrong address or token, too early, too many. Redirects are not followed,
# so that a simulation's provider on loopback can't point elsewhere.
_ADDRESS = frozenset({301, 302, 303, 307, 308, 404, 405})
_TOKEN = frozenset({401, 403, 407})
_LATER = frozenset({408, 425, 429})
_CLIENT_ERRORS = range(400, 500)
_ACCEPTED = range(200, 300)


class Undeliverable(RingbackError):
    """The provider refused this message for good."""


class Provider(Protocol):
    """Sends messages."""

    async def send(self, message_id: str, to: str, channel: Channel, text: str) -> None:
        """Return when the provider has accepted the message. ``to`` is E.164.

        Raises `Undeliverable` when it never will, and `Unavailable` when the same may be tried again: the message may
        have been accepted all the same, and ``message_id`` is what the provider recognises it by.
        """
        ...


class HttpProvider:
    """POSTs JSON ``{"message_id", "to", "channel", "text"}`` to ``settings.url``.

    2xx: accepted. 4xx: refused for good, except 408, 425 and 429 (later) and those that a wrong address or token gives
    (401, 403, 404, 405, 407, and redirects). Everything else, no answer within ``settings.timeout`` and no connection
    are `Unavailable`. The provider must take the same ``message_id``, which is the Idempotency-Key too, for the same
    message.
    """

    def __init__(self, settings: OutreachSettings) -> None:
        if settings.url is None:
            raise ValueError("outreach.url is None")
        self._url = settings.url
        token = settings.token.get_secret_value()
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=aiohttp.ClientTimeout(total=settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def send(self, message_id: str, to: str, channel: Channel, text: str) -> None:
        """Send one message; see `Provider`."""
        content = {"message_id": message_id, "to": to, "channel": channel.value, "text": text}
        try:
            async with self._session.post(
                self._url, json=content, headers={"Idempotency-Key": message_id}, allow_redirects=False
            ) as answer:
                status = answer.status
        except TimeoutError:
            raise Unavailable("the provider at outreach.url did not answer within outreach.timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the provider at outreach.url can't be reached: {type(error).__name__}") from None
        if status in _ACCEPTED:
            return
        if status in _TOKEN:
            raise Unavailable(f"the provider at outreach.url answered HTTP {status}: set outreach.token")
        if status in _ADDRESS:
            raise Unavailable(f"the provider at outreach.url answered HTTP {status}: is that its address?")
        if status in _CLIENT_ERRORS and status not in _LATER:
            raise Undeliverable(f"http_{status}")
        raise Unavailable(f"the provider at outreach.url answered HTTP {status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

"""The one way in which Ringback connects to Redis."""

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ringback.settings import RedisSettings

# Hash: country -> business time at which its national do-not-call list was obtained. The hopper's scripts know by it
# when it is too old.
NATIONAL_LISTS = "ringback:national-lists"


class _Client(Redis):
    """redis-py keeps ``socket_timeout`` by `asyncio.wait_for`.

    On Python 3.11 that loses a cancellation which comes together with the answer, and a worker that is told to stop
    goes on for ever. So the deadline is kept here. It is for commands and scripts; pipelines and subscriptions have
    none of their own.
    """

    deadline: float

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async with asyncio.timeout(self.deadline):
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call] # it has no types


def connect(settings: RedisSettings) -> Redis:
    """A client that returns bytes, whose commands fail after ``settings.timeout`` seconds, and never repeats one.

    A step that was repeated behind the caller's back might be done twice. Failures are `redis.exceptions.RedisError` or
    OSError (a deadline that passed is a TimeoutError, which is one).
    """
    client = _Client.from_url(
        settings.url.get_secret_value(),
        socket_timeout=None,
        socket_connect_timeout=settings.timeout,
        retry=Retry(NoBackoff(), 0),
    )
    assert isinstance(client, _Client)  # noqa: S101 - from_url is declared to return its base
    client.deadline = settings.timeout
    return client

"""The one way in which Ringback connects to Redis."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ringback.settings import RedisSettings


def connect(settings: RedisSettings) -> Redis:
    """A client that returns bytes, whose commands fail after ``settings.timeout`` seconds, and never repeats one.

    A step that was repeated behind the caller's back might be done twice.
    """
    client: Redis = Redis.from_url(
        settings.url.get_secret_value(),
        socket_timeout=settings.timeout,
        socket_connect_timeout=settings.timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return client

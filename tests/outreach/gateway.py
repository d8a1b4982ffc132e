"""A message provider for tests: a real HTTP server on loopback that answers as it is told."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

from ringback.settings import OutreachSettings

PATH = "/messages"
SLOW_S = 30.0


@dataclass
class Gateway:
    """Takes messages while it runs; ``port`` 0 takes a free one.

    ``status`` is answered to each; ``silent``: the message is taken, and the answer does not come. ``accepted`` are the
    ids answered with 2xx, ``posted`` all that came.
    """

    port: int = 0
    token: str = ""
    status: int = 202
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    posted: list[dict[str, str]] = field(default_factory=list)
    idempotency_keys: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    _runner: web.AppRunner | None = None

    async def _take(self, request: web.Request) -> web.Response:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        content = await request.json()
        self.posted.append(content)
        self.idempotency_keys.append(request.headers["Idempotency-Key"])
        if self.silent:
            await asyncio.sleep(SLOW_S)
        if 200 <= self.status < 300:
            self.accepted.append(content["message_id"])
        return web.Response(status=self.status, headers=self.headers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def settings(self, **more: object) -> OutreachSettings:
        return OutreachSettings.model_validate({"url": self.url, "shop_name": "Acme", "timeout": 2.0, **more})

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(PATH, self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site.port
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

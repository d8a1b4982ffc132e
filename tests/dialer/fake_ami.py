"""A small server that speaks AMI, with faults on demand."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Self

from ringback.dialer_settings import AmiSettings

Action = dict[str, str]
GREETING = b"Asterisk Call Manager/9.0.0\r\n"


class FakeAmi:
    """Answers log-ins and pings; everything else is asked of ``answer``, by default "Success".

    ``answer`` returns the raw messages to send, or None for silence. ``seen`` has every action in order.
    """

    def __init__(
        self, answer: Callable[[Action], list[Action] | None] | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.seen: list[Action] = []
        self.connections = 0
        self.greeting = GREETING
        self.refuse_login = False
        self.frozen = False
        self.cut_on: str | None = None
        self.boots = True
        self._answer = answer or (lambda _: [{"Response": "Success", "Message": "ok"}])
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.port = 0

    def settings(self, **changes: object) -> AmiSettings:
        quick = {"action_timeout": 5.0, "ping_interval": 5.0, "reconnect_max": 0.1, **changes}
        return AmiSettings.model_validate({"host": "127.0.0.1", "port": self.port, "secret": "s3cret", **quick})

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    async def stop_gently(self) -> None:
        """Stop, but let what was written arrive."""
        if self._server:
            self._server.close()
            for writer in self._writers:
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def cut(self) -> None:
        """Drop all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def raw(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    async def written(self) -> None:
        """Wait until the other side has taken most of what was written."""
        for writer in list(self._writers):
            await writer.drain()

    def event(self, name: str, **headers: object) -> None:
        self.raw(_wire({"Event": name, **{key: str(value) for key, value in headers.items()}}))

    def user_event(self, name: str, **headers: object) -> None:
        self.event("UserEvent", UserEvent=name, **headers)

    def actions(self, name: str) -> list[Action]:
        return [action for action in self.seen if action["Action"] == name]

    async def wait_for(self, name: str, count: int = 1) -> Action:
        """The ``count``-th action of this name, once it has come."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: len(self.actions(name)) >= count)
        return self.actions(name)[count - 1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        writer.write(self.greeting)
        try:
            while True:
                block = (await reader.readuntil(b"\r\n\r\n")).decode()
                action = dict(line.split(": ", 1) for line in block.strip().split("\r\n"))
                async with self._news:
                    self.seen.append(action)
                    self._news.notify_all()
                if self.frozen:
                    continue
                if action["Action"] == self.cut_on:
                    writer.transport.abort()
                    return
                for message in self._reply(action):
                    writer.write(_wire(message))
        except (OSError, EOFError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _reply(self, action: Action) -> list[Action]:
        same = {"ActionID": action["ActionID"]}
        match action["Action"]:
            case "Login" if self.refuse_login:
                return [{"Response": "Error", "Message": "Authentication failed", **same}]
            case "Login":
                booted = [{"Event": "FullyBooted", "Status": "Fully Booted"}] if self.boots else []
                return [{"Response": "Success", "Message": "Authentication accepted", **same}, *booted]
            case "Ping":
                return [{"Response": "Success", "Ping": "Pong", **same}]
            case _:
                return [{**message, **same} for message in self._answer(action) or []]


def _wire(message: Action) -> bytes:
    return "".join(f"{key}: {value}\r\n" for key, value in message.items()).encode() + b"\r\n"

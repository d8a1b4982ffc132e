"""A link to Asterisk's manager interface that breaks at the worst moment."""

import asyncio
from contextlib import suppress
from enum import Enum, auto

CHUNK = 64 * 1024
QUEUED = b"Originate successfully queued"


class Cut(Enum):
    """When the link breaks: an Originate is accepted, and its answer is swallowed or has just been passed on."""

    BEFORE_THE_ANSWER = auto()
    AFTER_THE_ANSWER = auto()


class AmiLink:
    """Passes on to ``behind`` on 127.0.0.1, from `port`. ``cut`` breaks the link at the next Originate, once."""

    def __init__(self, behind: int) -> None:
        self.cut: Cut | None = None
        self.cuts = 0
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "AmiLink":
        self._server = await asyncio.start_server(self._linked, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("it does not listen yet")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _linked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection is served by a task")
        self._links.add(task)
        ends = [writer]
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._behind)
            ends.append(back)
            ways = {asyncio.create_task(_pass(reader, back)), asyncio.create_task(self._return(there, writer))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        for end in ends:
            end.transport.abort()
        self._links.discard(task)

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(CHUNK):
            cut = self.cut if QUEUED in piece else None
            if cut is not Cut.BEFORE_THE_ANSWER:
                writer.write(piece)
                await writer.drain()
            if cut is not None:
                self.cut = None
                self.cuts += 1
                return


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(CHUNK):
        writer.write(piece)
        await writer.drain()

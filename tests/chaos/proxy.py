"""A TCP proxy that may be slow: before the broker, for clients that know no other way to it."""

import asyncio
from contextlib import suppress

CHUNK = 64 * 1024


class Proxy:
    """Passes on from ``port`` to ``behind``, both on 127.0.0.1. ``latency``: seconds added to each direction."""

    def __init__(self, port: int, behind: int) -> None:
        self.latency = 0.0
        self._port = port
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        ends = [writer]
        with suppress(OSError, asyncio.CancelledError):
            there, back = await asyncio.open_connection("127.0.0.1", self._behind)
            ends.append(back)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        for end in ends:
            end.close()
        for end in ends:
            with suppress(OSError):
                await end.wait_closed()
        self._connections.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, each piece after the latency of its arrival, in order."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.create_task(_send(waiting, writer))
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):
                while piece := await reader.read(CHUNK):
                    waiting.put_nowait((loop.time() + self.latency, piece))
            waiting.put_nowait((loop.time(), b""))
            await sending
        finally:
            sending.cancel()
            writer.close()


async def _send(waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while True:
            due, piece = await waiting.get()
            if not piece:
                return
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            writer.write(piece)
            await writer.drain()

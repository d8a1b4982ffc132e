"""A small AMI client for tests, on plain asyncio streams. It keeps every event: none is missed by looking late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.servers.asterisk import Asterisk

Message = dict[str, str]
EVENT_DEADLINE_S = 20.0


class AmiError(Exception):
    """Asterisk refused an action; the message is Asterisk's."""


class AmiSession:
    """One logged-in connection. `events` holds everything received that is not an answer, in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: list[Message] = []
        self._writer = writer
        self._answers: dict[str, asyncio.Future[Message]] = {}
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        await reader.readline()  # the greeting
        while not reader.at_eof():
            block = await _block(reader)
            # An OriginateResponse has both fields.
            if "Event" in block:
                async with self._news:
                    self.events.append(block)
                    self._news.notify_all()
            elif (answer := self._answers.pop(block.get("ActionID", ""), None)) is not None:
                answer.set_result(block)
        for answer in self._answers.values():
            answer.set_exception(ConnectionError("Asterisk closed the connection"))

    async def action(self, name: str, /, *variables: str, **fields: object) -> Message:
        """Send an action and return Asterisk's answer. Raises `AmiError` when it is refused."""
        action_id = uuid4().hex
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[action_id] = answer
        lines = [f"Action: {name}", f"ActionID: {action_id}"]
        lines += [f"{key}: {value}" for key, value in fields.items()]
        lines += [f"Variable: {variable}" for variable in variables]
        self._writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        await self._writer.drain()
        async with asyncio.timeout(EVENT_DEADLINE_S):
            block = await answer
        if block["Response"] in {"Error", "Goodbye"} and name != "Logoff":
            raise AmiError(block.get("Message", "refused"))
        return block

    async def event(self, matches: Callable[[Message], bool] | None = None, /, **fields: str) -> Message:
        """The first event, past or coming, that has all these fields and matches. `TimeoutError` lists what came."""

        def wanted(event: Message) -> bool:
            same = all(event.get(key) == value for key, value in fields.items())
            return same and (matches is None or matches(event))

        def first() -> Message | None:
            return next(filter(wanted, self.events), None)

        try:
            async with asyncio.timeout(EVENT_DEADLINE_S), self._news:
                while (found := first()) is None:
                    await self._news.wait()
                return found
        except TimeoutError:
            came = [event.get("UserEvent", event.get("Event")) for event in self.events]
            raise TimeoutError(f"no event {fields} within {EVENT_DEADLINE_S} s; these came: {came}") from None

    async def user_event(self, name: str, /, **fields: object) -> None:
        """Send a UserEvent to everyone who listens."""
        await self.action("UserEvent", UserEvent=name, **fields)

    async def disposition(self, call_id: str, agent: str, code: str) -> None:
        """What an agent's desktop sends after a conversation."""
        await self.user_event("RingbackDisposition", CallID=call_id, Agent=agent, Disposition=code)

    async def log_in_agent(self, agent: str) -> str:
        """Nail up an agent's leg and wait until it is ready; returns its channel id, which `hang_up` takes."""
        channel = uuid4().hex
        await self.action(
            "Originate",
            Channel=f"Local/{agent}@ringback-agent",
            ChannelId=channel,
            Application="Wait",
            Data="3600",
            Async="true",
        )
        await self.event(lambda e: e.get("Linkedid") == channel, UserEvent="RingbackAgent", Agent=agent, State="ready")
        # "ready" is told on the way into the bridge where the leg rests.
        await self.event(Event="BridgeEnter", Linkedid=channel)
        return channel

    async def hang_up(self, channel: str) -> None:
        await self.action("Hangup", Channel=channel, Cause="16")

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()


async def _block(reader: asyncio.StreamReader) -> Message:
    """The fields of the next message; {} at the end and after a message with a blank line of its own.

    Of repeated fields the last one stays.
    """
    fields: Message = {}
    while line := (await reader.readline()).decode(errors="replace").rstrip("\r\n"):
        key, _, value = line.partition(": ")
        fields[key] = value
    return fields


@asynccontextmanager
async def ami_session(server: Asterisk, user: str = Asterisk.tester) -> AsyncIterator[AmiSession]:
    """Log in to the server as `tester`, or as `ringback` with the rights of the dialer."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    session = AmiSession(reader, writer)
    try:
        await session.action("Login", Username=user, Secret=server.secret_of(user))
        await session.event(Event="FullyBooted")
        yield session
    finally:
        await session.close()

"""The link to Asterisk's manager interface (AMI): panoramisk's messages and actions on a connection of our own.

panoramisk 1.4 sends an action again that was under way when the link died, and for a dialer that is a second call to
one person. Here nothing is queued, nothing is sent twice, every action has a deadline, and an action whose answer did
not come has an unknown outcome: the caller must look at what lives in Asterisk (``CoreShowChannels``). What comes in is
only enqueued while it is read, and a handler that fails harms nothing but its own message.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

from panoramisk.actions import Action
from panoramisk.message import Message

from ringback.dialer_settings import AmiSettings
from ringback.errors import RingbackError, Unavailable

log = logging.getLogger(__name__)

MESSAGE_BYTES = 256 * 1024
# Events that wait for their handler, and rows of one list: more than that nobody can use.
MOST_WAITING = 100_000
FIRST_PAUSE_SECONDS = 0.2
# Asterisk counts failed log-ins, and whoever watches it may block an address that keeps trying.
AUTH_PAUSE_SECONDS = 30.0
_END = b"\r\n\r\n"
_FORBIDDEN = frozenset("\r\n\0")

Value = str | int | float | list[str]
Messages = list[Message]


class NotConnected(Unavailable):
    """There is no link to Asterisk: the action was not sent."""


class OutcomeUnknown(RingbackError):
    """The action was sent and not answered: it may have been done, or be done yet."""


class LinkLost(OutcomeUnknown):
    """The link died before the answer."""


class DeadlinePassed(OutcomeUnknown):
    """No answer in time."""


class ActionRefused(RingbackError):
    """Asterisk answered with an error."""


class AuthFailed(RingbackError):
    """Asterisk refuses ami.user or ami.secret."""


class _Garbage(ConnectionError):
    """What came is no AMI."""


class _Pending:
    """An action that waits for its answer, and for the events of its list if it is one."""

    def __init__(self, name: str, *, listing: bool) -> None:
        self.name = name
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.items: Messages | None = [] if listing else None

    def take(self, message: Message) -> bool:
        """Use a message with this action's id; whether it was one of the action's own."""
        if "Event" not in message:
            if not (self.items is not None and message.success):
                self._finish(message)
            return True
        if self.items is None:
            return False
        if str(message["Event"]).endswith("Complete"):
            self._finish(message)
        elif len(self.items) < MOST_WAITING:
            self.items.append(message)
        else:
            raise _Garbage(f"the list that answers {self.name} has no end")
        return True

    def _finish(self, message: Message) -> None:
        if not self.answer.done():
            self.answer.set_result(message)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # whoever waited may be gone: that is no unhandled error


class Ami:
    """A link that stands by itself: it connects, logs in, is watched, and comes back.

    ``on_event`` gets each event that belongs to no list, in order; ``on_up`` and ``on_down`` tell that actions can be
    sent, or no longer. All three are called from the event loop and must not block; what they raise is logged.
    ``observe`` gets the name and the seconds of each answered action. Run `run` in a task; cancelling it closes the
    link for good.
    """

    def __init__(
        self,
        settings: AmiSettings,
        on_event: Callable[[Message], None],
        on_up: Callable[[], None],
        on_down: Callable[[], None],
        *,
        observe: Callable[[str, float], None] | None = None,
        auth_pause: float = AUTH_PAUSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._tls = settings.context()
        self._on_event = on_event
        self._on_up = on_up
        self._on_down = on_down
        self._auth_pause = auth_pause
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[str, _Pending] = {}
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._booted = asyncio.Event()
        self._up = False
        self._was_up = False
        self._complaint = ""
        self._observe = observe

    @property
    def connected(self) -> bool:
        """Whether actions can be sent."""
        return self._up

    async def send(self, action: str, **headers: Value) -> Message:
        """Send an action and return Asterisk's answer, which may be an error: see ``Message.success``.

        For an Originate this is the word that it is queued; the OriginateResponse comes as an event, and bears the
        ``ActionID`` that was given here. Raises `NotConnected` (certainly not done), `OutcomeUnknown`, or `ValueError`
        for a value with a line break or NUL.
        """
        return (await self._exchange(action, headers, listing=False))[0]

    async def list(self, action: str, **headers: Value) -> Messages:
        """Send an action that answers with a list of events, and return these.

        Raises as `send`, and `ActionRefused`.
        """
        answer, items = await self._exchange(action, headers, listing=True)
        if "Event" not in answer:
            raise ActionRefused(f"Asterisk refuses {action}: {answer.message}; see the rights in manager.conf")
        return items

    async def run(self) -> None:
        """Keep the link until cancelled."""
        backoff = FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._session()
            except AuthFailed as error:
                self._complain(str(error), logging.ERROR)
                pause = self._auth_pause
            except (OSError, EOFError, TimeoutError, OutcomeUnknown, asyncio.LimitOverrunError) as error:
                self._complain(f"{_place(self._settings)}: {_reason(error)}; trying again", logging.WARNING)
                # A server that takes the log-in and hangs up again is none to hurry back to.
                lasted = self._was_up and time.monotonic() - began > self._settings.reconnect_max
                pause = FIRST_PAUSE_SECONDS if lasted else backoff
                backoff = min(pause * 2, self._settings.reconnect_max)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter is no secret

    async def _session(self) -> None:
        self._was_up = False
        self._booted.clear()
        async with asyncio.timeout(self._settings.action_timeout):
            reader, writer = await asyncio.open_connection(
                self._settings.host, self._settings.port, limit=MESSAGE_BYTES, ssl=self._tls
            )
        self._writer = writer
        tasks = [asyncio.create_task(work) for work in (self._read(reader), self._log_in_and_watch(), self._deliver())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._writer = None
            writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while not self._events.empty():
                self._call(self._on_event, self._events.get_nowait())
            self._set_up(up=False)
            for pending in self._pending.values():
                pending.fail(LinkLost("the link to Asterisk was lost before the answer"))
            self._pending.clear()

    async def _log_in_and_watch(self) -> None:
        secret = self._settings.secret.get_secret_value()
        answer = await self.send("Login", Username=self._settings.user, Secret=secret)
        if not answer.success:
            raise AuthFailed(
                f"{_place(self._settings)} refuses user {self._settings.user!r}: {answer.message}; "
                "check ami.user, ami.secret and permit= in manager.conf"
            )
        # Before it is fully booted, Asterisk takes actions and fails them. Users without the right "system" never hear.
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.action_timeout):
                await self._booted.wait()
        self._was_up = True
        self._complaint = ""
        log.info("%s: logged in", _place(self._settings))
        self._set_up(up=True)
        while True:
            await asyncio.sleep(self._settings.ping_interval)
            pong = await self.send("Ping")
            if not pong.success:
                raise _Garbage(f"a ping was answered with {pong.response!r}")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            greeting = await reader.readline()
        except ValueError:
            greeting = b""
        if not greeting.startswith(b"Asterisk Call Manager/"):
            raise _Garbage("what listens there is not Asterisk's manager interface")
        while True:
            # Whole messages are decoded, so a character is never cut in two.
            block = await reader.readuntil(_END)
            message = parse(block)
            if message is not None:
                self._dispatch(message)

    async def _deliver(self) -> None:
        """Bring events to their handler: all that wait, before more are read."""
        while True:
            self._call(self._on_event, await self._events.get())

    def _dispatch(self, message: Message) -> None:
        if message.event == "FullyBooted":
            self._booted.set()
        pending = self._pending.get(str(message.actionid))
        if pending and pending.take(message):
            return
        if "Event" not in message:
            return
        if self._events.qsize() >= MOST_WAITING:
            raise _Garbage("more events come than can be handled")
        self._events.put_nowait(message)

    async def _exchange(self, name: str, headers: dict[str, Value], *, listing: bool) -> tuple[Message, Messages]:
        writer = self._writer
        if writer is None or not (self._up or name == "Login"):
            raise NotConnected(f"{_place(self._settings)} is not connected: {name} was not sent")
        action = Action({"Action": name, **headers})
        _refuse_line_breaks(action)
        action_id = str(action["ActionID"])
        if action_id in self._pending:
            raise ValueError(f"{name}: an action with id {action_id} is under way already")
        pending = self._pending[action_id] = _Pending(name, listing=listing)
        began = time.monotonic()
        try:
            writer.write(str(action).encode())
            async with asyncio.timeout(self._settings.action_timeout):
                answer = await pending.answer
        except TimeoutError:
            raise DeadlinePassed(f"{name}: no answer within {self._settings.action_timeout:g} s") from None
        finally:
            self._pending.pop(action_id, None)
        if self._observe:
            self._observe(name, time.monotonic() - began)
        return answer, pending.items or []

    def _set_up(self, *, up: bool) -> None:
        if up != self._up:
            self._up = up
            self._call(self._on_up if up else self._on_down)

    def _call(self, callback: Callable[..., None], *args: Message) -> None:
        try:
            callback(*args)
        except Exception:  # whatever a handler raises, the link lives on
            log.exception("a handler of AMI messages failed")

    def _complain(self, complaint: str, level: int) -> None:
        """Say what is wrong once, not at each attempt."""
        log.log(logging.DEBUG if complaint == self._complaint else level, "%s", complaint)
        self._complaint = complaint


def parse(block: bytes) -> Message | None:
    """One message, None for what is none. Of headers that are repeated, in any case, the first one holds.

    Asterisk writes its own headers first: what a dialplan adds, with a shopper's own words in it, can't replace them.
    """
    headers: dict[str, str] = {}
    known: set[str] = set()
    for line in block.decode("utf-8", "replace").replace("\0", "").split("\r\n"):
        key, colon, value = line.partition(":")
        if colon and key.lower() not in known:
            known.add(key.lower())
            headers[key] = value.removeprefix(" ")
    return Message(headers) if known & {"event", "response"} else None


def _refuse_line_breaks(action: Action) -> None:
    for key, value in action.items():
        for text in (key, *(value if isinstance(value, list) else [value])):
            if _FORBIDDEN & set(str(text)):
                raise ValueError(f"AMI header {key!r}: a line break or NUL would smuggle in another header")


def _place(settings: AmiSettings) -> str:
    return f"Asterisk at {settings.host}:{settings.port}"


def _reason(error: Exception) -> str:
    match error:
        case asyncio.LimitOverrunError():
            return f"a message is longer than {MESSAGE_BYTES} bytes"
        case EOFError():
            return "it closed the link"
        case TimeoutError():
            return "it does not accept the connection in time"
        case _:
            return str(error)

"""Asterisk's manager protocol, served on a loopback port over a telephone network that is played.

It speaks as Asterisk 22 does to the user of ``deploy/asterisk/manager.conf``: that user's event filter lets through
FullyBooted, DialState of a phone that rings, OriginateResponse, UserEvent and Hangup of the near half of a call, with
Asterisk's clock in ``Timestamp``. So a dialer talks to it with the code that drives a real Asterisk.
"""

import asyncio
import contextlib
import hmac
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from ringback.errors import SettingsError
from ringback.settings import is_loopback
from simulation.ami_messages import (
    SYSTEM_NAME,
    Channel,
    Event,
    Header,
    Headers,
    Originate,
    Refused,
    Request,
    asked_originate,
    parse,
    render,
)

log = logging.getLogger(__name__)

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
LONGEST_REQUEST = 64 * 1024
# A client that does not read is cut off, as Asterisk does.
MOST_UNREAD = 4 * 1024 * 1024


class Network(Protocol):
    """A telephone network. Every method may raise `Refused`; channels are named by name or by unique id."""

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event from now on."""

    def originate(self, asked: Originate) -> None:
        """Start a call; its end is told by events."""

    def redirect(self, channel: str, context: str, exten: str) -> None:
        """Send an answered call elsewhere in the dialplan."""

    def hang_up(self, channel: str, cause: int) -> None:
        """End a channel."""

    def channels(self) -> Sequence[Channel]:
        """All legs at this moment."""

    def variable(self, name: str) -> str:
        """A global variable of the dialplan, empty where there is none."""


def _stamp() -> str:
    return f"{time.time():.6f}"


class _Session:
    """One connection: answers its actions, and gets the events while it wants them."""

    def __init__(self, server: "AmiServer", writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._network = server.network
        self._writer = writer
        self._events = False
        self.authenticated = False
        self.open = True
        self._actions: dict[str, Callable[[Request], None]] = {
            "login": self._login,
            "logoff": self._logoff,
            "ping": self._ping,
            "events": self._switch_events,
            "originate": self._originate,
            "redirect": self._redirect,
            "hangup": self._hangup,
            "coreshowchannels": self._core_show_channels,
            "status": self._status,
            "userevent": self._user_event,
            "getvar": self._get_variable,
        }

    def event(self, event: Event) -> None:
        if self._events and self.open:
            stamped = (("Timestamp", _stamp()), ("SystemName", SYSTEM_NAME))
            self._send((("Event", event.name), ("Privilege", event.privilege), *stamped, *event.headers))

    def answer(self, request: Request) -> None:
        action = request.get("Action").lower()
        if not action:
            self._error(request, "Missing action in request")
        elif not self.authenticated and action not in ("login", "logoff"):
            self._error(request, "Permission denied")
        elif action not in self._actions:
            unknown = f"Invalid/unknown command: {request.get('Action')}."
            self._error(request, f"{unknown} Use Action: ListCommands to show available commands.")
        else:
            try:
                self._actions[action](request)
            except Refused as refused:
                self._error(request, str(refused))

    def _send(self, headers: Iterable[Header]) -> None:
        self._writer.write(render(headers))
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            log.warning("a manager client does not read its events: cut off")
            self.open = False
            self._writer.transport.abort()

    def _respond(self, request: Request, response: str, *headers: Header) -> None:
        self._send((("Response", response), *_action_id(request), *headers))

    def _error(self, request: Request, message: str) -> None:
        self._respond(request, "Error", ("Message", message))

    def _list(self, request: Request, message: str, rows: Iterable[Headers], complete: Headers) -> None:
        """Answer with a list: each row is an event, and ``complete`` the last one."""
        self._respond(request, "Success", ("EventList", "start"), ("Message", message))
        for row in (*rows, complete):
            self._send(row)

    def _login(self, request: Request) -> None:
        if not self._server.knows(request.get("Username"), request.get("Secret")):
            self._error(request, "Authentication failed")
            self.open = False
            return
        self.authenticated = True
        self._events = request.get("Events").lower() not in ("off", "no", "false", "0")
        self._respond(request, "Success", ("Message", "Authentication accepted"))
        uptime = str(int(time.time() - self._server.started))
        booted = (("Uptime", uptime), ("LastReload", uptime), ("Status", "Fully Booted"))
        if self._events:
            # Told to one client only, and so without a time.
            self._send((("Event", "FullyBooted"), ("Privilege", "system,all"), *booted))

    def _logoff(self, request: Request) -> None:
        self._respond(request, "Goodbye", ("Message", "Thanks for all the fish."))
        self.open = False

    def _ping(self, request: Request) -> None:
        self._respond(request, "Success", ("Ping", "Pong"), ("Timestamp", _stamp()))

    def _switch_events(self, request: Request) -> None:
        self._events = request.get("EventMask").lower() not in ("off", "no", "false", "0")
        self._respond(request, "Success", ("Events", "On" if self._events else "Off"))

    def _originate(self, request: Request) -> None:
        self._network.originate(asked_originate(request))
        self._respond(request, "Success", ("Message", "Originate successfully queued"))

    def _redirect(self, request: Request) -> None:
        for name in ("Channel", "Context", "Exten", "Priority"):
            if not request.get(name):
                raise Refused(f"{name} not specified")
        self._network.redirect(request.get("Channel"), request.get("Context"), request.get("Exten"))
        self._respond(request, "Success", ("Message", "Redirect successful"))

    def _hangup(self, request: Request) -> None:
        if not request.get("Channel"):
            raise Refused("No channel specified")
        cause = request.get("Cause")
        self._network.hang_up(request.get("Channel"), int(cause) if cause.isdigit() else 0)
        self._respond(request, "Success", ("Message", "Channel Hungup"))

    def _core_show_channels(self, request: Request) -> None:
        rows = [_shown(channel, _action_id(request)) for channel in self._network.channels()]
        complete = (("Event", "CoreShowChannelsComplete"), *_action_id(request), *_end_of_list(rows))
        self._list(request, "Channels will follow", rows, complete)

    def _status(self, request: Request) -> None:
        wanted = request.get("Channel")
        channels = [c for c in self._network.channels() if not wanted or wanted in (c.name, c.uniqueid)]
        if wanted and not channels:
            raise Refused("No such channel")
        rows = [_status(channel, _action_id(request)) for channel in channels]
        items = ("Items", str(len(rows)))
        complete = (("Event", "StatusComplete"), *_action_id(request), *_end_of_list(rows), items)
        self._list(request, "Channel status will follow", rows, complete)

    def _get_variable(self, request: Request) -> None:
        name = request.get("Variable")
        if not name:
            raise Refused("No variable specified")
        self._respond(request, "Success", ("Variable", name), ("Value", self._network.variable(name)))

    def _user_event(self, request: Request) -> None:
        name = request.get("UserEvent")
        body = tuple(pair for pair in request.headers if pair[0].lower() not in ("action", "userevent"))
        self._respond(request, "Success", ("Message", "Event Sent"))
        self._server.broadcast(Event("UserEvent", "user,all", (("UserEvent", name), *body)))


def _action_id(request: Request) -> Headers:
    action_id = request.get("ActionID")
    return (("ActionID", action_id),) if action_id else ()


def _end_of_list(rows: Sequence[Headers]) -> Headers:
    return (("EventList", "Complete"), ("ListItems", str(len(rows))))


def _shown(channel: Channel, action_id: Headers) -> Headers:
    seconds = int(time.time() - channel.created)
    return (
        ("Event", "CoreShowChannel"),
        *action_id,
        *channel.headers(),
        ("Application", channel.application),
        ("ApplicationData", channel.data),
        ("Duration", f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"),
        ("BridgeId", ""),
    )


def _status(channel: Channel, action_id: Headers) -> Headers:
    return (
        ("Event", "Status"),
        ("Privilege", "Call"),
        *channel.headers(),
        ("Type", channel.name.partition("/")[0]),
        ("DNID", ""),
        ("EffectiveConnectedLineNum", "<unknown>"),
        ("EffectiveConnectedLineName", "<unknown>"),
        ("TimeToHangup", "0"),
        ("BridgeID", ""),
        ("Application", channel.application or "(null)"),
        ("Data", channel.data or "(null)"),
        ("Nativeformats", "(slin)"),
        ("Readformat", "slin"),
        ("Readtrans", ""),
        ("Writeformat", "slin"),
        ("Writetrans", ""),
        ("Callgroup", "0"),
        ("Pickupgroup", "0"),
        ("Seconds", str(int(time.time() - channel.created))),
        *action_id,
    )


class AmiServer:
    """Listens for manager clients until `close`. ``host`` must be a loopback address; port 0 takes a free one."""

    def __init__(self, network: Network, *, user: str, secret: str, host: str = "127.0.0.1", port: int = 0) -> None:
        if not is_loopback(host):
            raise SettingsError(f"ami.host: a played network listens on a loopback address only, not {host!r}")
        self.network = network
        self.started = time.time()
        self._user, self._secret = user, secret
        self._host, self._port = host, port
        self._sessions: set[_Session] = set()
        self._tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        network.subscribe(self.broadcast)

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._server is None:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. Raises `SettingsError` when the port is taken."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port, limit=LONGEST_REQUEST)
        except OSError as error:
            raise SettingsError(f"ami.port: can't listen on {self._host}:{self._port}: {error}") from None

    async def until_alone(self) -> None:
        """Wait until no client is connected."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def close(self) -> None:
        """Cut all clients off and close the port."""
        if self._server is None:
            return
        self._server.close()
        for writer in self._tasks.values():
            writer.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def knows(self, user: str, secret: str) -> bool:
        """Whether a login is right."""
        return user == self._user and hmac.compare_digest(secret.encode(), self._secret.encode())

    def broadcast(self, event: Event) -> None:
        """Tell all clients."""
        for session in tuple(self._sessions):
            session.event(event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, writer)
        self._sessions.add(session)
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks[task] = writer
        writer.write(BANNER)
        try:
            while session.open:
                session.answer(parse(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
            log.debug("a manager client is gone: %s", error)
        finally:
            self._sessions.discard(session)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            del self._tasks[task]

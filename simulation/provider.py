"""The SMS and chat provider of the simulated world: an HTTP endpoint on loopback that takes messages.

``POST /messages`` with JSON ``{"to", "text", "channel", "message_id"}`` is answered with 202 and the message's id. The
same ``message_id`` again is answered the same way and not delivered twice.
"""

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import msgspec

from ringback.errors import SettingsError

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
PATH = "/messages"
LONGEST_BODY = 16 * 1024


class Posted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message as it was posted. ``to`` is E.164."""

    to: str
    text: str
    channel: Literal["sms", "chat"]
    message_id: str


class Provider:
    """Listens from `start` to `stop`; gives each new message to ``received``, in the event loop that called `start`."""

    def __init__(self, port: int, received: Callable[[Posted], None]) -> None:
        self._received = received
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        try:
            self._server = ThreadingHTTPServer((HOST, port), _handler(self))
        except OSError as error:
            raise SettingsError(f"the message provider can't listen on {HOST}:{port}: {error}") from None
        self._server.daemon_threads = True
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"http://{HOST}:{self._server.server_address[1]}{PATH}"

    def start(self) -> None:
        """Listen, in a thread."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._server.serve_forever, name="provider", daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        if self._loop is not None:
            self._server.shutdown()
        self._server.server_close()

    def take(self, body: bytes) -> str:
        """Take a message and return its id. Raises `msgspec.DecodeError` when it is none."""
        posted = msgspec.json.decode(body, type=Posted)
        with self._lock:
            is_new = posted.message_id not in self._seen
            self._seen.add(posted.message_id)
        if is_new and self._loop is not None:
            self._loop.call_soon_threadsafe(self._received, posted)
        return posted.message_id


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != PATH:
                self._answer(404, {"error": f"POST {PATH}"})
            elif not length.isdigit() or int(length) > LONGEST_BODY:
                self._answer(413, {"error": f"a body of at most {LONGEST_BODY} bytes, with its Content-Length"})
            else:
                try:
                    self._answer(202, {"message_id": provider.take(self.rfile.read(int(length)))})
                except msgspec.DecodeError as error:
                    self._answer(400, {"error": str(error)})

        def _answer(self, status: int, content: dict[str, str]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            log.debug(format, *args)

    return Handler

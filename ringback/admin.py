"""The admin listener of a process: /metrics, /livez and /readyz, on a loopback port of its own."""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ringback.errors import SettingsError
from ringback.settings import AdminSettings

log = logging.getLogger(__name__)

Checks = Mapping[str, Callable[[], bool]]

USUAL_PORTS = {"ingest": 9101, "stream": 9102, "dialer": 9103, "outreach": 9104}


class AdminServer:
    """Serves metrics and health from a thread, so that it answers even while the event loop is stuck.

    ``live`` and ``ready`` name checks; an endpoint answers 200 when all of its checks hold, else 503 with each result.
    """

    def __init__(
        self, settings: AdminSettings, process: str, registry: CollectorRegistry, live: Checks, ready: Checks
    ) -> None:
        handler = _handler(registry, {"/livez": live, "/readyz": ready})
        port = settings.port or USUAL_PORTS[process]
        try:
            self._server = ThreadingHTTPServer((settings.host, port), handler)
        except OSError as error:
            raise SettingsError(
                f"admin.port: can't listen on {settings.host}:{port}: {error}; set RINGBACK_ADMIN__PORT to a free one"
            ) from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="admin", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:9102``."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Listen until `stop`."""
        self._thread.start()
        log.info("metrics at %s/metrics", self.url)

    def stop(self) -> None:
        """Close the port."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _handler(registry: CollectorRegistry, health: Mapping[str, Checks]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._metrics()
            elif path in health:
                results = {name: check() for name, check in health[path].items()}
                body = json.dumps({"ok": all(results.values()), "checks": results}).encode()
                self._answer(200 if all(results.values()) else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/metrics, /livez or /readyz\n")

        def _metrics(self) -> None:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            try:
                page = encode(registry)
            except Exception:
                # A gauge that asks for its value met what it did not expect; health must not depend on it.
                log.exception("the metrics can't be told")
                self._answer(500, "text/plain", b"a metric can't be read: see the log\n")
            else:
                self._answer(200, content_type, page)

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            # Who asked may have gone, above all when this process slept.
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            log.debug(format, *args)

    return Handler

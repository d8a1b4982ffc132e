"""Log lines: to stderr, redacted, with third parties kept quiet."""

import logging
import sys

from ringback.privacy import RedactingFormatter

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# What they log as errors while a broker is away, several times a second, Ringback says once itself.
_QUIET = {
    "aiokafka": logging.CRITICAL,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "panoramisk": logging.WARNING,
    "asyncio": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def set_up(level: str) -> None:
    """Send all log lines of this process to stderr, one handler, redacted. ``level`` is of Ringback's own loggers."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, logging.getLevelName(level)))
    logging.captureWarnings(capture=True)

"""What a campaign's agents can take on: told by its dialer, read by the stream, a hash in Redis.

``ringback:campaign:<name>:capacity``. It disappears some seconds after the dialer does.
"""

from collections.abc import Mapping

from ringback.records import Record


class Capacity(Record, frozen=True, kw_only=True):
    """``agents`` are logged in and not paused, ``working`` of them with a shopper or wrapping up.

    ``queued`` leads wait in the hopper and may be called within the hour. ``wall`` is when this was so.
    """

    agents: int
    working: int
    queued: int
    wall: float


def key(campaign: str) -> str:
    """Where a campaign's capacity is told."""
    return f"ringback:campaign:{campaign}:capacity"


def parse(fields: Mapping[bytes, bytes]) -> Capacity | None:
    """The capacity as a Redis hash has it; None where nobody tells it."""
    try:
        return Capacity(
            agents=int(fields[b"agents"]),
            working=int(fields[b"working"]),
            queued=int(fields[b"queued"]),
            wall=float(fields[b"wall"]),
        )
    except (KeyError, ValueError):
        return None

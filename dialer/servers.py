"""The Asterisk servers of a campaign, and which of their trunks the next calls take."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from dialer.ami import Ami
from dialer.pacing import Pacing
from dialer.trunks import Trunk


@dataclass(slots=True)
class Server:
    """One Asterisk with its link, its trunks and the pacer of the agents who are nailed up there.

    ``sure``: it is known what lives there. ``look_at``: when to look again, in monotonic seconds; infinite for no need.
    ``wake`` makes it be looked at now. ``refusal``: why the server did not let us look.
    """

    name: str
    ami: Ami
    trunks: dict[str, Trunk]
    pacer: Pacing
    sure: bool = False
    look_at: float = 0.0
    looked: float = 0.0
    refusal: str | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def usable(self) -> bool:
        """Whether calls may be started there."""
        return self.ami.connected and self.sure


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one call to be started."""

    server: Server
    trunk: Trunk


def deal(wanted: Iterable[tuple[Server, int, dict[str, int]]]) -> list[Slot]:
    """Slots for as many calls as each server wants, from its trunks with the most room first.

    ``wanted`` has the server, how many calls, and by trunk how many may be started. The servers take turns, so that
    none gets all of too few leads.
    """
    queues = []
    for server, calls, room in wanted:
        left = dict(room)
        queue = []
        for _ in range(min(calls, sum(left.values()))):
            name = max(left, key=left.__getitem__)
            left[name] -= 1
            queue.append(Slot(server, server.trunks[name]))
        queues.append(queue)
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]

"""Channels of the played telephone network, as they change."""

import time
from dataclasses import dataclass, field

from simulation.ami_messages import SYSTEM_NAME, Channel, ChannelState


@dataclass(slots=True)
class Leg:
    """A channel as it changes."""

    name: str
    uniqueid: str
    context: str
    exten: str
    state: ChannelState = ChannelState.DOWN
    application: str = ""
    data: str = ""
    call_id: str = ""
    created: float = field(default_factory=time.time)

    def shown(self) -> Channel:
        """As the manager shows it now."""
        return Channel(
            name=self.name,
            uniqueid=self.uniqueid,
            state=self.state,
            context=self.context,
            exten=self.exten,
            created=self.created,
            application=self.application,
            data=self.data,
            call_id=self.call_id,
        )


def unique_id(number: int) -> str:
    """The id that Asterisk itself gives its n-th channel."""
    return f"{SYSTEM_NAME}-{time.time():.0f}.{number}"


def far_half(near: Leg, number: str) -> Channel:
    """A Local channel has two halves; the far one is where the shopper is."""
    answered = near.state is ChannelState.UP
    return Channel(
        name=f"{near.name.removesuffix(';1')};2",
        uniqueid=f"{near.uniqueid};2",
        linkedid=near.uniqueid,
        state=near.state,
        context="shoppers",
        exten=number,
        created=near.created,
        application="Wait" if answered else "Ringing",
        call_id=near.call_id,
    )

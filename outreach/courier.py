"""One attempt to send one message: rules, claim, send, note. What is away is said once, and once when it is back."""

import contextlib
import logging
import time
from typing import Literal

from outreach.claims import Claim, Claims, Standing
from outreach.providers import Provider, Undeliverable
from outreach.rules import forbidden
from outreach.text import text
from ringback.clock import Clock
from ringback.decisions import Message
from ringback.errors import Unavailable
from ringback.records import ContactEvent, ContactKind

log = logging.getLogger(__name__)

# An attempt takes no longer than its deadlines; a claim older than this is of a worker that died. Wall seconds.
HELD_SECONDS = 60.0

_KIND_OF = {
    Standing.SENT: ContactKind.SENT,
    Standing.FAILED: ContactKind.FAILED,
    Standing.REFUSED: ContactKind.REFUSED,
}


class Link:
    """Whether a server can be reached, as far as is known."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.up = True

    def there(self) -> None:
        """It answered."""
        if not self.up:
            log.info("%s is there again", self._name)
        self.up = True

    def away(self, why: Exception) -> None:
        """It did not."""
        if self.up:
            log.warning("%s; messages wait until it is there again, and none is lost", why)
        self.up = False


class Courier:
    """Sends messages, each at most once. ``simulated``: replays of old logs may be sent too."""

    def __init__(self, claims: Claims, provider: Provider, clock: Clock, *, shop_name: str, simulated: bool) -> None:
        self.redis = Link("Redis")
        self.provider = Link("the provider")
        self._claims = claims
        self._provider = provider
        self._clock = clock
        self._shop_name = shop_name
        self._simulated = simulated

    @property
    def reachable(self) -> bool:
        """Whether Redis and the provider are there."""
        return self.redis.up and self.provider.up

    async def attempt(self, message: Message, claimant: str) -> ContactEvent | None:
        """What became of a message, to be reported; None when that was reported before.

        ``claimant`` is unique to the record of the outbox that is handled, and the same for each try. Raises
        `Unavailable` when it is to be tried again: nothing was sent, or the provider knows the message again. Every try
        passes the gate anew, so a purchase that comes while the provider is away still stops the message.
        """
        claim = await self._claim(message, claimant)
        if claim.standing is Standing.HELD:
            raise Unavailable("another worker may be sending this message")
        if claim.standing is Standing.CLAIMED:
            claim = await self._send(message, claimant)
        return None if claim.reported else self._event(message, claim)

    async def reported(self, message_ids: list[str]) -> None:
        """Note that these messages were reported. Where that fails they may be reported once more, with the same id."""
        with contextlib.suppress(Unavailable):
            await self._claims.reported(message_ids)

    async def look(self) -> None:
        """Find out whether Redis is there."""
        try:
            await self._claims.ping()
        except Unavailable as error:
            self.redis.away(error)
        else:
            self.redis.there()

    async def _claim(self, message: Message, claimant: str) -> Claim:
        now = self._clock.now()
        try:
            claim = await self._claims.claim(
                message,
                claimant,
                now,
                forbidden=forbidden(message, now, simulated=self._simulated),
                stale=now - HELD_SECONDS * self._clock.speed,
            )
        except Unavailable as error:
            self.redis.away(error)
            raise
        self.redis.there()
        return claim

    async def _send(self, message: Message, claimant: str) -> Claim:
        standing: Literal["sent", "failed"] = "sent"
        detail = ""
        content = text(message, self._shop_name)
        try:
            await self._provider.send(message.message_id, message.phone, message.channel, content)
        except Unavailable as error:
            self.provider.away(error)
            await self._claims.release(message.message_id, claimant)
            raise
        except Undeliverable as error:
            standing, detail = "failed", str(error)
        self.provider.there()
        at = self._clock.now()
        try:
            await self._claims.settle(message.message_id, claimant, standing, detail, at)
        except Unavailable as error:
            # The claim stays: should this worker die before it has reported, the message counts as failed.
            self.redis.away(error)
        return Claim(Standing(standing), detail, at, reported=False)

    def _event(self, message: Message, claim: Claim) -> ContactEvent:
        return ContactEvent(
            contact_id=message.message_id,
            lead_id=message.message_id,
            shopper_id=message.shopper_id,
            cart_id=message.cart_id,
            channel=message.channel,
            kind=_KIND_OF[claim.standing],
            time=claim.time,
            detail=claim.detail or None,
            wall=time.time(),
        )

"""What happens to leads and calls, as contact events in business time."""

import asyncio
import time
from typing import Any

from dialer.contacts import Contacts
from dialer.ledger import Ledger
from ringback.decisions import Lead
from ringback.records import Channel, ContactEvent, ContactKind
from ringback.settings import Settings


class Journal:
    """Writes the contact events of one campaign; ``ledger`` writes the records of its calls."""

    def __init__(self, settings: Settings, contacts: Contacts) -> None:
        self._campaign = settings.dialer.campaign
        self._clock = settings.simulation.clock()
        self._contacts = contacts
        self.ledger = Ledger(settings, contacts)

    def tell(self, kind: ContactKind, lead: Lead, call_id: str, **more: Any) -> asyncio.Future[None]:
        """Queue a contact event; see `Contacts.post`."""
        wall = time.time()
        event = ContactEvent(
            contact_id=call_id,
            lead_id=lead.lead_id,
            shopper_id=lead.shopper_id,
            cart_id=lead.cart_id,
            channel=Channel.VOICE,
            kind=kind,
            time=self._clock.at(wall),
            campaign=self._campaign,
            wall=wall,
            **more,
        )
        return self._contacts.post(event)

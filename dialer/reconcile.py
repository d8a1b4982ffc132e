"""Finds out, after a lost link or a restart, which calls live: compares the hopper, Asterisk and the switchboard.

A call that was never launched goes back to the hopper. One that Asterisk has is adopted. One that it does not have was
missed at its end, or its originate is still on the way (a frozen Asterisk executes what it had received): it is held
for a while, then ends as UNKNOWN and is not tried again. Nobody is ever dialled anew because of a reconciliation.
"""

import logging
import time

from dialer import calls, signals
from dialer.ami import Ami
from dialer.hopper import Hopper
from dialer.switchboard import Live, Switchboard
from ringback.metrics import DialerMetrics

log = logging.getLogger(__name__)

# How long a call may be missing in Asterisk before it is written off.
MISSING_SECONDS = 5.0


async def reconcile(
    hopper: Hopper, ami: Ami, switchboard: Switchboard, metrics: DialerMetrics, clock_now: float
) -> bool:
    """One look; True when nothing is left to be looked at again.

    Must not run while a lead is being reserved. Raises `ringback.errors.Unavailable`, `dialer.ami.OutcomeUnknown` or
    `dialer.ami.ActionRefused`, and may then be repeated.
    """
    in_progress = await hopper.in_progress()
    for call in in_progress:
        if switchboard.knows(call.call_id):
            continue
        if call.launched:
            switchboard.open(call.call_id, call.lead)
            switchboard.calls[call.call_id].missing_since = time.monotonic()
        else:
            await hopper.unreserve(call.call_id, clock_now)
    asked = time.monotonic()
    channels = await ami.list("CoreShowChannels")
    now = time.monotonic()
    here = signals.present(channels, switchboard.calls)
    switchboard.agents.rebuild(here.agents, here.talking, asked, now)
    talks_to = {call_id: agent for agent, call_id in here.talking.items()}
    for call_id, live in list(switchboard.calls.items()):
        if call_id in here.calls:
            if live.missing_since is not None:
                metrics.reconciled.labels("adopted").inc()
            _catch_up(switchboard, live, here.calls[call_id], talks_to.get(call_id, ""))
            live.missing_since = None
        else:
            _miss(switchboard, live, metrics, now)
    switchboard.changed.set()
    return all(live.missing_since is None for live in switchboard.calls.values())


def _catch_up(switchboard: Switchboard, live: Live, state: calls.State, agent: str) -> None:
    """Bring the signals that were missed."""
    call_id, at = live.call.call_id, time.time()
    match state:
        case calls.State.ANSWERED:
            switchboard.signal(call_id, calls.Answered(at))
        case calls.State.CONNECTED:
            switchboard.signal(call_id, calls.Connected(agent, at))
        case calls.State.ABANDONED:
            switchboard.signal(call_id, calls.Abandoned(at))


def _miss(switchboard: Switchboard, live: Live, metrics: DialerMetrics, now: float) -> None:
    if live.missing_since is None:
        live.missing_since = now
    elif now - live.missing_since >= MISSING_SECONDS:
        log.warning("call %s is gone from Asterisk and its end was missed: outcome unknown", live.call.call_id)
        metrics.reconciled.labels("unknown").inc()
        switchboard.signal(live.call.call_id, calls.Lost())

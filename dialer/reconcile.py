"""Finds out, after a lost link or a restart, which calls live: compares the hopper, Asterisk and the switchboard.

A call that was never launched goes back to the hopper. One that Asterisk has is adopted. One that it does not have was
missed at its end, or its originate is still on the way (a frozen Asterisk executes what it had received): it is held
for a while, then ends as UNKNOWN and is not tried again. Nobody is ever dialled anew because of a reconciliation.
"""

import logging
import time

from dialer import actions, calls, signals
from dialer.hopper import Hopper
from dialer.servers import Server
from dialer.switchboard import Live, Switchboard
from ringback.metrics import DialerMetrics

log = logging.getLogger(__name__)

# How long a call may be missing in Asterisk before it is written off.
MISSING_SECONDS = 5.0


async def adopt(hopper: Hopper, switchboard: Switchboard, clock_now: float) -> None:
    """Take over from Redis what another dialer left: its calls may live on any server, and its reservations are over.

    Must not run while a lead is being reserved. Raises `ringback.errors.Unavailable`, and may then be repeated.
    """
    for call in await hopper.in_progress():
        if switchboard.knows(call.call_id):
            continue
        if call.launched:
            switchboard.open(call.call_id, call.lead, placed=call.started)
            switchboard.calls[call.call_id].missing_since = time.monotonic()
        else:
            await hopper.unreserve(call.call_id, clock_now)


async def look(server: Server, switchboard: Switchboard, metrics: DialerMetrics) -> bool:
    """One look at a server; True when nothing is left that must be looked for again there.

    Raises `dialer.ami.NotConnected`, `dialer.ami.OutcomeUnknown` or `dialer.ami.ActionRefused`.
    """
    asked = time.monotonic()
    channels = await server.ami.list("CoreShowChannels")
    now = time.monotonic()
    here = signals.present(channels, switchboard.calls)
    switchboard.agents.rebuild(server.name, here.agents, here.talking, asked, now)
    talks_to = {call_id: agent for agent, call_id in here.talking.items()}
    for call_id, live in list(switchboard.calls.items()):
        if call_id in here.calls:
            if live.missing_since is not None:
                metrics.reconciled.labels("adopted").inc()
            live.found(server.name)
            _catch_up(switchboard, live, here.calls[call_id], talks_to.get(call_id, ""))
        elif server.name in live.servers and live.began < asked:
            _miss(switchboard, live, server.name, metrics, now)
    await _count_abandoned(server, switchboard)
    switchboard.changed.set()
    return not any(
        live.missing_since is not None and server.name in live.servers for live in switchboard.calls.values()
    )


async def _count_abandoned(server: Server, switchboard: Switchboard) -> None:
    """End the missing calls of which the server remembers that they were abandoned: the law counts them."""
    missing = [call_id for call_id, live in switchboard.calls.items() if live.missing_since is not None]
    if not missing:
        return
    asked = actions.ask_abandoned()
    answer = await server.ami.send(asked.name, **asked.headers)
    abandoned = str(answer.get("Value", "")).split()
    for call_id in missing:
        if call_id in abandoned:
            switchboard.signal(call_id, calls.Abandoned(time.time()), server.name)
            switchboard.signal(call_id, calls.Lost())


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
            switchboard.signal(call_id, calls.Missed())


def _miss(switchboard: Switchboard, live: Live, server: str, metrics: DialerMetrics, now: float) -> None:
    """Write a call off that none of the servers has on which it may be."""
    if live.missing_since is None:
        live.missing_since = now
    elif now - live.missing_since >= MISSING_SECONDS:
        live.absent.add(server)
    if live.absent >= live.servers:
        log.warning("call %s is gone from Asterisk and its end was missed: outcome unknown", live.call.call_id)
        metrics.reconciled.labels("unknown").inc()
        switchboard.signal(live.call.call_id, calls.Lost())

"""Pacing: how many calls to start now. Pure: the time is passed in, so any simulator can drive a pacer.

A pacer sees the floor at each decision and learns from what becomes of calls. docs/dialer.md has the method, its
formulas and their sources.
"""

from dialer.pacing.floor import (
    Abandoned,
    Busy,
    BusyAgent,
    Connected,
    Event,
    Floor,
    Guard,
    Kind,
    Pacing,
    Resolved,
    TalkEnded,
    WrapUpEnded,
)
from dialer.pacing.modes import pacer_for
from dialer.pacing.predictive import Pacer
from dialer.pacing.progressive import Preview, Progressive

__all__ = [
    "Abandoned",
    "Busy",
    "BusyAgent",
    "Connected",
    "Event",
    "Floor",
    "Guard",
    "Kind",
    "Pacer",
    "Pacing",
    "Preview",
    "Progressive",
    "Resolved",
    "TalkEnded",
    "WrapUpEnded",
    "pacer_for",
]

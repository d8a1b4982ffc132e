"""A call centre in a heap: agents, shoppers and lines under laws of chance, and any pacer that decides when to dial.

`scenario` says what a floor is like, `engine` plays it, `tally` has what came of it, `policies` are what to compare.
"""

from simulation.callcentre.engine import CallCentre, play
from simulation.callcentre.scenario import (
    Breaks,
    Detection,
    Outages,
    Outcome,
    Scenario,
    Swing,
    markov,
    realistic,
)
from simulation.callcentre.tally import Result, Tally

__all__ = [
    "Breaks",
    "CallCentre",
    "Detection",
    "Outages",
    "Outcome",
    "Result",
    "Scenario",
    "Swing",
    "Tally",
    "markov",
    "play",
    "realistic",
]

"""The exact optimum of a call floor where everything is exponential: no pacer keeps agents busier for the same limit.

A state is how many answered calls there are, with an agent or waiting for one, and how many calls are in flight. At any
event the number in flight may be raised. To be maximised is the share of busy agents, with at most a share ``limit`` of
live answers abandoned: a constrained Markov decision process. Its Lagrangian

    g(price) = max over policies of  occupancy - price * (abandoned - limit * answers)  per second

is solved by relative value iteration in the uniformised chain (Puterman, Markov Decision Processes, 1994, 8.5), which
brackets g(price) by the least and the greatest change of a sweep. Occupation measures make the constrained problem a
linear programme, so that strong duality holds (Altman, Constrained Markov Decision Processes, 1999, chapter 4) and the
least g over prices above 0 is the constrained optimum itself, attained by mixing two policies at most.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

PRICES = (0.5, 5000.0)
STEPS = 18
GOLDEN = (math.sqrt(5) - 1) / 2
CHECK_EVERY = 25
# More than so many waiting for an agent at once are too rare to show in four digits.
WAITING = 3
SWEEPS = 1_000_000


@dataclass(frozen=True, slots=True)
class Campaign:
    """Agents, means in seconds, the share of calls that a shopper answers, and the limit of abandoned calls.

    ``patience`` is the mean time that an answered shopper waits for an agent; 0: not at all.
    """

    agents: int
    handling: float = 180.0
    resolution: float = 20.0
    answer_rate: float = 0.25
    limit: float = 0.03
    patience: float = 2.0

    @property
    def progressive(self) -> float:
        """Occupancy with a line for each idle agent: S / (S + R / p). Nobody is abandoned."""
        return self.handling / (self.handling + self.resolution / self.answer_rate)


def optimum(campaign: Campaign, precision: float = 2e-4) -> float:
    """The highest occupancy that any policy can have; off by ``precision`` at most.

    Golden-section search for the least of the dual, which is convex, over the logarithm of the price.
    """
    chain = _Chain(campaign)
    low, high = (math.log(price) for price in PRICES)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = chain.gain(math.exp(left), precision), chain.gain(math.exp(right), precision)
    for _ in range(STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = chain.gain(math.exp(left), precision)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = chain.gain(math.exp(right), precision)
    return min(at_left, at_right)


class _Chain:
    """The uniformised chain. Arrays go by answered calls, then by calls in flight; rates are shares of the fastest."""

    def __init__(self, campaign: Campaign) -> None:
        agents, rate = campaign.agents, campaign.answer_rate
        waiting = WAITING if campaign.patience else 0
        # So many in flight that more would never pay: those that feed all agents, and six deviations of their answers.
        usual = agents * campaign.resolution / (campaign.handling * rate)
        in_flight = np.arange(math.ceil(usual + 6 * math.sqrt(usual / rate) + 8) + 1)[None, :]
        answered = np.arange(agents + waiting + 1)[:, None]
        busy = np.minimum(answered, agents)
        giving_up = (answered - busy) / campaign.patience if waiting else np.zeros(answered.shape)
        ending, resolving = busy / campaign.handling, in_flight / campaign.resolution
        self._fastest = float(ending.max() + resolving.max() + giving_up.max())
        has_room = answered < agents + waiting
        lost = giving_up + np.where(has_room, 0.0, resolving * rate)
        self._occupancy = busy / agents
        self._over_limit = lost - campaign.limit * rate * resolving
        self._leaves = (ending + giving_up) / self._fastest
        self._joins = np.where(has_room, resolving * rate, 0.0) / self._fastest
        self._ends = resolving / self._fastest - self._joins
        self._stays = 1 - self._leaves - self._joins - self._ends
        self._values: Values = np.zeros(self._stays.shape)

    def gain(self, price: float, precision: float) -> float:
        """The best long-run rate of the Lagrangian. Goes on from the values of the price before."""
        reward = (self._occupancy - price * self._over_limit) / self._fastest
        for sweep in range(SWEEPS):
            found = self._swept(reward, self._values)
            if sweep % CHECK_EVERY == 0:
                change = (found - self._values) * self._fastest
                low, high = float(change.min()), float(change.max())
                if high - low < precision:
                    return (low + high) / 2
            self._values = found - found[0, 0]
        raise ArithmeticError(f"no convergence in {SWEEPS:,} sweeps at price {price}: ask for less precision")

    def _swept(self, reward: Values, values: Values) -> Values:
        found = reward + self._stays * values
        found[1:] += self._leaves[1:] * values[:-1]
        found[:, 1:] += self._ends[:, 1:] * values[:, :-1]
        found[:-1, 1:] += self._joins[:-1, 1:] * values[1:, :-1]
        # Calls may be added at once: each state is as good as the best with as many in flight or more.
        best: Values = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
        return best

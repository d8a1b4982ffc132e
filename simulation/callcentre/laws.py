"""Laws of chance for durations, in seconds."""

import math
from collections.abc import Callable
from random import Random

Law = Callable[[Random], float]


def fixed(seconds: float) -> Law:
    """Always the same."""
    return lambda _random: seconds


def uniform(low: float, high: float) -> Law:
    """Anything between."""
    return lambda random: low + (high - low) * random.random()


def exponential(mean: float) -> Law:
    """Without memory."""
    rate = 1 / mean
    return lambda random: random.expovariate(rate)


def lognormal(mean: float, cv: float) -> Law:
    """As conversations are. ``cv`` is the standard deviation in means."""
    variance = math.log1p(cv * cv)
    mu, sigma = math.log(mean) - variance / 2, math.sqrt(variance)
    return lambda random: random.lognormvariate(mu, sigma)


def ringing(mean: float, shape: float, post_dial_delay: float) -> Law:
    """A gamma law after the post-dial delay, which is part of ``mean``."""
    scale = (mean - post_dial_delay) / shape
    return lambda random: post_dial_delay + random.gammavariate(shape, scale)

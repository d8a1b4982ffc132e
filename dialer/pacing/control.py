"""How much to over-dial, moved by abandoned calls alone.

The online rule of adaptive conformal inference (Gibbs & Candès 2021, "Adaptive conformal inference under distribution
shift"), with an abandoned call in the place of a miss.
"""

LOWEST, HIGHEST = -4.0, 0.5
START = -2.1
"""A little below where z settles on most floors: little has to be learnt, and what is saved on the way is a reserve."""
STEP, FIRST_STEP, SETTLED = 0.04, 0.1, 60.0
"""The step that z moves by, and the first, which falls as 1/n: half of it after `SETTLED` live answers."""
MARGIN = 0.985
"""The part of the limit that is aimed at, so that z's trembling does not end above the limit itself."""


class OverDial:
    """z, the over-dial in standard deviations of the forecast.

    A connected live answer moves z up by step·ε, an abandoned one down by step·(1 - ε), where ε is the share of live
    answers that may be abandoned. Summed up: abandoned - ε·answers = (z at the beginning - z now) / step, as long as z
    is below HIGHEST, where connected calls earn nothing more. At LOWEST and below there is no over-dial, so that only
    calls in flight already can be abandoned; below it z is the debt they leave. Hence, whatever the laws of the floor,
    abandoned <= ε·answers + (HIGHEST - LOWEST) / STEP + calls that were in flight when over-dialling ended. A step that
    only ever falls keeps the bound (summation by parts).
    """

    def __init__(self, limit: float) -> None:
        self._target = limit * MARGIN
        self._answers = 0
        self.z = START

    @property
    def at_rest(self) -> bool:
        """Whether there is to be no over-dial at all."""
        return self.z <= LOWEST

    def judge(self, *, abandoned: bool) -> None:
        """A live answer was abandoned, or connected in time."""
        step = max(STEP, FIRST_STEP * SETTLED / (SETTLED + self._answers))
        self._answers += 1
        self.z = min(self.z + step * (self._target - abandoned), HIGHEST)

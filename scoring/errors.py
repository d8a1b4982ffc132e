"""What training refuses."""

from ringback.errors import RingbackError


class TrainingError(RingbackError):
    """Data can't be trained on; the message says what is wrong, in which file, line and column, and what to do."""

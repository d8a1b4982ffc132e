"""The intent model: features, training, serving."""

from ringback.errors import ModelRefused

try:
    import lightgbm as _lightgbm  # noqa: F401 - said here once, whichever module is imported first
except OSError as error:
    raise ModelRefused(
        f"LightGBM can't load OpenMP ({error}): install libgomp1 (Debian), libgomp (Fedora) or libomp (Homebrew)"
    ) from None

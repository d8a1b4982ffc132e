"""Two ways to ask one LightGBM model for one score; both give the same bits.

`FastBackend` calls the C library's single-row entry, several times faster than `Booster.predict` but not part of
LightGBM's Python interface; `PortableBackend` is that interface.
"""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any, Protocol

import lightgbm
import numpy as np

_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_NORMAL = 0  # C_API_PREDICT_NORMAL: probabilities
_ALL_TREES = -1


class Backend(Protocol):
    """Scores one row of as many floats as the model has features."""

    name: str

    def score(self, row: Sequence[float]) -> float:
        """The model's probability for one row."""


class PortableBackend:
    """LightGBM's public interface."""

    name = "lightgbm"

    def __init__(self, booster: lightgbm.Booster) -> None:
        self._booster = booster

    def score(self, row: Sequence[float]) -> float:
        """The model's probability for one row."""
        return float(self._booster.predict(np.array([row], dtype=np.float64), num_threads=1)[0])


class FastBackend:
    """``LGBM_BoosterPredictForMatSingleRowFast``. One thread at a time: row and result live in one buffer.

    Raises `AttributeError` or `RuntimeError` at construction where this LightGBM does not offer it.
    """

    name = "lightgbm-fast"

    def __init__(self, booster: lightgbm.Booster) -> None:
        library: Any = vars(lightgbm.basic).get("_LIB")
        handle: Any = vars(booster).get("_handle")
        if library is None or handle is None:
            raise AttributeError("this LightGBM keeps its C library elsewhere")
        columns = booster.num_feature()
        init, self._predict, free = _entries(library)
        config = ctypes.c_void_p()
        settings = b"num_threads=1"
        if init(handle, _NORMAL, 0, _ALL_TREES, _FLOAT64, columns, settings, ctypes.byref(config)):
            raise RuntimeError("LGBM_BoosterPredictForMatSingleRowFastInit failed")
        # The config points into the booster: the finalizer holds the booster until the config is freed.
        weakref.finalize(self, _free, free, config, booster)
        self._config = config
        self._row: Any = (ctypes.c_double * columns)()
        self._length = ctypes.c_int64()
        self._result = ctypes.c_double()
        buffers = (self._row, self._length, self._result)
        self._arguments = (config, *(ctypes.c_void_p(ctypes.addressof(buffer)) for buffer in buffers))

    def score(self, row: Sequence[float]) -> float:
        """The model's probability for one row. Raises `ValueError` for a row of another length."""
        # The C entry reads past a short buffer; assigning the whole slice checks the length.
        self._row[:] = row
        if self._predict(*self._arguments):
            raise RuntimeError("LGBM_BoosterPredictForMatSingleRowFast failed")
        return self._result.value


def _entries(library: Any) -> tuple[Any, Any, Any]:
    """The three C functions with their argument types, without which ctypes would cut pointers to 32 bits."""
    init = library.LGBM_BoosterPredictForMatSingleRowFastInit
    init.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int32,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_void_p),
    ]
    # It keeps the interpreter's lock: what takes 20 microseconds would wait 5 milliseconds to get it back from a thread
    # that loads a model meanwhile.
    pointer = ctypes.c_void_p
    kept = ctypes.PYFUNCTYPE(ctypes.c_int, pointer, pointer, pointer, pointer)
    predict = kept(ctypes.cast(library.LGBM_BoosterPredictForMatSingleRowFast, pointer).value or 0)
    free = library.LGBM_FastConfigFree
    free.argtypes = [ctypes.c_void_p]
    for entry in (init, free):
        entry.restype = ctypes.c_int
    return init, predict, free


def _free(free: Any, config: ctypes.c_void_p, _booster: lightgbm.Booster) -> None:
    free(config)


def best(booster: lightgbm.Booster) -> Backend:
    """The fast backend where this LightGBM offers it, else the portable one."""
    try:
        return FastBackend(booster)
    except (AttributeError, RuntimeError):
        return PortableBackend(booster)

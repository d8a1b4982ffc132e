"""Calibration: taken only where it helps, monotone, the same for one score as for many."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.calibration import NONE, Calibration, fit_calibration
from scoring.judging.metrics import auc, calibration_error, log_loss


def drawn(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Honest probabilities, and labels that are drawn by them."""
    rng = np.random.default_rng(seed)
    honest = 1.0 / (1.0 + np.exp(-rng.normal(-1.5, 1.2, rows)))
    return rng.random(rows) < honest, honest


def bent(honest: np.ndarray, slope: float, shift: float) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * np.log(honest / (1.0 - honest)) + shift))))


def test_what_is_calibrated_is_left_alone() -> None:
    labels, honest = drawn(20_000)
    assert fit_calibration(labels, honest) == NONE


@pytest.mark.parametrize(("slope", "shift"), [(2.0, 0.0), (0.5, 0.0), (1.0, 1.0), (1.5, -1.0)])
def test_what_is_bent_is_bent_back(slope: float, shift: float) -> None:
    labels, honest = drawn(20_000)
    wrong = bent(honest, slope, shift)
    found = fit_calibration(labels, wrong)
    assert found.kind in ("platt", "beta")
    others, truth = drawn(20_000, seed=2)
    mended = found.apply(bent(truth, slope, shift))
    assert log_loss(others, mended) < log_loss(others, bent(truth, slope, shift)) - 0.002
    assert calibration_error(others, mended) < 0.012
    assert auc(others, mended) == pytest.approx(auc(others, truth), abs=1e-9)
    assert found.a == pytest.approx(1 / slope, rel=0.15)


def test_a_lopsided_bend_takes_beta() -> None:
    labels, honest = drawn(60_000)
    found = fit_calibration(labels, honest**3)
    assert found.kind == "beta"
    assert calibration_error(labels, found.apply(honest**3)) < 0.01


def test_of_few_rows_nothing_is_concluded() -> None:
    labels, honest = drawn(900)
    assert fit_calibration(labels, bent(honest, 3.0, 0.0)) == NONE
    nobody = np.zeros(5000, dtype=np.bool_)
    assert fit_calibration(nobody, np.full(5000, 0.3)) == NONE


def test_a_model_that_ranks_backwards_is_not_turned_round() -> None:
    labels, honest = drawn(20_000)
    found = fit_calibration(labels, 1.0 - honest)
    scores = np.linspace(0.01, 0.99, 99)
    assert (np.diff(found.apply(scores)) >= 0).all()


calibrations = st.builds(
    Calibration,
    kind=st.sampled_from(["none", "platt", "beta"]),
    a=st.floats(0, 50),
    b=st.floats(0, 50),
    c=st.floats(-50, 50),
)


@given(calibrations, st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_one_score_and_many_get_the_same(calibration: Calibration, scores: list[float]) -> None:
    many = calibration.apply(np.array(scores))
    one = [calibration.apply(score) for score in scores]
    assert many.tolist() == pytest.approx(one, abs=1e-12)
    assert all(0.0 <= score <= 1.0 and not math.isnan(score) for score in one)
    assert [place for _, place in sorted(zip(scores, one, strict=True))] == pytest.approx(sorted(one), abs=1e-12)


@given(calibrations)
def test_it_is_read_back_as_it_was(calibration: Calibration) -> None:
    assert msgspec.json.decode(msgspec.json.encode(calibration), type=Calibration) == calibration

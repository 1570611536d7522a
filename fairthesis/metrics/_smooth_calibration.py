"""The smooth calibration error, which has no bins."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.fft import dct, idct
from scipy.ndimage import gaussian_filter1d

from fairthesis import inputs

Array = NDArray[np.float64]


def grid_cell(y_score: ArrayLike, grid: int) -> NDArray[np.intp]:
    """The one of ``grid`` equal intervals of [0, 1] that each score lies in.

    Unlike ``bin_index`` it checks nothing and rounds as the product does: for histograms that are
    fine enough for neither to matter.

    Args:
        y_score: Probabilities, any shape.
        grid: Number of intervals.

    Returns:
        Numbers from 0 to ``grid - 1``, same shape.

    >>> grid_cell([0.0, 0.26, 1.0], 4).tolist()
    [0, 1, 3]
    """
    return np.minimum((np.asarray(y_score, np.float64) * grid).astype(np.intp), grid - 1)


def smoothed(residual: ArrayLike, sigma: float) -> Array:
    """``residual`` under a Gaussian of width ``sigma``, reflected at 0 and 1.

    Args:
        residual: Values over equal intervals of [0, 1], shape (..., intervals).
        sigma: Standard deviation as a share of [0, 1]. A width of 0 changes nothing; it is the
            bandwidth that smECE finds where no score is wrong.

    Returns:
        Same shape as ``residual``; the sum over the last axis is kept.

    >>> smoothed([0.0, 1.0, 0.0], 0.0).tolist()
    [0.0, 1.0, 0.0]
    >>> smoothed([0.0, 1.0, 0.0], 0.2).round(2).tolist()
    [0.17, 0.66, 0.17]
    """
    r = np.asarray(residual, np.float64)
    width = sigma * r.shape[-1]
    if width < 1e-9:  # in cells
        return r.copy()
    if width < WIDE:
        return np.asarray(gaussian_filter1d(r, width, mode="reflect", truncate=5.0))
    return _damped(dct(r, axis=-1), sigma)


WIDE = 4  # cells: from here on the kernel's samples are the Gaussian to the last digit


def _damped(frequencies: Array, sigma: float) -> Array:
    """Cosines of a histogram, as of ``dct``, back as the histogram under a Gaussian.

    Reflection at both ends is what the cosine transform continues a histogram by, and a Gaussian
    takes exp(-(pi k sigma)^2 / 2) of the k-th cosine: many times faster than to add up a kernel
    that is hundreds of cells wide.
    """
    k = np.arange(frequencies.shape[-1])
    return np.asarray(idct(frequencies * np.exp(-((np.pi * k * sigma) ** 2) / 2), axis=-1))


def smooth_ece(
    y_true: ArrayLike, y_score: ArrayLike, grid: int = 2000, weight: ArrayLike | None = None
) -> float:
    """Smooth calibration error, smECE, in [0, 1]: no bins, and a bandwidth that sets itself.

    smECE_σ is the integral of ``|mean of K_σ(t, score)(label - score)|`` over t in [0, 1], with a
    Gaussian kernel reflected at both ends; smECE is the σ at which smECE_σ = σ (Błasiok and
    Nakkiran 2023, "Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing").

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        grid: Number of equal intervals of [0, 1] on which residuals are gathered first.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        The error; NaN where there is no case.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> round(smooth_ece([1, 0] * 500, [0.6] * 1000), 2)
    0.1
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    if not len(y):
        return float("nan")
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    return smooth_error(np.bincount(grid_cell(s, grid), w * (y - s), minlength=grid) / w.sum())


def smooth_error(residual: Array) -> float:
    """``smooth_ece`` from residuals that are gathered on a grid already.

    Args:
        residual: Sum of label - score in each of equal intervals of [0, 1], over the number of all
            cases, shape (intervals,). Its length is the ``grid`` of ``smooth_ece``.

    Returns:
        The smooth calibration error.

    >>> residual = np.zeros(2000)
    >>> residual[1200] = -0.1  # all cases at a score of 0.6, half of them positive
    >>> round(smooth_error(residual), 2)
    0.1
    """

    frequencies = dct(np.asarray(residual, np.float64))

    def error(sigma: float) -> float:
        if sigma * len(residual) < WIDE:
            return float(np.abs(smoothed(residual, sigma)).sum())
        return float(np.abs(_damped(frequencies, sigma)).sum())

    low, high = 0.5 / len(residual), 1.0
    for _ in range(30):  # smECE_σ falls as σ grows, so the crossing is single
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) > middle else (low, middle)
    return error(high)


def smooth_curve(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None, grid: int = 2000
) -> pd.DataFrame:
    """The share of positives as a smooth function of the score, without bins.

    The kernel mean of the labels at each score (Nadaraya 1964; Watson 1964), by the Gaussian of
    ``smooth_ece``. Its width is the standard deviation of the scores by n^(-1/5), n the (effective)
    number of cases, so that with more cases the curve comes nearer to the true one.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.
        grid: Number of equal intervals of [0, 1].

    Returns:
        A row for each interval that has a case: ``score`` (its middle), ``rate`` and ``cases``
        (the sum of their weights).

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> smooth_curve([1, 0] * 500, [0.6] * 1000).round(2).to_dict("records")
    [{'score': 0.6, 'rate': 0.5, 'cases': 1000.0}]
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    if not len(y):
        return pd.DataFrame({name: np.empty(0) for name in ("score", "rate", "cases")})
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    cell = grid_cell(s, grid)
    cases = np.bincount(cell, w, minlength=grid)
    total = w.sum()
    n = total**2 / (w @ w)
    spread = np.sqrt(np.average((s - np.average(s, weights=w)) ** 2, weights=w))
    width = max(float(spread) * n**-0.2, 1 / grid)
    labels = smoothed(np.bincount(cell, w * y, minlength=grid), width)
    held = np.flatnonzero(cases > 0)
    rate = np.clip(labels[held] / smoothed(cases, width)[held], 0, 1)
    return pd.DataFrame({"score": (held + 0.5) / grid, "rate": rate, "cases": cases[held]})


def integrated_calibration_index(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """ICI: how far the smooth calibration curve lies from the score, averaged over the cases.

    The mean of ``|curve(score) - score|`` (Austin and Steyerberg 2019, "The Integrated Calibration
    Index"), with ``smooth_curve`` in the place of their loess. Noise raises it, as it does ECE.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        The index, from 0 to 1; NaN where there is no case.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> round(integrated_calibration_index([1, 0] * 500, [0.6] * 1000), 2)
    0.1
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    if not len(y):
        return float("nan")
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    curve = smooth_curve(y, s, w)
    expected = np.interp(s, curve["score"], curve["rate"])
    return float(np.average(np.abs(expected - s), weights=w))

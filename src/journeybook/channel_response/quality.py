"""How good probabilities are: ranking, squared error, calibration, with intervals clustered on people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import xlogy

from journeybook.statistics import Interval, proportion_interval

MEASURES = ("roc_auc", "pr_auc", "log_loss", "brier", "ece")
"""Columns of every quality array, in order; higher is better for the first two, lower for the others."""

N_BINS = 10
"""Bins of equal counts in the expected calibration error and the reliability table."""

_CHUNK = 200_000  # cells of a weights matrix worked on at a time; few enough for the processor's cache


@dataclass(frozen=True, eq=False)
class Quality:
    """The measures of one set of probabilities.

    Attributes:
        estimate: The measures on the rows themselves, shape (5,), in the order of `MEASURES`.
        draws: The measures on bootstrap samples, shape (n_draws, 5).
        ece_floor: Expected calibration error that true probabilities of these sizes would show by chance.
        n_rows: Rows judged.
        n_responses: Responses among them.
    """

    estimate: np.ndarray
    draws: np.ndarray
    ece_floor: float
    n_rows: int
    n_responses: int

    def interval(self, *, level: float = 0.95) -> Interval:
        """Return the basic bootstrap interval of each measure, shape (5,), kept inside what it can be.

        Basic (Davison & Hinkley 1997, eq. 5.6) and not percentile, because the calibration error of a bootstrap
        sample is larger than that of the rows it is drawn from: the percentile interval of a well calibrated model
        misses its target, the reflected one makes up for it.
        """
        return _basic(self.estimate, self.draws, level, lowest=0.0)

    def record(self) -> dict[str, float]:
        """Return the measures with their `_low` and `_high`, by name."""
        interval = self.interval()
        named: dict[str, float] = {"n_rows": self.n_rows, "n_responses": self.n_responses}
        for i, name in enumerate(MEASURES):
            named[name] = float(self.estimate[i])
            named[f"{name}_low"], named[f"{name}_high"] = float(interval.low[i]), float(interval.high[i])
        return {**named, "ece_floor": self.ece_floor}


def quality(probability: np.ndarray, responded: np.ndarray, weights: np.ndarray) -> Quality:
    """Measure probabilities against what happened.

    Args:
        probability: Probability of a response, shape (n,), 0 to 1.
        responded: 0 or 1, shape (n,).
        weights: How often each row is drawn in each bootstrap sample, shape (n_draws, n); whole people are
            drawn, so that the interval counts people and not rows.

    Returns:
        ROC AUC; PR AUC (average precision); log loss in nats; Brier score; ECE, the mean distance between
        predicted and observed rate over ten bins of equal counts.

    Raises:
        ValueError: Shapes differ, a probability is out of range, or only one outcome is there.
    """
    probability, responded = np.asarray(probability, dtype=float), np.asarray(responded)
    if probability.shape != responded.shape or weights.shape[1:] != responded.shape:
        raise ValueError(f"shapes {probability.shape}, {responded.shape} and {weights.shape} do not belong together.")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability is missing, below 0 or above 1.")
    if not 0 < responded.sum() < len(responded):
        raise ValueError(f"{int(responded.sum())} of {len(responded)} responded; both outcomes are needed.")
    step = max(1, _CHUNK // len(responded))
    parts = [np.ones((1, len(responded))), *(weights[i : i + step] for i in range(0, len(weights), step))]
    measured = np.concatenate([_measures(probability, responded, part) for part in parts])
    return Quality(
        estimate=measured[0],
        draws=measured[1:],
        ece_floor=_ece_floor(probability),
        n_rows=len(responded),
        n_responses=int(responded.sum()),
    )


def difference(first: Quality, second: Quality, *, level: float = 0.95) -> pd.DataFrame:
    """Return `first` minus `second` by measure, with the basic interval of the paired bootstrap.

    Both must have been measured on the same rows with the same weights.
    """
    estimate = first.estimate - second.estimate
    interval = _basic(estimate, first.draws - second.draws, level, lowest=-np.inf)
    return pd.DataFrame(
        {
            "measure": MEASURES,
            "difference": estimate,
            "difference_low": interval.low,
            "difference_high": interval.high,
        }
    )


def reliability(probability: np.ndarray, responded: np.ndarray) -> pd.DataFrame:
    """Return predicted and observed rate in ten bins of equal counts, with Wilson's interval of the observed."""
    bins = np.array_split(np.argsort(probability, kind="stable"), N_BINS)
    hits = np.array([responded[part].sum() for part in bins])
    n = np.array([len(part) for part in bins])
    interval = proportion_interval(hits, n)
    return pd.DataFrame(
        {
            "bin": np.arange(1, N_BINS + 1),
            "n_rows": n,
            "predicted": [probability[part].mean() for part in bins],
            "observed": hits / n,
            "observed_low": interval.low,
            "observed_high": interval.high,
        }
    )


def gain(probability: np.ndarray, responded: np.ndarray, *, shares: Sequence[float]) -> pd.DataFrame:
    """Return the share of responses found among the likeliest contacts, and the lift over a random choice.

    >>> gain(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 0, 1, 0]), shares=[0.5]).found_share.tolist()
    [0.5]
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    found = np.concatenate([[0], np.cumsum(np.asarray(responded)[order])]) / np.sum(responded)
    share = np.asarray(shares, dtype=float)
    at = np.interp(share * len(order), np.arange(len(order) + 1), found)
    lift = np.divide(at, share, out=np.full(len(share), np.nan), where=share > 0)
    return pd.DataFrame({"contacted_share": share, "found_share": at, "lift": lift})


def _measures(probability: np.ndarray, responded: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """All five measures for each row of weights, shape (len(weights), 5)."""
    order = np.argsort(probability, kind="stable")
    p, y, w = probability[order], responded[order].astype(float), weights[:, order].astype(float)
    total, positive = w.sum(axis=1), w * y
    n_positive = positive.sum(axis=1)
    # Rows of one score are one step of the curves.
    start = np.flatnonzero(np.concatenate([[True], np.diff(p) > 0]))
    hits = np.add.reduceat(positive, start, axis=1)
    others = np.add.reduceat(w, start, axis=1) - hits
    with np.errstate(divide="ignore", invalid="ignore"):  # a sample with one outcome has no curve: NaN
        below = np.cumsum(others, axis=1) - others / 2
        roc_auc = (hits * below).sum(axis=1) / (n_positive * (total - n_positive))
        hits_from_top = np.cumsum(hits[:, ::-1], axis=1)
        called = np.cumsum((hits + others)[:, ::-1], axis=1)
        precision = np.divide(hits_from_top, called, out=np.zeros_like(called), where=called > 0)
        pr_auc = (precision * hits[:, ::-1]).sum(axis=1) / n_positive
    log_loss = -(w @ (xlogy(y, p) + xlogy(1 - y, 1 - p))) / total
    brier = w @ (p - y) ** 2 / total
    return np.column_stack([roc_auc, pr_auc, log_loss, brier, _ece(p, y, w, total)])


def _ece(p: np.ndarray, y: np.ndarray, w: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Expected calibration error of sorted probabilities, for each row of weights."""
    if (w == 1).all():
        edges = np.cumsum([0, *[len(part) for part in np.array_split(p, N_BINS)]])[:-1]
        gaps = np.add.reduceat(w * (y - p), edges[edges < len(p)], axis=1)
        return np.abs(gaps).sum(axis=1) / total
    middle = np.cumsum(w, axis=1) - w / 2
    bins = np.minimum((middle / total[:, None] * N_BINS).astype(int), N_BINS - 1)
    gap = w * (y - p)
    return np.array(
        [np.abs(np.bincount(b, weights=g, minlength=N_BINS)).sum() for b, g in zip(bins, gap, strict=True)]
    ) / total


def _ece_floor(probability: np.ndarray) -> float:
    """Expected |observed - predicted| over the bins if every probability were true (normal approximation)."""
    parts = np.array_split(np.sort(probability), N_BINS)
    return float(sum(np.sqrt(2 / np.pi * (part * (1 - part)).sum()) for part in parts) / len(probability))


def _basic(estimate: np.ndarray, draws: np.ndarray, level: float, *, lowest: float) -> Interval:
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    # Of the five only log loss may exceed 1.
    highest = np.where(np.array(MEASURES) == "log_loss", np.inf, 1.0)
    return Interval(low=np.maximum(2 * estimate - high, lowest), high=np.minimum(2 * estimate - low, highest))

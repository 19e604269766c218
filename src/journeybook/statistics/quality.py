"""How good probabilities are: ranking, squared error, calibration, with intervals clustered on people."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import xlogy
from scipy.stats import norm

from journeybook.statistics.intervals import Interval, proportion_interval

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
        draws: The first four measures on bootstrap samples, shape (n_draws, 4).
        gaps: Observed less predicted responses in each bin, as a share of all rows, shape (10,).
        gap_draws: The same on bootstrap samples, shape (n_draws, 10).
        n_rows: Rows judged, with `n_responses` responses.
    """

    estimate: np.ndarray
    draws: np.ndarray
    gaps: np.ndarray
    gap_draws: np.ndarray
    n_rows: int
    n_responses: int

    @property
    def ece_floor(self) -> float:
        """Expected calibration error that chance alone would show, were every probability true."""
        return float(np.abs(self.gap_draws - self.gaps).sum(axis=1).mean())

    def interval(self, *, level: float = 0.95) -> Interval:
        """Return the interval of each measure, shape (5,): percentiles but for the calibration error.

        Chance only adds to a sum of sizes, so that its bootstrap lies above it. With gaps d and noise e,
        | |d + e| - |d| | <= |e|: the lower end takes off the noise's 97.5 % size, the upper adds it along the
        signs found.
        """
        tail = (1 - level) / 2
        low, high = np.nanquantile(self.draws, [tail, 1 - tail], axis=0)
        noise = self.gap_draws - self.gaps
        ece_low = self.estimate[-1] - np.quantile(np.abs(noise).sum(axis=1), 1 - tail)
        ece_high = self.estimate[-1] + np.quantile(-noise @ np.sign(self.gaps), 1 - tail)
        return Interval(low=np.append(low, max(ece_low, 0.0)), high=np.append(high, min(ece_high, 1.0)))

    def record(self) -> dict[str, float]:
        """Return the measures with their `_low` and `_high`, by name, as one row of a results table."""
        interval = self.interval()
        named: dict[str, float] = {"n_rows": self.n_rows, "n_responses": self.n_responses}
        for i, name in enumerate(MEASURES):
            named[name] = float(self.estimate[i])
            named[f"{name}_low"], named[f"{name}_high"] = float(interval.low[i]), float(interval.high[i])
        return {**named, "ece_floor": self.ece_floor}


def quality(probability: np.ndarray, responded: np.ndarray, weights: np.ndarray) -> Quality:
    """Measure probabilities, shape (n,), against 0/1 responses; log loss is in nats, ECE over ten bins.

    `weights` say how often each row is drawn in each bootstrap sample of whole people, shape (n_draws, n).

    Raises:
        ValueError: Shapes differ, a probability is out of range, or only one outcome is there.
    """
    return qualities([probability], responded, weights)[0]


def qualities(probabilities: Sequence[np.ndarray], responded: np.ndarray, weights: np.ndarray) -> list[Quality]:
    """Measure several probabilities of the same rows, as `quality` does.

    Those that rank the rows like the first, as a model before and after calibration do, are ranked only once.
    """
    said, responded = [np.asarray(each, dtype=float) for each in probabilities], np.asarray(responded)
    for each in said:
        if each.shape != responded.shape or weights.shape[1:] != responded.shape:
            raise ValueError(f"shapes {each.shape}, {responded.shape}, {weights.shape} do not belong together.")
        if not ((each >= 0) & (each <= 1)).all():
            raise ValueError("a probability is missing, below 0 or above 1.")
    if not 0 < responded.sum() < len(responded):
        raise ValueError(f"{int(responded.sum())} of {len(responded)} responded; both outcomes are needed.")
    order = np.argsort(said[0], kind="stable")
    steps = [np.sign(np.diff(each[order])) for each in said]
    alike = [i for i, step in enumerate(steps) if (step == steps[0]).all()]
    step = max(1, _CHUNK // len(responded))
    once = np.ones((1, len(responded)), dtype=int)
    parts = [once, *(weights[i : i + step] for i in range(0, len(weights), step))]
    y, ranked = responded[order].astype(float), [said[i][order] for i in alike]
    measured = [_measures(ranked, y, part[:, order]) for part in parts]
    found = {i: _quality(np.concatenate([part[k] for part in measured]), responded) for k, i in enumerate(alike)}
    return [found[i] if i in found else quality(each, responded, weights) for i, each in enumerate(said)]


def _quality(measured: np.ndarray, responded: np.ndarray) -> Quality:
    gaps = measured[:, 4:]
    return Quality(
        estimate=np.append(measured[0, :4], np.abs(gaps[0]).sum()),
        draws=measured[1:, :4],
        gaps=gaps[0],
        gap_draws=gaps[1:],
        n_rows=len(responded),
        n_responses=int(responded.sum()),
    )


def difference(first: Quality, second: Quality, *, level: float = 0.95) -> pd.DataFrame:
    """Return `first` minus `second` by measure but ECE, with the interval of the paired bootstrap.

    Both must have been measured on the same rows with the same weights. The interval is the difference plus and
    minus normal quantiles of the bootstrap's standard error.
    """
    estimate = first.estimate[:4] - second.estimate[:4]
    half = norm.ppf((1 + level) / 2) * np.nanstd(first.draws - second.draws, axis=0, ddof=1)
    return pd.DataFrame(
        {
            "measure": MEASURES[:4],
            "difference": estimate,
            "difference_low": estimate - half,
            "difference_high": estimate + half,
        }
    )


def reliability(probability: np.ndarray, responded: np.ndarray) -> pd.DataFrame:
    """Return predicted and observed rate in ten bins of equal counts, with Wilson's interval of the observed."""
    bins = np.split(np.argsort(probability, kind="stable"), _bin_ends(len(probability))[:-1].astype(int))
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


def expected_error(table: pd.DataFrame) -> float:
    """Return the ECE of a table made by `reliability`."""
    return float(np.average((table["observed"] - table["predicted"]).abs(), weights=table["n_rows"]))


def gain(
    probability: np.ndarray, responded: np.ndarray, weights: np.ndarray, *, shares: Sequence[float]
) -> pd.DataFrame:
    """Return `found_share` and `lift` when the likeliest are contacted, by `contacted_share`, with 95 % intervals.

    Arguments are those of `quality`; contacts of one probability keep their order.

    >>> gain(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1, 0, 1, 0]), np.ones((1, 4)), shares=[0.5]).lift.tolist()
    [1.0]
    """
    order = np.argsort(-np.asarray(probability), kind="stable")
    hit, share = np.asarray(responded, dtype=float)[order], np.asarray(shares, dtype=float)
    found = np.array([_found(row[order], hit, share) for row in (np.ones(len(order)), *weights)])
    low, high = np.nanquantile(found[1:], [0.025, 0.975], axis=0)
    table = {"contacted_share": share}
    for end, value in (("", found[0]), ("_low", low), ("_high", high)):
        table[f"found_share{end}"] = value
        table[f"lift{end}"] = np.divide(value, share, out=np.full(len(share), np.nan), where=share > 0)
    return pd.DataFrame(table)


def _found(weight: np.ndarray, hit: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Share of the weighted responses found in the first part of the rows, for each share of their weight."""
    rows, hits = (np.concatenate([[0.0], np.cumsum(each)]) for each in (weight, weight * hit))
    return np.interp(share * rows[-1], rows, hits) / hits[-1] if hits[-1] else np.full(len(share), np.nan)


def _measures(said: Sequence[np.ndarray], y: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    """Four measures and ten gaps, shape (k, 14), of each of `said`, which ascend, for k rows of weights."""
    rows, w = np.cumsum(w, axis=1, dtype=w.dtype), w.astype(float)
    n = rows[:, -1:]
    # Rows of one score are one step of the curves; only steps with a response add to the areas.
    start = np.flatnonzero(np.concatenate([[True], np.diff(said[0]) > 0]))
    hit = np.flatnonzero(y)
    step, first = np.unique(np.searchsorted(start, hit, side="right") - 1, return_index=True)
    hits_in = np.add.reduceat(w[:, hit], first, axis=1)
    hits_to = np.cumsum(hits_in, axis=1)
    n_hits = hits_to[:, -1:]
    rows_to = rows[:, np.append(start[1:], len(y))[step] - 1]
    rows_in = rows_to - rows[:, start[step]] + w[:, start[step]]
    with np.errstate(divide="ignore", invalid="ignore"):  # a sample with one outcome has no curve: NaN
        others_below = rows_to - hits_to - (rows_in - hits_in) / 2
        roc_auc = (hits_in * others_below).sum(axis=1) / (n_hits * (n - n_hits))[:, 0]
        called, found = n - rows_to + rows_in, n_hits - hits_to + hits_in
        precision = np.divide(found, called, out=np.zeros_like(called), where=called > 0)
        pr_auc = (precision * hits_in).sum(axis=1) / n_hits[:, 0]
    ends = [[0, *np.searchsorted(row, _bin_ends(row[-1])) + 1] for row in rows]
    measured = []
    for p in said:
        log_loss, brier = (w @ np.column_stack([-xlogy(y, p) - xlogy(1 - y, 1 - p), (p - y) ** 2]) / n).T
        off = y - p
        gaps = [[row[a:b] @ off[a:b] for a, b in pairwise(of)] for row, of in zip(w, ends, strict=True)]
        measured.append(np.column_stack([roc_auc, pr_auc, log_loss, brier, np.array(gaps) / n]))
    return measured


def _bin_ends(n: float) -> np.ndarray:
    """Count of rows up to the end of each bin, shape (10,): bins differ by at most one row."""
    return np.ceil(np.arange(1, N_BINS + 1) * n / N_BINS)

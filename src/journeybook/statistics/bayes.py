"""What is believed after the data, by quadrature over posteriors of one dimension: nothing is drawn by chance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

POSTERIOR_COLUMNS = [
    "metric",
    "kind",
    "variant",
    "prior",
    "posterior_mean",
    "posterior_low",
    "posterior_high",
    "effect",
    "effect_low",
    "effect_high",
    "probability_better",
    "probability_best",
    "expected_loss",
]
# Kinds that have a posterior here: a beta one for 0/1 outcomes, a normal one for means.
KINDS = ("proportion", "mean")
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PANELS = 24
_TAIL = 1e-13


@dataclass(frozen=True, eq=False)
class Choice:
    """What each of several unknown values stands for as the greatest, and what choosing it costs."""

    probability_best: NDArray[np.float64]
    expected_loss: NDArray[np.float64]


def choose(posteriors: Sequence[stats.rv_continuous]) -> Choice:
    """Compare independent posterior distributions by the chance to be greatest and the expected loss.

    >>> even = choose([stats.norm(0, 1), stats.norm(0, 1)])
    >>> even.probability_best.round(6).tolist(), even.expected_loss.round(6).tolist()
    ([0.5, 0.5], [0.56419, 0.56419])
    """
    at, weight = _grid(posteriors)
    below = np.array([posterior.cdf(at) for posterior in posteriors])
    best = np.array(
        [
            np.sum(weight * posterior.pdf(at) * np.delete(below, number, axis=0).prod(axis=0))
            for number, posterior in enumerate(posteriors)
        ]
    )
    # E max = upper end - integral of the distribution function of the greatest.
    ends = _ends(posteriors)
    greatest = ends[1] - np.sum(weight * below.prod(axis=0))
    means = np.array([posterior.mean() for posterior in posteriors])
    return Choice(best / best.sum(), np.maximum(greatest - means, 0))


def difference_interval(
    treatment: stats.rv_continuous, control: stats.rv_continuous, *, level: float
) -> tuple[float, float]:
    """Ends of the central interval of the difference of two independent posteriors."""
    # The quadrature is over the narrower one: the other's distribution function is smooth on its scale.
    if treatment.std() < control.std():
        low, high = difference_interval(control, treatment, level=level)
        return -high, -low
    at, weight = _grid([control])
    density = weight * control.pdf(at)
    density = density / density.sum()
    reach = _ends([treatment]) - _ends([control])[::-1]
    low, high = (
        optimize.brentq(
            lambda d, q: density @ treatment.cdf(at + d) - q, *reach, (q,), 1e-12 * (reach[1] - reach[0])
        )
        for q in ((1 - level) / 2, (1 + level) / 2)
    )
    return float(low), float(high)


def posteriors(
    arms: pd.DataFrame,
    *,
    kinds: Mapping[str, str],
    control: str,
    level: float,
    lower_is_better: Collection[str] = (),
) -> pd.DataFrame:
    """Posterior of each arm's mean, and of its difference to the control; arms are independent.

    A proportion has the prior Beta(1, 1). A mean has the unit-information prior (Kass & Wasserman 1995), normal at
    the mean of all arms with the spread of one unit; its standard deviation is taken as known.

    Args:
        arms: One row a metric and variant: metric, variant, n, mean, sd.
        kinds: Kind by metric; kinds other than proportion and mean are left out.
        control: The variant compared against, for which effect and `probability_better` are missing.
        level: Probability of the intervals.
        lower_is_better: Metrics of which less is better.
    """
    rows = []
    for metric in [metric for metric, kind in kinds.items() if kind in KINDS]:
        part = arms[arms["metric"] == metric].reset_index(drop=True)
        found, prior = _posteriors(part, kinds[metric])
        sign = -1 if metric in lower_is_better else 1
        choice = choose(found if sign > 0 else [_mirrored(posterior) for posterior in found])
        base = found[int(np.flatnonzero(part["variant"] == control)[0])]
        for number, name in enumerate(part["variant"]):
            mean, ends = float(found[number].mean()), found[number].interval(level)
            effect = (np.nan,) * 3
            better = np.nan
            if name != control:
                effect = (mean - float(base.mean()), *difference_interval(found[number], base, level=level))
                pair = [found[number], base]
                better = choose(pair if sign > 0 else [_mirrored(one) for one in pair]).probability_best[0]
            rows.append(
                (metric, kinds[metric], name, prior, mean, *map(float, ends), *effect, float(better),
                 float(choice.probability_best[number]), float(choice.expected_loss[number]))
            )  # fmt: skip
    return pd.DataFrame(rows, columns=POSTERIOR_COLUMNS)


def _posteriors(part: pd.DataFrame, kind: str) -> tuple[list[stats.rv_continuous], str]:
    """The posterior of each arm, and the prior in words."""
    n, mean = part["n"].to_numpy(dtype=float), part["mean"].to_numpy(dtype=float)
    if kind == "proportion":
        return [stats.beta(1 + k, 1 + m - k) for k, m in zip(n * mean, n, strict=True)], "Beta(1, 1)"
    centre = float(n @ mean / n.sum())
    sd = part["sd"].to_numpy(dtype=float)
    inside = float((n - 1) @ sd**2)
    spread = np.sqrt((inside + n @ (mean - centre) ** 2) / (n.sum() - 1))
    # An arm of one value alone tells no spread of its own.
    data = n / np.where(sd > 0, sd, spread) ** 2
    precision = data + 1 / spread**2
    middle = (data * mean + centre / spread**2) / precision
    normal = [stats.norm(m, s) for m, s in zip(middle, precision**-0.5, strict=True)]
    return normal, f"Normal({centre:.4g}, {spread:.4g})"


def _mirrored(posterior: stats.rv_continuous) -> stats.rv_continuous:
    """The distribution of the negative value, whose greatest is the smallest."""
    if posterior.dist.name == "norm":
        return stats.norm(-posterior.mean(), posterior.std())
    a, b = posterior.args
    return stats.beta(b, a, loc=-1)


def _ends(posteriors: Sequence[stats.rv_continuous]) -> NDArray[np.float64]:
    low = min(float(posterior.ppf(_TAIL)) for posterior in posteriors)
    return np.array([low, max(float(posterior.isf(_TAIL)) for posterior in posteriors)])


def _grid(posteriors: Sequence[stats.rv_continuous]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights that integrate over all the posteriors: Gauss-Legendre between their quantiles."""
    inner = np.linspace(0, 1, _PANELS + 1)[1:-1]
    levels = np.concatenate([10.0 ** np.arange(-12, -2), inner, 1 - 10.0 ** np.arange(-3, -13, -1)])
    quantiles = np.concatenate([posterior.ppf(levels) for posterior in posteriors])
    edges = np.unique(np.concatenate([quantiles, _ends(posteriors)]))
    half = np.diff(edges)[:, None] / 2
    points = edges[:-1, None] + half * (_NODES + 1)
    return points.ravel(), (half * _WEIGHTS).ravel()

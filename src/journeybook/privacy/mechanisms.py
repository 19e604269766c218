"""Noise for a release: OpenDP's discrete mechanisms, on whole numbers, from the system's random bytes."""

from dataclasses import dataclass
from functools import cache
from math import ceil, exp, log, sqrt
from typing import Any

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

from journeybook.privacy.asking import Asked
from journeybook.privacy.bounding import Cells

CUT_SHARE = 0.1
"""Part of a release's budget that says of how many units something was cut off: what no noise shows."""

WRONG = 0.05  # probability that an interval misses


@dataclass(frozen=True)
class Noise:
    """The noise of one figure in all groups of a release.

    Attributes:
        figure: `people`, `rows`, `hits`, `sum` (in hundredths) or `cut`.
        mechanism: `discrete Laplace` or `discrete Gaussian`.
        sensitivity: Most that one unit changes in all groups together: their sum for Laplace noise (L1), the
            root of the sum of squares for Gaussian (L2).
        most: Most that it changes in one group.
        scale: Of the noise.
        epsilon: What it costs by OpenDP's own privacy map; 0 for Gaussian noise.
        rho: Likewise in zCDP; 0 for Laplace noise.
        threshold: Least noised count that lists a group which was found in the data; None where all are declared.
        delta: Probability that a group is listed which one unit alone makes.
    """

    figure: str
    mechanism: str
    sensitivity: float
    most: int
    scale: float
    epsilon: float
    rho: float
    threshold: int | None = None
    delta: float = 0.0


def noise_of(asked: Asked) -> list[Noise]:
    """Return the noise of each figure of a release, from its bounds and its budget alone: no row is looked at."""
    by_unit = {"people": 1, "sum": asked.amount}
    figures = {"sum": ["sum"], "mean": ["sum", "people"], "rate": ["hits", "rows"], "rows": ["rows"]}
    used = figures.get(asked.kind, ["people"])
    made = []
    for figure in [*used, "cut"]:
        share = CUT_SHARE if figure == "cut" else (1 - CUT_SHARE) / len(used)
        if figure == "cut":
            sums, roots, most = 1.0, 1.0, 1
        elif figure in by_unit:
            most = by_unit[figure]
            sums, roots = float(asked.groups * most), sqrt(asked.groups) * most
        else:  # rows, which may all be in one group
            sums, roots, most = float(asked.rows), float(asked.rows), asked.rows
        found = figure != "cut" and asked.declared is None
        made.append(_noise(asked, figure, share=share, sums=sums, roots=roots, most=most, found=found))
    return made


def _noise(asked: Asked, figure: str, *, share: float, sums: float, roots: float, most: int, found: bool) -> Noise:
    if asked.rho is not None:
        scale = roots / sqrt(2 * asked.rho * share)
        rho = max(asked.rho * share, float(_gaussian(scale).map(roots)))
        return Noise(figure, "discrete Gaussian", roots, most, scale, 0.0, rho)
    budget = float(asked.epsilon or 0) * share
    scale = sums / budget
    if not found:
        epsilon = max(budget, float(_laplace(scale).map(int(sums))))
        return Noise(figure, "discrete Laplace", sums, most, scale, epsilon, 0.0)
    distance = (asked.groups, int(sums), most)
    threshold = dp.binary_search(
        lambda least: _thresholded(scale, least).map(distance)[1] <= asked.delta, bounds=(most + 1, 2**30)
    )
    epsilon, delta = _thresholded(scale, threshold).map(distance)
    mechanism = "discrete Laplace, threshold"
    return Noise(figure, mechanism, sums, most, scale, max(budget, epsilon), 0.0, int(threshold), float(delta))


def charge_of(noises: list[Noise]) -> dict[str, Any]:
    """Return what a release costs: `mechanism`, `sensitivity` by figure, `epsilon` or `rho`, `delta`."""
    rho, epsilon = sum(n.rho for n in noises), sum(n.epsilon for n in noises)
    return {
        "mechanism": noises[0].mechanism,
        "sensitivity": {n.figure: n.sensitivity for n in noises},
        "delta": sum(n.delta for n in noises),
    } | ({"rho": rho} if rho else {"epsilon": epsilon})


def draw(cells: Cells, noises: list[Noise]) -> tuple[list[tuple[str, ...]], dict[str, NDArray[np.int64]]]:
    """Return the groups that may be named, and each figure with noise, shape (n_groups,); `cut` has shape (1,)."""
    groups, drawn = cells.groups, {}
    for noise in noises:
        exact = np.array([cells.cut]) if noise.figure == "cut" else cells.counted[noise.figure]
        if noise.threshold is None:
            made = _laplace if noise.rho == 0 else _gaussian
            drawn[noise.figure] = np.array(made(noise.scale)([int(n) for n in exact]), dtype=np.int64)
        else:
            keys = {str(i): int(n) for i, n in enumerate(exact) if n}
            listed = _thresholded(noise.scale, noise.threshold)(keys) if keys else {}
            # In the order of their names: any other could tell of the data.
            named = sorted((groups[int(i)], int(n)) for i, n in listed.items())
            groups = [group for group, _ in named]
            drawn[noise.figure] = np.array([n for _, n in named], dtype=np.int64)
    return groups, drawn


def reach(noise: Noise, *, n_added: int = 1, wrong: float = WRONG) -> int:
    """Return how far noise, or the sum of several draws of it, is off at most, but with probability `wrong`.

    One draw of Laplace noise in closed form; else the least of Chernoff's bounds, which hold for discrete noise
    (Canonne, Kamath & Steinke 2020, for Gaussian). The mechanism alone says so, and the data do not enter.
    """
    if n_added == 1 and noise.rho == 0:
        # P(|noise| > k) = 2 a^(k + 1) / (1 + a)
        a = exp(-1 / noise.scale)
        return max(0, ceil(-noise.scale * log(wrong * (1 + a) / 2) - 1))
    if noise.rho:
        return ceil(noise.scale * sqrt(2 * n_added * log(2 / wrong)))
    steps = np.linspace(0, 1, 2002)[1:-1] / noise.scale
    a = exp(-1 / noise.scale)
    generated = 2 * np.log1p(-a) - np.log1p(-a * np.exp(steps)) - np.log1p(-a * np.exp(-steps))
    return ceil(((n_added * generated + log(2 / wrong)) / steps).min())


def together(drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return figures that are not negative and add up to their noised total, and that total: no cost, no new look.

    The nearest such figures (Duchi et al. 2008, projection onto the simplex), in whole numbers.
    """
    total = max(0, int(drawn.sum()))
    if not len(drawn) or not total:
        return np.zeros_like(drawn), total
    ordered = np.sort(drawn)[::-1].astype(float)
    shifts = (np.cumsum(ordered) - total) / np.arange(1, len(drawn) + 1)
    shift = shifts[np.flatnonzero(ordered > shifts)[-1]]
    near = np.maximum(drawn - shift, 0)
    whole = np.floor(near + 1e-9).astype(np.int64)
    rest = total - int(whole.sum())
    whole[np.argsort(whole - near, kind="stable")[:rest]] += 1
    return whole, total


@cache
def _laplace(scale: float) -> dp.Measurement:
    dp.enable_features("contrib")
    return dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64"), scale=scale)


@cache
def _gaussian(scale: float) -> dp.Measurement:
    dp.enable_features("contrib")
    return dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64"), scale=scale)


@cache
def _thresholded(scale: float, threshold: int) -> dp.Measurement:
    dp.enable_features("contrib")
    domain = dp.map_domain(dp.atom_domain(T=dp.String), dp.atom_domain(T="i64"))
    metric = dp.l01inf_distance(dp.absolute_distance(T="i64"))
    return dp.m.make_laplace_threshold(domain, metric, scale=scale, threshold=threshold)

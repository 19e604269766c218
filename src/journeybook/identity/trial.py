"""A linkage tried on records of known truth, beside the tempting shortcuts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import resolve
from journeybook.identity.comparison import compare
from journeybook.identity.model import fit_linkage
from journeybook.identity.quality import PairQuality, pair_quality
from journeybook.identity.simulation import KnownRecords

# Thresholds that the curve is drawn for.
THRESHOLDS = (0.01, 0.1, 0.5, 0.8, 0.9, 0.99, 0.999)

# No cluster is as wide as this.
WITHOUT_GUARD = 10**6


@dataclass(frozen=True, eq=False)
class LinkageTrial:
    """How a linkage does on records of known truth.

    Attributes:
        quality: Pairs at the page's threshold.
        without_households: The same with two classes, matches and strangers.
        expected_matches: Number of matches that the model expects among the pairs compared.
        curve: One row a threshold: `threshold`, `precision`, `recall`, `f1`, `n_wrong`, `n_missed` (pairs).
        ways: One row a way of linking: `way`, `precision`, `recall`, `f1`, `n_wrong`, `n_missed` (pairs).
    """

    quality: PairQuality
    without_households: PairQuality
    expected_matches: float
    curve: pd.DataFrame
    ways: pd.DataFrame


def try_linkage(
    known: KnownRecords,
    *,
    threshold: float,
    blocking: Sequence[str],
    max_block: int,
    max_diameter: int,
    n_random_pairs: int,
    max_iterations: int,
    rng: np.random.Generator,
) -> LinkageTrial:
    """Link records of known truth as the page does (`compare`, `fit_linkage`, `resolve`), and by shortcuts."""
    records = ibis.memtable(known.records)
    pairs = compare(records, blocking=blocking, max_block=max_block, n_random_pairs=n_random_pairs, rng=rng)
    model = fit_linkage(pairs, max_iterations=max_iterations)
    two_classes = fit_linkage(pairs, max_iterations=max_iterations, households=False)
    fitted: dict[str, Any] = {"max_diameter": max_diameter, "pairs": pairs, "model": model}
    ways: dict[str, dict[str, Any]] = {
        "this page": fitted | {"threshold": threshold},
        "exact keys only": {"threshold": threshold, "max_diameter": max_diameter},
        "no class for households": fitted | {"threshold": threshold, "model": two_classes},
        "no guard, any plausible link": fitted | {"threshold": THRESHOLDS[0], "max_diameter": WITHOUT_GUARD},
    }

    def quality(asked: dict[str, Any]) -> PairQuality:
        return pair_quality(resolve(records, **asked).records.cluster, known.truth)

    qualities = {way: quality(asked) for way, asked in ways.items()}
    return LinkageTrial(
        quality=qualities["this page"],
        without_households=qualities["no class for households"],
        expected_matches=model.n_matches,
        curve=_listed("threshold", {t: quality(fitted | {"threshold": t}) for t in THRESHOLDS}),
        ways=_listed("way", qualities),
    )


def _listed(name: str, qualities: Mapping[Any, PairQuality]) -> pd.DataFrame:
    rows = [
        (what, got.precision, got.recall, got.f1, got.n_found - got.n_right, got.n_true - got.n_right)
        for what, got in qualities.items()
    ]
    return pd.DataFrame(rows, columns=[name, "precision", "recall", "f1", "n_wrong", "n_missed"])

"""A linkage tried on records of known truth, beside the tempting shortcuts."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd

from journeybook.identity.clusters import resolve
from journeybook.identity.comparison import compare
from journeybook.identity.model import fit_linkage
from journeybook.identity.quality import PairQuality, pair_quality, threshold_curve
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
        curve: Quality by threshold (`threshold_curve`).
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
    """Link records of known truth as the page links its own, and by the tempting shortcuts.

    Args:
        known: Records of known truth.
        threshold: The page's own.
        blocking: As in `compare`.
        max_block: As in `compare`.
        max_diameter: As in `resolve`.
        n_random_pairs: As in `compare`.
        max_iterations: As in `fit_linkage`.
        rng: Draws the random pairs.
    """
    records = ibis.memtable(known.records)
    pairs = compare(records, blocking=blocking, max_block=max_block, n_random_pairs=n_random_pairs, rng=rng)
    model = fit_linkage(pairs, max_iterations=max_iterations)
    two_classes = fit_linkage(pairs, max_iterations=max_iterations, households=False)
    ways = {
        "this page": resolve(records, threshold=threshold, max_diameter=max_diameter, pairs=pairs, model=model),
        "exact keys only": resolve(records, threshold=threshold, max_diameter=max_diameter),
        "no class for households": resolve(
            records, threshold=threshold, max_diameter=max_diameter, pairs=pairs, model=two_classes
        ),
        "no guard, any plausible link": resolve(
            records, threshold=THRESHOLDS[0], max_diameter=WITHOUT_GUARD, pairs=pairs, model=model
        ),
    }
    qualities = {way: pair_quality(found.records.cluster, known.truth) for way, found in ways.items()}
    return LinkageTrial(
        quality=qualities["this page"],
        without_households=qualities["no class for households"],
        expected_matches=model.n_matches,
        curve=threshold_curve(
            records, known.truth, thresholds=THRESHOLDS, max_diameter=max_diameter, pairs=pairs, model=model
        ),
        ways=pd.DataFrame(
            [
                (way, got.precision, got.recall, got.f1, got.n_found - got.n_right, got.n_true - got.n_right)
                for way, got in qualities.items()
            ],
            columns=["way", "precision", "recall", "f1", "n_wrong", "n_missed"],
        ),
    )

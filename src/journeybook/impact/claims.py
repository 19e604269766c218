"""Claims that went out, and what later data say of them.

The register of claims (`claims.json` beside the run's tables, `tables.keep_claims`) outlives runs. A run writes
down every finding that has an interval, and this page the effects that it found.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from journeybook.impact.increments import Z

COLUMNS = ["claim", "value", "low", "high", "later", "later_low", "later_high", "held"]


def claims_of(effects: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Return the effects as claims: value and ends, by words without figures."""
    rows = effects[np.isfinite(effects[["low", "high"]].astype(float)).all(axis=1)].itertuples()
    return {f"{row.source} adds to {row.metric}": (float(row.effect), row.low, row.high) for row in rows}


def score_claims(register: Mapping[str, Any], *, dataset: str, digest: str, page: str) -> pd.DataFrame:
    """Hold each claim of the register against the next later data of the same claim.

    What other pages claimed of these very data (`digest`) is scored by the next run. Data sets that come with the
    repository are complete: other rows in them are another simulation and no later data.

    Returns:
        One row a pair: claim, value, low, high, later, later_low, later_high, held.
    """
    rows = []
    for name, entry in register.items() if dataset == "files" else ():
        for words, made in entry["claims"].items():
            known = [one for one in made if name == page or one["digest"] != digest]
            for pair in pairwise(known):
                ends = [one[key] for one in pair for key in ("value", "low", "high")]
                rows.append([f"{name}: {words}", *ends, bool(holds(*np.array(ends)))])
    return pd.DataFrame(rows, columns=COLUMNS)


def holds(value: Any, low: Any, high: Any, later: Any, later_low: Any, later_high: Any) -> Any:
    """Return whether claims held, elementwise: two estimates differ within the errors of both.

    Each error is the arm of its interval on the side of the other (Zou & Donner 2008). Of 95 % intervals 95 % hold
    if nothing changes and the data are no part of each other; where later data hold the earlier ones, more do.
    """
    rose = later >= value
    own, other = np.where(rose, high - value, value - low), np.where(rose, later - later_low, later_high - later)
    return np.abs(later - value) <= np.hypot(own, other)


def simulated_claims(*, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Make claims of known honesty, and score each by as many later data.

    Returns:
        One row a kind of claim: kind, n, held.
    """
    true = rng.standard_normal(20 * n)
    first, later = true + rng.standard_normal(true.shape), true + rng.standard_normal(true.shape)
    kinds: dict[str, tuple[Any, float]] = {
        "all reported": (slice(n), Z),
        "only clear ones reported": (np.flatnonzero(first > Z)[:n], Z),
    }
    rows = []
    for kind, (which, half) in (kinds | {"intervals half as wide": (slice(n), Z / 2)}).items():
        v, w = first[which], later[which]
        held = holds(v, v - half, v + half, w, w - half, w + half)
        rows.append([kind, len(v), int(held.sum())])
    return pd.DataFrame(rows, columns=["kind", "n", "held"])

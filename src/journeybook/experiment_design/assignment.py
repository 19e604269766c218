"""Deterministic assignment: the same unit gets the same variant, on every server and every day."""

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

# A test alarms below this p value: it is run for every experiment.
ALARM = 0.001


def positions(unit_ids: Iterable[object], *, salt: str) -> NDArray[np.float64]:
    """A number in [0, 1) for each unit, from the SHA-256 digest of the salt and its id.

    The first 53 bits of the digest of `salt:id` are the number, so that any language can compute it again.

    >>> positions(["u1", "u2"], salt="checkout-button").round(4).tolist() == \
        positions(["u1", "u2"], salt="checkout-button").round(4).tolist()
    True
    """
    digests = (hashlib.sha256(f"{salt}:{unit}".encode()).digest()[:8] for unit in unit_ids)
    first = np.frombuffer(b"".join(digests), dtype=">u8")
    return (first >> np.uint64(11)).astype(np.float64) * 2.0**-53


def assign(unit_ids: Iterable[object], *, salt: str, shares: Mapping[str, float]) -> NDArray[np.object_]:
    """The variant of each unit: its place between 0 and 1 is fixed by its id and the salt alone.

    The variants take up their shares of that line in the order given, on any scale. So a growing treatment takes
    units from the control and gives none back, and another salt, the name of another experiment, deals anew.

    Raises:
        ValueError: The salt is empty, no share is given, or one is not above 0.
    """
    if not salt:
        raise ValueError("salt: found an empty text, needed a name of the experiment's own.")
    planned = np.array([float(share) for share in shares.values()])
    if not (len(planned) and (np.isfinite(planned) & (planned > 0)).all()):
        raise ValueError(f"shares: found {dict(shares)}, needed a number above 0 for each variant.")
    ends = np.cumsum(planned / planned.sum())[:-1]
    names = np.array([str(name) for name in shares], dtype=object)
    return names[np.searchsorted(ends, positions(unit_ids, salt=salt), side="right")]


def unit_ids_of(units: pd.DataFrame) -> list[str]:
    """The units' ids, or their row numbers; made-up ones where there are no units."""
    if units.empty:
        return [f"unit-{number}" for number in range(20_000)]
    ids = units["unit_id"] if "unit_id" in units and units["unit_id"].notna().all() else units["row"]
    return ids.astype(str).tolist()


def assignment_checks(
    unit_ids: Iterable[object], *, salt: str, other_salt: str, shares: Mapping[str, float]
) -> pd.DataFrame:
    """Whether the salted hash deals these very ids evenly, and independently of another experiment's salt.

    Returns:
        One row a check: check, value, p_value, passed (not below 0.001), meaning.
    """
    ids = list(dict.fromkeys(unit_ids))
    place = positions(ids, salt=salt)
    smooth = stats.kstest(place, "uniform")
    variants = [assign(ids, salt=name, shares=shares) for name in (salt, other_salt)]
    crossed = pd.crosstab(*variants).to_numpy()
    joint = stats.chi2_contingency(crossed, correction=False)
    association = float(np.sqrt(joint.statistic / len(ids) / max(min(crossed.shape) - 1, 1)))
    planned = np.array([float(share) for share in shares.values()])
    found = pd.Series(variants[0]).value_counts().reindex([str(name) for name in shares], fill_value=0).to_numpy()
    ratio = stats.chisquare(found, planned / planned.sum() * len(ids))
    gap = float(np.abs(found / len(ids) - planned / planned.sum()).max())
    rows = [
        ("hash_shares", gap, ratio.pvalue, "largest distance of a variant's share from the planned one"),
        ("hash_uniformity", smooth.statistic, smooth.pvalue, "Kolmogorov-Smirnov distance from uniform"),
        ("hash_independence", association, joint.pvalue, "Cramér's V with the assignment by another salt"),
    ]
    table = pd.DataFrame(rows, columns=["check", "value", "p_value", "meaning"])
    return table.assign(passed=table["p_value"] >= ALARM)

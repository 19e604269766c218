"""The third-party join, held against what a simulation planted."""

from dataclasses import dataclass

import ibis
import pandas as pd

# Planted in the demo: people who moved since the first release, at most.
MOVED = 0.12


@dataclass(frozen=True)
class MatchTruth:
    """The join, held against the truth of a simulation.

    Attributes:
        n_known: People with attributes, of those the truth names; 0 without a truth, where the share says nothing.
        right_share: Share of them whose attributes are those of the place where they live.
    """

    n_known: int = 0
    right_share: float = float("nan")


def match_truth(features: ibis.Table, truth: pd.DataFrame | None) -> MatchTruth:
    """Set the attributes of the last snapshot against those that a simulation planted.

    `truth` holds `person_id`, `as_of` of the release, and the true attributes of the postcode where the person
    lives. A person of two households is right with either.
    """
    if truth is None or "third_party_known" not in features.columns:
        return MatchTruth()
    last = features.filter(features.as_of == features.as_of.max()).to_pandas()
    # A postcode that the last release leaves out keeps the attributes of the release before.
    released = truth[truth.as_of <= last.as_of.max()]
    attributes = [c for c in released.columns if c in last.columns and c not in ("row", "person_id", "as_of")]
    pairs = last[last.third_party_known].merge(released, on="person_id", suffixes=("", "_true"))
    same = pd.DataFrame({c: pairs[c].isna() | ((pairs[c] - pairs[f"{c}_true"]).abs() < 1e-9) for c in attributes})
    right = same.all(axis=1).groupby(pairs.person_id).any()
    return MatchTruth(len(right), float(right.mean()))


def truth_holds(found: MatchTruth) -> pd.DataFrame:
    """Hold the join against the truth; nothing where nobody is known.

    Whoever moved may be on record at the old place, and only then has wrong attributes.
    """
    if not found.n_known:
        return pd.DataFrame(columns=["name", "value", "reference", "source", "rule"])
    least = 1 - MOVED - 4 * (MOVED * (1 - MOVED) / found.n_known) ** 0.5
    source = f"planted: {MOVED:.0%} moved, and may be on record where they lived; four sampling errors"
    row = ("people with the right attributes", found.right_share, least, source, "at least")
    return pd.DataFrame([row], columns=["name", "value", "reference", "source", "rule"])

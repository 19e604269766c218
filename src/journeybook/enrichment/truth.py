"""The third-party join, held against what a simulation planted."""

from dataclasses import dataclass

import ibis
import pandas as pd

# Planted in the demo: people who moved since the first release, and places a release leaves out, at most.
MOVED, UNLISTED = 0.12, 0.08


@dataclass(frozen=True)
class MatchTruth:
    """The join, held against the truth of a simulation.

    Attributes:
        n_known: People with attributes, of those the truth names; 0 without a truth, where the shares say nothing.
        n_listed: People with a recorded postcode whose true postcode a release lists.
        right_share: Share of `n_known` whose attributes are those of the place where they live.
        found_share: Share of `n_listed` with attributes.
    """

    n_known: int = 0
    n_listed: int = 0
    right_share: float = float("nan")
    found_share: float = float("nan")


def match_truth(features: ibis.Table, truth: pd.DataFrame | None, *, places: ibis.Table | None) -> MatchTruth:
    """Set the attributes of the last snapshot against those that a simulation planted.

    `truth` holds `person_id`, `as_of` of the release, `listed` (the release names the postcode where the person
    lives), and the true attributes of that postcode. A person of two households is right with either.
    """
    if truth is None or places is None or "third_party_known" not in features.columns:
        return MatchTruth()
    last = features.filter(features.as_of == features.as_of.max()).to_pandas()
    date = last.as_of.iloc[0]
    # A postcode that the last release leaves out keeps the attributes of the release before.
    released = truth[truth.as_of <= date]
    attributes = [c for c in released.columns if c in last.columns and c not in ("row", "person_id", "as_of")]
    pairs = last.merge(released, on="person_id", suffixes=("", "_true"))
    same = pd.DataFrame({c: pairs[c].isna() | ((pairs[c] - pairs[f"{c}_true"]).abs() < 1e-9) for c in attributes})
    pairs["right"] = pairs.third_party_known & same.all(axis=1)
    people = pairs.groupby("person_id")[["third_party_known", "right", "listed"]].any()
    known_from = places.select("person_id", "known_from").to_pandas()
    listed = people.listed & people.index.isin(known_from.person_id[known_from.known_from < date])
    return MatchTruth(
        n_known=int(people.third_party_known.sum()),
        n_listed=int(listed.sum()),
        right_share=float(people.right[people.third_party_known].mean()),
        found_share=float(people.third_party_known[listed].mean()),
    )


def truth_holds(found: MatchTruth) -> pd.DataFrame:
    """Hold the join against the truth: what it can miss is planted, and the rest is sampling error.

    Whoever moved may be on record at the old place, and only then has wrong attributes. Of those, attributes are
    missing where a release leaves out the one place and not the other. Nothing where nobody is known.
    """
    moved = f"planted: {MOVED:.0%} moved, and may be on record where they lived"
    silent = f"planted: {MOVED:.0%} moved, {UNLISTED:.0%} of places are not in a release"
    rows = [
        ("people with the right attributes", found.right_share, MOVED, found.n_known, moved),
        ("listed people on record with attributes", found.found_share, MOVED * UNLISTED, found.n_listed, silent),
    ]
    told = [
        (name, value, 1 - missed - 4 * (missed * (1 - missed) / n) ** 0.5, f"{why}; four sampling errors")
        for name, value, missed, n, why in rows
        if found.n_known and n
    ]
    return pd.DataFrame(told, columns=["name", "value", "reference", "source"]).assign(rule="at least")

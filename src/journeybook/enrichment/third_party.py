"""What another organisation says of people's postcodes, or of people, joined as of a date."""

from dataclasses import dataclass

import ibis
import pandas as pd

# Planted in the demo: people who moved since the first release, and places a release leaves out, at most.
MOVED, UNLISTED = 0.12, 0.08
_KEYS = ("row", "postcode", "person_id", "customer_id", "as_of")


@dataclass(frozen=True)
class MatchTruth:
    """The join, held against the truth of a simulation.

    Attributes:
        n_known: People with attributes, of those the truth names.
        n_listed: People with a recorded postcode whose true postcode a release lists.
        right_share: Share of `n_known` whose attributes are those of the place where they live.
        found_share: Share of `n_listed` with attributes.
    """

    n_known: int
    n_listed: int
    right_share: float
    found_share: float


def join_third_party(
    features: ibis.Table, third_party: ibis.Table | None, *, places: ibis.Table | None
) -> ibis.Table:
    """Add the attributes of the latest release known as of each snapshot; what is missing stays missing.

    A release counts from its own `as_of` on: one of July says nothing about a snapshot of June. A snapshot takes
    the postcode that was recorded last before its date.

    Args:
        features: Snapshots with `person_id` and `as_of`.
        third_party: Clean attributes by `person_id` or `postcode`, for the purpose of enrichment; None adds none.
        places: `person_id`, `postcode`, `known_from` of those who permit enrichment, each person and moment once;
            None where nobody's is known.

    Returns:
        The snapshots with the attributes and `third_party_known`: whether a release names the person or the
        postcode. An attribute called as a feature gets `third_party_` in front.
    """
    if third_party is None:
        return features
    names = {c: f"third_party_{c}" if c in features.columns else c for c in third_party.columns if c not in _KEYS}
    if "person_id" in third_party.columns:
        known, key = third_party.filter(third_party.person_id.notnull()), "person_id"
    elif places is not None:
        known, key = third_party.filter(third_party.postcode.notnull()), "postcode"
        features = _with_postcode(features, places)
    else:
        missing = {name: ibis.null(third_party[c].type()) for c, name in names.items()}
        return features.mutate(third_party_known=ibis.literal(False), **missing)
    # Two records of one person may both be named: the first row speaks.
    first = ibis.row_number().over(group_by=[known[key], known.as_of], order_by=known.row)
    known = known.mutate(place=first).filter(ibis._.place == 0)
    until = known.as_of.lead().over(group_by=known[key], order_by=known.as_of)
    releases = known.select(
        release_key=known[key],
        known_from=known.as_of,
        known_until=until,
        **{name: known[column] for column, name in names.items()},
    )
    joined = features.left_join(
        releases,
        [
            features[key] == releases.release_key,
            features.as_of >= releases.known_from,
            releases.known_until.isnull() | (features.as_of < releases.known_until),
        ],
    )
    joined = joined.mutate(third_party_known=joined.release_key.notnull())
    kept = [c for c in features.columns if c != "postcode"]
    return joined.select(*kept, "third_party_known", *names.values())


def attributes_of(features: ibis.Table, third_party: ibis.Table | None) -> dict[str, str]:
    """Return the attributes of the releases with the columns that hold them in the joined features."""
    attributes = [] if third_party is None else [c for c in third_party.columns if c not in _KEYS]
    return {c: f"third_party_{c}" if f"third_party_{c}" in features.columns else c for c in attributes}


def wrong_attributes(features: ibis.Table, third_party: ibis.Table, *, places: ibis.Table | None) -> int:
    """Count attributes that are not those of the latest release and postcode of their date, matched in pandas.

    Args:
        features: Snapshots after `join_third_party`.
        third_party: Clean attributes by `person_id` or `postcode`.
        places: `person_id`, `postcode`, `known_from`, or None.
    """
    names = attributes_of(features, third_party)
    told = features.select("person_id", "as_of", "third_party_known", *names.values()).to_pandas()
    told = told.sort_values(["as_of", "person_id"], ignore_index=True).astype({"person_id": "str"})
    key = "person_id" if "person_id" in third_party.columns else "postcode"
    due = told[["person_id", "as_of"]]
    if key == "postcode":
        known = due.assign(postcode=None).head(0) if places is None else places.to_pandas()
        known = known.rename(columns={"as_of": "known_from"}).sort_values("known_from")
        known = known[["person_id", "postcode", "known_from"]].astype({"person_id": "str"})
        due = pd.merge_asof(
            due, known, left_on="as_of", right_on="known_from", by="person_id", allow_exact_matches=False
        )
    due[key] = due[key].astype("str")
    releases = third_party.order_by("row").to_pandas().dropna(subset=[key]).drop_duplicates([key, "as_of"])
    releases = releases[[key, "as_of", *names]].assign(is_known=True).astype({key: "str"})
    found = pd.merge_asof(due, releases.sort_values("as_of", kind="stable"), on="as_of", by=key)
    found = found.assign(is_known=found.is_known.eq(True))
    pairs = [("is_known", "third_party_known"), *names.items()]
    return sum(
        int((~((found[a] == told[b]) | (found[a].isna() & told[b].isna())).fillna(False)).sum()) for a, b in pairs
    )


def coverage(features: ibis.Table, *, places: ibis.Table | None) -> pd.DataFrame:
    """Count, snapshot by snapshot, how many people the attributes are known of.

    Args:
        features: Snapshots after `join_third_party`.
        places: `person_id`, `postcode`, `known_from`, or None.

    Returns:
        `as_of`, `n_people`, `n_with_postcode`, `n_known`, `known_share` of the people, `median_revenue_known`,
        `median_revenue_unknown`. Empty where no attributes were joined.
    """
    columns = [
        "as_of", "n_people", "n_with_postcode", "n_known", "known_share",
        "median_revenue_known", "median_revenue_unknown",
    ]  # fmt: skip
    if "third_party_known" not in features.columns:
        return pd.DataFrame(columns=columns)
    placed = features.mutate(postcode=ibis.null("string")) if places is None else _with_postcode(features, places)
    known = placed.third_party_known
    counts = placed.group_by("as_of").aggregate(
        n_people=placed.count(),
        n_with_postcode=placed.postcode.count(),
        n_known=known.sum(),
        known_share=known.cast("int64").sum() / placed.count(),
        median_revenue_known=placed.revenue.median(where=known),
        median_revenue_unknown=placed.revenue.median(where=~known),
    )
    return counts.order_by("as_of").to_pandas()[columns]


def match_truth(features: pd.DataFrame, truth: pd.DataFrame, *, places: pd.DataFrame) -> MatchTruth:
    """Set the attributes of one snapshot against those that a simulation planted.

    Args:
        features: One snapshot after `join_third_party`: `person_id`, `as_of`, `third_party_known`, attributes.
        truth: `person_id`, `as_of` of the release, `listed` (the release names the postcode where the person
            lives), and the true attributes of that postcode. A person of two households is right with either.
        places: `person_id` and `known_from` of each recorded postcode.

    Returns:
        How many were matched rightly, and how many that could be were matched.
    """
    date = features.as_of.iloc[0]
    # A postcode that the last release leaves out keeps the attributes of the release before.
    released = truth[truth.as_of <= date]
    attributes = [c for c in released.columns if c in features.columns and c not in ("row", "person_id", "as_of")]
    pairs = features.merge(released, on="person_id", suffixes=("", "_true"))
    same = pd.DataFrame({c: pairs[c].isna() | ((pairs[c] - pairs[f"{c}_true"]).abs() < 1e-9) for c in attributes})
    pairs = pairs.assign(right=pairs.third_party_known & same.all(axis=1))
    people = pairs.groupby("person_id").agg(known=("third_party_known", "any"), right=("right", "any"),
                                            listed=("listed", "any"))  # fmt: skip
    people["listed"] &= people.index.isin(places.person_id[places.known_from < date])
    return MatchTruth(
        n_known=int(people.known.sum()),
        n_listed=int(people.listed.sum()),
        right_share=float(people.right[people.known].mean()),
        found_share=float(people.known[people.listed].mean()),
    )


def truth_holds(found: MatchTruth) -> pd.DataFrame:
    """Hold the join against the truth: what it can miss is planted, and the rest is sampling error.

    Whoever moved may be on record at the old place, and only then has wrong attributes. Of those, attributes are
    missing where a release leaves out the one place and not the other.

    Returns:
        `name`, `value`, `bound` (the value is at least that), `source`.
    """
    moved = f"planted: {MOVED:.0%} moved, and may be on record where they lived"
    silent = f"planted: {MOVED:.0%} moved, {UNLISTED:.0%} of places are not in a release"
    rows = [
        ("people with the right attributes", found.right_share, MOVED, found.n_known, moved),
        ("listed people on record with attributes", found.found_share, MOVED * UNLISTED, found.n_listed, silent),
    ]
    return pd.DataFrame(
        [
            (name, value, 1 - missed - 4 * (missed * (1 - missed) / n) ** 0.5, f"{why}; four sampling errors")
            for name, value, missed, n, why in rows
        ],
        columns=["name", "value", "bound", "source"],
    )


def _with_postcode(features: ibis.Table, places: ibis.Table) -> ibis.Table:
    """Add each person's postcode as recorded before the date of the snapshot."""
    until = places.known_from.lead().over(group_by=places.person_id, order_by=places.known_from)
    held = places.select(place_of="person_id", postcode="postcode", since="known_from", until=until)
    joined = features.left_join(
        held,
        [
            features.person_id == held.place_of,
            held.since < features.as_of,
            held.until.isnull() | (held.until >= features.as_of),
        ],
    )
    return joined.drop("place_of", "since", "until")

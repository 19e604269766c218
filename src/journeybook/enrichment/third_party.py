"""What another organisation says of people's postcodes, or of people, joined as of a date."""

import ibis
import pandas as pd

_KEYS = ("row", "postcode", "person_id", "customer_id", "as_of")


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
    told = {name: known[column] for column, name in names.items()}
    releases = known.select(release_key=known[key], known_from=known.as_of, **told)
    same = features[key] == releases.release_key
    joined = features.asof_join(releases, on=features.as_of >= releases.known_from, predicates=same)
    joined = joined.mutate(third_party_known=joined.release_key.notnull())
    kept = [c for c in features.columns if c != "postcode"]
    return joined.select(*kept, "third_party_known", *names.values())


def attributes_of(features: ibis.Table, third_party: ibis.Table | None) -> dict[str, str]:
    """Return the attributes of the releases with the columns that hold them in the joined features."""
    attributes = [] if third_party is None else [c for c in third_party.columns if c not in _KEYS]
    return {c: f"third_party_{c}" if f"third_party_{c}" in features.columns else c for c in attributes}


def coverage(features: ibis.Table, *, places: ibis.Table | None) -> pd.DataFrame:
    """Count, snapshot by snapshot, how many people the attributes are known of; empty where none were joined."""
    if "third_party_known" not in features.columns:
        return pd.DataFrame()
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
    return counts.order_by("as_of").to_pandas()


def _with_postcode(features: ibis.Table, places: ibis.Table) -> ibis.Table:
    """Add each person's postcode as recorded before the date of the snapshot."""
    held = places.select(place_of="person_id", postcode="postcode", since="known_from")
    same = features.person_id == held.place_of
    return features.asof_join(held, on=features.as_of > held.since, predicates=same).drop("place_of", "since")

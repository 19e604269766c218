"""What a resolution gives: people, their golden profiles, and refusals carried to them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.identity.clusters import Resolution


@dataclass(frozen=True, eq=False)
class CarriedRefusals:
    """People once the refusals of identity resolution hold for all of a person's records.

    Attributes:
        people: As of `people_of`, but ids of people who refuse by any record stand alone.
        links: Whose refusals hold for whom: `customer_id`, `person_id`, `row` (1, 2, ...); each pair once.
        set_apart: Customer ids that stand alone for this reason, in the order of `people`.
        n_recognised: Number of refusing customers who were recognised.
    """

    people: pd.DataFrame
    links: pd.DataFrame
    set_apart: pd.Series
    n_recognised: int


def people_of(resolution: Resolution, *, names: pd.Series) -> pd.DataFrame:
    """Return which person each customer id belongs to: `customer_id`, `person_id`, `row` (1, 2, ...).

    A person is named by the keyed pseudonym of the customer id on the first of their records.
    """
    firsts = resolution.records.drop_duplicates("customer_id").reset_index(drop=True)
    heads = resolution.records.drop_duplicates("cluster").set_index("cluster").customer_id
    person_id = heads.loc[firsts.cluster].map(names).to_numpy()
    return pd.DataFrame(
        {"customer_id": firsts.customer_id, "person_id": person_id, "row": range(1, len(firsts) + 1)}
    )


def golden_profiles(records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    """Return one profile a person, free of direct identifiers.

    Survivorship, field by field: the value on the most recently updated record that has one; of two records
    of one moment, the one on the later row. Without `updated_at` the last row counts as the most recent.

    Returns:
        `person_id`, `row` (1, 2, ... by first record), `n_records`, `n_sources`, `n_customer_ids`, and where
        the records have them `postcode`, `birth_decade` (its first year) and `updated_at` (the latest).
    """
    optional = [column for column in ("postcode", "birth_date", "updated_at") if column in records.columns]
    table = records.select("row", "customer_id", "source", *optional)
    if "birth_date" in optional:
        table = table.mutate(birth_decade=_decade(table.birth_date)).drop("birth_date")
    frame = table.order_by("row").to_pandas()
    frame = frame.merge(people[["customer_id", "person_id"]], on="customer_id", validate="many_to_one")
    order = frame.drop_duplicates("person_id").person_id
    if "updated_at" in frame:
        frame = frame.sort_values(["updated_at", "row"], na_position="first")
    by_person = frame.groupby("person_id")
    profile = {"n_records": by_person.size(), "n_sources": by_person.source.nunique()}
    profile["n_customer_ids"] = by_person.customer_id.nunique()
    for column in frame.columns.intersection(["postcode", "birth_decade", "updated_at"], sort=False):
        profile[column] = by_person[column].last()  # the last value that is not missing
    found = pd.DataFrame(profile).loc[order].reset_index()
    if "birth_decade" in found:
        found["birth_decade"] = found.birth_decade.astype("Int64")
    found.insert(1, "row", range(1, len(found) + 1))
    return found


def postcode_history(records: ibis.Table, people: pd.DataFrame, *, data_end: datetime | None) -> pd.DataFrame:
    """Return every postcode that a person's records give, each from the record's `updated_at` on.

    A record without a date may have been written on any day of the data, so it counts from the last day on, and
    only where no dated record of the person gives a postcode.

    `data_end` is the first midnight after the data; None, where no table has times, leaves out undated records.

    Returns:
        `person_id`, `postcode`, `known_from`, `row` (1, 2, ... by person and moment). Of two records of one person
        and moment the later row counts.
    """
    if "postcode" not in records.columns:
        records = records.mutate(postcode=ibis.null("string"))
    if "updated_at" not in records.columns:
        records = records.mutate(updated_at=ibis.null("timestamp"))
    known = records.filter(records.postcode.notnull())
    frame = known.select("row", "customer_id", "postcode", "updated_at").order_by("row").to_pandas()
    frame = frame.merge(people[["customer_id", "person_id"]], on="customer_id", validate="many_to_one")
    dated = frame.updated_at.notna()
    frame = frame[dated | ~frame.person_id.isin(frame.person_id[dated])]
    last_day = pd.NaT if data_end is None else pd.Timestamp(data_end - timedelta(days=1))
    frame = frame.assign(known_from=frame.updated_at.astype("datetime64[us]").fillna(last_day))
    frame = frame.dropna(subset="known_from")
    frame = frame.drop_duplicates(["person_id", "known_from"], keep="last")
    first = frame.groupby("person_id")["row"].transform("min")
    frame = frame.assign(first=first).sort_values(["first", "known_from"])
    return frame[["person_id", "postcode", "known_from"]].assign(row=range(1, len(frame) + 1))


def carry_refusals(
    people: pd.DataFrame, refused: ibis.Table, codes: ibis.Table, *, names: pd.Series
) -> CarriedRefusals:
    """Let the refusals of those who refuse identity resolution hold for the people they are.

    They are matched to permitted records on keyed codes (`tables.REFUSAL_RULES`) for this one use: they join no
    profile, and nothing of them is kept but codes and pairs of ids. One record may match several people; then its
    refusals hold for each, because a refusal lost weighs more than a refusal too many. As a refusal holds for
    all records of a person, the ids of a person so recognised are not resolved either: each stands
    alone, and what any of them refuses holds for the others.

    Args:
        people: Which person each permitted customer id belongs to (`people_of`).
        refused: Codes of those who refuse identity resolution.
        codes: Codes of the records of those who permit it (`tables.match_codes`).
        names: The pseudonym of each customer id, by id.
    """
    theirs = refused.select("customer_id", "code", "row").to_pandas()
    ours = codes.select("code", permitted_id="customer_id", permitted_row="row").to_pandas()
    pairs = theirs.merge(ours, on="code").sort_values(["row", "permitted_row"])
    pairs = pairs[["customer_id", "permitted_id"]].drop_duplicates(ignore_index=True)
    found = pairs.merge(people.rename(columns={"customer_id": "permitted_id"}))
    found = found[["customer_id", "person_id"]].drop_duplicates(ignore_index=True)
    apart = people.person_id.isin(found.person_id)
    voices = pd.concat([found, people.loc[apart, ["customer_id", "person_id"]]])
    alone = people[apart].assign(own=people.customer_id[apart].map(names))
    links = voices.merge(alone[["customer_id", "person_id", "own"]], on="person_id", suffixes=("", "_of"))
    links = links[links.customer_id != links.customer_id_of]
    links = links[["customer_id", "own"]].rename(columns={"own": "person_id"}).drop_duplicates(ignore_index=True)
    settled = people.assign(person_id=people.person_id.mask(apart, alone.own))
    return CarriedRefusals(
        people=settled,
        links=links.assign(row=range(1, len(links) + 1)).astype({"customer_id": "str", "person_id": "str"}),
        set_apart=people.customer_id[apart].reset_index(drop=True),
        n_recognised=found.customer_id.nunique(),
    )


def refusal_reach(people: pd.DataFrame, links: pd.DataFrame, refused: dict[str, pd.Series]) -> pd.DataFrame:
    """Return how far the refusals on single records (customer ids by purpose) reach once they hold for the person.

    Returns:
        One row a purpose: `purpose`, `n_refusing_ids` (of people found here), `n_refusing_people` (any of whose
        records refuses), `n_carried_ids` (their other customer ids, for which the refusal now holds too),
        `n_by_link` (people who refuse only by a linked record).
    """
    rows = []
    for purpose, ids in refused.items():
        own = set(people.person_id[people.customer_id.isin(ids)])
        linked = set(links.person_id[links.customer_id.isin(ids)])
        reached = people[people.person_id.isin(own | linked)]
        n_carried = int((~reached.customer_id.isin(ids)).sum())
        n_refusing = pd.concat([people.customer_id, links.customer_id]).drop_duplicates().isin(ids).sum()
        rows.append((purpose, int(n_refusing), len(own | linked), n_carried, len(linked - own)))
    return pd.DataFrame(
        rows, columns=["purpose", "n_refusing_ids", "n_refusing_people", "n_carried_ids", "n_by_link"]
    )


def count_overruled(
    people: pd.DataFrame, links: pd.DataFrame, refused: dict[str, pd.Series], permitted: dict[str, pd.DataFrame]
) -> int:
    """Return how many people the door lets through (`permitted`) for a purpose that a record of theirs refuses."""
    voices = pd.concat([people[["customer_id", "person_id"]], links[["customer_id", "person_id"]]])
    return sum(
        int(permitted[purpose].person_id.isin(voices.person_id[voices.customer_id.isin(ids)]).sum())
        for purpose, ids in refused.items()
        if purpose in permitted
    )


def _decade(birth_date: ibis.Column) -> ibis.expr.types.IntegerValue:
    if birth_date.type().is_temporal():
        return (birth_date.year() // 10 * 10).cast("int64")
    return birth_date.cast("string").substr(0, 3).try_cast("int64") * 10

"""What a resolution gives: people, their golden profiles, and refusals carried to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.identity.clusters import Resolution

# Fields that are chosen, but whose values end on this page.
HELD_BACK = ("given_name", "surname", "email", "phone", "address")


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


def people_of(
    resolution: Resolution, *, names: pd.Series, unmerged: Sequence[str] = (), before: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return which person each customer id belongs to: `customer_id`, `person_id`, `row` (1, 2, ...).

    A person is named by the keyed pseudonym of one of their customer ids: of those that named a person `before`,
    the one that named most customer ids; or else the one on the first of their records. So no two people share a
    name, and a person who grows keeps theirs.

    Args:
        resolution: Which records are one person.
        names: The pseudonym of each customer id, by id.
        unmerged: `person_id` of people to be taken apart: each of their customer ids stands alone.
        before: `customer_id` and `person_id` of an earlier run, or None.

    Raises:
        ValueError: A person to be taken apart is not here.
    """
    firsts = resolution.records.drop_duplicates("customer_id").reset_index(drop=True)
    own, cluster = firsts.customer_id.map(names), firsts.cluster
    person_id = own.groupby(cluster).transform("first")
    if before is not None:
        n_before = own.map(before.person_id.value_counts())
        kept = pd.DataFrame({"cluster": cluster, "own": own, "n": n_before}).dropna()
        kept = kept.sort_values("n", ascending=False, kind="stable").drop_duplicates("cluster")
        person_id = cluster.map(kept.set_index("cluster").own).fillna(person_id)
    unknown = sorted(set(unmerged) - set(own))
    if unknown:
        raise ValueError(f"unmerged: {unknown[0]!r} is no person_id of this run.")
    alone = cluster.isin(cluster[own.isin(unmerged)])
    return pd.DataFrame(
        {
            "customer_id": firsts.customer_id,
            "person_id": person_id.mask(alone, own),
            "row": range(1, len(firsts) + 1),
        }
    )


def read_people(path: str) -> pd.DataFrame:
    """Return `customer_id` and `person_id` of the table `people` of an earlier run, a Parquet file."""
    found = pd.read_parquet(path)
    missing = {"customer_id", "person_id"} - set(found.columns)
    if missing:
        raise ValueError(f"earlier_people: {path} has no column {', '.join(sorted(missing))}.")
    return found[["customer_id", "person_id"]]


def crosswalk(before: pd.DataFrame | None, people: pd.DataFrame) -> pd.DataFrame:
    """Return what became of the people of an earlier run, so that what was kept of them can be carried over.

    Returns:
        One row a pair of an earlier and a present person who share a customer id: `row`, `person_id_before`,
        `person_id`, `n_customer_ids` and `change`: `kept` (the same id), `merged` (into another),
        `split` (a part of them into another), `new` or `gone` (nobody on the other side).
    """
    before = people.head(0) if before is None else before
    both = before[["customer_id", "person_id"]].merge(
        people[["customer_id", "person_id"]], on="customer_id", how="outer", suffixes=("_before", "")
    )
    pairs = both.groupby(["person_id_before", "person_id"], dropna=False).size().reset_index(name="n_customer_ids")
    parts = pairs.groupby("person_id_before").person_id.transform("nunique")
    cases = [
        (pairs.person_id_before.isna(), "new"),
        (pairs.person_id.isna(), "gone"),
        (pairs.person_id_before == pairs.person_id, "kept"),
        (parts > 1, "split"),
    ]
    pairs = pairs.assign(change=pd.Series("merged", index=pairs.index).case_when(cases))
    return pairs.assign(row=range(1, len(pairs) + 1))


def golden_profiles(records: ibis.Table, people: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Return one profile a person, free of direct identifiers, of their golden `values`.

    Returns:
        `person_id`, `row` (1, 2, ... by first record), `n_records`, `n_sources`, `n_customer_ids`, and where
        the records have them `postcode`, `birth_decade` (its first year) and `updated_at` (the latest).
    """
    frame = _of_people(records.select("row", "customer_id", "source", *_dated(records)), people)
    by_person = frame.groupby("person_id", sort=False)
    found = by_person.agg(n_records=("row", "size"), n_sources=("source", "nunique"))
    found["n_customer_ids"] = by_person.customer_id.nunique()
    for field, column in (("postcode", "postcode"), ("birth_decade", "birth_date")):
        if column in records.columns:
            found[field] = values[values.field == field].set_index("person_id").value
    if "birth_decade" in found:
        found["birth_decade"] = found.birth_decade.astype("Int64")
    if "updated_at" in frame:
        found["updated_at"] = by_person.updated_at.max()
    found = found.reset_index()
    found.insert(1, "row", range(1, len(found) + 1))
    return found


def golden_values(records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    """Return the value that stands for a person, field by field, where it comes from, and what it was chosen over.

    Survivorship: the value on the most recently updated record that has one; of two records of one moment, the one
    on the later row. Without `updated_at` the last row counts as the most recent. Names, e-mail addresses, phones
    and addresses are chosen by the same rule; their values are held back.

    Returns:
        One row a person and field with a value: `row`, `person_id`, `field`, `value` (text; missing where held
        back), `source`, `rule` (`only value`, `latest update`, or `last row` without a date), `updated_at`,
        `n_values` (different ones, in conflict from two on).
    """
    told = _told(records, people)
    told = told.sort_values(["person_id", "field", "updated_at", "row"], na_position="first")
    n_values = told.groupby(["person_id", "field"]).value.nunique().to_numpy()
    found = told.drop_duplicates(["person_id", "field"], keep="last").assign(n_values=n_values)
    rule = found.updated_at.notna().map({True: "latest update", False: "last row"}).astype("str")
    found = found.assign(
        rule=rule.mask(found.n_values == 1, "only value"), value=found.value.mask(found.field.isin(HELD_BACK))
    )
    columns = ["person_id", "field", "value", "source", "rule", "updated_at", "n_values"]
    return found[columns].assign(row=range(1, len(found) + 1)).reset_index(drop=True)


def _told(records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    """Every value that a record gives: `row`, `person_id`, `source`, `updated_at`, `field`, `value`."""
    fields = [name for name in (*HELD_BACK, "postcode") if name in records.columns]
    born = {"birth_decade": _decade(records.birth_date).cast("string")} if "birth_date" in records.columns else {}
    dates = records.updated_at if _dated(records) else ibis.null("timestamp")
    frame = _of_people(records.select("row", "customer_id", "source", *fields, **born, updated_at=dates), people)
    told = frame.melt(["row", "person_id", "source", "updated_at"], [*fields, *born], "field")
    return told.dropna(subset="value")


def _dated(records: ibis.Table) -> list[str]:
    return [column for column in ("updated_at",) if column in records.columns]


def _of_people(records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    frame = records.order_by("row").to_pandas()
    return frame.merge(people[["customer_id", "person_id"]], on="customer_id", validate="many_to_one")


def conflicts_of(values: pd.DataFrame) -> pd.DataFrame:
    """Return by `field` how many people have a value (`n_people`), and several different ones (`n_conflicts`)."""
    by_field = values.assign(conflict=values.n_values > 1).groupby("field")
    found = by_field.agg(n_people=("conflict", "size"), n_conflicts=("conflict", "sum")).reset_index()
    return found.assign(conflict_share=found.n_conflicts / found.n_people)


def value_history(records: ibis.Table, people: pd.DataFrame, *, data_end: datetime | None) -> pd.DataFrame:
    """Return every value that a person's records give, field by field, each from the record's `updated_at` on.

    The golden value as of a date is the last one that is known from before it. A record without a date may have
    been written on any day of the data, so it counts from the last day on, and only where no dated record of the
    person gives the field.

    `data_end` is the first midnight after the data; None, where no table has times, leaves out undated records.

    Returns:
        `row` (1, 2, ... by person, field and moment), `person_id`, `field`, `value` (text; missing where held
        back), `source`, `known_from`, `is_change` (whether the value differs from the one before). Of two records
        of one person and moment the later row counts.
    """
    told = _told(records, people)
    keys = ["person_id", "field"]
    has_date = told.updated_at.notna().groupby([told[key] for key in keys]).transform("any").astype(bool)
    last_day = pd.NaT if data_end is None else pd.Timestamp(data_end - timedelta(days=1))
    told = told[told.updated_at.notna() | ~has_date]
    told = told.assign(known_from=told.updated_at.astype("datetime64[us]").fillna(last_day)).dropna(
        subset="known_from"
    )
    told = told.sort_values("row").drop_duplicates([*keys, "known_from"], keep="last")
    first = told.groupby("person_id")["row"].transform("min")
    told = told.assign(first=first).sort_values(["first", "field", "known_from"], ignore_index=True)
    before = told.groupby(keys)["value"].shift()
    found = told.assign(
        is_change=before.notna() & (before != told["value"]),
        value=told["value"].mask(told["field"].isin(HELD_BACK)),
    )
    columns = ["person_id", "field", "value", "source", "known_from", "is_change"]
    return found[columns].assign(row=range(1, len(found) + 1))


def postcodes_of(history: pd.DataFrame) -> pd.DataFrame:
    """Return the postcodes of a `value_history`: `person_id`, `postcode`, `known_from`, `row` (1, 2, ...)."""
    own = history.loc[history["field"] == "postcode", ["person_id", "value", "known_from"]]
    return own.rename(columns={"value": "postcode"}).assign(row=range(1, len(own) + 1)).reset_index(drop=True)


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

"""What a resolution gives: people, their golden profiles, and refusals carried to them."""

import ibis
import pandas as pd

from journeybook.identity.clusters import Resolution
from journeybook.identity.comparison import equal_pairs, kept_in_engine
from journeybook.identity.records import normalise
from journeybook.tables import pseudonym

# Keys wide enough that few refusals are lost; a merge would need narrower ones.
REFUSAL_RULES = ("email", "phone + birth_date", "given_name + surname + birth_date + postcode")


def people_of(resolution: Resolution, *, key: str) -> pd.DataFrame:
    """Return which person each customer id belongs to.

    A person is named by the keyed pseudonym of the customer id on the first of their records.

    Args:
        resolution: Records and their clusters.
        key: Secret of the pseudonyms.

    Returns:
        `customer_id` (each once), `person_id`, `row` (1, 2, ... by first record).
    """
    firsts = resolution.records.drop_duplicates("customer_id").reset_index(drop=True)
    heads = resolution.records.drop_duplicates("cluster").set_index("cluster").customer_id
    named = pd.DataFrame(
        {
            "customer_id": firsts.customer_id,
            "first_id": heads.loc[firsts.cluster].to_numpy(),
            "row": range(1, len(firsts) + 1),
        }
    )
    table = ibis.memtable(named)
    table = table.select("customer_id", "row", person_id=pseudonym(table.first_id, key=key))
    return table.select("customer_id", "person_id", "row").order_by("row").to_pandas()


def golden_profiles(records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    """Return one profile a person, free of direct identifiers.

    Survivorship, field by field: the value on the most recently updated record that has one; of two records
    of one moment, the one on the later row. Without `updated_at` the last row counts as the most recent.

    Args:
        records: Customer records: `row`, `customer_id`, `source`, optionally `postcode`, `birth_date`,
            `updated_at`.
        people: Which person each customer id belongs to (`people_of`).

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
    profile = {
        "n_records": by_person.size(),
        "n_sources": by_person.source.nunique(),
        "n_customer_ids": by_person.customer_id.nunique(),
    }
    for column in ("postcode", "birth_decade", "updated_at"):
        if column in frame:
            profile[column] = by_person[column].last()  # the last value that is not missing
    found = pd.DataFrame(profile).loc[order].reset_index()
    if "birth_decade" in found:
        found["birth_decade"] = found.birth_decade.astype("Int64")
    found.insert(1, "row", range(1, len(found) + 1))
    return found


def refusal_links(refused: ibis.Table, records: ibis.Table, people: pd.DataFrame) -> pd.DataFrame:
    """Return which person a customer who refuses identity resolution is, so that the refusals hold for them.

    Their records are matched to permitted ones on exact keys (`REFUSAL_RULES`) for this one use. They
    join no profile, and nothing of them is kept but the pair of ids. One record may match several people:
    then its refusals hold for each, because a refusal lost weighs more than a refusal too many.

    Args:
        refused: Customer records of those who refuse, as collected.
        records: Customer records of those who permit, of the same engine.
        people: Which person each permitted customer id belongs to.

    Returns:
        `customer_id` (of the refusing), `person_id`, `row` (1, 2, ...); each pair once.
    """
    refused, permitted = normalise(refused), normalise(records)
    shared = [column for column in permitted.columns if column in refused.columns]
    both = refused.select(*shared).mutate(refuses=True).union(permitted.select(*shared).mutate(refuses=False))
    # The two tables number their rows each for itself, so rows are numbered again: those who refuse first.
    both = kept_in_engine(both.mutate(row=ibis.row_number().over(order_by=[both.refuses.desc(), both.row])))
    of_row = both.select("row", "customer_id", "refuses").order_by("row").to_pandas().set_index("row")
    pairs = equal_pairs(both, rules=REFUSAL_RULES)
    pairs = pairs[of_row.refuses.loc[pairs.left].to_numpy() & ~of_row.refuses.loc[pairs.right].to_numpy()]
    found = pd.DataFrame(
        {
            "customer_id": of_row.customer_id.loc[pairs.left].to_numpy(),
            "permitted_id": of_row.customer_id.loc[pairs.right].to_numpy(),
        }
    )
    found = found.merge(people.rename(columns={"customer_id": "permitted_id"}), on="permitted_id")
    found = found[["customer_id", "person_id"]].drop_duplicates(ignore_index=True)
    return found.assign(row=range(1, len(found) + 1)).astype({"customer_id": "str", "person_id": "str"})


def refusal_reach(people: pd.DataFrame, links: pd.DataFrame, refused: dict[str, pd.Series]) -> pd.DataFrame:
    """Return how far the refusals on single records reach once they hold for the person.

    Args:
        people: `customer_id`, `person_id` of those who permit identity resolution.
        links: The same of those who refuse it (`refusal_links`).
        refused: Customer ids that refuse, by purpose.

    Returns:
        One row a purpose: `purpose`, `n_refusing_ids`, `n_refusing_people` (people any of whose records
        refuses), `n_carried_ids` (their other customer ids, for which the refusal now holds too), `n_by_link`
        (people who refuse only by a record outside identity resolution).
    """
    rows = []
    for purpose, ids in refused.items():
        own = set(people.person_id[people.customer_id.isin(ids)])
        linked = set(links.person_id[links.customer_id.isin(ids)])
        reached = people[people.person_id.isin(own | linked)]
        n_carried = int((~reached.customer_id.isin(ids)).sum())
        rows.append((purpose, len(set(ids)), len(own | linked), n_carried, len(linked - own)))
    return pd.DataFrame(
        rows, columns=["purpose", "n_refusing_ids", "n_refusing_people", "n_carried_ids", "n_by_link"]
    )


def _decade(birth_date: ibis.Column) -> ibis.expr.types.IntegerValue:
    if birth_date.type().is_temporal():
        return (birth_date.year() // 10 * 10).cast("int64")
    return birth_date.cast("string").substr(0, 3).try_cast("int64") * 10

"""Where each person was known to live, and since when."""

from datetime import datetime, timedelta

import ibis
import pandas as pd


def postcode_history(records: ibis.Table, people: pd.DataFrame, *, data_end: datetime | None) -> pd.DataFrame:
    """Return every postcode that a person's records give, each from the record's `updated_at` on.

    A record without a date may have been written on any day of the data, so it counts from the last day on, and
    only where no dated record of the person gives a postcode.

    Args:
        records: Customer records: `row`, `customer_id`, optionally `postcode`, `updated_at`.
        people: Which person each customer id belongs to (`people_of`).
        data_end: First midnight after the data; None where no table has times, which leaves out
            undated records.

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

"""The segments a business asks for: declared rules over the features, as SQL that returns the same people."""

from dataclasses import dataclass
from hashlib import sha256

import duckdb
import numpy as np
import pandas as pd

STAGES = ["new", "active", "at risk", "lapsed", "won back", "registered"]
# Of the people of the date that the rules are made on, the share of high value where no amount is given.
HIGH_VALUE_SHARE = 0.2

_COUNTS = ["n_baskets", "n_baskets_28d", "n_baskets_91d"]
_SQL = """SELECT row, person_id, as_of,
  CASE
    WHEN recency_days IS NULL THEN 'registered'
    WHEN tenure_days <= {new_days} THEN 'new'
    WHEN recency_days > {lapsed_days} THEN 'lapsed'
    WHEN recency_days > {at_risk_days} THEN 'at risk'
    WHEN n_baskets_28d = n_baskets_91d AND n_baskets > n_baskets_91d THEN 'won back'
    ELSE 'active'
  END AS lifecycle,
  coalesce({value} >= {high_value}, FALSE) AS high_value
FROM features"""


@dataclass(frozen=True, eq=False)
class Declared:
    """Lifecycle and value of every person on every date, by declared rules.

    Attributes:
        people: One row a row of the features: row, person_id, as_of, lifecycle (one of `STAGES`), high_value.
        sql: The rules, as one SELECT from `features`.
        version: Changes with the rules: the first eight digits of the sha256 of `sql`.
        high_value: Least amount of `value` in 91 days, in currency, that is high value.
        made_on: The date whose people set that amount; None where it was given.
        judged_from: The last date that lies `held_out_days` back; the first one where none does.
        summary: One row a stage: lifecycle, n_people, share, n_high_value, on the last date.
    """

    people: pd.DataFrame
    sql: str
    version: str
    high_value: float
    made_on: pd.Timestamp | None
    judged_from: pd.Timestamp
    summary: pd.DataFrame


def declare(
    features: pd.DataFrame,
    *,
    new_days: int,
    at_risk_days: int,
    lapsed_days: int,
    high_value: float | None,
    held_out_days: int,
) -> Declared:
    """Apply the declared rules to `features`, in DuckDB.

    Who first bought in the last `new_days` is new; who has not bought in `lapsed_days` has lapsed, in
    `at_risk_days` is at risk; who bought in the last 28 days, not in the 63 before, and earlier, is won back. With
    28, 91 and 28 days these are the stages of page 04's `lifecycle_stage`.
    Without an amount, high value is what the best fifth spent in 91 days on the last date that lies
    `held_out_days` back, so that what came after can judge it.

    Raises:
        ValueError: The days do not ascend.
    """
    if not 0 < at_risk_days < lapsed_days:
        raise ValueError(
            f"at_risk_days: found {at_risk_days}, needed above 0 and below lapsed_days ({lapsed_days})."
        )
    value, made_on = next(c for c in ("revenue_91d", "revenue") if c in features.columns), None
    dates, needed = (
        features["as_of"],
        ["row", "person_id", "as_of", "recency_days", "tenure_days", *_COUNTS, value],
    )
    held = dates[dates <= dates.max() - pd.Timedelta(days=held_out_days)]
    judged_from = held.max() if len(held) else dates.min()
    if high_value is None:
        made_on = judged_from
        amounts = features.loc[dates == made_on, value].dropna()
        high_value = float(np.round(amounts.quantile(1 - HIGH_VALUE_SHARE), 2)) if len(amounts) else 0.0
    days = {"new_days": new_days, "at_risk_days": at_risk_days, "lapsed_days": lapsed_days}
    sql = _SQL.format(**days, value=value, high_value=high_value)
    with duckdb.connect(config={"temp_directory": ""}) as engine:
        people = engine.register("features", features[needed]).sql(sql).df().sort_values("row", ignore_index=True)
    last = people[people["as_of"] == people["as_of"].max()]
    counts = last.groupby("lifecycle").agg(n_people=("row", "size"), n_high_value=("high_value", "sum"))
    counts = counts.reindex([stage for stage in STAGES if stage in counts.index]).reset_index()
    summary = counts.assign(share=counts["n_people"] / len(last))
    return Declared(people, sql, sha256(sql.encode()).hexdigest()[:8], high_value, made_on, judged_from, summary)

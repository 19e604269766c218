"""Witnesses of the features: totals that must add up to a cent, and a recount in another way."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd

from journeybook.enrichment.snapshots import DATES, NOT_PURCHASES, bucket


def totals_by_date(
    transactions: ibis.Table, features: ibis.Table, *, as_of_dates: Sequence[datetime]
) -> pd.DataFrame:
    """Set the revenue in the features, and that of all others, against all receipts before each date.

    Args:
        transactions: Clean receipt lines, guests among them.
        features: Snapshots made from them.
        as_of_dates: Dates of the snapshots.

    Returns:
        `as_of`, `people`, `no_purchase` (people with returns or empty lines only), `guests` and `total` revenue,
        and `left_over`, which is 0: every figure is summed as a DECIMAL.
    """
    days = sorted(as_of_dates)
    dates = ibis.memtable({"place": range(len(days)), "as_of": days}, schema=DATES)
    lines = transactions.mutate(bucket=bucket(transactions.occurred_at, days))
    sums = lines.group_by("person_id", "bucket").aggregate(revenue=lines.revenue.sum())
    pairs = sums.join(dates, sums.bucket <= dates.place)
    held = pairs.group_by("person_id", "as_of").aggregate(revenue=pairs.revenue.sum())
    told = features.select(
        person="person_id", date="as_of", told=features.revenue.cast("decimal(18, 4)").cast("decimal(38, 4)")
    )
    both = held.left_join(told, [held.person_id == told.person, held.as_of == told.date])
    guest, unnamed = both.person_id.isnull(), both.person.isnull()
    found = both.group_by("as_of").aggregate(
        people=both.told.sum().fill_null(0),
        no_purchase=both.revenue.sum(where=unnamed & ~guest).fill_null(0),
        guests=both.revenue.sum(where=guest).fill_null(0),
        total=both.revenue.sum(),
    )
    found = found.mutate(left_over=found.total - found.people - found.no_purchase - found.guests)
    frame = found.order_by("as_of").to_pandas()
    return frame.astype(dict.fromkeys(frame.columns[1:], float))


def recount(lines: pd.DataFrame, *, as_of: datetime) -> pd.Series:
    """Count one person's features from the person's own lines, the plain way, in pandas.

    Args:
        lines: Clean receipt lines of one person, in any order.
        as_of: Date of the snapshot.

    Returns:
        The features that need no other table, by name.
    """
    past = lines[lines.occurred_at < as_of].sort_values(["occurred_at", "row"])
    day = pd.Timedelta(days=1)
    revenue = past.revenue.astype(float)
    bought = past[~past.line_type.isin(NOT_PURCHASES)] if "line_type" in past else past[revenue >= 0]
    dates = past.occurred_at.dt.normalize()
    key = past.basket_id.fillna(past.occurred_at.astype(str)) if "basket_id" in past else past.occurred_at
    baskets = past.groupby([key, dates], dropna=False).occurred_at.transform("min")
    times = baskets[bought.index].groupby([key[bought.index], dates[bought.index]]).first().sort_values()
    gaps = times.diff().dropna() / day
    found = {
        "recency_days": (as_of - times.max()) / day,
        "tenure_days": (as_of - times.min()) / day,
        "n_baskets": len(times),
        "revenue": revenue.sum(),
        "mean_basket": revenue.sum() / len(times),
        "gap_days_mean": gaps.mean(),
        "gap_days_sd": gaps.std(),
        "weekend_share": (times.dt.dayofweek >= 5).mean(),
        "morning_share": (times.dt.hour < 12).mean(),
        "evening_share": (times.dt.hour >= 17).mean(),
    }
    for days in (28, 91):
        since = as_of - timedelta(days=days)
        found[f"revenue_{days}d"] = revenue[past.occurred_at >= since].sum()
        found[f"n_baskets_{days}d"] = int((times >= since).sum())
    if "discount" in past:
        whole = revenue.sum() + past.discount.astype(float).sum()
        found["discount_share"] = past.discount.astype(float).sum() / whole if whole > 0 else np.nan
    if "product_id" in past:
        found["n_products"] = bought.product_id.nunique()
    if "store_id" in past:
        found["n_stores"] = past.store_id.nunique()
    return pd.Series(found)

"""Customers by the quarter of their first purchase: who comes back, and what each brings over time."""

from datetime import datetime

import ibis
import pandas as pd

# Customers behind each figure of a cohort.
FEWEST = 50
SMALLER = "smaller cohorts"


def by_cohort(days: ibis.Table, *, end: datetime) -> pd.DataFrame:
    """Return what customers by the quarter of their first purchase did in each quarter since.

    Cohorts of fewer than `FEWEST` customers are put together as `SMALLER`. A figure of fewer is left out, and so
    are quarters that the data do not hold to their end.

    Args:
        days: What `purchase_days` returns.
        end: Midnight, the end of the data.

    Returns:
        One row a cohort and quarter: `cohort` (such as "2017 Q1"), `quarter` (0 is that of the first purchase),
        `n` (customers who are followed so far), `bought_share` (of them, with a purchase in that quarter) and
        `revenue_per_customer` (net of returns).
    """
    first = days.day.min(where=days.bought).over(group_by=days.person_id)
    dated = days.mutate(first=first, at=days.day.year() * 4 + days.day.quarter() - 1)
    dated = dated.filter(dated.day >= dated["first"])
    begun = dated["first"].year() * 4 + dated["first"].quarter() - 1
    found = dated.group_by(begun=begun, quarter=dated["at"] - begun).aggregate(
        bought=dated.person_id.nunique(where=dated.bought), revenue=dated.revenue.sum()
    )
    last = end.year * 4 + (end.month - 1) // 3 - 1
    cells = found.order_by("begun", "quarter").to_pandas().astype({"revenue": float})
    sizes = cells.loc[(cells["quarter"] == 0) & (cells["begun"] <= last), ["begun", "bought"]].to_numpy()
    followed = [(begun, quarter, n) for begun, n in sizes for quarter in range(last - begun + 1)]
    table = pd.DataFrame(followed, columns=["begun", "quarter", "n"]).astype("int64")
    table = table.merge(cells, how="left", on=["begun", "quarter"]).fillna(0)
    named = {begun: f"{begun // 4} Q{begun % 4 + 1}" if n >= FEWEST else SMALLER for begun, n in sizes}
    summed = table.groupby([table["begun"].map(named).rename("cohort"), "quarter"], sort=False)
    table = summed[["n", "bought", "revenue"]].sum().query(f"n >= {FEWEST}").reset_index()
    shares = {"bought_share": table["bought"] / table["n"], "revenue_per_customer": table["revenue"] / table["n"]}
    return table[["cohort", "quarter", "n"]].assign(**shares)


def cohorts_hold(
    transactions: ibis.Table, found: pd.DataFrame, customers: pd.DataFrame, *, end: datetime
) -> pd.DataFrame:
    """Count cohorts again from histories up to the end, and their last quarter from receipts, one row a check."""
    first = (end - (customers["T"] * pd.Timedelta(weeks=1)).dt.round("D")).dt.to_period("Q")
    last, at = pd.Period(end, "Q") - 1, transactions.occurred_at
    lines = transactions.filter((at >= last.start_time) & (at < (last + 1).start_time))
    spent = lines.group_by("person_id").aggregate(revenue=lines.revenue.sum()).to_pandas()
    own = customers["person_id"].map(spent.set_index("person_id")["revenue"].astype(float)).fillna(0.0)
    off = [(0.0, 0.0)]
    for name, rows in found[found["cohort"] != SMALLER].groupby("cohort"):
        quarter = pd.Period(str(name).replace(" ", ""), "Q")
        told = rows.loc[rows["quarter"] == (last - quarter).n, "revenue_per_customer"].item()
        apart = told - own[first == quarter].mean() if quarter < last else 0.0
        off.append((abs(rows["n"].iloc[0] - (first == quarter).sum()), abs(apart)))
    about = {"reference": 0, "tolerance": 1e-6}
    counted = {"name": "customers in another cohort", "source": "histories"}
    revenue = {"name": "revenue a customer of a cohort in the last quarter, furthest off", "source": "receipts"}
    pairs = zip((counted, revenue), zip(*off, strict=True), strict=True)
    return pd.DataFrame([{**row, "value": max(values), **about} for row, values in pairs])

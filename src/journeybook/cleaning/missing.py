"""What is missing, and whether those who lack a value differ from those who have it."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from journeybook.tables import in_sample, sample_share

# Words that stand for a missing value. `none` is not one of them: no children is an answer.
PLACEHOLDERS = ("", "-", "?", "n/a", "unknown", "null", "not available")

# Fewer customers than this on either side say nothing about the reason a value is missing.
FEW = 20

_PRESENCE = [
    "table", "column", "n_with", "n_without", "median_spend_with", "median_spend_without",
    "auc", "auc_low", "auc_high",
]  # fmt: skip


def missing_report(tables: Mapping[str, ibis.Table]) -> pd.DataFrame:
    """Count missing values of every column but `row`.

    Args:
        tables: Table by name.

    Returns:
        `table`, `column`, `n_rows`, `n_missing`, `missing_share` of the rows, and `n_placeholders`: texts such as
        `unknown` that say that the value is missing, and are not counted as missing. One row a column.
    """
    found = []
    for name, table in tables.items():
        columns = [column for column in table.columns if column != "row"]
        asked = {"n_rows": table.count()}
        for i, column in enumerate(columns):
            value = table[column]
            asked[f"known_{i}"] = value.count()
            if value.type().is_string():
                asked[f"words_{i}"] = table.count(where=value.strip().lower().isin(PLACEHOLDERS))
        counts = table.aggregate(**asked).to_pandas().iloc[0]
        n_rows = int(counts.n_rows)
        for i, column in enumerate(columns):
            n_missing = n_rows - int(counts[f"known_{i}"])
            share = n_missing / n_rows if n_rows else float("nan")
            found.append((name, column, n_rows, n_missing, share, int(counts.get(f"words_{i}", 0))))
    return pd.DataFrame(
        found, columns=["table", "column", "n_rows", "n_missing", "missing_share", "n_placeholders"]
    )


def customer_figures(transactions: ibis.Table, *, max_customers: int) -> pd.DataFrame:
    """Bring one row a customer into pandas, in the order in which they first appear.

    Args:
        transactions: Receipt lines; guests are left out.
        max_customers: Customers to bring at most, but for chance; beyond it they are drawn by a hash of each
            (`tables.in_sample`). At least 2.

    Returns:
        `customer_id`, `spend` (currency), `n_lines`, `n_moments` (distinct times of purchase), `days_active`
        (days from first to last), `days_silent` (days from the customer's last line to the last of all).

    Raises:
        ValueError: `max_customers` is below 2.
    """
    if max_customers < 2:
        raise ValueError(f"max_customers is {max_customers}: it must be at least 2.")
    known = transactions.filter(transactions.customer_id.notnull())
    figures = known.group_by("customer_id").aggregate(
        first_row=known.row.min(),
        spend=known.revenue.sum().cast("float64"),
        n_lines=known.count(),
        n_moments=known.occurred_at.nunique(),
        first_at=known.occurred_at.min(),
        last_at=known.occurred_at.max(),
    )
    share = sample_share(int(figures.count().execute()), at_most=max_customers)
    drawn = in_sample(figures.customer_id, figures.first_row, share=share, name="customers")
    frame = figures.filter(drawn).order_by("first_row").to_pandas()
    day = pd.Timedelta(days=1)
    frame = frame.assign(
        days_active=(frame.last_at - frame.first_at) / day, days_silent=(frame.last_at.max() - frame.last_at) / day
    )
    return frame.drop(columns=["first_row", "first_at", "last_at"])


def presence_by_spend(tables: Mapping[str, ibis.Table], *, level: float, max_customers: int) -> pd.DataFrame:
    """Compare the spend of customers who have a row, or a value, with that of those who have none.

    If the two differ, the value is not missing at random: what is seen of those who have it does not hold for
    those who do not, and no way of filling in can know that from the column itself.

    Args:
        tables: Tables by name. Spend is taken from `transactions`; without it nothing is compared. Every other
            table with a `customer_id` is looked at.
        level: Level of all intervals taken together (Bonferroni), between 0 and 1.
        max_customers: See `customer_figures`.

    Returns:
        `table`, `column` (`any` stands for a row at all; other columns are compared among those who have a
        row), `n_with`, `n_without`, `median_spend_with`, `median_spend_without`, and `auc`, `auc_low`,
        `auc_high`: the chance that one who has it spends more than one who has not (DeLong, DeLong &
        Clarke-Pearson 1988). Only where 20 or more customers are on either side.

    Raises:
        ValueError: `level` is out of its range.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}: it must lie between 0 and 1.")
    if "transactions" not in tables:
        return pd.DataFrame(columns=_PRESENCE)
    figures = customer_figures(tables["transactions"], max_customers=max_customers)
    compared = []
    for name, table in tables.items():
        if name == "transactions" or "customer_id" not in table.columns:
            continue
        columns = [column for column in table.columns if column not in ("row", "customer_id")]
        ever = {f"has_{i}": table[column].count() > 0 for i, column in enumerate(columns)}
        has = table.filter(table.customer_id.notnull()).group_by("customer_id").aggregate(**ever).to_pandas()
        joined = figures.merge(has, on="customer_id", how="left", indicator="present", validate="one_to_one")
        inside = joined[joined.present == "both"]
        sides = [("any", joined.spend, joined.present == "both")]
        sides += [(c, inside.spend, inside[f"has_{i}"].astype(bool)) for i, c in enumerate(columns)]
        for column, spend, present in sides:
            if min(present.sum(), (~present).sum()) >= FEW:
                compared.append((name, column, spend[present].to_numpy(), spend[~present].to_numpy()))
    each = 1 - (1 - level) / max(len(compared), 1)
    rows = []
    for name, column, having, lacking in compared:
        medians = (float(np.median(having)), float(np.median(lacking)))
        chance = chance_of_more(having, lacking, level=each)
        rows.append((name, column, len(having), len(lacking), *medians, *chance))
    return pd.DataFrame(rows, columns=_PRESENCE)


def chance_of_more(first: np.ndarray, second: np.ndarray, *, level: float) -> np.ndarray:
    """Return the chance that a value of `first` exceeds one of `second`, ties counting half, and its interval.

    Args:
        first: Values, shape (n,).
        second: Values, shape (m,).
        level: Probability that the interval holds the chance.

    Returns:
        The chance, its low and its high end, shape (3,).

    >>> chance_of_more(np.array([3.0, 4.0]), np.array([1.0, 2.0]), level=0.95).tolist()
    [1.0, 1.0, 1.0]
    """
    n, m = len(first), len(second)
    ranks = stats.rankdata(np.concatenate([first, second]))
    beaten = (ranks[:n] - stats.rankdata(first)) / m
    beating = 1 - (ranks[n:] - stats.rankdata(second)) / n
    reach = stats.norm.ppf((1 + level) / 2) * np.sqrt(beaten.var(ddof=1) / n + beating.var(ddof=1) / m)
    return np.clip(beaten.mean() + np.array([0, -reach, reach]), 0, 1)


def trading_days(transactions: ibis.Table) -> pd.DataFrame:
    """Count lines by calendar day of `occurred_at`: `day`, `n_lines`, in order.

    Times in the wrong zone show here: trade on a day the shops were shut, or a day too many at the end.
    """
    by_day = transactions.group_by(day=transactions.occurred_at.date()).aggregate(n_lines=transactions.count())
    return by_day.order_by("day").to_pandas()

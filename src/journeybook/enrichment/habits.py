"""Habits as of a date: how varied and how regular purchases are, and where the customer stands."""

from collections.abc import Sequence
from datetime import datetime

import ibis
from ibis.expr import types

from journeybook.enrichment.snapshots import DATES, RECENT_DAYS, group_column, is_purchase
from journeybook.tables import kept_in_engine

SHORT, LONG = RECENT_DAYS
STAGES = ("active", "new", "won back", "at risk", "lapsed")
# Days that a rate needs at least: of fewer it says nothing.
FEWEST_DAYS = 7


def add_habits(
    features: ibis.Table,
    transactions: ibis.Table,
    *,
    as_of_dates: Sequence[datetime],
    products: ibis.Table | None,
) -> ibis.Table:
    """Add to snapshots of features what follows from them and from what was bought, computed once.

    Args:
        features: Snapshots from `feature_snapshots`.
        transactions: The receipt lines they were made of.
        as_of_dates: Their dates, midnights.
        products: Clean products with a department or category, or None.

    Returns:
        The snapshots with `baskets_per_28d` (see `rate`), `pause_share` (days since the last basket, of these and
        the usual gap together: above one half, later than usual), `lifecycle_stage` (see `stage`) and, where the
        products tell, `category_entropy_91d`: Shannon's (1948) entropy, in bits, of the lines bought in 91 days
        over departments (without them, categories); missing where none was.
    """
    features = features.mutate(
        baskets_per_28d=rate(features[f"n_baskets_{LONG}d"], features.tenure_days),
        pause_share=features.recency_days / (features.recency_days + features.gap_days_mean),
        lifecycle_stage=stage(features),
    )
    if products is None or not group_column(products) or "product_id" not in transactions.columns:
        return kept_in_engine(features)
    entropy = _entropy(transactions, products, as_of_dates)
    return kept_in_engine(
        features.left_join(entropy, ["person_id", "as_of"]).drop("person_id_right", "as_of_right")
    )


def rate(n: types.NumericValue, first_days: types.NumericValue) -> types.NumericValue:
    """Return events in 28 days, from `n` in the last 91 and the days since the first event ever.

    Who was first seen inside the window was not there for all of it: the days since then count, and the first
    event, without which nobody would have been seen, does not. Of a Poisson process this is unbiased whenever it
    began (Cox & Lewis 1966). Missing below a week.
    """
    later = n - (first_days <= LONG).cast("int64")
    exposed = ibis.least(first_days, float(LONG))
    return (exposed >= FEWEST_DAYS).ifelse(later * float(SHORT) / exposed, ibis.null("float64"))


def stage(features: ibis.Table) -> types.StringValue:
    """Return where each customer stands: `new`, `lapsed`, `at risk`, `won back` or `active`.

    New: the first basket lies in the last 28 days. Lapsed: no basket in 91 days. At risk: none in 28. Won back:
    one in 28 days after at least 63 without any. Active: all others.
    """
    late, all_of_them = features[f"n_baskets_{SHORT}d"], features[f"n_baskets_{LONG}d"]
    return ibis.cases(
        (features.tenure_days <= SHORT, "new"),
        (all_of_them == 0, "lapsed"),
        (late == 0, "at risk"),
        ((late == all_of_them) & (features.n_baskets > all_of_them), "won back"),
        else_="active",
    )


def _entropy(lines: ibis.Table, products: ibis.Table, days: Sequence[datetime]) -> ibis.Table:
    """Entropy of the lines that each person bought in the window, with exact sums."""
    dates = ibis.memtable({"place": range(len(days)), "as_of": sorted(days)}, schema=DATES)
    named = products.select("product_id", category=products[group_column(products)]).filter(
        ibis._.category.notnull()
    )
    bought = lines.filter(lines.person_id.notnull(), is_purchase(lines)).inner_join(named, "product_id")
    by_day = bought.group_by("person_id", "category", day=bought.occurred_at.truncate("D")).aggregate(
        n=bought.count()
    )
    pairs = by_day.join(dates, [by_day.day < dates.as_of, by_day.day >= dates.as_of - ibis.interval(days=LONG)])
    counts = pairs.group_by("person_id", "as_of", "category").aggregate(n=pairs.n.sum().cast("float64"))
    # Sums of floats depend on their order; rounded to decimals they do not.
    weighed = (counts.n * counts.n.ln()).cast("decimal(38, 12)")
    sums = counts.group_by("person_id", "as_of").aggregate(
        n=counts.n.cast("decimal(38, 0)").sum().cast("float64"), weighed=weighed.sum().cast("float64")
    )
    entropy = ibis.greatest(sums.n.ln() - sums.weighed / sums.n, 0.0) / ibis.literal(2.0).ln()
    return sums.select("person_id", "as_of", category_entropy_91d=entropy)

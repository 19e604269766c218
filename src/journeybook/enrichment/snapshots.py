"""What is known of each person as of a date, from receipts strictly before it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.tables import in_sample, sample_share

# Line types (page 02) that are not a purchase; a basket of nothing else counts as none.
NOT_PURCHASES = ("return", "empty")

# Windows of recent behaviour, days: whole weeks, so that each holds every weekday alike.
RECENT_DAYS = (28, 91)

MORNING_ENDS = 12
EVENING_BEGINS = 17

DATES = ibis.schema({"place": "int64", "as_of": "timestamp(6)"})
_SECONDS_A_DAY = 86_400.0


def snapshot_dates(first_at: datetime, *, last: datetime, max_snapshots: int) -> list[datetime]:
    """Return the latest `max_snapshots` first midnights of a month after the first row, up to and with `last`.

    Raises:
        ValueError: `last` is not a midnight after the first row, or `max_snapshots` is below 1.

    >>> [f"{d:%d.%m.}" for d in snapshot_dates(datetime(2017, 1, 9), last=datetime(2017, 3, 5), max_snapshots=9)]
    ['01.02.', '01.03.', '05.03.']
    """
    if max_snapshots < 1:
        raise ValueError(f"max_snapshots is {max_snapshots}: it must be at least 1.")
    if last <= first_at or last != datetime(last.year, last.month, last.day):
        raise ValueError(f"as_of is {last}: it must be a midnight after the first receipt, {first_at}.")
    dates, month = [last], datetime(last.year, last.month, 1)
    while month > first_at and len(dates) < max_snapshots + 1:
        dates.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return sorted(set(dates))[-max_snapshots:]


def first_receipt(transactions: ibis.Table) -> datetime:
    """Return the time of the first row, of one or more."""
    return transactions.occurred_at.min().to_pyarrow().as_py()


def last_date(run_as_of: datetime, *, as_of: str | None) -> datetime:
    """Return the date of the last snapshot: the one asked for, or the first midnight after the data."""
    if as_of is None:
        return run_as_of
    try:
        asked = datetime.fromisoformat(as_of)
    except (TypeError, ValueError):
        raise ValueError(f"as_of is {as_of!r}: it must be a date such as '2017-10-01'.") from None
    if asked > run_as_of:
        raise ValueError(f"as_of is {as_of}: the data end before {run_as_of:%Y-%m-%d}, so later nothing is known.")
    return asked


def tells_hours(transactions: ibis.Table) -> bool:
    """Return whether any receipt bears a time of day other than midnight."""
    at = transactions.occurred_at
    return bool((at != at.truncate("D")).any().execute())


def largest_groups(
    transactions: ibis.Table, products: ibis.Table | None, *, before: datetime, n_groups: int
) -> dict[str, str]:
    """Return the `n_groups` departments (without them, categories) with most revenue before the first snapshot.

    Column name to group name, in the order of revenue; empty without products.
    """
    if products is None or n_groups < 1 or "product_id" not in transactions.columns or not group_column(products):
        return {}
    column = group_column(products)
    lines = transactions.filter(transactions.occurred_at < before).inner_join(
        products.select("product_id", group=products[column]).filter(ibis._.group.notnull()), "product_id"
    )
    by_revenue = lines.group_by("group").aggregate(revenue=lines.revenue.sum())
    names = by_revenue.order_by([ibis.desc("revenue"), "group"]).limit(n_groups).to_pandas()["group"]
    columns: dict[str, str] = {}
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_") or "other"
        columns.setdefault(f"share_{slug}", str(name))
    return columns


def limit_people(transactions: ibis.Table, *, max_people: int) -> ibis.Table:
    """Keep the receipts of about `max_people` people, drawn by a keyed hash of each, and of all guests."""
    if max_people < 1:
        raise ValueError(f"max_people is {max_people}: it must be at least 1.")
    n_people = int(transactions.person_id.nunique().execute())
    share = sample_share(n_people, at_most=max_people)
    if share == 1:
        return transactions
    drawn = in_sample(transactions.person_id, transactions.row, share=share, name="people")
    return transactions.filter(transactions.person_id.isnull() | drawn)


def feature_snapshots(
    transactions: ibis.Table,
    *,
    as_of_dates: Sequence[datetime],
    products: ibis.Table | None,
    groups: Mapping[str, str],
    hours: bool,
) -> ibis.Table:
    """Return what is known of each person as of each date, lazily.

    A basket is what one person bought under one `basket_id` on one day; without the id, at one moment.

    Args:
        transactions: Clean receipt lines with `person_id`; guests are left out.
        as_of_dates: Midnights, one or more; a snapshot uses the rows strictly before its date.
        products: Clean products for `groups`, or None.
        groups: Column name to department or category, from `largest_groups`.
        hours: Receipts bear a time of day, so that habits by hour can be told.

    Returns:
        One row a person and date on which the person had bought before: `row` (1 to n, by date and first row of
        the person), `person_id`, `as_of`, and the features: `recency_days`, `tenure_days` (since the last, the
        first basket), `n_baskets`, `revenue`, both again in the last 28 and 91 days, `mean_basket` (revenue a
        basket), `gap_days_mean`, `gap_days_sd` (days from basket to basket; missing below two, three baskets),
        `weekend_share` of the baskets; where the columns allow it `morning_share` (before 12), `evening_share`
        (from 17 on), `discount_share` (of what would have been paid), `n_products`, `n_stores` (distinct), and
        a share of revenue for each group. Revenue is net of returns; shares are missing where it is not above 0.
    """
    lines = transactions.filter(transactions.person_id.notnull())
    days = sorted(set(as_of_dates))
    dates = ibis.memtable({"place": range(len(days)), "as_of": days}, schema=DATES)
    features = _from_baskets(_baskets(lines), dates, hours=hours)
    keys = ["person_id", "as_of"]
    if "product_id" in lines.columns:
        features = features.left_join(_n_products(lines, days, dates), keys).drop("person_id_right", "as_of_right")
        features = features.mutate(n_products=features.n_products.fill_null(0))
    if groups:
        assert products is not None
        spend = _group_revenue(lines, products, groups, days, dates)
        features = features.left_join(spend, keys).drop("person_id_right", "as_of_right")
        share = {name: _ratio(features[name].fill_null(0).cast("float64"), features.revenue) for name in groups}
        features = features.mutate(**share)
    features = features.mutate(
        row=(ibis.row_number().over(order_by=[features.as_of, features.first_row]) + 1).cast("int64")
    )
    return features.drop("first_row").relocate("row", before="person_id")


def features_by_date(features: ibis.Table, *, first_at: datetime) -> pd.DataFrame:
    """Return quartiles of recent behaviour by snapshot, and whether its windows were full.

    `as_of`, `n_people`, `window_full` (the data, from `first_at` on, reach back over the longest window), and the
    quartiles `revenue_low`, `revenue_median`, `revenue_high`, `baskets_low`, ... over that window.
    """
    days = max(RECENT_DAYS)
    asked = {"n_people": features.count()}
    for name, column in (("revenue", f"revenue_{days}d"), ("baskets", f"n_baskets_{days}d")):
        for side, share in (("low", 0.25), ("median", 0.5), ("high", 0.75)):
            asked[f"{name}_{side}"] = features[column].cast("float64").quantile(share)
    frame = features.group_by("as_of").aggregate(**asked).order_by("as_of").to_pandas()
    full = (frame.as_of - pd.Timestamp(first_at).normalize()) >= pd.Timedelta(days=days)
    frame.insert(2, "window_full", full)
    return frame


def _baskets(lines: ibis.Table) -> ibis.Table:
    """Return one row a basket: its time, money, and whether anything was bought."""
    bought = is_purchase(lines)
    moment = lines.occurred_at.cast("string")
    key = lines.basket_id.fill_null(moment) if "basket_id" in lines.columns else moment
    optional = {}
    if "discount" in lines.columns:
        optional["discount"] = lines.discount.fill_null(0).sum()
    if "store_id" in lines.columns:
        optional["store_id"] = lines.store_id.min()
    baskets = lines.group_by("person_id", key=key, day=lines.occurred_at.date()).aggregate(
        occurred_at=lines.occurred_at.min(),
        first_row=lines.row.min(),
        revenue=lines.revenue.sum(),
        is_purchase=bought.any(),
        **optional,
    )
    before = baskets.occurred_at.lag().over(
        group_by=[baskets.person_id, baskets.is_purchase], order_by=[baskets.occurred_at, baskets.first_row]
    )
    gap = baskets.occurred_at.delta(before, unit="second").cast("decimal(19, 0)")
    return baskets.mutate(squared_gap=(gap * gap).cast("decimal(38, 0)"))


def _from_baskets(baskets: ibis.Table, dates: ibis.Table, *, hours: bool) -> ibis.Table:
    """Aggregate the baskets before each date."""
    pairs = baskets.join(dates, baskets.occurred_at < dates.as_of)
    bought = pairs.is_purchase
    ago = pairs.as_of.delta(pairs.occurred_at, unit="second")
    sums = {
        "first_row": pairs.first_row.min(),
        "first_at": pairs.occurred_at.min(where=bought),
        "last_at": pairs.occurred_at.max(where=bought),
        "n_baskets": pairs.count(where=bought),
        "revenue": pairs.revenue.sum(),
        "squared_gaps": pairs.squared_gap.sum(where=bought),
        "weekend": pairs.count(where=bought & pairs.occurred_at.day_of_week.index().isin([5, 6])),
    }
    for days in RECENT_DAYS:
        recent = ago <= days * 86_400
        sums[f"revenue_{days}d"] = pairs.revenue.sum(where=recent)
        sums[f"n_baskets_{days}d"] = pairs.count(where=bought & recent)
    if hours:
        sums["morning"] = pairs.count(where=bought & (pairs.occurred_at.hour() < MORNING_ENDS))
        sums["evening"] = pairs.count(where=bought & (pairs.occurred_at.hour() >= EVENING_BEGINS))
    if "discount" in baskets.columns:
        sums["discount"] = pairs.discount.sum()
    if "store_id" in baskets.columns:
        sums["n_stores"] = pairs.store_id.nunique()
    by_date = pairs.group_by("person_id", "as_of").aggregate(**sums)
    return _features(by_date.filter(by_date.n_baskets > 0))


def _features(sums: ibis.Table) -> ibis.Table:
    """Turn sums into features."""
    n = sums.n_baskets.cast("float64")
    revenue = sums.revenue.cast("float64")
    span = sums.last_at.delta(sums.first_at, unit="second").cast("float64")
    gaps = n - 1
    # The gaps of whole seconds add up to the span; with their squares, summed exactly, that gives the variance.
    scatter = sums.squared_gaps.cast("float64") - span * span / gaps
    deviation = (ibis.greatest(scatter, 0.0) / (gaps - 1)).sqrt()
    columns = {
        "person_id": sums.person_id,
        "as_of": sums.as_of,
        "first_row": sums.first_row,
        "recency_days": sums.as_of.delta(sums.last_at, unit="second") / _SECONDS_A_DAY,
        "tenure_days": sums.as_of.delta(sums.first_at, unit="second") / _SECONDS_A_DAY,
        "n_baskets": sums.n_baskets,
        "revenue": revenue,
        "mean_basket": revenue / n,
    }
    for days in RECENT_DAYS:
        columns[f"n_baskets_{days}d"] = sums[f"n_baskets_{days}d"]
        columns[f"revenue_{days}d"] = sums[f"revenue_{days}d"].fill_null(0).cast("float64")
    columns["gap_days_mean"] = (gaps >= 1).ifelse(span / gaps / _SECONDS_A_DAY, ibis.null("float64"))
    columns["gap_days_sd"] = (gaps >= 2).ifelse(deviation / _SECONDS_A_DAY, ibis.null("float64"))
    columns["weekend_share"] = sums.weekend.cast("float64") / n
    if "morning" in sums.columns:
        columns["morning_share"] = sums.morning.cast("float64") / n
        columns["evening_share"] = sums.evening.cast("float64") / n
    if "discount" in sums.columns:
        discount = sums.discount.cast("float64")
        columns["discount_share"] = _ratio(discount, revenue + discount)
    if "n_stores" in sums.columns:
        columns["n_stores"] = sums.n_stores
    return sums.select(**columns)


def _n_products(lines: ibis.Table, days: Sequence[datetime], dates: ibis.Table) -> ibis.Table:
    """Count the distinct products each person had bought before each date, from first purchases."""
    known = lines.filter(lines.product_id.notnull(), is_purchase(lines))
    firsts = known.group_by("person_id", "product_id").aggregate(first_at=known.occurred_at.min())
    firsts = firsts.mutate(bucket=bucket(firsts.first_at, days))
    counts = firsts.group_by("person_id", "bucket").aggregate(n=firsts.count())
    pairs = counts.join(dates, counts.bucket <= dates.place)
    return pairs.group_by("person_id", "as_of").aggregate(n_products=_whole(pairs.n.sum()))


def _group_revenue(
    lines: ibis.Table, products: ibis.Table, groups: Mapping[str, str], days: Sequence[datetime], dates: ibis.Table
) -> ibis.Table:
    """Sum each person's revenue in each group before each date."""
    named = products.select("product_id", group=products[group_column(products)]).filter(
        ibis._.group.isin(list(groups.values()))
    )
    bought = lines.inner_join(named, "product_id")
    bought = bought.mutate(bucket=bucket(bought.occurred_at, days))
    sums = bought.group_by("person_id", "group", "bucket").aggregate(revenue=bought.revenue.sum())
    pairs = sums.join(dates, sums.bucket <= dates.place)
    return pairs.group_by("person_id", "as_of").aggregate(
        **{name: pairs.revenue.sum(where=pairs.group == group) for name, group in groups.items()}
    )


def is_purchase(lines: ibis.Table) -> ibis.expr.types.BooleanValue:
    """Return whether a line is a purchase: neither a return nor empty."""
    return ~lines.line_type.isin(NOT_PURCHASES) if "line_type" in lines.columns else lines.revenue >= 0


def bucket(at: ibis.expr.types.TimestampValue, days: Sequence[datetime]) -> ibis.expr.types.IntegerValue:
    """Return the place of the first date that lies after a time."""
    return sum(((at >= ibis.literal(day)).cast("int64") for day in days), start=ibis.literal(0, type="int64"))


def _whole(count: ibis.expr.types.IntegerValue) -> ibis.expr.types.IntegerValue:
    """Return a sum of counts as int64: DuckDB sums to 128 bits, which Parquet and pandas hold as a float."""
    return count.cast("float64").cast("int64")


def group_column(products: ibis.Table) -> str | None:
    """Return the column of products that groups them, or None."""
    return next((column for column in ("department", "category") if column in products.columns), None)


def _ratio(
    part: ibis.expr.types.NumericValue, whole: ibis.expr.types.NumericValue
) -> ibis.expr.types.NumericValue:
    """Return part over whole, missing where the whole is not above 0."""
    return (whole > 0).ifelse(part / whole, ibis.null("float64"))

"""What receipts tell of each person: bought first when, last when, how often, for how much."""

from datetime import datetime, timedelta

import ibis
import pandas as pd

DAYS_A_WEEK = 7


def purchase_days(transactions: ibis.Table) -> ibis.Table:
    """Return one row a person and day with receipts: `person_id`, `day`, `revenue`, `bought`, `row`, lazily.

    Orders of one day are one purchase. Returns reduce its revenue and are no purchase; neither is an order for
    nothing. `row` is the first of the day's lines. Guests are left out.
    """
    lines = transactions.filter(transactions.person_id.notnull())
    return lines.group_by("person_id", day=lines.occurred_at.truncate("D")).aggregate(
        revenue=lines.revenue.sum(), bought=(lines.revenue > 0).any(), row=lines.row.min()
    )


def customer_summary(days: ibis.Table, *, split: datetime, end: datetime) -> pd.DataFrame:
    """Sum up what was known of each person before `split`, and what came between it and `end`.

    Args:
        days: What `purchase_days` returns.
        split: Midnight; only what came before is in the history.
        end: Midnight, not before the split.

    Returns:
        One row a person with a purchase before the split, by their first lines: `person_id`, `x` (days with a
        purchase after the first), `t_x` and `T` (weeks from the first such day to the last, and to the
        split), `repeat_revenue` (net revenue after the first such day), `squares` (of the revenue of each of its
        days), `n_recent` (purchases in a window before the split as long as the one after it), and of the time
        from the split to the end `n_after` and `revenue_after`.
    """
    bought, squared = days.bought, days.revenue * days.revenue
    known, after = days.day < split, (days.day >= split) & (days.day < end)
    recent = known & (days.day >= split - (end - split))
    # The first purchase is taken off the sums: a window over all days takes twice as long.
    summed = days.group_by("person_id").aggregate(
        row=days.row.min(),
        first=days.day.min(where=bought),
        last=days.day.max(where=known & bought),
        n=(known & bought).sum(),
        revenue=days.revenue.sum(where=known) - days.revenue.argmin(days.day, where=bought),
        squares=squared.sum(where=known & bought) - squared.argmin(days.day, where=bought),
        n_recent=(recent & bought).sum(),
        n_after=(after & bought).sum(),
        revenue_after=days.revenue.sum(where=after),
    ).filter(ibis._["first"] < split)  # fmt: skip
    # So are returns before it, which are of purchases before the data began.
    returned = days.filter(~bought).inner_join(summed.select("person_id", "first"), "person_id")
    returned = returned.filter(returned.day < returned["first"]).group_by("person_id")
    summed = summed.left_join(returned.aggregate(returned=ibis._.revenue.sum()), "person_id")
    found = summed.order_by("row").to_pandas()
    found["repeat_revenue"] = (found["revenue"] - found["returned"].fillna(0)).astype(float)
    week = pd.Timedelta(days=DAYS_A_WEEK)
    money = {
        name: found[name].astype(float).fillna(0.0) for name in ("repeat_revenue", "squares", "revenue_after")
    }
    counts = found[["n_recent", "n_after"]].astype(int)
    times = {"t_x": (found["last"] - found["first"]) / week, "T": (split - found["first"]) / week}
    return found[["person_id"]].assign(x=found["n"].astype(int) - 1, **times, **counts, **money)


def with_features(
    customers: pd.DataFrame,
    before: pd.DataFrame,
    *,
    features: ibis.Table | None,
    totals: list[str],
    split: datetime,
    weeks: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add page 04's numbers as of the last snapshot before each split, as `feature_...`, where there are both.

    Args:
        customers: Histories up to the split.
        before: Histories up to a window earlier.
        features: Snapshots of page 04, or None.
        totals: Features that grow with time alone; they are left out.
        split: Midnight.
        weeks: Length of the window.
    """
    if features is None:
        return customers, before
    named = [
        name for name, kind in features.schema().items() if kind.is_numeric() and name not in ("row", *totals)
    ]
    made = []
    for people, at in ((customers, split), (before, split - timedelta(days=round(weeks * DAYS_A_WEEK)))):
        seen = features.filter(features.as_of <= at)
        last = seen.filter(seen.as_of == seen.as_of.max()).select("person_id", *named).to_pandas()
        if last.empty:
            return customers, before
        last = last.set_index("person_id").astype(float).add_prefix("feature_")
        made.append(people.join(last, on="person_id"))
    return made[0], made[1]


def weekly_purchases(days: ibis.Table, *, split: datetime, end: datetime) -> pd.DataFrame:
    """Count purchases and revenue a week: of people known before the split, and of newcomers.

    Returns:
        One row a whole week, counted from the split back and forth: `week` (0 begins at the split), `n_purchases`
        and `revenue` of people first seen before the split, `n_first` (people whose first purchase it is).
    """
    first = days.day.min(where=days.bought).over(group_by=days.person_id)
    dated = days.mutate(first=first).filter(days.bought & (days.day < end))
    number = (dated.day.delta(ibis.literal(split), unit="day") / DAYS_A_WEEK).floor().cast("int64")
    known = dated["first"] < split
    weeks = dated.group_by(week=number).aggregate(
        n_purchases=known.sum(),
        revenue=dated.revenue.sum(where=known),
        n_first=(dated.day == dated["first"]).sum(),
    )
    found = weeks.order_by("week").to_pandas().set_index("week")
    whole = range(int(found.index.min()) + 1, (end - split) // timedelta(days=DAYS_A_WEEK))
    found = found.reindex(whole, fill_value=0).astype(float)
    return found.fillna(0.0).reset_index()

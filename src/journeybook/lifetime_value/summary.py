"""What receipts tell of each person: bought first when, last when, how often, for how much."""

from datetime import datetime, timedelta

import ibis
import pandas as pd

from journeybook.lifetime_value.period import WEEKS_A_YEAR

DAYS_A_WEEK = 7
# How the columns of covariates begin.
COVARIATE = "covariate_"


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
        days), `n_recent` (purchases in a window before the split as long as the one after it), `n_last_year`
        (purchases before the split in the same weeks of the year before as those after it), and of the time from
        the split to the end `n_after` and `revenue_after`.
    """
    bought, squared = days.bought, days.revenue * days.revenue
    known, after = days.day < split, (days.day >= split) & (days.day < end)
    recent = known & (days.day >= split - (end - split))
    year = timedelta(weeks=WEEKS_A_YEAR)
    last_year = known & (days.day >= split - year) & (days.day < end - year)
    # The first purchase is taken off the sums: a window over all days takes twice as long.
    summed = days.group_by("person_id").aggregate(
        row=days.row.min(),
        first=days.day.min(where=bought),
        last=days.day.max(where=known & bought),
        x=(known & bought).sum() - 1,
        of_first=days.revenue.argmin(days.day, where=bought),
        revenue=days.revenue.sum(where=known),
        returns=ibis.struct({"day": days.day, "revenue": days.revenue}).collect(where=~bought),
        squares=squared.sum(where=known & bought),
        n_recent=(recent & bought).sum(),
        n_last_year=(last_year & bought).sum(),
        n_after=(after & bought).sum(),
        revenue_after=days.revenue.sum(where=after),
    ).filter(ibis._["first"] < split)  # fmt: skip
    # So are returns before it, which are of purchases before the data began; to join them takes as long again.
    early = summed.returns.filter(lambda one: one.day < summed["first"]).map(lambda one: one.revenue).sums()
    # Exact sums cross as floats: an object for each decimal takes longer to make than to sum up.
    money = {
        "repeat_revenue": summed.revenue - summed.of_first - early.fill_null(0),
        "squares": summed.squares - summed.of_first * summed.of_first,
        "revenue_after": summed.revenue_after.fill_null(0),
    }
    money = {name: amount.cast("float64") for name, amount in money.items()}
    counts = {name: summed[name].cast("int64") for name in ("x", "n_recent", "n_last_year", "n_after")}
    found = summed.select("person_id", "row", "first", "last", **counts, **money).order_by("row").to_pandas()
    week = pd.Timedelta(days=DAYS_A_WEEK)
    found["t_x"], found["T"] = (found["last"] - found["first"]) / week, (split - found["first"]) / week
    return found[["person_id", "x", "t_x", "T", "n_recent", "n_last_year", "n_after", *money]]


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


def with_covariates(
    customers: pd.DataFrame, features: ibis.Table | None, *, names: list[str], at: datetime
) -> pd.DataFrame:
    """Add covariates as of the last snapshot before a midnight, in standard deviations from their mean.

    Args:
        customers: Histories up to `at`.
        features: Snapshots of page 04, or None.
        names: Numbers among them that do not change with time; a missing one is at the mean.
        at: Midnight.

    Raises:
        ValueError: A name is no number of page 04, or no snapshot is as old.
    """
    if not names:
        return customers
    if features is None:
        raise ValueError("covariates are numbers of page 04, which has none of these customers.")
    for name in names:
        kind = features.schema().get(name)
        if kind is None or not (kind.is_numeric() or kind.is_boolean()):
            raise ValueError(f"covariates names '{name}': page 04 has no such number.")
    seen = features.filter(features.as_of <= at)
    last = seen.filter(seen.as_of == seen.as_of.max()).select("person_id", *names).to_pandas()
    if last.empty:
        raise ValueError(f"covariates are not known at {at:%Y-%m-%d}: page 04's first snapshot is later.")
    known = last.set_index("person_id").astype(float).reindex(customers["person_id"]).reset_index(drop=True)
    spread = known.std(ddof=0).replace(0.0, 1.0)
    return customers.join(((known - known.mean()) / spread).fillna(0.0).add_prefix(COVARIATE))


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

"""Moments to act on: a basket left, a lapsed buyer back, high value reached or lapsing; do they foretell?"""

from datetime import timedelta

import ibis
import numpy as np
import pandas as pd

from journeybook.statistics.clusters import clustered_error
from journeybook.tables import Run, permitted_at, permitted_people

FOLLOWED_DAYS = 28
VALUE_DAYS = 91
BASKETS = ("basket", "cart", "add_to_cart")
# What each trigger foretells, and what is asked of the time after it.
FORETELLS = {
    "basket left": "buys within 28 days",
    "lapsed buyer back": "buys again within 28 days",
    "high value reached": "is of high value 91 days later",
    "high value lapsing": "buys nothing within 28 days",
}
TRIGGERS = ["row", "trigger", "person_id", "occurred_at"]
PRECISION = ["trigger", "foretells", "n", "precision", "low", "high", "usual", "lift"]


def find_triggers(
    bought: pd.DataFrame | None,
    people: pd.DataFrame,
    *,
    events: ibis.Table | None,
    left_hours: int,
    lapsed_days: int,
    conversion: str | None,
) -> pd.DataFrame:
    """Find the moments, from receipts, events and the declared rules of each date.

    A basket is left when `left_hours` have passed since the last basket event without purchase or another basket
    event; its moment is that hour, not the basket's. A lapsed buyer is back at the first purchase after
    `lapsed_days` without. High value is reached at the date on which the declared rule says so first, and is
    lapsing at the date on which who was of high value on the one before is at risk or has lapsed.

    Args:
        bought: Moments of purchase, as `purchases` gives them; None without receipts.
        people: `Declared.people`.
        events: The canonical events, with person_id; None without.
        left_hours: Hours until a basket counts as left.
        lapsed_days: Days without purchase after which a buyer has lapsed.
        conversion: Event of a purchase; None finds no basket left.

    Returns:
        row, trigger, person_id, occurred_at; by time, trigger and person.
    """
    rows = people.sort_values(["person_id", "as_of"], kind="stable")
    by = rows.groupby("person_id")
    was, known = by["high_value"].shift().fillna(False).astype(bool), by["as_of"].shift().notna()
    lapsing = was & rows["lifecycle"].isin(["at risk", "lapsed"])
    parts = {
        "high value reached": rows[known & ~was & rows["high_value"]].rename(columns={"as_of": "occurred_at"}),
        "high value lapsing": rows[lapsing].rename(columns={"as_of": "occurred_at"}),
    }
    if bought is not None:
        bought = bought.sort_values(["person_id", "occurred_at"], kind="stable")
        gap = bought.groupby("person_id")["occurred_at"].diff()
        parts["lapsed buyer back"] = bought[gap >= pd.Timedelta(days=lapsed_days)]
    if events is not None and {"person_id", "occurred_at"} <= set(events.columns) and conversion:
        parts["basket left"] = _baskets_left(events, left_hours, conversion)
    found = pd.concat([part[["person_id", "occurred_at"]].assign(trigger=name) for name, part in parts.items()])
    found["occurred_at"] = found["occurred_at"].astype("datetime64[us]")
    found = found.sort_values(["occurred_at", "trigger", "person_id"], kind="stable", ignore_index=True)
    return found.assign(row=np.arange(1, len(found) + 1))[TRIGGERS]


def with_consent(run: Run, moments: pd.DataFrame) -> pd.DataFrame:
    """Add `may_email`: e-mail was permitted at that moment, and still is; missing where there is no ledger."""
    if not run.has_ledger:
        return moments.assign(may_email=pd.Series(pd.NA, index=moments.index, dtype="boolean"))
    asked = moments[["person_id", "occurred_at"]].astype({"occurred_at": "datetime64[us]"})
    still = permitted_people(run, purpose="marketing_email").to_pandas()["person_id"]
    then = permitted_at(run, asked, purpose="marketing_email")
    return moments.assign(may_email=then & moments["person_id"].isin(still).to_numpy())


def purchases(transactions: ibis.Table | None) -> pd.DataFrame | None:
    """When known people bought: person_id, occurred_at; None without people or receipts."""
    if transactions is None or "person_id" not in transactions.columns:
        return None
    bought = transactions.filter(transactions.person_id.notnull(), transactions.revenue > 0)
    return bought.select("person_id", "occurred_at").distinct().order_by("person_id", "occurred_at").to_pandas()


def precision(
    triggers: pd.DataFrame, bought: pd.DataFrame | None, people: pd.DataFrame, *, since: pd.Timestamp
) -> pd.DataFrame:
    """How often what a trigger foretells came true, on time held out: from `since`, as far as it can be followed.

    Returns:
        One row a trigger with 10 moments or more: trigger, foretells, n, precision, low, high (95 %, whole
        people), usual (the same asked of everyone on each date of the features in that time), lift.
    """
    if bought is None or bought.empty:
        return pd.DataFrame(columns=PRECISION)
    dates = people.rename(columns={"as_of": "occurred_at"})
    value = people.rename(columns={"as_of": "at"}).loc[:, ["person_id", "at", "high_value"]]
    sold, rows = bought.rename(columns={"occurred_at": "at"}).assign(high_value=True), []
    for name, foretells in FORETELLS.items():
        days, until, told = FOLLOWED_DAYS, bought["occurred_at"].max(), []
        if name == "high value reached":
            days, until = VALUE_DAYS, people["as_of"].max()
        for part in (triggers[triggers["trigger"] == name], dates):
            kept = (part["occurred_at"] >= since) & (part["occurred_at"] <= until - timedelta(days=days))
            told.append(_came_true(part.loc[kept, ["person_id", "occurred_at"]], name, sold, value))
        hits, usual = (part["true"].to_numpy(dtype=float) for part in told)
        if len(hits) < 10 or not len(usual):
            continue
        error = 1.96 * clustered_error(hits - hits.mean(), told[0]["person_id"].to_numpy())
        ends = max(hits.mean() - error, 0.0), min(hits.mean() + error, 1.0)
        lift = hits.mean() / usual.mean() if usual.mean() else np.nan
        rows.append((name, foretells, len(hits), hits.mean(), *ends, usual.mean(), lift))
    return pd.DataFrame(rows, columns=PRECISION)


def _came_true(asked: pd.DataFrame, name: str, sold: pd.DataFrame, value: pd.DataFrame) -> pd.DataFrame:
    """For each moment, whether what the trigger foretells came true: person_id, true."""
    reached = name == "high value reached"
    asked = asked.assign(at=asked["occurred_at"] + timedelta(days=VALUE_DAYS if reached else 0))
    asked, later = (
        part.astype({"at": "datetime64[us]"}).sort_values("at", kind="stable")
        for part in (asked, (value if reached else sold).assign(then=lambda d: d["at"]))
    )
    found = pd.merge_asof(asked, later, on="at", by="person_id", direction="forward", allow_exact_matches=reached)
    if reached:
        return found.dropna(subset=["high_value"]).assign(true=lambda d: d["high_value"].astype(bool))
    buys = found["then"] - found["at"] <= timedelta(days=FOLLOWED_DAYS)
    return found.assign(true=~buys if name == "high value lapsing" else buys)


def _baskets_left(events: ibis.Table, left_hours: int, conversion: str) -> pd.DataFrame:
    """Moments at which a basket counted as left, of known people."""
    told = events.filter(
        events.person_id.notnull(), events.occurred_at.notnull(), events.event.isin([*BASKETS, conversion])
    )
    order = [told.occurred_at, told.row]
    after = told.occurred_at.lead().over(group_by=told.person_id, order_by=order)
    told = told.mutate(after=after)
    waited = ibis.interval(hours=left_hours)
    last = told.filter(told.event != conversion, told.after.isnull() | (told.after > told.occurred_at + waited))
    left = last.select("person_id", "row", occurred_at=last.occurred_at + waited)
    end = events.occurred_at.max().to_pandas()
    found = left.order_by("row").to_pandas()
    return found[found["occurred_at"] <= end]

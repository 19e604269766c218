"""Moments, what they foretell, and what stands in for age, counted once more row after row.

The functions return one row a comparison, as those of `witnesses` do.
"""

from itertools import pairwise

import ibis
import numpy as np
import pandas as pd

from journeybook.segmentation.triggers import BASKETS, FOLLOWED_DAYS, VALUE_DAYS
from journeybook.segmentation.witnesses import FIGURES
from journeybook.tables import Run, permitted_people


def triggers_hold(
    triggers: pd.DataFrame,
    *,
    run: Run,
    bought: pd.DataFrame | None,
    people: pd.DataFrame,
    events: ibis.Table | None,
    left_hours: int,
    lapsed_days: int,
    conversion: str,
) -> pd.DataFrame:
    """Find the moments once more, row after row, and count those that differ."""
    due: set[tuple] = set()
    columns = ["person_id", "as_of", "lifecycle", "high_value"]
    rows = people.sort_values(columns[:2])[columns].itertuples(index=False, name=None)
    for (one, _, _, was), (person, at, stage, high) in pairwise(rows):
        if person == one and high and not was:
            due.add((person, at, "high value reached"))
        if person == one and was and stage in ("at risk", "lapsed"):
            due.add((person, at, "high value lapsing"))
    if bought is not None:
        rows = bought.sort_values(["person_id", "occurred_at"])[["person_id", "occurred_at"]].to_numpy()
        gap = pd.Timedelta(days=lapsed_days)
        due |= {(b, at, "lapsed buyer back") for (a, was), (b, at) in pairwise(rows) if a == b and at - was >= gap}
    if events is not None and {"person_id", "occurred_at"} <= set(events.columns):
        end, wait = events.occurred_at.max().to_pandas(), pd.Timedelta(hours=left_hours)
        told = events.filter(events.event.isin([*BASKETS, conversion])).to_pandas().dropna(subset=["person_id"])
        told = told.sort_values(["person_id", "occurred_at", "row"])[["person_id", "occurred_at", "event"]]
        for (person, at, event), (other, after, _) in pairwise([*told.to_numpy(), ("", end, "")]):
            if event != conversion and at + wait <= end and (person != other or after - at > wait):
                due.add((person, at + wait, "basket left"))
    found = set(triggers[["person_id", "occurred_at", "trigger"]].itertuples(index=False, name=None))
    n_off = len(found ^ due) + len(triggers) - len(found)
    rows = [("moments found otherwise", n_off, 0, 0, "person by person")]
    if run.has_ledger:
        still = permitted_people(run, purpose="marketing_email").person_id.to_pandas()
        n_off = int((triggers["may_email"] & ~triggers["person_id"].isin(still)).sum())
        rows.append(("moments to write to who no longer permits it", n_off, 0, 0, "the ledger"))
    return pd.DataFrame(rows, columns=FIGURES)


def precision_holds(
    told: pd.DataFrame,
    triggers: pd.DataFrame,
    bought: pd.DataFrame | None,
    people: pd.DataFrame,
    *,
    since: pd.Timestamp,
) -> pd.DataFrame:
    """Follow each moment of `told`, and everyone on each date, person by person, and compare the shares."""
    far = 0.0
    if bought is not None and len(told):
        days = {who: of.to_numpy() for who, of in bought.groupby("person_id")["occurred_at"]}
        dated = people.sort_values("as_of").groupby("person_id")
        high = {who: (of["as_of"].to_numpy(), of["high_value"].to_numpy()) for who, of in dated}
        last = {"high value reached": people["as_of"].max() - pd.Timedelta(days=VALUE_DAYS)}
        until = bought["occurred_at"].max() - pd.Timedelta(days=FOLLOWED_DAYS)
    for row in told.itertuples():
        shares = []
        moments = triggers.loc[triggers["trigger"] == row.trigger, ["person_id", "occurred_at"]]
        for asked in (moments, people[["person_id", "as_of"]].set_axis([*moments], axis=1)):
            asked = asked[asked["occurred_at"].between(since, last.get(row.trigger, until))]
            came = [_came_true(row.trigger, who, at, days, high) for who, at in asked.to_numpy()]
            shares.append(pd.Series([c for c in came if c is not None], dtype=float))
        hits, usual = shares
        due = (len(hits), hits.mean(), usual.mean(), hits.mean() / usual.mean() if usual.mean() else np.nan)
        far = max(far, float(np.nanmax(np.abs(np.subtract(due, (row.n, row.precision, row.usual, row.lift))))))
    row = ("what triggers foretell, greatest difference", far, 0, 1e-9, "person by person")
    return pd.DataFrame([row], columns=FIGURES)


def _came_true(name: str, who: str, at: pd.Timestamp, days: dict, high: dict) -> bool | None:
    if name == "high value reached":
        dates, values = high[who]
        place = np.searchsorted(dates, np.datetime64(at + pd.Timedelta(days=VALUE_DAYS)))
        return bool(values[place]) if place < len(dates) else None
    own = days.get(who, np.array([], dtype="datetime64[us]"))
    end = np.datetime64(at + pd.Timedelta(days=FOLLOWED_DAYS))
    buys = bool(((own > np.datetime64(at)) & (own <= end)).any())
    return buys != (name == "high value lapsing")


def proxies_hold(told: pd.DataFrame, last: pd.DataFrame, profiles: pd.DataFrame | None) -> pd.DataFrame:
    """Correlate ranks with the decade of birth once more, in pandas; the order of segments is left out."""
    far = 0.0
    if profiles is not None and len(told):
        both = last.merge(profiles[["person_id", "birth_decade"]], on="person_id")
        for row in told[told["feature"] != "segment"].itertuples():
            pair = both[[row.feature, "birth_decade"]].astype(float).dropna()
            far = max(far, abs(pair.rank().corr().iloc[0, 1] - row.correlation) + abs(len(pair) - row.n_people))
    row = ("ties to age, greatest difference", far, 0, 1e-9, "ranks in pandas")
    return pd.DataFrame([row], columns=FIGURES)

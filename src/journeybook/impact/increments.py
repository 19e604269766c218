"""What a change added: by hold-outs, experiments, and tests that shared their units, nothing counted twice."""

from collections.abc import Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd

from journeybook.impact.goals import Goal
from journeybook.sends import NO_CONTACT
from journeybook.statistics.clusters import clustered_error
from journeybook.statistics.contrasts import arm_moments, contrast

EFFECT = ["source", "metric", "effect", "low", "high", "standard_error", "n", "reached"]
IMPACT = ["goal", "source", "effect", "low", "high", "value", "status"]
OUTCOMES = ("responded", "value", "opened", "clicked")
"""What contacts may be measured by."""
NOBODY, WITHIN = "cannot be attributed", "within another"
Z = 1.959963984540054
FEWEST = 20
"""Units or decisions an arm needs before an effect is told."""
Effects = list[dict[str, Any]]


def rows_of(table: ibis.Table | None) -> pd.DataFrame:
    """Return a table in the order of `row`, the comparisons by metric and variant; no rows where there is none."""
    if table is None:
        return pd.DataFrame()
    return table.order_by(["row"] if "row" in table.columns else ["metric", "variant"]).to_pandas()


def decisions_of(contacts: pd.DataFrame) -> pd.DataFrame:
    """Return contacts as decisions to write or not, in their order.

    Returns:
        The outcomes there are of `OUTCOMES` as numbers, `person` (an integer; who is not known is one alone),
        `none` (nothing was sent), `propensity` (of what was done; NaN where it is not known), and `row`,
        `person_id` and `occurred_at` where there are any.
    """
    found = pd.DataFrame({name: contacts[name].astype(float) for name in OUTCOMES if name in contacts})
    code, known = pd.factorize(contacts.get("person_id", pd.Series(np.nan, index=contacts.index)))
    found["person"] = np.where(code < 0, len(known) + np.arange(len(contacts)), code)
    channel = contacts.get("channel", pd.Series("", index=contacts.index))
    found["none"] = (channel == NO_CONTACT).to_numpy(dtype=bool)
    found["propensity"] = contacts["propensity"].astype(float) if "propensity" in contacts else np.nan
    return found.join(contacts[contacts.columns.intersection(["row", "person_id", "occurred_at"])])


def judged(decisions: pd.DataFrame) -> pd.DataFrame:
    """Return the decisions that a hold-out speaks for: to send nothing had a chance, and it is known which.

    A message that was certain to go has nobody like it among those left alone.
    """
    known = (decisions["propensity"] > 0) & (decisions["propensity"] <= 1)
    return decisions[known & (decisions["none"] | (decisions["propensity"] < 1))]


def held_out(decisions: pd.DataFrame, metric: str) -> Effects:
    """Return what writing as it was done added to a metric a decision, over writing to nobody; an effect, or none.

    What was done is the plain mean. What writing to nobody would have brought is the mean of those left alone,
    each weighed by one over the probability of that (Hajek 1971). People are the clusters of the interval.
    """
    rows = judged(decisions).dropna(subset=metric) if metric in decisions else decisions.head(0)
    if min(rows["none"].sum(), (~rows["none"].astype(bool)).sum()) < FEWEST:
        return []
    y, weight = rows[metric].to_numpy(), rows["none"].to_numpy() / rows["propensity"].to_numpy()
    nobody = (weight * y).sum() / weight.sum()
    influence = (y - y.mean()) - weight * (y - nobody) / weight.mean()
    error = clustered_error(influence, rows["person"].to_numpy())
    return [_effect("contacts", metric, y.mean() - nobody, error, n=len(rows), reached=(~rows["none"]).sum())]


def tested(comparisons: pd.DataFrame, metric: str) -> Effects:
    """Return the effects of page 11 on a metric as it tells them, one a variant."""
    if comparisons.empty:
        return []
    of = comparisons[(comparisons["metric"] == metric) & comparisons["effect"].notna()]
    return [
        {"source": f"comparisons: {row.variant}", "metric": metric, "effect": row.effect, "low": row.effect_low}
        | {"high": row.effect_high, "standard_error": (row.effect_high - row.effect_low) / 2 / Z}
        | {"n": row.n_control + row.n_treatment, "reached": row.n_treatment}
        for row in of.itertuples()
    ]


def crossed(units: pd.DataFrame, metric: str, *, name: str) -> Effects:
    """Return what tests on the same units add, each alone and all together; none where variants name none.

    Variants are named for the changes they hold, joined by `+`; one has none, one has all, and each change has
    one of its own. The effects are each change alone over none, `added up` (their sum, as separate reports claim),
    `together` (all changes over none) and `counted twice`, by which the sum exceeds that: of two changes, their
    interaction with the other sign.
    """
    named = sorted(set(units["variant"].dropna().astype(str))) if {"variant", metric} <= {*units} else []
    every = max(named, key=lambda one: one.count("+"), default="")
    changes = [part.strip() for part in every.split("+")]
    none = [one for one in named if not {part.strip() for part in one.split("+")} & {*changes}]
    cells = [*none, *changes, every]
    if len(changes) < 2 or len(none) != 1 or not {*changes} <= {*named}:
        return []
    rows = units[units["variant"].isin(cells) & units[metric].notna()]
    arm = pd.Index(cells).get_indexer(pd.Index(rows["variant"].astype(str)))
    arms = arm_moments([rows[metric].to_numpy(dtype=float)], arm, n_arms=len(cells))
    if min(arms.n) < FEWEST:
        return []
    over = np.eye(len(cells))[1:] - np.eye(len(cells))[0]
    added = over[:-1].sum(axis=0)
    ways = {**dict(zip(changes, over, strict=False)), "added up": added, "together": over[-1]}
    effects = []
    for place, (way, weights) in enumerate((ways | {"counted twice": added - over[-1]}).items(), start=1):
        found = contrast(arms, weights=weights.tolist())
        times = float(found.margin(alpha=0.05) / found.standard_error)
        n = {"n": arms.n[weights != 0].sum(), "reached": arms.n[place if place < len(cells) - 1 else -1]}
        error = float(found.standard_error)
        effects.append(_effect(f"{name}: {way}", metric, float(found.effect), error, times=times, **n))
    return effects


def twice_told(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the effects of the tests on the same units, `counted twice` last, no row where there are none.

    They are on the metric in which sum and whole differ most clearly.
    """
    twice = effects[effects["source"].str.endswith(": counted twice")]
    if twice.empty:
        return twice
    row = twice.loc[(twice["effect"].abs() / twice["standard_error"]).idxmax()]
    table = row["source"].partition(": ")[0]
    return effects[effects["source"].str.startswith(f"{table}: ") & (effects["metric"] == row["metric"])]


def same_people(units: pd.DataFrame, decisions: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return what messages add to the effect of a test of two arms, on people who are in both; a row, or none.

    A unit's decision is the latest one of its person in the seven days before it entered. The effect among all
    such units, less that among those left alone, weighed as in `held_out`, is the interaction of the two.
    """
    keys, nothing = ["person_id", "occurred_at"], pd.DataFrame(columns=EFFECT)
    if not {*keys, "variant", metric} <= {*units} or not {*keys} <= {*decisions}:
        return nothing
    at, last = (
        rows.dropna(subset=keys).sort_values(["occurred_at", "row"]) for rows in (units, judged(decisions))
    )
    last = last[[*keys, "person", "none", "propensity"]].astype({"person_id": str})
    within = pd.Timedelta("7D")
    both = pd.merge_asof(at.astype({"person_id": str}), last, on=keys[1], by=keys[0], tolerance=within)
    both = both.dropna(subset=["none", metric])
    alone, arm = both["none"].to_numpy(bool), both["variant"].astype(str).to_numpy()
    names = sorted({*arm})
    if len(names) != 2 or min((alone & (arm == one)).sum() for one in names) < FEWEST:
        return nothing
    y, influence, effect = both[metric].to_numpy(float), np.zeros(len(both)), 0.0
    for sign, among in ((1, np.ones(len(both))), (-1, alone / both["propensity"].to_numpy(float))):
        for side, name in ((sign, names[1]), (-sign, names[0])):
            weight = among * (arm == name)
            mean = (weight * y).sum() / weight.sum()
            effect += side * mean
            influence += side * weight * (y - mean) / weight.mean()
    error, n = clustered_error(influence, both["person"].to_numpy()), {"n": len(both), "reached": (~alone).sum()}
    return pd.DataFrame([_effect("experiment with contacts", metric, effect, error, **n)], columns=EFFECT)


def measured_by(goals: Sequence[Goal], decisions: pd.DataFrame, comparisons: pd.DataFrame) -> list[str]:
    """Return the metrics that the goals and their guardrails name; without goals all that there are."""
    there = [name for name in OUTCOMES[:2] if name in decisions]
    there += [*comparisons["metric"]] if len(comparisons) else []
    asked = [goal.metric for goal in goals] + [goal.guardrail for goal in goals if goal.guardrail]
    return [*dict.fromkeys(asked or there)]


def measure(
    metrics: Sequence[str],
    decisions: pd.DataFrame,
    comparisons: pd.DataFrame,
    overlapping: pd.DataFrame,
    *,
    name: str,
) -> pd.DataFrame:
    """Return every effect on these metrics: of hold-outs, of page 11, of tests on the same units (table `name`).

    Returns:
        One row an effect: source (the table it was measured on, with the change), metric, effect a unit, its 95 %
        interval low to high, standard_error, n (units measured on), and reached (units that had the change).
    """
    found = [one for metric in metrics for one in held_out(decisions, metric)]
    both = [one for metric in metrics for one in crossed(overlapping, metric, name=name)]
    if both and len(comparisons) and comparisons["variant"].str.contains("+", regex=False).any():
        # Page 11 compared these very tests: its rows are of the same units.
        comparisons = comparisons.head(0)
    told = [one for metric in metrics for one in tested(comparisons, metric)]
    return pd.DataFrame([*found, *told, *both], columns=EFFECT)


def impact_table(goals: Sequence[Goal], effects: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Return the table `impact`: what each source adds to each goal, and whether it counts.

    `value` is the effect times the units it was had by, times what one is worth: money where the goal says its
    `worth`, else NaN. Of tests on the same units only `together` counts. Without goals each metric stands for
    itself. Messages that were certain to go, or of a chance not known, are nobody's.

    Returns:
        One row a goal and source: goal, source, effect, low, high, value, status. A status is `target reached`,
        `target missed` or `cannot be told` by the interval, `no target` without a goal; `guardrail broken` where
        the interval of the guardrail's effect, by the same source, lies below what is borne; `within another`
        where it is counted in another row; `cannot be attributed` where nothing can be said.
    """
    rows: list[list] = []
    lost = int((~decisions["none"]).sum() - (~judged(decisions)["none"]).sum())
    for goal in goals or [Goal(metric, metric) for metric in dict.fromkeys(effects["metric"])]:
        of = effects[effects["metric"] == goal.metric]
        for row in of.itertuples():
            units, status = row.n if row.source == "contacts" else row.reached, _status(goal, row, effects)
            value = row.effect * units * goal.worth if status != WITHIN else np.nan
            rows.append([goal.name, row.source, row.effect, row.low, row.high, value, status])
        if lost and goal.metric in decisions:
            rows.append([goal.name, f"contacts: {lost:,} messages", *[np.nan] * 4, NOBODY])
        elif of.empty:
            rows.append([goal.name, "none measures it", *[np.nan] * 4, NOBODY])
    return pd.DataFrame(rows, columns=IMPACT)


def _status(goal: Goal, row: Any, effects: pd.DataFrame) -> str:
    table, _, change = row.source.partition(": ")
    if change != "together" and f"{table}: together" in {*effects["source"]}:
        return WITHIN
    rail = effects[(effects["metric"] == goal.guardrail) & (effects["source"] == row.source)]
    if (rail["high"] < goal.least).any():
        return "guardrail broken"
    if goal.wanted != goal.wanted:
        return "no target"
    way = sorted((row.low / goal.wanted, row.high / goal.wanted))
    return "target reached" if way[0] >= 1 else "target missed" if way[1] < 1 else "cannot be told"


def _effect(
    source: str, metric: str, effect: float, error: float, *, n: int, reached: int, times: float = Z
) -> dict[str, Any]:
    ends = {"effect": effect, "low": effect - times * error, "high": effect + times * error}
    return {
        "source": source,
        "metric": metric,
        **ends,
        "standard_error": error,
        "n": int(n),
        "reached": int(reached),
    }

"""What page 11 says of an experiment beyond its figures' titles, computed from its results."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from journeybook.experiments.aggregation import Analysed, UnitRows
from journeybook.experiments.comparisons import POOLED, Experiment
from journeybook.experiments.decision import SHIP, STOP, UNPLANNED, WAIT
from journeybook.experiments.health import alarms, cautions
from journeybook.experiments.heterogeneity import Heterogeneity
from journeybook.experiments.looks import Look
from journeybook.experiments.maturity import Ripeness
from journeybook.experiments.measures import Measures
from journeybook.experiments.plan import Plan
from journeybook.findings import say_share
from journeybook.statistics.exact import SUFFIX


def say_rows(made: UnitRows, *, n_left_out: int) -> str:
    """What was made of the rows; empty where a row was a unit already."""
    text = f"{made.n_values:,} values of metrics became one row a unit. " if made.n_values else ""
    if made.n_exposures:
        text += (
            f"{made.n_exposures:,} exposures and {made.n_outcomes:,} outcomes became units. {made.n_unmatched:,} "
            f"outcomes are of units never exposed, {made.n_outside:,} lie outside the windows; "
            f"{made.n_unfinished:,} units are left out because the data end before their window does. "
        )
    if n_left_out:
        text += f"{n_left_out:,} units that were in two arms are left out."
    return text.strip()


def say_ripe(ripe: Ripeness) -> str:
    """Which units are left out because their outcomes are still coming in; empty where none are."""
    if not ripe.n_unripe:
        return ""
    n = f"{ripe.n_unripe:,} of {ripe.n_unripe + len(ripe.units):,}"
    return f"> **Outcomes are still coming in**: {ripe.why}. The last {n} units are left out."


def say_plan(plan: Plan, seen: Look, *, n_units: int) -> str:
    """Whether there is a plan and it still stands, which look this is, and what the headline promises for it."""
    told = "No plan was given, so this page describes and tests but cannot decide."
    if plan.given:
        told = f"The plan has the digest `{plan.sha256[:12]}`, the same as at the first look."
    if seen.plan_changed:
        before = f"the plan {seen.first_plan[:12]}" if seen.first_plan else "no plan"
        told = f"> **The plan has changed.** The first look had {before}: read this page as an exploration."
    size = f"{n_units:,} of {plan.planned_units:,} planned units" if plan.given else f"{n_units:,} units, no plan"
    place = f"Look {seen.number} ({size})"
    if seen.headline == "fixed_horizon":
        return f"{told}\n\n{place}: the headline holds for this one look."
    why = ["the planned end is not reached"] if seen.early else []
    why += [f"{seen.n_before} earlier looks at other data are on record"] if seen.n_before else []
    return (
        f"{told}\n\n> **{place}.** Because {' and '.join(why)}, the headline is **always-valid**: it holds "
        "however often the experiment is looked at, and is wider for it."
    )


def say_health(health: pd.DataFrame, given: Measures, analysed: Analysed) -> str:
    """What the checks of data quality found, and on which rows effects are measured."""
    broken, careful = alarms(health), cautions(health)
    text = ""
    if analysed.by in ("cluster", "person"):
        gone = ", ".join(name for name in given.kinds if name not in analysed.measured.kinds)
        text = f"**Variants are assigned by {analysed.by}**, so a row is now one of {len(analysed.units):,}. "
        text += f"Not measured so: {gone}. " if gone else ""
    text += f"{int(health['passed'].sum())} of {len(health)} checks pass."
    if broken:
        text += f" **Alarm: {', '.join(broken)}.** Find the cause before reading an effect."
    if "allocation_over_time" in broken:
        text += " The arms' shares moved, so the headline is within periods; subgroups and looks below are biased."
    return text + (f" Read with care: {', '.join(careful)}." if careful else "")


def say_effects(found: Experiment, drawn: Sequence[str]) -> str:
    """What small arms, moved shares and covariates did to the headline, and which metrics are drawn of many."""
    rows, text = found.comparisons, ""
    if rows["method"].str.endswith(SUFFIX).any():
        text += "The arms are small, so intervals and p values are exact. "
    pooled = found.methods[found.methods["method"].str.endswith(POOLED)].drop_duplicates(["metric", "variant"])
    if len(pooled):
        said = (f"{row.effect:+.3g} on {row.metric}" for row in pooled.itertuples())
        text += f"Pooled over periods, and biased, effects would be {', '.join(said)}. "
    if len(drawn) < len(found.kinds):
        text += f"Figures draw the clearest {len(drawn)} of {len(found.kinds)} metrics; the tables hold all. "
    saved = found.methods[found.methods["metric"].isin(drawn)].dropna(subset="variance_saved_share")
    if len(saved):
        means = saved.groupby("metric", sort=False)["variance_saved_share"].mean()
        said = (f"{max(share, 0):.0%} on {metric}" for metric, share in means.items())
        text += f"The covariates save this share of the variance: {', '.join(said)}."
    return text


def say_factorial(crossed: pd.DataFrame, *, power: float) -> str:
    """What a factorial design could detect and cannot tell apart, or that there is none."""
    if crossed.empty:
        return "This experiment is no factorial design with variants named x, a, b and a+b."
    text = f"A smaller effect than `detectable_effect` is found with less than {power:.0%} probability."
    aliased = crossed[crossed["aliased_with"] != ""]
    if len(aliased):
        text += f" These cells cannot tell {aliased['term'].iloc[0]} from {aliased['aliased_with'].iloc[0]}."
    return text


def say_whom(grouped: pd.DataFrame, searched: Heterogeneity, *, alpha: float) -> str:
    """How many planned interactions hold, and what an honest search for others found."""
    text = "No subgroups were planned. "
    if len(grouped):
        tests = grouped.drop_duplicates(["metric", "variant", "subgroup"])["interaction_p_adjusted"]
        text = f"{(tests < alpha).sum()} of {len(tests)} planned interactions hold at {alpha:g} after correction. "
    rows = searched.found
    if rows.empty:
        return f"{text}No split has enough units on both sides of both halves, so none was searched."
    left = np.sign(rows["difference_when_found"]) * rows["difference"] / rows["difference_when_found"].abs()
    held = f"{(rows['p_adjusted'] < alpha).sum()} of {len(rows)}"
    return (
        f"{text}Of {searched.n_splits} splits searched on one half, the best of each comparison was tested on the "
        f"other: {held} hold. There the difference was {max(left.median(), 0):.0%} of the one that made "
        "it the best (median)."
    )


def say_decision(decision: pd.DataFrame) -> str:
    """What was decided for each variant, why, and at what risk."""
    wrong = {
        SHIP: "there is no gain",
        STOP: "an effect worth having is passed by",
        WAIT: "the better decision of today would be wrong",
    }
    text = ""
    for row in decision.to_dict("records"):
        if row["decision"] == UNPLANNED:
            return "No decision: no plan says which metric decides and which effect is worth having."
        text += f"**{row['variant']}: {row['decision']}**, because {row['reason']}. "
        if row["probability_wrong"] == row["probability_wrong"]:
            risk = say_share(row["probability_wrong"])
            text += f"Probability that {wrong[row['decision']]}: {risk}. "
    return text


def say_peeking(rates: np.ndarray, *, alpha: float) -> str:
    """What naive looks would have done to the rate of false positives."""
    rate = float(rates[-1])
    return (
        f"{len(rates)} equally spaced looks, each tested at {alpha:g}, find an effect in **{rate:.1%}** of "
        f"experiments that have none: {rate / alpha:.1f} times what one look promises."
    )

"""What page 11 says of an experiment beyond its figures' titles, computed from its results."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from journeybook.experiments.aggregation import Analysed, UnitRows
from journeybook.experiments.alternatives import ALL_ARMS
from journeybook.experiments.comparisons import POOLED, Experiment
from journeybook.experiments.decision import SHIP, STOP, UNPLANNED, WAIT
from journeybook.experiments.health import alarms, cautions
from journeybook.experiments.heterogeneity import Heterogeneity
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import Measures, amount
from journeybook.experiments.plan import Plan
from journeybook.findings import say_share
from journeybook.statistics.exact import SUFFIX


def say_rows(made: UnitRows, *, n_left_out: int) -> str:
    """What was made of the rows; empty where a row was a unit already."""
    text = ""
    if made.n_exposures:
        text = (
            f"{made.n_exposures:,} exposures and {made.n_outcomes:,} outcomes became units. {made.n_unmatched:,} "
            f"outcomes are of units never exposed, {made.n_outside:,} lie outside the windows; "
            f"{made.n_unfinished:,} units are left out because the data end before their window does. "
        )
    if n_left_out:
        text += f"{n_left_out:,} units that were in two arms are left out."
    return text.strip()


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
    if analysed.by != "unit":
        gone = ", ".join(name for name in given.kinds if name not in analysed.measured.kinds)
        text = f"**Variants are assigned by {analysed.by}**, so a row is now one of {len(analysed.units):,}. "
        text += f"Not measured so: {gone}. " if gone else ""
    text += f"{int(health['passed'].sum())} of {len(health)} checks pass."
    if broken:
        text += f" **Alarm: {', '.join(broken)}.** Find the cause before reading an effect."
    if "allocation_over_time" in broken:
        text += " The arms' shares moved, so the headline is within periods; subgroups and looks below are biased."
    return text + (f" Read with care: {', '.join(careful)}." if careful else "")


def say_effects(found: Experiment, *, alpha: float) -> str:
    """What correction, small arms, moved shares and covariates did to the headline."""
    rows, text = found.comparisons, ""
    single = rows[(rows["p_value"] < alpha) & (rows["p_adjusted"] >= alpha)]
    if len(single):
        names = ", ".join(f"{row.metric} of {row.variant}" for row in single.itertuples())
        text += f"Below {alpha:g} alone but not among {len(rows)} comparisons: {names}. "
    if rows["method"].str.endswith(SUFFIX).any():
        text += "The arms are small, so intervals and p values are exact. "
    pooled = found.methods[found.methods["method"].str.endswith(POOLED)].drop_duplicates(["metric", "variant"])
    if len(pooled):
        kinds = dict(zip(rows["metric"], rows["kind"], strict=True))
        said = (f"{amount(r.effect, kinds[r.metric], sign=True)} on {r.metric}" for r in pooled.itertuples())
        text += f"Pooled over periods, and biased, effects would be {', '.join(said)}. "
    saved = found.methods.dropna(subset="variance_saved_share")
    if len(saved):
        means = saved.groupby("metric", sort=False)["variance_saved_share"].mean()
        text += (
            f"The covariates save {', '.join(f'{max(s, 0):.0%} on {m}' for m, s in means.items())} of variance."
        )
    return text


def say_methods(methods: pd.DataFrame, *, alpha: float) -> str:
    """On which comparisons the methods differ; empty where they agree."""
    text = ""
    for (metric, variant), part in methods[methods["variant"] != ALL_ARMS].groupby(
        ["metric", "variant"], sort=False
    ):
        claims = part["p_value"] < alpha
        if claims.nunique() > 1:
            text += (
                f"On {metric} of {variant}, p is not below {alpha:g} by {', '.join(part.loc[~claims, 'method'])}. "
            )
    return text.replace("_", " ")


def say_beliefs(
    believed: pd.DataFrame, guarded: pd.DataFrame, *, lower: list[str], kinds: Mapping[str, str]
) -> str:
    """What a wrong choice costs, and which guardrails are shown to hold."""
    text = "No posterior: that needs a share or mean, and an allocation that did not move."
    if len(believed):
        best = believed.loc[believed.groupby("metric", sort=False)["probability_best"].idxmax()]
        cost = (f"{amount(row.expected_loss, kinds[row.metric])} on {row.metric}" for row in best.itertuples())
        text = f"Choosing the likeliest best costs, on average, {', '.join(cost)}."
    text += f" Less is taken for better of: {', '.join(dict.fromkeys(lower)) or 'none'}."
    words = {"holds": "shown within the margin", "harmed": "worse than the margin", "open": "open"}
    told = [f"{row.metric} of {row.variant} {words[row.verdict]}" for row in guarded.itertuples()]
    return f"{text} Guardrails: {'; '.join(told) or 'none planned, so none is shown to be harmless'}."


def say_factorial(crossed: pd.DataFrame, *, alpha: float, power: float) -> str:
    """Which effects of a factorial design hold, or that there is none."""
    if crossed.empty:
        return "This experiment is no factorial design with variants named x, a, b and a+b."
    held = crossed[crossed["p_adjusted"] < alpha]
    named = ", ".join(f"{row.term} on {row.metric}" for row in held.itertuples()) or "none"
    text = f"After Holm's correction over {len(crossed)} effects these hold: {named}."
    aliased = crossed[crossed["aliased_with"] != ""]
    if len(aliased):
        text += f" These cells cannot tell {aliased['term'].iloc[0]} from {aliased['aliased_with'].iloc[0]}."
    return f"{text} A smaller effect than `detectable_effect` is found with less than {power:.0%} probability."


def say_whom(grouped: pd.DataFrame, searched: Heterogeneity, *, alpha: float, kinds: Mapping[str, str]) -> str:
    """Whether the effect differs between planned subgroups, and what an honest search for others found."""
    text = "No subgroups were planned. "
    if len(grouped):
        tests = grouped.drop_duplicates(["metric", "variant", "subgroup"])["interaction_p_adjusted"]
        text = f"{(tests < alpha).sum()} of {len(tests)} planned interactions hold at {alpha:g} after correction. "
    rows = searched.found
    if rows.empty:
        return f"{text}No split leaves enough units on both sides of both halves, so none was searched."
    held = rows[rows["p_adjusted"] < alpha]
    text += f"Of {searched.n_splits} splits searched on one half, the best of each comparison was tested on the "
    text += f"other: {len(held)} of {len(rows)} hold."
    for row in held.itertuples():
        sides = (amount(e, kinds[row.metric], sign=True) for e in (row.effect_inside, row.effect_outside))
        text += f" {row.variant} moves {row.metric} by {next(sides)} where {row.inside}, else by {next(sides)}."
    left = np.sign(rows["difference_when_found"]) * rows["difference"] / rows["difference_when_found"].abs()
    return f"{text} Of the difference that made a split the best, {max(left.median(), 0):.0%} was left (median)."


def say_followed(one: pd.DataFrame) -> str:
    """How much wider the intervals are that may be looked at."""
    if one.empty:
        return "Units carry no time of assignment, or are too few, so the effect cannot be followed over time."
    last = one.iloc[-1]
    naive = last["effect_high"] - last["effect_low"]
    wider = [(last[f"{rule}_high"] - last[f"{rule}_low"]) / naive for rule in ("always_valid", "group")]
    return (
        f"At the last look the always-valid interval is {wider[0]:.2f} times as wide as the naive one, the group "
        f"sequential one {wider[1]:.2f} times."
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

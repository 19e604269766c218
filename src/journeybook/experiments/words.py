"""What the page says of an experiment, in sentences computed from its results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from journeybook.experiments.comparisons import Experiment
from journeybook.experiments.corrections import holm
from journeybook.experiments.exact import SUFFIX
from journeybook.experiments.faults import POOLED
from journeybook.experiments.health import alarms, cautions
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import amount
from journeybook.experiments.plan import Plan
from journeybook.experiments.simulations import ANY, FalsePositives


def plan_sentence(plan: Plan, seen: Look) -> str:
    """What the plan says, with a banner where it was changed since the first look."""
    if seen.plan_changed:
        return (
            "> **The plan was changed.** At the first look it had the digest "
            f"`{seen.first_plan[:12] or 'none'}`, now it has `{plan.sha256[:12] or 'none'}`. A rule that was "
            "made or changed after looking promises nothing: read everything below as exploration, and repeat "
            "the experiment under the new plan."
        )
    if not plan.given:
        return "No plan was given, so this page describes and tests but cannot decide."
    return f"The plan has the digest `{plan.sha256[:12]}`, the same as at the first look."


def health_sentence(health: pd.DataFrame) -> str:
    """What the health checks found."""
    broken, careful = alarms(health), cautions(health)
    text = f"**What we see.** {int(health['passed'].sum())} of {len(health)} checks pass."
    if broken:
        text += (
            f" **Alarm: {', '.join(broken)}.** **What to do.** Find the cause before reading an effect; a broken "
            "assignment cannot be corrected afterwards."
        )
    if "allocation_over_time" in broken:
        text += (
            " The shares of the arms moved, so the headline is within periods. What pools periods is biased: "
            "subgroups, the search, looks and bandits below. Beliefs and effect sizes are left out."
        )
    if careful:
        text += f" Read with care: {', '.join(careful)}; `meaning` says what each stands for."
    return text + (
        " **What it does not show.** That the metric measures what it should, or that units do not influence "
        "each other."
    )


def novelty_sentence(daily: pd.DataFrame, *, alpha: float, kinds: Mapping[str, str]) -> str:
    """Whether effects fade or grow with the day of assignment."""
    if daily.empty:
        return (
            "The effects cannot be followed by day: times are missing, or there are too few days or units a day."
        )
    trends = daily.drop_duplicates(["metric", "variant"])
    moved = trends[holm(trends["trend_p_value"]) < alpha]
    text = (
        f"**What we see.** {len(moved)} of {len(trends)} effects change with the day of assignment, at {alpha:g} "
    )
    text += "after Holm's correction"
    for row in moved.itertuples():
        text += f"; {row.variant} on {row.metric} by {amount(row.trend, kinds[row.metric], sign=True)} a day"
    return text + (
        ". **What it does not show.** How the effect on one unit develops: that needs its outcomes day by day. "
        "**What to do.** Where it fades, run longer, and decide on the later days."
    )


def effects_sentence(found: Experiment, *, alpha: float, correction: str) -> str:
    """What the comparisons found, what they do not show, what to do."""
    rows = found.comparisons
    sure = rows[rows["p_adjusted"] < alpha]
    single = rows[(rows["p_value"] < alpha) & (rows["p_adjusted"] >= alpha)]
    text = (
        f"**What we see.** {len(sure)} of {len(rows)} comparisons hold at {alpha:g} after correction "
        f"({correction.replace('_', '-')})"
    )
    text += "".join(f"; {_told(row)}" for row in sure.itertuples()) + "."
    if len(single):
        names = ", ".join(f"{row.metric} of {row.variant}" for row in single.itertuples())
        text += f" Below {alpha:g} on its own but not among {len(rows)}: {names}."
    exact = rows[rows["method"].str.endswith(SUFFIX)]
    if len(exact):
        named = ", ".join(f"{row.metric} by {row.method.replace('_', ' ')}" for row in exact.itertuples())
        text += f" The arms are small, so interval and p value are exact, and not Student's: {named}."
    pooled = found.methods[found.methods["method"].str.endswith(POOLED)].drop_duplicates(["metric", "variant"])
    if len(pooled):
        text += " Effects of shares and means are within periods. Pooled over periods, and biased, they would be: "
        text += "; ".join(f"{_difference(row)} on {row.metric}" for row in _with_kinds(pooled, rows)) + "."
    cuped = found.methods[found.methods["variance_saved_share"].notna()]
    if len(cuped):
        saved = cuped.groupby("metric", sort=False)["variance_saved_share"].mean()
        said = ", ".join(f"{share:.0%} on {metric}" for metric, share in saved.clip(lower=0).items())
        text += f" The covariates save this share of the variance: {said}."
    if len(sure) < len(rows):
        text += (
            " **What it does not show.** That the others have no effect: their intervals say how large an effect "
            "may still be."
        )
    return text + " **What to do.** Decide on the whole interval, not on its middle."


def factorial_sentence(factorial: pd.DataFrame, *, alpha: float, power: float) -> str:
    """What the factorial design found, or that there is none."""
    if factorial.empty:
        return "This experiment is no factorial design with variants named x, a, b and a+b."
    both = factorial["order"] > 1
    held = factorial["p_adjusted"] < alpha
    named = ", ".join(f"{row.term} on {row.metric}" for row in factorial[~both & held].itertuples()) or "none"
    mixed = ", ".join(f"{row.term} on {row.metric}" for row in factorial[both & held].itertuples()) or "none"
    aliased = factorial[factorial["aliased_with"] != ""]
    alias = (
        f" **These cells cannot tell apart** {aliased['term'].iloc[0]} and {aliased['aliased_with'].iloc[0]}: see "
        "`aliased_with`."
        if len(aliased)
        else " No two effects are aliased."
    )
    return (
        f"**What we see.** Main effects that hold at {alpha:g} after Holm's correction over these "
        f"{len(factorial)} rows: {named}. Interactions: {mixed}.{alias} **What it does not show.** Effects "
        f"smaller than `detectable_effect`, which this design finds with probability {power:.0%}; those of "
        "interactions are larger. **What to do.** Where an interaction holds, read the cells and not the main "
        "effects."
    )


def headline_figures(found: Experiment, health: pd.DataFrame, *, again: FalsePositives) -> dict[str, float]:
    """The page's figures for the index, flat."""
    best = _clearest(found.comparisons)
    saved = found.methods["variance_saved_share"].dropna().tolist()
    together = again.rates[again.rates["metric"] == ANY].set_index("procedure")["rate"]
    alone = again.rates[again.rates["promised"].notna() & (again.rates["metric"] != ANY)]
    return {
        "n_comparisons": len(found.comparisons),
        "n_health_alarms": len(alarms(health)),
        "n_health_cautions": len(cautions(health)),
        "sample_ratio_p_value": float(health["p_value"].to_numpy()[health["check"] == "sample_ratio"][0]),
        "clearest_effect": float(best["effect"]),
        "clearest_effect_low": float(best["effect_low"]),
        "clearest_effect_high": float(best["effect_high"]),
        "smallest_p_adjusted": float(best["p_adjusted"]),
        "greatest_variance_saved_share": max(saved, default=0.0),
        "a_a_greatest_share": float(alone["rate"].max()),
        "a_a_uncorrected_share": float(together.get("one look, uncorrected", np.nan)),
        "a_a_together_share": float(together.get("every look, always valid and Holm", np.nan)),
    }


def beside_truth(
    found: Experiment, factorial: pd.DataFrame, *, truth: pd.DataFrame | None, experiment: str
) -> pd.DataFrame:
    """Headline effects and interactions beside those a simulation planted.

    Args:
        found: The comparisons.
        factorial: Main effects and interactions.
        truth: Columns experiment, metric, variant (a 2x2 interaction is `a x b`), group, effect; None where
            it is not known.
        experiment: Table that was analysed.

    Returns:
        One row an effect on all units: metric, term, effect, standard_error, planted; no rows where the truth is
        not known.
    """
    columns = ["metric", "term", "effect", "standard_error", "planted"]
    if truth is None:
        return pd.DataFrame(columns=columns)
    crossed = factorial[factorial["order"] > 1].copy()
    crossed["term"] = crossed["term"].str.removeprefix("interaction ").str.replace("+", " x ", regex=False)
    planted = truth[(truth["experiment"] == experiment) & (truth["group"] == "all")]
    planted = planted.rename(columns={"variant": "term", "effect": "planted"})
    rows = [found.estimates.rename(columns={"variant": "term"})[columns[:4]]]
    rows += [crossed[columns[:4]]] if len(crossed) else []
    return pd.concat(rows).merge(planted[["metric", "term", "planted"]], on=["metric", "term"])[columns]


def _clearest(rows: pd.DataFrame) -> pd.Series:
    """The comparison with the smallest p value; the first of equals."""
    return rows.iloc[int(rows["p_value"].to_numpy().argmin())]


def _with_kinds(methods: pd.DataFrame, rows: pd.DataFrame) -> Any:
    return methods.merge(rows[["metric", "variant", "kind"]], on=["metric", "variant"]).itertuples()


def _told(row: Any) -> str:
    """One comparison in words."""
    lift = "" if np.isnan(row.relative) else f", {row.relative:+.1%} of the control"
    return f"{row.variant} changes {row.metric} by {_difference(row)}{lift}"


def _difference(row: Any) -> str:
    if row.kind == "proportion":
        return f"{100 * row.effect:+.2f} points ({100 * row.effect_low:.2f} to {100 * row.effect_high:.2f})"
    return f"{row.effect:+.3g} ({row.effect_low:.3g} to {row.effect_high:.3g})"

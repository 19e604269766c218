"""What the page says of an experiment, in sentences computed from its results."""

from typing import Any

import numpy as np
import pandas as pd

from journeybook.experiments.comparisons import Experiment


def health_sentence(health: pd.DataFrame) -> str:
    """What the health checks found."""
    failed = health.loc[~health["passed"], "check"].tolist()
    if not failed:
        return (
            f"**What we see.** All {len(health)} checks pass. **What it does not show.** That the metric measures "
            "what it should, or that units do not influence each other."
        )
    return (
        f"**What we see.** {len(failed)} of {len(health)} checks fail: {', '.join(failed)}. **What to do.** Find "
        "the cause before reading an effect; a broken assignment cannot be corrected afterwards."
    )


def effects_sentence(found: Experiment, *, alpha: float) -> str:
    """What the comparisons found, what they do not show, what to do."""
    rows = found.comparisons
    sure = rows[rows["p_adjusted"] < alpha]
    single = rows[(rows["p_value"] < alpha) & (rows["p_adjusted"] >= alpha)]
    text = f"**What we see.** {len(sure)} of {len(rows)} comparisons hold after Holm's correction at {alpha:g}"
    text += "".join(f"; {_told(row)}" for row in sure.itertuples()) + "."
    if len(single):
        names = ", ".join(f"{row.metric} of {row.variant}" for row in single.itertuples())
        text += f" Below {alpha:g} on its own but not among {len(rows)}: {names}."
    cuped = found.methods[found.methods["method"] == "cuped"]
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


def factorial_sentence(found: Experiment, *, alpha: float) -> str:
    """What the 2x2 design found, or that there is none."""
    rows = found.factorial
    if rows.empty:
        return "This experiment is no 2x2 design with variants named x, a, b and a+b."
    both = rows["term"].str.startswith("interaction")
    held = rows["p_adjusted"] < alpha
    named = ", ".join(f"{row.term} on {row.metric}" for row in rows[~both & held].itertuples()) or "none"
    mixed = ", ".join(f"{row.term} on {row.metric}" for row in rows[both & held].itertuples()) or "none"
    return (
        f"**What we see.** Main effects that hold at {alpha:g} after Holm's correction over these {len(rows)} "
        f"rows: {named}. Interactions: {mixed}. **What it does not show.** Small interactions: their standard "
        "error is about twice a main effect's. **What to do.** Where an interaction holds, read the four cells "
        "and not the main effects."
    )


def summary(found: Experiment, health: pd.DataFrame, *, data_is: str, alpha: float) -> str:
    """Three bullets that open the page."""
    rows = found.comparisons
    failed = health.loc[~health["passed"], "check"].tolist()
    trusted = "every health check passes" if not failed else f"**do not trust it yet**: {', '.join(failed)} failed"
    return f"""**In short**

* {int((rows["p_adjusted"] < alpha).sum())} of {len(rows)} comparisons with '{found.control}' hold after \
correction at {alpha:g}. Data: **{data_is}**.
* Clearest: {_told(_clearest(rows))}.
* Health: {trusted}."""


def headline_figures(found: Experiment, health: pd.DataFrame) -> dict[str, float]:
    """The page's figures for the index, flat."""
    best = _clearest(found.comparisons)
    saved = found.methods["variance_saved_share"].dropna().tolist()
    return {
        "n_comparisons": len(found.comparisons),
        "n_health_alarms": int((~health["passed"]).sum()),
        "sample_ratio_p_value": float(health["p_value"].to_numpy()[health["check"] == "sample_ratio"][0]),
        "clearest_effect": float(best["effect"]),
        "clearest_effect_low": float(best["effect_low"]),
        "clearest_effect_high": float(best["effect_high"]),
        "smallest_p_adjusted": float(best["p_adjusted"]),
        "greatest_variance_saved_share": max(saved, default=0.0),
    }


def beside_truth(found: Experiment, *, truth: pd.DataFrame | None, experiment: str) -> pd.DataFrame:
    """Headline effects and interactions beside those a simulation planted.

    Args:
        found: The comparisons.
        truth: Columns experiment, metric, variant (a 2x2 interaction is `a x b`), effect; None where not known.
        experiment: Table that was analysed.

    Returns:
        One row an effect: metric, term, effect, standard_error, planted; no rows where the truth is not known.
    """
    columns = ["metric", "term", "effect", "standard_error", "planted"]
    if truth is None:
        return pd.DataFrame(columns=columns)
    best = found.methods[found.methods["method"].isin(found.comparisons["method"])].rename(
        columns={"variant": "term"}
    )
    crossed = found.factorial[found.factorial["term"].str.startswith("interaction ")].copy()
    crossed["term"] = crossed["term"].str.removeprefix("interaction ").str.replace("+", " x ", regex=False)
    planted = truth[truth["experiment"] == experiment].rename(columns={"variant": "term", "effect": "planted"})
    rows = pd.concat([frame[columns[:4]] for frame in (best, crossed) if len(frame)])
    return rows.merge(planted[["metric", "term", "planted"]], on=["metric", "term"])[columns]


def _clearest(rows: pd.DataFrame) -> pd.Series:
    """The comparison with the smallest p value; the first of equals."""
    return rows.iloc[int(rows["p_value"].to_numpy().argmin())]


def _told(row: Any) -> str:
    """One comparison in words."""
    if row.kind == "proportion":
        effect = f"{100 * row.effect:+.2f} points ({100 * row.effect_low:.2f} to {100 * row.effect_high:.2f})"
    else:
        effect = f"{row.effect:+.3g} ({row.effect_low:.3g} to {row.effect_high:.3g})"
    lift = "" if np.isnan(row.relative) else f", {row.relative:+.1%} of the control"
    return f"{row.variant} changes {row.metric} by {effect}{lift}"

"""What page 12 says beyond its figures' titles, computed from its results."""

import numpy as np
import pandas as pd

from journeybook.experiment_design.bandits import BanditStudy
from journeybook.findings import say_count, say_share

RULES = {
    "naive": "stopping at the first p below alpha",
    "always_valid": "the always-valid interval",
    "pocock": "Pocock's bounds",
    "obrien_fleming": "O'Brien and Fleming's bounds",
}
ESTIMATORS = {"naive": "naive", "adaptively_weighted": "adaptively weighted"}


def say_basis(known: pd.DataFrame, *, pace: float | None) -> str:
    """What is known of the units, and how fast they come."""
    text = "No experiment was run before, so one share is planned from its rate alone."
    if known["n"].max() > 0:
        text = f"Spread and covariates are those of the last experiment's {say_count(known['n'].max())} units."
    return (
        f"{text} {'Their pace is not known.' if pace is None else f'About {say_count(pace)} units enter a day.'}"
    )


def say_sizes(needed: pd.DataFrame, *, lift: float) -> str:
    """What covariates save, and which metric needs most."""
    n = needed.pivot(index="metric", columns="method", values="n_units")
    if n.empty:
        return "No metric has a mean other than 0, so no lift can be planned."
    best = n.min(axis=1)
    text = f"A lift of {say_share(lift)} needs from {say_count(best.min())} units ({best.idxmin()}) to "
    text += f"{say_count(best.max())} ({best.idxmax()})."
    if "with covariates" in n:
        saved = (1 - n["with covariates"] / n["plain"]).dropna()
        text += f" Covariates save {say_share(saved.min())} to {say_share(saved.max())} of the units."
    return text.replace("_", " ")


def say_assignment(checks: pd.DataFrame, *, salt: str) -> str:
    """Whether the salted hash deals these ids evenly."""
    failed = checks.loc[~checks["passed"], "check"].tolist()
    if failed:
        return f"Under the salt '{salt}' {', '.join(failed)} fail: are ids unique? Change the salt."
    return f"Under the salt '{salt}' the ids are dealt evenly and independently of another salt."


def say_bandits(none: BanditStudy) -> str:
    """What a bandit does to the estimate, and which intervals mend it."""
    worst = none.worst()
    bandits = worst[worst["policy"] != "fixed_split"]
    missed = 1 - bandits.groupby("estimator")["coverage"].min()
    naive = bandits[bandits["estimator"] == "naive"]
    bias = naive.loc[naive["bias"].abs().idxmax(), "bias"]
    miss = (f"{missed[name]:.1%} ({said})" for name, said in ESTIMATORS.items())
    text = f"Without any difference, the naive mean of an arm is off by up to {100 * np.abs(bias):.2f} points: an "
    text += f"arm that begins badly gets few units. {1 - none.alpha:.0%} intervals miss the effect in "
    return f"{text}{', '.join(miss)}."

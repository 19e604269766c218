"""What the page says of other methods, of subgroups and of error rates, in sentences computed from its results."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from journeybook.experiments.alternatives import ALL_ARMS
from journeybook.experiments.heterogeneity import Heterogeneity
from journeybook.experiments.measures import amount
from journeybook.experiments.simulations import FalsePositives


def methods_sentence(methods: pd.DataFrame, *, alpha: float) -> str:
    """Whether the methods agree with each other, metric by metric.

    Args:
        methods: The headline's tests and the others, columns `METHOD_COLUMNS`.
        alpha: Level of each test.
    """
    rows = methods[methods["variant"] != ALL_ARMS].assign(claims=lambda d: d["p_value"] < alpha)
    split = []
    groups = list(rows.groupby(["metric", "variant"], sort=False))
    for (metric, variant), part in groups:
        if part["claims"].nunique() > 1:
            below = ", ".join(part.loc[part["claims"], "method"])
            above = ", ".join(part.loc[~part["claims"], "method"])
            split.append(f"{metric} of {variant} (below {alpha:g}: {below}; not: {above})")
    text = (
        f"**What we see.** At {alpha:g}, each test on its own, all methods agree on {len(groups) - len(split)} of "
    )
    text += f"{len(groups)} comparisons" + (f"; they differ on {'; '.join(split)}." if split else ".")
    for row in methods[methods["variant"] == ALL_ARMS].itertuples():
        verdict = "are not all the same" if row.p_value < alpha else "may all be the same"
        text += f" The arms' shares of {row.metric} {verdict} (chi-square, p = {row.p_value:.2g})."
    return (
        f"{text} **What it does not show.** Which method is right: they ask different questions. Mann-Whitney "
        "asks who has the larger value, winsorising cuts the largest, the log-rank test weighs all times alike. "
        "**What to do.** Decide by the headline, which was chosen before; where the others differ, find out why."
    )


def subgroups_sentence(subgroups: pd.DataFrame, *, alpha: float) -> str:
    """Whether the effect differs between planned subgroups, and what reading the levels one by one would say."""
    if subgroups.empty:
        return "No subgroups were planned, so none are read."
    tests = subgroups.drop_duplicates(["metric", "variant", "subgroup"])
    held = tests[tests["interaction_p_adjusted"] < alpha]
    text = f"**What we see.** {len(held)} of {len(tests)} interaction tests hold at {alpha:g} after correction"
    for row in held.itertuples():
        text += f"; the effect of {row.variant} on {row.metric} differs by {row.subgroup}"
    rest = subgroups[~(subgroups["interaction_p_adjusted"] < alpha)]
    groups = rest.groupby(["metric", "variant", "subgroup"], sort=False)["p_value"]
    mixed = int(((groups.min() < alpha) & (groups.max() >= alpha)).sum())
    if mixed:
        text += (
            f". In {mixed} that do not, one level is below {alpha:g} and another is not, which is no difference "
        )
        text += "between them: a level has fewer units than the whole"
    text += (
        ". **What it does not show.** That the effect is the same for all: an interaction between two halves of "
        "the units needs four times the units of a main effect of its size. **What to do.** "
    )
    if len(held):
        return text + "Read these subgroups apart, and repeat the difference before acting on it."
    return text + "Decide for everyone by the overall effect."


def heterogeneity_sentence(found: Heterogeneity, *, alpha: float, kinds: Mapping[str, str]) -> str:
    """What a search for whom it works found, and how much of it was chance."""
    rows = found.found
    if rows.empty:
        return "No split leaves units enough on both sides of both halves, so none was searched."
    held = rows[rows["p_adjusted"] < alpha]
    text = (
        f"**What we see.** {found.n_splits} splits were searched on {found.n_searched:,} units; the best of each "
    )
    text += (
        f"of {len(rows)} comparisons was tested on {found.n_tested:,} others. {len(held)} hold at {alpha:g} after "
    )
    text += "correction"
    for row in held.itertuples():
        inside, outside = (
            amount(effect, kinds[row.metric], sign=True) for effect in (row.effect_inside, row.effect_outside)
        )
        text += f"; {row.variant} changes {row.metric} by {inside} where {row.inside} and by {outside} elsewhere"
    left = np.sign(rows["difference_when_found"]) * rows["difference"] / rows["difference_when_found"].abs()
    text += (
        f". On the other half {max(left.median(), 0):.0%} of the difference that made a split the best was left "
        "(median of them). **What it does not show.** That no difference exists: half the units have little power "
        "to find one. **What to do.** "
    )
    if len(held):
        return text + "Plan these splits as subgroups of the next experiment."
    return text + "Tell no stories about segments from this experiment."


def error_rates_sentence(found: FalsePositives) -> str:
    """Whether the procedures hold what they promise on the page's own units, and what the tempting ones cost."""
    rows = found.rates
    if rows.empty:
        return "No metric is a share, mean or ratio, so no sums could be assigned again."
    kept = rows[rows["promised"].notna()]
    error = (kept["promised"] * (1 - kept["promised"]) / found.n_simulations) ** 0.5
    over = kept[kept["rate"] > kept["promised"] + 3 * error]
    text = (
        f"**What we see.** {found.n_units:,} units were assigned {found.n_simulations:,} times at random, so that "
    )
    text += (
        f"nothing can have happened. {len(kept) - len(over)} of {len(kept)} procedures claim an effect no more "
    )
    text += "often than they promise, to within three Monte Carlo errors"
    for row in over.itertuples():
        text += f"; {row.procedure} on {row.metric} claims one in {row.rate:.1%}, not {row.promised:.1%}"
    text += ". The others promise nothing"
    for row in rows[rows["promised"].isna()].itertuples():
        text += f"; {row.procedure}: {row.rate:.1%}"
    text += ". **What it does not show.** Power: what claims nothing never claims wrongly. **What to do.** "
    if len(over):
        return text + "Do not rely on those here: a metric is too skewed, or an event too rare, for so few units."
    return text + "Fix metrics, correction and looks before the start, or pay with wrong claims."

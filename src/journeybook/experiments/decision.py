"""Ship, do not ship, or keep running: the plan's rule, applied to what was found."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.health import BLOCKING
from journeybook.experiments.measures import amount
from journeybook.experiments.plan import Plan
from journeybook.statistics import corrections
from journeybook.statistics.exact import SUFFIX
from journeybook.statistics.non_inferiority import non_inferiority
from journeybook.statistics.sequential import always_valid

SHIP, STOP, WAIT, UNPLANNED = "ship", "do not ship", "keep running", "no plan"
GUARDRAIL_COLUMNS = ["metric", "variant", "margin", "effect", "effect_low", "effect_high", "p_value", "verdict"]
# What a caution says of a metric on which a decision would rest.
CAUTIONED = {
    "outliers": "a few extreme values decide the effect on {}",
    "novelty": "the effect on {} changes with the day of assignment",
    "few_values": "most units have no value of {}",
    "counts_for_units": "the rows of {} look like counts of many units",
    "rare_outcome": "too few units have the rarer outcome of {}",
    "unripe": "outcomes of the last units are still coming in",
}


def guardrails(
    rows: pd.DataFrame, *, margins: Mapping[str, float], alpha: float, planned_n: int | None = None
) -> pd.DataFrame:
    """Whether each guardrail metric is shown to be no worse than its margin.

    Only a metric that is shown to be within its margin holds; "no significant harm" is no such showing. Each is
    tested at `alpha` without correction: shipping needs all to hold, so that one false "holds" ships nothing.
    Below 0 a margin says by how much the metric may fall, above 0 by how much it may rise. With `planned_n`, the
    planned units of all arms, the tests hold at every look.

    Returns:
        Columns `GUARDRAIL_COLUMNS`. `verdict` is `holds`, `harmed` (worse than the margin beyond doubt) or `open`;
        `p_value` belongs to `holds`.
    """
    found = []
    for row in rows[rows["metric"].isin(list(margins))].itertuples():
        margin = float(margins[row.metric])
        df = np.inf if np.isnan(row.df) else row.df
        if planned_n is None:
            one = non_inferiority(row.effect, row.standard_error, df, margin=margin, alpha=alpha)
            good, bad, low, high = float(one.p_value), 1 - float(one.p_value), float(one.low), float(one.high)
        else:
            n = row.n_control + row.n_treatment
            every = always_valid(row.effect, row.standard_error, n=n, alpha=alpha, planned_n=planned_n)
            beyond = always_valid(row.effect - margin, row.standard_error, n=n, alpha=alpha, planned_n=planned_n)
            inside = (row.effect - margin) * np.sign(margin) < 0
            good, bad = (float(beyond.p_value), 1.0) if inside else (1.0, float(beyond.p_value))
            low, high = float(every.low), float(every.high)
        verdict = "holds" if good < alpha else "harmed" if bad < alpha else "open"
        found.append((row.metric, row.variant, margin, row.effect, low, high, good, verdict))
    return pd.DataFrame(found, columns=GUARDRAIL_COLUMNS)


def cautioned(failed: Sequence[str], *, metric: str, variant: str, method: str = "") -> list[str]:
    """What failed checks of health say of a variant's effect on a metric, those that a decision must heed.

    A caution that names no metric is of all; one that names another variant is not of this effect, and an exact
    test needs none of rare outcomes.
    """
    said = []
    for check in failed:
        kind, _, about = check.partition(": ")
        heeded = kind in BLOCKING or (kind == "rare_outcome" and not method.endswith(SUFFIX))
        if heeded and about in ("", metric, f"{metric}, {variant}"):
            said.append(CAUTIONED[kind].format(metric))
    return said


def decide(
    estimates: pd.DataFrame,
    *,
    guardrails: pd.DataFrame,
    plan: Plan,
    alarms: Sequence[str],
    over: bool,
    cautions: Sequence[str] = (),
) -> pd.DataFrame:
    """Apply the plan's rule to each variant.

    The rule, in this order. A health alarm: do not ship. A guardrail harmed beyond its margin: do not ship. The
    interval of the primary effect excludes the smallest effect worth having: do not ship. The effect is shown in
    the wanted direction (p below alpha, by Holm over the variants), no value of its interval is below the smallest
    effect worth having, every guardrail is shown to hold, and no caution is of these metrics: ship. Else keep
    running until the planned end, and do not ship there.

    What a decision risks is read from the normal posterior of the effect under a flat prior: for shipping the
    probability that there is no gain, for not shipping that the effect is worth having, for keeping running the
    smaller of the two. It is a belief given the data, and no rate of errors: that is what alpha holds.

    Returns:
        One row a variant; without a plan only variant, decision and reason. `gain_per_thousand` is the effect on a
        thousand units, in the metric's unit and the wanted direction, of shares and means.
    """
    if not plan.given:
        reason = "the parameters hold no plan, and so no rule"
        return pd.DataFrame({"variant": estimates["variant"].unique(), "decision": UNPLANNED, "reason": reason})
    primary = estimates[estimates["metric"] == plan.primary].reset_index(drop=True)
    if primary.empty:
        reason = f"a variant has no values of {plan.primary}"
        made = pd.DataFrame({"variant": estimates["variant"].unique(), "decision": STOP, "reason": reason})
        return made.assign(probability_wrong=np.nan)
    adjusted = corrections.holm(primary["p_value"])
    rows = []
    for row, p_value in zip(primary.itertuples(), adjusted, strict=True):
        verdicts = guardrails[guardrails["variant"] == row.variant].set_index("metric")["verdict"]
        ends = sorted((plan.sign * row.effect_low, plan.sign * row.effect_high))
        gain = plan.sign * row.effect
        shown = float(p_value) < plan.alpha and gain > 0
        careful = cautioned(cautions, metric=plan.primary, variant=row.variant, method=row.method)
        for metric in verdicts.index:
            careful += cautioned(cautions, metric=metric, variant=row.variant)
        told = {"plan": plan, "kind": row.kind, "alarms": alarms, "careful": careful, "over": over}
        decision, reason = _rule(shown, ends, verdicts, **told)
        no_gain = float(stats.norm.cdf(-gain / row.standard_error))
        worth = float(stats.norm.cdf((gain - plan.minimum_effect) / row.standard_error))
        per_thousand = 1000.0 if row.kind in ("proportion", "mean") else np.nan
        rows.append(
            {
                "variant": row.variant,
                "decision": decision,
                "reason": reason,
                "metric": row.metric,
                "effect": row.effect,
                "effect_low": row.effect_low,
                "effect_high": row.effect_high,
                "p_value": float(p_value),
                "probability_wrong": {SHIP: no_gain, STOP: worth, WAIT: min(no_gain, worth)}[decision],
                "probability_no_gain": no_gain,
                "probability_worth_having": worth,
                "gain_per_thousand": per_thousand * gain,
                "gain_per_thousand_low": per_thousand * ends[0],
                "gain_per_thousand_high": per_thousand * ends[1],
            }
        )
    return pd.DataFrame(rows)


def _rule(
    shown: bool,
    ends: Sequence[float],
    verdicts: pd.Series,
    *,
    plan: Plan,
    kind: str,
    alarms: Sequence[str],
    careful: Sequence[str],
    over: bool,
) -> tuple[str, str]:
    """The decision, and the reason in words."""
    wanted = amount(plan.minimum_effect, kind)
    harmed = verdicts.index[verdicts == "harmed"].tolist()
    unproven = verdicts.index[verdicts == "open"].tolist()
    if alarms:
        return STOP, f"the health check {alarms[0]} failed, and no effect can be trusted before its cause is found"
    if harmed:
        return STOP, f"{harmed[0]} is worse than its margin"
    if ends[1] < plan.minimum_effect:
        return STOP, f"an effect of {wanted} on {plan.primary}, the smallest worth having, is excluded"
    if not shown:
        lacking = f"no effect on {plan.primary} is shown"
    elif not ends[0] >= plan.minimum_effect:
        lacking = (
            f"an effect on {plan.primary} is shown, but not that it is worth having: the interval begins at "
            f"{amount(ends[0], kind)}, below {wanted}"
        )
    elif unproven:
        lacking = f"{unproven[0]} is not shown to be within its margin"
    elif careful:
        lacking = careful[0]
    else:
        return SHIP, f"an effect of {wanted} or more on {plan.primary} is shown, and every guardrail holds"
    return (STOP, f"the planned end is reached, and {lacking}") if over else (WAIT, lacking)

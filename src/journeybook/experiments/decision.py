"""Ship, do not ship, or keep running: the plan's rule, applied to what was found."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.corrections import adjust
from journeybook.experiments.measures import amount
from journeybook.experiments.plan import Plan

SHIP, STOP, WAIT, UNPLANNED = "ship", "do not ship", "keep running", "no plan"
DECISION_COLUMNS = (
    *("variant", "decision", "reason", "metric", "effect", "effect_low", "effect_high", "p_value"),
    *("probability_wrong", "probability_no_gain", "probability_worth_having"),
    *("gain_per_thousand", "gain_per_thousand_low", "gain_per_thousand_high"),
)
_NUMBERS = DECISION_COLUMNS[4:]


def decide(
    estimates: pd.DataFrame, *, guardrails: pd.DataFrame, plan: Plan, alarms: Sequence[str], over: bool
) -> pd.DataFrame:
    """Apply the plan's rule to each variant.

    The rule, in this order. A health alarm: do not ship. A guardrail harmed beyond its margin: do not ship. The
    interval of the primary effect excludes the smallest effect worth having: do not ship. The effect is shown in
    the wanted direction (p below alpha, by Holm over the variants), no value of its interval is below the smallest
    effect worth having, and every guardrail is shown to hold: ship. Else keep running until the planned end, and
    do not ship there.

    What a decision risks is read from the normal posterior of the effect under a flat prior: for shipping the
    probability that there is no gain, for not shipping that the effect is worth having. A decision to keep
    running has the smaller of the two, the risk of the better decision today. It is a belief given the data, and
    no rate of errors: that is what alpha holds.

    Args:
        estimates: `Experiment.estimates`.
        guardrails: Columns metric, variant, verdict (`holds`, `harmed` or `open`).
        plan: The plan; without one nothing is decided.
        alarms: Failed health checks, of `health.alarms`.
        over: Whether the planned end is reached.

    Returns:
        One row a variant, columns `DECISION_COLUMNS`; `gain_per_thousand` is the effect on a thousand units, in
        the metric's unit and the wanted direction, of proportions and means.
    """
    variants = list(dict.fromkeys(estimates["variant"]))
    if not plan.given:
        rows = [
            {"variant": name, "decision": UNPLANNED, "reason": "the parameters hold no plan, and so no rule"}
            for name in variants
        ]
        return pd.DataFrame(rows, columns=list(DECISION_COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))
    primary = estimates[estimates["metric"] == plan.primary].reset_index(drop=True)
    adjusted = adjust(primary["p_value"], method="holm")
    rows = []
    for row, p_value in zip(primary.itertuples(), adjusted, strict=True):
        verdicts = guardrails[guardrails["variant"] == row.variant].set_index("metric")["verdict"]
        ends = sorted((plan.sign * row.effect_low, plan.sign * row.effect_high))
        gain = plan.sign * row.effect
        decision, reason = _rule(
            gain, ends, float(p_value), verdicts, plan=plan, kind=row.kind, alarms=alarms, over=over
        )
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
    return pd.DataFrame(rows, columns=list(DECISION_COLUMNS))


def _rule(
    gain: float,
    ends: Sequence[float],
    p_value: float,
    verdicts: pd.Series,
    *,
    plan: Plan,
    kind: str,
    alarms: Sequence[str],
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
        return (
            STOP,
            f"an effect of {wanted} on {plan.primary}, the smallest worth having, is excluded",
        )
    shown, worth = p_value < plan.alpha and gain > 0, ends[0] >= plan.minimum_effect
    if shown and worth and not unproven:
        return SHIP, (f"an effect of {wanted} or more on {plan.primary} is shown, and every guardrail holds")
    if not shown:
        lacking = f"no effect on {plan.primary} is shown"
    elif not worth:
        lacking = (
            f"an effect on {plan.primary} is shown, but not that it is worth having: the interval begins at "
            f"{amount(ends[0], kind)}, below {wanted}"
        )
    else:
        lacking = f"{unproven[0]} is not shown to be within its margin"
    return (STOP, f"the planned end is reached, and {lacking}") if over else (WAIT, lacking)


def decision_sentence(decision: pd.DataFrame, *, plan: Plan, kinds: Mapping[str, str]) -> str:
    """What was decided for each variant, at what risk and gain."""
    if not plan.given:
        return (
            "**What we see.** No decision: the parameters hold no plan, so nobody said beforehand which metric "
            "decides, which effect is worth having, and when the experiment ends. **What to do.** Write `plan` "
            "before the next experiment begins; a rule made after the effects were seen is no rule."
        )
    told = []
    for row in decision.itertuples():
        wrong = {
            SHIP: "that it gains nothing",
            STOP: f"that an effect of {amount(plan.minimum_effect, kinds[plan.primary])} or more is passed by",
            WAIT: "of the better decision, if one had to be made today",
        }[row.decision]
        text = f"**{row.variant}: {row.decision}.** Reason: {row.reason}. Probability of being wrong ({wrong}): "
        text += f"{_percent(row.probability_wrong)}."
        if not np.isnan(row.gain_per_thousand):
            text += (
                f" Expected gain per thousand customers: {row.gain_per_thousand:+.4g} on {row.metric} "
                f"({row.gain_per_thousand_low:.4g} to {row.gain_per_thousand_high:.4g})."
            )
        told.append(text)
    return (
        "**What we see.** "
        + " ".join(told)
        + (
            " **What it does not show.** Costs of the change, and effects beyond the weeks of the experiment. "
            "The probability is a belief under a flat prior; the rate of wrong claims over many experiments is "
            "held by alpha."
        )
    )


def _percent(share: float) -> str:
    return "below 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"

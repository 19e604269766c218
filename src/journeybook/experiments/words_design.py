"""What the page says of size, assignment, looks, beliefs, margins and bandits, computed from the results."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from journeybook.experiments.bandits import BanditStudy
from journeybook.experiments.looks import Look
from journeybook.experiments.measures import amount


def power_sentence(table: pd.DataFrame, *, power: float, kinds: Mapping[str, str]) -> str:
    """What the experiment could detect, and what the planned effects would have needed."""
    if table.empty:
        return "No row has a standard error that a size could be worked out from."
    best = table.loc[table.groupby(["metric", "variant"], sort=False)["minimum_detectable_effect"].idxmin()]
    told = []
    for metric, part in best.groupby("metric", sort=False):
        hardest = part.loc[part["minimum_detectable_effect"].idxmax()]
        share = hardest["minimum_detectable_relative"]
        of_control = "" if np.isnan(share) else f" ({share:.1%} of the control)"
        told.append(f"{amount(hardest['minimum_detectable_effect'], kinds[metric])}{of_control} on {metric}")
    text = f"**What we see.** With {power:.0%} probability this experiment finds an effect of {'; '.join(told)}"
    text += ", for the variant where it is hardest." if table["variant"].nunique() > 1 else "."
    planned = best[best["planned_effect"].notna()]
    for metric, part in planned.groupby("metric", sort=False):
        row = part.loc[part["power"].idxmin()]
        n, days = row["n_control_needed"] + row["n_treatment_needed"], row["days_needed"]
        text += (
            f" The planned effect of {amount(row['planned_effect'], kinds[metric])} on {metric} is found with "
            f"{row['power']:.0%} probability; {power:.0%} needs {n:,.0f} units in control and {row['variant']}"
        )
        text += "." if np.isnan(days) else f", {days:,.0f} days at the pace found."
    return text + (
        " **What it does not show.** How large the effect is: only the spread of the units counts here, no effect "
        "that was found. **What to do.** Read an effect that is not significant as smaller than these, not as "
        "none."
    )


def assignment_sentence(checks: pd.DataFrame, *, salt: str) -> str:
    """Whether the salted hash deals these ids evenly."""
    failed = checks.loc[~checks["passed"], "check"].tolist()
    if failed:
        return (
            f"**What we see.** Under the salt '{salt}' {len(failed)} of {len(checks)} checks fail: "
            f"{', '.join(failed)}. **What to do.** Look for ids that are not unique or not assigned one by one; "
            "do not begin with this salt."
        )
    return (
        f"**What we see.** Under the salt '{salt}' these ids are dealt evenly and independently of another salt: "
        f"all {len(checks)} checks pass. **What it does not show.** That the units of this experiment were "
        "assigned this way; whether their arms have the planned sizes is the sample-ratio check above. **What to "
        "do.** Give every experiment a salt of its own; with a salt used twice, the arms of two experiments are "
        "the same people."
    )


def look_sentence(seen: Look, *, n_units: int, planned_units: int) -> str:
    """Which look this is, what the headline is therefore, and a banner where the plan has changed."""
    banner = ""
    if seen.plan_changed:
        before = f"the plan {seen.first_plan[:12]}" if seen.first_plan else "no plan"
        banner = (
            f"> **The plan has changed.** The first look at this experiment had {before}. What was planned after "
            "a look is no plan: read this page as an exploration.\n\n"
        )
    planned = (
        f"{n_units:,} of {planned_units:,} planned units"
        if planned_units
        else f"{n_units:,} units, no planned size"
    )
    place = f"Look {seen.number} at this experiment ({planned})"
    if seen.headline == "fixed_horizon":
        reason = "the planned end is reached" if planned_units else "nothing was looked at before"
        return f"{banner}{place}: {reason}, so the headline holds for this one look."
    reasons = ["the planned end is not reached"] if seen.early else []
    if seen.n_before:
        looks = "an earlier look" if seen.n_before == 1 else f"{seen.n_before} earlier looks"
        reasons.append(
            f"{looks} at other data with no more units {'is' if seen.n_before == 1 else 'are'} on record"
        )
    return (
        f"{banner}> **{place}.** Because {' and '.join(reasons)}, the headline is **always-valid**: its intervals "
        "and p values hold however often the experiment is looked at, and are wider for it."
    )


def followed_sentence(rows: pd.DataFrame, *, alpha: float) -> str:
    """How one effect stood over the looks, by each of the three rules."""
    if rows.empty:
        return "The units carry no time of assignment, or are too few, so the effect cannot be followed over time."
    last = rows.iloc[-1]
    rules = {"the naive test": "crossed_naive", "the group sequential bound": "crossed_group"}
    rules["the always-valid interval"] = "crossed_always_valid"
    told = []
    for rule, column in rules.items():
        crossed = rows.loc[rows[column].astype(bool), "look"]
        told.append(f"{rule} {'never' if crossed.empty else f'from look {crossed.iloc[0]} on'}")
    wider = (last.always_valid_high - last.always_valid_low) / (last.effect_high - last.effect_low)
    returned = rows["crossed_naive"].astype(bool) & (rows["p_value"] >= alpha)
    text = (
        f"**What we see.** Over {len(rows)} looks at {last.metric} of {last.variant} an effect is claimed by "
        f"{', by '.join(told)}. At the last look the always-valid interval is {wider:.2f} times as wide as the "
        "naive one, and the group sequential one "
        f"{(last.group_high - last.group_low) / (last.effect_high - last.effect_low):.2f} times."
    )
    if returned.any():
        n = int(returned.sum())
        text += f" At {n} later look{'s' * (n > 1)} the naive test took its claim back."
    return text + (
        " **What it does not show.** What a look saw of units that had just been assigned: outcomes are those "
        "known at the end. **What to do.** Choose the rule before the start; the always-valid one needs no "
        "calendar of looks."
    )


def looking_sentence(rates: pd.DataFrame, *, alpha: float) -> str:
    """What looking early does by the naive rule, and by those that were made for it."""
    last = rates[rates["looks"] == rates["looks"].max()].set_index("method")
    rate = last["rate"]
    return (
        f"**What we see.** Without any effect {rates['looks'].max()} looks call {rate['naive']:.1%} ± "
        f"{last['monte_carlo_error']['naive']:.2%} of experiments significant, "
        f"{rate['naive'] / alpha:.1f} times the {alpha:.1%} that one look promises. The always-valid interval "
        f"errs in {rate['always_valid']:.1%}, O'Brien and Fleming's bounds in {rate['obrien_fleming']:.1%}, "
        f"Pocock's in {rate['pocock']:.1%}. **What to do.** Fix the end before the start and read the result "
        "once, or look by a rule that counts the looks."
    )


def direction_sentence(lower: Sequence[str]) -> str:
    """Of which metrics less is taken for better."""
    return f"Less is taken for better of: {', '.join(dict.fromkeys(lower)) or 'none'}. More is of the others."


def posteriors_sentence(table: pd.DataFrame, *, level: float, kinds: Mapping[str, str]) -> str:
    """What is believed of each variant after the data."""
    if table.empty:
        return "No posterior is worked out: that needs a proportion or mean, and an allocation that did not move."
    told = []
    for metric, part in table.groupby("metric", sort=False):
        best = part.loc[part["probability_best"].idxmax()]
        told.append(
            f"{best.variant} is best on {metric} with probability {_probability(best.probability_best)} (choosing "
            f"it costs {amount(best.expected_loss, kinds[metric])} on average)"
        )
    priors = "; ".join(
        f"{metric}: {part['prior'].iloc[0]}" for metric, part in table.groupby("metric", sort=False)
    )
    return (
        f"**What we see.** {'; '.join(told)}. Best is the greatest mean, or the least where the plan says that "
        f"less is better. Priors: {priors}. Intervals hold {level:.0%} of the posterior. **What it does not "
        "show.** An error rate: these are beliefs under the priors, without correction for many metrics, and "
        "looking early changes what one may conclude from them. Covariates are not used. **What to do.** Read "
        "the expected loss: a choice is safe when it costs less than a difference that matters."
    )


def guardrails_sentence(table: pd.DataFrame, *, alpha: float) -> str:
    """Which guardrails are shown to hold."""
    if table.empty:
        return (
            "The plan names no guardrails with margins, so none is tested: that a metric shows no significant "
            "harm is no showing that it was not harmed."
        )
    parts = []
    for verdict, word in (
        ("holds", "shown within the margin"),
        ("harmed", "worse than the margin"),
        ("open", "open"),
    ):
        named = [f"{row.metric} of {row.variant}" for row in table[table["verdict"] == verdict].itertuples()]
        parts += [f"{word}: {', '.join(named)}"] if named else []
    return (
        f"**What we see.** {'; '.join(parts)} (one-sided tests at {alpha:g} each). **What it does not show.** "
        "That an open guardrail is harmless: its interval reaches beyond the margin, and more units would tell. "
        "**What to do.** Ship only where every guardrail is shown to hold."
    )


def bandit_sentence(study: BanditStudy, *, none: BanditStudy) -> str:
    """What bandits save, what they do to the naive estimate, and what the corrected one does.

    Args:
        study: Arms with the rates found.
        none: Arms of equal rates.
    """
    lost = study.policies.set_index("policy")["regret"]
    worst = none.worst()
    bandits = worst[worst["policy"] != "fixed_split"]
    missed = 1 - bandits.groupby("estimator")["coverage"].min()
    naive = bandits[bandits["estimator"] == "naive"]
    first = naive.loc[naive["bias"].abs().idxmax()]
    mended = bandits[(bandits["policy"] == first.policy) & (bandits["estimator"] == "aipw")]["bias"].iloc[0]
    return (
        f"**What we see.** The fixed split loses {lost['fixed_split']:,.0f} conversions an experiment to showing "
        f"the worse arms, Thompson sampling {lost['thompson']:,.0f} and epsilon-greedy "
        f"{lost['epsilon_greedy']:,.0f}. For arms without any difference, the naive mean of an arm is off by "
        f"{100 * first.bias:+.2f} points under {first.policy.replace('_', '-')} (inverse-probability weighting: "
        f"{100 * mended:+.2f}), for an arm that began badly is given few units and cannot recover. "
        f"Intervals at {1 - none.alpha:.0%} miss the effect in up to {missed['naive']:.1%} (naive), "
        f"{missed['aipw']:.1%} (weighted by inverse probability) and {missed['adaptively_weighted']:.1%} "
        "(adaptively weighted). **What it does not show.** A bandit whose arms change with time, or that keeps no "
        "share for every arm: there no weighting mends the estimate. **What to do.** Use a bandit to earn, the "
        "fixed split to learn; after a bandit, log each unit's probability and weigh by it."
    )


def _probability(p: float) -> str:
    return "above 99.9 %" if p > 0.999 else f"{p:.1%}"

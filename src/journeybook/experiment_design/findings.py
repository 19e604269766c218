"""What page 12 found, for whoever plans a test."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from journeybook.experiment_design.bandits import BanditStudy
from journeybook.experiment_design.rules import Rules
from journeybook.findings import Finding, say_count, say_share


def find(
    needed: pd.DataFrame,
    assigned: pd.DataFrame,
    rules: Rules,
    earned: BanditStudy,
    none: BanditStudy,
    *,
    lift: float,
) -> list[Finding]:
    """Return the page's findings: of sizes, of an assignment that fails, of rules of stopping, of bandits."""
    return [*_sizes(needed, lift), *_assignment(assigned), _looks(rules), _bandits(earned, none)]


def _saved(earned: BanditStudy) -> float:
    regret = earned.policies.set_index("policy")["regret"]
    return float(1 - regret["thompson"] / regret["fixed_split"])


def _sizes(needed: pd.DataFrame, lift: float) -> Iterator[Finding]:
    section = "How large must the next one be, and how long?"
    if needed.empty:
        return
    first = needed[needed["metric"] == needed["metric"].iloc[0]]
    best = first.loc[first["n_units"].idxmin()]
    name, days = best["metric"].replace("_", " "), best["days"]
    took = f": {say_count(days)} days at the last test's pace" if days == days else ""
    text = f"Detecting a change of {say_share(lift)} in {name} needs {say_count(best['n_units'])} units{took}."
    action = "Plan for that size before the start; a smaller test can only say that it does not know."
    if best["method"] != "plain":
        saved = 1 - best["n_units"] / first["n_units"].max()
        action = (
            f"Plan for that size, and adjust for what is known before: that alone saves {say_share(saved)} of it."
        )
    size: dict[str, Any] = {"value": float(best["n_units"]), "unit": "units"}
    yield Finding(text=text, action=action, strength="counted", worth=3, section=section, **size)


def _assignment(assigned: pd.DataFrame) -> Iterator[Finding]:
    failed = assigned[~assigned["passed"]]
    if len(failed):
        text = f"{len(failed)} of {len(assigned)} checks of the assignment by hash fail."
        action = "Look for ids that are not unique, and take another salt."
        section = "How are units assigned?"
        yield Finding(text=text, action=action, strength="contradicted", worth=1, section=section, figure=None)


def _looks(rules: Rules) -> Finding:
    last = rules.errors.groupby("rule")["false_positive_share"].last()
    cost = rules.costs.set_index("rule")["size_ratio"]["obrien_fleming"]
    text = f"{rules.errors['looks'].max()} looks at p below {rules.alpha:g} find an effect in "
    text += f"{say_share(last['naive'])} of tests that have none."
    action = (
        f"Look by O'Brien and Fleming's bounds: they cost {say_share(cost - 1)} more units and hold the level."
    )
    about: dict[str, Any] = {
        "section": "May we look before the end?",
        "value": float(last["naive"]),
        "unit": "share",
    }
    return Finding(text=text, action=action, strength="known answer recovered", worth=3, **about)


def _bandits(earned: BanditStudy, none: BanditStudy) -> Finding:
    saved, worst = _saved(earned), none.worst()
    naive = worst[(worst["policy"] != "fixed_split") & (worst["estimator"] == "naive")]
    missed = say_share(1 - naive["coverage"].min())
    text = f"Thompson sampling loses {say_share(saved)} less to the worse arm than a fixed split, but naive "
    text += f"intervals after it miss the effect in {missed}."
    action = "Use a bandit to earn and a fixed split to learn; after a bandit, weigh units by their probability."
    about: dict[str, Any] = {"section": "Fixed split or bandit?", "value": saved, "unit": "share"}
    return Finding(text=text, action=action, strength="known answer recovered", worth=3, **about)

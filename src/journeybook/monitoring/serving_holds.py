"""Groups along the pipeline, made again by another road."""

from collections.abc import Mapping
from itertools import combinations

import ibis
import numpy as np
import pandas as pd
from scipy.stats import norm, studentized_range

from journeybook.monitoring.fairness import POOLED
from journeybook.monitoring.serving import MISSING, NOT_KNOWN, REACH, RESPONSES, Serving
from journeybook.sends import NO_CONTACT

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def serving_holds(found: Serving, tables: Mapping[str, ibis.Table | None]) -> pd.DataFrame:
    """Return how far means, errors and the largest differences of groups are off; one row a check, or none."""
    if found.served is None:
        return pd.DataFrame(columns=_COLUMNS)
    table = found.served.groups.set_index(["step", "group"])
    told, apart = (table["high"] - table["low"]) / 2 / norm.ppf(0.975), found.served.spread.set_index("step")
    means = [table["mean"].get(at, mean) - mean for at, mean in _counted(found, tables).items()]
    wrong = [told[at] / error - 1 for at, error in _errors(found, table.index) if error > 0]
    pairs = [(s, a, b) for s, own in table.groupby("step") for a, b in combinations(own.index.droplevel(0), 2)]
    held = [
        (apart["high"][s] - abs(table["mean"][s, a] - table["mean"][s, b])) / error
        for s, a, b in pairs
        if (error := np.hypot(told[s, a], told[s, b])) > 1e-9
    ]
    checks = [
        ("mean of a group at a step, furthest off", np.abs(means).max(initial=0), 0, 1e-9, "by the engine"),
        ("its error, furthest off as a share", np.abs(wrong).max(initial=0), 0, 1e-6, "by person (Cochran 1977)"),
    ]
    if held:
        most = max(2, table[told > 1e-9].groupby("step").size().max())
        low, high = studentized_range.ppf(0.95, most, np.inf) / np.sqrt(2), norm.isf(0.025 / len(held))
        # The quantile is drawn, to about 1 %.
        far = (high - low) / 2 + 0.02 * high
        checks.append(
            ("errors that hold all differences", min(held), (low + high) / 2, far, "Tukey to Bonferroni")
        )
    return pd.DataFrame(checks, columns=_COLUMNS)


def _counted(found: Serving, tables: Mapping[str, ibis.Table | None]) -> dict[tuple[str, str], float]:
    """Means of three steps by the profiles' own column, by step and group."""
    profiles, sent, features = (tables[name] for name in ("profiles", "contacts", "features"))
    assert profiles is not None
    name = profiles[found.by].cast("string") + ("s" if found.by == "birth_decade" else "")
    people = profiles.select("person_id", group=name.fill_null(NOT_KNOWN))
    made: dict[str, ibis.Table] = {}
    if sent is not None and REACH in found.steps:
        told = sent.filter(sent.channel.fill_null("") != NO_CONTACT) if "channel" in sent.columns else sent
        rows = people.left_join(told.select("person_id", "responded", sent="row"), "person_id").group_by("group")
        n, k, m = ibis._.person_id.nunique(), ibis._.sent.count(), ibis._.responded.mean()
        made |= {REACH: rows.aggregate(value=k / n), RESPONSES: rows.aggregate(value=m)}
    if features is not None and MISSING in found.steps:
        newest = features.filter(features.as_of == features.as_of.max()).drop("row", "as_of")
        empty = [newest[column].isnull().cast("float64") for column in newest.columns if column != "person_id"]
        rows = newest.select("person_id", share=sum(empty) / len(empty)).inner_join(people, "person_id")
        made[MISSING] = rows.group_by("group").aggregate(value=ibis._.share.mean())
    each = {step: rows.to_pandas().set_index("group")["value"].dropna() for step, rows in made.items()}
    return {(step, name): value for step, rows in each.items() for name, value in rows.items()}


def _errors(found: Serving, shown: pd.Index) -> list[tuple[tuple[str, str], float]]:
    """Standard error of each mean but those of groups taken together; people of all groups are its clusters."""
    errors, n = [], len(found.group)
    for step, name in [at for at in shown if at[1] != POOLED]:
        rows = found.steps[step]
        own = rows[(rows["person_id"].map(found.group) == name).to_numpy()]
        value = own["value"].astype(float)
        sums = (value - value.mean()).groupby(own["person_id"]).sum()
        errors.append(((step, name), np.sqrt((sums**2).sum() * n / (n - 1)) / len(own)))
    return errors

"""Whether an experiment can be trusted at all: looked at before any effect is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from journeybook.experiments.measures import Measures, numbers, variant_labels

ALARM = 0.001
HEALTH_COLUMNS = ("check", "value", "p_value", "passed", "meaning")
FEW_OUTCOMES = 10
# One record linked to the wrong person is no broken assignment; one unit in a thousand is.
MAX_SHARED_SHARE = 0.001


@dataclass(frozen=True)
class SampleRatio:
    """The counts of the arms against the planned shares.

    Attributes:
        chi_square: Pearson's statistic.
        p_value: Probability of counts as far from the plan, if units were assigned by it.
        largest_gap_share: Largest absolute difference between a share found and a share planned.
    """

    chi_square: float
    p_value: float
    largest_gap_share: float


def sample_ratio(counts: Mapping[str, int], *, shares: Mapping[str, float] | None) -> SampleRatio:
    """Pearson's chi-square test of the arm counts against planned shares.

    Args:
        counts: Units by variant.
        shares: Planned share of each variant, any positive scale; None plans equal shares.

    Raises:
        ValueError: The shares do not name the variants found, or one is not above 0.

    >>> f"{sample_ratio({'control': 821588, 'treatment': 815482}, shares=None).p_value:.4e}"
    '1.8218e-06'
    """
    if shares is not None and set(map(str, shares)) != set(counts):
        raise ValueError(
            f"shares: found {', '.join(sorted(map(str, shares)))}; "
            f"a share is needed for each of the variants {', '.join(sorted(counts))}."
        )
    planned = np.array([1.0 if shares is None else float(shares[name]) for name in counts])
    if not (np.isfinite(planned) & (planned > 0)).all():
        raise ValueError("shares: every planned share must be a number above 0.")
    planned = planned / planned.sum()
    found = np.array(list(counts.values()), dtype=float)
    test = stats.chisquare(found, planned * found.sum())
    gap = float(np.abs(found / found.sum() - planned).max())
    return SampleRatio(float(test.statistic), float(test.pvalue), gap)


def health(units: pd.DataFrame, *, measured: Measures, shares: Mapping[str, float] | None) -> pd.DataFrame:
    """Check the experiment before its effects are read.

    A test alarms at p below 0.001, not 0.05: it is run on every experiment, and an alarm stops the reading.

    Args:
        units: One row a unit.
        measured: Metrics and covariates of `measures`.
        shares: Planned share of each variant; None plans equal shares.

    Returns:
        One row a check, columns `HEALTH_COLUMNS`; `p_value` is missing where the check is a count.
    """
    variant = variant_labels(units)
    names, arm = np.unique(variant, return_inverse=True)
    counts = {name: int(n) for name, n in zip(names, np.bincount(arm), strict=True)}
    ratio = sample_ratio(counts, shares=shares)
    plan = "equal shares" if shares is None else "the planned shares"
    rows = [
        (
            "sample_ratio",
            ratio.largest_gap_share,
            ratio.p_value,
            f"largest distance of an arm's share from {plan}; an alarm means that assignment or logging is broken",
        )
    ]
    meanings = {
        "unit": "units seen in more than one variant",
        "person": f"people seen in more than one variant; allowed are {MAX_SHARED_SHARE:.1%} of the units",
    }
    for column, word in (("unit_id", "unit"), ("person_id", "person")):
        if column in units.columns and units[column].notna().any():
            known = pd.DataFrame({"id": units[column], "arm": arm}).dropna()
            twice = int((known["id"].value_counts() > 1).sum())
            across = int((known.groupby("id")["arm"].nunique() > 1).sum())
            if word == "unit":
                rows.append(("unit_twice", twice, np.nan, "units with more than one row"))
            rows.append((f"{word}_in_two_arms", across, np.nan, meanings[word]))
    for column in measured.kinds:
        values = numbers(units, column)
        rows.append(_missing(f"missing_outcome: {column}", np.isnan(values), arm))
        if measured.kinds[column] == "proportion":
            fewest = min(
                int(n) for value in (0, 1) for n in np.bincount(arm[values == value], minlength=len(names))
            )
            rows.append(
                (
                    f"rare_outcome: {column}",
                    fewest,
                    np.nan,
                    f"fewest units of an arm with either outcome; below {FEW_OUTCOMES} trust the exact test alone",
                )
            )
    for column in measured.covariates:
        values = numbers(units, column)
        known = ~np.isnan(values)
        groups = [values[known & (arm == number)] for number in range(len(names))]
        rows.append(_missing(f"missing_covariate: {column}", ~known, arm))
        if min(map(len, groups)) >= 2:
            means = np.array([group.mean() for group in groups])
            gap = float((means.max() - means.min()) / values[known].std(ddof=1))
            test = stats.f_oneway(*groups)
            rows.append((f"balance: {column}", gap, float(test.pvalue), "largest gap of arm means before, in sd"))
    table = pd.DataFrame(rows, columns=["check", "value", "p_value", "meaning"])
    count = table["p_value"].isna()
    rare, people = table["check"].str.startswith("rare_outcome"), table["check"] == "person_in_two_arms"
    allowed = np.where(people, MAX_SHARED_SHARE * len(units), 0)
    table["passed"] = np.where(rare, table["value"] >= FEW_OUTCOMES, table["value"] <= allowed)
    table["passed"] = np.where(count, table["passed"], table["p_value"] >= ALARM)
    table["passed"] = table["passed"].astype(bool)
    table["value"] = table["value"].astype(float)
    return table[list(HEALTH_COLUMNS)]


def _missing(check: str, missing: np.ndarray, arm: np.ndarray) -> tuple[str, float, float, str]:
    """Share of units without a value, tested between arms."""
    meaning = "share of units without a value, tested between arms"
    share = float(missing.mean())
    if not missing.any() or missing.all():
        return check, share, 1.0, meaning
    table = np.array([np.bincount(arm[missing == state], minlength=arm.max() + 1) for state in (True, False)])
    return check, share, float(stats.chi2_contingency(table, correction=False).pvalue), meaning

"""Who would be chosen, group by group: selection, true positives, calibration, and the price of equality."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import chi2, norm

from journeybook.statistics.intervals import proportion_interval

FEWEST_RESPONSES = 10
"""Responses that a group must have to be shown."""

RULES = ("one threshold", "equal selection", "equal true positives")
"""Ways to choose the same number of contacts; see `fairness`."""

_Z = norm.ppf(0.975)


@dataclass(frozen=True, eq=False)
class Fairness:
    """Groups beside each other, under the same number of contacts chosen.

    Attributes:
        groups: One row a rule and group: counts, `response_rate`, `mean_probability`; `selection_rate` (share
            chosen), `true_positive_rate` (share of those who responded that is chosen) and `calibration_gap`
            (response rate less mean probability), each with its 95 % interval, clustered on people.
        spread: One row a rule and measure: the `largest` and `smallest` group, their `difference` (95 % for every
            two groups at once, Scheffé 1953), `p_value` of all groups having one value (Wald).
        costs: One row a rule: `n_selected`, `response_rate` and `found_share` of the chosen,
            `responses_lost_share` of those that one threshold finds, `expected_lost_share` the same by the
            probabilities.
        n_rows: Contacts in groups that are shown.
        n_small: Contacts in groups that are too small to be shown, `n_small_groups` of them.
        selected_share: Share of the contacts that is chosen.
    """

    groups: pd.DataFrame
    spread: pd.DataFrame
    costs: pd.DataFrame
    n_rows: int
    n_small: int
    n_small_groups: int
    selected_share: float


def fairness(
    probability: np.ndarray,
    responded: np.ndarray,
    group: np.ndarray,
    person: np.ndarray,
    *,
    selected_share: float,
    min_group_size: int,
) -> Fairness:
    """Choose the same number of contacts in three ways and compare groups under each; empty below two groups.

    One threshold chooses the likeliest of all, equal selection the likeliest of each group in the same share.
    Equal true positives chooses in each group down to the same share of its expected responses (equal opportunity,
    Hardt, Price & Srebro 2016). Intervals are linearised (Cochran 1977, sec. 6.3) and hold model and choice fixed.

    Args:
        probability: Calibrated probability of each contact, shape (n,).
        responded: 0 or 1, shape (n,).
        group: Name of the group of each contact, shape (n,).
        person: Person of each contact, shape (n,).
        selected_share: Share of the contacts that is chosen, above 0, below 1.
        min_group_size: People a group must have to be shown; a group must also have 10 responses.

    Raises:
        ValueError: A number is out of range, or the arrays differ in length.
    """
    if not 0 < selected_share < 1 or min_group_size < 1:
        raise ValueError(
            f"selected_share must lie between 0 and 1 and min_group_size be at least 1, got {selected_share} and "
            f"{min_group_size}."
        )
    if len({len(probability), len(responded), len(group), len(person)}) > 1:
        raise ValueError(
            f"probability, responded, group and person must be of one length, got {len(probability)}, "
            f"{len(responded)}, {len(group)} and {len(person)}."
        )
    frame = pd.DataFrame({"p": probability, "y": responded, "group": group, "person": person})
    size = frame.groupby("group").agg(people=("person", "nunique"), responses=("y", "sum"))
    shown = size.index[(size["people"] >= min_group_size) & (size["responses"] >= FEWEST_RESPONSES)]
    kept = frame[frame["group"].isin(shown)].reset_index(drop=True)
    groups: list[pd.DataFrame] = []
    spread: list[pd.DataFrame] = []
    costs = []
    if len(shown) > 1:
        code, people = pd.factorize(kept["group"], sort=True)[0], pd.factorize(kept["person"])[0]
        chosen = {rule: _choose(kept, code, rule, selected_share) for rule in RULES}
        for rule in RULES:
            found = _by_group(kept, code, people, chosen[rule], sorted(shown))
            for parts, table in zip((groups, spread), found, strict=True):
                table.insert(0, "rule", rule)
                parts.append(table)
            costs.append({"rule": rule, **_cost(kept, people, chosen[rule], chosen[RULES[0]])})
    return Fairness(
        groups=pd.concat(groups, ignore_index=True) if groups else pd.DataFrame(),
        spread=pd.concat(spread, ignore_index=True) if spread else pd.DataFrame(),
        costs=pd.DataFrame(costs),
        n_rows=len(kept),
        n_small=len(frame) - len(kept),
        n_small_groups=len(size) - len(shown),
        selected_share=selected_share,
    )


def _choose(kept: pd.DataFrame, code: np.ndarray, rule: str, share: float) -> np.ndarray:
    """Which contacts a rule chooses: those first in its line, ties in the order of the rows, shape (n,)."""
    p = kept["p"].to_numpy()
    place = -p
    if rule != "one threshold":
        weight = np.ones(len(p)) if rule == "equal selection" else p
        place = np.empty(len(p))
        for at in np.unique(code):
            inside = np.flatnonzero(code == at)
            line = inside[np.argsort(-p[inside], kind="stable")]
            # Half of its own weight, so that the first of a small group does not come after those of a large one.
            place[line] = (np.cumsum(weight[line]) - weight[line] / 2) / weight[line].sum()
    chosen = np.zeros(len(p), dtype=bool)
    chosen[np.argsort(place, kind="stable")[: round(share * len(p))]] = True
    return chosen


def _by_group(
    kept: pd.DataFrame, code: np.ndarray, people: np.ndarray, chosen: np.ndarray, names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The measures of each group, and how far apart groups are."""
    p, y = kept["p"].to_numpy(dtype=float), kept["y"].to_numpy(dtype=float)
    one, n = np.ones(len(y)), np.bincount(code)
    parts = {
        "selection_rate": (chosen.astype(float), one),
        "true_positive_rate": (chosen * y, y),
        "calibration_gap": (y - p, one),
    }
    n_people = kept.groupby(code)["person"].nunique().to_numpy()
    table = {
        "group": names,
        "n_rows": n,
        "n_people": n_people,
        "n_responses": np.bincount(code, weights=y).astype(int),
        "response_rate": np.bincount(code, weights=y) / n,
        "mean_probability": np.bincount(code, weights=p) / n,
    }
    spread = []
    for name, (part, whole) in parts.items():
        rate, covariance = _ratios(part, whole, code, people)
        error = np.sqrt(np.diag(covariance))
        low, high = rate - _Z * error, rate + _Z * error
        if name != "calibration_gap":
            low, high = _within_0_and_1(rate, error, n_people)
        table |= {name: rate, f"{name}_low": low, f"{name}_high": high}
        spread.append({"measure": name, **_apart(rate, covariance, names)})
    return pd.DataFrame(table), pd.DataFrame(spread)


def _ratios(
    part: np.ndarray, whole: np.ndarray, code: np.ndarray, people: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of `part` over sum of `whole` in each group, and the covariance of these, clustered on people."""
    n_groups, n_people = code.max() + 1, people.max() + 1
    total = np.bincount(code, weights=whole)
    rate = np.bincount(code, weights=part) / total
    off = (part - rate[code] * whole) / total[code]
    sums = np.bincount(people * n_groups + code, weights=off, minlength=n_people * n_groups)
    sums = sums.reshape(n_people, n_groups)
    return rate, sums.T @ sums * n_people / max(n_people - 1, 1)


def _within_0_and_1(rate: np.ndarray, error: np.ndarray, n_people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intervals even in log odds; where nobody or everybody is chosen, Wilson's of as many people."""
    edge = proportion_interval(np.round(rate) * n_people, n_people)
    inside = (rate > 0) & (rate < 1)
    safe = np.where(inside, rate, 0.5)
    half = _Z * error / (safe * (1 - safe))
    low, high = expit(logit(safe) - half), expit(logit(safe) + half)
    return np.where(inside, low, edge.low), np.where(inside, high, edge.high)


def _apart(rate: np.ndarray, covariance: np.ndarray, names: list[str]) -> dict[str, object]:
    """The two groups furthest apart, and whether all have one value."""
    top, bottom = int(rate.argmax()), int(rate.argmin())
    variance = covariance[top, top] + covariance[bottom, bottom] - 2 * covariance[top, bottom]
    half = float(np.sqrt(chi2.ppf(0.95, len(rate) - 1) * max(variance, 0.0)))
    step = rate[1:] - rate[0]
    contrast = np.column_stack([-np.ones(len(step)), np.eye(len(step))])
    wald = step @ np.linalg.pinv(contrast @ covariance @ contrast.T) @ step
    difference = float(rate[top] - rate[bottom])
    return {
        "largest": names[top],
        "smallest": names[bottom],
        "difference": difference,
        "difference_low": difference - half,
        "difference_high": difference + half,
        "p_value": float(chi2.sf(wald, len(step))),
    }


def _cost(kept: pd.DataFrame, people: np.ndarray, chosen: np.ndarray, likeliest: np.ndarray) -> dict[str, float]:
    """What a rule finds, and what it loses of the responses that one threshold finds."""
    y, p = kept["y"].to_numpy(dtype=float), kept["p"].to_numpy(dtype=float)
    lost, variance = _ratios(y * likeliest - y * chosen, y * likeliest, np.zeros(len(y), dtype=int), people)
    half = _Z * float(np.sqrt(variance[0, 0]))
    return {
        "n_selected": int(chosen.sum()),
        "response_rate": float(y[chosen].mean()),
        "found_share": float(y[chosen].sum() / y.sum()),
        "responses_lost_share": float(lost[0]),
        "responses_lost_share_low": float(lost[0]) - half,
        "responses_lost_share_high": float(lost[0]) + half,
        "expected_lost_share": float(1 - p[chosen].sum() / p[likeliest].sum()),
    }

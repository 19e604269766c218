"""Rules of stopping beside one look at a planned end: how often each errs, and what it costs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from journeybook.statistics.sequential import always_valid, boundaries, crossing

RULES = ("naive", "always_valid", "pocock", "obrien_fleming")


@dataclass(frozen=True, eq=False)
class Rules:
    """Rules of stopping at equally spaced looks.

    Attributes:
        errors: One row a rule and number of looks taken: rule, looks, false_positive_share.
        costs: One row a rule that holds its level, in units that one look with the same power needs: rule,
            size_ratio (planned), expected_ratio and none_ratio (used on average with and without the effect).
        bounds: Bound of |z| at each look (rows) by rule (columns).
        alpha: Level of each rule.
    """

    errors: pd.DataFrame
    costs: pd.DataFrame
    bounds: pd.DataFrame
    alpha: float


def compare_rules(*, n_looks: int, alpha: float, power: float) -> Rules:
    """Compare rules of stopping by numerical integration over equally spaced looks (Armitage et al. 1969).

    The naive rule stops at the first p below alpha. The group sequential rules promise alpha over the planned
    looks, the always-valid one over looks without end. Costs are of finding the effect with probability `power`.

    Raises:
        ValueError: There are fewer than two looks.
    """
    if n_looks < 2:
        raise ValueError(f"n_looks: found {n_looks}, needed 2 or more.")
    looks = np.arange(1, n_looks + 1)
    at = looks / n_looks
    bounds = {
        "naive": np.full(n_looks, stats.norm.isf(alpha / 2)),
        "always_valid": always_valid(0.0, 1.0, n=looks, alpha=alpha, planned_n=n_looks).high,
        **{name: boundaries(at, alpha=alpha, rule=name) for name in RULES[2:]},
    }
    errors, costs = [], []
    # The drift at which one look has the power; the chance beyond the other bound is nothing.
    one = stats.norm.isf(alpha / 2) + stats.norm.ppf(power)
    for rule, bound in bounds.items():
        never = crossing(bound, at)
        errors.append(pd.DataFrame({"rule": rule, "looks": looks, "false_positive_share": never.cumsum()}))
        if rule != "naive":
            drift = optimize.brentq(
                lambda d, b=bound: crossing(b, at, drift=d).sum() - power, 0, 4 * one, xtol=1e-5
            )
            ratio, there = (drift / one) ** 2, crossing(bound, at, drift=drift)
            used = [float(ratio * (p @ at + 1 - p.sum())) for p in (there, never)]
            costs.append({"rule": rule, "size_ratio": ratio, "expected_ratio": used[0], "none_ratio": used[1]})
    return Rules(pd.concat(errors, ignore_index=True), pd.DataFrame(costs), pd.DataFrame(bounds), alpha)

"""Other methods beside the headline: the same question asked in other ways, never a choice after the fact."""

import numpy as np
import pandas as pd

from journeybook.experiments.comparisons import Experiment, method_row
from journeybook.experiments.measures import Measures, Metric, known_values
from journeybook.experiments.variants import arms_of, is_summed
from journeybook.statistics.contrasts import Effect
from journeybook.statistics.resampling import poisson_bootstrap
from journeybook.statistics.two_samples import (
    chi_square,
    clustered,
    fisher_exact,
    mann_whitney,
    newcombe,
    stratified,
    two_proportion_z,
    winsorised,
)

ALL_ARMS = "all arms"
BOOTSTRAP_DRAWS = 1000


def alternatives(
    units: pd.DataFrame,
    found: Experiment,
    *,
    measured: Measures,
    alpha: float,
    tail_share: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Ask of each metric and variant what its headline asks, by the other methods that fit its kind.

    | method | kinds | what it is |
    |---|---|---|
    | two_proportion_z | proportion | pooled variance under no effect; the interval is Wald's |
    | newcombe | proportion, of arms that came summed up | an interval that holds also of few successes |
    | fisher_exact | proportion | exact given the margins; of size below alpha |
    | chi_square | proportion, three arms or more | are all arms equal; one row a metric |
    | mann_whitney | mean, quantile | is a unit of one arm likelier to have the larger value |
    | winsorised | mean | Welch's t after the tails of all arms together are cut, `tail_share` at each end |
    | poisson_bootstrap | proportion, mean, ratio | no formula for the standard error |
    | stratified | proportion, mean; where `stratum` is there | effects within strata, by the strata's shares |
    | clustered | proportion, mean, ratio; where a person has several units | people, not units, are independent |

    Returns:
        One row a metric, variant and method, as `method_row` makes it: the headline's tests, then the others.
    """
    if not 0 <= tail_share < 0.5:
        raise ValueError(f"tail_share: found {tail_share:g}, needed a number from 0 to below 0.5.")
    arms = arms_of(units, control=found.control)
    if is_summed(units):
        return pd.concat([found.methods, _of_counts(found, alpha=alpha)], ignore_index=True)
    groups = {name: _codes(units, name) for name in ("stratum", "person_id")}
    rows = []
    for metric in measured.metrics:
        values, known = known_values(units, metric)
        values, where = values[known], arms.number[known]
        if metric.kind == "proportion" and len(arms.names) > 2:
            rows.append(method_row(chi_square(values[:, 0], where), metric=metric.name, variant=ALL_ARMS))
        for number, name in enumerate(arms.names[1:], start=1):
            pair = np.isin(where, (0, number))
            treated = (where[pair] > 0).astype(np.int64)
            sides = [values[where == side] for side in (0, number)]
            others = _two_arms(metric, *sides, alpha=alpha)
            if metric.kind == "mean":
                limits = np.quantile(values[:, 0], [tail_share, 1 - tail_share])
                # A metric that nearly all units have alike is nothing but its limits.
                if limits[0] < limits[1]:
                    others.append(winsorised(values[pair, 0], treated, limits=limits, alpha=alpha))
            stratum, people = (None if codes is None else codes[known][pair] for codes in groups.values())
            if metric.kind in ("proportion", "mean", "ratio"):
                others.append(poisson_bootstrap(*sides, alpha=alpha, n_draws=BOOTSTRAP_DRAWS, rng=rng))
                if people is not None and len(np.unique(people)) < len(treated):
                    others.append(clustered(values[pair], treated, people, alpha=alpha))
            if metric.kind in ("proportion", "mean") and stratum is not None:
                others.append(stratified(values[pair, 0], treated, stratum, alpha=alpha))
            rows += [method_row(effect, metric=metric.name, variant=name) for effect in others]
    methods = pd.concat([found.methods, pd.DataFrame(rows, columns=found.methods.columns)], ignore_index=True)
    return methods.drop_duplicates(["metric", "variant", "method"], ignore_index=True)


def _of_counts(found: Experiment, *, alpha: float) -> pd.DataFrame:
    """Newcombe's interval of each share of arms that came summed up, over all strata together."""
    rows = []
    for row in found.comparisons[found.comparisons["kind"] == "proportion"].itertuples():
        arms = found.moments[row.metric].pick([0], arms=[0, found.names.index(row.variant)])
        n, k = arms.n, np.rint(arms.n * arms.mean[:, 0])
        rows.append(method_row(newcombe(n, k, alpha=alpha), metric=row.metric, variant=row.variant))
    return pd.DataFrame(rows, columns=found.methods.columns)


def _two_arms(metric: Metric, control: np.ndarray, treatment: np.ndarray, *, alpha: float) -> list[Effect]:
    """The tests of a kind that need the two arms' values alone, shape (units, columns of the metric)."""
    match metric.kind:
        case "proportion":
            pair = control[:, 0], treatment[:, 0]
            return [two_proportion_z(*pair, alpha=alpha), fisher_exact(*pair)]
        case "mean" | "quantile":
            return [mann_whitney(control[:, 0], treatment[:, 0], alpha=alpha)]
    return []


def _codes(units: pd.DataFrame, column: str) -> np.ndarray | None:
    """A column's values as numbers, each missing one a number of its own; None where the column says nothing."""
    if column not in units.columns or units[column].isna().all():
        return None
    codes = pd.factorize(units[column])[0]
    missing = codes < 0
    if column != "stratum":
        codes[missing] = codes.max() + 1 + np.arange(missing.sum())
    return codes

"""The methods beside the headline against SciPy and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from journeybook.experiments.alternatives import alternatives
from journeybook.experiments.comparisons import compare
from journeybook.experiments.measures import measures
from journeybook.statistics import stream
from journeybook.statistics.two_samples import clustered, mann_whitney, stratified

METRICS = {
    "bought": "proportion",
    "spend": "mean",
    "per_order": {"kind": "ratio", "numerator": "spend", "denominator": "orders"},
    "middle": {"kind": "quantile", "column": "spend", "level": 0.5},
    "wait": {"kind": "time_to_event", "column": "days", "event": "seen", "horizon": 10.0},
}


def drawn(n: int = 1_200, *, variants: tuple[str, ...] = ("control", "new"), effect: float = 0.0) -> pd.DataFrame:
    rng = stream(1, "units")
    arm = rng.integers(len(variants), size=n)
    orders = 1.0 + rng.poisson(2, n)
    time, end = rng.exponential(8, n), rng.uniform(5, 20, n)
    return pd.DataFrame(
        {
            "variant": np.array(variants)[arm],
            "stratum": rng.choice(["a", "b", None], n, p=[0.5, 0.3, 0.2]),
            "person_id": [None if k % 5 == 0 else f"p{k % 500}" for k in range(n)],
            "bought": (rng.random(n) < 0.3 + effect * (arm > 0)).astype(int),
            "orders": orders,
            "spend": orders * rng.gamma(2, 5, n) + 20 * effect * (arm > 0),
            "days": np.minimum(time, end),
            "seen": (time <= end).astype(int),
        }
    )


def asked(units: pd.DataFrame, *, tail_share: float = 0.05) -> pd.DataFrame:
    """The methods beside the headline's."""
    measured, rng = measures(units, metrics=METRICS, covariates=[]), stream(2, "draws")
    found = compare(units, measured=measured, control="control", alpha=0.05, rng=rng)
    rows = alternatives(units, found, measured=measured, alpha=0.05, tail_share=tail_share, rng=rng)
    return rows.iloc[len(found.methods) :]


def sides(units: pd.DataFrame, column: str) -> list[np.ndarray]:
    return [units.loc[units["variant"] == name, column].to_numpy(dtype=float) for name in ("control", "new")]


def test_each_kind_is_asked_by_the_methods_that_fit_it():
    found = asked(drawn(variants=("control", "a", "b")))
    by_metric = {metric: set(part["method"]) for metric, part in found.groupby("metric")}
    assert by_metric == {
        "bought": {
            "chi_square",
            "two_proportion_z",
            "fisher_exact",
            "poisson_bootstrap",
            "clustered",
            "stratified",
        },
        "spend": {"mann_whitney", "winsorised", "poisson_bootstrap", "clustered", "stratified"},
        "per_order": {"poisson_bootstrap", "clustered"},
        "middle": {"mann_whitney"},
    }
    assert found.groupby(["metric", "variant", "method"]).size().max() == 1
    plain = asked(drawn().drop(columns=["stratum", "person_id"]))
    assert not set(plain["method"]) & {"clustered", "stratified", "chi_square"}


def test_tests_of_proportions_are_scipys_and_statsmodels():
    units = drawn(variants=("control", "new", "other"))
    found = asked(units).query("metric == 'bought'").set_index(["variant", "method"])["p_value"]
    table = pd.crosstab(units["variant"], units["bought"])
    pair = table.loc[["control", "new"]]
    assert found["new", "two_proportion_z"] == pytest.approx(
        proportions_ztest(pair[1], pair.sum(axis=1))[1], rel=1e-9
    )
    assert found["new", "fisher_exact"] == pytest.approx(stats.fisher_exact(pair).pvalue, rel=1e-9)
    chi = stats.chi2_contingency(table, correction=False)
    assert found["all arms", "chi_square"] == pytest.approx(chi.pvalue, rel=1e-9)


def test_mann_whitney_is_scipys_and_its_interval_brunner_and_munzels():
    a, b = sides(drawn(effect=0.1), "orders")
    found = mann_whitney(a, b, alpha=0.05)
    assert found.p_value == pytest.approx(stats.mannwhitneyu(b, a, method="asymptotic").pvalue, rel=1e-9)
    larger = (b[:, None] > a).mean() + (b[:, None] == a).mean() / 2
    assert found.effect == pytest.approx(larger - 0.5, abs=1e-12)
    other = stats.brunnermunzel(a, b)
    assert found.effect / found.standard_error == pytest.approx(other.statistic, rel=1e-9)
    assert 2 * stats.t.sf(abs(other.statistic), found.df) == pytest.approx(other.pvalue, rel=1e-9)


def test_clustered_is_statsmodels_even_where_a_cluster_is_in_both_arms():
    units = drawn()
    values, treated = units[["spend"]].to_numpy(), (units["variant"] == "new").to_numpy().astype(int)
    clusters = units["person_id"].fillna(units.index.to_series().astype(str)).to_numpy()
    assert pd.Series(treated).groupby(clusters).nunique().max() == 2
    found = clustered(values, treated, clusters, alpha=0.05)
    fit = sm.OLS(values[:, 0], sm.add_constant(treated)).fit(
        cov_type="cluster", cov_kwds={"groups": pd.factorize(clusters)[0]}, use_t=True
    )
    assert found.effect == pytest.approx(fit.params[1], rel=1e-9)
    assert found.p_value == pytest.approx(fit.pvalues[1], rel=1e-9)
    assert [found.low, found.high] == pytest.approx(fit.conf_int()[1].tolist(), rel=1e-9)
    # The table's missing people are clusters of their own.
    row = asked(units).query("metric == 'spend' and method == 'clustered'").iloc[0]
    assert row["p_value"] == pytest.approx(found.p_value, rel=1e-12)


def test_winsorised_is_welchs_test_of_values_cut_at_the_quantiles_of_all_arms():
    units = drawn()
    low, high = units["spend"].quantile([0.05, 0.95])
    a, b = (x.clip(low, high) for x in sides(units, "spend"))
    row = asked(units).query("method == 'winsorised'").iloc[0]
    assert row["p_value"] == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue, rel=1e-9)


def test_stratified_is_the_weighted_sum_of_welchs_effects():
    units = drawn(effect=0.2)
    row = asked(units).query("metric == 'spend' and method == 'stratified'").iloc[0]
    parts = []
    for _, part in units.fillna({"stratum": "none"}).groupby("stratum"):
        a, b = sides(part, "spend")
        test = stats.ttest_ind(b, a, equal_var=False)
        gap = b.mean() - a.mean()
        parts.append((len(part) / len(units), gap, abs(gap / test.statistic), test.df))
    share, effect, se, df = np.array(parts).T
    assert row["effect"] == pytest.approx(share @ effect, rel=1e-12)
    between = share @ (effect - share @ effect) ** 2 / len(units)
    assert row["standard_error"] == pytest.approx(np.sqrt(share**2 @ se**2 + between), rel=1e-9)
    assert row["df"] == pytest.approx((share**2 @ se**2) ** 2 / (share**4 * se**4 / df).sum(), rel=1e-9)


def test_strata_too_thin_to_compare_are_counted_with_the_largest():
    values, treated = stream(3, "values").normal(size=40), np.arange(40) % 2
    whole = stratified(values, treated, np.zeros(40), alpha=0.05)
    thin = stratified(values, treated, np.where(np.arange(40) < 3, np.arange(40) + 1, 0), alpha=0.05)
    assert (thin.effect, thin.p_value) == (whole.effect, whole.p_value)
    welch = stats.ttest_ind(values[treated == 1], values[treated == 0], equal_var=False)
    assert whole.p_value == pytest.approx(welch.pvalue, rel=1e-9)


def test_a_tail_share_out_of_range_is_an_error():
    with pytest.raises(ValueError, match=r"tail_share: found 0\.5"):
        asked(drawn(), tail_share=0.5)

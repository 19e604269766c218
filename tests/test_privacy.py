"""Privacy: what is released, what mechanisms promise, what attackers can tell."""

import warnings
from dataclasses import replace
from functools import partial

import ibis
import numpy as np
import pandas as pd
import pytest
from diffprivlib import tools
from diffprivlib.mechanisms import Geometric, Laplace
from scipy import integrate, stats

from journeybook import privacy
from journeybook.privacy.findings import title_attack
from journeybook.privacy.releases import Grouping, clamped_sums, geometric_reach
from journeybook.statistics import stream

BANDS = {"band_edges": [100.0, 1000.0], "max_revenue": 5000.0}


def spending(n: int = 500) -> pd.Series:
    """Revenue of made-up people."""
    return pd.Series(stream(1, "revenue").lognormal(6, 1.2, n)).round(2)


def spend_bands(revenue: pd.Series, *, band_edges: list[float], max_revenue: float) -> Grouping:
    """People by bands of revenue."""
    people, declared = pd.DataFrame({"revenue": revenue}), {"band_edges": band_edges, "max_revenue": max_revenue}
    return privacy.group_people(people, segment_names=[], **declared)


def release(revenue: pd.Series, *, epsilon: float = 1.0, count_share: float = 0.5, name: str = "noise"):
    groups = spend_bands(revenue, **BANDS)
    return privacy.release_figures(revenue, groups, epsilon=epsilon, count_share=count_share, rng=stream(1, name))


# --- groups and bounds ------------------------------------------------------------------------------------


def test_bands_are_declared_and_hold_everybody():
    revenue = pd.Series([-20.0, 0.0, 99.99, 100.0, 999.99, 1000.0, 5000.0, 9e9])
    groups = spend_bands(revenue, **BANDS)
    assert groups.names == ("under 100", "100 to 1,000", "1,000 and more")
    assert groups.codes.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert groups.max_revenue.tolist() == [100, 1000, 5000]
    assert clamped_sums(revenue, groups).tolist() == [99.99, 1099.99, 11000.0]
    assert spend_bands(revenue, band_edges=[], max_revenue=10.0).names == ("all",)


@pytest.mark.parametrize("edges", [[0.0, 5.0], [5.0, 5.0], [10.0, 5.0], [5000.0], [6000.0]])
def test_edges_that_do_not_ascend_are_an_error(edges):
    with pytest.raises(ValueError, match="ascent between 0 and 5000"):
        spend_bands(spending(), band_edges=edges, max_revenue=5000.0)


def test_a_group_that_was_not_declared_is_an_error():
    people = pd.DataFrame({"segment": ["a", "b", None]})
    with pytest.raises(ValueError, match="group 'b' was not declared"):
        privacy.group_people(people, segment_names=["a"], band_edges=[], max_revenue=1.0)
    groups = privacy.group_people(people, segment_names=["empty", "b", "a"], band_edges=[], max_revenue=7.0)
    assert groups.names == ("empty", "b", "a", "none") and groups.codes.tolist() == [2, 1, 3]
    assert groups.max_revenue.tolist() == [7, 7, 7, 7]


@pytest.mark.parametrize("seed", range(20))
def test_one_person_changes_one_sum_by_at_most_its_sensitivity(seed):
    rng = np.random.default_rng(seed)
    revenue = pd.Series(rng.normal(1000, 5000, 30))
    exact = clamped_sums(revenue, spend_bands(revenue, **BANDS))
    person = int(rng.integers(30))
    rest = revenue.drop(person)
    groups = spend_bands(rest, **BANDS)
    change = np.abs(exact - clamped_sums(rest, groups))
    assert (change <= groups.max_revenue + 1e-9).all()
    assert (change > 0).sum() <= 1


def test_no_more_is_used_of_people_than_is_named():
    rows = {
        "person_id": ["a", "b", "a", "b"],
        "row": [1, 2, 3, 4],
        "revenue": [1.0, 2.0, 3.0, 4.0],
        "visits": 1,
        "secret": 0,
    }
    features = ibis.memtable(
        pd.DataFrame(rows).assign(as_of=pd.to_datetime(["2026-01-01"] * 2 + ["2026-02-01"] * 2))
    )
    people = privacy.people_at_end(features, None)
    assert people.columns.tolist() == ["person_id", "revenue"] and people.revenue.tolist() == [3.0, 4.0]
    segments = features.filter(features.row != 4).mutate(segment=ibis.literal("1 frequent"))
    people = privacy.people_at_end(features, segments)
    assert people.segment.fillna("none").tolist() == ["1 frequent", "none"]


# --- releases ---------------------------------------------------------------------------------------------


def test_what_is_published_is_noised_whole_and_not_negative():
    revenue = spending()
    released = release(revenue, epsilon=0.2)
    exact = np.bincount(spend_bands(revenue, **BANDS).codes, minlength=3)
    people = released.figures[released.figures.release == "people"]
    assert (people.value == people.value.round()).all()
    assert (people.value != exact).any()
    assert (released.figures.value.dropna() >= 0).all()
    assert (people.value_low <= people.value).all()
    assert (people.value <= people.value_high).all()
    assert "person_id" not in released.figures


def test_intervals_hold_the_exact_figure_95_times_in_100():
    revenue = spending()
    groups = spend_bands(revenue, **BANDS)
    exact = np.concatenate([np.bincount(groups.codes, minlength=3), clamped_sums(revenue, groups)])
    held = []
    for draw in range(200):
        rows = release(revenue, name=f"draw {draw}").figures.query("mechanism != 'computed'")
        held.append(((rows.value_low <= exact) & (exact <= rows.value_high)).to_numpy())
    covered = np.mean(held, axis=0)
    assert (covered > 0.888).all()  # 200 draws: four standard errors below 0.95
    assert covered[3:].mean() < 0.98  # of the sums; whole numbers may be covered more often


def test_with_a_large_budget_the_figures_are_exact():
    revenue = spending()
    released = release(revenue, epsilon=1e9)
    groups = spend_bands(revenue, **BANDS)
    figures = released.figures.set_index(["release", "group"]).value
    assert figures["people"].tolist() == np.bincount(groups.codes, minlength=3).tolist()
    assert figures["revenue"].to_numpy() == pytest.approx(clamped_sums(revenue, groups), abs=0.02)


def test_the_budget_is_spent_once_for_all_groups():
    released = release(spending(), epsilon=0.7, count_share=0.3)
    assert released.epsilon == pytest.approx(0.7)
    assert released.budget.epsilon.tolist() == [pytest.approx(0.21), pytest.approx(0.49), 0]


def test_the_same_seed_gives_the_same_noise_whatever_the_order_of_people():
    revenue = spending()
    shuffled = revenue.sample(frac=1, random_state=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(release(revenue).figures, release(shuffled).figures, check_exact=True)
    assert not release(revenue).figures.equals(release(revenue, name="other").figures)


@pytest.mark.parametrize(("epsilon", "count_share"), [(0.0, 0.5), (-1.0, 0.5), (1.0, 0.0), (1.0, 1.0)])
def test_budgets_out_of_range_are_errors(epsilon, count_share):
    with pytest.raises(ValueError, match="needed"):
        release(spending(), epsilon=epsilon, count_share=count_share)


def test_publishing_for_good_comes_later():
    privacy.check_mode("teaching")
    with pytest.raises(ValueError, match="publishes for good"):
        privacy.check_mode("release")
    with pytest.raises(ValueError, match="needed is 'teaching'"):
        privacy.check_mode("secret")


# --- guarantees -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 3.0])
def test_geometric_closed_forms_by_summation(epsilon):
    k = np.arange(-2000, 2001)
    weights = np.exp(-epsilon * np.abs(k))
    weights /= weights.sum()
    assert (np.abs(k) * weights).sum() == pytest.approx(1 / np.sinh(epsilon))
    reach = geometric_reach(epsilon)
    assert weights[np.abs(k) > reach].sum() <= 0.05
    assert reach == 0 or weights[np.abs(k) > reach - 1].sum() > 0.05


@pytest.mark.parametrize("epsilon", [0.2, 2.0])
def test_drawn_errors_are_those_of_the_closed_form(epsilon):
    expected = privacy.error_curve([epsilon], sensitivity=50.0).iloc[0]
    for name, made, most in (("geometric", Geometric, 1), ("laplace", Laplace, 50)):
        mechanism = made(epsilon=epsilon, sensitivity=most, random_state=1)
        errors = np.abs([mechanism.randomise(0) for _ in range(4000)])
        assert abs(errors.mean() - expected[name]) < 4 * errors.std() / np.sqrt(4000)


def test_budgets_and_slack_out_of_range_are_errors():
    with pytest.raises(ValueError, match="above 0"):
        privacy.error_curve([0.0], sensitivity=1.0)
    with pytest.raises(ValueError, match="slack is 0"):
        privacy.composition(epsilon=1.0, n_releases=[1], slack=0)


DECLARED = {"segment_names": [], **BANDS}
GROUPED_BY = partial(privacy.group_people, **DECLARED)


def members(n: int = 300) -> pd.DataFrame:
    return pd.DataFrame({"person_id": [f"p{i}" for i in range(n)], "revenue": spending(n)})


@pytest.mark.parametrize(("epsilon", "named"), [(0.1, False), (4.0, True)])
def test_an_audit_tells_a_kept_promise_from_a_broken_one(epsilon, named):
    people = members().assign(segment=["a", "b", None] * 100)
    names = ["a", "b"] if named else []
    asked = {"grouped_by": partial(privacy.group_people, **DECLARED | {"segment_names": names}), "n_draws": 2000}
    people = people if named else people.drop(columns="segment")
    sound = partial(privacy.release_figures, epsilon=epsilon, count_share=0.5)
    kept = privacy.audit_release(people, **asked, released_by=sound, epsilon=epsilon, rng=stream(1, "kept"))
    assert kept.excess < 0
    assert kept.tightness > 0.5
    assert kept.correlation < 4.5
    assert kept.coverage == pytest.approx(0.95, abs=kept.coverage_reach)
    assert kept.gap < 0.006
    claims = privacy.release_figures(people.revenue, asked["grouped_by"](people), epsilon=epsilon, count_share=0.5,
                                     rng=stream(1, "claims")).figures.epsilon  # fmt: skip

    def twice(*args, **settings):
        drawn = privacy.release_figures(*args, count_share=0.5, **{"epsilon": 2 * epsilon} | settings)
        return replace(drawn, figures=drawn.figures.assign(epsilon=claims))

    broken = privacy.audit_release(people, **asked, released_by=twice, epsilon=epsilon, rng=stream(1, "broken"))
    assert broken.excess > 0


def test_each_person_is_left_out_with_all_their_rows():
    people = members(50)
    figures = release(people.revenue).figures
    asked = {"grouped_by": GROUPED_BY, "figures": figures}
    assert privacy.largest_change(people, **asked) == 1
    assert privacy.largest_change(pd.concat([people, people]), **asked) > 1
    low = figures.assign(sensitivity=figures.sensitivity.where(figures.release != "revenue", 1.0))
    assert privacy.largest_change(people, grouped_by=GROUPED_BY, figures=low) > 1000

    def cut_by_the_data(table):
        return spend_bands(table.revenue, band_edges=[float(table.revenue.median())], max_revenue=5000.0)

    stated = release(people.revenue).figures.query("group != '1,000 and more'")
    assert privacy.largest_change(people, grouped_by=cut_by_the_data, figures=stated) > 1


def test_noise_changes_with_any_figure_and_not_with_the_order_of_people():
    people = members(50)
    name = privacy.seed_name(people)
    assert name == privacy.seed_name(people.sample(frac=1, random_state=1))
    assert name != privacy.seed_name(people.iloc[1:])
    assert name != privacy.seed_name(people.assign(revenue=people.revenue + np.where(people.index == 3, 0.01, 0)))


def test_amounts_keep_their_last_cent():
    revenue = pd.Series([0.29, 1.13, 4.35])
    assert clamped_sums(revenue, spend_bands(revenue, **BANDS)).tolist() == [5.77, 0, 0]


def test_published_composition():
    row = privacy.composition(epsilon=0.05, n_releases=[20], slack=1e-3).iloc[0]
    assert row.epsilon_sum == pytest.approx(1.0)
    assert row.epsilon_advanced == pytest.approx(0.7613352285668463, abs=1e-12)  # diffprivlib's documentation
    assert row.delta == pytest.approx(1e-3)


def test_composition_by_the_theorem():
    """Kairouz, Oh & Viswanath 2017, theorem 3.4, for k releases of one epsilon."""
    epsilon, k, slack = 0.1, 50, 1e-4
    drift = k * epsilon * (np.exp(epsilon) - 1) / (np.exp(epsilon) + 1)
    spread = 2 * k * epsilon**2
    by_hand = min(
        k * epsilon,
        drift + np.sqrt(spread * np.log(1 / slack)),
        drift + np.sqrt(spread * np.log(np.e + np.sqrt(k * epsilon**2) / slack)),
    )
    row = privacy.composition(epsilon=epsilon, n_releases=[k], slack=slack).iloc[0]
    assert row.epsilon_advanced == pytest.approx(by_hand, rel=1e-12)


# --- attacks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1.0, 1.5, 10.0])
@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_attack_succeeds_as_often_as_the_densities_differ(ratio, epsilon):
    """The best guess is right (1 + total variation) / 2 of the time; the integral is computed apart."""
    values = pd.Series([100.0 * ratio, 100.0, 20.0, 5.0])
    attack = privacy.membership_attack(
        values, epsilons=[epsilon], max_value=50.0, n_draws=50_000, rng=stream(1, "attack")
    )
    row = attack.iloc[0]
    here = stats.laplace(loc=ratio, scale=ratio / epsilon)
    gone = stats.laplace(loc=0, scale=1 / epsilon)
    grid = np.linspace(-60 * ratio / epsilon, 60 * ratio / epsilon, 400_001)
    variation = integrate.trapezoid(np.abs(here.pdf(grid) - gone.pdf(grid)), grid) / 2
    assert row.from_data == pytest.approx((1 + variation) / 2, abs=4 * row.standard_error)
    assert row.ceiling == pytest.approx(np.exp(epsilon) / (1 + np.exp(epsilon)))
    assert row.declared == pytest.approx(1 - np.exp(-epsilon / 2) / 2)
    assert row.declared < row.ceiling
    assert row.edges == (0.5 if ratio == 1 else 1.0)


def test_bounds_from_the_data_break_the_promise_where_the_biggest_stands_out():
    values = pd.Series([1000.0, 100.0, 90.0])
    success = privacy.membership_attack(
        values, epsilons=[0.1], max_value=1000.0, n_draws=50_000, rng=stream(1, "attack")
    ).iloc[0]
    assert success.from_data > success.ceiling + 0.2
    attack = privacy.membership_attack(
        values, epsilons=[0.1], max_value=1000.0, n_draws=5000, rng=stream(1, "attack")
    )
    assert "more than the 52.5% that is promised" in title_attack(attack)


def test_diffprivlib_still_publishes_the_extremes_when_no_range_is_given():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, edges = tools.histogram(np.array([1.0, 5.0, 77.0]), epsilon=0.01, bins=3, random_state=0)
    assert edges[[0, -1]].tolist() == [1, 77]


def test_an_attack_needs_somebody_to_look_for():
    with pytest.raises(ValueError, match="fewer than two people above 0"):
        privacy.membership_attack(
            pd.Series([5.0, 0.0]), epsilons=[1.0], max_value=1.0, n_draws=10, rng=stream(1, "attack")
        )

"""Page 13: groups, the step online, pitfalls, findings and figures."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from finding_rules import told
from numpy.testing import assert_allclose
from recommendation_toys import OFFER, whole_way

from journeybook import recommendation as rec
from journeybook.plots import recommendation as figures
from journeybook.recommendation import methods as ways
from journeybook.recommendation.online import N_SHOPS, team_draft
from journeybook.recommendation.pitfalls import mixed_days
from journeybook.statistics import stream


@pytest.fixture(scope="module")
def shop():
    return whole_way()


def test_groups_by_hand(shop):
    purchases, _, _, known, judged, _ = shop
    profiles = pd.DataFrame(
        {"person_id": purchases.people, "birth_decade": np.arange(len(purchases.people)) % 2 * 10.0 + 1960}
    )
    about = {"segments": None, "profiles": profiles, "way": ways.SIMILAR, "min_group_size": 10}
    groups = rec.by_group(purchases, known, judged, **about)
    born = groups[groups.kind == "born in"].set_index("group")
    even = judged.people[rec.ANY].index % 2 == 0
    gap = judged.people[rec.ANY][ways.SIMILAR] - judged.people[rec.ANY][ways.RECENT]
    assert born.loc["1960s", "difference"] == pytest.approx(gap[even].mean())
    assert born.loc["1960s", "worse_share"] == pytest.approx((gap[even] < 0).mean())
    checks = rec.groups_hold(purchases, known, judged, groups, None, profiles, way=ways.SIMILAR)
    assert checks.value.max() < 1e-12 and len(checks) == 1


def test_brands_and_ages_of_products_add_up(shop):
    purchases, _, _, known, judged, _ = shop
    brands = rec.by_brand(purchases, known, judged, way=ways.SIMILAR)
    assert_allclose(brands[["bought_share", "shown_share", "popular_share"]].sum(), 1)
    ages = rec.by_product_age(purchases, known, judged)
    assert ages.n_bought.sum() == judged.bought[rec.NEW].n.sum()
    found = judged.rows[rec.NEW, ways.SIMILAR]
    hits = (found.precision * 4).sum()
    assert (ages.n_bought * ages[ways.SIMILAR]).sum() == pytest.approx(hits)


def test_team_draft_by_hand_and_by_lot():
    one, other = np.tile([0, 1, 2, 3], (4_000, 1)), np.tile([1, 0, 4, 5], (4_000, 1))
    shown, ours = team_draft(one, other, np.random.default_rng(8))
    assert (ours.sum(axis=1) == 2).all()
    assert all(len(set(row)) == 4 for row in shown[:200].tolist())
    first = ours[:, 0]
    assert first.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4_000))
    # The first list's team picks 0 first, the other's then 1, and so on.
    assert (shown[first][:, :2] == [0, 1]).all() and (shown[~first][:, :2] == [1, 0]).all()


def test_the_simulated_step_holds_against_its_truth():
    online = rec.simulate_online(rng=stream(11, "online"))
    checks = rec.online_holds(online)
    assert ((checks.value - checks.reference).abs() <= checks.tolerance).all(), checks
    assert online.table.n_best.sum() >= N_SHOPS and 0 <= online.n_agreed <= N_SHOPS
    truth = online.table.set_index("method").true_rate
    assert truth["hybrid"] > truth["popularity"] and truth["collaborative"] > truth["popularity"]


def test_pitfalls_are_there(shop):
    purchases, _, chosen, known, judged, _ = shop
    found = rec.find_pitfalls(purchases, known, chosen, judged, k=4, rng=stream(1, "p"), **OFFER)
    by = found.set_index("pitfall")
    assert (
        by.loc["repeats counted as discoveries", "flattered"] > by.loc["repeats counted as discoveries", "honest"]
    )
    drawn = mixed_days(purchases, stream(1, "mixed"))
    n_after = (purchases.lines.day >= purchases.split).sum()
    assert (drawn.lines.day == drawn.end).sum() == n_after


def test_findings_are_sentences(shop):
    purchases, _, _, known, judged, _ = shop
    groups = rec.by_group(
        purchases, known, judged, segments=None, profiles=None, way=ways.SIMILAR, min_group_size=5
    )
    online = rec.simulate_online(rng=stream(2, "online"))
    said = told(rec.find(judged, groups, online), "13_recommendation")
    assert len(said) == 5
    worst = judged.pairs.assign(p_adjusted=1.0, difference_low=-1.0, difference_high=1.0, error=1.0)
    said = told(rec.find(replace(judged, pairs=worst), groups.head(0), online), "13_recommendation")
    assert any("no method beats" in line and "cannot be told" in line for line in said)
    lost = groups.assign(difference=-0.2, difference_low=-0.3, difference_high=-0.1)
    said = told(rec.find(judged, lost, online), "13_recommendation")
    assert said[0].startswith("1 clear: For people with a history of ") and "worse than popularity" in said[0]


def test_figures_say_what_they_show(shop):
    purchases, _, chosen, known, judged, _ = shop
    groups = rec.by_group(
        purchases, known, judged, segments=None, profiles=None, way=ways.SIMILAR, min_group_size=5
    )
    pitfalls = rec.find_pitfalls(purchases, known, chosen, judged, k=4, rng=stream(1, "p"), **OFFER)
    drawn = [
        figures.plot_ways(judged),
        figures.plot_groups(groups, way=ways.SIMILAR).figure,
        figures.plot_online(rec.simulate_online(rng=stream(2, "online"))),
        figures.plot_pitfalls(pitfalls).figure,
    ]
    assert all(len(figure.get_suptitle()) > 20 for figure in drawn)
    assert figures.plot_groups(groups.head(0), way=ways.SIMILAR) is None
    plt.close("all")

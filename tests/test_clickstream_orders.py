"""Page 08: the order of the chain, against counting by hand, another library and simulated chains."""

from collections import Counter

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from walks import LAW, links_of, steps, walk

from journeybook.clickstream import orders
from journeybook.clickstream.orders import choose_order
from journeybook.journeys.links import links, path_steps


def second_order() -> np.ndarray:
    """A law in which who came to an item from home goes on to the cart, and who did not goes home."""
    law = np.stack([LAW] * 4)
    law[1, 2] = [0.05, 0.15, 0.6, 0.0, 0.2]
    law[2, 2] = [0.5, 0.15, 0.05, 0.0, 0.3]
    return law


def choose(table, max_order=3):
    return choose_order(table, max_order=max_order)


@pytest.fixture(scope="module")
def walks():
    rng = np.random.default_rng(5)
    return [walk(LAW, rng) for _ in range(400)]


def contexts(walks, order):
    """Links by the last states before them, `order` of them."""
    padded = (((0,) * order + before, target) for before, target in links_of(walks))
    return Counter((*before[len(before) - order :], target) for before, target in padded)


def test_links_remember_as_far_back_as_asked(walks):
    found = links(steps(walks), memory=3)
    counts = found.group_by("source_3", "source_2", "source", "target").aggregate(n=found.n.sum()).to_pandas()
    names = ["(start)", "home", "item", "cart", "(conversion)", "(exit)"]
    expected = {tuple(names[state] for state in key): n for key, n in contexts(walks, 3).items()}
    assert {key: n for *key, n in counts.itertuples(index=False) for key in [tuple(key)]} == expected


def test_likelihood_parameters_and_bic_are_counted_by_hand(walks):
    table = choose(steps(walks)).table
    n_links = len(links_of(walks))
    n_parameters = 0
    for order in range(4):
        cells, within = contexts(walks, order), Counter()
        for key, n in cells.items():
            within[key[:-1]] += n
        likelihood = sum(n * np.log(n / within[key[:-1]]) for key, n in cells.items())
        if order == 0:
            n_parameters = len(cells) - 1
        else:
            for parent in {key[1:-1] for key in cells}:
                extensions = {key[0] for key in cells if key[1:-1] == parent}
                targets = {key[-1] for key in cells if key[1:-1] == parent}
                n_parameters += (len(extensions) - 1) * (len(targets) - 1)
        row = table.loc[order]
        assert row["log_likelihood"] == pytest.approx(likelihood, rel=1e-12)
        assert row["n_parameters"] == n_parameters
        assert row["bic"] == pytest.approx(n_parameters * np.log(n_links) - 2 * likelihood, rel=1e-12)


def test_likelihood_and_parameters_gained_are_those_of_scipy_s_tables(walks):
    gained = choose(steps(walks), max_order=2).table[["log_likelihood", "n_parameters"]].diff().loc[2]
    cells = pd.Series(contexts(walks, 2)).rename_axis(["back", "here", "target"]).reset_index(name="n")
    statistic = df = 0
    for _, part in cells.groupby("here"):
        wide = part.pivot_table(index="back", columns="target", values="n", fill_value=0)
        if min(wide.shape) > 1:
            found = stats.chi2_contingency(wide, correction=False, lambda_="log-likelihood")
            statistic, df = statistic + found.statistic, df + found.dof
    assert 2 * gained["log_likelihood"] == pytest.approx(statistic, rel=1e-9)
    assert gained["n_parameters"] == df


def test_held_out_likelihood_by_hand(walks):
    """Each fold by the others, what is not seen borrowed from the context one shorter."""
    table = steps(walks[:60])
    frame = orders._context_counts(table, 2)
    fold = np.unique(frame["fold"], return_inverse=True)[1]
    n, n_targets = frame["n"].to_numpy(), frame["target"].nunique()
    found = orders._held_out(*orders._numbered(frame, 2), n, fold, n_targets).sum(axis=1)
    names = ["source_2", "source"]
    expected = np.zeros(3)
    for fold, held in frame.groupby("fold"):
        rest = frame[frame["fold"] != fold]
        for row in held.itertuples():
            chance = 1 / frame["target"].nunique()
            for order in range(3):
                same = rest
                for name in names[2 - order :]:
                    same = same[same[name] == getattr(row, name)]
                n_targets, seen = same["target"].nunique(), same["n"].sum()
                if seen:
                    here = same.loc[same["target"] == row.target, "n"].sum()
                    chance = (here + n_targets * chance) / (seen + n_targets)
                expected[order] += row.n * np.log(chance)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_second_order_chain_is_found_and_a_first_order_one_too():
    rng = np.random.default_rng(8)
    second = choose(steps([walk(second_order(), rng) for _ in range(1500)]))
    assert (second.chosen, second.held_out_chosen) == (2, 2)
    first = choose(steps([walk(LAW, rng) for _ in range(1500)]))
    assert (first.chosen, first.held_out_chosen) == (1, 1)


def test_aggregated_paths_give_the_same_orders_but_nobody_to_hold_out():
    paths = pd.DataFrame(
        {"row": [1, 2, 3], "path": ["a > b", "b > a > b", "b"], "conversions": [20, 5, 0], "nulls": [13, 24, 9]}
    )
    found = choose(path_steps(ibis.memtable(paths)), max_order=2)
    assert found.held_out_chosen is None
    assert found.table["held_out_log_likelihood"].isna().all()
    # Order 1: of 71 first steps 33 go to a; of 62 visits to a all go to b; of 100 visits to b ...
    shares = [(33, 71), (38, 71), (62, 62), (29, 100), (25, 100), (46, 100)]
    expected = sum(n * np.log(n / total) for n, total in shares)
    assert found.table.at[1, "log_likelihood"] == pytest.approx(expected)


def test_names_of_people_play_no_part(walks):
    people = [f"{n % 50}" for n in range(len(walks))]
    renamed = [f"x{(int(name) * 7) % 50}" for name in people]
    pd.testing.assert_frame_equal(choose(steps(walks, people)).table, choose(steps(walks, renamed)).table)


@pytest.mark.parametrize("max_order", [0, 5])
def test_orders_out_of_range_are_refused(walks, max_order):
    with pytest.raises(ValueError, match=f"max_order is {max_order}: it must be from 1 to 4"):
        choose(steps(walks[:5]), max_order=max_order)

"""Page 08: the order of the chain, against counting by hand, another library and simulated chains."""

from collections import Counter
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from walks import BROWSER, LAW, links_of, steps, walk

from journeybook.clickstream import orders
from journeybook.clickstream.orders import choose_order, memory_within_types
from journeybook.journeys.links import links, path_steps


def second_order() -> np.ndarray:
    """A law in which who came to an item from home goes on to the cart, and who did not goes home."""
    law = np.stack([LAW] * 4)
    law[1, 2] = [0.05, 0.15, 0.6, 0.0, 0.2]
    law[2, 2] = [0.5, 0.15, 0.05, 0.0, 0.3]
    return law


def choose(table, max_order=3, seed=1):
    return choose_order(table, max_order=max_order, rng=np.random.default_rng(seed))


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


def test_the_likelihood_ratio_is_that_of_scipy_s_tables(walks):
    table = choose(steps(walks), max_order=2).table
    cells = pd.Series(contexts(walks, 2)).rename_axis(["back", "here", "target"]).reset_index(name="n")
    statistic = df = 0
    for _, part in cells.groupby("here"):
        wide = part.pivot_table(index="back", columns="target", values="n", fill_value=0)
        if min(wide.shape) > 1:
            found = stats.chi2_contingency(wide, correction=False, lambda_="log-likelihood")
            statistic, df = statistic + found.statistic, df + found.dof
    assert table.at[2, "lr_statistic"] == pytest.approx(statistic, rel=1e-9)
    assert table.at[2, "lr_df"] == df


def test_held_out_likelihood_by_hand(walks):
    """Each fold by the others, what is not seen borrowed from the context one shorter."""
    table = steps(walks[:60])
    frame = orders._context_counts(table, 2)
    counted = orders._Counted(frame, 2)
    found = orders._held_out(counted).sum(axis=1)
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
    assert (second.chosen, second.held_out_chosen, second.disagree) == (2, 2, False)
    assert second.table.at[2, "lr_p_value"] < 1e-6
    first = choose(steps([walk(LAW, rng) for _ in range(1500)]))
    assert (first.chosen, first.held_out_chosen) == (1, 1)
    assert first.table.at[2, "lr_p_value"] > 0.01


def test_people_of_two_kinds_look_as_if_they_remembered():
    rng = np.random.default_rng(2)
    people = [f"{n % 80}" for n in range(2400)]
    walks = [walk(LAW if int(name) % 2 else BROWSER, rng) for name in people]
    table = steps(walks, people)
    members = pd.DataFrame({"person_id": [f"{n}" for n in range(80)], "type": [1 + n % 2 for n in range(80)]})
    types = SimpleNamespace(unit="people", profile=[1, 2], members=members)
    memory = memory_within_types(table, types, rng=rng)
    assert memory["type"].tolist() == ["all", "1", "2"]
    assert memory["n_people"].tolist() == [80, 40, 40]
    assert memory["n_links"].iloc[0] == memory["n_links"].iloc[1:].sum()
    assert memory["lr_p_value"].iloc[0] < 1e-4
    assert memory["lr_p_value"].iloc[1:].min() > 0.01


def false_alarms(n_simulations, n_walks, seed):
    """How often the test refuses the first order of a first-order chain, at 5 %; cells of order 2 are sparse."""
    rng = np.random.default_rng(seed)
    refused = 0
    for _ in range(n_simulations):
        cells = contexts([walk(LAW, rng) for _ in range(n_walks)], 2)
        frame = pd.DataFrame(
            [(*key, n) for key, n in cells.items()], columns=["source_2", "source", "target", "n"]
        )
        counted = orders._Counted(frame.assign(fold="all"), 2)
        refused += orders._row(counted, 2, rng)["lr_p_value"] < 0.05
    return refused / n_simulations


def test_sparse_tables_do_not_make_the_test_eager():
    share = false_alarms(200, n_walks=60, seed=3)
    assert abs(share - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
def test_size_of_the_likelihood_ratio_test():
    # With so few walks it is a little shy: the margins of the tables are themselves drawn.
    share = false_alarms(1_000, n_walks=60, seed=4)
    assert abs(share - 0.05) < 3.3 * np.sqrt(0.05 * 0.95 / 1_000) + 0.01


def test_without_sparse_cells_the_p_value_is_chi_square():
    tables = [(np.array([400, 600]), np.array([300, 700]))]
    found = orders._p_value(3.0, tables, np.random.default_rng(1))
    assert found == pytest.approx(stats.chi2.sf(3.0, 1), rel=1e-12)


def test_random_tables_have_the_statistic_of_scipy():
    rows, columns = np.array([3, 7, 10]), np.array([8, 12])
    drawn = orders._random_statistics(rows, columns, 5, np.random.default_rng(9))
    tables = stats.random_table(rows, columns).rvs(5, random_state=np.random.default_rng(9))
    expected = [stats.chi2_contingency(t, correction=False, lambda_="log-likelihood").statistic for t in tables]
    np.testing.assert_allclose(drawn, expected, atol=1e-9)


def test_aggregated_paths_give_the_same_orders_but_nobody_to_hold_out():
    paths = pd.DataFrame(
        {"row": [1, 2, 3], "path": ["a > b", "b > a > b", "b"], "conversions": [20, 5, 0], "nulls": [13, 24, 9]}
    )
    found = choose(path_steps(ibis.memtable(paths)), max_order=2)
    assert found.n_links == 3 * 33 + 4 * 29 + 2 * 9
    assert found.held_out_chosen is None
    assert not found.disagree
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

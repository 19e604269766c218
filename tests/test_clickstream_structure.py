"""Page 08: sentences and figures of memory, groups, faults and types hold for any data."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from walks import BROWSER, LAW, steps, walk

from journeybook.clickstream import wording_structure as says
from journeybook.clickstream.faults import PlantedFault, find_faults
from journeybook.clickstream.groups import compare_groups
from journeybook.clickstream.mixture import PlantedTypes, fit_types
from journeybook.clickstream.orders import choose_order
from journeybook.plots import shortened
from journeybook.plots.clickstream import plot_graph, plot_steps, structure


def analyse(table):
    rng = np.random.default_rng(1)
    return (
        choose_order(table, max_order=3, rng=rng),
        compare_groups(table, group_by=None, n_periods=2, alpha=0.05),
        find_faults(table, alpha=0.05, shortest_days=2, longest_days=20, n_simulations=39, rng=rng),
        fit_types(table, max_types=3, n_starts=3, rng=rng),
    )


def draw(order, groups, faults, types):
    figures = [
        structure.plot_orders(order).figure,
        structure.plot_groups(groups).figure,
        structure.plot_fault(faults).figure,
        structure.plot_types(types),
    ]
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)


@pytest.fixture(scope="module")
def broken():
    """150 people of two kinds on two devices; for ten days nobody gets from the item to the cart in the app."""
    rng = np.random.default_rng(4)
    shut = np.stack([LAW, BROWSER])
    shut[:, 2, 4] += shut[:, 2, 2]
    shut[:, 2, 2] = 0.0
    people = [f"{n % 150}" for n in range(3000)]
    device = ["app" if rng.random() < 0.5 else "web" for _ in people]
    day = [int(rng.integers(80)) for _ in people]
    walks = []
    for name, where, when in zip(people, device, day, strict=True):
        kind = int(name) % 2
        fails = where == "app" and 30 <= when < 40
        walks.append(walk(shut[kind] if fails else (LAW, BROWSER)[kind], rng))
    return analyse(steps(walks, people, device=device, day=day))


def test_what_is_found_is_said(broken):
    order, groups, faults, types = broken
    draw(*broken)
    assert f"BIC chooses order {order.chosen}" in says.describe_orders(order)
    assert says.first_order_mark(order) == ""
    assert f"Of {len(groups.table)} tests" in says.describe_groups(groups)
    text = says.describe_faults(faults)
    assert "`item` to `cart` (app) from 2026-01-31 to 2026-02-0" in text
    assert "1 drop is" in text
    assert "BIC finds 2 types among 150 known people" in says.describe_types(types)
    figures = says.structure_headline(*broken)
    assert figures["n_faults"] == 1
    assert figures["n_types"] == 2
    assert all(isinstance(value, int) for value in figures.values())


def test_the_least_data_are_said_to_be_too_little():
    rng = np.random.default_rng(2)
    least = analyse(steps([walk(LAW, rng) for _ in range(80)]))
    draw(*least)
    order, groups, faults, types = least
    assert "predicts sessions held out best" in says.describe_orders(order)
    assert "No groups can be compared (device: the events have no device" in says.describe_groups(groups)
    assert "the data have no times" in says.describe_faults(faults)
    assert "one type only among 80 sessions" in says.describe_types(types)
    assert says.structure_headline(*least).keys() == {
        "chain_order", "n_group_differences", "chain_order_held_out", "n_types"
    }  # fmt: skip


def test_a_sound_log_is_said_to_be_sound():
    rng = np.random.default_rng(3)
    table = steps([walk(LAW, rng) for _ in range(600)], day=[n % 60 for n in range(600)])
    faults = find_faults(table, alpha=0.05, shortest_days=2, longest_days=20, n_simulations=39, rng=rng)
    assert "No step was broken" in says.describe_faults(faults)
    titles = [structure.plot_fault(faults).get_title(loc=side) for side in ("left", "center")]
    assert any(title.startswith("No step was broken") for title in titles)
    plt.close("all")


def test_a_group_that_differs_is_said():
    rng = np.random.default_rng(5)
    device = ["app" if n % 2 else "web" for n in range(600)]
    table = steps([walk(BROWSER if name == "app" else LAW, rng) for name in device], device=device)
    groups = compare_groups(table, group_by=["device"], n_periods=2, alpha=0.05)
    text = says.describe_groups(groups)
    differ = groups.table["differs"].sum()
    assert differ > 1
    assert f"{differ} differ with a chance of any false one of 5% (Holm), {differ} by device" in text
    structure.plot_groups(groups).figure.canvas.draw()
    plt.close("all")


def test_a_higher_order_marks_what_is_drawn_from_the_first():
    rng = np.random.default_rng(8)
    law = np.stack([LAW] * 4)
    law[1, 2], law[2, 2] = [0.05, 0.15, 0.6, 0.0, 0.2], [0.5, 0.15, 0.05, 0.0, 0.3]
    order = choose_order(steps([walk(law, rng) for _ in range(1500)]), max_order=3, rng=rng)
    assert "forgets the page before the present one" in says.first_order_mark(order)
    assert "leaves out the page before the present one" in says.describe_orders(order)


@pytest.mark.parametrize(
    ("p_values", "said"),
    [
        ([1e-6, 0.3, 0.6], "is the mix of types"),
        ([1e-6, 0.001, 0.6], "Not all of the memory"),
        ([0.4, 0.3, 0.6], "no memory to account for"),
    ],
)
def test_memory_within_types_is_said_as_it_is(p_values, said):
    memory = pd.DataFrame({"type": ["all", "1", "2"], "n_people": [20, 8, 12], "lr_p_value": p_values})
    assert said in says.describe_memory_within_types(memory)


def test_the_truth_is_said_whether_it_was_found_or_not():
    days = pd.Timestamp("2026-02-01"), pd.Timestamp("2026-02-08")
    found = PlantedFault("a to b (app)", True, 0.8, 0, *days)
    assert "from 2026-02-01 to 2026-02-07; the days found share 80%" in says.describe_planted_fault(found)
    missed = PlantedFault("a to b (app)", False, 0.0, 1, *days)
    assert "did not find it" in says.describe_planted_fault(missed)
    text = says.describe_planted_types(PlantedTypes(3, 500, 0.91, 0.96, 0.93))
    assert "Rand index of 0.91" in text
    assert "would be 0.93" in text
    assert "sessions were grouped" in says.describe_planted_types(None)


def test_names_in_figures_are_cut_but_told_apart_and_hold_no_formulas():
    pages = [f"a page of the shop, number {k}" for k in range(3)]
    assert len(set(shortened(pages, longest=12).values())) == 3
    assert shortened(["a" * 30, "b" * 30], longest=10) == {"a" * 30: "a" * 9 + "…", "b" * 30: "b" * 9 + "…"}
    addresses = shortened(f"https://www.example.com/shop/women/{k}/{k}.html" for k in ("boots", "coats")).values()
    assert len(set(addresses)) == 2
    assert all(len(written) <= 22 for written in addresses)
    rows = [("(start)", "price $1^2^3$", 1.0), ("price $1^2^3$", "(exit)", 1.0)]
    table = pd.DataFrame(rows, columns=["source", "target", "probability"]).assign(n=10)
    for plot in (plot_steps, plot_graph):
        ax = plot(table)
        ax.figure.canvas.draw()
        written = [text.get_text() for text in (*ax.texts, *ax.get_yticklabels())]
        assert r"price \$1^2^3\$" in written
        plt.close(ax.figure)

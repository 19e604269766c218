"""Page 08: titles, sentences and figures of memory, groups and faults hold for any data."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from walks import BROWSER, LAW, steps, walk

from journeybook.clickstream import words as says
from journeybook.clickstream.faults import find_faults
from journeybook.clickstream.groups import compare_groups
from journeybook.clickstream.orders import choose_order
from journeybook.plots import shortened
from journeybook.plots.clickstream import plot_steps, structure


def analyse(table):
    return (
        choose_order(table, max_order=3),
        compare_groups(table, group_by=None, n_periods=2, alpha=0.05),
        find_faults(
            table, alpha=0.05, shortest_days=2, longest_days=20, n_simulations=39, rng=np.random.default_rng(2)
        ),
    )


def titles(order, groups, faults):
    """Return what is said of each; draw the figures of two of them, None where nothing is drawn."""
    found = []
    for drawn in (structure.plot_groups(groups), structure.plot_fault(faults)):
        if drawn is not None:
            drawn.figure.canvas.draw()
            plt.close(drawn.figure)
        found.append(None if drawn is None else drawn.figure.get_suptitle().replace("\n", " "))
    return says.say_orders(order), *found


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


def test_the_titles_say_what_is_found(broken):
    order, groups, faults = titles(*broken)
    assert order.startswith(f"BIC chooses a chain of order {broken[0].chosen}; ")
    assert f"of {len(broken[1].table)} comparisons differ clearly" in groups
    assert faults.startswith("Broken: from item to cart on the app, 31 January to ")
    assert says.first_order_mark(broken[0]) == ""


def test_of_the_least_data_nothing_is_drawn_but_the_order():
    rng = np.random.default_rng(2)
    least = analyse(steps([walk(LAW, rng) for _ in range(80)]))
    order, groups, faults = titles(*least)
    assert order.endswith("predicts sessions held out best.")
    assert (groups, faults) == (None, None)
    assert "No groups can be compared (device: the events have no device" in says.say_note(least[1])


def test_a_sound_log_is_said_to_be_sound():
    rng = np.random.default_rng(3)
    table = steps([walk(LAW, rng) for _ in range(600)], day=[n % 60 for n in range(600)])
    faults = find_faults(table, alpha=0.05, shortest_days=2, longest_days=20, n_simulations=39, rng=rng)
    assert says.say_faults(faults).startswith("No step was broken; the deepest drop, ")


def test_a_higher_order_marks_what_is_drawn_from_the_first():
    rng = np.random.default_rng(8)
    law = np.stack([LAW] * 4)
    law[1, 2], law[2, 2] = [0.05, 0.15, 0.6, 0.0, 0.2], [0.5, 0.15, 0.05, 0.0, 0.3]
    order = choose_order(steps([walk(law, rng) for _ in range(1500)]), max_order=3)
    assert "forgets the page before the present one" in says.first_order_mark(order)


def test_names_in_figures_are_cut_but_told_apart_and_hold_no_formulas():
    pages = [f"a page of the shop, number {k}" for k in range(3)]
    assert len(set(shortened(pages, longest=12).values())) == 3
    assert shortened(["a" * 30, "b" * 30], longest=10) == {"a" * 30: "a" * 9 + "…", "b" * 30: "b" * 9 + "…"}
    addresses = shortened(f"https://www.example.com/shop/women/{k}/{k}.html" for k in ("boots", "coats")).values()
    assert len(set(addresses)) == 2
    assert all(len(written) <= 22 for written in addresses)
    rows = [("(start)", "price $1^2^3$", 1.0), ("price $1^2^3$", "(exit)", 1.0)]
    ax = plot_steps(pd.DataFrame(rows, columns=["source", "target", "probability"]).assign(n=10))
    ax.figure.canvas.draw()
    assert r"price \$1^2^3\$" in [text.get_text() for text in ax.get_yticklabels()]
    plt.close(ax.figure)

"""What page 05 says to whoever decides: each branch, and nothing that is not known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from finding_rules import told

from journeybook import segmentation

POWER = pd.DataFrame(
    {"n_features": [1, 3, 17, 17], "distance": [8.0, 8.0, 6.0, 0.0], "high": [0.49, 0.49, 1.0, 0.49]}
)
NOTHING = segmentation.Structureless(np.array([0.25, 0.27]), np.array([0.9, 0.9]))
PLAIN = segmentation.Unscaled("revenue_91d", 0.87, 0.96, 0.16)
COUNT, APART = "How many groups do the data support?", "What sets the segments apart?"
MOVE, PITFALL = "How do people move?", "The pitfall: clusters made anew, and features in their own units"


def find(
    *,
    n_groups=1,
    n_segments=3,
    stay=(0.79, 0.78, 0.80),
    matched=0.79,
    n_steps=99,
    plain=PLAIN,
    ordered_by="revenue_91d",
):
    profile = pd.DataFrame({"share": [0.5, 0.3, 0.2], "n_people": [50, 30, 20], "revenue_91d": [90.0, 10.0, 0.0]})
    prepared = SimpleNamespace(columns=list("abcdefghijklmnopq"))
    found = segmentation.Segmentation(
        pd.DataFrame(), profile, pd.DataFrame(), np.zeros((n_segments, 17)), prepared, 0.28, ordered_by
    )
    count = segmentation.GroupCount(pd.DataFrame(), n_groups, n_slices=3, n_people=100)
    moves = segmentation.Movement(pd.DataFrame(), pd.DataFrame(), *stay, n_steps, 5)
    again = segmentation.Refitted(stay[0], 0.33, matched)
    return told(segmentation.find(found, count, NOTHING, moves, again, plain, power=POWER), "05_segmentation")


def test_slices_of_one_cloud_are_no_groups_and_what_was_missed_is_said():
    said = find()
    assert next(iter(said.values())).text == (
        "The 3 segments are slices of one cloud: they explain 28.0% of the differences between customers, "
        "and 26.0% where there are no groups."
    )
    assert next(iter(said)) == f"{COUNT} contradicted"
    assert "up to 3 of 17 measures" in said[f"{COUNT} cannot be told"].text


def test_groups_that_are_there_are_only_suggested_and_a_number_asked_for_is_held_against_them():
    assert find(n_groups=3)[f"{COUNT} suggestive"].text.startswith(
        "There are 3 groups of customers; they explain 28.0%"
    )
    assert f"{COUNT} cannot be told" not in find(n_groups=3)
    assert find(n_groups=4)[f"{COUNT} contradicted"].action == "Use 4 segments."
    alone = find(n_segments=1)
    assert alone[f"{COUNT} cannot be told"].text.startswith("The customers are one cloud")
    assert not any(f.section in (MOVE, APART) for f in alone.values())


def test_who_stays_stands_beside_what_refitting_would_make_of_it():
    assert find()[f"{MOVE} clear"].text.endswith("segments made anew each time would seem to keep 33.0%.")
    assert f"{MOVE} suggestive" in find(matched=0.7)
    assert f"{MOVE} counted" in find(stay=(1.0, 1.0, 1.0), matched=1.0)
    nan = float("nan")
    assert f"{MOVE} cannot be told" in find(n_steps=0, stay=(nan, nan, nan))


def test_money_and_units_are_said_where_they_count():
    said = find()
    assert said[f"{APART} counted"].text == (
        "The best segment, 50.0% of customers, makes 93.8% of revenue of the last 91 days; "
        "the last, 20.0%, makes 0%."
    )
    assert said[f"{PITFALL} counted"].text.endswith("decide the segments alone.")
    flat = find(plain=segmentation.Unscaled("a", 0.3, 0.9, 0.9), ordered_by="a")
    assert not any(f.section in (APART, PITFALL) for f in flat.values())

"""Page 08's tables counted again: nothing is off on a sound page, and a changed table is."""

import numpy as np
import pandas as pd
import pytest
from test_clickstream import events, shop  # noqa: F401

from journeybook.clickstream.counts import count_steps
from journeybook.clickstream.funnels import funnel
from journeybook.clickstream.groups import compare_groups
from journeybook.clickstream.intervals import bottleneck_table, draw_chains, state_table, transition_table
from journeybook.clickstream.moments import best_moments
from journeybook.clickstream.orders import choose_order
from journeybook.clickstream.witnesses import recount
from journeybook.journeys.links import path_steps
from journeybook.journeys.sessions import CONVERSION, computed, session_steps

RULES = {"conversion": "buy", "session_gap_minutes": 30, "least_events": 1, "most_events": None}
RULES |= {"least_pause_seconds": 0.0}


@pytest.fixture(scope="module")
def found(shop):  # noqa: F811
    """The page's tables of the toy shop, and what they were made from."""
    rng = np.random.default_rng(1)
    counts = count_steps(shop, **RULES)
    steps = computed(session_steps(shop, **RULES))
    chain = draw_chains(counts, n_draws=50, rng=rng)
    tables = {
        "transitions": transition_table(chain),
        "states": state_table(chain),
        "bottlenecks": bottleneck_table(chain, improvement=0.1),
        "moments": best_moments(chain, kept_share=0.2),
        "groups": compare_groups(steps, group_by=["channel"], n_periods=2, alpha=0.05).table,
        "funnel": funnel(steps, chain.model, stages=["home", "item", "cart", CONVERSION]),
        "faults": pd.DataFrame(),
        "orders": choose_order(steps, max_order=3).table,
    }
    return shop, steps, tables, counts


NONE_OPEN = pd.DataFrame({"state": pd.Series(dtype="str"), "n_events": pd.Series(dtype="int64")})
ASKED = {"improvement": 0.1, "kept_share": 0.2, "live": NONE_OPEN, "rng": np.random.default_rng(5)}


def off(found, **changed):
    rows, steps, tables, counts = found
    again = recount(rows, steps, tables | changed, counts=counts, rules=RULES, **ASKED)
    return again.loc[~(again["value"] <= again["tolerance"]), "name"].tolist()


def test_a_sound_page_is_not_off(found):
    assert off(found) == []


def test_paths_of_numbers_are_counted_again():
    rows = events([("a > b", 3, 5), ("b", 1, 2)], "path", "conversions", "nulls")
    counts = count_steps(rows, conversion=None, session_gap_minutes=30)
    rng = np.random.default_rng(1)
    chain = draw_chains(counts, n_draws=20, rng=rng)
    steps = path_steps(rows)
    tables = {
        "transitions": transition_table(chain),
        "states": state_table(chain),
        "bottlenecks": bottleneck_table(chain, improvement=0.1),
        "moments": best_moments(chain, kept_share=0.2),
        "groups": compare_groups(steps, group_by=[], n_periods=2, alpha=0.05).table,
    }
    assert off((rows, steps, tables, counts)) == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("transitions", "probability"),
        ("states", "lost_conversions"),
        ("bottlenecks", "gain"),
        ("orders", "held_out_log_likelihood"),
        ("orders", "held_out_gain"),
        ("orders", "held_out_gain_error"),
        ("moments", "gain_now"),
        ("funnel", "n_sessions"),
    ],
)
def test_a_changed_column_is_noticed(found, table, column):
    own = found[2][table]
    assert off(found, **{table: own.assign(**{column: own[column] * 1.01})})


def test_a_large_log_is_not_counted_again(found, monkeypatch):
    monkeypatch.setattr("journeybook.clickstream.witnesses.MOST_RECOUNTED", 10)
    assert off(found) == []
    rows, steps, tables, counts = found
    assert recount(rows, steps, tables, counts=counts, rules=RULES, **ASKED).empty

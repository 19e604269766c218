"""Page 08's findings: what is contradicted comes first, and nothing is known where no truth is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_clickstream import count, events, shop  # noqa: F401
from test_clickstream_faults import FIRST, day_counts, scan
from test_clickstream_recount import found  # noqa: F401

from journeybook.clickstream.counts import count_steps
from journeybook.clickstream.faults import find_faults
from journeybook.clickstream.findings import find
from journeybook.clickstream.groups import compare_groups
from journeybook.clickstream.intervals import bottleneck_table, draw_chains, state_table
from journeybook.clickstream.orders import choose_order
from journeybook.findings import ordered
from journeybook.journeys.links import path_steps

BROKEN = scan(day_counts(np.random.default_rng(2), broken=range(50, 62)))
DAYS = {"starts_at": FIRST + pd.Timedelta(days=50), "ends_at": FIRST + pd.Timedelta(days=62)}


@pytest.fixture(scope="module")
def made(found):  # noqa: F811
    """What `find` asks for, of the toy shop: one order, no fault, channels compared."""
    _, steps, tables, counts = found
    return {
        "counts": counts,
        "states": tables["states"],
        "bottlenecks": tables["bottlenecks"].assign(first_share=1.0),
        "order": choose_order(steps, max_order=1),
        "differences": compare_groups(steps, group_by=["channel"], n_periods=2, alpha=0.05),
        "faults": replace(BROKEN, table=BROKEN.table.assign(fault=False)),
        "improvement": 0.1,
        "truths": {},
    }


def told(given, **changed):
    found = ordered(find(**given | changed))  # noqa: F811
    assert all(len(said.split()) <= 30 for f in found for said in (f.text, f.action)), found
    return found


def test_without_truth_no_answer_is_known(made):
    said = told(made)
    assert "known answer recovered" not in {f.strength for f in said}
    assert not any(f.section == "How do people move?" for f in said)
    step = next(f for f in said if f.text.startswith("Taking 10% more visits from "))
    assert (step.strength, step.low, step.unit, step.value) == ("clear", None, "conversions", round(step.value))


def test_a_chain_that_forgets_too_much_makes_steps_suggestive(made):
    said = told(made, order=replace(made["order"], chosen=2))
    assert {f.strength for f in said if f.section.startswith(("Which step", "Where do"))} == {"suggestive"}


@pytest.mark.parametrize(
    ("device", "strengths"),
    [(None, ["clear"]), ("app", ["known answer recovered"]), ("web", ["contradicted"] * 2)],
)
def test_a_broken_step_is_real_false_or_missed(made, device, strengths):
    planted = {"event_faults": pd.DataFrame([{"source": "one", "target": "a", "device": device, **DAYS}])}
    said = find(**made | {"faults": BROKEN, "truths": planted if device else {}})
    broken = [f for f in said if f.section == "Was a step ever broken?"]
    assert [f.strength for f in broken] == strengths
    assert "from one to a on the app, 19 February to 3 March 2026, was taken on" in broken[-1].text
    assert ("false alarm" in broken[-1].action) == (device == "web")


def test_where_nothing_converts_that_is_said(made, shop):  # noqa: F811
    counts = count(shop, conversion=None)
    chain = draw_chains(counts, n_draws=20, rng=np.random.default_rng(1))
    none = {"counts": counts} | {
        "states": state_table(chain),
        "bottlenecks": bottleneck_table(chain, improvement=0.1),
    }
    assert [f.text for f in told(made, **none) if f.worth < 3] == [
        f"None of {counts.n_sessions} sessions convert."
    ]


def test_many_events_of_one_time_are_said(made):
    many = replace(made["counts"], n_tied=made["counts"].n_events // 2)
    assert any(f.text.endswith("the order of the file decides which came first.") for f in told(made, counts=many))
    assert not any("order of the file" in f.text for f in told(made))


def test_of_paths_with_numbers_no_interval_is_told(made):
    rows = events([("a > b", 30, 50), ("b", 10, 20)], "path", "conversions", "nulls")
    counts = count_steps(rows, conversion=None, session_gap_minutes=30)
    chain = draw_chains(counts, n_draws=20, rng=np.random.default_rng(1))
    steps = path_steps(rows)
    paths = {"counts": counts, "states": state_table(chain)}
    paths["bottlenecks"] = bottleneck_table(chain, improvement=0.1)
    paths["differences"] = compare_groups(steps, group_by=None, n_periods=2, alpha=0.05)
    rng = {"n_simulations": 19, "rng": np.random.default_rng(1)}
    paths["faults"] = find_faults(steps, alpha=0.05, shortest_days=2, longest_days=9, **rng)
    said = told(made, **paths)
    assert {f.low for f in said} == {None}
    assert "clear" not in {f.strength for f in said}

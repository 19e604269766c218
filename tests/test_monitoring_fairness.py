"""Groups along the pipeline by hand and by simulation; the largest of many differences; planted proxies."""

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.stats import studentized_range

from journeybook.errors import JourneybookError
from journeybook.monitoring import find_served, say_served, serving_holds, try_serving
from journeybook.monitoring.fairness import POOLED, compare_served, proxies


def people(rng: np.random.Generator, sizes: dict[str, int]) -> pd.Series:
    names = np.repeat(list(sizes), list(sizes.values()))
    return pd.Series(rng.permutation(names), index=[f"p{i}" for i in range(len(names))])


def rows_of(group: pd.Series, value: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"person_id": group.index, "value": value})


def test_means_differences_and_reach_by_hand() -> None:
    rng = np.random.default_rng(1)
    group = people(rng, {"a": 4000, "b": 4000, "c": 4000})
    value = rng.normal(size=12000) + group.map({"a": 0.0, "b": 0.3, "c": -0.1}).to_numpy()
    found = compare_served({"reach": rows_of(group, value)}, group, min_group_size=50, rng=rng)
    by_hand = pd.Series(value, index=group.index).groupby(group).agg(["mean", "std", "size"])
    assert found.groups["mean"].to_numpy() == pytest.approx(by_hand["mean"].to_numpy())
    half = 1.959964 * by_hand["std"] / np.sqrt(by_hand["size"])
    assert (found.groups["high"] - found.groups["mean"]).to_numpy() == pytest.approx(half.to_numpy(), rel=1e-3)
    top = found.spread.iloc[0]
    assert (top["largest"], top["smallest"]) == ("b", "c")
    assert top["difference"] == pytest.approx(by_hand["mean"]["b"] - by_hand["mean"]["c"])
    reach = studentized_range.ppf(0.95, 3, np.inf) / np.sqrt(4000)
    assert top["high"] - top["difference"] == pytest.approx(reach, rel=0.03)


def test_groups_that_are_alike_are_told_apart_as_seldom_as_the_level_says() -> None:
    """Six groups, two steps of the same people: naive intervals of the largest exclude 0 far more often."""
    told, naive = 0, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        group = people(rng, dict.fromkeys("abcdef", 60))
        value = rng.normal(size=360)
        steps = {"one": rows_of(group, value), "two": rows_of(group, value + rng.normal(size=360))}
        found = compare_served(steps, group, min_group_size=20, rng=rng)
        told += (found.spread["low"] > 0).any()
        means = found.groups[found.groups["step"] == "one"]
        error = ((means["high"] - means["low"]) / 3.92).to_numpy()
        top, bottom = means["mean"].to_numpy().argmax(), means["mean"].to_numpy().argmin()
        naive += np.ptp(means["mean"]) > 1.96 * np.hypot(error[top], error[bottom])
    assert told / 120 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 120)
    assert told >= 1 and naive / 120 > 0.25


def test_rows_of_one_person_count_as_one_person() -> None:
    rng = np.random.default_rng(2)
    group = people(rng, {"a": 300, "b": 300})
    once = rows_of(group, rng.normal(size=600))
    five = pd.concat([once] * 5, ignore_index=True)
    found = [
        compare_served({"x": rows}, group, min_group_size=50, rng=np.random.default_rng(1))
        for rows in (once, five)
    ]
    assert found[0].groups["low"].to_numpy() == pytest.approx(found[1].groups["low"].to_numpy())
    assert found[1].groups["n_people"].tolist() == [300, 300]


def test_small_groups_are_pooled_and_said() -> None:
    rng = np.random.default_rng(3)
    group = people(rng, {"a": 100, "b": 90, "c": 12, "d": 11})
    rows = rows_of(group, rng.random(213))
    found = compare_served({"x": rows}, group, min_group_size=20, rng=rng)
    assert found.groups["group"].tolist() == ["a", "b", POOLED]
    assert found.pooled.to_dict("records") == [{"step": "x", "groups": 2, "n_people": 23, "shown": True}]
    found = compare_served({"x": rows}, group, min_group_size=50, rng=rng)
    assert found.groups["group"].tolist() == ["a", "b"]
    assert found.pooled.to_dict("records") == [{"step": "x", "groups": 2, "n_people": 23, "shown": False}]
    with pytest.raises(ValueError, match="x has a row without a value"):
        compare_served({"x": rows.assign(value=np.nan)}, group, min_group_size=50, rng=rng)


def test_proxies_that_were_planted_are_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(4)
    group = people(rng, {"a": 1000, "b": 1000})
    is_a = (group == "a").to_numpy()
    features = pd.DataFrame(
        {
            "same": is_a.astype(float),
            "shifted": rng.normal(size=2000) + 1.5 * is_a,
            "noise": rng.normal(size=2000),
            "level": np.where(rng.random(2000) < 0.9, np.where(is_a, "x", "y"), "z"),
            "many": [f"v{i}" for i in range(2000)],
        },
        index=group.index,
    )
    found = proxies(features, group, rng=rng).set_index("feature")
    assert found.loc["same", "told_share"] > 0.98
    assert found.loc["level", "told_share"] == pytest.approx(0.9, abs=0.03)
    # A shift of 1.5 standard deviations: 1 - E[-log p(group | x)] / log 2, by integration.
    at = np.linspace(-8, 10, 200_001)
    odds = np.exp(-((at - 1.5) ** 2) / 2) / (np.exp(-((at - 1.5) ** 2) / 2) + np.exp(-(at**2) / 2))
    density = (np.exp(-(at**2) / 2) + np.exp(-((at - 1.5) ** 2) / 2)) / 2 / np.sqrt(2 * np.pi)
    entropy = -(odds * np.log(np.clip(odds, 1e-300, 1)) + (1 - odds) * np.log(np.clip(1 - odds, 1e-300, 1)))
    expected = 1 - (density * entropy).sum() * (at[1] - at[0]) / np.log(2)
    assert found.loc["shifted", "low"] - 0.02 < expected < found.loc["shifted", "high"] + 0.02
    assert found.loc["noise", "low"] <= 0 and found.loc["noise", "told_share"] < 0.01
    assert found.loc["many", "low"] <= 0 and found.loc["many", "told_share"] < 0.005, (
        "what is another for everyone tells of nobody whom it has not met"
    )


def test_one_group_alone_has_no_proxies() -> None:
    group = pd.Series("a", index=range(100))
    assert proxies(pd.DataFrame({"x": np.arange(100.0)}), group, rng=np.random.default_rng(1)).empty


NAMES = ("profiles", "contacts", "scores", "features", "segments", "decisions", "recommendations")


def serve(tables: dict[str, pd.DataFrame], by: str | None, truth: pd.DataFrame | None = None):
    there = {name: ibis.memtable(tables[name]) if name in tables else None for name in NAMES}
    return try_serving(there, truth, by=by, min_group_size=20, rng=np.random.default_rng(5)), there


def test_a_page_without_groups_says_so_in_one_line_and_finds_nothing() -> None:
    people = pd.DataFrame({"person_id": [f"p{i}" for i in range(60)], "shop": ["a", "b"] * 30})
    for tables, by in (({}, "shop"), ({"profiles": people}, None), ({"profiles": people}, "shop")):
        found, there = serve(tables, by)
        assert say_served(found).startswith("Groups are not compared: ") and not find_served(found)
        assert serving_holds(found, there).empty
    with pytest.raises(JourneybookError, match="groups is 'colour': needed is a column of profiles, person_id"):
        serve({"profiles": people}, "colour")


def test_steps_of_the_page_by_hand() -> None:
    """Thirty people a shop: `a` is sent two messages each, `b` one, and of some the shop is not known."""
    shop = ["a"] * 30 + ["b"] * 30 + [None] * 30
    people = pd.DataFrame({"person_id": [f"p{i}" for i in range(90)], "shop": shop})
    to = [f"p{i}" for i in [*range(30), *range(30), *range(30, 60), *range(60, 90)]]
    contacts = pd.DataFrame({"row": range(120), "person_id": to, "channel": ["sms"] * 90 + ["none"] * 30})
    contacts["responded"] = contacts["row"] % 3 == 0
    truth = pd.DataFrame({"person_id": [f"p{i // 2}" for i in range(120)], "one": np.arange(120) // 2})
    truth.loc[truth["one"] >= 45, "person_id"] = [f"p{i}" for i in range(30, 60)]
    found, there = serve({"profiles": people, "contacts": contacts}, "shop", truth)
    mean = found.tables["served"].set_index(["step", "group"])["mean"]
    reach = mean["messages a person"]
    assert reach.to_dict() == {"a": 2, "b": 1, "not known": 0}
    assert mean["messages answered"].to_dict() == pytest.approx({"a": 1 / 3, "b": 1 / 3})
    ids = truth[truth["person_id"].isin(people["person_id"][30:60])]
    alike = [((ids["person_id"] == row.person_id) & (ids["one"] == row.one)).sum() - 1 for row in ids.itertuples()]
    assert mean["own ids recognised"]["b"] == pytest.approx(np.mean(alike))
    checks = serving_holds(found, there)
    assert ((checks["value"] - checks["reference"]).abs() <= checks["tolerance"]).all()

"""The register of looks: what counts as the same look, an early one, a later one; and its file."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from journeybook.errors import JourneybookError
from journeybook.experiments.looks import fingerprint, look, look_at
from journeybook.experiments.plan import Plan
from journeybook.tables import keep_in_register, read_register


def units(n: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "row": np.arange(n),
            "unit_id": [f"u{i}" for i in range(n)],
            "person_id": [f"p{i}" for i in range(n)],
            "occurred_at": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="h"),
            "variant": np.where(rng.random(n) < 0.5, "a", "b"),
            "spend": np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2, 5, n)),
        }
    )


def taken(*sizes: int, planned: int = 1000, plan: str = "p"):
    """The last of several looks at data of the given sizes, each a digest of its own."""
    entry, seen = None, None
    for number, n in enumerate(sizes):
        seen = look(
            entry, digest=f"d{number}", n_units=n, planned_units=planned, over=n >= planned, plan=plan
        )  # fmt: skip
        entry = seen.entry
    return seen


def test_the_fingerprint_is_of_the_data_and_of_nothing_else():
    table = units()
    same = table.sample(frac=1, random_state=1).assign(row=range(50), person_id="another key")
    assert fingerprint(same[table.columns[::-1]]) == fingerprint(table)
    assert fingerprint(table.drop(columns="person_id")) == fingerprint(table)
    changed = table.copy()
    changed.loc[3, "spend"] += 0.01
    others = [changed, table.iloc[:-1], table.rename(columns={"spend": "sold"}), table.assign(variant="a")]
    digests = {fingerprint(other) for other in [table, *others]}
    assert len(digests) == 5
    # Kept in a file, so it must be the same in every process and on every machine.
    plain = pd.DataFrame({"variant": ["a", "b"], "spend": [1.0, 2.5]})
    assert fingerprint(plain) == "b918e6e8a320c6455da70ee71ce7cfd4a4e15a156bcda7997a4680ad27a00af4"


def test_one_look_at_the_planned_end_is_a_fixed_horizon():
    seen = taken(1000)
    assert (seen.number, seen.n_before, seen.early, seen.headline) == (1, 0, False, "fixed_horizon")
    assert not seen.plan_changed


def test_a_look_before_the_planned_end_is_always_valid_and_so_is_the_end_after_it():
    early = taken(400)
    assert (early.early, early.headline, early.planned_n) == (True, "always_valid", 1000)
    end = taken(400, 1000)
    assert (end.number, end.n_before, end.early, end.headline) == (2, 1, False, "always_valid")
    # The interval is tuned to the plan at every look: another tuning would break its promise.
    assert end.planned_n == 1000


def test_an_experiment_that_went_on_after_its_end_is_always_valid():
    assert taken(1000, 1500).headline == "always_valid"


def test_the_same_data_are_the_same_look_whatever_came_after():
    first = taken(1000)
    later = look(first.entry, digest="more", n_units=1500, planned_units=1000, over=True, plan="p")
    again = look(later.entry, digest="d0", n_units=1000, planned_units=1000, over=True, plan="p")
    assert (again.number, again.headline, again.entry) == (1, "fixed_horizon", later.entry)
    assert len(later.entry["looks"]) == 2


def test_units_that_withdraw_after_the_end_make_no_early_look():
    assert taken(1010, 1003).headline == "fixed_horizon"
    # Other outcomes of the same units are another look at the experiment.
    assert taken(1000, 1000).headline == "always_valid"


def test_without_a_plan_the_first_look_counts_as_the_end():
    first = taken(700, planned=0, plan="")
    assert (first.headline, first.planned_n) == ("fixed_horizon", 700)
    second = taken(700, 900, planned=0, plan="")
    assert (second.headline, second.planned_n) == ("always_valid", 700)


def test_a_changed_plan_is_seen_and_the_first_one_remembered():
    first = taken(400, plan="one")
    second = look(first.entry, digest="d1", n_units=900, planned_units=900, over=True, plan="two")
    assert (second.plan_changed, second.first_plan) == (True, "one")
    back = look(second.entry, digest="d2", n_units=1000, planned_units=1000, over=True, plan="one")
    assert not back.plan_changed
    late = look(taken(400, plan="").entry, digest="d0", n_units=400, planned_units=400, over=True, plan="one")
    assert (late.plan_changed, late.first_plan) == (True, "")


def test_your_experiment_grows_under_one_name_and_a_simulation_has_its_own():
    def key(table: pd.DataFrame, *, dataset: str) -> str:
        plan = Plan(alpha=0.05, power=0.8)
        return look_at(table, plan, register={}, page="11", experiment="x", dataset=dataset).key

    first, more = units(50), units(60)
    assert key(first, dataset="journey_demo") != key(more, dataset="journey_demo")
    assert key(first.iloc[::-1], dataset="files") == key(first, dataset="files")
    about = {"page": "11", "experiment": "x", "dataset": "files"}
    seen = look_at(first, Plan(alpha=0.05, power=0.8), register={}, **about)
    later = look_at(more, Plan(alpha=0.05, power=0.8), register={seen.key: seen.entry}, **about)
    assert (later.number, later.valid_at(0.5), seen.valid_at(0.5)) == (2, 25, None)
    assert later.key == seen.key
    # One that withdrew changes nothing; another test with the same arms and ids is its own.
    register = {seen.key: seen.entry}
    assert look_at(more.drop(index=3), Plan(alpha=0.05, power=0.8), register=register, **about).number == 2
    days = pd.Timedelta("30D")
    other = more.assign(occurred_at=more["occurred_at"] + days, variant=more["variant"].to_numpy()[::-1])
    assert look_at(other, Plan(alpha=0.05, power=0.8), register=register, **about).number == 1
    # Without ids or times a test is known by what was measured on its first rows.
    bare = more.drop(columns=["unit_id", "occurred_at"])
    again = look_at(bare.head(50), Plan(alpha=0.05, power=0.8), register={}, **about)
    assert look_at(bare, Plan(alpha=0.05, power=0.8), register={again.key: again.entry}, **about).number == 2
    old = {"11 x: a | b": {k: v for k, v in seen.entry.items() if k != "first"}}
    assert look_at(more, Plan(alpha=0.05, power=0.8), register=old, **about).headline == "always_valid"
    # A byte a unit says of nobody whether they were in it.
    assert len(seen.entry["first"]) == 2 * 50


def test_the_entry_says_nothing_of_a_person_and_survives_its_file():
    entry = taken(400, 1000).entry
    assert json.loads(json.dumps(entry)) == entry
    assert set(entry) == {"plan", "looks"}
    assert all(set(one) == {"digest", "n_units"} for one in entry["looks"])


def test_a_register_is_beside_the_tables_for_its_owner_alone(tmp_path):
    run = SimpleNamespace(_folder=tmp_path / "out" / "tables", _layer=None, _access=None)
    run._folder.mkdir(parents=True)
    assert read_register(run, "looks") == {}
    keep_in_register(run, "looks", key="a", entry={"n": 1})
    keep_in_register(run, "looks", key="b", entry={"n": 2})
    keep_in_register(run, "looks", key="a", entry={"n": 3})
    path = tmp_path / "out" / "looks.json"
    assert read_register(run, "looks") == {"a": {"n": 3}, "b": {"n": 2}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    keep_in_register(run, "looks", key="a", entry={"n": 3})
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["looks.json", "tables"]


def test_pages_that_write_at_the_same_time_lose_nothing(tmp_path):
    run = SimpleNamespace(_folder=tmp_path / "tables", _layer=None, _access=None)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: keep_in_register(run, "looks", key=str(n), entry={"n": n}), range(60)))
    assert read_register(run, "looks") == {str(n): {"n": n} for n in range(60)}


@pytest.mark.parametrize("text", ["not json", "[1, 2]", ""])
def test_a_file_that_is_no_register_is_not_overwritten(tmp_path, text):
    run = SimpleNamespace(_folder=tmp_path / "tables", _layer=None, _access=None)
    (tmp_path / "looks.json").write_text(text)
    for call in (lambda: read_register(run, "looks"), lambda: keep_in_register(run, "looks", key="a", entry={})):
        with pytest.raises(JourneybookError, match=r"looks\.json is no register"):
            call()
    assert (tmp_path / "looks.json").read_text() == text

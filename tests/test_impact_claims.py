"""The register of claims: what goes in, what later data say of it, and what is no later data."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mutants.planted import run_cells

from journeybook import impact
from journeybook.datasets import build_dataset
from journeybook.impact.claims import holds
from journeybook.report.claims import words_of, write_claims
from journeybook.statistics import stream
from journeybook.tables import keep_claims, owners_view, raw_digest

PAGE = "16_impact"
EFFECTS = pd.DataFrame(
    {"source": ["contacts", "tests: a"], "metric": "spend", "effect": [1.0, 2.0], "low": [0.5, np.nan]}
).assign(high=[1.5, 2.5])


def made(*values: float, half: float = 1.0) -> list[dict]:
    """Claims of other data each, `d0` on."""
    return [{"digest": f"d{k}", "value": v, "low": v - half, "high": v + half} for k, v in enumerate(values)]


def scored(register: dict, *, dataset: str = "files", digest: str = "now") -> pd.DataFrame:
    return impact.score_claims(register, dataset=dataset, digest=digest, page=PAGE)


def register(*values: float, page: str = PAGE) -> dict:
    return {page: {"claims": {"messages add to spend": made(*values)}}}


@pytest.fixture
def run(tmp_path: Path):
    """A run's tables of a shop with contacts."""
    return owners_view(_built(tmp_path, seed=1))


def _built(folder: Path, *, seed: int) -> Path:
    rng = stream(seed, "shop")
    n, tables = 1500, folder / "tables"
    sent = rng.random(n) < 0.6
    rows = pd.DataFrame({"customer_id": [f"c{one}" for one in rng.integers(0, 300, n)]})
    rows["occurred_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 100 * 24, n), unit="h")
    rows["channel"], rows["propensity"] = np.where(sent, "email", "none"), np.where(sent, 0.6, 0.4)
    rows["responded"] = (rng.random(n) < 0.2 + 0.1 * sent).astype(int)
    rows.to_csv(folder / "contacts.csv", index=False)
    files = {"contacts": {"path": "contacts.csv", "columns": {c: c for c in rows}}}
    tables.mkdir(exist_ok=True)
    build_dataset(tables, dataset="files", seed=1, timezone="Europe/London", files=files, base=folder)
    return tables


def test_a_claim_is_known_by_its_words_and_has_an_interval():
    assert impact.claims_of(EFFECTS) == {"contacts adds to spend": (1.0, 0.5, 1.5)}
    assert (
        words_of("It rose by +5.6 points, to 1,200 a week in 3 of 4.")
        == "It rose by # points, to # a week in # of #."
    )


def test_on_the_first_run_nothing_can_be_scored():
    assert scored({}).empty and scored(register(1.0)).empty
    said = impact.words.say_claims(scored({}), impact.simulated_claims(n=100, rng=stream(1, "c")))
    assert said.startswith("No claim has met later data yet: nothing can be scored.")


def test_each_claim_is_scored_by_the_next_later_data():
    found = scored(register(1.0, 2.2, 4.0))
    assert found["value"].tolist() == [1.0, 2.2] and found["later"].tolist() == [2.2, 4.0]
    assert found["held"].tolist() == [True, False], "two halves of 1 reach 1.41 apart"
    said = impact.words.say_claims(found, impact.simulated_claims(n=100, rng=stream(1, "c")))
    assert said.startswith("**Of 2 claims at 95%, 1 held.**")


def test_the_arms_towards_each_other_count():
    ends = np.array([0.0, -5.0, 0.1, 1.0, 0.9, 9.0])
    assert not holds(*ends) and holds(*ends[[3, 4, 5, 0, 1, 2]]).item() is False
    assert holds(0.0, -0.1, 0.9, 1.0, 0.1, 1.1)


def test_claims_of_the_repositorys_own_data_and_of_these_very_data_wait():
    assert scored(register(1.0, 9.0), dataset="journey_demo").empty
    other = register(1.0, 9.0, page="11_experiments")
    assert len(scored(other)) == 1 and scored(other, digest="d1").empty
    assert len(scored(register(1.0, 9.0), digest="d1")) == 1, "this page's own claims are written before"


def test_honest_claims_hold_at_their_level_and_chosen_ones_do_not():
    told = impact.simulated_claims(n=20_000, rng=stream(1, "claims")).set_index("kind")
    share = told["held"] / told["n"]
    assert share["all reported"] == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 20_000) ** 0.5)
    assert share["only clear ones reported"] < 0.92 and share["intervals half as wide"] < 0.70


def test_what_went_out_stays_and_the_same_data_add_nothing(run):
    first = keep_claims(run, page=PAGE, claims={"x": (1.0, 0.0, 2.0)}, digest="a")
    again = keep_claims(run, page=PAGE, claims={"x": (1.5, 0.5, 2.5)}, digest="a")
    assert again == first
    later = keep_claims(run, page=PAGE, claims={"x": (3.0, 2.0, 4.0), "y": (0.0, -1.0, 1.0)}, digest="b")
    assert [one["value"] for one in later["claims"]["x"]] == [1.0, 3.0] and len(later["claims"]["y"]) == 1


def test_a_digest_is_of_the_rows_alone(run, tmp_path):
    first = raw_digest(run)
    assert raw_digest(owners_view(_built(tmp_path, seed=1))) == first
    assert raw_digest(owners_view(_built(tmp_path, seed=2))) != first


def test_a_run_writes_down_findings_with_an_interval(run, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    sure = {"text": "It adds 5 points.", "value": 5.0, "low": 4.0, "high": 6.0}
    for page in ("05_segmentation", PAGE):
        told = {"findings": [sure, {"text": "7 rows.", "value": 7.0, "low": None, "high": None}]}
        (results / f"{page}.json").write_text(json.dumps(told))
    write_claims(run._folder, tmp_path, ["05_segmentation", PAGE, "06_lifetime_value"])
    kept = json.loads((tmp_path / "claims.json").read_text())
    assert {page: [*entry["claims"]] for page, entry in kept.items()} == {"05_segmentation": ["It adds # points."]}


def test_the_page_scores_what_it_said_when_later_data_come(tmp_path):
    """From contacts alone: the first data score nothing, also when they are read twice; other data score both."""
    told = []
    for seed in (1, 1, 2):
        tables = _built(tmp_path, seed=seed)
        about = {"tables": tables, "results": tmp_path / "results"}
        for page in ("01_collection", "02_cleaning"):
            run_cells(page, **about)
        page = run_cells(PAGE, **about, parameters={"n_people": 2000, "n_simulations": 200})["page"]
        assert not [check.name for check in page.checks.values() if not check.passed]
        told.append((tmp_path / "results" / f"{PAGE}.json").read_bytes())
    assert told[0] == told[1], "the same data give the same bytes, whatever the register holds"
    first, last = (json.loads(one)["tables"]["claims"] for one in told[1:])
    assert first == [] and [one["claim"] for one in last] == [f"{PAGE}: contacts adds to responded"]

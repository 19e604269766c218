"""A person is deleted from the files, the pages run again, and what page 10 adds noise to moves as it states."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mutants.planted import Mutant, run_needed, run_page

from journeybook.datasets import build_dataset
from journeybook.privacy.releases import exact_figures

TABLES = ("transactions", "customer_records", "consents")
PAGES = {
    "01_collection": {},
    "02_cleaning": {},
    "03_identity": {"n_random_pairs": 20_000},
    "04_enrichment": {"max_snapshots": 2},
}
N_PEOPLE = 20


class Seen(Exception):
    """Page 10 has shown what it adds noise to."""


def _collect(source: Path, folder: Path, *, without: Sequence[str]) -> Path:
    """A data set of the files, without some customers; the pages up to the features are run on it."""
    files = {}
    for name in TABLES:
        table = pd.read_parquet(source / "raw" / f"{name}.parquet").drop(columns="row")
        if "customer_id" in table:
            table = table[~table.customer_id.isin(without)]
        path = folder / "files" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False)
        files[name] = {"path": str(path), "columns": {column: column for column in table.columns}}
    tables = folder / "tables"
    tables.mkdir()
    build_dataset(tables, dataset="files", seed=1, files=files, base=folder)
    for page, quick in PAGES.items():
        run_needed(page, wanted={"its files"}, tables=tables, results=folder / "results", parameters=quick)
    return tables


def _published(tables: Path) -> np.ndarray:
    """Counts and clamped sums that page 10 is about to add noise to, in units of the stated sensitivity."""
    seen = []

    def shown(_sound):
        def released(revenue, groups, **_settings):
            stated = np.array([np.ones(len(groups.names)), groups.max_revenue])
            seen.append(exact_figures(revenue, groups) / stated)
            raise Seen

        return released

    mutant = Mutant("shown", "", "journeybook.privacy:release_figures", shown)
    with pytest.raises(Seen):
        run_page("10_privacy", tables=tables, results=tables.parent / "results", mutant=mutant)
    return seen[0]


def _chosen(tables: Path) -> list[str]:
    """The largest spender, the last and the first receipt, who has most ids, and others evenly by revenue."""
    people = pd.read_parquet(tables / "people.parquet")
    receipts = pd.read_parquet(tables / "clean" / "transactions.parquet").merge(people, on="customer_id")
    of_each = receipts.groupby("person_id").agg(
        revenue=("revenue", "sum"), first=("occurred_at", "min"), last=("occurred_at", "max")
    )
    of_each["n_ids"] = people.groupby("person_id").customer_id.nunique()
    ranked = of_each.sort_values("revenue").index
    first = [ranked[-1], of_each["last"].idxmax(), of_each["first"].idxmin(), of_each.n_ids.idxmax(), ranked[0]]
    evenly = ranked[np.linspace(0, len(ranked) - 1, N_PEOPLE).astype(int)]
    return list(dict.fromkeys([*first, *evenly]))[:N_PEOPLE]


def _partition(tables: Path, *, without: Sequence[str]) -> set[frozenset[str]]:
    people = pd.read_parquet(tables / "people.parquet")
    people = people[~people.customer_id.isin(without)]
    return set(people.groupby("person_id").customer_id.agg(frozenset))


@pytest.mark.slow
def test_a_deleted_person_moves_what_is_published_by_at_most_its_sensitivity(tmp_path, monkeypatch):
    """Where leaving changes how page 03 links others, no guarantee is claimed, and the page says so."""
    monkeypatch.setenv("JOURNEYBOOK_KEY", bytes(range(32)).hex())
    source = tmp_path / "source"
    source.mkdir()
    build_dataset(source, dataset="journey_demo", seed=1, scale=0.05)
    whole = _collect(source, tmp_path / "whole", without=[])
    published = _published(whole)
    people = pd.read_parquet(whole / "people.parquet")
    n_held = n_moved = 0
    for i, person in enumerate(_chosen(whole)):
        ids = people[people.person_id == person].customer_id.tolist()
        rest = _collect(source, tmp_path / f"without {i}", without=ids)
        if _partition(whole, without=ids) != _partition(rest, without=ids):
            continue
        n_held += 1
        moved = np.abs(published - _published(rest)).sum(axis=1)
        assert (moved <= 1 + 1e-9).all(), (i, moved)
        n_moved += int(moved[0] > 0)
    assert min(n_held, n_moved) >= N_PEOPLE // 2

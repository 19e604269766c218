"""Withdrawing consent leaves pages 02 to 11 as if the person had never been collected."""

import io
import json

import leavers
import matplotlib as mpl
import pandas as pd
import pytest

from journeybook.statistics import stream
from journeybook.tables import PURPOSES

mpl.use("agg")

NAMED = [leavers.LAST, leavers.SPENDER, leavers.ALONE, leavers.SHARED]
OTHERS = [f"C{n:03d}" for n in range(5, leavers.N_PEOPLE)]
LEAVERS = NAMED + sorted(stream(1, "leavers").choice(OTHERS, 10, replace=False).tolist())
FIRST = ("01_collection", "02_cleaning", "03_identity", "04_enrichment")

# What is made of rows that are read for one purpose alone.
MADE_FOR = {
    "analytics": {"clean/transactions", "clean/contacts", "clean/events", "features", "transitions"},
    "identity_resolution": {"clean/customer_records", "people", "profiles", "03_identity"},
}

# Page 03 counts who refuses, 14 whom it wrote to without a permission then; five log decisions that they read.
_LOGS = ("05_segmentation", "07_channel_response", "11_experiments", "14_decisions", "15_monitoring")
OF_THE_LEDGER = {f"reads/{page}.parquet" for page in _LOGS}
OF_THE_LEDGER |= {"03_identity.json", "14_decisions.json"}


def content(artefacts: dict[str, bytes], name: str) -> str:
    """What an artefact holds: its rows, or its figures without the digests of the files read."""
    if f"{name}.parquet" in artefacts:
        return pd.read_parquet(io.BytesIO(artefacts[f"{name}.parquet"])).to_csv(index=False)
    return json.dumps(json.loads(artefacts[f"{name}.json"]) | {"inputs": None})


@pytest.fixture(scope="module")
def shop() -> dict[str, pd.DataFrame]:
    return leavers.shop()


@pytest.fixture(scope="module")
def never(shop, tmp_path_factory) -> dict[str, bytes]:
    return leavers.run_files(leavers.without(shop, LEAVERS), tmp_path_factory.mktemp("never") / "run")


@pytest.mark.slow
def test_who_withdrew_everything_was_never_there(shop, never, tmp_path):
    withdrawn = leavers.run_files(leavers.withdrawn(shop, LEAVERS), tmp_path / "run")
    assert {"11_experiments.json", "segments.parquet", "private_releases.parquet"} <= withdrawn.keys()
    assert leavers.unlike(withdrawn, never) == set()


@pytest.mark.slow
def test_nor_was_who_has_the_last_receipt_alone(shop, tmp_path):
    runs = [leavers.without(shop, [leavers.LAST]), leavers.withdrawn(shop, [leavers.LAST])]
    found = [leavers.run_files(run, tmp_path / f"{n}", pages=FIRST) for n, run in enumerate(runs)]
    assert leavers.unlike(*found) == set()


@pytest.mark.slow
@pytest.mark.parametrize("purpose", MADE_FOR)
def test_who_withdrew_one_purpose_was_never_read_for_it(shop, never, tmp_path, purpose):
    pages = (*FIRST, "08_clickstream") if purpose == "analytics" else FIRST[:3]
    tables = leavers.withdrawn(shop, LEAVERS, purposes=(purpose,))
    withdrawn = leavers.run_files(tables, tmp_path / "run", pages=pages)
    assert {n for n in MADE_FOR[purpose] if content(withdrawn, n) != content(never, n)} == set()


@pytest.mark.slow
def test_each_purpose_withdrawn_alone_is_as_if_it_had_never_been_permitted(shop, tmp_path):
    """Each of the seven by two of the leavers, who permit the other six."""
    ledger = shop["consents"]
    refused, silent = dict(shop), pd.Series(False, index=ledger.index)
    for n, purpose in enumerate(PURPOSES):
        two = LEAVERS[2 * n : 2 * n + 2]
        refused = leavers.withdrawn(refused, two, purposes=(purpose,))
        silent |= ledger.customer_id.isin(leavers.ids_of(two)) & (ledger.purpose == purpose)
    runs = [refused, shop | {"consents": ledger[~silent]}]
    found = [leavers.run_files(run, tmp_path / f"{n}") for n, run in enumerate(runs)]
    assert len(runs[0]["consents"]) > len(ledger) > len(runs[1]["consents"])
    assert leavers.unlike(*found) == OF_THE_LEDGER

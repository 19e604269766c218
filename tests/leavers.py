"""Small files of a shop, with and without some people, for tests of what a withdrawal leaves behind."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from mutants.planted import run_page

from journeybook.datasets import build_dataset
from journeybook.statistics import stream
from journeybook.tables import PURPOSES

N_PEOPLE = 120
PAGES = ("01_collection", "02_cleaning", "03_identity", "04_enrichment", "05_segmentation",
         "06_lifetime_value", "07_channel_response", "08_clickstream", "09_attribution", "10_privacy",
         "11_experiments", "12_experiment_design", "13_recommendation", "14_decisions", "15_monitoring",
         "16_impact")  # fmt: skip
START = pd.Timestamp("2024-01-01")
LAST, SPENDER, ALONE, SHARED = "C000", "C001", "C002", "C003"
"""Who has the last receipt, spends most, lives alone in a postcode, and shares another's e-mail."""


def shop(seed: int = 20260101) -> dict[str, pd.DataFrame]:
    """Canonical tables of a made-up shop, every one with the ids `C000` on, some with an older id `D000` on."""
    rng = stream(seed, "shop")
    ids = [f"C{n:03d}" for n in range(N_PEOPLE)]
    lines = [
        (c, START + pd.Timedelta(days=float(d)), round(float(rng.lognormal(3, 0.8)), 2))
        for c in ids
        for d in rng.uniform(1, 170, rng.poisson(8) + 3)
    ]
    lines += [
        (LAST, START + pd.Timedelta(days=205, hours=10), 60.0),
        (SPENDER, START + pd.Timedelta(days=90), 9e3),
    ]
    receipts = pd.DataFrame(lines, columns=["customer_id", "occurred_at", "revenue"])
    receipts["occurred_at"] = receipts.occurred_at.dt.floor("s")
    receipts["product_id"] = [f"product {n}" for n in stream(seed, "products").integers(12, size=len(receipts))]
    postcode = {c: f"{10000 + n % 9}" for n, c in enumerate(ids)} | {ALONE: "99999"}
    records = pd.DataFrame(
        {
            "record_id": [f"r{n}" for n in range(N_PEOPLE)],
            "source": "shop",
            "customer_id": ids,
            "given_name": [f"Given{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(N_PEOPLE)],
            "surname": [f"Sur{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(N_PEOPLE)],
            "email": [f"person{n}@example.org" for n in range(N_PEOPLE)],
            "postcode": [postcode[c] for c in ids],
            "updated_at": START,
        }
    )
    records.loc[records.customer_id == SHARED, "email"] = "person4@example.org"
    older = records.iloc[::3].assign(source="web", record_id=lambda t: "w" + t.record_id.str[1:])
    older["customer_id"] = "D" + older.customer_id.str[1:]
    records = pd.concat([records, older], ignore_index=True)
    events = []
    for c in ids:
        for day in rng.uniform(1, 170, 6):
            at = START + pd.Timedelta(days=float(day))
            for k, step in enumerate(["home", "search", "product", "basket", "order"][: rng.integers(1, 6)]):
                events.append((c, step, (at + pd.Timedelta(minutes=3 * k)).floor("s"), "email" if k else "search"))
    contacts = pd.DataFrame(
        {"customer_id": rng.choice(ids, 900), "channel": rng.choice(["email", "sms"], 900), "propensity": 0.5}
    )
    contacts["occurred_at"] = (START + pd.to_timedelta(rng.uniform(40, 165, 900), unit="D")).floor("s")
    contacts["responded"] = rng.random(900) < np.where(contacts.channel == "email", 0.3, 0.15)
    third = pd.DataFrame({"postcode": sorted(set(postcode.values())), "as_of": START})
    third["income"] = rng.integers(20, 90, len(third))
    units = pd.DataFrame({"customer_id": ids, "variant": rng.choice(["control", "treatment"], N_PEOPLE)})
    units["spend"] = rng.lognormal(3, 0.8, N_PEOPLE).round(2)
    consents = pd.DataFrame(
        [
            (c, p, True, START - pd.Timedelta(days=n % 9))
            for n, c in enumerate(records.customer_id)
            for p in PURPOSES
        ],
        columns=["customer_id", "purpose", "granted", "occurred_at"],
    )
    # One grant in seven ends while the leavers are still seen, after everybody else is.
    consents["expires_at"] = pd.NaT
    consents.loc[consents.index % 7 == 3, "expires_at"] = START + pd.Timedelta(days=190)
    return {
        "transactions": receipts.sort_values("occurred_at", kind="stable"),
        "customer_records": records,
        "events": pd.DataFrame(events, columns=["customer_id", "event", "occurred_at", "channel"]),
        "contacts": contacts,
        "third_party": third,
        "experiment": units,
        "consents": consents,
    }


def ids_of(people: list[str]) -> list[str]:
    """Both ids of each person."""
    return [*people, *("D" + c[1:] for c in people if int(c[1:]) % 3 == 0)]


def without(tables: Mapping[str, pd.DataFrame], people: list[str]) -> dict[str, pd.DataFrame]:
    """The files as they were if these people had never been collected."""
    gone = ids_of(people)
    return {
        name: table[~table.customer_id.isin(gone)] if "customer_id" in table else table
        for name, table in tables.items()
    }


def withdrawn(
    tables: Mapping[str, pd.DataFrame], people: list[str], *, purposes: tuple[str, ...] = PURPOSES
) -> dict[str, pd.DataFrame]:
    """The files after these people have refused some purposes, as the last decisions of the ledger."""
    moment = START + pd.Timedelta(days=206)
    refusals = pd.DataFrame(
        [(c, p, False, moment, pd.NaT) for c in ids_of(people) for p in purposes],
        columns=tables["consents"].columns,
    )
    return dict(tables) | {"consents": pd.concat([tables["consents"], refusals], ignore_index=True)}


def run_files(
    tables: Mapping[str, pd.DataFrame], out: Path, *, pages: tuple[str, ...] = PAGES
) -> dict[str, bytes]:
    """Write files and run pages over them; returns every artefact by name but the files' own and page 01's."""
    out.mkdir()
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False)
    mapping = {name: {"path": f"{name}.csv", "columns": {c: c for c in t.columns}} for name, t in tables.items()}
    about = {"dataset": "files", "seed": 20260101, "timezone": "Europe/London"}
    build_dataset(out / "tables", **about, files=mapping, base=out)
    for page in pages:
        run_page(page, tables=out / "tables", results=out / "results", parameters=QUICK.get(page, {}))
    # The log of pages 01 and 03 counts what was collected, and who refuses.
    logs = ("reads/01_collection", "reads/03_identity")
    own = ("raw/", "refused/", "consents", "quarantine", "dataset", "01_collection", *logs)
    found = {}
    for folder in (out / "tables", out / "results"):
        names = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        found |= {name: path.read_bytes() for name, path in names.items() if not name.startswith(own)}
    return found


QUICK = {
    "05_segmentation": {"max_segments": 3},
    "06_lifetime_value": {"n_draws": 50},
    "07_channel_response": {"n_settings": 1, "n_trees": 30},
    "11_experiments": {"metrics": {"spend": "mean"}},
    "12_experiment_design": {"n_simulations": 200},
    "13_recommendation": {"test_weeks": 8, "least_buyers": 2, "n_draws": 50},
    "15_monitoring": {"n_histories": 4, "n_simulations": 20, "groups": "n_sources", "min_group_size": 20},
    "16_impact": {"n_people": 2000, "n_simulations": 200},
}


def unlike(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> set[str]:
    """Names of artefacts that are not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}

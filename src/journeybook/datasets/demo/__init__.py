"""The demo: the real purchases of The Complete Journey, with what they lack simulated around them.

`transactions`, `products` and `coupon_contacts` are the study's and are never altered. Everything else is
drawn from the seed: customer records, consents, third-party attributes, contacts, events and experiments.
What was planted is written to `truth/`, apart from the tables that pages read.

    households.py    which households are drawn, what their receipts say, the type each is given
    people.py        one person a household, the accounts they open, what is true of them when
    records.py       what three systems hold of them, with errors of hands, ears and forms at published rates
    consents.py      who granted what when, withdrew it, renewed it
    third_party.py   what a data vendor says of their postcodes
    contacts.py      e-mail, SMS, push or nothing, at random with known probabilities, and who responded
    events.py        visits to site and app, by the law in event_chains.py; their truth is in event_truth.py
    properties.py    what each event says beside its name, by the plan in tracking_plan.yaml
    experiments.py   two A/B tests, one still running, and a 2x2 test
    faults.py        what is wrong in the rows of records, events, contacts and third parties
"""

from pathlib import Path

import ibis
import pandas as pd
from ibis.backends.duckdb import Backend

from journeybook.datasets.demo.consents import simulate_consents
from journeybook.datasets.demo.contacts import simulate_contacts
from journeybook.datasets.demo.events import simulate_events
from journeybook.datasets.demo.experiments import simulate_experiments
from journeybook.datasets.demo.faults import plant_faults
from journeybook.datasets.demo.households import describe_households, draw_households
from journeybook.datasets.demo.people import simulate_people
from journeybook.datasets.demo.properties import with_properties
from journeybook.datasets.demo.third_party import simulate_third_party, third_party_truth
from journeybook.datasets.storage import write_raw, write_truth
from journeybook.tables.schema import MONEY

_SOURCE = "simulated by journeybook from the seed, around the real purchases"


def build_demo(connection: Backend, folder: Path, *, seed: int) -> None:
    """Simulate what the study lacks, for the households of `raw/transactions`; write it to `raw/` and `truth/`."""
    path = str(folder / "raw" / "transactions.parquet").replace("'", "''")
    connection.raw_sql(f"CREATE OR REPLACE TEMP VIEW transactions AS SELECT * FROM read_parquet('{path}')")
    households = describe_households(connection, seed=seed)
    vendor = simulate_third_party(households, seed=seed)
    people = simulate_people(households, home=vendor.home, postcodes=vendor.postcodes, seed=seed)
    consents = simulate_consents(people.accounts, seed=seed)
    contacts = simulate_contacts(
        connection, households, accounts=people.accounts, ledger=consents.ledger, seed=seed
    )
    events = simulate_events(connection, seed=seed, web_accounts=_web_accounts(households, people.accounts))
    products = connection.con.execute("SELECT DISTINCT product_id FROM transactions ORDER BY 1").df()
    sent = with_properties(events.events, products=products["product_id"].to_numpy(dtype=str), seed=seed)
    experiments = simulate_experiments(connection, seed=seed)
    sound = {"customer_records": people.records, "third_party": vendor.table}
    sound |= {"contacts": contacts.contacts, "events": sent}
    open_ids = _open_ids(consents.ledger, consents.standing)
    faults = plant_faults(sound, open_ids=open_ids, names_swapped=people.names_swapped, seed=seed)

    tables = {"consents": consents.ledger, **faults.tables, **experiments.tables}
    tables["customer_records"] = _lazy(faults.tables["customer_records"], birth_date="date")
    tables["contacts"] = _lazy(faults.tables["contacts"], value=MONEY)
    for name, table in tables.items():
        # The experiments' covariate is what real households spent.
        provenance = "MIXED" if name in experiments.tables else "SIMULATED"
        write_raw(connection, folder, name, table, provenance=provenance, source=_SOURCE)
    parameters = {"third_party_correlation": vendor.correlation} | contacts.parameters
    truth = {
        "people": people.accounts[["customer_id", "household_id"]],
        "consents": consents.standing,
        "third_party": third_party_truth(vendor, people.postcodes),
        "contacts": contacts.truth,
        "parameters": pd.DataFrame({"name": list(parameters), "value": list(parameters.values())}),
        **events.truth,
        "experiments": experiments.truth,
        "faults": faults.truth,
    }
    for name, frame in truth.items():
        write_truth(connection, folder, name, frame)


def _open_ids(ledger: pd.DataFrame, standing: pd.DataFrame) -> pd.Series:
    """Return the ids that permit identity resolution and have never refused it."""
    asked, now = ledger["purpose"] == "identity_resolution", standing["purpose"] == "identity_resolution"
    refused = ledger.loc[asked & ~ledger["granted"], "customer_id"]
    permits = standing.loc[now & standing["permits"], "customer_id"]
    return permits[~permits.isin(refused)]


def _lazy(frame: pd.DataFrame, **dtypes: str) -> ibis.Table:
    """Return a frame as a table with its row numbers and with columns of types that pandas lacks."""
    return ibis.memtable(frame.assign(row=range(1, len(frame) + 1))).cast(dtypes)


def _web_accounts(households: pd.DataFrame, accounts: pd.DataFrame) -> pd.DataFrame:
    """Return every household with its type and its first web account, if it has one."""
    web = accounts[accounts["source"] == "web"].drop_duplicates("household_id").set_index("household_id")
    named = households[["customer_id", "customer_type"]].rename(columns={"customer_id": "household_id"})
    return named.assign(customer_id=named["household_id"].map(web["customer_id"]))

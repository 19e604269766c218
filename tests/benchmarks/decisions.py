"""Page 14's rules for one million people, and the same row by row in plain Python, in seconds of processor time.

    PYTHONPATH=src python tests/benchmarks/decisions.py [PEOPLE]

The bars are 10 s on two cores (20 s of processor time) for two slots, and a fiftieth of what plain Python takes
for as many, told by the time of its first 4,000 people; both decide alike for these. Neither has written a table.
"""

import sys
import time
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from journeybook.decisions.gains import Gains
from journeybook.decisions.people import people_now
from journeybook.decisions.rules import bind, read_rules
from journeybook.decisions.rules_hold import first_free, trees_of
from journeybook.decisions.slots import decide_slots
from journeybook.statistics import stream

CHANNELS, N_BY_HAND = ("email", "sms", "push"), 4_000


def tables(connection: ibis.BaseBackend, n: int) -> tuple[ibis.Table, dict[str, ibis.Table]]:
    """Contacts of the last week, and what is known of n people."""
    rng = stream(1, "people")
    person = pd.Series(np.char.add("p", np.arange(n).astype(str)), dtype="str")
    features = pd.DataFrame(
        {
            "row": np.arange(1, n + 1),
            "person_id": person,
            "as_of": pd.Timestamp("2026-01-01"),
            "recency_days": rng.exponential(30, n),
            "n_baskets": rng.poisson(9, n),
            "n_baskets_91d": rng.poisson(4, n),
            "weekend_share": rng.beta(2, 5, n),
            "n_products": rng.poisson(90, n),
            "tier": rng.integers(1, 6, n),
            "spend": rng.gamma(2, 15, n),
            "segment": rng.choice(["1 frequent", "2 average", "3 lapsing"], n),
            "last_trigger": rng.choice(["basket left", "back again"], n),
            "trigger_days": rng.exponential(20, n),
            "product_id": rng.integers(1, 500, n).astype(str),
        }
    )
    sent = pd.DataFrame({"person_id": person[rng.integers(0, n, n // 2)].to_numpy()})
    sent = sent.assign(row=range(1, len(sent) + 1), channel=rng.choice([*CHANNELS, "none"], len(sent)))
    sent["occurred_at"] = pd.Timestamp("2026-01-01") - pd.to_timedelta(rng.integers(1, 10**6, len(sent)), unit="s")
    made = {}
    for name, frame in {"features": features, "contacts": sent}.items():
        connection.con.register(f"{name}_frame", frame)
        connection.raw_sql(f"CREATE TABLE {name} AS SELECT * FROM {name}_frame")
        made[name] = connection.table(name)
    return made["contacts"], {"features": made["features"]}


def main(n: int) -> None:
    """Print the seconds of each step, and how often the engine is faster."""
    connection, rng = ibis.duckdb.connect(threads=2), stream(1, "permitted")
    asked, known = tables(connection, n)
    people = people_now(asked, known, ends=None)
    rules = bind(read_rules(None, dataset="journey_demo", as_of=datetime(2026, 1, 1)), people)
    permitted = {slot: {c: rng.random(n) < 0.6 for c in CHANNELS} for slot in rules.slots}
    effect = np.array([[[0.05, 0.03, 0.07], [0.03, 0.01, 0.05], [0.02, 0.0, 0.04]]])
    cost = np.array([0.1, 0.3, 0.05])
    spend = people.table.order_by("row").to_pandas()["spend"].to_numpy()
    gains = Gains(CHANNELS, pd.DataFrame(), effect, np.zeros(n, dtype=int), spend, cost, cost)
    began, wall = time.process_time(), time.perf_counter()
    decided = decide_slots(rules, people, gains, permitted=permitted)
    engine, wall = time.process_time() - began, time.perf_counter() - wall
    print(
        f"{n:,} people, {len(rules.slots)} slots: {engine:.1f} s of processor, {wall:.1f} s on the clock",
        flush=True,
    )

    some = people.table.order_by("row").limit(N_BY_HAND).to_pandas()
    before = {who: [] for who in some["person_id"]}
    past = asked.filter(asked.channel != "none").to_pandas()
    for who, channel, at in past[["person_id", "channel", "occurred_at"]].itertuples(index=False):
        if who in before:
            before[who].append((channel, at.to_pydatetime()))
    trees, (slot, at), n_off = trees_of(rules), next(iter(rules.slots.items())), 0
    told = decided.table["rule"].to_numpy()
    records = some.to_dict("records")
    began, won = time.process_time(), []
    for i, row in enumerate(records):
        row |= {"slot": slot, "hour": at.hour, "weekday": f"{at:%A}", "holiday": False}
        may = {c: bool(permitted[slot][c][i]) for c in CHANNELS}
        won.append(first_free(rules, trees, row, at, may=may, before=before[row["person_id"]]))
    by_hand = (time.process_time() - began) / N_BY_HAND * n * len(rules.slots)
    n_off = sum(one != other for one, other in zip(won, told[:N_BY_HAND], strict=True))
    print(f"row by row in Python: {by_hand:.0f} s for as many; {n_off} of {N_BY_HAND:,} decided otherwise")
    print(f"the engine is {by_hand / engine:.0f} times as fast")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

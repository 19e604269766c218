"""What is said of models and choices, made again by another road."""

import ibis
import numpy as np
import pandas as pd

from journeybook.monitoring.acting import ACTIONS, PER
from journeybook.monitoring.learning import STRATEGIES
from journeybook.monitoring.upkeep import Upkeep

_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def upkeep_holds(found: Upkeep, asked: ibis.Table | None, said: ibis.Table | None) -> pd.DataFrame:
    """Return how far measures, gains and what each week could know are off; one row a check, or none.

    `asked` and `said` are the contacts and what page 07 says of each, as the page reads them.
    """
    if found.acting is None or found.walk is None or found.scored is None or asked is None or said is None:
        return pd.DataFrame(columns=_COLUMNS)
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    rows = found.scored.rows[found.scored.newest]
    p, y = rows["probability"].to_numpy(), rows["responded"].to_numpy()
    told = found.acting.measures.set_index("measure")["newest"]
    line = LogisticRegression(C=np.inf, tol=1e-8).fit(np.log(p / (1 - p))[:, None], y)
    first = sorted(range(len(p)), key=lambda i: -p[i])[: round(len(p) / 5)]
    found_by_hand = sum(int(y[i]) for i in first) / int(y.sum())
    checks: list[tuple] = [
        ("log loss on the newest contacts", told["log loss"], log_loss(y, p), 1e-9, "scikit-learn"),
        ("calibration slope on them", told["calibration slope"], line.coef_[0, 0], 1e-4, "scikit-learn"),
        ("share found in their top 20%", told["found in the top 20%"], found_by_hand, 1e-9, "contact by contact"),
    ]
    checks += _gains(found)
    checks += _known(found, asked, said)
    return pd.DataFrame(checks, columns=_COLUMNS)


def _gains(found: Upkeep) -> list[tuple]:
    """Gains and their errors in log loss, person by person, and the action that they ask for."""
    assert found.acting is not None and found.scored is not None
    if found.acting.unit != "nats":
        return []
    rows, made = found.scored.rows[found.scored.newest], found.acting.probabilities
    y = rows["responded"].to_numpy()
    each = pd.DataFrame(np.log(np.where(y[:, None] == 1, made, 1 - made)), columns=ACTIONS)
    more = each.sub(each["keep"], axis=0)
    by_person = (more - more.mean()).groupby(rows["person"].to_numpy()).sum()
    error = np.sqrt((by_person**2).sum() * len(by_person) / (len(by_person) - 1)) / len(more)
    table = found.acting.actions.set_index("action")
    told = (table["gain_high"] - table["gain_low"]) / 2 / 1.959964 / PER
    return [
        ("gain of an update over keeping, furthest off", (table["gain"] / PER - more.mean()).abs().max(), 0, 1e-9,
         "contact by contact"),
        ("its error, furthest off as a share", ((told - error) / error.where(error > 0, 1)).abs().max(), 0, 1e-4,
         "person by person (Cochran 1977)"),
    ]  # fmt: skip


def _known(found: Upkeep, asked: ibis.Table, said: ibis.Table) -> list[tuple]:
    """What each week could know, counted by the engine; the last week's model fitted again on just that."""
    from sklearn.linear_model import SGDClassifier

    assert found.walk is not None and found.scored is not None
    walk, scored = found.walk, found.scored
    dated = said.inner_join(asked.select("row", "occurred_at"), "row")
    starts = walk.weeks["starts_at"]
    counts = [(dated.known_at <= ibis.literal(start)).sum().name(f"w{k}") for k, start in enumerate(starts)]
    counted = dated.aggregate(counts).to_pandas().iloc[0]
    off = np.abs(counted.to_numpy(dtype=int) - walk.weeks["n_learned"].to_numpy()).max()
    last = starts.iloc[-1]
    known = dated.filter(dated.known_at <= ibis.literal(last)).select("row").to_pandas()["row"]
    taught = scored.rows["row"].isin(known).to_numpy()
    model = SGDClassifier(**walk.settings, random_state=int(walk.seeds[-1]))
    model.fit(scored.x[taught], scored.rows["responded"].to_numpy()[taught])
    late = (scored.rows["occurred_at"] >= last).to_numpy()[walk.rows]
    again = model.predict_proba(scored.x[walk.rows[late]])[:, 1]
    mine = walk.probabilities[late, STRATEGIES.index("anew each week")]
    return [
        ("contacts a week learns from whose outcome was not known", off, 0, 0, "counted by the engine"),
        ("probability by a model of what was known, furthest off", np.abs(again - mine).max(), 0, 1e-9,
         "fitted on the rows that the engine says were known"),
    ]  # fmt: skip

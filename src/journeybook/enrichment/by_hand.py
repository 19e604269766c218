"""What visits and messages tell in plain SQL, one date at a time, and a source that may not add anything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.metrics import log_loss, mean_squared_error

from journeybook.enrichment.ablation import N_FOLDS, SPEND, Quarter, gained, losses
from journeybook.enrichment.behaviour import BASKET_EVENTS, OUTCOMES, PURCHASE_EVENTS
from journeybook.enrichment.witnesses import furthest
from journeybook.findings import wider
from journeybook.tables import kept_in_engine

_VISITS = """
WITH visits AS (
    SELECT min(person_id) AS person_id, min(occurred_at) AS began, count(*) AS n,
           epoch(max(occurred_at)) - epoch(min(occurred_at)) AS seconds, min({device}) AS device,
           bool_or(event IN ({basket})) AS filled, bool_or(event IN ({purchase})) AS bought
    FROM {told} WHERE occurred_at < {date} GROUP BY coalesce({session}, person_id), occurred_at::DATE
    HAVING count(DISTINCT person_id) = 1
), dated AS (
    SELECT *, (epoch({date}) - epoch(began)) / 86400 AS ago, max(ago) OVER (PARTITION BY person_id) AS first
    FROM visits
)
SELECT person_id, count(*) FILTER (ago <= 28) AS n_visits_28d, count(*) FILTER (ago <= 91) AS n_visits_91d,
       min(ago) AS days_since_visit, avg(n) FILTER (ago <= 91) AS steps_per_visit_91d,
       avg(seconds / 60) FILTER (ago <= 91) AS minutes_per_visit_91d,
       CASE WHEN max(ago) >= 7 THEN count(*) FILTER (ago <= 91 AND ago < first) * 28 / least(max(ago), 91) END
           AS visits_per_28d,
       nullif(count(DISTINCT device) FILTER (ago <= 91), 0) AS n_devices_91d,
       avg(bought::INT) FILTER (ago <= 91) AS visit_purchase_share_91d,
       avg((NOT bought)::INT) FILTER (filled AND ago <= 91) AS abandoned_share_91d
FROM dated GROUP BY person_id
"""
_MESSAGES = """
WITH dated AS (
    SELECT *, (epoch({date}) - epoch(occurred_at)) / 86400 AS ago FROM {told}
    WHERE occurred_at < {date} AND {channel} IS DISTINCT FROM 'none' AND person_id IS NOT NULL
)
SELECT person_id, count(*) FILTER (ago <= 28) AS n_messages_28d, count(*) FILTER (ago <= 91) AS n_messages_91d,
       min(ago) AS days_since_message, {shares},
       avg({first}::INT) FILTER (ago > 28 AND ago <= 91) - avg({first}::INT) FILTER (ago > {known} AND ago <= 28)
           AS fatigue_28d
FROM dated GROUP BY person_id
"""
_TEXTS = """
SELECT person_id, count(*) AS n_texts_91d, avg(text_tone) AS text_tone_91d FROM {told}
WHERE text_tone IS NOT NULL AND person_id IS NOT NULL AND occurred_at < {date}
      AND occurred_at >= {date} - INTERVAL 91 DAY GROUP BY person_id
"""


def behaviour_holds(
    features: ibis.Table,
    *,
    events: ibis.Table | None,
    contacts: ibis.Table | None,
    basket_event: str | None,
    conversion: str | None,
    known_after_days: int,
) -> pd.DataFrame:
    """Hold the features of visits and messages on two dates against plain SQL."""
    rows: list[tuple[str, float, int, float, str]] = []
    dates = features.select("as_of").distinct().order_by("as_of").to_pandas().as_of
    words: dict[str, Any] = {"basket": basket_event or BASKET_EVENTS, "purchase": conversion or PURCHASE_EVENTS}
    words = {k: ", ".join(f"'{e}'" for e in ([of] if isinstance(of, str) else of)) for k, of in words.items()}
    texts = events if events is not None and "text_tone" in events.columns else None
    told = (("visits", events, _VISITS), ("messages", contacts, _MESSAGES), ("texts", texts, _TEXTS))
    for what, table, query in told:
        if table is None or not {"person_id", "occurred_at"} <= set(table.columns):
            continue
        there = {name: name if name in table.columns else "NULL" for name in ("device", "channel")}
        there["session"] = "session_id" if "session_id" in table.columns else "NULL"
        outcomes = [name for name in OUTCOMES if name in table.columns]
        known = f"FILTER (ago > {known_after_days} AND ago <= 91) AS"
        shares = ", ".join(f"avg({name}::INT) {known} {name}_share_91d" for name in outcomes)
        how = there | words | {"shares": shares, "known": known_after_days, "first": (outcomes or ["NULL"])[0]}
        kept = kept_in_engine(table)
        apart = [_apart(features, kept, query, at, how) for at in dates.iloc[[len(dates) // 2, -1]]]
        # SQL adds up in any order: what is below a trillionth changes from run to run.
        off = round(max(apart), 12)
        rows.append((f"worst difference of {what}", off, 0, 1e-9, "plain SQL, everyone on two dates"))
    return pd.DataFrame(rows, columns=["name", "value", "reference", "tolerance", "source"])


def registered_holds(
    features: ibis.Table,
    registered: ibis.Table,
    seen: Sequence[ibis.Table | None],
    *,
    history: ibis.Table | None,
    max_people: int,
    stages: pd.DataFrame,
) -> pd.DataFrame:
    """Ask who is on both lists and, where nobody was left out on purpose, who is on neither or not known."""
    n_both = int(registered.semi_join(features, ["person_id", "as_of"]).count().to_pandas())
    both = [t.select("lifecycle_stage", "as_of").to_pandas() for t in (features, registered)]
    due = pd.crosstab(*pd.concat(both)[["as_of", "lifecycle_stage"]].to_numpy().T)
    off = due.sub(stages.set_index("as_of"), fill_value=0).abs().to_numpy().sum()
    rows = [
        ("registered people who have bought", n_both, "features of the same date"),
        ("people by stage counted otherwise", off, "a crosstab in pandas"),
    ]
    tables = [t.select("person_id", "at") for t in seen if t is not None]
    if history is not None:
        tables.append(history.select("person_id", at="known_from"))
    known = [t.group_by("person_id").aggregate(first=t["at"].min()).to_pandas() for t in tables]
    here, there = (t.select("person_id", "as_of").to_pandas() for t in (features, registered))
    if known and len(here):
        first = pd.concat(known).groupby("person_id")["first"].min()
        due = {(p, date) for date in here.as_of.unique() for p in first.index[first < date]}
        bought, told = (set(t.itertuples(index=False, name=None)) for t in (here, there))
        if len(first) <= max_people:
            rows.append(
                ("people registered and not listed, or listed and not", len((due - bought) ^ told), "sets")
            )
    return pd.DataFrame(rows, columns=["name", "value", "source"]).assign(reference=0, tolerance=0.0)


def _apart(features: ibis.Table, told: ibis.Table, query: str, at: datetime, how: dict[str, str]) -> float:
    """The furthest that any figure of the date is from that of the query; infinite where one alone is missing."""
    sql = query.format(told=told.get_name(), date=f"TIMESTAMP '{at}'", **how)
    due = told.get_backend().con.execute(sql).df().set_index("person_id")
    ours = features.filter(features.as_of == at).to_pandas().set_index("person_id")
    due = due[[name for name in due if name in ours]].astype(float)
    zero = [name for name in due if name.startswith(("n_visits", "visits_per", "n_messages", "n_texts"))]
    never = ~ours.index.isin(due.index)
    due = due.reindex(ours.index)
    due.loc[never, zero] = 0.0
    return furthest(ours, due)


def ablation_holds(
    quarter: Quarter | None, dictionary: pd.DataFrame, added: pd.DataFrame, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Ask what the features of other people, drawn by chance, add as one more source: it may not be anything.

    What each source adds to the last outcome is drawn again, person by person: 500 bootstrap samples. Losses of
    the mean alone are scikit-learn's.
    """
    columns = ["name", "value", "reference", "rule", "source"]
    if quarter is None or not quarter.asked():
        return pd.DataFrame(columns=columns)
    drawn = quarter.people.sample(frac=1, random_state=rng, ignore_index=True).add_prefix("nothing ")
    nothing = dictionary.assign(feature="nothing " + dictionary.feature, source="nothing")
    people = pd.concat([quarter.people, drawn], axis=1)
    more = Quarter(people, quarter.spend, quarter.n_sent, quarter.n_answered)
    first, *_, last = [*quarter.asked()] * 2
    found = losses(more, pd.concat([dictionary, nothing]), outcome=first)
    gain, error = gained(found["nothing"] - found["all"], found["mean"])
    told, lost = added[added.outcome == last], losses(quarter, dictionary, outcome=last)
    means = [_mean_off(quarter, outcome, of["mean"]) for outcome, of in ((first, found), (last, lost))]
    drawn = rng.multinomial(len(lost), np.full(len(lost), 1 / len(lost)), 500) @ lost.to_numpy()
    drawn, whole = (
        pd.DataFrame(sums, columns=lost.columns) for sums in (drawn, lost.to_numpy().sum(axis=0)[None])
    )
    reach = norm.ppf(0.975) * wider(len(added))
    off, widths = [float((1 - whole["all"] / whole["mean"] - told.explained.iloc[0]).abs().max())], []
    for row in told.itertuples():
        gains, gain_ = ((t[row.source] - t["all"]) / t["mean"] for t in (drawn, whole))
        off.append(abs(gain_.iloc[0] - row.gain))
        widths.append((row.gain_high - row.gain_low) / (2 * reach * gains.std()) if gains.std() else 1.0)
    rows = [
        ("standard errors that a source of nothing adds", gain / error, 2, "at most", "features of other people"),
        ("what sources add, greatest difference", max(off), 1e-9, "at most", "losses added up"),
        ("mean width of intervals of what sources add, share off", abs(np.mean(widths) - 1), 0.2, "at most",
         "bootstrap of people"),
        ("losses of the mean alone, greatest share off", max(means), 1e-9, "at most", "scikit-learn"),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _mean_off(quarter: Quarter, outcome: str, told: pd.Series) -> float:
    """Share by which a sum of losses of the mean of the other folds differs from scikit-learn's."""
    _, y, n = quarter.asked()[outcome]
    fold = np.arange(len(y)) % N_FOLDS
    mean = np.array([np.average(y[fold != left], weights=n[fold != left]) for left in range(N_FOLDS)])[fold]
    if outcome == SPEND:
        right = mean_squared_error(y, mean) * len(y)
    else:
        answered, weight = np.repeat([1, 0], len(y)), np.concatenate([n * y, n * (1 - y)])
        right = 2 * log_loss(answered, np.tile(mean, 2), sample_weight=weight, normalize=False)
    return abs(told.sum() / right - 1)

"""What segments tell of the next quarter, beside simpler things: what cannot be predicted with them is no use."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from journeybook.segmentation.preparation import later_revenue
from journeybook.segmentation.segments import SCORES, rfm_of
from journeybook.statistics import cluster_weights

N_FOLDS = 5
# A group's mean counts as if so many people of the mean of all were in it as well.
PRIOR_PEOPLE = 5
ALONE = "n_baskets_91d"
RIVALS = {
    "RFM cells": "RFM cells",
    "lifecycle and value": "declared lifecycle and value",
    f"{ALONE} alone": "the number of baskets in 91 days alone",
}
USES = [
    "target",
    "predictor",
    "n_people",
    "n_groups",
    "explained",
    "low",
    "high",
    "ahead",
    "ahead_low",
    "ahead_high",
]


def usefulness(
    features: pd.DataFrame,
    dated: pd.DataFrame,
    *,
    contacts: pd.DataFrame | None,
    declared: pd.DataFrame,
    n_quantiles: int,
    n_draws: int,
    level: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Explain each person's spend and response after a date by what was known on it, out of sample.

    The date is the last that lies a quarter back. Spend is the revenue since; response the share of messages
    since that were answered, of those who got any. The segments are those made on that date, beside them RFM
    cells, declared lifecycle and value, and `n_baskets_91d` alone (a line through it and its logarithm). Groups
    predict by means of four fifths of the people, drawn to the mean of all as if by five people; the last fifth
    judges.

    Args:
        features: Page 04's snapshots.
        dated: Segments of each date, as `segments_of_each_date` gives them.
        contacts: person_id, occurred_at, responded; None where there are none.
        declared: row, lifecycle, high_value.
        n_quantiles: Parts of each RFM score.
        n_draws: Bootstrap samples of people.
        level: Of the intervals.
        rng: Source of chance.

    Returns:
        One row a target and predictor: n_people, n_groups (0 of a line), explained (share of the variance, out of
        sample), low, high, ahead (how much more than the segments, paired), ahead_low, ahead_high. No row where no
        date lies far enough back, or fewer than 100 people have an outcome.
    """
    found = later_revenue(features)
    if found is None:
        return pd.DataFrame(columns=USES)
    then, spent = found
    cells = rfm_of(then, n_quantiles=n_quantiles)[SCORES].astype(str).agg("-".join, axis=1)
    told = then[["row"]].merge(declared, on="row", how="left")
    groups = {
        "segments": then[["row"]].merge(dated[["row", "segment"]], on="row", how="left")["segment"],
        "RFM cells": cells,
        "lifecycle and value": told["lifecycle"] + told["high_value"].astype(str),
    }
    targets, since = {"spend": spent.to_numpy()}, then["as_of"].iloc[0]
    if contacts is not None and "occurred_at" in contacts:
        after = contacts[contacts["occurred_at"] >= since]
        targets["response"] = then["person_id"].map(after.groupby("person_id")["responded"].mean()).to_numpy(float)
    tables = [_judged(y, groups, then, n_draws, level, rng).assign(target=name) for name, y in targets.items()]
    return pd.concat(tables)[USES].reset_index(drop=True)


def _judged(
    y: np.ndarray, groups: dict, then: pd.DataFrame, n_draws: int, level: float, rng: np.random.Generator
) -> pd.DataFrame:
    known = np.flatnonzero(~np.isnan(y))
    if len(known) < 100 or not np.ptp(y[known]):
        return pd.DataFrame(columns=USES)
    y, codes = y[known], {name: pd.factorize(kept.to_numpy()[known])[0] for name, kept in groups.items()}
    baseline = np.zeros(len(y))
    if ALONE in then:
        n = then[ALONE].astype(float).fillna(0).to_numpy()[known]
        line, codes[f"{ALONE} alone"] = np.column_stack([n, np.log1p(np.maximum(n, 0))]), None
    guesses = {name: np.zeros(len(y)) for name in codes}
    for learned, judged in KFold(N_FOLDS, shuffle=True, random_state=int(rng.integers(2**31))).split(y):
        mean = y[learned].mean()
        baseline[judged] = (y[judged] - mean) ** 2
        for name, code in codes.items():
            if code is None:
                guesses[name][judged] = LinearRegression().fit(line[learned], y[learned]).predict(line[judged])
            else:
                sums = np.bincount(code[learned], y[learned] - mean, minlength=code.max() + 1)
                sizes = np.bincount(code[learned], minlength=code.max() + 1)
                guesses[name][judged] = mean + (sums / (sizes + PRIOR_PEOPLE))[code[judged]]
    squared = {name: (y - guess) ** 2 for name, guess in guesses.items()}
    draws = cluster_weights(np.arange(len(y)), n_draws=n_draws, rng=rng)
    explained = {name: 1 - draws @ error / (draws @ baseline) for name, error in squared.items()}
    ends, rows = [(1 - level) / 2, (1 + level) / 2], []
    shares = {name: 1 - error.sum() / baseline.sum() for name, error in squared.items()}
    for name, code in codes.items():
        ahead = shares[name] - shares["segments"]
        between = np.quantile(explained[name] - explained["segments"], ends)
        n_groups = 0 if code is None else code.max() + 1
        of_share = np.quantile(explained[name], ends)
        rows.append(("", name, len(y), n_groups, shares[name], *of_share, ahead, *between))
    return pd.DataFrame(rows, columns=USES)

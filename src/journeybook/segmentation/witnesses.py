"""Each result of the page made again by another road, from the features alone.

The functions return one row a comparison: name, value, reference, tolerance (or rule and kind), source.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from journeybook.segmentation.groups import DEEP, STRONG, GroupCount
from journeybook.segmentation.movement import Movement
from journeybook.segmentation.preparation import FURTHEST_SD, LOG_SKEWNESS, RFM, matrix
from journeybook.segmentation.segments import SCORES, RfmScores, Segmentation, segment_as_of

# The width of a bootstrap interval of 500 draws has a standard error of 6 % of itself; four of them.
WIDTH_APART = 0.25
FIGURES = ["name", "value", "reference", "tolerance", "source"]


def detection_holds(power: pd.DataFrame) -> pd.DataFrame:
    """Ask that planted groups are found, and none where there are none; one in few features is a known miss."""
    if power.empty:
        return pd.DataFrame(columns=["name", "value", "reference", "rule", "kind", "source"])
    everywhere, nowhere, few = power.iloc[-2], power.iloc[-1], power.iloc[0]
    rows = [
        ("two groups found, 6 sd apart in every feature", everywhere.found_share, 0.75, "at least", "witness"),
        ("groups found in a cloud without groups", nowhere.found_share, 0.25, "at most", "witness"),
    ]
    if few.n_features < everywhere.n_features:
        name = f"two groups found, 8 sd apart in {few.n_features:.0f} feature"
        rows.append((name, few.found_share, 0.75, "at least", "known_miss"))
    source = f"simulation, {nowhere.n_repeats:.0f} clouds; one in four may err by chance"
    return pd.DataFrame(rows, columns=["name", "value", "reference", "rule", "kind"]).assign(source=source)


def segments_hold(
    features: pd.DataFrame,
    *,
    found: Segmentation,
    count: GroupCount,
    n_asked: int | None,
    scores: RfmScores,
    n_quantiles: int,
    nothing: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Hold what the page shows of the last snapshot against the same made in plain pandas and scikit-learn.

    `n_asked` is the number of segments asked for; None is the page's choice.
    """
    rows = features.sort_values("row", kind="stable", ignore_index=True)
    at_end = (rows["as_of"] == rows["as_of"].max()).to_numpy()
    preparation, columns = found.preparation, found.preparation.columns
    values = by_hand(rows, at_end, columns)
    scale_apart = np.abs(matrix(rows, preparation=preparation) - values).max()
    labels, names = found.assignments["segment"].to_numpy(), np.array(found.names)
    same_rows = found.assignments[["person_id", "as_of"]].equals(rows[["person_id", "as_of"]])
    n_astray = (labels != names[cdist(values, found.centres).argmin(axis=1)]).sum() if same_rows else np.inf
    people, last, values = labels[at_end], rows[at_end], values[at_end]
    within, scatter = sum(_scatter(values[people == name]) for name in names), _scatter(values)
    explained = 1 - within / scatter if scatter else 0.0
    due = last.groupby(people)[columns].mean().astype(float).reindex(names)
    sizes = pd.Series(people).value_counts().reindex(names)
    due = due.assign(n_people=sizes, share=sizes / len(last))
    told = found.profile.set_index("segment")[due.columns].astype(float)
    profile_apart = ((told - due).abs() / due.abs().clip(lower=1)).max(axis=None)
    again = pd.DataFrame({c: _scored(last[c], n_quantiles, c == "recency_days") for c in RFM})
    rfm_apart = (scores.scores[SCORES].to_numpy() != again.to_numpy()).sum()
    clouds = _clouds(values, max(len(names), 2), len(nothing), rng) if nothing.any() else nothing
    error = np.sqrt((nothing.var(ddof=1) + clouds.var(ddof=1)) / len(clouds))
    pandas, other = "made again in pandas", "other clouds, scikit-learn; four standard errors"
    table = [
        ("worst difference of comparable numbers", scale_apart, 0, 1e-9, pandas),
        ("people not in their nearest segment", n_astray, 0, 0, pandas),
        ("share explained as shown", found.explained_share, explained, 1e-4, pandas),
        ("worst difference of the profile", profile_apart, 0, 1e-9, pandas),
        ("RFM scores that differ", rfm_apart, 0, 0, "ranks counted person by person"),
        ("segments made", found.n_segments, n_asked or _choice(count.evidence), 0, "the rules, step by step"),
        ("share explained in clouds without groups", nothing.mean(), clouds.mean(), 4 * error, other),
    ]
    return pd.DataFrame(table, columns=FIGURES)


def past_holds(
    features: pd.DataFrame, *, found: Segmentation, dated: pd.DataFrame, columns: Sequence[str] | None, seed: int
) -> pd.DataFrame:
    """Hold the segments of a past date against those made of rows to that date alone."""
    told = dated.merge(features[["person_id", "as_of"]], on=["person_id", "as_of"], how="outer")
    n_astray = int(told["segment"].isna().sum()) + abs(len(dated) - len(features))
    rows = [("people and dates without one segment", n_astray, 0, 0, "features")]
    dates = np.sort(dated.loc[~dated["retrospective"], "as_of"].unique())
    date = dates[len(dates) // 2]
    then = segment_as_of(features, date, columns=columns, n_segments=found.n_segments, seed=seed).assignments
    both = dated[dated["as_of"] == date].merge(then, on=["person_id", "as_of"], suffixes=("", "_then"))
    # The number is the date's own; the word beside it is that of the last model.
    own, other = (both[name].str.split(n=1).str[0] for name in ("segment", "segment_then"))
    name = f"segments that differ without the future, {pd.Timestamp(date):%B %Y}"
    rows.append((name, int(own.ne(other).sum()), 0, 0, "features to that date"))
    return pd.DataFrame(rows, columns=FIGURES)


def movement_holds(found: Segmentation, moves: Movement, *, since: pd.Timestamp, level: float) -> pd.DataFrame:
    """Hold the steps against a crosstab, and the interval of staying against the delta method over people."""
    kept = found.assignments[found.assignments["as_of"] >= since]
    dates = np.sort(kept["as_of"].unique())
    # Of one date, no row has a later one, and a column of nothing would be taken for numbers.
    then = kept["as_of"].map(dict(pairwise(dates))).astype(kept["as_of"].dtype)
    before = kept.assign(then=then)
    steps = before.merge(
        kept, left_on=["person_id", "then"], right_on=["person_id", "as_of"], suffixes=("", "_then")
    )
    if steps.empty:
        return pd.DataFrame(columns=FIGURES)
    table = pd.crosstab(steps["segment"], steps["segment_then"])
    told = moves.transitions.pivot(index="source", columns="target", values="n")
    names = told.index.union(table.index).union(table.columns)
    due, told = (t.reindex(index=names, columns=names).fillna(0) for t in (table, told))
    stays = steps["segment"] == steps["segment_then"]
    by_person = stays.groupby(steps["person_id"]).agg(["sum", "size"]).to_numpy(dtype=float)
    share, n = stays.mean(), max(len(by_person), 2)
    error = np.sqrt(((by_person[:, 0] - share * by_person[:, 1]) ** 2).sum() * n / (n - 1)) / by_person[:, 1].sum()
    rows = [
        ("steps counted otherwise", np.abs(due - told).to_numpy().sum(), 0, 0, "a crosstab in pandas"),
        ("share of steps that stay", moves.stay_share, share, 1e-9, "a crosstab in pandas"),
    ]
    if error > 0:
        width = (moves.stay_high - moves.stay_low) / (2 * norm.ppf((1 + level) / 2) * error)
        rows.append(("width of the interval of staying", width, 1, WIDTH_APART, "delta method over whole people"))
    return pd.DataFrame(rows, columns=FIGURES)


def by_hand(rows: pd.DataFrame, at_end: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """The features on comparable scales, shape (rows, columns), learned on the rows of the last snapshot."""
    raw = pd.DataFrame({c: pd.to_numeric(rows[c]).astype(float) for c in columns})
    for column in columns:
        known = raw.loc[at_end, column].dropna()
        away = known - known.mean()
        if known.min() >= 0 and away.any() and (away**3).mean() / (away**2).mean() ** 1.5 > LOG_SKEWNESS:
            raw[column] = np.log1p(raw[column].clip(lower=0))
        raw[column] = raw[column].fillna(raw.loc[at_end, column].median())
    return StandardScaler().fit(raw[at_end]).transform(raw).clip(-FURTHEST_SD, FURTHEST_SD)


def _scatter(values: np.ndarray) -> float:
    return float(((values - values.mean(axis=0)) ** 2).sum()) if len(values) else 0.0


def _scored(values: pd.Series, n_quantiles: int, turned: bool) -> list[int]:
    """Scores by whole numbers: people below count whole, equal ones half (each person as one half more)."""
    known = values.astype(float).to_numpy() * (-1 if turned else 1)
    n = int((~np.isnan(known)).sum())
    scores = []
    for value in known:
        twice = 2 * int((known < value).sum()) + int((known == value).sum()) + 1
        scores.append(1 if np.isnan(value) else min(max(-(-twice * n_quantiles // (2 * n)), 1), n_quantiles))
    return scores


def _clouds(values: np.ndarray, k: int, n_clouds: int, rng: np.random.Generator) -> np.ndarray:
    root = np.linalg.svd((values - values.mean(axis=0)) / np.sqrt(len(values) - 1), full_matrices=False)
    spread = root[1][:, None] * root[2]
    shares = []
    for number in range(n_clouds):
        cloud = rng.standard_normal((len(values), len(spread))) @ spread
        with threadpool_limits(limits=1):
            within = KMeans(k, n_init=3, random_state=number).fit(cloud).inertia_
        shares.append(1 - within / _scatter(cloud))
    return np.array(shares)


def _choice(evidence: pd.DataFrame) -> int:
    """The number of segments by the rules of `count_groups`, one k after the other."""
    rows = {int(row.k): row for row in evidence.itertuples()}
    by_gap = next((k for k in sorted(rows)[:-1] if rows[k].gap >= rows[k + 1].gap - rows[k + 1].gap_se), max(rows))
    groups, slices, steady = 1, 1, True
    for k in sorted(rows)[1:]:
        strong = rows[k].prediction_strength + rows[k].prediction_strength_se >= STRONG
        if k <= by_gap and strong and rows[k].valley <= DEEP:
            groups = k
        steady = steady and rows[k].stability >= STRONG
        slices = k if steady else slices
    return groups if groups > 1 else min(max(slices, 2), len(rows))

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
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from journeybook.segmentation.groups import ALPHA, DEEP, STRONG, GroupCount, seek_groups
from journeybook.segmentation.movement import Movement
from journeybook.segmentation.preparation import (
    FURTHEST_SD,
    LOG_SKEWNESS,
    QUARTER_DAYS,
    RFM,
    UNTOLD,
    Preparation,
    matrix,
)
from journeybook.segmentation.references import FALSE_ALARMS
from journeybook.segmentation.rules import Declared
from journeybook.segmentation.segments import SCORES, RfmScores, Segmentation, segment_as_of
from journeybook.statistics.imputation import fill

# The width of a bootstrap interval of 500 draws has a standard error of 6 % of itself; four of them.
WIDTH_APART = 0.25
# From so many people on groups must be found where they are.
ENOUGH_PEOPLE = 400
FIGURES = ["name", "value", "reference", "tolerance", "source"]


def detection_holds(power: pd.DataFrame, *, n_people: int) -> pd.DataFrame:
    """Ask that two groups 5 sd apart in a single feature are found, and none where none are.

    Of few people the first is a known miss: no valley can be proven among them.
    """
    if power.empty:
        return pd.DataFrame(columns=["name", "value", "reference", "rule", "kind", "source"])
    nowhere, few = power.iloc[-1], power.iloc[0]
    kind = "witness" if n_people >= ENOUGH_PEOPLE else "known_miss"
    rows = [
        (f"smallest distance found in {few.n_features:.0f} feature, sd", few.distance, 5.0, kind),
        ("groups found in clouds without groups", nowhere.found_share, FALSE_ALARMS, "witness"),
    ]
    source = f"simulation of this page; {few.n_repeats:.0f} clouds with the data's marginals and correlations"
    table = pd.DataFrame(rows, columns=["name", "value", "reference", "kind"])
    return table.assign(rule="at most", source=source)


def rules_hold(
    features: pd.DataFrame, declared: Declared, *, new_days: int, at_risk_days: int, lapsed_days: int
) -> pd.DataFrame:
    """Apply the declared rules once more, one after the other in pandas."""
    rows = features.reset_index(drop=True)
    recency, stage = rows["recency_days"].astype(float), pd.Series("active", index=rows.index)
    late, recent, ever = (rows[name].astype(float) for name in ("n_baskets_28d", "n_baskets_91d", "n_baskets"))
    for name, holds in (
        ("won back", (late > 0) & (recent - late == 0) & (ever - recent > 0)),
        ("at risk", recency > at_risk_days),
        ("lapsed", recency > lapsed_days),
        ("new", rows["tenure_days"].astype(float) <= new_days),
        ("registered", recency.isna()),
    ):
        stage = stage.mask(holds, name)
    value = "revenue_91d" if "revenue_91d" in rows else "revenue"
    due = rows.assign(lifecycle=stage, high_value=rows[value].astype(float) >= declared.high_value).sort_values(
        "row"
    )
    told = declared.people[["lifecycle", "high_value"]].astype(str).to_numpy()
    n_apart = int((told != due[["lifecycle", "high_value"]].astype(str).to_numpy()).any(axis=1).sum())
    figures = [("people and dates told otherwise by the declared rules", n_apart, 0, 0, "the rules in pandas")]
    if "lifecycle_stage" in rows and (new_days, at_risk_days, lapsed_days) == (28, 28, 91):
        n_apart = int((declared.people["lifecycle"].to_numpy() != due["lifecycle_stage"].to_numpy()).sum())
        figures.append(("stages that are not those of page 04", n_apart, 0, 0, "the feature lifecycle_stage"))
    return pd.DataFrame(figures, columns=FIGURES)


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
    values = by_hand(rows, at_end, preparation)
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
    of_segment = again.set_axis(SCORES, axis=1).groupby(people).mean()
    scores_apart = (scores.by_segment.set_index("segment") - of_segment).abs().max(axis=None)
    own = [row.valley > DEEP or row.p_value > ALPHA for row in count.alone.itertuples()]
    clouds = _clouds(values, own, max(len(names), 2), len(nothing), rng) if nothing.any() else nothing
    error = np.sqrt((nothing.var(ddof=1) + clouds.var(ddof=1)) / len(clouds))
    pandas, other = "made again in pandas", "other clouds, scikit-learn; four standard errors"
    table = [
        ("worst difference of comparable numbers", scale_apart, 0, 1e-9, pandas),
        ("people not in their nearest segment", n_astray, 0, 0, pandas),
        ("share explained as shown", found.explained_share, explained, 1e-4, pandas),
        ("worst difference of the profile", profile_apart, 0, 1e-9, pandas),
        ("RFM scores that differ", rfm_apart, 0, 0, "ranks counted person by person"),
        ("worst difference of mean scores by segment", scores_apart, 0, 1e-9, pandas),
        ("segments made", found.n_segments, n_asked or _choice(count), 0, "the rules, step by step"),
        ("share explained in clouds without groups", nothing.mean(), clouds.mean(), 4 * error, other),
    ]
    # Two groups that no single feature shows.
    known = rng.standard_normal((600, 5)) + 3 * (np.arange(600) < 240)[:, None]
    n_known = seek_groups(known, max_segments=3, rng=rng).n_groups
    table.append(("groups found where two lie 3 sd apart in each of 5 features", n_known, 2, 0, "planted here"))
    return pd.DataFrame(table, columns=FIGURES)


def past_holds(
    features: pd.DataFrame,
    *,
    found: Segmentation,
    dated: pd.DataFrame,
    columns: Sequence[str] | None,
    dictionary: pd.DataFrame | None,
    seed: int,
) -> pd.DataFrame:
    """Hold the segments of a past date against those made of rows to that date alone."""
    told = dated.merge(features[["person_id", "as_of"]], on=["person_id", "as_of"], how="outer")
    n_astray = int(told["segment"].isna().sum()) + abs(len(dated) - len(features))
    rows = [("people and dates without one segment", n_astray, 0, 0, "features")]
    dates = np.sort(dated.loc[~dated["retrospective"], "as_of"].unique())
    date = dates[len(dates) // 2]
    then = segment_as_of(
        features, date, columns=columns, dictionary=dictionary, found=found, seed=seed
    ).assignments
    both = dated[dated["as_of"] == date].merge(then, on=["person_id", "as_of"], suffixes=("", "_then"))
    # Numbers go on from date to date and words are the last model's: the people together must be the same.
    table = pd.crosstab(both["segment"], both["segment_then"]).to_numpy()
    name = f"segments that differ without the future, {pd.Timestamp(date):%B %Y}"
    rows.append((name, int(len(both) - table.max(axis=1).sum()), 0, 0, "features to that date"))
    n_better, names = 0, found.names
    for one, other in pairwise(np.sort(dated["as_of"].unique())):
        two = [dated[dated["as_of"] == date].set_index("person_id")["segment"] for date in (one, other)]
        table = pd.crosstab(*pd.concat(two, axis=1, join="inner").set_axis(["a", "b"], axis=1).to_numpy().T)
        table = table.reindex(index=names, columns=names).fillna(0).to_numpy()
        kept = np.diag(table)
        n_better += int(np.maximum(table + table.T - kept[:, None] - kept, 0).sum()) // 2
    rows.append(("people who would keep their number if two were exchanged", n_better, 0, 0, "every pair"))
    return pd.DataFrame(rows, columns=FIGURES)


def steady_holds(
    features: pd.DataFrame, steadied: pd.DataFrame, *, found: Segmentation, border: float
) -> pd.DataFrame:
    """Walk with each person by hand."""
    rows = features.sort_values("row", kind="stable", ignore_index=True)
    at_end = (rows["as_of"] == rows["as_of"].max()).to_numpy()
    far = cdist(by_hand(rows, at_end, found.preparation), found.centres)
    order, due = np.lexsort((rows["as_of"], rows["person_id"])), np.zeros(len(rows), dtype=int)
    people, dates = rows["person_id"].to_numpy(), rows["as_of"].rank(method="dense").to_numpy()
    stands: dict[str, tuple[int, float]] = {}
    for at in order:
        number, (old, then) = int(far[at].argmin()), stands.get(people[at], (0, -1.0))
        if then == dates[at] - 1 and far[at, number] > (1 - border) * far[at, old]:
            number = old
        due[at], stands[people[at]] = number, (number, dates[at])
    told = pd.Index(found.names).get_indexer(pd.Index(steadied["segment"]))
    row = ("segments moved to otherwise than by hand", int((told != due).sum()), 0, 0, "person by person")
    return pd.DataFrame([row], columns=FIGURES)


def uses_hold(uses: pd.DataFrame, features: pd.DataFrame, dated: pd.DataFrame) -> pd.DataFrame:
    """Explain the next quarter's spend by the segments once more: ridge regression on dummies, other folds."""
    told = uses[(uses["target"] == "spend") & (uses["predictor"] == "segments")]
    if told.empty:
        return pd.DataFrame(columns=FIGURES)
    dates = np.sort(features["as_of"].unique())
    early = dates[dates <= dates[-1] - np.timedelta64(QUARTER_DAYS, "D")][-1]
    revenue = features.pivot(index="person_id", columns="as_of", values="revenue").astype(float)
    then = dated[dated["as_of"] == early].set_index("person_id")["segment"]
    spent = (revenue[dates[-1]] - revenue[early]).fillna(0)[then.index].to_numpy()
    folds = KFold(10, shuffle=True, random_state=0)
    guess = cross_val_predict(Ridge(1.0), pd.get_dummies(then).to_numpy(dtype=float), spent, cv=folds)
    share, own, of_mean = told.iloc[0], r2_score(spent, guess), (spent - spent.mean()) ** 2
    error = ((spent - guess) ** 2 - (1 - own) * of_mean).std() * len(spent) ** 0.5 / of_mean.sum()
    width = (share["high"] - share["low"]) / (2 * norm.ppf(0.975) * error)
    # Below 0 nothing is explained, by how much is up to the folds; of few people these weigh more.
    explained, again = (max(found, 0.0) for found in (share["explained"], own))
    rows = [
        ("share of spend explained by segments", explained, again, 0.03 + 3 / len(spent), "ridge"),
        ("width of the interval of the share explained", width, 1, WIDTH_APART, "delta method over people"),
    ]
    return pd.DataFrame(rows, columns=FIGURES)


def movement_holds(
    assignments: pd.DataFrame, moves: Movement, *, since: pd.Timestamp, level: float
) -> pd.DataFrame:
    """Hold the steps against a crosstab, and the interval of staying against the delta method over people."""
    kept = assignments[assignments["as_of"] >= since]
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
    sizes = pd.crosstab(kept["as_of"], kept["segment"], normalize="index").stack()
    off = (moves.sizes.set_index(["as_of", "segment"])["share"] - sizes).abs().max()
    # Of steps taken, and not taken, often; shares of all steps from a segment, person by person.
    wide = moves.transitions[lambda t: (t["n"] >= 50) & (t["n"] * (1 / t["share"] - 1) >= 50)]
    widths = []
    for row in wide.itertuples():
        here = steps[steps["segment"] == row.source]
        away = (here["segment_then"] == row.target) - row.share
        sd = np.sqrt((away.groupby(here["person_id"]).sum() ** 2).sum()) / len(here)
        widths.append((row.high - row.low) / (2 * norm.ppf((1 + level) / 2) * sd))
    rows = [
        ("shares of segments by date, greatest difference", off, 0, 1e-9, "a crosstab in pandas"),
        ("steps counted otherwise", np.abs(due - told).to_numpy().sum(), 0, 0, "a crosstab in pandas"),
        ("share of steps that stay", moves.stay_share, share, 1e-9, "a crosstab in pandas"),
        ("people who enter and leave counted otherwise", _unlike_flows(kept, moves), 0, 0, "sets of people"),
    ]
    if error > 0:
        width = (moves.stay_high - moves.stay_low) / (2 * norm.ppf((1 + level) / 2) * error)
        rows.append(("width of the interval of staying", width, 1, WIDTH_APART, "delta method over whole people"))
    if widths:
        name, by = "mean width of the intervals of steps", "delta method over whole people"
        rows.append((name, float(np.mean(widths)), 1, WIDTH_APART, by))
    return pd.DataFrame(rows, columns=FIGURES)


def by_hand(rows: pd.DataFrame, at_end: np.ndarray, preparation: Preparation) -> np.ndarray:
    """The features on comparable scales, shape (rows, columns), learned on the rows of the last snapshot."""
    raw = pd.DataFrame({c: pd.to_numeric(rows[c]).astype(float) for c in preparation.columns})
    expected, methods = fill(rows, preparation.imputer, columns=[*raw]), preparation.imputer.method_of
    for column in raw:
        method = methods.get(column)
        known = raw.loc[at_end, column].dropna()
        away = known - known.mean()
        logged = known.min() >= 0 and away.any() and (away**3).mean() / (away**2).mean() ** 1.5 > LOG_SKEWNESS
        middle = known.mode()[0] if method == "mode" else known.median()
        raw[column] = raw[column].fillna(expected[column] if method == "model" else middle)
        raw[column] = np.log1p(raw[column].clip(lower=0)) if logged else raw[column]
    values = StandardScaler().fit(raw[at_end]).transform(raw).clip(-FURTHEST_SD, FURTHEST_SD)
    return values * _weights_by_hand(rows, values, at_end)


def _weights_by_hand(rows: pd.DataFrame, values: np.ndarray, at_end: np.ndarray) -> np.ndarray:
    """What each feature weighs: its tie to what people spend in the quarter after, shared with its likes."""
    end, frame = rows["as_of"].max(), pd.DataFrame(values)
    related = frame[at_end].corr().fillna(0).to_numpy(copy=True)
    np.fill_diagonal(related, 1.0)
    early, telling = rows["as_of"][(end - rows["as_of"]).dt.days >= QUARTER_DAYS], 0.0
    if len(early) and "revenue" in rows:
        then = rows["as_of"] == early.max()
        both = rows[then].merge(rows[at_end], on="person_id", how="left", suffixes=("", "_end"))
        spent = (both["revenue_end"] - both["revenue"]).astype(float).fillna(0).clip(lower=0)
        telling = frame[then].reset_index(drop=True).corrwith(np.log1p(spent)).abs().fillna(0).to_numpy()
    weights = (UNTOLD + telling) / np.sqrt((related**2).sum(axis=0))
    return weights / weights.max()


def _unlike_flows(kept: pd.DataFrame, moves: Movement) -> int:
    """By how many the people who enter and leave differ from those of sets of people, date by date."""
    seen = [dict(zip(part["person_id"], part["segment"], strict=True)) for _, part in kept.groupby("as_of")]
    n_entered = sum(len(now.keys() - before.keys()) for before, now in pairwise(seen))
    n_left = sum(len(before.keys() - now.keys()) for before, now in pairwise(seen))
    return abs(int(moves.flows["n_entered"].sum()) - n_entered) + abs(int(moves.flows["n_left"].sum()) - n_left)


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


def _clouds(
    values: np.ndarray, one_peak: list[bool], k: int, n_clouds: int, rng: np.random.Generator
) -> np.ndarray:
    scores = norm.ppf(pd.DataFrame(values).rank().to_numpy() / (len(values) + 1))
    root = np.linalg.svd((scores - scores.mean(axis=0)) / np.sqrt(len(values) - 1), full_matrices=False)
    spread, own = root[1][:, None] * root[2], np.where(scores.std(axis=0) > 0, scores.std(axis=0, ddof=1), 1.0)
    normal = [v.mean() + v.std() * norm.ppf((np.arange(len(v)) + 0.5) / len(v)) for v in values.T]
    marginals = [v if peak else n for v, peak, n in zip(values.T, one_peak, normal, strict=True)]
    shares = []
    for number in range(n_clouds):
        place = norm.cdf(rng.standard_normal((len(values), len(spread))) @ spread / own)
        drawn = [np.quantile(v, p, method="inverted_cdf") for v, p in zip(marginals, place.T, strict=True)]
        cloud = np.column_stack(drawn)
        with threadpool_limits(limits=1):
            within = KMeans(k, n_init=3, random_state=number).fit(cloud).inertia_
        shares.append(1 - within / _scatter(cloud))
    return np.array(shares)


def _choice(count: GroupCount) -> int:
    """The number of segments by the rules of `count_groups`, one k after the other."""
    rows = {int(row.k): row for row in count.evidence.itertuples()}
    groups, slices, steady = 1, 1, True
    for k in sorted(rows)[1:]:
        groups = k if rows[k].valley <= DEEP and rows[k].p_value <= ALPHA else groups
        steady = steady and rows[k].stability >= STRONG
        slices = k if steady else slices
    alone = any(row.valley <= DEEP and row.p_value <= ALPHA for row in count.alone.itertuples())
    groups = max(groups, count.n_groups if not count.seen_in.all() else 2) if alone else groups
    return groups if groups > 1 else min(max(slices, 2), len(rows))

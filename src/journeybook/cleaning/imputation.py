"""Which way of filling in a column is handed on: known cells are hidden, filled in, and later figures compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from journeybook.cleaning.cells import FEWEST_ROWS, USED_BY, Cells, closest, drawn_rows, further_columns
from journeybook.sends import learners, quantity
from journeybook.statistics.imputation import HANDED, OTHERS, fill, fit_imputer, imputer_table
from journeybook.statistics.multiple import hot_deck, normal_draws, pooled
from journeybook.tables import SCHEMAS

HANDED_ON = ("median", "indicator", "mode", "model")
"""They give a row the same values whoever else is there, and hold no one's row: a saved model may hold them."""

METHODS = (*HANDED_ON, "donor", "neighbours", "multiple")
MECHANISMS = {
    "MCAR": "every cell as likely",
    "MAR": "likelier where the column that goes with it most is low",
    "MNAR": "likelier the lower the cell itself",
}
LEAST_GAIN, LEAST_AUC_GAIN = 0.02, 0.005
"""Standard deviations, and ROC AUC, that are worth leaving the median for."""

SENDS = ("contacts", "coupon_contacts")
"""Tables of contacts, whose further columns page 07 learns from."""

RULES = ["column", "method", "reason"]

# Features of page 04 that are missing where they have no meaning, which no trial can tell anything of.
_NO_MEANING = {
    "gap_days_mean": "not applicable: below two baskets there is no gap",
    "gap_days_sd": "not applicable: below three baskets gaps have no spread",
    OTHERS: "not judged here: a feature is missing where it has no meaning",
}
_FEW_VALUES, _N_CLASSES, _MAX_USES, _NEAR, _N_DRAWS = 20, 5, 5, 5, 5


@dataclass(frozen=True, eq=False)
class ImputationTrial:
    """What each method made of cells that were hidden on purpose.

    Attributes:
        scores: One row a column, mechanism, method and repeat: `error` (root mean square, in standard deviations
            of the column), `variance_ratio` (of filled cells, over the hidden ones), `mean_shift` (of the filled
            column, in standard deviations), `profile_off` (greatest difference of a segment's mean from the true
            one, likewise) and `auc_off` (difference of the ROC AUC from that with all cells).
        methods: The same as means over repeats.
        columns: One row a column: `column`, `used_by`, `n_known` (cells in the trial), `n_missing`, `outcome`, and
            `presence`, `presence_low`, `presence_high` (see `Cells`).
    """

    scores: pd.DataFrame
    methods: pd.DataFrame
    columns: pd.DataFrame


# Thousands of small fits on numbers that are looked through here: scikit-learn need not look again.
@config_context(assume_finite=True, skip_parameter_validation=True)
@threadpool_limits.wrap(limits=1)
def impute_trial(
    cells: Sequence[Cells], *, hidden_share: float, repeats: int, rng: np.random.Generator
) -> ImputationTrial:
    """Hide known cells by each of `MECHANISMS`, fill them in by each of `METHODS`, and compare with the truth.

    Args:
        cells: Columns; each at least 50 rows and two columns, without a missing value.
        hidden_share: Share of the cells to hide, above 0 and at most 0.8.
        repeats: Times to hide and fill in, at least 1.
        rng: Chance of hiding and of filling in.

    Raises:
        ValueError: The cells are too few, not complete or all equal, or a parameter is out of its range.
    """
    if not 0 < hidden_share <= 0.8:
        raise ValueError(f"hidden_share is {hidden_share}: it must be above 0 and at most 0.8.")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}: it must be at least 1.")
    scores: list[dict[str, object]] = []
    for one, own in zip(cells, rng.spawn(len(cells)), strict=True):
        frame = one.frame.astype(float)
        if len(frame) < FEWEST_ROWS or frame.shape[1] < 2 or not np.isfinite(frame.to_numpy()).all():
            raise ValueError(
                f"the trial has {len(frame)} rows and {frame.shape[1]} columns: it needs {FEWEST_ROWS} rows, two "
                "columns and no missing value."
            )
        truth = frame[one.column].to_numpy()
        if np.ptp(truth) == 0:
            raise ValueError(f"column {one.column!r} has one value only: hiding cells of it shows nothing.")
        full = _auc(one, truth, None)
        for repeat in range(repeats):
            for mechanism in MECHANISMS:
                hidden = _hide(frame, one.column, hidden_share, mechanism, own)
                holes = frame.assign(**{one.column: np.where(hidden, np.nan, truth)})
                for method in METHODS:
                    if method == "mode" and len(np.unique(truth)) > _FEW_VALUES:
                        continue
                    sets = _fill(holes, one.column, method, own)
                    mark = hidden if method == "indicator" else None
                    told = [_score(truth, filled, hidden, part=one.part) for filled in sets]
                    mean = {figure: float(np.mean([of[figure] for of in told])) for figure in told[0]}
                    mean["auc_off"] = float(np.mean([_auc(one, filled, mark) for filled in sets])) - full
                    key = {"column": one.name, "mechanism": mechanism, "method": method, "repeat": repeat}
                    scores.append(key | mean)
    each = pd.DataFrame(scores)
    by = ["column", "mechanism", "method"]
    means = each.drop(columns="repeat").groupby(by, sort=False, as_index=False).mean()
    about = [(o.name, o.used_by, len(o.frame), o.n_missing, o.outcome_is, *o.presence) for o in cells]
    names = ["column", "used_by", "n_known", "n_missing", "outcome"]
    columns = pd.DataFrame(about, columns=[*names, "presence", "presence_low", "presence_high"])
    return ImputationTrial(each, means, columns)


def choose(trial: ImputationTrial) -> pd.DataFrame:
    """Choose, by column, what is handed on: the median, unless another brings the later figures nearer each time.

    Of `HANDED_ON` the one is taken that comes nearest to the segments' profile, over all mechanisms. It must be
    nearer by `LEAST_GAIN` in every repeat, where both fill in the same hidden cells, and lose no ROC AUC. A mark
    of the missing is taken where it brings the ROC AUC nearer by `LEAST_AUC_GAIN` in every repeat.

    Returns:
        The trial's `columns`, with `nearest`, `gain_low`, `gain_high` (the median's greatest difference of a
        profile less its own, least and greatest of the repeats), `method` and `reason`.
    """
    rows = []
    for column, tried in trial.scores.groupby("column", sort=False):
        kept = tried[tried.method.isin(HANDED_ON)].assign(auc_off=lambda t: t.auc_off.abs())
        profile, auc = (
            kept.pivot_table(index="repeat", columns="method", values=v) for v in ("profile_off", "auc_off")
        )
        others = profile.columns.drop(["median", "indicator"])
        nearest = str(profile[others].mean().idxmin())
        gain, auc_gain = profile["median"] - profile[nearest], auc["median"] - auc["indicator"]
        method, reason = "median", "nothing handed on comes nearer each time"
        if gain.min() > LEAST_GAIN and auc[nearest].mean() <= auc["median"].mean() + LEAST_AUC_GAIN:
            n = f"{profile[nearest].mean():.2f} sd off, the median {profile['median'].mean():.2f}"
            method, reason = nearest, f"nearer to the segments' profile each time: {n}"
        elif auc_gain.min() > LEAST_AUC_GAIN:
            method, reason = "indicator", "a mark of what was missing brings the ROC AUC nearer each time"
        rows.append((column, nearest, gain.min(), gain.max(), method, reason))
    names = ["column", "nearest", "gain_low", "gain_high", "method", "reason"]
    return trial.columns.merge(pd.DataFrame(rows, columns=names), on="column", validate="one_to_one")


def imputation_rules(
    cells: Sequence[Cells], chosen: pd.DataFrame, report: pd.DataFrame, *, tables: Iterable[str]
) -> pd.DataFrame:
    """Return the table that pages 05 and 07 read: how a column is filled in, and why. One row a column.

    Columns of words, and birth dates, are filled in by no page: their method is `none`.
    """
    by_name = {one.name: one for one in cells if one.table}
    rows = [(by_name[c.column].column, c.method, c.reason) for c in chosen.itertuples() if c.column in by_name]
    holed = report[(report.n_missing > 0) & report.table.isin([*USED_BY, "customer_records"])]
    judged = {(one.table, one.column) for one in by_name.values()}
    for hole in holed.itertuples():
        known = SCHEMAS["contacts" if hole.table == "coupon_contacts" else hole.table].by_name
        if (hole.table, hole.column) == ("customer_records", "birth_date"):
            rows.append((hole.column, "none", "records are linked by it: an invented date would link strangers"))
        elif hole.column not in known and (hole.table, hole.column) not in judged:
            rows.append((hole.column, "none", "words, or too few known: not known is a level of its own"))
    if "transactions" in tables:
        rows += [(column, "indicator", reason) for column, reason in _NO_MEANING.items()]
    return pd.DataFrame(rows, columns=RULES).drop_duplicates("column", ignore_index=True)


def contact_imputers(tables: Mapping[str, ibis.Table], rules: Mapping[str, str], *, max_rows: int) -> pd.DataFrame:
    """Learn how to fill in the numbers of contacts, for page 07, from contacts that teach there.

    Where contacts have times, what was sent before each tenth of them teaches: page 07 takes the last that ends
    before its test begins. Without times it is people (`learners`), whom page 07 keeps out of its test.

    Args:
        tables: Rows that may teach, by table (`SENDS`); the further columns are taken (`sends.quantity`).
        rules: Method by column, as chosen.
        max_rows: Rows of a table at most, but for chance, drawn by a hash of each person.

    Returns:
        Rows of `HANDED`; `as_of` is null where contacts have no times.
    """
    found = [pd.DataFrame(columns=HANDED)]
    for name in tables:
        table = tables[name].mutate(_learner=learners(tables[name], person="customer_id"))
        rows = drawn_rows(table, max_rows=max_rows)
        sent = rows.get("occurred_at")
        sent = None if sent is None or sent.isna().any() else sent
        numbers = {c: quantity(rows[c], sent_at=sent) for c in further_columns(tables[name], name)}
        frame = pd.DataFrame({c: of for c, of in numbers.items() if of is not None})
        if sent is None:
            taught = {pd.NaT: rows["_learner"]}
        else:
            ends = sent.sort_values().iloc[np.arange(1, 11) * (len(sent) - 1) // 10]
            taught = {end: sent < end for end in ends.unique()}
        for as_of, known in taught.items() if len(frame.columns) else ():
            imputer = fit_imputer(frame[known.to_numpy(dtype=bool)], rules=rules)
            found.append(imputer_table(imputer, source=name, as_of=as_of))
    return pd.concat(found, ignore_index=True).astype({"as_of": "datetime64[us]"})


def pooled_means(cells: Sequence[Cells], *, level: float, rng: np.random.Generator) -> pd.DataFrame:
    """Estimate each column's mean three ways, with intervals: of known cells, filled by the median, and pooled.

    Returns:
        `column`, `way` (known cells, median, multiple imputation), `mean`, `low`, `high`, and `missing_share`: the
        share of the variance that is due to what is missing (Rubin's rules, 20 completed sets).
    """
    rows = []
    for one, own in zip(cells, rng.spawn(len(cells)), strict=True):
        values, others = one.whole[one.column].to_numpy(float), one.whole.drop(columns=one.column).to_numpy(float)
        known = ~np.isnan(values)
        sets = np.tile(values, (20, 1))
        sets[:, ~known] = normal_draws(values, others, n_draws=20, rng=own)
        filled = np.where(known, values, np.median(values[known]))
        ways = {"known cells": values[known][None], "median": filled[None], "multiple imputation": sets}
        for way, completed in ways.items():
            n = completed.shape[1]
            twice = np.repeat(completed, 2, axis=0) if len(completed) == 1 else completed
            found = pooled(twice.mean(axis=1), twice.var(axis=1, ddof=1) / n, level=level, degrees_complete=n - 1)
            rows.append((one.name, way, found.estimate, found.low, found.high, found.missing_share))
    return pd.DataFrame(rows, columns=["column", "way", "mean", "low", "high", "missing_share"])


def _fill(holes: pd.DataFrame, column: str, method: str, rng: np.random.Generator) -> np.ndarray:
    """Return the column completed, once or, by `multiple`, several times: shape (sets, n)."""
    values, missing = holes[column].to_numpy(), holes[column].isna().to_numpy()
    if method in HANDED_ON:
        return fill(holes, fit_imputer(holes, rules={column: method}))[[column]].to_numpy().T
    filled = values.copy()
    others = StandardScaler().fit_transform(holes.drop(columns=column))
    if method == "multiple":
        sets = np.tile(values, (_N_DRAWS, 1))
        sets[:, missing] = normal_draws(values, others, n_draws=_N_DRAWS, rng=rng)
        return sets
    if method == "neighbours":
        scaled = np.column_stack([others, (values - np.nanmean(values)) / np.nanstd(values)])
        filled[missing] = KNNImputer(n_neighbors=_NEAR).fit_transform(scaled)[missing, -1]
        filled[missing] = filled[missing] * np.nanstd(values) + np.nanmean(values)
        return filled[None]
    # Donors within fifths of what is expected (Little 1986).
    expected = fill(holes.assign(**{column: np.nan}), fit_imputer(holes, rules={column: "model"}))[column]
    classes = ((rankdata(expected.round(9), method="ordinal") - 1) * _N_CLASSES // len(values)).astype(int)
    filled[missing] = values[hot_deck(values, classes, max_uses=_MAX_USES, rng=rng)]
    return filled[None]


def _hide(frame: pd.DataFrame, column: str, share: float, mechanism: str, rng: np.random.Generator) -> np.ndarray:
    """Choose `share` of the cells; the lowest is e squared times as likely as the highest where it is not MCAR."""
    n, by = len(frame), column if mechanism == "MNAR" else closest(frame, column)
    ranks = np.argsort(np.argsort(frame[by].to_numpy(), kind="stable"), kind="stable")
    weights = np.ones(n) if mechanism == "MCAR" else np.exp(-2 * ranks / n)
    hidden = np.zeros(n, dtype=bool)
    hidden[rng.choice(n, size=max(2, round(share * n)), replace=False, p=weights / weights.sum())] = True
    return hidden


def _score(truth: np.ndarray, filled: np.ndarray, hidden: np.ndarray, *, part: np.ndarray) -> dict[str, float]:
    """Compare filled cells with the truth, in standard deviations of the column."""
    deviation, imputed, true = truth.std(), filled[hidden], truth[hidden]
    kept = 0.0 if np.ptp(imputed) == 0 else imputed.var()
    off = [filled[part == k].mean() - truth[part == k].mean() for k in range(3)]
    return {
        "error": float(np.sqrt(np.mean((imputed - true) ** 2)) / deviation),
        "variance_ratio": float(kept / true.var()) if np.ptp(true) > 0 else float("nan"),
        "mean_shift": float((filled.mean() - truth.mean()) / deviation),
        "profile_off": float(np.abs(off).max() / deviation),
    }


def _auc(one: Cells, filled: np.ndarray, mark: np.ndarray | None) -> float:
    """ROC AUC for the outcome of the column, its square and a mark, fitted on one half and judged on the other."""
    scaled = (filled - filled.mean()) / (filled.std() or 1.0)
    columns = [scaled, scaled**2] if mark is None else [scaled, scaled**2, mark]
    x, half = np.column_stack(columns).round(9), np.arange(len(filled)) % 2 == 0
    if any(np.ptp(one.outcome[part].astype(int)) == 0 for part in (half, ~half)):
        return 0.5
    model = LogisticRegression(solver="newton-cholesky").fit(x[half], one.outcome[half])
    ranks, true = rankdata(model.decision_function(x[~half]).round(9)), one.outcome[~half]
    return float((ranks[true].mean() - (true.sum() + 1) / 2) / (~true).sum())

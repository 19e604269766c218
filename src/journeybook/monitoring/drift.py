"""The newest contacts against the reference: who they are, how they respond, and whether scores still hold.

Four questions told apart: covariates (other people or messages), label (another response rate), concept (another
response from the same features), calibration (scores of page 07 against what came). Each has an effect, with an
interval, and a margin that does not hang on how many rows there are.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from journeybook.errors import JourneybookError
from journeybook.monitoring.limits import Array, Margins, verdict_of
from journeybook.statistics.clusters import clustered_error

COVARIATE, LABEL, CONCEPT, CALIBRATION = "covariate", "label", "concept", "calibration"
ALL = "(all)"
# Columns of contacts that are no feature: who, when, how it ended, and what was drawn.
_NO_FEATURES = {"row", "contact_id", "person_id", "occurred_at", "responded", "opened", "clicked", "value",
                "propensity", "as_of", "probability"}  # fmt: skip
_MOST_LEVELS, _LEAST = 12, 100
_RIDGE, _STEPS = 10.0, 25

_PROFILE = ["part", "name", "level", "n", "mean", "sd", "error"]
_MODEL = ["name", "level", "centre", "scale", "weight"]


def contacts_of(
    contacts: ibis.Table | None,
    features: ibis.Table | None,
    scores: ibis.Table | None,
    *,
    dictionary: ibis.Table | None,
) -> pd.DataFrame:
    """Return dated contacts that were sent, in order of time, with what was known of the person, and the score.

    Args:
        contacts: Clean contacts; those by the channel `none` are left out.
        features: Snapshots by `person_id` and `as_of` (page 04); the last before the contact counts.
        scores: `row` and `probability` of page 07; its part `test`, which it did not learn from.
        dictionary: Features by `kind` (page 04): a `total` only grows, so that it is left out; None leaves none.
    """
    if contacts is None or "occurred_at" not in contacts.columns:
        return pd.DataFrame({"occurred_at": [], "responded": [], "channel": [], "person_id": []})
    rows = contacts.order_by("occurred_at", "row").to_pandas().dropna(subset=["occurred_at"])
    rows = rows.assign(channel=rows["channel"].fillna("unknown") if "channel" in rows else ALL)
    nobody = rows["row"].map("row {}".format)
    rows["person_id"] = (
        rows["person_id"].astype("object").where(rows["person_id"].notna(), nobody)
        if "person_id" in rows
        else nobody
    )
    rows = rows[rows["channel"] != "none"].assign(responded=lambda t: t["responded"].astype(float))
    if features is not None:
        known = features.order_by("as_of", "row").to_pandas()
        totals = (
            set() if dictionary is None else {*dictionary.filter(dictionary.kind == "total").feature.to_pandas()}
        )
        known = known[["person_id", *(c for c in known if c not in rows and c not in totals)]]
        known["as_of"] = known["as_of"].astype(rows["occurred_at"].dtype)
        keys = {"left_on": "occurred_at", "right_on": "as_of", "by": "person_id"}
        rows = pd.merge_asof(rows, known.astype({"person_id": "object"}), **keys)
    if scores is not None:
        told = scores.filter(scores.part == "test").select("row", "probability").to_pandas()
        rows = rows.merge(told, how="left", on="row")
    return rows.reset_index(drop=True)


def split_newest(rows: pd.DataFrame, *, recent_days: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows before the newest days, and those of the newest days."""
    if rows.empty:
        return rows, rows
    from_ = rows["occurred_at"].max().normalize() - pd.Timedelta(days=recent_days - 1)
    return rows[rows["occurred_at"] < from_], rows[rows["occurred_at"] >= from_]


def profile_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what a later run compares with: one row a feature or value of it, and a channel's response.

    Returns:
        `part` (covariate, label), `name`, `level` (value of a feature of few values; else empty), `n`, `mean`,
        `sd`, and `error`, the standard error, in which a person's rows belong together (Cochran 1977).
    """
    told = []
    if len(rows) < _LEAST:
        return pd.DataFrame(columns=_PROFILE)
    who = rows["person_id"].to_numpy()
    for name in (c for c in rows if c not in _NO_FEATURES):
        for level, value in _numbers(rows[name]):
            told.append({"part": COVARIATE, "name": name, "level": level, **_summed(value, who)})
    for channel in [ALL, *_channels(rows)]:
        own = rows["responded"].where((rows["channel"] == channel) | (channel == ALL)).to_numpy(dtype=float)
        told.append({"part": LABEL, "name": channel, "level": "", **_summed(own, who)})
    return pd.DataFrame([one for one in told if one["n"] >= _LEAST], columns=_PROFILE)


def _numbers(column: pd.Series) -> list[tuple[str, Array]]:
    """A number as it is, or a mark for each value of a column of few values."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        if pd.api.types.is_datetime64_any_dtype(column):
            return []
        try:
            text = column.astype("string")
        except (TypeError, ValueError):
            return []
        levels = text.dropna().unique()
        if not 1 < len(levels) <= _MOST_LEVELS:
            return []
        levels = sorted(levels)[1:] if len(levels) == 2 else sorted(levels)
        return [(v, (text == v).astype(float).where(text.notna()).to_numpy(dtype=float)) for v in levels]
    value = column.to_numpy(dtype=float, na_value=np.nan)
    return [("", value)] if np.nanmin(value, initial=np.inf) < np.nanmax(value, initial=-np.inf) else []


def _summed(value: Array, who: NDArray) -> dict[str, float]:
    known = np.isfinite(value)
    n, own = int(known.sum()), value[known]
    if n < 2:
        return {"n": n, "mean": np.nan, "sd": np.nan, "error": np.nan}
    return {
        "n": n,
        "mean": float(own.mean()),
        "sd": float(own.std(ddof=1)),
        "error": clustered_error(own - own.mean(), who[known]),
    }


def fit_concept(rows: pd.DataFrame) -> pd.DataFrame:
    """Fit who responds on the reference: a logistic regression with a little ridge, its features standardised.

    Returns:
        One row a feature or value of it, the intercept first (`name` empty): `name`, `level`, `centre`, `scale`,
        `weight`. No row where there are too few responses.
    """
    y = rows["responded"].to_numpy(dtype=float)
    if len(rows) < 2 * _LEAST or min(y.sum(), len(y) - y.sum()) < _LEAST / 2:
        return pd.DataFrame(columns=_MODEL)
    parts = [(c, *one) for c in rows if c not in _NO_FEATURES for one in _numbers(rows[c])]
    parts = [one for one in parts if np.isfinite(one[2]).mean() > 0.5]
    told = pd.DataFrame(
        [("", "", 0.0, 1.0), *((c, v, np.nanmean(x), max(np.nanstd(x), 1e-9)) for c, v, x in parts)],
        columns=_MODEL[:-1],
    )
    design = _design(rows, told)
    weight, ridge = np.zeros(design.shape[1]), np.r_[0.0, np.full(design.shape[1] - 1, _RIDGE)]
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-design @ weight))
        slope = design.T @ (y - p) - ridge * weight
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge + 1e-9), slope)
        weight += step
        if np.abs(step).max() < 1e-10:
            break
    return told.assign(weight=weight)


def expected_by(model: pd.DataFrame, rows: pd.DataFrame) -> Array:
    """Return the probability of a response that a concept gives each row; what is missing counts as usual."""
    return 1 / (1 + np.exp(-_design(rows, model) @ model["weight"].to_numpy(dtype=float)))


def _design(rows: pd.DataFrame, model: pd.DataFrame) -> Array:
    columns = [np.ones(len(rows))]
    for of in model.iloc[1:].itertuples():
        if of.name not in rows:
            columns.append(np.zeros(len(rows)))
            continue
        column = rows[of.name]
        if of.level:
            text = column.astype("string")
            value = (text == of.level).astype(float).where(text.notna()).to_numpy(dtype=float)
        else:
            value = column.to_numpy(dtype=float, na_value=np.nan)
        columns.append(np.nan_to_num((value - of.centre) / of.scale))
    return np.column_stack(columns)


def measure_drift(
    newest: pd.DataFrame, profile: pd.DataFrame, model: pd.DataFrame, *, margins: Margins, alpha: float
) -> pd.DataFrame:
    """Compare the newest rows with a reference.

    Args:
        newest: What `contacts_of` returns, of the newest days.
        profile: What `profile_of` returns of the reference.
        model: What `fit_concept` returns of the reference.
        margins: What does not matter: sd of features, points of responses.
        alpha: Chance that any interval of the table misses what it is of (Bonferroni).

    Returns:
        One row a question: `part`, `name`, `level`, `n`, `reference`, `newest`, `effect`, `low`, `high`, `margin`,
        `unit` (sd or points), `verdict`. Concept and calibration are what came less what the reference's model
        and the scores expect: in all, by channel, and in the half of the rows that are expected likelier, and not.
    """
    now = profile_of(newest).set_index(_PROFILE[:3])
    rows = []
    for was in profile.itertuples():
        if (was.part, was.name, was.level) not in now.index:
            continue
        of = now.loc[(was.part, was.name, was.level)]
        covariate = was.part == COVARIATE
        scale = was.sd if covariate else 1.0
        error = np.hypot(of["error"], was.error) / scale
        told = {"part": was.part, "name": was.name, "level": was.level, "n": int(of["n"]), "reference": was.mean}
        told |= {"newest": of["mean"], "effect": (of["mean"] - was.mean) / scale, "error": error}
        rows.append(told | {"unit": "sd" if covariate else "points"})
    if len(newest) >= _LEAST:
        rows += _off(CONCEPT, newest, expected_by(model, newest)) if len(model) else []
        scored = newest[newest["probability"].notna()] if "probability" in newest else newest.iloc[:0]
        rows += _off(CALIBRATION, scored, scored.get("probability", pd.Series(dtype=float)).to_numpy(dtype=float))
    table = pd.DataFrame(
        rows, columns=["part", "name", "level", "n", "reference", "newest", "effect", "error", "unit"]
    )
    half = stats.norm.isf(alpha / 2 / max(len(table), 1)) * table["error"].astype(float)
    table = table.assign(low=table["effect"] - half, high=table["effect"] + half)
    table["margin"] = table["unit"].map({"sd": margins.sd, "points": margins.points}).astype(float)
    table["verdict"] = verdict_of(*(table[c].to_numpy(dtype=float) for c in ("low", "high", "margin")))
    return table[["part", "name", "level", "n", "reference", "newest", "effect", "low", "high", "margin", "unit",
                  "verdict"]]  # fmt: skip


def _off(part: str, rows: pd.DataFrame, p: Array) -> list[dict[str, object]]:
    """What came less the probabilities given: in all, by channel, in the likelier half of rows and the other."""
    y, who = rows["responded"].to_numpy(dtype=float), rows["person_id"].to_numpy()
    groups = {ALL: np.ones(len(p), dtype=bool)} | {c: (rows["channel"] == c).to_numpy() for c in _channels(rows)}
    likely = p > np.median(p) if len(p) else p > 0
    told: list[dict[str, object]] = []
    for name, of in (groups | {"likelier half": likely, "other half": ~likely}).items():
        if of.sum() >= _LEAST:
            error = clustered_error((y - p)[of] - (y - p)[of].mean(), who[of])
            about = {"part": part, "name": name, "level": "", "n": int(of.sum()), "error": error, "unit": "points"}
            means = {"reference": float(p[of].mean()), "newest": float(y[of].mean())}
            told.append(about | means | {"effect": float((y - p)[of].mean())})
    return told


def _channels(rows: pd.DataFrame) -> list[str]:
    found = sorted(rows["channel"].unique())
    return found if len(found) > 1 else []


def read_reference(path: str | None) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the profile and the concept that an earlier run of this page kept; None where none is named.

    Raises:
        JourneybookError: The file is no results file of this page.
    """
    if path is None:
        return None
    try:
        kept = json.loads(Path(path).read_text(encoding="utf-8"))["tables"]
        tables = pd.DataFrame(kept["profile"], columns=_PROFILE), pd.DataFrame(kept["concept"], columns=_MODEL)
    except (OSError, ValueError, KeyError, TypeError):
        raise JourneybookError(
            f"reference is {path}: it must be results/15_monitoring.json of an earlier run, which holds a profile."
        ) from None
    return tables


def psi(reference: Array, newest: Array, *, bins: int) -> Array:
    """Return the population stability index of samples, shape (samples, n) each.

    Bins are of the reference's quantiles; one without a row counts as half a row.
    """
    found = []
    for was, now in zip(reference, newest, strict=True):
        edges = np.quantile(was, np.arange(1, bins) / bins)
        a, b = (
            np.maximum(np.bincount(np.searchsorted(edges, x, side="left"), minlength=bins), 0.5)
            for x in (was, now)
        )
        a, b = a / a.sum(), b / b.sum()
        found.append(((b - a) * np.log(b / a)).sum())
    return np.array(found)


def psi_alarms(
    sizes: Sequence[int],
    *,
    shifts: Sequence[float],
    margins: Margins,
    n_simulations: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Simulate how often PSI above 0.1 alarms, and what this page says, by size and by shift in sd. SIMULATED.

    Returns:
        One row a size and shift: `n`, `shift`, `psi_alarms`, `changed`, `same`, `untold` (shares), `simulations`.
    """
    rows = []
    for shift in shifts:
        for n in sizes:
            was = rng.standard_normal((n_simulations, n))
            now = rng.standard_normal((n_simulations, n)) + shift
            sd = was.std(axis=1, ddof=1)
            effect = (now.mean(axis=1) - was.mean(axis=1)) / sd
            half = stats.norm.ppf(0.975) * np.hypot(sd, now.std(axis=1, ddof=1)) / sd / np.sqrt(n)
            said = verdict_of(effect - half, effect + half, np.array(margins.sd))
            told: Mapping[str, float] = {name: float((said == name).mean()) for name in ("changed", "same")}
            alarms = float((psi(was, now, bins=10) > 0.1).mean())
            untold = 1 - told["changed"] - told["same"]
            rows.append({"n": n, "shift": shift, "psi_alarms": alarms, **told, "untold": untold,
                         "simulations": n_simulations})  # fmt: skip
    return pd.DataFrame(rows)

"""Each step of page 07 made again by another road, and on labels that mean nothing."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import clone
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.explanation import Explanation
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import ResponseModel, log_odds, prior_shift, response_pipelines
from journeybook.channel_response.splits import Split
from journeybook.channel_response.storage import reading_back
from journeybook.channel_response.study import MethodComparison

_SAMPLE = 300
_LEAST_ROWS = 10_000
_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def recount(
    contacts: ContactFrame,
    asked: ibis.Table,
    snapshots: ibis.Table | None,
    split: Split,
    comparison: MethodComparison,
    *,
    response_window_days: float,
) -> pd.DataFrame:
    """Return how far the steps up to the chosen model are off when they are taken again.

    Args:
        contacts: As made by `contact_frame`.
        asked: The contacts it was made of.
        snapshots: The snapshots joined to them; None where there are none.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        response_window_days: Days after a contact in which a response counts.

    Returns:
        One row a check, as `results.checks_of` takes them.
    """
    rows = [
        ("contacts whose outcome is not that of the table", _outcomes_off(contacts, asked), 0, 0, "row by row"),
        ("contacts in two parts, or in none but purged", _parts_off(contacts, split), 0, 0, "set arithmetic"),
        ("training contacts whose response window reaches the test", _late(contacts, split, response_window_days),
         0, 0, "date by date"),
        ("calibrations applied and fitted by another optimiser, difference",
         _calibrations_off(contacts, split, comparison), 0, 1e-3, "SciPy, BFGS on the calibration contacts"),
        ("models that the calibration contacts prefer to the chosen one",
         _better_than_chosen(contacts, split, comparison), 0, 0, "scikit-learn, log_loss"),
        ("probabilities of a model with undersampling fitted alone, difference",
         refitted_alone(contacts, split, comparison.model("logistic", "undersample")), 0, 1e-12,
         "imbalanced-learn, Pipeline.fit"),
        *_measures(contacts, split, comparison),
    ]  # fmt: skip
    if snapshots is not None and contacts.n_with_snapshot:
        off = _snapshots_off(contacts, snapshots)
        rows.append(
            ("contacts whose features are not the last ones before", off, 0, 0, f"{_SAMPLE} contacts by hand")
        )
    return pd.DataFrame(rows, columns=_COLUMNS)


def handed_on(
    contacts: ContactFrame,
    split: Split,
    comparison: MethodComparison,
    explanation: Explanation,
    told: pd.DataFrame,
    files: Mapping[str, bytes],
) -> pd.DataFrame:
    """Return how far explanation, written probabilities and saved model are off the models themselves.

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        explanation: As made by `explain_trees`.
        told: As made by `contact_probabilities`.
        files: As made by `pack_model`.

    Returns:
        One row a check, as `results.checks_of` takes them.
    """
    row = comparison.row(calibrated=True)
    rows = [
        ("Shapley values and base add up to the log odds, largest gap", explanation.additivity_error, "within", 0,
         1e-3, "additivity, Lundberg & Lee 2017"),
        ("probabilities written of contacts, off those of the models", _written_off(contacts, comparison, told),
         "within", 0, 1e-9, f"{_SAMPLE} contacts, each under its own channel"),
        ("largest difference between the model and its files, read back",
         reading_back(files, comparison.chosen, contacts, split), "at most", 1e-9, 0, "the model in memory"),
    ]  # fmt: skip
    if row["n_rows"] >= _LEAST_ROWS:
        rows.append(("ECE of the chosen model", row["ece"], "at most", 0.02, 0,
                     "bar for 10,000 contacts and more; simulated: 0.013"))  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "value", "rule", "reference", "tolerance", "source"])


def noise_trial(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Shuffle the responses over all contacts, then fit and judge as before: nothing must be found.

    The range allowed holds 99.9 % of the ROC AUCs of a random score: that of the Mann-Whitney statistic, with
    variance (n + 1) / (12 x responders x others).

    Args:
        contacts: As made by `contact_frame`.
        split: As made by `split_contacts`.
        gate: Only the features it let pass are used.
        settings: Of the boosted trees to fit, without resampling.
        rng: Shuffles, and seeds the model.

    Returns:
        One row, a check as `results.checks_of` takes it.
    """
    table = contacts.rows[[*gate.features, "responded"]]
    table = table.assign(responded=rng.permutation(table["responded"].to_numpy()))
    auc = _trained_auc(table.iloc[split.training], table.iloc[split.test], settings=settings, rng=rng)
    n, hits = len(split.test), int(table["responded"].iloc[split.test].sum())
    half = norm.ppf(0.9995) * np.sqrt((n + 1) / (12 * hits * (n - hits)))
    row = ("ROC AUC on shuffled responses", auc, 0.5, half, "99.9 % range of a random score, Mann & Whitney 1947")
    return pd.DataFrame([row], columns=_COLUMNS)


def auc_in_file_order(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> float | None:
    """Return the ROC AUC on the last rows of the table of boosted trees trained on the first; None with times.

    Where contacts have neither times nor people, the order of the rows is all there is to tell what time may do.

    Args:
        contacts: As made by `contact_frame`.
        split: The last rows tested are as many as its test.
        gate: Only the features it let pass are used.
        settings: Of the boosted trees, without resampling.
        rng: Seeds them.
    """
    if split.how != "draw":
        return None
    rows = contacts.rows[[*gate.features, "responded"]]
    return _trained_auc(rows.iloc[: -len(split.test)], rows.iloc[-len(split.test) :], settings=settings, rng=rng)


def refitted_alone(contacts: ContactFrame, split: Split, model: ResponseModel) -> float:
    """Return the largest difference of a model's probabilities from those of its pipeline fitted by its own `fit`.

    The page encodes and resamples once for several methods; the plain call of imbalanced-learn must say the same.

    Args:
        contacts: As made by `contact_frame`.
        split: Fitted on its `fit`, compared on its test.
        model: Any but a stack, as fitted for these contacts.
    """
    fit, test = contacts.rows.iloc[split.fit], contacts.rows.iloc[split.test]
    alone = clone(model.pipeline).fit(fit[list(model.features)], fit["responded"].to_numpy())
    said = alone.predict_proba(test[list(model.features)])[:, 1]
    return float(np.abs(said - model.probability(test, calibrated=False)).max())


def _trained_auc(
    fit: pd.DataFrame, test: pd.DataFrame, *, settings: Mapping[str, float], rng: np.random.Generator
) -> float:
    (pipeline,) = response_pipelines(fit, [("xgboost", settings)], resampling="none", rng=rng)
    pipeline.fit(fit.drop(columns="responded"), fit["responded"].to_numpy())
    return float(roc_auc_score(test["responded"], pipeline.predict_proba(test.drop(columns="responded"))[:, 1]))


def _written_off(contacts: ContactFrame, comparison: MethodComparison, told: pd.DataFrame) -> float:
    """Largest difference of some contacts' written probabilities from those of the fitted pipelines."""
    mine = contacts.rows.merge(told.drop(columns=["person_id", "channel", "n_contacts_28d"]), on="row")
    mine = mine[mine["probability"].notna()]
    some, off = mine.iloc[np.unique(np.linspace(0, len(mine) - 1, _SAMPLE, dtype=int))], [0.0]
    asked = [(comparison.chosen, some["probability"])]
    trees, names = comparison.model("xgboost", "none"), [f"probability_{name}" for name in some["channel"]]
    if set(names) <= set(some):
        own = some[list(dict.fromkeys(names))]
        asked.append((trees, own.to_numpy()[np.arange(len(some)), own.columns.get_indexer(names)]))
    for model, written in asked:
        raw = model.pipeline.predict_proba(some[list(model.features)])[:, 1]
        off.append(np.abs(expit(model.intercept + model.slope * log_odds(raw)) - written).max())
    return float(max(off))


def _outcomes_off(contacts: ContactFrame, asked: ibis.Table) -> int:
    told = asked.select("row", "responded", *[c for c in ("propensity",) if c in asked.columns]).to_pandas()
    both = contacts.rows[["row", *told.columns[1:]]].merge(told, on="row", suffixes=("", "_raw"), how="left")
    off = both["responded"] != both["responded_raw"].astype(float)
    if "propensity" in told:
        off |= (both["propensity"].astype(float) - both["propensity_raw"].astype(float)).abs() > 1e-12
    return int(off.sum())


def _parts_off(contacts: ContactFrame, split: Split) -> int:
    placed = np.concatenate([split.fit, split.calibrate, split.test, split.purged])
    off = len(contacts.rows) - len(np.unique(placed)) + len(placed) - len(np.unique(placed))
    if split.how == "person":
        person = contacts.rows["person"].to_numpy()
        off += len(np.intersect1d(person[split.training], person[split.test]))
    return off


def _late(contacts: ContactFrame, split: Split, days: float) -> int:
    if split.how != "time":
        return 0
    times = contacts.rows["occurred_at"]
    begins = times.iloc[split.test].min()
    late = times.iloc[split.training] + pd.Timedelta(days=days) > begins
    return int(late.sum() + (times.iloc[split.fit].max() > times.iloc[split.calibrate].min()))


def _calibrations_off(contacts: ContactFrame, split: Split, comparison: MethodComparison) -> float:
    """Greatest difference of calibrations from another optimiser's; infinite where one is wrongly applied."""
    rows, worst = contacts.rows.iloc[split.calibrate], 0.0
    done = rows["responded"].to_numpy()
    for model in [m for m in comparison.models if m.method == "logistic"]:
        said = log_odds(model.probability(rows, calibrated=False))
        shift = prior_shift(model.resampling, rate=float(contacts.rows["responded"].iloc[split.fit].mean()))
        first = np.arange(len(said)) < len(said) / 2
        gained = np.logaddexp(0, -np.where(done == 1, 1, -1) * (said - shift))
        for taught in (first, ~first):
            slope, intercept = _fitted(said[taught], done[taught])
            odds = slope * said[~taught] + intercept
            gained[~taught] -= np.logaddexp(0, -np.where(done[~taught] == 1, 1, -1) * odds)
        helps = gained.mean() > norm.ppf(0.95) * gained.std(ddof=1) / len(gained) ** 0.5
        expected = _fitted(said, done) if helps else np.array([1.0, -shift])
        same = helps == model.is_calibrated
        worst = max(worst, float(np.abs(expected - [model.slope, model.intercept]).max()) if same else np.inf)
    return worst


def _fitted(said: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Slope and intercept of a logistic regression, by BFGS."""
    sign = np.where(done == 1, 1.0, -1.0)

    def loss(fitted: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (fitted[0] * said + fitted[1])).mean())

    return minimize(loss, np.array([1.0, 0.0]), method="BFGS", options={"gtol": 1e-10}).x


def _better_than_chosen(contacts: ContactFrame, split: Split, comparison: MethodComparison) -> int:
    """Number of models without resampling that lose less on the calibration contacts than the chosen one."""
    if comparison.chosen.resampling != "none":
        return 0
    rows = contacts.rows.iloc[split.calibrate]
    plain = {
        m.method: sklearn_log_loss(rows["responded"], m.probability(rows, calibrated=True))
        for m in comparison.models
        if m.resampling == "none"
    }
    return sum(loss < plain[comparison.chosen.method] - 1e-12 for loss in plain.values())


def _measures(contacts: ContactFrame, split: Split, comparison: MethodComparison) -> list[tuple]:
    """The chosen model's measures, from its own pipeline on the test contacts, by scikit-learn."""
    rows, chosen = contacts.rows.iloc[split.test], comparison.chosen
    done = rows["responded"].to_numpy()
    raw = log_odds(chosen.pipeline.predict_proba(rows[list(chosen.features)])[:, 1])
    likely, told = expit(chosen.intercept + chosen.slope * raw), comparison.row(calibrated=True)
    bins = pd.qcut(pd.Series(likely).rank(method="first"), 10, labels=False)
    by_bin = pd.DataFrame({"p": likely, "y": done}).groupby(bins.to_numpy())
    ece = float(((by_bin["p"].mean() - by_bin["y"].mean()).abs() * by_bin.size()).sum() / len(done))
    ours = {
        "roc_auc": roc_auc_score(done, likely),
        "pr_auc": average_precision_score(done, likely),
        "log_loss": sklearn_log_loss(done, likely),
        "brier": brier_score_loss(done, likely),
        "ece": ece,
    }
    # Bins of equal probabilities may be cut at another place.
    own = {"ece": (2e-3, "ten bins of equal size in pandas")}
    plain = (1e-9, "scikit-learn, on the pipeline's own probabilities")
    return [
        (f"{name.replace('_', ' ')} of the chosen model", float(told[name]), value, *own.get(name, plain))
        for name, value in ours.items()
    ]


def _snapshots_off(contacts: ContactFrame, snapshots: ibis.Table) -> int:
    """Number of some contacts whose numeric features are not those of the last snapshot strictly before."""
    known = contacts.rows[contacts.rows["person_id"].notna()]
    some = known.iloc[np.unique(np.linspace(0, len(known) - 1, min(len(known), _SAMPLE), dtype=int))]
    mine = snapshots.filter(snapshots.person_id.isin(some["person_id"].unique().tolist())).to_pandas()
    numeric = [c for c in mine.select_dtypes("number").columns if c != "row"]
    names = {c: f"snapshot_{c}" if f"snapshot_{c}" in some else c for c in numeric}
    off = 0
    for contact in some.to_dict("records"):
        before = mine[(mine["person_id"] == contact["person_id"]) & (mine["as_of"] < contact["occurred_at"])]
        if before.empty:
            off += not pd.isna(contact["as_of"])
            continue
        last = before.loc[before["as_of"].idxmax()]
        told = np.array([contact[names[c]] for c in numeric], dtype=float)
        off += not np.allclose(told, last[numeric].astype(float), equal_nan=True)
    return off

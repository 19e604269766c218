"""Each step of page 07 made again by another road, and on labels that mean nothing."""

from collections.abc import Mapping

import ibis
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm
from sklearn.base import clone
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from journeybook.channel_response.contacts import FATIGUE_DAYS, ContactFrame
from journeybook.channel_response.explanation import Explanation
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import ResponseModel, log_odds, prior_shift, response_pipelines
from journeybook.channel_response.pitfall import auc_of
from journeybook.channel_response.scores import as_read, people_of
from journeybook.channel_response.scoring import score_rows
from journeybook.channel_response.splits import Split
from journeybook.channel_response.storage import unpack_model
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.windows import ResponseWindows
from journeybook.sends import NO_CONTACT
from journeybook.statistics.clusters import clustered_error
from journeybook.statistics.labels import UNKNOWN
from journeybook.tables import Run, permitted_people
from journeybook.tables.rows import rows_off

_SAMPLE = 300
_COLUMNS = ["name", "value", "reference", "tolerance", "source"]


def recount(
    contacts: ContactFrame,
    asked: ibis.Table,
    snapshots: ibis.Table | None,
    split: Split,
    comparison: MethodComparison,
    *,
    segments: ibis.Table | None,
    types: np.ndarray,
    response_window_days: float,
) -> pd.DataFrame:
    """Return how far the steps up to the chosen model are off when they are taken again.

    `asked` and `snapshots` are what the contacts were made of, `segments` what their `types` were; None where a
    column of the contacts tells these. One row a check, as `results.checks_of` takes them.
    """
    off = rows_off(contacts.rows, asked, columns=["responded", "propensity"])
    rows = [
        ("contacts whose outcome is not that of the table", off, 0, 0, "row by row"),
        ("training contacts whose response window reaches the test", _late(contacts, split, response_window_days),
         0, 0, "date by date"),
        ("calibrations applied and fitted by another optimiser, difference",
         _calibrations_off(contacts, split, comparison), 0, 1e-3, "SciPy, BFGS on the calibration contacts"),
        ("models that the calibration contacts prefer to the chosen one",
         _better_than_chosen(contacts, split, comparison), 0, 0, "scikit-learn, log_loss"),
        ("probabilities of a model with undersampling fitted alone, difference",
         refitted_alone(contacts, split, comparison.model("logistic", "undersample")), 0, 1e-12,
         "imbalanced-learn, Pipeline.fit"),
    ]  # fmt: skip
    if snapshots is not None and contacts.n_with_snapshot:
        off = _snapshots_off(contacts, snapshots)
        rows.append(
            ("contacts whose features are not the last ones before", off, 0, 0, f"{_SAMPLE} contacts by hand")
        )
        off, name = _fills_off(contacts, snapshots, split), "features filled in by what was not handed on"
        rows.append((name, off, 0, 0, "medians in pandas of the last date before the test"))
    if contacts.has_times and contacts.has_people:
        off = _history_off(contacts, asked, segments, types)
        rows.append(("messages before, or types, that the past does not give", off, 0, 0, f"{_SAMPLE} by hand"))
    rows += _measured_again(contacts, split, comparison)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _fills_off(contacts: ContactFrame, snapshots: ibis.Table, split: Split) -> int:
    """Number of features whose filling in is not the median of the people known last before the test began."""
    last = snapshots.as_of.max(where=snapshots.as_of < split.cut_at)
    known, off = snapshots.filter(snapshots.as_of == last).to_pandas(), 0
    imputer = contacts.imputer
    for column, method, constant in zip(imputer.columns, imputer.methods, imputer.constants, strict=True):
        if method in ("median", "indicator") and column not in contacts.contact_features:
            values = known[column if column in known else column.removeprefix("snapshot_")].astype("Float64")
            due = 0.0 if values.isna().all() else float(values.median())
            off += not np.isclose(constant, due, rtol=1e-9)
    return off


def _history_off(contacts: ContactFrame, asked: ibis.Table, segments: ibis.Table | None, types: np.ndarray) -> int:
    """Number of some contacts whose messages of the 28 days before, or whose segment then, are other ones."""
    known = np.flatnonzero(contacts.rows["person_id"].notna())
    places = known[np.unique(np.linspace(0, len(known) - 1, min(len(known), _SAMPLE), dtype=int))]
    some = contacts.rows.iloc[places][["person_id", "occurred_at", "n_contacts_28d"]].assign(contact=places)
    people = some["person_id"].unique().tolist()
    sent = asked.filter(asked.person_id.isin(people)).select(
        *{"person_id", "occurred_at", "channel"} & {*asked.columns}
    )
    off = np.zeros(len(contacts.rows), dtype=bool)
    if "n_contacts_28d" not in asked.columns:
        both = some.merge(sent.to_pandas(), on="person_id", suffixes=("", "_sent"))
        ago = both["occurred_at"] - both["occurred_at_sent"]
        counts = (ago > pd.Timedelta(0)) & (ago <= pd.Timedelta(days=FATIGUE_DAYS))
        counts &= both.get("channel", pd.Series("", both.index)).ne(NO_CONTACT)
        off[places] |= counts.groupby(both["contact"]).sum()[places].to_numpy() != some["n_contacts_28d"]
    if segments is not None:
        told = segments.filter(segments.person_id.isin(people)).to_pandas()
        told = told[~told.get("retrospective", pd.Series(False, told.index))]
        both = some.merge(told, on="person_id").query("as_of < occurred_at").sort_values("as_of", kind="stable")
        last = both.groupby("contact")["segment"].last().reindex(places).fillna(UNKNOWN)
        off[places] |= last.to_numpy() != types[places]
    return int(off.sum())


def windows_hold(
    contacts: ContactFrame, split: Split, windows: ResponseWindows, types: np.ndarray
) -> pd.DataFrame:
    """Count messages and responses by type and hour, or weekday, once more; one check."""
    rows = contacts.rows.assign(person_type=types).iloc[split.training]
    if windows.cells.empty:
        return pd.DataFrame(columns=_COLUMNS)
    rows = rows[rows["channel"] != NO_CONTACT]
    at, told = pd.DatetimeIndex(rows["occurred_at"]), windows.cells
    n_off = 0.0
    for by, value, of in (
        ("hour", at.hour, told["hour"].notna()),
        ("weekday", at.day_name(), told["hour"].isna()),
    ):
        due = (
            rows["responded"].astype(float).groupby([rows["person_type"], np.asarray(value)]).agg(["size", "sum"])
        )
        for row in told[of].to_dict("records"):
            n, came = due.loc[(row["person_type"], row[by])]
            n_off += abs(row["n_rows"] - n) + abs(row["observed_rate"] * n - came)
    row = ("messages and responses by hour or weekday counted otherwise", n_off, 0, 1e-6, "row by row")
    return pd.DataFrame([row], columns=_COLUMNS)


def _measured_again(contacts: ContactFrame, split: Split, comparison: MethodComparison) -> list[tuple]:
    """Measures and intervals of the models without resampling by scikit-learn and the delta method."""
    test, came = contacts.rows.iloc[split.test], comparison.responded
    by = {"roc_auc": roc_auc_score, "pr_auc": average_precision_score, "log_loss": log_loss,
          "brier": brier_score_loss}  # fmt: skip
    off = 0.0
    for model in [m for m in comparison.models if m.resampling == "none"]:
        row = comparison.row(calibrated=True, method=model.method, resampling="none")
        said = model.probability(test, calibrated=True)
        off = max(off, *(abs(float(measure(came, said)) - row[name]) for name, measure in by.items()))
    said = comparison.probability
    lost = -np.log(np.where(came == 1, said, 1 - said))
    error = clustered_error(lost - lost.mean(), test["person"].to_numpy())
    ends = comparison.row(calibrated=True)[["log_loss_low", "log_loss_high"]]
    # The ends of an interval are order statistics, whose distance has a standard error of 1 / root of the draws.
    width = (ends.iloc[1] - ends.iloc[0]) / (2 * norm.ppf(0.975) * error)
    return [
        ("measures of models without resampling, greatest difference", off, 0, 1e-9, "scikit-learn, metrics"),
        ("gains, in responders furthest off", _gains_off(comparison), 0, 1, "counted, to one responder"),
        ("bins of probabilities and their error, furthest off", _bins_off(comparison), 0, 1e-9, "ranks in pandas"),
        ("effects of resampling, furthest off", _effects_off(comparison), 0, 1e-9, "differences of the measures"),
        ("width of the interval of the log loss", width, 1, 4 / len(comparison.weights) ** 0.5,
         "delta method over whole people; four standard errors"),
    ]  # fmt: skip


def _gains_off(comparison: MethodComparison) -> float:
    """Responders that gain and lift of the chosen model are off those of the rows, the likeliest first."""
    came = comparison.responded[np.argsort(-comparison.probability, kind="stable")]
    told = comparison.of_chosen(comparison.gain)
    first = [came[: int(share * len(came) + 1e-9)].sum() for share in told["contacted_share"]]
    lifted = (told["lift"] * told["contacted_share"]).fillna(0)
    return float(max(np.abs(of * came.sum() - first).max() for of in (told["found_share"], lifted)))


def _bins_off(comparison: MethodComparison) -> float:
    """How far the bins of the chosen model's calibrated probabilities, and their ECE, are off those by rank."""
    rows = pd.DataFrame({"predicted": comparison.probability, "observed": comparison.responded})
    ranks = rows["predicted"].rank(method="first").astype(int) - 1
    bins = rows.groupby(ranks * 10 // len(rows)).agg(["mean", "size"])
    due = bins.xs("mean", axis=1, level=1)
    told = comparison.of_chosen(comparison.calibration).query("calibrated").set_index(due.index)[[*due]]
    ece = np.average((due["observed"] - due["predicted"]).abs(), weights=bins["observed", "size"])
    return float(max((told - due).abs().to_numpy().max(), abs(ece - comparison.row(calibrated=True)["ece"])))


def _effects_off(comparison: MethodComparison) -> float:
    """How far effects of resampling are off the differences of the models; "best" may be of any two methods."""
    table = comparison.methods.query("calibrated and channel == 'all'").set_index(["resampling", "method"])
    off = 0.0
    for row in comparison.effects.to_dict("records"):
        values, any_of = table[row["measure"]], row["method"] == "best"
        names = [*values["none"].index] if any_of else [row["method"]]
        pairs = zip(names * len(names), np.repeat(names, len(names)), strict=True)
        gaps = [values[row["resampling"], a] - values["none", b] - row["difference"] for a, b in pairs]
        off = max(off, np.abs(gaps).min())
    return float(off)


def handed_on(
    contacts: ContactFrame,
    split: Split,
    comparison: MethodComparison,
    explanation: Explanation,
    told: pd.DataFrame,
    files: Mapping[str, bytes],
    *,
    scores: pd.DataFrame,
    snapshot: pd.DataFrame | None,
    run: Run,
) -> pd.DataFrame:
    """Return how far explanation, written probabilities and saved model are off the models themselves.

    One row a check, as `results.checks_of` takes them; `told` is of `contact_probabilities`, `files` of
    `pack_model`, `scores` of `response_scores`, made of `snapshot`. What people permit is asked of `run` again.
    """
    sizes = explanation.features.set_index("feature")["mean_size"] - explanation.values.abs().mean()
    rows = [
        ("Shapley values and base add up to the log odds, largest gap", explanation.additivity_error, 1e-3,
         "additivity, Lundberg & Lee 2017"),
        ("mean sizes of Shapley values, largest gap", sizes.abs().max(), 1e-6, "row by row"),
        ("probabilities written of contacts, off those of the models", _written_off(contacts, comparison, told),
         1e-9, f"{_SAMPLE} contacts, each under its own channel"),
        ("largest difference between the model and its files, read back",
         reading_back(files, comparison.chosen, contacts, split), 1e-9, "the model in memory"),
    ]  # fmt: skip
    if run.has_ledger:
        n_off = sum(
            int((~of.person_id.isin(permitted_people(run, purpose=f"marketing_{c}").person_id.to_pandas())).sum())
            for c, of in scores.groupby("channel")
        )
        rows.append(("scores for a channel that the person does not permit", n_off, 0, "the ledger"))
    checks = pd.DataFrame(rows, columns=["name", "value", "reference", "source"]).assign(rule="at most")
    if snapshot is None or (alike := _scores_alike(scores, contacts, split, comparison.chosen, snapshot)) is None:
        return checks
    row = {"name": "ranks of scores and of other occasions' by hand", "value": alike, "reference": 0.8}
    row |= {"source": "correlation; scores of other people have none", "rule": "at least"}
    return pd.concat([checks, pd.DataFrame([row])], ignore_index=True)


def _scores_alike(
    scores: pd.DataFrame, contacts: ContactFrame, split: Split, model: ResponseModel, snapshot: pd.DataFrame
) -> float | None:
    """Least rank correlation, over the channels, of some people's scores with their mean over other occasions."""
    people, training, alike = people_of(contacts, snapshot), contacts.rows.iloc[split.training], []
    occasion = [name for name in model.features if name in contacts.contact_features]
    own = as_read(people, [name for name in model.features if name not in occasion], contacts)
    own.index = people["person_id"]
    for channel, of in scores.groupby("channel"):
        some, used = of[:: len(of) // 60 + 1], training[training["channel"] == channel]
        rows = own.loc[some["person_id"]].merge(used[occasion][:: len(used) // 40 + 1], how="cross")
        said = _by_hand(model, rows).reshape(len(some), -1).mean(axis=1)
        if some["score"].nunique() > 1:
            alike.append(pd.Series(said, some.index).corr(some["score"], method="spearman"))
    return min(alike, default=None)


def noise_trial(
    contacts: ContactFrame,
    split: Split,
    gate: LeakGate,
    *,
    settings: Mapping[str, float],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Shuffle the responses over all contacts, then fit boosted trees and judge as before: nothing must be found.

    The range allowed holds 99.9 % of the ROC AUCs of a random score: that of the Mann-Whitney statistic, with
    variance (n + 1) / (12 x responders x others). Returns one check, as `results.checks_of` takes it.
    """
    table = contacts.rows[[*gate.features, "responded"]]
    table = table.assign(responded=rng.permutation(table["responded"].to_numpy()))
    fit, test = table.iloc[split.training], table.iloc[split.test]
    (pipeline,) = response_pipelines(
        fit, [("xgboost", settings)], resampling="none", imputer=contacts.imputer, rng=rng
    )
    pipeline.fit(fit.drop(columns="responded"), fit["responded"].to_numpy())
    auc = auc_of(pipeline, test.drop(columns="responded"), test["responded"].to_numpy())
    n, hits = len(test), int(test["responded"].sum())
    half = norm.ppf(0.9995) * np.sqrt((n + 1) / (12 * hits * (n - hits)))
    row = ("ROC AUC on shuffled responses", auc, 0.5, half, "99.9 % range of a random score, Mann & Whitney 1947")
    return pd.DataFrame([row], columns=_COLUMNS)


def refitted_alone(contacts: ContactFrame, split: Split, model: ResponseModel) -> float:
    """Return the largest difference of a model's probabilities from those of its pipeline fitted by its own `fit`.

    The page encodes and resamples once for several methods; the plain call of imbalanced-learn must say the same.
    """
    fit, test = contacts.rows.iloc[split.fit], contacts.rows.iloc[split.test]
    alone = clone(model.pipeline).fit(fit[list(model.features)], fit["responded"].to_numpy())
    said = alone.predict_proba(test[list(model.features)])[:, 1]
    return float(np.abs(said - model.probability(test, calibrated=False)).max())


def reading_back(files: Mapping[str, bytes], model: ResponseModel, contacts: ContactFrame, split: Split) -> float:
    """Return the largest difference between a model's probabilities and its files', on some test contacts."""
    rows = contacts.rows.iloc[split.test[: 10 * _SAMPLE]][list(model.features)]
    apart = score_rows(unpack_model(files), rows)["probability"] - model.probability(rows, calibrated=True)
    return float(np.abs(apart).max())


def _written_off(contacts: ContactFrame, comparison: MethodComparison, told: pd.DataFrame) -> float:
    """Largest difference of some contacts' written probabilities from those of the fitted pipelines."""
    mine = contacts.rows.merge(told.drop(columns=["person_id", "channel", "n_contacts_28d"]), on="row")
    mine = mine[mine["probability"].notna()]
    some = mine.iloc[np.unique(np.linspace(0, len(mine) - 1, _SAMPLE, dtype=int))]
    asked, off = [(comparison.chosen, some["probability"])], []
    names = [f"probability_{name}" for name in some["channel"]]
    if set(names) <= set(some):
        own = [row[name] for name, (_, row) in zip(names, some.iterrows(), strict=True)]
        asked.append((comparison.model("xgboost", "none"), pd.Series(own, index=some.index)))
        if "n_contacts_28d" in contacts.features and not some["probability_one_more"].isna().any():
            one_more = some.assign(n_contacts_28d=some["n_contacts_28d"] + 1)
            off.append(np.abs(_by_hand(asked[-1][0], one_more) - some["probability_one_more"]).max())
    off += [np.abs(_by_hand(model, some) - written).max() for model, written in asked]
    return float(max(off))


def _by_hand(model: ResponseModel, rows: pd.DataFrame) -> np.ndarray:
    """Calibrated probabilities from the pipeline's own."""
    raw = model.pipeline.predict_proba(rows[list(model.features)])[:, 1].astype(float)
    return expit(model.intercept + model.slope * log_odds(raw))


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
        m.method: log_loss(rows["responded"], m.probability(rows, calibrated=True))
        for m in comparison.models
        if m.resampling == "none"
    }
    return sum(loss < plain[comparison.chosen.method] - 1e-12 for loss in plain.values())


def _snapshots_off(contacts: ContactFrame, snapshots: ibis.Table) -> int:
    """Number of some contacts whose numeric features are not those of the last snapshot strictly before."""
    known = contacts.rows[contacts.rows["person_id"].notna()]
    some = known.iloc[np.unique(np.linspace(0, len(known) - 1, min(len(known), _SAMPLE), dtype=int))]
    mine = snapshots.filter(snapshots.person_id.isin(some["person_id"].unique().tolist())).to_pandas()
    numeric = [c for c in mine.select_dtypes("number").columns if c != "row"]
    names = [f"snapshot_{c}" if f"snapshot_{c}" in some else c for c in numeric]
    asked = some[["person_id", "occurred_at"]].assign(contact=range(len(some)))
    before = asked.merge(mine, on="person_id").query("as_of < occurred_at").sort_values("as_of", kind="stable")
    last = before.groupby("contact").tail(1).set_index("contact").reindex(asked["contact"])
    written, expected = some[names].astype(float).to_numpy(), last[numeric].astype(float).to_numpy()
    same = np.isclose(written, expected, equal_nan=True).all(axis=1)
    none = last["as_of"].isna().to_numpy()
    return int(np.where(none, some["as_of"].notna(), ~same).sum())

"""Page 07's steps once more by another road: joins, parts, calibration, measures, weights and groups by hand."""

import ibis
import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import norm
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as sklearn_log_loss

from journeybook.channel_response.contacts import NO_CONTACT, ContactFrame
from journeybook.channel_response.fairness import Fairness
from journeybook.channel_response.models import log_odds, prior_shift
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.witnesses import refitted_alone

_SAMPLE = 300
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
    """Return how far the page's steps are off when they are taken again.

    Args:
        contacts: As made by `contact_frame`.
        asked: The contacts it was made of.
        snapshots: The snapshots joined to them; None where there are none.
        split: As made by `split_contacts`.
        comparison: As made by `compare_methods`.
        response_window_days: Days after a contact in which a response counts.

    Returns:
        One row a check: `name`, `value`, `reference`, `tolerance`, `source`.
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
        ("probabilities of a model with SMOTE fitted alone, difference",
         refitted_alone(contacts, split, comparison.model("logistic", "smote")), 0, 1e-12,
         "imbalanced-learn, Pipeline.fit"),
        *_measures(contacts, split, comparison),
    ]  # fmt: skip
    if snapshots is not None and contacts.n_with_snapshot:
        off = _snapshots_off(contacts, snapshots)
        rows.append(
            ("contacts whose features are not the last ones before", off, 0, 0, f"{_SAMPLE} contacts by hand")
        )
    weights = _weights_off(contacts)
    if weights is not None:
        rows.append(("mean weight of a channel above 1, or off it for none, in standard errors", weights, 0, 4,
                     "Horvitz & Thompson 1952"))  # fmt: skip
    return pd.DataFrame(rows, columns=_COLUMNS)


def groups_off(fair: Fairness, probability: np.ndarray, responded: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Return how far the shares of responders found by one threshold are off, group by group in plain pandas."""
    frame = pd.DataFrame({"p": probability, "y": responded, "group": group})
    told = fair.groups[fair.groups["rule"] == "one threshold"].set_index("group")
    shown = frame[frame["group"].isin(told.index)].sort_values("p", ascending=False, kind="stable")
    shown = shown.assign(chosen=np.arange(len(shown)) < round(fair.selected_share * len(shown)))
    found = shown[shown["y"] == 1].groupby("group")["chosen"].mean()
    # Contacts of equal probability at the threshold may fall on either side.
    edge = shown["p"].iloc[round(fair.selected_share * len(shown)) - 1]
    ties = shown[(shown["y"] == 1) & np.isclose(shown["p"], edge)].groupby("group").size()
    allowed = (ties / shown[shown["y"] == 1].groupby("group").size()).fillna(0).reindex(told.index)
    off = ((told["true_positive_rate"] - found).abs() - allowed).clip(lower=0).max()
    row = (
        "responders found by group, greatest difference",
        off,
        0,
        1e-9,
        "plain pandas, ties at the edge allowed",
    )
    return pd.DataFrame([row], columns=_COLUMNS)


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


def _weights_off(contacts: ContactFrame) -> float | None:
    """Greatest distance from 1 of the mean of 1 / propensity, 0 for contacts of other channels, in errors."""
    rows = contacts.rows
    if "propensity" not in rows or rows["propensity"].isna().any() or (rows["propensity"] <= 0).any():
        return None
    worst = 0.0
    for channel in rows["channel"].unique():
        weight = np.where(rows["channel"] == channel, 1 / rows["propensity"].astype(float), 0.0)
        if rows.loc[rows["channel"] == channel, "propensity"].max() < 1:
            # A channel that some may not be sent has a mean below 1; nothing may always be sent.
            off = weight.mean() - 1
            error = weight.std(ddof=1) / len(weight) ** 0.5
            worst = max(worst, (abs(off) if channel == NO_CONTACT else off) / error)
    return worst

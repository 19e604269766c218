"""Sentences and titles of page 07, true for other data and parameters."""

import pandas as pd
from scipy.stats import norm

from journeybook.channel_response.contacts import ContactFrame
from journeybook.channel_response.explanation import Explanation
from journeybook.channel_response.leaks import LeakGate
from journeybook.channel_response.models import RESAMPLINGS, ResponseModel
from journeybook.channel_response.pitfall import OversamplingPitfall
from journeybook.channel_response.splits import Split
from journeybook.channel_response.study import MethodComparison
from journeybook.channel_response.truth import KnownAnswers
from journeybook.channel_response.windows import EVERYONE, ResponseWindows
from journeybook.findings import say_feature, say_group, say_points, say_share
from journeybook.sends import NO_CONTACT
from journeybook.statistics.labels import UNKNOWN

METHODS = {
    "logistic": "logistic regression",
    "forest": "random forest",
    "xgboost": "XGBoost",
    "stack": "the stack of all three",
}
RESAMPLED = {
    "none": "no resampling",
    "class_weights": "class weights",
    "smote": "SMOTE",
    "undersample": "undersampling",
}
_JUDGED = {"roc_auc": "ROC AUC", "pr_auc": "PR AUC", "log_loss": "log loss"}


def say_contacts(contacts: ContactFrame) -> str:
    """Say how many contacts there are, what was left out and what could be joined."""
    rows, left = contacts.rows, contacts.n_read - len(contacts.rows)
    people = f" of {rows['person'].nunique():,} people" if contacts.has_people else ""
    said = [f"{len(rows):,} contacts{people}; {say_share(rows['responded'].mean())} responded."]
    if left:
        why = {
            "the data end before their outcome": contacts.n_cut_off,
            "outcome missing": contacts.n_unknown,
            "hash sample": contacts.n_sampled_out,
        }
        said.append(f"Left out: {'; '.join(f'{n:,} ({reason})' for reason, n in why.items() if n)}.")
    said.append(f"Features from before sending: {say_share(contacts.n_with_snapshot / len(rows))} of contacts.")
    if contacts.undated:
        said.append(
            f"Set aside, for a date says nothing without a time of sending: {', '.join(contacts.undated)}."
        )
    if contacts.n_identical:
        n, kept = contacts.n_identical, rows["person"].nunique() < len(rows)
        how = "copies stay on one side of every split" if kept else "as often as chance would have it"
        said.append(f"{n:,} rows equal an earlier row; {how}.")
    return " ".join(said)


def say_split(contacts: ContactFrame, split: Split) -> str:
    """Say how the contacts were split."""
    responded = contacts.rows["responded"].to_numpy()
    parts = {"training": split.fit, "calibration": split.calibrate, "test": split.test}
    sizes = ", ".join(f"{name} {len(at):,} ({responded[at].mean():.1%} responded)" for name, at in parts.items())
    warning = f" **{split.warning}**" if split.warning else ""
    if split.cut_at is None:
        how = "Split by person: nobody is on both sides." if split.how == "person" else "Split by draw."
        return f"{how} Contacts: {sizes}.{warning}"
    met = f" {say_share(split.seen_share)} of test contacts are of people met in training."
    return (
        f"Split by time; the test set begins on {split.cut_at:%d %B %Y}. Contacts: {sizes}; {len(split.purged):,} "
        f"purged.{met if contacts.has_people else ''}{warning}"
    )


def title_gate(gate: LeakGate) -> str:
    """Title of the columns alone: what was set aside, or what came nearest."""
    caught = list(dict.fromkeys(gate.leaks["column"]))
    if caught:
        return f"Set aside, for they may tell the outcome: {', '.join(map(say_feature, caught))}"
    return f"No column gives the outcome away; {say_feature(gate.aucs['column'].iloc[0])} alone ranks best"


def title_resampling(comparison: MethodComparison) -> str:
    """Whether resampling helped: the best of each against the best without, as one family (Bonferroni)."""
    better, worse, _ = _resampled(comparison)
    if better.any():
        return "Resampling helped in places and harmed in others" if worse.any() else "Resampling helped"
    return "Resampling did not help"


def say_resampling(comparison: MethodComparison) -> str:
    """Say what each resampling changed after calibration."""
    better, worse, effects = _resampled(comparison)
    words = []
    for name in RESAMPLINGS[1:]:
        mine = effects["resampling"] == name
        found = {"better": effects.loc[mine & better, "measure"], "worse": effects.loc[mine & worse, "measure"]}
        said = [f"{verb} ({', '.join(of.map(_JUDGED))})" for verb, of in found.items() if len(of)]
        words.append(f"{RESAMPLED[name]} {' and '.join(said) or 'no different'}")
    return (
        f"Against the best model without it, once calibrated: {'; '.join(words)} (95%, corrected for "
        f"{len(effects)} comparisons)."
    )


def _resampled(comparison: MethodComparison) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    effects = comparison.effects[
        (comparison.effects["method"] == "best") & comparison.effects["measure"].isin(_JUDGED)
    ]
    # The stored intervals are +- 1.96 standard errors; the family of comparisons asks for more.
    wider = norm.ppf(1 - 0.025 / len(effects)) / norm.ppf(0.975)
    half = (effects["difference_high"] - effects["difference_low"]) / 2 * wider
    gained = effects["difference"].where(effects["measure"] != "log_loss", -effects["difference"])
    return gained > half, gained < -half, effects


def say_choice(comparison: MethodComparison) -> str:
    """Say which model was chosen and how it did."""
    row, chosen = comparison.row(calibrated=True), comparison.chosen
    rate = row["n_responses"] / row["n_rows"]
    return (
        f"Chosen on the calibration contacts: {METHODS[chosen.method]}, {RESAMPLED[chosen.resampling]}. On the "
        f"test set its ROC AUC is {_with_interval(row, 'roc_auc')}, its PR AUC {_with_interval(row, 'pr_auc')} "
        f"(random ranking: {rate:.3f})."
    )


def title_calibration(comparison: MethodComparison) -> str:
    """How far the chosen model's probabilities are off, beside what chance alone shows."""
    row = comparison.row(calibrated=True)
    off, chance = (say_points(row[name]).lstrip("+") for name in ("ece", "ece_floor"))
    return f"Predicted probabilities are off by {off} on average; chance alone shows {chance}"


def say_calibration(comparison: MethodComparison) -> str:
    """Say what resampling did to probabilities, what mended them, and whether channels differ."""
    table, models = comparison.corrections, comparison.models
    moved = table[(table["resampling"] != "none") & (table["method"] != "stack")]
    rows = comparison.of_chosen(comparison.methods).query("calibrated and channel != 'all'")
    beyond = rows.loc[rows["ece_low"] >= 0.0005, "channel"].tolist()
    channels = f" Beyond chance by channel: {', '.join(beyond) or 'none'}." if len(rows) > 1 else ""
    applied = [m for m in models if m.is_calibrated]
    of = table.set_index(["method", "resampling"]).loc[[(m.method, m.resampling) for m in applied]]
    n_worse = int((of["ece_calibrated"] > of["ece_corrected"]).sum())
    worse = f", and made {n_worse} of them worse on the test set" if n_worse else ""
    off = [100 * moved[f"ece_{stage}"] for stage in ("as_fitted", "corrected", "calibrated")]
    fitted, corrected, calibrated = (f"{of.min():.1f} to {of.max():.1f} points" for of in off)
    return (
        f"Resampled models are off by {fitted} as fitted, {corrected} corrected for the prior, {calibrated} "
        f"calibrated. Calibration is applied to {len(applied)} of {len(models)} models, which it helped before "
        f"the test{worse}.{channels}"
    )


def title_gain(comparison: MethodComparison) -> str:
    """What the top fifth of the chosen model's ranking holds."""
    top = comparison.gain_at(0.2)
    return f"The top 20% of contacts hold {say_share(top['found_share'])} of the responses"


def say_people(comparison: MethodComparison) -> str:
    """Say how the ranking does at other sizes, and on people never met."""
    half, tenth = comparison.gain_at(0.5), comparison.gain_at(0.1)
    said = (
        f"The top 50% hold {say_share(half['found_share'])}; the top 10% have a lift of "
        f"{_with_interval(tenth, 'lift')}."
    )
    for _, row in comparison.people[comparison.people["people"] == "new"].iterrows():
        said += (
            f" On {row['n_rows']:,.0f} contacts of people not met in training the ROC AUC is "
            f"{_with_interval(row, 'roc_auc')}."
        )
    return said


def title_shapley(explanation: Explanation) -> str:
    """The features that move the model most."""
    top = explanation.features.head(2)
    named = [
        f"{say_feature(name)} ({share:.0%})" for name, share in zip(top["feature"], top["share"], strict=True)
    ]
    return f"What moves the model most: {' and '.join(named)}"


def say_explanation(explanation: Explanation, model: ResponseModel, comparison: MethodComparison) -> str:
    """Say whose explanation it is."""
    chosen, n = comparison.chosen, f"{len(explanation.rows):,} test contacts"
    if (chosen.method, chosen.resampling) == (model.method, model.resampling):
        return f"Explained is the chosen model, on {n}."
    ours, best = (
        comparison.row(calibrated=True, method=m.method, resampling=m.resampling)["roc_auc"]
        for m in (model, chosen)
    )
    return (
        f"Explained is XGBoost without resampling (ROC AUC {ours:.3f}), not the chosen model ({best:.3f}), on {n}."
    )


def title_windows(windows: ResponseWindows) -> str:
    """The peak furthest beyond chance."""
    peaks = windows.peaks[windows.peaks["lift_low"] > 1] if len(windows.peaks) else windows.peaks
    if peaks.empty:
        if windows.peaks.empty:
            return "When people answer best cannot be told: times of sending are missing, or responses too few"
        return "No hour or weekday is answered better than the others beyond chance"
    best = peaks.loc[peaks["lift_low"].idxmax()]
    kind, when = best["person_type"], f"{'at' if best['kind'] == 'hours' else 'on'} {best['window']}"
    who = {EVERYONE: "People", UNKNOWN: "People of no known type"}.get(kind, f"People of type {say_group(kind)}")
    return f"{who} answer best {when}, {say_share(best['lift'] - 1)} more often than on average"


def say_windows(windows: ResponseWindows) -> str:
    """Say how many peaks are beyond chance, and which types were left out."""
    if windows.peaks.empty:
        return "Times of sending are missing, or responses too few to compare hours."
    left = f" Left out, with too few responses: {', '.join(windows.left_out)}." if windows.left_out else ""
    n = int((windows.peaks["lift_low"] > 1).sum())
    return f"{n} of {len(windows.peaks)} peaks are beyond chance; `could_be_best` lists windows as likely.{left}"


def say_scores(scores: pd.DataFrame, contacts: ContactFrame, *, has_ledger: bool) -> str:
    """Say who was scored for what, or why nobody was."""
    if not contacts.has_people:
        return "The contacts name nobody, so there is nobody to score."
    if scores.empty:
        channels = ", ".join(name for name in contacts.channels if name != NO_CONTACT)
        return f"Nobody is scored: the ledger has no marketing purpose for {channels}, or nobody permits it."
    counts = scores.groupby("channel")["person_id"].nunique()
    rule = "People are scored for the channels they permit" if has_ledger else "Without a ledger all are scored"
    return f"{rule}: {', '.join(f'{n:,} for {name}' for name, n in counts.items())}."


def say_known_answers(known: KnownAnswers) -> str:
    """Say how near the model and the windows come to the known answer; nothing where there is none."""
    said = []
    if truth := known.ceiling:
        said.append(
            f"Ranking by the true probabilities has ROC AUC {truth.roc_auc:.3f} [{truth.roc_auc_low:.3f}, "
            f"{truth.roc_auc_high:.3f}]; the model reaches {truth.reached_share:.0%} of the way from 0.5. Its "
            f"probabilities are {say_points(truth.mean_absolute_error).lstrip('+')} from the true ones on average."
        )
    if known.windows is not None:
        rows, peaks = known.windows.kinds.to_dict("records"), known.windows.peaks
        held = [f"{row['inside_share']:.0%} of {row['n_rates']} {row['kind']} rates" for row in rows]
        said.append(
            f"The 95% intervals hold the true value of {', '.join(held)}. The truly best window is among those "
            f"named for {peaks['among'].sum()} of {len(peaks)} peaks."
        )
    return " ".join(said)


def say_pitfall(pitfall: OversamplingPitfall) -> str:
    """Say how large the error of SMOTE before the split is."""
    noise, own = (
        [f"{pitfall.roc_auc(labels, place):.3f}" for place in ("before the split", "inside each fold")]
        for labels in ("noise", "own")
    )
    return (
        f"On shuffled responses, where nothing can be found, SMOTE before the split reports ROC AUC {noise[0]}; "
        f"inside the folds {noise[1]}. On the true responses: {own[0]} and {own[1]}."
    )


def _with_interval(row: pd.Series, name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
